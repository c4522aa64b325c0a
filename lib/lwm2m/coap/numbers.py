# CoAP's numbers: types, methods, response codes, options and content formats (RFC 7252 12; Core 1.1.1 7.4)
# SPDX-License-Identifier: MIT

# message types
CON = const(0)
NON = const(1)
ACK = const(2)
RST = const(3)

# methods
EMPTY = const(0)
GET = const(1)
POST = const(2)
PUT = const(3)
DELETE = const(4)
FETCH = const(5)
PATCH = const(6)
IPATCH = const(7)
LAST_METHOD = const(31)

# response codes: class << 5 | detail
FIRST_RESPONSE = const(64)
CREATED = const(0x41)  # 2.01
DELETED = const(0x42)
CHANGED = const(0x44)
CONTENT = const(0x45)
CONTINUE = const(0x5F)  # 2.31
FIRST_ERROR = const(0x80)
BAD_REQUEST = const(0x80)  # 4.00
UNAUTHORIZED = const(0x81)
BAD_OPTION = const(0x82)
FORBIDDEN = const(0x83)
NOT_FOUND = const(0x84)
METHOD_NOT_ALLOWED = const(0x85)
NOT_ACCEPTABLE = const(0x86)
REQUEST_ENTITY_INCOMPLETE = const(0x88)
PRECONDITION_FAILED = const(0x8C)
REQUEST_ENTITY_TOO_LARGE = const(0x8D)
UNSUPPORTED_CONTENT_FORMAT = const(0x8F)
INTERNAL_SERVER_ERROR = const(0xA0)  # 5.00
SERVICE_UNAVAILABLE = const(0xA3)
PROXYING_NOT_SUPPORTED = const(0xA5)

# what an exchange ends with where no response came
ACKNOWLEDGED = const(0)
RESET = const(-1)
TIMED_OUT = const(-2)

# options
IF_MATCH = const(1)
URI_HOST = const(3)
ETAG = const(4)
OBSERVE = const(6)
URI_PORT = const(7)
LOCATION_PATH = const(8)
URI_PATH = const(11)
CONTENT_FORMAT = const(12)
URI_QUERY = const(15)
ACCEPT = const(17)
BLOCK2 = const(23)
BLOCK1 = const(27)
SIZE2 = const(28)
PROXY_URI = const(35)
PROXY_SCHEME = const(39)
SIZE1 = const(60)

# a Block option's value: number << 4 | more << 3 | size exponent (RFC 7959 2.2)
MORE_BLOCKS = const(8)
SZX_MASK = const(7)
SZX_RESERVED = const(7)

# content formats
TEXT = const(0)
LINK_FORMAT = const(40)
OPAQUE_FORMAT = const(42)
CBOR = const(60)
SENML_JSON = const(110)
SENML_CBOR = const(112)
SENML_ETCH_JSON = const(320)
SENML_ETCH_CBOR = const(322)
TLV = const(11542)
LWM2M_JSON = const(11543)
LWM2M_CBOR = const(11544)


class CoapError(Exception):
    """A refusal that carries its response code in `args[0]`, as RFC 7252 5.9 numbers it (0x84 is 4.04).
    A request that is malformed raises ValueError instead: 4.00."""
