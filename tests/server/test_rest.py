# REST in Leshan's shape, EMQX's lookup, Tartabit's operations, and events, with the device code as client
# SPDX-License-Identifier: MIT
from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest
from aiocoap import Code, Message
from core_peers import LINKS, Client, content, run
from mqtt_peers import device as scripted_device

from tools.server import formats
from tools.server.config import Config, ConfigError, Listener
from tools.server.fleet import Fleet
from tools.server.rest import RestServer
from tools.server.service import DeskServer

ROOT = Path(__file__).resolve().parents[2]
VECTORS = Path(os.environ.get("LWM2M_VECTORS", ROOT / "../shared/vectors")) / "emqx_gateway.json"
KEY = "000102030405060708090a0b0c0d0e0f"
CA = """-----BEGIN CERTIFICATE-----
MIIBszCCAVmgAwIBAgIUQ
-----END CERTIFICATE-----
"""


class Http:
    """Requests to the interface, and what its streams tell."""

    def __init__(
        self, session: aiohttp.ClientSession, base: str, desk: DeskServer, rest: RestServer
    ):
        self.session, self.base, self.desk, self.rest = session, base, desk, rest
        self.server = desk.server

    async def ask(self, method: str, path: str, body=None, status: int = 200, **more):
        if body is not None and not isinstance(body, (bytes, str)):
            body = json.dumps(body)
        async with self.session.request(method, self.base + path, data=body, **more) as response:
            text = await response.text()
            assert response.status == status, f"{method} {path}: {response.status} {text}"
            return json.loads(text) if text else None

    async def get(self, path: str, status: int = 200):
        return await self.ask("GET", path, status=status)

    @asynccontextmanager
    async def stream(self, path: str):
        """await heard(name) takes the next event of a name from a stream of server-sent events."""
        async with self.session.get(self.base + path) as response:
            assert response.status == 200
            assert response.content_type == "text/event-stream"
            events: list[tuple[str, dict]] = []

            async def heard(wanted: str, where=lambda data: True) -> dict:
                async with asyncio.timeout(8):
                    while True:
                        for entry in events:
                            if entry[0] == wanted and where(entry[1]):
                                events.remove(entry)
                                return entry[1]
                        events.append(await self._event(response.content))

            yield heard

    async def _event(self, reader) -> tuple[str, dict]:
        name, data = "", ""
        while True:
            line = (await reader.readline()).decode().rstrip("\n")
            if line.startswith("event: "):
                name = line[7:]
            elif line.startswith("data: "):
                data = line[6:]
            elif not line and name:
                return name, json.loads(data)


@asynccontextmanager
async def desk(config: dict | None = None, **table):
    rest = RestServer({"port": 0, **table})
    listeners = [Listener("coap", port=0)]
    async with DeskServer(Config(listeners=listeners, **(config or {})), [rest]) as server:
        headers = {"Authorization": f"Bearer {rest.token}"} if rest.token else {}
        async with aiohttp.ClientSession(headers=headers) as session:
            yield Http(session, rest.base, server, rest)


@asynccontextmanager
async def managed(count: int = 1, **options):
    """A desk with clients dev-0 and so on: the device code on MicroPython."""
    async with desk() as http:
        uri = http.desk.uris()["coap"]
        async with Fleet(uri, count, name="dev-", **options) as fleet:
            assert await fleet.all_registered(10), fleet.errors
            yield http


DEV = "/api/clients/dev-0"


