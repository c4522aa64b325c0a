# Object 4, Connectivity Monitoring: what the platform knows of its network
# SPDX-License-Identifier: MIT
from micropython import const

# kinds of functions, as in tree.py
_READ = const(1)


def wlan():
    """The bearer, and functions for the resources, of MicroPython's WLAN."""
    from network import WLAN

    w = WLAN(0)
    return 21, (
        (2, lambda path, v: w.status("rssi")),
        (4, lambda path, v: {0: w.ifconfig()[0]}),
        (5, lambda path, v: {0: w.ifconfig()[2]}),
    )


def cellular():
    """The same of QuecPython's modem, LTE; -1 is its way to say that it does not know."""
    import dataCall
    import net

    def signal(path, v):
        v = net.csqQueryPoll()
        return 2 * v - 113 if 0 <= v < 32 else None

    def address(path, v):
        v = dataCall.getInfo(1, 0)
        return None if v == -1 else {0: v[2][2]}

    def cell(path, v):
        v = net.getServingCi()
        return None if v == -1 else v

    def operator(path, v):
        v = net.operatorName()
        return None if v == -1 else int(v[3 if path[-1] == "9" else 2])

    return 6, ((2, signal), (4, address), (8, cell), (9, operator), (10, operator))


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
        h.append((_READ, 0, r, f))
