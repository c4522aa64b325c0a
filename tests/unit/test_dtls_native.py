# Secure channels by MicroPython's own tls, against its own server in memory: pre-shared keys, certificates, refusals
# SPDX-License-Identifier: MIT
import io
from binascii import a2b_base64

import dtls_server
from dtls_server import KEY, Wire
from link import *

try:
    import tls
    from lwm2m.dtls.native import Native

    tls.PROTOCOL_DTLS_SERVER
except (ImportError, AttributeError):
    raise Skip("no tls with DTLS here")

VERIFY_ASKED = (
    -0x6A80
)  # MBEDTLS_ERR_SSL_HELLO_VERIFY_REQUIRED: the server goes on with the next ClientHello
GCM, CBC = 0xA8, 0xAE

# P-256, from 2000 to 2099: an authority, what it has issued for "server" and "client", and the server's own for itself
AUTHORITY = (
    "MIIBKjCB0qADAgECAgFCMAoGCCqGSM49BAMCMBQxEjAQBgNVBAMMCWF1dGhvcml0eTAgFw0wMDAxMDEwMDAwMDBa"
    "GA8yMDk5MTIzMTAwMDAwMFowFDESMBAGA1UEAwwJYXV0aG9yaXR5MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE"
    "yx/RimqSTQMBqFXf6VoIn0AzNoqfU2tnJqDE386k0JKBLB/Z3n8N+gQME6xzJq+c1J1heZAIY6c4/+J7lwqG/qMT"
    "MBEwDwYDVR0TAQH/BAUwAwEB/zAKBggqhkjOPQQDAgNHADBEAiAMHhdfxDs4aBoKd8PL3araq0FtFmfsBfNqR3w9"
    "u1cVEAIgDkfea2qI0xhlDwro6WEUnmdvnv8OxQpOrI81LjzLnzM="
)
SERVER = (
    "MIIBODCB36ADAgECAgEtMAoGCCqGSM49BAMCMBQxEjAQBgNVBAMMCWF1dGhvcml0eTAgFw0wMDAxMDEwMDAwMDBa"
    "GA8yMDk5MTIzMTAwMDAwMFowETEPMA0GA1UEAwwGc2VydmVyMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEzcgN"
    "EmJhiRu+MWwnvcX4hAsKwiZo1hmOxViGMYsoB7xpZ6UbhUmxZ5yc8kpSI773LtD4giNM7KctihahRS6JFKMjMCEw"
    "DAYDVR0TAQH/BAIwADARBgNVHREECjAIggZzZXJ2ZXIwCgYIKoZIzj0EAwIDSAAwRQIhAMnUrZOzLjN+69rC/fgA"
    "8ROTBpaE6+BLeaXQLjd/t/4uAiAgXNWeTwqgkwi6pxtEhdvkUa8mKKQTafwavlWpurN7Yw=="
)
CLIENT = (
    "MIIBODCB36ADAgECAgEtMAoGCCqGSM49BAMCMBQxEjAQBgNVBAMMCWF1dGhvcml0eTAgFw0wMDAxMDEwMDAwMDBa"
    "GA8yMDk5MTIzMTAwMDAwMFowETEPMA0GA1UEAwwGY2xpZW50MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAETBQB"
    "Lhr7bxru+ZgGPepzAbBAgMu2ck6YIGyo+mhWX+5zTtUpa5znQZ9c3HcUA8ugvfWVkGw6kvli685A9dAAGaMjMCEw"
    "DAYDVR0TAQH/BAIwADARBgNVHREECjAIggZjbGllbnQwCgYIKoZIzj0EAwIDSAAwRQIgVTFsZQPfxzt6T+AbQbic"
    "XRvNIC4x/63ttkbH//l4sdYCIQDQAF7/vXFT98KHCwFufc7+LzIGbHDiBQ9D6uO5yfWcjQ=="
)
ALONE = (
    "MIIBNDCB3KADAgECAgEtMAoGCCqGSM49BAMCMBExDzANBgNVBAMMBnNlcnZlcjAgFw0wMDAxMDEwMDAwMDBaGA8y"
    "MDk5MTIzMTAwMDAwMFowETEPMA0GA1UEAwwGc2VydmVyMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEzcgNEmJh"
    "iRu+MWwnvcX4hAsKwiZo1hmOxViGMYsoB7xpZ6UbhUmxZ5yc8kpSI773LtD4giNM7KctihahRS6JFKMjMCEwDAYD"
    "VR0TAQH/BAIwADARBgNVHREECjAIggZzZXJ2ZXIwCgYIKoZIzj0EAwIDRwAwRAIgZ0I4qVPxW8gr8w3JCSLOnj8r"
    "VmENssGRmRJ8FC0r/YwCIFZgTzbZCfMdQmAonaT/OA0MhReU1YsVTJW2f9aMIwTy"
)
SERVER_KEY = (
    "MHcCAQEEIELw/pACXjpNFhs+Kqo+UL1XtpjgxoQV7ceCb5B6cA/loAoGCCqGSM49AwEHoUQDQgAEzcgNEmJhiRu+"
    "MWwnvcX4hAsKwiZo1hmOxViGMYsoB7xpZ6UbhUmxZ5yc8kpSI773LtD4giNM7KctihahRS6JFA=="
)
CLIENT_KEY = (
    "MHcCAQEEIEEW+Pae4lajOwtcOef/BXDJ7g5RUmptBblLekBfpLEuoAoGCCqGSM49AwEHoUQDQgAETBQBLhr7bxru"
    "+ZgGPepzAbBAgMu2ck6YIGyo+mhWX+5zTtUpa5znQZ9c3HcUA8ugvfWVkGw6kvli685A9dAAGQ=="
)


