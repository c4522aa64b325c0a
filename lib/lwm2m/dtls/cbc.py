# TLS_PSK_WITH_AES_128_CBC_SHA256 (RFC 5487), for servers that offer nothing else; encrypt-then-MAC where they can
# SPDX-License-Identifier: MIT
from ..crypto.provider import aes, sha256
from ..port import struct


def aad(typ, number, cid, n):
    """What the MAC of a record covers before its `n` bytes (RFC 5246 6.2.3.1, RFC 9146 5.1 and 5.2)."""
    head = bytes((typ, 254, 253))
    if cid:
        head = b"\xff" * 8 + bytes((typ, len(cid))) + head + number + cid
    else:
        head = number + head
    return head + n.to_bytes(2, "big")


class Cbc:
    """One direction; `keys` is the key block, `side` 0 the client's half, `ems` & 2 says encrypt-then-MAC (RFC 7366).

    Without encrypt-then-MAC the time that a bad record takes depends a little on its padding: prefer CCM.
    """

    HEAD = 16  # bytes of IV between header and ciphertext

    def __init__(self, keys, side, ems, cid):
        k = int.from_bytes(keys[32 * side : 32 * side + 32] + bytes(32), "big")
        self.inner = (k ^ int.from_bytes(b"\x36" * 64, "big")).to_bytes(64, "big")
        self.outer = (k ^ int.from_bytes(b"\x5c" * 64, "big")).to_bytes(64, "big")
        self.key = keys[64 + 16 * side : 80 + 16 * side]
        self.etm = ems & 2
        self.cid = cid

    def mac(self, typ, number, m):
        h = sha256(self.inner)
        h.update(aad(typ, number, self.cid, len(m)))
        h.update(m)
        return sha256(self.outer + h.digest()).digest()

    def seal(self, typ, number, m, start, end):
        """Seal m[start:end] in place, the IV goes before it, MAC and padding behind; the new end."""
        # A unique number, enciphered, is an IV that nobody can foretell (NIST SP 800-38A, appendix C).
        iv = aes(self.key, 1).encrypt(number + bytes(8))
        struct.pack_into("16s", m, start - 16, iv)
        if not self.etm:
            struct.pack_into("32s", m, end, self.mac(typ, number, m[start:end]))
            end += 32
        n = 16 - (end - start & 15)
        for end in range(end, end + n):
            m[end] = n - 1
        end += 1
        aes(self.key, 2, iv).encrypt(m[start:end], m[start:end])
        if self.etm:
            struct.pack_into("32s", m, end, self.mac(typ, number, m[start - 16 : end]))
            end += 32
        return end

    def open(self, typ, number, m):
        """The plaintext of a record's body as a memoryview, or None where it is not authentic."""
        n = len(m) - 48
        if n < 16 or n & 15:
            return
        bad = 0
        if self.etm:
            bad = int.from_bytes(self.mac(typ, number, m[:-32]), "big") ^ int.from_bytes(
                m[-32:], "big"
            )
            m = m[:-32]
        b = bytearray(len(m) - 16)
        aes(self.key, 2, bytes(m[:16])).decrypt(m[16:], b)
        n = len(b) - (0 if self.etm else 32)
        k = b[-1] + 1
        if k > n:
            bad = k = 1
        for i in range(len(b) - k, len(b)):
            bad |= b[i] ^ k - 1
        b = memoryview(b)[: len(b) - k]
        if not self.etm:
            i = b[-32:]
            b = b[:-32]
            bad |= int.from_bytes(self.mac(typ, number, b), "big") ^ int.from_bytes(i, "big")
        if not bad:
            return b
