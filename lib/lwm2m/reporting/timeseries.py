# Time series: what is set is kept with its time, until a notification or Send has brought it to a server
# SPDX-License-Identifier: MIT
from ..model.tree import MULTIPLE
from ..model.values import BOOLEAN, FLOAT, INTEGER, TIME, TYPE_MASK, UINT
from ..port import DOUBLE, module, time

array = module("array").array

# how values are kept, by type; others are not
_TYPECODES = {INTEGER: "q", FLOAT: "d", BOOLEAN: "b", TIME: "q", UINT: "Q"}
_STEP = 0.001953125  # seconds between values of the same second, a little more than a ms
_SERIES = const(-1)  # where a snapshot has the entries of a resource, behind its ids


class Ring:
    """The latest values of a resource with their times: entry number n is at n % size, from end - count to
    end - 1."""

    count = end = 0

    def __init__(self, typecode, size, drops_oldest, is_passing):
        zeros = [0] * size
        self.times = array("d" if DOUBLE else "I", zeros)
        self.values = array(typecode, zeros)
        self.size = size
        self.drops_oldest = drops_oldest  # else a new value is dropped where there is no room
        self.is_passing = is_passing  # goes once it is empty: storing.py made it
        self.is_boolean = typecode == _TYPECODES[BOOLEAN]

    def add(self, value):
        """Take a value down; False where one was dropped."""
        now = time()
        is_full = self.count == self.size
        if self.count:
            last = self.times[(self.end - 1) % self.size]
            if DOUBLE and now <= last < now + 1:
                # a time of its own for each, in their order, and apart in ms
                now = last + _STEP
            if is_full and not self.drops_oldest:
                return False
        place = self.end % self.size
        self.times[place] = now
        self.values[place] = value
        self.end += 1
        if not is_full:
            self.count += 1
        return not is_full

    def entries(self):
        """[(seconds since 1970, value), ...], oldest first."""
        found = []
        for number in range(self.end - self.count, self.end):
            place = number % self.size
            at = self.times[place]
            value = self.values[place]
            found.append(
                (int(at) if at == int(at) else at, value > 0 if self.is_boolean else value)
            )
        return found

    def forget_until(self, end):
        """What came before entry number `end` is where it belongs."""
        self.count = min(self.count, self.end - end)


class Series:
    """The rings of a client's resources, as `tree.series`. Bound: `most`; `dropped` counts what was lost."""

    most = 4
    dropped = 0

    def __init__(self, tree):
        self.tree = tree
        self.rings = {}  # {(oid, iid, rid): Ring}

    def add_ring(self, oid, iid, rid, size, drops_oldest, is_passing):
        """Make the ring of a resource; False where there is one, or the type does not allow it."""
        definition = self.tree.definition(oid, rid)
        typecode = None if definition & MULTIPLE else _TYPECODES.get(definition & TYPE_MASK)
        if not typecode or (oid, iid, rid) in self.rings:
            return False
        self.rings[oid, iid, rid] = Ring(typecode, size, drops_oldest, is_passing)
        return True

    def add(self, oid, iid, rid, value):
        """Take down a value, if the resource is cached and there is room."""
        ring = self.rings.get((oid, iid, rid))
        if ring and value is not None and not ring.add(value):
            self.dropped += 1

    def entries(self, oid, iid, rid):
        """[(seconds since 1970, value), ...] of a cached resource, oldest first; None where it is not.
        For the formats that have times; `tree.reported`, if it is a list, learns what a message tells."""
        tree = self.tree
        ring = self.rings.get((oid, iid, rid))
        if not ring or ring.is_passing and tree.reported is None:
            return None
        if tree.reported is not None:
            tree.reported.append((ring, ring.end))
        # later blocks show the same entries as the first
        snapshot = tree.snapshot
        key = (oid, iid, rid, _SERIES)
        entries = snapshot.get(key) if snapshot else None
        if entries is None:
            entries = ring.entries()
            if snapshot is not None:
                snapshot[key] = entries
        return entries

    def sent(self, reported):
        """A server has what entries() put into the list `reported`."""
        for ring, end in reported:
            ring.forget_until(end)
            if ring.is_passing and not ring.count:
                self.drop_ring(ring)

    def drop_ring(self, ring):
        for key in list(self.rings):
            if self.rings[key] is ring:
                del self.rings[key]

    def waits_for(self, path):
        """Is something under a path kept for its observer? (storing.py)"""
        oid, iid, rid, _ = path
        for key in self.rings:
            ring = self.rings[key]
            if ring.is_passing and ring.count:
                if oid in (-1, key[0]) and iid in (-1, key[1]) and rid in (-1, key[2]):
                    return True
        return False

    def owns(self, oid, iid, rid):
        """Was cache() asked for? Then the value that stands there is shown, whatever on_read() says."""
        ring = self.rings.get((oid, iid, rid))
        return ring and not ring.is_passing

    def drop(self, oid, iid):
        """What there is of an instance goes with it."""
        for key in list(self.rings):
            if key[:2] == (oid, iid):
                del self.rings[key]


def cache(client, path, size, drops_oldest=False):
    """Keep up to `size` values of a resource with their times. What comes when that is full is dropped, or
    with `drops_oldest` takes the place of the oldest. KeyError where the instance is missing, ValueError where
    the path or the type does not allow it, there is a cache already, or there are `Series.most`."""
    oid, iid, rid, riid, definition = client._resource_at(path)
    tree = client.tree
    series = tree.series or Series(tree)
    if (
        size < 1
        or len(series.rings) >= series.most
        or not series.add_ring(oid, iid, rid, size, drops_oldest, False)
    ):
        raise ValueError("not to be cached: " + path)
    tree.series = series
