# The manifests, as MicroPython's own build reads them; what make firmware says where it cannot build
# SPDX-License-Identifier: MIT
from __future__ import annotations

import importlib.util
import json

import pytest

from tools.build import firmware, package, profiles
from tools.check import bench, lint, size
from tools.build.profiles import ROOT


@pytest.fixture(scope="module")
def manifestfile(need):
    """MicroPython's module that evaluates manifests."""
    need(reason=firmware.missing("UNIX"))
    path = firmware.source() / "tools/manifestfile.py"
    spec = importlib.util.spec_from_file_location("manifestfile", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def frozen(manifestfile, tmp_path):
    """frozen("include(...)"): {path on the device: optimisation level}, with stubs for a port's own manifests."""
    (tmp_path / "boards").mkdir()
    (tmp_path / "boards/manifest.py").write_text("")
    (tmp_path / "manifest.py").write_text("")

    def evaluate(line: str) -> dict[str, int]:
        variables = {
            "MPY_DIR": str(firmware.source()),
            "MPY_LIB_DIR": "",
            "PORT_DIR": str(tmp_path),
            "BOARD_DIR": str(tmp_path),
        }
        manifest = manifestfile.ManifestFile(manifestfile.MODE_FREEZE, variables)
        manifest.execute(line)
        return {item.target_path: item.opt for item in manifest.files()}

    return evaluate


def include(path: str, **options) -> str:
    return f"include({str(ROOT / path)!r}, **{options!r})"


@pytest.mark.parametrize("profile", profiles.PROFILES)
def test_a_profile_is_frozen_whole_and_at_opt_3(frozen, profile):
    found = frozen(include("manifest.py", profile=profile, port="generic"))
    # What is loaded in any case is one file; the others are there.
    names = profiles.files(profile, "generic")
    apart = {f"lwm2m/{name}" for name in names if name not in profiles.loaded()}
    assert apart < set(found) < {f"lwm2m/{name}" for name in names}
    assert "lwm2m/client.py" in found and set(found.values()) == {3}


def test_profiles_contain_each_other():
    core, standard, full = (set(profiles.files(name)) for name in ("core", "standard", "full"))
    assert core < standard < full


def test_debug_option_keeps_line_numbers(frozen):
    found = frozen(include("manifest.py", profile="core", debug=True))
    assert set(found) == {f"lwm2m/{name}" for name in profiles.files("core")}
    assert set(found.values()) == {0}


def test_single_features(frozen):
    found = frozen(include("manifest.py", profile="core", shell=True))
    assert "lwm2m/shell.py" in found and "lwm2m/dtls/record.py" not in found
    assert "lwm2m/dtls/record.py" not in frozen(include("manifest.py", profile="full", dtls=False))


def test_nothing_is_said_about_the_profile(frozen):
    assert frozen(include("manifest.py")) == frozen(include("manifest.py", profile="standard"))


@pytest.mark.parametrize("wrong", [{"profile": "big"}, {"port": "toaster"}, {"sheel": True}])
def test_a_wrong_option_is_said_so(frozen, manifestfile, wrong):
    with pytest.raises(manifestfile.ManifestFileError, match="not one of"):
        frozen(include("manifest.py", **wrong))


@pytest.mark.parametrize(
    "board", sorted(path.parent.name for path in ROOT.glob("boards/*/manifest.py"))
)
def test_manifests_of_the_boards(frozen, board):
    found = frozen(include(f"boards/{board}/manifest.py", profile="core"))
    assert "lwm2m/client.py" in found and "lwm2m/shell.py" not in found
    assert ("lwm2m/port/quecpython.py" in found) == (board == "QUECPYTHON")


@pytest.mark.parametrize("board", sorted(path.name for path in ROOT.glob("boards/*/")))
def test_every_board_has_a_page(board):
    text = (ROOT / "boards" / board / "README.md").read_text()
    assert len(text.splitlines()) < 60
    assert "**Check**" in text


@pytest.mark.parametrize("board", ["ESP32_GENERIC_C3", "RPI_PICO2_W"])
def test_what_is_missing_for_a_board_is_said(monkeypatch, capsys, board):
    monkeypatch.delenv("MPY_DIR", raising=False)
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    assert firmware.main(["--board", board]) == 1
    assert f"error: {board} needs" in capsys.readouterr().err


def test_a_folder_that_is_no_source_tree_is_said_so(monkeypatch, capsys, tmp_path):
    monkeypatch.setenv("MPY_DIR", str(tmp_path))
    assert firmware.main(["--board", "UNIX"]) == 1
    assert "no source tree of MicroPython" in capsys.readouterr().err


def test_an_unknown_board_is_said_so(capsys):
    assert firmware.main(["--board", "TOASTER"]) == 1
    assert "QEMU_MPS2_AN385" in capsys.readouterr().err


def test_package_json_lists_the_full_profile():
    urls = json.loads(package.content())["urls"]
    assert [source for _, source in urls] == [f"lib/lwm2m/{x}" for x in profiles.files("full")]
    assert all((ROOT / source).is_file() for _, source in urls)


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("x = f'{y}'", "f-strings"),
        ("if (n := f()): pass", ":="),
        ("x = d.hex()", "hexlify"),
        ("x = {**d}", "{**d}"),
        ("x = [*a, 1]", "unpacking"),
        ("f(*a, *b)", "two *"),
        ("def f(a, /): pass", "positional-only"),
        ("def f(a: int): pass", "annotations"),
        ("x: int = 1", "annotations"),
        ("for i in reversed(a): pass", "reversed"),
        ("import hashlib\nh = hashlib.sha256().copy()", "copy"),
        ("@property\ndef f(self): pass", "decorators"),
        ("assert x", "assert"),
        ("try: pass\nexcept: pass", "bare except"),
        ("from lwm2m.model.tree import Tree", "relative"),
        ("s.recv_into(b)", "datagrams"),
    ],
)
def test_lint_finds_what_old_micropython_lacks(code, said):
    import ast

    assert any(said in why for _, why in lint._syntax(ast.parse(code), code, True))


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("b[1:3] = x", "slices"),
        ("self.buf[a : a + n] = x", "slices"),
        ("m = memoryview(b)\nm[:] = x", "slices"),
        ("b[2:] += x", "slices"),
        ("del b[:4]", "slices"),
        ("a = []\na = bytearray(4)\na[:2] = x", "slices"),
        ("import sys", "usys"),
        ("from array import array", "uarray"),
        ("import json as j", "ujson"),
        ("def f():\n    from time import sleep", "utime"),
        ("x = next(it, None)", "next"),
        ("def __radd__(self, x): pass", "__radd__"),
    ],
)
def test_lint_finds_what_quecpython_lacks(code, said):
    import ast

    assert any(said in why for _, why in lint.floor_findings(ast.parse(code)))


