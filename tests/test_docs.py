# What the pages say is true: files and functions that they name exist, and their programs run on the unix port
# SPDX-License-Identifier: MIT

import ast
import importlib.util
import os
import re
import socket
import subprocess
from pathlib import Path

import pytest

from tests import guides
from tools.build import profiles
from tools.build.mpy import micropython

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "lib" / "lwm2m"
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
PAGES += sorted((ROOT / "boards").glob("*/README.md"))

_SPAN = re.compile(r"`([^`\n]+)`")
_FUNCTION = re.compile(r"((?:\w+\.)*\w+)\(\)$")
# What builds make, what lies outside the tree, and what somebody else is to have.
_ELSEWHERE = ("build/", "~/", "/", "services/", "ports/", "lib/lwm2m/my_", "my_")


def defined(path):
    """Names of the functions and classes of a file, those in a class with and without its name."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            names.add(node.name)
        if isinstance(node, ast.ClassDef):
            names.update(f"{node.name}.{item.name}" for item in node.body if hasattr(item, "name"))
    return names


def wrong_names(text):
    """Files that are not there, and functions that are not in the file named before them in the same paragraph or row.

    A function of a page's own paragraph without a file is one that applications call: it is in client.py."""
    wrong = []
    for part in re.split(r"\n\n|\n(?=[|#])", text):
        names = defined(PACKAGE / "client.py")
        for span in _SPAN.findall(part):
            function = _FUNCTION.match(span)
            if span.endswith(".py"):
                path = PACKAGE / span
                names = defined(path) if path.is_file() else set()
                wrong += [] if path.is_file() else [span]
            elif function and function[1] not in names:
                wrong.append(span)
    return wrong


def test_tour():
    text = (ROOT / "docs" / "tour.md").read_text()
    assert wrong_names(text) == []
    # each way names enough for the check to mean something
    for way in text.split("\n## ")[1:]:
        assert len(re.findall(r"`[\w/]+\.py`", way)) >= 5, way[:40]


def test_what_is_not_there_is_found():
    text = "| `client.py` `Client.poll()` | `nobody()` |\n| `gone.py` `poll()` |\n\n`servers.py` `poll()`"
    assert wrong_names(text) == ["nobody()", "gone.py", "poll()", "poll()"]
    assert wrong_names("`set()`, then `model/tree.py` `Tree.store()`") == []


def missing_files(text):
    """Names of the project's files in code spans and links that do not exist."""
    missing = []
    for span in _SPAN.findall(text) + re.findall(r"\]\(([^)#:]+)\)", text):
        for word in span.split():
            name = word.rstrip(",.;:")
            if not re.fullmatch(r"[\w.\-/]*[\w\-]+(\.(py|md|toml|json|svg)|/)", name):
                continue
            # a file's own folder is plain from what stands before it
            places = (ROOT, ROOT / "docs", PACKAGE.parent, PACKAGE, *PACKAGE.glob("*/"))
            if not name.startswith(_ELSEWHERE) and not any((p / name).exists() for p in places):
                missing.append(name)
    return missing


# Files on a board, or of other projects.
_NOT_OURS = {"boot.py", "main.py", "my.xml", "my_objects.py", "_mpconfig.py"}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_files_that_pages_name(page):
    shown = set(guides.blocks(page))
    shown |= {f"{Path(name).stem}_object.py" for name in shown if name.endswith(".xml")}
    assert set(missing_files(page.read_text())) - _NOT_OURS - shown == set()


def modules(text):
    """Dotted names of the package that a page imports or names."""
    return set(re.findall(r"\blwm2m\.[a-z_]+(?:\.[a-z_0-9]+)*", text))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_modules_that_pages_name(page):
    for name in modules(page.read_text()):
        parts = name.split(".")[1:]
        # the host of coap://lwm2m.example, a topic of the tools' event stream
        if parts[0] in ("example", "data"):
            continue
        place = PACKAGE.joinpath(*parts)
        assert place.is_dir() or place.with_suffix(".py").is_file(), name


def companions(text):
    """Modules that a program of a page imports beside the client: blocks of a page that begin with their names."""
    shown = {}
    for page in PAGES:
        shown.update(guides.blocks(page))
    shown |= {
        f"{name.removesuffix('.xml')}_object.py": guides.table(block)
        for name, block in shown.items()
        if name.endswith(".xml")
    }
    found, left = {}, [text]
    while left:
        for name in re.findall(r"^(?:from|import) (\w+)", left.pop(), re.M):
            file = f"{name}.py"
            if file in shown and file not in found:
                found[file] = shown[file]
                left.append(shown[file])
    return found


def programs(device):
    """Each block of Python, of the device or of the host."""
    found = []
    for page in PAGES:
        for number, text in enumerate(re.findall(r"```python\n(.*?)```", page.read_text(), re.S)):
            if device == bool(re.search(r"^(from|import) lwm2m", text, re.M)):
                found.append(pytest.param(text, id=f"{page.relative_to(ROOT)}-{number}"))
    return found


def image_of(text):
    """The profile that a program's first line names (`# profile: full`), else the one that everything makes by default."""
    said = re.match(r"# profile: (\w+)\n", text)
    return said[1] if said else profiles.DEFAULT


@pytest.mark.needs("micropython")
@pytest.mark.parametrize("kind", ["source", "packed"])
@pytest.mark.parametrize("text", programs(device=True))
def test_programs_of_pages(text, kind, packed, tmp_path):
    """They run as they are, but for the address, where nobody answers, and for ever, which they do not wait.

    On the source, and on the package of the profile that the page promises."""
    library = ROOT / "lib" if kind == "source" else packed(image_of(text))
    text = re.sub(r"(coaps?)://(lwm2m\.example|server)", r"\1://127.0.0.1", text)
    assert text.count("client.run()") <= 1
    text = text.replace("client.run()", "client.poll()")
    program = tmp_path / "program.py"
    text = re.sub(r"(?<=127\.0\.0\.1):\d+", "", text)
    for name, other in companions(text).items():
        (tmp_path / name).write_text(other)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
        silent.bind(("127.0.0.1", 0))
        program.write_text(text.replace("127.0.0.1", f"127.0.0.1:{silent.getsockname()[1]}"))
        done = subprocess.run(
            [micropython(), program],
            env={**os.environ, "MICROPYPATH": f"{tmp_path}:{library}:.frozen"},
            cwd=tmp_path,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=30,
        )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr


@pytest.mark.parametrize("text", programs(device=False))
def test_imports_of_the_hosts_programs(text):
    """Those of the host need a device beside them: here what they import of the tools is there."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.ImportFrom) and node.module.startswith("tools"):
            module = importlib.import_module(node.module)
            for item in node.names:
                assert hasattr(module, item.name) or importlib.util.find_spec(
                    f"{node.module}.{item.name}"
                )


def test_readme_is_short():
    assert len((ROOT / "README.md").read_text().splitlines()) <= 150


def test_every_test_beyond_the_lists_has_a_sentence():
    from tests.interop.report import case
    from tests.interop.sentences import SENTENCES

    names = set()
    for path in (ROOT / "tests" / "interop").glob("test_*.py"):
        names.update(re.findall(r"^(?:async )?def (test_\w+)", path.read_text(), re.M))
    beyond = {name.removeprefix("test_") for name in names if not case(name)}
    assert beyond == set(SENTENCES)
