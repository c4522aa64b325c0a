# What old and small builds lack, and how the client does without: text, floats, JSON that is cut, threads, files
# SPDX-License-Identifier: MIT
from codec import encode, give, tree
from link import Link, Skip, json, raises, sys

import lwm2m
from lwm2m.formats import find_format, text
from lwm2m.port import DOUBLE
from lwm2m.model.values import to_stored

try:
    from lwm2m.port import utf8
except ImportError:
    utf8 = None  # left out where MicroPython checks by itself

STRING, FLOAT, TIME = 1, 3, 6
NO_TEXT = (
    b"\xff",
    b"a\x80",
    b"\xc3",
    b"\xe2\x82",
    b"\xc0\xaf",  # longer than it need be
    b"\xe0\x9f\xbf",
    b"\xf0\x8f\xbf\xbf",
    b"\xed\xa0\x80",  # a surrogate
    b"\xf4\x90\x80\x80",  # beyond the last character
    b"\xf5\x80\x80\x80",
    b"\xc3a",
)


def test_utf8_by_ourselves():
    if not utf8:
        raise Skip("no UTF-8 check of ours in this image")
    for good in ("", "a", "é", "€", "𐅑", "x€é𐅑\x7f"):
        assert utf8.text(good.encode(), "utf8") == good
        assert utf8.text(memoryview(good.encode()), "utf8") == good
    for bad in NO_TEXT:
        assert raises(ValueError, utf8.text, bad, "utf8"), bad


def test_text_that_is_no_utf8():
    """Whatever the build thinks of it."""
    for bad in NO_TEXT[:4]:
        assert raises(ValueError, to_stored, STRING, bad), bad
    assert to_stored(STRING, "é".encode()) == "é".encode() == to_stored(STRING, "é")


def test_floats_as_text():
    for tenths in range(-1000, 1001):
        value = tenths / 10
        shown = text.decimal(value)
        assert float(shown) == value, (shown, tenths)
        assert len(shown) <= 6 and shown == "%.1f" % value, (shown, tenths)
    for value in (1e300, -2.5e-7, 0.1 + 0.2, 1 / 3) if DOUBLE else (1e30, -2.5e-7, 1 / 3):
        assert float(text.decimal(value)) == value, text.decimal(value)
    assert text.decimal(7) == "7" and text.decimal(-0.0) in ("-0.0", "0.0")
    t = tree()
    give(t, "/1000/0/3", 48.5)
    assert encode(text, t, "/1000/0/3") == b"48.5"
    senml = find_format(110)
    if senml:
        assert b'"v":48.5}' in encode(senml, t, "/1000/0/3")


def test_whole_doubles():
    """A time that arrives as a double keeps its seconds, also where floats are single."""
    try:
        from lwm2m.formats.cbor import Reader, typed
    except ImportError:
        raise Skip("no CBOR in this image")
    for number, data in (
        (1600000001, b"\xfb\x41\xd7\xd7\x84\x00\x40\x00\x00"),
        (-1600000001, b"\xfb\xc1\xd7\xd7\x84\x00\x40\x00\x00"),
        (4503599627370495, b"\xfb\x43\x2f\xff\xff\xff\xff\xff\xfe"),
    ):
        assert typed(TIME, Reader(memoryview(data)).item()) == number, data
    # of a Float it is the value
    value = typed(FLOAT, Reader(memoryview(b"\xfb\x41\xd7\xd7\x84\x00\x40\x00\x00")).item())
    assert isinstance(value, float) and value == 1600000001.0
    if not DOUBLE:
        # a float that was rounded is no time
        assert raises(ValueError, typed, TIME, 1600000001.0)


def test_json_that_is_cut():
    fmt = find_format(11543)
    if not fmt:
        raise Skip("no JSON in this image")
    from codec import bad, decode

    whole = b'{"bn":"/1000/0/","e":[{"n":"2","v":5}]}'
    assert decode(fmt, tree(), "/1000/0", whole) == [(0, 2, -1, 5)]
    nested = b'{"bn":"/1000/0/","e":[{"n":"2","v":5}],"x":{"y":[1]}}'
    assert decode(fmt, tree(), "/1000/0", nested) == [(0, 2, -1, 5)]
    for data in (whole, nested):
        for n in range(len(data)):
            assert bad(fmt, tree(), "/1000/0", data[:n]), data[:n]
    senml = find_format(110)
    whole = b'[{"bn":"/1000/0/","n":"2","v":5},{"n":"8","v":6,"x":[1,{"y":2}]}]'
    assert decode(senml, tree(), "/1000/0", whole) == [(0, 2, -1, 5), (0, 8, -1, 6)]
    for n in range(len(whole)):
        assert bad(senml, tree(), "/1000/0", whole[:n]), whole[:n]


