# DTLS handshakes with a server in memory: suites, Connection IDs, fragments, alerts, the end of it
# SPDX-License-Identifier: MIT
from dtls_server import *


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
        assert not shaking(c)
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


def test_keys_of_all_lengths():
    # the premaster secret of a key of 30 bytes fills a block of SHA-256, that of a longer one is hashed
    for n in (1, 16, 29, 30, 31, 32, 64):
        key = bytes(range(1, n + 1))
        server = Server(key=key)
        c, link = opened(server, key=key)
        exchange(c, link, server)


def test_a_repeated_finished():
    server = Server()
    c, link = client()
    c.connect(0)
    talk(c, link, server)
    assert c.state == 2
    # the server did not hear that its flight arrived, and sends it again under new numbers
    server.log = server.log[:-24]
    server.number -= 1
    again = server.pack(server.end())
    for d in again:
        assert c.feed(d, 0) is None
    assert c.state == 2 and not link.sent
    exchange(c, link, server)
    # after a resumption it asks for the client's last flight, until there is data
    sessions = server.sessions
    c.close()
    talk(c, link, server)
    server = Server(seed=2, sessions=sessions)
    c.connect(0)
    talk(c, link, server)
    assert c.state == 2 and server.resumed and server.open
    for heard in (False, True):
        server.number = 1
        for d in server.pack(server.end()):
            assert c.feed(d, 0) is None
        assert bool(link.take()) != heard
        exchange(c, link, server)
