# Types of object 4, Connectivity Monitoring
# SPDX-License-Identifier: MIT
from .. import Client

def setup(client: Client) -> None: ...
