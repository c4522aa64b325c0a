# LwM2M server: registration, bootstrap and Send interfaces, and the devices behind them.
# SPDX-License-Identifier: MIT
"""Server listens; each registered Device is managed by the operations of Peer.

async with Server(port=0) as server:
    event = await server.wait("register", "demo")
    answer = await event.device.read("/3/0/0")
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets
import socket
import time
from collections import deque
from collections.abc import Awaitable, Callable, Iterable
from typing import NamedTuple, Protocol, Self

import aiocoap
from aiocoap import Code, Message, resource
from aiocoap.numbers.constants import TransportTuning
from aiocoap.numbers.types import ACK, NON, RST
from aiocoap.pipe import Pipe
from aiocoap.protocol import Request
from aiocoap.transports.udp6 import UDP6EndpointAddress

from . import formats, links
from .bootstrap import BootstrapConfig, Session
from .coap import MAPPED, Context, Duplicates, Spool, Udp
from .config import AWAKE_WINDOW, BOOTSTRAP, SERVER, Listener
from .dtls import DtlsInterface, Keys
from .events import Reported
from .model import Model, ids, join
from .peer import BLOCK, Answer, Observation, Peer
from .store import NONE, Observed, Registration

BINDINGS = {"U", "UQ", "S", "SQ", "US", "UQS", "T", "N", "M", "H"}
MAX_LIFETIME = 0xFFFFFFFF
MAX_BODY = 1 << 18  # bytes that a client may send in blocks: a registration, a Send
MAX_DEVICES = 20000  # registered at once; others get 5.03
MAX_NAME = 255  # bytes of an endpoint name
TOKEN_BYTES = 8
# A registration whose lifetime ended while the server was down gets this long, in seconds.
GRACE = 60.0
SENT_SLACK = 100  # requests that are remembered beyond those under way


class Refused(Exception):
    """A request that is answered by an error: Refused("4.00", "no endpoint name")."""

    def __init__(self, code: str, message: str = ""):
        super().__init__(message)
        major, minor = code.split(".")
        self.code = Code(int(major) << 5 | int(minor))


class Credentials(Keys, Protocol):
    """Keys for coaps, and which endpoint may be whom."""

    def identify(self, endpoint: str, remote) -> tuple[str, str]:
        """(endpoint name, kind of credentials) for a peer that calls itself `endpoint`, "" for the
        name of its credentials; Refused when it is somebody else."""


class File(NamedTuple):
    """A file for downloads."""

    name: str
    content: bytes
    etag: bytes


class Event(NamedTuple):
    """Something that happened: register, update, deregister, expire, bootstrap, bootstrapped, send.

    `detail` is what came with it: the query of a registration or update, the outcome ("finished" or
    what went wrong) of a bootstrap, the [(path, time, value)] of a Send.
    Functions in Server.taps also get heard, asleep, data (Reported), written ((path, value)),
    observation-ended (Observation), acknowledged and reset ((method, path) of a request that got an empty
    ACK, or RST), which wait() does not see.
    """

    kind: str
    endpoint: str
    device: Peer | None
    detail: object


QUIET = {"heard", "asleep", "data", "written", "observation-ended", "acknowledged", "reset"}


class Device(Peer):
    """A registered client."""

    def __init__(self, server: Server, endpoint: str, remote, location: tuple[str, ...]):
        super().__init__(server, endpoint, remote)
        self.timeout = server.timeout_of(endpoint)
        self.location = location
        self.lifetime = 86400
        self.version = "1.0"
        self.binding = "U"
        self.queue = False
        self.sms = ""
        self.query: dict[str, str] = {}
        self.links: dict[str, dict[str, str]] = {}
        self.formats: list[int] = []
        self.credentials = NONE
        self.secure, self.identity = security_of(remote)
        self.registered = self.updated = self.heard_at = time.time()
        self._timer: asyncio.TimerHandle | None = None
        self._sleep: asyncio.TimerHandle | None = None

    @property
    def reachable(self) -> bool:
        """Can it be asked now? Not while it sleeps, nor without a DTLS session."""
        if self.remote is None or not getattr(self.remote, "alive", True):
            return False
        return not self.queue or time.time() - self.heard_at < self.server.awake_window

    @property
    def asleep(self) -> bool:
        return self.queue and time.time() - self.heard_at >= self.server.awake_window

    def heard(self) -> None:
        """A message came from it: the awake window begins anew."""
        self.heard_at = time.time()
        if self._sleep:
            self._sleep.cancel()
            self._sleep = None
        if self.queue and not self.closed:
            loop = asyncio.get_running_loop()
            self._sleep = loop.call_later(self.server.awake_window, self._asleep)
        self.server.happened("heard", self.endpoint, self)

    def _asleep(self) -> None:
        if not self.closed:
            self.server.happened("asleep", self.endpoint, self)

    def moved(self, remote) -> None:
        """The device's address or session changed: its observations follow."""
        if remote == self.remote:
            self.remote = remote
            return
        for observation in list(self.observations):
            if self.tokens is not None:
                key = observation.token, self.remote
                self.tokens.outgoing_requests.pop(key, None)
        self.server._place(self, remote)
        for observation in list(self.observations):
            observation.request.remote = remote
            observation.resume()

    def parameters(self, query: dict[str, str]) -> None:
        """Take lt, b, Q, sms and lwm2m from a query; Refused when one is bad."""
        lifetime = query.get("lt", str(self.lifetime))
        if not (lifetime.isascii() and lifetime.isdecimal()) or int(lifetime) > MAX_LIFETIME:
            raise Refused("4.00", "lt is no lifetime")
        least, most = self.server.lifetimes
        if not least <= int(lifetime) <= most:
            raise Refused("4.00", f"lt is not within {least} and {most}")
        binding = query.get("b", self.binding)
        if binding not in BINDINGS and not 0 < len(set(binding) & set("UMHTSN")) == len(binding):
            raise Refused("4.00", "b is no binding")
        self.lifetime, self.binding = int(lifetime), binding
        self.queue = "Q" in query or "Q" in binding or self.queue and "b" not in query
        self.sms = query.get("sms", self.sms)
        self.query = {**self.query, **query}

    def objects(self, payload: bytes) -> None:
        """Take the links of objects and instances; the one with rt="oma.lwm2m" is the root."""
        try:
            found = links.parse(payload)
        except ValueError as e:
            raise Refused("4.00", str(e)) from None
        root, named = "", []
        for target, attributes in found:
            if attributes.get("rt") == "oma.lwm2m" or target == "/":
                root = target.rstrip("/")
                ct = attributes.get("ct", "").split()
                named = [int(n) for n in ct if n.isascii() and n.isdecimal() and len(n) < 6]
        self.root, self.formats = root, named
        self.links = {}
        for target, attributes in found:
            path = target.removeprefix(self.root) or "/"
            if path != "/":
                self.links["/" + path.lstrip("/")] = attributes

    def has_object(self, oid: int) -> bool:
        """Did it register an object, or an instance of it?"""
        return any(path == f"/{oid}" or path.startswith(f"/{oid}/") for path in self.links)

    def arm(self, seconds: float | None = None) -> None:
        """Start the lifetime anew, or with what is left of it; 0 is without end."""
        if self._timer:
            self._timer.cancel()
        self._timer = None
        if self.lifetime:
            left = self.lifetime if seconds is None else seconds
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(left, self.server._gone, self, "expire")

    def close(self) -> None:
        self.closed = True
        for timer in (self._timer, self._sleep):
            if timer:
                timer.cancel()
        for observation in list(self.observations):
            observation.close("ended with the registration")

    def record(self) -> Registration:
        """What the store keeps of it."""
        return Registration(
            endpoint=self.endpoint,
            location=self.location,
            address=address_of(self.remote),
            listener=self.server.listener_of(self.remote),
            secure=self.secure,
            credentials=self.credentials,
            identity=self.identity,
            lifetime=self.lifetime,
            version=self.version,
            binding=self.binding,
            queue=self.queue,
            sms=self.sms,
            query=dict(self.query),
            root=self.root,
            links=self.links,
            formats=self.formats,
            registered=self.registered,
            updated=self.updated,
        )


