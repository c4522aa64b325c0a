# The platform: clock, datagram socket, randomness, identity; a frozen `lwm2m_port` stands in for all of it
# SPDX-License-Identifier: MIT
try:
    from lwm2m_port import (
        identity,
        open_udp,
        ready,
        restart,
        ticks_add,
        ticks_diff,
        ticks_ms,
        time,
        urandom,
    )
except ImportError:
    from .generic import (
        identity,
        open_udp,
        ready,
        restart,
        ticks_add,
        ticks_diff,
        ticks_ms,
        time,
        urandom,
    )
