# The desk server with the client of this project: NoSec, keys, certificates, bootstrap, queue mode, restarts.
# SPDX-License-Identifier: MIT

import asyncio

import pytest
from core_device import as_bytes, device, issue, pack
from core_peers import desk_server, run, until

from tools.server import events
from tools.server.config import Config, Listener
from tools.server.credentials import thumbprint
from tools.server.results import OperationError
from tools.server.service import DeskServer

pytestmark = pytest.mark.needs("micropython")
SYNC = {"async": False}
KEY = bytes(range(16))


def heard(desk, kind, endpoint="dev"):
    return desk.events.wait(kind, endpoint, 10, since=0)


@run
async def test_operations_over_udp():
    async with desk_server() as desk, device("dev", desk.uris()["coap"], sensor=True) as client:
        await client.start()
        await heard(desk, events.REGISTER)
        ops = desk.operations
        result = await ops.read("dev", ["3/0", "3303/0"], SYNC)
        tree = result.data(desk.model)
        assert tree["3303"]["0"]["5700"] == 21.5 and "0" in tree["3"]["0"]
        for encoding in ("tlv", "json", "senml_json", "senml_cbor", "lwm2m_cbor", "text", "cbor"):
            each = await ops.read("dev", "3303/0/5700", {**SYNC, "encoding": encoding})
            assert each.values == [("/3303/0/5700", None, 21.5)], encoding
        composite = await ops.read("dev", ["3303/0", "1/0/1"], {**SYNC, "composite": True})
        assert composite.data(desk.model)["1"]["0"]["1"] == 60
        for encoding in (None, "text", "tlv", "senml_json", "senml_cbor"):
            await ops.write("dev", "3/0/15", f"zone {encoding}", {**SYNC, "encoding": encoding})
            assert await client.get("/3/0/15") == f"zone {encoding}"
        two = {"3": {"0": {"14": "+01:00", "15": "CET"}}}
        await ops.writeMulti("dev", two, SYNC)
        assert await client.get("/3/0/15") == "CET"
        await ops.writeMulti("dev", {"3": {"0": {"15": "UTC"}}}, {**SYNC, "composite": True})
        assert await client.get("/3/0/15") == "UTC"
        created = await ops.create("dev", "3303/7", {"5601": 1.5}, SYNC)
        assert created.location == "/3303/7"
        assert (await client.get("/3303/7/5601")) == 1.5
        await ops.delete("dev", "3303/7", SYNC)
        await ops.writeAttributes("dev", "3303/0/5700", {"pmin": 0, "pmax": 300}, SYNC)
        found = await ops.discover("dev", "3303/0", SYNC)
        assert found.links["/3303/0/5700"]["pmax"] == "300"
        observed = await ops.observe("dev", ["3303/0/5700"], SYNC)
        await client.set("/3303/0/5700", 22.5)
        told = await desk.events.wait(
            events.DATA, "dev", 5, lambda e: e.detail.source == "notify", since=0
        )
        assert told.detail.values == [("/3303/0/5700", None, 22.5)]
        await ops.observeCancel("dev", observed.tokens["/3303/0/5700"], SYNC)
        paths = ["3303/0/5700", "3/0/15"]
        observed = await ops.observe("dev", paths, {**SYNC, "composite": True})
        assert len(desk.store.observations("dev")) == 1
        await client.set("/3/0/15", "EST")
        told = await desk.events.wait(
            events.DATA, "dev", 5, lambda e: ("/3/0/15", None, "EST") in e.detail.values, since=0
        )
        assert told.detail.source == "notify" and len(told.detail.paths) == 2
        await ops.observeCancel("dev", observed.tokens["composite"], SYNC)
        await client.send(["/3303/0/5700"])
        sent = await desk.events.wait(
            events.DATA, "dev", 5, lambda e: e.detail.source == "send", since=0
        )
        assert sent.detail.values[0][::2] == ("/3303/0/5700", 22.5)
        with pytest.raises(OperationError, match="coap: not found"):
            await ops.read("dev", "3/0/99", SYNC)
        with pytest.raises(OperationError, match="coap: unauthorized"):
            await ops.read("dev", "0/0", SYNC)
        await client.stop()
        await heard(desk, events.DEREGISTER)


@run
async def test_a_pre_shared_key():
    async with desk_server("coap", "coaps") as desk:
        desk.put_endpoint("dev", {"identity": "my identity", "key": KEY.hex()})
        account = {"identity": "my identity", "key": pack(KEY)}
        async with device("dev", desk.uris()["coaps"], sensor=True, **account) as client:
            await client.start()
            registered = await heard(desk, events.REGISTER)
            assert registered.body["credentials"] == "primary"
            record = desk.store.registration("dev")
            assert (record.secure, record.identity) == ("psk", "my identity")
            # Several records each way.
            await desk.operations.write("dev", "3/0/15", "x" * 3000, SYNC)
            read = await desk.operations.read("dev", "3/0/15", SYNC)
            assert read.values[0][2] == "x" * 3000
            await client.update()
            await heard(desk, events.UPDATE)
            await client.stop()
            await heard(desk, events.DEREGISTER)