@pytest.mark.needs("micropython")
def test_operations_in_leshans_shape():
    @run
    async def steps():
        async with managed() as http:
            (client,) = await http.get("/api/clients")
            assert client == await http.get(DEV)
            assert client["endpoint"] == "dev-0" and client["lwM2mVersion"] == "1.2"
            assert client["lifetime"] == 86400 and client["queuemode"] is False
            assert client["rootPath"] == "/" and client["sleeping"] is False
            assert "/3303/0" in client["availableInstances"]
            assert {"url": "/3/0", "attributes": {}} in client["objectLinks"]

            value = {"kind": "singleResource", "id": 5700, "type": "float", "value": "20.0"}
            ok = {"valid": True, "success": True, "failure": False}
            read = {"status": "CONTENT(205)", **ok, "content": value}
            for name in ("TLV", "SENML_JSON", "senml_cbor", "JSON", "CBOR", "TEXT", "LWM2M_CBOR"):
                assert await http.get(f"{DEV}/3303/0/5700?format={name}") == read, name
            assert (await http.get(f"{DEV}/3303/0"))["content"]["resources"] == [value]
            whole = (await http.get(f"{DEV}/3303"))["content"]
            assert whole["kind"] == "obj" and whole["instances"][0]["resources"] == [value]
            missing = await http.get(f"{DEV}/3303/9")
            assert (missing["status"], missing["failure"]) == ("NOT_FOUND(404)", True)

            node = {"id": 14, "kind": "singleResource", "type": "string", "value": "+02:00"}
            changed = {"status": "CHANGED(204)", **ok}
            assert await http.ask("PUT", f"{DEV}/3/0/14?format=TLV", node) == changed
            assert (await http.get(f"{DEV}/3/0/14"))["content"] == node
            lifetime = {"id": 1, "value": "500"}
            update = {"id": 0, "resources": [lifetime]}
            assert await http.ask("PUT", f"{DEV}/1/0?replace=false", update) == changed
            assert (await http.get(f"{DEV}/1/0/1"))["content"]["value"] == "500"

            told = await http.ask("PUT", f"{DEV}/3303/0/5700/attributes?pmin=1&pmax=9")
            assert told == changed
            links = (await http.get(f"{DEV}/3303/0/discover"))["objectLinks"]
            assert {"url": "/3303/0/5700", "attributes": {"pmin": "1", "pmax": "9"}} in links

            made = {"id": 4, "kind": "instance", "resources": [{"id": 5700, "value": "1.5"}]}
            created = await http.ask("POST", f"{DEV}/3303", made)
            assert created["status"] == "CREATED(201)" and created["success"]
            assert (await http.get(f"{DEV}/3303/4/5700"))["content"]["value"] == "1.5"
            chosen = await http.ask("POST", f"{DEV}/3303", {"resources": []})
            assert chosen["location"] == "/3303/1"
            assert (await http.ask("DELETE", f"{DEV}/3303/4"))["status"] == "DELETED(202)"
            assert (await http.ask("POST", f"{DEV}/1/0/8", "0='x'"))["status"] == "CHANGED(204)"
            refused = await http.ask("POST", f"{DEV}/3/0/0")
            assert refused["status"] == "METHOD_NOT_ALLOWED(405)"
            (spec,) = [s for s in await http.get("/api/objectspecs/dev-0") if s["id"] == 3303]
            assert spec["name"] == "Temperature"

    steps()


@pytest.mark.needs("micropython")
def test_composite_operations_and_observations():
    @run
    async def steps():
        async with managed() as http, http.stream("/api/event?ep=dev-0") as heard:
            paths = "paths=/3/0/14,/3303/0/5700,/3303/7"
            found = (await http.get(f"{DEV}/composite?{paths}&nodeformat=SENML_JSON"))["content"]
            assert found["/3303/0/5700"]["value"] == "20.0" and found["/3303/7"] is None
            tree = {"/3/0/14": {"id": 14, "type": "string", "value": "+03:00"}}
            told = await http.ask("PUT", f"{DEV}/composite", tree)
            assert told["status"] == "CHANGED(204)"
            first = await http.ask("POST", f"{DEV}/composite/observe?paths=/3/0/14,/3303/0/5700")
            assert first["content"]["/3/0/14"]["value"] == "+03:00"
            tree["/3/0/14"]["value"] = "+04:00"
            await http.ask("PUT", f"{DEV}/composite", tree)
            note = await heard("NOTIFICATION")
            assert note["kind"] == "composite" and note["obs"] == ["/3/0/14", "/3303/0/5700"]
            assert note["val"]["/3/0/14"]["value"] == "+04:00"
            cancel = f"{DEV}/composite/observe?paths=/3/0/14,/3303/0/5700"
            assert (await http.ask("DELETE", cancel))["success"]
            await http.ask("DELETE", cancel, status=404)

            assert (await http.ask("POST", f"{DEV}/3/0/14/observe"))["success"]
            node = {"id": 14, "value": "+05:00"}
            await http.ask("PUT", f"{DEV}/3/0/14", node)
            note = await heard("NOTIFICATION")
            assert note == {
                "ep": "dev-0",
                "kind": "single",
                "res": "/3/0/14",
                "val": {"kind": "singleResource", "id": 14, "type": "string", "value": "+05:00"},
            }
            assert (await heard("COAPLOG"))["ep"] == "dev-0"
            assert (await http.ask("DELETE", f"{DEV}/3/0/14/observe?active"))["success"]
            assert (await http.get("/api/desk/endpoints/dev-0"))["observations"] == []

    steps()