class Bio(io.IOBase):
    """Datagrams for the server's tls, and from it."""

    def __init__(self):
        self.arrived = []
        self.sent = []

    def readinto(self, b):
        if not self.arrived:
            return None
        d = self.arrived.pop(0)
        b[: len(d)] = d
        return len(d)

    def write(self, b):
        self.sent.append(bytes(b))
        return len(b)

    def ioctl(self, request, arg):
        return 0


class Server:
    """The other end: datagrams go in, a list of datagrams comes out, `got` are the plaintexts."""

    def __init__(self, keys=None, chain=None, trusted=None, suites=None):
        self.context = c = tls.SSLContext(tls.PROTOCOL_DTLS_SERVER)
        if keys:
            try:
                c.server_psk_keys = keys
            except AttributeError:
                raise Skip("this tls knows no pre-shared keys")
        if chain:
            c.load_cert_chain(*chain)
        if trusted:
            c.load_verify_locations(trusted)
            c.verify_mode = tls.CERT_REQUIRED
        if suites:
            c.set_ciphers(suites)
        self.bio = Bio()
        self.got = []
        self.error = None
        self.begin()

    def begin(self):
        self.side = self.context.wrap_socket(
            self.bio, server_side=True, do_handshake_on_connect=False, client_id=b"client"
        )

    def receive(self, d):
        self.bio.arrived.append(d)
        try:
            data = self.side.recv(2000)
            if data:
                self.got.append(data)
        except OSError as e:
            if e.args[0] == VERIFY_ASKED:
                self.begin()
            else:
                self.error = e.args[0]
        sent = self.bio.sent
        self.bio.sent = []
        return sent

    def sealed(self, data):
        self.side.write(data)
        return self.bio.sent.pop()


def talk(c, wire, server, now=0):
    """Carry datagrams until all is quiet; the plaintexts of the client."""
    out = []
    for _ in range(30):
        sent = wire.take()
        if not sent:
            break
        for d in sent:
            for answer in server.receive(d):
                data = c.feed(answer, now)
                if data is not None:
                    out.append(data)
    return out


def connected(server, **more):
    wire = Wire()
    c = Native(wire, **more)
    assert c.state == 0
    c.connect(0)
    talk(c, wire, server)
    return c, wire


def exchange(c, wire, server):
    assert (c.state, c.error) == (2, 0), (c.state, c.error)
    assert c.poll(0) == -1
    for data in (b"x", b"some data", bytes(range(256)) * 3):
        c.send(b"..." + data + b"...", 3, 3 + len(data))
        for d in wire.take():
            server.receive(d)
        assert server.got.pop() == data
        assert c.feed(server.sealed(data), 0) == data
    assert c.feed(None, 0) is None


def psk(**more):
    return Server(keys={b"device": KEY}, **more)


def der(text):
    return a2b_base64(text)


def pem(text, kind):
    return "-----BEGIN %s-----\n%s\n-----END %s-----\n" % (
        kind,
        "\n".join([text[k : k + 64] for k in range(0, len(text), 64)]),
        kind,
    )


