# Content formats on the host: text, opaque, TLV, CBOR, SenML and LwM2M JSON to and from Python values.
# SPDX-License-Identifier: MIT
"""encode() and decode() between payloads and values.

A value is a scalar for a resource, {resource instance: scalar} for a multiple one, {resource: ...}
for an object instance, {instance: ...} for an object. Objlnk is a string `"3:0"`, Opaque bytes,
Time an integer. ValueError is raised for payloads that do not fit their path or format.
"""

from __future__ import annotations

import base64
import binascii
import json
import math
import struct
import time
from datetime import datetime
from decimal import Decimal
from fractions import Fraction

import cbor2

from .model import Model, flatten, ids, join, nest

TEXT, LINK, OPAQUE, CBOR, SENML_JSON, SENML_CBOR = 0, 40, 42, 60, 110, 112
TLV, JSON, LWM2M_CBOR = 11542, 11543, 11544
SENML_ETCH_JSON, SENML_ETCH_CBOR = 320, 322
NAMES = {
    TEXT: "text",
    LINK: "link",
    OPAQUE: "opaque",
    CBOR: "cbor",
    SENML_JSON: "senml+json",
    SENML_CBOR: "senml+cbor",
    TLV: "tlv",
    JSON: "json",
    LWM2M_CBOR: "lwm2m+cbor",
}


def number(name: str | int) -> int:
    """Content format by number or by one of NAMES."""
    if isinstance(name, int) or name.isdecimal():
        return int(name)
    for key, value in NAMES.items():
        if value == name:
            return key
    raise ValueError(f"unknown format {name!r}; known: {', '.join(NAMES.values())}")


def kind_of(value) -> str:
    """The LwM2M type that fits a Python value when no model says it."""
    for python, kind in ((bool, "Boolean"), (int, "Integer"), (float, "Float"), (bytes, "Opaque")):
        if isinstance(value, python):
            return kind
    return "String"


INTEGERS = ("Integer", "Unsigned Integer", "Time")

# Text


def to_text(kind: str, value) -> str:
    """LwM2M Core 1.0.2, C.1: booleans 0 or 1, opaque in base64."""
    if kind == "Boolean":
        return str(int(value))
    if kind == "Opaque":
        return base64.b64encode(value).decode()
    return str(value)


def from_text(kind: str, text: str):
    if kind in ("Integer", "Unsigned Integer", "Time"):
        return int(text)
    if kind == "Float":
        return float(text)
    if kind == "Boolean":
        if text not in ("0", "1"):
            raise ValueError(f"Boolean is {text!r}, not 0 or 1")
        return text == "1"
    if kind == "Opaque":
        return base64.b64decode(text, validate=True)
    return text


# TLV: LwM2M Core 1.0.2, 6.4.3

OBJECT_INSTANCE, RESOURCE_INSTANCE, MULTIPLE, RESOURCE = range(4)


def to_bytes(kind: str, value) -> bytes:
    """A value as it stands in TLV and opaque payloads."""
    if kind in ("Integer", "Time", "Unsigned Integer"):
        for code in "BHIQ" if kind[0] == "U" else "bhiq":
            try:
                return struct.pack(">" + code, value)
            except struct.error:
                continue
        raise ValueError(f"{value!r} does not fit into {kind}")
    if kind == "Float":
        value = float(value)
        try:
            short = struct.pack(">f", value)
        except OverflowError:
            return struct.pack(">d", value)
        exact = math.isnan(value) or struct.unpack(">f", short)[0] == value
        return short if exact else struct.pack(">d", value)
    if kind == "Boolean":
        return bytes([bool(value)])
    if kind == "Objlnk":
        oid, instance = value.split(":")
        return int(oid).to_bytes(2, "big") + int(instance).to_bytes(2, "big")
    return value if isinstance(value, bytes) else str(value).encode()


def from_bytes(kind: str, raw: bytes):
    if kind in ("Integer", "Time", "Unsigned Integer"):
        if len(raw) not in (1, 2, 4, 8):
            raise ValueError(f"{kind} of {len(raw)} bytes")
        return int.from_bytes(raw, "big", signed=kind[0] != "U")
    if kind == "Float":
        if len(raw) not in (4, 8):
            raise ValueError(f"Float of {len(raw)} bytes")
        return struct.unpack(">f" if len(raw) == 4 else ">d", raw)[0]
    if kind == "Boolean":
        if raw not in (b"\0", b"\1"):
            raise ValueError(f"Boolean is {raw.hex()}")
        return raw == b"\1"
    if kind == "Objlnk":
        if len(raw) != 4:
            raise ValueError(f"Objlnk of {len(raw)} bytes")
        return ":".join(str(n) for n in struct.unpack(">HH", raw))
    if kind in ("String", "Corelnk"):
        return raw.decode()
    return raw


