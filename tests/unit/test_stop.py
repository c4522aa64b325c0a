# Tests of an application that stops the client from within an event, or from within one of its functions
# SPDX-License-Identifier: MIT
from link import *


def stopped(event, force):
    link = Link(start=False, lifetime=60)
    c = link.client
    s = link.server
    done = []

    def heard(name, ssid):
        if name == event and not done:
            done.append(1)
            c.stop(force)

    c.event(heard)
    if event in ("REGISTRATION_FAILURE", "NETWORK_ERROR"):
        s.reply = lambda m: (0x83, (), b"")
    c.start()
    link.run(3)
    if event == "REG_TIMEOUT":
        s.reply = lambda m: None if m.path() == "/rd/7" else s.accept(m)
    c.update()
    link.run(3000)
    return done, link


def test_in_any_event():
    for force in (False, True):
        for event in (
            "CONNECT",
            "REGISTRATION",
            "REGISTRATION_COMPLETE",
            "REG_UPDATE",
            "REG_UPDATE_COMPLETE",
            "REG_TIMEOUT",
            "REGISTRATION_FAILURE",
            "NETWORK_ERROR",
        ):
            done, link = stopped(event, force)
            assert done and link.client.stat() == 0 and not link.client.active(), (event, force)
            assert link.names()[-1] in ("DISCONNECT", "DEREGISTER_FAILURE"), (event, link.names())


def test_in_a_function():
    # the request is answered, and then the client leaves
    for force in (False, True):
        for kind, method, path, code in (
            ("on_exec", POST, "/3/0/4", 0x44),
            ("on_read", GET, "/3/0/14", 0x45),
            ("on_write", PUT, "/3/0/14", 0x44),
            ("validate", PUT, "/3/0/14", 0x44),
        ):
            link = Link()
            s = link.server
            c = link.client

            def stop(path, v):
                assert c.stop(force) is None and c.stop(force) is None
                return v if kind == "on_read" else None

            getattr(c, kind)(path, stop)
            n = len(s.heard)
            opts = [(FORMAT, 0)] if method == PUT else [(ACCEPT, 0)] if method == GET else []
            s.request(method, path, opts, b"+01:00" if method == PUT else b"")
            link.run(1)
            out = [x.code for x in s.heard[n:]]
            assert out == ([code] if force else [code, DELETE]), (kind, force, out)
            assert c.stat() == 0 and not s.open and c.poll(link.ticks()) == -1
            assert link.names().count("DISCONNECT") == 1, link.names()
            if method == PUT:
                assert c.get("/3/0/14") == "+01:00"


def test_in_a_notification_and_a_send():
    for force in (False, True):
        for observed in (False, True):
            link = Link(version="1.1")
            s = link.server
            c = link.client
            if observed:
                s.observe("/3/0/14", 0)
                c.set("/3/0/14", "+01:00")
            else:
                c.send("/3/0/14")
            c.on_read("/3/0/14", lambda path, v: c.stop(force) or v)
            # at once: no timer has to end before
            assert c.poll(link.ticks()) == 0
            link.run(1)
            assert c.stat() == 0 and link.names()[-1] == "DISCONNECT", (force, observed)


def test_in_the_outcome_of_a_send():
    for force in (False, True):
        link = Link(version="1.1")
        s = link.server
        c = link.client
        s.reply = lambda m: (0x44, (), b"") if m.path() == "/dp" else s.accept(m)
        n = len(s.requests)
        c.send("/3/0/14", lambda code: c.stop(force))
        link.run(1)
        assert [m.code for m in s.requests[n:]] == ([POST] if force else [POST, DELETE])
        assert c.stat() == 0 and link.names()[-1] == "DISCONNECT"


def test_what_is_stopped_already():
    link = Link()
    c = link.client
    c.stop()
    link.run(1)
    n = len(link.events)
    assert c.stop() is False and c.stop(True) is False
    link.run(1)
    assert link.names(n) == []
    # one of two servers has left already
    link = Link(start=False)
    link.account(1, "coap://other", 2)
    c = link.client
    link.server.reply = lambda m: None if m.code == DELETE else link.server.accept(m)
    c.start()
    link.run(1)
    c.stop()
    link.run(1)
    assert link.events[-1] == ("DISCONNECT", 2) and c.stat() == 3
    c.stop(True)
    link.run(1)
    assert [e for e in link.events if e[0] == "DISCONNECT"] == [
        ("DISCONNECT", 2),
        ("DISCONNECT", 1),
    ]
    assert not c.active()


def test_before_a_bootstrap_that_is_to_come():
    # between two polls: the last attempt has failed, and a bootstrap is to follow
    link = Link(start=False)
    link.account(1, "coap://boot", 0, True)
    c = link.client
    link.server.reply = lambda m: None
    c.start()
    while not counts(c)["todo"]:
        link.deliver()
        link.ms += c.poll(link.ticks())
    assert c.stop() is None
    link.run(2000)
    assert link.names().count("REG_TIMEOUT") == 5 and link.names()[-1] == "DISCONNECT"
    assert c.stat() == 0 and not c.active() and not link.peer("boot").heard


def test_begun_anew():
    # stop() and start() in one function: what it belongs to, the farewell, and a new registration
    link = Link()
    s = link.server
    c = link.client

    def again(path, args):
        c.stop()
        c.start()

    c.on_exec("/3/0/4", again)
    n = len(s.heard)
    assert s.post("/3/0/4").code == 0x44
    link.until("REGISTRATION_COMPLETE", 10)
    assert [(m.code, m.path()) for m in s.heard[n:]] == [
        (0x44, "/"),
        (DELETE, "/rd/7"),
        (POST, "/rd"),
    ]
    assert s.get("/3/0/0").code == 0x45
    # as after the last attempt
    for force in (False, True):
        link = Link(start=False)
        s = link.server
        c = link.client

        def heard(name, ssid):
            if name == "NETWORK_ERROR":
                s.reply = s.accept
                c.stop(force)
                c.start()

        c.event(heard)
        s.reply = lambda m: (0x83, (), b"")
        c.start()
        link.until("REGISTRATION_COMPLETE", 1000)
        assert c.stat() == 2
