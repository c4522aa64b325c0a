# Types of object 7, Connectivity Statistics
# SPDX-License-Identifier: MIT
from .. import Client

def setup(client: Client) -> None: ...
