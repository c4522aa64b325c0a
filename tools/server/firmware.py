# Firmware updates by object 5: push and pull, observed or polled, cancelled, with their progress.
# SPDX-License-Identifier: MIT
"""An update goes: reset (if asked), watch 5/x/3, hand over URI or file, wait for "downloaded", execute 5/x/2,
wait until the device says how it went, also across a reboot.

Whatever tells 5/x/3 and 5/x/5 counts: notifications, polls, a Send. With the tag `_trace_` each step is logged.
"""

from __future__ import annotations

import asyncio
import logging
import re
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from urllib.parse import quote

from . import formats, values
from .events import DATA, FOTA_COMPLETE, FOTA_PROGRESS, REGISTER, Event, EventHub
from .inventory import PREFIX, Inventory
from .operations import Operations
from .results import OperationError, Options, Result

IDLE, DOWNLOADING, DOWNLOADED, UPDATING = range(4)  # 5/x/3
STATE_NAMES = ("idle", "downloading", "downloaded", "updating")
PACKAGE, PACKAGE_URI, UPDATE, STATE, RESULT, CANCEL = 0, 1, 2, 3, 5, 10  # resources of object 5
SUCCESS, CANCELLED = 1, 10  # 5/x/5
RESULTS = {
    0: "no result",
    SUCCESS: "Firmware updated successfully",
    2: "not enough flash memory",
    3: "out of memory while downloading",
    4: "connection lost while downloading",
    5: "integrity check failed",
    6: "unsupported package type",
    7: "invalid URI",
    8: "firmware update failed",
    9: "unsupported protocol",
    CANCELLED: "firmware update cancelled",
    11: "firmware update deferred",
}
PROTOCOLS = ("http", "https", "coap", "coaps")
PULL, PUSH, OBSERVE, POLL = "pull", "push", "observe", "poll"
LIMIT = 3600.0  # seconds that an update may take, unless told otherwise
POLL_INTERVAL = 5.0
# An observed state is asked for as well now and then: a notification may be lost.
CHECK_INTERVAL = 60.0
DOCUMENT = "firmware"  # kind of the documents that keep running updates over a restart


@dataclass
class FirmwareOptions:
    """The options of an update, as the page names them; checked by of()."""

    protocol: str | None = None
    delivery: str = PULL
    observationMode: str = OBSERVE
    noEpid: bool = False
    resetUri: bool = False
    resetEncoding: str = "text"
    instance: int = 0
    pollInterval: float = POLL_INTERVAL
    timeout: float = LIMIT
    context: object = None

    @classmethod
    def of(cls, options: dict | None) -> FirmwareOptions:
        made = cls()
        if options is not None and not isinstance(options, dict):
            raise OperationError("argument", "options is not an object")
        for key, value in (options or {}).items():
            allowed = ALLOWED.get(key)
            if key in IGNORED:
                continue
            if allowed is None:
                known = ", ".join(ALLOWED)
                raise OperationError("argument", f"unknown option {key!r}; known: {known}")
            if not allowed(value):
                raise OperationError("argument", f"option {key} is {value!r}")
            setattr(made, key, int(value) if key == "instance" else value)
        return made


def _positive(value) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and value > 0


ALLOWED: dict[str, Callable[[object], bool]] = {
    "protocol": lambda v: v is None or v in PROTOCOLS,
    "delivery": lambda v: v in (PULL, PUSH),
    "observationMode": lambda v: v in (OBSERVE, POLL),
    "noEpid": lambda v: isinstance(v, bool),
    "resetUri": lambda v: isinstance(v, bool),
    "resetEncoding": lambda v: v in ("text", "tlv"),
    "instance": lambda v: not isinstance(v, bool) and re.fullmatch(r"\d{1,5}", str(v)) is not None,
    "pollInterval": _positive,
    "timeout": _positive,
    "context": lambda v: True,
}
IGNORED = ("async", "origin")  # an update is always asynchronous


