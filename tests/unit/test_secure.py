# A session over DTLS: what its events are, what it resumes, what outlives a deep sleep, how it ends
# SPDX-License-Identifier: MIT
import lwm2m_port
from dtls_server import CBC, CCM, HAVE_CBC, KEY, SecureLink, Server
from link import *

REGISTERED = ["CONNECT", "SECURE", "REGISTRATION", "REGISTRATION_COMPLETE"]
RESUMED = ["CONNECT", "SECURE", "REGISTRATION_COMPLETE", "REG_UPDATE", "REG_UPDATE_COMPLETE"]
IDENTIFIED = {"cid": b"abcdef"}  # a server with Connection IDs


def kept():
    """Skip where the image keeps no registrations."""
    try:
        import lwm2m.session.resume
    except ImportError:
        raise Skip("registrations are not kept here")


def woken(before, asleep, **options):
    """The device after a deep sleep, started, a few seconds on."""
    x = SecureLink(before=before, asleep=asleep, start=False, **options)
    x.client.start()
    x.run(3)
    return x


def paths(peer, since=0):
    return [m.path() for m in peer.requests[since:]]


def test_life():
    for server in ({}, IDENTIFIED, {"cookie": False, "hint": b"hint"}):
        x = SecureLink(server)
        assert x.names() == REGISTERED and x.server.port == 5684
        assert x.server.get("/3/0/0", TEXT).payload == b"MicroPython"
        t = x.server.observe("/3/0/14", TEXT).token
        x.client.set("/3/0/14", "+01:00")
        x.run(1)
        assert [m.payload for m in x.server.notes(t)] == [b"+01:00"]
        x.client.stop()
        x.until("DISCONNECT")
        assert paths(x.server) == ["/rd", "/rd/7"] and x.server.requests[-1].code == DELETE
        # close_notify ends it
        assert x.server.dtls.alert == (1, 0) and not x.server.open


def test_both_suites_of_an_account():
    if not HAVE_CBC:
        raise Skip("no CBC here")
    for offered, suites, agreed in (
        (None, (CCM,), CCM),
        ({0: CBC}, (CBC,), CBC),
        ({0: CBC, 1: CCM}, (CCM,), CCM),
        ({0: 0x1301, 1: CBC}, (CBC, CCM), CBC),
    ):
        x = SecureLink({"suites": suites}, start=False)
        if offered:
            store(x.client, "/0/0/16", offered)
        x.client.start()
        x.until("REGISTRATION_COMPLETE")
        assert x.server.dtls.suite == agreed
        assert x.server.get("/3/0/0", TEXT).payload == b"MicroPython"


def test_what_is_offered_by_default():
    # CBC takes an account that asks for it
    x = SecureLink({"suites": (CBC,)}, start=False)
    x.client.start()
    x.run(1)
    assert x.names() == ["CONNECT", "SECURE_FAILURE", "REGISTRATION_FAILURE"]


def test_long_bodies_fit_between_head_and_tail():
    for suites in ((CCM,), (CBC,)) if HAVE_CBC else ((CCM,),):
        x = SecureLink({"suites": suites, "cid": b"0123456789"}, start=False)
        store(x.client, "/0/0/16", {0: suites[0]})
        x.client.start()
        x.until("REGISTRATION_COMPLETE")
        x.client.set("/3/0/0", "x" * 400)
        assert x.server.get("/3/0/0", TEXT).payload == b"x" * 400


def test_a_refused_handshake():
    x = SecureLink({"suites": (0x1301,)}, start=False)
    x.client.start()
    x.run(1)
    assert x.names() == ["CONNECT", "SECURE_FAILURE", "REGISTRATION_FAILURE"]
    assert x.client.stat() == 1 and not x.server.heard
    # the next attempt comes after a minute
    x.run(57)
    assert x.opened == 1
    x.run(4)
    assert x.opened == 2


def test_a_silent_server():
    x = SecureLink(start=False, ack_timeout=1000)
    x.fault = lambda peer, d, to_client: ()
    x.client.start()
    x.until("SECURE_FAILURE")
    # 1, 2, 4, 8 and 16 s: the timeout of CoAP's messages is that of the flights
    assert 30000 < x.ms < 32000, x.ms


def test_the_server_ends_the_session():
    x = SecureLink()
    x.run(10)
    x.server.link.carry(x.server, x.server.dtls.sealed(21, b"\1\0"), True)
    x.run(2)
    # a new connection, by the session that is known, and the registration with it
    assert x.names()[4:] == RESUMED and x.client.stat() == 2
    assert paths(x.server) == ["/rd", "/rd/7"] and x.server.dtls.resumed
    # while it leaves: it is gone
    x.server.reply = lambda m: None
    x.client.stop()
    x.run(0.5)
    assert x.client.stat() == 3
    x.server.link.carry(x.server, x.server.dtls.sealed(21, b"\1\0"), True)
    x.run(1)
    assert x.client.stat() == 0 and x.names()[-2:] == ["DEREGISTER", "DEREGISTER_FAILURE"]


