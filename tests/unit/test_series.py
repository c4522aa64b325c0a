# Tests of time series: what a cached resource tells, when its entries leave
# SPDX-License-Identifier: MIT
import json

import lwm2m_port
from link import *

from lwm2m.model.tables.ipso import TABLE as IPSO
from lwm2m.model.tables.standard import TABLE as STANDARD

SENML_JSON = 110
PATH = "/3303/0/5700"


def link(path=PATH, n=4, **options):
    options.setdefault("version", "1.1")
    x = Link(**options)
    x.client.objects(STANDARD)
    x.client.objects(IPSO)
    x.client.create("/3303/0")
    lwm2m_port.seconds = 1600000000
    if path:
        x.client.cache(path, n)
    return x


def fill(x, *values):
    """Set values, ten seconds apart."""
    for v in values:
        x.client.set(PATH, v)
        lwm2m_port.seconds += 10


def entries(x, path=(3303, 0, 5700)):
    return series(x.client, "/%d/%d/%d" % tuple(path))


def pairs(payload):
    """[(time, value), ...] of a SenML JSON payload with one name; time is None where there is none."""
    base = 0
    out = []
    for r in json.loads(str(payload, "utf8")):
        base = r.get("bt", base)
        out.append((r["t"] + base if "t" in r or base else None, r.get("v", r.get("vb"))))
    return out


def test_read_tells_all_and_keeps_them():
    x = link()
    fill(x, 20.5, 21.0, 19.5)
    for _ in (1, 2):
        m = x.server.get(PATH, SENML_JSON)
        assert m.code == 0x45
        assert pairs(m.payload) == [(1600000000, 20.5), (1600000010, 21.0), (1600000020, 19.5)]
    # formats without times have the latest one
    assert x.server.get(PATH, TEXT).payload == b"19.5"
    assert x.server.get(PATH, TLV).payload == b"\xe4\x16\x44\x41\x9c\x00\x00"


def test_the_same_value_again_is_an_entry():
    x = link()
    fill(x, 1.0, 1.0, 1.0)
    assert [v for t, v in entries(x)] == [1.0, 1.0, 1.0]


def test_full_drops_the_newest():
    x = link(n=3)
    fill(x, 1.0, 2.0, 3.0, 4.0)
    assert [v for t, v in entries(x)] == [1.0, 2.0, 3.0]
    assert x.client.get(PATH) == 4.0
    assert x.server.get(PATH, TEXT).payload == b"4.0"


def test_full_drops_the_oldest():
    x = link(None)
    x.client.cache(PATH, 3, True)
    fill(x, 1.0, 2.0, 3.0, 4.0, 5.0)
    assert entries(x) == [(1600000020, 3.0), (1600000030, 4.0), (1600000040, 5.0)]


def test_acknowledged_notification_takes_them():
    x = link()
    fill(x, 1.0)
    s = x.server
    m = s.observe(PATH, SENML_JSON)
    assert pairs(m.payload) == [(1600000000, 1.0)]
    n = len(s.heard)
    s.acks = False
    fill(x, 2.0)
    x.run(1)
    fill(x, 3.0)
    # it is repeated as it is until it is acknowledged
    assert [v for t, v in entries(x)] == [1.0, 2.0, 3.0]
    x.run(1)
    s.acks = True
    x.run(30)
    notes = s.notes(m.token, n)
    assert pairs(notes[0].payload) == [(1600000000, 1.0), (1600000010, 2.0)]
    assert pairs(notes[1].payload) == [(1600000020, 3.0)]
    assert not entries(x)
    # with none left, the value without a time
    assert pairs(s.get(PATH, SENML_JSON).payload) == [(None, 3.0)]


def test_lost_notification_leaves_them():
    x = link(ack_timeout=1000, max_retransmit=1)
    s = x.server
    fill(x, 1.0)
    m = s.observe(PATH, SENML_JSON)
    s.acks = False
    fill(x, 2.0)
    x.run(2)
    assert len(entries(x)) == 2
    x.run(20)
    s.acks = True
    x.run(60)
    assert not entries(x)
    assert pairs(s.notes(m.token)[-1].payload) == [(1600000000, 1.0), (1600000010, 2.0)]


def test_notification_without_times_leaves_them():
    x = link()
    fill(x, 1.0)
    m = x.server.observe(PATH, TLV)
    fill(x, 2.0)
    x.run(2)
    assert x.server.notes(m.token)
    assert len(entries(x)) == 2


def test_non_confirmable_notification_takes_them():
    x = link(confirmable=False)
    fill(x, 1.0)
    m = x.server.observe(PATH, SENML_JSON)
    fill(x, 2.0)
    x.run(2)
    assert len(x.server.notes(m.token)) == 1
    assert not entries(x)


def test_another_notification_leaves_them():
    x = link()
    fill(x, 1.0)
    m = x.server.observe("/3/0/14", SENML_JSON)
    x.server.get(PATH, SENML_JSON)
    x.client.set("/3/0/14", "+05:00")
    x.run(2)
    assert x.server.notes(m.token)
    assert [v for t, v in entries(x)] == [1.0]


def test_entries_of_an_instance():
    x = link()
    fill(x, 1.0, 2.0)
    m = x.server.observe("/3303/0", SENML_JSON)
    x.client.set("/3303/0/5750", "attic")
    x.run(2)
    text = str(x.server.notes(m.token)[0].payload, "utf8")
    assert text.count('"5700"') == 2 and "attic" in text
    assert not entries(x)


