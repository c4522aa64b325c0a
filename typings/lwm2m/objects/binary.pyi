# Types of object 19, BinaryAppDataContainer
# SPDX-License-Identifier: MIT
from .. import Client

def setup(client: Client) -> None: ...
