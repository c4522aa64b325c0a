# Joining: the files that are loaded with the client in any case become one
# SPDX-License-Identifier: MIT
from __future__ import annotations

import ast
import builtins

from .public import Public
from .scopes import Global, InClass, Local, ModuleRef, World
from .source import (
    DEFINITIONS,
    Module,
    Package,
    Replace,
    child,
    is_docstring,
    merge_imports,
    placed,
    rewrite,
)


class Joined:
    """Which modules became one, in their order, and what their globals are called in it."""

    def __init__(self, entry: str, modules: list[str], names: dict[Global, str]):
        self.entry = entry
        self.modules = modules
        self.names = {(symbol.module, symbol.name): new for symbol, new in names.items()}

    def place(self, module: str, name: str) -> tuple[str, str]:
        """Module and name of what was `name` in `module`."""
        if module in self.modules:
            return self.entry, self.names.get((module, name), name)
        return module, name


def join(package: Package, entry: str, allowed: set[str], public: Public) -> Joined:
    """Joins into module `entry` what it loads at once of the modules `allowed`."""
    world = World(package)
    order = _order(package, world, entry, allowed)
    if len(order) < 2:
        return Joined(entry, [], {})
    joiner = _Joiner(package, world, entry, order, public)
    joiner.run()
    return Joined(entry, order, joiner.names)


# which, and in which order


def _order(package: Package, world: World, entry: str, allowed: set[str]) -> list[str]:
    apart = _by_name(package) | world.whole | _named(package)
    order: list[str] = []
    open_: list[str] = []

    def visit(name: str, node: ast.AST | None, user: Module | None) -> None:
        if name in order or name in apart and name != entry or name not in allowed:
            return
        if name in open_:
            raise user.error(node, f"imports in a circle: {' > '.join([*open_, name])}")
        open_.append(name)
        module = package.modules[name]
        for inner in _at_once(module.tree):
            for target in _targets(package, module, inner):
                visit(target, inner, module)
        open_.pop()
        order.append(name)

    visit(entry, None, None)
    return order


def _at_once(tree: ast.Module):
    """Imports that are done when a module is loaded, and when an object of one of its classes is made."""
    stack: list[ast.AST] = list(reversed(tree.body))
    while stack:
        node = stack.pop()
        if isinstance(node, ast.ImportFrom):
            yield node
        if isinstance(node, ast.ClassDef) or isinstance(node, ast.If):
            stack.extend(reversed(node.body))
        elif isinstance(node, ast.FunctionDef) and node.name == "__init__":
            stack.extend(reversed(node.body))


def _targets(package: Package, module: Module, node: ast.ImportFrom):
    source = package.source_of(module, node)
    if source is not None:
        for item in node.names:
            if child(source, item.name) in package.modules:
                yield child(source, item.name)
            elif source in package.modules:
                yield source


def _by_name(package: Package) -> set[str]:
    """Modules that are looked for by a name that is put together: "objects." + name."""
    found = set()
    for module in package.own():
        words = {
            word
            for node in ast.walk(module.tree)
            if isinstance(node, ast.Constant) and isinstance(node.value, str)
            for word in node.value.split()
        }
        for node in _dynamic(module.tree):
            name = node.args[0]
            if isinstance(name, ast.BinOp) and isinstance(name.left, ast.Constant):
                found |= {
                    other
                    for other in package.modules
                    if any(other.endswith(f"{name.left.value}{word}") for word in words)
                }
    return found


def _named(package: Package) -> set[str]:
    """Modules that use their own name or place, and the package itself."""
    found = {""}
    for module in package.own():
        for node in ast.walk(module.tree):
            if isinstance(node, ast.Name) and node.id in ("__name__", "__path__", "__file__"):
                found.add(module.name)
    return found


def _dynamic(tree: ast.AST) -> list[ast.Call]:
    return [
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id == "__import__"
    ]


