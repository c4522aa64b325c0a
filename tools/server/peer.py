# A device that the server talks to: the operations, block-wise, and its observations.
# SPDX-License-Identifier: MIT
"""Peer sends LwM2M requests to one address from the server's own port.

aiocoap does the CoAP; only observations go through its Pipe, because a cancellation by Observe=1
must carry the token of the observation, and no notification may be lost.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Protocol

import aiocoap
from aiocoap import Code, Message, error
from aiocoap.numbers.constants import TransportTuning
from aiocoap.pipe import Pipe
from aiocoap.protocol import BlockwiseRequest, Request

from . import formats, links
from .model import Model, ids, join


# Seconds that the operation that runs waits for each answer; None is the peer's own timeout.
PATIENCE: ContextVar[float | None] = ContextVar("PATIENCE", default=None)
PENDING = 1000  # notifications that wait for next() at most; older ones are dropped
BLOCK = 6  # size exponent: blocks of 1024 bytes, until a device asks for smaller ones
MIN_BLOCK = 0


class NoAnswer(Exception):
    """Nothing came back: timeout, reset, or unreachable."""


@dataclass
class Answer:
    """What a device answered. `value` is None when there is no payload or it cannot be decoded."""

    code: str  # "2.05"
    path: str
    format: int | None
    payload: bytes
    value: object
    message: Message
    # (path, time or None, value) of each resource or resource instance in it
    readings: list[tuple[str, float | None, object]] = field(default_factory=list)
    problem: str = ""  # why the payload cannot be decoded: "tlv: record at byte 0 is cut off"

    @property
    def ok(self) -> bool:
        return self.code.startswith("2.")

    @property
    def location(self) -> str:
        """Path of what was created, or ""."""
        return join(self.message.opt.location_path) if self.message.opt.location_path else ""

    @property
    def error(self) -> str:
        """`coap: not found`; "" for a success."""
        return "" if self.ok else "coap: " + title(self.message).lower()


class PeerServer(Protocol):
    """What a peer needs of the server that it belongs to."""

    context: aiocoap.Context
    model: Model
    log: logging.Logger
    tuning: TransportTuning
    timeout: float  # seconds
    running: bool

    def say(self, endpoint: str, text: str) -> None: ...

    def happened(self, kind: str, endpoint: str, device: Peer | None, detail=None) -> None: ...

    def notified(self, observation: Observation, answer: Answer) -> None: ...

    def observation_ended(self, observation: Observation) -> None: ...

    def tokens_of(self, remote): ...

    def request_with_token(self, message: Message, token: bytes, tokens=None) -> Request: ...


class Observation:
    """A running observation: `await obs.next()` gives each notification, in order.

    It ends by cancel() (Observe=1 on its token), by reset() (the next notification is answered with
    RST), or by the device (an error code, or a new registration); next() then raises NoAnswer.
    """

    def __init__(
        self,
        peer: Peer,
        paths: tuple[str, ...],
        accept: int | None,
        *,
        composite: bool = False,
        token: bytes = b"",
        order: int = 0,
    ):
        self.peer, self.paths, self.accept, self.composite = peer, paths, accept, composite
        self.request = self._message(observe=0)
        if token:
            self.request.token = token
        self.answer: Answer | None = None
        self.context: object = None  # what the caller of an operation gave
        self.active = False
        self._queue: asyncio.Queue[Answer | Exception] = asyncio.Queue(PENDING)
        self.order = order

    def _message(self, observe: int) -> Message:
        if not self.composite:
            return self.peer.message("GET", self.paths[0], accept=self.accept, observe=observe)
        format = formats.SENML_CBOR if self.accept is None else self.accept
        sent = formats.SENML_CBOR if format == formats.LWM2M_CBOR else format
        payload = formats.encode_paths(sent, self.paths, self.peer.root)
        return self.peer.message(
            "FETCH", "/", payload=payload, content_format=sent, accept=format, observe=observe
        )

    @property
    def path(self) -> str:
        return "/" if self.composite else self.paths[0]

    def start(self, order: int | None) -> None:
        """Take the Observe option of the first answer; without one it is no observation."""
        if order is not None:
            self.active, self.order = True, order
            self.peer.observations.add(self)

    def resume(self) -> None:
        """Go on with an observation of an earlier run: its token is known, nothing is sent."""
        pipe = Pipe(self.request, self.peer.server.context.log)
        pipe.on_event(self._event)
        requests, key = self.peer.tokens.outgoing_requests, (self.token, self.peer.remote)
        requests[key] = pipe
        pipe.on_interest_end(lambda: requests.pop(key, None))
        self.start(self.order)

    def _event(self, event) -> bool:
        """What comes on the observation's token after the first answer."""
        if event.message is not None and self.active:
            self.notified(event.message)
        elif event.message is None:
            self.lost()
        return self.active

    def lost(self) -> None:
        """aiocoap gave the request up, as the peer's address did not answer: the device may still notify."""
        if self.active and not self.peer.closed:
            asyncio.get_running_loop().call_soon(self._again)

    def _again(self) -> None:
        if self.active and not self.peer.closed and self.peer.server.running:
            self.resume()

    @property
    def token(self) -> bytes:
        return self.request.token

    async def next(self, timeout: float | None = None) -> Answer:
        """The next notification; NoAnswer when none comes in time or the observation has ended."""
        if not self.active and self._queue.empty():
            raise NoAnswer(f"{self.path} is not observed any more")
        try:
            item = await asyncio.wait_for(self._queue.get(), timeout or self.peer.timeout)
        except TimeoutError:
            raise NoAnswer(f"no notification of {self.path}") from None
        if isinstance(item, Exception):
            raise item
        return item

    def pending(self) -> int:
        """Notifications that came and were not taken yet."""
        return self._queue.qsize()

    def _put(self, item: Answer | Exception) -> None:
        if self._queue.full():
            self._queue.get_nowait()
        self._queue.put_nowait(item)

    async def cancel(self) -> Answer:
        """GET or FETCH with Observe=1 and the observation's token (RFC 7641 3.6)."""
        self.close("cancelled")
        said = self._message(observe=1)
        return await self.peer.exchange(said, self.path, "Cancel", token=self.token)

    def reset(self) -> None:
        """Forget it here, so that its next notification, confirmable or not, is answered with RST."""
        self.close("forgotten, the next notification gets RST")

    def close(self, why: str) -> None:
        if self.active:
            self.active = False
            self.peer.observations.discard(self)
            tokens = self.peer.tokens
            if tokens is not None and tokens.outgoing_requests is not None:
                tokens.outgoing_requests.pop((self.token, self.peer.remote), None)
            self._put(NoAnswer(f"observation of {self.path} {why}"))

    def notified(self, message: Message) -> None:
        """Take a notification; stale ones (RFC 7641 3.4) are dropped."""
        order = message.opt.observe
        if order is None:
            self.deliver(message)
            self.close("ended by the device")
            self.peer.server.observation_ended(self)
            return
        if not 0 < (order - self.order) % (1 << 24) < 1 << 23:
            return
        self.order = order
        if message.opt.block2 is not None and message.opt.block2.more:
            self._task = asyncio.get_running_loop().create_task(self._complete(message))
        else:
            self.deliver(message)

    async def _complete(self, first: Message) -> None:
        """The other blocks of a large notification (RFC 7959 3.4)."""
        try:
            message = await self.peer.rest(self.request, first)
        except (error.Error, OSError) as e:
            self._put(NoAnswer(f"notification of {self.path}: {e}"))
        else:
            self.deliver(message)

    def deliver(self, message: Message) -> None:
        answer = self.peer.answer(self.path, message)
        self._put(answer)
        self.peer.said("<-", "Notify", self.path, answer=answer)
        self.peer.server.notified(self, answer)


