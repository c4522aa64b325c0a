# docs/interop.md from what the last run of the interoperability tests found
# SPDX-License-Identifier: MIT
"""python -m tests.interop.report [--check]

A run of ``pytest tests/interop`` leaves build/interop.json; this makes docs/interop.md from it, or checks
that the committed page says the same. A test belongs to a case by its name: test_int_101_...,
test_int11_101_... for a case of the 1.1 list.
"""

import argparse
import json
import re
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

from tests.interop.sentences import SENTENCES

ROOT = Path(__file__).resolve().parents[2]
RESULTS = ROOT / "build" / "interop.json"
PAGE = ROOT / "docs" / "interop.md"
LESHAN = ROOT / "tests" / "interop" / "leshan"
NAME = re.compile(r"test_int(11)?_(\d+)_")

# Ids and short titles of the OMA enabler test specification; the steps are the tests' own.
CASES = {
    "1.0": {
        0: "Client Initiated Bootstrap",
        1: "Client Initiated Bootstrap Full (PSK)",
        2: "Client Initiated Bootstrap Full (Cert)",
        101: "Initial Registration",
        102: "Registration Update",
        103: "Deregistration",
        104: "Registration Update Trigger",
        201: "Querying basic information in Plain Text format",
        202: "Querying basic information in Opaque format",
        203: "Querying basic information in TLV format",
        205: "Setting basic information in Plain Text format",
        210: "Setting basic information in Opaque format",
        215: "Setting basic information in TLV format",
        241: "Executable Resource: Rebooting the device",
        260: "Discover Command",
        270: "Create Object Instance",
        271: "Create Multiple Resource Instance",
        290: "Delete Object Instance",
        301: "Observation and Notification of parameter values",
        302: "Cancel Observations using Reset Operation",
        303: "Cancel observations using Observe with Cancel parameter",
        401: "UDP Channel Security - Pre-shared Key Mode",
        551: "Server Object: Access Check to the Resources",
        555: "Server Object: Check of the Disable (De-Registration) capability",
        556: "Server Object: Check of the Update Registration capability",
        560: "Server Object: Delayed Report Notification",
        565: "Server Object: Create Object Instance",
        566: "Server Object: Delete Object Instance",
        651: "Device Object: Check Access to the Resources",
        652: "Device Object: Querying the firmware version from the client",
        655: 'Device Object: Check of the "Reboot" capability',
        656: 'Device Object: Check of the "Factory Reset" capability',
        657: 'Device Object: Check of the "Error Code" functionality',
        660: "Device Object: Basic Observation and notification of Device Object Resources",
        661: "Device Object: Extended Observation and notification of Device Object Resources",
        670: "Device Object: Create Multiple Resource Instances",
        680: "Device Object: Create Object Instance",
        685: "Device Object: Delete Object Instance",
        751: "Firmware Update Object: Querying the readable resources",
        755: "Firmware Update Object: Setting the writable Resource Package",
        756: "Firmware Update Object: Setting the writable Resource Package URI",
        760: "Firmware Update Object: Basic Observation and notification",
        770: "Firmware Update Object: Successful Firmware update (via CoAP)",
        771: "Firmware Update Object: Successful Firmware update (via alternative mechanism)",
        772: "Firmware Update Object: installation without downloaded package",
        773: "Firmware Update Object: shortage of storage memory",
        774: "Firmware Update Object: out of memory",
        775: "Firmware Update Object: connection lost during download (package URI)",
        776: "Firmware Update Object: package integrity check failure",
        777: "Firmware Update Object: unsupported package type",
        778: "Firmware Update Object: invalid URI (package URI)",
        779: "Firmware Update Object: unsuccessful firmware update",
        780: "Firmware Update Object: unsupported protocol",
    },
    "1.1": {
        0: "Client Initiated Bootstrap",
        1: "Client Initiated Bootstrap Full (PSK)",
        4: "Bootstrap Delete",
        5: "Server Initiated Bootstrap",
        6: "Bootstrap Sequence",
        7: "Fallback to bootstrap",
        8: "Bootstrap Read",
        101: "Initial Registration",
        102: "Registration Update",
        103: "Deregistration",
        104: "Registration Update Trigger",
        105: "Discarded Register Update",
        107: "Extending the lifetime of a registration",
        108: "Turn on Queue Mode",
        109: "Behavior in Queue Mode",
        201: "Querying basic information in Plain Text format",
        203: "Querying basic information in TLV format",
        204: "Querying basic information in JSON format",
        205: "Setting basic information in Plain Text format",
        211: "Querying basic information in CBOR format",
        212: "Setting basic information in CBOR format",
        215: "Setting basic information in TLV format",
        220: "Setting basic information in JSON format",
        221: "Attempt to perform operations on Security",
        222: "Read on Object",
        223: "Read on Object Instance",
        224: "Read on Resource",
        225: "Read on Resource Instance",
        226: "Write (Partial Update) on Object Instance",
        227: "Write (Replace) on Resource",
        228: "Write on Resource Instance",
        229: "Read-Composite Operation",
        230: "Write-Composite Operation",
        231: "Querying basic information in SenML JSON format",
        232: "Querying basic information in SenML CBOR format",
        233: "Setting basic information in SenML CBOR format",
        234: "Setting basic information in SenML JSON format",
        235: "Read-Composite Operation on root path",
        236: "Read-Composite - Partial Presence",
        237: "Read on Object without specifying Content-Type",
        241: "Executable Resource: Rebooting the device",
        256: "Write Operation Failure",
        257: "Write-Composite Operation",
        260: "Discover Command",
        261: "Write-Attribute Operation on a multiple resource",
        280: "Successful Read-Composite Operation",
        281: "Partially Successful Read-Composite Operation",
        301: "Observation and Notification of parameter values",
        302: "Cancel Observations using Reset Operation",
        303: "Cancel observations using Observe with Cancel parameter",
        304: "Observe-Composite Operation",
        305: "Cancel Observation-Composite Operation",
        306: "Send Operation",
        307: "Muting Send",
        308: "Observe-Composite and Creating Object Instance",
        309: "Observe-Composite and Deleting Object Instance",
        310: "Observe-Composite and modification of parameter values",
        311: "Send command",
        401: "UDP Channel Security - PSK Mode",
        1630: "Create Portfolio Object Instance",
        1635: "Delete Portfolio Object Instance",
    },
}

