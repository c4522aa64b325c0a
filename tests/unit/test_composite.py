# Read-, Write- and Observe-Composite (Core 1.1.1 6.3.8, 6.3.9, 6.4.4): any mix of paths, all or nothing, notifications
# SPDX-License-Identifier: MIT

import lwm2m_port
from codec import table
from link import *
from lwm2m import LATER, CoapError
from lwm2m.model.tables.ipso import TABLE as IPSO

SENML_JSON, SENML_CBOR, LWM2M_CBOR = 110, 112, 11544
A = "/3303/0/5700"
B = "/3303/1/5700"

# object 1001: 1 a text, 2 several integers, 3 executable, 4 read-only
OWN = table(1001, [(1, 3, 1), (2, 11, 2), (3, 4, 0), (4, 1, 1)])


def client(**options):
    options.setdefault("version", "1.1")
    link = Link(**options)
    c = link.client
    c.objects(IPSO)
    c.objects(OWN)
    for path in ("/3303/0", "/3303/1", "/1001/0"):
        c.create(path)
    c.set(A, 20.0)
    c.set(B, 30.0)
    c.set("/1001/0/1", "text")
    c.set("/1001/0/2", {0: 5, 3: 6})
    c.set("/1001/0/4", "fixed")
    link.run(20)
    return link, link.server


def fetch(s, *paths, **kw):
    """A FETCH of paths in SenML JSON."""
    opts = [(FORMAT, SENML_JSON)] + list(kw.pop("opts", ()))
    return s.request(FETCH, "/", opts, json.dumps([{"n": p} for p in paths]).encode(), **kw)


def whole(s, *paths):
    """What a FETCH gives, block by block."""
    m = fetch(s, *paths)
    body = m.payload
    num = 1
    while m.opt(BLOCK2) is not None and m.opt(BLOCK2) & 8:
        m = fetch(s, *paths, opts=[(BLOCK2, num << 4 | 5)])
        body += m.payload
        num += 1
    m.payload = body
    return m


def ipatch(s, *records, **kw):
    return s.request(
        IPATCH, "/", [(FORMAT, kw.get("ct", SENML_JSON))], json.dumps(list(records)).encode()
    )


def told(m):
    """{path: value} of a SenML JSON payload."""
    out = {}
    base = ""
    for x in json.loads(m.payload):
        base = x.pop("bn", base)
        path = base + x.pop("n", "")
        assert path not in out, m.payload
        (out[path],) = x.values()
    return out


def test_read_any_mix():
    link, s = client()
    m = fetch(s, "/3303/1/5700", "/1001/0/2", "/1001/0/1", "/3/0/14")
    assert m.code == 0x45 and m.opt(FORMAT) == SENML_JSON and m.opt(OBSERVE) is None
    assert told(m) == {
        B: 30.0,
        "/1001/0/2/0": 5,
        "/1001/0/2/3": 6,
        "/1001/0/1": "text",
        "/3/0/14": "+00:00",
    }
    assert told(fetch(s, "/3303")) == {A: 20.0, B: 30.0}
    assert told(fetch(s, "/3303/0", "/1001/0/2/3")) == {A: 20.0, "/1001/0/2/3": 6}


def test_paths_that_include_others_are_told_once():
    link, s = client()
    assert told(fetch(s, "/3303/0/5700", "/3303", "/3303/0", A)) == {A: 20.0, B: 30.0}
    assert told(fetch(s, "/1001/0/2/3", "/1001/0/2", "/1001/0/2/0")) == {
        "/1001/0/2/0": 5,
        "/1001/0/2/3": 6,
    }
    everything = told(whole(s, "/", "/3303/0/5700", "/3"))
    assert everything[A] == 20.0


def test_root_path_leaves_object_0_out():
    link, s = client()
    m = told(whole(s, "/"))
    assert (
        m[A] == 20.0
        and m["/1/0/1"] == 86400
        and m["/3/0/14"] == "+00:00"
        and m["/1001/0/4"] == "fixed"
    )
    assert not [p for p in m if p.startswith("/0")]


