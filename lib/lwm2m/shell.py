# The shell: Zephyr's lwm2m commands at the REPL, on standard input, or in an application
# SPDX-License-Identifier: MIT
import binascii
import select
import struct
import sys
from micropython import const

from .client import Client
from .port import ticks_diff, ticks_ms
from .tree import BOOLEAN, FLOAT, OBJLNK, OPAQUE, STRING, CORELNK, CoapError, join, native, split

_HELP = """\
read PATH [-x|-s|-b|-uN|-sN|-f|-t|-crc32]
  a resource as hex (default), text, 1 or 0, integer of N bits, float, time, CRC
write PATH [-s|-b|-uN|-sN|-f|-t|-x] VALUE
  likewise; -s (default) is text as the type of the resource has it
create PATH, delete PATH
  an instance of an object or resource
exec PATH [PARAM]
send PATH...
start EP [-b 0|1]
  -b 1: bootstrap first
stop [-f]
  de-register; -f: just stop
update, pause, resume
lock, unlock
  keep notifications back
obs
  what is observed: path, server, pmin, pmax
ls [PATH]
cache PATH N
  keep N values for SenML
retval
  exit code of the last command
exit"""

# what fresh() sets up, as far as it is there
_TABLES = ("model_standard", "model_ipso")
_OBJECTS = (
    "access",
    "binary",
    "connmon",
    "connstat",
    "firmware",
    "light",
    "location",
    "portfolio",
    "sensor",
    "timer",
)

# secrets, which are only ever written
_SECRETS = ((0, 5), (0, 8), (11, 6))

_EPERM = const(-1)
_ENOENT = const(-2)
_EIO = const(-5)
_ENOEXEC = const(-8)
_ENOMEM = const(-12)
_EACCES = const(-13)
_EEXIST = const(-17)
_EINVAL = const(-22)
_ENOSYS = const(-38)

_TICK = const(20)  # ms between two looks at standard input
_FAREWELL = const(10000)  # ms for the de-registration at its end


def words(line):
    """The words of a line; quotes hold one together."""
    out = []
    s = quote = None
    for c in line:
        if c == quote:
            quote = None
        elif quote:
            s += c
        elif c in "\"'":
            quote = c
            s = s or ""
        elif c in " \t\r\n":
            if s is not None:
                out.append(s)
            s = None
        else:
            s = (s or "") + c
    if quote:
        raise ValueError
    if s is not None:
        out.append(s)
    return out


def number(s, option):
    """The integer `s` within the bounds of option -b, -t, -uN or -sN."""
    v = int(s)
    n = 64 if option == "-t" else 1 if option == "-b" else int(option[2:])
    lo = 0
    if option[1] in "st":
        lo = -1 << n - 1
        n -= 1
    if n > 64 or not lo <= v < 1 << n:
        raise ValueError
    return v


def raw(t, v):
    """A value as bytes: numbers in the network's order, integers no longer than needed."""
    if t in (STRING, CORELNK, OPAQUE):
        return v
    if t == FLOAT:
        return struct.pack(">d", v)
    n = 4 if t == OBJLNK else 1
    while t != OBJLNK and not -1 <= v >> 8 * n - 1 <= 0:
        n *= 2
    return bytes([v >> 8 * k & 255 for k in range(n - 1, -1, -1)])


def text(t, v):
    """A value as text."""
    if t == OBJLNK:
        return "%d:%d" % (v >> 16, v & 65535)
    if t == BOOLEAN:
        return str(int(v))
    return str(v, "utf8") if t in (STRING, CORELNK, OPAQUE) else str(v)


