# The pseudo-random function of TLS 1.2 (RFC 5246 5), from SHA-256
# SPDX-License-Identifier: MIT
from .provider import sha256


def prf(key, seed, n):
    """`n` bytes of P_SHA256 (RFC 5246 5); `seed` is the label and the seed."""
    if len(key) > 64:
        key = sha256(key).digest()
    k = int.from_bytes(key + bytes(64 - len(key)), "big")
    i = (k ^ int.from_bytes(b"\x36" * 64, "big")).to_bytes(64, "big")
    o = (k ^ int.from_bytes(b"\x5c" * 64, "big")).to_bytes(64, "big")
    r = b""
    a = seed
    while len(r) < n:
        a = sha256(o + sha256(i + a).digest()).digest()
        r += sha256(o + sha256(i + a + seed).digest()).digest()
    return r[:n]