def test_pre_shared_key():
    for suites in (None, (GCM,), (CBC,), (0x1301, CBC)):
        server = psk()
        c, wire = connected(server, identity="device", key=KEY, suites=suites)
        exchange(c, wire, server)
        # one at a time, and the one that was open ends
        server = psk()
        c.connect(0)
        assert c.state == 1
        talk(c, wire, server)
        exchange(c, wire, server)
        c.close()
        assert c.state == 0 and c.poll(0) == -1
        assert raises(OSError, c.send, b"x", 0, 1)
        c.close()
    # there is nothing to keep
    assert c.dump() == c.keep() == b"" and c.restore(b"x") is False and c.sid == b""


def test_suites_of_the_server():
    server = psk(suites=["TLS-PSK-WITH-AES-128-CBC-SHA256"])
    c, wire = connected(server, identity="device", key=KEY, suites=(GCM, CBC))
    exchange(c, wire, server)
    server = psk(suites=["TLS-PSK-WITH-AES-128-CBC-SHA256"])
    c, wire = connected(server, identity="device", key=KEY, suites=(GCM,))
    assert c.state == 3 and c.error == 40, c.error
    for suites in ((0x1301,), (0xC02B,)):
        assert raises(ValueError, Native, Wire(), "device", KEY, suites=suites)


def test_who_is_not_known():
    server = psk()
    c, wire = connected(server, identity="somebody", key=KEY)
    assert (c.state, c.error) == (3, 115)
    assert raises(OSError, c.send, b"x", 0, 1)
    assert c.feed(b"late", 0) is None and c.poll(0) == -1


def test_wrong_key():
    server = psk()
    c, wire = connected(server, identity="device", key=b"another key", within=5000)
    if c.state == 1:
        assert c.poll(4000) == 250
        assert c.poll(5000) == -1
    # the server refuses what it can't open, or is silent to it
    assert c.state == 3 and c.error in (-2, 20, 40, 51), c.error


def test_silence():
    wire = Wire()
    c = Native(wire, identity="device", key=KEY, within=5000)
    now = (1 << 30) - 2000  # the ticks wrap around
    c.connect(now)
    assert wire.take() and c.state == 1
    assert c.poll(now) == 250 and c.poll(now + 1999) == 250
    assert c.poll((now + 4999) & 0x3FFFFFFF) == 250 and c.state == 1
    assert c.poll((now + 5000) & 0x3FFFFFFF) == -1
    assert (c.state, c.error) == (3, -1)
    # it answered, but not to the end
    server = psk()
    wire = Wire()
    c = Native(wire, identity="device", key=KEY, within=5000)
    c.connect(0)
    for _ in range(2):
        (d,) = wire.take()
        for answer in server.receive(d):
            c.feed(answer, 0)
    assert c.state == 1
    assert c.poll(6000) == -1 and (c.state, c.error) == (3, -2)
    # and it may be tried again
    wire.take()
    c.connect(6000)
    talk(c, wire, psk())
    assert (c.state, c.error) == (2, 0)


def test_the_end():
    # a server that is not tls, as that has no close_notify to send
    for alert, state in ((b"\1\0", 0), (b"\2\x14", 3), (b"\1\x5a", 2)):
        server = dtls_server.Server(suites=(CBC,))
        wire = Wire()
        c = Native(wire, identity="device", key=KEY, suites=(CBC,))
        c.connect(0)
        for _ in range(6):
            for d in wire.take():
                for answer in server.receive(d):
                    c.feed(answer, 0)
        assert c.state == 2 and server.open
        assert c.feed(server.sealed(23, b"data"), 0) == b"data"
        assert c.feed(server.sealed(21, alert), 0) is None
        assert c.state == state and c.poll(0) == -1, alert
        assert raises(OSError, c.send, b"x", 0, 1) == (state != 2)
        assert (c.feed(server.sealed(23, b"late"), 0) is None) == (state != 2)


def test_junk():
    server = psk()
    c, wire = connected(server, identity="device", key=KEY)
    for d in (
        b"",
        b"x",
        bytes(13),
        bytes(100),
        b"\x17\xfe\xfd\0\1\0\0\0\0\0\5\0\4xxxx",
        b"\x15\xfe\xfd\0\0\0\0\0\0\0\5\0\2\2\x28",
    ):
        assert c.feed(d, 0) is None
    assert c.state == 2
    exchange(c, wire, server)
    # while it connects, too
    wire = Wire()
    c = Native(wire, identity="device", key=KEY)
    c.connect(0)
    for d in (b"", b"x", bytes(12), bytes(13), bytes(14)):
        c.feed(d, 0)
    server = psk()
    talk(c, wire, server)
    exchange(c, wire, server)


