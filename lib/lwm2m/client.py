# The client: what an application holds, and the accounts that its sessions come from
# SPDX-License-Identifier: MIT
from .coap import CoapError, Endpoint, Packet, Writer
from .formats import find
from .observe import changed
from .port import identity, open_udp, ready, sys, ticks_add, ticks_diff, ticks_ms
from .session import ON, Session, address
from .tree import Tree, canonical, join, native, split

try:
    from _thread import allocate_lock, get_ident
except ImportError:
    allocate_lock = get_ident = None

# kinds of functions, as in tree.py
_READ = const(1)
_WRITE = const(2)
_EXEC = const(3)
_CREATE = const(4)
_DELETE = const(5)
_VALIDATE = const(6)
_STREAM = const(7)
_CHANGED = const(8)

_BINDINGS = b"U UQ S SQ US UQS"


def teller(kind):
    def tell(self, path, fn):
        o, i, r, ri = split(path)
        if kind == _CREATE:
            self.tree.inst.setdefault(o, {})
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
        self.coap = {}
        for k, v in options.items():
            x = Client if hasattr(Client, k) else Endpoint
            if callable(getattr(x, k, x)):
                raise TypeError("no such option: " + k)
            if x is Client:
                setattr(self, k, v)
            else:
                self.coap[k] = v
        if (
            self.version
            and self.version not in "1.0 1.1 1.2".split()
            or self.binding.encode() not in _BINDINGS.split()
        ):
            raise ValueError("version or binding")
        self.endpoint = endpoint
        x = (self.root or "").strip("/")
        self.root = tuple(x.encode().split(b"/")) if x else ()
        self.rootpath = b"/".join((b"",) + self.root)
        self.mutex = allocate_lock and allocate_lock()
        self.owner = self.last = self.w = None
        self.depth = self.sec = self.ms = 0
        self.listening = self.triggered = self.suspended = False
        self.p = Packet()
        self.sessions = []
        self.every = []  # functions that each poll(now) calls; they return when they want to be called again
        self.listeners = []
        self.todo = []
        self.answers = {}
        self.tree = t = Tree(self.changed)
        t.inst[0] = d = {0: {}}
        t.inst[1] = {}
        from .objects.device import setup

        setup(self)
        if uri:
            address(uri)
            key = canonical(5, self.key)
            d[0] = {
                0: uri.encode(),
                2: 0 if key or self.load_credentials else 3,
                3: canonical(5, self.identity),
                5: key,
                10: self.ssid,
            }
            t.inst[1][0] = {
                0: canonical(0x82, self.ssid),
                1: canonical(0x82, self.lifetime),
                6: True,
                7: self.binding.encode(),
            }

    # the lock: other threads stay out while it is held; the thread that holds it may take it again

    def __enter__(self):
        if self.mutex and self.owner != get_ident():
            self.mutex.acquire()
            self.owner = get_ident()
        self.depth += 1

    def __exit__(self, a, b, c):
        self.depth -= 1
        if not self.depth:
            self.owner = None
            if self.mutex:
                self.mutex.release()

    # values

    def place(self, path):
        o, i, r, ri = split(path)
        row = self.tree.row(o, r)
        if not row or (ri >= 0 and not row & 0x800):
            raise ValueError("no resource: " + path)
        if i not in self.tree.inst.get(o, ()):
            raise KeyError(path)
        return o, i, r, ri, row

    def set(self, path, value):
        """Give a resource (or a resource instance, or with a dict all of them) a value; None removes it.
        KeyError where the instance is missing, ValueError where the path or the type is wrong."""
        o, i, r, ri, row = self.place(path)
        if isinstance(value, list) and row & 0x800 and ri < 0:
            value = dict(enumerate(value))
        if value is not None:
            try:
                value = canonical(row, value)
                if (ri < 0 and bool(row & 0x800)) != isinstance(value, dict):
                    raise ValueError
            except (TypeError, ValueError):
                raise ValueError("wrong type: " + path)
        with self:
            f = self.tree.hook(_VALIDATE, o, i, r)
            if f and f(join(o, i, r, ri), native(row, value)) is False:
                raise ValueError("refused: " + path)
            self.tree.put(o, i, r, ri, value)

    def get(self, path):
        """The value of a resource: str, int, float, bool, bytes, (object, instance), or a dict of these; None
        where it has none. KeyError, ValueError as for set(), CoapError as its function refuses."""
        o, i, r, ri, row = self.place(path)
        with self:
            v = self.tree.read(o, i, r)
        if ri >= 0 and v:
            v = v.get(ri)
        return native(row, v)

    def exec(self, path, args=b""):
        """Execute a resource as a server would; ValueError where there is nothing to execute, CoapError as its
        function refuses."""
        o, i, r, ri, row = self.place(path)
        with self:
            if not row & 0x400 or not (self.tree.ask(_EXEC, o, i, r, args) or o == 1):
                raise ValueError("nothing to execute: " + path)
            if o == 1:
                self.control(i, r)

    def create(self, path):
        """Create an instance ("/3303/0"), or, without its id, the next one; returns its path. ValueError where
        the object is not known, or has no room."""
        o, i, r, ri = split(path)
        flags = self.tree.find(o)
        d = self.tree.inst.get(o, ())
        if flags < 0 or r >= 0 or i > 65534 or i in d or ((d or i > 0) and not flags & 1):
            raise ValueError("not to be created: " + path)
        if i < 0:
            i = 0
            while i in d:
                i += 1
        with self:
            self.tree.create(o, i)
        return join(o, i)

    def delete(self, path):
        """Delete an instance, or a resource instance; KeyError where there is no such instance."""
        o, i, r, ri = split(path)
        if i not in self.tree.inst.get(o, ()):
            raise KeyError(path)
        with self:
            if r < 0:
                self.tree.delete(o, i)
            else:
                self.tree.put(o, i, r, ri, None)

    def objects(self, table):
        """Add object tables that tools/objects.py compiled. Servers see an object once it has an instance,
        or on_create() says that they may make one."""
        self.tree.tables.append(table)

    # the application's functions: the one set last is asked, None takes it away. They refuse by raising a
    # CoapError, all but on_read() also by returning False (4.00) or a CoAP code, and delay the answer by LATER;
    # any other exception is 5.00

    # fn(path, value that is stored or None) returns the value to show, None where there is none
    on_read = teller(_READ)
    # fn(path, value) hears of a server's write before it is done
    on_write = teller(_WRITE)
    # fn(path, arguments as bytes) executes a resource
    on_exec = teller(_EXEC)
    # fn(path, None) hears of an instance that a server has made, or is to delete
    on_create = teller(_CREATE)
    on_delete = teller(_DELETE)
    # fn(offset, data, more) takes an opaque resource as it arrives, block by block; `data` is good for the call,
    # `more` 0 at the end. It returns a CoAP code, or None: there is no False and no LATER
    on_stream = teller(_STREAM)
    # fn(path, value) returns False for a value that neither set() nor a server may give
    validate = teller(_VALIDATE)

    def answer(self, path, value=None):
        """The value of a read, or the outcome of anything else, whose function returned LATER; a CoapError
        refuses. Every request that waits for `path` is done again then: its other functions hear of it once more.
        A request waits for 247 s, four of them for each server."""
        with self:
            self.answers[tuple(split(path)[:3])] = value

    def cache(self, path, n, oldest=False):
        """Keep up to `n` values that a resource gets, with their times, for what is told in SenML: see series.py."""
        from .series import cache

        cache(self, path, n, oldest)

    def send(self, paths, done=None):
        """Send the values at `paths` to the servers, done(code) hears of each: see send.py."""
        from .send import send

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
            for g in (s,) + s.groups:
                for e in g.observed:
                    out.append((join(*e[1:5]), s.ssid, e[12], e[13]))
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
        self.tree.level = self.level()
        with self:
            self.suspended = False
            f = self.register
            if bootstrap or not self.servers():
                if self.bootstrap_account() < 0:
                    raise ValueError("no account")
                f = self.bootstrap
            if self.todo:
                # behind a stop(), perhaps
                self.later(f, None)
            else:
                f(None)

    def servers(self):
        """[(priority, server instance, security instance), ...] of the accounts that are whole, in their order."""
        t = self.tree
        out = []
        for i in t.inst[1]:
            ssid = t.get(1, i, 0)
            p = t.get(1, i, 13)
            for k, d in t.inst[0].items():
                if ssid and d.get(10) == ssid and d.get(0) and not d.get(1):
                    out.append((-1 if p is None else p, i, k))
        return sorted(out)

    def bootstrap_account(self):
        for i, d in self.tree.inst[0].items():
            if d.get(1) and d.get(0):
                return i
        return -1

    def register(self, old):
        # a bootstrap server that keeps its account may write again by itself
        if old and not (old.ep and old.sec == self.bootstrap_account()):
            old = None
        for s in self.sessions:
            if s is not old:
                s.close()
        self.triggered = False
        self.listening = bool(old)
        self.sessions = []
        for p, i, k in self.servers():
            self.sessions.append(Session(self, k, i))
        if old:
            self.sessions.append(old)
        self.turn()

    def turn(self):
        # sessions begin one after the other where their servers have priorities (1/x/13), else at once
        for s in self.sessions:
            if not s.state:
                s.start(s.account(14, 0))
            if s.account(13) is not None and (s.state > 4 or s.state == 4 and s.account(15)):
                break

    def bootstrap(self, old):
        from .bootstrap import Bootstrap

        self.triggered = bool(old)
        self.listening = False
        for s in self.sessions:
            s.close()
        s = Bootstrap(self, self.bootstrap_account())
        self.sessions = [s]
        s.start(0 if old else self.tree.get(0, s.sec, 11) or 0)

    def later(self, f, x):
        # what would pull a session from under the datagram that is being answered waits for poll()
        self.todo.append((f, x))

    def control(self, i, r):
        """Disable, Registration Update Trigger, Bootstrap-Request Trigger of server instance `i`."""
        for s in self.sessions:
            if s.srv == i:
                if r == 4:
                    self.later(s.leave, True)
                elif r == 8:
                    s.lost()
                elif self.bootstrap_account() < 0:
                    raise CoapError(0x85)
                else:
                    self.later(self.bootstrap, s)

    def stop(self, force=False):
        """De-register from every server and stop; `force` just stops. Done when active() is False. False where
        nothing is to be stopped, else None."""
        with self:
            if not (self.active() or self.todo):
                return False
            if self.depth > 1 or self.todo:
                # one of the application's functions asks for it: first what that belongs to is brought to its end
                self.later(self.end, force)
            else:
                self.end(force)

    def end(self, force):
        self.triggered = False
        for s in self.sessions:
            if not s.state:
                continue
            if force or s.bootstrap:
                s.close()
                if force or not self.listening:
                    s.emit(9)
            else:
                s.leave(False)

    def pause(self):
        """Stand still: no timer runs, no datagram is taken, until resume(). False where it does already."""
        with self:
            if self.suspended:
                return False
            self.suspended = True
            for s in self.sessions:
                if s.tls and s.location:
                    s.sock.save()
        self.emit(11, 0)

    def resume(self):
        """Go on after pause()."""
        self.suspended = False

    def update(self, ssid=0):
        """Send an update soon, to all servers or one; False where no such server is registered."""
        n = False
        for s in self.sessions:
            if s.state == ON and not s.bootstrap and ssid in (0, s.ssid):
                s.lost()
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

    def changed(self, o, i, r):
        f = self.tree.hook(_CHANGED, o, i, r)
        if f:
            f(o, i, r)
        for s in self.sessions:
            if r < 0:
                if o:
                    s.what |= 4
            elif o == 1 and i == s.srv:
                s.what |= 1 if r == 1 else 2 if r == 7 else 0
            changed(s, o, i, r)

    def checked(self, o, r, v):
        """A value that a server writes, as it is to be stored."""
        if o == 1:
            if r == 1:
                return max(v, self.min_lifetime)
            if r == 7 and v not in _BINDINGS.split():
                raise ValueError
        return v

    def guard(self):
        """Take up access control, where this image and the tables have it."""
        t = self.tree
        if 2 not in t.inst and t.find(2) >= 0:
            try:
                from .objects.access import setup

                setup(self)
            except ImportError:
                pass

    def links(self, w):
        """Put what a registration shows (Core 1.1.1 6.2.1)."""
        from .requests import link, version

        t = self.tree
        root = self.rootpath
        ct = b""
        for n in (60, 110, 112, 1542, 1543, 1544) if t.level else ():
            if find(n):
                ct += b" %d" % (n if n < 999 else n + 10000)
        # all images have TLV
        if root or ct[6:]:
            w.put(b"<" + (root or b"/") + b'>;rt="oma.lwm2m"')
            if ct[6:]:
                w.put(b';ct="%s"' % ct[1:])
        for o in sorted(t.inst):
            if o:
                v = version(t, o)
                if v or not t.inst[o]:
                    link(w, root, join(o), v)
                for i in t.instances(o):
                    link(w, root, join(o, i))

    def level(self):
        """The minor version to register as: the newest that the image has a format for."""
        if self.version:
            return int(self.version[2:])
        return 2 if find(11544) else 1 if find(112) or find(110) else 0

    def channel(self, s):
        """What a session sends through: a datagram socket, or DTLS over one, and then `s.tls` is set."""
        d = self.tree.inst[0][s.sec]
        mode = d.get(2, 3)
        secure, host, number = address(str(d[0], "utf8"), mode != 3)
        if secure and mode == 3:
            raise ValueError("coaps without a key")
        if self.transport:
            c = self.transport(host, number)
        else:
            c = open_udp(host, number, self.set_socketoptions, self.local_port)
        if self.meter:
            self.meter(c)
        if mode != 3:
            try:
                from .secure import Channel

                c = Channel(s, d, c, host)
            except Exception:
                c.close()
                raise
        elif not self.w:
            self.w = Writer(self.size)
        return c

    def poll(self, now=None):
        """Take in what has arrived, send what is due; the ms until poll() wants to be called again at the
        latest, -1 where nothing is to come, or after pause(). `now` is a time of ticks_ms()."""
        if now is None:
            now = ticks_ms()
        if self.last is None:
            self.last = now
        t = ticks_diff(now, self.last) // 1000
        if t > 0:
            self.sec += t
            self.last = ticks_add(self.last, t * 1000)
        self.ms = ticks_diff(now, self.last)
        self.now = now
        if self.suspended:
            return -1
        wait = -1
        with self:
            if self.transport or ready():
                for s in self.sessions:
                    while s.ep:
                        d = s.sock.recv()
                        if d is None:
                            break
                        if s.asleep:
                            continue  # the radio is off
                        s.heard = now
                        s.ep.feed(d, now, self.root)
            while self.todo:
                f, x = self.todo.pop(0)
                f(x)
            for f in self.every:
                t = f(now)
                if t >= 0 and (wait < 0 or t < wait):
                    wait = t
            if self.answers:
                # to those that wait for them by now
                for s in self.sessions:
                    for x in s.later:
                        if x[0] in self.answers:
                            x[1][x[0]] = self.answers[x[0]]
                self.answers.clear()
            for s in self.sessions:
                t = s.poll(now)
                if t >= 0 and (wait < 0 or t < wait):
                    wait = t
            if self.todo:
                wait = 0
        return wait

    def run(self):
        """Poll until stop() is done."""
        while self.active() or self.todo:
            t = self.poll()
            # another thread's set() is noticed within a quarter of a second
            ready(250 if t < 0 or t > 250 else t)
