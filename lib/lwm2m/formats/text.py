# Plain text (Core 1.1.1 7.4.1): the value of one resource; opaque values as base64
# SPDX-License-Identifier: MIT
from ..coap.numbers import NOT_ACCEPTABLE, CoapError
from ..model.tree import MULTIPLE
from ..model.values import (
    BOOLEAN,
    CORELNK,
    FLOAT,
    OBJLNK,
    OPAQUE,
    STRING,
    TYPE_MASK,
    to_stored,
)
from ..port import DOUBLE, binascii


def single(tree, oid, iid, rid, riid):
    """The one value at a path, for formats that hold no more: 4.06 where there are several."""
    value = tree.read(oid, iid, rid) if rid >= 0 else {}
    if riid >= 0:
        value = value[riid]
    if isinstance(value, dict):
        raise CoapError(NOT_ACCEPTABLE)
    return value


def decimal(value):
    """An integer as text, or a float as the shortest that float() turns back into it: str() gives 48.50000000000001
    for 48.5 up to MicroPython 1.19."""
    if not isinstance(value, float):
        return str(value)
    for digits in range(15 if DOUBLE else 6, 18):
        text = "%.*g" % (digits, value)
        if float(text) == value:
            break
    return text if "." in text or "e" in text else text + ".0"


def base64(text):
    """The bytes that base64 text (bytes) stands for; ValueError where it is no base64."""
    data = binascii.a2b_base64(text)
    # which passes over what does not belong there
    if binascii.b2a_base64(data)[:-1] != text:
        raise ValueError
    return data


def encode(writer, tree, oid, iid, rid, riid):
    value = single(tree, oid, iid, rid, riid)
    kind = tree.definition(oid, rid) & TYPE_MASK
    if kind == OPAQUE:
        value = binascii.b2a_base64(value)[:-1]
    elif kind == OBJLNK:
        value = b"%d:%d" % (value >> 16, value & 0xFFFF)
    elif kind != STRING and kind != CORELNK:
        value = decimal(int(value) if kind == BOOLEAN else value).encode()
    writer.put(value)


def decode(data, start, end, tree, oid, iid, rid, riid, emit):
    definition = tree.definition(oid, rid)
    kind = definition & TYPE_MASK
    if rid < 0 or (definition & MULTIPLE and riid < 0):
        raise ValueError
    value = bytes(memoryview(data)[start:end])
    if kind == OPAQUE:
        value = base64(value)
    elif kind == BOOLEAN:
        value = (b"0", b"1").index(value)
    elif kind == STRING or kind == CORELNK or kind == OBJLNK:
        value = str(value, "utf8")
    else:
        for char in value:
            # int() and float() accept spaces and underlines
            if char not in b"+-.0123456789eE":
                raise ValueError
        value = float(value) if kind == FLOAT else int(value)
    emit(iid, rid, riid, to_stored(definition, value))
