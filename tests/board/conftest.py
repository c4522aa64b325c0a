# Images and boards for the tests on the emulated Cortex-M3
# SPDX-License-Identifier: MIT
from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tools.build import firmware
from tools.emulator.qemu import QEMU, Qemu

BOARD = "QEMU_MPS2_AN385"


@pytest.fixture(scope="session")
def image(need):
    """image(profile="core", heap=None, **features): the path of a frozen image of the board."""
    need(QEMU, reason=firmware.missing(BOARD))

    def build(profile: str = "core", heap: int | None = None, **features: bool) -> Path:
        return firmware.build(BOARD, profile, heap=heap, **features)

    return build


@pytest.fixture
def boot(image):
    """boot(profile, heap=None, **how): starts a board that ends with the test; `how` goes to tools.emulator.qemu.Qemu."""
    running: list[Qemu] = []

    def start(profile: str = "core", heap: int | None = None, **how) -> Qemu:
        board = Qemu(image(profile, heap), **how)
        running.append(board)
        return board

    yield start
    for board in running:
        board.close()


@pytest.fixture(scope="session")
def unix32(need) -> Path:
    """The 32-bit unix port without the client in it."""
    need(reason=firmware.missing("UNIX32"))
    return firmware.build("UNIX32", "none")


@pytest.fixture
def mpremote():
    """mpremote(board, *words): runs the command line tool on a board's pty and returns what it printed."""
    import subprocess

    def run(board: Qemu, *words: str) -> str:
        board.release()
        done = subprocess.run(
            [Path(sys.executable).with_name("mpremote"), "connect", board.pty, *words],
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout.replace("\r\n", "\n")

    return run
