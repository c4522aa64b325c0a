# Constants: each use of a name that const() defines becomes its value, in whatever file it is defined
# SPDX-License-Identifier: MIT
from __future__ import annotations

import ast
from collections import Counter

from .public import Public
from .scopes import Global, World
from .source import Module, Package, PackError, Replace, literal, placed, rewrite

# Longer texts and tuples that are used more than once stand once.
_SHORT = 16


def _constant(node: ast.stmt) -> ast.expr | None:
    """The expression of `NAME = const(expression)`, if the statement is one."""
    if isinstance(node, ast.Assign) and isinstance(node.value, ast.Call):
        call = node.value
        if isinstance(call.func, ast.Name) and call.func.id == "const" and len(call.args) == 1:
            return call.args[0]
    return None


class _Values:
    """The values of all constants, found one through another."""

    def __init__(self, package: Package, world: World):
        self.package = package
        self.world = world
        self.definitions: dict[Global, tuple[Module, ast.Assign]] = {}
        self.values: dict[Global, object] = {}
        self._open: set[Global] = set()
        for module in package.modules.values():
            for node in module.tree.body:
                if _constant(node) is not None:
                    if len(node.targets) != 1 or not isinstance(node.targets[0], ast.Name):
                        raise module.error(node, "const() of more than one name")
                    symbol = world.symbol(module.name, node.targets[0].id)
                    self.definitions[symbol] = (module, node)
        for symbol in self.definitions:
            self.value(symbol)

    def value(self, symbol: Global) -> object:
        if symbol not in self.values:
            module, node = self.definitions[symbol]
            if symbol in self._open:
                raise module.error(node, "a constant that is made of itself")
            self._open.add(symbol)
            self.values[symbol] = self._evaluate(module, _constant(node))
        return self.values[symbol]

    def _evaluate(self, module: Module, expression: ast.expr) -> object:
        known = {}
        names = self.world.names[module.name]
        new: dict[int, ast.AST] = {}
        for node in ast.walk(expression):
            found = names.get(node.id) if isinstance(node, ast.Name) else None
            if isinstance(node, ast.Attribute):
                found = next((a.binding for a in self.world.attributes if a.node is node), None)
            if found in self.definitions:
                name = f"value{len(known)}"
                known[name] = self.value(found)
                new[id(node)] = placed(ast.Name(name, ast.Load()), node)
        tree = ast.Expression(Replace(new).visit(expression))
        try:
            code = compile(ast.fix_missing_locations(tree), module.file, "eval")
            return eval(code, {"__builtins__": {"bytes": bytes, "len": len, "ord": ord}}, known)  # noqa: S307
        except Exception as error:
            raise module.error(expression, f"not a constant: {error}") from None


def _large(value: object) -> bool:
    return isinstance(value, (bytes, str, tuple)) and len(value) > _SHORT


def resolve(package: Package, public: Public) -> dict[str, dict[str, object]]:
    """Puts the values in; returns them by module and name, for what stands outside the package."""
    world = World(package)
    found = _Values(package, world)
    values, definitions = found.values, found.definitions
    uses = Counter(
        item.binding
        for item in world.references
        if item.field == "id" and isinstance(item.node.ctx, ast.Load)
    )
    uses.update(item.binding for item in world.attributes)
    # A definition stays where somebody else may look for it.
    shared = {symbol for symbol in values if _large(values[symbol]) and uses[symbol] > 1}
    exported = _exported(package, world)
    kept = shared | {
        symbol
        for symbol in values
        if not symbol.name.startswith("_") and (symbol.name in public.names or symbol in exported)
    }
    new: dict[int, ast.AST | None] = {}
    for item in world.references:
        if item.binding in values and item.binding not in shared:
            if item.field == "id" and isinstance(item.node.ctx, ast.Load):
                new[id(item.node)] = literal(values[item.binding], item.node)
            elif item.field == "from":
                item.node.gone = True
            elif item.field == "names":
                raise item.module.error(item.node, "global statement for a constant")
    for item in world.attributes:
        if item.binding in values and item.binding not in shared:
            new[id(item.node)] = literal(values[item.binding], item.node)
    for symbol, (_, node) in definitions.items():
        if symbol in kept:
            new[id(node.value)] = literal(values[symbol], node)
        node.gone = symbol not in kept
    for module in package.modules.values():
        Replace(new).visit(module.tree)
        rewrite(module.tree, _without)
        _plain(module.tree)
    return _by_module(values)


def _exported(package: Package, world: World) -> set[Global]:
    """Globals of modules that somebody takes all names from."""
    found = set()
    for module in package.modules.values():
        for node in ast.walk(module.tree):
            if isinstance(node, ast.ImportFrom) and node.names[0].name == "*":
                source = package.source_of(module, node)
                if source in world.definitions:
                    found |= {world.symbol(source, name) for name in world.definitions[source]}
    return found


def _without(node: ast.stmt) -> list[ast.stmt] | None:
    if getattr(node, "gone", False):
        return []
    if isinstance(node, ast.ImportFrom):
        node.names = [item for item in node.names if not getattr(item, "gone", False)]
        return None if node.names else []
    return None


def _plain(tree: ast.AST) -> None:
    """const() in a class: MicroPython would put the value in for every such name that follows in the file."""
    for node in ast.walk(tree):
        if isinstance(node, ast.stmt) and (expression := _constant(node)) is not None:
            node.value = expression


def _by_module(values: dict[Global, object]) -> dict[str, dict[str, object]]:
    found: dict[str, dict[str, object]] = {}
    for symbol, value in values.items():
        found.setdefault(symbol.module, {})[symbol.name] = value
    return found


__all__ = ["PackError", "resolve"]
