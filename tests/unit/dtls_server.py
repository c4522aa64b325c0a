# A DTLS 1.2 server with a pre-shared key, in memory, and clients for it: bare, and behind a Link
# SPDX-License-Identifier: MIT
from hashlib import sha256
from ciphers import Cbc, Ccm, prf
from link import Link, Peer, Skip
import lwm2m_port

try:
    from lwm2m.dtls.record import Connection
except ImportError:
    raise Skip("no DTLS in this image")
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


class Wire:
    """What the client sends, in a list."""

    def __init__(self):
        self.sent = []

    def send(self, buf, start, end):
        self.sent.append(bytes(buf[start:end]))

    def take(self):
        sent = self.sent
        self.sent = []
        return sent


def vector(b):
    """Bytes with their length before them, in one byte."""
    return bytes((len(b),)) + b


def message(typ, n, body):
    """A handshake message in one fragment; `n` is its number."""
    size = len(body).to_bytes(3, "big")
    return bytes((typ,)) + size + bytes((0, n, 0, 0, 0)) + size + body


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
        self.opener = self.sealer = None
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

    def sealed(self, typ, body, pad=0, **forged):
        """A protected record; `pad` bytes of padding go into it where it has a Connection ID."""
        cid = self.peer
        if cid:
            body = body + bytes((typ,)) + bytes(pad)
            typ = 25
        head = bytes((typ, 254, 253, 0, 1)) + self.out[1].to_bytes(6, "big") + cid
        self.out[1] += 1
        body = self.sealer.seal(typ, head[3:11], body, **forged)
        return head + len(body).to_bytes(2, "big") + body

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
            if not self.opener:
                return []
            if self.cid and self.negotiated and typ != 25:
                return []
            body = self.opener.open(typ, head[3:11], body)
            if body is None:
                return []
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
        self.etm_agreed = False
        if self.suite == CBC and self.etm and 22 in ext:
            e += b"\0\x16\0\0"
            self.etm_agreed = True
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
        # The client's half of the key block opens what comes in, the server's seals what goes out.
        cbc = self.suite == CBC
        k = prf(self.master, b"key expansion" + self.server + self.client, 96 if cbc else 40)
        self.block = k
        cid = self.cid if self.negotiated else b""
        if cbc:
            self.opener = Cbc(k[64:80], k[:32], self.etm_agreed, cid)
            self.sealer = Cbc(k[80:], k[32:64], self.etm_agreed, self.peer)
        else:
            self.opener = Ccm(k[:16], k[32:36], cid)
            self.sealer = Ccm(k[16:32], k[36:], self.peer)

    def use(self, cid):
        """Put another Connection ID into what it sends."""
        self.peer = self.sealer.cid = cid

    def end(self):
        d = sha256(self.log).digest()
        return [self.plain(20, b"\1")] + self.handshake(
            20, prf(self.master, b"server finished" + d, 12), 1
        )


def client(seed=1, **more):
    link = Wire()
    c = Connection(
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
    b[c.HEAD : c.HEAD + len(data)] = data
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


def shaking(c):
    """True while a channel keeps its handshake."""
    return c.hs is not None


def early_messages(c):
    """How many messages of the server's a handshake keeps that are not complete, or came before their turn."""
    return len(c.hs.seen)


class SecurePeer(Peer):
    """A server of a Link that speaks DTLS: `dtls` is its side of the connection."""

    def __init__(self, link, host, port, **options):
        super().__init__(link, host, port)
        self.dtls = Server(**options)

    def hear(self, d):
        for answer in self.dtls.receive(d):
            self.link.carry(self, answer, True)
        got = self.dtls.got
        self.dtls.got = []
        for d in got:
            super().hear(d)

    def raw(self, d):
        self.link.carry(self, self.dtls.sealed(23, d), True)


class SecureLink(Link):
    """A Link whose servers speak DTLS; `server` holds the options of `Server`.

    `files` is what load and save keep; None is a client without these. `before` is the link of the same device
    before it slept for `asleep` seconds: its servers, its files and its clock go on, the client is another."""

    def __init__(self, server=None, files=None, before=None, asleep=0, **options):
        self.settings = server or {}
        self.files = files
        self.before = before
        if before:
            lwm2m_port.seconds += asleep
            self.files = files = before.files
            before.client.sessions = ()
        if files is not None:
            options.setdefault("load", files.get)
            options.setdefault("save", files.__setitem__)
        options.setdefault("uri", "coaps://server")
        options.setdefault("identity", "device")
        options.setdefault("key", KEY)
        super().__init__(**options)

    def peer(self, host):
        if self.before and host in self.before.peers and host not in self.peers:
            p = self.peers[host] = self.before.peers[host]
            p.link = self
            p.inbox = []
        if host not in self.peers:
            self.peers[host] = SecurePeer(self, host, 5684, **self.settings)
        return self.peers[host]

    def run(self, seconds=0):
        """Let time go by, on the clock on the wall too."""
        super().run(seconds)
        lwm2m_port.seconds += int(seconds)
