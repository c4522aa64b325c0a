# QuecPython's `lwm2m` object: calls, list shapes, ranges, return values, URC strings and their order
# SPDX-License-Identifier: MIT

import lwm2m_port
from link import *
from lwm2m.quectel import Lwm2m

U = "coap://server:5683"
KEY = "000102030405060708090a0b0c0d0e0f"


def ready(**urcs):
    """An object as the vendor's example sets it up, its link, and what it calls back with."""
    lw = Lwm2m()
    link = Link(client=lw.client, start=False)
    link.server = link.peer("server")
    lw.client.version = "1.0"
    lw.running = True  # the test turns the clock, no thread
    out = []
    assert lw.register_call(lambda args: out.append(args)) == 0
    assert lw.config(lw.Security, [1, 1000, U, 0, 3]) == 0
    assert lw.config(lw.Epnamemode, [1]) == 0 and lw.config(lw.Epname, ["testname"]) == 0
    return lw, link, out


def texts(out):
    for e in out:
        assert (
            isinstance(e, list) and len(e) == 3 and isinstance(e[0], int) and isinstance(e[1], int)
        )
        assert not isinstance(e[0], bool) and not isinstance(e[1], bool)
        assert e[2][:9] == "+QLWURC: "
    return [e[2][9:] for e in out]


def test_constants():
    lw = Lwm2m()
    assert (lw.Security, lw.Server, lw.Epnamemode, lw.Urc, lw.Fota, lw.Reset, lw.Epname) == (
        1,
        2,
        4,
        5,
        7,
        9,
        15,
    )
    assert lw.init() == 0 and lw.stat() == 0


