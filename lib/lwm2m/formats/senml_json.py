# SenML JSON (RFC 8428 5; Core 1.1.1 7.4.4): 110
# SPDX-License-Identifier: MIT
from ..port import binascii, module
from .senml import digits, inside, record, walk
from .text import base64, decimal
from ..model.values import STRING, BOOLEAN, OPAQUE, OBJLNK, CORELNK

json = module("json")


def value(w, t, v, url=True):
    """Put canonical value `v` of type `t`; an opaque one as base64, `url` saying which (RFC 8428 5)."""
    if t == OPAQUE:
        w.byte(34)
        v = memoryview(v)
        for k in range(0, len(v), 48):
            s = binascii.b2a_base64(v[k : k + 48])[:-1]
            w.put(s.rstrip(b"=").replace(b"+", b"-").replace(b"/", b"_") if url else s)
        w.byte(34)
        return
    if t == OBJLNK:
        v = '"%d:%d"' % (v >> 16, v & 65535)
    elif t in (STRING, CORELNK, BOOLEAN):
        v = json.dumps(v if t == BOOLEAN else str(v, "utf8"))
    else:
        v = decimal(v)
    w.put(v.encode())


def opaque(v):
    v += "=" * (-len(v) & 3)
    return base64(v.replace("-", "+").replace("_", "/").encode())


def objects(d, p, f):
    """Call f(dict) for each object in the array that begins at d[p]; the place behind it."""
    depth = quoted = 0  # of braces and brackets
    while d[p] in b" \t\r\n":
        p += 1
    if d[p] != 91:
        raise ValueError
    while True:
        p += 1
        c = d[p]
        if quoted:
            if c == 92:
                p += 1
            elif c == 34:
                quoted = 0
        elif c == 123 or c == 91 and depth:
            if not depth:
                a = p
            depth += 1
        elif c == 125 or c == 93 and depth:
            depth -= 1
            if not depth:
                f(json.loads(str(d[a : p + 1], "utf8")))
        elif depth:
            quoted = c == 34
        elif c == 93:
            return p + 1
        elif c not in b" \t\r\n,":
            raise ValueError


def put(x, o, i, r, ri, t, v, at):
    w = x[2]
    w.put(b",{" if w.written > x[3] else b"{")
    if x[4] != o or x[5] != i:
        w.put(b'"bn":"/%d/%d/",' % (o, i))
        x[4] = o
        x[5] = i
    w.put(b'"n":"')
    digits(w, r)
    if ri >= 0:
        w.byte(47)
        digits(w, ri)
    w.put(b'","')
    if at:
        w.put(b't":%s,"' % decimal(at).encode())
    w.put((b"vs", b"v", b"v", b"vb", b"vd", b"v", b"vlo", b"v", b"vs")[t - 1])
    w.put(b'":')
    value(w, t, v)
    w.byte(125)


def encode_all(w, tree, paths):
    w.byte(91)
    walk([put, tree.series, w, w.written, -1, -1], tree, paths)
    w.byte(93)


def encode(w, tree, o, i, r, ri):
    encode_all(w, tree, ((o, i, r, ri),))


def decode_all(d, a, b, tree, emit):
    base = ["", 0, 0]
    d = memoryview(d)[a:b]

    def take(x):
        keys = ("bver", "bn", "bv", "n", "v", "vs", "vb", "vd", "vlo")
        record(x, keys, base, tree, emit, opaque)

    a = objects(d, 0, take)
    if str(d[a:], "utf8").strip():
        raise ValueError


def decode(d, a, b, tree, o, i, r, ri, emit):
    decode_all(d, a, b, tree, inside(tree, (o, i, r, ri), emit))
