# OMA cases of the Firmware Update object (5) against Leshan, and downloads from web and CoAP servers
# SPDX-License-Identifier: MIT
import asyncio
import hashlib
import threading
import time

import aiocoap
import aiocoap.resource
import pytest
from dtls_peers import free_port
from files import Files

IMAGE = bytes(k * 11 + (k >> 8) & 255 for k in range(20000))


def wait_until(found, timeout):
    """Ask again and again until found() is true."""
    end = time.monotonic() + timeout
    while not found():
        assert time.monotonic() < end, "not reached"
        time.sleep(0.05)


class Updatable:
    """A device with /5/0, whose process may be ended and started anew."""

    def __init__(self, power, leshan, endpoint, folder, **options):
        self.power, self.leshan, self.endpoint, self.folder = power, leshan, endpoint, folder
        self.options = options
        self.device = None

    def start(self, fail=None, version="1.0", uri=None, **options):
        if self.device:
            self.device.power_off()
            self.device.power_on()
        else:
            self.device = self.power()
        uri = uri or self.leshan.uri
        self.device.new(
            self.endpoint,
            uri,
            lifetime=60,
            version=version,
            store=str(self.folder),
            **self.options,
        )
        options.setdefault("delay", 1)
        self.device.firmware(str(self.folder), fail=fail, **options)
        self.device.start()
        self.peer = self.leshan.peer(self.endpoint)
        self.peer.wait("registered", 10)
        self.device.wait("REGISTRATION_COMPLETE")
        return self

    def status(self):
        """(state, result)."""
        read = self.peer.read
        return tuple(read(f"/5/0/{rid}", "TEXT").content[f"/5/0/{rid}"] for rid in (3, 5))

    def ends(self, *wanted, timeout=20):
        """Wait until state and result are these."""
        wait_until(lambda: self.status()[0] != 1, timeout)
        assert self.status() == wanted

    def push(self, data=IMAGE, format="OPAQUE"):
        return self.peer.write("/5/0/0", data.hex(), format, timeout=20).code

    def pull(self, uri):
        assert self.peer.write("/5/0/1", uri, "TEXT").code == "2.04"

    def kept(self, name="package"):
        path = self.folder / name
        return path.read_bytes() if path.exists() else None


@pytest.fixture
def updatable(power, leshan, endpoint, tmp_path):
    return Updatable(power, leshan, endpoint, tmp_path)


def test_int_751_querying_the_readable_resources(updatable):
    x = updatable.start()
    content = x.peer.read("/5/0").content
    assert content["/5/0/3"] == 0 and content["/5/0/5"] == 0 and content["/5/0/9"] == 2
    assert [content[f"/5/0/8/{k}"] for k in range(3)] == [0, 1, 2]
    assert x.peer.read("/5/0/0").code == "4.05"
    assert x.peer.read("/5/0/2").code == "4.05"


@pytest.mark.parametrize("format", ["OPAQUE", "TLV"])
def test_int_755_setting_the_package(updatable, format):
    x = updatable.start()
    assert x.push(format=format) == "2.04"
    assert x.status() == (2, 0) and x.kept() == IMAGE


@pytest.mark.parametrize("format", ["CBOR", "SENML_CBOR"])
def test_int_755_setting_the_package_in_formats_of_1_1(updatable, format):
    x = updatable.start(version="1.1")
    assert x.push(format=format) == "2.04"
    assert x.status() == (2, 0) and x.kept() == IMAGE


def test_int_756_setting_the_package_uri(updatable):
    x = updatable.start()
    with Files(IMAGE) as files:
        x.pull(files.uri("/image?epid=a%20b&x=1"))
        x.ends(2, 0)
        assert files.paths == ["/image?epid=a%20b&x=1"]
        assert x.peer.read("/5/0/1").content["/5/0/1"] == files.uri("/image?epid=a%20b&x=1")
    assert x.kept() == IMAGE


def test_int_760_observation(updatable):
    x = updatable.start()
    x.peer.attributes("/5/0/3", pmin=0)
    assert x.peer.observe("/5/0/3", "TEXT").content == {"/5/0/3": 0}
    with Files(IMAGE) as files:
        x.pull(files.uri())
        seen = []
        while not seen or seen[-1] != 2:
            seen.append(x.peer.wait("notification", 20).content["/5/0/3"])
    assert set(seen) <= {1, 2}


def test_int_770_successful_update_by_coap(updatable):
    x = updatable.start()
    assert x.push() == "2.04"
    assert x.peer.execute("/5/0/2").code == "2.04"
    assert x.status()[0] == 3
    x.device.wait("restart", 20)
    x.start()
    assert x.status() == (0, 1)
    assert x.kept("active") == IMAGE and x.kept("trial") is None


def test_int_771_successful_update_by_another_protocol(updatable):
    x = updatable.start(sha256=hashlib.sha256(IMAGE).hexdigest())
    with Files(IMAGE) as files:
        x.pull(files.uri())
        x.ends(2, 0)
    x.peer.execute("/5/0/2")
    x.device.wait("restart", 20)
    x.start()
    assert x.status() == (0, 1) and x.kept("active") == IMAGE


def test_int_772_no_package(updatable):
    x = updatable.start()
    assert x.peer.execute("/5/0/2").code == "4.05"
    assert x.status() == (0, 0)


def test_int_773_shortage_of_storage(updatable):
    x = updatable.start(fail=[28, 5000])
    assert x.push() == "4.13"
    assert x.status() == (0, 2) and x.kept() is None


def test_int_774_out_of_memory(updatable):
    x = updatable.start(fail=["memory", 5000])
    assert x.push() == "4.13"
    assert x.status() == (0, 3)


