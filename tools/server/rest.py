# REST, server-sent events and the page, on one HTTP port
# SPDX-License-Identifier: MIT
"""A part of the desk server; the table [rest] of its configuration has Settings.

    [rest]
    port = 8090
    host = "127.0.0.1"

Beyond loopback every request but the page's own files needs a token, `Authorization: Bearer ...`; without one in the
configuration it is made at each start, and `uri` has it for the page: http://10.0.0.2:8090/#token=...
Requests that another site's page makes a browser send are refused.
"""

from __future__ import annotations

import dataclasses
import hmac
import ipaddress
import secrets
import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from aiohttp import web

from . import openapi
from .accounts import host_for
from .api import Route, Streams, errors, failure, reply
from .config import ConfigError
from .desk_api import DeskApi
from .emqx_api import EmqxApi
from .leshan_api import LeshanApi

if TYPE_CHECKING:
    from .service import DeskServer

PORT = 8090
MAX_PORT = 65535
TOKEN_BYTES = 24
PAGE = Path(__file__).parent / "page"
TYPES = {
    ".html": "text/html",
    ".css": "text/css",
    ".js": "text/javascript",
    ".svg": "image/svg+xml",
}
# The page loads nothing from elsewhere, and nobody puts it into a frame.
SECURITY_HEADERS = {
    "Content-Security-Policy": "default-src 'self'; img-src 'self' data:; "
    "frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
DESCRIPTION = "/openapi.json"


@dataclass
class Settings:
    """The table [rest].

    host, port    where to listen; port 0 is a free one
    token         what a request must show; "" is none on loopback, and a new one beyond
    certificate, private_key   PEM files, for https
    page          serve the page too?
    """

    host: str = "127.0.0.1"
    port: int = PORT
    token: str = dataclasses.field(default="", repr=False)
    certificate: str = ""
    private_key: str = ""
    page: bool = True

    @classmethod
    def of(cls, table: dict) -> Settings:
        """ConfigError names the key that is wrong."""
        known = {f.name: type(f.default) for f in dataclasses.fields(cls)}
        for name, value in table.items():
            if name not in known:
                raise ConfigError(f"unknown key rest.{name}; known: {', '.join(known)}")
            if type(value) is not known[name]:
                raise ConfigError(f"rest.{name} is {value!r}, not {known[name].__name__}")
        made = cls(**table)
        if not 0 <= made.port <= MAX_PORT:
            raise ConfigError(f"rest.port is {made.port}, not from 0 to {MAX_PORT}")
        if bool(made.certificate) != bool(made.private_key):
            raise ConfigError("rest.certificate and rest.private_key belong together")
        return made

    @property
    def loopback(self) -> bool:
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return self.host == "localhost"


class RestServer:
    """HTTP as a part of a desk server. After start(), `uri` is what a browser is to open."""

    def __init__(self, table: dict | None = None):
        self.settings = Settings.of(table or {})
        self.token = self.settings.token
        if not self.token and not self.settings.loopback:
            self.token = secrets.token_urlsafe(TOKEN_BYTES)
        self.port = self.settings.port
        self._runner: web.AppRunner | None = None
        self._shown = ""

    async def start(self, desk: DeskServer) -> None:
        """OSError where it cannot listen, ConfigError where the certificate cannot be read."""
        self.streams = Streams()
        if not self.settings.loopback:
            self._shown = desk.config.advertise or host_for(self.settings.host)
        self.apis = [LeshanApi(desk, self.streams), DeskApi(desk, self.streams), EmqxApi(desk)]
        app = web.Application(middlewares=[self._headers, errors, self._guard])
        self.routes = [route for api in self.apis for route in api.routes]
        for route in self.routes:
            app.router.add_route(route.method, route.path, route.handler)
        self.description = openapi.describe(self.routes, "LwM2M desk server", _version())
        app.router.add_get(DESCRIPTION, self._describe)
        if self.settings.page:
            app.router.add_get("/", self._page)
            app.router.add_get("/page/{file}", self._page)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
        await self._runner.setup()
        site = web.TCPSite(
            self._runner, self.settings.host, self.settings.port, ssl_context=self._tls()
        )
        try:
            await site.start()
        except OSError:
            await self.stop()
            raise
        self.port = self._runner.addresses[0][1]

    async def stop(self) -> None:
        if self._runner is None:
            return
        runner, self._runner = self._runner, None
        self.streams.close()
        leshan, desk, emqx = self.apis
        leshan.close()
        desk.close()
        await emqx.close()
        await runner.cleanup()

    @property
    def base(self) -> str:
        host = self._shown or self.settings.host
        scheme = "https" if self.settings.certificate else "http"
        return (
            f"{scheme}://[{host}]:{self.port}" if ":" in host else f"{scheme}://{host}:{self.port}"
        )

    @property
    def uri(self) -> str:
        return f"{self.base}/#token={self.token}" if self.token else f"{self.base}/"

    def _tls(self) -> ssl.SSLContext | None:
        if not self.settings.certificate:
            return None
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        try:
            context.load_cert_chain(self.settings.certificate, self.settings.private_key)
        except (OSError, ssl.SSLError) as error:
            raise ConfigError(f"rest.certificate: {error}") from None
        return context

    @web.middleware
    async def _headers(self, request: web.Request, handler) -> web.StreamResponse:
        response = await handler(request)
        if not response.prepared:
            response.headers.update(SECURITY_HEADERS)
            response.headers.setdefault("Cache-Control", "no-store")
        return response

    @web.middleware
    async def _guard(self, request: web.Request, handler) -> web.StreamResponse:
        """The token; and no request that a page of another site makes."""
        origin = request.headers.get("Origin")
        if origin is not None and urlsplit(origin).netloc != request.host:
            return failure(403, "requests of other sites' pages are refused")
        if not self.token and not _local(request.host):
            # A name that an attacker lets point to this machine would make the page's origin his.
            return failure(403, f"{request.host} is no name of this machine's loopback")
        free = request.path == "/" or request.path.startswith("/page/")
        if self.token and not free:
            scheme, _, given = request.headers.get("Authorization", "").partition(" ")
            if scheme.lower() != "bearer" or not hmac.compare_digest(
                given.encode(errors="replace"), self.token.encode()
            ):
                found = failure(401, "the token is missing or wrong (Authorization: Bearer ...)")
                found.headers["WWW-Authenticate"] = "Bearer"
                return found
        return await handler(request)

    async def _describe(self, request: web.Request) -> web.Response:
        return reply(self.description)

    async def _page(self, request: web.Request) -> web.StreamResponse:
        name = request.match_info.get("file", "index.html")
        path = PAGE / name
        if path.parent != PAGE or path.suffix not in TYPES or not path.is_file():
            raise web.HTTPNotFound()
        return web.Response(
            body=path.read_bytes(), content_type=TYPES[path.suffix], charset="utf-8"
        )


def _local(host: str) -> bool:
    """Is the Host of a request loopback?"""
    try:
        name = urlsplit(f"//{host}").hostname or ""
        return name == "localhost" or ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


def _version() -> str:
    return "1.0"
