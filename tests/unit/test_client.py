# What an application holds: values, functions, errors, life, threads
# SPDX-License-Identifier: MIT
import gc

import lwm2m_port
from codec import ALL
from link import *
from lwm2m.client import Client
from lwm2m.session.connect import parse_uri
from lwm2m.model.tables.ipso import TABLE as IPSO
from lwm2m.model.tables.standard import TABLE as STANDARD


def client(**options):
    link = Link(**options)
    link.client.objects(IPSO)
    link.client.objects(ALL)
    link.client.objects(STANDARD)
    link.client.create("/1000/0")
    return link, link.client


def test_addresses():
    for uri, want in (
        ("coap://host", (False, "host", 5683)),
        ("coap://host/", (False, "host", 5683)),
        ("coaps://host", (True, "host", 5684)),
        ("coap://host:1", (False, "host", 1)),
        ("host:65535", (False, "host", 65535)),
        ("host", (False, "host", 5683)),
        ("10.0.0.1", (False, "10.0.0.1", 5683)),
        ("coap://[::1]", (False, "::1", 5683)),
        ("coaps://[2001:db8::1]:7000", (True, "2001:db8::1", 7000)),
        # RFC 3986 3.2.3, 3.1, and a zone (RFC 6874)
        ("coap://host:", (False, "host", 5683)),
        ("coaps://host:/", (True, "host", 5684)),
        ("host:", (False, "host", 5683)),
        ("coap://[::1]:", (False, "::1", 5683)),
        ("COAP://Host", (False, "Host", 5683)),
        ("CoAPs://host:1", (True, "host", 1)),
        ("coap://[fe80::1%25eth0]", (False, "fe80::1%eth0", 5683)),
        ("coap://[fe80::1%25eth0]:1", (False, "fe80::1%eth0", 1)),
        ("coap://[fe80::1%eth0]", (False, "fe80::1%eth0", 5683)),
        ("coap://host?query", (False, "host", 5683)),
    ):
        assert tuple(parse_uri(uri)) == want, (uri, parse_uri(uri))
    for uri in (
        "",
        "coap://",
        "http://x",
        "coap://x:0",
        "coap://x:65536",
        "coap://x:y",
        "coap://[::1",
        "x:-1",
        "coap://x:1:2",
        "coap://x:+1",
        "coap://x: 1",
        "coap://:1",
        "coap://[]",
        "coap://a]",
    ):
        assert raises(ValueError, parse_uri, uri), uri


def test_construction():
    for options, error in (
        ({"nonsense": 1}, TypeError),
        ({"_x": 1}, TypeError),
        ({"start": 1}, TypeError),  # methods
        ({"on_read": 1}, TypeError),
        ({"request": 1}, TypeError),
        ({"version": "2.0"}, ValueError),
        ({"version": "1"}, ValueError),
        ({"version": 1.1}, ValueError),
        ({"binding": "X"}, ValueError),
        ({"binding": "QU"}, ValueError),
        ({"binding": ""}, ValueError),
        ({"lifetime": "60"}, ValueError),
        ({"lifetime": 1.5}, ValueError),
        ({"lifetime": -1}, ValueError),
        ({"lifetime": None}, ValueError),
        ({"ssid": "1"}, ValueError),
    ):
        assert raises(error, Client, "ep", "coap://x", **options), options
    for uri in ("http://x", "coap://x:99999"):
        assert raises(ValueError, Client, "ep", uri), uri
    c = Client("ep", "coap://host", lifetime=60, binding="UQ", ssid=5)
    assert c.get("/1/0/1") == 60 and c.get("/1/0/7") == "UQ" and c.get("/1/0/0") == 5
    for version in (None, "1.0", "1.1", "1.2"):
        for binding in ("U", "UQ", "S", "SQ", "US", "UQS"):
            assert Client("ep", "coap://x", version=version, binding=binding).binding == binding
    for root in ("", None, "/", ()):
        assert b"</1/0>" in payload_of_register(alternate_path=root), root
    assert b"</a/b/1/0>" in payload_of_register(alternate_path="/a/b/")
    # nothing is shared between two clients
    d = Client("other", "coap://host")
    assert d.get("/1/0/1") == 86400 and c.get("/1/0/1") == 60
    d.set("/3/0/14", "+05:00")
    assert c.get("/3/0/14") == "+00:00"
    assert Client("a").stat() == 0 and raises(ValueError, Client("a").start)


