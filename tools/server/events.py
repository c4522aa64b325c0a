# What happens, as events: to Python functions, to asynchronous iterators, with the bodies that programs get as JSON.
# SPDX-License-Identifier: MIT
"""EventHub hands each Event to whoever subscribed. A subscriber that raises is logged, never more.

stop = hub.subscribe(print, kinds={REGISTER, DATA}, endpoint="demo")
async for event in hub.stream(kinds={DATA}): ...
event = await hub.wait(REGISTER, "demo", timeout=10)
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import logging
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterable
from dataclasses import dataclass, field

# The page's events.
REGISTER = "lwm2m.register"
UPDATE = "lwm2m.update"
BOOTSTRAP = "lwm2m.bootstrap"
DATA = "lwm2m.data"
FOTA_COMPLETE = "lwm2m.fotaComplete"
ASYNC_RESULT = "lwm2m.asyncResult"
ERROR = "lwm2m.error"
# Events of the desk server's own.
DEREGISTER = "lwm2m.deregister"  # body: {"reason": "deregister" | "expire"}
BOOTSTRAPPED = "lwm2m.bootstrapped"  # body: {"success": bool, "result": str}
STATUS = "lwm2m.status"  # body: {"status": "connected" | "sleeping" | "registered" | "missing"}
FOTA_PROGRESS = "lwm2m.fotaProgress"  # body: {"state", "percent", "sent", "size"}
LOG = "lwm2m.log"  # body: {"line": str}: the decoded CoAP log, secrets hidden

KINDS = (REGISTER, UPDATE, BOOTSTRAP, DATA, FOTA_COMPLETE, ASYNC_RESULT, ERROR)
KINDS += (DEREGISTER, BOOTSTRAPPED, STATUS, FOTA_PROGRESS, LOG)


@dataclass(frozen=True)
class Event:
    """Something that happened.

    kind      one of KINDS
    endpoint  name of the client
    body      what programs get: JSON types only, without any secret
    detail    what it is made of, for Python only:
              REGISTER, UPDATE, DEREGISTER, STATUS: the store's Registration
              DATA: a Reported (below)
              ASYNC_RESULT, ERROR: the operations' Result
              FOTA_COMPLETE, FOTA_PROGRESS: the FirmwareUpdate
    number    counts up over the life of the process: the id of a server-sent event
    """

    kind: str
    endpoint: str
    body: dict
    detail: object = None
    time: float = field(default_factory=time.time)
    number: int = field(default_factory=itertools.count(1).__next__)


@dataclass(frozen=True)
class Reported:
    """Where the values of a DATA event came from.

    source    "read", "observe" (the first answer), "notify", "observe-composite", "send", "read-composite"
    values    [(path, time or None, value)], the path of a resource or a resource instance
    paths     what was asked for; [] for a Send
    answer    the peer's Answer with code, format and payload; None for a Send
    token     of the observation, in hexadecimal, or ""
    sequence  the Observe option of a notification, or None
    context   what the caller gave
    """

    source: str
    values: list[tuple[str, float | None, object]]
    paths: tuple[str, ...] = ()
    answer: object = None
    token: str = ""
    sequence: int | None = None
    context: object = None


class EventHub:
    """Hands events on; the newest `keep` of them, LOG not counted, stay for those who come later."""

    def __init__(self, keep: int = 1000):
        self.recent: deque[Event] = deque(maxlen=keep)
        self._subscribers: dict[
            int, tuple[Callable[[Event], object], frozenset | None, str | None]
        ]
        self._subscribers = {}
        self._numbers = itertools.count()
        self._log = logging.getLogger("lwm2m.events")

    def subscribe(
        self,
        function: Callable[[Event], object],
        kinds: Iterable[str] | None = None,
        endpoint: str | None = None,
    ) -> Callable[[], None]:
        """Call function(event), in the event loop, for the kinds and the endpoint given.

        A coroutine function is run as a task. The result ends the subscription.
        """
        number = next(self._numbers)
        wanted = None if kinds is None else frozenset(kinds)
        self._subscribers[number] = (function, wanted, endpoint)
        return lambda: self._subscribers.pop(number, None) and None

    def emit(self, event: Event) -> None:
        if event.kind != LOG:
            self.recent.append(event)
        for function, kinds, endpoint in list(self._subscribers.values()):
            if kinds is not None and event.kind not in kinds:
                continue
            if endpoint is not None and endpoint != event.endpoint:
                continue
            try:
                result = function(event)
                if asyncio.iscoroutine(result):
                    task = asyncio.get_running_loop().create_task(result)
                    _TASKS.add(task)
                    task.add_done_callback(self._done)
            except Exception:
                self._log.exception("a function subscribed to %s raised", event.kind)

    def _done(self, task: asyncio.Task) -> None:
        _TASKS.discard(task)
        if not task.cancelled() and task.exception():
            self._log.error("a subscribed coroutine raised", exc_info=task.exception())

    async def stream(
        self,
        kinds: Iterable[str] | None = None,
        endpoint: str | None = None,
        limit: int = 1000,
    ) -> AsyncIterator[Event]:
        """Events from now on; of a reader that falls `limit` behind, the oldest are dropped."""
        waiting: deque[Event] = deque(maxlen=limit)
        arrived = asyncio.Event()

        def take(event: Event) -> None:
            waiting.append(event)
            arrived.set()

        stop = self.subscribe(take, kinds, endpoint)
        try:
            while True:
                await arrived.wait()
                arrived.clear()
                while waiting:
                    yield waiting.popleft()
        finally:
            stop()

    async def wait(
        self,
        kind: str,
        endpoint: str | None = None,
        timeout: float = 10.0,
        where: Callable[[Event], bool] = lambda event: True,
        since: int | None = None,
    ) -> Event:
        """The next event of a kind; TimeoutError when none comes in time.

        With `since` the recent events with a larger number count too: 0 is all that are kept.
        """
        for event in self.recent if since is not None else ():
            if event.number > since and event.kind == kind and endpoint in (None, event.endpoint):
                if where(event):
                    return event
        async with asyncio.timeout(timeout):
            stream = self.stream({kind}, endpoint)
            async with contextlib.aclosing(stream):
                async for event in stream:
                    if where(event):
                        return event
        raise TimeoutError


_TASKS: set[asyncio.Task] = set()  # the event loop itself holds tasks only weakly
