# Firmware updates that the desk server runs on the real client, and packages from libcoap's server
# SPDX-License-Identifier: MIT
import asyncio
import hashlib
import subprocess
import threading
import time

import pytest
from certificates import as_bytes, issue
from dtls_peers import free_port

from tools.server import events
from tools.server.config import Config, Listener
from tools.server.service import DeskServer

IMAGE = bytes(k * 7 + (k >> 9) & 255 for k in range(12000))


@pytest.fixture
def desk(tmp_path):
    """(DeskServer, call(coroutine)), in a thread of its own."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()

    def call(coroutine, timeout=60):
        return asyncio.run_coroutine_threadsafe(coroutine, loop).result(timeout)

    async def start():
        listeners = [Listener(scheme, port=0) for scheme in ("coap", "http", "https")]
        config = Config(listeners=listeners, inventory=str(tmp_path / "files"))
        return await DeskServer(config).start()

    server = call(start())
    server.inventory.add("fw.bin", IMAGE)
    yield server, call
    call(server.stop())
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()


class Client:
    """A device with /5/0 of the desk server's."""

    def __init__(self, device, uri, folder, **options):
        self.device, self.uri, self.folder, self.options = device, uri, folder, options
        folder.mkdir(exist_ok=True)

    def start(self):
        self.device.new("dev", self.uri, lifetime=60, store=str(self.folder))
        self.device.firmware(str(self.folder), delay=1, **self.options)
        self.device.start()
        self.device.wait("REGISTRATION_COMPLETE", 10)

    def restart(self):
        self.device.wait("restart", 30)
        self.device.power_off()
        self.device.power_on()
        self.start()


def ended(device, timeout=20):
    """(state, result) once the download has ended."""
    end = time.monotonic() + timeout
    while True:
        found = device.get("/5/0/3"), device.get("/5/0/5")
        if found[0] != 1 and found != (0, 0):
            return found
        assert time.monotonic() < end, "the download does not end"
        time.sleep(0.05)


@pytest.mark.parametrize("how", ["push", "coap", "http", "https"])
def test_the_desk_server_updates_the_client(desk, power, tmp_path, how):
    server, call = desk
    options = {"sha256": hashlib.sha256(IMAGE).hexdigest()}
    if how == "https":
        options["ca"] = {"hex": server.certificate.hex()}
    client = Client(power(), server.uris()["coap"], tmp_path / "device", **options)
    client.start()
    wanted = {"delivery": "push"} if how == "push" else {"protocol": how}
    waiting = server.events.wait(events.FOTA_COMPLETE, "dev", 60)

    async def update():
        done = asyncio.ensure_future(waiting)
        await asyncio.sleep(0)
        await server.operations.firmwareUpdate("dev", "fw.bin", wanted)
        return done

    done = call(update())
    client.restart()

    async def outcome():
        return await done

    body = call(outcome()).body
    assert body["success"], body
    assert (client.folder / "active").read_bytes() == IMAGE
    assert not (client.folder / "trial").exists()


def test_https_is_checked(desk, power, tmp_path):
    server, call = desk
    uri = server.uris()["https"] + "/files/fw.bin"
    other = {"hex": as_bytes(issue("127.0.0.1", ca=True))[0].hex()}
    for options, result in (({}, 9), ({"ca": other, "retries": 0}, None), ({"ca": False}, 0)):
        device = power()
        client = Client(device, server.uris()["coap"], tmp_path / f"device{result}", **options)
        client.start()
        call(server.operations.write("dev", "/5/0/1", uri))
        found = ended(device)
        if result is None:
            assert found in ((0, 4), (0, 7))
        else:
            assert found == ((0, 9) if result else (2, 0))
        device.power_off()


@pytest.mark.needs("coap-server-notls", "coap-client-notls")
def test_blocks_of_libcoap(desk, power, tmp_path):
    server, call = desk
    port = free_port()
    libcoap = subprocess.Popen(
        ["coap-server-notls", "-A", "127.0.0.1", "-p", str(port), "-d", "5"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        package = tmp_path / "package"
        package.write_bytes(IMAGE)
        uri = f"coap://127.0.0.1:{port}/fw"
        for _ in range(50):
            done = subprocess.run(
                [
                    "coap-client-notls",
                    "-m",
                    "put",
                    "-f",
                    str(package),
                    "-b",
                    "512",
                    "-B",
                    "3",
                    uri,
                ],
                capture_output=True,
                text=True,
            )
            kept = subprocess.run(
                ["coap-client-notls", "-m", "get", "-b", "512", "-B", "3", uri],
                capture_output=True,
            )
            if len(kept.stdout) >= len(IMAGE):
                break
            time.sleep(0.1)
        assert kept.stdout[: len(IMAGE)] == IMAGE, (done, kept.stderr)
        client = Client(power(), server.uris()["coap"], tmp_path / "device")
        client.start()
        call(server.operations.write("dev", "/5/0/1", uri))
        assert ended(client.device) == (2, 0)
        assert (client.folder / "package").read_bytes() == IMAGE
    finally:
        libcoap.kill()
        libcoap.wait()
