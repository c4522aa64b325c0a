# 10,000 malformed datagrams from the server's address: the client lives on, registered, and no larger
# SPDX-License-Identifier: MIT
"""Half of them are random, half are mutations of valid messages. Some of these are valid by chance, and then
they do what they say; so, before its heap is measured, the client registers anew and drops the instances that
it was made to create."""

import os
import random
import socket
import struct
import subprocess
import time

import pytest

from tools.build.library import library, translated
from tools.build.mpy import micropython


# The client under test. An execute of /3303/0/5605 tells how it is; then it starts anew, and tells how much
# heap is in use after a collection.
DEVICE = """
import gc, sys
from lwm2m.client import Client
from lwm2m.formats import find_format
from lwm2m.model.tables.ipso import TABLE
from lwm2m.port import ready

# A format's code, and a table of names that doubles for it, is no growth.
for number in (0, 42, 60, 110, 112, 11542, 11543, 11544):
    find_format(number)
failures = 0
asked = []
c = Client("hard", "coap://127.0.0.1:%d", lifetime=86400)
c.objects(TABLE)
c.create("/3303/0")
c.set("/3303/0/5700", 20.5)
c.set("/3303/0/5750", "name")
c.on_exec("/3303/0/5605", lambda path, args: asked.append(0))
c.on_create("/3303", lambda path, v: None)
c.start()
while True:
    try:
        c.poll()
        ready(0 if asked else 20)
        if asked and c.stat() == 2:
            if len(asked) == 1:
                print("state", c.stat(), failures)
                c.stop(True)
                for i in list(c.tree.objects[3303]):
                    if i:
                        c.delete("/3303/%%d" %% i)
                c.set("/3303/0/5750", "name")
                c.start()
                asked.append(1)
            else:
                asked = []
                for k in range(3):
                    gc.collect()
                print("used", gc.mem_alloc())
    except Exception as e:
        failures += 1
        sys.print_exception(e)
"""

CON, NON, ACK, RST = range(4)
GET, POST, PUT, DELETE, FETCH, IPATCH = 1, 2, 3, 4, 5, 7


def message(typ, code, mid, token=b"", opts=(), payload=b""):
    """A datagram; opts is [(number, bytes), ...] in ascending order, lengths below 269."""
    out = struct.pack(">BBH", 0x40 | typ << 4 | len(token), code, mid) + token
    last = 0
    for number, value in opts:
        parts = [number - last, len(value)]
        last = number
        nibbles = [n if n < 13 else 13 for n in parts]
        out += (
            bytes([nibbles[0] << 4 | nibbles[1]]) + bytes(n - 13 for n in parts if n > 12) + value
        )
    return out + (b"\xff" + payload if payload else b"")


def path(text):
    return [(11, s.encode()) for s in text.split("/")]


TLV, TEXT, LINK = b"\x2d\x16", b"", b"\x28"
VALID = (
    message(CON, GET, 1, b"abcd", path("3303/0/5700") + [(17, TEXT)]),
    message(CON, GET, 1, b"ab", [(6, b"")] + path("3303") + [(17, TLV)]),
    message(NON, GET, 1, b"ab", path("3303/0") + [(17, LINK)]),
    message(CON, GET, 1, b"12345678", path("3303/0/5750") + [(23, b"\x02")]),
    message(CON, PUT, 1, b"a", path("3303/0/5750") + [(12, TEXT)], b"another name"),
    message(CON, PUT, 1, b"a", path("3303/0/5750") + [(12, TEXT), (27, b"\x08")], b"x" * 16),
    message(
        CON, PUT, 1, b"a", path("3303/0/5700") + [(15, b"pmin=1"), (15, b"gt=30.5"), (15, b"st=2")]
    ),
    message(NON, PUT, 1, b"", path("3303/0") + [(12, TLV)], b"\xe8\x16\x76\x08new name"),
    message(
        CON,
        POST,
        1,
        b"zz",
        path("3303") + [(12, TLV), (60, b"\x20")],
        b"\x08\x09\x0b\xe8\x16\x76\x07new one",
    ),
    message(CON, DELETE, 1, b"z", path("3303/9")),
    message(CON, FETCH, 1, b"z", [(12, b"\x70"), (17, b"\x70")], b"\x81\xa1\x00\x65/3303"),
    message(CON, IPATCH, 1, b"z", [(12, b"\x70")], b"\x81\xa2\x00\x6c/3303/0/5750\x03\x61x"),
    message(
        CON, 0x45, 1, b"none", [(4, b"etag"), (6, b"\x05"), (12, TEXT), (23, b"\x08")], b"body"
    ),
    message(ACK, 0x44, 1, b"none"),
    message(CON, 0, 1),
    message(ACK, 0, 1),
)


