# CoAP messages: written into one buffer, read where they lie (RFC 7252 3, 5)
# SPDX-License-Identifier: MIT
from ..port import struct
from .numbers import (
    ACCEPT,
    BAD_OPTION,
    BLOCK1,
    BLOCK2,
    CONTENT_FORMAT,
    ETAG,
    FIRST_RESPONSE,
    LAST_METHOD,
    LOCATION_PATH,
    MALFORMED,
    NOT_COAP,
    OBSERVE,
    PROXY_SCHEME,
    PROXY_URI,
    PROXYING_NOT_SUPPORTED,
    REQUEST_ENTITY_TOO_LARGE,
    SIZE1,
    SIZE2,
    URI_HOST,
    URI_PATH,
    URI_PORT,
    URI_QUERY,
    CoapError,
)

_VERSION = const(1)
_HEADER = const(4)  # bytes before the token
_LONGEST_TOKEN = const(8)
_FIRST_RESERVED = const(192)  # a code of class 6 or 7; class 1 is reserved too
_PAYLOAD_MARKER = const(0xFF)

# A nibble of an option's head (RFC 7252 3.1): the value itself, or that one byte, or two, hold the rest of it.
_ONE_BYTE = const(13)
_TWO_BYTES = const(14)
_BEYOND_ONE_BYTE = const(269)

_LONGEST_UINT = const(3)  # bytes of an integer in the options that are understood here
_LONGEST_STRING = const(255)  # bytes of a segment, a part of the query, a host
_LONGEST_ID = const(5)  # digits
_NO_ID = const(65535)  # LwM2M reserves it (Core 1.1.1 7.1)


def extended(data, nibble, end):
    """A delta or length whose extension lies before data[end]; ValueError for the reserved nibble."""
    if nibble == _ONE_BYTE:
        return data[end - 1] + _ONE_BYTE
    if nibble == _TWO_BYTES:
        return (data[end - 2] << 8 | data[end - 1]) + _BEYOND_ONE_BYTE
    raise ValueError


def id_in(data, at, end):
    """The id in data[at:end]: decimal digits without a sign or leading zeros; -1 where it is none."""
    if not at < end <= at + _LONGEST_ID or (data[at] == 48 and end > at + 1):
        return -1
    value = 0
    while at < end:
        digit = data[at] - 48
        if not 0 <= digit < 10:
            return -1
        value = value * 10 + digit
        at += 1
    return value if value < _NO_ID else -1


def uint_in(data, at, end):
    """The integer in data[at:end] (RFC 7252 3.2), of up to three bytes."""
    value = 0
    if end - at > _LONGEST_UINT:
        return value
    while at < end:
        value = value << 8 | data[at]
        at += 1
    return value


def refusal_of(option):
    """The response code for an option that is not understood, 0 for an elective one (RFC 7252 5.4.1)."""
    if not option & 1:
        return 0
    # this is no proxy (RFC 7252 5.7.2)
    is_proxy = option == PROXY_URI or option == PROXY_SCHEME
    return PROXYING_NOT_SUPPORTED if is_proxy else BAD_OPTION


class Writer:
    """Writes a message into a buffer, options in ascending order, then a window of the payload.

    `head` and `tail` bytes around the message stay free for a channel that seals in place."""

    def __init__(self, size, head=0, tail=0):
        self.buffer = bytearray(head + size + tail)
        self.headroom = head
        self.limit = head + size

    def begin(self, mtype, code, mid, token):
        length = len(token)
        self.position = self.headroom + _HEADER + length
        struct.pack_into(
            ">BBH8s", self.buffer, self.headroom, 0x40 | mtype << 4 | length, code, mid, token
        )
        self.last_option = 0

    def option(self, number, value):
        """Append an option (not below the one before): bytes, an integer, or -1 for none.

        CoapError 4.13 where it does not fit."""
        is_uint = isinstance(value, int)
        if is_uint and value < 0:
            return
        buffer = self.buffer
        at = self.position
        length = 0 if is_uint else len(value)
        while is_uint and value >> 8 * length:
            length += 1
        if at + length + 3 > self.limit or length >= _BEYOND_ONE_BYTE:
            raise CoapError(REQUEST_ENTITY_TOO_LARGE)
        delta = number - self.last_option
        self.last_option = number
        buffer[at] = (delta if delta < _ONE_BYTE else _ONE_BYTE) << 4 | (
            length if length < _ONE_BYTE else _ONE_BYTE
        )
        at += 1
        if delta >= _ONE_BYTE:
            buffer[at] = delta - _ONE_BYTE
            at += 1
        if length >= _ONE_BYTE:
            buffer[at] = length - _ONE_BYTE
            at += 1
        self.position = end = at + length
        if is_uint:
            while end > at:
                end -= 1
                buffer[end] = value & 255
                value >>= 8
        else:
            self.copy(at, value)

    def copy(self, at, data):
        """Put bytes into the buffer. Zeros may follow them."""
        # Not an assignment to a slice, which QuecPython lacks. A constant format saves an allocation.
        length = len(data)
        buffer = self.buffer
        if length <= 16 and at + 16 <= len(buffer):
            struct.pack_into("16s", buffer, at, data)
        else:
            struct.pack_into("%ds" % length, buffer, at, data)

    def begin_payload(self, offset, size):
        """Begin the payload: of all that is put, `size` bytes from `offset` on are kept."""
        at = self.position
        self.buffer[at] = _PAYLOAD_MARKER
        at += 1
        self.base = at - offset
        self.written = 0
        self.window_start = offset
        self.window_end = offset + min(size, self.limit - at)

    def put(self, data):
        """Append bytes to the payload."""
        start = self.written
        self.written = end = start + len(data)
        first = max(start, self.window_start)
        last = min(end, self.window_end)
        if first < last:
            if last - first < end - start:
                data = memoryview(data)[first - start : last - start]
            self.copy(self.base + first, data)

    def byte(self, value):
        """Append one byte to the payload."""
        at = self.written
        self.written = at + 1
        if self.window_start <= at < self.window_end:
            self.buffer[self.base + at] = value

    def uint(self, value, length):
        """Append the low `length` bytes of an integer to the payload, most significant first."""
        while length:
            length -= 1
            self.byte(value >> (8 * length) & 255)

    def end_payload(self):
        """Close the payload; True where more was put than the window holds."""
        end = min(self.written, self.window_end)
        if end > self.window_start:
            self.position = self.base + end
        return self.written > self.window_end


