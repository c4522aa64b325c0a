# CBOR: the reader against the examples of RFC 8949, single values (Core 1.1.1 7.4.3), malformed data
# SPDX-License-Identifier: MIT

from codec import *
from link import raises, unhexlify
from lwm2m.formats import cbor

INF = float("inf")

# RFC 8949 appendix A: what the reader gives for it
EXAMPLES = (
    ("00", 0),
    ("01", 1),
    ("0a", 10),
    ("17", 23),
    ("1818", 24),
    ("1819", 25),
    ("1864", 100),
    ("1903e8", 1000),
    ("1a000f4240", 1000000),
    ("1b000000e8d4a51000", 1000000000000),
    ("1bffffffffffffffff", 18446744073709551615),
    ("3bffffffffffffffff", -18446744073709551616),
    ("20", -1),
    ("29", -10),
    ("3863", -100),
    ("3903e7", -1000),
    ("f90000", 0.0),
    ("f98000", -0.0),
    ("f93c00", 1.0),
    ("fb3ff199999999999a", 1.1),
    ("f93e00", 1.5),
    ("f97bff", 65504.0),
    ("fa47c35000", 100000.0),
    ("fa7f7fffff", 3.4028234663852886e38),
    ("fb7e37e43c8800759c", 1.0e300),
    ("f90001", 5.960464477539063e-8),
    ("f90400", 0.00006103515625),
    ("f9c400", -4.0),
    ("fbc010666666666666", -4.1),
    ("fa7f800000", INF),
    ("faff800000", -INF),
    ("fb7ff0000000000000", INF),
    ("fbfff0000000000000", -INF),
    ("f4", False),
    ("f5", True),
    ("f6", None),
    ("c074323031332d30332d32315432303a30343a30305a", "2013-03-21T20:04:00Z"),
    ("c11a514b67b0", 1363896240),
    ("c1fb41d452d9ec200000", 1363896240.5),
    ("d74401020304", b"\x01\x02\x03\x04"),
    ("d818456449455446", b"dIETF"),
    ("40", b""),
    ("4401020304", b"\x01\x02\x03\x04"),
    ("60", ""),
    ("6161", "a"),
    ("6449455446", "IETF"),
    ("62225c", '"\\'),
    ("62c3bc", "ü"),
    ("63e6b0b4", "水"),
    ("64f0908591", "𐅑"),
    ("5f42010243030405ff", b"\x01\x02\x03\x04\x05"),
    ("7f657374726561646d696e67ff", "streaming"),
    ("5fff", b""),
    ("7fff", ""),
    # RFC 8949 3.4.4: 273.15
    ("c48221196ab3", 273.15),
    ("c482001a1dcd6504", 500000004),
)

# arrays and maps: passed over as a whole
PASSED = (
    "80",
    "83010203",
    "8301820203820405",
    "98190102030405060708090a0b0c0d0e0f101112131415161718181819",
    "a0",
    "a201020304",
    "a26161016162820203",
    "826161a161626163",
    "9fff",
    "9f018202039f0405ffff",
    "9f01820203820405ff",
    "83018202039f0405ff",
    "bf61610161629f0203ffff",
    "826161bf61626163ff",
    "bf6346756ef563416d7421ff",
)

