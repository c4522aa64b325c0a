# Absent parts: what an image without some files decides at run time is decided here
# SPDX-License-Identifier: MIT
from __future__ import annotations

import ast
from collections import defaultdict

from .folding import fold
from .public import LANGUAGE, PLATFORM, Public
from .scopes import Global, World
from .source import (
    DEFINITIONS,
    FUNCTIONS,
    Module,
    Package,
    Replace,
    child,
    literal,
    placed,
    rewrite,
)


def resolve(package: Package, public: Public, spelled: set[str]) -> dict[str, object]:
    """Takes away what needs absent files; returns the attributes that became constants, with their values.

    An import of an absent file gives its `except ImportError`; an attribute that only absent files set is the
    constant that its class says; functions that nothing calls any more go."""
    for module in package.own():
        _imports(package, module)
    known = _attributes(package, public.names | spelled)
    for module in package.modules.values():
        if not module.outside:
            new = {
                id(node): literal(known[node.attr], node)
                for node in ast.walk(module.tree)
                if isinstance(node, ast.Attribute)
                and isinstance(node.ctx, ast.Load)
                and node.attr in known
            }
            Replace(new).visit(module.tree)
            rewrite(module.tree, lambda node: _sets(node, known))
        fold(module.tree)
    if package.absent:
        while _unused(package, public, spelled):
            pass
    return known


# lists of files


def complete_lists(package: Package) -> None:
    """A module with `_COMPLETE = const(0)` has a list `_FILES = (key, "file", ...)` of files beside it: it keeps
    the pairs whose files are in the image, and _COMPLETE becomes 1. To be called before constants are put in."""
    for module in package.own():
        marks = {
            node.targets[0].id: node
            for node in module.tree.body
            if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name)
        }
        if "_COMPLETE" not in marks:
            continue
        files = marks.get("_FILES")
        if not files or not isinstance(files.value, ast.Tuple) or len(files.value.elts) % 2:
            raise module.error(marks["_COMPLETE"], "no list _FILES of pairs")
        marks["_COMPLETE"].value = placed(
            ast.parse("const(1)", mode="eval").body, marks["_COMPLETE"]
        )
        folder = ".".join(module.folder)
        kept = []
        for key, name in zip(files.value.elts[::2], files.value.elts[1::2]):
            if not isinstance(name, ast.Constant) or not isinstance(name.value, str):
                raise module.error(name, "not the name of a file")
            if child(folder, name.value) in package.modules:
                kept += [key, name]
        files.value.elts = kept


# imports


def _imports(package: Package, module: Module) -> None:
    def gone(node: ast.stmt) -> str | None:
        """The absent module that an import needs."""
        if not isinstance(node, ast.ImportFrom):
            return None
        source = package.source_of(module, node)
        if source is None:
            return None
        if source not in package.modules and not _is_folder(package, source):
            return source
        missing = [
            child(source, item.name)
            for item in node.names
            if child(source, item.name) in package.absent
            and not _binds(package, source, item.name)
        ]
        return missing[0] if missing else None

    def change(node: ast.stmt) -> list[ast.stmt] | None:
        if isinstance(node, ast.Try) and node.body and gone(node.body[0]):
            handler = next((item for item in node.handlers if _takes(item)), None)
            if handler and not handler.name and not _raises_again(handler):
                return handler.body + node.finalbody
        missing = gone(node)
        if missing:
            name = ast.Constant(missing.rpartition(".")[2])
            error = ast.Call(ast.Name("ImportError", ast.Load()), [name], [])
            return [placed(ast.Raise(error, None), node)]
        return None

    # Twice: an import in a handler that came up may be of an absent file too.
    for _ in range(3):
        rewrite(module.tree, change)


def _is_folder(package: Package, name: str) -> bool:
    return not name or any(other.startswith(name + ".") for other in package.modules)


def _binds(package: Package, source: str, name: str) -> bool:
    module = package.modules.get(source)
    return module is not None and any(
        isinstance(node, DEFINITIONS) and node.name == name for node in module.tree.body
    )


def _takes(handler: ast.ExceptHandler) -> bool:
    """Does it catch ImportError?"""
    kind = handler.type
    kinds = kind.elts if isinstance(kind, ast.Tuple) else [kind]
    return any(isinstance(k, ast.Name) and k.id in ("ImportError", "Exception") for k in kinds)


def _raises_again(handler: ast.ExceptHandler) -> bool:
    return any(isinstance(node, ast.Raise) and node.exc is None for node in ast.walk(handler))


# attributes


def _attributes(package: Package, fixed: set[str]) -> dict[str, object]:
    """Private attributes that the files of this image only ever give one and the same constant value, and that
    absent files set."""
    values: dict[str, list[object]] = defaultdict(list)
    for module in package.modules.values():
        for name, value in _stores(module.tree):
            values[name].append(value)
    elsewhere = {name for module in package.absent.values() for name, _ in _stores(module.tree)}
    found = {}
    for name in elsewhere:
        kept = name in fixed or name in LANGUAGE or name in PLATFORM or name.startswith("__")
        given = values.get(name)
        if given and not kept and all(item is not _VARIES for item in given):
            if len({repr(item) for item in given}) == 1:
                found[name] = given[0]
    return found


