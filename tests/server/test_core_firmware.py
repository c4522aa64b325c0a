# Firmware updates: a scripted device with object 5, pushed and pulled, observed and polled, cancelled, rebooted.
# SPDX-License-Identifier: MIT

import asyncio
import contextlib

import aiohttp
import pytest
from aiocoap import Code, Message, resource
from core_peers import Client, bodies, desk_server, run, until

from tools.server import events
from tools.server.config import Config, Listener
from tools.server.results import OperationError
from tools.server.service import DeskServer

IMAGE = bytes(range(256)) * 40
DONE = "Firmware updated successfully"


class State(resource.ObservableResource):
    def __init__(self):
        super().__init__()
        self.value = 0

    async def render_get(self, request):
        return Message(payload=b"%d" % self.value, content_format=0)


class Updatable(Client):
    """A device with object 5: it downloads by itself, and reports 5/0/3 and 5/0/5."""

    def __init__(self, server, endpoint="dev", **options):
        super().__init__(server, endpoint)
        self.state, self.result, self.got, self.uris = State(), 0, b"", []
        self.observable = options.get("observable", True)
        self.outcome = options.get("outcome", 1)
        self.reboots = options.get("reboots", False)
        self.holds = options.get("holds", False)  # never gets to the end of a download
        self.tasks = []

    async def render_to_pipe(self, pipe):
        path, code = "/".join(pipe.request.opt.uri_path), pipe.request.code
        if path == "5/0/3" and code == Code.GET:
            if self.observable or pipe.request.opt.observe is None:
                return await self.state.render_to_pipe(pipe)
            pipe.request.opt.observe = None
            return await self.state.render_to_pipe(pipe)
        return await super().render_to_pipe(pipe)

    def go(self, state):
        self.state.value = state
        self.state.updated_state()

    async def render(self, request):
        path, code = "/".join(request.opt.uri_path), request.code
        self.seen.append((code.name, "/" + path, request))
        if path == "5/0/5":
            return Message(code=Code.CONTENT, payload=b"%d" % self.result, content_format=0)
        if path == "5/0/0" and code == Code.PUT:
            self.got, self.result = request.payload, 0
            self.go(2)
        elif path == "5/0/1" and code == Code.PUT:
            self.uris.append(request.payload.decode(errors="replace"))
            if request.payload.strip(b"\xc0\x01\x00"):
                self.result = 0
                self.go(1)
                self.tasks.append(asyncio.create_task(self.download(self.uris[-1])))
            else:
                self.go(0)
        elif path == "5/0/2":
            self.go(3)
            self.tasks.append(asyncio.create_task(self.update()))
        elif path == "5/0/10":
            return Message(code=Code.NOT_FOUND)
        elif code == Code.GET:
            return Message(code=Code.NOT_FOUND)
        return Message(code=Code.CHANGED)

    async def download(self, uri):
        if self.holds:
            return
        if uri.startswith("coap"):
            message = Message(code=Code.GET, uri=uri)
            self.got = (await self.context.request(message).response).payload
        else:
            async with aiohttp.ClientSession() as session, session.get(uri, ssl=False) as answer:
                self.got = await answer.read() if answer.status == 200 else b""
        if self.got:
            self.go(2)
        else:
            self.result = 7
            self.go(0)

    async def update(self):
        await asyncio.sleep(0.05)
        self.result = self.outcome
        if self.reboots:
            self.state = State()
            await self.register(links=b"</3/0>,</5/0>")
        else:
            self.go(0)


@contextlib.asynccontextmanager
async def updatable(*schemes, **options):
    device = {
        k: options.pop(k) for k in ("observable", "outcome", "reboots", "holds") if k in options
    }
    async with desk_server(*(schemes or ("coap",)), **options) as desk:
        desk.inventory.add("fw.bin", IMAGE)
        async with Updatable(desk.server, **device) as client:
            await client.register(links=b"</3/0>,</5/0>")
            yield desk, client
            for task in client.tasks:
                task.cancel()


async def complete(desk):
    await until(lambda: bodies(desk, events.FOTA_COMPLETE), 8)
    return bodies(desk, events.FOTA_COMPLETE)[-1]


@pytest.mark.parametrize("scheme", ["http", "https", "coap"])
@run
async def test_pull(scheme):
    async with updatable("coap", "http", "https") as (desk, client):
        options = {"protocol": scheme, "context": {"a": 1}}
        result = await desk.operations.firmwareUpdate("dev", "fw.bin", options)
        assert result.success
        with pytest.raises(OperationError) as caught:
            await desk.operations.firmwareUpdate("dev", "fw.bin")
        assert caught.value.code == "busy"
        body = await complete(desk)
        assert (body["success"], body["result"], body["context"]) == (True, DONE, {"a": 1})
        assert client.got == IMAGE
        expected = (
            desk.uris()[scheme] + "/files/fw.bin" + ("?epid=dev" if "http" in scheme else "")
        )
        assert client.uris == [expected]
        for name in ("dateStarted", "dateDownloading", "dateDownloaded", "dateUpdating"):
            assert body["dateStarted"] <= body[name] <= body["dateComplete"]
        assert body["duration"] >= 0
        states = [b["state"] for b in bodies(desk, events.FOTA_PROGRESS)]
        assert states[0] == "downloading" and "updating" in states
        assert desk.firmware.running == {} and desk.store.documents("firmware") == {}
        # The observation was for the update only.
        await until(lambda: desk.store.observations("dev") == [])