@run
async def test_registrations_as_events_and_a_client_that_sleeps():
    config = {"awake_window": 1.0, "coap_timeout": 2.0}
    async with desk(config) as http, http.stream("/api/event") as heard:
        answers = {("GET", "/3/0/0"): content("Acme", 0, "/3/0/0")}
        http.server.uri  # the client's server
        async with Client(http.server, "sleepy", answers=answers) as client:
            reply = await client.register("b=UQ")
            assert reply.code == Code.BAD_REQUEST  # twice b
            query = ["ep=sleepy", "lt=60", "lwm2m=1.0", "b=UQ"]
            reply = await client.post("/rd", query, LINKS, 40)
            where = "/" + "/".join(reply.opt.location_path)
            assert (await heard("REGISTRATION"))["queuemode"] is True
            awake = await http.get("/api/clients/sleepy/3/0/0")
            assert awake["content"]["value"] == "Acme"
            assert await heard("SLEEPING") == {"ep": "sleepy"}
            assert (await http.get("/api/clients/sleepy"))["sleeping"] is True
            delayed = await http.get("/api/clients/sleepy/3/0/0")
            assert delayed["delayed"] is True and delayed["requestId"]
            queue = await http.get("/api/desk/endpoints/sleepy/queue")
            assert [entry["path"] for entry in queue] == ["/3/0/0"]
            assert (await client.post(where)).code == Code.CHANGED
            assert (await heard("UPDATED"))["registration"]["endpoint"] == "sleepy"
            assert await heard("AWAKE") == {"ep": "sleepy"}
            late = await heard("REQUEST_RESPONSE")
            assert late["requestId"] == delayed["requestId"] and late["delayed"] is True
            assert late["content"]["value"] == "Acme"
            pack = formats.encode(formats.SENML_JSON, "/3/0/9", 80, http.desk.model)
            assert (await client.post("/dp", payload=pack, format=110)).code == Code.CHANGED
            sent = await heard("SEND")
            assert sent["val"]["/3/0/9"]["value"] == "80"
            await heard("SLEEPING")
            for _ in range(2):
                await http.get("/api/clients/sleepy/3/0/0")
            first, second = await http.get("/api/desk/endpoints/sleepy/queue")
            path = f"/api/desk/endpoints/sleepy/queue/{first['number']}"
            await http.ask("DELETE", path, status=204)
            await http.ask("DELETE", path, status=404)
            assert len(await http.get("/api/desk/endpoints/sleepy/queue")) == 1
            await client.post(where, code=Code.DELETE)
            assert (await heard("DEREGISTRATION"))["endpoint"] == "sleepy"
            await http.get("/api/clients/sleepy", status=404)


@run
async def test_a_client_that_does_not_answer_is_a_timeout():
    async with desk({"coap_timeout": 0.3}) as http:
        port = http.server.listening[0].listener.port
        async with scripted_device(port) as client:
            await client.ask(Code.POST, "/rd", "ep=mute&lt=60&lwm2m=1.1", "</3/0>")
            told = await http.get("/api/clients/mute/3/0?timeout=0.2", status=504)
            assert "did not respond" in told["error"]
            body = {"paths": ["3/0"], "options": {"async": False}}
            told = await http.ask("POST", "/api/desk/endpoints/mute/read", body, 504)
            assert told["code"] == "timeout"


