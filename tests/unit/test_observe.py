# Observations, notifications and what steers them (RFC 7641; Core 1.1.1 5.1.2, 6.4)
# SPDX-License-Identifier: MIT
from link import *
from lwm2m.model.tables.ipso import TABLE as IPSO

T = "/3303/0/5700"


def client(**options):
    link = Link(**options)
    link.client.objects(IPSO)
    link.client.create("/3303/0")
    link.client.set(T, 20.0)
    link.client.set("/3303/0/5701", "Cel")
    link.run(20)  # the update that tells of the new object
    return link, link.server


def watch(link, path=T, accept=0, attributes=("pmin=0",)):
    """Observe: the token, and the time at which it began."""
    if attributes:
        assert link.server.attributes(path, *attributes).code == 0x44
    m = link.server.observe(path, accept)
    assert m.code == 0x45 and m.opt(OBSERVE) is not None, m
    return m.token, m.at


def test_first_answer_and_notification():
    for confirmable in (True, False):
        link, s = client(confirmable=confirmable)
        token, at = watch(link)
        m = [x for x in s.heard if x.token == token][-1]
        assert m.typ == ACK and m.payload == b"20.0" and m.opt(FORMAT) == 0
        seq = m.opt(OBSERVE)
        for v in (21.0, 22.0, 23.5):
            link.client.set(T, v)
            link.run(1)
            m = s.notes(token)[-1]
            assert m.code == 0x45 and m.payload == str(v).encode() and m.opt(FORMAT) == 0
            assert m.typ == (CON if confirmable else NON) and m.opt(OBSERVE) > seq
            assert m.mid != 0 and not m.all(ETAG)
            seq = m.opt(OBSERVE)
        assert len(s.notes(token)) == 3
        link.client.set(T, 23.5)
        link.run(100)
        assert len(s.notes(token)) == 3


def test_format_of_notifications():
    link, s = client()
    for path, accept, ct in (
        ("/3303", None, TLV),
        ("/3303/0", TLV, TLV),
        (T, None, TLV),
        (T, 0, 0),
    ):
        token, _ = watch(link, path, accept)
        first = [m for m in s.heard if m.token == token][0]
        link.client.set(T, link.client.get(T) + 1)
        link.run(5)
        m = s.notes(token)[-1]
        assert m.opt(FORMAT) == first.opt(FORMAT) == ct and len(m.payload) == len(first.payload)


def test_pmin():
    link, s = client()
    token, at = watch(link, attributes=("pmin=10",))
    link.run(3)
    for v in (21.0, 22.0, 23.0):
        link.client.set(T, v)
        link.run(1.234)
    link.run(60)
    (m,) = s.notes(token)
    assert m.at - at == 10000 and m.payload == b"23.0", (m.at - at, m)
    # later than pmin: at once
    now = link.ms
    link.client.set(T, 24.0)
    link.run(60)
    assert s.notes(token)[-1].at == now
    # never earlier, never more than once in a period
    n = len(s.notes(token))
    for k in range(100):
        link.client.set(T, 30.0 + k)
        link.run(0.7)
    at = [m.at for m in s.notes(token)[n - 1 :]]
    assert len(at) >= 7
    for k in range(1, len(at)):
        assert at[k] - at[k - 1] >= 10000
    for k in range(2, len(at)):
        assert at[k] - at[k - 1] == 10000


def test_pmax():
    link, s = client()
    token, at = watch(link, attributes=("pmin=0", "pmax=60"))
    link.run(600)
    times = [m.at - at for m in s.notes(token)]
    assert times == [60000 * k for k in range(1, 11)], times
    assert [m.payload for m in s.notes(token)] == [b"20.0"] * 10
    # a change starts the period anew
    link.run(20)
    link.client.set(T, 25.0)
    link.run(70)
    assert [m.at - at for m in s.notes(token)][-2:] == [620000, 680000]


