# DTLS with pre-shared keys against OpenSSL and libcoap: what works, what is refused, a bad line
# SPDX-License-Identifier: MIT
import time
from contextlib import ExitStack

import pytest
from certificates import as_bytes, issue
from cryptography.hazmat.primitives.serialization import Encoding
from dtls_peers import (
    Device,
    OpenSslServer,
    coap_server,
    free_port,
    s_server,
    s_server_x509,
)
from tap import Tap

IDENTITY = "urn:imei:123456789012345"
KEY = bytes.fromhex("000102030405060708090a0b0c0d0e0f")
CCM, CBC = 0xC0A8, 0xAE

pytestmark = pytest.mark.needs("micropython")
needs_openssl = pytest.mark.needs("openssl")


@needs_openssl
@pytest.mark.parametrize(
    ("suite", "number", "more", "flags"),
    [
        ("PSK-AES128-CCM8", CCM, (), 1),
        ("PSK-AES128-CBC-SHA256", CBC, (), 3),
        ("PSK-AES128-CBC-SHA256", CBC, ("-no_etm",), 1),
    ],
)
def test_s_server(suite, number, more, flags):
    with (
        s_server(IDENTITY, KEY, suite, *more) as server,
        Device(server.port, IDENTITY, KEY, suites=[CCM, CBC]) as device,
    ):
        r = device.connect()
        assert (r["state"], r["suite"], r["extensions"]) == (2, number, flags)
        assert server.expect("CIPHER is") == f"CIPHER is {suite}"
        device.send(b"from the device\n", ms=0)
        server.expect("from the device")
        server.write("from the server\n")
        # s_server sends a line as one record
        assert device.call("wait", ms=1500)["data"] == [b"from the server\n".hex()]
        first = r["sid"]
        assert device.call("close")["state"] == 0
        server.expect("DONE")
        del server.lines[:]
        r = device.connect()
        assert (r["state"], r["sid"]) == (2, first)
        server.expect("Reused session-id")
        device.send(b"once more\n", ms=0)
        server.expect("once more")


@needs_openssl
def test_session_in_another_process():
    with ExitStack() as stack:
        server = stack.enter_context(s_server(IDENTITY, KEY))
        with Device(server.port, IDENTITY, KEY) as device:
            assert device.connect()["state"] == 2
            session = device.call("dump")["session"]
            device.call("close")
            server.expect("DONE")
        device = stack.enter_context(Device(server.port, IDENTITY, KEY, session=session))
        r = device.connect()
        assert r["state"] == 2
        server.expect("Reused session-id")
        # ClientHello twice, and the last flight; then nothing is sent without need.
        assert r["sent"] == 3


@needs_openssl
def test_wrong_suite():
    with (
        s_server(IDENTITY, KEY, "PSK-AES128-CBC-SHA256") as server,
        Device(server.port, IDENTITY, KEY) as device,
    ):
        r = device.connect()
        assert (r["state"], r["error"]) == (3, 40)


@pytest.mark.parametrize("library", ["openssl", "gnutls"])
def test_libcoap(need, library):
    need(f"coap-server-{library}")
    key = b"secretPSK"
    with coap_server(library, key) as server, Device(server.port, IDENTITY, key) as device:
        r = device.connect()
        assert (r["state"], r["suite"], r["extensions"]) == (2, CCM, 1)
        (answer,) = device.send(b"\x41\x01\x12\x34T")
        assert answer[:5] == b"\x61\x45\x12\x34T"
        assert b"libcoap" in answer
        # a resource of more than 1,024 bytes comes in blocks; /.well-known/core in one
        (answer,) = device.send(b"\x41\x01\x12\x35T\xbb.well-known\x04core")
        assert answer[:5] == b"\x61\x45\x12\x35T"
        assert device.call("close")["state"] == 0
        assert device.connect()["state"] == 2
        (answer,) = device.send(b"\x41\x01\x12\x36T")
        assert answer[:5] == b"\x61\x45\x12\x36T"


