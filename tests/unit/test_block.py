# Block-wise transfers in both directions (RFC 7959)
# SPDX-License-Identifier: MIT
import gc

import lwm2m_port
from link import *

BIG = bytes([k * 7 & 255 for k in range(2000)])


def pieces(link, path, szx=None, accept=OPAQUE, num=0, opts=(), each=None):
    """Reads a path block by block: the whole body, and the messages."""
    s = link.server
    out = []
    body = b""
    while True:
        b2 = [] if szx is None else [(BLOCK2, num << 4 | szx)]
        m = s.request(GET, path, list(opts) + b2 + [(ACCEPT, accept)])
        out.append(m)
        if m.code != 0x45:
            return body, out
        body += m.payload
        b = m.opt(BLOCK2)
        if b is None or not b & 8:
            return body, out
        assert b >> 4 == num and len(m.payload) == 16 << (b & 7)
        szx = b & 7
        num += 1
        if each:
            each(num)


def opaque_client(**options):
    """A client with a readable and writable opaque resource, /9/0/2; and /9/0/0, text."""
    link = Link(**options)
    link.client.objects(b"\x00\x09\x01\x03\x10\x10\x10\x00" + b"\0\0\3\1\0\2\3\5\0\3\4\0")
    link.client.create("/9/0")
    link.client.set("/9/0/2", BIG)
    return link


def test_read_in_blocks():
    link = opaque_client()
    for szx in (0, 2, 5, 6, None):
        body, out = pieces(link, "/9/0/2", szx)
        assert body == BIG, (szx, len(body))
        size = 16 << (out[0].opt(BLOCK2) & 7)
        assert size <= 512 and len(out) == (2000 + size - 1) // size
        assert len(set([bytes(m.all(ETAG)[0]) for m in out])) == 1
        assert out[0].opt(FORMAT) == OPAQUE
    # the size, in the first answer to a read that did not ask for blocks
    assert out[0].opt(SIZE2) == 2000


def test_a_size_that_a_client_prefers():
    link = opaque_client(szx=2)
    body, out = pieces(link, "/9/0/2")
    assert body == BIG and out[0].opt(BLOCK2) & 7 == 2
    # a server may ask for less, and never gets more
    assert pieces(link, "/9/0/2", 6)[1][0].opt(BLOCK2) & 7 == 2
    assert pieces(link, "/9/0/2", 0)[1][0].opt(BLOCK2) & 7 == 0


def test_smaller_blocks_from_the_middle():
    # late negotiation: after two blocks of 512 the server goes on with 64
    link = opaque_client()
    body, _ = pieces(link, "/9/0/2", 2, num=16)
    assert body == BIG[1024:]


def test_exact_and_small_bodies():
    link = opaque_client()
    for n in (1, 15, 16, 17, 32, 511, 512, 513, 1024):
        link.client.set("/9/0/2", BIG[:n])
        for szx in (0, 5, None):
            body, out = pieces(link, "/9/0/2", szx)
            assert body == BIG[:n], n
            assert not (out[-1].opt(BLOCK2) or 0) & 8
        # what fits into a block needs no option, unless it was asked for
        m = link.server.get("/9/0/2", OPAQUE)
        assert (m.opt(BLOCK2) is None) == (n <= 512), n
    assert link.server.request(GET, "/9/0/2", [(BLOCK2, 9 << 4), (ACCEPT, OPAQUE)]).code == 0x45
    # the one behind the last, and one far out
    for num in (64, 500):
        m = link.server.request(GET, "/9/0/2", [(BLOCK2, num << 4), (ACCEPT, OPAQUE)])
        assert m.code >= 0x80, m


def test_a_size_that_is_reserved():
    # RFC 7959 2.2
    link = opaque_client()
    s = link.server
    for path in ("/3/0", "/3/0/0"):
        for num in (0, 1):
            assert s.get(path, None, (BLOCK2, num << 4 | 7)).code == 0x80
    assert s.get("/3", LINK, (BLOCK2, 7)).code == 0x80
    m = s.request(GET, "/3/0/0", [(OBSERVE, 0), (BLOCK2, 7)])
    assert m.code == 0x80 and not link.client.observations()


