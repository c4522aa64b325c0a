# Tests of the shell's commands: what they print, and their exit codes
# SPDX-License-Identifier: MIT
import lwm2m.shell as module
from link import TEXT, Link, ids, printed, series, stored

from lwm2m.model.tables.ipso import TABLE as IPSO
from lwm2m.model.tables.standard import TABLE as STANDARD
from lwm2m.shell import Shell
from lwm2m import LATER

lines = []


def fake(*args):
    lines.extend(" ".join([str(x) for x in args]).split("\n"))


module.print = fake


def shell(client=None):
    if not client:
        client = Link(uri=None, start=False).client
        client.objects(STANDARD)
        client.objects(IPSO)
    lines.clear()
    return Shell(client)


def out(s, line):
    """What a line prints; it must succeed."""
    del lines[:]
    s.obey(line)
    assert s.code == 0, (line, s.code, lines)
    return lines[:]


def code(s, line):
    """The exit code of a line that must fail."""
    del lines[:]
    s.obey(line)
    assert lines == ["error %d" % s.code], (line, lines)
    return s.code


def test_read_options():
    s = shell()
    c = s.client
    c.set("/3/0/0", "Héllo")
    c.set("/3/0/9", 200)
    c.set("/3/0/13", 1600000000)
    for option, expected in (
        ("", "48c3a96c6c6f"),
        (" -x", "48c3a96c6c6f"),
        (" -s", "Héllo"),
        (" -crc32", "2576844544"),
    ):
        assert out(s, "read 3/0/0" + option) == [expected], option
    for option, expected in (
        ("", "00c8"),
        (" -s", "200"),
        (" -u8", "200"),
        (" -s16", "200"),
        (" -u64", "200"),
        (" -f", "200.0"),
        (" -t", "200"),
        (" -b", "1"),
    ):
        assert out(s, "read /3/0/9" + option) == [expected], option
    assert out(s, "lwm2m read 3/0/13 -t") == [str(c.get("/3/0/13"))]
    for line in (
        "read 3/0/9 -s8",
        "read 3/0/0 -u8",
        "read 3/0/9 -q",
        "read 3/0/9 -u",
        "read 3/0/0 -f",
        "read 3/0/0 -b",
        "read 3/0/9 -u7",
        "read 3/0/9 -u0",
        "read 3/0/9 -u+8",
        "read 3/0/9 -t8",
        "read 3/0/9 -b1",
        "read 3/0/9 ''",
        "read 3/0/9 -s8 x",
    ):
        assert code(s, line) == -22, line
    c.set("/3/0/9", 42)
    assert [out(s, "read 3/0/9 -%s" % x)[0] for x in ("u8", "s8", "s64", "t")] == ["42"] * 4
    c.set("/3/0/9", 0)
    assert out(s, "read 3/0/9 -b") == ["0"]


def test_read_of_every_type():
    s = shell()
    c = s.client
    c.create("/3303/0")
    c.set("/3303/0/5700", -21.5)
    assert out(s, "read 3303/0/5700 -f") == ["-21.5"]
    assert out(s, "read 3303/0/5700") == ["c035800000000000"]
    assert out(s, "read 3303/0/5700 -s") == ["-21.5"]
    assert out(s, "read 3303/0/5700 -s8") == ["-21"]
    c.create("/19/0")
    c.set("/19/0/0", [b"\x00\xff", b"text"])
    assert out(s, "read 19/0/0") == ["00ff"]
    assert out(s, "read 19/0/0/1") == ["74657874"]
    assert out(s, "read 19/0/0/1 -s") == ["text"]
    assert code(s, "read 19/0/0 -s") == -22
    c.set("/3/0/22", [(3303, 0)])
    assert out(s, "read 3/0/22 -s") == ["3303:0"]
    assert out(s, "read 3/0/22/0") == ["0ce70000"]
    c.create("/3311/0")
    c.set("/3311/0/5850", True)
    assert out(s, "read 3311/0/5850 -b") == ["1"]
    assert out(s, "read 3311/0/5850") == ["01"]
    assert out(s, "read 3311/0/5850 -s") == ["1"]
    c.set("/3/0/7", {2: -40000})
    assert out(s, "read 3/0/7/2") == ["ffff63c0"]
    assert out(s, "read 3/0/7/2 -s32") == ["-40000"]
    assert code(s, "read 3/0/7/2 -u32") == -22
    assert code(s, "read 3/0/7") == -2