_VARIES = object()


def _stores(tree: ast.AST):
    """(attribute, constant value or _VARIES) of each place that gives an attribute a value."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef):
            yield from _class_stores(node)
        elif isinstance(node, ast.Assign):
            for target in node.targets:
                if isinstance(target, ast.Attribute):
                    yield target.attr, _value(node.value)
                else:
                    yield from _inner(target)
        elif isinstance(node, ast.AugAssign):
            yield from _inner(node.target)
        elif isinstance(node, (ast.For, ast.comprehension)):
            yield from _inner(node.target)
        elif isinstance(node, ast.withitem) and node.optional_vars:
            yield from _inner(node.optional_vars)
        elif isinstance(node, ast.Delete):
            for target in node.targets:
                yield from _inner(target)


def _class_stores(node: ast.ClassDef):
    for item in node.body:
        if isinstance(item, DEFINITIONS):
            yield item.name, _VARIES
        elif isinstance(item, ast.Assign):
            for target in item.targets:
                if isinstance(target, ast.Name):
                    yield target.id, _value(item.value)
                else:
                    for inner in ast.walk(target):
                        if isinstance(inner, ast.Name):
                            yield inner.id, _VARIES
        else:
            for inner in ast.walk(item):
                if isinstance(inner, ast.Name) and isinstance(inner.ctx, ast.Store):
                    yield inner.id, _VARIES


def _inner(target: ast.AST):
    for node in ast.walk(target):
        if isinstance(node, ast.Attribute) and not isinstance(node.ctx, ast.Load):
            yield node.attr, _VARIES


def _value(node: ast.expr) -> object:
    if isinstance(node, ast.Constant):
        return node.value
    if isinstance(node, ast.Tuple) and not node.elts:
        return ()
    return _VARIES


def _sets(node: ast.stmt, known: dict[str, object]) -> list[ast.stmt] | None:
    """Takes the definitions of constant attributes away: `self.x = None`, and in a class `x = None`."""
    if isinstance(node, ast.ClassDef):
        left = []
        for item in node.body:
            if isinstance(item, ast.Assign):
                item.targets = [
                    target for target in item.targets if getattr(target, "id", None) not in known
                ]
            if not isinstance(item, ast.Assign) or item.targets:
                left.append(item)
        node.body = left or [placed(ast.Pass(), node)]
    if not isinstance(node, ast.Assign):
        return None
    node.targets = [item for item in node.targets if getattr(item, "attr", None) not in known]
    return None if node.targets else []


# what nothing uses


def _unused(package: Package, public: Public, spelled: set[str]) -> bool:
    """Takes away private functions, methods and classes that nothing names; True where there were any."""
    world = World(package)
    used: set[object] = set()
    for item in world.references:
        if item.field == "id":
            used.add(item.binding)
        elif item.field == "from":
            source = package.source_of(item.module, item.node.statement)
            used.add(world.target(source, item.node.name))
    used |= {item.binding for item in world.attributes}
    names = {
        node.attr
        for module in package.modules.values()
        for node in ast.walk(module.tree)
        if isinstance(node, ast.Attribute)
    }
    names |= public.names | spelled | set(LANGUAGE) | PLATFORM
    found = False

    def change(module: Module, node: ast.stmt) -> list[ast.stmt] | None:
        nonlocal found
        if isinstance(node, ast.ClassDef):
            before = len(node.body)
            node.body = [
                item
                for item in node.body
                if not isinstance(item, FUNCTIONS)
                or item.name in names
                or item.name.startswith("__")
                or item.decorator_list
            ] or [placed(ast.Pass(), node)]
            found = found or len(node.body) != before
        if isinstance(node, DEFINITIONS) and node in module.tree.body:
            symbol = world.symbol(module.name, node.name)
            if symbol not in used and node.name not in names:
                found = True
                return []
        return None

    for module in package.own():
        if module.name not in world.whole and module.name:
            rewrite(module.tree, lambda node, module=module: change(module, node))
    found = _imports_unused(package, world) or found
    return found


def _imports_unused(package: Package, world: World) -> bool:
    """Takes away imports of the package's own names that their module does not use."""
    used = {(item.module.name, item.binding) for item in world.attributes}
    aliases = []
    for item in world.references:
        if item.field == "from":
            source = package.source_of(item.module, item.node.statement)
            if source is not None:
                aliases.append((item, source))
        else:
            used.add((item.module.name, item.binding))
    wanted = {(source, item.node.name) for item, source in aliases}
    found = False
    for item, source in aliases:
        module, binding = item.module, item.binding
        passed_on = (module.name, item.node.asname or item.node.name) in wanted
        if isinstance(binding, Global) and binding.module != module.name and not passed_on:
            if (module.name, binding) not in used and module.name not in world.whole:
                item.node.gone = found = True
    if found:
        for module in package.own():
            rewrite(module.tree, _drop_gone)
    return found


def _drop_gone(node: ast.stmt) -> list[ast.stmt] | None:
    if isinstance(node, ast.ImportFrom):
        node.names = [item for item in node.names if not getattr(item, "gone", False)]
        return None if node.names else []
    return None
