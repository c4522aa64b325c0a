# One server: connect, register, update, de-register, and what to do when that fails (Core 1.1.1 6.2)
# SPDX-License-Identifier: MIT
from ..reporting import observations as observe
from ..coap.endpoint import Endpoint
from ..coap.numbers import CoapError
from ..formats import find_format
from ..port import sys, ticks_diff
from ..management.dispatch import serve
from .connect import open_channel
from ..model.tree import ON_STREAM

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


_PATIENCE = const(247)  # seconds that a request, and so its server, waits for the delayed answer

_FAR = const(1 << 28)  # seconds: far ahead, and yet an integer that is no object


class Session:
    """The client's side of one server account: security instance `sec`, server instance `srv`."""

    bootstrap = asleep = disabled = False
    channel = dtls = dtls_session = paths = None  # paths: of a composite observation
    update_parts = etag = attempts = sequences = 0
    last_heard = 0  # ticks, when the server was last heard or spoken to: the awake window begins
    location = composites = (
        fetched_paths
    ) = ()  # composite observations, and the paths of the last FETCH
    minor = -1
    max_body = 8192  # the longest body that is put together from blocks
    notification_rejected = observe.notification_rejected

    def __init__(self, client, sec, srv=-1):
        self.client = client
        self.tree = t = client.tree
        self.security_iid = sec
        self.server_iid = srv
        self.ssid = t.get(0, sec, 10) or 0
        self.observations = []
        self.attributes = []
        self.sends = []
        self.close()

    def server(self, r, default=None):
        """Resource `r` of the server's instance of object 1."""
        v = self.tree.get(1, self.server_iid, r)
        return default if v is None else v

    def lifetime(self):
        return max(self.server(1, 86400), self.client.min_lifetime)

    def emit(self, n):
        # the numbers: Client.event
        self.client.emit(n, self.ssid)

    # requests of the server

    def serve(self, p, w, now):
        try:
            return serve(self, p, w, now)
        except CoapError as e:
            if not e.args[0]:
                if len(self.deferred) > 3:
                    raise CoapError(0xA3)
                t = self.tree
                x = (
                    t.waiting,
                    t.answers or {},
                    self.client.now_s,
                    bytes(p.raw),
                    p.data,
                    p.start,
                    p.end,
                )
                self.deferred.append(x)
            raise
        finally:
            self.tree.snapshot = None

    def answer_deferred(self, now):
        """Once more the requests whose answer is known now; each response is a message of its own."""
        p = self.coap.message
        for x in self.deferred[:]:
            # each has the answers that came since it was asked
            if x[0] in x[1] and self.may_send():
                self.deferred.remove(x)
                self.tree.answers = x[1]
                if len(x) < 6:
                    if x[4] in x[3].observations:
                        observe.notify(x[3], x[4], now, self.client.now_s)
                    continue
                p.parse(x[3], self.client.root)
                p.data, p.start, p.end = x[4:]
                p.block1 = -1
                if self.coap.respond(p, 0, p.mtype, self.coap.next_mid(), now):
                    if p.mtype:
                        self.coap.flush()
                    else:
                        self.coap.send_confirmable(now, None, lambda code, p: None)
        self.tree.answers = ()

    def stream_function(self, p):
        """The application's function for an opaque resource that is written, if it takes it as it comes."""
        o, i, r, ri = p.path
        f = (
            self.tree.hook(ON_STREAM, o, i, r)
            if r >= 0 and p.code == 3 and p.content_format == 42
            else None
        )
        if f:
            self.check_access(o, i, 2)
        return f

    def check_access(self, o, i, op):
        if self.client.access:
            self.client.access.allow(self, o, i, op)

    def put_content(self, p, path, obs, ct):
        """Write what stands at `path` in format `ct`, as a response to `p` or (None) a notification."""
        self.format = find_format(ct)
        if not self.format:
            raise CoapError(0x86)
        if not p:
            self.check_access(path[0], path[1], 1)
        self.path = path
        self.content_format = ct
        self.coap.put_body(p.block2 if p else -1, p.block1 if p else -1, obs, ct, self.encode)
        return 0x45

    def encode(self, w):
        o, i, r, ri = self.path
        try:
            self.tree.reader = self.ssid
            self.format.encode(w, self.tree, o, i, r, ri)
        finally:
            self.tree.reader = self.tree.snapshot = None

    def snapshot_tag(self, first):
        t = self.tree
        key = (self.ssid, self.content_format) + tuple(self.path)
        for m in t.snapshots:
            if m[0] == key:
                if not first or not m[1]:
                    # nothing has changed: two readers of the same do not disturb each other
                    t.snapshot = m[1]
                    return m[2]
                t.snapshots.remove(m)
                break
        self.etag = tag = self.etag % 65535 + 1
        t.snapshot = {}
        if len(t.snapshots) > 1:
            t.snapshots.pop(0)
        t.snapshots.append((key, t.snapshot, tag))
        return tag

    # toward the server

    def store_changes(self):
        """The server is out of reach: keep what changes under its observations, if it wants that (1/x/6)."""
        if self.server(6):
            try:
                from ..reporting.storing import hold

                hold(self)
            except ImportError:
                pass

    def is_registered(self):
        return self.state == ON and not self.bootstrap

    def restore_registration(self, now):
        """Take back the registration that a deep sleep interrupted, where this image keeps it."""
        try:
            from .resume import wake

            wake(self, now)
        except ImportError:
            pass  # DTLS sessions alone are kept in this image

    def save_registration(self):
        try:
            from .resume import keep

            keep(self)
        except ImportError:
            pass

    def start(self, delay=0):
        self.store_changes()
        self.close()
        self.state = _WAITING
        self.due = self.client.now_s + delay

    def close(self):
        if self.channel:
            self.channel.close()
        self.coap = self.channel = self.dtls = None
        # what waits for an application's function: the resource, its answers by now, since when, and a request
        # (the datagram, its body) or a notification (the session or group, the observation)
        self.deferred = []
        self.state = _IDLE
        self.due = -1

    def open(self, now):
        c = self.client
        self.disabled = False
        try:
            self.channel = open_channel(self)
        except Exception as e:
            # no such security mode, no credentials, whatever a hook of the application raises
            if not isinstance(e, OSError):
                sys.print_exception(e)
            self.emit(17)
            return self.fail(4)
        self.coap = Endpoint(self.channel, c._writer, c._message, self)
        for k, v in c._coap_options.items():
            setattr(self.coap, k, v)
        self.emit(16)
        if not self.coap:
            return  # stopped by the application, as it may be in any event
        if self.dtls:
            self.state = _CONNECTING
            self.channel.start(now)
        else:
            self.register(now)

    def register(self, now):
        """Register (Core 1.1.1 6.2.1)."""
        c = self.client
        if self.state != _ASKING:
            self.emit(21)
            if not self.coap:
                return
        self.state = _ASKING
        self.update_parts = 0
        if self.minor < 0:
            self.minor = c.newest_minor()
        self.tree.minor = self.minor
        self.location = self.composites = ()
        self.observations = []
        q = self.binding()
        q += [b"ep=" + c.endpoint.encode(), b"lt=%d" % self.lifetime(), b"lwm2m=1.%d" % self.minor]
        if c.sms:
            q.append(b"sms=" + c.sms.encode())
        self.coap.request(now, 2, (b"rd",), q, 40, c.put_registration, self.answered)

    def binding(self):
        b = self.server(7, b"U")
        q = [b"b=" + (b"U" if self.minor else b)]
        if self.minor and b"Q" in b:
            q.append(b"Q")
        return q

    def answered(self, code, p):
        c = self.client
        if code == 0x41:
            self.location = list(p.query)
            self.registered(5)
        elif (code == 0x8C or code == 0x80) and self.minor and c.version is None:
            # 4.12, 4.00: perhaps an older version will do
            self.minor -= 1
            self.register(c.now)
        else:
            self.fail(4 if code > 0 else 6)

    def registered(self, event):
        """Registered, or still so."""
        c = self.client
        sec = c.now_s
        lt = self.lifetime()
        self.state = ON
        self.attempts = self.sequences = 0
        self.asleep = False
        self.last_heard = c.now
        self.expires = sec + lt
        # the next update is due early enough before the lifetime ends, or after the period
        t = max(lt - c.update_early - self.coap.transmit_span() // 1000, lt // 2, 1)
        if c.update_period:
            t = min(t, max(c.update_period, 15))
        self.due = sec + min(t, _FAR)
        if self.dtls:
            self.channel.save()
        c.start_next()
        self.emit(event)

    def update(self, now):
        c = self.client
        what = self.update_parts
        self.update_parts = 0
        self.asleep = False
        self.due = c.now_s + _FAR  # not another one before the answer
        self.emit(14)
        if self.state != ON:
            return
        q = []
        if what & _LIFETIME:
            q.append(b"lt=%d" % self.lifetime())
        if what & _BINDING:
            q += self.binding()
        self.coap.request(
            now,
            2,
            self.location,
            q,
            40,
            c.put_registration if what & _OBJECTS else None,
            self.updated,
        )

    def updated(self, code, p):
        if code == 0x44:
            return self.registered(7)
        # lost, or forgotten by the server: register again, without giving up
        if code == -2:
            self.emit(6)
        if self.state != ON:
            return
        if code > 0:
            self.register(self.client.now)
        else:
            self.start()

    def want_update(self):
        """An update is wanted: it was asked for, or the server may be lost."""
        self.update_parts |= _FORCED

    def may_send(self):
        """True where something may be sent now. In RX off an update goes first (Core 1.1.1 6.5)."""
        if self.asleep:
            self.want_update()
        return self.state == ON and not self.asleep and not self.coap.at_nstart()

    def deregister(self, disabled):
        """De-register (Core 1.1.1 6.2.3), for good or for the seconds of 1/x/5."""
        self.disabled = disabled
        if self.state == ON:
            self.state = _LEAVING
            self.asleep = False
            self.emit(15)
            # what is still under way is given up: the DELETE is the last word
            self.coap.exchanges.clear()
            self.coap.request(self.client.now, 4, self.location, (), -1, None, self.deregistered)
        elif self.state != _LEAVING:
            self.deregistered(0x42, None)

    def deregistered(self, code, p):
        if self.disabled:
            self.store_changes()
        self.location = self.composites = ()
        self.observations = []
        if self.dtls:
            self.channel.save()
        self.close()
        if self.disabled:
            self.emit(12)
            self.start(self.server(5, 86400) + 1)  # the second that has begun does not count
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
        if self.attempts < self.server(17, 5):
            self.state = _WAITING
            self.due = c.now_s + (self.server(18, 60) << self.attempts - 1)
            return
        self.attempts = 0
        self.sequences += 1
        if (
            not self.bootstrap
            and c.bootstrap_account() >= 0
            and self.server(16, True)
            and c.stat() != ON  # another server still has the client
        ):
            return c.call_soon(c.bootstrap, None)
        self.state = _FAILED
        if c.retry and self.sequences != self.server(20):
            self.due = c.now_s + self.server(19, 86400)
        c.start_next()
        self.emit(13)

    def poll(self, now):
        """Do what is due; the ms until something will be, or -1."""
        state = self.state
        c = self.client
        sec = c.now_s
        ep = self.coap
        if c._bootstrap_triggered and not self.bootstrap:
            return 1000  # a bootstrap is under way, and may take back what it writes
        if not ep:
            if self.due < 0:
                return -1
            if sec < self.due:
                return min(self.due - sec, 1000) * 1000
            self.open(now)
            return 0
        wait = -1
        if self.dtls:
            wait = self.channel.poll(now)
            if self.state != state:
                return 0
            if state == _CONNECTING:
                return wait
        t = ep.poll(now)
        if self.coap is not ep:
            return 0
        if t >= 0 and (wait < 0 or t < wait):
            wait = t
        if state == ON:
            t = self.tend(now, sec)
            if t >= 0 and (wait < 0 or t < wait):
                wait = t
        return wait

    def tend(self, now, sec):
        c = self.client
        ep = self.coap
        if (self.update_parts or sec >= self.due) and not ep.at_nstart():
            self.update(now)
            return 0
        if self.deferred:
            if sec - self.deferred[0][2] > _PATIENCE:
                self.deferred.pop(0)
            self.answer_deferred(now)
        if c._depth > 1:
            return 100  # the application holds the lock
        if self.sends:
            self.sends[0](now)
        wait = min(max(self.due - sec, 0), 1000) * 1000 + 1
        if not self.asleep and b"Q" in self.server(7, b""):
            awake = c.awake * 1000 - ticks_diff(now, self.last_heard)
            if awake > 0:
                wait = min(wait, awake)
            elif not ep.exchanges:
                self.asleep = True
                self.emit(10)
        t = observe.poll(self, now)
        if self.update_parts and not ep.at_nstart():
            return 0  # one of them, or a Send, has to wait for an update
        return wait if t < 0 or wait < t else t
