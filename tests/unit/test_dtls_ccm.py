# AES-128-CCM-8 and the TLS 1.2 PRF against published vectors; additional data of records
# SPDX-License-Identifier: MIT
from link import hexlify, struct, unhexlify
from lwm2m.dtls import record
from lwm2m.crypto.prf import prf


def unhex(s):
    return unhexlify(s.replace(" ", ""))


def ccm(key, nonce, data, a, opening=False):
    """CCM with any additional data: (what it made of the data, tag)."""
    c = record.Ccm(key + key + nonce[:4] + nonce[:4], 1, 0, b"")
    n = len(a)
    p = c.p[:16] + n.to_bytes(2, "big") + a
    c.p = bytearray(p + bytes(-len(p) & 15))
    # Sequence number and type are a part of `a`; the second place of the size falls upon the first.
    c.size = 14
    b = bytearray(len(data) + 16)
    struct.pack_into("%ds" % len(data), b, 0, data)
    c.crypt(a[8], a[:8], nonce[4:], memoryview(b), 0, len(data), opening)
    return bytes(b[: len(data)]), bytes(b[len(data) : len(data) + 8])


def test_nist_800_38c_example_3():
    # The one of its examples that has the nonce of 12 and the tag of 8 bytes.
    key = unhex("404142434445464748494a4b4c4d4e4f")
    nonce = unhex("101112131415161718191a1b")
    a = bytes(range(20))
    p = bytes(range(0x20, 0x38))
    c = unhex("e3b201a9f5b71a7a9b1ceaeccd97e70b6176aad9a4428aa5")
    t = unhex("484392fbc1b09951")
    assert ccm(key, nonce, p, a) == (c, t)
    assert ccm(key, nonce, c, a, True) == (p, t)


def test_empty_and_long():
    # Made with another implementation (cryptography 50, AESCCM with a tag of 8 bytes).
    key = bytes(range(16))
    nonce = bytes(range(100, 112))
    a = bytes(range(13))
    for n, tail, tag in VECTORS:
        p = bytes([i * 7 & 255 for i in range(n)])
        c, t = ccm(key, nonce, p, a)
        assert hexlify(t) == tag, (n, t)
        assert hexlify(c[-16:]) == tail, n
        assert ccm(key, nonce, c, a, True) == (p, t)


VECTORS = (
    (0, b"", b"e6810138fa3e62d7"),
    (1, b"a0", b"3d878951e84a972a"),
    (16, b"a04e9934a138d1d6e8c7fca4e99ac623", b"9c7554112ed139c7"),
    (31, b"230e4eea7609ce685784e60bc9dfaebf", b"98af722df69dc885"),
    (240, b"3247a6b3b249fe30456e374c7666fc37", b"7c36bad8d7cdaf15"),
    (256, b"bd1b103e3632d7ffb81749d1a52ec7ff", b"3339d4b54fd46e53"),
    (257, b"1b103e3632d7ffb81749d1a52ec7ff0a", b"a364216c54d2b638"),
    (1024, b"5002831f3a454ef19e30dcf135716b96", b"6b728018358f1c82"),
)


def test_tls12_prf_sha256():
    # The vector of the TLS working group's list (P_SHA256, 100 bytes).
    got = prf(
        unhex("9bbe436ba940f017b17652849a71db35"),
        b"test label" + unhex("a0ba9f936cda311827a6f796ffd5198c"),
        100,
    )
    assert hexlify(got) == (
        b"e3f229ba727be17b8d122620557cd453c2aab21d07c3d495329b52d4e61edb5a"
        b"6b301791e90d35c9c9a46b4e14baf9af0fa022f7077def17abfd3797c0564bab"
        b"4fbc91666e9def9b97fce34f796789baa48082d122ee42c5a72e5a5110fff701"
        b"87347b66"
    )
    # A secret longer than a block of SHA-256 is hashed first: PSK premasters can be.
    assert (
        hexlify(prf(bytes(range(100)), b"label" + bytes(9), 16))
        == b"d7c051efcb97da62ad7d58bc6560c90c"
    )


def covered(c, typ, n):
    """The additional data of a record with number 5 and n bytes of content."""
    b = bytearray(n + 40)
    c.seal(typ, unhex("0001000000000005"), memoryview(b), 8, 8 + n)
    assert c.p[16] == 0
    return bytes(c.p[18 : 18 + c.p[17]])


def test_additional_data():
    c = record.Ccm(bytes(40), 0, 0, b"")
    for typ in (23, 22):
        assert covered(c, typ, 0x123) == unhex("0001000000000005 %02x fefd 0123" % typ)
    # RFC 9146 5.3
    c = record.Ccm(bytes(40), 0, 0, unhex("aabbcc"))
    want = "ffffffffffffffff 19 03 19 fefd 0001 000000000005 aabbcc 0123"
    assert covered(c, 25, 0x123) == unhex(want)


def test_record_limits():
    c = record.Ccm(bytes(40), 0, 0, b"")
    number = unhex("0001000000000005")
    for n in range(17):
        assert c.open(23, number, memoryview(bytes(n))) is None
    assert c.open(23, number, memoryview(bytes(5000))) is None
    for n in (0, 1, 15, 16, 17, 255, 256, 257, 512, 1024, 1500):
        b = bytearray(8 + n + 16)
        m = memoryview(b)
        for i in range(n):
            b[8 + i] = i & 255
        end = c.seal(23, number, m, 8, 8 + n)
        assert end == 16 + n
        assert b[:8] == number
        p = c.open(23, number, m[:end])
        assert p is not None and bytes(p) == bytes([i & 255 for i in range(n)])
        b[end - 1] ^= 1
        assert c.open(23, number, m[:end]) is None