@dataclass
class FirmwareUpdate:
    """One update; `body()` is that of the FOTA_COMPLETE event, `progress()` that of FOTA_PROGRESS."""

    endpoint: str
    source: str  # the URI, or the name of the file
    delivery: str  # "pull" or "push"
    instance: int = 0
    context: object = None
    state: int = IDLE
    size: int = 0
    sent: int = 0  # bytes that were pushed or fetched
    success: bool | None = None
    result: str = ""
    code: int | None = None  # 5/x/5
    dates: dict[str, float] = field(default_factory=dict)  # "dateStarted": epoch seconds
    executed: bool = False  # has 5/x/2 been executed?

    def path(self, rid: int) -> str:
        return f"/5/{self.instance}/{rid}"

    def progress(self) -> dict:
        percent = 100 * self.sent // self.size if self.size else None
        return {
            "source": self.source,
            "delivery": self.delivery,
            "state": STATE_NAMES[self.state],
            "sent": self.sent,
            "size": self.size,
            "percent": percent,
        }

    def body(self) -> dict:
        dates = {name: values.iso(at) for name, at in self.dates.items()}
        start, end = self.dates.get("dateStarted", 0), self.dates.get("dateComplete", 0)
        return {
            "success": bool(self.success),
            "result": self.result,
            **dates,
            "duration": round(end - start, 4),
            "context": self.context,
        }


class Failed(Exception):
    """The device, or something on the way, ended the update."""


