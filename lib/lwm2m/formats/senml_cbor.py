# SenML CBOR (RFC 8428 6; Core 1.1.1 7.4.5): 112
# SPDX-License-Identifier: MIT
from .cbor import Reader, value
from .senml import digits, inside, record, walk
from ..model.values import FLOAT, TIME, OBJLNK


def put(x, o, i, r, ri, t, v, at):
    w = x[2]
    x[3] += 1
    a = 0xA3 if at else 0xA2
    if x[4] == o and x[5] == i:
        w.byte(a)
    else:
        n = b"/%d/%d/" % (o, i)
        w.byte(a + 1)
        w.byte(0x21)
        w.byte(0x60 | len(n))
        w.put(n)
        x[4] = o
        x[5] = i
    w.byte(0)
    # the length of a name is filled in when it is written, so is the number of records
    a = w.written
    w.byte(0)
    digits(w, r)
    if ri >= 0:
        w.byte(47)
        digits(w, ri)
    b = w.written
    w.written = a
    w.byte(0x5F + b - a)
    w.written = b
    if at:
        w.byte(6)
        value(w, FLOAT if isinstance(at, float) else TIME, at)
    # by type: v, vs, vb, vd, and the text "vlo", of which this is the head
    w.byte(b"\x02\x03\x02\x02\x04\x08\x02\x63\x02\x03"[t])
    if t == OBJLNK:
        w.put(b"vlo")
    value(w, t, v)


def encode_all(w, tree, paths):
    x = [put, tree.series, w, 0, -1, -1]
    a = w.written
    w.uint(0x990000, 3)
    walk(x, tree, paths)
    b = w.written
    w.written = a + 1
    w.uint(x[3], 2)
    w.written = b


def encode(w, tree, o, i, r, ri):
    encode_all(w, tree, ((o, i, r, ri),))


def decode_all(d, a, b, tree, emit):
    c = Reader(memoryview(d)[a:b])
    base = ["", 0, 0]
    if c.head() != 4:
        raise ValueError
    n = c.n
    while c.more(n):
        n -= 1
        if c.head() != 5:
            raise ValueError
        m = c.n
        x = {}
        while c.more(m):
            m -= 1
            k = c.item()
            x[k] = c.item()
            if len(x) > 16:
                raise ValueError
        record(x, (-1, -2, -5, 0, 2, 3, 4, 8, "vlo"), base, tree, emit)
    if c.p != b - a:
        raise ValueError


def decode(d, a, b, tree, o, i, r, ri, emit):
    decode_all(d, a, b, tree, inside(tree, (o, i, r, ri), emit))
