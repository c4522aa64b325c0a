# The client: what an application calls; whatever else is in it begins with an underscore
# SPDX-License-Identifier: MIT
from .coap.endpoint import Endpoint
from .coap.message import Message
from .coap.numbers import LWM2M_CBOR, SENML_CBOR, SENML_JSON, TLV
from .events import CLIENT_ERROR, ENGINE_SUSPENDED, NAMES
from .formats import has_format
from .ids import (
    BINDING,
    HIGHEST_ID,
    IDENTITY,
    LIFETIME,
    MODE_NOSEC,
    MODE_PSK,
    NOTIFICATION_STORING,
    SECRET_KEY,
    SECURITY,
    SECURITY_MODE,
    SECURITY_SSID,
    SERVER,
    SERVER_URI,
    SHORT_SERVER_ID,
)
from .model.tree import (
    EXECUTABLE,
    MULTIPLE,
    ON_CHANGE,
    ON_CREATE,
    ON_DELETE,
    ON_EXECUTE,
    ON_READ,
    ON_STREAM,
    ON_WRITE,
    VALIDATE,
    Tree,
)
from .model.values import (
    OPAQUE,
    UNSIGNED,
    INTEGER,
    format_path,
    parse_path,
    to_native,
    to_stored,
)
from .port import identity, ready, sooner, sys, ticks_add, ticks_diff, ticks_ms
from .servers import BINDINGS, Servers
from .session.connect import parse_uri
from .session.session import IDLE, REGISTERED, REGISTERING

try:
    from _thread import allocate_lock, get_ident
except ImportError:
    allocate_lock = get_ident = None

VERSIONS = ("1.0", "1.1", "1.2")
MANY_INSTANCES = const(1)  # a flag of an object's definition

BOOTSTRAP_WAIT = const(1000)  # ms until a session that holds still is looked at again
ERROR_WAIT = const(1000)  # ms until what an exception interrupted is tried again
MOST_DATAGRAMS = const(16)  # of a server, that one poll() takes
LONGEST_NAP = const(250)  # ms: another thread's set() is noticed within that


def hook_setter(kind):
    """A method that sets the application's function of this kind."""

    def set_hook(self, path, fn):
        oid, iid, rid, riid = parse_path(path)
        if kind == ON_CREATE:
            self.tree.objects.setdefault(oid, {})
        hooks = self.tree.hooks.setdefault(oid, [])
        for hook in hooks:
            if hook[:3] == (kind, iid, rid):
                hooks.remove(hook)
                break
        if fn:
            hooks.insert(0, (kind, iid, rid, fn))

    return set_hook


class Lock:
    """A lock that the thread that holds it may take again; `depth` tells how often it has."""

    depth = 0
    owner = None

    def __init__(self):
        self.mutex = allocate_lock and allocate_lock()

    def __enter__(self):
        if self.mutex and self.owner != get_ident():
            self.mutex.acquire()
            self.owner = get_ident()
        self.depth += 1

    def __exit__(self, kind, error, traceback):
        self.depth -= 1
        if not self.depth:
            self.owner = None
            if self.mutex:
                self.mutex.release()


