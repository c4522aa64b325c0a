# Bootstrap accounts: the configuration that Tartabit's page describes, and what is written to a device for it.
# SPDX-License-Identifier: MIT
"""A configuration is a table, from JSON or TOML:

    {"clearSecurityObjects": true, "clearServerObjects": true, "clearAclObjects": true,
     "servers": [{"shortServerId": 99, "self": true, "secMode": "psk", "lifetime": 60,
                  "disableTimeout": 86400, "binding": "UQ"},
                 {"shortServerId": 7, "uri": "coaps://other.example", "secMode": "psk",
                  "identity": "me", "psk": "00112233445566778899aabbccddeeff"}],
     "acls": [{"objectId": 4, "instanceId": 0, "rules": {"99": "rwe"}, "owner": 65535}],
     "objects": {"3441": {"1": null, "10": {"105": "bootstrap value"}}}}

`self` is this server: its URI is filled in, and with secMode psk each client gets an identity and a key of its own.
`bootstrap` with `self` is the account of this bootstrap server, with the client's own (primary) credentials.
In `objects`, null deletes that object, instance or resource; an object that comes twice is merged. Opaque
values and keys are hexadecimal.
"""

from __future__ import annotations

import ipaddress
import json
import re
import socket
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import psutil

from .bootstrap import NOSEC, BootstrapConfig, Session
from .config import Config
from .credentials import StoredCredentials
from .dtls import MAX_KEY
from .events import BOOTSTRAP, Event, EventHub
from .model import ids, join
from .operations import from_json
from .store import PRIMARY, Store

if TYPE_CHECKING:
    from .core import Server

SECURITY, SERVER, ACCESS = 0, 1, 2  # objects
PSK = 0  # 0/x/2, besides NOSEC
MODES = {"nosec": NOSEC, "psk": PSK}
SCHEMES = {NOSEC: "coap", PSK: "coaps"}
RIGHTS = {"r": 1, "w": 2, "e": 4, "d": 8, "c": 16}  # 2/x/2
NO_OWNER = 65535  # 2/x/3: whoever provisions it
MAX_SHORT_ID = 65534
MAX_SECONDS = 0xFFFFFFFF
DEFAULT_LIFETIME = 86400
CLEAR = {
    "clearSecurityObjects": SECURITY,
    "clearServerObjects": SERVER,
    "clearAclObjects": ACCESS,
}
DEFAULT = {**dict.fromkeys(CLEAR, True), "servers": [{"shortServerId": 1, "self": True}]}


class AccountError(ValueError):
    """A configuration that cannot be used; str() names the key."""


@dataclass
class Entry:
    """One of `servers`, checked. mode None is what fits: psk for a client that came by coaps."""

    short_id: int = 0
    bootstrap: bool = False
    itself: bool = False
    uri: str = ""
    mode: int | None = None
    identity: str = ""
    key: bytes = field(default=b"", repr=False)
    lifetime: int = DEFAULT_LIFETIME
    disable_timeout: int | None = None
    binding: str = "U"


def loads(text: str | bytes) -> dict:
    """A configuration from JSON text; keys that come twice are merged. AccountError when it is no JSON."""
    try:
        return json.loads(text, object_pairs_hook=_merged)
    except (ValueError, RecursionError) as e:
        raise AccountError(f"no JSON: {e}") from None


def _merged(pairs) -> dict:
    table: dict = {}
    for key, value in pairs:
        table[key] = merge(table[key], value) if key in table else value
    return table


def merge(old, new):
    """Two tables as one, the newer wins; other values: the newer."""
    if not isinstance(old, dict) or not isinstance(new, dict):
        return new
    return {**old, **{k: merge(old[k], v) if k in old else v for k, v in new.items()}}


def _want(where: str, value, kind: type, least=None, most=None):
    names = {bool: "true or false", int: "a whole number", str: "a string", dict: "an object"}
    wrong = not isinstance(value, kind) or kind is not bool and isinstance(value, bool)
    if wrong:
        shown = "" if "psk" in where else f" {value!r}"
        raise AccountError(f"{where}:{shown} is not {names.get(kind, 'a list')}")
    if least is not None and not least <= value <= most:
        raise AccountError(f"{where}: {value!r} is not from {least} to {most}")
    return value