class Firmware:
    """Runs updates, one an endpoint at most: `running` has them by endpoint."""

    def __init__(
        self,
        operations: Operations,
        inventory: Inventory,
        uri: Callable[[str, str], str],
        trace: Callable[[str, str], None] | None = None,
    ):
        """uri(scheme, endpoint) is the address of the listener for downloads, ValueError without one;
        trace(endpoint, text) gets the state machine's steps."""
        self.running: dict[str, FirmwareUpdate] = {}
        self._operations, self._inventory, self._uri = operations, inventory, uri
        self._hub: EventHub = operations.hub
        self._store = operations.store
        self._trace = trace
        self._tasks: dict[str, asyncio.Task] = {}
        self._changed: dict[str, asyncio.Event] = {}
        self._log = logging.getLogger("lwm2m.firmware")
        self._stop_data = self._hub.subscribe(self._on_data, {DATA})
        self._stop_register = self._hub.subscribe(self._on_register, {REGISTER})

    async def stop(self) -> None:
        """End the work; updates that run are taken up by resume() of the next run."""
        self._stop_data()
        self._stop_register()
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def resume(self) -> None:
        """Watch the updates of an earlier run; one whose file was not handed over whole begins anew."""
        for endpoint, content in self._store.documents(DOCUMENT).items():
            kept = values.load(content.decode())
            update = FirmwareUpdate(**kept["update"])
            options = FirmwareOptions(**kept["options"])
            self._begin(update, options, again=True)

    async def start(self, endpoint: str, source: str, options=None) -> Result:
        """OperationError "busy" when one runs already."""
        given = FirmwareOptions.of(options)
        if endpoint not in self._operations.server.devices:
            raise OperationError("unknown", f"{endpoint!r} is not registered")
        if endpoint in self.running:
            raise OperationError("busy", f"a firmware update of {endpoint} is running")
        if not isinstance(source, str) or not source:
            raise OperationError("argument", f"source is {source!r}, not a URI or a file's name")
        update = FirmwareUpdate(endpoint, source, given.delivery, given.instance, given.context)
        if given.delivery == PUSH or "://" not in source:
            item = self._inventory.item(source)
            if item is None:
                raise OperationError("argument", f"the inventory has no file {source!r}")
            update.size = item.size
        if given.delivery == PULL:
            self._address(update, given)  # raises now rather than later
        update.dates["dateStarted"] = time.time()
        self._begin(update, given)
        return Result("firmwareUpdate", endpoint, (update.path(UPDATE),), context=given.context)

    async def cancel(self, endpoint: str, options=None) -> Result:
        """End the running update by 5/x/10, or by an empty 5/x/1 where the device has no such resource."""
        update, task = self.running.get(endpoint), self._tasks.get(endpoint)
        result = Result("firmwareCancel", endpoint)
        if update is None or task is None:
            return result
        given = Options.of({k: v for k, v in (options or {}).items() if k != "async"})
        while not task.done():
            # one that meets the end of what the task waits for is lost, up to Python 3.11's wait_for()
            task.cancel()
            await asyncio.wait({task}, timeout=1)
        sync = {"async": False, "origin": given.origin}
        try:
            await self._operations.exec(endpoint, update.path(CANCEL), sync)
        except OperationError:
            try:
                await self._operations.write(endpoint, update.path(PACKAGE_URI), "", sync)
            except OperationError as e:
                self._say(update, f"the cancellation failed: {e}")
        self._finish(update, False, RESULTS[CANCELLED])
        return result

    # Underneath

    def _say(self, update: FirmwareUpdate, text: str) -> None:
        self._log.debug("%s: %s", update.endpoint, text)
        if self._trace:
            self._trace(update.endpoint, f"-- firmware: {text}")

    def _begin(self, update: FirmwareUpdate, options: FirmwareOptions, again=False) -> None:
        self.running[update.endpoint] = update
        self._changed[update.endpoint] = asyncio.Event()
        self._keep(update, options)
        loop = asyncio.get_running_loop()
        self._tasks[update.endpoint] = loop.create_task(self._run(update, options, again))

    def _keep(self, update: FirmwareUpdate, options: FirmwareOptions) -> None:
        kept = values.dump({"update": asdict(update), "options": asdict(options)})
        self._store.put_document(DOCUMENT, update.endpoint, kept.encode())

    def _finish(self, update: FirmwareUpdate, success: bool, result: str) -> None:
        if self.running.get(update.endpoint) is not update:
            return
        del self.running[update.endpoint]
        self._tasks.pop(update.endpoint, None)
        self._changed.pop(update.endpoint, None)
        self._store.remove_document(DOCUMENT, update.endpoint)
        update.success, update.result = success, result
        update.dates["dateComplete"] = time.time()
        self._say(update, f"complete: {result}")
        self._hub.emit(Event(FOTA_COMPLETE, update.endpoint, update.body(), update))

    async def _run(self, update: FirmwareUpdate, options: FirmwareOptions, again: bool) -> None:
        try:
            left = options.timeout - (time.time() - update.dates["dateStarted"])
            async with asyncio.timeout(max(left, 1)):
                await self._update(update, options, again)
        except Failed as e:
            self._finish(update, False, str(e))
        except OperationError as e:
            self._finish(update, False, str(e))
        except TimeoutError:
            self._finish(update, False, f"not complete after {options.timeout:g} s")
        except Exception as e:
            self._log.exception("the firmware update of %s failed", update.endpoint)
            self._finish(update, False, f"{type(e).__name__}: {e}")
        else:
            self._finish(update, True, RESULTS[SUCCESS])

    async def _update(self, update: FirmwareUpdate, options: FirmwareOptions, again: bool) -> None:
        watching = await self._watch(update, options)
        try:
            if not again or update.state == IDLE and not update.executed:
                await self._hand_over(update, options)
            if not update.executed:
                await self._until(update, options, watching, DOWNLOADED)
                self._say(update, f"execute {update.path(UPDATE)}")
                # Before the request: the device may be gone before it answers.
                update.executed = True
                self._keep(update, options)
                await self._execute(update)
            await self._until(update, options, watching, None)
        finally:
            if watching and not asyncio.current_task().cancelling():
                await self._unwatch(update, watching)

    async def _execute(self, update: FirmwareUpdate) -> None:
        try:
            await self._operations.exec(update.endpoint, update.path(UPDATE), SYNC)
        except OperationError as e:
            if e.code != "timeout":
                raise Failed(f"the update was not begun: {e}") from None
            self._say(update, "no answer to the Execute; it may have begun all the same")

    async def _watch(self, update: FirmwareUpdate, options: FirmwareOptions) -> str:
        """Observe the state: the token, or "" for polling."""
        if options.observationMode == POLL:
            return ""
        try:
            path = update.path(STATE)
            observed = await self._operations.observe(update.endpoint, path, SYNC)
            return observed.tokens[path]
        except OperationError as e:
            if e.code in ("unknown", "timeout"):
                raise
            self._say(update, f"{update.path(STATE)} cannot be observed ({e}), so it is polled")
            return ""

    async def _unwatch(self, update: FirmwareUpdate, token: str) -> None:
        try:
            await self._operations.observeCancel(update.endpoint, token, {"async": True})
        except OperationError:
            pass  # the device has registered anew

    async def _hand_over(self, update: FirmwareUpdate, options: FirmwareOptions) -> None:
        endpoint = update.endpoint
        if options.resetUri:
            self._say(update, "reset by an empty URI")
            reset = {"async": False, "encoding": options.resetEncoding}
            await self._operations.write(endpoint, update.path(PACKAGE_URI), "", reset)
        # What was told before belongs to an earlier update.
        update.state, update.code = IDLE, None
        if options.delivery == PUSH:
            await self._push(update)
            return
        address = self._address(update, options)
        self._say(update, f"{update.path(PACKAGE_URI)} = {address}")
        await self._operations.write(endpoint, update.path(PACKAGE_URI), address, SYNC)

    async def _push(self, update: FirmwareUpdate) -> None:
        content = self._inventory.read(update.source)
        update.size = len(content)
        self._state(update, DOWNLOADING)

        def progress(sent: int) -> None:
            before = update.progress()["percent"]
            update.sent = sent
            if update.progress()["percent"] != before:
                self._emit(update)

        answer = await self._operations.upload(
            update.endpoint, update.path(PACKAGE), content, formats.OPAQUE, progress
        )
        if not answer.ok:
            raise Failed(f"the file was refused: {answer.error}")

    def _address(self, update: FirmwareUpdate, options: FirmwareOptions) -> str:
        """The URI that the device downloads from."""
        address = update.source
        if "://" not in address:
            wanted = [options.protocol] if options.protocol else PROTOCOLS
            for scheme in wanted:
                try:
                    base = self._uri(scheme, update.endpoint)
                except ValueError as e:
                    reason = str(e)
                    continue
                address = f"{base}/{PREFIX}/{quote(address)}"
                break
            else:
                raise OperationError("argument", reason)
        scheme = address.partition("://")[0].lower()
        if scheme not in PROTOCOLS:
            raise OperationError("argument", f"{scheme!r} is none of {', '.join(PROTOCOLS)}")
        if scheme.startswith("http") and not options.noEpid:
            address += ("&" if "?" in address else "?") + f"epid={quote(update.endpoint, safe='')}"
        return address

    async def _until(
        self, update: FirmwareUpdate, options: FirmwareOptions, token: str, wanted: int | None
    ) -> None:
        """Wait for a state; None is the end: idle, with a result. Failed when that is none of success."""
        interval = CHECK_INTERVAL if token else options.pollInterval
        while True:
            changed = self._changed[update.endpoint]
            changed.clear()
            if wanted is not None and update.state == wanted:
                return
            if update.state == IDLE and update.code is None:
                await self._ask(update)
            if update.state == IDLE and update.code is not None:
                if update.code == SUCCESS:
                    if wanted is None:
                        return
                elif update.code > SUCCESS:
                    raise Failed(RESULTS.get(update.code, f"result {update.code}"))
            try:
                await asyncio.wait_for(changed.wait(), interval)
            except TimeoutError:
                await self._ask(update)

    async def _ask(self, update: FirmwareUpdate) -> None:
        """Read state and result; what comes goes through _on_data."""
        paths = [update.path(STATE), update.path(RESULT)]
        try:
            await self._operations.read(update.endpoint, paths, SYNC)
        except OperationError as e:
            self._say(update, f"state and result cannot be read: {e}")
            if e.code == "unknown":
                await asyncio.sleep(1)  # it reboots

    def _on_data(self, event: Event) -> None:
        update = self.running.get(event.endpoint)
        if update is None:
            return
        for path, _, value in event.detail.values:
            if not isinstance(value, int):
                continue
            if path == update.path(RESULT):
                update.code = value
                self._changed[event.endpoint].set()
            elif path == update.path(STATE) and 0 <= value < len(STATE_NAMES):
                self._state(update, value)

    def _state(self, update: FirmwareUpdate, state: int) -> None:
        changed = self._changed.get(update.endpoint)
        if changed is None:
            return
        if state != update.state:
            self._say(update, f"{STATE_NAMES[update.state]} -> {STATE_NAMES[state]}")
            update.state = state
            update.code = None  # an older result is void
            if state != IDLE:
                name = "date" + STATE_NAMES[state].capitalize()
                update.dates.setdefault(name, time.time())
            self._emit(update)
        changed.set()

    def _on_register(self, event: Event) -> None:
        """The device has started anew: what it says now counts."""
        update = self.running.get(event.endpoint)
        if update is not None and update.executed:
            update.state, update.code = IDLE, None
            self._say(update, "the device has registered anew")
            self._changed[event.endpoint].set()

    def fetched(self, endpoint: str, name: str, end: int = 0) -> None:
        """A download of a file has begun, or has come to a byte."""
        update = self.running.get(endpoint)
        if update is not None and update.source == name and end > update.sent:
            before = update.progress()["percent"]
            update.sent = end
            if update.progress()["percent"] != before:
                self._emit(update)

    def _emit(self, update: FirmwareUpdate) -> None:
        self._hub.emit(Event(FOTA_PROGRESS, update.endpoint, update.progress(), update))


SYNC = {"async": False}
