# The generic platform: datagrams over real sockets (IPv4, IPv6, names), waiting, the clock
# SPDX-License-Identifier: MIT

from link import Skip, module, raises, time

try:
    from lwm2m.port import generic

    socket = module("socket")
except ImportError:
    raise Skip("no sockets here")


def server(host):
    """A bound socket, and its port."""
    a = socket.getaddrinfo(host, 0)[0]
    s = socket.socket(a[0], socket.SOCK_DGRAM)
    for port in range(41000, 41200):
        try:
            s.bind(socket.getaddrinfo(host, port)[0][-1])
            s.setblocking(False)
            return s, port
        except OSError:
            pass
    raise Skip("no port is free")


def take(s):
    for _ in range(100):
        try:
            return s.recvfrom(2000)
        except OSError:
            time.sleep_ms(2)
    raise AssertionError("nothing arrived")


def talk(host, where):
    try:
        s, port = server(host)
    except (OSError, IndexError):
        raise Skip("no " + host)
    seen = []
    c = generic.open_udp(where, port, lambda sock: seen.append(sock))
    try:
        assert len(seen) == 1 and c.recv() is None and not generic.ready(0)
        buf = bytearray(b"..hello..")
        c.send(buf, 2, 7)
        d, peer = take(s)
        assert d == b"hello"
        for d in (b"one", b"", b"x" * 1400):
            s.sendto(d, peer)
        # whole datagrams, one at a time
        assert generic.ready(500)
        assert [c.recv(), c.recv(), c.recv(), c.recv()] == [b"one", b"", b"x" * 1400, None]
        assert not generic.ready(1)
        # one that is too long is not taken for its beginning
        for d in (b"a" * 1536, b"b" * 1537, b"c" * 20000, b"after"):
            s.sendto(d, peer)
        assert [c.recv(), c.recv(), c.recv(), c.recv()] == [b"a" * 1536, b"", b"", b"after"]
    finally:
        c.close()
        s.close()


def test_ipv4():
    talk("127.0.0.1", "127.0.0.1")


def test_ipv6():
    talk("::1", "::1")


def test_names():
    talk("127.0.0.1", "localhost")


def test_nobody_there():
    # an ICMP error that comes back is as good as a loss
    s, port = server("127.0.0.1")
    s.close()
    c = generic.open_udp("127.0.0.1", port)
    for _ in range(3):
        c.send(b"hello", 0, 5)
        time.sleep_ms(2)
        assert c.recv() is None
    c.close()


def test_options_that_raise():
    # what was opened is closed, and nothing is left to wait for
    seen = []

    def options(sock):
        seen.append(sock)
        raise RuntimeError("mine")

    for _ in range(3):
        assert raises(RuntimeError, generic.open_udp, "127.0.0.1", 9, options)
        try:
            seen[-1].send(b"x")
        except OSError as e:
            assert e.args[0] == 9, e  # EBADF
        else:
            raise AssertionError("open")
    assert not generic.ready(0)


def test_clock():
    a = generic.ticks_ms()
    time.sleep_ms(20)
    assert 15 <= generic.ticks_diff(generic.ticks_ms(), a) < 2000
    assert generic.ticks_diff(generic.ticks_add(a, 1000), a) == 1000
    assert generic.time() > 1600000000
    assert len(generic.urandom(5)) == 5 and generic.urandom(16) != generic.urandom(16)


def test_what_does_not_get_out():
    """No route is told; a refusal by the host is the answer of a network that is there."""

    class Broken:
        def __init__(self, number):
            self.number = number

        def send(self, data):
            raise OSError(self.number)

    channel = generic.open_udp("127.0.0.1", 9)
    real = channel.s
    for number, there in ((101, False), (113, False), (100, False), (111, True)):
        channel.s = Broken(number)
        assert (channel.send(b"x", 0, 1) is not False) == there, number
    channel.s = real
    assert channel.send(b"x", 0, 1) is not False
    channel.close()
