# QuecPython's `lwm2m` object: accounts that are replaced, cleared, changed, and several of them
# SPDX-License-Identifier: MIT
from link import *
from quectel import *


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
            assert ids(lw.client, 1) == [1] and lw.client.get("/1/1/0") == 1001
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
    assert ids(lw.client, 2) is None
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
        assert ids(lw.client, 2) == [] and b"</2>" in other.requests[-1].payload
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


def test_an_account_that_is_cleared_leaves_its_settings_free():
    lw, link, out = ready()
    lw.config(lw.Server, [1, 600, 2, 60, 86400, 1, "U"])
    lw.register()
    link.until("REGISTRATION_COMPLETE")
    assert lw.config(lw.Security, [1]) == 0 and lw.client.get("/1/1/0") == 0
    assert lw.config(lw.Security, [1, 77, U, 0, 3]) == 0 and lw.register() == 0
    link.until("REGISTRATION_COMPLETE")
    assert lw.client.get("/1/1/0") == 77 and ids(lw.client, 1) == [1]
    assert "lt=600" in link.server.requests[-1].query()


def test_settings_beside_another_account():
    # instance 1 of object 1 is another account's: the settings of server 1 go behind it
    lw, link, out = ready()
    lw.config(lw.Security, [1])
    assert lw.config(lw.Security, [2, 1001, "coap://other", 0, 3]) == 0
    c = lw.client
    c.create("/1/1")
    store(c, "/1/1/0", 1001)
    assert lw.config(lw.Security, [1, 1000, U, 0, 3]) == 0
    assert lw.config(lw.Server, [1, 600, 2, 60, 86400, 1, "U"]) == 0
    assert lw.config(lw.Server, [2, 700, 2, 60, 86400, 1, "U"]) == 0
    assert lw.register() == 0
    link.until("REGISTRATION_COMPLETE")
    link.until("REGISTRATION_COMPLETE")
    assert ids(c, 1) == [1, 2] and c.get("/1/2/0") == 1000 and c.get("/1/1/0") == 1001
    assert "lt=600" in link.server.requests[0].query()
    assert "lt=700" in link.peer("other").requests[0].query()
