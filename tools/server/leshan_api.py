# Leshan's REST interface, so that scripts written for its demo servers work with the desk server
# SPDX-License-Identifier: MIT
"""Clients, operations, security, bootstrap and events in the shape of Leshan 2.0's demo servers.

An operation is answered `{"status": "CONTENT(205)", "valid", "success", "failure", "content": node}` whatever the device
answered; 504 where it did not; `{"delayed": true, "requestId"}` while it sleeps, and a REQUEST_RESPONSE event later.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import time
from collections.abc import AsyncGenerator, Callable
from typing import TYPE_CHECKING

from aiohttp import web

from . import events, leshan, leshan_bootstrap, nodes, store
from .api import Body, HttpError, Parameter, Route, Streams, flag, json_body, raw_body, seconds
from .model import ids, join
from .results import ENCODINGS, OperationError, Result

if TYPE_CHECKING:
    from .service import DeskServer

ORIGIN = "leshan"
TAG = "Leshan"
TIMEOUT = 5.0  # seconds, where a request does not say
SLACK = 1.0  # seconds for the outcome of a timeout to arrive as one
MAX_TEXT = 1 << 16  # bytes of the arguments of an Execute
BOOTSTRAP_DOCUMENTS = "leshan-bootstrap"
ATTRIBUTES = ("pmin", "pmax", "epmin", "epmax", "gt", "lt", "st", "edge", "con", "hqmax")
NODE = {"type": "object", "description": "a node, as a read gives it"}
TABLE = {"type": "object"}
RESPONSE = {
    "type": "object",
    "properties": {
        "status": {"type": "string"},
        "valid": {"type": "boolean"},
        "success": {"type": "boolean"},
        "failure": {"type": "boolean"},
        "delayed": {"type": "boolean"},
        "requestId": {"type": "string"},
    },
}
FORMATS = {"type": "string", "enum": sorted(name.upper() for name in ENCODINGS)}
FORMAT = Parameter("format", "content format of the payload", FORMATS)
TIME = Parameter(
    "timeout",
    "seconds to wait for the device",
    {"type": "number", "exclusiveMinimum": 0, "maximum": 86400},
)
PATHS = Parameter(
    "paths",
    "paths, separated by commas",
    {"type": "string", "pattern": "^/[0-9]{1,4}(/[0-9]{1,4}){0,3}(,/[0-9]{1,4}){0,3}$"},
    required=True,
)
BOTH_FORMATS = (
    Parameter("pathformat", "content format of the paths", FORMATS),
    Parameter("nodeformat", "content format of the values", FORMATS),
)
LEVELS = (
    "/{object}",
    "/{object}/{instance}",
    "/{object}/{instance}/{resource}",
    "/{object}/{instance}/{resource}/{resourceInstance}",
)
RESOURCE_INSTANCE = len(LEVELS)
ERRORS = (400, 404, 409, 503, 504)


class LeshanApi:
    """The handlers; `routes` has them all."""

    def __init__(self, desk: DeskServer, streams: Streams):
        self.desk, self.streams = desk, streams
        self._numbers = itertools.count(1)
        self._pending: dict[str, asyncio.Future[Result]] = {}
        self._stop = desk.events.subscribe(self._answered, {events.ASYNC_RESULT})
        self.routes = [
            *self._client_routes(),
            *self._composite_routes(),
            *self._operation_routes(),
            *self._security_routes(),
        ]

    def close(self) -> None:
        self._stop()

    def _client_routes(self) -> list[Route]:
        base = "/api/clients"
        stream = {"result": {"type": "string"}, "media": "text/event-stream"}
        return [
            Route("GET", base, self.clients, "Registered clients", TAG, errors=()),
            Route("GET", base + "/{endpoint}", self.client, "One of them", TAG, errors=(404,)),
            Route(
                "GET",
                "/api/objectspecs/{endpoint}",
                self.specifications,
                "Definitions of a client's objects",
                TAG,
                errors=(404,),
            ),
            Route(
                "GET", "/api/server/endpoint", self.addresses, "Where it listens", TAG, errors=()
            ),
            Route(
                "GET",
                "/api/event",
                self.events,
                "Server-sent events",
                TAG,
                (Parameter("ep", "only the events of this endpoint, and its log"),),
                errors=(),
                **stream,
            ),
        ]

    def _operation(self, method, path, handler, summary, query=(), body=None) -> Route:
        path, query = "/api/clients/{endpoint}" + path, (*query, TIME)
        return Route(method, path, handler, summary, TAG, query, body, RESPONSE, errors=ERRORS)

    def _composite_routes(self) -> list[Route]:
        add, both = self._operation, (PATHS, *BOTH_FORMATS)
        several = Body("a node for each path", {"type": "object", "additionalProperties": NODE})
        write, observe = self.write_composite, self.observe_composite
        return [
            add("GET", "/composite", self.read_composite, "Read-Composite", both),
            add("PUT", "/composite", write, "Write-Composite", BOTH_FORMATS[1:], several),
            add("POST", "/composite/observe", observe, "Observe-Composite", both),
            add("DELETE", "/composite/observe", self.cancel_composite, "Cancel it", (PATHS,)),
        ]

    def _operation_routes(self) -> list[Route]:
        add, made = self._operation, []
        attributes = tuple(Parameter(name, f"the attribute {name}") for name in ATTRIBUTES)
        active = Parameter("active", "tell the device (Observe=1)", {"type": "boolean"})
        replace = Parameter("replace", "replace, or update", {"type": "boolean"})
        node = Body("the node to write", NODE)
        words = Body("arguments", media="text/plain", required=False)
        for level, path in enumerate(LEVELS, 1):
            write = (FORMAT, replace)
            made += [
                add("PUT", path + "/attributes", self.attributes, "Write-Attributes", attributes),
                add("POST", path + "/observe", self.observe, "Observe", (FORMAT,)),
                add("DELETE", path + "/observe", self.cancel, "Cancel Observation", (active,)),
                add("GET", path, self.read, "Read", (FORMAT,)),
            ]
            if level < RESOURCE_INSTANCE:
                made.append(add("GET", path + "/discover", self.discover, "Discover"))
            if level > 1:
                made.append(add("PUT", path, self.write, "Write", write, node))
                made.append(add("DELETE", path, self.delete, "Delete"))
        made.append(add("POST", LEVELS[0], self.create, "Create", (FORMAT,), node))
        made.append(add("POST", LEVELS[2], self.execute, "Execute", (), words))
        # The words discover, attributes and observe are tried before numbers.
        return sorted(made, key=lambda route: route.path.endswith("}"))

    def _security_routes(self) -> list[Route]:
        clients, base = "/api/security/clients", "/api/bootstrap"
        put = Body("endpoint, and tls with mode and details", TABLE)
        account = Body("servers, security, acls, toDelete", TABLE)
        nothing = {"result": None}
        return [
            Route("GET", clients, self.securities, "Credentials, without keys", TAG, errors=()),
            Route(
                "PUT",
                clients,
                self.put_security,
                "Add credentials",
                TAG,
                (),
                put,
                None,
                errors=(400,),
            ),
            Route(
                "DELETE",
                clients + "/{endpoint}",
                self.delete_security,
                "Remove credentials",
                TAG,
                errors=(404,),
                **nothing,
            ),
            Route("GET", base, self.bootstraps, "Bootstrap configurations", TAG, errors=()),
            Route(
                "POST",
                base + "/{endpoint}",
                self.put_bootstrap,
                "Configure the bootstrap of an endpoint",
                TAG,
                (),
                account,
                None,
                errors=(400,),
            ),
            Route(
                "DELETE",
                base + "/{endpoint}",
                self.delete_bootstrap,
                "Forget it",
                TAG,
                errors=(404,),
                **nothing,
            ),
        ]

    # Clients

    def _status(self, endpoint: str) -> str:
        known = self.desk.store.endpoint(endpoint)
        return known.status if known else store.UNKNOWN

    def _client(self, registration: store.Registration) -> dict:
        return leshan.client(registration, self._status(registration.endpoint))

    def _registration(self, request: web.Request) -> store.Registration:
        name = request.match_info["endpoint"]
        found = self.desk.store.registration(name)
        if found is None:
            raise HttpError(404, f"no registered client has the endpoint name {name!r}")
        return found

    async def clients(self, request: web.Request) -> list:
        return [self._client(each) for each in self.desk.store.registrations()]

    async def client(self, request: web.Request) -> dict:
        return self._client(self._registration(request))

    async def addresses(self, request: web.Request) -> list:
        return [{"uri": uri} for uri in self.desk.uris().values()]

    async def specifications(self, request: web.Request) -> list:
        registration, model = self._registration(request), self.desk.model
        wanted = {leshan.numbers(path)[0] for path in registration.links if leshan.numbers(path)}
        known = [oid for oid in sorted(wanted) if str(oid) in model.objects]
        return [leshan.specification(oid, model) for oid in known]

    # Operations

    def _path(self, request: web.Request) -> str:
        names = ("object", "instance", "resource", "resourceInstance")
        words = [request.match_info[name] for name in names if name in request.match_info]
        return join(ids("/".join(words)))

    def _paths(self, request: web.Request) -> list[str]:
        text = request.query.get("paths", "")
        paths = [join(ids(word.strip())) for word in text.split(",") if word.strip()]
        if not paths:
            raise HttpError(400, "paths is missing: such as paths=/3/0,/1")
        return paths

    async def _do(
        self, request: web.Request, call: Callable, format: str = "format", **options
    ) -> dict:
        """call(endpoint, options) is an operation; wait for the device's answer, but not while it sleeps."""
        registration = self._registration(request)
        endpoint = registration.endpoint
        limit = seconds(request, "timeout", TIMEOUT)
        number = f"{time.time_ns():x}-{next(self._numbers)}"
        options |= {"origin": ORIGIN, "context": {"requestId": number}, "timeout": limit}
        if request.query.get(format):
            options["encoding"] = request.query[format]
        answered = self._pending[number] = asyncio.get_running_loop().create_future()
        try:
            begun = await call(endpoint, options)
            if begun.queued:
                return {"delayed": True, "requestId": number}
            result = await asyncio.wait_for(answered, limit + SLACK)
        except TimeoutError:
            raise HttpError(504, f"{endpoint} did not answer within {limit:g} s") from None
        finally:
            self._pending.pop(number, None)
        if not result.answers and not result.success:
            raise OperationError(result.code or "timeout", result.error, result)
        return leshan.response(result, self.desk.model)

    def _answered(self, event: events.Event) -> None:
        result = event.detail
        if not isinstance(result, Result) or result.origin != ORIGIN or result.queued:
            return
        context = result.context if isinstance(result.context, dict) else {}
        waiting = self._pending.get(context.get("requestId", ""))
        if waiting is not None and not waiting.done():
            waiting.set_result(result)

    async def read(self, request: web.Request) -> dict:
        paths, operations = [self._path(request)], self.desk.operations
        return await self._do(request, lambda ep, given: operations.read(ep, paths, given))

    async def discover(self, request: web.Request) -> dict:
        path, operations = self._path(request), self.desk.operations
        return await self._do(request, lambda ep, given: operations.discover(ep, path, given))

    async def write(self, request: web.Request) -> dict:
        """PUT replaces an instance unless replace=false; a resource is replaced in any case."""
        path, operations = self._path(request), self.desk.operations
        value = nodes.value_of(path, await json_body(request, dict), self.desk.model)
        more = {"replace": True} if flag(request, "replace", True) and len(ids(path)) == 2 else {}
        return await self._do(
            request, lambda ep, given: operations.write(ep, path, value, given), **more
        )

    async def attributes(self, request: web.Request) -> dict:
        path, operations = self._path(request), self.desk.operations
        pairs = request.query.items()
        given = {name: text or None for name, text in pairs if name != TIME.name}
        return await self._do(
            request, lambda ep, options: operations.writeAttributes(ep, path, given, options)
        )

    async def create(self, request: web.Request) -> dict:
        path, operations = self._path(request), self.desk.operations
        node = await json_body(request, dict)
        value = nodes.value_of(f"{path}/0", node, self.desk.model)
        if node.get("id") is not None:
            path = f"{path}/{nodes.number_of(node)}"
        return await self._do(request, lambda ep, given: operations.create(ep, path, value, given))

    async def execute(self, request: web.Request) -> dict:
        path, operations = self._path(request), self.desk.operations
        text = (await raw_body(request, MAX_TEXT)).decode(errors="replace")
        return await self._do(
            request, lambda ep, given: operations.execWithArgs(ep, path, text, given)
        )

    async def delete(self, request: web.Request) -> dict:
        path, operations = self._path(request), self.desk.operations
        return await self._do(request, lambda ep, given: operations.delete(ep, path, given))

    async def observe(self, request: web.Request) -> dict:
        paths, operations = [self._path(request)], self.desk.operations
        return await self._do(request, lambda ep, given: operations.observe(ep, paths, given))

    async def cancel(self, request: web.Request) -> dict:
        path, operations = self._path(request), self.desk.operations
        return await self._do(
            request, lambda ep, given: operations.observeCancelPath(ep, path, given)
        )

    # Composite operations

    async def read_composite(self, request: web.Request) -> dict:
        paths, operations = self._paths(request), self.desk.operations
        return await self._do(
            request,
            lambda ep, given: operations.read(ep, paths, given),
            "nodeformat",
            composite=True,
        )

    async def observe_composite(self, request: web.Request) -> dict:
        paths, operations = self._paths(request), self.desk.operations
        return await self._do(
            request,
            lambda ep, given: operations.observe(ep, paths, given),
            "nodeformat",
            composite=True,
        )

    async def cancel_composite(self, request: web.Request) -> dict:
        paths, operations = self._paths(request), self.desk.operations
        endpoint = self._registration(request).endpoint
        for observed in self.desk.store.observations(endpoint):
            if observed.composite and observed.paths == paths:
                token = observed.token
                return await self._do(
                    request, lambda ep, given: operations.observeCancel(ep, token, given)
                )
        raise HttpError(404, f"{','.join(paths)} is not observed")

    async def write_composite(self, request: web.Request) -> dict:
        operations, tree = self.desk.operations, {}
        for path, node in (await json_body(request, dict)).items():
            numbers = ids(path)
            if len(numbers) < 3:
                raise HttpError(400, f"{path!r} is no path of a resource")
            inner = tree
            for number in numbers[:-1]:
                inner = inner.setdefault(number, {})
                if not isinstance(inner, dict):
                    raise HttpError(400, f"{path} is below another path of the body")
            if isinstance(inner.get(numbers[-1]), dict):
                raise HttpError(400, f"{path} is above another path of the body")
            inner[numbers[-1]] = nodes.value_of(join(numbers), node, self.desk.model)
        return await self._do(
            request,
            lambda ep, given: operations.writeMulti(ep, tree, given),
            "nodeformat",
            composite=True,
        )

    # Credentials and bootstrap

    async def securities(self, request: web.Request) -> list:
        found = []
        for view in self.desk.endpoints_view():
            for each in view["identities"]:
                details = {"identity": each["identity"]}
                tls = {"mode": "psk", "details": details}
                found.append({"endpoint": view["endpoint"], "tls": tls})
            if view["thumbprints"]:
                details = {"thumbprints": view["thumbprints"]}
                tls = {"mode": "x509", "details": details}
                found.append({"endpoint": view["endpoint"], "tls": tls})
        return found

    async def put_security(self, request: web.Request) -> web.Response:
        body = await json_body(request, dict)
        endpoint, tls = body.get("endpoint"), body.get("tls")
        if not isinstance(endpoint, str) or not endpoint:
            raise HttpError(400, "endpoint is missing")
        if "oscore" in body or not isinstance(tls, dict):
            raise HttpError(400, "tls is missing; OSCORE is not served")
        details = tls.get("details") or {}
        if not isinstance(details, dict):
            raise HttpError(400, "tls.details is no object")
        if tls.get("mode") == "psk":
            settings = {"identity": details.get("identity"), "key": details.get("key")}
            if not all(isinstance(text, str) and text for text in settings.values()):
                raise HttpError(400, "tls.details has no identity and key")
        elif tls.get("mode") == "x509":
            # Leshan trusts a certificate by its authority; here a thumbprint may be given as well.
            prints = details.get("thumbprints")
            settings = {} if prints is None else {"thumbprints": prints}
        else:
            raise HttpError(400, f"tls.mode is {tls.get('mode')!r}, neither psk nor x509")
        self.desk.put_endpoint(endpoint, settings)
        return web.Response(status=204)

    async def delete_security(self, request: web.Request) -> web.Response:
        name = request.match_info["endpoint"]
        if self.desk.store.endpoint(name) is None:
            raise HttpError(404, f"there is no endpoint {name!r}")
        for credential in self.desk.store.credentials(name):
            self.desk.store.remove_credential(credential.identity)
        self.desk.put_endpoint(name, {"thumbprints": []})
        return web.Response(status=204)

    async def bootstraps(self, request: web.Request) -> dict:
        documents = self.desk.store.documents(BOOTSTRAP_DOCUMENTS)
        return {
            name: leshan_bootstrap.without_keys(json.loads(content))
            for name, content in documents.items()
        }

    async def put_bootstrap(self, request: web.Request) -> web.Response:
        name = request.match_info["endpoint"]
        given = await json_body(request, dict)
        account = leshan_bootstrap.account(given)
        self.desk.put_endpoint(name, {"bootstrap": account})
        content = json.dumps(given).encode()
        self.desk.store.put_document(BOOTSTRAP_DOCUMENTS, name, content)
        return web.Response(status=204)

    async def delete_bootstrap(self, request: web.Request) -> web.Response:
        name = request.match_info["endpoint"]
        if not self.desk.store.remove_document(BOOTSTRAP_DOCUMENTS, name):
            raise HttpError(404, f"{name!r} has no bootstrap configuration")
        if self.desk.store.endpoint(name) is not None:
            self.desk.put_endpoint(name, {"bootstrap": None})
        return web.Response(status=204)

    # Events

    async def events(self, request: web.Request) -> web.StreamResponse:
        return await self.streams.serve(request, self._events(request.query.get("ep")))

    async def _events(self, endpoint: str | None) -> AsyncGenerator[tuple]:
        # As with Leshan the log comes only for the endpoint that is looked at.
        kinds = [k for k in leshan.EVENT_KINDS if endpoint is not None or k != events.LOG]
        stream = self.desk.events.stream(kinds, endpoint)
        async with contextlib.aclosing(stream):
            async for happened in stream:
                if happened.kind == events.ASYNC_RESULT:
                    told = self._delayed(happened)
                else:
                    status = self._status(happened.endpoint)
                    told = leshan.event(happened, self.desk.model, status)
                if told:
                    yield told[0], None, told[1]

    def _delayed(self, happened: events.Event) -> tuple[str, dict] | None:
        """The answer of a device that slept when it was asked."""
        result = happened.detail
        if not isinstance(result, Result) or result.origin != ORIGIN or result.queued:
            return None
        context = result.context if isinstance(result.context, dict) else {}
        number = context.get("requestId")
        if number in self._pending:
            return None  # whoever asked gets it as the answer of the request
        told = {"ep": happened.endpoint, "requestId": number, "delayed": True}
        if result.answers:
            return "REQUEST_RESPONSE", {**told, **leshan.response(result, self.desk.model)}
        return "REQUEST_RESPONSE", {**told, "success": False, "errormessage": result.error}