def test_security():
    lw = Lwm2m()
    for values, result in (
        ([1, 1000, U, 0, 3], 0),
        ((1, 1000, U, 0, 3), 0),
        ([1, 1000, "server:5683", 0, 3], 0),
        ([1, 1000, "server", 0, 3], 0),
        ([1, 1000, "10.0.0.1:1", 0, 3], 0),
        ([1, 1000, "coap://[::1]:65535", 0, 3], 0),
        ([1, 1000, U, 0, 3, "", ""], 0),
        ([0, 100, "coap://boot", 1, 3], 0),
        ([1, 1, "coap://" + "h" * 249, 0, 3], 0),
        ([1, 65534, U, 0, 3], 0),
        ([1], 0),
        ([0], 0),
        ([2, 1001, U, 0, 3], (0, -2)),  # 0 where the image can serve several servers
        ([3, 1002, U, 0, 3], (0, -2)),
        ([], -1),
        ([4], -1),
        ([-1], -1),
        (["1"], -1),
        ([1.0, 1000, U, 0, 3], -1),
        ([1, 0, U, 0, 3], -1),
        ([1, 65535, U, 0, 3], -1),
        ([1, "1000", U, 0, 3], -1),
        ([1, 1000], -1),
        ([1, None], -1),
        ([1, None, None, None, None], -1),
        ([1, 1000, U], -1),
        ([1, 1000, U, 0], -1),
        ([1, 1000, U, 1, 3], -1),  # a bootstrap is server 0
        ([0, 100, U, 0, 3], -1),
        ([1, 1000, U, 2, 3], -1),
        ([1, 1000, U, "0", 3], -1),
        ([1, 1000, U, False, 3], -1),
        ([0, 100, U, True, 3], -1),
        ([1, 1000, "", 0, 3], -1),
        ([1, 1000, "coap://", 0, 3], -1),
        ([1, 1000, "http://server", 0, 3], -1),
        ([1, 1000, "coap://server:0", 0, 3], -1),
        ([1, 1000, "coap://server:65536", 0, 3], -1),
        ([1, 1000, "coap://server:port", 0, 3], -1),
        ([1, 1000, "coap://[::1", 0, 3], -1),
        ([1, 1000, "coap://" + "h" * 250, 0, 3], -1),
        ([1, 1000, 5683, 0, 3], -1),
        ([1, 1000, b"coap://server", 0, 3], -1),
        ([1, 1000, None, 0, 3], -1),
        ([1, 1000, "coaps://server", 0, 3], -1),
        ([1, 1000, U, 0, 1], -2),  # raw public key, certificate
        ([1, 1000, U, 0, 2], -2),
        ([1, 1000, U, 0, -1], -1),
        ([1, 1000, U, 0, 9], -1),
        ([1, 1000, U, 0, "3"], -1),
        ([1, 1000, U, 0, 3, ""], -1),
        ([1, 1000, U, 0, 3, "a", ""], -1),
        ([1, 1000, U, 0, 3, "", KEY], -1),
        ([1, 1000, U, 0, 3, None, None], -1),
        ([1, 1000, U, 0, 3, "a", "b", "c"], -1),
        ([1, 1000, "coaps://server", 0, 0, "id", KEY, ""], -1),
        ([1, 1000, "coaps://server", 0, 0, "ä" * 33, KEY], -1),  # 66 bytes
        ([1, 1000, "coaps://server", 0, 0, "id", "01 02 "], -1),
        ([1, 1000, "coaps://server", 0, 0, "id", "01 203"], -1),
        ([1, 1000, "coaps://server", 0, 0, "id", b"0102"], -1),
        ([1, 1000, "coaps://server", 0, 0, b"id", KEY], -1),
        ([1, 1000, "coap://" + "ä" * 125, 0, 3], -1),
        ([1, 1000, "coaps://server", 0, 0], -1),
        ([1, 1000, "coaps://server", 0, 0, "id"], -1),
        ([1, 1000, "coaps://server", 0, 0, "", KEY], -1),
        ([1, 1000, "coaps://server", 0, 0, "id", ""], -1),
        ([1, 1000, "coaps://server", 0, 0, "i" * 65, KEY], -1),
        ([1, 1000, "coaps://server", 0, 0, "id", "0" * 130], -1),
        ([1, 1000, "coaps://server", 0, 0, "id", "0x01"], -1),
        ([1, 1000, "coaps://server", 0, 0, "id", "012"], -1),
        ([1, 1000, "coaps://server", 0, 0, 5, KEY], -1),
        ([1, 1000, "coaps://server", 0, 0, "id", 5], -1),
        # 0 where the image has DTLS
        ([1, 1000, "coaps://server:5684", 0, 0, "urn:imei:860000000000001", KEY], (0, -2)),
        ([1, 1000, "coaps://server", 0, 0, "i" * 64, "0" * 128], (0, -2)),
        ([0, 100, "coaps://boot", 1, 0, "id", KEY], (0, -2)),
    ):
        before = {k: dict(d) for k, d in lw.client.tree.inst[0].items()}
        got = lw.config(lw.Security, values)
        assert not got or lw.client.tree.inst[0] == before, values
        assert got in (result if isinstance(result, tuple) else (result,)), (values, got)


def test_server():
    lw = Lwm2m()
    lw.config(lw.Security, [1, 1000, U, 0, 3])
    good = [1, 60, 2, 60, 86400, 1, "U"]
    assert lw.config(lw.Server, good) == 0
    for k, bad in (
        (0, (4, -1, "1", None, 1.0)),
        (1, (0, 86401, "60", 60.0, None, True)),
        (2, (0, 86401, "2", -1)),
        (3, (0, 86401, "60")),
        (4, (0, 86401, "x")),
        (5, (2, -1, "1", None)),
        (6, ("X", "", "u", 5, None, b"U", "UU")),
    ):
        for v in bad:
            values = list(good)
            values[k] = v
            assert lw.config(lw.Server, values) == -1, values
    for binding, result in (("U", 0), ("US", 0), ("UQS", 0), ("S", -2), ("SQ", -2)):
        assert lw.config(lw.Server, good[:6] + [binding]) == result, binding
    assert lw.config(lw.Server, good[:6] + ["UQ"]) in (0, -2)
    for values in ([], good[:6], good + [1], [1, 60]):
        assert lw.config(lw.Server, values) == -1, values
    assert lw.config(lw.Server, [1, 1, 1, 1, 1, 0, "U"]) == 0
    assert lw.config(lw.Server, [1, 86400, 86400, 86400, 86400, 0, "U"]) == 0
    assert lw.config(lw.Server, [1]) == 0
    assert lw.config(lw.Server, [2, 60, 2, 60, 86400, 1, "U"]) in (0, -2)