def test_pmin_and_pmax():
    link, s = client()
    token, at = watch(link, attributes=("pmin=10", "pmax=30"))
    link.run(5)
    link.client.set(T, 21.0)
    link.run(95)
    assert [m.at - at for m in s.notes(token)] == [10000, 40000, 70000, 100000]
    # pmax below pmin is not regarded
    link, s = client()
    token, at = watch(link, attributes=("pmin=30", "pmax=10"))
    link.run(100)
    assert s.notes(token) == []
    link.client.set(T, 21.0)
    link.run(1)
    assert len(s.notes(token)) == 1


def test_defaults_of_the_server_object():
    link, s = client()
    assert s.put("/1/0/2", b"5").code == s.put("/1/0/3", b"20").code == 0x44
    m = s.observe(T, 0)
    link.run(2)
    link.client.set(T, 21.0)
    link.run(58)
    assert [x.at - m.at for x in s.notes(m.token)] == [5000, 25000, 45000]
    # an attribute goes before the default, and without it the default is back
    now = link.ms
    s.attributes(T, "pmax=7")
    link.run(30)
    n = len(s.notes(m.token))
    assert n >= 6
    s.attributes(T, "pmax")
    link.run(100)
    at = [x.at for x in s.notes(m.token)[n:]]
    assert at[1] - at[0] == at[2] - at[1] == 20000
    # without any default, as before the server wrote one
    link, s = client()
    m = s.observe(T, 0)
    now = link.ms
    link.client.set(T, 21.0)
    link.run(100)
    assert [x.at for x in s.notes(m.token)] == [now]


def test_a_default_that_changes():
    link, s = client()
    m = s.observe(T, 0)
    assert s.put("/1/0/3", b"20").code == 0x44
    link.run(100)
    assert len(s.notes(m.token)) in (4, 5), len(s.notes(m.token))


def values(link, token, list):
    out = []
    for v in list:
        n = len(link.server.notes(token))
        link.client.set(T, float(v))
        link.run(1)
        if len(link.server.notes(token)) > n:
            out.append(v)
    return out


def test_greater_less_and_step():
    for attributes, given, told in (
        (("gt=25",), (24, 25, 26, 27, 24, 23, 30), (26, 24, 30)),
        (("lt=10",), (11, 10, 9, 8, 11, 12, 5), (9, 11, 5)),
        (("gt=25", "lt=10"), (24, 26, 24, 12, 9, 15, 26), (26, 24, 9, 15, 26)),
        (("st=5",), (21, 24, 25, 26, 29.5, 31, 36, 20), (25, 31, 36, 20)),
        (("st=5", "gt=30"), (24, 25, 29, 30, 31, 33), (25, 30, 31)),
        (("gt=-5.5",), (-6, -5, -5.5, -7), (-6, -5, -5.5)),
    ):
        link, s = client()
        token, _ = watch(link, attributes=("pmin=0",) + attributes)
        assert values(link, token, given) == list(told), (attributes, values)


def test_conditions_and_periods():
    # pmax goes on, and pmin holds back, what a condition lets through
    link, s = client()
    token, at = watch(link, attributes=("pmin=10", "pmax=60", "gt=25"))
    link.client.set(T, 22.0)
    link.run(59)
    assert s.notes(token) == []
    link.run(2)
    assert [m.at - at for m in s.notes(token)] == [60000] and s.notes(token)[0].payload == b"22.0"
    link.client.set(T, 26.0)
    link.run(20)
    assert [m.at - at for m in s.notes(token)] == [60000, 70000]
    # the default pmin holds as well
    link, s = client()
    s.put("/1/0/2", b"10")
    token, at = watch(link, attributes=("gt=25",))
    link.run(1)
    link.client.set(T, 26.0)
    link.run(20)
    assert [m.at - at for m in s.notes(token)] == [10000]


def test_conditions_of_integers():
    link, s = client()
    link.client.set("/3/0/9", 50)
    token, _ = watch(link, "/3/0/9", attributes=("pmin=0", "lt=20"))
    out = []
    for v in (40, 19, 18, 20):
        n = len(s.notes(token))
        link.client.set("/3/0/9", v)
        link.run(1)
        if len(s.notes(token)) > n:
            out.append(v)
    assert out == [19, 20]