def test_an_alert_ends_the_session():
    x = SecureLink()
    x.server.link.carry(x.server, x.server.dtls.sealed(21, b"\2\x14"), True)
    x.run(2)
    # what failed is not resumed: the registration is made anew
    assert x.names()[4:] == REGISTERED and not x.server.dtls.resumed


def test_the_server_lost_its_sessions():
    # it knows the record layer no more: the update is not answered, and a full handshake follows
    x = SecureLink()
    x.server.dtls.fresh()
    x.server.dtls.sessions.clear()
    x.client.update()
    x.until("REG_TIMEOUT")
    x.until("REGISTRATION_COMPLETE")
    assert x.names()[-4:] == REGISTERED and paths(x.server) == ["/rd", "/rd"]
    assert not x.server.dtls.resumed


def test_a_lost_update_resumes_the_session():
    x = SecureLink(lifetime=600)
    x.fault = lambda peer, d, to_client: ()
    x.client.update()
    x.until("REG_TIMEOUT")
    x.fault = None
    x.until("REG_UPDATE_COMPLETE")
    # the server knows the session, and with it the registration
    assert x.names()[-5:] == RESUMED and x.server.dtls.resumed
    assert paths(x.server) == ["/rd", "/rd/7"]


def test_an_expired_registration_is_made_anew():
    x = SecureLink(lifetime=600)
    x.fault = lambda peer, d, to_client: ()
    x.run(700)
    x.fault = None
    x.until("REGISTRATION_COMPLETE")
    assert x.server.dtls.resumed and paths(x.server) == ["/rd", "/rd"]


def test_sleep_and_wake_up_by_connection_id():
    kept()
    x = SecureLink(IDENTIFIED, files={}, lifetime=600)
    x.server.observe("/3/0/14", TEXT)
    x.run(100)
    x.client.pause()
    for asleep in (60, 30, 100):
        n = len(x.server.requests)
        server = x.server.dtls.server  # its random bytes
        y = woken(x, asleep, lifetime=600)
        assert y.names() == RESUMED
        # no handshake, an update
        assert y.server.dtls.server is server and paths(y.server, n) == ["/rd/7"]
        # the observation goes on
        y.client.set("/3/0/14", "+%02d:00" % (asleep % 24))
        y.run(1)
        assert y.server.heard[-1].payload == b"+%02d:00" % (asleep % 24)
        y.client.pause()
        x = y


def test_sleep_and_wake_up_by_a_handshake():
    kept()
    x = SecureLink(files={}, lifetime=600)
    x.run(10)
    x.client.pause()
    y = woken(x, 60, lifetime=600)
    assert y.names() == RESUMED and y.server.dtls.resumed
    assert paths(y.server) == ["/rd", "/rd/7"]
    # the server has forgotten the session: the registration is not to be trusted either
    y.client.pause()
    y.server.dtls.sessions.clear()
    y.server.dtls.fresh()
    z = woken(y, 60, lifetime=600)
    assert z.names() == REGISTERED and not z.server.dtls.resumed
    assert paths(z.server) == ["/rd", "/rd/7", "/rd"]


def test_sleep_beyond_the_lifetime():
    kept()
    for asleep, events in ((580, RESUMED), (601, REGISTERED), (100000, REGISTERED)):
        x = SecureLink(IDENTIFIED, files={}, lifetime=600)
        x.run(10)
        x.client.pause()
        y = woken(x, asleep - 10, lifetime=600)
        assert y.names() == events, (asleep, y.names())


def test_nothing_is_resumed_after_a_de_registration():
    kept()
    x = SecureLink(IDENTIFIED, files={})
    x.client.stop()
    x.until("DISCONNECT")
    y = woken(x, 10)
    assert y.names() == REGISTERED
    # nor by the same client
    y.client.stop()
    y.until("DISCONNECT")
    n = len(y.names())
    y.client.start()
    y.run(3)
    assert y.names(n) == REGISTERED


def test_without_save_nothing_outlives():
    x = SecureLink(IDENTIFIED)
    x.client.pause()
    y = SecureLink(before=x, asleep=10)
    assert y.names() == REGISTERED and not y.server.dtls.resumed


def test_another_account_does_not_get_the_session():
    kept()
    for options in ({"identity": "other"}, {"key": b"another key"}):
        x = SecureLink(IDENTIFIED, files={})
        x.client.pause()
        x.server.dtls.key = options.get("key", KEY)
        y = woken(x, 10, **options)
        assert y.names() == REGISTERED and not y.server.dtls.resumed, options


