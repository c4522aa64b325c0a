# Types of what keeps records over a power cut
# SPDX-License-Identifier: MIT
from collections.abc import Callable
from typing import Any

class Files:
    """Records by name in a folder."""

    on_damage: Callable[[str], object] | None
    system: Any
    folder: str
    def __init__(self, folder: str, system: Any = None) -> None: ...
    def load(self, name: str) -> bytes | None: ...
    def save(self, name: str, data: bytes) -> None: ...
    def clear(self, name: str) -> None: ...
