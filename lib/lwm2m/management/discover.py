# Discover: the path and what is under it, with the attributes that this server gave (Core 1.1.1 6.3.2)
# SPDX-License-Identifier: MIT
from ..coap.numbers import CONTENT, LINK_FORMAT, METHOD_NOT_ALLOWED, NOT_FOUND, CoapError
from ..formats.link import put_link, version_attribute
from ..ids import ABSENT, SERVER
from ..model.tree import EXECUTABLE, MAY_READ, MULTIPLE, ON_EXECUTE, ON_READ
from ..model.values import format_path
from ..reporting.attributes import NAMES, attribute_at

_ANY_DEPTH = const(-1)
_RESOURCE_INSTANCE = const(3)  # ids above the last one in the path of a resource instance


def discover(session, message, writer):
    """Answer a Discover."""
    oid, only, rid, riid = message.path
    tree = session.tree
    if riid >= 0:
        raise CoapError(METHOD_NOT_ALLOWED)

    def put_path(iid, rid, riid, more=b""):
        path = [oid, iid, rid, riid]
        # the path that was asked for has the attributes that it inherits, too
        depth = _RESOURCE_INSTANCE - path.count(ABSENT)
        more += attributes_text(session, path, _ANY_DEPTH if path == message.path else depth)
        put_link(writer, session.client._root_path, format_path(oid, iid, rid, riid), more)

    def put_resource(iid, its_rid, definition):
        value = None
        if definition & MULTIPLE and may_read(session, oid, iid):
            value = tree.read(oid, iid, its_rid)
        put_path(iid, its_rid, ABSENT, b"" if value is None else b";dim=%d" % len(value))
        if rid >= 0 and value and tree.minor:
            for its_riid in sorted(value):
                put_path(iid, its_rid, its_riid)

    def put_all(_):
        if only < 0:
            put_path(ABSENT, ABSENT, ABSENT, version_attribute(tree, oid))
        for iid in tree.instances(oid) if only < 0 else (only,):
            if rid < 0:
                put_path(iid, ABSENT, ABSENT)
            for its_rid, definition in tree.definitions(oid):
                if (rid < 0 or rid == its_rid) and is_there(tree, oid, iid, its_rid, definition):
                    put_resource(iid, its_rid, definition)

    session.path = message.path
    session.coap.put_body(message.block2, message.block1, -1, LINK_FORMAT, put_all)
    if not writer.written:
        raise CoapError(NOT_FOUND)
    return CONTENT


def may_read(session, oid, iid):
    """A Discover needs no right, but what is in a resource is for who may read it."""
    try:
        session.check_access(oid, iid, MAY_READ)
    except CoapError:
        return False
    return True


def is_there(tree, oid, iid, rid, definition):
    """A resource is there by its value, or by a function that reads or executes it."""
    if not tree.in_version(oid, definition):
        return False
    if tree.shows(oid, iid, rid) or tree.hook(ON_READ, oid, iid, rid):
        return True
    if not definition & EXECUTABLE:
        return False
    return oid == SERVER or tree.hook(ON_EXECUTE, oid, iid, rid) is not None


def attributes_text(session, path, depth):
    """The attributes in force at a path, from levels with more than `depth` ids, as a link has them."""
    text = b""
    for name in NAMES if session.attributes else ():
        value = attribute_at(session, path, name, depth)
        if value is not None:
            number = str(int(value) if value == int(value) else value)
            text += b";%s=%s" % (name.encode(), number.encode())
    return text