def test_two_readers_do_not_mix():
    link = opaque_client()
    link.client.set("/9/0/0", "y" * 700)
    got = []
    pieces(
        link, "/9/0/2", 2, each=lambda n: n == 3 and got.append(pieces(link, "/9/0/0", 1, TEXT)[0])
    )
    assert got == [b"y" * 700]
    body, _ = pieces(
        link, "/9/0/2", 2, each=lambda n: n == 3 and got.append(pieces(link, "/9/0/0", 1, TEXT)[0])
    )
    assert body == BIG and got[1] == b"y" * 700


def test_two_readers_of_the_same():
    # what did not change keeps its tag, so that both come to an end
    link = opaque_client()
    inner = []
    body, out = pieces(
        link, "/9/0/2", 5, each=lambda n: n == 2 and inner.append(pieces(link, "/9/0/2", 5)[0])
    )
    assert body == BIG and inner == [BIG]
    assert len(set([m.all(ETAG)[0] for m in out])) == 1


def test_a_value_that_changes_in_between():
    link = opaque_client()
    other = bytes(len(BIG))
    body, out = pieces(
        link, "/9/0/2", 5, each=lambda n: n == 2 and link.client.set("/9/0/2", other)
    )
    tags = [m.all(ETAG)[0] for m in out]
    # either the value of the beginning, held still, or a new tag that tells
    assert body == BIG or len(set(tags)) > 1
    body, out = pieces(link, "/9/0/2", 5)
    assert body == other and out[0].all(ETAG)[0] not in tags[:1]


def test_a_late_duplicate_of_the_first_request():
    # it does not begin another transfer: the blocks that follow go on to match the ones before
    for first in ([(ACCEPT, OPAQUE)], [(BLOCK2, 5), (ACCEPT, OPAQUE)]):
        link = opaque_client()
        s = link.server
        d = build(CON, GET, 0x77, b"first", segments("/9/0/2") + first)
        tags = []
        for num in range(4):
            n = len(s.heard)
            s.raw(d)
            link.run()
            tags.append(s.heard[n].all(ETAG))
            if num:
                m = s.request(GET, "/9/0/2", [(BLOCK2, num << 4 | 5), (ACCEPT, OPAQUE)])
                tags.append(m.all(ETAG))
        assert tags[0] and tags == tags[:1] * 7, tags


def test_a_callback_that_counts():
    # a function that gives another value at each call: the body stays whole
    link = opaque_client()
    n = [0]

    def read(path, v):
        n[0] += 1
        return bytes([n[0]]) * 1500

    link.client.on_read("/9/0/2", read)
    body, out = pieces(link, "/9/0/2", 2)
    assert len(body) == 1500 and (
        len(set(body)) == 1 or len(set([m.all(ETAG)[0] for m in out])) > 1
    )
    assert pieces(link, "/9/0/2", 2)[0] != body


def test_an_instance_in_blocks():
    link = opaque_client()
    link.client.on_read("/3/0/10", lambda path, v: 42)
    whole = link.server.request(GET, "/3/0", [(ACCEPT, TLV)]).payload
    body, out = pieces(link, "/3/0", 0, TLV)
    assert body == whole and len(out) > 3
    whole, _ = pieces(link, "/9", None, TLV)
    assert pieces(link, "/9", 1, TLV)[0] == whole and BIG in whole
    whole, _ = pieces(link, "/3", None, LINK)
    body, out = pieces(link, "/3", 1, LINK)
    assert body == whole and len(out) > 2


def many_resources():
    """A registered client with 60 instances of 3303, each with a value."""
    link = many_instances()
    for k in range(60):
        link.client.set("/3303/%d/5700" % k, 20.0)
    link.client.start()
    link.until("REGISTRATION_COMPLETE")
    return link


def test_discover_in_blocks():
    # before anything was read, and after something else was
    link = many_resources()
    s = link.server
    whole = b""
    for between in (None, "/3/0/0", "/3303"):
        body, out = pieces(link, "/3303", 5, LINK)
        assert out[-1].code == 0x45 and len(out) > 1
        assert len(set([bytes(m.all(ETAG)[0]) for m in out])) == 1
        assert not whole or body == whole
        assert body.count(b"</3303/") == 2 * len(ids(link.client, 3303)) and body[-1:] == b">"
        whole = body
        if between:
            assert s.get(between).code == 0x45
    # while another resource is read in blocks
    body, out = pieces(
        link, "/3303", 5, LINK, each=lambda num: s.get("/3303", TLV, (BLOCK2, num << 4 | 5))
    )
    assert body == whole and out[-1].code == 0x45


