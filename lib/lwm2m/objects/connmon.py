# Object 4, Connectivity Monitoring: what the platform knows of its network
# SPDX-License-Identifier: MIT
from ..ids import (
    AVAILABLE_BEARERS,
    CONNECTIVITY_MONITORING,
    IP_ADDRESSES,
    NETWORK_BEARER,
    ROUTER_ADDRESSES,
    SIGNAL_STRENGTH,
)
from ..model.tree import ON_READ

# network bearers (4/0/0)
_WLAN = const(21)
_ETHERNET = const(41)

_ROUTER = const(2)  # in what ifconfig() gives; the address is the first


def wlan():
    """The bearer, and (rid, function) for the resources, of MicroPython's WLAN."""
    from network import WLAN

    station = WLAN(0)
    return _WLAN, (
        (SIGNAL_STRENGTH, lambda path, value: station.status("rssi")),
        (IP_ADDRESSES, lambda path, value: {0: station.ifconfig()[0]}),
        (ROUTER_ADDRESSES, lambda path, value: {0: station.ifconfig()[_ROUTER]}),
    )


def setup(client):
    """Make instance 4/0; what the platform does not tell (on a host, all but the bearer) the application
    sets: 2 signal strength (dBm), 4 addresses ({0: "10.0.0.1"}), 7 APN, ..."""
    try:
        from ..port.cellular import monitor
    except ImportError:
        monitor = wlan
    try:
        bearer, functions = monitor()
    except ImportError:
        bearer = _ETHERNET
        functions = ()
    tree = client.tree
    tree.objects[CONNECTIVITY_MONITORING] = {
        0: {
            NETWORK_BEARER: bearer,
            AVAILABLE_BEARERS: {0: bearer},
            SIGNAL_STRENGTH: 0,
            IP_ADDRESSES: {0: b"0.0.0.0"},
        }
    }
    for rid, function in functions:
        tree.add_hook(ON_READ, CONNECTIVITY_MONITORING, 0, rid, function)
