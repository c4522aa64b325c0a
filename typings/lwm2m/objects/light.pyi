# Types of object 3311, Light Control
# SPDX-License-Identifier: MIT
from collections.abc import Callable

from .. import Client, Value

def setup(client: Client, fn: Callable[[str, Value | None], object] | None = None) -> None: ...
