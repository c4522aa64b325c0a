# Values of resources as JSON, and back: for the store, for programs, for people.
# SPDX-License-Identifier: MIT
"""Two forms: dump() and load() keep every type, for the store; to_json() is what events and REST show.

A value is as formats.py has it: int, float, bool, str (also Objlnk "3:0"), bytes, and dictionaries
by number.
"""

from __future__ import annotations

import json
import math
import re
from datetime import UTC, datetime

from .model import SECRETS, Model, ids, join

NUMBERS, STRINGS = "numbers", "strings"  # how to_tree() translates ids
HIDDEN = "***"

# What the numbers of well-known resources mean, as their definitions say in prose.
MEANINGS = {
    (3, 11): (
        "no error",
        "low battery power",
        "external power supply off",
        "GPS module failure",
        "low received signal strength",
        "out of memory",
        "SMS failure",
        "IP connectivity failure",
        "peripheral malfunction",
    ),
    (3, 20): (
        "normal",
        "charging",
        "charge complete",
        "damaged",
        "low battery",
        "not installed",
        "unknown",
    ),
    (5, 3): ("idle", "downloading", "downloaded", "updating"),
}


def dump(value) -> str:
    """JSON that load() makes the same value of: bytes as {"~b": hex}, numbers as keys as {"~k": pairs}."""
    return json.dumps(_tag(value), separators=(",", ":"))


def load(text: str):
    return _untag(json.loads(text))


def _tag(value):
    if isinstance(value, (bytes, bytearray)):
        return {"~b": bytes(value).hex()}
    if isinstance(value, float) and not math.isfinite(value):
        return {"~f": repr(value)}
    if isinstance(value, dict):
        if all(isinstance(k, str) and not k.startswith("~") for k in value):
            return {k: _tag(v) for k, v in value.items()}
        return {"~k": [[k, _tag(v)] for k, v in value.items()]}
    if isinstance(value, (list, tuple)):
        return [_tag(v) for v in value]
    return value


def _untag(value):
    if isinstance(value, list):
        return [_untag(v) for v in value]
    if not isinstance(value, dict):
        return value
    if value.keys() == {"~b"}:
        return bytes.fromhex(value["~b"])
    if value.keys() == {"~f"}:
        return float(value["~f"])
    if value.keys() == {"~k"}:
        return {k: _untag(v) for k, v in value["~k"]}
    return {k: _untag(v) for k, v in value.items()}


def secret(path: str) -> bool:
    """Is the value at this path a key or a password?"""
    try:
        return ids(path)[::2][:2] in SECRETS
    except ValueError:
        return False


def to_json(value, path: str = ""):
    """A value for programs: bytes as hexadecimal, keys as text, floats that JSON lacks as text.

    With its path, secrets are hidden.
    """
    if isinstance(value, dict):
        return {str(k): to_json(v, f"{path.rstrip('/')}/{k}") for k, v in value.items()}
    if path and secret(path):
        return HIDDEN
    if isinstance(value, (bytes, bytearray)):
        return bytes(value).hex()
    if isinstance(value, float) and not math.isfinite(value):
        return repr(value)
    return value


def snake(name: str) -> str:
    """`Battery Level` -> `battery_level`; `APN/Profile (IPv4)` -> `apn_profile_ipv4`."""
    return re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_")


def to_tree(
    found: list[tuple[str, object]], model: Model, translate: str = NUMBERS, *, plain: bool = False
) -> dict[str, object]:
    """[(path, value)] as nested objects: {"3": {"0": {"9": 80}}}, or with names by `translate` STRINGS.

    Then times are ISO 8601 text and well-known numbers words: {"device": {"0": {"battery_level": 80}}}.
    A name that the model lacks stays a number. `plain` values are put in as they are.
    """
    tree: dict[str, object] = {}
    for path, value in found:
        keys = [str(n) for n in ids(path)]
        shown = value if plain else to_json(value, path)
        if translate == STRINGS:
            keys = named(path, model)
            shown = shown if plain else _meaning(path, value, shown, model)
        node = tree
        for key in keys[:-1]:
            inner = node.setdefault(key, {})
            if not isinstance(inner, dict):  # a single value where instances come too
                inner = node[key] = {}
            node = inner
        if keys:
            node[keys[-1]] = shown
    return tree


def named(path: str, model: Model) -> list[str]:
    """`/3/0/9` -> ["device", "0", "battery_level"]."""
    numbers = ids(path)
    keys = [str(n) for n in numbers]
    if numbers:
        keys[0] = snake(model.name(join(numbers[:1]))) or keys[0]
    if len(numbers) > 2:
        keys[2] = snake(model.name(join(numbers[:3]))) or keys[2]
    return keys


def _meaning(path: str, value, shown, model: Model):
    words = MEANINGS.get(ids(path)[::2][:2], ())
    if isinstance(value, bool) or not isinstance(value, int):
        return shown
    if 0 <= value < len(words):
        return words[value]
    if model.type(path) == "Time" and 0 <= value < 1 << 37:
        return datetime.fromtimestamp(value, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return shown


def iso(seconds: float) -> str:
    """Epoch seconds as `2021-02-16T12:21:25.783Z`."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")[:-6] + "Z"


def from_json(kind: str, value, path: str):
    """A scalar from JSON as the type that the model has for it; ValueError when it does not fit.

    Opaque is hexadecimal text; numbers may come as text, too; what has no type stays as it is.
    """
    shown = HIDDEN if secret(path) else repr(value)
    try:
        if kind in ("Integer", "Unsigned Integer", "Time"):
            return _integer(value)
        if kind == "Float" and not isinstance(value, bool):
            return float(value)
        if kind == "Boolean":
            return _boolean(value)
        if kind == "Opaque":
            return _opaque(value)
        if kind == "Objlnk" and isinstance(value, str) and re.fullmatch(r"\d{1,5}:\d{1,5}", value):
            return value
    except (KeyError, OverflowError, TypeError, ValueError):
        raise ValueError(f"{path}: {shown} is no {kind}") from None
    if kind in ("String", "Corelnk", "") and isinstance(value, (str, bytes)):
        return value
    if kind == "String" and isinstance(value, (int, float)) and not isinstance(value, bool):
        return str(value)
    if kind in ("Objlnk", "Float") or value is None or kind and not isinstance(value, str):
        raise ValueError(f"{path}: {shown} is no {kind or 'value'}")
    return value


def _integer(value) -> int:
    if isinstance(value, bool) or isinstance(value, float) and value != int(value):
        raise ValueError
    return int(value)


def _opaque(value) -> bytes:
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return value.to_bytes(max(1, (value.bit_length() + 7) // 8), "big")
    return value if isinstance(value, bytes) else bytes.fromhex(value)


def _boolean(value) -> bool:
    words = {"true": True, "false": False, "1": True, "0": False}
    return value if isinstance(value, bool) else words[str(value).lower()]
