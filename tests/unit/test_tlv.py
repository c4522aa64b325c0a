# OMA-TLV (Core 1.1.1 7.4.3)
# SPDX-License-Identifier: MIT

from link import hexlify, unhexlify
from codec import *
from lwm2m.model.tables.standard import TABLE as STANDARD
from lwm2m.formats import tlv
from lwm2m.model.values import to_stored

# the examples of the specification: the device object, and the server object
_DEVICE = (
    "c800144f70656e204d6f62696c6520416c6c69616e6365c801164c69676874776569676874204d324d20436c69656e74c8020933343530"
    "3030313233c303312e30860641000141010588070842000ed842011388870841007d42010384c10964c10a0f830b410000c40d5182428f"
    "c60e2b30323a3030c11055"
)
DEVICE = {
    0: "Open Mobile Alliance",
    1: "Lightweight M2M Client",
    2: "345000123",
    3: "1.0",
    6: {0: 1, 1: 5},
    7: {0: 3800, 1: 5000},
    8: {0: 125, 1: 900},
    9: 100,
    10: 15,
    11: {0: 0},
    13: 1367491215,
    14: "+02:00",
    16: "U",
}


def unhex(s):
    return unhexlify(s.replace(" ", ""))


def gather(t, o, path, data):
    """The native values that were read, as {instance: {resource: value or {id: value}}}."""
    out = {}
    for i, r, ri, v in decode(tlv, t, path, data):
        d = out.setdefault(i, {})
        if r < 0:
            continue
        kind = t.definition(o, r)
        if ri < 0:
            d[r] = v if v == {} else show(kind, v)
        else:
            d.setdefault(r, {})[ri] = show(kind, v)
    return out


def show(kind, v):
    return (
        str(v, "utf8")
        if kind & 15 in (STRING, CORELNK)
        else "%d:%d" % (v >> 16, v & 0xFFFF)
        if kind & 15 == OBJLNK
        else v
    )


def device():
    t = tree()
    for r in DEVICE:
        give(t, "/3/0/%d" % r, DEVICE[r])
    return t


def test_specification_example():
    t = device()
    d = unhex(_DEVICE)
    assert encode(tlv, t, "/3/0") == d
    assert encode(tlv, t, "/3") == b"\x08\x00\x79" + d
    assert gather(t, 3, "/3/0", d) == {0: DEVICE}
    assert gather(t, 3, "/3", b"\x08\x00\x79" + d) == {0: DEVICE}
    assert gather(t, 3, "/3/0", b"\x08\x00\x79" + d) == {0: DEVICE}
    assert encode(tlv, t, "/3/0/6") == unhex("8606410001410105")
    assert encode(tlv, t, "/3/0/6/1") == unhex("410105")
    assert encode(tlv, t, "/3/0/0") == d[:23]


def test_windows():
    t = device()
    give(t, "/1000/0/5", bytes(range(200)) * 3)
    give(t, "/1000/1/15", {k: bytes(k * 20) for k in range(20)})
    for path in ("/3/0", "/3", "/1000", "/1000/0/5", "/1000/1/15", "/1000/1/15/19"):
        whole = encode(tlv, t, path)
        for n in (16, 17, 64, 512):
            assert encode(tlv, t, path, n) == whole, (path, n)


def test_vectors():
    objects = {
        "tlv-3-16bit-id": 2,
        "tlv-acl-2-instances": 2,
        "tlv-server": 1,
        "tlv-objlnk": 65,
        "tlv-objlnk-2": 66,
    }
    t = tree(
        STANDARD,
        table(65, [(0, 11, OBJLNK), (1, 3, STRING), (2, 3, INTEGER)]),
        table(66, [(0, 3, STRING), (1, 3, STRING), (2, 3, OBJLNK)]),
    )
    for v in vectors("emqx_gateway.json")["tlv"]:
        o = objects.get(v["id"], 3)
        data = unhex(v["tlv_hex"])
        single = "res" in v["tree"]
        want = {"0": v["tree"]["res"]} if single else v["tree"]["inst"]
        path = "/%d/0" % o if single else "/%d" % o
        got = gather(t, o, path, data)
        assert {str(i): got[i] for i in got} == {
            i: {int(r): x for r, x in ids(want[i]).items()} for i in want
        }, (v["id"], got)
        # and back, byte by byte
        back = tree(STANDARD, t.tables[-2], t.tables[-1])
        for i in got:
            for r in got[i]:
                give(back, "/%d/%s/%d" % (o, i, r), got[i][r])
        assert encode(tlv, back, path) == data, v["id"]
        survive(tlv, t, path, data)


def ids(d):
    out = {}
    for r in d:
        x = d[r]
        if isinstance(x, dict):
            x = {int(k): x[k] for k in x}
        out[int(r)] = x
    return out


