# The desk server on a terminal: python -m tools.server [--config desk.toml] [--http] [--mqtt URI] ...
# SPDX-License-Identifier: MIT

from __future__ import annotations

import argparse
import asyncio
import dataclasses
import importlib
import json
import logging
import signal
import sys

from tools.objects import Bad

from . import events
from .accounts import host_for
from .config import BOOTSTRAP, MAX_PORT, SERVER, Config, ConfigError, Listener
from .console import Printer
from .desk_console import DeskConsole, board_lines
from .events import Event
from .service import DeskServer
from .store import StoreError

BOARD = "board-1"  # the endpoint name in the lines for a board
TRACE = "_trace_"
DESCRIPTION = "An LwM2M server, bootstrap server and gateway for a developer's desk."


def port(text: str) -> int:
    if text.isascii() and text.isdecimal() and int(text) <= MAX_PORT:
        return int(text)
    raise argparse.ArgumentTypeError(f"{text!r} is no port from 0 to {MAX_PORT}")


def parser() -> argparse.ArgumentParser:
    p = argparse.ArgumentParser(prog="python -m tools.server", description=DESCRIPTION)
    p.add_argument("--config", metavar="FILE", help="a TOML or JSON file; what is given here wins")
    p.add_argument("--host", help="address to listen on (127.0.0.1); :: is every one")
    p.add_argument("--port", type=port, help="UDP port of coap (5683); 0 picks a free one")
    p.add_argument("--coaps-port", type=port, help="UDP port of coaps (5684)")
    p.add_argument("--no-coaps", action="store_true", help="do not listen on coaps")
    p.add_argument(
        "--bootstrap-port",
        type=port,
        help="bootstrap on this UDP port; without it, on the same ones as the server",
    )
    p.add_argument("--files-port", type=port, help="serve the inventory by http on this TCP port")
    p.add_argument("--advertise", metavar="HOST", help="what devices are told in URIs")
    p.add_argument("--uri", help=argparse.SUPPRESS)  # an older name: only its host counts
    p.add_argument("--lifetime", type=int, help="lifetime in the default bootstrap, seconds")
    p.add_argument("--database", metavar="FILE", help="SQLite file that outlives a restart")
    p.add_argument(
        "--psk", metavar="IDENTITY=HEX", action="append", default=[], help="a key for any endpoint"
    )
    p.add_argument("--xml", nargs="*", default=[], help="files or folders with object definitions")
    p.add_argument("--http", metavar="PORT", type=port, help="TCP port of REST and page (8090)")
    p.add_argument("--no-http", action="store_true", help="neither REST nor page")
    p.add_argument(
        "--mqtt", metavar="URI", help="EMQX's gateway to a broker: mqtt://127.0.0.1:1883"
    )
    p.add_argument(
        "--embedded-broker", metavar="HOST:PORT", help="the gateway with a broker of its own"
    )
    p.add_argument(
        "--trace", action="store_true", help="print events and the firmware state machine"
    )
    return p


def configuration(args: argparse.Namespace) -> Config:
    """The file's configuration, with what the command line says on top; ConfigError."""
    config = Config.load(args.config) if args.config else Config(listeners=[])
    changes: dict = {}
    if not config.listeners or args.host or args.port is not None or args.coaps_port is not None:
        changes["listeners"] = listeners(args)
    elif args.files_port is not None:
        changes["listeners"] = [*config.listeners, files(args)]
    if args.advertise or args.uri:
        changes["advertise"] = args.advertise or host_of(args.uri)
    if args.database:
        changes["database"] = args.database
    if args.lifetime is not None:
        account = {"shortServerId": 1, "self": True, "lifetime": args.lifetime}
        changes["bootstrap"] = {"servers": [account]}
    if args.xml:
        changes["xml"] = (*config.xml, *args.xml)
    if args.trace:
        changes["tags"] = (*config.tags, TRACE)
    changes["keys"] = {**config.keys, **shared_keys(args)}
    changes["extra"] = tables(args, config)
    return dataclasses.replace(config, **changes)


def shared_keys(args: argparse.Namespace) -> dict[str, str]:
    """{identity: key in hexadecimal} of --psk."""
    keys = {}
    for word in args.psk:
        identity, equals, key = word.rpartition("=")
        if not equals or not identity:
            raise ConfigError("--psk wants IDENTITY=HEX")
        keys[identity] = key
    return keys


