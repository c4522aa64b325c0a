# A network in memory with a clock that tests turn: LwM2M servers on it, and the client under test
# SPDX-License-Identifier: MIT
"""`Link()` makes a client whose transport ends in `Peer` objects, one for each host name.

A peer answers what the client asks (register, update, bootstrap, ...) as `peer.reply` says, and asks the
client itself: `link.server.get("/3/0/0")` sends a request, turns the clock until the answer is there,
and returns it as a `Msg`. The reader and writer of CoAP here are not those of the library."""

import lwm2m.port


class _Sys:
    """`sys` as the library sees it: what it prints of an exception is kept for the test."""

    def __init__(self, module):
        for name in dir(module):
            if name != "print_exception":
                setattr(self, name, getattr(module, name))
        self._errors = errors = []

        def print_exception(e, *file):
            if file:
                module.print_exception(e, *file)
            else:
                errors.append(e)

        # not a method: `from sys import print_exception` takes no bound one everywhere
        self.print_exception = print_exception


sys = lwm2m.port.sys
if not isinstance(sys, _Sys):
    # before anything else of the library takes it from there
    lwm2m.port.sys = sys = _Sys(sys)

from lwm2m.client import Client
from lwm2m.port import binascii, module, struct, sys

json = module("json")
os = module("os")
time = module("time")
hexlify = binascii.hexlify
unhexlify = binascii.unhexlify
try:
    sha256 = module("hashlib").sha256
except (ImportError, AttributeError):
    # no other hash is at hand
    from lwm2m.crypto.provider import sha256

CON, NON, ACK, RST = range(4)
GET, POST, PUT, DELETE, FETCH, PATCH, IPATCH = range(1, 8)

# options
IF_MATCH, URI_HOST, ETAG, OBSERVE, URI_PORT, LOCATION, URI_PATH, FORMAT = 1, 3, 4, 6, 7, 8, 11, 12
QUERY, ACCEPT, BLOCK2, BLOCK1, SIZE2, SIZE1 = 15, 17, 23, 27, 28, 60
TEXT, LINK, OPAQUE, CBOR, TLV = 0, 40, 42, 60, 11542

_START = 0x3FFFFFFF - 4999  # the ticks wrap around soon after the start


def left_over():
    """The exceptions of which the library printed a traceback, since this was asked last."""
    errors = sys._errors[:]
    sys._errors.clear()
    return errors


def printed():
    """Their classes: a test says by it which tracebacks it expects, as any other makes it fail."""
    return [type(e) for e in left_over()]


class Skip(Exception):
    """Raised by a test that can't run here."""


def uint(n):
    b = b""
    while n:
        b = bytes((n & 255,)) + b
        n >>= 8
    return b


def number(b):
    n = 0
    for c in b:
        n = n << 8 | c
    return n


def extend(n):
    """Nibble and extension bytes of an option's delta or length."""
    if n < 13:
        return n, b""
    return (13, bytes((n - 13,))) if n < 269 else (14, bytes((n - 269 >> 8, n - 269 & 255)))


def build(typ, code, mid, token=b"", opts=(), payload=b""):
    """A datagram; `opts` is [(number, bytes, str or int), ...] in any order."""
    out = bytes((0x40 | typ << 4 | len(token), code, mid >> 8, mid & 255)) + token
    last = 0
    # MicroPython's sorted() is not stable
    for num, _, v in sorted([(opts[k][0], k, opts[k][1]) for k in range(len(opts))]):
        v = v.encode() if isinstance(v, str) else uint(v) if isinstance(v, int) else v
        d, dx = extend(num - last)
        n, nx = extend(len(v))
        out += bytes((d << 4 | n,)) + dx + nx + v
        last = num
    return out + (b"\xff" + payload if payload else b"")


