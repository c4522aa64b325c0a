# The platform: clock, datagram socket, randomness, identity; a board's own `lwm2m_port` stands in for all of it
# SPDX-License-Identifier: MIT
#
# ticks_ms(), ticks_add(t, ms), ticks_diff(t, t); time() whole seconds since 1970; urandom(n) bytes fit for keys, or
# OSError; ready(ms=0) waits so long for a datagram, True where there is one; identity() the device's own name or
# None; restart() starts it anew, True, or False where it can't; open_udp(host, port, options, local) a channel:
# send(buf, start, end), where a loss raises nothing, recv() a datagram as bytes or None at once, close(). `options`
# is set_socketoptions or None, `local` the port to bind or 0. pdp(), where there is one, gives (active, APN) to
# quectel.py. Beside these, two modules by the one name that all MicroPythons have for them, and cellular.py for
# object 4.
try:
    import ubinascii as binascii
    import ustruct as struct
except ImportError:
    import binascii
    import struct

try:
    from lwm2m_port import *
except ImportError:
    try:
        from .quecpython import *
    except ImportError:
        from .generic import *
