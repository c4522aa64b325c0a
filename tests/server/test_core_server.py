# The LwM2M server of tools/server against a device made of aiocoap and scripted answers.
# SPDX-License-Identifier: MIT

import asyncio
import contextlib
import io
import socket
import struct
import subprocess
import sys
import time
from pathlib import Path

import aiocoap
import cbor2
import pytest
from aiocoap import Code, Message
from aiocoap.numbers.types import CON, NON
from core_peers import LINKS, Client, content, registered, run

from tools.server import BootstrapConfig, Model, NoAnswer, Server, coap, core, formats, links
from tools.server.console import Console, Printer

ROOT = Path(__file__).resolve().parents[2]


@run
async def test_registration_update_and_deregistration():
    async with registered() as (server, client, device):
        assert (device.lifetime, device.binding, device.version, device.queue) == (
            60,
            "U",
            "1.0",
            False,
        )
        assert device.formats == [11542]
        assert list(device.links) == ["/1/0", "/3/0", "/3303", "/3303/0"]
        assert device.links["/3303"] == {"ver": "1.1"}
        where = "/" + "/".join(device.location)

        answer = await client.post(where, ["lt=120", "b=UQ", "sms=123"])
        assert (answer.code, answer.payload) == (Code.CHANGED, b"")
        assert (device.lifetime, device.binding, device.queue, device.sms) == (
            120,
            "UQ",
            True,
            "123",
        )
        assert list(device.links) == ["/1/0", "/3/0", "/3303", "/3303/0"]
        await client.post(where, payload=b"</1/0>,</3/0>", format=40)
        assert list(device.links) == ["/1/0", "/3/0"]

        assert (await client.post(where, code=Code.DELETE)).code == Code.DELETED
        assert (await client.post(where)).code == Code.NOT_FOUND
        assert server.devices == {}
        kinds = [e.kind for e in server.events]
        assert kinds == ["update", "update", "deregister"]


@run
async def test_transcript_has_names():
    created = Message(code=Code.CREATED, location_path=("3303", "1"))
    answers = {("GET", "/3/0/0"): content("Acme", 0, "/3/0/0"), ("POST", "/3303"): created}
    async with registered(answers) as (server, _, device):
        await device.create("/3303", {})
        await device.read("/3/0/0")
        await device.write("/1/0/1", 120)
        await device.execute("/3/0/4", "0='x'")
        await device.write("/0/0", {0: "coap://h", 5: b"verysecret"})
        text = "\n".join(server.said)
    for line in (
        "<- Register ep=dev lt=60 lwm2m=1.0 b=U  /1/0 LwM2M Server, /3/0 Device, ",
        "-> 2.01 Created /rd/0",
        "-> Read /3/0/0 Manufacturer",
        '<- 2.05 Content "Acme"',
        "-> Write /1/0/1 Lifetime = 120 s",
        "<- 2.04 Changed",
        "<- 2.01 Created /3303/1",
        "-> Execute /3/0/4 Reboot \"0='x'\"",
        "/0/0/5 Secret Key = ***",
    ):
        assert line in text
    assert "verysecret" not in text and b"verysecret".hex() not in text


@pytest.mark.parametrize(
    ("query", "payload", "format", "code"),
    [
        ([], LINKS, 40, "4.00"),
        (["ep="], LINKS, 40, "4.00"),
        (["ep=x", "lt=soon"], LINKS, 40, "4.00"),
        (["ep=x", "lt=-1"], LINKS, 40, "4.00"),
        (["ep=x", "b=carrier pigeon"], LINKS, 40, "4.00"),
        (["ep=x", "b="], LINKS, 40, "4.00"),
        (["ep=x", "ep=y"], LINKS, 40, "4.00"),
        (["ep=x"], b"</1/0", 40, "4.00"),
        (["ep=x"], b"</1/0>,", 40, "4.00"),
        (["ep=x"], b'</1/0>;ver="1.1', 40, "4.00"),
        (["ep=x"], b"\xff\xfe", 40, "4.00"),
        (["ep=x"], LINKS, 0, "4.15"),
        (["ep=x", "lwm2m=9.0"], LINKS, 40, "4.12"),
        (["ep=refused"], LINKS, 40, "4.03"),
    ],
)
@run
async def test_bad_registrations_are_refused(query, payload, format, code):
    admit = {"refused": "4.03"}.get
    async with Server(admit=lambda ep, query: admit(ep)) as server, Client(server) as client:
        answer = await client.post("/rd", query, payload, format)
        assert answer.code.dotted == code
        assert server.devices == {} and not server.events


