# The desk server as one object: everything is started from a Config, and ended together.
# SPDX-License-Identifier: MIT
"""async with DeskServer(Config.load("desk.toml"), parts=[...]) as desk: ...

A part is an object with `async start(desk)` and `async stop()`: the MQTT gateway, REST and page. Parts
are started last and stopped first.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Protocol, Self

from cryptography.hazmat.primitives.serialization import Encoding

from tools import objects

from . import core, events, values
from .accounts import AccountError, Accounts, host_for, plan
from .config import SERVER, Config, ConfigError
from .core import Device, File, Server
from .credentials import (
    AUTHORITY,
    StoredCredentials,
    check_key,
    check_thumbprint,
    load_authority,
    own_identity,
)
from .downloads import Downloads
from .dtls import DtlsInterface
from .events import Event, EventHub, Reported
from .firmware import Firmware
from .inventory import PREFIX, Inventory
from .model import Model, flatten, ids, join
from .operations import Operations
from .store import (
    CONNECTED,
    MISSING,
    PRIMARY,
    REGISTERED,
    SLEEPING,
    UNKNOWN,
    Credential,
    Endpoint,
    Registration,
    Store,
    StoreError,
)

XML = "xml"  # kind of the documents that hold object definitions
MAX_XML = 4 * 1024 * 1024
TICK = 1.0  # seconds between looks at what has expired
SEEN_INTERVAL = 30.0  # `last_seen` is stored this often at most, seconds
LOCATION_BYTES = 5
DEVICE_SCHEMES, FILE_SCHEMES = ("coap", "coaps"), ("http", "https")


class Part(Protocol):
    async def start(self, desk: DeskServer) -> None: ...

    async def stop(self) -> None: ...


class DeskServer:
    """LwM2M server and bootstrap server with their store, events, operations, inventory.

    config      Config
    store       Store: what outlives a restart
    events      EventHub: what happens
    model       Model: names, types and units, with the XML that was added
    server      core.Server: listeners and registered devices (`server.devices[endpoint]`)
    operations  Operations
    firmware    Firmware: updates that run
    inventory   Inventory: files for downloads
    accounts    Accounts: bootstrap configurations
    certificate the server's own, DER, for 0/x/4 of a device; b"" without coaps and https
    """

    config: Config
    store: Store
    events: EventHub
    model: Model
    server: Server
    operations: Operations
    firmware: Firmware
    inventory: Inventory
    accounts: Accounts
    certificate: bytes = b""

    def __init__(
        self,
        config: Config | None = None,
        parts: list[Part] | tuple[Part, ...] = (),
        transcript: Callable[[str, str], None] | None = None,
    ):
        """transcript(endpoint, text) gets each line of the decoded CoAP log, as LOG events do."""
        self.config = config or Config()
        self.parts = list(parts)
        self.events = EventHub()
        self._transcript = transcript
        self._closing = contextlib.AsyncExitStack()
        self._downloads: dict[str, Downloads] = {}
        self._seen: dict[str, float] = {}  # newest message of each endpoint
        self._stored_seen: dict[str, float] = {}
        self._status: dict[str, str] = {}
        self._log = logging.getLogger("lwm2m.service")

    async def start(self) -> Self:
        """Open the store, listen, take the registrations of the last run up again, start the parts.

        OSError or ConfigError when an address cannot be used; nothing stays open then.
        """
        self._closing = contextlib.AsyncExitStack()
        try:
            await self._start()
        except BaseException:
            await self.stop()
            raise
        return self

    async def _start(self) -> None:
        config, closing = self.config, self._closing
        self.store = Store(config.database, config.queue_size)
        closing.callback(self.store.close)
        self.model = Model(*_xml_files(config.xml))
        for name, content in self.store.documents(XML).items():
            self.model.add(name, content)
        credentials = StoredCredentials(self.store, config)
        # Without advertise, the certificate has the address of the default route.
        host = config.advertise or host_for(config.listeners[0].host if config.listeners else "")
        secure = any(each.scheme in ("coaps", "https") for each in config.listeners)
        identity = own_identity(config, self.store, host) if secure else None
        if identity:
            self.certificate = identity[0].public_bytes(Encoding.DER)
        self.server = Server(
            listeners=[each for each in config.listeners if each.scheme in DEVICE_SCHEMES],
            credentials=credentials,
            identity=identity,
            versions=config.versions,
            lifetimes=(config.min_lifetime, config.max_lifetime),
            location=lambda _: ("rd", secrets.token_hex(LOCATION_BYTES)),
            transcript=self._say,
            model=self.model,
            timeout=config.coap_timeout,
            ack_timeout=config.ack_timeout,
            awake_window=config.awake_window,
        )
        self.server.timeouts = self._timeout
        self.operations = Operations(self.server, self.store, self.events, config)
        self.accounts = Accounts(config, self.store, self.events, credentials, self.server)
        self.server.bootstrap_hook = self.accounts.answer
        self.inventory = Inventory(self._inventory_folder())
        trace = self._say if config.trace else None
        self.firmware = Firmware(self.operations, self.inventory, self.download_uri, trace)
        self.operations.firmware = self.firmware
        self.server.files, self.server.fetched = self._file, self._fetched
        self.server.taps.append(self._happened)
        await self.server.start()
        closing.push_async_callback(self.server.stop)
        closing.push_async_callback(self.operations.stop)
        closing.push_async_callback(self.firmware.stop)
        self._trust()
        for listener in config.listeners:
            if listener.scheme in FILE_SCHEMES:
                await self._serve_files(listener, identity)
        for identity, key in config.keys.items():
            credentials.share(identity, key)
        for name, settings in config.endpoints.items():
            self.put_endpoint(name, settings)
        self._restore()
        ticking = asyncio.get_running_loop().create_task(self._tick())
        closing.callback(ticking.cancel)
        for part in self.parts:
            await part.start(self)
            closing.push_async_callback(part.stop)

    async def stop(self) -> None:
        """End parts, listeners, store; registrations stay in the store. Twice is once."""
        closing, self._closing = self._closing, contextlib.AsyncExitStack()
        await closing.aclose()

    async def __aenter__(self) -> Self:
        return await self.start()

    async def __aexit__(self, *_) -> None:
        await self.stop()

    def _inventory_folder(self) -> Path:
        if self.config.inventory:
            return Path(self.config.inventory)
        if self.config.database != ":memory:":
            return Path(self.config.database).with_suffix(".files")
        return Path(self._closing.enter_context(tempfile.TemporaryDirectory(prefix="lwm2m-")))

    async def _serve_files(self, listener, identity) -> None:
        downloads = Downloads(self.inventory, listener, self.firmware.fetched, identity)
        await downloads.start()
        self._closing.push_async_callback(downloads.stop)
        self._downloads.setdefault(listener.scheme, downloads)

    def _restore(self) -> None:
        """Registrations, observations and updates of the last run."""
        for record in self.store.registrations():
            device = self.server.restore(record, self.store.observations(record.endpoint))
            self._seen[record.endpoint] = record.updated
            self._set_status(record.endpoint, self._status_of(device))
        for endpoint in self.store.endpoints():
            self._seen.setdefault(endpoint.name, endpoint.last_seen)
            self._status.setdefault(endpoint.name, endpoint.status)
        for record in self.store.registrations():
            if self.server.devices[record.endpoint].reachable:
                self.operations.awake(record.endpoint)
        self.firmware.resume()

    # What happens in the server, into store and events

    def _say(self, endpoint: str, text: str) -> None:
        if self._transcript:
            self._transcript(endpoint, text)
        self.events.emit(Event(events.LOG, endpoint, {"line": text}))

    def _timeout(self, endpoint: str) -> float | None:
        known = self.store.endpoint(endpoint)
        return known.coap_timeout if known else None

    def _happened(self, event: core.Event) -> None:
        handler = getattr(self, "_on_" + event.kind.replace("-", "_"), None)
        if handler:
            handler(event)

    def _on_register(self, event: core.Event) -> None:
        device = event.device
        self._known(device.endpoint)
        self.store.remove_observations(device.endpoint)
        self._registered(device, events.REGISTER)

    def _on_update(self, event: core.Event) -> None:
        self._registered(event.device, events.UPDATE)

    def _registered(self, device: Device, kind: str) -> None:
        record = device.record()
        self.store.put_registration(record)
        self._set_status(device.endpoint, CONNECTED)
        self.events.emit(Event(kind, device.endpoint, registration_body(record), record))

    def _on_deregister(self, event: core.Event) -> None:
        device, record = event.device, event.device.record()
        self.store.remove_registration(device.endpoint)
        body = {"reason": event.kind}
        self.events.emit(Event(events.DEREGISTER, device.endpoint, body, record))
        self._set_status(device.endpoint, MISSING if event.kind == "expire" else UNKNOWN)

    _on_expire = _on_deregister

    def _on_bootstrap(self, event: core.Event) -> None:
        self._known(event.endpoint)
        self._saw(event.endpoint)

    def _on_bootstrapped(self, event: core.Event) -> None:
        body = {"success": event.detail == "finished", "result": event.detail}
        self.events.emit(Event(events.BOOTSTRAPPED, event.endpoint, body, event.device))

    def _on_heard(self, event: core.Event) -> None:
        self._saw(event.endpoint)
        if not event.device.closed:
            self._set_status(event.endpoint, CONNECTED)
            self.operations.awake(event.endpoint)

    def _on_asleep(self, event: core.Event) -> None:
        self._set_status(event.endpoint, self._status_of(event.device))

    def _on_data(self, event: core.Event) -> None:
        reported: Reported = event.detail
        now = time.time()
        times: dict[float, list] = {}
        for path, at, value in reported.values:
            if len(ids(path)) >= 3:
                times.setdefault(now if at is None else at, []).append((path, value))
        for at, found in times.items():
            self.store.put_values(event.endpoint, found, at)
        pairs = [(path, value) for path, _, value in reported.values]
        tree = values.to_tree(pairs, self.model, values.STRINGS)
        body = {"source": reported.source, "data": tree, "context": reported.context}
        self.events.emit(Event(events.DATA, event.endpoint, body, reported))

    def _on_written(self, event: core.Event) -> None:
        path, value = event.detail
        found = [(join(ids(p)), v) for p, v in flatten(path, value) if len(ids(p)) >= 3]
        self.store.put_values(event.endpoint, found)

    def _on_observation_ended(self, event: core.Event) -> None:
        self.store.remove_observation(event.endpoint, event.detail.token.hex())

    def _known(self, endpoint: str) -> Endpoint:
        known = self.store.endpoint(endpoint)
        if known is None:
            known = Endpoint(endpoint)
            self.store.put_endpoint(known)
        return known

    def _saw(self, endpoint: str) -> None:
        now = self._seen[endpoint] = time.time()
        if now - self._stored_seen.get(endpoint, 0) > SEEN_INTERVAL:
            self._stored_seen[endpoint] = now
            known = self._known(endpoint)
            known.last_seen = now
            self.store.put_endpoint(known)

    def _status_of(self, device: Device) -> str:
        if device.reachable:
            return CONNECTED
        return SLEEPING if device.asleep else REGISTERED

    def _set_status(self, endpoint: str, status: str) -> None:
        if self._status.get(endpoint) == status:
            return
        self._status[endpoint] = status
        known = self._known(endpoint)
        known.status, known.last_seen = status, self._seen.get(endpoint, known.last_seen)
        self.store.put_endpoint(known)
        device = self.server.devices.get(endpoint)
        record = device.record() if device else Registration(endpoint)
        self.events.emit(Event(events.STATUS, endpoint, {"status": status}, record))

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(TICK)
            try:
                self.operations.expire()
                self._look_for_missing()
            except Exception:
                self._log.exception("the look at what has expired failed")

    def _look_for_missing(self) -> None:
        now = time.time()
        for name, seen in list(self._seen.items()):
            if self._status.get(name) in (MISSING, UNKNOWN, None):
                continue
            known = self.store.endpoint(name) if name in self._own_limits else None
            limit = known.missing_after if known else self.config.missing_after
            if limit and now - seen > limit:
                self._set_status(name, MISSING)

    @property
    def _own_limits(self) -> set[str]:
        if self._limits is None:
            found = self.store.endpoints()
            self._limits = {each.name for each in found if each.missing_after is not None}
        return self._limits

    _limits: set[str] | None = None

    # Files for devices

    def _file(self, path: tuple[str, ...]) -> File | None:
        if len(path) != 2 or path[0] != PREFIX:
            return None
        item = self.inventory.item(path[1])
        if item is None:
            return None
        if self._cached is None or self._cached[0] != item:
            self._cached = item, self.inventory.read(item.name)
        return File(item.name, self._cached[1], item.etag)

    _cached: tuple | None = (
        None  # the file that was asked for last: a download asks for each block
    )

    def _fetched(self, endpoint: str, file: File, end: int) -> None:
        self.firmware.fetched(endpoint, file.name, end)

    def download_uri(self, scheme: str, endpoint: str = "") -> str:
        """Address of the inventory for a device, without a path; ConfigError without such a listener."""
        device = self.server.devices.get(endpoint)
        remote = device.remote if device else None
        if scheme in DEVICE_SCHEMES:
            return self.accounts.uri(scheme, SERVER, remote)
        downloads = self._downloads.get(scheme)
        if downloads is None:
            raise ConfigError(f"no listener serves files over {scheme}")
        host = self.config.advertise or host_for(downloads.host, remote)
        host = f"[{host}]" if ":" in host else host
        return f"{scheme}://{host}:{downloads.port}"

    # What programs ask for

    def uris(self) -> dict[str, str]:
        """Address of the first listener of each scheme, as devices are told it: {"coap": "coap://10.0.0.2:5683"}."""
        found = {}
        for scheme in (*DEVICE_SCHEMES, *FILE_SCHEMES):
            with contextlib.suppress(AccountError, ConfigError):
                found[scheme] = self.download_uri(scheme)
        return found

    def endpoint_view(self, name: str) -> dict | None:
        """What is known of an endpoint, for programs: without keys; None when it is unknown.

        {"endpoint", "status", "lastSeen" (epoch seconds), "allowNosec", "coapTimeout", "bootstrapTimeout",
        "missingAfter", "identities": [{"identity", "kind"}], "thumbprints", "notes", "bootstrap": bool,
        "queued": number of commands, "observations": [{"token", "paths", "composite"}],
        "registration": None or {"id", "location", "address", "listener", "secure", "credentials", "identity",
        "lifetime", "version", "binding", "queue", "sms", "root", "links", "formats", "registered", "updated", "query"}}
        """
        known = self.store.endpoint(name)
        return self._view(known) if known else None

    def endpoints_view(self) -> list[dict]:
        """endpoint_view() of every endpoint, by name."""
        return [self._view(known) for known in self.store.endpoints()]

    def _view(self, known: Endpoint) -> dict:
        name, device = known.name, self.server.devices.get(known.name)
        identities = [
            {"identity": each.identity, "kind": each.kind} for each in self.store.credentials(name)
        ]
        observations = [
            {"token": each.token, "paths": each.paths, "composite": each.composite}
            for each in self.store.observations(name)
        ]
        return {
            "endpoint": name,
            "status": self._status.get(name, known.status),
            "lastSeen": self._seen.get(name, known.last_seen),
            "allowNosec": known.allow_nosec,
            "coapTimeout": known.coap_timeout,
            "bootstrapTimeout": known.bootstrap_timeout,
            "missingAfter": known.missing_after,
            "identities": identities,
            "thumbprints": known.thumbprints,
            "notes": known.notes,
            "bootstrap": known.bootstrap is not None,
            "queued": len(self.store.commands(name)),
            "observations": observations,
            "registration": registration_view(device.record()) if device else None,
        }

    def put_endpoint(self, name: str, settings: dict) -> None:
        """Make or change an endpoint from JSON; ConfigError for what is wrong.

        {"identity", "key" (hexadecimal), "thumbprints": [hexadecimal], "allowNosec", "coapTimeout",
        "bootstrapTimeout", "missingAfter", "bootstrap": configuration table or None, "notes"}, each optional.
        """
        if not isinstance(name, str) or not name or len(name.encode()) > core.MAX_NAME:
            raise ConfigError(f"endpoint name {name!r} is empty, too long, or no string")
        if not isinstance(settings, dict):
            raise ConfigError("the settings of an endpoint are an object")
        known = self.store.endpoint(name) or Endpoint(name)
        for key, value in settings.items():
            if key in ("identity", "key"):
                continue
            if key not in SETTINGS:
                raise ConfigError(
                    f"unknown key {key!r}; known: identity, key, {', '.join(SETTINGS)}"
                )
            attribute, check = SETTINGS[key]
            setattr(known, attribute, check(key, value))
        if known.bootstrap is not None:
            try:
                plan(known.bootstrap, self.model)
            except AccountError as e:
                raise ConfigError(f"bootstrap: {e}") from None
        credential = _credential(name, settings)
        if credential:
            self._put_primary(credential)
        self.store.put_endpoint(known)
        self._limits = None
        device = self.server.devices.get(name)
        if device:
            device.timeout = self.server.timeout_of(name)

    def _put_primary(self, credential: Credential) -> None:
        old = [c for c in self.store.credentials(credential.endpoint) if c.kind == PRIMARY]
        try:
            self.store.put_credential(credential)
        except StoreError as e:
            raise ConfigError(str(e)) from None
        for each in old:
            if each.identity != credential.identity:
                self.store.remove_credential(each.identity)

    def remove_endpoint(self, name: str) -> bool:
        """Forget an endpoint with registration, credentials, values, queue."""
        self.server.end(name)
        for table in (self._seen, self._status, self._stored_seen):
            table.pop(name, None)
        self._limits = None
        return self.store.remove_endpoint(name)

    def object_xmls(self) -> dict[str, list[dict]]:
        """{file name: [{"id", "name", "version"}]} of the definitions that were added."""
        return self.model.added()

    def save_object_xml(self, name: str, content: bytes) -> list[int]:
        """Add or replace definitions: the object ids; tools.objects.Bad ("FILE:LINE: message") for bad XML."""
        if not isinstance(name, str) or not name or "/" in name or len(name) > core.MAX_NAME:
            raise objects.Bad(f"{name!r}:1: this is no name of a file")
        if len(content) > MAX_XML:
            raise objects.Bad(f"{name}:1: the file is larger than {MAX_XML} bytes")
        found = self.model.add(name, content)
        self.store.put_document(XML, name, content)
        return found

    def remove_object_xml(self, name: str) -> bool:
        """Remove definitions again; those of tools/model.json come back."""
        self.model.remove(name)
        return self.store.remove_document(XML, name)

    def authorities(self) -> dict[str, str]:
        """{name: subject} of the certificate authorities whose clients may connect."""
        return {
            name: certificate.subject.rfc4514_string()
            for name, certificate in self._authorities().items()
        }

    def add_authority(self, name: str, pem: bytes) -> None:
        """ConfigError when it is no CA certificate."""
        certificate = load_authority(pem)
        self.store.put_document(AUTHORITY, name, certificate.public_bytes(Encoding.PEM))
        self._trust()

    def remove_authority(self, name: str) -> bool:
        found = self.store.remove_document(AUTHORITY, name)
        self._trust()
        return found

    def _authorities(self) -> dict:
        found = {}
        for path in self.config.authorities:
            try:
                found[path] = load_authority(Path(path).read_bytes())
            except OSError as e:
                raise ConfigError(f"{path}: {e.strerror}") from None
        for name, pem in self.store.documents(AUTHORITY).items():
            found[name] = load_authority(pem)
        return found

    def _trust(self) -> None:
        certificates = list(self._authorities().values())
        for each in self.server.listening:
            if isinstance(each.interface, DtlsInterface):
                each.interface.set_authorities(certificates)


def registration_body(record: Registration) -> dict:
    """Body of a REGISTER or UPDATE event, as the page has it."""
    discovery: dict = {}
    for path in record.links:
        with contextlib.suppress(ValueError):
            node = discovery
            for number in ids(path):
                node = node.setdefault("children", {}).setdefault(str(number), {})
    host, port = record.address
    return {
        "binding": record.binding,
        "credentials": record.credentials,
        "remoteAddr": f"[{host}]:{port}" if ":" in host else f"{host}:{port}",
        "version": record.version,
        "discovery": discovery,
    }


def registration_view(record: Registration) -> dict:
    """A registration for programs."""
    host, port = record.address
    return {
        "id": record.id,
        "location": "/" + "/".join(record.location),
        "address": f"[{host}]:{port}" if ":" in host else f"{host}:{port}",
        "listener": record.listener,
        "secure": record.secure,
        "credentials": record.credentials,
        "identity": record.identity,
        "lifetime": record.lifetime,
        "version": record.version,
        "binding": record.binding,
        "queue": record.queue,
        "sms": record.sms,
        "root": record.root,
        "links": record.links,
        "formats": record.formats,
        "registered": record.registered,
        "updated": record.updated,
        "query": record.query,
    }


def _seconds(key: str, value):
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if value is not None and not (number and 0 <= value < float("inf")):
        raise ConfigError(f"{key} is {value!r}, not seconds or null")
    return value


def _flag(key: str, value) -> bool:
    if not isinstance(value, bool):
        raise ConfigError(f"{key} is {value!r}, not true or false")
    return value


def _text(key: str, value) -> str:
    if not isinstance(value, str):
        raise ConfigError(f"{key} is {value!r}, not a string")
    return value


def _thumbprints(key: str, value) -> list[str]:
    if not isinstance(value, list):
        raise ConfigError(f"{key} is {value!r}, not a list")
    return [check_thumbprint(each) for each in value]


def _table(key: str, value):
    if value is not None and not isinstance(value, dict):
        raise ConfigError(f"{key} is not a configuration, an object")
    return value


SETTINGS = {
    "thumbprints": ("thumbprints", _thumbprints),
    "allowNosec": ("allow_nosec", _flag),
    "coapTimeout": ("coap_timeout", _seconds),
    "bootstrapTimeout": ("bootstrap_timeout", _seconds),
    "missingAfter": ("missing_after", _seconds),
    "bootstrap": ("bootstrap", _table),
    "notes": ("notes", _text),
}


def _credential(name: str, settings: dict) -> Credential | None:
    """The pre-shared key in the settings of an endpoint; errors do not show it."""
    identity, key = settings.get("identity"), settings.get("key")
    if identity is None and key is None:
        return None
    if not isinstance(identity, str) or not identity or not isinstance(key, str):
        raise ConfigError("identity and key belong together, both strings")
    return Credential(identity, name, check_key(key), PRIMARY)


def _xml_files(paths: tuple[str, ...]) -> list[Path]:
    """The files named, and the XML files of the folders named."""
    found: list[Path] = []
    for each in paths:
        path = Path(each)
        found += sorted(path.glob("*.xml")) if path.is_dir() else [path]
    return found
