# Types of the presets for Client(**NBIOT)
# SPDX-License-Identifier: MIT
from typing import Any

LAN: dict[str, Any]
NBIOT: dict[str, Any]
