# CoRE links: registration payloads and Discover (Core 1.1.1 6.2.1, 6.3.2)
# SPDX-License-Identifier: MIT
from codec import encode, tree
from link import *
from lwm2m.coap.message import Writer
from lwm2m.client import Client
from lwm2m.model.tables.ipso import TABLE as IPSO
from lwm2m.model.tables.standard import TABLE as STANDARD


def registration(t, root="", window=2000):
    c = Client("ep", root=root)
    c.tree = t
    out = b""
    while True:
        w = Writer(window + 20)
        w.begin(0, 2, 0, b"")
        w.begin_payload(len(out), window)
        c.put_registration(w)
        more = w.end_payload()
        out += bytes(w.buffer[5 : w.position])
        if not more:
            return out


def sample(level=0):
    t = tree(IPSO)
    t.minor = level
    del t.objects[1000]
    t.objects.update(
        {0: {0: {}, 1: {}}, 1: {0: {}}, 3: {0: {}}, 3303: {0: {}, 2: {}, 1: {}}, 3304: {}}
    )
    return t


def test_registration():
    t = sample()
    plain = b"</1/0>,</3/0>,</3303>;ver=1.1,</3303/0>,</3303/1>,</3303/2>,</3304>;ver=1.1"
    assert registration(t) == plain
    assert registration(t, "lwm2m").split(b",") == [b'</lwm2m>;rt="oma.lwm2m"'] + [
        x.replace(b"</", b"</lwm2m/") for x in plain.split(b",")
    ]
    t.minor = 1
    first = b'rt="oma.lwm2m";ct="60 110 112 11542 11543 11544"'
    assert registration(t).split(b",")[0] == b"</>;" + first
    assert registration(t, "a/b").split(b",")[0] == b"</a/b>;" + first
    for n in (16, 64):
        assert registration(t, "a/b", n) == registration(t, "a/b")


def test_versions_of_the_newer_protocol():
    out = registration(sample(1)).split(b",")
    assert b"</1>;ver=1.1" in out and b"</3>;ver=1.1" in out and b"</1/0>" in out
    assert b"</0>" not in out and b"</0/0>" not in out


def test_an_object_without_instances():
    t = tree(STANDARD)
    t.objects = {0: {0: {}}, 1: {0: {}}, 5: {}}
    t.minor = 0
    assert registration(t) == b"</1/0>,</5>"


def discover(s, path):
    m = s.get(path, LINK)
    assert m.opt(FORMAT) == LINK or m.code >= 0x80
    return m.code, m.payload.split(b",")


def client():
    link = Link()
    link.client.objects(IPSO)
    link.client.create("/3303/1")
    for r, v in ((5700, 20.0), (5601, 18.0), (5701, "Cel")):
        link.client.set("/3303/1/%d" % r, v)
    return link, link.server


def test_discover():
    link, s = client()
    assert discover(s, "/3303") == (
        0x45,
        [
            b"</3303>;ver=1.1",
            b"</3303/1>",
            b"</3303/1/5601>",
            b"</3303/1/5700>",
            b"</3303/1/5701>",
        ],
    )
    assert discover(s, "/3303/1")[1] == [
        b"</3303/1>",
        b"</3303/1/5601>",
        b"</3303/1/5700>",
        b"</3303/1/5701>",
    ]
    assert discover(s, "/3303/1/5700")[1] == [b"</3303/1/5700>"]
    # an object without instances, of which the server may make some
    link.client.on_create("/3304", lambda path, v: None)
    assert discover(s, "/3304")[1] == [b"</3304>;ver=1.1"]
    for path, code in (
        ("/3303/7", 0x84),
        ("/3303/1/5602", 0x84),
        ("/3303/1/1", 0x84),
        ("/9999", 0x84),
        ("/0", 0x81),
        ("/0/0", 0x81),
    ):
        assert discover(s, path)[0] == code, path
    # what can be executed is shown, also without a value
    link.client.on_exec("/3303/1/5605", lambda path, args: None)
    assert b"</3303/1/5605>" in discover(s, "/3303/1")[1]
    assert b"</1/0/8>" in discover(s, "/1/0")[1] and b"</3/0/4>" in discover(s, "/3/0")[1]