def test_other_settings():
    lw = Lwm2m()
    for kind, values, result in (
        (lw.Epnamemode, [3], 0),
        (lw.Epnamemode, [1], 0),
        (lw.Epnamemode, [0], -2),
        (lw.Epnamemode, [2], -2),
        (lw.Epnamemode, ["3"], -1),
        (lw.Epnamemode, [-3], -1),
        (lw.Epnamemode, [], -1),
        (lw.Epnamemode, [3, 3], -1),
        (lw.Epname, ["testname"], 0),
        (lw.Epname, ["x" * 64], 0),
        (lw.Epname, ["x" * 65], -1),
        (lw.Epname, ["ä" * 33], -1),  # 66 bytes
        (lw.Epname, [""], -1),
        (lw.Epname, [5], -1),
        (lw.Epname, [], -1),
        (lw.Epname, [b"x"], -1),
        (lw.Epname, [["x"]], -1),
        (lw.Urc, [0], 0),
        (lw.Urc, [1], 0),
        (lw.Urc, [2], -1),
        (lw.Urc, ["1"], -1),
        (lw.Urc, [], -1),
        (lw.Fota, [0, 1], 0),
        (lw.Fota, [1, 0], 0),
        (lw.Fota, [2, 0], -1),
        (lw.Fota, [0, -1], -1),
        (lw.Fota, [1], -1),
        (lw.Fota, [], -1),
        (lw.Reset, [], 0),
        (lw.Reset, [1], -1),
        (3, [5683], -2),  # native types that this object does not have
        (99, [], -2),
        (0, [], -2),
        ("Security", [1], -1),
        (None, [], -1),
        (lw.Security, None, -1),
        (lw.Security, "1", -1),
        (lw.Security, 1, -1),
        (lw.Security, {}, -1),
    ):
        got = lw.config(kind, values)
        assert got == result and isinstance(got, int), (kind, values, got)


def test_unconfigured():
    lw = Lwm2m()
    assert lw.register() == -1 and lw.stat() == 0
    assert lw.unregister() == -1
    for ssid in (1000, 0, -1, "1000", None, 65535):
        assert lw.update(ssid) == -1, ssid
    assert lw.register_call(5) == -1 and lw.register_call("f") == -1
    assert lw.register_call(None) == 0 and lw.register_call(print) == 0
    # a server without security, and one that was cleared
    assert lw.config(lw.Server, [1, 60, 2, 60, 86400, 1, "U"]) == 0 and lw.register() == -1
    lw.config(lw.Security, [1, 1000, U, 0, 3])
    lw.config(lw.Security, [1])
    assert lw.register() == -1 and lw.stat() == 0


def test_life():
    lw, link, out = ready()
    assert lw.config(lw.Server, [1, 60, 2, 60, 86400, 1, "U"]) == 0
    s = link.server
    assert lw.stat() == 0 and lw.register() == 0
    assert lw.stat() == 1
    link.until("REGISTRATION_COMPLETE")
    assert lw.stat() == 2
    assert s.requests[0].query() == ["b=U", "ep=testname", "lt=60", "lwm2m=1.0"]
    assert texts(out) == [
        '"initial","successfully",1000',
        '"registering"',
        '"ready","successfully",1000',
    ]
    assert '"ready","successfully"' in out[-1][2]
    # registered already: no traffic
    n = len(s.heard)
    assert lw.register() == 0
    link.run(1)
    assert len(s.heard) == n
    del out[:]
    assert lw.update(1000) == 0 and lw.update(1001) == -1
    link.run(1)
    assert texts(out) == ['"update","successfully",1000']
    del out[:]
    assert lw.unregister() == 0
    assert lw.stat() == 3
    link.run(1)
    assert (
        lw.stat() == 0 and texts(out) == ['"deregister",1000,0'] and s.requests[-1].code == DELETE
    )
    assert lw.update(1000) == -1
    # and again
    del out[:]
    assert lw.register() == 0
    link.until("REGISTRATION_COMPLETE")
    assert lw.stat() == 2 and len(out) == 3


