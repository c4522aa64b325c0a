# The fleet: many clients of the device code against the desk server, each registered and read once
# SPDX-License-Identifier: MIT
from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path

import pytest
from core_peers import run

from tools.server.config import Config, Listener
from tools.server.fleet import Fleet, Report, parser
from tools.server.rest import RestServer
from tools.server.service import DeskServer

ROOT = Path(__file__).resolve().parents[2]
KEY = "000102030405060708090a0b0c0d0e0f"


@pytest.mark.needs("micropython")
def test_clients_register_are_read_and_stay():
    count, lifetime, speed, seconds = 40, 120, 60.0, 6.0

    @run
    async def steps():
        rest = RestServer({"port": 0})
        config = Config(listeners=[Listener("coap", port=0)])
        async with DeskServer(config, [rest]) as desk:
            uri = desk.uris()["coap"]
            async with Fleet(uri, count, a_process=20, rate=200, lifetime=lifetime) as fleet:
                assert await fleet.all_registered(15), fleet.errors
                assert len(desk.server.devices) == count
                await fleet.read_each(rest.base, "/3303/0/5700")
                assert len(fleet.report.reads) == count and not fleet.report.read_errors
                # Three lifetimes of their clocks.
                fleet.hurry(speed)
                await asyncio.sleep(seconds)
                await fleet.counted()
                report = fleet.report
                assert report.still_registered == count and report.good
                # An update at half of what is left of a lifetime, or a little before its end.
                assert report.updates >= count * (speed * seconds // lifetime)
                assert 1000 < report.bytes_a_client < 100000
            assert report.events["DISCONNECT"] == count
            assert desk.server.devices == {}

    steps()


@pytest.mark.needs("micropython")
def test_the_program_reports(tmp_path):
    @run
    async def steps():
        rest = RestServer({"port": 0})
        async with DeskServer(Config(listeners=[Listener("coaps", port=0)]), [rest]) as desk:
            for number in range(3):
                settings = {"identity": f"id-{number}", "key": KEY}
                desk.put_endpoint(f"fleet-{number}", settings)
            command = [sys.executable, "-m", "tools.server.fleet", desk.uris()["coaps"], "-n", "3"]
            command += ["--identity", "id-%d", "--key", KEY, "--read", rest.base, "--stay", "1"]
            process = await asyncio.create_subprocess_exec(
                *command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
            )
            output = (await process.communicate())[0].decode()
            assert process.returncode == 0, output
            assert "3 of 3" in output and "operations a second" in output
            assert "none" in output and "KB" in output

    steps()


@pytest.mark.needs("micropython")
def test_clients_that_cannot_register_are_told():
    @run
    async def steps():
        async with DeskServer(Config(listeners=[Listener("coap", port=0)], open=False)) as desk:
            async with Fleet(desk.uris()["coap"], 2) as fleet:
                assert not await fleet.all_registered(2)
                assert fleet.report.lost == 2 and not fleet.report.good
                assert fleet.report.events["REGISTRATION_FAILURE"] >= 2

    steps()


def test_a_report_has_what_was_measured():
    report = Report(2, registered={0: 10.0, 1: 30.0}, register_seconds=0.5, bytes_a_client=2048)
    rows = dict(report.rows())
    assert rows["registered"] == "2 of 2" and rows["registrations a second"] == "4.0"
    assert rows["until registered"] == "30 ms, 95 %: 30 ms, at most 30 ms"
    assert rows["memory of a client"] == "2.0 KB" and rows["errors"] == "none" and report.good


@pytest.mark.parametrize(
    "words", [["-n", "0"], ["-n", "x"], ["--rate", "-1"], ["--speed", "fast"], ["--key", "xyz"]]
)
def test_arguments_that_are_wrong(words, capsys):
    with pytest.raises(SystemExit):
        parser().parse_args(["coap://127.0.0.1:9", *words])
    error = capsys.readouterr().err
    assert "is no number" in error or "is not hexadecimal" in error
