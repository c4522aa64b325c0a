# The data tree: paths, tables, values, changes, hooks
# SPDX-License-Identifier: MIT
from codec import *
from link import printed, raises, refused
from lwm2m.model.tables.core import TABLE
from lwm2m.model.tables.ipso import TABLE as IPSO
from lwm2m.model.tables.standard import TABLE as STANDARD
from lwm2m.formats.link import version_attribute
from lwm2m.model.tree import LATER, Tree
from lwm2m.model.values import format_path, to_native, parse_path

READ, EXEC, VALIDATE = 1, 3, 6


def test_split_and_join():
    for path, ids in (
        ("/", [-1] * 4),
        ("/3", [3, -1, -1, -1]),
        ("3/0", [3, 0, -1, -1]),
        ("/3/0/13", [3, 0, 13, -1]),
        ("/65534/65534/65534/65534", [65534] * 4),
    ):
        assert list(parse_path(path)) == ids, path
        assert format_path(*ids) == ("" if path == "/" else "/" + path.strip("/"))
    for path in ("/3/x", "/-1", "/3//0", "/65536", "/1/2/3/4/5", "/ 3", "/3.0", "x"):
        assert raises(ValueError, parse_path, path), path


def each(t):
    """The rows of all tables, read one after the other: (object, flags, versions, [(id, access, type)])."""
    for table in t.tables:
        p = 0
        while p < len(table):
            o = table[p] << 8 | table[p + 1]
            rows = [tuple(table[q : q + 4]) for q in range(p + 8, p + 8 + 4 * table[p + 3], 4)]
            yield (
                o,
                table[p + 2],
                table[p + 4 : p + 7],
                [(a << 8 | b, c, d) for a, b, c, d in rows],
            )
            p += 8 + 4 * table[p + 3]
        assert p == len(table)


def test_look_up():
    t = tree(IPSO, STANDARD)
    seen = 0
    for o, flags, versions, rows in each(t):
        assert t.find(o) == flags
        for level in range(3):
            t.minor = level
            v = versions[level]
            assert version_attribute(t, o) == (
                b"" if v == 0x10 else b";ver=%d.%d" % (v >> 4, v & 15)
            )
        last = -1
        for r, access, kind in rows:
            assert r > last, "not sorted"
            last = r
            assert t.definition(o, r) == access << 8 | kind, (o, r)
            assert t.definition(o, r + 1) == 0 or r + 1 in [x[0] for x in rows]
            seen += 1
        assert t.definition(o, 65535) == t.definition(o, 60000) == 0
    assert seen > 150
    for o in (9999, 65535, 256, 0x300):
        assert t.find(o) == -1 and t.definition(o, 0) == 0
    assert t.find(3) == 2 and t.find(1) == 3


def test_changes():
    told = []
    t = Tree(lambda o, i, r: told.append((o, i, r)))
    t.tables = [TABLE, ALL]
    t.create(1000, 4)
    t.store(1000, 4, 2, -1, 5)
    t.store(1000, 4, 2, -1, 5)  # no change
    t.store(1000, 4, 2, -1, 6)
    t.store(1000, 4, 4, -1, True)
    t.store(1000, 4, 12, 3, 1)
    t.store(1000, 4, 12, 3, 1)
    t.store(1000, 4, 12, 3, None)
    t.store(1000, 4, 2, -1, None)
    t.delete(1000, 4)
    assert told == [
        (1000, 4, -1),
        (1000, 4, 2),
        (1000, 4, 2),
        (1000, 4, 4),
        (1000, 4, 12),
        (1000, 4, 12),
        (1000, 4, 2),
        (1000, 4, -1),
    ], told
    assert t.get(1000, 4, 2) is None and t.get(7, 7, 7) is None


def test_walk():
    t = tree()
    for r in (300, 301, 1, 12, 5):
        t.objects[1000][0][r] = {0: 1} if r == 12 else b"x"
    out = []
    t.each_resource(
        1000, 0, lambda arg, o, i, r, kind, v: out.append((arg, o, i, r, kind, v)), "arg"
    )
    assert [x[3] for x in out] == [1, 5, 12, 300, 301]
    assert out[2] == ("arg", 1000, 0, 12, INTEGER, {0: 1})
    t.objects[1000].update({9: {}, 5: {}, 12: {}})
    assert list(t.instances(1000)) == [0, 1, 5, 9, 12] and list(t.instances(77)) == []