def test_defaults():
    lw, link, out = ready()
    assert lw.register() == 0
    link.until("REGISTRATION_COMPLETE")
    assert (
        "lt=86400" in link.server.requests[0].query() and "b=U" in link.server.requests[0].query()
    )
    for r, v in ((0, 1000), (1, 86400), (2, 86400), (3, 86400), (5, 86400), (7, "U")):
        assert lw.client.get("/1/1/%d" % r) == v
    # what was configured goes into the server object
    lw, link, out = ready()
    lw.config(lw.Server, [1, 60, 2, 61, 62, 0, "US"])
    lw.register()
    for r, v in ((0, 1000), (1, 60), (2, 2), (3, 61), (5, 62), (6, False), (7, "US")):
        assert lw.client.get("/1/1/%d" % r) == v, r


def test_names():
    lw, link, out = ready()
    lw.config(lw.Epnamemode, [3])
    lwm2m_port.name = "urn:imei:860000000000001"
    try:
        lw.register()
        link.until("REGISTRATION_COMPLETE")
    finally:
        lwm2m_port.name = None
    assert "ep=urn:imei:860000000000001" in link.server.requests[0].query()


def test_failures():
    lw, link, out = ready()
    s = link.server
    s.reply = lambda m: (0x83, (), b"")
    lw.register()
    link.run(1000)
    assert lw.stat() == 4
    t = texts(out)
    assert t.count('"ready","failed",1000') == 5 and t[:3] == [
        '"initial","successfully",1000',
        '"registering"',
        '"ready","failed",1000',
    ]
    # it may be asked again
    s.reply = s.accept
    assert lw.register() == 0
    link.until("REGISTRATION_COMPLETE")
    # nobody answers an update, or the server does not know the client any more
    for reply in (
        lambda m: None if m.path() == "/rd/7" else s.accept(m),
        lambda m: (0x84, (), b"") if m.path() == "/rd/7" else s.accept(m),
    ):
        del out[:]
        s.reply = reply
        lw.update(1000)
        link.until("REGISTRATION_COMPLETE")
        t = texts(out)
        assert t[0] == '"update","failed",1000' and t[-1] == '"ready","successfully",1000', t
        s.reply = s.accept
    del out[:]
    s.reply = lambda m: (0x84, (), b"")
    lw.unregister()
    link.run(5)
    assert texts(out) == ['"deregister",1000,1'] and lw.stat() == 0


def test_no_network():
    lw, link, out = ready()

    def broken(host, port):
        raise OSError(101)

    lw.client.transport = broken
    assert lw.register() == 0
    link.run(1)
    assert texts(out)[0] == '"initial","failed",1000', texts(out)


def test_register_between_attempts():
    lw, link, out = ready()
    s = link.server
    s.reply = lambda m: (0x83, (), b"")
    lw.register()
    link.run(1)
    assert lw.stat() == 1 and len(s.requests) == 1
    # it does not wait out the minute
    s.reply = s.accept
    assert lw.register() == 0
    link.run(1)
    assert lw.stat() == 2 and len(s.requests) == 2
    # while the answer is awaited there is nothing to do anew
    lw, link, out = ready()
    link.server.reply = lambda m: None
    lw.register()
    link.run(0.1)
    assert lw.register() == 0
    link.run(0.1)
    assert len(link.server.heard) == 1


def test_an_account_is_cleared_or_replaced():
    for values, code in (([1], -1), ([1, 1001, "coap://other", 0, 3], 0)):
        lw, link, out = ready()
        lw.register()
        link.until("REGISTRATION_COMPLETE")
        n = len(link.server.heard)
        assert lw.config(lw.Security, values) == 0
        assert lw.stat() == 0 and not link.server.open and lw.update(1000) == -1
        assert lw.register() == code
        link.run(1)
        assert len(link.server.heard) == n
        if not code:
            assert lw.stat() == 2 and lw.update(1001) == 0
            assert list(lw.client.tree.inst[1]) == [1] and lw.client.get("/1/1/0") == 1001
    # wrong values leave it alone
    lw, link, out = ready()
    lw.register()
    link.until("REGISTRATION_COMPLETE")
    assert lw.config(lw.Security, [1, None]) == -1 and lw.stat() == 2


