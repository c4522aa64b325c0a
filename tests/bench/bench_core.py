# The client beside others in one run: requests served, heap for each, and CoAP read and written
# SPDX-License-Identifier: MIT
"""Requests a second are those of one peer that keeps four of them under way over loopback, against the client on
MicroPython's unix port and against aiocoap on CPython. aiocoap answers from bytes that are ready made (those of
the client's own answers), so it is spared the work of LwM2M. Times depend on the machine, and decide nothing;
the exit code is 1 if an idle poll allocates or the registration is longer than it may be."""

import asyncio
import contextlib
import os
import socket
import statistics
import struct
import subprocess
import sys
import time
import tracemalloc
from pathlib import Path

from tools.build.mpy import micropython

ROOT = Path(__file__).resolve().parents[2]
DEVICE = ROOT / "tests/bench/core.py"
REQUESTS = 3000
WINDOW = 4
REGISTRATION = 110
GET, PUT = 1, 3

# name, method, path, the options behind the path, payload
LOAD = (
    ("read /3/0/0", GET, "3/0/0", b"\x60", b""),
    ("read /3/0 in TLV", GET, "3/0", b"\x62\x2d\x16", b""),
    ("read /3303/0/5700", GET, "3303/0/5700", b"\x60", b""),
    ("write /3/0/14", PUT, "3/0/14", b"\x10", b"+02:00"),
)


def request(code, path, options, payload, mid):
    d = struct.pack(">BBHI", 0x44, code, mid, 0x746F0000 | mid)
    delta = 11
    for s in path.split("/"):
        d += bytes([delta << 4 | len(s)]) + s.encode()
        delta = 0
    return d + options + (b"\xff" + payload if payload else b"")


def start(*arguments, **kw):
    path = os.environ.get("MICROPYPATH") or f"{ROOT / 'lib'}:.frozen"
    return subprocess.Popen(
        [micropython(), str(DEVICE), *map(str, arguments)],
        stdout=subprocess.PIPE,
        text=True,
        env=dict(os.environ, MICROPYPATH=path),
        **kw,
    )


class Load:
    """A socket that asks; `peer` is who answers."""

    def __init__(self):
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 0))
        self.socket.settimeout(5)
        self.port = self.socket.getsockname()[1]
        self.mid = 0
        self.peer = None

    def registered(self):
        """Wait for a registration, and accept it."""
        while True:
            d, self.peer = self.socket.recvfrom(2048)
            if b"lwm2m=" in d:
                head = bytes([0x60 | d[0] & 15, 0x41]) + d[2 : 4 + (d[0] & 15)]
                self.socket.sendto(head + b"\x82rd\x017", self.peer)
                return

    def run(self, code, path, options, payload, count):
        """Requests a second, and the last answer."""
        sent = got = 0
        start = time.perf_counter()
        while got < count:
            while sent < count and sent - got < WINDOW:
                self.mid += 1
                sent += 1
                self.socket.sendto(request(code, path, options, payload, self.mid), self.peer)
            answer = self.socket.recv(2048)
            got += answer[1] >= 64
        return count / (time.perf_counter() - start), answer


