# Tests of the shell's commands: what they print, and their exit codes
# SPDX-License-Identifier: MIT
import lwm2m.shell as module
from link import TEXT, Link

from lwm2m.model_ipso import TABLE as IPSO
from lwm2m.model_standard import TABLE as STANDARD
from lwm2m.shell import Shell

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
    ):
        assert code(s, line) == -22, line
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
    before = dict(s.client.tree.inst[3][0])
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
        ("write 3/0/0 -u8 1", -22),
        ("write 3/0/4 -s x", -22),
        ("write 3/0/99 1", -2),
        ("write 3/2/0 x", -2),
    ):
        assert code(s, line) == expected, line
    assert s.client.tree.inst[3][0] == before


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
    ):
        assert code(s, line) == expected, line


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


def test_ls():
    s = shell()
    c = s.client
    c.set("/3/0/6", [1, 5])
    c.create("/19/3")
    c.set("/19/3/0", [b"abc"])
    c.tree.inst.setdefault(3347, {})
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
    assert code(s, "ls 99") == -2 and code(s, "ls 3/4") == -2


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
    assert out(s, "pause") == ["event ENGINE_SUSPENDED 0"]
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
    assert [v for t, v in s.client.tree.series.entries(3303, 0, 5700)] == [1.0, 2.5]
    assert out(s, "read 3303/0/5700 -f") == ["2.5"]
    for line, expected in (
        ("cache 3303/0/5700 3", -22),
        ("cache 3/0/0 3", -22),
        ("cache 3/0/9 0", -22),
        ("cache 3/0/9", -22),
        ("cache 3/0/9 x", -22),
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


def test_fresh_has_every_object():
    c = module.fresh()
    assert sorted(c.tree.inst)[:4] == [0, 1, 2, 3]
    for o in (4, 6, 7):
        assert sorted(c.tree.inst[o]) == [0]
    for o in (16, 19, 3300, 3303, 3304, 3311, 3340, 3347):
        assert c.tree.inst[o] == {}, o
    assert c.tree.inst[0] == {0: {}} and c.tree.inst[1] == {}
