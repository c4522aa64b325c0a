# Every operation of a server, the code for every error, and that what is refused changes nothing
# SPDX-License-Identifier: MIT

from codec import *
from link import *
from lwm2m import LATER, CoapError

_NOT_FOUND, _NOT_ALLOWED, _BAD, _UNAUTHORIZED, _FORMAT, _ACCEPT = (
    0x84,
    0x85,
    0x80,
    0x81,
    0x8F,
    0x86,
)
_CREATED, _DELETED, _CHANGED, _CONTENT = 0x41, 0x42, 0x44, 0x45

# object 1001: one instance at most, with a resource that must be given (0) and one that must not be missing (2)
ONE = table(1001, [(0, 0x13, STRING), (1, 3, INTEGER), (2, 0x11, STRING), (3, 0x14, 0)], 0)
# object 1002: several instances, 0 must be given
MANY = table(1002, [(0, 0x13, STRING), (1, 3, INTEGER), (2, 1, STRING)])


def client(**options):
    link = Link(**options)
    c = link.client
    for t in (ALL, ONE, MANY):
        c.objects(t)
    for i in (0, 1):
        c.create("/1000/%d" % i)
    for r, v in (
        (1, "text"),
        (2, -5),
        (3, 1.5),
        (4, True),
        (5, b"\0\1"),
        (6, 1000),
        (7, (3, 0)),
        (8, 7),
        (9, "</1>"),
        (301, "fixed"),
    ):
        c.set("/1000/0/%d" % r, v)
        if r < 10:
            c.set("/1000/0/%d" % (r + 10), {0: v, 3: v})
    for o in (1001, 1002):
        c.on_create("/%d" % o, lambda path, v: None)
    return link, link.server


def state(link):
    return everything(link.client, (0,))


def unhex(s):
    return unhexlify(s.replace(" ", ""))


