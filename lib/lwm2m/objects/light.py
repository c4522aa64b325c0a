# Object 3311, Light Control: how long it has been on, and what the application hears of it
# SPDX-License-Identifier: MIT
from ..tree import join, split

# kinds of functions, as in tree.py
_READ = const(1)
_VALIDATE = const(6)
_CHANGED = const(8)

_ON = const(5850)
_DIMMER = const(5851)
_TIME = const(5852)


def setup(client, fn=None):
    """Give object 3311 its behaviour; instances are made by create(). `fn(path, value)` hears of every
    new value of On/Off (5850) and Dimmer (5851), whoever gave it."""
    t = client.tree
    since = {}  # {instance: [seconds until it was switched on, when that was]}

    def changed(o, i, r):
        d = t.inst[o].get(i)
        if d is None:
            since.pop(i, None)
        elif r < 0:
            since[i] = [0, client.sec]
            d.setdefault(_ON, False)
            d.setdefault(_DIMMER, 0)
        elif r == _TIME:
            # kept in `since` alone, so that another 0 is a change again
            since[i] = [d.pop(r, 0), client.sec]
        else:
            if r == _ON:
                x = since[i]
                if not d.get(r):
                    x[0] += client.sec - x[1]
                x[1] = client.sec
            if fn and _ON <= r <= _DIMMER:
                fn(join(o, i, r), d.get(r))

    def time(path, v):
        i = split(path)[1]
        x = since[i]
        return x[0] + (client.sec - x[1] if t.get(3311, i, _ON) else 0)

    t.inst.setdefault(3311, {})
    t.hooks.setdefault(3311, []).extend(
        (
            (_CHANGED, -1, -1, changed),
            (_READ, -1, _TIME, time),
            (_VALIDATE, -1, _DIMMER, lambda path, v: v <= 100),
        )
    )
