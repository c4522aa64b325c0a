# DTLS handshakes against a server in memory: loss, reordering, fragments, resumption, refusals, broken input
# SPDX-License-Identifier: MIT
from lwm2m.dtls import record
from lwm2m.dtls.handshake import message, prf, sha256, vector
from lwm2m.dtls.record import Secure
from lwm2m.port import struct, ticks_add, ticks_diff

try:
    import lwm2m.dtls.cbc
except ImportError:
    HAVE_CBC = False
else:
    HAVE_CBC = True

KEY = b"sixteen byte key"
CCM = 0xC0A8
CBC = 0xAE


class Random:
    """A generator with a seed: a failure is seen again."""

    def __init__(self, seed):
        self.x = seed * 2654435761 & 0xFFFFFFFF or 1

    def below(self, n):
        self.x ^= self.x << 13 & 0xFFFFFFFF
        self.x ^= self.x >> 17
        self.x ^= self.x << 5 & 0xFFFFFFFF
        return self.x % n

    def bytes(self, n):
        return bytes([self.below(256) for _ in range(n)])


class Link:
    """What the client sends, in a list."""

    def __init__(self):
        self.sent = []

    def send(self, buf, start, end):
        self.sent.append(bytes(buf[start:end]))

    def take(self):
        sent = self.sent
        self.sent = []
        return sent


