# The last requests that changed something, so that none is done twice (RFC 7252 4.5): in arrays, as there may be many
# SPDX-License-Identifier: MIT
from ..port import module
from .numbers import CREATED

array = module("array").array

_MOST = const(64)
_LIFETIME = const(242)  # EXCHANGE_LIFETIME (RFC 7252 4.8.2), in units of 1,024 ms
_UNIT = const(10)  # a shift: ticks to such units
_MASK = const(0xFFFF)
_MOST_OPTIONS = const(8)


class Recent:
    """Message ids, codes and times of one server's requests. An answer is made anew of its code.

    What else stands in the answer to a Create is kept too, for the last of them: where the instance is."""

    def __init__(self):
        self.clear()

    def clear(self):
        self.mids = array("H")
        self.times = array("H")
        self.codes = bytearray()
        self.next = 0  # the place of the next
        self.options = []  # (place, options)

    def find(self, mid, now):
        """The place of a request with this message id, or -1."""
        mids = self.mids
        for place in range(len(mids)):
            if mids[place] == mid and (now >> _UNIT) - self.times[place] & _MASK < _LIFETIME:
                return place
        return -1

    def add(self, mid, code, now, options):
        """Remember a request, the code of its answer, and the options of that."""
        time = now >> _UNIT & _MASK
        place = self.next
        if len(self.mids) < _MOST:
            self.mids.append(mid)
            self.times.append(time)
            self.codes.append(code)
        else:
            self.mids[place] = mid
            self.times[place] = time
            self.codes[place] = code
            self.options = [kept for kept in self.options if kept[0] != place]
        self.next = (place + 1) % _MOST
        if code == CREATED:
            if len(self.options) >= _MOST_OPTIONS:
                self.options.pop(0)
            self.options.append((place, options))

    def options_of(self, place):
        """The options of an answer, where they are kept, else None."""
        for kept in self.options:
            if kept[0] == place:
                return kept[1]
        return None

    def expire(self, now):
        """Forget all of them once the last one is too old."""
        if self.mids and (now >> _UNIT) - self.times[self.next - 1] & _MASK >= _LIFETIME:
            self.clear()