@run
async def test_pull_from_elsewhere_without_epid_and_with_a_reset():
    async with updatable("coap", "http") as (desk, client):
        uri = desk.uris()["http"] + "/files/fw.bin?x=1"
        options = {"noEpid": True, "resetUri": True, "resetEncoding": "tlv"}
        await desk.operations.firmwareUpdate("dev", uri, options)
        assert (await complete(desk))["success"]
        assert client.uris == ["\xc0\x01".encode("latin1").decode(errors="replace"), uri]
        await desk.operations.firmwareUpdate("dev", uri, {"resetUri": True})
        await until(lambda: len(bodies(desk, events.FOTA_COMPLETE)) == 2)
        assert client.uris[2:] == ["", uri + "&epid=dev"]


@run
async def test_push_with_progress_and_a_reboot():
    async with updatable(reboots=True) as (desk, client):
        await desk.operations.firmwareUpdate("dev", "fw.bin", {"delivery": "push"})
        body = await complete(desk)
        assert (body["success"], client.got) == (True, IMAGE)
        percents = [b["percent"] for b in bodies(desk, events.FOTA_PROGRESS)]
        assert percents == sorted(percents) and percents[-1] == 100 and len(set(percents)) > 5


@run
async def test_poll_where_nothing_can_be_observed():
    async with updatable("coap", "http", observable=False) as (desk, client):
        await desk.operations.firmwareUpdate("dev", "fw.bin", {"pollInterval": 0.1})
        assert (await complete(desk))["success"]
        options = {"observationMode": "poll", "pollInterval": 0.1}
        await desk.operations.firmwareUpdate("dev", "fw.bin", options)
        await until(lambda: len(bodies(desk, events.FOTA_COMPLETE)) == 2)
        assert bodies(desk, events.FOTA_COMPLETE)[-1]["success"]


@pytest.mark.parametrize(
    ("outcome", "source", "text"),
    [(8, "fw.bin", "firmware update failed"), (1, "http://127.0.0.1:9/x", "not complete")],
)
@run
async def test_failures(outcome, source, text):
    async with updatable("coap", "http", outcome=outcome) as (desk, client):
        client.holds = "//" in source
        await desk.operations.firmwareUpdate("dev", source, {"timeout": 1})
        body = await complete(desk)
        assert body["success"] is False and text in body["result"]


@run
async def test_cancel():
    async with updatable("coap", "http", holds=True) as (desk, client):
        assert (await desk.operations.firmwareCancel("dev")).success  # nothing runs
        assert client.seen == []
        await desk.operations.firmwareUpdate("dev", "fw.bin")
        await until(lambda: client.uris)
        await desk.operations.firmwareCancel("dev")
        body = await complete(desk)
        assert (body["success"], body["result"]) == (False, "firmware update cancelled")
        # It has no 5/0/10, so an empty URI did it.
        assert ("POST", "/5/0/10") in [s[:2] for s in client.seen]
        assert client.uris[-1] == "" and client.state.value == 0


@run
async def test_an_update_goes_on_after_a_restart(tmp_path):
    options = {"database": str(tmp_path / "desk.db"), "inventory": str(tmp_path / "files")}
    async with updatable("coap", "http", holds=True, **options) as (desk, client):
        await desk.operations.firmwareUpdate("dev", "fw.bin", {"context": 5})
        await until(lambda: client.uris)
        port = desk.server.port
        await desk.stop()
        listeners = [Listener("coap", port=port), Listener("http", port=0)]
        async with DeskServer(Config(listeners=listeners, **options)) as again:
            done = asyncio.create_task(again.events.wait(events.FOTA_COMPLETE, "dev", 8))
            await asyncio.sleep(0.3)
            assert len(client.uris) == 1  # it was told already
            client.go(2)
            event = await done
            assert (event.body["success"], event.body["context"]) == (True, 5)


@pytest.mark.parametrize(
    ("source", "options"),
    [
        ("none.bin", {}),
        ("", {}),
        (5, {}),
        ("ftp://x/y", {}),
        ("fw.bin", {"protocol": "coaps"}),
        ("fw.bin", {"protocol": "gopher"}),
        ("fw.bin", {"delivery": "pigeon"}),
        ("fw.bin", {"instance": "x"}),
        ("fw.bin", {"timeout": 0}),
        ("fw.bin", {"colour": 1}),
        ("fw.bin", []),
        ("http://h/x", {"delivery": "push"}),
    ],
)
@run
async def test_arguments_that_are_wrong(source, options):
    async with updatable("coap", "http") as (desk, client):
        with pytest.raises(OperationError) as caught:
            await desk.operations.firmwareUpdate("dev", source, options)
        assert caught.value.code == "argument" and client.seen == []


@run
async def test_trace_logs_the_state_machine():
    async with updatable("coap", "http", tags=("_trace_",)) as (desk, client):
        await desk.operations.firmwareUpdate("dev", "fw.bin")
        await complete(desk)
        log = "\n".join(e.body["line"] for e in desk.lines)
        for text in ("idle -> downloading", "execute /5/0/2", "updating -> idle", "complete: "):
            assert f"-- firmware: {text}" in log
