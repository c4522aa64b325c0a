# EMQX's LwM2M gateway as it speaks JSON: a command becomes a CoAP request, an answer becomes a payload
# SPDX-License-Identifier: MIT
"""Pure functions between the JSON of EMQX's gateway and CoAP; mqtt.py and rest.py carry it.

A command is ``{"reqID": 1, "msgType": "read", "data": {"path": "/3/0/0"}}``; every top-level member is repeated in the
answer, ``{..., "data": {"reqPath": "/3/0/0", "code": "2.05", "codeMsg": "content", "content": [{"path", "value"}]}}``.
"""

from __future__ import annotations

import base64
import binascii
import json
import math
from dataclasses import dataclass, field

from . import formats, links
from .model import Model, flatten, ids

# What EMQX calls a code of CoAP; 6.01 is its own: no answer has come yet.
CODE_NAMES = {
    "2.01": "created",
    "2.02": "deleted",
    "2.03": "valid",
    "2.04": "changed",
    "2.05": "content",
    "2.31": "continue",
    "4.00": "bad_request",
    "4.01": "unauthorized",
    "4.02": "bad_option",
    "4.03": "forbidden",
    "4.04": "not_found",
    "4.05": "method_not_allowed",
    "4.06": "not_acceptable",
    "4.08": "request_entity_incomplete",
    "4.12": "precondition_failed",
    "4.13": "request_entity_too_large",
    "4.15": "unsupported_content_format",
    "5.00": "internal_server_error",
    "5.01": "not_implemented",
    "5.02": "bad_gateway",
    "5.03": "service_unavailable",
    "5.04": "gateway_timeout",
    "5.05": "proxying_not_supported",
    "6.01": "reply_not_received",
}
# The attributes that a write-attr passes on; the others of LwM2M are beyond EMQX.
ATTRIBUTES = ("pmin", "pmax", "gt", "lt", "st")
# Access to a power saving network by the name of its APN: these devices sleep, whatever their binding says.
SLEEPING_APNS = ("Ctnb", "psmA.eDRX0.ctnb", "psmC.eDRX0.ctnb", "psmF.eDRXC.ctnb")
# Objects that auto-observe leaves alone.
NOT_OBSERVED = {0, 1, 2, 4, 5, 6, 7, 9, 15}
MAX_COMMAND = 1 << 20  # bytes of JSON


class BadCommand(ValueError):
    """A command that cannot be a request; `echo` is what its answer repeats, as far as it was readable."""

    def __init__(self, why: str, echo: dict | None = None):
        super().__init__(why)
        self.echo = echo or {}


@dataclass
class Command:
    """A command from MQTT or HTTP, and the CoAP request that it stands for.

    echo     the members of its JSON, which the answer repeats
    path     the path as the command names it, which the answer repeats
    target   the path of the request, without a trailing slash or a query
    observe  0 observes, 1 cancels, None does neither
    reset    the device has answered the request with RST
    """

    kind: str
    path: str
    method: str
    target: str
    echo: dict = field(default_factory=dict)
    query: list[str] = field(default_factory=list)
    payload: bytes = b""
    format: int | None = None
    accept: int | None = None
    observe: int | None = None
    reset: bool = False


def _member(data: dict, name: str) -> str:
    """A member of `data` that must be a text."""
    text = data.get(name)
    if not isinstance(text, str):
        raise BadCommand(f"data.{name} is missing or no text")
    return text


def _split(path: str, least: int = 0, most: int = 4) -> tuple[str, list[str]]:
    """`"/3/0/?a=1"` -> `"/3/0"` and `["a=1"]`; BadCommand where the path has too few or too many numbers."""
    where, _, query = path.partition("?")
    try:
        numbers = ids(where)
    except ValueError as error:
        raise BadCommand(str(error)) from None
    if not least <= len(numbers) <= most:
        raise BadCommand(f"{path!r} does not have {least} to {most} numbers")
    return "/" + "/".join(str(n) for n in numbers), [q for q in query.split("&") if q]


