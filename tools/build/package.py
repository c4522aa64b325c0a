# Writes package.json, by which `mip` installs the client from its repository
# SPDX-License-Identifier: MIT
"""make package        writes package.json anew from manifest.py
make package ARGS=--check   says whether the committed one is current
"""

from __future__ import annotations

import argparse
import json
import sys

from tools.build import profiles
from tools.build.profiles import ROOT

TARGET = ROOT / "package.json"


def content() -> str:
    """The text of package.json: every file of the full profile; unused ones are not loaded on the device."""
    names = profiles.files("full")
    package = {
        "urls": [[f"lwm2m/{name}", f"lib/lwm2m/{name}"] for name in names],
        "deps": [],
        "version": profiles.settings()["version"],
    }
    return json.dumps(package, indent=2) + "\n"


def main(arguments: list[str] | None = None) -> int:
    """Command line; returns 1 if --check finds package.json out of date."""
    parser = argparse.ArgumentParser(prog="python -m tools.build.package")
    parser.add_argument("--check", action="store_true", help="only compare")
    options = parser.parse_args(arguments)
    if not options.check:
        TARGET.write_text(content())
    elif not TARGET.exists() or TARGET.read_text() != content():
        print("package.json is out of date: run `make package`", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
