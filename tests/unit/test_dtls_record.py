# DTLS records of an established session: replay, alerts, broken input, what survives a deep sleep
# SPDX-License-Identifier: MIT
from dtls_server import *

# Records that a session gets before its end; the same session must live on.
MUTATIONS = 100000


def test_replay_window():
    for cid in (True, 5):
        server = Server(cid=b"xy")
        c, link = opened(server, cid=cid)
        records = [server.sealed(23, bytes((n,))) for n in range(100)]
        for n in (0, 5, 3, 99, 40):
            assert bytes(c.feed(records[n], 0)) == bytes((n,)), n
            assert c.feed(records[n], 0) is None, n
        # 64 numbers behind the highest are known, older ones are refused.
        highest = 99
        for n in range(100):
            fresh = n > highest - 64 and n not in (99, 40)
            assert (c.feed(records[n], 0) is not None) == fresh, n
            assert c.feed(records[n], 0) is None
        # A jump wider than the window forgets it.
        server.out[1] += 1 << 40
        far = server.sealed(23, b"far")
        assert bytes(c.feed(far, 0)) == b"far"
        assert c.feed(far, 0) is None
        assert c.seen == 1


def test_forged_number_does_not_move_the_window():
    server = Server()
    c, link = opened(server)
    good = server.sealed(23, b"good")
    c.feed(good[:5] + b"\xff\xff\xff\xff\xff\xff" + good[11:], 0)
    assert bytes(c.feed(good, 0)) == b"good"


def test_several_records_in_a_datagram():
    server = Server()
    c, link = opened(server)
    d = (
        server.sealed(23, b"one")
        + b"\x17\xfe\xfd\0\1\0\0\0\0\0\0\0\1x"
        + server.sealed(23, b"two")
        + b"rest"
    )
    assert bytes(c.feed(d, 0)) == b"one"
    assert c.more
    assert bytes(c.feed(None, 0)) == b"two"
    assert c.feed(None, 0) is None
    assert not c.more


def test_alerts():
    server = Server()
    # Anybody can send an alert in the clear.
    c, link = opened(server)
    for level, number in ((1, 0), (2, 20), (2, 40)):
        c.feed(server.plain(21, bytes((level, number))), 0)
        assert c.state == 2
    c.feed(server.sealed(21, b"\1\x5a"), 0)
    c.feed(server.sealed(21, b"\1"), 0)
    assert c.state == 2 and not link.sent
    # close_notify is answered
    c.feed(server.sealed(21, b"\1\0"), 0)
    assert (c.state, c.error) == (0, 0)
    talk(c, link, server)
    assert server.alert == (1, 0)
    assert c.sid
    server = Server()
    c, link = opened(server)
    c.feed(server.sealed(21, b"\2\x14"), 0)
    assert (c.state, c.error) == (3, 20)
    assert not c.sid
    assert c.feed(server.sealed(23, b"late"), 0) is None


def test_renegotiation_is_refused():
    server = Server()
    c, link = opened(server)
    c.feed(server.sealed(22, b"\0\0\0\0\0\0\0\0\0\0\0\0"), 0)
    assert c.state == 2
    talk(c, link, server)
    assert server.alert == (1, 100)
    # In the clear it is nothing.
    c.feed(server.plain(22, b"\0\0\0\0\0\0\0\0\0\0\0\0"), 0)
    assert not link.sent
    exchange(c, link, server)


def test_server_starts_anew():
    # It does not know the session: the layer above asks for a new handshake.
    server = Server()
    c, link = opened(server)
    server.fresh()
    send(c, b"hello")
    for d in link.take():
        assert server.receive(d) == []
    c.connect(0)
    talk(c, link, server)
    assert c.state == 2
    exchange(c, link, server)


def mutate(random, d):
    b = bytearray(d)
    kind = random.below(8)
    if kind == 0:
        b = b[: random.below(len(b))]
    elif kind == 1:
        n = random.below(len(b))
        b = b[:n] + random.bytes(1 + random.below(3)) + b[n:]
    elif kind == 2:
        n = random.below(len(b))
        b = b[:n] + b[n + 1 :]
    elif kind == 3:
        b[random.below(len(b))] = random.below(256)
    elif kind == 4:
        b = bytearray(random.bytes(random.below(40)))
    else:
        for _ in range(1 + random.below(3)):
            n = random.below(len(b) * 8)
            b[n >> 3] ^= 1 << (n & 7)
    return bytes(b)


