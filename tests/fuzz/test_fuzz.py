# 20,000 hostile datagrams to the client, in process on MicroPython; `make fuzz N=1000000 SEED=1` sends more of them
# SPDX-License-Identifier: MIT
"""tests/fuzz/fuzz.py says what is checked. A failure here prints the seed and the last datagrams."""

import subprocess
from pathlib import Path

import pytest

from tools.build.mpy import micropython

FUZZ = Path(__file__).parent / "fuzz.py"
# Their sum is 20,000.
COUNTS = {"plain": 8000, "two": 4000, "bootstrap": 4000, "dtls": 3000, "shortage": 1000}


def fuzz(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [micropython(), FUZZ, *arguments],
        capture_output=True,
        text=True,
        timeout=170,
        check=False,
    )


@pytest.mark.needs("micropython")
@pytest.mark.parametrize("kind", ["plain", "two", "bootstrap", "dtls", "shortage"])
def test_hostile_datagrams(kind):
    done = fuzz("-n", str(COUNTS[kind]), "-s", "1", kind)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.startswith(kind) and f"{COUNTS[kind]} datagrams, seed 1" in done.stdout


@pytest.mark.needs("micropython")
def test_a_seed_says_it_all():
    """The same seed does the same, another one something else."""
    runs = [fuzz("-n", "300", "-s", seed, "-v", "plain").stdout for seed in ("7", "7", "8")]
    # what each datagram was, without the time and the heap in the last line
    first, again, other = [run.splitlines()[:-1] for run in runs]
    assert len(first) > 250 and first == again and first != other


@pytest.mark.needs("micropython")
@pytest.mark.parametrize("arguments", [["-n"], ["-n", "x"], ["nothing"], ["-s"]])
def test_wrong_arguments(arguments):
    done = fuzz(*arguments)
    assert done.returncode == 2 and done.stdout.startswith("error: ")
