# A fleet of simulated clients against any LwM2M server: the device code itself, on MicroPython's unix port
# SPDX-License-Identifier: MIT
"""python -m tools.server.fleet -n 500 coap://127.0.0.1:5683 [--read http://127.0.0.1:8090]

Starts the clients (many in each process), waits until all are registered, reads one resource of each through
a REST interface in Leshan's shape where --read has one, keeps them registered for --stay seconds, and reports
registrations and operations a second, latencies, errors, and the memory of a client. --speed lets the clients' clocks go
faster after they have registered. Ends with 0 if every client registered and was read without an error.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import shutil
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

import aiohttp
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from tools.build.mpy import micropython

ROOT = Path(__file__).resolve().parents[2]
DEVICE = Path(__file__).with_name("fleet_device.py")
A_PROCESS = 125  # clients in one process
HEAP = 128  # MB of a process
READS_AT_ONCE = 20
REGISTERED, GONE = "REGISTRATION_COMPLETE", "DISCONNECT"
END_TIME = 10.0  # seconds for the clients to de-register


@dataclass
class Report:
    """What a run has shown. Latencies are in milliseconds."""

    count: int
    registered: dict[int, float] = field(default_factory=dict)
    register_seconds: float = 0.0
    reads: list[float] = field(default_factory=list)
    read_seconds: float = 0.0
    read_errors: Counter = field(default_factory=Counter)
    events: Counter = field(default_factory=Counter)
    still_registered: int = 0
    updates: int = 0
    datagrams: int = 0
    failed: int = 0
    bytes_a_client: int = 0

    @property
    def lost(self) -> int:
        """Clients that never registered."""
        return self.count - len(self.registered)

    @property
    def good(self) -> bool:
        return not (self.lost or self.read_errors or self.failed)

    def rows(self) -> list[tuple[str, str]]:
        found = [("registered", f"{len(self.registered)} of {self.count}")]
        if self.register_seconds:
            rate = len(self.registered) / self.register_seconds
            found.append(("registrations a second", f"{rate:.1f}"))
        found.append(("until registered", spread(list(self.registered.values()))))
        if self.read_seconds:
            rate = len(self.reads) / self.read_seconds
            found.append(("operations a second", f"{rate:.1f}"))
            found.append(("a read", spread(self.reads)))
        errors = [f"{text}: {number}" for text, number in self.read_errors.items()]
        errors += [
            f"{name}: {number}"
            for name, number in self.events.items()
            if name not in (REGISTERED, GONE)
        ]
        if self.failed:
            errors.append(f"exceptions: {self.failed}")
        found.append(("errors", ", ".join(errors) or "none"))
        found.append(("registered at the end", str(self.still_registered)))
        found.append(("updates", str(self.updates)))
        found.append(("datagrams", str(self.datagrams)))
        found.append(("memory of a client", f"{self.bytes_a_client / 1024:.1f} KB"))
        return found


def spread(latencies: list[float]) -> str:
    """Median, 95th percentile and maximum."""
    if not latencies:
        return "-"
    ordered = sorted(latencies)

    def at(share: float) -> float:
        return ordered[min(len(ordered) - 1, int(share * len(ordered)))]

    return f"{at(0.5):.0f} ms, 95 %: {at(0.95):.0f} ms, at most {ordered[-1]:.0f} ms"


class Fleet:
    """The processes. `async with Fleet(uri, 500) as fleet: await fleet.all_registered(60)`."""

    def __init__(
        self,
        uri: str,
        count: int,
        *,
        name: str = "fleet-",
        rate: float = 100.0,
        a_process: int = A_PROCESS,
        **given,
    ):
        self.uri, self.count, self.name, self.rate = uri, count, name, rate
        self.a_process, self.given = a_process, given
        self.report = Report(count)
        self.errors: list[str] = []
        self._counts: dict[int, dict] = {}
        self._processes: list[asyncio.subprocess.Process] = []
        self._tasks: list[asyncio.Task] = []
        self._changed = asyncio.Event()

    async def __aenter__(self) -> Fleet:
        program = micropython()
        if not shutil.which(program):
            raise OSError(f"there is no {program}; `make setup` installs it")
        self._start = time.monotonic()
        firsts = range(0, self.count, self.a_process)
        try:
            for first in firsts:
                await self._spawn(program, first, self.rate / len(firsts))
        except BaseException:
            await self._kill()
            raise
        return self

    async def _spawn(self, program: str, first: int, rate: float) -> None:
        process = await asyncio.create_subprocess_exec(
            *(program, "-X", f"heapsize={HEAP}M", str(DEVICE)),
            env={**os.environ, "MICROPYPATH": str(ROOT / "lib")},
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            start_new_session=True,  # Ctrl-C is for the host, which tells them to de-register
        )
        self._processes.append(process)
        self._tasks.append(asyncio.create_task(self._listen(process)))
        self._tasks.append(asyncio.create_task(self._complain(process)))
        count = min(self.a_process, self.count - first)
        work = {"first": first, "count": count, "name": self.name, "uri": self.uri, "rate": rate}
        self._tell(process, {**work, **self.given})

    def _tell(self, process: asyncio.subprocess.Process, message) -> None:
        with contextlib.suppress(ConnectionError):
            process.stdin.write((json.dumps(message) + "\n").encode())

    async def _listen(self, process: asyncio.subprocess.Process) -> None:
        report = self.report
        async for line in process.stdout:
            message = json.loads(line)
            if "counts" in message:
                self._counts[message["counts"]] = message
                self._add_up()
            else:
                report.events[message["event"]] += 1
                number = message["client"]
                if message["event"] == REGISTERED and number not in report.registered:
                    report.registered[number] = message["ms"]
                    report.register_seconds = time.monotonic() - self._start
            self._changed.set()
        self._changed.set()

    async def _complain(self, process: asyncio.subprocess.Process) -> None:
        async for line in process.stderr:
            self.errors.append(line.decode(errors="replace").rstrip())

    def _add_up(self) -> None:
        report, counts = self.report, list(self._counts.values())
        report.still_registered = sum(each["registered"] for each in counts)
        report.updates = sum(each["updates"] for each in counts)
        report.datagrams = sum(each["sent"] + each["received"] for each in counts)
        report.failed = sum(each["failed"] for each in counts)
        report.bytes_a_client = max(each["bytes"] for each in counts)

    async def all_registered(self, timeout: float, told=lambda number: None) -> bool:
        """Wait until every client has registered; False where time is over, or a process has ended."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout):
                while self.report.lost:
                    self._changed.clear()
                    await self._changed.wait()
                    told(len(self.report.registered))
                    if all(process.returncode is not None for process in self._processes):
                        break
        return not self.report.lost

    def hurry(self, speed: float) -> None:
        """The clients' clocks go `speed` times as fast from now on."""
        for process in self._processes:
            self._tell(process, {"speed": speed})

    async def counted(self) -> None:
        """Wait for the next counts of every process."""
        self._counts.clear()
        async with asyncio.timeout(END_TIME):
            while len(self._counts) < len(self._processes):
                self._changed.clear()
                await self._changed.wait()

    async def read_each(self, rest: str, path: str, token: str = "", told=lambda: None) -> None:
        """Read a resource of every client through Leshan's REST interface."""
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        start, report = time.monotonic(), self.report
        numbers = iter(sorted(report.registered))
        async with aiohttp.ClientSession(headers=headers) as session:

            async def work() -> None:
                for number in numbers:
                    endpoint = quote(f"{self.name}{number}", safe="")
                    url = f"{rest.rstrip('/')}/api/clients/{endpoint}/{path.strip('/')}"
                    began = time.monotonic()
                    error = await _read(session, url)
                    if error:
                        report.read_errors[error] += 1
                    else:
                        report.reads.append(1000 * (time.monotonic() - began))
                    told()

            await asyncio.gather(*(work() for _ in range(READS_AT_ONCE)))
        report.read_seconds = time.monotonic() - start

    async def __aexit__(self, *_) -> None:
        for process in self._processes:
            if process.returncode is None:
                self._tell(process, "stop")
                process.stdin.close()
        try:
            async with asyncio.timeout(END_TIME):
                await asyncio.gather(*(process.wait() for process in self._processes))
        except TimeoutError:
            pass
        finally:
            await self._kill()

    async def _kill(self) -> None:
        for process in self._processes:
            if process.returncode is None:
                process.kill()
                await process.wait()
        await asyncio.gather(*self._tasks, return_exceptions=True)


