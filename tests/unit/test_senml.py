# SenML in CBOR and JSON (RFC 8428; Core 1.1.1 7.4.4, 7.4.5): names, values, times, bounds, malformed packs
# SPDX-License-Identifier: MIT
import gc

from codec import *
from link import json, raises, struct, sys, unhexlify
from lwm2m.coap.message import Writer
from lwm2m.formats import senml_cbor, senml_json
from lwm2m.reporting.timeseries import Series
from test_tlv import DEVICE

BOTH = (senml_cbor, senml_json)

# the device object of the specification's examples, as another implementation writes it
DEVICE_JSON = (
    b'[{"bn":"/3/0/","n":"0","vs":"Open Mobile Alliance"},{"n":"1","vs":"Lightweight M2M Client"},'
    b'{"n":"2","vs":"345000123"},{"n":"3","vs":"1.0"},{"n":"6/0","v":1},{"n":"6/1","v":5},'
    b'{"n":"7/0","v":3800},{"n":"7/1","v":5000},{"n":"8/0","v":125},{"n":"8/1","v":900},'
    b'{"n":"9","v":100},{"n":"10","v":15},{"n":"11/0","v":0},{"n":"13","v":1367491215},'
    b'{"n":"14","vs":"+02:00"},{"n":"16","vs":"U"}]'
)

# RFC 8428 6, the names being turned into those of a path
RFC_CBOR = (
    "87a721781b75726e3a6465763a6f773a3130653230373361303130383030363a22fb41d303a15b00106223614120050067766f6c7461"
    "676501615602fb405e066666666666a3006763757272656e74062402fb3ff3333333333333a3006763757272656e74062302fb3ff4cc"
    "cccccccccda3006763757272656e74062202fb3ff6666666666666a3006763757272656e74062102f93e00a3006763757272656e7406"
    "2002fb3ff999999999999aa3006763757272656e74060002fb3ffb333333333333"
)
# Leshan's nodes with times: a base name and a base time, a decimal fraction, in every record
LESHAN_CBOR = (
    "83a321692f313030302f302f3122c482001a1dcd6504036c53616d706c65537472696e67a321692f313030302f302f3422c482001a1d"
    "cd650504f4a321692f313030302f302f3222c482001a1dcd6506021901c8"
)


def device():
    t = tree()
    for r in DEVICE:
        give(t, "/3/0/%d" % r, DEVICE[r])
    return t


def full():
    """A tree with a value of every type, twice."""
    t = tree()
    values = (
        'te"x\\t\n\x01é',
        -(1 << 63),
        -2.5,
        True,
        bytes(range(256)),
        1 << 33,
        (3, 65535),
        (1 << 64) - 1,
        '</1>;a="b"',
    )
    for k in KINDS:
        give(t, "/1000/0/%d" % k, values[k - 1])
        give(t, "/1000/1/%d" % (10 + k), {0: values[k - 1], 65534: values[k - 1]})
    give(t, "/1000/0/300", "")
    return t


def values(t, o=1000):
    """All that a tree has of an object, in the form of decode()."""
    out = []
    for i in sorted(t.objects[o]):
        for r in sorted(t.objects[o][i]):
            v = t.objects[o][i][r]
            if isinstance(v, dict):
                out += [(i, r, ri, v[ri]) for ri in sorted(v)]
            else:
                out.append((i, r, -1, v))
    return out


def every(fmt, t, d):
    """All that decode_all() finds: [(o, i, r, ri, value), ...]."""
    out = []
    fmt.decode_all(d, 0, len(d), t, lambda *x: out.append(x))
    return out


