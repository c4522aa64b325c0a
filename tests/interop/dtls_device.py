# Runs on MicroPython: a secure channel over a real socket, driven by JSON objects, one a line
# SPDX-License-Identifier: MIT
import json
import sys

sys.path.insert(0, "lib")

import select
import socket
from binascii import hexlify, unhexlify
from time import ticks_us
from lwm2m.port import ticks_diff, ticks_ms


class Lower:
    """A connected UDP socket that counts."""

    def __init__(self, host, port):
        self.address = socket.getaddrinfo(host, port)[0][-1]
        self.open()
        self.count = self.bytes = self.received = 0

    def open(self):
        self.s = self.out = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.s.connect(self.address)
        self.p = select.poll()
        self.p.register(self.s, select.POLLIN)

    def send(self, buf, start, end):
        self.count += 1
        self.bytes += end - start
        try:
            self.out.send(memoryview(buf)[start:end])
        except OSError:
            pass

    def recv(self, ms):
        if self.p.poll(ms):
            try:
                b = self.s.recv(2048)
                self.received += len(b)
                return b
            except OSError:
                pass


class Nowhere:
    """A socket that takes everything at once."""

    def send(self, b):
        pass


class Device:
    def __init__(self):
        self.c = self.lower = self.saved = None

    def save(self, b):
        self.saved = b

    def op_new(self, a):
        self.lower = Lower(a["host"], a["port"])
        kind = a.get("backend", "record")
        if kind == "record":
            from lwm2m.dtls.record import Connection

            session = a.get("session")
            self.c = Connection(
                self.lower,
                a["identity"],
                unhexlify(a["key"]),
                suites=tuple(a.get("suites") or (0xC0A8,)),
                cid=a.get("cid", True),
                session=unhexlify(session) if session else None,
                timeout=a.get("timeout", 1000),
                save=self.save if a.get("save") else None,
            )
        else:
            from lwm2m.dtls.native import Native

            files = {}
            for k in ("cert", "private", "ca"):
                if a.get(k):
                    files[k] = unhexlify(a[k])
            self.c = Native(
                self.lower,
                a.get("identity"),
                unhexlify(a["key"]) if a.get("key") else None,
                name=a.get("name"),
                within=a.get("within", 8000),
                suites=a.get("suites"),
                **files,
            )
        return {}

    def step(self, ms):
        """Wait for one datagram, `ms` at most; the plaintexts in it."""
        d = self.c.poll(ticks_ms())
        got = []
        b = self.lower.recv(ms if d < 0 else min(ms, d))
        if b is not None:
            p = self.c.feed(b, ticks_ms())
            while p is not None:
                got.append(hexlify(p).decode())
                p = self.c.feed(None, ticks_ms())
        return got

    def until(self, ms, done):
        got = []
        start = ticks_ms()
        while not done(got):
            left = ms - ticks_diff(ticks_ms(), start)
            if left <= 0:
                break
            got += self.step(min(left, 50))
        return got

    def op_connect(self, a):
        self.c.connect(ticks_ms())
        return {"data": self.until(a.get("ms", 5000), lambda got: self.c.state != 1)}

    def op_send(self, a):
        data = unhexlify(a["data"])
        head = self.c.HEAD
        b = bytearray(head + len(data) + self.c.TAIL)
        b[head : head + len(data)] = data
        self.c.send(b, head, head + len(data))
        n = a.get("count", 1)
        return {"data": self.until(a.get("ms", 2000), lambda got: len(got) >= n)}

    def op_wait(self, a):
        return {"data": self.until(a.get("ms", 500), lambda got: self.c.state == a.get("state"))}

    def op_inject(self, a):
        for d in a["datagrams"]:
            self.c.feed(unhexlify(d), ticks_ms())
        return {}

    def op_rebind(self, a):
        """Go on from another port, as after a NAT forgot the mapping."""
        self.lower.s.close()
        self.lower.open()
        return {}

    def op_dump(self, a):
        return {"session": hexlify(self.c.dump()).decode()}

    def op_time(self, a):
        """Microseconds of work: of a handshake, and of a record of `size` bytes in either direction."""
        size = a["size"]
        c = self.c
        t = ticks_us()
        c.connect(ticks_ms())
        work = ticks_diff(ticks_us(), t)
        while c.state == 1:
            b = self.lower.recv(200)
            t = ticks_us()
            if b is None:
                c.poll(ticks_ms())
            else:
                c.feed(b, ticks_ms())
            work += ticks_diff(ticks_us(), t)
        b = bytearray(c.HEAD + size + c.TAIL)
        start, end = c.HEAD, c.HEAD + size
        best = [1 << 29] * 3
        sink = Lower("127.0.0.1", a["sink"]).s
        for _ in range(8):
            for i in (0, 1):
                # Sealing alone, and with the way out through a socket that nobody reads.
                self.lower.out = sink if i else Nowhere()
                t = ticks_us()
                for _ in range(500):
                    c.send(b, start, end)
                best[i] = min(best[i], ticks_diff(ticks_us(), t) / 500)
            self.lower.out = self.lower.s
            total = n = 0
            while n < 100:
                c.send(b, start, end)
                d = self.lower.recv(1000)
                if d is not None:
                    now = ticks_ms()
                    t = ticks_us()
                    c.feed(d, now)
                    total += ticks_diff(ticks_us(), t)
                    n += 1
            best[2] = min(best[2], total / n)
        return {
            "handshake": work,
            "seal": best[0],
            "send": best[1],
            "open": best[2],
            "received": self.lower.received,
        }

    def op_close(self, a):
        self.c.close()
        return {}

    def main(self):
        while True:
            line = sys.stdin.readline()
            if not line:
                break
            a = json.loads(line)
            try:
                r = getattr(self, "op_" + a["op"])(a)
            except Exception as e:
                sys.print_exception(e, sys.stderr)
                r = {"exception": repr(e)}
            c = self.c
            r["state"] = getattr(c, "state", None)
            r["error"] = getattr(c, "error", None)
            r["sent"] = self.lower.count
            r["bytes"] = self.lower.bytes
            for k in ("suite", "ems"):
                r[k] = getattr(c, k, None)
            for k in ("sid", "cid", "peer"):
                r[k] = hexlify(getattr(c, k, None) or b"").decode()
            r["saved"] = hexlify(self.saved).decode() if self.saved else None
            print(json.dumps(r))


Device().main()
