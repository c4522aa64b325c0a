# Registration, update, retries, disable, de-registration (Core 1.1.1 6.2), in a clock that runs fast
# SPDX-License-Identifier: MIT
import gc

from link import *
from lwm2m.model.tables.ipso import TABLE as IPSO


def registers(s):
    return [m for m in s.requests if m.path() == "/rd"]


def updates(s):
    return [m for m in s.requests if m.path() not in ("/rd", "/bs") and m.code == POST]


def refusing(code):
    return lambda m: (code, (), b"")


def test_registration():
    link = Link(lifetime=300, name="urn:dev:1")
    (m,) = link.server.requests
    assert (m.typ, m.code, m.path(), m.opt(FORMAT)) == (CON, POST, "/rd", LINK)
    assert m.query() == ["b=U", "ep=urn:dev:1", "lt=300", "lwm2m=1.0"]
    assert m.payload == b"</1/0>,</3/0>"
    assert (
        link.names() == ["CONNECT", "REGISTRATION", "REGISTRATION_COMPLETE"]
        and link.client.stat() == 2
    )


def test_parameters():
    link = Link(binding="UQ", lifetime=60, name="n\xe4me & co")
    assert link.server.requests[0].query() == sorted(
        ["b=UQ", "ep=n\xe4me & co", "lt=60", "lwm2m=1.0"]
    )
    link = Link(name="x" * 200)
    assert "ep=" + "x" * 200 in link.server.requests[0].query()


def test_the_location_is_echoed():
    for loc in (
        (b"rd", b"7"),
        (b"a/b", b"", b"x y"),
        (b"x" * 100,),
        ("\xe9".encode(), b"%41"),
        (b"5",),
        (b"3", b"0"),
    ):
        link = Link(start=False)
        s = link.server
        s.reply = lambda m: (
            0x41 if m.path() == "/rd" else 0x44,
            [(LOCATION, x) for x in loc] if m.path() == "/rd" else (),
            b"",
        )
        link.client.start()
        link.until("REGISTRATION_COMPLETE")
        link.client.update()
        link.until("REG_UPDATE_COMPLETE")
        assert s.requests[-1].all(URI_PATH) == list(loc), s.requests[-1]
        link.client.stop()
        link.run(1)
        assert s.requests[-1].code == DELETE and s.requests[-1].all(URI_PATH) == list(loc)


def test_an_update_says_what_changed():
    link = Link()
    s = link.server
    c = link.client
    c.objects(IPSO)
    for change, query, body in (
        (lambda: c.update(), [], None),
        (lambda: c.set("/1/0/1", 1000), ["lt=1000"], None),
        (lambda: c.set("/1/0/7", "US"), ["b=US"], None),
        (lambda: c.create("/3303/0"), [], b"</3303/0>"),
        (lambda: c.set("/3303/0/5700", 1.0), None, None),
        (lambda: c.delete("/3303/0"), [], b"</3/0>"),
        (lambda: c.set("/1/0/1", 1000), None, None),  # no change
        (lambda: (c.create("/3303/5"), c.set("/1/0/1", 2000)), ["lt=2000"], b"</3303/5>"),
    ):
        n = len(s.requests)
        change()
        link.run(20)
        new = s.requests[n:]
        if query is None:
            assert new == []
            continue
        (m,) = new
        assert (m.code, m.path()) == (POST, "/rd/7") and m.query() == query, m
        assert (
            (body in m.payload.split(b","))
            if body
            else (m.payload == b"" and m.opt(FORMAT) is None)
        ), m
        if body:
            assert m.opt(FORMAT) == LINK and b"</1/0>" in m.payload


def update_times(seconds, **options):
    """Seconds after the registration at which updates went, to the tenth."""
    link = Link(**options)
    at = link.ms
    link.run(seconds)
    assert len(registers(link.server)) == 1 and link.client.stat() == 2
    return [round((m.at - at) / 1000, 1) for m in updates(link.server)]


