# The language of EMQX's gateway: commands to requests, answers to JSON, and what is neither
# SPDX-License-Identifier: MIT
from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from tools.server import emqx, formats
from tools.server.model import Model

VECTORS = Path(os.environ.get("LWM2M_VECTORS", Path(__file__).parents[3] / "shared" / "vectors"))
# The objects that the TLV vectors are about, where it is not Device.
TLV_OBJECTS = {
    "tlv-3-16bit-id": 2,
    "tlv-acl-2-instances": 2,
    "tlv-server": 1,
    "tlv-objlnk": 65,
    "tlv-objlnk-2": 66,
}


def vectors() -> dict:
    path = VECTORS / "emqx_gateway.json"
    return json.loads(path.read_text()) if path.is_file() else {}


@pytest.fixture(scope="module")
def model():
    return Model()


def cases(part: str) -> list:
    found = [
        pytest.param(case, id=case.get("id", case.get("cli", "")[-24:]))
        for case in vectors().get(part, [])
    ]
    return found or [pytest.param(None, marks=pytest.mark.skip("no LWM2M_VECTORS"))]


@pytest.mark.parametrize("case", cases("commands"))
def test_a_command_is_its_request_and_the_reply_its_answer(case, model):
    sent, wanted = case["publish"]["payload"], case["expect_coap_request"]
    made = emqx.command(sent, model)
    root = "/lwm2m" if case["register"] == "alt" else ""
    assert (made.method, root + made.target) == (wanted["method"], wanted["path"])
    assert made.payload.hex() == wanted.get("payload_hex", "")
    assert made.accept == wanted.get("accept") and made.observe == wanted.get("observe")
    assert made.format == wanted.get("content_format")
    assert sorted(made.query) == sorted(wanted.get("uri_query_unordered", []))
    replies = case["device_reply"] if isinstance(case["device_reply"], list) else None
    reply = replies[-1] if replies else case["device_reply"]
    payload = bytes.fromhex(reply["payload_hex"])
    data = emqx.result(made, reply["code"], reply.get("content_format"), payload, model)
    expected = case["expect_mqtt"][-1]["payload"]
    if data["code"] == "4.00" and reply["code"] != "4.00":
        assert data.pop("reason")
    kind, order = ("notify", 3) if case["id"] == "notify" else (None, None)
    assert emqx.answer(made, data, kind, order) == expected


@pytest.mark.parametrize("case", cases("tlv"))
def test_tlv(case, model, tmp_path):
    number = TLV_OBJECTS.get(case["id"], 3)
    extra = {
        "65": {"0": ("Objlnk", True), "1": ("String", False), "2": ("Integer", False)},
        "66": {"0": ("String", False), "1": ("String", False), "2": ("Objlnk", False)},
    }
    for oid, resources in extra.items():
        model.objects[oid] = {
            "name": f"Object {oid}",
            "resources": {
                rid: {"name": rid, "type": kind, "multiple": multiple}
                for rid, (kind, multiple) in resources.items()
            },
        }
    single = "res" in case["tree"]
    wanted = case["tree"]["res"] if single else case["tree"]["inst"]
    path = f"/{number}/0" if single else f"/{number}"
    found = emqx.content(path, formats.TLV, bytes.fromhex(case["tlv_hex"]), model)

    def flat(base, node):
        if not isinstance(node, dict):
            return {base: node}
        return {
            k: v for key, inner in node.items() for k, v in flat(f"{base}/{key}", inner).items()
        }

    assert {entry["path"]: entry["value"] for entry in found} == flat(path, wanted)


@pytest.mark.parametrize("case", cases("third_party_client_emqxlwm2m_0_6_0"))
def test_commands_of_another_client(case, model):
    made = emqx.command(case["observed_payload_without_reqID"], model)
    wanted = {
        "read": ("GET", "/3/0/0", ""),
        "write": ("PUT", "/1/0/1", "c1013c"),
        "write-attr": ("PUT", "/3/0/9", ""),
        "execute": ("POST", "/3/0/4", ""),
        "discover": ("GET", "/3/0", ""),
        "create": ("POST", "/3303", "08000ce81644083ff8000000000000"),
    }[made.kind]
    assert (made.method, made.target, made.payload.hex()) == wanted


def write(path: str, kind: str, value) -> dict:
    return {"msgType": "write", "data": {"path": path, "type": kind, "value": value}}


@pytest.mark.parametrize(
    "value, plain, minimal",
    [
        ("127", "c1017f", "c1017f"),
        ("128", "c2010080", "c10180"),
        ("86400", "c40100015180", "c301015180"),
        ("-1", "c101ff", None),
    ],
)
def test_integers_have_a_sign_unless_emqx_is_to_be_reproduced(value, plain, minimal, model):
    message = write("/1/0/1", "Integer", value)
    assert emqx.command(message, model).payload.hex() == plain
    if minimal:
        assert emqx.command(message, model, minimal=True).payload.hex() == minimal
    else:
        with pytest.raises(emqx.BadCommand, match="sign"):
            emqx.command(message, model, minimal=True)


def test_a_float_without_a_point(model):
    message = write("/3303/0/5700", "Float", "12345")
    assert emqx.command(message, model).payload.hex() == "e8164408" + "40c81c8000000000"
    assert emqx.command(message, model, minimal=True).payload.hex() == "e21644" + "3039"