def test_dimension():
    link, s = client()
    link.client.set("/3/0/6", {0: 1, 5: 2, 7: 3})
    assert b"</3/0/6>;dim=3" in discover(s, "/3/0")[1]
    assert discover(s, "/3/0/6")[1] == [b"</3/0/6>;dim=3"]


def test_attributes():
    link, s = client()
    for path, query in (
        ("/3303", ("pmin=10",)),
        ("/3303/1", ("pmax=60",)),
        ("/3303/1/5700", ("gt=30.5", "lt=-5", "st=0.5", "pmin=3")),
    ):
        assert s.attributes(path, *query).code == 0x44
    code, out = discover(s, "/3303")
    assert out[:2] == [b"</3303>;ver=1.1;pmin=10", b"</3303/1>;pmax=60"]
    five = b"</3303/1/5700>;pmin=3;gt=30.5;lt=-5;st=0.5"
    assert five in out
    # asked for by itself, a resource shows what it inherits, too (Core 1.1.1 6.3.2)
    (one,) = discover(s, "/3303/1/5700")[1]
    assert sorted(one.split(b";")) == sorted(five.split(b";") + [b"pmax=60"]), one
    assert b"</3303/1/5601>" in discover(s, "/3303/1")[1]
    assert s.attributes("/3303/1/5700", "gt", "lt", "st", "pmin").code == 0x44
    assert b"</3303/1/5700>" in discover(s, "/3303")[1]


def test_attributes_of_another_server():
    link = two_servers()
    a = link.peer("server")
    b = link.peer("other")
    assert a.attributes("/3/0/13", "pmin=10").code == 0x44
    assert discover(a, "/3/0/13")[1] == [b"</3/0/13>;pmin=10"]
    assert discover(b, "/3/0/13")[1] == [b"</3/0/13>"]


def two_servers():
    link = Link(start=False)
    link.account(1, "coap://other", 2)
    link.client.start()
    link.until(
        lambda: (
            counts(link.client)["sessions"] == 2
            and link.names().count("REGISTRATION_COMPLETE") == 2
        )
    )
    return link


def test_alternate_path():
    link = Link(root="lwm2m")
    s = link.server
    assert s.requests[0].payload == b'</lwm2m>;rt="oma.lwm2m",</lwm2m/1/0>,</lwm2m/3/0>'
    assert s.get("/lwm2m/3/0/0", 0).payload == b"MicroPython"
    assert b"</lwm2m/3/0>" in discover(s, "/lwm2m/3")[1]
    assert s.get("/other/3/0/0", 0).code == 0x84
    link.client.objects(IPSO)
    link.client.on_create("/3303", lambda path, v: None)
    m = s.post("/lwm2m/3303", b"", TLV)
    assert m.code == 0x41 and m.path(LOCATION) == "/lwm2m/3303/0", m


def test_hostile_requests():
    link, s = client()
    for path in (
        "/.well-known/core",
        "/rd",
        "",
        "/3303/1/5700/0/0",
        "/3303/1/5700/0",
        "/65535",
        "/3303/65535",
    ):
        m = s.get(path, LINK)
        assert m.code in (0x84, 0x85, 0x80), (path, m)


def test_instances_in_their_order():
    link = Link(start=False)
    c = link.client
    c.objects(IPSO)
    for k in (5, 2):
        c.create("/3303/%d" % k)
    c.start()
    link.until("REGISTRATION_COMPLETE")
    for payload in (link.server.requests[0].payload, link.server.get("/3303", LINK).payload):
        assert 0 < payload.find(b"</3303/2>") < payload.find(b"</3303/5>")
