# Leshan's JSON: nodes of values, both ways, and what is no node
# SPDX-License-Identifier: MIT
from __future__ import annotations

import json

import pytest

from tools.server import nodes
from tools.server.model import Model

MODEL = Model()
PAIRS = [
    (
        "/3/0/14",
        "+01:00",
        {"kind": "singleResource", "id": 14, "type": "string", "value": "+01:00"},
    ),
    ("/3/0/9", 80, {"kind": "singleResource", "id": 9, "type": "integer", "value": "80"}),
    (
        "/3303/0/5700",
        21.5,
        {"kind": "singleResource", "id": 5700, "type": "float", "value": "21.5"},
    ),
    ("/1/0/6", True, {"kind": "singleResource", "id": 6, "type": "boolean", "value": True}),
    ("/5/0/0", b"\1\xff", {"kind": "singleResource", "id": 0, "type": "opaque", "value": "01ff"}),
    ("/3/0/13", 1500, {"kind": "singleResource", "id": 13, "type": "time", "value": 1500000}),
    (
        "/3/0/6",
        {0: 1, 1: 5},
        {"kind": "multiResource", "id": 6, "type": "integer", "values": {"0": "1", "1": "5"}},
    ),
    ("/3/0/6/1", 5, {"kind": "resourceInstance", "id": 1, "type": "integer", "value": "5"}),
    (
        "/0/0/17",
        "21:0",
        {
            "kind": "singleResource",
            "id": 17,
            "type": "objlnk",
            "value": {"objectId": 21, "objectInstanceId": 0},
        },
    ),
    (
        "/3",
        {0: {9: 80, 14: "UTC"}},
        {
            "kind": "obj",
            "id": 3,
            "instances": [
                {
                    "kind": "instance",
                    "id": 0,
                    "resources": [
                        {"kind": "singleResource", "id": 9, "type": "integer", "value": "80"},
                        {"kind": "singleResource", "id": 14, "type": "string", "value": "UTC"},
                    ],
                }
            ],
        },
    ),
]


@pytest.mark.parametrize("path, value, shown", PAIRS, ids=[pair[0] for pair in PAIRS])
def test_both_ways(path, value, shown):
    assert nodes.node(path, value, MODEL) == shown
    assert nodes.value_of(path, json.loads(json.dumps(shown)), MODEL) == value


def test_a_key_is_not_shown():
    assert nodes.node("/0/1/5", b"secret", MODEL)["value"] == "***"


def test_without_kind_and_type_the_definition_tells():
    assert nodes.value_of("/3/0/13", {"id": 13, "value": "1500000"}, MODEL) == 1500
    assert nodes.value_of("/9999/0/1", {"id": 1, "value": 7}, MODEL) == 7


@pytest.mark.parametrize(
    "path, given",
    [
        ("/3/0/9", 5),
        ("/3/0/9", {}),
        ("/3/0/9", {"value": "x"}),
        ("/3/0/9", {"value": 1.5}),
        ("/3/0/9", {"value": True}),
        ("/3/0/9", {"value": None}),
        ("/3/0/9", {"type": "colour", "value": "red"}),
        ("/3/0/9", {"type": 7, "value": "red"}),
        ("/3/0/0", {"value": {}}),
        ("/3/0/6", {"values": []}),
        ("/3/0/6", {"values": {"x": 1}}),
        ("/3/0/6", {"values": {"70000": 1}}),
        ("/5/0/0", {"value": "0"}),
        ("/5/0/0", {"value": 7}),
        ("/1/0/6", {"value": "perhaps"}),
        ("/0/0/17", {"value": "1:70000"}),
        ("/0/0/17", {"value": {}}),
        ("/3/0", {"resources": 5}),
        ("/3/0", {"resources": [5]}),
        ("/3/0", {"resources": [{"value": 5}]}),
        ("/3", {"instances": [{"id": -1}]}),
    ],
)
def test_what_is_no_node(path, given):
    with pytest.raises(nodes.BadNode):
        nodes.value_of(path, given, MODEL)
