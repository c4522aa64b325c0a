# The device code on MicroPython's unix port, driven from the asynchronous tests of the desk server.
# SPDX-License-Identifier: MIT

import asyncio
import contextlib
import sys
from pathlib import Path

INTEROP = Path(__file__).resolve().parents[1] / "interop"
sys.path.insert(0, str(INTEROP))

from certificates import as_bytes, issue
from device import Device, pack

__all__ = ["as_bytes", "device", "issue", "pack"]


class Driven:
    """A Device whose methods are awaited: `await each.new(...)`, `await each.wait("REGISTRATION_COMPLETE")`."""

    def __init__(self, inner):
        self._inner = inner

    def __getattr__(self, name):
        def call(*args, **kw):
            return asyncio.to_thread(getattr(self._inner, name), *args, **kw)

        return call


@contextlib.asynccontextmanager
async def device(endpoint, uri, sensor=False, **options):
    """A client that is made, and not started; with `sensor` it has /3303/0."""
    inner = Device()
    await asyncio.to_thread(inner.power_on)
    driven = Driven(inner)
    try:
        tables = ["lwm2m.model.tables.ipso", "lwm2m.model.tables.standard"]
        await driven.new(endpoint, uri, tables, **{"lifetime": 60, **options})
        if sensor:
            await driven.give("/3303/0/5700", 21.5)
        yield driven
    finally:
        await asyncio.to_thread(inner.power_off)
