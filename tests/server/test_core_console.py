# The desk server's prompt and command line, with scripted devices and with a board's three lines.
# SPDX-License-Identifier: MIT

import asyncio
import contextlib
import json
import os
import re
import socket
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest
from aiocoap import Code, Message
from core_peers import client_of, content, desk_server, run, until

from tools.build.mpy import micropython
from tools.server.__main__ import main, trace
from tools.server.console import Printer
from tools.server.desk_console import HELP, DeskConsole, ago, board_lines
from tools.server.inventory import LIMIT

ROOT = Path(__file__).resolve().parents[2]
ANSWERS = {
    ("GET", "/3/0/0"): content("Acme", 0, "/3/0/0"),
    ("GET", "/3/0/9"): content(80, 0, "/3/0/9"),
}


@run
async def test_commands(capsys, tmp_path):
    (tmp_path / "fw.bin").write_bytes(b"x" * 100)
    (tmp_path / "large.bin").write_bytes(bytes(LIMIT))
    (tmp_path / "account.json").write_text('{"servers": [{"shortServerId": 5, "self": true}]}')
    (tmp_path / "bad.json").write_text('{"servers": 5}')
    (tmp_path / "bad.xml").write_text("<LWM2M>")
    async with desk_server("coap", "coaps") as desk, client_of(desk, answers=ANSWERS) as client:
        await client.register()
        console = DeskConsole(desk)

        async def said(line):
            capsys.readouterr()
            await console.command(line)
            return capsys.readouterr().out

        assert "dev" in await said("devices") and "connected" in await said("endpoints")
        out = await said("read 3/0/0 3/0/9")
        assert "/3/0/0 Manufacturer = " in out and "/3/0/9 Battery Level = 80" in out
        assert "error: coap: not found" in await said("read 3/0/1")
        assert "Acme" in await said("lastknown") and "3/0/9" in await said("lastknown 3/0/9")
        wire = [
            ("write 3/0/14 '+02:00'", ("PUT", "/3/0/14")),
            ("write 1/0 1=60 6=1", ("PUT", "/1/0")),
            ("write 1/0/6 true", ("PUT", "/1/0/6")),
            ("update 3/0 14=Z 15=UTC", ("POST", "/3/0")),
            ("writemulti 3/0/14=Z", ("PUT", "/3/0/14")),
            ("writemulti 3/0/14=Z 1/0/1=60 -c", ("iPATCH", "/")),
            ("attr 3/0/9 pmin=1 gt", ("PUT", "/3/0/9")),
            ("exec 3/0/4", ("POST", "/3/0/4")),
            ("exec 3/0/4 0='x'", ("POST", "/3/0/4")),
            ("create 3303/5 5601=1.5", ("POST", "/3303")),
            ("delete 3303/5", ("DELETE", "/3303/5")),
            ("bootstrap", ("POST", "/1/0/9")),
        ]
        for line, request in wire:
            out = await said(line)
            assert "error" not in out and client.seen[-1][:2] == request, line
        await said("observe 3303/0/5700")
        (observed,) = desk.store.observations("dev")
        assert observed.token in await said("observations")
        await said("cancel 3303/0/5700")
        assert desk.store.observations("dev") == []
        await said("observe 3303/0/5700")
        await said("reset 3303/0/5700")
        assert desk.store.observations("dev") == []

        await said(f"add-file {tmp_path / 'fw.bin'}")
        assert "fw.bin" in await said("files")
        assert "smaller than 16 MB" in await said(f"add-file {tmp_path / 'large.bin'}")
        await said("remove-file fw.bin")
        await said(f"account dev {tmp_path / 'account.json'}")
        assert desk.store.endpoint("dev").bootstrap["servers"][0]["shortServerId"] == 5
        await said("account dev")
        assert desk.store.endpoint("dev").bootstrap is None
        await said("psk other me 000102")
        assert desk.store.credential("me").key == b"\0\1\2"

        desk.inventory.add("fw.bin", b"x")
        client.answers["PUT", "/5/0/1"] = Message(code=Code.UNAUTHORIZED)
        out = await said("firmware fw.bin protocol=coap")
        assert out.endswith("error: coap: unauthorized\n")
        await said(f"certificate {tmp_path / 'server.der'}")
        assert (tmp_path / "server.der").read_bytes() == desk.certificate
        assert "File exists" in await said(f"certificate {tmp_path / 'server.der'}")
        for line in (
            "fly",
            "read",
            "read x/y",
            "read 3/0/0 -f morse",
            "read 3/0/0 -f",
            "write 3/0/13 soon",
            "write 3/0/14 a b c",
            "writemulti 3/0/14",
            "cancel 9/9/9",
            "reset 9/9/9",
            "unqueue 5",
            "unqueue x",
            "use nobody",
            "firmware none.bin",
            "firmware none.bin delivery",
            "firmware none.bin timeout=x",
            "remove-file none",
            "add-file /nowhere",
            f"add-xml {tmp_path / 'bad.xml'}",
            "remove-xml none",
            f"account dev {tmp_path / 'bad.json'}",
            "psk other me xyz",
            "thumbprint other 00",
            f"authority {tmp_path / 'bad.xml'}",
            f"provision b1 {tmp_path / 'bad.xml'}",
            "forget nobody",
            "attr 3/0/9 colour=1",
            "'",
            "\0",
        ):
            out = await said(line)
            assert out.startswith("error: ") and "Traceback" not in out, line
        assert await said("help") == HELP + "\n"


