# Bootstrap configurations in Leshan's JSON, as those of the desk server
# SPDX-License-Identifier: MIT
"""Leshan names what is written to Security, Server and Access Control; here it becomes objects by number.

{"toDelete": ["/0", "/1"], "security": {"0": {"uri", "bootstrapServer", "securityMode", "publicKeyOrId": [bytes],
 "serverPublicKey", "secretKey", "serverId"}}, "servers": {"0": {"shortId", "lifetime", "binding"}}, "acls": {...}}
"""

from __future__ import annotations

MODES = {"PSK": 0, "RPK": 1, "X509": 2, "NO_SEC": 3, "EST": 4}
SECURITY, SERVER, ACCESS_CONTROL = "0", "1", "2"
BYTE = 255
MAX_ID = 65535
# Leshan's name: resource, and how its value is read.
SECURITY_RESOURCES = {
    "uri": (0, "text"),
    "bootstrapServer": (1, "flag"),
    "securityMode": (2, "mode"),
    "publicKeyOrId": (3, "bytes"),
    "serverPublicKey": (4, "bytes"),
    "secretKey": (5, "bytes"),
    "serverId": (10, "number"),
    "clientOldOffTime": (11, "number"),
    "bootstrapServerAccountTimeout": (12, "number"),
}
SERVER_RESOURCES = {
    "shortId": (0, "number"),
    "lifetime": (1, "number"),
    "defaultMinPeriod": (2, "number"),
    "defaultMaxPeriod": (3, "number"),
    "disableTimeout": (5, "number"),
    "notifIfDisabled": (6, "flag"),
    "binding": (7, "binding"),
}
ACL_RESOURCES = {
    "objectId": (0, "number"),
    "objectInstanceId": (1, "number"),
    "acls": (2, "rights"),
    "accessControlOwner": (3, "number"),
}
# What Leshan's configurations have beside these, with nothing to write for it.
IGNORED = {
    "smsSecurityMode",
    "smsBindingKeyParam",
    "smsBindingKeySecret",
    "serverSmsNumber",
    "certificateUsage",
    "matchingType",
    "sni",
    "cipherSuite",
    "oscoreSecurityMode",
    "trigger",
    "preferredTransport",
    "muteSend",
    "apnLink",
}


class BadBootstrap(ValueError):
    """A configuration that is none; str() names the key."""


def account(given: dict) -> dict:
    """The desk server's configuration (accounts.py) of Leshan's; BadBootstrap for what is wrong."""
    if given.get("oscore"):
        raise BadBootstrap("oscore: OSCORE is not served")
    objects = {
        SECURITY: _instances(given, "security", SECURITY_RESOURCES),
        SERVER: _instances(given, "servers", SERVER_RESOURCES),
        ACCESS_CONTROL: _instances(given, "acls", ACL_RESOURCES),
    }
    made: dict = {"objects": {oid: inner for oid, inner in objects.items() if inner}}
    delete = given.get("toDelete") or []
    if not isinstance(delete, list) or not all(isinstance(path, str) for path in delete):
        raise BadBootstrap("toDelete is no array of paths")
    names = {SECURITY: "clearSecurityObjects", SERVER: "clearServerObjects"}
    names[ACCESS_CONTROL] = "clearAclObjects"
    made |= {name: False for name in names.values()}
    for path in delete:
        oid, _, rest = path.strip("/").partition("/")
        if path == "/":
            made |= {name: True for name in names.values()}
        elif oid in names and not rest:
            made[names[oid]] = True
        elif oid.isdecimal() and rest.isdecimal():
            made["objects"].setdefault(oid, {})[rest] = None
        else:
            raise BadBootstrap(f"toDelete: {path!r} is no object of an account, nor an instance")
    return made


def without_keys(given: dict) -> dict:
    """The configuration as it may be shown."""
    security = given.get("security") or {}
    shown = {
        number: {key: [] if key == "secretKey" else value for key, value in entry.items()}
        for number, entry in security.items()
    }
    return {**given, "security": shown}


def _instances(given: dict, name: str, resources: dict) -> dict:
    table = given.get(name) or {}
    if not isinstance(table, dict):
        raise BadBootstrap(f"{name} is no object of instances")
    made = {}
    for number, entry in table.items():
        if not number.isdecimal() or int(number) >= MAX_ID or not isinstance(entry, dict):
            raise BadBootstrap(f"{name}: {number!r} is no instance with resources")
        inner = {}
        for key, value in entry.items():
            if value is None or key in IGNORED and key not in resources:
                continue
            if key not in resources:
                raise BadBootstrap(f"{name}.{number}: unknown key {key!r}")
            rid, kind = resources[key]
            try:
                inner[str(rid)] = _READERS[kind](value)
            except (TypeError, ValueError, KeyError):
                raise BadBootstrap(f"{name}.{number}.{key} is {value!r}, no {kind}") from None
        made[number] = inner
    return made


def _text(value) -> str:
    if not isinstance(value, str):
        raise TypeError
    return value


def _flag(value) -> bool:
    if not isinstance(value, bool):
        raise TypeError
    return value


def _number(value) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError
    return value


def _bytes(value) -> str:
    """Leshan's bytes are signed or unsigned numbers; here they are hexadecimal text."""
    return bytes(_number(each) & BYTE for each in value).hex()


def _mode(value) -> int:
    return MODES[value] if isinstance(value, str) else _number(value)


def _binding(value) -> str:
    """`"U"`, or Leshan's list of modes, `["U"]`."""
    return "".join(_text(each) for each in value) if isinstance(value, list) else _text(value)


def _rights(value) -> dict:
    return {str(int(ssid)): _number(rights) for ssid, rights in value.items()}


_READERS = {
    "text": _text,
    "flag": _flag,
    "number": _number,
    "bytes": _bytes,
    "mode": _mode,
    "binding": _binding,
    "rights": _rights,
}
