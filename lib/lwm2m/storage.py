# What is to outlive a power cut: records in files, each of them the old or the new whatever moment the power goes
# SPDX-License-Identifier: MIT
from .port import module, struct

_MAGIC = b"LWM"
_FORM = const(1)  # another one where a file has another form
_HEAD = ">3sBHHI"  # magic, form, two sums, length
_HEAD_SIZE = const(12)
_PRIME = const(65521)  # of Adler-32 (RFC 1950)


def sums(data):
    """The two halves of Adler-32: not every build has a checksum, and long integers cost heap."""
    low = 1
    high = 0
    for byte in data:
        low = (low + byte) % _PRIME
        high = (high + low) % _PRIME
    return low, high


class System:
    """The file system of the platform, as Files needs it."""

    def __init__(self):
        os = module("os")
        self.open = open
        self.mkdir = os.mkdir
        self.remove = os.remove
        self.rename = os.rename
        # not every board has it: there closing a file is what writes it
        self.sync = getattr(os, "sync", None)


class Files:
    """Records by name in a folder, for `load` and `save` of a client; `system` stands in for the platform's files.

    A record goes to NAME.new first, which then takes the place of NAME. A rename that removes NAME before, as that of
    FAT does, may be cut in the middle: NAME.new is the record then. `on_damage(name)` hears of a file that is no whole
    record, and is NAME.bad from then on; where it is None, a line is printed."""

    on_damage = None

    def __init__(self, folder, system=None):
        self.system = system or System()
        self.folder = folder.rstrip("/") + "/"
        try:
            self.system.mkdir(self.folder[:-1])
        except OSError:
            pass  # it is there, or the first save() tells why not

    def _read(self, path):
        """The record in a file; None where there is no such file, False where it is damaged."""
        try:
            file = self.system.open(path, "rb")
        except OSError:
            return None
        try:
            data = file.read()
        except OSError:
            return False
        finally:
            file.close()
        if len(data) < _HEAD_SIZE:
            return False
        magic, form, low, high, size = struct.unpack(_HEAD, data[:_HEAD_SIZE])
        data = data[_HEAD_SIZE:]
        if magic != _MAGIC or form != _FORM or size != len(data) or sums(data) != (low, high):
            return False
        return data

    def _set_aside(self, old, new):
        """Rename, or leave it: a file system may be one that can only be read."""
        try:
            self._move(old, new)
        except OSError:
            pass

    def _move(self, old, new):
        """Rename where the platform's rename may not replace a file."""
        try:
            self.system.rename(old, new)
        except OSError:
            self._drop(new)
            self.system.rename(old, new)

    def _drop(self, path):
        try:
            self.system.remove(path)
        except OSError:
            pass  # it is not there

    def load(self, name):
        """The record, or None where there is none."""
        path = self.folder + name
        data = self._read(path)
        if data is not None and data is not False:
            return data
        newer = self._read(path + ".new")
        if data is False:
            self._set_aside(path, path + ".bad")
            self._tell_damage(name)
        if newer is None or newer is False:
            return None
        # a cut between the two halves of a rename has left it
        self._set_aside(path + ".new", path)
        return newer

    def _tell_damage(self, name):
        if self.on_damage:
            self.on_damage(name)
        else:
            print("damaged, set aside:", self.folder + name)

    def save(self, name, data):
        """Keep a record in place of the one before, if it is another; OSError where there is no room."""
        if self.load(name) == data:
            return
        path = self.folder + name
        low, high = sums(data)
        file = self.system.open(path + ".new", "wb")
        try:
            file.write(struct.pack(_HEAD, _MAGIC, _FORM, low, high, len(data)) + data)
            file.flush()
        finally:
            file.close()
        if self.system.sync:
            self.system.sync()
        self._move(path + ".new", path)

    def clear(self, name):
        """Forget a record."""
        # the newer one first: else it would come back
        self._drop(self.folder + name + ".new")
        self._drop(self.folder + name)
