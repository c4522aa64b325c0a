# Opaque (Core 1.1.1 7.4.2): the bytes of one opaque resource
# SPDX-License-Identifier: MIT
from ..coap.numbers import CoapError
from .text import single

# 5 is the type opaque, as in tree.py


def encode(w, tree, o, i, r, ri):
    if tree.definition(o, r) & 15 != 5:
        raise CoapError(0x86)
    w.put(single(tree, o, i, r, ri))


def decode(d, a, b, tree, o, i, r, ri, emit):
    if tree.definition(o, r) & 15 != 5:
        raise CoapError(0x8F)
    emit(i, r, ri, bytes(memoryview(d)[a:b]))
