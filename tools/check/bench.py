# Runs the benchmarks: device code on the emulated Cortex-M3, and programs that compare on the host
# SPDX-License-Identifier: MIT
"""make bench                     everything in tests/bench
make bench ARGS="m3"           only files whose name begins so
make bench ARGS="m3 --check"   ends with 1 if a case allocates more than [tool.lwm2m.bench] of pyproject.toml allows

tests/bench/m3_*.py runs on the board (tools/emulator/m3.py), with the profile that its line `# profile: NAME` names or else
core, and behind the file that its line `# after: FILE` names; tests/bench/bench_*.py is a program for the host.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
from pathlib import Path

from tools.build import firmware, profiles
from tools.emulator import m3
from tools.build.profiles import ROOT

FOLDER = ROOT / "tests/bench"


def on_board(path: Path) -> list[m3.Cost]:
    """Costs of the cases in one file; prints them."""
    text = path.read_text()
    said = dict(re.findall(r"^# (profile|after): (\S+)$", text, re.MULTILINE))
    before = (ROOT / said["after"]).read_text() if "after" in said else ""
    costs = m3.measure(before + text, said.get("profile", "core"))
    print(m3.table(costs), flush=True)
    return costs


def excess(costs: list[m3.Cost], limits: dict[str, int]) -> list[str]:
    """Cases that allocate more than they may."""
    return [
        f"{cost.name}: allocates {cost.heap} bytes, {limits[cost.name]} are allowed"
        for cost in costs
        if cost.heap > limits.get(cost.name, cost.heap)
    ]


def main(arguments: list[str] | None = None) -> int:
    """Command line; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tools.check.bench")
    parser.add_argument("--check", action="store_true", help="fail where heap limits are exceeded")
    parser.add_argument("name", nargs="*", help="beginnings of file names")
    options = parser.parse_args(arguments)
    paths = [p for p in sorted(FOLDER.glob("*.py")) if p.stem.startswith(("m3_", "bench_"))]
    for name in options.name:
        if not any(path.stem.startswith(name) for path in paths):
            parser.error(f"{name!r} begins none of {', '.join(path.stem for path in paths)}")
    status = 0
    found: list[str] = []
    for path in paths:
        if options.name and not path.stem.startswith(tuple(options.name)):
            continue
        if path.stem.startswith("m3_"):
            print(f"== {path.stem}", flush=True)
            try:
                costs = on_board(path)
            except (firmware.BuildError, RuntimeError) as error:
                print(f"error: {error}", file=sys.stderr)
                status = 1
                continue
            found += excess(costs, profiles.settings().get("bench", {}))
        else:
            print(f"== {path.stem}", flush=True)
            module = ".".join(path.relative_to(ROOT).with_suffix("").parts)
            status |= subprocess.run(
                [sys.executable, "-m", module], cwd=ROOT, check=False
            ).returncode
    for line in found:
        print(f"  {line}")
    return 1 if status or (options.check and found) else 0


if __name__ == "__main__":
    sys.exit(main())
