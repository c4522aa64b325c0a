# Builds a MicroPython image with a profile of the client frozen in
# SPDX-License-Identifier: MIT
"""make firmware BOARD=UNIX|UNIX32|QEMU_MPS2_AN385|ESP32_GENERIC...|RPI_PICO_W... PROFILE=core|standard|full

The source tree of MicroPython is the one that MPY_DIR names. Without it Debian's source packages of MicroPython
and mbedTLS are fetched through apt, once, into the cache (XDG_CACHE_HOME or ~/.cache, below micropython-lwm2m);
object files are kept there too, so that the second build of a board takes seconds. The image and its manifest
are left in build/firmware/BOARD-PROFILE.
"""

from __future__ import annotations

import argparse
import contextlib
import fcntl
import hashlib
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import tomllib
from dataclasses import dataclass, field
from pathlib import Path

from tools.build.profiles import DEFAULT, FEATURES, PROFILES, ROOT, features

SUITE = "forky"
# mbedTLS's own files that MicroPython compiles.
_MBEDTLS_PARTS = ("include", "library", "3rdparty")


class BuildError(Exception):
    """A build that cannot be; the text says what is missing and what to do."""


@dataclass
class Board:
    """How one board is built, from its board.toml."""

    folder: Path
    # The folder below ports/ in MicroPython's tree, and the file that its build makes.
    port: str
    output: str
    # The client's own port (PORTS in manifest.py).
    client: str = "generic"
    # Features that the board cannot do without where it has DTLS: it may lack cryptolib.
    crypto: list[str] = field(default_factory=list)
    # Variables for make.
    make: dict[str, str] = field(default_factory=dict)
    # Programs that must be there, and how they come to be.
    needs: dict[str, str] = field(default_factory=dict)
    # Environment variables and files below MPY_DIR that must be there: they belong to an SDK.
    environment: dict[str, str] = field(default_factory=dict)
    tree: dict[str, str] = field(default_factory=dict)
    # Macros of MicroPython's configuration (unix port): the tool writes a variant of the port for them.
    config: dict[str, str] = field(default_factory=dict)
    # Modules that are to be known by `u` and their name alone, and what others are to lack: {file: [name, ...]}.
    u_names: list[str] = field(default_factory=list)
    absent: dict[str, list[str]] = field(default_factory=dict)
    # C code that must compile and link, where a program's presence says too little.
    probe: list[str] = field(default_factory=list)


def _read_boards() -> dict[str, Board]:
    """From boards/*/board.toml: [boards.NAME] may say otherwise, or more, than the folder does as a whole."""
    found = {}
    for path in sorted(ROOT.glob("boards/*/board.toml")):
        with open(path, "rb") as file:
            common = tomllib.load(file)
        for name, own in common.pop("boards").items():
            merged = {**common, **own}
            for key in ("make", "needs"):
                merged[key] = {**common.get(key, {}), **own.get(key, {})}
            merged["make"] = {
                key: value.format(here=path.parent) for key, value in merged["make"].items()
            }
            found[name] = Board(folder=path.parent, **merged)
    return found


BOARDS = _read_boards()


def cache() -> Path:
    """The folder outside the project that keeps sources and object files."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    path = Path(base) / "micropython-lwm2m"
    path.mkdir(parents=True, exist_ok=True)
    return path


@contextlib.contextmanager
def _locked(name: str):
    """One process at a time: several may build in the same cache."""
    with open(cache() / f"{name}.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _run(command: list[str], cwd: Path, log: Path | None = None) -> str:
    done = subprocess.run(
        command, cwd=cwd, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
    )
    if log:
        log.write_text(done.stdout)
    if done.returncode:
        lines = [
            line[:300]
            for line in done.stdout.splitlines()
            if not line.startswith(("mkdir", "GEN"))
        ]
        tail = "\n".join(lines[-25:])
        raise BuildError(f"{' '.join(command[:4])} ... failed in {cwd}:\n{tail}")
    return done.stdout


def _apt_lists(where: Path) -> list[str]:
    """apt options for source packages of SUITE, with the machine's own mirror and without touching its lists."""
    mirror = keyring = None
    for file in sorted(Path("/etc/apt/sources.list.d").glob("*.sources")):
        for stanza in re.split(r"\n\s*\n", file.read_text()):
            fields = dict(re.findall(r"^([A-Za-z-]+):[ \t]*(.+)$", stanza, re.M))
            uri = fields.get("URIs", "").split(" ")[0]
            if re.search(r"/debian/?$", uri):
                mirror, keyring = uri, fields.get("Signed-By")
                break
        if mirror:
            break
    if not mirror and Path("/etc/apt/sources.list").exists():
        text = Path("/etc/apt/sources.list").read_text()
        found = re.search(r"^deb\s+(?:\[[^]]*\]\s+)?(\S+/debian/?)\s", text, re.M)
        mirror = found and found[1]
    if not mirror:
        raise BuildError(
            "no Debian mirror in /etc/apt; give MicroPython's source tree by MPY_DIR=/path/to/micropython"
        )
    (where / "lists/partial").mkdir(parents=True, exist_ok=True)
    sources = where / "apt.sources"
    sources.write_text(
        f"Types: deb-src\nURIs: {mirror}\nSuites: {SUITE}\nComponents: main\n"
        + (f"Signed-By: {keyring}\n" if keyring else "")
    )
    return [
        f"-oDir::Etc::sourcelist={sources}",
        "-oDir::Etc::sourceparts=-",
        f"-oDir::State::lists={where / 'lists'}",
        f"-oDir::Cache={where / 'aptcache'}",
        "-oAPT::Sandbox::User=",
    ]


