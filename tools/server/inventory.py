# The inventory: files that devices download, below 16 MB, over http, https, coap and coaps.
# SPDX-License-Identifier: MIT

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

LIMIT = 16 * 1024 * 1024  # a file must be smaller
MAX_NAME = 128


class InventoryError(ValueError):
    """A name or a file that is not taken; str() says why."""


@dataclass(frozen=True)
class Item:
    name: str
    size: int
    sha256: str
    modified: float  # epoch seconds


class Inventory:
    """Files in one folder. Names are letters, digits, `.`, `_`, `-`, not beginning with a dot."""

    def __init__(self, folder: Path):
        raise NotImplementedError

    def items(self) -> list[Item]:
        raise NotImplementedError

    def item(self, name: str) -> Item | None:
        raise NotImplementedError

    def add(self, name: str, content: bytes) -> Item:
        """Add or replace; InventoryError for a bad name, or from 16 MB on."""
        raise NotImplementedError

    def remove(self, name: str) -> bool:
        raise NotImplementedError

    def read(self, name: str) -> bytes:
        """KeyError when it is not there."""
        raise NotImplementedError