def pack(*records):
    """The same records in both forms: [(format, bytes), ...]; labels are those of JSON."""
    labels = {
        "bver": -1,
        "bn": -2,
        "bt": -3,
        "bu": -4,
        "bv": -5,
        "bs": -6,
        "n": 0,
        "u": 1,
        "v": 2,
        "vs": 3,
        "vb": 4,
    }
    labels.update({"s": 5, "t": 6, "ut": 7, "vd": 8})

    def put(x):
        if isinstance(x, dict):
            out = bytes((0xA0 + len(x),))
            for k in x:
                out += put(labels.get(k, k)) + put(x[k])
            return out
        if isinstance(x, (list, tuple)):
            return bytes((0x99, len(x) >> 8, len(x) & 255)) + b"".join([put(y) for y in x])
        if isinstance(x, bool) or x is None:
            return b"\xf6" if x is None else b"\xf5" if x else b"\xf4"
        if isinstance(x, float):
            return b"\xfb" + struct.pack(">d", x)
        if isinstance(x, int):
            return bytes(((x < 0) << 5 | 27,)) + (~x if x < 0 else x).to_bytes(8, "big")
        x = x.encode()
        return b"\x79" + bytes((len(x) >> 8, len(x) & 255)) + x

    return [(senml_cbor, put(records)), (senml_json, json.dumps(records).encode())]


def test_device_object():
    t = device()
    assert encode(senml_json, t, "/3/0") == DEVICE_JSON
    assert encode(senml_json, t, "/3") == DEVICE_JSON
    for fmt in BOTH:
        for path in ("/3/0", "/3"):
            assert decode(fmt, t, path, encode(fmt, t, path)) == values(t, 3)


def test_exact_bytes():
    t = tree()
    give(t, "/1000/0/300", "ab")
    give(t, "/1000/0/12", {7: -1, 300: 24})
    assert (
        encode(senml_cbor, t, "/1000/0/300")
        == b"\x99\x00\x01\xa3\x21\x68/1000/0/\x00\x63300\x03\x62ab"
    )
    assert encode(senml_cbor, t, "/1000/0/12") == (
        b"\x99\x00\x02\xa3\x21\x68/1000/0/\x00\x6412/7\x02\x20\xa2\x00\x6612/300\x02\x18\x18"
    )
    assert (
        encode(senml_cbor, t, "/1000/0/12/7")
        == b"\x99\x00\x01\xa3\x21\x68/1000/0/\x00\x6412/7\x02\x20"
    )
    assert encode(senml_json, t, "/1000/0/12/300") == b'[{"bn":"/1000/0/","n":"12/300","v":24}]'
    give(t, "/1000/0/7", (3, 0))
    assert (
        encode(senml_cbor, t, "/1000/0/7")
        == b"\x99\x00\x01\xa3\x21\x68/1000/0/\x00\x617\x63vlo\x633:0"
    )
    give(t, "/1000/0/5", b"\xfb\xff\xfe\x00")
    assert encode(senml_json, t, "/1000/0/5") == b'[{"bn":"/1000/0/","n":"5","vd":"-__-AA"}]'
    assert encode(senml_cbor, t, "/1000/1") == b"\x99\x00\x00"
    assert encode(senml_json, t, "/1000/1") == b"[]"


def test_all_types_and_windows():
    t = full()
    for fmt in BOTH:
        d = encode(fmt, t, "/1000")
        assert decode(fmt, t, "/1000", d) == values(t)
        assert encode(fmt, t, "/1000", 16) == d and encode(fmt, t, "/1000", 64) == d
        for i, r, ri, v in values(t):
            path = "/1000/%d/%d" % (i, r)
            assert (i, r, ri, v) in decode(fmt, t, path, encode(fmt, t, path))
            if ri >= 0:
                path += "/%d" % ri
                assert decode(fmt, t, path, encode(fmt, t, path)) == [(i, r, ri, v)]
    assert json.loads(encode(senml_json, t, "/1000/0/1"))[0]["vs"] == 'te"x\\t\n\x01é'


