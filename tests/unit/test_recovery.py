# A client always comes back: exceptions in its parts, floods, no network, a short memory of the server
# SPDX-License-Identifier: MIT
import lwm2m.coap.endpoint as endpoint
import lwm2m.session.session as session_file
from link import *
from lwm2m import LATER

UPDATE = "/rd/7"


class Failing:
    """While it is entered, a function of a module raises `error` each `nth` call."""

    def __init__(self, owner, name, error, nth=1):
        self.owner = owner
        self.name = name
        self.error = error
        self.nth = nth
        self.calls = 0

    def __enter__(self):
        self.real = getattr(self.owner, self.name)
        setattr(self.owner, self.name, self.call)

    def __exit__(self, *error):
        setattr(self.owner, self.name, self.real)

    def call(self, *args):
        self.calls += 1
        if self.calls % self.nth == 0:
            raise self.error
        return self.real(*args)


def paths(peer, since=0):
    return [m.path() for m in peer.requests[since:]]


def test_an_update_that_cannot_be_written():
    for error in (OSError(5), MemoryError()):
        link = Link(lifetime=300)
        s = link.server
        with Failing(endpoint, "urandom", error):
            link.client.update()
            link.run(20)
        assert type(error) in printed() and "CLIENT_ERROR" in link.names()
        n = len(s.requests)
        link.run(20)
        # what was to be told is told, and the registration goes on
        assert paths(s, n) == [UPDATE] and link.client.stat() == 2
        n = len(s.requests)
        link.run(1000)
        assert len(s.requests) - n >= 4 and link.client.stat() == 2


def test_a_registration_that_cannot_be_written():
    for error in (OSError(5), MemoryError()):
        link = Link(start=False)
        with Failing(endpoint, "urandom", error):
            link.client.start()
            link.run(30)
            assert not link.server.requests
        printed()
        link.until("REGISTRATION_COMPLETE", 200)
        assert link.client.stat() == 2
        # every second one: the channel opens, and the request fails
        link = Link(start=False)
        with Failing(endpoint, "urandom", error, 2):
            link.client.start()
            link.run(30)
        printed()
        link.until("REGISTRATION_COMPLETE", 200)


def test_a_de_registration_that_cannot_be_written():
    link = Link()
    with Failing(endpoint, "urandom", OSError(5)):
        link.client.stop()
        link.run(5)
    assert printed() == [OSError]
    link.run(5)
    assert not link.client.active() and link.names()[-1] == "DEREGISTER_FAILURE"


def test_no_randomness_leaves_poll_alone():
    link = Link(start=False)
    with Failing(endpoint, "urandom", OSError(5)):
        link.client.start()
        for k in range(100):
            link.run(10)
    assert not link.server.requests
    link.until("REGISTRATION_COMPLETE", 400)


def test_functions_that_poll_calls():
    link = Link()
    c = link.client

    def broken(x):
        raise RuntimeError("mine")

    c.pollers.append(broken)
    c.call_soon(broken, 1)
    link.run(3)
    assert set(printed()) == {RuntimeError} and ("CLIENT_ERROR", 0) in link.events
    assert link.server.get("/3/0/0").code == 0x45
    c.pollers.remove(broken)
    printed()
    c.call_soon(broken, 1)
    link.run(3)
    assert printed() == [RuntimeError]


def test_a_channel_that_raises():
    link = Link(lifetime=300)
    s = link.server
    for name in ("send", "recv"):
        with Failing(s, name, OSError(5)):
            link.client.update()
            link.run(30)
        assert set(printed()) == {OSError}
        link.run(200)
        assert link.client.stat() == 2 and s.get("/3/0/0").code == 0x45
    with Failing(s, "close", OSError(5)):
        link.client.start()
        link.run(2)
    assert printed() == [OSError] and link.client.stat() == 2