async def _read(session: aiohttp.ClientSession, url: str) -> str:
    """ "" or what went wrong."""
    try:
        async with session.get(url) as response:
            answer = await response.json(content_type=None)
            if response.status != 200:
                return f"HTTP {response.status}"
            return "" if answer.get("success") else str(answer.get("status", answer))
    except (aiohttp.ClientError, ValueError, TimeoutError) as error:
        return type(error).__name__


async def run(arguments: argparse.Namespace) -> int:
    console = Console()
    bars = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=console,
    )
    options = {"lifetime": arguments.lifetime, "binding": arguments.binding}
    options |= {"version": arguments.version, "identity": arguments.identity, "key": arguments.key}
    given = {name: value for name, value in options.items() if value}
    async with Fleet(
        arguments.uri, arguments.count, name=arguments.name, rate=arguments.rate, **given
    ) as fleet:
        with bars:
            bar = bars.add_task("registered", total=arguments.count)
            await fleet.all_registered(
                arguments.wait, lambda number: bars.update(bar, completed=number)
            )
            if arguments.read:
                bar = bars.add_task("read", total=len(fleet.report.registered))
                await fleet.read_each(
                    arguments.read, arguments.path, arguments.token, lambda: bars.advance(bar)
                )
            if arguments.stay:
                fleet.hurry(arguments.speed)
                bar = bars.add_task("seconds", total=int(arguments.stay))
                for _ in range(int(arguments.stay)):
                    await asyncio.sleep(1)
                    bars.advance(bar)
        with contextlib.suppress(TimeoutError):
            await fleet.counted()
        stayed = fleet.report.still_registered
    fleet.report.still_registered = stayed
    table = Table(show_header=False)
    for name, text in fleet.report.rows():
        table.add_row(name, text)
    console.print(table)
    for line in fleet.errors[:20]:
        console.print(line, style="red", markup=False)
    return 0 if fleet.report.good else 1


