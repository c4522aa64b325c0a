# The desk server with clients that others wrote: Leshan's, libcoap's, OpenSSL's.
# SPDX-License-Identifier: MIT

import asyncio
import contextlib
import os
import random
import socket

import core_device  # noqa: F401  puts tests/interop onto the path
import pytest
from certificates import as_bytes, issue
from core_peers import Client, content, desk_server, run, until
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from leshan import Program

from tools.server import events
from tools.server.credentials import thumbprint
from tools.server.results import OperationError

SYNC = {"async": False}
KEY = bytes(range(16))


class LeshanClient(Program):
    """tests/interop/leshan/client; its options are those of InteropClient.java."""

    project, main = "client", "InteropClient"


@contextlib.asynccontextmanager
async def leshan(endpoint, uri, **options):
    program = LeshanClient(endpoint=endpoint, uri=uri, **options)
    command, folder = await asyncio.to_thread(program.command)
    await asyncio.to_thread(program.spawn, command, cwd=folder)
    try:
        await asyncio.to_thread(program.wait, "ready", 30)
        yield program
    finally:
        await asyncio.to_thread(program.stop)


async def ask(program, op, **members):
    return await asyncio.to_thread(program.ask, op, 10, **members)


async def heard(program, event, **match):
    return await asyncio.to_thread(program.wait, event, 10, **match)


needs_java = pytest.mark.needs("java", "mvn")


@needs_java
@run
async def test_leshan_is_managed():
    async with desk_server(awake_window=1) as desk:
        async with leshan("dev", desk.uris()["coap"]) as client:
            await ask(client, "start")
            await heard(client, "registered")
            record = desk.store.registration("dev")
            assert (record.version, record.lifetime) == ("1.1", 60)
            ops = desk.operations
            for encoding in ("tlv", "json", "senml_json", "senml_cbor"):
                read = await ops.read("dev", "3/0", {**SYNC, "encoding": encoding})
                tree = read.data(desk.model)["3"]["0"]
                assert (tree["0"], tree["9"]) == ("Acme", 80), encoding
                await ops.write(
                    "dev", "3/0/15", f"zone {encoding}", {**SYNC, "encoding": encoding}
                )
                got = await ask(client, "get", rid=15)
                assert got.value == f"zone {encoding}"
            text = await ops.read("dev", "3/0/9", {**SYNC, "encoding": "text"})
            assert text.values == [("/3/0/9", None, 80)]
            await ops.writeMulti("dev", {"3": {"0": {"14": "+01:00", "15": "CET"}}}, SYNC)
            composite = {**SYNC, "composite": True}
            read = await ops.read("dev", ["3/0/15", "1/0/1"], composite)
            assert read.data(desk.model) == {"3": {"0": {"15": "CET"}}, "1": {"0": {"1": 60}}}
            await ops.writeMulti("dev", {"3": {"0": {"14": "-01:00", "15": "EST"}}}, composite)
            assert (await ask(client, "get", rid=15)).value == "EST"
            await ops.execWithArgs("dev", "3/0/4", {"0": "abc", "3": None}, SYNC)
            assert (await heard(client, "executed")).arguments == "0='abc',3"
            found = await ops.discover("dev", "3/0", SYNC)
            assert "/3/0/15" in found.links
            observed = await ops.observe("dev", "3/0/9", SYNC)
            both = await ops.observe("dev", ["3/0/15", "3/0/9"], composite)
            await ask(client, "set", rid=9, value=70)
            for paths in (("/3/0/9",), ("/3/0/15", "/3/0/9")):
                told = await desk.events.wait(
                    events.DATA,
                    "dev",
                    5,
                    lambda e, p=paths: e.detail.source == "notify" and e.detail.paths == p,
                    since=0,
                )
                assert ("/3/0/9", None, 70) in told.detail.values
            for token in (*observed.tokens.values(), *both.tokens.values()):
                await ops.observeCancel("dev", token, SYNC)
            for format in ("SENML_JSON", "SENML_CBOR"):
                sent = await ask(client, "send", path="/3/0/9", format=format)
                assert "CHANGED" in sent.code or "204" in sent.code
            await until(
                lambda: (
                    len([e for e in desk.seen if getattr(e.detail, "source", "") == "send"]) == 2
                )
            )
            with pytest.raises(OperationError, match="coap: method not allowed"):
                await ops.write("dev", "3/0/0", "x", SYNC)
            await ask(client, "update")
            await heard(client, "updated")
            await ask(client, "stop")
            await heard(client, "deregistered")


