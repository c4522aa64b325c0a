# The clients that the fuzzer works on, one class for each kind of server, and what must hold of each
# SPDX-License-Identifier: MIT
"""A life is a client with its servers in memory (tests/unit/link.py). `step()` is one datagram, or the time that
goes by; `check()` raises Fault where a promise is broken, `recover()` where the client does not come back."""

import gc

from link import *  # first: what it finds of the platform is what all others find
import lwm2m_port
from datagrams import PATHS, Datagrams
from dtls_server import Random, SecureLink
from lwm2m import LATER
from lwm2m.model.tables.ipso import TABLE as IPSO
from lwm2m.model.tables.standard import TABLE as STANDARD
from lwm2m.objects import access, binary, sensor, timer

try:
    import micropython
except ImportError:
    micropython = None

SECRETS = (b"secret identity", b"secret key of 16")
# object 9: 2 an opaque value that is streamed
STREAMED = b"\x00\x09\x01\x01\x10\x10\x10\x00\0\2\3\5"
# The longest that a client may need by itself: 1/x/5 and 1/x/19 are a day
DAYS = 3
MOST = {
    "exchanges": 8,
    "duplicates": 2 * 64,  # of two servers
    "uploads": 8,
    "deferred": 16,
    "observations": 1200,
    "attributes": 64,
    "sends": 8,
    "snapshots": 16,
    "rings": 16,
    "answers": 16,
    "todo": 16,
    "pollers": 8,
    "sessions": 4,
}


class Fault(Exception):
    """A promise that is broken."""


