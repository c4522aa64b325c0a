# Object compiler: OMA object definitions (XML) become the tables of the device and the names of the host.
# SPDX-License-Identifier: MIT
"""Compile OMA LwM2M object definitions.

    python -m tools.objects FILE.xml... -o OUT.py [--name NAME]   a table for client.objects(), to freeze or import
    python -m tools.objects FILE.xml -o OUT.py --stub --behaviour MINE.py   OUT.pyi for editors, a skeleton to fill in
    python -m tools.objects FILE.xml... --names OUT.json          names, types, ranges and units for the host
    python -m tools.objects --check | --write --registry DIR      the files of this repository, from OMA's XML in DIR

Several files with one object id are versions of one object and become one record.

Device format, one bytes constant, records sorted by object id, rows by resource id, big endian:

    record  object id u16 | flags u8 (1 multiple instances, 2 mandatory) | rows u8 |
            object version (major << 4 | minor) of LwM2M 1.0 u8 | of 1.1 u8 | of 1.2 u8 | 0
    row     resource id u16 | access u8 | type u8
    access  1 R, 2 W, 4 E, 8 multiple, 16 mandatory, LwM2M version that brought it (0 1.0, 1 1.1, 2 1.2) << 5
    type    0 none, else the index in TYPES; 0x80 when negative values are excluded
"""

from __future__ import annotations

import argparse
import json
import os
import re
import struct
import sys
import xml.etree.ElementTree as ET
from dataclasses import dataclass, field
from pathlib import Path
from xml.parsers import expat

from . import behaviour

TYPES = (
    "",
    "String",
    "Integer",
    "Float",
    "Boolean",
    "Opaque",
    "Time",
    "Objlnk",
    "Unsigned Integer",
    "Corelnk",
)
UNSIGNED = 0x80
SINGLE, MULTIPLE, MANDATORY_OBJECT = 0, 1, 2
ENABLERS = ((1, 0), (1, 1), (1, 2))

# The object version that each enabler implies when a registration says no `ver`: LwM2M Core 1.0.2,
# 1.1.1 and 1.2, appendix E. The LWM2MVersion fields of these files say something else now and then
# (Security 1.2 claims 1.1, Firmware Update 1.1 too, Connectivity Monitoring 1.1 has none), so they
# are not asked. Connectivity Monitoring 1.1 lived in Core 1.1 only; Firmware Update 1.2 in none yet.
CORE = {
    0: ((1, 0), (1, 1), (1, 2)),
    1: ((1, 0), (1, 1), (1, 2)),
    2: ((1, 0), (1, 0), (1, 1)),
    3: ((1, 0), (1, 1), (1, 2)),
    4: ((1, 0), (1, 2), (1, 3)),
    5: ((1, 0), (1, 0), (1, 1)),
    6: ((1, 0), (1, 0), (1, 0)),
    7: ((1, 0), (1, 0), (1, 0)),
    21: ((1, 0), (1, 0), (2, 0)),
}

# Integers that cannot be negative, though their definition has no range to say so: times, sizes,
# counters, identities and bit sets. A server may send them in the shortest unsigned form.
NOT_NEGATIVE = {
    0: (11, 12),
    1: (1, 2, 3, 5),
    3: (10, 21),
    4: (3, 8, 12),
    7: (0, 1, 2, 3, 4, 5, 8),
    11: (4, 10, 13, 14, 23, 24, 25, 28),
    19: (1, 5),
    3340: (5501, 5534),
    3347: (5501,),
    3311: (5852,),
}

ROOT = Path(__file__).resolve().parent.parent
GENERATED = {
    "lib/lwm2m/model/tables/core.py": (0, 1, 3),
    "lib/lwm2m/model/tables/standard.py": (2, 4, 5, 6, 7, 11, 16, 19),
    "lib/lwm2m/model/tables/ipso.py": (3300, 3303, 3304, 3311, 3340, 3347),
    "tools/model.json": (*range(8), 11, 16, 19, 21, *range(3300, 3351)),
}


class Bad(Exception):
    """A definition that cannot be compiled; str() is `FILE:LINE: message`."""


