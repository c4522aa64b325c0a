# What docs/desk.md shows is tried: its configuration, its commands, its Python.
# SPDX-License-Identifier: MIT

import json
import os
import re
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tools.build.mpy import micropython
from tools.server import Model, accounts
from tools.server.desk_console import DeskConsole, board_lines

ROOT = Path(__file__).resolve().parents[2]
TEXT = (ROOT / "docs" / "desk.md").read_text(encoding="utf-8")


def block(language):
    return re.search(rf"```{language}\n(.*?)```", TEXT, re.DOTALL)[1]


def test_the_bootstrap_configuration_can_be_used():
    wanted = accounts.plan(json.loads(block("json")), Model())
    assert [each.short_id for each in wanted.servers] == [99, 7]


def test_the_commands_exist():
    for line in block("console").splitlines():
        assert hasattr(DeskConsole, "do_" + line.split()[0].replace("-", "_")), line


@pytest.mark.needs("micropython")
def test_the_python_runs_with_a_board():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    program = block("python").replace("5683", str(port))
    server = subprocess.Popen(
        [sys.executable, "-c", program], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    board = subprocess.Popen(
        [micropython(), "-c", board_lines(f"coap://127.0.0.1:{port}", "board-1")],
        env={**os.environ, "MICROPYPATH": str(ROOT / "lib")},
        stdout=subprocess.DEVNULL,
    )
    try:
        said, _ = server.communicate(timeout=60)
        assert server.returncode == 0
        assert "'source': 'observe'" in said and "supported_binding_and_modes" in said
    finally:
        board.kill()
        board.wait()
        server.kill()