@pytest.mark.needs("micropython")
def test_operations_and_events_of_the_desk():
    @run
    async def steps():
        async with managed() as http, http.stream("/api/desk/events?endpoint=dev-0") as heard:
            base = "/api/desk/endpoints/dev-0"
            now = {"async": False}
            body = {"paths": ["3303/0", "3/0/14"], "options": now}
            result = await http.ask("POST", base + "/read", body)
            assert result["success"] and result["data"]["3303"]["0"]["5700"] == 20.0
            part = {"paths": ["3303/0", "3303/9"], "options": now}
            told = await http.ask("POST", base + "/read", part, 409)
            assert told["error"] == "partial success" and "3303/9" in str(told["partialErrors"])
            body = {"path": "3/0/14", "value": "+06:00", "options": now}
            assert (await http.ask("POST", base + "/write", body))["success"]
            body = {"value": {"3": {"0": {"14": "+07:00"}}}, "options": now}
            assert (await http.ask("POST", base + "/writeMulti", body))["success"]
            body = {"paths": "3/0/14", "options": now}
            (token,) = (await http.ask("POST", base + "/observe", body))["tokens"].values()
            body = {"path": "3/0/14", "value": "+08:00", "options": {"context": {"id": 7}}}
            assert (await http.ask("POST", base + "/write", body))["success"]
            done = await heard("lwm2m.asyncResult")
            assert done["body"]["context"] == {"id": 7} and done["body"]["success"] is True
            data = await heard("lwm2m.data", lambda data: data["body"]["source"] == "notify")
            assert data["body"]["data"] == {"device": {"0": {"utc_offset": "+08:00"}}}
            assert data["values"][0][::2] == ["/3/0/14", "+08:00"]
            body = {"token": token, "options": now}
            assert (await http.ask("POST", base + "/observeCancel", body))["success"]
            known = await http.get(base + "/values?translateIds=strings")
            assert known["device"]["0"]["utc_offset"] == "+08:00" and "~device" in known
            known = await http.get(base + "/values?includeUpdateTimes=false&below=/3303")
            assert known == {"3303": {"0": {"5700": 20.0}}}
            rows = {path: value for path, value, _ in await http.get(base + "/table")}
            assert rows["/3303/0/5700"] == 20.0
            lines = [entry["line"] for entry in await http.get("/api/desk/log?endpoint=dev-0")]
            assert any(line.startswith("<- Register") for line in lines)

    steps()


@pytest.mark.needs("micropython")
@pytest.mark.skipif(not VECTORS.is_file(), reason="no LWM2M_VECTORS")
def test_lookup():
    @run
    async def steps():
        cases = {case["id"]: case for case in json.loads(VECTORS.read_text())["http_lookup"]}
        async with desk() as http:
            base = "/api/v5/gateways/lwm2m/clients/dev"
            await http.get(base + "/lookup?path=/3/0/0&action=read", status=404)
            discovered = Message(
                code=Code.CONTENT,
                content_format=40,
                payload=b"</3/0/7>;dim=8;pmin=10;pmax=60;gt=50;lt=42.2,</3/0/8>",
            )
            answers = {
                ("GET", "/3/0/0"): content("EMQ", 0, "/3/0/0"),
                ("GET", "/3/0/7"): discovered,
            }
            async with Client(http.server, answers=answers) as client:
                assert (await client.register()).code == Code.CREATED
                read = base + "/lookup?path=/3/0/0&action=read"
                pending = json.loads(
                    json.dumps(cases["lookup-pending"]["expect"]).replace("{ep}", "dev")
                )
                assert await http.get(read) == pending
                await http.ask("POST", base + "/read?path=/3/0/0", status=204)
                wanted = json.loads(
                    json.dumps(cases["lookup-done"]["expect"]).replace("{ep}", "dev")
                )
                async with asyncio.timeout(5):
                    while (found := await http.get(read)) == pending:
                        await asyncio.sleep(0.02)
                assert found == wanted
                gateway = http.rest.apis[2].gateway
                gateway.run("dev", {"msgType": "discover", "data": {"path": "/3/0/7"}})
                path = base + "/lookup?path=/3/0/7&action=discover"
                async with asyncio.timeout(5):
                    while (found := await http.get(path))["code"] == "6.01":
                        await asyncio.sleep(0.02)
                keys = cases["lookup-discover"]["expect_keys_in_content"]
                assert all(sorted(entry) == sorted(keys) for entry in found["content"])
                query = "path=/3/0/14&type=String&value=x"
                await http.ask("POST", base + "/write?" + query, status=204)
                await http.ask("POST", base + "/observe?path=/3/0/0&enable=true", status=204)

    steps()