def test_inheritance():
    for written, path, period in (
        ((("/3303", "pmax=30"),), T, 30),
        ((("/3303/0", "pmax=40"),), T, 40),
        ((("/3303", "pmax=30"), ("/3303/0", "pmax=40")), T, 40),
        ((("/3303", "pmax=30"), ("/3303/0", "pmax=40"), (T, "pmax=50")), T, 50),
        (((T, "pmax=50"), ("/3303/0", "pmax=40"), ("/3303", "pmax=30")), T, 50),
        ((("/3303", "pmax=30"), (T, "pmax=50")), "/3303/0", 30),
        ((("/3303/1", "pmax=20"), ("/3303", "pmax=30")), T, 30),
        ((("/3303/0/5701", "pmax=20"), ("/3303", "pmax=30")), T, 30),
        ((("/3", "pmax=20"),), T, None),
    ):
        link, s = client()
        link.client.create("/3303/1")
        for p, q in written:
            assert s.attributes(p, q).code == 0x44
        m = s.observe(path)
        link.run(3 * (period or 1000) + 1)
        at = [x.at - m.at for x in s.notes(m.token)]
        assert at == ([period * 1000 * k for k in (1, 2, 3)] if period else []), (
            written,
            path,
            at,
        )


def test_attributes_of_a_running_observation():
    link, s = client()
    token, at = watch(link)
    link.run(7)
    s.attributes(T, "pmax=20")
    link.run(60)
    assert [m.at - at for m in s.notes(token)] == [20000, 40000, 60000]
    s.attributes(T, "pmin=50", "pmax")
    link.client.set(T, 1.0)
    link.run(60)
    assert s.notes(token)[-1].at - at == 110000
    n = len(s.notes(token))
    link.run(1000)
    assert len(s.notes(token)) == n


def test_levels():
    link, s = client()
    tokens = [s.observe(p).token for p in ("/3303", "/3303/0", T, "/3/0")]

    def told(f):
        n = [len(s.notes(t)) for t in tokens]
        f()
        link.run(20)
        return [len(s.notes(t)) > k for t, k in zip(tokens, n)]

    c = link.client
    assert told(lambda: c.set(T, 25.0)) == [True, True, True, False]
    assert told(lambda: c.set("/3303/0/5701", "K")) == [True, True, False, False]
    assert told(lambda: c.create("/3303/1")) == [True, False, False, False]
    assert told(lambda: c.set("/3303/1/5700", 5.0)) == [True, False, False, False]
    assert told(lambda: c.set("/3/0/14", "+01:00")) == [False, False, False, True]
    assert told(lambda: c.delete("/3303/1")) == [True, False, False, False]
    # a server's write tells as well
    assert told(lambda: s.put("/3303/0/5750", b"name")) == [True, True, False, False]
    assert told(lambda: s.put("/3/0/15", b"UTC-1")) == [False, False, False, True]


def test_what_is_gone():
    link, s = client()
    tokens = [s.observe(p).token for p in (T, "/3303/0")]
    link.client.delete("/3303/0")
    link.run(20)
    for t in tokens:
        m = s.notes(t)[-1]
        assert m.code == 0x84 and m.opt(OBSERVE) is None, m
    assert link.client.observations() == []
    link.client.create("/3303/0")
    link.client.set(T, 1.0)
    link.run(20)
    assert [len(s.notes(t)) for t in tokens] == [1, 1]


def test_cancelled_by_reset():
    for confirmable in (True, False):
        link, s = client(confirmable=confirmable)
        token, _ = watch(link)
        s.acks = False
        link.client.set(T, 30.0)
        link.run(1)
        (m,) = s.notes(token)
        s.raw(build(RST, 0, m.mid))
        link.run(1)
        assert link.client.observations() == []
        n = len(s.heard)
        link.client.set(T, 31.0)
        link.run(100)
        assert len(s.heard) == n