def test_read_errors():
    s = shell()
    for line, expected in (
        ("read", -22),
        ("read 3", -22),
        ("read 3/0", -22),
        ("read x/0/0", -22),
        ("read 3/0/0/0", -22),
        ("read 3/0/99", -2),
        ("read 3/1/0", -2),
        ("read 3/65535/0", -22),
        ("read 99/0/0", -2),
        ("read 3/0/9", -2),
        ("read 3/0/4", -2),
        ("nothing 3/0/0", -8),
        ('read "3/0/0', -22),
    ):
        assert code(s, line) == expected, line


def test_write_options():
    s = shell()
    c = s.client
    c.create("/3303/0")
    c.create("/3311/0")
    c.create("/19/0")
    for line, path, v in (
        ("3/0/0 Zephyr", "/3/0/0", "Zephyr"),
        ("3/0/0 -s 'two words'", "/3/0/0", "two words"),
        ('3/0/0 -s "don\'t"', "/3/0/0", "don't"),
        ("3/0/0 ''", "/3/0/0", ""),
        ("3/0/0 -x", "/3/0/0", "-x"),
        ("3/0/9 -u8 255", "/3/0/9", 255),
        ("3/0/9 42", "/3/0/9", 42),
        ("3/0/7/1 -s16 -32768", "/3/0/7", {1: -32768}),
        ("3/0/7 -s16 5", "/3/0/7", {0: 5, 1: -32768}),
        ("3303/0/5700 -f -5.25", "/3303/0/5700", -5.25),
        ("3303/0/5700 7", "/3303/0/5700", 7.0),
        ("3303/0/5700 -u8 8", "/3303/0/5700", 8.0),
        ("3311/0/5850 -b 1", "/3311/0/5850", True),
        ("3311/0/5850 0", "/3311/0/5850", False),
        ("19/0/2 -t 1600000000", "/19/0/2", 1600000000),
        ("19/0/0/1 -x 00ff", "/19/0/0", {1: b"\x00\xff"}),
        ("19/0/0 -s abc", "/19/0/0", {0: b"abc", 1: b"\x00\xff"}),
        ("3/0/22/0 3303:1", "/3/0/22", {0: (3303, 1)}),
    ):
        assert out(s, "write " + line) == [], line
        assert c.get(path) == v, (line, c.get(path))


def test_write_errors():
    s = shell()
    s.client.create("/3303/0")
    before = stored(s.client, 3)
    for line, expected in (
        ("write 3/0/0", -22),
        ("write 3/0/9 -u8 256", -22),
        ("write 3/0/9 -u8 -1", -22),
        ("write 3/0/9 -s8 128", -22),
        ("write 3/0/9 -b 2", -22),
        ("write 3/0/9 -u65 1", -22),
        ("write 3/0/9 -u8 x", -22),
        ("write 3/0/9 -u8", -22),
        ("write 3/0/9 -u8 1 2", -22),
        ("write 3/0/9 1.5", -22),
        ("write 3/0/9 -u8 1 x", -22),
        ("write 3/0/9 -u7 1", -22),
        ("write 3/0/9 -s5 1", -22),
        ("write 3/0/9 -t8 1", -22),
        ("write 3/0/9 '' 1", -22),
        ("write 3/0/9 -q 1", -22),
        ("write 3/0/9 ' 60 '", -22),
        ("write 3/0/9 -u8 ' 60 '", -22),
        ("write 3/0/9 -u8 1_0", -22),
        ("write 3/0/9 +5", -22),
        ("write 3/0/9 -", -22),
        ("write 3/0/7/65535 1", -22),
        ("write 3/65535/0 x", -22),
        ("write 3303/0/5700 -q 1", -22),
        ("write 3303/0/5700 -u8 300", -22),
        ("write 3303/0/5700 inf", -22),
        ("write 3303/0/5700 -f nan", -22),
        ("write 3303/0/5700 -f 1e999", -22),
        ("write 3303/0/5700 -f ' 1'", -22),
        ("write 3303/0/5700 1_0", -22),
        ("write 3/0/0 -u8 1", -22),
        ("write 3/0/4 -s x", -22),
        ("write 3/0/99 1", -2),
        ("write 3/2/0 x", -2),
    ):
        assert code(s, line) == expected, line
    assert stored(s.client, 3) == before
    assert s.client.get("/3303/0/5700") is None
    for line, v in (("-25e-1", -2.5), ("-f +.5E+1", 5.0), ("-s8 -3", -3.0)):
        out(s, "write 3303/0/5700 " + line)
        assert s.client.get("/3303/0/5700") == v, line


