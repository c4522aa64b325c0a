# DTLS 1.2 handshake of a client with a pre-shared key: flights, reassembly, key derivation (RFC 5246, RFC 6347)
# SPDX-License-Identifier: MIT
from ..crypto.prf import prf
from ..crypto.provider import sha256
from ..port import struct, ticks_add, ticks_diff
from .numbers import (
    CHANGE_CIPHER_SPEC,
    CLIENT_HELLO,
    CLIENT_KEY_EXCHANGE,
    CONNECTING,
    CONNECTION_ID,
    DECODE_ERROR,
    DECRYPT_ERROR,
    EMPTY_RENEGOTIATION_INFO_SCSV,
    ENCRYPT_THEN_MAC,
    EXTENDED_MASTER_SECRET,
    FAILED,
    FATAL,
    FINISHED,
    HANDSHAKE,
    HAS_ENCRYPT_THEN_MAC,
    HAS_EXTENDED_MASTER_SECRET,
    HELLO_VERIFY_REQUEST,
    ILLEGAL_PARAMETER,
    OPEN,
    PROTOCOL_VERSION,
    PSK_AES_128_CBC_SHA256,
    RENEGOTIATION_INFO,
    SERVER_HELLO,
    SERVER_HELLO_DONE,
    SERVER_KEY_EXCHANGE,
    SILENT,
    SILENT_TO_FINISHED,
    UNEXPECTED_MESSAGE,
    UNSUPPORTED_EXTENSION,
)

_LONGEST = const(512)  # bytes of a message of the server's
_AHEAD = const(4)  # messages that may come before their turn
_TRIES = const(4)  # as MAX_RETRANSMIT of CoAP
_LONGEST_WAIT = const(60000)  # ms
_MOST_COOKIES = const(3)

# A message's header: type, length, number of the message, the fragment's offset and length (RFC 6347 4.2.2).
_HEADER = const(12)
# In ServerHello behind it: the version, 32 random bytes, then the session id with its length.
_SERVER_RANDOM = const(14)
_SESSION_ID = const(46)
_LONGEST_SESSION_ID = const(32)


def vector(data):
    """Bytes with their length before them, in one byte."""
    return bytes((len(data),)) + data


def uint16(number):
    return number.to_bytes(2, "big")


class Incoming:
    """A message of the server's, put together from its parts: `there` has a bit for each byte of its body."""

    there = 0

    def __init__(self, kind, length):
        self.kind = kind
        self.data = bytearray(_HEADER + length)
        self.whole = (1 << length) - 1


class Flight:
    """What is sent in one datagram: records of epoch 0, as (type, content), and Finished or None."""

    def __init__(self, records, finished=None):
        self.records = records
        self.finished = finished