@dataclass
class Resource:
    rid: int
    name: str
    operations: str  # subset of "RWE", in this order
    multiple: bool
    mandatory: bool
    type: str  # one of TYPES
    limits: dict[str, list]  # what limits() makes of RangeEnumeration
    units: str
    unsigned: bool


@dataclass
class Object:
    oid: int
    name: str
    version: tuple[int, int]
    enabler: tuple[int, int]
    multiple: bool
    mandatory: bool
    resources: dict[int, Resource] = field(default_factory=dict)


# Reading

_LINE = "\0line"  # attribute that no XML can have: the line where the element starts


def parse(path: Path) -> ET.Element:
    """The root element of an XML file, each element with its line in the attribute _LINE."""
    parser, builder = expat.ParserCreate(), ET.TreeBuilder()
    parser.buffer_text = True

    def start(tag, attributes):
        builder.start(tag, attributes).set(_LINE, parser.CurrentLineNumber)

    parser.StartElementHandler = start
    parser.EndElementHandler = builder.end
    parser.CharacterDataHandler = builder.data
    try:
        parser.Parse(path.read_bytes(), True)
    except OSError as e:
        raise Bad(f"{path}: {e.strerror}") from None
    except expat.ExpatError as e:
        raise Bad(f"{path}:{e.lineno}: not well-formed XML: {expat.ErrorString(e.code)}") from None
    return builder.close()


def limits(text: str, kind: str) -> dict[str, list]:
    """RangeEnumeration in its many spellings as {"range"|"enum"|"bytes": [numbers]}; {} when it is prose.

    `0..255`, `0-255`, `1...63`, `-140..-44`, `0 to 10`; `10,26`, `1;2;3`, `16-32-48`; with `bytes`
    behind it, or for text and opaque values, it is the length that is limited.
    """
    text, n = re.subn(
        r"\s*\b(bytes?|characters|chars|octets)$", "", text.strip(), flags=re.IGNORECASE
    )
    text = text.replace("\u2212", "-").replace("\u2013", "-").strip("[] \t")
    number = r"[-+]?\d+(?:\.\d+)?"
    span = re.fullmatch(
        rf"({number})\s*(?:\.{{2,}}|\u2026|-|:|\bto\b)\s*({number})", text, re.IGNORECASE
    )
    if span:
        what, found = "range", span.groups()
    elif re.fullmatch(rf"{number}(?:\s*[,;|/]\s*{number})*", text):
        what, found = "enum", re.findall(number, text)
    elif re.fullmatch(r"\d+(?:-\d+){2,}", text):
        what, found = "enum", text.split("-")
    else:
        return {}
    values = [float(v) if "." in v else int(v) for v in found]
    if what == "range" and values[0] > values[1]:
        return {}
    return {"bytes" if n or kind in ("String", "Opaque", "Corelnk") else what: values}


