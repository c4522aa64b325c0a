# Reading and writing single CoAP messages (RFC 7252 3, 5.4, 5.10)
# SPDX-License-Identifier: MIT
from link import *
from lwm2m.coap.message import Message, Writer
from lwm2m.coap.numbers import CoapError

_P = [(URI_PATH, "3303"), (URI_PATH, "1"), (URI_PATH, "5700")]


def parse(d, root=()):
    p = Message()
    return p.parse(d, root), p


def parts(opts, payload=b"", root=()):
    err, p = parse(build(CON, GET, 0x1234, b"ab", opts, payload), root)
    assert err == 0, err
    return p


def test_header():
    for typ in range(4):
        for token in (b"", b"x", b"12345678"):
            err, p = parse(build(typ, 0x45, 0xFEDC, token, (), b"pay"))
            assert (err, p.mtype, p.code, p.mid, bytes(p.token)) == (0, typ, 0x45, 0xFEDC, token)
            assert bytes(p.data[p.start : p.end]) == b"pay"
    err, p = parse(build(CON, GET, 1))
    assert err == 0 and p.start == p.end


def test_paths():
    for path, ids, named in (
        ("", [-1, -1, -1, -1], False),
        ("3", [3, -1, -1, -1], False),
        ("3/0/13", [3, 0, 13, -1], False),
        ("65534/65534/65534/65534", [65534] * 4, False),
        ("65535", None, True),
        ("65536", None, True),
        ("3/0/1/2/3", None, True),
        ("3/00", None, True),
        ("03", None, True),
        ("-1", None, True),
        ("+3", None, True),
        ("3/x", None, True),
        ("3/ 0", None, True),
        ("rd", None, True),
        ("999999999999999999999", None, True),
    ):
        p = parts(segments(path))
        assert bool(p.name) == named, path
        if ids:
            assert list(p.path) == ids, path
    # an empty segment is no id
    assert parts([(URI_PATH, "3"), (URI_PATH, ""), (URI_PATH, "0")]).name is not None
    # the alternate path is no part of the ids
    p = parts(segments("lwm2m/3/0"), root=(b"lwm2m",))
    assert not p.name and list(p.path) == [3, 0, -1, -1]
    assert parts(segments("other/3/0"), root=(b"lwm2m",)).name


def test_options():
    p = parts(
        [
            (OBSERVE, 0),
            (FORMAT, 11542),
            (ACCEPT, 40),
            (BLOCK2, 0x1E),
            (BLOCK1, 0xFFFFFE),
            (SIZE1, 70000),
        ]
    )
    assert (p.observe, p.content_format, p.accept, p.block2, p.block1, p.size1) == (
        0,
        11542,
        40,
        0x1E,
        0xFFFFFE,
        70000,
    )
    p = parts([(QUERY, "pmin=1"), (QUERY, ""), (QUERY, "x" * 255)])
    assert [bytes(q) for q in p.query] == [b"pmin=1", b"", b"x" * 255]
    p = parts([(LOCATION, "rd"), (LOCATION, "a b"), (LOCATION, "")])
    assert [bytes(q) for q in p.query] == [b"rd", b"a b", b""]
    p = parts([])
    assert (p.observe, p.content_format, p.accept, p.block2, p.block1, p.size1) == (
        -1,
    ) * 6 and not p.query
    # an integer may have leading zeros (3.2), Uri-Host and Uri-Port are understood
    p = parts([(URI_HOST, "h"), (URI_PORT, 5683), (FORMAT, b"\0\x2a")])
    assert p.content_format == 42


def test_not_understood():
    for opts, err in (
        ([(IF_MATCH, b"x")], 0x82),
        ([(5, b"")], 0x82),
        ([(35, b"coap://x")], 0xA5),  # this is no proxy
        ([(39, b"coap")], 0xA5),
        ([(65001, b"")], 0x82),  # critical by its number
        ([(65000, b"x" * 300)], 0),  # elective
        ([(2048, b"")], 0),
        ([(ACCEPT, 0), (ACCEPT, 42)], 0x82),  # a repetition of what may stand once, critical
        ([(FORMAT, 0), (FORMAT, 42)], 0),  # and elective
        ([(ACCEPT, b"12345")], 0x82),  # too long
        ([(BLOCK1, b"1234")], 0x82),
    ):
        assert parse(build(CON, PUT, 1, b"t", _P + opts, b"1"))[0] == err, opts


def test_format_errors():
    for d in (
        b"\x49\x01\0\1123456789",  # tokens of 9 and 15
        b"\x4f\x01\0\1" + b"x" * 15,
        b"\x42\x01\0\1x",  # shorter than its token
        b"\x40\x01\0\1\xff",  # a payload marker and no payload
        b"\x40\x01\0\1\xf0",  # reserved nibbles
        b"\x40\x01\0\1\x0f",
        b"\x40\x01\0\1\xb5abc",  # an option beyond the end
        b"\x40\x01\0\1\xd0",
        b"\x40\x01\0\1\xbd",
        b"\x40\x01\0\1\xe0\x01",
        b"\x40\x01\0\1\xbe\x01",
        b"\x41\x00\0\1x",  # an empty message that is not empty
        b"\x40\x00\0\1\xff1",
    ):
        assert parse(d)[0] == 1, d
    for d in (b"", b"\x40", b"\x40\x01\0", b"\0\x01\0\1", b"\x80\x01\0\1", b"\xc0\x01\0\1"):
        assert parse(d)[0] == -1, d


