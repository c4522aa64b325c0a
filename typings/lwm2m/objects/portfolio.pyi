# Types of object 16, Portfolio
# SPDX-License-Identifier: MIT
from collections.abc import Callable

from .. import Client

def setup(client: Client, auth: Callable[[str, bytes], list[bytes]] | None = None) -> None: ...
