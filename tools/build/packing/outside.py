# What uses the package from outside and reaches into it (unit tests, benchmarks), rewritten by the map of a packed one
# SPDX-License-Identifier: MIT
from __future__ import annotations

import ast
from pathlib import Path

from .doubles import Doubles
from .scopes import Global, ModuleRef, World
from .source import (
    FUNCTIONS,
    Module,
    Package,
    PackError,
    Replace,
    child,
    literal,
    placed,
    rewrite,
    text_of,
)

_LOOKS = ("getattr", "hasattr", "setattr", "delattr")


def translate(
    names: dict, library: Path, texts: dict[str, str], package: str = "lwm2m"
) -> dict[str, str]:
    """{file name: text} of modules that use the package, rewritten so that they use the packed one: `names` is
    what tools/build/pack.py wrote in names.json."""
    modules = {}
    for path in sorted(library.rglob("*.py")):
        file = path.relative_to(library).as_posix()
        module = Module(file, path.read_text(encoding="utf-8"))
        modules[module.name] = module
    outside = {}
    for file, text in texts.items():
        module = Module(file, text, outside=True)
        # No module of the package has such a name.
        module.name = f"outside {file}"
        outside[file] = modules[module.name] = module
    whole = Package(package, modules, {})
    doubles = Doubles(names, [module.tree for module in outside.values()])
    for module in outside.values():
        doubles.rename(module)
    world = World(whole)
    return {
        file: _Translator(names, world, module, doubles).run() for file, module in outside.items()
    }


