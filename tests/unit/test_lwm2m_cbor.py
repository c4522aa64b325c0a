# LwM2M CBOR (Core 1.2 7.4.4): maps in maps, keys of several ids, paths that a request leaves out
# SPDX-License-Identifier: MIT

from codec import *
from link import raises, unhexlify
from lwm2m.coap.message import Writer
from lwm2m.formats import lwm2m_cbor as fmt
from test_senml import device, every, full, values

# two instances of the server object, as the specification serialises them
SERVERS = (
    "a101a200a70018650"
    + "11a0001518002"
    + "19012c03191770051a0001518006f5076155"
    + "01a7001866011a0001518002183c03191770051a0001518006f4076255"
    + "51"
)


def test_example_of_the_specification():
    t = tree()
    d = unhexlify(SERVERS)
    found = every(fmt, t, d)
    assert found[:3] == [(1, 0, 0, -1, 101), (1, 0, 1, -1, 86400), (1, 0, 2, -1, 300)]
    assert found[-2:] == [(1, 1, 6, -1, False), (1, 1, 7, -1, b"UQ")] and len(found) == 14
    assert decode(fmt, t, "/1", d) == [x[1:] for x in found]


def test_exact_bytes():
    t = tree()
    give(t, "/1000/0/300", "ab")
    give(t, "/1000/0/12", {7: -1, 300: 24})
    give(t, "/1000/1/6", 5)
    give(t, "/1000/1/7", (3, 0))
    assert (
        encode(fmt, t, "/1000/0/300")
        == b"\xbf\x19\x03\xe8\xbf\x00\xbf\x19\x01\x2c\x62ab\xff\xff\xff"
    )
    assert (
        encode(fmt, t, "/1000/0/12/7")
        == b"\xbf\x19\x03\xe8\xbf\x00\xbf\x0c\xbf\x07\x20\xff\xff\xff\xff"
    )
    assert encode(fmt, t, "/1000") == (
        b"\xbf\x19\x03\xe8\xbf\x00\xbf\x0c\xbf\x07\x20\x19\x01\x2c\x18\x18\xff\x19\x01\x2c\x62ab\xff"
        b"\x01\xbf\x06\xc1\x05\x07\x633:0\xff\xff\xff"
    )
    assert encode(fmt, t, "/3") == b"\xbf\xff"


def test_all_types_and_windows():
    t = full()
    d = encode(fmt, t, "/1000")
    assert decode(fmt, t, "/1000", d) == values(t)
    assert encode(fmt, t, "/1000", 16) == d
    t = device()
    for path in ("/3", "/3/0", "/3/0/7", "/3/0/7/1", "/3/0/13"):
        found = decode(fmt, t, path, encode(fmt, t, path))
        assert found and not [x for x in found if x not in values(t, 3)]


def test_keys():
    t = tree()
    x = (1000, 0, 11, 5, b"x")
    for d in (
        b"\xa1\x84\x19\x03\xe8\x00\x0b\x05\x61x",
        b"\xa1\x82\x19\x03\xe8\x00\xa1\x82\x0b\x05\x61x",
        b"\xa1\x83\x19\x03\xe8\x00\x0b\xa1\x05\x61x",
        b"\xa1\x19\x03\xe8\xbf\x9f\x00\x0b\x05\xff\x61x\xff",
        b"\xa1\x81\x19\x03\xe8\xa1\x00\xa1\x0b\xa1\x05\x61x",
    ):
        assert every(fmt, t, d) == [x], d
        for path in ("/1000", "/1000/0", "/1000/0/11", "/1000/0/11/5"):
            assert decode(fmt, t, path, d) == [x[1:]]
        for path in ("/1001", "/1000/1", "/1000/0/1", "/1000/0/11/6"):
            assert bad(fmt, t, path, d), path


def test_paths_of_a_read():
    t = tree()
    for d, path in (
        (b"\xa1\x03\xf6", (3, -1, -1, -1)),
        (b"\xa1\x82\x03\x00\xf6", (3, 0, -1, -1)),
        (b"\xa1\x03\xa1\x00\xa1\x09\xf6", (3, 0, 9, -1)),
        (b"\xa1\x80\xf6", (-1, -1, -1, -1)),
    ):
        assert every(fmt, t, d) == [path + (None,)]


def test_a_write_may_leave_out_its_own_path():
    t = tree()
    for path, d in (
        ("/1000/0", b"\xa1\x01\x61x"),
        ("/1000", b"\xa1\x00\xa1\x01\x61x"),
        ("/1000", b"\xa1\x82\x00\x01\x61x"),
    ):
        assert decode(fmt, t, path, d) == [(0, 1, -1, b"x")], path
    assert decode(fmt, t, "/1000/0/11", b"\xa1\x05\x61x") == [(0, 11, 5, b"x")]
    # ids that look like the beginning of the whole path
    assert decode(fmt, t, "/3/3", b"\xa1\x03\xa1\x03\xa1\x03\x61x") == [(3, 3, -1, b"x")]
    assert decode(fmt, t, "/3/3", b"\xa1\x03\x61x") == [(3, 3, -1, b"x")]


def test_refused():
    t = tree()
    for d in (
        b"",
        b"\x80",
        b"\x00",
        b"\xa0\x00",
        b"\xa1\x20\x61x",
        b"\xa1\x61\x31\x61x",
        b"\xa1\x1a\x00\x01\x00\x00\xf6",
        b"\xa1\x19\xff\xff\xf6",
        b"\xa1\x82\x03\x61\x30\xf6",
        b"\xa1\x82\x03\x20\xf6",
        b"\xa1\x85\x03\x00\x07\x00\x00\xf6",
        b"\xa1\x03\xa1\x00\xa1\x07\xa1\x00\xa1\x00\x00",
        b"\xa1\x80\xa1\x80\xf6",
        b"\xa1\x83\x19\x03\xe8\x00\x02\x61x",
        b"\xa1\x83\x19\x03\xe8\x00\x02\x81\x05",
        b"\xa1\x80" * 3000,
        b"\xa1\x00" * 3000,
        b"\xbf" * 3000,
        b"\xa1\x9f" * 3000,
    ):
        assert raises((ValueError, IndexError, TypeError), every, fmt, t, d), d[:20]
    d = b"\xb9\x01\x01" + b"\x83\x19\x03\xe8\x00\x02\x05" * 257
    assert raises(ValueError, every, fmt, t, d)
    assert bad(fmt, t, "/1000/0", b"\xa1\x83\x19\x03\xe8\x00\x02\xf6")


def test_several_paths():
    t = full()
    t.objects[0] = {0: {0: b"coap://secret"}}
    w = Writer(2000)
    w.begin(0, 0, 0, b"")
    w.begin_payload(0, 1900)
    fmt.encode_all(
        w,
        t,
        [[0, -1, -1, -1], [1000, 0, 1, -1], [1000, 0, 2, -1], [1000, 1, 12, 0], [1000, 7, -1, -1]],
    )
    found = every(fmt, t, bytes(w.buffer[5 : 5 + w.written]))
    assert [x[:4] for x in found] == [(1000, 0, 1, -1), (1000, 0, 2, -1), (1000, 1, 12, 0)]


def test_malformed_data():
    t = full()
    give(t, "/1000/0/5", b"\x00\x01\x02")
    survive(fmt, t, "/1000/0", encode(fmt, t, "/1000/0"))
    survive(fmt, t, "/1", unhexlify(SERVERS))
    d = unhexlify(SERVERS)
    for k in range(len(d)):
        assert raises((ValueError, IndexError, TypeError), every, fmt, t, d[:k])
