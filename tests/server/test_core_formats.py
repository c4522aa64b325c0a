# Formats beyond test_core_server.py: LwM2M CBOR, times, alternate paths, and what is malformed in any way.
# SPDX-License-Identifier: MIT

import json
import math
import random
import time

import cbor2
import pytest

from tools.server import Model, formats, values
from tools.server.formats import CBOR, JSON, LWM2M_CBOR, OPAQUE, SENML_CBOR, SENML_JSON, TEXT, TLV

MODEL = Model()
DEVICE = {0: "Acme", 6: {0: 1, 1: 5}, 9: 80, 13: 1607561898}
ALL = (None, TEXT, OPAQUE, CBOR, SENML_JSON, SENML_CBOR, TLV, JSON, LWM2M_CBOR)


@pytest.mark.parametrize("format", [SENML_JSON, SENML_CBOR, JSON, LWM2M_CBOR])
def test_several_objects_survive(format):
    value = {3: {0: DEVICE}, 3303: {1: {5700: 21.5, 5701: "Cel"}}, 1: {0: {6: True}}}
    if format == JSON:
        value = value[3]
    path = "/" if format != JSON else "/3"
    payload = formats.encode(format, path, value, MODEL)
    assert formats.decode(format, path, payload, MODEL) == value


def test_lwm2m_cbor_vectors():
    # LwM2M Core 1.2, 7.4.7: maps from the root; a key may be an array of ids.
    assert formats.encode(LWM2M_CBOR, "/3/0/9", 80, MODEL).hex() == "a103a100a1091850"
    for text in ("a103a100a1091850", "a1830300091850", "a1820300a1091850"):
        payload = bytes.fromhex(text)
        assert formats.readings(LWM2M_CBOR, "/3/0/9", payload, MODEL) == [("/3/0/9", None, 80)]
        assert formats.decode(LWM2M_CBOR, "/3/0/9", payload, MODEL) == 80


def test_times_of_records():
    pack = [{"bn": "/3303/0/5700", "bt": 1.7e9, "v": 1}, {"t": 10, "v": 2.5}]
    found = formats.history(SENML_JSON, json.dumps(pack).encode(), MODEL)
    assert found == [("/3303/0/5700", 1.7e9, 1.0), ("/3303/0/5700", 1.7e9 + 10, 2.5)]
    ((_, at, _),) = formats.history(SENML_JSON, b'[{"n":"/3/0/9","t":-5,"v":1}]', MODEL)
    assert -6 < at - time.time() < -4
    old = b'{"bn":"/3303/0/","bt":1700000000,"e":[{"n":"5700","t":5,"v":21}]}'
    assert formats.readings(JSON, "/3303/0", old, MODEL) == [("/3303/0/5700", 1.7e9 + 5, 21.0)]
    # Of several, a value is the newest that came last.
    many = b'[{"n":"/3/0/9","t":1700000000,"v":1},{"n":"/3/0/9","t":1700000001,"v":2}]'
    assert formats.decode(SENML_JSON, "/3/0/9", many, MODEL) == 2


def test_cbor_items_of_any_kind_become_what_the_model_says():
    import datetime
    import fractions

    at = datetime.datetime(2020, 12, 10, 0, 58, 18, tzinfo=datetime.UTC)
    assert formats.decode(CBOR, "/3/0/13", cbor2.dumps(at), MODEL) == 1607561898
    half = cbor2.dumps(fractions.Fraction(1, 2))
    assert formats.decode(CBOR, "/3303/0/5700", half, MODEL) == 0.5
    assert type(formats.decode(CBOR, "/3303/0/5700", cbor2.dumps(2), MODEL)) is float
    for odd in ({}, [], None, cbor2.undefined, cbor2.CBORTag(9, 1), {1: 2}):
        with pytest.raises(ValueError):
            formats.decode(CBOR, "/3/0/9", cbor2.dumps(odd), MODEL)


@pytest.mark.parametrize("format", [SENML_JSON, SENML_CBOR])
def test_names_begin_with_the_alternate_path(format):
    payload = formats.encode(format, "/3/0", {9: 80}, MODEL, "/lwm2m")
    assert b"/lwm2m/3/0/9" in payload
    assert formats.decode(format, "/3/0", payload, MODEL, "/lwm2m") == {9: 80}
    assert b"/lwm2m/3/0" in formats.encode_paths(format, ["/3/0"], "/lwm2m")


@pytest.mark.parametrize(
    ("format", "payload"),
    [
        (SENML_JSON, b'[{"n":"/3/0/9","v":1,"vs":"x"}]'),
        (SENML_JSON, b'[{"n":"/3/0/9"}]'),
        (SENML_JSON, b'[{"n":"/3/0/9","v":"1"}]'),
        (SENML_JSON, b'[{"n":"/3/0/9","v":true}]'),
        (SENML_JSON, b'[{"n":"/3/0/0","vs":5}]'),
        (SENML_JSON, b'[{"n":"/3/0/0","vb":1}]'),
        (SENML_JSON, b'[{"n":"/5/0/0","vd":"="}]'),
        (SENML_JSON, b'[{"n":5,"v":1}]'),
        (SENML_JSON, b'[{"n":"/3/0/9","v":1,"t":"now"}]'),
        (SENML_JSON, b'[{"n":"/3/0/9","v":1,"t":NaN}]'),
        (SENML_JSON, b'[{"n":"/3/0/9","v":1,"bt":true}]'),
        (SENML_JSON, b'[{"n":"/3/0/9","bv":"x","v":1}]'),
        (SENML_JSON, b'[{"n":"/3303/0/5700","v":1' + b"0" * 400 + b"}]"),
        (SENML_JSON, b"[" * 100000),
        (SENML_CBOR, b"\x81" * 5000),
        (JSON, b'{"e":[{"n":"","v":"1"}]}'),
        (JSON, b'{"e":[{"n":"","v":1}],"bt":"x"}'),
        (JSON, b'{"e":5}'),
        (LWM2M_CBOR, bytes.fromhex("a1206161")),
        (LWM2M_CBOR, bytes.fromhex("a1f5a0")),
        (LWM2M_CBOR, bytes.fromhex("83010203")),
        (LWM2M_CBOR, bytes.fromhex("a103a100a109a100a10001")),
        (LWM2M_CBOR, bytes.fromhex("a103a100a10980")),
        (TLV, b"\xc1\x09" + b"\x01" * 3),
        (TLV, bytes.fromhex("c409deadbeefc3")),
    ],
)
def test_malformed(format, payload):
    path = "/3/0" if format in (TLV, JSON) else "/"
    with pytest.raises(ValueError):
        formats.readings(format, path, payload, MODEL)


