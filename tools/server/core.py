# LwM2M server: registration, bootstrap and Send interfaces, and the devices behind them.
# SPDX-License-Identifier: MIT
"""Server listens; each registered Device is managed by the operations of Peer.

async with Server(port=0) as server:
    event = await server.wait("register", "demo")
    answer = await event.device.read("/3/0/0")
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Iterable
from typing import NamedTuple, Self

import aiocoap
from aiocoap import Code, Message, resource
from aiocoap.numbers.constants import TransportTuning
from aiocoap.numbers.types import NON, RST
from aiocoap.pipe import Pipe
from aiocoap.protocol import Request

from . import formats, links
from .bootstrap import BootstrapConfig, Session
from .model import Model
from .peer import Peer

BINDINGS = {"U", "UQ", "S", "SQ", "US", "UQS", "T", "N", "M", "H"}


class Refused(Exception):
    """A request that is answered by an error: Refused("4.00", "no endpoint name")."""

    def __init__(self, code: str, message: str = ""):
        super().__init__(message)
        major, minor = code.split(".")
        self.code = Code(int(major) << 5 | int(minor))


class Event(NamedTuple):
    """Something that happened: register, update, deregister, expire, bootstrap, bootstrapped, send.

    `detail` is what came with it: the query of a registration or update, the outcome ("finished" or
    what went wrong) of a bootstrap, the [(path, time, value)] of a Send.
    """

    kind: str
    endpoint: str
    device: Peer | None
    detail: object


class Device(Peer):
    """A registered client."""

    def __init__(self, server: Server, endpoint: str, remote, location: tuple[str, ...]):
        super().__init__(server, endpoint, remote)
        self.location = location
        self.lifetime = 86400
        self.version = "1.0"
        self.binding = "U"
        self.queue = False
        self.sms = ""
        self.links: dict[str, dict[str, str]] = {}
        self.formats: list[int] = []
        self._timer: asyncio.TimerHandle | None = None

    def moved(self, remote) -> None:
        """The device's address changed (NAT): its observations follow."""
        open_requests = self.server.tokens.outgoing_requests
        for observation in self.observations:
            pipe = open_requests.pop((observation.token, self.remote), None)
            if pipe is not None:
                open_requests[observation.token, remote] = pipe
        self.remote = remote

    def parameters(self, query: dict[str, str]) -> None:
        """Take lt, b, Q, sms and lwm2m from a query; Refused when one is bad."""
        lifetime = query.get("lt", str(self.lifetime))
        if not lifetime.isdecimal() or int(lifetime) > 0xFFFFFFFF:
            raise Refused("4.00", "lt is no lifetime")
        binding = query.get("b", self.binding)
        if binding not in BINDINGS and not 0 < len(set(binding) & set("UMHTSN")) == len(binding):
            raise Refused("4.00", "b is no binding")
        self.lifetime, self.binding = int(lifetime), binding
        self.queue = "Q" in query or "Q" in binding or self.queue and "b" not in query
        self.sms = query.get("sms", self.sms)

    def objects(self, payload: bytes) -> None:
        """Take the links of objects and instances; the one with rt="oma.lwm2m" is the root."""
        try:
            found = links.parse(payload)
        except ValueError as e:
            raise Refused("4.00", str(e)) from None
        self.root, self.formats = "", []
        for target, attributes in found:
            if attributes.get("rt") == "oma.lwm2m" or target == "/":
                self.root = target.rstrip("/")
                ct = attributes.get("ct", "").split()
                self.formats = [int(n) for n in ct if n.isdecimal()]
        self.links = {}
        for target, attributes in found:
            path = target.removeprefix(self.root) or "/"
            if path != "/":
                self.links["/" + path.lstrip("/")] = attributes

    def arm(self) -> None:
        """Start the lifetime anew; 0 is without end."""
        if self._timer:
            self._timer.cancel()
        self._timer = None
        if self.lifetime:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(self.lifetime, self.server._gone, self, "expire")

    def close(self) -> None:
        if self._timer:
            self._timer.cancel()
        for observation in list(self.observations):
            observation.close("ended with the registration")


class _Site(resource.Resource, resource.PathCapable):
    """Everything that arrives, whatever its path; aiocoap puts blocks together."""

    def __init__(self, server: Server):
        super().__init__()
        self.server = server

    async def render(self, request: Message) -> Message:
        try:
            return self.server._serve(request)
        except Refused as e:
            self.server.say("", f"-> {e.code.dotted} {e.code.name_printable} {e}")
            return Message(code=e.code, payload=str(e).encode())


