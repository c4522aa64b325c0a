# Object 6, Location: the position that the application sets, and when it did
# SPDX-License-Identifier: MIT
from ..ids import CURRENT_TIME, DEVICE, LATITUDE, LOCATION, LOCATION_TIMESTAMP, LONGITUDE, SPEED
from ..model.tree import ON_CHANGE


def setup(client):
    """Make instance 6/0; its timestamp (6/0/5) follows every set() of another resource, and is 0 until
    there is a position."""
    tree = client.tree

    def changed(oid, iid, rid):
        values = tree.objects[oid].get(iid)
        if values is None:
            return
        if rid < 0:
            values.update({LATITUDE: 0.0, LONGITUDE: 0.0, LOCATION_TIMESTAMP: 0})
        elif values and rid <= SPEED and rid != LOCATION_TIMESTAMP:
            tree.store(oid, iid, LOCATION_TIMESTAMP, -1, tree.read(DEVICE, 0, CURRENT_TIME))

    tree.add_hook(ON_CHANGE, LOCATION, -1, -1, changed)
    tree.create(LOCATION, 0)
