# Write, Execute, Create and Delete (Core 1.1.1 6.3): all of it is checked before anything is done
# SPDX-License-Identifier: MIT
from ..coap.numbers import (
    CHANGED,
    CREATED,
    DELETED,
    LOCATION_PATH,
    METHOD_NOT_ALLOWED,
    NOT_FOUND,
    TEXT,
    TLV,
    UNSUPPORTED_CONTENT_FORMAT,
    CoapError,
)
from ..formats import find_format
from ..ids import ABSENT, HIGHEST_ID, SERVER
from ..model.tree import (
    EXECUTABLE,
    MANDATORY,
    MANDATORY_OBJECT,
    MAY_CREATE,
    MAY_DELETE,
    MAY_EXECUTE,
    MAY_WRITE,
    MULTIPLE,
    ON_CREATE,
    ON_DELETE,
    ON_EXECUTE,
    ON_WRITE,
    READABLE,
    SEVERAL_INSTANCES,
    VALIDATE,
    WRITABLE,
)
from ..model.values import to_native
from ..reporting.attributes import check_readable


def execute(session, message, definition):
    """Execute a resource."""
    oid, iid, rid, riid = message.path
    if not definition & EXECUTABLE or riid >= 0:
        raise CoapError(METHOD_NOT_ALLOWED)
    if message.content_format > TEXT:
        raise CoapError(UNSUPPORTED_CONTENT_FORMAT)
    session.check_access(oid, iid, MAY_EXECUTE)
    arguments = bytes(memoryview(message.data)[message.start : message.end])
    check_arguments(arguments)
    function = session.tree.call_hook(ON_EXECUTE, oid, iid, rid, arguments)
    if oid == SERVER:
        session.client._run_command(iid, rid)
    elif not function:
        raise CoapError(NOT_FOUND)
    return CHANGED


def check_arguments(text):
    """Refuse what is not a list of digit [= 'text'], by commas (Core 1.1.1 6.3.5)."""
    while text:
        end = 1
        if text[1:3] == b"='":
            end = text.find(b"'", 3) + 1
        rest = text[end:]
        if not end or not text[:1].isdigit() or rest == b"," or rest[:1] not in b",":
            raise ValueError
        text = rest[1:]


def decode_payload(session, message, oid, iid, rid, riid, replace):
    """The values in a payload, as [(iid, rid, value), ...], rid -1 for an instance alone. A value is None where the
    tables have no such resource; that of a multiple resource is {riid: value}, with what there is already unless
    that is replaced."""
    number = message.content_format
    if number < 0:
        number = TEXT if rid >= 0 else TLV
    form = find_format(number)
    if not form:
        raise CoapError(UNSUPPORTED_CONTENT_FORMAT)
    values = []
    keep = not replace or riid >= 0

    def emit(iid, rid, riid, value):
        if riid < 0 and value != {}:
            values.append((iid, rid, value))
            return
        if not values or values[-1][:2] != (iid, rid):
            old = keep and session.tree.get(oid, iid, rid)
            values.append((iid, rid, dict(old or {})))
        if riid >= 0:
            values[-1][2][riid] = value

    try:
        form.decode(
            message.data, message.start, message.end, session.tree, oid, iid, rid, riid, emit
        )
    except (IndexError, TypeError, AttributeError):
        raise ValueError
    return values


def check_write(session, message, definition):
    """Refuse a write of what is not writable, or not for this server."""
    oid, iid, rid, _ = message.path
    if iid < 0 or not definition & WRITABLE:
        raise CoapError(METHOD_NOT_ALLOWED)
    if rid < 0 and message.start == message.end and message.content_format < 0:
        raise ValueError  # neither a write nor attributes
    session.check_access(oid, iid, MAY_WRITE)


def write(session, message, definition, replace):
    """Write an instance, a resource or a resource instance, in place of what is there or beside it."""
    oid, iid, rid, riid = message.path
    check_write(session, message, definition)
    stream = session.stream_function(message)
    if stream:
        code = stream(0, memoryview(message.data)[message.start : message.end], 0)
        if code:
            raise CoapError(code)
        return CHANGED
    values = decode_payload(session, message, oid, iid, rid, riid, replace)
    if replace and rid >= 0 and not values:
        # all instances of a multiple resource go; of a single one that is refused below
        values = [(iid, rid, {})]
    accepted = accept_values(session, oid, values, WRITABLE)
    if replace and rid < 0:
        remove_others(session.tree, oid, iid, values)
    store_values(session, oid, accepted)
    return CHANGED


def remove_others(tree, oid, iid, values):
    """Remove what an instance that is replaced does not have any more; what it must have stays (Core 1.1.1 6.3.3)."""
    others = set(tree.objects[oid][iid])
    for _, rid, _ in values:
        others.discard(rid)
    for rid in others:
        if tree.definition(oid, rid) & (WRITABLE | MANDATORY) == WRITABLE:
            tree.store(oid, iid, rid, ABSENT, None)