@run
async def test_a_key_for_any_endpoint():
    keys = {"my-identity": KEY.hex()}
    async with desk_server(
        "coaps", keys=keys, endpoints={"own": {"identity": "o", "key": "00"}}
    ) as desk:
        account = {"identity": "my-identity", "key": pack(KEY)}
        for name in ("one", "two"):
            async with device(name, desk.uris()["coaps"], **account) as client:
                await client.start()
                await heard(desk, events.REGISTER, name)
        options = {"ack_timeout": 50, "max_retransmit": 1, "retry": False}
        async with device("own", desk.uris()["coaps"], **account, **options) as client:
            await client.set("/1/0/17", 1)
            await client.start()
            await client.wait("NETWORK_ERROR", 15)
        assert set(desk.server.devices) == {"one", "two"}


@pytest.mark.parametrize("wrong", ["key", "identity", "endpoint", "nosec"])
@run
async def test_refused_credentials(wrong):
    async with desk_server("coap", "coaps") as desk:
        desk.put_endpoint("dev", {"identity": "id", "key": KEY.hex()})
        account = {"identity": "id", "key": pack(KEY)}
        account |= {"key": {"key": pack(bytes(16))}, "identity": {"identity": "x"}}.get(wrong, {})
        name, uri = "dev", desk.uris()["coaps"]
        if wrong == "endpoint":
            name = "other"
        if wrong == "nosec":
            uri, account = desk.uris()["coap"], {}
        options = {"ack_timeout": 50, "max_retransmit": 1, "retry": False}
        async with device(name, uri, **account, **options) as client:
            await client.set("/1/0/17", 1)
            await client.start()
            await client.wait("NETWORK_ERROR", 15)
            assert desk.server.devices == {} and desk.store.registrations() == []


@run
async def test_a_dtls_device_goes_on_after_a_restart_of_the_server(tmp_path):
    options = {"database": str(tmp_path / "desk.db")}
    async with desk_server("coaps", **options) as desk:
        desk.put_endpoint("dev", {"identity": "id", "key": KEY.hex()})
        account = {"identity": "id", "key": pack(KEY), "ack_timeout": 100, "max_retransmit": 2}
        async with device("dev", desk.uris()["coaps"], sensor=True, **account) as client:
            await client.start()
            await heard(desk, events.REGISTER)
            await desk.operations.observe("dev", "3303/0/5700", SYNC)
            location = desk.store.registration("dev").location
            port = desk.server.listening[0].listener.port
            await desk.stop()
            listeners = [Listener("coaps", port=port)]
            async with DeskServer(Config(listeners=listeners, **options)) as again:
                assert again.endpoint_view("dev")["status"] == "registered"
                queued = await again.operations.read("dev", "3303/0/5700", {"context": 1})
                assert queued.queued  # there is no session to send it on
                await client.update()
                done = await again.events.wait(
                    events.ASYNC_RESULT, "dev", 15, lambda e: not e.detail.queued, since=0
                )
                assert done.detail.values == [("/3303/0/5700", None, 21.5)]
                if again.store.registration("dev").location == location:
                    await client.set("/3303/0/5700", 25.0)
                    await again.events.wait(
                        events.DATA, "dev", 5, lambda e: e.detail.source == "notify", since=0
                    )


def certificate_account(client, pair, trust):
    async def fill():
        cert, key = as_bytes(pair)
        for rid, value in ((2, 2), (3, cert), (4, trust), (5, key)):
            await client.set(f"/0/0/{rid}", value)

    return fill()


@pytest.mark.parametrize("how", ["thumbprint", "authority", "stranger", "name"])
@run
async def test_certificates(how):
    authority = issue("authority", ca=True)
    async with desk_server("coaps", advertise="localhost") as desk:
        if how != "thumbprint":
            desk.add_authority("bench", as_bytes(authority)[0])
        pair = issue("dev" if how != "name" else "other", authority)
        if how == "thumbprint":
            pair = issue("anything")
            desk.put_endpoint("dev", {"thumbprints": [thumbprint(pair[0]).upper()]})
        if how == "stranger":
            pair = issue("dev", issue("another", ca=True))
        port = desk.server.listening[0].listener.port
        options = {"ack_timeout": 100, "max_retransmit": 2, "retry": False}
        async with device("dev", f"coaps://localhost:{port}", **options) as client:
            await certificate_account(client, pair, desk.certificate)
            await client.set("/1/0/17", 1)
            await client.start()
            if how in ("stranger", "name"):
                await client.wait("NETWORK_ERROR", 15)
                assert desk.server.devices == {}
                return
            await heard(desk, events.REGISTER)
            record = desk.store.registration("dev")
            assert (record.secure, record.credentials) == ("x509", "primary")
            assert (await desk.operations.read("dev", "3/0", SYNC)).success
            await client.update()
            await heard(desk, events.UPDATE)


