# CBOR (RFC 8949): the value of one resource (Core 1.1.1 7.4.3), and the reader and writer that other formats share
# SPDX-License-Identifier: MIT
from ..model.tree import MULTIPLE
from ..model.values import BOOLEAN, FLOAT, OBJLNK, OPAQUE, TIME, TYPE_MASK, text, to_stored
from ..port import DOUBLE, struct
from .text import single

# major types, in their place in the head of an item: the upper three bits
UNSIGNED_INTEGER = const(0x00)
NEGATIVE_INTEGER = const(0x20)
BYTE_STRING = const(0x40)
TEXT_STRING = const(0x60)
ARRAY = const(0x80)
MAP = const(0xA0)
TAG = const(0xC0)
SIMPLE = const(0xE0)  # or a float
_MAJOR = const(0xE0)

# the lower five bits: a number below 24, or where it stands
_ONE_BYTE = const(24)
_EIGHT_BYTES = const(27)
_INDEFINITE = const(31)

# whole heads
ARRAY_OF_16_BITS = const(0x99)
MAP_WITHOUT_END = const(0xBF)
EPOCH = const(0xC1)  # tag 1
BREAK = const(0xFF)
_FALSE = const(0xF4)
_TRUE = const(0xF5)
_NULL = const(0xF6)
_HALF = const(0xF9)
_SINGLE_PRECISION = const(0xFA)
_DOUBLE_PRECISION = const(0xFB)
_ARRAY_OF_TWO = const(0x82)

# tags
_BIGNUM = const(2)
_NEGATIVE_BIGNUM = const(3)
_DECIMAL_FRACTION = const(4)

_DEPTH = const(4)  # of tags, arrays and maps in a value
_EXPONENT = const(99)  # of a decimal fraction, below that
_WHOLE_SINGLE = const(1 << 24)  # single precision may have rounded what is not below


def put_head(writer, major, number):
    """Put the head of an item."""
    if number < _ONE_BYTE:
        writer.byte(major | number)
        return
    size = (number > 0xFF) + (number > 0xFFFF) + (number > 0xFFFFFFFF)
    writer.byte(major | _ONE_BYTE + size)
    if size < 2:
        writer.uint(number, 1 << size)
    else:
        # to shift a long integer would allocate for each of its bytes
        writer.put(number.to_bytes(1 << size, "big"))


def put_value(writer, kind, value):
    """Put a stored value of type `kind`."""
    if kind == OBJLNK:
        value = b"%d:%d" % (value >> 16, value & 0xFFFF)
    if kind == FLOAT:
        packed = struct.pack(">f", value)
        if struct.unpack(">f", packed)[0] == value:
            writer.byte(_SINGLE_PRECISION)
        else:
            packed = struct.pack(">d", value)
            writer.byte(_DOUBLE_PRECISION)
        writer.put(packed)
    elif kind == BOOLEAN:
        writer.byte(_TRUE if value else _FALSE)
    elif isinstance(value, int):
        if value < 0:
            put_head(writer, NEGATIVE_INTEGER, ~value)
        else:
            put_head(writer, UNSIGNED_INTEGER, value)
    else:
        put_head(writer, BYTE_STRING if kind == OPAQUE else TEXT_STRING, len(value))
        writer.put(value)


def half(number):
    """The number that 16 bits are (IEEE 754); ValueError where it is infinite or NaN."""
    exponent = number >> 10 & 31
    if exponent == 31:
        raise ValueError
    mantissa = number & 1023 | (1024 if exponent else 0)
    value = mantissa * 2.0 ** ((exponent or 1) - 25)
    return -value if number >> 15 else value


def typed(definition, value):
    """What a decoder found, as the tree holds it; None where the tables have no such resource (definition 0)."""
    if not definition:
        return None
    kind = definition & TYPE_MASK
    if (
        isinstance(value, bool) != (kind == BOOLEAN)
        or isinstance(value, bytes) != (kind == OPAQUE)
        or isinstance(value, (list, dict))
    ):
        raise ValueError
    # a whole float is the integer that was sent, unless it may have been rounded
    if isinstance(value, float) and kind != FLOAT:
        if abs(value) < (1e18 if DOUBLE else _WHOLE_SINGLE) and value == int(value):
            value = int(value)
    return to_stored(definition, value)


