# DTLS 1.2 records: the secure connection, Connection ID, replay window, what survives a deep sleep
# SPDX-License-Identifier: MIT
from ..port import struct, sys
from .ccm import Ccm
from .numbers import (
    ALERT,
    APPLICATION_DATA,
    CLOSE_NOTIFY,
    CLOSED,
    CONNECTING,
    FAILED,
    FATAL,
    FINISHED,
    HANDSHAKE,
    HELLO_REQUEST,
    NO_RENEGOTIATION,
    OPEN,
    PSK_AES_128_CBC_SHA256,
    PSK_AES_128_CCM_8,
    TLS12_CID,
    WARNING,
)

SUITES = (PSK_AES_128_CCM_8, PSK_AES_128_CBC_SHA256)

# A record's header (RFC 6347 4.1): type, version, epoch and number in eight bytes, the Connection ID, the length.
_HEADER = const(13)  # bytes without the Connection ID
_VERSION = const(0xFEFD)
_WINDOW = const(64)  # numbers below the highest whose repetitions are known
_WINDOW_MASK = const(0xFFFFFFFFFFFFFFFF)

# A dump: form, extensions, suite, three numbers of eight bytes, then five strings with their length before them.
_FORM = const(2)
_FIRST_NUMBER = const(4)
_FIRST_STRING = const(28)
_CCM_KEYS = const(40)  # bytes of the key block
_CBC_KEYS = const(96)

_ENOTCONN = const(107)


