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
# Each byte times 2 in AES's field (FIPS 197 4.2.1).
_TWICE = bytes([i << 1 ^ (i >> 7) * 0x11B for i in range(256)])

_ECB = const(1)
_CBC = const(2)
_LAST_ROUND = const(160)  # its key, in the 176 bytes of round keys
_MOST_KEYS = const(4)  # that are kept expanded


def cipher(data, at, keys, sbox, work, mask, mask_at):
    """Encipher the block at data[at], after an XOR with that at mask[mask_at].

    keys: the round keys; sbox: the S-box; work: 16 bytes to work in."""
    twice = _TWICE
    state = work
    for i in range(16):
        state[i] = data[at + i] ^ keys[i] ^ mask[mask_at + i]
    key = 16
    while key < _LAST_ROUND:
        # SubBytes, ShiftRows, MixColumns and AddRoundKey of a column at a time
        mixed = bytearray(16)
        for i in (0, 4, 8, 12):
            a = sbox[state[i]]
            b = sbox[state[i + 5 & 15]]
            c = sbox[state[i + 10 & 15]]
            d = sbox[state[i + 15 & 15]]
            column = a ^ b ^ c ^ d
            mixed[i] = a ^ column ^ twice[a ^ b] ^ keys[key]
            mixed[i + 1] = b ^ column ^ twice[b ^ c] ^ keys[key + 1]
            mixed[i + 2] = c ^ column ^ twice[c ^ d] ^ keys[key + 2]
            mixed[i + 3] = d ^ column ^ twice[d ^ a] ^ keys[key + 3]
            key += 4
        state = mixed
    for i in range(16):
        data[at + i] = sbox[state[i * 5 & 15]] ^ keys[_LAST_ROUND + i]


def mix(state):
    """MixColumns, in place."""
    for i in (0, 4, 8, 12):
        a, b, c, d = state[i : i + 4]
        column = a ^ b ^ c ^ d
        state[i] = a ^ column ^ _TWICE[a ^ b]
        state[i + 1] = b ^ column ^ _TWICE[b ^ c]
        state[i + 2] = c ^ column ^ _TWICE[c ^ d]
        state[i + 3] = d ^ column ^ _TWICE[d ^ a]


def decipher(block, keys):
    """The plaintext of a block, by the plain inverse: only CBC suites need it."""
    state = [block[i] ^ keys[_LAST_ROUND + i] for i in range(16)]
    for key in range(_LAST_ROUND - 16, -1, -16):
        state = [_SBOX.find(bytes((state[i * 13 & 15],))) ^ keys[key + i] for i in range(16)]
        if key:
            # The inverse of MixColumns is its cube.
            mix(state)
            mix(state)
            mix(state)
    return bytes(state)


try:
    from .viper import cipher
except (ImportError, SyntaxError, ValueError):
    pass


def expand(key):
    """The round keys (FIPS 197 5.2). A connection makes a new object for each record, of the same two keys."""
    for keys in _kept:
        if keys[:16] == key:
            return keys
    keys = bytearray(key)
    constant = 1
    for i in range(16, 176, 4):
        a, b, c, d = keys[i - 4 : i]
        if not i & 15:
            a, b, c, d = _SBOX[b] ^ constant, _SBOX[c], _SBOX[d], _SBOX[a]
            constant = _TWICE[constant]
        keys.extend(
            bytes((a ^ keys[i - 16], b ^ keys[i - 15], c ^ keys[i - 14], d ^ keys[i - 13]))
        )
    _kept.append(keys)
    if len(_kept) > _MOST_KEYS:
        _kept.pop(0)
    return keys


_kept = []


class aes:
    """AES-128: `mode` 1 ECB, 2 CBC with the 16 bytes `iv`, which goes on from call to call."""

    def __init__(self, key, mode, iv=None):
        if len(key) != 16 or mode != _ECB and (mode != _CBC or len(iv) != 16):
            raise ValueError("key, mode or IV")
        self.keys = expand(bytes(key))
        self.iv = bytes(iv) if mode == _CBC else None
        self.work = bytearray(16)

    def encrypt(self, source, target=None):
        """Encipher whole blocks into `target` (`source` itself may be given), or into new bytes."""
        length = len(source)
        data = self.room(source, target)
        if data is target is not source:
            struct.pack_into("%ds" % length, data, 0, source)
        mask_at = 0
        mask = self.iv or bytes(16)
        for at in range(0, length, 16):
            cipher(data, at, self.keys, _SBOX, self.work, mask, mask_at)
            if self.iv:
                mask = data
                mask_at = at
        if self.iv and length:
            self.iv = bytes(data[length - 16 : length])
        return bytes(data) if target is None else None

    def decrypt(self, source, target=None):
        """The inverse of `encrypt`."""
        data = self.room(source, target)
        for at in range(0, len(source), 16):
            block = bytes(source[at : at + 16])
            struct.pack_into("16s", data, at, decipher(block, self.keys))
            if self.iv:
                for i in range(16):
                    data[at + i] ^= self.iv[i]
                self.iv = block
        return bytes(data) if target is None else None

    def room(self, source, target):
        if len(source) & 15 or target is not None and len(target) < len(source):
            raise ValueError("whole blocks")
        return bytearray(source) if target is None else target
