# The desk server as one object: everything is started from a Config, and ended together.
# SPDX-License-Identifier: MIT
"""async with DeskServer(Config.load("desk.toml"), parts=[...]) as desk: ...

A part is an object with `async start(desk)` and `async stop()`: the MQTT gateway, REST and page. Parts
are started last and stopped first.
"""

from __future__ import annotations

from typing import Protocol, Self

from .accounts import Accounts
from .config import Config
from .core import Server
from .events import EventHub
from .firmware import Firmware
from .inventory import Inventory
from .model import Model
from .operations import Operations
from .store import Store


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

    def __init__(self, config: Config | None = None, parts: list[Part] | tuple[Part, ...] = ()):
        raise NotImplementedError

    async def start(self) -> Self:
        """Open the store, listen, take the registrations of the last run up again, start the parts.

        OSError or ConfigError when an address cannot be used; nothing stays open then.
        """
        raise NotImplementedError

    async def stop(self) -> None:
        """End parts, listeners, store; registrations stay in the store. Twice is once."""
        raise NotImplementedError

    def uris(self) -> dict[str, str]:
        """Address of the first listener of each scheme, as devices are told it: {"coap": "coap://10.0.0.2:5683"}."""
        raise NotImplementedError

    def endpoint_view(self, name: str) -> dict | None:
        """What is known of an endpoint, for programs: without keys; None when it is unknown.

        {"endpoint", "status", "lastSeen" (epoch seconds), "allowNosec", "coapTimeout", "bootstrapTimeout",
        "missingAfter", "identities": [{"identity", "kind"}], "thumbprints", "notes", "bootstrap": bool,
        "queued": number of commands, "observations": [{"token", "paths", "composite"}],
        "registration": None or {"id", "location", "address", "listener", "secure", "credentials", "identity",
        "lifetime", "version", "binding", "queue", "sms", "root", "links", "formats", "registered", "updated", "query"}}
        """
        raise NotImplementedError

    def endpoints_view(self) -> list[dict]:
        """endpoint_view() of every endpoint, by name."""
        raise NotImplementedError

    def put_endpoint(self, name: str, settings: dict) -> None:
        """Make or change an endpoint from JSON; ConfigError for what is wrong.

        {"identity", "key" (hexadecimal), "thumbprints": [hexadecimal], "allowNosec", "coapTimeout",
        "bootstrapTimeout", "missingAfter", "bootstrap": configuration table or None, "notes"}, each optional.
        """
        raise NotImplementedError

    def remove_endpoint(self, name: str) -> bool:
        """Forget an endpoint with registration, credentials, values, queue."""
        raise NotImplementedError

    def object_xmls(self) -> dict[str, list[dict]]:
        """{file name: [{"id", "name", "version"}]} of the definitions that were added."""
        raise NotImplementedError

    def save_object_xml(self, name: str, content: bytes) -> list[int]:
        """Add or replace definitions: the object ids; tools.objects.Bad ("FILE:LINE: message") for bad XML."""
        raise NotImplementedError

    def remove_object_xml(self, name: str) -> bool:
        """Remove definitions again; those of tools/model.json come back."""
        raise NotImplementedError

    def authorities(self) -> dict[str, str]:
        """{name: subject} of the certificate authorities whose clients may connect."""
        raise NotImplementedError

    def add_authority(self, name: str, pem: bytes) -> None:
        """ConfigError when it is no CA certificate."""
        raise NotImplementedError

    def remove_authority(self, name: str) -> bool:
        raise NotImplementedError