def test_update_in_time():
    # 30 s, and the time that a confirmable message may take, before the lifetime ends
    for lifetime in (86400, 3600, 300):
        (t,) = update_times(lifetime, lifetime=lifetime)
        assert 30 <= lifetime - t <= 30 + 93, (lifetime, t)
    for lifetime, early in ((60, 30), (40, 20), (20, 10), (10, 5), (4, 2), (2, 1)):
        out = update_times(lifetime - 0.5, lifetime=lifetime)
        assert early - 1 <= out[0] <= early, (lifetime, out)
    (t,) = update_times(3600, lifetime=3600, update_early=600)
    assert 600 <= 3600 - t <= 693
    # a slow network has its time
    (t,) = update_times(3600, lifetime=3600, ack_timeout=10000)
    assert 3600 - t >= 30 + 150


def test_update_period():
    assert update_times(200, lifetime=3600, update_period=60) == [60, 120, 180]
    # not more often than every 15 s without cause
    assert update_times(50, lifetime=3600, update_period=5) == [15, 30, 45]
    # and where the lifetime ends sooner, sooner
    out = update_times(20, lifetime=20, update_period=60)
    assert out and out[0] <= 10
    # but a registration never lapses
    out = [0] + update_times(100, lifetime=6, update_period=60)
    assert max([b - a for a, b in zip(out, out[1:])]) < 6


def test_short_lifetimes_do_not_lapse():
    for lifetime in (2, 3, 5, 15, 29, 31):
        out = [0] + update_times(60, lifetime=lifetime)
        assert max([b - a for a, b in zip(out, out[1:])]) < lifetime, (lifetime, out[:9])


def test_a_year():
    link = Link(lifetime=86400)
    s = link.server
    link.run(86400 * 5)
    used = []
    for month in range(12):
        link.run(30 * 86400)
        # what the tests' server remembers is none of the client's memory
        times = [m.at for m in s.requests]
        assert len(s.requests) > 29 and not registers(s)[1:]
        for a, b in zip(times, times[1:]):
            assert 15000 <= b - a <= 86400000 - 30000
        s.heard = []
        s.requests = s.requests[-1:]
        link.events, link.times, link.past = [], [], 0
        times = None
        gc.collect()
        used.append(gc.mem_alloc())
    assert growth(used) < 1024, used  # one block for each update would be 5840
    assert link.client.stat() == 2 and s.get("/3/0/0", 0).code == 0x45


def test_the_lifetime_changes():
    link = Link(lifetime=86400)
    s = link.server
    assert s.put("/1/0/1", b"200").code == 0x44
    link.run(5)
    assert s.requests[-1].query() == ["lt=200"]
    at = s.requests[-1].at
    link.run(190)
    times = [m.at - at for m in updates(s)[1:]]
    assert len(times) == 1 and 77000 <= times[0] <= 170000, times
    # a register says it, too
    s.reply = refusing(0x84)
    link.client.update()
    link.run(1)
    assert "lt=200" in registers(s)[-1].query()
    # the least that the device grants
    link = Link(min_lifetime=60)
    assert link.server.put("/1/0/1", b"5").code == 0x44
    link.run(5)
    assert link.server.requests[-1].query() == ["lt=60"] and link.client.get("/1/0/1") == 60


def test_the_binding_changes():
    link = Link()
    assert link.server.put("/1/0/7", b"US").code == 0x44
    link.run(5)
    assert link.server.requests[-1].query() == ["b=US"]
    for b in ("U", "UQ", "S", "SQ", "US", "UQS"):
        assert link.server.put("/1/0/7", b.encode()).code == 0x44, b


def test_update_trigger():
    link = Link()
    s = link.server
    n = len(s.requests)
    assert s.post("/1/0/8").code == 0x44
    link.run(2)
    (m,) = s.requests[n:]
    assert m.path() == "/rd/7" and m.query() == [] and m.payload == b""
    assert link.names()[-2:] == ["REG_UPDATE", "REG_UPDATE_COMPLETE"]
    assert link.client.update() and link.client.update(1) and not link.client.update(2)


