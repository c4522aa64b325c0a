# Read-, Write- and Observe-Composite (Core 1.1.1 6.3.8, 6.3.9, 6.4.4; RFC 8132): several paths in one request
# SPDX-License-Identifier: MIT
from .coap import CoapError
from .formats import find
from .observe import observe
from .requests import apply, check, present

_MOST = const(8)  # composite observations of a session
_PATHS = const(32)  # and paths in a request

_R = const(0x100)
_W = const(0x200)
_MULTI = const(0x800)


def form(ct):
    """The module of content format `ct`, if it can hold several paths; None otherwise."""
    fmt = find(ct)
    return fmt if hasattr(fmt, "encode_all") else None


def serve(s, p, w, now):
    """Answer FETCH or iPATCH `p` on the root; see requests.serve."""
    # SenML-ETCH (RFC 8790) differs from SenML in the number only
    ct = p.ct - 210 if p.ct == 320 or p.ct == 322 else p.ct
    fmt = form(ct)
    if not fmt:
        raise CoapError(0x8F)
    if not s.tree.level:
        raise CoapError(0x85)
    new = {}
    # the later blocks of an answer are asked for without the payload (RFC 7959 3.3)
    paths = s.fetched if p.code == 5 and p.a == p.b and p.b2 > 15 else []

    def take(o, i, r, ri, v):
        if p.code == 7:
            return put(s, new, o, i, r, ri, v)
        if len(paths) == _PATHS:
            raise CoapError(0x8D)
        paths.append([o, i, r, ri])

    try:
        if not paths:
            fmt.decode_all(p.d, p.a, p.b, s.tree, take)
    except (IndexError, TypeError, AttributeError):
        raise ValueError
    if p.code == 7:
        for o in new:
            check(s, o, new[o], _W)
        for o in new:
            apply(s, o, new[o])
        return 0x44
    if not paths:
        raise ValueError
    s.fetched = paths
    if p.accept >= 0:
        ct = p.accept
    obs = -1
    if p.obs >= 0:
        s.groups = tuple(
            [
                g
                for g in s.groups
                if g.observed and g.token != p.token and (not p.obs or g.paths != paths)
            ]
        )
        if not p.obs and len(s.groups) < _MOST:
            g = Group(s, p, paths, ct, now)
            obs = 1
    code = content(s, p, paths, obs, ct)
    if obs > 0:
        s.groups += (g,)
    return code


def put(s, new, o, i, r, ri, v):
    # collect the values to be written, {object: [[instance, resource, value], ...]}, as requests.decode does
    t = s.tree
    if not o:
        raise CoapError(0x81)
    if r < 0 or (v is None and t.row(o, r)):
        raise ValueError
    if i not in t.inst.get(o, ()):
        raise CoapError(0x84)
    s.allow(o, i, 2)
    out = new.setdefault(o, [])
    if ri >= 0:
        for x in out:
            if x[:2] == [i, r]:
                x[2][ri] = v
                return
        old = dict(t.get(o, i, r) or {})
        old[ri] = v
        v = old
    out.append([i, r, v])


def content(s, p, paths, obs, ct):
    """Write what can be read of `paths`, as a response to `p` (4.04 where it is nothing) or a notification."""
    fmt = form(ct)
    if not fmt:
        raise CoapError(0x86)
    t = s.tree
    found = []
    last = [0]
    none = p
    for o, i, r, ri in paths:
        for x in sorted(t.inst) if o < 0 else (o,):
            if not x or x not in t.inst:
                continue
            if i < 0:
                none = None
            for y in t.instances(x) if i < 0 else (i,):
                row = t.row(x, r) if r >= 0 else _R
                try:
                    present(t, x, y, r, ri, row if r < 0 or t.shown(x, row >> 8) else 0)
                    s.allow(x, y, 1)
                    found.append([x, y, r, ri])
                except CoapError as e:
                    if not e.args[0]:
                        raise
    if not found and none:
        raise CoapError(0x84)
    # what the path before includes is not told twice
    have = []
    for x in sorted(found):
        n = 4 - last.count(-1)
        if x[:n] != last[:n]:
            last = x
            have.append(x)
    s.path = have
    s.ct = ct
    s.ep.content(
        p.b2 if p else -1, p.b1 if p else -1, obs, ct, lambda w: fmt.encode_all(w, t, have)
    )
    return 0x45


class Group:
    """A composite observation: to observe.py it is a session of its own, whose observations, one for each
    path, have the same token, and so are due and told together."""

    groups = ()
    obs = 0

    def __init__(self, s, p, paths, ct, now):
        self.s = s
        self.paths = paths
        self.token = p.token
        self.query = p.query
        out = []
        for o, i, r, ri in paths:
            for x in s.tree.inst if o < 0 else (o,):
                if ri >= 0 and not s.tree.row(x, r) & _MULTI:
                    continue  # a single resource has no instances
                self.observed = []
                self.path = [x, i, r, ri]
                observe(self, self, ct, now)
                out += self.observed
        self.observed = out

    def __getattr__(self, name):
        return getattr(self.s, name)

    def content(self, p, path, obs, ct):
        return content(self.s, p, self.paths, obs, ct)