class Peer:
    """An address with an endpoint name; the base of a registered Device and of a bootstrap session."""

    def __init__(self, server: PeerServer, endpoint: str, remote):
        self.server, self.endpoint, self.remote = server, endpoint, remote
        self.root = ""  # the alternate path
        self.timeout = server.timeout
        self.observations: set[Observation] = set()
        self.closed = False

    @property
    def tokens(self):
        """aiocoap's token manager of the listener that the peer talks to; None when that is closed."""
        return self.server.tokens_of(self.remote)

    def observation(self, token: str) -> Observation | None:
        """The running observation with a token in hexadecimal."""
        return next((o for o in self.observations if o.token.hex() == token), None)

    def forget(self, token: str) -> None:
        """End an observation here; a later notification is answered with RST."""
        observation = self.observation(token)
        if observation:
            observation.reset()

    # Operations. A path is a string; a format is a number or a name of formats.NAMES.

    async def read(self, path: str, accept: str | int | None = None) -> Answer:
        return await self.request("GET", path, accept=accept, verb="Read")

    async def discover(self, path: str) -> Answer:
        """value is {path: {attribute: value}}."""
        return await self.request("GET", path, accept=formats.LINK, verb="Discover")

    async def write(
        self, path: str, value, format: str | int | None = None, *, update=False
    ) -> Answer:
        """Replace (PUT), or with `update` partial update (POST), of an instance or a resource."""
        method = "POST" if update else "PUT"
        return await self._send(method, path, path, value, format, "Update" if update else "Write")

    async def attributes(self, path: str, **values) -> Answer:
        """Write-Attributes; None unsets one: `attributes("/3/0", pmin=10, gt=None)`."""
        query = [k if v is None else f"{k}={v}" for k, v in values.items()]
        return await self.request("PUT", path, query=query, verb="Write-Attributes")

    async def execute(self, path: str, arguments: str | bytes = "") -> Answer:
        """Execute; arguments like `"0='abc',1"`, sent as text when there are any."""
        payload = arguments.encode() if isinstance(arguments, str) else arguments
        format = formats.TEXT if payload else None
        return await self.request("POST", path, payload=payload, format=format, verb="Execute")

    async def create(self, path: str, value: dict, format: str | int | None = None) -> Answer:
        """Create an instance: `create("/3303", {...})` lets the device choose, `"/3303/5"` does not."""
        oid, *instance = ids(path)
        where = join([oid])
        if instance:
            return await self._send("POST", where, where, {instance[0]: value}, format, "Create")
        # Without an id the resources stand alone, encoded as those of some instance.
        return await self._send("POST", where, f"{where}/0", value, format, "Create")

    async def delete(self, path: str) -> Answer:
        return await self.request("DELETE", path, verb="Delete")

    async def read_composite(self, paths, format: str | int | None = None) -> Answer:
        """Read-Composite: FETCH with the paths, SenML CBOR unless told otherwise."""
        accept = formats.SENML_CBOR if format is None else formats.number(format)
        # LwM2M CBOR has no form for a list of paths.
        sent = formats.SENML_CBOR if accept == formats.LWM2M_CBOR else accept
        message = self.message(
            "FETCH",
            "/",
            payload=formats.encode_paths(sent, paths, self.root),
            content_format=sent,
            accept=accept,
        )
        return await self.exchange(message, "/", "Read-Composite", query=paths)

    async def write_composite(self, value: dict, format: str | int | None = None) -> Answer:
        """Write-Composite: iPATCH with {object: {instance: {resource: value}}}."""
        number = formats.SENML_CBOR if format is None else formats.number(format)
        payload = formats.encode(number, "/", value, self.server.model, self.root)
        message = self.message("iPATCH", "/", payload=payload, content_format=number)
        return await self.exchange(message, "/", "Write-Composite", value=value, base="/")

    async def observe(self, path: str, accept: str | int | None = None) -> Observation:
        """Observation.answer holds the first answer; Observation.active is False if it was refused."""
        number = None if accept is None else formats.number(accept)
        return await self._observed(Observation(self, (path,), number), "Observe")

    async def observe_composite(self, paths, accept: str | int | None = None) -> Observation:
        """Observe-Composite: FETCH with the paths; SenML CBOR unless told otherwise."""
        number = None if accept is None else formats.number(accept)
        observation = Observation(self, tuple(paths), number, composite=True)
        return await self._observed(observation, "Observe-Composite")

    async def _observed(self, observation: Observation, verb: str) -> Observation:
        request, path = observation.request, observation.path
        self.said("->", verb, path, query=observation.paths if observation.composite else ())
        first = asyncio.get_running_loop().create_future()

        def event(event) -> bool:
            if first.done():
                return observation._event(event)
            if event.message is None:
                first.set_exception(event.exception)
                return False
            # Set here, so that a notification right behind finds the observation ready.
            observation.start(event.message.opt.observe)
            first.set_result(event.message)
            return observation.active

        pipe = Pipe(request, self.server.context.log)
        stop = pipe.on_event(event)
        tokens = self.tokens
        if tokens is None:
            raise NoAnswer(f"{self.endpoint}: there is no connection")
        tokens.request(pipe)
        try:
            message = await self._within(first)
            message = await self._within(self.rest(request, message))
        except BaseException:
            observation.close("failed")
            stop()
            raise
        observation.answer = self.answer(path, message)
        self.said("<-", "", path, answer=observation.answer)
        return observation

    async def rest(self, request: Message, first: Message) -> Message:
        """A response, completed when its Block2 says that more follows."""
        return await BlockwiseRequest._complete_by_requesting_block2(
            self.server.context, request, first, self.server.context.log
        )

    # Underneath

    async def _send(self, method, path, base, value, format, verb) -> Answer:
        if format is None:
            format = self.default_format(base, value)
        number = formats.number(format)
        payload = value
        if not isinstance(value, bytes) or self.server.model.type(base) == "Opaque":
            payload = formats.encode(number, base, value, self.server.model, self.root)
        return await self.request(
            method, path, payload=payload, format=number, verb=verb, value=value, base=base
        )

    def default_format(self, path: str, value) -> int:
        """TLV, except for a single resource: text, or opaque for bytes."""
        if len(ids(path)) < 3 or isinstance(value, dict) or len(ids(path)) == 4:
            return formats.TLV
        return formats.OPAQUE if isinstance(value, bytes) else formats.TEXT

    def message(self, method: str, path: str, **options) -> Message:
        """A request message to this peer; options are None or those of aiocoap's Message."""
        parts = [p for p in (self.root + path).split("/") if p]
        message = Message(
            code=Code[method],
            uri_path=parts,
            transport_tuning=self.server.tuning,
            **{k: v for k, v in options.items() if v is not None},
        )
        message.remote = self.remote
        return message

    async def request(
        self,
        method: str,
        path: str,
        *,
        payload: bytes = b"",
        format: str | int | None = None,
        accept: str | int | None = None,
        query=(),
        observe: int | None = None,
        token: bytes | None = None,
        verb: str | None = None,
        value=None,
        base: str | None = None,
    ) -> Answer:
        """Any request; the other operations are made of it. NoAnswer when nothing comes back.

        `verb`, `value` and `base` (the path that the value belongs to) are for the transcript.
        """
        message = self.message(
            method,
            path,
            payload=payload,
            content_format=None if format is None else formats.number(format),
            accept=None if accept is None else formats.number(accept),
            uri_query=list(query) or None,
            observe=observe,
        )
        shown = value
        if payload and value is None:
            shown = self._shown(path, payload, message.opt.content_format)
        return await self.exchange(
            message, path, verb or method, value=shown, base=base, query=query, token=token
        )

    def _shown(self, path: str, payload: bytes, format: int | None):
        """A payload for the transcript: decoded, so that secrets can be hidden; else its length alone."""
        try:
            shown = formats.decode(format, path, payload, self.server.model, self.root)
        except ValueError:
            shown = payload
        whole = isinstance(shown, bytes) and len(ids(path)) < 3
        return f"{len(payload)} bytes" if whole or shown is payload else shown

    async def exchange(
        self,
        message: Message,
        path: str,
        verb: str,
        *,
        value=None,
        base: str | None = None,
        query=(),
        token: bytes | None = None,
    ) -> Answer:
        """Send a request and take its answer; a device that wants smaller blocks (4.13) gets them."""
        self.said("->", verb, path, value=value, base=base, query=query)
        tokens = self.tokens
        if tokens is None:
            raise NoAnswer(f"{self.endpoint}: there is no connection")
        while True:
            if token is None:
                request = self.server.context.request(message.copy(remote=self.remote))
            else:
                request = self.server.request_with_token(message, token, tokens)
            response = await self._within(request.response, len(message.payload))
            if response.code != Code.REQUEST_ENTITY_TOO_LARGE or not self._smaller(response):
                break
        answer = self.answer(path, response)
        self.said("<-", "", path, answer=answer)
        return answer

    async def upload(
        self, path: str, payload: bytes, format: int, progress: Callable[[int], None]
    ) -> Answer:
        """Write (PUT) a large value block by block; progress(bytes that the device has taken)."""
        self.said("->", "Write", path, value=payload)
        start, exponent = 0, min(BLOCK, self.remote.maximum_block_size_exp)
        while True:
            size = 1 << exponent + 4
            end = min(start + size, len(payload))
            message = self.message("PUT", path, payload=payload[start:end], content_format=format)
            if end < len(payload) or start:
                message.opt.block1 = (start // size, end < len(payload), exponent)
            if not start:
                message.opt.size1 = len(payload)
            request = self.server.context.request(message, handle_blockwise=False)
            response = await self._within(request.response)
            block = response.opt.block1
            wanted = block.size_exponent if block is not None else exponent
            if response.code == Code.REQUEST_ENTITY_TOO_LARGE and wanted < exponent:
                start, exponent = 0, wanted
                continue
            if not response.code.is_successful() or end == len(payload):
                break
            progress(end)
            # Smaller blocks are numbered from the same byte.
            start, exponent = end, min(exponent, wanted)
        if response.code.is_successful():
            progress(len(payload))
        answer = self.answer(path, response)
        self.said("<-", "", path, answer=answer)
        return answer

    def _smaller(self, response: Message) -> bool:
        """After 4.13 with a Block1 option: use its block size from now on; False if that is none smaller."""
        wanted, now = response.opt.block1, self.remote.maximum_block_size_exp
        if wanted is None or not MIN_BLOCK <= wanted.size_exponent < now:
            return False
        self.remote.maximum_block_size_exp = wanted.size_exponent
        return True

    async def _within(self, awaitable, size: int = 0) -> Message:
        """Wait for an answer; a body of many blocks gets the time of each."""
        limit = (PATIENCE.get() or self.timeout) * (1 + size // 1024 / 8)
        try:
            return await asyncio.wait_for(awaitable, limit)
        except TimeoutError:
            failure = NoAnswer(f"{self.endpoint}: no answer within {limit:g} s")
        except error.MessageError:
            failure = NoAnswer(f"{self.endpoint}: answered with RST")
        except (error.Error, OSError) as e:
            failure = NoAnswer(f"{self.endpoint}: {e or type(e).__name__}")
        self.server.say(self.endpoint, f"!! {failure}")
        raise failure

    def answer(self, path: str, message: Message) -> Answer:
        """Decode a response; what cannot be decoded is left as payload."""
        format, payload = message.opt.content_format, message.payload
        format = None if format is None else int(format)
        value, found, problem, model = None, [], "", self.server.model
        if payload and message.code.is_successful():
            try:
                if format == formats.LINK:
                    value = dict(links.parse(payload))
                else:
                    value = formats.decode(format, path, payload, model, self.root)
                    found = formats.readings(format, path, payload, model, self.root)
            except ValueError as e:
                problem = f"{formats.NAMES.get(format, 'text')}: {e}"
                self.server.say(self.endpoint, f"!! {path}: {e}")
        return Answer(code(message), path, format, payload, value, message, found, problem)

    def said(self, arrow, verb, path, *, value=None, base=None, query=(), answer=None) -> None:
        """One entry of the transcript, with names from the model."""
        model = self.server.model
        words = [arrow, verb, model.label(path), *query] if verb else [arrow]
        if answer is None:
            shown = model.show(base or path, value) if value not in (None, "") else ""
        else:
            words += [] if verb else [answer.code, title(answer.message)]
            if answer.message.opt.location_path:
                words.append(join(answer.message.opt.location_path))
            if answer.format == formats.LINK and answer.value:
                shown = links.show(answer.value, model)
            elif answer.value is not None:
                shown = model.show(path, answer.value)
            else:
                shown = (
                    repr(answer.payload[:64].decode(errors="replace")) if answer.payload else ""
                )
        if shown and verb and verb != "Execute" and shown[0] != "\n":
            words.append("=")
        self.server.say(self.endpoint, " ".join([*words, shown]).rstrip().replace(" \n", "\n"))


def code(message: Message) -> str:
    """`"2.05"`."""
    return f"{message.code.class_}.{message.code & 31:02d}"


def title(message: Message) -> str:
    """`Content`."""
    return aiocoap.Code(message.code).name_printable