def test_partial_presence():
    link, s = client()
    m = fetch(
        s,
        A,
        "/3303/7",
        "/3303/0/5701",
        "/4711/0/1",
        "/0/0/0",
        "/1001/0/3",
        "/1001/0/2/9",
        "/1001/0/1/0",
    )
    assert m.code == 0x45 and told(m) == {A: 20.0}
    assert fetch(s, "/3303/7", "/0/0/0", "/1001/0/3").code == 0x84
    link.client.delete("/3303/0")
    link.client.delete("/3303/1")
    # an object that is there may have no instances
    assert told(fetch(s, "/3303")) == {}


def test_formats_of_request_and_answer():
    link, s = client()
    body = b"\x81\xa1\x00l" + A.encode()
    for ct in (SENML_CBOR, 322):
        m = s.request(FETCH, "/", [(FORMAT, ct)], body)
        assert m.code == 0x45 and m.opt(FORMAT) == SENML_CBOR
        assert m.payload == b"\x99\x00\x01\xa3\x21h/3303/0/\x00d5700\x02\xfa\x41\xa0\x00\x00", (
            m.payload
        )
    m = s.request(FETCH, "/", [(FORMAT, SENML_CBOR), (ACCEPT, SENML_JSON)], body)
    assert m.opt(FORMAT) == SENML_JSON and told(m) == {A: 20.0}
    m = fetch(s, A, opts=[(ACCEPT, LWM2M_CBOR)])
    assert m.payload == b"\xbf\x19\x0c\xe7\xbf\x00\xbf\x19\x16\x44\xfa\x41\xa0\x00\x00\xff\xff\xff"
    m = s.request(FETCH, "/", [(FORMAT, LWM2M_CBOR)], b"\xa1\x83\x19\x0c\xe7\x00\x19\x16\x44\xf6")
    assert m.opt(FORMAT) == LWM2M_CBOR and len(m.payload) == 18
    for accept in (TLV, TEXT, 99, LINK):
        assert fetch(s, A, opts=[(ACCEPT, accept)]).code == 0x86
    for ct in (TLV, TEXT, 60, 99, 40):
        assert s.request(FETCH, "/", [(FORMAT, ct)], body).code == 0x8F
        assert s.request(IPATCH, "/", [(FORMAT, ct)], body).code == 0x8F
    assert s.request(FETCH, "/", [], body).code == 0x8F


def test_refused_requests():
    link, s = client()
    for payload in (
        b"",
        b"[",
        b"[]",
        b"{}",
        b'[{"n":"/x"}]',
        b'[{"n":""}]',
        b'[{"n":"/3/0/0/0/0"}]',
        b'["/3"]',
        b"[3]",
    ):
        assert s.request(FETCH, "/", [(FORMAT, SENML_JSON)], payload).code == 0x80, payload
    assert fetch(s, *["/3/0/%d" % k for k in range(33)]).code == 0x8D
    assert s.request(FETCH, "/3", [(FORMAT, SENML_JSON)], b'[{"n":"/3"}]').code == 0x85
    assert s.request(FETCH, "/bs", [(FORMAT, SENML_JSON)], b'[{"n":"/3"}]').code == 0x84
    link, s = client(version="1.0")
    assert fetch(s, A).code == 0x85


def test_answer_in_blocks():
    link, s = client(max_message_size=200, szx=2)
    m = fetch(s, "/")
    body = m.payload
    assert m.opt(BLOCK2) & 15 == 10
    tag = m.all(ETAG)
    num = 1
    while m.opt(BLOCK2) & 8:
        if num == 2:
            # what changes in between is not mixed in
            link.client.set("/1001/0/1", "another text")
        m = fetch(s, "/", opts=[(BLOCK2, num << 4 | 2)])
        assert m.all(ETAG) == tag
        body += m.payload
        num += 1
    assert num > 3
    values = [x for x in json.loads(body) if x.get("vs") in ("text", "another text")]
    assert [x["vs"] for x in values] == ["text"]


