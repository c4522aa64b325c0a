# Tests of objects with behaviour: sensors, light, timer, location, statistics, portfolio, binary data
# SPDX-License-Identifier: MIT
import lwm2m_port
from link import *

from lwm2m.model.tables.ipso import TABLE as IPSO
from lwm2m.model.tables.standard import TABLE as STANDARD
from lwm2m.model.tree import ON_CHANGE, ON_READ
from lwm2m.objects import (
    binary,
    connmon,
    connstat,
    device,
    light,
    location,
    portfolio,
    sensor,
    timer,
)


def link(*modules, **options):
    """A registered client with these objects, and what their setup() returned."""
    x = Link(start=False, **options)
    x.client.objects(STANDARD)
    x.client.objects(IPSO)
    for m in modules:
        m.setup(x.client)
    x.client.start()
    x.until("REGISTRATION_COMPLETE")
    return x


def text(x, path):
    m = x.server.get(path, TEXT)
    assert m.code == 0x45, m
    return str(m.payload, "utf8")


def test_sensor_extremes_and_reset():
    x = link(sensor)
    c = x.client
    assert c.create("/3303") == "/3303/0"
    assert c.get("/3303/0/5701") == "Cel"
    # there is a value from the start, and the first that is measured counts even where it is the same
    assert c.get("/3303/0/5601") is None and text(x, "/3303/0/5700") in ("0", "0.0")
    c.create("/3303/7")
    c.set("/3303/7/5700", 0.0)
    assert c.get("/3303/7/5601") == c.get("/3303/7/5602") == 0.0
    c.delete("/3303/7")
    for v in (21.5, 19.0, 30.25, 25.0):
        c.set("/3303/0/5700", v)
    assert text(x, "/3303/0/5601") == "19.0"
    assert text(x, "/3303/0/5602") == "30.25"
    assert x.server.post("/3303/0/5605").code == 0x44
    assert text(x, "/3303/0/5601") == "25.0"
    assert text(x, "/3303/0/5602") == "25.0"
    # each instance has its own
    c.create("/3303/1")
    c.set("/3303/1/5700", -4.0)
    assert c.get("/3303/1/5602") == -4.0 and c.get("/3303/0/5601") == 25.0


def test_sensor_reset_before_any_measurement():
    x = link(sensor)
    x.client.create("/3300/0")
    assert x.server.post("/3300/0/5605").code == 0x44
    assert x.client.get("/3300/0/5601") is None


def test_sensor_extreme_notifies():
    x = link(sensor)
    x.client.create("/3304/0")
    x.client.set("/3304/0/5700", 50.0)
    m = x.server.observe("/3304/0/5602", TEXT)
    n = len(x.server.heard)
    x.client.set("/3304/0/5700", 40.0)
    x.run(2)
    assert not x.server.notes(m.token, n)
    x.client.set("/3304/0/5700", 60.0)
    x.run(2)
    assert [y.payload for y in x.server.notes(m.token, n)] == [b"60.0"]


def test_button_counts_rising_edges():
    x = link(sensor)
    c = x.client
    c.create("/3347/0")
    assert text(x, "/3347/0/5500") == "0" and text(x, "/3347/0/5501") == "0"
    for v in (True, True, False, True, False):
        c.set("/3347/0/5500", v)
    assert text(x, "/3347/0/5501") == "2"


def test_sensor_table_of_the_application():
    x = Link(start=False)
    x.client.objects(IPSO)
    sensor.setup(x.client, {3300: "lx"})
    x.client.create("/3300/0")
    assert x.client.get("/3300/0/5701") == "lx"
    assert ids(x.client, 3303) is None


def test_server_creates_sensor():
    x = link(sensor)
    # 5750 "a" is all that a server may give
    assert x.server.post("/3303", b"\xe1\x16\x76a", TLV).code == 0x41
    assert x.client.get("/3303/0/5701") == "Cel"