class Connection:
    """A DTLS 1.2 client (RFC 6347) with a pre-shared key, as a channel: a datagram in, a datagram out.

    socket:   what sends the datagrams, by `send(buffer, start, end)`
    identity: PSK identity, text or bytes; key: bytes
    suites:   cipher suites in order of preference
    cid:      Connection ID (RFC 9146): True offers it and asks for none in what is received, a number is
              the length of the own one, False leaves it out
    random:   `random(n)` gives n bytes; the port's `urandom` by default
    session:  what an earlier `dump()` gave
    timeout:  ms before the first retransmission in the handshake; doubles, 4 times
    save:     `save(bytes)` keeps what `dump()` gives. Only with it a Connection ID outlives this object: see suspend()

    `state` is CLOSED, CONNECTING, OPEN or FAILED; `error` the number of the alert that ended it, or SILENT,
    SILENT_TO_FINISHED. A buffer that is sent needs HEAD bytes before and TAIL bytes behind what it holds.
    """

    HEAD = 32
    TAIL = 17
    unsent = False  # the last datagram did not get out

    def __init__(
        self,
        socket,
        identity,
        key,
        suites=SUITES[:1],
        cid=True,
        random=None,
        session=None,
        timeout=2000,
        save=None,
    ):
        if random is None:
            from ..port import urandom as random
        self.socket = socket
        self.identity = identity.encode() if isinstance(identity, str) else identity
        self.key = key
        self.suites = suites
        self.offered_cid = cid
        self.random = random
        self.timeout = timeout
        self.save = save
        self.error = 0
        if PSK_AES_128_CBC_SHA256 in suites:
            from .cbc import Cbc

            # More for HMAC-SHA256, an explicit IV and the padding.
            self.HEAD = 40
            self.TAIL = 50
        self.session_id = self.master = b""
        self.keys_are_saved = False  # and so they may be taken up after a restart
        self.reset(CLOSED)
        if session:
            self.restore(session)

    def reset(self, state):
        """Go to a state without keys, and without what belongs to them."""
        self.state = state
        self.handshake = self.opener = self.sealer = self.more = None
        self.own_cid = self.peer_cid = self.keys = b""
        # `window` has a bit for each of the 64 numbers up to the highest received.
        self.next_number = self.highest = self.window = 0

    def use_keys(self, suite, keys, own_cid, peer_cid):
        """Take a key block; the server puts own_cid into its records, and wants peer_cid in ours."""
        self.suite = suite
        self.keys = keys
        self.own_cid = own_cid
        self.peer_cid = peer_cid
        cipher = Ccm
        if suite == PSK_AES_128_CBC_SHA256:
            from .cbc import Cbc as cipher
        self.sealer = cipher(keys, 0, self.extensions, peer_cid)
        self.header_format = ">BH8s%dsH" % len(peer_cid)
        self.header_room = _HEADER + len(peer_cid) + self.sealer.HEAD
        self.opener = cipher(keys, 1, self.extensions, own_cid)

    def connect(self, now):
        """Start a handshake, by the session where there is one (RFC 5246 7.3); a session that is open ends."""
        from .handshake import Handshake

        self.reset(CONNECTING)
        self.error = 0
        self.handshake = Handshake(self)
        self.handshake.start(now)

    def release(self):
        """Let go of the handshake, and of its module, which is imported anew for the next."""
        self.handshake = None
        name = __name__[:-6]
        if sys.modules.pop(name + "handshake", None):
            del sys.modules[name[:-1]].handshake

    def fail(self, state, error):
        """End the connection; `error` is the alert's number, or negative."""
        if error > 0:
            self.session_id = b""  # RFC 5246 7.2.2
        self.error = error
        self.reset(state)
        self.release()

    # sending

    def send_alert(self, level, number):
        """Send an alert in the epoch that has begun (RFC 5246 7.2)."""
        if self.sealer:
            buffer = bytearray(self.HEAD + self.TAIL + 2)
            buffer[self.HEAD] = level
            buffer[self.HEAD + 1] = number
            self.send_record(ALERT, buffer, self.HEAD, self.HEAD + 2)
        else:
            record = b"\x15\xfe\xfd\0\0\0\0\0\0\xff\xff\0\2" + bytes((level, number))
            self.transmit(record, 0, len(record))

    def send_record(self, record_type, buffer, start, end, first=None):
        """Send buffer[start:end] as one record, in a datagram that begins at `first` if it is given."""
        room = self.header_room
        if room > start:
            # A long Connection ID of the server's needs more room than HEAD promises.
            content = memoryview(buffer)[start:end]
            buffer = bytearray(room + end - start + self.TAIL)
            struct.pack_into("%ds" % (end - start), buffer, room, content)
            end += room - start
            start = room
        if self.keys_are_saved:
            self.keep()
        number = b"\0\1" + self.next_number.to_bytes(6, "big")
        self.next_number += 1
        data = memoryview(buffer)
        if self.peer_cid:
            data[end] = record_type
            end += 1
            record_type = TLS12_CID
        end = self.sealer.seal(record_type, number, data, start, end)
        header = start - room
        length = end - start + self.sealer.HEAD
        struct.pack_into(
            self.header_format, data, header, record_type, _VERSION, number, self.peer_cid, length
        )
        self.transmit(buffer, header if first is None else first, end)

    def transmit(self, buffer, start, end):
        """Send buffer[start:end] as a datagram."""
        self.unsent = True  # where send() raises
        self.unsent = self.socket.send(buffer, start, end) is False

    def send(self, buffer, start, end):
        """Send buffer[start:end], sealed where it lies; OSError where the connection is not open."""
        if self.state != OPEN:
            raise OSError(_ENOTCONN)
        self.send_record(APPLICATION_DATA, buffer, start, end)

    # receiving

    def feed(self, data, now):
        """The application's plaintext in a datagram, or None.

        `more` is set where the datagram holds more records: `feed(None, now)` goes on with them.
        """
        if data is None:
            data = self.more
        self.more = None
        while data and len(data) >= _HEADER:
            length_at = _HEADER - 2
            if data[0] == TLS12_CID:
                length_at += len(self.own_cid)
            body = length_at + 2
            if len(data) < body:
                break
            end = body + (data[length_at] << 8 | data[length_at + 1])
            if len(data) < end:
                break
            plaintext = self.receive_record(
                bytes(data[:length_at]), memoryview(data)[body:end], now
            )
            data = data[end:]
            if plaintext:
                self.more = data
                return plaintext
        return None

    def receive_record(self, header, body, now):
        """Take one record, its header being without the length; the plaintext where it is the application's."""
        epoch = header[4]
        if header[1] != 254 or header[3] or epoch > 1:
            return None
        if epoch:
            return self.receive_sealed(header, body, now)
        if self.state == CONNECTING:
            # Later anybody could have sent it.
            self.receive_control(header[0], body, epoch, now)
        return None

    def receive_sealed(self, header, body, now):
        record_type = header[0]
        # With a Connection ID of ours every protected record has it (RFC 9146 4).
        if (
            not self.opener
            or header[2] != 253
            or header[11:] != self.own_cid
            or (record_type == TLS12_CID and not self.own_cid)
        ):
            return None
        number = int.from_bytes(header[5:11], "big")
        behind = self.highest - number
        if behind >= _WINDOW or behind >= 0 and self.window >> behind & 1:
            return None
        content = self.opener.open(record_type, header[3:11], body)
        if content is None:
            return None
        if self.keys_are_saved:
            self.keep()
        self.received(number, behind)
        if record_type == TLS12_CID:
            # its own type stands behind the content, zeros may follow
            end = len(content)
            while end and not content[end - 1]:
                end -= 1
            if not end:
                return None
            record_type = content[end - 1]
            content = content[: end - 1]
        if self.state == OPEN and record_type == APPLICATION_DATA:
            if self.handshake:
                self.release()
            return bytes(content)  # its slices are kept, and compared
        self.receive_control(record_type, content, 1, now)
        return None

    def received(self, number, behind):
        """Note the number of an authentic record, `behind` the highest so far, in the replay window."""
        if behind >= 0:
            self.window |= 1 << behind
        else:
            self.window = (self.window << -behind | 1) & _WINDOW_MASK if behind > -_WINDOW else 1
            self.highest = number

    def receive_control(self, record_type, content, epoch, now):
        """Take an alert, or a message of a handshake."""
        if record_type == ALERT and len(content) == 2:
            self.receive_alert(content[0], content[1])
        elif record_type == HANDSHAKE:
            if self.state == CONNECTING:
                self.handshake.feed(content, epoch, now)
            elif self.state == OPEN and len(content) >= 12:
                if content[0] == FINISHED and self.handshake:
                    # It did not get the last flight of a resumption.
                    self.handshake.flush(now)
                elif content[0] == HELLO_REQUEST:
                    self.send_alert(WARNING, NO_RENEGOTIATION)

    def receive_alert(self, level, number):
        if level != FATAL and number != CLOSE_NOTIFY:
            return
        if self.state == OPEN and number == CLOSE_NOTIFY:
            self.send_alert(WARNING, CLOSE_NOTIFY)
        failed = level == FATAL or self.state == CONNECTING
        self.fail(FAILED if failed else CLOSED, number)

    def poll(self, now):
        """Do what is due; ms until the next time, or -1."""
        return self.handshake.poll(now) if self.state == CONNECTING else -1

    def close(self):
        """Tell the server (close_notify), and forget the keys; the session stays for a resumption."""
        if self.state == OPEN:
            self.send_alert(WARNING, CLOSE_NOTIFY)
        self.fail(CLOSED, 0)

    # what outlives this object

    # Keys are taken up after a restart only from a state that has seen all records: else one that was recorded would
    # be taken again (RFC 6347 4.1.2.6), and a number used twice. So the keys are saved by suspend() alone, and the
    # next record, in either direction, first takes them out of what is saved.

    def dump(self, with_keys=False):
        """The session as bytes, for `restore`: enough for a handshake that resumes it (RFC 5246 7.3)."""
        out = bytearray((_FORM,))
        keys = self.keys if with_keys else b""
        if self.session_id or keys:
            out += bytes((self.extensions,)) + self.suite.to_bytes(2, "big")
            for number in (self.next_number, self.highest, self.window):
                out += number.to_bytes(8, "big")
            for string in (self.session_id, self.master, keys, self.own_cid, self.peer_cid):
                out.append(len(string))
                out += string
        return bytes(out)

    def keep(self):
        """Save the session without its keys, where there is `save`; what `dump` gives.

        Where it raises, nothing is sent or taken: a saved state must not be used twice."""
        data = self.dump()
        if self.save:
            self.save(data)
        self.keys_are_saved = False
        return data

    def suspend(self):
        """Save the session with its keys, where a Connection ID makes them of use: to go on after a deep sleep."""
        if self.save:
            with_keys = self.state == OPEN and bool(self.peer_cid)
            self.keys_are_saved = with_keys
            self.save(self.dump(with_keys))

    def restore(self, data):
        """Take what `dump` gave: open at once where it has a Connection ID and there is `save`; False if it is not
        from here."""
        strings = []
        at = _FIRST_STRING
        while at < len(data):
            end = at + 1 + data[at]
            strings.append(bytes(data[at + 1 : end]))
            at = end
        # a number of this client's never fills the upper two of its bytes
        if at != len(data) or len(strings) != 5 or data[0] != _FORM or data[4] or data[5]:
            return False
        suite = data[2] << 8 | data[3]
        key_length = _CBC_KEYS if suite == PSK_AES_128_CBC_SHA256 else _CCM_KEYS
        if suite not in self.suites or len(strings[2]) not in (0, key_length):
            return False
        self.reset(CLOSED)
        self.extensions = data[1]
        self.suite = suite
        self.session_id, self.master, keys, own_cid, peer_cid = strings
        if keys and self.save:
            self.use_keys(suite, keys, own_cid, peer_cid)
            self.next_number, self.highest, self.window = (
                int.from_bytes(data[at : at + 8], "big")
                for at in range(_FIRST_NUMBER, _FIRST_STRING, 8)
            )
            self.state = OPEN
            self.keys_are_saved = True
        return True