def test_discover_is_held_still():
    link = many_resources()
    client = link.client
    whole = pieces(link, "/3303", 5, LINK)[0]

    def change(num):
        if num == 1:
            client.set("/3303/59/5750", "new")
            client.set("/3303/58/5700", None)

    body, out = pieces(link, "/3303", 5, LINK, each=change)
    assert body == whole, (body, whole)
    assert len(set([bytes(m.all(ETAG)[0]) for m in out])) == 1
    body = pieces(link, "/3303", 5, LINK)[0]
    assert b"</3303/59/5750>" in body and b"</3303/58/5700>" not in body


def test_an_instance_that_is_deleted_in_between():
    link = opaque_client()
    body, out = pieces(link, "/9/0/2", 2, each=lambda n: n == 2 and link.client.delete("/9/0"))
    assert out[-1].code == 0x84


def block1(
    link, path, body, szx=2, num=0, opts=(), code=PUT, ct=OPAQUE, size1=True, stop=None, token=None
):
    """Writes block by block: the codes, and the last answer."""
    s = link.server
    codes = []
    size = 16 << szx
    while True:
        piece = body[num * size : num * size + size]
        more = (num + 1) * size < len(body)
        o = [(FORMAT, ct), (BLOCK1, num << 4 | more << 3 | szx)]
        if size1 and not num:
            o.append((SIZE1, len(body)))
        m = s.request(code, path, list(opts) + o, piece)
        codes.append(m.code)
        if m.code != 0x5F:
            return codes, m
        assert more and m.opt(BLOCK1) >> 4 == num
        new = m.opt(BLOCK1) & 7
        if new < szx:
            num = (num + 1 << szx - new) - 1
            szx = new
            size = 16 << szx
        num += 1
        if stop == num:
            return codes, m


def test_write_in_blocks():
    link = opaque_client()
    for szx in (0, 2, 5, 6):
        new = BIG[szx : szx + 1500]
        codes, m = block1(link, "/9/0/2", new, szx)
        assert codes[-1] == 0x44 and set(codes[:-1]) == {0x5F}, codes
        assert m.opt(BLOCK1) is not None and m.opt(BLOCK1) >> 4 == len(codes) - 1
        assert link.client.get("/9/0/2") == new
    # a transfer of one block
    codes, m = block1(link, "/9/0/2", b"short", 2)
    assert codes == [0x44] and link.client.get("/9/0/2") == b"short"
    assert block1(link, "/9/0/0", b"z" * 300, 1, ct=TEXT)[0][-1] == 0x44
    assert link.client.get("/9/0/0") == "z" * 300
    assert block1(link, "/9/0", b"\xc8\x00\x50" + b"t" * 80, 1, ct=TLV, code=POST)[0][-1] == 0x44
    assert link.client.get("/9/0/0") == "t" * 80


def test_nothing_is_written_before_the_end():
    link = opaque_client()
    block1(link, "/9/0/2", bytes(1000), 2, stop=10)
    assert link.client.get("/9/0/2") == BIG
    # and an execute happens at the end, once
    calls = []
    link.client.on_exec("/9/0/3", lambda path, args: calls.append(bytes(args)))
    args = b"0='" + b"a" * 200 + b"'"
    codes, _ = block1(link, "/9/0/3", args, 2, code=POST, ct=TEXT)
    assert codes[-1] == 0x44 and calls == [args]


def test_incomplete():
    link = opaque_client()
    s = link.server
    # the beginning never came
    assert block1(link, "/9/0/2", bytes(600), 2, num=3)[0] == [0x88]
    # a block is missing
    block1(link, "/9/0/2", bytes(600), 2, stop=2)
    assert block1(link, "/9/0/2", bytes(600), 2, num=4)[0] == [0x88]
    assert link.client.get("/9/0/2") == BIG
    # after a gap of minutes the beginning is forgotten
    block1(link, "/9/0/2", bytes(600), 2, stop=2)
    link.run(300)
    assert block1(link, "/9/0/2", bytes(600), 2, num=2)[0] == [0x88]
    # a block of another size than it says
    assert s.put("/9/0/2", b"x" * 20, OPAQUE, (BLOCK1, 8)).code == 0x80
    assert s.put("/9/0/2", b"x" * 16, OPAQUE, (BLOCK1, 15)).code == 0x80


def test_begun_anew():
    link = opaque_client()
    block1(link, "/9/0/2", b"\x01" * 600, 2, stop=3)
    assert block1(link, "/9/0/2", b"\x02" * 300, 2)[0][-1] == 0x44
    assert link.client.get("/9/0/2") == b"\x02" * 300


