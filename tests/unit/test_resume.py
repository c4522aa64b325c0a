# The registration that outlives a deep sleep beside its DTLS session: what is kept of it, and when it is taken back
# SPDX-License-Identifier: MIT
import lwm2m_port
from dtls_server import SecureLink
from link import *
from lwm2m.model.tables.ipso import TABLE as IPSO

try:
    import lwm2m.session.resume
except ImportError:
    raise Skip("registrations are not kept here")

SENML_JSON = 110
T = "/3303/0/5700"
SERVER = {"cid": b"abcdef"}


def sensor(x):
    x.client.objects(IPSO)
    x.client.create("/3303/0")
    x.client.set(T, 20.0)


def link(**options):
    """A registered client with a temperature, whose server has Connection IDs."""
    options.setdefault("version", "1.1")
    options.setdefault("lifetime", 1000)
    x = SecureLink(SERVER, files={}, start=False, **options)
    sensor(x)
    x.client.start()
    x.until("REGISTRATION_COMPLETE")
    return x


def woken(x, asleep, seconds=1, value=20.0, change=None, **options):
    """The same device after a sleep, so many seconds on; `change(client)` before it starts."""
    options.setdefault("version", "1.1")
    options.setdefault("lifetime", 1000)
    x.client.pause()
    y = SecureLink(before=x, asleep=asleep, start=False, **options)
    sensor(y)
    y.client.set(T, value)
    if change:
        change(y.client)
    y.client.start()
    y.run(seconds)
    return y


def updates(x):
    return [(m.query(), m.payload) for m in x.server.requests if m.path() == "/rd/7"]


def test_the_update_says_what_changed():
    for change, options, query, objects in (
        (None, {}, [], False),
        (None, {"lifetime": 900}, ["lt=900"], False),
        (lambda c: c.create("/3303/1"), {}, [], True),
        (lambda c: c.delete("/3303/0"), {"lifetime": 2000}, ["lt=2000"], True),
    ):
        x = woken(link(), 100, change=change, **options)
        ((q, payload),) = updates(x)
        assert q == query and bool(payload) == objects, (q, payload)
    assert b"</3303>" in payload and b"</3303/0>" not in payload


def test_the_end_of_the_lifetime():
    # 50 s awake, and what the clock on the wall says of the sleep
    for asleep, resumed in (
        (0, True),
        (900, True),
        (949, True),
        (950, False),
        (951, False),
        (1 << 27, False),
        # the clock lost its time
        (-49, True),
        (-200, False),
        (-1500000000, False),
    ):
        x = link()
        x.run(50)
        start = lwm2m_port.seconds
        y = woken(x, asleep)
        lwm2m_port.seconds = start
        assert len([m for m in y.server.requests if m.path() == "/rd"]) == 2 - resumed, asleep
    # what is left of it counts: the next update is as early as it would have been
    x = link(lifetime=600)
    y = woken(x, 300, lifetime=600)
    assert len(updates(y)) == 1
    n = y.ms
    y.run(600)
    at = [m.at - n for m in y.server.requests if m.path() == "/rd/7"][1]
    assert 400000 < at < 600000, at


def test_a_lifetime_without_end():
    """It is no matter how long the device slept, nor what its clock says of it."""
    for asleep in (100, 90000, 1 << 27, -200, -1500000000):
        x = link(lifetime=0)
        start = lwm2m_port.seconds
        y = woken(x, asleep, lifetime=0)
        lwm2m_port.seconds = start
        assert len([m for m in y.server.requests if m.path() == "/rd"]) == 1, asleep
        assert y.client.stat() == 2
        n = len(updates(y))
        y.run(86400)
        assert len(updates(y)) == n


def test_the_version_is_kept():
    x = SecureLink(SERVER, files={}, start=False, version=None)
    s = x.server
    s.reply = lambda m: (0x8C, (), b"") if "lwm2m=1.2" in m.query() else s.accept(m)
    x.client.start()
    x.until("REGISTRATION_COMPLETE")
    assert "lwm2m=1.1" in s.requests[-1].query()
    y = woken(x, 100, version=None, lifetime=86400)
    # Discover tells the version of an object that is registered with it
    assert b"</1>;ver=1.1" in y.server.get("/1", LINK).payload
    assert len([m for m in s.requests if m.path() == "/rd"]) == 2


