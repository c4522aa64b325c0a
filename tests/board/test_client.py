# The client on the emulated Cortex-M3 against a real server: registered, managed and observed, in small heaps too
# SPDX-License-Identifier: MIT
from __future__ import annotations

import asyncio
import os
import sys
import threading
from pathlib import Path

import pytest

from tools.server import Server

sys.path.append(str(Path(__file__).parent.parent / "interop"))

# Sent in one piece: a 24 KB heap must hold its source and the client. The server ends it by writing /3/0/14.
APPLICATION = """
from lwm2m import Client
import gc
import lwm2m_port as p
end = []
c = Client("qemu", "%s", lifetime=60%s)
c.set("/3/0/9", 50)
c.on_write("/3/0/14", lambda *a: end.append(1))
c.start()
t = p.ticks_ms()
n = 50
most = 0
while c.active():
    c.poll()
    p.ready(20)
    if p.ticks_diff(p.ticks_ms(), t) > 300:
        t = p.ticks_ms()
        n += 1
        c.set("/3/0/9", n %% 100)
        if n %% 10 == 0:
            c.update()
    most = max(most, gc.mem_alloc())
    if end and c.stat() == 2:
        end.clear()
        c.stop()
gc.collect()
print("done", gc.mem_alloc())
"""


async def manage(server: Server) -> None:
    """Everything that a server does with a device, as the board answers it."""
    device = (await server.wait("register", "qemu", 20)).device
    assert (await device.read("/3/0/9")).value >= 50
    everything = await device.read("/3/0")
    assert everything.code == "2.05" and 9 in everything.value
    assert (await device.discover("/3")).code == "2.05"
    assert (await device.read("/3/0/77")).code == "4.04"
    assert (await device.read("/0/0/0")).code == "4.01"
    assert (await device.write("/1/0/1", 120)).code == "2.04"
    assert (await server.wait("update", "qemu", 20)).kind == "update"
    assert (await device.attributes("/3/0/9", pmin=0, pmax=10)).code == "2.04"
    observation = await device.observe("/3/0/9")
    assert observation.active
    values = [(await observation.next(10)).value for _ in range(3)]
    assert len(set(values)) == 3
    assert (await observation.cancel()).code == "2.05"
    assert (await device.execute("/1/0/8")).code == "2.04"
    assert (await server.wait("update", "qemu", 20)).kind == "update"
    assert (await device.write("/3/0/14", "+01:00")).code == "2.04"
    await server.wait("deregister", "qemu", 20)


async def session(board, application: str) -> str:
    async with Server(timeout=15) as server:
        code = application % (server.uri, ", szx=2")
        running = asyncio.create_task(asyncio.to_thread(board.exec, code, timeout=100))
        managing = asyncio.create_task(manage(server))
        try:
            await asyncio.wait({running, managing}, return_when=asyncio.FIRST_COMPLETED)
            if not running.done():
                await managing
        except BaseException:
            # The thread ends with the board.
            board.close()
            await asyncio.gather(running, return_exceptions=True)
            raise
        finally:
            managing.cancel()
        return await asyncio.wait_for(running, 20)


@pytest.mark.parametrize(
    ("profile", "heap"), [("core", None), ("core", 24576), ("standard", None), ("full", None)]
)
def test_registers_and_is_managed(boot, profile, heap):
    board = boot(profile, heap, network=True)
    out = asyncio.run(session(board, APPLICATION))
    assert out.startswith("done")


def test_registers_and_is_managed_in_place_from_romfs(boot):
    from tools.build import mpy, profiles
    from tools.check.size import WORK

    rom = mpy.romfs_image(profiles.files("core"), WORK / "rom-test")
    board = boot("none", network=True, rom=rom)
    assert board.exec("import lwm2m.client; print(lwm2m.client.__file__)") == (
        "/rom/lwm2m/client.mpy\n"
    )
    out = asyncio.run(session(board, APPLICATION))
    assert out.startswith("done")


@pytest.fixture(scope="module")
def leshan(need):
    """Leshan's server with Connection IDs."""
    from leshan import Leshan

    need("java", "mvn")
    with Leshan(cid=6) as server:
        yield server


@pytest.mark.parametrize(("profile", "heap"), [("standard", 40960), ("full", None)])
def test_registers_and_is_managed_over_dtls(boot, leshan, profile, heap):
    """With a pre-shared key, in 40 KB of heap; a changed source port needs no handshake."""
    identity, key = f"board-{heap}", os.urandom(16)
    leshan.request("security-add", endpoint="qemu", identity=identity, key=key.hex())
    board = boot(profile, heap, network=True)
    account = f', identity="{identity}", key=bytes.fromhex("{key.hex()}")'
    said = []

    def run():
        said.append(board.exec(APPLICATION % (leshan.secure_uri, account), timeout=120))

    running = threading.Thread(target=run)
    running.start()
    peer = leshan.peer("qemu")
    registered = peer.wait("registered", 60)
    assert registered.scheme == "coaps"
    assert peer.read("/3/0/9", timeout=15).code == "2.05"
    assert peer.read("/3/0", timeout=15).code == "2.05"
    observed = peer.observe("/3/0/9", timeout=15)
    assert observed.code == "2.05"
    assert peer.wait("notification", 20)
    assert peer.execute("/1/0/8", timeout=15).code == "2.04"
    port = peer.registration().port
    board.bridge.rebind()
    peer.take("updated")
    # The next record carries the Connection ID: the server finds the session, and learns the address.
    while peer.registration().port == port:
        assert peer.wait("updated", 20)
    assert not peer.take("registered")
    assert peer.read("/3/0/9", timeout=15).code == "2.05"
    assert peer.write("/3/0/14", "+01:00", timeout=15).code == "2.04"
    peer.wait("unregistered", 30)
    running.join(30)
    assert said and said[0].startswith("done")
    leshan.request("security-remove", endpoint="qemu")