def test_names_of_the_device():
    link = Link(name=None, start=False)
    lwm2m_port.name = "urn:imei:1"
    try:
        link.client.start()
        link.run(1)
    finally:
        lwm2m_port.name = None
    assert "ep=urn:imei:1" in link.server.requests[0].query()
    link = Link(start=False)
    link.client.start("given")
    link.run(1)
    assert "ep=given" in link.server.requests[0].query()


def test_set_and_get():
    link, c = client()
    for path, v in (
        ("/1000/0/1", "hé"),
        ("1000/0/1", ""),
        ("/1000/0/2", -5),
        ("/1000/0/2", 2**40),
        ("/1000/0/3", 1.5),
        ("/1000/0/4", True),
        ("/1000/0/5", b"\0\xff"),
        ("/1000/0/6", 1700000000),
        ("/1000/0/7", (3, 0)),
        ("/1000/0/8", 2**63),
        ("/1000/0/9", "</3>"),
        ("/1000/0/12", {0: 1, 65534: -1}),
        ("/1000/0/12", {}),
        ("/1000/0/11", {3: "x"}),
        ("/1000/0/17", {0: (1, 2)}),
    ):
        c.set(path, v)
        got = c.get(path)
        assert got == v and type(got) is type(v), (path, got)
    c.set("/1000/0/12", [7, 8])
    assert c.get("/1000/0/12") == {0: 7, 1: 8} and c.get("/1000/0/12/1") == 8
    c.set("/1000/0/12/5", 9)
    assert c.get("/1000/0/12") == {0: 7, 1: 8, 5: 9}
    c.set("/1000/0/12/0", None)
    assert c.get("/1000/0/12") == {1: 8, 5: 9}
    c.set("/1000/0/2", None)
    c.set("/1000/0/2", None)  # gone already
    assert c.get("/1000/0/2") is None and c.get("/1000/0/12/9") is None
    assert c.get("/1000/0/300") is None


def test_errors():
    link, c = client()
    for path, v, error in (
        ("/1000/9/1", "x", KeyError),
        ("/9999/0/1", "x", ValueError),
        ("/1000/0/77", "x", ValueError),
        ("/1000/0", "x", ValueError),
        ("/1000", "x", ValueError),
        ("/", "x", ValueError),
        ("", "x", ValueError),
        ("/1000/0/x", "x", ValueError),
        ("/1000/0/1/0", "x", ValueError),  # a single resource
        ("/1000/0/1", 5, ValueError),
        ("/1000/0/1", {0: "x"}, ValueError),
        ("/1000/0/2", "5", ValueError),
        ("/1000/0/2", 2**64, ValueError),
        ("/1000/0/2", 1.5, ValueError),
        ("/1000/0/3", "1", ValueError),
        ("/1000/0/4", 2, ValueError),
        ("/1000/0/5", 5, ValueError),
        ("/1000/0/7", "3", ValueError),
        ("/1000/0/7", 3.5, ValueError),
        ("/1000/0/7", b"3:0", ValueError),
        ("/1000/0/7", (None, 0), ValueError),
        ("/1000/0/7", ("x", 0), ValueError),
        ("/1000/0/8", -1, ValueError),
        ("/1000/0/21", -1, ValueError),
        ("/1000/0/12", 5, ValueError),
        ("/1000/0/12", {0: "x"}, ValueError),
        ("/1000/0/12", {-1: 5}, ValueError),
        ("/1000/0/12", {"a": 5}, ValueError),
        ("/1000/0/12", {None: 5}, ValueError),
        ("/1000/0/12", {0: None}, ValueError),
        ("/1000/0/12", {65536: 5}, ValueError),
    ):
        before = repr(stored(c, 1000))
        try:
            c.set(path, v)
        except Exception as e:
            assert isinstance(e, error), (path, v, e)
        else:
            assert False, (path, v)
        assert repr(stored(c, 1000)) == before, (path, v)
    for path, error in (
        ("/1000/9/1", KeyError),
        ("/9999/0/1", ValueError),
        ("/1000/0/77", ValueError),
        ("/1000/0", ValueError),
    ):
        assert raises(error, c.get, path), path
    assert c.get("/0/0/0") == "coap://server"


