# The unit tests on the emulated Cortex-M3: with the client frozen, and with it loaded from .mpy files
# SPDX-License-Identifier: MIT
from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from tools.build import firmware, mpy, profiles
from tools.build.library import translate_all
from tools.build.profiles import LIB
from tools.emulator.qemu import Qemu

UNIT = Path(__file__).parent.parent / "unit"
MODULES = sorted(path.stem for path in UNIT.glob("test_*.py"))

# The board has no `time` and no `os.urandom`; the platform of the tests must win over the board's own.
PREPARE = """
import gc, os, sys
import lwm2m_port as board
class Time:
    ticks_ms = board.ticks_ms
    ticks_us = lambda: board.ticks_ms() * 1000
    ticks_add = board.ticks_add
    ticks_diff = board.ticks_diff
    time = board.time
    def sleep_ms(ms):
        start = board.ticks_ms()
        while board.ticks_diff(board.ticks_ms(), start) < ms:
            pass
    def sleep(s):
        Time.sleep_ms(int(s * 1000))
class Os:
    urandom = board.urandom
for name in dir(os):
    if name[0] != "_":
        setattr(Os, name, getattr(os, name))
sys.modules["time"] = Time
sys.modules["os"] = Os
del sys.modules["lwm2m_port"]
sys.path.insert(0, "/remote")
# It takes the platform of the tests, which takes some of it in turn.
import lwm2m.port
sys.path.pop(0)
sys.path.append("/remote")
import link
"""

# The board's floats have 32 bits, and it has no threads: what tests of 64-bit values and of threads say says nothing.
NOT_HERE = (
    "test_cbor.test_examples_of_the_rfc",
    "test_cbor.test_other_forms_of_the_same_value",
    "test_cbor.test_values",
    "test_quectel_pdp",
    "test_senml.test_times",
    "test_tlv.test_floats",
)

# Minutes of work on the board: enough that the frozen client does it.
LONG = (
    "test_dtls_handshake",
    "test_dtls_loss",
    "test_dtls_refusals",
    "test_dtls_broken",
    "test_dtls_record",
    "test_dtls_fallback",
    "test_lossy",
)

# Where a module has MUTATIONS, the number of its random changes, a tenth of them is enough here.
RUN = """
def run(name, not_here):
    passed = failed = skipped = 0
    try:
        if name in not_here:
            raise link.Skip("not on this board")
        module = __import__(name)
        if hasattr(module, "MUTATIONS"):
            module.MUTATIONS //= 10
    except link.Skip as e:
        print("skip", name, e)
        print("0 passed, 0 failed, 1 skipped")
        return
    for f in sorted(dir(module)):
        if f.startswith("test_"):
            gc.collect()
            if name + "." + f in not_here:
                skipped += 1
                continue
            try:
                getattr(module, f)()
                for e in link.left_over():
                    raise e
                passed += 1
            except link.Skip as e:
                skipped += 1
                print("skip", f, e)
            except Exception as e:
                failed += 1
                print("FAIL", f)
                for x in [e] + link.left_over():
                    sys.print_exception(x)
            link.forget()
    del sys.modules[name]
    print("%d passed, %d failed, %d skipped" % (passed, failed, skipped))
"""


def compiled(folder: Path, library: Path) -> Path:
    """The unit tests as .mpy files: compiling them would take more heap than the board has.

    library: the folder of a packed client, which they are rewritten for; another one changes nothing."""
    texts = {path.name: path.read_text() for path in UNIT.glob("*.py") if path.name != "run.py"}
    (folder / "source").mkdir(parents=True)
    for name, text in translate_all(texts, library).items():
        path = folder / "source" / name
        path.write_text(text)
        # Not optimized: that would take the assertions away.
        mpy.compile_file(path, folder / "unit" / f"{path.stem}.mpy", opt=0)
    return folder / "unit"


@pytest.fixture(scope="module", params=["frozen", "mpy"])
def board(request, image, tmp_path_factory):
    """A board with the unit tests, and the client frozen and packed, or as it is in files, on a folder of the host."""
    folder = tmp_path_factory.mktemp("unit")
    # Some tests move bodies of 100 KB, and the tests themselves lie in the heap, too.
    path = image("none" if request.param == "mpy" else "full", 3 << 20)
    library = LIB if request.param == "mpy" else path.parent / "packed"
    folder = compiled(folder, library)
    if request.param == "mpy":
        # With machine code for AES and SHA-256, which the board has not in C.
        kind = mpy.Format(flags=("-march=armv7m",))
        mpy.compile_package(profiles.files("full", crypto=True, viper=True), folder, kind)
    with Qemu(path, network=True) as running:
        running.repl.mount_local(str(folder))
        running.exec(PREPARE + RUN)
        yield running


@pytest.mark.timeout(150)
@pytest.mark.parametrize("name", MODULES)
def test_unit(board, name, request):
    if name in LONG and request.node.callspec.params["board"] == "mpy":
        pytest.skip("long: done with the frozen client")
    out = board.exec(f"run({name!r}, {NOT_HERE!r})", timeout=120)
    found = re.search(r"^(\d+) passed, (\d+) failed", out, re.M)
    assert found and found[2] == "0", out
    if found[1] == "0":
        pytest.skip(out)


@pytest.mark.timeout(300)
@pytest.mark.parametrize("name", ["UNIX", "UNIX32"])
def test_unit_on_the_older_unix_port(need, name, tmp_path):
    """The source package's unix port, in 64 and in 32 bits, with the client frozen."""
    need(reason=firmware.missing(name))
    program = firmware.build(name, "full")
    texts = {path.name: path.read_text() for path in UNIT.glob("*.py")}
    for file, text in translate_all(texts, program.parent / "packed").items():
        (tmp_path / file).write_text(text)
    done = subprocess.run(
        [program, tmp_path / "run.py"],
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    assert done.returncode == 0 and re.search(r"^[1-9]\d* passed, 0 failed", done.stdout, re.M), (
        done.stdout + done.stderr
    )