def test_gateway_writes():
    # what a gateway sends as integers (unsigned, as short as can be) and floats
    t = tree()
    for path, data, value in (
        ("/1/0/1", "c20c0000", None),
        ("/1/0/1", "c10180", 128),
        ("/1/0/1", "c301015180", 86400),
        ("/1/0/1", "c401ffffffff", 0xFFFFFFFF),
        ("/3/0/13", "c20d3039", 12345),
        ("/1000/0/2", "c10280", -128),
        ("/1000/0/3", "c2033039", 12345.0),
        ("/1000/0/3", "c10380", 128.0),
        ("/1000/0/3", "c303010000", 65536.0),
        ("/1000/0/3", "c803 0840c81c8000000000", 12345.0),
    ):
        if value is None:
            assert bad(tlv, t, path, unhex(data))
        else:
            assert [x[3] for x in decode(tlv, t, path, unhex(data))] == [value], path


def test_integers():
    t = tree()
    for v, wire in (
        (0, "c102 00"),
        (1, "c102 01"),
        (-1, "c102 ff"),
        (127, "c102 7f"),
        (128, "c202 0080"),
        (-128, "c102 80"),
        (-129, "c202 ff7f"),
        (32767, "c202 7fff"),
        (32768, "c402 00008000"),
        (-32768, "c202 8000"),
        (2**31 - 1, "c402 7fffffff"),
        (2**31, "c80208 0000000080000000"),
        (-(2**31), "c402 80000000"),
        (2**63 - 1, "c80208 7fffffffffffffff"),
        (-(2**63), "c80208 8000000000000000"),
    ):
        give(t, "/1000/0/2", v)
        assert encode(tlv, t, "/1000/0/2") == unhex(wire), v
        assert decode(tlv, t, "/1000/0/2", unhex(wire)) == [(0, 2, -1, v)]
    # every width, of signed and of unsigned ones
    for n in range(1, 9):
        head = bytes((0xC0 | n, 2)) if n < 8 else b"\xc8\x02\x08"
        assert decode(tlv, t, "/1000/0/2", head + b"\xff" * n) == [(0, 2, -1, -1)]
        assert decode(tlv, t, "/1000/0/2", head + bytes(n - 1) + b"\x05") == [(0, 2, -1, 5)]
        head = bytes((0xC0 | n, 21)) if n < 8 else b"\xc8\x15\x08"
        if n < 8:
            assert decode(tlv, t, "/1000/0/21", head + b"\xff" * n) == [(0, 21, -1, 256**n - 1)]
        head = bytes((0xC0 | n, 8)) if n < 8 else b"\xc8\x08\x08"
        assert decode(tlv, t, "/1000/0/8", head + b"\xff" * n) == [(0, 8, -1, 256**n - 1)]
    for wire in ("c002", "c802 09" + "00" * 9, "c806 09" + "00" * 9):
        assert bad(tlv, t, "/1000/0", unhex(wire)), wire


def test_unsigned_values():
    t = tree()
    for v in (0, 127, 128, 255, 256, 65535, 65536, 2**31, 2**32 - 1, 2**32, 2**63, 2**64 - 1):
        give(t, "/1000/0/8", v)
        d = encode(tlv, t, "/1000/0/8")
        assert decode(tlv, t, "/1000/0/8", d) == [(0, 8, -1, v)], (v, hexlify(d))


def test_floats():
    t = tree()
    for v, wire in (
        (0.0, "c403 00000000"),
        (1.5, "c403 3fc00000"),
        (-2.0, "c403 c0000000"),
        (0.1, "c80308 3fb999999999999a"),
        (1e300, "c80308 7e37e43c8800759c"),
    ):
        give(t, "/1000/0/3", v)
        assert encode(tlv, t, "/1000/0/3") == unhex(wire), (
            v,
            hexlify(encode(tlv, t, "/1000/0/3")),
        )
        assert decode(tlv, t, "/1000/0/3", unhex(wire)) == [(0, 3, -1, v)]
    # neither infinity nor NaN is a value
    for wire in ("c403 7f800000", "c403 ff800000", "c403 7fc00000", "c80308 7ff0000000000000"):
        assert bad(tlv, t, "/1000/0/3", unhex(wire)), wire
    for n in (0, 5, 6, 7, 9):
        head = bytes((0xC0 | n, 3)) if n < 8 else b"\xc8\x03\x09"
        assert bad(tlv, t, "/1000/0/3", head + bytes(n)), n


def test_other_types():
    t = tree()
    for r, v, wire in (
        (1, "", "c001"),
        (1, "hé", "c301 68c3a9"),
        (4, True, "c104 01"),
        (4, False, "c104 00"),
        (5, b"", "c005"),
        (5, b"\0\xff", "c205 00ff"),
        (6, 1367491215, "c406 5182428f"),
        (7, (65535, 65535), "c407 ffffffff"),
        (7, (3, 0), "c407 00030000"),
        (9, "</3>", "c409 3c2f333e"),
        (300, "x", "e1012c 78"),
        (301, "", "e0012d"),
    ):
        give(t, "/1000/0/%d" % r, v)
        assert encode(tlv, t, "/1000/0/%d" % r) == unhex(wire), (r, v)
        assert decode(tlv, t, "/1000/0/%d" % r, unhex(wire)) == [
            (0, r, -1, to_stored(t.definition(1000, r) & 255, v))
        ]
    for wire in (
        "c104 02",  # no boolean
        "c004",
        "c204 0001",
        "c307 000300",  # no link
        "c807 05 0000000000",
        "c201 c328",  # no UTF-8
        "c101 ff",
        "c006",
    ):
        assert bad(tlv, t, "/1000/0", unhex(wire)), wire