def payload_of_register(**options):
    return Link(**options).server.requests[0].payload


def test_instances():
    link, c = client()
    assert (
        c.create("/3303/5") == "/3303/5"
        and c.create("/3303") == "/3303/0"
        and c.create("3303") == "/3303/1"
    )
    before = everything(c)
    for path in (
        "/3303/5",
        "/9999",
        "/9999/0",
        "/3303/0/5700",
        "/x",
        "/",
        "/3303/65535",
        "/3303/65536",
        "/3",  # a second one of what there is once
        "/3/1",
        "/6/1",
    ):
        assert raises(ValueError, c.create, path), path
    assert everything(c) == before
    assert c.create("/6") == "/6/0" and raises(ValueError, c.create, "/6")
    assert c.create("/3303/65534") == "/3303/65534"
    c.delete("/3303/5")
    assert raises(KeyError, c.delete, "/3303/5") and raises(KeyError, c.delete, "/9999/0")
    c.set("/1000/0/12", {0: 1, 3: 4})
    c.delete("/1000/0/12/3")
    assert c.get("/1000/0/12") == {0: 1}


def test_execute():
    link, c = client()
    calls = []
    c.on_exec("/1000/0/40", lambda path, args: calls.append((path, args)))
    c.exec("/1000/0/40")
    c.exec("1000/0/40", b"5")
    assert calls == [("/1000/0/40", b""), ("/1000/0/40", b"5")]
    # the lock is held, as it is when a server asks for it
    c.on_exec("/1000/0/40", lambda path, args: calls.append(c._lock.depth))
    c.exec("/1000/0/40")
    assert calls[-1] == 1 and not c._lock.depth
    assert raises(ValueError, c.exec, "/1000/0/1") and raises(ValueError, c.exec, "/9999/0/1")
    assert raises(KeyError, c.exec, "/1000/7/40")
    n = len(link.server.requests)
    c.exec("/1/0/8")
    link.run(2)
    assert link.server.requests[n].path() == "/rd/7"
    assert raises(ValueError, c.exec, "/1/0/1")


def test_validate():
    link, c = client()
    c.validate("/1000/0/2", lambda path, v: 0 <= v <= 10)
    c.set("/1000/0/2", 10)
    assert raises(ValueError, c.set, "/1000/0/2", 11) and c.get("/1000/0/2") == 10
    assert link.server.put("/1000/0/2", b"11").code == 0x80
    c.validate("/1000/0/2", None)
    c.set("/1000/0/2", 11)


def test_functions_are_replaced():
    link, c = client()
    c.on_read("/1000/0/2", lambda path, v: 1)
    c.on_read("/1000/0/2", lambda path, v: 2)
    assert c.get("/1000/0/2") == 2 and functions(c, 1000) == 1
    c.on_read("/1000/0/2", None)
    assert c.get("/1000/0/2") is None and not functions(c, 1000)


def test_events():
    link, c = client()
    seen = []

    def bad(name, ssid):
        raise RuntimeError("mine")

    c.event(bad)
    c.event(lambda name, ssid: seen.append((name, ssid)))
    c.update()
    link.run(1)
    assert seen == [("REG_UPDATE", 1), ("REG_UPDATE_COMPLETE", 1)] and c.stat() == 2
    assert printed() == [RuntimeError] * 2


def test_pause_and_resume():
    link, c = client(lifetime=300)
    s = link.server
    n = len(s.heard)
    c.pause()
    assert link.names()[-1] == "ENGINE_SUSPENDED"
    assert c.pause() is False and link.names().count("ENGINE_SUSPENDED") == 1
    s.ask(GET, "/3/0/0")
    link.run(100)
    assert len(s.heard) == n and c.poll(link.ticks()) == -1
    c.resume()
    link.run(5)
    assert len(s.heard) > n and c.stat() == 2
    # slept through its lifetime, it registers again or updates
    c.pause()
    link.run(1000)
    n = len(s.requests)
    c.resume()
    link.run(10)
    assert len(s.requests) > n and c.stat() == 2


def test_poll_tells_when():
    link, c = client()
    link.run(20)
    wait = c.poll(link.ticks())
    assert 0 < wait <= 1000001
    c.stop()
    link.run(1)
    assert c.poll(link.ticks()) == -1


