# Send (Core 1.1.1 6.4.6): what goes to which servers, when, and what its outcome is
# SPDX-License-Identifier: MIT

import lwm2m_port
from link import *
from lwm2m.model.tables.ipso import TABLE as IPSO
from lwm2m import LATER

SENML_JSON, SENML_CBOR, LWM2M_CBOR = 110, 112, 11544
A = "/3303/0/5700"


def client(**options):
    options.setdefault("version", "1.1")
    options.setdefault("default_format", SENML_JSON)
    link = Link(**options)
    c = link.client
    c.objects(IPSO)
    c.create("/3303/0")
    c.set(A, 20.0)
    c.set("/3303/0/5701", "Cel")
    link.run(20)
    link.server.reply = answer(link.server)
    return link, link.server


def answer(s, code=0x44):
    return lambda m: (code, (), b"") if m.path() == "/dp" else s.accept(m)


def sent(s):
    return [m for m in s.requests if m.path() == "/dp"]


def test_one_and_several_paths():
    link, s = client()
    codes = []
    assert link.client.send(A, codes.append) == 1
    assert not sent(s)
    link.run(1)
    (m,) = sent(s)
    assert m.code == POST and m.typ == CON and m.opt(FORMAT) == SENML_JSON and not m.query()
    assert json.loads(m.payload) == [{"bn": "/3303/0/", "n": "5700", "v": 20.0}]
    assert codes == [0x44]
    link.client.send(["/3/0/14", "/3303"])
    link.run(1)
    assert [x["n"] for x in json.loads(sent(s)[1].payload)] == ["14", "5700", "5701"]


def test_formats():
    for options, ct in (
        ({"default_format": TLV}, SENML_CBOR),
        ({"default_format": LWM2M_CBOR}, LWM2M_CBOR),
    ):
        link, s = client(**options)
        link.client.send(A)
        link.run(1)
        assert sent(s)[0].opt(FORMAT) == ct


def test_value_is_that_of_the_moment_of_sending():
    link, s = client()
    link.client.send(A)
    link.client.set(A, 21.0)
    link.run(1)
    assert b"21.0" in sent(s)[0].payload


def test_nothing_to_send():
    link, s = client()
    for paths in (
        "/0/0/0",
        "/0",
        [A, "/0/0"],
        "/3303/1",
        "/4711",
        "/3303/0/5601",
        "/3/0/4",
        [],
        "x",
    ):
        assert raises(ValueError, link.client.send, paths), paths
    link.run(10)
    assert not sent(s)


def test_muted_and_old_servers_hear_nothing():
    link, s = client()
    link.client.set("/1/0/23", True)
    assert link.client.send(A) == 0
    link.client.set("/1/0/23", False)
    assert link.client.send(A) == 1
    link.run(1)
    assert len(sent(s)) == 1
    link, s = client(version="1.0")
    assert link.client.send(A) == 0
    link = Link(start=False, version="1.1")
    assert link.client.send("/3/0/14") == 0


def test_several_servers():
    link, s = client()
    other = link.peer("other")
    link.account(2, "coap://other", 102)
    link.client.stop()
    link.run(1)
    link.client.start()
    link.run(1)
    other.reply = answer(other, 0x84)
    codes = []
    assert link.client.send(A, codes.append) == 2
    link.run(1)
    assert len(sent(s)) == 1 and len(sent(other)) == 1
    assert sorted(codes) == [0x44, 0x84]


def test_queue_is_bounded_and_in_order():
    link, s = client()
    codes = []
    for k in range(4):
        link.client.send("/3303/0/570%d" % (k & 1), codes.append)
    assert raises(ValueError, link.client.send, A)
    link.run(1)
    assert [json.loads(m.payload)[0]["n"] for m in sent(s)] == ["5700", "5701"] * 2
    assert codes == [0x44] * 4
    assert link.client.send(A) == 1


def test_outcomes():
    link, s = client(ack_timeout=1000, max_retransmit=1)
    codes = []
    s.reply = answer(s, 0x84)
    link.client.send(A, codes.append)
    link.run(1)
    assert codes == [0x84]
    s.reply = lambda m: build(RST, 0, m.mid) if m.path() == "/dp" else s.accept(m)
    link.client.send(A, codes.append)
    link.run(1)
    assert codes == [0x84, -1]
    s.reply = lambda m: None if m.path() == "/dp" else s.accept(m)
    link.client.send(A, codes.append)
    n = len(s.requests)
    link.run(20)
    assert codes == [0x84, -1, -2]
    # an update finds out whether the server is still there
    assert [m.path() for m in s.requests[n:]] == ["/dp", "/rd/7"]


