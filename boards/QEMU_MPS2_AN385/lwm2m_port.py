# The emulated MPS2 AN385 board: milliseconds, randomness and datagrams, over its counters and its second UART
# SPDX-License-Identifier: MIT
"""What MicroPython's QEMU port lacks for a network client: no `time`, no `socket`, no `os.urandom` is there.

The host end, tools/emulator/bridge.py, owns the real sockets and speaks over UART1. Each frame, in both directions:
0xA5, kind, channel, length (2 bytes, big-endian), body, sum of all the bytes behind 0xA5 modulo 256.
A frame that does not add up is dropped, as a network would.
"""

import errno as _errno
import machine as _machine
from hashlib import sha256 as _sha256
from micropython import const

_UART = const(0x40005000)
_COUNTER = const(0x40028018)  # FPGAIO: counts up at a rate that PRESCALE sets
_PRESCALE = const(0x4002801C)
_TIMER = const(0x40000000)  # CMSDK timer 0: counts down at 25 MHz
_MASK = const(0x3FFFFFFF)
_SIZE = const(1500)

_HELLO = const(1)  # to the host: empty; back: epoch seconds (4), entropy (32)
_OPEN = const(2)  # to the host: family, port (2), name
_DATA = const(3)
_CLOSE = const(4)

_head = bytearray(4)
_waiting = {}
_state = [None, 0, 0, 0]  # seed, blocks drawn from it, epoch at start, last channel


@micropython.viper
def _write(data, i: int, end: int) -> int:
    source = ptr8(data)
    uart = ptr32(_UART)
    total = 0
    while i < end:
        while uart[1] & 1:
            pass
        c = source[i]
        uart[0] = c
        total += c
        i += 1
    return total


@micropython.viper
def _read(into, start: int, size: int, patience: int) -> int:
    # Returns how many bytes came before none did for so many turns.
    target = ptr8(into)
    uart = ptr32(_UART)
    n = 0
    idle = 0
    while n < size and idle < patience:
        if uart[1] & 2:
            target[start + n] = uart[0]
            n += 1
            idle = 0
        else:
            idle += 1
    return n


@micropython.viper
def _sum(data, size: int) -> int:
    source = ptr8(data)
    total = 0
    i = 0
    while i < size:
        total += source[i]
        i += 1
    return total


@micropython.viper
def ticks_insn() -> int:
    """Ticks of 40 ns, modulo 2**30: under `-icount shift=0` one for 40 instructions."""
    timer = ptr32(_TIMER)
    return (0 - timer[1]) & _MASK


def _send(kind, channel, body, start, end):
    n = end - start
    _machine.mem32[_UART] = 0xA5
    h = _head
    h[0] = kind
    h[1] = channel
    h[2] = n >> 8
    h[3] = n & 255
    total = _write(h, 0, 4) + _write(body, start, end)
    _machine.mem32[_UART] = total & 255


def _receive(patience):
    # Takes one frame from the UART, waiting so many ms for its first byte; data for a channel is kept there until
    # it is asked for.
    h = _head
    start = ticks_ms()
    while True:
        if not _read(h, 0, 1, 100):
            if ticks_diff(ticks_ms(), start) >= patience:
                return None
            continue
        if h[0] != 0xA5 or _read(h, 0, 4, 1000000) < 4:
            continue
        kind = h[0]
        n = h[2] << 8 | h[3]
        queue = _waiting.get(h[1]) if kind == _DATA else None
        if n >= _SIZE:
            continue
        body = bytearray(n)
        total = _sum(h, 4)
        if _read(body, 0, n, 1000000) < n or not _read(h, 0, 1, 1000000):
            continue
        if (total + _sum(body, n) - h[0]) & 255:
            continue
        # A host that sends faster than it is read loses datagrams.
        if queue is not None and len(queue) < 8:
            queue.append(bytes(body))
        return kind, body


def ticks_ms():
    """Milliseconds since the start, modulo 2**30."""
    return _machine.mem32[_COUNTER] & _MASK


def ticks_add(ticks, delta):
    """As time.ticks_add."""
    return (ticks + delta) & _MASK


def ticks_diff(end, start):
    """As time.ticks_diff."""
    return ((end - start + 0x20000000) & _MASK) - 0x20000000


def time():
    """Epoch seconds (1970), from the host's clock at the start; 0 at the start without a host."""
    return _state[2] + ticks_ms() // 1000


def hello(patience=1000):
    """Asks the host for 32 bytes of entropy and the time of day; False if none answers within so many ms."""
    _send(_HELLO, 0, b"", 0, 0)
    while True:
        got = _receive(patience)
        if got is None:
            return False
        if got[0] == _HELLO and len(got[1]) == 36:
            body = got[1]
            _state[2] = int.from_bytes(body[:4], "big") - ticks_ms() // 1000
            _state[0] = _sha256((_state[0] or b"") + body[4:]).digest()
            return True


def urandom(n):
    """n random bytes, from the host's entropy; OSError if there was no host."""
    if not _state[0] and not hello():
        raise OSError(19)
    out = b""
    while len(out) < n:
        _state[1] += 1
        out += _sha256(_state[0] + _state[1].to_bytes(4, "big")).digest()
    # What was drawn cannot be found from what is kept.
    _state[0] = _sha256(_state[0]).digest()
    return out[:n]


def ready(ms=0):
    """Waits until a datagram is there, ms at most; False where none came."""
    start = ticks_ms()
    while True:
        for number in _waiting:
            if _waiting[number]:
                return True
        left = ms - ticks_diff(ticks_ms(), start)
        if not _receive(left if left > 0 else 0) and left <= 0:
            return False


def identity():
    """The board has no name of its own."""
    return None


def restart():
    """Ends the emulator."""
    _machine.reset()


class open_udp:
    """A channel to one server: whole datagrams, never blocking. OSError where it cannot be opened."""

    def __init__(self, host, port, options=None, local=0):
        self.number = number = _state[3] = _state[3] % 255 + 1
        self.queue = _waiting[number] = []
        if options:
            options(self)
        body = bytes((0, port >> 8, port & 255)) + host.encode()
        _send(_OPEN, number, body, 0, len(body))
        while True:
            got = _receive(5000)
            if got is None or got[0] == _OPEN:
                break
        if got is None or got[1][0]:
            _waiting.pop(number)
            raise OSError(_errno.EHOSTUNREACH if got else _errno.ETIMEDOUT)

    def send(self, buf, start, end):
        _send(_DATA, self.number, buf, start, end)

    def recv(self):
        if not self.queue:
            _receive(0)
        if self.queue:
            return self.queue.pop(0)
        return None

    def close(self):
        if _waiting.pop(self.number, None) is not None:
            _send(_CLOSE, self.number, b"", 0, 0)


_machine.mem32[_PRESCALE] = 24999
_machine.mem32[_COUNTER] = 0
_machine.mem32[_TIMER + 8] = 0xFFFFFFFF
_machine.mem32[_TIMER] = 1
_machine.mem32[_UART + 16] = 16
_machine.mem32[_UART + 8] = 3
# QEMU looks for input again when a byte is taken, not when the receiver is switched on.
_machine.mem32[_UART]
