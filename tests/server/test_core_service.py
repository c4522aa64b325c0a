# The desk server as a whole: operations, events, queue, restarts, files, definitions; devices made of aiocoap.
# SPDX-License-Identifier: MIT

import asyncio
import contextlib
import json

import aiohttp
import cbor2
import pytest
from aiocoap import Code, Message
from core_peers import bodies, client_of, content, desk_server, run, until

from tools import objects
from tools.server import events
from tools.server.config import Config, ConfigError, Listener
from tools.server.inventory import LIMIT, InventoryError
from tools.server.results import OperationError, Options
from tools.server.service import DeskServer

SYNC = {"async": False}
DEVICE = {0: "Acme", 9: 80, 11: {0: 0}, 13: 1607561898, 20: 0}


@run
async def test_events_of_a_registration_have_the_pages_bodies():
    async with desk_server() as desk, client_of(desk) as client:
        await client.register("sms=1")
        (body,) = bodies(desk, events.REGISTER)
        host, port = body.pop("remoteAddr").split(":")
        assert host == "127.0.0.1" and port.isdigit()
        assert body == {
            "binding": "U",
            "credentials": "none",
            "version": "1.0",
            "discovery": {
                "children": {
                    "1": {"children": {"0": {}}},
                    "3": {"children": {"0": {}}},
                    "3303": {"children": {"0": {}}},
                }
            },
        }
        (record,) = desk.store.registrations()
        await client.post("/" + "/".join(record.location), ["lt=90"])
        assert bodies(desk, events.UPDATE)[0]["binding"] == "U"
        assert desk.store.registration("dev").lifetime == 90
        view = desk.endpoint_view("dev")
        assert (view["status"], view["registration"]["lifetime"]) == ("connected", 90)
        assert json.dumps(desk.endpoints_view())
        await client.post("/" + "/".join(record.location), code=Code.DELETE)
        assert bodies(desk, events.DEREGISTER) == [{"reason": "deregister"}]
        assert (desk.store.registrations(), desk.endpoint_view("dev")["status"]) == ([], "unknown")


@run
async def test_reads_synchronous_asynchronous_and_partial():
    answers = {
        ("GET", "/3/0"): content(DEVICE),
        ("GET", "/3/0/0"): content("Acme", 0, "/3/0/0"),
        ("GET", "/3/0/100"): Message(code=Code.NOT_FOUND),
    }
    async with desk_server() as desk, client_of(desk, answers=answers) as client:
        await client.register()
        read = desk.operations.read
        result = await read("dev", ["3/0"], SYNC)
        assert result.data(desk.model) == {
            "3": {"0": {"0": "Acme", "9": 80, "11": {"0": 0}, "13": 1607561898, "20": 0}}
        }
        (body,) = bodies(desk, events.DATA)
        assert body == {
            "source": "read",
            "data": {
                "device": {
                    "0": {
                        "manufacturer": "Acme",
                        "battery_level": 80,
                        "error_code": {"0": "no error"},
                        "current_time": "2020-12-10T00:58:18Z",
                        "battery_status": "normal",
                    }
                }
            },
            "context": None,
        }
        assert bodies(desk, events.ASYNC_RESULT) == []

        # Asynchronous: at first nothing is known; the outcome comes with the context.
        early = await read("dev", ["3/0/0"], {"context": {"msgId": "1"}})
        assert (early.values, early.queued) == ([], False)
        await until(lambda: bodies(desk, events.ASYNC_RESULT))
        assert bodies(desk, events.ASYNC_RESULT) == [
            {"context": {"msgId": "1"}, "path": "3/0/0", "source": "read", "success": True}
        ]
        assert bodies(desk, events.DATA)[-1]["context"] == {"msgId": "1"}

        # Some of it refused.
        with pytest.raises(OperationError, match="partial success") as caught:
            await read("dev", ["3/0/0", "3/0/100"], SYNC)
        assert caught.value.result.data(desk.model) == {"3": {"0": {"0": "Acme"}}}
        await read("dev", ["3/0/0", "3/0/100"], {"context": 7})
        await until(lambda: len(bodies(desk, events.ASYNC_RESULT)) == 2)
        assert bodies(desk, events.ASYNC_RESULT)[-1] == {
            "context": 7,
            "error": "partial success",
            "partialErrors": {"3/0/100": "coap: not found"},
            "path": "3/0/0,3/0/100",
            "source": "read",
            "success": False,
        }
        assert bodies(desk, events.ERROR) == [
            {"source": "read", "error": "partial success", "context": 7}
        ]
        for wrong in ("3/x", "70000", "1/2/3/4/5", [], [3], None, 5):
            with pytest.raises(OperationError) as caught:
                await read("dev", wrong, SYNC)
            assert caught.value.code == "argument"
        for options in (
            {"encoding": "morse"},
            {"colour": 1},
            {"async": "no"},
            [],
            {"timeout": True},
        ):
            with pytest.raises(OperationError) as caught:
                await read("dev", "3/0", options)
            assert caught.value.code == "argument"
        with pytest.raises(OperationError) as caught:
            await read("nobody", "3/0", SYNC)
        assert caught.value.code == "unknown"


