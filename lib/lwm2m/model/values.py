# Paths and values: as an application gives them, and as the tree holds them (Core 1.1.1 7.2, C)
# SPDX-License-Identifier: MIT
from ..ids import ABSENT

# types of resources, the low four bits of a definition; UNSIGNED excludes negative integers
STRING = const(1)
INTEGER = const(2)
FLOAT = const(3)
BOOLEAN = const(4)
OPAQUE = const(5)
TIME = const(6)
OBJLNK = const(7)
UINT = const(8)
CORELNK = const(9)
UNSIGNED = const(128)
TYPE_MASK = const(15)

_IDS = const(65536)  # ids are below that

text = str  # text(v, "utf8") is the str of bytes that are UTF-8, else a ValueError
if len("é") > 1:
    # text is bytes in this build, and any bytes are taken for it
    from ..port.utf8 import text


def parse_path(path):
    """The ids of a path such as "/3/0/0" or "3/0" as [object, instance, resource, resource instance],
    -1 where it ends before; ValueError where it is no path."""
    ids = [ABSENT, ABSENT, ABSENT, ABSENT]
    depth = 0
    for segment in path.strip("/").split("/") if path != "/" else ():
        number = int(segment) if segment.isdigit() else -1
        if depth == len(ids) or not 0 <= number < _IDS:
            raise ValueError("no path: " + path)
        ids[depth] = number
        depth += 1
    return ids


def format_path(oid, iid=-1, rid=-1, riid=-1):
    """The reverse of parse_path(), with a slash in front; "" for the root."""
    depth = (oid >= 0) + (iid >= 0) + (rid >= 0) + (riid >= 0)
    return "/%d" * depth % (oid, iid, rid, riid)[:depth]


def to_stored(definition, value):
    """A value of the application as the tree holds it: bytes for text, an integer for an object link (object
    << 16 | instance), a dict of these for a multiple resource; ValueError or TypeError where it is not of the
    definition's type."""
    kind = definition & TYPE_MASK
    if isinstance(value, dict):
        stored = {}
        for riid in value:
            if not 0 <= riid < _IDS:
                raise ValueError
            stored[riid] = to_stored(definition, value[riid])
        return stored
    if kind == INTEGER or kind == TIME or kind == UINT:
        # 64 bits, the upper half of which only an Unsigned Integer has
        if isinstance(value, (int, bool)) and -1 <= value >> 63 <= (kind == UINT):
            if value >= 0 or not definition & UNSIGNED:
                return int(value)
    elif kind == FLOAT:
        if isinstance(value, (int, float)):
            # neither infinite, as an integer of 310 digits is then, nor NaN: JSON has no word for them
            value = float(value)
            if value - value == 0:
                return value
    elif kind == BOOLEAN:
        if value == 0 or value == 1:
            return bool(value)
    elif kind == OBJLNK:
        return stored_link(value)
    else:
        return stored_bytes(kind, value)
    raise ValueError("wrong type")


def stored_link(value):
    """An object link, given as an integer, (object, instance) or "object:instance", as an integer."""
    if not isinstance(value, int):
        oid, iid = value.split(":") if isinstance(value, str) else value
        iid = int(iid)
        value = int(oid) << 16 | iid if 0 <= iid < _IDS else -1
    if not 0 <= value >> 16 < _IDS:
        raise ValueError("no object link")
    return value


def stored_bytes(kind, value):
    """Text, or what an opaque resource has, as bytes of its own: a buffer may be used again."""
    if isinstance(value, str):
        value = value.encode()
        if text is not str:
            text(value, "utf8")
    elif not isinstance(value, (bytes, bytearray, memoryview)):
        raise ValueError("wrong type")
    elif kind != OPAQUE:
        text(value, "utf8")
    # a copy of what the application may change later
    return value if isinstance(value, bytes) else bytes(value)


def to_native(definition, value):
    """The reverse of to_stored(): text as str, an object link as (object, instance)."""
    kind = definition & TYPE_MASK
    if isinstance(value, dict):
        return {riid: to_native(definition, value[riid]) for riid in value}
    if value is not None:
        if kind == OBJLNK:
            return value >> 16, value & 0xFFFF
        if kind == STRING or kind == CORELNK:
            return str(value, "utf8")
    return value
