# Bootstrap configurations as Tartabit's page describes them: what is written for them, and what is refused.
# SPDX-License-Identifier: MIT

import pytest
from aiocoap import Code, Message
from core_peers import Client, bodies, desk_server, run

from tools.server import accounts, events, formats
from tools.server.model import Model

MODEL = Model()
PAGE = {
    "clearSecurityObjects": True,
    "clearServerObjects": True,
    "clearAclObjects": True,
    "servers": [
        {
            "shortServerId": 99,
            "bootstrap": False,
            "self": True,
            "secMode": "nosec",
            "lifetime": 60,
            "disableTimeout": 86400,
            "binding": "UQ",
        }
    ],
    "acls": [{"objectId": 4, "instanceId": 0, "rules": {"99": "rwe"}, "owner": 65535}],
    "objects": {"3441": {"1": None, "10": {"105": "bootstrap value"}}},
}
DISCOVERED = b'</>;lwm2m="1.1",</0/0>;ssid=7,</0/3>,</1/0>;ssid=7,</2/0>,</3/0>'


async def bootstrap(table, answers=(), expected="finished", **options):
    """What a client is asked in a bootstrap: [(method, path, value)], without Finish."""
    answers = {("GET", "/"): Message(code=Code.NOT_FOUND), **dict(answers)}
    async with desk_server(bootstrap=table, **options) as desk:
        async with Client(desk.server, answers=answers) as client:
            answer = await client.post("/bs", ["ep=dev"])
            assert answer.code == Code.CHANGED
            done = await desk.events.wait(events.BOOTSTRAPPED, "dev", 5, since=0)
            assert expected in done.body["result"]
            found = []
            for method, path, message in client.seen[1:]:
                value = None
                if message.payload:
                    value = formats.decode(formats.TLV, path, message.payload, MODEL)
                found.append((method, path, value))
            if expected == "finished":
                assert found.pop() == ("POST", "/bs", None)
            return desk, found


@run
async def test_the_configuration_of_the_page():
    desk, found = await bootstrap(PAGE)
    assert bodies(desk, events.BOOTSTRAP) == [{"version": "1.0"}]
    uri = found[4][2].pop(0)
    assert uri.startswith("coap://127.0.0.1:")
    assert found == [
        ("DELETE", "/0", None),
        ("DELETE", "/1", None),
        ("DELETE", "/2", None),
        ("DELETE", "/3441/1", None),
        ("PUT", "/0/1", {1: False, 2: 3, 3: b"", 4: b"", 5: b"", 10: 99}),
        ("PUT", "/1/0", {0: 99, 1: 60, 5: 86400, 6: True, 7: "UQ"}),
        ("PUT", "/2/0", {0: 4, 1: 0, 2: {99: 7}, 3: 65535}),
        ("PUT", "/3441/10", {105: b"bootstrap value"}),
    ]


@run
async def test_instances_follow_what_the_device_has():
    links = Message(code=Code.CONTENT, payload=DISCOVERED, content_format=40)
    servers = [{"shortServerId": 7, "self": True}, {"shortServerId": 8, "uri": "coap://h"}]
    table = {"servers": servers}
    desk, found = await bootstrap(table, {("GET", "/"): links})
    # /0/3 is the bootstrap server's account, and stays.
    assert [f[1] for f in found[3:]] == ["/0/0", "/1/0", "/0/1", "/1/1"]
    assert bodies(desk, events.BOOTSTRAP) == [{"version": "1.1"}]
    table |= dict.fromkeys(accounts.CLEAR, False)
    servers.reverse()
    servers.append({"bootstrap": True, "self": True})
    _, found = await bootstrap(table, {("GET", "/"): links})
    # Nothing is deleted: server 7 keeps its instances, 8 gets free ones, the bootstrap account is /0/3.
    assert [f[:2] for f in found] == [
        ("PUT", path) for path in ("/0/1", "/1/1", "/0/0", "/1/0", "/0/3")
    ]


@run
async def test_null_deletes_and_repeated_objects_merge():
    text = b"""{"servers": [], "objects": {"3441": {"1": null}, "3441": {"10": {"105": "a"}},
        "3441": {"10": {"106": "b"}}, "3": {"0": {"14": null, "15": "UTC"}}, "9": null}}"""
    table = accounts.loads(text)
    wanted = accounts.plan(table, MODEL)
    assert wanted.delete == ["/3441/1", "/3/0/14", "/9"]
    assert wanted.objects == {"/3441/10": {105: "a", 106: "b"}, "/3/0": {15: "UTC"}}
    listed = {"objects": [{"3441": {"1": None}}, {"3441": {"10": {"105": "a"}}}]}
    assert accounts.plan(listed, MODEL).delete == ["/3441/1"]