def test_cancelled_by_observe_1():
    link, s = client()
    token, _ = watch(link)
    m = s.request(GET, T, [(OBSERVE, 1), (ACCEPT, 0)], token=token)
    assert m.code == 0x45 and m.payload == b"20.0" and m.opt(OBSERVE) is None
    assert link.client.observations() == []
    # with another token, too, as some servers do
    watch(link)
    s.request(GET, T, [(OBSERVE, 1), (ACCEPT, 0)])
    assert link.client.observations() == []
    link.client.set(T, 30.0)
    link.run(10)
    assert s.notes(token) == []
    # a cancel of what was not observed is a read
    assert s.request(GET, T, [(OBSERVE, 1), (ACCEPT, 0)]).code == 0x45


def test_observed_again():
    link, s = client()
    token, _ = watch(link)
    assert s.observe(T, 0, token=token).opt(OBSERVE) is not None
    assert len(link.client.observations()) == 1
    link.client.set(T, 30.0)
    link.run(1)
    assert len(s.notes(token)) == 1
    # a plain read with another token leaves it alone
    assert s.get(T, 0).opt(OBSERVE) is None
    assert len(link.client.observations()) == 1


def test_cancelled_by_a_new_registration():
    link, s = client()
    token, _ = watch(link)
    s.reply = lambda m: (0x84, (), b"") if m.path() == "/rd/7" else s.accept(m)
    link.client.update()
    link.until("REGISTRATION_COMPLETE")
    assert link.client.observations() == []
    link.client.set(T, 30.0)
    link.run(10)
    assert s.notes(token) == []
    # an update keeps it
    s.reply = s.accept
    token, _ = watch(link)
    link.client.update()
    link.run(20)
    link.client.set(T, 31.0)
    link.run(1)
    assert len(s.notes(token)) == 1
    link.client.stop()
    link.run(5)
    assert link.client.observations() == []


def test_nobody_acknowledges():
    link, s = client()
    token, _ = watch(link)
    s.acks = False
    link.client.set(T, 30.0)
    link.run(1)
    link.client.set(T, 31.0)
    link.run(200)
    assert "REG_UPDATE" in link.names()  # the client asks whether the server is still there
    s.acks = True
    link.run(200)
    m = s.notes(token)
    assert not m or m[-1].payload == b"31.0" or link.client.observations() == []
    assert link.client.stat() == 2


def test_refused_attributes():
    link, s = client()
    link.client.objects(b"\x00\x09\x01\x02\x10\x10\x10\x00" + b"\0\2\2\2\0\3\1\4")
    link.client.create("/9/0")
    link.client.set("/9/0/3", True)
    s.attributes(T, "pmin=3", "gt=30", "lt=10", "st=2")
    before = s.get(T, LINK).payload
    for path, query, code in (
        (T, ("pmin=-1",), 0x80),
        (T, ("pmin=abc",), 0x80),
        (T, ("pmin=1.5",), 0x80),
        (T, ("pmin=",), 0x80),
        (T, ("pmax=1 0",), 0x80),
        (T, ("gt=abc",), 0x80),
        (T, ("gt=1-2",), 0x80),
        (T, ("gt=",), 0x80),
        (T, ("st=-1",), 0x80),
        (T, ("other=1",), 0x80),
        (T, ("",), 0x80),
        (T, ("=5",), 0x80),
        (T, (b"\xffmin=1",), 0x80),
        (T, ("PMIN=5",), 0x80),
        (T, ("lt=30", "gt=30"), 0x80),
        (T, ("lt=40",), 0x80),
        (T, ("lt=10", "gt=20", "st=5"), 0x80),
        (T, ("st=10",), 0x80),  # lt + 2 st has to stay below gt
        (T, ("pmin=9", "pmax=90", "nonsense=1"), 0x80),  # all or nothing
        (T, ("pmin=9", "gt=5"), 0x80),
        ("/3303", ("gt=5",), 0x80),
        ("/3303/0", ("st=5",), 0x80),
        ("/3303/0/5701", ("gt=5",), 0x80),  # no number
        ("/9/0/3", ("lt=5",), 0x80),
        ("/9/0/2", ("gt=5",), (0x80, 0x84, 0x85)),  # can't be read
        ("/3303/7", ("pmin=5",), 0x84),
        ("/3303/0/9", ("pmin=5",), 0x84),
        ("/9999", ("pmin=5",), 0x84),
        ("/0", ("pmin=5",), 0x81),
        ("/", ("pmin=5",), (0x84, 0x85)),
    ):
        m = s.attributes(path, *query)
        assert m.code in (code if isinstance(code, tuple) else (code,)), (path, query, m)
        assert s.get(T, LINK).payload == before, (path, query)
    for query in (
        ("gt=25.5", "lt=-5.25"),
        ("st=0.5",),
        ("pmin=0", "pmax=0"),
        ("gt", "lt", "st", "pmin", "pmax"),
    ):
        assert s.attributes(T, *query).code == 0x44, query
    assert s.get(T, LINK).payload == b"</3303/0/5700>"