@run
async def test_accounts_without_a_key_in_any_answer():
    async with desk() as http:
        psk = {"mode": "psk", "details": {"identity": "me", "key": KEY}}
        await http.ask("PUT", "/api/security/clients", {"endpoint": "dev", "tls": psk}, 204)
        prints = {"mode": "x509", "details": {"thumbprints": ["ab" * 32]}}
        await http.ask("PUT", "/api/security/clients", {"endpoint": "other", "tls": prints}, 204)
        config = {
            "toDelete": ["/0", "/1"],
            "security": {
                "0": {"uri": "coaps://h", "bootstrapServer": True, "securityMode": "NO_SEC"},
                "1": {
                    "uri": "coaps://other.example",
                    "bootstrapServer": False,
                    "securityMode": "PSK",
                    "publicKeyOrId": list(b"id"),
                    "serverPublicKey": [],
                    "secretKey": list(bytes.fromhex(KEY)),
                    "serverId": 7,
                },
            },
            "servers": {"0": {"shortId": 7, "lifetime": 300, "binding": ["U"]}},
        }
        await http.ask("POST", "/api/bootstrap/dev", config, 204)
        settings = {"identity": "they", "key": KEY, "notes": "on the desk"}
        view = await http.ask("PUT", "/api/desk/endpoints/third", settings)
        assert view["identities"] == [{"identity": "they", "kind": "primary"}]
        answers = [
            await http.get(path)
            for path in (
                "/api/security/clients",
                "/api/bootstrap",
                "/api/desk/endpoints",
                "/api/desk/endpoints/third",
                "/api/desk/log",
            )
        ]
        text = json.dumps(answers)
        assert KEY not in text and str(list(bytes.fromhex(KEY)))[1:-1] not in text
        assert {entry["endpoint"] for entry in answers[0]} == {"dev", "other", "third"}
        assert answers[1]["dev"]["security"]["1"]["secretKey"] == []
        assert http.desk.store.endpoint("dev").bootstrap["objects"]["0"]["1"]["5"] == KEY
        await http.ask("DELETE", "/api/security/clients/dev", status=204)
        assert http.desk.store.credentials("dev") == []
        await http.ask("DELETE", "/api/bootstrap/dev", status=204)
        await http.ask("DELETE", "/api/bootstrap/dev", status=404)
        await http.ask("DELETE", "/api/desk/endpoints/third", status=204)
        await http.get("/api/desk/endpoints/third", status=404)


@run
async def test_files_and_definitions():
    async with desk() as http:
        item = await http.ask("PUT", "/api/desk/inventory/fw.bin", b"\0" * 1000)
        assert item["size"] == 1000 and len(item["sha256"]) == 64
        assert [each["name"] for each in await http.get("/api/desk/inventory")] == ["fw.bin"]
        async with http.session.get(http.base + "/api/desk/inventory/fw.bin") as response:
            assert await response.read() == b"\0" * 1000
        too_large = b"\0" * (16 * 1024 * 1024)
        await http.ask("PUT", "/api/desk/inventory/big.bin", too_large, 413)
        await http.ask("PUT", "/api/desk/inventory/.hidden", b"x", 400)
        await http.ask("DELETE", "/api/desk/inventory/fw.bin", status=204)
        await http.ask("DELETE", "/api/desk/inventory/fw.bin", status=404)
        told = await http.ask("PUT", "/api/desk/xml/bad.xml", b"<LWM2M>\n<Object", 400)
        assert "bad.xml:2" in told["error"]
        assert await http.get("/api/desk/xml") == {}
        told = await http.ask("PUT", "/api/desk/authorities/ca", CA, 400)
        assert told["error"]
        assert await http.get("/api/desk/authorities") == {}


