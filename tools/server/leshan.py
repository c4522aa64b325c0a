# Leshan's JSON: clients, answers, events and bootstrap configurations as its demo servers show them
# SPDX-License-Identifier: MIT

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from . import events, formats, nodes, store
from .model import Model, ids, nest

if TYPE_CHECKING:
    from .results import Result

COMPOSITE = "composite"
CODE_NAMES = {
    "2.01": "CREATED",
    "2.02": "DELETED",
    "2.04": "CHANGED",
    "2.05": "CONTENT",
    "4.00": "BAD_REQUEST",
    "4.01": "UNAUTHORIZED",
    "4.02": "BAD_OPTION",
    "4.03": "FORBIDDEN",
    "4.04": "NOT_FOUND",
    "4.05": "METHOD_NOT_ALLOWED",
    "4.06": "NOT_ACCEPTABLE",
    "4.08": "REQUEST_ENTITY_INCOMPLETE",
    "4.12": "PRECONDITION_FAILED",
    "4.13": "REQUEST_ENTITY_TOO_LARGE",
    "4.15": "UNSUPPORTED_CONTENT_FORMAT",
    "5.00": "INTERNAL_SERVER_ERROR",
}


def code_name(code: str) -> str:
    """`2.05` -> `CONTENT(205)`."""
    return f"{CODE_NAMES.get(code, 'UNKNOWN')}({code.replace('.', '')})"