def test_what_the_rfc_and_others_write():
    t = tree()
    d = unhexlify(RFC_CBOR)
    d = d.replace(b"urn:dev:ow:10e2073a0108006:", b"/" + b"0" * 19 + b"1000/0/")
    d = d.replace(b"voltage", b"0000003").replace(b"current", b"0000013")
    found = every(senml_cbor, t, d)
    assert found[0] == (1000, 0, 3, -1, 120.1) and [x[4] for x in found[1:]] == [
        1.2,
        1.3,
        1.4,
        1.5,
        1.6,
        1.7,
    ]
    d = unhexlify(LESHAN_CBOR)
    assert [x[2:] for x in every(senml_cbor, t, d)] == [
        (1, -1, b"SampleString"),
        (4, -1, False),
        (2, -1, 456),
    ]
    d = b"""[
      {"bn":"/1000/0/","bt":1.276020076001e+09, "bu":"A","bver":5, "n":"3","u":"V","v":120.1},
      {"n":"3","t":-5,"v":1.2} , {"n":"2","v":  7, "ut":4, "extra":{"a":[1,{"b":"]}"}]}}
    ]\r\n"""
    assert [x[4] for x in every(senml_json, t, d)] == [120.1, 1.2, 7]
    # indefinite lengths
    d = b"\x9f\xbf\x21\x7f\x64/100\x640/0/\xff\x00\x611\x03\x7f\x61a\x62bc\xff\xff\xbf\x00\x615\x08\x5f\x41\x01\xff\xff\xff"
    assert every(senml_cbor, t, d) == [(1000, 0, 1, -1, b"abc"), (1000, 0, 5, -1, b"\x01")]


def test_names():
    t = tree()
    good = (
        (({"bn": "/1000/0/1", "vs": "x"},), (1000, 0, 1, -1)),
        (({"n": "/1000/0/1", "vs": "x"},), (1000, 0, 1, -1)),
        (({"bn": "/", "n": "1000/0/1", "vs": "x"},), (1000, 0, 1, -1)),
        (({"bn": "/1000/0", "n": "/11/5", "vs": "x"},), (1000, 0, 11, 5)),
        (({"bn": "/100", "n": "0/0/1", "vs": "x"},), (1000, 0, 1, -1)),
    )
    for records, path in good:
        for fmt, d in pack(*records):
            assert every(fmt, t, d) == [path + (b"x",)]
    # a base name holds until the next
    records = (
        {"bn": "/1000/0/", "n": "1"},
        {"n": "2"},
        {"bn": "/1000/1/", "n": "1"},
        {"n": "2"},
        {"bn": "/3"},
        {"bn": "/"},
    )
    for fmt, d in pack(*records):
        assert [x[:4] for x in every(fmt, t, d)] == [
            (1000, 0, 1, -1),
            (1000, 0, 2, -1),
            (1000, 1, 1, -1),
            (1000, 1, 2, -1),
            (3, -1, -1, -1),
            (-1, -1, -1, -1),
        ]
    for name in (
        "",
        "x",
        "/1000/x",
        "/1000//1",
        "/65536",
        "/1/2/3/4/5",
        "/-1",
        "/1000/0/1 ",
        "/1000/0/+1",
    ):
        for fmt, d in pack({"n": name, "vs": "x"}):
            assert raises(ValueError, every, fmt, t, d), name
    for name in (5, None, True):
        for fmt, d in pack({"n": name, "vs": "x"}):
            assert raises(TypeError, every, fmt, t, d), name


def test_labels():
    t = tree()
    name = {"bn": "/1000/0/", "n": "2"}
    for more, v in (
        ({"v": 5}, 5),
        (
            {
                "v": 5,
                "bt": 1.5,
                "t": 2,
                "ut": 3,
                "u": "m",
                "bu": "A",
                "s": 4,
                "bs": 2,
                "bver": 10,
                "other": "x",
                "_x": 1,
            },
            5,
        ),
        ({"v": 5, "bv": 100}, 105),
        ({"v": 5.0}, 5),
        ({"bver": 1}, None),
    ):
        x = dict(name)
        x.update(more)
        for fmt, d in pack(x):
            assert every(fmt, t, d) == [(1000, 0, 2, -1, v)], more
    for more in (
        {"v": 5, "must_": 1},
        {"v": 5, "bver": 11},
        {"v": 5, "vs": "5"},
        {"v": 5, "vb": True},
        {"v": "5"},
        {"vs": "5"},
        {"vb": True},
        {"v": True},
        {"v": 5.5},
        {"v": [5]},
        {"v": {"a": 5}},
        {"vd": "AAAA"},
        {"vlo": "1:2"},
    ):
        x = dict(name)
        x.update(more)
        for fmt, d in pack(x):
            assert raises((ValueError, TypeError), every, fmt, t, d), more
    # base values hold too
    for fmt, d in pack(
        {"bn": "/1000/0/", "bv": 10, "n": "2", "v": 1},
        {"n": "3", "v": 2.5},
        {"n": "2", "v": 0, "bv": 0},
    ):
        assert [x[4] for x in every(fmt, t, d)] == [11, 12.5, 0]


