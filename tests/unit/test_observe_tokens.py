# Which observation a request means, what it is answered with, and which changes are told (RFC 7641 3.6; RFC 7959 2.6)
# SPDX-License-Identifier: MIT
from codec import table
from link import *
from lwm2m.model.tables.ipso import TABLE as IPSO
from test_composite import fetch, told

SENML_JSON = 110
T = "/3303/0/5700"
U = "/3303/1/5700"
# object 1001: 0 a number that may only be written, 1 a text, 2 several numbers
OWN = table(1001, [(0, 2, 2), (1, 3, 1), (2, 11, 2)])


def client(**options):
    options.setdefault("version", "1.1")
    link = Link(**options)
    c = link.client
    c.objects(IPSO)
    c.objects(OWN)
    for path in ("/3303/0", "/3303/1", "/1001/0"):
        c.create(path)
    c.set(T, 20.0)
    c.set(U, 30.0)
    c.set("/1001/0/0", 1)
    c.set("/1001/0/1", "text")
    c.set("/1001/0/2", {0: 5, 3: 50})
    link.run(20)
    return link, link.server


def told_after(link, token, path, value):
    """The notifications that a new value causes."""
    n = len(link.server.heard)
    link.client.set(path, value)
    link.run(2)
    return link.server.notes(token, n)


def test_a_cancellation_means_its_token():
    # two observations of one path: the one whose token it is ends
    link, s = client()
    first = s.observe(T, TEXT, token=b"one").token
    second = s.observe(T, TEXT, token=b"two").token
    assert len(link.client.observations()) == 2
    s.request(GET, T, [(OBSERVE, 1)], token=second)
    assert told_after(link, first, T, 21.0) and not told_after(link, second, T, 22.0)
    # another token means the path
    s.request(GET, T, [(OBSERVE, 1)], token=b"three")
    assert link.client.observations() == []


def test_a_token_that_is_used_again():
    # it stands for the last thing that was observed by it, be it composite or not
    link, s = client()
    token = fetch(s, T, U, opts=[(OBSERVE, 0)], token=b"mine").token
    assert s.observe("/1001/0/1", TEXT, token=token).opt(OBSERVE) is not None
    assert [x[0] for x in link.client.observations()] == ["/1001/0/1"]
    assert not told_after(link, token, T, 25.0)
    assert fetch(s, T, opts=[(OBSERVE, 0)], token=token).opt(OBSERVE) is not None
    assert [x[0] for x in link.client.observations()] == [T]
    assert not told_after(link, token, "/1001/0/1", "other")


def test_notifications_in_the_blocks_that_the_request_asked_for():
    link, s = client()
    m = s.observe("/3303", SENML_JSON, token=b"small")
    assert m.opt(BLOCK2) is None
    # 64 bytes a block: so do the notifications come
    m = s.request(GET, "/3303", [(OBSERVE, 0), (ACCEPT, SENML_JSON), (BLOCK2, 2)], token=b"small")
    assert m.opt(BLOCK2) & 7 == 2 and len(m.payload) == 64
    (note,) = told_after(link, m.token, T, 23.0)
    assert note.opt(BLOCK2) & 7 == 2 and note.opt(BLOCK2) & 8 and len(note.payload) == 64
    body = note.payload
    number = 0
    while note.opt(BLOCK2) & 8:
        number += 1
        note = s.request(GET, "/3303", [(ACCEPT, SENML_JSON), (BLOCK2, number << 4 | 2)])
        body += note.payload
    assert b"23.0" in body and body.endswith(b"]")


def test_what_may_only_be_written_is_not_told():
    link, s = client()
    token = s.observe("/1001/0", TLV).token
    assert not told_after(link, token, "/1001/0/0", 2)
    assert s.put("/1001/0/0", b"3").code == 0x44
    link.run(2)
    assert not s.notes(token)
    assert told_after(link, token, "/1001/0/1", "new")


def test_attributes_of_the_request_stand_for_all_that_are_attached():
    # Core 1.2.2 6.4.1
    link, s = client(version="1.2")
    s.attributes(T, "pmin=60", "gt=100")
    m = s.request(GET, T, [(OBSERVE, 0), (ACCEPT, TEXT), (QUERY, "st=0.5")])
    assert m.opt(OBSERVE) is not None
    assert [n.payload for n in told_after(link, m.token, T, 21.0)] == [b"21.0"]
    assert not told_after(link, m.token, T, 21.25)
    # a request of its own without any is under those that are attached
    n = s.observe(T, TEXT)
    assert not told_after(link, n.token, T, 50.0)
    for query in ("st=-1", "pmin=x", "gt=1&lt=2"):
        bad = [(OBSERVE, 0), (ACCEPT, TEXT)] + [(QUERY, q) for q in query.split("&")]
        assert s.request(GET, T, bad).code == 0x80, query