def test_a_flood_leaves_the_timers_their_turn():
    link = Link(lifetime=300)
    s = link.server
    flood = build(NON, GET, 1, b"t", segments("/9/9/9"))
    s.recv = lambda: flood
    link.ms += 299000
    n = len(s.requests)
    # each call comes back, and says that there is more
    for k in range(3):
        assert link.client.poll(link.ticks()) == 0
    link.deliver()
    assert UPDATE in paths(s, n)


def test_each_sequence_begins_with_the_newest_version():
    link = Link(start=False, version=None)
    s = link.server
    refusals = [0x80] * 3
    s.reply = lambda m: (refusals.pop(0), (), b"") if refusals else s.accept(m)
    link.client.start()
    link.until("REGISTRATION_COMPLETE")
    asked = [[q for q in m.query() if q[:6] == "lwm2m="][0] for m in s.requests]
    assert asked[:3] == sorted(asked[:3])[::-1] and asked[-1] == asked[0], asked


def test_an_update_ends_before_the_lifetime_does():
    for options in ({}, {"ack_timeout": 5000}, {"max_retransmit": 2}):
        link = Link(lifetime=3600, **options)
        s = link.server
        end = link.ms + 3600000
        s.reply = lambda m: None if m.path() == UPDATE else s.accept(m)
        link.until("REG_TIMEOUT", 3600)
        assert 30000 <= end - link.ms <= 120000, end - link.ms
        link.until("REGISTRATION_COMPLETE", 10)
        assert link.ms < end


def test_the_longest_update_ends_in_time():
    """The longest timeouts there are, and a poll() that comes some ms late each time."""
    before = endpoint.urandom
    endpoint.urandom = lambda n: b"\xff" * n
    try:
        for lifetime in (3600, 1800):
            link = Link(lifetime=lifetime)
            s = link.server
            end = link.ms + lifetime * 1000
            s.reply = lambda m: None if m.path() == UPDATE else s.accept(m)
            link.until("REG_UPDATE", lifetime)
            while "REG_TIMEOUT" not in link.names():
                wait = link.client.poll(link.ticks())
                link.deliver()
                link.ms += max(wait, 0) + 5
            assert 30000 <= end - link.ms <= 32000, end - link.ms
    finally:
        endpoint.urandom = before


def test_a_short_lifetime_does_not_lapse():
    """The server takes no update: a new registration comes within the lifetime, also of a short one."""
    for lifetime in (20, 40, 60, 120, 200, 300):
        link = Link(lifetime=lifetime)
        s = link.server
        s.reply = lambda m: None if m.path() == UPDATE else s.accept(m)
        end = link.ms + lifetime * 1000
        link.until("REG_UPDATE", lifetime)
        assert end - link.ms >= min(lifetime * 500, 123000) - 2000
        link.until("REGISTRATION_COMPLETE", lifetime)
        assert link.ms < end, (lifetime, link.ms - end)
        # an answer ends it
        s.reply = s.accept
        n = len(s.requests)
        link.run(10 * lifetime)
        assert "/rd" not in paths(s, n)


def test_how_long_a_message_is_retransmitted():
    for options, span in (
        ({}, 45000),
        ({"max_retransmit": 0}, 0),
        ({"max_retransmit": 2}, 9000),
        ({"ack_timeout": 1000, "random_factor": 2000, "max_retransmit": 3}, 14000),
    ):
        link = Link(**options)
        assert link.client.sessions[0].coap.transmit_span() == span, options


def test_no_network():
    link = Link(start=False)
    link.client.set("/1/0/17", 2)
    tries = []

    def broken(host, port):
        tries.append(link.ms)
        raise OSError(101)

    real = link.client.transport
    link.client.transport = broken
    link.client.start()
    link.run(4 * 3600)
    # neither the sequence nor the client comes to an end
    gaps = [b - a for a, b in zip(tries, tries[1:])]
    assert min(gaps) >= 60000 and max(gaps) <= 300000 and tries[-1] > link.ms - 300000
    assert link.client.stat() == 1 and "NETWORK_ERROR" not in link.names()
    # at 1/x/18's pace, which has a bound
    link.client.set("/1/0/18", 9999)
    n = len(tries)
    link.run(3600)
    assert 11 <= len(tries) - n <= 14, len(tries) - n
    # the application knows that the network is there
    link.client.transport = real
    link.client.start()
    link.run(1)
    assert link.client.stat() == 2


