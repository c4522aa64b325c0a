# Types of object 5, Firmware Update
# SPDX-License-Identifier: MIT
from collections.abc import Callable
from typing import Any

from .. import Client
from ..transfer import Slot, Transfer

class Firmware:
    """An instance of object 5. Options are the attributes below, and those of its Transfer."""

    confirm_within: int
    auto_download: bool
    auto_update: bool
    test: Callable[[], bool | None] | None
    restart: Callable[[], bool]
    state: int
    result: int
    progress: tuple[int, int]
    transfer: Transfer
    def __init__(self, client: Client, slot: Slot, instance: int = 0, **options: Any) -> None: ...
    def downloaded(self, ok: bool = True, result: int = ...) -> None: ...
    def apply(self) -> bool: ...
    def defer(self, seconds: int = 0) -> bool: ...
    def pause(self) -> None: ...
    def resume(self) -> None: ...
    def confirm(self) -> None: ...
    def roll_back(self) -> None: ...

def setup(client: Client) -> list[Firmware]: ...