async def bootstrapped(desk, client, uri, **security):
    """Give a device the account of the bootstrap server, and let it begin."""
    for rid, value in {0: uri, 1: True, 2: 3, **security.get("more", {})}.items():
        await client.set(f"/0/0/{rid}", value)
    await client.start(bootstrap=True)


@run
async def test_bootstrap_gives_each_client_credentials_of_its_own():
    async with desk_server("coap", "coaps", min_lifetime=1) as desk:
        desk.put_endpoint("dev", {"identity": "factory", "key": KEY.hex()})
        own = {
            "servers": [
                {"bootstrap": True, "self": True},
                {"shortServerId": 99, "self": True, "lifetime": 77, "disableTimeout": 5},
            ],
            "acls": [{"objectId": 3, "instanceId": 0, "rules": {"99": "rwe"}, "owner": 99}],
            "objects": {"3": {"0": {"15": "bootstrap value"}}},
        }
        desk.put_endpoint("dev", {"bootstrap": own})
        async with device("dev", None) as client:
            account = {2: 0, 3: b"factory", 5: KEY}
            await bootstrapped(desk, client, desk.uris()["coaps"], more=account)
            told = await heard(desk, events.BOOTSTRAP)
            assert told.body["version"].startswith("1.")
            done = await heard(desk, events.BOOTSTRAPPED)
            assert done.body == {"success": True, "result": "finished"}
            registered = await heard(desk, events.REGISTER)
            assert registered.body["credentials"] == "alternate"
            record = desk.store.registration("dev")
            assert (record.lifetime, record.secure) == (77, "psk")
            assert await client.get("/3/0/15") == "bootstrap value"
            assert await client.get("/1/0/5") == 5
            issued = [c for c in desk.store.credentials("dev") if c.kind == "alternate"]
            assert len(issued) == 1 and len(issued[0].key) == 16
            assert (await client.get("/0/0/5"), await client.get("/0/1/5")) == (KEY, issued[0].key)
            # Once more: the credentials of the first time are void.
            await desk.operations.exec("dev", "1/0/9", SYNC)
            await desk.events.wait(events.BOOTSTRAPPED, "dev", 10)
            await desk.events.wait(events.REGISTER, "dev", 10)
            again = [c for c in desk.store.credentials("dev") if c.kind == "alternate"]
            assert len(again) == 1 and again[0].identity != issued[0].identity
            log = [e.body["line"] for e in desk.lines]
            assert any("/0/1/5 Secret Key = ***" in line for line in log)
            for secret in (KEY, issued[0].key, again[0].key):
                assert not any(secret.hex() in line for line in log)


@run
async def test_bootstrap_with_the_default_account_and_with_a_hook():
    async with desk_server() as desk:
        asked = []

        async def hook(endpoint, version):
            asked.append((endpoint, version))
            return None if endpoint == "dev" else {"servers": [{"shortServerId": 0}]}

        desk.accounts.hook = hook
        async with device("dev", None) as client:
            await bootstrapped(desk, client, desk.uris()["coap"])
            await heard(desk, events.REGISTER)
            assert desk.store.registration("dev").lifetime == 86400
        async with device("wrong", None, retry=False) as client:
            await bootstrapped(desk, client, desk.uris()["coap"])
            failed = await heard(desk, events.BOOTSTRAPPED, "wrong")
            assert failed.body["success"] is False and "shortServerId" in failed.body["result"]
        assert [name for name, _ in asked] == ["dev", "wrong"]


@run
async def test_queue_mode_with_a_device():
    async with desk_server(awake_window=0.5) as desk:
        options = {"binding": "UQ", "version": "1.0", "awake_time": 0.5}
        async with device("dev", desk.uris()["coap"], sensor=True, **options) as client:
            await client.start()
            await heard(desk, events.REGISTER)
            await until(lambda: desk.endpoint_view("dev")["status"] == "sleeping")
            await desk.operations.write("dev", "3/0/15", "CET", {"context": 1})
            await asyncio.sleep(0.2)
            assert await client.get("/3/0/15") != "CET"
            await client.update()
            await desk.events.wait(
                events.ASYNC_RESULT, "dev", 10, lambda e: not e.detail.queued, since=0
            )
            assert await client.get("/3/0/15") == "CET"