# method, path, format, payload, code
REFUSED = (
    # read
    (GET, "/", None, b"", (_NOT_ALLOWED, _NOT_FOUND)),
    (GET, "/999", None, b"", _NOT_FOUND),
    (GET, "/1000/9", None, b"", _NOT_FOUND),
    (GET, "/1000/0/77", None, b"", _NOT_FOUND),
    (GET, "/1000/0/300", None, b"", _NOT_FOUND),
    (GET, "/1000/1/1", None, b"", _NOT_FOUND),
    (GET, "/1000/0/12/9", None, b"", _NOT_FOUND),
    (GET, "/1000/0/2/0", None, b"", (_NOT_FOUND, _NOT_ALLOWED)),
    (GET, "/1000/0/40", None, b"", _NOT_ALLOWED),
    (GET, "/3/0/4", None, b"", _NOT_ALLOWED),
    (GET, "/nowhere", None, b"", _NOT_FOUND),
    (GET, "/1000/0/1/0/0", None, b"", _NOT_FOUND),
    # write
    (PUT, "/", TLV, b"", (_NOT_ALLOWED, _NOT_FOUND)),
    (PUT, "/1000", TLV, unhex("0303 c10141"), _NOT_ALLOWED),
    (PUT, "/999/0/1", 0, b"x", _NOT_FOUND),
    (PUT, "/1000/9/1", 0, b"x", _NOT_FOUND),
    (PUT, "/1000/0/77", 0, b"x", _NOT_FOUND),
    (PUT, "/1000/0/301", 0, b"x", _NOT_ALLOWED),
    (PUT, "/1000/0/40", 0, b"x", _NOT_ALLOWED),
    (PUT, "/1000/0/1", 9999, b"x", _FORMAT),
    (PUT, "/1000/0/1", OPAQUE, b"x", _FORMAT),
    (PUT, "/1000/0/2", 0, b"five", _BAD),
    (PUT, "/1000/0/2", 0, b"", _BAD),
    (PUT, "/1000/0/4", 0, b"2", _BAD),
    (PUT, "/1000/0/1", 0, b"\xc3\x28", _BAD),
    (PUT, "/1000/0/12", 0, b"5", _BAD),
    (PUT, "/1000/0/2", TLV, unhex("c10305"), _BAD),
    (PUT, "/1000/0/2", TLV, unhex("c302"), _BAD),
    (PUT, "/1000/0/2", TLV, unhex("8302 410005"), _BAD),
    (PUT, "/1000/0/12", TLV, unhex("c10c05"), _BAD),
    (PUT, "/1000/0", TLV, unhex("c10277 c101"), _BAD),  # one good, one cut off
    (PUT, "/1000/0", TLV, unhex("c10277 e1012d58"), _NOT_ALLOWED),  # one that may not be written
    (POST, "/1000/0", TLV, unhex("c10277 c14d41"), (_NOT_FOUND, _BAD)),  # one that is not there
    (POST, "/1000/0", TLV, unhex("c10277 c10402"), _BAD),
    (POST, "/1000/0", TLV, unhex("0301 c10141"), _BAD),
    (POST, "/1000/0", 0, b"x", (_BAD, _FORMAT)),
    (PUT, "/1/0/0", 0, b"5", _NOT_ALLOWED),
    (PUT, "/1/0/7", 0, b"X", _BAD),
    (PUT, "/1/0/1", 0, b"-1", _BAD),
    (PUT, "/1/0/6", 0, b"yes", _BAD),
    (PUT, "/3/0/0", 0, b"me", _NOT_ALLOWED),
    # execute
    (POST, "/1000/0/1", 0, b"", _NOT_ALLOWED),
    (POST, "/1000/0/77", None, b"", _NOT_FOUND),
    (POST, "/1000/0/40", 0, b"x", _BAD),
    (POST, "/1000/0/40/0", None, b"", _NOT_ALLOWED),
    (POST, "/1000/0/40", TLV, b"1", _FORMAT),
    # create
    (POST, "/", TLV, b"", (_NOT_ALLOWED, _NOT_FOUND)),
    (POST, "/999", TLV, b"", _NOT_FOUND),
    (POST, "/3", TLV, b"", _NOT_ALLOWED),
    (POST, "/1", TLV, b"", _NOT_ALLOWED),
    (POST, "/1000", TLV, unhex("0300 c10141"), _BAD),
    (POST, "/1000", TLV, unhex("0305 c14d41"), (_NOT_FOUND, _BAD)),
    (POST, "/1000", TLV, unhex("0305 c10402"), _BAD),
    (POST, "/1000", TLV, unhex("0005 0006"), _BAD),
    (POST, "/1000", 9999, b"x", _FORMAT),
    (POST, "/1002", TLV, unhex("0305 c10105"), _BAD),  # what must be there is missing
    (POST, "/1001", TLV, b"", _BAD),
    # delete
    (DELETE, "/", None, b"", (_NOT_ALLOWED, _NOT_FOUND)),
    (DELETE, "/1000", None, b"", _NOT_ALLOWED),
    (DELETE, "/1000/9", None, b"", _NOT_FOUND),
    (DELETE, "/999/0", None, b"", _NOT_FOUND),
    (DELETE, "/1000/0/1", None, b"", _NOT_ALLOWED),
    (DELETE, "/3/0", None, b"", _NOT_ALLOWED),
    (DELETE, "/1/0", None, b"", _NOT_ALLOWED),
    # methods that 1.0 does not have
    (FETCH, "/1000/0", 0, b"", _NOT_ALLOWED),
    (IPATCH, "/1000/0", 0, b"", _NOT_ALLOWED),
    (31, "/1000/0", 0, b"", _NOT_ALLOWED),
)


def test_refused():
    link, s = client()
    calls = []
    for path in ("/1000/0", "/1000/1"):
        link.client.on_write(path, lambda path, v: calls.append(path))
    link.client.on_exec("/1000/0/40", lambda path, args: calls.append(path))
    before = state(link)
    for method, path, ct, payload, code in REFUSED:
        m = s.request(method, path, [] if ct is None else [(FORMAT, ct)], payload)
        assert m.code in (code if isinstance(code, tuple) else (code,)), (
            method,
            path,
            ct,
            payload,
            m,
        )
        assert m.payload == b"" and m.opt(FORMAT) is None
        assert state(link) == before, (method, path, payload)
        assert not calls, (method, path, payload)
    assert link.client.stat() == 2