@run
async def test_what_cannot_be_decoded_is_an_error():
    bad = Message(code=Code.CONTENT, payload=b"\xc8", content_format=11542)
    answers = {("GET", "/3/0"): bad, ("GET", "/3/0/0"): content("Acme", 0, "/3/0/0")}
    async with desk_server() as desk, client_of(desk, answers=answers) as client:
        await client.register()
        with pytest.raises(OperationError, match="^tlv: .*cut off"):
            await desk.operations.read("dev", "3/0", SYNC)
        with pytest.raises(OperationError, match="partial success") as caught:
            await desk.operations.read("dev", ["3/0", "3/0/0"], SYNC)
        assert caught.value.result.data(desk.model) == {"3": {"0": {"0": "Acme"}}}
        assert len(bodies(desk, events.DATA)) == 1
        # A raw request takes it as it is.
        result = await desk.operations.request("dev", "GET", "3/0", options=SYNC)
        assert result.answers["/3/0"].payload == b"\xc8"


@run
async def test_writes_on_the_wire():
    async with desk_server() as desk, client_of(desk) as client:
        await client.register()
        ops = desk.operations

        async def sent(operation):
            before = len(client.seen)
            await operation
            found = []
            for method, path, message in client.seen[before:]:
                found.append((method, path, message.opt.content_format, message.payload))
            return found

        assert await sent(ops.write("dev", "3/0/15", "UTC", SYNC)) == [
            ("PUT", "/3/0/15", 0, b"UTC")
        ]
        tlv = b"\xc4\x0e+4:0" + b"\xc3\x0fEDT"
        two = {"14": "+4:0", "15": "EDT"}
        assert await sent(ops.write("dev", "3/0", two, SYNC)) == [("POST", "/3/0", 11542, tlv)]
        replace = {**SYNC, "replace": True}
        assert await sent(ops.write("dev", "3/0", two, replace)) == [("PUT", "/3/0", 11542, tlv)]
        one = {"3": {"0": {"15": "UTC"}}, "1": {"0": {"7": "UQ"}}}
        assert await sent(ops.writeMulti("dev", one, SYNC)) == [
            ("PUT", "/3/0/15", 0, b"UTC"),
            ("PUT", "/1/0/7", 0, b"UQ"),
        ]
        assert await sent(ops.writeMulti("dev", {"3": {"0": two}}, SYNC)) == [
            ("POST", "/3/0", 11542, tlv)
        ]
        assert await sent(
            ops.writeMulti("dev", {"3": {"0": two}}, {**SYNC, "encoding": "text"})
        ) == [
            ("PUT", "/3/0/14", 0, b"+4:0"),
            ("PUT", "/3/0/15", 0, b"EDT"),
        ]
        ((method, path, format, payload),) = await sent(
            ops.writeMulti("dev", one, {**SYNC, "composite": True})
        )
        assert (method, path, format) == ("iPATCH", "/", 112)
        assert cbor2.loads(payload) == [{0: "/3/0/15", 3: "UTC"}, {0: "/1/0/7", 3: "UQ"}]
        assert await sent(ops.exec("dev", "3/0/4", SYNC)) == [("POST", "/3/0/4", None, b"")]
        given = {"0": "abc123", "3": None}
        assert await sent(ops.execWithArgs("dev", "3/0/4", given, SYNC)) == [
            ("POST", "/3/0/4", 0, b"0='abc123',3")
        ]
        assert await sent(ops.create("dev", "3303/5", {"5601": 1.5}, SYNC)) == [
            ("POST", "/3303", 11542, bytes.fromhex("0705e415e13fc00000"))
        ]
        client.answers["POST", "/3303"] = Message(code=Code.CREATED, location_path=("3303", "7"))
        assert (await ops.create("dev", "3303", {}, SYNC)).location == "/3303/7"
        assert await sent(ops.delete("dev", "3303/5", SYNC)) == [("DELETE", "/3303/5", None, b"")]
        await ops.writeAttributes("dev", "3/0/9", {"pmin": 5, "gt": None}, SYNC)
        assert client.seen[-1][2].opt.uri_query == ("pmin=5", "gt")
        for call in (
            ops.write("dev", "3/0/13", "soon", SYNC),
            ops.write("dev", "3/0", 5, SYNC),
            ops.write("dev", "1/0/6", "maybe", SYNC),
            ops.write("dev", "5/0/0", "xyz", SYNC),
            ops.writeMulti("dev", {}, SYNC),
            ops.writeMulti("dev", {"3": 5}, SYNC),
            ops.writeMulti("dev", {"x": {"0": {"1": 1}}}, SYNC),
            ops.execWithArgs("dev", "3/0/4", {"a": "1"}, SYNC),
            ops.execWithArgs("dev", "3/0/4", {"1": "it's"}, SYNC),
            ops.writeAttributes("dev", "3/0", {"colour": 1}, SYNC),
            ops.observeCancel("dev", "ff", SYNC),
            ops.request("dev", "BREW", "3/0", options=SYNC),
        ):
            with pytest.raises(OperationError) as caught:
                await call
            assert caught.value.code == "argument"