def test_light_on_time():
    x = link()
    heard = []
    light.setup(x.client, lambda path, v: heard.append((path, v)))
    c = x.client
    c.create("/3311/0")
    assert text(x, "/3311/0/5850") == "0" and text(x, "/3311/0/5852") == "0"
    x.run(5)
    assert x.server.put("/3311/0/5850", b"1").code == 0x44
    x.run(10)
    assert c.get("/3311/0/5852") == 10
    c.set("/3311/0/5850", False)
    x.run(7)
    assert text(x, "/3311/0/5852") == "10"
    c.set("/3311/0/5850", True)
    x.run(2)
    assert text(x, "/3311/0/5852") == "12"
    for _ in (1, 2):
        assert x.server.put("/3311/0/5852", b"0").code == 0x44
        assert text(x, "/3311/0/5852") == "0"
        x.run(3)
        assert text(x, "/3311/0/5852") == "3"
    assert x.server.put("/3311/0/5851", b"101").code == 0x80
    assert x.server.put("/3311/0/5851", b"100").code == 0x44
    assert heard == [
        ("/3311/0/5850", True),
        ("/3311/0/5850", False),
        ("/3311/0/5850", True),
        ("/3311/0/5851", 100),
    ], heard


def test_timer_one_shot():
    x = link(timer)
    c = x.client
    c.create("/3340/0")
    assert text(x, "/3340/0/5521") == "5.0" and text(x, "/3340/0/5526") == "1"
    assert text(x, "/3340/0/5543") == "0" and text(x, "/3340/0/5538") == "0.0"
    assert x.server.put("/3340/0/5521", b"2.5").code == 0x44
    m = x.server.observe("/3340/0/5543", TEXT)
    n = len(x.server.heard)
    x.run(1)
    start = x.ms
    assert x.server.post("/3340/0/5523").code == 0x44
    assert c.get("/3340/0/5543") is True
    # it runs already
    assert x.server.post("/3340/0/5523").code == 0x80
    x.run(1)
    assert abs(float(text(x, "/3340/0/5538")) - 1.5) < 0.001
    assert abs(float(text(x, "/3340/0/5544")) - 1.0) < 0.001
    x.run(3)
    notes = x.server.notes(m.token, n)
    assert [y.payload for y in notes] == [b"1", b"0"]
    assert notes[1].at - start == 2500, notes[1].at - start
    assert text(x, "/3340/0/5534") == "1" and text(x, "/3340/0/5501") == "1"
    assert text(x, "/3340/0/5544") == "2.5" and text(x, "/3340/0/5538") == "0.0"
    for _ in (1, 2):
        assert x.server.put("/3340/0/5544", b"0").code == 0x44
        assert text(x, "/3340/0/5544") == "0.0"
    # not in whole seconds
    assert x.server.put("/3340/0/5544", b"7.25").code == 0x44
    assert text(x, "/3340/0/5544") == "7.25"
    assert x.server.put("/3340/0/5526", b"5").code == 0x80
    assert x.server.put("/3340/0/5521", b"-1").code == 0x80


def test_timer_rest_and_off():
    x = link(timer)
    c = x.client
    c.create("/3340/3")
    c.set("/3340/3/5521", 1)
    c.set("/3340/3/5525", 4)
    assert x.server.post("/3340/3/5523").code == 0x44
    x.run(2)
    assert c.get("/3340/3/5543") is False
    # the rest lasts from 1 to 5 s
    assert x.server.post("/3340/3/5523").code == 0x80
    x.run(3)
    assert x.server.post("/3340/3/5523").code == 0x44
    # switched off in the middle, by the input and by the mode
    assert x.server.put("/3340/3/5850", b"0").code == 0x44
    assert c.get("/3340/3/5543") is False and c.get("/3340/3/5538") == 0
    x.run(5)
    assert x.server.post("/3340/3/5523").code == 0x80
    c.set("/3340/3/5850", True)
    assert x.server.post("/3340/3/5523").code == 0x44
    c.set("/3340/3/5526", 0)
    assert c.get("/3340/3/5543") is False
    x.run(5)
    assert x.server.post("/3340/3/5523").code == 0x80
    assert c.get("/3340/3/5534") == 3


