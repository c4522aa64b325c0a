# Object 4, Connectivity Monitoring: what the platform knows of its network
# SPDX-License-Identifier: MIT
from ..model.tree import ON_READ


def wlan():
    """The bearer, and functions for the resources, of MicroPython's WLAN."""
    from network import WLAN

    w = WLAN(0)
    return 21, (
        (2, lambda path, v: w.status("rssi")),
        (4, lambda path, v: {0: w.ifconfig()[0]}),
        (5, lambda path, v: {0: w.ifconfig()[2]}),
    )


def setup(client):
    """Make instance 4/0; what the platform does not tell (on a host, all but the bearer) the application
    sets: 2 signal strength (dBm), 4 addresses ({0: "10.0.0.1"}), 7 APN, ..."""
    try:
        from ..port.cellular import monitor
    except ImportError:
        monitor = wlan
    try:
        bearer, hooks = monitor()
    except ImportError:
        bearer = 41
        hooks = ()
    t = client.tree
    t.objects[4] = {0: {0: bearer, 1: {0: bearer}, 2: 0, 4: {0: b"0.0.0.0"}}}
    h = t.hooks.setdefault(4, [])
    for r, f in hooks:
        h.append((ON_READ, 0, r, f))
