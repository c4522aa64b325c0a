# Queue mode (Core 1.1.1 6.5): the awake window, RX off, and what wakes the client up
# SPDX-License-Identifier: MIT
from link import *
from lwm2m import LATER


def asleep(**options):
    """A client in RX off, 10 s after its registration, and when that was."""
    link = Link(binding="UQ", awake=10, **options)
    at = link.ms
    link.until("QUEUE_MODE_RX_OFF", 30)
    assert link.ms - at == 10000, link.ms - at
    return link, link.server


def since(s, n):
    return [(m.code, m.path()) for m in s.heard[n:] if m.typ == CON]


def test_window():
    for fraction in (0, 1, 500, 999):
        link = Link(binding="UQ", start=False)
        link.ms += fraction
        link.client.start()
        link.until("REGISTRATION_COMPLETE")
        link.run(7.25)
        assert link.server.get("/3/0/0").code == 0x45
        at = link.ms
        if fraction:
            # however often the application polls
            link.run(92.5)
        link.until("QUEUE_MODE_RX_OFF", 200)
        assert link.ms - at == 93000 and link.client.stat() == 2
    # once, and no more until it wakes up
    link.run(10000)
    assert link.names().count("QUEUE_MODE_RX_OFF") == 1
    # never without queue mode
    link = Link()
    link.run(10000)
    assert "QUEUE_MODE_RX_OFF" not in link.names()


def test_requests_keep_it_open():
    link = Link(binding="UQ", awake=10)
    s = link.server
    for k in range(5):
        link.run(8)
        assert s.get("/3/0/0").code == 0x45
    assert "QUEUE_MODE_RX_OFF" not in link.names()
    link.run(11)
    assert "QUEUE_MODE_RX_OFF" in link.names()


def test_deaf_in_rx_off():
    link, s = asleep()
    n = len(s.heard)
    s.ask(GET, "/3/0/0")
    link.run(5)
    assert len(s.heard) == n
    # what came in between is not answered afterwards
    link.client.update()
    link.run(2)
    assert since(s, n) == [(POST, "/rd/7")] and len(s.heard) == n + 1
    assert s.get("/3/0/0").code == 0x45


def test_the_lifetime_wakes_it():
    link, s = asleep(lifetime=300)
    link.run(300)
    assert len(s.requests) == 2 and s.requests[1].path() == "/rd/7" and link.client.stat() == 2
    assert link.names().count("QUEUE_MODE_RX_OFF") == 2


def test_a_notification_goes_after_an_update():
    link = Link(binding="UQ", awake=10)
    s = link.server
    token = s.observe("/3/0/14", 0).token
    link.until("QUEUE_MODE_RX_OFF", 30)
    n = len(s.heard)
    link.client.set("/3/0/14", "+01:00")
    link.run(2)
    assert since(s, n) == [(POST, "/rd/7"), (0x45, "/")], since(s, n)
    (m,) = s.notes(token)
    assert m.payload == b"+01:00"
    # the window is open again
    assert s.get("/3/0/14", 0).payload == b"+01:00"
    assert link.names().count("QUEUE_MODE_RX_OFF") == 1
    link.until("QUEUE_MODE_RX_OFF", 30)
    # and while it is open, no update is needed
    link.client.update()
    link.run(2)
    n = len(s.heard)
    link.client.set("/3/0/14", "+02:00")
    link.run(2)
    assert since(s, n) == [(0x45, "/")]


def test_pmax_wakes_it():
    link = Link(binding="UQ", awake=10)
    s = link.server
    s.attributes("/3/0/14", "pmax=60")
    token = s.observe("/3/0/14", 0).token
    n = len(s.heard)
    link.run(61)
    assert since(s, n) == [(POST, "/rd/7"), (0x45, "/")] and len(s.notes(token)) == 1


def test_the_update_fails():
    link = Link(binding="UQ", awake=10)
    s = link.server
    s.observe("/3/0/14", 0)
    link.until("QUEUE_MODE_RX_OFF", 30)
    s.reply = lambda m: (0x84, (), b"") if m.path() == "/rd/7" else s.accept(m)
    link.client.set("/3/0/14", "+01:00")
    link.until("REGISTRATION_COMPLETE")
    assert link.client.stat() == 2 and s.get("/3/0/14", 0).payload == b"+01:00"


def test_stop_in_rx_off():
    link, s = asleep()
    link.client.stop()
    link.run(5)
    assert (
        s.requests[-1].code == DELETE
        and link.client.stat() == 0
        and link.names()[-1] == "DISCONNECT"
    )


def test_the_window_waits_for_what_is_under_way():
    link = Link(binding="UQ", awake=5)
    s = link.server
    s.reply = lambda m: None
    link.client.update()
    link.run(20)
    assert "QUEUE_MODE_RX_OFF" not in link.names()
    s.reply = s.accept
    link.until("REG_UPDATE_COMPLETE", 60)
    link.until("QUEUE_MODE_RX_OFF", 10)


def test_the_server_switches_it_on():
    link = Link(awake=10)
    link.run(60)
    assert link.server.put("/1/0/7", b"UQ").code == 0x44
    link.until("QUEUE_MODE_RX_OFF", 30)
    link.run(100)
    assert link.client.stat() == 2


def test_later_versions():
    link = Link(version="1.1", binding="UQ", awake=10)
    q = link.server.requests[0].query()
    assert "Q" in q and "b=UQ" not in q
    link.until("QUEUE_MODE_RX_OFF", 30)


def test_poll_tells_that_something_waits():
    link = Link(binding="UQ", awake=10, version="1.1")
    s = link.server
    s.observe("/3/0/14", 0)
    for change in (
        lambda: link.client.set("/3/0/14", "+01:00"),
        lambda: link.client.send("/3/0/15"),
    ):
        link.until("QUEUE_MODE_RX_OFF", 30)
        change()
        n = len(s.requests)
        assert link.client.poll(link.ticks()) == 0
        link.client.poll(link.ticks())
        link.deliver()
        assert [m.path() for m in s.requests[n:]] == ["/rd/7"]


def test_a_delayed_answer_goes_after_an_update():
    link = Link(binding="UQ", awake=10)
    s = link.server
    link.client.on_read("/3/0/15", lambda path, v: LATER)
    t = s.ask(GET, "/3/0/15", [(ACCEPT, 0)])
    link.until("QUEUE_MODE_RX_OFF", 30)
    n = len(s.heard)
    link.client.answer("/3/0/15", "Mars")
    link.run(30)
    assert since(s, n) == [(POST, "/rd/7"), (0x45, "/")], since(s, n)
    assert s.wait(t, n).payload == b"Mars"
