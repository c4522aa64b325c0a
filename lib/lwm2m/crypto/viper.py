# Inner loops as machine code: twins of those in dtls/ccm.py, and of AES-128 and SHA-256 for images that have neither in C
# SPDX-License-Identifier: MIT
import micropython

from ..port import module

array = module("array").array


@micropython.viper
def count(blocks: ptr8, length: int, number: int):
    at = 15
    while at < length:
        blocks[at] = number
        number += 1
        at += 16


@micropython.viper
def xor(data: ptr8, at: int, length: int, stream: ptr8):
    i = 0
    while i < length:
        data[at + i] ^= stream[i]
        i += 1


@micropython.viper
def cipher(data: ptr8, at: int, keys: ptr8, sbox: ptr8, work: ptr8, mask: ptr8, mask_at: int):
    for i in range(16):
        data[at + i] ^= keys[i] ^ mask[mask_at + i]
    key = 16
    while True:
        for i in range(16):
            work[i] = sbox[data[at + (i * 5 & 15)]]
        if key == 160:
            break
        i = 0
        out = at
        while i < 16:
            a = work[i]
            b = work[i + 1]
            c = work[i + 2]
            d = work[i + 3]
            column = a ^ b ^ c ^ d
            pair = a ^ b
            data[out] = a ^ column ^ pair << 1 ^ (pair >> 7) * 0x11B ^ keys[key]
            pair = b ^ c
            data[out + 1] = b ^ column ^ pair << 1 ^ (pair >> 7) * 0x11B ^ keys[key + 1]
            pair = c ^ d
            data[out + 2] = c ^ column ^ pair << 1 ^ (pair >> 7) * 0x11B ^ keys[key + 2]
            pair = d ^ a
            data[out + 3] = d ^ column ^ pair << 1 ^ (pair >> 7) * 0x11B ^ keys[key + 3]
            i += 4
            out += 4
            key += 4
    for i in range(16):
        data[at + i] = work[i] ^ keys[160 + i]


@micropython.viper
def compress(state: ptr32, data: ptr8, at: int, constants: ptr8, work: ptr32):
    # Every word comes from an array of 32 bits, and what is shifted right is masked: so neither the sign nor the
    # upper half of a 64-bit register ever counts. work[64:] has the variables a to h of FIPS 180-4.
    for i in range(16):
        j = at + 4 * i
        work[i] = data[j] << 24 | data[j + 1] << 16 | data[j + 2] << 8 | data[j + 3]
    i = 16
    while i < 64:
        x = work[i - 15]
        y = work[i - 2]
        x = (x >> 7 & 0x1FFFFFF | x << 25) ^ (x >> 18 & 0x3FFF | x << 14) ^ (x >> 3 & 0x1FFFFFFF)
        y = (y >> 17 & 0x7FFF | y << 15) ^ (y >> 19 & 0x1FFF | y << 13) ^ (y >> 10 & 0x3FFFFF)
        work[i] = work[i - 16] + work[i - 7] + x + y
        i += 1
    for i in range(8):
        work[64 + i] = state[i]
    for i in range(64):
        a = work[64]
        b = work[65]
        c = work[66]
        e = work[68]
        f = work[69]
        g = work[70]
        j = 4 * i
        word = work[71] + (g ^ (e & (f ^ g))) + work[i]
        word += (
            (e >> 6 & 0x3FFFFFF | e << 26)
            ^ (e >> 11 & 0x1FFFFF | e << 21)
            ^ (e >> 25 & 0x7F | e << 7)
        )
        word += (
            constants[j] << 24 | constants[j + 1] << 16 | constants[j + 2] << 8 | constants[j + 3]
        )
        work[71] = g
        work[70] = f
        work[69] = e
        work[68] = work[67] + word
        work[67] = c
        work[66] = b
        work[65] = a
        word += (a & b) ^ (a & c) ^ (b & c)
        work[64] = word + (
            (a >> 2 & 0x3FFFFFFF | a << 30)
            ^ (a >> 13 & 0x7FFFF | a << 19)
            ^ (a >> 22 & 0x3FF | a << 10)
        )
    for i in range(8):
        state[i] = state[i] + work[64 + i]


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