def test_an_update_is_refused():
    for code in (0x84, 0x80, 0x83, 0xA0):
        link = Link()
        s = link.server
        s.reply = lambda m: (code, (), b"") if m.path() == "/rd/7" else s.accept(m)
        link.client.update()
        link.until("REGISTRATION_COMPLETE", 10)
        assert len(registers(s)) == 2, code
        assert registers(s)[1].query() == registers(s)[0].query()
        assert registers(s)[1].payload == registers(s)[0].payload
        # that is the event of an update that nobody answers
        assert "REG_TIMEOUT" not in link.names()
    # nor is a reset no answer
    link = Link()
    s = link.server
    s.reply = lambda m: build(RST, 0, m.mid) if m.path() == "/rd/7" else s.accept(m)
    link.client.update()
    link.until("REGISTRATION_COMPLETE", 10)
    assert "REG_TIMEOUT" not in link.names()


def test_an_update_is_lost():
    link = Link()
    s = link.server
    s.reply = lambda m: None
    link.client.update()
    link.until("REG_TIMEOUT")
    assert link.client.stat() == 1
    # for as long as it takes
    link.run(100)
    s.reply = s.accept
    link.until("REGISTRATION_COMPLETE", 1000)
    assert link.client.stat() == 2 and link.names().count("NETWORK_ERROR") == 0


def test_refused_registrations_are_tried_again():
    link = Link(start=False)
    s = link.server
    s.reply = refusing(0x83)
    link.client.start()
    link.run(1)
    assert link.client.stat() == 1
    link.run(1000)
    at = [m.at - s.requests[0].at for m in s.requests]
    # 5 attempts at 60 s, doubling
    assert at == [0, 60000, 180000, 420000, 900000], at
    assert link.names().count("REGISTRATION_FAILURE") == 5 and link.names()[-1] == "NETWORK_ERROR"
    assert link.client.stat() == 4
    # a new sequence after a day, and so on
    link.run(86400 * 2 + 2000)
    at = [m.at - s.requests[0].at for m in s.requests]
    assert at[5] == 900000 + 86400000 and at[6] - at[5] == 60000 and at[10] - at[9] == 86400000, at
    s.reply = s.accept
    link.until("REGISTRATION_COMPLETE", 86400 * 2)
    assert link.client.stat() == 2
    # after that, the sequence is a new one
    s.reply = refusing(0x83)
    link.client.update()
    link.run(61)
    assert registers(s)[-1].at - registers(s)[-2].at == 60000


def test_settings_of_the_retries():
    link = Link(start=False)
    for r, v in ((17, 2), (18, 5), (19, 100), (20, 3)):
        link.client.set("/1/0/%d" % r, v)
    s = link.server
    s.reply = refusing(0x83)
    link.client.start()
    link.run(86400)
    at = [m.at - s.requests[0].at for m in s.requests]
    assert at == [0, 5000, 105000, 110000, 210000, 215000], at
    assert link.client.stat() == 4 and link.names().count("NETWORK_ERROR") == 3
    # the application may begin again
    s.reply = s.accept
    link.client.start()
    link.until("REGISTRATION_COMPLETE")


def test_one_sequence():
    link = Link(start=False, retry=False)
    s = link.server
    s.reply = refusing(0x83)
    link.client.start()
    link.run(30 * 86400)
    assert len(s.requests) == 5 and link.client.stat() == 4
    assert link.client.poll(link.ticks()) == -1  # nothing more to come


def test_nobody_answers():
    link = Link(start=False)
    s = link.server
    s.reply = lambda m: None
    link.client.start()
    link.run(2000)
    assert len(s.requests) == 5 and len(s.heard) == 25
    assert link.names().count("REG_TIMEOUT") == 5 and link.names()[-1] == "NETWORK_ERROR"
    assert link.client.stat() == 4


def test_no_socket():
    link = Link(start=False)
    real = link.client.transport
    tries = []

    def broken(host, port):
        tries.append(link.ms)
        raise OSError(101)

    link.client.transport = broken
    link.client.start()
    link.run(100)
    assert link.names() == ["CONNECT_FAILURE", "REGISTRATION_FAILURE"] * 2
    assert len(tries) == 2 and link.client.stat() == 1
    link.client.transport = real
    link.until("REGISTRATION_COMPLETE")


