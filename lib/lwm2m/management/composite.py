# Read-, Write- and Observe-Composite (Core 1.1.1 6.3.8, 6.3.9, 6.4.4; RFC 8132): several paths in one request
# SPDX-License-Identifier: MIT
from ..coap.numbers import CoapError
from ..formats import find_format
from ..reporting.observations import observe
from .operations import store_values, check_write, check_readable
from ..model.tree import READABLE, WRITABLE, MULTIPLE

_MOST = const(8)  # composite observations of a session
_PATHS = const(32)  # and paths in a request


def form(ct):
    """The module of content format `ct`, if it can hold several paths; None otherwise."""
    fmt = find_format(ct)
    return fmt if hasattr(fmt, "encode_all") else None


def serve(s, p, w, now):
    """Answer FETCH or iPATCH `p` on the root; see requests.serve."""
    # SenML-ETCH (RFC 8790) differs from SenML in the number only
    ct = (
        p.content_format - 210
        if p.content_format == 320 or p.content_format == 322
        else p.content_format
    )
    fmt = form(ct)
    if not fmt:
        raise CoapError(0x8F)
    if not s.tree.minor:
        raise CoapError(0x85)
    new = {}
    # the later blocks of an answer are asked for without the payload (RFC 7959 3.3)
    paths = s.fetched_paths if p.code == 5 and p.start == p.end and p.block2 > 15 else []

    def take(o, i, r, ri, v):
        if p.code == 7:
            return put(s, new, o, i, r, ri, v)
        if len(paths) == _PATHS:
            raise CoapError(0x8D)
        paths.append([o, i, r, ri])

    try:
        if not paths:
            fmt.decode_all(p.data, p.start, p.end, s.tree, take)
    except (IndexError, TypeError, AttributeError):
        raise ValueError
    if p.code == 7:
        for o in new:
            check_write(s, o, new[o], WRITABLE)
        for o in new:
            store_values(s, o, new[o])
        return 0x44
    if not paths:
        raise ValueError
    s.fetched_paths = paths
    if p.accept >= 0:
        ct = p.accept
    obs = -1
    if p.observe >= 0:
        s.composites = tuple(
            [
                g
                for g in s.composites
                if g.observations and g.token != p.token and (not p.observe or g.paths != paths)
            ]
        )
        if not p.observe and len(s.composites) < _MOST:
            g = Group(s, p, paths, ct, now)
            obs = 1
    code = content(s, p, paths, obs, ct)
    if obs > 0:
        s.composites += (g,)
    return code


def put(s, new, o, i, r, ri, v):
    # collect the values to be written, {object: [[instance, resource, value], ...]}, as requests.decode does
    t = s.tree
    if not o:
        raise CoapError(0x81)
    if r < 0 or (v is None and t.definition(o, r)):
        raise ValueError
    if i not in t.objects.get(o, ()):
        raise CoapError(0x84)
    s.check_access(o, i, 2)
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
        for x in sorted(t.objects) if o < 0 else (o,):
            if not x or x not in t.objects:
                continue
            if i < 0:
                none = None
            for y in t.instances(x) if i < 0 else (i,):
                row = t.definition(x, r) if r >= 0 else READABLE
                try:
                    check_readable(
                        t, x, y, r, ri, row if r < 0 or t.in_version(x, row >> 8) else 0
                    )
                    s.check_access(x, y, 1)
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
    s.content_format = ct
    s.coap.put_body(
        p.block2 if p else -1, p.block1 if p else -1, obs, ct, lambda w: fmt.encode_all(w, t, have)
    )
    return 0x45


class Group:
    """A composite observation: to observe.py it is a session of its own, whose observations, one for each
    path, have the same token, and so are due and told together."""

    composites = ()
    observe = 0

    def __init__(self, s, p, paths, ct, now):
        self.s = s
        self.paths = paths
        self.token = p.token
        self.query = p.query
        out = []
        for o, i, r, ri in paths:
            for x in s.tree.objects if o < 0 else (o,):
                if ri >= 0 and not s.tree.definition(x, r) & MULTIPLE:
                    continue  # a single resource has no instances
                self.observations = []
                self.path = [x, i, r, ri]
                observe(self, self, ct, now)
                out += self.observations
        self.observations = out

    def __getattr__(self, name):
        return getattr(self.s, name)

    def put_content(self, p, path, obs, ct):
        return content(self.s, p, self.paths, obs, ct)