def record(kind: int, number: int, value: bytes) -> bytes:
    """One TLV record."""
    head, length = kind << 6, len(value)
    size = b"" if length < 8 else length.to_bytes((length.bit_length() + 7) // 8, "big")
    if len(size) > 3:
        raise ValueError("more than 16 MB in a TLV record")
    head |= (number > 255) << 5 | (len(size) << 3 if size else length)
    return bytes([head]) + number.to_bytes(1 + (number > 255), "big") + size + value


def records(raw: bytes):
    """(kind, id, value) of each TLV record."""
    pos = 0
    while pos < len(raw):
        head = raw[pos]
        wide, size = 1 + (head >> 5 & 1), head >> 3 & 3
        start = pos + 1 + wide + size
        length = int.from_bytes(raw[pos + 1 + wide : start], "big") if size else head & 7
        if start + length > len(raw):
            raise ValueError(f"TLV record at byte {pos} is cut off")
        number = int.from_bytes(raw[pos + 1 : pos + 1 + wide], "big")
        yield head >> 6, number, raw[start : start + length]
        pos = start + length


def to_tlv(path: str, value, model: Model) -> bytes:
    def node(path, value):
        depth, last = len(ids(path)), ids(path)[-1]
        if depth < 3:
            return record(OBJECT_INSTANCE, last, inside(path, value))
        if isinstance(value, dict):
            return record(MULTIPLE, last, inside(path, value))
        kind = model.type(path) or kind_of(value)
        return record(RESOURCE if depth == 3 else RESOURCE_INSTANCE, last, to_bytes(kind, value))

    def inside(path, value):
        return b"".join(node(f"{path}/{key}", v) for key, v in value.items())

    return node(path, value) if len(ids(path)) > 2 else inside(path, value)


def from_tlv(path: str, raw: bytes, model: Model):
    """Values below the path; a record for the path itself may wrap them."""
    flat: dict[str, object] = {}
    start = ids(path)

    def walk(base: tuple, raw: bytes):
        for kind, number, value in records(raw):
            depth = (2, 4, 3, 3)[kind]
            where = (*base, number)
            if len(base) >= depth and base[depth - 1] == number:
                where = base[:depth]
            if len(where) != depth:
                raise ValueError(f"TLV record of kind {kind} does not belong into {join(base)}")
            if kind in (OBJECT_INSTANCE, MULTIPLE):
                walk(where, value)
            else:
                flat[join(where)] = from_bytes(model.type(join(where)), value)

    # Instances of an object without the record around them: its only instance.
    kinds = {kind for kind, _, _ in records(raw)}
    walk((*start, 0) if len(start) == 1 and kinds & {MULTIPLE, RESOURCE} else start, raw)
    return nest(path, flat)


# SenML (RFC 8428, LwM2M Core 1.1.1, 7.4.4 and 7.4.5) and LwM2M JSON (1.0.2, 6.4.4)

RELATIVE_TIME = 1 << 28
_LABELS = {-2: "bn", -3: "bt", -5: "bv", 0: "n", 2: "v", 3: "vs", 4: "vb", 6: "t", 8: "vd"}
_CODES = {name: code for code, name in _LABELS.items()}


def _unbase64(text: str) -> bytes:
    return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)


def to_pack(path: str, value, model: Model) -> list[dict]:
    """SenML records with names as labels, opaque still as bytes."""
    pack = []
    for name, leaf in flatten(path, value):
        kind = model.type(name) or kind_of(leaf)
        label = {"Boolean": "vb", "Opaque": "vd", "String": "vs", "Corelnk": "vs", "Objlnk": "vlo"}
        pack.append({"n": name, label.get(kind, "v"): leaf})
    return pack


def from_pack(
    pack: list[dict], model: Model, root: str = ""
) -> list[tuple[str, float | None, object]]:
    """(path, time or None, value) of each SenML record.

    A base value is added to each value; a time below 2 ** 28 counts from now (RFC 8428, 4.5.3).
    """
    base_name, base_time, base_value, found = "", 0, 0, []
    for entry in pack:
        base_name, base_time = entry.get("bn", base_name), entry.get("bt", base_time)
        base_value = entry.get("bv", base_value)
        path = join(ids((base_name + entry.get("n", "")).removeprefix(root)))
        at = _time(base_time, entry)
        values = [(k, v) for k, v in entry.items() if k in ("v", "vs", "vb", "vd", "vlo")]
        if len(values) > 1 or not values and "bv" not in entry and "n" in entry:
            raise ValueError(f"{len(values)} values in the record of {path}")
        for label, value in values:
            found.append((path, at, _leaf(path, label, value, base_value, model)))
    return found