def test_a_block_that_comes_twice():
    link = opaque_client()
    link.fault = lambda peer, d, to_client: (0, 3)  # every datagram twice
    codes, m = block1(link, "/9/0/2", b"\x03" * 600, 2)
    link.run(1)
    assert codes[-1] == 0x44 and link.client.get("/9/0/2") == b"\x03" * 600


def test_too_large():
    link = opaque_client()
    s = link.server
    # by its announced size, with a hint of what is possible
    m = s.put("/9/0/2", b"x" * 16, OPAQUE, (BLOCK1, 8), (SIZE1, 10000000))
    assert m.code == 0x8D and 1000 < m.opt(SIZE1) < 10000000
    # and by growing
    codes, m = block1(link, "/9/0/2", bytes(20000), 5, size1=False)
    assert codes[-1] == 0x8D and m.opt(SIZE1) and len(codes) > 3
    assert link.client.get("/9/0/2") == BIG
    assert block1(link, "/9/0/2", b"fits" * 20, 2)[0][-1] == 0x44


def test_two_writers_do_not_mix():
    link = opaque_client()
    s = link.server
    a = b"\x01" * 200
    b = b"b" * 200
    for k in range(4):
        more = 8 if k < 3 else 0
        m = s.put("/9/0/2", a[k * 64 : k * 64 + 64], OPAQUE, (BLOCK1, k << 4 | more | 2))
        n = s.put("/9/0/0", b[k * 64 : k * 64 + 64], TEXT, (BLOCK1, k << 4 | more | 2))
        assert m.code == n.code == (0x5F if more else 0x44)
    assert link.client.get("/9/0/2") == a and link.client.get("/9/0/0") == "b" * 200


def test_transfers_are_bounded():
    link = opaque_client()
    s = link.server
    link.client.create("/9/1")
    used = []
    for turn in range(8):
        for k in range(30):
            s.put("/%d/%d/2" % (9, k), bytes(512), OPAQUE, (BLOCK1, 8 | 5), (QUERY, "pmin=%d" % k))
            s.heard = s.heard[-3:]
        gc.collect()
        used.append(gc.mem_alloc())
    assert growth(used) < 500, used


def test_refused_writes_in_blocks():
    link = opaque_client()
    # refused at the end at the latest, and nothing is changed
    assert block1(link, "/3/0/0", b"x" * 200, 2, ct=TEXT)[0][-1] == 0x85
    assert block1(link, "/9/7/2", b"x" * 200, 2)[0][-1] == 0x84
    assert block1(link, "/0/0/0", b"x" * 200, 2, ct=TEXT)[0][-1] == 0x81
    assert block1(link, "/9/0/2", b"x" * 200, 2, ct=9999)[0][-1] == 0x8F
    assert link.client.get("/3/0/0") == "MicroPython" and link.client.get("/9/0/2") == BIG


def test_streaming():
    link = opaque_client()
    link.client.set("/9/0/2", None)
    link.client.set("/9/0/2", b"")
    seen = []
    total = [0]

    def take(path, offset, data, more):
        assert offset == total[0] and isinstance(bytes(data), bytes)
        total[0] += len(data)
        seen.append(bool(more))

    link.client.on_stream("/9/0/2", take)
    body = bytes(100000)
    gc.collect()
    s = link.server
    peak = 0
    start = gc.mem_alloc()
    for num in range(196):
        more = 8 if num < 195 else 0
        m = s.put(
            "/9/0/2", body[num * 512 : num * 512 + 512], OPAQUE, (BLOCK1, num << 4 | more | 5)
        )
        assert m.code == (0x5F if more else 0x44)
        s.heard = []
        if num % 20 == 0:
            gc.collect()
            peak = max(peak, gc.mem_alloc() - start)
    assert total[0] == 100000 and seen == [True] * 195 + [False]
    assert peak < 16000, peak
    # one that is small enough for one message
    total[0] = 0
    assert s.put("/9/0/2", b"small", OPAQUE).code == 0x44 and total[0] == 5
    # the application refuses
    link.client.on_stream("/9/0/2", lambda path, offset, data, more: 0xA0)
    assert s.put("/9/0/2", b"small", OPAQUE).code == 0xA0
    assert block1(link, "/9/0/2", b"x" * 200, 2)[0][-1] == 0xA0


