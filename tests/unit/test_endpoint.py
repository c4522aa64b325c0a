# Reliability, duplicates, tokens and rejections between client and server (RFC 7252 4, 5)
# SPDX-License-Identifier: MIT
import lwm2m_port
from link import *

from lwm2m import LATER, CoapError


def silent(m):
    return None


def test_piggybacked():
    s = Link().server
    m = s.request(GET, "/3/0/0", [(ACCEPT, 0)], token=b"12345678")
    assert (m.typ, m.code, m.mid, m.payload) == (ACK, 0x45, s.mid, b"MicroPython")
    m = s.request(GET, "/3/0/0", [(ACCEPT, 0)], token=b"")
    assert (m.typ, m.code, m.mid, m.token) == (ACK, 0x45, s.mid, b"")


def test_non_confirmable():
    s = Link().server
    a = s.request(GET, "/3/0/0", typ=NON)
    b = s.request(GET, "/3/0/0", typ=NON)
    assert a.typ == b.typ == NON and a.code == 0x45 and a.mid != b.mid
    assert s.request(GET, "/9/0", typ=NON).code == 0x84


def answers(d, n=1):
    """What the client says to a datagram, as [(type, code, message id), ...]."""
    link = Link()
    s = link.server
    since = len(s.heard)
    for _ in range(n):
        s.raw(d)
    link.run(1)
    assert link.client.stat() == 2
    return [(m.typ, m.code, m.mid) for m in s.heard[since:]]


def test_rejections():
    for d, out in (
        (build(CON, 0, 5), [(RST, 0, 5)]),  # ping
        (build(NON, 0, 5), []),
        (build(ACK, 0, 5), []),
        (build(RST, 0, 5), []),
        (build(CON, 0x20, 5, b"t"), [(RST, 0, 5)]),  # reserved classes
        (build(CON, 0xC1, 5, b"t"), [(RST, 0, 5)]),
        (build(CON, 0xFF, 5, b"t"), [(RST, 0, 5)]),
        (build(NON, 0x20, 5, b"t"), []),
        (build(CON, 0x45, 5, b"none"), [(RST, 0, 5)]),  # a response to nothing
        (build(NON, 0x45, 5, b"none"), []),
        (build(ACK, 0x45, 5, b"none"), []),
        (build(ACK, GET, 5, b"t", segments("/3/0/0")), []),  # requests of a wrong type
        (build(RST, GET, 5, b"t", segments("/3/0/0")), []),
        (build(CON, 8, 5, b"t", segments("/3/0/0")), [(ACK, 0x85, 5)]),  # an unknown method
        (build(CON, GET, 5, b"t", segments("/3/0/0")) + b"\xff", [(RST, 0, 5)]),
        (build(NON, GET, 5, b"t", segments("/3/0/0")) + b"\xff", []),
        (b"\x49\x01\0\x05" + b"t" * 9, [(RST, 0, 5)]),
        (b"\x40", []),
        (b"\x80\x01\0\5", []),
    ):
        assert answers(d) == out, (d, answers(d))


def test_critical_options():
    opts = segments("/3/0/0") + [(9, b"x")]
    assert answers(build(CON, GET, 5, b"t", opts)) == [(ACK, 0x82, 5)]
    # a non-confirmable one is rejected without a response (5.4.1, 4.3)
    assert [x for x in answers(build(NON, GET, 5, b"t", opts)) if x[0] != RST] == []
    assert answers(build(CON, GET, 5, b"t", segments("/3/0/0") + [(8, b"elective")])) == [
        (ACK, 0x45, 5)
    ]
    # this is no proxy (5.7.2)
    for option in ((35, b"coap://other/3/0/0"), (39, b"coap")):
        opts = segments("/3/0/0") + [option]
        assert answers(build(CON, GET, 5, b"t", opts)) == [(ACK, 0xA5, 5)]