@run
async def test_a_step_that_fails_ends_it_and_voids_what_was_issued():
    table = {"servers": [{"shortServerId": 1, "self": True, "secMode": "psk"}]}
    answers = {("PUT", "/1/0"): Message(code=Code.BAD_REQUEST)}
    async with desk_server("coap", "coaps", bootstrap=table) as desk:
        async with Client(desk.server, answers=answers) as client:
            await client.post("/bs", ["ep=dev"])
            done = await desk.events.wait(events.BOOTSTRAPPED, "dev", 5, since=0)
            assert done.body == {"success": False, "result": "write /1/0 answered 4.00"}
            assert desk.store.credentials("dev") == []
    # No listener for what is wanted.
    _, found = await bootstrap(table, expected="does not listen on coaps")
    assert found == []


@run
async def test_deleting_what_is_not_there_is_no_failure():
    answers = {("DELETE", "/2"): Message(code=Code.NOT_FOUND)}
    _, found = await bootstrap(None, answers)
    assert found[3][1] == "/0/1" and found[4][2][1] == 86400


@pytest.mark.parametrize(
    ("table", "text"),
    [
        ([], "configuration: .* is not an object"),
        ({"colour": 1}, "colour is unknown"),
        ({"clearAclObjects": 1}, "clearAclObjects: 1 is not true or false"),
        ({"servers": {}}, "servers: .* is not a list"),
        ({"servers": [5]}, r"servers\[0\]: 5 is not an object"),
        ({"servers": [{"self": True}]}, "shortServerId is missing"),
        ({"servers": [{"shortServerId": 0, "self": True}]}, "from 1 to 65534"),
        ({"servers": [{"shortServerId": True, "self": True}]}, "not a whole number"),
        ({"servers": [{"shortServerId": 1}]}, "uri is ''"),
        ({"servers": [{"shortServerId": 1, "uri": "http://x"}]}, "uri is 'http://x'"),
        ({"servers": [{"shortServerId": 1, "uri": "coaps://x"}]}, "do not fit"),
        (
            {"servers": [{"shortServerId": 1, "uri": "coaps://x", "secMode": "psk"}]},
            "needs identity and psk",
        ),
        ({"servers": [{"shortServerId": 1, "self": True, "psk": "00"}]}, "with self there is no"),
        ({"servers": [{"shortServerId": 1, "self": True, "secMode": "rpk"}]}, "not nosec or psk"),
        ({"servers": [{"shortServerId": 1, "self": True, "binding": "X"}]}, "binding is 'X'"),
        ({"servers": [{"shortServerId": 1, "self": True, "x": 1}]}, r"servers\[0\].x is unknown"),
        ({"servers": [{"shortServerId": 1, "self": True}] * 2}, "comes twice"),
        ({"servers": [{"bootstrap": True, "self": True}] * 2}, "more than one has bootstrap"),
        (
            {"acls": [{"objectId": 3, "instanceId": 0, "rules": {"1": "x"}}]},
            "not of r, w, e, c, d",
        ),
        ({"acls": [{"objectId": 3, "instanceId": 0, "rules": {"a": "r"}}]}, "no short server id"),
        ({"acls": [{"objectId": 3}]}, "instanceId"),
        ({"objects": {"x": {}}}, "'x' is no id"),
        ({"objects": {"3": 5}}, "is not an object"),
        ({"objects": {"3": {"0": {"13": "soon"}}}}, "is no Time"),
        ({"objects": 5}, "objects: 5 is not an object"),
    ],
)
def test_configurations_that_are_wrong(table, text):
    with pytest.raises(accounts.AccountError, match=text):
        accounts.plan(table, MODEL)


def test_a_wrong_key_is_not_shown():
    entry = {"shortServerId": 1, "uri": "coaps://x", "identity": "i", "psk": "secret!"}
    for psk in ("secret!", 12345678, "00" * 65):
        entry["psk"] = psk
        with pytest.raises(accounts.AccountError) as caught:
            accounts.plan({"servers": [entry]}, MODEL)
        assert str(psk) not in str(caught.value)
    for text in (b"{", b"[1,", b"\xff", b"[" * 100000):
        with pytest.raises(accounts.AccountError):
            accounts.loads(text)