def entry(where: str, table) -> Entry:
    """A checked entry of `servers`."""
    _want(where, table, dict)
    for key in table:
        if key not in ENTRY_KEYS:
            known = ", ".join(ENTRY_KEYS)
            raise AccountError(f"{where}.{key} is unknown; known: {known}")
    made = Entry()
    for key, (name, kind, least, most) in ENTRY_KEYS.items():
        if table.get(key) is not None:
            setattr(made, name, _want(f"{where}.{key}", table[key], kind, least, most))
    if "secMode" in table:
        made.mode = MODES.get(made.mode)
        if made.mode is None:
            raise AccountError(f"{where}.secMode is {table['secMode']!r}, not nosec or psk")
    try:
        made.key = bytes.fromhex(table.get("psk") or "")
    except ValueError:
        raise AccountError(f"{where}.psk is not hexadecimal") from None
    if len(made.key) > MAX_KEY:
        raise AccountError(f"{where}.psk is longer than {MAX_KEY} bytes")
    _consistent(where, made)
    return made


ENTRY_KEYS = {
    "shortServerId": ("short_id", int, 1, MAX_SHORT_ID),
    "bootstrap": ("bootstrap", bool, None, None),
    "self": ("itself", bool, None, None),
    "uri": ("uri", str, None, None),
    "secMode": ("mode", str, None, None),
    "identity": ("identity", str, None, None),
    "psk": ("key", str, None, None),
    "lifetime": ("lifetime", int, 0, MAX_SECONDS),
    "disableTimeout": ("disable_timeout", int, 0, MAX_SECONDS),
    "binding": ("binding", str, None, None),
}


def _consistent(where: str, made: Entry) -> None:
    if not made.bootstrap and not made.short_id:
        raise AccountError(f"{where}.shortServerId is missing")
    if not re.fullmatch(r"[UTSNMH]+Q?S?", made.binding):
        raise AccountError(f"{where}.binding is {made.binding!r}, not one like U or UQ")
    if made.itself:
        if made.uri or made.identity or made.key:
            raise AccountError(f"{where}: with self there is no uri, identity or psk")
        return
    if not re.fullmatch(r"coaps?://[^\s/]+/?", made.uri, re.IGNORECASE):
        raise AccountError(f"{where}.uri is {made.uri!r}, not one like coap://host:5683")
    if made.mode is None:
        made.mode = PSK if made.identity or made.key else NOSEC
    if (made.mode == PSK) != made.uri.lower().startswith("coaps:"):
        raise AccountError(f"{where}: uri and secMode do not fit")
    if made.mode == PSK and not (made.identity and made.key):
        raise AccountError(f"{where}: secMode psk needs identity and psk")
    if made.mode == NOSEC and (made.identity or made.key):
        raise AccountError(f"{where}: secMode nosec has no identity or psk")


def acl(where: str, table) -> dict[int, object]:
    """The resources of an instance of object 2."""
    _want(where, table, dict)
    for key in table:
        if key not in ("objectId", "instanceId", "rules", "owner"):
            raise AccountError(f"{where}.{key} is unknown")
    oid = _want(f"{where}.objectId", table.get("objectId"), int, 1, MAX_SHORT_ID)
    iid = _want(f"{where}.instanceId", table.get("instanceId"), int, 0, NO_OWNER)
    owner = _want(f"{where}.owner", table.get("owner", NO_OWNER), int, 0, NO_OWNER)
    rules = {}
    for short_id, rights in _want(f"{where}.rules", table.get("rules", {}), dict).items():
        if not re.fullmatch(r"\d{1,5}", str(short_id)) or int(short_id) > MAX_SHORT_ID:
            raise AccountError(f"{where}.rules: {short_id!r} is no short server id")
        unknown = set(_want(f"{where}.rules.{short_id}", rights, str)) - set(RIGHTS)
        if unknown:
            raise AccountError(f"{where}.rules.{short_id}: {rights!r} is not of r, w, e, c, d")
        rules[int(short_id)] = sum(RIGHTS[right] for right in set(rights))
    return {0: oid, 1: iid, 2: rules, 3: owner}


@dataclass
class Plan:
    """A configuration, checked: what is cleared, written and deleted."""

    clear: list[int]
    servers: list[Entry]
    acls: list[dict[int, object]]
    delete: list[str]
    objects: dict[str, dict]


