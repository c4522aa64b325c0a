# What mpremote needs of `select` to mount a folder: poll() on the console, the board's first UART
# SPDX-License-Identifier: MIT
import machine
from lwm2m_port import ticks_diff, ticks_ms

POLLIN = 1
POLLOUT = 4


class poll:
    """Polls standard input, whatever is registered."""

    def register(self, stream, events=POLLIN):
        self.stream = stream

    def poll(self, timeout=-1):
        start = ticks_ms()
        while not machine.mem32[0x40004004] & 2:
            if 0 <= timeout <= ticks_diff(ticks_ms(), start):
                return []
        return [(self.stream, POLLIN)]

    ipoll = poll