@pytest.mark.parametrize(
    "kind, value, record",
    [
        ("Time", 1367491215, "c40d5182428f"),
        ("String", "a", "c10d61"),
        ("Boolean", "true", "c10d01"),
        ("Boolean", False, "c10d00"),
        ("Opaque", "AQI=", "c20d0102"),
        ("Objlnk", "1:2", "c40d00010002"),
    ],
)
def test_types(kind, value, record, model):
    assert emqx.command(write("/3/0/13", kind, value), model).payload.hex() == record


def test_a_batch_of_instances_of_a_resource(model):
    content = [{"path": n, "type": "Integer", "value": 1} for n in ("0", "1")]
    made = emqx.command(
        {"msgType": "write", "data": {"basePath": "/3/0/11", "content": content}}, model
    )
    assert made.payload.hex() == "860b" + "410001" + "410101"


WRONG = [
    {},
    {"msgType": "read"},
    {"msgType": ["read"], "data": {"path": "/3"}},
    {"msgType": "reed", "data": {"path": "/3"}},
    {"msgType": "read", "data": []},
    {"msgType": "read", "data": {"path": 3}},
    {"msgType": "read", "data": {"path": "/3/x"}},
    {"msgType": "read", "data": {"path": "/3/0/0/0/0"}},
    {"msgType": "read", "data": {"path": "/70000"}},
    {"msgType": "execute", "data": {"path": "/3/0"}},
    {"msgType": "execute", "data": {"path": "/3/0/4", "args": 7}},
    {"msgType": "delete", "data": {"path": "/3"}},
    {"msgType": "write", "data": {"path": "/3/0", "type": "String", "value": "x"}},
    {"msgType": "write", "data": {"basePath": "/3/0", "content": {}}},
    {"msgType": "write", "data": {"basePath": "/3/0", "content": ["x"]}},
    {"msgType": "write", "data": {"basePath": "/3/0", "content": [{"path": 1, "value": 1}]}},
    {"msgType": "write", "data": {"basePath": "/3/0", "content": [{"path": "1"}]}},
    {"msgType": "write", "data": {"basePath": "/3/0", "content": [{"path": "1/2/3", "value": 1}]}},
    {
        "msgType": "write",
        "data": {
            "basePath": "/3/0",
            "content": [{"path": "6", "value": "x"}, {"path": "6/0", "value": "x"}],
        },
    },
    {
        "msgType": "write",
        "data": {
            "basePath": "/3/0",
            "content": [
                {"path": "6/0", "type": "Integer", "value": 1},
                {"path": "6", "type": "Integer", "value": 1},
            ],
        },
    },
    {"msgType": "create", "data": {"path": "/3303"}},
    {
        "msgType": "create",
        "data": {"basePath": "/3303", "content": [{"path": "5700", "value": 1}]},
    },
    {"msgType": "write-attr", "data": {"path": "/3/0/9", "pmin": "soon"}},
    {"msgType": "write-attr", "data": {"path": "/3/0/9", "gt": "nan"}},
    {"msgType": "write-attr", "data": {"path": "/3/0/9", "gt": {}}},
    write("/3/0/13", "Integer", "1.5"),
    write("/3/0/13", "Integer", True),
    write("/3/0/13", "Integer", 1 << 64),
    write("/3/0/13", "Float", "x"),
    write("/3/0/13", "Boolean", 2),
    write("/3/0/13", "Opaque", "?"),
    write("/3/0/13", "Opaque", 7),
    write("/3/0/13", "Objlnk", "1"),
    write("/3/0/13", "Objlnk", "1:70000"),
    write("/3/0/13", "Colour", "red"),
    write("/3/0/13", ["Integer"], 1),
]


@pytest.mark.parametrize("message", WRONG, ids=[str(n) for n in range(len(WRONG))])
def test_what_is_no_command_is_told_why(message, model):
    with pytest.raises(emqx.BadCommand) as caught:
        emqx.command({**message, "reqID": 9}, model)
    told = emqx.refusal(caught.value)
    assert told["reqID"] == 9 and told["data"]["code"] == "4.00" and told["data"]["reason"]
    json.dumps(told)


@pytest.mark.parametrize("payload", [b"", b"{", b"[]", b"1", b"\xff", b"[" * 100000])
def test_what_is_no_json(payload):
    with pytest.raises(emqx.BadCommand):
        emqx.parse(payload)


def test_a_payload_that_cannot_be_decoded_is_a_bad_request(model):
    made = emqx.command({"msgType": "read", "data": {"path": "/3/0"}}, model)
    for format, payload in (
        (formats.TLV, b"\xc8"),
        (formats.JSON, b"[]"),
        (formats.SENML_CBOR, b"\xff"),
    ):
        data = emqx.result(made, "2.05", format, payload, model)
        assert (data["code"], data["codeMsg"]) == ("4.00", "bad_request")


def test_what_a_discover_found_has_names_types_and_operations(model):
    found = emqx.discovered("</3/0/7>;dim=8;pmin=10,</3/0/4>,</lwm2m>,</3>;ver=1.1", model)
    assert [entry["path"] for entry in found] == ["/3/0/7", "/3/0/4", "/3"]
    assert found[0]["name"] == "Power Source Voltage" and found[0]["dataType"] == "Integer"
    assert found[1]["operations"] == "E"
