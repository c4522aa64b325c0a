# Compares the type stubs in typings/ with the code of the client
# SPDX-License-Identifier: MIT
"""python -m tools.check.stubs: every name of a stub must be in the code, with the same parameters and defaults; every
option of Client must be in the stub, and every object that an application sets up must have one. Editors find
typings/ by themselves, and complete by it.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

from tools.build.profiles import PACKAGE, ROOT

TYPINGS = ROOT / "typings/lwm2m"
# Where the names of the package's own stub are.
_HOMES = {"Client": "client", "Lwm2m": "quectel", "lwm2m": "quectel", "LATER": "model/tree"}
_HOMES |= {"CoapError": "coap/numbers"}
_HOMES |= dict.fromkeys(("ticks_ms", "ticks_add", "ticks_diff", "time", "ready"), "port/generic")
# Names for type checkers alone.
_TYPES = {"Value", "Values", "Event", "Channel", "Slot"}
# What Client sets up by itself.
_BUILT_IN = {"device"}


class Module:
    """The top level of a Python file: its functions, classes and names."""

    def __init__(self, path: Path):
        self.functions: dict[str, ast.FunctionDef | ast.AsyncFunctionDef] = {}
        self.classes: dict[str, ast.ClassDef] = {}
        self.names: set[str] = set()
        for node in ast.parse(path.read_text()).body:
            self._take(node)

    def _take(self, node: ast.stmt) -> None:
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            self.functions[node.name] = node
        elif isinstance(node, ast.ClassDef):
            self.classes[node.name] = node
        else:
            self.names |= assigned(node)


def assigned(node: ast.stmt) -> set[str]:
    """Names that a statement gives a value or a type."""
    if isinstance(node, ast.Assign):
        return {n.id for t in node.targets for n in ast.walk(t) if isinstance(n, ast.Name)}
    if isinstance(node, (ast.AnnAssign, ast.AugAssign)) and isinstance(node.target, ast.Name):
        return {node.target.id}
    return set()


def _parameters(node: ast.FunctionDef | ast.AsyncFunctionDef) -> list[tuple[str, str | None]]:
    positional = node.args.posonlyargs + node.args.args
    empty = [None] * (len(positional) - len(node.args.defaults))
    defaults = [ast.unparse(item) for item in node.args.defaults]
    return list(zip((arg.arg for arg in positional), empty + defaults, strict=True))


def _class_names(node: ast.ClassDef) -> tuple[dict[str, ast.FunctionDef], set[str]]:
    methods = {item.name: item for item in node.body if isinstance(item, ast.FunctionDef)}
    names = {name for item in node.body for name in assigned(item)}
    return methods, names


def _own_attributes(methods: dict[str, ast.FunctionDef]) -> set[str]:
    return {
        item.attr
        for method in methods.values()
        for item in ast.walk(method)
        if isinstance(item, ast.Attribute)
        and isinstance(item.ctx, ast.Store)
        and isinstance(item.value, ast.Name)
        and item.value.id == "self"
    }


def _compare_function(name: str, stub, code) -> Iterator[str]:
    # `...` stands for a default that the stub does not tell.
    told, real = _parameters(stub), _parameters(code)
    same = len(told) == len(real) and all(
        a == c and (b == d or (b == "..." and d is not None))
        for (a, b), (c, d) in zip(told, real, strict=False)
    )
    if not same:
        shown = ", ".join(key if value is None else f"{key}={value}" for key, value in real)
        yield f"{name}: the code has ({shown})"


def _compare_class(stub: ast.ClassDef, code: ast.ClassDef, options: set[str]) -> Iterator[str]:
    told, told_names = _class_names(stub)
    real, real_names = _class_names(code)
    known = real_names | _own_attributes(real)
    for name, method in told.items():
        if name in real:
            yield from _compare_function(f"{stub.name}.{name}", method, real[name])
        elif name not in real_names:
            yield f"{stub.name}.{name}: not in the code"
    for name in sorted(told_names - known):
        yield f"{stub.name}.{name}: not in the code"
    if stub.name == "Client":
        keywords = {arg.arg for arg in told["__init__"].args.kwonlyargs}
        simple = {name for name in real_names if name not in told}
        for name in sorted(simple - told_names):
            yield f"Client.{name}: not in the stub"
        for name in sorted(simple - keywords):
            yield f"Client({name}=): not in the stub"
        for name in sorted(keywords - simple - options):
            yield f"Client({name}=): not in the code"


def findings() -> Iterator[str]:
    """Every difference, as file: text."""
    endpoint = Module(PACKAGE / "coap" / "endpoint.py").classes["Endpoint"]
    options = _class_names(endpoint)[1]
    objects = {path.stem for path in PACKAGE.glob("objects/*.py")} - _BUILT_IN
    for name in sorted(objects - {path.stem for path in TYPINGS.glob("objects/*.pyi")}):
        yield f"lib/lwm2m/objects/{name}.py: has no stub in typings/lwm2m/objects"
    for path in sorted(TYPINGS.rglob("*.pyi")):
        stub = Module(path)
        own = str(path.relative_to(TYPINGS).with_suffix(""))
        for name in sorted({*stub.functions, *stub.classes, *stub.names} - _TYPES):
            home = _HOMES.get(name, own) if own.endswith("__init__") else own
            file = PACKAGE / f"{home}.py"
            where = f"{path.relative_to(ROOT)}: "
            code = Module(file) if file.exists() else None
            if code is None or name not in {*code.functions, *code.classes, *code.names}:
                yield f"{where}{name}: not in lib/lwm2m/{home}.py"
            elif name in stub.functions and name in code.functions:
                for text in _compare_function(name, stub.functions[name], code.functions[name]):
                    yield where + text
            elif name in stub.classes and name in code.classes:
                for text in _compare_class(stub.classes[name], code.classes[name], options):
                    yield where + text


def main() -> int:
    """Prints what is found."""
    found = list(findings())
    for line in found:
        print(line)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