def test_paths_of_a_write():
    t = tree()
    x = {"n": "/1000/0/1", "vs": "x"}
    y = {"n": "/1000/1/11/5", "vs": "y"}
    for fmt, d in pack(x, y):
        assert decode(fmt, t, "/1000", d) == [(0, 1, -1, b"x"), (1, 11, 5, b"y")]
        for path in ("/1000/0", "/1000/1", "/1001", "/1000/0/1", "/1000/1/11/5", "/3"):
            assert bad(fmt, t, path, d), path
    for fmt, d in pack(y):
        for path in ("/1000/1", "/1000/1/11", "/1000/1/11/5"):
            assert decode(fmt, t, path, d) == [(1, 11, 5, b"y")]
        assert bad(fmt, t, "/1000/1/11/6", d) and bad(fmt, t, "/1000/1/1", d)
    for fmt, d in pack({"n": "/1000/0/77", "v": 5}):
        assert decode(fmt, t, "/1000/0", d) == [(0, 77, -1, None)]
    for z in ({"n": "/1000/0/1"}, {"n": "/1000/0", "v": 5}, {"n": "/1000/0/1", "vs": None}):
        for fmt, d in pack(z):
            assert bad(fmt, t, "/1000/0", d), z
    for fmt, d in pack():
        assert decode(fmt, t, "/1000/0", d) == []


def test_base64():
    t = tree()
    for text, v in (
        ("", b""),
        ("AA", b"\0"),
        ("AA==", b"\0"),
        ("-_8", b"\xfb\xff"),
        ("+/8=", b"\xfb\xff"),
        ("AAECAw", b"\0\1\2\3"),
    ):
        d = json.dumps([{"n": "/1000/0/5", "vd": text}]).encode()
        assert decode(senml_json, t, "/1000/0/5", d) == [(0, 5, -1, v)], text
    # text is no opaque value in CBOR
    assert bad(senml_cbor, t, "/1000/0/5", b"\x81\xa2\x00\x69/1000/0/5\x08\x62AA")
    assert bad(senml_json, t, "/1000/0/5", b'[{"n":"/1000/0/5","vd":5}]')
    for text in ("*&", "A", "AA=A", "AAA", "A A="):
        d = json.dumps([{"n": "/1000/0/5", "vd": text}]).encode()
        assert bad(senml_json, t, "/1000/0/5", d) == (text != "AAA"), text
    assert bad(senml_json, t, "/1000/0/5", b'[{"n":"/1000/0/5","vd":"AAAAA"}]')


def test_bounds():
    t = tree()
    x = {"n": "/1000/0/2", "v": 1}
    for fmt, d in pack(*[x] * 256):
        assert len(every(fmt, t, d)) == 256
    for fmt, d in pack(*[x] * 257):
        assert raises(ValueError, every, fmt, t, d)
    for name in ("/" + "0" * 4000 + "3", "/1000/" + "0" * 40 + "/1", "/3" * 3000):
        for fmt, d in pack({"n": name}):
            assert raises(ValueError, every, fmt, t, d)
    for d in (
        b"\x81\xb1" + b"".join([bytes((0x18, 32 + k, 0)) for k in range(17)]),
        b"\x81" + b"\x81" * 3000,
        b"\x9f" * 3000,
    ):
        assert raises((ValueError, IndexError), every, senml_cbor, t, d)
    for d in (
        b"[" * 3000,
        b"[{" * 3000,
        b'[{"a":' * 3000,
        b'[{"a":' + b"[" * 3000 + b"]" * 3000 + b"}]",
    ):
        assert raises((ValueError, IndexError), every, senml_json, t, d)


