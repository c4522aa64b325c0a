# Which client tests run on: the source, or a packed one; and scripts of theirs, rewritten for that
# SPDX-License-Identifier: MIT
"""LWM2M_LIBRARY names a folder that tools/build/pack.py has written; without it the source is meant."""

from __future__ import annotations

import functools
import json
import os
import re
from pathlib import Path

from tools.build.packing import outside
from tools.build.profiles import LIB, PACKAGE


def library() -> Path:
    """The folder in which the package lwm2m lies."""
    return Path(os.environ.get("LWM2M_LIBRARY") or LIB)


@functools.cache
def _names(folder: Path) -> dict | None:
    path = folder / "names.json"
    return json.loads(path.read_text()) if path.exists() else None


def _is_concerned(text: str, names: dict) -> bool:
    """Does a script import something, or have a name that packing changes?"""
    words = set(re.findall(r"[A-Za-z_]\w*", text))
    return "import" in words or not words.isdisjoint({*names["attributes"], *names["absent"]})


@functools.cache
def translated(text: str, folder: Path | None = None) -> str:
    """A script that reaches into the client, as the client of that folder wants it."""
    names = _names(folder or library())
    if names is None or not _is_concerned(text, names):
        return text
    return outside.translate(names, PACKAGE, {"script.py": text})["script.py"]


def translate_all(texts: dict[str, str], folder: Path | None = None) -> dict[str, str]:
    """{name: text} of scripts that use one another."""
    names = _names(folder or library())
    return texts if names is None else outside.translate(names, PACKAGE, texts)
