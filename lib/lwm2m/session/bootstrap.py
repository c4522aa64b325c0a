# Bootstrap (Core 1.1.1 6.1): asked for by the client, or begun by the server
# SPDX-License-Identifier: MIT
from ..coap.numbers import CoapError
from ..formats.link import put_link, version_attribute
from ..management.operations import decode_payload
from .connect import parse_uri
from .session import ON, Session
from ..model.values import format_path
from ..coap.numbers import LINK_FORMAT

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
            c.call_soon(c.register, None)
        else:
            Session.open(self, now)

    def register(self, now):
        if self.client._listening:
            # the server may begin by itself: stay reachable for it
            self.state = ON
            return
        self.state = _ASKING
        self.emit(20)
        if not self.coap:
            return
        q = [b"ep=" + self.client.endpoint.encode()]
        self.coap.request(now, 2, (b"bs",), q, -1, None, self.answered)

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
            if c._listening:
                self.emit(20)
        self.state = ON
        self.due = c.now_s + c.bootstrap_timeout
        c._bootstrap_triggered |= c._listening
        c._listening = False

    def restore(self):
        # all back as it was before the server wrote
        if self.saved:
            self.tree.objects.update(self.saved)
            self.tree.snapshots.clear()
        self.saved = None

    def close(self):
        self.restore()
        Session.close(self)

    def refused(self, event):
        """All back as it was; on with the servers of before, where the bootstrap was not our own idea."""
        c = self.client
        self.restore()
        if c._bootstrap_triggered and c.servers():
            c.call_soon(c.register, self)
            self.emit(event)
        else:
            self.fail(event)

    def keep_object(self, o):
        if o not in self.saved:
            self.saved[o] = saved = {}
            for i, d in self.tree.objects[o].items():
                saved[i] = dict(d)

    def tend(self, now, sec):
        c = self.client
        if self.saved is None:
            if not self.end:
                return -1
            if sec < self.end:
                return min(self.end - sec, 1000) * 1000
            # the account of the bootstrap server ends, as 0/x/12 says (Core 1.1.1 E.1)
            self.tree.delete(0, self.security_iid)
            c.call_soon(c.sessions.remove, self)
            self.close()
            return 0
        if sec >= self.due:
            self.refused(1)
            return 0
        return (self.due - sec) * 1000

    def serve(self, p, w, now):
        t = self.tree
        o, i, r, ri = self.path = p.path
        code = p.code
        if code == 2 and p.name == b"bs":
            return self.finish()
        if o == 2:
            self.client.enable_access_control()
        if p.name or (o >= 0 and o not in t.objects):
            raise CoapError(0x84)
        ct = p.accept
        if code == 1 and ct == LINK_FORMAT:
            self.coap.put_body(p.block2, p.block1, -1, ct, self.discover)
            return 0x45
        if code == 3 and o >= 0:
            self.begin()
            self.write(p, o, i, r, ri)
            return 0x44
        if r >= 0 or (code != 4 and (code != 1 or not 0 < o < 3)):
            raise CoapError(0x85)
        if i >= 0 and i not in t.objects[o]:
            raise CoapError(0x84)
        if code == 1:
            return self.put_content(p, p.path, -1, self.client.default_format if ct < 0 else ct)
        self.begin()
        for x in (o,) if o >= 0 else list(t.objects):
            for y in (i,) if i >= 0 else list(t.objects[x]):
                # the bootstrap server's own account and the device object stay (Core 1.1.1 6.1.7.6)
                if x != 3 and (x or y != self.security_iid):
                    self.keep_object(x)
                    t.delete(x, y)
                elif i >= 0:
                    raise ValueError
        return 0x42

    def write(self, p, o, i, r, ri):
        t = self.tree
        own = o == 0 and r < 0  # until it is known to stay a bootstrap server's
        ids = [i] if i >= 0 else []
        good = []
        for x in decode_payload(self, p, o, i, r, ri, True):
            k, n, v = x
            row = t.definition(o, n)
            if k < 0 or (row and isinstance(v, dict) != bool(row & 0x800)):
                raise ValueError
            if k not in ids:
                ids.append(k)
            if row:
                good.append(x)
            if k == self.security_iid and n == 1 and v:
                own = False
        if own and self.security_iid in ids:
            raise ValueError
        self.keep_object(o)
        for k in ids:
            if k not in t.objects[o] or (r < 0 and o < 2):
                t.create(o, k)
        for k, n, v in good:
            t.store(o, k, n, -1, v)

    def finish(self):
        """Bootstrap-Finish: every server has its security instance and its keys, and there is a server."""
        self.begin()
        c = self.client
        t = self.tree
        self.keep_object(1)
        for i in list(t.objects[1]):
            # what waited for the server's number to come
            if not t.get(1, i, 0):
                t.delete(1, i)
        ids = [t.get(1, i, 0) for _, i, _ in c.servers()]
        good = len(ids) == len(set(ids)) == len(t.objects[1]) > 0
        for d in t.objects[0].values():
            mode = d.get(2, 3)
            try:
                # coaps goes with a mode that has keys, coap with none
                good &= parse_uri(str(d.get(0) or b"", "utf8"), mode != 3)[0] == (mode != 3)
            except ValueError:
                good = False
            if mode == 0 and not (d.get(3) and d.get(5)):
                good = False
        if not good:
            c.call_soon(self.refused, 1)
            raise CoapError(0x86)
        self.emit(3)
        self.saved = None
        self.attempts = self.sequences = 0
        c.call_soon(c.register, self)
        end = t.get(0, self.security_iid, 12)
        self.end = end and c.now_s + end
        return 0x44

    def discover(self, w):
        """Bootstrap-Discover: instances, with `ssid` and `uri` (Core 1.1.1 6.1.7.3)."""
        t = self.tree
        w.put(b"</>;lwm2m=1.%d" % t.minor if t.minor else b'lwm2m="1.0"')
        for o in sorted(t.objects):
            if self.path[0] in (-1, o):
                put_link(w, b"", format_path(o), version_attribute(t, o))
                for i in t.instances(o):
                    more = b""
                    ssid = t.get(o, i, 0 if o else 10)
                    if ssid and (o == 1 or not o and not t.get(0, i, 1)):
                        more = b";ssid=%d" % ssid
                        if not o and t.minor:
                            more += b';uri="%s"' % t.get(0, i, 0)
                    put_link(w, b"", format_path(o, i), more)
