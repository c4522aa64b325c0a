# The client: what an application holds, and the accounts that its sessions come from
# SPDX-License-Identifier: MIT
import sys

from .coap.endpoint import Endpoint
from .coap import CoapError, Packet, Writer
from .formats import find
from .observe import changed
from .port import identity, open_udp, ready, ticks_add, ticks_diff, ticks_ms
from .session import ASKING, FAILED, IDLE, LEAVING, ON, Session
from .tree import (
    CHANGED,
    CREATE,
    DELETE,
    EXEC,
    READ,
    STREAM,
    VALIDATE,
    WRITE,
    Tree,
    canonical,
    join,
    native,
    split,
)

# by number; those up to 13 are Zephyr's
_EVENTS = (
    "NONE BOOTSTRAP_REG_FAILURE BOOTSTRAP_REG_COMPLETE BOOTSTRAP_TRANSFER_COMPLETE REGISTRATION_FAILURE "
    "REGISTRATION_COMPLETE REG_TIMEOUT REG_UPDATE_COMPLETE DEREGISTER_FAILURE DISCONNECT QUEUE_MODE_RX_OFF "
    "ENGINE_SUSPENDED SERVER_DISABLED NETWORK_ERROR REG_UPDATE DEREGISTER CONNECT CONNECT_FAILURE SECURE "
    "SECURE_FAILURE BOOTSTRAP REGISTRATION"
)


def teller(kind):
    def tell(self, path, fn):
        o, i, r, ri = split(path)
        if kind == CREATE:
            self.tree.inst.setdefault(o, {})
        h = [x for x in self.tree.hooks.get(o, ()) if x[:3] != (kind, i, r)]
        if fn:
            h.insert(0, (kind, i, r, fn))
        self.tree.hooks[o] = h

    return tell


