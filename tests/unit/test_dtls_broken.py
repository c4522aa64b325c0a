# DTLS handshakes of which the network, or the server, has broken a message: cut, lengthened, a bit flipped
# SPDX-License-Identifier: MIT
from dtls_server import *
from test_dtls_refusals import forge


def recorded():
    """The datagrams of the server in one handshake."""
    server = Server(cid=b"abcdef", hint=b"hint", cookie=True)
    c, link = client()
    flights = []
    c.connect(0)
    while link.sent:
        (d,) = link.take()
        flights.append(server.receive(d))
        for r in flights[-1]:
            c.feed(r, 0)
    assert c.state == 2
    return flights


def replay(flights, broken):
    """A client that gets the same datagrams, one of them broken; its state."""
    c, link = client()
    c.connect(0)
    for f in flights:
        for d in f:
            c.feed(broken[1] if d is broken[0] else d, 0)
    assert c.state in (1, 2, 3)
    if c.state == 1:
        c.poll(5000)
    return c.state


def test_truncated_flights():
    flights = recorded()
    for f in flights:
        for d in f:
            assert replay(flights, (d, d)) == 2
            for n in range(len(d)):
                assert replay(flights, (d, d[:n])) != 2, n


def test_flipped_bits():
    flights = recorded()
    opened = 0
    for f in flights:
        for d in f:
            for n in range(len(d) * 8):
                b = bytearray(d)
                b[n >> 3] ^= 1 << (n & 7)
                if replay(flights, (d, bytes(b))) == 2:
                    # what is neither hashed nor looked at
                    n >>= 3
                    opened += 1
                    assert unhashed(d, n), (n, d)
    assert opened


def unhashed(d, n):
    """Is byte n of a datagram outside of what the handshake's hash covers?"""
    while True:
        size = 13 + (d[11] << 8 | d[12])
        if n < size:
            # The record's header, HelloVerifyRequest's version and length, and ChangeCipherSpec.
            return n < 13 or d[0] == 20 or d[13] == 3 and n in (25, 26, 27)
        n -= size
        d = d[size:]


def test_broken_messages_in_sound_records():
    # Every message of the server's, cut short or lengthened, with a header that agrees.
    for typ in (2, 12, 14, 20):
        for cut in range(80):

            def change(records):
                r = []
                for b in records:
                    if b[0] == 22 and b[13] == typ and not b[4]:
                        body = b[25:]
                        body = body[:cut] if cut < len(body) else body + bytes(cut - len(body))
                        b = b[:13] + message(typ, b[18], body)
                        b = b[:11] + (len(b) - 13).to_bytes(2, "big") + b[13:]
                    r.append(b)
                return r

            c, server = forge(change, hint=b"a hint", cid=b"abcdef")
            assert c.state in (1, 2, 3)
