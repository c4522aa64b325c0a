# The shell: Zephyr's lwm2m commands at the REPL, on standard input, or in an application
# SPDX-License-Identifier: MIT
from .client import Client
from .coap.numbers import (
    BAD_REQUEST,
    METHOD_NOT_ALLOWED,
    NOT_FOUND,
    UNAUTHORIZED,
    CoapError,
)
from .formats.text import decimal
from .ids import (
    APN_PROFILE,
    BINDING,
    HIGHEST_ID,
    LIFETIME,
    NOTIFICATION_STORING,
    SECRET,
    SECRET_KEY,
    SECURITY,
    SERVER,
    SHORT_SERVER_ID,
    SMS_SECRET_KEY,
)
from .model.tree import EXECUTABLE, MULTIPLE, Later
from .model.values import (
    CORELNK,
    FLOAT,
    OBJLNK,
    OPAQUE,
    STRING,
    TYPE_MASK,
    format_path,
    parse_path,
    text,
)
from .port import binascii, module, ready, struct, sys

select = module("select")

_TEXTUAL = (STRING, OPAQUE, OBJLNK, CORELNK)  # what is no number
_SECRETS = (
    (SECURITY, SECRET_KEY),
    (SECURITY, SMS_SECRET_KEY),
    (APN_PROFILE, SECRET),
)  # only ever written

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
_TABLES = "standard ipso"
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

# the bounds of integers, by option
_BOUNDS = {
    "-b": (0, 1),
    "-t": (-1 << 63, (1 << 63) - 1),
    "-u8": (0, (1 << 8) - 1),
    "-s8": (-1 << 7, (1 << 7) - 1),
    "-u16": (0, (1 << 16) - 1),
    "-s16": (-1 << 15, (1 << 15) - 1),
    "-u32": (0, (1 << 32) - 1),
    "-s32": (-1 << 31, (1 << 31) - 1),
    "-u64": (0, (1 << 64) - 1),
    "-s64": (-1 << 63, (1 << 63) - 1),
}
_INTEGER_DIGITS = "-0123456789"
_FLOAT_DIGITS = "+-.0123456789eE"

_POLYNOMIAL = const(0xEDB88320)  # of CRC-32
_ALL_ONES = const(0xFFFFFFFF)

_TICK = const(20)  # ms between two looks at standard input
_FAREWELL = const(500)  # so many of them for the de-registration at its end
_LINE = const(8192)  # the longest line, bytes
_AT_ONCE = const(64)  # bytes of it that are taken before the client has its turn


def words(line):
    """The words of a line; quotes hold one together."""
    found = []
    word = quote = None
    for c in text(line.encode() if isinstance(line, str) else line, "utf8") + " ":
        if c == quote:
            quote = None
        elif quote:
            word += c
        elif c > " ":
            word = word or bytearray()
            if c in "\"'":
                quote = c
            else:
                word += c
        elif word is not None:
            found.append(text(word, "utf8"))
            word = None
    if quote or len(line) > _LINE:
        raise ValueError
    return found


def number(value, option=None):
    """Text or a number as a float (-f), or an integer within the bounds of an option -b, -t, -uN or -sN."""
    # int() and float() accept spaces, underlines and names
    if isinstance(value, str) and value.strip(
        _FLOAT_DIGITS if option == "-f" else _INTEGER_DIGITS
    ):
        raise ValueError
    if option == "-f":
        return float(value)
    value = int(value)
    if option is not None:
        if option not in _BOUNDS:
            raise ValueError
        lowest, highest = _BOUNDS[option]
        if not lowest <= value <= highest:
            raise ValueError
    return value


def shown(kind, value, option=None):
    """A value of a type as text, an opaque one by its length unless an option asks for more."""
    if kind == OBJLNK:
        return "%d:%d" % (value >> 16, value & HIGHEST_ID + 1)
    if kind == OPAQUE and not option:
        return "OPAQUE(%d)" % len(value)
    if isinstance(value, bool):
        value = int(value)
    value = decimal(value) if isinstance(value, (int, float)) else text(value, "utf8")
    # what a server wrote must not look like a line of the shell
    for code in range(-1, 32):
        code &= 127
        value = value.replace(chr(code), "\\x%02x" % code)
    return value


