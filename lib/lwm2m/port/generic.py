# Any MicroPython with `socket`, `select` and `time`: unix, ESP32, RP2, ...
# SPDX-License-Identifier: MIT
from . import module, sys

_select = module("select")
_socket = module("socket")
_time = module("time")

_ECONNREFUSED = const(111)  # on Linux and lwIP
MTU = const(1536)  # the longest datagram, bytes

ticks_ms = _time.ticks_ms
ticks_add = _time.ticks_add
ticks_diff = _time.ticks_diff
# ESP32, RP2 and others count from 2000
_EPOCH = 946684800 if _time.localtime(0)[0] == 2000 else 0
_poll = _select.poll()

try:
    urandom = module("os").urandom
except AttributeError:
    # the unix port of 1.13 has no function for it; on a board without it is an OSError
    urandom = lambda n: open("/dev/urandom", "rb").read(n)


def time():
    return int(_time.time()) + _EPOCH


def ready(ms=0):
    try:
        for _ in _poll.ipoll(ms):
            return True
    except OSError:
        pass  # a signal came in between
    return False


def identity():
    try:
        from network import WLAN

        mac = module("binascii").hexlify(WLAN(0).config("mac"))
        return "urn:dev:mac:" + mac.decode().upper()
    except (ImportError, OSError, ValueError):
        return None


def restart():
    try:
        from machine import reset
    except ImportError:
        return False
    reset()


def start_thread(function):
    """Run function() in a thread; ImportError where there are none."""
    import _thread

    if sys.platform != "linux":
        _thread.stack_size(8192)
    _thread.start_new_thread(function, ())


def whole(data):
    # What a socket gives of a longer datagram is its beginning.
    return data if len(data) <= MTU else b""


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
        """False where it did not get out: as good as lost on the air, the retransmission tries again."""
        try:
            self.s.send(memoryview(buf)[start:end])
        except OSError as error:
            # refused by the server's host, which the network has reached
            return error.args[0] == _ECONNREFUSED

    def recv(self):
        """The next datagram, or None; b"" for one that is too long."""
        try:
            return whole(self.s.recv(MTU + 1))
        except OSError:
            return None

    def close(self):
        _poll.unregister(self.s)
        self.s.close()
