# DTLS with Leshan's servers: pre-shared keys, Connection ID, sleep, resumption, a bad line, certificates
# SPDX-License-Identifier: MIT
import contextlib
import random
import time

import pytest
from certificates import as_bytes, issue
from cryptography.hazmat.primitives.serialization import Encoding
from device import pack
from leshan import TLV, Bootstrap, Leshan
from tap import CLIENT_HELLO, KEY_EXCHANGE, Tap
from test_leshan_bootstrap import SSID, answers

CID = 6
# Attempts that do not make a test wait: milliseconds, and doublings.
QUICK = {"ack_timeout": 100, "max_retransmit": 2}


def key_of(endpoint):
    """A key that only this endpoint has."""
    return endpoint.encode().ljust(16, b"k")[-16:]


def allow(server, endpoint, identity=None):
    """Let the server know the endpoint's key; the options for the client that go with it."""
    identity = identity or "id-" + endpoint
    key = key_of(endpoint)
    server.request("security-add", endpoint=endpoint, identity=identity, key=key.hex())
    return {"identity": identity, "key": pack(key)}


@pytest.fixture
def tap(leshan):
    """tap(**options of Tap): a relay before Leshan's coaps port."""
    with contextlib.ExitStack() as stack:

        def start(port=leshan.secure_port, cid=CID, **kw):
            line = stack.enter_context(Tap(port, cid=cid, **kw))
            stack.callback(lambda: print(f"tap: {line.lost} lost, last records {line.seen[-20:]}"))
            return line

        yield start


@pytest.fixture
def secure(power, leshan, endpoint):
    """A client with a key: secure(uri, server=leshan, values={path: value}, **options of Client) gives (device,
    server's side). With known=True the server has the key already, and nothing is awaited."""

    def start(uri, server=leshan, known=False, values=None, within=15, **kw):
        account = (
            {"identity": "id-" + endpoint, "key": pack(key_of(endpoint))}
            if known
            else allow(server, endpoint)
        )
        device = power()
        tables = ["lwm2m.model.tables.ipso"] if values else []
        device.new(endpoint, uri, tables=tables, **{"lifetime": 300, **account, **kw})
        for path, value in (values or {}).items():
            device.give(path, value)
        device.start()
        peer = server.peer(endpoint)
        if not known:
            peer.registered = peer.wait("registered", within)
            device.wait("REGISTRATION_COMPLETE", within)
        return device, peer

    return start


@pytest.fixture
def no_cid(leshan):
    """A server of its own, without Connection ID."""
    with Leshan(cid=0) as server:
        yield server


def test_int_401_psk(leshan, secure, endpoint):
    device, peer = secure(leshan.secure_uri, version="1.0")
    assert peer.registered.scheme == "coaps"
    assert "id-" + endpoint in peer.registered.identity
    device.wait("SECURE")
    assert peer.read("/3/0").content["/3/0/16"].startswith("U")
    assert peer.write("/3/0/15", "Europe/Vienna").code == "2.04"
    assert device.get("/3/0/15") == "Europe/Vienna"
    observed = peer.observe("/3/0/15")
    assert observed.content == {"/3/0/15": "Europe/Vienna"}
    device.set("/3/0/15", "UTC")
    told = peer.wait("notification", observation=observed.observation)
    assert told.content == {"/3/0/15": "UTC"}
    assert peer.execute("/1/0/8").code == "2.04"
    peer.wait("updated")
    # Nobody reads the key over the air.
    assert peer.coap("GET", "/0/0/5").code == "4.01"
    device.stop()
    peer.wait("unregistered")


def test_no_handshake_more_than_one(tap, secure):
    line = tap()
    device, peer = secure(line.uri)
    for _ in range(5):
        device.update()
        peer.wait("updated")
        assert peer.read("/3/0/16").code == "2.05"
    # a server that has just started may be slow enough to hear the flight once more
    assert 1 <= line.count(KEY_EXCHANGE) <= 2
    # A cookie's round trip, and no more.
    assert line.count(CLIENT_HELLO) == 2


