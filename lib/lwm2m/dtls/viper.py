# Inner loops as machine code: twins of those in record, and of AES-128 and SHA-256 for images that have neither in C
# SPDX-License-Identifier: MIT
import micropython


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
    # Every word comes from an array of 32 bits, so the upper half of a 64-bit register never counts.
    for i in range(16):
        j = o + 4 * i
        w[i] = b[j] << 24 | b[j + 1] << 16 | b[j + 2] << 8 | b[j + 3]
    i = 16
    while i < 64:
        x = uint(w[i - 15])
        y = uint(w[i - 2])
        w[i] = (
            uint(w[i - 16])
            + uint(w[i - 7])
            + ((x >> 7 | x << 25) ^ (x >> 18 | x << 14) ^ x >> 3)
            + ((y >> 17 | y << 15) ^ (y >> 19 | y << 13) ^ y >> 10)
        )
        i += 1
    for i in range(8):
        w[64 + i] = h[i]
    for i in range(64):
        x = uint(w[68])
        y = uint(w[64])
        e = uint(w[69])
        f = uint(w[70])
        p = uint(w[65])
        q = uint(w[66])
        j = 4 * i
        z = (
            uint(w[71])
            + ((x >> 6 | x << 26) ^ (x >> 11 | x << 21) ^ (x >> 25 | x << 7))
            + (f ^ (x & (e ^ f)))
            + uint(w[i])
            + uint(k[j] << 24 | k[j + 1] << 16 | k[j + 2] << 8 | k[j + 3])
        )
        w[71] = f
        w[70] = e
        w[69] = x
        w[68] = uint(w[67]) + z
        w[67] = q
        w[66] = p
        w[65] = y
        w[64] = z + ((y >> 2 | y << 30) ^ (y >> 13 | y << 19) ^ (y >> 22 | y << 10)) + ((y & p) ^ (y & q) ^ (p & q))
    for i in range(8):
        h[i] = uint(h[i]) + uint(w[64 + i])
