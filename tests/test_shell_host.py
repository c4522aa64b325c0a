# The shell as a process of its own, with standard input and output, against the server of tools/server
# SPDX-License-Identifier: MIT

import asyncio
import contextlib
import functools
import os
from pathlib import Path

import pytest

from tools.build.mpy import micropython
from tools.server import BootstrapConfig, NoAnswer, Server

ROOT = Path(__file__).resolve().parent.parent
pytestmark = pytest.mark.needs("micropython")

ENDPOINT = "shell-under-test"
KEY = "KEEP-THIS-SECRET"


def run(test):
    """Run an async test function, bounded."""

    @functools.wraps(test)
    def wrapper(*args, **kwargs):
        asyncio.run(asyncio.wait_for(test(*args, **kwargs), 60))

    return wrapper


class Shell:
    """`micropython -m lwm2m.shell`, or another program that runs one."""

    def __init__(self, *program):
        self.program = program or ("-m", "lwm2m.shell")
        self.seen = []

    async def __aenter__(self):
        self.child = await asyncio.create_subprocess_exec(
            micropython(),
            *self.program,
            env={**os.environ, "MICROPYPATH": f"{ROOT / 'lib'}:.frozen"},
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        return self

    async def __aexit__(self, *exc):
        if self.child.returncode is None:
            self.child.kill()
        await self.child.wait()
        self.child._transport.close()

    def write(self, text):
        self.child.stdin.write(text if isinstance(text, bytes) else text.encode())

    async def line(self, timeout=10):
        raw = await asyncio.wait_for(self.child.stdout.readline(), timeout)
        assert raw, f"the shell has ended after {self.seen[-5:]}"
        self.seen.append(raw.decode().rstrip("\n"))
        return self.seen[-1]

    async def obey(self, command):
        """The lines that a command prints, and its exit code."""
        self.write(f"{command}\nlwm2m retval\n")
        lines = []
        while not (line := await self.line()).startswith("retval "):
            if not line.startswith("event "):
                lines.append(line)
        return lines, int(line.split()[1])

    async def good(self, command):
        lines, code = await self.obey(command)
        assert code == 0, (command, lines, code)
        return lines

    async def event(self, name, timeout=20):
        """Wait for an event that was not seen before; the whole line."""
        for line in self.seen:
            if line.startswith(f"event {name}"):
                self.seen.remove(line)
                return line
        while not (line := await self.line(timeout)).startswith(f"event {name}"):
            pass
        self.seen.remove(line)
        return line

    async def end(self):
        """Standard input ends; the exit status, and what was still printed."""
        self.child.stdin.close()
        rest = await asyncio.wait_for(self.child.stdout.read(), 20)
        return await self.child.wait(), rest.decode().splitlines()


def provisioning(uri):
    """The session that gives a fresh client an account, NoSec."""
    return [
        f"lwm2m write 0/0/0 -s {uri}",
        "lwm2m write 0/0/1 -b 0",
        "lwm2m write 0/0/2 -u8 3",
        f"lwm2m write 0/0/3 -s {ENDPOINT}",
        "lwm2m create 1/0",
        "lwm2m write 0/0/10 -u16 1",
        "lwm2m write 1/0/0 -u16 1",
        "lwm2m write 1/0/1 -u32 86400",
        f"lwm2m start {ENDPOINT} -b 0",
    ]


@contextlib.asynccontextmanager
async def registered():
    """A server, a shell whose client is registered there, and the device as the server sees it."""
    async with Server(timeout=8) as server, Shell() as shell:
        for command in provisioning(server.uri):
            assert await shell.good(command) == []
        device = (await server.wait("register", ENDPOINT, 10)).device
        await shell.event("REGISTRATION_COMPLETE 1")
        yield server, shell, device


@run
async def test_provisioning_session():
    async with registered() as (server, shell, device):
        assert device.lifetime == 86400
        assert (await device.read("/3/0/0", "text")).value == "MicroPython"
        assert await shell.good("read 3/0/0 -s") == ["MicroPython"]


@run
async def test_write_is_what_the_server_reads_and_the_reverse():
    async with registered() as (server, shell, device):
        await shell.good("write 3/0/14 -s +03:00")
        assert (await device.read("/3/0/14", "text")).value == "+03:00"
        assert (await device.write("/3/0/14", "-05:00")).code == "2.04"
        assert await shell.good("lwm2m read /3/0/14 -s") == ["-05:00"]


@run
async def test_notifications_while_the_shell_waits_for_input():
    async with registered() as (server, shell, device):
        await shell.good("create 3303/0")
        await shell.good("write 3303/0/5700 -f 20")
        observation = await device.observe("/3303/0/5700", "text")
        assert observation.active
        assert await shell.good("obs") == ["/3303/0/5700 1 0 0"]
        # half a line must not hold the client up
        shell.write("write 3303/0/57")
        assert (await device.read("/3303/0/5602", "text")).value == 20.0
        await shell.good("00 -f 21.5")
        assert (await observation.next(8)).value == 21.5
        await shell.good("lock")
        await shell.good("write 3303/0/5700 -f 1")
        await shell.good("write 3303/0/5700 -f 2")
        with pytest.raises(NoAnswer):
            await observation.next(1)
        await shell.good("unlock")
        assert (await observation.next(8)).value == 2.0


@run
async def test_update_pause_resume_stop_start():
    async with registered() as (server, shell, device):
        await shell.good("update")
        await server.wait("update", ENDPOINT, 10)
        await shell.event("REG_UPDATE_COMPLETE 1")
        await shell.good("pause")
        await shell.event("ENGINE_SUSPENDED")
        await shell.good("resume")
        assert (await device.read("/3/0/0", "text")).value == "MicroPython"
        await shell.good("stop")
        await server.wait("deregister", ENDPOINT, 10)
        await shell.event("DISCONNECT 1")
        assert (await shell.obey("update"))[1] < 0
        await shell.good(f"start {ENDPOINT}")
        await server.wait("register", ENDPOINT, 10)


@run
async def test_bootstrap_session():
    async with Server(timeout=8) as server, Server(timeout=8) as bootstrap, Shell() as shell:
        bootstrap.bootstrap_configs["*"] = BootstrapConfig.account(
            server.uri, 7, 300, bootstrap_uri=bootstrap.uri
        )
        for command in (
            f"write 0/0/0 -s {bootstrap.uri}",
            "write 0/0/1 -b 1",
            "write 0/0/2 -u8 3",
            f"start {ENDPOINT} -b 1",
        ):
            await shell.good(command)
        device = (await server.wait("register", ENDPOINT, 15)).device
        assert device.lifetime == 300
        await shell.event("BOOTSTRAP_TRANSFER_COMPLETE")
        await shell.event("REGISTRATION_COMPLETE 7")
        assert await shell.good("read 1/0/0 -u16") in (["7"],)


@run
async def test_exit_codes_and_errors():
    async with Shell() as shell:
        for command, code in (
            ("read 3/0/0", 0),
            ("read 3/0/99", -2),
            ("read 3", -22),
            ("create 3/0", -17),
            ("write 3/0/9 -u8 256", -22),
            ("read 0/0/5", -13),
            (f"start {ENDPOINT}", -22),
            ("unlock", -1),
        ):
            lines, got = await shell.obey(command)
            assert got == code, command
            assert code == 0 or lines == [f"error {code}"]


@run
async def test_key_stays_hidden():
    async with Shell() as shell:
        await shell.good(f"write 0/0/5 -s {KEY}")
        for command in (
            "read 0/0/5",
            "read 0/0/5 -s",
            "read 0/0/5 -crc32",
            "ls",
            "ls 0/0",
            "help",
        ):
            await shell.obey(command)
        status, rest = await shell.end()
        said = "\n".join(shell.seen + rest)
        assert KEY not in said and KEY.encode().hex() not in said
        assert status == 0


@run
async def test_end_of_input_deregisters():
    async with registered() as (server, shell, device):
        status, rest = await shell.end()
        assert status == 0
        assert "event DISCONNECT 1" in rest
        await server.wait("deregister", ENDPOINT, 5)


@run
async def test_exit_deregisters_even_when_locked_and_paused():
    async with registered() as (server, shell, device):
        await shell.good("lock")
        await shell.good("pause")
        shell.write("exit\n")
        await server.wait("deregister", ENDPOINT, 10)
        assert await asyncio.wait_for(shell.child.wait(), 10) == 0


@run
async def test_at_the_repl():
    """`sh` does one line at a time; a thread keeps the client going between them."""
    async with Server(timeout=8) as server:
        lines = [f"sh({line!r})" for line in provisioning(server.uri)]
        lines += ["time.sleep(2)", "sh('read 3/0/0 -s')", "sh('stop')", "time.sleep(1)"]
        program = "import time;from lwm2m.shell import sh;" + ";".join(lines)
        async with Shell("-c", program) as shell:
            device = (await server.wait("register", ENDPOINT, 10)).device
            assert (await device.read("/3/0/0", "text")).value == "MicroPython"
            await server.wait("deregister", ENDPOINT, 10)
            status, rest = await shell.end()
            assert status == 0 and "MicroPython" in rest, rest


@run
async def test_on_the_client_of_an_application():
    async with Server(timeout=8) as server:
        program = (
            "from lwm2m.client import Client;from lwm2m.shell import Shell;"
            f"c = Client({ENDPOINT!r}, {server.uri!r}); c.set('/3/0/0', 'ACME'); c.start();"
            "Shell(c).run()"
        )
        async with Shell("-c", program) as shell:
            device = (await server.wait("register", ENDPOINT, 10)).device
            assert await shell.good("read 3/0/0 -s") == ["ACME"]
            await shell.good("write 3/0/0 -s Other")
            assert (await device.read("/3/0/0", "text")).value == "Other"
            status, rest = await shell.end()
            assert status == 0 and "event DISCONNECT 1" in rest


@run
async def test_long_lines():
    async with registered() as (server, shell, device):
        text = "0123456789" * 300
        await shell.good(f"write 3/0/15 -s {text}")
        assert (await device.read("/3/0/15", "text")).value == text
        # one that is too long is refused as a whole, and the client goes on while it comes
        shell.write("write 3/0/15 " + "x" * 100000)
        assert (await device.read("/3/0/0", "text")).value == "MicroPython"
        lines, code = await shell.obey(" retval")
        assert (lines, code) == (["error -22"], -22)
        assert (await device.read("/3/0/15", "text")).value == text


@run
async def test_input_that_is_no_text():
    async with registered() as (server, shell, device):
        shell.write(b"write 3/0/15 abc\xff\xfe\n\xc3\n")
        assert await shell.obey("") == (["error -22", "error -22"], -22)
        assert (await device.read("/3/0/15", "text")).value == "UTC"


@run
async def test_output_that_nobody_reads():
    async with registered() as (server, shell, device):
        shell.child._transport.get_pipe_transport(1).close()
        await asyncio.sleep(0.2)  # only then the pipe is closed indeed
        shell.write("read 3/0/0 -s\nread 3/0/0 -s\n")
        await server.wait("deregister", ENDPOINT, 10)
        assert await asyncio.wait_for(shell.child.wait(), 10) == 0
