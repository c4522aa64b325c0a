# A server's request becomes an operation (Core 1.1.1 6.3)
# SPDX-License-Identifier: MIT
from ..coap.numbers import CoapError, LINK_FORMAT
from ..reporting.attributes import write_attributes
from ..reporting.observations import check_readable, observe, reapply_attributes
from ..model.tree import EXECUTABLE, MULTIPLE, READABLE, WRITABLE
from .operations import create, delete, discover, execute, write


def serve(s, p, w, now):
    """Answer request `p` of session `s`: write options and payload, return the response code."""
    t = s.tree
    t.snapshot = None
    code = p.code
    o, i, r, ri = p.path
    if (code == 5 or code == 7) and o < 0 and not p.name:
        try:
            from .composite import serve as composite
        except ImportError:
            raise CoapError(0x85)
        return composite(s, p, w, now)
    if p.name or (o > 0 and o not in t.objects):
        raise CoapError(0x84)
    if o == 0:
        raise CoapError(0x81)
    if o < 0 or code > 4:
        raise CoapError(0x85)
    insts = t.objects[o]
    if i < 0:
        if code == 2:
            return create(s, p, w)
    elif i not in insts:
        raise CoapError(0x84)
    row = READABLE | WRITABLE
    if r >= 0:
        row = t.definition(o, r)
        # a version hides what it does not know, except that 1/x/9 may always be executed
        if not row or not (t.in_version(o, row >> 8) or row & EXECUTABLE):
            raise CoapError(0x84)
    if code == 1:
        if p.accept == LINK_FORMAT:
            return discover(s, p, w)
        s.check_access(o, i, 1)
        check_readable(t, o, i, r, ri, row)
        ct = p.accept
        if ct < 0:
            ct = s.client.default_format
        obs = observe(s, p, ct, now) if p.observe >= 0 else -1
        try:
            return s.put_content(p, p.path, obs, ct)
        except Exception:
            if obs > 0:
                s.observations.pop()
            raise
    if code == 3 and p.query:
        s.check_access(o, i, 1)
        if ri >= 0:
            check_readable(t, o, i, r, ri, READABLE)
        if p.start < p.end:
            raise ValueError
        write_attributes(s, p, row)
        reapply_attributes(s)
        return 0x44
    if code == 4:
        return delete(s, p, row)
    if r >= 0 and code == 2 and (row & EXECUTABLE or not row & MULTIPLE):
        return execute(s, p, row)
    if i < 0 or not row & WRITABLE:
        raise CoapError(0x85)
    if r < 0 and p.start == p.end and p.content_format < 0:
        raise ValueError  # neither a write nor attributes
    s.check_access(o, i, 2)
    write(s, p, o, i, r, ri, code == 3)
    return 0x44