def _time(base: float, entry: dict) -> float | None:
    """Epoch seconds of a record, None where it has no time."""
    if "t" not in entry and not base:
        return None
    offset = entry.get("t", 0)
    if any(isinstance(n, bool) or not isinstance(n, (int, float)) for n in (base, offset)):
        raise ValueError(f"{base!r} + {offset!r} is no time")
    at = float(base + offset)
    if not math.isfinite(at):
        raise ValueError(f"{at!r} is no time")
    return at + time.time() if at < RELATIVE_TIME else at


def _leaf(path: str, label: str, value, base_value, model: Model):
    """The value of one record, as the model's type has it."""
    kind = model.type(path)
    if label == "v":
        if isinstance(value, datetime):
            value = value.timestamp()
        if isinstance(value, (bool, str)) or not isinstance(
            value, (int, float, Fraction, Decimal)
        ):
            raise ValueError(f"{path}: {value!r} is no number")
        value = value + base_value if base_value else value
        if kind == "Float":
            return float(value)
        if not isinstance(value, int):
            value = float(value)
        return int(value) if kind in INTEGERS and value == int(value) else value
    if label == "vb" and not isinstance(value, bool):
        raise ValueError(f"{path}: {value!r} is no Boolean")
    if label == "vd" and isinstance(value, str):
        return _unbase64(value)
    if label == "vd" and not isinstance(value, bytes):
        raise ValueError(f"{path}: {value!r} is not opaque")
    if label in ("vs", "vlo") and not isinstance(value, str):
        raise ValueError(f"{path}: {value!r} is no text")
    return value


def _read_pack(format: int, payload: bytes) -> list[dict]:
    pack = json.loads(payload) if format == SENML_JSON else cbor2.loads(payload)
    if not isinstance(pack, list):
        raise TypeError("no array")
    return [{_LABELS.get(k, k): v for k, v in entry.items()} for entry in pack]


def _to_json(path: str, value, model: Model) -> bytes:
    labels = {"Boolean": "bv", "Opaque": "sv", "String": "sv", "Corelnk": "sv", "Objlnk": "ov"}
    entries = []
    for name, leaf in flatten(path, value):
        kind = model.type(name) or kind_of(leaf)
        leaf = to_text(kind, leaf) if kind == "Opaque" else leaf
        relative = name.removeprefix(path).lstrip("/")
        entries.append({"n": relative, labels.get(kind, "v"): leaf})
    base = path if len(entries) == 1 and not entries[0]["n"] else path + "/"
    return json.dumps({"bn": base, "e": entries}, separators=(",", ":")).encode()


def _from_json(path: str, payload: bytes, model: Model) -> list[tuple[str, float | None, object]]:
    tree, found = json.loads(payload), []
    base_time = tree.get("bt", 0)
    for entry in tree["e"]:
        name = join(ids(tree.get("bn", path) + entry.get("n", "")))
        label, leaf = next((k, v) for k, v in entry.items() if k in ("v", "sv", "bv", "ov"))
        kind = model.type(name)
        if label == "v" and (isinstance(leaf, bool) or not isinstance(leaf, (int, float))):
            raise ValueError(f"{name}: {leaf!r} is no number")
        if kind == "Opaque":
            leaf = from_text(kind, leaf)
        elif kind == "Float" and label == "v":
            leaf = float(leaf)
        found.append((name, _time(base_time, entry), leaf))
    return found


# LwM2M CBOR (Core 1.2, 7.4.7): maps by number from the root, a key may be several numbers at once


def _to_lwm2m_cbor(path: str, value, model: Model) -> bytes:
    tree: dict = {}
    for name, leaf in flatten(path, value):
        node, numbers = tree, ids(name)
        for number in numbers[:-1]:
            node = node.setdefault(number, {})
        node[numbers[-1]] = leaf
    return cbor2.dumps(tree)


def _from_lwm2m_cbor(payload: bytes, model: Model) -> list[tuple[str, float | None, object]]:
    found = []

    def walk(numbers: tuple, node) -> None:
        if not isinstance(node, dict):
            found.append((join(numbers), None, _from_cbor(model.type(join(numbers)), node)))
            return
        for key, inner in node.items():
            more = key if isinstance(key, tuple) else (key,)
            if not all(isinstance(n, int) and not isinstance(n, bool) and n >= 0 for n in more):
                raise ValueError(f"{key!r} is no id")
            walk(ids(join((*numbers, *more))), inner)

    tree = cbor2.loads(payload)
    if not isinstance(tree, dict):
        raise TypeError("no map")
    walk((), tree)
    return found