WRONG = [
    ("GET", "/api/clients/dev/3/x", None, 400),
    ("GET", "/api/clients/dev/3/0/0/0/0", None, 404),
    ("GET", "/api/clients/dev/99999", None, 400),
    ("GET", "/api/clients/dev/3?format=yaml", None, 400),
    ("GET", "/api/clients/dev/3?timeout=never", None, 400),
    ("GET", "/api/clients/dev/composite", None, 400),
    ("GET", "/api/clients/dev/composite?paths=/x", None, 400),
    ("PATCH", "/api/clients/dev/3", None, 405),
    ("PUT", "/api/clients/dev/3/0/14", "", 400),
    ("PUT", "/api/clients/dev/3/0/14", "{", 400),
    ("PUT", "/api/clients/dev/3/0/14", "[]", 400),
    ("PUT", "/api/clients/dev/3/0/14", "NaN", 400),
    ("PUT", "/api/clients/dev/3/0/14", "[" * 100000, 400),
    ("PUT", "/api/clients/dev/3/0/14", b"\xff\xfe", 400),
    ("PUT", "/api/clients/dev/3/0/14", '"' + "x" * (2 << 20) + '"', 413),
    ("PUT", "/api/clients/dev/3/0/9", {"id": 9, "value": "many"}, 400),
    ("PUT", "/api/clients/dev/3/0/14/attributes?colour=1", None, 400),
    ("PUT", "/api/clients/dev/composite", {"/3/0": {"value": 1}}, 400),
    ("PUT", "/api/clients/dev/composite", {"/3/0/6": {"value": 1}, "/3/0/6/0": {"value": 1}}, 400),
    ("POST", "/api/clients/dev/3303", {"id": "x"}, 400),
    ("PUT", "/api/security/clients", {}, 400),
    ("PUT", "/api/security/clients", {"endpoint": "a", "oscore": {}}, 400),
    ("PUT", "/api/security/clients", {"endpoint": "a", "tls": {"mode": "rpk"}}, 400),
    ("PUT", "/api/security/clients", {"endpoint": "a", "tls": {"mode": "psk"}}, 400),
    ("POST", "/api/bootstrap/a", {"security": {"x": {}}}, 400),
    ("POST", "/api/bootstrap/a", {"security": {"0": {"uri": 5}}}, 400),
    ("POST", "/api/bootstrap/a", {"security": {"0": {"secretKey": ["x"]}}}, 400),
    ("POST", "/api/bootstrap/a", {"toDelete": ["x"]}, 400),
    ("POST", "/api/bootstrap/a", {"servers": {"0": {"colour": 1}}}, 400),
    ("PUT", "/api/desk/endpoints/a", {"colour": "red"}, 400),
    ("PUT", "/api/desk/endpoints/a", {"identity": "i", "key": "xyz"}, 400),
    ("POST", "/api/desk/endpoints/dev/read", {}, 400),
    ("POST", "/api/desk/endpoints/dev/read", {"paths": 5}, 400),
    ("POST", "/api/desk/endpoints/dev/read", {"paths": "3", "options": {"colour": 1}}, 400),
    ("POST", "/api/desk/endpoints/dev/read", {"paths": "3", "options": []}, 400),
    ("POST", "/api/desk/endpoints/dev/fly", {}, 404),
    ("POST", "/api/desk/endpoints/nobody/read", {"paths": "3"}, 404),
    ("POST", "/api/desk/endpoints/dev/observeCancel", {"token": "x"}, 400),
    ("GET", "/api/desk/events?kinds=colour", None, 400),
    ("GET", "/api/desk/endpoints/dev/values?below=x", None, 200),
    ("GET", "/api/desk/endpoints/dev/values?translateIds=x", None, 400),
    ("GET", "/api/v5/gateways/lwm2m/clients/dev/lookup", None, 400),
    ("GET", "/api/v5/gateways/lwm2m/clients/dev/lookup?path=/3&action=x", None, 400),
    ("POST", "/api/v5/gateways/lwm2m/clients/dev/read?path=/x", None, 400),
    ("GET", "/page/../rest.py", None, 404),
    ("GET", "/page/%2e%2e%2frest.py", None, 404),
    ("GET", "/nothing", None, 404),
]


