# SenML (RFC 8428; Core 1.1.1 7.4.4, 7.4.5): records to and from values, for the JSON and the CBOR form and their like
# SPDX-License-Identifier: MIT
from ..model.values import parse_path
from .cbor import typed
from ..model.values import OPAQUE


_MOST = const(256)  # records in a payload
_LENGTH = const(40)  # of a path
_VERSION = const(10)


def walk(x, tree, paths):
    """Call x[0](x, o, i, r, ri, type, value, time) for each value under `paths`, in order; ri is -1 where the
    resource has no instances, time 0 where it is now. x[1] is the time series, or None for the latest values
    alone. What is not there, not readable, or in object 0 is left out."""
    for o, i, r, ri in paths:
        for p in sorted(tree.objects) if o < 0 else (o,):
            insts = tree.objects.get(p) if p else None
            for q in tree.instances(p) if i < 0 else (i,):
                if not insts or q not in insts:
                    continue
                if r < 0:
                    tree.each_resource(p, q, each, x)
                    continue
                row = tree.definition(p, r)
                if row & 0x100 and tree.in_version(p, row >> 8):
                    v = tree.read(p, q, r)
                    if ri >= 0:
                        v = {ri: v[ri]} if isinstance(v, dict) and ri in v else None
                    if v is not None:
                        each(x, p, q, r, row & 15, v)


def each(x, o, i, r, t, v):
    f = x[0]
    old = x[1] and x[1].entries(o, i, r)
    if old:
        for at, v in old:
            f(x, o, i, r, -1, t, v, at)
    elif isinstance(v, dict):
        # in order, without a list of them
        ri = -1
        for _ in v:
            n = 65536
            for k in v:
                if ri < k < n:
                    n = k
            ri = n
            f(x, o, i, r, ri, t, v[ri], 0)
    else:
        f(x, o, i, r, -1, t, v, 0)


def digits(w, n):
    if n > 9:
        digits(w, n // 10)
    w.byte(48 + n % 10)


def record(x, keys, base, tree, emit, opaque=None):
    """Turn record `x`, a dict of labels, into a call of emit(o, i, r, ri, value), value being None where
    there is none. `keys` are the labels for the version, the base name, the base value, the name and the
    values; `base` is [base name, base value, number of records]; opaque(value) undoes base64."""
    for k in x:
        if isinstance(k, str) and k[-1:] == "_":
            raise ValueError
    base[2] += 1
    if x.get(keys[0], 0) > _VERSION or base[2] > _MOST:
        raise ValueError
    base[0] = x.get(keys[1], base[0])
    base[1] = x.get(keys[2], base[1])
    path = base[0] + x.get(keys[3], "")
    if len(path) > _LENGTH:
        raise ValueError
    o, i, r, ri = parse_path(path)
    v = None
    for k in keys[4:]:
        if x.get(k) is not None:
            if v is not None:
                raise ValueError
            v = x[k]
            if base[1] and k == keys[4]:
                v += base[1]
    if v is not None:
        if r < 0:
            raise ValueError
        row = tree.definition(o, r)
        if opaque and row & 15 == OPAQUE:
            v = opaque(v)
        v = typed(row, v)
    emit(o, i, r, ri, v)


def inside(tree, path, emit):
    """An emit(o, i, r, ri, value) for a payload that may have values under one path only."""
    n = 4 - path.count(-1)

    def check(o, i, r, ri, v):
        if r < 0 or (o, i, r, ri)[:n] != path[:n] or (v is None and tree.definition(o, r)):
            raise ValueError
        emit(i, r, ri, v)

    return check
