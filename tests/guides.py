# What a guide shows, by file name: its programs, definitions and modules, as a reader would save them
# SPDX-License-Identifier: MIT
from __future__ import annotations

import re
import tempfile
from pathlib import Path

from tools import objects

ROOT = Path(__file__).resolve().parents[1]
_BLOCK = re.compile(r"^```(?:python|xml)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
# `# main.py`, or `<!-- valve.xml -->`, in the first line
_NAME = re.compile(r"(?:# profile: \w+\n)?(?:#|<!--) ([\w.]+\.(?:py|xml))\b")


def blocks(page: Path) -> dict[str, str]:
    """{file name: text} of the blocks that begin with the name of a file."""
    found = {}
    for text in _BLOCK.findall(page.read_text()):
        name = _NAME.match(text)
        if name:
            assert name[1] not in found, f"{page.name} has {name[1]} twice"
            found[name[1]] = text
    return found


def guide(name: str) -> dict[str, str]:
    """The blocks of docs/NAME.md."""
    return blocks(ROOT / "docs" / f"{name}.md")


def table(xml: str) -> str:
    """The module that `python -m tools.objects` makes of a definition."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "object.xml"
        path.write_text(xml)
        return objects.module(objects.load([path]))