def accept_values(session, oid, values, access):
    """The values, [(iid, rid, value), ...], as they are to be stored; refuses them all where the server has no
    `access` to one, or the application does not want it."""
    tree = session.tree
    accepted = []
    for iid, rid, value in values:
        if rid < 0:
            continue
        if not is_known(tree, oid, rid):
            raise CoapError(NOT_FOUND)
        definition = tree.definition(oid, rid)
        if not definition & access:
            raise CoapError(METHOD_NOT_ALLOWED)
        if isinstance(value, dict) != bool(definition & MULTIPLE):
            raise ValueError
        accepted.append((iid, rid, session.client._accept_value(oid, rid, value)))
        tree.call_hook(VALIDATE, oid, iid, rid, to_native(definition, value))
    for iid, rid, value in accepted:
        tree.call_hook(ON_WRITE, oid, iid, rid, to_native(tree.definition(oid, rid), value))
    return accepted


def is_known(tree, oid, rid):
    """Does the version of the object that is registered have such a resource?"""
    definition = tree.definition(oid, rid)
    return definition and tree.in_version(oid, definition)


def store_values(session, oid, values):
    """Store what accept_values() gave, and tell those who want to know what a server wrote."""
    for iid, rid, value in values:
        session.tree.store(oid, iid, rid, ABSENT, value)
        if not session.bootstrap:
            session.client._resource_written(oid, iid, rid, value)


def create(session, message, writer):
    """Create instances, with the ids that the payload names or the next one that is free: all or none."""
    tree = session.tree
    client = session.client
    oid = message.path[0]
    flags = tree.find(oid)
    instances = tree.objects[oid]
    session.check_access(oid, ABSENT, MAY_CREATE)
    if oid == SERVER:
        raise CoapError(METHOD_NOT_ALLOWED)
    if not flags & SEVERAL_INSTANCES and (flags & MANDATORY_OBJECT or instances):
        raise CoapError(METHOD_NOT_ALLOWED)
    values = []
    if message.end > message.start:
        values = decode_payload(session, message, oid, ABSENT, ABSENT, ABSENT, True)
    ids = ids_to_create(values, instances)
    if len(ids) > 1 and not flags & SEVERAL_INSTANCES:
        raise ValueError
    if len(instances) + len(ids) > client.max_instances:
        raise ValueError
    # optional resources that are not there are passed over (Core 1.0.2 5.4.6)
    values = [
        (ids[0] if iid == ABSENT else iid, rid, value)
        for iid, rid, value in values
        if is_known(tree, oid, rid)
    ]
    made = {iid: {} for iid in ids}
    for iid, rid, value in accept_values(session, oid, values, READABLE | WRITABLE):
        made[iid][rid] = value
    for iid in ids:
        check_complete(tree, oid, made[iid])
    create_all(tree, oid, ids, made)
    for iid in ids:
        if client.access:
            client.access.created(session, oid, iid)
    if len(ids) == 1:
        for segment in client._root:
            writer.option(LOCATION_PATH, segment)
        for number in oid, ids[0]:
            writer.option(LOCATION_PATH, b"%d" % number)
    return CREATED


def ids_to_create(values, instances):
    """The ids of the instances that values, as decode_payload() gives them, are for, none of which may be there;
    those without an id are for the one that has one, or for the next one that is free."""
    ids = []
    for iid, _, _ in values:
        if iid != ABSENT and iid not in ids:
            if iid in instances or iid > HIGHEST_ID:
                raise ValueError
            ids.append(iid)
    if not ids:
        free = 0
        while free in instances:
            free += 1
        return [free]
    if len(ids) > 1 and ABSENT in [iid for iid, _, _ in values]:
        raise ValueError
    return ids


def create_all(tree, oid, ids, made):
    """Create instances with the values {iid: {rid: value}}, unless the application refuses one of them."""
    done = []
    try:
        for iid in ids:
            tree.create(oid, iid, made[iid])
            done.append(iid)
            tree.call_hook(ON_CREATE, oid, iid, ABSENT, None)
    except CoapError:
        for iid in done:
            tree.delete(oid, iid)
        raise


def check_complete(tree, oid, values):
    """Refuse {rid: value} that lacks what a new instance must have, and only a server could give."""
    given_by_server = MANDATORY | WRITABLE | READABLE
    for rid, definition in tree.definitions(oid):
        if definition & given_by_server == given_by_server and rid not in values:
            raise ValueError


def delete(session, message, definition):
    """Delete an instance, or an instance of a resource (LwM2M 1.1)."""
    oid, iid, rid, riid = message.path
    tree = session.tree
    if rid >= 0:
        if riid < 0 or not definition & WRITABLE or not tree.minor:
            raise CoapError(METHOD_NOT_ALLOWED)
        check_readable(tree, oid, iid, rid, riid, READABLE)
        session.check_access(oid, iid, MAY_WRITE)
        tree.store(oid, iid, rid, riid, None)
        return DELETED
    if iid < 0 or oid == SERVER or not tree.find(oid) & SEVERAL_INSTANCES:
        raise CoapError(METHOD_NOT_ALLOWED)
    session.check_access(oid, iid, MAY_DELETE)
    tree.call_hook(ON_DELETE, oid, iid, ABSENT, None)
    tree.delete(oid, iid)
    if session.client.access:
        session.client.access.deleted(oid, iid)
    return DELETED