def hammer(count, suite, cid, seed):
    server = Server(cid=b"abcdef", suites=(suite,))
    c, link = opened(server, cid=cid, suites=(suite,))
    random = Random(seed)
    data = random.bytes(21)
    good = server.sealed(23, data)
    for n in range(count):
        if n % 1000 == 999:
            assert bytes(c.feed(good, 0)) == data
            good = server.sealed(23 if n % 3000 else 21, data)
            if n % 3000 == 0:
                good = server.sealed(23, data)
        d = mutate(random, good)
        if d[: len(good)] != good:
            assert c.feed(d, 0) is None, d
    assert c.state == 2
    assert not link.sent
    exchange(c, link, server)


def test_mutated_records():
    hammer(MUTATIONS * 4 // 10, CCM, True, 11)
    hammer(MUTATIONS * 4 // 10, CCM, 4, 12)
    rest = CBC if HAVE_CBC else CCM
    hammer(MUTATIONS // 10, rest, True, 13)
    hammer(MUTATIONS // 10, rest, 4, 14)


def test_dump_and_restore():
    for suite in (CCM, CBC) if HAVE_CBC else (CCM,):
        for mine in (True, 3):
            store = []
            server = Server(cid=b"abcdef", suites=(suite,))
            c, link = opened(server, cid=mine, suites=(suite,), save=store.append)
            exchange(c, link, server)
            late = server.sealed(23, b"old")
            assert bytes(c.feed(late, 0)) == b"old"
            b = c.dump()
            for _ in range(3):
                # A sleep: another object, another port, no handshake.
                top = c.seq
                link = Wire()
                c = Connection(
                    link,
                    "device",
                    server.key,
                    suites=(suite,),
                    cid=mine,
                    random=None,
                    session=b,
                    save=store.append,
                )
                assert c.state == 2
                assert c.seq >= top
                n = len(store)
                exchange(c, link, server)
                assert len(store) > n
                assert c.feed(late, 0) is None
                b = c.dump()


def test_no_number_twice():
    # Whenever the power goes, what comes next has numbers that were never sent.
    random = Random(5)
    store = [b""]

    def save(b):
        store[0] = b

    server = Server(cid=b"abcdef")
    c, link = opened(server, save=save)
    last = b""
    for _ in range(40):
        for _ in range(random.below(200)):
            send(c, b"x")
            (d,) = link.take()
            assert d[3:11] > last
            last = d[3:11]
        if random.below(3) == 0 and c.seq:
            save(c.dump())
        if store[0]:
            link = Wire()
            c = Connection(link, "device", server.key, random=None, session=store[0], save=save)
            assert c.state == 2


def test_what_a_dump_may_not_open():
    server = Server(cid=b"abcdef")
    c, link = opened(server)
    # Without a hook to save there is no promise about the numbers: only the session.
    b = c.dump()
    c, link = client(session=b)
    assert c.state == 0 and c.sid
    store = []
    c, link = opened(server, seed=2, save=store.append)
    b = c.dump()
    c, link = client(session=b)
    assert c.state == 0 and c.sid
    # A server without Connection ID takes the address for the session.
    server = Server()
    c, link = opened(server, save=store.append)
    n = len(store)
    for _ in range(200):
        send(c, b"x")
    assert len(store) == n + 1
    c, link = client(session=c.dump(), save=store.append)
    assert c.state == 0 and c.sid
    # Nothing to keep
    c, link = client()
    assert not c.restore(c.dump())
    assert c.dump() == client()[0].dump()


def forget(b):
    pass


def test_broken_dump():
    server = Server(cid=b"abcdef")
    c, link = opened(server, cid=2, save=forget)
    b = c.dump()
    for n in range(len(b)):
        assert not client(save=forget)[0].restore(b[:n])
        for bit in range(8):
            x = bytearray(b)
            x[n] ^= 1 << bit
            c, link = client(save=forget)
            c.restore(bytes(x))
            if c.state == 2:
                c.feed(server.sealed(23, b"x"), 0)
                send(c, b"x")
    assert not client()[0].restore(b"")
    assert not client()[0].restore(b + b"\1")
    # The account's suites changed.
    c, link = client(save=forget, suites=(0xC0A4,))
    assert not c.restore(b)
    assert (c.state, c.sid) == (0, b"")


def test_send_where_closed():
    c, link = client()
    for state in (0, 1, 3):
        c.state = state
        try:
            send(c, b"x")
            assert False, state
        except OSError as e:
            assert e.args[0] == 107
    assert not link.sent
    c.state = 0
    assert c.feed(bytes(30), 0) is None
    assert c.poll(0) == -1