@run
async def test_more_clients_than_it_serves(monkeypatch):
    monkeypatch.setattr(core, "MAX_DEVICES", 2)
    async with Server() as server, Client(server) as client:
        for name, code in (("a", "2.01"), ("b", "2.01"), ("c", "5.03"), ("a", "2.01")):
            answer = await client.post("/rd", [f"ep={name}"], LINKS, 40)
            assert answer.code.dotted == code
        assert set(server.devices) == {"a", "b"}


@run
async def test_other_paths_and_methods():
    async with Server() as server, Client(server) as client:
        assert (await client.post("/nowhere")).code == Code.NOT_FOUND
        assert (await client.post("/rd", code=Code.GET)).code == Code.METHOD_NOT_ALLOWED
        assert (await client.post("/rd/0")).code == Code.NOT_FOUND
        assert (await client.post("/bs", ["ep=x"])).code == Code.NOT_FOUND


@run
async def test_a_bad_update_changes_nothing():
    async with registered() as (_, client, device):
        where = "/" + "/".join(device.location)
        assert (await client.post(where, ["lt=5", "b=?"])).code == Code.BAD_REQUEST
        assert (await client.post(where, ["lt=5"], b"<", 40)).code == Code.BAD_REQUEST
        assert (device.lifetime, len(device.links)) == (60, 4)


@run
async def test_lifetime_expires_and_updates_prolong_it():
    async with registered() as (server, client, device):
        where = "/" + "/".join(device.location)
        await client.post(where, ["lt=1"])
        await asyncio.sleep(0.7)
        await client.post(where)
        await asyncio.sleep(0.7)
        assert "dev" in server.devices
        await server.wait("expire", "dev", 2)
        assert server.devices == {}
        assert (await client.post(where)).code == Code.NOT_FOUND


@run
async def test_registering_again_replaces_the_old_registration():
    async with registered() as (server, client, device):
        observation = await device.observe("/3303/0/5700")
        await client.register()
        new = (await server.wait("register", "dev")).device
        assert server.devices == {"dev": new} and new.location != device.location
        assert (await client.post("/" + "/".join(device.location))).code == Code.NOT_FOUND
        with pytest.raises(NoAnswer):
            await observation.next(1)


@run
async def test_alternate_path_location_and_several_devices():
    async with Server(location=lambda n: ("reg", "a", str(n))) as server:
        async with Client(server, "one") as one, Client(server, "two") as two:
            answer = await one.register(links=b'</lwm2m>;rt="oma.lwm2m",</lwm2m/3/0>')
            assert answer.opt.location_path == ("reg", "a", "0")
            await two.register()
            first, second = server.devices["one"], server.devices["two"]
            assert list(first.links) == ["/3/0"]
            answers = await asyncio.gather(first.execute("/3/0/4"), second.execute("/3/0/4"))
            assert [a.code for a in answers] == ["2.04", "2.04"]
            assert [s[:2] for s in one.seen] == [("POST", "/lwm2m/3/0/4")]
            assert [s[:2] for s in two.seen] == [("POST", "/3/0/4")]
            assert (await one.post("/reg/a/0")).code == Code.CHANGED


@run
async def test_two_servers_on_one_port_are_an_error():
    async with Server() as server:
        with pytest.raises(OSError):
            async with Server(port=server.port):
                pass


def ipv6() -> bool:
    with contextlib.suppress(OSError), socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as s:
        s.bind(("::1", 0))
        return True
    return False


@pytest.mark.skipif(not ipv6(), reason="no IPv6 loopback")
@run
async def test_ipv6():
    async with registered(host="::1") as (server, client, device):
        assert server.uri == f"coap://[::1]:{server.port}"
        assert (await device.execute("/3/0/4")).code == "2.04"
        assert client.seen[-1][2].remote.hostinfo == f"[::1]:{server.port}"


@run
async def test_requests_come_from_the_registration_port():
    async with registered() as (server, client, device):
        await device.delete("/3303/0")
        assert client.seen[-1][2].remote.hostinfo == f"127.0.0.1:{server.port}"


