# Secure channels by MicroPython's own tls (mbedTLS): certificates, and pre-shared keys with GCM or CBC
# SPDX-License-Identifier: MIT
import io
import tls
from binascii import a2b_base64
from ..port import ticks_add, ticks_diff

# MicroPython knows suites by name only.
_SUITES = (
    (0xA8, "TLS-PSK-WITH-AES-128-GCM-SHA256"),
    (0xAE, "TLS-PSK-WITH-AES-128-CBC-SHA256"),
    (0xC02B, "TLS-ECDHE-ECDSA-WITH-AES-128-GCM-SHA256"),
    (0xC02C, "TLS-ECDHE-ECDSA-WITH-AES-256-GCM-SHA384"),
    (0xC023, "TLS-ECDHE-ECDSA-WITH-AES-128-CBC-SHA256"),
    (0xC02F, "TLS-ECDHE-RSA-WITH-AES-128-GCM-SHA256"),
    (0xC030, "TLS-ECDHE-RSA-WITH-AES-256-GCM-SHA384"),
    (0xC027, "TLS-ECDHE-RSA-WITH-AES-128-CBC-SHA256"),
)


def der(b):
    """The DER bytes of a certificate or key that is DER or PEM; of several in PEM the first."""
    if isinstance(b, str):
        b = b.encode()
    i = b.find(b"-----BEGIN ")
    if i < 0:
        return b
    i = b.find(b"-----", i + 11) + 5
    j = b.find(b"-----END ", i)
    if i < 5 or j < 0:
        raise ValueError("PEM")
    return a2b_base64(b[i:j])


class Bio(io.IOBase):
    """What tls takes for a socket: one datagram in, datagrams out."""

    def __init__(self, lower):
        self.lower = lower
        self.data = None

    def readinto(self, b):
        d = self.data
        if d is None:
            return None
        self.data = None
        n = min(len(d), len(b))
        b[:n] = d[:n]
        return n

    def write(self, b):
        self.lower.send(b, 0, len(b))
        return len(b)

    def ioctl(self, request, arg):
        return 0


class Native:
    """A DTLS client by `tls`, with the interface of `record.Secure`; no Connection ID, nothing outlives a sleep.

    With a pre-shared key (MicroPython 1.29): identity, key. With certificates (1.26), all DER or PEM:
    cert and private: the client's own; ca: the certificate that the server's must be, if it is self-signed,
    or be issued by; name: the server's name, checked against its certificate.
    suites: cipher suite numbers; all that `tls` has by default. within: ms that a handshake may take.
    Raises ValueError where key or certificate is of no use, OSError where this `tls` has no such mode.
    """

    HEAD = TAIL = 0
    more = None
    sid = b""

    def __init__(
        self,
        lower,
        identity=None,
        key=None,
        cert=None,
        private=None,
        ca=None,
        name=None,
        suites=None,
        within=60000,
    ):
        self.lower = lower
        self.name = name
        self.within = within
        self.state = self.error = 0
        self.s = self.bio = None
        if not hasattr(tls, "PROTOCOL_DTLS_CLIENT"):
            raise OSError(95)  # EOPNOTSUPP
        self.c = c = tls.SSLContext(tls.PROTOCOL_DTLS_CLIENT)
        if key is not None:
            try:
                c.psk_identity = identity
                c.psk_key = key
            except AttributeError:
                raise OSError(95)
            c.verify_mode = tls.CERT_NONE
            kind = "-PSK-"
        else:
            if not ca or not name:
                raise ValueError("ca and name")
            c.verify_mode = tls.CERT_REQUIRED
            c.load_verify_locations(der(ca))
            if cert:
                c.load_cert_chain(der(cert), der(private))
            kind = "-ECDHE-"
        if suites:
            kind = [n for i, n in _SUITES if i in suites and kind in n]
            if not kind:
                raise ValueError("suites")
        else:
            kind = [n for n in c.get_ciphers() if kind in n]
        c.set_ciphers(kind)

    def connect(self, now):
        """Start a handshake; a session that is open ends."""
        self.close()
        self.state = 1
        self.error = 0
        self.end = ticks_add(now, self.within)
        self.seen = 0
        self.bio = Bio(self.lower)
        self.s = self.c.wrap_socket(
            self.bio, do_handshake_on_connect=False, server_hostname=self.name
        )
        self.read(0)

    def read(self, n):
        # Lets tls work on the datagram, or its timers; the plaintext where there is some.
        try:
            return self.s.recv(n or 1)
        except (OSError, ValueError) as e:
            e = e.args[0]
            if not self.error:
                # A text tells what is wrong with the certificate; -0x2700 is that without the text.
                self.error = (
                    42
                    if isinstance(e, str) or e == -0x2700
                    else self.silent()
                    if e == -0x6800
                    else 40
                )
            self.state = 3
            self.s = None

    def silent(self):
        # As record.Secure has it: -2 where the server answered, but not to the end.
        return -2 if self.seen else -1

    def feed(self, data, now):
        """The application's plaintext in a datagram, or None."""
        if self.s is None or not data:
            return
        self.bio.data = data
        self.seen |= 4
        i = 0
        while self.state == 1 and i + 13 < len(data):
            if data[i + 4]:
                self.seen |= 1
            elif data[i] == 20:
                self.seen |= 2
            elif data[i] == 21:
                self.error = data[-1] if data[i + 13] == 2 else 0
            i += 13 + (data[i + 11] << 8 | data[i + 12])
        p = self.read(len(data))
        if p == b"":
            # close_notify
            self.state = 0
            self.s = None
        elif self.state == 1:
            # Both parts of the server's last flight, and no complaint.
            if p or self.seen == 7:
                self.state = 2
                self.error = 0
        return p or None

    def send(self, buf, start, end):
        """Send buf[start:end]; OSError where the channel is not open."""
        if self.state != 2:
            raise OSError(107)  # ENOTCONN
        self.s.write(memoryview(buf)[start:end])

    def poll(self, now):
        """Do what is due; ms until the next time, or -1."""
        if self.state != 1:
            return -1
        if ticks_diff(self.end, now) <= 0:
            self.state = 3
            self.error = self.silent()
            self.s = None
            return -1
        self.read(0)
        return 250 if self.state == 1 else -1

    def close(self):
        """Let go of the session; tls does not tell the server."""
        if self.s:
            try:
                self.s.close()
            except OSError:
                pass
        self.s = self.bio = None
        self.state = 0

    def dump(self):
        """Nothing: tls keeps its keys to itself."""
        return b""

    keep = dump

    def restore(self, b):
        """False: there is nothing to restore."""
        return False
