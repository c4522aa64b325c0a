# Bootstrap (Core 1.1.1 6.1): all that a bootstrap server may do, and the way back when it goes wrong
# SPDX-License-Identifier: MIT
from link import *
from lwm2m.model.tables.ipso import TABLE as IPSO

_NOT_FOUND, _NOT_ALLOWED, _BAD, _ACCEPT, _CHANGED, _DELETED, _CONTENT = (
    0x84,
    0x85,
    0x80,
    0x86,
    0x44,
    0x42,
    0x45,
)


def tlv(ident, v, kind=0xC0):
    """A TLV entry; integers as short as can be."""
    if isinstance(v, int):
        v = (
            bytes((v,))
            if v < 128
            else bytes((v >> 8, v & 255))
            if v < 32768
            else bytes((0, v >> 16, v >> 8 & 255, v & 255))
        )
    elif isinstance(v, str):
        v = v.encode()
    if len(v) < 8:
        return bytes((kind | len(v), ident)) + v
    return bytes((kind | 0x10, ident, len(v) >> 8, len(v) & 255)) + v


def security(uri, ssid):
    return tlv(0, uri) + tlv(1, 0) + tlv(2, 3) + tlv(10, ssid)


def server(ssid, lifetime=500):
    return tlv(0, ssid) + tlv(1, lifetime) + tlv(6, 1) + tlv(7, "U")


def factory(registered=False, **options):
    """A client that knows its bootstrap server, and perhaps a server to begin with."""
    link = Link(uri=None, start=False, **options)
    link.account(0, "coap://boot", 0, True)
    if registered:
        link.account(1, "coap://old", 7)
        link.client.start()
        link.until("REGISTRATION_COMPLETE")
    return link, link.peer("boot")


def started(**options):
    """Until the bootstrap server may write."""
    link, b = factory(**options)
    link.client.start()
    link.until("BOOTSTRAP_REG_COMPLETE")
    return link, b


def accounts(b, uri="coap://server", ssid=101):
    """The usual writes."""
    assert b.delete("/").code == _DELETED
    assert b.put("/0/1", security(uri, ssid), TLV).code == _CHANGED
    assert b.put("/1/0", server(ssid), TLV).code == _CHANGED


def state(link):
    return everything(link.client)


def test_client_initiated():
    link, b = factory()
    s = link.peer("server")
    link.client.start()
    link.until("BOOTSTRAP_REG_COMPLETE")
    (m,) = b.requests
    assert (m.typ, m.code, m.path(), m.query(), m.payload) == (CON, POST, "/bs", ["ep=dev"], b"")
    assert link.client.stat() == 1
    accounts(b)
    assert not s.heard
    assert b.post("/bs").code == _CHANGED
    link.until("REGISTRATION_COMPLETE")
    assert s.requests[0].query() == ["b=U", "ep=dev", "lt=500", "lwm2m=1.0"]
    assert s.requests[0].payload == b"</1/0>,</3/0>"
    assert link.names() == [
        "CONNECT",
        "BOOTSTRAP",
        "BOOTSTRAP_REG_COMPLETE",
        "BOOTSTRAP_TRANSFER_COMPLETE",
        "CONNECT",
        "REGISTRATION",
        "REGISTRATION_COMPLETE",
    ], link.names()
    assert link.client.stat() == 2 and ("REGISTRATION_COMPLETE", 101) in link.events
    assert s.get("/0/1/0").code == 0x81


def test_hold_off():
    link, b = factory()
    link.client.set("/0/0/11", 30)
    link.client.start()
    link.run(29)
    assert not b.heard
    link.run(2)
    assert b.requests[0].path() == "/bs"


