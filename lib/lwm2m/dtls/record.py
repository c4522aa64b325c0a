# DTLS 1.2 records: the secure channel, AES-128-CCM-8, Connection ID, replay window, what survives a deep sleep
# SPDX-License-Identifier: MIT
from ..crypto.provider import aes
from ..port import struct, sys

_CCM_8 = const(0xC0A8)  # TLS_PSK_WITH_AES_128_CCM_8, RFC 6655
_CBC = const(0xAE)  # TLS_PSK_WITH_AES_128_CBC_SHA256, RFC 5487
_CHUNK = const(256)  # bytes that are ciphered in one go; a multiple of 16
_AHEAD = const(64)  # sequence numbers that a saved state leaves to the running session
_NEVER = const(0x3FFFFFFF)
SUITES = (_CCM_8, _CBC)
_ZERO = bytes(16)


def count(s, n, k):
    # Number the counter blocks in s[:n] from k.
    for n in range(15, n, 16):
        s[n] = k
        k += 1


def xor(m, i, n, s):
    # By long integers: a loop in bytecode takes ten times as long.
    v = int.from_bytes(m[i : i + n], "big") ^ int.from_bytes(s[:n], "big")
    struct.pack_into("%ds" % n, m, i, v.to_bytes(n, "big"))


try:
    from ..crypto.viper import count, xor
except (ImportError, SyntaxError, ValueError):
    pass


class Ccm:
    """AES-128-CCM-8 in one direction; `keys` is the key block, `side` 0 the client's half, 1 the server's."""

    HEAD = 8  # bytes of nonce between header and ciphertext

    def __init__(self, keys, side, ems, cid):
        self.key = keys[16 * side : 16 * side + 16]
        self.ecb = aes(self.key, 1)
        # What the MAC covers besides the content: B0 with the nonce, then the record's header (RFC 6655 3, RFC 9146 5.3).
        p = bytes(8) + b"\x17\xfe\xfd\0\0"
        self.at = 18
        if cid:
            p = b"\xff" * 8 + bytes((25, len(cid), 25, 254, 253)) + bytes(8) + cid + b"\0\0"
            self.at = 31
        self.size = len(p) + 16
        p = (
            b"\x5a"
            + keys[32 + 4 * side : 36 + 4 * side]
            + bytes(11)
            + len(p).to_bytes(2, "big")
            + p
        )
        self.p = bytearray(p + bytes(-len(p) & 15))

    def crypt(self, typ, number, nonce, m, i, n, open):
        """Cipher m[i:i+n] in place, the tag goes behind it. 16 bytes there must be 0."""
        p = self.p
        j = self.at
        struct.pack_into("8s", p, 5, nonce)
        struct.pack_into("8s", p, j, number)
        if j == 18:
            p[26] = typ
        j = self.size
        p[14] = p[j] = n >> 8
        p[15] = p[j + 1] = n & 255
        # A new CBC object for each record: dearer to keep and to rewind than to make.
        cbc = aes(self.key, 2, _ZERO)
        s = cbc.encrypt(p)
        tag = s[-16:-8]
        nonce = b"\2" + p[1:13] + b"\0\0\0"
        k = 1
        while n > 0:
            w = n if n < _CHUNK else _CHUNK
            q = (w + 15) & -16
            if not open:
                s = cbc.encrypt(m[i : i + q])
                tag = s[-16:-8]
            s = bytearray(nonce * (q >> 4))
            count(s, q, k)
            self.ecb.encrypt(s, s)
            xor(m, i, w, s)
            if open:
                cbc.encrypt(m[i : i + q], s)
                tag = s[-16:-8]
            k += 16
            i += w
            n -= w
        struct.pack_into("8s", m, i, tag)
        xor(m, i, 8, self.ecb.encrypt(nonce))

    def seal(self, typ, number, m, start, end):
        """Seal m[start:end] in place, the nonce goes before it and the tag behind; the new end."""
        struct.pack_into("8s", m, start - 8, number)
        struct.pack_into("16s", m, end, _ZERO)
        self.crypt(typ, number, number, m, start, end - start, False)
        return end + 8

    def open(self, typ, number, m):
        """The plaintext of a record's body as a memoryview, or None where it is not authentic."""
        n = len(m) - 16
        if 0 <= n < 4080:  # the counter has one byte here
            b = memoryview(bytearray(n + 16))
            # zeros behind it
            struct.pack_into("%ds" % (n + 16), b, 0, m[8:-8])
            self.crypt(typ, number, m[:8], b, 0, n, True)
            # An XOR of the whole, so that the time tells nothing of the place of a difference.
            xor(b, n, 8, m[-8:])
            if not int.from_bytes(b[n : n + 8], "big"):
                return b[:n]