class Msg:
    """A datagram that was read: typ, code, mid, token, opts [(number, bytes)], payload, at (ms)."""

    def __init__(self, d, at=0):
        assert d[0] >> 6 == 1, d
        self.raw = d
        self.at = at
        self.typ = d[0] >> 4 & 3
        self.code = d[1]
        self.mid = d[2] << 8 | d[3]
        p = 4 + (d[0] & 15)
        self.token = d[4:p]
        assert p <= 12 and len(self.token) == d[0] & 15, d
        self.opts = []
        self.payload = b""
        num = 0
        while p < len(d):
            c = d[p]
            p += 1
            if c == 255:
                self.payload = d[p:]
                assert self.payload, d
                break
            v = [c >> 4, c & 15]
            for k in (0, 1):
                assert v[k] < 15, d
                if v[k] == 13:
                    v[k] = 13 + d[p]
                    p += 1
                elif v[k] == 14:
                    v[k] = 269 + (d[p] << 8 | d[p + 1])
                    p += 2
            num += v[0]
            assert p + v[1] <= len(d), d
            self.opts.append((num, d[p : p + v[1]]))
            p += v[1]

    def all(self, num):
        return [v for n, v in self.opts if n == num]

    def opt(self, num):
        """The value of an option as an integer, None where it is absent."""
        v = self.all(num)
        return number(v[0]) if v else None

    def path(self, num=URI_PATH):
        return "/" + "/".join([str(v, "utf8") for v in self.all(num)])

    def query(self):
        return sorted([str(v, "utf8") for v in self.all(QUERY)])

    def __repr__(self):
        return "<%s %d.%02d #%d %r %r %r>" % (
            "CON NON ACK RST".split()[self.typ],
            self.code >> 5,
            self.code & 31,
            self.mid,
            self.token,
            self.opts,
            self.payload,
        )


def segments(path):
    return [(URI_PATH, s) for s in path.split("/") if s]


class Peer:
    """A server, and the client's channel to it (the methods up to `close`)."""

    HEAD = TAIL = 0
    state = 2
    error = 0

    def __init__(self, link, host, port):
        self.link = link
        self.host = host
        self.port = port
        self.open = True
        self.inbox = []
        self.heard = []  # every Msg of the client
        self.requests = []  # the requests among them, without repetitions
        self.mid = 0x1000
        self.acks = True  # acknowledge what is confirmable
        # fn(msg) -> (code, options, payload), None for silence, or bytes to be sent as they are
        self.reply = self.accept

    def connect(self, now):
        self.open = True

    def poll(self, now):
        return -1

    def feed(self, datagram, now):
        return datagram

    def send(self, buf, start, end):
        assert self.open, "sent on a closed channel"
        self.link.carry(self, bytes(memoryview(buf)[start:end]), False)

    def recv(self):
        return self.inbox.pop(0) if self.inbox else None

    def close(self):
        self.open = False
        self.inbox = []

    def accept(self, m):
        """Answer as a server that is content with everything."""
        path = m.path()
        if m.code == POST and path == "/rd":
            return 0x41, [(LOCATION, "rd"), (LOCATION, "7")], b""
        if m.code == POST and path in ("/rd/7", "/bs"):
            return 0x44, (), b""
        if m.code == DELETE and path == "/rd/7":
            return 0x42, (), b""
        return 0x84, (), b""

    def hear(self, d):
        m = Msg(d, self.link.ms)
        known = [
            x
            for x in self.heard
            if x.typ == CON == m.typ and x.mid == m.mid and x.token == m.token
        ]
        self.heard.append(m)
        if not 0 < m.code < 32:
            if m.typ == CON and m.code and self.acks:
                self.raw(build(ACK, 0, m.mid))
            return
        if not known:
            self.requests.append(m)
        a = self.reply(m)
        if isinstance(a, bytes):
            self.raw(a)
        elif a:
            self.raw(build(ACK if m.typ == CON else NON, a[0], m.mid, m.token, a[1], a[2]))

    def raw(self, d):
        self.link.carry(self, d, True)

    def next_mid(self):
        self.mid = self.mid + 1 & 0xFFFF
        return self.mid

    def ask(self, code, path, opts=(), payload=b"", typ=CON, token=None, mid=None):
        """Send a request; its token. `path` may be a list of options, too."""
        mid = self.next_mid() if mid is None else mid
        token = uint(mid) if token is None else token
        path = segments(path) if isinstance(path, str) else path
        self.raw(build(typ, code, mid, token, path + list(opts), payload))
        return token

    def wait(self, token, since=0, seconds=100):
        """Turn the clock until a response with this token is heard."""
        found = []

        def answered():
            found[:] = [m for m in self.heard[since:] if m.code >= 64 and m.token == token]
            return found

        self.link.until(answered, seconds)
        return found[0]

    def request(self, code, path, opts=(), payload=b"", **kw):
        since = len(self.heard)
        return self.wait(self.ask(code, path, opts, payload, **kw), since)

    def get(self, path, accept=None, *opts):
        return self.request(GET, path, list(opts) + ([] if accept is None else [(ACCEPT, accept)]))

    def put(self, path, payload=b"", ct=TEXT, *opts):
        return self.request(PUT, path, list(opts) + [(FORMAT, ct)], payload)

    def post(self, path, payload=b"", ct=None, *opts):
        return self.request(
            POST, path, list(opts) + ([] if ct is None else [(FORMAT, ct)]), payload
        )

    def delete(self, path):
        return self.request(DELETE, path)

    def attributes(self, path, *query):
        return self.request(PUT, path, [(QUERY, q) for q in query])

    def observe(self, path, accept=None, **kw):
        """Start an observation: the first answer, whose token is that of the notifications."""
        return self.request(
            GET, path, [(OBSERVE, 0)] + ([] if accept is None else [(ACCEPT, accept)]), **kw
        )

    def notes(self, token, since=0):
        """The notifications with a token, repetitions left out."""
        out = []
        for m in self.heard[since:]:
            if (
                m.code >= 64
                and m.token == token
                and m.typ != ACK
                and m.mid not in [x.mid for x in out]
            ):
                out.append(m)
        return out


