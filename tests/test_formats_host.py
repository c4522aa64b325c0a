# Content formats on MicroPython against the host's own codecs: cbor2 and json read what we write, and the other way round
# SPDX-License-Identifier: MIT
from __future__ import annotations

import base64
import json
import math
import random
import struct
import subprocess
from datetime import datetime
from pathlib import Path

import cbor2
import pytest

from tools.build.mpy import micropython

ROOT = Path(__file__).resolve().parent.parent
pytestmark = pytest.mark.needs("micropython")

STRING, INTEGER, FLOAT, BOOLEAN, OPAQUE, TIME, OBJLNK, UINT, CORELNK = range(1, 10)
CBOR, SENML_JSON, SENML_CBOR, JSON, LWM2M_CBOR = 60, 110, 112, 11543, 11544
PACKS = (SENML_JSON, SENML_CBOR, JSON, LWM2M_CBOR)

# Reads jobs, writes results: opaque values and payloads are hexadecimal.
SCRIPT = """
import json, sys
sys.path[:0] = %r
from binascii import hexlify, unhexlify
from codec import decode, encode, give, tree, OPAQUE
from lwm2m.formats import find_format
from lwm2m.model.values import to_native

def value(r, v):
    return unhexlify(v) if r %% 10 == OPAQUE else tuple(v) if r %% 10 == 7 else v

def shown(v):
    return hexlify(v).decode() if isinstance(v, (bytes, bytearray)) else v

t = tree()
with open(sys.argv[1]) as f:
    jobs = json.load(f)
out = []
for job in jobs:
    if job[0] == "encode":
        t.objects[1000] = {}
        for path, v in job[3]:
            p = path.split("/")
            r = int(p[3])
            if isinstance(v, dict):
                v = {int(k): value(r, v[k]) for k in v}
            give(t, path, value(r, v) if not isinstance(v, dict) else v)
        out.append(hexlify(encode(find_format(job[1]), t, job[2])).decode())
    else:
        try:
            found = decode(find_format(job[1]), t, job[2], unhexlify(job[3]))
            out.append([[i, r, ri, shown(to_native(r %% 10, v))] for i, r, ri, v in found])
        except Exception as e:
            out.append(repr(e))
json.dump(out, sys.stdout)
"""