@run
async def test_last_known_values_have_their_times():
    answers = {("GET", "/3/0"): content(DEVICE)}
    async with desk_server() as desk, client_of(desk, answers=answers) as client:
        await client.register()
        await desk.operations.read("dev", "3/0", SYNC)
        await desk.operations.write("dev", "3/0/14", "+01:00", SYNC)
        known = desk.operations.lastKnown("dev")
        assert known["3"]["0"] == {
            "0": "Acme",
            "9": 80,
            "11": {"0": 0},
            "13": 1607561898,
            "14": "+01:00",
            "20": 0,
        }
        assert known["~3"]["0"]["0"].endswith("Z") and "0" in known["~3"]["0"]["11"]
        named = desk.operations.lastKnown("dev", includeUpdateTimes=False, translateIds="strings")
        assert named["device"]["0"]["manufacturer"] == "Acme" and set(named) == {"device"}
        with pytest.raises(OperationError):
            desk.operations.lastKnown("nobody")


@run
async def test_observations_notify_and_are_cancelled_by_token():
    async with desk_server() as desk, client_of(desk) as client:
        await client.register()
        result = await desk.operations.observe("dev", "3303/0/5700", SYNC)
        token = result.tokens["/3303/0/5700"]
        client.observed.notify()
        await until(lambda: len(bodies(desk, events.DATA)) == 2)
        first, second = (e.detail for e in desk.seen if e.kind == events.DATA)
        assert (first.source, first.values) == ("observe", [("/3303/0/5700", None, 0.0)])
        assert (second.source, second.values) == ("notify", [("/3303/0/5700", None, 1.0)])
        assert second.token == token and isinstance(second.sequence, int)
        assert desk.operations.lastKnown("dev")["3303"]["0"]["5700"] == 1.0
        # Once more: the old observation is over, under the new token it goes on.
        again = await desk.operations.observe("dev", "3303/0/5700", SYNC)
        assert [o.token for o in desk.store.observations("dev")] == list(again.tokens.values())
        await desk.operations.observeCancel("dev", again.tokens["/3303/0/5700"], SYNC)
        assert desk.store.observations("dev") == []
        assert client.observed.seen[-1][0] == 1
        with pytest.raises(OperationError) as caught:
            await desk.operations.observe("dev", "3/0/0", SYNC)
        assert caught.value.code == "refused" and str(caught.value) == "coap: not found"


