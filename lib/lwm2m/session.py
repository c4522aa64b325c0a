# One server: connect, register, update, de-register, and what to do when that fails (Core 1.1.1 6.2)
# SPDX-License-Identifier: MIT
from . import observe
from .coap import CoapError, Endpoint
from .formats import find
from .port import sys, ticks_diff
from .requests import serve

# states: up to 4 what QuecPython's stat() tells, above it all is 1 there
_IDLE = const(0)
ON = const(2)
_LEAVING = const(3)
_FAILED = const(4)  # the sequence of attempts is over; _WAITING otherwise
_WAITING = const(5)  # until self.at
_CONNECTING = const(6)  # secure.py has its handshake
_ASKING = const(7)  # the registration, or the bootstrap request, is under way

# what an update is to say
_LIFETIME = const(1)
_BINDING = const(2)
_OBJECTS = const(4)
_FORCED = const(8)

_STREAM = const(7)  # a kind of function in tree.py

_PATIENCE = const(247)  # seconds that a request, and so its server, waits for the delayed answer

_FAR = const(1 << 28)  # seconds: far ahead, and yet an integer that is no object


def address(uri, secure=False):
    """(secure, host, port) of "coap(s)://host[:port]" or "host[:port]"; ValueError where it is none."""
    s = uri
    if "://" in s:
        scheme, s = s.split("://", 1)
        secure = scheme == "coaps"
        if not secure and scheme != "coap":
            s = ""
    s = s.split("/")[0]
    p = 5684 if secure else 5683
    k = s.rfind(":")
    if k > s.rfind("]"):
        p = int(s[k + 1 :])
        s = s[:k]
    if s[:1] + s[-1:] == "[]":
        s = s[1:-1]
    elif ":" in s:
        s = ""
    if not s or not 0 < p < 65536:
        raise ValueError("no address: " + uri)
    return secure, s, p