def _import_names(tree: ast.AST) -> list[ast.Constant]:
    """Strings that may be what __import__() gets: its argument, a value of a table, what a name is set to."""
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Dict):
            found += node.values
        elif isinstance(node, ast.Call) and getattr(node.func, "id", "") == "__import__":
            found.append(node.args[0])
        elif isinstance(node, ast.Assign):
            whole = isinstance(node.value, (ast.Tuple, ast.List))
            found += node.value.elts if whole else [node.value]
    return [
        node for node in found if isinstance(node, ast.Constant) and isinstance(node.value, str)
    ]


# how


class _Joiner:
    def __init__(
        self, package: Package, world: World, entry: str, order: list[str], public: Public
    ):
        self.package = package
        self.world = world
        self.entry = entry
        self.order = order
        self.group = set(order)
        self.public = public
        self.names = self._names()

    def run(self) -> None:
        self._check()
        self._rename()
        body = []
        for name in self.order:
            module = self.package.modules[name]
            self._imports_inside(module)
            _relative(self.package, module, self.entry)
            body += [node for node in module.tree.body if not is_docstring(node)]
        shims = self._shims()
        for module in list(self.package.modules.values()):
            if module.name not in self.group:
                self._imports_outside(module)
                self._strings(module)
                merge_imports(module.tree)
        joined = self.package.modules[self.entry]
        joined.tree.body = _merged(body)
        for name in self.group - {self.entry}:
            module = self.package.modules.pop(name)
            if name in shims:
                module.tree.body = [shims[name]]
                self.package.modules[name] = module

    def _names(self) -> dict[Global, str]:
        """The name of each global of the group in the one module; those that somebody else knows come first."""
        world, taken, names = self.world, {}, {}
        locals_ = {
            name
            for scope in world.scopes
            if scope.module.name in self.group and scope.kind != "module"
            for name in scope.names
        }
        known = self._looked_up()
        symbols = [
            (module, name)
            for module in self.order
            for name in sorted(world.names[module])
            if world.names[module][name] == world.symbol(module, name)
        ]
        symbols.sort(key=lambda pair: (pair[0] not in known, pair[1] not in self.public.names))
        foreign: dict[tuple, str] = {}
        for module, name in symbols:
            symbol = world.symbol(module, name)
            origin = self._foreign(module, name)
            if origin is not None and origin in foreign:
                names[symbol] = foreign[origin]
                continue
            new = name
            shadowed = name in locals_ and name not in self.public.names and origin is None
            if name in taken or shadowed or (hasattr(builtins, name) and origin is None):
                if name in self.public.names and module in known:
                    raise self.package.modules[module].error(
                        self.package.modules[module].tree,
                        f"{name} of {module} and of {taken.get(name)} are both public",
                    )
                new = f"{module.replace('.', '_') or 'package'}_{name.lstrip('_')}"
                while new in taken or new in locals_:
                    new += "_"
            taken[new] = module
            if origin is not None:
                foreign[origin] = new
            names[symbol] = new
        return names

    def _foreign(self, module: str, name: str) -> tuple | None:
        """What a name is that a module takes from others by one plain import, so that two may share it."""
        if name in self.world.definitions[module] or len(self.world.imports[module][name]) > 1:
            return None
        owner = self.package.modules[module]
        for node in owner.tree.body:
            if isinstance(node, (ast.Import, ast.ImportFrom)):
                for item in node.names:
                    if (item.asname or item.name.split(".")[0]) == name:
                        if isinstance(node, ast.Import):
                            return (None, item.name)
                        own = self.package.source_of(owner, node) is not None
                        return None if own else (node.module, item.name)
        return None

    def _looked_up(self) -> set[str]:
        """Modules of the group that strings of the face name, and the entry."""
        found = {self.entry}
        for module in self.package.own():
            if _dynamic(module.tree) and module.name not in self.group:
                found |= {item.value for item in _import_names(module.tree)} & self.group
        return found

    def _check(self) -> None:
        for item in self.world.references:
            binding, module = item.binding, item.module
            if isinstance(binding, ModuleRef) and binding.name in self.group:
                if item.field == "id" and not any(
                    other.node.value is item.node for other in self.world.attributes
                ):
                    raise module.error(item.node, f"module {binding.name} is used as a value")
            if item.field == "names" and isinstance(item.node, ast.Global):
                for symbol in binding:
                    if isinstance(symbol, Global) and self._is_imported(symbol):
                        raise module.error(
                            item.node, f"{symbol.name} changes, and is imported elsewhere"
                        )

    def _is_imported(self, symbol: Global) -> bool:
        return symbol.module in self.group and any(
            item.field == "from" and item.binding is symbol and item.module.name != symbol.module
            for item in self.world.references
        )

    def _rename(self) -> None:
        """Every name that means a global of the group gets its new name; locals that would hide it make way."""
        hidden: set[Local] = set()
        uses = [
            (item.scope, self.names[item.binding])
            for item in [*self.world.references, *self.world.attributes]
            if isinstance(item.binding, Global)
            and item.binding in self.names
            and item.module.name in self.group
        ]
        for scope, name in uses:
            if isinstance(scope.names.get(name), InClass):
                if name not in self.world.names[scope.module.name]:
                    raise scope.module.error(scope.node, f"{name} would mean something else here")
            while scope is not None and scope.kind != "module":
                if isinstance(scope.names.get(name), Local):
                    hidden.add(scope.names[name])
                scope = scope.parent
        for local in sorted(hidden, key=lambda item: item.name):
            local.new = f"{local.name}_"
        replaced: dict[int, ast.AST] = {}
        for item in self.world.references:
            self._name(item)
        for item in self.world.attributes:
            if item.module.name in self.group and item.binding in self.names:
                name = ast.Name(self.names[item.binding], item.node.ctx)
                replaced[id(item.node)] = placed(name, item.node)
        for name in self.group:
            Replace(replaced).visit(self.package.modules[name].tree)

    def _name(self, item) -> None:
        binding = item.binding
        if item.field == "names":
            if item.module.name in self.group:
                item.node.names = [
                    self._new(symbol, name)
                    for symbol, name in zip(binding, item.node.names, strict=True)
                ]
        elif item.field == "from":
            # Kept for the rewriting of the statement.
            item.node.binding = binding
            if isinstance(binding, Local) and binding.new:
                item.node.asname = binding.new
        elif item.field == "import":
            if isinstance(binding, Global) and binding in self.names:
                if self.names[binding] != binding.name:
                    item.node.asname = self.names[binding]
        elif isinstance(binding, Global) and item.module.name in self.group:
            setattr(item.node, item.field, self._new(binding, getattr(item.node, item.field)))
        elif isinstance(binding, Local) and binding.new:
            setattr(item.node, item.field, binding.new)

    def _new(self, binding: object, name: str) -> str:
        if isinstance(binding, Local):
            return binding.new or name
        return self.names.get(binding, name)

    # imports

    def _imports_inside(self, module: Module) -> None:
        """What a module of the group takes from another one is there already."""

        def change(node: ast.stmt) -> list[ast.stmt] | None:
            if not isinstance(node, ast.ImportFrom):
                return None
            source = self.package.source_of(module, node)
            stay, made = [], []
            for item in node.names:
                inside = source is not None and (
                    source in self.group
                    and child(source, item.name) not in self.package.modules
                    or child(source, item.name) in self.group
                )
                if not inside:
                    self._alias(module, item)
                    stay.append(item)
                    continue
                target = self.world.target(source, item.name)
                bound = getattr(item, "binding", None)
                if isinstance(target, Global) and bound is not target:
                    # A name of its own, such as one that has another value where this import fails.
                    name = (
                        bound.new or bound.name if isinstance(bound, Local) else self.names[bound]
                    )
                    value = ast.Name(self.names[target], ast.Load())
                    made.append(placed(ast.Assign([ast.Name(name, ast.Store())], value), node))
            node.names = stay
            return ([node] if stay else []) + made

        rewrite(module.tree, change)

    def _alias(self, module: Module, item: ast.alias) -> None:
        bound = getattr(item, "binding", None)
        if isinstance(bound, Global) and bound in self.names:
            new = self.names[bound]
            item.asname = new if new != item.name else None

    def _imports_outside(self, module: Module) -> None:
        """What another module takes from the group it takes from the one module."""

        def change(node: ast.stmt) -> list[ast.stmt] | None:
            if not isinstance(node, ast.ImportFrom):
                return None
            source = self.package.source_of(module, node)
            stay, moved = [], []
            for item in node.names:
                inner = child(source, item.name) if source is not None else None
                if inner in self.group:
                    if inner != self.entry:
                        raise module.error(node, f"module {inner} is joined into {self.entry}")
                    stay.append(item)
                elif source in self.group and inner not in self.package.modules:
                    target = self.world.target(source, item.name)
                    new = self.names.get(target, item.name)
                    known_as = item.asname or item.name
                    moved.append(ast.alias(new, known_as if known_as != new else None))
                else:
                    stay.append(item)
            if not moved:
                return None
            node.names = stay
            level = len(module.folder) + 1
            new = placed(ast.ImportFrom(self.entry, moved, level), node)
            return ([node] if stay else []) + [new]

        self._attributes_outside(module)
        rewrite(module.tree, change)

    def _attributes_outside(self, module: Module) -> None:
        for item in self.world.attributes:
            if item.module is module and item.binding in self.names:
                raise module.error(item.node, f"{item.binding} is joined into {self.entry}")

    def _strings(self, module: Module) -> None:
        """`__import__("tree", ...)` of a module of the group is one of the one module."""
        if not _dynamic(module.tree):
            return
        found = [node for node in _import_names(module.tree) if node.value in self.group]
        names = {node.value for node in found}
        for node in ast.walk(module.tree):
            if isinstance(node, ast.Compare):
                for item in ast.walk(node):
                    if isinstance(item, ast.Constant) and item.value in names - {self.entry}:
                        raise module.error(item, f"{item.value!r} is joined, and compared here")
        for node in found:
            node.value = self.entry

    def _shims(self) -> dict[str, ast.stmt]:
        """Modules that applications import: what is public of them comes from the one module."""
        found = {}
        for name in sorted(self.group & self.public.modules - {self.entry}):
            module = self.package.modules[name]
            names = [
                ast.alias(self.names[self.world.symbol(name, own)], own)
                for own in sorted(self.world.definitions[name] & self.public.names)
            ]
            for item in names:
                item.asname = item.asname if item.asname != item.name else None
            level = len(module.folder) + 1
            found[name] = placed(ast.ImportFrom(self.entry, names, level), module.tree.body[0])
        return found


