# Plain text and opaque (Core 1.1.1 7.4.1, 7.4.2)
# SPDX-License-Identifier: MIT
from codec import *
from link import refused
from lwm2m.formats import find_format, opaque, text
from lwm2m.model.values import to_stored

_GOOD = (
    (1, b"", b""),
    (1, b"Open Mobile", b"Open Mobile"),
    (1, "hé".encode(), "hé".encode()),
    (9, b"</3/0>", b"</3/0>"),
    (2, b"0", 0),
    (2, b"-5", -5),
    (2, b"9223372036854775807", 2**63 - 1),
    (2, b"-9223372036854775808", -(2**63)),
    (21, b"4294967295", 0xFFFFFFFF),
    (8, b"18446744073709551615", 2**64 - 1),
    (6, b"1367491215", 1367491215),
    (3, b"1.5", 1.5),
    (3, b"-20.25", -20.25),
    (3, b"0.1", 0.1),
    (4, b"0", False),
    (4, b"1", True),
    (5, b"", b""),
    (5, b"AP8=", b"\0\xff"),
    (5, b"FBUWFw==", b"\x14\x15\x16\x17"),
    (7, b"0:0", 0),
    (7, b"3:1", 3 << 16 | 1),
    (7, b"65535:65535", 0xFFFFFFFF),
)

_BAD = (
    (1, b"\xc3\x28"),
    (2, b""),
    (2, b"1.5"),
    (2, b"five"),
    (2, b" 5"),
    (2, b"5 "),
    (2, b"0x10"),
    (2, b"1_000"),
    (2, b"--5"),
    (2, b"9223372036854775808"),
    (2, b"-9223372036854775809"),
    (21, b"-1"),
    (8, b"-1"),
    (8, b"18446744073709551616"),
    (6, b"now"),
    (3, b""),
    (3, b"1,5"),
    (3, b"1.5.5"),
    (3, b"1_5.0"),
    (4, b""),
    (4, b"2"),
    (4, b"true"),
    (4, b"01"),
    (5, b"A"),
    (7, b""),
    (7, b"3"),
    (7, b"3:"),
    (7, b":"),
    (7, b"3:1:2"),
    (7, b"65536:0"),
    (7, b"0:65536"),
    (7, b"-1:0"),
    (7, b"a:b"),
)


def test_values():
    t = tree()
    for r, d, v in _GOOD:
        path = "/1000/0/%d" % r
        assert decode(text, t, path, d) == [(0, r, -1, v)], (r, d)
        t.objects[1000][0][r] = v
        assert encode(text, t, path) == d, (r, d, encode(text, t, path))


def test_one_of_several():
    t = tree()
    for r, d, v in _GOOD:
        path = "/1000/0/%d" % (r + 10)
        t.objects[1000][0][r + 10] = {0: v, 7: v}
        assert encode(text, t, path + "/7") == d
        assert decode(text, t, path + "/7", d) == [(0, r + 10, 7, v)]
        assert decode(text, t, path + "/0", d) == [(0, r + 10, 0, v)]
        # the whole resource has no text
        assert refused(encode, text, t, path) == 0x86
        assert bad(text, t, path, d)


def test_refused():
    t = tree()
    for r, d in _BAD:
        assert bad(text, t, "/1000/0/%d" % r, d), (r, d)
    for path in ("/1000", "/1000/0"):
        assert refused(encode, text, t, path) == 0x86 and bad(text, t, path, b"1")


def test_floats_stay_floats():
    t = tree()
    for d, v in ((b"3", 3.0), (b"1e3", 1000.0), (b"-0", 0.0), (b".5", 0.5), (b"5.", 5.0)):
        x = decode(text, t, "/1000/0/3", d)[0][3]
        assert x == v and isinstance(x, float), d
    for v in (20.0, 1e10, 1e-7, -0.5, 123456.789):
        t.objects[1000][0][3] = v
        assert decode(text, t, "/1000/0/3", encode(text, t, "/1000/0/3"))[0][3] == v


def test_opaque():
    t = tree()
    for v in (b"", b"\0\xff" * 300):
        assert decode(opaque, t, "/1000/0/5", v) == [(0, 5, -1, v)]
        t.objects[1000][0][5] = v
        assert encode(opaque, t, "/1000/0/5") == v == encode(opaque, t, "/1000/0/5", 64)
    t.objects[1000][0][15] = {3: b"abc"}
    assert encode(opaque, t, "/1000/0/15/3") == b"abc"
    assert decode(opaque, t, "/1000/0/15/3", b"x") == [(0, 15, 3, b"x")]
    t.objects[1000][0][1] = b"text"
    for path in ("/1000/0/1", "/1000/0/15", "/1000/0", "/1000"):
        assert refused(encode, opaque, t, path) == 0x86, path
        assert bad(opaque, t, path, b"x") or path == "/1000/0/15", path


def test_truncated_and_flipped():
    t = tree()
    for r, d, v in _GOOD:
        for path in ("/1000/0/%d" % r, "/1000/0/%d/3" % (r + 10), "/1000/0", "/1000"):
            survive(text, t, path, d)
            survive(opaque, t, path, d)


def test_found_by_number():
    assert find_format(0) is text and find_format(42) is opaque
    for ct in (-1, 1, 41, 9999, 65535):
        assert find_format(ct) is None


def test_canonical():
    t = tree()
    for r, v, kept in (
        (1, "x", b"x"),
        (2, True, 1),
        (3, 2, 2.0),
        (4, 1, True),
        (5, bytearray(b"x"), b"x"),
        (7, "3:1", 3 << 16 | 1),
        (7, [3, 1], 3 << 16 | 1),
    ):
        assert to_stored(t.definition(1000, r) & 255, v) == kept, (r, v)
    for r, v in (
        (1, 5),
        (2, "5"),
        (2, 5.0),
        (2, None),
        (3, "x"),
        (4, 2),
        (4, "1"),
        (5, 5),
        (7, 5.5),
        (7, (1, 2, 3)),
        (7, "1"),
        (21, -1),
    ):
        try:
            to_stored(t.definition(1000, r) & 255, v)
        except (ValueError, TypeError):
            continue
        assert False, (r, v)
