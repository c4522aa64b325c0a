# What stands at several paths, as one body: for Read-Composite and Observe-Composite (Core 1.1.1 6.3.8, 6.4.4)
# SPDX-License-Identifier: MIT
from ..coap.numbers import (
    CONTENT,
    NOT_ACCEPTABLE,
    NOT_FOUND,
    SZX_MASK,
    CoapError,
)
from ..formats import find_format
from ..ids import SECURITY
from ..model.tree import MAY_READ, READABLE, Later
from .attributes import check_readable

_MOST_BODIES = const(3)
_LENGTH = const(4)  # of a path


class Body:
    """A body of which a server has had a block: it asks for the later ones without saying the paths again
    (RFC 7959 3.3), on a token of its own perhaps."""

    def __init__(self, paths, token):
        self.paths = paths
        self.token = token
        self.start = self.end = 0  # offsets: of the block sent last, and behind it


def composite_format(number):
    """The module of a content format, if it can hold several paths; None otherwise."""
    found = find_format(number)
    return found if hasattr(found, "encode_all") else None


def paths_of_body(session, message):
    """The paths of the body that a FETCH without payload asks for a later block of."""
    szx = message.block2 & SZX_MASK
    offset = message.block2 >> 4 << szx + 4
    found = None
    for body in session.bodies:
        if offset == body.start or offset == body.end:
            if not found or found.token != message.token:
                found = body
    if not found:
        raise ValueError
    return found.paths


def take_down_block(session, paths, token, writer):
    """Remember which body the block just written belongs to, where more of it is to come."""
    body = None
    for known in session.bodies:
        if known.paths is paths:
            body = known
    if not body:
        if writer.written <= writer.window_end:
            return
        body = Body(paths, token)
        session.bodies = session.bodies[1 - _MOST_BODIES :] + (body,)
    body.start = writer.window_start
    body.end = writer.window_end


def put_composite(session, message, paths, observe, content_format, block2=-1, token=None):
    """Write what can be read of `paths`, as a response to `message` (4.04 where it is nothing) or, with the token
    of the observation, a notification; 2.05."""
    form = composite_format(content_format)
    if not form:
        raise CoapError(NOT_ACCEPTABLE)
    tree = session.tree
    found = readable(session, paths)
    if not found and message and not names_object(tree, paths):
        raise CoapError(NOT_FOUND)
    block1 = -1
    if message:
        block1 = message.block1
        block2 = message.block2
        token = message.token
    session.path = found
    session.coap.put_body(
        block2,
        block1,
        observe,
        content_format,
        lambda writer: form.encode_all(writer, tree, found),
    )
    take_down_block(session, paths, token, session.coap.writer)
    return CONTENT


def names_object(tree, paths):
    """Is one of them above the instances? Then there may be none without its being an error."""
    for path in paths:
        if path[1] < 0 and (path[0] < 0 or path[0] in tree.objects and path[0] != SECURITY):
            return True
    return False


def readable(session, paths):
    """Of the paths those that are there, may be read and are not below one of the others; of a path above the
    instances all of these."""
    tree = session.tree
    found = []
    for oid, iid, rid, riid in paths:
        for its_oid in tree.objects if oid < 0 else (oid,):
            if its_oid == SECURITY or its_oid not in tree.objects:
                continue
            for its_iid in tree.instances(its_oid) if iid < 0 else (iid,):
                if is_readable(session, its_oid, its_iid, rid, riid):
                    found.append([its_oid, its_iid, rid, riid])
    last = [SECURITY]
    kept = []
    for path in sorted(found):
        depth = _LENGTH - last.count(-1)
        if path[:depth] != last[:depth]:
            last = path
            kept.append(path)
    return kept


def is_readable(session, oid, iid, rid, riid):
    """May this path be read, and is it there? Later where its function answers later."""
    tree = session.tree
    definition = READABLE
    if rid >= 0:
        definition = tree.definition(oid, rid)
        if not tree.in_version(oid, definition):
            return False
    try:
        # the right comes first: a function may do something when it is asked
        session.check_access(oid, iid, MAY_READ)
        check_readable(tree, oid, iid, rid, riid, definition)
    except Later:
        raise
    except CoapError:
        return False
    return True