def test_writes():
    link, b = started()
    get = link.client.get
    # resources, instances, and whole objects; in text, TLV and opaque; again and again
    assert b.put("/1/3", server(9), TLV).code == _CHANGED and get("/1/3/1") == 500
    assert b.put("/1/3/1", b"600").code == _CHANGED and get("/1/3/1") == 600
    assert b.put("/1/3/2", tlv(2, 5), TLV).code == _CHANGED and get("/1/3/2") == 5
    assert b.put("/1/3", server(9, 700), TLV).code == _CHANGED and get("/1/3/1") == 700
    assert get("/1/3/2") is None
    both = tlv(1, security("coap://a", 1), 0) + tlv(2, security("coap://b", 2), 0)
    assert b.put("/0", both, TLV).code == _CHANGED
    assert (get("/0/1/0"), get("/0/2/0"), get("/0/2/10")) == ("coap://a", "coap://b", 2)
    assert b.put("/0/2/5", b"\0\1\2", OPAQUE).code == _CHANGED and get("/0/2/5") == b"\0\1\2"
    assert b.put("/3/0/14", b"+03:00").code == _CHANGED and get("/3/0/14") == "+03:00"
    # what the client does not know is not its business
    assert b.put("/1/4", server(9) + tlv(99, 5), TLV).code == _CHANGED and get("/1/4/1") == 500


def test_writes_in_blocks():
    link, b = started()
    data = security("coap://" + "h" * 200 + ":5683", 9)
    for num in range(4):
        more = 8 if num < 3 else 0
        m = b.put("/0/1", data[num * 64 : num * 64 + 64], TLV, (BLOCK1, num << 4 | more | 2))
        assert m.code == (0x5F if more else _CHANGED), m
    assert len(link.client.get("/0/1/0")) == 212


def test_refused_writes():
    link, b = started()
    before = state(link)
    for method, path, ct, data, code in (
        (PUT, "/", TLV, b"", (_NOT_ALLOWED,)),
        (PUT, "/999/0", TLV, b"", (_NOT_FOUND,)),
        (PUT, "/1/65535", TLV, server(5), (_NOT_FOUND,)),
        (PUT, "/1", TLV, b"\x28\xff\xff\x03\xc1\x00\x05", (_BAD,)),
        (PUT, "/1", TLV, b"\x23\xff\xff\xc1\x00\x05", (_BAD,)),
        (PUT, "/1/0", TLV, b"\xc4\x00", (_BAD,)),
        (PUT, "/1/0", TLV, tlv(1, "text with no number"), (_BAD,)),
        (PUT, "/1/0", 9999, b"x", (0x8F,)),
        (PUT, "/1/0/1", 0, b"many", (_BAD,)),
        (PUT, "/0/0", TLV, tlv(0, "coap://hijack") + tlv(1, 0), (_BAD,)),
        (POST, "/1", TLV, server(5), (_NOT_ALLOWED,)),
        (POST, "/3/0/4", None, b"", (_NOT_ALLOWED,)),
        (POST, "/0/0", TLV, security("coap://x", 1), (_NOT_ALLOWED,)),
        (FETCH, "/1/0", 0, b"", (_NOT_ALLOWED,)),
        (GET, "/0", None, b"", (_NOT_ALLOWED, 0x81)),
        (GET, "/0/0", None, b"", (_NOT_ALLOWED, 0x81)),
        (GET, "/0/0/0", None, b"", (_NOT_ALLOWED, 0x81)),
        (GET, "/3/0", None, b"", (_NOT_ALLOWED,)),
        (GET, "/1/0", None, b"", (_NOT_FOUND,)),
        (GET, "/1/9", None, b"", (_NOT_FOUND,)),
        (DELETE, "/0/0", None, b"", (_BAD, _NOT_ALLOWED)),  # the bootstrap server's own account
        (DELETE, "/1/9", None, b"", (_NOT_FOUND,)),
        (DELETE, "/999", None, b"", (_NOT_FOUND,)),
        (DELETE, "/3/0/14", None, b"", (_NOT_ALLOWED,)),
        (DELETE, "/3/0/0", None, b"", (_NOT_ALLOWED,)),
        (DELETE, "/0/0/0", None, b"", (_NOT_ALLOWED,)),
    ):
        m = b.request(method, path, [] if ct is None else [(FORMAT, ct)], data)
        assert m.code in code, (method, path, m)
        assert state(link) == before, (method, path)
    accounts(b)
    assert b.post("/bs").code == _CHANGED