def test_request_in_blocks():
    link, s = client()
    body = json.dumps([{"n": p} for p in ("/3/0/14", A, B)]).encode()
    opts = [(FORMAT, SENML_JSON)]
    num = 0
    while len(body) > 16:
        m = s.request(FETCH, "/", opts + [(BLOCK1, num << 4 | 8)], body[:16])
        assert m.code == 0x5F
        body = body[16:]
        num += 1
    m = s.request(FETCH, "/", opts + [(BLOCK1, num << 4)], body)
    assert m.code == 0x45 and len(told(m)) == 3 and m.opt(BLOCK1) == num << 4


def test_write():
    link, s = client()
    heard = []
    link.client.on_write("/1001/0/1", lambda path, v: heard.append((path, v)))
    m = ipatch(
        s,
        {"n": "/1001/0/1", "vs": "new"},
        {"n": "/1/0/1", "v": 5000},
        {"n": "/3/0/14", "vs": "+01:00"},
    )
    assert m.code == 0x44 and not m.payload
    c = link.client
    assert c.get("/1001/0/1") == "new" and c.get("/1/0/1") == 5000 and c.get("/3/0/14") == "+01:00"
    assert heard == [("/1001/0/1", "new")]
    # instances of a resource: those that are not named stay
    assert (
        ipatch(
            s, {"bn": "/1001/0/", "n": "2/3", "v": 7}, {"n": "1", "vs": "x"}, {"n": "2/4", "v": 8}
        ).code
        == 0x44
    )
    assert c.get("/1001/0/2") == {0: 5, 3: 7, 4: 8} and c.get("/1001/0/1") == "x"
    m = s.request(IPATCH, "/", [(FORMAT, 322)], b"\x81\xa2\x00i/1001/0/1\x03ay")
    assert m.code == 0x44 and c.get("/1001/0/1") == "y"
    m = s.request(
        IPATCH, "/", [(FORMAT, LWM2M_CBOR)], b"\xa1\x19\x03\xe9\xa1\x00\xa2\x01az\x02\xa1\x00\x09"
    )
    assert m.code == 0x44 and c.get("/1001/0/1") == "z" and c.get("/1001/0/2/0") == 9


def test_write_is_all_or_nothing():
    link, s = client()
    c = link.client
    good = {"n": "/3/0/14", "vs": "+09:00"}
    for record, code in (
        ({"n": "/1001/0/4", "vs": "x"}, 0x85),
        ({"n": "/1001/0/3", "vs": "x"}, 0x85),
        ({"n": "/1001/0/77", "vs": "x"}, 0x84),
        ({"n": "/1001/5/1", "vs": "x"}, 0x84),
        ({"n": "/4711/0/1", "vs": "x"}, 0x84),
        ({"n": "/0/0/0", "vs": "coap://x"}, 0x81),
        ({"n": "/1001/0/1", "v": 5}, 0x80),
        ({"n": "/1001/0/1"}, 0x80),
        ({"n": "/1001/0", "vs": "x"}, 0x80),
        ({"n": "/1001/0/2", "v": 5}, 0x80),
        ({"n": "/1001/0/1/0", "vs": "x"}, 0x80),
        ({"n": "/1001/0/1", "vs": "x", "new_": 1}, 0x80),
    ):
        for records in ((good, record), (record, good)):
            assert ipatch(s, *records).code == code, record
            assert c.get("/3/0/14") == "+00:00" and c.get("/1001/0/1") == "text", record
    c.validate("/1001/0/1", lambda path, v: False)
    assert ipatch(s, good, {"n": "/1001/0/1", "vs": "x"}).code == 0x80
    assert c.get("/3/0/14") == "+00:00"


def test_access():
    link, s = client()

    class Access:
        def allow(self, s, o, i, op):
            if o == 1001 or (o == 3303 and i == 1):
                raise CoapError(0x81)

    link.client.access = Access()
    assert told(fetch(s, "/3303", "/1001", "/3/0/14")) == {A: 20.0, "/3/0/14": "+00:00"}
    assert fetch(s, "/1001/0/1").code == 0x84
    assert ipatch(s, {"n": "/3/0/14", "vs": "+09:00"}, {"n": "/1001/0/1", "vs": "x"}).code == 0x81
    assert link.client.get("/3/0/14") == "+00:00"


