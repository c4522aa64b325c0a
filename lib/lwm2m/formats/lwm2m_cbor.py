# LwM2M CBOR (Core 1.2 7.4.4): maps in maps, by the ids of a path: 11544
# SPDX-License-Identifier: MIT
from .cbor import Reader, head, typed, value
from .senml import inside, walk
from ..model.values import TIME


_EPOCH = const(0xC1)
_MOST = const(256)  # values in a payload


def put(x, o, i, r, ri, t, v, at):
    # maps are open, x[3] of them, with the ids of x[4:]: those that this value is not in are closed
    path = (o, i, r, ri) if ri >= 0 else (o, i, r)
    k = 0
    while k < x[3] and x[4 + k] == path[k]:
        k += 1
    close(x, k)
    w = x[2]
    for o in path[k:-1]:
        x[4 + k] = o
        k += 1
        head(w, 0, o)
        w.byte(0xBF)
    x[3] = k
    head(w, 0, path[k])
    if t == TIME:
        w.byte(_EPOCH)
    value(w, t, v)


def close(x, n):
    while x[3] > n:
        x[2].byte(0xFF)
        x[3] -= 1


def encode_all(w, tree, paths):
    x = [put, None, w, 0, 0, 0, 0]
    w.byte(0xBF)
    walk(x, tree, paths)
    close(x, -1)


def encode(w, tree, o, i, r, ri):
    encode_all(w, tree, ((o, i, r, ri),))


def level(c, ids, root, tree, emit, count):
    # a map: its keys are ids, or arrays of them, that go on from those around it
    if c.head() != 5:
        raise ValueError
    n = c.n
    while c.more(n):
        n -= 1
        path = ids[:]
        m = c.head()
        k = c.n
        if m == 4:
            while c.more(k):
                k -= 1
                path.append(c.item(1))
        elif not m:
            path.append(k)
        else:
            raise ValueError
        k = len(path)
        for v in path:
            if k > 4 or not 0 <= v < 65535:
                raise ValueError
        if c.d[c.p] >> 5 == 5 and k > len(ids):
            level(c, path, root, tree, emit, count)
            continue
        if k < 3 or path[: len(root)] != root:
            # a Write or Create may leave out the ids of its own path
            path = root + path
        o, i, r, ri = path + [-1] * (4 - len(path))
        v = c.item()
        count[0] += 1
        if count[0] > _MOST or (v is not None and r < 0):
            raise ValueError
        emit(o, i, r, ri, v if v is None else typed(tree.definition(o, r), v))


def decode_all(d, a, b, tree, emit, root=()):
    c = Reader(memoryview(d)[a:b])
    level(c, [], list(root), tree, emit, [0])
    if c.p != b - a:
        raise ValueError


def decode(d, a, b, tree, o, i, r, ri, emit):
    root = (o, i, r, ri)
    decode_all(d, a, b, tree, inside(tree, root, emit), [x for x in root if x >= 0])