class Life:
    """One client, registered with the server of a Link; the base of all kinds."""

    paths = PATHS

    def __init__(self, seed):
        self.random = Random(seed)
        lwm2m_port.series = lwm2m_port.Random(seed)
        self.datagrams = Datagrams(self.random, self.paths)
        self.sent = []  # the last datagrams to the client
        self.leaked = None
        self.faults = 0
        self.version = ("1.0", "1.1", "1.2")[seed % 3]
        self.link = self.connect()
        self.client = self.link.client
        self.wrap(self.link)
        self.prepare(self.client)
        self.client.start()
        self.link.until(self.READY, 1000)
        self.begin()

    READY = "REGISTRATION_COMPLETE"

    def connect(self):
        return Link(start=False, version=self.version, **self.credentials())

    def credentials(self):
        return {}

    def wrap(self, link):
        """Listen to all that the client sends, and see to it that nothing is kept of it."""
        real = link.carry

        def carry(peer, d, to_client):
            if not to_client:
                for secret in SECRETS:
                    if secret in d:
                        self.leaked = d
            real(peer, d, to_client)

        link.carry = carry

    def prepare(self, c):
        """Everything that an image may hold, and functions that answer now, later, or never."""
        for table in (IPSO, STANDARD, STREAMED):
            c.objects(table)
        if self.ACCESS:
            self.access = access.setup(c)
        sensor.setup(c)
        binary.setup(c)
        timer.setup(c)
        c.on_exec("/3/0/4", lambda path, args: None)
        c.on_exec("/3/0/5", lambda path, args: LATER if len(args) == 1 else 0x83)
        c.on_create("/3303", lambda path, v: None)
        c.on_delete("/3303", lambda path, v: None)
        c.on_stream("/9/0/2", lambda path, offset, data, more: 0xA0 if offset > 4000 else None)
        c.on_read("/3/0/15", lambda path, v: LATER if not self.random.below(4) else v)
        self.values(c)

    ACCESS = False

    def values(self, c):
        """Bring the values back to those of the beginning, and take away what servers have created."""
        for oid in (9, 19, 3303, 3340, 3347):
            for iid in ids(c, oid) or ():
                if iid:
                    c.delete("/%d/%d" % (oid, iid))
            if not ids(c, oid):
                c.create("/%d/0" % oid)
        for path, v in (
            ("/9/0/2", b"opaque"),
            ("/19/0/0", {0: b"data"}),
            ("/3303/0/5700", 20.5),
            ("/3303/0/5750", "name"),
            ("/3347/0/5500", False),
            ("/3/0/6", {0: 1, 1: 5}),
            ("/3/0/11", {0: 0}),
            ("/3/0/14", "+00:00"),
            ("/3/0/15", "UTC"),
        ):
            c.set(path, v)
        self.account(c)

    def account(self, c):
        for path, v in (
            ("/1/0/1", 86400),
            ("/1/0/2", None),
            ("/1/0/3", None),
            ("/1/0/5", None),
            ("/1/0/6", True),
            ("/1/0/7", "U"),
        ):
            c.set(path, v)
        if self.version != "1.0":
            c.set("/1/0/23", None)

    def begin(self):
        """The start of the attack: what may not change from here on."""
        self.closed = repr(stored(self.client, 0))

    def peers(self):
        return [self.link.server]

    def step(self):
        peer = self.peers()[self.random.below(len(self.peers()))]
        kind = self.random.below(40)
        if kind == 0:
            self.later()
        elif kind < 4:
            self.application()
        else:
            d = self.datagrams.next(peer)
            self.remember(d)
            self.deliver(peer, d)
        self.poll()
        for p in self.link.peers.values():
            if len(p.heard) > 20:
                p.heard = p.heard[-10:]
                p.requests = p.requests[-10:]
        for p in self.peers():
            if self.random.below(30) == 0:
                self.moods(p)
        del self.link.events[:], self.link.times[:]
        self.link.past = 0

    def remember(self, d):
        self.sent.append(d)
        if len(self.sent) > 12:
            self.sent.pop(0)

    def deliver(self, peer, d):
        peer.raw(d)

    def moods(self, peer):
        """What the server answers for a while."""
        peer.reply = (peer.accept,) * 12 + (
            lambda m: None,
            lambda m: (0x80, (), b""),
            lambda m: (0x84, (), b""),
            lambda m: self.datagrams.answer(peer),
        )
        peer.reply = peer.reply[self.random.below(len(peer.reply))]
        peer.acks = self.random.below(5) > 0

    def later(self):
        """Time goes by: ms, or a minute."""
        self.link.run((0.1, 1, 5, 70)[self.random.below(4)])
        left_over()

    def application(self):
        c = self.client
        kind = self.random.below(6)
        with c:
            if kind == 0 and 0 in ids(c, 3303):
                c.set("/3303/0/5700", self.random.below(400) / 10)
            elif kind == 1 and 0 in ids(c, 3347):
                c.set("/3347/0/5500", bool(self.random.below(2)))
            elif kind == 2:
                c.answer("/3/0/15", "Europe/Oslo")
                c.answer("/3/0/5")
            elif kind == 3:
                c.update()
            elif kind == 5 and c.stat() != 2:
                # the application does not wait for a day
                c.start()
            elif kind == 4:
                try:
                    c.send(["/3303/0", "/3/0/14"])
                except ValueError:
                    pass  # nothing is registered as 1.1, or too much waits

    def poll(self):
        self.link.settle()
        # what a function of the application has raised, or memory, is printed and answered 5.00
        left_over()

    def check(self):
        if self.leaked:
            raise Fault("object 0 was told: %r" % self.leaked)
        if self.closed != repr(stored(self.client, 0)):
            raise Fault("object 0 was changed: %r" % stored(self.client, 0))
        for name, n in counts(self.client).items():
            if n > MOST[name]:
                raise Fault("%s: %d" % (name, n))

    def recover(self):
        """Servers are well-behaved again: the client is to come back by itself, and answers a read."""
        for p in self.peers():
            p.reply = p.accept
            p.acks = True
            p.heard = []
            p.requests = []
        # but for what a server may well have asked for, such as a lifetime of years
        self.account(self.client)
        link = self.link
        end = link.ms + DAYS * 86400000
        while not self.answers():
            if link.ms > end:
                raise Fault("no answer; state %d" % self.client.stat())
            link.run(300)
            left_over()
            for p in self.peers():
                p.heard = p.heard[-5:]

    def answers(self):
        s = self.link.server
        if self.client.stat() != 2 or not self.reachable(s):
            return False
        since = len(s.heard)
        token = s.ask(GET, "/3/0/0", [(ACCEPT, TEXT)], token=b"read" + uint(s.next_mid()))
        self.link.run(2)
        left_over()
        return bool([m for m in s.heard[since:] if m.token == token and m.code == 0x45])

    def reachable(self, peer):
        return peer.open

    def used(self):
        """Bytes of heap in use once all is as in the beginning."""
        c = self.client
        c.stop(True)
        self.link.run(1)
        self.values(c)
        c.start()
        self.recover()
        self.link.run(1)
        del self.link.events[:], self.link.times[:], self.sent[:]
        self.link.past = 0
        self.link.queue = []
        for p in self.peers():
            p.heard = []
            p.requests = []
        left_over()
        for _ in range(3):
            gc.collect()
        return gc.mem_alloc()


