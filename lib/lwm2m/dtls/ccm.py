# Records in AES-128-CCM-8 (RFC 6655), sealed and opened in place
# SPDX-License-Identifier: MIT
from ..crypto.provider import aes
from ..port import struct

_ECB = const(1)
_CBC = const(2)
_CHUNK = const(256)  # bytes that are ciphered in one go; a multiple of 16
_LONGEST = const(4080)  # bytes of content: the block counter has one byte here
_TAG = const(8)
_NONCE = const(8)  # its explicit part, which a record carries
_ZERO = bytes(16)

# CCM's flags: of the MAC's first block (a tag of 8 bytes, a length in 3), and of the counter blocks
_FIRST_BLOCK = b"\x5a"
_COUNTER_BLOCK = b"\2"

# In the blocks that the MAC begins with: the nonce's explicit part, the content's length, and, without a Connection
# ID, the record's type. The place of the record's number depends on the Connection ID.
_NONCE_AT = const(5)
_LENGTH_AT = const(14)
_NUMBER_AT = const(18)
_TYPE_AT = const(26)
_NUMBER_AT_WITH_CID = const(31)


def count(blocks, length, number):
    # Number the counter blocks in blocks[:length] from `number` on.
    for at in range(15, length, 16):
        blocks[at] = number
        number += 1


def xor(data, at, length, stream):
    # By long integers: a loop in bytecode takes ten times as long.
    value = int.from_bytes(data[at : at + length], "big") ^ int.from_bytes(stream[:length], "big")
    struct.pack_into("%ds" % length, data, at, value.to_bytes(length, "big"))


try:
    from ..crypto.viper import count, xor
except (ImportError, SyntaxError, ValueError):
    pass


class Ccm:
    """AES-128-CCM-8 in one direction.

    keys: the key block; side: 0 the client's half of it, 1 the server's; cid: the records' Connection ID.
    `extensions` is for other suites."""

    HEAD = _NONCE  # bytes between a record's header and its ciphertext

    def __init__(self, keys, side, extensions, cid):
        self.key = keys[16 * side : 16 * side + 16]
        self.ecb = aes(self.key, _ECB)
        # What the MAC covers besides the content: the record's header (RFC 6655 3, RFC 9146 5.3).
        header = bytes(8) + b"\x17\xfe\xfd\0\0"
        self.number_at = _NUMBER_AT
        if cid:
            header = b"\xff" * 8 + bytes((25, len(cid), 25, 254, 253)) + bytes(8) + cid + b"\0\0"
            self.number_at = _NUMBER_AT_WITH_CID
        self.length_at = len(header) + 16
        salt = keys[32 + 4 * side : 36 + 4 * side]
        blocks = _FIRST_BLOCK + salt + bytes(11) + len(header).to_bytes(2, "big") + header
        self.blocks = bytearray(blocks + bytes(-len(blocks) & 15))

    def crypt(self, record_type, number, nonce, data, at, left, opening):
        """Cipher `left` bytes of data from `at` on in place, the tag goes behind them: 16 bytes there must be 0."""
        blocks = self.blocks
        struct.pack_into("8s", blocks, _NONCE_AT, nonce)
        struct.pack_into("8s", blocks, self.number_at, number)
        if self.number_at == _NUMBER_AT:
            blocks[_TYPE_AT] = record_type
        blocks[_LENGTH_AT] = blocks[self.length_at] = left >> 8
        blocks[_LENGTH_AT + 1] = blocks[self.length_at + 1] = left & 255
        # A new CBC object for each record: dearer to keep and to rewind than to make.
        cbc = aes(self.key, _CBC, _ZERO)
        tag = cbc.encrypt(blocks)[-16:-8]
        counter_block = _COUNTER_BLOCK + blocks[1:13] + b"\0\0\0"
        counter = 1
        while left > 0:
            length = left if left < _CHUNK else _CHUNK
            padded = (length + 15) & -16
            if not opening:
                tag = cbc.encrypt(data[at : at + padded])[-16:-8]
            stream = bytearray(counter_block * (padded >> 4))
            count(stream, padded, counter)
            self.ecb.encrypt(stream, stream)
            xor(data, at, length, stream)
            if opening:
                cbc.encrypt(data[at : at + padded], stream)
                tag = stream[-16:-8]
            counter += 16
            at += length
            left -= length
        struct.pack_into("8s", data, at, tag)
        xor(data, at, _TAG, self.ecb.encrypt(counter_block))

    def seal(self, record_type, number, data, start, end):
        """Seal data[start:end] in place, the nonce goes before it and the tag behind; the new end."""
        struct.pack_into("8s", data, start - _NONCE, number)
        struct.pack_into("16s", data, end, _ZERO)
        self.crypt(record_type, number, number, data, start, end - start, False)
        return end + _TAG

    def open(self, record_type, number, body):
        """The plaintext of a record's body as a memoryview, or None where it is not authentic."""
        length = len(body) - _NONCE - _TAG
        if 0 <= length < _LONGEST:
            data = memoryview(bytearray(length + 16))
            struct.pack_into("%ds" % (length + 16), data, 0, body[_NONCE:-_TAG])
            self.crypt(record_type, number, body[:_NONCE], data, 0, length, True)
            # An XOR of the whole, so that the time tells nothing of the place of a difference.
            xor(data, length, _TAG, body[-_TAG:])
            if not int.from_bytes(data[length : length + _TAG], "big"):
                return data[:length]
        return None
