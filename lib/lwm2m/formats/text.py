# Plain text (Core 1.1.1 7.4.1): the value of one resource; opaque values as base64
# SPDX-License-Identifier: MIT
from ..coap import CoapError
from ..port import DOUBLE, binascii
from ..tree import canonical

# types, as in tree.py
_STRING = const(1)
_FLOAT = const(3)
_BOOLEAN = const(4)
_OPAQUE = const(5)
_OBJLNK = const(7)
_CORELNK = const(9)


def single(tree, o, i, r, ri):
    """The one value at a path, for formats that hold no more: 4.06 where there are several."""
    v = tree.read(o, i, r) if r >= 0 else {}
    if ri >= 0:
        v = v[ri]
    if isinstance(v, dict):
        raise CoapError(0x86)
    return v


def decimal(v):
    """An integer as text, or a float as the shortest that float() turns back into it: str() gives 48.50000000000001
    for 48.5 up to MicroPython 1.19."""
    if not isinstance(v, float):
        return str(v)
    for digits in range(15 if DOUBLE else 6, 18):
        text = "%.*g" % (digits, v)
        if float(text) == v:
            break
    return text if "." in text or "e" in text else text + ".0"


def base64(v):
    """The bytes that base64 text `v` (bytes) stands for; ValueError where it is no base64."""
    d = binascii.a2b_base64(v)
    # which passes over what does not belong there
    if binascii.b2a_base64(d)[:-1] != v:
        raise ValueError
    return d


def encode(w, tree, o, i, r, ri):
    v = single(tree, o, i, r, ri)
    t = tree.row(o, r) & 15
    if t == _OPAQUE:
        v = binascii.b2a_base64(v)[:-1]
    elif t == _OBJLNK:
        v = b"%d:%d" % (v >> 16, v & 65535)
    elif t != _STRING and t != _CORELNK:
        v = decimal(int(v) if t == _BOOLEAN else v).encode()
    w.put(v)


def decode(d, a, b, tree, o, i, r, ri, emit):
    row = tree.row(o, r)
    t = row & 15
    if r < 0 or (row & 0x800 and ri < 0):
        raise ValueError
    v = bytes(memoryview(d)[a:b])
    if t == _OPAQUE:
        v = base64(v)
    elif t == _BOOLEAN:
        v = (b"0", b"1").index(v)
    elif t != _STRING and t != _CORELNK and t != _OBJLNK:
        for c in v:
            # int() and float() accept spaces and underlines
            if c not in b"+-.0123456789eE":
                raise ValueError
        v = float(v) if t == _FLOAT else int(v)
    else:
        v = str(v, "utf8")
    emit(i, r, ri, canonical(row, v))
