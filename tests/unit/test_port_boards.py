# What the platforms' files make of modules that only boards have: a clock since 2000, reset, MAC, IMEI, a modem's randomness
# SPDX-License-Identifier: MIT
from link import *

try:
    import lwm2m.port.generic as _generic

    socket = module("socket")
except ImportError:
    raise Skip("no sockets here")

FOLDER = _generic.__name__[: -len("generic")]


class Module:
    """A module of a board: the names given here, and those of another one."""

    def __init__(self, other=None, **names):
        for name in dir(other) if other else ():
            if name[:1] != "_":
                setattr(self, name, getattr(other, name))
        for name, value in names.items():
            setattr(self, name, value)


def imported(name, modules, drop=()):
    """A file of the port, imported anew where the modules are these."""
    kept = {}
    for module in list(modules) + [FOLDER + name] + [FOLDER + d for d in drop]:
        kept[module] = sys.modules.pop(module, None)
    sys.modules.update(modules)
    try:
        return __import__(FOLDER + name, None, None, ("*",))
    finally:
        for module, value in kept.items():
            sys.modules.pop(module, None)
            if value is not None:
                sys.modules[module] = value


class With:
    """Modules that are there for a while: some functions import when they are called."""

    def __init__(self, **modules):
        self.modules = modules

    def __enter__(self):
        self.kept = {name: sys.modules.pop(name, None) for name in self.modules}
        for name, module in self.modules.items():
            if module is not None:
                sys.modules[name] = module

    def __exit__(self, *_):
        for name, module in self.kept.items():
            sys.modules.pop(name, None)
            if module is not None:
                sys.modules[name] = module


def clock(year, seconds):
    """The module `time` of a board that counts from a year."""
    return Module(time, localtime=lambda t=None: (year, 1, 1, 0, 0, 0, 0, 1), time=lambda: seconds)


def test_a_clock_that_counts_from_2000():
    for year, seconds, expected in (
        (2000, 754000000, 1700684800),
        (2000, 754000000.75, 1700684800),
        (1970, 1700684800, 1700684800),
        (1970, 1700684800.5, 1700684800),
    ):
        fake = clock(year, seconds)
        port = imported("generic", {"time": fake, "utime": fake})
        assert port.time() == expected and isinstance(port.time(), int), (year, port.time())


def test_identity_and_restart():
    calls = []

    class Wlan:
        def __init__(self, number):
            assert number == 0

        def config(self, name):
            assert name == "mac"
            return b"\x0a\x1b\xcc\x00\x01\xff"

    class Broken(Wlan):
        def config(self, name):
            raise OSError(1)

    with With(
        network=Module(WLAN=Wlan),
        ubinascii=Module(hexlify=hexlify),
        machine=Module(reset=lambda: calls.append("reset")),
    ):
        assert _generic.identity() == "urn:dev:mac:0A1BCC0001FF"
        assert _generic.restart() is None and calls == ["reset"]
    with With(network=Module(WLAN=Broken), ubinascii=Module(hexlify=None), machine=Module()):
        # a machine without reset() is one that can't
        assert _generic.identity() is None and _generic.restart() is False
    with With(network=Module(), machine=Module(reset=lambda: calls.append("again"))):
        assert _generic.identity() is None and _generic.restart() is None
    assert calls == ["reset", "again"]


def test_a_port_of_ones_own():
    # the client's local port, as an account asks for it
    s, port = server()
    try:
        for local in (0, port + 1):
            c = _generic.open_udp("127.0.0.1", port, None, local)
            try:
                c.send(b"hello", 0, 5)
                d, peer = take(s)
                assert d == b"hello"
                if local:
                    assert peer == socket.getaddrinfo("127.0.0.1", local)[0][-1]
            finally:
                c.close()
    finally:
        s.close()


def server():
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    for port in range(42000, 42400, 2):
        try:
            s.bind(socket.getaddrinfo("127.0.0.1", port)[0][-1])
            s.setblocking(False)
            return s, port
        except OSError:
            pass
    raise Skip("no port is free")


def take(s):
    for _ in range(200):
        try:
            return s.recvfrom(2000)
        except OSError:
            time.sleep_ms(2)
    raise AssertionError("nothing arrived")


class Modem:
    """QuecPython's modules, and what happened to them."""

    def __init__(self):
        self.imei = "860000000000001"
        self.restarts = 0
        self.volts = 3700
        self.signal = ([1, 2], [3])
        self.noise = b"n" * 32
        self.active = (1, 0, [1, 0, "10.0.0.2", "8.8.8.8", "0.0.0.0"])
        self.context = (0, "internet", "", "", 0)
        self.asked = []

    def modules(self):
        def restart():
            self.restarts += 1

        def noise(n):
            self.asked.append(n)
            return self.noise[:n]

        power = Module(powerRestart=restart, getVbatt=lambda: self.volts)
        return {
            "modem": Module(getDevImei=lambda: self.imei),
            "uhashlib": Module(sha256=sha256),
            "uos": Module(os, urandom=noise),
            "utime": Module(time, ticks_us=lambda: 7, time=lambda: 1700000000),
            "misc": Module(Power=power),
            "net": Module(getSignal=lambda: self.signal),
            "dataCall": Module(
                getInfo=lambda profile, family: self.active if (profile, family) == (1, 0) else -1,
                getPDPContext=lambda profile: self.context if profile == 1 else (0, "another"),
            ),
        }