def states(x, seconds):
    """The output of timer 0, second by second."""
    s = ""
    for _ in range(seconds):
        s += "1" if x.client.get("/3340/0/5543") else "0"
        x.run(1)
    return s


def modes(mode):
    x = link(timer)
    c = x.client
    c.create("/3340/0")
    c.set("/3340/0/5850", False)
    c.set("/3340/0/5521", 3)
    c.set("/3340/0/5526", mode)
    x.run(1)
    return x, c


def test_timer_interval():
    x, c = modes(2)
    c.set("/3340/0/5850", True)
    assert states(x, 6) == "111000"
    c.set("/3340/0/5850", False)
    assert states(x, 2) == "00"
    c.set("/3340/0/5850", True)
    assert states(x, 2) == "11"
    # shorter than the delay where the input goes off
    c.set("/3340/0/5850", False)
    assert states(x, 3) == "000"
    assert c.get("/3340/0/5544") == 8.0
    assert c.get("/3340/0/5501") == 2 and c.get("/3340/0/5534") == 2


def test_timer_pick_up():
    x, c = modes(3)
    c.set("/3340/0/5850", True)
    assert states(x, 6) == "000111"
    c.set("/3340/0/5850", False)
    assert states(x, 2) == "00"
    c.set("/3340/0/5850", True)
    assert states(x, 2) == "00"
    c.set("/3340/0/5850", False)
    assert states(x, 4) == "0000"
    assert c.get("/3340/0/5501") == 2 and c.get("/3340/0/5534") == 1
    assert c.get("/3340/0/5544") == 8.0


def test_timer_drop_out():
    x, c = modes(4)
    c.set("/3340/0/5850", True)
    assert states(x, 5) == "11111"
    c.set("/3340/0/5850", False)
    assert states(x, 2) == "11"
    # on again before the delay is over
    c.set("/3340/0/5850", True)
    assert states(x, 5) == "11111"
    c.set("/3340/0/5850", False)
    assert c.get("/3340/0/5538") == 3.0
    assert states(x, 5) == "11100"
    assert c.get("/3340/0/5501") == 2 and c.get("/3340/0/5534") == 1


def test_timer_goes_with_its_instance():
    x = link(timer)
    x.client.create("/3340/0")
    assert x.server.post("/3340/0/5523").code == 0x44
    assert x.server.delete("/3340/0").code == 0x42
    x.run(10)
    assert x.server.get("/3340/0/5543").code == 0x84


def test_timer_after_a_month():
    # ticks have wrapped around several times by then
    x = link(timer, lifetime=86400)
    c = x.client
    c.create("/3340/0")
    c.set("/3340/0/5521", 30 * 86400)
    c.exec("/3340/0/5523")
    x.run(30 * 86400 - 10)
    assert c.get("/3340/0/5543") is True
    assert abs(c.get("/3340/0/5538") - 10) < 0.1
    x.run(11)
    assert c.get("/3340/0/5543") is False
    assert abs(c.get("/3340/0/5544") - 30 * 86400) < 0.1


def test_location_timestamp():
    x = link(location)
    c = x.client
    assert text(x, "/6/0/5") == "0"
    lwm2m_port.seconds = 1700000000
    c.set("/6/0/0", 48.5)
    assert text(x, "/6/0/5") == "1700000000"
    lwm2m_port.seconds = 1700000100
    c.set("/6/0/6", 3.5)
    assert text(x, "/6/0/5") == "1700000100" and text(x, "/6/0/0") == "48.5"
    assert raises(ValueError, c.set, "/6/0/0", "north")
    c.delete("/6/0")
    c.create("/6/0")
    assert c.get("/6/0/0") == c.get("/6/0/1") == 0.0 and c.get("/6/0/5") == 0


