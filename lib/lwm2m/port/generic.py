# Any MicroPython with `socket`, `select` and `time`: unix, ESP32, RP2, ...
# SPDX-License-Identifier: MIT
try:
    import uselect as _select
    import usocket as _socket
    import utime as _time
    from uos import urandom
except ImportError:
    import select as _select
    import socket as _socket
    import time as _time
    from os import urandom

_MTU = const(1536)

ticks_ms = _time.ticks_ms
ticks_add = _time.ticks_add
ticks_diff = _time.ticks_diff
# ESP32, RP2 and others count from 2000
_EPOCH = 946684800 if _time.gmtime(0)[0] == 2000 else 0
_poll = _select.poll()


def time():
    return int(_time.time()) + _EPOCH


def ready(ms=0):
    for _ in _poll.ipoll(ms):
        return True
    return False


def identity():
    try:
        from network import WLAN
        from ubinascii import hexlify

        return "urn:dev:mac:" + hexlify(WLAN(0).config("mac")).decode().upper()
    except (ImportError, OSError, ValueError):
        return None


def restart():
    try:
        from machine import reset
    except ImportError:
        return False
    reset()


class open_udp:
    """A socket toward one server: whole datagrams, never blocking."""

    def __init__(self, host, port, options=None, local=0):
        a = _socket.getaddrinfo(host, port)[0]
        self.s = s = _socket.socket(a[0], _socket.SOCK_DGRAM)
        _poll.register(s, _select.POLLIN)
        try:
            if options:
                options(s)
            if local:
                s.setsockopt(_socket.SOL_SOCKET, _socket.SO_REUSEADDR, 1)
                any = "::" if a[0] == _socket.AF_INET6 else "0.0.0.0"
                s.bind(_socket.getaddrinfo(any, local)[0][-1])
            self.aim(a[-1])
            s.setblocking(False)
        except Exception:
            self.close()
            raise

    def aim(self, address):
        self.s.connect(address)

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