def test_no_network_to_send_to():
    """The channel opens, and what is sent does not get out: no attempt of the sequence either."""

    def raises_it(buf, start, end):
        raise OSError(101)

    for broken in (raises_it, lambda buf, start, end: False):
        link = Link(start=False)
        s = link.server
        link.client.set("/1/0/17", 2)
        tries = []

        def send(buf, start, end):
            tries.append(link.ms)
            return broken(buf, start, end)

        real = s.send
        s.send = send
        link.client.start()
        link.run(2 * 3600)
        assert "NETWORK_ERROR" not in link.names() and link.client.stat() == 1
        gaps = [b - a for a, b in zip(tries, tries[1:])]
        assert max(gaps) <= 300000 and tries[-1] > link.ms - 300000
        assert set(printed()) <= {OSError}
        s.send = real
        link.until("REGISTRATION_COMPLETE", 300)
        # what got out, and is not answered, counts
        s.reply = lambda m: None
        link.client.start()
        link.until("NETWORK_ERROR", 600)


def test_the_port_says_that_the_network_is_there():
    link = Link(start=False)
    real = link.client.transport
    there = [False]

    def transport(host, port):
        if not there[0]:
            raise OSError(101)
        return real(host, port)

    link.client.transport = transport
    before = session_file.online
    session_file.online = lambda: there[0]
    try:
        link.client.start()
        link.run(70)
        there[0] = True
        link.until("REGISTRATION_COMPLETE", 6)
    finally:
        session_file.online = before


def test_what_cannot_be_opened_for_another_reason_counts():
    link = Link(start=False)
    link.client.set("/1/0/17", 2)
    link.client.set("/0/0/2", 1)
    link.client.start()
    link.until("NETWORK_ERROR", 200)
    assert set(printed()) == {ValueError}


def test_a_send_that_is_answered_not_found():
    link = Link(version="1.1")
    s = link.server
    s.reply = lambda m: (0x84, (), b"") if m.path() == "/dp" else s.accept(m)
    assert link.client.send("/3/0/0") == 1
    n = len(s.requests)
    link.run(5)
    assert paths(s, n) == ["/dp", UPDATE]


def test_requests_before_the_registration_is_accepted():
    link = Link(start=False)
    s = link.server
    s.reply = lambda m: None
    link.client.start()
    link.run(1)
    n = len(s.heard)
    s.ask(GET, "/3/0/0")
    s.ask(PUT, "/3/0/14", [(FORMAT, TEXT)], b"+01:00")
    link.run(1)
    assert len(s.heard) == n and link.client.get("/3/0/14") == "+00:00"
    s.reply = s.accept
    link.until("REGISTRATION_COMPLETE", 100)
    assert s.get("/3/0/0").code == 0x45


def test_accepted_without_a_location():
    link = Link(start=False)
    link.server.reply = lambda m: (0x41, (), b"")
    link.client.start()
    link.run(5)
    assert link.names()[-1] == "REGISTRATION_FAILURE" and link.client.stat() == 1
    link.server.reply = link.server.accept
    link.until("REGISTRATION_COMPLETE", 100)


def test_values_are_copied():
    link = Link(key=b"", start=False)
    c = link.client
    buffer = bytearray(b"abc")
    for given in (buffer, memoryview(buffer)):
        c.set("/0/0/5", given)
        buffer[0] = ord("X")
        assert c.get("/0/0/5") == b"abc"
        buffer[0] = ord("a")