class Plain(Life):
    """One server, NoSec."""

    def begin(self):
        c = self.client
        store(c, "/0/0/3", SECRETS[0])
        store(c, "/0/0/5", SECRETS[1])
        super().begin()


class TwoServers(Plain):
    """Two servers with access control; either of them attacks."""

    ACCESS = True

    def prepare(self, c):
        super().prepare(c)
        self.link.account(1, "coap://second", 2)
        self.second = self.link.peer("second")
        self.rights()

    def values(self, c):
        super().values(c)
        if hasattr(self, "second"):
            self.rights()

    def rights(self):
        for oid, acl in ((3, {0: 1}), (9, {1: 31, 2: 1}), (3303, {1: 31, 2: 3})):
            self.access.give(oid, 0, 1, acl)
        self.access.give(3303, 65535, 1, {2: 16})

    def peers(self):
        return [self.link.server, self.second]


class Bootstrapping(Life):
    """A bootstrap server writes anything, and then, at last, what is right."""

    READY = "BOOTSTRAP_REG_COMPLETE"
    paths = (
        "/",
        "/0",
        "/0/0",
        "/0/1",
        "/0/1/0",
        "/0/1/1",
        "/0/1/2",
        "/0/1/10",
        "/0/0/12",
        "/1/1",
        "/1/1/0",
        "/bs",
    ) + PATHS

    def connect(self):
        link = Link(uri=None, start=False, version=self.version, bootstrap_timeout=20)
        link.account(0, "coap://boot", 0, True)
        link.server = link.peer("server")
        return link

    def account(self, c):
        pass

    def values(self, c):
        super().values(c)
        for iid in ids(c, 1):
            c.delete("/1/%d" % iid)
        for iid in ids(c, 0):
            if iid:
                c.delete("/0/%d" % iid)

    def begin(self):
        pass

    def wrap(self, link):
        # what a bootstrap server wrote itself, it knows: nothing is told of its own account
        store(link.client, "/0/0/3", SECRETS[0])
        store(link.client, "/0/0/5", SECRETS[1])
        super().wrap(link)

    def peers(self):
        return [self.link.peer("boot")]

    def step(self):
        if self.random.below(200) == 0:
            # every now and then it begins anew
            b = self.peers()[0]
            for d in self.right():
                b.raw(d)
        super().step()

    def right(self):
        b = self.peers()[0]
        account = b"\xc8\x00\x0dcoap://server\xc1\x01\x00\xc1\x02\x03\xc1\x0a\x65"
        server = b"\xc1\x00\x65\xc2\x01\x01\x2c\xc1\x06\x00\xc1\x07U"
        for code, path, payload in (
            (DELETE, "", b""),
            (PUT, "/0/1", account),
            (PUT, "/1/1", server),
            (POST, "/bs", b""),
        ):
            options = segments(path) + ([(FORMAT, TLV)] if payload else [])
            yield build(CON, code, b.next_mid(), b"right", options, payload)

    def check(self):
        if self.leaked:
            raise Fault("the bootstrap account was told: %r" % self.leaked)
        d = stored(self.client, 0).get(0)
        if not d or d.get(1) is not True:
            raise Fault("the bootstrap account is gone: %r" % d)
        # its owner may have replaced what it holds
        for rid, v in ((0, b"coap://boot"), (2, 3), (3, SECRETS[0]), (5, SECRETS[1]), (12, 0)):
            store(self.client, "/0/0/%d" % rid, v)
        for name, n in counts(self.client).items():
            if n > MOST[name]:
                raise Fault("%s: %d" % (name, n))

    def recover(self):
        b = self.peers()[0]
        for p in (b, self.link.server):
            p.reply = p.accept
            p.acks = True
            p.heard = []
            p.requests = []
        self.client.stop(True)
        self.link.run(1)
        self.client.start(bootstrap=True)
        self.link.until(lambda: "/bs" in [m.path() for m in b.requests], 100)
        for d in self.right():
            b.raw(d)
            self.link.run(1)
        super().recover()


