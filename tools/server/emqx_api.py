# EMQX's HTTP interface of its LwM2M gateway: ask a client, and look the answer up
# SPDX-License-Identifier: MIT
"""`/api/v5/gateways/lwm2m/clients/{endpoint}/lookup` gives the newest answer to a command, whether it came over MQTT or
by `read`, `write` and `observe` here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from aiohttp import web

from .api import HttpError, Parameter, Route, flag
from .emqx import COMMANDS
from .gateway import HTTP, Gateway

if TYPE_CHECKING:
    from .service import DeskServer

BASE = "/api/v5/gateways/lwm2m/clients/{endpoint}"
TAG = "EMQX"
PATH = Parameter("path", "a path, such as /3/0/0", required=True)
ACTIONS = {"type": "string", "enum": list(COMMANDS)}
TYPES = ("Integer", "Float", "Time", "String", "Boolean", "Opaque", "Objlnk")


class EmqxApi:
    """The handlers; `routes` has them all."""

    def __init__(self, desk: DeskServer):
        self.desk, self.gateway = desk, Gateway(desk, HTTP)
        action = Parameter("action", "what was asked", ACTIONS, required=True)
        kind = Parameter(
            "type", "its type", {"type": "string", "enum": list(TYPES)}, required=True
        )
        value = Parameter("value", "the value", required=True)
        enable = Parameter("enable", "observe, or end it", {"type": "boolean"}, required=True)
        nothing = {"result": None}
        self.routes = [
            Route("GET", BASE + "/lookup", self.lookup, "The newest answer", TAG, (PATH, action)),
            Route("POST", BASE + "/read", self.read, "Read", TAG, (PATH,), **nothing),
            Route(
                "POST", BASE + "/write", self.write, "Write", TAG, (PATH, kind, value), **nothing
            ),
            Route(
                "POST", BASE + "/observe", self.observe, "Observe", TAG, (PATH, enable), **nothing
            ),
        ]

    async def close(self) -> None:
        await self.gateway.close()

    def _endpoint(self, request: web.Request) -> str:
        name = request.match_info["endpoint"]
        if name not in self.desk.server.devices:
            raise HttpError(404, f"client {name!r} is not registered")
        return name

    def _query(self, request: web.Request, name: str) -> str:
        text = request.query.get(name)
        if text is None:
            raise HttpError(400, f"{name} is missing")
        return text

    async def lookup(self, request: web.Request) -> dict:
        endpoint, path = self._endpoint(request), self._query(request, "path")
        action = self._query(request, "action")
        if action not in COMMANDS:
            raise HttpError(400, f"action {action!r} is none of {', '.join(COMMANDS)}")
        return self.gateway.lookup(endpoint, path, action)

    def _run(self, request: web.Request, kind: str, **data) -> web.Response:
        endpoint = self._endpoint(request)
        data = {"path": self._query(request, "path"), **data}
        self.gateway.run(endpoint, {"msgType": kind, "data": data})
        return web.Response(status=204)

    async def read(self, request: web.Request) -> web.Response:
        return self._run(request, "read")

    async def write(self, request: web.Request) -> web.Response:
        kind, value = self._query(request, "type"), self._query(request, "value")
        return self._run(request, "write", type=kind, value=value)

    async def observe(self, request: web.Request) -> web.Response:
        kind = "observe" if flag(request, "enable", True) else "cancel-observe"
        return self._run(request, kind)