def tables(args: argparse.Namespace, config: Config) -> dict[str, dict]:
    """The tables of MQTT gateway and REST, with what the command line says on top."""
    extra = {name: dict(table) for name, table in config.extra.items()}
    if args.no_http:
        extra.pop("rest", None)
    elif args.http is not None or not args.config:
        rest = extra.setdefault("rest", {})
        # Beside free ports of the server stands a free one, too.
        chosen = 0 if args.http is None and args.port == 0 else args.http
        if chosen is not None:
            rest["port"] = chosen
        if args.host:
            rest.setdefault("host", args.host)
    if args.mqtt:
        extra.setdefault("mqtt", {})["broker"] = args.mqtt
    if args.embedded_broker:
        extra.setdefault("mqtt", {})["embedded"] = args.embedded_broker
    return extra


def listeners(args: argparse.Namespace) -> list[Listener]:
    host = args.host or "127.0.0.1"
    roles = (SERVER, BOOTSTRAP) if args.bootstrap_port is None else (SERVER,)
    found = [Listener("coap", host, args.port, roles)]
    if not args.no_coaps:
        # Beside a chosen port of coap stands the next one, as the usual ones do.
        chosen = args.coaps_port
        if chosen is None and args.port is not None:
            chosen = 0 if args.port in (0, MAX_PORT) else args.port + 1
        found.append(Listener("coaps", host, chosen, roles))
    if args.bootstrap_port is not None:
        found.append(Listener("coap", host, args.bootstrap_port, (BOOTSTRAP,)))
    if args.files_port is not None:
        found.append(files(args))
    return found


def files(args: argparse.Namespace) -> Listener:
    return Listener("http", args.host or "127.0.0.1", args.files_port)


def host_of(uri: str) -> str:
    host = uri.partition("://")[2].split("/")[0]
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.partition(":")[0]


def parts(config: Config) -> list:
    """MQTT gateway, REST and page, where the configuration has a table for them."""
    found = []
    for name, module, kind in (("mqtt", "mqtt", "MqttGateway"), ("rest", "rest", "RestServer")):
        if name in config.extra:
            made = importlib.import_module(f".{module}", __package__)
            found.append(getattr(made, kind)(config.extra[name]))
    return found


async def serve(args: argparse.Namespace) -> None:
    config = configuration(args)
    printer = Printer()
    running = parts(config)
    async with DeskServer(config, running, printer) as desk:
        loop, task = asyncio.get_running_loop(), asyncio.current_task()
        loop.add_signal_handler(signal.SIGTERM, task.cancel)
        introduce(desk, printer, running)
        if args.trace:
            desk.events.subscribe(lambda event: trace(printer, event))
        await DeskConsole(desk).run()


def introduce(desk: DeskServer, printer: Printer, running: list) -> None:
    """Where it listens, and what a board is to be told for that."""
    for each in desk.server.listening:
        scheme, roles = each.listener.scheme, each.listener.roles
        host = desk.config.advertise or host_for(each.listener.host)
        shown = f"[{host}]" if ":" in host else host
        uri = f"{scheme}://{shown}:{each.listener.port}"
        what = "LwM2M server" if SERVER in roles else "bootstrap server"
        if set(roles) == {SERVER, BOOTSTRAP}:
            what = "LwM2M server and bootstrap server"
        printer("", f"== {what} at {uri}")
    for scheme, uri in desk.uris().items():
        if scheme in ("http", "https"):
            printer("", f"== files at {uri}/files/")
    for part in running:
        if hasattr(part, "uri"):
            printer("", f"== page and REST at {part.uri}")
    uris = desk.uris()
    if "coap" in uris:
        printer("", "== on a board:\n" + board_lines(uris["coap"], BOARD))
    if "coaps" in uris:
        printer("", f"== over coaps: `provision {BOARD} FILE` writes the lines with a key to FILE")
    if any(each.listener.loopback for each in desk.server.listening):
        printer("", "== only programs on this machine reach it; --host :: listens for boards")
    printer("", "== help lists the commands")


def trace(printer: Printer, event: Event) -> None:
    if event.kind != events.LOG:
        printer(event.endpoint, f"-- {event.kind} {json.dumps(event.body, ensure_ascii=False)}")


def main(argv: list[str] | None = None) -> int:
    args = parser().parse_args(argv)
    logging.basicConfig(level=logging.WARNING, format="%(name)s: %(message)s")
    try:
        asyncio.run(serve(args))
    except (KeyboardInterrupt, asyncio.CancelledError):
        pass
    except (OSError, Bad, ConfigError, StoreError, ValueError) as e:
        print(f"error: {e}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
