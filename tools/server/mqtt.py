# The MQTT gateway: EMQX's topics on any broker, or on one that runs inside
# SPDX-License-Identifier: MIT
"""A part of the desk server; the table [mqtt] of its configuration has Settings.

    [mqtt]
    broker = "mqtt://127.0.0.1:1883"    # or embedded = "127.0.0.1:1883"
    preset = "emqx5"                    # or "emqx4", "page"
    auto_observe = true

Topics are `mountpoint` followed by one of five topics; `%e`, `${endpoint_name}` and `${clientid}` stand for the name of
the endpoint. Without a connection messages wait (MAX_WAITING, then the oldest go), and it is tried again.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import json
import logging
import re
import ssl
from collections import deque
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

import aiomqtt
from tools.objects import Bad

from . import emqx, events
from .broker import Broker, embedded
from .config import ConfigError, Listener
from .gateway import MQTT, NOTIFY, REGISTER, RESPONSE, UPDATE, Gateway, admitted

if TYPE_CHECKING:
    from .service import DeskServer

COMMAND = "command"
TOPICS = (COMMAND, RESPONSE, NOTIFY, REGISTER, UPDATE)
PRESETS = {
    # EMQX 5 with the settings that it comes with.
    "emqx5": {
        "mountpoint": "lwm2m/${endpoint_name}/",
        COMMAND: "dn/#",
        RESPONSE: "up/resp",
        NOTIFY: "up/notify",
        REGISTER: "up/resp",
        UPDATE: "up/update",
    },
    # The plug-in of EMQX 4, which has no topic of its own for updates.
    "emqx4": {
        "mountpoint": "lwm2m/%e/",
        COMMAND: "dn/#",
        RESPONSE: "up/resp",
        NOTIFY: "up/notify",
        REGISTER: "up/resp",
        UPDATE: "up/resp",
    },
    # EMQ X's page on the module, which names two topics.
    "page": {
        "mountpoint": "lwm2m/%e/",
        COMMAND: "command",
        RESPONSE: "response",
        NOTIFY: "response",
        REGISTER: "response",
        UPDATE: "response",
    },
}
PLACEHOLDERS = ("%e", "${endpoint_name}", "${clientid}")
PORTS = {"mqtt": 1883, "mqtts": 8883}
V311, V5 = 4, 5  # MQTT's own numbers
UNSUPPORTED = ("132", "Unsupported protocol version", "unacceptable protocol version")
MAX_WAITING = 10000  # messages
RETRY_FIRST, RETRY_MOST = 0.5, 30.0  # seconds
SETTLE = 2.0  # seconds
_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)?")
_UNITS = {"ms": 0.001, "s": 1, None: 1, "m": 60, "h": 3600, "d": 86400}
_log = logging.getLogger("lwm2m.mqtt")


def duration(text: str | float, name: str) -> float:
    """Seconds of 22, "22s", "5m", as EMQX's settings have them; ConfigError for others."""
    match = _DURATION.fullmatch(str(text)) if not isinstance(text, bool) else None
    if not match:
        raise ConfigError(f"mqtt.{name} is {text!r}, no duration such as 22 or 22s")
    return float(match[1]) * _UNITS[match[2]]