def test_int_775_connection_lost(updatable):
    x = updatable.start(retries=1)
    with Files(IMAGE) as files:
        files.cut = 0
        x.pull(files.uri())
        x.ends(0, 4)


def test_int_776_integrity(updatable):
    x = updatable.start(sha256="00" * 32)
    assert x.push() in ("2.04", "4.13")
    assert x.status() == (0, 5) and x.kept() is None


def test_int_777_unsupported_package(updatable):
    x = updatable.start()
    assert x.push(b"bad" + IMAGE) == "4.13"
    assert x.status() == (0, 6)


def test_int_778_invalid_uri(updatable):
    x = updatable.start()
    x.pull("coap://")
    x.ends(0, 7)
    with Files(IMAGE) as files:
        files.status = 404
        x.pull(files.uri())
        x.ends(0, 7)


def test_int_779_unsuccessful_update(updatable):
    x = updatable.start(fail=[5, -1])
    x.device.manage("downloaded")
    x.push(b"")
    assert x.status() == (0, 0)
    # a slot that can't activate
    x.start(fail=None)
    x.push()
    x.start(fail=[5, -1])
    assert x.status() == (2, 0)
    x.peer.execute("/5/0/2")
    wait_until(lambda: x.status() == (0, 8), 20)


def test_int_780_unsupported_protocol(updatable):
    x = updatable.start()
    x.pull("ftp://127.0.0.1/image")
    x.ends(0, 9)


# the web servers


def test_web_server_that_cuts_and_has_ranges(updatable):
    x = updatable.start()
    with Files(IMAGE) as files:
        files.cut = 3000
        x.pull(files.uri())
        x.ends(2, 0, timeout=40)
        assert files.sent == len(IMAGE) == len(x.kept("log"))
        assert files.asked[:2] == [None, "bytes=3000-"]
    assert x.kept() == IMAGE


def test_web_server_without_ranges(updatable):
    x = updatable.start()
    with Files(IMAGE) as files:
        files.cut = 3000
        files.ranges = False
        x.pull(files.uri())
        wait_until(lambda: len(files.asked) == 2, 20)
        files.cut = None
        x.ends(2, 0)
    assert x.kept() == IMAGE


def test_web_server_that_changes_the_package_meanwhile(updatable):
    x = updatable.start()
    with Files(IMAGE) as files:
        files.cut = 3000
        x.pull(files.uri())
        wait_until(lambda: files.sent >= 3000, 20)
        files.image = new = IMAGE[::-1]
        files.etag = '"v2"'
        files.cut = None
        x.ends(2, 0)
    assert x.kept() == new


def test_web_server_that_lies(updatable):
    x = updatable.start(retries=0)
    with Files(IMAGE) as files:
        files.length = 100000
        x.pull(files.uri())
        x.ends(0, 4)
        files.length = "none"
        x.pull(files.uri())
        x.ends(2, 0)
        x.peer.write("/5/0/1", "", "TEXT")
        # another package under the same tag, and a range that is not what was asked for
        files.length = None
        x.start(retries=3, sha256=hashlib.sha256(IMAGE).hexdigest())
        files.cut = 3000
        x.pull(files.uri())
        wait_until(lambda: files.sent >= 3000, 20)
        files.image = IMAGE[::-1]
        files.cut = None
        x.ends(0, 5)
        files.image = IMAGE
        files.cut = 3000
        files.first = 7
        asked = len(files.asked)
        x.pull(files.uri())
        wait_until(lambda: len(files.asked) >= asked + 2, 20)
        files.cut = None
        files.first = None
        x.ends(2, 0, timeout=40)
        assert x.kept() == IMAGE


def test_redirects(updatable):
    x = updatable.start()
    with Files(IMAGE) as files, Files(IMAGE[:99]) as other:
        x.pull(files.uri("/moved?/image"))
        x.ends(2, 0)
        assert x.kept() == IMAGE
        x.peer.write("/5/0/1", "", "TEXT")
        x.pull(files.uri("/moved?" + other.uri()))
        x.ends(2, 0)
        assert x.kept() == IMAGE[:99]
        x.peer.write("/5/0/1", "", "TEXT")
        x.pull(files.uri("/moved?/moved?/moved"))
        x.ends(2, 0)
        x.peer.write("/5/0/1", "", "TEXT")
        x.pull(files.uri("/moved?ftp://127.0.0.1/"))
        x.ends(0, 7)


def test_power_cuts_at_every_tenth(updatable):
    x = updatable.start()
    with Files(IMAGE) as files:
        for part in range(1, 10):
            files.cut = len(IMAGE) // 10
            if part == 1:
                x.pull(files.uri())
            size = len(IMAGE) * part // 10
            wait_until(lambda: len(x.kept() or b"") >= size, 20)
            x.start()
        files.cut = None
        x.ends(2, 0)
    assert x.kept() == IMAGE and len(x.kept("log")) == len(IMAGE)


class CoapFiles(aiocoap.resource.Resource):
    """A package at /image of an aiocoap server in a thread of its own."""

    async def render_get(self, request):
        return aiocoap.Message(payload=IMAGE)


def test_blocks_of_aiocoap(updatable):
    x = updatable.start()
    port = free_port()
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()

    async def begin():
        site = aiocoap.resource.Site()
        site.add_resource(["image"], CoapFiles())
        return await aiocoap.Context.create_server_context(
            site, bind=("127.0.0.1", port), transports=["simplesocketserver"]
        )

    context = asyncio.run_coroutine_threadsafe(begin(), loop).result(10)
    try:
        x.pull(f"coap://127.0.0.1:{port}/image")
        x.ends(2, 0)
    finally:
        asyncio.run_coroutine_threadsafe(context.shutdown(), loop).result(10)
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
    assert x.kept() == IMAGE