@run
async def test_operations_on_the_wire():
    async with registered() as (_, client, device):

        async def sent(operation):
            await operation
            method, path, message = client.seen[-1]
            opt = message.opt
            return method, path, opt.uri_query, opt.content_format, opt.accept, message.payload

        assert await sent(device.read("/3/0", "tlv")) == ("GET", "/3/0", (), None, 11542, b"")
        assert await sent(device.discover("/3")) == ("GET", "/3", (), None, 40, b"")
        assert await sent(device.write("/1/0/1", 60)) == ("PUT", "/1/0/1", (), 0, None, b"60")
        tlv = ("PUT", "/1/0/1", (), 11542, None, b"\xc1\x01\x3c")
        assert await sent(device.write("/1/0/1", 60, "tlv")) == tlv
        update = ("POST", "/1/0", (), 11542, None, b"\xc1\x01\x3c\xc1\x06\x01")
        assert await sent(device.write("/1/0", {1: 60, 6: True}, update=True)) == update
        opaque = ("PUT", "/5/0/0", (), 42, None, b"\0\1")
        assert await sent(device.write("/5/0/0", b"\0\1")) == opaque
        attributes = ("PUT", "/3/0/9", ("pmin=5", "gt"), None, None, b"")
        assert await sent(device.attributes("/3/0/9", pmin=5, gt=None)) == attributes
        assert await sent(device.execute("/3/0/4")) == ("POST", "/3/0/4", (), None, None, b"")
        execute = ("POST", "/3/0/4", (), 0, None, b"0='a'")
        assert await sent(device.execute("/3/0/4", "0='a'")) == execute
        with_id = ("POST", "/1", (), 11542, None, b"\x03\x05\xc1\x00\x09")
        assert await sent(device.create("/1/5", {0: 9})) == with_id
        without = ("POST", "/1", (), 11542, None, b"\xc1\x00\x09")
        assert await sent(device.create("/1", {0: 9})) == without
        assert await sent(device.delete("/1/5")) == ("DELETE", "/1/5", (), None, None, b"")


@run
async def test_answers_are_decoded():
    device_object = {0: "Acme", 6: {0: 1, 1: 5}, 9: 100, 13: 1700000000}
    answers = {
        ("GET", "/3/0"): content(device_object),
        ("GET", "/3"): content({0: device_object}, path="/3"),
        ("GET", "/3/0/6"): content({0: 1, 1: 5}, path="/3/0/6"),
        ("GET", "/3/0/9"): content(100, 0, "/3/0/9"),
        ("GET", "/5/0/0"): content(b"\xff", 42, "/5/0/0"),
        ("GET", "/3/1"): Message(code=Code.CONTENT, payload=b"\xc8", content_format=11542),
        ("GET", "/1/0"): Message(code=Code.UNAUTHORIZED),
        ("GET", "/3/0/0"): Message(
            code=Code.CONTENT, payload=b"</3/0/0>;pmin=1;pmax=60", content_format=40
        ),
    }
    async with registered(answers) as (server, _, device):
        assert (await device.read("/3/0")).value == device_object
        assert (await device.read("/3")).value == {0: device_object}
        assert (await device.read("/3/0/6")).value == {0: 1, 1: 5}
        assert (await device.read("/3/0/9")).value == 100
        assert (await device.read("/5/0/0")).value == b"\xff"
        found = await device.discover("/3/0/0")
        assert found.value == {"/3/0/0": {"pmin": "1", "pmax": "60"}}
        refused = await device.read("/1/0")
        assert (refused.code, refused.ok, refused.value) == ("4.01", False, None)
        malformed = await device.read("/3/1")
        assert (malformed.code, malformed.value, malformed.payload) == ("2.05", None, b"\xc8")
        assert any("cut off" in line for line in server.said)


@run
async def test_large_payloads_go_in_blocks_both_ways():
    big = bytes(range(256)) * 10
    async with registered({("GET", "/5/0/0"): content(big, 42, "/5/0/0")}) as (_, client, device):
        assert (await device.read("/5/0/0")).value == big
        await device.write("/5/0/0", big)
        assert client.seen[-1][2].payload == big
        device.remote.maximum_block_size_exp = 2
        await device.write("/5/0/0", big[:200])
        message = client.seen[-1][2]
        assert (message.payload, message.opt.block1.block_number) == (big[:200], 3)


@run
async def test_a_large_registration_comes_in_blocks():
    targets = b",".join(b"</3303/%d>" % i for i in range(200))
    async with Server() as server, Client(server) as client:
        await client.register(links=targets)
        assert len(server.devices["dev"].links) == 200


@run
async def test_observe_notify_and_cancel_with_the_same_token():
    async with registered() as (server, client, device):
        observation = await device.observe("/3303/0/5700")
        assert (observation.answer.value, observation.active) == (0.0, True)
        for count in (1.0, 2.0, 3.0):
            client.observed.notify()
            assert (await observation.next(2)).value == count
        assert "<- Notify /3303/0/5700 Sensor Value = 3" in server.said
        answer = await observation.cancel()
        assert (answer.code, answer.message.opt.observe) == ("2.05", None)
        assert client.observed.seen[-1] == (1, observation.token)
        assert [token for _, token in client.observed.seen] == [observation.token] * 5
        with pytest.raises(NoAnswer):
            await observation.next(0.1)


