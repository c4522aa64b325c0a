# Hundreds of operations over a network that loses, repeats and reorders, in a clock that runs fast
# SPDX-License-Identifier: MIT
import lwm2m_port
from codec import ALL
from link import *


def lossy(seed, **options):
    """A client with object 1000, and counters of what was done to it; 30 % of all datagrams get lost, 20 %
    come twice, and they overtake each other within 1.5 s."""
    r = lwm2m_port.series = lwm2m_port.Random(seed)
    link = Link(max_retransmit=8, **options)
    c = link.client
    c.objects(ALL)
    c.create("/1000/0")
    c.set("/1000/0/2", 0)
    done = {"exec": [], "write": [], "create": [], "delete": []}
    c.on_exec("/1000/0/40", lambda path, args: done["exec"].append(bytes(args)))
    c.on_write("/1000/0/2", lambda path, v: done["write"].append(v))
    c.on_create("/1000", lambda path, v: done["create"].append(path))
    c.on_delete("/1000", lambda path, v: done["delete"].append(path))
    link.run(20)

    def fault(peer, d, to_client):
        if r.below(100) < 30:
            return ()
        return [r.below(1500) for _ in range(2 if r.below(100) < 20 else 1)]

    link.fault = fault
    return link, link.server, done


def ask(link, code, path, opts=(), payload=b""):
    """A confirmable request as a server sends it, with its retransmissions; the response."""
    s = link.server
    mid = s.next_mid()
    del s.heard[:], s.requests[:]  # hundreds of them would take the heap of a small build
    token = uint(mid)
    t = 2

    def answers():
        return [m for m in s.heard if m.token == token and m.code >= 64]

    for _ in range(12):
        s.ask(code, path, opts, payload, mid=mid, token=token)
        end = link.ms + t * 1000
        while link.ms < end and not answers():
            link.run(0.1)
        if answers():
            return answers()[0]
        t = min(2 * t, 16)
    raise AssertionError("no answer")


def test_done_once():
    for seed in (1, 2, 3):
        link, s, done = lossy(seed)
        for n in range(60):
            assert ask(link, POST, "/1000/0/40", (), b"%d" % (n % 10)).code == 0x44
            assert ask(link, PUT, "/1000/0/2", [(FORMAT, 0)], b"%d" % n).code == 0x44
            m = ask(link, GET, "/1000/0/2", [(ACCEPT, 0)])
            assert m.code == 0x45 and m.payload == b"%d" % n
        assert done["exec"] == [b"%d" % (n % 10) for n in range(60)]
        assert done["write"] == list(range(60))
        for n in range(20):
            m = ask(link, POST, "/1000", [(FORMAT, TLV)])
            assert m.code == 0x41 and m.path(LOCATION) == done["create"][-1]
            assert ask(link, DELETE, done["create"][-1]).code == 0x42
        assert len(done["create"]) == 20 and done["delete"] == done["create"]
        assert link.client.stat() == 2


def test_blocks():
    body = bytes([n * 31 & 255 for n in range(1500)])
    for seed in (4, 5):
        link, s, done = lossy(seed)
        for turn in range(3):
            for num in range(24):
                more = 8 if num < 23 else 0
                opts = [(FORMAT, OPAQUE), (BLOCK1, num << 4 | more | 2)]
                m = ask(link, PUT, "/1000/0/5", opts, body[num * 64 : num * 64 + 64])
                assert m.code == (0x5F if more else 0x44), (num, m)
            assert link.client.get("/1000/0/5") == body
            got = b""
            for num in range(24):
                m = ask(link, GET, "/1000/0/5", [(ACCEPT, OPAQUE), (BLOCK2, num << 4 | 2)])
                got += m.payload
                assert m.opt(BLOCK2) >> 4 == num
            assert got == body
            body = body[1:] + body[:1]


def test_notifications():
    for seed in (6, 7):
        link, s, done = lossy(seed)
        ask(link, PUT, "/1000/0/2", [(QUERY, "pmin=0")])
        m = ask(link, GET, "/1000/0/2", [(OBSERVE, 0), (ACCEPT, 0)])
        n = len(s.heard)
        for v in range(1, 50):
            link.client.set("/1000/0/2", v)
            link.run(5)
        link.run(600)
        notes = s.notes(m.token, n)
        # some may have been skipped; what was told last is the last value, and none was told twice
        newest = max(notes, key=lambda x: x.opt(OBSERVE))
        assert newest.payload == b"49" and len(set([x.opt(OBSERVE) for x in notes])) == len(notes)
        values = [int(x.payload) for x in sorted(notes, key=lambda x: x.opt(OBSERVE))]
        assert values == sorted(set(values)), values
        assert len(link.client.observations()) == 1


def test_registration_and_updates():
    for seed in range(8, 14):
        link, s, done = lossy(seed, lifetime=120)
        link.run(3600)
        # an hour of that may have cost an update all its retransmissions
        link.until(lambda: link.client.stat() == 2)
        assert len(set([m.mid for m in s.requests])) == len(s.requests)
        assert len(s.requests) < 3600 // 20
        link.client.stop()
        link.run(600)
        assert link.client.stat() == 0 and s.requests[-1].code == DELETE
        assert len([m for m in s.requests if m.code == DELETE]) == 1