class Shell:
    """The commands on a client of an application, whose events it prints. `code` is the last exit code."""

    def __init__(self, client):
        self.client = client
        self.code = 0
        self.locked = 0
        client.event(self.event)

    def event(self, name, ssid):
        print("event", name, ssid)

    def find(self, path):
        """Ids and row of a resource; of a multiple one, instance 0 unless the path says which."""
        o, i, r, ri = split(path)
        t = self.client.tree
        row = t.row(o, r)
        if r < 0 or (ri >= 0 and row and not row & 0x800):
            raise ValueError("no path of a resource")
        if not row or i not in t.inst.get(o, ()):
            raise KeyError(path)
        if row & 0x800 and ri < 0:
            ri = 0
        return o, i, r, ri, row

    def value(self, path):
        o, i, r, ri, row = self.find(path)
        if (o, r) in _SECRETS:
            raise CoapError(0x81)
        with self.client:
            v = self.client.tree.read(o, i, r)
        if v is not None and ri >= 0:
            v = v.get(ri)
        if v is None:
            raise KeyError(path)
        return row & 15, v

    def read(self, path, option="-x"):
        t, v = self.value(path)
        if option == "-s":
            v = text(t, v)
        elif option == "-x":
            v = str(binascii.hexlify(raw(t, v)), "ascii")
        elif option == "-crc32":
            v = binascii.crc32(raw(t, v))
        elif t in (STRING, CORELNK, OPAQUE, OBJLNK):
            raise ValueError("not a number")
        elif option == "-f":
            v = float(v)
        elif option == "-b":
            v = int(v != 0)
        else:
            v = number(v, option)
        print(v)

    def write(self, path, option, v=None):
        if v is None:
            v = option
            option = "-s"
        o, i, r, ri, row = self.find(path)
        t = row & 15
        if row & 0x400:
            raise ValueError("not a value")
        if option == "-x":
            v = binascii.unhexlify(v)
        elif option == "-f" or option == "-s" and t == FLOAT:
            v = float(v)
        elif option != "-s":
            v = number(v, option)
        elif t == BOOLEAN:
            v = number(v, "-b")
        elif t not in (STRING, CORELNK, OPAQUE, OBJLNK):
            v = int(v)
        self.client.set(join(o, i, r, ri), v)

    def create(self, path):
        c = self.client
        t = c.tree
        o, i, r, ri = split(path)
        if r >= 0:
            self.find(path)
            row = t.row(o, r)
            if ri < 0:
                raise ValueError("no instance")
            if ri in (t.get(o, i, r) or ()):
                return _EEXIST
            c.set(path, "0:0" if row & 15 == OBJLNK else "" if row & 15 in (STRING, OPAQUE) else 0)
        elif i in t.inst.get(o, ()):
            return _EEXIST
        elif t.find(o) < 0:
            return _ENOENT
        elif i < 0 or i and not t.find(o) & 1:
            return _EINVAL
        else:
            c.create(path)
            if o == 1:
                t.inst[1][i] = {1: c.lifetime, 6: True, 7: c.binding.encode()}

    def delete(self, path):
        o, i, r, ri = split(path)
        if r >= 0 and ri < 0 or i < 0:
            return _EINVAL
        if ri >= 0 and ri not in (self.client.tree.get(o, i, r) or ()):
            return _ENOENT
        self.client.delete(path)

    def ls(self, path="/"):
        o, i, r, ri = split(path)
        t = self.client.tree
        if o >= 0 and (o not in t.inst or i >= 0 and i not in t.inst[o]):
            return _ENOENT
        if r >= 0:
            return self.read(path, "-s")
        for p in sorted(t.inst) if o < 0 else (o,):
            if not t.inst[p]:
                print(p)
            for q in sorted(t.inst[p]) if i < 0 else (i,):
                t.find(p)
                rows = [t.t[k] << 8 | t.t[k + 1] for k in range(t.p, t.p + 4 * t.n, 4)]
                for r in rows:
                    self.line(p, q, r)

    def line(self, o, i, r):
        t = self.client.tree
        v = t.read(o, i, r)
        kind = t.row(o, r) & 15
        if v is not None:
            for ri in sorted(v) if isinstance(v, dict) else (-1,):
                x = v if ri < 0 else v[ri]
                x = "OPAQUE(%d)" % len(x) if kind == OPAQUE else "***" if (o, r) in _SECRETS else text(kind, x)
                print(join(o, i, r, ri)[1:], ":", x)

    def do(self, name, a):
        c = self.client
        if name in ("read", "write", "create", "delete", "ls"):
            return getattr(self, name)(*a)
        if name == "exec":
            o, i, r, ri, row = self.find(a[0])
            c.exec(a[0], (a[1] if len(a) > 1 else "").encode())
        elif name == "send":
            if not a:
                raise ValueError("no path")
            c.send(*a)
        elif name == "start":
            if len(a) not in (1, 3) or a[1:2] not in ([], ["-b"]):
                raise ValueError("start EP [-b 0|1]")
            c.start(a[0], len(a) > 1 and number(a[2], "-b"))
        elif name == "stop":
            if a not in ([], ["-f"]):
                raise ValueError("stop [-f]")
            c.stop(bool(a))
        elif name == "update":
            if not c.update():
                return _EPERM
        elif name == "pause":
            c.pause()
        elif name == "resume":
            c.go_on()
        elif name == "lock":
            c.__enter__()
            self.locked += 1
        elif name == "unlock":
            if not self.locked:
                return _EPERM
            self.locked -= 1
            c.__exit__()
        elif name == "obs":
            for x in c.observations():
                print(" ".join([str(y) for y in x]))
        elif name == "cache":
            o, i, r, ri, row = self.find(a[0])
            c.cache(a[0], int(a[1]))
        elif name == "help":
            print(_HELP)
        else:
            return _ENOEXEC

    def obey(self, line):
        """Do what a line says; `code` is 0 then, or below 0 (errno)."""
        e = None
        try:
            a = words(line)
            if a[:1] == ["lwm2m"]:
                a.pop(0)
            if not a:
                return
            if a == ["retval"]:
                print("retval", self.code)
                return
            code = self.do(a[0], a[1:]) or 0
        except CoapError as e:
            code = {0: 0, 0x80: _EINVAL, 0x81: _EACCES, 0x84: _ENOENT, 0x85: _EPERM}.get(e.args[0], _EIO)
        except KeyError:
            code = _ENOENT
        except (ValueError, TypeError, IndexError):
            code = _EINVAL
        except (ImportError, AttributeError):
            code = _ENOSYS
        except MemoryError:
            code = _ENOMEM
        except OSError as e:
            code = -e.args[0]
        self.code = code
        if code:
            print("error", code)

    def run(self):
        """Take lines from standard input until it ends, the client going on meanwhile; then stop it."""
        c = self.client
        poller = select.poll()
        poller.register(sys.stdin, select.POLLIN)
        line = []
        wait = 0
        while True:
            # one character at a time: a line that is not yet complete does not hold the client up
            while poller.poll(wait):
                x = sys.stdin.read(1)
                wait = 0
                if not x or x in "\r\n":
                    break
                line.append(x)
            else:
                x = None
            if x is not None:
                s = "".join(line)
                line = []
                if s == "exit":
                    break
                self.obey(s)
                if not x:
                    break
            wait = c.poll()
            if not 0 <= wait < _TICK:
                wait = _TICK
        poller.unregister(sys.stdin)
        while self.locked:
            self.obey("unlock")
        c.go_on()
        c.stop()
        start = ticks_ms()
        while c.active() and ticks_diff(ticks_ms(), start) < _FAREWELL:
            c.poll()
            ready(_TICK)


def fresh():
    """A client with every object that this image has."""
    c = Client()
    for name in _TABLES:
        try:
            c.objects(__import__(name, globals(), None, ("TABLE",), 1).TABLE)
        except ImportError:
            pass
    for name in _OBJECTS:
        try:
            __import__("objects." + name, globals(), None, ("setup",), 1).setup(c)
        except ImportError:
            pass
    return c


_the = []


def sh(line=None):
    """Obey one line, on a client of the shell's own; without a line, take lines from standard input."""
    if not _the:
        _the.append(Shell(fresh()))
    s = _the[0]
    if line is None:
        return s.run()
    s.obey(line)
    if s.client.active() and len(_the) == 1:
        # the client goes on by itself while the REPL waits
        try:
            import _thread

            _the.append(0)
            _thread.start_new_thread(background, (s.client,))
        except ImportError:
            pass


def background(client):
    try:
        client.run()
    finally:
        _the.pop()


if __name__ == "__main__":
    sh()
