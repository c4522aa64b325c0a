# The server on a terminal: what is said, in colour on a TTY, and a prompt to manage devices.
# SPDX-License-Identifier: MIT

from __future__ import annotations

import asyncio
import inspect
import os
import shlex
import sys
import threading
import time
from typing import TextIO

from . import formats
from .core import Device, Server
from .model import ids
from .peer import NoAnswer, Observation

HELP = """\
devices                      who is registered
use ENDPOINT                 which device the next commands are for
read PATH [FORMAT]           FORMAT: text opaque tlv cbor senml+json senml+cbor json, or a number
discover PATH
write PATH VALUE [FORMAT]    a resource; opaque values in hex
write PATH ID=VALUE...       an instance (replace); update PATH ID=VALUE... for some resources only
attr PATH NAME[=VALUE]...    pmin pmax epmin epmax gt lt st edge con hqmax; without a value it
                             is unset
exec PATH [ARGUMENTS]
create PATH [ID=VALUE...]    /3303 lets the device choose the instance, /3303/5 does not
delete PATH
observe PATH                 cancel PATH ends it by Observe=1, reset PATH by RST
bootstrap                    let the device ask its bootstrap server (Bootstrap-Request Trigger)
help, quit"""


class Printer:
    """Prints a transcript: seconds, endpoint, what was said. Colour only on a terminal."""

    COLOURS = {"->": "36", "<-": "32", "!!": "31", "--": "33", "==": "1"}

    def __init__(self, stream: TextIO = sys.stdout):
        self.stream = stream
        self.colour = stream.isatty() and not os.environ.get("NO_COLOR")
        self.start = time.monotonic()

    def __call__(self, endpoint: str, text: str) -> None:
        # What devices send is no command of the terminal.
        text = "".join(
            c if c.isprintable() or c == "\n" else "\N{REPLACEMENT CHARACTER}" for c in text
        )
        arrow, refused = text[:2], text[:4] in ("<- 4", "<- 5", "-> 4", "-> 5")
        if self.colour and arrow in self.COLOURS:
            colour = "31" if refused else self.COLOURS[arrow]
            text = f"\x1b[{colour}m{text}\x1b[0m"
        head = f"{time.monotonic() - self.start:6.2f} {endpoint:12} "
        lines = text.split("\n")
        indented = [" " * 20 + line for line in lines[1:]]
        print(head + "\n".join([lines[0], *indented]), file=self.stream, flush=True)


class Console:
    """Reads commands from standard input until it ends, or `quit`."""

    def __init__(self, server: Server):
        self.server = server
        self.chosen = ""
        self.observations: dict[tuple[str, str], Observation] = {}

    async def run(self) -> bool:
        """True where somebody wants to quit, False where standard input ended that is no terminal."""
        loop, lines = asyncio.get_running_loop(), asyncio.Queue()

        def read() -> None:
            for line in sys.stdin:
                loop.call_soon_threadsafe(lines.put_nowait, line)
            loop.call_soon_threadsafe(lines.put_nowait, "quit" if sys.stdin.isatty() else None)

        # A daemon thread, because reading standard input cannot be interrupted everywhere.
        threading.Thread(target=read, daemon=True).start()
        while True:
            if sys.stdin.isatty():
                print("> ", end="", flush=True)
            line = await lines.get()
            if line is None:
                return False
            line = line.strip()
            if line in ("quit", "exit"):
                return True
            if line:
                await self.command(line)

    async def command(self, line: str) -> None:
        """Run one line; what goes wrong is printed, never raised."""
        try:
            name, *words = shlex.split(line)
            method = getattr(self, f"do_{name}", None)
            if method is None:
                raise ValueError(f"unknown command {name!r}; try help")
            try:
                inspect.signature(method).bind(*words)
            except TypeError:
                raise ValueError(f"wrong number of words for {name}; try help") from None
            await method(*words)
        except NoAnswer:
            pass  # the transcript has told it
        except (ValueError, OverflowError) as e:
            print(f"error: {e}")

    @property
    def device(self) -> Device:
        devices = self.server.devices
        if self.chosen in devices:
            return devices[self.chosen]
        if len(devices) != 1:
            raise ValueError(f"{len(devices) or 'no'} devices are registered; see devices, use")
        return next(iter(devices.values()))

    def observation(self, path: str) -> Observation:
        found = self.observations.pop((self.device.endpoint, path), None)
        if found is None:
            raise ValueError(f"{path} is not observed")
        return found

    def value(self, path: str, text: str):
        """A value as typed, by the type that the model has for it."""
        kind = self.server.model.type(path)
        if kind == "Opaque":
            return bytes.fromhex(text)
        if kind == "Boolean":
            # As the prompt shows it, too.
            text = {"true": "1", "false": "0"}.get(text.lower(), text)
        return formats.from_text(kind, text)

    def values(self, path: str, words) -> dict:
        """`0=a 6/1=5` -> {0: "a", 6: {1: 5}}."""
        found: dict = {}
        for word in words:
            where, equals, text = word.partition("=")
            if not equals:
                raise ValueError(f"{word!r} is not ID=VALUE")
            rid, *riid = ids(where)
            value = self.value(f"{path}/{rid}", text)
            if riid:
                found.setdefault(rid, {})[riid[0]] = value
            else:
                found[rid] = value
        return found

    async def do_help(self) -> None:
        print(HELP)

    async def do_devices(self) -> None:
        for d in self.server.devices.values():
            what = f"lifetime {d.lifetime} s, LwM2M {d.version}, binding {d.binding}"
            print(f"{d.endpoint}  {d.remote.hostinfo}  {what}")
        if not self.server.devices:
            print("no devices are registered")

    async def do_use(self, endpoint: str) -> None:
        if endpoint not in self.server.devices:
            raise ValueError(f"{endpoint!r} is not registered")
        self.chosen = endpoint

    async def do_read(self, path: str, format: str | None = None) -> None:
        await self.device.read(path, format)

    async def do_discover(self, path: str) -> None:
        await self.device.discover(path)

    async def do_write(self, path: str, word: str, *words: str) -> None:
        if len(ids(path)) < 3:
            await self.device.write(path, self.values(path, (word, *words)))
        elif len(words) > 1:
            raise ValueError("more than a value and a format; a value with spaces goes in quotes")
        else:
            await self.device.write(path, self.value(path, word), *words)

    async def do_update(self, path: str, word: str, *words: str) -> None:
        await self.device.write(path, self.values(path, (word, *words)), update=True)

    async def do_attr(self, path: str, word: str, *words: str) -> None:
        pairs = (w.partition("=") for w in (word, *words))
        await self.device.attributes(path, **{k: v or None for k, _, v in pairs})

    async def do_exec(self, path: str, arguments: str = "") -> None:
        await self.device.execute(path, arguments)

    async def do_create(self, path: str, *words: str) -> None:
        instance = path if len(ids(path)) > 1 else path + "/0"
        await self.device.create(path, self.values(instance, words))

    async def do_delete(self, path: str) -> None:
        await self.device.delete(path)

    async def do_observe(self, path: str, format: str | None = None) -> None:
        observation = await self.device.observe(path, format)
        if observation.active:
            self.observations[self.device.endpoint, path] = observation

    async def do_cancel(self, path: str) -> None:
        await self.observation(path).cancel()

    async def do_reset(self, path: str) -> None:
        self.observation(path).reset()

    async def do_bootstrap(self) -> None:
        account = next((path for path in self.device.links if path.startswith("/1/")), "/1/0")
        await self.device.execute(f"{account}/9")
