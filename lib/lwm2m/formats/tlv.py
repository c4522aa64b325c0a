# OMA-TLV (Core 1.1.1 7.4.3): 11542
# SPDX-License-Identifier: MIT
from ..port import struct
from ..model.values import to_stored
from ..model.values import INTEGER, FLOAT, TIME, OBJLNK


_INSTANCE = const(0)
_ITEM = const(0x40)  # a resource instance
_MULTIPLE = const(0x80)
_RESOURCE = const(0xC0)

# the longest integer of each type; 0 for what is no number
_SIZES = b"\0\0\x08\x03\x01\0\x08\x04\x08\0"


def head(w, typ, ident, n):
    k = (n > 7) + (n > 255) + (n > 65535)
    w.byte(typ | (ident > 255) << 5 | (k << 3 or n))
    w.uint(ident, 1 + (ident > 255))
    w.uint(n, k)


def value(w, typ, ident, t, v):
    n = 0
    if t == FLOAT:
        d = struct.pack(">f", v)
        if struct.unpack(">f", d)[0] != v:
            d = struct.pack(">d", v)
        v = d
    elif _SIZES[t]:
        if -0x40000000 <= v < 0x40000000:
            n = 4 if t == OBJLNK else 1
            while t != OBJLNK and n < 8 and not -1 <= v >> 8 * n - 1 <= 0:
                n *= 2
        else:
            # an integer that is an object: shifting it would make one after the other
            d = struct.pack(">q" if v < 0 else ">Q", v)
            v = d[4:] if t == OBJLNK or -1 <= v >> 31 <= 0 else d
    head(w, typ, ident, n or len(v))
    if n:
        w.uint(v, n)
    else:
        w.put(v)


def resource(w, o, i, r, t, v):
    if isinstance(v, dict):
        nest(w, _MULTIPLE, r, items, t, v, 0)
    else:
        value(w, _RESOURCE, r, t, v)


def items(t, v, _, w):
    for ri in sorted(v) if len(v) > 1 else v:
        value(w, _ITEM, ri, t, v[ri])


def nest(w, typ, ident, f, x, y, z):
    # the length stands before the content, which a window may cut anywhere: measured first, then written
    a = w.written
    hi = w.window_end
    w.window_end = 0
    f(x, y, z, w)
    n = w.written - a
    w.written = a
    w.window_end = hi
    head(w, typ, ident, n)
    f(x, y, z, w)


def encode(w, tree, o, i, r, ri):
    if i < 0:
        memo = tree.snapshot
        if memo is None:
            # measured and written values must be the same
            tree.snapshot = {}
        for i in tree.instances(o):
            nest(w, _INSTANCE, i, tree.each_resource, o, i, resource)
        tree.snapshot = memo
    elif r < 0:
        tree.each_resource(o, i, resource, w)
    else:
        t = tree.definition(o, r) & 15
        v = tree.read(o, i, r)
        if ri < 0:
            resource(w, o, i, r, t, v)
        else:
            value(w, _ITEM, ri, t, v[ri])


def decode(d, a, b, tree, o, i, r, ri, emit):
    while a < b:
        c = d[a]
        ident = d[a + 1]
        a += 2
        if c & 0x20:
            ident = ident << 8 | d[a]
            a += 1
        k = c >> 3 & 3
        n = 0 if k else c & 7
        while k:
            n = n << 8 | d[a]
            a += 1
            k -= 1
        e = a + n
        if e > b:
            raise ValueError
        c &= 0xC0
        if c == _INSTANCE:
            # inside an instance (ri is -2 there) or a resource there is none
            if r >= 0 or ri < -1 or (i >= 0 and ident != i):
                raise ValueError
            emit(ident, -1, -1, None)
            decode(d, a, e, tree, o, ident, -1, -2, emit)
        elif c == _ITEM:
            if r < 0 or (ri >= 0 and ident != ri):
                raise ValueError
            emit(i, r, ident, scalar(d, a, e, tree.definition(o, r)))
        elif r >= 0 and (ident != r or ri < -1):
            # another resource, or one inside a multiple resource (ri is -2 there too)
            raise ValueError
        elif c == _MULTIPLE:
            emit(i, ident, -1, {})
            decode(d, a, e, tree, o, i, ident, -2, emit)
        else:
            emit(i, ident, ri, scalar(d, a, e, tree.definition(o, ident)))
        a = e


def scalar(d, a, b, kind):
    """The value in d[a:b], of the type in a table's row; None where there is no such row."""
    if not kind:
        return None
    t = kind & 15
    n = b - a
    v = bytes(memoryview(d)[a:b])
    k = _SIZES[t]
    if t == FLOAT and (n == 4 or n == 8):
        v = struct.unpack(">f" if n == 4 else ">d", v)[0]
    elif k:
        if not 0 < n <= k or (t == OBJLNK and n < 4):
            raise ValueError
        v = int.from_bytes(v, "big")
        if d[a] & ~kind & 0x80 and (t == INTEGER or t == TIME):
            v -= 1 << 8 * n
    return to_stored(kind, v)