def test_attributes_are_bounded():
    link, s = client()
    codes = []
    for k in range(60):
        link.client.create("/3303/%d" % (k + 1))
        codes.append(s.attributes("/3303/%d" % (k + 1), "pmin=5").code)
    assert 16 <= codes.count(0x44) < 60 and codes[-1] >= 0x80
    assert counts(link.client)["attributes"] < 60


def test_observations_are_bounded():
    link, s = client()
    for k in range(40):
        link.client.create("/3303/%d" % (k + 1))
    answers = [s.observe("/3303/%d" % (k + 1)) for k in range(40)]
    assert [m.code for m in answers] == [0x45] * 40
    n = len([m for m in answers if m.opt(OBSERVE) is not None])
    assert 8 <= n < 40 and n == len(link.client.observations())


def test_not_observed():
    link, s = client()
    for path, code in (
        ("/3/0/4", 0x85),
        ("/3303/9", 0x84),
        ("/3303/0/5602", 0x84),
        ("/9999", 0x84),
        ("/0/0", 0x81),
    ):
        m = s.observe(path)
        assert m.code == code and m.opt(OBSERVE) is None, (path, m)
    assert s.observe(T, 9999).code == 0x86
    assert link.client.observations() == []


def test_list_of_observations():
    link, s = client()
    s.attributes(T, "pmin=5", "pmax=60")
    s.observe(T)
    s.observe("/3")
    assert sorted(link.client.observations()) == [("/3", 1, 0, 0), (T, 1, 5, 60)]


def test_lock():
    link, s = client()
    token, _ = watch(link, "/3303/0", None)
    with link.client.lock():
        link.client.set(T, 21.0)
        link.run(5)
        assert s.notes(token) == []
        with link.client.lock():
            link.client.set("/3303/0/5701", "K")
        link.run(5)
        assert s.notes(token) == []
        # the server is answered meanwhile
        assert s.get(T, 0).payload == b"21.0"
    link.run(1)
    (m,) = s.notes(token)
    assert b"K" in m.payload


def test_functions_that_fail():
    link, s = client()
    token, _ = watch(link, attributes=("pmax=10",))

    def wrong(path, v):
        raise RuntimeError("broken")

    link.client.on_read(T, wrong)
    link.run(30)
    m = s.notes(token)[-1]
    assert m.code == 0xA0 and m.opt(OBSERVE) is None and link.client.observations() == []
    assert link.client.stat() == 2 and printed() == [RuntimeError]


def test_values_that_are_read():
    link, s = client()
    n = [0]

    def read(path, v):
        n[0] += 1
        return float(n[0])

    link.client.on_read(T, read)
    token, _ = watch(link, attributes=("pmax=10",))
    link.run(30)
    got = [float(m.payload) for m in s.notes(token)]
    assert len(got) == 3 and got == sorted(got) and len(set(got)) == 3


