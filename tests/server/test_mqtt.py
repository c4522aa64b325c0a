# The MQTT gateway: EMQX's vectors end to end with mosquitto, and what EMQX's settings promise
# SPDX-License-Identifier: MIT
from __future__ import annotations

import asyncio
import json
import os
from contextlib import asynccontextmanager
from pathlib import Path

import aiomqtt
import pytest
from aiocoap import Code
from core_peers import run
from mqtt_peers import device, free_port, listening, mosquitto, relay
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from tools.server.config import Config, ConfigError, Listener
from tools.server.gateway import MQTT
from tools.server.mqtt import MqttGateway, Topics
from tools.server.service import DeskServer

VECTORS = Path(os.environ.get("LWM2M_VECTORS", Path(__file__).parents[3] / "shared" / "vectors"))
FILE = VECTORS / "emqx_gateway.json"
DATA = json.loads(FILE.read_text()) if FILE.is_file() else {}
NEEDS = [
    pytest.mark.needs("mosquitto"),
    pytest.mark.skipif(not DATA, reason="no LWM2M_VECTORS"),
]
EP = "urn:oma:lwm2m:oma:3"
LINKS = "</1>, </2>, </3/0>, </4>, </5>"
QUERY = f"ep={EP}&lt=345&lwm2m=1"


@pytest.fixture(scope="module")
def broker(tmp_path_factory):
    with mosquitto(tmp_path_factory.mktemp("mosquitto")) as port:
        yield port


@asynccontextmanager
async def desk_at(broker: int, config: dict | None = None, **table):
    table.setdefault("broker", f"mqtt://127.0.0.1:{broker}")
    gateway = MqttGateway(table)
    listeners = [Listener("coap", port=0)]
    async with DeskServer(Config(listeners=listeners, **(config or {})), [gateway]) as desk:
        await gateway.wait_connected()
        desk.gateway = gateway
        desk.port = desk.server.listening[0].listener.port
        yield desk


def options() -> dict:
    """The settings that the vectors were made with."""
    return {
        "preset": "emqx4",
        "lifetime_min": "1s",
        "lifetime_max": "86400s",
        "qmode_time_window": 22,
    }


@asynccontextmanager
async def both(broker: int, **more):
    """(desk, device, listener) with nothing registered yet."""
    config = more.pop("config", None)
    async with (
        listening(broker) as heard,
        desk_at(broker, config, **{**options(), **more}) as desk,
        device(desk.port) as client,
    ):
        yield desk, client, heard


async def register(client, heard, query: str = QUERY, links: str = LINKS, ep: str = EP) -> dict:
    answer = await client.ask(Code.POST, "/rd", query, links)
    assert answer.code == Code.CREATED
    assert answer.opt.location_path == ("rd", ep)
    return await heard.heard(f"lwm2m/{ep}/up/resp")


def wanted(message: dict, ep: str = EP) -> dict:
    """A message of the vectors, for an endpoint."""
    return json.loads(json.dumps(message).replace("{ep}", ep))


@pytest.mark.needs("mosquitto")
@pytest.mark.skipif(not DATA, reason="no LWM2M_VECTORS")
def test_registrations(broker):
    @run
    async def all_of_them():
        async with both(broker) as (desk, client, heard):
            for case in DATA["registration"]:
                request = wanted(case["request"])
                if case.get("after") == "register":
                    await register(client, heard)
                method = Code[request["method"]]
                query = request["uri_query"]
                answer = await client.ask(
                    method, request["path"], query, request.get("payload", "")
                )
                assert answer.code.dotted == case["expect_coap_code"], case["id"]
                for message in case.get("expect_mqtt", []):
                    told = await heard.heard(wanted(message["topic"]))
                    assert told == wanted(message["payload"]), case["id"]
                if "location_path" in case:
                    assert list(answer.opt.location_path) == wanted(case["location_path"])
                if answer.code == Code.CREATED and "expect_mqtt" not in case:
                    await heard.heard(f"lwm2m/{EP}/up/resp")
                if case["expect_coap_code"] == "4.00":
                    await heard.nothing()
                heard.messages.clear()
                if case["id"] == "deregister":
                    await silent_topic(heard)
                if "after_seconds" in case:
                    await asyncio.sleep(2.2)
                    assert EP not in desk.server.devices
                    heard.messages.clear()
                    await silent_topic(heard)

    async def silent_topic(heard):
        await heard.send(f"lwm2m/{EP}/dn/dm", {"msgType": "read", "data": {"path": "/3"}})
        await heard.nothing()

    all_of_them()


