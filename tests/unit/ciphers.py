# AES-128, CCM_8, CBC with HMAC-SHA256, and the PRF of TLS 1.2, for the test's own DTLS server: none of it is the library's
# SPDX-License-Identifier: MIT
from hashlib import sha256


def _tables():
    """The S-box of AES, from the powers of 3 in GF(2^8)."""
    power = [1]
    for _ in range(254):
        x = power[-1]
        x = x << 1 ^ x
        power.append(x ^ 0x11B if x > 255 else x)
    box = bytearray(256)
    box[0] = 0x63
    for k in range(255):
        inverse = power[(255 - k) % 255]
        x = 0
        for shift in range(5):
            x ^= inverse << shift | inverse >> 8 - shift
        box[power[k]] = x & 255 ^ 0x63
    return bytes(box)


_BOX = _tables()
_BACK = bytes([_BOX.index(bytes((v,))) for v in range(256)])
_DOUBLE = bytes([(v << 1 ^ (0x1B if v > 127 else 0)) & 255 for v in range(256)])
_ROWS = bytes([(k + 4 * (k & 3)) & 15 for k in range(16)])  # ShiftRows: where a byte comes from


class Aes:
    """AES-128 (FIPS 197), block by block."""

    def __init__(self, key):
        words = [key[k : k + 4] for k in range(0, 16, 4)]
        constant = 1
        while len(words) < 44:
            w = words[-1]
            if len(words) % 4 == 0:
                w = bytes([_BOX[w[(k + 1) & 3]] for k in range(4)])
                w = bytes((w[0] ^ constant,)) + w[1:]
                constant = _DOUBLE[constant]
            words.append(bytes([a ^ b for a, b in zip(words[-4], w)]))
        self.keys = [b"".join(words[k : k + 4]) for k in range(0, 44, 4)]

    def encrypt(self, block):
        s = xor(block, self.keys[0])
        for key in self.keys[1:10]:
            s = [_BOX[s[k]] for k in _ROWS]
            out = bytearray(16)
            for k in range(0, 16, 4):
                a, b, c, d = s[k : k + 4]
                out[k] = _DOUBLE[a ^ b] ^ b ^ c ^ d ^ key[k]
                out[k + 1] = _DOUBLE[b ^ c] ^ c ^ d ^ a ^ key[k + 1]
                out[k + 2] = _DOUBLE[c ^ d] ^ d ^ a ^ b ^ key[k + 2]
                out[k + 3] = _DOUBLE[d ^ a] ^ a ^ b ^ c ^ key[k + 3]
            s = out
        return xor(bytes([_BOX[s[k]] for k in _ROWS]), self.keys[10])

    def decrypt(self, block):
        s = xor(block, self.keys[10])
        for n in range(9, -1, -1):
            back = bytearray(16)
            for k in range(16):
                back[_ROWS[k]] = _BACK[s[k]]
            s = xor(back, self.keys[n])
            if n:
                out = bytearray(16)
                for k in range(0, 16, 4):
                    # InvMixColumns is MixColumns of what this correction makes of the column.
                    a, b, c, d = s[k : k + 4]
                    u = _DOUBLE[_DOUBLE[a ^ c]]
                    v = _DOUBLE[_DOUBLE[b ^ d]]
                    a, b, c, d = a ^ u, b ^ v, c ^ u, d ^ v
                    out[k] = _DOUBLE[a ^ b] ^ b ^ c ^ d
                    out[k + 1] = _DOUBLE[b ^ c] ^ c ^ d ^ a
                    out[k + 2] = _DOUBLE[c ^ d] ^ d ^ a ^ b
                    out[k + 3] = _DOUBLE[d ^ a] ^ a ^ b ^ c
                s = out
        return bytes(s)


try:
    # The platform's AES, where it has one, saves seconds; it is not the library's either.
    from cryptolib import aes as _aes

    class Aes:
        def __init__(self, key):
            self.key = key

        def encrypt(self, block):
            return _aes(self.key, 1).encrypt(block)

        def decrypt(self, block):
            return _aes(self.key, 1).decrypt(block)

except ImportError:
    pass


def xor(a, b):
    return bytes([x ^ y for x, y in zip(a, b)])


def hmac(key, text):
    if len(key) > 64:
        key = sha256(key).digest()
    key = key + bytes(64 - len(key))
    inner = sha256(bytes([k ^ 0x36 for k in key]) + text).digest()
    return sha256(bytes([k ^ 0x5C for k in key]) + inner).digest()


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
        self.aes = Aes(key)
        self.salt = salt
        self.cid = cid

    def tag(self, nonce, more, text):
        """The CBC-MAC of additional data and content."""
        n = len(text)
        data = bytes((0x5A,)) + nonce + bytes((n >> 16, n >> 8 & 255, n & 255))
        more = bytes((len(more) >> 8, len(more) & 255)) + more
        for part in (more, text):
            data += part + bytes(-len(part) & 15)
        x = bytes(16)
        for k in range(0, len(data), 16):
            x = self.aes.encrypt(xor(x, data[k : k + 16]))
        return x[:8]

    def stream(self, nonce, n):
        """The key stream: 8 bytes for the tag, then those for the content."""
        out = self.aes.encrypt(bytes((2,)) + nonce + bytes(3))[:8]
        k = 1
        while len(out) < n + 8:
            out += self.aes.encrypt(bytes((2,)) + nonce + bytes((k >> 16, k >> 8 & 255, k & 255)))
            k += 1
        return out[:8], out[8 : n + 8]

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
        self.aes = Aes(key)
        self.secret = secret
        self.etm = etm
        self.cid = cid

    def mac(self, typ, number, text):
        return hmac(self.secret, additional(typ, number, self.cid, len(text)) + text)

    def cipher(self, iv, text):
        out = b""
        for k in range(0, len(text), 16):
            iv = self.aes.encrypt(xor(iv, text[k : k + 16]))
            out += iv
        return out

    def seal(self, typ, number, text, padding=None, mac=None):
        """The body of a record. `padding` (bytes) and `mac` stand for what would be right, for forgeries."""
        iv = sha256(number).digest()[:16]
        if not self.etm:
            text += self.mac(typ, number, text) if mac is None else mac
        if padding is None:
            n = 15 - len(text) % 16
            padding = bytes((n,)) * (n + 1)
        body = iv + self.cipher(iv, text + padding)
        if self.etm:
            body += self.mac(typ, number, body) if mac is None else mac
        return body

    def open(self, typ, number, body):
        body = bytes(body)
        if self.etm:
            if self.mac(typ, number, body[:-32]) != body[-32:]:
                return None
            body = body[:-32]
        text = b""
        for k in range(16, len(body), 16):
            text += xor(self.aes.decrypt(body[k : k + 16]), body[k - 16 : k])
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