def test_a_key_is_never_shown():
    s = shell()
    out(s, "write 0/0/5 -s SECRETKEY")
    out(s, "write 0/0/3 -s identity")
    assert out(s, "read 0/0/3 -s") == ["identity"]
    seen = []
    for option in ("", "-x", "-s", "-b", "-u8", "-f", "-t", "-crc32"):
        assert code(s, "read 0/0/5 " + option) == -13
        seen += lines
    for line in ("ls", "ls 0", "ls 0/0", "obs", "help"):
        seen += out(s, line)
    # a password that servers may read, and the shell does not show
    out(s, "create 11/0")
    out(s, "write 11/0/6 SECRETWORD")
    out(s, "write 11/0/5 name")
    assert out(s, "ls 11/0") == ["11/0/5 : name"]
    for line in ("read 0/0/5/0", "read 0/0/5/0 -crc32", "ls 11/0/6/0"):
        assert code(s, line) in (-13, -22), line
        seen += lines
    for line in ("read 0/0/8", "read 11/0/6 -s", "read 11/0/6 -crc32", "ls 11/0/6"):
        assert code(s, line) == -13, line
        seen += lines
    seen += out(s, "ls")
    assert code(s, "ls 0/0/5") == -13
    assert code(s, "write 0/0/5 -u8 5") == -22
    seen = " ".join(seen + lines)
    assert "0/0" in seen
    for x in ("SECRET", "534543524554"):
        assert x not in seen


def test_create_and_delete():
    s = shell()
    c = s.client
    out(s, "create 1/0")
    assert c.get("/1/0/1") == 86400 and c.get("/1/0/7") == "U" and c.get("/1/0/6") is True
    out(s, "create /3303/5")
    assert code(s, "create 3303/5") == -17
    out(s, "create 3/0/7/3")
    assert c.get("/3/0/7") == {3: 0}
    assert code(s, "create 3/0/7/3") == -17
    out(s, "create 3/0/22/0")
    assert c.get("/3/0/22") == {0: (0, 0)}
    out(s, "delete 3/0/7/3")
    assert code(s, "delete 3/0/7/3") == -2
    out(s, "delete 3303/5")
    for line, expected in (
        ("create 3/1", -22),
        ("create 3303", -22),
        ("create 99/0", -2),
        ("create 3/0/0/0", -22),
        ("create 3/0/0", -22),
        ("create", -22),
        ("delete 3303/5", -2),
        ("delete 3", -22),
        ("delete 3/0/0", -22),
        ("delete 3/0/11", -22),
        ("create 3/0/11", -22),
        ("delete 99/1", -2),
        ("create 3303/0 junk", -22),
        ("create 3303/65535", -22),
        ("create 3/0/6/65535", -22),
        ("delete 1/0 junk", -22),
    ):
        assert code(s, line) == expected, line
    assert ids(c, 1) == [0] and ids(c, 3303) == []


def test_surplus_arguments():
    s = shell()
    for line in (
        "update now",
        "pause x",
        "resume x",
        "lock x",
        "unlock x",
        "obs x",
        "help x",
        "retval x",
        "exit x",
        "stop -f x",
        "ls 3 x",
        "exec 3/0/4 0 1",
        "start ep -b",
        "start ep -b 1 x",
        "start ep -b +1",
    ):
        assert code(s, line) == -22, line
    assert not s.locked and not s.client.suspended and code(s, "date x") == -8


