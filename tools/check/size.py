# What the client costs: .mpy bytes, flash of a Cortex-M3 image, RAM on 32 bits; against budgets and the C clients
# SPDX-License-Identifier: MIT
"""make size                 measures, and prints the tables
make size ARGS=--update   also writes docs/size.json and docs/size.svg
make size ARGS=--check    ends with 1 if a budget is exceeded, a figure grew by more than 1 % over docs/size.json, or
                          that lists other files than there are
make size ARGS=--mpy      only the .mpy bytes of each file: needs no cross compiler

Flash is what the image of QEMU's mps2-an385 grows by when a profile is frozen into it (text + data, generic port
included), packed as images are; "plain" is the source as it stands. RAM is heap in use after a collection, above what
the image without the client uses, on the same board.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

from tools.build import firmware, mpy, pack, profiles
from tools.check import lint
from tools.build.profiles import ROOT
from tools.emulator.qemu import Qemu

REPORT = ROOT / "docs/size.json"
PICTURE = ROOT / "docs/size.svg"
SCRIPT = ROOT / "tests/board/registered.py"
WORK = ROOT / "build/size"
BOARD = "QEMU_MPS2_AN385"
TOLERANCE = 1.01

# C clients, arm-none-eabi-gcc 12.2 -Os -mcpu=cortex-m3, one section a function, logs off; libc and TLS not counted:
# name, text of all objects, text after --gc-sections from the public entry points, RAM where it is known.
C_CLIENTS = (
    ("ulwm2m (1.0, TLV; no bootstrap, create, delete)", 5506, None, ""),
    ("Wakaama 1.0 TLV", 27018, 24909, "454 bss + 4.4 kB heap (64-bit)"),
    ("Wakaama 1.0 TLV + bootstrap", 29581, 27632, ""),
    ("Wakaama 1.1 SenML CBOR + bootstrap", 37262, 34429, ""),
    ("Wakaama 1.1, all formats + bootstrap", 47763, 45295, ""),
    ("Anjay Lite minimal", 33181, 28900, "4,600 static"),
    ("Anjay Lite commonly used", 44525, 39444, "7,840"),
    ("Anjay Lite everything (1.2)", 60553, 52364, "9,256 static"),
    ("Anjay 1.1 (stock)", 169172, 142612, "55 kB heap (64-bit)"),
    ("tinydtls, PSK only", 28656, 28206, "200 bss"),
)
# What each profile is set beside in the picture: (profile, C client, with tinydtls or not).
_BESIDE = (
    ("core", "Wakaama 1.0 TLV + bootstrap", False),
    ("core", "Anjay Lite minimal", False),
    ("standard", "Wakaama 1.1 SenML CBOR + bootstrap", True),
    ("standard", "Anjay Lite commonly used", True),
    ("full", "Wakaama 1.1, all formats + bootstrap", True),
    ("full", "Anjay Lite everything (1.2)", True),
)


_EACH = """
def used():
    for _ in range(3):
        gc.collect()
    return gc.mem_alloc()

def each(names):
    import lwm2m
    for name in names:
        before = used()
        try:
            __import__("lwm2m." + name)
        except ImportError:
            continue
        print(name, used() - before)

