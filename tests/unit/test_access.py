# Tests of access control: two servers, owners, defaults, the create right
# SPDX-License-Identifier: MIT
from link import *

from lwm2m.model.tables.ipso import TABLE as IPSO
from lwm2m.model.tables.standard import TABLE as STANDARD
from lwm2m.objects import access, sensor

UNAUTHORIZED = 0x81


class Two(Link):
    """A client registered with two servers, whose short ids are 1 and 2; `a` and `b` are they."""

    def __init__(self, second=True):
        Link.__init__(self, start=False)
        c = self.client
        c.objects(STANDARD)
        c.objects(IPSO)
        self.access = access.setup(c)
        sensor.setup(c)
        self.a = self.server
        if second:
            c.create("/0/1")
            c.set("/0/1/0", "coap://second")
            c.set("/0/1/10", 2)
            c.create("/1/1")
            for r, v in ((0, 2), (1, 86400), (6, True), (7, "U")):
                c.set("/1/1/%d" % r, v)
            self.b = self.peer("second")
        c.start()
        self.until("REGISTRATION_COMPLETE")
        self.run(2)
        if second:
            assert self.names().count("REGISTRATION_COMPLETE") == 2


def test_without_instances_of_object_2():
    x = Two()
    for s in (x.a, x.b):
        assert s.get("/3/0/0").code == 0x45
        assert s.put("/3/0/14", b"+01:00").code == 0x44
    assert x.b.post("/3303", b"\xe1\x16\x76a", TLV).code == 0x41


def test_one_server_may_everything():
    x = Two(False)
    x.access.give(3, 0, 2, {1: 0})
    assert x.server.get("/3/0/0").code == 0x45
    assert x.server.put("/3/0/14", b"+01:00").code == 0x44


def test_rights_one_by_one():
    x = Two()
    x.client.create("/3303/0")
    x.client.set("/3303/0/5700", 1.0)
    x.client.set("/3303/0/5750", "a")

    def outcomes(s):
        return (
            s.get("/3303/0/5700").code,
            s.put("/3303/0/5750", b"b").code,
            s.post("/3303/0/5605").code,
        )

    x.access.give(3303, 0, 1, {2: 1})
    assert outcomes(x.a) == (0x45, 0x44, 0x44)
    assert outcomes(x.b) == (0x45, UNAUTHORIZED, UNAUTHORIZED)
    x.client.set("/2/0/2/2", 2)
    assert outcomes(x.b) == (UNAUTHORIZED, 0x44, UNAUTHORIZED)
    x.client.set("/2/0/2/2", 4)
    assert outcomes(x.b) == (UNAUTHORIZED, UNAUTHORIZED, 0x44)
    # an entry of its own binds the owner too
    x.client.set("/2/0/2/1", 1)
    assert outcomes(x.a) == (0x45, UNAUTHORIZED, UNAUTHORIZED)
    # Write-Attributes and Observe need the right to read
    assert x.b.observe("/3303/0/5700").code == UNAUTHORIZED
    assert x.b.attributes("/3303/0/5700", "pmin=1").code == UNAUTHORIZED
    assert x.a.attributes("/3303/0/5700", "pmin=1").code == 0x44
    assert x.b.delete("/3303/0").code == UNAUTHORIZED
    x.client.set("/2/0/2/2", 8)
    assert x.b.delete("/3303/0").code == 0x42
    assert ids(x.client, 3303) == []


def test_default_rights():
    x = Two()
    x.access.give(3, 0, 65535, {0: 1})
    for s in (x.a, x.b):
        assert s.get("/3/0/0").code == 0x45
        assert s.put("/3/0/14", b"+01:00").code == UNAUTHORIZED
    # an entry of its own stands for the default one
    x.client.set("/2/0/2/2", 2)
    assert x.b.get("/3/0/0").code == UNAUTHORIZED
    assert x.b.put("/3/0/14", b"+01:00").code == 0x44
    assert x.a.get("/3/0/0").code == 0x45


def test_no_entry_is_no_right():
    x = Two()
    x.access.give(3, 0, 1)
    assert x.a.get("/3/0/0").code == 0x45
    assert x.b.get("/3/0/0").code == UNAUTHORIZED
    assert x.b.get("/1/1/1").code == UNAUTHORIZED


