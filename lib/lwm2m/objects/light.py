# Object 3311, Light Control: how long it has been on, and what the application hears of it
# SPDX-License-Identifier: MIT
from ..model.values import format_path, parse_path
from ..model.tree import ON_READ, VALIDATE, ON_CHANGE


_ON = const(5850)
_DIMMER = const(5851)
_TIME = const(5852)


def setup(client, fn=None):
    """Give object 3311 its behaviour; instances are made by create(). `fn(path, value)` hears of every
    new value of On/Off (5850) and Dimmer (5851), whoever gave it."""
    t = client.tree
    since = {}  # {instance: [seconds until it was switched on, when that was]}

    def changed(o, i, r):
        d = t.objects[o].get(i)
        if d is None:
            since.pop(i, None)
        elif r < 0:
            since[i] = [0, client.now_s]
            d.setdefault(_ON, False)
            d.setdefault(_DIMMER, 0)
        elif r == _TIME:
            # kept in `since` alone, so that another 0 is a change again
            since[i] = [d.pop(r, 0), client.now_s]
        else:
            if r == _ON:
                x = since[i]
                if not d.get(r):
                    x[0] += client.now_s - x[1]
                x[1] = client.now_s
            if fn and _ON <= r <= _DIMMER:
                fn(format_path(o, i, r), d.get(r))

    def time(path, v):
        i = parse_path(path)[1]
        x = since[i]
        return x[0] + (client.now_s - x[1] if t.get(3311, i, _ON) else 0)

    t.objects.setdefault(3311, {})
    t.hooks.setdefault(3311, []).extend(
        (
            (ON_CHANGE, -1, -1, changed),
            (ON_READ, -1, _TIME, time),
            (VALIDATE, -1, _DIMMER, lambda path, v: v <= 100),
        )
    )
