# One opaque resource in TLV, CBOR or SenML CBOR, taken as it comes: the bytes around it are cut off
# SPDX-License-Identifier: MIT
from ..coap.numbers import CBOR, EMPTY, OPAQUE_FORMAT, SENML_CBOR, TLV

_MOST_AROUND = const(96)  # bytes before the value, and behind it
# of SenML (RFC 8428 6)
_BASE_NAME = const(-2)
_NAME = const(0)
_DATA = const(8)

# The head of a TLV entry: a resource; the length of what follows is in so many bytes, or in the low bits.
_RESOURCE = const(0xC0)
_LONG_ID = const(0x20)


class Envelope:
    """Hands the value in the body of a write on to function(offset, data, more), block by block.

    `content_format` as in the request, `path` that of the resource as bytes, b"/5/0/0". `more` of the function is 0
    with the last bytes of the value."""

    start = -1  # of the value in the body; -1 while not all of its head is there
    length = 0
    left = 0  # entries of a SenML record behind the value

    def __init__(self, content_format, path, function):
        self.content_format = content_format
        self.path = path
        self.function = function
        self.around = b""

    def __call__(self, offset, data, more):
        if self.start < 0:
            self.around += bytes(data)
            try:
                value_at = self.take_head()
            except (TypeError, AttributeError):
                raise ValueError
            except IndexError:
                if len(self.around) > _MOST_AROUND or not more:
                    raise ValueError
                return EMPTY
            data = memoryview(self.around)[value_at:]
            offset = 0
            self.start = value_at
            self.around = b""
        else:
            offset = min(offset - self.start, self.length)
        left = self.length - offset
        if len(data) > left:
            # what stands behind the value
            self.around += bytes(data[left:])
            data = data[:left]
        elif not more and len(data) < left:
            raise ValueError
        if not more or len(self.around) > _MOST_AROUND:
            self.take_tail()
        if more and not data:
            return EMPTY
        return self.function(offset, data, more)

    def take_head(self):
        """Where the value begins, and `length`; IndexError where more is needed, ValueError where it is none."""
        if self.content_format == TLV:
            return self.take_tlv()
        from .cbor import ARRAY, BYTE_STRING, MAP, Reader

        reader = Reader(self.around)
        if self.content_format == SENML_CBOR:
            if reader.head() != ARRAY or reader.number != 1 or reader.head() != MAP:
                raise ValueError
            self.left = reader.number
            self.names = ["", ""]
            while reader.head() or reader.number != _DATA:
                reader.position -= 1
                self.take_name(reader)
            self.left -= 1
        if reader.head() != BYTE_STRING or reader.number < 0:
            raise ValueError
        self.length = reader.number
        return reader.position

    def take_name(self, reader):
        label = reader.item()
        value = reader.item()
        self.left -= 1
        if self.left < 0:
            raise ValueError
        if label == _BASE_NAME:
            self.names[0] = value
        elif label == _NAME:
            self.names[1] = value

    def take_tlv(self):
        head = self.around
        first = head[0]
        at = 2
        ident = head[1]
        if first & _LONG_ID:
            ident = ident << 8 | head[2]
            at = 3
        size = first >> 3 & 3
        end = at + size
        head[end - 1]  # all of it is there
        self.length = first & 7
        if size:
            self.length = int.from_bytes(head[at:end], "big")
        if first & _RESOURCE != _RESOURCE or self.path[-2:] != b"/%d" % ident:
            raise ValueError
        return end

    def take_tail(self):
        """Check what stands behind the value."""
        if self.content_format != SENML_CBOR:
            if self.around:
                raise ValueError
            return
        from .cbor import Reader

        reader = Reader(self.around)
        try:
            while self.left > 0:
                self.take_name(reader)
            reader.finish()
        except (IndexError, TypeError, AttributeError):
            raise ValueError
        if (self.names[0] + self.names[1]).encode() != self.path:
            raise ValueError


def unwrap(content_format, path, function):
    """The function(offset, data, more) for a body in this format, or None where it can't be taken as it comes."""
    if content_format == OPAQUE_FORMAT:
        return function
    if content_format in (TLV, CBOR, SENML_CBOR):
        return Envelope(content_format, path, function)
    return None
