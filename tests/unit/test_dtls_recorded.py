# Conversations recorded with other implementations, byte for byte: handshake, Connection ID, records, close
# SPDX-License-Identifier: MIT
from lwm2m.dtls.record import Secure
from lwm2m.port import binascii, struct

hexlify = binascii.hexlify
unhexlify = binascii.unhexlify

# Key 00 01 .. 0f, identity "device", and "random" bytes 00 01 02 .. on the client's side.
# ">" was sent by the client, "<" by the server.

# OpenSSL 3.0.19: openssl s_server, PSK-AES128-CCM8; no Connection ID
OPENSSL = (
    "> 16fefd00000000000000000043010000370000000000000037fefd000102030405060708090a0b0c0d0e0f"
    "101112131415161718191a1b1c1d1e1f00000004c0a800ff01000009001700000036000100",
    "< 16feff00000000000000000023030000170000000000000017feff1429a2bcb5ba41963b14617bd15e0252"
    "fd3002fc15",
    "> 16fefd000000000000000100570100004b000100000000004bfefd000102030405060708090a0b0c0d0e0f"
    "101112131415161718191a1b1c1d1e1f001429a2bcb5ba41963b14617bd15e0252fd3002fc150004c0a800ff"
    "01000009001700000036000100",
    "< 16fefd0000000000000001005d020000510001000000000051fefdfa5f8937abae46a24edc892cf054c57b"
    "603b82c79fd318eea2b4aa502864e8102047d42c5e97b0a6254d3eb6db3035a5f743a3bbb4f2614180d98b70"
    "00fea2ade7c0a8000009ff010001000017000016fefd0000000000000002000c0e0000000002000000000000",
    "> 16fefd00000000000000020014100000080002000000000008000664657669636514fefd00000000000000"
    "0300010116fefd0001000000000000002800010000000000009402253880fd170f1a132dad0e6e57a18b2a70"
    "312acc6d72f31d805531ffcbd2",
    "< 14fefd000000000000000300010116fefd0001000000000000002800010000000000006f1652730eec5b4b"
    "41b21fe9b1da80ba0cb1fac5ab6e56fe6c0f929ac95d3ae6",
    "> 17fefd00010000000000010020000100000000000142188b93648a067d4b28017dfb24014ef012728cc0105890",
    "< 17fefd0001000000000001001600010000000000012514190efd2a61e70fe51bee680d",
    "> 15fefd0001000000000002001200010000000000025b76baf3fd956194e6f1",
)

# mbedTLS 3.6.7: ssl_server2, aabbccddeeff as its Connection ID, 00010203 as the client's (RFC 9146)
MBEDTLS = (
    "> 16fefd000000000000000000470100003b000000000000003bfefd000102030405060708090a0b0c0d0e0f"
    "101112131415161718191a1b1c1d1e1f00000004c0a800ff0100000d00170000003600050400010203",
    "< 16fefd0000000000000000002f030000230000000000000023fefd206b0167be315ff813d8b87a4f62ea61"
    "7e0b8e49506a350e72f81bd46d305751f6",
    "> 16fefd000000000000000100670100005b000100000000005bfefd000102030405060708090a0b0c0d0e0f"
    "101112131415161718191a1b1c1d1e1f00206b0167be315ff813d8b87a4f62ea617e0b8e49506a350e72f81b"
    "d46d305751f60004c0a800ff0100000d00170000003600050400010203",
    "< 16fefd000000000000000100680200005c000100000000005cfefd6b0167bed6b2875435fc79bece24170c"
    "170399f43ba5bc04f4e2d7f0d44c0aa320583ee4ee776cae0e5a8271849a5df25dc3b44ba287e3c6ef98992e"
    "16cedabe8cc0a8000014ff010001000036000706aabbccddeeff0017000016fefd0000000000000002000c0e"
    "0000000002000000000000",
    "> 16fefd00000000000000020014100000080002000000000008000664657669636514fefd00000000000000"
    "0300010119fefd0001000000000000aabbccddeeff0029000100000000000002d8fbdc9fe0b633b815468979"
    "0f01c99d9bb84f559fb8bb094b6171841d4893b3",
    "< 14fefd000000000000000300010119fefd00010000000000000001020300300001000000000000cf53e988"
    "639b5ef9eb88b219098abc9cbdd381e7e606d74f016b37f85879e4a0be11afccda487446",
    "> 19fefd0001000000000001aabbccddeeff00210001000000000001c845cf1ad4321be7453749d2cbb34090"
    "376b96bd625b019971",
    "< 19fefd00010000000000010001020300300001000000000001d6ec495cb64988fc179993c5b9f3d5ba0a38"
    "f02b80881de5bf7eff5666dfb5234d5910e592f61cb7",
    "> 19fefd0001000000000002aabbccddeeff0013000100000000000279441a27a27461e21f5bab",
)

REQUEST = b"GET / HTTP/1.0\r\n"


class Wire:
    def __init__(self):
        self.sent = []

    def send(self, buf, start, end):
        self.sent.append("> " + hexlify(bytes(buf[start:end])).decode())


def play(rows, cid, want):
    wire = Wire()
    c = Secure(wire, "device", bytes(range(16)), cid=cid, random=lambda n: bytes(range(n)))
    c.connect(0)
    got = None
    asked = False
    for row in rows:
        if row[0] == "<":
            p = c.feed(unhexlify(row[2:]), 0)
            if p is not None:
                got = bytes(p)
            continue
        if not wire.sent:
            assert c.state == 2
            if asked:
                c.close()
            else:
                b = bytearray(c.HEAD + len(REQUEST) + c.TAIL)
                struct.pack_into("%ds" % len(REQUEST), b, c.HEAD, REQUEST)
                c.send(b, c.HEAD, c.HEAD + len(REQUEST))
                asked = True
        assert wire.sent.pop(0) == row
    assert not wire.sent
    assert got == want, got
    assert asked and c.state == 0


def test_openssl():
    play(OPENSSL, True, b"hello\n")


def test_mbedtls_with_connection_ids():
    play(MBEDTLS, 4, b"HTTP/1.0 200 OK\r\nC\r\n")
