# Figures that tell how the client's source reads; a file that reads well is the aim, not a figure
# SPDX-License-Identifier: MIT
from __future__ import annotations

import ast
from pathlib import Path

from tools.build.profiles import PACKAGE

# Numbers up to this one need no name.
_PLAIN = 2
# Tables of numbers are data.
_TABLES = ("model/tables", "crypto")


def _names(tree: ast.AST) -> list[str]:
    """Names that functions bind: arguments and locals, each once a function."""
    found = []
    for function in ast.walk(tree):
        if isinstance(function, (ast.FunctionDef, ast.AsyncFunctionDef)):
            own = {item.arg for item in function.args.args + function.args.kwonlyargs}
            own |= {
                node.id
                for node in ast.walk(function)
                if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)
            }
            found += sorted(own - {"self"})
    return found


def _numbers(tree: ast.AST) -> int:
    """Bare integers above 2, those that a const() names not counted."""
    named = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.Assign)
        for inner in ast.walk(node.value)
        if isinstance(getattr(node.targets[0], "id", None), str) and node.col_offset == 0
    }
    return sum(
        isinstance(node, ast.Constant)
        and type(node.value) is int
        and node.value > _PLAIN
        and id(node) not in named
        for node in ast.walk(tree)
    )


def _length(node: ast.AST) -> int:
    return node.end_lineno - node.lineno + 1


def read(root: Path = PACKAGE) -> dict[str, object]:
    """The figures: one-letter names in percent, bare integers in 100 lines, and the longest function."""
    names: list[str] = []
    numbers = lines = 0
    longest = (0, "")
    for path in sorted(root.rglob("*.py")):
        file = path.relative_to(root).as_posix()
        text = path.read_text(encoding="utf-8")
        tree = ast.parse(text)
        names += _names(tree)
        for node in ast.walk(tree):
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
                longest = max(longest, (_length(node), f"{file} {node.name}()"))
        if not file.startswith(_TABLES):
            numbers += _numbers(tree)
            lines += sum(bool(line.strip()) for line in text.splitlines())
    return {
        "one-letter names": round(
            100 * sum(len(name) == 1 for name in names) / max(len(names), 1), 1
        ),
        "bare integers above 2 in 100 lines": round(100 * numbers / max(lines, 1), 1),
        "longest function": longest,
    }


def text() -> str:
    """The figures in a line."""
    found = read()
    length, where = found["longest function"]
    return (
        f"lib/lwm2m: {found['one-letter names']} % of the names have one letter, "
        f"{found['bare integers above 2 in 100 lines']} bare integers above 2 in 100 lines, "
        f"the longest function has {length} lines ({where})"
    )
