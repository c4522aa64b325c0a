# What outlives a restart, in one SQLite file: endpoints, registrations, observations, queued commands, values, accounts.
# SPDX-License-Identifier: MIT
"""Store is synchronous, and each call is one transaction: what it returned from is on disk.

Records are dataclasses; a record got from the store is a copy, and put() writes it back whole.
"""

from __future__ import annotations

import dataclasses
import json
import os
import sqlite3
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from . import values

SCHEMA_VERSION = 1
MEMORY = ":memory:"
OWNER_ONLY = 0o600
# Which credentials a session was authenticated by.
PRIMARY, ALTERNATE, NONE = "primary", "alternate", "none"
# States of an endpoint.
UNKNOWN, CONNECTED, REGISTERED, SLEEPING, MISSING = (
    "unknown",  # never registered, or de-registered
    "connected",  # registered, and reachable as far as is known
    "registered",  # registered; the connection is lost, or the last request was not answered
    "sleeping",  # registered in queue mode, and the awake window is over
    "missing",  # not heard of for `missing_after`, or its lifetime is over
)

SCHEMA = """
CREATE TABLE endpoint (name TEXT PRIMARY KEY, record TEXT NOT NULL);
CREATE TABLE credential (
    identity TEXT PRIMARY KEY, endpoint TEXT NOT NULL, kind TEXT NOT NULL, key BLOB NOT NULL
);
CREATE INDEX credential_endpoint ON credential (endpoint);
CREATE TABLE registration (
    location TEXT PRIMARY KEY, endpoint TEXT NOT NULL UNIQUE, record TEXT NOT NULL
);
CREATE TABLE observation (
    endpoint TEXT NOT NULL, token TEXT NOT NULL, record TEXT NOT NULL, PRIMARY KEY (endpoint, token)
);
CREATE TABLE command (
    number INTEGER PRIMARY KEY AUTOINCREMENT, endpoint TEXT NOT NULL, created REAL NOT NULL,
    expires REAL, record TEXT NOT NULL
);
CREATE INDEX command_endpoint ON command (endpoint, number);
CREATE TABLE value (
    endpoint TEXT NOT NULL, path TEXT NOT NULL, value TEXT NOT NULL, time REAL NOT NULL,
    PRIMARY KEY (endpoint, path)
) WITHOUT ROWID;
CREATE TABLE document (kind TEXT NOT NULL, name TEXT NOT NULL, content BLOB NOT NULL,
    PRIMARY KEY (kind, name));
"""


class StoreError(ValueError):
    """A record that cannot be stored: an identity of another endpoint, a queue that is full."""


@dataclass
class Endpoint:
    """A client that is known, registered or not.

    name                endpoint name
    thumbprints         SHA-256 of certificates, hexadecimal, that authenticate it
    allow_nosec         may it register without security although it has credentials?
    coap_timeout, bootstrap_timeout, missing_after   seconds; None is the configuration's
    bootstrap           its own bootstrap configuration (accounts.py); None is the server's
    xml_names           object definitions of its own: not used yet by the server itself
    last_seen           epoch seconds of its last message, 0 is never
    status              UNKNOWN, CONNECTED, REGISTERED, SLEEPING, MISSING
    notes               anything that a user wants to keep with it
    Identities and keys are credentials of the store, not part of this record.
    """

    name: str
    thumbprints: list[str] = field(default_factory=list)
    allow_nosec: bool = False
    coap_timeout: float | None = None
    bootstrap_timeout: float | None = None
    missing_after: float | None = None
    bootstrap: dict | None = None
    last_seen: float = 0.0
    status: str = UNKNOWN
    notes: str = ""


@dataclass
class Credential:
    """An identity and its pre-shared key. `kind` is PRIMARY (its own) or ALTERNATE (issued by a bootstrap)."""

    identity: str
    endpoint: str
    key: bytes = field(repr=False)
    kind: str = PRIMARY