def test_several_paths():
    t = full()
    t.objects[0] = {0: {0: b"coap://secret"}}
    give(t, "/3/0/0", "x")
    paths = [
        [1000, 0, 1, -1],
        [1000, 1, 12, 65534],
        [1000, 7, -1, -1],
        [1000, 0, 40, -1],
        [4711, -1, -1, -1],
        [3, -1, -1, -1],
    ]
    for fmt in BOTH:
        w = Writer(4000)
        w.begin(0, 0, 0, b"")
        w.begin_payload(0, 3900)
        fmt.encode_all(w, t, paths)
        d = bytes(w.buffer[5 : 5 + w.written])
        assert [x[:4] for x in every(fmt, t, d)] == [
            (1000, 0, 1, -1),
            (1000, 1, 12, 65534),
            (3, 0, 0, -1),
        ]
        w.begin_payload(0, 3900)
        fmt.encode_all(w, t, [[-1, -1, -1, -1]])
        d = bytes(w.buffer[5 : 5 + w.written])
        assert [x[1:] for x in every(fmt, t, d) if x[0] == 1000] == values(t)
        assert not [x for x in every(fmt, t, d) if not x[0]]
        w.begin_payload(0, 1900)
        fmt.encode_all(w, t, [[0, -1, -1, -1], [0, 0, 0, -1]])
        assert w.written == (3 if fmt is senml_cbor else 2)


def test_times():
    t = tree()
    give(t, "/1000/0/3", 5.0)
    t.series = Series(t)
    t.series.entries = lambda o, i, r: [(1700000000, 1.0), (1700000000.5, 2.0)] if r == 3 else None
    give(t, "/1000/0/4", True)
    assert json.loads(encode(senml_json, t, "/1000/0")) == [
        {"bn": "/1000/0/", "n": "3", "t": 1700000000, "v": 1.0},
        {"n": "3", "t": 1700000000.5, "v": 2.0},
        {"n": "4", "vb": True},
    ]
    assert encode(senml_cbor, t, "/1000/0") == (
        b"\x99\x00\x03\xa4\x21\x68/1000/0/\x00\x613\x06\x1a\x65\x53\xf1\x00\x02\xfa\x3f\x80\x00\x00"
        b"\xa3\x00\x613\x06\xfb\x41\xd9\x54\xfc\x40\x20\x00\x00\x02\xfa\x40\x00\x00\x00\xa2\x00\x614\x04\xf5"
    )


def test_malformed_packs():
    t = full()
    d = device()
    for fmt, path in ((senml_cbor, "/1000/0"), (senml_json, "/1000/0")):
        give(t, "/1000/0/5", b"\x00\x01\x02")
        survive(fmt, t, path, encode(fmt, t, path))
        survive(fmt, d, "/3", encode(fmt, d, "/3/0/7"))
    survive(senml_cbor, t, "/1000", unhexlify(LESHAN_CBOR))
    for fmt, x in pack(
        {"bn": "/1000/0/", "bv": 1, "bver": 5, "n": "2", "v": 5, "t": 1}, {"n": "7", "vlo": "3:0"}
    ):
        survive(fmt, t, "/1000/0", x)
        for k in range(len(x)):
            assert bad(fmt, t, "/1000/0", x[:k]), x[:k]
    for x in (
        b"",
        b" ",
        b"[",
        b"{}",
        b'"x"',
        b"5",
        b"[5]",
        b'["x"]',
        b"[]]",
        b"[] x",
        b"[}",
        b'[{"n":}]',
        b"[{]",
        b"nul",
        b"[\xff]",
        b'[{"n":"/1000/0/5","vd":5}]',
    ):
        assert raises((ValueError, IndexError, TypeError), every, senml_json, t, x), x
    for x in (
        b"",
        b"\x80\x00",
        b"\xa0",
        b"\x81\x80",
        b"\x81\xa0",
        b"\x81\x00",
        b"\x00",
        b"\x9f",
        b"\x9f\xbf\xff\xff",
    ):
        assert raises((ValueError, IndexError, TypeError), every, senml_cbor, t, x), x


def test_what_a_read_allocates():
    t = device()
    w = Writer(600)
    w.begin(0, 0, 0, b"")

    def read():
        w.begin_payload(0, 512)
        senml_cbor.encode(w, t, 3, -1, -1, -1)

    read()
    gc.collect()
    gc.disable()
    try:
        before = gc.mem_alloc()
        read()
        after = gc.mem_alloc()
    finally:
        gc.enable()
    # objects are twice as large where pointers are
    assert after - before <= (1024 if sys.maxsize > 1 << 31 else 512), after - before
