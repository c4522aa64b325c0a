# The client as an asyncio task: asyncio.create_task(run(client))
# SPDX-License-Identifier: MIT
from .port import module

sleep_ms = module("asyncio").sleep_ms


async def run(client, longest=100):
    """Poll until stop() is done; a datagram waits `longest` ms at the most."""
    while client.active() or client._calls:
        t = client.poll()
        await sleep_ms(longest if t < 0 or t > longest else t)