def test_a_lifetime_without_end():
    for end in (
        lambda link: link.client.set("/1/0/1", 0),
        lambda link: link.server.put("/1/0/1", b"0"),
    ):
        link = Link(lifetime=300, min_lifetime=60)
        end(link)
        link.run(5)
        assert link.server.requests[-1].query() == ["lt=0"]
        n = len(link.server.requests)
        link.run(10 * 86400)
        assert len(link.server.requests) == n and link.client.stat() == 2
    link = Link(lifetime=0)
    assert "lt=0" in link.server.requests[0].query()
    link.run(86400)
    assert len(link.server.requests) == 1
    link.client.set("/1/0/1", 60)
    link.run(100)
    assert len(link.server.requests) > 3


def test_a_trigger_without_a_bootstrap_server_there():
    for broken in (False, True):
        link = Link(uri=None, start=False)
        link.account(0, "coap://boot", 0, True)
        link.account(1, "coap://old", 7)
        link.client.start()
        link.until("REGISTRATION_COMPLETE")
        old = link.peer("old")
        boot = link.peer("boot")
        boot.reply = lambda m: None
        real = link.client.transport

        def no_route(host, port):
            if host == "boot":
                raise OSError(101)
            return real(host, port)

        if broken:
            link.client.transport = no_route
        assert old.post("/1/1/9").code == 0x44
        link.until("BOOTSTRAP_REG_FAILURE", 100)
        link.until("REGISTRATION_COMPLETE", 5)
        assert link.client.stat() == 2 and old.get("/3/0/0").code == 0x45
        assert len(boot.requests) == (0 if broken else 1)
        # asked for by the application it is no other
        link.client.start(bootstrap=True)
        link.until("BOOTSTRAP_REG_FAILURE", 100)
        link.until("REGISTRATION_COMPLETE", 5)


def test_a_history_without_memory_costs_itself_alone():
    try:
        from lwm2m.reporting import storing
    except ImportError:
        raise Skip("nothing is stored in this image")
    if not hasattr(storing, "hold"):
        raise Skip("packed: it has another name, and can't be made to fail")
    link = Link(version="1.1", start=False)
    link.client.set("/1/0/6", True)
    link.client.start()
    link.until("REGISTRATION_COMPLETE")
    link.server.observe("/3/0/9", 112)
    with Failing(storing, "hold", MemoryError()):
        link.server.reply = lambda m: None
        link.client.update()
        link.until("REG_TIMEOUT", 200)
        assert set(printed()) == {MemoryError}
    link.server.reply = link.server.accept
    link.until("REGISTRATION_COMPLETE", 200)


def test_two_bootstrap_servers_are_one_too_many():
    link = Link(uri=None, start=False)
    link.account(0, "coap://boot", 0, True)
    b = link.peer("boot")
    link.client.start()
    link.until("BOOTSTRAP_REG_COMPLETE")
    for path, ssid, flag in (("/0/1", 101, b"\x00"), ("/0/2", 102, b"\x01")):
        account = b"\xc8\x00\x0dcoap://server" + b"\xc1\x01" + flag + b"\xc1\x02\x03"
        assert b.put(path, account + bytes((0xC1, 10, ssid)), TLV).code == 0x44
    assert b.put("/1/0", b"\xc1\x00\x65\xc1\x01\x3c\xc1\x06\x01\xc1\x07U", TLV).code == 0x44
    assert b.post("/bs").code == 0x86
    link.until("BOOTSTRAP_REG_FAILURE", 5)


def test_a_delayed_answer_that_cannot_be_sent():
    """It is lost, and nothing of it stays: later notifications go out once each."""
    link = Link(lifetime=300)
    c = link.client
    s = link.server
    c.on_read("/3/0/0", lambda path, v: LATER)
    assert s.put("/3/0/14", b"", 0, (QUERY, "pmin=0")).code == 0x44
    token = s.observe("/3/0/14", TEXT).token
    s.ask(GET, "/3/0/0", [(ACCEPT, TEXT)])
    link.run(2)
    with Failing(s, "send", MemoryError()):
        c.answer("/3/0/0", "late")
        link.run(2)
    assert MemoryError in printed()
    n = len(s.heard)
    c.set("/3/0/14", "+01:00")
    link.run(5)
    assert [m.payload for m in s.notes(token, n)] == [b"+01:00"]
