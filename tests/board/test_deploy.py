# Deployment: .mpy files, ROMFS, mip and the pack for QuecPython, onto the emulated board and the unix port
# SPDX-License-Identifier: MIT
from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tools.build import deploy, firmware, mpy, profiles
from tools.build.profiles import ROOT

# The board has no file system of its own: one in memory stands in for a board's flash.
RAM_DISK = """
import io, vfs
class Out:
    def __init__(self, disk, name, data=b""):
        self.disk, self.name, self.data = disk, name, bytearray(data)
    def write(self, data):
        self.data += data
        return len(data)
    def close(self):
        self.disk.files[self.name] = bytes(self.data)
    def __enter__(self):
        return self
    def __exit__(self, *_):
        self.close()
class Disk:
    def __init__(self):
        self.files = {}
        self.folders = ["/"]
        self.cwd = "/"
    def _path(self, p):
        p = p if p[:1] == "/" else self.cwd.rstrip("/") + "/" + p
        return p.rstrip("/") or "/"
    def mount(self, readonly, mkfs):
        pass
    def umount(self):
        pass
    def chdir(self, p):
        self.cwd = self._path(p)
    def getcwd(self):
        return self.cwd
    def open(self, p, mode):
        p = self._path(p)
        if "w" in mode:
            return Out(self, p)
        if p not in self.files:
            raise OSError(2)
        return io.BytesIO(self.files[p]) if "b" in mode else io.StringIO(self.files[p].decode())
    def stat(self, p):
        p = self._path(p)
        if p in self.folders:
            return (0x4000, 0, 0, 0, 0, 0, 0, 0, 0, 0)
        if p not in self.files:
            raise OSError(2)
        return (0x8000, 0, 0, 0, 0, 0, len(self.files[p]), 0, 0, 0)
    def mkdir(self, p):
        self.folders.append(self._path(p))
    def remove(self, p):
        del self.files[self._path(p)]
    def ilistdir(self, p):
        p = self._path(p).rstrip("/") + "/"
        for names, kind in ((self.files, 0x8000), (self.folders, 0x4000)):
            for name in names:
                if name.startswith(p) and name != p and "/" not in name[len(p):]:
                    yield (name[len(p):], kind, 0, len(self.files.get(name, b"")))
disk = Disk()
vfs.mount(disk, "/")
import os, sys
os.mkdir("/lib")
sys.path.append("/lib")
"""


@pytest.fixture
def disk(boot):
    """A board without the client, and with a file system."""
    board = boot("none", network=True)
    board.exec(RAM_DISK)
    return board


def test_mpy_files_of_the_boards_version(disk):
    disk.release()
    command = ["mpy", "--profile", "core", "--port", disk.pty, "--resume"]
    assert deploy.main(command) == 0
    out = disk.exec(
        "import lwm2m; print(lwm2m.Client)\nimport lwm2m.client as c; print(c.__file__)"
    )
    assert out == "<class 'Client'>\n/lib/lwm2m/client.mpy\n"


def test_a_second_time_writes_only_what_changed_and_removes_what_is_stale(disk, capsys):
    disk.release()
    command = ["mpy", "--profile", "core", "--port", disk.pty, "--resume"]
    assert deploy.main(command) == 0
    disk.exec(
        "open('/lib/lwm2m/client.py', 'wb').close(); open('/lib/lwm2m/gone.mpy', 'wb').close()"
    )
    disk.exec("f = open('/lib/lwm2m/quectel.mpy', 'wb'); f.write(b'x'); f.close()")
    disk.release()
    capsys.readouterr()
    assert deploy.main(command) == 0
    assert "; 1 written" in capsys.readouterr().out
    names = disk.exec("print(sorted(disk.files))")
    assert "client.py'" not in names and "gone" not in names and "/lib/lwm2m/quectel.mpy" in names


def test_a_port_that_is_none_is_said_so(capsys):
    assert deploy.main(["mpy", "--port", "/dev/no-such-port"]) == 1
    assert "error: /dev/no-such-port" in capsys.readouterr().err
    assert deploy.main(["mpy"]) == 1
    assert "PORT=" in capsys.readouterr().err


def test_a_board_without_a_file_system_is_told_what_to_do(boot, capsys):
    board = boot("none")
    assert deploy.main(["mpy", "--port", board.pty, "--resume"]) == 1
    said = capsys.readouterr().err
    assert "has no file system" in said and "make firmware PROFILE=standard" in said
    assert "Traceback" not in said


