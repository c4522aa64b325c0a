# The packer itself: each step on small packages, what it can't follow, and tracebacks told by the map
# SPDX-License-Identifier: MIT
from __future__ import annotations

import os
import subprocess
import sys

import pytest

from tools.build import explain, mpy, pack, profiles
from tools.build.mpy import micropython
from tools.build.packing.source import PackError
from tools.build.profiles import ROOT

FACE = "def start():\n    from .client import begin\n    return begin()\n"


@pytest.fixture
def packer(tmp_path):
    """packer({file: text}, loaded=(...), absent=(...)): the packed files; the package's face is added."""
    (tmp_path / "typings/lwm2m").mkdir(parents=True)
    (tmp_path / "typings/lwm2m/__init__.pyi").write_text(
        "class Seen:\n    shown: int\n    def call(self, value: int) -> int: ...\ndef begin() -> int: ..."
    )

    def make(files, loaded=("client.py",), absent=()):
        library = tmp_path / "lwm2m"
        files = {"__init__.py": FACE, **files}
        for name, text in files.items():
            (library / name).parent.mkdir(parents=True, exist_ok=True)
            (library / name).write_text(text)
        names = [name for name in files if name not in absent]
        return pack.pack(names, loaded, library, tmp_path)

    return make


def run(packed, folder):
    """What start() returns on MicroPython, as text."""
    packed.write(folder)
    done = subprocess.run(
        [micropython(), "-c", "import lwm2m; print(lwm2m.start())"],
        env={"MICROPYPATH": str(folder)},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_constants_of_other_files(packer, tmp_path):
    packed = packer(
        {
            "ids.py": "SERVER = const(1)\nLIFETIME = const(SERVER + 6)\n_OWN = const(5)\n",
            "client.py": "from . import ids\nfrom .ids import LIFETIME as NAME\n"
            "def begin(SERVER=3):\n    return NAME, ids.SERVER, SERVER\n",
        }
    )
    assert "7, 1," in packed.files["client.py"] and "NAME" not in packed.files["client.py"]
    assert "7" not in packed.files["ids.py"] and "const" not in "".join(packed.files.values())
    assert run(packed, tmp_path / "out") == "(7, 1, 3)"


def test_absent_parts(packer, tmp_path):
    files = {
        "client.py": "class Thing:\n    secret_part = None\n    kept_part = None\n"
        "    def answer_it(self):\n"
        "        if self.secret_part and self.kept_part:\n            return self.never_called()\n"
        "        return 1\n    def never_called(self):\n        return 2\n"
        "def begin():\n    thing = Thing()\n    thing.kept_part = True\n    try:\n"
        "        from .extra import add\n        add(thing)\n    except ImportError:\n        pass\n"
        "    return thing.answer_it()\n",
        "extra.py": "def add(thing):\n    thing.secret_part = 1\n",
    }
    whole = packer(files)
    assert run(whole, tmp_path / "whole") == "2"
    packed = packer(files, absent=("extra.py",))
    assert packed.map["absent"] == {"secret_part": "None"}
    assert (
        "import" not in packed.files["client.py"] and "return 2" not in packed.files["client.py"]
    )
    assert run(packed, tmp_path / "less") == "1"


def test_lists_of_files(packer, tmp_path):
    """What a list names is there, and nothing has to be loaded to know that."""
    files = {
        "forms/__init__.py": 'FIRST = const(7)\n_COMPLETE = const(0)\n_FILES = (FIRST, "one", 8, "two", 9, "one")\n'
        "def has(number):\n    return number in _FILES and (_COMPLETE or find(number) is not None)\n"
        "def find(number):\n    try:\n        name = _FILES[_FILES.index(number) + 1]\n"
        '        return __import__(name, globals(), None, ("code",), 1)\n'
        "    except ImportError:\n        return None\n",
        "forms/one.py": "print(1)\ncode = 1\n",
        "forms/two.py": "print(2)\ncode = 2\n",
        "client.py": "from .forms import find, has\n"
        "def begin():\n    return has(7), has(8), has(9), find(9).code\n",
    }
    packed = packer(files, absent=("forms/two.py",))
    assert "two" not in "".join(packed.files.values())
    assert run(packed, tmp_path / "less") == "1\n(1, False, 1, 1)"
    files["forms/__init__.py"] = files["forms/__init__.py"].replace('9, "one"', "9")
    with pytest.raises(PackError, match=r"forms/__init__\.py:2: no list _FILES"):
        packer(files)


def test_joining(packer, tmp_path):
    """Names that meet, a closure, and a local that would hide what another file calls so."""
    packed = packer(
        {
            "low/__init__.py": "",
            "low/one.py": "def find(value):\n    return value + 1\nclass Low:\n    mark = find(1)\n",
            "two.py": "from .low.one import Low, find as first\n"
            "def find(value):\n    return first(value) * 10\n"
            "def both(one_find):\n    def find_it():\n        return one_find + find(first(0))\n"
            "    return find_it\n",
            "client.py": "from .low.one import Low\nfrom .two import both, find\n"
            "class High(Low):\n    find = find\n    other = both\n"
            "def begin():\n    low_one_find = 5\n    return both(low_one_find)(), find(1), High.mark\n",
        },
        loaded=("client.py", "two.py", "low/one.py"),
    )
    assert packed.map["joined"]["modules"] == ["low.one", "two", "client"]
    assert sorted(packed.files) == ["__init__.py", "client.py", "low/__init__.py"]
    assert run(packed, tmp_path / "out") == "(25, 20, 2)"


def test_what_is_public_stays(packer):
    text = (
        "class Seen:\n    shown = 1\n    hidden_one = 2\n    def call(self, value):\n"
        "        return self.helper_of_it(value)\n    def helper_of_it(self, value):\n"
        "        return value + self.hidden_one\ndef begin():\n    return Seen().call(value=1)\n"
    )
    packed = packer({"client.py": text}).files["client.py"]
    for name in ("class Seen", "shown", "def call(self, value)", "def begin()"):
        assert name in packed
    assert "hidden_one" not in packed and "helper_of_it" not in packed


@pytest.mark.parametrize(
    ("files", "where", "why"),
    [
        (
            {"client.py": "def begin():\n    return getattr(begin, 'a' + 'b')\n"},
            "client.py:2",
            "put together",
        ),
        ({"client.py": "_X = const(print)\n"}, "client.py:1", "not a constant"),
        (
            {
                "client.py": "from .two import x\ndef begin():\n    return x\n",
                "two.py": "from .client import begin\nx = 1\n",
            },
            "two.py:1",
            "circle",
        ),
        (
            {
                "client.py": "from .two import x, step\ndef begin():\n    step()\n    return x\n",
                "two.py": "x = 1\ndef step():\n    global x\n    x = 2\n",
            },
            "two.py:3",
            "changes",
        ),
        (
            {
                "client.py": "from . import two\ndef begin():\n    return two\n",
                "two.py": "x = 1\n",
            },
            "client.py:3",
            "used as a value",
        ),
        ({"client.py": "def begin(:\n"}, "client.py:1", "syntax"),
        ({"client.py": "from ...x import y\n"}, "client.py:1", "outside the package"),
    ],
)
def test_what_cannot_be_followed(packer, files, where, why):
    with pytest.raises(PackError, match=why) as caught:
        packer(files, loaded=("client.py", "two.py"))
    assert str(caught.value).startswith(where)


def test_same_source_same_bytes():
    code = (
        "from tools.build import pack, profiles\n"
        "print(pack.pack(profiles.files('full'), profiles.loaded()).digest)"
    )
    found = {
        subprocess.run(
            [sys.executable, "-c", code],
            cwd=ROOT,
            env=dict(os.environ, PYTHONHASHSEED=seed),
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert len(found) == 1


def test_packed_files_compile_for_the_oldest(packed, tmp_path):
    folder = packed("full")
    names = [path.relative_to(folder / "lwm2m").as_posix() for path in folder.rglob("*.py")]
    mpy.compile_package(names, tmp_path, mpy.Format("5"), source=folder / "lwm2m")


@pytest.mark.needs("micropython")
@pytest.mark.parametrize("lines", [False, True], ids=["mpy", "py"])
def test_a_traceback_is_explained(packer, tmp_path, capsys, monkeypatch, lines):
    text = (
        "class One:\n    def run_it(self):\n        return 1\n\n"
        "    def fail_it(self, value):\n        return 1 // value\n\n\n"
        "class Two:\n    def run_it(self):\n        return One().fail_it(0)\n\n\n"
        "def begin():\n    return Two().run_it()\n"
    )
    packed = packer({"client.py": text})
    packed.write(tmp_path / "out")
    folder = tmp_path / "out"
    if not lines:
        folder = tmp_path / "mpy"
        mpy.compile_package(list(packed.files), folder, source=tmp_path / "out/lwm2m")
    done = subprocess.run(
        [micropython(), "-c", "import lwm2m; lwm2m.start()"],
        env={"MICROPYPATH": str(folder)},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert "ZeroDivisionError" in done.stdout + done.stderr
    (tmp_path / "traceback").write_text(done.stdout + done.stderr)
    with open(tmp_path / "traceback") as file:
        monkeypatch.setattr(sys, "stdin", file)
        assert explain.main(["--names", str(tmp_path / "out/names.json")]) == 0
    out = capsys.readouterr().out
    assert "client.py:15 begin" in out and "client.py:11 Two.run_it" in out
    assert ("client.py:6 One.fail_it" if lines else "client.py:5 to 6 One.fail_it") in out
    assert "One.run_it" not in out


def test_a_map_that_is_not_there(capsys):
    assert explain.main(["--names", "nowhere.json"]) == 1
    assert "nowhere.json" in capsys.readouterr().err
    assert profiles.loaded()[0] == "client.py"