@pytest.mark.parametrize("kind", [CON, NON])
@run
async def test_reset_cancels_confirmable_and_other_notifications(kind):
    async with registered() as (_, client, device):
        manager = client.context.request_interfaces[0].token_interface
        sent = manager.send_message

        def send(message, *args):
            if message.opt.observe:
                message.mtype = kind
            return sent(message, *args)

        manager.send_message = send
        resets = []
        received = manager.dispatch_message

        def dispatch(message):
            if message.mtype is aiocoap.RST:
                resets.append(message.mid)
            received(message)

        manager.dispatch_message = dispatch
        observation = await device.observe("/3303/0/5700")
        client.observed.notify()
        await observation.next(2)
        observation.reset()
        assert resets == []
        client.observed.notify()
        for _ in range(20):
            await asyncio.sleep(0.05)
            if resets:
                break
        assert len(resets) == 1


@run
async def test_observing_what_cannot_be_observed():
    answers = {("GET", "/3/0/0"): content("Acme", 0, "/3/0/0")}
    async with registered(answers) as (server, _, device):
        plain = await device.observe("/3/0/0")
        assert (plain.answer.value, plain.active) == ("Acme", False)
        refused = await device.observe("/3/0/1")
        assert (refused.answer.code, refused.active) == ("4.04", False)
        assert device.observations == set()
        assert server.tokens.outgoing_requests == {}


@run
async def test_large_notifications_and_an_end_by_the_device():
    async with registered() as (_, client, device):
        client.observed.payload = b"1" * 3000
        observation = await device.observe("/3303/0/5700", "text")
        assert observation.answer.payload == b"1" * 3000
        client.observed.payload = b"2" * 3000
        client.observed.notify()
        assert (await observation.next(3)).payload == b"2" * 3000
        client.observed.updated_state(Message(code=Code.NOT_FOUND))
        assert (await observation.next(3)).code == "4.04"
        with pytest.raises(NoAnswer):
            await observation.next(1)
        assert not observation.active


@run
async def test_observations_follow_a_device_to_a_new_address():
    async with registered() as (server, client, device):
        observation = await device.observe("/3303/0/5700")
        async with Client(server) as moved:
            await moved.post("/" + "/".join(device.location))
            await server.wait("update")
            assert (await device.execute("/3/0/4")).code == "2.04"
            assert moved.seen[-1][:2] == ("POST", "/3/0/4")
            notification = Message(code=Code.CONTENT, payload=b"7", content_format=0, observe=9)
            notification.token, notification.remote = observation.token, None
            notification.mtype = NON
            to = Message(code=Code.GET, uri=server.uri)
            await moved.context.find_remote_and_interface(to)
            notification.remote = to.remote
            moved.context.request_interfaces[0].token_interface.send_message(notification, None)
            assert (await observation.next(2)).value == 7.0


@run
async def test_stale_notifications_are_dropped_and_large_ones_completed():
    """A device of bare datagrams, because aiocoap neither reorders nor splits notifications."""
    loop = asyncio.get_running_loop()
    async with Server(timeout=5) as server:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
            s.setblocking(False)
            await loop.sock_connect(s, ("127.0.0.1", server.port))

            async def take():
                return Message.decode(await asyncio.wait_for(loop.sock_recv(s, 1500), 2))

            async def give(kind, mid, token, payload, **options):
                message = Message(
                    _mtype=kind, _mid=mid, code=Code.CONTENT, payload=payload, **options
                )
                message.token = token
                await loop.sock_sendall(s, message.encode())

            await loop.sock_sendall(s, b"\x40\x02\x00\x01\xb2rd\x46ep=raw")
            assert (await take()).code == Code.CREATED
            task = asyncio.create_task(server.devices["raw"].observe("/3/0/0"))
            request = await take()
            token = request.token
            await give(aiocoap.ACK, request.mid, token, b"first", observe=10)
            observation = await task
            for mid, order in enumerate((12, 11, 12, 13, 14 + 2**23, 14), 100):
                await give(NON, mid, token, b"%d" % order, observe=order)
            got = [(await observation.next(2)).payload for _ in range(3)]
            assert got == [b"12", b"13", b"14"]
            await give(NON, 200, token, b"a" * 16, observe=15, block2=(0, True, 0))
            request = await take()
            assert request.opt.observe is None and request.opt.block2.block_number == 1
            await give(aiocoap.ACK, request.mid, request.token, b"b", block2=(1, False, 0))
            assert (await observation.next(2)).payload == b"a" * 16 + b"b"
            assert observation.pending() == 0