@dataclass
class Settings:
    """The table [mqtt]. Names are those of EMQX where it has the setting.

    broker        URI of the broker, mqtt: or mqtts:, with user and password if it wants them
    embedded      "host:port": run a broker here instead; with username and password for who has them,
                  without, and only on loopback, for everyone
    username, password   for the broker, instead of in its URI
    ca            PEM file of the authority of an mqtts: broker; "" is the system's
    preset        where the topics that are not given come from
    mountpoint, command, response, notify, register, update    topics
    qos           of messages and subscriptions
    lifetime_min, lifetime_max   outside them Register and Update get 4.00
    qmode_time_window   how long a client in queue mode counts as awake after its last message
    queue_expiry  how long a command waits for a client that sleeps; 0 is for ever
    auto_observe  observe what a client registers
    xml_dir       a folder of object definitions
    minimal_integers   write integers without a sign in the fewest bytes, as EMQX does
    """

    broker: str = ""
    embedded: str = ""
    username: str = ""
    password: str = dataclasses.field(default="", repr=False)
    ca: str = ""
    preset: str = "emqx5"
    mountpoint: str | None = None
    command: str | None = None
    response: str | None = None
    notify: str | None = None
    register: str | None = None
    update: str | None = None
    qos: int = 0
    lifetime_min: str | float | None = None
    lifetime_max: str | float | None = None
    qmode_time_window: str | float | None = None
    queue_expiry: str | float | None = None
    auto_observe: bool = False
    xml_dir: str = ""
    minimal_integers: bool = False

    @classmethod
    def of(cls, table: dict) -> Settings:
        """ConfigError names the key that is wrong."""
        kinds = {f.name: f.type for f in dataclasses.fields(cls)}
        for name, value in table.items():
            if name not in kinds:
                raise ConfigError(f"unknown key mqtt.{name}; known: {', '.join(kinds)}")
            wanted = {"bool": bool, "int": int}.get(kinds[name], (str, int, float))
            if not isinstance(value, wanted) or isinstance(value, bool) != (wanted is bool):
                raise ConfigError(f"mqtt.{name} is {value!r}, not {kinds[name]}")
        made = cls(**table)
        if bool(made.broker) == bool(made.embedded):
            raise ConfigError("mqtt.broker or mqtt.embedded is needed, and not both")
        if made.qos not in (0, 1, 2):
            raise ConfigError(f"mqtt.qos is {made.qos}, not 0, 1 or 2")
        host, _ = made.host_and_port()
        if made.embedded and not Listener(host=host).loopback and not made.password:
            raise ConfigError(
                "mqtt.embedded beyond loopback wants mqtt.username and mqtt.password"
            )
        if made.password and not made.username:
            raise ConfigError("mqtt.password is without a mqtt.username")
        return made

    def host_and_port(self) -> tuple[str, int]:
        """Where the broker is; ConfigError where its address is none."""
        uri = self.broker or f"mqtt://{self.embedded}"
        try:
            parts = urlsplit(uri)
            port = parts.port
        except ValueError:
            raise ConfigError(f"mqtt: {uri!r} has no port from 0 to 65535") from None
        if parts.scheme not in PORTS or not parts.hostname:
            raise ConfigError(f"mqtt.broker is {uri!r}, not such as mqtt://127.0.0.1:1883")
        return parts.hostname, port or PORTS[parts.scheme]

    def credentials(self) -> dict:
        """username and password as aiomqtt takes them."""
        parts = urlsplit(self.broker)
        user = self.username or unquote(parts.username or "")
        password = self.password or unquote(parts.password or "")
        return {"username": user or None, "password": password or None}

    def tls(self) -> ssl.SSLContext | None:
        if urlsplit(self.broker).scheme != "mqtts":
            return None
        try:
            return ssl.create_default_context(cafile=self.ca or None)
        except (OSError, ssl.SSLError) as error:
            raise ConfigError(f"mqtt.ca: {error}") from None


