# The types as editors use them: installed as a package, and the programs of the pages in the strictest check
# SPDX-License-Identifier: MIT
from __future__ import annotations

import re
import shutil
import subprocess
import sys
import venv

import pytest

from tests import guides
from tools.build.profiles import ROOT, settings

README = ROOT / "README.md"


@pytest.fixture(scope="session")
def installed(tmp_path_factory):
    """The packages of an environment with the stubs, as `pip install ./typings` puts them there; without a network."""
    folder = tmp_path_factory.mktemp("typings")
    venv.create(folder / "env")
    (packages,) = (folder / "env" / "lib").glob("*/site-packages")
    shutil.copytree(ROOT / "typings", folder / "source")
    subprocess.run(
        [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        + ["--no-index", "--no-deps", "--no-build-isolation"]
        + ["--target", packages, folder / "source"],
        check=True,
        timeout=120,
    )
    return packages


def check(installed, folder, text):
    """What mypy --strict says about a program, with the installed stubs alone."""
    program = folder / "program.py"
    program.write_text(text)
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", "--cache-dir", installed / "cache"]
        + [
            "--config-file",
            "",
            "--python-executable",
            installed.parents[2] / "bin/python",
            program,
        ],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    return done.stdout + done.stderr


def test_every_stub_is_installed(installed):
    ours = {
        str(p.relative_to(ROOT / "typings" / "lwm2m")) for p in ROOT.glob("typings/lwm2m/**/*.pyi")
    }
    there = installed / "lwm2m-stubs"
    assert {str(p.relative_to(there)) for p in there.rglob("*.pyi")} == ours
    text = (ROOT / "typings" / "pyproject.toml").read_text()
    assert f'version = "{settings()["version"]}"' in text


def programs():
    found = {
        f"README-{number}": text
        for number, text in enumerate(re.findall(r"```python\n(.*?)```", README.read_text(), re.S))
    }
    found["getting-started"] = guides.guide("getting-started")["main.py"]
    editors = (ROOT / "docs" / "editors.md").read_text()
    found["editors"] = re.search(r"```python\n(.*?)```", editors, re.S)[1]
    return found


@pytest.mark.parametrize("name", programs())
def test_programs_of_the_pages_are_strictly_typed(installed, tmp_path, name):
    assert "Success" in check(installed, tmp_path, programs()[name])


def test_a_wrong_call_is_found(installed, tmp_path):
    said = check(installed, tmp_path, "from lwm2m import Client\n\nClient('me', lifetime='5')\n")
    assert "lifetime" in said and "Found 1 error" in said