def test_create_right_and_owner():
    x = Two()
    x.access.give(3303, 65535, acl={2: 16})
    assert x.a.post("/3303", b"\xe1\x16\x76a", TLV).code == UNAUTHORIZED
    assert x.b.post("/3303", b"\xe1\x16\x76a", TLV).code == 0x41
    # the maker is the owner, and has all rights
    assert ids(x.client, 2) == [0, 1]
    assert stored(x.client, 2)[1] == {0: 3303, 1: 0, 2: {}, 3: 2}
    assert x.b.get("/3303/0/5750", TEXT).payload == b"a"
    assert x.a.get("/3303/0/5750").code == UNAUTHORIZED
    # what the application deletes keeps it
    x.client.create("/3303/9")
    x.access.give(3303, 9, 1)
    x.client.delete("/3303/9")
    assert ids(x.client, 2) == [0, 1, 2]
    # what it is about gone, its access control goes too
    assert x.b.delete("/3303/0").code == 0x42
    assert x.a.get("/2/1/3").code == 0x84


def test_access_control_is_for_its_owner():
    x = Two()
    x.access.give(3, 0, 1, {2: 1})
    assert x.b.get("/2/0/3", TEXT).payload == b"1"
    assert x.b.put("/2/0/2", b"\x41\x02\x1f", TLV).code == UNAUTHORIZED
    assert x.b.put("/3/0/14", b"+01:00").code == UNAUTHORIZED
    assert x.a.put("/2/0/2", b"\x83\x02\x41\x02\x1f", TLV).code == 0x44
    assert x.b.put("/3/0/14", b"+01:00").code == 0x44
    # nobody makes or deletes one, or says what it is about
    for s in (x.a, x.b):
        assert s.post("/2", b"\xc1\x00\x03\xc1\x01\x00\xc1\x03\x01", TLV).code == UNAUTHORIZED
        assert s.delete("/2/0").code == UNAUTHORIZED
    assert x.a.put("/2/0/0", b"3").code == 0x85
    # the owner may pass it on
    assert x.a.put("/2/0/3", b"2").code == 0x44
    assert x.a.put("/2/0/3", b"1").code == UNAUTHORIZED


def test_read_of_an_object_shows_what_may_be_read():
    x = Two()
    c = x.client
    for i in (0, 1):
        c.create("/3303/%d" % i)
        c.set("/3303/%d/5750" % i, "ab"[i])
    x.access.give(3303, 0, 1, {2: 1})
    x.access.give(3303, 1, 1, {2: 2})
    assert x.a.get("/3303", TLV).payload.count(b"\xe1\x16\x76") == 2
    m = x.b.get("/3303", TLV)
    assert m.code == 0x45 and b"\xe1\x16\x76a" in m.payload and b"\xe1\x16\x76b" not in m.payload
    # a registration update lists them all the same
    x.client.create("/3303/2")
    x.run(20)
    assert b"</3303/1>" in x.b.requests[-1].payload
    x.client.set("/2/0/2/2", 0)
    assert x.b.get("/3303", TLV).code == UNAUTHORIZED


def test_rights_withdrawn_end_an_observation():
    x = Two()
    x.client.create("/3303/0")
    x.client.set("/3303/0/5700", 1.0)
    x.access.give(3303, 0, 1, {2: 1})
    m = x.b.observe("/3303/0/5700", TEXT)
    n = len(x.b.heard)
    x.client.set("/3303/0/5700", 2.0)
    x.run(1)
    assert [y.payload for y in x.b.notes(m.token, n)] == [b"2.0"]
    assert x.a.put("/2/0/2", b"\x83\x02\x41\x02\x00", TLV).code == 0x44
    x.client.set("/3303/0/5700", 3.0)
    x.run(1)
    assert [y.payload for y in x.b.notes(m.token, n)][1:] == [b""]
    assert x.b.notes(m.token, n)[1].code == UNAUTHORIZED
    x.client.set("/3303/0/5700", 4.0)
    x.run(1)
    assert len(x.b.notes(m.token, n)) == 2


def test_send_leaves_out_what_may_not_be_read():
    x = Two()
    c = x.client
    register_level(c, 1)
    for k in (0, 1):
        c.create("/3303/%d" % k)
        c.set("/3303/%d/5700" % k, 20.0 + k)
    x.access.give(3303, 0, 1, {2: 1})
    x.access.give(3303, 1, 1)
    x.run(20)

    def sent(peer, n):
        return [m.payload for m in peer.requests[n:] if m.path() == "/dp"]

    for paths, of_a, of_b in (
        ("/3303", True, False),
        (["/3303/0/5700", "/3303/1/5700"], True, False),
        ("/3303/1/5700", True, None),
        ("/3303/0/5700", False, False),
    ):
        n = len(x.a.requests)
        k = len(x.b.requests)
        assert c.send(paths) == 2 - (of_b is None), paths
        x.run(5)
        (d,) = sent(x.a, n)
        assert (b"/3303/1/" in d) == of_a, (paths, d)
        d = sent(x.b, k)
        assert len(d) == (of_b is not None) and not [y for y in d if b"/3303/1/" in y], (paths, d)