def test_object_0_is_unauthorized():
    link, s = client()
    before = repr(stored(link.client, 0))
    for path in ("/0", "/0/0", "/0/0/0", "/0/0/5", "/0/0/99", "/0/7", "/0/0/0/0"):
        for m in (
            s.get(path),
            s.get(path, LINK),
            s.get(path, TLV),
            s.observe(path),
            s.put(path, b"x"),
            s.put(path, b"", TLV),
            s.post(path, b"", TLV),
            s.post(path),
            s.delete(path),
            s.attributes(path, "pmin=5"),
        ):
            assert m.code == _UNAUTHORIZED, (path, m)
    assert repr(stored(link.client, 0)) == before and link.client.observations() == []


def test_read():
    link, s = client()
    for path, accept, ct, payload in (
        ("/1000/0/1", 0, 0, b"text"),
        ("/1000/0/1", None, TLV, b"\xc4\x01text"),
        ("/1000/0/1", TLV, TLV, b"\xc4\x01text"),
        ("/1000/0/2", 0, 0, b"-5"),
        ("/1000/0/5", 0, 0, b"AAE="),
        ("/1000/0/5", OPAQUE, OPAQUE, b"\0\1"),
        ("/1000/0/7", 0, 0, b"3:0"),
        ("/1000/0/12", TLV, TLV, unhex("860c 4100fb 4103fb")),
        ("/1000/0/12/3", 0, 0, b"-5"),
        ("/1000/1", None, TLV, b""),
        ("/1001", None, TLV, b""),
    ):
        m = s.get(path, accept)
        assert (m.code, m.payload) == (_CONTENT, payload), (path, m)
        assert m.opt(FORMAT) == ct
    for path, accept in (
        ("/1000/0/1", 9999),
        ("/1000/0/1", OPAQUE),
        ("/1000/0/12", 0),
        ("/1000/0", 0),
        ("/1000", OPAQUE),
    ):
        m = s.get(path, accept)
        assert m.code == _ACCEPT and not m.payload, (path, accept, m)
    m = s.get("/3")
    assert m.code == _CONTENT and m.payload[:2] == b"\x08\0"


def test_default_format():
    link, s = client(default_format=0)
    m = s.get("/1000/0/1")
    assert m.opt(FORMAT) == 0 and m.payload == b"text"


def test_write_resources():
    link, s = client()
    for path, ct, payload, v in (
        ("/1000/0/1", 0, b"new", "new"),
        ("/1000/0/1", 0, b"", ""),
        ("/1000/0/2", 0, b"77", 77),
        ("/1000/0/3", 0, b"2.5", 2.5),
        ("/1000/0/4", 0, b"0", False),
        ("/1000/0/5", 0, b"AP8=", b"\0\xff"),
        ("/1000/0/5", OPAQUE, b"raw", b"raw"),
        ("/1000/0/5", OPAQUE, b"", b""),
        ("/1000/0/6", 0, b"1500000000", 1500000000),
        ("/1000/0/7", 0, b"5:6", (5, 6)),
        ("/1000/0/300", 0, b"first", "first"),
        ("/1000/0/2", TLV, unhex("c10205"), 5),
        ("/1000/0/21", TLV, unhex("c11580"), 128),
        ("/1000/0/12", TLV, unhex("830c 410507"), {5: 7}),  # all of it is replaced
        ("/1000/0/12/8", 0, b"9", {5: 7, 8: 9}),
        ("/1000/0/12/8", TLV, unhex("410801"), {5: 7, 8: 1}),
        ("/1000/0/12", TLV, unhex("800c"), {}),
    ):
        assert s.put(path, payload, ct).code == _CHANGED, path
        got = link.client.get("/".join(path.split("/")[:4]))
        assert got == v and type(got) is type(v), (path, got)
    # without a format it is text
    assert s.request(PUT, "/1000/0/1", (), b"plain").code == _CHANGED
    assert link.client.get("/1000/0/1") == "plain"


def test_replace_and_update():
    link, s = client()
    get = link.client.get
    assert s.post("/1000/0", unhex("c10141 c10207 830c 410901"), TLV).code == _CHANGED
    assert (get("/1000/0/1"), get("/1000/0/2"), get("/1000/0/3")) == ("A", 7, 1.5)
    assert get("/1000/0/12") == {0: -5, 3: -5, 9: 1}, get("/1000/0/12")
    assert s.put("/1000/0", unhex("c10142 830c 410401"), TLV).code == _CHANGED
    assert get("/1000/0/1") == "B" and get("/1000/0/12") == {4: 1}
    # the rest is gone, except for what a server can't write
    assert get("/1000/0/2") is None and get("/1000/0/13") is None and get("/1000/0/301") == "fixed"
    assert s.put("/1000/0", b"", TLV).code == _CHANGED and get("/1000/0/1") is None
    # the lifetime and what else must be there stays
    assert s.put("/1/0", unhex("c20202bc"), TLV).code == _CHANGED
    assert get("/1/0/1") == 86400 and get("/1/0/2") == 700 and get("/1/0/7") == "U"