def _relative(package: Package, module: Module, entry: str) -> None:
    """Relative imports of a module, written as from the place of the one module."""
    for node in ast.walk(module.tree):
        if isinstance(node, ast.ImportFrom):
            source = package.source_of(module, node)
            if source is not None:
                node.level = len(package.modules[entry].folder) + 1
                node.module = source or None
    for node in _dynamic(module.tree):
        if len(node.args) > 4 and isinstance(node.args[4], ast.Constant):
            level = node.args[4].value
            folder = module.folder[: len(module.folder) + 1 - level]
            if folder:
                prefix = ast.Constant(".".join(folder) + ".")
                node.args[0] = placed(ast.BinOp(prefix, ast.Add(), node.args[0]), node)
                node.args[4].value = 1


def _merged(body: list[ast.stmt]) -> list[ast.stmt]:
    """One import of each name, and one statement for what comes from one module; definitions keep their order."""
    merged: list[ast.stmt] = []
    froms: dict[tuple, ast.ImportFrom] = {}
    seen: set[tuple] = set()
    for node in body:
        if isinstance(node, ast.Import):
            node.names = [i for i in node.names if (i.name, i.asname) not in seen]
            seen |= {(item.name, item.asname) for item in node.names}
            if not node.names:
                continue
        elif isinstance(node, ast.ImportFrom) and node.names[0].name != "*":
            key = (node.level, node.module)
            names = [i for i in node.names if (*key, i.name, i.asname) not in seen]
            seen |= {(*key, item.name, item.asname) for item in names}
            if key in froms:
                froms[key].names += names
                continue
            froms[key] = node
            node.names = names
        merged.append(node)
    return merged


__all__ = ["DEFINITIONS", "join"]
