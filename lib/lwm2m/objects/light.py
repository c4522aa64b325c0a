# Object 3311, Light Control: how long it has been on, and what the application hears of it
# SPDX-License-Identifier: MIT
from ..ids import DIMMER, LIGHT_CONTROL, ON_OFF, ON_TIME
from ..model.tree import ON_CHANGE, ON_READ, VALIDATE
from ..model.values import format_path, parse_path

_FULL = const(100)  # percent


class Lamp:
    """How long an instance has been on."""

    def __init__(self, total, now_s):
        self.total = total  # seconds, until it was switched last
        self.switched = now_s  # when that was


def setup(client, fn=None):
    """Give object 3311 its behaviour; instances are made by create(). `fn(path, value)` hears of every
    new value of On/Off (5850) and Dimmer (5851), whoever gave it."""
    tree = client.tree
    lamps = {}  # {iid: Lamp}

    def changed(oid, iid, rid):
        values = tree.objects[oid].get(iid)
        if values is None:
            lamps.pop(iid, None)
        elif rid < 0:
            lamps[iid] = Lamp(0, client.now_s)
            values.setdefault(ON_OFF, False)
            values.setdefault(DIMMER, 0)
        elif rid == ON_TIME:
            # kept by the lamp alone, so that another 0 is a change again
            lamps[iid] = Lamp(values.pop(rid, 0), client.now_s)
        elif rid == ON_OFF or rid == DIMMER:
            if rid == ON_OFF:
                switch(lamps[iid], values.get(rid))
            if fn:
                fn(format_path(oid, iid, rid), values.get(rid))

    def switch(lamp, on):
        if not on:
            lamp.total += client.now_s - lamp.switched
        lamp.switched = client.now_s

    def on_time(path, value):
        iid = parse_path(path)[1]
        lamp = lamps[iid]
        if not tree.get(LIGHT_CONTROL, iid, ON_OFF):
            return lamp.total
        return lamp.total + client.now_s - lamp.switched

    tree.show(LIGHT_CONTROL)
    tree.add_hook(ON_CHANGE, LIGHT_CONTROL, -1, -1, changed)
    tree.add_hook(ON_READ, LIGHT_CONTROL, -1, ON_TIME, on_time)
    tree.add_hook(VALIDATE, LIGHT_CONTROL, -1, DIMMER, lambda path, value: value <= _FULL)