def test_critical_option_in_a_response():
    link = Link(start=False)
    s = link.server
    s.reply = lambda m: (0x41, [(LOCATION, "rd"), (9, b"x")], b"")
    link.client.start()
    link.run(1)
    assert link.client.stat() != 2
    s.reply = s.accept
    link.until("REGISTRATION_COMPLETE")


def counting(link):
    """A client whose /3/0/4 counts its executions."""
    calls = []
    link.client.on_exec("/3/0/4", lambda path, args: calls.append(args))
    return calls


def test_duplicates_are_answered_from_memory():
    link = Link()
    s = link.server
    calls = counting(link)
    for typ in (CON, NON):
        d = build(typ, POST, 0x77 + typ, b"tok", segments("/3/0/4"), b"1")
        since = len(s.heard)
        for k in range(5):
            s.raw(d)
            link.run(40)
        out = s.heard[since:]
        assert len(calls) == 1 + typ, calls
        if typ == CON:
            assert len(out) == 5 and len(set([m.raw for m in out])) == 1 and out[0].code == 0x44
        else:
            assert len(out) == 1
    # a write is not done twice, even when the value changed in between
    d = build(CON, PUT, 0x90, b"t", segments("/1/0/1") + [(FORMAT, 0)], b"1000")
    s.raw(d)
    link.run(1)
    link.client.set("/1/0/1", 2000)
    s.raw(d)
    link.run(1)
    assert link.client.get("/1/0/1") == 2000
    # a refusal is repeated as it was
    since = len(s.heard)
    d = build(CON, DELETE, 0x91, b"t", segments("/3/0"))
    for k in range(2):
        s.raw(d)
        link.run(1)
    assert [m.code for m in s.heard[since:] if m.typ == ACK] == [0x85, 0x85]


def test_duplicates_of_a_long_read():
    link = Link()
    s = link.server
    link.client.set("/3/0/0", "x" * 300)
    d = build(CON, GET, 0x77, b"tok", segments("/3/0/0") + [(ACCEPT, 0)])
    for k in range(3):
        s.raw(d)
        link.run(1)
    out = [m for m in s.heard if m.token == b"tok"]
    assert len(out) == 3 and [m.payload for m in out] == [b"x" * 300] * 3
    # an observation that is asked for twice is one
    d = build(CON, GET, 0x78, b"obs", segments("/3/0/0") + [(OBSERVE, 0), (ACCEPT, 0)])
    for k in range(2):
        s.raw(d)
        link.run(1)
    assert len(link.client.observations()) == 1
    assert [m.opt(OBSERVE) is not None for m in s.heard if m.token == b"obs"] == [True, True]


def test_message_ids_are_used_again():
    link = Link()
    calls = counting(link)
    d = build(CON, POST, 0x77, b"tok", segments("/3/0/4"))
    link.server.raw(d)
    link.run(246)
    link.server.raw(d)
    link.run(1)
    assert len(calls) == 1
    link.run(250)  # EXCHANGE_LIFETIME is 247 s
    link.server.raw(d)
    link.run(1)
    assert len(calls) == 2


def test_memory_is_bounded():
    link = Link()
    calls = counting(link)
    s = link.server
    for k in range(200):
        assert s.post("/3/0/4").code == 0x44
    assert len(calls) == 200 and counts(link.client)["duplicates"] <= 64
    # the last ones are remembered
    s.raw(build(CON, POST, s.mid, b"t", segments("/3/0/4")))
    link.run(1)
    assert len(calls) == 200


def lost_update(**options):
    """The times at which an Update is sent that nobody answers."""
    link = Link(**options)
    s = link.server
    s.reply = silent
    n = len(s.heard)
    link.client.update()
    link.until("REG_TIMEOUT", 400)
    out = [m for m in s.heard[n:] if m.path() == "/rd/7"]
    assert len(set([m.raw for m in out])) == 1
    return [m.at for m in out], link.times[link.names().index("REG_TIMEOUT")]


