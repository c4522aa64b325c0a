# AES and SHA-256 of our own against published vectors and against the platform's
# SPDX-License-Identifier: MIT
from link import Skip, hexlify, module, sys, unhexlify

try:
    from lwm2m.crypto import aes as own_aes
    from lwm2m.crypto import sha256 as own_sha
except ImportError:
    raise Skip("no AES and SHA-256 of ours in this image")


def run(check):
    """With what was imported, and with the plain twin of it."""
    check()
    cipher, compress = own_aes.cipher, own_sha.compress
    name = own_aes.__name__[:-3]
    saved = {}
    for part in ("viper", "aes", "sha256"):
        saved[part] = sys.modules.pop(name + part, None)

    class Absent:
        pass

    # A module without the names: `from .viper import cipher` raises ImportError, as where the file is left out.
    sys.modules[name + "viper"] = Absent()
    try:
        from lwm2m.crypto.aes import cipher as plain_cipher
        from lwm2m.crypto.sha256 import compress as plain_compress

        own_aes.cipher = plain_cipher
        own_sha.compress = plain_compress
        check()
    finally:
        own_aes.cipher = cipher
        own_sha.compress = compress
        for part in saved:
            sys.modules.pop(name + part, None)
            if saved[part]:
                sys.modules[name + part] = saved[part]


def test_aes_fips_197():
    def check():
        a = own_aes.aes(bytes(range(16)), 1)
        p = unhexlify("00112233445566778899aabbccddeeff")
        c = unhexlify("69c4e0d86a7b0430d8cdb78070b4c55a")
        assert a.encrypt(p) == c
        assert a.decrypt(c) == p
        b = bytearray(p + p)
        a.encrypt(b, b)
        assert b == c + c
        a.decrypt(b, b)
        assert b == p + p
        m = memoryview(b)
        a.encrypt(m[16:], m[16:])
        assert b == p + c

    run(check)


def test_aes_cbc_sp_800_38a():
    def check():
        key = unhexlify("2b7e151628aed2a6abf7158809cf4f3c")
        p = unhexlify("6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e51")
        c = unhexlify("7649abac8119b246cee98e9b12e9197d5086cb9b507219ee95db113a917678b2")
        a = own_aes.aes(key, 2, bytes(range(16)))
        # The IV goes on from call to call.
        assert a.encrypt(p[:16]) + a.encrypt(p[16:]) == c
        a = own_aes.aes(key, 2, bytes(range(16)))
        assert a.decrypt(c[:16]) + a.decrypt(c[16:]) == p
        a = own_aes.aes(key, 2, bytes(range(16)))
        b = bytearray(c)
        a.decrypt(b, b)
        assert b == p

    run(check)


def test_aes_refuses():
    for key, mode, iv in ((bytes(15), 1, None), (bytes(16), 3, None), (bytes(16), 2, bytes(8))):
        try:
            own_aes.aes(key, mode, iv)
            assert False, (key, mode)
        except ValueError:
            pass
    try:
        own_aes.aes(bytes(16), 1).encrypt(bytes(17))
        assert False
    except ValueError:
        pass


def test_sha256_fips_180():
    def check():
        for text, want in (
            (b"abc", b"ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
            (b"", b"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
            (
                b"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
                b"248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1",
            ),
        ):
            assert hexlify(own_sha.sha256(text).digest()) == want

    run(check)


def test_sha256_like_the_platforms():
    try:
        sha256 = module("hashlib").sha256
    except (ImportError, AttributeError):
        raise Skip("no SHA-256 in this MicroPython")
    for n in (1, 55, 56, 63, 64, 65, 119, 120, 128, 300):
        data = bytes([n + i & 255 for i in range(n)])
        h = own_sha.sha256()
        for i in range(0, n, 50):
            h.update(memoryview(data)[i : i + 50])
        assert h.digest() == sha256(data).digest(), n


def test_records_and_handshakes():
    """The whole protocol on our own primitives."""
    from lwm2m.dtls import ccm
    import dtls_server as t

    kept = ccm.aes
    ccm.aes = own_aes.aes
    try:
        server = t.Server(cid=b"abc")
        c, link = t.opened(server, cid=2)
        t.exchange(c, link, server)
    finally:
        ccm.aes = kept


def test_records_without_machine_code():
    """The counter and the XOR of CCM in plain Python, where the build has no viper."""
    import test_dtls_ccm as vectors

    viper = own_aes.__name__[:-3] + "viper"
    ccm = own_aes.__name__[: -len("crypto.aes")] + "dtls.ccm"
    kept = {}
    for part in (viper, ccm):
        kept[part] = sys.modules.pop(part, None)
    sys.modules[viper] = type("Absent", (), {})()
    imported = vectors.Ccm
    try:
        from lwm2m.dtls.ccm import Ccm as plain

        assert plain is not imported
        vectors.Ccm = plain
        for name in dir(vectors):
            if name.startswith("test_"):
                getattr(vectors, name)()
    finally:
        vectors.Ccm = imported
        for part in kept:
            sys.modules.pop(part, None)
            if kept[part]:
                sys.modules[part] = kept[part]