def test_read_and_discover():
    link, b = started()
    accounts(b)
    m = b.get("/1/0", TLV)
    assert m.code == _CONTENT and m.payload[:2] == b"\xc1\x00" and b"\xc1\x07U" in m.payload
    m = b.get("/1")
    assert m.code == _CONTENT and m.opt(FORMAT) == TLV and m.payload[0] & 0xC0 == 0
    m = b.get("/", LINK)
    assert m.code == _CONTENT and m.opt(FORMAT) == LINK
    out = m.payload.split(b",")
    for x in (b"</0/0>", b"</0/1>;ssid=101", b"</1/0>;ssid=101", b"</3/0>"):
        assert x in out, (x, out)
    assert b"1.0" in out[0]
    out = b.get("/0", LINK).payload.split(b",")
    assert b"</0/1>;ssid=101" in out and not [x for x in out if x[:3] == b"</1" or x[:3] == b"</3"]
    assert b.get("/999", LINK).code == _NOT_FOUND


def test_delete():
    link, b = started()
    accounts(b)
    c = link.client
    assert b.put("/1/1", server(5), TLV).code == _CHANGED
    assert b.delete("/1/1").code == _DELETED and 1 not in ids(c, 1)
    assert b.delete("/1").code == _DELETED and ids(c, 1) == []
    assert b.delete("/0").code == _DELETED and ids(c, 0) == [0]
    accounts(b)
    assert b.delete("/").code == _DELETED
    # the bootstrap server's account and the device object stay
    assert ids(c, 0) == [0] and ids(c, 1) == [] and c.get("/3/0/0") == "MicroPython"


def test_inconsistent():
    for spoil in (
        lambda b: b.delete("/1"),  # no server
        lambda b: b.put("/1/1", server(55), TLV),  # one without security
        lambda b: b.put("/0/1", security("coap://server", 102), TLV),  # the numbers differ
        lambda b: b.put(
            "/0/1", tlv(0, "coap://server") + tlv(1, 0) + tlv(2, 0) + tlv(10, 101), TLV
        ),  # no key
        lambda b: b.put(
            "/0/1", security("coap://server", 101) + tlv(2, 0) + tlv(5, b"0123"), TLV
        ),  # a key of nobody
        lambda b: b.put("/0/1", security("http://server", 101), TLV),  # no address of a server
        lambda b: b.put("/0/1", security("coap://server:0", 101), TLV),
        lambda b: b.put("/0/1", security("", 101), TLV),
        lambda b: b.put("/0/1", security("coaps://server", 101), TLV),  # no security
        lambda b: b.put(
            "/0/1",
            tlv(0, "coap://server")
            + tlv(1, 0)
            + tlv(2, 0)
            + tlv(3, "a")
            + tlv(5, "b")
            + tlv(10, 101),
            TLV,
        ),  # a key, and no use for it
        lambda b: b.put("/1/1", server(101), TLV),  # two servers of one number
        lambda b: b.put("/0/2", security("coap://other", 101), TLV),  # two addresses
    ):
        link, b = factory()
        link.client.set("/3/0/14", "+01:00")
        before = state(link)
        link.client.start()
        link.until("BOOTSTRAP_REG_COMPLETE")
        accounts(b)
        assert b.put("/3/0/14", b"+09:00").code == _CHANGED
        assert spoil(b).code in (_CHANGED, _DELETED)
        assert b.post("/bs").code == _ACCEPT
        link.run(1)
        assert state(link) == before
        assert "BOOTSTRAP_REG_FAILURE" in link.names() and "REGISTRATION" not in link.names()
        assert "BOOTSTRAP_TRANSFER_COMPLETE" not in link.names()
        # it tries again
        link.until("BOOTSTRAP_REG_COMPLETE", 100)
        accounts(b)
        assert b.post("/bs").code == _CHANGED
        link.until("REGISTRATION_COMPLETE")


def test_refused():
    link, b = factory()
    before = state(link)
    b.reply = lambda m: (_BAD, (), b"")
    link.client.start()
    link.run(1000)
    at = [m.at - b.requests[0].at for m in b.requests]
    assert at == [0, 60000, 180000, 420000, 900000], at
    assert link.names().count("BOOTSTRAP_REG_FAILURE") == 5 and link.names()[-1] == "NETWORK_ERROR"
    assert link.client.stat() == 4 and state(link) == before


