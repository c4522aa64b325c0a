# QuecPython's `lwm2m` object: register, update, unregister, and the URCs of each in their order
# SPDX-License-Identifier: MIT
import sys
import lwm2m_port
from link import *
from quectel import *


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
        assert out[0][:2] == [6, 1], out[0]
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


def test_the_face_of_the_package():
    from lwm2m import lwm2m as f

    import lwm2m as m

    a = f()
    assert a is m() is m.lwm2m() and a.Security == 1
    assert m.init() == 0 and m.stat() == a.stat()
    from lwm2m import LATER, Client, CoapError

    assert Client is m.Client and issubclass(CoapError, Exception) and LATER is not None
    assert "lwm2m" in sys.modules
