# OMA-TLV (Core 1.1.1 7.4.3): 11542
# SPDX-License-Identifier: MIT
try:
    import ustruct as struct
except ImportError:
    import struct
from micropython import const

from ..coap import CoapError
from ..tree import canonical

# types, as in tree.py
_INTEGER = const(2)
_FLOAT = const(3)
_BOOLEAN = const(4)
_TIME = const(6)
_OBJLNK = const(7)
_UINT = const(8)

_INSTANCE = const(0)
_ITEM = const(0x40)  # a resource instance
_MULTIPLE = const(0x80)
_RESOURCE = const(0xC0)

_f = bytearray(8)


def head(w, typ, ident, n):
    k = (n > 7) + (n > 255) + (n > 65535)
    w.byte(typ | (ident > 255) << 5 | (k << 3 or n))
    w.uint(ident, 1 + (ident > 255))
    w.uint(n, k)


def value(w, typ, ident, t, v):
    if t in (_INTEGER, _TIME, _UINT):
        n = 1
        while not -1 <= v >> 8 * n - 1 <= 0 and n < 8:
            n *= 2
    elif t == _FLOAT:
        n = 4
        struct.pack_into(">f", _f, 0, v)
        if struct.unpack_from(">f", _f, 0)[0] != v:
            n = 8
            struct.pack_into(">d", _f, 0, v)
        head(w, typ, ident, n)
        for i in range(n):
            w.byte(_f[i])
        return
    elif t == _BOOLEAN:
        n = 1
    elif t == _OBJLNK:
        n = 4
    else:
        head(w, typ, ident, len(v))
        w.put(v)
        return
    head(w, typ, ident, n)
    w.uint(v, n)


def resource(w, o, i, r, t, v):
    if isinstance(v, dict):
        nest(w, _MULTIPLE, r, items, t, v, 0)
    else:
        value(w, _RESOURCE, r, t, v)


def items(w, t, v, _):
    for ri in sorted(v):
        value(w, _ITEM, ri, t, v[ri])


def instance(w, tree, o, i):
    tree.resources(o, i, resource, w)


def nest(w, typ, ident, f, x, y, z):
    # the length stands before the content, which a window may cut anywhere: measured first, then written
    a = w.at
    hi = w.hi
    w.hi = 0
    f(w, x, y, z)
    n = w.at - a
    w.at = a
    w.hi = hi
    head(w, typ, ident, n)
    f(w, x, y, z)


def encode(w, tree, o, i, r, ri):
    if i < 0:
        memo = tree.memo
        if memo is None:
            # measured and written values must be the same
            tree.memo = {}
        for i in tree.instances(o):
            nest(w, _INSTANCE, i, instance, tree, o, i)
        tree.memo = memo
    elif r < 0:
        instance(w, tree, o, i)
    else:
        t = tree.row(o, r) & 15
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
        n = c & 7
        k = c >> 3 & 3
        if k:
            n = 0
        while k:
            n = n << 8 | d[a]
            a += 1
            k -= 1
        e = a + n
        if e > b:
            raise IndexError
        c &= 0xC0
        if c == _INSTANCE:
            # inside an instance (ri is -2 there) or a resource there is none
            if r >= 0 or ri < -1 or (i >= 0 and ident != i):
                raise CoapError(0x80)
            emit(ident, -1, -1, None)
            decode(d, a, e, tree, o, ident, -1, -2, emit)
        elif c == _ITEM:
            if r < 0 or (ri >= 0 and ident != ri):
                raise CoapError(0x80)
            emit(i, r, ident, scalar(d, a, e, tree.row(o, r)))
        elif r >= 0 and ident != r:
            raise CoapError(0x80)
        elif c == _MULTIPLE:
            emit(i, ident, -1, {})
            decode(d, a, e, tree, o, i, ident, -1, emit)
        else:
            emit(i, ident, ri, scalar(d, a, e, tree.row(o, ident)))
        a = e


def scalar(d, a, b, kind):
    """The value in d[a:b], of the type in a table's row; None where there is no such row."""
    if not kind:
        return None
    t = kind & 15
    n = b - a
    v = bytes(memoryview(d)[a:b])
    if t in (_INTEGER, _TIME, _UINT, _FLOAT, _OBJLNK, _BOOLEAN):
        if t == _FLOAT and n in (4, 8):
            return struct.unpack(">f" if n == 4 else ">d", v)[0]
        if not n or n > (8, 3, 1, 8, 8, 4, 8)[t - 2] or (t == _OBJLNK and n != 4):
            raise ValueError
        neg = v[0] & 0x80 and not kind & 0x80 and t in (_INTEGER, _TIME)
        v = int.from_bytes(v, "big")
        if neg:
            v -= 1 << 8 * n
    else:
        str(v, "utf8") if t != 5 else 0
    return canonical(kind, v)
