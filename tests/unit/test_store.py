# Tests of notification storing: values that a server missed reach it with their times
# SPDX-License-Identifier: MIT
import lwm2m_port
from link import *
from test_series import PATH, SENML_JSON, fill, link, pairs


def lost(x):
    """The server is out of reach, and the client has noticed."""
    x.fault = lambda peer, d, to_client: ()
    x.client.update()
    x.until("REG_TIMEOUT")


def found(x):
    x.fault = None
    x.until("REGISTRATION_COMPLETE", 2000)


def again(x, path=PATH, ct=SENML_JSON):
    """Observe a path after the new registration; the notifications that follow at once."""
    m = x.server.observe(path, ct)
    x.run(3)
    return m, x.server.notes(m.token)


def test_kept_until_observed_again():
    x = link(None)
    fill(x, 1.0)
    x.server.observe(PATH, SENML_JSON)
    lost(x)
    at = lwm2m_port.seconds
    fill(x, 2.0, 3.0, 4.0)
    found(x)
    # a read shows what is now
    assert [v for t, v in pairs(x.server.get(PATH, SENML_JSON).payload)] == [4.0]
    m, notes = again(x)
    assert pairs(notes[0].payload) == [(at, 2.0), (at + 10, 3.0), (at + 20, 4.0)], notes
    # told once
    fill(x, 5.0)
    x.run(2)
    assert [v for t, v in pairs(x.server.notes(m.token)[-1].payload)] == [5.0]
    assert not counts(x.client)["rings"]


def test_under_an_instance_and_by_send():
    x = link(None)
    fill(x, 1.0)
    x.server.observe("/3303/0", SENML_JSON)
    lost(x)
    fill(x, 2.0, 3.0)
    found(x)
    codes = []
    x.server.reply = lambda m: (0x44, (), b"")
    x.client.send(PATH, done=codes.append)
    x.run(5)
    sent = [m for m in x.server.requests if m.path() == "/dp"]
    assert codes == [0x44] and len(sent) == 1 and b"\x02\xfa@@" in sent[0].payload
    assert not counts(x.client)["rings"]


def test_a_read_function_goes_on():
    x = link(None)
    fill(x, 1.0)
    x.server.observe(PATH, SENML_JSON)
    x.client.on_read(PATH, lambda path, v: v + 0.5)
    lost(x)
    fill(x, 2.0)
    assert x.client.get(PATH) == 2.5


def test_bounded_oldest_first_and_counted():
    x = link(None)
    fill(x, 0.0)
    x.server.observe(PATH, SENML_JSON)
    lost(x)
    fill(x, *[float(n) for n in range(1, 16)])
    found(x)
    m, notes = again(x)
    assert [v for t, v in pairs(notes[0].payload)] == [float(n) for n in range(6, 16)]
    assert dropped(x.client) == 5


def test_not_stored():
    # without 1/x/6, and in formats that have no times
    for storing, ct in ((False, SENML_JSON), (True, TLV)):
        x = link(None)
        fill(x, 1.0)
        x.client.set("/1/0/6", storing)
        x.server.observe(PATH, ct)
        lost(x)
        fill(x, 2.0, 3.0)
        found(x)
        assert not counts(x.client)["rings"]
        m, notes = again(x, ct=ct)
        assert notes == []


def test_a_value_on_its_way():
    # the notification that showed the loss is not lost
    x = link(None)
    fill(x, 1.0)
    x.server.observe(PATH, SENML_JSON)
    x.fault = lambda peer, d, to_client: ()
    fill(x, 2.0)
    x.until("REG_TIMEOUT", 1000)
    fill(x, 3.0)
    found(x)
    m, notes = again(x)
    assert [v for t, v in pairs(notes[0].payload)] == [2.0, 3.0], notes


def test_disabled():
    # by the server itself: it asked not to be disturbed
    for storing in (True, False):
        x = link(None)
        fill(x, 1.0)
        x.client.set("/1/0/5", 100)
        x.client.set("/1/0/6", storing)
        x.server.observe(PATH, SENML_JSON)
        assert x.server.post("/1/0/4").code == 0x44
        x.run(2)
        at = lwm2m_port.seconds
        fill(x, 2.0, 3.0)
        x.until("REGISTRATION_COMPLETE", 200)
        m, notes = again(x)
        assert notes if storing else not notes
        if storing:
            assert pairs(notes[0].payload) == [(at, 2.0), (at + 10, 3.0)], notes


def composite(x):
    opts = [(OBSERVE, 0), (FORMAT, SENML_JSON), (ACCEPT, SENML_JSON)]
    m = x.server.request(FETCH, [], opts, b'[{"n":"/3303/0/5700"},{"n":"/3/0/14"}]')
    assert m.code == 0x45 and m.opt(OBSERVE) is not None
    return m


def test_composite_observations():
    for disabled in (False, True):
        x = link(None)
        fill(x, 1.0)
        x.client.set("/1/0/5", 100)
        composite(x)
        if disabled:
            x.server.post("/1/0/4")
            x.run(2)
        else:
            lost(x)
        at = lwm2m_port.seconds
        fill(x, 2.0, 3.0)
        if disabled:
            x.until("REGISTRATION_COMPLETE", 200)
        else:
            found(x)
        m = composite(x)
        x.run(3)
        (note,) = x.server.notes(m.token)
        got = [v for v in pairs(note.payload) if v[1] is not None]
        assert got == [(at, 2.0), (at + 10, 3.0)], got


def test_a_notification_that_is_lost():
    # nobody acknowledged it: from then on values are kept, and the update that follows brings them
    x = link(None)
    fill(x, 1.0)
    t = x.server.observe(PATH, SENML_JSON).token
    x.server.acks = False
    fill(x, 2.0)
    x.server.reply = lambda m: None
    k = len(x.server.heard)
    # the update is under way, and will be repeated
    x.until(lambda: [m for m in x.server.heard[k:] if m.path() == "/rd/7"])
    fill(x, 3.0)
    x.server.acks = True
    x.server.reply = x.server.accept
    n = len(x.server.heard)
    x.run(60)
    notes = x.server.notes(t, n)
    assert [v for s, v in pairs(notes[-1].payload)] == [2.0, 3.0], notes


def test_how_many_values():
    # hqmax of the observation, or of what is above
    for query, at, n in (("hqmax=3", PATH, 3), ("hqmax=4", "/3303", 4), ("hqmax=12", PATH, 12)):
        x = link(None, version="1.2")
        assert x.server.attributes(at, query).code == 0x44
        fill(x, 0.0)
        x.server.observe(PATH, SENML_JSON)
        lost(x)
        fill(x, *[float(k) for k in range(1, 16)])
        found(x)
        m, notes = again(x)
        assert [v for t, v in pairs(notes[0].payload)] == [float(k) for k in range(16 - n, 16)]
        assert dropped(x.client) == 15 - n


def test_an_absurd_number_of_values():
    # a server may ask for more than there is memory: the history is bounded
    for query in ("hqmax=300000", "hqmax=4000000000", "hqmax=99999999999999999999"):
        x = link(None, version="1.2")
        if x.server.attributes(PATH, query).code >= 0x80:
            continue
        fill(x, 0.0)
        x.server.observe(PATH, SENML_JSON)
        lost(x)
        fill(x, *[float(k) for k in range(1, 100)])
        found(x)
        again(x)
        assert x.client.stat() == 2 and dropped(x.client) == 99 - 64