def test_hooks():
    t = tree()
    t.objects[1000][0][2] = 5
    for hook in (
        (READ, 0, 2, lambda path, v: v + 1),
        (READ, -1, 1, lambda path, v: path),
        (READ, 0, 3, lambda path, v: "no float"),
        (READ, 0, 5, lambda path, v: 1 // 0),
        (EXEC, 0, 40, lambda path, args: 0x85),
        (EXEC, 1, 40, lambda path, args: None),
        (VALIDATE, 0, 2, lambda path, v: v < 10),
        (READ, 1, 2, lambda path, v: LATER),
    ):
        kind, iid, rid, function = hook
        t.add_hook(kind, 1000, iid, rid, function)
    assert t.read(1000, 0, 2) == 6 and t.get(1000, 0, 2) == 5
    assert t.read(1000, 1, 1) == b"/1000/1/1"
    assert refused(t.read, 1000, 0, 5) == 0xA0
    assert refused(t.call_hook, EXEC, 1000, 0, 40, b"") == 0x85
    assert t.call_hook(EXEC, 1000, 1, 40, b"")
    assert not t.call_hook(EXEC, 1000, 1, 41, b"")
    assert refused(t.call_hook, VALIDATE, 1000, 0, 2, 10) == 0x80
    assert t.call_hook(VALIDATE, 1000, 0, 2, 9)
    assert refused(t.read, 1000, 1, 2) == 0
    # a wrong type from the application is its failure, not a crash
    assert refused(t.read, 1000, 0, 3) == 0xA0
    assert printed() == [ZeroDivisionError, ValueError]


def test_native():
    for kind, v, shown in (
        (STRING, b"x", "x"),
        (CORELNK, b"</1>", "</1>"),
        (OPAQUE, b"x", b"x"),
        (OBJLNK, 3 << 16 | 1, (3, 1)),
        (INTEGER, 5, 5),
        (BOOLEAN, True, True),
        (STRING, None, None),
        (STRING, {1: b"a"}, {1: "a"}),
    ):
        assert to_native(kind, v) == shown


def test_versions_of_objects():
    # objects 1 and 5 show the resources of the version that is registered
    t = tree()
    for level, ids in ((0, [0, 1, 2]), (1, [0, 1, 2, 16]), (2, [0, 1, 2, 16, 26])):
        t.minor = level
        t.objects[1] = {0: {0: 1, 1: 2, 2: 3, 16: True, 26: 4}}
        out = []
        t.each_resource(1, 0, lambda arg, o, i, r, kind, v: out.append(r), None)
        assert out == ids, (level, out)


def test_what_is_no_value():
    for kind, v in (
        (1, b"\xff"),
        (9, b"\xc3("),
        (3, float("inf")),
        (3, float("nan")),
        (3, 10**310),
        (3, -(10**400)),
        (2, 10**310),
        (6, 1 << 63),
        (8, 1 << 64),
        (7, "3:0:0"),
        (7, "3"),
        (7, ""),
        (7, (3, 65536)),
        (7, (65536, 0)),
        (7, "65536:0"),
        (7, (-1, 0)),
        (7, 1 << 32),
        (7, -1),
    ):
        assert raises(ValueError, to_stored, kind, v), (kind, v)
    assert to_stored(7, "3:0") == to_stored(7, (3, 0)) == 3 << 16
    assert to_stored(7, "65535:65535") == to_stored(7, (1 << 32) - 1) == (1 << 32) - 1
    assert to_stored(5, b"\xff") == b"\xff"


def test_what_the_application_goes_on_using_is_copied():
    buffer = bytearray(b"abc")
    for kind in (1, 5, 9):
        for value in (buffer, memoryview(buffer)):
            stored = to_stored(kind, value)
            assert isinstance(stored, bytes)
            buffer[0] += 1
            assert stored == bytes((buffer[0] - 1,)) + b"bc"
    stored = to_stored(5, {0: buffer})
    buffer[0] += 1
    assert stored[0] != buffer
