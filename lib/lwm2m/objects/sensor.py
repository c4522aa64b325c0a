# IPSO sensors and inputs: lowest and highest measurement and their reset, units, counted presses
# SPDX-License-Identifier: MIT
from ..ids import (
    DIGITAL_INPUT_COUNTER,
    DIGITAL_INPUT_STATE,
    GENERIC_SENSOR,
    HUMIDITY,
    MAXIMUM_MEASURED,
    MINIMUM_MEASURED,
    PUSH_BUTTON,
    RESET_MEASURED,
    SENSOR_UNITS,
    SENSOR_VALUE,
    TEMPERATURE,
)
from ..model.tree import ON_CHANGE, ON_EXECUTE
from ..model.values import parse_path

# the unit of 5700 at first; None where 5500 is counted in 5501 instead
TABLE = {GENERIC_SENSOR: "", TEMPERATURE: "Cel", HUMIDITY: "%RH", PUSH_BUTTON: None}


def setup(client, table=TABLE):
    """Give the objects of `table`, {object: unit}, their behaviour; instances are made by create().

    From then on set("/3303/0/5700", 21.5) is all that a measurement takes: 5601 and 5602 follow, a
    server's Execute of 5605 sets both to the current value. set("/3347/0/5500", True) counts."""
    tree = client.tree

    def changed(oid, iid, rid):
        values = tree.objects[oid].get(iid)
        if values is None:
            return
        value = values.get(rid)
        if rid < 0:
            begin(values, table[oid])
        elif value is None:
            return
        elif rid == SENSOR_VALUE:
            lowest = values.get(MINIMUM_MEASURED)
            if lowest is None or value < lowest:
                tree.store(oid, iid, MINIMUM_MEASURED, -1, value)
            highest = values.get(MAXIMUM_MEASURED)
            if highest is None or value > highest:
                tree.store(oid, iid, MAXIMUM_MEASURED, -1, value)
        elif rid == DIGITAL_INPUT_STATE and value:
            presses = values.get(DIGITAL_INPUT_COUNTER, 0) + 1
            tree.store(oid, iid, DIGITAL_INPUT_COUNTER, -1, presses)

    def reset(path, arguments):
        oid, iid, _, _ = parse_path(path)
        for rid in (MINIMUM_MEASURED, MAXIMUM_MEASURED):
            if tree.get(oid, iid, rid) is not None:
                tree.store(oid, iid, rid, -1, tree.get(oid, iid, SENSOR_VALUE))

    for oid in table:
        tree.show(oid)
        tree.add_hook(ON_CHANGE, oid, -1, -1, changed)
        tree.add_hook(ON_EXECUTE, oid, -1, RESET_MEASURED, reset)


def begin(values, unit):
    """Give a new instance what it has at first."""
    if unit:
        values.setdefault(SENSOR_UNITS, unit.encode())
    if unit is None:
        values.setdefault(DIGITAL_INPUT_STATE, False)
        values.setdefault(DIGITAL_INPUT_COUNTER, 0)
    else:
        # an integer: a measured 0.0 is another value
        values.setdefault(SENSOR_VALUE, 0)
