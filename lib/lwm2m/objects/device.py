# Object 3, Device (Core 1.1.1 E.4): what the platform knows of itself, the clock, errors, reboot
# SPDX-License-Identifier: MIT
import gc

from ..port import restart, sys, time
from ..model.tree import ON_EXECUTE, ON_CHANGE


def setup(client):
    """Make instance 3/0; the application sets what it knows better, and adds batteries, sensors, ... The clock
    (3/0/13) goes on from what was set; Reboot (3/0/4) is restart() of the platform, and so is Factory Reset
    (3/0/5) where there is no account for a bootstrap; on_exec() replaces either. 3/0/12 clears the errors (3/0/11)."""
    shift = 0  # what the time that was given differs from the platform's
    t = client.tree

    def clock():
        return time() + shift

    def set_clock(o, i, r):
        # the time that a server or the application gave goes on from here
        nonlocal shift
        d = t.objects[o][i]
        v = d.get(r, clock)
        if v is not clock:
            shift = v - time()
            d[r] = clock

    def again(wipe):
        # Factory Reset forgets what a bootstrap brought; on a host the client alone starts anew
        if wipe and client.bootstrap_account() >= 0:
            client.bootstrap(None)
        elif not restart():
            client.register(None)

    def reboot(path, args):
        client.call_soon(again, path[-1] == "5")

    t.objects[3] = {
        0: {
            0: b"MicroPython",
            1: sys.platform.encode(),
            2: b"0",
            3: b"%d.%d.%d" % sys.implementation[1][:3],
            10: lambda: gc.mem_free() >> 10,
            11: {0: 0},
            13: clock,
            14: b"+00:00",
            15: b"UTC",
            16: b"U",
            19: b"0.1.0",
            21: gc.mem_free() + gc.mem_alloc() >> 10,
        }
    }
    t.hooks[3] = [
        (ON_CHANGE, 0, 13, set_clock),
        (ON_EXECUTE, 0, 4, reboot),
        (ON_EXECUTE, 0, 5, reboot),
        (ON_EXECUTE, 0, 12, lambda path, args: t.store(3, 0, 11, -1, {0: 0})),
    ]