@run
async def test_commands_for_a_device_that_sleeps(capsys):
    async with desk_server(awake_window=0.1) as desk, client_of(desk) as client:
        await client.post("/rd", ["ep=dev", "b=UQ"], b"</3/0>", 40)
        await asyncio.sleep(0.2)
        console = DeskConsole(desk)
        await console.command("write 3/0/14 Z")
        assert "dev sleeps: queued as command " in capsys.readouterr().out
        await console.command("queue")
        out = capsys.readouterr().out
        number = re.search(r"(\d+) +write +/3/0/14", out)[1]
        await console.command(f"unqueue {number}")
        assert desk.operations.queued("dev") == []


def test_every_command_of_the_help_is_one():
    known = {name[3:].replace("_", "-") for name in dir(DeskConsole) if name.startswith("do_")}
    known |= {"quit"}
    words = set(re.findall(r"[a-z][a-z-]+", HELP))
    assert known - words == set()


def test_how_long_ago():
    now = time.time()
    assert (ago(0), ago(now - 5), ago(now - 600)) == ("never", "5 s ago", "10 min ago")
    assert ago(now - 7200) == "2 h ago" and re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d", ago(5))


@contextlib.contextmanager
def running(*options, port=0):
    command = [sys.executable, "-m", "tools.server", "--port", str(port), *options]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
    server = subprocess.Popen(command, cwd=ROOT, text=True, **pipes)
    try:
        yield server
    finally:
        server.kill()
        server.communicate()


def expect(server, text):
    lines = []
    for line in server.stdout:
        lines.append(line)
        if text in line:
            return line
    raise AssertionError(f"no {text!r} in {''.join(lines)}")


def tell(server, line):
    server.stdin.write(line + "\n")
    server.stdin.flush()


@pytest.mark.needs("micropython")
@pytest.mark.parametrize("secure", [False, True])
def test_a_board_with_the_three_lines(tmp_path, secure):
    """What the server prints, or writes for coaps, is typed on a board: it registers and is read."""
    file = tmp_path / "board.py"
    with running() as server:
        uri = expect(server, "LwM2M server and bootstrap server at coap://").split()[-1]
        if secure:
            expect(server, "help lists")
            tell(server, f"provision board-1 {file}")
            expect(server, "has the lines for the board")
            assert stat.S_IMODE(file.stat().st_mode) == 0o600
            lines = file.read_text()
            key = re.search(r'key=b"([^"]+)"', lines)[1]
        else:
            expect(server, "on a board:")
            lines = "\n".join(server.stdout.readline().strip() for _ in range(3))
            assert lines == board_lines(uri, "board-1")
        board = subprocess.Popen(
            [micropython(), "-c", lines],
            env={**os.environ, "MICROPYPATH": str(ROOT / "lib")},
            stdout=subprocess.DEVNULL,
        )
        try:
            expect(server, "board-1      -> 2.01 Created")
            tell(server, "read 3/0/16")
            shown = expect(server, "<- 2.05 Content")
            assert '"U' in shown
            tell(server, "devices")
            assert ("psk" if secure else "nosec") in expect(server, "connected")
            tell(server, "quit")
            rest, _ = server.communicate(timeout=10)
            assert server.returncode == 0 and "Traceback" not in rest
            if secure:
                assert key not in rest
        finally:
            board.kill()
            board.wait()