class Client:
    """A LwM2M client. `uri` makes an account of its own for one server (short id `ssid`), NoSec unless
    `identity` and `key` are given; without it accounts come from set() or a bootstrap.

    Every attribute below is an option of the constructor too. Times are in seconds, those of CoAP
    (ack_timeout, random_factor, max_retransmit, nstart, szx) as in coap.endpoint.Endpoint."""

    lifetime = 86400
    binding = "U"
    version = None  # "1.0": register as this version alone; None: as the newest there is, or an older one
    retry = True  # begin a new sequence of attempts when one is over
    ssid = 1
    identity = key = ""
    root = ()  # the alternate path, such as "lwm2m"
    rootpath = b""
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
    # load(name) and save(name, bytes) keep what is to outlive a deep sleep
    transport = load_credentials = set_socketoptions = load = save = access = written = meter = None

    def __init__(self, endpoint=None, uri=None, **options):
        self.coap = {}
        for k, v in options.items():
            if hasattr(Client, k):
                setattr(self, k, v)
            elif hasattr(Endpoint, k):
                self.coap[k] = v
            else:
                raise TypeError("no such option: " + k)
        self.endpoint = endpoint
        if self.root:
            self.rootpath = b"/" + self.root.strip("/").encode()
            self.root = self.rootpath[1:].split(b"/")
        self.owner = self.mutex = None
        self.depth = 0
        try:
            import _thread

            self.mutex = _thread.allocate_lock()
            self.me = _thread.get_ident
        except (ImportError, AttributeError):
            pass
        self.tree = t = Tree(self.changed)
        self.w = None
        self.p = Packet()
        self.sessions = []
        self.every = []  # functions that each poll(now) calls; they return when they want to be called again
        self.listeners = []
        self.todo = []
        self.answers = {}
        self.sec = self.ms = self.tag = 0
        self.last = None
        self.listening = self.triggered = self.suspended = False
        t.inst[0] = {0: {}}
        t.inst[1] = {}
        from .objects.device import setup

        setup(self)
        if uri:
            address(uri)
            t.inst[0][0] = {0: uri.encode(), 2: 0 if self.key else 3, 10: self.ssid}
            for r, v in ((3, self.identity), (5, self.key)):
                t.inst[0][0][r] = canonical(5, v)
            t.inst[1][0] = {0: self.ssid, 1: self.lifetime, 6: True, 7: self.binding.encode()}

    # the lock: other threads stay out while it is held; the thread that holds it may take it again

    def __enter__(self):
        if self.mutex and self.owner != self.me():
            self.mutex.acquire()
            self.owner = self.me()
        self.depth += 1

    def __exit__(self, a, b, c):
        self.depth -= 1
        if not self.depth:
            self.owner = None
            if self.mutex:
                self.mutex.release()

    # values

    def place(self, path, value=None):
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
            value = {k: value[k] for k in range(len(value))}
        if value is not None:
            value = canonical(row, value)
            if (ri < 0 and bool(row & 0x800)) != isinstance(value, dict):
                raise ValueError("wrong shape: " + path)
        with self:
            f = self.tree.hook(VALIDATE, o, i, r)
            if f and f(join(o, i, r, ri), native(row, value)) is False:
                raise ValueError("refused: " + path)
            self.tree.put(o, i, r, ri, value)

    def get(self, path):
        """The value of a resource: str, int, float, bool, bytes, (object, instance), or a dict of these."""
        o, i, r, ri, row = self.place(path)
        with self:
            v = self.tree.read(o, i, r)
        if ri >= 0 and v:
            v = v.get(ri)
        return native(row, v)

    def exec(self, path, args=b""):
        """Execute a resource as a server would; ValueError where there is nothing to execute."""
        o, i, r, ri, row = self.place(path)
        if not row & 0x400 or not (self.tree.ask(EXEC, o, i, r, args) or o == 1):
            raise ValueError("nothing to execute: " + path)
        if o == 1:
            self.control(i, r)

    def create(self, path):
        """Create an instance ("/3303/0"), or, without its id, the next one; returns its path."""
        o, i, r, ri = split(path)
        if self.tree.find(o) < 0 or r >= 0:
            raise ValueError("no object: " + path)
        d = self.tree.inst.setdefault(o, {})
        if i < 0:
            i = 0
            while i in d:
                i += 1
        if i in d:
            raise ValueError("there already: " + path)
        with self:
            self.tree.create(o, i)
        return join(o, i)

    def delete(self, path):
        """Delete an instance, or a resource instance."""
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

    # the application's functions: fn(path, value); they refuse by returning or raising a CoAP code

    # fn(path, value) returns the value to show, or LATER
    on_read = teller(READ)
    # fn(path, value) hears of a server's write before it is done, and may refuse it
    on_write = teller(WRITE)
    # fn(path, arguments as bytes) executes a resource
    on_exec = teller(EXEC)
    # fn(path, None) hears of an instance that a server makes, or deletes
    on_create = teller(CREATE)
    on_delete = teller(DELETE)
    # fn(offset, data, more) takes an opaque resource as it arrives, block by block
    on_stream = teller(STREAM)
    # fn(path, value) returns False for a value that neither set() nor a server may give
    validate = teller(VALIDATE)

    def answer(self, path, value=None):
        """The value of a read, or the outcome of a write or execute, whose function returned LATER."""
        with self:
            self.answers[tuple(split(path)[:3])] = value

    def cache(self, path, n, oldest=False):
        """Keep up to `n` values that a resource gets, with their times, for what is told in SenML: see series.py."""
        from .series import cache

        cache(self, path, n, oldest)

    def send(self, paths, done=None):
        """Send the values at `paths` to the servers: see send.py."""
        from .send import send

        with self:
            return send(self, paths, done)

    def lock(self):
        """`with client.lock():` keeps notifications back until the last of several set() is done."""
        return self

    def observations(self):
        """[(path, ssid, pmin, pmax), ...] of what servers observe."""
        return [
            (join(*e[1:5]), s.ssid, e[12], e[13])
            for s in self.sessions
            for g in (s,) + s.groups
            for e in g.observed
        ]

    def event(self, fn):
        """fn(name, ssid) hears of events, by the names of Zephyr's client."""
        self.listeners.append(lambda n, ssid: fn(_EVENTS.split()[n], ssid))

    def emit(self, n, ssid):
        for f in self.listeners:
            try:
                f(n, ssid)
            except Exception as e:
                sys.print_exception(e)

    # life

    def start(self, endpoint=None, bootstrap=False):
        """Connect to every server there is an account for, or bootstrap where there is none."""
        if endpoint:
            self.endpoint = endpoint
        if not self.endpoint:
            self.endpoint = identity() or "micropython"
        self.tree.level = self.level()
        with self:
            self.suspended = False
            if bootstrap or not self.servers():
                if self.bootstrap_account() < 0:
                    raise ValueError("no account")
                self.bootstrap(None)
            else:
                self.register(None)

    def servers(self):
        """[(security instance, server instance), ...] of the accounts that are whole."""
        t = self.tree
        out = []
        for srv in t.instances(1):
            for sec in t.instances(0):
                d = t.inst[0][sec]
                if d.get(0) and not d.get(1) and d.get(10) and d.get(10) == t.get(1, srv, 0):
                    out.append((sec, srv))
        return out

    def bootstrap_account(self):
        for sec in self.tree.instances(0):
            d = self.tree.inst[0][sec]
            if d.get(1) and d.get(0):
                return sec
        return -1

    def consistent(self):
        """True where every server has its security instance, and there is a server."""
        n = len(self.servers())
        for d in self.tree.inst[0].values():
            if d.get(2) == 0 and not (d.get(3) and d.get(5)):
                return False
        return n and n == len(self.tree.inst[1])

    def drop(self):
        for s in self.sessions:
            s.close()
        self.sessions = []

    def register(self, old):
        keep = old if old and old.ep else None
        if keep:
            self.sessions.remove(keep)
        self.drop()
        self.triggered = False
        last = None
        for s in sorted([Session(self, sec, srv) for sec, srv in self.servers()], key=priority):
            self.sessions.append(s)
            # one after the other, where the servers have priorities (1/x/13)
            if last:
                last.next = s
            else:
                s.begin()
            if s.account(13) is not None:
                last = s
        sec = self.bootstrap_account()
        if keep and keep.sec == sec:
            self.listening = True
            self.sessions.append(keep)
        elif keep:
            keep.close()

    def bootstrap(self, old):
        from .bootstrap import Bootstrap

        self.triggered = bool(old)
        self.drop()
        self.listening = False
        s = Bootstrap(self, self.bootstrap_account())
        self.sessions.append(s)
        s.start(0 if old else None)

    def fallback(self, s):
        """What a session whose attempts all failed does: True where a bootstrap takes over."""
        if s.bootstrap or self.bootstrap_account() < 0 or s.account(16) is False:
            return False
        self.later(self.bootstrap, None)
        return True

    def restored(self, s):
        """After a bootstrap that failed: True where the servers of before are there to go on with."""
        if not self.triggered or not self.servers():
            return False
        self.later(self.register, s)
        return True

    def later(self, f, x):
        # what would pull a session from under the datagram that is being answered waits for poll()
        self.todo.append((f, x))

    def control(self, i, r):
        """Disable, Registration Update Trigger, Bootstrap-Request Trigger of server instance `i`."""
        for s in self.sessions:
            if s.srv == i:
                if r == 4:
                    self.later(self.disable, s)
                elif r == 8:
                    s.what |= 8
                elif self.bootstrap_account() < 0:
                    raise CoapError(0x85)
                else:
                    self.later(self.bootstrap, s)

    def disable(self, s):
        s.disabled = True
        s.leave(self.last)

    def left(self, s, code):
        if s.disabled:
            s.disabled = False
            self.emit(12, s.ssid)
            t = s.account(5)
            s.start(86400 if t is None else t)
        else:
            self.emit(8 if code else 9, s.ssid)

    def stop(self, force=False):
        """De-register from every server and stop; `force` just stops."""
        with self:
            for s in self.sessions[:]:
                if force:
                    s.close()
                    self.emit(9, s.ssid)
                elif s.bootstrap:
                    s.close()
                    if not self.listening:
                        self.emit(9, s.ssid)
                elif s.state != LEAVING:
                    s.leave(self.last)

    def pause(self):
        """Stand still: no timer runs, no datagram is taken, until resume()."""
        self.suspended = True
        for s in self.sessions:
            if s.location:
                s.store()
        self.emit(11, 0)

    def resume(self):
        """Go on after pause()."""
        self.suspended = False

    def update(self, ssid=0):
        """Send an update soon; False where no such server is registered."""
        n = 0
        for s in self.sessions:
            if s.state == ON and not s.bootstrap and ssid in (0, s.ssid):
                s.what |= 8
                n += 1
        return n > 0

    def stat(self):
        """0 not registered, 1 registering, 2 registered, 3 de-registering, 4 failed."""
        n = 0
        for s in self.sessions:
            x = s.state
            x = (
                0
                if x == IDLE
                else 3
                if x == LEAVING
                else 4
                if x == FAILED
                else 2
                if x == ON
                else 1
            )
            if s.bootstrap:
                x = 0 if self.listening else 1 if x == 2 else x
            if x == 2 or not n:
                n = x
        return n

    def active(self):
        for s in self.sessions:
            if s.state != IDLE:
                return True
        return False

    def changed(self, o, i, r):
        f = self.tree.hook(CHANGED, o, i, r)
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
                v = max(v, self.min_lifetime)
            elif r == 7:
                if v not in (b"U", b"UQ", b"S", b"SQ", b"US", b"UQS"):
                    raise CoapError(0x80)
        return v

    def stream(self, s, p):
        o, i, r, ri = p.path
        f = self.tree.hook(STREAM, o, i, r) if r >= 0 and p.code == 3 and p.ct == 42 else None
        if not f:
            return None
        s.allow(o, i, 2)

        def take(offset, data, more):
            try:
                return f(offset, data, more)
            except CoapError as e:
                return e.args[0]
            except Exception as e:
                sys.print_exception(e)
                return 0xA0

        return take

    def links(self, w):
        from .formats.link import registration

        t = self.tree
        ct = [b"%d" % n for n in (60, 110, 112, 11542, 11543, 11544) if t.level and find(n)]
        registration(w, t, self.rootpath, b';ct="%s"' % b" ".join(ct) if len(ct) > 1 else b"")

    def level(self):
        """The minor version to register as: the newest that the image has a format for."""
        if self.version:
            return int(self.version[2:])
        return 2 if find(11544) else 1 if find(112) or find(110) else 0

    def channel(self, s):
        """What a session sends through: a datagram socket, and the secure channel over it, or None."""
        d = self.tree.inst[0][s.sec]
        mode = d.get(2, 3)
        secure, host, number = address(str(d[0], "utf8"), mode != 3)
        if secure and mode == 3:
            raise ValueError("coaps without security")
        if self.transport:
            c = self.transport(host, number)
        else:
            c = open_udp(host, number, self.set_socketoptions, self.local_port)
        if self.meter:
            self.meter(c)
        tls = None
        if mode != 3:
            try:
                from .dtls import secured

                tls = secured(self, s, d, c, host)
            except (ImportError, ValueError):
                c.close()
                raise ValueError("security mode")
        if not self.w or (tls and self.w.head < tls.HEAD):
            self.w = Writer(self.size, tls.HEAD if tls else 0, tls.TAIL if tls else 0)
        return c, tls

    def poll(self, now=None):
        """Take in what has arrived, send what is due; the ms until poll() wants to be called again at the
        latest, -1 where nothing is to come. `now` is a time of ticks_ms()."""
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
                        s.heard = self.sec
                        if s.tls:
                            d = s.tls.feed(d, now)
                        while d is not None and s.ep:
                            s.ep.feed(d, now, self.root)
                            d = s.tls.feed(None, now) if s.tls and s.tls.more else None
            while self.todo:
                f, x = self.todo.pop(0)
                f(x)
            for f in self.every:
                t = f(now)
                if t >= 0 and (wait < 0 or t < wait):
                    wait = t
            n = 0
            for s in self.sessions:
                t = s.poll(now)
                n += len(s.later)
                if t >= 0 and (wait < 0 or t < wait):
                    wait = t
            if not n and self.answers:
                self.answers.clear()
        return wait

    def run(self):
        """Poll until stop() is done."""
        while self.active() or self.todo:
            t = self.poll()
            # another thread's set() is noticed within a quarter of a second
            ready(250 if t < 0 or t > 250 else t)


def priority(s):
    p = s.account(13)
    return -1 if p is None else p


def address(uri, secure=False):
    """(secure, host, port) of "coap(s)://host[:port]" or "host[:port]"; ValueError where it is none."""
    s = uri
    if "://" in s:
        scheme, s = s.split("://", 1)
        if scheme not in ("coap", "coaps"):
            raise ValueError("no CoAP: " + uri)
        secure = scheme == "coaps"
    s = s.split("/")[0]
    if s[:1] == "[":
        s, p = s[1:].split("]", 1)
        p = p[1:]
    else:
        p = ""
        if ":" in s:
            s, p = s.split(":", 1)
    p = int(p) if p else 5684 if secure else 5683
    if not s or not 0 < p < 65536:
        raise ValueError("no address: " + uri)
    return secure, s, p