def test_connection_statistics():
    x = link(connstat)
    s = x.server
    assert s.get("/7/0/2", TEXT).payload == b"0"
    n = len(s.heard)
    x.run(1)
    assert s.post("/7/0/6").code == 0x44
    # the answer to the Execute is the first that counts
    sent = [len(m.raw) + 28 for m in s.heard[n:]]
    for _ in range(50):
        m = s.get("/7/0")
        sent.append(len(m.raw) + 28)
    assert int(text(x, "/7/0/2")) == sum(sent) >> 10 > 0
    assert int(text(x, "/7/0/4")) == max(sent)
    assert int(text(x, "/7/0/3")) >= 50 * (28 + 8) >> 10
    assert s.post("/7/0/7").code == 0x44
    last = text(x, "/7/0/2"), text(x, "/7/0/5")
    for _ in range(50):
        s.get("/7/0")
    assert last == (text(x, "/7/0/2"), text(x, "/7/0/5"))
    assert 36 < int(last[1]) < max(sent)


def test_collection_period():
    x = link(connstat)
    s = x.server
    assert s.put("/7/0/8", b"60").code == 0x44
    assert s.post("/7/0/6").code == 0x44
    x.run(30)
    s.get("/7/0")
    a = text(x, "/7/0/5")
    assert int(a) > 28
    x.run(31)
    a = text(x, "/7/0/4")
    for _ in range(10):
        s.get("/3/0")
    assert text(x, "/7/0/4") == a
    # a second Start begins anew
    assert s.post("/7/0/6").code == 0x44
    assert int(text(x, "/7/0/4")) < int(a)


def test_connectivity_monitoring():
    x = link(connmon)
    assert text(x, "/4/0/0") == "41"
    x.client.set("/4/0/4", ["10.0.0.7", "fe80::1"])
    assert (
        x.server.get("/4/0/4", TLV).payload == b"\x88\x04\x14\x48\x00\x0810.0.0.7\x47\x01fe80::1"
    )


class Modem:
    """QuecPython's modules `net` and `dataCall`."""

    known = True

    def csqQueryPoll(self):
        return 20 if self.known else 99

    def getServingCi(self):
        return 0x1A2B3C if self.known else -1

    def operatorName(self):
        return ("Operator", "Op", "262", "01") if self.known else -1

    def getInfo(self, profile, kind):
        return (1, 0, [1, 0, "10.64.0.9", "1.1.1.1", "8.8.8.8"]) if self.known else -1


def test_cellular_monitoring():
    sys.modules["net"] = sys.modules["dataCall"] = modem = Modem()
    try:
        try:
            __import__("lwm2m.port.cellular")
        except ImportError:
            raise Skip("an image for another platform")
        x = link(connmon)
    finally:
        for name in ("net", "dataCall", "lwm2m.port.cellular"):
            sys.modules.pop(name, None)
    got = [text(x, "/4/0/" + p) for p in ("0", "1/0", "2", "4/0", "8", "9", "10")]
    assert got == ["6", "6", "-73", "10.64.0.9", "1715004", "1", "262"], got
    modem.known = False
    for r in (2, 4, 8, 9, 10):
        assert x.server.get("/4/0/%d" % r).code == 0x84, r
    assert x.server.get("/4/0", TLV).code == 0x45


def test_portfolio():
    x = link()
    asked = []

    def auth(path, args):
        asked.append((path, args))
        if args == b"9":
            raise ValueError
        return [b"\x01\x02", b"\x03"]

    portfolio.setup(x.client, auth)
    s = x.server
    # ETS 1630: four identities
    ids = b"\x41\x00A\x41\x01B\x41\x02C\x41\x03D"
    assert s.post("/16", b"\x88\x00" + bytes([len(ids)]) + ids, TLV).code == 0x41
    assert x.client.get("/16/0/0") == {0: "A", 1: "B", 2: "C", 3: "D"}
    assert s.get("/16/0/2").code == 0x84
    assert s.post("/16/0/1", b"0").code == 0x44
    assert asked == [("/16/0/1", b"0")]
    assert text(x, "/16/0/3") == "1"
    assert s.get("/16/0/2", TLV).payload == b"\x87\x02\x42\x00\x01\x02\x41\x01\x03"
    assert text(x, "/16/0/3") == "0"
    assert s.post("/16/0/1", b"9").code == 0x44
    assert text(x, "/16/0/3") == "2"
    assert s.delete("/16/0").code == 0x42