@pytest.mark.needs("micropython")
def test_a_server_that_is_killed_goes_on(tmp_path):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    options = ("--database", str(tmp_path / "desk.db"), "--no-coaps", "--no-http")
    with running(*options, port=port) as server:
        uri = expect(server, "coap://").split()[-1]
        board = subprocess.Popen(
            [micropython(), "-c", board_lines(uri, "board-1")],
            env={**os.environ, "MICROPYPATH": str(ROOT / "lib")},
            stdout=subprocess.DEVNULL,
        )
        try:
            location = expect(server, "-> 2.01 Created").split()[-1]
            tell(server, "observe 3/0/15")
            tell(server, "observations")
            token = re.search(r"^(?:> )?([0-9a-f]+) +/3/0/15", expect(server, " /3/0/15  "))[1]
            server.kill()
            server.wait()
            with running(*options, port=port) as again:
                expect(again, "help lists")
                tell(again, "observations")
                assert token in expect(again, " /3/0/15  ")
                tell(again, "read 3/0/16")
                assert '"U' in expect(again, "<- 2.05 Content")
                tell(again, "exec 1/0/8")
                # It did not need to register anew.
                expect(again, "<- Update")
                expect(again, "-> 2.04 Changed")
                assert location.startswith("/rd/")
        finally:
            board.kill()
            board.wait()


def test_wrong_command_lines(tmp_path, capsys):
    wrong = tmp_path / "wrong.toml"
    wrong.write_text("coap_timeout = 'x'")
    for options, text in (
        (["--config", str(wrong)], "coap_timeout is 'x'"),
        (["--config", str(tmp_path / "none")], "No such file"),
        (["--host", "192.0.2.77"], "192.0.2.77"),
        (["--psk", "x"], "--psk wants IDENTITY=HEX"),
        (["--psk", "x=yz"], "key is not hexadecimal"),
        (["--xml", str(wrong)], "not well-formed XML"),
        (["--database", str(tmp_path)], "unable to open"),
        (["--mqtt", "http://x"], "mqtt.broker"),
    ):
        assert main(["--port", "0", *options]) == 1
        said = capsys.readouterr()
        assert said.err.startswith("error: ") and text in said.err, options


def test_trace_and_a_terminating_signal():
    with running("--trace", "--files-port", "0", "--no-coaps") as server:
        expect(server, "files at http://127.0.0.1:")
        expect(server, "page and REST at http://127.0.0.1:")
        expect(server, "help lists")
        server.terminate()
        out, _ = server.communicate(timeout=10)
        assert "Traceback" not in out and server.returncode == 0


@run
async def test_trace_prints_events_as_json(capsys):
    async with desk_server() as desk, client_of(desk) as client:
        printer = Printer(sys.stdout)
        desk.events.subscribe(lambda event: trace(printer, event))
        await client.register()
        await until(lambda: desk.seen)
        line = next(x for x in capsys.readouterr().out.splitlines() if "lwm2m.register" in x)
        assert json.loads(line.partition("lwm2m.register ")[2])["binding"] == "U"
        # What a device says is no command of the terminal.
        printer("dev", "\x1b[31mred\x9b5m\x07")
        assert (
            "\x1b" not in (out := capsys.readouterr().out) and "red" in out and "\x9b" not in out
        )