def test_poll_by_the_real_clock():
    link, c = client()
    assert c.poll() >= 0 and c.stat() == 2


def test_a_jump_of_the_clock():
    # a host that slept for hours between two polls
    link, c = client(lifetime=3600)
    for k in range(5):
        link.ms += 5 * 3600 * 1000
        link.run(200)
        assert c.stat() == 2


def test_options_of_the_channel():
    seen = []
    link = Link(start=False)
    real = link.transport
    link.client.transport = lambda host, port: seen.append((host, port)) or real(host, port)
    link.client.set("/0/0/0", "coap://[::1]:7777")
    link.client.start()
    link.run(1)
    assert seen == [("::1", 7777)]


def test_threads():
    """A thread sets values while the client answers and notifies; nothing is lost or torn."""
    try:
        import _thread
    except ImportError:
        raise Skip("no threads")
    link, c = client()
    s = link.server
    for path in ("/1000/0/2", "/1000/0/3"):
        c.set(path, 0 if path[-1] == "2" else 0.0)
    token = s.observe("/1000/0").token
    done = []

    def work():
        try:
            for k in range(1, 300):
                with c.lock():
                    c.set("/1000/0/2", k)
                    c.set("/1000/0/3", float(k))
            done.append(None)
        except Exception as e:
            done.append(e)

    _thread.start_new_thread(work, ())
    while not done:
        link.run(0.2)
        time.sleep_ms(1)
        m = s.get("/1000/0")
        check(m.payload)
    assert done == [None], done
    link.run(10)
    notes = s.notes(token)
    assert notes
    for m in notes:
        check(m.payload)
    assert notes[-1].payload == s.get("/1000/0").payload


def check(payload):
    """Both values of the pair are of the same moment."""
    n = payload[0] & 7
    a = int.from_bytes(payload[2 : 2 + n], "big")
    at = 2 + n
    assert payload[at] == 0xC4 and payload[at + 1] == 3
    assert struct.unpack(">f", payload[at + 2 : at + 6])[0] == a, payload


def test_run_in_a_thread():
    try:
        import _thread
    except ImportError:
        raise Skip("no threads")
    link = Link(start=False)
    c = link.client
    c.start()
    ended = []

    def work():
        try:
            c.run()
            ended.append(None)
        except Exception as e:
            ended.append(e)

    _thread.start_new_thread(work, ())
    for _ in range(1000):
        with c.lock():
            link.deliver()
        if c.stat() == 2:
            break
        time.sleep_ms(2)
    assert c.stat() == 2
    c.stop()
    for _ in range(1000):
        with c.lock():
            link.deliver()
        if ended:
            break
        time.sleep_ms(2)
    assert ended == [None] and c.stat() == 0


def test_nothing_leaks():
    link, c = client()
    s = link.server
    used = []
    for turn in range(8):
        for k in range(25):
            c.create("/3303/0")
            c.set("/3303/0/5700", float(k))
            s.attributes("/3303/0/5700", "pmin=0", "gt=5")
            t = s.observe("/3303/0/5700").token
            c.set("/3303/0/5700", 50.0)
            s.request(GET, "/3303/0/5700", [(OBSERVE, 1)], token=t)
            s.attributes("/3303/0/5700", "pmin", "gt")
            s.put("/3303/0/5750", b"x" * k)
            c.delete("/3303/0")
            link.run(20)
            s.heard, s.requests, link.events, link.times, link.past = [], [], [], [], 0
        gc.collect()
        used.append(gc.mem_alloc())
    assert growth(used) < 500, used


def test_numbers_of_events():
    link, c = client()
    heard = []
    c.event(lambda name, ssid: heard.append((name, ssid)))
    names = (
        "NONE BOOTSTRAP_REG_FAILURE BOOTSTRAP_REG_COMPLETE BOOTSTRAP_TRANSFER_COMPLETE "
        "REGISTRATION_FAILURE REGISTRATION_COMPLETE REG_TIMEOUT REG_UPDATE_COMPLETE DEREGISTER_FAILURE "
        "DISCONNECT QUEUE_MODE_RX_OFF ENGINE_SUSPENDED SERVER_DISABLED NETWORK_ERROR REG_UPDATE DEREGISTER"
    ).split()
    for n in range(len(names)):
        c._emit(n, 7)
    assert heard == [(name, 7) for name in names]


