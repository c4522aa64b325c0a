# CoAP messages (RFC 7252 3): the writer of the one transmit buffer, and the reader of a datagram
# SPDX-License-Identifier: MIT


class CoapError(Exception):
    """A refusal that carries its response code in `args[0]`, as RFC 7252 5.9 numbers it (0x84 is 4.04)."""


class Writer:
    """Writes a message into a buffer, options in ascending order, then a window of the payload.

    `head` and `tail` bytes around the message stay free for a channel that seals in place."""

    def __init__(self, size, head=0, tail=0):
        self.buf = bytearray(head + size + tail)
        self.head = head
        self.limit = head + size

    def begin(self, typ, code, mid, token):
        b = self.buf
        p = self.head
        n = len(token)
        b[p] = 0x40 | typ << 4 | n
        b[p + 1] = code
        b[p + 2] = mid >> 8
        b[p + 3] = mid & 255
        self.pos = p + 4 + n
        b[p + 4 : self.pos] = token
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
            b[p:n] = v

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
            self.buf[self.base + lo : self.base + hi] = d

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
    that is no id; absent options are -1; the payload is d[a:b]."""

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
        self.query = self.loc = ()
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
                elif num == 15:
                    self.query += (d[p:q],)
                elif num == 8:
                    self.loc += (d[p:q],)
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
                    elif c & 1 and c not in (3, 7):
                        # Uri-Host and Uri-Port are of no interest here, any other must be understood
                        err = 0x82
                p = q
        except IndexError:
            return 1
        return err
