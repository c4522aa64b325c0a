# A server's request becomes an operation on the tree, and an answer (Core 1.1.1 6.3); CoRE links (RFC 6690)
# SPDX-License-Identifier: MIT
from .coap import CoapError
from .formats import find
from .observe import NAMES, attributes, effective, observe, present
from .tree import join, native

# kinds of functions, as in tree.py
_READ = const(1)
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

_FIRST = const(4)  # attributes follow the four ids of their path


def serve(s, p, w, now):
    """Answer request `p` of session `s`: write options and payload, return the response code."""
    t = s.tree
    t.memo = None
    code = p.code
    o, i, r, ri = p.path
    if (code == 5 or code == 7) and o < 0 and not p.name:
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
            return discover(s, p, w)
        s.allow(o, i, 1)
        present(t, o, i, r, ri, row)
        ct = p.accept
        if ct < 0:
            ct = s.client.default_format
        obs = observe(s, p, ct, now) if p.obs >= 0 else -1
        try:
            return s.content(p, p.path, obs, ct)
        except Exception:
            if obs > 0:
                s.observed.pop()
            raise
    if code == 3 and p.query:
        s.allow(o, i, 1)
        if ri >= 0:
            present(t, o, i, r, ri, _R)
        if p.a < p.b:
            raise ValueError
        return attributes(s, p, row)
    if code == 4:
        return delete(s, p, row)
    if r >= 0 and code == 2 and (row & _E or not row & _MULTI):
        return execute(s, p, row)
    if i < 0 or not row & _W:
        raise CoapError(0x85)
    if r < 0 and p.a == p.b and p.ct < 0:
        raise ValueError  # neither a write nor attributes
    s.allow(o, i, 2)
    write(s, p, o, i, r, ri, code == 3)
    return 0x44


def execute(s, p, row):
    o, i, r, ri = p.path
    if not row & _E or ri >= 0:
        raise CoapError(0x85)
    if p.ct > 0:
        raise CoapError(0x8F)
    s.allow(o, i, 4)
    args = bytes(memoryview(p.d)[p.a : p.b])
    # arguments: digit [= 'text'], by commas (Core 1.1.1 6.3.5)
    rest = args
    while rest:
        k = 1
        if rest[1:3] == b"='":
            k = rest.find(b"'", 3) + 1
        if not (k and rest[:1].isdigit() and rest[k : k + 1] in b",") or rest[k:] == b",":
            raise ValueError
        rest = rest[k + 1 :]
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
        fmt.decode(p.d, p.a, p.b, t, o, i, r, ri, emit)
    except (IndexError, TypeError, AttributeError):
        raise ValueError
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
    if replace and r < 0:
        # what the new instance does not have goes; what it must have stays (Core 1.1.1 6.3.3)
        gone = set(t.inst[o][i])
        for x in new:
            gone.discard(x[1])
        for r in gone:
            if t.row(o, r) & (_W | _MANDATORY) == _W:
                t.put(o, i, r, -1, None)
    apply(s, o, new)


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
            raise ValueError
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
        if x[0] != -1 and x[0] != i:
            raise ValueError
        x[0] = i
    if i in insts or i > 65534 or len(insts) >= s.client.max_instances:
        raise ValueError
    check(s, o, new, _R | _W)
    d = {}
    for _, r, v in new:
        if r >= 0:
            d[r] = v
    t.find(o)
    for q in range(t.p, t.p + 4 * t.n, 4):
        # a mandatory resource that only a server could give must be given
        if t.t[q + 2] & 0x13 == 0x13 and t.t[q] << 8 | t.t[q + 1] not in d:
            raise ValueError
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
    for x in o, i:
        w.opt(8, b"%d" % x)
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


def link(w, root, path, more=b""):
    """Put a link, by commas; `root` is the alternate path (b"" is none), `more` the attributes."""
    if w.at:
        w.byte(44)
    w.put(b"<" + root + path.encode() + b">" + more)


def version(t, o):
    """The attribute with the version of object `o` that belongs to the registered one."""
    t.find(o)
    v = t.t[t.p - 4 + t.level]
    return b"" if v == 0x10 else b";ver=%d.%d" % (v >> 4, v & 15)


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
            v = effective(s, path, n, depth)
            n += 1
            if v is not None:
                more += b";%s=%s" % (name, str(int(v) if v == int(v) else v).encode())
        link(w, s.client.rootpath, join(*path), more)

    def body(w):
        if i < 0:
            entry(version(t, o), o, -1, -1, -1)
        for k in t.instances(o) if i < 0 else (i,):
            if r < 0:
                entry(b"", o, k, -1, -1)
            t.find(o)
            b = t.t
            for q in range(t.p, t.p + 4 * t.n, 4):
                x = b[q] << 8 | b[q + 1]
                a = b[q + 2]
                # a resource is there by its value, or by a function that reads or executes it
                if (
                    (r < 0 or r == x)
                    and t.shown(o, a)
                    and (
                        t.get(o, k, x) is not None
                        or t.hook(_READ, o, k, x)
                        or (a & 4 and (o == 1 or t.hook(_EXEC, o, k, x)))
                    )
                ):
                    v = t.read(o, k, x) if a & 8 else None
                    entry(b"" if v is None else b";dim=%d" % len(v), o, k, x, -1)
                    if r >= 0 and v and t.level:
                        for y in sorted(v):
                            entry(b"", o, k, x, y)

    s.ep.content(p.b2, p.b1, -1, _LINK, body)
    if not w.at:
        raise CoapError(0x84)
    return 0x45
