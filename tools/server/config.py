# What a desk server is started with: listeners, storage, limits; read from TOML or JSON, or made in Python.
# SPDX-License-Identifier: MIT
"""Config is checked as a whole when it is made; ConfigError names the key that is wrong.

config = Config.load("desk.toml")
config = Config(listeners=[Listener("coap", port=0), Listener("coaps", port=0)])
"""

from __future__ import annotations

import dataclasses
import ipaddress
import json
import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

SERVER, BOOTSTRAP = "server", "bootstrap"
PORTS = {"coap": 5683, "coaps": 5684, "http": 8080, "https": 8443}
MAX_PORT = 65535
# An awake queue mode client listens this long after its last message: MAX_TRANSMIT_WAIT of RFC 7252.
AWAKE_WINDOW = 93.0


class ConfigError(ValueError):
    """A configuration that cannot be used; str() names the key and what is allowed."""


@dataclass
class Listener:
    """One address to listen on.

    scheme      coap, coaps: for devices; http, https: the inventory's files, for downloads by devices
    host        address; loopback unless told otherwise, "::" is every address
    port        None is the usual one of the scheme, 0 a free one
    roles       of coap and coaps: "server" and "bootstrap", or one of them
    """

    scheme: str = "coap"
    host: str = "127.0.0.1"
    port: int | None = None
    roles: tuple[str, ...] = (SERVER, BOOTSTRAP)

    def __post_init__(self) -> None:
        if self.scheme not in PORTS:
            raise ConfigError(f"scheme is {self.scheme!r}, not one of {', '.join(PORTS)}")
        if self.port is None:
            self.port = PORTS[self.scheme]
        if not isinstance(self.port, int) or not 0 <= self.port <= MAX_PORT:
            raise ConfigError(f"port is {self.port!r}, not a number from 0 to {MAX_PORT}")
        if not isinstance(self.host, str):
            raise ConfigError(f"host is {self.host!r}, not an address")
        self.roles = tuple(self.roles)
        if not self.roles or set(self.roles) - {SERVER, BOOTSTRAP}:
            raise ConfigError(f"roles are {self.roles!r}, not of {SERVER}, {BOOTSTRAP}")

    @property
    def loopback(self) -> bool:
        """Is it reachable from this machine only?"""
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return self.host == "localhost"