def test_timed_out():
    link, b = factory(bootstrap_timeout=60)
    before = state(link)
    link.client.start()
    link.until("BOOTSTRAP_REG_COMPLETE")
    accounts(b)
    link.run(50)
    assert state(link) != before
    # each write gives more time
    b.put("/1/0/2", b"1")
    link.run(50)
    assert state(link) != before
    link.run(20)
    assert state(link) == before and "BOOTSTRAP_REG_FAILURE" in link.names()
    # nobody there at all
    link, b = factory()
    b.reply = lambda m: None
    link.client.start()
    link.until("BOOTSTRAP_REG_FAILURE", 200)


def test_triggered_by_a_server():
    link, b = factory(registered=True)
    old = link.peer("old")
    assert link.client.stat() == 2 and not b.heard
    register_level(link.client, 1)
    m = old.post("/1/1/9")
    if m.code == _NOT_FOUND:
        raise Skip("1/x/9 is of a later version")
    assert m.code == _CHANGED
    link.until("BOOTSTRAP_REG_COMPLETE")
    accounts(b)
    assert b.post("/bs").code == _CHANGED
    link.until("REGISTRATION_COMPLETE")
    assert link.peer("server").requests and link.client.stat() == 2


def test_a_triggered_one_that_fails():
    for reply in (lambda m: (_BAD, (), b""), None):
        link, b = factory(registered=True, bootstrap_timeout=60)
        old = link.peer("old")
        before = state(link)
        if reply:
            b.reply = reply
        n = len(old.requests)
        link.client.exec("/1/1/9")
        if not reply:
            link.until("BOOTSTRAP_REG_COMPLETE")
            accounts(b)
        link.until("REGISTRATION_COMPLETE", 400)
        assert old.requests[-1].path() == "/rd" and len(old.requests) > n
        assert state(link) == before and "BOOTSTRAP_REG_FAILURE" in link.names()


def test_unsolicited():
    link, b = started()
    accounts(b)
    b.post("/bs")
    link.until("REGISTRATION_COMPLETE")
    link.run(1000)
    # the bootstrap server begins by itself
    assert b.open
    accounts(b, "coap://new", 102)
    assert b.put("/1/0/1", b"900").code == _CHANGED
    assert b.post("/bs").code == _CHANGED
    link.until("REGISTRATION_COMPLETE")
    assert "lt=900" in link.peer("new").requests[0].query() and link.client.stat() == 2
    # and once more, without coming to an end
    b.delete("/")
    link.run(300)
    assert link.client.get("/1/0/1") == 900 and link.client.stat() == 2
    # unharmed by what is no bootstrap
    assert b.get("/3/0").code == _NOT_ALLOWED


def listening(**options):
    """A client that is registered, and whose bootstrap server may begin again."""
    link, b = started(**options)
    accounts(b)
    assert b.post("/bs").code == _CHANGED
    link.until("REGISTRATION_COMPLETE")
    link.run(100)
    return link, b, link.peer("server")


def test_all_hold_still_while_it_writes():
    for end in ("finish", "refusal", "timeout"):
        link, b, s = listening(bootstrap_timeout=300)
        c = link.client
        # a second server that is not there
        link.account(5, "coap://third", 105)
        third = link.peer("third")
        third.reply = lambda m: None
        register_all(c)
        link.run(1)
        s.observe("/3/0/14", 0)
        s.observe("/1/0/1", 0)
        link.run(100)
        before = state(link)
        n = len(s.heard)
        k = link.opened
        names = len(link.names())
        assert b.put("/1/0", server(101, 700), TLV).code == _CHANGED
        assert b.put("/1/0/7", b"UQ").code == _CHANGED
        assert b.put("/0/5", security("coap://elsewhere", 105), TLV).code == _CHANGED
        c.set("/3/0/14", "+01:00")
        c.update()
        link.run(250)
        assert len(s.heard) == n and link.opened == k, s.heard[n:]
        assert link.names(names) == ["BOOTSTRAP"]
        # who asks is answered
        assert s.get("/3/0/15", 0).code == _CONTENT
        if end == "finish":
            assert b.post("/bs").code == _CHANGED
            link.until("REGISTRATION_COMPLETE", 10)
            assert "lt=700" in s.requests[-1].query() and "b=UQ" in s.requests[-1].query()
            link.run(1)
            assert link.peer("elsewhere").requests
            continue
        if end == "refusal":
            assert b.delete("/0/1").code == _DELETED and b.post("/bs").code == _ACCEPT
        link.until("BOOTSTRAP_REG_FAILURE", 400)
        link.until("REGISTRATION_COMPLETE", 10)
        assert c.get("/3/0/14") == "+01:00"
        c.set("/3/0/14", "+00:00")
        assert state(link) == before and "lt=500" in s.requests[-1].query()
        assert "BOOTSTRAP_TRANSFER_COMPLETE" not in link.names(names)
        third.reply = third.accept
        link.run(2000)
        assert third.requests[-1].path() == "/rd" and not link.peer("elsewhere").heard
        # and once more
        accounts(b, "coap://new", 102)
        assert b.post("/bs").code == _CHANGED
        link.until("REGISTRATION_COMPLETE")
        assert link.peer("new").requests


