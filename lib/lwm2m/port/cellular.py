# QuecPython's modem as object 4, Connectivity Monitoring, shows it
# SPDX-License-Identifier: MIT
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


def monitor():
    """The bearer, LTE, and functions for the resources; -1 is the modem's way to say that it does not know."""
    return 6, ((2, signal), (4, address), (8, cell), (9, operator), (10, operator))
