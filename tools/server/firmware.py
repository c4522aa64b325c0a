# Firmware updates by object 5: push and pull, observed or polled, cancelled, with their progress.
# SPDX-License-Identifier: MIT

from __future__ import annotations

from dataclasses import dataclass, field

from .results import Result

IDLE, DOWNLOADING, DOWNLOADED, UPDATING = range(4)  # 5/x/3
STATE_NAMES = ("idle", "downloading", "downloaded", "updating")


@dataclass
class FirmwareUpdate:
    """One update; `body()` is that of the FOTA_COMPLETE event, `progress()` that of FOTA_PROGRESS."""

    endpoint: str
    source: str  # the URI, or the name of the file
    delivery: str  # "pull" or "push"
    instance: int = 0
    context: object = None
    state: int = IDLE
    size: int = 0
    sent: int = 0  # bytes that were pushed or fetched
    success: bool | None = None
    result: str = ""
    dates: dict[str, float] = field(default_factory=dict)  # "dateStarted": epoch seconds


class Firmware:
    """Runs updates, one an endpoint at most."""

    running: dict[str, FirmwareUpdate]

    async def start(self, endpoint: str, source: str, options=None) -> Result:
        """OperationError "busy" when one runs already."""
        raise NotImplementedError

    async def cancel(self, endpoint: str, options=None) -> Result:
        raise NotImplementedError
