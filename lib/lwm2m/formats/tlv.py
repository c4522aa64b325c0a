# OMA-TLV (Core 1.1.1 7.4.3): 11542
# SPDX-License-Identifier: MIT
from ..ids import ABSENT
from ..model.values import FLOAT, INTEGER, OBJLNK, TIME, TYPE_MASK, UNSIGNED, to_stored
from ..port import struct

# An entry is a byte of type, an id of one or two bytes, a length of up to three bytes, and content.
_INSTANCE = const(0x00)
_ITEM = const(0x40)  # an instance of a resource
_MULTIPLE = const(0x80)  # a resource with instances
_RESOURCE = const(0xC0)
_ENTRY = const(0xC0)  # the bits that tell these apart
_LONG_ID = const(0x20)
_LENGTH_SHIFT = const(3)  # of the number of bytes of a length; below, a length that needs none
_LENGTH_MASK = const(3)
_SHORT_LENGTH = const(7)

# by type: the longest integer, in bytes; 0 for what is no integer
_LONGEST = b"\x00\x00\x08\x03\x01\x00\x08\x04\x08\x00"
_LINK = const(4)  # bytes of an object link
_SIGN = const(0x80)
_SMALL = const(0x40000000)  # integers below are no objects, which would be allocated


def head_size(ident, length):
    """How many bytes the head of an entry takes."""
    return 2 + (ident > 0xFF) + (length > _SHORT_LENGTH) + (length > 0xFF) + (length > 0xFFFF)


def put_head(writer, entry, ident, length):
    """Put the head of an entry whose content is `length` bytes long."""
    long_id = ident > 0xFF
    lengths = (length > _SHORT_LENGTH) + (length > 0xFF) + (length > 0xFFFF)
    writer.byte(entry | long_id << 5 | (lengths << _LENGTH_SHIFT or length))
    writer.uint(ident, 1 + long_id)
    writer.uint(length, lengths)


def value_size(kind, value):
    """How many bytes a stored value of type `kind` takes."""
    if kind == FLOAT:
        return len(packed_float(value))
    if not _LONGEST[kind]:
        return len(value)
    if kind == OBJLNK:
        return _LINK
    if -0x80 <= value < 0x80:
        return 1
    if -0x8000 <= value < 0x8000:
        return 2
    return 4 if -1 <= value >> 31 <= 0 else 8


def packed_float(value):
    """The 4 bytes of a float, or 8 where these would round it."""
    packed = struct.pack(">f", value)
    return packed if struct.unpack(">f", packed)[0] == value else struct.pack(">d", value)


def put_value(writer, entry, ident, kind, value):
    """Put an entry with one value."""
    size = value_size(kind, value)
    put_head(writer, entry, ident, size)
    if kind == FLOAT:
        writer.put(packed_float(value))
    elif not _LONGEST[kind]:
        writer.put(value)
    elif -_SMALL <= value < _SMALL:
        writer.uint(value, size)
    else:
        # to shift it would make one object after the other
        packed = struct.pack(">q" if value < 0 else ">Q", value)
        writer.put(packed[len(packed) - size :])


def items_size(kind, values):
    """How many bytes the entries of a resource's instances take."""
    total = 0
    for riid in values:
        size = value_size(kind, values[riid])
        total += head_size(riid, size) + size
    return total


def put_resource(writer, oid, iid, rid, kind, value):
    """Put the entry of a resource."""
    if not isinstance(value, dict):
        put_value(writer, _RESOURCE, rid, kind, value)
        return
    put_head(writer, _MULTIPLE, rid, items_size(kind, value))
    for riid in sorted(value) if len(value) > 1 else value:
        put_value(writer, _ITEM, riid, kind, value[riid])


def instance_size(tree, oid, iid):
    """How many bytes the entries of an instance's resources take."""
    total = 0

    def add(_, oid, iid, rid, kind, value):
        nonlocal total
        size = items_size(kind, value) if isinstance(value, dict) else value_size(kind, value)
        total += head_size(rid, size) + size

    tree.each_resource(oid, iid, add, None)
    return total


def encode(writer, tree, oid, iid, rid, riid):
    # A length stands before what it is the length of, which the writer's window may cut anywhere: it is
    # reckoned from the values.
    if iid < 0:
        snapshot = tree.snapshot
        if snapshot is None:
            # what is reckoned with and what is written must be the same
            tree.snapshot = {}
        for each in tree.instances(oid):
            put_head(writer, _INSTANCE, each, instance_size(tree, oid, each))
            tree.each_resource(oid, each, put_resource, writer)
        tree.snapshot = snapshot
    elif rid < 0:
        tree.each_resource(oid, iid, put_resource, writer)
    else:
        kind = tree.definition(oid, rid) & TYPE_MASK
        value = tree.read(oid, iid, rid)
        if riid < 0:
            put_resource(writer, oid, iid, rid, kind, value)
        else:
            put_value(writer, _ITEM, riid, kind, value[riid])


def take_head(data, position):
    """The type, the id, and start and end of the content of the entry at data[position]."""
    first = data[position]
    ident = data[position + 1]
    position += 2
    if first & _LONG_ID:
        ident = ident << 8 | data[position]
        position += 1
    lengths = first >> _LENGTH_SHIFT & _LENGTH_MASK
    length = 0 if lengths else first & _SHORT_LENGTH
    for _ in range(lengths):
        length = length << 8 | data[position]
        position += 1
    return first & _ENTRY, ident, position, position + length


def decode(data, start, end, tree, oid, iid, rid, riid, emit):
    def take(position, end, iid, rid, riid, nested):
        # the entries at a path, or, nested, in an instance or a multiple resource
        while position < end:
            entry, ident, position, behind = take_head(data, position)
            if behind > end:
                raise ValueError
            if entry == _INSTANCE:
                if nested or rid >= 0 or (iid >= 0 and ident != iid):
                    raise ValueError
                emit(ident, ABSENT, ABSENT, None)
                take(position, behind, ident, ABSENT, ABSENT, True)
            elif entry == _ITEM:
                if rid < 0 or (riid >= 0 and ident != riid):
                    raise ValueError
                emit(iid, rid, ident, scalar(data, position, behind, tree.definition(oid, rid)))
            elif rid >= 0 and (nested or ident != rid):
                # another resource, or one inside a multiple resource
                raise ValueError
            elif entry == _MULTIPLE:
                emit(iid, ident, ABSENT, {})
                take(position, behind, iid, ident, ABSENT, True)
            else:
                definition = tree.definition(oid, ident)
                emit(iid, ident, riid, scalar(data, position, behind, definition))
            position = behind

    take(start, end, iid, rid, riid, False)


def scalar(data, start, end, definition):
    """The value in data[start:end]; None where the tables have no such resource (definition 0)."""
    if not definition:
        return None
    kind = definition & TYPE_MASK
    size = end - start
    value = bytes(memoryview(data)[start:end])
    longest = _LONGEST[kind]
    if kind == FLOAT and size in (4, 8):
        value = struct.unpack(">f" if size == 4 else ">d", value)[0]
    elif longest:
        if not 0 < size <= longest or (kind == OBJLNK and size < _LINK):
            raise ValueError
        value = int.from_bytes(value, "big")
        # where negative ones are excluded, the highest bit is part of the number
        signed = (kind == INTEGER or kind == TIME) and not definition & UNSIGNED
        if signed and data[start] & _SIGN:
            value -= 1 << 8 * size
    return to_stored(definition, value)