def test_without_threads():
    """register() begins, and poll() or run() goes on, where there is no _thread."""
    from lwm2m.quectel import Lwm2m

    port = sys.modules[lwm2m.__name__ + ".port"]
    start = port.start_thread
    del port.start_thread
    try:
        lw = Lwm2m()
        link = Link(client=lw.client, start=False)
        link.peer("server")
        poll = lw.client.poll
        lw.client.poll = lambda now=None: poll(link.ticks() if now is None else now)
        lines = []
        lw.register_call(lambda args: lines.append(args[2]))
        assert lw.config(lw.Security, [1, 1000, "coap://server", 0, 3]) == 0
        assert lw.config(lw.Epnamemode, [1]) == 0 and lw.config(lw.Epname, ["x"]) == 0
        assert lw.register() == 0 and not lw.running
        for _ in range(10):
            lw.poll()
            link.deliver()
        assert lw.stat() == 2 and lines[-1] == '+QLWURC: "ready","successfully",1000', lines
        assert lw.unregister() == 0

        def poll_and_deliver(now=None):
            link.deliver()
            return poll(link.ticks())

        lw.client.poll = poll_and_deliver
        lw.run()
        assert lw.stat() == 0 and lines[-1] == '+QLWURC: "deregister",1000,0', lines
    finally:
        port.start_thread = start


def fails(kind, name):
    """What the package says of a name that it does not have."""
    try:
        getattr(lwm2m, name)
    except Exception as error:
        assert type(error) is kind, (name, error)
        return str(error)
    raise AssertionError(name)


def test_what_the_package_lacks():
    if not hasattr(lwm2m, "Client"):
        raise Skip("modules have no __getattr__ here")
    made = lwm2m.lwm2m()
    clients = made.client
    assert "lwm2m/Clinet.py" in fails(AttributeError, "Clinet")
    assert raises((ImportError, AttributeError), __import__, "lwm2m.nonsense")
    assert lwm2m.lwm2m() is made and made.client is clients
    # A file that is missing: importing it fails as in an image without it.
    name = lwm2m.__name__ + "."
    real = __import__
    builtins = sys.modules.get("builtins") or real("builtins")

    def importing(absent, message):
        def stand_in(module, *rest):
            if module == absent:
                raise ImportError(message)
            # what is relative would be relative to here
            return sys.modules.get(name + module) or real(module, *rest)

        builtins.__import__ = stand_in

    try:
        importing("client", "no module named '%sclient'" % name)
        assert "lwm2m/client.py" in fails(ImportError, "Client")
        importing("shell", "no module named '%sshell'" % name)
        assert "lwm2m/shell.py" in fails(AttributeError, "shell")
        # one inside a file that is there is told as it is
        importing("client", "no module named 'socket'")
        assert "'socket'" in fails(ImportError, "Client")
        importing("shell", "no module named 'select'")
        assert "'select'" in fails(ImportError, "shell")
    finally:
        builtins.__import__ = real


def test_what_is_saved_is_whole():
    """A registration that was cut in storage is as good as none."""
    try:
        from lwm2m.session import resume
        from lwm2m.session.registration import Registration
    except ImportError:
        raise Skip("no registration outlives a sleep in this image")
    kept = {}
    link = Link(save=lambda name, data: kept.update({name: data}), load=kept.get)
    s = link.client.sessions[0]

    class Keeps:
        def keep(self):
            pass

    s.dtls = Keeps()
    resume.keep(s)
    whole = kept["reg1"]
    assert json.loads(whole)[0] == 2
    for n in range(len(whole) + 1):
        kept["reg1"] = whole[:n]
        fresh = Registration(link.client, s.security_iid, s.server_iid)
        resume.wake(fresh, link.ticks())
        assert bool(fresh.location) == (n == len(whole)), whole[:n]
