# One server: connect, register, update, de-register, and what to do when that fails (Core 1.1.1 6.2)
# SPDX-License-Identifier: MIT
from micropython import const

from .coap.endpoint import Endpoint
from .coap import CoapError
from .formats import find
from .observe import poll as notifications
from .observe import rejected
from .port import ticks_diff
from .requests import serve

# states
IDLE = const(0)
WAITING = const(1)  # until self.at
CONNECTING = const(2)
ASKING = const(3)  # the registration, or the bootstrap request, is under way
ON = const(4)
LEAVING = const(5)
FAILED = const(6)  # the sequence of attempts is over; WAITING otherwise

# what an update is to say
LIFETIME = const(1)
BINDING = const(2)
OBJECTS = const(4)
FORCED = const(8)

_SEQUENCE = ((17, 5), (18, 60), (19, 86400), (20, 0))


class Session:
    """The client's side of one server account: security instance `sec`, server instance `srv`."""

    bootstrap = disabled = asleep = False
    next = None
    heard = 0  # seconds, when the server was last heard or spoken to: the awake window begins
    paths = None  # of a composite observation
    max_body = 8192  # the longest body that is put together from blocks

    def __init__(self, client, sec, srv=-1):
        self.client = client
        self.tree = client.tree
        self.sec = sec
        self.srv = srv
        self.ssid = client.tree.get(1, srv, 0) or client.tree.get(0, sec, 10) or 0
        self.state = IDLE
        self.at = 0
        self.attempts = self.sequences = 0
        self.ep = self.sock = self.tls = self.kept = None
        self.location = ()
        self.expires = 0
        self.what = 0
        self.later = []
        self.observed = []
        self.groups = ()  # composite observations
        self.sends = []
        self.attributes = []
        self.level = -1

    def account(self, r):
        """Resource `r` of the server's instance of object 1."""
        return self.tree.get(1, self.srv, r)

    def setting(self, r):
        v = self.account(r)
        if v is None:
            for k, v in _SEQUENCE:
                if k == r:
                    break
        return v

    def lifetime(self):
        return max(self.account(1) or 86400, self.client.min_lifetime)

    # requests of the server

    def serve(self, p, w, now):
        try:
            return serve(self, p, w, now)
        except CoapError as e:
            if not e.args[0]:
                if len(self.later) > 3:
                    raise CoapError(0xA3)
                self.later.append((self.tree.waiting, bytes(p.raw), p.d, p.a, p.b))
            raise
        finally:
            self.tree.memo = None

    def answer(self, now):
        """Once more the requests whose answer is known now; each response is a message of its own."""
        p = self.ep.p
        self.tree.answers = self.client.answers
        for x in self.later[:]:
            if x[0] in self.tree.answers and not self.ep.busy():
                self.later.remove(x)
                p.parse(x[1], self.client.root)
                p.d, p.a, p.b = x[2:]
                p.b1 = -1
                if self.ep.respond(p, 0, 0, self.ep.next_mid(), now):
                    self.ep.confirm(now, None, nothing)
        self.tree.answers = ()

    def stream(self, p):
        return self.client.stream(self, p)

    def rejected(self, mid):
        rejected(self, mid)

    def allow(self, o, i, op):
        if self.client.access:
            self.client.access.allow(self, o, i, op)

    def content(self, p, path, obs, ct):
        """Write what stands at `path` in format `ct`, as a response to `p` or (None) a notification."""
        self.format = find(ct)
        if not self.format:
            raise CoapError(0x86)
        if not p:
            self.allow(path[0], path[1], 1)
        self.path = path
        self.ct = ct
        self.ep.content(p.b2 if p else -1, p.b1 if p else -1, obs, ct, self.encode)
        return 0x45

    def encode(self, w):
        o, i, r, ri = self.path
        try:
            self.tree.reader = self.ssid
            self.format.encode(w, self.tree, o, i, r, ri)
        finally:
            self.tree.reader = None

    def snapshot(self, first):
        t = self.tree
        key = (self.ssid, self.ct) + tuple(self.path)
        for m in t.memos:
            if m[0] == key:
                if not first:
                    t.memo = m[1]
                    return m[2]
                t.memos.remove(m)
                break
        self.client.tag = tag = self.client.tag % 65535 + 1
        t.memo = {}
        if len(t.memos) > 1:
            t.memos.pop(0)
        t.memos.append((key, t.memo, tag))
        return tag

    # toward the server

    def begin(self):
        """The first registration, after 1/x/14 seconds."""
        self.start(self.account(14) or 0)

    def turn(self):
        """The next server in the order of priorities has its turn."""
        s = self.next
        self.next = None
        if s:
            s.begin()

    def start(self, delay=0):
        if self.observed and self.account(6):
            try:
                from .store import hold

                hold(self)
            except ImportError:
                pass
        self.close()
        self.state = WAITING
        self.at = self.client.sec + delay

    def close(self):
        if self.tls:
            self.tls.close()
            self.kept = self.tls.keep()
        if self.sock:
            self.sock.close()
        self.ep = self.sock = self.tls = None
        self.later.clear()
        self.state = IDLE

    def open(self, now):
        c = self.client
        try:
            self.sock, self.tls = c.channel(self)
        except (OSError, ValueError):
            c.emit(17, self.ssid)
            return self.fail(4)
        self.ep = Endpoint(self.tls or self.sock, c.w, c.p, self)
        for k, v in c.coap.items():
            setattr(self.ep, k, v)
        c.emit(16, self.ssid)
        self.state = CONNECTING
        self.resumed = self.tls and (self.tls.state == 2 or self.tls.sid)
        if self.tls and self.tls.state != 2:
            self.tls.connect(now)

    def ask(self, now):
        """Register (Core 1.1.1 6.2.1)."""
        c = self.client
        t = self.tree
        if self.state != ASKING:
            c.emit(21, self.ssid)
        self.state = ASKING
        self.what = 0
        if self.level < 0:
            self.level = c.level()
        t.level = self.level
        self.location = ()
        self.observed.clear()
        self.groups = ()
        q = [b"ep=" + c.endpoint.encode(), b"lt=%d" % self.lifetime(), b"lwm2m=1.%d" % self.level]
        b = self.binding()
        if b != b"U":
            q += b.split(b"&")
        if c.sms:
            q.append(b"sms=" + c.sms.encode())
        self.ep.request(now, 2, (b"rd",), q, 40, c.links, self.registered)

    def binding(self):
        b = self.account(7) or b"U"
        if not self.level:
            return b"b=" + b
        return b"b=U&Q" if b"Q" in b else b"U"

    def registered(self, code, p):
        c = self.client
        if code == 0x41:
            self.location = list(p.loc)
            self.on(5)
        elif code in (0x8C, 0x80) and self.level and c.version is None:
            # 4.12, 4.00: perhaps an older version will do
            self.level -= 1
            self.ask(c.now)
        else:
            self.fail(4 if code > 0 else 6)

    def on(self, event):
        """Registered, or still so."""
        self.state = ON
        self.attempts = self.sequences = 0
        self.asleep = False
        self.heard = self.client.sec
        self.expires = self.client.sec + self.lifetime()
        self.schedule()
        self.store()
        self.client.emit(event, self.ssid)
        self.turn()

    def store(self):
        if self.tls and self.client.save:
            from .resume import keep

            keep(self)

    def schedule(self):
        """When the next update is due: early enough before the lifetime ends, or after the period."""
        c = self.client
        lt = self.lifetime()
        t = lt - c.update_early - self.ep.span() // 1000
        if t < lt // 2:
            t = lt // 2
        if c.update_period:
            t = min(t, max(c.update_period, 15))
        # far ahead is far enough: an integer that is no object
        self.at = c.sec + min(max(t, 1), 1 << 28)
        self.what = 0

    def update(self, now):
        c = self.client
        what = self.what
        self.asleep = False
        self.heard = c.sec
        c.emit(14, self.ssid)
        self.schedule()
        q = []
        if what & LIFETIME:
            q.append(b"lt=%d" % self.lifetime())
        if what & BINDING:
            q += self.binding().split(b"&")
        self.ep.request(
            now, 2, self.location, q, 40, c.links if what & OBJECTS else None, self.updated
        )

    def updated(self, code, p):
        if code == 0x44:
            what = self.what
            self.on(7)
            self.what = what
            return
        # lost, or forgotten by the server: register again, without giving up
        self.client.emit(6, self.ssid)
        if code > 0:
            self.ask(self.client.now)
        else:
            self.start()

    def lost(self):
        """A notification was not acknowledged: see whether the server is still there."""
        self.what |= FORCED

    def wake(self):
        """True where something may be sent now. In RX off an update goes first (Core 1.1.1 6.5)."""
        if self.asleep:
            self.what |= FORCED
        return self.state == ON and not self.asleep and not self.ep.busy()

    def leave(self, now):
        """De-register (Core 1.1.1 6.2.3)."""
        self.observed.clear()
        self.groups = ()
        if self.state != ON:
            self.close()
            return self.client.left(self, 0)
        self.state = LEAVING
        self.client.emit(15, self.ssid)
        # what is still under way is given up: the DELETE is the last word
        self.ep.out.clear()
        self.ep.request(now, 4, self.location, (), -1, None, self.gone)

    def gone(self, code, p):
        self.location = ()
        self.store()
        self.close()
        self.client.left(self, 0 if code == 0x42 else 1)

    def fail(self, event):
        """An attempt failed: again after a while, or, at the end of the sequence, what else is left."""
        c = self.client
        c.emit(event, self.ssid)
        self.close()
        self.attempts += 1
        if self.attempts < (self.setting(17) or 1):
            self.state = WAITING
            self.at = c.sec + (self.setting(18) << self.attempts - 1)
            return
        self.attempts = 0
        self.sequences += 1
        if c.fallback(self):
            return
        if not self.account(15):
            self.turn()
        self.state = FAILED
        self.at = c.sec + self.setting(19)
        if not c.retry or self.sequences == self.setting(20):
            self.at = -1
        c.emit(13, self.ssid)

    def connected(self, now):
        c = self.client
        if self.resumed and self.resumed in (True, self.tls.sid):
            if c.load and not self.location:
                from .resume import wake

                wake(self, now)
            if self.location and c.sec < self.expires:
                # the server knows this session, so it knows the registration too
                self.state = ON
                self.what |= FORCED
                return c.emit(5, self.ssid)
        self.ask(now)

    def poll(self, now):
        """Do what is due; the ms until something will be, or -1."""
        state = self.state
        sec = self.client.sec
        if state == IDLE:
            return -1
        if state in (WAITING, FAILED):
            if sec >= self.at >= 0:
                self.open(now)
                return 0
            return -1 if self.at < 0 else min(self.at - sec, 1000) * 1000
        ep = self.ep
        wait = -1
        tls = self.tls
        if tls:
            wait = tls.poll(now)
            if tls.state in (0, 3):
                if state == ON:
                    # the server ended the session: begin another
                    self.start()
                    return 0
                self.client.emit(19, self.ssid)
                self.fail(4)
                return 0
        if state == CONNECTING:
            if tls:
                if tls.state != 2:
                    return wait
                self.client.emit(18, self.ssid)
            self.connected(now)
            return 0
        t = ep.poll(now)
        if self.ep is not ep:
            return 0
        if t >= 0 and (wait < 0 or t < wait):
            wait = t
        if state == ON:
            t = self.work(now, sec)
            if t >= 0 and (wait < 0 or t < wait):
                wait = t
        return wait

    def work(self, now, sec):
        if (self.what or sec >= self.at) and not self.ep.busy():
            self.update(now)
            return 0
        if self.client.answers and self.later:
            self.answer(now)
        if self.client.depth > 1:
            return 100  # the application holds the lock
        if self.sends:
            self.sends[0](now)
        wait = min(max(self.at - sec, 0), 1000) * 1000 + 1
        if not self.asleep and b"Q" in (self.account(7) or b""):
            t = self.heard + self.client.awake - sec
            if t <= 0 and not self.ep.out:
                self.asleep = True
                self.client.emit(10, self.ssid)
            else:
                wait = min(wait, max(t, 1) * 1000)
        t = notifications(self, now)
        return wait if t < 0 or wait < t else t


def nothing(code, p):
    pass
