# The MicroPython client under test, as a child process that the host drives by JSON lines
# SPDX-License-Identifier: MIT
"""``Device`` runs ``tests/interop/app.py`` on MicroPython's unix port and calls the client in it by name."""

import os
from pathlib import Path

from child import Child

from tools.build.mpy import micropython

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]


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


class Device(Child):
    """One client. Its methods (`set`, `get`, `start`, `stop`, `update`, ...) are those of the client's class.

    `path` lists more folders to import from, `heap` is the size of the heap as MicroPython takes it ("40k").
    """

    name = "the client's process"
    Error = DeviceError

    def __init__(self, path=(), heap=None):
        super().__init__()
        self.path = [str(ROOT / "lib"), *map(str, path)]
        self.heap = heap

    def power_on(self):
        """Start the process; the client itself is made by `new`."""
        heap = ["-X", f"heapsize={self.heap}"] if self.heap else []
        self.spawn(
            [micropython(), *heap, str(HERE / "app.py")],
            env=dict(os.environ, MICROPYPATH=os.pathsep.join([*self.path, ".frozen"])),
        )
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

    def call(self, op, *args, **kw):
        """Call the client's method `op`; DeviceError with its repr if it raised."""
        return unpack(self.ask(op, 5, args=pack(args), kw=kw).result)

    def __getattr__(self, name):
        if name.startswith("_"):
            raise AttributeError(name)
        return lambda *args, **kw: self.call(name, *args, **kw)

    def hook(self, kind, path, value=None):
        """Have every call of `on_write`, `on_exec`, ... told as an event; `value` is what the function returns."""
        self.call("hook", kind, path, value)

    def wait(self, event, timeout=5, **match):
        """Take the oldest event not yet taken that has this name and these members."""
        message = super().wait(event, timeout, **match)
        message["args"] = unpack(message.get("args", []))
        return message

    def events(self):
        """The names of the events not yet taken, oldest first."""
        with self._arrived:
            return [each["event"] for each in self._events]