@needs_java
@pytest.mark.parametrize("mode", ["psk", "x509", "wrong key"])
@run
async def test_leshan_over_coaps(mode):
    async with desk_server("coaps") as desk:
        if mode == "x509":
            certificate, key = issue("dev")
            desk.put_endpoint("dev", {"thumbprints": [thumbprint(certificate)]})
            private = key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption()).hex()
            account = {"cert": as_bytes((certificate, key))[0].hex(), "private": private}
            account["server"] = desk.certificate.hex()
        else:
            desk.put_endpoint("dev", {"identity": "id", "key": KEY.hex()})
            key = KEY if mode == "psk" else bytes(16)
            account = {"identity": "id", "key": key.hex()}
        async with leshan("dev", desk.uris()["coaps"], **account) as client:
            await ask(client, "start")
            if mode == "wrong key":
                await heard(client, "refused")
                assert desk.server.devices == {}
                return
            await heard(client, "registered")
            assert desk.store.registration("dev").secure == ("psk" if mode == "psk" else "x509")
            read = await desk.operations.read("dev", "3/0", SYNC)
            assert read.data(desk.model)["3"]["0"]["0"] == "Acme"
            await ask(client, "update")
            await heard(client, "updated")


@needs_java
@run
async def test_leshan_is_bootstrapped_with_a_key_of_its_own():
    async with desk_server("coap", "coaps") as desk:
        table = {"servers": [{"shortServerId": 5, "self": True, "secMode": "psk", "lifetime": 77}]}
        desk.put_endpoint("dev", {"bootstrap": table})
        async with leshan("dev", desk.uris()["coap"], bootstrap="true") as client:
            await ask(client, "start")
            await heard(client, "bootstrapped")
            await heard(client, "registered")
            record = desk.store.registration("dev")
            assert (record.credentials, record.lifetime) == ("alternate", 77)


@needs_java
@run
async def test_leshan_in_queue_mode():
    async with desk_server(awake_window=1) as desk:
        async with leshan("dev", desk.uris()["coap"], queue="true") as client:
            await ask(client, "start")
            await heard(client, "registered")
            assert desk.store.registration("dev").queue
            await until(lambda: desk.endpoint_view("dev")["status"] == "sleeping")
            queued = await desk.operations.write("dev", "3/0/15", "CET", {"context": 1})
            assert queued.queued
            await ask(client, "update")
            await desk.events.wait(
                events.ASYNC_RESULT, "dev", 10, lambda e: not e.detail.queued, since=0
            )
            assert (await ask(client, "get", rid=15)).value == "CET"


