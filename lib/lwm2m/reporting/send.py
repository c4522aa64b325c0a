# Send (Core 1.1.1 6.4.6): values that go to the servers without being asked for
# SPDX-License-Identifier: MIT
from ..coap.numbers import CHANGED, NOT_FOUND, POST, SENML_CBOR, SENML_JSON, TIMED_OUT, CoapError
from ..formats import find_format
from ..formats.senml import walk
from ..ids import MUTE_SEND, SECURITY
from ..model.tree import MAY_READ
from ..model.values import parse_path
from ..port import sys

_MOST = const(4)  # Sends of a session that wait for their turn


def send(client, paths, done=None):
    """Send what stands at `paths` ("/3/0/9", or several of them) to each registered server that does not
    mute it (1/x/23); the number of these. `done(code)` hears of each: 0x44 (2.04) where the server took it,
    another CoAP code, -1 for a reset, -2 when no answer came, 0 where a read function answers later.
    ValueError where there is nothing to send, or too many wait."""
    paths = [parse_path(path) for path in ((paths,) if isinstance(paths, str) else paths)]
    content_format = sending_format(client)
    if not content_format or not is_something(client.tree, paths):
        raise ValueError("nothing to send")
    count = 0
    for session in client.sessions:
        if session.is_registered() and session.minor > 0 and not session.server(MUTE_SEND):
            if len(session.sends) >= _MOST:
                raise ValueError("too many")
            allowed = [path for path in paths if may_read(session, path)]
            if allowed:
                session.sends.append(Send(session, content_format, allowed, done))
                count += 1
    return count


def sending_format(client):
    """The number of the format to send in, 0 where the image has none that holds several paths."""
    for number in (client.default_format, SENML_CBOR, SENML_JSON):
        if hasattr(find_format(number), "encode_all"):
            return number
    return 0


def is_something(tree, paths):
    """Is there a value at one of the paths, and none of them the Security object?"""
    for path in paths:
        if path[0] == SECURITY:
            return False
    found = []
    walk(lambda *value: found.append(True), tree, paths)
    return bool(found)


def may_read(session, path):
    """A server's access control leaves out what it may not read."""
    try:
        if path[0] >= 0:
            session.check_access(path[0], path[1], MAY_READ)
        return True
    except CoapError:
        return False


class Send:
    """A Send to one server: it waits in session.sends for its turn, and stays there until the answer is there."""

    coap = None  # the endpoint that it went out by: only a new connection sends it again
    reported = None  # the cached values that it tells

    def __init__(self, session, content_format, paths, done):
        self.session = session
        self.content_format = content_format
        self.paths = paths
        self.done = done
        # what is sent stays the same in all of its blocks: see Tree.snapshots
        self.snapshot = (self, {}, 0)

    def poll(self, now):
        """Send it, if it is its turn."""
        session = self.session
        if self.coap is session.coap or not session.may_send():
            return
        self.coap = session.coap
        snapshots = session.tree.snapshots
        if self.snapshot not in snapshots:
            snapshots.append(self.snapshot)
        self.coap.request(
            now, POST, (b"dp",), (), self.content_format, self.put_body, self.answered
        )

    def put_body(self, writer):
        tree = self.session.tree
        tree.snapshot = self.snapshot[1]
        if self.reported is None:
            tree.reported = self.reported = []
        tree.reader = self.session.ssid
        try:
            find_format(self.content_format).encode_all(writer, tree, self.paths)
        finally:
            tree.snapshot = tree.reported = tree.reader = None

    def answered(self, code, message):
        session = self.session
        session.sends.remove(self)
        snapshots = session.tree.snapshots
        if self.snapshot in snapshots:
            snapshots.remove(self.snapshot)
        if code == CHANGED and self.reported:
            session.tree.series.sent(self.reported)
        if code == TIMED_OUT or code == NOT_FOUND:
            # perhaps the server has forgotten the registration
            session.want_update()
        if self.done:
            try:
                self.done(code)
            except Exception as error:
                sys.print_exception(error)