@run
async def test_commands_wait_while_a_device_sleeps():
    answers = {("GET", "/3/0/0"): content("Acme", 0, "/3/0/0")}
    async with desk_server(awake_window=0.3) as desk, client_of(desk, answers=answers) as client:
        await client.post("/rd", ["ep=dev", "lt=60", "b=UQ"], b"</3/0>", 40)
        where = "/" + "/".join(desk.store.registration("dev").location)
        await until(lambda: desk.endpoint_view("dev")["status"] == "sleeping")
        ops = desk.operations
        first = await ops.exec("dev", "3/0/4", {"context": "c"})
        second = await ops.read("dev", "3/0/0")
        assert first.queued and second.queued and client.seen == []
        assert bodies(desk, events.ASYNC_RESULT) == [
            {
                "context": "c",
                "intermediate": True,
                "path": "3/0/4",
                "source": "exec",
                "success": True,
            }
        ]
        assert [c.operation for c in ops.queued("dev")] == ["exec", "read"]
        waiting = asyncio.create_task(ops.write("dev", "3/0/14", "Z", {**SYNC, "timeout": 3}))
        with pytest.raises(OperationError) as caught:
            await ops.read("dev", "3/0/0", {**SYNC, "timeout": 0.1})
        assert caught.value.code == "timeout" and len(ops.queued("dev")) == 3
        dropped = await ops.delete("dev", "3303/0")
        assert ops.cancelQueued(dropped.number) and not ops.cancelQueued(dropped.number)

        await client.post(where)
        assert (await waiting).success
        assert [s[:2] for s in client.seen] == [
            ("POST", "/3/0/4"),
            ("GET", "/3/0/0"),
            ("PUT", "/3/0/14"),
        ]
        assert ops.queued("dev") == []
        assert bodies(desk, events.ASYNC_RESULT)[-1] == {
            "context": "c",
            "path": "3/0/4",
            "source": "exec",
            "success": True,
        }
        assert bodies(desk, events.DATA)[-1]["data"] == {"device": {"0": {"manufacturer": "Acme"}}}


@run
async def test_timeouts_of_an_operation_and_of_an_endpoint():
    async with desk_server(coap_timeout=20) as desk, client_of(desk) as client:
        await client.register()

        async def never(request):
            await asyncio.sleep(60)

        client.render = never
        loop = asyncio.get_running_loop()
        start = loop.time()
        with pytest.raises(OperationError) as caught:
            await desk.operations.read("dev", "3/0", {**SYNC, "timeout": 0.3})
        assert caught.value.code == "timeout"
        desk.put_endpoint("dev", {"coapTimeout": 0.4})
        with pytest.raises(OperationError):
            await desk.operations.read("dev", "3/0", SYNC)
        assert 0.6 < loop.time() - start < 5
        await desk.operations.read("dev", "3/0", {"context": 1})
        await until(lambda: bodies(desk, events.ERROR))
        assert bodies(desk, events.ERROR)[0] == {
            "source": "read",
            "error": "device did not respond to the request",
            "context": 1,
        }


@run
async def test_queued_commands_expire_and_the_queue_has_a_bound():
    async with desk_server(awake_window=0.1, queue_size=2) as desk, client_of(desk) as client:
        await client.post("/rd", ["ep=dev", "b=UQ"], b"</3/0>", 40)
        await asyncio.sleep(0.2)
        await desk.operations.exec("dev", "3/0/4", {"expiry": 0.3, "context": 1})
        await desk.operations.exec("dev", "3/0/5", {"expiry": 0})
        with pytest.raises(OperationError) as caught:
            await desk.operations.exec("dev", "3/0/4")
        assert caught.value.code == "queue"
        await until(lambda: bodies(desk, events.ERROR))
        assert bodies(desk, events.ERROR) == [
            {"source": "exec", "error": "expired before the device woke", "context": 1}
        ]
        assert bodies(desk, events.ASYNC_RESULT)[-1]["path"] == "3/0/4"
        assert [c.arguments["path"] for c in desk.operations.queued("dev")] == ["/3/0/5"]


