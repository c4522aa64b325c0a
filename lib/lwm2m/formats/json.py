# The JSON of LwM2M 1.0 (Core 1.0.2 6.4.4): 11543
# SPDX-License-Identifier: MIT
from ..ids import ABSENT
from ..model.tree import MULTIPLE
from ..model.values import format_path
from .json_text import check_end, name_end, part, skip_space, string_end, value_end
from .senml import inside, put_digits, reader, walk
from .senml_json import each_object, opaque, put_value

# The names are those of SenML's earliest drafts; there is no version and no base value.
_LABELS = ("", "bn", "", "n", "v", "sv", "bv", "ov")
# of the value, by type, from STRING on
_VALUES = (b"sv", b"v", b"v", b"bv", b"sv", b"v", b"ov", b"v", b"sv")


def encode(writer, tree, oid, iid, rid, riid):
    # the base name is the path of the request, the names are what follows it
    several = rid < 0 or (riid < 0 and tree.definition(oid, rid) & MULTIPLE)
    depth = (iid >= 0) + (rid >= 0) + (riid >= 0)

    def put(oid, iid, rid, riid, kind, value, time):
        writer.put(b",{" if writer.written > start else b"{")
        separator = b'"n":"'
        for number in (iid, rid, riid)[depth:]:
            if number != ABSENT:
                writer.put(separator)
                put_digits(writer, number)
                separator = b"/"
        writer.put(b'","' if separator == b"/" else b'"')
        writer.put(_VALUES[kind - 1])
        writer.put(b'":')
        put_value(writer, kind, value, False)
        writer.put(b"}")

    writer.put(b'{"bn":"' + format_path(oid, iid, rid, riid).encode())
    writer.put(b'/","e":[' if several else b'","e":[')
    start = writer.written
    walk(put, tree, ((oid, iid, rid, riid),))
    writer.put(b"]}")


def decode(data, start, end, tree, oid, iid, rid, riid, emit):
    data = memoryview(data)[start:end]
    array = 0  # where no array begins
    base_name = ""
    position = skip_space(data, 0)
    check_end(data, value_end(data, position))
    if data[position] != ord("{"):
        raise ValueError
    # the base name may stand behind the array
    while data[position] != ord("}"):
        position = skip_space(data, position + 1)
        if data[position] == ord("}"):
            break  # an empty object
        label = bytes(data[position : string_end(data, position)])
        value = name_end(data, position)
        end = value_end(data, value)
        if label == b'"e"':
            array = value
        elif label == b'"bn"':
            base_name = part(data, value, end)
        position = skip_space(data, end)
    take = reader(_LABELS, tree, inside(tree, (oid, iid, rid, riid), emit), opaque)

    def take_entry(entry):
        entry.setdefault("bn", base_name)
        take(entry)

    each_object(data, array, take_entry)
