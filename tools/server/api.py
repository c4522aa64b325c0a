# What the HTTP interfaces share: routes that describe themselves, JSON in and out, errors, server-sent events
# SPDX-License-Identifier: MIT

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable
from dataclasses import dataclass, field

from aiohttp import web

from tools.objects import Bad

from .results import OperationError

MAX_BODY = 1 << 20  # bytes of JSON, or of any body but a file's
KEEP_ALIVE = 15.0  # seconds between comments on a quiet stream
STATUS = {  # of an OperationError
    "unknown": 404,
    "argument": 400,
    "timeout": 504,
    "refused": 409,
    "queue": 503,
    "busy": 409,
}
_log = logging.getLogger("lwm2m.rest")


@dataclass(frozen=True)
class Parameter:
    """A parameter of a query; those of the path are found in the route."""

    name: str
    text: str
    schema: dict = field(default_factory=lambda: {"type": "string"})
    required: bool = False


@dataclass(frozen=True)
class Body:
    """What a request carries; `schema` is JSON Schema, None where it is no JSON."""

    text: str
    schema: dict | None = None
    media: str = "application/json"
    required: bool = True


@dataclass(frozen=True)
class Route:
    """A request that is served, and its line in the OpenAPI description.

    path     with parameters, {endpoint}
    result   JSON Schema of the answer; None where there is no body, "" of another media type
    """

    method: str
    path: str
    handler: Callable[[web.Request], Awaitable]
    summary: str
    tag: str
    query: tuple[Parameter, ...] = ()
    body: Body | None = None
    result: dict | None = field(default_factory=dict)
    media: str = "application/json"
    errors: tuple[int, ...] = (400, 404)


class HttpError(Exception):
    """Ends a request with a status and a sentence."""

    def __init__(self, status: int, text: str):
        super().__init__(text)
        self.status = status


def dumps(value) -> str:
    return json.dumps(value, separators=(",", ":"), allow_nan=False, ensure_ascii=False)


def reply(value, status: int = 200) -> web.Response:
    """JSON; what UTF-8 cannot hold (half a surrogate, from somebody's JSON) is replaced."""
    text = dumps(value).encode(errors="replace")
    return web.Response(body=text, status=status, content_type="application/json", charset="utf-8")


def failure(status: int, text: str, **more) -> web.Response:
    return reply({"error": text, **more}, status)


async def json_body(request: web.Request, *kinds: type):
    """The JSON of a request, of one of `kinds`; HttpError where it is none."""
    raw = await request.content.read(MAX_BODY + 1) if request.can_read_body else b""
    if len(raw) > MAX_BODY:
        raise HttpError(413, f"the body has more than {MAX_BODY} bytes")
    while not request.content.at_eof():
        raw += await request.content.read(MAX_BODY + 1 - len(raw))
        if len(raw) > MAX_BODY:
            raise HttpError(413, f"the body has more than {MAX_BODY} bytes")
    try:
        value = json.loads(raw, parse_constant=_no_constant)
    except (ValueError, RecursionError):
        raise HttpError(400, "the body is no JSON") from None
    if kinds and not isinstance(value, kinds):
        names = {dict: "object", list: "array", str: "text"}
        wanted = " or ".join(names[kind] for kind in kinds)
        raise HttpError(400, f"the body is no JSON {wanted}")
    return value


def _no_constant(name: str):
    raise ValueError(f"{name} is no JSON")


async def raw_body(request: web.Request, limit: int) -> bytes:
    """A body of other types; HttpError 413 from `limit` bytes on."""
    raw = bytearray()
    async for chunk in request.content.iter_any():
        raw += chunk
        if len(raw) >= limit:
            raise HttpError(413, f"the body has {limit} bytes or more")
    return bytes(raw)


def flag(request: web.Request, name: str, default: bool) -> bool:
    text = request.query.get(name)
    if text is None:
        return default
    if text.lower() not in ("true", "false", ""):
        raise HttpError(400, f"{name} is {text!r}, neither true nor false")
    return text.lower() != "false"


def seconds(request: web.Request, name: str, default: float | None) -> float | None:
    text = request.query.get(name)
    if text is None:
        return default
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 < value <= 86400:
        raise HttpError(400, f"{name} is {text!r}, no number of seconds")
    return value


@web.middleware
async def errors(request: web.Request, handler) -> web.StreamResponse:
    """Every error is JSON with a sentence; what nobody thought of is logged, and is 500."""
    try:
        result = await handler(request)
        return result if isinstance(result, web.StreamResponse) else reply(result)
    except HttpError as error:
        return failure(error.status, str(error))
    except OperationError as error:
        more = error.result.async_body() if error.result else {}
        return failure(STATUS.get(error.code, 400), str(error), code=error.code, **_without(more))
    except (Bad, ValueError) as error:
        return failure(400, str(error) or type(error).__name__)
    except web.HTTPException as error:
        if error.status < 400:
            raise
        found = failure(error.status, f"{error.reason}: {request.method} {request.path}")
        if "Allow" in error.headers:
            found.headers["Allow"] = error.headers["Allow"]
        return found
    except (asyncio.CancelledError, ConnectionError):
        raise
    except Exception:
        _log.exception("%s %s", request.method, request.path)
        return failure(500, "the server failed; its log has more")


def _without(body: dict) -> dict:
    return {
        key: value for key, value in body.items() if key in ("partialErrors", "path", "source")
    }


class Streams:
    """Server-sent events; close() ends every stream that is open."""

    def __init__(self):
        self._tasks: set[asyncio.Task] = set()

    async def serve(self, request: web.Request, events: AsyncGenerator) -> web.StreamResponse:
        """Send (name, number or None, JSON value) of each event until the client goes."""
        response = web.StreamResponse(
            headers={
                "Content-Type": "text/event-stream; charset=utf-8",
                "Cache-Control": "no-store",
                "X-Accel-Buffering": "no",
            }
        )
        await response.prepare(request)
        task = asyncio.current_task()
        self._tasks.add(task)
        try:
            await self._pass_on(response, events)
        except (ConnectionError, asyncio.CancelledError):
            pass  # the client has gone, or the server ends
        finally:
            self._tasks.discard(task)
        return response

    async def _pass_on(self, response: web.StreamResponse, events: AsyncGenerator) -> None:
        upcoming = None
        try:
            await response.write(b": events\n\n")
            while True:
                upcoming = upcoming or asyncio.ensure_future(anext(events))
                done, _ = await asyncio.wait({upcoming}, timeout=KEEP_ALIVE)
                if not done:
                    await response.write(b": quiet\n\n")
                    continue
                name, number, value = upcoming.result()
                upcoming = None
                head = f"id: {number}\n" if number is not None else ""
                text = f"{head}event: {name}\ndata: {dumps(value)}\n\n"
                await response.write(text.encode(errors="replace"))
        finally:
            if upcoming is not None:
                upcoming.cancel()
                await asyncio.gather(upcoming, return_exceptions=True)
            await events.aclose()

    def close(self) -> None:
        for task in list(self._tasks):
            task.cancel()