def test_a_value_that_comes_later():
    s = shell()
    s.client.on_read("/3/0/9", lambda path, v: LATER)
    s.client.on_exec("/3/0/4", lambda path, args: LATER)
    for line in ("read 3/0/9 -s", "ls 3/0/9", "exec 3/0/4", "send 3/0/9"):
        assert code(s, line) == -11, line


def test_exec():
    s = shell()
    got = []
    s.client.on_exec("/3/0/4", lambda path, args: got.append((path, args)))
    out(s, "exec 3/0/4")
    out(s, "exec /3/0/4 0='a b'")
    out(s, "exec /3/0/4 \"0='a b'\"")
    assert got == [("/3/0/4", b""), ("/3/0/4", b"0=a b"), ("/3/0/4", b"0='a b'")]
    s.client.on_exec("/3/0/5", lambda path, args: 0x80)
    s.client.create("/3303/0")
    s.client.validate("/3/0/14", lambda path, v: 1 / 0)
    s.client.validate("/3/0/15", lambda path, v: False)
    for line, expected in (
        ("write 3/0/14 x", -5),
        ("write 3/0/15 x", -22),
        ("exec 3/0/5", -22),
        ("exec 3/0/0", -22),
        ("exec 3303/0/5605", -22),
        ("exec 3/0/99", -2),
        ("exec", -22),
    ):
        assert code(s, line) == expected, line
    assert printed() == [ZeroDivisionError]


def test_ls():
    s = shell()
    c = s.client
    c.set("/3/0/6", [1, 5])
    c.create("/19/3")
    c.set("/19/3/0", [b"abc"])
    c.on_create("/3347", lambda path, v: None)
    got = out(s, "ls")
    for line in (
        "3/0/0 : MicroPython",
        "3/0/6/0 : 1",
        "3/0/6/1 : 5",
        "19/3/0/0 : OPAQUE(3)",
        "3347",
    ):
        assert line in got, (line, got)
    assert out(s, "ls 19") == ["19/3/0/0 : OPAQUE(3)"]
    assert out(s, "ls 3/0/0") == ["MicroPython"]
    assert out(s, "ls 3/0/6") == ["3/0/6/0 : 1", "3/0/6/1 : 5"]
    assert out(s, "ls 3/0/6/1") == ["5"]
    assert out(s, "ls 19/3/0") == ["19/3/0/0 : OPAQUE(3)"]
    assert out(s, "ls 19/3/0/0") == ["OPAQUE(3)"]
    assert out(s, "ls 3347") == ["3347"]
    c.set("/3/0/7", {})
    for path in ("99", "3/4", "0/4", "3347/0", "3/0/9", "3/0/99", "3/0/6/2", "3/0/7", "3/0/8"):
        assert code(s, "ls " + path) == -2, path


def test_a_value_is_one_line():
    s = shell()
    s.client.set("/3/0/15", "a\nretval 0\r\x1b[1m\x00\x7f é")
    text = "a\\x0aretval 0\\x0d\\x1b[1m\\x00\\x7f é"
    assert out(s, "read 3/0/15 -s") == [text]
    assert out(s, "ls 3/0/15") == [text]
    assert "3/0/15 : " + text in out(s, "ls 3")


