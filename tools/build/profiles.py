# The tables of manifest.py for the other tools: which files belong to which profile and feature
# SPDX-License-Identifier: MIT
"""One source of truth: manifest.py is evaluated, as MicroPython's build does, and its tables are read."""

from __future__ import annotations

import runpy
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
LIB = ROOT / "lib"
PACKAGE = LIB / "lwm2m"

_manifest = runpy.run_path(str(ROOT / "manifest.py"))
FEATURES: dict[str, tuple[str, ...]] = _manifest["FEATURES"]
PROFILES: dict[str, tuple[str, ...]] = _manifest["PROFILES"]
PORTS: dict[str, tuple[str, ...]] = _manifest["PORTS"]
DEFAULT: str = _manifest["DEFAULT"]


def loaded() -> list[str]:
    """What the packer may join, the file that the client begins with first."""
    return list(dict.fromkeys(_manifest["LOADED"]))


def settings() -> dict:
    """The table [tool.lwm2m] of pyproject.toml."""
    with open(ROOT / "pyproject.toml", "rb") as file:
        return tomllib.load(file)["tool"]["lwm2m"]


def features(profile: str, **single: bool) -> list[str]:
    """Names of a profile's features, with single ones added (True) or left out (False)."""
    return _manifest["features"](profile, **single)


def files(profile: str, ports: str | tuple[str, ...] | None = None, **single: bool) -> list[str]:
    """Existing files of a profile, relative to lib/lwm2m; all ports unless some are named."""
    return [
        name
        for name in _manifest["files"](features(profile, **single), ports)
        if (PACKAGE / name).exists()
    ]


def present() -> list[str]:
    """Every Python file under lib/lwm2m, relative to it."""
    return sorted(str(path.relative_to(PACKAGE)) for path in PACKAGE.rglob("*.py"))


def strays() -> list[str]:
    """Files that no feature and no port names."""
    known = {name for table in (FEATURES, PORTS) for names in table.values() for name in names}
    return [name for name in present() if name not in known]
