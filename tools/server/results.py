# What operations take and give: options, results, errors, and the bodies of the events about them.
# SPDX-License-Identifier: MIT

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Self

from . import formats
from .values import NUMBERS, STRINGS, to_tree

if TYPE_CHECKING:
    from .model import Model
    from .peer import Answer

ENCODINGS = {
    "text": formats.TEXT,
    "opaque": formats.OPAQUE,
    "tlv": formats.TLV,
    "json": formats.JSON,
    "cbor": formats.CBOR,
    "senml_json": formats.SENML_JSON,
    "senml_cbor": formats.SENML_CBOR,
    "lwm2m_cbor": formats.LWM2M_CBOR,
}
PARTIAL = "partial success"
NO_RESPONSE = "device did not respond to the request"


class OperationError(Exception):
    """An operation that failed, or could not begin. `code` says why in one word:

    "unknown"    there is no such endpoint, or it is not registered
    "argument"   an argument or an option is wrong (nothing was sent)
    "timeout"    the device did not answer
    "refused"    the device answered an error; `result.answers` has it
    "queue"      its queue is full
    "busy"       a firmware update is running already
    """

    def __init__(self, code: str, message: str, result: Result | None = None):
        super().__init__(message)
        self.code, self.result = code, result


@dataclass
class Options:
    """Options of an operation, as the page has them.

    encoding     a name of ENCODINGS (also "senml+cbor" and the like), or a content format's number; None leaves
                 a read to the device, and gives a write TLV, text or opaque as fits
    composite    one composite request for all paths; never unless asked for
    context      any JSON; comes back in the events
    asynchronous "async" in JSON: return at once, the outcome is an event; False waits for it
    timeout      seconds to wait for the device's answer; None is the endpoint's own
    expiry       seconds that it may be queued for a sleeping device; None is the configuration's, 0 for ever
    queue        may it be queued at all? False: a sleeping device is asked all the same
    origin       which part asks ("mqtt", "rest"); its events carry it
    translate    "numbers" or "strings": ids in `data` of results ("translateIds" in JSON)
    """

    encoding: str | int | None = None
    composite: bool = False
    context: object = None
    asynchronous: bool = True
    timeout: float | None = None
    expiry: float | None = None
    queue: bool = True
    origin: str = ""
    translate: str = NUMBERS

    @classmethod
    def of(cls, options: Options | dict | None, **more) -> Self:
        """From JSON with the page's names, or as they are; OperationError "argument" for what is wrong.

        `more` are names that an operation takes besides: {name: default}; they become attributes.
        """
        if isinstance(options, Options):
            return options
        if options is not None and not isinstance(options, dict):
            raise OperationError("argument", "options is not an object")
        made = cls()
        for key, value in (options or {}).items():
            name = _NAMES.get(key, key)
            if name in more:
                continue
            if name not in _KINDS:
                known = ", ".join(sorted({*_NAMES, *more, "encoding", "composite", "context"}))
                raise OperationError("argument", f"unknown option {key!r}; known: {known}")
            if not isinstance(value, _KINDS[name]) or (
                isinstance(value, bool) and bool not in _KINDS[name]
            ):
                raise OperationError("argument", f"option {key} is {value!r}")
            setattr(made, name, value)
        if made.translate not in (NUMBERS, STRINGS):
            raise OperationError("argument", "translateIds is neither numbers nor strings")
        made.format  # noqa: B018  raises for an unknown one
        return made

    @property
    def format(self) -> int | None:
        """The content format's number."""
        if self.encoding is None or isinstance(self.encoding, int):
            return self.encoding
        try:
            return ENCODINGS[self.encoding.lower().replace("+", "_")]
        except KeyError:
            known = ", ".join(ENCODINGS)
            raise OperationError(
                "argument", f"unknown encoding {self.encoding!r}; known: {known}"
            ) from None

    def table(self) -> dict:
        """As JSON, for the queue in the store."""
        names = {v: k for k, v in _NAMES.items()}
        default = Options()
        return {
            names.get(name, name): getattr(self, name)
            for name in _KINDS
            if getattr(self, name) != getattr(default, name)
        }


_NAMES = {"async": "asynchronous", "translateIds": "translate"}
_KINDS: dict[str, tuple[type, ...]] = {
    "encoding": (str, int, type(None)),
    "composite": (bool,),
    "context": (object,),
    "asynchronous": (bool,),
    "timeout": (int, float, type(None)),
    "expiry": (int, float, type(None)),
    "queue": (bool,),
    "origin": (str,),
    "translate": (str,),
}
_KINDS["context"] = (dict, list, str, int, float, bool, type(None))


@dataclass
class Result:
    """The outcome of an operation.

    source       name of the operation, as in the page's events: "read", "writeMulti", "observe-composite"
    paths        what it was about
    success      did all of it go well?
    error        why not, in words; "partial success" where some of it did
    partial      {path: error} of what went wrong
    values       [(path, time or None, value)] that were read
    tokens       {path or "composite": token} of observations
    answers      {path: Answer} of the device; of a composite request {"composite": Answer}
    location     path of the instance that was created
    links        {path: {attribute: text}} of a Discover
    queued       True: it waits until the device wakes; the outcome is an ASYNC_RESULT event (with a
                 context or an origin) and the values a DATA event
    number       of the queued command, or 0
    context, origin   of the options
    """

    source: str
    endpoint: str
    paths: tuple[str, ...] = ()
    success: bool = True
    error: str = ""
    partial: dict[str, str] = field(default_factory=dict)
    values: list[tuple[str, float | None, object]] = field(default_factory=list)
    tokens: dict[str, str] = field(default_factory=dict)
    answers: dict[str, Answer] = field(default_factory=dict)
    location: str = ""
    links: dict[str, dict[str, str]] = field(default_factory=dict)
    queued: bool = False
    number: int = 0
    context: object = None
    origin: str = ""
    code: str = ""  # of the OperationError that a synchronous caller gets

    def data(self, model: Model, translate: str = NUMBERS) -> dict:
        """What was read as nested objects; of a resource that comes several times, the newest."""
        return to_tree([(path, value) for path, _, value in self.values], model, translate)

    def async_body(self) -> dict:
        """Body of an ASYNC_RESULT event."""
        body: dict = {"context": self.context}
        if self.queued:
            body["intermediate"] = True
        if self.error:
            body["error"] = self.error
        if self.partial:
            body["partialErrors"] = {short(path): text for path, text in self.partial.items()}
        if self.tokens:
            body["tokens"] = {short(path): token for path, token in self.tokens.items()}
        body["path"] = ",".join(short(path) for path in self.paths)
        return {**body, "source": self.source, "success": self.success}

    def error_body(self) -> dict:
        """Body of an ERROR event."""
        return {"source": self.source, "error": self.error, "context": self.context}


def short(path: str) -> str:
    """`/3/0` -> `3/0`: paths as the page writes them."""
    return path.lstrip("/") if path != "/" else path
