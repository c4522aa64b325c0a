# The client: what an application holds, and the accounts that its sessions come from
# SPDX-License-Identifier: MIT
from .coap.endpoint import Endpoint
from .coap.message import Message
from .coap.numbers import CoapError
from .formats import find_format
from .reporting.observations import resource_changed
from .port import identity, ready, sys, ticks_add, ticks_diff, ticks_ms
from .session.connect import parse_uri
from .session.session import ON, Session
from .model.tree import Tree
from .model.values import to_stored, format_path, to_native, parse_path
from .model.tree import (
    ON_READ,
    ON_WRITE,
    ON_EXECUTE,
    ON_CREATE,
    ON_DELETE,
    VALIDATE,
    ON_STREAM,
    ON_CHANGE,
)

try:
    from _thread import allocate_lock, get_ident
except ImportError:
    allocate_lock = get_ident = None


_BINDINGS = b"U UQ S SQ US UQS"


def teller(kind):
    def tell(self, path, fn):
        o, i, r, ri = parse_path(path)
        if kind == ON_CREATE:
            self.tree.objects.setdefault(o, {})
        h = self.tree.hooks.setdefault(o, [])
        for x in h:
            if x[:3] == (kind, i, r):
                h.remove(x)
                break
        if fn:
            h.insert(0, (kind, i, r, fn))

    return tell


