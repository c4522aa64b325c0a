# Names: what is private gets names that the image has anyway, shared where no object and no module has both
# SPDX-License-Identifier: MIT
from __future__ import annotations

import ast
import keyword
from collections import Counter, defaultdict
from collections.abc import Iterator

from .public import LANGUAGE, ODD, PLATFORM, Public, probed
from .scopes import Global, InClass, Local, Scope, World, class_names, is_function
from .source import FUNCTIONS, Module, Package

# Names of arguments, in the order in which a function takes them.
_ARGUMENTS = 12
_LETTERS = "abcdefghijklmnopqrstuvwxyz"
# Names that every image has, and that no application gives an attribute of a class of its own.
_UNLIKELY = [name for name in LANGUAGE if name[0].isupper() or name in ODD]
# What a name that joins a module's beside it costs, and one that the image has not: bytes, about.
_ENTRY, _NEW = 2, 9


class Names:
    """The new names: attributes {old: new}, globals {(module, old): new}, arguments {function or Class.function:
    [{old: new} of each that is called so]}."""

    def __init__(self):
        self.attributes: dict[str, str] = {}
        self.globals: dict[tuple[str, str], str] = {}
        self.arguments: dict[str, list[dict[str, str]]] = {}
        # Which classes have which attribute: {attribute: [families]}.
        self.owners: dict[str, list[str]] = {}


class Family:
    """Classes that one object may be of: a class, those that it inherits from, and those that inherit from it."""

    def __init__(self):
        self.names: set[str] = set()
        # Names of globals and builtins that a class body reads: an attribute of that name would hide them.
        self.reads: set[object] = set()
        self.public = False


class Classes:
    """The families of all classes, and which of them has which attribute."""

    def __init__(self, world: World, public: Public):
        self.world = world
        self._parent: dict[object, object] = {}
        self.owners: dict[str, set[object]] = defaultdict(set)
        self.public: set[object] = set()
        self.strange: set[object] = set()
        self.reads: dict[object, set[object]] = defaultdict(set)
        everywhere: set[object] = set()
        bindings = {id(item.node): item.binding for item in world.references}
        scopes = [scope for scope in world.scopes if scope.kind == "class"]
        self.every = {self._key(scope, bindings) for scope in scopes}
        for scope in scopes:
            self._inherit(scope, bindings, public)
        for scope in scopes:
            key = self.root(self._key(scope, bindings))
            names = class_names(scope.node)
            if "__getattr__" in names:
                # Its objects show the attributes of others too.
                everywhere.add(key)
            for name in names | set(of_self(scope.node)):
                self.owners[name].add(key)
            self.reads[key] |= scope.reads
        self.families = {self.root(key) for key in self.every}
        # By what the classes themselves say: an attribute of none of them may be any one's.
        self.said = {name: set(owners) for name, owners in self.owners.items()}
        self._unowned(everywhere)

    @staticmethod
    def _key(scope: Scope, bindings: dict[int, object]) -> object:
        return bindings[id(scope.node)] if scope.kind == "class" else None

    def root(self, key: object) -> object:
        while self._parent.get(key, key) is not key:
            key = self._parent[key]
        return key

    def _inherit(self, scope: Scope, bindings: dict[int, object], public: Public) -> None:
        key = self._key(scope, bindings)
        if scope.node.name in public.classes:
            self.public.add(key)
        for base in scope.node.bases:
            found = bindings.get(id(base))
            for item in self.world.attributes:
                if item.node is base:
                    found = item.binding
            if found in self.every:
                self._parent[self.root(key)] = self.root(found)
            elif not (isinstance(base, ast.Name) and base.id == "object"):
                self.strange.add(key)

    def _unowned(self, everywhere: set[object]) -> None:
        """An attribute that is given to an object of a class that nobody can tell may be any class's."""
        for module in self.world.package.modules.values():
            selves = {id(node) for item in _classes(module.tree) for node in _self_nodes(item)}
            for node in ast.walk(module.tree):
                if isinstance(node, ast.Attribute) and not isinstance(node.ctx, ast.Load):
                    if id(node) not in selves:
                        self.owners[node.attr] |= self.families
        for owners in self.owners.values():
            if owners & everywhere:
                owners |= self.families
        self.public = {self.root(key) for key in self.public}
        self.strange = {self.root(key) for key in self.strange}


def _classes(tree: ast.AST) -> Iterator[ast.ClassDef]:
    return (node for node in ast.walk(tree) if isinstance(node, ast.ClassDef))


def _self_nodes(owner: ast.ClassDef) -> Iterator[ast.Attribute]:
    """`self.name` in the methods of a class."""
    for method in owner.body:
        if isinstance(method, FUNCTIONS) and method.args.args:
            own = method.args.args[0].arg
            for node in ast.walk(method):
                if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
                    if node.value.id == own:
                        yield node