class Reader:
    """Reads the objects of one file; every complaint carries the file and the line."""

    def __init__(self, path: Path):
        self.path = path

    def bad(self, element: ET.Element, message: str) -> Bad:
        return Bad(f"{self.path}:{element.get(_LINE)}: {message}")

    def text(self, parent: ET.Element, tag: str) -> str:
        return " ".join((parent.findtext(tag) or "").split())

    def word(self, parent: ET.Element, tag: str, words: dict, default=None):
        """The value in `words` of what the element says; without the element, the default."""
        element = parent.find(tag)
        if element is None and default is not None:
            return default
        word = self.text(parent, tag)
        if word.casefold() not in words:
            raise self.bad(
                parent if element is None else element,
                f"<{tag}> is {word!r}, not one of {', '.join(k or 'empty' for k in words)}",
            )
        return words[word.casefold()]

    def number(self, element: ET.Element, text: str, what: str) -> int:
        if not re.fullmatch(r"\d+", text.strip()):
            raise self.bad(element, f"{what} is {text.strip()!r}, not a number")
        if int(text) > 65534:  # 65535 is MAX_ID, reserved
            raise self.bad(element, f"{what} {int(text)} is out of range 0..65534")
        return int(text)

    def version(self, parent: ET.Element, tag: str) -> tuple[int, int]:
        element = parent.find(tag)
        text = self.text(parent, tag)
        if not text:
            return 1, 0
        match = re.fullmatch(r"(\d{1,2})\.(\d{1,2})(?:\.\d+)?", text)
        if not match or not 0 < int(match[1]) < 16 or int(match[2]) > 15:
            raise self.bad(element, f"<{tag}> is {text!r}, not a version from 1.0 to 15.15")
        return int(match[1]), int(match[2])

    def objects(self) -> list[Object]:
        root = parse(self.path)
        found = root.findall("Object") if root.tag != "Object" else [root]
        if not found:
            raise self.bad(root, "there is no <Object> in it")
        return [self.object(o) for o in found]

    def object(self, element: ET.Element) -> Object:
        if element.find("ObjectID") is None:
            raise self.bad(element, "<Object> without <ObjectID>")
        many = {"single": False, "multiple": True}
        must = {"optional": False, "mandatory": True}
        obj = Object(
            self.number(element.find("ObjectID"), self.text(element, "ObjectID"), "object id"),
            self.text(element, "Name"),
            self.version(element, "ObjectVersion"),
            self.version(element, "LWM2MVersion"),
            self.word(element, "MultipleInstances", many),
            self.word(element, "Mandatory", must, False),
        )
        for item in element.iterfind("Resources/Item"):
            rid = self.number(item, item.get("ID", ""), "resource id")
            if rid in obj.resources:
                raise self.bad(item, f"resource {rid} is defined twice")
            if len(obj.resources) == 255:
                raise self.bad(item, "more than 255 resources")
            obj.resources[rid] = self.resource(obj.oid, rid, item, many, must)
        return obj

    def resource(self, oid: int, rid: int, item: ET.Element, many: dict, must: dict) -> Resource:
        said = self.text(item, "Operations").upper()
        operations = "".join(o for o in "RWE" if o in said)
        if sorted(operations) != sorted(said):
            raise self.bad(item.find("Operations"), f"<Operations> is {said!r}, not R, W, RW or E")
        kinds = {t.casefold(): t for t in TYPES} | {"none": "", "unsignedinteger": TYPES[8]}
        kind = self.word(item, "Type", kinds, "")
        if not kind and operations != "E":
            where = item if item.find("Type") is None else item.find("Type")
            raise self.bad(where, f"resource {rid} has no type, and is not executable")
        allowed = limits(self.text(item, "RangeEnumeration"), kind)
        low = min(allowed.get("range") or allowed.get("enum") or [-1])
        return Resource(
            rid,
            self.text(item, "Name"),
            operations,
            self.word(item, "MultipleInstances", many, False),
            self.word(item, "Mandatory", must, False),
            kind,
            allowed,
            self.text(item, "Units"),
            kind == "Unsigned Integer"
            or kind == "Integer"
            and (low >= 0 or rid in NOT_NEGATIVE.get(oid, ())),
        )


def dotted(version: tuple[int, int]) -> str:
    return f"{version[0]}.{version[1]}"


def load(paths: list[Path]) -> dict[int, list[Object]]:
    """All versions of each object in the files, lowest version first; Bad with one line for each bad file."""
    objects: dict[int, list[Object]] = {}
    seen: dict[tuple, Path] = {}
    problems = []
    for path in paths:
        try:
            for obj in Reader(path).objects():
                other = seen.setdefault((obj.oid, obj.version), path)
                if other != path or obj in objects.get(obj.oid, ()):
                    which = f"object {obj.oid} version {dotted(obj.version)}"
                    raise Bad(f"{path}:1: {which} is in {other} already")
                objects.setdefault(obj.oid, []).append(obj)
        except Bad as e:
            problems.append(str(e))
    if problems:
        raise Bad("\n".join(problems))
    return {oid: sorted(objects[oid], key=lambda o: o.version) for oid in sorted(objects)}


