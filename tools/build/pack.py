# The packer: makes of the source, which is written for people, the smaller one that goes into an image
# SPDX-License-Identifier: MIT
"""manifest.py runs it inside any build of MicroPython, the tools of this folder for their images; by hand

    python -m tools.build.pack --profile core --out FOLDER

writes the packed package there, and the map of its names beside it. Four steps, in this order: the values of
constants are put in, whatever the file that defines them; what needs absent files goes; the files that are loaded
in any case are joined; private names become names that the image has anyway. Everything that docs/api.md, typings/
and firmware/ show keeps its name. The same source gives the same bytes. What can't be followed is a PackError
with file and line. It needs nothing but Python 3.9 or newer.
"""

from __future__ import annotations

import ast
import hashlib
import json
import sys
from pathlib import Path

from .packing import constants, features, joining, naming, public, scopes, source, tracing

ROOT = Path(__file__).resolve().parents[2]
LIBRARY = ROOT / "lib/lwm2m"
MAP = "names.json"


class Packed:
    """files: {name: text}; map: what tools/build/explain.py and the tests need to find the source again."""

    def __init__(self, files: dict[str, str], names: dict):
        self.files = files
        self.map = names

    @property
    def digest(self) -> str:
        """Tells this package from any other."""
        text = json.dumps([self.files, self.map], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    def write(self, folder: Path | str, package: str = "lwm2m") -> list[str]:
        """Writes folder/lwm2m and folder/names.json; returns the names of the package's files."""
        folder = Path(folder)
        base = folder / package
        for old in sorted(base.rglob("*.py")) if base.exists() else ():
            if old.relative_to(base).as_posix() not in self.files:
                old.unlink()
        for name, text in self.files.items():
            path = base / name
            path.parent.mkdir(parents=True, exist_ok=True)
            # Always anew: MicroPython's build goes by the time of a file.
            path.write_text(text, encoding="utf-8")
        text = json.dumps(self.map, sort_keys=True)
        (folder / MAP).write_text(text + "\n", encoding="utf-8")
        return sorted(self.files)


def pack(
    files: list[str],
    loaded: list[str] | tuple[str, ...],
    library: Path = LIBRARY,
    root: Path = ROOT,
) -> Packed:
    """Packs the files of an image, relative to lib/lwm2m.

    loaded: the file that the client begins with, and all that may be joined with it, as manifest.py tells."""
    package = source.load(library, files)
    seen = public.Public(root)
    features.complete_lists(package)
    values = constants.resolve(package, seen)
    spelled = public.strings(package)
    known = features.resolve(package, seen, spelled)
    globals_ = _globals(package)
    entry, *others = [_module(name) for name in loaded if name in files]
    joined = joining.join(package, entry, {entry, *others}, seen)
    spelled = public.strings(package)
    origins = tracing.origins(package)
    names = naming.Namer(package, seen, spelled).run()
    texts = {}
    for module in package.own():
        ast.fix_missing_locations(module.tree)
        texts[module.file] = _text(module)
    places = {}
    for module, name in globals_:
        place = joined.place(module, name)
        new = place[0], names.globals.get(place, place[1])
        if new != (module, name):
            places[f"{module}:{name}"] = ":".join(new)
    return Packed(
        texts,
        {
            "attributes": names.attributes,
            "globals": places,
            "arguments": names.arguments,
            "owners": names.owners,
            "constants": {
                module: {name: repr(value) for name, value in found.items()}
                for module, found in values.items()
            },
            "absent": {name: repr(value) for name, value in known.items()},
            "joined": {"into": entry, "modules": joined.modules},
            "trace": tracing.trace(package, texts, origins),
        },
    )


def _globals(package: source.Package) -> list[tuple[str, str]]:
    world = scopes.World(package)
    return sorted((m, name) for m, names in world.definitions.items() for name in names)


def _module(file: str) -> str:
    return source.Module(file, "").name


def _text(module: source.Module) -> str:
    for node in ast.walk(module.tree):
        body = getattr(node, "body", None)
        if isinstance(body, list) and len(body) > 1:
            body[:] = [item for item in body if not source.is_docstring(item)] or body[:1]
    text = source.text_of(module.tree)
    try:
        compile(text, module.file, "exec")
    except SyntaxError as error:
        raise source.PackError(f"{module.file}: packed it is no Python: {error}") from None
    return text


def main(arguments: list[str] | None = None) -> int:
    """Command line; returns the exit status."""
    import argparse

    from . import profiles

    parser = argparse.ArgumentParser(prog="python -m tools.build.pack")
    parser.add_argument("--profile", default=profiles.DEFAULT, choices=profiles.PROFILES)
    parser.add_argument("--port", choices=profiles.PORTS, help="all, if none is named")
    parser.add_argument("--add", action="append", default=[], choices=profiles.FEATURES)
    parser.add_argument("--omit", action="append", default=[], choices=profiles.FEATURES)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args(arguments)
    single = dict.fromkeys(options.add, True) | dict.fromkeys(options.omit, False)
    try:
        files = profiles.files(options.profile, options.port, **single)
        packed = pack(files, profiles.loaded())
    except source.PackError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    packed.write(options.out)
    total = sum(len(text) for text in packed.files.values())
    print(f"{options.out}: {len(files)} files packed into {len(packed.files)}, {total:,} bytes")
    return 0


if __name__ == "__main__":
    sys.exit(main())
