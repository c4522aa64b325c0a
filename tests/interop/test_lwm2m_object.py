# QuecPython's `lwm2m` object as a user's script sees it, against Leshan: calls, return values, URC strings
# SPDX-License-Identifier: MIT
import os
import random
import re
import shutil
import subprocess
import threading
import time

import pytest
from device import ROOT
from leshan import TLV, Leshan
from tap import Tap
from test_leshan_bootstrap import SSID, closed_port

from tools.build.mpy import micropython

KEY = "000102030405060708090a0b0c0d0e0f"

# What a script begins with. One write a line: the callback runs in another thread.
HEAD = """\
import sys
import time
import _thread

def tell(*args):
    sys.stdout.write(" ".join([str(x) for x in args]) + "\\n")

def cb(args):
    tell("URC", type(args[0]).__name__, type(args[1]).__name__, args[2])
    if '"registering"' in args[2]:
        tell("meanwhile", lw.stat())

"""

# The order of calls of the vendor's example: clear, configure, register from a thread, ask for the state.
SEQUENCE = """\
tell("config", lw.config(lw.Reset, []))
tell("config", lw.config(lw.Security, [1]))
tell("config", lw.config(lw.Security, [0]))
tell("config", lw.config(lw.Security, {security}))
tell("config", lw.config(lw.Server, [1, 60, 2, 60, 86400, 1, "U"]))
tell("config", lw.config(lw.Epnamemode, [3]))
tell("config", lw.config(lw.Epnamemode, [1]))
tell("config", lw.config(lw.Epname, ["{endpoint}"]))
tell("config", lw.config(lw.Fota, [0, 1]))
tell("call", lw.register_call(cb))

def begin():
    start = time.ticks_ms()
    r = lw.register()
    tell("register", r, time.ticks_diff(time.ticks_ms(), start))

tell("stat", lw.stat())
# Nothing is defined any more once there are two threads: the unix port has no lock around its names.
last = n = i = 0
line = ""
_thread.start_new_thread(begin, ())
for i in range(1000):
    n = lw.stat()
    if n != last:
        last = n
        tell("stat", n)
    if n == {until}:
        break
    time.sleep_ms(10)
"""

# Then it does what its standard input says.
OBEY = """\
tell("ready")
while True:
    line = sys.stdin.readline()
    if not line:
        break
    try:
        tell("=", repr(eval(line)))
    except Exception as e:
        tell("=", "raised", repr(e))
"""

# Three ways to come by the object; in the second a boot file has imported the package before.
PLAIN = "from lwm2m import lwm2m\nlw = lwm2m()\n"
MODULE = "import lwm2m\nlw = lwm2m()\n"
RELATIVE = "from usr.lwm2m import lwm2m\nlw = lwm2m()\n"


