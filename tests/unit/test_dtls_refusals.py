# DTLS handshakes that a client must refuse: what the server may not say, or not in this order
# SPDX-License-Identifier: MIT
from dtls_server import *


def test_wrong_suite():
    server = Server(suites=(0x1301,))
    c, link = client()
    c.connect(0)
    talk(c, link, server)
    assert (c.state, c.error) == (3, 40)
    try:
        send(c, b"x")
        assert False, "sent"
    except OSError as e:
        assert e.args[0] == 107


def forge(change, **more):
    """A handshake whose server's flights `change` has altered."""
    server = Server(mangle=change, **more)
    c, link = client(suites=more.get("suites", (CCM,)))
    c.connect(0)
    talk(c, link, server)
    return c, server


def test_illegal_server_hello():
    def replace(i, b):
        def change(records):
            r = records[0]
            if r[13] == 2:
                records[0] = r[: 25 + i] + b + r[25 + i + len(b) :]
            return records

        return change

    for i, b, alert in (
        (0, b"\xfe\xff", 70),  # DTLS 1.0
        (67, b"\0\xae", 47),  # a suite that was not offered
        (69, b"\1", 47),  # compression
        (72, b"\0\0\0\1\0", 110),  # an extension that was not asked for
        (72, b"\xff\1\0\1\1", 110),  # renegotiation information in a first handshake
        (34, b"\xff", 50),
        (70, b"\0\xff\xff\1\1\0", 50),
    ):
        c, server = forge(replace(i, b))
        assert (c.state, c.error) == (3, alert), (i, b, c.error)
        assert server.alert == (2, alert)


def test_wrong_order():
    # ServerHelloDone in place of ServerHello, and a second ServerHello
    def change(records):
        return [
            r[:13] + bytes((typ,)) + r[14:] if r[13] == 2 and r[0] == 22 else r for r in records
        ]

    for typ in (14, 11, 20):
        c, server = forge(change)
        assert (c.state, c.error) == ((1, 0) if typ == 20 else (3, 10))

    def twice(records):
        r = records[-1]
        return records[:-1] + [r[:13] + b"\2" + r[14:]] if r[13] == 14 else records

    c, server = forge(twice)
    assert (c.state, c.error) == (3, 10)


def test_finished_must_be_protected_and_right():
    def plain(records):
        if records[0][0] == 20:
            m = message(20, server.number - 1, bytes(12))
            return [records[0], server.plain(22, m)]
        return records

    server = Server(mangle=plain)
    c, link = client()
    c.connect(0)
    talk(c, link, server)
    assert c.state == 1

    def wrong(records):
        if records[0][0] == 20:
            return [records[0], server.sealed(22, message(20, server.number - 1, bytes(12)))]
        return records

    server = Server(mangle=wrong)
    c, link = client()
    c.connect(0)
    talk(c, link, server)
    assert (c.state, c.error) == (3, 51)
    assert server.alert == (2, 51)


def test_endless_cookies_end():
    server = Server(mangle=lambda records: records)
    server.cookie = True
    c, link = client()
    c.connect(0)
    for n in range(5):
        hello = link.take()
        if not hello:
            break
        m = message(3, n, b"\xfe\xff" + vector(bytes((n,))))
        c.feed(server.plain(22, m), 0)
    assert c.state == 3
    assert n < 5


def test_bounded_reassembly():
    c, link = client()
    c.connect(0)
    server = Server()
    for n in range(200):
        head = b"\2\0\2\0" + bytes((n >> 8, n & 255)) + b"\0\0\0\0\0\1x"
        c.feed(server.plain(22, head), 0)
        c.feed(server.plain(22, b"\2\xff\xff\xff\0\0\0\0\0\0\0\1x"), 0)
    assert early_messages(c) <= 4
    assert c.state == 1