@dataclass
class Config:
    """Everything that a desk server is started with.

    listeners           where it listens; an empty list is coap on loopback, the usual port
    database            SQLite file; ":memory:" forgets everything at the end
    inventory           folder of the files for downloads; None keeps them beside the database
    advertise           host or address that devices are told in URIs; "" is found out
    open                may endpoints that are not in the store register (over NoSec)?
    versions            enabler versions that may register; others get 4.12
    min_lifetime, max_lifetime  seconds; Register and Update outside them get 4.00
    coap_timeout        seconds to wait for an answer of a device
    bootstrap_timeout   seconds that one step of a bootstrap may take
    missing_after       seconds without a message until an endpoint counts as missing; 0 is never
    awake_window        seconds that a queue mode client listens after its last message
    queue_expiry        seconds that a queued command waits at most; 0 is for ever
    queue_size          queued commands of one endpoint at most
    certificate, private_key    PEM files of the server's own identity; without them one is made
    authorities         PEM files of certificate authorities whose clients may connect
    bootstrap           a configuration as bootstrap accounts have it (accounts.py); None is the
                        default account: this server itself
    keys                {identity: key in hexadecimal} that any endpoint may use over coaps
    endpoints           {endpoint: settings} as DeskServer.put_endpoint() takes them
    xml                 files, or folders of files, with object definitions
    tags                "_trace_" logs the firmware state machine
    ack_timeout         seconds to the first retransmission (RFC 7252 4.8)
    extra               tables for other parts, unread here: {"mqtt": {...}, "rest": {...}}
    """

    listeners: list[Listener] = field(default_factory=lambda: [Listener()])
    database: str = ":memory:"
    inventory: str | None = None
    advertise: str = ""
    open: bool = True
    versions: tuple[str, ...] = ("1.0", "1.1", "1.2")
    min_lifetime: int = 0
    max_lifetime: int = 0xFFFFFFFF
    coap_timeout: float = 30.0
    bootstrap_timeout: float = 30.0
    missing_after: float = 0.0
    awake_window: float = AWAKE_WINDOW
    queue_expiry: float = 0.0
    queue_size: int = 1000
    certificate: str | None = None
    private_key: str | None = None
    authorities: tuple[str, ...] = ()
    bootstrap: dict | None = None
    keys: dict[str, str] = field(default_factory=dict, repr=False)
    endpoints: dict[str, dict] = field(default_factory=dict, repr=False)
    xml: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    ack_timeout: float = 2.0
    extra: dict[str, dict] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name, kind in KINDS.items():
            value = getattr(self, name)
            if isinstance(value, bool) and bool not in kind or not isinstance(value, kind):
                raise ConfigError(f"{name} is {value!r}, not {kind[0].__name__}")
            if (
                not isinstance(value, (bool, str))
                and isinstance(value, (int, float))
                and value < 0
            ):
                raise ConfigError(f"{name} is {value!r}, below 0")
        for name in ("versions", "authorities", "xml", "tags"):
            value = getattr(self, name)
            if isinstance(value, str) or not all(isinstance(v, (str, Path)) for v in value):
                raise ConfigError(f"{name} is {value!r}, not a list of strings")
            setattr(self, name, tuple(str(v) for v in value))
        if self.min_lifetime > self.max_lifetime:
            raise ConfigError("min_lifetime is larger than max_lifetime")
        if bool(self.certificate) != bool(self.private_key):
            raise ConfigError("certificate and private_key belong together")
        for name in ("extra", "keys", "endpoints"):
            if not isinstance(getattr(self, name), dict):
                raise ConfigError(f"{name} is not a table")
        if self.bootstrap is not None and not isinstance(self.bootstrap, dict):
            raise ConfigError("bootstrap is not a table")

    @property
    def trace(self) -> bool:
        return "_trace_" in self.tags

    @classmethod
    def of(cls, table: dict) -> Self:
        """From a table as TOML and JSON give it; tables of unknown names go into `extra`."""
        if not isinstance(table, dict):
            raise ConfigError("the configuration is not a table")
        names = {f.name for f in dataclasses.fields(cls)}
        known = {k: v for k, v in table.items() if k in names}
        rest = {k: v for k, v in table.items() if k not in names}
        wrong = [k for k, v in rest.items() if not isinstance(v, dict)]
        if wrong:
            raise ConfigError(f"unknown key {wrong[0]!r}; known: {', '.join(sorted(names))}")
        if "listeners" in known:
            known["listeners"] = _listeners(known["listeners"])
        known["extra"] = {**known.get("extra", {}), **rest}
        return cls(**known)

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """From a file, TOML unless its name ends in .json."""
        return cls.of(read_table(path))


KINDS: dict[str, tuple[type, ...]] = {
    "listeners": (list, tuple),
    "database": (str,),
    "advertise": (str,),
    "open": (bool,),
    "min_lifetime": (int,),
    "max_lifetime": (int,),
    "coap_timeout": (float, int),
    "bootstrap_timeout": (float, int),
    "missing_after": (float, int),
    "awake_window": (float, int),
    "queue_expiry": (float, int),
    "queue_size": (int,),
    "ack_timeout": (float, int),
}


def _listeners(tables) -> list[Listener]:
    if not isinstance(tables, list) or not all(isinstance(t, dict) for t in tables):
        raise ConfigError("listeners is not a list of tables")
    names = {f.name for f in dataclasses.fields(Listener)}
    for table in tables:
        for key in table:
            if key not in names:
                raise ConfigError(f"unknown key {key!r} of a listener; known: {', '.join(names)}")
    return [Listener(**table) for table in tables]


def read_table(path: str | Path) -> dict:
    """A TOML or JSON file as a table; ConfigError with the file's name."""
    try:
        text = Path(path).read_text(encoding="utf-8")
        return json.loads(text) if Path(path).suffix == ".json" else tomllib.loads(text)
    except OSError as e:
        raise ConfigError(f"{path}: {e.strerror}") from None
    except ValueError as e:
        raise ConfigError(f"{path}: {e}") from None