def test_nothing_goes_out_where_save_raises():
    # what is saved must not be used twice: after a pause nothing is sent before it is marked as used
    files = {}
    full = [False]

    def save(name, data):
        if full[0]:
            raise OSError(28)
        files[name] = data

    x = SecureLink(IDENTIFIED, load=files.get, save=save)
    x.server.observe("/3/0/14", TEXT)
    x.run(1)
    x.client.pause()
    full[0] = True
    sent = []

    def count(peer, d, to_client):
        if not to_client:
            sent.append(d)
        return (0,)

    x.fault = count
    x.client.resume()
    for k in range(20):
        x.client.set("/3/0/14", "+%02d:%02d" % (k // 60, k % 60))
        x.server.ask(GET, "/3/0/14", [(ACCEPT, TEXT)])
        # nothing leaves poll()
        x.run(1)
    assert set(printed()) == {OSError} and not sent
    full[0] = False
    assert x.server.get("/3/0/14", TEXT).payload == b"+00:19"
    numbers = [d[3:11] for d in sent]
    assert numbers and len(set(numbers)) == len(numbers)


def test_a_flood_of_forged_records():
    # poll() comes to an end, and timers have their turn
    x = SecureLink(lifetime=600)
    real = x.server.recv
    taken = []

    def flood():
        taken.append(1)
        if len(taken) > 100000:
            raise RuntimeError("without end")
        return b"\x17\xfe\xfd\0\1\0\0\0\0\0\5\0\x20" + bytes(32)

    x.server.recv = flood
    for k in range(20):
        taken.clear()
        x.client.poll(x.ticks())
        assert 0 < len(taken) < 100, len(taken)
    x.client.update()
    x.client.poll(x.ticks())
    x.server.recv = real
    x.run(1)
    assert x.names()[-1] == "REG_UPDATE_COMPLETE"


def test_a_restart_takes_up_no_keys():
    # without pause() a restart resumes the session by a handshake, and a recorded Execute is of no use, ever
    kept()
    x = SecureLink(IDENTIFIED, files={}, lifetime=600)
    for turn in range(3):
        x.client.on_exec("/3/0/4", lambda path, args: calls.append(args))
        record = x.server.dtls.sealed(
            23, build(CON, POST, 0x3000 + turn, b"t", segments("/3/0/4"), b"1")
        )
        calls = []
        if turn == 1:
            # not even where it came after the last orderly pause
            x.client.pause()
            x.client.resume()
        x.carry(x.server, record, True)
        x.run(1)
        assert calls == [b"1"]
        server = x.server.dtls.server  # its random bytes
        y = SecureLink(before=x, asleep=10, start=False, lifetime=600)
        y.client.on_exec("/3/0/4", lambda path, args: calls.append(args))
        y.client.start()
        y.carry(y.server, record, True)
        y.run(3)
        y.carry(y.server, record, True)
        y.run(1)
        assert calls == [b"1"]
        assert y.names() == RESUMED and y.server.dtls.resumed
        assert y.server.dtls.server is not server
        x = y


def boot(x, host, **settings):
    """Let the link have a bootstrap server, that speaks DTLS."""
    b = x.peer(host)
    x.client.create("/0/1")
    for r, v in ((0, "coaps://" + host), (1, True), (2, 0), (3, b"device"), (5, KEY)):
        x.client.set("/0/1/%d" % r, v)
    return b


def test_a_bootstrap_session_is_not_taken_for_a_registration():
    kept()
    files = {}
    x = SecureLink(IDENTIFIED, uri=None, files=files, start=False, identity="", key="")
    b = boot(x, "boot")
    x.client.start()
    x.until("BOOTSTRAP_REG_COMPLETE")
    assert paths(b) == ["/bs"]
    x.client.pause()
    # after a sleep it asks again, on the session that is known or on a new one
    for _ in range(2):
        y = SecureLink(before=x, asleep=10, uri=None, start=False, identity="", key="")
        b = boot(y, "boot")
        n = len(b.requests)
        y.client.start()
        y.run(3)
        assert paths(b, n) == ["/bs"] and "REG_UPDATE" not in y.names()
        assert "REGISTRATION_COMPLETE" not in y.names()
        y.client.pause()
        x = y


def test_two_secure_servers():
    x = SecureLink(start=False)
    other = x.peer("other")
    x.account(1, "coaps://other", 2)
    for r, v in ((2, 0), (3, b"device"), (5, KEY)):
        x.client.set("/0/1/%d" % r, v)
    x.client.start()
    x.until("REGISTRATION_COMPLETE")
    x.until("REGISTRATION_COMPLETE")
    for s in (x.server, other):
        assert paths(s) == ["/rd"] and s.get("/3/0/0", TEXT).payload == b"MicroPython"


def test_credentials_of_the_application():
    asked = []

    def load_credentials(ssid):
        asked.append(ssid)
        return b"device", KEY

    x = SecureLink(identity="", key="", load_credentials=load_credentials)
    assert asked == [1] and x.names() == REGISTERED
    # they go before those of the account
    x = SecureLink(key=b"of no use", load_credentials=load_credentials)
    assert x.names() == REGISTERED


def test_modes_that_are_not_supported():
    for mode in (1, 4, 5, 250):
        x = SecureLink(start=False)
        x.client.set("/0/0/2", mode)
        x.client.start()
        x.run(1)
        assert x.names() == ["CONNECT_FAILURE", "REGISTRATION_FAILURE"], mode
        assert not x.server.open and printed() == [ValueError]
    # a suite that nobody here has
    x = SecureLink(start=False)
    store(x.client, "/0/0/16", {0: 0x1301})
    x.client.start()
    x.run(1)
    assert x.names() == ["CONNECT_FAILURE", "REGISTRATION_FAILURE"]
    # without the platform's tls there is nobody else to ask
    assert not x.server.heard and printed() in ([ValueError], [ImportError])


def test_an_image_that_keeps_no_registrations():
    name = "lwm2m.session.resume"
    there = sys.modules.pop(name, None)
    sys.modules[name] = Link  # it has none of what is imported from there
    try:
        x = SecureLink(files={}, lifetime=600)
        assert x.names() == REGISTERED and "reg1" not in x.files
        # a session that lives on in this process has its registration
        x.server.link.carry(x.server, x.server.dtls.sealed(21, b"\1\0"), True)
        x.run(2)
        assert x.names()[4:] == RESUMED
        # one of another process has not; the DTLS session outlives
        x.client.pause()
        y = woken(x, 60, lifetime=600)
        assert y.names() == REGISTERED and y.server.dtls.resumed
    finally:
        del sys.modules[name]
        if there:
            sys.modules[name] = there


def test_a_bootstrap_account_with_the_number_of_a_server():
    # what is kept of server 1 is not what a bootstrap server with the same number goes on with
    kept()
    x = SecureLink(IDENTIFIED, files={})
    for _ in range(2):
        b = boot(x, "boot")
        x.client.set("/0/1/10", 1)
        n = len(b.requests)
        x.client.start(bootstrap=True)
        x.run(3)
        assert paths(b, n) == ["/bs"] and "REG_UPDATE" not in x.names()
        assert "reg1" in x.files
        x.client.pause()
        x = SecureLink(before=x, asleep=10, start=False)


def test_what_was_received_before_a_sleep_is_not_done_again():
    # pause() keeps the window of what was received: a recorded Execute is of no use afterwards
    kept()
    x = SecureLink(IDENTIFIED, files={})
    calls = []
    x.client.on_exec("/3/0/4", lambda path, args: calls.append(args))
    old = x.server.dtls.sealed(23, build(CON, POST, 0x4242, b"token", segments("/3/0/4"), b"1"))
    x.carry(x.server, old, True)
    x.run(1)
    assert calls == [b"1"]
    x.client.pause()
    for _ in range(2):
        y = SecureLink(before=x, asleep=300, start=False)
        y.client.on_exec("/3/0/4", lambda path, args: calls.append(args))
        y.client.start()
        y.run(2)
        assert y.names() == RESUMED
        y.carry(y.server, old, True)
        y.run(1)
        assert calls == [b"1"]
        # what is new is
        assert y.server.post("/3/0/4", b"2").code == 0x44 and calls.pop() == b"2"
        y.client.pause()
        x = y


def test_no_room_to_save_is_no_end():
    files = {}
    full = [True]

    def save(name, data):
        if full[0]:
            raise OSError(28)
        files[name] = data

    x = SecureLink(IDENTIFIED, load=files.get, save=save, start=False)
    x.client.start()
    for k in range(20):
        x.run(100)
    assert set(printed()) == {OSError} and "CLIENT_ERROR" in x.names()
    full[0] = False
    x.client.start()
    x.run(10)
    x.client.update()
    x.until("REG_UPDATE_COMPLETE", 100)
    assert x.client.stat() == 2 and files


def test_no_lapse_where_the_server_lost_the_session():
    """A restarted server hears nothing but a new handshake: it comes within the lifetime, also of a short one."""
    for lifetime in (20, 60, 180, 250, 600):
        x = SecureLink(lifetime=lifetime)
        s = x.server
        real = s.hear
        for k in range(3):
            s.dtls = Server(seed=lifetime + k)
            lost = [True]

            def hear(d):
                lost[0] = lost[0] and d[0] != 22  # a record of a handshake
                if not lost[0]:
                    real(d)

            s.hear = hear
            end = x.ms + lifetime * 1000
            x.until("REG_UPDATE", lifetime)
            x.until("REGISTRATION_COMPLETE", lifetime)
            assert x.ms < end, (lifetime, x.ms - end)
