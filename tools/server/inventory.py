# The inventory: files that devices download, below 16 MB each, in one folder.
# SPDX-License-Identifier: MIT

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import tempfile
from dataclasses import dataclass
from pathlib import Path

LIMIT = 16 * 1024 * 1024  # a file must be smaller
NAME = re.compile(r"[A-Za-z0-9_\-][A-Za-z0-9_.\-]{0,127}")
PREFIX = "files"  # first segment of their path, over every protocol
ETAG_BYTES = 8


class InventoryError(ValueError):
    """A name or a file that is not taken; str() says why."""


@dataclass(frozen=True)
class Item:
    name: str
    size: int
    sha256: str
    modified: float  # epoch seconds

    @property
    def etag(self) -> bytes:
        return bytes.fromhex(self.sha256)[:ETAG_BYTES]


class Inventory:
    """Files in one folder. Names are letters, digits, `.`, `_`, `-`, not beginning with a dot."""

    def __init__(self, folder: Path):
        self.folder = Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self._digests: dict[tuple, str] = {}

    def items(self) -> list[Item]:
        names = sorted(p.name for p in self.folder.iterdir() if NAME.fullmatch(p.name))
        return [item for name in names if (item := self.item(name))]

    def item(self, name: str) -> Item | None:
        if not NAME.fullmatch(name):
            return None
        path = self.folder / name
        try:
            status = path.lstat()
            if not path.is_file() or path.is_symlink() or status.st_size >= LIMIT:
                return None
            key = name, status.st_size, status.st_mtime_ns
            if key not in self._digests:
                self._digests = {k: v for k, v in self._digests.items() if k[0] != name}
                self._digests[key] = hashlib.sha256(path.read_bytes()).hexdigest()
        except OSError:
            return None
        return Item(name, status.st_size, self._digests[key], status.st_mtime)

    def add(self, name: str, content: bytes) -> Item:
        """Add or replace; InventoryError for a bad name, or from 16 MB on."""
        if not NAME.fullmatch(name):
            raise InventoryError(f"{name!r} is no file name of letters, digits, '.', '_' and '-'")
        if len(content) >= LIMIT:
            raise InventoryError(f"{name} has {len(content)} bytes; it must be smaller than 16 MB")
        try:
            handle, temporary = tempfile.mkstemp(prefix=".new-", dir=self.folder)
            try:
                with os.fdopen(handle, "wb") as file:
                    file.write(content)
                os.chmod(temporary, 0o644)
                os.replace(temporary, self.folder / name)
            except BaseException:
                with contextlib.suppress(OSError):
                    os.unlink(temporary)
                raise
        except OSError as e:
            raise InventoryError(f"{name} cannot be stored: {e.strerror}") from None
        return self.item(name)

    def remove(self, name: str) -> bool:
        if self.item(name) is None:
            return False
        (self.folder / name).unlink(missing_ok=True)
        return True

    def path(self, name: str) -> Path:
        """Where a file is; KeyError when it is not there."""
        if self.item(name) is None:
            raise KeyError(name)
        return self.folder / name

    def read(self, name: str) -> bytes:
        """KeyError when it is not there."""
        return self.path(name).read_bytes()