class Message:
    """The datagram being looked at.

    path: up to four ids, -1 behind the last; name: a segment of Uri-Path that is no id, or None
    query: the parts of Uri-Query, or of a response's Location-Path, or its ETag
    observe, content_format, accept, block1, block2, size1: options, -1 where absent; Size2 is in size1 too
    transfer_key: with Block1, what tells transfers apart: the method and the options before
    data[start:end]: the payload; raw: the whole datagram"""

    def __init__(self):
        self.path = [-1, -1, -1, -1]

    def parse(self, data, root=()):
        """Take in a datagram; `root` holds the segments of the alternate path that requests begin with.

        0 where all of it is understood, else NOT_COAP, MALFORMED (RFC 7252 4.2, 4.3), or the response
        code that refuses a critical option."""
        size = len(data)
        if size < _HEADER or data[0] >> 6 != _VERSION:
            return NOT_COAP
        at = self.parse_header(data)
        if at > size or at > _HEADER + _LONGEST_TOKEN or not self.has_valid_code(size):
            return MALFORMED
        self.root = root
        number = refusal = 0
        first = at
        try:
            while at < size:
                head = data[at]
                if head == _PAYLOAD_MARKER:
                    self.start = at + 1
                    return refusal if at + 1 < size else MALFORMED
                option_start = at
                at += 1
                delta = head >> 4
                if delta >= _ONE_BYTE:
                    at += delta - _ONE_BYTE + 1
                    delta = extended(data, delta, at)
                end = head & 15
                if end >= _ONE_BYTE:
                    at += end - _ONE_BYTE + 1
                    end = extended(data, end, at)
                end += at
                if end > size:
                    return MALFORMED
                number += delta
                if number == BLOCK1:
                    self.transfer_key = data[1:2] + data[first:option_start]
                if number == URI_PATH and end - at <= _LONGEST_STRING:
                    self.segment(data, at, end)
                elif (
                    number == LOCATION_PATH
                    or (number == URI_QUERY and end - at <= _LONGEST_STRING)
                    or (number == ETAG and self.code >= FIRST_RESPONSE)
                ):
                    self.query += (data[at:end],)
                elif not delta or not self.option(number, end - at, uint_in(data, at, end)):
                    # one that stands twice counts as not understood (RFC 7252 5.4.5)
                    refusal = refusal_of(number) or refusal
                at = end
        except (IndexError, ValueError):
            return MALFORMED
        return refusal

    def parse_header(self, data):
        """Take the header and the token, forget the message before; where the options begin."""
        self.data = self.raw = data
        self.mtype = data[0] >> 4 & 3
        self.code = data[1]
        self.mid = data[2] << 8 | data[3]
        options = _HEADER + (data[0] & 15)
        self.token = data[_HEADER:options]
        self.start = self.end = len(data)
        self.observe = self.content_format = self.accept = -1
        self.block1 = self.block2 = self.size1 = -1
        self.name = None
        self.query = ()
        path = self.path
        path[0] = path[1] = path[2] = path[3] = -1
        self.ids = 0
        return options

    def has_valid_code(self, size):
        """Is it none of a reserved class? An empty message has nothing behind its header (RFC 7252 4.1)."""
        code = self.code
        if code <= LAST_METHOD:
            return code or size == _HEADER
        return FIRST_RESPONSE <= code < _FIRST_RESERVED

    # Frames of more than eleven words (locals and stack) go to the heap, which costs more than a call: so what
    # follows is in small functions.

    def segment(self, data, at, end):
        """Take a segment of Uri-Path: an id, a part of the alternate path, or a name."""
        value = id_in(data, at, end)
        if value >= 0 and self.ids < 4:
            self.path[self.ids] = value
            self.ids += 1
        elif self.root and self.root[0] == data[at:end]:
            self.root = self.root[1:]
        else:
            self.name = data[at:end]

    def option(self, number, length, value):
        """Take any other option, with its value as an integer; False where it is not understood."""
        if length > _LONGEST_UINT:
            return number == URI_HOST and length <= _LONGEST_STRING
        if number == OBSERVE:
            self.observe = value
        elif number == CONTENT_FORMAT:
            self.content_format = value
        elif number == ACCEPT:
            self.accept = value
        elif number == BLOCK2:
            self.block2 = value
        elif number == BLOCK1:
            self.block1 = value
        elif number == SIZE1 or number == SIZE2:
            self.size1 = value
        else:
            return number == URI_HOST or number == URI_PORT  # of no interest here
        return True
