# The device's side of bench_core.py: runs on MicroPython, prints lines `name bytes microseconds`
# SPDX-License-Identifier: MIT
"""core.py           measures a client over a transport in memory, and reading and writing of CoAP messages
core.py PORT      registers at 127.0.0.1:PORT and serves until it is killed"""

import gc
import sys
import time

from lwm2m.client import Client
from lwm2m.coap.message import Message, Writer
from lwm2m.model.tables.ipso import TABLE

GET, PUT = 1, 3
TIMES = 2000


def make(uri, **options):
    """A client with objects 1, 3 and 3303."""
    client = Client("urn:imei:860000000000001", uri, version="1.0", lifetime=300, **options)
    client.objects(TABLE)
    client.create("/3303/0")
    client.set("/3303/0/5700", 20.5)
    client.on_read("/3/0/10", None)  # nothing but values: what the platform does is not measured
    client.on_read("/3/0/13", None)
    client.start()
    return client


class Wire:
    """A transport whose other end accepts every registration, and asks what the test puts into `inbox`."""

    def __init__(self, host, port):
        Wire.last = self
        self.inbox = None
        self.sent = b""

    def send(self, buf, start, end):
        self.end = end - start
        if buf[start + 1] == 2:
            self.sent = bytes(buf[start:end])
            n = buf[start] & 15
            self.inbox = bytes((0x60 | n, 0x41)) + self.sent[2 : 4 + n] + b"\x82rd\x017"

    def recv(self):
        d = self.inbox
        self.inbox = None
        return d

    def close(self):
        pass


def request(code, path, options=b"", payload=b""):
    """A confirmable request; `options` is what follows the path."""
    d = b"\x44" + bytes((code, 0, 0)) + b"tokn"
    delta = 11
    for s in path.split("/")[1:]:
        d += bytes((delta << 4 | len(s),)) + s.encode()
        delta = 0
    return bytearray(d + options + (b"\xff" + payload if payload else b""))


def measure(name, fn, times=TIMES):
    """Heap that one call allocates, with what it leaves as garbage; and its time, collections included."""
    for _ in range(3):
        fn()
    gc.collect()
    gc.disable()
    a = gc.mem_alloc()
    for _ in range(10):
        fn()
    a = (gc.mem_alloc() - a) // 10
    gc.enable()
    gc.collect()
    t = time.ticks_us()
    for _ in range(times):
        fn()
    t = time.ticks_diff(time.ticks_us(), t)
    print(name.replace(" ", "_"), a, t / times)


class PlainOption:
    def __init__(self, number, value):
        self.number = number
        self.value = value


class PlainMessage:
    """CoAP as it is commonly written for MicroPython: an object for each message and each option,
    slices for all values."""

    def __init__(self):
        self.type = self.code = self.message_id = 0
        self.token = b""
        self.options = []
        self.payload = b""

    def parse(self, data):
        if len(data) < 4 or data[0] >> 6 != 1:
            raise ValueError("no CoAP")
        self.type = data[0] >> 4 & 3
        length = data[0] & 15
        self.code = data[1]
        self.message_id = data[2] << 8 | data[3]
        self.token = data[4 : 4 + length]
        data = data[4 + length :]
        number = 0
        while data:
            if data[0] == 255:
                self.payload = data[1:]
                break
            delta = data[0] >> 4
            size = data[0] & 15
            data = data[1:]
            if delta == 13:
                delta = data[0] + 13
                data = data[1:]
            elif delta == 14:
                delta = (data[0] << 8 | data[1]) + 269
                data = data[2:]
            if size == 13:
                size = data[0] + 13
                data = data[1:]
            elif size == 14:
                size = (data[0] << 8 | data[1]) + 269
                data = data[2:]
            number += delta
            self.options.append(PlainOption(number, data[:size]))
            data = data[size:]
        return self

    def add(self, number, value):
        self.options.append(PlainOption(number, value))

    def path(self):
        return "/".join([o.value.decode() for o in self.options if o.number == 11])

    def build(self):
        out = bytearray()
        out.append(0x40 | self.type << 4 | len(self.token))
        out.append(self.code)
        out += self.message_id.to_bytes(2, "big")
        out += self.token
        last = 0
        for o in sorted(self.options, key=lambda o: o.number):
            delta = o.number - last
            size = len(o.value)
            last = o.number
            head = bytearray(1)
            for shift, n in ((4, delta), (0, size)):
                if n < 13:
                    head[0] |= n << shift
                elif n < 269:
                    head[0] |= 13 << shift
                    head.append(n - 13)
                else:
                    head[0] |= 14 << shift
                    head += (n - 269).to_bytes(2, "big")
            out += head
            out += o.value
        if self.payload:
            out.append(255)
            out += self.payload
        return bytes(out)


def messages():
    """A read of /3303/0/5700 with an Accept option, and its answer."""
    d = bytes(request(GET, "/3303/0/5700", b"\x62\x2d\x16"))
    p = Message()
    w = Writer(128)
    payload = b"\xe4\x16\x44\x41\xa4\x00\x00"

    def ours():
        w.begin(2, 0x45, 0x1234, b"tokn")
        w.option(12, 11542)
        w.begin_payload(0, 64)
        w.put(payload)
        w.end_payload()

    def plain():
        m = PlainMessage()
        m.type = 2
        m.code = 0x45
        m.message_id = 0x1234
        m.token = b"tokn"
        m.add(12, (11542).to_bytes(2, "big"))
        m.payload = payload
        return m.build()

    ours()
    if bytes(w.buffer[: w.position]) != plain() or PlainMessage().parse(d).path() != "3303/0/5700":
        raise AssertionError("the two do not agree")
    if p.parse(d) or p.path[:3] != [3303, 0, 5700]:
        raise AssertionError("the two do not agree")
    measure("parse", lambda: p.parse(d))
    measure("parse, plain classes", lambda: PlainMessage().parse(d).path())
    measure("build", ours)
    measure("build, plain classes", plain)


def memory():
    client = make("coap://server.example", transport=Wire)
    for _ in range(100):
        client.poll()
    if client.stat() != 2:
        raise OSError("not registered")
    wire = Wire.last
    print("register", len(wire.sent), 0)
    mid = [0]

    def served(name, code, path, options=b"", payload=b"", answer=0x45):
        d = request(code, path, options, payload)

        def one():
            mid[0] += 1
            d[2] = mid[0] >> 8 & 255
            d[3] = mid[0] & 255
            wire.inbox = d
            client.poll()

        sent = []
        wire.send = lambda buf, start, end: sent.append(bytes(buf[start:end]))
        one()
        if not sent or sent[-1][1] != answer:
            raise AssertionError("%s: %r" % (name, sent))
        wire.send = nothing
        measure(name, one)

    measure("idle poll", client.poll)
    served("read /3/0/0", GET, "/3/0/0", b"\x60")
    served("read /3/0 in TLV", GET, "/3/0")
    served("read /3303/0/5700", GET, "/3303/0/5700", b"\x60")
    served("write /3/0/14", PUT, "/3/0/14", b"\x10", b"+02:00", 0x44)
    served("discover /3/0", GET, "/3/0", b"\x61\x28")


def nothing(buf, start, end):
    pass


if len(sys.argv) > 1:
    make("coap://127.0.0.1:" + sys.argv[1]).run()
else:
    messages()
    memory()
