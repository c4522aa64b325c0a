# Leshan's LwM2M server and bootstrap server for the tests: built once by Maven, run as a child, driven by JSON lines
# SPDX-License-Identifier: MIT
"""Each server is a Java program of one file under ``tests/interop/leshan/``.

Values are plain JSON: opaque as hexadecimal text, a time as epoch seconds, an object link as ``"3:0"``.
"""

import collections
import fcntl
import hashlib
import json
import os
import subprocess
import xml.etree.ElementTree as ET
import zipfile
from pathlib import Path

from child import Child

HERE = Path(__file__).resolve().parent / "leshan"
NAMES = HERE.parents[2] / "tools" / "model.json"

# Content-Formats by the names that the tests use.
TEXT, LINK, OPAQUE, CBOR = 0, 40, 42, 60
SENML_JSON, SENML_CBOR, TLV, JSON, LWM2M_CBOR = 110, 112, 11542, 11543, 11544


class LeshanError(Exception):
    """The Java side could not carry a request out: its own refusal, or no answer from the device."""


def build(project):
    """Compile tests/interop/leshan/PROJECT unless its sources are those of the last build; return the class path."""
    folder = HERE / project
    target = folder / "target"
    target.mkdir(exist_ok=True)
    digest = hashlib.sha256()
    for file in sorted([folder / "pom.xml", *folder.glob("src/**/*.java")]):
        digest.update(file.read_bytes())
    stamp = target / "built"
    with open(target / "lock", "w") as lock:
        # Two test runs at once must not compile into each other.
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not stamp.exists() or stamp.read_text() != digest.hexdigest():
            stamp.unlink(missing_ok=True)
            done = subprocess.run(
                [
                    "mvn",
                    "-q",
                    "-B",
                    "compile",
                    "dependency:copy-dependencies",
                    "-DoutputDirectory=target/lib",
                ],
                cwd=folder,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                timeout=600,
            )
            if done.returncode:
                raise RuntimeError(f"mvn failed in {folder}:\n{done.stdout[-4000:]}")
            stamp.write_text(digest.hexdigest())
    return f"{target / 'classes'}{os.pathsep}{target / 'lib' / '*'}"


def models(project="server"):
    """A folder of object definitions beyond Leshan's own: 3442 (its test object), and those of tools/model.json."""
    folder = HERE / project / "target" / "models"
    folder.mkdir(exist_ok=True)
    for jar in (HERE / project / "target" / "lib").glob("leshan-lwm2m-core-*-tests.jar"):
        with zipfile.ZipFile(jar) as archive:
            (folder / "3442.xml").write_bytes(archive.read("models/3442.xml"))
    for oid, definition in json.loads(NAMES.read_text()).items():
        if int(oid) > 7:
            # Leshan takes the definition of exactly the version that a client registers.
            for version in {"1.0", definition["version"]}:
                (folder / f"{oid}-{version}.xml").write_bytes(
                    ET.tostring(_definition(oid, version, definition))
                )
    return folder


def _definition(oid, version, definition):
    root = ET.Element("LWM2M")
    item = ET.SubElement(root, "Object", ObjectType="MODefinition")

    def add(parent, tag, value):
        ET.SubElement(parent, tag).text = value

    def yes(value, word, other):
        return word if value else other

    add(item, "Name", definition["name"])
    add(item, "Description1", "")
    add(item, "ObjectID", oid)
    add(item, "ObjectURN", f"urn:oma:lwm2m:ext:{oid}:{version}")
    add(item, "LWM2MVersion", "1.0")
    add(item, "ObjectVersion", version)
    add(item, "MultipleInstances", yes(definition.get("multiple"), "Multiple", "Single"))
    add(item, "Mandatory", yes(definition.get("mandatory"), "Mandatory", "Optional"))
    resources = ET.SubElement(item, "Resources")
    for rid, each in definition["resources"].items():
        resource = ET.SubElement(resources, "Item", ID=rid)
        add(resource, "Name", each["name"])
        add(resource, "Operations", each.get("op", ""))
        add(resource, "MultipleInstances", yes(each.get("multiple"), "Multiple", "Single"))
        add(resource, "Mandatory", yes(each.get("mandatory"), "Mandatory", "Optional"))
        add(resource, "Type", each.get("type", ""))
        for empty in ("RangeEnumeration", "Units", "Description"):
            add(resource, empty, "")
    add(item, "Description2", "")
    return root


