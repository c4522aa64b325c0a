# The MQTT gateway with another project's client of EMQX's gateway, emqxlwm2m, as it is
# SPDX-License-Identifier: MIT
from __future__ import annotations

import asyncio
import re
import subprocess
import sys
from pathlib import Path

import pytest
from core_peers import run
from mqtt_peers import mosquitto

from tools.server.config import Config, Listener
from tools.server.fleet import Fleet
from tools.server.mqtt import MqttGateway
from tools.server.service import DeskServer

ROOT = Path(__file__).resolve().parents[2]
# It wants an MQTT client older than ours, so it gets an environment of its own.
VERSIONS = ["emqxlwm2m==0.6.0", "cmd2==1.5.0", "paho-mqtt==1.6.1", "subpub==1.0.0", "rich==15.0.0"]
COMMANDS = [
    ("read ep0 /3303/0/5700", "ReadResponse Content 2.05 {'/3303/0/5700': 20.0}"),
    ("write ep0 /3/0/14=+01:00", "WriteResponse Changed 2.04"),
    ("read ep0 /3/0/14", "'/3/0/14': '+01:00'"),
    ("write ep0 /1/0/1=1000", "WriteResponse Changed 2.04"),
    ("discover ep0 /3303", "'/3303/0/5700': {}"),
    ("write_attr ep0 /3303/0/5700=[1,5]5:10:95", "WriteAttrResponse Changed 2.04"),
    ("execute ep0 /1/0/8", "ExecuteResponse Changed 2.04"),
    ("observe ep0 /3303/0/5700", "ObserveResponse Content 2.05"),
    ("cancel_observe ep0 /3303/0/5700", "CancelObserveResponse Content 2.05"),
    ("create ep0 /3303/1/5700=1.5", "CreateResponse Created 2.01"),
    ("read ep0 /3303", "'/3303/1/5700': 1.5"),
    ("delete ep0 /3303/1", "DeleteResponse Deleted 2.02"),
    ("read ep0 /3303/1", "NotFound 4.04"),
]


@pytest.fixture(scope="module")
def program():
    """Its Python, in an environment below build/ that is made once."""
    folder = ROOT / "build" / "emqxlwm2m"
    python = folder / "bin" / "python"
    ready = folder / ".ready"
    if not ready.exists() or ready.read_text() != "\n".join(VERSIONS):
        subprocess.run([sys.executable, "-m", "venv", "--clear", folder], check=True)
        install = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        subprocess.run([*install, *VERSIONS], check=True, timeout=170)
        ready.write_text("\n".join(VERSIONS))
    return python


@pytest.mark.needs("mosquitto", "micropython")
def test_emqxlwm2m_manages_a_device(program, tmp_path):
    async def said(port: int, commands: list[str]) -> str:
        """What its interpreter prints."""
        process = await asyncio.create_subprocess_exec(
            *(program, "-m", "emqxlwm2m", "--host", "127.0.0.1", "--port", str(port)),
            *("--timeout", "5", "cmd"),
            env={"HOME": str(tmp_path), "COLUMNS": "200", "PATH": "/usr/bin:/bin"},
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        try:
            words = "\n".join([*commands, "quit", ""]).encode()
            output, _ = await asyncio.wait_for(process.communicate(words), 25)
        finally:
            if process.returncode is None:
                process.kill()
        return re.sub(r"\x1b\[[0-9;]*m", "", output.decode())

    @run
    async def steps():
        with mosquitto(tmp_path) as port:
            gateway = MqttGateway({"broker": f"mqtt://127.0.0.1:{port}"})
            listeners = [Listener("coap", port=0)]
            async with DeskServer(Config(listeners=listeners), [gateway]) as desk:
                await gateway.wait_connected()
                uri = desk.uris()["coap"]
                async with Fleet(uri, 1, name="ep", version="1.0", binding="UQ") as fleet:
                    assert await fleet.all_registered(10)
                    output = await said(port, [command for command, _ in COMMANDS])
        rest = output
        for command, expected in COMMANDS:
            _, found, rest = rest.partition(expected)
            assert found, f"{command}: no {expected} in\n{output}"

    steps()
