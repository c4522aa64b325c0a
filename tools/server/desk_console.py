# The desk server's prompt: the operations of operations.py as commands, tables, progress bars.
# SPDX-License-Identifier: MIT
"""Commands are those of console.Console, and more; a device that sleeps gets them when it wakes.

What is refused is told in a line that begins with "error: "; nothing that is typed ends the server.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from pathlib import Path

from rich.console import Console as Terminal
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.tree import Tree

from tools.objects import Bad

from . import accounts, events
from .console import Console
from .core import Device
from .inventory import InventoryError
from .model import ids, join, nest
from .results import OperationError, Result
from .service import DeskServer
from .values import secret

HELP = """\
devices                      who is registered; endpoints: who is known, with states and identities
use ENDPOINT                 which device the next commands are for
read PATH... [-f FORMAT] [-c]   FORMAT: text opaque tlv cbor json senml+json senml+cbor lwm2m+cbor, or a number;
                             -c asks for all paths in one composite request
discover PATH
write PATH VALUE [FORMAT]    a resource; opaque values in hex
write PATH ID=VALUE...       an instance (replace); update PATH ID=VALUE... for some resources only
writemulti PATH=VALUE... [-c]   resources of several instances
attr PATH NAME[=VALUE]...    pmin pmax epmin epmax gt lt st edge con hqmax; without a value it is unset
exec PATH [ARGUMENTS]
create PATH [ID=VALUE...]    /3303 lets the device choose the instance, /3303/5 does not
delete PATH
observe PATH... [-f FORMAT] [-c]   cancel PATH|TOKEN ends it by Observe=1, reset PATH by RST
observations                 those of the device, with their tokens
lastknown [PATH]             newest values, with their times
queue                        commands that wait for the device; unqueue NUMBER takes one back
firmware URI|FILE [NAME=VALUE]...   protocol= delivery=push|pull observationMode=poll noEpid=true resetUri=true
                             instance= timeout=; cancel-firmware ends it
