# Names, types and units of objects and resources, and values as people read them.
# SPDX-License-Identifier: MIT
"""What the host knows about objects: tools/model.json, and a user's own XML on top of it."""

from __future__ import annotations

import contextlib
import json
import struct
import tempfile
from datetime import UTC, datetime
from pathlib import Path

from tools import objects

# Resources whose value is a secret: keys of Security, password of APN, master secret of OSCORE.
SECRETS = {(0, 5), (0, 8), (11, 6), (21, 0)}


def ids(path: str) -> tuple[int, ...]:
    """`"/3/0/0"` -> (3, 0, 0); `"/"` -> (). ValueError when it is no LwM2M path."""
    parts = path.strip("/").split("/") if path.strip("/") else []
    if len(parts) > 4 or not all(p.isdecimal() and int(p) <= 65535 for p in parts):
        raise ValueError(f"{path!r} is no path of numbers, like /3/0/0")
    return tuple(int(p) for p in parts)


def join(numbers) -> str:
    return "/" + "/".join(str(n) for n in numbers)


class Model:
    """Look-up by path; what is unknown has no name and no type."""

    def __init__(self, *xml: Path):
        """The objects of tools/model.json, and of any OMA XML files given."""
        text = (Path(__file__).parent.parent / "model.json").read_text(encoding="utf-8")
        self._known: dict[str, dict] = json.loads(text)
        if xml:
            self._known |= json.loads(objects.names(objects.load(list(xml))))
        self._added: dict[str, dict] = {}  # by file name
        self.objects: dict[str, dict] = dict(self._known)

    def add(self, name: str, content: bytes) -> list[int]:
        """Take the definitions of an XML file: their object ids. objects.Bad: `FILE:LINE: message`."""
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "definitions.xml"
            path.write_bytes(content)
            try:
                added = json.loads(objects.names(objects.load([path])))
            except objects.Bad as e:
                raise objects.Bad(str(e).replace(str(path), name)) from None
            except (AttributeError, LookupError, RecursionError, ValueError) as e:
                raise objects.Bad(f"{name}:1: {e or type(e).__name__}") from None
        self._added[name] = added
        self._join()
        return sorted(int(oid) for oid in added)

    def remove(self, name: str) -> bool:
        """Forget the definitions of a file; those that they took the place of come back."""
        found = self._added.pop(name, None) is not None
        self._join()
        return found

    def added(self) -> dict[str, list[dict]]:
        """{file name: [{"id", "name", "version"}]}."""
        return {
            name: [
                {"id": int(oid), "name": entry["name"], "version": entry["version"]}
                for oid, entry in definitions.items()
            ]
            for name, definitions in self._added.items()
        }

    def _join(self) -> None:
        self.objects.clear()
        self.objects.update(self._known)
        for definitions in self._added.values():
            self.objects.update(definitions)

    def resource(self, path: str) -> dict:
        """Entry of the resource that a path of three or four numbers points to; {} if unknown."""
        oid, _, rid = (*ids(path), -1, -1, -1)[:3]
        return self.objects.get(str(oid), {}).get("resources", {}).get(str(rid), {})

    def type(self, path: str) -> str:
        return self.resource(path).get("type", "")

    def multiple(self, path: str) -> bool:
        return self.resource(path).get("multiple", False)

    def name(self, path: str) -> str:
        """Name of the resource, or of the object where the path is shorter; `""` if unknown."""
        numbers = ids(path)
        if len(numbers) > 2:
            return self.resource(path).get("name", "")
        return self.objects.get(str(numbers[0]), {}).get("name", "") if numbers else ""

    def label(self, path: str) -> str:
        """`/3/0/0 Manufacturer`; a path of another kind, such as `/bs`, as it is."""
        try:
            return f"{path} {self.name(path)}".rstrip()
        except ValueError:
            return path

    def show(self, path: str, value) -> str:
        """A value as text: one line for a resource, one indented line a resource for what is larger."""
        if isinstance(value, dict):
            flat = dict(flatten(path, value))
            if len(ids(path)) > 2:
                parts = (f"{ids(p)[-1]}: {self.show(p, v)}" for p, v in flat.items())
                return "{" + ", ".join(parts) + "}"
            return "".join(f"\n    {self.label(p)} = {self.show(p, v)}" for p, v in flat.items())
        if ids(path)[::2][:2] in SECRETS:
            return "***"
        entry = self.resource(path)
        if isinstance(value, bool):
            return str(value).lower()
        if isinstance(value, bytes):
            dots = "..." if len(value) > 32 else ""
            return f"{value[:32].hex()}{dots} ({len(value)} bytes)".lstrip()
        if isinstance(value, str) and entry.get("type") != "Objlnk":
            return json.dumps(value, ensure_ascii=False)
        if entry.get("type") == "Time" and isinstance(value, int) and 0 <= value < 1 << 37:
            return f"{value} ({datetime.fromtimestamp(value, UTC):%Y-%m-%d %H:%M:%S} UTC)"
        if isinstance(value, float):
            value = shortest(value)
        return f"{value} {entry.get('units', '')}".rstrip()


def shortest(value: float) -> str:
    """A float as it was meant: 21.3, not 21.299999237060547, when it came in four bytes."""
    for digits in range(6, 10):
        text = f"{value:.{digits}g}"
        with contextlib.suppress(OverflowError):
            if struct.unpack("f", struct.pack("f", float(text)))[0] == value:
                return text
    return repr(value)


def flatten(path: str, value):
    """(path, value) of each leaf below a nested value."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from flatten(f"{path.rstrip('/')}/{key}", inner)
    else:
        yield path, value


def nest(base: str, flat: dict[str, object]):
    """The reverse of flatten(): the value at `base` made of {path: value}; ValueError if not below it."""
    start, tree = ids(base), {}
    for path, value in flat.items():
        numbers = ids(path)
        if numbers[: len(start)] != start:
            raise ValueError(f"{path} is not below {base}")
        if numbers == start:
            return value
        node = tree
        for number in numbers[len(start) : -1]:
            node = node.setdefault(number, {})
        node[numbers[-1]] = value
    return tree