class Secured(Plain):
    """DTLS: an attacker between client and server, and the server itself."""

    def credentials(self):
        return {}

    def connect(self):
        return SecureLink(
            {"cid": b"abcdef" if self.random.below(2) else None},
            files={},
            start=False,
            version=self.version,
        )

    def begin(self):
        Life.begin(self)

    def moods(self, peer):
        super().moods(peer)
        if self.random.below(4) == 0:
            # a server that was started anew; some know their sessions then, and some do not
            peer.dtls.fresh()
            if len(peer.dtls.sessions) > 3 or self.random.below(2):
                peer.dtls.sessions.clear()
        self.link.fault = None
        if self.random.below(3) == 0:
            self.link.fault = self.mangle

    def mangle(self, peer, d, to_client):
        """What a bad network does to flights and records."""
        kind = self.random.below(12)
        if kind < 7:
            return (self.random.below(50),)
        if kind == 7:
            return ()
        if kind == 8:
            return (0, self.random.below(3000))
        if to_client and peer.open:
            d = self.datagrams.spoil(d)
            self.remember(d)
            peer.inbox.append(d)
        return (0,)

    def deliver(self, peer, d):
        kind = self.random.below(6)
        if kind < 3 and peer.dtls.open:
            peer.raw(d)  # sealed, as the server itself says it
        elif peer.open:
            if kind == 3:
                head = (20, 21, 22, 23, 25, 0)[self.random.below(6)]
                epoch = self.random.below(3)
                number = self.random.bytes(2)
                d = (
                    bytes((head, 254, 253, 0, epoch))
                    + bytes(4)
                    + number
                    + bytes((len(d) >> 8, len(d) & 255))
                    + d
                )
            elif kind == 4 and peer.dtls.open:
                d = self.datagrams.spoil(peer.dtls.sealed(23, d))
            peer.inbox.append(d)

    def reachable(self, peer):
        return peer.open and peer.dtls.open

    def recover(self):
        self.link.fault = None
        super().recover()

    def used(self):
        self.link.server.dtls.sessions.clear()
        self.link.server.dtls.got = []
        return super().used()


class Shortage(Plain):
    """Memory, randomness and storage that fail at random while the server attacks, or just talks."""

    def prepare(self, c):
        self.countdown = -1
        self.locked = False
        super().prepare(c)

    def connect(self):
        link = super().connect()
        p = link.server

        def guarded(f):
            def call(*args):
                self.unlock()
                return f(*args)

            return call

        # what is outside of the client has memory
        p.send = guarded(p.send)
        p.recv = guarded(p.recv)
        link.client.transport = guarded(link.transport)
        return link

    def tick(self):
        """Called by the platform's functions: when the count is at its end, there is no more memory."""
        if self.countdown >= 0:
            self.countdown -= 1
            if self.countdown < 0 and not self.locked:
                self.locked = True
                micropython.heap_lock()

    def unlock(self):
        if self.locked:
            self.locked = False
            micropython.heap_unlock()

    def poll(self):
        self.fails()
        super().poll()

    def later(self):
        self.fails()
        super().later()

    def fails(self):
        """Poll once in want of something."""
        kind = self.random.below(12)
        if kind < 5:
            self.countdown = self.random.below(30)
            lwm2m_port.trouble = self.tick
            try:
                self.link.client.poll(self.link.ticks())
            finally:
                lwm2m_port.trouble = None
                self.countdown = -1
                self.unlock()
        elif kind == 5:
            lwm2m_port.no_random = True
            try:
                self.link.client.poll(self.link.ticks())
            finally:
                lwm2m_port.no_random = False
        left_over()


KINDS = {
    "plain": Plain,
    "two": TwoServers,
    "bootstrap": Bootstrapping,
    "dtls": Secured,
    "shortage": Shortage,
}