def test_two_servers():
    link = Link(start=False)
    link.client.objects(IPSO)
    link.client.create("/3303/0")
    link.client.set(T, 20.0)
    link.account(1, "coap://other", 2)
    link.client.start()
    link.until(lambda: link.names().count("REGISTRATION_COMPLETE") == 2)
    a, b = link.server, link.peer("other")
    a.attributes(T, "pmin=5")
    ta, tb = a.observe(T, 0).token, b.observe(T, 0).token
    start = link.ms
    link.client.set(T, 21.0)
    link.run(10)
    assert [m.at - start for m in a.notes(ta)] == [5000] and [
        m.at - start for m in b.notes(tb)
    ] == [0]
    b.raw(build(RST, 0, b.notes(tb)[0].mid))
    link.client.stop()
    link.run(1)
    assert sorted([x[1] for x in link.events if x[0] == "DISCONNECT"]) == [1, 2]


def test_long_periods():
    # longer than the ticks can span
    link, s = client(lifetime=86400)
    month = 30 * 86400
    token, at = watch(link, attributes=("pmin=0", "pmax=%d" % month))
    link.run(3 * month + 10)
    late = [m.at - at - month * 1000 * k for m, k in zip(s.notes(token), (1, 2, 3))]
    assert len(late) == 3 and 0 <= min(late) and max(late) < 3000, late
    link, s = client()
    token, at = watch(link, attributes=("pmin=%d" % month,))
    link.client.set(T, 5.0)
    link.run(2 * month)
    (m,) = s.notes(token)
    assert 0 <= m.at - at - month * 1000 < 1000


def test_a_year_of_days():
    link, s = client(confirmable=False)
    token, at = watch(link, attributes=("pmin=0", "pmax=86400"))
    for month in range(12):
        link.run(30 * 86400)
        days = range(30 * month + 1, 30 * month + 31)
        assert [m.at - at for m in s.notes(token)] == [86400000 * k for k in days]
        s.heard, s.requests, link.events, link.times, link.past = [], [], [], [], 0


def test_a_confirmable_one_each_day():
    # it shows that the server is there (RFC 7641 4.5)
    link, s = client(confirmable=False)
    token, at = watch(link, attributes=("pmin=0", "pmax=7200"))
    for day in range(4):
        link.run(86400 + 7200)
        assert CON in [m.typ for m in s.notes(token)], day
        s.heard = []


def test_numbers_go_on():
    link, s = client()
    token, _ = watch(link)
    set_observe_number(link.client, 0xFFFFFD)
    out = []
    for k in range(5):
        link.client.set(T, 50.0 + k)
        link.run(1)
        out.append(s.notes(token)[-1].opt(OBSERVE))
    assert out == [0xFFFFFE, 0xFFFFFF, 0, 1, 2], out


def test_conditions_given_to_a_running_observation():
    link, s = client(version="1.1")
    for query, small, large in (("gt=25", 21.0, 26.0), ("st=5", 23.0, 30.0)):
        link.client.set(T, 20.0)
        token = s.observe(T, 0).token
        assert s.attributes(T, "gt", "st", query).code == 0x44
        link.client.set(T, small)
        link.run(5)
        assert s.notes(token) == [], query
        link.client.set(T, large)
        link.run(5)
        assert [m.payload for m in s.notes(token)] == [str(large).encode()]


def test_a_resource_instance_and_its_neighbours():
    link, s = client(version="1.1")
    c = link.client
    c.set("/3/0/11", {0: 1, 1: 2})
    link.run(20)
    one = s.observe("/3/0/11/1", 0).token
    every = s.observe("/3/0/11", TLV).token
    c.set("/3/0/11/0", 5)
    link.run(5)
    assert s.notes(one) == [] and len(s.notes(every)) == 1
    c.set("/3/0/11/1", 6)
    link.run(5)
    assert [m.payload for m in s.notes(one)] == [b"6"] and len(s.notes(every)) == 2
    # attributes of one that is not there, or with a payload beside them
    assert s.attributes("/3/0/11/1", "pmin=1").code == 0x44
    assert s.attributes("/3/0/11/7", "pmin=1").code == 0x84
    assert s.put("/3/0/11/1", b"1", 0, (QUERY, "pmin=1")).code == 0x80
    c.set("/3/0/11/1", None)
    link.run(5)
    assert s.notes(one)[-1].code == 0x84