class Server:
    """A DTLS 1.2 PSK server: datagrams go in, a list of datagrams comes out. Not robust, only right.

    cookie:   ask for one; hint: identity hint; fragment: most bytes of a message in a record
    cid:      what the client shall put into its records, None without the extension
    together: records of a flight that share a datagram
    sessions: session id: (suite, ems, master), kept over handshakes
    """

    def __init__(
        self, key=KEY, seed=1, cookie=True, hint=None, fragment=1000, cid=None, together=9, **more
    ):
        self.key = key
        self.random = Random(seed)
        self.cookie = cookie
        self.hint = hint
        self.fragment = fragment
        self.cid = cid
        self.together = together
        self.suites = more.get("suites", (CCM,))
        self.ems = more.get("ems", True)
        self.etm = more.get("etm", True)
        self.sessions = more.get("sessions", {})
        self.mangle = more.get("mangle")
        self.alert = None
        self.got = []
        self.fresh()

    def fresh(self):
        self.open = False
        self.keys = None
        self.last = []
        self.out = [0, 0]
        self.next = 0
        self.number = 0
        self.log = b""
        self.peer = b""
        self.state = "hello"

    # records

    def plain(self, typ, body):
        b = (
            bytes((typ, 254, 253, 0, 0))
            + self.out[0].to_bytes(6, "big")
            + len(body).to_bytes(2, "big")
            + body
        )
        self.out[0] += 1
        return b

    def sealed(self, typ, body, pad=0):
        cid = self.peer
        if cid:
            body = body + bytes((typ,)) + bytes(pad)
            typ = 25
        head = bytes((typ, 254, 253, 0, 1)) + self.out[1].to_bytes(6, "big") + cid
        self.out[1] += 1
        b = bytearray(16 + len(body) + 60)
        struct.pack_into("%ds" % len(body), b, 16, body)
        end = self.wr.seal(typ, head[3:11], memoryview(b), 16, 16 + len(body))
        start = 16 - self.wr.HEAD
        return head + (end - start).to_bytes(2, "big") + bytes(b[start:end])

    def handshake(self, typ, body, epoch=0):
        """A message as records, in fragments."""
        m = message(typ, self.number, body)
        self.number += 1
        self.log += m
        if epoch:
            return [self.sealed(22, m)]
        r = []
        i = 0
        while i < len(body) or not i:
            part = body[i : i + self.fragment]
            m = m[:6] + i.to_bytes(3, "big") + len(part).to_bytes(3, "big") + part
            m = bytes((typ,)) + len(body).to_bytes(3, "big") + m[4:]
            r.append(self.plain(22, m))
            i += self.fragment
        return r

    def pack(self, records):
        if self.mangle:
            records = self.mangle(records)
        r = []
        for i in range(0, len(records), self.together):
            r.append(b"".join(records[i : i + self.together]))
        return r

    # what comes in

    def receive(self, data):
        out = []
        while len(data) >= 13:
            h = 11 + (len(self.cid or b"") if data[0] == 25 else 0)
            n = data[h] << 8 | data[h + 1]
            out += self.record(bytes(data[:h]), data[h + 2 : h + 2 + n])
            data = data[h + 2 + n :]
        return out

    def record(self, head, body):
        typ = head[0]
        if head[4] == 1:
            if not self.keys:
                return []
            if self.cid and self.negotiated and typ != 25:
                return []
            body = self.rd.open(typ, head[3:11], memoryview(body))
            if body is None:
                return []
            body = bytes(body)
            if typ == 25:
                while not body[-1]:
                    body = body[:-1]
                typ = body[-1]
                body = body[:-1]
            if typ == 23:
                self.got.append(body)
                return []
        if typ == 21:
            self.alert = tuple(body)
            return []
        if typ != 22:
            return []
        return self.message(body, head[4])

    def message(self, m, epoch):
        typ = m[0]
        n = m[4] << 8 | m[5]
        body = m[12:]
        if typ == 1 and not n and self.next > 0 and body[2:34] != self.client:
            self.fresh()  # a new association from the same port
        if n < self.next:
            return self.again()
        if n > self.next or (typ == 20) != (epoch == 1):
            return []
        self.next += 1
        if typ == 1:
            return self.hello(m, body)
        if typ == 16 and self.state == "key":
            size = body[0] << 8 | body[1]
            self.identity = body[2 : 2 + size]
            self.log += m
            n = len(self.key).to_bytes(2, "big")
            n = n + bytes(len(self.key)) + n + self.key
            d = sha256(self.log).digest()
            seed = self.client + self.server
            self.master = prf(
                n, b"extended master secret" + d if self.ems else b"master secret" + seed, 48
            )
            self.derive()
            self.state = "finished"
        elif typ == 20 and self.state == "finished":
            d = sha256(self.log).digest()
            if body != prf(self.master, b"client finished" + d, 12):
                raise ValueError("client's Finished")
            self.log += m
            self.open = True
            self.state = "open"
            if not self.resumed:
                self.sessions[self.sid] = self.suite, self.ems, self.master
                self.last = self.pack(self.end())
                return self.last
        return []

    def again(self):
        """The last flight once more, with new record numbers."""
        return self.last

    def hello(self, m, body):
        if body[:2] != b"\xfe\xfd":
            raise ValueError("version")
        self.client = body[2:34]
        i = 35 + body[34]
        sid = body[35:i]
        n = i + 1 + body[i]
        cookie = body[i + 1 : n]
        if self.cookie and cookie != b"a cookie of some length":
            self.last = self.pack(
                self.handshake(3, b"\xfe\xff" + vector(b"a cookie of some length"))
            )
            return self.last
        size = body[n] << 8 | body[n + 1]
        offered = [body[j] << 8 | body[j + 1] for j in range(n + 2, n + 2 + size, 2)]
        if 0xFF not in offered:
            raise ValueError("no renegotiation suite")
        n += 2 + size
        if body[n : n + 2] != b"\1\0":
            raise ValueError("compression")
        ext = {}
        j = n + 4
        if len(body) != j + (body[n + 2] << 8 | body[n + 3]):
            raise ValueError("extensions")
        while j < len(body):
            k = body[j + 2] << 8 | body[j + 3]
            ext[body[j] << 8 | body[j + 1]] = body[j + 4 : j + 4 + k]
            j += 4 + k
        for self.suite in self.suites:
            if self.suite in offered:
                break
        else:
            return [self.plain(21, b"\2\x28")]
        self.log = m
        self.server = self.random.bytes(32)
        self.resumed = sid in self.sessions and self.sessions[sid][0] == self.suite
        self.sid = sid if self.resumed else self.random.bytes(32)
        e = b"\xff\1\0\1\0"
        self.ems = self.ems and 23 in ext
        if self.ems:
            e += b"\0\x17\0\0"
        self.flags = 0
        if self.suite == CBC and self.etm and 22 in ext:
            e += b"\0\x16\0\0"
            self.flags = 2
        self.negotiated = self.cid is not None and 54 in ext
        if self.negotiated:
            self.peer = ext[54][1:]
            e += b"\0\x36" + (len(self.cid) + 1).to_bytes(2, "big") + vector(self.cid)
        r = self.handshake(
            2,
            b"\xfe\xfd"
            + self.server
            + vector(self.sid)
            + self.suite.to_bytes(2, "big")
            + b"\0"
            + len(e).to_bytes(2, "big")
            + e,
        )
        if self.resumed:
            self.master = self.sessions[sid][2]
            self.derive()
            r += self.end()
            self.state = "finished"
        else:
            if self.hint is not None:
                r += self.handshake(12, len(self.hint).to_bytes(2, "big") + self.hint)
            r += self.handshake(14, b"")
            self.state = "key"
        self.last = self.pack(r)
        return self.last

    def derive(self):
        cipher = record.Ccm
        n = 40
        if self.suite == CBC:
            from lwm2m.dtls.cbc import Cbc as cipher

            n = 96
        self.keys = prf(self.master, b"key expansion" + self.server + self.client, n)
        self.rd = cipher(self.keys, 0, self.flags, self.cid if self.negotiated else b"")
        self.wr = cipher(self.keys, 1, self.flags, self.peer)

    def use(self, cid):
        """Put another Connection ID into what it sends."""
        self.peer = cid
        self.wr = record.Ccm(self.keys, 1, 0, cid)

    def end(self):
        d = sha256(self.log).digest()
        return [self.plain(20, b"\1")] + self.handshake(
            20, prf(self.master, b"server finished" + d, 12), 1
        )