def test_an_account_is_cleared_by_the_callback():
    lw, link, out = ready()
    lw.register()
    link.until("REGISTRATION_COMPLETE")
    lw.register_call(lambda args: out.append(lw.config(lw.Security, [1])))
    # what the server asked for is still answered
    assert link.server.put("/1/1/1", b"300").code == 0x44
    assert out[-1] == 0 and lw.stat() == 0
    link.run(1)
    assert not link.server.open and not lw.client.active()


def test_two_servers():
    lw, link, out = ready()
    other = link.peer("other")
    lw.register()
    link.until("REGISTRATION_COMPLETE")
    assert 2 not in lw.client.tree.inst
    assert (
        lw.config(lw.Security, [2, 1000, "coap://other", 0, 3]) == -1
    )  # an SSID names one server
    assert lw.config(lw.Security, [2, 1001, "coap://other", 0, 3]) == 0
    assert lw.config(lw.Security, [1, 1001, U, 0, 3]) == -1
    # a new account is a reason to begin
    assert lw.register() == 0
    link.until("REGISTRATION_COMPLETE")
    link.until("REGISTRATION_COMPLETE")
    assert lw.update(1000) == 0 and lw.update(1001) == 0
    access = lw.client.access
    if access:
        assert lw.client.tree.inst[2] == {} and b"</2>" in other.requests[-1].payload
    n = len(other.heard)
    assert lw.config(lw.Security, [1]) == 0
    assert lw.stat() == 2 and not link.server.open and other.open
    assert lw.register() == 0 and lw.client.access is access
    link.run(1)
    assert len(other.heard) == n + 1  # the update


def test_settings_of_a_server_that_is_registered():
    lw, link, out = ready()
    assert lw.config(lw.Server, [1, 60, 2, 60, 86400, 1, "U"]) == 0
    lw.register()
    link.until("REGISTRATION_COMPLETE")
    assert lw.config(lw.Server, [1, 120, 2, 60, 86400, 1, "UQ"]) == 0
    assert lw.client.get("/1/1/0") == 1000
    assert lw.update(1000) == 0
    link.run(1)
    assert link.server.requests[-1].query() == ["b=UQ", "lt=120"]


def test_disabled():
    lw, link, out = ready()
    lw.config(lw.Server, [1, 600, 2, 60, 120, 1, "U"])
    lw.register()
    link.until("REGISTRATION_COMPLETE")
    del out[:]
    assert link.server.post("/1/1/4").code == 0x44
    link.until("SERVER_DISABLED")
    assert texts(out) == ['"deregister",1000,0'] and lw.stat() == 0
    link.until("REGISTRATION_COMPLETE")
    assert texts(out)[1:] == [
        '"initial","successfully",1000',
        '"registering"',
        '"ready","successfully",1000',
    ]


def test_no_name():
    lw = Lwm2m()
    lw.running = True
    lw.config(lw.Security, [1, 1000, U, 0, 3])
    lw.config(lw.Epnamemode, [1])
    assert lw.register() == -1 and lw.stat() == 0


def tlv(ident, v):
    return bytes((0xC8, ident, len(v))) + v