def test_write_is_a_transaction():
    # whichever of several values is refused, none of them is stored
    good = unhex("c10141 c10207")
    for bad in ("c10402", "e1012d41", "c201c328", "c204"):
        for data in (good + unhex(bad), unhex(bad) + good):
            for method in (PUT, POST):
                link, s = client()
                before = state(link)
                m = s.request(method, "/1000/0", [(FORMAT, TLV)], data)
                assert m.code >= 0x80 and state(link) == before, (data, m)
    link, s = client()
    before = state(link)
    link.client.validate("/1000/0/2", lambda path, v: v < 5)
    assert s.post("/1000/0", good, TLV).code == _BAD and state(link) == before
    # a function that refuses the last of them
    link.client.validate("/1000/0/2", None)
    link.client.on_write("/1000/0/2", lambda path, v: _NOT_ALLOWED)
    assert s.post("/1000/0", good, TLV).code == _NOT_ALLOWED and state(link) == before


def test_write_functions():
    link, s = client()
    c = link.client
    calls = []
    c.on_write("/1000/0/2", lambda path, v: calls.append((path, v, c.get("/1000/0/2"))))
    assert s.put("/1000/0/2", b"6").code == _CHANGED and calls == [("/1000/0/2", 6, -5)]

    def no(path, v):
        raise CoapError(0x83)

    def wrong(path, v):
        raise RuntimeError("broken")

    for f, code in (
        (no, 0x83),
        (wrong, 0xA0),
        (lambda p, v: False, _BAD),
        (lambda p, v: 0x84, 0x84),
    ):
        c.on_write("/1000/0/2", f)
        assert s.put("/1000/0/2", b"8").code == code and c.get("/1000/0/2") == 6
    for f, code in (
        (no, 0x83),
        (wrong, 0xA0),
        (lambda p, v: False, _BAD),
        (lambda p, v: True, _CHANGED),
    ):
        c.on_write("/1000/0/2", None)
        c.validate("/1000/0/2", f)
        assert s.put("/1000/0/2", b"8").code == code
        assert c.get("/1000/0/2") == (8 if code == _CHANGED else 6)
    assert printed() == [RuntimeError] * 2
    # a function for a whole object gets the path of the resource
    c.on_write("/1000", lambda path, v: calls.append(path))
    assert s.put("/1000/1/1", b"x").code == _CHANGED and calls[-1] == "/1000/1/1"


def test_read_functions():
    link, s = client()
    c = link.client

    def wrong(path, v):
        raise RuntimeError("broken")

    def no(path, v):
        raise CoapError(0x83)

    for f, code, payload in (
        (lambda p, v: v + 1, _CONTENT, b"-4"),
        (lambda p, v: 99, _CONTENT, b"99"),
        (wrong, 0xA0, b""),
        (no, 0x83, b""),
        (lambda p, v: "a string", 0xA0, b""),
        (lambda p, v: None, None, None),
    ):
        c.on_read("/1000/0/2", f)
        m = s.get("/1000/0/2", 0)
        if code:
            assert (m.code, m.payload) == (code, payload), m
        assert m.code >= 0x80 or m.payload
        assert s.get("/1000/0").code in (_CONTENT, 0xA0, 0x83)
    c.on_read("/1000/0/300", lambda p, v: "made")  # where there is no value
    assert s.get("/1000/0/300", 0).payload == b"made"
    assert link.client.stat() == 2
    assert printed() == [RuntimeError] * 2 + [ValueError] * 2