async def command(case: dict, client, heard) -> None:
    """One vector: the command goes in, the request is the one expected, and so are the answers."""
    await heard.send(wanted(case["publish"]["topic"]), wanted(case["publish"]["payload"]))
    request, expected = await client.next(), case["expect_coap_request"]
    assert request.code.name == expected["method"]
    assert "/" + "/".join(request.opt.uri_path) == expected["path"]
    assert request.payload.hex() == expected.get("payload_hex", "")
    for name in ("content_format", "accept", "observe"):
        value = getattr(request.opt, name)
        assert (None if value is None else int(value)) == expected.get(name), name
    assert sorted(request.opt.uri_query) == sorted(expected.get("uri_query_unordered", []))
    replies = case["device_reply"]
    for reply in replies if isinstance(replies, list) else [replies]:
        if "notification" in reply["type"]:
            first = {**reply, "type": "piggyback-ACK"}
            client.reply(request, first, observe=2)
            await heard.heard(wanted(case["expect_mqtt"][0]["topic"]).replace("notify", "resp"))
        observe = reply.get("observe")
        client.reply(
            request, reply, observe if isinstance(observe, int) else 1 if observe else None
        )
        await asyncio.sleep(0)
    for message in case["expect_mqtt"]:
        told = await heard.heard(wanted(message["topic"]))
        told["data"].pop("reason", None)
        assert told == wanted(message["payload"])


@pytest.mark.needs("mosquitto")
@pytest.mark.skipif(not DATA, reason="no LWM2M_VECTORS")
def test_commands(broker):
    @run
    async def all_of_them():
        async with both(broker) as (desk, client, heard):
            registered = None
            for case in DATA["commands"]:
                preset = DATA["register_presets"][case["register"]]
                if registered != case["register"]:
                    registered = case["register"]
                    await register(client, heard, wanted(preset["query"]), preset["payload"])
                try:
                    await command(case, client, heard)
                except (AssertionError, TimeoutError) as error:
                    raise AssertionError(case["id"]) from error

    all_of_them()


@pytest.mark.needs("mosquitto")
@pytest.mark.skipif(not DATA, reason="no LWM2M_VECTORS")
@pytest.mark.parametrize("case", DATA.get("queue_mode", []), ids=lambda case: case["id"])
def test_queue_mode(broker, case):
    window = 1.0

    @run
    async def steps():
        async with both(broker, qmode_time_window=window) as (desk, client, heard):
            await register(client, heard, wanted(case["register_query"]))
            text = {"type": "piggyback-ACK", "code": "2.05", "content_format": 0}

            async def read(number: int, **more) -> None:
                message = {"reqID": number, "msgType": "read", "data": {"path": f"/3/0/{number}"}}
                await heard.send(f"lwm2m/{EP}/dn/dm", message, **more)

            await read(0)
            client.reply(await client.next(), {**text, "payload_hex": "30"})
            assert (await heard.heard(f"lwm2m/{EP}/up/resp"))["reqID"] == 0
            await asyncio.sleep(window + 0.2)
            for number in (1, 2, 3):
                await read(number)
            # A fourth waits a second at most, as MQTT 5 lets the sender say.
            soon = Properties(PacketTypes.PUBLISH)
            soon.MessageExpiryInterval = 1
            await read(0, properties=soon)
            await client.quiet(1.3)
            assert (await client.ask(Code.POST, f"/rd/{EP}")).code == Code.CHANGED
            assert (await heard.heard(f"lwm2m/{EP}/up/resp"))["msgType"] in (
                "coap_timeout",
                "update",
            )
            for number in (1, 2, 3):
                request = await client.next()
                assert request.opt.uri_path[-1] == str(number)
                await client.quiet(0.1)
                client.reply(request, {**text, "payload_hex": "31"})
                while True:
                    told = await heard.heard(f"lwm2m/{EP}/up/resp")
                    if told["msgType"] == "read":
                        break
                assert told["reqID"] == number
            await client.quiet()

    steps()


