# Which name means what: the globals of each module, the locals of each function, and every place that names them
# SPDX-License-Identifier: MIT
from __future__ import annotations

import ast
from typing import NamedTuple

from .source import DEFINITIONS, FUNCTIONS, SCOPES, Module, Package, child

COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)


class Global:
    """A name of a module; `new` is the one that it gets, or None."""

    def __init__(self, module: str, name: str):
        self.module = module
        self.name = name
        self.new: str | None = None

    def __repr__(self) -> str:
        return f"{self.module or '(package)'}:{self.name}"


class ModuleRef(NamedTuple):
    """A name that stands for a module of the package."""

    name: str


class Local:
    """A name of a function; kind is argument, local, definition or import."""

    def __init__(self, name: str, kind: str, scope: Scope):
        self.name = name
        self.kind = kind
        self.scope = scope
        self.new: str | None = None


class InClass(NamedTuple):
    """A name in the body of a class: an attribute."""

    name: str
    node: ast.ClassDef


class Scope:
    """A module, function, class or comprehension."""

    def __init__(self, kind: str, node: ast.AST, parent: Scope | None, module: Module):
        self.kind = kind
        self.node = node
        self.parent = parent
        self.module = module
        # In a function also Global and ModuleRef, for what is imported there and nowhere set.
        self.names: dict[str, object] = {}
        self.global_names: set[str] = set()
        # Names of functions around this one that are used here or further in.
        self.free: set[Local] = set()
        # What is read here that is no local: names, and Globals.
        self.reads: set[object] = set()


class Reference(NamedTuple):
    """A place where a name stands: node.field, or, of an import, its alias."""

    node: ast.AST
    field: str
    binding: object
    scope: Scope
    module: Module


class ModuleAttribute(NamedTuple):
    """`observe.poll`, where observe is a module of the package."""

    node: ast.Attribute
    binding: Global
    scope: Scope
    module: Module


class World:
    """All names of a package, and of what stands outside and uses it."""

    def __init__(self, package: Package):
        self.package = package
        self._globals: dict[tuple[str, str], Global] = {}
        self.definitions: dict[str, set[str]] = {}
        self.imports: dict[str, dict[str, list[tuple[str | None, str]]]] = {}
        self.names: dict[str, dict[str, object]] = {}
        self.references: list[Reference] = []
        self.attributes: list[ModuleAttribute] = []
        self.scopes: list[Scope] = []
        # Modules that take all names of another, and those: nobody can tell who uses what of them.
        self.whole: set[str] = set()
        modules = [package.modules[name] for name in sorted(package.modules)]
        for module in modules:
            self._collect(module)
        for module in modules:
            self._link(module)
        for module in modules:
            _Binder(self, module).run()

    def symbol(self, module: str, name: str) -> Global:
        """The one Global of that name."""
        return self._globals.setdefault((module, name), Global(module, name))

    def _collect(self, module: Module) -> None:
        """What a module defines, and what it imports from where: {name: [(module or None, name there)]}."""
        defined: set[str] = set()
        imported: dict[str, list[tuple[str | None, str]]] = {}
        for node in _top(module.tree):
            if isinstance(node, DEFINITIONS):
                defined.add(node.name)
            elif isinstance(node, ast.Name) and isinstance(node.ctx, (ast.Store, ast.Del)):
                defined.add(node.id)
            elif isinstance(node, ast.ExceptHandler) and node.name:
                defined.add(node.name)
            elif isinstance(node, (ast.Import, ast.ImportFrom)):
                for name, target in self.imported(module, node):
                    imported.setdefault(name, []).append(target)
        for node in ast.walk(module.tree):
            if isinstance(node, ast.Global):
                defined.update(node.names)
            elif isinstance(node, ast.ImportFrom) and node.names[0].name == "*":
                source = self.package.source_of(module, node)
                self.whole |= {module.name} if source is None else {module.name, source}
        self.definitions[module.name] = defined
        self.imports[module.name] = imported

    def imported(self, module: Module, node: ast.Import | ast.ImportFrom):
        """(name, (module or None, name there)) of each that an import binds, import * aside."""
        if isinstance(node, ast.Import):
            for item in node.names:
                parts = item.name.split(".")
                inside = module.outside and parts[0] == self.package.name
                whole = ".".join(parts[1:]) if item.asname else ""
                yield item.asname or parts[0], (whole if inside else None, "")
        else:
            source = self.package.source_of(module, node)
            for item in node.names:
                if item.name != "*":
                    yield item.asname or item.name, (source, item.name)

    def target(self, source: str | None, name: str) -> object:
        """What `from source import name` gives: Global, ModuleRef, or None for what is not ours."""
        if source is None:
            return None
        if not name:
            return ModuleRef(source)
        if source in self.definitions:
            if name in self.definitions[source]:
                return self.symbol(source, name)
            if child(source, name) in self.package.modules:
                return ModuleRef(child(source, name))
            passed_on = self.imports[source].get(name)
            if passed_on and len(passed_on) == 1:
                found = self.target(*passed_on[0])
                return self.symbol(source, name) if found is None else found
        elif child(source, name) in self.package.modules:
            return ModuleRef(child(source, name))
        return self.symbol(source, name)

    def _link(self, module: Module) -> None:
        """What each global name of a module means: its own Global, one of another module, or a module."""
        names: dict[str, object] = {}
        for name, targets in self.imports[module.name].items():
            found = [self.target(*target) for target in targets]
            one = found[0] if len(found) == 1 else None
            names[name] = one or self.symbol(module.name, name)
        for name in self.definitions[module.name]:
            names[name] = self.symbol(module.name, name)
        self.names[module.name] = names