def test_retransmission():
    try:
        for byte, first in ((0, 2000), (255, 3000)):
            lwm2m_port.random = byte
            at, end = lost_update()
            assert [at[k + 1] - at[k] for k in range(4)] == [
                first,
                2 * first,
                4 * first,
                8 * first,
            ], at
            # MAX_TRANSMIT_WAIT: 31 times the first timeout
            assert end - at[0] == 31 * first, end - at[0]
            at, end = lost_update(ack_timeout=500, random_factor=2000, max_retransmit=2)
            first = 1000 if byte else 500
            assert [at[k + 1] - at[k] for k in range(len(at) - 1)] == [first, 2 * first]
            assert end - at[0] == 7 * first
            at, end = lost_update(max_retransmit=0)
            assert len(at) == 1
    finally:
        lwm2m_port.random = None


def test_retransmission_is_spread():
    firsts = set()
    for k in range(20):
        at, _ = lost_update(max_retransmit=1)
        assert 2000 <= at[1] - at[0] <= 3000
        firsts.add(at[1] - at[0])
    assert len(firsts) > 3


def test_retransmission_ends_with_the_answer():
    link = Link()
    s = link.server
    n = len(s.heard)
    s.reply = lambda m: s.accept(m) if len(s.heard) - n == 3 else None
    link.client.update()
    link.run(300)
    assert (
        len(s.heard) - n == 3 and "REG_UPDATE_COMPLETE" in link.names() and link.client.stat() == 2
    )


def test_reset_of_a_request():
    link = Link()
    s = link.server
    s.reply = lambda m: build(RST, 0, m.mid)
    n = len(s.requests)
    link.client.update()
    link.run(1)
    # lost: the client registers again, and that fails the same way
    assert [m.path() for m in s.requests[n:]][:2] == ["/rd/7", "/rd"] and link.client.stat() == 1


def test_separate_responses_of_the_server():
    for typ in (CON, NON):
        link = Link()
        s = link.server
        s.reply = lambda m: build(ACK, 0, m.mid)
        link.client.update()
        link.run(50)
        m = s.requests[-1]
        assert [x.mid for x in s.heard].count(
            m.mid
        ) == 1  # no retransmission after the acknowledgement
        n = len(s.heard)
        done = link.names().count("REG_UPDATE_COMPLETE")
        for k in range(3):
            s.raw(build(typ, 0x44, 0x4242, m.token))
            link.run(1)
        assert link.names().count("REG_UPDATE_COMPLETE") == done + 1
        out = [(x.typ, x.code, x.mid) for x in s.heard[n:]]
        assert out == ([(ACK, 0, 0x4242)] * 3 if typ == CON else []), out


def test_separate_response_before_the_acknowledgement():
    link = Link()
    s = link.server
    s.reply = lambda m: build(CON, 0x44, 0x4243, m.token)
    link.client.update()
    link.run(1)
    s.raw(build(ACK, 0, s.requests[-1].mid))
    link.run(100)
    assert (
        "REG_UPDATE_COMPLETE" in link.names()
        and len([m for m in s.heard if m.path() == "/rd/7"]) == 1
    )


def test_acknowledged_but_never_answered():
    link = Link()
    s = link.server
    s.reply = lambda m: build(ACK, 0, m.mid)
    link.client.update()
    link.until("REG_TIMEOUT", 300)


def test_responses_are_matched():
    for wrong in (
        lambda m: build(ACK, 0x44, m.mid, b"other"),
        lambda m: build(ACK, 0x44, m.mid ^ 1, m.token),
        lambda m: build(CON, 0x44, 9, m.token + b"x"),
    ):
        link = Link()
        link.server.reply = wrong
        link.client.update()
        link.run(1)
        assert "REG_UPDATE_COMPLETE" not in link.names()


def test_tokens_and_message_ids_differ():
    link = Link()
    s = link.server
    for k in range(50):
        link.client.update()
        link.run(20)
    assert len(s.requests) == 51
    assert (
        len(set([m.token for m in s.requests])) == 51
        and len(set([m.mid for m in s.requests])) == 51
    )
    # another session starts elsewhere
    assert len(set([Link().server.heard[0].mid for k in range(8)])) > 3


