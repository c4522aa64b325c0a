# Every operation through a network that loses, repeats and reorders: it completes, and is done once
# SPDX-License-Identifier: MIT
"""The client under test on MicroPython's unix port, aiocoap as its server, and a proxy between them.

The proxy loses 30 % of the datagrams of either side, repeats 10 %, and holds each back for up to 40 ms, so
that they overtake each other. Of one message (by its id) it loses four at the most: a confirmable message is
sent five times (RFC 7252 4.8), so one that gets lost more often is given up by right."""

import asyncio
import collections
import random

import pytest

from device import Device
from tools.server import Server

LOSS, COPIES, DELAY, MOST = 0.3, 0.1, 0.04, 4
BIG = bytes(range(256)) * 8
# 1000: 2 an integer, 5 opaque, 40 executable
TABLE = (
    "TABLE = b'\\x03\\xe8\\x01\\x03\\x10\\x10\\x10\\x00'"
    " b'\\x00\\x02\\x03\\x02\\x00\\x05\\x03\\x05\\x00\\x28\\x04\\x00'\n"
)


class Proxy:
    """Carries datagrams between clients on `port` and a server, badly."""

    def __init__(self, server: tuple[str, int], seed: int):
        self.server = server
        self.random = random.Random(seed)
        self.lost: collections.Counter[bytes] = collections.Counter()
        self.carried = 0
        self.ways: dict[tuple, asyncio.DatagramTransport] = {}

    async def __aenter__(self):
        loop = asyncio.get_running_loop()
        self.front, _ = await loop.create_datagram_endpoint(
            lambda: _Side(self.from_client), local_addr=("127.0.0.1", 0)
        )
        self.port = self.front.get_extra_info("sockname")[1]
        return self

    async def __aexit__(self, *_):
        for transport in (self.front, *self.ways.values()):
            transport.close()

    def carry(self, data: bytes, send) -> None:
        copies = 1 + (self.random.random() < COPIES)
        if self.random.random() < LOSS and self.lost[data[2:4]] < MOST:
            self.lost[data[2:4]] += 1
            return
        self.carried += 1
        for _ in range(copies):
            asyncio.get_running_loop().call_later(self.random.random() * DELAY, send, data)

    def from_client(self, data: bytes, address) -> None:
        asyncio.get_running_loop().create_task(self.forward(data, address))

    async def forward(self, data: bytes, address) -> None:
        if address not in self.ways:
            loop = asyncio.get_running_loop()
            self.ways[address], _ = await loop.create_datagram_endpoint(
                lambda: _Side(lambda d, _: self.carry(d, lambda x: self.front.sendto(x, address))),
                remote_addr=self.server,
            )
        self.carry(data, self.ways[address].sendto)


class _Side(asyncio.DatagramProtocol):
    def __init__(self, received):
        self.datagram_received = received


async def converse(seed: int, device: Device, calls: int) -> None:
    """A whole life of a client; every assertion on the device's side counts executions."""
    async with Server(timeout=90, ack_timeout=0.1) as server:
        async with Proxy(("127.0.0.1", server.port), seed) as proxy:
            await conversation(server, proxy, device, calls)
    assert sum(proxy.lost.values()) > 0.15 * proxy.carried, "nothing was lost: no test"


async def conversation(server: Server, proxy: Proxy, device: Device, calls: int) -> None:
    def tell(op, *args, **kw):
        return asyncio.to_thread(device.call, op, *args, **kw)

    await tell(
        "new",
        "lossy",
        f"coap://127.0.0.1:{proxy.port}",
        tables=["lossobject"],
        lifetime=600,
        version="1.0",
        ack_timeout=100,
    )
    await tell("give", "/1000/0/2", 0)
    await tell("give", "/1000/0/5", BIG)
    for kind, path in (
        ("on_exec", "/1000/0/40"),
        ("on_write", "/1000/0/2"),
        ("on_create", "/1000"),
        ("on_delete", "/1000"),
    ):
        await tell("hook", kind, path)
    await tell("start")
    peer = (await server.wait("register", "lossy", 60)).device
    await asyncio.to_thread(device.wait, "REGISTRATION_COMPLETE", 60)

    for n in range(calls):
        assert (await peer.execute("/1000/0/40", str(n % 10))).code == "2.04"
        assert (await peer.write("/1000/0/2", n)).code == "2.04"
        assert (await peer.read("/1000/0/2", "text")).payload == b"%d" % n
    # Several at once: each is answered with its own value.
    answers = await asyncio.gather(*(peer.read("/1000/0/2", "text") for _ in range(4)))
    assert {a.payload for a in answers} == {b"%d" % (calls - 1)}

    created = [await peer.create("/1000", {2: n}) for n in range(calls)]
    assert [a.code for a in created] == ["2.01"] * calls
    places = ["/" + "/".join(a.message.opt.location_path) for a in created]
    assert len(set(places)) == calls
    for n, place in enumerate(places):
        assert (await peer.read(f"{place}/2", "text")).payload == b"%d" % n
        assert (await peer.delete(place)).code == "2.02"
        assert (await peer.read(place)).code == "4.04"

    # Blocks in both directions.
    assert (await peer.read("/1000/0/5", "opaque")).payload == BIG
    assert (await peer.write("/1000/0/5", BIG[::-1])).code == "2.04"
    assert await tell("get", "/1000/0/5") == BIG[::-1]
    assert "/1000/0/5" in (await peer.discover("/1000/0")).value

    assert (await peer.attributes("/1000/0/2", pmin=0)).code == "2.04"
    observation = await peer.observe("/1000/0/2", "text")
    assert observation.active
    for n in range(100, 100 + calls):
        await tell("set", "/1000/0/2", n)
        await asyncio.sleep(0.02)
    seen = []
    while not seen or seen[-1] != 99 + calls:
        seen.append(int((await observation.next(60)).payload))
    # What changed while one was under way may be skipped; the last one is not.
    assert seen == sorted(set(seen))
    await observation.cancel()

    await tell("update")
    await server.wait("update", "lossy", 60)
    await tell("stop")
    await server.wait("deregister", "lossy", 60)
    await asyncio.to_thread(device.wait, "DISCONNECT", 60)

    done = collections.Counter(device.events())
    assert (
        done["on_exec"] == done["on_write"] == done["on_create"] == done["on_delete"] == calls
    ), done
    assert [device.wait("on_exec")["args"] for _ in range(calls)] == [
        [b"%d" % (n % 10)] for n in range(calls)
    ]


@pytest.mark.parametrize("seed", [1, 2, 3])
@pytest.mark.timeout(170)
def test_every_operation_completes_and_is_done_once(seed, tmp_path):
    (tmp_path / "lossobject.py").write_text(TABLE)
    with Device(path=[tmp_path]) as device:
        try:
            asyncio.run(converse(seed, device, 5))
        except BaseException:
            print(device.log(), device.events())
            raise