def test_an_outcome_that_nobody_can_take():
    link, s = client()

    def broken(code):
        raise RuntimeError("mine")

    codes = []
    link.client.send(A, broken)
    link.client.send(A, codes.append)
    link.run(1)
    assert len(sent(s)) == 2 and codes == [0x44] and link.client.stat() == 2
    assert printed() == [RuntimeError]


def test_one_that_is_under_way_goes_again_after_a_new_registration():
    link, s = client()
    codes = []
    s.reply = lambda m: None if m.path() == "/dp" else s.accept(m)
    link.client.send(A, codes.append)
    link.run(1)
    assert len(sent(s)) == 1
    s.reply = answer(s)
    reconnect(link.client)
    link.run(5)
    assert len(sent(s)) == 2 and codes == [0x44]
    assert not counts(link.client)["snapshots"]


def test_long_one_goes_in_blocks_and_stays_the_same():
    link, s = client(szx=2)
    got = bytearray()
    count = [0]

    def count_up(path, v):
        count[0] += 1
        return float(count[0])

    link.client.on_read("/3303/0/5601", count_up)

    def reply(m):
        if m.path() != "/dp":
            return s.accept(m)
        b = m.opt(BLOCK1)
        got.extend(m.payload)
        link.client.set(A, 99.0)
        return (0x5F if b & 8 else 0x44), [(BLOCK1, b)], b""

    s.reply = reply
    codes = []
    link.client.send(["/3303", "/3/0"], codes.append)
    link.run(2)
    assert codes == [0x44] and len(got) > 200
    v = {x["n"]: x for x in json.loads(bytes(got))}
    assert v["5700"]["v"] == 20.0 and v["14"]["vs"] == "+00:00"
    assert not counts(link.client)["snapshots"]


def test_read_function_that_refuses():
    link, s = client()
    link.client.on_read(A, lambda path, v: LATER)
    assert refused(link.client.send, A) == 0
    good = [True]

    def once(path, v):
        return 5.0 if good.pop() else LATER

    good[:] = [False, True]
    link.client.on_read(A, once)
    codes = []
    link.client.send(A, codes.append)
    link.run(1)
    assert codes == [0] and not sent(s)
    link.client.on_read(A, None)
    assert link.client.send(A, codes.append) == 1
    link.run(1)
    assert codes == [0, 0x44]


def test_cached_values_leave_when_they_are_taken():
    link, s = client()
    lwm2m_port.seconds = 1700000000
    link.client.cache(A, 5)
    for v in (1.0, 2.0, 3.0):
        link.client.set(A, v)
        lwm2m_port.seconds += 10
    s.reply = answer(s, 0x84)
    link.client.send(A)
    link.run(1)
    s.reply = answer(s)
    link.client.send(A)
    link.run(1)
    a, b = [json.loads(m.payload) for m in sent(s)]
    assert a == b and [(x["t"], x["v"]) for x in a] == [
        (1700000000, 1.0),
        (1700000010, 2.0),
        (1700000020, 3.0),
    ]
    link.client.send(A)
    link.run(1)
    assert json.loads(sent(s)[2].payload) == [{"bn": "/3303/0/", "n": "5700", "v": 3.0}]


def test_version_and_formats_of_the_registration():
    link = Link(version=None)
    m = link.server.requests[0]
    assert "lwm2m=1.2" in m.query()
    assert b'</>;rt="oma.lwm2m";ct="60 110 112 11542 11543 11544",' in m.payload
    link = Link(version="1.0")
    m = link.server.requests[0]
    assert "lwm2m=1.0" in m.query() and b"ct=" not in m.payload and b"</>" not in m.payload
    link = Link(version=None, root="lwm2m")
    assert b'</lwm2m>;rt="oma.lwm2m";ct="' in link.server.requests[0].payload


def test_registration_falls_back():
    for code in (0x8C, 0x80):
        link = Link(version=None, start=False)
        s = link.server
        s.reply = lambda m: (
            s.accept(m) if "lwm2m=1.0" in m.query() or m.path() != "/rd" else (code, (), b"")
        )
        link.client.start()
        link.until("REGISTRATION_COMPLETE")
        tried = [q for m in s.requests for q in m.query() if q.startswith("lwm2m=")]
        assert tried == ["lwm2m=1.2", "lwm2m=1.1", "lwm2m=1.0"]
        assert "REGISTRATION_FAILURE" not in link.names()
        assert b";ver=" not in s.requests[-1].payload and b"ct=" not in s.requests[-1].payload
