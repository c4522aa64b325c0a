# coaps on lines that lose, double and forge: sessions that are replaced, resumed, attacked.
# SPDX-License-Identifier: MIT

import asyncio
import os

import pytest
from core_device import device, pack
from core_peers import desk_server, run, until
from tap import CLIENT_HELLO, KEY_EXCHANGE, Tap

from tools.server import dtls, events

pytestmark = pytest.mark.needs("micropython")
SYNC = {"async": False}
KEY = bytes(range(16))
ACCOUNT = {"identity": "id", "key": pack(KEY), "ack_timeout": 200, "max_retransmit": 4}


def interface_of(desk):
    return desk.server.listening[0].interface


async def secured(desk):
    desk.put_endpoint("dev", {"identity": "id", "key": KEY.hex()})
    return desk.server.listening[0].listener.port


def heard(desk, kind, since=0):
    return desk.events.wait(kind, "dev", 20, since=since)


@run
async def test_a_bad_line():
    async with desk_server("coaps", coap_timeout=20, ack_timeout=0.3) as desk:
        with Tap(await secured(desk), loss=0.1, double=0.1, delay=0.03, seed=3) as line:
            async with device("dev", line.uri, **ACCOUNT) as client:
                await client.start()
                await heard(desk, events.REGISTER)
                for count in range(8):
                    await desk.operations.write("dev", "3/0/15", f"zone {count}" * 50, SYNC)
                    read = await desk.operations.read("dev", "3/0/15", SYNC)
                    assert read.values[0][2] == f"zone {count}" * 50
                assert line.lost > 0


@run
async def test_forged_records_and_hellos_leave_the_session_alone():
    async with desk_server("coaps") as desk:
        with Tap(await secured(desk)) as line:
            async with device("dev", line.uri, **ACCOUNT) as client:
                await client.start()
                await heard(desk, events.REGISTER)
                before = interface_of(desk)._sessions.copy()
                # From the session's own address: records of its epoch, of an older one, hellos without a cookie.
                hello = bytes.fromhex("16fefd0000000000000000003601000042") + os.urandom(60)
                for count in range(300):
                    head = bytes((20 + count % 4,)) + b"\xfe\xfd\0" + bytes((count % 2,))
                    forged = head + os.urandom(6) + b"\0\x20" + os.urandom(32)
                    line.inner.send(forged)
                    line.inner.send(hello[: 40 + count % 40])
                await asyncio.sleep(0.2)
                assert (await desk.operations.read("dev", "3/0/16", SYNC)).success
                assert interface_of(desk)._sessions == before
                assert len(interface_of(desk)._handshakes) == 0


@run
async def test_a_client_that_begins_anew_from_the_same_address():
    async with desk_server("coaps") as desk:
        with Tap(await secured(desk)) as line:
            async with device("dev", line.uri, **ACCOUNT) as client:
                await client.start()
                first = await heard(desk, events.REGISTER)
            # The power was cut; the next client comes through the same port of the line.
            async with device("dev", line.uri, **ACCOUNT) as client:
                await client.start()
                await heard(desk, events.REGISTER, since=first.number)
                assert (await desk.operations.read("dev", "3/0/16", SYNC)).success
                assert len(interface_of(desk)._sessions) == 1


@run
async def test_another_port_means_a_resumed_session_and_the_same_registration():
    async with desk_server("coaps") as desk:
        with Tap(await secured(desk)) as line:
            async with device("dev", line.uri, **ACCOUNT) as client:
                await client.start()
                first = await heard(desk, events.REGISTER)
                await desk.operations.observe("dev", "3/0/15", SYNC)
                hellos = line.count(CLIENT_HELLO)
                line.rebind()
                await client.update()
                updated = asyncio.create_task(heard(desk, events.UPDATE, first.number))
                again = asyncio.create_task(heard(desk, events.REGISTER, first.number))
                done, _ = await asyncio.wait({updated, again}, return_when=asyncio.FIRST_COMPLETED)
                for task in {updated, again} - done:
                    task.cancel()
                assert line.count(CLIENT_HELLO) > hellos
                assert (await desk.operations.read("dev", "3/0/16", SYNC)).success
                if updated in done:  # it was resumed: the observation goes on
                    await client.set("/3/0/15", "CET")
                    await desk.events.wait(
                        events.DATA, "dev", 5, lambda e: e.detail.source == "notify", since=0
                    )


@run
async def test_a_key_that_is_taken_away_resumes_nothing():
    async with desk_server("coaps") as desk:
        with Tap(await secured(desk)) as line:
            async with device("dev", line.uri, **ACCOUNT) as client:
                await client.start()
                await heard(desk, events.REGISTER)
                desk.store.remove_credential("id")
                hellos = line.count(CLIENT_HELLO)
                await client.stop(force=True)
                line.rebind()
                await client.start()
                await until(lambda: line.count(CLIENT_HELLO) > hellos + 1, 15)
                await asyncio.sleep(0.5)
                assert [e for e in desk.seen if e.kind == events.UPDATE] == []
                ports = [address[1] for address in interface_of(desk)._sessions]
                assert line.inner.getsockname()[1] not in ports


@run
async def test_handshakes_that_do_not_end_are_bounded(monkeypatch):
    monkeypatch.setattr(dtls, "MAX_HANDSHAKES", 3)
    async with desk_server("coaps") as desk:
        port = await secured(desk)
        lines = [Tap(port) for _ in range(6)]
        for line in lines:
            line.__enter__()
        try:
            wrong = {**ACCOUNT, "key": pack(bytes(16)), "max_retransmit": 0, "retry": False}
            for line in lines:
                async with device("dev", line.uri, **wrong) as client:
                    await client.start()
                    await until(lambda one=line: one.count(KEY_EXCHANGE), 5)
            assert len(interface_of(desk)._handshakes) <= 3
            assert interface_of(desk)._sessions == {}
        finally:
            for line in lines:
                line.__exit__()
