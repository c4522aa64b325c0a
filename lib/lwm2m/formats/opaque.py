# Opaque (Core 1.1.1 7.4.2): the bytes of one opaque resource
# SPDX-License-Identifier: MIT
from ..coap.numbers import NOT_ACCEPTABLE, UNSUPPORTED_CONTENT_FORMAT, CoapError
from ..model.values import OPAQUE, TYPE_MASK
from .text import single


def encode(writer, tree, oid, iid, rid, riid):
    if tree.definition(oid, rid) & TYPE_MASK != OPAQUE:
        raise CoapError(NOT_ACCEPTABLE)
    writer.put(single(tree, oid, iid, rid, riid))


def decode(data, start, end, tree, oid, iid, rid, riid, emit):
    if tree.definition(oid, rid) & TYPE_MASK != OPAQUE:
        raise CoapError(UNSUPPORTED_CONTENT_FORMAT)
    emit(iid, rid, riid, bytes(memoryview(data)[start:end]))