def test_execute():
    link, s = client()
    calls = []
    link.client.on_exec("/1000/0/40", lambda path, args: calls.append((path, bytes(args))))
    good = (
        b"",
        b"5",
        b"0,1,2",
        b"2='10.3'",
        b"7,0='https://www.oma.org',1",
        b"0=''",
        b"0='a,b=c'",
    )
    for args in good:
        assert s.post("/1000/0/40", args, 0 if args else None).code == _CHANGED, args
    assert calls == [("/1000/0/40", a) for a in good]
    for args in (
        b"a",
        b",",
        b"0,",
        b"10",
        b"0x1",
        b"0=abc",
        b"0='abc",
        b"0='a'b",
        b"0'a'",
        b"='a'",
        b" 0",
        b"0 ",
    ):
        assert s.post("/1000/0/40", args, 0).code == _BAD, args
    assert len(calls) == len(good)


def test_execute_functions():
    link, s = client()
    c = link.client

    def wrong(path, args):
        raise RuntimeError("broken")

    def no(path, args):
        raise CoapError(0x81)

    for f, code in (
        (None, (_NOT_FOUND, _NOT_ALLOWED)),
        (lambda p, a: None, (_CHANGED,)),
        (lambda p, a: True, (_CHANGED,)),
        (lambda p, a: 0xA0, (0xA0,)),
        (lambda p, a: False, (_BAD,)),
        (wrong, (0xA0,)),
        (no, (0x81,)),
    ):
        c.on_exec("/1000/0/40", f)
        assert s.post("/1000/0/40").code in code
    assert c.stat() == 2 and printed() == [RuntimeError]


def test_create():
    link, s = client()
    for path, payload, where, values in (
        ("/1000", unhex("0305 c10141"), "/1000/5", {1: "A"}),
        ("/1000", unhex("c10142"), "/1000/2", {1: "B"}),
        ("/1000", b"", "/1000/3", {}),
        ("/1000", unhex("0009"), "/1000/9", {}),
        ("/1000", unhex("23fffe c10207"), "/1000/65534", {2: 7}),
        ("/1002", unhex("0303 c10041"), "/1002/3", {0: "A"}),
        ("/1002", unhex("c10041"), "/1002/0", {0: "A"}),
        ("/1001", unhex("c10041"), "/1001/0", {0: "A"}),
    ):
        m = s.post(path, payload, TLV)
        assert m.code == _CREATED and m.path(LOCATION) == where, (path, payload, m)
        for r in values:
            assert link.client.get("%s/%d" % (where, r)) == values[r]
    # an object of one instance has it now
    assert s.post("/1001", unhex("c10041"), TLV).code in (_NOT_ALLOWED, _BAD)
    # a created one is told in an update, and can be read
    link.run(20)
    assert b"</1000/5>" in link.server.requests[-1].payload
    assert s.get("/1000/5/1", 0).payload == b"A"


def test_create_functions():
    link, s = client()
    c = link.client
    calls = []
    c.on_create("/1000", lambda path, v: calls.append(path))
    assert s.post("/1000", unhex("0305 c10141"), TLV).code == _CREATED and calls == ["/1000/5"]
    c.on_create("/1000", lambda path, v: 0xA0)
    before = state(link)
    assert s.post("/1000", unhex("0306 c10141"), TLV).code == 0xA0
    assert state(link) == before and 6 not in ids(c, 1000)
    c.on_create("/1000", None)
    c.validate("/1000", lambda path, v: False)
    assert s.post("/1000", unhex("0306 c10141"), TLV).code == _BAD and 6 not in ids(c, 1000)


def test_instances_are_bounded():
    link, s = client(max_instances=5)
    codes = [s.post("/1000", b"", TLV).code for k in range(6)]
    assert codes[:3] == [_CREATED] * 3 and len(ids(link.client, 1000)) == 5
    assert min(codes[3:]) >= 0x80


def test_delete():
    link, s = client()
    c = link.client
    calls = []
    c.on_delete("/1000", lambda path, v: calls.append(path))
    assert s.delete("/1000/1").code == _DELETED and calls == ["/1000/1"]
    assert s.delete("/1000/1").code == s.get("/1000/1").code == _NOT_FOUND
    c.on_delete("/1000", lambda path, v: 0x83)
    before = state(link)
    assert s.delete("/1000/0").code == 0x83 and state(link) == before
    link.run(20)
    assert b"/1000/1>" not in s.requests[-1].payload and b"</1000/0>" in s.requests[-1].payload