@pytest.mark.parametrize("library", ["openssl", "gnutls"])
def test_libcoap_wrong_key(need, library):
    need(f"coap-server-{library}")
    with (
        coap_server(library, b"secretPSK") as server,
        Device(server.port, IDENTITY, b"another", timeout=20) as device,
    ):
        r = device.connect()
        # Silence, or an alert: decrypt_error, bad_record_mac
        assert r["state"] == 3
        assert r["error"] in (-2, 20, 51)


def test_many_devices_on_one_server():
    keys = {f"device{n}".encode(): bytes([n]) * (1 + n * 9) for n in range(1, 6)}
    with ExitStack() as stack:
        server = stack.enter_context(OpenSslServer(keys))
        devices = [
            stack.enter_context(Device(server.port, i.decode(), k)) for i, k in keys.items()
        ]
        for device in devices:
            assert device.connect()["state"] == 2
        for size in (1, 100, 1024):
            for n, device in enumerate(devices):
                data = bytes([n]) * size
                assert device.send(data) == [data]
        assert server.handshakes == len(devices)
        assert not server.errors


def test_unknown_identity():
    with OpenSslServer({b"somebody": KEY}) as server, Device(server.port, IDENTITY, KEY) as device:
        r = device.connect()
        # OpenSSL hides the difference to a wrong key: decrypt_error, or unknown_psk_identity
        assert r["state"] == 3
        assert r["error"] in (51, 115)


def test_wrong_key():
    with (
        OpenSslServer({IDENTITY.encode(): bytes(16)}) as server,
        Device(server.port, IDENTITY, KEY, timeout=20) as device,
    ):
        r = device.connect()
        # OpenSSL drops what it cannot authenticate.
        assert (r["state"], r["error"]) == (3, -2)
        assert not server.handshakes


def test_no_server():
    with Device(free_port(), IDENTITY, KEY, timeout=20) as device:
        r = device.connect()
        assert (r["state"], r["error"], r["sent"]) == (3, -1, 5)


def test_server_restart():
    """It forgets everything without a word; the next handshake brings all back."""
    with (
        OpenSslServer({IDENTITY.encode(): KEY}) as server,
        Device(server.port, IDENTITY, KEY) as device,
    ):
        assert device.connect()["state"] == 2
        assert device.send(b"one") == [b"one"]
        server.forget()
        assert device.send(b"two", ms=300) == []
        r = device.connect()
        assert r["state"] == 2
        assert device.send(b"three") == [b"three"]
        assert (server.handshakes, server.resumed) == (2, 0)
        # Where the server kept the session, the same gives an abbreviated handshake.
        assert device.connect()["state"] == 2
        assert device.send(b"four") == [b"four"]
        assert (server.handshakes, server.resumed) == (3, 1)


def test_junk_from_the_server():
    with (
        OpenSslServer({IDENTITY.encode(): KEY}) as server,
        Device(server.port, IDENTITY, KEY) as device,
    ):
        assert device.connect()["state"] == 2
        alert = "15fefd000000000000ffff0002"
        junk = [
            alert + "0228",
            alert + "0100",
            "",
            "16",
            "17fefd" + "00" * 40,
            "ff" * 60,
            "16feff0000" + "00" * 20,
        ]
        r = device.call("inject", datagrams=junk)
        assert (r["state"], r["error"]) == (2, 0)
        assert "exception" not in r
        assert device.send(b"alive") == [b"alive"]


@pytest.mark.parametrize("seed", range(4))
def test_bad_line(seed):
    """30 % of all datagrams lost, some doubled, all out of order: handshake and resumption get through."""
    with ExitStack() as stack:
        server = stack.enter_context(OpenSslServer({IDENTITY.encode(): KEY}, mtu=256))
        line = stack.enter_context(Tap(server.port, loss=0.3, delay=0.05, double=0.1, seed=seed))
        device = stack.enter_context(Device(line.port, IDENTITY, KEY, timeout=200))
        for attempt in range(2):
            start = time.monotonic()
            for _ in range(3):
                # Where seven attempts at one flight are not enough, the layer above begins anew.
                r = device.connect(ms=20000)
                if r["state"] == 2:
                    break
            assert r["state"] == 2, r
            assert time.monotonic() - start < 40
            got = []
            for _ in range(90):
                got = device.send(b"hello", ms=200)
                if got:
                    break
            assert got and set(got) == {b"hello"}, attempt
        assert line.lost


