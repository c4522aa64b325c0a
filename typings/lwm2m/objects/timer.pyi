# Types of object 3340, Timer
# SPDX-License-Identifier: MIT
from .. import Client

def setup(client: Client) -> None: ...
