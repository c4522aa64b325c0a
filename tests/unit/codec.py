# What the tests of the content formats share: a tree with a resource of every type, and calls of a format
# SPDX-License-Identifier: MIT
from link import Skip, json, os
from lwm2m.coap.message import Writer
from lwm2m.coap.numbers import CoapError
from lwm2m.model.tree import Tree
from lwm2m.model.values import to_stored, parse_path

_R, _W, _E, _MULTI, _MANDATORY = 1, 2, 4, 8, 16
STRING, INTEGER, FLOAT, BOOLEAN, OPAQUE, TIME, OBJLNK, UINT, CORELNK = range(1, 10)
UNSIGNED = 0x80


def table(o, rows, flags=1):
    """An object table as tools/objects.py writes it: rows are (id, access, type)."""
    t = bytes((o >> 8, o & 255, flags, len(rows), 0x10, 0x10, 0x10, 0))
    for r, access, kind in rows:
        t += bytes((r >> 8, r & 255, access, kind))
    return t


# object 1000: resource n is a single value of type n, 10 + n a multiple one; 21 and 31 are INTEGER without
# negative values, 40 is executable, 300 a text, 301 a text that may not be written
KINDS = (STRING, INTEGER, FLOAT, BOOLEAN, OPAQUE, TIME, OBJLNK, UINT, CORELNK)
ALL = table(
    1000,
    [(k, _R | _W, k | (k == UINT) << 7) for k in KINDS]
    + [(10 + k, _R | _W | _MULTI, k | (k == UINT) << 7) for k in KINDS]
    + [(21, _R | _W, INTEGER | UNSIGNED), (31, _R | _W | _MULTI, INTEGER | UNSIGNED), (40, _E, 0)]
    + [(300, _R | _W, STRING), (301, _R, STRING)],
)


def tree(*tables):
    """A tree with object 1000 (instances 0 and 1) and what other tables are given."""
    t = Tree(lambda o, i, r: None)
    t.tables += [ALL] + list(tables)
    t.objects[1000] = {0: {}, 1: {}}
    return t


def give(t, path, v):
    """Set a native value."""
    o, i, r, ri = parse_path(path)
    t.objects.setdefault(o, {}).setdefault(i, {})[r] = to_stored(t.definition(o, r) & 255, v)


def encode(fmt, t, path, window=4000, start=0):
    """What a format makes of a path, put together from windows of that size."""
    o, i, r, ri = parse_path(path)
    out = b""
    while True:
        w = Writer(window + 20)
        w.begin(0, 0x45, 0, b"")
        w.begin_payload(start, window)
        fmt.encode(w, t, o, i, r, ri)
        more = w.end_payload()
        out += bytes(w.buffer[5 : w.position])
        start += window
        if not more:
            return out


def decode(fmt, t, path, d, pad=3):
    """What a format reads at a path: [(instance, resource, resource instance, value), ...]."""
    o, i, r, ri = parse_path(path)
    out = []
    buf = b"\xee" * pad + d + b"\xee" * pad
    fmt.decode(buf, pad, pad + len(d), t, o, i, r, ri, lambda *v: out.append(v))
    return out


# what a decoder raises, and its callers answer by 4.00: JSON and CBOR have other types where one is expected
REFUSALS = (CoapError, ValueError, IndexError, TypeError, AttributeError)


def bad(fmt, t, path, d):
    """True where a format refuses data in the way that is agreed on."""
    try:
        decode(fmt, t, path, d)
    except REFUSALS:
        return True
    return False


def mutations(d):
    """Every truncation and every bit flip of a datagram."""
    for k in range(len(d)):
        yield d[:k]
        m = bytearray(d)
        for bit in range(8):
            m[k] = d[k] ^ 1 << bit
            yield bytes(m)


def survive(fmt, t, path, d):
    """Decode every mutation: nothing but the agreed exceptions comes out, and no value of a wrong type."""
    o = parse_path(path)[0]
    for m in mutations(d):
        try:
            out = decode(fmt, t, path, m)
        except REFUSALS:
            continue
        for i, r, ri, v in out:
            if v == {}:
                # a multiple resource begins; whether it may be one is not the format's business
                assert r >= 0 and ri < 0, (m, i, r, ri)
            else:
                assert fits(t.definition(o, r) if r >= 0 else 0, v), (m, i, r, ri, v)


def fits(row, v):
    """True for a value as the tree holds it; None where the tables have no such resource."""
    if not row:
        return v is None
    k = row & 15
    if k == FLOAT:
        return isinstance(v, float)
    if k == BOOLEAN:
        return v is True or v is False
    if k in (0, STRING, OPAQUE, CORELNK):
        return isinstance(v, bytes)
    low = 0 if k == OBJLNK or row & UNSIGNED else -1 << 63
    high = 1 << (32 if k == OBJLNK else 64 if k == UINT else 63)
    return isinstance(v, int) and not isinstance(v, bool) and low <= v < high


def vectors(name):
    """Test data that is not in this repository, in the folder LWM2M_VECTORS; the test is skipped without."""
    try:
        # A board's os has no getenv.
        with open(os.getenv("LWM2M_VECTORS") + "/" + name) as f:
            return json.load(f)
    except (AttributeError, TypeError, OSError):
        raise Skip("no " + name)
