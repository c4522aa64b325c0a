# Read-, Write- and Observe-Composite (Core 1.1.1 6.3.8, 6.3.9, 6.4.4; RFC 8132): several paths in one request
# SPDX-License-Identifier: MIT
from ..coap.numbers import (
    CHANGED,
    IPATCH,
    METHOD_NOT_ALLOWED,
    NOT_FOUND,
    REQUEST_ENTITY_TOO_LARGE,
    SENML_CBOR,
    SENML_ETCH_CBOR,
    SENML_ETCH_JSON,
    SENML_JSON,
    UNAUTHORIZED,
    UNSUPPORTED_CONTENT_FORMAT,
    CoapError,
)
from ..ids import SECURITY
from ..model.tree import MAY_WRITE, WRITABLE
from ..reporting.composite import composite_format, paths_of_body, put_composite
from ..reporting.observations import observe
from .operations import accept_values, store_values

_MOST_PATHS = const(32)  # in a request
_FIRST_BLOCK = const(15)  # the highest Block2 option that asks for it


def serve(session, message, writer, now):
    """Answer FETCH or iPATCH on the root; see dispatch.serve()."""
    number = message.content_format
    # SenML-ETCH (RFC 8790) differs from SenML in the number only
    if number == SENML_ETCH_JSON:
        number = SENML_JSON
    elif number == SENML_ETCH_CBOR:
        number = SENML_CBOR
    form = composite_format(number)
    if not form:
        raise CoapError(UNSUPPORTED_CONTENT_FORMAT)
    if not session.tree.minor:
        raise CoapError(METHOD_NOT_ALLOWED)
    if message.code == IPATCH:
        return write(session, message, form)
    return read(session, message, form, number)


def decode(session, message, form, emit):
    """Let a format call emit(oid, iid, rid, riid, value) for what is in the payload; ValueError where it is malformed."""
    try:
        form.decode_all(message.data, message.start, message.end, session.tree, emit)
    except (IndexError, TypeError, AttributeError):
        raise ValueError


def read(session, message, form, number):
    """Read- and Observe-Composite."""
    if message.start == message.end and message.block2 > _FIRST_BLOCK:
        # the later blocks of an answer are asked for without the payload (RFC 7959 3.3)
        paths = paths_of_body(session, message)
    else:
        paths = []

        def emit(oid, iid, rid, riid, value):
            path = [oid, iid, rid, riid]
            if path not in paths:
                if len(paths) == _MOST_PATHS:
                    raise CoapError(REQUEST_ENTITY_TOO_LARGE)
                paths.append(path)

        decode(session, message, form, emit)
        if not paths:
            raise ValueError
    if message.accept >= 0:
        number = message.accept
    observed = -1
    if message.observe >= 0:
        observed = observe(session, message, paths, number, True)
    try:
        return put_composite(session, message, paths, observed, number)
    except Exception:
        if observed > 0:
            session.observations.pop()
        raise


def write(session, message, form):
    """Write-Composite: all of it, or nothing."""
    values = {}  # {oid: [(iid, rid, value), ...]}, as operations.decode_payload() has them
    decode(
        session,
        message,
        form,
        lambda oid, iid, rid, riid, value: collect(session, values, oid, iid, rid, riid, value),
    )
    for oid in values:
        values[oid] = accept_values(session, oid, values[oid], WRITABLE)
    for oid in values:
        store_values(session, oid, values[oid])
    return CHANGED


def collect(session, values, oid, iid, rid, riid, value):
    """Take one value of a Write-Composite; an instance of a multiple resource goes beside the others."""
    tree = session.tree
    if oid == SECURITY:
        raise CoapError(UNAUTHORIZED)
    if rid < 0 or (value is None and tree.definition(oid, rid)):
        raise ValueError
    if iid not in tree.objects.get(oid, ()):
        raise CoapError(NOT_FOUND)
    session.check_access(oid, iid, MAY_WRITE)
    of_object = values.setdefault(oid, [])
    if riid >= 0:
        for its_iid, its_rid, every in of_object:
            if its_iid == iid and its_rid == rid:
                every[riid] = value
                return
        every = dict(tree.get(oid, iid, rid) or {})
        every[riid] = value
        value = every
    of_object.append((iid, rid, value))