@pytest.mark.parametrize("wrong", ["key", "identity"])
def test_refused_credentials(tap, power, leshan, endpoint, wrong):
    """The application hears of each attempt, the client tries again later and later, and then with the right key."""
    account = allow(leshan, endpoint)
    line = tap()
    device = power()
    bad = {"key": pack(bytes(16))} if wrong == "key" else {"identity": "nobody"}
    device.new(endpoint, line.uri, ack_timeout=10, **{**account, **bad})
    for rid, value in ((17, 3), (18, 1), (19, 60)):
        device.set(f"/1/0/{rid}", value)
    start = time.monotonic()
    device.start()
    at = []
    for _ in range(3):
        device.wait("SECURE_FAILURE", 10)
        at.append(time.monotonic() - start)
        device.wait("REGISTRATION_FAILURE")
    # 1 s, then 2 s, and what the attempts themselves take.
    assert at[1] - at[0] > 0.5
    assert at[2] - at[1] > at[1] - at[0]
    device.wait("NETWORK_ERROR")
    assert device.stat() == 4
    assert "REGISTRATION_COMPLETE" not in device.events()
    leshan.silent("registered", 0, endpoint=endpoint)
    # The application gives it the right one.
    device.set("/0/0/3", account["identity"].encode())
    device.set("/0/0/5", key_of(endpoint))
    device.stop(force=True)
    device.start()
    leshan.wait("registered", 10, endpoint=endpoint)
    device.wait("REGISTRATION_COMPLETE")


def test_server_that_is_not_there(power, endpoint, tap):
    line = tap()
    line.cut = True
    device = power()
    device.new(endpoint, line.uri, identity="x", key=pack(b"y"), ack_timeout=10, retry=False)
    device.set("/1/0/17", 1)
    device.start()
    device.wait("SECURE_FAILURE", 10)
    device.wait("NETWORK_ERROR")
    assert device.stat() == 4


def test_connection_id_takes_over_a_new_port(tap, secure):
    line = tap()
    device, peer = secure(line.uri)
    before = peer.registered.port
    line.clear()
    after = line.rebind()
    assert after != before
    device.update()
    updated = peer.wait("updated")
    assert updated.registration == peer.registered.registration
    assert updated.port == after
    assert peer.read("/3/0/16").code == "2.05"
    # Twice, and with the first word from the client a notification.
    observed = peer.observe("/3/0/15")
    line.rebind()
    device.set("/3/0/15", "moved")
    told = peer.wait("notification", observation=observed.observation)
    assert told.content == {"/3/0/15": "moved"}
    assert not [each for each in line.seen if each.type != 25 and each.up]


def test_without_connection_id_a_new_port_needs_a_handshake(tap, secure, no_cid):
    line = tap(no_cid.secure_port, cid=0)
    device, peer = secure(line.uri, server=no_cid, **QUICK)
    line.clear()
    line.rebind()
    device.update()
    device.wait("REG_TIMEOUT", 10)
    # The session goes on where it was, and so does the registration.
    updated = peer.wait("updated", 10)
    assert updated.registration == peer.registered.registration
    assert line.count(CLIENT_HELLO)
    assert not line.count(KEY_EXCHANGE)
    device.wait("REGISTRATION_COMPLETE")
    assert peer.read("/3/0/16").code == "2.05"


def sleep(device):
    """Into a deep sleep, and in order: all that goes on afterwards is saved."""
    device.pause()
    device.wait("ENGINE_SUSPENDED")
    device.power_off()


def test_deep_sleep_wakes_by_connection_id(tap, secure, tmp_path):
    line = tap()
    device, peer = secure(line.uri, store=str(tmp_path), version="1.0")
    for _ in range(3):
        device.update()
        peer.wait("updated")
        device.wait("REG_UPDATE_COMPLETE")
    sent = line.seen[-1].seq
    sleep(device)
    line.clear()
    line.rebind()
    device, peer = secure(line.uri, known=True, store=str(tmp_path), version="1.0")
    updated = peer.wait("updated")
    peer.silent("registered", 0)
    device.wait("REGISTRATION_COMPLETE")
    device.wait("REG_UPDATE_COMPLETE")
    # Nothing but the Update and its answer, and no number for a second time.
    assert [each.type for each in line.seen] == [25, 23]
    assert line.seen[0].seq > sent
    assert "REGISTRATION" not in device.events()
    assert updated.changes == {"lifetime": None, "binding": None, "links": None}
    assert device.stat() == 2
    # The session is as good as before, also for a second sleep.
    assert peer.read("/3/0/16").code == "2.05"
    sleep(device)
    device, peer = secure(line.uri, known=True, store=str(tmp_path), version="1.0")
    peer.wait("updated")
    assert peer.read("/3/0/16").code == "2.05"
    assert {each.type for each in line.seen} == {25, 23}
    numbers = [each.seq for each in line.seen if each.up]
    assert len(numbers) == len(set(numbers))
    device.stop()
    peer.wait("unregistered")


