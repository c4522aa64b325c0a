# The line at the end of a test run that names the packages which would run what was skipped
# SPDX-License-Identifier: MIT
from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from tests.conftest import advice

ROOT = Path(__file__).resolve().parent.parent


def test_packages_of_programs_and_of_builds():
    said = advice(
        [
            "java is not installed",
            "mosquitto is not installed",
            "mosquitto is not installed",
            "dpkg-source is missing",
            "gcc -m32 does not work (apt-get install gcc-multilib); or give a tree by MPY_DIR=/path",
        ]
    )
    assert said == (
        "5 skipped for want of programs; to run them: apt-get install "
        "default-jdk-headless dpkg-dev gcc-multilib mosquitto"
    )


@pytest.mark.parametrize("reason", ["no LWM2M_VECTORS", "this build has no threads"])
def test_nothing_is_said_of_what_no_package_brings(reason):
    assert advice([reason]) == ""


def test_a_run_says_it_once_at_its_end(tmp_path):
    test = tmp_path / "test_one.py"
    test.write_text(
        "import pytest\n"
        "@pytest.mark.parametrize('n', [1, 2])\n"
        "@pytest.mark.needs('mosquitto')\n"
        "def test_one(n): pass\n"
    )
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "pytest",
            "-p",
            "tests.conftest",
            "-c",
            ROOT / "pyproject.toml",
            test,
        ],
        env={"PATH": str(tmp_path), "PYTHONPATH": str(ROOT)},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.stdout.count("to run them: apt-get install mosquitto\n") == 1, done.stdout
    assert "2 skipped for want of programs" in done.stdout
