# CoRE links (RFC 6690): what a registration and Discover show (Core 1.1.1 6.2.1, 6.3.2)
# SPDX-License-Identifier: MIT
from micropython import const

from ..coap import CoapError
from ..observe import NAMES, at, effective
from ..tree import join

_LINK = const(40)
_FIRST = const(4)


def link(w, root, path, more=b""):
    if w.at:
        w.byte(44)
    w.put(b"<" + root + path.encode() + b">" + more)


def version(t, o):
    v = t.version(o)
    return b"" if v == 0x10 else b";ver=%d.%d" % (v >> 4, v & 15)


def registration(w, t, root, formats):
    """Put the objects and instances of tree `t`; `root` is the alternate path (b"" is none), `formats`
    what the `ct` attribute is to say (b"" is nothing)."""
    if root or formats:
        w.put(b"<" + (root or b"/") + b'>;rt="oma.lwm2m"' + formats)
    for o in sorted(t.inst):
        if o:
            v = version(t, o)
            if v or not t.inst[o]:
                link(w, root, join(o), v)
            for i in t.instances(o):
                link(w, root, join(o, i))


def discover(s, p, w):
    """Answer Discover: the path and what is under it, with the attributes that this server gave; the
    path itself with those that it inherits."""
    o, i, r, ri = p.path
    t = s.tree
    if r >= 0 and (ri >= 0 or not t.has(o, i, r)):
        raise CoapError(0x85 if ri >= 0 else 0x84)

    def entry(more, *path):
        path = list(path)
        a = at(s, path)
        for n in range(_FIRST, _FIRST + len(NAMES)):
            v = effective(s, path, n) if path == p.path else a and a[n]
            if v is not None:
                more += b";%s=%s" % (NAMES[n - _FIRST], str(int(v) if v == int(v) else v).encode())
        link(w, s.client.rootpath, join(*path), more)

    def body(w):
        if i < 0:
            entry(version(t, o), o, -1, -1, -1)
        for k in t.instances(o) if i < 0 else (i,):
            if r < 0:
                entry(b"", o, k, -1, -1)
            t.find(o)
            for q in range(t.p, t.p + 4 * t.n, 4):
                x = t.t[q] << 8 | t.t[q + 1]
                if (r < 0 or r == x) and t.has(o, k, x):
                    v = t.read(o, k, x) if t.t[q + 2] & 8 else None
                    entry(b"" if v is None else b";dim=%d" % len(v), o, k, x, -1)
                    if r >= 0 and v and t.level:
                        for y in sorted(v):
                            entry(b"", o, k, x, y)

    s.ep.content(p.b2, p.b1, -1, _LINK, body)
    return 0x45