def of_self(owner: ast.ClassDef) -> Iterator[str]:
    """Names that the methods of a class read or set of its objects."""
    return (node.attr for node in _self_nodes(owner))


def _passed_keys(modules: list[Module]) -> set[str]:
    """Keys of dictionaries, which a call may pass on by **."""
    nodes = [node for module in modules for node in ast.walk(module.tree)]
    if not any(isinstance(node, ast.keyword) and node.arg is None for node in nodes):
        return set()
    keys = [key for node in nodes if isinstance(node, ast.Dict) for key in node.keys]
    keys += [node.slice for node in nodes if isinstance(node, ast.Subscript)]
    return {
        key.value
        for key in keys
        if isinstance(key, ast.Constant)
        and isinstance(key.value, str)
        and key.value.isidentifier()
    }


class Namer:
    """Finds the new names of a package, and puts them in."""

    def __init__(self, package: Package, public: Public, spelled: set[str]):
        self.package = package
        self.public = public
        self.world = World(package)
        self.modules = list(package.own())
        self.classes = Classes(self.world, public)
        self.names = Names()
        self.keywords = {
            node.arg
            for module in self.modules
            for node in ast.walk(module.tree)
            if isinstance(node, ast.keyword) and node.arg
        } | _passed_keys(self.modules)
        self.spelled = spelled
        self.probed = set().union(*(probed(module.tree) for module in self.modules))
        self.fixed = public.names | spelled | PLATFORM | set(LANGUAGE) | self._module_names()
        self.module_attributes = {id(item.node): item.binding for item in self.world.attributes}
        self.builtins = {
            item.node.id
            for item in self.world.references
            if item.binding is None and item.field == "id"
        }
        # By module: names that stand in it, and names that no global of it may get.
        self.present: dict[str, set[str]] = defaultdict(set)
        self.blocked: dict[str, set[str]] = defaultdict(set)

    # what is renamed

    def _module_names(self) -> set[str]:
        """Parts of the names of modules: attributes of packages."""
        return {part for name in self.package.modules for part in name.split(".")}

    def _attributes(self) -> dict[str, set[str]]:
        """Private attributes, and the modules that name them."""
        used = defaultdict(set)
        for module in self.modules:
            for name in self._attribute_names(module):
                used[name].add(module.name)
        globals_ = self._seen_from_outside()
        return {
            name: modules
            for name, modules in used.items()
            if name in self.classes.owners and not self._stays(name) and name not in globals_
        }

    def _attribute_names(self, module: Module) -> Iterator[str]:
        for node in ast.walk(module.tree):
            if isinstance(node, ast.Attribute) and id(node) not in self.module_attributes:
                yield node.attr
            elif isinstance(node, ast.ClassDef):
                yield from class_names(node)

    def _stays(self, name: str) -> bool:
        return name in self.fixed or name.startswith("__")

    def _seen_from_outside(self) -> set[str]:
        """Globals that are reached as attributes of a module that is known at run time only."""
        if not hasattr(self, "_seen"):
            used = {name for module in self.modules for name in self._attribute_names(module)}
            own = set().union(*self.world.definitions.values())
            dynamic = any(
                isinstance(node, ast.Name) and node.id == "__import__"
                for module in self.modules
                for node in ast.walk(module.tree)
            )
            self._seen = used & own if dynamic else set()
            # An attribute of an object of ours, and no module's: both have the name in the joined module only.
            self._seen = {name for name in self._seen if self._in_apart(name)}
        return self._seen

    def _in_apart(self, name: str) -> bool:
        return any(
            name in self.world.definitions[module.name] and self._is_looked_up(module)
            for module in self.modules
        )

    def _is_looked_up(self, module: Module) -> bool:
        """Is the last part of the module's name among the strings? Then __import__() may give it."""
        return module.name.rpartition(".")[2] in self.spelled

    def _globals(self) -> dict[Global, set[str]]:
        """Private globals, and the modules that name them."""
        found: dict[Global, set[str]] = defaultdict(set)
        for item in [*self.world.references, *self.world.attributes]:
            symbols = item.binding if isinstance(item.binding, tuple) else [item.binding]
            for symbol in symbols:
                if isinstance(symbol, Global):
                    found[symbol].add(item.module.name)
        return {symbol: modules for symbol, modules in found.items() if self._renamed(symbol)}

    def _renamed(self, symbol: Global) -> bool:
        name, module = symbol.name, symbol.module
        if module not in self.package.modules or module in self.world.whole or not module:
            return False
        if self._stays(name) or name in self._seen_from_outside():
            return False
        return name in self.world.definitions[module]

    # names to choose from

    def _pool(self) -> list[str]:
        taken = self.probed | set(keyword.kwlist) | {"const"}
        kept = {name for names in self.present.values() for name in names}
        free = [name for name in LANGUAGE if not name.startswith("_")]
        free += sorted(name for name in kept if not name.startswith("_"))
        return list(dict.fromkeys(name for name in free if name not in taken))

    def _short(self) -> Iterator[str]:
        taken = set(LANGUAGE) | PLATFORM | self.fixed | set(keyword.kwlist)
        for one in _LETTERS:
            for two in ("", *_LETTERS, *"0123456789"):
                if one + two not in taken:
                    yield one + two

    # the work

    def run(self) -> Names:
        attributes = self._attributes()
        globals_ = self._globals()
        self._note_kept(set(attributes), set(globals_))
        pool = self._pool()
        arguments = self._choose_arguments(pool)
        self._rename_locals(arguments)
        pool = [name for name in pool if name not in arguments]
        self._colour(attributes, globals_, pool)
        self._apply()
        for name, owners in self.classes.said.items():
            self.names.owners[name] = sorted(str(owner) for owner in owners)
        return self.names

    def _note_kept(self, attributes: set[str], globals_: set[Global]) -> None:
        for item in self.world.references:
            name, module = item.module.name, item.module
            if item.field == "id" and item.binding is None:
                self.present[name].add(item.node.id)
                self.blocked[name].add(item.node.id)
            elif isinstance(item.binding, Global) and item.binding not in globals_:
                self.present[name].add(item.binding.name)
                self.blocked[name].add(item.binding.name)
            if item.field in ("from", "import"):
                kept = {item.node.asname or item.node.name.split(".")[0]}
                if not (isinstance(item.binding, Global) and item.binding in globals_):
                    self.blocked[module.name] |= kept
        for module in self.modules:
            present = self.present[module.name]
            if module.is_package:
                self.blocked[module.name] |= self._module_names()
            for node in ast.walk(module.tree):
                if isinstance(node, ast.Attribute) and node.attr not in attributes:
                    present.add(node.attr)
                elif isinstance(node, ast.keyword) and node.arg:
                    present.add(node.arg)
            for symbol in self.world.definitions[module.name]:
                if self.world.symbol(module.name, symbol) not in globals_:
                    self.blocked[module.name].add(symbol)

    def _choose_arguments(self, pool: list[str]) -> list[str]:
        count = Counter(name for names in self.present.values() for name in names)
        imported = set().union(*self.blocked.values())
        usable = [
            name
            for name in pool
            if name not in imported | self.builtins | self.spelled and name.islower()
        ]
        usable.sort(key=lambda name: (-count[name], len(name), name))
        return usable[:_ARGUMENTS]

    def _keeps_arguments(self, scope: Scope) -> bool:
        """May an application call the function with keywords? Those of ports are called by others too."""
        if scope.module.name in self.world.whole or not scope.module.name:
            return True
        owner = scope.parent.node.name if scope.parent.kind == "class" else None
        return (owner, scope.node.name) in self.public.functions

    def _rename_locals(self, arguments: list[str]) -> None:
        more = [f"{one}{n}" for n in "123" for one in _LETTERS]
        for scope in self.world.scopes:
            if scope.kind not in ("function", "comprehension"):
                continue
            own = [item for item in scope.names.values() if isinstance(item, Local)]
            keep = is_function(scope) and self._keeps_arguments(scope)
            used = {item.new for item in scope.free if item.new}
            for item in own:
                if item.kind == "argument" and (keep or self._by_keyword(item)):
                    item.new = item.name
                    used.add(item.name)
                    self.present[scope.module.name].add(item.name)
                    self.blocked[scope.module.name].add(item.name)
            free = iter([name for name in arguments + more if name not in used])
            for item in own:
                if item.kind in ("argument", "definition") and item.new is None:
                    item.new = next(free)
                    self.present[scope.module.name].add(item.new)
                elif item.new is None:
                    # Names of locals are in no image; the line keeps them from meeting another one.
                    item.new = f"{item.name}_"
            if is_function(scope):
                owner = f"{scope.parent.node.name}." if scope.parent.kind == "class" else ""
                renamed = {item.name: item.new for item in own if item.kind == "argument"}
                self.names.arguments.setdefault(owner + scope.node.name, []).append(renamed)
        for names in self.blocked.values():
            names.update(arguments, more)

    def _by_keyword(self, item: Local) -> bool:
        if isinstance(item.scope.node, ast.Lambda):
            return False
        node = item.scope.node.args
        if item.name in {only.arg for only in node.kwonlyargs}:
            return True
        return item.name in self.keywords

    def _colour(
        self, attributes: dict[str, set[str]], globals_: dict[Global, set[str]], pool: list[str]
    ) -> None:
        families = self.classes
        taken: dict[object, set[str]] = defaultdict(set)
        for name, owners in families.owners.items():
            if name not in attributes:
                for family in owners:
                    taken[family].add(name)
        hidden: dict[Global, set[object]] = defaultdict(set)
        for family, reads in families.reads.items():
            for what in reads:
                if isinstance(what, Global):
                    hidden[what].add(family)
                    taken[family].add(what.name)
                else:
                    taken[family].add(what)
        visible: dict[Global, set[str]] = defaultdict(set)
        for module in self.modules:
            for symbol in self.world.names[module.name].values():
                if isinstance(symbol, Global):
                    visible[symbol].add(module.name)
        uses = self._uses()
        items: list[tuple[object, set[str]]] = [*attributes.items(), *globals_.items()]
        items.sort(key=lambda item: (-len(item[1]), -uses[item[0]], str(item[0])))
        choice = _Choice(self.present, pool, list(self._short()))
        for item, modules in items:
            if isinstance(item, str):
                owners = families.owners[item]
                forbidden = set().union(*(taken[family] for family in owners))
                said = families.said.get(item, owners)
                unlikely = bool(said & (families.public | families.strange))
                new = self.names.attributes[item] = choice.take(modules, forbidden, unlikely)
            else:
                owners = hidden.get(item, set())
                seen = visible[item] | modules | {item.module}
                forbidden = set().union(*(self.blocked[name] for name in seen))
                forbidden |= set().union(*(taken[family] for family in owners))
                new = item.new = choice.take(modules, forbidden, False)
                for name in seen:
                    self.blocked[name].add(new)
                self.names.globals[item.module, item.name] = new
            for family in owners:
                taken[family].add(new)

    def _uses(self) -> Counter:
        uses: Counter = Counter()
        for item in [*self.world.references, *self.world.attributes]:
            if isinstance(item.binding, Global):
                uses[item.binding] += 1
        for module in self.modules:
            uses.update(self._attribute_names(module))
        return uses

    def _apply(self) -> None:
        attributes = self.names.attributes
        for item in self.world.references:
            binding, node = item.binding, item.node
            if item.field == "names":
                node.names = [
                    getattr(what, "new", None) or name
                    for what, name in zip(binding, node.names, strict=True)
                ]
            elif item.field in ("from", "import"):
                self._apply_import(item)
            elif isinstance(binding, InClass):
                name = getattr(node, item.field)
                setattr(node, item.field, attributes.get(name, name))
            elif getattr(binding, "new", None):
                setattr(node, item.field, binding.new)
        for node, binding, *_ in self.world.attributes:
            if binding.new:
                node.attr = binding.new
        for module in self.modules:
            for node in ast.walk(module.tree):
                if isinstance(node, ast.Attribute) and id(node) not in self.module_attributes:
                    node.attr = attributes.get(node.attr, node.attr)

    def _apply_import(self, item) -> None:
        node, binding = item.node, item.binding
        bound = getattr(binding, "new", None)
        if item.field == "import":
            if bound and bound != (node.asname or node.name.split(".")[0]):
                node.asname = bound
            return
        source = self.package.source_of(item.module, node.statement)
        target = self.world.target(source, node.name)
        there = getattr(target, "new", None) or node.name
        here = bound or node.asname or node.name
        node.name, node.asname = there, here if here != there else None


class _Choice:
    """Takes the name that costs least: one that its modules have, then one that the image has, then a new one."""

    def __init__(self, present: dict[str, set[str]], pool: list[str], short: list[str]):
        self.present = present
        self.free = set(pool)
        self.names = pool + short
        self.unlikely = [*_UNLIKELY, *(f"_{n}" for n in range(200))]
        self.used: Counter = Counter()

    def take(self, modules: set[str], forbidden: set[str], unlikely: bool) -> str:
        """`unlikely`: a name that no application gives an attribute of its own."""
        names = self.unlikely if unlikely else [*self.names, *self.unlikely[: len(self.used)]]
        best = min(
            (name for name in names if name not in forbidden),
            key=lambda name: self._cost(name, modules),
        )
        self.used[best] += 1
        for module in modules:
            self.present[module].add(best)
        return best

    def _cost(self, name: str, modules: set[str]) -> tuple:
        cost = sum(_ENTRY for module in modules if name not in self.present[module])
        if name not in self.free and name not in LANGUAGE and not self.used[name]:
            cost += _NEW + len(name)
        spread = sum(name in names for names in self.present.values())
        return cost, -self.used[name], -spread, len(name), name


__all__ = ["Namer", "Names"]
