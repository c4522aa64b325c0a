# The platform of the unit tests: ticks of 30 bits as boards have them, no sockets, a clock that tests set
# SPDX-License-Identifier: MIT
from lwm2m.port import module

_time = module("time")

# 30 bits, and nothing here is larger: on 32-bit builds an integer of 31 bits is an object
_MASK = 0x3FFFFFFF

# what tests may set
now = None  # ticks in ms; None is the real clock
seconds = 1600000000
random = (
    None  # the value of every random byte; None is the next of a series, the same in every run
)
restarts = 0
can_restart = True
name = None
trouble = None  # called with each comparison of ticks: here tests bring about what may happen at any time
no_random = False  # urandom() raises
asked = None  # what open_udp() was called with last


def ticks_ms():
    return (_time.ticks_ms() if now is None else now) & _MASK


def ticks_add(t, d):
    # without a sum of 31 bits on the way, which MicroPython 1.13 would keep as an object
    t -= _MASK - (d & _MASK)
    return t - 1 if t > 0 else t + _MASK


def ticks_diff(a, b):
    if trouble:
        trouble()
    d = (a - b) & _MASK
    return d - _MASK - 1 if d > _MASK >> 1 else d


def time():
    return seconds


class Random:
    """The same numbers on every port and in every run."""

    def __init__(self, seed):
        self.x = seed

    def below(self, n):
        self.x = (self.x * 1103515245 + 12345) & 0x7FFFFFFF
        return (self.x >> 8) % n


series = Random(1)


def urandom(n):
    if no_random:
        raise OSError(5)
    return bytes([series.below(256) if random is None else random for _ in range(n)])


def ready(ms=0):
    """There are no sockets, so nothing is ever ready."""
    if ms:
        _time.sleep_ms(min(ms, 2))
    return False


def identity():
    return name


def restart():
    global restarts
    if not can_restart:
        return False
    restarts += 1
    return True


def start_thread(function):
    import _thread

    _thread.start_new_thread(function, ())


def open_udp(host, port, options=None, local=0):
    global asked
    asked = host, port, options, local
    raise OSError(97)
