# SenML CBOR (RFC 8428 6; Core 1.1.1 7.4.5): 112
# SPDX-License-Identifier: MIT
from ..model.values import FLOAT, OBJLNK, TIME
from .cbor import ARRAY, ARRAY_OF_16_BITS, MAP, TEXT_STRING, Reader, put_head, put_value
from .senml import inside, put_digits, reader, walk

# labels of a record, and values of a link by name (Core 1.1.1 table 7.4.5)
_BASE_VERSION = const(-1)
_BASE_NAME = const(-2)
_BASE_VALUE = const(-5)
_NAME = const(0)
_NUMBER = const(2)
_STRING = const(3)
_BOOLEAN = const(4)
_TIME = const(6)
_DATA = const(8)
_LINK = "vlo"

_LABELS_MOST = const(16)  # in a record
_HEAD_OF_BASE_NAME = const(0x21)  # -2 as CBOR
# by type, from STRING on: the label of the value, or the head of the text that a link has
_LABELS = b"\x03\x02\x02\x04\x08\x02\x63\x02\x03"


def encode_all(writer, tree, paths):
    count = 0
    object_before = instance_before = -1

    def put(oid, iid, rid, riid, kind, value, time):
        nonlocal count, object_before, instance_before
        count += 1
        labels = 3 if time else 2  # name and value at least
        if object_before == oid and instance_before == iid:
            writer.byte(MAP | labels)
        else:
            base = tree.root_path + b"/%d/%d/" % (oid, iid)
            writer.byte(MAP | labels + 1)
            writer.byte(_HEAD_OF_BASE_NAME)
            put_head(writer, TEXT_STRING, len(base))
            writer.put(base)
            object_before = oid
            instance_before = iid
        writer.byte(_NAME)
        put_name(writer, rid, riid)
        if time:
            writer.byte(_TIME)
            put_value(writer, FLOAT if isinstance(time, float) else TIME, time)
        writer.byte(_LABELS[kind - 1])
        if kind == OBJLNK:
            writer.put(_LINK.encode())
        put_value(writer, kind, value)

    start = writer.written
    writer.uint(ARRAY_OF_16_BITS << 16, 3)
    walk(put, tree, paths, tree.series)
    # how many there are is known now
    end = writer.written
    writer.written = start + 1
    writer.uint(count, 2)
    writer.written = end


def put_name(writer, rid, riid):
    # the length is filled in once it is known
    start = writer.written
    writer.byte(0)
    put_digits(writer, rid)
    if riid >= 0:
        writer.put(b"/")
        put_digits(writer, riid)
    end = writer.written
    writer.written = start
    writer.byte(TEXT_STRING | end - start - 1)
    writer.written = end


def encode(writer, tree, oid, iid, rid, riid):
    encode_all(writer, tree, ((oid, iid, rid, riid),))


def decode_all(data, start, end, tree, emit):
    items = Reader(memoryview(data)[start:end])
    take = reader(
        (_BASE_VERSION, _BASE_NAME, _BASE_VALUE, _NAME, _NUMBER, _STRING, _BOOLEAN, _DATA, _LINK),
        tree,
        emit,
    )
    if items.head() != ARRAY:
        raise ValueError
    records = items.number
    while items.more(records):
        records -= 1
        if items.head() != MAP:
            raise ValueError
        labels = items.number
        record = {}
        while items.more(labels):
            labels -= 1
            label = items.item()
            record[label] = items.item()
            if len(record) > _LABELS_MOST:
                raise ValueError
        take(record)
    items.finish()


def decode(data, start, end, tree, oid, iid, rid, riid, emit):
    decode_all(data, start, end, tree, inside(tree, (oid, iid, rid, riid), emit))
