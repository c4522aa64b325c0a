# The packed client of each profile does what the source does: the unit tests on both, and what the host drives
# SPDX-License-Identifier: MIT
from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tools.build import pack, profiles
from tools.build.library import translate_all
from tools.build.mpy import micropython
from tools.build.profiles import LIB, PACKAGE, ROOT

UNIT = ROOT / "tests/unit"
OBJECT = "tests/interop/test_lwm2m_object.py"
pytestmark = [pytest.mark.needs("micropython"), pytest.mark.timeout(480)]

# Runs every test of a folder; prints a line for each: ok, skip or FAIL, and its name.
RUNNER = """
import gc, os, sys
sys.path[:0] = [LIBRARY, UNIT]
from link import Skip, forget
for file in sorted(os.listdir(UNIT)):
    name = file[:-3]
    if file[:5] != "test_" or name in LEFT_OUT:
        continue
    try:
        module = __import__(name)
    except (Skip, ImportError):
        continue
    for test in sorted(dir(module)):
        if test[:5] != "test_":
            continue
        try:
            getattr(module, test)()
            print("ok", name + "." + test)
        except Skip:
            print("skip", name + "." + test)
        except Exception as e:
            print("FAIL", name + "." + test)
            sys.print_exception(e, sys.stdout)
        forget()
        gc.collect()
    del sys.modules[name]
print("done")
"""


# Minutes of mutations: the full profile is enough.
LONG = (
    *("test_dtls_broken", "test_dtls_forged", "test_dtls_handshake", "test_dtls_record"),
    *("test_lossy", "test_cbor", "test_fuzz"),
)


def run(library: Path, unit: Path, folder: Path, left_out=()) -> tuple[dict[str, str], str]:
    """{test: ok, skip or FAIL}, and all that was printed."""
    script = folder / "runner.py"
    script.write_text(
        f"LIBRARY = {str(library)!r}\nUNIT = {str(unit)!r}\nLEFT_OUT = {left_out!r}\n{RUNNER}"
    )
    done = subprocess.run(
        [micropython(), "-X", "heapsize=8M", script],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=400,
        check=False,
    )
    assert re.search(r"^done$", done.stdout, re.M), done.stdout[-2000:]
    found = re.findall(r"^(ok|skip|FAIL) (\S+)$", done.stdout, re.M)
    return {name: outcome for outcome, name in found}, done.stdout


def tables(names: list[str]) -> list[str]:
    """Object tables that a profile lacks, and tests use: they are data alone."""
    return [
        name
        for name in profiles.present()
        if name not in names
        and "import" not in (text := (PACKAGE / name).read_text())
        and re.search(r"^TABLE = ", text, re.M)
    ]


@pytest.mark.parametrize("profile", profiles.PROFILES)
def test_unit_tests(packed, tmp_path, profile):
    """What passes on the source of a profile passes on the packed client."""
    library = packed(profile)
    names = profiles.files(profile)
    source = tmp_path / "source"
    for name in names + tables(names):
        (source / "lwm2m" / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(PACKAGE / name, source / "lwm2m" / name)
    own = tmp_path / "packed"
    shutil.copytree(library, own)
    for name in tables(names):
        (own / "lwm2m" / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(PACKAGE / name, own / "lwm2m" / name)
    unit = tmp_path / "unit"
    unit.mkdir()
    texts = {path.name: path.read_text() for path in UNIT.glob("*.py")}
    for name, text in translate_all(texts, library).items():
        (unit / name).write_text(text)
    left_out = () if profile == "full" else LONG
    found, said = run(own, unit, tmp_path, left_out)
    wrong = {name for name, outcome in found.items() if outcome == "FAIL"}
    if profile == "full":
        assert not wrong, said[-20000:]
        assert sum(outcome == "ok" for outcome in found.values()) > 450
        return
    plain, _ = run(source, UNIT, tmp_path, left_out)
    good = {name for name, outcome in plain.items() if outcome == "ok"}
    assert len(good) > 200
    lost = {name for name in good if found.get(name) not in ("ok", "skip")}
    assert not lost, f"{sorted(lost)}\n{said[-20000:]}"
    skipped = {name for name in good if found[name] == "skip"}
    assert len(skipped) < len(good) // 10, skipped


@pytest.mark.timeout(400)
def test_what_the_host_drives(packed, need):
    """The demo, the malformed datagrams, the shell, and the vendor's call sequence on QuecPython's object."""
    library = packed("full")
    env = dict(os.environ, LWM2M_LIBRARY=str(library))
    demo = subprocess.run(
        [sys.executable, "-m", "tools.demo"],
        cwd=ROOT,
        env=env,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert demo.returncode == 0, demo.stdout + demo.stderr
    files = ["tests/test_malformed.py", "tests/test_shell_host.py", OBJECT]
    chosen = "malformed or shell_host or vendor or returns or constants or leaving or operations"
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-k", chosen, *files],
        cwd=ROOT,
        env=env,
        capture_output=True,
        text=True,
        timeout=380,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-8000:]


def test_same_source_same_bytes():
    names = profiles.files("full")
    assert pack.pack(names, profiles.loaded()).digest == pack.pack(names, profiles.loaded()).digest
    assert LIB.exists()
