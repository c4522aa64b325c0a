# Values in Leshan's JSON: nodes of objects, instances and resources, both ways
# SPDX-License-Identifier: MIT
"""A node is `{"kind": "singleResource", "id": 14, "type": "string", "value": "x"}`; others are multiResource (`values`),
resourceInstance, instance (`resources`) and obj (`instances`). Integers and floats are text, Opaque is hexadecimal,
Time epoch milliseconds, an Objlnk `{"objectId", "objectInstanceId"}`.
"""

from __future__ import annotations

import binascii
import math

from . import formats, values
from .model import Model, ids

TYPES = {
    "String": "string",
    "Integer": "integer",
    "Unsigned Integer": "unsigned_integer",
    "Float": "float",
    "Boolean": "boolean",
    "Opaque": "opaque",
    "Time": "time",
    "Objlnk": "objlnk",
    "Corelnk": "corelnk",
}
_KINDS = {name: kind for kind, name in TYPES.items()}
MS = 1000
NOBODY = 65535  # an Objlnk to nothing is 65535:65535


class BadNode(ValueError):
    """JSON that is no node, or none of its path; str() says why."""


# To JSON


def node(path: str, value, model: Model) -> dict:
    """The node at a path. `value` is a scalar or {number: ...}, as formats.decode() gives it."""
    numbers = ids(path)
    if len(numbers) == 1:
        inner = [node(f"{path}/{iid}", below, model) for iid, below in value.items()]
        return {"kind": "obj", "id": numbers[0], "instances": inner}
    if len(numbers) == 2:
        inner = [node(f"{path}/{rid}", below, model) for rid, below in value.items()]
        return {"kind": "instance", "id": numbers[1], "resources": inner}
    made = {"id": numbers[-1]}
    if isinstance(value, dict):
        kind = _kind(f"{path}/0", next(iter(value.values()), ""), model)
        shown = {str(n): scalar(f"{path}/{n}", below, kind) for n, below in value.items()}
        return {"kind": "multiResource", **made, "type": TYPES[kind], "values": shown}
    kind = _kind(path, value, model)
    made |= {"type": TYPES[kind], "value": scalar(path, value, kind)}
    return {"kind": "singleResource" if len(numbers) == 3 else "resourceInstance", **made}


def _kind(path: str, value, model: Model) -> str:
    return model.type(path) or formats.kind_of(value)


def scalar(path: str, value, kind: str):
    """One value; a secret is hidden."""
    if values.secret(path):
        return values.HIDDEN
    if isinstance(value, bytes):
        return value.hex()
    if kind == "Time" and isinstance(value, (int, float)) and not isinstance(value, bool):
        return int(value * MS) if math.isfinite(value) else str(value)
    if kind == "Objlnk":
        oid, _, iid = str(value).partition(":")
        return {"objectId": _number(oid), "objectInstanceId": _number(iid)}
    if isinstance(value, bool):
        return value
    return str(value)


def _number(text: str) -> int:
    return int(text) if text.isdecimal() else NOBODY


# From JSON


def value_of(path: str, given, model: Model):
    """The value that a node means for a path; BadNode where it is none.

    `kind` and `type` may be missing: then the definition says what it is.
    """
    if not isinstance(given, dict):
        raise BadNode("a node is no JSON object")
    numbers = ids(path)
    if len(numbers) == 1:
        inner = _list(given, "instances")
        return {number_of(n): value_of(f"{path}/{number_of(n)}", n, model) for n in inner}
    if len(numbers) == 2:
        inner = _list(given, "resources")
        if isinstance(inner, dict):
            inner = [
                {"id": key, **below} for key, below in inner.items() if isinstance(below, dict)
            ]
        return {number_of(n): value_of(f"{path}/{number_of(n)}", n, model) for n in inner}
    kind = _given_kind(path, given, model)
    if "values" in given:
        if not isinstance(given["values"], dict) or len(numbers) > 3:
            raise BadNode("values is no object of resource instances")
        found = {}
        for number, value in given["values"].items():
            found[number_of({"id": number})] = _scalar(kind, value)
        return found
    if "value" not in given:
        raise BadNode(f"the node of {path} has no value")
    return _scalar(kind, given["value"])


def _given_kind(path: str, given: dict, model: Model) -> str:
    name = given.get("type")
    if name is None:
        return model.type(path) or formats.kind_of(given.get("value", ""))
    kind = _KINDS.get(name.lower()) if isinstance(name, str) else None
    if kind is None:
        raise BadNode(f"type {name!r} is none of {', '.join(_KINDS)}")
    return kind


def _list(given: dict, name: str):
    inner = given.get(name, [])
    if not isinstance(inner, (list, dict)):
        raise BadNode(f"{name} is no array of nodes")
    return inner


def number_of(given) -> int:
    """The id of a node; BadNode where it has none."""
    number = given.get("id") if isinstance(given, dict) else None
    if isinstance(number, str) and number.isdecimal():
        number = int(number)
    if isinstance(number, bool) or not isinstance(number, int) or not 0 <= number < NOBODY:
        raise BadNode(f"id is {number!r}, not a number from 0 to {NOBODY - 1}")
    return number


def _scalar(kind: str, value):
    try:
        return _READERS.get(kind, _text)(value)
    except (TypeError, ValueError, KeyError, OverflowError, binascii.Error):
        raise BadNode(f"{value!r} is no {TYPES[kind]}") from None


def _text(value) -> str:
    if isinstance(value, (dict, list)) or value is None:
        raise ValueError
    return str(value)


def _integer(value) -> int:
    if isinstance(value, bool) or isinstance(value, float) and not value.is_integer():
        raise ValueError
    return int(value)


def _boolean(value) -> bool:
    return {"true": True, "false": False, "1": True, "0": False}[str(value).lower()]


def _time(value) -> int:
    return _integer(value) // MS


def _float(value) -> float:
    if isinstance(value, bool):
        raise ValueError
    return float(value)


def _objlnk(value) -> str:
    if isinstance(value, str):
        oid, iid = value.split(":")
    else:
        oid, iid = value["objectId"], value["objectInstanceId"]
    pair = _integer(oid), _integer(iid)
    if not all(0 <= number <= NOBODY for number in pair):
        raise ValueError
    return f"{pair[0]}:{pair[1]}"


_READERS = {
    "Integer": _integer,
    "Unsigned Integer": _integer,
    "Float": _float,
    "Boolean": _boolean,
    "Opaque": lambda value: bytes.fromhex(value),
    "Time": _time,
    "Objlnk": _objlnk,
}
