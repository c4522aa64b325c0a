# What applications build on a packed image: an object, a format, a platform, a subclass of Client of their own
# SPDX-License-Identifier: MIT
from __future__ import annotations

import subprocess

import pytest

from tools.build.mpy import micropython
from tools.build.profiles import ROOT

pytestmark = pytest.mark.needs("micropython")

# A server in memory, which speaks CoAP by hand: nothing of the client's own is used.
START = """
import sys
sys.path[:0] = [LIBRARY, HERE]
from lwm2m import Client, CoapError


class Wire:
    sent = []

    def __init__(self, host, port):
        self.inbox = []
        Wire.last = self

    def send(self, buf, start, end):
        d = bytes(buf[start:end])
        Wire.sent.append(d)
        n = d[0] & 15
        if d[1] == 2 and not d[0] & 0x30:
            self.inbox.append(bytes([d[0] | 0x20, 0x41]) + d[2 : 4 + n] + b"\\x82rd\\x010")

    def recv(self):
        return self.inbox.pop(0) if self.inbox else None

    def close(self):
        pass


def registered(client):
    client.start()
    for _ in range(50):
        client.poll()
    assert client.stat() == 2, client.stat()
    return client


def ask(client, code, path, payload=b"", accept=b""):
    # Uri-Path options, then Accept; the answer's code and payload.
    d = bytes([0x41, code, 0x12, mids[0], 0x77])
    mids[0] += 1
    delta = 11
    for part in path.strip("/").split("/"):
        d += bytes([delta << 4 | len(part)]) + part.encode()
        delta = 0
    if accept:
        d += bytes([(17 - 11) << 4 | len(accept)]) + accept
    if payload:
        d += b"\\xff" + payload
    Wire.last.inbox.append(d)
    client.poll()
    got = Wire.sent[-1]
    return got[1], got[got.index(0xFF) + 1 :] if 0xFF in got else b""


mids = [1]


"""

OBJECT = """
from my_objects import TABLE

client = Client("me", "coap://server.example", transport=Wire)
client.objects(TABLE)
client.create("/26241/0")
client.set("/26241/0/0", 5)
client.on_exec("/26241/0/1", lambda path, args: print("exec", path, args))
client.on_write("/26241/0/0", lambda path, value: print("write", path, value))
registered(client)
print(ask(client, 1, "26241/0/0", b"", b"\\0" [:0]))
print(ask(client, 2, "26241/0/1", b"0"))
print(client.get("/26241/0/0"))
"""

SUBCLASS = """
class Mine(Client):
    lifetime = 300
    index = append = value = items = "mine"

    def __init__(self, *a, **k):
        super().__init__(*a, **k)
        self.count = self.state = self.queue = self.get_it = 0
        self.find = self.code = self.name = self.data = self.key_store = "x"
        self.event(self.told)

    def told(self, name, ssid):
        self.count += 1

    def set(self, path, value):
        print("set", path)
        return super().set(path, value)


client = Mine("me", "coap://server.example", transport=Wire)
registered(client)
client.set("/3/0/14", "+01:00")
assert client.get("/3/0/14") == "+01:00"
print(client.count > 2, client.find, client.index, client.state, client.stat())
assert b"lt=300" in b"".join(Wire.sent)
"""

PORT = """
from lwm2m import Client
client = Client("me", "coap://server.example")
registered(client)
print(client.stat(), client.get("/3/0/0"))
client.stop(True)
"""

OWN_PORT = """
import time

ticks_ms = time.ticks_ms
ticks_add = time.ticks_add
ticks_diff = time.ticks_diff
time = time.time


def urandom(n):
    return bytes(n)


def ready(ms=0):
    return True


def identity():
    return None


def restart():
    return False


def open_udp(host, port, options, local):
    print("open", host, port)
    import __main__

    return __main__.Wire(host, port)
"""


