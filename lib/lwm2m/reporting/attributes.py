# Attributes of notifications: what a server writes, and what holds at a path (Core 1.1.1 5.1.2, 7.3)
# SPDX-License-Identifier: MIT
from ..coap.numbers import CoapError

# attributes: the four ids of a path, then these, None where unset
NAMES = b"pmin pmax gt lt st epmin epmax edge con hqmax"
FIRST = const(4)
GREATER_THAN = const(6)
LESS_THAN = const(7)
STEP = const(8)
EPMIN = const(9)
EPMAX = const(10)
EDGE = const(11)
CONFIRMABLE = const(12)
SIZE = const(14)

# a session holds so many observations, and so many attributes, at the most
MOST = const(16)

_NUMBERS = const(0x14C)  # by type, as in tree.py: integer, float, time, unsigned integer


def write_attributes(s, p, row):
    """Write-Attributes (Core 1.1.1 6.3.4): all of the query, or nothing."""
    path = p.path
    r = path[2]
    old = None
    for a in s.attributes:
        if a[:FIRST] == path:
            old = a
    new = list(old) if old else path[:] + [None] * (SIZE - FIRST)
    parse_attributes(s, p.query, new, r, row)
    gt, lt, st = new[GREATER_THAN:EPMIN]
    if gt is not None and lt is not None and lt + 2 * (st or 0) >= gt or st is not None and st < 0:
        raise ValueError
    if old:
        s.attributes.remove(old)
    if new.count(None) < SIZE - FIRST:
        if len(s.attributes) >= MOST:
            raise CoapError(0xA0)
        s.attributes.append(new)


def parse_attributes(s, query, new, r, row):
    """Take the attributes of a query into a list of them."""
    end = (EPMIN, EDGE, SIZE)[s.tree.minor]
    names = NAMES.split()
    for q in query:
        q = q.split(b"=", 1)
        n = FIRST + names.index(q[0])
        # changes of value are for readable numbers alone, edges for booleans
        of_value = GREATER_THAN <= n < EPMIN
        if (
            n >= end
            or (of_value and (r < 0 or not row & 0x100 or not _NUMBERS >> (row & 15) & 1))
            or (n == EDGE and (r < 0 or row & 15 != 4))
        ):
            raise ValueError
        v = None
        if len(q) > 1:
            v = q[1]
            for c in v:
                if c not in b"-.0123456789" or (c < 48 and not of_value):
                    raise ValueError
            v = float(v) if of_value else int(v)
            if v > 1 and (n == EDGE or n == CONFIRMABLE):
                raise ValueError
        new[n] = v


def attribute_at(s, path, n, depth):
    """Attribute number `n` in force at a path: that of the nearest level, if it has more than `depth` ids."""
    v = None
    for a in s.attributes:
        d = 0
        while d < 4 and a[d] == path[d] and a[d] >= 0:
            d += 1
        if a[n] is not None and d > depth and (d == 4 or a[d] < 0):
            depth = d
            v = a[n]
    return v
