# The client as an asyncio task: asyncio.create_task(run(client))
# SPDX-License-Identifier: MIT
from .port import module

sleep_ms = module("asyncio").sleep_ms


async def run(client, longest=100):
    """Poll until stop() is done; a datagram waits `longest` ms at the most."""
    while client._is_running():
        wait = client.poll()
        await sleep_ms(longest if wait < 0 or wait > longest else wait)
