# The client as one task of an asyncio program, beside another that measures
# SPDX-License-Identifier: MIT
from lwm2m.port import module, sys

from lwm2m import Client, aio
from lwm2m.model.tables.ipso import TABLE
from lwm2m.objects import sensor

asyncio = module("asyncio")  # old versions call it uasyncio

SERVER = sys.argv[1] if len(sys.argv) > 1 else "coap://lwm2m.example"

client = Client("with-asyncio", SERVER, lifetime=3600)
client.objects(TABLE)
sensor.setup(client)
client.create("/3303/0")


async def measure():
    """Stands for the rest of your program."""
    degrees = 20.0
    while True:
        client.set("/3303/0/5700", degrees)
        degrees = 20.0 if degrees > 25 else degrees + 0.5
        await asyncio.sleep_ms(500)


async def main():
    client.start()
    measuring = asyncio.create_task(measure())
    # The server may end it all: it executes Reboot.
    client.on_exec("/3/0/4", lambda path, arguments: client.stop())
    await aio.run(client)  # until stop() is done
    measuring.cancel()
    print("stopped")


asyncio.run(main())
