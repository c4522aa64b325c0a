# The desk server's own HTTP interface: endpoints, operations, files, definitions, accounts, events
# SPDX-License-Identifier: MIT
"""`/api/desk/...`: what the page uses, and programs that want Tartabit's operations and events.

    POST /api/desk/endpoints/demo/read   {"paths": ["3/0", "6/0"], "options": {"async": false}}
    GET  /api/desk/events                server-sent events; `event:` is the kind, `data:` its body

No key is ever in an answer.
"""

from __future__ import annotations

import contextlib
import dataclasses
from collections import deque
from collections.abc import AsyncGenerator
from typing import TYPE_CHECKING

from aiohttp import web

from . import events, inventory, leshan, values
from .api import Body, HttpError, Parameter, Route, Streams, flag, json_body, raw_body
from .model import Model, flatten
from .results import Result

if TYPE_CHECKING:
    from .service import DeskServer

TAG, FILES, ACCOUNTS = "Desk", "Files", "Accounts"
BASE = "/api/desk"
ENDPOINT = BASE + "/endpoints/{endpoint}"
TABLE = {"type": "object"}
TEXT = {"type": "string"}
LWM2M_PATH = {"type": "string", "pattern": "^/?[0-9]{1,4}(/[0-9]{1,4}){0,3}$"}
MAX_XML = 1 << 20  # bytes
KEPT_LINES = 2000  # of the log
# The members of an operation's body, in the order of its arguments.
ARGUMENTS = {
    "read": ("paths",),
    "write": ("path", "value"),
    "writeMulti": ("value",),
    "create": ("path", "value"),
    "delete": ("path",),
    "exec": ("path",),
    "execWithArgs": ("path", "arguments"),
    "discover": ("path",),
    "writeAttributes": ("path", "attributes"),
    "observe": ("paths",),
    "observeCancel": ("token",),
    "observeCancelPath": ("path",),
    "firmwareUpdate": ("source",),
    "firmwareCancel": (),
}
OPTIONS = "options"


def result_body(result: Result, model: Model) -> dict:
    """A whole Result as JSON."""
    body = {
        "source": result.source,
        "paths": list(result.paths),
        "success": result.success,
        "data": result.data(model),
        "answers": {
            path: {"code": answer.code, "format": answer.format}
            for path, answer in result.answers.items()
        },
    }
    if result.error:
        body["error"] = result.error
    if result.partial:
        body["partialErrors"] = result.partial
    for name in ("tokens", "location", "links", "queued", "number"):
        value = getattr(result, name)
        if value:
            body[name] = value
    return body


