# The emulated board itself: it boots, mpremote talks to it, datagrams cross the bridge, time and entropy are there
# SPDX-License-Identifier: MIT
from __future__ import annotations

import contextlib
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from tools.build.profiles import ROOT
from tools.emulator.bridge import DATA, frame, frames


@contextlib.contextmanager
def echo(family=socket.AF_INET, address="127.0.0.1"):
    """A server that sends every datagram back reversed; yields its port and the senders seen."""
    seen = []
    with socket.socket(family, socket.SOCK_DGRAM) as sock:
        sock.bind((address, 0))
        sock.settimeout(0.1)
        stop = threading.Event()

        def serve():
            while not stop.is_set():
                with contextlib.suppress(TimeoutError):
                    data, sender = sock.recvfrom(2048)
                    seen.append(sender)
                    sock.sendto(data[::-1], sender)

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield sock.getsockname()[1], seen
        finally:
            stop.set()
            thread.join()


EXCHANGE = """
import lwm2m_port as port
def exchange(channel, data):
    channel.send(data, 0, len(data))
    start = port.ticks_ms()
    while port.ticks_diff(port.ticks_ms(), start) < 3000:
        got = channel.recv()
        if got is not None:
            return got
"""


def test_boots_with_the_client_frozen(boot):
    board = boot("core")
    out = board.exec("import sys, lwm2m; print(sys.implementation._machine, lwm2m.__file__)")
    assert out == "mps2-an385 with Cortex-M3 lwm2m/__init__.py\n"


def test_mpremote_exec_run_and_mount(boot, mpremote, tmp_path):
    board = boot("none")
    assert mpremote(board, "exec", "print(6 * 7)") == "42\n"
    (tmp_path / "there.py").write_text("VALUE = 'from the host'\n")
    said = mpremote(board, "mount", str(tmp_path), "exec", "import there; print(there.VALUE)")
    assert "from the host\n" in said
    script = tmp_path / "script.py"
    script.write_text("print(sum(range(10)))\n")
    assert mpremote(board, "run", str(script)) == "45\n"


@pytest.mark.parametrize("heap", [20480, 40960])
def test_heap_is_as_small_as_asked(boot, heap):
    board = boot("core", heap=heap)
    total = int(board.exec("import gc; print(gc.mem_free() + gc.mem_alloc())"))
    # Less the collector's own table.
    assert heap * 0.95 < total < heap


def test_datagrams_keep_their_boundaries(boot):
    board = boot("none", network=True)
    with echo() as (port, _):
        board.exec(EXCHANGE + f"c = port.open_udp('127.0.0.1', {port})")
        for size in (1, 2, 127, 128, 1280, 1499):
            out = board.exec(
                f"d = bytes((i * 7 & 255 for i in range({size})))\n"
                "r = exchange(c, d)\nprint(len(r), bytes(reversed(r)) == d)"
            )
            assert out == f"{size} True\n"
        out = board.exec(
            "for i in range(5): c.send(bytes((i, i)), 0, 2)\n"
            "print([bytes(port.ready(500) and c.recv()) for i in range(5)])"
        )
        assert out == repr([bytes((i, i)) for i in range(5)]) + "\n"


def test_channels_do_not_mix(boot):
    board = boot("none", network=True)
    with echo() as (one, _), echo(socket.AF_INET6, "::1") as (two, _):
        board.exec(
            EXCHANGE + f"a = port.open_udp('localhost', {one}); b = port.open_udp('::1', {two})"
        )
        out = board.exec(
            "a.send(b'xyz', 0, 3); b.send(b'uvw', 0, 3)\n"
            "import lwm2m_port\n"
            "t = port.ticks_ms()\n"
            "while port.ticks_diff(port.ticks_ms(), t) < 300: port.ready(10)\n"
            "print(b.recv(), a.recv(), a.recv(), b.recv())"
        )
        assert out == "b'wvu' b'zyx' None None\n"
        assert board.exec("a.close(); a.close(); print(exchange(b, b'12'))") == "b'21'\n"


def test_rebinding_changes_the_source_port(boot):
    board = boot("none", network=True)
    with echo() as (port, seen):
        board.exec(EXCHANGE + f"c = port.open_udp('127.0.0.1', {port}); exchange(c, b'a')")
        board.bridge.rebind()
        assert board.exec("print(exchange(c, b'bc'))") == "b'cb'\n"
        assert len(set(seen)) == 2