@run
async def test_silence_and_unreachable_devices_raise():
    async with Server(timeout=1, ack_timeout=0.1) as server:
        async with Client(server, answers={("GET", "/3/0"): lambda _: None}) as client:
            await client.register()
            device = server.devices["dev"]

            async def never(request):
                await asyncio.sleep(60)

            client.render = never
            with pytest.raises(NoAnswer, match="no answer within 1 s"):
                await device.read("/3/0")
            with pytest.raises(NoAnswer):
                await device.observe("/3/0")
        with pytest.raises(NoAnswer):
            await device.read("/3/0")


@run
async def test_a_repeated_datagram_registers_once():
    async with Server() as server:
        query = b"\xb2rd" + b"\x47ep=twin" + b"\x05lt=60" + b"\xff</1/0>"
        datagram = b"\x41\x02\x12\x34\x99" + query
        loop = asyncio.get_running_loop()
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
            s.setblocking(False)
            await loop.sock_connect(s, ("127.0.0.1", server.port))
            answers = []
            for _ in range(3):
                await loop.sock_sendall(s, datagram)
                answers.append(await asyncio.wait_for(loop.sock_recv(s, 1500), 2))
        assert answers[0] == answers[1] == answers[2] and answers[0][:4] == b"\x61\x41\x12\x34"
        assert [e.kind for e in server.events] == ["register"]


@run
async def test_what_is_remembered_of_requests_is_bounded(monkeypatch):
    monkeypatch.setattr(coap, "MAX_RECENT", 100)
    monkeypatch.setattr(coap, "MAX_UPLOADS", 5)
    async with Server() as server:
        loop = asyncio.get_running_loop()
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
            s.setblocking(False)
            await loop.sock_connect(s, ("127.0.0.1", server.port))
            for number in range(300):
                block = Message(_mtype=CON, _mid=number, code=Code.POST, uri_path=("rd",))
                block.opt.uri_query = (f"ep=dev{number}",)
                block.opt.block1, block.payload = (0, True, 0), b"x" * 16
                await loop.sock_sendall(s, block.encode())
                answer = Message.decode(await asyncio.wait_for(loop.sock_recv(s, 1500), 2))
                assert answer.code == Code.CONTINUE
        messages = server.tokens.token_interface
        assert 90 < len(messages._recent_messages) <= 100
        assert len(server.context.serversite._block1._assemblies._items) == 5


@run
async def test_options_that_are_no_text_and_blocks_with_a_gap():
    async with Server() as server:
        loop = asyncio.get_running_loop()
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
            s.setblocking(False)
            await loop.sock_connect(s, ("127.0.0.1", server.port))
            await loop.sock_sendall(s, b"\x42\x02\x12\x34ab" + b"\xb2rd" + b"\x44ep=\xff")
            answer = Message.decode(await asyncio.wait_for(loop.sock_recv(s, 1500), 2))
            assert (answer.code, answer.mid, answer.token) == (Code.BAD_REQUEST, 0x1234, b"ab")
            for number, code in ((0, Code.CONTINUE), (2, Code.REQUEST_ENTITY_INCOMPLETE)):
                block = Message(_mtype=CON, _mid=number, code=Code.POST, uri_path=("rd",))
                block.opt.block1, block.payload = (number, True, 0), b"x" * 16
                await loop.sock_sendall(s, block.encode())
                answer = Message.decode(await asyncio.wait_for(loop.sock_recv(s, 1500), 2))
                assert answer.code == code


@run
async def test_bootstrap_sequence():
    config = BootstrapConfig.account(
        "coap://127.0.0.1:9", 7, 60, bootstrap_uri="coap://127.0.0.1:8"
    )
    config.discover, config.read = ["/"], ["/1"]
    async with Server(bootstrap={"*": config}) as server, Client(server) as client:
        answer = await client.post("/bs", ["ep=dev"])
        assert answer.code == Code.CHANGED
        event = await server.wait("bootstrapped", "dev")
        assert event.detail == "finished"
        assert [s[:2] for s in client.seen] == [
            ("GET", "/"),
            ("GET", "/1"),
            ("DELETE", "/0"),
            ("DELETE", "/1"),
            ("PUT", "/0/0"),
            ("PUT", "/0/1"),
            ("PUT", "/1/0"),
            ("POST", "/bs"),
        ]
        written = formats.decode(formats.TLV, "/0/1", client.seen[5][2].payload, server.model)
        assert written == {0: "coap://127.0.0.1:9", 1: False, 2: 3, 3: b"", 4: b"", 5: b"", 10: 7}
        written = formats.decode(formats.TLV, "/1/0", client.seen[6][2].payload, server.model)
        assert written == {0: 7, 1: 60, 6: True, 7: "U"}