def test_default_mode_of_the_server():
    # 1/x/26 of LwM2M 1.2; the attribute `con` goes before it
    link, s = client(version="1.2", confirmable=True)
    token = s.observe(T, 0).token
    v = 30.0
    for mode, con, typ in (
        (None, None, CON),
        (b"0", None, NON),
        (b"1", None, CON),
        (b"0", "con=1", CON),
    ):
        if mode:
            assert s.put("/1/0/26", mode).code == 0x44
        if con:
            assert s.attributes(T, con).code == 0x44
        v += 1
        link.client.set(T, v)
        link.run(5)
        assert s.notes(token)[-1].typ == typ, (mode, con)


def switch(**options):
    """A client with a switch that can be observed, /3347/0/5500."""
    link, s = client(**options)
    link.client.create("/3347/0")
    link.client.set("/3347/0/5500", False)
    link.run(20)
    return link, s


B = "/3347/0/5500"


def test_a_server_writes_its_default_periods():
    link, s = client()
    token, at = watch(link, attributes=())
    assert s.put("/1/0/2", b"10").code == 0x44
    link.client.set(T, 21.0)
    link.run(30)
    assert [m.at - at for m in s.notes(token)] == [10000]
    assert s.put("/1/0/3", b"60").code == 0x44
    link.run(100)
    assert [m.at - at for m in s.notes(token)][:2] == [10000, 70000]
    # an attribute goes before it
    assert s.attributes(T, "pmin=1", "pmax=20").code == 0x44
    n = len(s.notes(token))
    link.run(45)
    assert len(s.notes(token)) in (n + 2, n + 3)
    assert link.client.observations() == [(T, 1, 1, 20)]
    # by the application, too
    s.attributes(T, "pmin", "pmax")
    link.client.set("/1/0/2", 7)
    link.client.set("/1/0/3", 8)
    assert link.client.observations() == [(T, 1, 7, 8)]
    # of no effect: pmax below pmin
    link.client.set("/1/0/3", 6)
    assert link.client.observations() == [(T, 1, 7, 0)]


def test_minimum_evaluation_period():
    for query in (("pmin=0", "gt=25"), ("pmin=0",)):
        link, s = client(version="1.1")
        assert s.attributes(T, "epmin=10", *query).code == 0x44
        m = s.observe(T, 0)
        token, at = m.token, m.at
        # within the period nothing is looked at
        link.run(3)
        link.client.set(T, 30.0)
        link.run(5)
        assert s.notes(token) == [], query
        link.run(5)
        assert [(m.at - at, m.payload) for m in s.notes(token)] == [(10000, b"30.0")], query
        # what was otherwise in between is not seen
        link.client.set(T, 20.0)
        link.run(1)
        link.client.set(T, 30.0)
        link.run(20)
        assert len(s.notes(token)) == 1 or query == ("pmin=0",), query
        # beyond the period it is looked at once
        n = len(s.notes(token))
        start = link.ms
        link.client.set(T, 10.0)
        link.run(1)
        assert [m.at for m in s.notes(token)[n:]] == [start], query