def test_stopped_while_it_writes():
    for force in (False, True):
        link, b, s = listening()
        before = state(link)
        accounts(b, "coap://new", 102)
        s.reply = lambda m: None
        link.client.stop(force)
        link.run(2)
        s.reply = s.accept
        link.run(100)
        assert state(link) == before and link.client.stat() == 0 and not link.client.active()
        assert force or s.requests[-1].code == DELETE
        assert link.names()[-1] == "DISCONNECT"
        link.client.start()
        link.until("REGISTRATION_COMPLETE")
        assert not link.peer("new").heard and s.requests[-1].path() == "/rd"


def test_the_account_ends():
    # 0/x/12
    link, b = started()
    accounts(b)
    assert b.put("/0/0/12", b"100").code == _CHANGED
    assert b.post("/bs").code == _CHANGED
    link.until("REGISTRATION_COMPLETE")
    c = link.client
    link.run(95)
    assert b.open and ids(c, 0) == [0, 1]
    link.run(10)
    assert not b.open and ids(c, 0) == [1] and c.stat() == 2
    n = counts(c)
    assert n["pollers"] == 0 and n["sessions"] == 1
    assert link.peer("server").get("/3/0/0").code == _CONTENT
    # there is no bootstrap any more, and no end to what goes on
    assert raises(ValueError, c.start, None, True)
    link.run(86400)
    assert c.stat() == 2
    # each bootstrap says it anew
    link, b = started()
    for timeout, seconds, opened in (
        (b"100", 90, True),
        (b"300", 250, True),
        (b"0", 900, True),
        (b"5", 10, False),
    ):
        accounts(b)
        assert b.put("/0/0/12", timeout).code == _CHANGED
        assert b.post("/bs").code == _CHANGED
        link.until("REGISTRATION_COMPLETE")
        link.run(seconds)
        assert b.open == opened and (0 in ids(link.client, 0)) == opened
    assert not counts(link.client)["pollers"]
    # not while the server writes
    link, b = started()
    accounts(b)
    assert b.put("/0/0/12", b"100").code == _CHANGED
    assert b.post("/bs").code == _CHANGED
    link.until("REGISTRATION_COMPLETE")
    link.run(90)
    accounts(b, "coap://new", 102)
    link.run(90)
    assert b.post("/bs").code == _CHANGED
    link.until("REGISTRATION_COMPLETE")
    assert link.peer("new").requests
    # nor before it has begun to count
    link, b = factory()
    link.client.set("/0/0/12", 10)
    b.reply = lambda m: None
    link.client.start()
    link.run(60)
    assert 0 in ids(link.client, 0)


def test_access_control():
    acl = tlv(0, 3) + tlv(1, 0) + b"\x86\x02\x41\x65\x01\x41\x66\x03" + tlv(3, 101)
    try:
        from lwm2m.model.tables.standard import TABLE
        from lwm2m.objects import access
    except ImportError:
        # an image without it
        link, b = started()
        assert b.put("/2/0", acl, TLV).code == _NOT_FOUND
        return
    # an application that has not taken the object's table up
    link, b = started()
    assert b.put("/2/0", acl, TLV).code == _NOT_FOUND and ids(link.client, 2) is None
    link, b = factory()
    link.client.objects(TABLE)
    link.client.start()
    link.until("BOOTSTRAP_REG_COMPLETE")
    accounts(b)
    assert b.put("/0/2", security("coap://second", 102), TLV).code == _CHANGED
    assert b.put("/1/1", server(102), TLV).code == _CHANGED
    assert b.put("/2/0", acl, TLV).code == _CHANGED
    assert link.client.get("/2/0/2") == {101: 1, 102: 3}
    assert b.post("/bs").code == _CHANGED
    link.run(2)
    s = link.peer("server")
    assert b"</2/0>" in s.requests[0].payload.split(b",")
    assert s.put("/3/0/14", b"+01:00").code == 0x81 and s.get("/3/0/14").code == _CONTENT
    assert link.peer("second").put("/3/0/14", b"+01:00").code == _CHANGED