def plan(table, model) -> Plan:
    """Check a configuration; AccountError names the key."""
    _want("configuration", table, dict)
    for key in table:
        if key not in (*CLEAR, "servers", "acls", "objects"):
            raise AccountError(
                f"{key} is unknown; known: {', '.join(CLEAR)}, servers, acls, objects"
            )
    clear = [oid for key, oid in CLEAR.items() if _want(key, table.get(key, True), bool)]
    servers = [
        entry(f"servers[{n}]", each)
        for n, each in enumerate(_want("servers", table.get("servers", []), list))
    ]
    numbers = [each.short_id for each in servers if not each.bootstrap]
    if len(set(numbers)) < len(numbers):
        raise AccountError("servers: a shortServerId comes twice")
    if sum(each.bootstrap for each in servers) > 1:
        raise AccountError("servers: more than one has bootstrap")
    acls = [
        acl(f"acls[{n}]", each)
        for n, each in enumerate(_want("acls", table.get("acls", []), list))
    ]
    given = table.get("objects", {})
    for each in given if isinstance(given, list) else [given]:
        _want("objects", each, dict)
    if isinstance(given, list):
        merged: dict = {}
        for each in given:
            merged = merge(merged, each)
        given = merged
    delete, objects = _objects(given, model)
    return Plan(clear, servers, acls, delete, objects)


def _objects(given: dict, model) -> tuple[list[str], dict[str, dict]]:
    delete: list[str] = []
    objects: dict[str, dict] = {}
    for oid, instances in given.items():
        base = _below("", oid)
        if instances is None:
            delete.append(base)
            continue
        for iid, resources in _want(f"objects{base}", instances, dict).items():
            path = _below(base, iid)
            if resources is None:
                delete.append(path)
                continue
            for rid, value in _want(f"objects{path}", resources, dict).items():
                where = _below(path, rid)
                if value is None:
                    delete.append(where)
                    continue
                try:
                    made = from_json(where, value, model)
                except ValueError as e:
                    raise AccountError(f"objects: {e}") from None
                objects.setdefault(path, {})[ids(where)[-1]] = made
    return delete, objects


def _below(base: str, key) -> str:
    if not re.fullmatch(r"\d{1,5}", str(key)) or int(key) > NO_OWNER:
        raise AccountError(f"objects{base}: {key!r} is no id")
    return f"{base}/{int(key)}"


class Accounts:
    """Which configuration each endpoint gets: the hook's answer, its own, the server's, or the default account."""

    def __init__(
        self,
        config: Config,
        store: Store,
        hub: EventHub,
        credentials: StoredCredentials,
        server: Server,
    ):
        self._config, self._store, self._hub = config, store, hub
        self._credentials, self._server = credentials, server
        # async fn(endpoint, version) -> a configuration, or None for the stored ones
        self.hook: Callable[[str, str], Awaitable[dict | None]] | None = None
        if config.bootstrap is not None:
            self.check(config.bootstrap)

    def check(self, table: dict) -> None:
        """AccountError when a configuration (from JSON or TOML) cannot be used."""
        plan(table, self._server.model)

    def configuration(self, endpoint: str) -> dict:
        """The stored configuration of an endpoint: its own, the server's, or the default."""
        known = self._store.endpoint(endpoint)
        if known is not None and known.bootstrap is not None:
            return known.bootstrap
        return self._config.bootstrap if self._config.bootstrap is not None else DEFAULT

    async def answer(self, endpoint: str, query: dict, remote) -> BootstrapConfig:
        """core.Server.bootstrap_hook."""
        known = self._store.endpoint(endpoint)
        limit = known.bootstrap_timeout if known and known.bootstrap_timeout else None
        issued: set[str] = set()

        def done(succeeded: bool) -> None:
            if succeeded:
                self._credentials.confirm(endpoint, issued)
            else:
                self._credentials.withdraw(issued)

        async def prepare(session: Session) -> None:
            await self._prepare(session, remote, issued)

        return BootstrapConfig(
            delete=[], timeout=limit or self._config.bootstrap_timeout, prepare=prepare, done=done
        )

    async def _prepare(self, session: Session, remote, issued: set[str]) -> None:
        """Ask the device what it has, then whoever decides; fill in the steps."""
        found = await session.discover("/")
        links = found.value if found.ok and isinstance(found.value, dict) else {}
        version = next((a["lwm2m"] for a in links.values() if "lwm2m" in a), "1.0")
        self._hub.emit(Event(BOOTSTRAP, session.endpoint, {"version": version}, session))
        table = await self.hook(session.endpoint, version) if self.hook else None
        if table is None:
            table = self.configuration(session.endpoint)
        self._fill(session, plan(table, self._server.model), links, remote, issued)

    def _fill(self, session: Session, wanted: Plan, links, remote, issued: set[str]) -> None:
        config = session.config
        config.delete = [join([oid]) for oid in wanted.clear] + wanted.delete
        security = _taken(links, SECURITY, SECURITY in wanted.clear)
        servers = _taken(links, SERVER, SERVER in wanted.clear)
        access = _taken(links, ACCESS, ACCESS in wanted.clear)
        own = next((iid for iid, short in security.items() if short is None), None)
        if own is None:
            own = 0  # discovery is optional: the first one is the bootstrap server's, as a rule
            security.setdefault(0, None)
        for each in wanted.servers:
            iid = own if each.bootstrap else _instance(security, each.short_id)
            config.objects[f"/{SECURITY}/{iid}"] = self._security(session, each, remote, issued)
            if not each.bootstrap:
                iid = _instance(servers, each.short_id)
                config.objects[f"/{SERVER}/{iid}"] = _server(each)
        for each in wanted.acls:
            config.objects[f"/{ACCESS}/{_instance(access, None)}"] = each
        for path, resources in wanted.objects.items():
            config.objects[path] = {**config.objects.get(path, {}), **resources}

    def _security(self, session: Session, each: Entry, remote, issued: set[str]) -> dict:
        uri, mode, identity, key = each.uri, each.mode, each.identity, each.key
        if each.itself:
            secure = getattr(remote, "secure", "")
            mode = mode if mode is not None else PSK if secure else NOSEC
            uri = self.uri(SCHEMES[mode], "bootstrap" if each.bootstrap else "server", remote)
            if mode == PSK and each.bootstrap:
                identity, key = self._primary(session.endpoint)
            elif mode == PSK:
                made = self._credentials.issue(session.endpoint)
                issued.add(made.identity)
                identity, key = made.identity, made.key
        resources = {0: uri, 1: each.bootstrap, 2: mode, 3: identity.encode(), 4: b"", 5: key}
        return resources if each.bootstrap else {**resources, 10: each.short_id}

    def _primary(self, endpoint: str) -> tuple[str, bytes]:
        for each in self._store.credentials(endpoint):
            if each.kind == PRIMARY:
                return each.identity, each.key
        raise AccountError(f"{endpoint} has no credentials of its own for the bootstrap server")

    def uri(self, scheme: str, role: str, remote=None) -> str:
        """This server's address as a device is told it; AccountError without a listener for that."""
        for each in self._server.listening:
            if each.listener.scheme == scheme and role in each.listener.roles:
                host = self._config.advertise or host_for(each.listener.host, remote)
                host = f"[{host}]" if ":" in host else host
                return f"{scheme}://{host}:{each.listener.port}"
        raise AccountError(f"this server does not listen on {scheme} for the role {role}")


