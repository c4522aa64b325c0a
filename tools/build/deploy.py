# Puts the client onto a board: as .mpy files, as a ROMFS image that runs in place, or packed for QuecPython
# SPDX-License-Identifier: MIT
"""make deploy PORT=/dev/ttyACM0 PROFILE=standard   .mpy files of the version that the board tells
make romfs PROFILE=standard [PORT=...]           a ROMFS image; with PORT it is written to the board
make quec PROFILE=standard                       /usr for classic QuecPython (.mpy version 5), as a zip too
make quec ARGS="--number 2309"                   the same for firmware whose usys.implementation says mpy=2309

Files are made in build/deploy. The board is spoken to by mpremote, so PORT may be anything that mpremote takes.
"""

from __future__ import annotations

import argparse
import errno
import subprocess
import sys
import zipfile
from pathlib import Path

from mpremote.transport import TransportError
from mpremote.transport_serial import SerialTransport

from tools.build import mpy, pack, profiles
from tools.build.profiles import PACKAGE, ROOT

OUT = ROOT / "build/deploy"

_ASK = (
    "import sys\n"
    "i = sys.implementation\n"
    "print(repr((getattr(i, '_mpy', getattr(i, 'mpy', 0)), sys.path, sys.platform, i[1][:3])))"
)

_QUEC = """\
Copy everything below `usr` into the module's /usr, folders and all: with QPYcom (tab File, right-hand pane), or the
VS Code extension's file view. Then reset the module.

  from usr.lwm2m import lwm2m        # in one's own code
  lw = lwm2m()

Unmodified QuecPython scripts say `import lwm2m; lw = lwm2m()`: for these copy usr/main.py too, or put its first lines
at the top of one's own /usr/main.py.

Which .mpy files a firmware takes, it tells itself:

  import usys                        # sys, where there is no usys
  print(usys.implementation)         # (name='micropython', version=(1, 13, 0), mpy=...)

{kind}
If the number after mpy= (or _mpy=) is another, and importing says "incompatible .mpy file", pack files for it with
`make quec ARGS="--number N"`. Where there is no number, pack the sources: `make quec ARGS=--py`.
"""

_QUEC_MAIN = """\
# Lets `import lwm2m` find the client below /usr, on firmware that looks there by the name `usr` only
# SPDX-License-Identifier: MIT
from usr import lwm2m

try:
    import usys as sys
except ImportError:
    import sys

sys.modules["lwm2m"] = sys.modules["usr.lwm2m"]
"""


# What is said of flags of mpy-cross that the files of an old firmware depend on.
_FLAGS = {
    "-mno-unicode": " for text without Unicode, which is 5 modulo 256 with bit 9 (512) clear,",
    "-mcache-lookup-bc": " with room for cached look-ups (bit 8, 256, set),",
}


class DeployError(Exception):
    """What went wrong, in words for the user."""


class Target:
    """A connected board: what it is, and its file system."""

    def __init__(self, port: str, reset: bool = True):
        try:
            self.repl = SerialTransport(port, baudrate=115200)
            self.repl.enter_raw_repl(soft_reset=reset)
            said = self.repl.exec(_ASK).decode()
        except (TransportError, OSError) as error:
            raise DeployError(f"{port}: {error}") from error
        number, self.path, self.platform, self.version = eval(said, {"__builtins__": {}})  # noqa: S307
        try:
            self.kind = mpy.Format.of(number)
        except ValueError:
            self.kind = None

    def library(self) -> str:
        """The folder for packages: one of sys.path that ends in lib, else the root of the file system."""
        for entry in self.path:
            if entry.endswith("/lib") and not entry.startswith("/rom"):
                return entry
        return ""

    def writable(self, place: str) -> bool:
        """Is there a file system at this folder?"""
        try:
            self.repl.fs_stat(f"{place}/lwm2m")
        except OSError as error:
            return error.errno != errno.ENODEV
        except TransportError:
            # No module os, or no stat() in it.
            return False
        return True

    def put(self, source: Path, target: str) -> int:
        """Copies a folder's files to the board where they differ; returns how many were written."""
        made, count = set(), 0
        for path in sorted(source.rglob("*")):
            if not path.is_file():
                continue
            there = f"{target}/{path.relative_to(source)}"
            parts = there.split("/")
            for i in range(1, len(parts)):
                folder = "/".join(parts[:i])
                if folder and folder not in made and not self.repl.fs_exists(folder):
                    self.repl.fs_mkdir(folder)
                made.add(folder)
            data = path.read_bytes()
            if not self._same(there, data):
                self.repl.fs_writefile(there, data)
                count += 1
        return count

    def _same(self, there: str, data: bytes) -> bool:
        try:
            return (
                self.repl.fs_stat(there).st_size == len(data)
                and self.repl.fs_readfile(there) == data
            )
        except OSError:
            return False

    def remove_stale(self, target: str, keep: set[str]) -> None:
        """Removes client files of another kind or profile: a .py beside a .mpy would win over it."""
        for name in self._walk(target):
            if name[len(target) + 1 :] not in keep:
                self.repl.fs_rmfile(name)

    def _walk(self, folder: str):
        if not self.repl.fs_exists(folder):
            return
        for entry in self.repl.fs_listdir(folder):
            name = f"{folder}/{entry.name}"
            if entry.st_mode & 0x4000:
                yield from self._walk(name)
            elif name.endswith((".py", ".mpy")):
                yield name

    def close(self) -> None:
        """Leaves the REPL as a person expects it."""
        self.repl.exit_raw_repl()
        self.repl.close()


