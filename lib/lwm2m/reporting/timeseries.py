# Time series: what is set is kept with its time, until a notification or Send has brought it to a server
# SPDX-License-Identifier: MIT
from ..port import DOUBLE, module, time

array = module("array").array

# a ring: entry number n is at n % size, from _END - _COUNT to _END - 1
_TIMES = const(0)
_VALUES = const(1)
_END = const(2)
_COUNT = const(3)
_OLDEST = const(4)
_BOOLEAN = const(5)
_PASSING = const(6)  # True where it goes once it is empty: what store.py made

_STEP = 0.001953125


class Series:
    """The rings of a client's resources, as `tree.series`. Bound: `most`; `dropped` counts what was lost."""

    most = 4
    dropped = 0

    def __init__(self, tree):
        self.tree = tree
        self.rings = {}

    def add(self, o, i, r, v):
        """Take down value `v`, if the resource is cached and there is room."""
        x = self.rings.get((o, i, r))
        if x and v is not None:
            size = len(x[_TIMES])
            end = x[_END]
            t = time()
            if x[_COUNT]:
                last = x[_TIMES][(end - 1) % size]
                if DOUBLE and t <= last < t + 1:
                    # a time of its own for each, in their order, and apart in ms
                    t = last + _STEP
                if x[_COUNT] == size:
                    self.dropped += 1
                    if not x[_OLDEST]:
                        return
                    x[_COUNT] -= 1
            x[_TIMES][end % size] = t
            x[_VALUES][end % size] = v
            x[_COUNT] += 1
            x[_END] = end + 1

    def entries(self, o, i, r):
        """[(seconds since 1970, value), ...] of a cached resource, oldest first; None where it is not.
        For the formats that have times; `tree.used`, if it is a list, learns what a message tells."""
        x = self.rings.get((o, i, r))
        t = self.tree
        if not x or x[_PASSING] and t.reported is None:
            return None
        m = t.snapshot
        if t.reported is not None:
            t.reported.append((x, x[_END]))
        # of a body in several blocks the later ones show what the first one showed
        v = m.get((o, i, r, -1)) if m else None
        if v is None:
            size = len(x[_TIMES])
            v = []
            for n in range(x[_END] - x[_COUNT], x[_END]):
                at = x[_TIMES][n % size]
                y = x[_VALUES][n % size]
                v.append((int(at) if at == int(at) else at, y > 0 if x[_BOOLEAN] else y))
            if m is not None:
                m[o, i, r, -1] = v
        return v

    def sent(self, used):
        """A server has what entries() put into the list `used`."""
        for x, end in used:
            x[_COUNT] = min(x[_COUNT], x[_END] - end)
            for k in list(self.rings):
                if x[_PASSING] and not x[_COUNT] and self.rings[k] is x:
                    del self.rings[k]

    def kept(self, o, i, r):
        """True where something under a path waits for its observer (store.py)."""
        for k in self.rings:
            x = self.rings[k]
            if x[_PASSING] and x[_COUNT] and k[0] == o and i in (-1, k[1]) and r in (-1, k[2]):
                return True
        return False

    def owns(self, o, i, r):
        """True where cache() was asked for: the value that stands there is shown, whatever on_read() says."""
        x = self.rings.get((o, i, r))
        return x and not x[_PASSING]

    def drop(self, o, i):
        """What there is of an instance goes with it."""
        for k in list(self.rings):
            if k[:2] == (o, i):
                del self.rings[k]

    def ring(self, o, i, r, row, n, oldest, passing):
        """Make the ring of a resource; False where there is one, or the type does not allow it."""
        # by type, and not for what has instances
        code = {2: "q", 3: "d", 4: "b", 6: "q", 8: "Q"}.get(row & 0x80F)
        if not code or (o, i, r) in self.rings:
            return False
        zero = [0] * n
        times = array("d" if DOUBLE else "I", zero)
        self.rings[o, i, r] = [times, array(code, zero), 0, 0, oldest, code == "b", passing]
        return True


def cache(client, path, n, oldest=False):
    """Keep up to `n` values of a resource with their times. What comes when that is full is dropped, or
    with `oldest` takes the place of the oldest. KeyError where the instance is missing, ValueError where the
    path or the type does not allow it, there is a cache already, or there are `Series.most`."""
    o, i, r, ri, row = client.resource_at(path)
    t = client.tree
    s = t.series or Series(t)
    if n < 1 or len(s.rings) >= s.most or not s.ring(o, i, r, row, n, oldest, False):
        raise ValueError("not to be cached: " + path)
    t.series = s