@pytest.mark.parametrize("own", [True, 5])
def test_leshan_connection_id(leshan, own):
    """Another port, and another life after a sleep: the same session, with no handshake."""
    endpoint = f"connection-id-{own}"
    leshan.request("security-add", endpoint=endpoint, identity=endpoint, key=KEY.hex())
    more = {"cid": own, "save": True}
    location = endpoint.encode()
    request = (
        b"\x41\x02\x00\x01T\xb2rd\x11\x28\x3d"
        + bytes([len(location) + 3 - 13])
        + b"ep="
        + location
    )
    request += b"\x06lt=300\x09lwm2m=1.0\xff</1/0>,</3/0>"
    with Device(leshan.secure_port, endpoint, KEY, **more) as device:
        r = device.connect()
        assert (r["state"], r["suite"]) == (2, CCM)
        assert len(r["peer"]) == 12
        assert len(r["cid"]) == (10 if own == 5 else 0)
        (answer,) = device.send(request)
        assert answer[:5] == b"\x61\x41\x00\x01T"
        leshan.wait("registered", endpoint=endpoint)
        location = answer[answer.index(b"\x82rd") + 3 :]
        update = b"\x41\x02\x00\x02T\xb2rd" + bytes([location[0] & 15]) + location[1:]
        sent = device.call("rebind")["sent"]
        (answer,) = device.send(update)
        assert answer == b"\x61\x44\x00\x02T"
        r = device.call("suspend")
        assert r["sent"] == sent + 1
        session = r["saved"]
    with Device(leshan.secure_port, endpoint, KEY, session=session, **more) as device:
        (answer,) = device.send(update[:3] + b"\x03" + update[4:])
        assert answer == b"\x61\x44\x00\x03T"
        assert device.call("dump")["sent"] == 1


def test_leshan_resumption(leshan):
    endpoint = "resumption"
    leshan.request("security-add", endpoint=endpoint, identity=endpoint, key=KEY.hex())
    with Device(leshan.secure_port, endpoint, KEY, cid=False) as device:
        r = device.connect()
        assert (r["state"], r["peer"]) == (2, "")
        session = device.call("dump")["session"]
    with Device(leshan.secure_port, endpoint, KEY, cid=False, session=session) as device:
        again = device.connect()
        assert (again["state"], again["sid"]) == (2, r["sid"])


# MicroPython's own tls behind the same interface


@needs_openssl
@pytest.mark.parametrize("suite", ["PSK-AES128-GCM-SHA256", "PSK-AES128-CBC-SHA256"])
def test_native_psk(suite):
    with (
        OpenSslServer({IDENTITY.encode(): KEY}, suite) as server,
        Device(server.port, IDENTITY, KEY, backend="native") as device,
    ):
        for _ in range(2):
            assert device.connect()["state"] == 2
            for size in (1, 100, 1024):
                assert device.send(b"x" * size) == [b"x" * size]
            assert device.call("close")["state"] == 0
        assert server.handshakes == 2


def test_native_refusals():
    name = IDENTITY.encode()
    with OpenSslServer({name: b"another"}, "PSK-AES128-GCM-SHA256") as server:
        with Device(server.port, IDENTITY, KEY, backend="native", within=2500) as device:
            r = device.connect()
            assert (r["state"], r["error"]) == (3, -2)
    with (
        OpenSslServer({name: KEY}) as server,
        Device(server.port, IDENTITY, KEY, backend="native") as device,
    ):
        r = device.connect()
        assert (r["state"], r["error"]) == (3, 40)
    with Device(free_port(), IDENTITY, KEY, backend="native", within=1500) as device:
        r = device.connect()
        assert (r["state"], r["error"]) == (3, -1)
    with pytest.raises(ValueError, match="suites"):
        Device(1, IDENTITY, KEY, backend="native", suites=[CCM])


