# A server's request becomes an operation (Core 1.1.1 6.3)
# SPDX-License-Identifier: MIT
from ..coap.numbers import (
    CHANGED,
    DELETE,
    FETCH,
    GET,
    IPATCH,
    LINK_FORMAT,
    METHOD_NOT_ALLOWED,
    NOT_FOUND,
    OPAQUE_FORMAT,
    POST,
    PUT,
    UNAUTHORIZED,
    CoapError,
)
from ..ids import SECURITY
from ..model.tree import EXECUTABLE, MAY_READ, MULTIPLE, ON_OPEN, ON_STREAM, READABLE, WRITABLE
from ..model.values import OPAQUE, TYPE_MASK, format_path
from ..reporting.attributes import write_attributes
from ..reporting.attributes import check_readable
from ..reporting.observations import observe, reapply_attributes
from .discover import discover
from .operations import check_write, create, delete, execute, write


def serve(session, message, writer, now):
    """Answer a request of a session: write options and payload, return the response code. A refusal is a CoapError,
    a malformed request a ValueError."""
    session.tree.snapshot = None
    method = message.code
    if message.path[0] < 0 and message.name is None and (method == FETCH or method == IPATCH):
        try:
            from .composite import serve as serve_composite
        except ImportError:
            raise CoapError(METHOD_NOT_ALLOWED)
        session.tree.minor = session.minor
        return serve_composite(session, message)
    definition = find_target(session, message)
    if method == GET:
        return get(session, message, writer, definition)
    if method == PUT:
        return put(session, message, definition)
    if method == POST:
        return post(session, message, writer, definition)
    return delete(session, message, definition)


def stream_function(session, message):
    """The function(offset, data, more) that takes the opaque resource of a PUT as it comes, block by block, or
    None; refuses what would be refused if it came as a whole."""
    oid, iid, rid, riid = message.path
    if message.code != PUT or rid < 0 or message.query:
        return None
    opener = session.tree.hook(ON_OPEN, oid, iid, rid)
    function = None
    if message.content_format == OPAQUE_FORMAT:
        function = session.tree.hook(ON_STREAM, oid, iid, rid)
    if not (opener or function):
        return None
    definition = find_target(session, message)
    check_write(session, message, definition)
    if definition & TYPE_MASK != OPAQUE or bool(definition & MULTIPLE) != (riid >= 0):
        return None  # put together first, and then refused
    path = format_path(oid, iid, rid, riid)
    if opener:
        from ..formats.stream import unwrap

        return unwrap(message.content_format, path.encode(), opener(session))
    return lambda offset, data, more: function(path, offset, data, more)


def find_target(session, message):
    """The definition of the resource that a request is about, of an object or an instance what may be done with
    some of them; refuses what is not there, and object 0."""
    tree = session.tree
    tree.minor = session.minor  # another server may have another version
    oid, iid, rid, _ = message.path
    if message.name is not None or (oid > SECURITY and oid not in tree.objects):
        raise CoapError(NOT_FOUND)
    if oid == SECURITY:
        raise CoapError(UNAUTHORIZED)
    if oid < 0 or message.code > DELETE:
        raise CoapError(METHOD_NOT_ALLOWED)
    if iid >= 0 and iid not in tree.objects[oid]:
        raise CoapError(NOT_FOUND)
    if rid < 0:
        return READABLE | WRITABLE
    definition = tree.definition(oid, rid)
    # a version hides what it does not know, except that 1/x/9 may always be executed
    if not definition or not (tree.in_version(oid, definition) or definition & EXECUTABLE):
        raise CoapError(NOT_FOUND)
    return definition


def get(session, message, writer, definition):
    """Read, Observe or Discover (Core 1.1.1 6.3.1, 6.4.1, 6.3.2)."""
    if message.accept == LINK_FORMAT:
        return discover(session, message, writer)
    oid, iid, rid, riid = message.path
    session.check_access(oid, iid, MAY_READ)
    check_readable(session.tree, oid, iid, rid, riid, definition)
    number = message.accept
    if number < 0:
        number = session.client.default_format
    observed = -1
    if message.observe >= 0:
        observed = observe(session, message, [message.path[:]], number)
    try:
        return session.put_content(message, message.path, observed, number)
    except Exception:
        if observed > 0:
            session.observations.pop()
        raise


def put(session, message, definition):
    """Write in place of what is there, or Write-Attributes (Core 1.1.1 6.3.3, 6.3.4)."""
    if not message.query:
        return write(session, message, definition, True)
    oid, iid, rid, riid = message.path
    session.check_access(oid, iid, MAY_READ)
    if riid >= 0:
        check_readable(session.tree, oid, iid, rid, riid, READABLE)
    if message.start < message.end:
        raise ValueError
    write_attributes(session, message, definition)
    reapply_attributes(session)
    return CHANGED


def post(session, message, writer, definition):
    """Create, Execute, or Write beside what is there (Core 1.1.1 6.3.6, 6.3.5, 6.3.3)."""
    _, iid, rid, _ = message.path
    if iid < 0:
        return create(session, message, writer)
    if rid >= 0 and (definition & EXECUTABLE or not definition & MULTIPLE):
        return execute(session, message, definition)
    return write(session, message, definition, False)