OPAQUE_TABLE = b"\x00\x09\x01\x03\x10\x10\x10\x00" + b"\0\0\3\1\0\2\3\5\0\5\x0b\2"


def container(x):
    """Object 9 with an opaque resource 2 and a multiple one 5; server 2 may read it, and no more."""
    x.client.objects(OPAQUE_TABLE)
    x.client.create("/9/0")
    x.client.set("/9/0/2", b"old")
    x.client.set("/9/0/5", {0: 1, 1: 2})
    x.access.give(9, 0, 1, {2: 1})


def test_a_body_in_blocks_needs_the_right_to_write():
    x = Two()
    container(x)
    calls = []
    for stream in (False, True):
        if stream:
            x.client.on_stream("/9/0/2", lambda path, offset, data, more: calls.append(offset))
        codes = [
            x.b.put("/9/0/2", b"x" * 16, OPAQUE, (BLOCK1, num << 4 | (8 if num < 2 else 0))).code
            for num in range(3)
        ]
        assert codes[-1] >= 0x80 and UNAUTHORIZED in codes, codes
        assert x.b.put("/9/0/2", b"new", OPAQUE).code == UNAUTHORIZED
        assert calls == [] and x.client.get("/9/0/2") == b"old"
    x.client.set("/2/0/2/2", 3)
    assert x.b.put("/9/0/2", b"x" * 16, OPAQUE, (BLOCK1, 8)).code == 0x5F and calls == [0]


def test_delete_of_a_resource_instance_needs_the_right_to_write():
    x = Two()
    container(x)
    register_level(x.client, 1)
    # read, delete, execute, create: none of these is the right to write
    for rights in (1, 8, 4, 16, 1 | 8 | 4 | 16):
        x.client.set("/2/0/2/2", rights)
        assert x.b.delete("/9/0/5/0").code == UNAUTHORIZED
    assert x.client.get("/9/0/5") == {0: 1, 1: 2}
    x.client.set("/2/0/2/2", 2)
    assert x.b.delete("/9/0/5/0").code == 0x42 and x.client.get("/9/0/5") == {1: 2}
    # what is not there is told to those only who may read: the order is that of a write
    assert x.b.delete("/9/0/5/7").code == 0x84


def test_a_read_of_one_server_leaves_the_others_alone():
    x = Two()
    for k in (0, 1):
        x.client.create("/3303/%d" % k)
        x.access.give(3303, k, 1, {2: k})
    # server 2 may see one of them
    for m in (x.b.get("/3303", TLV), x.b.get("/3303", LINK), x.b.observe("/3303")):
        assert m.code == 0x45
    x.client.create("/3303/2")
    x.run(20)
    for s in (x.a, x.b):
        links = s.requests[-1].payload.split(b",")
        assert [b"</3303/%d>" % k in links for k in (0, 1, 2)] == [True] * 3
    assert x.client.get("/3303/0/5700") == 0


def test_control_stays_on_without_instances():
    # Core 1.1.1 8.2: as long as there is more than one server
    x = Two()
    c = x.client
    c.create("/3303/0")
    x.access.give(3303, 0, 1, {2: 8})
    assert x.b.delete("/3303/0").code == 0x42 and ids(c, 2) == []
    for s in (x.a, x.b):
        assert s.get("/3/0/0").code == UNAUTHORIZED
        assert s.put("/3/0/14", b"+01:00").code == UNAUTHORIZED
        assert s.post("/3303").code == UNAUTHORIZED
        assert s.get("/3").code == UNAUTHORIZED
    x.access.give(3, 0, 1)
    assert x.a.get("/3/0/0").code == 0x45
    # the application deletes the last one, too
    c.delete("/2/0")
    assert x.a.get("/3/0/0").code == UNAUTHORIZED
    # a server alone may everything, and the second one begins anew
    c.delete("/1/1")
    assert x.a.get("/3/0/0").code == 0x45
    c.create("/1/1")
    c.set("/1/1/0", 2)
    assert x.a.get("/3/0/0").code == 0x45


def test_given_and_taken_before_anybody_asks():
    x = Two()
    x.access.give(3, 0, 1)
    x.client.delete("/2/0")
    assert x.a.get("/3/0/0").code == UNAUTHORIZED


def test_refused_delete_leaves_the_acl_to_the_application():
    x = Two()
    c = x.client
    c.create("/3303/0")
    x.access.give(3303, 0, 1)
    c.on_delete("/3303", lambda path, value: 0x8C)
    assert x.a.delete("/3303/0").code == 0x8C and ids(c, 2) == [0]
    c.delete("/3303/0")
    assert ids(c, 2) == [0]
    c.create("/3303/0")
    c.on_delete("/3303", None)
    assert x.a.delete("/3303/0").code == 0x42 and ids(c, 2) == []
