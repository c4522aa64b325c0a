# A lamp whose relay takes a while: the server gets its answer when the relay has switched
# SPDX-License-Identifier: MIT
from lwm2m.port import ready, sys, ticks_diff, ticks_ms

from lwm2m import LATER, Client
from lwm2m.model.tables.ipso import TABLE
from lwm2m.objects import light

SERVER = sys.argv[1] if len(sys.argv) > 1 else "coap://lwm2m.example"
SWITCHING = 500  # ms that the relay takes

client = Client("actuator", SERVER, lifetime=3600)
began = None  # when the relay was told to switch


def switch(path, on):
    """A server writes On/Off: the relay is told, and the answer waits."""
    global began
    print("relay", "on" if on else "off")
    began = ticks_ms()
    return LATER


def dim(path, percent):
    """A server writes the dimmer: what returns False is refused (4.00)."""
    return percent <= 80


client.objects(TABLE)
light.setup(client)
client.create("/3311/0")
client.on_write("/3311/0/5850", switch)
client.on_write("/3311/0/5851", dim)
client.on_exec("/3/0/4", lambda path, arguments: print("reboot"))

client.start()
try:
    while client.active():
        wait = client.poll()
        if began is not None and ticks_diff(ticks_ms(), began) >= SWITCHING:
            began = None
            # The write is done now. client.answer(path, CoapError(0xA3)) would refuse it (5.03).
            client.answer("/3311/0/5850")
        ready(50 if wait < 0 else min(wait, 50))
except KeyboardInterrupt:
    client.stop()
    client.run()