class Server:
    """An LwM2M server, with `bootstrap` a bootstrap server too, on one UDP port.

    host        address to listen on; "::" listens on every address, IPv4 and IPv6
    port        0 picks a free one; `server.port` tells it, `server.uri` the whole address
    bootstrap   {endpoint: BootstrapConfig}, "*" for any other endpoint
    versions    enabler versions that may register; others get 4.12
    admit       fn(endpoint, query) -> a code such as "4.03" that refuses a registration, or None
    location    fn(number) -> the segments of the location of a registration
    transcript  fn(endpoint, text) gets each thing said
    timeout     seconds to wait for an answer of a device
    ack_timeout seconds to the first retransmission (RFC 7252 4.8)
    """

    def __init__(
        self,
        host: str = "127.0.0.1",
        port: int = 0,
        *,
        bootstrap: dict[str, BootstrapConfig] | None = None,
        versions: Iterable[str] = ("1.0", "1.1", "1.2"),
        admit: Callable[[str, dict], str | None] | None = None,
        location: Callable[[int], tuple[str, ...]] = lambda n: ("rd", str(n)),
        transcript: Callable[[str, str], None] | None = None,
        model: Model | None = None,
        timeout: float = 30.0,
        ack_timeout: float = 2.0,
    ):
        self.host, self.port = host, port
        self.bootstrap_configs = bootstrap or {}
        self.versions, self.admit, self.location = tuple(versions), admit, location
        self.transcript = transcript
        self.model = model or Model()
        self.timeout = timeout
        self.tuning = type("Tuning", (TransportTuning,), {"ACK_TIMEOUT": ack_timeout})()
        self.devices: dict[str, Device] = {}
        self.events: deque[Event] = deque(maxlen=1000)
        self._locations: dict[tuple[str, ...], Device] = {}
        self._count = 0
        self._changed = asyncio.Event()
        self._sessions: dict[str, Session] = {}

    async def start(self) -> Self:
        self.context = await aiocoap.Context.create_server_context(
            _Site(self), bind=(self.host, self.port), transports=["udp6"]
        )
        logging.getLogger("coap-server").setLevel(logging.ERROR)
        self.tokens = self.context.request_interfaces[0]
        messages = self.tokens.token_interface
        socket = messages.message_interface.transport.get_extra_info("socket")
        self.port = socket.getsockname()[1]
        known = self.tokens.process_response

        def process_response(message: Message) -> bool:
            """aiocoap answers only a confirmable unknown notification with RST (RFC 7641 3.2)."""
            found = known(message)
            if not found and message.mtype is NON and message.opt.observe is not None:
                reset = Message(_mtype=RST, _mid=message.mid, code=aiocoap.EMPTY)
                reset.remote = message.remote.as_response_address()
                messages._send_initially(reset)
            return found

        self.tokens.process_response = process_response
        return self

    async def stop(self) -> None:
        for session in self._sessions.values():
            session.cancel()
        for device in self.devices.values():
            device.close()
        await self.context.shutdown()

    async def __aenter__(self) -> Self:
        return await self.start()

    async def __aexit__(self, *_) -> None:
        await self.stop()

    @property
    def uri(self) -> str:
        """What a client is to be configured with: `coap://127.0.0.1:40123`."""
        host = "127.0.0.1" if self.host in ("::", "0.0.0.0", "") else self.host
        return f"coap://[{host}]:{self.port}" if ":" in host else f"coap://{host}:{self.port}"

    async def wait(self, kind: str, endpoint: str | None = None, timeout: float = 10.0) -> Event:
        """The next event of a kind that nobody waited for yet; TimeoutError when none comes."""
        async with asyncio.timeout(timeout):
            while True:
                for event in self.events:
                    if event.kind == kind and endpoint in (None, event.endpoint):
                        self.events.remove(event)
                        return event
                self._changed.clear()
                await self._changed.wait()

    def bootstrap(
        self, endpoint: str, remote=None, config: BootstrapConfig | None = None
    ) -> Session:
        """Bootstrap a device, asked or not (server-initiated: `remote` is that of a Device)."""
        if endpoint in self._sessions:
            self._sessions[endpoint].cancel()
        config = config or self.bootstrap_configs.get(endpoint) or self.bootstrap_configs["*"]
        session = self._sessions[endpoint] = Session(self, endpoint, remote, config)
        return session

    def say(self, endpoint: str, text: str) -> None:
        if self.transcript:
            self.transcript(endpoint, text)

    def happened(self, kind: str, endpoint: str, device: Peer | None, detail=None) -> None:
        self.events.append(Event(kind, endpoint, device, detail))
        self._changed.set()

    def request_with_token(self, message: Message, token: bytes) -> Request:
        """Send a request under a given token instead of a fresh one."""
        pipe = Pipe(message, self.context.log)
        request = Request(pipe, self.context.loop, self.context.log)
        self.tokens.next_token = lambda: token
        try:
            self.tokens.request(pipe)
        finally:
            del self.tokens.next_token
        return request

    # The interfaces that clients call

    def _serve(self, request: Message) -> Message:
        path, method = tuple(request.opt.uri_path), request.code
        if path == ("rd",) and method == Code.POST:
            return self._register(request)
        if path == ("bs",) and method == Code.POST and self.bootstrap_configs:
            return self._bootstrap(request)
        if path == ("dp",) and method == Code.POST:
            return self._send(request)
        device = self._locations.get(path)
        if device and method == Code.POST:
            return self._update(device, request)
        if device and method == Code.DELETE:
            self.say(device.endpoint, f"<- De-register /{'/'.join(path)}")
            self._gone(device, "deregister")
            return self._answer(device.endpoint, Code.DELETED)
        self.say("", f"<- {method.name} /{'/'.join(path)} from {request.remote.hostinfo}")
        known = device or path in (("rd",), ("dp",))
        raise Refused("4.05" if known else "4.04")

    def _answer(self, endpoint: str, code: Code, text: str = "", **options) -> Message:
        self.say(endpoint, f"-> {code.dotted} {code.name_printable} {text}".rstrip())
        return Message(code=code, **options)

    def _query(self, request: Message) -> dict[str, str]:
        pairs = [q.partition("=") for q in request.opt.uri_query]
        query = {k: v for k, _, v in pairs}
        if len(query) != len(pairs):
            raise Refused("4.00", "a query parameter comes twice")
        return query

    def _register(self, request: Message) -> Message:
        query = self._query(request)
        endpoint, words = query.get("ep", ""), " ".join(request.opt.uri_query)
        version = query.get("lwm2m", "1.0")
        version = "1.0" if version == "1" else version
        device = Device(self, endpoint, request.remote, self.location(self._count))
        try:
            if not endpoint:
                raise Refused("4.00", "no endpoint name (ep)")
            if request.opt.content_format not in (None, formats.LINK):
                raise Refused("4.15", "the objects come as links")
            device.parameters(query)
            device.objects(request.payload)
            if ".".join(version.split(".")[:2]) not in self.versions:
                raise Refused("4.12", "this LwM2M version is not served")
            code = self.admit(endpoint, query) if self.admit else None
            if code:
                raise Refused(code)
        except Refused:
            self.say(endpoint, f"<- Register {words}")
            raise
        self.say(endpoint, f"<- Register {words}  {links.show(device.links, self.model)}")
        device.version = version
        self._count += 1
        old = self.devices.pop(endpoint, None)
        if old:
            old.close()
            del self._locations[old.location]
        self.devices[endpoint] = self._locations[device.location] = device
        device.arm()
        self.happened("register", endpoint, device, query)
        where = "/" + "/".join(device.location)
        return self._answer(endpoint, Code.CREATED, where, location_path=device.location)

    def _update(self, device: Device, request: Message) -> Message:
        query = self._query(request)
        said = f"<- Update {' '.join(request.opt.uri_query)}".rstrip()
        old = device.lifetime, device.binding, device.queue, device.sms
        try:
            device.parameters(query)
            if request.payload:
                device.objects(request.payload)
                said += f"  {links.show(device.links, self.model)}"
        except Refused:
            device.lifetime, device.binding, device.queue, device.sms = old
            raise
        finally:
            self.say(device.endpoint, said)
        device.moved(request.remote)
        device.arm()
        self.happened("update", device.endpoint, device, query)
        return self._answer(device.endpoint, Code.CHANGED)

    def _gone(self, device: Device, kind: str) -> None:
        device.close()
        if self.devices.get(device.endpoint) is device:
            del self.devices[device.endpoint]
        self._locations.pop(device.location, None)
        if kind == "expire":
            self.say(device.endpoint, f"-- registration expired after {device.lifetime} s")
        self.happened(kind, device.endpoint, device)

    def _bootstrap(self, request: Message) -> Message:
        query = self._query(request)
        endpoint = query.get("ep", "")
        self.say(endpoint, f"<- Bootstrap-Request {' '.join(request.opt.uri_query)}")
        if not endpoint:
            raise Refused("4.00", "no endpoint name (ep)")
        config = self.bootstrap_configs.get(endpoint) or self.bootstrap_configs.get("*")
        if config is None:
            raise Refused("4.00", "nothing is configured for this endpoint")
        if config.refuse:
            raise Refused(config.refuse)
        session = self.bootstrap(endpoint, request.remote, config)
        self.happened("bootstrap", endpoint, session, query)
        return self._answer(endpoint, Code.CHANGED)

    def _send(self, request: Message) -> Message:
        device = next((d for d in self.devices.values() if d.remote == request.remote), None)
        if device is None:
            self.say("", f"<- Send from {request.remote.hostinfo}, which is not registered")
            raise Refused("4.04")
        format = request.opt.content_format
        if format not in (formats.SENML_JSON, formats.SENML_CBOR):
            self.say(device.endpoint, "<- Send")
            raise Refused("4.15", "Send comes as SenML")
        try:
            found = formats.history(format, request.payload, self.model)
        except ValueError as e:
            self.say(device.endpoint, "<- Send")
            raise Refused("4.00", str(e)) from None
        rows = (f"\n    {self.model.label(p)} = {self.model.show(p, v)}" for p, _, v in found)
        self.say(device.endpoint, "<- Send" + "".join(rows))
        self.happened("send", device.endpoint, device, found)
        return self._answer(device.endpoint, Code.CHANGED)
