# The shell: Zephyr's lwm2m commands at the REPL, on standard input, or in an application
# SPDX-License-Identifier: MIT
from .client import Client
from .formats.text import decimal
from .port import binascii, module, ready, struct, sys
from .coap.numbers import CoapError
from .model.values import text
from .model.values import format_path, parse_path
from .model.values import FLOAT, OPAQUE, OBJLNK

select = module("select")

# types, as in tree.py
_TEXT = const(0x2A2)  # 1 << type of strings, opaque values and links
_SECRETS = ((0, 5), (0, 8), (11, 6))  # resources that are only ever written

_HELP = """\
read PATH [-x|-s|-b|-uN|-sN|-f|-t|-crc32]
write PATH [-s|-b|-uN|-sN|-f|-t|-x] VALUE
  -x hex, -s text, -b 1 or 0, -uN -sN integer of N bits, -f float, -t time
create PATH | delete PATH | exec PATH [PARAM]
send PATH... | cache PATH N | obs | ls [PATH]
start EP [-b 0|1] | stop [-f] | update
pause | resume | lock | unlock
help | retval | exit"""

# what fresh() sets up, as far as this image has it
_OBJECTS = "access binary connmon connstat firmware light location portfolio sensor timer"

_EPERM = const(-1)
_ENOENT = const(-2)
_EIO = const(-5)
_ENOEXEC = const(-8)
_EAGAIN = const(-11)
_EACCES = const(-13)
_EEXIST = const(-17)
_EINVAL = const(-22)
_ENOSYS = const(-38)

_TICK = const(20)  # ms between two looks at standard input
_FAREWELL = const(500)  # so many of them for the de-registration at its end
_LINE = const(8192)  # the longest line, bytes


def words(line):
    """The words of a line; quotes hold one together."""
    out = []
    s = q = None
    for c in text(line.encode() if isinstance(line, str) else line, "utf8") + " ":
        if c == q:
            q = None
        elif q:
            s += c
        elif c > " ":
            s = s or bytearray()
            if c in "\"'":
                q = c
            else:
                s += c
        elif s is not None:
            out.append(text(s, "utf8"))
            s = None
    if q or len(line) > _LINE:
        raise ValueError
    return out


def number(s, option=None):
    """Text or number `s` as a float (-f), or an integer within the bounds of an option -b, -t, -uN or -sN."""
    # int() and float() accept spaces, underlines and names
    if isinstance(s, str) and s.strip("+.eE-0123456789"[0 if option == "-f" else 4 :]):
        raise ValueError
    if option == "-f":
        return float(s)
    v = int(s)
    if option is not None:
        # bits beside the sign; every second one has a sign
        k = "-b -t -u8 -s8 -u16 -s16 -u32 -s32 -u64 -s64".split().index(option)
        n = b"\x01\x3f\x08\x07\x10\x0f\x20\x1f\x40\x3f"[k]
        if not -(k & 1) << n <= v < 1 << n:
            raise ValueError
    return v


def shown(t, v, option=None):
    if t == OBJLNK:
        return "%d:%d" % (v >> 16, v & 65535)
    if t == OPAQUE and not option:
        return "OPAQUE(%d)" % len(v)
    if isinstance(v, bool):
        v = int(v)
    v = decimal(v) if isinstance(v, (int, float)) else text(v, "utf8")
    # what a server wrote must not look like a line of the shell
    for n in range(-1, 32):
        v = v.replace(chr(n & 127), "\\x%02x" % (n & 127))
    return v


def raw(t, v):
    """A value as bytes: numbers in the network's order, integers no longer than needed."""
    if t == FLOAT:
        return struct.pack(">d", v)
    if not isinstance(v, (int, bool)):
        return v
    n = 4 if t == OBJLNK else 1
    while t != OBJLNK and n < 8 and not -1 <= v >> 8 * n - 1 <= 0:
        n *= 2
    return (v & (1 << 8 * n) - 1).to_bytes(n, "big")


def crc32(data):
    """The checksum of IEEE 802.3, which not every MicroPython has."""
    v = 0xFFFFFFFF
    for byte in data:
        v ^= byte
        for _ in range(8):
            v = v >> 1 ^ (0xEDB88320 if v & 1 else 0)
    return v ^ 0xFFFFFFFF