def test_fallback():
    for allowed in (None, True, False):
        link, b = factory(registered=True)
        old = link.peer("old")
        if allowed is not None:
            link.client.set("/1/1/16", allowed)
        old.reply = lambda m: (0x83, (), b"")
        link.client.update()
        link.run(1000)
        if allowed is False:
            assert not b.heard and "NETWORK_ERROR" in link.names()
            continue
        assert b.requests[0].path() == "/bs" and "NETWORK_ERROR" not in link.names(), (
            allowed,
            link.names(),
        )
        accounts(b)
        assert b.post("/bs").code == _CHANGED
        link.until("REGISTRATION_COMPLETE")


def test_nobody_there():
    # neither the server nor the bootstrap server; the first of them to come back has the client
    for first in ("old", "boot"):
        link, b = factory(registered=True)
        old = link.peer("old")
        old.reply = b.reply = lambda m: None
        link.client.update()
        link.until("NETWORK_ERROR", 5000)
        assert b.requests and link.client.stat() == 4
        n = len(old.requests)
        if first == "old":
            old.reply = old.accept
            link.until("REGISTRATION_COMPLETE", 86500)
            assert link.client.stat() == 2 and old.requests[-1].path() == "/rd"
        else:
            b.reply = b.accept
            link.until("BOOTSTRAP_REG_COMPLETE", 86400 + 2000)
            assert len(old.requests) > n
    # without a server there is the bootstrap server alone
    link, b = factory()
    b.reply = lambda m: None
    link.client.start()
    link.until("NETWORK_ERROR", 5000)
    n = len(b.requests)
    link.run(86500)
    assert len(b.requests) > n


def test_another_server_has_the_client():
    link, b = factory(registered=True)
    link.account(2, "coap://other", 8)
    link.client.start()
    link.run(1)
    link.peer("other").reply = lambda m: (0x83, (), b"")
    link.client.update(8)
    link.until("NETWORK_ERROR", 5000)
    assert not b.heard and link.client.stat() == 2


def test_started_with_bootstrap():
    link, b = factory(registered=True)
    link.client.start(bootstrap=True)
    link.until("BOOTSTRAP_REG_COMPLETE")
    assert not link.peer("server").heard


def test_nothing_to_start_with():
    link = Link(uri=None, start=False)
    for bootstrap in (False, True):
        assert raises(ValueError, link.client.start, None, bootstrap)
        assert link.client.poll(link.ticks()) == -1 and not link.events
        assert link.client.stat() == 0 and not link.client.active()
    # a client that is registered stays so
    link = Link()
    assert raises(ValueError, link.client.start, None, True)
    link.client.delete("/1/0")
    assert raises(ValueError, link.client.start)
    assert link.client.stat() == 2 and link.server.get("/3/0/0").code == _CONTENT


def test_factory_accounts():
    # from configuration, without any bootstrap server
    link = Link(uri=None, start=False)
    link.account(3, "coap://own", 33)
    link.client.start()
    link.until("REGISTRATION_COMPLETE")
    assert link.peer("own").requests[0].payload == b"</1/3>,</3/0>"


def test_other_requests_meanwhile():
    link, b = started()
    n = len(b.heard)
    for d in (
        build(CON, GET, 1, b"a", segments("/3/0/0") + [(OBSERVE, 0)]),
        build(CON, POST, 3, b"c", segments("/nowhere")),
        build(CON, 0, 4),
        b"\x40",
    ):
        b.raw(d)
        link.run(1)
    assert [m.code for m in b.heard[n:] if m.typ == ACK and m.code < 0x80] == []
    accounts(b)
    assert b.post("/bs").code == _CHANGED


