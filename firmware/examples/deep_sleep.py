# Wakes up, measures, tells the server, and goes to deep sleep: the registration goes on all the while
# SPDX-License-Identifier: MIT
from lwm2m.port import binascii, ready, sys, time

from lwm2m import Client
from lwm2m.model.tables.ipso import TABLE
from lwm2m.objects import sensor
from lwm2m.storage import Files

SERVER = sys.argv[1] if len(sys.argv) > 1 else "coaps://lwm2m.example"
SLEEP = 600  # seconds, well below the lifetime
kept = Files("kept")  # a folder; a power cut leaves the old or the new in it, nothing in between


def heard(name, ssid):
    global done
    print(name)
    # All is said, and nothing came for `awake_time`; or it failed, and the next wake-up is the next attempt.
    done = done or name in ("QUEUE_MODE_RX_OFF", "REGISTRATION_FAILURE", "REG_TIMEOUT")


done = False
client = Client(
    "sleeper",
    SERVER,
    identity="sleeper",
    key=binascii.unhexlify("000102030405060708090a0b0c0d0e0f"),
    lifetime=86400,
    binding="UQ",  # queue mode: the server keeps its requests until the client is heard of
    awake_time=3,
    load=kept.load,
    save=kept.save,
)
client.event(heard)
client.objects(TABLE)
sensor.setup(client)
client.create("/3303/0")
client.set("/3303/0/5700", 20 + time() % 10)  # stands for a measurement

# The DTLS session is resumed, the registration is known still: an Update goes out, and what is observed.
client.start()
while not done:
    wait = client.poll()
    ready(1000 if wait < 0 else min(wait, 1000))
client.pause()  # saves what is to outlive the sleep

try:
    from machine import deepsleep
except ImportError:
    print("asleep")  # on a computer the next run of this program is the wake-up
else:
    deepsleep(SLEEP * 1000)
