# A thermometer that servers read and observe
# SPDX-License-Identifier: MIT
from lwm2m.port import ready, sys, ticks_diff, ticks_ms

from lwm2m import Client
from lwm2m.model.tables.ipso import TABLE
from lwm2m.objects import sensor

SERVER = sys.argv[1] if len(sys.argv) > 1 else "coap://lwm2m.example"
EVERY = 1000  # ms from one measurement to the next


def measure():
    """Stands for the sensor of your board: degrees Celsius."""
    return 20 + ticks_ms() // 100 % 50 / 10


client = Client("sensor", SERVER, lifetime=3600)
client.objects(TABLE)  # the definitions of IPSO's objects
sensor.setup(client)  # minimum, maximum and unit come by themselves
client.create("/3303/0")
client.event(lambda name, ssid: print(name))

client.start()
last = ticks_ms()
try:
    while client.active():
        wait = client.poll()
        if ticks_diff(ticks_ms(), last) >= EVERY:
            last = ticks_ms()
            # Servers that observe the value are told, as often as they want to be.
            client.set("/3303/0/5700", measure())
        # Until a datagram comes, the client has something to do, or it is time to measure.
        ready(EVERY if wait < 0 else min(wait, EVERY))
except KeyboardInterrupt:
    client.stop()
    client.run()  # until the de-registration is done