class Topics:
    """The five topics of every endpoint; ConfigError where they would not tell endpoints apart."""

    def __init__(self, settings: Settings):
        preset = PRESETS.get(settings.preset)
        if preset is None:
            raise ConfigError(f"mqtt.preset is {settings.preset!r}, none of {', '.join(PRESETS)}")
        given = dataclasses.asdict(settings)
        mount = preset["mountpoint"] if given["mountpoint"] is None else given["mountpoint"]
        self.templates = {}
        for name in TOPICS:
            topic = preset[name] if given[name] is None else given[name]
            whole = mount + topic
            for placeholder in PLACEHOLDERS:
                whole = whole.replace(placeholder, "%e")
            self.templates[name] = whole
        if "%e" not in self.templates[COMMAND]:
            raise ConfigError("mqtt: the command topic does not name the endpoint (%e)")
        for name, template in self.templates.items():
            plain = template.removesuffix("/#") if name == COMMAND else template
            if not plain or set(plain) & set("#+\0"):
                raise ConfigError(f"mqtt.{name}: {template!r} is no topic")
        base = self.templates[COMMAND].removesuffix("/#")
        below = "(?:/.*)?" if base != self.templates[COMMAND] else ""
        first, *others = (re.escape(part) for part in base.split("%e"))
        self._command = re.compile(first + "(.+)" + r"\1".join(others) + below, re.DOTALL)

    def of(self, name: str, endpoint: str) -> str:
        """The topic of an endpoint; what MQTT takes for wildcards in its name is written %2B and %23."""
        return self.templates[name].replace("%e", escaped(endpoint))

    def endpoint(self, topic: str, known) -> str | None:
        """The endpoint in `known` ({escaped name: name}) whose command topic this is."""
        match = self._command.fullmatch(topic)
        if match and match[1] in known:
            return known[match[1]]
        for name, endpoint in known.items():
            # A name with slashes can be read in more than one way.
            if aiomqtt.Topic(topic).matches(self.of(COMMAND, endpoint)):
                return known[name]
        return None


def escaped(endpoint: str) -> str:
    return endpoint.replace("+", "%2B").replace("#", "%23").replace("\0", "%00")