def test_power_cuts_use_no_number_twice(tap, secure, tmp_path):
    """Cut off at any moment, again and again, sometimes asleep: a handshake resumes the session, or its keys go on."""
    chance = random.Random(9)
    line = tap()
    device, peer = secure(line.uri, store=str(tmp_path))
    cuts = 0
    for _ in range(10):
        for _ in range(chance.randrange(40)):
            peer.read("/3/0/16")
        if chance.random() < 0.5:
            device.update()
        if chance.random() < 0.5:
            sleep(device)
        else:
            device.power_off()
            cuts += 1
        device, peer = secure(line.uri, known=True, store=str(tmp_path))
        device.wait("REG_UPDATE_COMPLETE")
    # a server that has just started may be slow enough to hear the flight once more
    assert 1 <= line.count(KEY_EXCHANGE) <= 2
    assert 0 < cuts < 10 and line.count(CLIENT_HELLO) >= cuts
    # Each handshake has keys, and so numbers, of its own.
    numbers = [[]]
    for each in line.seen:
        if each.up and each.type == 25:
            numbers[-1].append(each.seq)
        elif each.up and each.type == 22 and numbers[-1]:
            numbers.append([])
    assert sum(map(len, numbers)) > 150
    assert all(keys == sorted(set(keys)) for keys in numbers)


def test_deep_sleep_keeps_observations(tap, secure, tmp_path):
    line = tap()
    device, peer = secure(line.uri, store=str(tmp_path))
    assert peer.attributes("/3/0/15", pmin=1, pmax=300).code == "2.04"
    observed = peer.observe("/3/0/15")
    sleep(device)
    line.clear()
    device, peer = secure(line.uri, known=True, store=str(tmp_path))
    peer.wait("updated")
    # What may have changed meanwhile is told, and so is what changes then.
    peer.wait("notification", 5, observation=observed.observation)
    device.set("/3/0/15", "awake")
    told = peer.wait("notification", 5, observation=observed.observation)
    assert told.content == {"/3/0/15": "awake"}
    (row,) = device.observations()
    assert row == ["/3/0/15", 1, 1, 300]
    peer.cancel(observed.observation, active=True)
    assert device.observations() == []
    assert {each.type for each in line.seen} == {25, 23}


def test_deep_sleep_keeps_composite_observations(tap, secure, tmp_path):
    line = tap()
    device, peer = secure(line.uri, store=str(tmp_path), version="1.1")
    observed = peer.observe_composite(["/3/0/14", "/3/0/15"])
    sleep(device)
    line.clear()
    device, peer = secure(line.uri, known=True, store=str(tmp_path), version="1.1")
    peer.wait("updated")
    peer.wait("notification", 5, observation=observed.observation)
    device.set("/3/0/15", "awake")
    told = peer.wait("notification", 5, observation=observed.observation)
    assert told.content["/3/0/15"] == "awake"
    assert {each.type for each in line.seen} == {25, 23}


def test_server_restart_while_the_device_sleeps(tap, secure, tmp_path, endpoint):
    with contextlib.ExitStack() as stack:
        server = stack.enter_context(Leshan(cid=CID))
        port = server.secure_port
        line = tap(port)
        kw = {"store": str(tmp_path), **QUICK}
        device, peer = secure(line.uri, server=server, **kw)
        sleep(device)
        server.stop()
        server = stack.enter_context(Leshan(coaps=port, cid=CID))
        allow(server, endpoint)
        line.clear()
        device, peer = secure(line.uri, server=server, known=True, **kw)
        device.wait("REG_TIMEOUT", 10)
        peer.wait("registered", 15)
        device.wait("REGISTRATION_COMPLETE")
        # a server that has just started may be slow enough to hear the flight once more
        assert 1 <= line.count(KEY_EXCHANGE) <= 2
        assert peer.read("/3/0/16").code == "2.05"


def test_waking_tells_what_changed(tap, secure, tmp_path):
    line = tap()
    device, peer = secure(line.uri, store=str(tmp_path))
    sleep(device)
    line.clear()
    device, peer = secure(line.uri, known=True, store=str(tmp_path), lifetime=200)
    updated = peer.wait("updated")
    assert updated.changes.lifetime == 200
    device.wait("REG_UPDATE_COMPLETE")
    sleep(device)
    values = {"/3303/0/5700": 21.5}
    device, peer = secure(line.uri, known=True, store=str(tmp_path), lifetime=200, values=values)
    updated = peer.wait("updated")
    assert "/3303/0" in updated.instances
    assert {each.type for each in line.seen} == {25, 23}