def raw(kind, value):
    """A value as bytes: numbers in the network's order, integers no longer than needed."""
    if kind == FLOAT:
        return struct.pack(">d", value)
    if not isinstance(value, (int, bool)):
        return value
    length = 4 if kind == OBJLNK else 1
    while kind != OBJLNK and length < 8 and not -1 <= value >> 8 * length - 1 <= 0:
        length *= 2
    return (value & (1 << 8 * length) - 1).to_bytes(length, "big")


def crc32(data):
    """The checksum of IEEE 802.3, which not every MicroPython has."""
    checksum = _ALL_ONES
    for byte in data:
        checksum ^= byte
        for _ in range(8):
            checksum = checksum >> 1 ^ (_POLYNOMIAL if checksum & 1 else 0)
    return checksum ^ _ALL_ONES


def error_number(error):
    """An exception of a command as errno has it, below 0; None for one of a function of the application."""
    if isinstance(error, Later):
        return _EAGAIN
    if isinstance(error, CoapError):
        return {
            BAD_REQUEST: _EINVAL,
            UNAUTHORIZED: _EACCES,
            NOT_FOUND: _ENOENT,
            METHOD_NOT_ALLOWED: _EPERM,
        }.get(error.args[0], _EIO)
    if isinstance(error, KeyError):
        return _ENOENT
    if isinstance(error, OSError):
        return -error.args[0]
    if isinstance(error, ImportError):
        return _ENOSYS
    if isinstance(error, (ValueError, TypeError, IndexError)):
        return _EINVAL
    return None


