# The platform: clock, datagram socket, randomness, identity; a board's own `lwm2m_port` stands in for all of it
# SPDX-License-Identifier: MIT
#
# ticks_ms(), ticks_add(t, ms), ticks_diff(t, t); time() whole seconds since 1970; urandom(n) bytes fit for keys, or
# OSError; ready(ms=0) waits so long for a datagram, True where there is one; identity() the device's own name or
# None; restart() starts it anew, True, or False where it can't; open_udp(host, port, options, local) a channel:
# send(buf, start, end), where a loss raises nothing, recv() a whole datagram as bytes or None at once (b"" for one
# that is too long), close(). `options` is set_socketoptions or None, `local` the port to bind or 0. pdp(), where
# there is one, gives (active, APN) to quectel.py; online(), where there is one, is True as long as there is a network;
# start_thread(fn), where there are threads. Beside these, the modules of MicroPython that everything here imports from
# this file, and cellular.py for object 4.


def module(name):
    """MicroPython's own module of this name. QuecPython, and old versions for some, know it as `u` and the name alone."""
    try:
        return __import__("u" + name)
    except ImportError:
        return __import__(name)


def sooner(wait, other):
    """The shorter of two waits in ms, where -1 is a wait for nothing."""
    return other if 0 <= other < wait or wait < 0 else wait


sys = module("sys")
binascii = module("binascii")
struct = module("struct")

# False where floats have single precision, and so no room for seconds since 1970
DOUBLE = 1e9 + 1 > 1e9

try:
    from lwm2m_port import *
except ImportError:
    try:
        from .quecpython import *
    except ImportError:
        from .generic import *
