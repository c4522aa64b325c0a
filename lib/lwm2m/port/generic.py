# Any MicroPython with `socket`, `select` and `time`: unix, ESP32, RP2, QuecPython
# SPDX-License-Identifier: MIT
try:
    import usocket as socket
    import uselect as select
    import utime as _time
    import uos as os
except ImportError:
    import socket
    import select
    import time as _time
    import os
import sys
from micropython import const

_MTU = const(1536)

ticks_ms = _time.ticks_ms
ticks_add = _time.ticks_add
ticks_diff = _time.ticks_diff
_poll = select.poll()


def time():
    """Seconds since 1970, or since boot where the clock was never set."""
    t = int(_time.time())
    # ports whose epoch is 2000 (ESP32, RP2)
    return t + 946684800 if _time.gmtime(0)[0] == 2000 else t


def urandom(n):
    """`n` random bytes. QuecPython's `urandom` is C's rand(): the clock and the modem are mixed in."""
    r = os.urandom(n)
    if sys.platform in ("linux", "esp32", "rp2"):
        return r
    from .mixed import mix

    return mix(r)


def ready(ms=0):
    """Wait until a datagram is there, `ms` at most; False where none came."""
    for _ in _poll.ipoll(ms):
        return True
    return False


def identity():
    """The device's own name: `urn:imei:...`, `urn:dev:mac:...`, or None."""
    try:
        import modem

        imei = modem.getDevImei()
        return "urn:imei:" + imei if imei != -1 else None
    except ImportError:
        pass
    try:
        from ubinascii import hexlify
        from network import WLAN

        return "urn:dev:mac:" + hexlify(WLAN(0).config("mac")).decode().upper()
    except (ImportError, OSError, ValueError):
        return None


def restart():
    """Start the device anew; on a host, end the program."""
    try:
        import machine

        machine.reset()
    except (ImportError, AttributeError):
        pass
    try:
        from misc import Power

        Power.powerRestart()
    except ImportError:
        raise SystemExit(3)


class Udp:
    """A channel to one server: whole datagrams, never blocking."""

    HEAD = TAIL = 0
    state = 2
    error = 0

    def __init__(self, host, port, options=None, local=0):
        a = socket.getaddrinfo(host, port, 0, socket.SOCK_DGRAM)[0]
        self.s = s = socket.socket(a[0], socket.SOCK_DGRAM)
        if options:
            options(s)
        if local:
            s.bind(
                socket.getaddrinfo("::" if a[0] == socket.AF_INET6 else "0.0.0.0", local)[0][-1]
            )
        s.connect(a[-1])
        s.setblocking(False)
        _poll.register(s, select.POLLIN)

    def connect(self, now):
        pass

    def poll(self, now):
        return -1

    def feed(self, datagram, now):
        return datagram

    def send(self, buf, start, end):
        try:
            self.s.send(memoryview(buf)[start:end])
        except OSError:
            pass  # lost, as on the air: the retransmission tries again

    def recv(self):
        """The next datagram, or None."""
        try:
            return self.s.recv(_MTU)
        except OSError:
            return None

    def close(self):
        _poll.unregister(self.s)
        self.s.close()


open_udp = Udp