@run
async def test_bootstrap_that_goes_wrong():
    answers = {("PUT", "/1/0"): Message(code=Code.BAD_REQUEST)}
    config = BootstrapConfig.account("coap://127.0.0.1:9")
    configs = {"dev": config, "no": BootstrapConfig(refuse="4.03")}
    async with Server(bootstrap=configs) as server, Client(server, answers=answers) as client:
        assert (await client.post("/bs", [])).code == Code.BAD_REQUEST
        assert (await client.post("/bs", ["ep=unknown"])).code == Code.BAD_REQUEST
        assert (await client.post("/bs", ["ep=no"])).code == Code.FORBIDDEN
        assert client.seen == []
        await client.post("/bs", ["ep=dev"])
        event = await server.wait("bootstrapped")
        assert event.detail == "write /1/0 answered 4.00"
        assert client.seen[-1][:2] == ("PUT", "/1/0")


@run
async def test_unsolicited_bootstrap():
    config = BootstrapConfig(delete=[], objects={"/1/0/1": 5})
    async with registered() as (server, client, device):
        server.bootstrap("dev", device.remote, config)
        assert (await server.wait("bootstrapped")).detail == "finished"
        assert [s[:2] for s in client.seen] == [("PUT", "/1/0/1"), ("POST", "/bs")]


@run
async def test_send():
    async with registered() as (server, client, _):
        pack = cbor2.dumps(
            [{-2: "/3303/0/", 0: "5700", 2: 21.5, -3: 1.7e9}, {0: "5701", 3: "Cel", 6: 5}]
        )
        assert (await client.post("/dp", payload=pack, format=112)).code == Code.CHANGED
        event = await server.wait("send", "dev")
        assert event.detail == [("/3303/0/5700", 1.7e9, 21.5), ("/3303/0/5701", 1.7e9 + 5, "Cel")]
        # A time below 2 ** 28 counts from now, a base value is added.
        pack = cbor2.dumps([{-2: "/3303/0/", -5: 20, 0: "5700", 2: 1.5, 6: -60}])
        assert (await client.post("/dp", payload=pack, format=112)).code == Code.CHANGED
        ((path, at, value),) = (await server.wait("send", "dev")).detail
        assert (path, value) == ("/3303/0/5700", 21.5) and -90 < at - time.time() < -30
        # Object 5 was not registered.
        unknown = b'[{"n":"/5/0/3","v":1}]'
        assert (await client.post("/dp", payload=unknown, format=110)).code == Code.NOT_FOUND
        text = b'[{"bn":"/3/0/","n":"0","vs":"x"},{"n":"5/1","vd":"_w"}]'
        assert (await client.post("/dp", payload=text, format=110)).code == Code.CHANGED
        event = await server.wait("send", "dev")
        assert event.detail == [("/3/0/0", None, "x"), ("/3/0/5/1", None, b"\xff")]
        assert (await client.post("/dp", payload=b"[", format=110)).code == Code.BAD_REQUEST
        assert (await client.post("/dp", payload=b"\x81", format=112)).code == Code.BAD_REQUEST
        answer = await client.post("/dp", payload=b"1", format=0)
        assert answer.code == Code.UNSUPPORTED_CONTENT_FORMAT
    async with Server() as server, Client(server) as stranger:
        assert (await stranger.post("/dp", payload=text, format=110)).code == Code.NOT_FOUND


# Formats

MODEL = Model()
VALUES = [
    ("/3/0/0", "naïve"),
    ("/3/0/9", 100),
    ("/3/0/13", 4102444800),
    ("/1/0/6", True),
    ("/1/0/10", "65535:65535"),
    ("/5/0/0", b"\0\xff" * 200),
    ("/3303/0/5700", -40.5),
    ("/3303/0/5700", 0.1),
    ("/3303/0/5700", 1e300),
    ("/1/0/11", 255),
    ("/3/0/9", -(2**63)),
    ("/9999/0/1", "unknown"),
]


@pytest.mark.parametrize("format", [0, 11542, 11543, 110, 112])
@pytest.mark.parametrize(("path", "value"), VALUES)
def test_a_resource_survives_each_format(format, path, value):
    decoded = formats.decode(format, path, formats.encode(format, path, value, MODEL), MODEL)
    if path == "/9999/0/1" and format == 11542:
        value = value.encode()
    assert decoded == value and type(decoded) is type(value)


@pytest.mark.parametrize("format", [11542, 11543, 110, 112])
def test_instances_and_objects_survive_each_format(format):
    instance = {0: "a", 6: {0: 1, 300: 5}, 14: "+01"}
    for path, value in (("/3/0", instance), ("/3", {0: instance}), ("/3/0/6", {0: 1, 300: 5})):
        payload = formats.encode(format, path, value, MODEL)
        assert formats.decode(format, path, payload, MODEL) == value