def test_message_ids_wrap():
    link = Link()
    set_message_id(link.client, 0xFFFE)
    for k in range(4):
        link.client.update()
        link.run(20)
    assert link.client.stat() == 2 and link.names().count("REG_UPDATE_COMPLETE") == 4


def test_nstart():
    for nstart in (1, 2):
        link = Link(nstart=nstart)
        s = link.server
        t = s.observe("/3/0/15").token
        u = s.observe("/3/0/14").token
        s.attributes("/3/0/15", "pmin=0")
        s.attributes("/3/0/14", "pmin=0")
        link.run(1)
        s.acks = False
        link.client.set("/3/0/15", "Europe/Oslo")
        link.client.set("/3/0/14", "+01:00")
        link.run(30)
        first = s.notes(t) + s.notes(u)
        assert len(first) == nstart, (nstart, first)
        s.acks = True
        link.run(60)
        assert len(s.notes(t)) == len(s.notes(u)) == 1


def test_a_request_is_served_while_one_is_open():
    link = Link()
    s = link.server
    s.reply = silent
    link.client.update()
    link.run(1)
    assert s.get("/3/0/0").code == 0x45


def test_answered_later():
    for typ in (CON, NON):
        link = Link()
        s = link.server
        asked = []
        link.client.on_read("/3/0/0", lambda path, v: asked.append(path) or LATER)
        n = len(s.heard)
        t = s.ask(GET, "/3/0/0", [(ACCEPT, 0)], typ=typ)
        link.run(2)
        assert [(m.typ, m.code) for m in s.heard[n:]] == ([(ACK, 0)] if typ == CON else [])
        if typ == CON:
            # the server did not hear the acknowledgement
            s.ask(GET, "/3/0/0", [(ACCEPT, 0)], mid=s.mid, token=t)
            link.run(1)
            assert len(asked) == 1, asked
        n = len(s.heard)
        s.acks = False
        link.client.answer("/3/0/0", "slow")
        link.run(20)
        out = [m for m in s.heard[n:] if m.code]
        assert out and out[0].code == 0x45 and out[0].payload == b"slow" and out[0].token == t
        # as the request was (RFC 7252 5.2.3)
        assert out[0].typ == typ
        if typ == CON:
            assert len(out) > 1  # retransmitted
        else:
            link.run(60)
            assert len(s.heard) == n + 1
        if typ == CON:
            s.raw(build(ACK, 0, out[0].mid))
            n = len(s.heard)
            link.run(60)
            assert len(s.heard) == n


def test_execute_answered_later():
    link = Link()
    s = link.server
    link.client.on_exec("/3/0/4", lambda path, args: LATER)
    for value, code in ((None, 0x44), (0xA0, 0xA0)):
        t = s.ask(POST, "/3/0/4")
        link.run(5)
        n = len(s.heard)
        link.client.answer("/3/0/4", value)
        assert s.wait(t, n).code == code


def test_refused_later():
    link = Link()
    s = link.server
    c = link.client
    c.on_exec("/3/0/4", lambda path, args: LATER)
    c.on_read("/3/0/14", lambda path, v: LATER)
    c.on_write("/3/0/15", lambda path, v: LATER)
    before = c.get("/3/0/15")
    for code in (0x84, 0x81, 0xA3):
        for path, method, opts, data in (
            ("/3/0/4", POST, (), b""),
            ("/3/0/14", GET, [(ACCEPT, 0)], b""),
            ("/3/0/15", PUT, [(FORMAT, 0)], b"Mars"),
        ):
            t = s.ask(method, path, opts, data)
            link.run(2)
            n = len(s.heard)
            c.answer(path, CoapError(code))
            assert s.wait(t, n).code == code, (path, code)
    assert c.get("/3/0/15") == before and not counts(c)["deferred"]