@run
async def test_a_restart_loses_nothing(tmp_path):
    options = {"database": str(tmp_path / "desk.db"), "awake_window": 0.2}
    answers = {("GET", "/3/0/0"): content("Acme", 0, "/3/0/0")}
    async with desk_server(**options) as desk:
        client = client_of(desk, answers=answers)
        async with client, contextlib.AsyncExitStack() as later:
            await client.post("/rd", ["ep=dev", "lt=300", "b=UQ"], b"</3/0>,</3303/0>", 40)
            where = "/" + "/".join(desk.store.registration("dev").location)
            observed = await desk.operations.observe(
                "dev", "3303/0/5700", {**SYNC, "context": {"mine": 1}}
            )
            token = observed.tokens["/3303/0/5700"]
            await until(lambda: desk.endpoint_view("dev")["status"] == "sleeping")
            queued = await desk.operations.read("dev", "3/0/0", {"context": "kept"})
            assert queued.queued
            port = desk.server.port
            # The server ends, and another one starts on its file and its port.
            await desk.stop()
            listeners = [Listener("coap", port=port)]
            again = DeskServer(Config(listeners=listeners, **options))
            await later.enter_async_context(again)
            again.seen = []
            again.events.subscribe(again.seen.append, set(events.KINDS) - {events.LOG})
            view = again.endpoint_view("dev")
            assert (view["status"], view["queued"]) == ("sleeping", 1)
            assert [o["token"] for o in view["observations"]] == [token]
            assert again.operations.lastKnown("dev")["3303"]["0"]["5700"] == 0.0

            client.observed.notify()
            await until(lambda: len(bodies(again, events.DATA)) == 2)
            notified, read = (e.detail for e in again.seen if e.kind == events.DATA)
            assert (notified.source, notified.values) == ("notify", [("/3303/0/5700", None, 1.0)])
            assert (notified.token, notified.context) == (token, {"mine": 1})
            # The notification showed that it is awake, so the queued command went out.
            assert (read.source, read.values) == ("read", [("/3/0/0", None, "Acme")])
            await until(lambda: bodies(again, events.ASYNC_RESULT))
            assert bodies(again, events.ASYNC_RESULT)[0]["context"] == "kept"
            assert again.operations.queued("dev") == []
            assert (await client.post(where)).code == Code.CHANGED


@run
async def test_requests_of_any_kind_survive_in_the_queue():
    async with desk_server(awake_window=0.1) as desk, client_of(desk) as client:
        await client.post("/rd", ["ep=dev", "b=UQ"], b"</3/0>", 40)
        where = "/" + "/".join(desk.store.registration("dev").location)
        await asyncio.sleep(0.2)
        options = Options(origin="mqtt", context={"reqID": 1})
        await desk.operations.request(
            "dev", "PUT", "3/0/14", payload=b"\xc1\x0eZ", format=11542, options=options
        )
        await client.post(where)
        done = await desk.events.wait(
            events.ASYNC_RESULT, "dev", 3, lambda e: not e.detail.queued, since=0
        )
        assert (done.detail.origin, done.detail.context) == ("mqtt", {"reqID": 1})
        assert done.detail.answers["/3/0/14"].code == "2.04"
        assert client.seen[-1][2].payload == b"\xc1\x0eZ"
        # A refusal is an answer, also for a caller that waits.
        client.answers["GET", "/9"] = Message(code=Code.NOT_FOUND)
        refused = await desk.operations.request("dev", "GET", "/9", options=SYNC)
        assert refused.answers["/9"].code == "4.04"


@run
async def test_missing_and_lifetimes():
    options = {"missing_after": 0.5, "min_lifetime": 30, "max_lifetime": 100}
    async with desk_server(**options) as desk, client_of(desk) as client:
        for lifetime in (29, 101):
            answer = await client.post("/rd", ["ep=dev", f"lt={lifetime}"], b"</3/0>", 40)
            assert answer.code == Code.BAD_REQUEST
        await client.post("/rd", ["ep=dev", "lt=30"], b"</3/0>", 40)
        where = "/" + "/".join(desk.store.registration("dev").location)
        assert (await client.post(where, ["lt=5"])).code == Code.BAD_REQUEST
        await until(lambda: desk.endpoint_view("dev")["status"] == "missing")
        await client.post(where)
        assert [b["status"] for b in bodies(desk, events.STATUS)] == [
            "connected",
            "missing",
            "connected",
        ]
        desk.put_endpoint("dev", {"missingAfter": 0})
        await asyncio.sleep(1.2)
        assert desk.endpoint_view("dev")["status"] == "connected"