class Client(Servers):
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
    alternate_path = ""  # such as "lwm2m"
    max_message_size = 576  # bytes
    min_lifetime = 1
    update_early = 30
    update_period = 0
    queue = False  # queue mode, whatever 1/x/7 says
    awake_time = 93  # how long a queue mode client listens after the last exchange
    bootstrap_timeout = 247
    max_instances = 32
    default_format = TLV
    confirmable = True  # notifications as CON
    local_port = 0
    # transport(host, port): a channel, whole datagrams to and from one server: send(buf, start, end), recv() the
    # next as bytes or None at once, close(). load_credentials(ssid): (identity, key), or certificate and private
    # key, instead of those in object 0. set_socketoptions(socket) comes before bind and connect.
    # load(name), bytes or None, and save(name, bytes) keep what is to outlive a deep sleep.
    transport = load_credentials = set_socketoptions = load = save = None

    def __init__(self, endpoint=None, uri=None, **options):
        Servers.__init__(self)
        self._coap_options = {}
        self._take_options(options)
        self.endpoint = endpoint
        path = (self.alternate_path or "").strip("/")
        self._root = tuple(path.encode().split(b"/")) if path else ()
        self._root_path = b"/".join((b"",) + self._root)
        self._lock = Lock()
        self._last_tick = self._writer = None
        self.now_s = self.now_ms = 0
        self.suspended = False
        self._message = Message()
        self.pollers = []  # functions that each poll(now) calls; they return when they want to be called again
        self.taps = []  # functions that get each channel that is opened
        self.access = None  # access control, see objects/access.py
        self.served = None  # the session whose request came last
        self._listeners = []
        self._write_listeners = []
        self._answers = {}
        self._recent = {}  # the last requests of servers, by security instance
        self.tree = tree = Tree(self._resource_changed)
        tree.root_path = self._root_path
        tree.objects[SECURITY] = {0: {}}
        tree.objects[SERVER] = {}
        from .objects.device import setup

        setup(self)
        if uri:
            self._add_account(uri)

    def _take_options(self, options):
        # an option is a class attribute that is no function, of the client, or else of its endpoints
        for name, value in options.items():
            owner = Client if hasattr(Client, name) else Endpoint
            if name[:1] == "_" or callable(getattr(owner, name, owner)):
                raise TypeError("no such option: " + name)
            if owner is Client:
                setattr(self, name, value)
            else:
                self._coap_options[name] = value
        if self.version and self.version not in VERSIONS:
            raise ValueError("version")
        if self.binding.encode() not in BINDINGS.split():
            raise ValueError("binding")

    def _add_account(self, uri):
        """Make /0/0 and /1/0 for the server at `uri` from the options."""
        parse_uri(uri)
        objects = self.tree.objects
        key = to_stored(OPAQUE, self.key)
        objects[SECURITY][0] = {
            SERVER_URI: uri.encode(),
            SECURITY_MODE: MODE_PSK if key or self.load_credentials else MODE_NOSEC,
            IDENTITY: to_stored(OPAQUE, self.identity),
            SECRET_KEY: key,
            SECURITY_SSID: self.ssid,
        }
        objects[SERVER][0] = {
            SHORT_SERVER_ID: to_stored(INTEGER | UNSIGNED, self.ssid),
            LIFETIME: to_stored(INTEGER | UNSIGNED, self.lifetime),
            NOTIFICATION_STORING: True,
            BINDING: self.binding.encode(),
        }

    # the lock: other threads stay out while it is held

    def __enter__(self):
        self._lock.__enter__()

    def __exit__(self, kind, error, traceback):
        self._lock.__exit__(kind, error, traceback)

    def _is_locked(self):
        """In poll(): does the application hold the lock around it? Outside: is one of its functions being called?"""
        return self._lock.depth > 1

    # values

    def _resource_at(self, path):
        """(ids of the path, ..., definition) of a resource; KeyError, ValueError as for set()."""
        oid, iid, rid, riid = parse_path(path)
        definition = self.tree.definition(oid, rid)
        if not definition or (riid >= 0 and not definition & MULTIPLE):
            raise ValueError("no resource: " + path)
        if iid not in self.tree.objects.get(oid, ()):
            raise KeyError(path)
        return oid, iid, rid, riid, definition

    def set(self, path, value):
        """Give a resource (or a resource instance, or with a dict all of them) a value; None removes it.
        KeyError where the instance is missing, ValueError where the path or the type is wrong."""
        oid, iid, rid, riid, definition = self._resource_at(path)
        many = bool(definition & MULTIPLE) and riid < 0
        if isinstance(value, list) and many:
            value = dict(enumerate(value))
        if value is not None:
            try:
                value = to_stored(definition, value)
                if isinstance(value, dict) != many:
                    raise ValueError
            except (TypeError, ValueError):
                raise ValueError("wrong type: " + path)
        with self._lock:
            validate = self.tree.hook(VALIDATE, oid, iid, rid)
            if validate and (
                validate(format_path(oid, iid, rid, riid), to_native(definition, value)) is False
            ):
                raise ValueError("refused: " + path)
            self.tree.store(oid, iid, rid, riid, value)

    def get(self, path):
        """The value of a resource: str, int, float, bool, bytes, (object, instance), or a dict of these; None
        where it has none. KeyError, ValueError as for set(), CoapError as its function refuses."""
        oid, iid, rid, riid, definition = self._resource_at(path)
        with self._lock:
            value = self.tree.read(oid, iid, rid)
        if riid >= 0 and value:
            value = value.get(riid)
        return to_native(definition, value)

    def exec(self, path, args=b""):
        """Execute a resource as a server would; ValueError where there is nothing to execute, CoapError as its
        function refuses."""
        oid, iid, rid, riid, definition = self._resource_at(path)
        with self._lock:
            if not definition & EXECUTABLE or not (
                self.tree.call_hook(ON_EXECUTE, oid, iid, rid, args) or oid == SERVER
            ):
                raise ValueError("nothing to execute: " + path)
            if oid == SERVER:
                self._run_command(iid, rid)

    def create(self, path):
        """Create an instance ("/3303/0"), or, without its id, the next one; returns its path. ValueError where
        the object is not known, or has no room."""
        oid, iid, rid, riid = parse_path(path)
        flags = self.tree.find(oid)
        instances = self.tree.objects.get(oid, ())
        if (
            flags < 0
            or rid >= 0
            or iid > HIGHEST_ID
            or iid in instances
            or ((instances or iid > 0) and not flags & MANY_INSTANCES)
        ):
            raise ValueError("not to be created: " + path)
        if iid < 0:
            iid = 0
            while iid in instances:
                iid += 1
        with self._lock:
            self.tree.create(oid, iid)
        return format_path(oid, iid)

    def delete(self, path):
        """Delete an instance, or a resource instance; KeyError where there is no such instance."""
        oid, iid, rid, riid = parse_path(path)
        if iid not in self.tree.objects.get(oid, ()):
            raise KeyError(path)
        with self._lock:
            if rid < 0:
                self.tree.delete(oid, iid)
            else:
                self.tree.store(oid, iid, rid, riid, None)

    def objects(self, table):
        """Add object tables that tools/objects.py compiled. Servers see an object once it has an instance,
        or on_create() says that they may make one."""
        self.tree.tables.append(table)

    # the application's functions: the one set last is asked, None takes it away. They refuse by raising a
    # CoapError, all but on_read() also by returning False (4.00) or a CoAP code, and delay the answer by LATER;
    # any other exception is 5.00

    # fn(path, value that is stored or None) returns the value to show, None where there is none
    on_read = hook_setter(ON_READ)
    # fn(path, value) hears of a server's write before it is done
    on_write = hook_setter(ON_WRITE)
    # fn(path, arguments as bytes) executes a resource
    on_exec = hook_setter(ON_EXECUTE)
    # fn(path, None) hears of an instance that a server has made, or is to delete
    on_create = hook_setter(ON_CREATE)
    on_delete = hook_setter(ON_DELETE)
    # fn(path, offset, data, more) takes an opaque resource as it arrives, block by block; `data` is good for the
    # call, `more` 0 at the end. It returns a CoAP code, or None: there is no False and no LATER
    on_stream = hook_setter(ON_STREAM)
    # fn(path, value) returns False for a value that neither set() nor a server may give
    validate = hook_setter(VALIDATE)

    def answer(self, path, value=None):
        """The value of a read, or the outcome of anything else, whose function returned LATER; a CoapError
        refuses. Every request that waits for `path` is done again then: its other functions hear of it once more.
        A request waits for 247 s, four of them for each server."""
        with self._lock:
            self._answers[tuple(parse_path(path)[:3])] = value

    def cache(self, path, n, oldest=False):
        """Keep up to `n` values that a resource gets, with their times, for what is told in SenML: see series.py."""
        from .reporting.timeseries import cache

        cache(self, path, n, oldest)

    def send(self, paths, done=None):
        """Send the values at `paths` to the servers, done(code) hears of each: see send.py."""
        from .reporting.send import send

        with self._lock:
            return send(self, paths, done)

    def lock(self):
        """`with client.lock():` keeps notifications back until the last of several set() is done, and other
        threads out of the client."""
        return self

    def observations(self):
        """[(path, ssid, pmin, pmax), ...] of what servers observe."""
        out = []
        for s in self.sessions:
            for observation in s.observations:
                for path in observation.paths():
                    out.append((format_path(*path), s.ssid, observation.pmin, observation.pmax))
        return out

    def event(self, fn):
        """fn(name, ssid) hears of events, by their names in events.py; `ssid` 0 is none or the client. What it
        raises is printed."""
        self._listeners.append(lambda event, ssid: fn(NAMES.split()[event], ssid))

    def _emit(self, event, ssid):
        for listener in self._listeners:
            try:
                listener(event, ssid)
            except Exception as error:
                sys.print_exception(error)

    def _tell_error(self, error, ssid):
        try:
            sys.print_exception(error)
            self._emit(CLIENT_ERROR, ssid)
        except Exception:
            pass  # not even the memory to tell of it

    def on_server_write(self, fn):
        """fn(object, instance, resource, stored value) hears of each value that a LwM2M server has written."""
        self._write_listeners.append(fn)

    def _resource_written(self, oid, iid, rid, value):
        for listener in self._write_listeners:
            listener(oid, iid, rid, value)

    # life

    def start(self, endpoint=None, bootstrap=False):
        """Connect to every server there is an account for, or bootstrap where there is none; ValueError where
        there is no account for that either."""
        if endpoint:
            self.endpoint = endpoint
        if not self.endpoint:
            self.endpoint = identity() or "micropython"
        self.tree.minor = self._newest_minor()
        with self._lock:
            self.suspended = False
            begin = self._register
            if bootstrap or not self._accounts():
                if self._bootstrap_account() < 0:
                    raise ValueError("no account")
                begin = self._bootstrap
            if self._calls:
                # behind a stop(), perhaps
                self.call_soon(begin, None)
            else:
                begin(None)

    def stop(self, force=False):
        """De-register from every server and stop; `force` just stops. Done when active() is False. False where
        nothing is to be stopped, else None."""
        with self._lock:
            if not self._is_running():
                return False
            if self._is_locked() or self._calls:
                # one of the application's functions asks for it: first what that belongs to is brought to its end
                self.call_soon(self._end_sessions, force)
            else:
                self._end_sessions(force)

    def pause(self):
        """Stand still: no timer runs, no datagram is taken, until resume(). False where it does already."""
        with self._lock:
            if self.suspended:
                return False
            self.suspended = True
            for session in self.sessions:
                if session.dtls and session.location:
                    session.channel.suspend()
        self._emit(ENGINE_SUSPENDED, 0)

    def resume(self):
        """Go on after pause()."""
        self.suspended = False

    def update(self, ssid=0):
        """Send an update soon, to all servers or one; False where no such server is registered."""
        found = False
        for session in self.sessions:
            if session.is_registered() and ssid in (0, session.ssid):
                session.want_update()
                found = True
        return found

    def stat(self):
        """0 not registered, 1 registering, 2 registered, 3 de-registering, 4 failed."""
        found = IDLE
        for session in self.sessions:
            state = session.state
            if session.is_busy():
                state = IDLE if session.disabled else REGISTERING
            if state == REGISTERED or found == IDLE:
                found = state
        return found

    def active(self):
        """True until all sessions have ended."""
        for session in self.sessions:
            if session.state != IDLE:
                return True
        return False

    def _resource_changed(self, oid, iid, rid):
        function = self.tree.hook(ON_CHANGE, oid, iid, rid)
        if function:
            function(oid, iid, rid)
        for session in self.sessions:
            session.resource_changed(oid, iid, rid)

    def _newest_minor(self):
        """The minor version to register as: the newest that the image has a format for."""
        if self.version:
            return VERSIONS.index(self.version)
        if has_format(LWM2M_CBOR):
            return 2
        return 1 if has_format(SENML_CBOR) or has_format(SENML_JSON) else 0

    def _tick(self, now):
        """Let the clock go on to `now`, a time of ticks_ms(): the ticks wrap around, seconds do not."""
        if self._last_tick is None:
            self._last_tick = now
        seconds = ticks_diff(now, self._last_tick) // 1000
        if seconds > 0:
            self.now_s += seconds
            self._last_tick = ticks_add(self._last_tick, seconds * 1000)
        self.now_ms = ticks_diff(now, self._last_tick)
        self.now = now

    def _receive(self, session, now):
        """Take in what has arrived from a server; the ms until there may be more, or -1."""
        for _ in range(MOST_DATAGRAMS):
            if not session.coap:
                return -1
            datagram = session.channel.recv()
            if datagram is None:
                return -1
            if not session.asleep:  # else the radio is off
                session.last_heard = now
                session.coap.receive(datagram, now, self._root)
        return 0  # the timers have their turn first

    def _receive_all(self, now):
        wait = -1
        for session in self.sessions:
            try:
                wait = sooner(wait, self._receive(session, now))
            except Exception as error:
                self._tell_error(error, session.ssid)
                wait = sooner(wait, ERROR_WAIT)
        return wait

    def _poll_sessions(self, now):
        wait = -1
        for session in self.sessions:
            try:
                if self._bootstrap_triggered and not session.bootstrap:
                    wait = sooner(wait, BOOTSTRAP_WAIT)
                else:
                    wait = sooner(wait, session.poll(now))
            except Exception as error:
                self._tell_error(error, session.ssid)
                wait = sooner(wait, ERROR_WAIT)
        return wait

    def _poll_others(self, now):
        """What objects and applications have asked for."""
        wait = -1
        try:
            self._run_calls()
        except Exception as error:
            self._tell_error(error, 0)
        for poller in self.pollers:
            try:
                wait = sooner(wait, poller(now))
            except Exception as error:
                self._tell_error(error, 0)
                wait = sooner(wait, ERROR_WAIT)
        return wait

    def _hand_answers(self):
        """Give what answer() got to those that wait for it by now."""
        for session in self.sessions:
            session.take_answers(self._answers)
        self._answers.clear()

    def poll(self, now=None):
        """Take in what has arrived, send what is due; the ms until poll() wants to be called again at the
        latest, -1 where nothing is to come, or after pause(). `now` is a time of ticks_ms()."""
        if now is None:
            now = ticks_ms()
        self._tick(now)
        if self.suspended:
            return -1
        wait = -1
        with self._lock:
            if self.transport or ready():
                wait = self._receive_all(now)
            wait = sooner(wait, self._poll_others(now))
            if self._answers:
                self._hand_answers()
            wait = sooner(wait, self._poll_sessions(now))
            if self._calls:
                wait = 0
        return wait

    def _is_running(self):
        """True until stop() is done."""
        return self.active() or bool(self._calls)

    def run(self):
        """Poll until stop() is done."""
        while self._is_running():
            wait = self.poll()
            ready(LONGEST_NAP if wait < 0 or wait > LONGEST_NAP else wait)