def device(tmp_path: Path, jobs: list) -> list:
    """What MicroPython makes of ("encode", format, path, values) and ("decode", format, path, hex)."""
    (tmp_path / "jobs.json").write_text(json.dumps(jobs))
    (tmp_path / "script.py").write_text(SCRIPT % [str(ROOT / "lib"), str(ROOT / "tests/unit")])
    done = subprocess.run(
        [micropython(), "-X", "heapsize=16m", tmp_path / "script.py", tmp_path / "jobs.json"],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(done.stdout)


def any_value(rng: random.Random, kind: int):
    """A value of a type; whole ranges, and their ends."""
    if kind in (STRING, CORELNK):
        return "".join(
            rng.choice('aZ0 "\\/\n\té水\x7f\x00') for _ in range(rng.choice((0, 1, 5, 30, 300)))
        )
    if kind in (INTEGER, TIME):
        n = rng.choice(
            (
                0,
                23,
                24,
                255,
                256,
                65535,
                65536,
                (1 << 32) - 1,
                1 << 32,
                (1 << 63) - 1,
                rng.getrandbits(40),
            )
        )
        return rng.choice((n, ~n))
    if kind == UINT:
        return rng.choice((0, (1 << 64) - 1, 1 << 63, rng.getrandbits(64)))
    if kind == FLOAT:
        return rng.choice(
            (0.0, 1.5, -2.25, 0.1, 1e300, -1e-300, 65504.0, rng.uniform(-1e6, 1e6), 3.0)
        )
    if kind == BOOLEAN:
        return rng.random() < 0.5
    if kind == OPAQUE:
        return rng.randbytes(rng.choice((0, 1, 2, 3, 47, 48, 49, 200))).hex()
    return [rng.randrange(65536), rng.randrange(65536)]


def data(seed: int, dates: bool = False) -> dict[str, object]:
    """{path: value} for both instances of object 1000: each type as a single and as a multiple resource.
    With `dates` the times are such as the host can make a date of."""
    rng = random.Random(seed)

    def some(rng, kind):
        return rng.getrandbits(36) if dates and kind == TIME else any_value(rng, kind)

    values: dict[str, object] = {}
    for i in (0, 1):
        for kind in range(1, 10):
            values[f"/1000/{i}/{kind}"] = some(rng, kind)
            ids = rng.sample((0, 1, 9, 10, 255, 256, 65534), rng.randrange(1, 4))
            values[f"/1000/{i}/{10 + kind}"] = {k: some(rng, kind) for k in sorted(ids)}
    return values


def flat(values: dict[str, object]) -> dict[str, object]:
    out = {}
    for path, v in values.items():
        out |= {f"{path}/{k}": x for k, x in v.items()} if isinstance(v, dict) else {path: v}
    return out


def kind_of(path: str) -> int:
    return int(path.split("/")[3]) % 10


def from_text(text: str, kind: int):
    return [int(x) for x in text.split(":")] if kind == OBJLNK else text


def same(a, b) -> bool:
    return type(a) is type(b) and a == b


def read(ct: int, payload: bytes) -> dict[str, object]:
    """What the host's codecs find in a payload, with nothing of ours in between."""
    out = {}
    if ct == LWM2M_CBOR:

        def go(path, x):
            if isinstance(x, dict):
                for key, y in x.items():
                    go(
                        path
                        + "".join(f"/{k}" for k in (key if isinstance(key, tuple) else (key,))),
                        y,
                    )
                return
            if kind_of(path) == TIME:
                # tagged as an epoch time
                assert isinstance(x, datetime)
                x = int(x.timestamp())
            x = x.hex() if isinstance(x, bytes) else x
            assert path not in out
            out[path] = from_text(x, kind_of(path)) if isinstance(x, str) else x

        go("", cbor2.loads(payload))
        return out
    if ct == SENML_CBOR:
        names = {-2: "bn", 0: "n", 2: "v", 3: "vs", 4: "vb", 8: "vd", "vlo": "vlo"}
        records = [{names[k]: v for k, v in x.items()} for x in cbor2.loads(payload)]
    else:
        records = json.loads(payload)
        if ct == JSON:
            records["e"][0:0] = [{"bn": records["bn"]}]
            records = [
                {{"sv": "vs", "bv": "vb", "ov": "vlo"}.get(k, k): v for k, v in x.items()}
                for x in records["e"]
            ]
    base = ""
    for x in records:
        base = x.pop("bn", base)
        if not x:
            continue
        path = base + x.pop("n", "")
        assert path not in out and len(x) == 1, x
        ((label, v),) = x.items()
        kind = kind_of(path)
        if ct == JSON and kind == OPAQUE:
            v = base64.b64decode(v, validate=True).hex()
        elif kind == OPAQUE:
            assert label == "vd"
            v = (
                v.hex()
                if isinstance(v, bytes)
                else base64.urlsafe_b64decode(v + "=" * (-len(v) % 4)).hex()
            )
        else:
            want = {BOOLEAN: "vb", OBJLNK: "vlo", STRING: "vs", CORELNK: "vs"}.get(kind, "v")
            assert label == want, (path, label)
        v = from_text(v, kind) if isinstance(v, str) else v
        out[path] = float(v) if kind == FLOAT else v
    return out


@pytest.mark.parametrize("ct", PACKS)
def test_host_reads_what_we_write(ct, tmp_path):
    jobs, wanted = [], []
    for seed in range(12):
        values = data(seed, dates=ct == LWM2M_CBOR)
        for path in ("/1000", "/1000/0", "/1000/1", "/1000/0/1", "/1000/1/14", "/1000/0/17"):
            jobs.append(("encode", ct, path, list(values.items())))
            wanted.append(
                {p: v for p, v in flat(values).items() if p == path or p.startswith(path + "/")}
            )
    for payload, want in zip(device(tmp_path, jobs), wanted, strict=True):
        found = read(ct, bytes.fromhex(payload))
        ids = [[int(x) for x in path[1:].split("/")] for path in found]
        assert ids == sorted(ids) and found.keys() == want.keys()
        for path, v in want.items():
            assert same(found[path], v), path


def test_host_reads_single_values(tmp_path):
    values = [
        (p, v) for seed in range(20) for p, v in flat(data(seed)).items() if p.count("/") == 3
    ]
    jobs = [("encode", CBOR, p, [(p, v)]) for p, v in values]
    for (path, v), payload in zip(values, device(tmp_path, jobs), strict=True):
        d = bytes.fromhex(payload)
        kind = kind_of(path)
        if kind == TIME:
            assert d[0] == 0xC1
            d = d[1:]
        found = cbor2.loads(d)
        if kind == OPAQUE:
            found = found.hex()
        elif isinstance(found, str):
            found = from_text(found, kind)
        assert same(found, v), path
        if (
            kind == FLOAT
            and v == struct.unpack(">f", struct.pack(">f", v if abs(v) < 1e38 else 0.0))[0]
        ):
            assert len(d) == 5


def written(ct: int, values: dict[str, object], rng: random.Random) -> bytes:
    """A payload as the host's codecs write it, its form varied."""
    records = []
    for path, v in flat(values).items():
        kind = kind_of(path)
        raw = (
            bytes.fromhex(v) if kind == OPAQUE else ":".join(map(str, v)) if kind == OBJLNK else v
        )
        records.append((path, kind, raw))
    canonical = rng.random() < 0.5
    if ct == LWM2M_CBOR:
        tree: dict = {}
        style = rng.randrange(3)
        for path, _, raw in records:
            ids = [int(x) for x in path[1:].split("/")]
            if style == 0:
                tree[tuple(ids)] = raw
            elif style == 1:
                tree.setdefault(tuple(ids[:2]), {})[tuple(ids[2:])] = raw
            else:
                x = tree
                for k in ids[:-1]:
                    x = x.setdefault(k, {})
                x[ids[-1]] = raw
        return cbor2.dumps(tree, canonical=canonical)
    old = ct == JSON
    pack = []
    base = ""
    for path, kind, raw in records:
        x: dict = {}
        if not old and (not base or rng.random() < 0.2):
            base = rng.choice(("/", "/1000/", path[: path.index("/", 6) + 1], path))
            x["bn"] = base
        if not old and not path.startswith(base):
            x["bn"] = base = "/"
        name = path if old else path[len(base) :]
        if name:
            x["n"] = name
        if rng.random() < 0.3:
            x["t"] = rng.choice((5, -1.5))
        label = {BOOLEAN: "vb", OBJLNK: "vlo", STRING: "vs", CORELNK: "vs", OPAQUE: "vd"}.get(
            kind, "v"
        )
        if isinstance(raw, bytes) and ct != SENML_CBOR:
            raw = (
                base64.b64encode(raw) if old else base64.urlsafe_b64encode(raw).rstrip(b"=")
            ).decode()
        x[label] = raw
        pack.append(x)
    if old:
        labels = {"vs": "sv", "vb": "bv", "vlo": "ov", "vd": "sv"}
        pack = [{labels.get(k, k): v for k, v in x.items()} for x in pack]
        return json.dumps({"bn": "", "e": pack}, indent=rng.choice((None, 1))).encode()
    if ct == SENML_JSON:
        return json.dumps(
            pack, indent=rng.choice((None, 2)), ensure_ascii=rng.random() < 0.5
        ).encode()
    labels = {"bn": -2, "n": 0, "v": 2, "vs": 3, "vb": 4, "t": 6, "vd": 8}
    return cbor2.dumps(
        [{labels.get(k, k): v for k, v in x.items()} for x in pack], canonical=canonical
    )


@pytest.mark.parametrize("ct", PACKS)
def test_we_read_what_the_host_writes(ct, tmp_path):
    rng = random.Random(ct)
    jobs, wanted = [], []
    for seed in range(100, 130):
        values = data(seed)
        jobs.append(("decode", ct, "/1000", written(ct, values, rng).hex()))
        wanted.append(flat(values))
    for job, found, want in zip(jobs, device(tmp_path, jobs), wanted, strict=True):
        assert isinstance(found, list), (found, bytes.fromhex(job[3])[:80])
        got = {f"/1000/{i}/{r}" + (f"/{ri}" if ri >= 0 else ""): v for i, r, ri, v in found}
        assert got.keys() == want.keys()
        for path, v in want.items():
            if kind_of(path) == FLOAT:
                assert math.isclose(got[path], v, rel_tol=1e-15), path
            else:
                assert got[path] == v, path


def test_we_read_single_values_of_the_host(tmp_path):
    jobs, wanted = [], []
    for seed in range(200, 220):
        for path, v in flat(data(seed)).items():
            kind = kind_of(path)
            raw = (
                bytes.fromhex(v)
                if kind == OPAQUE
                else ":".join(map(str, v))
                if kind == OBJLNK
                else v
            )
            if kind == TIME:
                raw = cbor2.CBORTag(1, raw)
            jobs.append(("decode", CBOR, path, cbor2.dumps(raw, canonical=seed % 2 == 0).hex()))
            wanted.append(v)
    for job, found, want in zip(jobs, device(tmp_path, jobs), wanted, strict=True):
        assert found[0][3] == want, (job, found)
