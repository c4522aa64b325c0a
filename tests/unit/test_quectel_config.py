# QuecPython's `lwm2m` object: the settings, their list shapes, ranges and return values
# SPDX-License-Identifier: MIT
from link import *
from quectel import *


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
        ([1, 1000, "coaps://server", 0, 0, "\xe4" * 33, KEY], -1),  # 66 bytes
        ([1, 1000, "coaps://server", 0, 0, "id", "01 02 "], -1),
        ([1, 1000, "coaps://server", 0, 0, "id", "01 203"], -1),
        ([1, 1000, "coaps://server", 0, 0, "id", b"0102"], -1),
        ([1, 1000, "coaps://server", 0, 0, b"id", KEY], -1),
        ([1, 1000, "coap://" + "\xe4" * 125, 0, 3], -1),
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
        before = stored(lw.client, 0)
        got = lw.config(lw.Security, values)
        assert not got or stored(lw.client, 0) == before, values
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
        (lw.Epname, ["\xe4" * 33], -1),  # 66 bytes
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


def test_no_name():
    lw = Lwm2m()
    lw.running = True
    lw.config(lw.Security, [1, 1000, U, 0, 3])
    lw.config(lw.Epnamemode, [1])
    assert lw.register() == -1 and lw.stat() == 0


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