def _fetch(target: Path) -> None:
    """Debian's sources of MicroPython, with mbedTLS where its own build expects it."""
    for tool in ("apt-get", "dpkg-source"):
        if not shutil.which(tool):
            raise BuildError(
                f"{tool} is missing (apt-get install dpkg-dev); or give a source tree by MPY_DIR=/path"
            )
    print("fetching MicroPython's and mbedTLS's source packages", flush=True)
    with tempfile.TemporaryDirectory(dir=cache()) as name:
        work = Path(name)
        options = _apt_lists(work)
        _run(["apt-get", *options, "update"], work)
        _run(["apt-get", *options, "source", "--download-only", "micropython", "mbedtls"], work)
        # Debian's patches would put the system's mbedTLS in place of MicroPython's: the tree as it was made.
        recipe = str(next(work.glob("micropython_*.dsc")))
        _run(["dpkg-source", "--no-check", "--skip-patches", "-x", recipe, "mp"], work)
        library = work / "mp/lib/mbedtls"
        library.mkdir(exist_ok=True)
        with tarfile.open(next(work.glob("mbedtls_*.orig.tar.*"))) as archive:
            for member in archive.getmembers():
                member.name = member.name.partition("/")[2]
                if member.name.startswith(_MBEDTLS_PARTS):
                    archive.extract(member, library, filter="data")
        # micropython-lib is not in the package; the build only asks whether it is there.
        (work / "mp/lib/micropython-lib").mkdir(exist_ok=True)
        (work / "mp/lib/micropython-lib/README.md").touch()
        (work / "mp").rename(target)


def source() -> Path:
    """MicroPython's source tree: MPY_DIR, or the cached one (fetched when it is not there)."""
    given = os.environ.get("MPY_DIR")
    if given:
        tree = Path(given).expanduser().resolve()
        if not (tree / "py/mpconfig.h").exists():
            raise BuildError(f"MPY_DIR={given}: no source tree of MicroPython there")
        return tree
    tree = cache() / f"micropython-{SUITE}"
    with _locked("source"):
        if not tree.exists():
            _fetch(tree)
    return tree


def _check(board: Board, name: str) -> None:
    for tool, advice in board.needs.items():
        if not shutil.which(tool):
            raise BuildError(f"{name} needs {tool}: {advice}")
    for variable, advice in board.environment.items():
        if not os.environ.get(variable):
            raise BuildError(f"{name} needs {variable} in the environment: {advice}")
    tree = Path(os.environ.get("MPY_DIR", "/"))
    for part, advice in board.tree.items():
        if not (tree / part).exists():
            raise BuildError(f"{name} needs {part} in {tree}: {advice}")
    if board.probe:
        *command, advice = board.probe
        probe = subprocess.run(
            [*command, "-x", "c", "-", "-o", "/dev/null"],
            input="#include <stdio.h>\nint main(void) { return 0; }",
            text=True,
            capture_output=True,
            check=False,
        )
        if probe.returncode:
            raise BuildError(f"{name}: {' '.join(command)} cannot compile: {advice}")


def missing(name: str) -> str | None:
    """What keeps this machine from building the board, or None."""
    try:
        _check(BOARDS[name], name)
        if not os.environ.get("MPY_DIR") and not (cache() / f"micropython-{SUITE}").exists():
            for tool in ("apt-get", "dpkg-source"):
                if not shutil.which(tool):
                    return f"{tool} is missing"
    except BuildError as error:
        return str(error)
    return None


