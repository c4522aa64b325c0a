# IPSO sensors and inputs: lowest and highest measurement and their reset, units, counted presses
# SPDX-License-Identifier: MIT
from ..model.values import parse_path
from ..model.tree import ON_EXECUTE, ON_CHANGE


# the unit of 5700 at first; None where 5500 is counted in 5501 instead
TABLE = {3300: "", 3303: "Cel", 3304: "%RH", 3347: None}

_STATE = const(5500)
_COUNT = const(5501)
_MIN = const(5601)
_MAX = const(5602)
_VALUE = const(5700)
_UNITS = const(5701)


def setup(client, table=TABLE):
    """Give the objects of `table`, {object: unit}, their behaviour; instances are made by create().

    From then on set("/3303/0/5700", 21.5) is all that a measurement takes: 5601 and 5602 follow, a
    server's Execute of 5605 sets both to the current value. set("/3347/0/5500", True) counts."""
    t = client.tree

    def changed(o, i, r):
        d = t.objects[o].get(i)
        if d is None:
            return
        v = d.get(r)
        unit = table[o]
        if r < 0:
            if unit:
                d.setdefault(_UNITS, unit.encode())
            if unit is None:
                d.setdefault(_STATE, False)
                d.setdefault(_COUNT, 0)
            else:
                # an integer: a measured 0.0 is another value
                d.setdefault(_VALUE, 0)
        elif v is not None:
            if r == _VALUE:
                if not d.get(_MIN, v + 1) <= v:
                    t.store(o, i, _MIN, -1, v)
                if not d.get(_MAX, v - 1) >= v:
                    t.store(o, i, _MAX, -1, v)
            elif r == _STATE and v:
                t.store(o, i, _COUNT, -1, d.get(_COUNT, 0) + 1)

    def reset(path, args):
        o, i, r, ri = parse_path(path)
        for r in (_MIN, _MAX):
            if t.get(o, i, r) is not None:
                t.store(o, i, r, -1, t.get(o, i, _VALUE))

    for o in table:
        t.objects.setdefault(o, {})
        t.hooks.setdefault(o, []).extend(
            ((ON_CHANGE, -1, -1, changed), (ON_EXECUTE, -1, 5605, reset))
        )
