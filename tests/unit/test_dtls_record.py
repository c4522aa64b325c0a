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
        assert c.window == 1


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
    assert c.session_id
    server = Server()
    c, link = opened(server)
    c.feed(server.sealed(21, b"\2\x14"), 0)
    assert (c.state, c.error) == (3, 20)
    assert not c.session_id
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


def restored(server, state, save, **more):
    """Another object, as after a restart, from what was saved."""
    link = Wire()
    c = Connection(link, "device", server.key, random=None, session=state, save=save, **more)
    return c, link


def test_suspend_and_restore():
    for suite in (CCM, CBC) if HAVE_CBC else (CCM,):
        for mine in (True, 3):
            store = []
            server = Server(cid=b"abcdef", suites=(suite,))
            c, link = opened(server, cid=mine, suites=(suite,), save=store.append)
            exchange(c, link, server)
            late = server.sealed(23, b"old")
            assert bytes(c.feed(late, 0)) == b"old"
            for _ in range(3):
                c.suspend()
                # A sleep: another object, another port, no handshake.
                top = c.next_number
                c, link = restored(server, store[-1], store.append, suites=(suite,), cid=mine)
                assert c.state == 2
                assert c.next_number == top
                exchange(c, link, server)
                assert c.feed(late, 0) is None


def test_a_saved_state_is_used_once():
    # The first record, in either direction, takes the keys out of what is saved: a recording is of no use then.
    for outward in (True, False):
        store = []
        server = Server(cid=b"abcdef")
        c, link = opened(server, save=store.append)
        for sleep in range(2):
            c.suspend()
            if sleep:
                c, link = restored(server, store[-1], store.append)
            assert restored(server, store[-1], forget)[0].state == 2
            n = len(store)
            record = server.sealed(23, b"execute")
            if outward:
                send(c, b"x")
                link.take()
            else:
                # what is not authentic changes nothing
                assert c.feed(record[:-1] + bytes((record[-1] ^ 1,)), 0) is None
                assert len(store) == n
                assert bytes(c.feed(record, 0)) == b"execute"
            assert len(store) == n + 1
            # The power goes, again and again: a handshake resumes the session, and no key is taken up.
            for _ in range(3):
                d, _ = restored(server, store[-1], store.append)
                assert d.state == 0 and d.session_id and d.feed(record, 0) is None
            # It goes on as it was, and saves no more for that.
            exchange(c, link, server)
            assert len(store) == n + 1


def test_nothing_is_taken_or_sent_where_the_mark_cannot_be_saved():
    full = [False]
    store = []

    def save(b):
        if full[0]:
            raise OSError(28)
        store.append(b)

    server = Server(cid=b"abcdef")
    c, link = opened(server, save=save)
    c.suspend()
    full[0] = True
    record = server.sealed(23, b"execute")
    for _ in range(3):
        for use in (lambda: send(c, b"x"), lambda: c.feed(record, 0)):
            try:
                use()
                assert False, use
            except OSError as e:
                assert e.args[0] == 28
        assert not link.sent
    full[0] = False
    assert bytes(c.feed(record, 0)) == b"execute"
    exchange(c, link, server)


def test_no_number_twice():
    # Whenever the power goes, what comes next has numbers that were never sent.
    random = Random(5)
    store = [b""]

    def save(b):
        store[0] = b

    server = Server(cid=b"abcdef")
    c, link = opened(server, save=save)
    last = b""
    woken = 0
    for _ in range(60):
        for _ in range(random.below(200)):
            send(c, b"x")
            (d,) = link.take()
            assert d[3:11] > last
            last = d[3:11]
        if random.below(2):
            c.suspend()
            if random.below(2):
                send(c, b"x")
                last = link.take()[0][3:11]
        d, other = restored(server, store[0], save)
        if d.state == 2:
            c, link = d, other
            woken += 1
    assert woken > 10


def test_what_a_dump_may_not_open():
    server = Server(cid=b"abcdef")
    c, link = opened(server)
    # Without a hook to save there is no promise about the numbers: only the session.
    c.suspend()
    b = c.dump(True)
    c, link = client(session=b)
    assert c.state == 0 and c.session_id
    store = []
    c, link = opened(server, seed=2, save=store.append)
    c.suspend()
    c, link = client(session=store[-1])
    assert c.state == 0 and c.session_id
    # A server without Connection ID takes the address for the session.
    server = Server()
    c, link = opened(server, save=store.append)
    n = len(store)
    for _ in range(200):
        send(c, b"x")
    assert len(store) == n
    c.suspend()
    c, link = client(session=store[-1], save=store.append)
    assert c.state == 0 and c.session_id
    # What an older version saved has numbers that are ahead of those sent.
    c, link = opened(Server(cid=b"abcdef"), save=forget)
    assert client(save=forget)[0].restore(c.dump(True))
    assert not client(save=forget)[0].restore(b"\1" + c.dump(True)[1:])
    # Nothing to keep
    c, link = client()
    assert not c.restore(c.dump())
    assert c.dump() == client()[0].dump()


def forget(b):
    pass


def test_broken_dump():
    server = Server(cid=b"abcdef")
    c, link = opened(server, cid=2, save=forget)
    b = c.dump(True)
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
    assert (c.state, c.session_id) == (0, b"")


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