def _top(tree: ast.Module):
    """Nodes that belong to the module itself, not to a function, class or comprehension in it."""
    stack: list[ast.AST] = list(reversed(tree.body))
    while stack:
        node = stack.pop()
        yield node
        if not isinstance(node, (*DEFINITIONS, *COMPREHENSIONS, ast.Lambda)):
            stack.extend(reversed(list(ast.iter_child_nodes(node))))


class _Binder(ast.NodeVisitor):
    """Finds the binding of each name in one module."""

    def __init__(self, world: World, module: Module):
        self.world = world
        self.module = module
        self.scope: Scope = self._push("module", module.tree)

    def run(self) -> None:
        self.generic_visit(self.module.tree)

    def _push(self, kind: str, node: ast.AST) -> Scope:
        self.scope = Scope(kind, node, getattr(self, "scope", None), self.module)
        self.world.scopes.append(self.scope)
        return self.scope

    def _pop(self) -> None:
        self.scope = self.scope.parent

    def _refer(self, node: ast.AST, field: str, binding: object) -> None:
        self.world.references.append(Reference(node, field, binding, self.scope, self.module))

    def _find(self, name: str) -> object:
        """The binding of a name as seen from here; None is a builtin."""
        scope = self.scope
        while scope is not None and scope.kind != "module":
            if scope.kind == "class":
                if scope is self.scope and name in scope.names:
                    return InClass(name, scope.node)
            elif name in scope.global_names:
                break
            elif name in scope.names:
                found = scope.names[name]
                inner = self.scope
                while isinstance(found, Local) and inner is not scope:
                    inner.free.add(found)
                    inner = inner.parent
                if not isinstance(found, Local):
                    self._read(found)
                return found
            scope = scope.parent
        found = self.world.names[self.module.name].get(name)
        self._read(found or name)
        return found

    def _read(self, what: object) -> None:
        scope = self.scope
        while scope is not None:
            scope.reads.add(what)
            scope = scope.parent

    def _locals(self, scope: Scope, body: list[ast.AST]) -> None:
        """What the body of a function binds."""
        found = _Locals(self.world, self.module, scope)
        for node in body:
            found.visit(node)
        found.finish()

    def _function(self, node) -> None:
        arguments = node.args
        if not isinstance(node, ast.Lambda):
            for item in node.decorator_list:
                self.visit(item)
            self._refer(node, "name", self._bound(node.name))
        for item in arguments.defaults + [item for item in arguments.kw_defaults if item]:
            self.visit(item)
        every = arguments.posonlyargs + arguments.args + arguments.kwonlyargs
        starred = [item for item in (arguments.vararg, arguments.kwarg) if item]
        for item in every + starred:
            if item.annotation:
                self.visit(item.annotation)
        scope = self._push("function", node)
        for item in every + starred:
            kind = "local" if item in starred else "argument"
            scope.names[item.arg] = Local(item.arg, kind, scope)
            self._refer(item, "arg", scope.names[item.arg])
        body = [node.body] if isinstance(node, ast.Lambda) else node.body
        self._locals(scope, body)
        for item in body:
            self.visit(item)
        self._pop()

    visit_FunctionDef = visit_AsyncFunctionDef = visit_Lambda = _function

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        for item in node.decorator_list + node.bases + [word.value for word in node.keywords]:
            self.visit(item)
        self._refer(node, "name", self._bound(node.name))
        scope = self._push("class", node)
        for item in node.body:
            # `find = find` takes what is outside: a name is the class's from the next line on.
            self.visit(item)
            for name in bound_names(item):
                scope.names[name] = InClass(name, node)
        self._pop()

    def _bound(self, name: str) -> object:
        """The binding of a name that is set here."""
        if self.scope.kind == "class":
            return InClass(name, self.scope.node)
        return self._find(name)

    def _comprehension(self, node) -> None:
        self.visit(node.generators[0].iter)
        scope = self._push("comprehension", node)
        for generator in node.generators:
            for item in ast.walk(generator.target):
                if isinstance(item, ast.Name):
                    scope.names[item.id] = Local(item.id, "local", scope)
        for k, generator in enumerate(node.generators):
            self.visit(generator.target)
            for item in ([generator.iter] if k else []) + generator.ifs:
                self.visit(item)
        for field in ("key", "value", "elt"):
            if getattr(node, field, None) is not None:
                self.visit(getattr(node, field))
        self._pop()

    visit_ListComp = visit_SetComp = visit_DictComp = visit_GeneratorExp = _comprehension

    def visit_Name(self, node: ast.Name) -> None:
        found = self._find(node.id) if isinstance(node.ctx, ast.Load) else self._bound(node.id)
        self._refer(node, "id", found)

    def visit_ExceptHandler(self, node: ast.ExceptHandler) -> None:
        if node.name:
            self._refer(node, "name", self._find(node.name))
        self.generic_visit(node)

    def visit_Global(self, node: ast.Global) -> None:
        names = self.world.names[self.module.name]
        self._refer(node, "names", tuple(names.get(name) for name in node.names))

    def visit_Nonlocal(self, node: ast.Nonlocal) -> None:
        self._refer(node, "names", tuple(self._find(name) for name in node.names))

    def visit_Import(self, node: ast.Import) -> None:
        for item in node.names:
            self._refer(item, "import", self._find(item.asname or item.name.split(".")[0]))

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        for item in node.names:
            if item.name != "*":
                item.statement = node
                self._refer(item, "from", self._find(item.asname or item.name))

    def visit_Attribute(self, node: ast.Attribute) -> None:
        module = self._module(node.value)
        if module is not None:
            found = self.world.target(module, node.attr)
            if isinstance(found, Global):
                self._read(found)
                self.world.attributes.append(ModuleAttribute(node, found, self.scope, self.module))
        self.generic_visit(node)

    def _module(self, node: ast.expr) -> str | None:
        """The module that an expression such as `formats.cbor` names, if any."""
        if isinstance(node, ast.Name):
            found = self._find(node.id)
            return found.name if isinstance(found, ModuleRef) else None
        if isinstance(node, ast.Attribute):
            base = self._module(node.value)
            found = self.world.target(base, node.attr) if base is not None else None
            return found.name if isinstance(found, ModuleRef) else None
        return None


