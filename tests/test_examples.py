# The programs of firmware/examples on MicroPython's unix port, against the server of tools/server
# SPDX-License-Identifier: MIT

import asyncio
import functools
import os
import signal
from pathlib import Path

import pytest
from dtls_peers import Front, OpenSslServer

from tools import objects
from tools.build.mpy import micropython
from tools.server import Model, Server

ROOT = Path(__file__).resolve().parent.parent
EXAMPLES = ROOT / "firmware" / "examples"
pytestmark = pytest.mark.needs("micropython")

# what deep_sleep.py has
IDENTITY = b"sleeper"
KEY = bytes(range(16))


def run(test):
    """Run an async test function, bounded."""

    @functools.wraps(test)
    def wrapper(*args, **kwargs):
        asyncio.run(asyncio.wait_for(test(*args, **kwargs), 60))

    return wrapper


# Where the client is that the programs import: its source, or packed.
library = ROOT / "lib"


@pytest.fixture(autouse=True, params=["source", "packed"])
def client(request, packed):
    """Each program runs on the source, and on what a board gets."""
    global library
    library = ROOT / "lib" if request.param == "source" else packed("full")
    yield
    library = ROOT / "lib"


class Program:
    """One of the examples as a process; what it prints, line by line."""

    def __init__(self, name, uri, folder=None):
        self.command = (micropython(), str(EXAMPLES / name), uri)
        self.folder = folder

    async def __aenter__(self):
        self.child = await asyncio.create_subprocess_exec(
            *self.command,
            cwd=self.folder,
            env={**os.environ, "MICROPYPATH": f"{library}:.frozen"},
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        self.lines = []
        return self

    async def __aexit__(self, *exc):
        if self.child.returncode is None:
            self.child.kill()
        await self.child.wait()
        self.child._transport.close()

    async def printed(self, text, timeout=10):
        """Wait until it prints this line."""
        while text not in self.lines:
            raw = await asyncio.wait_for(self.child.stdout.readline(), timeout)
            assert raw, f"ended without {text!r}: {self.lines}"
            self.lines.append(raw.decode().rstrip("\n"))

    async def ended(self, timeout=20):
        """Wait for its end, which is a good one; the lines that it has printed."""
        rest = await asyncio.wait_for(self.child.stdout.read(), timeout)
        self.lines += rest.decode().splitlines()
        assert await self.child.wait() == 0, self.lines
        assert not any("Traceback" in line for line in self.lines), self.lines
        return self.lines

    async def interrupted(self, server, endpoint):
        """Ctrl-C: it de-registers, and ends."""
        self.child.send_signal(signal.SIGINT)
        await server.wait("deregister", endpoint, 5)
        return await self.ended()


def value(answer):
    assert answer.code == "2.05", answer
    return answer.value


@run
async def test_sensor():
    async with Server(timeout=8) as server, Program("sensor.py", server.uri) as program:
        device = (await server.wait("register", "sensor")).device
        assert "/3303/0" in device.links
        observation = await device.observe("/3303/0/5700", "text")
        told = [(await observation.next(5)).value for _ in range(3)]
        assert len(set(told)) > 1 and all(20 <= degrees < 25 for degrees in told)
        assert (await observation.cancel()).code == "2.05"
        assert value(await device.read("/3303/0/5602", "text")) >= max(told)
        assert (await device.execute("/3303/0/5605")).code == "2.04"
        thermometer = value(await device.read("/3303/0"))
        assert thermometer[5701] == "Cel" and thermometer[5602] < 25
        assert "REGISTRATION_COMPLETE" in await program.interrupted(server, "sensor")


@run
async def test_actuator():
    async with Server(timeout=8) as server, Program("actuator.py", server.uri) as program:
        device = (await server.wait("register", "actuator")).device
        before = asyncio.get_running_loop().time()
        switching = asyncio.create_task(device.write("/3311/0/5850", "1"))
        await program.printed("relay on")
        # The relay still switches, and other requests are answered meanwhile.
        assert value(await device.read("/3311/0/5850", "text")) is False
        assert not switching.done()
        assert (await switching).code == "2.04"
        assert asyncio.get_running_loop().time() - before > 0.4
        assert value(await device.read("/3311/0/5850", "text")) is True
        assert (await device.write("/3311/0/5851", "81")).code == "4.00"
        assert (await device.write("/3311/0/5851", "80")).code == "2.04"
        assert value(await device.read("/3311/0/5851", "text")) == 80
        assert (await device.execute("/3/0/4")).code == "2.04"
        await program.printed("reboot")
        assert (await program.interrupted(server, "actuator")).count("relay on") == 1


@run
async def test_with_asyncio():
    async with Server(timeout=8) as server, Program("with_asyncio.py", server.uri) as program:
        device = (await server.wait("register", "with-asyncio")).device
        observation = await device.observe("/3303/0/5700", "text")
        first, second = [(await observation.next(5)).value for _ in range(2)]
        assert second - first in (0.5, -5.5)
        assert (await device.execute("/3/0/4")).code == "2.04"
        await server.wait("deregister", "with-asyncio", 5)
        assert (await program.ended())[-1] == "stopped"


@run
async def test_deep_sleep(tmp_path):
    async with Server(timeout=8) as server:
        with Front(server.port, {IDENTITY: KEY}) as secure:
            uri = f"coaps://127.0.0.1:{secure.port}"
            async with Program("deep_sleep.py", uri, tmp_path) as program:
                device = (await server.wait("register", "sleeper")).device
                observation = await device.observe("/3303/0/5700", "text")
                assert observation.active
                lines = await program.ended()
            assert lines[-3:] == ["QUEUE_MODE_RX_OFF", "ENGINE_SUSPENDED", "asleep"]
            assert (secure.handshakes, secure.resumed) == (1, 0)
            # Awake again: no registration, and the observation is known still.
            async with Program("deep_sleep.py", uri, tmp_path) as program:
                await server.wait("update", "sleeper")
                assert 20 <= (await observation.next(5)).value < 30
                assert value(await device.read("/3303/0/5701", "text")) == "Cel"
                lines = await program.ended()
            assert "REG_UPDATE_COMPLETE" in lines and "REGISTRATION" not in lines
            assert (secure.handshakes, secure.resumed) == (2, 1)
            assert [event.kind for event in server.events] == []


@run
async def test_deep_sleep_after_a_refusal(tmp_path):
    with OpenSslServer({}) as secure:
        uri = f"coaps://127.0.0.1:{secure.port}"
        async with Program("deep_sleep.py", uri, tmp_path) as program:
            # The battery is not to be emptied by waiting for the next attempt.
            lines = await program.ended()
        assert "REGISTRATION_FAILURE" in lines and lines[-1] == "asleep"


@run
async def test_custom_object():
    async with Server(timeout=8, model=Model(EXAMPLES / "door.xml")) as server:
        async with Program("custom_object.py", server.uri) as program:
            device = (await server.wait("register", "custom-object")).device
            assert value(await device.read("/42769/0")) == {0: True, 1: 0, 2: "front"}
            assert (await device.execute("/42769/0/3")).code == "4.03"
            assert (await device.write("/42769/0/0", "0")).code == "2.04"
            await program.printed("door 0 is not locked")
            observation = await device.observe("/42769/0/1", "text")
            assert (await device.execute("/42769/0/3")).code == "2.04"
            assert (await observation.next(5)).value == 1
            assert (await device.write("/42769/0/2", "x" * 17)).code == "4.00"
            assert (await device.write("/42769/0/2", "back")).code == "2.04"
            assert value(await device.read("/42769/0/2", "text")) == "back"
            await program.interrupted(server, "custom-object")


def test_table_of_the_custom_object():
    assert objects.module(objects.load([EXAMPLES / "door.xml"])) == (
        (EXAMPLES / "door_object.py").read_text()
    )


@run
async def test_own_transport():
    async with Server(timeout=8) as server:
        async with Program("own_transport.py", server.uri) as program:
            device = (await server.wait("register", "own-transport")).device
            assert value(await device.read("/3/0/0", "text")) == "MicroPython"
            assert (await device.write("/3/0/14", "+02:00")).code == "2.04"
            assert value(await device.read("/3/0/14", "text")) == "+02:00"
            lines = await program.interrupted(server, "own-transport")
            assert lines == ["open", "closed"]