class _Translator:
    def __init__(self, names: dict, world: World, module: Module, doubles: Doubles):
        self.doubles = doubles
        self.attributes: dict[str, str] = names["attributes"]
        self.globals: dict[str, str] = names["globals"]
        self.arguments: dict[str, list[dict[str, str]]] = names["arguments"]
        self.constants: dict[str, dict[str, str]] = names["constants"]
        self.absent: dict[str, str] = names["absent"]
        self.entry: str = names["joined"]["into"]
        self.joined = set(names["joined"]["modules"])
        self.world = world
        self.module = module
        self.package = world.package
        # Functions and classes outside that look up what they are told.
        self.lookers = {
            node.name
            for other in self.package.modules.values()
            for node in (other.tree.body if other.outside else ())
            if isinstance(node, (*FUNCTIONS, ast.ClassDef)) and _looks_up(node)
        }

    def run(self) -> str:
        references = [item for item in self.world.references if item.module is self.module]
        attributes = [item for item in self.world.attributes if item.module is self.module]
        own = {id(item.node) for item in attributes}
        self.modules = {
            id(item.node): item.binding.name
            for item in references
            if item.field == "id" and isinstance(item.binding, ModuleRef)
        }
        new: dict[int, ast.AST | None] = {}
        for item in references:
            # A name that is imported keeps its name here: see _import().
            value = self._constant(item.binding)
            if value is not None and item.field == "id" and isinstance(item.node.ctx, ast.Load):
                new[id(item.node)] = literal(value, item.node)
        for item in attributes:
            value = self._constant(item.binding)
            if value is not None and isinstance(item.node.ctx, ast.Load):
                new[id(item.node)] = literal(value, item.node)
            else:
                item.node.attr = self._place(item.binding)[1]
        if self.doubles.every:
            self.doubles.dispatch(self.module.tree, own)
        for node in ast.walk(self.module.tree):
            if isinstance(node, ast.Attribute) and id(node) not in own:
                self._attribute(node, new)
            elif isinstance(node, ast.ClassDef):
                self._class(node)
            elif isinstance(node, ast.Call):
                self._call(node)
        self._joined_modules()
        Replace(new).visit(self.module.tree)
        rewrite(self.module.tree, self._import)
        for node in self.module.tree.body:
            if isinstance(node, FUNCTIONS) and self._sets_absent(node):
                text = 'from link import Skip\nraise Skip("this image lacks the part that it is about")'
                node.body[:0] = [placed(item, node) for item in ast.parse(text).body]
        return text_of(ast.fix_missing_locations(self.module.tree))

    def _place(self, symbol: Global) -> tuple[str, str]:
        new = self.globals.get(f"{symbol.module}:{symbol.name}")
        if new is None:
            return self._module(symbol.module), symbol.name
        module, _, name = new.partition(":")
        return module, name

    def _module(self, name: str) -> str:
        return self.entry if name in self.joined else name

    def _constant(self, symbol: object) -> object:
        if isinstance(symbol, Global):
            text = self.constants.get(symbol.module, {}).get(symbol.name)
            return None if text is None else ast.literal_eval(text)
        return None

    def _attribute(self, node: ast.Attribute, new: dict[int, ast.AST | None]) -> None:
        if node.attr in self.absent and isinstance(node.ctx, ast.Load):
            new[id(node)] = literal(ast.literal_eval(self.absent[node.attr]), node)
        else:
            node.attr = self.attributes.get(node.attr, node.attr)

    def _class(self, node: ast.ClassDef) -> None:
        """A class that stands in for one of the package's has the names that the package looks for."""
        for item in node.body:
            if isinstance(item, FUNCTIONS):
                item.name = self.attributes.get(item.name, item.name)
            elif isinstance(item, ast.Assign):
                for target in item.targets:
                    for inner in ast.walk(target):
                        if isinstance(inner, ast.Name) and isinstance(inner.ctx, ast.Store):
                            inner.id = self.attributes.get(inner.id, inner.id)

    def _call(self, node: ast.Call) -> None:
        called = getattr(node.func, "attr", getattr(node.func, "id", ""))
        if called in _LOOKS and len(node.args) > 1 and isinstance(node.args[1], ast.Constant):
            node.args[1].value = self._looked_up(node.args[0], node.args[1].value)
        elif called in self.lookers and node.args:
            for item in node.args[1:]:
                if isinstance(item, ast.Constant) and isinstance(item.value, str):
                    item.value = self._looked_up(node.args[0], item.value)
        for word in node.keywords:
            if word.arg:
                word.arg = self._argument(called, word.arg, node)
            elif renamed := self._renamed(called):
                text = f"{{{renamed!r}.get(key, key): value for key, value in None.items()}}"
                mapped = placed(ast.parse(text, mode="eval").body, node)
                mapped.generators[0].iter.func.value = word.value
                word.value = mapped

    def _looked_up(self, base: ast.expr, name: str) -> str:
        """What getattr(base, name) is to look for."""
        module = self.modules.get(id(base))
        if module is None:
            return self.attributes.get(name, name)
        return self._place(self.world.symbol(module, name))[1]

    def _functions(self, called: str) -> list[dict[str, str]]:
        """The arguments of the package's functions of a name, or of the class of that name: {old: new}."""
        return [
            renamed
            for function, each in self.arguments.items()
            if function in (called, f"{called}.__init__") or function.endswith(f".{called}")
            for renamed in each
        ]

    def _argument(self, called: str, name: str, node: ast.AST) -> str:
        """What an argument is called now."""
        found = {renamed[name] for renamed in self._functions(called) if name in renamed}
        if not found or name in found:
            return name
        if len(found) > 1:
            raise self.module.error(node, f"{name}= may be {' or '.join(sorted(found))}")
        return found.pop()

    def _renamed(self, called: str) -> dict[str, str]:
        """Names of arguments that changed, for **options."""
        functions = self._functions(called)
        if len(functions) != 1:
            return {}
        return {old: new for old, new in functions[0].items() if old != new}

    def _sets_absent(self, node: ast.AST) -> bool:
        return any(
            isinstance(item, ast.Attribute)
            and item.attr in self.absent
            and not isinstance(item.ctx, ast.Load)
            for item in ast.walk(node)
        )

    # imports

    def _joined_modules(self) -> None:
        """`lwm2m.session.x`, where session has been joined."""
        for node in ast.walk(self.module.tree):
            if isinstance(node, ast.Attribute):
                base = self._reached(node.value)
                if base is not None and child(base, node.attr) in self.joined:
                    node.attr = self.entry
                    if base:
                        raise self.module.error(node, "a module below a folder has been joined")
            elif isinstance(node, ast.Import):
                for item in node.names:
                    name = item.name.partition(".")[2]
                    if item.name.startswith(self.package.name + ".") and name in self.joined:
                        item.name = f"{self.package.name}.{self.entry}"

    def _reached(self, node: ast.expr) -> str | None:
        if isinstance(node, ast.Name):
            return self.modules.get(id(node))
        return None

    def _import(self, node: ast.stmt) -> list[ast.stmt] | None:
        if not isinstance(node, ast.ImportFrom):
            return None
        source = self.package.source_of(self.module, node)
        if source is None:
            return None
        made: list[ast.stmt] = []
        moved: dict[str, list[ast.alias]] = {}
        for item in node.names:
            here = item.asname or item.name
            target = self.world.target(source, item.name)
            value = self._constant(target)
            if value is not None:
                made.append(ast.Assign([ast.Name(here, ast.Store())], literal(value, node)))
                continue
            if isinstance(target, ModuleRef):
                module, _, name = self._module(target.name).rpartition(".")
            elif isinstance(target, Global):
                module, name = self._place(target)
            else:
                module, name = source, item.name
            alias = ast.alias(name, here if here != name else None)
            moved.setdefault(module, []).append(alias)
        for module, names in moved.items():
            made.append(
                ast.ImportFrom(
                    child(self.package.name, module) if module else self.package.name, names, 0
                )
            )
        return [placed(item, node) for item in made]


def _looks_up(tree: ast.AST) -> bool:
    return any(
        isinstance(node, ast.Call)
        and getattr(node.func, "id", "") in _LOOKS
        and len(node.args) > 1
        and not isinstance(node.args[1], ast.Constant)
        for node in ast.walk(tree)
    )


__all__ = ["PackError", "translate"]
