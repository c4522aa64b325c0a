# TLS_PSK_WITH_AES_128_CBC_SHA256 (RFC 5487), for servers that offer nothing else; encrypt-then-MAC where they can
# SPDX-License-Identifier: MIT
from ..crypto.prf import hmac_pads
from ..crypto.provider import aes, sha256
from ..port import struct
from .numbers import HAS_ENCRYPT_THEN_MAC

_ECB = const(1)
_CBC = const(2)
_IV = const(16)
_MAC = const(32)


def associated_data(record_type, number, cid, length):
    """What the MAC of a record covers before its bytes (RFC 5246 6.2.3.1, RFC 9146 5.1 and 5.2)."""
    header = bytes((record_type, 254, 253))
    if cid:
        header = b"\xff" * 8 + bytes((record_type, len(cid))) + header + number + cid
    else:
        header = number + header
    return header + length.to_bytes(2, "big")


def differ(one, other):
    """0 where they are equal, in a time that tells nothing of the place of a difference."""
    return int.from_bytes(one, "big") ^ int.from_bytes(other, "big")


class Cbc:
    """One direction.

    keys: the key block; side: 0 the client's half of it, 1 the server's; extensions: says whether
    encrypt-then-MAC (RFC 7366) was negotiated; cid: the records' Connection ID.
    Without encrypt-then-MAC the time that a bad record takes depends a little on its padding: prefer CCM."""

    HEAD = _IV  # bytes between a record's header and its ciphertext

    def __init__(self, keys, side, extensions, cid):
        self.inner, self.outer = hmac_pads(keys[32 * side : 32 * side + 32])
        self.key = keys[64 + 16 * side : 80 + 16 * side]
        self.encrypt_then_mac = extensions & HAS_ENCRYPT_THEN_MAC
        self.cid = cid

    def mac(self, record_type, number, data):
        inner = sha256(self.inner)
        inner.update(associated_data(record_type, number, self.cid, len(data)))
        inner.update(data)
        return sha256(self.outer + inner.digest()).digest()

    def seal(self, record_type, number, data, start, end):
        """Seal data[start:end] in place, the IV goes before it, MAC and padding behind; the new end."""
        # A unique number, enciphered, is an IV that nobody can foretell (NIST SP 800-38A, appendix C).
        iv = aes(self.key, _ECB).encrypt(number + bytes(8))
        struct.pack_into("16s", data, start - _IV, iv)
        if not self.encrypt_then_mac:
            struct.pack_into("32s", data, end, self.mac(record_type, number, data[start:end]))
            end += _MAC
        padding = 16 - (end - start & 15)
        for end in range(end, end + padding):
            data[end] = padding - 1
        end += 1
        aes(self.key, _CBC, iv).encrypt(data[start:end], data[start:end])
        if self.encrypt_then_mac:
            mac = self.mac(record_type, number, data[start - _IV : end])
            struct.pack_into("32s", data, end, mac)
            end += _MAC
        return end

    def open(self, record_type, number, body):
        """The plaintext of a record's body as a memoryview, or None where it is not authentic."""
        length = len(body) - _IV - _MAC
        if length < 16 or length & 15:
            return None
        bad = 0
        if self.encrypt_then_mac:
            bad = differ(self.mac(record_type, number, body[:-_MAC]), body[-_MAC:])
            body = body[:-_MAC]
        data = bytearray(len(body) - _IV)
        aes(self.key, _CBC, bytes(body[:_IV])).decrypt(body[_IV:], data)
        longest = len(data) - (0 if self.encrypt_then_mac else _MAC)
        padding = data[-1] + 1
        if padding > longest:
            bad = padding = 1
        for i in range(len(data) - padding, len(data)):
            bad |= data[i] ^ padding - 1
        data = memoryview(data)[: len(data) - padding]
        if not self.encrypt_then_mac:
            mac = data[-_MAC:]
            data = data[:-_MAC]
            bad |= differ(self.mac(record_type, number, data), mac)
        return None if bad else data
