# CoAP toward one peer: messages, reliability, tokens, duplicates, blocks (RFC 7252; RFC 7959)
# SPDX-License-Identifier: MIT
from .port import struct, sys, ticks_add, ticks_diff, urandom

_CON = const(0)
_NON = const(1)
_ACK = const(2)
_RST = const(3)

# an exchange: what a confirmable message of ours waits for
_MID = const(0)
_TOKEN = const(1)  # None for a response: its acknowledgement ends the exchange
_DATA = const(2)  # None once acknowledged
_AT = const(3)
_TIMEOUT = const(4)
_COUNT = const(5)
_DONE = const(6)
_REQ = const(7)

# a request that may take several blocks
_SZX = const(5)
_NUM = const(6)
_TOTAL = const(7)  # 0 as long as it fits into one message

# incoming transfers in blocks (RFC 7959 2.5): [key, bytes or function, offset of the next block]
_SLOTS = const(3)

_SEEN = const(8)  # messages kept to know a duplicate by
_LIFE = const(247000)  # EXCHANGE_LIFETIME, ms
_SEPARATE = const(93000)  # how long an acknowledged request waits for its response, ms

_RESET = const(-1)
_TIMED_OUT = const(-2)


class CoapError(Exception):
    """A refusal that carries its response code in `args[0]`, as RFC 7252 5.9 numbers it (0x84 is 4.04).
    A request that is malformed raises ValueError instead: 4.00."""


class Writer:
    """Writes a message into a buffer, options in ascending order, then a window of the payload.

    `head` and `tail` bytes around the message stay free for a channel that seals in place."""

    def __init__(self, size, head=0, tail=0):
        self.buf = bytearray(head + size + tail)
        self.head = head
        self.limit = head + size

    def begin(self, typ, code, mid, token):
        n = len(token)
        self.pos = self.head + 4 + n
        struct.pack_into(">BBH8s", self.buf, self.head, 0x40 | typ << 4 | n, code, mid, token)
        self.last = 0

    def opt(self, num, v):
        """Append option `num` (not below the one before), `v` being bytes, an integer, or -1 for none."""
        b = self.buf
        p = self.pos
        uint = isinstance(v, int)
        if uint and v < 0:
            return
        n = 0 if uint else len(v)
        while uint and v >> 8 * n:
            n += 1
        if p + n + 3 > self.limit or n > 268:
            raise CoapError(0x8D)
        d = num - self.last
        self.last = num
        b[p] = (d if d < 13 else 13) << 4 | (n if n < 13 else 13)
        p += 1
        if d > 12:
            b[p] = d - 13
            p += 1
        if n > 12:
            b[p] = n - 13
            p += 1
        self.pos = n = p + n
        if uint:
            while n > p:
                n -= 1
                b[n] = v & 255
                v >>= 8
        else:
            self.copy(p, v)

    def copy(self, p, d):
        """Put bytes at p: not by an assignment to a slice, which QuecPython does not have. Zeros may follow them."""
        n = len(d)
        b = self.buf
        struct.pack_into("16s" if n < 17 and p + 16 <= len(b) else "%ds" % n, b, p, d)

    def body(self, lo, size):
        """Begin the payload: of all that is put, `size` bytes from offset `lo` on are kept."""
        p = self.pos
        self.buf[p] = 255
        p += 1
        self.base = p - lo
        self.at = 0
        self.lo = lo
        self.hi = lo + min(size, self.limit - p)

    def put(self, d):
        a = self.at
        self.at = b = a + len(d)
        lo = max(a, self.lo)
        hi = min(b, self.hi)
        if lo < hi:
            if hi - lo < b - a:
                d = memoryview(d)[lo - a : hi - a]
            self.copy(self.base + lo, d)

    def byte(self, v):
        a = self.at
        self.at = a + 1
        if self.lo <= a < self.hi:
            self.buf[self.base + a] = v

    def uint(self, v, n):
        """Put the low `n` bytes of integer `v`, most significant first."""
        while n:
            n -= 1
            self.byte(v >> (8 * n) & 255)

    def end(self):
        """Close the payload; True where more was put than the window holds."""
        n = min(self.at, self.hi)
        if n > self.lo:
            self.pos = self.base + n
        return self.at > self.hi