class _Locals(ast.NodeVisitor):
    """Collects what the body of a function binds."""

    def __init__(self, world: World, module: Module, scope: Scope):
        self.world = world
        self.module = module
        self.scope = scope
        self.imports: dict[str, list[object]] = {}
        self.outer: set[str] = set()

    def _add(self, name: str, kind: str) -> None:
        known = self.scope.names.get(name)
        if known is None:
            self.scope.names[name] = Local(name, kind, self.scope)
        elif kind == "definition" and known.kind == "local":
            known.kind = kind

    def _definition(self, node) -> None:
        self._add(node.name, "definition")
        for item in node.decorator_list:
            self.visit(item)

    visit_FunctionDef = visit_AsyncFunctionDef = visit_ClassDef = _definition

    def _apart(self, node: ast.AST) -> None:
        """A scope of its own."""

    visit_Lambda = visit_ListComp = visit_SetComp = visit_DictComp = visit_GeneratorExp = _apart

    def visit_Global(self, node: ast.Global) -> None:
        self.scope.global_names.update(node.names)

    def visit_Nonlocal(self, node: ast.Nonlocal) -> None:
        self.outer.update(node.names)

    def visit_Name(self, node: ast.Name) -> None:
        if not isinstance(node.ctx, ast.Load):
            self._add(node.id, "local")

    def visit_ExceptHandler(self, node: ast.ExceptHandler) -> None:
        if node.name:
            self._add(node.name, "local")
        self.generic_visit(node)

    def _import(self, node) -> None:
        for name, target in self.world.imported(self.module, node):
            self.imports.setdefault(name, []).append(self.world.target(*target))

    visit_Import = visit_ImportFrom = _import

    def finish(self) -> None:
        """What is imported and nowhere set is what it is in its module."""
        for name, targets in self.imports.items():
            if name not in self.scope.names and targets[0] is not None and len(set(targets)) == 1:
                self.scope.names[name] = targets[0]
            else:
                self._add(name, "import")
        for name in self.scope.global_names | self.outer:
            self.scope.names.pop(name, None)


def class_names(node: ast.ClassDef) -> set[str]:
    """Names that the body of a class binds."""
    return set().union(*map(bound_names, node.body))


def bound_names(statement: ast.stmt) -> set[str]:
    """Names that a statement in the body of a class binds."""
    names = set()
    stack: list[ast.AST] = [statement]
    while stack:
        item = stack.pop()
        if isinstance(item, DEFINITIONS):
            names.add(item.name)
        elif isinstance(item, ast.Name) and isinstance(item.ctx, ast.Store):
            names.add(item.id)
        if not isinstance(item, (*DEFINITIONS, *COMPREHENSIONS, ast.Lambda)):
            stack.extend(ast.iter_child_nodes(item))
    return names


def is_function(scope: Scope) -> bool:
    """A function with a name of its own."""
    return isinstance(scope.node, FUNCTIONS)


__all__ = [
    "COMPREHENSIONS",
    "SCOPES",
    "Global",
    "InClass",
    "Local",
    "ModuleAttribute",
    "ModuleRef",
    "Reference",
    "Scope",
    "World",
    "class_names",
    "is_function",
]
