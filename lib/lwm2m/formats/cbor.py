# CBOR (RFC 8949): the value of one resource (Core 1.1.1 7.4.3), and the reader and writer that other formats share
# SPDX-License-Identifier: MIT
from ..port import DOUBLE, struct
from ..model.values import text
from ..model.values import to_stored
from .text import single
from ..model.values import FLOAT, BOOLEAN, OPAQUE, TIME, OBJLNK


_DEPTH = const(4)  # of tags, arrays and maps in a value
_EPOCH = const(0xC1)  # tag 1


def head(w, c, n):
    """Put the head of an item: major type `c` (in its place, the upper three bits) and number `n`."""
    if n < 24:
        w.byte(c | n)
        return
    k = (n > 255) + (n > 65535) + (n > 0xFFFFFFFF)
    w.byte(c | 24 + k)
    if k < 2:
        w.uint(n, 1 << k)
    else:
        # to shift a long integer would allocate for each of its bytes
        w.put(n.to_bytes(1 << k, "big"))


def value(w, t, v):
    """Put canonical value `v` of type `t`."""
    if t == OBJLNK:
        v = b"%d:%d" % (v >> 16, v & 65535)
    if t == FLOAT:
        b = struct.pack(">f", v)
        if struct.unpack(">f", b)[0] != v:
            b = struct.pack(">d", v)
        w.byte(0xF9 + len(b) // 4)
        w.put(b)
    elif t == BOOLEAN:
        w.byte(0xF5 if v else 0xF4)
    elif isinstance(v, int):
        if v < 0:
            head(w, 0x20, ~v)
        else:
            head(w, 0, v)
    else:
        head(w, 0x40 if t == OPAQUE else 0x60, len(v))
        w.put(v)


def typed(kind, v):
    """What a decoder found, as the tree holds it; None where the tables have no such resource (`kind` is 0)."""
    if not kind:
        return None
    t = kind & 15
    if (
        isinstance(v, bool) != (t == BOOLEAN)
        or isinstance(v, bytes) != (t == OPAQUE)
        or isinstance(v, (list, dict))
    ):
        raise ValueError
    # larger ones may be rounded, in single precision
    if (
        isinstance(v, float)
        and t != FLOAT
        and abs(v) < (1e18 if DOUBLE else 1 << 24)
        and v == int(v)
    ):
        v = int(v)
    return to_stored(kind, v)


class Reader:
    """Reads the items in `d` one by one; `n` is the number in the last head, -1 for an indefinite length."""

    def __init__(self, d):
        self.d = d
        self.p = 0

    def head(self):
        """Take the head of an item; its major type, 0 to 7."""
        d = self.d
        p = self.p
        c = d[p]
        p += 1
        n = c & 31
        if n == 31:
            n = -1
        elif n > 23:
            k = 1 << n - 24
            if k > 8:
                raise ValueError
            n = 0
            k += p
            while p < k:
                n = n << 8 | d[p]
                p += 1
        self.n = n
        self.p = p
        return c >> 5

    def more(self, n):
        """True where an array or a map with `n` items to come (below 0: until a break) goes on."""
        if n < 0 and self.d[self.p] == 255:
            self.p += 1
            n = 0
        return n

    def item(self, depth=_DEPTH):
        """Take an item: int, float, bool, None, str or bytes. Arrays and maps are passed over: a Reader."""
        d = self.d
        c = d[self.p]
        m = self.head()
        n = self.n
        p = self.p
        if m > 6:
            if c == 0xF9:
                c = n >> 10 & 31
                v = n & 1023 | (c and 1024)
                v *= 2.0 ** ((c or 1) - 25)
                if c == 31:
                    raise ValueError  # infinite, or NaN
                return -v if n >> 15 else v
            if c == 0xFA or c == 0xFB:
                v = struct.unpack(">f" if c == 0xFA else ">d", d[p - (4 << c - 0xFA) : p])[0]
                if c == 0xFB and not DOUBLE and 1 << 24 <= abs(v) < 1 << 53:
                    # seconds since 1970, most likely: by an integer, as single precision would round them
                    m = (n & (1 << 52) - 1 | 1 << 52) >> 1075 - (n >> 52 & 2047)
                    return -m if v < 0 else m
                return v
            return (False, True, None)[c ^ 0xF4]
        if n >= 0:
            if m < 2:
                return ~n if m else n
            if m < 4:
                if n > len(d) - p:
                    raise IndexError
                self.p = p + n
                d = d[p : p + n]
                return bytes(d) if m == 2 else text(d, "utf8")
        # what is left may hold other items; bignums (tags 2, 3) are beyond every type there is
        if not depth or m < 2 or (m == 6 and (n < 0 or n >> 1 == 1)):
            raise ValueError
        depth -= 1
        if m == 6:
            if n != 4:
                return self.item(depth)
            # decimal fraction: [exponent, mantissa]
            self.p = p + 1
            n = self.item(0)
            if d[p] != 0x82 or not -99 < n < 99:
                raise ValueError
            v = self.item(0) + 0  # nothing but a number
            return v * 10**n if n >= 0 else v / 10**-n
        v = (b"", "", self, self)[m - 2]
        while self.more(n):
            n -= 1
            if m > 3:
                self.item(depth)
                if m == 5:
                    self.item(depth)
            elif d[self.p] >> 5 == m:
                v += self.item(0)
            else:
                raise ValueError
        return v


def encode(w, tree, o, i, r, ri):
    v = single(tree, o, i, r, ri)
    t = tree.definition(o, r) & 15
    if t == TIME:
        w.byte(_EPOCH)
    value(w, t, v)


def decode(d, a, b, tree, o, i, r, ri, emit):
    row = tree.definition(o, r)
    if r < 0 or (row & 0x800 and ri < 0):
        raise ValueError
    c = Reader(memoryview(d)[a:b])
    emit(i, r, ri, typed(row, c.item()))
    if c.p != b - a:
        raise ValueError
