# Where packed code comes from: functions and lines of the source, for tracebacks
# SPDX-License-Identifier: MIT
from __future__ import annotations

import ast

from .source import FUNCTIONS, Package

_NAMED = (*FUNCTIONS, ast.ClassDef)


def origins(package: Package) -> dict[int, str]:
    """id() of each function and class: its name in the source, as Class.method. To be called before the names go."""
    found: dict[int, str] = {}

    def walk(node: ast.AST, prefix: str) -> None:
        for item in ast.iter_child_nodes(node):
            if isinstance(item, _NAMED):
                found[id(item)] = prefix + item.name
                walk(item, f"{prefix}{item.name}.")
            else:
                walk(item, prefix)

    for module in package.own():
        walk(module.tree, "")
    return found


def trace(package: Package, texts: dict[str, str], names: dict[int, str]) -> dict[str, list]:
    """By packed file, for each function: [its name, source file, name there, first and last line, calls,
    lines]. calls: [name that is called, line of the source]; lines: [line of the packed file, line of the source]."""
    found = {}
    for module in package.own():
        # The packed text once more: the same tree, with the lines that it has there.
        packed = ast.parse(texts[module.file])
        pairs = list(zip(_functions(module.tree), _functions(packed), strict=True))
        found[module.file] = [
            [
                new.name,
                getattr(old, "origin", module.file),
                names.get(id(old), old.name),
                old.lineno,
                old.end_lineno,
                _calls(old),
                _lines(old, new),
            ]
            for old, new in pairs
        ]
        found[module.file].append(
            [
                "<module>",
                module.file,
                "<module>",
                1,
                1,
                _calls(module.tree),
                _lines(module.tree, packed),
            ]
        )
    return found


def _functions(tree: ast.AST) -> list:
    return [node for node in ast.walk(tree) if isinstance(node, FUNCTIONS)]


def _calls(node: ast.AST) -> list:
    calls = set()
    for item in ast.walk(node):
        if isinstance(item, ast.Call):
            name = getattr(item.func, "attr", getattr(item.func, "id", None))
            if name:
                calls.add((name, item.lineno))
    return [list(item) for item in sorted(calls)]


def _lines(old: ast.AST, new: ast.AST) -> list:
    """Where the statements of both begin."""
    pairs = {}
    for one, other in zip(ast.walk(old), ast.walk(new), strict=True):
        if isinstance(one, ast.stmt) and isinstance(other, ast.stmt):
            pairs[other.lineno] = one.lineno
    return [list(item) for item in sorted(pairs.items())]