def since(versions: list[Object], obj: Object) -> int:
    """The enabler (index in ENABLERS) that brought this version; the lowest one there is serves all."""
    if obj is versions[0]:
        return 0
    if obj.oid in CORE:
        reached = [version >= obj.version for version in CORE[obj.oid]]
    else:
        reached = [enabler >= obj.enabler for enabler in ENABLERS]
    return reached.index(True) if any(reached) else len(ENABLERS) - 1


def implied(versions: list[Object], index: int) -> tuple[int, int]:
    """The object version that belongs to an enabler."""
    if versions[0].oid in CORE:
        fit = [o.version for o in versions if o.version <= CORE[o.oid][index]]
    else:
        fit = [o.version for o in versions if o.enabler <= ENABLERS[index]]
    return max(fit, default=versions[0].version)


def merge(versions: list[Object]) -> dict[int, tuple[Resource, int]]:
    """{resource id: (its newest definition, the enabler that brought it)}, sorted."""
    rows: dict[int, tuple[Resource, int]] = {}
    for obj in versions:
        for rid, resource in obj.resources.items():
            rows[rid] = resource, rows[rid][1] if rid in rows else since(versions, obj)
    return dict(sorted(rows.items()))


# Writing


def record(versions: list[Object]) -> bytes:
    """One object in the device's format."""
    newest, rows = versions[-1], merge(versions)
    if len(rows) > 255:
        raise Bad(f"object {newest.oid}: its versions have more than 255 resources together")
    flags = newest.multiple * MULTIPLE | newest.mandatory * MANDATORY_OBJECT
    ver = [major << 4 | minor for major, minor in (implied(versions, i) for i in range(3))]
    out = bytearray(struct.pack(">HBB3BB", newest.oid, flags, len(rows), *ver, 0))
    for rid, (r, first) in rows.items():
        access = sum(1 << "RWE".index(o) for o in r.operations)
        access |= r.multiple << 3 | r.mandatory << 4 | first << 5
        out += struct.pack(">HBB", rid, access, TYPES.index(r.type) | r.unsigned * UNSIGNED)
    return bytes(out)


def module(objects: dict[int, list[Object]], name: str = "TABLE") -> str:
    """Source text of the module with the table; four rows a line."""
    lines = [
        "# Object tables, generated by tools/objects.py from OMA XML.",
        "# SPDX-License-Identifier: MIT",
        f"{name} = (",
    ]
    for oid, versions in objects.items():
        data = record(versions)
        said = " ".join(dotted(o.version) for o in versions)
        lines.append(f"    # {oid} {versions[-1].name} {said}")
        for part in (data[:8], *(data[i : i + 16] for i in range(8, len(data), 16))):
            lines.append('    b"' + "".join(f"\\x{b:02x}" for b in part) + '"')
    return "\n".join([*lines, ")", ""])


def names(objects: dict[int, list[Object]]) -> str:
    """JSON for the host: {object id: {name, version, multiple, mandatory, resources: {id: {...}}}}.

    A resource has name, type, op, multiple, mandatory, range [low, high], enum [...], bytes [...] and
    units; what is empty or false is left out. One line a resource.
    """
    entries = []
    for oid, versions in objects.items():
        new = versions[-1]
        head = {"name": new.name, "version": dotted(new.version)}
        head |= {"multiple": True} if new.multiple else {}
        head |= {"mandatory": True} if new.mandatory else {}
        rows = []
        for rid, (r, _) in merge(versions).items():
            row = {"name": r.name, "type": r.type, "op": r.operations, "multiple": r.multiple}
            row |= {"mandatory": r.mandatory, **r.limits, "units": r.units}
            row = {k: v for k, v in row.items() if v}
            rows.append(f'"{rid}": {json.dumps(row, ensure_ascii=False)}')
        start = json.dumps(head, ensure_ascii=False)[:-1]
        entries.append(f'"{oid}": {start}, "resources": {{\n' + ",\n".join(rows) + "}}")
    return "{\n" + ",\n".join(entries) + "\n}\n"


