# Read-, Write- and Observe-Composite (Core 1.1.1 6.3.8, 6.3.9, 6.4.4; RFC 8132): several paths in one request
# SPDX-License-Identifier: MIT
from ..coap.numbers import (
    CHANGED,
    FETCH,
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

_PATHS = const(32)  # in a request
_FIRST_NUMBER = const(16)  # a Block2 value from here on asks for a later block


def serve(session, message):
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
    if message.code == FETCH:
        return read(session, message, form, number)
    return write(session, message, form)


def decode(session, message, form, emit):
    """Call emit(oid, iid, rid, riid, value) for each value, or path, in the payload."""
    try:
        form.decode_all(message.data, message.start, message.end, session.tree, emit)
    except (IndexError, TypeError, AttributeError):
        raise ValueError


def read(session, message, form, number):
    """Read or observe several paths; the answer is in the format of the request, unless it accepts another."""
    paths = []

    def emit(oid, iid, rid, riid, value):
        path = [oid, iid, rid, riid]
        if path not in paths:
            if len(paths) == _PATHS:
                raise CoapError(REQUEST_ENTITY_TOO_LARGE)
            paths.append(path)

    if message.start == message.end and message.block2 >= _FIRST_NUMBER:
        # the later blocks of an answer are asked for without the payload (RFC 7959 3.3)
        paths = paths_of_body(session, message)
    else:
        decode(session, message, form, emit)
    if not paths:
        raise ValueError
    if message.accept >= 0:
        number = message.accept
    observed = observe(session, message, paths, number, True) if message.observe >= 0 else -1
    try:
        return put_composite(session, message, paths, observed, number)
    except Exception:
        if observed > 0:
            session.observations.pop()
        raise


def write(session, message, form):
    """Write all of the values in a payload, or none of them; nothing is created."""
    tree = session.tree
    values = {}  # {oid: [(iid, rid, value), ...]}, as decode_payload() gives them for one object

    def emit(oid, iid, rid, riid, value):
        if oid == SECURITY:
            raise CoapError(UNAUTHORIZED)
        if rid < 0 or (value is None and tree.definition(oid, rid)):
            raise ValueError
        if iid not in tree.objects.get(oid, ()):
            raise CoapError(NOT_FOUND)
        session.check_access(oid, iid, MAY_WRITE)
        of_object = values.setdefault(oid, [])
        if riid >= 0:
            for its_iid, its_rid, items in of_object:
                if its_iid == iid and its_rid == rid:
                    items[riid] = value
                    return
            # beside the instances that there are
            items = dict(tree.get(oid, iid, rid) or {})
            items[riid] = value
            value = items
        of_object.append((iid, rid, value))

    decode(session, message, form, emit)
    for oid in values:
        values[oid] = accept_values(session, oid, values[oid], WRITABLE)
    for oid in values:
        store_values(session, oid, values[oid])
    return CHANGED