def security_of(remote) -> tuple[str, str]:
    """("nosec" | "psk" | "x509", identity) of an address."""
    return getattr(remote, "secure", "") or "nosec", getattr(remote, "identity", "")


def address_of(remote) -> tuple[str, int]:
    """Host and port of an address."""
    if remote is None:
        return "", 0
    host, port = remote.sockaddr[:2]
    return host.removeprefix(MAPPED), port


class _Site(resource.Resource, resource.PathCapable):
    """Everything that arrives, whatever its path; aiocoap puts blocks together."""

    def __init__(self, server: Server):
        super().__init__()
        self.server = server
        self._block1 = Spool()

    async def render_to_pipe(self, pipe) -> None:
        request = pipe.request
        block = request.opt.block1
        if block is not None and block.start + len(request.payload) > MAX_BODY:
            answer = Message(code=Code.REQUEST_ENTITY_TOO_LARGE)
            pipe.add_response(answer, is_last=True)
            return
        file = self.server.files(request.opt.uri_path) if request.code == Code.GET else None
        if file is not None:
            pipe.add_response(self.server._block(file, request), is_last=True)
            return
        await super().render_to_pipe(pipe)

    async def render(self, request: Message) -> Message:
        try:
            return await self.server._serve(request)
        except Refused as e:
            self.server.say("", f"-> {e.code.dotted} {e.code.name_printable} {e}")
            return Message(code=e.code, payload=str(e).encode())
        except UnicodeDecodeError:
            self.server.say("", "-> 4.00 Bad Request")
            return Message(code=Code.BAD_REQUEST, payload=b"not UTF-8")