class Reader:
    """Reads the items in `data` one by one, from `position` on. `number` is that in the last head, -1 for an
    indefinite length. Malformed data raises ValueError, IndexError, TypeError or AttributeError."""

    def __init__(self, data):
        self.data = data
        self.position = 0

    def finish(self):
        """Refuse what follows the last item."""
        if self.position != len(self.data):
            raise ValueError

    def peek(self):
        """The major type of the next item."""
        return self.data[self.position] & _MAJOR

    def head(self):
        """Take the head of an item; its major type."""
        data = self.data
        position = self.position
        first = data[position]
        position += 1
        number = first & ~_MAJOR
        if number == _INDEFINITE:
            number = -1
        elif number >= _ONE_BYTE:
            if number > _EIGHT_BYTES:
                raise ValueError
            end = position + (1 << number - _ONE_BYTE)
            number = 0
            while position < end:
                number = number << 8 | data[position]
                position += 1
        self.number = number
        self.position = position
        return first & _MAJOR

    def more(self, count):
        """True where an array or a map with `count` items to come (below 0: until a break) goes on."""
        if count < 0 and self.data[self.position] == BREAK:
            self.position += 1
            count = 0
        return count

    def item(self, depth=_DEPTH):
        """Take an item: int, float, bool, None, str or bytes. Arrays and maps are passed over: this Reader stands
        for them. `depth` is how many levels may be in it."""
        start = self.position
        major = self.head()
        number = self.number
        if major == SIMPLE:
            return self.simple(self.data[start])
        if major < BYTE_STRING:
            if number < 0:
                raise ValueError
            return ~number if major else number
        if number >= 0 and major < ARRAY:
            return self.string(major)
        # what is left holds other items
        if not depth:
            raise ValueError
        if major == TAG:
            return self.tagged(number, depth - 1)
        if major < ARRAY:
            return self.chunks(major)
        while self.more(number):
            number -= 1
            self.item(depth - 1)
            if major == MAP:
                self.item(depth - 1)
        return self

    def simple(self, head):
        # false, true, null, or a float
        end = self.position
        if head == _HALF:
            return half(self.number)
        if head == _SINGLE_PRECISION:
            return struct.unpack(">f", self.data[end - 4 : end])[0]
        if head == _DOUBLE_PRECISION:
            value = struct.unpack(">d", self.data[end - 8 : end])[0]
            if not DOUBLE and _WHOLE_SINGLE <= abs(value) < 1 << 53:
                # seconds since 1970, most likely: by an integer, as single precision would round them
                mantissa = self.number & (1 << 52) - 1 | 1 << 52
                mantissa >>= 1075 - (self.number >> 52 & 2047)
                return -mantissa if value < 0 else mantissa
            return value
        if head == _NULL:
            return None
        if head != _FALSE and head != _TRUE:
            raise ValueError
        return head == _TRUE

    def string(self, major):
        # as long as the head said
        start = self.position
        end = start + self.number
        if end > len(self.data):
            raise IndexError
        self.position = end
        data = self.data[start:end]
        return bytes(data) if major == BYTE_STRING else text(data, "utf8")

    def chunks(self, major):
        # a string in pieces, until a break
        value = b"" if major == BYTE_STRING else ""
        while self.more(-1):
            if self.head() != major or self.number < 0:
                raise ValueError
            value += self.string(major)
        return value

    def tagged(self, tag, depth):
        # what a tag says is of no interest, but for numbers beyond every type there is, and decimal fractions
        if tag < 0 or tag == _BIGNUM or tag == _NEGATIVE_BIGNUM:
            raise ValueError
        if tag != _DECIMAL_FRACTION:
            return self.item(depth)
        # [exponent, mantissa]
        if self.data[self.position] != _ARRAY_OF_TWO:
            raise ValueError
        self.position += 1
        exponent = self.item(0)
        if not -_EXPONENT < exponent < _EXPONENT:
            raise ValueError
        mantissa = self.item(0) + 0  # nothing but a number
        return mantissa * 10**exponent if exponent >= 0 else mantissa / 10**-exponent


def encode(writer, tree, oid, iid, rid, riid):
    value = single(tree, oid, iid, rid, riid)
    kind = tree.definition(oid, rid) & TYPE_MASK
    if kind == TIME:
        writer.byte(EPOCH)
    put_value(writer, kind, value)


def decode(data, start, end, tree, oid, iid, rid, riid, emit):
    definition = tree.definition(oid, rid)
    if rid < 0 or (definition & MULTIPLE and riid < 0):
        raise ValueError
    items = Reader(memoryview(data)[start:end])
    emit(iid, rid, riid, typed(definition, items.item()))
    items.finish()
