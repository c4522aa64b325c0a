# QuecPython modules: the modem's identity and power, and randomness worth the name
# SPDX-License-Identifier: MIT
import modem as _modem
from misc import Power as _Power

from . import module
from .generic import *
from .generic import MTU, whole
from .generic import open_udp as _udp
from .generic import urandom as _urandom

_hashlib = module("hashlib")
_time = module("time")
_MOST_FOREIGN = const(16)
_COLLECT = const(8192)  # bytes of heap that are taken between two collections
_pool = b""

try:
    _gc = module("gc")
    # The application's own setting stays. By itself MicroPython collects when the heap is full: what lives long is
    # by then all over it, and no datagram finds room.
    if _gc.threshold() < 0:
        _gc.threshold(_COLLECT)
except (ImportError, AttributeError):
    pass  # not in this firmware


def urandom(n):
    """`uos.urandom` is C's rand() there: what the radio measures and when is hashed into a pool."""
    global _pool
    out = b""
    while len(out) < n:
        try:
            import net

            radio = net.getSignal()
        except (ImportError, AttributeError):
            radio = None
        h = _hashlib.sha256(_pool)
        h.update(_urandom(32))
        h.update(
            repr((_time.ticks_us(), _time.time(), radio, _Power.getVbatt(), identity())).encode()
        )
        _pool = h.digest()
        h = _hashlib.sha256(b"out")
        h.update(_pool)
        out += h.digest()
    return out[:n]


def identity():
    imei = _modem.getDevImei()
    return "urn:imei:" + imei if isinstance(imei, str) else None


def restart():
    _Power.powerRestart()


def pdp():
    """(active, APN) of the first PDP context."""
    import dataCall

    up = dataCall.getInfo(1, 0)
    # Firmware of 2021 has getApn() alone, of a SIM card and its context; -1 is no answer.
    for get in (
        lambda: dataCall.getPDPContext(1)[1],
        lambda: dataCall.getApn(0, 1),
        lambda: dataCall.getApn(0),
    ):
        try:
            apn = get()
            if isinstance(apn, str):
                break
        except (AttributeError, TypeError):
            pass
    else:
        apn = ""
    return up != -1 and up[2][0] == 1, apn


def online():
    import dataCall

    up = dataCall.getInfo(1, 0)
    return up != -1 and up[2][0] == 1


def start_thread(function):
    """Run function() in a thread. Its stack has 8 KiB, as is: stack_size() counts words there, from 32 KiB on."""
    import _thread

    _thread.start_new_thread(function, ())


class open_udp(_udp):
    """The sockets there send by sendto() to a numeric address; datagrams of others are passed over."""

    def aim(self, address):
        self.a = address

    def send(self, buf, start, end):
        try:
            self.s.sendto(bytes(memoryview(buf)[start:end]), self.a)
        except OSError:
            return False

    def recv(self):
        try:
            # a few at a time, so that others can't keep the caller here
            for _ in range(_MOST_FOREIGN):
                d, a = self.s.recvfrom(MTU + 1)
                if a[:2] == self.a[:2]:
                    return whole(d)
        except OSError:
            pass
        return None