def test_portfolio_without_authentication():
    x = link(portfolio)
    x.client.create("/16/0")
    assert x.server.post("/16/0/1").code == 0x84


def test_binary_container():
    x = link(binary)
    s = x.server
    lwm2m_port.seconds = 1650000000
    assert s.post("/19", b"\x86\x00\x41\x00z\x41\x01y", TLV).code == 0x41
    assert text(x, "/19/0/2") == "1650000000"
    lwm2m_port.seconds = 1650000009
    x.client.set("/19/0/0", [b"a", b"b"])
    assert text(x, "/19/0/2") == "1650000009"
    # a Replace that does not name the time gives one
    lwm2m_port.seconds = 1650000020
    assert s.put("/19/0", b"\x83\x00\x41\x00z", TLV).code == 0x44
    assert text(x, "/19/0/2") == "1650000020"
    for path, good, bad in (
        ("/19/0/1", b"254", b"256"),
        ("/19/0/3", b"m" * 32, b"m" * 33),
        ("/19/0/4", b"UTF8-string", b"\xc3\xa4" * 17),
        ("/19/0/5", b"65535", b"65536"),
    ):
        assert s.put(path, good).code == 0x44, path
        assert s.put(path, bad).code == 0x80, path
        assert s.get(path, TEXT).payload == good


def test_objects_are_announced():
    x = link(sensor, timer, location)
    m = x.server.requests[0].payload
    for part in (b"<6/0>", b"</3303>", b"</3340>", b"</6/0>"):
        assert (part in m) == (part != b"<6/0>"), m
    m = x.server.get("/6/0", LINK)
    assert b"</6/0/5>" in m.payload and b"</6/0/2>" not in m.payload


def test_the_clock_goes_on():
    x = link()
    c = x.client
    start = c.get("/3/0/13")
    for give in (
        lambda t: c.set("/3/0/13", t),
        lambda t: x.server.put("/3/0/13", str(t).encode()),
    ):
        for t in (1700000000, 1000000000, 5):
            give(t)
            assert c.get("/3/0/13") == t
            lwm2m_port.seconds += 100
            assert c.get("/3/0/13") == t + 100
            assert text(x, "/3/0/13") == str(t + 100)
    # it goes to whom observes it, with what is there then
    m = x.server.observe("/3/0/13", TEXT)
    c.set("/3/0/13", 2000)
    x.run(1)
    assert x.server.notes(m.token)[-1].payload == b"2000"
    assert start > 1000000000


def test_reboot():
    for path in ("/3/0/4", "/3/0/5"):
        x = link()
        before = lwm2m_port.restarts
        m = x.server.post(path)
        # the answer goes out first
        assert m.code == 0x44 and lwm2m_port.restarts == before + 1, path
        x.run(1)
        assert lwm2m_port.restarts == before + 1
        # where the platform can't, the client registers anew
        lwm2m_port.can_restart = False
        try:
            n = len(x.server.requests)
            assert x.server.post(path).code == 0x44
            x.run(1)
        finally:
            lwm2m_port.can_restart = True
        assert [m.path() for m in x.server.requests[n:]] == ["/rd"], path
        # the application's own function stands in for it
        calls = []
        x.client.on_exec(path, lambda path, args: calls.append(path))
        before = lwm2m_port.restarts
        assert x.server.post(path).code == 0x44
        x.run(1)
        assert calls == [path] and lwm2m_port.restarts == before


def test_factory_reset_bootstraps():
    x = link()
    boot = x.peer("boot")
    x.account(5, "coap://boot", 0, True)
    before = lwm2m_port.restarts
    assert x.server.post("/3/0/4").code == 0x44
    x.run(1)
    assert lwm2m_port.restarts == before + 1 and not boot.heard
    assert x.server.post("/3/0/5").code == 0x44
    x.until("BOOTSTRAP_REG_COMPLETE")
    assert lwm2m_port.restarts == before + 1 and [m.path() for m in boot.requests] == ["/bs"]


