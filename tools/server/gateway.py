# EMQX's LwM2M gateway without its broker: commands go to devices, what happens comes out as EMQX's messages
# SPDX-License-Identifier: MIT
"""Gateway runs commands of emqx.py on a desk server, and gives a message for everything that EMQX would publish.

    gateway = Gateway(desk, "mqtt", tell)      # tell(channel, endpoint, message)
    gateway.run("demo", {"msgType": "read", "data": {"path": "/3/0/0"}})

Channels are RESPONSE, NOTIFY, REGISTER and UPDATE; mqtt.py makes topics of them, rest.py keeps the answers only.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable
from typing import TYPE_CHECKING

from . import emqx, events
from .results import OperationError, Options, Result

if TYPE_CHECKING:
    from . import core
    from .service import DeskServer

RESPONSE, NOTIFY, REGISTER, UPDATE = "response", "notify", "register", "update"
# Who asks: commands over MQTT, and those of EMQX's HTTP interface.
MQTT, HTTP = "mqtt", "emqx"
AFTER_REGISTER = 0.1  # seconds: a client serves nothing before it has the answer to its Register
KEPT_ANSWERS = 10000  # of all endpoints together
VERSIONS = ("1", "1.0", "1.1", "1.2")  # EMQX itself ends at 1.1
BAD_REQUEST, NOT_FOUND, UNAVAILABLE = "4.00", "4.04", "5.03"
_CODES = {"argument": BAD_REQUEST, "unknown": NOT_FOUND, "queue": UNAVAILABLE}


class Gateway:
    """One origin's commands and messages.

    tell             tell(channel, endpoint, message) gets each message; None is told nothing
    minimal          write integers as EMQX does (emqx.command)
    auto_observe     observe the instances of the objects that a client registers
    """

    def __init__(
        self,
        desk: DeskServer,
        origin: str,
        tell: Callable[[str, str, dict], None] | None = None,
        *,
        minimal: bool = False,
        auto_observe: bool = False,
    ):
        self.desk, self.origin, self.minimal = desk, origin, minimal
        self.auto_observe = auto_observe
        self._tell = tell or (lambda channel, endpoint, message: None)
        self._answers: OrderedDict[tuple[str, str, str], dict] = OrderedDict()
        self._tasks: set[asyncio.Task] = set()
        self._stops = [
            desk.events.subscribe(self._registered, {events.REGISTER, events.UPDATE}),
            desk.events.subscribe(self._answered, {events.ASYNC_RESULT}),
            desk.events.subscribe(self._notified, {events.DATA}),
        ]
        self._under_way: dict[str, list[emqx.Command]] = {}
        desk.server.taps.append(self._tapped)

    async def close(self) -> None:
        for stop in self._stops:
            stop()
        self.desk.server.taps.remove(self._tapped)
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    # Commands

    def run(self, endpoint: str, message: dict, expiry: float | None = None) -> emqx.Command:
        """Begin a command; its answer is told. emqx.BadCommand where it is none.

        expiry  seconds that it may wait for a sleeping device; None is the configuration's
        """
        command = emqx.command(message, self.desk.model, self.minimal)
        task = asyncio.get_running_loop().create_task(self._run(endpoint, command, expiry))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return command

    async def _run(self, endpoint: str, command: emqx.Command, expiry: float | None) -> None:
        self._under_way.setdefault(endpoint, []).append(command)
        options = Options(origin=self.origin, context=command.echo, expiry=expiry)
        try:
            await self.desk.operations.request(
                endpoint,
                command.method,
                command.target,
                payload=command.payload,
                format=command.format,
                accept=command.accept,
                query=command.query,
                observe=command.observe,
                options=options,
            )
        except OperationError as error:
            code = _CODES.get(error.code, UNAVAILABLE)
            self._take(endpoint, command.echo)
            self._refuse(endpoint, command, code, str(error))

    def _take(self, endpoint: str, echo: dict) -> emqx.Command | None:
        """The command of this JSON is under way no more."""
        waiting = self._under_way.get(endpoint, [])
        for command in waiting:
            if command.echo == echo:
                waiting.remove(command)
                if not waiting:
                    del self._under_way[endpoint]
                return command
        return None

    def _refuse(self, endpoint: str, command: emqx.Command, code: str, reason: str) -> None:
        data = {"reqPath": command.path, "code": code, "codeMsg": emqx.CODE_NAMES[code]}
        self._finish(endpoint, command, {**data, "reason": reason})

    def lookup(self, endpoint: str, path: str, action: str) -> dict:
        """The newest answer to an action on a path, as EMQX's HTTP interface tells it."""
        code = "6.01"
        data = self._answers.get((endpoint, action, path), {})
        code = data.get("code", code)
        found = {"clientid": endpoint, "action": action, "path": path}
        found |= {"code": code, "codeMsg": emqx.CODE_NAMES.get(code, "unknown")}
        if "content" in data:
            found["content"] = data["content"]
            if action == "discover":
                found["content"] = emqx.discovered(",".join(data["content"]), self.desk.model)
        return found

    def _finish(self, endpoint: str, command: emqx.Command, data: dict, origin: str = "") -> None:
        key = (endpoint, command.kind, command.path)
        self._answers.pop(key, None)
        self._answers[key] = data
        while len(self._answers) > KEPT_ANSWERS:
            self._answers.popitem(last=False)
        if origin in ("", self.origin):
            self._tell(RESPONSE, endpoint, emqx.answer(command, data))

    # What happens

    def _command_of(self, context) -> emqx.Command | None:
        """The command whose JSON came back with an event."""
        try:
            return emqx.command(context, self.desk.model) if isinstance(context, dict) else None
        except emqx.BadCommand:
            return None  # an object definition of its values is gone

    def _tapped(self, event: core.Event) -> None:
        """A request was acknowledged without its answer, or reset; the oldest command that it can be is meant."""
        if event.kind not in ("acknowledged", "reset"):
            return
        for command in self._under_way.get(event.endpoint, ()):
            if (command.method, command.target) == event.detail:
                if event.kind == "reset":
                    command.reset = True
                else:
                    self._tell(RESPONSE, event.endpoint, emqx.failure(command, "ack"))
                return

    def _answered(self, event: events.Event) -> None:
        result = event.detail
        if not isinstance(result, Result) or result.queued:
            return
        if result.origin not in (MQTT, HTTP):
            return
        command = self._command_of(result.context)
        if command is None:
            return
        ours = self._take(event.endpoint, command.echo) if result.origin == self.origin else None
        answer = next(iter(result.answers.values()), None)
        if answer is not None:
            data = emqx.result(
                command, answer.code, answer.format, answer.payload, self.desk.model
            )
            self._finish(event.endpoint, command, data, result.origin)
        elif result.origin != self.origin:
            return
        elif result.code in _CODES:
            self._refuse(event.endpoint, command, _CODES[result.code], result.error)
        else:
            kind = "coap_reset" if ours and ours.reset else "coap_timeout"
            self._tell(RESPONSE, event.endpoint, emqx.failure(command, kind))

    def _notified(self, event: events.Event) -> None:
        reported = event.detail
        if reported.source == "send":
            self._sent(event.endpoint, reported)
            return
        # The first answer of an observation is told as the answer of its command.
        if reported.source != "notify" or reported.answer is None:
            return
        command = self._command_of(reported.context)
        if command is None or command.observe != 0 or self.origin != MQTT:
            return
        answer = reported.answer
        data = emqx.result(command, answer.code, answer.format, answer.payload, self.desk.model)
        message = emqx.answer(command, data, "notify", reported.sequence)
        self._tell(NOTIFY, event.endpoint, message)

    def _sent(self, endpoint: str, reported: events.Reported) -> None:
        """LwM2M 1.1's Send, which EMQX has not: as a notification nobody asked for."""
        content = []
        for path, time, value in reported.values:
            entry = {"path": path, "value": emqx.json_value(value)}
            content.append({**entry, "time": time} if time is not None else entry)
        self._tell(NOTIFY, endpoint, {"msgType": "send", "data": {"content": content}})

    def _registered(self, event: events.Event) -> None:
        registration = event.detail
        kind = REGISTER if event.kind == events.REGISTER else UPDATE
        query = {**registration.query, "ep": registration.endpoint}
        query["lt"] = str(registration.lifetime)
        objects = [path for path in registration.links if path != "/"]
        message = emqx.registration(kind, query, registration.root, objects)
        if kind == REGISTER and query.get("apn") in emqx.SLEEPING_APNS:
            self._sleeps(event.endpoint)
        self._tell(kind, event.endpoint, message)
        if kind == REGISTER and self.auto_observe:
            task = asyncio.get_running_loop().create_task(self._observe(event.endpoint, objects))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    def _sleeps(self, endpoint: str) -> None:
        device = self.desk.server.devices.get(endpoint)
        if device is not None:
            device.queue = True

    async def _observe(self, endpoint: str, paths: list[str]) -> None:
        """Observe what has registered: its instances, and objects without one."""
        await asyncio.sleep(AFTER_REGISTER)
        with_instances = {path.split("/")[1] for path in paths if path.count("/") > 1}
        for path in paths:
            number = path.split("/")[1]
            if path.count("/") == 1 and number in with_instances:
                continue
            if not number.isdecimal() or int(number) in emqx.NOT_OBSERVED:
                continue
            if self.desk.model.name(f"/{number}"):
                self.run(endpoint, {"msgType": "observe", "data": {"path": path}})


def admitted(query: dict[str, str]) -> str | None:
    """EMQX's own checks of a Register request: None, or the code that refuses it."""
    return None if query.get("lwm2m", "1.0") in VERSIONS else BAD_REQUEST
