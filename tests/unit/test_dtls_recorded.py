# Conversations recorded with other implementations, byte for byte: handshake, Connection ID, records, close
# SPDX-License-Identifier: MIT
from dtls_server import CBC, CCM, HAVE_CBC, Connection
from link import Skip, hexlify, struct, unhexlify
from recordings import MBEDTLS, OPENSSL, OPENSSL_CBC, OPENSSL_ETM

REQUEST = b"GET / HTTP/1.0\r\n"


class Wire:
    def __init__(self):
        self.sent = []

    def send(self, buf, start, end):
        self.sent.append("> " + hexlify(bytes(buf[start:end])).decode())


def begin(cid, suite=CCM):
    wire = Wire()
    c = Connection(
        wire,
        "device",
        bytes(range(16)),
        suites=(suite,),
        cid=cid,
        random=lambda n: bytes(range(n)),
    )
    return c, wire


def play(rows, cid, want, suite=CCM):
    c, wire = begin(cid, suite)
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


def before_the_answer(rows):
    """A client that has heard all but the last datagram of the server's, and that datagram."""
    c, wire = begin(True, CBC)
    c.connect(0)
    heard = [unhexlify(row[2:]) for row in rows if row[0] == "<"]
    for d in heard[:-1]:
        c.feed(d, 0)
    assert c.state == 2
    return c, heard[-1]


def test_openssl_with_cbc():
    if not HAVE_CBC:
        raise Skip("no CBC here")
    for rows in (OPENSSL_CBC, OPENSSL_ETM):
        play(rows, True, b"hello\n", CBC)


def test_forged_records_of_openssl():
    # no bit of IV, ciphertext, MAC and padding may change
    if not HAVE_CBC:
        raise Skip("no CBC here")
    for rows in (OPENSSL_CBC, OPENSSL_ETM):
        c, d = before_the_answer(rows)
        for bit in range(13 * 8, len(d) * 8):
            forged = bytearray(d)
            forged[bit >> 3] ^= 1 << (bit & 7)
            assert c.feed(bytes(forged), 0) is None, bit
        for size in (0, 1, 15, 16, 31, 32, 47, 48, 63):
            assert c.feed(d[:11] + bytes((0, size)) + d[13 : 13 + size], 0) is None, size
        # nor blocks of it stand elsewhere
        for first in range(13, len(d), 16):
            cut = d[13:first] + d[first + 16 :]
            assert c.feed(d[:11] + bytes((0, len(cut))) + cut, 0) is None
        assert bytes(c.feed(d, 0)) == b"hello\n"


def test_openssl():
    play(OPENSSL, True, b"hello\n")


def test_mbedtls_with_connection_ids():
    play(MBEDTLS, 4, b"HTTP/1.0 200 OK\r\nC\r\n")