def test_bootstrap():
    lw, link, out = ready()
    assert lw.config(lw.Security, [1]) == 0
    assert lw.config(lw.Security, [0, 100, "coap://boot:5683", 1, 3]) == 0
    b = link.peer("boot")
    s = link.peer("server")
    assert lw.register() == 0
    link.until("BOOTSTRAP_REG_COMPLETE")
    assert lw.stat() == 1 and b.requests[0].query() == ["ep=testname"]
    assert (
        b.put(
            "/0/1", tlv(0, U.encode()) + tlv(1, b"\0") + tlv(2, b"\3") + tlv(10, b"\x03\xe8"), TLV
        ).code
        == 0x44
    )
    assert (
        b.put(
            "/1/1", tlv(0, b"\x03\xe8") + tlv(1, b"\x3c") + tlv(6, b"\0") + tlv(7, b"U"), TLV
        ).code
        == 0x44
    )
    assert b.post("/bs").code == 0x44
    link.until("REGISTRATION_COMPLETE")
    assert texts(out) == [
        '"initial","successfully",100',
        '"bootstraping"',
        '"bootstrap","successfully",100',
        '"initial","successfully",1000',
        '"registering"',
        '"ready","successfully",1000',
    ], texts(out)
    assert lw.stat() == 2 and "lt=60" in s.requests[0].query()
    # by the number that the bootstrap gave
    assert lw.update(1000) == 0 and lw.update(100) == -1


def test_register_after_a_bootstrap():
    lw, link, out = ready()
    lw.config(lw.Security, [1])
    lw.config(lw.Security, [0, 100, "coap://boot:5683", 1, 3])
    b = link.peer("boot")
    lw.register()
    link.until("BOOTSTRAP_REG_COMPLETE")
    b.put("/0/1", tlv(0, U.encode()) + tlv(1, b"\0") + tlv(2, b"\3") + tlv(10, b"\x65"), TLV)
    # half of an account: what is missing is the bootstrap server's to write
    assert lw.register() == 0 and not lw.client.tree.inst[1]
    b.put("/1/0", tlv(0, b"\x65") + tlv(1, b"\x3c") + tlv(6, b"\0") + tlv(7, b"U"), TLV)
    assert b.post("/bs").code == 0x44
    link.until("REGISTRATION_COMPLETE")
    lw.unregister()
    link.run(1)
    before = {i: dict(d) for i, d in lw.client.tree.inst[1].items()}
    assert lw.register() == 0
    link.until("REGISTRATION_COMPLETE")
    assert lw.client.tree.inst[1] == before and list(before) == [0]
    assert "lt=60" in link.server.requests[-1].query()
    # its settings are those of the account with this number, wherever they are
    assert lw.config(lw.Server, [1, 120, 2, 60, 86400, 1, "U"]) == 0
    assert list(lw.client.tree.inst[1]) == [0] and lw.client.get("/1/0/0") == 101
    link.run(1)
    assert link.server.requests[-1].query() == ["lt=120"]


def test_a_bootstrap_that_fails():
    lw, link, out = ready()
    lw.config(lw.Security, [1])
    lw.config(lw.Security, [0, 100, "coap://boot:5683", 1, 3])
    link.peer("boot").reply = lambda m: (0x80, (), b"")
    lw.register()
    link.run(5)
    assert texts(out)[-1] == '"bootstrap","failed",100'


def test_what_a_server_writes():
    lw, link, out = ready()
    lw.register()
    link.until("REGISTRATION_COMPLETE")
    s = link.server
    for path, value, text in (
        ("/1/1/1", b"300", '"lifetime_changed",300'),
        ("/3/0/13", b"1700000000", '"current_time_changed",1700000000'),
    ):
        del out[:]
        assert s.put(path, value).code == 0x44
        assert text in texts(out), (path, texts(out))
    # refused: nothing to tell
    del out[:]
    assert s.put("/1/1/1", b"never").code == 0x80 and out == []
    if 11 not in lw.client.tree.inst:
        raise Skip("object 11 is not in this image")
    assert b"</11>" in s.requests[0].payload, s.requests[0].payload
    # a server makes the instance, and hears what it is given
    del out[:]
    values = tlv(0, b"name") + tlv(4, b"\x01") + tlv(1, b"first")
    m = s.post("/11", values, TLV)
    assert m.code == 0x41, m
    t = texts(out)
    assert '"apn_changed","first"' in t and '"authentication_type_changed",1' in t, t
    for r, value, text in (
        (1, b"internet", '"apn_changed","internet"'),
        (5, b"me", '"user_name_changed","me"'),
        (6, b"pw", '"secret_changed","pw"'),
        (4, b"2", '"authentication_type_changed",2'),
    ):
        del out[:]
        m = s.put("/11/0/%d" % r, value)
        assert m.code == 0x44 and texts(out) == [text], (r, m, texts(out))