def _files(options: argparse.Namespace, ports: str | None = "generic") -> list[str]:
    single = {key: True for key in options.add} | {key: False for key in options.omit}
    return profiles.files(options.profile, ports, **single)


def _packed(
    options: argparse.Namespace, folder: Path, ports: str | None = "generic"
) -> tuple[Path, list[str]]:
    """Where the client's files lie, and their names: packed into a folder beside `folder`, or with --debug the source."""
    names = _files(options, ports)
    if options.debug:
        return PACKAGE, names
    there = folder.with_name(f"{folder.name}-packed")
    _clear(there)
    names = pack.pack(names, profiles.loaded()).write(there)
    print(f"packed; for tracebacks: python -m tools.build.explain --names {there / pack.MAP}")
    return there / "lwm2m", names


def deploy_mpy(options: argparse.Namespace) -> None:
    """make deploy"""
    if not options.port:
        raise DeployError("which board? PORT=/dev/ttyACM0, for example")
    target = Target(options.port, reset=not options.resume)
    try:
        version = ".".join(str(part) for part in target.version)
        if not target.kind:
            raise DeployError(
                f"MicroPython {version} there loads no .mpy files: make quec ARGS=--py packs sources"
            )
        place = options.target if options.target is not None else target.library()
        if not target.writable(place):
            raise DeployError(
                f"{options.port}: the board has no file system to copy files to; freeze the client into "
                f"its firmware (make firmware PROFILE={options.profile}), or where it has a ROMFS "
                f"partition: make romfs PROFILE={options.profile} PORT={options.port}"
            )
        folder = OUT / f"mpy-{options.profile}-{target.kind.version}"
        _clear(folder)
        source, names = _packed(options, folder)
        sizes = mpy.compile_package(names, folder, target.kind, source=source)
        print(f"{target.platform}, MicroPython {version}: .mpy version {target.kind.version}")
        target.remove_stale(
            f"{place}/lwm2m", {str(Path(name).with_suffix(".mpy")) for name in names}
        )
        count = target.put(folder, place)
        print(
            f"{len(sizes)} files, {sum(sizes.values()):,} bytes in {place}/lwm2m; {count} written"
        )
    except (TransportError, OSError) as error:
        raise DeployError(f"{options.port}: {error}") from error
    finally:
        target.close()


def make_romfs(options: argparse.Namespace) -> None:
    """make romfs"""
    folder = OUT / f"romfs-{options.profile}"
    _clear(folder)
    source, names = _packed(options, folder)
    image = mpy.romfs_image(names, folder, source)
    print(f"{image.relative_to(ROOT)}: {image.stat().st_size:,} bytes")
    if options.port:
        tool = Path(sys.executable).with_name("mpremote")
        command = [tool, "connect", options.port, "romfs", "deploy", image]
        if subprocess.run(command, check=False).returncode:
            raise DeployError(f"{options.port}: mpremote could not write the image")
    else:
        print(f"to a board: mpremote romfs deploy {image.relative_to(ROOT)}")


def pack_quec(options: argparse.Namespace) -> None:
    """make quec"""
    folder = OUT / f"quec-{options.profile}"
    _clear(folder)
    if options.profile != "core" and "crypto" not in options.omit:
        # Not every firmware has AES and SHA-256; where it has, these are not loaded.
        options.add = [*options.add, "crypto"]
    source, names = _packed(options, folder, "quectel")
    usr = folder / "usr"
    if options.py:
        for name in names:
            there = usr / "lwm2m" / name
            there.parent.mkdir(parents=True, exist_ok=True)
            there.write_bytes((source / name).read_bytes())
        text = _QUEC.format(kind="These are sources, for any firmware.")
    else:
        kind = mpy.Format.of(options.number) if options.number else mpy.CLASSIC
        mpy.compile_package(names, usr, kind, source=source)
        said = f"of version {kind.version}" + ("," if kind.flags else "")
        for flag, words in _FLAGS.items():
            if flag in kind.flags:
                said += words
        text = _QUEC.format(kind=f"These files are {said.rstrip(',')}.")
    (usr / "main.py").write_text(_QUEC_MAIN)
    (folder / "README.txt").write_text(text)
    packed = folder.with_suffix(".zip")
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                archive.write(path, path.relative_to(folder))
    total = sum(path.stat().st_size for path in usr.rglob("*") if path.is_file())
    print(
        f"{folder.relative_to(ROOT)} and {packed.name}: {len(names)} files, {total:,} bytes for /usr\n"
    )
    print(text)


def _clear(folder: Path) -> None:
    import shutil

    shutil.rmtree(folder, ignore_errors=True)


def main(arguments: list[str] | None = None) -> int:
    """Command line; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tools.build.deploy")
    ways = {"mpy": deploy_mpy, "romfs": make_romfs, "quec": pack_quec}
    parser.add_argument("way", choices=ways)
    parser.add_argument("--profile", default=profiles.DEFAULT, choices=profiles.PROFILES)
    parser.add_argument("--debug", action="store_true", help="the source as it is, not packed")
    parser.add_argument("--port", help="the board, as mpremote names it")
    parser.add_argument("--target", help="folder on the board (mpy)")
    parser.add_argument("--resume", action="store_true", help="no soft reset first (mpy)")
    parser.add_argument("--py", action="store_true", help="sources instead of .mpy files (quec)")
    parser.add_argument(
        "--number", type=int, help="mpy=N of the firmware's usys.implementation (quec)"
    )
    parser.add_argument("--add", action="append", default=[], choices=profiles.FEATURES)
    parser.add_argument("--omit", action="append", default=[], choices=profiles.FEATURES)
    options = parser.parse_args(arguments)
    try:
        ways[options.way](options)
    except (DeployError, ValueError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
