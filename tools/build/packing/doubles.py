# Classes outside the package that stand in for its own: where packing would give two of their names the same one
# SPDX-License-Identifier: MIT
from __future__ import annotations

import ast
from collections import defaultdict

from .naming import of_self
from .scopes import class_names
from .source import Module, Replace, placed

# What a name that makes way ends with.
_OWN = "_own"
_HELPER = """
def either(thing, name, other):
    return name if hasattr(thing, name) else other
"""


class Doubles:
    """Two names of such a class may be called alike in the packed package: one that the package looks for, and one
    that has nothing to do with it. The latter makes way, and is found at run time wherever it is used."""

    def __init__(self, names: dict, trees: list[ast.Module]):
        self.attributes: dict[str, str] = names["attributes"]
        self.owners: dict[str, list[str]] = names["owners"]
        self._classes = {
            (number, node.name): node
            for number, tree in enumerate(trees)
            for node in ast.walk(tree)
            if isinstance(node, ast.ClassDef)
        }
        families: dict[tuple, set[str]] = defaultdict(set)
        for key, node in self._classes.items():
            families[self._root(key)] |= class_names(node) | set(of_self(node))
        # {id() of a class: names that make way}
        self.away = {
            id(node): self._losers(families[self._root(key)])
            for key, node in self._classes.items()
        }
        self.every = set().union(*self.away.values())

    def _root(self, key: tuple[int, str]) -> tuple[int, str]:
        """The first of the classes outside that a class inherits from."""
        for base in self._classes[key].bases:
            name = getattr(base, "id", None)
            found = [other for other in self._classes if other[1] == name and other != key]
            found.sort(key=lambda other: other[0] != key[0])
            if found:
                return self._root(found[0])
        return key

    def _losers(self, names: set[str]) -> set[str]:
        groups = defaultdict(list)
        for name in sorted(names):
            groups[self.attributes.get(name, name)].append(name)
        score = {name: self._score(name, names) for name in names}
        return {
            name
            for group in groups.values()
            for name in sorted(group, key=lambda name: (-score[name], name))[1:]
        }

    def _score(self, name: str, names: set[str]) -> int:
        """How much of one of the package's classes there is beside this name."""
        return max(
            (
                sum(owner in self.owners.get(other, ()) for other in names)
                for owner in self.owners.get(name, ())
            ),
            default=0,
        )

    def rename(self, module: Module) -> None:
        """In the classes of a module what makes way does so."""
        for node in ast.walk(module.tree):
            if isinstance(node, ast.ClassDef) and self.away.get(id(node)):
                self._class(node, self.away[id(node)])

    def dispatch(self, tree: ast.Module, of_modules: set[int]) -> None:
        """Everywhere else what is meant is found at run time; `of_modules`: id() of what is known."""
        _Dispatch(self, of_modules).visit(tree)
        helper = [placed(item, tree.body[0]) for item in ast.parse(_HELPER).body]
        tree.body[:0] = helper

    def _class(self, owner: ast.ClassDef, away: set[str]) -> None:
        for item in owner.body:
            if isinstance(item, ast.FunctionDef) and item.name in away:
                item.name += _OWN
            elif isinstance(item, ast.Assign):
                for node in item.targets:
                    for inner in ast.walk(node):
                        if isinstance(inner, ast.Name) and inner.id in away:
                            inner.id += _OWN
        for node in ast.walk(owner):
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
                if node.value.id == "self" and node.attr in away:
                    node.attr += _OWN

    def call(self, what: str, node: ast.Attribute, more: list[ast.expr]) -> ast.Call:
        """getattr() or setattr() of whichever of the two names an object has."""
        other = self.attributes.get(node.attr, node.attr)
        names = [ast.Constant(node.attr + _OWN), ast.Constant(other)]
        name = ast.Call(ast.Name("either", ast.Load()), [node.value, *names], [])
        return placed(ast.Call(ast.Name(what, ast.Load()), [node.value, name, *more], []), node)


class _Dispatch(ast.NodeTransformer):
    def __init__(self, doubles: Doubles, known: set[int]):
        self.doubles = doubles
        self.known = known

    def _is_meant(self, node: ast.AST) -> bool:
        return (
            isinstance(node, ast.Attribute)
            and node.attr in self.doubles.every
            and id(node) not in self.known
        )

    def visit_Attribute(self, node: ast.Attribute) -> ast.expr:
        self.generic_visit(node)
        if self._is_meant(node) and isinstance(node.ctx, ast.Load):
            return self.doubles.call("getattr", node, [])
        return node

    def visit_Assign(self, node: ast.Assign) -> ast.stmt | list[ast.stmt]:
        self.generic_visit(node)
        after: list[ast.stmt] = []
        moved: dict[int, ast.AST | None] = {}
        for target in node.targets:
            for item in ast.walk(target):
                if self._is_meant(item) and isinstance(item.ctx, ast.Store):
                    name = f"moved_{len(after)}"
                    moved[id(item)] = placed(ast.Name(name, ast.Store()), node)
                    call = self.doubles.call("setattr", item, [ast.Name(name, ast.Load())])
                    after.append(placed(ast.Expr(call), node))
        return [Replace(moved).visit(node), *after] if after else node
