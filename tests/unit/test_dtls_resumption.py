# DTLS sessions that are resumed: by the same object, by another one, refused, with the last flight lost
# SPDX-License-Identifier: MIT
from dtls_server import *


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
        assert not shaking(c)
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
    assert not shaking(c)