def test_answer_that_comes_later():
    link, s = client()
    link.client.on_read("/1001/0/1", lambda path, v: LATER)
    token = s.ask(FETCH, "/", [(FORMAT, SENML_JSON)], b'[{"n":"/1001/0/1"},{"n":"/3303/0"}]')
    link.run(1)
    assert not [m for m in s.heard if m.token == token and m.code]
    link.client.answer("/1001/0/1", "at last")
    assert told(s.wait(token)) == {"/1001/0/1": "at last", A: 20.0}


def watch(s, *paths, **kw):
    for p in paths:
        if not kw.pop("as_is", False):
            assert s.attributes(p, "pmin=0").code == 0x44
    m = fetch(s, *paths, opts=[(OBSERVE, 0)])
    assert m.code == 0x45 and m.opt(OBSERVE) is not None
    return m


def test_observe():
    for confirmable in (True, False):
        link, s = client(confirmable=confirmable)
        m = watch(s, A, "/1001/0")
        assert len(told(m)) == 5
        seq = m.opt(OBSERVE)
        assert sorted([x[0] for x in link.client.observations()]) == ["/1001/0", A]
        for v in (21.0, 22.0):
            link.client.set(A, v)
            link.run(1)
            n = s.notes(m.token)[-1]
            assert n.typ == (CON if confirmable else NON) and n.opt(FORMAT) == SENML_JSON
            assert told(n)[A] == v and told(n)["/1001/0/1"] == "text" and len(told(n)) == 5
            assert n.opt(OBSERVE) > seq
            seq = n.opt(OBSERVE)
        assert len(s.notes(m.token)) == 2
        link.client.set(B, 1.0)
        link.run(50)
        assert len(s.notes(m.token)) == 2
        # two changes at once are told together
        with link.client.lock():
            link.client.set(A, 1.5)
            link.client.set("/1001/0/1", "x")
        link.run(1)
        assert len(s.notes(m.token)) == 3 and told(s.notes(m.token)[-1])["/1001/0/1"] == "x"


def test_cancel():
    for how in range(4):
        link, s = client(confirmable=how != 3)
        m = watch(s, A, "/1001/0")
        if how == 0:
            assert told(fetch(s, A, "/1001/0", opts=[(OBSERVE, 1)], token=m.token))[A] == 20.0
        elif how == 1:
            assert fetch(s, A, "/1001/0", opts=[(OBSERVE, 1)]).opt(OBSERVE) is None
        else:
            s.acks = False
            link.client.set(A, 3.0)
            link.run(0)
            s.raw(build(RST, 0, s.notes(m.token)[-1].mid))
        link.run(1)
        n = len(s.notes(m.token))
        link.client.set(A, 2.0)
        link.client.set("/1001/0/1", "x")
        link.run(50)
        assert len(s.notes(m.token)) == n, how
        assert not link.client.observations()


def test_observations_live_side_by_side():
    link, s = client()
    one = watch(s, A, "/1001/0")
    two = watch(s, A, B)
    single = s.observe(A, TEXT)
    link.client.set(A, 2.0)
    link.run(1)
    for m in (one, two, single):
        assert len(s.notes(m.token)) == 1
    fetch(s, A, B, opts=[(OBSERVE, 1)])
    link.client.set(A, 3.0)
    link.run(1)
    assert [len(s.notes(m.token)) for m in (one, two, single)] == [2, 1, 2]
    assert s.request(GET, A, [(OBSERVE, 1), (ACCEPT, TEXT)]).code == 0x45
    link.client.set(A, 4.0)
    link.run(1)
    assert [len(s.notes(m.token)) for m in (one, two, single)] == [3, 1, 2]
    # observed again with the token of before: the old one is replaced
    fetch(s, B, opts=[(OBSERVE, 0)], token=one.token)
    link.client.set(A, 5.0)
    link.run(1)
    assert len(s.notes(one.token)) == 3


