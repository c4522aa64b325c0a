# Fixtures of the interoperability tests: real servers, the client under test, and the record of the run
# SPDX-License-Identifier: MIT
import functools
import itertools
import json
import os
import re
import socket
import subprocess
import sys

import pytest
from desk import Desk
from device import ROOT, Device
from leshan import Bootstrap, Leshan

SERVERS = {"leshan", "bootstrap", "node"}
RESULTS = ROOT / "build" / "interop.json"
_names = itertools.count(1)
_results = {}


def _has_ipv6():
    try:
        with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as probe:
            probe.bind(("::1", 0))
    except OSError:
        return False
    return True


@pytest.fixture(scope="session")
def leshan(need):
    """Leshan's server, one for all tests; with LWM2M_SERVER=desk the desk server in its place."""
    need("java", "mvn")
    kind = Desk if os.environ.get("LWM2M_SERVER") == "desk" else Leshan
    with kind(cid=6, awake=2000, **({"host6": "::1"} if _has_ipv6() else {})) as server:
        yield server


@pytest.fixture(scope="session")
def bootstrap(need):
    """Leshan's bootstrap server, one for all tests."""
    need("java", "mvn")
    with Bootstrap() as server:
        yield server


@pytest.fixture(scope="session")
def tables(tmp_path_factory, leshan):
    """A folder with Leshan's test object, 3442, compiled for the device: the module `testobject`."""
    folder = tmp_path_factory.mktemp("tables")
    xml = leshan.options["models"] / "3442.xml"
    subprocess.run(
        [sys.executable, "-m", "tools.objects", xml, "-o", folder / "testobject.py"],
        cwd=ROOT,
        check=True,
    )
    return folder


@pytest.fixture
def endpoint(request):
    """A name that no other test uses."""
    name = re.sub(r"\W+", "-", request.node.name)[:40] + f"-{next(_names)}"
    yield name
    if request.node.stash.get(_FAILED, False):
        for server in SERVERS & set(request.fixturenames):
            for each in request.getfixturevalue(server).take(None, endpoint=name):
                print(f"{server}, not taken: {each}")


@pytest.fixture
def power(request, need):
    """Starts processes of the client under test: power(**options of Device)."""
    need("micropython")
    running = []

    def start(**kw):
        running.append(Device(**kw).power_on())
        return running[-1]

    yield start
    for each in running:
        if request.node.stash.get(_FAILED, False):
            print(f"device: {each.log()}\nevents not taken: {each.events()}")
        each.power_off()


@pytest.fixture
def register(request, power, leshan, endpoint):
    """Registers a client: register(values={path: value}, **options of Client) gives (device, server's side)."""

    def start(tables=None, values=None, uri=leshan.uri, **kw):
        values = values or {}
        modules = ["testobject"] if tables else []
        objects = {int(path.split("/")[1]) for path in values}
        sensors = any(3300 <= each < 3400 for each in objects)
        if sensors:
            modules.append("lwm2m.model.tables.ipso")
        if any(3 < each < 100 for each in objects):
            modules.append("lwm2m.model.tables.standard")
        device = power(path=[tables] if tables else [])
        device.new(endpoint, uri, modules, sensors, **{"lifetime": 60, **kw})
        for path, value in values.items():
            device.give(path, value)
        device.start()
        peer = leshan.peer(endpoint)
        peer.registered = peer.wait("registered", 10)
        # The device is there only when it knows it, too.
        device.wait("REGISTRATION_COMPLETE")
        return device, peer

    yield start
    if request.node.stash.get(_FAILED, False):
        peer = leshan.peer(endpoint)
        for each in peer.messages():
            print(f"{each.direction:3} {each.type} {each.code} {each.options} {each.bytes}")


@pytest.fixture
def register11(register):
    """As `register`, for LwM2M 1.1."""
    return functools.partial(register, version="1.1")


_FAILED = pytest.StashKey[bool]()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    report = yield
    if report.failed:
        item.stash[_FAILED] = True
    known = _results.setdefault(
        item.originalname, {"outcome": "passed", "reason": "", "servers": []}
    )
    known["servers"] = sorted(SERVERS & set(item.fixturenames) | set(known["servers"]))
    if report.failed:
        known["outcome"] = "failed"
    elif report.skipped and known["outcome"] == "passed":
        known["outcome"] = "skipped"
        known["reason"] = str(report.longrepr[2]).removeprefix("Skipped: ")
    return report


def pytest_sessionfinish(session):
    # The record, of which docs/interop.md is made, is of Leshan.
    if _results and "LWM2M_SERVER" not in os.environ:
        RESULTS.parent.mkdir(exist_ok=True)
        RESULTS.write_text(json.dumps(_results, indent=1, sort_keys=True) + "\n")
