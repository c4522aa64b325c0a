# SHA-256 (FIPS 180-4) where the platform has none: hashlib's interface
# SPDX-License-Identifier: MIT
from ..port import module

array = module("array").array

_H = (
    b"\x6a\x09\xe6\x67\xbb\x67\xae\x85\x3c\x6e\xf3\x72\xa5\x4f\xf5\x3a\x51\x0e\x52\x7f\x9b\x05\x68\x8c"
    b"\x1f\x83\xd9\xab\x5b\xe0\xcd\x19"
)
_K = (
    b"\x42\x8a\x2f\x98\x71\x37\x44\x91\xb5\xc0\xfb\xcf\xe9\xb5\xdb\xa5\x39\x56\xc2\x5b\x59\xf1\x11\xf1"
    b"\x92\x3f\x82\xa4\xab\x1c\x5e\xd5\xd8\x07\xaa\x98\x12\x83\x5b\x01\x24\x31\x85\xbe\x55\x0c\x7d\xc3"
    b"\x72\xbe\x5d\x74\x80\xde\xb1\xfe\x9b\xdc\x06\xa7\xc1\x9b\xf1\x74\xe4\x9b\x69\xc1\xef\xbe\x47\x86"
    b"\x0f\xc1\x9d\xc6\x24\x0c\xa1\xcc\x2d\xe9\x2c\x6f\x4a\x74\x84\xaa\x5c\xb0\xa9\xdc\x76\xf9\x88\xda"
    b"\x98\x3e\x51\x52\xa8\x31\xc6\x6d\xb0\x03\x27\xc8\xbf\x59\x7f\xc7\xc6\xe0\x0b\xf3\xd5\xa7\x91\x47"
    b"\x06\xca\x63\x51\x14\x29\x29\x67\x27\xb7\x0a\x85\x2e\x1b\x21\x38\x4d\x2c\x6d\xfc\x53\x38\x0d\x13"
    b"\x65\x0a\x73\x54\x76\x6a\x0a\xbb\x81\xc2\xc9\x2e\x92\x72\x2c\x85\xa2\xbf\xe8\xa1\xa8\x1a\x66\x4b"
    b"\xc2\x4b\x8b\x70\xc7\x6c\x51\xa3\xd1\x92\xe8\x19\xd6\x99\x06\x24\xf4\x0e\x35\x85\x10\x6a\xa0\x70"
    b"\x19\xa4\xc1\x16\x1e\x37\x6c\x08\x27\x48\x77\x4c\x34\xb0\xbc\xb5\x39\x1c\x0c\xb3\x4e\xd8\xaa\x4a"
    b"\x5b\x9c\xca\x4f\x68\x2e\x6f\xf3\x74\x8f\x82\xee\x78\xa5\x63\x6f\x84\xc8\x78\x14\x8c\xc7\x02\x08"
    b"\x90\xbe\xff\xfa\xa4\x50\x6c\xeb\xbe\xf9\xa3\xf7\xc6\x71\x78\xf2"
)


def compress(h, b, o, k, w):
    """One block, b[o : o + 64], into the eight words `h`; `k` the constants, `w` 72 words to work in."""
    for i in range(16):
        w[i] = int.from_bytes(b[o + 4 * i : o + 4 * i + 4], "big")
    for i in range(16, 64):
        x = w[i - 15]
        x |= x << 32
        y = w[i - 2]
        y |= y << 32
        w[i] = (
            w[i - 16]
            + w[i - 7]
            + (x >> 7 ^ x >> 18 ^ (x & 0xFFFFFFFF) >> 3)
            + (y >> 17 ^ y >> 19 ^ (y & 0xFFFFFFFF) >> 10)
        ) & 0xFFFFFFFF
    p, q, r, s, t, u, v, z = h
    for i in range(64):
        x = t | t << 32
        y = p | p << 32
        x = z + ((x >> 6 ^ x >> 11 ^ x >> 25) & 0xFFFFFFFF) + (t & u ^ ~t & v) + w[i]
        x += int.from_bytes(k[4 * i : 4 * i + 4], "big")
        y = ((y >> 2 ^ y >> 13 ^ y >> 22) & 0xFFFFFFFF) + (p & q ^ p & r ^ q & r)
        z = v
        v = u
        u = t
        t = s + x & 0xFFFFFFFF
        s = r
        r = q
        q = p
        p = x + y & 0xFFFFFFFF
    i = 0
    for x in (p, q, r, s, t, u, v, z):
        h[i] = h[i] + x & 0xFFFFFFFF
        i += 1


try:
    from .viper import compress
except (ImportError, SyntaxError, ValueError):
    pass


class sha256:
    """`update(data)`, and `digest()` once."""

    def __init__(self, data=b""):
        self.h = array("I", (int.from_bytes(_H[i : i + 4], "big") for i in range(0, 32, 4)))
        self.rest = b""
        self.n = 0
        self.update(data)

    def update(self, data):
        self.n += len(data)
        data = self.rest + bytes(data)
        w = array("I", bytes(288))
        o = 0
        while len(data) - o > 63:
            compress(self.h, data, o, _K, w)
            o += 64
        self.rest = data[o:]

    def digest(self):
        n = self.n
        self.update(b"\x80" + bytes(55 - n & 63) + (n * 8).to_bytes(8, "big"))
        return b"".join([x.to_bytes(4, "big") for x in self.h])
