# A server's request becomes an operation on the tree, and an answer (Core 1.1.1 6.3)
# SPDX-License-Identifier: MIT
from micropython import const

from .coap import CoapError
from .formats import find
from .observe import observe, present, write_attributes
from .tree import join, native

# kinds of functions, as in tree.py
_WRITE = const(2)
_EXEC = const(3)
_CREATE = const(4)
_DELETE = const(5)
_VALIDATE = const(6)

_TEXT = const(0)
_TLV = const(11542)
_LINK = const(40)

# a row of the tables: access << 8 | type
_R = const(0x100)
_W = const(0x200)
_E = const(0x400)
_MULTI = const(0x800)
_MANDATORY = const(0x1000)


def serve(s, p, w, now):
    """Answer request `p` of session `s`: write options and payload, return the response code."""
    t = s.tree
    t.memo = None
    code = p.code
    o, i, r, ri = p.path
    if code in (5, 7) and o < 0 and not p.name:
        try:
            from .composite import serve as composite
        except ImportError:
            raise CoapError(0x85)
        return composite(s, p, w, now)
    if p.name or (o > 0 and o not in t.inst):
        raise CoapError(0x84)
    if o == 0:
        raise CoapError(0x81)
    if o < 0 or code > 4:
        raise CoapError(0x85)
    insts = t.inst[o]
    if i < 0:
        if code == 2:
            return create(s, p, w)
    elif i not in insts:
        raise CoapError(0x84)
    row = _R | _W
    if r >= 0:
        row = t.row(o, r)
        # a version hides what it does not know, except that 1/x/9 may always be executed
        if not row or not (t.shown(o, row >> 8) or row & _E):
            raise CoapError(0x84)
    if code == 1:
        if p.accept == _LINK:
            from .formats.link import discover

            return discover(s, p, w)
        s.allow(o, i, 1)
        return read(s, p, w, row, now)
    if code == 3 and p.query:
        s.allow(o, i, 1)
        return write_attributes(s, p, row)
    if code == 4:
        return delete(s, p, row)
    if r >= 0 and code == 2 and (row & _E or not row & _MULTI):
        return execute(s, p, row)
    if i < 0 or not row & _W:
        raise CoapError(0x85)
    if r < 0 and p.a == p.b and p.ct < 0:
        raise CoapError(0x80)  # neither a write nor attributes
    s.allow(o, i, 2)
    write(s, p, o, i, r, ri, code == 3)
    return 0x44


def read(s, p, w, row, now):
    present(s.tree, p.path[0], p.path[1], p.path[2], p.path[3], row)
    ct = p.accept
    if ct < 0:
        ct = s.client.default_format
    obs = -1
    if p.obs >= 0:
        obs = observe(s, p, ct, now)
    try:
        return s.content(p, p.path, obs, ct)
    except CoapError:
        if obs > 0:
            s.observed.pop()
        raise


def execute(s, p, row):
    o, i, r, ri = p.path
    if not row & _E or ri >= 0:
        raise CoapError(0x85)
    if p.ct > 0:
        raise CoapError(0x8F)
    s.allow(o, i, 4)
    args = bytes(memoryview(p.d)[p.a : p.b])
    # arguments: digit [= 'text'], by commas (Core 1.1.1 6.3.5)
    k = 0
    while args:
        if not args[k : k + 1].isdigit():
            raise CoapError(0x80)
        k += 1
        if args[k : k + 2] == b"='":
            k = args.find(b"'", k + 2) + 1
            if not k:
                raise CoapError(0x80)
        if k == len(args):
            break
        if args[k] != 44:
            raise CoapError(0x80)
        k += 1
    f = s.tree.ask(_EXEC, o, i, r, args)
    if o == 1:
        s.client.control(i, r)
    elif not f:
        raise CoapError(0x84)
    return 0x44