def test_periods_are_the_smallest_of_the_paths():
    # one pmin and one pmax for all: the smallest that a path has, 0 not counting
    link, s = client()
    s.attributes(A, "pmin=10", "pmax=0")
    s.attributes(B, "pmin=2", "pmax=100")
    m = fetch(s, A, B, opts=[(OBSERVE, 0)])
    start = m.at

    def notes():
        return [n.at - start for n in s.notes(m.token)]

    link.client.set(A, 1.0)
    link.run(1)
    assert not notes()
    link.run(2)
    assert notes() == [2000]
    link.client.set(A, 2.0)
    link.client.set(B, 3.0)
    link.run(3)
    assert notes() == [2000, 4000]
    assert told(s.notes(m.token)[-1]) == {A: 2.0, B: 3.0}
    # nothing is left over of the change that went along
    link.run(90)
    assert len(notes()) == 2
    link.run(15)
    assert notes() == [2000, 4000, 104000]
    # attributes that come later hold too
    s.attributes(A, "pmax=20")
    link.run(60)
    assert len(notes()) >= 5


def test_conditions():
    link, s = client()
    s.attributes(A, "pmin=0", "gt=25")
    s.attributes(B, "pmin=0", "st=5")
    m = fetch(s, A, B, opts=[(OBSERVE, 0)])
    for path, v, n in (
        (A, 24.0, 0),
        (B, 33.0, 0),
        (A, 26.0, 1),
        (B, 36.0, 1),
        (B, 38.5, 2),
        (A, 27.0, 2),
        (A, 1.0, 3),
    ):
        link.client.set(path, v)
        link.run(1)
        assert len(s.notes(m.token)) == n, (path, v, s.notes(m.token))


def test_conditions_on_what_is_gone():
    link, s = client()
    s.attributes(A, "pmin=0", "gt=25")
    m = fetch(s, A, B, opts=[(OBSERVE, 0)])
    link.client.delete("/3303/0")
    link.run(1)
    assert told(s.notes(m.token)[-1]) == {B: 30.0}
    m = fetch(s, A, B, opts=[(OBSERVE, 0)])
    assert m.code == 0x45 and m.opt(OBSERVE) is not None
    link.client.create("/3303/0")
    link.client.set(A, 30.0)
    link.run(1)
    assert told(s.notes(m.token)[-1]) == {A: 30.0, B: 30.0}


def test_attributes_of_the_request():
    link, s = client(version="1.2")
    m = fetch(s, A, B, opts=[(OBSERVE, 0), (QUERY, "pmin=7")])
    assert m.opt(OBSERVE) is not None
    link.client.set(A, 1.0)
    link.run(20)
    assert [n.at - m.at for n in s.notes(m.token)] == [7000]
    assert fetch(s, A, opts=[(OBSERVE, 0), (QUERY, "pmin=x")]).code == 0x80


def test_create_and_delete_under_an_observation():
    link, s = client()
    m = watch(s, "/3303", "/1001/0/1")
    link.client.create("/3303/2")
    link.client.set("/3303/2/5700", 7.0)
    link.run(1)
    assert told(s.notes(m.token)[-1])["/3303/2/5700"] == 7.0
    for path in ("/3303/0", "/3303/1", "/3303/2"):
        n = len(s.notes(m.token))
        link.client.delete(path)
        link.run(1)
        assert len(s.notes(m.token)) == n + 1
        assert path + "/5700" not in told(s.notes(m.token)[-1])
    assert told(s.notes(m.token)[-1]) == {"/1001/0/1": "text"}
    link.client.delete("/1001/0")
    link.run(1)
    assert s.notes(m.token)[-1].code == 0x45 and told(s.notes(m.token)[-1]) == {}


def test_deleted_instance_among_the_paths():
    link, s = client()
    m = watch(s, A, B)
    link.client.delete("/3303/0")
    link.run(1)
    assert told(s.notes(m.token)[-1]) == {B: 30.0}
    link.client.set(B, 31.0)
    link.run(1)
    assert told(s.notes(m.token)[-1]) == {B: 31.0}
    link.client.create("/3303/0")
    link.client.set(A, 1.0)
    link.run(1)
    assert told(s.notes(m.token)[-1]) == {A: 1.0, B: 31.0}


def test_root_observed():
    link, s = client(max_message_size=1200, szx=6)
    assert s.attributes("/3303", "pmin=0").code == 0x44
    m = fetch(s, "/", opts=[(OBSERVE, 0)])
    assert m.opt(OBSERVE) is not None
    link.run(1)
    n = len(s.notes(m.token))
    link.client.set(A, 5.0)
    link.run(1)
    assert len(s.notes(m.token)) == n + 1 and told(s.notes(m.token)[-1])[A] == 5.0


