# What a test needs of the machine: where that is missing it is skipped, and where everything must run it fails
# SPDX-License-Identifier: MIT
from __future__ import annotations

import os
import shutil

import pytest

from tools.build.mpy import micropython


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


def pytest_configure(config):
    config.addinivalue_line("markers", "needs(*programs): the test cannot run without these")


def pytest_runtest_setup(item):
    for mark in item.iter_markers("needs"):
        _need(*mark.args, **mark.kwargs)
