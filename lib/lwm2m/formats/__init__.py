# Content formats: one file each, found by number; what is not there is answered 4.15 or 4.06
# SPDX-License-Identifier: MIT
#
# A format has encode(writer, tree, oid, iid, rid, riid), which puts what stands at a path (-1 where it ends), and
# decode(data, start, end, tree, oid, iid, rid, riid, emit), which calls emit(iid, rid, riid, value) for each value,
# with None for a resource that the tables do not have; malformed data raises CoapError, ValueError or IndexError.
# {} is a multiple resource, perhaps an empty one, (iid, -1, -1, None) an instance. encode() may be called several
# times for a body, as blocks are cut out of it; what it can't hold is CoapError(0x86).
#
# One that holds several paths has also encode_all(writer, tree, paths), each path (oid, iid, rid, riid), and
# decode_all(data, start, end, tree, emit), which calls emit(oid, iid, rid, riid, value), value None for a path alone:
# composite operations and Send are for those.
#
# A new one needs a line below and its file in manifest.py.
from ..coap.numbers import (
    CBOR,
    LWM2M_CBOR,
    LWM2M_JSON,
    OPAQUE_FORMAT,
    SENML_CBOR,
    SENML_JSON,
    TEXT,
    TLV,
)

# what drafts of LwM2M 1.0 had, and some servers still have
_DRAFT_TEXT = const(1541)
_DRAFT_TLV = const(1542)
_DRAFT_JSON = const(1543)
_OMA_TEXT = const(11541)

# Numbers and files. A registration names the formats of the lines before that of text, in this order (Core 1.1.1
# 6.2.1). The packer takes out the lines whose files an image lacks, and makes _COMPLETE 1.
_COMPLETE = const(0)
# fmt: off
_FILES = (
    CBOR, "cbor",
    SENML_JSON, "senml_json",
    SENML_CBOR, "senml_cbor",
    TLV, "tlv",
    LWM2M_JSON, "json",
    LWM2M_CBOR, "lwm2m_cbor",
    TEXT, "text",
    OPAQUE_FORMAT, "opaque",
    _DRAFT_TEXT, "text",
    _OMA_TEXT, "text",
    _DRAFT_TLV, "tlv",
    _DRAFT_JSON, "json",
)
# fmt: on


_loaded = {}  # {number: module}: importing one again takes much longer


def find_format(number):
    """The module of a content format, or None."""
    found = _loaded.get(number)
    if not found:
        try:
            name = _FILES[_FILES.index(number) + 1]
            _loaded[number] = found = __import__(name, globals(), None, ("encode",), 1)
        except (ImportError, ValueError):
            pass
    return found


def has_format(number):
    """Does the image have a content format? Where its list is complete, without loading the format's file."""
    return number in _FILES and (_COMPLETE or find_format(number) is not None)


def announced():
    """The numbers of the formats that a registration names, of those that this image has."""
    numbers = [_FILES[at] for at in range(0, _FILES.index(TEXT), 2)]
    return [number for number in numbers if has_format(number)]
