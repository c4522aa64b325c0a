# DTLS's numbers: states of a connection, cipher suites, types, extensions and alerts (RFC 5246, RFC 6347)
# SPDX-License-Identifier: MIT

# states of a connection
CLOSED = const(0)
CONNECTING = const(1)
OPEN = const(2)
FAILED = const(3)

# `error` of a connection that failed without an alert
SILENT = const(-1)  # the server did not answer
SILENT_TO_FINISHED = const(-2)  # only the end went unanswered: a wrong key most of the time

# cipher suites
PSK_AES_128_CCM_8 = const(0xC0A8)  # RFC 6655
PSK_AES_128_CBC_SHA256 = const(0xAE)  # RFC 5487
EMPTY_RENEGOTIATION_INFO_SCSV = const(0xFF)  # there is no renegotiation (RFC 5746 3.3)

# types of records
CHANGE_CIPHER_SPEC = const(20)
ALERT = const(21)
HANDSHAKE = const(22)
APPLICATION_DATA = const(23)
TLS12_CID = const(25)  # one with a Connection ID, its own type is sealed (RFC 9146)

# types of handshake messages
HELLO_REQUEST = const(0)
CLIENT_HELLO = const(1)
SERVER_HELLO = const(2)
HELLO_VERIFY_REQUEST = const(3)
SERVER_KEY_EXCHANGE = const(12)
SERVER_HELLO_DONE = const(14)
CLIENT_KEY_EXCHANGE = const(16)
FINISHED = const(20)

# extensions
ENCRYPT_THEN_MAC = const(22)  # RFC 7366
EXTENDED_MASTER_SECRET = const(23)  # RFC 7627
CONNECTION_ID = const(54)  # RFC 9146
RENEGOTIATION_INFO = const(0xFF01)

# what was negotiated, bits of Connection.extensions
HAS_EXTENDED_MASTER_SECRET = const(1)
HAS_ENCRYPT_THEN_MAC = const(2)

# alerts (RFC 5246 7.2)
WARNING = const(1)
FATAL = const(2)
CLOSE_NOTIFY = const(0)
UNEXPECTED_MESSAGE = const(10)
HANDSHAKE_FAILURE = const(40)
BAD_CERTIFICATE = const(42)
ILLEGAL_PARAMETER = const(47)
DECODE_ERROR = const(50)
DECRYPT_ERROR = const(51)
PROTOCOL_VERSION = const(70)
NO_RENEGOTIATION = const(100)
UNSUPPORTED_EXTENSION = const(110)