def test_a_stream_that_raises():
    link = opaque_client()

    def bad(path, offset, data, more):
        raise RuntimeError("full")

    link.client.on_stream("/9/0/2", bad)
    assert link.server.put("/9/0/2", b"small", OPAQUE).code == 0xA0
    assert block1(link, "/9/0/2", b"x" * 200, 2)[0][-1] == 0xA0
    assert link.client.stat() == 2 and printed() == [RuntimeError] * 2


class Upload:
    """A server that takes a registration in blocks, and says how."""

    def __init__(self, link, szx=None, fail=None):
        self.s = link.server
        self.szx = szx
        self.fail = fail
        self.body = b""
        self.blocks = []
        self.s.reply = self.reply

    def reply(self, m):
        b1 = m.opt(BLOCK1)
        if m.path() != "/rd":
            return self.s.accept(m)
        if b1 is None:
            self.body = m.payload
            return self.s.accept(m)
        num, more, szx = b1 >> 4, b1 & 8, b1 & 7
        self.blocks.append((num, bool(more), szx, m.opt(SIZE1), len(m.payload)))
        if self.szx is not None and szx > self.szx:
            if self.fail:
                return 0x8D, [(BLOCK1, num << 4 | more | self.szx), (SIZE1, 100)], b""
            szx = self.szx
        if not num:
            self.body = b""
        assert len(self.body) == num * (16 << (b1 & 7)), self.blocks
        self.body += m.payload
        if more:
            return 0x5F, [(BLOCK1, num << 4 | 8 | szx)], b""
        return 0x41, [(LOCATION, "rd"), (LOCATION, "7"), (BLOCK1, b1)], b""


def many_instances(**options):
    link = Link(start=False, **options)
    link.client.objects(__import__("lwm2m.model.tables.ipso", None, None, ("TABLE",)).TABLE)
    for k in range(60):
        link.client.create("/3303/%d" % k)
    return link


def links_of(body):
    return set(body.split(b","))


def test_registration_in_blocks():
    for szx, fail in ((None, False), (2, False), (2, True)):
        link = many_instances()
        up = Upload(link, szx, fail)
        link.client.start()
        link.until("REGISTRATION_COMPLETE")
        assert len(links_of(up.body) & set([b"</3303/%d>" % k for k in range(60)])) == 60, up.body
        assert up.blocks[0][:4] == (0, True, 5, len(up.body)), up.blocks
        assert up.blocks[-1][1] is False and sum([b[4] for b in up.blocks[1:]]) <= len(up.body)
        if szx:
            assert set([b[2] for b in up.blocks[1:]]) == {2}, up.blocks
        # the query and the path are in each block, the token may differ
        qs = set([tuple(m.query()) for m in link.server.requests])
        assert len(qs) == 1


def test_registration_in_blocks_refused():
    link = many_instances(retry=False)
    link.client.set("/1/0/17", 1)
    s = link.server
    s.reply = lambda m: (0x8D, (), b"")
    link.client.start()
    link.run(60)
    assert "REGISTRATION_FAILURE" in link.names() and len(s.requests) <= 2


def test_long_notifications():
    link = opaque_client()
    s = link.server
    t = s.observe("/9/0/2", OPAQUE)
    token = t.token
    assert t.opt(OBSERVE) is not None and t.opt(BLOCK2) == 8 | 5
    s.attributes("/9/0/2", "pmin=0")
    link.client.set("/9/0/2", bytes(1200))
    link.run(2)
    note = s.notes(token)[-1]
    # the first block is pushed, the others are fetched without Observe (RFC 7959 3.4)
    assert note.opt(BLOCK2) == 8 | 5 and len(note.payload) == 512
    rest, out = pieces(link, "/9/0/2", 5, num=1)
    assert note.payload + rest == bytes(1200)
    assert len(link.client.observations()) == 1
    assert out[0].all(ETAG) == note.all(ETAG)


def test_ends_of_the_world():
    # block numbers at the limits: an answer, no exception
    link = opaque_client()
    s = link.server
    for b in (0xFFFFFF, 0xFFFFF8, 0xFFFFF6, 0xFFFFFE, 0x7, 0xF, 0x10, 0x1E):
        assert s.request(GET, "/9/0/2", [(BLOCK2, b), (ACCEPT, OPAQUE)]).code
        assert s.put("/9/0/2", b"x" * 16, OPAQUE, (BLOCK1, b)).code
        assert s.post("/9/0/3", b"", None, (BLOCK1, b)).code
    assert link.client.stat() == 2