def iso(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def links_of(targets: dict[str, dict[str, str]]) -> list[dict]:
    return [{"url": path, "attributes": attributes} for path, attributes in targets.items()]


def client(registration: store.Registration, status: str) -> dict:
    """A registration as `/api/clients` has it."""
    host, port = registration.address
    host = f"[{host}]" if ":" in host else host
    known = {"ep", "lt", "lwm2m", "b", "Q", "sms"}
    more = {k: v for k, v in registration.query.items() if k not in known}
    root = {"rt": '"oma.lwm2m"'}
    if registration.formats:
        root["ct"] = " ".join(str(number) for number in registration.formats)
    links = [{"url": registration.root or "/", "attributes": root}]
    return {
        "endpoint": registration.endpoint,
        "registrationId": registration.id,
        "registrationDate": iso(registration.registered),
        "lastUpdate": iso(registration.updated),
        "address": f"{host}:{port}",
        "smsNumber": registration.sms or None,
        "lwM2mVersion": registration.version,
        "lifetime": registration.lifetime,
        "bindingMode": registration.binding,
        "rootPath": registration.root or "/",
        "objectLinks": links + links_of(registration.links),
        "secure": registration.secure != "nosec",
        "additionalRegistrationAttributes": more,
        "queuemode": registration.queue,
        "availableInstances": [path for path in registration.links if len(numbers(path)) > 1],
        "sleeping": status == store.SLEEPING,
    }


def numbers(path: str) -> tuple[int, ...]:
    try:
        return ids(path)
    except ValueError:
        return ()


def response(result: Result, model: Model) -> dict:
    """What a device answered, as Leshan tells it."""
    if not result.answers:  # nothing was to be done, such as a cancellation of nothing
        return {"status": code_name("2.05"), "valid": True, "success": True, "failure": False}
    path, answer = next(iter(result.answers.items()))
    told = {
        "status": code_name(answer.code),
        "valid": True,
        "success": answer.ok,
        "failure": not answer.ok,
    }
    if not answer.ok:
        told["errormessage"] = answer.payload.decode(errors="replace")
    elif answer.format == formats.LINK:
        told["objectLinks"] = links_of(result.links)
    elif result.location:
        told["location"] = result.location
    elif answer.payload:
        told |= _content(path, result, answer, model)
    return told


def _content(path: str, result: Result, answer, model: Model) -> dict:
    if path == COMPOSITE:
        found = [(name, value) for name, _, value in result.values]
        return {"content": composite(result.paths, found, model)}
    if answer.value is None:
        return {"valid": False, "errormessage": f"format {answer.format} cannot be decoded"}
    return {"content": nodes.node(path, answer.value, model)}


def composite(paths, found: list[tuple[str, object]], model: Model) -> dict:
    """{path: node or None} of the values below each of several paths."""
    told = {}
    for path in paths:
        below = path.rstrip("/") + "/"
        inside = {name: value for name, value in found if name == path or name.startswith(below)}
        if path == "/":
            told |= {name: nodes.node(name, value, model) for name, value in inside.items()}
        else:
            told[path] = nodes.node(path, nest(path, inside), model) if inside else None
    return told


# The types of definitions, as /api/objectspecs has them.
SPEC_TYPES = {kind: kind.upper().replace(" ", "_") for kind in nodes.TYPES}


def specification(oid: int, model: Model) -> dict:
    """The definition of an object."""
    entry = model.objects[str(oid)]
    resources = [
        {
            "id": int(rid),
            "name": each["name"],
            "operations": each.get("op", ""),
            "instancetype": "multiple" if each.get("multiple") else "single",
            "mandatory": each.get("mandatory", False),
            "type": SPEC_TYPES.get(each.get("type", ""), "NONE").lower(),
            "range": range_text(each),
            "units": each.get("units", ""),
        }
        for rid, each in entry["resources"].items()
    ]
    return {
        "id": oid,
        "name": entry["name"],
        "version": entry.get("version", "1.0"),
        "instancetype": "multiple" if entry.get("multiple") else "single",
        "mandatory": entry.get("mandatory", False),
        "resourcedefs": resources,
    }


def range_text(entry: dict) -> str:
    """`0..100`, of a definition that has a range."""
    return "..".join(str(bound) for bound in entry.get("range", ()))


# Events


def event(happened: events.Event, model: Model, status: str) -> tuple[str, dict] | None:
    """(name, JSON) of an event on `/api/event`; None for one that Leshan has not."""
    make = _EVENTS.get(happened.kind)
    return make(happened, model, status) if make else None


def _registration_event(name: str):
    def make(happened, model, status):
        return name, client(happened.detail, status)

    return make


def _updated(happened, model, status):
    found = client(happened.detail, status)
    return "UPDATED", {"registration": found, "update": found}


def _status(happened, model, status):
    now, registration = happened.body.get("status"), happened.detail
    if not getattr(registration, "queue", False) or now not in (store.SLEEPING, store.CONNECTED):
        return None
    return "SLEEPING" if now == store.SLEEPING else "AWAKE", {"ep": happened.endpoint}


def _data(happened, model, status):
    reported = happened.detail
    found = [(path, value) for path, _, value in reported.values]
    if reported.source == "send":
        shown = {path: nodes.node(path, value, model) for path, value in found}
        return "SEND", {"ep": happened.endpoint, "val": shown}
    if reported.source != "notify" or reported.answer is None:
        return None
    told = {"ep": happened.endpoint}
    if len(reported.paths) > 1:
        told |= {"kind": "composite", "val": composite(reported.paths, found, model)}
        return "NOTIFICATION", {**told, "obs": list(reported.paths)}
    path, value = reported.paths[0], reported.answer.value
    if value is None:
        return None
    return "NOTIFICATION", {
        **told,
        "kind": "single",
        "res": path,
        "val": nodes.node(path, value, model),
    }


def _log_line(happened, model, status):
    line = happened.body.get("line", "")
    told = {"timestamp": int(happened.time * nodes.MS), "ep": happened.endpoint, "line": line}
    return "COAPLOG", {**told, "incoming": line.startswith("<-")}


def _bootstrapped(happened, model, status):
    told = {"ep": happened.endpoint, "date": iso(happened.time)}
    return "BSSESSION", {**told, "events": [happened.body]}


_EVENTS = {
    events.REGISTER: _registration_event("REGISTRATION"),
    events.UPDATE: _updated,
    events.DEREGISTER: _registration_event("DEREGISTRATION"),
    events.STATUS: _status,
    events.DATA: _data,
    events.LOG: _log_line,
    events.BOOTSTRAPPED: _bootstrapped,
}
EVENT_KINDS = (*_EVENTS, events.ASYNC_RESULT)
