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

_LABELS = {-2: "bn", -3: "bt", 0: "n", 2: "v", 3: "vs", 4: "vb", 6: "t", 8: "vd"}
_CODES = {name: code for code, name in _LABELS.items()}


def _unbase64(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def to_pack(path: str, value, model: Model) -> list[dict]:
    """SenML records with names as labels, opaque still as bytes."""
    pack = []
    for name, leaf in flatten(path, value):
        kind = model.type(name) or kind_of(leaf)
        label = {"Boolean": "vb", "Opaque": "vd", "String": "vs", "Corelnk": "vs", "Objlnk": "vlo"}
        pack.append({"n": name, label.get(kind, "v"): leaf})
    return pack


def from_pack(pack: list[dict], model: Model) -> list[tuple[str, float | None, object]]:
    """(path, time or None, value) of each SenML record."""
    base_name, base_time, found = "", 0, []
    for entry in pack:
        base_name, base_time = entry.get("bn", base_name), entry.get("bt", base_time)
        path = join(ids(base_name + entry.get("n", "")))
        time = base_time + entry.get("t", 0)
        values = [(k, v) for k, v in entry.items() if k in ("v", "vs", "vb", "vd", "vlo")]
        for label, value in values:
            kind = model.type(path)
            if label == "vd" and isinstance(value, str):
                value = _unbase64(value)
            if kind == "Float" and label == "v":
                value = float(value)
            found.append((path, time or None, value))
    return found


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


def _from_json(path: str, payload: bytes, model: Model) -> dict[str, object]:
    tree, flat = json.loads(payload), {}
    for entry in tree["e"]:
        name = join(ids(tree.get("bn", path) + entry.get("n", "")))
        leaf = next(v for k, v in entry.items() if k in ("v", "sv", "bv", "ov"))
        kind = model.type(name)
        flat[name] = from_text(kind, leaf) if kind == "Opaque" else leaf
    return flat


# All of them


def encode(format: int, path: str, value, model: Model) -> bytes:
    """The payload that sets `path` to `value`."""
    kind = model.type(path) or kind_of(value)
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
    if format in (SENML_JSON, SENML_CBOR):
        pack = to_pack(path, value, model)
        if format == SENML_CBOR:
            return cbor2.dumps([{_CODES.get(k, k): v for k, v in e.items()} for e in pack])
        for entry in pack:
            if "vd" in entry:
                entry["vd"] = base64.urlsafe_b64encode(entry["vd"]).decode().rstrip("=")
        return json.dumps(pack, separators=(",", ":")).encode()
    raise ValueError(f"no encoder for content format {format}")


def decode(format: int | None, path: str, payload: bytes, model: Model):
    """The value in a payload that was read at `path`; ValueError when it is malformed."""
    try:
        if format in (None, TEXT):
            return from_text(model.type(path), payload.decode())
        if format == LINK:
            return payload.decode()
        if format == CBOR:
            return cbor2.loads(payload)
        if format == TLV:
            return from_tlv(path, payload, model)
        if format == JSON:
            return nest(path, _from_json(path, payload, model))
        if format in (SENML_JSON, SENML_CBOR):
            return nest(path, {p: v for p, _, v in history(format, payload, model)})
    except (KeyError, TypeError, AttributeError, StopIteration, binascii.Error) as e:
        raise ValueError(f"malformed {NAMES.get(format, format)}: {e!r}") from e
    except cbor2.CBORDecodeError as e:
        raise ValueError(f"malformed CBOR: {e}") from e
    return payload


def history(format: int, payload: bytes, model: Model) -> list[tuple[str, float | None, object]]:
    """(path, time or None, value) of each record in a SenML payload, as Send carries them."""
    try:
        return from_pack(_read_pack(format, payload), model)
    except (TypeError, AttributeError, binascii.Error, cbor2.CBORDecodeError) as e:
        raise ValueError(f"malformed SenML: {e!r}") from e
