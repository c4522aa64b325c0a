# Types of object 2, Access Control
# SPDX-License-Identifier: MIT
from .. import Client

class Access:
    """What setup() returns, and client.access is from then on."""

    def give(
        self, oid: int, iid: int, owner: int = ..., acl: dict[int, int] | None = None
    ) -> None: ...

def setup(client: Client) -> Access: ...
