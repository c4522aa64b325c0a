# Incoming Block1 transfers (RFC 7959 2.5), put together or streamed; loaded when the first one arrives
# SPDX-License-Identifier: MIT
from micropython import const

from ..port import ticks_diff
from .message import CoapError

_LIFE = const(93000)  # an unfinished transfer is forgotten after so many ms
_SLOTS = const(3)


class Assembly:
    """Transfers are told apart by method and options, so those of several requests do not mix.

    `limit` bounds a body that is put together; one that is streamed has no bound: the function that
    `owner.stream(packet)` gave gets (offset, data, more) for each block and may return a code at the end."""

    limit = 8192

    def __init__(self, owner):
        self.owner = owner
        self.slots = []

    def take(self, p, now):
        """Take the block in `p`: 2.31 when more are to come, 0 when `p` now holds the whole body."""
        num = p.b1 >> 4
        more = p.b1 & 8
        szx = p.b1 & 7
        n = p.b - p.a
        if szx == 7 or (more and n != 16 << szx):
            raise CoapError(0x80)
        slot = None
        for s in self.slots:
            if s[0] == p.key:
                slot = s
            elif ticks_diff(now, s[3]) > _LIFE:
                self.slots.remove(s)
                break
        at = num << szx + 4
        if not num:
            if slot:
                self.slots.remove(slot)
            elif len(self.slots) >= _SLOTS:
                self.slots.pop(0)
            body = self.owner.stream(p) or bytearray()
            if p.size1 > self.limit and not callable(body):
                raise CoapError(0x8D, self.limit)
            slot = [p.key, body, 0, now]
            self.slots.append(slot)
        elif not slot or slot[2] != at:
            raise CoapError(0x88)
        slot[2] = at + n
        slot[3] = now
        body = slot[1]
        data = memoryview(p.d)[p.a : p.b]
        if not more:
            self.slots.remove(slot)
        if callable(body):
            code = body(at, data, more)
            return 0x5F if more else code or 0x44
        try:
            if at + n > self.limit:
                raise MemoryError
            body.extend(data)
        except MemoryError:
            if more:
                self.slots.remove(slot)
            raise CoapError(0x8D, self.limit)
        if more:
            return 0x5F
        p.d = body
        p.a = 0
        p.b = len(body)
        return 0