@pytest.mark.parametrize("method", ["partition", "splitlines", "center", "gmtime", "crc32"])
def test_lint_finds_methods_that_quecpython_lacks(method):
    import ast

    code = f"x = y.{method}(z)"
    assert any(method in why for _, why in lint._syntax(ast.parse(code), code, True))


def test_lint_lets_code_for_quecpython_pass():
    import ast

    code = (
        "a = [1, 2, 3]\na[1:] = [4]\nself.b = list(c)\nself.b[:] = d\nb[0] = 1\nx = b[1:3]\n"
        "import gc\nfrom .port import struct\nx = next(it)\nstruct.pack_into('8s', b, 0, x)"
    )
    assert not list(lint.floor_findings(ast.parse(code)))


def test_lint_lets_good_code_pass():
    import ast

    code = "from .a import b\na, *c = d\nf(*a, **k)\nx = '%s' % y\n@micropython.viper\ndef f(b: ptr8): pass"
    assert not list(lint._syntax(ast.parse(code), code, True))


@pytest.mark.parametrize("path", [None, ""])
def test_lint_walks_a_tree_that_git_does_not_know(monkeypatch, tmp_path, path):
    if path is not None:
        monkeypatch.setenv("PATH", path)
    for name in ("lib/a.py", "tools/build/b.py", ".ci/run", "build/c.py", "d/target/e.py"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    found = [str(each.relative_to(tmp_path)) for each in lint.files(tmp_path)]
    assert found == [".ci/run", "lib/a.py", "tools/build/b.py"]


def test_a_benchmark_that_is_none_is_said_so(capsys):
    with pytest.raises(SystemExit):
        bench.main(["m3", "zzz"])
    assert "'zzz' begins none of bench_core" in capsys.readouterr().err


def test_size_of_other_files_than_there_are():
    report = {"files": {"a.py": 1, "b.py": 2}, "features": {}, "profiles": {}}
    assert size.problems(report, report) == []
    (more,) = size.problems(report, {**report, "files": {"a.py": 1}})
    (less,) = size.problems({**report, "files": {}}, report)
    assert "has no b.py" in more and "still has a.py, b.py" in less


def test_lint_finds_an_import_that_runs_up():
    import ast

    assert list(lint._floors(ast.parse("from ..client import Client"), "model/tree.py"))
    assert list(lint._floors(ast.parse("from ..session import Session"), "formats/tlv.py"))
    assert list(lint._floors(ast.parse("from ..model import TABLE"), "port/generic.py"))
    assert not list(lint._floors(ast.parse("from ..model.tree import Tree"), "formats/tlv.py"))
    assert not list(lint._floors(ast.parse("from .record import x"), "dtls/handshake.py"))


def test_lint_finds_an_import_that_goes_up_in_a_folder():
    import ast

    from tools.check import order

    assert list(
        order.findings(ast.parse("from .observations import x"), "reporting/attributes.py")
    )
    assert list(order.findings(ast.parse("from . import endpoint"), "coap/numbers.py"))
    assert list(order.findings(ast.parse(""), "coap/new.py"))
    assert not list(order.findings(ast.parse("from .numbers import x"), "coap/endpoint.py"))
    assert set(order.ORDER) == set(profiles.present())