@pytest.mark.parametrize(
    "settings",
    [
        [],
        {"colour": 1},
        {"identity": "a"},
        {"identity": "a", "key": "xyz"},
        {"identity": "a", "key": ""},
        {"identity": "a", "key": "00" * 65},
        {"thumbprints": ["00"]},
        {"thumbprints": "00"},
        {"allowNosec": 1},
        {"coapTimeout": "soon"},
        {"coapTimeout": float("nan")},
        {"bootstrap": {"servers": 5}},
        {"bootstrap": []},
        {"notes": 5},
    ],
)
@run
async def test_settings_of_endpoints_that_are_wrong(settings):
    async with desk_server() as desk:
        with pytest.raises(ConfigError) as caught:
            desk.put_endpoint("dev", settings)
        assert "xyz" not in str(caught.value) and desk.endpoints_view() == []


@run
async def test_endpoints_and_their_secrets():
    async with desk_server() as desk:
        key = "00112233445566778899aabbccddeeff"
        desk.put_endpoint("dev", {"identity": "me", "key": key, "notes": "bench 3"})
        view = desk.endpoint_view("dev")
        assert view["identities"] == [{"identity": "me", "kind": "primary"}]
        assert key not in json.dumps(view) and key not in repr(desk.store.credentials("dev"))
        with pytest.raises(ConfigError):
            desk.put_endpoint("other", {"identity": "me", "key": key})
        desk.put_endpoint("dev", {"identity": "new", "key": key})
        assert [i["identity"] for i in desk.endpoint_view("dev")["identities"]] == ["new"]
        async with client_of(desk) as client:
            answer = await client.register()  # it has credentials, and comes without
            assert answer.code == Code.FORBIDDEN
            desk.put_endpoint("dev", {"allowNosec": True})
            assert (await client.register()).code == Code.CREATED
        assert desk.remove_endpoint("dev") and not desk.remove_endpoint("dev")
        assert desk.server.devices == {} and desk.store.credential("new") is None


@run
async def test_a_closed_server_knows_its_endpoints_only():
    async with desk_server(open=False) as desk, client_of(desk) as client:
        assert (await client.register()).code == Code.FORBIDDEN
        desk.put_endpoint("dev", {})
        assert (await client.register()).code == Code.CREATED


KETTLE = b"""<LWM2M><Object><Name>Kettle</Name><ObjectID>33000</ObjectID>
<MultipleInstances>Single</MultipleInstances><Resources><Item ID='7'><Name>Boil Now</Name>
<Operations>RW</Operations><Type>Integer</Type></Item></Resources></Object></LWM2M>"""


@run
async def test_definitions_are_added_and_removed_while_it_runs(tmp_path):
    options = {"database": str(tmp_path / "desk.db")}
    async with desk_server(**options) as desk:
        assert desk.save_object_xml("kettle.xml", KETTLE) == [33000]
        assert desk.model.label("/33000/0/7") == "/33000/0/7 Boil Now"
        assert desk.object_xmls() == {
            "kettle.xml": [{"id": 33000, "name": "Kettle", "version": "1.0"}]
        }
        bad = KETTLE.replace(b">RW<", b">fly<")
        with pytest.raises(objects.Bad, match=r"^kettle.xml:3: <Operations> is 'FLY'"):
            desk.save_object_xml("kettle.xml", bad)
        for wrong in (
            b"",
            b"<",
            b"\xff\xfe",
            b"<LWM2M/>",
            b"<?xml version='1.0' encoding='x'?><a/>",
        ):
            with pytest.raises(objects.Bad, match=r"^bad.xml:\d+: "):
                desk.save_object_xml("bad.xml", wrong)
        device = KETTLE.replace(b"33000", b"3").replace(b"Kettle", b"My Device")
        desk.save_object_xml("device.xml", device)
        assert desk.model.name("/3") == "My Device"
    async with desk_server(**options) as desk:
        assert set(desk.object_xmls()) == {"kettle.xml", "device.xml"}
        assert desk.remove_object_xml("device.xml") and not desk.remove_object_xml("device.xml")
        assert desk.model.name("/3") == "Device"


