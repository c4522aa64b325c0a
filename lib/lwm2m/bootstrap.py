# Bootstrap (Core 1.1.1 6.1): asked for by the client, or begun by the server
# SPDX-License-Identifier: MIT
from micropython import const

from .coap import CoapError
from .requests import apply, decode
from .session import ASKING, ON, Session
from .tree import join

_LINK = const(40)
_FIRST_SERVER = const(1)


class Bootstrap(Session):
    """A session with the bootstrap server: all of its writes hold when it finishes, or none."""

    bootstrap = True

    def __init__(self, client, sec):
        Session.__init__(self, client, sec)
        self.saved = None  # objects as they were, {object: {instance: {resource: value}}}

    def start(self, delay=None):
        if delay is None:
            delay = self.tree.get(0, self.sec, 11) or 0
        Session.start(self, delay)

    def connected(self, now):
        if self.client.listening:
            # the server may begin by itself: stay reachable for it
            self.state = ON
            return
        self.ask(now)

    def ask(self, now):
        self.state = ASKING
        self.client.emit(20, self.ssid)
        q = [b"ep=" + self.client.endpoint.encode()]
        self.ep.request(now, 2, (b"bs",), q, -1, None, self.accepted)

    def accepted(self, code, p):
        if code == 0x44:
            self.client.emit(2, self.ssid)
            self.begin()
        elif self.state == ASKING:
            self.refused(1)

    def begin(self):
        """The server's writes follow, or have begun."""
        c = self.client
        if self.saved is None:
            self.saved = {}
            if self.state != ASKING:
                c.emit(20, self.ssid)
        self.state = ON
        self.at = c.sec + c.bootstrap_timeout
        c.triggered |= c.listening
        c.listening = False

    def refused(self, event):
        """All back as it was."""
        if self.saved:
            for o in self.saved:
                self.tree.inst[o] = self.saved[o]
            self.tree.memos.clear()
        self.saved = None
        if self.client.restored(self):
            self.client.emit(event, self.ssid)
        else:
            self.fail(event)

    def keep(self, o):
        if o not in self.saved:
            insts = self.tree.inst[o]
            self.saved[o] = {i: dict(insts[i]) for i in insts}

    def work(self, now, sec):
        if self.client.listening or self.saved is None:
            return -1
        if sec >= self.at:
            self.refused(1)
            return 0
        return (self.at - sec) * 1000

    def serve(self, p, w, now):
        t = self.tree
        o, i, r, ri = p.path
        code = p.code
        t.memo = None
        if code == 2 and p.name == b"bs":
            return self.finish(now)
        if p.name or (o >= 0 and o not in t.inst):
            raise CoapError(0x84)
        if code == 1:
            if p.accept == _LINK:
                self.ep.content(p.b2, p.b1, -1, _LINK, lambda w: discover(w, t, o))
                return 0x45
            if o not in (1, 2) or r >= 0:
                raise CoapError(0x85)
            if i >= 0 and i not in t.inst[o]:
                raise CoapError(0x84)
            return self.content(
                p, p.path, -1, p.accept if p.accept >= 0 else self.client.default_format
            )
        if code not in (3, 4) or (code == 3 and o < 0):
            raise CoapError(0x85)
        self.begin()
        if code == 3:
            self.write(p, o, i, r, ri)
            return 0x44
        if r >= 0:
            raise CoapError(0x85)
        if i >= 0 and i not in t.inst[o]:
            raise CoapError(0x84)
        for x in (o,) if o >= 0 else list(t.inst):
            for y in (i,) if i >= 0 else list(t.inst[x]):
                # the bootstrap server's own account and the device object stay (Core 1.1.1 6.1.7.6)
                if x == 3 or (x == 0 and y == self.sec):
                    if i >= 0:
                        raise CoapError(0x80)
                    continue
                self.keep(x)
                t.delete(x, y)
        return 0x42

    def write(self, p, o, i, r, ri):
        t = self.tree
        self.ct = p.ct
        new = decode(self, p, o, i, r, ri, True)
        good = []
        for x in new:
            row = t.row(o, x[1]) if x[1] >= 0 else 0
            if x[0] < 0 or (row and isinstance(x[2], dict) != bool(row & 0x800)):
                raise CoapError(0x80)
            if row:
                good.append(x)
        self.keep(o)
        if r < 0:
            for k in {x[0] for x in new} | ({i} if i >= 0 else set()):
                if (
                    o == 0
                    and k == self.sec
                    and not [x for x in good if x[0] == k and x[1] == 1 and x[2]]
                ):
                    raise CoapError(0x80)
                if k not in t.inst[o] or o in (0, 1):
                    t.create(o, k)
        elif i not in t.inst[o]:
            t.create(o, i)
        apply(self, o, good)

    def finish(self, now):
        self.begin()
        c = self.client
        c.emit(3, self.ssid)
        if not c.consistent():
            c.later(self.refused, 1)
            raise CoapError(0x86)
        self.saved = None
        self.attempts = self.sequences = 0
        c.later(c.register, self)
        return 0x44


def discover(w, t, o):
    """Bootstrap-Discover: instances, with `ssid` and `uri` (Core 1.1.1 6.1.7.3)."""
    from .formats.link import link, version

    w.put(b"</>;lwm2m=1.%d" % t.level if t.level else b'lwm2m="1.0"')
    for x in sorted(t.inst):
        if o in (-1, x):
            link(w, b"", join(x), version(t, x))
            for i in t.instances(x):
                more = b""
                ssid = (
                    t.get(x, i, 10 if x == 0 else 0)
                    if x < 2 and not t.get(0, i, 1) or x == 1
                    else None
                )
                if ssid:
                    more = b";ssid=%d" % ssid
                if x == 0 and ssid and t.level:
                    more += b';uri="%s"' % t.get(0, i, 0)
                link(w, b"", join(x, i), more)