class DeskApi:
    """The handlers; `routes` has them all."""

    def __init__(self, desk: DeskServer, streams: Streams, gateway_uri: str = ""):
        self.desk, self.streams, self.gateway_uri = desk, streams, gateway_uri
        self.lines: deque[dict] = deque(maxlen=KEPT_LINES)
        self._stop = desk.events.subscribe(self._line, {events.LOG})
        self.routes = [
            *self._endpoint_routes(),
            *self._operation_routes(),
            *self._file_routes(),
            *self._account_routes(),
        ]

    def close(self) -> None:
        self._stop()

    def _line(self, event: events.Event) -> None:
        line = {"time": event.time, "endpoint": event.endpoint, "line": event.body.get("line", "")}
        self.lines.append(line)

    def _endpoint_routes(self) -> list[Route]:
        settings = Body("identity, key, thumbprints, timeouts, bootstrap, notes", TABLE)
        translate = {"type": "string", "enum": [values.NUMBERS, values.STRINGS]}
        known = (
            Parameter("below", "a path", TEXT),
            Parameter("includeUpdateTimes", "with the times, under ~", {"type": "boolean"}),
            Parameter("translateIds", "numbers, or names", translate),
        )
        which = (Parameter("endpoint", "of this endpoint only"), Parameter("kinds", "with commas"))
        return [
            Route("GET", BASE, self.about, "What runs here", TAG, errors=()),
            Route("GET", BASE + "/endpoints", self.endpoints, "All endpoints", TAG, errors=()),
            Route("GET", ENDPOINT, self.endpoint, "One endpoint", TAG, errors=(404,)),
            Route(
                "PUT",
                ENDPOINT,
                self.put_endpoint,
                "Add or change it",
                TAG,
                (),
                settings,
                errors=(400,),
            ),
            Route(
                "DELETE",
                ENDPOINT,
                self.delete_endpoint,
                "Forget it",
                TAG,
                result=None,
                errors=(404,),
            ),
            Route("GET", ENDPOINT + "/values", self.values, "Last-known values", TAG, known),
            Route("GET", ENDPOINT + "/table", self.table, "Last-known values in rows", TAG),
            Route("GET", ENDPOINT + "/queue", self.queue, "Queued commands", TAG, errors=(404,)),
            Route(
                "DELETE",
                ENDPOINT + "/queue/{number}",
                self.unqueue,
                "Take one back",
                TAG,
                result=None,
            ),
            Route(
                "GET",
                BASE + "/events",
                self.events,
                "Server-sent events with the bodies of Tartabit's page",
                TAG,
                which,
                result=TEXT,
                media="text/event-stream",
            ),
            Route("GET", BASE + "/log", self.log, "The newest lines of the log", TAG, which[:1]),
            Route(
                "GET", BASE + "/objects", self.objects, "Definitions of objects", TAG, errors=()
            ),
            Route("GET", BASE + "/firmware", self.firmware, "Running updates", TAG, errors=()),
        ]

    def _operation_routes(self) -> list[Route]:
        made = []
        for name, members in ARGUMENTS.items():
            properties = {member: _schema(member) for member in members} | {OPTIONS: TABLE}
            schema = {"type": "object", "properties": properties, "required": list(members)}
            body = Body("arguments, and options as Tartabit's page has them", schema)
            errors = (400, 404, 409, 503, 504)
            path = f"{ENDPOINT}/{name}"
            handler = self._operation(name, members)
            made.append(Route("POST", path, handler, name, TAG, (), body, TABLE, errors=errors))
        return made

    def _file_routes(self) -> list[Route]:
        files, xml = BASE + "/inventory", BASE + "/xml"
        media = "application/octet-stream"
        content = Body("the file", media=media)
        definition = Body("XML of OMA", media="application/xml")
        whole = {"type": "string", "format": "binary"}
        return [
            Route("GET", files, self.files, "Files for downloads", FILES, errors=()),
            Route(
                "GET",
                files + "/{file}",
                self.file,
                "One of them",
                FILES,
                result=whole,
                media=media,
                errors=(404,),
            ),
            Route(
                "PUT",
                files + "/{file}",
                self.put_file,
                "Add or replace a file below 16 MB",
                FILES,
                (),
                content,
                errors=(400, 413),
            ),
            Route(
                "DELETE",
                files + "/{file}",
                self.delete_file,
                "Remove it",
                FILES,
                result=None,
                errors=(400, 404),
            ),
            Route("GET", xml, self.xmls, "Definitions that were added", FILES, errors=()),
            Route(
                "PUT",
                xml + "/{file}",
                self.put_xml,
                "Add or replace definitions",
                FILES,
                (),
                definition,
                errors=(400, 413),
            ),
            Route(
                "DELETE",
                xml + "/{file}",
                self.delete_xml,
                "Remove definitions",
                FILES,
                result=None,
                errors=(400, 404),
            ),
        ]

    def _account_routes(self) -> list[Route]:
        authorities = BASE + "/authorities"
        pem = Body("PEM", media="text/plain")
        return [
            Route(
                "GET",
                authorities,
                self.authorities,
                "Authorities whose clients may connect",
                ACCOUNTS,
                errors=(),
            ),
            Route(
                "PUT",
                authorities + "/{file}",
                self.put_authority,
                "Add or replace one",
                ACCOUNTS,
                (),
                pem,
                None,
                errors=(400, 413),
            ),
            Route(
                "DELETE",
                authorities + "/{file}",
                self.delete_authority,
                "Remove it",
                ACCOUNTS,
                result=None,
                errors=(404,),
            ),
        ]

    # Endpoints

    def _name(self, request: web.Request) -> str:
        name = request.match_info["endpoint"]
        if self.desk.store.endpoint(name) is None:
            raise HttpError(404, f"there is no endpoint {name!r}")
        return name

    async def about(self, request: web.Request) -> dict:
        return {"uris": self.desk.uris(), "mqtt": self.gateway_uri}

    async def endpoints(self, request: web.Request) -> list:
        return self.desk.endpoints_view()

    async def endpoint(self, request: web.Request) -> dict:
        return self.desk.endpoint_view(self._name(request))

    async def put_endpoint(self, request: web.Request) -> dict:
        name = request.match_info["endpoint"]
        self.desk.put_endpoint(name, await json_body(request, dict))
        return self.desk.endpoint_view(name)

    async def delete_endpoint(self, request: web.Request) -> web.Response:
        self.desk.remove_endpoint(self._name(request))
        return web.Response(status=204)

    async def values(self, request: web.Request) -> dict:
        return self.desk.operations.lastKnown(
            self._name(request),
            includeUpdateTimes=flag(request, "includeUpdateTimes", True),
            translateIds=request.query.get("translateIds", values.NUMBERS),
            below=request.query.get("below", "/"),
        )

    async def table(self, request: web.Request) -> list:
        """[path, value, epoch seconds] of each resource."""
        known = self.desk.store.values(self._name(request))
        return [[path, values.to_json(value, path), at] for path, value, at in known]

    async def queue(self, request: web.Request) -> list:
        return [
            {
                "number": command.number,
                "operation": command.operation,
                "path": ",".join(command.paths),
                "created": command.created,
                "expires": command.expires,
            }
            for command in self.desk.operations.queued(self._name(request))
        ]

    async def unqueue(self, request: web.Request) -> web.Response:
        name, number = self._name(request), request.match_info["number"]
        if not number.isdecimal():
            raise HttpError(400, f"{number!r} is no number of a command")
        mine = {command.number for command in self.desk.operations.queued(name)}
        if int(number) not in mine or not self.desk.operations.cancelQueued(int(number)):
            raise HttpError(404, f"command {number} does not wait for {name}")
        return web.Response(status=204)

    async def objects(self, request: web.Request) -> dict:
        model = self.desk.model
        return {oid: leshan.specification(int(oid), model) for oid in model.objects}

    async def firmware(self, request: web.Request) -> dict:
        return {name: update.progress() for name, update in self.desk.firmware.running.items()}

    async def log(self, request: web.Request) -> list:
        wanted = request.query.get("endpoint")
        return [line for line in self.lines if wanted in (None, line["endpoint"])]

    async def events(self, request: web.Request) -> web.StreamResponse:
        kinds = [k for k in request.query.get("kinds", "").split(",") if k] or list(events.KINDS)
        wrong = [kind for kind in kinds if kind not in events.KINDS]
        if wrong:
            raise HttpError(400, f"kind {wrong[0]!r} is none of {', '.join(events.KINDS)}")
        endpoint = request.query.get("endpoint")
        return await self.streams.serve(request, self._events(kinds, endpoint))

    async def _events(self, kinds: list[str], endpoint: str | None) -> AsyncGenerator[tuple]:
        stream = self.desk.events.stream(kinds, endpoint)
        async with contextlib.aclosing(stream):
            async for event in stream:
                told = {"endpoint": event.endpoint, "time": event.time, "body": event.body}
                if event.kind == events.DATA:
                    told["values"] = _readings(event.detail)
                yield event.kind, event.number, told

    # Operations

    def _operation(self, name: str, members: tuple[str, ...]):
        async def handler(request: web.Request) -> dict:
            body = await json_body(request, dict)
            unknown = set(body) - {*members, OPTIONS}
            missing = [member for member in members if member not in body]
            if unknown or missing:
                wanted = ", ".join((*members, OPTIONS))
                raise HttpError(400, f"the body of {name} has {wanted}, not {sorted(body)}")
            arguments = [body[member] for member in members]
            endpoint = request.match_info["endpoint"]
            operation = getattr(self.desk.operations, name)
            result = await operation(endpoint, *arguments, body.get(OPTIONS))
            return result_body(result, self.desk.model)

        return handler

    # Files and definitions

    async def files(self, request: web.Request) -> list:
        return [dataclasses.asdict(item) for item in self.desk.inventory.items()]

    async def file(self, request: web.Request) -> web.Response:
        name = request.match_info["file"]
        try:
            content = self.desk.inventory.read(name)
        except KeyError:
            raise HttpError(404, f"there is no file {name!r}") from None
        return web.Response(body=content, content_type="application/octet-stream")

    async def put_file(self, request: web.Request) -> dict:
        content = await raw_body(request, inventory.LIMIT)
        item = self.desk.inventory.add(request.match_info["file"], content)
        return dataclasses.asdict(item)

    async def delete_file(self, request: web.Request) -> web.Response:
        return _removed(self.desk.inventory.remove, request)

    async def xmls(self, request: web.Request) -> dict:
        return self.desk.object_xmls()

    async def put_xml(self, request: web.Request) -> dict:
        content = await raw_body(request, MAX_XML)
        return {"objects": self.desk.save_object_xml(request.match_info["file"], content)}

    async def delete_xml(self, request: web.Request) -> web.Response:
        return _removed(self.desk.remove_object_xml, request)

    async def authorities(self, request: web.Request) -> dict:
        return self.desk.authorities()

    async def put_authority(self, request: web.Request) -> web.Response:
        content = await raw_body(request, MAX_XML)
        self.desk.add_authority(request.match_info["file"], content)
        return web.Response(status=204)

    async def delete_authority(self, request: web.Request) -> web.Response:
        return _removed(self.desk.remove_authority, request)


def _removed(remove, request: web.Request) -> web.Response:
    name = request.match_info["file"]
    if not remove(name):
        raise HttpError(404, f"there is no {name!r}")
    return web.Response(status=204)


def _schema(member: str) -> dict:
    if member == "paths":
        return {"anyOf": [LWM2M_PATH, {"type": "array", "items": LWM2M_PATH, "minItems": 1}]}
    if member == "path":
        return LWM2M_PATH
    if member in ("token", "source"):
        return TEXT
    return TABLE if member == "attributes" else {}


def _readings(reported: events.Reported) -> list:
    """[path, time or None, value] of each value of a DATA event, for charts."""
    found = []
    for path, at, value in reported.values:
        for name, leaf in flatten(path, value):
            found.append([name, at, values.to_json(leaf, name)])
    return found