def test_maximum_evaluation_period():
    # a value that only a function knows is asked for by and by
    link, s = client(version="1.1")
    value = [20.0]
    calls = []

    def read(path, v):
        calls.append(link.ms)
        return value[0]

    link.client.on_read(T, read)
    assert s.attributes(T, "pmin=0", "gt=25", "epmax=10").code == 0x44
    m = s.observe(T, 0)
    calls.clear()
    link.run(45)
    assert s.notes(m.token) == [] and [t - m.at for t in calls] == [10000, 20000, 30000, 40000]
    value[0] = 30.0
    link.run(6)
    assert [(x.at - m.at, x.payload) for x in s.notes(m.token)] == [(50000, b"30.0")]
    # without a condition each other value is told
    link, s = client(version="1.1")
    link.client.on_read(T, read)
    assert s.attributes(T, "pmin=0", "epmax=10").code == 0x44
    m = s.observe(T, 0)
    link.run(35)
    assert s.notes(m.token) == []
    value[0] = 31.0
    link.run(6)
    value[0] = 32.0
    link.run(10)
    assert [x.payload for x in s.notes(m.token)] == [b"31.0", b"32.0"]


def test_edges():
    for edge, told in (("1", [True, True]), ("0", [False])):
        link, s = switch(version="1.2")
        assert s.attributes(B, "pmin=0", "edge=" + edge).code == 0x44
        m = s.observe(B, 0)
        for v in (True, False, True):
            link.client.set(B, v)
            link.run(2)
            link.client.set(B, v)
            link.run(2)
        assert [x.payload == b"1" for x in s.notes(m.token)] == told, edge
        assert b";edge=" + edge.encode() in s.get(B, LINK).payload
    # without it both are told
    link, s = switch(version="1.2")
    s.attributes(B, "pmin=0")
    m = s.observe(B, 0)
    for v in (True, False, True):
        link.client.set(B, v)
        link.run(2)
    assert [x.payload for x in s.notes(m.token)] == [b"1", b"0", b"1"]


def test_attributes_of_each_version():
    # 1.1 brought epmin and epmax, 1.2 edge, con and hqmax
    for version, first in (("1.0", 5), ("1.1", 7), ("1.2", 10)):
        link, s = switch(version=version)
        names = ("pmin", "pmax", "gt", "lt", "st", "epmin", "epmax", "con", "hqmax")
        for n, name in enumerate(names):
            code = 0x44 if n < first else 0x80
            assert s.attributes(T, name + "=1").code == code, (version, name)
            assert s.attributes(T, name).code == code, (version, name)
        code = 0x44 if version == "1.2" else 0x80
        assert s.attributes(B, "edge=1").code == code
        # in an Observe request only 1.2 has them
        m = s.request(GET, T, [(OBSERVE, 0), (ACCEPT, 0), (QUERY, "con=1")])
        assert (m.code == 0x45) == (version == "1.2"), (version, m)
    for path, query in (
        (T, "edge=1"),
        ("/3347/0", "edge=1"),
        (B, "edge=2"),
        (B, "edge=-1"),
        (T, "con=2"),
        (T, "epmin=-1"),
        (T, "epmax=1.5"),
        (T, "hqmax=x"),
        (B, "gt=1"),
        ("/3303/0", "gt=1"),
        ("/3303", "st=1"),
        ("/3303/0/5701", "lt=1"),
    ):
        assert s.attributes(path, query).code == 0x80, (path, query)
    # these hold for what is above a resource, too
    for path in ("/3303", "/3303/0"):
        for query in ("epmin=1", "epmax=1", "con=1", "hqmax=5"):
            assert s.attributes(path, query).code == 0x44, (path, query)


def test_confirmable_by_attribute():
    for default in (True, False):
        for con in ("0", "1", None):
            link, s = client(version="1.2", confirmable=default)
            s.attributes(T, "pmin=0")
            if con:
                assert s.attributes(T, "con=" + con).code == 0x44
            m = s.observe(T, 0)
            link.client.set(T, 30.0)
            link.run(1)
            (n,) = s.notes(m.token)
            assert (n.typ == CON) == (default if con is None else con == "1"), (default, con)


def test_one_period_for_both():
    link, s = client()
    token, at = watch(link, attributes=("pmin=10", "pmax=10"))
    assert link.client.observations() == [(T, 1, 10, 10)]
    link.run(35)
    assert [m.at - at for m in s.notes(token)] == [10000, 20000, 30000]
    s.attributes(T, "pmax=9")
    assert link.client.observations() == [(T, 1, 10, 0)]