def test_number_is_bounded():
    link, s = client()
    tokens = []
    for k in range(12):
        m = fetch(s, A, "/3/0/%d" % k, opts=[(OBSERVE, 0)])
        assert m.code == 0x45
        if m.opt(OBSERVE) is not None:
            tokens.append(m.token)
    assert len(tokens) == 8
    fetch(s, A, "/3/0/0", opts=[(OBSERVE, 1)])
    assert fetch(s, B, opts=[(OBSERVE, 0)]).opt(OBSERVE) is not None


def test_gone_with_the_registration():
    link, s = client()
    m = watch(s, A)
    s.reply = lambda q: (0x84, (), b"") if q.path() == "/rd/7" else s.accept(q)
    link.client.update()
    link.until("REGISTRATION_COMPLETE")
    link.client.set(A, 5.0)
    link.run(10)
    assert not s.notes(m.token)


def test_cached_values_are_told_with_their_times():
    link, s = client()
    lwm2m_port.seconds = 1700000000
    link.client.cache(A, 5)
    m = watch(s, A, "/1001/0/1")
    with link.client.lock():
        for v in (1.0, 2.0):
            link.client.set(A, v)
            lwm2m_port.seconds += 10
    link.run(1)
    times = [(x.get("t"), x.get("v")) for x in json.loads(s.notes(m.token)[-1].payload)]
    assert times == [(None, None), (1700000000, 1.0), (1700000010, 2.0)]
    assert not series(link.client, A)
    link.client.set("/1001/0/1", "x")
    link.run(1)
    assert told(s.notes(m.token)[-1]) == {A: 2.0, "/1001/0/1": "x"}


def test_longer_notification_in_blocks():
    link, s = client(max_message_size=200, szx=2)
    s.attributes("/3303", "pmin=0")
    m = fetch(s, "/", opts=[(OBSERVE, 0)])
    link.client.set(A, 5.0)
    link.run(1)
    n = s.notes(m.token)[-1]
    body = n.payload
    num = 1
    assert n.opt(BLOCK2) & 8
    while n.opt(BLOCK2) & 8:
        n = fetch(s, "/", opts=[(BLOCK2, num << 4 | 2)])
        body += n.payload
        num += 1
    assert [x for x in json.loads(body) if x.get("v") == 5.0]


def test_later_blocks_are_asked_for_without_the_payload():
    link, s = client()
    link.client.set("/1001/0/1", "long " * 200)
    m = fetch(s, "/1001/0", B)
    want = whole(s, "/1001/0", B).payload
    body = m.payload
    num = 0
    while m.opt(BLOCK2) & 8:
        num += 1
        m = s.request(FETCH, "/", [(FORMAT, SENML_JSON), (BLOCK2, num << 4 | 5)])
        assert m.code == 0x45, m
        body += m.payload
    assert num and body == want
    # another server has asked for nothing
    link, s = client()
    assert s.request(FETCH, "/", [(FORMAT, SENML_JSON), (BLOCK2, 1 << 4 | 5)]).code == 0x80
    assert s.request(FETCH, "/", [(FORMAT, SENML_JSON)]).code == 0x80


# object 1005, where everything begins at 0: 0 may only be written, 1 has instances, 2 a number
SECRET = table(1005, [(0, 2, 2), (1, 11, 2), (2, 3, 2)])


