# The order of the client's files, from the top: each imports from those behind it alone
# SPDX-License-Identifier: MIT
from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

# Folder by folder, and in each from the top. A new file goes above all that it imports.
_FOLDERS = (
    ("", "__init__ aio quectel shell storage client servers hooks"),
    ("session", "bootstrap registration resume session"),
    ("management", "dispatch composite discover operations"),
    ("reporting", "observations composite attributes send storing timeseries"),
    (
        "formats",
        "__init__ json link lwm2m_cbor opaque senml_cbor senml_json json_text senml stream cbor text tlv",
    ),
    (
        "objects",
        "access binary connmon connstat device firmware light location portfolio sensor timer",
    ),
    ("", "transfer"),
    # Sessions connect, and so does what fetches packages for objects.
    ("session", "connect"),
    ("", "http"),
    ("model", "tree tables/ipso tables/standard tables/core values"),
    ("dtls", "channel native record cbc ccm handshake numbers"),
    ("coap", "download endpoint blockwise message recent numbers"),
    ("crypto", "prf provider aes sha256 viper"),
    ("", "events ids"),
    # What all platforms share stands in the folder's own file, and they take it from there.
    ("port", "cellular quecpython generic utf8 slot __init__"),
)
ORDER = tuple(
    f"{folder}/{name}.py".lstrip("/") for folder, names in _FOLDERS for name in names.split()
)
_PLACE = {name: place for place, name in enumerate(ORDER)}
# It takes all that the platform has, whichever that is.
_FREE = "port/__init__.py"


def place(name: str) -> int:
    """Where a file stands, 0 at the top; -1 where it has no place."""
    return _PLACE.get(name, -1)


def _targets(node: ast.ImportFrom, name: str) -> Iterator[str]:
    """Files that a relative import reads."""
    base = Path(name).parent
    for _ in range(node.level - 1):
        base = base.parent
    module = base.joinpath(*(node.module or "").split("."))
    for item in node.names:
        for file in (
            module / f"{item.name}.py",
            *([module.with_suffix(".py")] if module.name else []),
            module / "__init__.py",
        ):
            if str(file) in _PLACE:
                yield str(file)
                break


def findings(tree: ast.AST, name: str) -> Iterator[tuple[int, str]]:
    """Imports of a file of the client that go up: line, and what is wrong."""
    if name not in _PLACE:
        yield 1, "has no place in tools/check/order.py"
        return
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.level and name != _FREE:
            for target in _targets(node, name):
                if _PLACE[target] <= _PLACE[name] and target != name:
                    yield node.lineno, f"imports {target}, which stands above"
