# Peers of the MQTT gateway's tests: mosquitto, an MQTT client that keeps what it hears, a device byte by byte
# SPDX-License-Identifier: MIT
from __future__ import annotations

import asyncio
import contextlib
import json
import shutil
import socket
import subprocess
import time
from urllib.parse import parse_qsl

import aiocoap
import aiomqtt
from aiocoap import ACK, CON, NON, RST, Code, Message

WAIT = 8.0  # seconds
BACKGROUND = 0.3  # seconds in which nothing may come


def free_port(kind=socket.SOCK_STREAM) -> int:
    with socket.socket(socket.AF_INET, kind) as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextlib.contextmanager
def mosquitto(folder):
    """A broker on a port of its own; gives the port."""
    port = free_port()
    config = folder / "mosquitto.conf"
    config.write_text(f"listener {port} 127.0.0.1\nallow_anonymous true\n")
    program = shutil.which("mosquitto") or "/usr/sbin/mosquitto"
    with open(folder / "mosquitto.log", "w") as log:
        broker = subprocess.Popen([program, "-c", str(config)], stdout=log, stderr=log)
    try:
        until = time.monotonic() + WAIT
        while True:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                break
            assert broker.poll() is None and time.monotonic() < until, "mosquitto does not listen"
            time.sleep(0.05)
        yield port
    finally:
        broker.terminate()
        broker.wait(5)


@contextlib.asynccontextmanager
async def relay(port: int):
    """(port, cut): a way to the broker that `await cut(False)` closes, and `await cut(True)` opens again."""
    writers: set[asyncio.StreamWriter] = set()
    state = {"open": True}

    async def pass_on(reader, writer) -> None:
        with contextlib.suppress(OSError, asyncio.CancelledError):
            while data := await reader.read(4096):
                writer.write(data)
        writer.close()

    async def connected(reader, writer) -> None:
        if not state["open"]:
            writer.close()
            return
        inner, outer = await asyncio.open_connection("127.0.0.1", port)
        writers.update((writer, outer))
        await asyncio.gather(pass_on(reader, outer), pass_on(inner, writer))

    async def cut(opened: bool) -> None:
        state["open"] = opened
        for writer in writers if not opened else ():
            writer.close()
        writers.clear()

    server = await asyncio.start_server(connected, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1], cut
    finally:
        await cut(False)
        server.close()


class Listener:
    """Subscribed to everything under lwm2m/; `await heard(topic)` takes the next message of a topic."""

    def __init__(self, client: aiomqtt.Client):
        self.client = client
        self.messages: list[tuple[str, dict]] = []
        self._arrived = asyncio.Event()

    async def run(self) -> None:
        async for message in self.client.messages:
            topic = str(message.topic)
            if "/dn" not in topic and not topic.endswith("/command"):
                self.messages.append((topic, json.loads(message.payload)))
                self._arrived.set()

    async def heard(self, topic: str) -> dict:
        async with asyncio.timeout(WAIT):
            while True:
                for entry in self.messages:
                    if entry[0] == topic:
                        self.messages.remove(entry)
                        return entry[1]
                self._arrived.clear()
                await self._arrived.wait()

    async def nothing(self) -> None:
        await asyncio.sleep(BACKGROUND)
        assert self.messages == []

    async def send(self, topic: str, payload, **more) -> None:
        raw = payload if isinstance(payload, bytes) else json.dumps(payload)
        await self.client.publish(topic, raw, **more)


@contextlib.asynccontextmanager
async def listening(port: int, protocol=aiomqtt.ProtocolVersion.V5):
    async with aiomqtt.Client("127.0.0.1", port, protocol=protocol) as client:
        await client.subscribe("#")
        listener = Listener(client)
        task = asyncio.create_task(listener.run())
        try:
            yield listener
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


class Device(asyncio.DatagramProtocol):
    """A client of CoAP messages that the test writes one by one."""

    def __init__(self):
        self.arrived: asyncio.Queue[Message] = asyncio.Queue()
        self.mid = 100

    def connection_made(self, transport):
        self.transport = transport

    def datagram_received(self, data, address):
        self.arrived.put_nowait(Message.decode(data))

    def send(self, message: Message) -> None:
        self.transport.sendto(message.encode())

    async def ask(
        self, method, path: str, query: str = "", payload: str = "", format: int | None = None
    ) -> Message:
        """A CON of its own; the answer, acknowledged in the same message."""
        self.mid += 1
        message = Message(code=method, payload=payload.encode(), _mtype=CON, _mid=self.mid)
        message.token = self.mid.to_bytes(2, "big")
        message.opt.uri_path = [part for part in path.split("/") if part]
        message.opt.uri_query = ["=".join(pair) for pair in parse_qsl(query)]
        message.opt.content_format = format
        self.send(message)
        answer = await self.next()
        assert (answer.mtype, answer.mid) == (ACK, self.mid)
        return answer

    async def next(self) -> Message:
        return await asyncio.wait_for(self.arrived.get(), WAIT)

    async def quiet(self, seconds: float = BACKGROUND) -> None:
        await asyncio.sleep(seconds)
        assert self.arrived.empty(), self.arrived.get_nowait()

    def reply(self, request: Message, reply: dict, observe: int | None = None) -> None:
        """A reply as the vectors describe it: a piggybacked ACK, an empty one, or a message of its own."""
        kind = reply["type"]
        message = Message(code=aiocoap.EMPTY, _mtype=ACK, _mid=request.mid)
        if kind == "reset":
            message = Message(code=aiocoap.EMPTY, _mtype=RST, _mid=request.mid)
        elif kind != "empty-ACK":
            major, minor = reply["code"].split(".")
            code = Code(int(major) << 5 | int(minor))
            message = Message(code=code, payload=bytes.fromhex(reply["payload_hex"]))
            message.token = request.token
            if "content_format" in reply:
                message.opt.content_format = reply["content_format"]
            message.opt.observe = observe
            message.mtype, message.mid = ACK, request.mid
            if kind != "piggyback-ACK":
                self.mid += 1
                message.mtype, message.mid = NON, self.mid
        self.send(message)


@contextlib.asynccontextmanager
async def device(port: int):
    loop = asyncio.get_running_loop()
    transport, protocol = await loop.create_datagram_endpoint(
        Device, remote_addr=("127.0.0.1", port)
    )
    try:
        yield protocol
    finally:
        transport.close()