def test_later():
    link, s = client()
    c = link.client
    c.on_write("/1000/0/2", lambda path, v: LATER)
    for outcome, code in ((None, _CHANGED), (0x84, 0x84)):
        before = c.get("/1000/0/2")
        n = len(s.heard)
        t = s.ask(PUT, "/1000/0/2", [(FORMAT, 0)], b"123")
        link.run(3)
        assert c.get("/1000/0/2") == before
        c.answer("/1000/0/2", outcome)
        assert s.wait(t, n).code == code
        assert c.get("/1000/0/2") == (123 if outcome is None else before)
        c.set("/1000/0/2", 5)
    # an instance that holds the value waits as well
    c.on_read("/1000/0/2", lambda path, v: LATER)
    n = len(s.heard)
    t = s.ask(GET, "/1000/0", [(ACCEPT, TLV)])
    link.run(3)
    c.answer("/1000/0/2", 77)
    m = s.wait(t, n)
    assert m.code == _CONTENT and b"\xc1\x02\x4d" in m.payload


def test_device_object():
    link, s = client()
    c = link.client
    c.set("/3/0/11", {0: 2, 1: 5})
    assert s.post("/3/0/12").code == _CHANGED
    assert c.get("/3/0/11") == {0: 0}
    now = c.get("/3/0/13")
    assert s.put("/3/0/13", b"1000000000").code == _CHANGED
    assert 1000000000 <= int(s.get("/3/0/13", 0).payload) <= 1000000002 < now
    assert s.put("/3/0/14", b"+02:00").code == s.put("/3/0/15", b"Europe/Oslo").code == _CHANGED
    assert s.get("/3/0/14", 0).payload == b"+02:00"
    for r in (0, 1, 2, 3, 10, 16):
        assert s.get("/3/0/%d" % r, 0).code == _CONTENT, r
    assert int(s.get("/3/0/10", 0).payload) > 0


def test_every_resource_of_the_device_object():
    link, s = client()
    values = {
        6: {0: 1, 1: 5},
        7: {0: 3800, 1: 5000},
        8: {0: 125, 1: 900},
        9: 100,
        17: "sensor",
        18: "1.0",
    }
    values.update({20: 0, 21: 64, 22: {0: (66, 0)}})
    for r in values:
        link.client.set("/3/0/%d" % r, values[r])
    for r in range(23):
        m = s.get("/3/0/%d" % r, TLV)
        assert m.code == (_NOT_ALLOWED if r in (4, 5, 12) else _CONTENT), (r, m)


def test_gateway_commands():
    """What the gateway sends in its own tests is understood."""
    link, s = client()
    link.client.set("/3/0/7", {0: 3800, 1: 5000})
    link.client.set("/3/0/9", 50)
    link.client.on_exec("/3/0/4", lambda path, args: None)
    want = {
        "read-text-altpath": None,
        "read-unknown-object-3333": _NOT_FOUND,
        "read-unknown-object-9723": _NOT_FOUND,
        "read-opaque": _NOT_FOUND,
        "write-batch-one-float": None,  # a float for a time
        "write-error": _NOT_ALLOWED,
        "create-empty": _NOT_FOUND,  # object 5
        "delete": _NOT_FOUND,
        "execute-error": _CHANGED,
    }
    done = 0
    for v in vectors("emqx_gateway.json")["commands"]:
        r = v.get("expect_coap_request")
        if not r or v["id"] in want and want[v["id"]] is None:
            continue
        opts = []
        for key, num in (("content_format", FORMAT), ("accept", ACCEPT), ("observe", OBSERVE)):
            if key in r:
                opts.append((num, r[key]))
        opts += [(QUERY, q) for q in r.get("uri_query_unordered", ())]
        method = {"GET": GET, "PUT": PUT, "POST": POST, "DELETE": DELETE}[r["method"]]
        m = s.request(method, r["path"], opts, unhex(r["payload_hex"]))
        reply = v["device_reply"]
        if isinstance(reply, list):
            reply = reply[-1]
        a, b = reply["code"].split(".")
        code = want.get(v["id"], int(a) << 5 | int(b))
        assert m.code == code, (v["id"], m)
        done += 1
    assert done > 12 and link.client.get("/3/0/14") == "87x"


# object 1003: a value that may only be written stands first; object 1004: two resources that must be given
SECRET = table(1003, [(0, 2, INTEGER), (1, 3, INTEGER)])
PAIR = table(1004, [(0, 0x13, STRING), (1, 0x13, STRING), (2, 3, INTEGER)])