class Packet:
    """The datagram being looked at. `path` holds up to four ids, -1 behind the last; `name` is a segment
    that is no id; `query` are the parts of Uri-Query, or of a response's Location-Path; absent options are
    -1; the payload is d[a:b]."""

    def __init__(self):
        self.path = [-1, -1, -1, -1]

    def parse(self, d, root=()):
        """0, or -1 not CoAP, 1 a message format error, 0x82 a critical option that is not understood."""
        n = len(d)
        if n < 4 or d[0] >> 6 != 1:
            return -1
        self.d = d
        self.typ = d[0] >> 4 & 3
        self.code = d[1]
        self.mid = d[2] << 8 | d[3]
        p = 4 + (d[0] & 15)
        self.raw = d
        self.token = d[4:p]
        self.a = self.b = n
        self.obs = self.ct = self.accept = self.b1 = self.b2 = self.size1 = -1
        self.name = None
        self.query = ()
        path = self.path
        path[0] = path[1] = path[2] = path[3] = -1
        c = self.code
        if p > n or p > 12 or (not c and n > 4) or 32 <= c < 64 or c >= 192:
            return 1
        num = k = seg = err = 0
        first = p
        try:
            while p < n:
                at = p
                c = d[p]
                p += 1
                if c == 255:
                    self.a = p
                    return 1 if p == n else err
                last = num
                for x in (4, 0):
                    # the delta of the option's number, then its length
                    v = c >> x & 15
                    if v == 13:
                        v += d[p]
                        p += 1
                    elif v == 14:
                        v = 269 + (d[p] << 8 | d[p + 1])
                        p += 2
                    elif v == 15:
                        return 1
                    if x:
                        num += v
                q = p + v
                if q > n:
                    return 1
                if num == 11:
                    x = -1
                    for i in range(p, q):
                        c = d[i] - 48
                        if not 0 <= c < 10 or not x or v > 5:
                            # a sign, a leading zero, a name
                            x = -1
                            break
                        x = max(x, 0) * 10 + c
                    if 0 <= x < 65535 and k < 4:
                        path[k] = x
                        k += 1
                    elif seg < len(root) and root[seg] == d[p:q]:
                        seg += 1
                    else:
                        self.name = d[p:q]
                elif num == 15 or num == 8:
                    self.query += (d[p:q],)
                else:
                    x = 0
                    for i in range(p, q if v < 4 else p):
                        x = x << 8 | d[i]
                    c = num
                    if num == last or v > 3 and num != 3:
                        # supernumerary or too long: as if it were not understood (5.4.3, 5.4.5)
                        c &= 1
                    if c == 6:
                        self.obs = x
                    elif c == 12:
                        self.ct = x
                    elif c == 17:
                        self.accept = x
                    elif c == 23:
                        self.b2 = x
                    elif c == 27:
                        self.b1 = x
                        # what tells block-wise transfers apart: the method and the options before
                        self.key = d[1:2] + d[first:at]
                    elif c == 60:
                        self.size1 = x
                    elif c & 1 and c != 3 and c != 7:
                        # Uri-Host and Uri-Port are of no interest here, any other must be understood;
                        # this is no proxy (5.7.2)
                        err = 0xA5 if num & ~4 == 35 else 0x82
                p = q
        except IndexError:
            return 1
        return err


