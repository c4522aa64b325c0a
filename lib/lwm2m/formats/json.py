# The JSON of LwM2M 1.0 (Core 1.0.2 6.4.4): 11543
# SPDX-License-Identifier: MIT
from ..model.values import format_path
from .senml import digits, inside, record, walk
from .senml_json import json, objects, opaque, value


def put(x, o, i, r, ri, t, v, at):
    w = x[2]
    w.put(b",{" if w.written > x[3] else b"{")
    n = x[4]
    for k in (i, r, ri)[n:]:
        if k >= 0:
            w.put(b"/" if n < 0 else b'"n":"')
            digits(w, k)
            n = -1
    w.put(b'","' if n < 0 else b'"')
    w.put((b"sv", b"v", b"v", b"bv", b"sv", b"v", b"ov", b"v", b"sv")[t - 1])
    w.put(b'":')
    value(w, t, v, False)
    w.byte(125)


def encode(w, tree, o, i, r, ri):
    # the base name is the path of the request, the names are what follows it
    n = (i >= 0) + (r >= 0) + (ri >= 0)
    w.put(b'{"bn":"' + format_path(o, i, r, ri).encode())
    w.put(b'/","e":[' if n < 2 or (n == 2 and tree.definition(o, r) & 0x800) else b'","e":[')
    walk((put, None, w, w.written, n), tree, ((o, i, r, ri),))
    w.put(b"]}")


def decode(d, a, b, tree, o, i, r, ri, emit):
    d = memoryview(d)[a:b]
    base = ["", 0, 0]
    emit = inside(tree, (o, i, r, ri), emit)
    a = 0
    while d[a] != 91:
        a += 1
    # the base name may stand behind the array
    b = objects(d, a, len)
    # In a list, as MicroPython up to 1.22 takes text for whole that is cut: then the 0 is not the second of it.
    around, _ = json.loads("[" + str(d[:a], "utf8") + "0" + str(d[b:], "utf8") + ",0]")
    base[0] = dict(around).get("bn", "")

    def take(x):
        record(x, ("", "bn", "", "n", "v", "sv", "bv", "ov"), base, tree, emit, opaque)

    objects(d, a, take)