def decode(s, p, o, i, r, ri, replace):
    """The values in a payload as [[instance, resource, value], ...]; a multiple resource is one dict."""
    t = s.tree
    ct = p.ct
    if ct < 0:
        ct = _TEXT if r >= 0 else _TLV
    fmt = find(ct)
    if not fmt:
        raise CoapError(0x8F)
    out = []

    def emit(i, r, ri, v):
        if ri < 0:
            if v == {} and not replace:
                v = dict(t.get(o, i, r) or {})
            out.append([i, r, v])
            return
        if not out or out[-1][0] != i or out[-1][1] != r:
            old = None if replace and p.path[3] < 0 else t.get(o, i, r)
            out.append([i, r, dict(old or {})])
        out[-1][2][ri] = v

    try:
        fmt.decode(p.d, p.a, p.b, t, o, i, r, ri, emit)
    except (IndexError, ValueError, TypeError, AttributeError):
        raise CoapError(0x80)
    return out


def write(s, p, o, i, r, ri, replace):
    t = s.tree
    f = s.stream(p)
    if f:
        code = f(0, memoryview(p.d)[p.a : p.b], 0)
        if code:
            raise CoapError(code)
        return
    new = decode(s, p, o, i, r, ri, replace)
    if replace and r >= 0 and not new:
        # all instances of a multiple resource go; check() refuses that of a single one
        new = [[i, r, {}]]
    check(s, o, new, _W)
    apply(s, o, new)
    if replace and r < 0:
        # what the new instance does not have goes; what it must have stays (Core 1.1.1 6.3.3)
        for k in list(t.inst[o][i]):
            if t.row(o, k) & (_W | _MANDATORY) == _W and not [x for x in new if x[1] == k]:
                t.put(o, i, k, -1, None)


def check(s, o, new, access):
    """Refuse a list of values of which one may not be written, or is refused by the application."""
    t = s.tree
    for x in new:
        i, r, v = x
        if r < 0:
            continue
        row = t.row(o, r)
        if not row or not t.shown(o, row >> 8):
            raise CoapError(0x84)
        if not row & access:
            raise CoapError(0x85)
        if isinstance(v, dict) != bool(row & _MULTI):
            raise CoapError(0x80)
        x[2] = s.client.checked(o, r, v)
        t.ask(_VALIDATE, o, i, r, native(row, v))
    for i, r, v in new:
        if r >= 0:
            t.ask(_WRITE, o, i, r, native(t.row(o, r), v))


def apply(s, o, new):
    for i, r, v in new:
        if r >= 0:
            s.tree.put(o, i, r, -1, v)
            if s.client.written and not s.bootstrap:
                s.client.written(o, i, r, v)


def create(s, p, w):
    t = s.tree
    o = p.path[0]
    flags = t.find(o)
    insts = t.inst[o]
    s.allow(o, -1, 16)
    if o == 1 or not flags & 1 and (flags & 2 or insts):
        raise CoapError(0x85)
    new = decode(s, p, o, -1, -1, -1, True) if p.b > p.a else []
    i = new[0][0] if new else -1
    if i < 0:
        i = 0
        while i in insts:
            i += 1
    for x in new:
        if x[0] not in (-1, i):
            raise CoapError(0x80)
        x[0] = i
    if i in insts or i > 65534 or len(insts) >= s.client.max_instances:
        raise CoapError(0x80)
    check(s, o, new, _R | _W)
    d = {}
    for _, r, v in new:
        if r >= 0:
            d[r] = v
    for k in range(t.n if t.find(o) >= 0 else 0):
        q = t.p + 4 * k
        # a mandatory resource that only a server could give must be given
        if t.t[q + 2] & 0x13 == 0x13 and t.t[q] << 8 | t.t[q + 1] not in d:
            raise CoapError(0x80)
    t.create(o, i, d)
    try:
        t.ask(_CREATE, o, i, -1, None)
    except CoapError:
        t.delete(o, i)
        raise
    if s.client.access:
        s.client.access.created(s, o, i)
    for x in s.client.root:
        w.opt(8, x)
    for x in join(o, i)[1:].split("/"):
        w.opt(8, x.encode())
    return 0x41


def delete(s, p, row):
    o, i, r, ri = p.path
    t = s.tree
    if r >= 0:
        if ri < 0 or not row & _W or not t.level:
            raise CoapError(0x85)
        present(t, o, i, r, ri, _R)
        s.allow(o, i, 2)
        t.put(o, i, r, ri, None)
        return 0x42
    if i < 0 or o == 1 or not t.find(o) & 1:
        raise CoapError(0x85)
    s.allow(o, i, 8)
    t.ask(_DELETE, o, i, -1, None)
    t.delete(o, i)
    return 0x42