def run(library, folder, text):
    (folder / "main.py").write_text(
        f"LIBRARY = {str(library)!r}\nHERE = {str(folder)!r}\n{START}\n{text}"
    )
    done = subprocess.run(
        [micropython(), folder / "main.py"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert not done.stderr, done.stderr
    return done.stdout.splitlines()


XML = """<?xml version="1.0" encoding="utf-8"?>
<LWM2M><Object ObjectType="MODefinition"><Name>Mine</Name><Description1></Description1><ObjectID>26241</ObjectID>
<ObjectURN>urn:oma:lwm2m:x:26241</ObjectURN><LWM2MVersion>1.0</LWM2MVersion><ObjectVersion>1.0</ObjectVersion>
<MultipleInstances>Multiple</MultipleInstances><Mandatory>Optional</Mandatory><Resources>
<Item ID="0"><Name>Level</Name><Operations>RW</Operations><MultipleInstances>Single</MultipleInstances>
<Mandatory>Mandatory</Mandatory><Type>Integer</Type><RangeEnumeration></RangeEnumeration><Units></Units>
<Description></Description></Item>
<Item ID="1"><Name>Go</Name><Operations>E</Operations><MultipleInstances>Single</MultipleInstances>
<Mandatory>Mandatory</Mandatory><Type></Type><RangeEnumeration></RangeEnumeration><Units></Units>
<Description></Description></Item></Resources><Description2></Description2></Object></LWM2M>
"""


def test_object_of_ones_own(packed, tmp_path):
    from tools import objects

    (tmp_path / "mine.xml").write_text(XML)
    made = objects.main([str(tmp_path / "mine.xml"), "-o", str(tmp_path / "my_objects.py")])
    assert not made
    lines = run(packed("core", "generic"), tmp_path, OBJECT)
    assert lines == ["(69, b'\\xc1\\x00\\x05')", "exec /26241/0/1 b'0'", "(68, b'')", "5"]


def test_subclass_of_client(packed, tmp_path):
    """Whatever attributes it has: none of them is one that packing gave the client's own."""
    lines = run(packed("core", "generic"), tmp_path, SUBCLASS)
    assert lines == ["set /3/0/14", "True x mine 0 2"]


def test_platform_of_ones_own(packed, tmp_path):
    (tmp_path / "lwm2m_port.py").write_text(OWN_PORT)
    lines = run(packed("core", "own"), tmp_path, PORT)
    assert lines == ["open server.example 5683", "2 MicroPython"]


FORMAT = """# Upper case text, number 65001
# SPDX-License-Identifier: MIT
def encode(writer, tree, oid, iid, rid, riid):
    writer.put(tree.read(oid, iid, rid).upper())


def decode(data, start, end, tree, oid, iid, rid, riid, emit):
    emit(iid, rid, riid, bytes(data[start:end]).lower())
"""

USE_FORMAT = """
client = registered(Client("me", "coap://server.example", transport=Wire))
print(ask(client, 1, "3/0/0", b"", b"\\xfd\\xe9"))
"""


def test_format_of_ones_own(tmp_path):
    """Its number stands in formats/__init__.py, and its file in an image beside the others: both are packed."""
    import shutil

    from tools.build import pack, profiles

    library = tmp_path / "lwm2m"
    shutil.copytree(profiles.PACKAGE, library)
    (library / "formats/upper.py").write_text(FORMAT)
    table = library / "formats/__init__.py"
    text = table.read_text()
    assert "_FILES = (\n" in text
    end = text.index(")\n", text.index("_FILES = (\n"))
    table.write_text(text[:end] + '    65001, "upper",\n' + text[end:])
    names = [*profiles.files("core", "generic"), "formats/upper.py"]
    made = tmp_path / "made"
    pack.pack(names, profiles.loaded(), library, ROOT).write(made)
    assert run(made, tmp_path, USE_FORMAT) == ["(69, b'MICROPYTHON')"]