class Link:
    """The client under test as `link.client`, its (first) server as `link.server`.

    `fault(peer, datagram, to_client)` may be set: it gives the delays in ms at which copies of a
    datagram arrive, () is a loss. Keywords are options of the client, unless `client` is one that is
    there already; `start=False` leaves it alone."""

    def __init__(self, uri="coap://server", start=True, name="dev", client=None, **options):
        self.ms = 0
        self.queue = []
        self.peers = {}
        self.fault = None
        self.events = []
        self.times = []  # when each of them was
        self.past = 0
        self.naps = 0  # short waits in a row
        self.opened = 0
        self.base = _START
        options.setdefault("version", "1.0")
        self.client = client or Client(name, uri, **options)
        _made.append(self)
        self.client.transport = self.transport
        self.client.event(self.happened)
        if uri:
            self.server = self.peer("server")
        if start:
            self.client.start()
            self.until("REGISTRATION_COMPLETE")

    def happened(self, name, ssid):
        self.events.append((name, ssid))
        self.times.append(self.ms)

    def ticks(self):
        return lwm2m.port.ticks_add(self.base, self.ms)

    def peer(self, host):
        if host not in self.peers:
            self.peers[host] = Peer(self, host, 5683)
        return self.peers[host]

    def transport(self, host, port):
        self.opened += 1
        p = self.peer(host)
        p.port = port
        p.open = True
        return p

    def account(self, sec, uri, ssid, bootstrap=False):
        """Give the client one more server: security instance `sec`, and instance `sec` of object 1."""
        c = self.client
        for o in (0,) if bootstrap else (0, 1):
            if sec not in (ids(c, o) or ()):
                c.create("/%d/%d" % (o, sec))
        for r, v in ((0, uri), (1, bootstrap), (2, 3)):
            c.set("/0/%d/%d" % (sec, r), v)
        if not bootstrap:
            c.set("/0/%d/10" % sec, ssid)
            for r, v in ((0, ssid), (1, 86400), (6, True), (7, "U")):
                c.set("/1/%d/%d" % (sec, r), v)

    def carry(self, peer, d, to_client):
        for t in (0,) if not self.fault else self.fault(peer, d, to_client):
            self.queue.append((self.ms + t, peer, d, to_client))

    def deliver(self):
        """Hand over what has arrived; True where there was something."""
        due = [x for x in self.queue if x[0] <= self.ms]
        self.queue = [x for x in self.queue if x[0] > self.ms]
        for _, peer, d, to_client in due:
            if not to_client:
                peer.hear(d)
            elif peer.open:
                peer.inbox.append(d)
        return bool(due)

    def settle(self):
        """Poll the client until it has nothing more to do now; the ms until it will have, or -1."""
        for n in range(1000):
            self.deliver()
            t = self.client.poll(self.ticks())
            assert t >= -1
            if t and not [x for x in self.queue if x[0] <= self.ms]:
                return t
        raise AssertionError("the client has work without end")

    def until(self, found, seconds=200):
        """Let time go by until `found()` is true, or, given its name, an event happens (or has
        happened since the one that was waited for before)."""
        end = self.ms + int(seconds * 1000)
        while True:
            t = self.settle()
            if not isinstance(found, str):
                if found():
                    return
            elif found in self.names(self.past):
                self.past += self.names(self.past).index(found) + 1
                return
            assert self.ms < end, "not reached: %s, events %r" % (found, self.events)
            self.advance(t, end)

    def advance(self, t, end):
        """On to the next moment at which something happens, `end` at most."""
        self.naps = self.naps + 1 if 0 <= t < 3 else 0
        assert self.naps < 100, "the client wakes again and again for nothing"
        to = end if t < 0 else min(end, self.ms + t)
        for x in self.queue:
            to = min(to, x[0])
        self.ms = max(to, self.ms)

    def run(self, seconds=0):
        """Let time go by."""
        end = self.ms + int(seconds * 1000)
        while self.ms < end:
            self.advance(self.settle(), end)
        self.settle()

    def names(self, since=0):
        """The names of the events so far."""
        return [e[0] for e in self.events[since:]]


