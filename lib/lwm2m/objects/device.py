# Object 3, Device (Core 1.1.1 E.4): what the platform knows of itself, the clock, errors, reboot
# SPDX-License-Identifier: MIT
import gc

from ..ids import (
    CURRENT_TIME,
    DEVICE,
    ERROR_CODE,
    FACTORY_RESET,
    FIRMWARE_VERSION,
    MANUFACTURER,
    MEMORY_FREE,
    MEMORY_TOTAL,
    MODEL_NUMBER,
    REBOOT,
    RESET_ERROR_CODE,
    SERIAL_NUMBER,
    SOFTWARE_VERSION,
    SUPPORTED_BINDINGS,
    TIMEZONE,
    UTC_OFFSET,
)
from ..model.tree import ON_CHANGE, ON_EXECUTE
from ..port import restart, sys, time

_KILOBYTE = const(10)  # a shift
_NO_ERROR = const(0)


def setup(client):
    """Make instance 3/0; the application sets what it knows better, and adds batteries, sensors, ... The clock
    (3/0/13) goes on from what was set; Reboot (3/0/4) is restart() of the platform, and so is Factory Reset
    (3/0/5) where there is no account for a bootstrap; on_exec() replaces either. 3/0/12 clears the errors (3/0/11)."""
    shift = 0  # seconds that the time that was given is ahead of the platform's
    free = 0  # KB of memory, as counted in the second `counted` of the client's clock
    counted = -1
    tree = client.tree

    def clock():
        return time() + shift

    def memory_free():
        # to count goes through the whole heap: once a second is enough
        nonlocal free, counted
        if counted != client.now_s:
            counted = client.now_s
            free = gc.mem_free() >> _KILOBYTE
        return free

    def set_clock(oid, iid, rid):
        # the time that a server or the application gave goes on from here
        nonlocal shift
        values = tree.objects[oid][iid]
        given = values.get(rid, clock)
        if given is not clock:
            shift = given - time()
            values[rid] = clock

    def begin_anew(wipe):
        # Factory Reset forgets what a bootstrap brought; on a host the client alone starts anew
        if wipe and client._bootstrap_account() >= 0:
            client._bootstrap(None)
        elif not restart():
            client._register(None)

    def clear_errors(path, arguments):
        tree.store(DEVICE, 0, ERROR_CODE, -1, {0: _NO_ERROR})

    tree.objects[DEVICE] = {
        0: {
            MANUFACTURER: b"MicroPython",
            MODEL_NUMBER: sys.platform.encode(),
            SERIAL_NUMBER: b"0",
            FIRMWARE_VERSION: b"%d.%d.%d" % sys.implementation[1][:3],
            MEMORY_FREE: memory_free,
            ERROR_CODE: {0: _NO_ERROR},
            CURRENT_TIME: clock,
            UTC_OFFSET: b"+00:00",
            TIMEZONE: b"UTC",
            SUPPORTED_BINDINGS: b"U",
            SOFTWARE_VERSION: b"0.1.0",
            MEMORY_TOTAL: gc.mem_free() + gc.mem_alloc() >> _KILOBYTE,
        }
    }
    for kind, rid, function in (
        (ON_CHANGE, CURRENT_TIME, set_clock),
        # the answer to the request goes out first
        (ON_EXECUTE, REBOOT, lambda path, arguments: client.call_soon(begin_anew, False)),
        (ON_EXECUTE, FACTORY_RESET, lambda path, arguments: client.call_soon(begin_anew, True)),
        (ON_EXECUTE, RESET_ERROR_CODE, clear_errors),
    ):
        tree.add_hook(kind, DEVICE, 0, rid, function)
