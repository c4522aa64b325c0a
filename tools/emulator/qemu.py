# Runs an image on the emulated Cortex-M3 board (QEMU's mps2-an385), and talks to its REPL
# SPDX-License-Identifier: MIT
"""python -m tools.emulator.qemu [--profile core] [--heap BYTES]: boots an image with the network bridge and names its pty."""

from __future__ import annotations

import argparse
import contextlib
import os
import re
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from mpremote.transport import TransportError
from mpremote.transport_serial import SerialTransport

from tools.build import firmware, profiles
from tools.emulator.bridge import Bridge

QEMU = "qemu-system-arm"
ADVICE = "apt-get install qemu-system-arm"
# Where a ROMFS image lies in the board's memory (its PSRAM).
ROM_ADDRESS = 0x21000000


class Qemu:
    """A running board. Used as a context manager; `exec` runs code on it and returns what it printed.

    icount counts instructions: time then runs by them (1 ns each), so that a measurement repeats exactly.
    network attaches the datagram bridge, and so does entropy: 32 bytes that the board is to draw its random
    numbers from, always the same where a run must repeat; rom is a ROMFS image that is laid into memory at ROM_ADDRESS.
    """

    def __init__(
        self,
        image: Path,
        *,
        icount: bool = False,
        network: bool = False,
        entropy: bytes | None = None,
        rom: Path | None = None,
    ):
        if not shutil.which(QEMU):
            raise firmware.BuildError(f"{QEMU} is missing: {ADVICE}")
        self._folder = tempfile.TemporaryDirectory(prefix="qemu-")
        self.bridge = None
        if entropy or network:
            source = (lambda: entropy) if entropy else (lambda: os.urandom(32))
            self.bridge = Bridge(Path(self._folder.name) / "line", source)
        command = [
            QEMU,
            "-machine",
            "mps2-an385",
            "-nographic",
            "-monitor",
            "null",
            "-semihosting",
        ]
        command += ["-serial", "pty"]
        command += ["-serial", f"unix:{self.bridge.path}" if self.bridge else "null"]
        if icount:
            command += ["-icount", "shift=0,sleep=off"]
        if rom:
            command += ["-device", f"loader,file={rom},addr={ROM_ADDRESS:#x},force-raw=on"]
        command += ["-kernel", str(image)]
        self._process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
        self._repl: SerialTransport | None = None
        try:
            self.pty = self._find_pty()
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Qemu:
        return self

    def __exit__(self, *_) -> None:
        self.close()

    def _find_pty(self, patience: float = 20) -> str:
        said = b""
        end = time.monotonic() + patience
        while time.monotonic() < end:
            if select.select([self._process.stdout], [], [], 0.5)[0]:
                chunk = os.read(self._process.stdout.fileno(), 4096)
                said += chunk
                found = re.search(rb"redirected to (/dev/pts/\d+)", said)
                if found:
                    return found[1].decode()
                if not chunk:
                    break
        raise firmware.BuildError(f"QEMU did not start: {said.decode(errors='replace').strip()}")

    @property
    def repl(self) -> SerialTransport:
        """The raw REPL, entered when it is first asked for."""
        if not self._repl:
            self._repl = SerialTransport(self.pty, timeout=1)
            self._repl.enter_raw_repl(soft_reset=False)
        return self._repl

    def exec(self, code: str, timeout: float = 60) -> str:
        """Runs code on the board and returns what it printed; RuntimeError with the traceback if it raised."""
        out, error = self.repl.exec_raw(code, timeout=timeout)
        if error:
            raise RuntimeError(error.decode(errors="replace").strip())
        return out.decode().replace("\r\n", "\n")

    def release(self) -> None:
        """Lets go of the pty, for another program to use it."""
        if self._repl:
            with contextlib.suppress(TransportError, OSError):
                self._repl.exit_raw_repl()
            with contextlib.suppress(OSError):
                self._repl.close()
            self._repl = None

    def close(self) -> None:
        """Ends the emulator and the bridge."""
        # First, so that a thread that waits for the board hears of its end.
        self._process.kill()
        self._process.wait()
        self._process.stdout.close()
        self.release()
        if self.bridge:
            self.bridge.close()
        self._folder.cleanup()


def _terminated(number: int, frame: object) -> None:
    """SIGTERM ends the emulator as Ctrl-C does: whoever owns it closes it on the way out."""
    raise KeyboardInterrupt


def main(arguments: list[str] | None = None) -> int:
    """Command line: boots a board for a person, until interrupted or terminated."""
    parser = argparse.ArgumentParser(prog="python -m tools.emulator.qemu")
    parser.add_argument(
        "--profile", default=profiles.DEFAULT, choices=[*profiles.PROFILES, "none"]
    )
    parser.add_argument("--heap", type=int, help="bytes of heap")
    options = parser.parse_args(arguments)
    signal.signal(signal.SIGTERM, _terminated)
    try:
        image = firmware.build("QEMU_MPS2_AN385", options.profile, heap=options.heap)
        with Qemu(image, network=True) as board:
            print(f"mpremote connect {board.pty}    (Ctrl-C here ends the board)", flush=True)
            board._process.wait()
    except firmware.BuildError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print()
    return 0


if __name__ == "__main__":
    sys.exit(main())
