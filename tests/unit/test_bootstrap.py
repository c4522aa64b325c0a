# Bootstrap (Core 1.1.1 6.1): all that a bootstrap server may do, and the way back when it goes wrong
# SPDX-License-Identifier: MIT
from link import *

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
    inst = link.client.tree.inst
    return sorted(
        [(o, i, r, repr(inst[o][i][r])) for o in inst for i in inst[o] for r in inst[o][i]]
    )


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
    assert b.delete("/1/1").code == _DELETED and 1 not in c.tree.inst[1]
    assert b.delete("/1").code == _DELETED and c.tree.inst[1] == {}
    assert b.delete("/0").code == _DELETED and list(c.tree.inst[0]) == [0]
    accounts(b)
    assert b.delete("/").code == _DELETED
    # the bootstrap server's account and the device object stay
    assert (
        list(c.tree.inst[0]) == [0] and c.tree.inst[1] == {} and c.get("/3/0/0") == "MicroPython"
    )


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
    link.client.tree.level = 1
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


def test_started_with_bootstrap():
    link, b = factory(registered=True)
    link.client.start(bootstrap=True)
    link.until("BOOTSTRAP_REG_COMPLETE")
    assert not link.peer("server").heard


def test_nothing_to_start_with():
    link = Link(uri=None, start=False)
    assert raises(ValueError, link.client.start)


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
