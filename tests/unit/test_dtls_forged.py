# DTLS records with AES-CBC that somebody has forged: MAC, padding and length must all be right
# SPDX-License-Identifier: MIT
from dtls_server import *
from link import Skip

if not HAVE_CBC:
    raise Skip("no CBC here")

# Connection IDs and encrypt-then-MAC change what the MAC covers.
KINDS = [{"etm": etm, "cid": cid} for etm in (False, True) for cid in (None, b"abc")]


def session(**more):
    server = Server(suites=(CBC,), **more)
    c, link = opened(server, suites=(CBC,), cid=2)
    return server, c


def content(server, n):
    """How many bytes stand before the padding for n bytes of data."""
    return n + bool(server.peer) + (0 if server.etm_agreed else 32)


def test_every_padding_that_is_right():
    for kind in KINDS:
        server, c = session(**kind)
        for n in (1, 14, 15, 16, 31):
            least = 15 - content(server, n) % 16
            for size in range(least, 256, 16):
                data = b"x" * n
                got = c.feed(server.sealed(23, data, padding=bytes((size,)) * (size + 1)), 0)
                assert got is not None and bytes(got) == data, (kind, n, size)


def test_every_padding_that_is_wrong():
    for kind in KINDS:
        server, c = session(**kind)
        for n in (1, 15, 20):
            least = 15 - content(server, n) % 16
            for size in (least, least + 16, least + 32):
                right = bytes((size,)) * (size + 1)
                for k in range(size + 1):
                    for bit in (1, 128):
                        wrong = bytearray(right)
                        wrong[k] ^= bit
                        d = server.sealed(23, b"y" * n, padding=bytes(wrong))
                        assert c.feed(d, 0) is None, (kind, n, size, k)
        # all of the record, or more than there is
        for n in (1, 20):
            least = 15 - content(server, n) % 16
            total = content(server, n) + least + 1
            for last in (total - 1, total, total + 16, 255):
                if last > least and (last - least) % 16 or last - 1 > total:
                    d = server.sealed(23, b"z" * n, padding=bytes((last,)) * (least + 1))
                    assert c.feed(d, 0) is None, (kind, n, last)
        exchange(c, c.lower, server)


def test_every_mac_that_is_wrong():
    for kind in KINDS:
        server, c = session(**kind)
        data = b"some data"
        right = []
        mac = server.sealer.mac

        def listen(*args):
            right.append(mac(*args))
            return right[-1]

        server.sealer.mac = listen
        assert bytes(c.feed(server.sealed(23, data), 0)) == data
        for bit in range(256):
            number = server.out[1]
            server.sealed(23, data)  # what it would be
            server.out[1] = number
            wrong = bytearray(right[-1])
            wrong[bit >> 3] ^= 1 << (bit & 7)
            assert c.feed(server.sealed(23, data, mac=bytes(wrong)), 0) is None, (kind, bit)
        assert c.feed(server.sealed(23, data, mac=bytes(32)), 0) is None
        assert bytes(c.feed(server.sealed(23, data), 0)) == data


def test_records_under_another_head():
    # type, epoch and number are what the MAC covers, too
    for kind in KINDS:
        server, c = session(**kind)
        d = server.sealed(23, b"data")
        for k in (0, 5, 6, 7, 8, 9, 10):
            forged = bytearray(d)
            forged[k] ^= 1
            assert c.feed(bytes(forged), 0) is None, k
        assert bytes(c.feed(d, 0)) == b"data"


def test_nothing_in_a_record():
    for kind in KINDS:
        server, c = session(**kind)
        assert not c.feed(server.sealed(23, b""), 0)
        exchange(c, c.lower, server)