def registry_files(registry: Path, ids: tuple[int, ...]) -> list[Path]:
    """The XML files of these objects: `3.xml`, `3-1_0.xml`."""
    found = (p for i in ids for p in (registry / f"{i}.xml", *registry.glob(f"{i}-*.xml")))
    return sorted(p for p in found if p.exists())


def repository(registry: Path | None, write: bool) -> int:
    """Compare the committed files with what the compiler makes of the registry, or write them."""
    if registry is None or not registry.is_dir():
        said = f"there is no folder {registry}" if registry else "no --registry or LWM2M_REGISTRY"
        print(
            f"objects: nothing was {'written' if write else 'checked'}: {said} with OMA's XML files",
            file=sys.stderr,
        )
        return int(write)  # who has no registry can work on all the rest
    stale = 0
    for target, ids in GENERATED.items():
        objects = load(registry_files(registry, ids))
        text = names(objects) if target.endswith(".json") else module(objects)
        path = ROOT / target
        same = path.exists() and path.read_text(encoding="utf-8") == text
        if write and not same:
            path.write_text(text, encoding="utf-8")
            print(f"objects: wrote {target}")
        elif not same:
            stale = 1
            print(
                f"{target}:1: differs from its XML; run python -m tools.objects --write",
                file=sys.stderr,
            )
    if not stale and not write:
        print(f"objects: {len(GENERATED)} files are what the compiler makes")
    return stale


def begin(objects: dict[int, list[Object]], args: argparse.Namespace) -> None:
    """Write the skeleton of the behaviour; Bad where there is one already, or more than one object."""
    if len(objects) != 1:
        raise Bad(f"--behaviour: {len(objects)} objects, and a file has the behaviour of one")
    if args.behaviour.exists():
        raise Bad(f"{args.behaviour}: is there already, and is left as it is")
    (versions,) = objects.values()
    text = behaviour.skeleton(versions[-1], args.out.stem, args.name)
    args.behaviour.write_text(text, encoding="utf-8")


def main(argv: list[str] | None = None) -> int:
    p = argparse.ArgumentParser(
        prog="python -m tools.objects", description="Compile OMA LwM2M object definitions."
    )
    p.add_argument(
        "xml", nargs="*", type=Path, help="object definitions; versions of one object are merged"
    )
    p.add_argument("-o", dest="out", type=Path, help="the Python module to write")
    p.add_argument("--name", default="TABLE", help="name of the constant in it (TABLE)")
    p.add_argument(
        "--names", type=Path, metavar="OUT.json", help="host-side names, types, ranges, units"
    )
    p.add_argument("--stub", action="store_true", help="write OUT.pyi for editors, beside OUT.py")
    p.add_argument(
        "--behaviour",
        type=Path,
        metavar="MINE.py",
        help="write a skeleton of the object's behaviour, unless the file is there",
    )
    p.add_argument("--check", action="store_true", help="are this repository's tables up to date?")
    p.add_argument("--write", action="store_true", help="write this repository's tables")
    p.add_argument(
        "--registry",
        type=Path,
        metavar="DIR",
        default=os.environ.get("LWM2M_REGISTRY") or None,
        help="folder of OMA's XML files, for --check and --write ($LWM2M_REGISTRY)",
    )
    args = p.parse_args(argv)
    try:
        if args.check or args.write:
            return repository(args.registry, args.write)
        if not args.xml or not (args.out or args.names):
            p.error("XML files and -o or --names, or --check")
        if not args.name.isidentifier():
            p.error(f"{args.name!r} is no Python name")
        if (args.stub or args.behaviour) and not args.out:
            p.error("--stub and --behaviour go with -o")
        objects = load(args.xml)
        for path, text in ((args.out, module), (args.names, names)):
            if path:
                made = text(objects) if path is args.names else text(objects, args.name)
                path.write_text(made, encoding="utf-8")
        if args.stub:
            args.out.with_suffix(".pyi").write_text(behaviour.stub(args.name), encoding="utf-8")
        if args.behaviour:
            begin(objects, args)
    except Bad as e:
        print(e, file=sys.stderr)
        return 1
    except OSError as e:
        print(f"error: {e.filename}: {e.strerror}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