class MqttGateway:
    """The gateway as a part of a desk server."""

    def __init__(self, table: dict):
        self.settings = Settings.of(table)
        self.topics = Topics(self.settings)
        self.connected = asyncio.Event()
        self._settled = asyncio.Event()  # no connection is being made just now
        self._waiting: deque[tuple] = deque(maxlen=MAX_WAITING)
        self._more = asyncio.Event()
        self._names: dict[str, str] = {}  # escaped name: endpoint
        self._broker: Broker | None = None
        self._task: asyncio.Task | None = None
        self._protocol = V311 if self.settings.embedded else V5

    async def start(self, desk: DeskServer) -> None:
        """Connect, now and whenever the connection is lost. OSError where the embedded broker cannot listen."""
        self.desk, settings = desk, self.settings
        self._configure(desk)
        self._tls = settings.tls()
        if settings.embedded:
            host, port = settings.host_and_port()
            user = settings.username, settings.password
            self._broker = await embedded(host, port, *user)
        for registration in desk.store.registrations():
            self._names[escaped(registration.endpoint)] = registration.endpoint
        # Before the gateway subscribes: a client's topic is subscribed before its Register is told.
        kinds = {events.REGISTER, events.DEREGISTER}
        self._stop_events = desk.events.subscribe(self._come_or_gone, kinds)
        self.gateway = Gateway(
            desk,
            MQTT,
            self._tell,
            minimal=settings.minimal_integers,
            auto_observe=settings.auto_observe,
        )
        self._task = asyncio.create_task(self._run())

    async def stop(self) -> None:
        if self._task is None:
            return
        self._stop_events()
        # A connection that is cancelled half way leaves callbacks of its socket behind.
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._settled.wait(), SETTLE)
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        self._task = None
        await self.gateway.close()
        if self._broker:
            await self._broker.shutdown()

    def _configure(self, desk: DeskServer) -> None:
        settings, config = self.settings, desk.config
        for name, where, make in (
            ("lifetime_min", "min_lifetime", int),
            ("lifetime_max", "max_lifetime", int),
            ("qmode_time_window", "awake_window", float),
            ("queue_expiry", "queue_expiry", float),
        ):
            value = getattr(settings, name)
            if value is not None:
                setattr(config, where, make(duration(value, name)))
        desk.server.lifetimes = config.min_lifetime, config.max_lifetime
        desk.server.awake_window = config.awake_window
        if config.min_lifetime > config.max_lifetime:
            raise ConfigError("mqtt.lifetime_min is larger than mqtt.lifetime_max")
        before = desk.server.admit

        def admit(endpoint: str, query: dict) -> str | None:
            return admitted(query) or (before(endpoint, query) if before else None)

        desk.server.admit = admit
        desk.server.locate = lambda endpoint: ("rd", endpoint)  # as EMQX
        if settings.xml_dir:
            folder = Path(settings.xml_dir)
            if not folder.is_dir():
                raise ConfigError(f"mqtt.xml_dir: there is no folder {folder}")
            for path in sorted(folder.glob("*.xml")):
                try:
                    desk.save_object_xml(path.name, path.read_bytes())
                except (Bad, OSError) as error:
                    raise ConfigError(f"mqtt.xml_dir: {error}") from None

    # Out

    def _tell(self, channel: str, endpoint: str, message: dict) -> None:
        payload = json.dumps(message, separators=(",", ":"))
        self._put(("publish", self.topics.of(channel, endpoint), payload))

    def _come_or_gone(self, event: events.Event) -> None:
        name = escaped(event.endpoint)
        if event.kind == events.REGISTER:
            self._names[name] = event.endpoint
            self._put(("subscribe", self.topics.of(COMMAND, event.endpoint)))
        elif self._names.pop(name, None):
            self._put(("unsubscribe", self.topics.of(COMMAND, event.endpoint)))

    def _put(self, action: tuple) -> None:
        self._waiting.append(action)
        self._more.set()

    async def _send(self, client: aiomqtt.Client) -> None:
        while True:
            await self._more.wait()
            self._more.clear()
            while self._waiting:
                what, topic, *payload = self._waiting[0]
                try:
                    if what == "publish":
                        await client.publish(topic, payload[0], qos=self.settings.qos)
                    elif what == "subscribe":
                        await client.subscribe(topic, qos=self.settings.qos)
                    else:
                        await client.unsubscribe(topic)
                except ValueError as error:
                    # No connection helps a topic that MQTT does not allow, such as one that is too long.
                    _log.error("%s %s: %s", what, topic, error)
                self._waiting.popleft()

    # The connection, and in

    async def _run(self) -> None:
        wait = RETRY_FIRST
        while True:
            try:
                self._settled.clear()
                async with self._client() as client:
                    self._settled.set()
                    wait = RETRY_FIRST
                    await self._talk(client)
            except aiomqtt.MqttError as error:
                if self._protocol == V5 and any(text in str(error) for text in UNSUPPORTED):
                    self._protocol = V311
                    continue
                _log.warning("no connection to the broker: %s", error)
            except OSError as error:
                _log.warning("no connection to the broker: %s", error)
            finally:
                self._settled.set()
                self.connected.clear()
            await asyncio.sleep(wait)
            wait = min(2 * wait, RETRY_MOST)

    def _client(self) -> aiomqtt.Client:
        host, port = self.settings.host_and_port()
        return aiomqtt.Client(
            host,
            port,
            protocol=aiomqtt.ProtocolVersion(self._protocol),
            tls_context=self._tls,
            timeout=10,
            **self.settings.credentials(),
        )

    async def _talk(self, client: aiomqtt.Client) -> None:
        """Subscribe for who is registered, then both ways until the connection is lost."""
        for endpoint in list(self._names.values()):
            await client.subscribe(self.topics.of(COMMAND, endpoint), qos=self.settings.qos)
        self.connected.set()
        self._more.set()
        sending = asyncio.create_task(self._send(client))
        receiving = asyncio.create_task(self._receive(client))
        try:
            done, _ = await asyncio.wait({sending, receiving}, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            for task in (sending, receiving):
                task.cancel()
            await asyncio.gather(sending, receiving, return_exceptions=True)

    async def _receive(self, client: aiomqtt.Client) -> None:
        async for message in client.messages:
            endpoint = self.topics.endpoint(str(message.topic), self._names)
            if endpoint is None:
                continue  # it has just de-registered
            properties = message.properties
            expiry = getattr(properties, "MessageExpiryInterval", None)
            try:
                command = emqx.parse(bytes(message.payload or b""))
                self.gateway.run(endpoint, command, expiry)
            except emqx.BadCommand as error:
                self._tell(RESPONSE, endpoint, emqx.refusal(error))

    async def wait_connected(self, timeout: float = 10.0) -> None:
        """TimeoutError where there is no connection in time."""
        async with asyncio.timeout(timeout):
            await self.connected.wait()
