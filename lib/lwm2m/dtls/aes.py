# AES-128 (FIPS 197) where the platform has no cryptolib: ECB and CBC with cryptolib's interface
# SPDX-License-Identifier: MIT
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


def cipher(b, o, k, s, t):
    """Encipher the block at b[o]; `k` are the round keys, `s` the S-box, `t` 16 bytes to work in."""
    v = [b[o + i] ^ k[i] for i in range(16)]
    for r in range(16, 161, 16):
        # SubBytes and ShiftRows
        v = [s[v[i * 5 & 15]] for i in range(16)]
        if r < 160:
            mix(v)
        for i in range(16):
            v[i] ^= k[r + i]
    for i in range(16):
        b[o + i] = v[i]


def mix(v):
    for i in (0, 4, 8, 12):
        p = v[i]
        q = v[i + 1]
        x = v[i + 2]
        y = v[i + 3]
        z = p ^ q ^ x ^ y
        for j, a in ((i, p ^ q), (i + 1, q ^ x), (i + 2, x ^ y), (i + 3, y ^ p)):
            v[j] ^= z ^ a << 1 ^ (a >> 7) * 0x11B


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


class aes:
    """AES-128: `mode` 1 ECB, 2 CBC with the 16 bytes `iv`, which goes on from call to call."""

    def __init__(self, key, mode, iv=None):
        if len(key) != 16 or mode != 1 and (mode != 2 or len(iv) != 16):
            raise ValueError("key, mode or IV")
        k = bytearray(key)
        x = 1
        for i in range(16, 176, 4):
            w = k[i - 4 : i]
            if not i & 15:
                w = bytes((_SBOX[w[1]] ^ x, _SBOX[w[2]], _SBOX[w[3]], _SBOX[w[0]]))
                x = x << 1 ^ (x >> 7) * 0x11B
            for j in range(4):
                k.append(w[j] ^ k[i - 16 + j])
        self.k = k
        self.iv = bytes(iv) if mode == 2 else None
        self.t = bytearray(16)

    def encrypt(self, src, dst=None):
        """Encipher whole blocks into `dst` (`src` itself may be given), or into new bytes."""
        return self.run(src, dst, False)

    def decrypt(self, src, dst=None):
        """The inverse of `encrypt`."""
        return self.run(src, dst, True)

    def run(self, src, dst, back):
        n = len(src)
        if n & 15:
            raise ValueError("whole blocks")
        d = bytearray(n) if dst is None else dst
        v = self.iv
        for o in range(0, n, 16):
            x = bytes(src[o : o + 16])
            d[o : o + 16] = decipher(x, self.k) if back else x
            if v:
                for i in range(16):
                    d[o + i] ^= v[i]
            if not back:
                cipher(d, o, self.k, _SBOX, self.t)
                x = bytes(d[o : o + 16])
            if v:
                self.iv = v = x
        return bytes(d) if dst is None else None