class Program(Child):
    """A child that speaks JSON lines: one of the Java programs, `main` of folder `project`."""

    project = main = ""

    Error = LeshanError

    def __init__(self, **options):
        super().__init__()
        self.name = self.main
        self.options = options
        self.port = self.secure_port = self.port6 = 0
        self._traces = collections.deque(maxlen=5000)

    def start(self):
        """Start the child on free loopback ports; `port` and `secure_port` tell them."""
        command, folder = self.command()
        self.spawn(command, cwd=folder)
        ready = self.wait("ready", timeout=60)
        self.port, self.secure_port, self.port6 = ready.coap, ready.coaps, ready.coap6
        return self

    def command(self):
        """What to run, and the folder to run it in (Californium looks there for its properties)."""
        path = build(self.project)
        if self.project == "server":
            self.options.setdefault("models", models())
        command = [
            "java",
            "-XX:+UseSerialGC",
            "-XX:TieredStopAtLevel=1",
            "-Xmx256m",
            "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
            "-cp",
            path,
            self.main,
        ]
        for name, value in self.options.items():
            command += [f"--{name}", str(value)]
        return command, HERE / self.project / "target"

    def stop(self):
        """End the child."""
        if self._child is None:
            return
        self._child.stdin.close()
        try:
            self._child.wait(5)
        except subprocess.TimeoutExpired:
            self._child.kill()
            self._child.wait()
        self._child = None

    def __enter__(self):
        return self.start()

    def __exit__(self, *exc):
        self.stop()

    @property
    def uri(self):
        """The coap:// address for a client."""
        return f"coap://127.0.0.1:{self.port}"

    @property
    def secure_uri(self):
        """The coaps:// address for a client."""
        return f"coaps://127.0.0.1:{self.secure_port}"

    def arrived(self, message):
        if message.event == "coap":
            self._traces.append(message)
        else:
            super().arrived(message)

    def trace(self, port=None):
        """The CoAP messages seen so far, those of one client's UDP port if it is given; oldest first."""
        with self._arrived:
            return [each for each in self._traces if port in (None, each.peer)]

    def request(self, op, timeout=5, **kw):
        """Carry out one operation and return its answer; LeshanError if it could not be carried out."""
        return self.ask(op, timeout + 5, timeout=timeout, **kw)

    def take(self, event, **match):
        """All events not yet taken of this name (None: of any) and members, at once."""
        with self._arrived:
            taken = [
                each
                for each in self._events
                if event in (None, each.event) and all(each.get(k) == v for k, v in match.items())
            ]
            self._events = [each for each in self._events if not any(each is t for t in taken)]
        return taken

    def silent(self, event, seconds, **match):
        """Fail if such an event arrives within so many seconds."""
        try:
            got = self.wait(event, seconds, **match)
        except TimeoutError:
            return
        raise AssertionError(f"unexpected {got}")


class Bootstrap(Program):
    """Leshan's bootstrap server. Events: initiated, authorized, request, response, finished, failed, ..."""

    project, main = "bootstrap", "InteropBootstrap"

    def configure(self, endpoint, **config):
        """What the endpoint is to be given: security={iid: ...}, servers={iid: ...}, delete=[path], ..."""
        self.request("config", endpoint=endpoint, config=config)


class Leshan(Program):
    """Leshan's LwM2M server. Events: registered, updated, unregistered, expired, notification, send, ..."""

    project, main = "server", "InteropServer"

    def peer(self, endpoint):
        """The server's side of one client."""
        return Peer(self, endpoint)


class Peer:
    """What the server can do with one registered client; every answer has `code`, `name`, `coap`, ..."""

    def __init__(self, leshan, endpoint):
        self.leshan = leshan
        self.endpoint = endpoint

    def request(self, op, **kw):
        return self.leshan.request(op, endpoint=self.endpoint, **kw)

    def wait(self, event, timeout=5, **match):
        return self.leshan.wait(event, timeout, endpoint=self.endpoint, **match)

    def take(self, event, **match):
        return self.leshan.take(event, endpoint=self.endpoint, **match)

    def silent(self, event, seconds, **match):
        self.leshan.silent(event, seconds, endpoint=self.endpoint, **match)

    def registration(self):
        """The registration as the server holds it, or None."""
        return self.request("client").client

    def read(self, path, format=None, **kw):
        return self.request("read", path=path, format=format, **kw)

    def discover(self, path, **kw):
        return self.request("discover", path=path, **kw)

    def write(self, path, value, format=None, mode="replace", **kw):
        """Write a resource (a dict: its instances), a resource instance, or an instance (a dict of resources)."""
        return self.request("write", path=path, value=value, format=format, mode=mode, **kw)

    def attributes(self, path, **attributes):
        """Write-Attributes; None takes one away."""
        return self.request("attributes", path=path, attributes=attributes)

    def execute(self, path, args=None, **kw):
        return self.request("execute", path=path, args=args, **kw)

    def create(self, path, value, format=None, **kw):
        return self.request("create", path=path, value=value, format=format, **kw)

    def delete(self, path, **kw):
        return self.request("delete", path=path, **kw)

    def observe(self, path, format=None, **kw):
        return self.request("observe", path=path, format=format, **kw)

    def cancel(self, observation, active=False, **kw):
        """End an observation by Observe=1 (active), or by a Reset of the next notification."""
        return self.request("cancel", observation=observation, active=active, **kw)

    def observations(self):
        return self.request("observations").observations

    def read_composite(self, paths, **kw):
        return self.request("read-composite", paths=paths, **kw)

    def write_composite(self, values, **kw):
        """{path: value}; types={path: "STRING"} where Leshan has no definition for what was registered."""
        return self.request("write-composite", values=values, **kw)

    def observe_composite(self, paths, **kw):
        return self.request("observe-composite", paths=paths, **kw)

    def coap(self, method, path, payload=b"", **kw):
        """A request of one's own making: query=[...], format=, accept=, observe=, options=[[number, hex]], type=."""
        if payload:
            kw["payload"] = bytes(payload).hex()
        return self.request("coap", method=method, path=path, **kw)

    def forget(self):
        """The server loses the registration, as by a restart."""
        self.request("forget")

    def ping(self, **kw):
        """An empty confirmable message; true when a reset comes back."""
        return self.request("ping", **kw).reset

    def messages(self):
        """Every CoAP message exchanged with the client under its present address, oldest first."""
        registration = self.registration()
        return self.leshan.trace(registration.port) if registration else []
