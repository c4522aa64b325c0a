# The operations on devices, as Tartabit's page has them: at once, queued while a device sleeps, or waited for.
# SPDX-License-Identifier: MIT
"""Operations is what REST, MQTT gateway, CLI and scripts call.

    result = await desk.operations.read("demo", ["3/0", "6/0"], {"async": False})
    result.data(desk.model)["3"]["0"]["0"]

Paths are written `3/0/0` or `/3/0/0`. `options` is an Options, a dictionary as the page has it
({"async": False, "encoding": "tlv", "context": {...}, "composite": True}), or None.

Asynchronous (the default): the method returns a Result at once, before the device was asked; the outcome
comes as events: DATA with the values, ERROR if it failed, ASYNC_RESULT if there is a context or an origin.
Synchronous ({"async": False}): it returns the whole Result, or raises OperationError; values that were read
are a DATA event as well.

A device that sleeps (queue mode) is not asked: the command is stored (`queued` is True, and the
ASYNC_RESULT event has "intermediate": true) and carried out, oldest first, one at a time, after its next message.
A synchronous call waits for that as long as `timeout` says, then takes the command back and raises.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from typing import TYPE_CHECKING, Protocol

from . import events, formats, values
from .events import Event, EventHub, Reported
from .model import flatten, ids, join
from .peer import PATIENCE, Answer, NoAnswer, Observation
from .results import NO_RESPONSE, PARTIAL, OperationError, Options, Result
from .store import Command, Observed, Store, StoreError

if TYPE_CHECKING:
    from .config import Config
    from .core import Device, Server

COMPOSITE = "composite"  # the key of a composite request's answer and token
# Formats that carry several resources in one write.
SEVERAL = {formats.TLV, formats.JSON, formats.SENML_JSON, formats.SENML_CBOR, formats.LWM2M_CBOR}
ATTRIBUTES = ("pmin", "pmax", "epmin", "epmax", "gt", "lt", "st", "edge", "con", "hqmax")


class Updates(Protocol):
    """What runs firmware updates for these operations: see firmware.py."""

    async def start(self, endpoint: str, source: str, options=None) -> Result: ...

    async def cancel(self, endpoint: str, options=None) -> Result: ...


class Operations:
    """All operations; one of these for a server. See the head of this file for how they answer."""

    def __init__(self, server: Server, store: Store, hub: EventHub, config: Config):
        self.server, self.store, self.hub, self.config = server, store, hub, config
        self.firmware: Updates | None = None  # set by the service
        self._tasks: set[asyncio.Task] = set()
        self._draining: dict[str, asyncio.Task] = {}
        self._listeners: dict[str, list[asyncio.Future]] = {}
        self._waiters: dict[int, asyncio.Future[Result]] = {}
        self._log = logging.getLogger("lwm2m.operations")

    # What others call. The names are the page's.

    async def create(self, endpoint: str, path: str, value: dict, options=None) -> Result:
        """Create an instance: "19/0" with that id, "19" lets the device choose; value {resource: value}.

        Result.location is its path.
        """
        path = _path(path, 1, 2)
        arguments = {"path": path, "value": self._numbered(path, value)}
        return await self._call(endpoint, "create", arguments, options, (path,))

    async def delete(self, endpoint: str, path: str, options=None) -> Result:
        """Delete an instance, or a resource instance (1.2)."""
        path = _path(path, 2, 4)
        return await self._call(endpoint, "delete", {"path": path}, options, (path,))

    async def exec(self, endpoint: str, path: str, options=None) -> Result:
        """Execute a resource without arguments."""
        path = _path(path, 3, 3)
        return await self._call(endpoint, "exec", {"path": path, "text": ""}, options, (path,))

    async def execWithArgs(self, endpoint: str, path: str, arguments, options=None) -> Result:
        """Execute with arguments: {"0": "abc123"} goes out as 0='abc123'; None is an argument without value.

        A string goes out as it is.
        """
        path = _path(path, 3, 3)
        given = {"path": path, "text": arguments_text(arguments)}
        return await self._call(endpoint, "execWithArgs", given, options, (path,))

    async def read(self, endpoint: str, paths: str | list[str], options=None) -> Result:
        """Read objects, instances, resources: a request for each, or one with `composite`.

        With some of them refused, Result.partial has the errors and Result.values the rest.
        """
        paths = _paths(paths)
        return await self._call(endpoint, "read", {"paths": paths}, options, tuple(paths))

    async def discover(self, endpoint: str, path: str, options=None) -> Result:
        """Discover an object, an instance or a resource: Result.links."""
        path = _path(path, 1, 3)
        return await self._call(endpoint, "discover", {"path": path}, options, (path,))

    async def write(self, endpoint: str, path: str, value, options=None) -> Result:
        """Write a resource, or {resource: value} of an instance (a partial update).

        With the option {"replace": True} an instance is replaced, and a multiple resource always is.
        """
        path = _path(path, 2, 4)
        replace = _flag(options, "replace")
        arguments = {"path": path, "value": self._numbered(path, value), "replace": replace}
        return await self._call(
            endpoint, "write", arguments, _without(options, "replace"), (path,)
        )

    async def writeMulti(self, endpoint: str, value: dict, options=None) -> Result:
        """Write {"3": {"0": {"15": "UTC"}}}: with `composite` in one request, else instance by instance.

        One resource of an instance is a resource write; several are one instance update where
        the encoding can, and otherwise a write each.
        """
        value = self._numbered("/", value)
        paths = [join(ids(path)) for path, _ in flatten("/", value)]
        if not paths:
            raise OperationError("argument", "there is nothing to write")
        if any(len(ids(path)) < 3 for path in paths):
            raise OperationError("argument", "a value is not at a resource")
        return await self._call(endpoint, "writeMulti", {"value": value}, options, tuple(paths))

    async def writeAttributes(
        self, endpoint: str, path: str, attributes: dict, options=None
    ) -> Result:
        """Write-Attributes: {"pmin": 10, "gt": None}; None unsets one."""
        path = _path(path, 1, 4)
        if not isinstance(attributes, dict):
            raise OperationError("argument", "attributes is not an object")
        for name, value in attributes.items():
            if name not in ATTRIBUTES:
                known = ", ".join(ATTRIBUTES)
                raise OperationError("argument", f"unknown attribute {name!r}; known: {known}")
            if isinstance(value, bool) or not isinstance(value, (int, float, str, type(None))):
                raise OperationError("argument", f"attribute {name} is {value!r}")
        given = {"path": path, "attributes": attributes}
        return await self._call(endpoint, "writeAttributes", given, options, (path,))

    async def observe(self, endpoint: str, paths: str | list[str], options=None) -> Result:
        """Observe each path, or with `composite` all in one: Result.tokens {path or "composite": token}.

        The first values are a DATA event of the source "observe", later ones of "notify". A path that
        is observed already is observed anew, under a new token.
        """
        paths = _paths(paths)
        return await self._call(endpoint, "observe", {"paths": paths}, options, tuple(paths))

    async def observeCancel(self, endpoint: str, token: str, options=None) -> Result:
        """End the observation of a token: GET or FETCH with Observe=1. OperationError "argument" for an unknown one."""
        known = next((o for o in self.store.observations(endpoint) if o.token == token), None)
        if known is None:
            raise OperationError(
                "argument", f"no observation of {endpoint} has the token {token!r}"
            )
        given = {"token": token}
        return await self._call(endpoint, "observeCancel", given, options, tuple(known.paths))

    async def observeCancelPath(self, endpoint: str, path: str, options=None) -> Result:
        """End all observations of a path; of none that is success too."""
        path = _path(path, 0, 4)
        given = {"path": path}
        return await self._call(endpoint, "observeCancelPath", given, options, (path,))

    async def request(
        self,
        endpoint: str,
        method: str,
        path: str,
        *,
        payload: bytes = b"",
        format: int | None = None,
        accept: int | None = None,
        query: list[str] | tuple[str, ...] = (),
        observe: int | None = None,
        options=None,
    ) -> Result:
        """Any request to a device: GET, PUT, POST, DELETE, FETCH, PATCH, iPATCH; Result.answers[path].

        The device's refusal is an answer, not an exception. `observe` 0 with GET begins an observation
        (Result.tokens), 1 ends those of the path.
        """
        if method.upper() not in _METHODS:
            raise OperationError("argument", f"method {method!r} is none of {', '.join(_METHODS)}")
        path = _path(path, 0, 4)
        given = {"method": _METHODS[method.upper()], "path": path, "payload": payload}
        given |= {"format": format, "accept": accept, "query": list(query), "observe": observe}
        return await self._call(endpoint, "request", given, options, (path,))

    async def firmwareUpdate(self, endpoint: str, source: str, options=None) -> Result:
        """Update the firmware from a URI, or from a file of the inventory; always asynchronous.

        Options besides: protocol ("http", "https", "coap", "coaps"), delivery ("pull", "push"), observationMode
        ("observe", "poll"), noEpid, resetUri, resetEncoding ("text", "tlv"), instance ("0"), pollInterval (seconds), timeout (seconds for all of it).
        Progress is FOTA_PROGRESS events, the end a FOTA_COMPLETE event; `desk.firmware.running`
        has those that run.
        """
        return await self.firmware.start(endpoint, source, options)

    async def firmwareCancel(self, endpoint: str, options=None) -> Result:
        """End a running update, by 5/x/10 or an empty 5/x/1; nothing if none runs."""
        return await self.firmware.cancel(endpoint, options)

    async def upload(
        self, endpoint: str, path: str, content: bytes, format: int, progress
    ) -> Answer:
        """Write a large resource block by block, as soon as the device is reachable; progress(bytes)."""
        while True:
            device = self.server.devices.get(endpoint)
            if device is None:
                raise OperationError("unknown", f"{endpoint!r} is not registered")
            if device.reachable:
                break
            await self.heard_of(endpoint)
        try:
            return await device.upload(path, content, format, progress)
        except NoAnswer:
            raise OperationError("timeout", NO_RESPONSE) from None

    async def heard_of(self, endpoint: str) -> None:
        """Wait for the next message of an endpoint."""
        waiter = asyncio.get_running_loop().create_future()
        self._listeners.setdefault(endpoint, []).append(waiter)
        await waiter

    def lastKnown(
        self,
        endpoint: str,
        *,
        includeUpdateTimes: bool = True,
        translateIds: str = values.NUMBERS,
        below: str = "/",
    ) -> dict:
        """The newest value of every resource, as the page has it: {"3": {"0": {...}}, "~3": {"0": {...}}}.

        "~3" has the times, ISO 8601. Works for endpoints that are not registered; OperationError for unknown ones.
        """
        if self.store.endpoint(endpoint) is None:
            raise OperationError("unknown", f"there is no endpoint {endpoint!r}")
        if translateIds not in (values.NUMBERS, values.STRINGS):
            raise OperationError("argument", "translateIds is neither numbers nor strings")
        known = list(self.store.values(endpoint, below))
        model = self.server.model
        tree = values.to_tree([(p, v) for p, v, _ in known], model, translateIds)
        if includeUpdateTimes:
            stamps = [(p, values.iso(at)) for p, _, at in known]
            times = values.to_tree(stamps, model, translateIds, plain=True)
            tree |= {f"~{key}": inner for key, inner in times.items()}
        return tree

    def queued(self, endpoint: str) -> list[Command]:
        """The commands that wait for an endpoint, oldest first."""
        return self.store.commands(endpoint)

    def cancelQueued(self, number: int) -> bool:
        """Take a queued command back; False if it is gone already."""
        waiter = self._waiters.pop(number, None)
        if waiter and not waiter.done():
            waiter.cancel()
        return self.store.remove_command(number)

    # Parts of the server call these.

    async def stop(self) -> None:
        """End what runs; commands that were not answered stay in the store."""
        tasks = [*self._tasks, *self._draining.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def awake(self, endpoint: str) -> None:
        """A message came from the endpoint: carry out what waits for it."""
        for waiter in self._listeners.pop(endpoint, ()):
            if not waiter.done():
                waiter.set_result(None)
        if endpoint in self._draining or not self.store.commands(endpoint):
            return
        loop = asyncio.get_running_loop()
        self._draining[endpoint] = loop.create_task(self._drain(endpoint))

    def expire(self) -> None:
        """Drop commands whose time is over, with an error each."""
        for command in self.store.take_expired(time.time()):
            options = Options.of(command.options)
            result = self._result(command.endpoint, command.operation, options, command.paths)
            self._fail(result, "timeout", "expired before the device woke")
            self._tell(result, options)
            self._finish(command.number, result)

    # Underneath

    def _result(self, endpoint: str, operation: str, options: Options, paths=()) -> Result:
        source = (
            f"{operation}-composite" if options.composite and operation in _BOTH else operation
        )
        return Result(
            source, endpoint, tuple(paths), context=options.context, origin=options.origin
        )

    async def _call(
        self, endpoint: str, operation: str, arguments: dict, options, paths: tuple[str, ...]
    ) -> Result:
        options = Options.of(options)
        device = self.server.devices.get(endpoint)
        if device is None:
            raise OperationError("unknown", f"{endpoint!r} is not registered")
        result = self._result(endpoint, operation, options, paths)
        if options.queue and (not device.reachable or self.store.commands(endpoint)):
            return await self._queue(operation, arguments, options, result)
        if options.asynchronous:
            work = self._carry_out(operation, arguments, options, result)
            task = asyncio.get_running_loop().create_task(work)
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
            return self._result(endpoint, operation, options, paths)
        return self._raised(await self._carry_out(operation, arguments, options, result))

    def _raised(self, result: Result) -> Result:
        """For a synchronous caller: the result, or an OperationError."""
        if result.success or result.source == "request" and result.answers:
            return result
        raise OperationError(result.code or "refused", result.error, result)

    async def _queue(self, operation, arguments, options: Options, result: Result) -> Result:
        expiry = self.config.queue_expiry if options.expiry is None else options.expiry
        command = Command(
            result.endpoint,
            operation,
            arguments,
            options.table(),
            list(result.paths),
            expires=time.time() + expiry if expiry else None,
        )
        try:
            result.number = self.store.put_command(command)
        except StoreError as e:
            raise OperationError("queue", str(e), result) from None
        result.queued = True
        device = self.server.devices[result.endpoint]
        if options.asynchronous:
            self._tell(result, options)
            if device.reachable:
                self.awake(result.endpoint)
            return result
        waiter = self._waiters[result.number] = asyncio.get_running_loop().create_future()
        if device.reachable:
            self.awake(result.endpoint)
        limit = options.timeout or self.server.timeout_of(result.endpoint)
        try:
            return self._raised(await asyncio.wait_for(waiter, limit))
        except (TimeoutError, asyncio.CancelledError):
            self._waiters.pop(result.number, None)
            self.store.remove_command(result.number)
            if not waiter.cancelled():
                raise
            raise OperationError("timeout", NO_RESPONSE, result) from None

    async def _drain(self, endpoint: str) -> None:
        """Carry out the queued commands, oldest first, as long as the device is there."""
        try:
            while command := self._next(endpoint):
                await self._carry_out_queued(command)
        finally:
            # In the same step as the look at the queue: a command that comes later starts it anew.
            self._draining.pop(endpoint, None)

    def _next(self, endpoint: str) -> Command | None:
        device = self.server.devices.get(endpoint)
        if device is None or not device.reachable:
            return None
        self.expire()
        return next(iter(self.store.commands(endpoint)), None)

    async def _carry_out_queued(self, command: Command) -> None:
        endpoint, operation = command.endpoint, command.operation
        try:
            options = Options.of(command.options)
            result = self._result(endpoint, operation, options, command.paths)
            await self._carry_out(operation, command.arguments, options, result)
        except OperationError as e:
            self._log.error("a stored command cannot be carried out: %s", e)
            result = Result(operation, endpoint, success=False, error=str(e))
        self.store.remove_command(command.number)
        self._finish(command.number, result)

    def _finish(self, number: int, result: Result) -> None:
        waiter = self._waiters.pop(number, None)
        if waiter and not waiter.done():
            waiter.set_result(result)

    async def _carry_out(
        self, operation: str, arguments: dict, options: Options, result: Result
    ) -> Result:
        """Ask the device now; the outcome goes into the result, and out as events. Never raises."""
        device = self.server.devices.get(result.endpoint)
        try:
            if device is None:
                raise OperationError("unknown", f"{result.endpoint!r} is not registered")
            method = getattr(self, "_do_" + operation)
            PATIENCE.set(options.timeout)  # of the task that this operation runs in
            await method(device, arguments, options, result)
        except NoAnswer as e:
            self._fail(result, "timeout", NO_RESPONSE)
            self._log.debug("%s", e)
        except OperationError as e:
            self._fail(result, e.code, str(e))
        except ValueError as e:
            self._fail(result, "argument", str(e))
        except Exception as e:
            self._log.exception("%s of %s failed", operation, result.endpoint)
            self._fail(result, "argument", f"{type(e).__name__}: {e}")
        finally:
            PATIENCE.set(None)
        self._settle(result)
        self._tell(result, options)
        return result

    def _fail(self, result: Result, code: str, error: str) -> None:
        result.success, result.code, result.error = False, code, error

    def _settle(self, result: Result) -> None:
        """Partial errors decide about the whole."""
        if not result.partial or not result.success:
            return
        if len(result.partial) < len(result.paths):
            self._fail(result, "refused", PARTIAL)
        else:
            self._fail(result, result.code or "refused", next(iter(result.partial.values())))

    def _tell(self, result: Result, options: Options) -> None:
        if not options.asynchronous:
            return
        if not result.success:
            body = result.error_body()
            self.hub.emit(Event(events.ERROR, result.endpoint, body, result))
        if result.context is not None or result.origin:
            body = result.async_body()
            self.hub.emit(Event(events.ASYNC_RESULT, result.endpoint, body, result))

    def _take(self, result: Result, path: str, answer: Answer, base: str | None = None) -> bool:
        """Note an answer to a path; was it a success?"""
        result.answers[path] = answer
        if answer.ok:
            return True
        paths = result.paths if path == COMPOSITE else (base or path,)
        for each in paths:
            result.partial[each] = answer.error
        return False

    def _read(self, device: Device, result: Result, source: str, answer: Answer, paths) -> None:
        """Values of an answer: into the result, and out as a DATA event."""
        if answer.problem:
            result.partial |= dict.fromkeys(paths, answer.problem)
            return
        result.values += answer.readings
        reported = Reported(source, answer.readings, tuple(paths), answer, context=result.context)
        self.server.report(device, reported)

    async def _do_create(self, device, arguments, options, result) -> None:
        answer = await device.create(arguments["path"], arguments["value"], options.format)
        if self._take(result, arguments["path"], answer):
            result.location = answer.location or arguments["path"]

    async def _do_delete(self, device, arguments, options, result) -> None:
        answer = await device.delete(arguments["path"])
        if self._take(result, arguments["path"], answer):
            self.store.remove_values(device.endpoint, arguments["path"])

    async def _do_exec(self, device, arguments, options, result) -> None:
        answer = await device.execute(arguments["path"], arguments["text"])
        self._take(result, arguments["path"], answer)

    _do_execWithArgs = _do_exec

    async def _do_read(self, device, arguments, options, result) -> None:
        paths = arguments["paths"]
        if options.composite:
            answer = await device.read_composite(paths, options.format)
            if self._take(result, COMPOSITE, answer):
                self._read(device, result, "read-composite", answer, paths)
            return
        for path in paths:
            answer = await self._each(result, path, device.read(path, options.format))
            if answer and answer.ok:
                self._read(device, result, "read", answer, [path])

    async def _each(self, result: Result, path: str, request) -> Answer | None:
        """One request of several: what becomes of it belongs to its path alone."""
        try:
            answer = await request
        except NoAnswer:
            result.partial[path] = NO_RESPONSE
            result.code = "timeout"
            return None
        self._take(result, path, answer)
        return answer

    async def _do_discover(self, device, arguments, options, result) -> None:
        answer = await device.discover(arguments["path"])
        if self._take(result, arguments["path"], answer):
            result.links = answer.value or {}

    async def _do_write(self, device, arguments, options, result) -> None:
        path, value = arguments["path"], arguments["value"]
        update = len(ids(path)) == 2 and not arguments.get("replace")
        answer = await device.write(path, value, options.format, update=update)
        if self._take(result, path, answer):
            self.server.written(device, path, value)

    async def _do_writeMulti(self, device, arguments, options, result) -> None:
        value = arguments["value"]
        if options.composite:
            answer = await device.write_composite(value, options.format)
            if self._take(result, COMPOSITE, answer):
                self.server.written(device, "/", value)
            return
        for path, part, update in writes_of(value, options.format):
            answer = await self._each(
                result, path, device.write(path, part, options.format, update=update)
            )
            if answer and answer.ok:
                self.server.written(device, path, part)

    async def _do_writeAttributes(self, device, arguments, options, result) -> None:
        answer = await device.attributes(arguments["path"], **arguments["attributes"])
        self._take(result, arguments["path"], answer)

    async def _do_observe(self, device, arguments, options, result) -> None:
        paths = arguments["paths"]
        if options.composite:
            await self._observe(device, paths, True, options, result)
            return
        for path in paths:
            try:
                await self._observe(device, [path], False, options, result)
            except NoAnswer:
                result.partial[path] = NO_RESPONSE
                result.code = "timeout"

    async def _observe(self, device: Device, paths, composite: bool, options, result) -> None:
        key = COMPOSITE if composite else paths[0]
        for old in self.store.observations(device.endpoint):
            if old.paths == paths and old.composite == composite:
                device.forget(old.token)
                self.store.remove_observation(device.endpoint, old.token)
        if composite:
            observation = await device.observe_composite(paths, options.format)
        else:
            observation = await device.observe(paths[0], options.format)
        answer = observation.answer
        observation.context = options.context
        if not self._take(result, key, answer):
            return
        if not observation.active:
            for path in paths:
                result.partial[path] = "the device answered without an observation"
        else:
            result.tokens[key] = observation.token.hex()
            self.keep(observation, options.context)
        source = "observe-composite" if composite else "observe"
        self._read(device, result, source, answer, paths)

    def keep(self, observation: Observation, context=None) -> None:
        """Store an observation, so that it goes on after a restart."""
        self.store.put_observation(
            Observed(
                observation.peer.endpoint,
                observation.token.hex(),
                list(observation.paths),
                observation.composite,
                observation.accept,
                observation.order,
                context,
                time.time(),
            )
        )

    async def _do_observeCancel(self, device, arguments, options, result) -> None:
        token = arguments["token"]
        observation = device.observation(token)
        self.store.remove_observation(device.endpoint, token)
        if observation is None:
            return
        key = COMPOSITE if observation.composite else observation.paths[0]
        self._take(result, key, await observation.cancel())

    async def _do_observeCancelPath(self, device, arguments, options, result) -> None:
        for observation in list(device.observations):
            if list(observation.paths) == [arguments["path"]] and not observation.composite:
                self.store.remove_observation(device.endpoint, observation.token.hex())
                self._take(result, arguments["path"], await observation.cancel())

    async def _do_request(self, device, arguments, options, result) -> None:
        method, path = arguments["method"], arguments["path"]
        observe = arguments["observe"]
        if observe == 0 and method == "GET":
            given = Options(encoding=arguments["accept"], context=options.context)
            await self._observe(device, [path], False, given, result)
            return
        running = [o for o in device.observations if list(o.paths) == [path]]
        if observe == 1 and method == "GET" and running:
            self.store.remove_observation(device.endpoint, running[0].token.hex())
            self._take(result, path, await running[0].cancel())
            return
        answer = await device.request(
            method,
            path,
            payload=arguments["payload"],
            format=arguments["format"],
            accept=arguments["accept"],
            query=arguments["query"],
            observe=observe,
        )
        if self._take(result, path, answer):
            result.location = answer.location
            if method in ("GET", "FETCH") and answer.readings:
                self._read(device, result, "read", answer, [path])

    def _numbered(self, path: str, value):
        """A value from JSON: keys of objects become numbers, text becomes what the model says it is."""
        try:
            return from_json(path, value, self.server.model)
        except ValueError as e:
            raise OperationError("argument", str(e)) from None


_BOTH = ("read", "observe", "writeMulti")
_METHODS = {
    "GET": "GET",
    "PUT": "PUT",
    "POST": "POST",
    "DELETE": "DELETE",
    "FETCH": "FETCH",
    "PATCH": "PATCH",
    "IPATCH": "iPATCH",
}


def _path(path: str, least: int, most: int) -> str:
    """`3/0/0` as `/3/0/0`; OperationError when it is not of `least` to `most` numbers."""
    if not isinstance(path, str):
        raise OperationError("argument", f"path is {path!r}, not a string like 3/0/0")
    try:
        numbers = ids(path)
    except ValueError as e:
        raise OperationError("argument", str(e)) from None
    if not least <= len(numbers) <= most:
        raise OperationError("argument", f"path {path!r} has {len(numbers)} numbers")
    return join(numbers)


def _paths(paths) -> list[str]:
    if isinstance(paths, str):
        paths = [paths]
    if not isinstance(paths, (list, tuple)) or not paths:
        raise OperationError("argument", "paths is not a list of paths like 3/0/0")
    return [_path(path, 0, 4) for path in paths]


def _flag(options, name: str) -> bool:
    value = options.get(name, False) if isinstance(options, dict) else False
    if not isinstance(value, bool):
        raise OperationError("argument", f"option {name} is {value!r}, not true or false")
    return value


def _without(options, name: str):
    return (
        {k: v for k, v in options.items() if k != name} if isinstance(options, dict) else options
    )


def arguments_text(arguments) -> str:
    """{"0": "abc123", "3": None} -> `0='abc123',3` (LwM2M Core 1.0.2, 8.2.5); text as it is."""
    if arguments is None or isinstance(arguments, str):
        return arguments or ""
    if not isinstance(arguments, dict):
        raise OperationError("argument", "arguments is neither an object nor a string")
    words = []
    for key, value in arguments.items():
        if str(key) not in set("0123456789"):
            raise OperationError("argument", f"argument {key!r} is no digit")
        text = str(value)
        if "'" in text or any(ord(c) < 32 or ord(c) > 126 for c in text):
            raise OperationError("argument", f"argument {key} has a quote or no ASCII: {text!r}")
        words.append(str(key) if value is None else f"{key}='{text}'")
    return ",".join(words)


def from_json(path: str, value, model):
    """A value from JSON for a path: keys are numbers; ValueError where the model's type does not fit."""
    if isinstance(value, dict):
        if len(ids(path)) > 3:
            raise ValueError(f"{path} is a resource instance, its value cannot be an object")
        inner = {}
        for key, each in value.items():
            number = ids(str(key))
            if len(number) != 1:
                raise ValueError(f"{key!r} is no id")
            inner[number[0]] = from_json(f"{path.rstrip('/')}/{number[0]}", each, model)
        return inner
    if isinstance(value, list):
        if len(ids(path)) != 3:
            raise ValueError(f"{path}: a list is for a multiple resource only")
        return {n: from_json(f"{path}/{n}", each, model) for n, each in enumerate(value)}
    if len(ids(path)) < 3:
        raise ValueError(f"{path} is no resource: its value is an object by number")
    return values.from_json(model.type(path), value, path)


def writes_of(value: dict, format: int | None) -> list[tuple[str, object, bool]]:
    """(path, value, is it a partial update) of each write that a writeMulti is made of."""
    found: list[tuple[str, object, bool]] = []
    for oid, instances in value.items():
        for iid, resources in instances.items():
            base = join((oid, iid))
            if len(resources) > 1 and format in (None, *SEVERAL):
                found.append((base, resources, True))
                continue
            found += [(f"{base}/{rid}", each, False) for rid, each in resources.items()]
    return found