@dataclass
class Registration:
    """A registration as the client made it, and where its messages come from.

    location      segments of the path that the server gave it
    address       host and port of the client, of the last message
    listener      URI of the listener that it came to: "coaps://127.0.0.1:5684"
    secure        "nosec", "psk" or "x509"
    credentials   PRIMARY, ALTERNATE or NONE
    identity      PSK identity or SHA-256 thumbprint of the certificate
    query         every pair of the Register request, as text, with what Updates changed
    root          the alternate path: "" or "/lwm2m"
    links         {path: {attribute: text}} of objects and instances
    formats       content formats that the client names (ct=)
    registered, updated   epoch seconds
    """

    endpoint: str
    location: tuple[str, ...] = ()
    address: tuple[str, int] = ("", 0)
    listener: str = ""
    secure: str = "nosec"
    credentials: str = NONE
    identity: str = ""
    lifetime: int = 86400
    version: str = "1.0"
    binding: str = "U"
    queue: bool = False
    sms: str = ""
    query: dict[str, str] = field(default_factory=dict)
    root: str = ""
    links: dict[str, dict[str, str]] = field(default_factory=dict)
    formats: list[int] = field(default_factory=list)
    registered: float = 0.0
    updated: float = 0.0

    @property
    def expires(self) -> float:
        """Epoch seconds; infinity for lifetime 0."""
        return self.updated + self.lifetime if self.lifetime else float("inf")

    @property
    def id(self) -> str:
        """The last segment of the location: Leshan's registrationId."""
        return self.location[-1] if self.location else ""


@dataclass
class Observed:
    """A running observation.

    token        hexadecimal
    paths        one path, or those of a composite observation
    accept       content format that was asked for, or None
    order        the last Observe option
    """

    endpoint: str
    token: str
    paths: list[str]
    composite: bool = False
    accept: int | None = None
    order: int = 0
    context: object = None
    since: float = 0.0


@dataclass
class Command:
    """An operation that waits for its endpoint to be reachable.

    operation   name of a method of Operations: "read", "writeMulti", ...
    arguments   its arguments, JSON with tagged bytes (values.py)
    options     its options as JSON
    paths       what it is about, for the events
    expires     epoch seconds, None is never
    """

    endpoint: str
    operation: str
    arguments: dict
    options: dict = field(default_factory=dict)
    paths: list[str] = field(default_factory=list)
    created: float = 0.0
    expires: float | None = None
    number: int = 0