class Script:
    """A user's script on MicroPython, in a process of its own; what it prints is kept in `lines`."""

    def __init__(self, folder, text, path, main="main.py"):
        (folder / "main.py").write_text(text)
        self.lines = []
        self.errors = []
        self.arrived = threading.Condition()
        self.child = subprocess.Popen(
            [micropython(), main],
            cwd=folder,
            env=dict(os.environ, MICROPYPATH=f"{path}{os.pathsep}.frozen"),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for stream, kept in ((self.child.stdout, self.lines), (self.child.stderr, self.errors)):
            threading.Thread(target=self._read, args=(stream, kept), daemon=True).start()

    def _read(self, stream, kept):
        for line in stream:
            with self.arrived:
                kept.append(line.rstrip("\n"))
                self.arrived.notify_all()

    def end(self):
        self.child.kill()
        self.child.wait()

    def wait(self, text, timeout=10, after=0):
        """The number of the first line, from line `after` on, that is `text`, or matches it from its start."""
        deadline = time.monotonic() + timeout
        with self.arrived:
            while True:
                for n, line in enumerate(self.lines[after:], after):
                    if line == text or re.match(text, line):
                        return n
                left = deadline - time.monotonic()
                if left <= 0 or (self.child.poll() is not None and left < timeout - 1):
                    raise AssertionError(f"no {text!r} in {self.lines}\n{self.errors}")
                self.arrived.wait(min(left, 0.5))

    def do(self, expression, timeout=10):
        """The value of an expression, evaluated by the script."""
        n = len(self.lines)
        self.child.stdin.write(expression + "\n")
        self.child.stdin.flush()
        text = self.lines[self.wait("= ", timeout, n)][2:]
        if text.startswith("raised"):
            raise AssertionError(f"{expression}: {text}\n{self.errors}")
        return eval(text)

    def urc(self, after=0):
        """The URCs so far, without their common beginning."""
        head = "URC int int +QLWURC: "
        urcs = [line for line in self.lines[after:] if line.startswith("URC")]
        assert all(line.startswith(head) for line in urcs), urcs
        return [line.removeprefix(head) for line in urcs]

    def heard(self, text, timeout=10, after=0):
        """Wait for a URC; the number of its line."""
        return self.wait(re.escape(f"URC int int +QLWURC: {text}") + "$", timeout, after)


@pytest.fixture
def script(tmp_path):
    """script(text, path=...) runs a user's main.py; all are ended with the test."""
    running = []

    def start(text, path=ROOT / "lib", main="main.py"):
        running.append(Script(tmp_path, text, path, main))
        return running[-1]

    yield start
    for each in running:
        print(f"script: {each.lines}\n{each.errors}")
        each.end()


@pytest.fixture
def registered(script, leshan, endpoint):
    """A script that has registered by the vendor's sequence, and obeys; and the server's side."""

    def start(uri=leshan.uri, head=HEAD + PLAIN):
        text = SEQUENCE.format(security=[1, 1000, uri, 0, 3], endpoint=endpoint, until=2)
        lw = script(head + text + OBEY)
        lw.wait("ready$")
        lw.heard('"ready","successfully",1000')
        leshan.wait("registered", endpoint=endpoint)
        return lw, leshan.peer(endpoint)

    return start


def account(server, endpoint, secure):
    """The list for lw.Security of server 1."""
    if not secure:
        return [1, 1000, server.uri, 0, 3]
    server.request("security-add", endpoint=endpoint, identity=endpoint, key=KEY)
    return [1, 1000, server.secure_uri, 0, 0, endpoint, KEY]


def folder_of(way, tmp_path):
    """Where to import from, and which file to run, for a way to come by the object."""
    if way is RELATIVE:
        copy = tmp_path / "usr" / "lwm2m"
        shutil.copytree(ROOT / "lib" / "lwm2m", copy)
        return tmp_path, "main.py"
    if way is MODULE:
        (tmp_path / "boot.py").write_text("import lwm2m\nimport main\n")
        return ROOT / "lib", "boot.py"
    return ROOT / "lib", "main.py"


@pytest.mark.parametrize("secure", [False, True], ids=["nosec", "psk"])
@pytest.mark.parametrize("way", [PLAIN, MODULE, RELATIVE], ids=["from", "import", "usr"])
def test_vendor_sequence(script, leshan, endpoint, tmp_path, way, secure):
    text = SEQUENCE.format(security=account(leshan, endpoint, secure), endpoint=endpoint, until=2)
    path, main = folder_of(way, tmp_path)
    lw = script(HEAD + way + text + OBEY, path, main)
    lw.wait("ready$")
    assert [line for line in lw.lines if line.startswith("config")] == ["config 0"] * 9
    assert "call 0" in lw.lines
    assert lw.lines.index("stat 0") < lw.lines.index("meanwhile 1") < lw.lines.index("stat 2")
    # It returns at once: the client works in the background.
    result, ms = lw.lines[lw.wait("register")].split()[1:]
    assert (result, int(ms) < 300) == ("0", True)
    server = leshan.wait("registered", endpoint=endpoint)
    assert (server.lifetime, server.scheme) == (60, "coaps" if secure else "coap")
    lw.heard('"ready","successfully",1000')
    assert lw.urc() == [
        '"initial","successfully",1000',
        *(['"dtls","successfully",1000'] if secure else []),
        '"registering"',
        '"ready","successfully",1000',
    ]
    content = leshan.peer(endpoint).read("/1/1").content
    expected = {0: 1000, 1: 60, 2: 2, 3: 60, 5: 86400, 6: True, 7: "U"}
    assert {f"/1/1/{rid}": value for rid, value in expected.items()}.items() <= content.items()
    # Once more is no error, and no traffic.
    assert lw.do("lw.register()") == 0
    leshan.silent("registered", 0.5, endpoint=endpoint)


@pytest.mark.parametrize(
    ("address", "secure"),
    [
        ("127.0.0.1:{port}", False),
        ("127.0.0.1:{port}", True),
        ("coap://localhost:{port}", False),
        ("coaps://localhost:{port}", True),
    ],
)
def test_addresses(script, leshan, endpoint, address, secure):
    """With a scheme or without, by name or by number."""
    security = account(leshan, endpoint, secure)
    security[2] = address.format(port=leshan.secure_port if secure else leshan.port)
    lw = script(
        HEAD + PLAIN + SEQUENCE.format(security=security, endpoint=endpoint, until=2) + OBEY
    )
    lw.wait("ready$")
    scheme = "coaps" if secure else "coap"
    assert leshan.wait("registered", endpoint=endpoint).scheme == scheme


def test_two_servers(script, leshan, endpoint):
    with Leshan(cid=0) as other:
        text = SEQUENCE.format(security=[1, 1000, leshan.uri, 0, 3], endpoint=endpoint, until=2)
        more = f'lw.config(lw.Security, [2, 1001, "{other.uri}", 0, 3])\n'
        more += 'lw.config(lw.Server, [2, 70, 2, 60, 86400, 1, "U"])\n'
        lw = script(HEAD + PLAIN + text.replace("def begin", more + "def begin") + OBEY)
        lw.wait("ready$")
        assert leshan.wait("registered", endpoint=endpoint).lifetime == 60
        assert other.wait("registered", endpoint=endpoint).lifetime == 70
        for ssid in (1000, 1001):
            lw.heard(f'"ready","successfully",{ssid}')
        assert lw.do("lw.update(1001)") == 0
        other.wait("updated", endpoint=endpoint)
        leshan.silent("updated", 0.3, endpoint=endpoint)
        assert lw.urc()[-1] == '"update","successfully",1001'
        # A server reads its own account, and not the other's.
        assert other.peer(endpoint).read("/1/2/0").content == {"/1/2/0": 1001}
        assert lw.do("lw.unregister()") == 0
        for ssid, server in ((1000, leshan), (1001, other)):
            lw.heard(f'"deregister",{ssid},0')
            server.wait("unregistered", endpoint=endpoint)
        assert lw.do("lw.stat()") == 0


@pytest.mark.parametrize("secure", [False, True], ids=["nosec", "psk"])
def test_bootstrap(script, leshan, bootstrap, endpoint, secure):
    uri = "secure_uri" if secure else "uri"
    config = {
        "format": TLV,
        "delete": ["/0", "/1"],
        "security": {
            0: {"uri": getattr(bootstrap, uri), "bootstrap": True},
            1: {"uri": getattr(leshan, uri), "ssid": SSID},
        },
        "servers": {0: {"ssid": SSID, "lifetime": 44}},
    }
    first = [0, 100, getattr(bootstrap, uri), 1, 3]
    if secure:
        first[4:] = [0, endpoint, KEY]
        for server in (leshan, bootstrap):
            server.request("security-add", endpoint=endpoint, identity=endpoint, key=KEY)
        for each in config["security"].values():
            each.update(mode="PSK", identity=endpoint, key=KEY)
    bootstrap.configure(endpoint, **config)
    text = SEQUENCE.format(security=first, endpoint=endpoint, until=2)
    # No server of its own.
    text = re.sub(r".*lw\.Server.*\n", "", text)
    lw = script(HEAD + PLAIN + text + OBEY)
    lw.wait("ready$", 20)
    assert leshan.wait("registered", endpoint=endpoint).lifetime == 44
    lw.heard(f'"ready","successfully",{SSID}')
    urcs = [
        '"initial","successfully",100',
        '"dtls","successfully",100',
        '"bootstraping"',
        '"bootstrap","successfully",100',
        f'"initial","successfully",{SSID}',
        f'"dtls","successfully",{SSID}',
        '"registering"',
        f'"ready","successfully",{SSID}',
    ]
    assert lw.urc() == [each for each in urcs if secure or "dtls" not in each]
    # The update is for the server that the bootstrap gave.
    assert lw.do(f"lw.update({SSID})") == 0
    lw.heard(f'"update","successfully",{SSID}')


def test_bootstrap_that_fails(script, bootstrap, endpoint):
    """The bootstrap server knows nothing of the endpoint."""
    text = SEQUENCE.format(
        security=[0, 100, f"coap://127.0.0.1:{closed_port()}", 1, 3], endpoint=endpoint, until=1
    )
    text = re.sub(
        r".*lw\.Server.*\n",
        "lw.client._coap_options.update(ack_timeout=50, max_retransmit=1)\n",
        text,
    )
    lw = script(HEAD + PLAIN + text + OBEY)
    lw.heard('"bootstrap","failed",100')
    assert lw.urc()[:3] == [
        '"initial","successfully",100',
        '"bootstraping"',
        '"bootstrap","failed",100',
    ]


# What each call gives; `uri` is some address.
RETURNS = [
    ("init()", 0),
    ("stat()", 0),
    ("register()", -1),
    ("unregister()", -1),
    ("update(1)", -1),
    ("register_call(None)", 0),
    ("register_call(cb)", 0),
    ("register_call(1)", -1),
    ("register_call('cb')", -1),
    ("config(99, [])", -2),
    ("config(lw.Reset, [])", 0),
    ("config(lw.Reset, [1])", -1),
    ("config(lw.Reset, None)", -1),
    ("config('Reset', [])", -1),
    ("config(lw.Urc, [1])", 0),
    ("config(lw.Urc, [0])", 0),
    ("config(lw.Urc, [2])", -1),
    ("config(lw.Urc, [])", -1),
    ("config(lw.Urc, 1)", -1),
    ("config(lw.Epnamemode, [3])", 0),
    ("config(lw.Epnamemode, [1])", 0),
    ("config(lw.Epnamemode, [2])", -2),
    ("config(lw.Epnamemode, ['3'])", -1),
    ("config(lw.Epnamemode, [])", -1),
    ("config(lw.Epname, ['name'])", 0),
    ("config(lw.Epname, ['n' * 64])", 0),
    ("config(lw.Epname, ['n' * 65])", -1),
    ("config(lw.Epname, [''])", -1),
    ("config(lw.Epname, [b'name'])", -1),
    ("config(lw.Epname, [1])", -1),
    ("config(lw.Fota, [0, 1])", 0),
    ("config(lw.Fota, [1, 0])", 0),
    ("config(lw.Fota, [2, 0])", -1),
    ("config(lw.Fota, [0])", -1),
    ("config(lw.Fota, ['0', 1])", -1),
    # Security: serverID, SSID, address, bootstrap, mode, identity, key
    ("config(lw.Security, [1, 1000, uri, 0, 3])", 0),
    ("config(lw.Security, (1, 1000, uri, 0, 3))", 0),
    ("config(lw.Security, [1, 1000, uri, 0, 3, '', ''])", 0),
    ("config(lw.Security, [1, 1000, 'host:5693', 0, 3])", 0),
    ("config(lw.Security, [1, 1000, 'host', 0, 3])", 0),
    ("config(lw.Security, [0, 100, uri, 1, 3])", 0),
    ("config(lw.Security, [1])", 0),
    ("config(lw.Security, [0])", 0),
    ("config(lw.Security, [])", -1),
    ("config(lw.Security, [1, 1000])", -1),
    ("config(lw.Security, [1, 1000, uri, 0])", -1),
    ("config(lw.Security, [1, 1000, uri, 0, 3, '', '', 1])", -1),
    ("config(lw.Security, [4, 1000, uri, 0, 3])", -1),
    ("config(lw.Security, [-1, 1000, uri, 0, 3])", -1),
    ("config(lw.Security, ['1', 1000, uri, 0, 3])", -1),
    ("config(lw.Security, [1, 0, uri, 0, 3])", -1),
    ("config(lw.Security, [1, 65535, uri, 0, 3])", -1),
    ("config(lw.Security, [1, 65534, uri, 0, 3])", 0),
    ("config(lw.Security, [1, '1000', uri, 0, 3])", -1),
    ("config(lw.Security, [1, 1000, '', 0, 3])", -1),
    ("config(lw.Security, [1, 1000, 5683, 0, 3])", -1),
    ("config(lw.Security, [1, 1000, b'coap://host', 0, 3])", -1),
    ("config(lw.Security, [1, 1000, 'http://host', 0, 3])", -1),
    ("config(lw.Security, [1, 1000, 'coap://host:port', 0, 3])", -1),
    ("config(lw.Security, [1, 1000, 'coap://host:70000', 0, 3])", -1),
    ("config(lw.Security, [1, 1000, 'coap://' + 'h' * 249, 0, 3])", 0),
    ("config(lw.Security, [1, 1000, 'coap://' + 'h' * 250, 0, 3])", -1),
    ("config(lw.Security, [1, 1000, uri, 1, 3])", -1),
    ("config(lw.Security, [0, 100, uri, 0, 3])", -1),
    ("config(lw.Security, [1, 1000, uri, 2, 3])", -1),
    ("config(lw.Security, [1, 1000, uri, 0, 1])", -2),
    ("config(lw.Security, [1, 1000, uri, 0, 2])", -2),
    ("config(lw.Security, [1, 1000, uri, 0, 9])", -1),
    ("config(lw.Security, [1, 1000, uri, 0, '3'])", -1),
    ("config(lw.Security, [1, 1000, 'coaps://host', 0, 3])", -1),
    ("config(lw.Security, [1, 1000, 'coaps://host', 0, 0])", -1),
    ("config(lw.Security, [1, 1000, 'coaps://host', 0, 0, 'id'])", -1),
    ("config(lw.Security, [1, 1000, 'coaps://host', 0, 0, 'id', '00ff'])", 0),
    ("config(lw.Security, [1, 1000, 'coaps://host', 0, 0, 'i' * 64, 'aB' * 64])", 0),
    ("config(lw.Security, [1, 1000, 'coaps://host', 0, 0, 'i' * 65, '00ff'])", -1),
    ("config(lw.Security, [1, 1000, 'coaps://host', 0, 0, 'id', '00' * 65])", -1),
    ("config(lw.Security, [1, 1000, 'coaps://host', 0, 0, 'id', '00f'])", -1),
    ("config(lw.Security, [1, 1000, 'coaps://host', 0, 0, 'id', 'secret'])", -1),
    ("config(lw.Security, [1, 1000, 'coaps://host', 0, 0, 'id', ''])", -1),
    ("config(lw.Security, [1, 1000, 'coaps://host', 0, 0, '', '00ff'])", -1),
    ("config(lw.Security, [1, 1000, 'coaps://host', 0, 0, b'id', '00ff'])", -1),
    ("config(lw.Security, [1, 1000, 'coaps://host', 0, 0, 1, 2])", -1),
    # Server: serverID, lifetime, pmin, pmax, disable_timeout, storing, binding
    ("config(lw.Server, [1, 86400, 1, 86400, 86400, 0, 'U'])", 0),
    ("config(lw.Server, [1, 1, 1, 1, 1, 1, 'U'])", 0),
    ("config(lw.Server, [1, 60, 2, 60, 86400, 1, 'US'])", 0),
    ("config(lw.Server, [1, 60, 2, 60, 86400, 1, 'UQS'])", 0),
    ("config(lw.Server, [1, 60, 2, 60, 86400, 1, 'S'])", -2),
    ("config(lw.Server, [1, 60, 2, 60, 86400, 1, 'SQ'])", -2),
    ("config(lw.Server, [1, 60, 2, 60, 86400, 1, 'T'])", -1),
    ("config(lw.Server, [1, 60, 2, 60, 86400, 1, ''])", -1),
    ("config(lw.Server, [1, 60, 2, 60, 86400, 1, 1])", -1),
    ("config(lw.Server, [1, 60, 2, 60, 86400, 1, ['U']])", -1),
    ("config(lw.Server, [1])", 0),
    ("config(lw.Server, [])", -1),
    ("config(lw.Server, [0, 60, 2, 60, 86400, 1, 'U'])", -1),
    ("config(lw.Server, [4, 60, 2, 60, 86400, 1, 'U'])", -1),
    ("config(lw.Server, [1, 60, 2, 60, 86400, 'U'])", -1),
    ("config(lw.Server, [1, 60, 2, 60, 86400, 2, 'U'])", -1),
    *[
        (f"config(lw.Server, {[1, *(v if n == k else 60 for n in range(4)), 1, 'U']})", -1)
        for k in range(4)
        for v in (0, 86401, -1, "60", 60.5, None)
    ],
    # A server alone is no account.
    ("config(lw.Security, [1])", 0),
    ("config(lw.Server, [1, 60, 2, 60, 86400, 1, 'U'])", 0),
    ("register()", -1),
    ("update(0)", -1),
    ("update('1')", -1),
    ("update(65535)", -1),
    ("stat()", 0),
]


def test_returns(script):
    lw = script(HEAD + PLAIN + OBEY)
    lw.wait("ready$")
    lw.do("globals().update(uri='coap://127.0.0.1:5693')")
    wrong = []
    for call, expected in RETURNS:
        got = lw.do(f"lw.{call}")
        if got != expected or isinstance(got, bool):
            wrong.append((call, got, expected))
    assert not wrong
    assert not lw.errors


def test_constants(script):
    """Native numbers, from the instance and from the module."""
    boot = "import lwm2m\nimport lwm2m\n"
    lw = script(boot + HEAD + "lw = lwm2m()\n" + OBEY)
    lw.wait("ready$")
    names = {
        "Security": 1,
        "Server": 2,
        "Epnamemode": 4,
        "Urc": 5,
        "Fota": 7,
        "Reset": 9,
        "Epname": 15,
    }
    for name, number in names.items():
        assert lw.do(f"lw.{name}, lwm2m.{name}") == (number, number)
    assert lw.do("lwm2m.stat(), lwm2m.init(), lw is lwm2m()") == (0, 0, True)


def test_update_and_unregister(registered, leshan, endpoint):
    lw, peer = registered()
    assert lw.do("lw.update(1000)") == 0
    peer.wait("updated")
    n = lw.heard('"update","successfully",1000')
    assert lw.do("lw.update(999), lw.update('1000')") == (-1, -1)
    peer.silent("updated", 0.5)
    assert lw.do("lw.unregister()") == 0
    lw.heard('"deregister",1000,0')
    peer.wait("unregistered")
    assert lw.urc(n + 1) == ['"deregister",1000,0']
    assert lw.do("lw.stat(), lw.unregister(), lw.update(1000)") == (0, -1, -1)
    n = len(lw.lines)
    assert lw.do("lw.register()") == 0
    peer.wait("registered")
    lw.heard('"ready","successfully",1000', after=n)
    assert lw.do("lw.stat()") == 2


def hasten(lw):
    """Attempts that do not make a test wait; the object itself has no call for it."""
    lw.do("lw.client._coap_options.update(ack_timeout=200, max_retransmit=1)")
    for name, value in (("ack_timeout", 200), ("max_retransmit", 1)):
        lw.do(f"setattr(lw.client.sessions[0].coap, '{name}', {value})")


def test_unregister_from_a_silent_server(leshan, registered):
    with Tap(leshan.port) as line:
        lw, peer = registered(f"coap://127.0.0.1:{line.port}")
        hasten(lw)
        line.cut = True
        assert lw.do("lw.unregister(), lw.stat()") == (0, 3)
        lw.heard('"deregister",1000,1')
        assert lw.do("lw.stat()") == 0


def test_session_that_ends_while_leaving(script, leshan, endpoint):
    """The server ends the DTLS session instead of answering: that is not a reason to register again."""
    with Tap(leshan.secure_port, cid=6) as line:
        security = account(leshan, endpoint, True)
        security[2] = line.uri
        text = SEQUENCE.format(security=security, endpoint=endpoint, until=2)
        lw = script(HEAD + PLAIN + text + OBEY)
        lw.wait("ready$")
        line.cut = True
        assert lw.do("lw.unregister(), lw.stat()") == (0, 3)
        n = len(lw.lines)
        # As its close_notify does.
        lw.do("lw.client.sessions[0].dtls.fail(0, 0)")
        lw.heard('"deregister",1000,1')
        line.cut = False
        leshan.wait("registered", endpoint=endpoint)
        leshan.silent("registered", 1, endpoint=endpoint)
        assert lw.urc(n) == ['"deregister",1000,1']
        assert lw.do("lw.stat()") == 0


def test_lost_server(leshan, registered):
    """An update that nobody answers is told, and a new registration follows when the server is back."""
    with Tap(leshan.port) as line:
        lw, peer = registered(f"coap://127.0.0.1:{line.port}")
        hasten(lw)
        line.cut = True
        lw.do("lw.client.set('/1/1/18', 1)")
        assert lw.do("lw.update(1000)") == 0
        n = lw.heard('"update","failed",1000')
        lw.heard('"ready","failed",1000', after=n)
        assert lw.do("lw.stat()") in (1, 4)
        line.cut = False
        peer.wait("registered", 20)
        lw.heard('"ready","successfully",1000', after=n)
        assert lw.do("lw.stat()") == 2


@pytest.mark.parametrize("secure", [False, True], ids=["nosec", "psk"])
def test_server_that_is_not_there(script, endpoint, secure):
    uri = f"coap{'s' if secure else ''}://127.0.0.1:{closed_port()}"
    security = [1, 1000, uri, 0, 0, "id", KEY] if secure else [1, 1000, uri, 0, 3]
    text = SEQUENCE.format(security=security, endpoint=endpoint, until=4)
    # One attempt after the first, a second later; no API of the object's own sets these.
    quick = "lw.client.tree.objects[1][1].update({17: 2, 18: 1})\nlw.client._coap_options.update(ack_timeout=20, max_retransmit=1)\n"
    text = text.replace("def begin", quick + "def begin")
    lw = script(HEAD + PLAIN + text + OBEY)
    lw.wait("ready$", 20)
    assert lw.lines[lw.wait("register")].split()[1] == "0"
    attempt = ['"initial","successfully",1000', '"registering"', '"ready","failed",1000']
    if secure:
        attempt[1] = '"dtls","failed",1000'
    assert lw.urc() == attempt * 2
    assert lw.do("lw.stat()") == 4
    assert not lw.errors


@pytest.mark.parametrize("wrong", ["key", "identity"])
def test_refused_credentials(script, leshan, endpoint, wrong):
    security = account(leshan, endpoint, True)
    if wrong == "key":
        security[6] = "00" * 16
    else:
        security[5] = "nobody"
    text = SEQUENCE.format(security=security, endpoint=endpoint, until=1)
    text = text.replace("def begin", "lw.client._coap_options.update(ack_timeout=10)\ndef begin")
    lw = script(HEAD + PLAIN + text + OBEY)
    lw.heard('"ready","failed",1000')
    assert lw.urc() == [
        '"initial","successfully",1000',
        '"dtls","failed",1000',
        '"ready","failed",1000',
    ]
    assert not lw.errors


def test_operations(registered, leshan):
    lw, peer = registered()
    device = peer.read("/3/0").content
    assert device["/3/0/16"].startswith("U")
    assert peer.read("/1/1/1").content == {"/1/1/1": 60}
    assert peer.discover("/3/0").code == "2.05"
    assert peer.write("/3/0/14", "+02:00").code == "2.04"
    assert peer.read("/3/0/14").content == {"/3/0/14": "+02:00"}
    assert peer.execute("/3/0/12").code == "2.04"
    observed = peer.observe("/3/0/14")
    assert peer.attributes("/3/0/14", pmin=1).code == "2.04"
    assert peer.write("/3/0/14", "+03:00").code == "2.04"
    told = peer.wait("notification", observation=observed.observation)
    assert told.content == {"/3/0/14": "+03:00"}
    peer.cancel(observed.observation, active=True)
    # Refusals, each with its code.
    assert peer.coap("GET", "/0/1").code == "4.01"
    assert peer.coap("GET", "/3/0/99").code == "4.04"
    assert peer.coap("GET", "/4711").code == "4.04"
    assert peer.coap("PUT", "/3/0/16", b"S", format=0).code == "4.05"
    assert peer.coap("POST", "/3/0/16").code == "4.05"
    assert peer.coap("GET", "/3/0/4").code == "4.05"
    assert peer.coap("POST", "/3", b"\x08\x01", format=TLV).code.startswith("4.")
    assert peer.coap("DELETE", "/3/0").code.startswith("4.")
    assert peer.coap("PUT", "/3/0/14", b"x", format=999).code == "4.15"
    assert lw.do("lw.stat()") == 2
    assert not lw.errors


def test_create_and_delete(registered, leshan):
    """A second account's object 1 instance comes and goes by the server."""
    lw, peer = registered()
    code = peer.create("/1/7", {0: 7, 1: 60, 6: True, 7: "U"}).code
    if code == "2.01":
        assert "/1/7" in peer.wait("updated").instances
        assert peer.delete("/1/7").code == "2.02"
        assert "/1/7" not in peer.wait("updated").instances
    else:
        assert code in ("4.00", "4.05")
    assert lw.do("lw.stat()") == 2


def test_changes_by_the_server(registered, leshan):
    lw, peer = registered()
    n = len(lw.lines)
    assert peer.write("/1/1/1", 90, "TEXT").code == "2.04"
    lw.heard('"lifetime_changed",90')
    assert peer.wait("updated").lifetime == 90
    lw.heard('"update","successfully",1000')
    assert lw.urc(n) == ['"lifetime_changed",90', '"update","successfully",1000']
    n = len(lw.lines)
    assert peer.write("/3/0/13", 1750000000).code == "2.04"
    lw.heard('"current_time_changed",1750000000')
    # The trigger is answered by an update, which is told as any other.
    assert peer.execute("/1/1/8").code == "2.04"
    lw.heard('"update","successfully",1000', after=n)
    assert lw.urc(n) == ['"current_time_changed",1750000000', '"update","successfully",1000']


def test_callback_that_raises(registered, leshan):
    head = HEAD.replace(
        '    tell("URC"',
        '    tell("URC", *["int", "int", args[2]])\n    raise ValueError("mine")\n    tell("URC"',
    )
    lw, peer = registered(head=head + PLAIN)
    assert peer.write("/1/1/1", 70).code == "2.04"
    lw.heard('"lifetime_changed",70')
    lw.heard('"update","successfully",1000')
    assert peer.read("/3/0/16").code == "2.05"
    assert lw.do("lw.stat()") == 2
    assert any("mine" in line for line in lw.errors + lw.lines)


def test_callback_that_calls_back(registered, leshan):
    """From the callback the object may be asked and told things."""
    head = (
        HEAD
        + "def cb(args):\n    tell('URC int int', args[2])\n    tell('within', lw.stat(), lw.update(1000))\n"
    )
    lw, peer = registered(head=head + PLAIN)
    lw.wait("within 2 0$")
    peer.wait("updated")
    lw.do("lw.register_call(None)")


def test_callback_taken_away(registered, leshan):
    lw, peer = registered()
    assert lw.do("lw.register_call(None)") == 0
    n = len(lw.lines)
    assert lw.do("lw.update(1000)") == 0
    peer.wait("updated")
    time.sleep(0.3)
    assert lw.urc(n) == []
    assert lw.do("lw.register_call(cb), lw.config(lw.Urc, [0]), lw.update(1000)") == (0, 0, 0)
    peer.wait("updated")
    time.sleep(0.3)
    assert lw.urc(n) == []
    assert lw.do("lw.config(lw.Urc, [1]), lw.update(1000)") == (0, 0)
    lw.heard('"update","successfully",1000', after=n)


def test_reset_while_registered(registered, leshan, endpoint):
    lw, peer = registered()
    assert lw.do("lw.config(lw.Reset, []), lw.stat(), lw.register()") == (0, 0, -1)
    again = (
        f"lw.config(lw.Security, [1, 1001, '{leshan.uri}', 0, 3]), "
        f"lw.config(lw.Epnamemode, [1]), lw.config(lw.Epname, ['{endpoint}']), lw.register()"
    )
    for _ in range(3):
        n = len(lw.lines)
        assert lw.do(again) == (0, 0, 0, 0)
        # Without lw.Server its defaults hold.
        assert peer.wait("registered").lifetime == 86400
        lw.heard('"ready","successfully",1001', after=n)
        assert peer.read("/1/1/0").content == {"/1/1/0": 1001}
        assert lw.do("lw.config(lw.Reset, [])") == 0
    assert not lw.errors


@pytest.mark.parametrize("secure", [False, True], ids=["nosec", "psk"])
def test_malformed_datagrams(script, leshan, endpoint, secure):
    """What comes from the server's address and is no message, or a broken one."""
    chance = random.Random(4)
    security = account(leshan, endpoint, secure)
    with Tap(leshan.secure_port if secure else leshan.port, cid=6) as line:
        security[2] = f"coap{'s' if secure else ''}://127.0.0.1:{line.port}"
        lw = script(
            HEAD + PLAIN + SEQUENCE.format(security=security, endpoint=endpoint, until=2) + OBEY
        )
        lw.wait("ready$")
        peer = leshan.peer(endpoint)
        peer.wait("registered")
        good = [bytes.fromhex(each.bytes) for each in peer.messages() if each.bytes]
        assert peer.read("/3/0").code == "2.05"
        for n in range(1500):
            data = bytearray(
                chance.choice(good) if n % 3 else chance.randbytes(chance.randrange(90))
            )
            for _ in range(chance.randrange(1, 5)):
                if data:
                    data[chance.randrange(len(data))] = chance.randrange(256)
            line.inject(bytes(data[: chance.randrange(len(data) + 1)] if n % 2 else data))
            if n % 50 == 0:
                time.sleep(0.02)
        time.sleep(0.3)
        assert lw.do("lw.stat()") == 2
        assert peer.read("/3/0/16").code == "2.05"
        assert lw.do("lw.update(1000)") == 0
        peer.wait("updated")
        assert not lw.errors
