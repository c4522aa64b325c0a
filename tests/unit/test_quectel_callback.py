# QuecPython's `lwm2m` object: what the callback hears of a server's writes, and what it may do
# SPDX-License-Identifier: MIT
from link import *
from quectel import *


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
    if ids(lw.client, 11) is None:
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
    assert printed() == [SystemExit, KeyboardInterrupt, RuntimeError, SystemExit]


def test_firmware_by_hand():
    import lwm2m.port

    try:
        from lwm2m.objects.firmware import Firmware
    except ImportError:
        raise Skip("no object 5 in this image")
    from slots import RamSlot

    slot = RamSlot()
    lwm2m.port.firmware_slot = lambda: slot
    try:
        lw, link, out = ready()
    finally:
        del lwm2m.port.firmware_slot
    assert lw.config(lw.Fota, [0, 0]) == 0
    lw.register()
    link.until("REGISTRATION_COMPLETE")
    s = link.server
    state = lambda: (lw.client.get("/5/0/3"), lw.client.get("/5/0/5"))
    firmware = lw.firmware[0]
    del out[:]
    assert s.put("/5/0/1", b"coap://server/x").code == 0x44
    assert '"fota/pkgurl","coap://server/x"' in texts(out)
    link.run(100)
    assert state() == (1, 0)
    firmware.downloaded(True)
    assert state() == (2, 0)
    assert s.post("/5/0/2").code == 0x44
    link.run(100)
    assert state() == (2, 0) and "FIRMWARE_UPDATE" in link.names()
    firmware.defer()
    assert state() == (2, 11)
    firmware.apply()
    assert state() == (3, 0)
    # by itself again
    assert lw.config(lw.Fota, [1, 1]) == 0
    assert firmware.auto_download and firmware.auto_update