def client(seed=1, **more):
    link = Link()
    c = Secure(
        link,
        more.pop("identity", "device"),
        more.pop("key", KEY),
        random=Random(seed + 77).bytes,
        **more,
    )
    return c, link


def talk(c, link, server, now=0, steps=20):
    """Carry datagrams until all is quiet; the plaintexts that the client got."""
    got = []
    for _ in range(steps):
        sent = link.take()
        if not sent:
            break
        for d in sent:
            for r in server.receive(d):
                p = c.feed(r, now)
                while p is not None:
                    got.append(bytes(p))
                    p = c.feed(None, now)
    return got


def send(c, data):
    b = bytearray(c.HEAD + len(data) + c.TAIL)
    struct.pack_into("%ds" % len(data), b, c.HEAD, data)
    c.send(b, c.HEAD, c.HEAD + len(data))


def exchange(c, link, server):
    """Application data in both directions."""
    for n in (1, 100, 15, 16, 257, 1024):
        data = bytes([n & 255]) * n
        send(c, data)
        server.got = []
        for d in link.take():
            server.receive(d)
        assert server.got == [data], n
        p = c.feed(server.sealed(23, data), 0)
        assert p is not None and bytes(p) == data, n


def opened(server, **more):
    c, link = client(**more)
    c.connect(0)
    talk(c, link, server)
    assert c.state == 2, (c.state, c.error)
    assert server.open
    return c, link


def test_full():
    for more in (
        {},
        {"cookie": False},
        {"hint": b"hint"},
        {"hint": b""},
        {"ems": False},
        {"fragment": 7},
        {"fragment": 1, "together": 1},
        {"together": 1},
        {"suites": (CBC,)},
        {"suites": (CBC,), "etm": False},
        {"suites": (CBC,), "etm": False, "ems": False, "cid": b"12345"},
        {"suites": (CBC, CCM), "cid": b"12345"},
    ):
        if "suites" in more and not HAVE_CBC:
            continue
        server = Server(**more)
        c, link = opened(server, suites=(CCM, CBC) if "suites" in more else (CCM,))
        assert server.identity == b"device"
        assert c.hs is None
        exchange(c, link, server)
        c.close()
        assert c.state == 0
        talk(c, link, server)
        assert server.alert == (1, 0)


def test_identity_as_bytes():
    server = Server()
    opened(server, identity=b"\xff\0id")
    assert server.identity == b"\xff\0id"


def test_connection_ids():
    # What the server wants in the client's records, and the client in the server's.
    for theirs in (
        None,
        b"",
        b"x",
        b"abcdef",
        bytes(range(11)),
        bytes(range(12)),
        bytes(range(255)),
    ):
        for mine in (False, True, 0, 1, 7, 40):
            server = Server(cid=theirs)
            c, link = opened(server, cid=mine)
            on = theirs is not None and mine is not False
            assert c.peer == (theirs if on else b"")
            assert len(c.cid) == (mine if on and mine is not True else 0)
            assert c.cid == server.peer
            exchange(c, link, server)
            # padding of the inner plaintext
            if c.cid:
                assert bytes(c.feed(server.sealed(23, b"padded", 9), 0)) == b"padded"
                assert c.feed(server.sealed(0, b"", 9), 0) is None


