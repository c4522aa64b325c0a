# The demo: a server and a client talk before your eyes, from bootstrap to de-registration.
# SPDX-License-Identifier: MIT
"""python -m tools.demo [--keep]

Starts a server and a bootstrap server on free ports of the loopback, and firmware/demo.py on
MicroPython's unix port. Ends with status 0, or with 1 and what went wrong. With --keep both stay,
and the server's prompt is there, until Ctrl-C or `quit`.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import shutil
import signal
import sys
from pathlib import Path

from tools.build.mpy import micropython
from tools.server import Answer, BootstrapConfig, NoAnswer, Server
from tools.server.console import Console, Printer

ROOT = Path(__file__).resolve().parent.parent
ENDPOINT = "demo"


class Failed(Exception):
    """A step of the demo did not do what it should."""


def expect(answer: Answer, code: str) -> Answer:
    if answer.code != code:
        raise Failed(f"{answer.path} was answered {answer.code}, not {code}")
    return answer


class Demo:
    """The two servers, the client's process, and the steps."""

    def __init__(self):
        self.printer = Printer()
        self.server = Server(transcript=self.printer, timeout=8)
        self.bootstrap = Server(transcript=self.printer, timeout=8)

    async def title(self, text: str) -> None:
        self.printer("", f"== {text}")
        if self.printer.colour:
            await asyncio.sleep(1)  # for the eyes to follow

    async def run(self, keep: bool) -> None:
        program = micropython()
        if not shutil.which(program):
            raise Failed(f"there is no {program}; `make setup` installs it")
        # As the client is in a session of its own, whoever ends this must end that too.
        task = asyncio.current_task()
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
        async with contextlib.AsyncExitStack() as stack:
            await stack.enter_async_context(self.server)
            await stack.enter_async_context(self.bootstrap)
            account = BootstrapConfig.account(
                self.server.uri, 1, 60, bootstrap_uri=self.bootstrap.uri
            )
            self.bootstrap.bootstrap_configs["*"] = account
            await self.title(
                f"server at {self.server.uri}, bootstrap server at {self.bootstrap.uri}"
            )
            self.client = await asyncio.create_subprocess_exec(
                *(program, str(ROOT / "firmware" / "demo.py"), self.bootstrap.uri, ENDPOINT),
                env={**os.environ, "MICROPYPATH": str(ROOT / "lib")},
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.STDOUT,
                start_new_session=True,  # Ctrl-C is passed on after the server has had its say
            )
            echo = asyncio.create_task(self.echo())
            try:
                steps = asyncio.create_task(self.steps(keep))
                await asyncio.wait({steps, echo}, return_when=asyncio.FIRST_COMPLETED)
                if echo.done():
                    steps.cancel()
                    await asyncio.gather(steps, return_exceptions=True)
                    raise Failed("the client has ended before the demo was over")
                await steps
                await self.end()
            finally:
                if self.client.returncode is None:
                    self.client.kill()
                    await self.client.wait()
                await echo

    async def echo(self) -> None:
        """The client's own output, as it comes."""
        async for line in self.client.stdout:
            self.printer(ENDPOINT, "   " + line.decode(errors="replace").rstrip())

    async def steps(self, keep: bool) -> None:
        server, bootstrap = self.server, self.bootstrap
        await self.title("bootstrap: the client asks, and is given an account of the server")
        done = await bootstrap.wait("bootstrapped", ENDPOINT, 10)
        if done.detail != "finished":
            raise Failed(f"bootstrap: {done.detail}")
        await self.title("registration")
        device = (await server.wait("register", ENDPOINT, 10)).device

        await self.title("read")
        expect(await device.read("/3/0/0"), "2.05")
        before = expect(await device.read("/3303/0"), "2.05").value

        await self.title("write, and read again")
        expect(await device.write("/3/0/14", "+02:00"), "2.04")
        if expect(await device.read("/3/0/14"), "2.05").value != "+02:00":
            raise Failed("/3/0/14 is not what was written")

        await self.title("observation: three notifications, one a second at most")
        expect(await device.attributes("/3303/0/5700", pmin=1, pmax=5), "2.04")
        observation = await device.observe("/3303/0/5700")
        if not observation.active:
            raise Failed(f"/3303/0/5700 cannot be observed: {observation.answer.code}")
        for _ in range(3):
            await observation.next(8)
        expect(await observation.cancel(), "2.05")

        await self.title("execute: reset the minimum and maximum that the sensor has measured")
        grown = expect(await device.read("/3303/0"), "2.05").value
        expect(await device.execute("/3303/0/5605"), "2.04")
        after = expect(await device.read("/3303/0"), "2.05").value
        spans = [v[5602] - v[5601] for v in (before, grown, after)]
        if not spans[0] <= spans[1] > spans[2]:
            raise Failed(f"the span from minimum to maximum went {spans}")

        await self.title("update: the server triggers it")
        expect(await device.execute("/1/0/8"), "2.04")
        await server.wait("update", ENDPOINT, 10)
        if keep:
            await self.title("both stay: `help` lists the commands; `quit` or Ctrl-C ends it")
            stop = asyncio.Event()
            loop = asyncio.get_running_loop()
            loop.add_signal_handler(signal.SIGINT, stop.set)
            console = asyncio.create_task(Console(server).run())
            waiting = asyncio.create_task(stop.wait())
            await asyncio.wait({console, waiting}, return_when=asyncio.FIRST_COMPLETED)
            if not console.cancel() and not console.result():
                # Nobody is at standard input, as in the background.
                await waiting

    async def end(self) -> None:
        """Interrupt the client, which de-registers and ends."""
        await self.title("de-registration: the client is told to stop")
        self.client.send_signal(signal.SIGINT)
        await self.server.wait("deregister", ENDPOINT, 10)
        status = await asyncio.wait_for(self.client.wait(), 5)
        if status:
            raise Failed(f"the client ended with status {status}")
        await self.title("done")


def main() -> int:
    p = argparse.ArgumentParser(
        prog="python -m tools.demo", description="A server and a client talk."
    )
    p.add_argument("--keep", action="store_true", help="leave both running, with a prompt")
    args = p.parse_args()
    try:
        asyncio.run(Demo().run(args.keep))
    except KeyboardInterrupt:
        return 130
    except asyncio.CancelledError:
        return 128 + signal.SIGTERM
    except TimeoutError:
        print("demo failed: nothing more was heard of the client", file=sys.stderr)
    except (Failed, NoAnswer, OSError) as e:
        print(f"demo failed: {e}", file=sys.stderr)
    else:
        return 0
    return 1


if __name__ == "__main__":
    sys.exit(main())