def test_hooks_that_raise():
    def broken(*args):
        raise RuntimeError("mine")

    link = Link(start=False)
    real = link.client.transport
    link.client.transport = broken
    link.client.start()
    link.run(1)
    assert link.names() == ["CONNECT_FAILURE", "REGISTRATION_FAILURE"] and link.client.stat() == 1
    assert printed() == [RuntimeError]
    link.client.transport = real
    link.until("REGISTRATION_COMPLETE")
    try:
        import lwm2m.dtls.channel
    except ImportError:
        return
    # an account that is gone
    link = Link(start=False)
    link.server.reply = refusing(0x83)
    link.client.start()
    link.run(1)
    link.client.delete("/0/0")
    link.run(100)
    assert link.names()[-2:] == ["CONNECT_FAILURE", "REGISTRATION_FAILURE"]
    assert printed() == [KeyError]
    # what was opened is closed
    for key in (b"", b"1234"):
        link = Link(uri="coaps://server", start=False, key=key, load_credentials=broken)
        if not key:
            link.client.load_credentials = lambda ssid: None
        link.client.start()
        link.run(100)
        assert link.opened == 2 and not link.server.open and not link.server.heard
        assert link.names() == ["CONNECT_FAILURE", "REGISTRATION_FAILURE"] * 2
        assert printed() == [RuntimeError if key else TypeError] * 2


def test_a_location_that_is_too_long():
    # it can't be told in an update: the client registers again, and goes on
    for loc in ([b"x" * 250] * 3, [b"x" * 300]):
        link = Link(start=False)
        s = link.server
        first = lambda m: (
            (0x41, [(LOCATION, x) for x in loc], b"") if m.path() == "/rd" else (0x84, (), b"")
        )
        s.reply = first
        link.client.start()
        link.until("REGISTRATION_COMPLETE")
        link.client.update()
        link.run(1)
        assert len(registers(s)) == 2 and not updates(s) and link.client.stat() == 2
        assert s.get("/3/0/0").code == 0x45
        s.reply = s.accept
        link.client.update()
        link.until("REGISTRATION_COMPLETE", 10)
        link.client.update()
        link.run(1)
        assert len(updates(s)) == 1
        # nor in the farewell
        s.reply = first
        link.client.start()
        link.run(1)
        link.client.stop()
        link.run(1)
        assert link.names()[-1] == "DEREGISTER_FAILURE" and not link.client.active() and not s.open


def test_a_name_that_is_too_long():
    link = Link(start=False, name="x" * 300)
    link.client.start()
    link.run(100)
    assert link.names().count("REGISTRATION_FAILURE") == 2 and not link.server.heard


def test_disable():
    link = Link()
    s = link.server
    link.client.set("/1/0/5", 100)
    n = len(s.requests)
    assert s.post("/1/0/4").code == 0x44
    link.run(2)
    (m,) = s.requests[n:]
    assert m.code == DELETE and m.path() == "/rd/7"
    assert link.names()[-1] == "SERVER_DISABLED"
    assert link.client.stat() == 0 and link.client.active()
    link.run(90)
    assert len(s.requests) == n + 1 and link.client.stat() == 0
    s.reply = lambda m: None
    link.run(10)
    assert link.client.stat() == 1
    s.reply = s.accept
    link.until("REGISTRATION_COMPLETE", 20)
    # not before that time
    assert 100000 <= registers(s)[-1].at - m.at <= 101000
    # stopped meanwhile, it does not come back
    s.post("/1/0/4")
    link.run(1)
    link.client.stop()
    assert not link.client.active() and link.names()[-1] == "DISCONNECT"
    link.run(1000)
    assert link.client.stat() == 0 and s.requests[-1].code == DELETE
    # without a timeout it is a day
    link = Link()
    s = link.server
    s.post("/1/0/4")
    link.run(86000)
    assert len(registers(s)) == 1
    link.run(1000)
    assert len(registers(s)) == 2


