# Types of the IPSO sensors and inputs
# SPDX-License-Identifier: MIT
from .. import Client

TABLE: dict[int, str | None]

def setup(client: Client, table: dict[int, str | None] = TABLE) -> None: ...
