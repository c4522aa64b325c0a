# Opaque (Core 1.1.1 7.4.2): the bytes of one opaque resource
# SPDX-License-Identifier: MIT
from ..coap import CoapError
from ..tree import OPAQUE
from .text import single


def encode(w, tree, o, i, r, ri):
    if tree.row(o, r) & 15 != OPAQUE:
        raise CoapError(0x86)
    w.put(single(tree, o, i, r, ri))


def decode(d, a, b, tree, o, i, r, ri, emit):
    if tree.row(o, r) & 15 != OPAQUE:
        raise CoapError(0x8F)
    emit(i, r, ri, bytes(memoryview(d)[a:b]))
