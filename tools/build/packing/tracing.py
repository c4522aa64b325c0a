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
        found[module.file] = [_entry(module.tree, packed, "<module>", module.file)]
        pairs = zip(_functions(module.tree), _functions(packed), strict=True)
        for old, new in pairs:
            entry = _entry(old, new, names.get(id(old), old.name), module.file)
            found[module.file].append(entry)
    return found


def _entry(old: ast.AST, new: ast.AST, name: str, file: str) -> list:
    return [
        getattr(new, "name", name),
        getattr(old, "origin", file),
        name,
        getattr(old, "lineno", 1),
        getattr(old, "end_lineno", 1),
        _calls(old),
        _lines(old, new),
    ]


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
    """Where the statements of both begin, [line packed, line of the source]; those of inner functions are theirs."""
    pairs = {}
    stack = [(old, new)]
    while stack:
        one, other = stack.pop()
        inner = zip(ast.iter_child_nodes(one), ast.iter_child_nodes(other), strict=True)
        for before, after in inner:
            if isinstance(after, ast.stmt):
                pairs[after.lineno] = before.lineno
            if not isinstance(after, FUNCTIONS):
                stack.append((before, after))
    return [list(item) for item in sorted(pairs.items())]