def test_nothing_but_value_errors_comes_of_any_payload():
    random.seed(7)
    tree = {3: {0: DEVICE}, 3303: {0: {5700: 21.5, 5701: "Cel"}}}
    whole = {3: {0: DEVICE}}
    seeds = [
        (SENML_JSON, "/", formats.encode(SENML_JSON, "/", tree, MODEL)),
        (SENML_CBOR, "/", formats.encode(SENML_CBOR, "/", tree, MODEL)),
        (LWM2M_CBOR, "/", formats.encode(LWM2M_CBOR, "/", tree, MODEL)),
        (JSON, "/3", formats.encode(JSON, "/3", whole[3], MODEL)),
        (TLV, "/3", formats.encode(TLV, "/3", whole[3], MODEL)),
        (CBOR, "/3/0/13", b"\xc1\x1a\x5f\xd1\x72\x0a"),
        (TEXT, "/3/0/13", b"1607561898"),
    ]
    for _ in range(6000):
        format, path, payload = random.choice(seeds)
        data = bytearray(payload)
        for _ in range(random.randrange(1, 6)):
            kind = random.randrange(3)
            at = random.randrange(len(data)) if data else 0
            if kind == 0 and data:
                data[at] ^= 1 << random.randrange(8)
            elif kind == 1:
                data[at:at] = random.randbytes(random.randrange(4))
            else:
                del data[at : at + random.randrange(4)]
        try:
            found = formats.readings(format, path, bytes(data), MODEL)
        except ValueError:
            continue
        for where, at, value in found:
            # What comes through can be stored and shown.
            assert values.load(values.dump(value)) == value or value != value
            json.dumps(values.to_json(value, where))
            assert at is None or math.isfinite(at)


@pytest.mark.parametrize(
    ("format", "path", "value"),
    [
        (TLV, "/3/0/9", "x"),
        (TLV, "/3/0/9", 1 << 70),
        (TEXT, "/5/0/0", "text"),
        (OPAQUE, "/3/0/9", "x"),
        (SENML_JSON, "/3/0/9", object()),
        (1234, "/3/0/9", 5),
    ],
)
def test_what_cannot_be_encoded(format, path, value):
    with pytest.raises(ValueError):
        formats.encode(format, path, value, MODEL)


@pytest.mark.parametrize(
    ("kind", "given", "made"),
    [
        ("Integer", "5", 5),
        ("Integer", 5.0, 5),
        ("Float", "1.5", 1.5),
        ("Boolean", "true", True),
        ("Boolean", 0, False),
        ("Opaque", "00ff", b"\0\xff"),
        ("Opaque", 5, b"\5"),
        ("Objlnk", "3:0", "3:0"),
        ("String", 5, "5"),
        ("Time", 1, 1),
        ("", 5, 5),
    ],
)
def test_values_from_json(kind, given, made):
    found = values.from_json(kind, given, "/1/2/3")
    assert found == made and type(found) is type(made)


@pytest.mark.parametrize(
    ("kind", "given"),
    [
        ("Integer", "x"),
        ("Integer", 1.5),
        ("Integer", True),
        ("Integer", float("inf")),
        ("Float", "x"),
        ("Float", True),
        ("Boolean", "yes"),
        ("Boolean", 2),
        ("Opaque", "x"),
        ("Opaque", -1),
        ("Objlnk", "3"),
        ("String", True),
        ("String", None),
        ("", None),
        ("Corelnk", 5),
    ],
)
def test_values_from_json_that_do_not_fit(kind, given):
    with pytest.raises(ValueError, match="/1/2/3"):
        values.from_json(kind, given, "/1/2/3")


def test_secrets_are_hidden_in_every_form():
    found = [("/0/1/5", b"key"), ("/0/1/3", b"id"), ("/11/0/6", "password")]
    tree = values.to_tree(found, MODEL)
    assert tree["0"]["1"] == {"5": "***", "3": b"id".hex()} and tree["11"]["0"]["6"] == "***"
    with pytest.raises(ValueError) as caught:
        values.from_json("Opaque", "no hex, but a secret", "/0/1/5")
    assert "secret" not in str(caught.value)
    assert values.to_json({1: {5: b"key"}}, "/0") == {"1": {"5": "***"}}
    assert values.load(values.dump({"a": b"\0", "b": {5: 1.5, "~x": math.inf}})) == {
        "a": b"\0",
        "b": {5: 1.5, "~x": math.inf},
    }