"""


def mpy_sizes() -> dict[str, int]:
    """.mpy bytes of every file of the full profile, and of the machine code for this board, at -O3."""
    shutil.rmtree(WORK, ignore_errors=True)  # files that are no more
    kind = mpy.Format(flags=("-march=armv7m",))
    return mpy.compile_package(profiles.files("full", viper=True), WORK / "full", kind)


def _ram(text: str) -> dict[str, int]:
    # Lines "name bytes", as tests/board/registered.py prints them.
    pairs = [line.split() for line in text.splitlines() if line.strip()]
    return {pair[0]: int(pair[1]) for pair in pairs if len(pair) == 2 and pair[1].isdigit()}


def _frozen(image: Path, script: str) -> dict[str, int]:
    found = {}
    for start in ("", "OBJECT = True\n"):
        with Qemu(image, entropy=bytes(32)) as board:
            found |= _ram(board.exec(start + script, timeout=120))
    return found


def _import_each(image: Path) -> dict[str, int]:
    """RAM that each file takes when it is imported, lower floors first; what two need counts for the first."""
    names = [name for name in profiles.files("full", "generic") if name != "__init__.py"]
    names.sort(key=lambda name: (-lint.floor(name), name))
    modules = [name[:-3].removesuffix("/__init__").replace("/", ".") for name in names]
    script = SCRIPT.read_text().partition("class Wire")[0] + _EACH
    with Qemu(image, entropy=bytes(32)) as board:
        found = _ram(board.exec(f"{script}each({modules!r})", timeout=120))
    return {
        name: found[module] for name, module in zip(names, modules, strict=True) if module in found
    }


def _packed(profile: str) -> tuple[Path, list[str]]:
    """Where the packed client of a profile lies, and its files."""
    folder = WORK / f"packed-{profile}"
    names = pack.pack(profiles.files(profile, "generic"), profiles.loaded()).write(folder)
    return folder / "lwm2m", names


def _in_place(base: Path, profile: str, script: str) -> dict[str, int]:
    source, names = _packed(profile)
    rom = mpy.romfs_image(names, WORK / f"rom-{profile}", source)
    with Qemu(base, rom=rom, entropy=bytes(32)) as board:
        return _ram(board.exec(script, timeout=120))


def _from_files(profile: str, script: Path) -> dict[str, int]:
    """RAM with .mpy files loaded, on the 32-bit unix port."""
    unix = firmware.build("UNIX32", "none")
    folder = WORK / f"mpy-{profile}"
    source, names = _packed(profile)
    mpy.compile_package(names, folder, source=source)
    done = subprocess.run(
        [unix, script],
        env={"MICROPYPATH": f"{folder}:.frozen"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(done.stdout + done.stderr)
    return _ram(done.stdout)


def measure() -> dict:
    """Everything: {"files": {name: bytes}, "features": {...}, "profiles": {name: {figure: bytes}}}."""
    files = mpy_sizes()
    report: dict = {
        "files": files,
        "features": {
            name: sum(files.get(item, 0) for item in items)
            for name, items in profiles.FEATURES.items()
        },
        "profiles": {},
    }
    base = firmware.build(BOARD, "none")
    empty = firmware.text_and_data(base)
    script = SCRIPT.read_text()
    for profile in profiles.PROFILES:
        names = profiles.files(profile, "generic")
        # As it is on a chip with AES and SHA-256 in C, which this board has not.
        own = set(profiles.features(profile))
        single = {name: name in own for name in ("crypto", "viper")}
        source = firmware.build(BOARD, profile, port="generic", packed=False, **single)
        image = firmware.build(BOARD, profile, port="generic", **single)
        there, packed = _packed(profile)
        made = mpy.compile_package(packed, WORK / f"sizes-{profile}", source=there)
        figures = {
            "count": len(names),
            "mpy": sum(made.values()),
            "flash": firmware.text_and_data(image) - empty,
            "plain_mpy": sum(files[name] for name in names),
            "plain_flash": firmware.text_and_data(source) - empty,
            "plain_ram": _frozen(source, script)["registered"],
        }
        for way, found in (
            ("frozen", _frozen(image, script)),
            ("romfs", _in_place(base, profile, script)),
            ("mpy", _from_files(profile, SCRIPT)),
        ):
            for key, value in found.items():
                figures[f"{key}_{way}"] = value
        if "registered_frozen" in figures:
            figures["ram"] = figures["registered_frozen"]
        report["profiles"][profile] = figures
    report["import"] = _import_each(source)
    return report


def _n(value: int | None) -> str:
    return "-" if value is None else f"{value:,}"


def table(report: dict) -> str:
    """The figures as text."""
    lines = []
    budgets = profiles.settings()["budgets"]
    heap = report.get("import", {})
    groups = dict(profiles.FEATURES)
    groups["ports"] = tuple(
        dict.fromkeys(name for names in profiles.PORTS.values() for name in names)
    )
    for group, names in groups.items():
        there = [name for name in names if name in report["files"]]
        if there:
            total = sum(report["files"][name] for name in there)
            lines.append(f"{group:<34}{_n(total):>9}")
            for name in there:
                ram = f"{_n(heap[name]):>9}" if name in heap else ""
                lines.append(f"    {name:<30}{_n(report['files'][name]):>9}{ram}")
    lines = [
        "  .mpy bytes at -O3, and RAM to import the frozen file",
        *("  " + line for line in lines),
        "",
    ]
    if not report["profiles"]:
        return "\n".join(lines)
    head = ("packed", "files", ".mpy", "flash", "budget", "RAM", "budget")
    head += ("plain: .mpy", "flash", "RAM")
    rows = [
        (
            name,
            str(got["count"]),
            _n(got["mpy"]),
            _n(got["flash"]),
            _n(budgets[name]["flash"]),
            _n(got.get("ram")),
            _n(budgets[name]["ram"]),
            *(_n(got.get(f"plain_{key}")) for key in ("mpy", "flash", "ram")),
        )
        for name, got in report["profiles"].items()
    ]
    lines += _columns((head, *rows)) + [""]
    ways = {"frozen": "frozen", "romfs": "ROMFS", "mpy": ".mpy"}
    head = ("RAM on 32 bits", *(f"import {way}" for way in ways.values()))
    head += (*(f"registered {way}" for way in ways.values()), "through lwm2m()")
    keys = [f"{key}_{way}" for key in ("import", "registered") for way in ways] + ["object_frozen"]
    rows = [
        (name, *(_n(got.get(key)) for key in keys)) for name, got in report["profiles"].items()
    ]
    lines += _columns((head, *rows)) + [""]
    head = ("C clients, Cortex-M3 -Os", "text", "linked", "RAM")
    lines += _columns((head, *((n, _n(t), _n(u), r) for n, t, u, r in C_CLIENTS)))
    return "\n".join(lines)


def _columns(rows: tuple[tuple[str, ...], ...]) -> list[str]:
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    return [
        "  "
        + "  ".join(
            cell.ljust(width) if i == 0 else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        for row in rows
    ]


def picture(report: dict) -> str:
    """The flash figures as an SVG bar picture, ours beside C clients that do about the same."""
    linked = {name: value for name, _, value, _ in C_CLIENTS}
    tls = linked["tinydtls, PSK only"]
    groups: dict[str, list[tuple[str, int, int, bool]]] = {}
    for profile, client, with_tls in _BESIDE:
        if profile in report["profiles"]:
            own = report["profiles"][profile]["flash"]
            bars = groups.setdefault(profile, [(f"this client, {profile}", own, 0, True)])
            label = client + (" + tinydtls" if with_tls else "")
            bars.append((label, linked[client], tls if with_tls else 0, False))
    scale = 390 / max(a + b for bars in groups.values() for _, a, b, _ in bars)
    parts, y = [], 44
    for bars in groups.values():
        for label, code, security, ours in bars:
            colour = "#2f6fb5" if ours else "#9aa5b1"
            weight = ' font-weight="bold"' if ours else ""
            parts.append(f'<text x="322" y="{y + 13}" text-anchor="end"{weight}>{label}</text>')
            wide = round(code * scale, 1)
            parts.append(f'<rect x="330" y="{y}" width="{wide}" height="17" fill="{colour}"/>')
            if security:
                parts.append(
                    f'<rect x="{round(330 + wide, 1)}" y="{y}" width="{round(security * scale, 1)}" '
                    'height="17" fill="#c7ced6"/>'
                )
            end = round(336 + (code + security) * scale, 1)
            parts.append(
                f'<text x="{end}" y="{y + 13}"{weight}>{(code + security) / 1024:.1f} KB</text>'
            )
            y += 23
        y += 12
    return "\n".join(
        (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 800 {y + 24}" width="800" height="{y + 24}" '
            'font-family="sans-serif" font-size="12" fill="#1f2933">',
            "<!-- Flash of the profiles beside C clients; made by tools/check/size.py -->",
            "<!-- SPDX-License-Identifier: MIT -->",
            f'<rect width="800" height="{y + 24}" fill="#ffffff"/>',
            '<text x="12" y="24" font-size="14" font-weight="bold">Flash on a Cortex-M3: the client alone, '
            "beside C clients of the same reach</text>",
            *parts,
            f'<text x="12" y="{y + 10}" font-size="11">MicroPython, libc and AES are not counted; light grey is '
            "tinydtls, which the C clients need for what standard and full have in them.</text>",
            "</svg>\n",
        )
    )


def problems(report: dict, committed: dict | None) -> list[str]:
    """What exceeds a budget, or grew by more than 1 % over the committed report, or is not in it."""
    found = []
    budgets = profiles.settings()["budgets"]
    for name, limits in budgets.items():
        if name == "features":
            got = report["features"]
        else:
            got = report["profiles"].get(name, {})
        for key, limit in limits.items():
            if got.get(key, 0) > limit:
                found.append(
                    f"{name}: {key} is {_n(got[key])} bytes, {_n(got[key] - limit)} over its budget"
                )
    if committed is not None:
        old, new = set(committed.get("files", ())), set(report["files"])
        for names, said in ((new - old, "has no"), (old - new, "still has")):
            if names:
                found.append(
                    f"docs/size.json {said} {', '.join(sorted(names))}: run `make size ARGS=--update`"
                )
    for name, figures in (committed or {}).get("profiles", {}).items():
        for key in ("mpy", "flash", "ram"):
            old, new = figures.get(key), report["profiles"].get(name, {}).get(key)
            if old and new and new > old * TOLERANCE:
                found.append(
                    f"{name}: {key} grew from {_n(old)} to {_n(new)}: more than 1 %; if that is meant, "
                    "run `make size ARGS=--update`"
                )
    return found


def main(arguments: list[str] | None = None) -> int:
    """Command line; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tools.check.size")
    parser.add_argument("--check", action="store_true", help="fail on excess and regression")
    parser.add_argument("--update", action="store_true", help="write docs/size.json and size.svg")
    parser.add_argument("--mpy", action="store_true", help="only .mpy bytes")
    options = parser.parse_args(arguments)
    if options.mpy:
        files = mpy_sizes()
        sums = {
            name: sum(files.get(item, 0) for item in items)
            for name, items in profiles.FEATURES.items()
        }
        print(table({"files": files, "features": sums, "profiles": {}}))
        return 0
    try:
        report = measure()
    except (firmware.BuildError, RuntimeError, ValueError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(table(report))
    committed = json.loads(REPORT.read_text()) if REPORT.exists() else None
    found = problems(report, None if options.update else committed)
    for line in found:
        print(f"  {line}")
    if options.update:
        REPORT.parent.mkdir(exist_ok=True)
        REPORT.write_text(json.dumps(report, indent=1, sort_keys=True) + "\n")
        PICTURE.write_text(picture(report))
    return 1 if options.check and found else 0


if __name__ == "__main__":
    sys.exit(main())