def samples():
    yield build(CON, GET, 0x0102, b"tokn", _P + [(OBSERVE, 0), (ACCEPT, TLV)])
    yield build(CON, PUT, 7, b"\xff", _P + [(QUERY, "pmin=10"), (QUERY, "gt=3.5")])
    yield build(
        NON,
        POST,
        7,
        b"12345678",
        segments("3303") + [(FORMAT, TLV), (BLOCK1, 8), (SIZE1, 900)],
        b"x" * 16,
    )
    yield build(ACK, 0x41, 9, b"1234", [(LOCATION, "rd"), (LOCATION, "x" * 20)])
    yield build(
        ACK,
        0x45,
        9,
        b"1",
        [(ETAG, b"12345678"), (FORMAT, 0), (BLOCK2, 0x1234), (SIZE2, 9)],
        b"body",
    )
    yield build(CON, 0, 3)
    yield build(RST, 0, 3)
    yield build(CON, GET, 7, b"", [(2049, b"x" * 280), (65000, b"y" * 14)])


def test_truncated_and_flipped():
    p = Message()
    for d in samples():
        for n in range(len(d)):
            assert p.parse(d[:n]) in (-1, 0, 1, 0x82, 0xA5)
            m = bytearray(d)
            for bit in range(8):
                m[n] = d[n] ^ 1 << bit
                assert p.parse(bytes(m), (b"lwm2m",)) in (-1, 0, 1, 0x82, 0xA5)
                assert 0 <= p.start <= p.end <= len(d)


def test_number():
    for s, n in (
        ("0", 0),
        ("7", 7),
        ("65534", 65534),
        ("65535", -1),
        ("65536", -1),
        ("00", -1),
        ("01", -1),
        ("", -1),
        ("1a", -1),
    ):
        p = parts([(URI_PATH, s)])
        assert p.path == [n, -1, -1, -1], s
        assert p.name == (s.encode() if n < 0 else None), s


def written(opts, payload=b"", size=2000):
    w = Writer(size, 5, 9)
    w.begin(CON, PUT, 0xABCD, b"tok")
    for num, v in opts:
        w.option(num, v)
    if payload:
        w.begin_payload(0, size)
        w.put(payload)
        assert not w.end_payload()
    assert bytes(w.buffer[:5]) == bytes(5)
    return Msg(bytes(w.buffer[w.headroom : w.position]))


def test_writer():
    m = written([])
    assert (m.typ, m.code, m.mid, m.token, m.opts, m.payload) == (
        CON,
        PUT,
        0xABCD,
        b"tok",
        [],
        b"",
    )
    for n in (0, 1, 12, 13, 14, 255, 268):
        v = b"v" * n
        assert written([(URI_PATH, v), (QUERY, b"")], b"p").opts == [(URI_PATH, v), (QUERY, b"")]
    for n in (0, 1, 255, 256, 65535, 65536, 0xFFFFFFFF):
        assert written([(SIZE1, n)]).opts == [(SIZE1, uint(n))]
    # deltas
    nums = [1, 1, 13, 14, 27, 28, 60, 60 + 13, 60 + 13 + 268]
    assert [n for n, _ in written([(n, b"x") for n in nums], b"p").opts] == nums


def test_writer_bounds():
    w = Writer(64)
    w.begin(CON, PUT, 1, b"12345678")
    w.option(11, b"x" * 40)
    assert refused(w.option, 11, b"y" * 20) == 0x8D
    w = Writer(2000)
    w.begin(CON, PUT, 1, b"")
    assert refused(w.option, 11, b"x" * 269) == 0x8D
    # a payload never leaves the buffer
    w = Writer(32, 4, 4)
    w.begin(CON, PUT, 1, b"")
    w.begin_payload(0, 1000)
    w.put(b"z" * 100)
    w.byte(1)
    assert w.end_payload() and w.position <= 36 and w.written == 101
    assert len(w.buffer) == 40 and bytes(w.buffer[36:]) == bytes(4)


def test_the_last_byte():
    # a byte that comes right behind the window is not written
    w = Writer(32, 4, 4)
    w.begin(CON, PUT, 1, b"")
    w.begin_payload(0, 1000)
    for _ in range(60):
        w.byte(0xEE)
    assert w.end_payload() and w.position == 36 and bytes(w.buffer[36:]) == bytes(4)


def test_window():
    # whatever the pieces, the window [lo, lo + size) of the whole is what is kept
    whole = bytes(range(60))
    for lo in range(0, 62, 3):
        for size in (1, 16, 30, 64):
            for piece in (1, 7, 16, 60):
                w = Writer(128)
                w.begin(ACK, 0x45, 1, b"")
                w.begin_payload(lo, size)
                for k in range(0, 60, piece):
                    if piece == 1:
                        w.byte(whole[k])
                    else:
                        w.put(whole[k : k + piece])
                more = w.end_payload()
                m = bytes(w.buffer[4 : w.position])
                kept = whole[lo : lo + size]
                assert m == (b"\xff" + kept if kept else b""), (lo, size, piece, m)
                assert more == (lo + size < 60), (lo, size)
                assert w.written == 60


def test_uint():
    for v, n, b in (
        (0, 1, b"\0"),
        (0x1234, 2, b"\x12\x34"),
        (-2, 2, b"\xff\xfe"),
        (-1, 8, b"\xff" * 8),
    ):
        w = Writer(64)
        w.begin(ACK, 0x45, 1, b"")
        w.begin_payload(0, 32)
        w.uint(v, n)
        w.end_payload()
        assert bytes(w.buffer[5 : w.position]) == b, (v, n)


def test_every_option_length():
    # what the writer makes, the reader takes, and the other way round
    for n in (0, 12, 13, 100, 268, 269, 300):
        p = parts([(QUERY, "q" * n)], b"x")
        assert len(p.query[0]) == n
    assert isinstance(CoapError(0x84), Exception)