@run
async def test_what_is_wrong_is_told_and_never_a_failure():
    async with desk() as http, Client(http.server) as client:
        assert (await client.register()).code == Code.CREATED
        for method, path, body, status in WRONG:
            told = await http.ask(method, path, body, status)
            assert status == 200 or told["error"], path


@run
async def test_beyond_loopback_a_token_is_wanted():
    async with desk(host="0.0.0.0") as http:
        assert http.rest.uri.endswith(f"#token={http.rest.token}") and len(http.rest.token) > 20
        assert await http.get("/api/clients") == []
        async with aiohttp.ClientSession() as stranger:
            for headers in ({}, {"Authorization": "Bearer x"}, {"Authorization": "Basic x"}):
                for path in ("/api/clients", "/api/event", "/openapi.json", "/api/desk/endpoints"):
                    async with stranger.get(http.base + path, headers=headers) as response:
                        assert response.status == 401 and (await response.json())["error"]
            async with stranger.get(http.base + "/") as response:
                assert response.status == 200 and "text/html" in response.headers["Content-Type"]
                assert http.rest.token not in await response.text()
    async with desk(token="given") as http:
        assert http.rest.token == "given" and await http.get("/api/clients") == []


@run
async def test_pages_of_other_sites_are_refused():
    async with desk() as http:
        for headers in ({"Origin": "http://evil.example"}, {"Host": "evil.example"}):
            async with http.session.get(http.base + "/api/clients", headers=headers) as response:
                assert response.status == 403
        own = {"Origin": http.base}
        async with http.session.get(http.base + "/api/clients", headers=own) as response:
            assert response.status == 200


@pytest.mark.parametrize(
    "table, word",
    [
        ({"port": "x"}, "rest.port"),
        ({"port": 70000}, "rest.port"),
        ({"colour": 1}, "colour"),
        ({"certificate": "a.pem"}, "private_key"),
        ({"page": 1}, "rest.page"),
    ],
)
def test_settings_that_are_wrong(table, word):
    with pytest.raises(ConfigError, match=word):
        RestServer(table)


@run
async def test_the_description_names_what_is_served():
    async with desk() as http:
        found = await http.get("/openapi.json")
        assert found["openapi"].startswith("3.1")
        known = {(m.upper(), path) for path, each in found["paths"].items() for m in each}
        assert len(known) == len(http.rest.routes)
        assert ("GET", "/api/clients/{endpoint}/{object}/{instance}/{resource}") in known


# Two out of the described range are meant: the device's queue is full, the device does not answer.
CONFIGURATION = """
[parameters]
"path.endpoint" = "dev-0"

[checks]
not_a_server_error.expected-statuses = ["2xx", "3xx", "4xx", "503", "504"]
"""
# Streams do not end, and without the endpoint there would be nothing to ask.
EXCLUDED = ("get_api_event", "get_api_desk_events", "delete_api_desk_endpoints_by_endpoint")
EXAMPLES = 3  # for each operation


@pytest.mark.needs("micropython")
def test_schemathesis_finds_no_failure(tmp_path):
    program = Path(sys.executable).with_name("schemathesis")
    if not program.exists():
        pytest.skip("schemathesis is not installed")
    (tmp_path / "schemathesis.toml").write_text(CONFIGURATION)

    async def steps() -> str:
        async with managed() as http:
            process = await asyncio.create_subprocess_exec(
                *(program, "run", http.base + "/openapi.json", "--phases", "fuzzing"),
                *("--max-examples", str(EXAMPLES), "--seed", "7", "--workers", "1"),
                *("--checks", "not_a_server_error"),
                *(word for name in EXCLUDED for word in ("--exclude-operation-id", name)),
                cwd=tmp_path,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
            )
            try:
                output, _ = await process.communicate()
            finally:
                if process.returncode is None:
                    process.kill()
            assert process.returncode == 0, output.decode()[-6000:]
            # It has reached the client, and that is still there.
            assert (await http.get(f"{DEV}/3/0/16"))["success"]
            lines = [entry["line"] for entry in await http.get("/api/desk/log?endpoint=dev-0")]
            assert sum(line.startswith("->") for line in lines) > 20
            return output.decode()

    print(asyncio.run(asyncio.wait_for(steps(), 120)))
