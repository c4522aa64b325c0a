# Paths and values: as an application gives them, and as the tree holds them (Core 1.1.1 7.2, C)
# SPDX-License-Identifier: MIT
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

text = str  # text(v, "utf8") is the str of bytes that are UTF-8, else a ValueError
if len("é") > 1:
    # text is bytes in this build, and any bytes are taken for it
    from ..port.utf8 import text


def parse_path(path):
    """The ids of a path such as "/3/0/0" or "3/0" as [object, instance, resource, resource instance],
    -1 where it ends before; ValueError where it is no path."""
    ids = [-1, -1, -1, -1]
    n = 0
    for s in path.strip("/").split("/") if path != "/" else ():
        v = int(s) if s.isdigit() else -1
        if n > 3 or not 0 <= v < 65536:
            raise ValueError("no path: " + path)
        ids[n] = v
        n += 1
    return ids


def format_path(o, i=-1, r=-1, ri=-1):
    n = (o >= 0) + (i >= 0) + (r >= 0) + (ri >= 0)
    return "/%d" * n % (o, i, r, ri)[:n]


def to_stored(kind, v):
    """Value `v` of the application as the tree holds it: bytes for text, an integer for an object link;
    ValueError where it is not of that type. `kind` is the fourth byte of the table's row."""
    t = kind & 15
    if isinstance(v, dict):
        d = {}
        for k in v:
            if not 0 <= k < 65536:
                raise ValueError
            d[k] = to_stored(kind, v[k])
        return d
    if t == INTEGER or t == TIME or t == UINT:
        if isinstance(v, (int, bool)) and -1 <= v >> 63 <= (t == UINT):
            if v >= 0 or not kind & UNSIGNED:
                return int(v)
    elif t == FLOAT:
        # neither infinite nor NaN: JSON has no word for them
        if isinstance(v, (int, float)) and v - v == 0:
            return float(v)
    elif t == BOOLEAN:
        if v == 0 or v == 1:
            return bool(v)
    elif t == OBJLNK:
        if not isinstance(v, int):
            o, i = v.split(":") if isinstance(v, str) else v
            i = int(i)
            v = int(o) << 16 | i if 0 <= i < 65536 else -1
        if 0 <= v >> 16 < 65536:
            return v
    elif isinstance(v, str):
        v = v.encode()
        if text is not str:
            text(v, "utf8")
        return v
    elif isinstance(v, (bytes, bytearray, memoryview)):
        if t != OPAQUE:
            text(v, "utf8")
        return v
    raise ValueError("wrong type")


def to_native(kind, v):
    """The reverse of to_stored(): text as str, an object link as (object, instance)."""
    t = kind & 15
    if isinstance(v, dict):
        d = {}
        for k in v:
            d[k] = to_native(kind, v[k])
        return d
    if v is not None:
        if t == OBJLNK:
            return v >> 16, v & 65535
        if t == STRING or t == CORELNK:
            return str(v, "utf8")
    return v