def test_what_a_stream_is_for():
    # PUT of a resource, as opaque: nothing else is handed to the function
    link = opaque_client(version="1.1")
    s = link.server
    calls = []
    link.client.on_stream("/9", lambda path, offset, data, more: calls.append(bytes(data)))
    for path, ct in (("/9/0", OPAQUE), ("/9", OPAQUE)):
        assert s.put(path, b"x" * 16, ct, (BLOCK1, 8)).code >= 0x80 or not calls
        assert s.put(path, b"x", ct).code >= 0x80, path
    assert s.post("/9/0/2", b"x", OPAQUE).code >= 0x80
    s.post("/9/0/2", b"x" * 16, OPAQUE, (BLOCK1, 8))
    assert s.put("/9/0/2", b"TWFu", TEXT).code == 0x44 and link.client.get("/9/0/2") == b"Man"
    assert calls == []
    assert s.put("/9/0/2", b"x", OPAQUE).code == 0x44 and calls == [b"x"]


# opaque: 2 may be read and written, 3 only read, 4 only written, 6 has instances; 0 is a text
STREAMS = b"\x00\x09\x01\x05\x10\x10\x10\x00\0\0\3\1\0\2\3\5\0\3\1\5\0\4\2\5\0\6\x0b\5"


def test_a_stream_is_checked_as_a_single_message_is():
    link = Link(version="1.1")
    link.client.objects(STREAMS)
    link.client.create("/9/0")
    for rid in (2, 3):
        link.client.set("/9/0/%d" % rid, b"old")
    link.client.set("/9/0/6", {0: b"a", 1: b"b"})
    s = link.server
    calls = []
    link.client.on_stream("/9", lambda path, *part: calls.append((path, part[0])))
    for path, code in (
        ("/9/0/3", 0x85),  # not to be written
        ("/9/1/2", 0x84),  # no such instance
        ("/9/0/7", 0x84),  # no such resource
        ("/9/0/0", 0x8F),  # no opaque one
        ("/9/0/2/0", 0x80),  # no instances
        ("/9/0/6", 0x80),  # instances
        ("/9/0/2/x", 0x84),
    ):
        m = s.put(path, b"x" * 16, OPAQUE)
        assert m.code == code, (path, m)
        for size in (0, 2):
            codes, m = block1(link, path, b"x" * 200, size)
            assert codes[-1] == code, (path, codes)
        assert not calls, (path, calls)
    # no attributes come in blocks
    m = s.put("/9/0/2", b"x" * 16, OPAQUE, (QUERY, "pmin=1"))
    assert m.code == 0x80 and not calls
    for path in ("/9/0/2", "/9/0/4", "/9/0/6/1"):
        assert s.put(path, b"x", OPAQUE).code == 0x44
        assert block1(link, path, b"x" * 40, 0)[0] == [0x5F, 0x5F, 0x44]
        assert calls == [(path, 0), (path, 0), (path, 16), (path, 32)], calls
        del calls[:]
    assert link.client.get("/9/0/2") == b"old"


def test_a_stream_that_refuses_in_the_middle():
    link = opaque_client()
    s = link.server
    calls = []

    def take(path, offset, data, more):
        calls.append(offset)
        return 0xA0 if offset == 32 else 0x44 if offset == 16 else None

    link.client.on_stream("/9/0/2", take)
    codes = [
        s.put("/9/0/2", b"x" * 16, OPAQUE, (BLOCK1, num << 4 | (8 if num < 4 else 0))).code
        for num in range(5)
    ]
    # what follows the refusal belongs to nothing any more
    assert codes == [0x5F, 0x5F, 0xA0, 0x88, 0x88] and calls == [0, 16, 32]
    assert counts(link.client)["uploads"] == 0
    # and another transfer begins
    link.client.on_stream("/9/0/2", None)
    assert block1(link, "/9/0/2", b"y" * 40, 0)[0][-1] == 0x44
    assert link.client.get("/9/0/2") == b"y" * 40


def test_two_transfers_take_turns():
    # the message ids go on beyond 255, and beyond 65535
    for mid in (245, 0xFFF8):
        link = opaque_client()
        s = link.server
        s.mid = mid
        a = bytes(range(77))
        b = b"text number two, which has a bit more than four blocks of sixteen bytes."
        assert 64 < len(a) <= 80 and 64 < len(b) <= 80
        for num in range(5):
            at = 16 * num
            block = (BLOCK1, num << 4 | (8 if num < 4 else 0))
            code = 0x5F if num < 4 else 0x44
            assert s.put("/9/0/2", a[at : at + 16], OPAQUE, block).code == code
            assert s.put("/9/0/0", b[at : at + 16], TEXT, block).code == code
        assert link.client.get("/9/0/2") == a and link.client.get("/9/0/0") == str(b, "utf8")