def host_for(listening: str, remote=None) -> str:
    """The address of this machine that a peer reaches it by; without a peer, that of the default route."""
    if listening not in ("", "::", "0.0.0.0"):
        return listening
    peer = remote.sockaddr[0].removeprefix("::ffff:") if remote is not None else "192.0.2.1"
    family = socket.AF_INET6 if ":" in peer else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.connect((peer, 9))  # a datagram socket sends nothing for that
            return probe.getsockname()[0]
    except OSError:
        # A bench without a router: the address of an interface is as good.
        return own_address(family) or ("::1" if family == socket.AF_INET6 else "127.0.0.1")


def own_address(family: int) -> str | None:
    """An address of this machine that others may reach: of an interface that is up, neither loopback nor link-local."""
    running = {name for name, state in psutil.net_if_stats().items() if state.isup}
    for name, addresses in sorted(psutil.net_if_addrs().items()):
        for each in addresses if name in running else ():
            if each.family != family:
                continue
            address = ipaddress.ip_address(each.address.partition("%")[0])
            if not address.is_loopback and not address.is_link_local:
                return str(address)
    return None


def _taken(links: dict, oid: int, cleared: bool) -> dict[int, int | None]:
    """{instance: short server id or None} of what stays on the device after the deletions."""
    found: dict[int, int | None] = {}
    for path, attributes in links.items():
        try:
            numbers = ids(path)
        except ValueError:
            continue
        if len(numbers) == 2 and numbers[0] == oid:
            text = attributes.get("ssid", "")
            found[numbers[1]] = int(text) if text.isascii() and text.isdecimal() else None
    if not cleared:
        return found
    # Delete leaves the bootstrap server's own account, the one without a short id.
    return {iid: None for iid, short in found.items() if short is None and oid == SECURITY}


def _instance(taken: dict[int, int | None], short_id: int | None) -> int:
    """The instance that an account goes to: the one that it has, or the first that is free."""
    for iid, known in taken.items():
        if short_id is not None and known == short_id:
            return iid
    free = next(n for n in range(NO_OWNER) if n not in taken)
    taken[free] = short_id
    return free


def _server(each: Entry) -> dict[int, object]:
    resources = {0: each.short_id, 1: each.lifetime, 6: True, 7: each.binding}
    if each.disable_timeout is not None:
        resources[5] = each.disable_timeout
    return dict(sorted(resources.items()))
