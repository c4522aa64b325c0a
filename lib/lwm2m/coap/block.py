# Incoming Block1 transfers (RFC 7959 2.5), put together or streamed; loaded when the first one arrives
# SPDX-License-Identifier: MIT
from micropython import const

from ..port import ticks_diff
from . import CoapError

_LIFE = const(93000)  # an unfinished transfer is forgotten after so many ms
_SLOTS = const(3)


def take(ep, p, now):
    """Take the block in `p`: 2.31 when more are to come, 0 when `p` now holds the whole body.

    Transfers are told apart by method and options, so those of several requests do not mix. What is
    put together is bounded by `owner.max_body`; what is streamed is not: the function that
    `owner.stream(p)` gave gets (offset, data, more) for each block, and may return a code at the end."""
    num = p.b1 >> 4
    more = p.b1 & 8
    szx = p.b1 & 7
    n = p.b - p.a
    if szx == 7 or (more and n != 16 << szx):
        raise CoapError(0x80)
    slot = None
    for s in ep.assembly:
        if ticks_diff(now, s[3]) > _LIFE:
            ep.assembly.remove(s)
            break
        if s[0] == p.key:
            slot = s
    at = num << szx + 4
    if not num:
        if slot:
            ep.assembly.remove(slot)
        elif len(ep.assembly) >= _SLOTS:
            ep.assembly.pop(0)
        body = ep.owner.stream(p) or bytearray()
        if p.size1 > ep.owner.max_body and not callable(body):
            raise CoapError(0x8D, ep.owner.max_body)
        slot = [p.key, body, 0, now]
        ep.assembly.append(slot)
    elif not slot or slot[2] != at:
        raise CoapError(0x88)
    slot[2] = at + n
    slot[3] = now
    body = slot[1]
    data = memoryview(p.d)[p.a : p.b]
    if not more:
        ep.assembly.remove(slot)
    if callable(body):
        code = body(at, data, more)
        if code:
            if more:
                ep.assembly.remove(slot)
            raise CoapError(code)
        return 0x5F if more else 0x44
    try:
        if at + n > ep.owner.max_body:
            raise MemoryError
        body.extend(data)
    except MemoryError:
        if more:
            ep.assembly.remove(slot)
        raise CoapError(0x8D, ep.owner.max_body)
    if more:
        return 0x5F
    p.d = body
    p.a = 0
    p.b = len(body)
    return 0