def quecpython(modem):
    try:
        return imported("quecpython", modem.modules(), ("generic",))
    except ImportError as e:
        if "quecpython" not in str(e):
            raise
        raise Skip("no port for QuecPython in this image")


def test_quecpython():
    modem = Modem()
    port = quecpython(modem)
    with With(**modem.modules()):
        assert port.identity() == "urn:imei:860000000000001"
        modem.imei = -1
        assert port.identity() is None
        assert modem.restarts == 0
        port.restart()
        assert modem.restarts == 1
        assert port.pdp() == (True, "internet") and port.online()
        modem.active = (1, 0, [0, 0, "", "", ""])
        assert port.pdp() == (False, "internet") and not port.online()
        modem.active = -1
        modem.context = -1
        assert port.pdp() == (False, "")
        # the clock and the sockets are those of every other platform
        assert port.ticks_diff(port.ticks_add(5, 3), 5) == 3 and port.time() == 1700000000


def test_randomness_of_a_modem():
    """uos.urandom() repeats itself there: each measurement of the modem makes another series."""

    def series(change=None):
        modem = Modem()
        if change:
            change(modem)
        port = quecpython(modem)
        with With(**modem.modules()):
            out = [port.urandom(n) for n in (0, 1, 16, 32, 33, 100)]
            assert [len(x) for x in out] == [0, 1, 16, 32, 33, 100]
            # what is drawn is not the pool: a longer draw goes on differently
            assert out[3] != out[4][:32] and out[5][:32] != out[5][32:64]
            assert modem.asked and min(modem.asked) >= 32
            assert port.urandom(16) != port.urandom(16)
        return out

    first = series()
    assert series() == first

    def battery(m):
        m.volts = 3701

    def radio(m):
        m.signal = ([1, 2], [4])

    def imei(m):
        m.imei = "860000000000002"

    def noise(m):
        m.noise = b"m" * 32

    others = [series(change) for change in (battery, radio, imei, noise)]
    for k in range(1, 6):
        assert len(set([x[k] for x in [first] + others])) == 5 or k == 1
    # a firmware whose net has no getSignal()
    modem = Modem()
    modules = modem.modules()
    modules["net"] = Module()
    port = imported("quecpython", modules, ("generic",))
    with With(**modules):
        assert len(port.urandom(20)) == 20


class Socket:
    """A socket whose addresses are (host, port, ...), as a modem's are; None is an error."""

    def __init__(self, *arrived):
        self.arrived = list(arrived)
        self.sent = []

    def sendto(self, data, address):
        if not isinstance(data, bytes):
            raise TypeError("bytes, please")
        self.sent.append((data, address))

    def recvfrom(self, n):
        assert n >= 1500
        if not self.arrived:
            raise OSError(11)
        return self.arrived.pop(0)


def test_sockets_of_a_modem():
    # sendto() to a numeric address, and what others send is passed over
    modem = Modem()
    s, number = server()
    port = quecpython(modem)
    with With(**modem.modules()):
        c = port.open_udp("127.0.0.1", number)
        real = c.s
        try:
            assert c.recv() is None
            c.send(b"..hello..", 2, 7)
            d, peer = take(s)
            assert d == b"hello"
            s.sendto(b"x" * 1400, peer)
            time.sleep_ms(20)
            assert c.recv() == b"x" * 1400
            c.a = ("10.0.0.1", 5683, 1)
            c.s = Socket(
                (b"one", ("10.0.0.1", 5683, 0)),
                (b"another host", ("10.0.0.2", 5683, 0)),
                (b"another port", ("10.0.0.1", 5684, 0)),
                (b"long" * 500, ("10.0.0.1", 5683)),
                (b"two", ("10.0.0.1", 5683)),
                (b"last of all", ("10.0.0.9", 5683)),
            )
            assert [c.recv(), c.recv(), c.recv()] == [b"one", b"", b"two"] and c.recv() is None
            # a flood of others' does not hold recv()
            c.s = Socket(*[(b"other", ("10.0.0.2", 5683))] * 1000)
            assert c.recv() is None and len(c.s.arrived) > 900
            c.send(bytearray(b"..bye.."), 2, 5)
            assert c.s.sent == [(b"bye", ("10.0.0.1", 5683, 1))]
        finally:
            c.s = real
            c.close()
            s.close()


def test_a_network_that_is_down():
    modem = Modem()
    port = quecpython(modem)
    with With(**modem.modules()):
        c = port.open_udp("127.0.0.1", 9)
        s = c.s

        class Down:
            def sendto(self, *_):
                raise OSError(101)

            recvfrom = sendto

        c.s = Down()
        c.send(b"x", 0, 1)
        assert c.recv() is None
        c.s = s
        c.close()