@pytest.mark.needs("mosquitto")
@pytest.mark.skipif(not DATA, reason="no LWM2M_VECTORS")
def test_auto_observe(broker):
    @run
    async def steps():
        async with both(broker, auto_observe=True) as (desk, client, heard):
            for case in DATA["auto_observe"]:
                await register(client, heard, QUERY, case["register_payload"])
                for path in case["expect_observe"]:
                    request = await client.next()
                    assert "/" + "/".join(request.opt.uri_path) == path
                    assert request.opt.observe == 0 and request.token
                    reply = {"type": "piggyback-ACK", "code": "2.05", "content_format": 11542}
                    client.reply(request, {**reply, "payload_hex": "c00041"}, 1)
                    await heard.heard(f"lwm2m/{EP}/up/resp")
                    client.reply(
                        request, {**reply, "type": "notification", "payload_hex": "c00042"}, 2
                    )
                    told = await heard.heard(f"lwm2m/{EP}/up/notify")
                    assert told["msgType"] == "notify" and told["data"]["reqPath"] == "/3/0"
                await client.quiet()

    steps()


@pytest.mark.needs("mosquitto")
def test_no_answer_a_reset_and_what_is_no_command(broker):
    @run
    async def steps():
        config = {"coap_timeout": 0.5}
        async with both(broker, config=config) as (desk, client, heard):
            await register(client, heard)
            topic, response = f"lwm2m/{EP}/dn/x", f"lwm2m/{EP}/up/resp"
            message = {"reqID": 1, "msgType": "read", "data": {"path": "/3/0/0"}}
            await heard.send(topic, message)
            client.reply(await client.next(), {"type": "reset"})
            assert await heard.heard(response) == {**message, "msgType": "coap_reset"}
            await heard.send(topic, message)
            await client.next()
            assert await heard.heard(response) == {**message, "msgType": "coap_timeout"}
            for wrong in (b"", b"{", b"[1]", b"\xff\xfe", b"[" * 5000, b'{"msgType": "read"}'):
                await heard.send(topic, wrong)
                told = await heard.heard(response)
                assert told["data"]["code"] == "4.00" and told["data"]["reason"]
            await heard.send(topic, {"reqID": 2, "msgType": "read", "data": {"path": "/3/x"}})
            told = await heard.heard(response)
            assert (told["reqID"], told["data"]["code"]) == (2, "4.00")

    steps()


@pytest.mark.needs("mosquitto")
def test_lifetimes_outside_the_limits_are_refused(broker):
    @run
    async def steps():
        limits = {"lifetime_min": "60s", "lifetime_max": "10m"}
        async with both(broker, **limits) as (desk, client, heard):
            for lifetime in (59, 601):
                answer = await client.ask(
                    Code.POST, "/rd", f"ep={EP}&lt={lifetime}&lwm2m=1", LINKS
                )
                assert answer.code == Code.BAD_REQUEST
            await heard.nothing()
            await register(client, heard)
            answer = await client.ask(Code.POST, f"/rd/{EP}", "lt=30")
            assert answer.code == Code.BAD_REQUEST
            assert desk.server.devices[EP].lifetime == 345

    steps()


XML = """<?xml version="1.0" encoding="utf-8"?>
<LWM2M><Object ObjectType="MODefinition">
<Name>Greenhouse</Name><Description1>A test.</Description1><ObjectID>33000</ObjectID>
<ObjectURN>urn:oma:lwm2m:x:33000</ObjectURN><LWM2MVersion>1.0</LWM2MVersion>
<ObjectVersion>1.0</ObjectVersion><MultipleInstances>Multiple</MultipleInstances>
<Mandatory>Optional</Mandatory><Resources><Item ID="1"><Name>Hatch</Name>
<Operations>RW</Operations><MultipleInstances>Single</MultipleInstances>
<Mandatory>Mandatory</Mandatory><Type>Integer</Type><RangeEnumeration></RangeEnumeration>
<Units></Units><Description>How far it is open.</Description></Item></Resources>
<Description2></Description2></Object></LWM2M>
"""