def test_record_without_connection_id():
    server = Server(cid=b"abc")
    c, link = opened(server, cid=4)
    good = server.sealed(23, b"data")
    cid = c.cid
    server.use(b"")
    assert c.feed(server.sealed(23, b"data"), 0) is None
    server.use(b"1234")
    assert c.feed(server.sealed(23, b"data"), 0) is None
    server.use(cid)
    assert bytes(c.feed(good, 0)) == b"data"


def test_resumption():
    for more in (
        {},
        {"cookie": False},
        {"ems": False},
        {"cid": b"99"},
        {"suites": (CBC,)},
        {"together": 1},
    ):
        if "suites" in more and not HAVE_CBC:
            continue
        sessions = {}
        server = Server(sessions=sessions, **more)
        c, link = opened(server, suites=more.get("suites", (CCM,)))
        first = c.keys
        session = c.dump()
        c.close()
        talk(c, link, server)
        server = Server(seed=2, sessions=sessions, **more)
        c.connect(0)
        talk(c, link, server)
        assert c.state == 2 and server.open and server.resumed
        assert c.keys != first
        exchange(c, link, server)
        assert c.hs is None
        # by another object
        server = Server(seed=3, sessions=sessions, **more)
        c, link = opened(server, session=session, suites=more.get("suites", (CCM,)))
        assert server.resumed
        exchange(c, link, server)


def test_resumption_refused():
    server = Server()
    c, link = opened(server)
    session = c.dump()
    # The server was started anew, and knows nothing.
    server = Server(seed=2)
    c, link = opened(server, session=session)
    assert not server.resumed
    exchange(c, link, server)
    # It forgot the session, and the extended master secret with it.
    server = Server(seed=3)
    c, link = opened(server)
    session = c.dump()
    server.sessions[server.sid] = CCM, False, server.master
    server = Server(seed=4, ems=False, sessions=server.sessions)
    c, link = client(session=session)
    c.connect(0)
    talk(c, link, server)
    assert (c.state, c.error) == (3, 47)
    assert server.alert == (2, 47)
    # A failure ends the session: the next attempt is a full one.
    c.connect(0)
    talk(c, link, server)
    assert c.state == 2 and not server.resumed


def test_last_flight_of_a_resumption_lost():
    sessions = {}
    c, link = opened(Server(sessions=sessions))
    server = Server(seed=2, sessions=sessions, cookie=False)
    c.connect(0)
    (hello,) = link.take()
    for d in server.receive(hello):
        c.feed(d, 0)
    assert c.state == 2
    assert len(link.take()) == 1  # and is lost
    assert not server.open
    # The server sends its flight again, with new numbers.
    server.log = server.log[:-24]
    server.number -= 1
    for d in server.pack(server.end()):
        c.feed(d, 0)
    talk(c, link, server)
    assert server.open
    exchange(c, link, server)
    assert c.hs is None


def test_data_with_finished():
    def mangle(records):
        if records[0][0] == 20:
            records.append(server.sealed(23, b"one"))
            records.append(server.sealed(23, b"two"))
        return records

    server = Server(mangle=mangle)
    c, link = client()
    c.connect(0)
    assert talk(c, link, server) == [b"one", b"two"]
    assert c.state == 2


def test_data_before_finished():
    server = Server(
        mangle=lambda records: (
            [server.sealed(23, b"one")] + records if records[0][0] == 20 else records
        )
    )
    c, link = client()
    c.connect(0)
    assert talk(c, link, server) == []
    assert c.state == 2