def test_a_name_that_is_none_is_an_oserror(boot):
    board = boot("none", network=True)
    out = board.exec(
        "import lwm2m_port\n"
        "try: lwm2m_port.open_udp('no-such-host.invalid', 1)\n"
        "except OSError as e: print('refused')"
    )
    assert out == "refused\n"


def test_entropy_and_time_of_day_come_from_the_host(boot):
    board = boot("none", network=True)
    out = board.exec(
        "import lwm2m_port as p\n"
        "a = p.urandom(48); b = p.urandom(48); print(a != b, len(a), len(set(a)) > 20, p.time())"
    )
    *facts, epoch = out.split()
    assert facts == ["True", "48", "True"]
    assert abs(int(epoch) - time.time()) < 5
    other = boot("none", network=True)
    assert board.exec("print(a)") != other.exec("import lwm2m_port as p; print(p.urandom(48))")


def test_no_host_means_no_randomness(boot):
    board = boot("none")
    out = board.exec(
        "import lwm2m_port\ntry: lwm2m_port.urandom(4)\nexcept OSError as e: print('refused')"
    )
    assert out == "refused\n"


def test_ticks_are_milliseconds(boot):
    board = boot("none", network=True)
    board.exec("import lwm2m_port as p")
    first = time.monotonic(), int(board.exec("print(p.ticks_ms())"))
    time.sleep(0.5)
    then = time.monotonic(), int(board.exec("print(p.ticks_ms())"))
    assert abs((then[0] - first[0]) * 1000 - (then[1] - first[1])) < 150


def test_ticks_wrap_as_time_ticks_do(boot):
    board = boot("none")
    out = board.exec(
        "from lwm2m_port import ticks_add, ticks_diff\n"
        "p = 1 << 30\n"
        "print(ticks_add(p - 1, 2), ticks_diff(1, p - 1), ticks_diff(p - 1, 1), ticks_diff(5, 5))"
    )
    assert out == "1 2 -2 0\n"


def test_instructions_are_counted_the_same_twice(boot):
    code = (
        "from lwm2m_port import ticks_insn\n"
        "def f():\n    t = ticks_insn()\n    for i in range(1000): pass\n    print(ticks_insn() - t)\nf()"
    )
    counts = {boot("none", icount=True).exec(code) for _ in range(2)}
    assert len(counts) == 1
    assert 1000 < int(counts.pop()) < 20000


def test_nothing_allocates_while_idle(boot):
    board = boot("none", network=True)
    with echo() as (port, _):
        out = board.exec(
            EXCHANGE + f"c = port.open_udp('127.0.0.1', {port})\n"
            "import gc\ndata = bytes(100)\n"
            "def f(n):\n"
            "    a = gc.mem_alloc()\n"
            "    for i in range(n):\n"
            "        port.ticks_ms(); c.recv(); port.ready(0)\n"
            "    return gc.mem_alloc() - a\n"
            "def g(n):\n"
            "    a = gc.mem_alloc()\n"
            "    for i in range(n):\n"
            "        c.send(data, 0, 100)\n"
            "    return gc.mem_alloc() - a\n"
            "gc.collect(); gc.disable()\n"
            "f(1); print(f(50)); g(1); print(g(5))"
        )
        assert out == "0\n0\n"


def test_frames_survive_noise():
    buffer = bytearray(
        b"noise" + frame(DATA, 3, b"abc") + b"\xa5\x03\x01\xff\xff" + frame(DATA, 4, b"")
    )
    damaged = bytearray(frame(DATA, 5, b"xyz"))
    damaged[5] ^= 1
    buffer += damaged + frame(DATA, 6, b"\xa5\xa5") + b"\xa5\x03"
    assert list(frames(buffer)) == [(DATA, 3, b"abc"), (DATA, 4, b""), (DATA, 6, b"\xa5\xa5")]
    assert buffer == b"\xa5\x03"


def test_sigterm_ends_the_emulator(image):
    """Whoever runs it as a program can end it: nothing stays behind."""
    image("none")
    program = subprocess.Popen(
        [sys.executable, "-m", "tools.emulator.qemu", "--profile", "none"],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        line = program.stdout.readline()
        assert line.startswith("mpremote connect /dev/pts/"), line
        pty = line.split()[2]
        children = Path(f"/proc/{program.pid}/task/{program.pid}/children").read_text().split()
        assert len(children) == 1
        program.terminate()
        assert program.wait(20) == 0
        assert not Path(f"/proc/{children[0]}").exists() and not Path(pty).exists()
    finally:
        program.kill()
        program.stdout.close()