def test_finish_twice():
    link, b = started()
    accounts(b)
    d = build(CON, POST, 0x500, b"f", segments("/bs"))
    b.raw(d)
    b.raw(d)
    link.run(5)
    out = [m for m in b.heard if m.mid == 0x500]
    assert len(out) >= 1 and all([m.code == _CHANGED for m in out])
    assert link.client.stat() == 2 and link.names().count("BOOTSTRAP_TRANSFER_COMPLETE") == 1


def test_discover_to_the_letter():
    link = Link(uri=None, start=False, version="1.1")
    link.client.delete("/0/0")
    link.account(4, "coap://boot", 0, True)
    b = link.peer("boot")
    link.client.start()
    link.until("BOOTSTRAP_REG_COMPLETE")
    assert b.put("/0/1", security("coap://server", 101), TLV).code == _CHANGED
    assert b.put("/1/7", server(101), TLV).code == _CHANGED
    assert b.get("/", LINK).payload.split(b",") == [
        b"</>;lwm2m=1.1",
        b"</0>;ver=1.1",
        b'</0/1>;ssid=101;uri="coap://server"',
        b"</0/4>",
        b"</1>;ver=1.1",
        b"</1/7>;ssid=101",
        b"</3>;ver=1.1",
        b"</3/0>",
    ]
    assert b.get("/3", LINK).payload == b"</>;lwm2m=1.1,</3>;ver=1.1,</3/0>"
    # the ids of the two instances of an account need not be the same
    assert b.post("/bs").code == _CHANGED
    link.until("REGISTRATION_COMPLETE")
    assert "lt=500" in link.peer("server").requests[0].query()


def test_discover_in_blocks():
    link, b = started()
    link.client.objects(IPSO)
    for iid in range(60):
        link.client.create("/3303/%d" % iid)
    body = b""
    for num in range(99):
        m = b.get("/", LINK, (BLOCK2, num << 4 | 2))
        assert m.code == 0x45, m
        body += m.payload
        if not m.opt(BLOCK2) & 8:
            break
    assert body.count(b"</3303/") == 60 and body[-10:] == b"</3303/59>"
    # more than a block by itself
    m = b.get("/3303", LINK)
    assert m.code == 0x45 and m.opt(BLOCK2) & 8


def test_keys_must_be_whole():
    for more, code in (
        (tlv(3, "a") + tlv(5, "b"), _CHANGED),
        (tlv(3, "a"), _ACCEPT),
        (tlv(5, "b"), _ACCEPT),
        (tlv(3, "") + tlv(5, "b"), _ACCEPT),
        (b"", _ACCEPT),
    ):
        link, b = started()
        # what comes there is DTLS
        link.peer("server").hear = lambda d: None
        accounts(b)
        values = tlv(0, "coaps://server") + tlv(1, 0) + tlv(2, 0) + tlv(10, 101) + more
        assert b.put("/0/1", values, TLV).code == _CHANGED
        assert b.post("/bs").code == code, more


def test_its_own_account_stays_a_bootstrap_servers():
    link, b = started()
    own = tlv(0, "coap://boot") + tlv(1, 1) + tlv(2, 3)
    other = tlv(0, "coap://server") + tlv(1, 0) + tlv(2, 3) + tlv(10, 101)

    def both(first, second):
        return bytes((0x08, 0, len(first))) + first + bytes((0x08, 1, len(second))) + second

    for path, data, code in (
        ("/0/0", own, _CHANGED),
        ("/0/0", other, _BAD),
        ("/0/0", tlv(0, "coap://boot"), _BAD),
        ("/0", both(own, other), _CHANGED),
        ("/0", both(other, own), _BAD),
        ("/0", both(other, other), _BAD),
        ("/0/1", other, _CHANGED),
    ):
        before = state(link)
        assert b.put(path, data, TLV).code == code, (path, data)
        assert code == _CHANGED or state(link) == before
    assert link.client.get("/0/0/1") is True and link.client.get("/0/1/1") is False


