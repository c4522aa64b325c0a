# Plain text (Core 1.1.1 7.4.1): the value of one resource; opaque values as base64
# SPDX-License-Identifier: MIT
from ..coap.numbers import CoapError
from ..port import DOUBLE, binascii
from ..model.values import to_stored
from ..model.values import STRING, FLOAT, BOOLEAN, OPAQUE, OBJLNK, CORELNK


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
    t = tree.definition(o, r) & 15
    if t == OPAQUE:
        v = binascii.b2a_base64(v)[:-1]
    elif t == OBJLNK:
        v = b"%d:%d" % (v >> 16, v & 65535)
    elif t != STRING and t != CORELNK:
        v = decimal(int(v) if t == BOOLEAN else v).encode()
    w.put(v)


def decode(d, a, b, tree, o, i, r, ri, emit):
    row = tree.definition(o, r)
    t = row & 15
    if r < 0 or (row & 0x800 and ri < 0):
        raise ValueError
    v = bytes(memoryview(d)[a:b])
    if t == OPAQUE:
        v = base64(v)
    elif t == BOOLEAN:
        v = (b"0", b"1").index(v)
    elif t != STRING and t != CORELNK and t != OBJLNK:
        for c in v:
            # int() and float() accept spaces and underlines
            if c not in b"+-.0123456789eE":
                raise ValueError
        v = float(v) if t == FLOAT else int(v)
    else:
        v = str(v, "utf8")
    emit(i, r, ri, to_stored(row, v))
