# Object 19, BinaryAppDataContainer: bounds of its resources, and the time of its data
# SPDX-License-Identifier: MIT
from ..model.tree import VALIDATE, ON_CHANGE


def setup(client):
    """Give object 19 its behaviour; instances are made by create() or by a server. 19/x/1 is 255 at most, 19/x/5
    65535, 19/x/3 and 4 have 32 bytes at most; 19/x/2 is the time when the data changed."""
    t = client.tree
    t.objects.setdefault(19, {})

    def changed(o, i, r):
        d = t.objects[o].get(i)
        if d is not None and (not r or r < 0 and 0 in d and 2 not in d):
            t.store(o, i, 2, -1, t.read(3, 0, 13))

    def bounded(path, v):
        if isinstance(v, str):
            return len(v.encode()) <= 32
        return v < (256 if path[-1] == "1" else 65536)

    h = t.hooks.setdefault(19, [])
    h.append((ON_CHANGE, -1, -1, changed))
    for r in (1, 3, 4, 5):
        h.append((VALIDATE, -1, r, bounded))