def test_asyncio():
    try:
        from lwm2m.aio import run

        asyncio = module("asyncio")
    except ImportError:
        raise Skip("no asyncio")
    link = Link(start=False)
    c = link.client

    async def main():
        c.start()
        task = asyncio.create_task(run(c, 5))
        for state in (2, 0):
            for _ in range(500):
                link.deliver()
                if c.stat() == state:
                    break
                await asyncio.sleep_ms(2)
            assert c.stat() == state
            if state:
                c.stop()
        await asyncio.wait_for(task, 2)

    asyncio.run(main())
    assert link.names()[-1] == "DISCONNECT"


def test_parts_of_the_package():
    import lwm2m

    if not hasattr(lwm2m, "Client"):
        raise Skip("modules have no __getattr__ here")
    from lwm2m import events

    assert events.REGISTRATION == 21 and lwm2m.events is events
    assert lwm2m.Client is Client and lwm2m.lwm2m() is lwm2m.lwm2m()
    # what is no part of it is QuecPython's
    assert lwm2m.Security == 1 and not hasattr(lwm2m, "nonsense")
    try:
        module("asyncio")
    except ImportError:
        return
    assert callable(lwm2m.aio.run)


def test_calls_that_name_a_first_resource():
    link, c = client()
    c.create("/3303/1")
    for path in ("/3303/7/0", "/3303/7/0/0", "/6/1"):
        assert raises(ValueError, c.create, path), path
    assert ids(c, 3303)[-1] == 1
    for path in ("/3/0/0/0", "/1000/0/2/0"):
        assert raises(ValueError, c.set, path, 1) and raises(ValueError, c.get, path), path
    c.set("/1000/0/12", {0: 1, 3: 4})
    assert c.get("/1000/0/12/0") == 1 and c.get("/1000/0/12/3") == 4
    assert c.get("/1000/0/12/1") is None
    c.set("/1000/0/12/0", 9)
    assert c.get("/1000/0/12") == {0: 9, 3: 4}
    c.delete("/1000/0/12/0")
    assert c.get("/1000/0/12") == {3: 4}
    c.set("/3/0/0", "maker")
    assert link.server.get("/3/0/0", TEXT).payload == b"maker"
    c.set("/3/0/0", None)
    assert link.server.get("/3/0/0", TEXT).code == 0x84


def test_bootstrap_trigger_without_an_account():
    link = Link(version="1.1")
    assert link.server.post("/1/0/9").code == 0x85
    link.run(5)
    assert link.client.stat() == 2 and len(link.server.requests) == 1


def test_local_port():
    # none but that which the application asks for
    for options, local in (({}, 0), ({"local_port": 56830}, 56830)):
        link = Link(start=False, **options)
        link.client.transport = None
        lwm2m_port.asked = None
        link.client.start()
        link.run(1)
        assert lwm2m_port.asked == ("server", 5683, None, local), lwm2m_port.asked


def test_each_server_sees_the_version_that_it_has():
    link = Link(start=False, version=None)
    link.account(1, "coap://old", 2)
    old = link.peer("old")

    def only_1_0(m):
        if m.path() == "/rd" and "lwm2m=1.0" not in m.query():
            return 0x8C, (), b""
        return old.accept(m)

    old.reply = only_1_0
    for iid in (0, 1):
        link.client.set("/1/%d/17" % iid, 3)
    link.client.start()
    link.run(5)
    assert link.names().count("REGISTRATION_COMPLETE") == 2
    new = link.server
    for _ in range(2):
        assert new.get("/1/0/17", TEXT).code == 0x45 and old.get("/1/1/17", TEXT).code == 0x84
    # in notifications, and in what an update lists
    for s, iid in ((new, 0), (old, 1)):
        token = s.observe("/1/%d" % iid, TLV).token
        since = len(s.heard)
        other = old if s is new else new
        other.get("/3/0/0", TEXT)
        link.client.set("/1/%d/6" % iid, False)
        link.run(1)
        (note,) = s.notes(token, since)
        assert (b"\xc1\x11\x03" in note.payload) == (s is new)