def test_no_access_control_without_a_reason():
    try:
        from lwm2m.model.tables.standard import TABLE
    except ImportError:
        raise Skip("object 2 is not here")
    link, b = factory()
    link.client.objects(TABLE)
    link.client.start()
    link.until("BOOTSTRAP_REG_COMPLETE")
    accounts(b)
    assert b.put("/3/0/14", b"+01:00").code == _CHANGED and b.get("/1/0", TLV).code == _CONTENT
    assert b.post("/bs").code == _CHANGED
    link.until("REGISTRATION_COMPLETE")
    assert b"</2" not in link.peer("server").requests[0].payload and ids(link.client, 2) is None


def test_a_long_discover():
    link, b = started(version="1.1")
    for iid in range(10, 40):
        assert b.put("/1/%d" % iid, server(iid), TLV).code == _CHANGED
    whole = b""
    number = 0
    while True:
        m = b.get("/", LINK, *([(BLOCK2, number << 4 | 5)] if number else []))
        assert m.code == _CONTENT, m
        whole += m.payload
        if not (m.opt(BLOCK2) or 0) & 8:
            break
        number += 1
    links = whole.split(b",")
    assert number and len([x for x in links if x.startswith(b"</1/")]) >= 30, links


def test_an_empty_account_is_none():
    """The client makes /0/0 for set(); where nothing was put into it a bootstrap does not fail for it."""
    link = Link(uri=None, start=False)
    link.account(1, "coap://boot", 0, True)
    b = link.peer("boot")
    link.client.start()
    link.until("BOOTSTRAP_REG_COMPLETE")
    assert b.put("/0/2", security("coap://server", 101), TLV).code == _CHANGED
    assert b.put("/1/0", server(101), TLV).code == _CHANGED
    assert b.post("/bs").code == _CHANGED
    link.until("REGISTRATION_COMPLETE")
    # one that lacks its address is refused still
    link = Link(uri=None, start=False)
    link.account(1, "coap://boot", 0, True)
    link.client.set("/0/0/10", 7)
    b = link.peer("boot")
    link.client.start()
    link.until("BOOTSTRAP_REG_COMPLETE")
    assert b.put("/0/2", security("coap://server", 101), TLV).code == _CHANGED
    assert b.put("/1/0", server(101), TLV).code == _CHANGED
    assert b.post("/bs").code == _ACCEPT


def test_its_own_account_in_another_instance():
    """The server may not delete its account: written to another instance, that is the one, and no second."""
    own = tlv(0, "coap://boot") + tlv(1, 1) + tlv(2, 3)
    link, b = started()
    accounts(b)
    assert b.put("/0/5", own, TLV).code == _CHANGED
    assert b.post("/bs").code == _CHANGED
    link.until("REGISTRATION_COMPLETE")
    assert sorted(ids(link.client, 0)) == [1, 5] and link.client.get("/0/5/0") == "coap://boot"
    # it goes on listening, and may write again
    assert b.put("/1/0", server(101, 700), TLV).code == _CHANGED
    assert b.post("/bs").code == _CHANGED
    # twice is one too many; all is as it was then
    link, b = started()
    before = state(link)
    accounts(b)
    for path in ("/0/5", "/0/6"):
        assert b.put(path, own, TLV).code == _CHANGED
    assert b.post("/bs").code == _ACCEPT
    link.until("BOOTSTRAP_REG_FAILURE", 5)
    assert state(link) == before


def test_access_control_outlives_a_failed_bootstrap():
    try:
        from lwm2m.model.tables.standard import TABLE
        from lwm2m.objects import access
    except ImportError:
        raise Skip("no access control in this image")
    link, b = factory(bootstrap_timeout=60)
    c = link.client
    c.objects(TABLE)
    for k, host in ((1, "old"), (2, "second")):
        link.account(k, "coap://" + host, k)
    c_access = access.setup(c)
    c_access.give(3, 0, 1)
    c.start()
    link.until("REGISTRATION_COMPLETE")
    link.run(2)
    c.delete("/2/0")
    assert link.peer("second").put("/3/0/14", b"+01:00").code == 0x81
    # all accounts go, and nothing takes their place
    c.start(bootstrap=True)
    link.until("BOOTSTRAP_REG_COMPLETE")
    assert b.delete("/1").code == _DELETED and b.delete("/2").code == _DELETED
    link.until("BOOTSTRAP_REG_FAILURE", 100)
    link.run(5)
    assert c.stat() == 2 and not ids(c, 2)
    assert link.peer("second").put("/3/0/14", b"+01:00").code == 0x81
