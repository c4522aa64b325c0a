# A server's request becomes an operation on the tree, and an answer (Core 1.1.1 6.3)
# SPDX-License-Identifier: MIT
from ..coap.numbers import CoapError
from ..formats import find_format
from ..formats.link import put_link, version_attribute
from ..reporting.attributes import NAMES, attribute_at
from ..reporting.observations import check_readable
from ..model.values import format_path, to_native
from ..coap.numbers import TEXT, TLV, LINK_FORMAT
from ..model.tree import (
    ON_READ,
    ON_WRITE,
    ON_EXECUTE,
    ON_CREATE,
    ON_DELETE,
    VALIDATE,
    READABLE,
    WRITABLE,
    EXECUTABLE,
    MULTIPLE,
    MANDATORY,
)


# a row of the tables: access << 8 | type

_FIRST = const(4)  # attributes follow the four ids of their path


def execute(s, p, row):
    o, i, r, ri = p.path
    if not row & EXECUTABLE or ri >= 0:
        raise CoapError(0x85)
    if p.content_format > 0:
        raise CoapError(0x8F)
    s.check_access(o, i, 4)
    args = bytes(memoryview(p.data)[p.start : p.end])
    # arguments: digit [= 'text'], by commas (Core 1.1.1 6.3.5)
    rest = args
    while rest:
        k = 1
        if rest[1:3] == b"='":
            k = rest.find(b"'", 3) + 1
        if not (k and rest[:1].isdigit() and rest[k : k + 1] in b",") or rest[k:] == b",":
            raise ValueError
        rest = rest[k + 1 :]
    f = s.tree.call_hook(ON_EXECUTE, o, i, r, args)
    if o == 1:
        s.client.run_command(i, r)
    elif not f:
        raise CoapError(0x84)
    return 0x44


def decode_payload(s, p, o, i, r, ri, replace):
    """The values in a payload as [[instance, resource, value], ...]; a multiple resource is one dict."""
    t = s.tree
    ct = p.content_format
    if ct < 0:
        ct = TEXT if r >= 0 else TLV
    fmt = find_format(ct)
    if not fmt:
        raise CoapError(0x8F)
    out = []

    keep = not replace or p.path[3] >= 0

    def emit(i, r, ri, v):
        if ri < 0 and v != {}:
            out.append([i, r, v])
            return
        if not out or out[-1][:2] != [i, r]:
            out.append([i, r, dict(keep and t.get(o, i, r) or {})])
        if ri >= 0:
            out[-1][2][ri] = v

    try:
        fmt.decode(p.data, p.start, p.end, t, o, i, r, ri, emit)
    except (IndexError, TypeError, AttributeError):
        raise ValueError
    return out


def write(s, p, o, i, r, ri, replace):
    t = s.tree
    f = s.stream_function(p)
    if f:
        code = f(0, memoryview(p.data)[p.start : p.end], 0)
        if code:
            raise CoapError(code)
        return
    new = decode_payload(s, p, o, i, r, ri, replace)
    if replace and r >= 0 and not new:
        # all instances of a multiple resource go; check() refuses that of a single one
        new = [[i, r, {}]]
    check_write(s, o, new, WRITABLE)
    if replace and r < 0:
        # what the new instance does not have goes; what it must have stays (Core 1.1.1 6.3.3)
        gone = set(t.objects[o][i])
        for x in new:
            gone.discard(x[1])
        for r in gone:
            if t.definition(o, r) & (WRITABLE | MANDATORY) == WRITABLE:
                t.store(o, i, r, -1, None)
    store_values(s, o, new)


def check_write(s, o, new, access):
    """Refuse a list of values of which one may not be written, or is refused by the application."""
    t = s.tree
    for x in new:
        i, r, v = x
        if r < 0:
            continue
        row = t.definition(o, r)
        if not row or not t.in_version(o, row >> 8):
            raise CoapError(0x84)
        if not row & access:
            raise CoapError(0x85)
        if isinstance(v, dict) != bool(row & MULTIPLE):
            raise ValueError
        x[2] = s.client.accept_value(o, r, v)
        t.call_hook(VALIDATE, o, i, r, to_native(row, v))
    for i, r, v in new:
        if r >= 0:
            t.call_hook(ON_WRITE, o, i, r, to_native(t.definition(o, r), v))


