# QuecPython's `lwm2m` object: accounts that a bootstrap server gives
# SPDX-License-Identifier: MIT
from link import *
from quectel import *


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
    assert lw.register() == 0 and not ids(lw.client, 1)
    b.put("/1/0", tlv(0, b"\x65") + tlv(1, b"\x3c") + tlv(6, b"\0") + tlv(7, b"U"), TLV)
    assert b.post("/bs").code == 0x44
    link.until("REGISTRATION_COMPLETE")
    lw.unregister()
    link.run(1)
    before = stored(lw.client, 1)
    assert lw.register() == 0
    link.until("REGISTRATION_COMPLETE")
    assert stored(lw.client, 1) == before and list(before) == [0]
    assert "lt=60" in link.server.requests[-1].query()
    # its settings are those of the account with this number, wherever they are
    assert lw.config(lw.Server, [1, 120, 2, 60, 86400, 1, "U"]) == 0
    assert ids(lw.client, 1) == [0] and lw.client.get("/1/0/0") == 101
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
        assert ids(lw.client, 1) == [place] and lw.stat() == 2
        assert "lt=60" in link.server.requests[0].query()


def test_two_accounts_of_a_bootstrap():
    # with the second server comes access control, where this image has it
    lw, link, out = ready()
    lw.config(lw.Security, [1])
    lw.config(lw.Security, [0, 100, "coap://boot:5683", 1, 3])
    b = link.peer("boot")
    lw.register()
    link.until("BOOTSTRAP_REG_COMPLETE")
    for k, host in ((1, b"coap://server"), (2, b"coap://other")):
        account = tlv(0, host) + tlv(1, b"\0") + tlv(2, b"\3") + tlv(10, bytes((100 + k,)))
        assert b.put("/0/%d" % k, account, TLV).code == 0x44
        values = tlv(0, bytes((100 + k,))) + tlv(1, b"\x3c") + tlv(6, b"\0") + tlv(7, b"U")
        assert b.put("/1/%d" % k, values, TLV).code == 0x44
    assert b.post("/bs").code == 0x44
    link.until("REGISTRATION_COMPLETE")
    link.until("REGISTRATION_COMPLETE")
    assert lw.update(101) == lw.update(102) == 0
    lw.unregister()
    link.run(5)
    assert lw.stat() == 0 and lw.register() == 0
    link.until("REGISTRATION_COMPLETE")
    link.until("REGISTRATION_COMPLETE")
    try:
        from lwm2m.objects import access
    except ImportError:
        return
    for host in ("server", "other"):
        links = link.peer(host).requests[-1].payload.split(b",")
        assert [x for x in links if x[:4] == b"</2>"], links