def test_observations_go_on():
    x = link()
    s = x.server
    assert s.attributes(T, "pmin=5", "gt=30").code == 0x44
    token = s.observe(T, SENML_JSON).token
    whole = s.observe("/3/0", SENML_JSON).token
    x.client.set(T, 31.0)
    x.run(20)
    before = s.notes(token)
    assert len(before) == 1
    n = len(s.heard)
    y = woken(x, 7, value=31.0)
    # what happened meanwhile is not known: what has no condition is told, what has one if it holds
    assert len(s.notes(whole, n)) == 1 and s.notes(token, n) == []
    assert sorted([x[0] for x in y.client.observations()]) == ["/3/0", T]
    y.client.set(T, 20.0)
    y.run(2)
    (m,) = s.notes(token, n)
    assert json.loads(m.payload)[0]["v"] == 20.0
    # it is newer than every notification before, those that were not kept too
    assert m.opt(OBSERVE) > before[0].opt(OBSERVE) + 100
    # within pmin nothing more is told
    y.client.set(T, 32.0)
    y.run(2)
    assert len(s.notes(token, n)) == 1
    y.run(6)
    assert len(s.notes(token, n)) == 2
    assert b";gt=30" in s.get(T, LINK).payload


def test_their_times_go_on():
    x = link()
    s = x.server
    assert s.attributes(T, "pmin=0", "pmax=60").code == 0x44
    token = s.observe(T, SENML_JSON).token
    x.run(20)
    n = len(s.heard)
    y = woken(x, 15)
    n = len(s.heard)
    y.run(23)
    assert len(s.notes(token, n)) == 0
    y.run(40)
    assert len(s.notes(token, n)) == 1
    # what is overdue comes at once
    n = len(s.heard)
    y = woken(y, 300)
    assert len(s.notes(token, n)) == 1


def test_a_rejected_notification_of_before():
    # the message id of a notification is not kept: a RST to it says nothing of the new session
    x = link(confirmable=False)
    s = x.server
    s.observe(T, SENML_JSON)
    x.client.set(T, 25.0)
    x.run(2)
    y = woken(x, 10, confirmable=False)
    s.raw(build(RST, 0, 0xFFFF))
    y.run(1)
    assert len(y.client.observations()) == 1


def test_a_composite_observation_goes_on():
    x = link()
    s = x.server
    body = json.dumps([{"n": T}, {"n": "/3/0/14"}]).encode()
    m = s.request(FETCH, "/", [(FORMAT, SENML_JSON), (OBSERVE, 0), (QUERY, "pmin=0")], body)
    assert m.code == 0x45
    n = len(s.heard)
    y = woken(x, 20)
    # it may have changed
    (first,) = s.notes(m.token, n)
    assert first.opt(OBSERVE) > 100
    y.client.set(T, 30.0)
    y.run(1)
    notes = s.notes(m.token, n)
    assert len(notes) == 2 and notes[1].opt(OBSERVE) == first.opt(OBSERVE) + 1
    assert b"30.0" in notes[1].payload and b"20.0" in first.payload
    # it is kept once more
    n = len(s.heard)
    y = woken(y, 20)
    assert len(s.notes(m.token, n)) == 1


def test_damage():
    def registers(files):
        """How often a device registers that finds these files."""
        y = SecureLink(before=x, asleep=10, start=False, version="1.1", lifetime=1000)
        y.files.update(files)
        n = len(y.server.requests)
        y.client.start()
        y.run(2)
        assert y.client.stat() == 2
        return len([m for m in y.server.requests[n:] if m.path() == "/rd"])

    x = link()
    x.server.observe("/3/0", SENML_JSON)
    x.client.pause()
    good = dict(x.files)
    data = good["reg1"]
    assert registers(good) == 0
    for n in range(0, len(data), 7):
        good["reg1"] = data[:n]
        assert registers(good) == 1, n
    # not JSON, though MicroPython takes it, and what is wanted stands in it
    for other in (data[:-2] + b"}\n", data[:-2] + b",]\n", data[:-1] + b"]\n"):
        good["reg1"] = other
        assert registers(good) == 1, other
    for other in (b"1", b"{}", b"[]", b"null", b"\xff", b"[0" + data[data.find(b",") :]):
        good["reg1"] = other
        assert registers(good) == 1, other
    # none at all
    x.files.pop("reg1")
    good.pop("reg1")
    assert registers(good) == 1