def test_disabled_by_the_application():
    link = Link()
    link.client.set("/1/0/5", 10)
    link.client.exec("/1/0/4")
    link.until("SERVER_DISABLED")
    link.until("REGISTRATION_COMPLETE", 15)


def test_deregistration():
    link = Link()
    s = link.server
    n = len(link.events)
    link.client.stop()
    assert link.client.stat() == 3
    link.run(1)
    m = s.requests[-1]
    assert m.code == DELETE and m.path() == "/rd/7" and not m.payload and not m.query()
    assert link.names(n) == ["DEREGISTER", "DISCONNECT"] and link.client.stat() == 0 and not s.open
    heard = len(s.heard)
    link.run(86400 * 3)
    assert len(s.heard) == heard
    # and once more
    link.client.start()
    link.until("REGISTRATION_COMPLETE")
    assert link.client.stat() == 2


def test_deregistration_fails():
    for reply, names in (
        (refusing(0x84), "DEREGISTER_FAILURE"),
        (lambda m: None, "DEREGISTER_FAILURE"),
    ):
        link = Link()
        link.server.reply = reply
        link.client.stop()
        link.run(120)
        assert link.names()[-1] == names and link.client.stat() == 0


def test_stop_at_any_time():
    # while it registers, while it waits, while an update is under way, while it leaves
    link = Link(start=False)
    link.server.reply = lambda m: None
    link.client.start()
    link.run(1)
    link.client.stop()
    link.run(300)
    assert link.client.stat() == 0 and len(link.server.requests) <= 2
    link = Link(start=False)
    link.server.reply = refusing(0x83)
    link.client.start()
    link.run(5)
    link.client.stop()
    link.run(1000)
    assert link.client.stat() == 0 and len(link.server.requests) == 1
    link = Link()
    link.server.reply = lambda m: None
    link.client.update()
    link.run(1)
    link.client.stop()
    link.server.reply = link.server.accept
    link.run(10)
    assert link.client.stat() == 0 and link.server.requests[-1].code == DELETE
    link = Link()
    link.client.stop()
    link.client.stop()
    link.run(10)
    assert [m.code for m in link.server.requests].count(DELETE) == 1
    link = Link()
    n = len(link.server.requests)
    link.client.stop(force=True)
    assert link.client.stat() == 0
    link.run(1000)
    assert len(link.server.requests) == n
    link.client.stop()  # when there is nothing to stop
    link.run(1)


def test_start_again_while_registered():
    link = Link()
    link.client.start()
    link.until("REGISTRATION_COMPLETE")
    assert link.client.stat() == 2 and link.server.get("/3/0/0").code == 0x45


def test_versions():
    # an older version when the server does not know the newer
    for code in (0x8C, 0x80):
        link = Link(start=False, version=None)
        s = link.server
        s.reply = lambda m: s.accept(m) if "lwm2m=1.0" in m.query() else (code, (), b"")
        link.client.start()
        link.until("REGISTRATION_COMPLETE")
        asked = [[q for q in m.query() if q[:6] == "lwm2m="][0] for m in registers(s)]
        assert asked == sorted(asked)[::-1] and asked[-1] == "lwm2m=1.0"
        assert "REGISTRATION_FAILURE" not in link.names()
        # it stays with it
        link.client.update()
        link.run(5)
        assert link.client.stat() == 2
    # one that is asked for alone is not left
    for version in ("1.0", "1.1"):
        link = Link(start=False, version=version)
        link.server.reply = refusing(0x8C)
        link.client.start()
        link.run(100)
        assert all(["lwm2m=" + version in m.query() for m in registers(link.server)])
        assert "REGISTRATION_FAILURE" in link.names()


def test_a_newer_version():
    link = Link(version="1.1", binding="UQ")
    assert [q for q in link.server.requests[0].query() if q[:2] != "ep"] == [
        "Q",
        "b=U",
        "lt=86400",
        "lwm2m=1.1",
    ]
    link = Link(version="1.1")
    assert "Q" not in link.server.requests[0].query()


