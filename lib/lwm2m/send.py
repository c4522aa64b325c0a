# Send (Core 1.1.1 6.4.6): values that go to the servers without being asked for
# SPDX-License-Identifier: MIT
from micropython import const

from .coap.message import CoapError
from .formats import find
from .session import ON
from .tree import split

_MOST = const(4)  # Sends of a session that wait for their turn


class Send:
    """One Send to one server: it waits in session.sends until its answer is there."""

    def __init__(self, s, fmt, ct, paths, done):
        self.s = s
        self.fmt = fmt
        self.ct = ct
        self.paths = paths
        self.done = done
        self.ep = None
        # what is sent stays the same in all of its blocks: see Tree.memos
        self.memo = (self, {}, 0)
        self.used = None

    def poll(self, now):
        ep = self.s.ep
        # it is on its way as long as the session has not begun anew
        if self.ep is not ep and not ep.busy():
            self.ep = ep
            self.s.tree.memos.append(self.memo)
            try:
                ep.request(now, 2, (b"dp",), (), self.ct, self.body, self.answered)
            except CoapError as e:
                self.answered(e.args[0], None)

    def body(self, w):
        t = self.s.tree
        t.memo = self.memo[1]
        if self.used is None:
            self.used = t.used = []
        try:
            self.fmt.encode_all(w, t, self.paths)
        finally:
            t.memo = t.used = None

    def answered(self, code, p):
        s = self.s
        t = s.tree
        s.sends.remove(self)
        if self.memo in t.memos:
            t.memos.remove(self.memo)
        if code == 0x44 and self.used:
            t.series.sent(self.used)
        if code == -2:
            s.lost()
        if self.done:
            self.done(code)


def send(client, paths, done=None):
    """Send what stands at `paths` ("/3/0/9", or several of them) to each registered server that does not
    mute it (1/x/23); the number of these. `done(code)` hears of each: 0x44 (2.04) where the server took it,
    another CoAP code, -1 for a reset, -2 when no answer came. ValueError where there is nothing to send or
    too many wait."""
    t = client.tree
    paths = [split(x) for x in ((paths,) if isinstance(paths, str) else paths)]
    ct = client.default_format
    for ct in (ct, 112, 110):
        fmt = find(ct)
        if hasattr(fmt, "encode_all"):
            break
    else:
        raise ValueError("no format")
    found = []
    for x in paths:
        if not x[0]:
            raise ValueError("object 0")
    from .formats.senml import walk

    walk((lambda x, *_: found.append(0), None), t, paths)
    if not found:
        raise ValueError("nothing to send")
    n = 0
    for s in client.sessions:
        if s.state == ON and not s.bootstrap and s.level > 0 and not s.account(23):
            if len(s.sends) >= _MOST:
                raise ValueError("too many")
            s.sends.append(Send(s, fmt, ct, paths, done))
            n += 1
    return n