def test_certificates():
    for form in (lambda text, kind: der(text), pem, lambda text, kind: pem(text, kind).encode()):
        for trust in ((AUTHORITY, SERVER), (ALONE, ALONE)):
            server = Server(chain=(der(trust[1]), der(SERVER_KEY)), trusted=der(AUTHORITY))
            c, wire = connected(
                server,
                cert=form(CLIENT, "CERTIFICATE"),
                private=form(CLIENT_KEY, "EC PRIVATE KEY"),
                ca=form(trust[0], "CERTIFICATE"),
                name="server",
            )
            exchange(c, wire, server)
    # text may stand before the certificate, the first of several counts
    server = Server(chain=(der(SERVER), der(SERVER_KEY)))
    several = "hello\n" + pem(AUTHORITY, "CERTIFICATE") + pem(ALONE, "CERTIFICATE")
    c, wire = connected(server, ca=several, name="server")
    exchange(c, wire, server)
    for suites in ((0xC02B,), (0xC023, GCM)):
        server = Server(chain=(der(SERVER), der(SERVER_KEY)))
        c, wire = connected(server, ca=der(AUTHORITY), name="server", suites=suites)
        exchange(c, wire, server)


def test_certificates_that_are_refused():
    for chain, ca, name in (
        (SERVER, AUTHORITY, "another"),
        (SERVER, ALONE, "server"),
        (ALONE, AUTHORITY, "server"),
    ):
        server = Server(chain=(der(chain), der(SERVER_KEY)))
        c, wire = connected(server, ca=der(ca), name=name)
        assert (c.state, c.error) == (3, 42), (c.state, c.error)
    # the server asks for one of the client's
    server = Server(chain=(der(SERVER), der(SERVER_KEY)), trusted=der(AUTHORITY))
    c, wire = connected(server, ca=der(AUTHORITY), name="server")
    assert c.state == 3 or server.error
    for more in (
        {"ca": der(AUTHORITY)},
        {"name": "server"},
        {},
        {"ca": b"no certificate", "name": "server"},
        {"ca": "-----BEGIN ", "name": "server"},
        {"ca": "-----BEGIN CERTIFICATE-----\n", "name": "server"},
        {"ca": "-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----", "name": "server"},
        {"ca": der(AUTHORITY), "name": "server", "cert": b"x", "private": b"y"},
        {"ca": der(AUTHORITY), "name": "server", "suites": (GCM,)},
    ):
        assert raises(ValueError, Native, Wire(), **more), more


class NativePeer(Peer):
    """A server of a Link behind the platform's tls."""

    def __init__(self, link, host, port, side):
        super().__init__(link, host, port)
        self.side = side

    def hear(self, d):
        for answer in self.side.receive(d):
            self.link.carry(self, answer, True)
        while self.side.got:
            super().hear(self.side.got.pop(0))

    def raw(self, d):
        self.link.carry(self, self.side.sealed(d), True)


def registered(side, values, **options):
    """A link whose server is behind tls; `values` go into the security instance."""
    x = Link(uri="coaps://server", start=False, key=KEY, **options)
    for host in ("server", "10.0.0.1"):
        x.peers[host] = NativePeer(x, host, 5684, side)
    x.server = x.peers["server"]
    for rid, v in values:
        store(x.client, "/0/0/%d" % rid, v)
    x.client.start()
    x.run(5)
    return x


def test_a_registration_with_a_certificate():
    for host, events in (
        ("server", ["CONNECT", "SECURE", "REGISTRATION", "REGISTRATION_COMPLETE"]),
        # the certificate is another's
        ("10.0.0.1", ["CONNECT", "SECURE_FAILURE", "REGISTRATION_FAILURE"]),
    ):
        side = Server(chain=(der(SERVER), der(SERVER_KEY)), trusted=der(AUTHORITY))
        x = registered(
            side,
            (
                (0, b"coaps://" + host.encode()),
                (2, 2),
                (3, der(CLIENT)),
                (4, der(AUTHORITY)),
                (5, der(CLIENT_KEY)),
            ),
        )
        assert x.names() == events
        if host == "server":
            assert x.server.get("/3/0/0", TEXT).payload == b"MicroPython"
            x.client.stop()
            x.until("DISCONNECT")


def test_a_registration_with_a_suite_of_the_platforms():
    x = registered(psk(), ((3, b"device"), (5, KEY), (16, {0: GCM})))
    assert x.client.stat() == 2, x.names()
    assert x.server.get("/3/0/0", TEXT).payload == b"MicroPython"