def _from_cbor(kind: str, value):
    """A CBOR item as the type that the model has; tagged times are epoch seconds."""
    if isinstance(value, datetime):
        value = int(value.timestamp())
    if isinstance(value, (Decimal, Fraction)):
        value = float(value)
    if not isinstance(value, (bool, int, float, str, bytes)):
        raise ValueError(f"{value!r} is no value of a resource")
    if kind == "Float" and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    return value


# All of them


def encode(format: int, path: str, value, model: Model, root: str = "") -> bytes:
    """The payload that sets `path` to `value`; names in SenML begin with the alternate path `root`."""
    kind = model.type(path) or kind_of(value)
    try:
        if format == TEXT:
            return to_text(kind, value).encode()
        if format == OPAQUE:
            return to_bytes(kind, value)
        if format == CBOR:
            return cbor2.dumps(value)
        if format == TLV:
            return to_tlv(path, value, model)
        if format == JSON:
            return _to_json(path, value, model)
        if format == LWM2M_CBOR:
            return _to_lwm2m_cbor(path, value, model)
        if format in (SENML_JSON, SENML_CBOR):
            pack = to_pack(path, value, model)
            for entry in pack:
                entry["n"] = root + entry["n"]
            return _pack(format, pack)
    except (TypeError, AttributeError, OverflowError, cbor2.CBOREncodeError) as e:
        raise ValueError(f"{path}: {value!r} does not go into {NAMES[format]}: {e}") from e
    raise ValueError(f"no encoder for content format {format}")


def _pack(format: int, pack: list[dict]) -> bytes:
    if format == SENML_CBOR:
        return cbor2.dumps([{_CODES.get(k, k): v for k, v in e.items()} for e in pack])
    for entry in pack:
        if "vd" in entry:
            entry["vd"] = base64.urlsafe_b64encode(entry["vd"]).decode().rstrip("=")
    return json.dumps(pack, separators=(",", ":")).encode()


def encode_paths(format: int, paths, root: str = "") -> bytes:
    """The payload of a composite read or observation: the paths that are wanted."""
    names = [(root + path) or "/" for path in paths]
    if format in (SENML_JSON, SENML_CBOR):
        return _pack(format, [{"n": name} for name in names])
    raise ValueError(f"paths do not go into {NAMES.get(format, format)}")


def decode(format: int | None, path: str, payload: bytes, model: Model, root: str = ""):
    """The value in a payload that was read at `path`; ValueError when it is malformed.

    Of a resource that comes with several times, the newest.
    """
    if format == LINK:
        return _guarded(format, lambda: payload.decode())
    if format in (None, TEXT, OPAQUE, CBOR):
        return _guarded(format, lambda: _single(format, path, payload, model))
    if format not in NAMES:
        return payload
    if format == TLV:
        return _guarded(format, lambda: from_tlv(path, payload, model))
    flat = {p: v for p, _, v in readings(format, path, payload, model, root)}
    return nest(path, flat)


def _single(format: int | None, path: str, payload: bytes, model: Model):
    kind = model.type(path)
    if format in (None, TEXT):
        return from_text(kind, payload.decode())
    if format == CBOR:
        return _from_cbor(kind, cbor2.loads(payload))
    return payload


def _guarded(format: int | None, work):
    """Whatever goes wrong with what others sent is a ValueError."""
    try:
        return work()
    except (KeyError, TypeError, AttributeError, StopIteration, binascii.Error) as e:
        raise ValueError(f"malformed {NAMES.get(format, format)}: {e!r}") from e
    except cbor2.CBORDecodeError as e:
        raise ValueError(f"malformed CBOR: {e}") from e
    except (ArithmeticError, RecursionError) as e:
        raise ValueError(f"malformed {NAMES.get(format, format)}: {type(e).__name__}") from e


def readings(
    format: int | None, path: str, payload: bytes, model: Model, root: str = ""
) -> list[tuple[str, float | None, object]]:
    """(path, time or None, value) of each resource or resource instance in a payload read at `path`."""
    if format in (SENML_JSON, SENML_CBOR):
        return history(format, payload, model, root)
    if format == JSON:
        return _guarded(format, lambda: _from_json(path, payload, model))
    if format == LWM2M_CBOR:
        return _guarded(format, lambda: _from_lwm2m_cbor(payload, model))
    value = decode(format, path, payload, model)
    return [(join(ids(name)), None, leaf) for name, leaf in flatten(path, value)]


def history(
    format: int, payload: bytes, model: Model, root: str = ""
) -> list[tuple[str, float | None, object]]:
    """(path, time or None, value) of each record in a SenML payload, as Send carries them."""
    return _guarded(format, lambda: from_pack(_read_pack(format, payload), model, root))