def test_mip_installs_from_package_json(boot):
    """As `mpremote mip install github:...` does, from a checkout."""
    disk = boot("none", heap=3 << 20, network=True)
    disk.exec(RAM_DISK)
    disk.release()
    done = subprocess.run(
        [
            Path(sys.executable).with_name("mpremote"),
            *("connect", disk.pty, "resume", "mip", "install", "--target", "/lib"),
            str(ROOT / "package.json"),
        ],
        capture_output=True,
        text=True,
        timeout=150,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    for name in profiles.files("core", "generic"):
        size = (profiles.PACKAGE / name).stat().st_size
        assert disk.exec(f"print(len(disk.files['/lib/lwm2m/{name}']))") == f"{size}\n"
    assert (
        disk.exec("from lwm2m.coap.endpoint import Endpoint; print(Endpoint)")
        == "<class 'Endpoint'>\n"
    )


def test_romfs_is_written_by_mpremote_and_runs_in_place(boot):
    board = boot("none", network=True)
    board.exec("")
    board.release()
    assert deploy.main(["romfs", "--profile", "core", "--port", board.pty]) == 0
    # A restart mounts it, as on a board with flash.
    board.repl.exit_raw_repl()
    board.repl.enter_raw_repl(soft_reset=True)
    out = board.exec(
        "import gc, lwm2m.client as c\n"
        "print(c.__file__)\n"
        "from lwm2m.model.tables.core import TABLE\n"
        "import uctypes\n"
        "print(uctypes.addressof(TABLE) >> 20 == 0x210)"
    )
    assert out == "/rom/lwm2m/client.mpy\nTrue\n"


def test_quec_pack_holds_mpy_version_5(capsys):
    assert deploy.main(["quec", "--profile", "core"]) == 0
    said = capsys.readouterr().out
    assert "QPYcom" in said
    with zipfile.ZipFile(deploy.OUT / "quec-core.zip") as archive:
        names = archive.namelist()
        compiled = [name for name in names if name.endswith(".mpy")]
        assert "usr/lwm2m/client.mpy" in compiled and "usr/main.py" in names
        for name in compiled:
            # "M", version, neither Unicode nor cached look-ups, 31 bits of small integers
            assert archive.read(name)[:4] == b"M\x05\x00\x1f", name


@pytest.mark.needs("micropython")
def test_quec_pack_works_below_usr():
    """As classic firmware finds it: the package in /usr, and `import lwm2m` of unmodified scripts."""
    assert deploy.main(["quec", "--profile", "core", "--py"]) == 0
    code = (
        "import sys\nsys.path[:] = ['', '.frozen']\n"
        "import usr.main\n"
        "import lwm2m\n"
        "lw = lwm2m()\n"
        "print(lw.stat(), lw.Security, type(lw).__name__)\n"
        "print(sys.modules['usr.lwm2m.quectel'].__file__)\n"
    )
    done = subprocess.run(
        [mpy.micropython(), "-c", code],
        cwd=deploy.OUT / "quec-core",
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[1] == "usr/lwm2m/quectel.py"


@pytest.mark.parametrize(
    ("number", "version", "flags"),
    [
        (0x306, "6.3", ()),
        (0xB06, "6.3", ("-march=x64",)),
        (0x1706, "6.3", ("-march=armv7m",)),
        (6, "6", ()),
        (0x206, "6.2", ()),
        (0x205, "5", ()),
        (0x305, "5", ("-mcache-lookup-bc",)),
        (0x005, "5", ("-mno-unicode",)),
    ],
)
def test_mpy_version_from_what_a_board_tells(number, version, flags):
    assert mpy.Format.of(number) == mpy.Format(version, flags)


def test_mpy_version_that_is_unknown():
    with pytest.raises(ValueError, match="unknown"):
        mpy.Format.of(4)


def test_every_file_compiles_for_every_version(tmp_path):
    for version in ("5", "6", "6.1", "6.2", "6.3"):
        names = profiles.present()
        # Native code is bound to an architecture.
        names = [name for name in names if "viper" not in name]
        assert mpy.compile_package(names, tmp_path / version, mpy.Format(version)).keys() == set(
            names
        )


def test_the_frozen_debug_image_keeps_line_numbers(image):
    from tools.emulator.qemu import Qemu

    code = (
        "from lwm2m import Client\n"
        "try: Client('x', 'http://no')\n"
        "except ValueError as e:\n import sys; sys.print_exception(e)"
    )
    path = firmware.build("QEMU_MPS2_AN385", "core", debug=True)
    with Qemu(path) as board:
        assert ", line 1, in" not in board.exec(code).replace('File "<stdin>", line 1', "")
    with Qemu(image("core")) as board:
        assert ", line 1, in" in board.exec(code).replace('File "<stdin>", line', "")