def cpu(pid):
    """Seconds of CPU that a process took so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def serve(load, pid):
    """[(requests a second, microseconds of CPU for each, answer), ...] of the whole load."""
    out = []
    for _, *what in LOAD:
        load.run(*what, 100)
        start = cpu(pid)
        rate, answer = load.run(*what, REQUESTS)
        if answer[1] not in (0x45, 0x44):
            raise RuntimeError(f"{what[1]} is answered {answer[1] >> 5}.{answer[1] & 31:02}")
        out.append((rate, (cpu(pid) - start) / REQUESTS * 1e6, answer))
    return out


def body(answer):
    """The Content-Format and the payload of an answer, as aiocoap is to give them back."""
    import aiocoap

    message = aiocoap.Message.decode(answer)
    return message.opt.content_format, message.payload


async def site(answers):
    """An aiocoap server with these answers: (context, port)."""
    import aiocoap
    from aiocoap import resource

    class Fixed(resource.Resource):
        def __init__(self, format, payload):
            super().__init__()
            self.answer = {"payload": payload, "content_format": format}

        async def render_get(self, request):
            return aiocoap.Message(**self.answer)

        async def render_put(self, request):
            self.answer["payload"] = request.payload
            return aiocoap.Message(code=aiocoap.CHANGED)

    root = resource.Site()
    for (_, _, path, _, _), (format, payload) in zip(LOAD, answers, strict=True):
        root.add_resource(path.split("/"), Fixed(format, payload))
    context = await aiocoap.Context.create_server_context(
        root, bind=("127.0.0.1", 0), transports=["udp6"]
    )
    messages = context.request_interfaces[0].token_interface
    transport = messages.message_interface.transport
    return context, transport.get_extra_info("socket").getsockname()[1]


async def aiocoap_serves(answers):
    """The process of the aiocoap server: tells its port, then what a request takes of its heap."""
    context, port = await site(answers)
    print(port, flush=True)
    loop = asyncio.get_running_loop()
    await loop.run_in_executor(None, sys.stdin.readline)
    # Asked from this process, one by one: how far the heap goes up during a request, and what stays of it.
    asking = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    asking.setblocking(False)
    asking.connect(("127.0.0.1", port))
    tracemalloc.start()
    for name, *what in LOAD:
        peaks = []
        for mid in range(120):
            if mid == 20:
                first = tracemalloc.get_traced_memory()[0]
            before = tracemalloc.get_traced_memory()[0]
            tracemalloc.reset_peak()
            asking.send(request(*what, 0xF000 + mid + 200 * len(name)))
            await loop.sock_recv(asking, 2048)
            peaks.append(tracemalloc.get_traced_memory()[1] - before)
            await asyncio.sleep(0)
        kept = (tracemalloc.get_traced_memory()[0] - first) / 100
        print(f"{statistics.median(peaks[20:]):.0f} {kept:.0f}", flush=True)
    asking.close()
    await context.shutdown()


def ours():
    load = Load()
    device = start(load.port)
    try:
        load.registered()
        return serve(load, device.pid)
    finally:
        device.kill()
        device.wait()
        load.socket.close()


def theirs(answers):
    """The same of aiocoap, and its heap: [(peak, kept), ...]."""
    words = [f"{-1 if f is None else int(f)}:{p.hex()}" for f, p in answers]
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.bench.bench_core", "--aiocoap", *words],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    load = Load()
    try:
        load.peer = ("127.0.0.1", int(process.stdout.readline()))
        served = serve(load, process.pid)
        process.stdin.write("\n")
        process.stdin.flush()
        heap = [tuple(map(int, process.stdout.readline().split())) for _ in LOAD]
        process.wait(10)
        return served, heap
    finally:
        process.kill()
        process.wait()
        load.socket.close()


def in_memory():
    """{name: (bytes, microseconds)} of the device's own measurements."""
    process = start()
    text, _ = process.communicate(timeout=60)
    if process.returncode:
        raise RuntimeError(f"{DEVICE.name} failed:\n{text}")
    rows = (line.split() for line in text.splitlines())
    return {name.replace("_", " "): (int(a), float(t)) for name, a, t in rows}


def main() -> int:
    alone = in_memory()
    mine = ours()
    other, heap = theirs([body(answer) for _, _, answer in mine])

    print("served over loopback         ours: 1/s  CPU us   aiocoap: 1/s  CPU us   ratio of CPU")
    for (name, *_), a, b in zip(LOAD, mine, other, strict=True):
        ratio = b[1] / a[1]
        print(f"  {name:24} {a[0]:12.0f} {a[1]:7.0f} {b[0]:14.0f} {b[1]:7.0f} {ratio:14.1f}")

    print("heap for each request, bytes   ours, all garbage   aiocoap: peak, stays for 247 s")
    for (name, *_), (peak, kept) in zip(LOAD, heap, strict=True):
        print(f"  {name:24} {alone[name][0]:21} {peak:16} {kept:8}")

    print("in memory, no sockets        bytes allocated     us")
    for name in (n for n in alone if n not in ("register", "parse", "build") and "plain" not in n):
        print(f"  {name:24} {alone[name][0]:17} {alone[name][1]:8.1f}")

    print("one CoAP message             ours: bytes     us   plain classes: bytes     us")
    for name in ("parse", "build"):
        (a, t), (b, u) = alone[name], alone[f"{name}, plain classes"]
        print(f"  {name:24} {a:15} {t:6.1f} {b:22} {u:6.1f}")

    size, idle = alone["register"][0], alone["idle poll"][0]
    print(f"registration with objects 1, 3, 3303: {size} bytes ({REGISTRATION} at the most)")
    if size > REGISTRATION or idle:
        print("error: the registration is too long, or an idle poll allocates", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    if sys.argv[1:2] == ["--aiocoap"]:
        given = [w.split(":") for w in sys.argv[2:]]
        with contextlib.suppress(KeyboardInterrupt):
            asyncio.run(
                aiocoap_serves(
                    [(int(f) if int(f) >= 0 else None, bytes.fromhex(p)) for f, p in given]
                )
            )
    else:
        sys.exit(main())