# not well-formed, or beyond any type that there is (bignums, simple values, nesting)
REFUSED = (
    "",
    "18",
    "1900",
    "1a000000",
    "1b00000000000000",
    "1c",
    "1d",
    "1e",
    "1f",
    "3f",
    "3c",
    "41",
    "61",
    "5b0000ffffffffffff00",
    "7bffffffffffffffff",
    "5c",
    "5f",
    "5f00ff",
    "5f6161ff",
    "7f4161ff",
    "5f5f4100ffff",
    "5f41",
    "61ff",
    "7f61c361bcff",
    "81",
    "9f",
    "9f01",
    "a1",
    "a101",
    "bf01ff",
    "9bffffffffffffffff",
    "c0",
    "df",
    "c249010000000000000000",
    "c349010000000000000000",
    "c482001b",
    "c4820041",
    "c48219ffff01",
    "c4820061",
    "c482056161",
    "c482184b4161",
    "c482056060",
    "c4820580",
    "c482f600",
    "c482616100",
    "c48201",
    "c483000001",
    "c4a10001",
    "f7",
    "f0",
    "e0",
    "f8ff",
    "f814",
    "f9",
    "fa0000",
    "fb00000000",
    "fc",
    "ff",
    "c1c1c1c1c1c1c100",
    "8181818181818100",
    "9f9f9f9f9f9f9fffffffffffffff",
)

EPSILON = 1e-15 if 16e8 + 0.5 > 16e8 else 1e-6


def item(text):
    c = cbor.Reader(memoryview(unhexlify(text)))
    return c, c.item()


def test_examples_of_the_rfc():
    for text, value in EXAMPLES:
        c, v = item(text)
        # the literal here may be a last bit off: MicroPython reads decimals only that well
        near = v == value or isinstance(v, float) and abs(v - value) <= abs(value) * EPSILON
        assert near and type(v) is type(value), (text, v)
        assert c.p == len(text) // 2, text
    for text in ("fa7fc00000", "fb7ff8000000000000"):
        c, v = item(text)
        assert v != v and c.p == len(text) // 2


def test_arrays_and_maps_are_passed_over():
    for text in PASSED:
        c, v = item(text)
        assert v is c and c.p == len(text) // 2, text


def test_refused():
    for text in REFUSED:
        assert raises((ValueError, IndexError, TypeError), item, text), text


def test_endless_nesting_is_refused():
    for c in (b"\x81", b"\xc1", b"\x9f", b"\xa1\x00", b"\x5f", b"\xc4\x82"):
        assert raises((ValueError, IndexError), cbor.Reader(c * 4000).item)


VALUES = (
    (1, "", b"\x60"),
    (1, "text", b"\x64text"),
    (1, "é" * 12, b"\x78\x18" + "é".encode() * 12),
    (1, "x" * 300, b"\x79\x01\x2c" + b"x" * 300),
    (2, 0, b"\x00"),
    (2, 23, b"\x17"),
    (2, 24, b"\x18\x18"),
    (2, 255, b"\x18\xff"),
    (2, 256, b"\x19\x01\x00"),
    (2, 65535, b"\x19\xff\xff"),
    (2, 65536, b"\x1a\x00\x01\x00\x00"),
    (2, 0xFFFFFFFF, b"\x1a\xff\xff\xff\xff"),
    (2, 1 << 32, b"\x1b\x00\x00\x00\x01\x00\x00\x00\x00"),
    (2, (1 << 63) - 1, b"\x1b\x7f" + b"\xff" * 7),
    (2, -1, b"\x20"),
    (2, -24, b"\x37"),
    (2, -25, b"\x38\x18"),
    (2, -(1 << 63), b"\x3b\x7f" + b"\xff" * 7),
    (3, 0.0, b"\xfa\x00\x00\x00\x00"),
    (3, 1.5, b"\xfa\x3f\xc0\x00\x00"),
    (3, 1.1, b"\xfb\x3f\xf1\x99\x99\x99\x99\x99\x9a"),
    (3, 1.0e300, b"\xfb\x7e\x37\xe4\x3c\x88\x00\x75\x9c"),
    (4, True, b"\xf5"),
    (4, False, b"\xf4"),
    (5, b"", b"\x40"),
    (5, b"\x00\xff", b"\x42\x00\xff"),
    (6, 1363896240, b"\xc1\x1a\x51\x4b\x67\xb0"),
    (6, -5, b"\xc1\x24"),
    (7, (3, 0), b"\x633:0"),
    (7, (65535, 65535), b"\x6b65535:65535"),
    (8, 18446744073709551615, b"\x1b" + b"\xff" * 8),
    (9, "</3/0>", b"\x66</3/0>"),
)