HEAD = """<!-- Interoperability by test case, made by tests/interop/report.py from a test run
     SPDX-License-Identifier: MIT -->
# Interoperability

The client on MicroPython's unix port against servers of others, on the loopback interface:
{servers}.

Ids and titles are those of the OMA enabler test specification; the steps are this project's own, in
`tests/interop/`. `pytest tests/interop` runs them, and `python -m tests.interop.report` writes this page.
"""


def versions():
    """{fixture: server and version}, from the files that pin them."""
    found = {}
    for project, fixture, name in (
        ("server", "leshan", "Leshan"),
        ("bootstrap", "bootstrap", "Leshan bootstrap"),
    ):
        text = ET.parse(LESHAN / project / "pom.xml").find(".//{*}leshan.version").text
        found[fixture] = f"{name} {text}"
    packages = json.loads((LESHAN.parent / "node" / "package.json").read_text())["dependencies"]
    found["node"] = "lwm2m-node-lib " + packages["lwm2m-node-lib"]
    return found


def case(test):
    """(list, id) of a test's name, or None."""
    match = NAME.match(test)
    return match and ("1.1" if match[1] else "1.0", int(match[2]))


def state(results):
    """passed, failed, or not run with the reason, of a case's tests together."""
    if any(each["outcome"] == "failed" for each in results):
        return "**failed**"
    skipped = sorted({each["reason"] for each in results if each["outcome"] == "skipped"})
    if skipped:
        return "not run: " + "; ".join(skipped)
    return "passed" if results else "no test"


def page(results):
    """The text of docs/interop.md. `results` is {test: {"outcome", "reason", "servers"}}."""
    known = versions()
    by_case = {}
    other = {}
    for test, each in sorted(results.items()):
        key = case(test)
        if key and key[1] in CASES.get(key[0], ()):
            by_case.setdefault(key, []).append(each)
        else:
            other[test] = each
    used = sorted({known[s] for each in results.values() for s in each["servers"] if s in known})
    lines = [HEAD.format(servers=", ".join(used))]
    for name, cases in CASES.items():
        passed = sum(state(by_case.get((name, number), [])) == "passed" for number in cases)
        lines += [f"## LwM2M {name}: {passed} of {len(cases)} cases passed", ""]
        lines += ["| id | title | server | state |", "|---|---|---|---|"]
        for number, title in cases.items():
            mine = by_case.get((name, number), [])
            servers = sorted({known[s] for each in mine for s in each["servers"] if s in known})
            lines.append(f"| {number} | {title} | {', '.join(servers) or '-'} | {state(mine)} |")
        lines.append("")
    if other:
        lines += [
            "## Beyond the lists",
            "",
            "Where no server is named, the peer is the one that the sentence",
        ]
        lines += ["names, or a program of the tests.", "", "| what is shown | server | state |"]
        lines += ["|---|---|---|"]
        for test, each in other.items():
            title = SENTENCES[test.removeprefix("test_")]
            servers = sorted(known[s] for s in each["servers"] if s in known)
            lines.append(f"| {title} | {', '.join(servers) or '-'} | {state([each])} |")
        lines.append("")
    return "\n".join(lines)


def main(argv=None):
    parser = argparse.ArgumentParser(
        prog="tests.interop.report", description=__doc__.splitlines()[0]
    )
    parser.add_argument(
        "--check", action="store_true", help="is docs/interop.md what the last run gives?"
    )
    options = parser.parse_args(argv)
    if not RESULTS.exists():
        print(
            f"error: no {RESULTS.relative_to(ROOT)}; run pytest tests/interop first",
            file=sys.stderr,
        )
        return 2
    results = json.loads(RESULTS.read_text())
    absent = {(name, number) for name, cases in CASES.items() for number in cases} - set(
        map(case, results)
    )
    if absent:
        print(
            f"error: the last run left out {len(absent)} cases; run the whole of tests/interop",
            file=sys.stderr,
        )
        return 2
    untold = [t for t in results if not case(t) and t.removeprefix("test_") not in SENTENCES]
    if untold:
        print(
            f"error: tests/interop/sentences.py has no sentence for {', '.join(untold)}",
            file=sys.stderr,
        )
        return 2
    text = page(results)
    if options.check:
        if not PAGE.exists() or PAGE.read_text() != text:
            print("error: docs/interop.md is not what the last run gives", file=sys.stderr)
            return 1
        return 0
    PAGE.parent.mkdir(exist_ok=True)
    PAGE.write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