def test_an_answer_that_never_comes():
    link = Link()
    s = link.server
    c = link.client
    c.on_read("/3/0/14", lambda path, v: LATER)
    c.on_read("/3/0/15", lambda path, v: LATER)
    for other in (False, True):
        t = s.ask(GET, "/3/0/14", [(ACCEPT, 0)])
        u = s.ask(GET, "/3/0/15", [(ACCEPT, 0)])
        link.run(240)
        if other:
            # one that nobody waits for does not keep them
            c.answer("/3/0/0", "x")
        n = len(s.heard)
        c.answer("/3/0/14", "in time")
        assert s.wait(t, n, 10).payload == b"in time"
        link.run(1010)
        assert not counts(c)["deferred"]
        n = len(s.heard)
        c.answer("/3/0/15", "late")
        link.run(10)
        assert not [m for m in s.heard[n:] if m.token == u]
        # nor is that value another request's
        assert not counts(c)["answers"]
    # room for others
    for k in range(8):
        s.ask(GET, "/3/0/14", [(ACCEPT, 0)])
    link.run(1010)
    t = s.ask(GET, "/3/0/14", [(ACCEPT, 0)])
    link.run(1)
    c.answer("/3/0/14", "new")
    assert s.wait(t).payload == b"new"


def test_a_notification_answered_later():
    for confirmable in (True, False):
        link = Link(confirmable=confirmable)
        s = link.server
        c = link.client
        t = s.observe("/3/0/14", 0).token
        c.on_read("/3/0/14", lambda path, v: LATER)
        for k in range(3):
            n = len(s.heard)
            c.set("/3/0/14", "+1%d:00" % k)
            link.run(30)
            assert not s.notes(t, n) and len(c.observations()) == 1
            c.set("/3/0/14", "+1%d:30" % k)
            link.run(1)
            assert counts(c)["deferred"] == 1
            c.answer("/3/0/14", "value %d" % k)
            link.run(2)
            (m,) = s.notes(t, n)
            assert m.code == 0x45 and m.payload == b"value %d" % k
            # the change that came meanwhile is told next
            assert counts(c)["deferred"] == 1
            c.answer("/3/0/14", "next %d" % k)
            link.run(2)
            assert s.notes(t, n)[1].payload == b"next %d" % k and len(s.notes(t, n)) == 2
            assert not counts(c)["deferred"]
        # one that is cancelled meanwhile is not told any more
        n = len(s.heard)
        c.set("/3/0/14", "+09:00")
        link.run(1)
        s.request(GET, "/3/0/15", [(OBSERVE, 1), (ACCEPT, 0)], token=t)
        c.answer("/3/0/14", "late")
        link.run(1)
        assert not s.notes(t, n) and not counts(c)["deferred"]
        c.on_read("/3/0/14", None)
        t = s.observe("/3/0/14", 0).token
        c.on_read("/3/0/14", lambda path, v: LATER)
        # a refusal ends it
        n = len(s.heard)
        c.set("/3/0/14", "")
        link.run(1)
        c.answer("/3/0/14", CoapError(0x84))
        link.run(1)
        (m,) = s.notes(t, n)
        assert m.code == 0x84 and not c.observations()


def test_requests_that_cannot_be_written():
    def refuses(w):
        raise CoapError(0x84)

    def refuses_then(w):
        # the first block alone
        if w.window_start:
            raise CoapError(0x84)
        w.put(b"x" * 2000)

    link = Link()
    s = link.server
    s.reply = lambda m: (0x5F, [(BLOCK1, m.opt(BLOCK1))], b"")
    c = link.client
    for path, body, code, sent in (
        ((b"x" * 300,), None, 0x8D, 0),
        ((b"x" * 200,) * 4, None, 0x8D, 0),
        ((b"x",), refuses, 0x84, 0),
        ((b"x",), refuses_then, 0x84, 1),
    ):
        out = []
        n = len(s.requests)
        request(c, link.ticks(), POST, path, (), 42, body, lambda *a: out.append(a))
        link.run(1)
        assert out == [(code, None)] and len(s.requests) - n == sent, (code, out)
        assert not counts(c)["exchanges"]
    s.reply = s.accept
    assert s.get("/3/0/0").code == 0x45