def mutation(r: random.Random) -> bytes:
    """A valid message, spoilt in one to four places."""
    d = bytearray(r.choice(VALID))
    if r.random() < 0.8:
        d[2:4] = r.randbytes(2)
    for _ in range(r.randint(1, 4)):
        at = r.randrange(len(d)) if d else 0
        kind = r.randrange(6)
        if kind < 2 and d:
            d[at] ^= 1 << r.randrange(8)
        elif kind == 2 and d:
            d[at] = r.randrange(256)
        elif kind == 3:
            del d[at:]
        elif kind == 4:
            d[at:at] = r.randbytes(r.randint(1, 12))
        else:
            d += r.choice(VALID)[r.randrange(8) :]
    return bytes(d)


def noise(r: random.Random) -> bytes:
    """Random bytes, half of them with a header that looks like CoAP's."""
    d = bytearray(r.randbytes(r.choice((0, 1, 3, 4, 5, 8, 16, 40, 200, 1400))))
    if r.random() < 0.5 and len(d) > 1:
        d[0] = 0x40 | r.randrange(4) << 4 | r.randrange(9)
        d[1] = r.choice((0, 1, 2, 3, 4, 5, 7, 0x41, 0x45, 0x84, 0xFF))
    return bytes(d)


class Server:
    """The other end: accepts the registration, and asks by hand."""

    def __init__(self):
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 0))
        self.port = self.socket.getsockname()[1]
        self.client = None
        self.registers = 0
        self.answers = 0
        self.mid = 0

    def receive(self, until, seconds=10.0):
        """Serve what comes until a datagram satisfies `until`."""
        end = time.monotonic() + seconds
        while True:
            self.socket.settimeout(max(end - time.monotonic(), 0.001))
            try:
                d, self.client = self.socket.recvfrom(2048)
            except TimeoutError:
                pytest.fail("the client says nothing any more")
            typ, code, mid = d[0] >> 4 & 3, d[1], d[2:4]
            token = d[4 : 4 + (d[0] & 15)]
            if typ == CON and code == POST and b"\xb2rd" in d:
                new = b"lwm2m=" in d
                self.registers += new
                head = bytes((0x60 | len(token), 0x41 if new else 0x44)) + mid + token
                self.socket.sendto(head + (b"\x82rd\x017" if new else b""), self.client)
            elif typ == CON and code >= 64:
                self.socket.sendto(bytes((0x60, 0)) + mid, self.client)
            else:
                self.answers += 1
            if until(d):
                return d

    def next(self) -> int:
        self.mid = self.mid % 0xFFFF + 1
        return self.mid

    def ping(self):
        """All that was sent before has been taken when the answer is there."""
        mid = self.next()
        self.socket.sendto(message(CON, 0, mid), self.client)
        self.receive(lambda d: d[0] == 0x70 and d[2:4] == struct.pack(">H", mid))

    def request(self, code, where, payload=b"", **kw):
        # A token of six bytes, which none of the others has.
        token = b"\xff\xfe" + struct.pack(">I", self.next())
        self.socket.sendto(message(CON, code, self.mid, token, path(where), payload), self.client)
        return self.receive(lambda d: d[4 : 4 + (d[0] & 15)] == token)


@pytest.mark.needs("micropython")
def test_ten_thousand():
    server = Server()
    device = subprocess.Popen(
        [micropython(), "-c", translated(DEVICE % server.port)],
        stdout=subprocess.PIPE,
        text=True,
        env=dict(os.environ, MICROPYPATH=f"{library()}:.frozen"),
    )
    log = []

    def told(word):
        while True:
            line = device.stdout.readline()
            assert line, "the client ended:\n" + "".join(log)
            if line.startswith(word):
                return [int(x) for x in line.split()[1:]]
            log.append(line)

    def measure():
        """The client is well and registered; then its heap in use, once it has started anew."""
        registers = server.registers
        assert server.request(POST, "3303/0/5605")[1] == 0x44
        assert told("state ") == [2, 0], "".join(log)
        server.receive(lambda d: b"lwm2m=" in d)
        assert server.registers == registers + 1
        return told("used ")[0]

    def bombard(r, count):
        for k in range(count):
            d = mutation(r) if k % 2 else noise(r)
            server.socket.sendto(d, server.client)
            if k % 25 == 24:
                server.ping()
        server.ping()

    try:
        server.receive(lambda d: b"lwm2m=" in d)
        r = random.Random(20261121)
        # By then all parts are loaded that are loaded when they are needed.
        bombard(r, 10_000)
        before = measure()
        bombard(r, 10_000)
        assert server.registers == 2
        after = measure()
        assert server.answers > 500
        # Values of other lengths may stand where there were some: no more than that, a tenth of a byte
        # for each datagram.
        assert after - before < 1024, f"{before} bytes of heap before, {after} after"
    finally:
        device.kill()
        device.wait()
        server.socket.close()