class Endpoint:
    """`channel` takes datagrams, `w` is the shared transmit buffer, `p` the shared reader.

    `owner.serve(packet, w, now)` answers a request: it writes options and payload and returns the
    response code, or 0 where the answer comes later. `owner.stream(packet)` gives a function for a
    body that is to be streamed, or None: see take(). What is put together is bounded by `owner.max_body`.
    `owner.rejected(mid)` hears of a RST to a non-confirmable one.
    Settable: `ack_timeout` (ms), `random_factor` (1500 is 1.5), `max_retransmit`, `nstart`, `szx`."""

    ack_timeout = 2000
    random_factor = 1500
    max_retransmit = 4
    nstart = 1
    szx = 5  # the block size is 16 << szx

    def __init__(self, channel, w, p, owner):
        self.channel = channel
        self.w = w
        self.p = p
        self.owner = owner
        r = urandom(4)
        self.mid = r[0] << 8 | r[1]
        self.salt = r[2:]
        self.out = []
        self.seen = []
        self.assembly = []

    def span(self):
        """How long a confirmable message is retransmitted, ms (MAX_TRANSMIT_SPAN, RFC 7252 4.8.2)."""
        return self.ack_timeout * self.random_factor // 1000 * ((1 << self.max_retransmit) - 1)

    def busy(self):
        """True while NSTART exchanges are open: nothing confirmable may be sent."""
        return len(self.out) >= self.nstart

    def next_mid(self):
        self.mid = m = (self.mid + 1) & 0xFFFF
        return m

    def flush(self):
        w = self.w
        self.channel.send(w.buf, w.head, w.pos)

    def empty(self, typ, mid):
        self.w.begin(typ, 0, mid, b"")
        self.flush()

    def again(self, data):
        w = self.w
        w.pos = w.head + len(data)
        w.copy(w.head, data)
        self.flush()

    def confirm(self, now, token, done, req=None):
        """Send the confirmable message in the buffer, again and again until it is answered.

        `done(code, packet)` gets the code of the response, 0 for the acknowledgement of a response or
        notification, -1 for a reset, -2 when no answer came."""
        t = self.ack_timeout
        w = self.w
        t += urandom(1)[0] * (t * (self.random_factor - 1000) // 1000) // 255
        self.out.append(
            [
                self.mid,
                token,
                bytes(memoryview(w.buf)[w.head : w.pos]),
                ticks_add(now, t),
                t,
                0,
                done,
                req,
            ]
        )
        self.flush()

    def request(self, now, code, path, query, ct, body, done):
        """Send a request: `path` and `query` are sequences of bytes, `body(writer)` puts the payload (or
        is None); what does not fit into a block goes block by block, `body` being called for each.
        `done` as in confirm(); it also gets the code of a request that can't be written."""
        m = self.next_mid()
        token = self.salt + bytes((m >> 8, m & 255))
        self.send_block(now, [code, path, query, ct, body, self.szx, 0, 0], token, done)

    def send_block(self, now, req, token, done):
        code, path, query, ct, body, szx, num, total = req
        w = self.w
        w.begin(_CON, code, self.next_mid(), token)
        try:
            for s in path:
                w.opt(11, s)
            if body:
                w.opt(12, ct)
            for s in query:
                w.opt(15, s)
            if total:
                w.opt(27, num << 4 | 8 | szx)
                m = w.pos - 1
                if not num:
                    w.opt(60, total)
            if body:
                w.body(num << szx + 4, 16 << szx)
                body(w)
                more = w.end()
                if more and not total:
                    req[_TOTAL] = w.at
                    return self.send_block(now, req, token, done)
                if total and not more:
                    w.buf[m] &= 0xF7
        except CoapError as e:
            # too long for the buffer, or `body` refuses
            return done(e.args[0], None)
        self.confirm(now, token, done, req)

    def feed(self, d, now, root):
        """Take in a datagram; `root` holds the segments of the alternate path that requests begin with."""
        p = self.p
        err = p.parse(d, root)
        if err < 0:
            return
        code = p.code
        typ = p.typ
        mid = p.mid
        if err == 1 or (typ < _ACK and not code):
            # one that can't be read, or an empty one (RFC 7252 4.2, 4.3): a confirmable one is rejected
            if not typ:
                self.empty(_RST, mid)
            return
        if not code or code >= 64:
            return self.answered(p, err, now)
        if typ > _NON or (err and typ):
            # a non-confirmable request with an unknown critical option is passed over (5.4.1)
            return
        seen = self.seen
        for e in seen:
            if e[0] == mid and ticks_diff(now, e[1]) < _LIFE:
                if not typ:
                    self.again(e[2])
                return
        get = code == 1 or code == 5
        code = self.respond(p, err, typ or _ACK, self.next_mid() if typ else mid, now)
        w = self.w
        if not code and not typ:
            w.begin(_ACK, 0, mid, b"")
        if not code or not get:
            # what only reads is done anew for a duplicate (RFC 7252 4.5)
            if len(seen) >= _SEEN:
                seen.pop(0)
            seen.append((mid, now, bytes(memoryview(w.buf)[w.head : w.pos])))
        if code or not typ:
            self.flush()

    def answered(self, p, err, now):
        # an acknowledgement, a reset or a response: what it ends
        typ = p.typ
        mid = p.mid
        code = p.code
        for x in self.out:
            done = x[_DONE]
            same = x[_MID] == mid
            if not code:
                if not same or not x[_DATA]:
                    continue
                if typ == _ACK and x[_TOKEN]:
                    x[_DATA] = None
                    x[_AT] = ticks_add(now, _SEPARATE)
                else:
                    self.out.remove(x)
                    done(_RESET if typ == _RST else 0, None)
                return
            if x[_TOKEN] == p.token and (typ != _ACK or same):
                if not typ:
                    self.empty(_RST if err else _ACK, mid)
                self.out.remove(x)
                # RFC 7959 2.5, 2.9: go on after 2.31, from the start in smaller blocks after 4.13
                req = x[_REQ]
                old = req[_SZX]
                szx = min(p.b1 & 7, old)
                if p.b1 < 0 or not req[_TOTAL] or code != 0x5F and (code != 0x8D or szx == old):
                    return done(_RESET if err else code, p)
                req[_NUM] = (req[_NUM] + 1) << old >> szx if code == 0x5F else 0
                req[_SZX] = szx
                return self.send_block(now, req, p.token, done)
        if not typ:
            # one that was taken before, its acknowledgement being lost, or none of ours
            self.empty(_ACK if p.token[:2] == self.salt else _RST, mid)
        elif typ == _RST:
            self.owner.rejected(mid)

    def respond(self, p, err, typ, mid, now):
        """Write the response to the request `p`: the one place where a refusal is answered."""
        w = self.w
        w.begin(typ, 0, mid, p.token)
        try:
            if err:
                raise CoapError(err)
            code = self.take(p) if p.b1 >= 0 else 0
            code = code or self.owner.serve(p, w, now)
            if w.last < 27:
                w.opt(27, p.b1)
        except Exception as e:
            w.begin(typ, 0, mid, p.token)
            code = 0x80
            if isinstance(e, CoapError):
                code = e.args[0]
                for x in e.args[1:]:
                    w.opt(60, x)
            elif not isinstance(e, ValueError):
                # memory that is not to be had, most likely
                code = 0xA0
                sys.print_exception(e)
        w.buf[w.head + 1] = code
        return code

    def take(self, p):
        """Take the block in `p`: 2.31 when more are to come, 0 when `p` now holds the whole body.

        Transfers are told apart by method and options, so those of several requests do not mix. A body
        that is streamed has no bound: the function that `owner.stream(p)` gave gets (offset, data, more)
        for each block, and may return a code at the end."""
        num = p.b1 >> 4
        more = p.b1 & 8
        szx = p.b1 & 7
        n = p.b - p.a
        if szx == 7 or (more and n != 16 << szx):
            raise ValueError
        old = None
        for x in self.assembly:
            if x[0] == p.key:
                old = x
        at = num << szx + 4
        if num and (not old or old[2] != at):
            raise CoapError(0x88)
        if old:
            self.assembly.remove(old)
        most = self.owner.max_body
        body = old[1] if num else self.owner.stream(p) or bytearray()
        data = memoryview(p.d)[p.a : p.b]
        if callable(body):
            code = body(at, data, more) or 0x44
            if code != 0x44:
                raise CoapError(code)
        else:
            try:
                if max(at + n, p.size1) > most:
                    raise MemoryError
                body.extend(data)
            except MemoryError:
                raise CoapError(0x8D, most)
            code = 0
        if more:
            if len(self.assembly) >= _SLOTS:
                self.assembly.pop(0)
            self.assembly.append((p.key, body, at + n))
            return 0x5F
        if not code:
            p.d = body
            p.a = 0
            p.b = len(body)
        return code

    def content(self, b2, b1, obs, ct, encode):
        """Write options and payload of a response, or the block of it that option value `b2` asks for
        (-1: none); `b1`, `obs` are -1 where absent; `encode(writer)` puts the whole payload, each time
        the same: `owner.snapshot(first)` holds it still from the first block on and returns its ETag."""
        w = self.w
        start = w.pos
        szx = self.szx
        num = 0
        if b2 >= 0:
            num = b2 >> 4
            if b2 & 7 == 7:
                raise ValueError
            szx = min(b2 & 7, szx)
        total = -1
        while True:
            w.pos = start
            w.last = 0
            if b2 >= 0:
                w.opt(4, self.owner.snapshot(not num))
            w.opt(6, obs)
            w.opt(12, ct)
            if b2 >= 0:
                w.opt(23, num << 4 | 8 | szx)
                m = w.pos - 1
            w.opt(27, b1)
            w.opt(28, total)
            w.body(num << szx + 4, 16 << szx)
            encode(w)
            if not w.end() or b2 >= 0:
                break
            b2 = 0
            total = w.at
        if num and w.at <= w.lo:
            raise CoapError(0x82)
        if b2 >= 0 and w.at <= w.hi:
            w.buf[m] &= 0xF7

    def poll(self, now):
        """Retransmit what is due; the ms until more is, or -1."""
        wait = -1
        for x in self.out:
            t = ticks_diff(x[_AT], now)
            if t <= 0:
                if not x[_DATA] or x[_COUNT] >= self.max_retransmit:
                    self.out.remove(x)
                    x[_DONE](_TIMED_OUT, None)
                    return 0
                x[_COUNT] += 1
                t = x[_TIMEOUT] = x[_TIMEOUT] * 2
                x[_AT] = ticks_add(now, t)
                self.again(x[_DATA])
            if wait < 0 or t < wait:
                wait = t
        if self.seen and ticks_diff(now, self.seen[-1][1]) > _LIFE:
            # nothing came for so long that no transfer goes on either
            self.seen.clear()
            self.assembly.clear()
        return wait