def test_urc_switch():
    lw, link, out = ready()
    assert lw.config(lw.Urc, [0]) == 0
    lw.register()
    link.until("REGISTRATION_COMPLETE")
    assert out == []
    assert lw.config(lw.Urc, [1]) == 0
    lw.update(1000)
    link.run(1)
    assert len(out) == 1
    lw.register_call(None)
    lw.update(1000)
    link.run(1)
    assert len(out) == 1 and lw.stat() == 2


def test_a_callback_that_raises():
    lw, link, out = ready()
    calls = []

    def bad(args):
        calls.append(args)
        raise (RuntimeError("mine"), SystemExit(), KeyboardInterrupt())[len(calls) % 3]

    lw.register_call(bad)
    lw.register()
    link.until("REGISTRATION_COMPLETE")
    assert len(calls) == 3 and lw.stat() == 2
    lw.update(1000)
    link.run(1)
    assert len(calls) == 4 and link.server.get("/3/0/0", 0).code == 0x45


def test_reset():
    lw, link, out = ready()
    lw.register()
    link.until("REGISTRATION_COMPLETE")
    del out[:]
    assert lw.config(lw.Reset, []) == 0
    assert out == []  # nothing is sent
    assert lw.stat() == 0 and lw.register() == -1
    assert not link.server.open
    # set up anew, it works again
    link = Link(client=lw.client, start=False)
    lw.running = True
    lw.config(lw.Security, [1, 1000, U, 0, 3])
    assert lw.register() == 0
    link.until("REGISTRATION_COMPLETE")


def test_one_server_is_cleared():
    lw, link, out = ready()
    lw.config(lw.Server, [1, 60, 2, 60, 86400, 1, "U"])
    assert lw.config(lw.Server, [1]) == 0
    lw.register()
    link.until("REGISTRATION_COMPLETE")
    assert "lt=86400" in link.server.requests[0].query()


def test_in_the_background():
    """The vendor's example, with the client in its own thread."""
    try:
        import _thread
    except ImportError:
        raise Skip("no threads")
    lw = Lwm2m()
    link = Link(client=lw.client, start=False)
    link.peer("server")
    out = []

    def turn(state):
        # the client's thread polls by the real clock; the network's end is here
        for _ in range(2000):
            with lw.client.lock():
                link.deliver()
            if lw.stat() == state:
                return
            time.sleep_ms(2)
        raise AssertionError("stat() is %d" % lw.stat())

    assert lw.config(lw.Security, [1, 1000, "coap://server", 0, 3]) == 0
    assert lw.config(lw.Server, [1, 60, 2, 60, 86400, 1, "U"]) == 0
    assert lw.config(lw.Epnamemode, [1]) == 0 and lw.config(lw.Epname, ["x"]) == 0
    lw.register_call(lambda args: out.append(args))
    start = time.ticks_ms()
    assert lw.register() == 0
    assert time.ticks_diff(time.ticks_ms(), start) < 200
    turn(2)
    assert lw.update(1000) == 0
    for _ in range(500):
        with lw.client.lock():
            link.deliver()
        if '"update","successfully",1000' in texts(out):
            break
        time.sleep_ms(2)
    assert lw.unregister() == 0
    turn(0)
    assert texts(out)[-2:] == ['"update","successfully",1000', '"deregister",1000,0'], texts(out)
    # the thread ends by itself, and there is a new one the next time
    assert lw.register() == 0
    turn(2)
    assert lw.unregister() == 0
    turn(0)
    for _ in range(500):
        if not lw.running:
            return
        time.sleep_ms(2)
    raise AssertionError("the thread runs on")