def test_sleep_longer_than_the_lifetime_registers(tap, secure, tmp_path):
    line = tap()
    device, peer = secure(line.uri, store=str(tmp_path), lifetime=2)
    sleep(device)
    time.sleep(2.5)
    line.clear()
    device, peer = secure(line.uri, known=True, store=str(tmp_path), lifetime=60)
    # The DTLS session is still good.
    peer.wait("registered")
    device.wait("REGISTRATION_COMPLETE")
    assert {each.type for each in line.seen} == {25, 23}


def test_after_deregistration_nothing_wakes(tap, secure, tmp_path):
    line = tap()
    device, peer = secure(line.uri, store=str(tmp_path))
    device.stop()
    device.wait("DISCONNECT")
    gone = peer.wait("unregistered")
    device.power_off()
    line.clear()
    device, peer = secure(line.uri, known=True, store=str(tmp_path))
    assert peer.wait("registered").registration != gone.registration
    device.wait("REGISTRATION_COMPLETE")
    # It told the server that the session was over; its id is still worth something.
    assert line.count(CLIENT_HELLO)
    assert not line.count(KEY_EXCHANGE)


@pytest.mark.parametrize("damage", ["empty", "cut", "noise", "other key"])
def test_what_was_kept_is_of_no_use(tap, secure, leshan, tmp_path, endpoint, damage):
    line = tap()
    device, peer = secure(line.uri, store=str(tmp_path))
    sleep(device)
    kw = {}
    if damage == "other key":
        # The same identity with another key, as from a new bootstrap.
        leshan.request("security-remove", endpoint=endpoint)
        leshan.request("security-add", endpoint=endpoint, identity="id-" + endpoint, key="77" * 16)
        kw["key"] = pack(b"w" * 16)
    for name in tmp_path.iterdir():
        data = name.read_bytes()
        if damage == "empty":
            name.write_bytes(b"")
        elif damage == "cut":
            name.write_bytes(data[: len(data) // 2])
        elif damage == "noise":
            name.write_bytes(bytes(each ^ 0x5A for each in data))
    device, peer = secure(line.uri, known=True, store=str(tmp_path), **kw)
    peer.wait("registered", 10)
    device.wait("REGISTRATION_COMPLETE")
    assert peer.read("/3/0/16").code == "2.05"
    assert "Traceback" not in device.log()


def test_session_id_resumes_after_a_sleep(tap, secure, no_cid, tmp_path):
    line = tap(no_cid.secure_port, cid=0)
    device, peer = secure(line.uri, server=no_cid, store=str(tmp_path))
    sleep(device)
    line.clear()
    device, peer = secure(line.uri, server=no_cid, known=True, store=str(tmp_path))
    updated = peer.wait("updated", 10)
    peer.silent("registered", 0)
    device.wait("REGISTRATION_COMPLETE")
    assert line.count(CLIENT_HELLO)
    assert not line.count(KEY_EXCHANGE)
    assert updated.scheme == "coaps"
    assert peer.read("/3/0/16").code == "2.05"


@pytest.mark.parametrize("store", [False, True])
@pytest.mark.parametrize("cid", [0, CID])
def test_server_restart(tap, secure, tmp_path, endpoint, cid, store):
    kw = {"store": str(tmp_path)} if store else {}
    with contextlib.ExitStack() as stack:
        server = stack.enter_context(Leshan(cid=cid))
        port = server.secure_port
        line = tap(port, cid)
        device, peer = secure(line.uri, server=server, **QUICK, **kw)
        server.stop()
        server = stack.enter_context(Leshan(coaps=port, cid=cid))
        allow(server, endpoint)
        line.clear()
        device.update()
        device.wait("REG_TIMEOUT", 10)
        server.wait("registered", 15, endpoint=endpoint)
        device.wait("REGISTRATION_COMPLETE")
        # a server that has just started may be slow enough to hear the flight once more
        assert 1 <= line.count(KEY_EXCHANGE) <= 2
        assert server.peer(endpoint).read("/3/0/16").code == "2.05"


@pytest.mark.parametrize("store", [False, True])
def test_server_lost_the_session_silently(leshan, tap, secure, tmp_path, endpoint, store):
    """It still has the registration, and drops what it cannot open."""
    kw = {"store": str(tmp_path)} if store else {}
    line = tap()
    device, peer = secure(line.uri, **QUICK, **kw)
    line.clear()
    leshan.request("dtls-forget")
    device.update()
    device.wait("REG_TIMEOUT", 10)
    again = peer.wait("registered", 10)
    assert again.replaced == peer.registered.registration
    device.wait("REGISTRATION_COMPLETE")
    assert peer.read("/3/0/16").code == "2.05"
    # One handshake, and with a close_notify before it.
    # a server that has just started may be slow enough to hear the flight once more
    assert 1 <= line.count(KEY_EXCHANGE) <= 2


def test_blocks(leshan, secure):
    """What does not fit into one record."""
    device, peer = secure(leshan.secure_uri)
    text = "long " * 400
    assert peer.write("/3/0/15", text).code == "2.04"
    assert device.get("/3/0/15") == text
    assert peer.read("/3/0/15").content == {"/3/0/15": text}


def test_server_forgot_the_registration_alone(tap, secure):
    line = tap()
    device, peer = secure(line.uri)
    line.clear()
    peer.forget()
    device.update()
    peer.wait("registered")
    device.wait("REGISTRATION_COMPLETE")
    assert {each.type for each in line.seen} == {25, 23}


@pytest.mark.parametrize("seed", range(3))
def test_bad_line(tap, secure, seed):
    """30 % of the datagrams lost and the rest out of order, in the handshake and behind it."""
    line = tap(loss=0.3, delay=0.05, seed=seed)
    device, peer = secure(line.uri, within=60, ack_timeout=150, max_retransmit=6)
    line.loss, line.delay = 0, 0
    assert peer.read("/3/0/16").code == "2.05"
    assert line.lost


def account(bootstrap, leshan, endpoint):
    """A configuration by which the bootstrap server gives the endpoint keys for both servers."""
    return {
        "format": TLV,
        "delete": ["/0", "/1"],
        "security": {
            0: {
                "uri": bootstrap.secure_uri,
                "bootstrap": True,
                "mode": "PSK",
                "identity": "bs-" + endpoint,
                "key": key_of(endpoint).hex(),
            },
            1: {
                "uri": leshan.secure_uri,
                "ssid": SSID,
                "mode": "PSK",
                "identity": "dm-" + endpoint,
                "key": key_of(endpoint).hex(),
            },
        },
        "servers": {0: {"ssid": SSID, "lifetime": 70}},
    }


def begin(power, bootstrap, endpoint, **kw):
    device = power()
    device.new(endpoint, None, **kw)
    for rid, value in (
        (0, bootstrap.secure_uri),
        (1, True),
        (2, 0),
        (3, b"bs-" + endpoint.encode()),
        (5, key_of(endpoint)),
    ):
        device.set(f"/0/0/{rid}", value)
    device.start(bootstrap=True)
    return device


def test_int_1_client_initiated_bootstrap_psk(power, leshan, bootstrap, endpoint):
    allow(bootstrap, endpoint, "bs-" + endpoint)
    allow(leshan, endpoint, "dm-" + endpoint)
    bootstrap.configure(endpoint, **account(bootstrap, leshan, endpoint))
    device = begin(power, bootstrap, endpoint, version="1.0")
    assert bootstrap.wait("initiated", 10, endpoint=endpoint).identity == "bs-" + endpoint
    bootstrap.wait("finished", 10, endpoint=endpoint)
    assert {code for _, _, code in answers(bootstrap, endpoint)} == {"2.02", "2.04"}
    registered = leshan.wait("registered", 10, endpoint=endpoint)
    assert registered.scheme == "coaps"
    assert "dm-" + endpoint in registered.identity
    assert registered.lifetime == 70
    device.wait("BOOTSTRAP_TRANSFER_COMPLETE")
    device.wait("REGISTRATION_COMPLETE")
    assert leshan.peer(endpoint).read("/1/0/0").content == {"/1/0/0": SSID}


def test_bootstrap_with_a_wrong_key(power, leshan, bootstrap, endpoint):
    """The bootstrap hands out a key that the server does not take: the client asks the bootstrap again."""
    allow(bootstrap, endpoint, "bs-" + endpoint)
    allow(leshan, endpoint, "dm-" + endpoint)
    config = account(bootstrap, leshan, endpoint)
    good = config["security"][1]["key"]
    config["security"][1]["key"] = "00" * 16
    bootstrap.configure(endpoint, **config)
    device = begin(power, bootstrap, endpoint, ack_timeout=10)
    bootstrap.wait("finished", 10, endpoint=endpoint)
    config["security"][1]["key"] = good
    bootstrap.configure(endpoint, **config)
    device.set("/1/0/17", 1)
    device.wait("SECURE_FAILURE", 10)
    bootstrap.wait("finished", 10, endpoint=endpoint)
    leshan.wait("registered", 10, endpoint=endpoint)
    device.wait("REGISTRATION_COMPLETE")


@pytest.fixture(scope="module")
def authority():
    return issue("authority", ca=True)


@pytest.fixture(scope="module")
def files(authority, tmp_path_factory):
    """Options of a server with a certificate for "localhost"."""
    folder = tmp_path_factory.mktemp("x509")
    cert, key = as_bytes(issue("localhost", authority), Encoding.PEM)
    files = {"chain": cert, "key": key, "trust": as_bytes(authority, Encoding.PEM)[0]}
    for name, text in files.items():
        (folder / name).write_bytes(text)
    return {name: folder / name for name in files}


@pytest.fixture(scope="module")
def certified(leshan, files):
    with Leshan(cid=CID, **files) as server:
        yield server


@pytest.fixture
def certified_bootstrap(bootstrap, files):
    with Bootstrap(**files) as server:
        yield server


def with_certificate(power, server, endpoint, pair, trust, host="localhost", **kw):
    """A device whose account for the server is one of security mode 2."""
    device = power()
    device.new(endpoint, f"coaps://{host}:{server.secure_port}", lifetime=60, **kw)
    cert, key = as_bytes(pair)
    for rid, value in ((2, 2), (3, cert), (4, trust), (5, key)):
        device.set(f"/0/0/{rid}", value)
    return device


def test_x509(power, certified, authority, endpoint):
    certified.request("security-add", endpoint=endpoint)
    device = with_certificate(
        power, certified, endpoint, issue(endpoint, authority), as_bytes(authority)[0]
    )
    device.start()
    registered = certified.wait("registered", 15, endpoint=endpoint)
    assert registered.scheme == "coaps"
    assert endpoint in registered.identity
    device.wait("REGISTRATION_COMPLETE")
    peer = certified.peer(endpoint)
    assert peer.read("/3/0/16").code == "2.05"
    device.update()
    peer.wait("updated")
    device.stop()
    peer.wait("unregistered")


@pytest.mark.parametrize("wrong", ["authority", "name", "own"])
def test_x509_refused(power, certified, authority, endpoint, wrong):
    certified.request("security-add", endpoint=endpoint)
    mine = issue(endpoint, issue("another", ca=True) if wrong == "own" else authority)
    trust = as_bytes(issue("another", ca=True) if wrong == "authority" else authority)[0]
    host = "127.0.0.1" if wrong == "name" else "localhost"
    device = with_certificate(
        power, certified, endpoint, mine, trust, host, ack_timeout=100, retry=False
    )
    device.set("/1/0/17", 1)
    device.start()
    device.wait("SECURE_FAILURE", 10)
    device.wait("NETWORK_ERROR")
    certified.silent("registered", 0, endpoint=endpoint)


def test_int_2_client_initiated_bootstrap_certificate(
    power, certified, certified_bootstrap, authority, endpoint
):
    trust = as_bytes(authority)[0]
    cert, key = as_bytes(issue(endpoint, authority))
    mode = {"mode": "X509", "public": cert.hex(), "key": key.hex(), "server": trust.hex()}
    for server in (certified, certified_bootstrap):
        server.request("security-add", endpoint=endpoint)
    certified_bootstrap.configure(
        endpoint,
        format=TLV,
        delete=["/0", "/1"],
        security={
            0: {
                "uri": f"coaps://localhost:{certified_bootstrap.secure_port}",
                "bootstrap": True,
                **mode,
            },
            1: {"uri": f"coaps://localhost:{certified.secure_port}", "ssid": SSID, **mode},
        },
        servers={0: {"ssid": SSID, "lifetime": 80}},
    )
    device = power()
    device.new(endpoint, None, version="1.0")
    uri = f"coaps://localhost:{certified_bootstrap.secure_port}"
    for rid, value in ((0, uri), (1, True), (2, 2), (3, cert), (4, trust), (5, key)):
        device.set(f"/0/0/{rid}", value)
    device.start(bootstrap=True)
    certified_bootstrap.wait("finished", 20, endpoint=endpoint)
    registered = certified.wait("registered", 20, endpoint=endpoint)
    assert registered.scheme == "coaps"
    assert endpoint in registered.identity
    assert registered.lifetime == 80
    device.wait("REGISTRATION_COMPLETE")