def test_errors_are_cleared():
    x = link()
    x.client.set("/3/0/11", {0: 2, 1: 5})
    m = x.server.observe("/3/0/11", TLV)
    assert x.server.post("/3/0/12").code == 0x44 and x.client.get("/3/0/11") == {0: 0}
    x.run(1)
    assert x.server.notes(m.token)[-1].payload == b"\x41\x00\x00" or len(x.server.notes(m.token))


def test_statistics_of_nothing():
    x = link(connstat)
    for r in range(2, 6):
        assert text(x, "/7/0/%d" % r) == "0"
    assert x.client.get("/7/0/6") is None or x.server.get("/7/0/6").code == 0x85
    # between Start and the first message, too
    x.client.exec("/7/0/6")
    assert x.client.get("/7/0/5") == 0


def test_object_of_ones_own():
    # what docs/api.md offers: hooks by the tree's method, behind those of the application
    link = Link(start=False)
    client = link.client
    client.objects(IPSO)
    tree = client.tree
    heard = []

    def changed(oid, iid, rid):
        heard.append((oid, iid, rid))
        if rid == 5500 and tree.get(oid, iid, rid):
            tree.store(oid, iid, 5501, -1, (tree.get(oid, iid, 5501) or 0) + 1)

    tree.show(3347)
    tree.add_hook(ON_CHANGE, 3347, -1, -1, changed)
    tree.add_hook(ON_READ, 3347, -1, 5750, lambda path, value: "mine " + path)
    client.start()
    link.until("REGISTRATION_COMPLETE")
    assert b"</3347>" in link.server.requests[-1].payload
    client.create("/3347/3")
    link.run(1)
    client.set("/3347/3/5500", True)
    assert link.server.get("/3347/3/5501", TEXT).payload == b"1"
    assert link.server.get("/3347/3/5750", TEXT).payload == b"mine /3347/3/5750"
    client.on_read("/3347/3/5750", lambda path, value: "the application's")
    assert link.server.get("/3347/3/5750", TEXT).payload == b"the application's"
    client.delete("/3347/3")
    assert heard == [(3347, 3, -1), (3347, 3, 5500), (3347, 3, 5501), (3347, 3, -1)]


class Heap:
    """Stands in for `gc`, and counts how often the heap is gone through."""

    counts = 0

    def mem_free(self):
        self.counts += 1
        return self.counts << 20

    def mem_alloc(self):
        return 0


def test_memory_is_counted_once_a_second():
    real = device.gc
    device.gc = heap = Heap()
    try:
        link = Link()
        before = heap.counts
        for _ in range(5):
            assert link.server.get("/3/0/10", TEXT).payload == b"%d" % ((before + 1) << 10)
        assert link.server.get("/3/0").code == 0x45 and heap.counts == before + 1
        link.run(1)
        assert link.server.get("/3/0/10", TEXT).payload == b"%d" % ((before + 2) << 10)
    finally:
        device.gc = real


def test_connectivity_of_a_wlan():
    class Wlan:
        def __init__(self, number):
            assert number == 0

        def status(self, what):
            assert what == "rssi"
            return -61

        def ifconfig(self):
            return "10.0.0.7", "255.255.255.0", "10.0.0.1", "8.8.8.8"

    class Network:
        WLAN = Wlan

    there = sys.modules.pop("network", None)
    sys.modules["network"] = Network
    try:
        x = link(connmon)
        assert x.client.get("/4/0/0") == 21 and x.client.get("/4/0/1") == {0: 21}
        assert text(x, "/4/0/2") == "-61"
        assert x.client.get("/4/0/4") == {0: "10.0.0.7"}
        assert x.client.get("/4/0/5") == {0: "10.0.0.1"}
        assert b"10.0.0.7" in x.server.get("/4/0", TLV).payload
    finally:
        del sys.modules["network"]
        if there:
            sys.modules["network"] = there