def positive(text: str) -> int:
    if text.isdecimal() and 0 < int(text) <= 100000:
        return int(text)
    raise argparse.ArgumentTypeError(f"{text!r} is no number from 1 to 100000")


def hexadecimal(text: str) -> str:
    with contextlib.suppress(ValueError):
        return bytes.fromhex(text).hex()
    raise argparse.ArgumentTypeError(f"{text!r} is not hexadecimal")


def factor(text: str) -> float:
    with contextlib.suppress(ValueError):
        if 0 < float(text) <= 10000:
            return float(text)
    raise argparse.ArgumentTypeError(f"{text!r} is no number above 0")


def parser() -> argparse.ArgumentParser:
    p = argparse.ArgumentParser(
        prog="python -m tools.server.fleet", description="Many simulated clients against a server."
    )
    p.add_argument("uri", help="the server, such as coap://127.0.0.1:5683")
    p.add_argument("-n", "--count", type=positive, default=100, help="clients (100)")
    p.add_argument("--name", default="fleet-", help="how the endpoint names begin")
    p.add_argument("--rate", type=factor, default=100.0, help="clients started a second (100)")
    p.add_argument("--wait", type=factor, default=120.0, help="seconds to register at most (120)")
    p.add_argument("--lifetime", type=positive, default=3600, help="seconds (3600)")
    p.add_argument("--binding", help="such as UQ")
    p.add_argument("--version", help="LwM2M version to register as")
    p.add_argument("--identity", help="PSK identity; %%d is the number of the client")
    p.add_argument("--key", type=hexadecimal, help="pre-shared key of all, hexadecimal")
    p.add_argument(
        "--read", metavar="URL", help="read each client once through this REST interface"
    )
    p.add_argument("--path", default="/3303/0/5700", help="what to read (/3303/0/5700)")
    p.add_argument(
        "--token", default=os.environ.get("DESK_TOKEN", ""), help="of the REST interface"
    )
    p.add_argument("--stay", type=factor, default=0, help="seconds to stay registered afterwards")
    p.add_argument(
        "--speed", type=factor, default=1.0, help="of the clients' clocks meanwhile (1)"
    )
    return p


def main() -> int:
    arguments = parser().parse_args()
    try:
        return asyncio.run(run(arguments))
    except KeyboardInterrupt:
        return 130
    except OSError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
