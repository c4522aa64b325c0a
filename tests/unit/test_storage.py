# What outlives a power cut: files on a disk in memory whose power goes at any byte
# SPDX-License-Identifier: MIT
from link import *

try:
    from lwm2m.storage import Files
except ImportError:
    raise Skip("no storage in this image")


class Cut(Exception):
    """The power goes."""


class File:
    def __init__(self, disk, path, data):
        self.disk = disk
        self.path = path
        self.data = data

    def read(self):
        return self.data

    def write(self, data):
        files = self.disk.files
        for k in range(len(data)):
            self.disk.spend()
            files[self.path] += bytes((data[k],))
            self.disk.written += 1

    def flush(self):
        self.disk.spend()

    def close(self):
        pass


class Disk:
    """Files in memory; after `left` steps (a byte, the making of a file, half of a rename, ...) the power goes.
    `fat`: a rename removes what it replaces first; `strict`: it replaces nothing."""

    def __init__(self, fat=False, strict=False):
        self.files = {}
        self.left = -1
        self.written = 0
        self.fat = fat
        self.strict = strict

    def spend(self):
        if self.left == 0:
            raise Cut()
        self.left -= 1

    def open(self, path, mode):
        if mode == "wb":
            self.spend()
            self.files[path] = b""
        elif path not in self.files:
            raise OSError(2)
        return File(self, path, self.files[path])

    def mkdir(self, path):
        pass

    def remove(self, path):
        if path not in self.files:
            raise OSError(2)
        self.spend()
        del self.files[path]

    def rename(self, old, new):
        if new in self.files and self.strict:
            raise OSError(17)
        if new in self.files and self.fat:
            self.remove(new)
        self.spend()
        self.files[new] = self.files.pop(old)

    def sync(self):
        self.spend()


def disks():
    return (Disk(), Disk(fat=True), Disk(strict=True))


def test_kept():
    disk = Disk()
    files = Files("/kept/", disk)
    assert files.load("a") is None
    for data in (b"one", b"", bytes(range(256)) * 4):
        files.save("a", data)
        assert Files("/kept", disk).load("a") == data
    assert list(disk.files) == ["/kept/a"]
    written = disk.written
    files.save("a", data)
    assert disk.written == written
    files.clear("a")
    files.clear("a")
    assert files.load("a") is None and not disk.files


def test_cut_at_any_byte():
    old, new, last = b"the old one", b"the new one, which is longer", b"x"
    for kind in range(3):
        seen = []
        step = 0
        while True:
            disk = disks()[kind]
            Files("k", disk).save("a", old)
            disk.left = step
            whole = False
            try:
                Files("k", disk).save("a", new)
                whole = True
            except Cut:
                pass
            # cut again, at any step of what follows
            before = dict(disk.files)
            again = 0
            while not whole:
                disk.files = dict(before)
                disk.left = -1
                found = Files("k", disk).load("a")
                assert found in (old, new), (kind, step)
                if found not in seen:
                    seen.append(found)
                disk.files = dict(before)
                disk.left = again
                try:
                    Files("k", disk).save("a", last)
                    break
                except Cut:
                    disk.left = -1
                    assert Files("k", disk).load("a") in (found, last), (kind, step, again)
                again += 1
            disk.left = -1
            step += 1
            if whole:
                break
        assert step > len(new) and old in seen


def test_damage():
    disk = Disk()
    files = Files("k", disk)
    told = []
    files.on_damage = told.append
    files.save("a", b"precious")
    good = disk.files["k/a"]
    for k in range(len(good)):
        for bad in (good[:k], good[:k] + bytes((good[k] ^ 1,)) + good[k + 1 :]):
            disk.files = {"k/a": bad}
            assert files.load("a") is None
            assert disk.files == {"k/a.bad": bad}
            assert files.load("a") is None
    assert told == ["a"] * (2 * len(good))
    files.save("a", b"next")
    assert files.load("a") == b"next"


def test_a_file_system_that_can_only_be_read():
    class ReadOnly(Disk):
        def rename(self, old, new):
            raise OSError(30)

        def remove(self, path):
            raise OSError(30)

    disk = Disk()
    Files("k", disk).save("a", b"kept")
    only = ReadOnly()
    files = Files("k", only)
    told = []
    files.on_damage = told.append
    only.files = {"k/a.new": disk.files["k/a"]}
    assert files.load("a") == b"kept" and not told
    only.files["k/a"] = b"damaged"
    assert files.load("a") == b"kept" and told == ["a"]
    only.files.pop("k/a.new")
    assert files.load("a") is None and told == ["a", "a"]


def test_no_room():
    disk = Disk()
    files = Files("k", disk)
    files.save("a", b"old")

    def full(data):
        raise OSError(28)

    class Full(Disk):
        def open(self, path, mode):
            file = Disk.open(self, path, mode)
            file.write = full
            return file

    disk2 = Full()
    disk2.files = disk.files
    assert raises(OSError, Files("k", disk2).save, "a", b"new")
    assert files.load("a") == b"old"


def test_platform():
    try:
        folder = "storage-test"
        files = Files(folder)
        files.save("a", b"1")
    except (OSError, ImportError, AttributeError, NameError) as error:
        raise Skip("no file system: %r" % error)
    try:
        files.save("a", b"22")
        assert Files(folder).load("a") == b"22"
    finally:
        files.clear("a")
        os.rmdir(folder)
