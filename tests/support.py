# The table of builds in docs/builds.md, from what the last runs of tests/test_builds.py found
# SPDX-License-Identifier: MIT
"""python -m tests.support [--check]

A run of ``pytest tests/test_builds.py`` leaves build/support.json; this writes the table between the two marks in
docs/builds.md from it, or checks that the rows there say what the run found.
"""

from __future__ import annotations

import fcntl
import json
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "build" / "support.json"
PAGE = ROOT / "docs" / "builds.md"
BEGIN, END = "<!-- builds, by tests/support.py -->", "<!-- end of builds -->"

# How each build is configured; one that was given by LWM2M_BUILDS says it in its name.
BUILDS = {
    "wheel": "unix, 64 bits, as packaged",
    "UNIX": "unix, 64 bits",
    "UNIX32": "unix, 32 bits",
    "UNIX_SINGLE": "unix, floats of single precision",
    "UNIX_BARE": "unix without threads, SHA-256, AES, TLS",
    "UNIX_QUEC": "unix, configured as QuecPython is",
}
JOBS = (
    ("unit", "unit tests"),
    ("demo", "demo"),
    ("main_job[coap]", "vendor's calls, CoAP"),
    ("main_job[psk]", "DTLS-PSK"),
    ("packed[coap]", "`make quec`, CoAP"),
    ("packed[psk]", "DTLS-PSK"),
)


def note(build: str, version: str, job: str, text: str) -> None:
    """Takes down that a job ran on a build."""
    RESULTS.parent.mkdir(exist_ok=True)
    with open(RESULTS, "a+") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        file.seek(0)
        found = json.loads(file.read() or "{}")
        row = found.setdefault(build, {})
        if row.get("version") != version:
            row.clear()
        row.update({"version": version, job: text})
        file.truncate(0)
        file.write(json.dumps(found, indent=1, sort_keys=True) + "\n")


def _key(name: str) -> tuple:
    return (list(BUILDS).index(name) if name in BUILDS else len(BUILDS), name)


def table(found: dict) -> str:
    """The table, a row for each build that ran."""
    lines = [
        "| MicroPython | configuration | " + " | ".join(title for _, title in JOBS) + " |",
        "|---|---|" + "---|" * len(JOBS),
    ]
    for name in sorted(found, key=_key):
        row = found[name]
        cells = [row["version"], BUILDS.get(name, name.replace("_", " "))]
        cells += [row.get(job, "") for job, _ in JOBS]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def main(arguments: list[str]) -> int:
    """Command line; returns the exit status."""
    if not RESULTS.exists():
        print("error: run pytest tests/test_builds.py first", file=sys.stderr)
        return 1
    found = json.loads(RESULTS.read_text())
    text = PAGE.read_text()
    before, _, rest = text.partition(BEGIN)
    old, _, after = rest.partition(END)
    new = table(found)
    if "--check" in arguments:
        missing = [row for row in new.splitlines() if row not in old]
        for row in missing:
            print(f"docs/builds.md lacks: {row}")
        return 1 if missing else 0
    PAGE.write_text(f"{before}{BEGIN}\n{new}\n{END}{after}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