@pytest.mark.parametrize(
    ("path", "value", "text"),
    [
        # LwM2M Core 1.0.2, 6.4.3.2: the Device object, and its error codes.
        ("/3/0", {0: "Open Mobile Alliance"}, "c800144f70656e204d6f62696c6520416c6c69616e6365"),
        ("/3/0", {6: {0: 1, 1: 5}}, "8606410001410105"),
        ("/3/0", {7: {0: 3800, 1: 5000}}, "880708" + "42000ed8" + "42011388"),
        ("/3/0", {9: 100, 13: 1367491215}, "c10964" + "c40d5182428f"),
        ("/65", {0: {0: "x"}}, "0300c10078"),
        ("/3/0/6/1", 5, "410105"),
        ("/3303/0/255", b"x", "c1ff78"),
        ("/3303/0/256", b"x", "e1010078"),
        ("/3303/0/256", b"x" * 300, "f00100012c" + "78" * 300),
    ],
)
def test_tlv_vectors(path, value, text):
    assert formats.encode(11542, path, value, MODEL) == bytes.fromhex(text)


def test_tlv_that_is_malformed_raises_value_error():
    good = formats.encode(11542, "/3/0", {0: "Acme Corporation", 6: {0: 1, 1: 5}, 9: 100}, MODEL)
    for end in range(len(good)):
        with contextlib.suppress(ValueError):
            formats.decode(11542, "/3/0", good[:end], MODEL)
    for bit in range(len(good) * 8):
        bad = bytearray(good)
        bad[bit // 8] ^= 1 << bit % 8
        with contextlib.suppress(ValueError):
            formats.decode(11542, "/3/0", bytes(bad), MODEL)
    for text in ("c8", "c0", "c3", "c10900ff", "c30900", "0200"):
        with pytest.raises(ValueError):
            formats.decode(11542, "/3/0", bytes.fromhex(text), MODEL)


@pytest.mark.parametrize(
    ("format", "payload"),
    [
        (0, b"\xff"),
        (60, b"\x9f"),
        (110, b"{"),
        (110, b"{}"),
        (110, b"[1]"),
        (110, b'[{"n":"x","v":1}]'),
        (110, b'[{"n":"/4/0/0","v":1}]'),
        (112, b""),
        (112, b"\xa0"),
        (11543, b"[]"),
        (11543, b'{"e":[{"n":"/3/0/9"}]}'),
    ],
)
def test_malformed_payloads_raise_value_error(format, payload):
    with pytest.raises(ValueError):
        formats.decode(format, "/3/0/9", payload, MODEL)


def test_links():
    assert links.parse(b"") == []
    found = links.parse(b'</>;rt="oma.lwm2m";ct="11542 112", </3/0>;pmin=1;obs')
    assert found == [
        ("/", {"rt": "oma.lwm2m", "ct": "11542 112"}),
        ("/3/0", {"pmin": "1", "obs": ""}),
    ]
    for bad in (b"x", b"<", b"</1>x", b"</1>,", b"</1>;", b'</1>;a="', b"</1></2>"):
        with pytest.raises(ValueError):
            links.parse(bad)


def test_model_reads_a_users_own_xml(tmp_path):
    xml = tmp_path / "own.xml"
    xml.write_text(
        "<LWM2M><Object><Name>Kettle</Name><ObjectID>33000</ObjectID>"
        "<MultipleInstances>Single</MultipleInstances><Resources><Item ID='7'><Name>Boil</Name>"
        "<Operations>E</Operations></Item></Resources></Object></LWM2M>"
    )
    model = Model(xml)
    assert model.label("/33000/0/7") == "/33000/0/7 Boil"
    assert model.label("/3/0/0") == "/3/0/0 Manufacturer"


@pytest.mark.parametrize(
    ("path", "value", "text"),
    [
        ("/3303/0/5700", struct.unpack("f", struct.pack("f", 21.3))[0], "21.3"),
        ("/3303/0/5700", 51.123456789, "51.123456789"),
        ("/3303/0/5700", 1e300, "1e+300"),
        ("/3303/0/5700", 20.0, "20"),
        ("/1/0/1", 60, "60 s"),
        ("/1/0/6", True, "true"),
        ("/3/0/13", 0, "0 (1970-01-01 00:00:00 UTC)"),
        ("/3/0/0", 'a"b', '"a\\"b"'),
        ("/3/0/6", {0: 1, 1: 5}, "{0: 1, 1: 5}"),
        ("/1/0/10", "11:0", "11:0"),
        ("/5/0/0", b"\1\2", "0102 (2 bytes)"),
        ("/0/0/5", b"key", "***"),
        ("/0/0", {5: b"key"}, "\n    /0/0/5 Secret Key = ***"),
    ],
)
def test_values_as_people_read_them(path, value, text):
    assert MODEL.show(path, value) == text


# The terminal


@run
async def test_console_commands():
    answers = {("GET", "/3/0/0"): content("Acme", 0, "/3/0/0")}
    async with registered(answers) as (server, client, device):
        console = Console(server)
        for line in (
            "read 3/0/0",
            "discover /3",
            "write /3/0/14 '+02:00'",
            "write /1/0/1 60 tlv",
            "write /5/0/0 00ff",
            "write /1/0 1=60 6=1",
            "update /3/0 14=Z",
            "attr /3/0/9 pmin=1 gt",
            "exec /3/0/4 0='x'",
            "create /3303/5 5601=1.5",
            "create /3303",
            "delete /3303/5",
            "bootstrap",
            "observe /3303/0/5700",
            "cancel /3303/0/5700",
        ):
            await console.command(line)
        assert [s[:2] for s in client.seen] == [
            ("GET", "/3/0/0"),
            ("GET", "/3"),
            ("PUT", "/3/0/14"),
            ("PUT", "/1/0/1"),
            ("PUT", "/5/0/0"),
            ("PUT", "/1/0"),
            ("POST", "/3/0"),
            ("PUT", "/3/0/9"),
            ("POST", "/3/0/4"),
            ("POST", "/3303"),
            ("POST", "/3303"),
            ("DELETE", "/3303/5"),
            ("POST", "/1/0/9"),
        ]
        payloads = [s[2].payload for s in client.seen]
        assert payloads[2:6] == [
            b"+02:00",
            b"\xc1\x01\x3c",
            b"\0\xff",
            b"\xc1\x01\x3c\xc1\x06\x01",
        ]
        assert [order for order, _ in client.observed.seen] == [0, 1]


@run
async def test_console_tells_what_is_wrong(capsys):
    async with Server(timeout=1) as server:
        console = Console(server)
        wrong = ["read /3/0/0", "fly", "read", "read x", "'", "use nobody", "cancel /3"]
        # No value, and too many.
        wrong += [
            "write /3/0/14",
            "write /3/0",
            "update /3/0",
            "attr /3/0",
            "write /3/0/14 a text b",
        ]
        for line in wrong:
            await console.command(line)
        lines = capsys.readouterr().out.splitlines()
        assert len(lines) == len(wrong) and all(line.startswith("error: ") for line in lines)


def test_printer_uses_colour_on_a_terminal_only(monkeypatch):
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    monkeypatch.delenv("NO_COLOR", raising=False)
    for stream, coloured in ((io.StringIO(), False), (Terminal(), True)):
        Printer(stream)("dev", "-> Read /3/0\nmore")
        text = stream.getvalue()
        assert ("\x1b[36m" in text) is coloured
        assert "dev" in text and "\n" + " " * 20 + "more" in text


def test_the_server_on_a_terminal():
    command = [sys.executable, "-m", "tools.server", "--port", "0", "--bootstrap-port", "0"]
    done = subprocess.run(
        command, cwd=ROOT, input="devices\nquit\n", capture_output=True, text=True, timeout=20
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "LwM2M server at coap://127.0.0.1:" in done.stdout
    assert "bootstrap server at coap://127.0.0.1:" in done.stdout
    assert "no devices are registered" in done.stdout


@pytest.mark.parametrize("wrong", ["99999", "-1", "x"])
def test_a_port_that_is_none(wrong):
    command = [sys.executable, "-m", "tools.server", f"--port={wrong}"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=20)
    assert done.returncode == 2 and "is no port from 0 to 65535" in done.stderr


@pytest.mark.needs("micropython")
def test_the_demo():
    done = subprocess.run(
        [sys.executable, "-m", "tools.demo"], cwd=ROOT, capture_output=True, text=True, timeout=30
    )
    assert (done.returncode, done.stderr) == (0, ""), done.stdout + done.stderr
    steps = ["<- Bootstrap-Request ", "-> Bootstrap-Finish", "<- Register ", "-> Read /3/0/0 "]
    steps += ["-> Write /3/0/14 ", "-> Observe ", "-> Cancel ", "-> Execute /3303/0/5605 "]
    steps += ["-> Execute /1/0/8 ", "<- Update", "<- De-register "]
    places = [done.stdout.find(step) for step in steps]
    assert places == sorted(places) and places[0] > 0
    assert done.stdout.count("<- Notify /3303/0/5700 Sensor Value = ") == 3