class Session:
    """The client's side of one server account: security instance `sec`, server instance `srv`."""

    bootstrap = asleep = disabled = False
    sock = tls = kept = paths = None  # paths: of a composite observation
    what = tag = attempts = sequences = 0
    heard = 0  # ticks, when the server was last heard or spoken to: the awake window begins
    location = groups = fetched = ()  # composite observations, and the paths of the last FETCH
    level = -1
    max_body = 8192  # the longest body that is put together from blocks
    rejected = observe.rejected

    def __init__(self, client, sec, srv=-1):
        self.client = client
        self.tree = t = client.tree
        self.sec = sec
        self.srv = srv
        self.ssid = t.get(0, sec, 10) or 0
        self.observed = []
        self.attributes = []
        self.sends = []
        self.close()

    def account(self, r, default=None):
        """Resource `r` of the server's instance of object 1."""
        v = self.tree.get(1, self.srv, r)
        return default if v is None else v

    def lifetime(self):
        return max(self.account(1, 86400), self.client.min_lifetime)

    def emit(self, n):
        # the numbers: Client.event
        self.client.emit(n, self.ssid)

    # requests of the server

    def serve(self, p, w, now):
        try:
            return serve(self, p, w, now)
        except CoapError as e:
            if not e.args[0]:
                if len(self.later) > 3:
                    raise CoapError(0xA3)
                t = self.tree
                x = (t.waiting, t.answers or {}, self.client.sec, bytes(p.raw), p.d, p.a, p.b)
                self.later.append(x)
            raise
        finally:
            self.tree.memo = None

    def answer(self, now):
        """Once more the requests whose answer is known now; each response is a message of its own."""
        p = self.ep.p
        for x in self.later[:]:
            # each has the answers that came since it was asked
            if x[0] in x[1] and self.wake():
                self.later.remove(x)
                self.tree.answers = x[1]
                if len(x) < 6:
                    if x[4] in x[3].observed:
                        observe.notify(x[3], x[4], now, self.client.sec)
                    continue
                p.parse(x[3], self.client.root)
                p.d, p.a, p.b = x[4:]
                p.b1 = -1
                if self.ep.respond(p, 0, p.typ, self.ep.next_mid(), now):
                    if p.typ:
                        self.ep.flush()
                    else:
                        self.ep.confirm(now, None, lambda code, p: None)
        self.tree.answers = ()

    def stream(self, p):
        """The application's function for an opaque resource that is written, if it takes it as it comes."""
        o, i, r, ri = p.path
        f = self.tree.hook(_STREAM, o, i, r) if r >= 0 and p.code == 3 and p.ct == 42 else None
        if f:
            self.allow(o, i, 2)
        return f

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
            self.tree.reader = self.tree.memo = None

    def snapshot(self, first):
        t = self.tree
        key = (self.ssid, self.ct) + tuple(self.path)
        for m in t.memos:
            if m[0] == key:
                if not first or not m[1]:
                    # nothing has changed: two readers of the same do not disturb each other
                    t.memo = m[1]
                    return m[2]
                t.memos.remove(m)
                break
        self.tag = tag = self.tag % 65535 + 1
        t.memo = {}
        if len(t.memos) > 1:
            t.memos.pop(0)
        t.memos.append((key, t.memo, tag))
        return tag

    # toward the server

    def hold(self):
        """The server is out of reach: keep what changes under its observations, if it wants that (1/x/6)."""
        if self.account(6):
            try:
                from .store import hold

                hold(self)
            except ImportError:
                pass

    def start(self, delay=0):
        self.hold()
        self.close()
        self.state = _WAITING
        self.at = self.client.sec + delay

    def close(self):
        if self.sock:
            self.sock.close()
        self.ep = self.sock = self.tls = None
        # what waits for an application's function: the resource, its answers by now, since when, and a request
        # (the datagram, its body) or a notification (the session or group, the observation)
        self.later = []
        self.state = _IDLE
        self.at = -1

    def open(self, now):
        c = self.client
        self.disabled = False
        try:
            self.sock = c.channel(self)
        except Exception as e:
            # no such security mode, no credentials, whatever a hook of the application raises
            if not isinstance(e, OSError):
                sys.print_exception(e)
            self.emit(17)
            return self.fail(4)
        self.ep = Endpoint(self.sock, c.w, c.p, self)
        for k, v in c.coap.items():
            setattr(self.ep, k, v)
        self.emit(16)
        if not self.ep:
            return  # stopped by the application, as it may be in any event
        if self.tls:
            self.state = _CONNECTING
            self.sock.start(now)
        else:
            self.ask(now)

    def ask(self, now):
        """Register (Core 1.1.1 6.2.1)."""
        c = self.client
        if self.state != _ASKING:
            self.emit(21)
            if not self.ep:
                return
        self.state = _ASKING
        self.what = 0
        if self.level < 0:
            self.level = c.level()
        self.tree.level = self.level
        self.location = self.groups = ()
        self.observed = []
        q = self.binding()
        q += [b"ep=" + c.endpoint.encode(), b"lt=%d" % self.lifetime(), b"lwm2m=1.%d" % self.level]
        if c.sms:
            q.append(b"sms=" + c.sms.encode())
        self.ep.request(now, 2, (b"rd",), q, 40, c.links, self.answered)

    def binding(self):
        b = self.account(7, b"U")
        q = [b"b=" + (b"U" if self.level else b)]
        if self.level and b"Q" in b:
            q.append(b"Q")
        return q

    def answered(self, code, p):
        c = self.client
        if code == 0x41:
            self.location = list(p.query)
            self.on(5)
        elif (code == 0x8C or code == 0x80) and self.level and c.version is None:
            # 4.12, 4.00: perhaps an older version will do
            self.level -= 1
            self.ask(c.now)
        else:
            self.fail(4 if code > 0 else 6)

    def on(self, event):
        """Registered, or still so."""
        c = self.client
        sec = c.sec
        lt = self.lifetime()
        self.state = ON
        self.attempts = self.sequences = 0
        self.asleep = False
        self.heard = c.now
        self.expires = sec + lt
        # the next update is due early enough before the lifetime ends, or after the period
        t = max(lt - c.update_early - self.ep.span() // 1000, lt // 2, 1)
        if c.update_period:
            t = min(t, max(c.update_period, 15))
        self.at = sec + min(t, _FAR)
        if self.tls:
            self.sock.save()
        c.turn()
        self.emit(event)

    def update(self, now):
        c = self.client
        what = self.what
        self.what = 0
        self.asleep = False
        self.at = c.sec + _FAR  # not another one before the answer
        self.emit(14)
        if self.state != ON:
            return
        q = []
        if what & _LIFETIME:
            q.append(b"lt=%d" % self.lifetime())
        if what & _BINDING:
            q += self.binding()
        self.ep.request(
            now, 2, self.location, q, 40, c.links if what & _OBJECTS else None, self.updated
        )

    def updated(self, code, p):
        if code == 0x44:
            return self.on(7)
        # lost, or forgotten by the server: register again, without giving up
        if code == -2:
            self.emit(6)
        if self.state != ON:
            return
        if code > 0:
            self.ask(self.client.now)
        else:
            self.start()

    def lost(self):
        """An update is wanted: it was asked for, or the server may be lost."""
        self.what |= _FORCED

    def wake(self):
        """True where something may be sent now. In RX off an update goes first (Core 1.1.1 6.5)."""
        if self.asleep:
            self.lost()
        return self.state == ON and not self.asleep and not self.ep.busy()

    def leave(self, disabled):
        """De-register (Core 1.1.1 6.2.3), for good or for the seconds of 1/x/5."""
        self.disabled = disabled
        if self.state == ON:
            self.state = _LEAVING
            self.asleep = False
            self.emit(15)
            # what is still under way is given up: the DELETE is the last word
            self.ep.out.clear()
            self.ep.request(self.client.now, 4, self.location, (), -1, None, self.gone)
        elif self.state != _LEAVING:
            self.gone(0x42, None)

    def gone(self, code, p):
        if self.disabled:
            self.hold()
        self.location = self.groups = ()
        self.observed = []
        if self.tls:
            self.sock.save()
        self.close()
        if self.disabled:
            self.emit(12)
            self.start(self.account(5, 86400) + 1)  # the second that has begun does not count
        else:
            self.emit(9 if code == 0x42 else 8)

    def fail(self, event):
        """An attempt failed: again after a while, or, at the end of the sequence, what else is left."""
        c = self.client
        self.emit(event)
        if not self.state:
            return  # the application stopped it
        self.close()
        self.attempts += 1
        if self.attempts < self.account(17, 5):
            self.state = _WAITING
            self.at = c.sec + (self.account(18, 60) << self.attempts - 1)
            return
        self.attempts = 0
        self.sequences += 1
        if (
            not self.bootstrap
            and c.bootstrap_account() >= 0
            and self.account(16, True)
            and c.stat() != ON  # another server still has the client
        ):
            return c.later(c.bootstrap, None)
        self.state = _FAILED
        if c.retry and self.sequences != self.account(20):
            self.at = c.sec + self.account(19, 86400)
        c.turn()
        self.emit(13)

    def poll(self, now):
        """Do what is due; the ms until something will be, or -1."""
        state = self.state
        c = self.client
        sec = c.sec
        ep = self.ep
        if c.triggered and not self.bootstrap:
            return 1000  # a bootstrap is under way, and may take back what it writes
        if not ep:
            if self.at < 0:
                return -1
            if sec < self.at:
                return min(self.at - sec, 1000) * 1000
            self.open(now)
            return 0
        wait = -1
        if self.tls:
            wait = self.sock.poll(now)
            if self.state != state:
                return 0
            if state == _CONNECTING:
                return wait
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
        c = self.client
        ep = self.ep
        if (self.what or sec >= self.at) and not ep.busy():
            self.update(now)
            return 0
        if self.later:
            if sec - self.later[0][2] > _PATIENCE:
                self.later.pop(0)
            self.answer(now)
        if c.depth > 1:
            return 100  # the application holds the lock
        if self.sends:
            self.sends[0](now)
        wait = min(max(self.at - sec, 0), 1000) * 1000 + 1
        if not self.asleep and b"Q" in self.account(7, b""):
            awake = c.awake * 1000 - ticks_diff(now, self.heard)
            if awake > 0:
                wait = min(wait, awake)
            elif not ep.out:
                self.asleep = True
                self.emit(10)
        t = observe.poll(self, now)
        if self.what and not ep.busy():
            return 0  # one of them, or a Send, has to wait for an update
        return wait if t < 0 or wait < t else t