# Values, as EMQX types them


def _integer(value, what: str) -> int:
    try:
        if isinstance(value, bool) or isinstance(value, float) and not value.is_integer():
            raise ValueError
        return int(value)
    except (TypeError, ValueError, OverflowError):
        raise BadCommand(f"{what} is {value!r}") from None


def _number_bytes(kind: str, path: str, value, model: Model, minimal: bool) -> bytes:
    """Integer, Time and Float. `minimal` reproduces EMQX, which knows no sign and the fewest bytes."""
    whole = kind != "Float" or isinstance(value, int) or str(value).lstrip("+-").isdecimal()
    if minimal and whole:
        number = _integer(value, kind)
        if number < 0:
            raise BadCommand(f"{kind} is {value!r}, and EMQX's integers have no sign")
        return number.to_bytes(max(1, (number.bit_length() + 7) // 8), "big")
    if kind == "Float":
        try:
            return formats.struct.pack(">d", float(value))
        except (TypeError, ValueError, OverflowError):
            raise BadCommand(f"Float is {value!r}") from None
    unsigned = model.type(path) == "Unsigned Integer"
    return formats.to_bytes("Unsigned Integer" if unsigned else kind, _integer(value, kind))


def _value_bytes(kind: str, path: str, value, model: Model, minimal: bool) -> bytes:
    """A typed value of a command as it stands in TLV; BadCommand where it does not fit its type."""
    if kind in ("Integer", "Time", "Float", "Unsigned Integer"):
        return _number_bytes(kind, path, value, model, minimal)
    if kind == "Boolean":
        texts = {"true": b"\1", "false": b"\0", "1": b"\1", "0": b"\0"}
        if str(value).lower() not in texts:
            raise BadCommand(f"Boolean is {value!r}, not true or false")
        return texts[str(value).lower()]
    if kind in ("String", "Corelnk"):
        return str(value).encode(errors="replace")
    if kind == "Opaque":
        try:
            return base64.b64decode(value, validate=True)
        except (TypeError, ValueError, binascii.Error):
            raise BadCommand("Opaque is no base64") from None
    if kind == "Objlnk":
        halves = [h for h in str(value).split(":") if h.isdecimal() and int(h) < 1 << 16]
        if len(halves) != 2:
            raise BadCommand(f"Objlnk is {value!r}, not such as 1:2")
        return formats.to_bytes("Objlnk", ":".join(halves))
    raise BadCommand(f"type {kind!r} is none of Time String Integer Float Boolean Opaque Objlnk")


def _tree(base: str, content: list, model: Model, minimal: bool) -> dict:
    """{number: {number: bytes}}, from the object down to the values, of the records of a batch."""
    tree: dict = {}
    for entry in content:
        if not isinstance(entry, dict):
            raise BadCommand(f"an entry of data.content is {entry!r}")
        relative = entry.get("path", "")
        if not isinstance(relative, str):
            raise BadCommand(f"the path of an entry is {relative!r}")
        path, _ = _split(f"{base}/{relative.strip('/')}", 3, 4)
        if "value" not in entry:
            raise BadCommand(f"{path} has no value")
        kind = entry.get("type") or model.type(path) or "String"
        value = _value_bytes(kind, path, entry["value"], model, minimal)
        *above, last = ids(path)
        node = tree
        for number in above:
            node = node.setdefault(number, {})
            if not isinstance(node, dict):
                raise BadCommand(f"{path} is below a value of its own batch")
        if isinstance(node.get(last), dict):
            raise BadCommand(f"{path} is above a value of its own batch")
        node[last] = value
    return tree


def _records(depth: int, node: dict) -> bytes:
    """TLV of what is below a path of `depth` numbers."""
    out = b""
    for number, below in node.items():
        if isinstance(below, dict):
            kind = formats.OBJECT_INSTANCE if depth == 1 else formats.MULTIPLE
            out += formats.record(kind, number, _records(depth + 1, below))
        else:
            kind = formats.RESOURCE if depth == 2 else formats.RESOURCE_INSTANCE
            out += formats.record(kind, number, below)
    return out


def _batch(base: str, content, model: Model, minimal: bool) -> bytes:
    """The TLV payload that sets the entries of a batch, each relative to `base`."""
    if not isinstance(content, list):
        raise BadCommand("data.content is no array")
    numbers = ids(base)
    tree = _tree(base, content, model, minimal)
    # A resource is written with its own record around the value; an instance or an object without.
    shown = numbers[:2] if len(numbers) > 2 else numbers
    for number in shown:
        tree = tree.get(number, {})
    return _records(len(shown), tree)


# Commands


def _simple(method: str, accept: int | None = None, observe: int | None = None, least: int = 0):
    def make(data: dict, model: Model, minimal: bool) -> Command:
        path = _member(data, "path")
        target, query = _split(path, least)
        return Command("", path, method, target, query=query, accept=accept, observe=observe)

    return make


def _write(data: dict, model: Model, minimal: bool) -> Command:
    if "basePath" in data:
        path = _member(data, "basePath")
        target, query = _split(path, 2, 4)
        content = data.get("content")
    else:
        path = _member(data, "path")
        target, query = _split(path, 3, 4)
        content = [{"path": "", "type": data.get("type"), "value": data.get("value")}]
    payload = _batch(target, content, model, minimal)
    method = "POST" if len(ids(target)) == 2 else "PUT"
    return Command("", path, method, target, query=query, payload=payload, format=formats.TLV)


def _create(data: dict, model: Model, minimal: bool) -> Command:
    path = _member(data, "basePath")
    target, query = _split(path, 1, 2)
    payload = _batch(target, data.get("content", []), model, minimal)
    return Command("", path, "POST", target, query=query, payload=payload, format=formats.TLV)


def _attributes(data: dict, model: Model, minimal: bool) -> Command:
    path = _member(data, "path")
    target, query = _split(path, 1)
    for name in ATTRIBUTES:
        value = data.get(name)
        if value is None:
            continue
        try:
            if not math.isfinite(float(value)):
                raise ValueError
        except (TypeError, ValueError):
            raise BadCommand(f"data.{name} is {value!r}, no number") from None
        query.append(f"{name}={value}")
    return Command("", path, "PUT", target, query=query)


def _execute(data: dict, model: Model, minimal: bool) -> Command:
    path = _member(data, "path")
    target, query = _split(path, 3, 3)
    arguments = data.get("args", "")
    if not isinstance(arguments, str):
        raise BadCommand("data.args is no text")
    payload = arguments.encode(errors="replace")
    return Command("", path, "POST", target, query=query, payload=payload, format=formats.TEXT)


COMMANDS = {
    "read": _simple("GET"),
    "discover": _simple("GET", accept=formats.LINK),
    "write": _write,
    "write-attr": _attributes,
    "execute": _execute,
    "create": _create,
    "delete": _simple("DELETE", least=2),
    "observe": _simple("GET", observe=0),
    "cancel-observe": _simple("GET", observe=1),
}


def command(message: dict, model: Model, minimal: bool = False) -> Command:
    """The request that a command stands for; BadCommand says what is wrong with it.

    `minimal` writes integers as EMQX does: without a sign, in as few bytes as they need.
    """
    kind, data = message.get("msgType"), message.get("data")
    try:
        make = COMMANDS.get(kind) if isinstance(kind, str) else None
        if make is None:
            raise BadCommand(f"msgType {kind!r} is none of {', '.join(COMMANDS)}")
        if not isinstance(data, dict):
            raise BadCommand("data is missing or no object")
        made = make(data, model, minimal)
    except ValueError as error:
        raise BadCommand(str(error), message) from None
    made.kind, made.echo = kind, message
    return made


def parse(payload: bytes) -> dict:
    """The JSON object of a command; BadCommand where it is none."""
    if len(payload) > MAX_COMMAND:
        raise BadCommand(f"a command of more than {MAX_COMMAND} bytes")
    try:
        message = json.loads(payload)
    except (ValueError, RecursionError):
        raise BadCommand("the command is no JSON") from None
    if not isinstance(message, dict):
        raise BadCommand("the command is no JSON object")
    return message


# Answers


def json_value(value):
    """A value as it stands in JSON: Opaque in base64, and numbers that JSON has not as text."""
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return value


def content(path: str, format: int | None, payload: bytes, model: Model) -> list:
    """[{"path", "value"}] of a payload, of links their text; ValueError where it cannot be decoded.

    As with EMQX an object without a definition cannot be decoded, nor a single resource without one.
    """
    if format == formats.LINK:
        return payload.decode().split(",")
    if format in (None, formats.TEXT, formats.OPAQUE, formats.CBOR) and not model.type(path):
        raise ValueError(f"{path} has no definition")
    if not model.name("/" + path.strip("/").split("/")[0]):
        raise ValueError(f"the object of {path} has no definition")
    if format == formats.JSON:
        payload = _with_slash(payload)
    value = formats.decode(format, path, payload, model)
    return [{"path": name, "value": json_value(leaf)} for name, leaf in flatten(path, value)]


def _with_slash(payload: bytes) -> bytes:
    """EMQX takes a base name "/3/0" before a name "0" for "/3/0/0", though it should end in a slash."""
    try:
        pack = json.loads(payload)
        base, entries = pack["bn"], pack["e"]
        if base.endswith("/") or any(entry.get("n", "").startswith("/") for entry in entries):
            return payload
        if any(entry.get("n") for entry in entries):
            pack["bn"] = base + "/"
            return json.dumps(pack).encode()
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        pass  # the decoder tells what is wrong
    return payload


def result(command: Command, code: str, format: int | None, payload: bytes, model: Model) -> dict:
    """`data` of an answer: reqPath, code, codeMsg, and content where there is a body."""
    data = {"reqPath": command.path, "code": code, "codeMsg": CODE_NAMES.get(code, "unknown")}
    if payload and code.startswith("2."):
        try:
            data["content"] = content(command.target, format, payload, model)
        except ValueError as error:
            data |= {"code": "4.00", "codeMsg": CODE_NAMES["4.00"]}
            data["reason"] = str(error)
    return data


def answer(command: Command, data: dict, kind: str | None = None, order: int | None = None):
    """The message that answers a command. `order` is the Observe option of a notification."""
    message = {**command.echo, "msgType": kind or command.kind, "data": data}
    if order:
        message["seqNum"] = order
    return message


def failure(command: Command, kind: str) -> dict:
    """No answer of the device: `kind` is ack, coap_timeout or coap_reset; the request stands as it came."""
    return {**command.echo, "msgType": kind}


def refusal(error: BadCommand) -> dict:
    """What a command is answered that is none."""
    data = error.echo.get("data")
    path = data.get("path", data.get("basePath")) if isinstance(data, dict) else None
    told = {"code": "4.00", "codeMsg": CODE_NAMES["4.00"], "reason": str(error)}
    return {**error.echo, "data": {"reqPath": path, **told} if path is not None else told}


def registration(kind: str, query: dict[str, str], root: str, objects: list[str]) -> dict:
    """The message of a Register or an Update. `query` has all pairs as they came, `objects` the paths."""
    data = {**query, "alternatePath": root or "/", "objectList": objects}
    data["lt"] = int(query.get("lt", "86400"))
    data.pop("password", None)
    return {"msgType": kind, "data": data}


def discovered(targets: str, model: Model) -> list[dict]:
    """The resources of a Discover as EMQX's HTTP interface tells them: path, name, dataType, operations."""
    found = []
    for target, _ in links.parse(targets.encode()):
        try:
            entry = model.resource(target) if len(ids(target)) > 2 else {}
            name = entry.get("name") or model.name(target)
        except ValueError:
            continue  # no path of LwM2M, such as the root of another one
        found.append(
            {
                "path": target,
                "name": name,
                "dataType": entry.get("type", ""),
                "operations": entry.get("op", ""),
            }
        )
    return found