def test_ids_that_are_zero():
    link, s = client()
    c = link.client
    c.objects(SECRET)
    c.create("/1005/0")
    for path, v in (("/1005/0/0", 42), ("/1005/0/1", {0: 7, 2: 8}), ("/1005/0/2", 9)):
        c.set(path, v)
    rest = {"/1005/0/1/0": 7, "/1005/0/1/2": 8, "/1005/0/2": 9}
    # what may only be written is left out, alone and with the rest
    assert fetch(s, "/1005/0/0").code == 0x84
    assert told(fetch(s, "/1005/0/0", "/1005/0/2")) == {"/1005/0/2": 9}
    for path in ("/1005", "/1005/0"):
        assert told(fetch(s, path)) == rest, path
    # one instance of a resource, the first
    assert told(fetch(s, "/1005/0/1/0")) == {"/1005/0/1/0": 7}
    assert fetch(s, "/1005/0/1/1").code == fetch(s, "/1005/0/2/0").code == 0x84
    # it is written beside the others, and keeps them
    assert ipatch(s, {"n": "/1005/0/1/0", "v": 1}).code == 0x44
    assert c.get("/1005/0/1") == {0: 1, 2: 8}
    assert ipatch(s, {"n": "/1005/0/1/3", "v": 2}, {"n": "/1005/0/1/0", "v": 3}).code == 0x44
    assert c.get("/1005/0/1") == {0: 3, 2: 8, 3: 2}
    assert ipatch(s, {"n": "/1005/0/0", "v": 43}, {"n": "/1005/0/2", "v": 10}).code == 0x44
    assert c.get("/1005/0/0") == 43 and c.get("/1005/0/2") == 10
    # and observed
    m = watch(s, "/1005/0/1/0", as_is=True)
    c.set("/1005/0/1", {0: 4, 2: 8})
    link.run(1)
    assert told(s.notes(m.token)[-1]) == {"/1005/0/1/0": 4}
    n = len(s.notes(m.token))
    c.set("/1005/0/1", {0: 4, 2: 9})
    link.run(1)
    assert len(s.notes(m.token)) == n
    # nothing of object 0, not even by its first instance and resource
    for path in ("/0", "/0/0", "/0/0/0"):
        assert fetch(s, path).code == 0x84 and fetch(s, path, "/1005/0/2").code == 0x45
        assert ipatch(s, {"n": "/0/0/0", "vs": "coap://other"}).code == 0x81


def test_what_a_composite_write_may_not_name():
    link, s = client()
    before = everything(link.client)
    for records, code in (
        (({"n": "/3303/0", "v": 1},), 0x80),
        (({"n": "/3303", "v": 1},), 0x80),
        (({"n": "/3303/9/5700", "v": 1},), 0x84),
        (({"n": "/999/0/0", "v": 1},), 0x84),
        (({"n": "/1001/0/99", "v": 1},), 0x84),
        (({"n": "/1001/0/4", "vs": "x"},), 0x85),
        (({"n": "/1001/0/2", "v": 1},), 0x80),
        (({"n": "/1001/0/1/0", "vs": "x"},), 0x80),
        (({"n": "/1001/0/1"},), 0x80),
        (({"n": "/1001/0/1", "vs": "new"}, {"n": "/1001/0/4", "vs": "x"}), 0x85),
    ):
        assert ipatch(s, *records).code == code, records
        assert everything(link.client) == before, records


def test_object_0_is_not_observed_either():
    link, s = client()
    m = watch(s, "/0", A, as_is=True)
    assert sorted([x[0] for x in link.client.observations() if x[0] != "/0"]) == [A]
    link.client.set("/1001/0/1", "another")
    link.client.set("/3/0/14", "+05:00")
    link.run(5)
    assert s.notes(m.token) == []
    link.client.set(A, 1.0)
    link.run(5)
    assert len(s.notes(m.token)) == 1 and list(told(s.notes(m.token)[0])) == [A]


def test_an_instance_of_a_single_resource_is_left_out():
    link, s = client()
    for path in ("/3303/0/5701/0", "/3/0/14/0", A + "/0"):
        m = watch(s, path, B, as_is=True)
        assert told(m) == {B: 30.0}, path
        for v in ("x", "y"):
            link.client.set("/3303/0/5701", v)
            link.client.set("/3/0/14", v)
            link.client.set(A, float(len(s.heard)))
            link.run(2)
        n = len(s.notes(m.token))
        link.client.set(B, 31.0)
        link.run(2)
        assert len(s.notes(m.token)) == n + 1 and told(s.notes(m.token)[-1]) == {B: 31.0}
        assert s.request(GET, "/3/0/0", [(OBSERVE, 1)], token=m.token).code == 0x45
        link.client.set(B, 30.0)


