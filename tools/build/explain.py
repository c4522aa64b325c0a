# A traceback of a packed image, told in files, functions and lines of the source
# SPDX-License-Identifier: MIT
"""python -m tools.build.explain [--names build/firmware/BOARD-PROFILE/packed/names.json] < traceback.txt

Each line of the traceback is followed by what it was in the source. An image has no line numbers: where several
functions of a file have the same name in it, those are named that call what the next line of the traceback names, and
the lines of these calls. Without --names the newest map below build/ is taken; it must be that of the image.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from dataclasses import dataclass
from pathlib import Path

from tools.build.profiles import ROOT

_LINE = re.compile(r'\s*File "([^"]+)", line (\d+)(?:, in (\S+))?')


@dataclass
class Place:
    """A function of the source, and the lines that the traceback may mean."""

    file: str
    function: str
    lines: list[int]
    whole: tuple[int, int]

    def __str__(self) -> str:
        lines = ", ".join(map(str, self.lines)) or f"{self.whole[0]} to {self.whole[1]}"
        return f"lib/lwm2m/{self.file}:{lines} {self.function}"


def explain(text: str, names: dict) -> list[str]:
    """The lines of a traceback, each with what it means below it."""
    trace = names["trace"]
    frames = [found and found.groups() for found in map(_LINE.match, text.splitlines())]
    result = []
    for number, line in enumerate(text.splitlines()):
        result.append(line)
        if frames[number]:
            path, packed_line, function = frames[number]
            inner = next((f[2] for f in frames[number + 1 :] if f), None)
            for place in _places(trace, path, int(packed_line), function or "<module>", inner):
                result.append(f"    = {place}")
    return result


def _places(trace: dict, path: str, line: int, function: str, inner: str | None) -> list[Place]:
    known = [name for name in trace if path == name or path.endswith(f"/{name}")]
    if not known:
        return []
    found = []
    for name, file, original, first, last, calls, lines in trace[max(known, key=len)]:
        if name != function:
            continue
        here = dict(map(tuple, lines))
        if line > 1 and line in here:
            # Packed as .py files there are lines, and nothing is to be guessed.
            return [Place(file, original, [here[line]], (first, last))]
        at = [number for called, number in calls if called == inner]
        found.append(Place(file, original, at, (first, last)))
    certain = [place for place in found if place.lines]
    return certain or found


def newest() -> Path | None:
    """The map that was written last."""
    found = [*ROOT.glob("build/**/names.json")]
    return max(found, key=lambda path: path.stat().st_mtime, default=None)


def main(arguments: list[str] | None = None) -> int:
    """Command line; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tools.build.explain")
    parser.add_argument("--names", type=Path, help="the map beside the image: names.json")
    options = parser.parse_args(arguments)
    path = options.names or newest()
    try:
        if path is None:
            raise FileNotFoundError("no names.json below build/: say which by --names")
        names = json.loads(path.read_text())
        lines = explain(sys.stdin.read(), names)
    except (OSError, ValueError, KeyError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print("\n".join(lines))
    return 0


if __name__ == "__main__":
    sys.exit(main())
