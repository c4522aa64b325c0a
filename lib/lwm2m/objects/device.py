# Object 3, Device (Core 1.1.1 E.4): what the platform knows of itself, the clock, errors, reboot
# SPDX-License-Identifier: MIT
import gc
import sys

from ..port import restart, time
from ..tree import CHANGED, EXEC, READ


class Device:
    def __init__(self, client):
        self.client = client
        self.shift = 0  # what a server's time differs from the platform's

    def clock(self, path, v):
        return time() + self.shift

    def set_clock(self, o, i, r):
        # the time that a server or the application gave goes on from here
        v = self.client.tree.inst[o][i].pop(r, None)
        if v is not None:
            self.shift = v - time()

    def free(self, path, v):
        return gc.mem_free() >> 10 if v is None else v

    def reset_errors(self, path, args):
        self.client.tree.put(3, 0, 11, -1, {0: 0})

    def reboot(self, path, args):
        self.client.later(self.again, path[-1] == "5")

    def again(self, wipe):
        # Factory Reset forgets what a bootstrap brought; on a host the client alone starts anew
        c = self.client
        if wipe and c.bootstrap_account() >= 0:
            c.bootstrap(None)
        elif not restart():
            c.register(None)


def setup(client):
    """Make instance 3/0; the application sets what it knows better, and adds batteries, sensors, ..."""
    d = Device(client)
    t = client.tree
    t.inst[3] = {
        0: {
            0: b"MicroPython",
            1: sys.platform.encode(),
            2: b"0",
            3: sys.version.split()[0].encode(),
            11: {0: 0},
            14: b"+00:00",
            15: b"UTC",
            16: b"U",
            19: b"0.1.0",
            21: gc.mem_free() + gc.mem_alloc() >> 10,
        }
    }
    t.hooks[3] = [
        (READ, 0, 13, d.clock),
        (CHANGED, 0, 13, d.set_clock),
        (READ, 0, 10, d.free),
        (EXEC, 0, 4, d.reboot),
        (EXEC, 0, 5, d.reboot),
        (EXEC, 0, 12, d.reset_errors),
    ]