@pytest.fixture(scope="module")
def authority():
    return issue("an authority", ca=True)


@pytest.fixture(scope="module")
def x509_server(need, authority, tmp_path_factory):
    need("openssl")
    folder = tmp_path_factory.mktemp("x509")
    cert, key = as_bytes(issue("lwm2m.example", authority), Encoding.PEM)
    for name, text in (("cert", cert), ("key", key), ("ca", as_bytes(authority, Encoding.PEM)[0])):
        (folder / name).write_bytes(text)
    return folder


@pytest.mark.parametrize("encoding", [Encoding.PEM, Encoding.DER])
def test_x509(authority, x509_server, encoding):
    cert, private = as_bytes(issue(IDENTITY, authority), encoding)
    ca = as_bytes(authority, encoding)[0]
    with ExitStack() as stack:
        server = stack.enter_context(
            s_server_x509(*(x509_server / n for n in ("cert", "key", "ca")))
        )
        more = {"backend": "native", "cert": cert.hex(), "private": private.hex(), "ca": ca.hex()}
        device = stack.enter_context(Device(server.port, None, None, name="lwm2m.example", **more))
        r = device.connect()
        assert (r["state"], r["error"]) == (2, 0)
        assert "ECDHE-ECDSA" in server.expect("CIPHER is")
        assert any(IDENTITY in line for line in server.lines)
        device.send(b"from the device\n", ms=0)
        server.expect("from the device")
        server.write("from the server\n")
        assert device.call("wait", ms=1500)["data"] == [b"from the server\n".hex()]


def test_x509_refusals(authority, x509_server):
    cert, private = (b.hex() for b in as_bytes(issue(IDENTITY, authority), Encoding.DER))
    ca = as_bytes(authority, Encoding.DER)[0].hex()
    other = as_bytes(issue("another authority", ca=True), Encoding.DER)[0].hex()
    mine = {"backend": "native", "cert": cert, "private": private}
    files = [x509_server / n for n in ("cert", "key", "ca")]
    for name, trust in (("lwm2m.example", other), ("another.example", ca)):
        with s_server_x509(*files) as server:
            with Device(server.port, None, None, name=name, ca=trust, **mine) as device:
                r = device.connect()
                assert (r["state"], r["error"]) == (3, 42), name
    # A client without a certificate is refused by the server, by an alert.
    with s_server_x509(*files) as server:
        with Device(
            server.port, None, None, name="lwm2m.example", ca=ca, backend="native"
        ) as device:
            r = device.connect()
            assert r["state"] == 3
            assert r["error"] in (40, 42)
    with pytest.raises(ValueError, match="ca and name"):
        Device(1, None, None, **mine)


@needs_openssl
def test_x509_self_signed(tmp_path):
    """A server certificate that is trusted by itself, as object 0 has it with usage 3."""
    pair = issue("lwm2m.example")
    client = issue(IDENTITY)
    cert, key = as_bytes(pair, Encoding.PEM)
    for name, text in (("cert", cert), ("key", key), ("ca", as_bytes(client, Encoding.PEM)[0])):
        (tmp_path / name).write_bytes(text)
    mine = [b.hex() for b in as_bytes(client, Encoding.DER)]
    with s_server_x509(*(tmp_path / n for n in ("cert", "key", "ca"))) as server:
        more = {"backend": "native", "cert": mine[0], "private": mine[1]}
        ca = as_bytes(pair, Encoding.DER)[0].hex()
        with Device(server.port, None, None, name="lwm2m.example", ca=ca, **more) as device:
            r = device.connect()
            assert (r["state"], r["error"]) == (2, 0)
