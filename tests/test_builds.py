# Every build of MicroPython that the machine can make: the unit tests, the demo, the vendor's calls against two servers
# SPDX-License-Identifier: MIT
"""The builds are those of boards/UNIX, and the one in .venv; LWM2M_BUILDS="name=/path/to/micropython ..." adds more.

What ran goes to build/support.json, from which `python -m tests.support` makes the table in docs/builds.md.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests import support
from tests.interop.dtls_peers import Front
from tools.build import deploy, firmware, mpy
from tools.server import Server

ROOT = Path(__file__).resolve().parents[1]
PRESENT = "wheel"
MADE = ("UNIX", "UNIX32", "UNIX_SINGLE", "UNIX_BARE", "UNIX_QUEC")
GIVEN = dict(word.split("=", 1) for word in os.environ.get("LWM2M_BUILDS", "").split())
ENDPOINT = "device"
IDENTITY = "urn:imei:860000000000001"
KEY = "000102030405060708090a0b0c0d0e0f"

# What QuecPython's modules are to the client, with the signatures of the 2021 firmware.
STAND_INS = {
    "modem": f'def getDevImei():\n    return "{IDENTITY[-15:]}"\n',
    "misc": "class Power:\n"
    "    @staticmethod\n    def getVbatt():\n        return 3700\n"
    "    @staticmethod\n    def powerRestart():\n        pass\n",
    "net": "def getSignal():\n    return ([53, 99, 255, 255], [-58, -80, -9, 15])\n"
    "def csqQueryPoll():\n    return 25\n"
    'def operatorName():\n    return ("CHINA MOBILE", "CMCC", "460", "00")\n'
    "def getServingCi():\n    return 94938399\n",
    "dataCall": "def getInfo(profile, family):\n"
    '    return (profile, family, [1, 0, "10.91.1.2", "114.114.114.114", "8.8.8.8"])\n'
    'def getApn(sim, profile=1):\n    return "cmnet"\n',
}

# The order of calls of the vendor's example; a write of the lifetime ends it.
VENDOR = """\
try:
    import utime
except ImportError:
    import time as utime
try:
    import _thread
except ImportError:
    _thread = None
{way}
ends = []

def cb(args):
    # in one write: there are two threads
    print("URC " + args[2] + "\\n", end="")
    if '"lifetime_changed"' in args[2] or '"deregister"' in args[2]:
        ends.append(1)

print("config", lw.config(lw.Reset, []))
print("config", lw.config(lw.Security, [1]))
print("config", lw.config(lw.Security, [0]))
print("config", lw.config(lw.Security, {security}))
print("config", lw.config(lw.Server, [1, 60, 2, 60, 86400, 1, "U"]))
print("config", lw.config(lw.Epnamemode, [3]))
print("config", lw.config(lw.Epnamemode, [1]))
print("config", lw.config(lw.Epname, ["{endpoint}"]))
print("config", lw.config(lw.Fota, [0, 1]))
print("call", lw.register_call(cb))

def wait(done):
    for _ in range(2000):
        if not _thread:
            lw.poll()
        if done():
            return
        utime.sleep_ms(10)
    print("nothing more", lw.stat())
    raise SystemExit

if _thread:
    _thread.start_new_thread(lw.register, ())
else:
    print("register", lw.register())