def test_two_servers():
    link = Link(start=False, lifetime=300)
    link.account(1, "coap://other:9999", 2)
    link.client.set("/1/1/1", 600)
    a, b = link.server, link.peer("other")
    b.reply = refusing(0x83)
    link.client.start()
    link.run(10)
    # one that refuses does not keep the other away
    assert (
        link.client.stat() == 2 and ("REGISTRATION_COMPLETE", 1) in link.events and b.port == 9999
    )
    assert ("REGISTRATION_FAILURE", 2) in link.events
    b.reply = b.accept
    link.run(60)
    assert ("REGISTRATION_COMPLETE", 2) in link.events
    assert "lt=300" in a.requests[0].query() and "lt=600" in b.requests[0].query()
    assert link.client.update(2) and not link.client.update(3)
    n, m = len(updates(a)), len(updates(b))
    link.run(1)
    assert (len(updates(a)), len(updates(b))) == (n, m + 1)
    # each sees its own instance's trigger
    a.post("/1/1/8")
    link.run(1)
    assert len(updates(b)) == m + 2
    # one disables itself, the other stays
    b.post("/1/1/4")
    link.run(5)
    assert (
        link.client.stat() == 2 and b.requests[-1].code == DELETE and a.get("/3/0/0").code == 0x45
    )
    link.client.stop()
    link.run(5)
    assert link.client.stat() == 0 and a.requests[-1].code == DELETE


def test_datagrams_on_a_closed_session():
    link = Link()
    s = link.server
    link.client.stop()
    link.run(1)
    n = len(s.heard)
    s.inbox.append(build(CON, GET, 1, b"t", segments("/3/0/0")))
    link.run(5)
    assert len(s.heard) == n


def test_an_idle_client_sleeps():
    link = Link()
    link.run(1)
    polls = [0]
    poll = link.client.poll

    def counted(now):
        polls[0] += 1
        return poll(now)

    link.client.poll = counted
    link.run(86000)
    # once in a while, for the clock's sake
    assert polls[0] < 400, polls[0]


def test_idle_polls_allocate_nothing():
    link = Link()
    s = link.server
    s.attributes("/3/0/14", "pmin=10", "pmax=1000")
    s.observe("/3/0/14")
    link.run(30)
    c = link.client
    # on 32-bit builds with threads the id of a thread is an object
    c._lock.mutex = None
    now = link.ticks()
    for k in range(3):
        c.poll(now)
    gc.collect()
    gc.disable()
    try:
        before = gc.mem_alloc()
        for k in range(100):
            c.poll(now)
        after = gc.mem_alloc()
    finally:
        gc.enable()
    assert after == before, after - before


def prioritized():
    """Two servers, `other` before `server`; the link is not started yet."""
    link = Link(start=False, version="1.1")
    link.account(1, "coap://other", 2)
    link.client.set("/1/0/13", 20)
    link.client.set("/1/1/13", 10)
    return link, link.server, link.peer("other")


def test_priorities():
    link, a, b = prioritized()
    b.reply = lambda m: build(ACK, 0, m.mid)
    link.client.start()
    link.run(10)
    # the first is still at it
    assert len(b.requests) == 1 and not a.heard
    m = b.requests[0]
    b.raw(build(NON, 0x41, 0x77, m.token, [(LOCATION, "rd"), (LOCATION, "7")]))
    link.run(1)
    assert len(a.requests) == 1 and link.names().count("REGISTRATION_COMPLETE") == 2
    # the delay of the first registration (1/x/14)
    link, a, b = prioritized()
    link.client.set("/1/1/14", 30)
    link.client.start()
    link.run(29)
    assert not a.heard and not b.heard
    link.run(5)
    assert a.requests and b.requests


def test_a_failure_blocks_the_others():
    for blocks in (True, False):
        link, a, b = prioritized()
        link.client.set("/1/1/15", blocks)
        b.reply = refusing(0x83)
        link.client.start()
        link.run(1200)
        assert bool(a.requests) != blocks, (blocks, link.events)


