# Content formats: one file each, found by number; what is not there is answered 4.15 or 4.06
# SPDX-License-Identifier: MIT
#
# A format has encode(writer, tree, o, i, r, ri), which puts what stands at a path (-1 where it ends), and
# decode(data, start, end, tree, o, i, r, ri, emit), which calls emit(i, r, ri, value) for each value, with
# None for a resource that the tables do not have; malformed data raises CoapError, ValueError or IndexError.
# {} is a multiple resource, perhaps an empty one, (i, -1, -1, None) an instance. encode() may be called several
# times for a body, as blocks are cut out of it; what it can't hold is CoapError(0x86).
#
# One that holds several paths has also encode_all(writer, tree, paths), each path (o, i, r, ri), and
# decode_all(data, start, end, tree, emit), which calls emit(o, i, r, ri, value), value None for a path alone:
# composite operations and Send are for those.
#
# A new one needs its number below and its file in manifest.py; Client.links() names those that servers are told of.
# fmt: off
# Numbers above 11500 stand here less 10000, and so beside the ones that LwM2M 1.0 began with.
_FILES = (
    0, "text",
    42, "opaque",
    60, "cbor",
    110, "senml_json",
    112, "senml_cbor",
    1541, "text",
    1542, "tlv",
    1543, "json",
    1544, "lwm2m_cbor",
)
# fmt: on


def find_format(ct):
    """The module of content format `ct`, or None."""
    try:
        return __import__(
            _FILES[_FILES.index(ct - 10000 if ct > 11500 else ct) + 1],
            globals(),
            None,
            ("encode",),
            1,
        )
    except (ImportError, ValueError):
        return None
