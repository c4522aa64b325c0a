# A slot for the client under test: the package is a file in a folder, and so outlives the process
# SPDX-License-Identifier: MIT
import os

from lwm2m.port.slot import UnsupportedPackage


class FolderSlot:
    """`package` is what was written, `active` what runs after activate(), `trial` says that it awaits confirm(), `log`
    has a byte for each byte that was written. `fail` is (errno or "memory", bytes after which write() raises it)."""

    def __init__(self, folder, fail=None):
        self.folder = folder + "/"
        self.fail = fail
        self.file = None

    def size(self, name):
        try:
            return os.stat(self.folder + name)[6]
        except OSError:
            return -1

    def remove(self, name):
        try:
            os.remove(self.folder + name)
        except OSError:
            pass

    def open(self, offset=0):
        if self.file:
            self.file.close()
        self.file = open(self.folder + "package", "ab" if offset else "wb")
        self.at = offset
        return offset

    def offset(self):
        return max(self.size("package"), 0)

    def write(self, data):
        if not self.at and bytes(data[:3]) == b"bad":
            raise UnsupportedPackage("bad")
        if self.fail and self.at + len(data) > self.fail[1]:
            raise MemoryError if self.fail[0] == "memory" else OSError(self.fail[0])
        self.file.write(data)
        self.file.flush()
        self.at += len(data)
        with open(self.folder + "log", "ab") as log:
            log.write(b"." * len(data))

    def read(self, offset, piece):
        with open(self.folder + "package", "rb") as f:
            f.seek(offset)
            f.readinto(piece)

    def finish(self):
        self.file.close()
        self.file = None

    def abort(self):
        if self.file:
            self.finish()
        self.remove("package")

    def activate(self):
        if self.fail and self.fail[1] < 0:
            raise OSError(self.fail[0])
        os.rename(self.folder + "package", self.folder + "active")
        with open(self.folder + "trial", "w") as f:
            f.write("1")

    def trial(self):
        return self.size("trial") >= 0

    def confirm(self):
        self.remove("trial")

    def roll_back(self):
        self.remove("trial")
        self.remove("active")