def test_two_methods_do_not_mix():
    # PUT and POST of one path, with the same options
    link = opaque_client()
    s = link.server
    a = b"\xc8\x00\x0efirst of them "
    b = b"\xc8\x02\x0etwo, as bytes."
    assert len(a) == len(b) == 17
    for num, more in ((0, 8), (1, 0)):
        for method, data in ((PUT, a), (POST, b)):
            m = s.request(
                method,
                "/9/0",
                [(FORMAT, TLV), (BLOCK1, num << 4 | more)],
                data[16 * num : 16 * num + 16],
            )
            assert m.code == (0x5F if more else 0x44), (method, num, m)
    assert link.client.get("/9/0/0") == "first of them "
    assert link.client.get("/9/0/2") == b"two, as bytes."


def test_options_of_each_block():
    link = opaque_client()
    for szx in (None, 3, 5):
        body, out = pieces(link, "/9/0/2", szx)
        for num, m in enumerate(out):
            # the size is told in the first answer to who did not ask for blocks
            assert (m.opt(SIZE2) is None) == (num > 0 or szx is not None), (szx, num)
            assert m.opt(BLOCK1) is None and m.opt(OBSERVE) is None
    m = link.server.get("/3/0/0")
    assert m.opt(SIZE2) is None and m.opt(BLOCK2) is None and not m.all(ETAG)


def test_blocks_larger_than_ours():
    # a number counts blocks of the size that it comes with (RFC 7959 2.4): 1 of 1024 is what lies at 1024
    link = opaque_client()
    for szx in (0, 2, 5):
        link = opaque_client(szx=szx)
        for number in (0, 1):
            m = link.server.get("/9/0/2", OPAQUE, (BLOCK2, number << 4 | 6))
            size = 16 << szx
            assert m.payload == BIG[number * 1024 :][:size], (szx, number)
            assert m.opt(BLOCK2) == number << 6 - szx << 4 | 8 | szx


def test_half_open_transfers_end():
    # whatever else comes: nothing of a transfer is left after EXCHANGE_LIFETIME
    link = opaque_client(version="1.1")
    s = link.server
    block1(link, "/9/0/2", bytes(600), 2, stop=2)
    s.request(FETCH, [], [(FORMAT, 112), (BLOCK1, 8)], bytes(16))
    for turn in range(5):
        link.run(60)
        s.post("/9/0/3", b"")
        s.get("/9/0/2", OPAQUE)
    assert counts(link.client)["uploads"] == 0
    assert block1(link, "/9/0/2", bytes(600), 2, num=2)[0] == [0x88]


def test_continue_without_end():
    # 2.31 is an answer to a block that others follow, and to nothing else
    link = many_instances(ack_timeout=1000)
    s = link.server
    s.reply = lambda m: (0x5F, [(BLOCK1, m.opt(BLOCK1) or 8)], b"")
    link.client.start()
    link.until("REGISTRATION_FAILURE")
    assert len([m for m in s.requests if m.payload]) == len(s.requests) < 10
    link = Link(start=False)
    link.server.reply = lambda m: (0x5F, (), b"")
    link.client.start()
    link.until("REGISTRATION_FAILURE", 5)


def test_a_server_that_lost_the_blocks():
    # 4.08 in mid-transfer (RFC 7959 2.9.2): once more from the first block, and then no more
    link = many_instances()
    up = Upload(link)
    lost = [1]

    def reply(m):
        if m.path() == "/rd" and lost[0] and (m.opt(BLOCK1) or 0) >> 4 == 1:
            lost[0] -= 1
            return 0x88, [(BLOCK1, m.opt(BLOCK1))], b""
        return up.reply(m)

    link.server.reply = reply
    link.client.start()
    link.until("REGISTRATION_COMPLETE", 5)
    assert [b[0] for b in up.blocks][:3] == [0, 0, 1], up.blocks
    assert "REGISTRATION_FAILURE" not in link.names()
    link = many_instances()
    up = Upload(link)
    lost = [100]
    link.server.reply = reply
    link.client.start()
    link.until("REGISTRATION_FAILURE", 5)
    assert len(link.server.requests) < 10


