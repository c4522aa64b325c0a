# Object 6, Location: the position that the application sets, and when it did
# SPDX-License-Identifier: MIT
from ..model.tree import ON_CHANGE


def setup(client):
    """Make instance 6/0; its timestamp (6/0/5) follows every set() of another resource, and is 0 until
    there is a position."""
    t = client.tree

    def changed(o, i, r):
        d = t.objects[o].get(i)
        if d is not None and r < 0:
            d.update({0: 0.0, 1: 0.0, 5: 0})
        elif d and r < 7 and r != 5:
            t.store(o, i, 5, -1, t.read(3, 0, 13))

    t.hooks.setdefault(6, []).append((ON_CHANGE, -1, -1, changed))
    t.create(6, 0)