files, add-file PATH [NAME], remove-file NAME     the inventory
xml, add-xml PATH, remove-xml NAME                object definitions
provision ENDPOINT FILE      give an endpoint a key of its own; FILE gets the three lines for the board
psk ENDPOINT IDENTITY KEY    a key that you have, in hex; thumbprint ENDPOINT SHA256 for a certificate
authority PATH               certificates that this authority (PEM) issued may connect
certificate FILE             write the server's own (DER) to FILE, for 0/x/4 of a device
account ENDPOINT [PATH]      a bootstrap configuration (JSON); without PATH its own is dropped
forget ENDPOINT
bootstrap                    let the device ask its bootstrap server (Bootstrap-Request Trigger)
help, quit"""

FORMAT_OPTION, COMPOSITE_OPTION = "-f", "-c"
KEY_BYTES = 16
OWNER_ONLY = 0o600
MAX_SHOWN = 8  # object ids of a device in the table


class DeskConsole(Console):
    """The prompt of a DeskServer."""

    def __init__(self, desk: DeskServer):
        super().__init__(desk.server)
        self.desk = desk
        self.terminal = Terminal(file=sys.stdout, highlight=False, soft_wrap=True)

    async def command(self, line: str) -> None:
        """Run one line; what goes wrong is printed, never raised."""
        try:
            # Names have hyphens where Python's have underscores.
            name, blank, rest = line.partition(" ")
            await super().command(name.replace("-", "_") + blank + rest)
        except OperationError as e:
            print(f"error: {e}")
        except (Bad, InventoryError, OSError) as e:
            print(f"error: {e}")

    @property
    def ops(self):
        return self.desk.operations

    async def ask(self, operation, *arguments, **options) -> Result:
        """One operation on the chosen device: waited for, or queued while it sleeps."""
        device: Device = self.device
        result = await operation(
            device.endpoint, *arguments, {**options, "async": not device.reachable}
        )
        if result.queued:
            print(f"{device.endpoint} sleeps: queued as command {result.number}")
        return result

    def print_table(self, columns: list[str], rows: list[list]) -> None:
        table = Table(*columns, box=None, header_style="bold", pad_edge=False)
        for row in rows:
            table.add_row(*(str(cell) for cell in row))
        self.terminal.print(table)

    # Who is there

    async def do_help(self) -> None:
        print(HELP)

    async def do_devices(self) -> None:
        rows = []
        for view in self.desk.endpoints_view():
            found = view["registration"]
            if found:
                oids = sorted({ids(path)[0] for path in found["links"] if ids(path)})
                shown = " ".join(str(oid) for oid in oids[:MAX_SHOWN])
                shown += " ..." if len(oids) > MAX_SHOWN else ""
                rows.append(
                    [view["endpoint"], view["status"], found["secure"], found["address"]]
                    + [f"{found['lifetime']} s", found["version"], found["binding"], shown]
                )
        if not rows:
            print("no devices are registered")
            return
        columns = ["endpoint", "state", "security", "address", "lifetime", "LwM2M", "binding"]
        self.print_table([*columns, "objects"], rows)

    async def do_endpoints(self) -> None:
        rows = []
        for view in self.desk.endpoints_view():
            seen = ago(view["lastSeen"])
            names = ", ".join(f"{i['identity']} ({i['kind']})" for i in view["identities"])
            names += " certificate" * bool(view["thumbprints"])
            rows.append([view["endpoint"], view["status"], seen, names, view["queued"]])
        self.print_table(["endpoint", "state", "last heard of", "credentials", "queued"], rows)

    # Operations

    async def do_read(self, path: str, *words: str) -> None:
        paths, options = operands((path, *words), self.server.model)
        result = await self.ask(self.ops.read, paths, **options)
        if len(paths) > 1:
            self.show_values(result)

    def show_values(self, result: Result) -> None:
        model = self.server.model
        for path, _, value in result.values:
            print(f"    {model.label(path)} = {model.show(path, value)}")

    async def do_discover(self, path: str) -> None:
        await self.ask(self.ops.discover, path)

    async def do_write(self, path: str, word: str, *words: str) -> None:
        if len(ids(path)) < 3:
            value = self.values(path, (word, *words))
            await self.ask(self.ops.write, path, value, replace=True)
        elif len(words) > 1:
            raise ValueError("more than a value and a format; a value with spaces goes in quotes")
        else:
            options = {"encoding": encoding(words[0])} if words else {}
            await self.ask(self.ops.write, path, self.value(path, word), **options)

    async def do_update(self, path: str, word: str, *words: str) -> None:
        await self.ask(self.ops.write, path, self.values(path, (word, *words)))

    async def do_writemulti(self, *words: str) -> None:
        flat = {}
        composite = COMPOSITE_OPTION in words
        for word in words:
            if word == COMPOSITE_OPTION:
                continue
            path, equals, text = word.partition("=")
            if not equals:
                raise ValueError(f"{word!r} is not PATH=VALUE")
            flat[join(ids(path))] = self.value(path, text)
        await self.ask(self.ops.writeMulti, nest("/", flat), composite=composite)

    async def do_attr(self, path: str, word: str, *words: str) -> None:
        pairs = (w.partition("=") for w in (word, *words))
        await self.ask(self.ops.writeAttributes, path, {k: v or None for k, _, v in pairs})

    async def do_exec(self, path: str, arguments: str = "") -> None:
        if arguments:
            await self.ask(self.ops.execWithArgs, path, arguments)
        else:
            await self.ask(self.ops.exec, path)

    async def do_create(self, path: str, *words: str) -> None:
        instance = path if len(ids(path)) > 1 else path + "/0"
        await self.ask(self.ops.create, path, self.values(instance, words))

    async def do_delete(self, path: str) -> None:
        await self.ask(self.ops.delete, path)

    async def do_observe(self, path: str, *words: str) -> None:
        paths, options = operands((path, *words), self.server.model)
        await self.ask(self.ops.observe, paths, **options)

    async def do_cancel(self, which: str) -> None:
        known = self.desk.store.observations(self.device.endpoint)
        path = "/" + which.strip("/")
        found = [o for o in known if which == o.token or [path] == o.paths]
        if not found:
            raise ValueError(f"{which} is not observed")
        for observed in found:
            await self.ask(self.ops.observeCancel, observed.token)

    async def do_reset(self, path: str) -> None:
        wanted = [join(ids(path))]
        device = self.device
        found = [o for o in device.observations if list(o.paths) == wanted]
        if not found:
            raise ValueError(f"{path} is not observed")
        for observation in found:
            self.desk.store.remove_observation(device.endpoint, observation.token.hex())
            observation.reset()

    async def do_observations(self) -> None:
        rows = [
            [o.token, " ".join(o.paths), "composite" if o.composite else "", ago(o.since)]
            for o in self.desk.store.observations(self.device.endpoint)
        ]
        self.print_table(["token", "paths", "", "since"], rows)

    async def do_lastknown(self, path: str = "/") -> None:
        endpoint, model = self.known_endpoint(), self.server.model
        found = list(self.desk.store.values(endpoint, join(ids(path))))
        tree = Tree(endpoint)
        branches: dict[tuple, Tree] = {}
        for where, value, at in sorted(found, key=lambda each: ids(each[0])):
            top = ids(where)[:2]
            if top not in branches:
                branches[top] = tree.add(model.label(join(top)))
            shown = "***" if secret(where) else model.show(where, value)
            branches[top].add(f"{model.label(where)} = {shown}  ({ago(at)})")
        self.terminal.print(tree, markup=False)

    def known_endpoint(self) -> str:
        """The chosen endpoint, registered or not."""
        if self.chosen and self.desk.store.endpoint(self.chosen):
            return self.chosen
        return self.device.endpoint

    async def do_use(self, endpoint: str) -> None:
        if self.desk.store.endpoint(endpoint) is None:
            raise ValueError(f"{endpoint!r} is not known")
        self.chosen = endpoint

    async def do_queue(self) -> None:
        rows = [
            [c.number, c.operation, " ".join(c.paths), ago(c.created)]
            for c in self.ops.queued(self.known_endpoint())
        ]
        self.print_table(["number", "operation", "paths", "since"], rows)

    async def do_unqueue(self, number: str) -> None:
        if not number.isdecimal() or not self.ops.cancelQueued(int(number)):
            raise ValueError(f"no command {number} is queued")

    # Firmware

    async def do_firmware(self, source: str, *words: str) -> None:
        options: dict = {}
        for word in words:
            key, equals, text = word.partition("=")
            if not equals:
                raise ValueError(f"{word!r} is not NAME=VALUE")
            options[key] = {"true": True, "false": False}.get(text, text)
            if key in ("timeout", "pollInterval"):
                options[key] = float(text)
        event = await self._shown(self.device.endpoint, source, options)
        print(("" if event.body["success"] else "error: ") + event.body["result"])

    async def _shown(self, endpoint: str, source: str, options: dict) -> events.Event:
        """Run an update with a bar; its FOTA_COMPLETE event."""
        done = asyncio.get_running_loop().create_future()
        hub = self.desk.events
        columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn())
        progress = Progress(*columns, TimeElapsedColumn(), console=self.terminal)
        shown = progress.add_task("begun", total=None)

        def told(event: events.Event) -> None:
            if event.kind == events.FOTA_COMPLETE:
                done.done() or done.set_result(event)
                return
            state, total, sent = (event.body[key] for key in ("state", "size", "sent"))
            progress.update(shown, description=state, total=total or None, completed=sent)

        stop = hub.subscribe(told, {events.FOTA_PROGRESS, events.FOTA_COMPLETE}, endpoint)
        try:
            await self.ops.firmwareUpdate(endpoint, source, options)
            with progress:
                return await done
        finally:
            stop()

    async def do_cancel_firmware(self) -> None:
        await self.ops.firmwareCancel(self.device.endpoint)

    # Files, definitions, accounts

    async def do_files(self) -> None:
        rows = [[i.name, i.size, i.sha256[:16], ago(i.modified)] for i in self.inventory.items()]
        self.print_table(["name", "bytes", "SHA-256", "since"], rows)

    @property
    def inventory(self):
        return self.desk.inventory

    async def do_add_file(self, path: str, name: str | None = None) -> None:
        item = self.inventory.add(name or Path(path).name, Path(path).read_bytes())
        print(f"{item.name}: {item.size} bytes")

    async def do_remove_file(self, name: str) -> None:
        if not self.inventory.remove(name):
            raise ValueError(f"there is no file {name}")

    async def do_xml(self) -> None:
        rows = [
            [name, each["id"], each["name"], each["version"]]
            for name, found in self.desk.object_xmls().items()
            for each in found
        ]
        self.print_table(["file", "object", "name", "version"], rows)

    async def do_add_xml(self, path: str) -> None:
        found = self.desk.save_object_xml(Path(path).name, Path(path).read_bytes())
        print("objects " + ", ".join(str(oid) for oid in found))

    async def do_remove_xml(self, name: str) -> None:
        if not self.desk.remove_object_xml(name):
            raise ValueError(f"no definitions came from {name}")

    async def do_provision(self, endpoint: str, file: str) -> None:
        uri = self.desk.uris().get("coaps")
        if uri is None:
            raise ValueError("this server has no coaps listener")
        key = os.urandom(KEY_BYTES)
        text = board_lines(uri, endpoint, endpoint, key)
        # The key is in the file alone, and the file is its owner's alone.
        handle = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, OWNER_ONLY)
        with os.fdopen(handle, "w", encoding="utf-8") as out:
            out.write(text + "\n")
        self.desk.put_endpoint(endpoint, {"identity": endpoint, "key": key.hex()})
        print(f"{file} has the lines for the board, with the key of {endpoint}")

    async def do_psk(self, endpoint: str, identity: str, key: str) -> None:
        self.desk.put_endpoint(endpoint, {"identity": identity, "key": key})

    async def do_thumbprint(self, endpoint: str, sha256: str) -> None:
        known = self.desk.store.endpoint(endpoint)
        have = known.thumbprints if known else []
        self.desk.put_endpoint(endpoint, {"thumbprints": [*have, sha256]})

    async def do_authority(self, path: str) -> None:
        self.desk.add_authority(Path(path).name, Path(path).read_bytes())

    async def do_certificate(self, file: str) -> None:
        if not self.desk.certificate:
            raise ValueError("this server has no coaps listener")
        with open(file, "xb") as out:
            out.write(self.desk.certificate)

    async def do_account(self, endpoint: str, path: str | None = None) -> None:
        table = accounts.loads(Path(path).read_bytes()) if path else None
        self.desk.put_endpoint(endpoint, {"bootstrap": table})

    async def do_forget(self, endpoint: str) -> None:
        if not self.desk.remove_endpoint(endpoint):
            raise ValueError(f"{endpoint!r} is not known")

    async def do_bootstrap(self) -> None:
        account = next((path for path in self.device.links if path.startswith("/1/")), "/1/0")
        await self.ask(self.ops.exec, f"{account}/9")


def encoding(word: str) -> str | int:
    return int(word) if word.isdecimal() else word


def operands(words, model) -> tuple[list[str], dict]:
    """Paths and options of `PATH... [FORMAT] [-f FORMAT] [-c]`."""
    paths, options, rest = [], {}, list(words)
    while rest:
        word = rest.pop(0)
        if word == COMPOSITE_OPTION:
            options["composite"] = True
        elif word == FORMAT_OPTION:
            if not rest:
                raise ValueError("-f wants a format")
            options["encoding"] = encoding(rest.pop(0))
        elif paths and word != "/" and not word.strip("/").replace("/", "").isdecimal():
            options["encoding"] = encoding(word)
        else:
            paths.append(word)
    return paths, options


def ago(at: float) -> str:
    """`5 s ago`, `3 min ago`, `2021-02-16 12:21`; "never" for 0."""
    if not at:
        return "never"
    seconds = max(0, time.time() - at)
    for unit, name in ((1, "s"), (60, "min"), (3600, "h")):
        if seconds < 100 * unit:
            return f"{seconds / unit:.0f} {name} ago"
    return time.strftime("%Y-%m-%d %H:%M", time.localtime(at))


def board_lines(uri: str, endpoint: str, identity: str = "", key: bytes = b"") -> str:
    """The three lines to type on a board; for coaps with identity and key."""
    account = ""
    if identity:
        # As escapes, so that every MicroPython takes it.
        escaped = "".join(f"\\x{byte:02x}" for byte in key)
        account = f', identity={json.dumps(identity)}, key=b"{escaped}"'
    return "\n".join(
        (
            "from lwm2m import Client",
            f'client = Client({json.dumps(endpoint)}, "{uri}"{account}, lifetime=300)',
            "client.start(); client.run()",
        )
    )