def test_too_many_answers_outstanding():
    link = Link()
    s = link.server
    link.client.on_read("/3/0/0", lambda path, v: LATER)
    tokens = [s.ask(GET, "/3/0/0", [(ACCEPT, 0)]) for k in range(12)]
    link.run(1)
    link.client.answer("/3/0/0", "x")
    link.run(30)
    codes = [[m.code for m in s.heard if m.token == t and m.code] for t in tokens]
    # each is answered once, with the value or with an error
    assert [len(c) for c in codes] == [1] * 12, codes
    assert [0x45] in codes


def test_truncated_and_flipped():
    link = Link(lifetime=100000)
    s = link.server
    link.client.objects(__import__("lwm2m.model.tables.ipso", None, None, ("TABLE",)).TABLE)
    link.client.create("/3303/1")
    link.client.set("/3303/1/5700", 20.0)
    n = 0
    for d in (
        build(CON, GET, 2, b"tokn", segments("/3303/1/5700") + [(OBSERVE, 0), (ACCEPT, TLV)]),
        build(CON, GET, 2, b"tokn", segments("/3303/1") + [(ACCEPT, LINK), (BLOCK2, 2)]),
        build(CON, PUT, 3, b"", segments("/3303/1/5750") + [(FORMAT, 0)], b"name"),
        build(
            NON, PUT, 4, b"a", segments("/3303/1/5700") + [(QUERY, "pmin=10"), (QUERY, "gt=3.5")]
        ),
        build(
            CON,
            POST,
            5,
            b"12345678",
            segments("/3303") + [(FORMAT, TLV), (BLOCK1, 8), (SIZE1, 900)],
            b"x" * 16,
        ),
        build(CON, 0x45, 9, b"1", [(ETAG, b"12345678"), (FORMAT, 0), (BLOCK2, 0x1234)], b"body"),
        build(CON, FETCH, 9, b"1", [(FORMAT, 112)], b"\x81\xa1\x00\x61\x2f"),
    ):
        for k in range(len(d)):
            m = bytearray(d)
            for bit in range(9):
                m[k] = d[k] ^ (1 << bit & 255)
                n = n + 1 & 0xFFFF
                for x in (bytes(m), d[:k]):
                    if k > 3:
                        x = x[:2] + bytes((n >> 8, n & 255)) + x[4:]
                    s.raw(x)
                link.run()
                s.heard = []
    link.run(10)
    assert link.client.stat() == 2 and s.get("/3/0/0", 0).payload == b"MicroPython"


def test_an_answer_is_for_those_that_wait():
    link = Link()
    s = link.server
    c = link.client
    c.on_read("/3/0/15", lambda path, v: LATER)  # nobody ever answers this one
    s.ask(GET, "/3/0/15", [(ACCEPT, 0)])
    asked = []

    def read(path, v):
        asked.append(path)
        return LATER

    c.on_read("/3/0/14", read)
    for k in range(3):
        t = s.ask(GET, "/3/0/14", [(ACCEPT, 0)])
        link.run(5)
        assert len(asked) == k + 1 and not [m for m in s.heard if m.token == t and m.code]
        c.answer("/3/0/14", "value %d" % k)
        assert s.wait(t).payload == b"value %d" % k


def test_how_long_a_duplicate_is_known():
    for typ in (CON, NON):
        for seconds, times in ((246, 1), (248, 2)):
            link = Link()
            calls = counting(link)
            d = build(typ, POST, 0x77, b"tok", segments("/3/0/4"))
            link.server.raw(d)
            # others in between do not renew it
            for k in range(4):
                link.run(seconds / 4)
                if k < 3:
                    link.server.get("/3/0/0")
            link.server.raw(d)
            link.run(1)
            assert len(calls) == times, (typ, seconds)
