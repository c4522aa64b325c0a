# The modules that are packed: their syntax trees, what their imports name, and errors that say where
# SPDX-License-Identifier: MIT
from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from pathlib import Path

FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
SCOPES = (*FUNCTIONS, ast.Lambda)
DEFINITIONS = (*FUNCTIONS, ast.ClassDef)
_BLOCKS = ("body", "orelse", "finalbody")


class PackError(ValueError):
    """A construct that the packer can't follow: file, line, and why."""


def text_of(tree: ast.AST) -> str:
    """The text of a tree. `a, b = c, d` stays as it is: in brackets its right side would be a tuple, made on the heap."""
    text = ast.unparse(tree) + "\n"
    lines = text.split("\n")
    pairs = [
        node.value
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.Assign)
        and isinstance(node.value, ast.Tuple)
        and isinstance(node.targets[-1], ast.Tuple)
    ]
    # From the end on, as a line may have several; unparse() breaks no line.
    for value in sorted(pairs, key=lambda node: (node.lineno, node.col_offset), reverse=True):
        row = value.lineno - 1
        line = lines[row].encode()
        if (
            line[value.col_offset : value.col_offset + 1] == b"("
            and value.lineno == value.end_lineno
        ):
            inner = line[value.col_offset + 1 : value.end_col_offset - 1]
            line = line[: value.col_offset] + inner + line[value.end_col_offset :]
            lines[row] = line.decode()
    return "\n".join(lines)


class Module:
    """One file: `name` is dotted and relative to the package, "" for the package itself."""

    def __init__(self, file: str, text: str, outside: bool = False):
        self.file = file
        self.is_package = Path(file).name == "__init__.py"
        parts = Path(file).with_suffix("").parts
        self.name = ".".join(parts[:-1] if self.is_package else parts)
        # A module of somebody else's that uses the package, such as a test.
        self.outside = outside
        try:
            self.tree = ast.parse(text)
        except SyntaxError as error:
            raise PackError(f"{file}:{error.lineno}: {error.msg}") from None
        for node in ast.walk(self.tree):
            if hasattr(node, "lineno"):
                node.origin = file

    @property
    def folder(self) -> list[str]:
        """The package that the module's relative imports start from."""
        parts = self.name.split(".") if self.name else []
        return parts if self.is_package else parts[:-1]

    def error(self, node: ast.AST, why: str) -> PackError:
        """To be raised: `why` at the place of `node`."""
        file = getattr(node, "origin", self.file)
        return PackError(f"{file}:{getattr(node, 'lineno', 1)}: {why}")

    def source_of(self, node: ast.ImportFrom, package: str) -> str | None:
        """The module of the package that `from ... import` names, or None for one of others."""
        if node.level and not self.outside:
            folder = self.folder
            if node.level > len(folder) + 1:
                raise self.error(node, "imports from outside the package")
            folder = folder[: len(folder) + 1 - node.level]
            return ".".join(folder + (node.module.split(".") if node.module else []))
        module = node.module or ""
        if self.outside and (module == package or module.startswith(package + ".")):
            return module[len(package) + 1 :]
        return None


class Package:
    """What is packed: `modules` by name, and `absent`, those of the source that this image lacks."""

    def __init__(self, name: str, modules: dict[str, Module], absent: dict[str, Module]):
        self.name = name
        self.modules = modules
        self.absent = absent

    def own(self) -> Iterator[Module]:
        """The package's own modules, in the order of their names."""
        for name in sorted(self.modules):
            if not self.modules[name].outside:
                yield self.modules[name]

    def source_of(self, module: Module, node: ast.ImportFrom) -> str | None:
        """As Module.source_of()."""
        return module.source_of(node, self.name)


def load(root: Path, files: list[str], package: str = "lwm2m") -> Package:
    """Reads the package in folder `root`: `files` are those of the image, all others are absent."""
    modules, absent = {}, {}
    for path in sorted(root.rglob("*.py")):
        file = path.relative_to(root).as_posix()
        module = Module(file, path.read_text(encoding="utf-8"))
        (modules if file in files else absent)[module.name] = module
    return Package(package, modules, absent)


def child(source: str, name: str) -> str:
    """The dotted name of what lies in a module."""
    return f"{source}.{name}" if source else name


def placed(new: ast.AST, old: ast.AST) -> ast.AST:
    """`new` stands where `old` stood."""
    for node in ast.walk(new):
        ast.copy_location(node, old)
        node.origin = getattr(old, "origin", None)
    return new


def literal(value: object, old: ast.AST) -> ast.expr:
    """The expression of a value."""
    return placed(ast.parse(repr(value), mode="eval").body, old)


def is_docstring(statement: ast.stmt) -> bool:
    """A statement that is a string alone, or any other constant."""
    return isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)


def docstrings(tree: ast.AST) -> set[int]:
    """id() of the constants that are documentation."""
    return {id(node.value) for node in ast.walk(tree) if is_docstring(node)}


class Replace(ast.NodeTransformer):
    """Puts new nodes in the place of old ones: {id(node): new node, None to remove}."""

    def __init__(self, new: dict[int, ast.AST | None]):
        self.new = new

    def visit(self, node: ast.AST):
        if id(node) in self.new:
            return self.new[id(node)]
        return self.generic_visit(node)


def rewrite(tree: ast.AST, change: Callable[[ast.stmt], list[ast.stmt] | None]) -> None:
    """Each statement of every block becomes what `change` gives for it (None: it stays). No block is left empty."""
    for node in list(ast.walk(tree)):
        for field in _BLOCKS:
            block = getattr(node, field, None)
            if isinstance(block, list) and block:
                new = []
                for statement in block:
                    result = change(statement)
                    new += [statement] if result is None else result
                if not new and field == "body" and not isinstance(node, ast.Module):
                    new = [placed(ast.Pass(), block[0])]
                block[:] = new


def merge_imports(tree: ast.AST) -> None:
    """One statement for what one block takes from one module in a row."""
    for node in ast.walk(tree):
        for field in _BLOCKS:
            block = getattr(node, field, None)
            if not isinstance(block, list):
                continue
            merged: list[ast.stmt] = []
            for item in block:
                before = merged[-1] if merged else None
                if (
                    isinstance(item, ast.ImportFrom)
                    and isinstance(before, ast.ImportFrom)
                    and (item.module, item.level) == (before.module, before.level)
                    and "*" not in (item.names[0].name, before.names[0].name)
                ):
                    known = {(alias.name, alias.asname) for alias in before.names}
                    before.names += [a for a in item.names if (a.name, a.asname) not in known]
                else:
                    merged.append(item)
            block[:] = merged
