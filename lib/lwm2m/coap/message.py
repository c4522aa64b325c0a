# CoAP messages: written into one buffer, read where they lie (RFC 7252 3, 5)
# SPDX-License-Identifier: MIT
from ..port import struct
from .numbers import CoapError


class Writer:
    """Writes a message into a buffer, options in ascending order, then a window of the payload.

    `head` and `tail` bytes around the message stay free for a channel that seals in place."""

    def __init__(self, size, head=0, tail=0):
        self.buffer = bytearray(head + size + tail)
        self.headroom = head
        self.limit = head + size

    def begin(self, typ, code, mid, token):
        n = len(token)
        self.position = self.headroom + 4 + n
        struct.pack_into(
            ">BBH8s", self.buffer, self.headroom, 0x40 | typ << 4 | n, code, mid, token
        )
        self.last_option = 0

    def option(self, num, v):
        """Append option `num` (not below the one before), `v` being bytes, an integer, or -1 for none."""
        b = self.buffer
        p = self.position
        uint = isinstance(v, int)
        if uint and v < 0:
            return
        n = 0 if uint else len(v)
        while uint and v >> 8 * n:
            n += 1
        if p + n + 3 > self.limit or n > 268:
            raise CoapError(0x8D)
        d = num - self.last_option
        self.last_option = num
        b[p] = (d if d < 13 else 13) << 4 | (n if n < 13 else 13)
        p += 1
        if d > 12:
            b[p] = d - 13
            p += 1
        if n > 12:
            b[p] = n - 13
            p += 1
        self.position = n = p + n
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
        b = self.buffer
        struct.pack_into("16s" if n < 17 and p + 16 <= len(b) else "%ds" % n, b, p, d)

    def begin_payload(self, lo, size):
        """Begin the payload: of all that is put, `size` bytes from offset `lo` on are kept."""
        p = self.position
        self.buffer[p] = 255
        p += 1
        self.base = p - lo
        self.written = 0
        self.window_start = lo
        self.window_end = lo + min(size, self.limit - p)

    def put(self, d):
        a = self.written
        self.written = b = a + len(d)
        lo = max(a, self.window_start)
        hi = min(b, self.window_end)
        if lo < hi:
            if hi - lo < b - a:
                d = memoryview(d)[lo - a : hi - a]
            self.copy(self.base + lo, d)

    def byte(self, v):
        a = self.written
        self.written = a + 1
        if self.window_start <= a < self.window_end:
            self.buffer[self.base + a] = v

    def uint(self, v, n):
        """Put the low `n` bytes of integer `v`, most significant first."""
        while n:
            n -= 1
            self.byte(v >> (8 * n) & 255)

    def end_payload(self):
        """Close the payload; True where more was put than the window holds."""
        n = min(self.written, self.window_end)
        if n > self.window_start:
            self.position = self.base + n
        return self.written > self.window_end


class Message:
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
        self.data = d
        self.mtype = d[0] >> 4 & 3
        self.code = d[1]
        self.mid = d[2] << 8 | d[3]
        p = 4 + (d[0] & 15)
        self.raw = d
        self.token = d[4:p]
        self.start = self.end = n
        self.observe = self.content_format = self.accept = self.block1 = self.block2 = (
            self.size1
        ) = -1
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
                    self.start = p
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
                        self.observe = x
                    elif c == 12:
                        self.content_format = x
                    elif c == 17:
                        self.accept = x
                    elif c == 23:
                        self.block2 = x
                    elif c == 27:
                        self.block1 = x
                        # what tells block-wise transfers apart: the method and the options before
                        self.transfer_key = d[1:2] + d[first:at]
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