wait(lambda: lw.stat() == 2)
wait(lambda: ends)
print("unregister", lw.unregister())
# The callback hears of it after stat() tells it.
wait(lambda: lw.stat() == 0 and len(ends) > 1)
print("done")
"""
PLAIN = "from lwm2m import lwm2m\nlw = lwm2m()\n"
# Unmodified scripts of QuecPython, once /usr/main.py has run.
PACKED = "from usr import main\nimport lwm2m\nlw = lwm2m()\n"


@functools.cache
def _program(name: str) -> str:
    if name in GIVEN:
        return GIVEN[name]
    if name == PRESENT:
        return mpy.micropython()
    return str(firmware.build(name, "none"))


@pytest.fixture(params=[PRESENT, *MADE, *GIVEN])
def build(request, need):
    """The name of a build that is there."""
    if request.param in MADE:
        need(reason=firmware.missing(request.param))
    else:
        need("micropython")
    return request.param


@pytest.fixture
def ran(request, build):
    """ran(text=None): notes that a test has passed, perhaps with what there is to say of it."""

    def note(text: str = "passed") -> None:
        way = re.search(r"(coap|psk)", request.node.name)
        job = request.node.originalname.removeprefix("test_") + (f"[{way[1]}]" if way else "")
        support.note(build, _ask(build)["version"], job, text)

    return note


@functools.cache
def _ask(name: str) -> dict:
    """What the build tells of itself."""
    code = (
        "try:\n    import usys as sys\nexcept ImportError:\n    import sys\n"
        "i = sys.implementation\n"
        "number = getattr(i, '_mpy', None) or getattr(i, 'mpy', 0)\n"
        "print('%d.%d.%d' % i[1][:3], number)\n"
    )
    out = subprocess.run(
        [_program(name), "-c", code], capture_output=True, text=True, timeout=60, check=True
    ).stdout
    version, number = out.split()
    return {"version": version, "number": int(number)}


def _run(build: str, *arguments: str, cwd: Path = ROOT, heap: str | None = None, **more):
    options = ["-X", f"heapsize={heap}"] if heap else []
    return subprocess.run(
        [_program(build), *options, *arguments],
        cwd=cwd,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        timeout=300,
        check=False,
        **more,
    )


def test_unit(build, ran):
    """The whole unit suite; what a build cannot have is skipped with a line that says what it lacks."""
    done = _run(build, "tests/unit/run.py", heap="2m" if build in GIVEN else None)
    failed = "\n".join(re.findall(r"^FAIL.*(?:\n.*){0,8}", done.stdout, re.M))
    counts = re.search(r"^(\d+) passed, (\d+) failed", done.stdout, re.M)
    assert counts and counts[2] == "0" and not done.returncode, failed or done.stdout[-2000:]
    skipped = re.findall(r"^skip \S+ (.*)$", done.stdout, re.M)
    assert all(skipped), done.stdout
    ran(f"{len(skipped)} skipped" if skipped else "all")


def test_demo(build, ran):
    """Bootstrap, registration, read, write, observe, execute, update, de-registration."""
    done = subprocess.run(
        [sys.executable, "-m", "tools.demo"],
        cwd=ROOT,
        env={**os.environ, "MICROPYTHON": _program(build)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr
    ran()


@contextlib.asynccontextmanager
async def _servers(secure: bool):
    """A server, and the list for lw.Security that names it."""
    async with Server(timeout=10) as server:
        if not secure:
            yield server, [1, 1000, server.uri, 0, 3]
            return
        with Front(server.port, {IDENTITY.encode(): bytes.fromhex(KEY)}) as front:
            address = f"coaps://127.0.0.1:{front.port}"
            yield server, [1, 1000, address, 0, 0, IDENTITY, KEY]


async def _main_job(command: list[str], cwd: Path, env: dict, secure: bool, way: str) -> list[str]:
    """The vendor's calls, and a server's operations meanwhile; what the script printed."""
    async with _servers(secure) as (server, security):
        script = cwd / "script.py"
        script.write_text(VENDOR.format(way=way, security=security, endpoint=ENDPOINT))
        child = await asyncio.create_subprocess_exec(
            *command,
            script.name,
            cwd=cwd,
            env=env,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        said = asyncio.create_task(child.stdout.read())
        try:
            event = await server.wait("register", ENDPOINT, 20)
            device = event.device
            assert device.lifetime == 60
            answer = await device.read("/3/0")
            assert answer.code == "2.05" and answer.value[0] == "MicroPython", answer
            assert (await device.write("/3/0/14", "+02:00")).code == "2.04"
            assert (await device.read("/3/0/14")).value == "+02:00"
            observation = await device.observe("/3/0/14")
            assert observation.active
            assert (await device.write("/3/0/14", "+03:00")).code == "2.04"
            await observation.next(10)
            assert (await observation.cancel()).code == "2.05"
            assert (await device.write("/1/1/7", "no binding")).code == "4.00"
            assert (await device.execute("/1/1/8")).code == "2.04"
            await server.wait("update", ENDPOINT, 10)
            assert (await device.write("/1/1/1", 90)).code == "2.04"
            await server.wait("deregister", ENDPOINT, 20)
            return (await asyncio.wait_for(said, 20)).decode(errors="replace").splitlines()
        except BaseException as error:
            if child.returncode is None:
                child.kill()
            raise AssertionError((await said).decode(errors="replace")) from error
        finally:
            if child.returncode is None:
                child.kill()
            await child.wait()


def _is_quecpython(build: str) -> bool:
    return "QUEC" in build.upper()


def _stand_ins(folder: Path) -> Path:
    """A folder with the vendor's modules."""
    folder /= "modules"
    folder.mkdir()
    for name, text in STAND_INS.items():
        (folder / f"{name}.py").write_text(text)
    return folder