def test_lengths():
    t = tree()
    for n, head in (
        (7, "c705"),
        (8, "c80508"),
        (255, "c805ff"),
        (256, "d0050100"),
        (65535, "d005ffff"),
        (65536, "d805010000"),
    ):
        v = bytes(n)
        give(t, "/1000/0/5", v)
        d = encode(tlv, t, "/1000/0/5", 70000)
        assert d == unhex(head) + v, n
        assert decode(tlv, t, "/1000/0/5", d) == [(0, 5, -1, v)]
    # identifiers and lengths that are longer than they need be
    assert decode(tlv, t, "/1000/0/5", unhex("e10005 aa")) == [(0, 5, -1, b"\xaa")]
    assert decode(tlv, t, "/1000/0/5", unhex("d8050000 01 aa")) == [(0, 5, -1, b"\xaa")]


def test_multiple():
    t = tree()
    give(t, "/1000/0/12", {5: 1, 0: -1, 300: 128})
    d = unhex("880c0b 4100ff 410501 62012c0080")
    assert encode(tlv, t, "/1000/0/12") == d
    assert [x for x in decode(tlv, t, "/1000/0/12", d) if x[2] >= 0] == [
        (0, 12, 0, -1),
        (0, 12, 5, 1),
        (0, 12, 300, 128),
    ]
    give(t, "/1000/0/12", {255: 1, 256: 2})
    assert encode(tlv, t, "/1000/0/12") == unhex("870c 41ff01 61010002")
    give(t, "/1000/0/12", {})
    assert encode(tlv, t, "/1000/0/12") == unhex("800c")
    # one of them by its own path
    assert decode(tlv, t, "/1000/0/12/5", unhex("410507")) == [(0, 12, 5, 7)]
    assert bad(tlv, t, "/1000/0/12/5", unhex("410607"))
    assert bad(tlv, t, "/1000/0/12/0", unhex("410607"))
    # all of them without the resource around them
    assert [x for x in decode(tlv, t, "/1000/0/12", unhex("410001 410102")) if x[2] >= 0] == [
        (0, 12, 0, 1),
        (0, 12, 1, 2),
    ]


def test_structure():
    t = tree()
    for path, wire in (
        (
            "/1000",
            "c10101",
        ),  # a resource where instances stand, or nothing to tell of which instance
        ("/1000/0", "03 01 c10141"),  # another instance
        ("/1000/0/1", "c10241"),  # another resource
        ("/1000/0/1", "0300 c10141"),  # an instance in a resource
        ("/1000/0", "410001"),  # an item outside of a resource
        ("/1000/0", "0303 0300 c101"),  # an instance in an instance
        ("/1000/0", "830c 030041"),  # an instance in a multiple resource
        ("/1000/0", "840c 820c c1"),
        ("/1000/0", "c501 4142"),  # lengths beyond the end
        ("/1000/0", "860c 410001 4201"),
        ("/1000/0", "c8"),
        ("/1000/0", "e001"),
    ):
        try:
            got = decode(tlv, t, path, unhex(wire))
        except (CoapError, ValueError, IndexError):
            continue
        assert path == "/1000" and got[0][0] == -1, (path, wire, got)
    # resources without an instance around them belong to one that is to be created
    assert decode(tlv, t, "/1000", unhex("c10141"))[0] == (-1, 1, -1, b"A")
    # what the tables don't have is told, not refused
    assert (0, 77, -1, None) in decode(tlv, t, "/1000/0", unhex("c14d41"))
    assert decode(tlv, t, "/1000/0", b"") == []


def test_truncated_and_flipped():
    t = device()
    survive(tlv, t, "/3/0", unhex(_DEVICE))
    survive(tlv, t, "/3", b"\x08\x00\x79" + unhex(_DEVICE))
    for k in KINDS:
        v = {
            STRING: "xé",
            CORELNK: "</1>",
            FLOAT: 0.1,
            BOOLEAN: True,
            OPAQUE: b"12345678",
            OBJLNK: (1, 2),
        }.get(k, 100000)
        give(t, "/1000/0/%d" % k, v)
        give(t, "/1000/1/%d" % (10 + k), {0: v, 300: v})
    d = encode(tlv, t, "/1000")
    assert len(d) > 150
    survive(tlv, t, "/1000", d)


def test_deep_nesting_ends():
    t = tree()
    d = b""
    for k in range(200):
        n = len(d)
        d = bytes((0x10, 0, n >> 8, n & 255)) + d
    assert bad(tlv, t, "/1000", d)
    d = b""
    for k in range(200):
        n = len(d)
        d = bytes((0x90, 12, n >> 8, n & 255)) + d
    bad(tlv, t, "/1000/0", d)
