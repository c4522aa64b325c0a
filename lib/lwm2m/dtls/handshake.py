# DTLS 1.2 handshake of a client with a pre-shared key: flights, reassembly, key derivation (TLS 1.2 PRF)
# SPDX-License-Identifier: MIT
from ..crypto.prf import prf
from ..crypto.provider import sha256
from ..port import struct, ticks_add, ticks_diff

_CBC = const(0xAE)
_LONGEST = const(512)  # bytes of a message of the server's
_AHEAD = const(4)  # messages that may come before their turn
_TRIES = const(4)  # as MAX_RETRANSMIT of CoAP


def vector(b):
    """Bytes with their length before them, in one byte."""
    return bytes((len(b),)) + b


def message(typ, n, body):
    """A handshake message in one fragment; `n` is its number."""
    size = len(body).to_bytes(3, "big")
    return bytes((typ,)) + size + bytes((0, n, 0, 0, 0)) + size + body


class Handshake:
    """One handshake of the channel `c`; it ends by setting the channel's state."""

    def __init__(self, c):
        self.c = c
        self.seq = 0  # of records in epoch 0
        self.next = 0  # number of the server's next message
        self.seen = {}  # number: [type, message, bits of the bytes that are there]
        self.gen = self.run()

    def start(self, now):
        """Send the first flight."""
        self.begin(next(self.gen), now)

    def run(self):
        # Gets the server's messages in their order; yields a flight (the records of epoch 0, and Finished or
        # None) to send, or None to hear more.
        c = self.c
        mine = c.random(32)
        cid = b"" if c.offer is True else c.random(c.offer)
        ext = b"\0\x17\0\0"  # extended_master_secret
        if c.offer is not False:
            ext += b"\0\x36" + (len(cid) + 1).to_bytes(2, "big") + vector(cid)
        body = b""
        for n in c.suites:
            body += n.to_bytes(2, "big")
            if n == _CBC:
                ext += b"\0\x16\0\0"  # encrypt_then_mac
        # The last suite says that there is no renegotiation (RFC 5746 3.3).
        body = (
            (len(body) + 2).to_bytes(2, "big")
            + body
            + b"\0\xff\1\0"
            + len(ext).to_bytes(2, "big")
            + ext
        )
        m = b""
        n = 0
        while True:
            m = message(1, n, b"\xfe\xfd" + mine + vector(c.sid) + vector(m) + body)
            n += 1
            t, b = yield ((22, m),), None
            if t != 3 or n > 3:
                break
            m = b[15 : 15 + b[14]]  # the cookie
        if t != 2:
            raise ValueError(10)
        # A digest ends a hash, and two are needed: of all before the first Finished, and with it.
        h = sha256(m)
        g = sha256(m)
        h.update(b)
        g.update(b)
        if b[12] != 254 or b[13] != 253:
            raise ValueError(70)
        seed = bytes(b[14:46]) + mine
        i = 47 + b[46]
        sid = bytes(b[47:i])
        suite = b[i] << 8 | b[i + 1]
        if suite not in c.suites or b[i + 2] or len(sid) > 32:
            raise ValueError(47)
        ems = 0
        peer = None
        i += 3
        if i < len(b):
            i += 2
        while i < len(b):
            t = b[i] << 8 | b[i + 1]
            j = i + 4
            i = j + (b[i + 2] << 8 | b[i + 3])
            if t == 23:
                ems |= 1
            elif t == 54 and c.offer is not False and b[j] == i - j - 1:
                peer = bytes(b[j + 1 : i])
            elif t == 22 and suite == _CBC:
                ems |= 2
            elif t != 0xFF01 or b[j]:
                raise ValueError(110)
        if i != len(b):
            raise ValueError(50)
        if peer is None:
            cid = peer = b""
        resumed = sid and sid == c.sid
        if resumed:
            # Neither may change (RFC 5246 7.4.1.3, RFC 7627 5.3).
            if suite != c.suite or (ems ^ c.ems) & 1:
                raise ValueError(47)
            d = h.digest()
            flight = None
        else:
            t, b = yield
            if t == 12:  # an identity hint
                h.update(b)
                g.update(b)
                t, b = yield
            if t != 14 or len(b) > 12:
                raise ValueError(10)
            m = message(16, n, len(c.identity).to_bytes(2, "big") + c.identity)
            n += 1
            for t in (h, g):
                t.update(b)
                t.update(m)
            d = h.digest()
            k = len(c.key).to_bytes(2, "big")
            k = k + bytes(len(c.key)) + k + c.key
            k = prf(
                k,
                b"extended master secret" + d if ems & 1 else b"master secret" + mine + seed[:32],
                48,
            )
            c.sid = sid
            c.master = k
        c.ems = ems
        c.setup(
            suite, prf(c.master, b"key expansion" + seed, 96 if suite == _CBC else 40), cid, peer
        )
        if not resumed:
            k = message(20, n, prf(c.master, b"client finished" + d, 12))
            g.update(k)
            d = g.digest()
            flight = ((22, m), (20, b"\1")), k
        t, b = yield flight
        if t != 20:
            raise ValueError(10)
        if int.from_bytes(prf(c.master, b"server finished" + d, 12), "big") ^ int.from_bytes(
            b[12:], "big"
        ):
            raise ValueError(51)
        c.state = 2
        if resumed:
            g.update(b)
            yield (
                ((20, b"\1"),),
                message(20, n, prf(c.master, b"client finished" + g.digest(), 12)),
            )
        # After a resumption the last flight may have to be sent again.
        c.release()
        yield

    def begin(self, out, now):
        # Send a flight, and again until there is an answer (RFC 6347 4.2.4).
        self.out = out
        self.count = 0
        self.span = self.c.timeout
        self.flush(now)

    def flush(self, now):
        """Send the flight, in one datagram."""
        c = self.c
        self.at = ticks_add(now, self.span)
        b = b""
        for typ, m in self.out[0]:
            b += (
                bytes((typ, 254, 253, 0, 0))
                + self.seq.to_bytes(6, "big")
                + len(m).to_bytes(2, "big")
                + m
            )
            self.seq += 1
        n = len(b)
        m = self.out[1]
        if m:
            n += c.room
            c.out(22, bytearray(b + bytes(c.room) + m + bytes(c.TAIL)), n, n + len(m), 0)
        else:
            c.lower.send(b, 0, n)

    def poll(self, now):
        """Send again what was not answered; ms until the next time, or -1."""
        d = ticks_diff(self.at, now)
        if d <= 0:
            self.count += 1
            d = self.span = min(self.span * 2, 60000)
            if self.count > _TRIES:
                self.c.fail(3, -2 if self.c.wr else -1)
                return -1
            self.flush(now)
        return d

    def feed(self, m, epoch, now):
        """Take the messages, or parts of them, in a record; in their order they go on to `run`."""
        while len(m) > 11:
            n = int.from_bytes(m[1:4], "big")
            k = int.from_bytes(m[4:6], "big")
            i = int.from_bytes(m[6:9], "big")
            e = 12 + int.from_bytes(m[9:12], "big")
            if e > len(m) or i + e > n + 12 or n > _LONGEST:
                return
            # Finished is the one message that must be protected.
            if self.next <= k < self.next + _AHEAD and m[0] and (m[0] == 20) == (epoch == 1):
                p = self.seen.get(k)
                if not p or p[0] != m[0] or len(p[1]) != n + 12:
                    b = bytearray(n + 12)
                    struct.pack_into("6s", b, 0, m)
                    struct.pack_into("3s", b, 9, m[1:4])
                    p = self.seen[k] = [m[0], b, 0]
                struct.pack_into("%ds" % (e - 12), p[1], 12 + i, m[12:e])
                p[2] |= (1 << e - 12) - 1 << i
            m = m[e:]
        c = self.c
        while c.state == 1:
            p = self.seen.get(self.next)
            if not p or p[2] != (1 << len(p[1]) - 12) - 1:
                return
            del self.seen[self.next]
            self.next += 1
            try:
                p = self.gen.send((p[0], p[1]))
            except (ValueError, IndexError) as e:
                e = e.args[0] if isinstance(e.args[0], int) else 50
                c.alert(2, e)
                return c.fail(3, e)
            if p:
                self.begin(p, now)