def test_con_of_any_path_makes_a_composite_one_confirmable():
    link, s = client(version="1.2", confirmable=False)
    m = fetch(s, T, U, opts=[(OBSERVE, 0)])
    assert told_after(link, m.token, T, 21.0)[-1].typ == NON
    s.attributes(U, "con=1")
    assert told_after(link, m.token, T, 22.0)[-1].typ == CON
    s.attributes(U, "con=0")
    assert told_after(link, m.token, T, 23.0)[-1].typ == NON


def test_conditions_hold_for_each_instance_of_a_resource():
    link, s = client()
    path = "/1001/0/2"
    for attributes, steps in (
        # each step: values, and whether one of them is told
        (("gt=10",), (({0: 6, 3: 50}, False), ({0: 11, 3: 50}, True), ({0: 12, 3: 60}, False))),
        (("lt=3",), (({0: 4, 3: 40}, False), ({0: 4, 3: 2}, True), ({0: 4, 3: 1}, False))),
        (("st=5",), (({0: 8, 3: 4}, False), ({0: 8, 3: 6}, True), ({0: 13, 3: 6}, True))),
        # one that comes, one that goes
        (
            ("gt=1000",),
            (({0: 14, 3: 7, 9: 1}, True), ({0: 14, 9: 1}, True), ({0: 15, 9: 2}, False)),
        ),
    ):
        s.attributes(path, "pmin=0", "gt", "lt", "st")
        assert s.attributes(path, "pmin=0", *attributes).code == 0x44
        token = s.observe(path, TLV).token
        for values, is_told in steps:
            assert bool(told_after(link, token, path, values)) == is_told, (attributes, values)
        s.request(GET, path, [(OBSERVE, 1)], token=token)


def test_numbers_that_are_too_large_are_refused():
    link, s = client(version="1.2")
    for query in (
        "gt=" + "9" * 200 + "0" * 200,
        "lt=-" + "9" * 400,
        "st=" + "9" * 309,
        "gt=.",
        "gt=-",
        "pmin=",
    ):
        m = s.request(PUT, T, [(QUERY, query)])
        assert m.code in (0x80, 0x82), (query, m)
    assert s.get("/3303/0", LINK).code == 0x45


def test_later_blocks_belong_to_their_observation():
    # a FETCH without payload asks for more of the notification, whatever was fetched in between
    link, s = client()
    link.client.set("/1001/0/1", "long " * 200)
    m = fetch(s, "/1001/0", T, opts=[(OBSERVE, 0)], token=b"watch")
    (note,) = told_after(link, m.token, T, 24.0)
    assert note.opt(BLOCK2) & 8
    body = note.payload
    number = 0
    while note.opt(BLOCK2) & 8:
        number += 1
        assert told(fetch(s, U)) == {U: 30.0}
        note = s.request(FETCH, "/", [(FORMAT, SENML_JSON), (BLOCK2, number << 4 | 5)])
        assert note.code == 0x45, note
        body += note.payload
    assert json.loads(body)[-1]["v"] == 24.0
    # the same block once more, as after a loss
    again = s.request(FETCH, "/", [(FORMAT, SENML_JSON), (BLOCK2, number << 4 | 5)])
    assert again.payload == note.payload
    # two bodies at a time, told apart by their tokens
    link.client.set("/1001/0/1", "more " * 200)
    link.run(2)
    one = fetch(s, "/1001/0", token=b"one")
    two = fetch(s, "/1001/0/1", "/3303", token=b"two")
    for number in (1, 2):
        rest = [
            s.request(FETCH, "/", [(FORMAT, SENML_JSON), (BLOCK2, number << 4 | 5)], token=m.token)
            for m in (one, two)
        ]
        assert [m.code for m in rest] == [0x45, 0x45], rest
    assert b'"2/3"' in rest[0].payload and b'"5700"' in rest[1].payload, rest


def test_composite_observations_are_bounded_by_their_paths():
    link, s = client()
    paths = ["/3303/0/%d" % r for r in range(5600, 5632)]
    for n in range(8):
        m = fetch(s, T, *paths[n:31], opts=[(OBSERVE, 0)], token=b"t%d" % n)
        assert m.code == 0x45 and (m.opt(OBSERVE) is not None) == (n < 2), n
    assert len(link.client.observations()) == 63
    # the same path named again and again is one path
    link, s = client()
    for n in range(8):
        m = fetch(s, *(["/"] * 40), opts=[(OBSERVE, 0)], token=b"t%d" % n)
        assert m.opt(OBSERVE) is not None, n
    assert len(link.client.observations()) == 8
