# Types of the asyncio runner
# SPDX-License-Identifier: MIT
from . import Client

async def run(client: Client, longest: int = 100) -> None: ...