class Shell:
    """The commands on the client of an application, whose events it prints. `code` is the last exit code."""

    def __init__(self, client):
        self.client = client
        self.tree = client.tree
        self.code = self.locked = 0
        client.event(lambda name, ssid: self.say("event", name, ssid))

    def say(self, *x):
        try:
            print(*x)
        except OSError:
            # nobody reads it any more
            self.over = True

    def sent(self, code):
        self.say("event SEND", "%d.%02d" % (code >> 5, code & 31) if code > 0 else code or _EAGAIN)

    def find(self, path):
        """Ids and row of a resource; of a multiple one, instance 0 unless the path says which."""
        o, i, r, ri = parse_path(path)
        row = self.tree.definition(o, r)
        if not row or i not in self.tree.objects.get(o, ()):
            raise KeyError if r >= 0 and i < 65535 else ValueError
        if ri > 65534 or bool(row & 0x800) != (ri >= 0):
            if ri >= 0:
                raise ValueError
            ri = 0
        return o, i, r, ri, row

    def read(self, path, option="-x"):
        o, i, r, ri, row = self.find(path)
        # a secret is only ever written
        if (o, r) in _SECRETS:
            return _EACCES
        with self.client:
            v = self.tree.read(o, i, r)
        t = row & 15
        if option is None and v and row & 0x800 and parse_path(path)[3] < 0:
            return self.line(path, o, i, r, t, v)
        if ri >= 0 and v is not None:
            v = v.get(ri)
        if v is None:
            return _ENOENT
        if option in (None, "-s"):
            v = shown(t, v, option)
        elif option == "-x":
            v = str(binascii.hexlify(raw(t, v)), "utf8")
        elif option == "-crc32":
            v = crc32(raw(t, v))
        elif 1 << t & _TEXT:
            return _EINVAL
        else:
            v = number(v != 0 if option == "-b" else v, option)
        self.say(v)

    def write(self, path, option, v=None):
        o, i, r, ri, row = self.find(path)
        if v is None:
            v = option
            option = "-s"
        t = row & 15
        if option == "-x":
            v = binascii.unhexlify(v)
        elif option != "-s":
            v = number(v, option)
        elif not 1 << t & _TEXT:
            v = number(v, "-f" if t == FLOAT else None)
        if row & 0x400:
            return _EINVAL
        self.client.set(format_path(o, i, r, ri), v)

    def make(self, gone, path):
        # create, or delete if `gone`
        o, i, r, ri = parse_path(path)
        t = self.tree
        c = self.client
        d = t.objects.get(o, ())
        if r >= 0:
            k = self.find(path)[4] & 15
            d = t.get(o, i, r) or ()
        if i < 0 or r >= 0 and ri < 0:
            return _EINVAL
        if (i if r < 0 else ri) in d:
            if not gone:
                return _EEXIST
            c.delete(path)
        elif gone or t.find(o) < 0:
            return _ENOENT
        elif r >= 0:
            c.set(path, "0:0" if k == OBJLNK else "" if 1 << k & _TEXT else 0)
        else:
            c.create(path)
            if o == 1:
                t.objects[1][i] = {1: c.lifetime, 6: True, 7: c.binding.encode()}

    def line(self, path, o, i, r, t, v):
        if (o, r) in _SECRETS:
            return
        for ri in sorted(v) if isinstance(v, dict) else (-1,):
            self.say(format_path(o, i, r, ri)[1:], ":", shown(t, v if ri < 0 else v[ri]))

    def ls(self, path="/"):
        o, i, r, ri = parse_path(path)
        t = self.tree
        if r >= 0:
            return self.read(path, None)
        for p in sorted(t.objects) if o < 0 else (o,):
            d = t.objects[p]
            if not d and i < 0:
                self.say(p)
            for q in sorted(d) if i < 0 else (i,):
                d[q]
                # object 0 has nothing to be read
                if not p:
                    self.say(format_path(p, q)[1:])
                t.each_resource(p, q, self.line, path)

    def do(self, name, a):
        c = self.client
        if name in ("read", "write", "ls"):
            return getattr(self, name)(*a)
        if name == "create" or name == "delete":
            return self.make(name == "delete", *a)
        if name == "exec":
            if len(a) > 2 or not self.find(a[0])[4] & 0x400:
                return _EINVAL
            c.exec(a[0], "".join(a[1:]).encode())
        elif name == "send":
            if not c.send(a, self.sent):
                return _EPERM
        elif name == "start":
            ep, option, flag = a + ["-b", "0"][: 3 - len(a)]
            if option != "-b":
                return _EINVAL
            c.start(ep, number(flag, option))
        elif name == "stop":
            if a not in ([], ["-f"]):
                return _EINVAL
            if c.stop(bool(a)) is False:
                return _EPERM
        elif name == "cache":
            path, n = a
            self.find(path)
            c.cache(path, number(n))
        elif a and name in _HELP.split():
            return _EINVAL
        elif name in ("update", "pause", "resume"):
            if name == "resume" and not c.suspended or getattr(c, name)() is False:
                return _EPERM
        elif name == "lock":
            c.__enter__()
            self.locked += 1
        elif name == "unlock":
            if not self.locked:
                return _EPERM
            self.locked -= 1
            c.__exit__(0, 0, 0)
        elif name == "obs":
            for x in c.observations():
                self.say(" ".join([str(y) for y in x]))
        elif name == "help":
            self.say(_HELP)
        elif name == "exit":
            self.over = True
        else:
            return _ENOEXEC

    def obey(self, line):
        """Do what a line says; `code` is 0 then, or below 0, as errno has it."""
        try:
            a = words(line)
            if a[:1] == ["lwm2m"]:
                a.pop(0)
            if not a:
                return
            if a == ["retval"]:
                return self.say("retval", self.code)
            code = self.do(a[0], a[1:]) or 0
        except CoapError as e:
            code = {0: _EAGAIN, 0x80: _EINVAL, 0x81: _EACCES, 0x84: _ENOENT, 0x85: _EPERM}.get(
                e.args[0], _EIO
            )
        except KeyError:
            code = _ENOENT
        except OSError as e:
            code = -e.args[0]
        except ImportError:
            code = _ENOSYS
        except (ValueError, TypeError, IndexError):
            code = _EINVAL
        except Exception as e:
            # a function of the application
            sys.print_exception(e)
            code = _EIO
        self.code = code
        if code:
            self.say("error", code)

    def run(self):
        """Take lines from standard input until it ends, the client going on meanwhile; then stop it."""
        c = self.client
        poller = select.poll()
        poller.register(sys.stdin, select.POLLIN)
        # what comes need not be text
        read = getattr(sys.stdin, "buffer", sys.stdin).read
        line = bytearray()
        self.over = False
        while not self.over:
            t = c.poll()
            t = t if 0 <= t < _TICK else _TICK
            # a few bytes, one at a time: a line that is not complete yet does not hold the client up
            n = 64
            while n and poller.poll(t):
                t = 0
                n -= 1
                x = read(1)
                if x and x not in b"\r\n":
                    if len(line) <= _LINE:
                        line += x
                    continue
                if not x:
                    self.over = True
                self.obey(line)
                line = bytearray()
                break
        poller.unregister(sys.stdin)
        while self.locked:
            self.obey("unlock")
        c.resume()
        if c.active():
            c.stop()
        t = _FAREWELL
        while t and c.active():
            t -= 1
            c.poll()
            ready(_TICK)


def fresh():
    """A client with every object that this image has."""
    c = Client()
    for name in ("model.tables.standard", "model.tables.ipso") + tuple(_OBJECTS.split()):
        try:
            if name[:5] == "model":
                c.objects(__import__(name, globals(), None, ("TABLE",), 1).TABLE)
            else:
                __import__("objects." + name, globals(), None, ("setup",), 1).setup(c)
        except ImportError:
            pass
    return c


_the = []


def sh(line=None):
    """Obey one line, on a client of the shell's own; without a line, take lines from standard input."""
    if not _the:
        _the.append(Shell(fresh()))
    if line is None:
        return _the[0].run()
    _the[0].obey(line)
    if _the[0].client.active() and len(_the) == 1:
        # the client goes on by itself while the REPL waits
        _the.append(background)
        try:
            from .port import start_thread

            start_thread(background)
        except ImportError:
            _the.pop()


def background():
    _the[0].client.run()
    _the.pop()


if __name__ == "__main__":
    sh()
