# What a test needs of the machine: where that is missing it is skipped, and where everything must run it fails
# SPDX-License-Identifier: MIT
from __future__ import annotations

import os
import re
import shutil

import pytest

from tools.build import pack, profiles
from tools.build.mpy import micropython


# The Debian packages that bring the programs that tests need.
_PACKAGES = {
    "arm-none-eabi-gcc": "gcc-arm-none-eabi libnewlib-arm-none-eabi",
    "chromedriver": "chromium-driver",
    "chromium": "chromium",
    "coap-server-gnutls": "libcoap3-bin",
    "coap-server-openssl": "libcoap3-bin",
    "dpkg-source": "dpkg-dev",
    "gcc": "gcc libc6-dev",
    "java": "default-jdk-headless",
    "make": "make",
    "mosquitto": "mosquitto",
    "mvn": "maven",
    "node": "nodejs",
    "npm": "npm",
    "openssl": "openssl",
    "qemu-system-arm": "qemu-system-arm",
}

_INSTALL = re.compile(r"apt-get install ((?:[a-z0-9][a-z0-9.+-]+ ?)+)")
_LACKING = re.compile(r"(\S+) is (?:not installed|missing)")


def advice(reasons: list[str]) -> str:
    """The line that says what would run the tests that were skipped for these reasons; "" where nothing would."""
    packages: set[str] = set()
    count = 0
    for reason in reasons:
        # What builds and the emulator miss names its packages itself.
        said = _INSTALL.search(reason)
        lacking = _LACKING.match(reason)
        found = said[1] if said else _PACKAGES.get(lacking[1], "") if lacking else ""
        packages.update(found.split())
        count += bool(found)
    if not packages:
        return ""
    return f"{count} skipped for want of programs; to run them: apt-get install {' '.join(sorted(packages))}"


def pytest_terminal_summary(terminalreporter):
    skipped = terminalreporter.stats.get("skipped", [])
    reasons = [str(each.longrepr[2]) for each in skipped if isinstance(each.longrepr, tuple)]
    line = advice([reason.removeprefix("Skipped: ") for reason in reasons])
    if line:
        terminalreporter.write_line(line)


def _need(*programs: str, reason: str | None = None) -> None:
    for program in programs:
        name = micropython() if program == "micropython" else program
        if not shutil.which(name):
            reason = f"{name} is not installed"
            break
    if reason:
        if os.environ.get("LWM2M_REQUIRE_ALL"):
            pytest.fail(reason, pytrace=False)
        pytest.skip(reason)


@pytest.fixture(scope="session")
def need():
    """need("java", "mvn"): programs that must be there; need(reason=...): what else is missing, or None."""
    return _need


@pytest.fixture(scope="session")
def packed(tmp_path_factory):
    """packed(profile): a folder with the packed package lwm2m, made once, and its names.json."""
    made = {}

    def make(profile, ports=None, **single):
        key = (profile, ports, *sorted(single.items()))
        if key not in made:
            made[key] = tmp_path_factory.mktemp(profile)
            names = profiles.files(profile, ports, **single)
            pack.pack(names, profiles.loaded()).write(made[key])
        return made[key]

    return make


def pytest_configure(config):
    config.addinivalue_line("markers", "needs(*programs): the test cannot run without these")


def pytest_runtest_setup(item):
    for mark in item.iter_markers("needs"):
        _need(*mark.args, **mark.kwargs)