def _manifest(path: Path, board: Board, profile: str, opt: dict[str, object]) -> None:
    """The manifest of this build: the board's own, told which profile and features."""
    asked = ", ".join(f"{key}={value!r}" for key, value in {"profile": profile, **opt}.items())
    lines = [
        "# Made by tools/build/firmware.py",
        f"include({str(board.folder / 'manifest.py')!r}, {asked})",
    ]
    if profile != "none":
        # First, so that features beyond the profile count: a manifest is included once only.
        lines.insert(1, f"include({str(ROOT / 'manifest.py')!r}, {asked})")
    path.write_text("\n".join(lines) + "\n")


def build(
    name: str,
    profile: str = DEFAULT,
    *,
    heap: int | None = None,
    port: str | None = None,
    debug: bool = False,
    packed: bool = True,
    **single: bool,
) -> Path:
    """Builds one image and returns its path.

    profile "none" is the same image without the client. heap is the size in bytes of the QEMU image's heap.
    port names the client's files for the platform, where they are not to be the board's own.
    packed=False freezes the source as it is, debug=True with line numbers too.
    Further keywords are features of manifest.py to add (True) or to leave out (False).
    """
    board = BOARDS[name]
    _check(board, name)
    tree = source()
    label = "-".join([profile, *(("+" if on else "-") + key for key, on in single.items())])
    label += (f"-{port}" if port else "") + (f"-heap{heap}" if heap else "")
    label += "-debug" if debug else "" if packed else "-plain"
    out = ROOT / "build/firmware" / f"{name}-{label}"
    out.mkdir(parents=True, exist_ok=True)
    manifest = out / "manifest.py"
    if profile != "none" and "dtls" in features(profile, **single):
        single = dict.fromkeys(board.crypto, True) | single
    asked = {**single, "port": port or board.client, "packed": packed and str(out / "packed")}
    asked |= {"debug": True} if debug else {}
    _manifest(manifest, board, profile, asked)
    # One folder of object files a board: only the frozen part differs from profile to profile.
    patched = _patched(tree, name)
    kept = cache() / "obj" / (f"{name}-{_short(tree)}" if patched == tree else patched.name)
    kept.mkdir(parents=True, exist_ok=True)
    variables = dict(board.make)
    if board.config:
        variables["VARIANT_DIR"] = str(_variant(kept / "variant", board))
    if board.u_names or board.absent:
        # The patched tree has no compiler of its own.
        variables["MICROPY_MPYCROSS"] = str(tree / "mpy-cross/build/mpy-cross")
        variables["MICROPY_MPYCROSS_DEPENDENCY"] = ""
    if board.port == "qemu":
        heap = heap or 143360
        variables["MICROPY_HEAP_SIZE"] = str(heap)
    jobs = f"-j{os.cpu_count() or 1}"
    command = ["make", jobs, "-C", str(patched / "ports" / board.port)]
    command += [f"{key}={value}" for key, value in variables.items()]
    command += [f"BUILD={kept}", f"FROZEN_MANIFEST={manifest}"]
    with _locked(f"build-{name}"):
        with _locked("mpy-cross"):
            _run(["make", jobs, "-C", str(tree / "mpy-cross")], ROOT, kept / "mpy-cross.log")
        if board.port == "qemu":
            _fresh_heap(kept, heap)
        # makemanifest looks at times alone, and would keep what another profile or option froze.
        (kept / "frozen_content.c").unlink(missing_ok=True)
        shutil.rmtree(kept / "frozen_mpy", ignore_errors=True)
        _run(command, ROOT, out / "build.log")
        image = out / board.output
        shutil.copy2(kept / board.output, image)
    return image


def _variant(folder: Path, board: Board) -> Path:
    """A variant of the unix port with the board's configuration; its folder."""
    folder.mkdir(exist_ok=True)
    lines = [
        "// Made by tools/build/firmware.py",
        "#define MICROPY_CONFIG_ROM_LEVEL (MICROPY_CONFIG_ROM_LEVEL_EXTRA_FEATURES)",
        *(f"#define {macro} {value}" for macro, value in board.config.items()),
        '#include "variants/mpconfigvariant_common.h"',
    ]
    # make looks at times: what has not changed is not written.
    for path, text in (
        (folder / "mpconfigvariant.h", "\n".join(lines) + "\n"),
        (folder / "mpconfigvariant.mk", ""),
    ):
        if not path.exists() or path.read_text() != text:
            path.write_text(text)
    return folder


