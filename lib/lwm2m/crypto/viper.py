# Inner loops as machine code: twins of those in record, and of AES-128 and SHA-256 for images that have neither in C
# SPDX-License-Identifier: MIT
import micropython

from ..port import module

array = module("array").array


@micropython.viper
def count(s: ptr8, n: int, k: int):
    i = 15
    while i < n:
        s[i] = k
        k += 1
        i += 16


@micropython.viper
def xor(m: ptr8, i: int, n: int, s: ptr8):
    j = 0
    while j < n:
        m[i + j] ^= s[j]
        j += 1


@micropython.viper
def cipher(b: ptr8, o: int, k: ptr8, s: ptr8, t: ptr8, m: ptr8, n: int):
    for i in range(16):
        b[o + i] ^= k[i] ^ m[n + i]
    r = 16
    while True:
        for i in range(16):
            t[i] = s[b[o + (i * 5 & 15)]]
        if r == 160:
            break
        i = 0
        j = o
        while i < 16:
            p = t[i]
            q = t[i + 1]
            x = t[i + 2]
            y = t[i + 3]
            z = p ^ q ^ x ^ y
            a = p ^ q
            b[j] = p ^ z ^ a << 1 ^ (a >> 7) * 0x11B ^ k[r]
            a = q ^ x
            b[j + 1] = q ^ z ^ a << 1 ^ (a >> 7) * 0x11B ^ k[r + 1]
            a = x ^ y
            b[j + 2] = x ^ z ^ a << 1 ^ (a >> 7) * 0x11B ^ k[r + 2]
            a = y ^ p
            b[j + 3] = y ^ z ^ a << 1 ^ (a >> 7) * 0x11B ^ k[r + 3]
            i += 4
            j += 4
            r += 4
    for i in range(16):
        b[o + i] = t[i] ^ k[160 + i]


@micropython.viper
def compress(h: ptr32, b: ptr8, o: int, k: ptr8, w: ptr32):
    # Every word comes from an array of 32 bits, and what is shifted right is masked: so neither the sign nor the
    # upper half of a 64-bit register ever counts.
    for i in range(16):
        j = o + 4 * i
        w[i] = b[j] << 24 | b[j + 1] << 16 | b[j + 2] << 8 | b[j + 3]
    i = 16
    while i < 64:
        x = w[i - 15]
        y = w[i - 2]
        x = (x >> 7 & 0x1FFFFFF | x << 25) ^ (x >> 18 & 0x3FFF | x << 14) ^ (x >> 3 & 0x1FFFFFFF)
        y = (y >> 17 & 0x7FFF | y << 15) ^ (y >> 19 & 0x1FFF | y << 13) ^ (y >> 10 & 0x3FFFFF)
        w[i] = w[i - 16] + w[i - 7] + x + y
        i += 1
    for i in range(8):
        w[64 + i] = h[i]
    for i in range(64):
        x = w[68]
        y = w[64]
        e = w[69]
        f = w[70]
        p = w[65]
        q = w[66]
        j = 4 * i
        z = w[71] + (f ^ (x & (e ^ f))) + w[i]
        z += (
            (x >> 6 & 0x3FFFFFF | x << 26)
            ^ (x >> 11 & 0x1FFFFF | x << 21)
            ^ (x >> 25 & 0x7F | x << 7)
        )
        z += k[j] << 24 | k[j + 1] << 16 | k[j + 2] << 8 | k[j + 3]
        w[71] = f
        w[70] = e
        w[69] = x
        w[68] = w[67] + z
        w[67] = q
        w[66] = p
        w[65] = y
        z += (y & p) ^ (y & q) ^ (p & q)
        w[64] = z + (
            (y >> 2 & 0x3FFFFFFF | y << 30)
            ^ (y >> 13 & 0x7FFFF | y << 19)
            ^ (y >> 22 & 0x3FF | y << 10)
        )
    for i in range(8):
        h[i] = h[i] + w[64 + i]


# Known answers, of the plain twins: what a compiler gets wrong (1.13 for x64: cipher) goes, and its importer, which
# then has an ImportError, keeps the twin.
_block = bytearray(range(16))
_table = bytes([i * 167 + 13 & 255 for i in range(256)])
cipher(_block, 0, bytes(range(176)), _table, bytearray(16), bytes(range(32)), 16)
if _block != b"\xaf\rS\x1a\xf7\x13\xf8\xe1\x87\xe7\\\xf7F\xb5\xb5\xd3":
    del cipher

_state = array("I", range(8))
compress(_state, bytes(range(64)), 0, bytes(range(256)), array("I", bytes(288)))
if bytes(_state) not in (
    b"I `}\x11\x05\xb9[J\xbe0\x82z\x02\x91\xcaM\x86\xa6d\xb81;\xd9\xbc\xa6/X(\xef/,",
    b"}` I[\xb9\x05\x11\x820\xbeJ\xca\x91\x02zd\xa6\x86M\xd9;1\xb8X/\xa6\xbc,/\xef(",  # big-endian
):
    del compress

_block = bytearray(32)
count(_block, 32, 254)
xor(_block, 8, 9, _table)
if _block != bytes(8) + _table[:7] + bytes((254 ^ _table[7], _table[8])) + bytes(14) + b"\xff":
    del count, xor

del _block, _table, _state, array
