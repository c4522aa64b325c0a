# The platform of the unit tests: ticks of 30 bits as boards have them, no sockets, a clock that tests set
# SPDX-License-Identifier: MIT
import os
import time as _time

# 30 bits, and nothing here is larger: on 32-bit builds an integer of 31 bits is an object
_MASK = 0x3FFFFFFF

# what tests may set
now = None  # ticks in ms; None is the real clock
seconds = 1600000000
random = None  # the value of every random byte; None is really random
restarts = 0
name = None


def ticks_ms():
    return (_time.ticks_ms() if now is None else now) & _MASK


def ticks_add(t, d):
    return (t + d) & _MASK


def ticks_diff(a, b):
    d = (a - b) & _MASK
    return d - _MASK - 1 if d > _MASK >> 1 else d


def time():
    return seconds


def urandom(n):
    return os.urandom(n) if random is None else bytes([random] * n)


def ready(ms=0):
    """There are no sockets, so nothing is ever ready."""
    if ms:
        _time.sleep_ms(min(ms, 2))
    return False


def identity():
    return name


def restart():
    global restarts
    restarts += 1
    return True


def open_udp(host, port, options=None, local=0):
    raise OSError(97)