class Handshake:
    """One handshake of a connection; it ends by setting the connection's state."""

    def __init__(self, connection):
        self.connection = connection
        self.record_number = 0  # of records in epoch 0
        self.number = 0  # of our next message
        self.next = 0  # number of the server's next message
        self.incoming = {}  # by their numbers
        self.session_id = b""
        self.resumed = False
        # A digest ends a hash, and two are needed: of all before the first Finished, and with it.
        self.hash = sha256()
        self.hash_with_finished = sha256()
        self.steps = self.run()

    def start(self, now):
        """Send the first flight."""
        self.begin(next(self.steps), now)

    # the messages, in their order

    def run(self):
        """Gets the server's messages, (type, message); yields a Flight to send, or None to hear more.
        ValueError with an alert's number, or IndexError, refuses one."""
        connection = self.connection
        self.random = connection.random(32)
        cookie = b""
        while True:
            hello = self.client_hello(cookie)
            kind, data = yield Flight(((HANDSHAKE, hello),))
            if kind != HELLO_VERIFY_REQUEST or self.number > _MOST_COOKIES:
                break
            cookie = data[_HEADER + 3 : _HEADER + 3 + data[_HEADER + 2]]
        expect(kind, SERVER_HELLO)
        self.note(hello)
        self.note(data)
        self.server_hello(data)
        if self.resumed:
            digest = self.hash.digest()
            flight = None
        else:
            kind, data = yield
            if kind == SERVER_KEY_EXCHANGE:  # an identity hint
                self.note(data)
                kind, data = yield
            expect(kind, SERVER_HELLO_DONE)
            if len(data) > _HEADER:
                raise ValueError(UNEXPECTED_MESSAGE)
            self.note(data)
            identity = connection.identity
            key_exchange = self.message(CLIENT_KEY_EXCHANGE, uint16(len(identity)) + identity)
            self.note(key_exchange)
            digest = self.hash.digest()
            connection.session_id = self.session_id
            connection.master = self.master_secret(digest)
        self.derive_keys()
        if not self.resumed:
            finished = self.finished(digest)
            self.hash_with_finished.update(finished)
            digest = self.hash_with_finished.digest()
            flight = Flight(((HANDSHAKE, key_exchange), (CHANGE_CIPHER_SPEC, b"\1")), finished)
        kind, data = yield flight
        expect(kind, FINISHED)
        self.check_finished(digest, data)
        connection.state = OPEN
        if self.resumed:
            self.hash_with_finished.update(data)
            digest = self.hash_with_finished.digest()
            yield Flight(((CHANGE_CIPHER_SPEC, b"\1"),), self.finished(digest))
        # After a resumption the last flight may have to be sent again.
        connection.release()
        yield

    def note(self, data):
        """Put a message, of either side, into the hashes."""
        self.hash.update(data)
        self.hash_with_finished.update(data)

    def message(self, kind, body):
        """A handshake message of ours, in one fragment."""
        length = len(body).to_bytes(3, "big")
        header = bytes((kind,)) + length + uint16(self.number) + b"\0\0\0" + length
        self.number += 1
        return header + body

    def client_hello(self, cookie):
        connection = self.connection
        if not self.number:
            offered = connection.offered_cid
            self.own_cid = b"" if offered is True else connection.random(offered)
        extensions = uint16(EXTENDED_MASTER_SECRET) + uint16(0)
        if connection.offered_cid is not False:
            extensions += uint16(CONNECTION_ID) + uint16(len(self.own_cid) + 1)
            extensions += vector(self.own_cid)
        suites = b""
        for suite in connection.suites:
            suites += uint16(suite)
            if suite == PSK_AES_128_CBC_SHA256:
                extensions += uint16(ENCRYPT_THEN_MAC) + uint16(0)
        suites += uint16(EMPTY_RENEGOTIATION_INFO_SCSV)
        return self.message(
            CLIENT_HELLO,
            b"\xfe\xfd"
            + self.random
            + vector(connection.session_id)
            + vector(cookie)
            + uint16(len(suites))
            + suites
            + b"\1\0"  # no compression
            + uint16(len(extensions))
            + extensions,
        )

    def server_hello(self, data):
        """Take what the server chose."""
        connection = self.connection
        if data[12] != 254 or data[13] != 253:
            raise ValueError(PROTOCOL_VERSION)
        self.server_random = bytes(data[_SERVER_RANDOM:_SESSION_ID])
        at = _SESSION_ID + 1 + data[_SESSION_ID]
        self.session_id = bytes(data[_SESSION_ID + 1 : at])
        self.suite = suite = data[at] << 8 | data[at + 1]
        compression = data[at + 2]
        if (
            suite not in connection.suites
            or compression
            or len(self.session_id) > _LONGEST_SESSION_ID
        ):
            raise ValueError(ILLEGAL_PARAMETER)
        agreed = self.server_extensions(data, at + 3)
        self.resumed = bool(self.session_id) and self.session_id == connection.session_id
        # Neither may change in a resumption (RFC 5246 7.4.1.3, RFC 7627 5.3).
        if self.resumed and (
            suite != connection.suite
            or (agreed ^ connection.extensions) & HAS_EXTENDED_MASTER_SECRET
        ):
            raise ValueError(ILLEGAL_PARAMETER)
        self.agreed = agreed

    def server_extensions(self, data, at):
        """Take ServerHello's extensions; the bits of those that were agreed on."""
        offered_cid = self.connection.offered_cid is not False
        agreed = 0
        self.peer_cid = None
        if at < len(data):
            at += 2
        while at < len(data):
            extension = data[at] << 8 | data[at + 1]
            body = at + 4
            at = body + (data[at + 2] << 8 | data[at + 3])
            if extension == EXTENDED_MASTER_SECRET:
                agreed |= HAS_EXTENDED_MASTER_SECRET
            elif extension == CONNECTION_ID and offered_cid and data[body] == at - body - 1:
                self.peer_cid = bytes(data[body + 1 : at])
            elif extension == ENCRYPT_THEN_MAC and self.suite == PSK_AES_128_CBC_SHA256:
                agreed |= HAS_ENCRYPT_THEN_MAC
            elif extension != RENEGOTIATION_INFO or data[body]:
                raise ValueError(UNSUPPORTED_EXTENSION)
        if at != len(data):
            raise ValueError(DECODE_ERROR)
        if self.peer_cid is None:
            self.own_cid = self.peer_cid = b""
        return agreed

    # the secrets (RFC 5246 8.1, 6.3; RFC 4279 2; RFC 7627 4)

    def master_secret(self, digest):
        key = self.connection.key
        length = uint16(len(key))
        premaster = length + bytes(len(key)) + length + key
        if self.agreed & HAS_EXTENDED_MASTER_SECRET:
            return prf(premaster, b"extended master secret" + digest, 48)
        return prf(premaster, b"master secret" + self.random + self.server_random, 48)

    def derive_keys(self):
        connection = self.connection
        connection.extensions = self.agreed
        seed = b"key expansion" + self.server_random + self.random
        length = 96 if self.suite == PSK_AES_128_CBC_SHA256 else 40
        connection.use_keys(
            self.suite, prf(connection.master, seed, length), self.own_cid, self.peer_cid
        )

    def finished(self, digest):
        return self.message(FINISHED, prf(self.connection.master, b"client finished" + digest, 12))

    def check_finished(self, digest, data):
        expected = prf(self.connection.master, b"server finished" + digest, 12)
        # An XOR of the whole, so that the time tells nothing of the place of a difference.
        if int.from_bytes(expected, "big") ^ int.from_bytes(data[_HEADER:], "big"):
            raise ValueError(DECRYPT_ERROR)

    # flights, and what comes in

    def begin(self, flight, now):
        """Send a flight, and again until there is an answer (RFC 6347 4.2.4)."""
        self.flight = flight
        self.tries = 0
        self.span = self.connection.timeout
        self.flush(now)

    def flush(self, now):
        """Send the flight, in one datagram."""
        connection = self.connection
        self.due = ticks_add(now, self.span)
        datagram = b""
        for record_type, content in self.flight.records:
            datagram += (
                bytes((record_type, 254, 253, 0, 0))
                + self.record_number.to_bytes(6, "big")
                + uint16(len(content))
                + content
            )
            self.record_number += 1
        start = len(datagram)
        finished = self.flight.finished
        if finished:
            room = connection.header_room
            start += room
            buffer = bytearray(datagram + bytes(room) + finished + bytes(connection.TAIL))
            connection.send_record(HANDSHAKE, buffer, start, start + len(finished), 0)
        else:
            connection.transmit(datagram, 0, start)

    def poll(self, now):
        """Send again what was not answered; ms until the next time, or -1."""
        left = ticks_diff(self.due, now)
        if left <= 0:
            self.tries += 1
            left = self.span = min(self.span * 2, _LONGEST_WAIT)
            if self.tries > _TRIES:
                answered = self.connection.sealer
                self.connection.fail(FAILED, SILENT_TO_FINISHED if answered else SILENT)
                return -1
            self.flush(now)
        return left

    def feed(self, content, epoch, now):
        """Take the messages, or parts of them, in a record; in their order they go on to `run`."""
        while len(content) >= _HEADER:
            end = self.take_fragment(content, epoch)
            if not end:
                return
            content = content[end:]
        while self.connection.state == CONNECTING:
            message = self.incoming.get(self.next)
            if not message or message.there != message.whole:
                return
            del self.incoming[self.next]
            self.next += 1
            try:
                flight = self.steps.send((message.kind, message.data))
            except (ValueError, IndexError) as error:
                alert = error.args[0] if isinstance(error.args[0], int) else DECODE_ERROR
                self.connection.send_alert(FATAL, alert)
                return self.connection.fail(FAILED, alert)
            if flight:
                self.begin(flight, now)

    def take_fragment(self, content, epoch):
        """Put the fragment that `content` begins with where it belongs; its end, or 0 where it is malformed."""
        kind = content[0]
        length = int.from_bytes(content[1:4], "big")
        number = int.from_bytes(content[4:6], "big")
        offset = int.from_bytes(content[6:9], "big")
        size = int.from_bytes(content[9:12], "big")
        end = _HEADER + size
        if end > len(content) or offset + size > length or length > _LONGEST:
            return 0
        # Finished is the one message that must be protected.
        protected = epoch == 1
        if self.next <= number < self.next + _AHEAD and kind and (kind == FINISHED) == protected:
            message = self.incoming.get(number)
            if not message or message.kind != kind or len(message.data) != _HEADER + length:
                message = self.incoming[number] = Incoming(kind, length)
                # the header of the whole, as one fragment
                struct.pack_into("6s", message.data, 0, content)
                struct.pack_into("3s", message.data, 9, content[1:4])
            struct.pack_into("%ds" % size, message.data, _HEADER + offset, content[_HEADER:end])
            message.there |= (1 << size) - 1 << offset
        return end


def expect(kind, expected):
    if kind != expected:
        raise ValueError(UNEXPECTED_MESSAGE)
