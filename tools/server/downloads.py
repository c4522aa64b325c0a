# The inventory's files for devices, over http and https: GET /files/NAME, with Range.
# SPDX-License-Identifier: MIT

from __future__ import annotations

import ssl
import tempfile
from collections.abc import Callable
from pathlib import Path

from aiohttp import web
from cryptography.hazmat.primitives import serialization

from .config import Listener
from .inventory import PREFIX, Inventory

ENDPOINT_QUERY = "epid"  # tells which endpoint downloads


class Downloads:
    """One listener. `fetched(endpoint, name)` is called when a download with ?epid= begins."""

    def __init__(
        self,
        inventory: Inventory,
        listener: Listener,
        fetched: Callable[[str, str], None],
        identity: tuple | None = None,
    ):
        """identity: (certificate, private key), for https."""
        self._inventory, self._listener, self._fetched = inventory, listener, fetched
        self._identity = identity
        self._runner: web.AppRunner | None = None
        self.host, self.port = listener.host, 0

    async def start(self) -> None:
        """OSError when the address cannot be used."""
        app = web.Application()
        app.router.add_get(f"/{PREFIX}/{{name}}", self._get)
        self._runner = web.AppRunner(app, access_log=None)
        await self._runner.setup()
        secure = self._context() if self._listener.scheme == "https" else None
        site = web.TCPSite(
            self._runner,
            self._listener.host,
            self._listener.port,
            ssl_context=secure,
            reuse_port=False,
        )
        await site.start()
        self.port = self._runner.addresses[0][1]

    async def stop(self) -> None:
        if self._runner:
            await self._runner.cleanup()

    def _context(self) -> ssl.SSLContext:
        certificate, key = self._identity
        pem = serialization.Encoding.PEM
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        with tempfile.NamedTemporaryFile() as file:  # only its owner can read it
            file.write(certificate.public_bytes(pem))
            file.write(
                key.private_bytes(
                    pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
                )
            )
            file.flush()
            context.load_cert_chain(file.name)
        return context

    async def _get(self, request: web.Request) -> web.StreamResponse:
        name = request.match_info["name"]
        try:
            path: Path = self._inventory.path(name)
        except KeyError:
            raise web.HTTPNotFound(text=f"there is no file {name!r}\n") from None
        self._fetched(request.query.get(ENDPOINT_QUERY, ""), name)
        return web.FileResponse(path, headers={"Content-Type": "application/octet-stream"})