class Store:
    """The file. Names of endpoints are compared as they are, byte by byte."""

    def __init__(self, path: str = MEMORY, queue_size: int = 1000):
        self.path, self.queue_size = path, queue_size
        try:
            if path != MEMORY and not os.path.exists(path):
                # It holds keys; SQLite's files beside it get the same mode.
                os.close(os.open(path, os.O_CREAT | os.O_RDWR, OWNER_ONLY))
            self._db = sqlite3.connect(path, isolation_level=None)
            self._db.execute("PRAGMA journal_mode=WAL")
            self._db.execute("PRAGMA synchronous=NORMAL")
            version = self._db.execute("PRAGMA user_version").fetchone()[0]
            if version == 0:
                self._db.executescript(
                    f"BEGIN; {SCHEMA} PRAGMA user_version={SCHEMA_VERSION}; COMMIT;"
                )
            elif version != SCHEMA_VERSION:
                raise StoreError(f"{path} has schema {version}, this program {SCHEMA_VERSION}")
        except (sqlite3.Error, OSError) as e:
            raise StoreError(f"{path}: {e}") from None

    def close(self) -> None:
        self._db.close()

    # Endpoints

    def endpoint(self, name: str) -> Endpoint | None:
        row = self._db.execute("SELECT record FROM endpoint WHERE name=?", (name,)).fetchone()
        return Endpoint(**json.loads(row[0])) if row else None

    def endpoints(self) -> list[Endpoint]:
        rows = self._db.execute("SELECT record FROM endpoint ORDER BY name")
        return [Endpoint(**json.loads(record)) for (record,) in rows]

    def put_endpoint(self, endpoint: Endpoint) -> None:
        record = json.dumps(dataclasses.asdict(endpoint))
        self._db.execute(
            "INSERT INTO endpoint VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET record=excluded.record",
            (endpoint.name, record),
        )

    def remove_endpoint(self, name: str) -> bool:
        """Forget it with all that belongs to it; was it there?"""
        with self._db:
            self._db.execute("BEGIN")
            for table in ("credential", "registration", "observation", "command", "value"):
                self._db.execute(f"DELETE FROM {table} WHERE endpoint=?", (name,))
            return self._db.execute("DELETE FROM endpoint WHERE name=?", (name,)).rowcount > 0

    # Credentials

    def credential(self, identity: str) -> Credential | None:
        row = self._db.execute(
            "SELECT identity, endpoint, key, kind FROM credential WHERE identity=?", (identity,)
        ).fetchone()
        return Credential(*row) if row else None

    def credentials(self, endpoint: str) -> list[Credential]:
        """The primary ones first."""
        rows = self._db.execute(
            "SELECT identity, endpoint, key, kind FROM credential WHERE endpoint=? "
            "ORDER BY kind DESC, rowid",
            (endpoint,),
        )
        return [Credential(*row) for row in rows]

    def put_credential(self, credential: Credential) -> None:
        """StoreError when the identity is another endpoint's."""
        known = self.credential(credential.identity)
        if known and known.endpoint != credential.endpoint:
            raise StoreError(f"identity {credential.identity!r} belongs to another endpoint")
        self._db.execute(
            "INSERT OR REPLACE INTO credential (identity, endpoint, kind, key) VALUES (?, ?, ?, ?)",
            (credential.identity, credential.endpoint, credential.kind, credential.key),
        )

    def remove_credential(self, identity: str) -> bool:
        done = self._db.execute("DELETE FROM credential WHERE identity=?", (identity,))
        return done.rowcount > 0

    def by_thumbprint(self, thumbprint: str) -> Endpoint | None:
        """The endpoint that a certificate with this SHA-256, lower case hexadecimal, authenticates."""
        for endpoint in self.endpoints():
            if thumbprint in endpoint.thumbprints:
                return endpoint
        return None

    # Registrations

    def registration(self, endpoint: str) -> Registration | None:
        row = self._db.execute(
            "SELECT record FROM registration WHERE endpoint=?", (endpoint,)
        ).fetchone()
        return _registration(row[0]) if row else None

    def registrations(self) -> list[Registration]:
        rows = self._db.execute("SELECT record FROM registration ORDER BY endpoint")
        return [_registration(record) for (record,) in rows]

    def put_registration(self, registration: Registration) -> None:
        """Takes the place of another one of the endpoint, whose observations stay until removed."""
        location = "/".join(registration.location)
        with self._db:
            self._db.execute("BEGIN")
            self._db.execute("DELETE FROM registration WHERE endpoint=?", (registration.endpoint,))
            self._db.execute(
                "INSERT INTO registration VALUES (?, ?, ?)",
                (location, registration.endpoint, json.dumps(dataclasses.asdict(registration))),
            )

    def remove_registration(self, endpoint: str) -> None:
        """With its observations; queued commands and values stay."""
        with self._db:
            self._db.execute("BEGIN")
            self._db.execute("DELETE FROM registration WHERE endpoint=?", (endpoint,))
            self._db.execute("DELETE FROM observation WHERE endpoint=?", (endpoint,))

    # Observations

    def observations(self, endpoint: str) -> list[Observed]:
        rows = self._db.execute(
            "SELECT record FROM observation WHERE endpoint=? ORDER BY rowid", (endpoint,)
        )
        return [Observed(**json.loads(record)) for (record,) in rows]

    def put_observation(self, observed: Observed) -> None:
        self._db.execute(
            "INSERT OR REPLACE INTO observation VALUES (?, ?, ?)",
            (observed.endpoint, observed.token, json.dumps(dataclasses.asdict(observed))),
        )

    def remove_observation(self, endpoint: str, token: str) -> bool:
        done = self._db.execute(
            "DELETE FROM observation WHERE endpoint=? AND token=?", (endpoint, token)
        )
        return done.rowcount > 0

    def remove_observations(self, endpoint: str) -> None:
        self._db.execute("DELETE FROM observation WHERE endpoint=?", (endpoint,))

    # Queued commands

    def commands(self, endpoint: str) -> list[Command]:
        """Those that wait for an endpoint, the oldest first; expired ones too."""
        rows = self._db.execute(
            "SELECT number, record FROM command WHERE endpoint=? ORDER BY number", (endpoint,)
        )
        return [_command(number, record) for number, record in rows]

    def put_command(self, command: Command) -> int:
        """Append it; its number. StoreError when the endpoint's queue is full."""
        waiting = self._db.execute(
            "SELECT count(*) FROM command WHERE endpoint=?", (command.endpoint,)
        ).fetchone()[0]
        if waiting >= self.queue_size:
            raise StoreError(f"{waiting} commands are queued for {command.endpoint} already")
        command.created = command.created or time.time()
        record = {k: v for k, v in dataclasses.asdict(command).items() if k != "number"}
        done = self._db.execute(
            "INSERT INTO command (endpoint, created, expires, record) VALUES (?, ?, ?, ?)",
            (command.endpoint, command.created, command.expires, values.dump(record)),
        )
        command.number = done.lastrowid
        return command.number

    def remove_command(self, number: int) -> bool:
        return self._db.execute("DELETE FROM command WHERE number=?", (number,)).rowcount > 0

    def take_expired(self, now: float) -> list[Command]:
        """Remove the commands whose time is over, of all endpoints."""
        rows = self._db.execute(
            "SELECT number, record FROM command WHERE expires IS NOT NULL AND expires <= ?", (now,)
        ).fetchall()
        self._db.executemany("DELETE FROM command WHERE number=?", [(n,) for n, _ in rows])
        return [_command(number, record) for number, record in rows]

    # Last-known values

    def put_values(
        self, endpoint: str, found: Iterable[tuple[str, object]], at: float | None = None
    ) -> None:
        """Keep (path, value) of resources and resource instances, unless a newer value is there."""
        at = time.time() if at is None else at
        with self._db:
            self._db.execute("BEGIN")
            self._db.executemany(
                "INSERT INTO value VALUES (?, ?, ?, ?) ON CONFLICT (endpoint, path) DO UPDATE "
                "SET value=excluded.value, time=excluded.time WHERE excluded.time >= time",
                [(endpoint, path, values.dump(value), at) for path, value in found],
            )

    def values(self, endpoint: str, below: str = "/") -> Iterator[tuple[str, object, float]]:
        """(path, value, epoch seconds) of what is known at and below a path."""
        rows = self._db.execute(
            "SELECT path, value, time FROM value WHERE endpoint=? ORDER BY path", (endpoint,)
        ).fetchall()
        below = below.rstrip("/")
        for path, value, at in rows:
            if path == below or path.startswith(below + "/"):
                yield path, values.load(value), at

    def remove_values(self, endpoint: str, below: str = "/") -> None:
        """Forget the values at and below a path: of an instance that is deleted."""
        below = below.rstrip("/")
        self._db.execute(
            "DELETE FROM value WHERE endpoint=? AND (path=? OR substr(path, 1, ?)=?)",
            (endpoint, below, len(below) + 1, below + "/"),
        )

    # Documents: object definitions, certificates of authorities, settings

    def documents(self, kind: str) -> dict[str, bytes]:
        rows = self._db.execute(
            "SELECT name, content FROM document WHERE kind=? ORDER BY name", (kind,)
        )
        return dict(rows.fetchall())

    def put_document(self, kind: str, name: str, content: bytes) -> None:
        self._db.execute("INSERT OR REPLACE INTO document VALUES (?, ?, ?)", (kind, name, content))

    def remove_document(self, kind: str, name: str) -> bool:
        done = self._db.execute("DELETE FROM document WHERE kind=? AND name=?", (kind, name))
        return done.rowcount > 0


def _registration(record: str) -> Registration:
    found = Registration(**json.loads(record))
    found.location, found.address = tuple(found.location), tuple(found.address)
    return found


def _command(number: int, record: str) -> Command:
    command = Command(**values.load(record))
    command.number = number
    return command