class Listening(NamedTuple):
    """A listener that runs: its settings with the port that it has, and aiocoap's side."""

    listener: Listener
    tokens: object
    interface: object

    @property
    def uri(self) -> str:
        """Address as a client on this machine is configured with: `coap://127.0.0.1:40123`."""
        host = self.listener.host
        host = "127.0.0.1" if host in ("::", "0.0.0.0", "") else host
        host = f"[{host}]" if ":" in host else host
        return f"{self.listener.scheme}://{host}:{self.listener.port}"


class Server:
    """An LwM2M server, with `bootstrap` a bootstrap server too.

    host, port   address to listen on, over coap; "::" listens on every address, IPv4 and IPv6;
                 port 0 picks a free one; `server.port` tells it, `server.uri` the whole address
    listeners    instead of host and port: any number of them, coap and coaps
    bootstrap    {endpoint: BootstrapConfig}, "*" for any other endpoint
    credentials  who may connect by coaps, and as whom; None serves any endpoint over coap
    identity     (certificate, private key) of the server's own for coaps; None is pre-shared keys only
    versions     enabler versions that may register; others get 4.12
    lifetimes    the shortest and the longest that may register, seconds; others get 4.00
    admit        fn(endpoint, query) -> a code such as "4.03" that refuses a registration, or None
    location     fn(number) -> the segments of the location of a registration
    transcript   fn(endpoint, text) gets each thing said
    timeout      seconds to wait for an answer of a device
    ack_timeout  seconds to the first retransmission (RFC 7252 4.8)
    awake_window seconds that a queue mode client listens after its last message
    """

    def __init__(
        self,
        host: str = "127.0.0.1",
        port: int = 0,
        *,
        listeners: Iterable[Listener] = (),
        bootstrap: dict[str, BootstrapConfig] | None = None,
        credentials: Credentials | None = None,
        identity: tuple | None = None,
        versions: Iterable[str] = ("1.0", "1.1", "1.2"),
        lifetimes: tuple[int, int] = (0, MAX_LIFETIME),
        admit: Callable[[str, dict], str | None] | None = None,
        location: Callable[[int], tuple[str, ...]] = lambda n: ("rd", str(n)),
        transcript: Callable[[str, str], None] | None = None,
        model: Model | None = None,
        timeout: float = 30.0,
        ack_timeout: float = 2.0,
        awake_window: float = AWAKE_WINDOW,
    ):
        self.host, self.port = host, port
        self._wanted = list(listeners) or [Listener("coap", host, port)]
        self.listening: list[Listening] = []
        self.bootstrap_configs = bootstrap or {}
        # async fn(endpoint, version, remote) -> BootstrapConfig, or None for bootstrap_configs
        self.bootstrap_hook: Callable[..., Awaitable[BootstrapConfig | None]] | None = None
        # fn(path segments, endpoint or "") -> a file for downloads, or None; told of each block by its end
        self.files: Callable[[tuple[str, ...]], File | None] = lambda path: None
        self.fetched: Callable[[str, File, int], None] = lambda endpoint, file, end: None
        self.credentials, self.identity = credentials, identity
        self.versions, self.admit, self.location = tuple(versions), admit, location
        # fn(endpoint) -> the segments of its location, instead of `location`.
        self.locate: Callable[[str], tuple[str, ...]] | None = None
        self.lifetimes = lifetimes
        self.transcript = transcript
        self.model = model or Model()
        self.timeout, self.awake_window = timeout, awake_window
        self.tuning = type("Tuning", (TransportTuning,), {"ACK_TIMEOUT": ack_timeout})()
        self.devices: dict[str, Device] = {}
        self.events: deque[Event] = deque(maxlen=1000)
        self.taps: list[Callable[[Event], None]] = []
        self.timeouts: Callable[[str], float | None] = lambda endpoint: None
        self.running = False
        self._locations: dict[tuple[str, ...], Device] = {}
        self._remotes: dict[object, Device] = {}
        self._count = 0
        self._changed = asyncio.Event()
        self._sessions: dict[str, Session] = {}
        self.log = logging.getLogger("lwm2m.server")

    async def start(self) -> Self:
        """OSError when an address is in use, or none of this machine; nothing stays open then."""
        logging.getLogger("coap-server").setLevel(logging.ERROR)
        self.context = Context(serversite=_Site(self), loggername="coap-server")
        try:
            for listener in self._wanted:
                await self._listen(listener)
        except BaseException:
            if self.listening:
                await self.context.shutdown()
            raise
        self.running = True
        self.port = self.listening[0].listener.port
        self.tokens = self.listening[0].tokens
        return self

    async def _listen(self, listener: Listener) -> None:
        try:
            await self._open(listener)
        except OSError as e:
            where = f"{listener.scheme} at {listener.host} port {listener.port}"
            raise OSError(e.errno, f"{where}: {e.strerror or e}") from None

    async def _open(self, listener: Listener) -> None:
        if listener.scheme == "coap":
            await self.context._append_tokenmanaged_messagemanaged_transport(
                lambda manager: Udp.listen(manager, listener.host, listener.port)
            )
        else:
            await self.context._append_tokenmanaged_messagemanaged_transport(
                lambda manager: DtlsInterface.listen(
                    manager, self.credentials, listener.host, listener.port, self.identity
                )
            )
        tokens = self.context.request_interfaces[-1]
        tokens.next_token = lambda: secrets.token_bytes(TOKEN_BYTES)
        messages = tokens.token_interface
        messages._deduplicate_message = Duplicates(messages).repeated
        interface = tokens.token_interface.message_interface
        if isinstance(interface, DtlsInterface):
            port = interface.sockname[1]
            interface.established = self._established
            interface.lost = self._lost
        else:
            port = interface.transport.get_extra_info("socket").getsockname()[1]
        settings = Listener(listener.scheme, listener.host, port, listener.roles)
        self.listening.append(Listening(settings, tokens, interface))
        self._watch(tokens)
        self._watch_requests(tokens.token_interface)

    def _watch(self, tokens) -> None:
        """Note who is heard of by a response, and answer an unknown notification with RST."""
        known, messages = tokens.process_response, tokens.token_interface

        def process_response(message: Message) -> bool:
            try:
                found = known(message)
            except asyncio.InvalidStateError:
                found = True  # whoever asked has just given up, and aiocoap has not noticed yet
            device = self._remotes.get(message.remote)
            if device is not None:
                device.heard()
            if not found and message.mtype is NON and message.opt.observe is not None:
                # aiocoap does it for a confirmable one only (RFC 7641 3.2).
                reset = Message(_mtype=RST, _mid=message.mid, code=aiocoap.EMPTY)
                reset.remote = message.remote.as_response_address()
                messages._send_initially(reset)
            return found

        tokens.process_response = process_response

    def _watch_requests(self, messages) -> None:
        """Tell of requests that a device acknowledges without an answer, or resets."""
        add, remove = messages._add_exchange, messages._remove_exchange
        sent: dict[tuple, Message] = {}

        def add_exchange(message: Message, monitor) -> None:
            add(message, monitor)
            sent[message.remote, message.mid] = message
            if len(sent) > 2 * len(messages._active_exchanges) + SENT_SLACK:
                for key in sent.keys() - messages._active_exchanges.keys():  # given up
                    del sent[key]

        def remove_exchange(message: Message) -> None:
            request = sent.pop((message.remote, message.mid), None)
            device = self._remotes.get(message.remote)
            remove(message)
            if request is None or device is None or message.code is not aiocoap.EMPTY:
                return
            if not request.code.is_request():
                return
            path = "/" + "/".join(request.opt.uri_path)
            kind = "acknowledged" if message.mtype is ACK else "reset"
            if device.root and path.startswith(device.root):
                path = path[len(device.root) :]
            self.happened(kind, device.endpoint, device, (request.code.name, path))

        messages._add_exchange, messages._remove_exchange = add_exchange, remove_exchange

    async def stop(self) -> None:
        if not self.running:
            return
        self.running = False
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
        if self.listening:
            return self.listening[0].uri
        return Listening(Listener("coap", self.host, self.port), None, None).uri

    def _listening(self, remote) -> Listening | None:
        """The listener that an address belongs to."""
        interface = getattr(remote, "interface", None)
        return next((each for each in self.listening if each.interface is interface), None)

    def tokens_of(self, remote):
        """aiocoap's token manager for an address, or None."""
        found = self._listening(remote) if self.running else None
        return found.tokens if found else None

    def listener_of(self, remote) -> str:
        found = self._listening(remote)
        return found.uri if found else ""

    def timeout_of(self, endpoint: str) -> float:
        """Seconds to wait for an answer of an endpoint."""
        return self.timeouts(endpoint) or self.timeout

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
        event = Event(kind, endpoint, device, detail)
        if kind not in QUIET:
            self.events.append(event)
            self._changed.set()
        for tap in self.taps:
            try:
                tap(event)
            except Exception:
                self.log.exception("what listens to %s failed", kind)

    def request_with_token(self, message: Message, token: bytes, tokens=None) -> Request:
        """Send a request under a given token instead of a fresh one."""
        tokens = tokens or self.tokens_of(message.remote)
        pipe = Pipe(message, self.context.log)
        request = Request(pipe, self.context.loop, self.context.log)
        fresh, tokens.next_token = tokens.next_token, lambda: token
        try:
            tokens.request(pipe)
        finally:
            tokens.next_token = fresh
        return request

    # What is told of devices

    def report(self, device: Peer, reported: Reported) -> None:
        """Values came from a device."""
        self.happened("data", device.endpoint, device, reported)

    def written(self, device: Peer, path: str, value) -> None:
        """A device has taken a value."""
        self.happened("written", device.endpoint, device, (path, value))

    def notified(self, observation: Observation, answer: Answer) -> None:
        source = "notify"
        self.report(
            observation.peer,
            Reported(
                source,
                answer.readings,
                tuple(observation.paths),
                answer,
                observation.token.hex(),
                observation.order,
                observation.context,
            ),
        )

    def observation_ended(self, observation: Observation) -> None:
        self.happened(
            "observation-ended", observation.peer.endpoint, observation.peer, observation
        )

    # Addresses

    def _place(self, device: Device, remote) -> None:
        """Give a device an address."""
        if self._remotes.get(device.remote) is device:
            del self._remotes[device.remote]
        device.remote = remote
        device.secure, device.identity = security_of(remote)
        if remote is not None:
            self._remotes[remote] = device

    def _established(self, remote) -> None:
        """A DTLS session begins: if a registered device is behind it, it goes on there."""
        for device in self.devices.values():
            same = (device.secure, device.identity) == security_of(remote)
            if same and (device.remote is None or not device.remote.alive):
                device.moved(remote)
                return

    def _lost(self, remote) -> None:
        device = self._remotes.get(remote)
        if device is not None:
            self.happened("asleep", device.endpoint, device)

    def restore(self, record: Registration, observations: Iterable[Observed]) -> Device:
        """Take a registration of an earlier run up again, with its observations."""
        remote = self._remote(record)
        device = Device(self, record.endpoint, remote, record.location)
        for name in ("lifetime", "version", "binding", "queue", "sms", "query", "root", "links"):
            setattr(device, name, getattr(record, name))
        for name in ("formats", "credentials", "secure", "identity", "registered", "updated"):
            setattr(device, name, getattr(record, name))
        device.heard_at = record.updated
        self.devices[record.endpoint] = self._locations[record.location] = device
        if remote is not None:
            self._remotes[remote] = device
        device.arm(max(record.expires - time.time(), GRACE) if record.lifetime else None)
        last = record.location[-1] if record.location else ""
        if last.isascii() and last.isdecimal():
            self._count = max(self._count, int(last) + 1)
        for observed in observations:
            observation = Observation(
                device,
                tuple(observed.paths),
                observed.accept,
                composite=observed.composite,
                token=bytes.fromhex(observed.token),
                order=observed.order,
            )
            observation.context = observed.context
            if remote is None:
                observation.active = True
                device.observations.add(observation)
            else:
                observation.resume()
        return device

    def _remote(self, record: Registration):
        """aiocoap's address of a registration over coap; None over coaps, whose sessions are gone."""
        if record.secure != "nosec":
            return None
        same = [each for each in self.listening if each.listener.scheme == "coap"]
        same.sort(key=lambda each: each.uri != record.listener)
        if not same or not record.address[0]:
            return None
        interface, (host, port) = same[0].interface, record.address
        mapped = host if ":" in host else MAPPED + host
        with contextlib.suppress(OSError):
            found = socket.getaddrinfo(mapped, port, socket.AF_INET6, socket.SOCK_DGRAM)
            return UDP6EndpointAddress(found[0][4], interface)
        return None

    def end(self, endpoint: str) -> bool:
        """End a registration here, as if its lifetime were over; was there one?"""
        device = self.devices.get(endpoint)
        if device is not None:
            self._gone(device, "expire")
        return device is not None

    # The interfaces that clients call

    async def _serve(self, request: Message) -> Message:
        path, method = tuple(request.opt.uri_path), request.code
        found = self._listening(request.remote)
        roles = found.listener.roles if found else ()
        if path == ("rd",) and method == Code.POST and SERVER in roles:
            return self._register(request)
        serves_bootstrap = self.bootstrap_configs or self.bootstrap_hook
        if path == ("bs",) and method == Code.POST and BOOTSTRAP in roles and serves_bootstrap:
            return await self._bootstrap(request)
        if path == ("dp",) and method == Code.POST:
            return self._send(request)
        device = self._locations.get(path)
        if device and method == Code.POST:
            return self._update(device, request)
        if device and method == Code.DELETE:
            self._same(device, request.remote)
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

    def _identify(self, endpoint: str, remote) -> tuple[str, str]:
        """The endpoint that a peer is, and its kind of credentials; Refused for a wrong or no name."""
        kind = NONE
        if self.credentials is not None:
            endpoint, kind = self.credentials.identify(endpoint, remote)
        if not endpoint:
            raise Refused("4.00", "no endpoint name (ep)")
        if len(endpoint.encode()) > MAX_NAME or not endpoint.isprintable():
            raise Refused("4.00", "the endpoint name is too long, or not printable")
        return endpoint, kind

    def _same(self, device: Device, remote) -> None:
        """A location is known to its own client only."""
        if (device.secure, device.identity) != security_of(remote):
            raise Refused("4.04")

    def _register(self, request: Message) -> Message:
        query = self._query(request)
        endpoint, words = query.get("ep", ""), " ".join(request.opt.uri_query)
        version = query.get("lwm2m", "1.0")
        version = "1.0" if version == "1" else version
        try:
            endpoint, kind = self._identify(endpoint, request.remote)
            where = self.locate(endpoint) if self.locate else self.location(self._count)
            device = Device(self, endpoint, request.remote, where)
            device.credentials = kind
            if request.opt.content_format not in (None, formats.LINK):
                raise Refused("4.15", "the objects come as links")
            device.parameters(query)
            device.objects(request.payload)
            code = self.admit(endpoint, query) if self.admit else None
            if code:
                raise Refused(code)
            if len(self.devices) >= MAX_DEVICES and endpoint not in self.devices:
                raise Refused("5.03", "too many clients are registered")
            if ".".join(version.split(".")[:2]) not in self.versions:
                raise Refused("4.12", "this LwM2M version is not served")
        except Refused:
            self.say(endpoint, f"<- Register {words}")
            raise
        self.say(endpoint, f"<- Register {words}  {links.show(device.links, self.model)}")
        device.version = version
        self._count += 1
        old = self.devices.pop(endpoint, None)
        if old:
            old.close()
            self._locations.pop(old.location, None)
            self._place(old, None)
        self.devices[endpoint] = self._locations[device.location] = device
        self._remotes[request.remote] = device
        device.arm()
        self.happened("register", endpoint, device, query)
        # After the answer is out: a client serves nothing before it.
        asyncio.get_running_loop().call_soon(device.heard)
        where = "/" + "/".join(device.location)
        return self._answer(endpoint, Code.CREATED, where, location_path=device.location)

    def _update(self, device: Device, request: Message) -> Message:
        self._same(device, request.remote)
        query = self._query(request)
        said = f"<- Update {' '.join(request.opt.uri_query)}".rstrip()
        names = ("lifetime", "binding", "queue", "sms", "query", "links", "root", "formats")
        old = {name: getattr(device, name) for name in names}
        try:
            device.parameters(query)
            if request.payload:
                device.objects(request.payload)
                said += f"  {links.show(device.links, self.model)}"
        except Refused:
            vars(device).update(old)
            raise
        finally:
            self.say(device.endpoint, said)
        device.updated = time.time()
        device.moved(request.remote)
        device.arm()
        self.happened("update", device.endpoint, device, query)
        asyncio.get_running_loop().call_soon(device.heard)
        return self._answer(device.endpoint, Code.CHANGED)

    def _gone(self, device: Device, kind: str) -> None:
        device.close()
        if self.devices.get(device.endpoint) is device:
            del self.devices[device.endpoint]
        self._locations.pop(device.location, None)
        self._remotes = {k: v for k, v in self._remotes.items() if v is not device}
        if kind == "expire":
            self.say(device.endpoint, f"-- registration expired after {device.lifetime} s")
        self.happened(kind, device.endpoint, device)

    async def _bootstrap(self, request: Message) -> Message:
        query = self._query(request)
        endpoint = query.get("ep", "")
        self.say(endpoint, f"<- Bootstrap-Request {' '.join(request.opt.uri_query)}")
        endpoint, _ = self._identify(endpoint, request.remote)
        config = None
        if self.bootstrap_hook is not None:
            # The version is told by bootstrap discovery; "pct" is what a 1.1 client sends.
            config = await self.bootstrap_hook(endpoint, query, request.remote)
        if config is None:
            config = self.bootstrap_configs.get(endpoint) or self.bootstrap_configs.get("*")
        if config is None:
            raise Refused("4.00", "nothing is configured for this endpoint")
        if config.refuse:
            raise Refused(config.refuse)
        session = self.bootstrap(endpoint, request.remote, config)
        self.happened("bootstrap", endpoint, session, query)
        return self._answer(endpoint, Code.CHANGED)

    def _block(self, file: File, request: Message) -> Message:
        """One block of a file; nothing is kept between blocks, so a download may go on at any time."""
        wanted = request.opt.block2
        exponent = min(BLOCK, wanted.size_exponent if wanted else BLOCK)
        size = 1 << exponent + 4
        start = wanted.block_number * (1 << wanted.size_exponent + 4) if wanted else 0
        end = min(start + size, len(file.content))
        if start and start >= len(file.content):
            return Message(code=Code.BAD_OPTION)
        device = self._remotes.get(request.remote)
        self.fetched(device.endpoint if device else "", file, end)
        answer = Message(
            code=Code.CONTENT,
            payload=file.content[start:end],
            content_format=formats.OPAQUE,
            etag=file.etag,
        )
        more = end < len(file.content)
        if more or start or wanted:
            answer.opt.block2 = (start // size, more, exponent)
            answer.opt.size2 = len(file.content)
        return answer

    def _send(self, request: Message) -> Message:
        device = self._remotes.get(request.remote)
        if device is None:
            self.say("", f"<- Send from {request.remote.hostinfo}, which is not registered")
            raise Refused("4.04")
        format = request.opt.content_format
        if format not in (formats.SENML_JSON, formats.SENML_CBOR, formats.LWM2M_CBOR):
            self.say(device.endpoint, "<- Send")
            raise Refused("4.15", "Send comes as SenML")
        try:
            found = formats.readings(format, "/", request.payload, self.model, device.root)
            unknown = {
                ids(path)[:1] for path, _, _ in found if not device.has_object(*ids(path)[:1])
            }
        except (TypeError, ValueError) as e:
            self.say(device.endpoint, "<- Send")
            raise Refused("4.00", str(e)) from None
        if unknown:
            self.say(device.endpoint, "<- Send")
            raise Refused("4.04", f"{join(min(unknown))} was not registered")
        rows = (f"\n    {self.model.label(p)} = {self.model.show(p, v)}" for p, _, v in found)
        self.say(device.endpoint, "<- Send" + "".join(rows))
        self.happened("send", device.endpoint, device, found)
        self.report(device, Reported("send", found))
        asyncio.get_running_loop().call_soon(device.heard)
        return self._answer(device.endpoint, Code.CHANGED)
