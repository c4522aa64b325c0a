# AES-128 (FIPS 197) where the platform has no cryptolib: ECB and CBC with cryptolib's interface
# SPDX-License-Identifier: MIT
from ..port import struct

_SBOX = (
    b"\x63\x7c\x77\x7b\xf2\x6b\x6f\xc5\x30\x01\x67\x2b\xfe\xd7\xab\x76\xca\x82\xc9\x7d\xfa\x59\x47\xf0"
    b"\xad\xd4\xa2\xaf\x9c\xa4\x72\xc0\xb7\xfd\x93\x26\x36\x3f\xf7\xcc\x34\xa5\xe5\xf1\x71\xd8\x31\x15"
    b"\x04\xc7\x23\xc3\x18\x96\x05\x9a\x07\x12\x80\xe2\xeb\x27\xb2\x75\x09\x83\x2c\x1a\x1b\x6e\x5a\xa0"
    b"\x52\x3b\xd6\xb3\x29\xe3\x2f\x84\x53\xd1\x00\xed\x20\xfc\xb1\x5b\x6a\xcb\xbe\x39\x4a\x4c\x58\xcf"
    b"\xd0\xef\xaa\xfb\x43\x4d\x33\x85\x45\xf9\x02\x7f\x50\x3c\x9f\xa8\x51\xa3\x40\x8f\x92\x9d\x38\xf5"
    b"\xbc\xb6\xda\x21\x10\xff\xf3\xd2\xcd\x0c\x13\xec\x5f\x97\x44\x17\xc4\xa7\x7e\x3d\x64\x5d\x19\x73"
    b"\x60\x81\x4f\xdc\x22\x2a\x90\x88\x46\xee\xb8\x14\xde\x5e\x0b\xdb\xe0\x32\x3a\x0a\x49\x06\x24\x5c"
    b"\xc2\xd3\xac\x62\x91\x95\xe4\x79\xe7\xc8\x37\x6d\x8d\xd5\x4e\xa9\x6c\x56\xf4\xea\x65\x7a\xae\x08"
    b"\xba\x78\x25\x2e\x1c\xa6\xb4\xc6\xe8\xdd\x74\x1f\x4b\xbd\x8b\x8a\x70\x3e\xb5\x66\x48\x03\xf6\x0e"
    b"\x61\x35\x57\xb9\x86\xc1\x1d\x9e\xe1\xf8\x98\x11\x69\xd9\x8e\x94\x9b\x1e\x87\xe9\xce\x55\x28\xdf"
    b"\x8c\xa1\x89\x0d\xbf\xe6\x42\x68\x41\x99\x2d\x0f\xb0\x54\xbb\x16"
)
_TWICE = bytes([i << 1 ^ (i >> 7) * 0x11B for i in range(256)])


def cipher(b, o, k, s, t, x, j):
    """Encipher the block at b[o], after an XOR with that at x[j]; `k` are the round keys, `s` the S-box, `t` 16 bytes
    to work in."""
    m = _TWICE
    v = t
    for i in range(16):
        v[i] = b[o + i] ^ k[i] ^ x[j + i]
    r = 16
    while r < 160:
        # SubBytes, ShiftRows, MixColumns and AddRoundKey of a column at a time
        w = bytearray(16)
        for i in (0, 4, 8, 12):
            p = s[v[i]]
            q = s[v[i + 5 & 15]]
            x = s[v[i + 10 & 15]]
            y = s[v[i + 15 & 15]]
            z = p ^ q ^ x ^ y
            w[i] = p ^ z ^ m[p ^ q] ^ k[r]
            w[i + 1] = q ^ z ^ m[q ^ x] ^ k[r + 1]
            w[i + 2] = x ^ z ^ m[x ^ y] ^ k[r + 2]
            w[i + 3] = y ^ z ^ m[y ^ p] ^ k[r + 3]
            r += 4
        v = w
    for i in range(16):
        b[o + i] = s[v[i * 5 & 15]] ^ k[160 + i]


def mix(v):
    for i in (0, 4, 8, 12):
        p = v[i]
        q = v[i + 1]
        x = v[i + 2]
        y = v[i + 3]
        z = p ^ q ^ x ^ y
        v[i] ^= z ^ _TWICE[p ^ q]
        v[i + 1] ^= z ^ _TWICE[q ^ x]
        v[i + 2] ^= z ^ _TWICE[x ^ y]
        v[i + 3] ^= z ^ _TWICE[y ^ p]


def decipher(v, k):
    """The plaintext of a block, by the plain inverse: only CBC suites need it."""
    v = [v[i] ^ k[160 + i] for i in range(16)]
    for r in range(144, -1, -16):
        v = [_SBOX.find(bytes((v[i * 13 & 15],))) ^ k[r + i] for i in range(16)]
        if r:
            # The inverse of MixColumns is its cube.
            mix(v)
            mix(v)
            mix(v)
    return bytes(v)


try:
    from .viper import cipher
except (ImportError, SyntaxError, ValueError):
    pass


def expand(key):
    # A channel makes a new object for each record, of the same two keys.
    for k in _kept:
        if k[:16] == key:
            return k
    k = bytearray(key)
    x = 1
    for i in range(16, 176, 4):
        p = k[i - 4]
        q = k[i - 3]
        r = k[i - 2]
        s = k[i - 1]
        if not i & 15:
            p, q, r, s = _SBOX[q] ^ x, _SBOX[r], _SBOX[s], _SBOX[p]
            x = _TWICE[x]
        k.extend(bytes((p ^ k[i - 16], q ^ k[i - 15], r ^ k[i - 14], s ^ k[i - 13])))
    _kept.append(k)
    if len(_kept) > 4:
        _kept.pop(0)
    return k


_kept = []


class aes:
    """AES-128: `mode` 1 ECB, 2 CBC with the 16 bytes `iv`, which goes on from call to call."""

    def __init__(self, key, mode, iv=None):
        if len(key) != 16 or mode != 1 and (mode != 2 or len(iv) != 16):
            raise ValueError("key, mode or IV")
        self.k = expand(bytes(key))
        self.iv = bytes(iv) if mode == 2 else None
        self.t = bytearray(16)

    def encrypt(self, src, dst=None):
        """Encipher whole blocks into `dst` (`src` itself may be given), or into new bytes."""
        n = len(src)
        d = self.room(src, dst)
        if d is dst is not src:
            struct.pack_into("%ds" % n, d, 0, src)
        j = 0
        x = self.iv or bytes(16)
        for o in range(0, n, 16):
            cipher(d, o, self.k, _SBOX, self.t, x, j)
            if self.iv:
                x = d
                j = o
        if self.iv and n:
            self.iv = bytes(d[n - 16 : n])
        return bytes(d) if dst is None else None

    def decrypt(self, src, dst=None):
        """The inverse of `encrypt`."""
        d = self.room(src, dst)
        for o in range(0, len(src), 16):
            x = bytes(src[o : o + 16])
            struct.pack_into("16s", d, o, decipher(x, self.k))
            if self.iv:
                for i in range(16):
                    d[o + i] ^= self.iv[i]
                self.iv = x
        return bytes(d) if dst is None else None

    def room(self, src, dst):
        if len(src) & 15 or dst is not None and len(dst) < len(src):
            raise ValueError("whole blocks")
        return bytearray(src) if dst is None else dst