def test_a_first_resource_that_may_only_be_written():
    link, s = client(version="1.1")
    c = link.client
    c.objects(SECRET)
    c.create("/1003/0")
    c.set("/1003/0/0", 42)
    c.set("/1003/0/1", 7)
    for accept in (TEXT, TLV, None):
        assert s.get("/1003/0/0", accept).code == _NOT_ALLOWED
    assert s.observe("/1003/0/0").code == _NOT_ALLOWED and not c.observations()
    assert s.get("/1003/0", TLV).payload == unhex("c10107")
    assert (
        s.get("/1003", TLV).payload == unhex("030000c10107")
        or b"*" not in s.get("/1003", TLV).payload
    )
    # its value is not to be measured either
    assert s.attributes("/1003/0/0", "gt=5").code == _BAD
    assert s.put("/1003/0/0", b"43", TEXT).code == _CHANGED and c.get("/1003/0/0") == 43


def test_the_first_of_several_resource_instances():
    link, s = client(version="1.1")
    c = link.client
    for given in (0, 3):
        c.set("/1000/0/12", {0: 1, 3: 2, 65534: 3})
        assert s.put("/1000/0/12/%d" % given, b"9", TEXT).code == _CHANGED
        assert c.get("/1000/0/12") == {0: 9 if not given else 1, 3: 9 if given else 2, 65534: 3}
        assert s.get("/1000/0/12/%d" % given, TEXT).payload == b"9"
    # the whole of it is replaced, and a partial update of it adds
    assert s.put("/1000/0/12", unhex("410507"), TLV).code == _CHANGED
    assert c.get("/1000/0/12") == {5: 7}
    assert s.post("/1000/0", unhex("830c 410008"), TLV).code == _CHANGED
    assert c.get("/1000/0/12") == {5: 7, 0: 8}
    assert s.observe("/1000/0/12/0", TEXT).payload == b"8"
    # one that is not there
    for ri in (1, 4, 65534):
        assert s.get("/1000/0/12/%d" % ri, TEXT).code == _NOT_FOUND
    assert s.get("/1000/0/2/0", TEXT).code == _NOT_FOUND


def test_delete_a_resource_instance():
    link, s = client(version="1.1")
    c = link.client
    c.set("/1000/0/12", {0: 1, 3: 2})
    assert s.delete("/1000/0/12/7").code == _NOT_FOUND
    assert s.delete("/1000/0/12/0").code == _DELETED and c.get("/1000/0/12") == {3: 2}
    assert s.delete("/1000/0/12/0").code == _NOT_FOUND
    assert s.delete("/1000/0/12/3").code == _DELETED and c.get("/1000/0/12") == {}
    before = state(link)
    for path, code in (
        ("/1000/0/2/0", _NOT_FOUND),  # it has no instances
        ("/1000/0/12", _NOT_ALLOWED),
        ("/1000/0/2", _NOT_ALLOWED),
        ("/3/0/11/0", _NOT_ALLOWED),  # read-only
        ("/1000/0/13/9", _NOT_FOUND),
    ):
        assert s.delete(path).code == code, path
    assert state(link) == before
    # 1.0 does not know of it
    link, s = client(version="1.0")
    link.client.set("/1000/0/12", {0: 1, 3: 2})
    assert s.delete("/1000/0/12/0").code == _NOT_ALLOWED
    assert link.client.get("/1000/0/12") == {0: 1, 3: 2}


def test_create_needs_all_that_is_mandatory():
    link, s = client()
    c = link.client
    c.objects(PAIR)
    c.on_create("/1004", lambda path, v: None)
    for payload, code in (
        ("", _BAD),
        ("c10041", _BAD),
        ("c10142", _BAD),
        ("c10205", _BAD),
        ("c10041 c10205", _BAD),
        ("c10142 c10205", _BAD),
        ("c10041 c10142", _CREATED),
        ("c10142 c10041 c10205", _CREATED),
    ):
        n = len(ids(c, 1004))
        assert s.post("/1004", unhex(payload), TLV).code == code, payload
        assert len(ids(c, 1004)) == n + (code == _CREATED), payload
    # set() on the device's own side needs none of it
    c.create("/1004/9")