# The folders of MicroPython's tree that a patch may reach; all others are links.
_PATCHED = ("py", "extmod", "ports")
_REGISTER = re.compile(r"MP_REGISTER_(?:EXTENSIBLE_)?MODULE\(MP_QSTR_(\w+),")


def _patched(tree: Path, name: str) -> Path:
    """The source tree with the board's patches, a copy in the cache; the tree itself where there are none."""
    board = BOARDS[name]
    if not board.u_names and not board.absent:
        return tree
    asked = repr((board.port, board.u_names, board.absent))
    digest = hashlib.sha256(asked.encode()).hexdigest()[:12]
    target = cache() / f"{_short(tree)}-{name}-{digest}"
    with _locked("source"):
        if not target.exists():
            with tempfile.TemporaryDirectory(dir=cache()) as made:
                work = Path(made) / "mp"
                _copy(tree, work, board.port)
                _patch(work, board)
                work.rename(target)
    return target


def _copy(tree: Path, work: Path, port: str) -> None:
    work.mkdir()
    for entry in tree.iterdir():
        if entry.name not in _PATCHED:
            (work / entry.name).symlink_to(entry)
        elif entry.name == "ports":
            ignored = shutil.ignore_patterns("build*")
            shutil.copytree(entry / port, work / "ports" / port, ignore=ignored, symlinks=True)
        else:
            shutil.copytree(entry, work / entry.name, symlinks=True)


def _patch(work: Path, board: Board) -> None:
    found = set()

    def register(match: re.Match[str]) -> str:
        if match[1] not in board.u_names:
            return match[0]
        found.add(match[1])
        return f"MP_REGISTER_MODULE(MP_QSTR_u{match[1]},"

    for path in work.rglob("*.c"):
        text = path.read_text(errors="surrogateescape")
        new = _REGISTER.sub(register, text)
        for entry in board.absent.get(str(path.relative_to(work)), ()):
            new, count = re.subn(rf"^.*MP_ROM_QSTR\(MP_QSTR_{entry}\).*\n", "", new, flags=re.M)
            if not count:
                raise BuildError(f"{path}: has no {entry} to leave out")
        if new != text:
            path.write_text(new, errors="surrogateescape")
    if missing := set(board.u_names) - found:
        raise BuildError(f"no modules {', '.join(sorted(missing))} in {work}")


def _short(tree: Path) -> str:
    return tree.name if tree.parent == cache() else re.sub(r"\W+", "_", str(tree)).strip("_")


def _fresh_heap(kept: Path, heap: int) -> None:
    """make does not see a changed flag: what holds the heap is made anew when its size is another."""
    note = kept / "heap"
    if not note.exists() or note.read_text() != str(heap):
        for old in (kept / "main.o", kept / "firmware.elf"):
            old.unlink(missing_ok=True)
        note.write_text(str(heap))


def text_and_data(image: Path) -> int:
    """Flash bytes of an ELF image: what `size` counts as text and data."""
    size = "arm-none-eabi-size" if image.suffix == ".elf" else "size"
    columns = _run([size, str(image)], ROOT).splitlines()[1].split()
    return int(columns[0]) + int(columns[1])


def main(arguments: list[str] | None = None) -> int:
    """Command line; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tools.build.firmware")
    parser.add_argument("--board", default="UNIX", help=", ".join(BOARDS))
    parser.add_argument("--profile", default=DEFAULT, choices=[*PROFILES, "none"])
    parser.add_argument("--add", action="append", default=[], choices=FEATURES, metavar="FEATURE")
    parser.add_argument("--omit", action="append", default=[], choices=FEATURES, metavar="FEATURE")
    parser.add_argument("--heap", type=int, help="bytes of heap (QEMU only)")
    parser.add_argument("--debug", action="store_true", help="keep line numbers")
    parser.add_argument("--fetch", action="store_true", help="only fetch the sources")
    options = parser.parse_args(arguments)
    try:
        if options.fetch:
            print(source())
            return 0
        if options.board not in BOARDS:
            known = ", ".join(BOARDS)
            raise BuildError(
                f"unknown BOARD {options.board!r}: one of {known}; boards/QUECPYTHON has its own way"
            )
        single = {key: True for key in options.add} | {key: False for key in options.omit}
        image = build(
            options.board, options.profile, heap=options.heap, debug=options.debug, **single
        )
    except BuildError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    elf = image.suffix in ("", ".elf")
    size = (
        f"{text_and_data(image):,} bytes of text and data"
        if elf
        else f"{image.stat().st_size:,} bytes"
    )
    print(f"{image.relative_to(ROOT)}: {size}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