class Shell:
    """The commands on the client of an application, whose events it prints: `sh = Shell(client)`, then
    `sh("read 3/0/0 -s")`. `code` is the exit code of the last one: 0, or below 0 as errno has it."""

    def __init__(self, client):
        self.client = client
        self.tree = client.tree
        self.code = self.locked = 0
        self.over = False
        client.event(lambda name, ssid: self.say("event", name, ssid))

    def __call__(self, line):
        """Obey a line."""
        self.obey(line)

    def say(self, *words):
        try:
            print(*words)
        except OSError:
            # nobody reads it any more
            self.over = True

    def find(self, path):
        """Ids and definition of a resource; of a multiple one, instance 0 unless the path says which."""
        oid, iid, rid, riid = parse_path(path)
        definition = self.tree.definition(oid, rid)
        if not definition or iid not in self.tree.objects.get(oid, ()):
            raise KeyError if rid >= 0 and iid <= HIGHEST_ID else ValueError
        if riid > HIGHEST_ID:
            raise ValueError
        if definition & MULTIPLE and riid < 0:
            riid = 0
        elif riid >= 0 and not definition & MULTIPLE:
            raise ValueError
        return oid, iid, rid, riid, definition

    # the commands: each gets the words behind its name, and returns an exit code, or None for 0

    def read(self, path, option="-x"):
        oid, iid, rid, riid, definition = self.find(path)
        if (oid, rid) in _SECRETS:
            return _EACCES
        kind = definition & TYPE_MASK
        with self.client:
            value = self.tree.read(oid, iid, rid)
        if riid >= 0 and value is not None:
            value = value.get(riid)
        if value is None:
            return _ENOENT
        if option == "-s":
            self.say(shown(kind, value, option))
        elif option == "-x":
            self.say(str(binascii.hexlify(raw(kind, value)), "utf8"))
        elif option == "-crc32":
            self.say(crc32(raw(kind, value)))
        elif kind in _TEXTUAL:
            return _EINVAL
        else:
            self.say(number(value != 0 if option == "-b" else value, option))

    def write(self, path, option, value=None):
        oid, iid, rid, riid, definition = self.find(path)
        if value is None:
            value = option
            option = "-s"
        kind = definition & TYPE_MASK
        if option == "-x":
            value = binascii.unhexlify(value)
        elif option != "-s":
            value = number(value, option)
        elif kind not in _TEXTUAL:
            value = number(value, "-f" if kind == FLOAT else None)
        if definition & EXECUTABLE:
            return _EINVAL
        self.client.set(format_path(oid, iid, rid, riid), value)

    def exists(self, path):
        """Is there this instance, or this instance of a resource? None where the path is neither."""
        oid, iid, rid, riid = parse_path(path)
        if iid < 0 or rid >= 0 and riid < 0:
            return None
        if rid < 0:
            return iid in self.tree.objects.get(oid, ())
        self.find(path)
        return riid in (self.tree.get(oid, iid, rid) or ())

    def create(self, path):
        there = self.exists(path)
        if there is None:
            return _EINVAL
        if there:
            return _EEXIST
        oid, iid, rid, riid = parse_path(path)
        if self.tree.find(oid) < 0:
            return _ENOENT
        if rid >= 0:
            kind = self.tree.definition(oid, rid) & TYPE_MASK
            self.client.set(path, "0:0" if kind == OBJLNK else "" if kind in _TEXTUAL else 0)
            return
        self.client.create(path)
        if oid == SERVER:
            client = self.client
            self.tree.objects[SERVER][iid] = {
                # Zephyr's short server id: the slot it takes, from 1 on
                SHORT_SERVER_ID: iid + 1,
                LIFETIME: client.lifetime,
                NOTIFICATION_STORING: True,
                BINDING: client.binding.encode(),
            }

    def delete(self, path):
        there = self.exists(path)
        if there is None:
            return _EINVAL
        if not there:
            return _ENOENT
        self.client.delete(path)

    def execute(self, path, argument=""):
        if not self.find(path)[4] & EXECUTABLE:
            return _EINVAL
        self.client.exec(path, argument.encode())

    def send(self, *paths):
        if not self.client.send(paths, self.sent):
            return _EPERM

    def sent(self, code):
        """A Send is over."""
        if code > 0:
            code = "%d.%02d" % (code >> 5, code & 31)
        self.say("event SEND", code or _EAGAIN)

    def start(self, endpoint, option=None, flag=None):
        if option is None:
            self.client.start(endpoint)
        elif option == "-b" and flag is not None:
            self.client.start(endpoint, number(flag, option))
        else:
            return _EINVAL

    def stop(self, option=None):
        if option not in (None, "-f"):
            return _EINVAL
        if self.client.stop(option == "-f") is False:
            return _EPERM

    def update(self):
        if not self.client.update():
            return _EPERM

    def pause(self):
        if self.client.pause() is False:
            return _EPERM

    def resume(self):
        if not self.client.suspended:
            return _EPERM
        self.client.resume()

    def lock(self):
        self.client.__enter__()
        self.locked += 1

    def unlock(self):
        if not self.locked:
            return _EPERM
        self.locked -= 1
        self.client.__exit__(None, None, None)

    def cache(self, path, size):
        self.find(path)
        self.client.cache(path, number(size))

    def list_observations(self):
        for observation in self.client.observations():
            self.say(" ".join([str(part) for part in observation]))

    def list(self, path="/"):
        oid, iid, rid, riid = parse_path(path)
        if rid >= 0:
            return self.list_resource(path)
        tree = self.tree
        for its_oid in sorted(tree.objects) if oid < 0 else (oid,):
            instances = tree.objects[its_oid]
            if not instances and iid < 0:
                self.say(its_oid)
            for its_iid in sorted(instances) if iid < 0 else (iid,):
                if its_iid not in instances:
                    raise KeyError
                if its_oid == SECURITY:
                    # it has nothing to be read
                    self.say(format_path(its_oid, its_iid)[1:])
                tree.each_resource(its_oid, its_iid, self.list_value, None)

    def list_resource(self, path):
        """A single resource, or instance of one, as read shows it; a multiple one with all of its instances."""
        oid, iid, rid, riid, definition = self.find(path)
        if definition & MULTIPLE and parse_path(path)[3] < 0:
            with self.client:
                value = self.tree.read(oid, iid, rid)
            if value:
                return self.list_value(None, oid, iid, rid, definition & TYPE_MASK, value)
        if (oid, rid) in _SECRETS:
            return _EACCES
        with self.client:
            value = self.tree.read(oid, iid, rid)
        if riid >= 0 and value is not None:
            value = value.get(riid)
        if value is None:
            return _ENOENT
        self.say(shown(definition & TYPE_MASK, value))

    def list_value(self, _, oid, iid, rid, kind, value):
        """For Tree.each_resource()."""
        if (oid, rid) in _SECRETS:
            return
        for riid in sorted(value) if isinstance(value, dict) else (-1,):
            one = value if riid < 0 else value[riid]
            self.say(format_path(oid, iid, rid, riid)[1:], ":", shown(kind, one))

    def help(self):
        self.say(_HELP)

    def exit(self):
        self.over = True

    def retval(self):
        """In obey(): without words behind it."""

    def obey(self, line):
        """Do what a line says; `code` is the exit code then."""
        try:
            line = words(line)
            if line[:1] == ["lwm2m"]:
                line.pop(0)
            if not line:
                return
            name = line.pop(0)
            if name == "retval" and not line:
                # tells of the last command, and is none itself
                return self.say("retval", self.code)
            command = _COMMANDS.get(name)
            code = (command(self, *line) or 0) if command else _ENOEXEC
        except Exception as error:
            code = error_number(error)
            if code is None:
                sys.print_exception(error)
                code = _EIO
        self.code = code
        if code:
            self.say("error", code)

    def run(self):
        """Take lines from standard input until it ends, the client going on meanwhile; then stop it."""
        client = self.client
        poller = select.poll()
        poller.register(sys.stdin, select.POLLIN)
        # what comes need not be text
        read = getattr(sys.stdin, "buffer", sys.stdin).read
        line = bytearray()
        self.over = False
        while not self.over:
            wait = client.poll()
            line = self.take(line, read, poller, wait if 0 <= wait < _TICK else _TICK)
        poller.unregister(sys.stdin)
        while self.locked:
            self.obey("unlock")
        client.resume()
        if client.active():
            client.stop()
        patience = _FAREWELL
        while patience and client.active():
            patience -= 1
            client.poll()
            ready(_TICK)

    def take(self, line, read, poller, wait):
        """Take a few bytes of standard input, one at a time, so that a line that is not complete yet does not hold
        the client up; the line as it is then."""
        for _ in range(_AT_ONCE):
            if not poller.poll(wait):
                break
            wait = 0
            byte = read(1)
            if byte and byte not in b"\r\n":
                if len(line) <= _LINE:
                    line += byte
                continue
            if not byte:
                self.over = True
            self.obey(line)
            return bytearray()
        return line


_COMMANDS = {
    "read": Shell.read,
    "write": Shell.write,
    "create": Shell.create,
    "delete": Shell.delete,
    "exec": Shell.execute,
    "send": Shell.send,
    "start": Shell.start,
    "stop": Shell.stop,
    "update": Shell.update,
    "pause": Shell.pause,
    "resume": Shell.resume,
    "lock": Shell.lock,
    "unlock": Shell.unlock,
    "cache": Shell.cache,
    "obs": Shell.list_observations,
    "ls": Shell.list,
    "help": Shell.help,
    "exit": Shell.exit,
    "retval": Shell.retval,
}


def part(name, what):
    """Something from a file of the package; ImportError where the image lacks it."""
    return getattr(__import__(name, globals(), None, (what,), 1), what)


def fresh():
    """A client with every object that this image has."""
    client = Client()
    for name in _TABLES.split():
        try:
            client.objects(part("model.tables." + name, "TABLE"))
        except ImportError:
            pass
    for name in _OBJECTS.split():
        try:
            part("objects." + name, "setup")(client)
        except ImportError:
            pass
    return client


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