def store_values(s, o, new):
    for i, r, v in new:
        if r >= 0:
            s.tree.store(o, i, r, -1, v)
            if s.client.written and not s.bootstrap:
                s.client.written(o, i, r, v)


def create(s, p, w):
    t = s.tree
    o = p.path[0]
    flags = t.find(o)
    insts = t.objects[o]
    s.check_access(o, -1, 16)
    if o == 1 or not flags & 1 and (flags & 2 or insts):
        raise CoapError(0x85)
    new = decode_payload(s, p, o, -1, -1, -1, True) if p.end > p.start else []
    i = new[0][0] if new else -1
    if i < 0:
        i = 0
        while i in insts:
            i += 1
    for x in new:
        if x[0] != -1 and x[0] != i:
            raise ValueError
        x[0] = i
    if i in insts or i > 65534 or len(insts) >= s.client.max_instances:
        raise ValueError
    check_write(s, o, new, READABLE | WRITABLE)
    d = {}
    for _, r, v in new:
        if r >= 0:
            d[r] = v
    t.find(o)
    for q in range(t.offset, t.offset + 4 * t.count, 4):
        # a mandatory resource that only a server could give must be given
        if t.table[q + 2] & 0x13 == 0x13 and t.table[q] << 8 | t.table[q + 1] not in d:
            raise ValueError
    t.create(o, i, d)
    try:
        t.call_hook(ON_CREATE, o, i, -1, None)
    except CoapError:
        t.delete(o, i)
        raise
    if s.client.access:
        s.client.access.created(s, o, i)
    for x in s.client.root:
        w.option(8, x)
    for x in o, i:
        w.option(8, b"%d" % x)
    return 0x41


def delete(s, p, row):
    o, i, r, ri = p.path
    t = s.tree
    if r >= 0:
        if ri < 0 or not row & WRITABLE or not t.minor:
            raise CoapError(0x85)
        check_readable(t, o, i, r, ri, READABLE)
        s.check_access(o, i, 2)
        t.store(o, i, r, ri, None)
        return 0x42
    if i < 0 or o == 1 or not t.find(o) & 1:
        raise CoapError(0x85)
    s.check_access(o, i, 8)
    t.call_hook(ON_DELETE, o, i, -1, None)
    t.delete(o, i)
    return 0x42


def discover(s, p, w):
    # Core 1.1.1 6.3.2: the path and what is under it, with the attributes that this server gave; the path
    # itself with those that it inherits
    o, i, r, ri = p.path
    t = s.tree
    if ri >= 0:
        raise CoapError(0x85)

    names = NAMES.split()

    def entry(more, *path):
        path = list(path)
        depth = -1 if path == p.path else 3 - path.count(-1)
        n = _FIRST
        for name in names:
            v = attribute_at(s, path, n, depth)
            n += 1
            if v is not None:
                more += b";%s=%s" % (name, str(int(v) if v == int(v) else v).encode())
        put_link(w, s.client.root_path, format_path(*path), more)

    def body(w):
        if i < 0:
            entry(version_attribute(t, o), o, -1, -1, -1)
        for k in t.instances(o) if i < 0 else (i,):
            if r < 0:
                entry(b"", o, k, -1, -1)
            t.find(o)
            b = t.table
            for q in range(t.offset, t.offset + 4 * t.count, 4):
                x = b[q] << 8 | b[q + 1]
                a = b[q + 2]
                # a resource is there by its value, or by a function that reads or executes it
                if (
                    (r < 0 or r == x)
                    and t.in_version(o, a)
                    and (
                        t.get(o, k, x) is not None
                        or t.hook(ON_READ, o, k, x)
                        or (a & 4 and (o == 1 or t.hook(ON_EXECUTE, o, k, x)))
                    )
                ):
                    v = t.read(o, k, x) if a & 8 else None
                    entry(b"" if v is None else b";dim=%d" % len(v), o, k, x, -1)
                    if r >= 0 and v and t.minor:
                        for y in sorted(v):
                            entry(b"", o, k, x, y)

    s.coap.put_body(p.block2, p.block1, -1, LINK_FORMAT, body)
    if not w.written:
        raise CoapError(0x84)
    return 0x45
