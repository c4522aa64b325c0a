# A slot in memory for tests of updates: what it keeps survives a "restart", and it can be made to fail
# SPDX-License-Identifier: MIT
from lwm2m.port.slot import UnsupportedPackage


class RamSlot:
    """`kept` is the package as written, `flashed` how many bytes went into it in all; `fails` is raised by write() at
    `fails_at`. A package that begins with "bad" is of no known type."""

    def __init__(self, fails=None, fails_at=0):
        self.kept = bytearray()
        self.flashed = 0
        self.fails = fails
        self.fails_at = fails_at
        self.calls = []
        self.on_trial = False
        self.activation = None

    def open(self, offset=0):
        self.calls.append(("open", offset))
        assert offset <= len(self.kept)
        self.kept = self.kept[:offset]
        return offset

    def offset(self):
        return len(self.kept)

    def read(self, offset, piece):
        for k in range(len(piece)):
            piece[k] = self.kept[offset + k]

    def write(self, data):
        if self.fails and len(self.kept) + len(data) > self.fails_at:
            raise self.fails
        if not self.kept and bytes(data[:3]) == b"bad":
            raise UnsupportedPackage("bad")
        self.kept.extend(data)
        self.flashed += len(data)

    def finish(self):
        self.calls.append("finish")

    def abort(self):
        self.calls.append("abort")
        self.kept = bytearray()

    def activate(self):
        if self.activation:
            raise self.activation
        self.calls.append("activate")
        self.on_trial = True

    def trial(self):
        return self.on_trial

    def confirm(self):
        self.calls.append("confirm")
        self.on_trial = False

    def roll_back(self):
        self.calls.append("roll_back")
        self.on_trial = False
