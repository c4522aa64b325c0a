# Notification Storing (1/x/6): what changes while an observer is out of reach is kept, with its times
# SPDX-License-Identifier: MIT
from .timeseries import Series

# an observation, as in observe.py
_O = const(1)
_CT = const(5)
_DIRTY = const(10)
_V = const(19)
_HQMAX = const(13)

_SENML = (110, 112)  # the formats that have times
# values of a resource, where `hqmax` does not say; the oldest go first, and are counted
_VALUES = const(10)
_MOST = const(64)  # and where it says more than there is memory for
_RINGS = const(8)


def hold(s):
    """Session `s` has lost its server: take down what changes under its observations. After an update it
    goes out on their tokens; after a new registration when the path is observed again, or by a Send."""
    t = s.tree
    x = t.series or Series(t)

    def one(n, o, i, r, kind, v):
        row = t.definition(o, r)
        if len(x.rings) < _RINGS and x.ring(o, i, r, row, n, True, True) and e[_DIRTY]:
            # what was to be told when the server was lost
            x.add(o, i, r, v)

    for g in (s,) + s.composites:
        for e in g.observations:
            o, i, r, ri = e[_O:_CT]
            if e[_CT] in _SENML and i in t.objects.get(o, ()):
                n = min(e[_V][_HQMAX] or _VALUES, _MOST)
                if r < 0:
                    t.each_resource(o, i, one, n)
                elif ri < 0:
                    one(n, o, i, r, 0, t.read(o, i, r))
    if x.rings:
        t.series = x