def test_loss_and_reordering():
    worst = 0
    for seed in range(1, 61):
        random = Random(seed)
        sessions = {}
        more = {
            "fragment": 20 + random.below(60),
            "together": 1 + random.below(3),
            "sessions": sessions,
        }
        server = Server(seed=seed, **more)
        c, link = client(seed, timeout=1000)
        for again in range(2):
            now = 1000000
            c.connect(now)
            wire = []
            while c.state == 1:
                for d in link.take():
                    if random.below(10) > 2:
                        wire.append((now + random.below(400), 0, d))
                    if random.below(10) > 8:
                        wire.append((now + random.below(400), 0, d))
                wire.sort()
                due = now + max(0, c.poll(now))
                if link.sent:
                    continue
                if wire and wire[0][0] <= due:
                    now, client_side, d = wire.pop(0)
                    if client_side:
                        c.feed(d, now)
                    else:
                        for r in server.receive(d):
                            if random.below(10) > 2:
                                wire.append((now + random.below(400), 1, r))
                else:
                    now = due
            assert c.state == 2 or c.error < 0, (seed, c.error)
            if c.state == 2:
                worst = max(worst, now - 1000000)
            # 30 % of loss in each direction, and 5 attempts a flight: most get through.
            won[again] += c.state == 2
            server = Server(seed=seed + 100, **more)
    assert won[0] > 45 and won[1] > 45, won


won = [0, 0]


def test_retransmission_backs_off():
    c, link = client(timeout=1000)
    now = ticks_add(0, -3000)  # the clock wraps in between
    times = []
    c.connect(now)
    start = now
    first = link.take()[0]
    while c.state == 1:
        d = c.poll(now)
        assert not link.take() or d > 0
        if c.state != 1:
            break
        now = ticks_add(now, d)
        c.poll(now)
        if c.state == 1:
            (again,) = link.take()
            # the same message under a new record number
            assert again[13:] == first[13:] and again[:11] != first[:11]
            times.append(ticks_diff(now, start))
    assert times == [1000, 3000, 7000, 15000]
    assert (c.state, c.error) == (3, -1)


def test_wrong_key():
    # The server cannot open Finished, and stays silent.
    server = Server(key=b"another key")
    c, link = client()
    c.connect(0)
    now = 0
    for _ in range(10):
        talk(c, link, server, now)
        if c.state != 1:
            break
        now += c.poll(now)
    assert (c.state, c.error) == (3, -2)


def test_wrong_suite():
    server = Server(suites=(0x1301,))
    c, link = client()
    c.connect(0)
    talk(c, link, server)
    assert (c.state, c.error) == (3, 40)
    try:
        send(c, b"x")
        assert False, "sent"
    except OSError as e:
        assert e.args[0] == 107


def forge(change, **more):
    """A handshake whose server's flights `change` has altered."""
    server = Server(mangle=change, **more)
    c, link = client(suites=more.get("suites", (CCM,)))
    c.connect(0)
    talk(c, link, server)
    return c, server


def test_illegal_server_hello():
    def replace(i, b):
        def change(records):
            r = records[0]
            if r[13] == 2:
                records[0] = r[: 25 + i] + b + r[25 + i + len(b) :]
            return records

        return change

    for i, b, alert in (
        (0, b"\xfe\xff", 70),  # DTLS 1.0
        (67, b"\0\xae", 47),  # a suite that was not offered
        (69, b"\1", 47),  # compression
        (72, b"\0\0\0\1\0", 110),  # an extension that was not asked for
        (72, b"\xff\1\0\1\1", 110),  # renegotiation information in a first handshake
        (34, b"\xff", 50),
        (70, b"\0\xff\xff\1\1\0", 50),
    ):
        c, server = forge(replace(i, b))
        assert (c.state, c.error) == (3, alert), (i, b, c.error)
        assert server.alert == (2, alert)


def test_wrong_order():
    # ServerHelloDone in place of ServerHello, and a second ServerHello
    def change(records):
        return [
            r[:13] + bytes((typ,)) + r[14:] if r[13] == 2 and r[0] == 22 else r for r in records
        ]

    for typ in (14, 11, 20):
        c, server = forge(change)
        assert (c.state, c.error) == ((1, 0) if typ == 20 else (3, 10))

    def twice(records):
        r = records[-1]
        return records[:-1] + [r[:13] + b"\2" + r[14:]] if r[13] == 14 else records

    c, server = forge(twice)
    assert (c.state, c.error) == (3, 10)


def test_finished_must_be_protected_and_right():
    def plain(records):
        if records[0][0] == 20:
            m = message(20, server.number - 1, bytes(12))
            return [records[0], server.plain(22, m)]
        return records

    server = Server(mangle=plain)
    c, link = client()
    c.connect(0)
    talk(c, link, server)
    assert c.state == 1

    def wrong(records):
        if records[0][0] == 20:
            return [records[0], server.sealed(22, message(20, server.number - 1, bytes(12)))]
        return records

    server = Server(mangle=wrong)
    c, link = client()
    c.connect(0)
    talk(c, link, server)
    assert (c.state, c.error) == (3, 51)
    assert server.alert == (2, 51)