def test_life():
    x = Link(start=False)
    s = shell(x.client)
    out(s, "start dev2")
    x.until("REGISTRATION_COMPLETE")
    assert "event REGISTRATION_COMPLETE 1" in lines
    assert "ep=dev2" in x.server.requests[0].query()
    n = len(x.server.requests)
    out(s, "update")
    x.run(20)
    assert "event REG_UPDATE_COMPLETE 1" in lines and len(x.server.requests) == n + 1
    m = x.server.observe("/3/0/14", TEXT)
    assert out(s, "obs") == ["/3/0/14 1 0 0"]
    out(s, "lock")
    out(s, "write 3/0/14 +01:00")
    out(s, "write 3/0/14 +02:00")
    x.run(3)
    assert not x.server.notes(m.token)
    out(s, "unlock")
    x.run(1)
    assert [y.payload for y in x.server.notes(m.token)] == [b"+02:00"]
    assert code(s, "unlock") == -1
    assert code(s, "resume") == -1
    assert out(s, "pause") == ["event ENGINE_SUSPENDED 0"]
    assert code(s, "pause") == -1
    out(s, "write 3/0/14 +03:00")
    x.ms += 3000
    x.client.poll(x.ticks())
    x.deliver()
    assert len(x.server.notes(m.token)) == 1
    out(s, "resume")
    x.run(3)
    assert len(x.server.notes(m.token)) == 2
    out(s, "stop")
    x.until("DISCONNECT")
    assert "event DISCONNECT 1" in lines
    assert code(s, "update") == -1
    assert code(s, "stop") == -1 and code(s, "stop -f") == -1
    assert x.server.requests[-1].code == 4


def test_stop_by_force():
    x = Link()
    s = shell(x.client)
    n = len(x.server.requests)
    assert code(s, "stop -x") == -22
    assert out(s, "stop -f") == ["event DISCONNECT 1"]
    x.run(5)
    assert len(x.server.requests) == n


def test_provisioning():
    x = Link(uri=None, start=False)
    s = shell(x.client)
    assert code(s, "start dev -b 0") == -22
    for line in (
        "write 0/0/0 -s coap://server:5683",
        "write 0/0/1 -b 0",
        "write 0/0/2 -u8 3",
        "write 0/0/3 -s dev",
        "create 1/0",
        "write 0/0/10 -u16 1",
        "write 1/0/0 -u16 1",
        "write 1/0/1 -u32 86400",
        "start dev -b 0",
    ):
        assert out(s, line) == [], line
    for line in ("start", "start dev -b", "start dev -c 0", "start dev -b 2"):
        assert code(s, line) == -22, line
    x.until("REGISTRATION_COMPLETE")
    assert "ep=dev" in x.peers["server"].requests[0].query()


def test_bootstrap_flag():
    x = Link(uri=None, start=False)
    s = shell(x.client)
    for line in (
        "write 0/0/0 -s coap://boot:5683",
        "write 0/0/1 -b 1",
        "write 0/0/2 -u8 3",
        "start dev -b 1",
    ):
        out(s, line)
    x.run(2)
    assert x.peers["boot"].requests[0].path() == "/bs"


def test_send():
    x = Link(version="1.1", start=False)
    codes = [0x44, 0x84]
    accept = x.server.accept
    x.server.reply = lambda m: (codes.pop(0), (), b"") if m.path() == "/dp" else accept(m)
    s = shell(x.client)
    assert code(s, "send 3/0/0") == -1
    x.client.start()
    x.until("REGISTRATION_COMPLETE")
    out(s, "send 3/0/0 /3/0/14")
    x.run(2)
    assert lines[-1] == "event SEND 2.04"
    out(s, "send 3/0/0")
    x.run(2)
    assert lines[-1] == "event SEND 4.04"
    m = [y for y in x.server.requests if y.path() == "/dp"]
    assert len(m) == 2 and b"+00:00" in m[0].payload and b"+00:00" not in m[1].payload
    for line in ("send", "send 3/0/99", "send 0/0/5", "send x"):
        assert code(s, line) == -22, line


def test_cache():
    s = shell()
    s.client.create("/3303/0")
    out(s, "cache 3303/0/5700 3")
    for v in ("1", "2.5"):
        out(s, "write 3303/0/5700 -f " + v)
    assert [v for t, v in series(s.client, "/3303/0/5700")] == [1.0, 2.5]
    assert out(s, "read 3303/0/5700 -f") == ["2.5"]
    for line, expected in (
        ("cache 3303/0/5700 3", -22),
        ("cache 3/0/0 3", -22),
        ("cache 3/0/9 0", -22),
        ("cache 3/0/9", -22),
        ("cache 3/0/9 x", -22),
        ("cache 3/0/9 5 x", -22),
        ("cache 3/0/9 +5", -22),
        ("cache 3/0/9 1_0", -22),
        ("cache 3/0/99 3", -2),
    ):
        assert code(s, line) == expected, line


