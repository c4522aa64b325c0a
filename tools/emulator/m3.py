# Instruction counts and heap of device code on the emulated Cortex-M3: the same numbers in every run
# SPDX-License-Identifier: MIT
"""python -m tools.emulator.m3 [--profile standard] FILE...   runs measurements on the board and prints what each case costs

A file is MicroPython code that calls case(name, fn, cold=False): fn is called once to warm up (not when cold), then
measured with the collector off. Instructions come from the board's 25 MHz timer with -icount, so they are exact to 40;
the heap figure is all that was allocated, in blocks of 16 bytes, whether it is garbage by then or not. What
tests/board/registered.py defines (Wire, register) is there too.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass
from pathlib import Path

from tools.build import firmware, profiles
from tools.build.library import translate_all
from tools.build.profiles import ROOT
from tools.emulator.qemu import Qemu

BOARD = "QEMU_MPS2_AN385"

# A channel in memory, and a server behind it that accepts the registration.
_WIRE = ROOT / "tests/board/registered.py"

_PRELUDE = """
import gc
from lwm2m_port import hello, ticks_insn
hello()
def _nothing():
    pass
def _once(fn):
    gc.collect()
    gc.disable()
    a = gc.mem_alloc()
    t = ticks_insn()
    fn()
    t = (ticks_insn() - t) & 0x3fffffff
    a = gc.mem_alloc() - a
    gc.enable()
    return t, a
def case(name, fn, cold=False):
    if not cold:
        fn()
    _once(_nothing)
    t0, a0 = _once(_nothing)
    t, a = _once(fn)
    print("\\x01", name, (t - t0) * 40, a - a0, sep="\\t")
"""


@dataclass(frozen=True)
class Cost:
    """What one case cost."""

    name: str
    instructions: int
    heap: int


def _run(code: str, image: Path) -> str:
    # The code reaches into the client, which is packed in the image.
    texts = translate_all({"wire": _WIRE.read_text(), "code": code}, image.parent / "packed")
    with Qemu(image, icount=True, entropy=bytes(range(32))) as board:
        board.exec(_PRELUDE + "\n__name__ = 'm3'")
        board.exec(texts["wire"])
        return board.exec(texts["code"], timeout=300)


def measure(code: str, profile: str = "core", **single: bool) -> list[Cost]:
    """Runs code that calls case() on a board with the profile frozen; the costs in order.

    The collector is off while a case runs: what does not fit into the board's heap then gets a larger one.
    Further keywords are features of manifest.py. RuntimeError carries a traceback of the board.
    """
    try:
        said = _run(code, firmware.build(BOARD, profile, **single))
    except RuntimeError as error:
        if "MemoryError" not in str(error):
            raise
        said = _run(code, firmware.build(BOARD, profile, heap=1 << 20, **single))
    costs = []
    for line in said.splitlines():
        if line.startswith("\x01"):
            _, name, instructions, allocated = line.split("\t")
            costs.append(Cost(name, int(instructions), int(allocated)))
    return costs


def table(costs: list[Cost]) -> str:
    """Costs as text."""
    width = max((len(cost.name) for cost in costs), default=0)
    lines = [f"  {'Cortex-M3':<{width}}  {'instructions':>14}  {'heap bytes':>10}"]
    lines += [
        f"  {cost.name:<{width}}  {cost.instructions:>14,}  {cost.heap:>10,}" for cost in costs
    ]
    return "\n".join(lines)


def main(arguments: list[str] | None = None) -> int:
    """Command line; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tools.emulator.m3")
    parser.add_argument("--profile", default=profiles.DEFAULT, choices=profiles.PROFILES)
    parser.add_argument("file", nargs="+", type=Path)
    options = parser.parse_args(arguments)
    try:
        for file in options.file:
            print(table(measure(file.read_text(), options.profile)))
    except (firmware.BuildError, RuntimeError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
