# The MicroPython client under test, as a child process that the host drives by JSON lines
# SPDX-License-Identifier: MIT
"""``Device`` runs ``tests/interop/app.py`` on MicroPython's unix port and calls the client in it by name."""

import collections
import itertools
import json
import os
import subprocess
import threading
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]


def micropython():
    """The interpreter: the environment's MICROPYTHON, or that of .venv."""
    return os.environ.get("MICROPYTHON") or str(ROOT / ".venv" / "bin" / "micropython")


class DeviceError(Exception):
    """The client raised, or its process ended."""


def pack(value):
    """Bytes as {"hex": ...}, which is how they travel."""
    if isinstance(value, (bytes, bytearray)):
        return {"hex": bytes(value).hex()}
    if isinstance(value, dict):
        return {str(k): pack(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [pack(v) for v in value]
    return value


def unpack(value):
    """The reverse; a dictionary's keys are the ids of resource instances."""
    if isinstance(value, dict):
        if "hex" in value:
            return bytes.fromhex(value["hex"])
        return {int(k): unpack(v) for k, v in value.items()}
    if isinstance(value, list):
        return [unpack(v) for v in value]
    return value


class Device:
    """One client. Its methods (`set`, `get`, `start`, `stop`, `update`, ...) are those of the client's class.

    `path` lists more folders to import from, `heap` is the size of the heap as MicroPython takes it ("40k").
    """

    def __init__(self, path=(), heap=None):
        self.path = [str(ROOT / "lib"), *map(str, path)]
        self.heap = heap
        self._ids = itertools.count(1)
        self._answers = {}
        self._events = []
        self._arrived = threading.Condition()
        self._errors = collections.deque(maxlen=200)
        self._child = None

    def power_on(self):
        """Start the process; the client itself is made by `new`."""
        command = [micropython()]
        if self.heap:
            command += ["-X", f"heapsize={self.heap}"]
        self._child = subprocess.Popen(
            [*command, str(HERE / "app.py")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=dict(os.environ, MICROPYPATH=os.pathsep.join([*self.path, ".frozen"])),
        )
        threading.Thread(target=self._read, args=(self._child,), daemon=True).start()
        threading.Thread(target=self._log, args=(self._child,), daemon=True).start()
        self.wait("ready")
        return self

    def power_off(self):
        """End the process at once, as a power cut does: nothing is said to a server."""
        if self._child is not None:
            self._child.kill()
            self._child.wait()
            self._child = None

    def __enter__(self):
        return self.power_on()

    def __exit__(self, *exc):
        self.power_off()

    def _read(self, child):
        for line in child.stdout:
            if not line.startswith("{"):
                self._errors.append(line)
                continue
            message = json.loads(line)
            with self._arrived:
                if "event" in message:
                    self._events.append(message)
                else:
                    self._answers[message["id"]] = message
                self._arrived.notify_all()

    def _log(self, child):
        for line in child.stderr:
            self._errors.append(line)

    def log(self):
        """What the process printed besides."""
        return "".join(self._errors)

    def _until(self, found, timeout, what):
        deadline = time.monotonic() + timeout
        with self._arrived:
            while True:
                result = found()
                if result is not None:
                    return result
                if self._child.poll() is not None:
                    raise DeviceError(
                        f"the client's process ended while waiting for {what}:\n{self.log()}"
                    )
                left = deadline - time.monotonic()
                if left <= 0:
                    raise TimeoutError(f"no {what} within {timeout} s at the device\n{self.log()}")
                self._arrived.wait(min(left, 0.5))

    def call(self, op, *args, **kw):
        """Call the client's method `op`; DeviceError with its repr if it raised."""
        number = next(self._ids)
        line = json.dumps({"id": number, "op": op, "args": pack(args), "kw": kw})
        self._child.stdin.write(line + "\n")
        self._child.stdin.flush()
        answer = self._until(lambda: self._answers.pop(number, None), 5, f"answer to {op}")
        if "error" in answer:
            raise DeviceError(answer["error"])
        return unpack(answer["result"])

    def __getattr__(self, name):
        if name.startswith("_"):
            raise AttributeError(name)
        return lambda *args, **kw: self.call(name, *args, **kw)

    def hook(self, kind, path, value=None):
        """Have every call of `on_write`, `on_exec`, ... told as an event; `value` is what the function returns."""
        self.call("hook", kind, path, value)

    def wait(self, event, timeout=5, **match):
        """Take the oldest event not yet taken that has this name and these members."""

        def found():
            for i, each in enumerate(self._events):
                if each["event"] == event and all(each.get(k) == v for k, v in match.items()):
                    return self._events.pop(i)
            return None

        message = self._until(found, timeout, f"event {event} {match}")
        message["args"] = unpack(message.get("args", []))
        return message

    def events(self):
        """The names of the events not yet taken, oldest first."""
        with self._arrived:
            return [each["event"] for each in self._events]