def test_a_registration_stays_the_same_in_all_blocks():
    for when in ("register", "update"):
        link = many_instances()
        bodies = []

        def reply(m):
            if m.path() not in ("/rd", "/rd/7") or m.opt(BLOCK1) is None:
                return link.server.accept(m)
            number = m.opt(BLOCK1) >> 4
            if not number:
                bodies.append(b"")
            bodies[-1] += m.payload
            if number == 0 and len(bodies) == 1 + (when == "update"):
                link.client.delete("/3303/5")
                link.client.create("/3303/777")
            if m.opt(BLOCK1) & 8:
                return 0x5F, [(BLOCK1, m.opt(BLOCK1))], b""
            if m.path() == "/rd/7":
                return 0x44, [(BLOCK1, m.opt(BLOCK1))], b""
            return 0x41, [(LOCATION, "rd"), (LOCATION, "7"), (BLOCK1, m.opt(BLOCK1))], b""

        link.server.reply = reply
        link.client.start()
        link.until("REGISTRATION_COMPLETE")
        if when == "update":
            link.client.create("/3303/60")
        link.run(5)
        before = set([b"</3303/%d>" % k for k in range(61 if when == "update" else 60)])
        after = (before - {b"</3303/5>"}) | {b"</3303/777>"}
        shown = [set([x for x in b.split(b",") if x.startswith(b"</3303/")]) for b in bodies]
        assert shown[-2:] == [before, after], (when, bodies)


def test_bodies_that_are_held_are_bounded():
    link = opaque_client()
    s = link.server
    for k in range(6):
        link.client.create("/9/%d" % (k + 1))
        link.client.set("/9/%d/2" % (k + 1), BIG)
        assert s.get("/9/%d/2" % (k + 1), OPAQUE).opt(BLOCK2) is not None
        assert counts(link.client)["snapshots"] <= 2


def test_a_first_resource_as_a_stream():
    link = Link()
    link.client.objects(b"\x00\x09\x01\x01\x10\x10\x10\x00" + b"\0\0\3\5")
    link.client.create("/9/0")
    seen = []
    link.client.on_stream(
        "/9/0/0", lambda path, offset, data, more: seen.append((offset, bytes(data)))
    )
    assert link.server.put("/9/0/0", b"small", OPAQUE).code == 0x44
    assert block1(link, "/9/0/0", b"x" * 20, 0)[0][-1] == 0x44
    assert seen == [(0, b"small"), (0, b"x" * 16), (16, b"xxxx")]


def test_discover_in_blocks_after_reads():
    # before anything was read, and whatever was read before
    for read in (None, "/3/0/0", "/3/0"):
        link = opaque_client()
        s = link.server
        if read:
            s.get(read)
        whole = b""
        for number in range(40):
            m = s.get("/3", LINK, (BLOCK2, number << 4 | 1))
            assert m.code == 0x45, (read, m)
            whole += m.payload
            if not m.opt(BLOCK2) & 8:
                break
        assert number > 1 and whole == s.get("/3", LINK).payload
        # one path's blocks are not another's
        assert s.get("/3", LINK, (BLOCK2, 1)).all(ETAG) != s.get("/1", LINK, (BLOCK2, 1)).all(ETAG)


def test_a_block_that_cannot_be_written():
    # no random bytes in the middle of a transfer: who waits for its end hears of it, and it is begun anew
    def reply(m):
        lwm2m_port.no_random = m.opt(BLOCK1) is not None
        return 0x5F, [(BLOCK1, m.opt(BLOCK1))], b""

    link = Link()
    link.server.reply = reply
    out = []
    body = lambda writer: writer.put(b"x" * 2000)
    request(link.client, link.ticks(), POST, (b"x",), (), 42, body, lambda *a: out.append(a))
    try:
        link.run(2)
    finally:
        lwm2m_port.no_random = False
    assert out == [(-2, None)] and printed() == [OSError]
    link = many_instances()
    up = Upload(link)

    def lose(m):
        lwm2m_port.no_random = m.opt(BLOCK1) is not None and m.opt(BLOCK1) >> 4 == 0
        return up.reply(m)

    link.server.reply = lose
    link.client.start()
    try:
        link.run(2)
    finally:
        lwm2m_port.no_random = False
    assert printed() and link.client.stat() == 1
    link.server.reply = up.reply
    link.until("REGISTRATION_COMPLETE")