def _check(lines: list[str], secure: bool) -> None:
    assert [line for line in lines if line.startswith("config")] == ["config 0"] * 9, lines
    urcs = [line.removeprefix("URC +QLWURC: ") for line in lines if line.startswith("URC")]
    urcs = [urc for urc in urcs if not urc.startswith('"pdp active"')]
    update = '"update","successfully",1000'
    expected = [
        '"initial","successfully",1000',
        *(['"dtls","successfully",1000'] if secure else []),
        '"registering"',
        '"ready","successfully",1000',
        update,
        '"lifetime_changed",90',
    ]
    assert urcs[: len(expected)] == expected, urcs
    # The update that tells the new lifetime may get out before the de-registration.
    assert urcs[len(expected) :] in (['"deregister",1000,0'], [update, '"deregister",1000,0']), (
        urcs
    )
    assert lines[-1] == "done", lines


@pytest.mark.parametrize("secure", [False, True], ids=["coap", "psk"])
def test_main_job(build, ran, tmp_path, secure):
    """The vendor's sequence from sources, in a heap of 1 MB: compiling them takes most of it."""
    env = {**os.environ, "MICROPYPATH": f"{ROOT / 'lib'}:.frozen"}
    if _is_quecpython(build):
        env["MICROPYPATH"] += f":{_stand_ins(tmp_path)}"
    command = [_program(build), "-X", "heapsize=1m"]
    lines = asyncio.run(_main_job(command, tmp_path, env, secure, PLAIN))
    _check(lines, secure)
    ran()


@pytest.mark.parametrize("secure", [False, True], ids=["coap", "psk"])
def test_packed(build, ran, tmp_path, secure, capsys):
    """What `make quec` packs, in a folder `usr`, with the vendor's modules, in a heap of 128 KB of 32 bits."""
    if not _is_quecpython(build):
        pytest.skip("not configured as QuecPython is")
    number = _ask(build)["number"]
    assert deploy.main(["quec", "--profile", "standard", "--number", str(number)]) == 0
    shutil.copytree(deploy.OUT / "quec-standard" / "usr", tmp_path / "usr")
    env = {**os.environ, "MICROPYPATH": str(_stand_ins(tmp_path))}
    # Objects of 64 bits are larger, the code is not.
    bits = subprocess.run(
        ["file", "-L", _program(build)], capture_output=True, text=True, check=True
    )
    heap = "128k" if "32-bit" in bits.stdout else "184k"
    command = [_program(build), "-X", f"heapsize={heap}"]
    lines = asyncio.run(_main_job(command, tmp_path, env, secure, PACKED))
    _check(lines, secure)
    assert 'URC +QLWURC: "pdp active","successfully","cmnet"' in lines, lines
    ran()


def test_says_what_is_left_out(capsys):
    """Builds that this machine cannot make are named, not passed over."""
    for name in MADE:
        reason = firmware.missing(name)
        if reason:
            with capsys.disabled():
                print(f"\nleft out: {name}: {reason}")