# What tests look at inside of a client. Nothing else in them knows the names there.


def ids(client, oid):
    """The ids of the instances of an object, in order; None where the client shows no such object."""
    found = client.tree.objects.get(oid)
    return None if found is None else sorted(found)


def stored(client, oid):
    """A copy of what an object holds, {instance: {resource: value as it is stored}}."""
    return {iid: dict(values) for iid, values in client.tree.objects[oid].items()}


def everything(client, but=()):
    """All that is stored, to be compared: [(object, instance, resource, text), ...], some objects left out."""
    tree = client.tree.objects
    return sorted(
        [
            (oid, iid, rid, repr(v))
            for oid in tree
            if oid not in but
            for iid in tree[oid]
            for rid, v in tree[oid][iid].items()
        ]
    )


def store(client, path, value):
    """Set a value past all checks, functions and listeners."""
    oid, iid, rid = [int(x) for x in path.strip("/").split("/")]
    client.tree.objects[oid][iid][rid] = value


def functions(client, oid):
    """How many functions the application has set for an object."""
    return len(client.tree.hooks[oid])


def register_level(client, minor):
    """Let the sessions that there are be registered as 1.`minor`."""
    client.tree.minor = minor
    for s in client.sessions:
        s.minor = minor


def session(client, ssid=None):
    """The session with one server, or the first."""
    return [s for s in client.sessions if ssid in (None, s.ssid)][0]


def register_all(client):
    """Begin anew with every account, the session with the bootstrap server goes on."""
    client._register([s for s in client.sessions if s.bootstrap][0])


def allow_series(client, n):
    client.tree.series.most = n


def reconnect(client):
    """Begin the first session anew."""
    session(client).start()


def set_message_id(client, mid):
    session(client).coap.mid = mid


def set_observe_number(client, n):
    """The number of the last notification of the first observation."""
    session(client).observations[0].sequence = n


def request(client, *args):
    """Send a request as the sessions do: (now, code, path, query, format, body, done)."""
    session(client).coap.request(*args)


def counts(client):
    """How much a client remembers for its servers, by kind: each is to be bounded, and to end."""
    t = client.tree
    rings = t.series.rings if t.series else {}
    out = {
        "exchanges": 0,
        "duplicates": 0,
        "uploads": 0,
        "deferred": 0,
        "observations": len(client.observations()),
        "attributes": 0,
        "sends": 0,
        "snapshots": len(t.snapshots),
        "rings": len(rings),
        "answers": len(client._answers),
        "todo": len(client._calls),
        "pollers": len(client.pollers),
        "sessions": len(client.sessions),
    }
    for s in client.sessions:
        out["deferred"] += len(s.deferred)
        out["attributes"] += len(s.attributes)
        out["sends"] += len(s.sends)
        if s.coap:
            out["exchanges"] += len(s.coap.exchanges)
            out["duplicates"] += len(s.coap.recent.mids)
            out["uploads"] += len(s.coap.uploads)
    return out


def series(client, path):
    """[(time, value), ...] that is kept of a resource."""
    t = client.tree
    return (t.series and t.series.entries(*[int(x) for x in path.strip("/").split("/")])) or []


def dropped(client):
    """How many values of the time series were lost for want of room."""
    return client.tree.series.dropped


_made = []


def forget():
    """Take apart the links that a test made: MicroPython's collector takes what looks like a pointer for one,
    and would keep all of a link for it."""
    for x in _made:
        for p in x.peers.values():
            p.heard = p.requests = p.inbox = ()
        x.peers = x.queue = x.events = x.times = ()
        x.client.sessions = ()
        x.client.tree.objects.clear()
    _made.clear()


def growth(used):
    """What a leak adds to a series of heap sizes: the least of its second half less the least of its first.
    MicroPython's collector takes what looks like a pointer for one, so that one size alone tells little."""
    n = len(used) // 2
    return min(used[n:]) - min(used[:n])


def refused(fn, *args):
    """The CoAP code of a CoapError that a call raises, None where it raises none."""
    from lwm2m.coap.numbers import CoapError

    try:
        fn(*args)
    except CoapError as e:
        return e.args[0]
    return None


def raises(kind, fn, *args, **kw):
    """True where a call raises an exception of that class."""
    try:
        fn(*args, **kw)
    except kind:
        return True
    return False
