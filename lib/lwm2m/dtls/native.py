# Secure channels by MicroPython's own tls (mbedTLS): certificates, and pre-shared keys with GCM or CBC
# SPDX-License-Identifier: MIT
import io
import tls
from binascii import a2b_base64
from ..port import ticks_add, ticks_diff
from .numbers import (
    ALERT,
    BAD_CERTIFICATE,
    CHANGE_CIPHER_SPEC,
    CLOSED,
    CONNECTING,
    FAILED,
    FATAL,
    HANDSHAKE_FAILURE,
    OPEN,
    SILENT,
    SILENT_TO_FINISHED,
)

_ENOTCONN = const(107)
_EOPNOTSUPP = const(95)
_HEADER = const(13)  # bytes of a record's
_TIMERS = const(250)  # ms between two looks at the timers of tls

# mbedTLS's numbers
_X509_VERIFY_FAILED = const(-0x2700)
_TIMEOUT = const(-0x6800)

# what came from the server in a handshake, bits of `seen`
_SEALED = const(1)
_CHANGED = const(2)
_ANYTHING = const(4)

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


def der(data):
    """The DER bytes of a certificate or key that is DER or PEM; of several in PEM the first."""
    if isinstance(data, str):
        data = data.encode()
    begin = data.find(b"-----BEGIN ")
    if begin < 0:
        return data
    begin = data.find(b"-----", begin + 11) + 5
    end = data.find(b"-----END ", begin)
    if begin < 5 or end < 0:
        raise ValueError("PEM")
    return a2b_base64(data[begin:end])


class Datagram(io.IOBase):
    """What tls takes for a socket: one datagram in, datagrams out."""

    def __init__(self, socket):
        self.socket = socket
        self.data = None

    def readinto(self, buffer):
        data = self.data
        if data is None:
            return None
        self.data = None
        length = min(len(data), len(buffer))
        buffer[:length] = data[:length]
        return length

    def write(self, buffer):
        self.unsent = True  # where send() raises
        self.unsent = self.socket.send(buffer, 0, len(buffer)) is False
        return len(buffer)

    def ioctl(self, request, argument):
        return 0


class Native:
    """A DTLS client by `tls`, with the interface of `record.Connection`; no Connection ID, nothing outlives a sleep.

    With a pre-shared key (MicroPython 1.29): identity, key. With certificates (1.26), all DER or PEM:
    cert and private: the client's own; ca: the certificate that the server's must be, if it is self-signed,
    or be issued by; name: the server's name, checked against its certificate.
    suites: cipher suite numbers; all that `tls` has by default. within: ms that a handshake may take.
    Raises ValueError where key or certificate is of no use, OSError where this `tls` has no such mode.
    """

    HEAD = TAIL = 0
    unsent = False  # the last datagram did not get out
    more = None
    session_id = b""

    def __init__(
        self,
        socket,
        identity=None,
        key=None,
        cert=None,
        private=None,
        ca=None,
        name=None,
        suites=None,
        within=60000,
    ):
        self.socket = socket
        self.name = name
        self.within = within
        self.state = CLOSED
        self.error = 0
        self.stream = self.datagram = None
        if not hasattr(tls, "PROTOCOL_DTLS_CLIENT"):
            raise OSError(_EOPNOTSUPP)
        self.context = context = tls.SSLContext(tls.PROTOCOL_DTLS_CLIENT)
        if key is not None:
            try:
                context.psk_identity = identity
                context.psk_key = key
            except AttributeError:
                raise OSError(_EOPNOTSUPP)
            context.verify_mode = tls.CERT_NONE
            kind = "-PSK-"
        else:
            if not ca or not name:
                raise ValueError("ca and name")
            context.verify_mode = tls.CERT_REQUIRED
            context.load_verify_locations(der(ca))
            if cert:
                context.load_cert_chain(der(cert), der(private))
            kind = "-ECDHE-"
        if suites:
            names = [known for number, known in _SUITES if number in suites and kind in known]
            if not names:
                raise ValueError("suites")
        else:
            names = [known for known in context.get_ciphers() if kind in known]
        context.set_ciphers(names)

    def connect(self, now):
        """Start a handshake; a session that is open ends."""
        self.close()
        self.state = CONNECTING
        self.error = 0
        self.end = ticks_add(now, self.within)
        self.seen = 0
        self.datagram = Datagram(self.socket)
        self.stream = self.context.wrap_socket(
            self.datagram, do_handshake_on_connect=False, server_hostname=self.name
        )
        self.read(1)

    def read(self, length):
        """Let tls work on the datagram, or its timers; the plaintext where there is some."""
        try:
            return self.stream.recv(length)
        except (OSError, ValueError) as error:
            if not self.error:
                self.error = self.alert_of(error.args[0])
            self.state = FAILED
            self.stream = None

    def alert_of(self, reason):
        """The number for `error`, from what tls raised."""
        if isinstance(reason, str) or reason == _X509_VERIFY_FAILED:
            # a text tells what is wrong with the certificate
            return BAD_CERTIFICATE
        return self.silence() if reason == _TIMEOUT else HANDSHAKE_FAILURE

    def silence(self):
        return SILENT_TO_FINISHED if self.seen else SILENT

    def feed(self, data, now):
        """The application's plaintext in a datagram, or None."""
        if self.stream is None or not data:
            return None
        self.datagram.data = data
        self.seen |= _ANYTHING
        if self.state == CONNECTING:
            self.look_at(data)
        plaintext = self.read(len(data))
        if plaintext == b"":
            # close_notify
            self.state = CLOSED
            self.stream = None
        elif self.state == CONNECTING:
            # Both parts of the server's last flight, and no complaint.
            if plaintext or self.seen == _ANYTHING | _SEALED | _CHANGED:
                self.state = OPEN
                self.error = 0
        return plaintext or None

    def look_at(self, data):
        """Note what the records of a datagram are: tls tells neither its progress nor the alert's number."""
        at = 0
        while at + _HEADER < len(data):
            if data[at + 4]:
                self.seen |= _SEALED
            elif data[at] == CHANGE_CIPHER_SPEC:
                self.seen |= _CHANGED
            elif data[at] == ALERT:
                self.error = data[-1] if data[at + _HEADER] == FATAL else 0
            at += _HEADER + (data[at + 11] << 8 | data[at + 12])

    def send(self, buffer, start, end):
        """Send buffer[start:end]; OSError where the connection is not open."""
        if self.state != OPEN:
            raise OSError(_ENOTCONN)
        self.stream.write(memoryview(buffer)[start:end])

    def poll(self, now):
        """Do what is due; ms until the next time, or -1."""
        if self.state != CONNECTING:
            return -1
        if ticks_diff(self.end, now) <= 0:
            self.state = FAILED
            self.error = self.silence()
            self.stream = None
            return -1
        self.read(1)
        return _TIMERS if self.state == CONNECTING else -1

    def close(self):
        """Let go of the session; tls does not tell the server."""
        if self.stream:
            try:
                self.stream.close()
            except OSError:
                pass
        self.stream = self.datagram = None
        self.state = CLOSED

    def dump(self):
        """Nothing: tls keeps its keys to itself."""
        return b""

    keep = suspend = dump

    def restore(self, data):
        """False: there is nothing to restore."""
        return False
