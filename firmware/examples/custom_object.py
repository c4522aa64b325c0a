# An object of one's own: a door, defined in door.xml, with behaviour by hooks
# SPDX-License-Identifier: MIT
#
# door_object.py is made by
#
#   python -m tools.objects firmware/examples/door.xml -o firmware/examples/door_object.py
from lwm2m.port import sys

from door_object import TABLE
from lwm2m import Client, CoapError
from lwm2m.hooks import ON_CHANGE, ON_EXECUTE, VALIDATE

SERVER = sys.argv[1] if len(sys.argv) > 1 else "coap://lwm2m.example"

# As door.xml has them. The object's id is one for tests: ask OMA for one of your own.
DOOR = 42769
LOCKED = 0
OPENED = 1
NAME = 2
OPEN = 3

ALL = -1  # instances
LONGEST_NAME = 16
FORBIDDEN = 0x83  # the CoAP code 4.03


def setup(client):
    """Give the object its behaviour, as those in lwm2m/objects do."""
    tree = client.tree

    def open_door(path, arguments):
        iid = int(path.split("/")[2])
        if tree.get(DOOR, iid, LOCKED):
            raise CoapError(FORBIDDEN)
        tree.store(DOOR, iid, OPENED, ALL, (tree.get(DOOR, iid, OPENED) or 0) + 1)

    def changed(oid, iid, rid):
        # rid -1: the instance was created or deleted
        if rid == LOCKED:
            print("door", iid, "is locked" if tree.get(oid, iid, rid) else "is not locked")

    tree.add_hook(ON_EXECUTE, DOOR, ALL, OPEN, open_door)
    tree.add_hook(ON_CHANGE, DOOR, ALL, ALL, changed)
    tree.add_hook(VALIDATE, DOOR, ALL, NAME, lambda path, name: len(name) <= LONGEST_NAME)


client = Client("custom-object", SERVER, lifetime=3600)
client.objects(TABLE)
setup(client)
front = client.create("/%d" % DOOR)
client.set(front + "/%d" % LOCKED, True)
client.set(front + "/%d" % OPENED, 0)
client.set(front + "/%d" % NAME, "front")

client.start()
try:
    client.run()
except KeyboardInterrupt:
    client.stop()
    client.run()