def test_blocks_show_what_the_first_one_did():
    x = link(None, size=160, szx=2)
    x.client.cache(PATH, 40)
    for n in range(30):
        x.client.set(PATH, n / 4)
        lwm2m_port.seconds += 1
    s = x.server
    body = b""
    num = 0
    while True:
        m = s.get(PATH, SENML_JSON, (23, num << 4 | 2))
        assert m.code == 0x45, m
        body += m.payload
        x.client.set(PATH, 100.0 + num)
        if not m.opt(23) & 8:
            break
        num += 1
    got = pairs(body)
    assert [v for t, v in got] == [n / 4 for n in range(30)]
    assert got[0][0] == 1600000000 and got[29][0] == 1600000029


def test_blockwise_notification():
    x = link(None, size=160, szx=2)
    x.client.cache(PATH, 40)
    s = x.server
    x.client.set(PATH, -1.0)
    m = s.observe(PATH, SENML_JSON)
    with x.client.lock():
        for n in range(30):
            x.client.set(PATH, float(n))
            lwm2m_port.seconds += 1
    x.run(1)
    note = s.notes(m.token)[-1]
    assert note.opt(23) & 8
    # acknowledged: the rest is fetched all the same
    assert not entries(x)
    body = note.payload
    num = 1
    while True:
        r = s.get(PATH, SENML_JSON, (23, num << 4 | 2))
        assert r.code == 0x45, r
        body += r.payload
        if not r.opt(23) & 8:
            break
        num += 1
    assert [v for t, v in pairs(body)] == [float(n) for n in range(-1, 30)]


def test_types():
    for path in (
        "/3/0/0",
        "/3/0/6",
        "/19/0/0",
        "/3/0/4",
        "/3303/0/5605",
        "/3303/0",
        "/3303/0/9999",
        "/2/0/2/1",
    ):
        x = link(None)
        x.client.create("/19/0")
        x.client.create("/2/0")
        assert raises(ValueError, x.client.cache, path, 3), path
    x = link(None)
    assert raises(ValueError, x.client.cache, PATH, 0)
    assert raises(KeyError, x.client.cache, "/3303/7/5700", 3)
    c = x.client
    c.create("/3311/0")
    for path, values in (
        ("/3311/0/5850", (True, False)),
        ("/3311/0/5852", (0, 4000000000)),
        ("/3/0/13", (1700000000, 5000000000)),
        ("/1/0/13", (0, (1 << 64) - 1)),
    ):
        c.cache(path, 2)
        for v in values:
            c.set(path, v)
        ids = [int(k) for k in path[1:].split("/")]
        got = [v for t, v in entries(x, ids)]
        assert got == list(values) and type(got[0]) is type(values[0]), got


def test_at_most_four_resources():
    x = link()
    c = x.client
    for r in (5601, 5602, 5603):
        c.cache("/3303/0/%d" % r, 2)
    assert raises(ValueError, c.cache, "/3303/0/5604", 2)
    assert raises(ValueError, c.cache, "/3303/0/5601", 2)
    allow_series(c, 5)
    c.cache("/3303/0/5604", 2)


def test_validation_filters():
    x = link()
    x.client.validate(PATH, lambda path, v: v < 100)
    fill(x, 1.0)
    assert raises(ValueError, x.client.set, PATH, 150.0)
    fill(x, 2.0)
    assert [v for t, v in entries(x)] == [1.0, 2.0]


def test_read_function_is_bypassed():
    x = Link(version="1.1")
    x.client.objects(IPSO)
    x.client.create("/3303/0")
    x.client.on_read(PATH, lambda path, v: 99.0)
    assert x.server.get(PATH, TEXT).payload == b"99.0"
    x.client.cache(PATH, 3)
    fill(x, 5.0)
    assert x.server.get(PATH, TEXT).payload == b"5.0"
    # in whatever order the two are asked for
    x.client.on_read(PATH, lambda path, v: 98.0)
    assert x.server.get(PATH, TEXT).payload == b"5.0" and x.client.get(PATH) == 5.0
    assert [v for t, v in pairs(x.server.get(PATH, SENML_JSON).payload)] == [5.0]


def test_gone_with_the_instance():
    x = link()
    fill(x, 1.0, 2.0)
    c = x.client
    c.create("/3303/1")
    c.cache("/3303/1/5700", 2)
    c.set("/3303/1/5700", 7.0)
    c.delete("/3303/0")
    assert counts(c)["rings"] == 1 and entries(x, (3303, 1, 5700))
    # another one begins without, and may have its own
    c.create("/3303/0")
    c.set(PATH, 3.0)
    assert pairs(x.server.get(PATH, SENML_JSON).payload) == [(None, 3.0)]
    c.cache(PATH, 2)
    fill(x, 4.0)
    assert [v for t, v in pairs(x.server.get(PATH, SENML_JSON).payload)] == [4.0]
    assert x.server.delete("/3303/1").code == 0x42
    assert counts(c)["rings"] == 1 and not entries(x, (3303, 1, 5700))


def test_one_second():
    # where floats can tell, every entry of a second has a time of its own
    x = link()
    for v in (1.0, 2.0, 3.0):
        x.client.set(PATH, v)
    times = [t for t, v in entries(x)]
    assert times == sorted(times) and 1600000000 <= times[0] <= times[2] < 1600000001
    if 1600000000 + 0.001 > 1600000000:
        assert times[0] < times[1] < times[2]


def test_server_write_is_an_entry():
    x = link(None)
    c = x.client
    c.create("/3311/0")
    c.cache("/3311/0/5851", 3)
    for v in (b"10", b"20"):
        assert x.server.put("/3311/0/5851", v).code == 0x44
    assert [v for t, v in entries(x, (3311, 0, 5851))] == [10, 20]