@run
async def test_the_inventory_over_http_https_and_coap(tmp_path):
    folder = {"inventory": str(tmp_path / "files")}
    async with desk_server("coap", "http", "https", **folder) as desk, client_of(desk) as client:
        image = bytes(range(256)) * 40 + b"end"
        item = desk.inventory.add("fw-1.0.bin", image)
        assert (item.size, len(desk.inventory.items())) == (len(image), 1)
        for name in ("", "..", ".x", "a/b", "a b", "x" * 200):
            with pytest.raises(InventoryError):
                desk.inventory.add(name, b"x")
        with pytest.raises(InventoryError, match="smaller than 16 MB"):
            desk.inventory.add("large", bytes(LIMIT))
        desk.inventory.add("fits", bytes(LIMIT - 1))
        uris = desk.uris()
        async with aiohttp.ClientSession() as session:
            for scheme in ("http", "https"):
                url = f"{uris[scheme]}/files/fw-1.0.bin"
                async with session.get(url, ssl=False) as answer:
                    assert await answer.read() == image
                async with session.get(url, ssl=False, headers={"Range": "bytes=100-"}) as answer:
                    assert (answer.status, await answer.read()) == (206, image[100:])
                for wrong in ("/files/no", "/files/..%2fx", "/", "/files/fits/x"):
                    async with session.get(uris[scheme] + wrong, ssl=False) as answer:
                        assert answer.status == 404
        answer = await client.post("/files/fw-1.0.bin", code=Code.GET)
        assert (answer.code, answer.payload) == (Code.CONTENT, image)
        # From the middle, in small blocks, as a download that goes on.
        message = Message(code=Code.GET, uri=uris["coap"] + "/files/fw-1.0.bin")
        message.opt.block2 = (100, False, 2)
        answer = await client.context.request(message, handle_blockwise=False).response
        assert answer.payload == image[6400:6464] and answer.opt.size2 == len(image)
        message = Message(code=Code.GET, uri=uris["coap"] + "/files/fw-1.0.bin")
        message.opt.block2 = (1000, False, 6)
        answer = await client.context.request(message, handle_blockwise=False).response
        assert answer.code == Code.BAD_OPTION
        assert (await client.post("/files/none", code=Code.GET)).code == Code.NOT_FOUND


@run
async def test_what_cannot_start_leaves_nothing_open():
    async with desk_server() as desk:
        config = Config(
            listeners=[Listener("coap", port=0), Listener("coap", port=desk.server.port)]
        )
        with pytest.raises(OSError):
            await DeskServer(config).start()


@pytest.mark.parametrize(
    "table",
    [
        [],
        {"colour": 5},
        {"listeners": 5},
        {"listeners": [{"scheme": "ftp"}]},
        {"listeners": [{"port": 70000}]},
        {"listeners": [{"port": "x"}]},
        {"listeners": [{"roles": ["cook"]}]},
        {"listeners": [{"speed": 1}]},
        {"coap_timeout": -1},
        {"coap_timeout": "x"},
        {"min_lifetime": 5, "max_lifetime": 4},
        {"certificate": "a.pem"},
        {"open": 1},
        {"xml": "a.xml"},
    ],
)
def test_configurations_that_are_wrong(table):
    with pytest.raises(ConfigError):
        Config.of(table)


def test_configuration_from_toml_and_json(tmp_path):
    toml = tmp_path / "desk.toml"
    toml.write_text(
        'tags = ["_trace_"]\n[[listeners]]\nscheme = "coaps"\n[mqtt]\nport = 1\n[bootstrap]\n'
    )
    config = Config.load(toml)
    assert (config.trace, config.listeners[0].port, config.extra) == (
        True,
        5684,
        {"mqtt": {"port": 1}},
    )
    toml.write_text("x = ")
    with pytest.raises(ConfigError, match="desk.toml"):
        Config.load(toml)
    with pytest.raises(ConfigError, match="none.json"):
        Config.load(tmp_path / "none.json")
