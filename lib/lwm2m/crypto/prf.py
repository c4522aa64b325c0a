# The pseudo-random function of TLS 1.2 (RFC 5246 5), and HMAC (RFC 2104), from SHA-256
# SPDX-License-Identifier: MIT
from .provider import sha256

_BLOCK = const(64)


def hmac_pads(key):
    """What the inner and the outer hash of an HMAC with a key of up to 64 bytes begin with."""
    number = int.from_bytes(key + bytes(_BLOCK - len(key)), "big")
    inner = number ^ int.from_bytes(b"\x36" * _BLOCK, "big")
    outer = number ^ int.from_bytes(b"\x5c" * _BLOCK, "big")
    return inner.to_bytes(_BLOCK, "big"), outer.to_bytes(_BLOCK, "big")


def prf(key, seed, length):
    """`length` bytes of P_SHA256 (RFC 5246 5); `seed` is the label and the seed."""
    if len(key) > _BLOCK:
        key = sha256(key).digest()
    inner, outer = hmac_pads(key)
    out = b""
    chained = seed
    while len(out) < length:
        chained = sha256(outer + sha256(inner + chained).digest()).digest()
        out += sha256(outer + sha256(inner + chained + seed).digest()).digest()
    return out[:length]
