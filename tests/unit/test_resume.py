# Tests of the registration that outlives a deep sleep: what is kept of it, and when it is taken back
# SPDX-License-Identifier: MIT

import lwm2m_port
from link import FETCH, FORMAT, OBSERVE, PUT, QUERY, json
from test_series import SENML_JSON, link

from lwm2m.resume import keep, wake
from lwm2m.session import Session

# of an observation in observe.py
SEQ, DIRTY, MIDN, EVALUATED = 6, 10, 11, 16
TIMES = (8, 15)


class Tls:
    """A secure channel that was told to save itself."""

    kept = 0

    def keep(self):
        self.kept += 1


def kept(x):
    """{name: bytes} that the client saves now."""
    files = {}
    s = x.client.sessions[0]
    x.client.save = files.__setitem__
    s.tls = Tls()
    keep(s)
    assert s.tls.kept == (1 if s.location else 0)
    s.tls = None
    return files


def woken(files, asleep=100, **options):
    """A session of another process, so many seconds later; it has no location where there is nothing to go on with."""
    y = link(None, start=False, **options)
    lwm2m_port.seconds += asleep
    y.client.load = files.get
    y.client.set("/3303/0/5700", 21.0)
    s = Session(y.client, 0, 0)
    wake(s, y.ticks())
    return s


def test_location_and_lifetime():
    x = link(None)
    x.run(50)
    s = x.client.sessions[0]
    files = kept(x)
    assert list(files) == ["reg1"]
    w = woken(files)
    assert w.location == s.location and w.location
    assert w.level == s.level == 1
    # 50 s ago, and 100 s; the clock of this process began anew
    assert w.expires == s.expires - 50 - 100, (w.expires, s.expires)
    assert w.what == 0
    assert woken(files, lifetime=100).what == 1
    assert woken(files, 86400 - 51).location
    assert not woken(files, 86400 - 50).location
    assert not woken(files, 1 << 30).location
    # the clock lost its time, or stood still
    assert not woken(files, -200).location
    assert woken(files, 0).location


def test_objects_that_are_new():
    x = link(None)
    files = kept(x)
    y = link(None, start=False)
    y.client.create("/3303/1")
    y.client.load = files.get
    s = Session(y.client, 0, 0)
    wake(s, y.ticks())
    assert s.what == 4


def test_observations():
    x = link(None)
    x.client.set("/3303/0/5700", 20.0)
    server = x.server
    assert server.request(PUT, "/3303/0/5700", [(QUERY, "pmin=5"), (QUERY, "gt=30")]).code == 0x44
    for path in ("/3303/0/5700", "/3/0", "/3303"):
        assert server.observe(path, SENML_JSON).code == 0x45
    x.run(20)
    s = x.client.sessions[0]
    files = kept(x)
    w = woken(files, 7)
    assert w.attributes == s.attributes
    assert len(w.observed) == len(s.observed) == 3
    for old, new in zip(s.observed, w.observed):
        assert len(old) == len(new)
        for i in range(len(old)):
            if i in TIMES:
                # 20 s before, and 7 s of sleep
                assert new[i] == old[i] - x.client.sec - 7, (i, old, new)
            elif i == SEQ:
                assert new[i] == old[i] + 256
            elif i == DIRTY:
                # what has a condition is told only if that holds
                assert new[i] == (old[3] != 5700), new
            elif i == EVALUATED:
                assert new[i] == 0
            elif i == MIDN:
                assert new[i] == -1
            else:
                assert new[i] == old[i], (i, old, new)


def test_composite_observations():
    x = link(None)
    body = json.dumps([{"n": "/3303/0/5700"}, {"n": "/3/0"}])
    opts = [(FORMAT, SENML_JSON), (OBSERVE, 0)]
    assert x.server.request(FETCH, "/", opts, body.encode()).code == 0x45
    (g,) = x.client.sessions[0].groups
    (h,) = woken(kept(x)).groups
    assert (h.token, h.paths, h.query) == (g.token, g.paths, list(g.query))
    assert len(h.observed) == len(g.observed)
    for old, new in zip(g.observed, h.observed):
        assert new[:SEQ] == old[:SEQ]
        assert new[SEQ] == old[SEQ] + 256
        assert new[DIRTY]


def test_nothing_is_kept_of_what_is_over():
    x = link(None)
    x.client.sessions[0].location = ()
    files = kept(x)
    assert files == {"reg1": b""}
    assert not woken(files).location
    assert not woken({}).location


def test_damage():
    x = link(None)
    x.server.observe("/3/0", SENML_JSON)
    (data,) = kept(x).values()
    for n in range(len(data)):
        assert not woken({"reg1": data[:n]}).location, n
    assert not woken({"reg1": data.replace(b"[1,", b"[0,", 1)}).location
    for other in (b"1", b"{}", b"[]", b"null", b"\xff"):
        assert not woken({"reg1": other}).location, other
