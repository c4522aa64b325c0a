# LwM2M server and bootstrap server for desks and tests, on aiocoap.
# SPDX-License-Identifier: MIT

from .bootstrap import BootstrapConfig
from .core import Device, Event, Server
from .model import Model
from .peer import Answer, NoAnswer, Observation

__all__ = [
    "Answer",
    "BootstrapConfig",
    "Device",
    "Event",
    "Model",
    "NoAnswer",
    "Observation",
    "Server",
]