@pytest.mark.needs("mosquitto")
def test_definitions_minimal_integers_and_send(broker, tmp_path):
    (tmp_path / "33000.xml").write_text(XML)

    @run
    async def steps():
        more = {"xml_dir": str(tmp_path), "minimal_integers": True}
        async with both(broker, **more) as (desk, client, heard):
            await register(client, heard, links=LINKS + ", </33000/0>")
            topic, response = f"lwm2m/{EP}/dn", f"lwm2m/{EP}/up/resp"
            data = {"path": "/33000/0/1", "type": "Integer", "value": 128}
            await heard.send(topic, {"msgType": "write", "data": data})
            request = await client.next()
            assert request.payload.hex() == "c10180"
            changed = {"type": "piggyback-ACK", "code": "2.04", "payload_hex": ""}
            client.reply(request, changed)
            assert (await heard.heard(response))["data"]["code"] == "2.04"
            await heard.send(topic, {"msgType": "read", "data": {"path": "/33000/0"}})
            content = {"type": "piggyback-ACK", "code": "2.05", "content_format": 110}
            pack = json.dumps([{"bn": "/33000/0/", "n": "1", "v": -5}]).encode().hex()
            client.reply(await client.next(), {**content, "payload_hex": pack})
            told = (await heard.heard(response))["data"]
            assert told["content"] == [{"path": "/33000/0/1", "value": -5}]
            pack = '[{"bn":"/33000/0/1","bt":1796082000,"v":7},{"bn":"/5/0/0","vd":"AQI"}]'
            sent = await client.ask(Code.POST, "/dp", "", pack, 110)
            assert sent.code == Code.CHANGED
            told = await heard.heard(f"lwm2m/{EP}/up/notify")
            assert told["msgType"] == "send"
            assert told["data"]["content"] == [
                {"path": "/33000/0/1", "value": 7, "time": 1796082000},
                {"path": "/5/0/0", "value": "AQI=", "time": 1796082000},
            ]

    steps()


@pytest.mark.parametrize("wrong", ["nowhere", "33000.xml"])
def test_definitions_that_cannot_be_read(tmp_path, wrong):
    (tmp_path / "33000.xml").write_text(XML.replace("</Object>", ""))
    folder = tmp_path / "nowhere" if wrong == "nowhere" else tmp_path

    @run
    async def steps():
        gateway = MqttGateway({"broker": "mqtt://127.0.0.1:9", "xml_dir": str(folder)})
        with pytest.raises(ConfigError, match=wrong):
            await DeskServer(Config(listeners=[Listener("coap", port=0)]), [gateway]).start()

    steps()


@pytest.mark.needs("mosquitto")
def test_presets_and_names_that_mqtt_takes_for_wildcards(broker):
    @run
    async def steps():
        async with both(broker, preset="page") as (desk, client, heard):
            await client.ask(Code.POST, "/rd", "ep=a%2B%23&lt=60&lwm2m=1.1", LINKS)
            told = await heard.heard("lwm2m/a%2B%23/response")
            assert told["msgType"] == "register" and told["data"]["ep"] == "a+#"
            await heard.send(
                "lwm2m/a%2B%23/command", {"msgType": "execute", "data": {"path": "/3/0/4"}}
            )
            assert (await client.next()).code == Code.POST
        async with both(broker, preset="emqx5", mountpoint="x/${clientid}/") as (
            desk,
            client,
            heard,
        ):
            await client.ask(Code.POST, "/rd", "ep=b/c&lt=60&lwm2m=1.2", LINKS)
            assert (await heard.heard("x/b/c/up/resp"))["msgType"] == "register"
            await client.ask(Code.POST, "/rd/b%2Fc".replace("%2F", "/"), "")
            await heard.send("x/b/c/dn/dm", {"msgType": "delete", "data": {"path": "/3303/0"}})
            while (request := await client.next()).code != Code.DELETE:
                pass
            assert request.opt.uri_path == ("3303", "0")

    steps()