class Client:
    """A LwM2M client. `uri` makes an account of its own for one server (short id `ssid`), NoSec unless
    `identity` and `key` are given; without it accounts come from set() or a bootstrap.

    Every attribute below is an option of the constructor too. Times are in seconds, those of CoAP
    (ack_timeout, random_factor, max_retransmit, nstart, szx) as in coap.Endpoint. docs/api.md is the reference."""

    lifetime = 86400
    binding = "U"
    version = None  # "1.0": register as this version alone; None: as the newest there is, or an older one
    retry = True  # begin a new sequence of attempts when one is over
    ssid = 1
    identity = key = ""
    root = ()  # the alternate path, such as "lwm2m"
    sms = None
    size = 576  # the longest message, bytes
    min_lifetime = 1
    update_early = 30
    update_period = 0
    awake = 93  # how long a queue mode client listens after the last exchange
    bootstrap_timeout = 247
    max_instances = 32
    default_format = 11542
    confirmable = True  # notifications as CON
    local_port = 0
    # transport(host, port): a channel, whole datagrams to and from one server: send(buf, start, end), recv() the
    # next as bytes or None at once, close(). load_credentials(ssid): (identity, key), or certificate and private
    # key, instead of those in object 0. set_socketoptions(socket) comes before bind and connect.
    # load(name), bytes or None, and save(name, bytes) keep what is to outlive a deep sleep.
    # Of objects/ and quectel.py: access, meter(channel) for each that is opened, written(o, i, r, value)
    transport = load_credentials = set_socketoptions = load = save = access = written = meter = (
        None
    )

    def __init__(self, endpoint=None, uri=None, **options):
        self._coap_options = {}
        for k, v in options.items():
            x = Client if hasattr(Client, k) else Endpoint
            if callable(getattr(x, k, x)):
                raise TypeError("no such option: " + k)
            if x is Client:
                setattr(self, k, v)
            else:
                self._coap_options[k] = v
        if (
            self.version
            and self.version not in "1.0 1.1 1.2".split()
            or self.binding.encode() not in _BINDINGS.split()
        ):
            raise ValueError("version or binding")
        self.endpoint = endpoint
        x = (self.root or "").strip("/")
        self.root = tuple(x.encode().split(b"/")) if x else ()
        self.root_path = b"/".join((b"",) + self.root)
        self._mutex = allocate_lock and allocate_lock()
        self._owner = self._last_tick = self._writer = None
        self._depth = self.now_s = self.now_ms = 0
        self._listening = self._bootstrap_triggered = self.suspended = False
        self._message = Message()
        self.sessions = []
        self.pollers = []  # functions that each poll(now) calls; they return when they want to be called again
        self.listeners = []
        self._calls = []
        self._answers = {}
        self.tree = t = Tree(self._resource_changed)
        t.objects[0] = d = {0: {}}
        t.objects[1] = {}
        from .objects.device import setup

        setup(self)
        if uri:
            parse_uri(uri)
            key = to_stored(5, self.key)
            d[0] = {
                0: uri.encode(),
                2: 0 if key or self.load_credentials else 3,
                3: to_stored(5, self.identity),
                5: key,
                10: self.ssid,
            }
            t.objects[1][0] = {
                0: to_stored(0x82, self.ssid),
                1: to_stored(0x82, self.lifetime),
                6: True,
                7: self.binding.encode(),
            }

    # the lock: other threads stay out while it is held; the thread that holds it may take it again

    def __enter__(self):
        if self._mutex and self._owner != get_ident():
            self._mutex.acquire()
            self._owner = get_ident()
        self._depth += 1

    def __exit__(self, a, b, c):
        self._depth -= 1
        if not self._depth:
            self._owner = None
            if self._mutex:
                self._mutex.release()

    # values

    def resource_at(self, path):
        o, i, r, ri = parse_path(path)
        row = self.tree.definition(o, r)
        if not row or (ri >= 0 and not row & 0x800):
            raise ValueError("no resource: " + path)
        if i not in self.tree.objects.get(o, ()):
            raise KeyError(path)
        return o, i, r, ri, row

    def set(self, path, value):
        """Give a resource (or a resource instance, or with a dict all of them) a value; None removes it.
        KeyError where the instance is missing, ValueError where the path or the type is wrong."""
        o, i, r, ri, row = self.resource_at(path)
        if isinstance(value, list) and row & 0x800 and ri < 0:
            value = dict(enumerate(value))
        if value is not None:
            try:
                value = to_stored(row, value)
                if (ri < 0 and bool(row & 0x800)) != isinstance(value, dict):
                    raise ValueError
            except (TypeError, ValueError):
                raise ValueError("wrong type: " + path)
        with self:
            f = self.tree.hook(VALIDATE, o, i, r)
            if f and f(format_path(o, i, r, ri), to_native(row, value)) is False:
                raise ValueError("refused: " + path)
            self.tree.store(o, i, r, ri, value)

    def get(self, path):
        """The value of a resource: str, int, float, bool, bytes, (object, instance), or a dict of these; None
        where it has none. KeyError, ValueError as for set(), CoapError as its function refuses."""
        o, i, r, ri, row = self.resource_at(path)
        with self:
            v = self.tree.read(o, i, r)
        if ri >= 0 and v:
            v = v.get(ri)
        return to_native(row, v)

    def exec(self, path, args=b""):
        """Execute a resource as a server would; ValueError where there is nothing to execute, CoapError as its
        function refuses."""
        o, i, r, ri, row = self.resource_at(path)
        with self:
            if not row & 0x400 or not (self.tree.call_hook(ON_EXECUTE, o, i, r, args) or o == 1):
                raise ValueError("nothing to execute: " + path)
            if o == 1:
                self.run_command(i, r)

    def create(self, path):
        """Create an instance ("/3303/0"), or, without its id, the next one; returns its path. ValueError where
        the object is not known, or has no room."""
        o, i, r, ri = parse_path(path)
        flags = self.tree.find(o)
        d = self.tree.objects.get(o, ())
        if flags < 0 or r >= 0 or i > 65534 or i in d or ((d or i > 0) and not flags & 1):
            raise ValueError("not to be created: " + path)
        if i < 0:
            i = 0
            while i in d:
                i += 1
        with self:
            self.tree.create(o, i)
        return format_path(o, i)

    def delete(self, path):
        """Delete an instance, or a resource instance; KeyError where there is no such instance."""
        o, i, r, ri = parse_path(path)
        if i not in self.tree.objects.get(o, ()):
            raise KeyError(path)
        with self:
            if r < 0:
                self.tree.delete(o, i)
            else:
                self.tree.store(o, i, r, ri, None)

    def objects(self, table):
        """Add object tables that tools/objects.py compiled. Servers see an object once it has an instance,
        or on_create() says that they may make one."""
        self.tree.tables.append(table)

    # the application's functions: the one set last is asked, None takes it away. They refuse by raising a
    # CoapError, all but on_read() also by returning False (4.00) or a CoAP code, and delay the answer by LATER;
    # any other exception is 5.00

    # fn(path, value that is stored or None) returns the value to show, None where there is none
    on_read = teller(ON_READ)
    # fn(path, value) hears of a server's write before it is done
    on_write = teller(ON_WRITE)
    # fn(path, arguments as bytes) executes a resource
    on_exec = teller(ON_EXECUTE)
    # fn(path, None) hears of an instance that a server has made, or is to delete
    on_create = teller(ON_CREATE)
    on_delete = teller(ON_DELETE)
    # fn(offset, data, more) takes an opaque resource as it arrives, block by block; `data` is good for the call,
    # `more` 0 at the end. It returns a CoAP code, or None: there is no False and no LATER
    on_stream = teller(ON_STREAM)
    # fn(path, value) returns False for a value that neither set() nor a server may give
    validate = teller(VALIDATE)

    def answer(self, path, value=None):
        """The value of a read, or the outcome of anything else, whose function returned LATER; a CoapError
        refuses. Every request that waits for `path` is done again then: its other functions hear of it once more.
        A request waits for 247 s, four of them for each server."""
        with self:
            self._answers[tuple(parse_path(path)[:3])] = value

    def cache(self, path, n, oldest=False):
        """Keep up to `n` values that a resource gets, with their times, for what is told in SenML: see series.py."""
        from .reporting.timeseries import cache

        cache(self, path, n, oldest)

    def send(self, paths, done=None):
        """Send the values at `paths` to the servers, done(code) hears of each: see send.py."""
        from .reporting.send import send

        with self:
            return send(self, paths, done)

    def lock(self):
        """`with client.lock():` keeps notifications back until the last of several set() is done, and other
        threads out of the client."""
        return self

    def observations(self):
        """[(path, ssid, pmin, pmax), ...] of what servers observe."""
        out = []
        for s in self.sessions:
            for g in (s,) + s.composites:
                for e in g.observations:
                    out.append((format_path(*e[1:5]), s.ssid, e[12], e[13]))
        return out

    def event(self, fn):
        """fn(name, ssid) hears of events, by the names of Zephyr's client; `ssid` 0 is none or the client. What
        it raises is printed."""
        # emit(n) has their numbers, the first 14 are Zephyr's:
        #  1 bootstrap refused, too late or of no use   2 bootstrap accepted          3 bootstrap finished
        #  4 registration refused, or no channel        5 registered                  6 registration, update: no answer
        #  7 updated                                    8 de-registration failed      9 de-registered, stopped
        # 10 queue mode: radio off                     11 pause()                    12 disabled (1/x/4)
        # 13 sequence of attempts over                 14 update goes out            15 de-registration goes out
        # 16 channel open                              17 no channel                 18 DTLS handshake done
        # 19 DTLS handshake failed                     20 bootstrap begins           21 registration goes out
        names = (
            "NONE BOOTSTRAP_REG_FAILURE BOOTSTRAP_REG_COMPLETE BOOTSTRAP_TRANSFER_COMPLETE REGISTRATION_FAILURE "
            "REGISTRATION_COMPLETE REG_TIMEOUT REG_UPDATE_COMPLETE DEREGISTER_FAILURE DISCONNECT QUEUE_MODE_RX_OFF "
            "ENGINE_SUSPENDED SERVER_DISABLED NETWORK_ERROR REG_UPDATE DEREGISTER CONNECT CONNECT_FAILURE SECURE "
            "SECURE_FAILURE BOOTSTRAP REGISTRATION"
        )
        self.listeners.append(lambda n, ssid: fn(names.split()[n], ssid))

    def emit(self, n, ssid):
        for f in self.listeners:
            try:
                f(n, ssid)
            except Exception as e:
                sys.print_exception(e)

    # life

    def start(self, endpoint=None, bootstrap=False):
        """Connect to every server there is an account for, or bootstrap where there is none; ValueError where
        there is no account for that either."""
        if endpoint:
            self.endpoint = endpoint
        if not self.endpoint:
            self.endpoint = identity() or "micropython"
        self.tree.minor = self.newest_minor()
        with self:
            self.suspended = False
            f = self.register
            if bootstrap or not self.servers():
                if self.bootstrap_account() < 0:
                    raise ValueError("no account")
                f = self.bootstrap
            if self._calls:
                # behind a stop(), perhaps
                self.call_soon(f, None)
            else:
                f(None)

    def servers(self):
        """[(priority, server instance, security instance), ...] of the accounts that are whole, in their order."""
        t = self.tree
        out = []
        for i in t.objects[1]:
            ssid = t.get(1, i, 0)
            p = t.get(1, i, 13)
            for k, d in t.objects[0].items():
                if ssid and d.get(10) == ssid and d.get(0) and not d.get(1):
                    out.append((-1 if p is None else p, i, k))
        return sorted(out)

    def bootstrap_account(self):
        for i, d in self.tree.objects[0].items():
            if d.get(1) and d.get(0):
                return i
        return -1

    def register(self, old):
        # a bootstrap server that keeps its account may write again by itself
        if old and not (old.coap and old.security_iid == self.bootstrap_account()):
            old = None
        for s in self.sessions:
            if s is not old:
                s.close()
        self._bootstrap_triggered = False
        self._listening = bool(old)
        self.sessions = []
        for p, i, k in self.servers():
            self.sessions.append(Session(self, k, i))
        if old:
            self.sessions.append(old)
        self.start_next()

    def start_next(self):
        # sessions begin one after the other where their servers have priorities (1/x/13), else at once
        for s in self.sessions:
            if not s.state:
                s.start(s.server(14, 0))
            if s.server(13) is not None and (s.state > 4 or s.state == 4 and s.server(15)):
                break

    def bootstrap(self, old):
        from .session.bootstrap import Bootstrap

        self._bootstrap_triggered = bool(old)
        self._listening = False
        for s in self.sessions:
            s.close()
        s = Bootstrap(self, self.bootstrap_account())
        self.sessions = [s]
        s.start(0 if old else self.tree.get(0, s.security_iid, 11) or 0)

    def call_soon(self, f, x):
        # what would pull a session from under the datagram that is being answered waits for poll()
        self._calls.append((f, x))

    def run_command(self, i, r):
        """Disable, Registration Update Trigger, Bootstrap-Request Trigger of server instance `i`."""
        for s in self.sessions:
            if s.server_iid == i:
                if r == 4:
                    self.call_soon(s.deregister, True)
                elif r == 8:
                    s.want_update()
                elif self.bootstrap_account() < 0:
                    raise CoapError(0x85)
                else:
                    self.call_soon(self.bootstrap, s)

    def stop(self, force=False):
        """De-register from every server and stop; `force` just stops. Done when active() is False. False where
        nothing is to be stopped, else None."""
        with self:
            if not (self.active() or self._calls):
                return False
            if self._depth > 1 or self._calls:
                # one of the application's functions asks for it: first what that belongs to is brought to its end
                self.call_soon(self._end_sessions, force)
            else:
                self._end_sessions(force)

    def _end_sessions(self, force):
        self._bootstrap_triggered = False
        for s in self.sessions:
            if not s.state:
                continue
            if force or s.bootstrap:
                s.close()
                if force or not self._listening:
                    s.emit(9)
            else:
                s.deregister(False)

    def pause(self):
        """Stand still: no timer runs, no datagram is taken, until resume(). False where it does already."""
        with self:
            if self.suspended:
                return False
            self.suspended = True
            for s in self.sessions:
                if s.dtls and s.location:
                    s.channel.save()
        self.emit(11, 0)

    def resume(self):
        """Go on after pause()."""
        self.suspended = False

    def update(self, ssid=0):
        """Send an update soon, to all servers or one; False where no such server is registered."""
        n = False
        for s in self.sessions:
            if s.state == ON and not s.bootstrap and ssid in (0, s.ssid):
                s.want_update()
                n = True
        return n

    def stat(self):
        """0 not registered, 1 registering, 2 registered, 3 de-registering, 4 failed."""
        n = 0
        for s in self.sessions:
            x = s.state
            if x > 4 or (x == ON and s.bootstrap):
                x = int(not s.disabled)
            if x == ON or not n:
                n = x
        return n

    def active(self):
        for s in self.sessions:
            if s.state:
                return True
        return False

    def _resource_changed(self, o, i, r):
        f = self.tree.hook(ON_CHANGE, o, i, r)
        if f:
            f(o, i, r)
        for s in self.sessions:
            if r < 0:
                if o:
                    s.update_parts |= 4
            elif o == 1 and i == s.server_iid:
                s.update_parts |= 1 if r == 1 else 2 if r == 7 else 0
            resource_changed(s, o, i, r)

    def accept_value(self, o, r, v):
        """A value that a server writes, as it is to be stored."""
        if o == 1:
            if r == 1:
                return max(v, self.min_lifetime)
            if r == 7 and v not in _BINDINGS.split():
                raise ValueError
        return v

    def enable_access_control(self):
        """Take up access control, where this image and the tables have it."""
        t = self.tree
        if 2 not in t.objects and t.find(2) >= 0:
            try:
                from .objects.access import setup

                setup(self)
            except ImportError:
                pass

    def put_registration(self, w):
        """Put what a registration shows (Core 1.1.1 6.2.1)."""
        from .formats.link import put_link, version_attribute

        t = self.tree
        root = self.root_path
        ct = b""
        for n in (60, 110, 112, 1542, 1543, 1544) if t.minor else ():
            if find_format(n):
                ct += b" %d" % (n if n < 999 else n + 10000)
        # all images have TLV
        if root or ct[6:]:
            w.put(b"<" + (root or b"/") + b'>;rt="oma.lwm2m"')
            if ct[6:]:
                w.put(b';ct="%s"' % ct[1:])
        for o in sorted(t.objects):
            if o:
                v = version_attribute(t, o)
                if v or not t.objects[o]:
                    put_link(w, root, format_path(o), v)
                for i in t.instances(o):
                    put_link(w, root, format_path(o, i))

    def newest_minor(self):
        """The minor version to register as: the newest that the image has a format for."""
        if self.version:
            return int(self.version[2:])
        return 2 if find_format(11544) else 1 if find_format(112) or find_format(110) else 0

    def poll(self, now=None):
        """Take in what has arrived, send what is due; the ms until poll() wants to be called again at the
        latest, -1 where nothing is to come, or after pause(). `now` is a time of ticks_ms()."""
        if now is None:
            now = ticks_ms()
        if self._last_tick is None:
            self._last_tick = now
        t = ticks_diff(now, self._last_tick) // 1000
        if t > 0:
            self.now_s += t
            self._last_tick = ticks_add(self._last_tick, t * 1000)
        self.now_ms = ticks_diff(now, self._last_tick)
        self.now = now
        if self.suspended:
            return -1
        wait = -1
        with self:
            if self.transport or ready():
                for s in self.sessions:
                    while s.coap:
                        d = s.channel.recv()
                        if d is None:
                            break
                        if s.asleep:
                            continue  # the radio is off
                        s.last_heard = now
                        s.coap.receive(d, now, self.root)
            while self._calls:
                f, x = self._calls.pop(0)
                f(x)
            for f in self.pollers:
                t = f(now)
                if t >= 0 and (wait < 0 or t < wait):
                    wait = t
            if self._answers:
                # to those that wait for them by now
                for s in self.sessions:
                    for x in s.deferred:
                        if x[0] in self._answers:
                            x[1][x[0]] = self._answers[x[0]]
                self._answers.clear()
            for s in self.sessions:
                t = s.poll(now)
                if t >= 0 and (wait < 0 or t < wait):
                    wait = t
            if self._calls:
                wait = 0
        return wait

    def run(self):
        """Poll until stop() is done."""
        while self.active() or self._calls:
            t = self.poll()
            # another thread's set() is noticed within a quarter of a second
            ready(250 if t < 0 or t > 250 else t)