def test_names_begin_with_the_alternate_path():
    # Transport 1.2 6.4.1: in reads, composite operations, notifications and Sends
    for root in ("lwm2m", 'a/long path/with "quotes" in it'):
        link, s = client(alternate_path=root)
        c = link.client
        at = [(URI_PATH, x) for x in root.split("/")]
        base = "/%s/3303/0/" % root
        for ct in (SENML_JSON, SENML_CBOR):
            m = s.request(GET, at + segments("/3303/0"), [(ACCEPT, ct)])
            assert m.code == 0x45, m
            if ct == SENML_JSON:
                assert json.loads(m.payload)[0]["bn"] == base, m.payload
            else:
                # the base name is the first thing in the first record, its length in front
                text = base.encode()
                n = len(text)
                head = bytes((0x60 | n,)) if n < 24 else bytes((0x78, n))
                assert m.payload.find(b"\x21" + head + text) == 4, m.payload
            # what was read can be written
            assert s.request(PUT, at + segments("/3303/0"), [(FORMAT, ct)], m.payload).code in (
                0x44,
                0x85,
            )
        names = [{"n": base + "5700"}, {"n": "/%s/3/0/14" % root}]
        m = s.request(FETCH, at, [(FORMAT, SENML_JSON)], json.dumps(names).encode())
        assert [x["bn"] for x in json.loads(m.payload)] == ["/%s/3/0/" % root, base], m.payload
        records = [{"n": "/%s/3/0/14" % root, "vs": "+03:00"}]
        m = s.request(IPATCH, at, [(FORMAT, SENML_JSON)], json.dumps(records).encode())
        assert m.code == 0x44 and c.get("/3/0/14") == "+03:00"
        # all that there is
        names = [{"n": "/" + root}]
        m = s.request(FETCH, at, [(FORMAT, SENML_JSON)], json.dumps(names).encode())
        assert m.code == 0x45 and b'/1/0/"' in m.payload, m
        # another one is none
        for other in ("/lwm2mx/3/0/14", "/x/lwm2m/3/0/14"):
            names = [{"n": other}]
            m = s.request(FETCH, at, [(FORMAT, SENML_JSON)], json.dumps(names).encode())
            assert m.code == 0x80, other
        s.reply = lambda m: (0x44, (), b"") if m.path() == "/dp" else s.accept(m)
        c.default_format = SENML_JSON
        assert c.send("/3303/0/5700") == 1
        link.run(1)
        (sent,) = [m for m in s.requests if m.path() == "/dp"]
        assert json.loads(sent.payload)[0]["bn"] == base


def test_the_right_comes_before_the_function():
    # a function may do something when it is asked
    link, s = client()
    calls = []

    class Access:
        def allow(self, s, oid, iid, right):
            if oid == 1001:
                raise CoapError(0x81)

    def read(path, value):
        calls.append(path)
        return "secret"

    link.client.access = Access()
    link.client.on_read("/1001/0/1", read)
    for paths in (("/1001/0/1",), ("/1001/0",), ("/1001",), ("/1001/0/1", "/3/0/14"), ("/",)):
        m = fetch(s, *paths)
        assert b"secret" not in m.payload and calls == [], (paths, calls)
    assert s.get("/1001/0/1", TEXT).code == s.put("/1001/0/1", b"x").code == 0x81 and calls == []


def test_discover_asks_no_function_without_the_right_to_read():
    # Discover needs no right, but how many instances a resource has is for who may read it
    link, s = client()
    refused = [0]
    calls = []

    class Access:
        def allow(self, s, oid, iid, right):
            if oid == 3 and right & refused[0]:
                raise CoapError(0x81)

    def read(path, value):
        calls.append(path)
        return {0: 1, 1: 5}

    link.client.access = Access()
    link.client.on_read("/3/0/6", read)
    assert b"</3/0/6>;dim=2" in s.get("/3/0", LINK).payload and calls
    del calls[:]
    refused[0] = 1
    m = s.get("/3/0", LINK)
    assert m.code == 0x45 and b"</3/0/6>,</3/0/10>,</3/0/11>," in m.payload, m
    assert s.get("/3/0/6", LINK).payload == b"</3/0/6>" and calls == []