@pytest.mark.needs("mosquitto")
def test_a_broker_that_comes_back_hears_what_it_missed(broker):
    @run
    async def steps():
        async with listening(broker) as heard, relay(broker) as (port, cut):
            async with desk_at(port) as desk, device(desk.port) as client:
                await register(client, heard)
                await cut(False)
                async with asyncio.timeout(5):
                    while desk.gateway.connected.is_set():
                        await asyncio.sleep(0.02)
                # Another client registers, and the first asks for an update, without the broker.
                assert (await client.ask(Code.POST, f"/rd/{EP}")).code == Code.CHANGED
                query = "ep=later&lt=60&lwm2m=1.1"
                assert (await client.ask(Code.POST, "/rd", query, LINKS)).code == Code.CREATED
                await heard.nothing()
                await cut(True)
                assert (await heard.heard(f"lwm2m/{EP}/up/update"))["msgType"] == "update"
                assert (await heard.heard("lwm2m/later/up/resp"))["msgType"] == "register"
                message = {"msgType": "execute", "data": {"path": "/3/0/4"}}
                await heard.send("lwm2m/later/dn", message)
                assert (await client.next()).opt.uri_path == ("3", "0", "4")

    steps()


@run
async def test_the_embedded_broker():
    port = free_port()
    gateway = MqttGateway({"embedded": f"127.0.0.1:{port}"})
    async with DeskServer(Config(listeners=[Listener("coap", port=0)]), [gateway]) as desk:
        await gateway.wait_connected()
        old = aiomqtt.ProtocolVersion.V311
        async with (
            listening(port, old) as heard,
            device(desk.server.listening[0].listener.port) as client,
        ):
            await register(client, heard)
            message = {"reqID": 1, "msgType": "delete", "data": {"path": "/5/0"}}
            await heard.send(f"lwm2m/{EP}/dn/dm", message)
            client.reply(
                await client.next(), {"type": "piggyback-ACK", "code": "2.02", "payload_hex": ""}
            )
            told = await heard.heard(f"lwm2m/{EP}/up/resp")
            assert told["data"] == {"reqPath": "/5/0", "code": "2.02", "codeMsg": "deleted"}


@run
async def test_the_embedded_broker_with_a_password():
    port = free_port()
    user = {"username": "me", "password": "secret"}
    gateway = MqttGateway({"embedded": f"127.0.0.1:{port}", **user})
    async with DeskServer(Config(listeners=[Listener("coap", port=0)]), [gateway]):
        await gateway.wait_connected()
        old = aiomqtt.ProtocolVersion.V311
        for wrong in ({}, {**user, "password": "guess"}):
            with pytest.raises(aiomqtt.MqttError):
                async with aiomqtt.Client("127.0.0.1", port, protocol=old, timeout=3, **wrong):
                    pass
        async with aiomqtt.Client("127.0.0.1", port, protocol=old, **user) as client:
            await client.publish("a", b"b")


@pytest.mark.parametrize(
    "table, word",
    [
        ({}, "broker"),
        ({"broker": "mqtt://h", "embedded": "h:1"}, "both"),
        ({"broker": "http://h"}, "mqtt.broker"),
        ({"broker": "mqtt://h:x"}, "port"),
        ({"broker": "mqtt://h:99999"}, "port"),
        ({"embedded": "0.0.0.0:1883"}, "password"),
        ({"embedded": "127.0.0.1:1883", "password": "x"}, "username"),
        ({"broker": "mqtt://h", "qos": 3}, "qos"),
        ({"broker": "mqtt://h", "qos": True}, "qos"),
        ({"broker": "mqtt://h", "colour": 1}, "colour"),
        ({"broker": "mqtt://h", "preset": "emqx6"}, "preset"),
        ({"broker": "mqtt://h", "mountpoint": "a/", "command": "b"}, "%e"),
        ({"broker": "mqtt://h", "response": "a/#"}, "response"),
        ({"broker": "mqtt://h", "command": "%e/+"}, "command"),
    ],
)
def test_settings_that_are_wrong(table, word):
    with pytest.raises(ConfigError, match=word):
        MqttGateway(table)


def test_topics_tell_endpoints_apart():
    topics = MqttGateway({"broker": "mqtt://h", "mountpoint": "%e/lwm2m/%e/"}).topics
    assert isinstance(topics, Topics)
    known = {"a": "a", "b/c": "b/c"}
    assert topics.of("notify", "a") == "a/lwm2m/a/up/notify"
    assert topics.endpoint("a/lwm2m/a/dn", known) == "a"
    assert topics.endpoint("b/c/lwm2m/b/c/dn/x/y", known) == "b/c"
    assert topics.endpoint("a/lwm2m/b/c/dn", known) is None
    assert topics.endpoint("a/lwm2m/a/up", known) is None
    assert MQTT == "mqtt"
