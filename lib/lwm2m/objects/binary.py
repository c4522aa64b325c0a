# Object 19, BinaryAppDataContainer: bounds of its resources, and the time of its data
# SPDX-License-Identifier: MIT
from ..ids import (
    BINARY_DATA,
    CURRENT_TIME,
    DATA,
    DATA_APP_ID,
    DATA_CREATION_TIME,
    DATA_DESCRIPTION,
    DATA_FORMAT,
    DATA_PRIORITY,
    DEVICE,
)
from ..model.tree import ON_CHANGE, VALIDATE

_LONGEST_TEXT = const(32)  # bytes
_HIGHEST_PRIORITY = const(255)
_HIGHEST_APP_ID = const(65535)


def setup(client):
    """Give object 19 its behaviour; instances are made by create() or by a server. 19/x/1 is 255 at most, 19/x/5
    65535, 19/x/3 and 4 have 32 bytes at most; 19/x/2 is the time when the data changed."""
    tree = client.tree
    tree.show(BINARY_DATA)

    def changed(oid, iid, rid):
        values = tree.objects[oid].get(iid)
        if values is None:
            return
        made_with_data = rid < 0 and DATA in values and DATA_CREATION_TIME not in values
        if rid == DATA or made_with_data:
            tree.store(oid, iid, DATA_CREATION_TIME, -1, tree.read(DEVICE, 0, CURRENT_TIME))

    def text_fits(path, value):
        return len(value.encode()) <= _LONGEST_TEXT

    tree.add_hook(ON_CHANGE, BINARY_DATA, -1, -1, changed)
    for rid, fits in (
        (DATA_PRIORITY, lambda path, value: value <= _HIGHEST_PRIORITY),
        (DATA_DESCRIPTION, text_fits),
        (DATA_FORMAT, text_fits),
        (DATA_APP_ID, lambda path, value: value <= _HIGHEST_APP_ID),
    ):
        tree.add_hook(VALIDATE, BINARY_DATA, -1, rid, fits)