class Connection:
    """A DTLS 1.2 client (RFC 6347) with a pre-shared key, as a channel: a datagram in, a datagram out.

    lower:    what sends the datagrams, by `send(buf, start, end)`
    identity: PSK identity, text or bytes; key: bytes
    suites:   cipher suites in order of preference
    cid:      Connection ID (RFC 9146): True offers it and asks for none in what is received, a number is
              the length of the own one, False leaves it out
    random:   `random(n)` gives n bytes; the port's `urandom` by default
    session:  what an earlier `dump()` gave
    timeout:  ms before the first retransmission in the handshake; doubles, 4 times
    save:     `save(bytes)` keeps what `dump()` gives. Only with it a Connection ID outlives this object.

    `state` is 0 closed, 1 connecting, 2 open, 3 failed; `error` the number of the alert that ended it, -1
    where the server was silent, -2 where it was silent to the Finished message: a wrong key most of the time.
    A buffer that is sent needs HEAD bytes before and TAIL bytes behind what it holds.
    """

    HEAD = 32
    TAIL = 17

    def __init__(
        self,
        lower,
        identity,
        key,
        suites=SUITES[:1],
        cid=True,
        random=None,
        session=None,
        timeout=2000,
        save=None,
    ):
        if random is None:
            from ..port import urandom as random
        self.lower = lower
        self.identity = identity.encode() if isinstance(identity, str) else identity
        self.key = key
        self.suites = suites
        self.offer = cid
        self.random = random
        self.timeout = timeout
        self.save = save
        self.error = 0
        if _CBC in suites:
            from .cbc import Cbc

            # More for HMAC-SHA256, an explicit IV and the padding.
            self.HEAD = 40
            self.TAIL = 50
        self.sid = self.master = b""
        self.reset(0)
        if session:
            self.restore(session)

    def reset(self, state):
        # Without keys, and without what belongs to them.
        self.state = state
        self.hs = self.rd = self.wr = self.more = None
        self.cid = self.peer = self.keys = b""
        # The replay window: `last` is the highest number received, `seen` has a bit for each of the 64 up to it.
        self.seq = self.last = self.seen = 0
        self.limit = 0 if self.save else _NEVER

    def setup(self, suite, keys, cid, peer):
        """Take a key block; `cid` is what the server puts into its records, `peer` what it wants in ours."""
        self.suite = suite
        self.keys = keys
        self.cid = cid
        self.peer = peer
        cipher = Ccm
        if suite == _CBC:
            from .cbc import Cbc as cipher
        self.wr = cipher(keys, 0, self.ems, peer)
        self.head = ">BH8s%dsH" % len(peer)
        self.room = 13 + len(peer) + self.wr.HEAD  # before the plaintext
        self.rd = cipher(keys, 1, self.ems, cid)

    def connect(self, now):
        """Start a handshake, by the session where there is one (RFC 5246 7.3); a session that is open ends."""
        from .handshake import Handshake

        self.reset(1)
        self.error = 0
        self.hs = Handshake(self)
        self.hs.start(now)

    def release(self):
        """Let go of the handshake, and of its module, which is imported anew for the next."""
        self.hs = None
        name = __name__[:-6]
        if sys.modules.pop(name + "handshake", None):
            del sys.modules[name[:-1]].handshake

    def fail(self, state, error):
        """End it; `error` is the alert's number, or negative."""
        if error > 0:
            self.sid = b""  # RFC 5246 7.2.2
        self.error = error
        self.reset(state)
        self.release()

    def alert(self, level, number):
        """Send an alert in the epoch that has begun (RFC 5246 7.2)."""
        if self.wr:
            b = bytearray(self.HEAD + self.TAIL + 2)
            b[self.HEAD] = level
            b[self.HEAD + 1] = number
            self.out(21, b, self.HEAD, self.HEAD + 2)
        else:
            b = b"\x15\xfe\xfd\0\0\0\0\0\0\xff\xff\0\2" + bytes((level, number))
            self.lower.send(b, 0, 15)

    def out(self, typ, buf, start, end, first=None):
        """Send buf[start:end] as one record of a type, in a datagram that begins at `first` if it is given."""
        n = self.room
        if n > start:
            # A long Connection ID of the server's needs more room than HEAD promises.
            b = bytearray(n + end - start + self.TAIL)
            struct.pack_into("%ds" % (end - start), b, n, memoryview(buf)[start:end])
            buf = b
            end += n - start
            start = n
        if self.seq >= self.limit and self.state == 2:
            self.keep()
        number = b"\0\1" + self.seq.to_bytes(6, "big")
        self.seq += 1
        m = memoryview(buf)
        if self.peer:
            m[end] = typ
            end += 1
            typ = 25
        end = self.wr.seal(typ, number, m, start, end)
        n = start - n
        start -= self.wr.HEAD
        struct.pack_into(self.head, m, n, typ, 0xFEFD, number, self.peer, end - start)
        self.lower.send(buf, n if first is None else first, end)

    def send(self, buf, start, end):
        """Send buf[start:end], sealed where it lies; OSError where the channel is not open."""
        if self.state != 2:
            raise OSError(107)  # ENOTCONN
        self.out(23, buf, start, end)

    def feed(self, data, now):
        """The application's plaintext in a datagram, or None.

        `more` is set where the datagram holds more records: `feed(None, now)` goes on with them.
        """
        if data is None:
            data = self.more
        self.more = None
        while data and len(data) > 12:
            h = 11 + len(self.cid) if data[0] == 25 else 11
            e = h + 2
            if len(data) < e:
                break
            e += data[h] << 8 | data[h + 1]
            if len(data) < e:
                break
            p = self.record(bytes(data[:h]), memoryview(data)[h + 2 : e], now)
            data = data[e:]
            if p:
                self.more = data
                return p

    def record(self, head, m, now):
        """Take one record; the plaintext where it is the application's."""
        typ = head[0]
        epoch = head[4]
        if head[1] != 254 or head[3] or epoch > 1:
            return
        if epoch:
            # With a Connection ID of ours every protected record has it (RFC 9146 4).
            if (
                not self.rd
                or head[2] != 253
                or head[11:] != self.cid
                or typ == 25
                and not self.cid
            ):
                return
            n = int.from_bytes(head[5:11], "big")
            d = self.last - n
            if d > 63 or d >= 0 and self.seen >> d & 1:
                return
            m = self.rd.open(typ, head[3:11], m)
            if m is None:
                return
            if d < 0:
                self.seen = (self.seen << -d | 1) & 0xFFFFFFFFFFFFFFFF if d > -64 else 1
                self.last = n
            else:
                self.seen |= 1 << d
            if typ == 25:
                n = len(m)
                while n and not m[n - 1]:
                    n -= 1
                if not n:
                    return
                typ = m[n - 1]
                m = m[: n - 1]
            if self.state == 2:
                if typ == 23:
                    if self.hs:
                        self.release()
                    return bytes(m)  # its slices are kept, and compared
                if typ == 22 and len(m) > 11:
                    if m[0] == 20 and self.hs:
                        # It did not get the last flight of a resumption.
                        self.hs.flush(now)
                    elif not m[0]:
                        self.alert(1, 100)  # no_renegotiation
        elif self.state != 1:
            return  # anybody could have sent it
        if typ == 21 and len(m) == 2:
            if m[0] == 2 or not m[1]:
                if self.state == 2 and not m[1]:
                    self.alert(1, 0)
                self.fail(3 if m[0] == 2 or self.state == 1 else 0, m[1])
        elif typ == 22 and self.state == 1:
            self.hs.feed(m, epoch, now)

    def poll(self, now):
        """Do what is due; ms until the next time, or -1."""
        return self.hs.poll(now) if self.state == 1 else -1

    def close(self):
        """Tell the server (close_notify), and forget the keys; the session stays for a resumption."""
        if self.state == 2:
            self.alert(1, 0)
        self.fail(0, 0)

    def dump(self):
        """The session as bytes, for `restore`; with `save` the keys too, where a Connection ID makes them of use.

        The saved sequence number is 64 ahead: before the session gets there it saves again.
        """
        b = bytearray(b"\1")
        keys = b""
        if self.state == 2 and self.save:
            self.limit = _NEVER
            if self.peer:
                keys = self.keys
                self.limit = self.seq + _AHEAD
        if self.sid or keys:
            b += bytes((self.ems,)) + self.suite.to_bytes(2, "big")
            for n in (self.limit if keys else 0, self.last, self.seen):
                b += n.to_bytes(8, "big")
            for x in (self.sid, self.master, keys, self.cid, self.peer):
                b.append(len(x))
                b += x
        return bytes(b)

    def keep(self):
        """Save what `dump` gives, where there is `save`; the same."""
        b = self.dump()
        if self.save:
            # Where this raises, nothing more goes out: a number must not be used twice.
            n = self.limit
            self.limit = 0
            self.save(b)
            self.limit = n
        return b

    def restore(self, b):
        """Take what `dump` gave: open at once where it has a Connection ID and there is `save`; False if it is not
        from here."""
        f = []
        i = 28
        while i < len(b):
            n = i + 1 + b[i]
            f.append(bytes(b[i + 1 : n]))
            i = n
        if i != len(b) or len(f) != 5 or b[0] != 1 or b[4] or b[5]:
            return False
        n = b[2] << 8 | b[3]
        if n not in self.suites or len(f[2]) not in (0, 96 if n == _CBC else 40):
            return False
        self.reset(0)
        self.ems = b[1]
        self.suite = n
        self.sid, self.master, keys, cid, peer = f
        if keys and self.save:
            self.setup(self.suite, keys, cid, peer)
            self.seq, self.last, self.seen = (
                int.from_bytes(b[i : i + 8], "big") for i in range(4, 28, 8)
            )
            self.state = 2
        return True
