# The guides step by step: their programs, saved as a reader does, against the desk server that they start
# SPDX-License-Identifier: MIT
from __future__ import annotations

import asyncio
import contextlib
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests import guides
from tools.build import deploy, firmware, profiles
from tools.build.mpy import micropython
from tools.build.profiles import ROOT
from tools.emulator.qemu import QEMU, Qemu
from tools.server.desk_console import DeskConsole

pytestmark = pytest.mark.needs("micropython")
REGISTERED = "REGISTRATION_COMPLETE"


class Process:
    """A program whose output is read line by line; ended with the test."""

    def __init__(self, *command, folder=None, env=None):
        self.command, self.folder, self.env = command, folder, env
        self.lines = []

    async def __aenter__(self):
        self.child = await asyncio.create_subprocess_exec(
            *map(str, self.command),
            cwd=self.folder,
            env={**os.environ, "PYTHONUNBUFFERED": "1", **(self.env or {})},
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        return self

    async def __aexit__(self, *_):
        with contextlib.suppress(ProcessLookupError):
            self.child.kill()
        await self.child.wait()
        self.child._transport.close()

    def type(self, line):
        self.child.stdin.write(line.encode() + b"\n")

    async def says(self, pattern, timeout=30):
        """Wait for a line that has this pattern; the match."""
        while True:
            try:
                raw = await asyncio.wait_for(self.child.stdout.readline(), timeout)
            except TimeoutError:
                raise AssertionError(f"waits for {pattern!r} behind {self.lines}") from None
            assert raw, f"ended without {pattern!r}: {self.lines}"
            self.lines.append(raw.decode(errors="replace").rstrip("\r\n"))
            found = re.search(pattern, self.lines[-1])
            if found:
                return found

    async def ends(self, timeout=40):
        """Wait for its end, which is a good one; all lines."""
        rest = await asyncio.wait_for(self.child.stdout.read(), timeout)
        self.lines += rest.decode().splitlines()
        assert await self.child.wait() == 0, self.lines
        return self.lines


class Desk(Process):
    """`make server` as it is, on free ports; coap and coaps are the ports that it printed."""

    def __init__(self, *words):
        super().__init__(sys.executable, "-m", "tools.server", "--port", "0", *words, folder=ROOT)

    async def __aenter__(self):
        await super().__aenter__()
        self.coap = (await self.says(r"at coap://[^ ]*:(\d+)"))[1]
        self.coaps = (await self.says(r"at coaps://[^ ]*:(\d+)"))[1]
        await self.says("help lists")
        return self

    def program(self, text):
        """A guide's program with this server's ports."""
        return text.replace(":5683", f":{self.coap}").replace(":5684", f":{self.coaps}")

    async def read(self, path, pattern):
        self.type(f"read {path}")
        return await self.says(pattern)


def run(coroutine):
    asyncio.run(asyncio.wait_for(coroutine, 150))


def board(folder, library, program="main.py"):
    return Process(
        micropython(), program, folder=folder, env={"MICROPYPATH": f"{folder}:{library}:.frozen"}
    )


def test_the_prompts_commands_exist():
    for name in ("getting-started", "custom-objects", "security"):
        text = (ROOT / "docs" / f"{name}.md").read_text()
        (block, *more) = re.findall(r"```console\n(.*?)```", text, re.S)
        assert not more
        for line in block.splitlines():
            assert hasattr(DeskConsole, "do_" + line.split()[0].replace("-", "_")), line


@pytest.mark.parametrize("kind", ["source", "packed"])
def test_getting_started_on_unix(tmp_path, packed, kind):
    library = ROOT / "lib" if kind == "source" else packed(profiles.DEFAULT)

    async def reader():
        async with Desk() as desk:
            (tmp_path / "main.py").write_text(
                desk.program(guides.guide("getting-started")["main.py"])
            )
            async with board(tmp_path, library) as device:
                await device.says(REGISTERED)
                await desk.read("3303/0/5700", r"2\.05 Content 21\.5")
                desk.type("write 3/0/14 '+02:00'")
                await desk.says("2.04")

    run(reader())


def test_getting_started_from_usr(tmp_path):
    """The package of `make quec`, for the .mpy files of this MicroPython; imported as usr.lwm2m."""
    number = subprocess.run(
        [micropython(), "-c", "import sys; print(sys.implementation._mpy)"],
        capture_output=True,
        text=True,
        check=True,
        timeout=20,
    ).stdout.strip()
    assert deploy.main(["quec", "--number", number]) == 0
    package = deploy.OUT / f"quec-{profiles.DEFAULT}"

    async def reader():
        async with Desk() as desk:
            text = desk.program(guides.guide("getting-started")["main.py"])
            (tmp_path / "main.py").write_text(text.replace("from lwm2m", "from usr.lwm2m"))
            async with board(tmp_path, package) as device:
                await device.says(REGISTERED)
                await desk.read("3303/0/5700", r"2\.05 Content 21\.5")

    run(reader())


def test_getting_started_on_the_emulated_board(tmp_path, need):
    need(QEMU, reason=firmware.missing("QEMU_MPS2_AN385"))
    image = firmware.build("QEMU_MPS2_AN385")

    async def reader(pty):
        async with Desk() as desk:
            program = tmp_path / "main.py"
            program.write_text(desk.program(guides.guide("getting-started")["main.py"]))
            mpremote = Path(sys.executable).with_name("mpremote")
            async with Process(mpremote, "connect", pty, "resume", "run", program) as device:
                await device.says(REGISTERED, 60)
                await desk.read("3303/0/5700", r"2\.05 Content 21\.5")

    with Qemu(image, network=True) as emulator:
        run(reader(emulator.pty))


def test_an_object_of_ones_own(tmp_path, packed):
    files = guides.guide("custom-objects")
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    made = subprocess.run(
        [sys.executable, "-m", "tools.objects", tmp_path / "valve.xml", "--stub"]
        + ["-o", tmp_path / "valve_object.py", "--behaviour", tmp_path / "skeleton.py"],
        cwd=ROOT,
        timeout=30,
        check=False,
    )
    assert made.returncode == 0
    # What the guide fills in, the skeleton has left open.
    skeleton = (tmp_path / "skeleton.py").read_text()
    for line in ("VALVE = 42800", "LIMIT = 2  # Integer, RW, l", "def do_reset(path, arguments):"):
        assert line in skeleton and line in files["valve.py"]

    async def reader():
        async with Desk("--xml", tmp_path / "valve.xml") as desk:
            (tmp_path / "garden.py").write_text(desk.program(files["garden.py"]))
            async with board(tmp_path, packed(profiles.DEFAULT), "garden.py") as device:
                # It prints nothing of its registration: the server does.
                await desk.says("garden")
                await desk.read("42800/0/1", r"2\.05 Content 12\.5")
                desk.type("write 42800/0/0 true")
                await device.says("valve 0 opens")
                desk.type("exec 42800/0/3")
                await desk.says("4.05")
                desk.type("write 42800/0/0 false")
                await device.says("valve 0 closes")
                desk.type("exec 42800/0/3")
                await desk.says("2.04.*")
                await desk.read("42800/0/1", r"2\.05 Content 0")
                desk.type("write 42800/0/2 2000")
                await desk.says("4.00")

    run(reader())


def test_a_key_of_the_boards_own(tmp_path, packed):
    """`provision` writes the lines for the board; and the program of the guide with a key that was given."""

    async def reader():
        async with Desk() as desk:
            lines = tmp_path / "board-1.txt"
            desk.type(f"provision board-1 {lines}")
            await desk.says("board-1")
            while not lines.exists() or "client.run()" not in lines.read_text():
                await asyncio.sleep(0.1)
            (tmp_path / "given.py").write_text(lines.read_text())
            async with board(tmp_path, packed(profiles.DEFAULT), "given.py"):
                await desk.says("<- Register ")
                await desk.read("3/0/0", r"<- 2\.05 Content")

    async def own():
        key = bytes(range(16)).hex()
        async with Desk("--psk", f"board-1={key}") as desk:
            (tmp_path / "psk.py").write_text(desk.program(guides.guide("security")["psk.py"]))
            async with board(tmp_path, packed(profiles.DEFAULT), "psk.py") as device:
                await device.says(REGISTERED)
                await desk.read("3/0/0", r"<- 2\.05 Content")
        async with Desk("--psk", f"board-1={key[::-1]}") as desk:
            text = desk.program(guides.guide("security")["psk.py"])
            # The server answers nothing: the last retransmission is to come sooner.
            (tmp_path / "psk.py").write_text(text.replace("300,", "300, ack_timeout=100,"))
            async with board(tmp_path, packed(profiles.DEFAULT), "psk.py") as device:
                await device.says("SECURE_FAILURE", 60)

    run(reader())
    run(own())


def test_bootstrap(tmp_path, packed):
    async def reader():
        async with Desk() as desk:
            text = desk.program(guides.guide("security")["bootstrap.py"])
            (tmp_path / "main.py").write_text(text)
            async with board(tmp_path, packed(profiles.DEFAULT)) as device:
                await device.says("BOOTSTRAP_TRANSFER_COMPLETE")
                await device.says(REGISTERED)
                await desk.read("1/0/0", r"2\.05 Content 1$")

    run(reader())


def test_sleep(tmp_path, packed):
    """The second run has neither a registration nor what it would cost."""

    async def reader():
        async with Desk("--psk", f"sleeper={bytes(range(16)).hex()}") as desk:
            text = desk.program(guides.guide("sleep")["sleeper.py"])
            (tmp_path / "main.py").write_text(text)
            async with board(tmp_path, packed("full")) as device:
                lines = await device.ends()
            assert "'REGISTRATION'" in lines[-1] and "'QUEUE_MODE_RX_OFF'" in lines[-1], lines
            async with board(tmp_path, packed("full")) as device:
                lines = await device.ends()
            assert "'REG_UPDATE_COMPLETE'" in lines[-1] and "'REGISTRATION'" not in lines[-1]

    run(reader())