def test_retval_and_blank_lines():
    s = shell()
    s.obey("read 3/0/99")
    for line in ("", "   ", "lwm2m"):
        s.obey(line)
    for _ in (1, 2):
        del lines[:]
        s.obey("lwm2m retval")
        assert lines == ["retval -2"]
    out(s, "read 3/0/0 -s")
    s.obey("retval")
    assert lines[-1] == "retval 0"
    assert "crc32" in out(s, "help")[0]


class Input:
    """Standard input with `data`, and the select module that waits for it; `polls` says where in it
    the client was polled. `text` is that of a port which has no buffer."""

    POLLIN = 1

    def __init__(self, client, data, text=False):
        self.data = data
        self.at = 0
        self.polls = []
        self.stdin = self
        if not text:
            self.buffer = self
        client.poll = self.went

    def went(self):
        self.polls.append(self.at)
        return -1

    def poll(self, t=0):
        return self

    def register(self, *x):
        pass

    unregister = register

    def read(self, n):
        x = self.data[self.at : self.at + n]
        self.at += n
        return x


def typed(data, **kw):
    """What a shell says to lines that come from standard input, and where the client was polled."""
    s = shell()
    old = module.sys, module.select
    module.sys = module.select = x = Input(s.client, data, **kw)
    try:
        s.run()
    finally:
        module.sys, module.select = old
    return lines[:], x.polls


def test_lines_of_standard_input():
    assert typed(b"read 3/0/0 -s\r\nretval")[0] == ["MicroPython", "retval 0"]
    assert typed("write 3/0/0 é\nread 3/0/0 -s", text=True)[0] == ["é"]
    for end in (b"exit\n", b" lwm2m exit \n"):
        assert typed(end + b"retval\n")[0] == []
    # what is no text is a line like any other
    assert typed(b"abc\xff\xfe\nretval\n\xc3\nread 3/0/0 -s\n")[0] == [
        "error -22",
        "retval -22",
        "error -22",
        "MicroPython",
    ]


def test_long_lines_of_standard_input():
    head = b"write 3/0/15 "
    got, polls = typed(head + b"x" * (8192 - len(head)) + b"\nread 3/0/15 -crc32\n")
    assert got == ["2095195923"]
    # the client is not kept waiting
    assert max([b - a for a, b in zip(polls, polls[1:])]) <= 64
    # a line that is too long counts for nothing, and for one line
    got, polls = typed(head + b"y" * 20000 + b" retval\nread 3/0/15 -s\nexit\n")
    assert got == ["error -22", "UTC"]
    assert max([b - a for a, b in zip(polls, polls[1:])]) <= 64
    assert typed(head + b"x" * (8193 - len(head)))[0] == ["error -22"]


def test_nobody_reads_the_output():
    def broken(*x):
        raise OSError(32)

    x = Link()
    s = shell(x.client)
    s.over = False
    module.print = broken
    try:
        s.obey("help")
        assert s.over and s.code == 0
        s.over = False
        x.client.stop()
        x.until("DISCONNECT")
        assert s.over
    finally:
        module.print = fake


def test_fresh_has_every_object():
    c = module.fresh()
    for o in (0, 3, 4, 6, 7):
        assert ids(c, o) == [0], o
    for o in (1, 2, 16, 19, 3300, 3303, 3304, 3311, 3340, 3347):
        assert ids(c, o) == [], o
    assert stored(c, 0) == {0: {}}


def test_codes_of_refusals():
    s = shell()
    for refusal, number in (
        (0x80, -22),
        (0x81, -13),
        (0x84, -2),
        (0x85, -1),
        (0xA0, -5),
        (0x8F, -5),
    ):
        s.client.on_exec("/3/0/4", lambda path, args: refusal)
        assert code(s, "exec 3/0/4") == number, refusal
