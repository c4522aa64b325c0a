# Read-, Write- and Observe-Composite (Core 1.1.1 6.3.8, 6.3.9, 6.4.4; RFC 8132): several paths in one request
# SPDX-License-Identifier: MIT
from ..coap.numbers import CoapError
from ..model.tree import WRITABLE
from ..reporting.composite import composite_format, paths_of_body, put_composite
from ..reporting.observations import observe
from .operations import check_write, store_values

_PATHS = const(32)  # in a request


def serve(s, p, w, now):
    """Answer FETCH or iPATCH `p` on the root; see requests.serve."""
    # SenML-ETCH (RFC 8790) differs from SenML in the number only
    ct = (
        p.content_format - 210
        if p.content_format == 320 or p.content_format == 322
        else p.content_format
    )
    fmt = composite_format(ct)
    if not fmt:
        raise CoapError(0x8F)
    if not s.tree.minor:
        raise CoapError(0x85)
    new = {}
    # the later blocks of an answer are asked for without the payload (RFC 7959 3.3)
    paths = []
    if p.code == 5 and p.start == p.end and p.block2 > 15:
        paths = paths_of_body(s, p)

    def take(o, i, r, ri, v):
        if p.code == 7:
            return put(s, new, o, i, r, ri, v)
        path = [o, i, r, ri]
        if path not in paths:
            if len(paths) == _PATHS:
                raise CoapError(0x8D)
            paths.append(path)

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
    if p.accept >= 0:
        ct = p.accept
    obs = observe(s, p, paths, ct, True) if p.observe >= 0 else -1
    try:
        return put_composite(s, p, paths, obs, ct)
    except Exception:
        if obs > 0:
            s.observations.pop()
        raise


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