def test_values():
    t = tree()
    for kind, v, d in VALUES:
        path = "/1000/0/%d" % kind
        give(t, path, v)
        c = to_stored(t.definition(1000, kind), v)
        assert encode(cbor, t, path) == d, (kind, v, encode(cbor, t, path))
        assert decode(cbor, t, path, d) == [(0, kind, -1, c)]
        give(t, "/1000/0/%d" % (10 + kind), {2: v, 70: v})
        path = "/1000/0/%d/70" % (10 + kind)
        assert encode(cbor, t, path) == d
        assert decode(cbor, t, path, d) == [(0, 10 + kind, 70, c)]


def test_windows():
    t = tree()
    give(t, "/1000/0/1", "abcdefghijklmnopqrstuvwxyz" * 9)
    whole = encode(cbor, t, "/1000/0/1")
    for window in (1, 2, 3, 16, 64):
        assert encode(cbor, t, "/1000/0/1", window) == whole


def test_other_forms_of_the_same_value():
    t = tree()
    for kind, text, v in (
        (3, "05", 5.0),
        (3, "f93e00", 1.5),
        (3, "c48220190100", 25.6),
        (2, "f94000", 2),
        (2, "fb40a3880000000000", 2500),
        (2, "1b0000000000000007", 7),
        (2, "c48200182a", 42),
        (6, "1a514b67b0", 1363896240),
        (6, "c1fb41d452d9ec000000", 1363896240),
        (1, "7f62616261" + "63ff", b"abc"),
        (5, "5f4101420203ff", b"\x01\x02\x03"),
    ):
        assert decode(cbor, t, "/1000/0/%d" % kind, unhexlify(text)) == [(0, kind, -1, v)], text


def test_wrong_types():
    t = tree()
    for kind, texts in (
        (1, "05 f5 f6 4161 fb3ff199999999999a 80 a0"),
        (
            2,
            "6135 f5 f6 4105 fb3ff199999999999a 1b8000000000000000 3b8000000000000000 f97c00 f97e00 81182a",
        ),
        (3, "613" + "5 f4 f6 40"),
        (4, "00 01 f6 6474727565 f93c00"),
        (5, "6161 05 f6 f5"),
        (6, "c06132 61" + "35 f5 c249010000000000000000"),
        (7, "40 61" + "33 63333a" + "61 f5 f6 65333a303a30 6633303a2d31"),
        (8, "20 f5 6135"),
        (21, "20"),
    ):
        for text in texts.split():
            assert bad(cbor, t, "/1000/0/%d" % kind, unhexlify(text)), (kind, text)


def test_one_value_only():
    t = tree()
    give(t, "/1000/0/12", {0: 1, 1: 2})
    for path in ("/1000", "/1000/0", "/1000/0/12"):
        assert bad(cbor, t, path, b"\x05")
        try:
            encode(cbor, t, path)
            assert 0, path
        except CoapError as e:
            assert e.args[0] == 0x86
    assert bad(cbor, t, "/1000/0/2", b"\x05\x05")
    assert bad(cbor, t, "/1000/0/2", b"")


def test_malformed_data():
    t = tree()
    for kind, v, d in VALUES:
        if len(d) < 30:
            survive(cbor, t, "/1000/0/%d" % kind, d)
    for text, _ in EXAMPLES:
        for kind in KINDS:
            survive(cbor, t, "/1000/0/%d" % kind, unhexlify(text))


def test_neither_infinity_nor_nan_is_a_value():
    t = tree()
    for d in ("f97c00", "f9fc00", "f97e00", "fa7f800000", "fa7fc00000", "fbfff0000000000000"):
        assert bad(cbor, t, "/1000/0/3", unhexlify(d)), d