async def output(*command, text=b"", seconds=10):
    process = await asyncio.create_subprocess_exec(
        *command,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        found, _ = await asyncio.wait_for(process.communicate(text), seconds)
    except TimeoutError:
        process.kill()
        await process.wait()
        raise
    return found


@pytest.mark.parametrize("library", ["openssl", "gnutls"])
@run
async def test_libcoap_downloads_with_its_key(library, need):
    need(f"coap-client-{library}")
    async with desk_server("coap", "coaps") as desk:
        desk.put_endpoint("dev", {"identity": "id", "key": b"secretPSK".hex()})
        image = b"0123456789abcdef" * 300
        desk.inventory.add("fw.bin", image)
        program = f"coap-client-{library}"
        url = desk.uris()["coaps"] + "/files/fw.bin"
        assert (await output(program, "-u", "id", "-k", "secretPSK", url)).strip() == image
        assert image not in await output(program, "-u", "id", "-k", "wrong", "-B", "2", url)
        register = (program, "-m", "post", "-t", "40", "-e", "</3/0>")
        where = desk.uris()["coaps"] + "/rd?ep=dev&lt=60"
        await output(*register, "-u", "id", "-k", "secretPSK", where)
        assert desk.store.registration("dev").secure == "psk"
        desk.server.end("dev")
        # Without a name in the request it is that of the credentials.
        where = desk.uris()["coaps"] + "/rd?lt=60"
        await output(*register, "-u", "id", "-k", "secretPSK", where)
        assert set(desk.server.devices) == {"dev"}
        where = desk.uris()["coap"] + "/rd?ep=free&lt=60"
        await output(*register, where)
        assert desk.store.registration("free").secure == "nosec"


@pytest.mark.needs("openssl")
@pytest.mark.parametrize(
    "suite",
    ["PSK-AES128-CCM8", "PSK-AES128-CCM", "PSK-AES128-CBC-SHA256", "PSK-AES128-GCM-SHA256"],
)
@run
async def test_openssl_handshakes(suite):
    async with desk_server("coaps") as desk:
        desk.put_endpoint("dev", {"identity": "id", "key": KEY.hex()})
        port = desk.server.listening[0].listener.port
        command = ["openssl", "s_client", "-dtls1_2", "-connect", f"127.0.0.1:{port}"]
        command += ["-psk_identity", "id", "-cipher", suite + ":@SECLEVEL=0"]
        found = await output(*command, "-psk", KEY.hex(), text=b"Q\n")
        assert f"Cipher is {suite}".encode() in found
        assert desk.server.listening[0].interface._sessions == {}  # s_client said good-bye
        command[command.index("id")] = "nobody"
        found = await output(*command, "-psk", KEY.hex(), text=b"Q\n")
        assert b"alert unknown psk identity" in found


@pytest.mark.needs("openssl")
@run
async def test_a_session_is_resumed_only_while_its_key_is_known(tmp_path):
    async with desk_server("coaps") as desk:
        desk.put_endpoint("dev", {"identity": "id", "key": KEY.hex()})
        interface, begun = desk.server.listening[0].interface, []
        interface.established = begun.append
        port = desk.server.listening[0].listener.port
        command = ["openssl", "s_client", "-dtls1_2", "-connect", f"127.0.0.1:{port}"]
        command += [
            "-psk_identity",
            "id",
            "-psk",
            KEY.hex(),
            "-cipher",
            "PSK-AES128-CCM8:@SECLEVEL=0",
        ]
        kept = str(tmp_path / "session")
        found = await output(*command, "-sess_out", kept, text=b"Q\n")
        assert b"New, TLSv1.2" in found
        found = await output(*command, "-sess_in", kept, text=b"Q\n")
        assert b"Reused, TLSv1.2" in found
        assert [(a.secure, a.identity) for a in begun] == [("psk", "id")] * 2
        desk.store.remove_credential("id")
        await output(*command, "-sess_in", kept, text=b"Q\n")
        assert len(begun) == 2 and interface._sessions == {}


@run
async def test_garbage_never_stops_it():
    """Datagrams of every kind at both ports; afterwards a client registers and is read as ever."""
    random.seed(5)
    hello = bytes.fromhex("16fefd0000000000000000003a010000") + bytes(60)
    async with desk_server("coap", "coaps") as desk:
        ports = [each.listener.port for each in desk.server.listening]
        starts = (
            b"",
            b"\x40\x02",
            b"\x41\x01\x12\x34\x99",
            hello,
            b"\x17\xfe\xfd",
            b"\x40\x02\x00\x01\xb2rd",
        )
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
            for count in range(3000):
                start = random.choice(starts)
                datagram = bytearray(start + os.urandom(random.randrange(40)))
                if datagram and count % 3 == 0:
                    datagram[random.randrange(len(datagram))] ^= 1 << random.randrange(8)
                s.sendto(datagram, ("127.0.0.1", random.choice(ports)))
                if count % 50 == 0:
                    await asyncio.sleep(0)
            await asyncio.sleep(0.2)
        answers = {("GET", "/3/0/0"): content("Acme", 0, "/3/0/0")}
        async with Client(desk.server, answers=answers) as client:
            await client.register()
            read = await desk.operations.read("dev", "3/0/0", SYNC)
            assert read.values == [("/3/0/0", None, "Acme")]