def test_the_thread_and_exceptions():
    """What c.run() raises is waited out, what ends the thread lets another one begin."""
    try:
        import _thread
    except ImportError:
        raise Skip("no threads")
    lw, link, out = ready()
    lw.running = False
    runs = []
    errors = [ValueError("mine"), SystemExit()]

    def run():
        runs.append(time.ticks_ms())
        if errors:
            raise errors.pop(0)
        while lw.client.active():
            time.sleep_ms(5)

    def wait(n, running):
        for _ in range(400):
            if len(runs) == n and lw.running == running:
                return
            time.sleep_ms(5)
        raise AssertionError((runs, lw.running))

    lw.client.run = run
    assert lw.register() == 0
    wait(2, False)
    assert time.ticks_diff(runs[1], runs[0]) > 900
    assert lw.register() == 0
    wait(3, True)
    lw.client.stop(True)
    wait(3, False)


def test_the_face_of_the_package():
    from lwm2m import lwm2m as f

    import lwm2m as m

    a = f()
    assert a is m() is m.lwm2m() and a.Security == 1
    assert m.init() == 0 and m.stat() == a.stat()
    from lwm2m import LATER, Client, CoapError

    assert Client is m.Client and issubclass(CoapError, Exception) and LATER is not None
    assert "lwm2m" in sys.modules


def test_a_bootstrap_beside_settings_that_wait_for_it():
    # the vendor's example sets up Server 1 before the account is known
    for place in (0, 1):
        lw, link, out = ready()
        lw.config(lw.Security, [1])
        lw.config(lw.Security, [0, 100, "coap://boot:5683", 1, 3])
        assert lw.config(lw.Server, [1, 600, 2, 60, 86400, 1, "U"]) == 0
        b = link.peer("boot")
        assert lw.register() == 0
        link.until("BOOTSTRAP_REG_COMPLETE")
        b.put("/0/1", tlv(0, U.encode()) + tlv(1, b"\0") + tlv(2, b"\3") + tlv(10, b"\x65"), TLV)
        b.put(
            "/1/%d" % place, tlv(0, b"\x65") + tlv(1, b"\x3c") + tlv(6, b"\0") + tlv(7, b"U"), TLV
        )
        assert b.post("/bs").code == 0x44, place
        link.until("REGISTRATION_COMPLETE")
        assert list(lw.client.tree.inst[1]) == [place] and lw.stat() == 2
        assert "lt=60" in link.server.requests[0].query()


def test_an_account_that_is_cleared_leaves_its_settings_free():
    lw, link, out = ready()
    lw.config(lw.Server, [1, 600, 2, 60, 86400, 1, "U"])
    lw.register()
    link.until("REGISTRATION_COMPLETE")
    assert lw.config(lw.Security, [1]) == 0 and lw.client.get("/1/1/0") == 0
    assert lw.config(lw.Security, [1, 77, U, 0, 3]) == 0 and lw.register() == 0
    link.until("REGISTRATION_COMPLETE")
    assert lw.client.get("/1/1/0") == 77 and list(lw.client.tree.inst[1]) == [1]
    assert "lt=600" in link.server.requests[-1].query()


def test_register_while_it_leaves():
    lw, link, out = ready()
    lw.register()
    link.until("REGISTRATION_COMPLETE")
    s = link.server
    accept = s.reply
    for answered in (True, False):
        del out[:]
        s.reply = lambda m: accept(m) if answered or m.code != DELETE else None
        assert lw.unregister() == 0 and lw.stat() == 3
        assert lw.register() == 0 and lw.stat() == 3
        link.until("REGISTRATION_COMPLETE")
        assert texts(out) == [
            '"deregister",1000,%d' % (not answered),
            '"initial","successfully",1000',
            '"registering"',
            '"ready","successfully",1000',
        ], texts(out)
    # the last word counts
    s.reply = accept
    n = len(s.requests)
    lw.unregister()
    lw.register()
    assert lw.unregister() == 0
    link.run(200)
    assert lw.stat() == 0 and [m.code for m in s.requests[n:]] == [DELETE]
    # and it is over with that
    assert lw.register() == 0
    link.until("REGISTRATION_COMPLETE")
    lw.unregister()
    link.run(200)
    assert lw.stat() == 0
