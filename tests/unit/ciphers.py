# CCM_8, CBC with HMAC-SHA256, and the PRF of TLS 1.2, for the test's own DTLS server: none of it is the library's
# SPDX-License-Identifier: MIT
from link import sha256

try:
    from cryptolib import aes
except ImportError:
    # a board without AES: the library's, which test_dtls_fallback.py holds against published vectors
    from lwm2m.crypto.aes import aes

ECB, CBC = 1, 2


def xor(a, b):
    n = len(a)
    return (int.from_bytes(a, "big") ^ int.from_bytes(b[:n], "big")).to_bytes(n, "big")


def hmac(key, text):
    if len(key) > 64:
        key = sha256(key).digest()
    key = key + bytes(64 - len(key))
    inner = sha256(xor(key, b"\x36" * 64) + text).digest()
    return sha256(xor(key, b"\x5c" * 64) + inner).digest()


def prf(secret, label, n):
    """`n` bytes of P_SHA256 (RFC 5246 5), `label` with the seed behind it."""
    out = b""
    a = label
    while len(out) < n:
        a = hmac(secret, a)
        out += hmac(secret, a + label)
    return out[:n]


def additional(typ, number, cid, n):
    """What is authenticated before the content (RFC 5246 6.2.3.3; RFC 9146 5)."""
    size = bytes((n >> 8, n & 255))
    if cid:
        return b"\xff" * 8 + bytes((25, len(cid), 25, 254, 253)) + number + cid + size
    return number + bytes((typ, 254, 253)) + size


class Ccm:
    """AES-128-CCM-8 (RFC 3610, RFC 6655): what protects records in one direction."""

    def __init__(self, key, salt, cid):
        self.key = key
        self.salt = salt
        self.cid = cid

    def tag(self, nonce, more, text):
        """The CBC-MAC of additional data and content."""
        n = len(text)
        data = bytes((0x5A,)) + nonce + bytes((n >> 16, n >> 8 & 255, n & 255))
        more = bytes((len(more) >> 8, len(more) & 255)) + more
        for part in (more, text):
            data += part + bytes(-len(part) & 15)
        return aes(self.key, CBC, bytes(16)).encrypt(data)[-16:-8]

    def stream(self, nonce, n):
        """The key stream: 8 bytes for the tag, then those for the content."""
        blocks = b"".join(
            [bytes((2,)) + nonce + bytes((0, k >> 8, k & 255)) for k in range((n + 31) // 16)]
        )
        out = aes(self.key, ECB).encrypt(blocks)
        return out[:8], out[16 : n + 16]

    def seal(self, typ, number, text):
        """The body of a record; `number` is epoch and sequence number, 8 bytes."""
        nonce = self.salt + number
        first, rest = self.stream(nonce, len(text))
        tag = self.tag(nonce, additional(typ, number, self.cid, len(text)), text)
        return number + xor(text, rest) + xor(tag, first)

    def open(self, typ, number, body):
        """The content of a record, None where it is not authentic."""
        body = bytes(body)
        n = len(body) - 16
        if n < 0:
            return None
        nonce = self.salt + body[:8]
        first, rest = self.stream(nonce, n)
        text = xor(body[8:-8], rest)
        tag = self.tag(nonce, additional(typ, number, self.cid, n), text)
        return text if xor(tag, first) == body[-8:] else None


class Cbc:
    """AES-128-CBC with HMAC-SHA256 (RFC 5246 6.2.3.2), or encrypt-then-MAC (RFC 7366)."""

    def __init__(self, key, secret, etm, cid):
        self.key = key
        self.secret = secret
        self.etm = etm
        self.cid = cid

    def mac(self, typ, number, text):
        return hmac(self.secret, additional(typ, number, self.cid, len(text)) + text)

    def seal(self, typ, number, text, padding=None, mac=None):
        """The body of a record. `padding` (bytes) and `mac` stand for what would be right, for forgeries."""
        iv = sha256(number).digest()[:16]
        if not self.etm:
            text += self.mac(typ, number, text) if mac is None else mac
        if padding is None:
            n = 15 - len(text) % 16
            padding = bytes((n,)) * (n + 1)
        body = iv + aes(self.key, CBC, iv).encrypt(text + padding)
        if self.etm:
            body += self.mac(typ, number, body) if mac is None else mac
        return body

    def open(self, typ, number, body):
        body = bytes(body)
        if self.etm:
            if self.mac(typ, number, body[:-32]) != body[-32:]:
                return None
            body = body[:-32]
        if len(body) < 32 or len(body) % 16:
            return None
        text = aes(self.key, CBC, body[:16]).decrypt(body[16:])
        if (
            not text
            or text[-1] + 1 > len(text)
            or text[-text[-1] - 1 :] != text[-1:] * (text[-1] + 1)
        ):
            return None
        text = text[: -text[-1] - 1]
        if self.etm:
            return text
        return text[:-32] if self.mac(typ, number, text[:-32]) == text[-32:] else None
