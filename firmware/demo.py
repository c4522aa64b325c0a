# A device with a thermometer: asks a bootstrap server for an account, registers, is managed
# SPDX-License-Identifier: MIT
"""micropython firmware/demo.py BOOTSTRAP_URI [ENDPOINT]

The temperature goes up and down by half a degree a second. Ctrl-C de-registers and ends.
"""

from lwm2m.port import ready, sys, ticks_diff, ticks_ms

from lwm2m import Client
from lwm2m.model.tables.ipso import TABLE

client = Client(sys.argv[2] if len(sys.argv) > 2 else "demo")
path = "/3303/0"


def measured(value):
    """Show a new temperature, and what it makes of the minimum and the maximum."""
    with client.lock():
        client.set(path + "/5700", value)
        if value < client.get(path + "/5601"):
            client.set(path + "/5601", value)
        if value > client.get(path + "/5602"):
            client.set(path + "/5602", value)


def reset(path_, arguments):
    """The server executes "Reset Min and Max Measured Values"."""
    print("reset of minimum and maximum")
    value = client.get(path + "/5700")
    with client.lock():
        client.set(path + "/5601", value)
        client.set(path + "/5602", value)


def main():
    client.objects(TABLE)
    client.create(path)
    for rid, value in ((5700, 20.0), (5601, 20.0), (5602, 20.0), (5701, "Cel")):
        client.set(path + "/%d" % rid, value)
    client.on_exec(path + "/5605", reset)
    client.event(lambda name, ssid: print(name, "server", ssid))

    # The account of the bootstrap server: address, "it is one", NoSec.
    for rid, value in ((0, sys.argv[1]), (1, True), (2, 3)):
        client.set("/0/0/%d" % rid, value)
    client.start(bootstrap=True)

    value, step, last = 20.0, 0.5, ticks_ms()
    while client.active():
        try:
            wait = client.poll()
            if ticks_diff(ticks_ms(), last) >= 1000:
                last = ticks_ms()
                value += step
                if not 15 < value < 25:
                    step = -step
                measured(value)
            # Until a datagram comes, or something is due here or there.
            ready(200 if wait < 0 or wait > 200 else wait)
        except KeyboardInterrupt:
            client.stop()


if len(sys.argv) < 2:
    print("usage: demo.py BOOTSTRAP_URI [ENDPOINT]")
    sys.exit(2)
main()
