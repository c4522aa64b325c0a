# SenML JSON (RFC 8428 5; Core 1.1.1 7.4.4): 110
# SPDX-License-Identifier: MIT
from ..model.values import BOOLEAN, CORELNK, OBJLNK, OPAQUE, STRING
from ..port import binascii
from .json_text import check_end, json, part, skip_space, value_end
from .senml import inside, put_digits, reader, walk
from .text import base64, decimal

_LABELS = ("bver", "bn", "bv", "n", "v", "vs", "vb", "vd", "vlo")
# of the value, by type, from STRING on
_VALUES = (b"vs", b"v", b"v", b"vb", b"vd", b"v", b"vlo", b"v", b"vs")
_CHUNK = const(48)  # bytes that are made base64 at a time: a multiple of three


def put_value(writer, kind, value, url_safe=True):
    """Put a stored value of type `kind`; an opaque one as base64, in the alphabet for URLs and without padding
    (RFC 8428 5) or in the common one."""
    if kind == OPAQUE:
        writer.put(b'"')
        value = memoryview(value)
        for start in range(0, len(value), _CHUNK):
            text = binascii.b2a_base64(value[start : start + _CHUNK])[:-1]
            if url_safe:
                text = text.rstrip(b"=").replace(b"+", b"-").replace(b"/", b"_")
            writer.put(text)
        writer.put(b'"')
        return
    if kind == OBJLNK:
        text = '"%d:%d"' % (value >> 16, value & 0xFFFF)
    elif kind == BOOLEAN:
        text = "true" if value else "false"
    elif kind == STRING or kind == CORELNK:
        text = json.dumps(str(value, "utf8"))
    else:
        text = decimal(value)
    writer.put(text.encode())


def opaque(value):
    """The bytes that base64 in the alphabet for URLs, with or without padding, stands for."""
    value += "=" * (-len(value) & 3)
    return base64(value.replace("-", "+").replace("_", "/").encode())


def each_object(data, position, function):
    """Call function(dict) for each object in the array that begins at data[position]; the place behind it. So
    not all of them are in memory at once."""
    if data[position] != ord("["):
        raise ValueError
    position = skip_space(data, position + 1)
    if data[position] == ord("]"):
        return position + 1
    while True:
        if data[position] != ord("{"):
            raise ValueError
        end = value_end(data, position)
        function(part(data, position, end))
        position = skip_space(data, end)
        if data[position] == ord("]"):
            return position + 1
        if data[position] != ord(","):
            raise ValueError
        position = skip_space(data, position + 1)


def encode_all(writer, tree, paths):
    object_before = instance_before = -1

    def put(oid, iid, rid, riid, kind, value, time):
        nonlocal object_before, instance_before
        writer.put(b",{" if writer.written > start else b"{")
        if object_before != oid or instance_before != iid:
            base = str(tree.root_path, "utf8") + "/%d/%d/" % (oid, iid)
            writer.put(b'"bn":%s,' % json.dumps(base).encode())
            object_before = oid
            instance_before = iid
        writer.put(b'"n":"')
        put_digits(writer, rid)
        if riid >= 0:
            writer.put(b"/")
            put_digits(writer, riid)
        writer.put(b'","')
        if time:
            writer.put(b't":%s,"' % decimal(time).encode())
        writer.put(_VALUES[kind - 1])
        writer.put(b'":')
        put_value(writer, kind, value)
        writer.put(b"}")

    writer.put(b"[")
    start = writer.written
    walk(put, tree, paths, tree.series)
    writer.put(b"]")


def encode(writer, tree, oid, iid, rid, riid):
    encode_all(writer, tree, ((oid, iid, rid, riid),))


def decode_all(data, start, end, tree, emit):
    data = memoryview(data)[start:end]
    check_end(data, each_object(data, skip_space(data, 0), reader(_LABELS, tree, emit, opaque)))


def decode(data, start, end, tree, oid, iid, rid, riid, emit):
    decode_all(data, start, end, tree, inside(tree, (oid, iid, rid, riid), emit))
