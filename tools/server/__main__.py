# LwM2M server on a terminal: python -m tools.server [--port N] [--bootstrap-port N]
# SPDX-License-Identifier: MIT

import argparse
import asyncio
import contextlib
import sys
from pathlib import Path

from tools.objects import Bad

from .bootstrap import BootstrapConfig
from .console import Console, Printer
from .core import Server
from .model import Model


async def serve(args: argparse.Namespace) -> None:
    printer, model = Printer(), Model(*args.xml)
    async with contextlib.AsyncExitStack() as stack:
        server = Server(args.host, args.port, transcript=printer, model=model)
        await stack.enter_async_context(server)
        printer("", f"== LwM2M server at {args.uri or server.uri}")
        if args.bootstrap_port is not None:
            account = BootstrapConfig.account(args.uri or server.uri, 1, args.lifetime)
            bootstrap = Server(
                args.host,
                args.bootstrap_port,
                bootstrap={"*": account},
                transcript=printer,
                model=model,
            )
            await stack.enter_async_context(bootstrap)
            printer("", f"== bootstrap server at {bootstrap.uri}")
        await Console(server).run()


def port(text: str) -> int:
    if text.isdigit() and int(text) < 65536:
        return int(text)
    raise argparse.ArgumentTypeError(f"{text!r} is no port from 0 to 65535")


def main() -> int:
    p = argparse.ArgumentParser(
        prog="python -m tools.server", description="An LwM2M server to work with."
    )
    p.add_argument("--host", default="127.0.0.1", help="address to listen on; :: is every one")
    p.add_argument("--port", type=port, default=5683, help="UDP port (5683); 0 picks a free one")
    p.add_argument("--bootstrap-port", type=port, help="run a bootstrap server too, on this port")
    p.add_argument("--uri", help="the server's address as devices are to be told by the bootstrap")
    p.add_argument(
        "--lifetime", type=int, default=86400, help="lifetime in the bootstrap, seconds"
    )
    p.add_argument("--xml", type=Path, nargs="*", default=[], help="more object definitions")
    args = p.parse_args()
    try:
        asyncio.run(serve(args))
    except KeyboardInterrupt:
        pass
    except (OSError, Bad) as e:
        print(f"error: {e}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