def test_the_last_instance_id():
    link, s = client()
    c = link.client
    c.on_create("/1000", lambda path, v: None)
    # 65535 is reserved (OMA's MAX_ID)
    for payload in ("23ffff c10141", "20ffff"):
        assert s.post("/1000", unhex(payload), TLV).code == _BAD
    assert ids(c, 1000) == [0, 1]
    assert s.post("/1000", unhex("23fffe c10141"), TLV).code == _CREATED
    assert s.get("/1000/65534/1", TEXT).payload == b"A"
    for path in ("/1000/65535", "/1000/65536", "/1000/65534/65535", "/65535", "/1000/99999"):
        for m in (s.get(path), s.put(path, b"", TLV), s.delete(path)):
            assert m.code in (_NOT_FOUND, _NOT_ALLOWED, _BAD), (path, m)
    assert s.delete("/1000/65534").code == _DELETED


def test_resources_of_another_version():
    # 1.0 does not know 1/x/23 and 26; executing 1/x/9 is for all
    for version, known in (("1.0", ()), ("1.1", (23,)), ("1.2", (23, 26))):
        link, s = client(version=version)
        link.account(5, "coap://boot", 0, True)
        store(link.client, "/1/0/23", False)
        store(link.client, "/1/0/26", False)
        whole = s.get("/1/0", TLV).payload
        links = s.get("/1/0", LINK).payload
        for rid, value in ((23, b"0"), (26, b"0")):
            path = "/1/0/%d" % rid
            code = _CONTENT if rid in known else _NOT_FOUND
            assert s.get(path, TEXT).code == code, (version, path)
            assert (bytes((0xC1, rid, 0)) in whole) == (rid in known)
            assert (b"</1/0/%d>" % rid in links) == (rid in known)
            code = _CHANGED if rid in known else _NOT_FOUND
            assert s.put(path, value, TEXT).code == code, (version, path)
        if version != "1.0":
            continue
        assert s.get("/1/0/9", TEXT).code in (_NOT_FOUND, _NOT_ALLOWED)


# object 1006: 0 is a number that may only be read
FIXED = table(1006, [(0, 1, INTEGER), (1, 3, INTEGER)])


def test_a_first_resource_that_may_only_be_read():
    link, s = client(version="1.1")
    c = link.client
    c.objects(FIXED)
    c.create("/1006/0")
    c.set("/1006/0/0", 5)
    before = state(link)
    for method in (PUT, POST):
        for path, data in (("/1006/0", "c10007"), ("/1006/0", "c10007 c10108")):
            m = s.request(method, path, [(FORMAT, TLV)], unhex(data))
            assert m.code == _NOT_ALLOWED, (method, path, m)
    assert s.put("/1006/0/0", b"7", TEXT).code == _NOT_ALLOWED and state(link) == before
    # what a function says of a first resource counts as of any other
    c.validate("/1002", lambda path, v: v != "no")
    assert s.post("/1002", unhex("c2006e6f"), TLV).code == _BAD and ids(c, 1002) == []


def test_create_what_is_there():
    link, s = client()
    before = state(link)
    for first in ("00", "01"):
        assert s.post("/1000", unhex("03%s c10141" % first), TLV).code == _BAD, first
    # several instances, of which the second has another id
    assert s.post("/1000", unhex("0305 c10141 0300 c10142"), TLV).code in (_BAD, _CREATED)
    assert [x for x in state(link) if x[1] < 2] == before


def test_every_format():
    link, s = client(version="1.2")
    for path, accept in (
        ("/1000/0/1", (0, 1541, 1542, 1543, 11542, 11543, 60, 110, 112, 11544)),
        ("/1000/0/5", (42, 0, 60, 11542, 11543, 110, 112)),
        ("/1000/0", (1542, 1543, 11542, 11543, 110, 112, 11544)),
    ):
        answers = {}
        for ct in accept:
            m = s.get(path, ct)
            assert m.code == _CONTENT and m.opt(FORMAT) == ct, (path, ct, m)
            answers[ct] = m.payload
        # the numbers that 1.0 began with
        for old in (1542, 1543):
            assert old not in answers or answers[old] == answers[old + 10000]
        assert answers.get(1541) in (None, answers.get(0))
    for ct in (1, 41, 50, 111, 1540, 1545, 10000, 10042, 10110, 11540, 11545, 65535):
        assert s.get("/1000/0/1", ct).code == _ACCEPT, ct
        assert s.put("/1000/0/1", b"x", ct).code == _FORMAT, ct
