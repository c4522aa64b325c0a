# Bootstrap (Core 1.1.1 6.1): asked for by the client, or begun by the server
# SPDX-License-Identifier: MIT
from .coap import CoapError
from .requests import decode, link, version
from .session import ON, Session, address
from .tree import join

_LINK = const(40)
_FAILED = const(4)
_ASKING = const(7)


class Bootstrap(Session):
    """A session with the bootstrap server: all of its writes hold when it finishes, or none."""

    bootstrap = True
    saved = None  # objects as they were, {object: {instance: {resource: value}}}, once the server writes
    end = None  # seconds, when the server's account ends

    def open(self, now):
        c = self.client
        if self.state == _FAILED and c.servers():
            # no bootstrap server was to be had: perhaps the servers that are known take the client by now
            c.later(c.register, None)
        else:
            Session.open(self, now)

    def ask(self, now):
        if self.client.listening:
            # the server may begin by itself: stay reachable for it
            self.state = ON
            return
        self.state = _ASKING
        self.emit(20)
        if not self.ep:
            return
        q = [b"ep=" + self.client.endpoint.encode()]
        self.ep.request(now, 2, (b"bs",), q, -1, None, self.answered)

    def answered(self, code, p):
        if code == 0x44:
            self.emit(2)
            self.begin()
        elif self.saved is None:
            self.refused(1)

    def begin(self):
        """The server's writes follow, or have begun."""
        c = self.client
        if self.saved is None:
            self.saved = {}
            if c.listening:
                self.emit(20)
        self.state = ON
        self.at = c.sec + c.bootstrap_timeout
        c.triggered |= c.listening
        c.listening = False

    def restore(self):
        # all back as it was before the server wrote
        if self.saved:
            self.tree.inst.update(self.saved)
            self.tree.memos.clear()
        self.saved = None

    def close(self):
        self.restore()
        Session.close(self)

    def refused(self, event):
        """All back as it was; on with the servers of before, where the bootstrap was not our own idea."""
        c = self.client
        self.restore()
        if c.triggered and c.servers():
            c.later(c.register, self)
            self.emit(event)
        else:
            self.fail(event)

    def keep(self, o):
        if o not in self.saved:
            self.saved[o] = saved = {}
            for i, d in self.tree.inst[o].items():
                saved[i] = dict(d)

    def work(self, now, sec):
        c = self.client
        if self.saved is None:
            if not self.end:
                return -1
            if sec < self.end:
                return min(self.end - sec, 1000) * 1000
            # the account of the bootstrap server ends, as 0/x/12 says (Core 1.1.1 E.1)
            self.tree.delete(0, self.sec)
            c.later(c.sessions.remove, self)
            self.close()
            return 0
        if sec >= self.at:
            self.refused(1)
            return 0
        return (self.at - sec) * 1000

    def serve(self, p, w, now):
        t = self.tree
        o, i, r, ri = self.path = p.path
        code = p.code
        if code == 2 and p.name == b"bs":
            return self.finish()
        if o == 2:
            self.client.guard()
        if p.name or (o >= 0 and o not in t.inst):
            raise CoapError(0x84)
        ct = p.accept
        if code == 1 and ct == _LINK:
            self.ep.content(p.b2, p.b1, -1, ct, self.discover)
            return 0x45
        if code == 3 and o >= 0:
            self.begin()
            self.write(p, o, i, r, ri)
            return 0x44
        if r >= 0 or (code != 4 and (code != 1 or not 0 < o < 3)):
            raise CoapError(0x85)
        if i >= 0 and i not in t.inst[o]:
            raise CoapError(0x84)
        if code == 1:
            return self.content(p, p.path, -1, self.client.default_format if ct < 0 else ct)
        self.begin()
        for x in (o,) if o >= 0 else list(t.inst):
            for y in (i,) if i >= 0 else list(t.inst[x]):
                # the bootstrap server's own account and the device object stay (Core 1.1.1 6.1.7.6)
                if x != 3 and (x or y != self.sec):
                    self.keep(x)
                    t.delete(x, y)
                elif i >= 0:
                    raise ValueError
        return 0x42

    def write(self, p, o, i, r, ri):
        t = self.tree
        own = o == 0 and r < 0  # until it is known to stay a bootstrap server's
        ids = [i] if i >= 0 else []
        good = []
        for x in decode(self, p, o, i, r, ri, True):
            k, n, v = x
            row = t.row(o, n)
            if not 0 <= k < 65535 or (row and isinstance(v, dict) != bool(row & 0x800)):
                raise ValueError
            if k not in ids:
                ids.append(k)
            if row:
                good.append(x)
            if k == self.sec and n == 1 and v:
                own = False
        if own and self.sec in ids:
            raise ValueError
        self.keep(o)
        for k in ids:
            if k not in t.inst[o] or (r < 0 and o < 2):
                t.create(o, k)
        for k, n, v in good:
            t.put(o, k, n, -1, v)

    def finish(self):
        """Bootstrap-Finish: every server has its security instance and its keys, and there is a server."""
        self.begin()
        c = self.client
        t = self.tree
        self.keep(1)
        for i in list(t.inst[1]):
            # what waited for the server's number to come
            if not t.get(1, i, 0):
                t.delete(1, i)
        ids = [t.get(1, i, 0) for _, i, _ in c.servers()]
        good = len(ids) == len(set(ids)) == len(t.inst[1]) > 0
        for d in t.inst[0].values():
            mode = d.get(2, 3)
            try:
                # coaps goes with a mode that has keys, coap with none
                good &= address(str(d.get(0) or b"", "utf8"), mode != 3)[0] == (mode != 3)
            except ValueError:
                good = False
            if mode == 0 and not (d.get(3) and d.get(5)):
                good = False
        if not good:
            c.later(self.refused, 1)
            raise CoapError(0x86)
        self.emit(3)
        self.saved = None
        self.attempts = self.sequences = 0
        c.later(c.register, self)
        end = t.get(0, self.sec, 12)
        self.end = end and c.sec + end
        return 0x44

    def discover(self, w):
        """Bootstrap-Discover: instances, with `ssid` and `uri` (Core 1.1.1 6.1.7.3)."""
        t = self.tree
        w.put(b"</>;lwm2m=1.%d" % t.level if t.level else b'lwm2m="1.0"')
        for o in sorted(t.inst):
            if self.path[0] in (-1, o):
                link(w, b"", join(o), version(t, o))
                for i in t.instances(o):
                    more = b""
                    ssid = t.get(o, i, 0 if o else 10)
                    if ssid and (o == 1 or not o and not t.get(0, i, 1)):
                        more = b";ssid=%d" % ssid
                        if not o and t.level:
                            more += b';uri="%s"' % t.get(0, i, 0)
                    link(w, b"", join(o, i), more)