def test_endless_cookies_end():
    server = Server(mangle=lambda records: records)
    server.cookie = True
    c, link = client()
    c.connect(0)
    for n in range(5):
        hello = link.take()
        if not hello:
            break
        m = message(3, n, b"\xfe\xff" + vector(bytes((n,))))
        c.feed(server.plain(22, m), 0)
    assert c.state == 3
    assert n < 5


def test_bounded_reassembly():
    c, link = client()
    c.connect(0)
    server = Server()
    for n in range(200):
        head = b"\2\0\2\0" + bytes((n >> 8, n & 255)) + b"\0\0\0\0\0\1x"
        c.feed(server.plain(22, head), 0)
        c.feed(server.plain(22, b"\2\xff\xff\xff\0\0\0\0\0\0\0\1x"), 0)
    assert len(c.hs.seen) <= 4
    assert c.state == 1


def test_alerts_in_the_handshake():
    server = Server()
    for level, number, state in ((2, 115, 3), (1, 0, 3), (1, 112, 1)):
        c, link = client()
        c.connect(0)
        c.feed(server.plain(21, bytes((level, number))), 0)
        assert (c.state, c.error) == (state, number if state == 3 else 0)
    c.feed(server.plain(21, b"\2"), 0)
    c.feed(server.plain(21, b""), 0)
    assert c.state == 1


def test_close_in_the_handshake():
    c, link = client()
    c.connect(0)
    c.close()
    assert c.state == 0
    assert c.poll(0) == -1
    assert c.feed(bytes(100), 0) is None


def recorded():
    """The datagrams of the server in one handshake."""
    server = Server(cid=b"abcdef", hint=b"hint", cookie=True)
    c, link = client()
    flights = []
    c.connect(0)
    while link.sent:
        (d,) = link.take()
        flights.append(server.receive(d))
        for r in flights[-1]:
            c.feed(r, 0)
    assert c.state == 2
    return flights


def replay(flights, broken):
    """A client that gets the same datagrams, one of them broken; its state."""
    c, link = client()
    c.connect(0)
    for f in flights:
        for d in f:
            c.feed(broken[1] if d is broken[0] else d, 0)
    assert c.state in (1, 2, 3)
    if c.state == 1:
        c.poll(5000)
    return c.state


def test_truncated_flights():
    flights = recorded()
    for f in flights:
        for d in f:
            assert replay(flights, (d, d)) == 2
            for n in range(len(d)):
                assert replay(flights, (d, d[:n])) != 2, n


def test_flipped_bits():
    flights = recorded()
    opened = 0
    for f in flights:
        for d in f:
            for n in range(len(d) * 8):
                b = bytearray(d)
                b[n >> 3] ^= 1 << (n & 7)
                if replay(flights, (d, bytes(b))) == 2:
                    # what is neither hashed nor looked at
                    n >>= 3
                    opened += 1
                    assert unhashed(d, n), (n, d)
    assert opened


def unhashed(d, n):
    """Is byte n of a datagram outside of what the handshake's hash covers?"""
    while True:
        size = 13 + (d[11] << 8 | d[12])
        if n < size:
            # The record's header, HelloVerifyRequest's version and length, and ChangeCipherSpec.
            return n < 13 or d[0] == 20 or d[13] == 3 and n in (25, 26, 27)
        n -= size
        d = d[size:]


def test_broken_messages_in_sound_records():
    # Every message of the server's, cut short or lengthened, with a header that agrees.
    for typ in (2, 12, 14, 20):
        for cut in range(80):

            def change(records):
                r = []
                for b in records:
                    if b[0] == 22 and b[13] == typ and not b[4]:
                        body = b[25:]
                        body = body[:cut] if cut < len(body) else body + bytes(cut - len(body))
                        b = b[:13] + message(typ, b[18], body)
                        b = b[:11] + (len(b) - 13).to_bytes(2, "big") + b[13:]
                    r.append(b)
                return r

            c, server = forge(change, hint=b"a hint", cid=b"abcdef")
            assert c.state in (1, 2, 3)