def test_other_values_need_no_update():
    link = Link()
    s = link.server
    n = len(s.requests)
    for path, v in (("/1/0/2", b"5"), ("/1/0/3", b"60"), ("/1/0/5", b"9"), ("/1/0/6", b"0")):
        assert s.put(path, v).code == 0x44
    # resources 1 and 7 of other objects are not the lifetime and the binding
    link.client.set("/3/0/1", "model")
    link.client.set("/3/0/7", {0: 3300})
    link.run(30)
    assert len(s.requests) == n
    # nor are those of another account
    link.account(5, "coap://third", 55)
    link.run(30)
    link.client.update()
    link.run(5)
    n = len(s.requests)
    link.client.set("/1/5/1", 777)
    link.client.set("/1/5/7", "UQ")
    link.run(30)
    assert len(s.requests) == n


def test_a_secure_address_without_security():
    link = Link(uri="coaps://server", start=False)
    link.client.start()
    link.run(2)
    assert not link.server.heard and "CONNECT_FAILURE" in link.names()
    assert printed() == [ValueError]


def test_a_uri_without_scheme():
    for uri, port in (
        ("server", 5683),
        ("server:", 5683),
        ("server:1234", 1234),
        ("coap://server", 5683),
        ("coap://server:5684/", 5684),
        ("coap://server/path?query", 5683),
    ):
        link = Link(uri=uri)
        assert link.server.port == port and len(registers(link.server)) == 1, uri
    for uri in (
        "",
        "server:0",
        "server:65536",
        "server:-1",
        "server:x",
        "ftp://server",
        "://server",
    ):
        assert uri == "" or raises(ValueError, Link, uri, False), uri
    assert Link("server:65535").server.port == 65535 and Link("server:1").server.port == 1


def test_nothing_is_pending_after_a_de_registration():
    # a notification that nobody acknowledged, and an update, are given up: the DELETE is the last word
    link = Link()
    s = link.server
    t = s.observe("/3/0/14", 0).token
    s.attributes("/3/0/14", "pmin=0")
    s.acks = False
    link.client.set("/3/0/14", "+01:00")
    link.run(1)
    assert len(s.notes(t)) == 1
    n = len(s.heard)
    assert link.client.stop() is None
    link.run(300)
    assert [m.code for m in s.heard[n:]] == [DELETE] and link.names()[-1] == "DISCONNECT"
    assert link.client.update() is False and link.client.observations() == []
    link.client.set("/3/0/14", "+02:00")
    link.run(300)
    assert [m.code for m in s.heard[n:]] == [DELETE]
    # nor while nobody answers the DELETE
    link = Link()
    s = link.server
    t = s.observe("/3/0/14", 0).token
    s.attributes("/3/0/14", "pmin=0")
    s.acks = False
    link.client.set("/3/0/14", "+01:00")
    link.run(0.5)
    assert len(s.notes(t)) == 1
    s.reply = lambda m: None
    n = len(s.heard)
    link.client.stop()
    link.run(300)
    assert [m.code for m in s.heard[n:]] == [DELETE] * 5
    assert link.names()[-1] == "DEREGISTER_FAILURE"
    # an update is under way
    link = Link()
    s = link.server
    s.reply = lambda m: s.accept(m) if m.code == DELETE or m.path() == "/rd" else None
    link.client.update()
    link.run(1)
    n = len(s.heard)
    link.client.stop()
    link.run(300)
    assert [m.code for m in s.heard[n:]] == [DELETE] and link.client.stat() == 0
    # the next life has a location of its own
    s.reply = lambda m: (
        (0x41, [(LOCATION, "rd"), (LOCATION, "8")], b"") if m.code == POST else None
    )
    link.client.start()
    link.run(2)
    link.client.stop()
    link.run(1)
    assert s.heard[-1].path() == "/rd/8"


def test_an_account_without_settings():
    link = Link(start=False)
    for r in (1, 7):
        link.client.set("/1/0/%d" % r, None)
    link.client.start()
    link.until("REGISTRATION_COMPLETE")
    assert link.server.requests[0].query() == ["b=U", "ep=dev", "lt=86400", "lwm2m=1.0"]
