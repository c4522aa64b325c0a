# Object 4, Connectivity Monitoring: what the platform knows of its network
# SPDX-License-Identifier: MIT
from ..tree import READ


def wlan():
    """Bearer and functions for the resources, of MicroPython's WLAN."""
    from network import WLAN

    w = WLAN(0)
    return 21, (
        (2, lambda path, v: w.status("rssi")),
        (4, lambda path, v: {0: w.ifconfig()[0]}),
        (5, lambda path, v: {0: w.ifconfig()[2]}),
    )


def cellular():
    """The same of QuecPython's modem; LTE."""
    import dataCall
    import net

    return 6, (
        (2, lambda path, v: 2 * net.csqQueryPoll() - 113),
        (4, lambda path, v: {0: dataCall.getInfo(1, 0)[2][2]}),
        (8, lambda path, v: net.getServingCi()),
        (9, lambda path, v: net.getServingMnc()),
        (10, lambda path, v: net.getServingMcc()),
        (12, lambda path, v: net.getServingLac()),
    )


def setup(client):
    """Make instance 4/0; what the platform does not tell (on a host, all but the bearer) the application
    sets: 2 signal strength (dBm), 4 addresses, 7 APN, ..."""
    bearer = 41
    hooks = ()
    for f in (cellular, wlan):
        try:
            bearer, hooks = f()
            break
        except ImportError:
            pass
    t = client.tree
    t.inst[4] = {0: {0: bearer, 1: {0: bearer}, 2: 0, 4: {0: b"0.0.0.0"}}}
    h = t.hooks.setdefault(4, [])
    for r, f in hooks:
        h.append((READ, 0, r, f))
