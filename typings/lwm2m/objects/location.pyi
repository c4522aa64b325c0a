# Types of object 6, Location
# SPDX-License-Identifier: MIT
from .. import Client

def setup(client: Client) -> None: ...
