# OMA cases of device management and service enablement, against Leshan's server
# SPDX-License-Identifier: MIT
from concurrent.futures import ThreadPoolExecutor

import pytest
from leshan import OPAQUE, TEXT, TLV

DEVICE = {"/3/0/0": "Maker", "/3/0/1": "Model X", "/3/0/2": "SN-0042", "/3/0/3": "1.2.3"}


def by_path(links):
    """{path: attributes} of a Discover."""
    return {link.path: link.attributes for link in links}


def test_int_201_querying_basic_information_in_plain_text(register):
    _, peer = register(values=DEVICE)
    for path, value in DEVICE.items():
        answer = peer.read(path, "TEXT")
        assert (answer.code, answer.format, answer.content) == ("2.05", TEXT, {path: value})
        assert bytes.fromhex(answer.coap.payload) == value.encode()


def test_plain_text_of_every_type(register, tables):
    _, peer = register(
        tables=tables,
        values={
            "/3442/0/110": "grüß",
            "/3442/0/120": -9223372036854775808,
            "/3442/0/125": 18446744073709551615,
            "/3442/0/130": 0.1,
            "/3442/0/140": True,
            "/3442/0/150": b"\x00\xff\x10",
            "/3442/0/160": 1500000000,
            "/3442/0/170": "3:0",
        },
    )
    texts = {
        110: "grüß",
        120: "-9223372036854775808",
        125: "18446744073709551615",
        140: "1",
        150: "AP8Q",
        160: "1500000000",
        170: "3:0",
    }
    for rid, text in texts.items():
        answer = peer.read(f"/3442/0/{rid}", "TEXT")
        assert answer.code == "2.05"
        assert bytes.fromhex(answer.coap.payload) == text.encode()
    assert peer.read("/3442/0/130", "TEXT").content == {"/3442/0/130": 0.1}


def test_int_202_querying_basic_information_in_opaque(register, tables):
    blob = bytes(range(256))
    _, peer = register(tables=tables, values={"/3442/0/150": blob})
    answer = peer.read("/3442/0/150", "OPAQUE")
    assert (answer.code, answer.format) == ("2.05", OPAQUE)
    assert bytes.fromhex(answer.content["/3442/0/150"]) == blob
    # Only opaque resources have this format.
    assert peer.coap("GET", "/3/0/16", accept=OPAQUE).code == "4.06"


def test_int_203_querying_basic_information_in_tlv(register):
    device, peer = register(values={**DEVICE, "/3/0/6": {0: 1, 1: 5}, "/3/0/9": 88})
    instance = peer.read("/3/0", "TLV")
    assert (instance.code, instance.format, instance.kind) == ("2.05", TLV, "instance")
    assert (
        instance.content.items() >= {**DEVICE, "/3/0/6/0": 1, "/3/0/6/1": 5, "/3/0/9": 88}.items()
    )
    assert "/3/0/4" not in instance.content
    whole = peer.read("/3", "TLV")
    assert (whole.code, whole.kind, whole.instances) == ("2.05", "object", ["/3/0"])
    # Free memory and the clock may differ between the two.
    moving = {"/3/0/10": 0, "/3/0/13": 0}
    assert {**whole.content, **moving} == {**instance.content, **moving}
    single = peer.read("/3/0/0", "TLV")
    assert single.content == {"/3/0/0": "Maker"}
    multiple = peer.read("/3/0/6", "TLV")
    assert (multiple.kind, multiple.content) == ("multiple", {"/3/0/6/0": 1, "/3/0/6/1": 5})
    assert device.get("/3/0/6") == {0: 1, 1: 5}


def test_read_without_accept_is_tlv(register):
    _, peer = register(version="1.0", values=DEVICE)
    for path in ("/3/0/0", "/3/0", "/3"):
        assert peer.read(path).format == TLV


def test_int_205_setting_basic_information_in_plain_text(register):
    device, peer = register()
    device.hook("on_write", "/3/0/14")
    assert peer.write("/3/0/14", "+05:30", "TEXT").code == "2.04"
    assert device.wait("on_write")["args"] == ["+05:30"]
    assert device.get("/3/0/14") == "+05:30"
    assert peer.read("/3/0/14", "TEXT").content == {"/3/0/14": "+05:30"}
    assert peer.write("/3/0/15", "Asia/Kolkata", "TEXT").code == "2.04"
    assert device.get("/3/0/15") == "Asia/Kolkata"
    assert peer.write("/1/0/6", False, "TEXT").code == "2.04"
    assert device.get("/1/0/6") is False
    assert peer.write("/1/0/2", 3, "TEXT").code == "2.04"
    assert peer.read("/1/0/2").content == {"/1/0/2": 3}
    # No number, and nothing changes.
    assert peer.coap("PUT", "/1/0/2", b"three", format=TEXT).code == "4.00"
    assert device.get("/1/0/2") == 3


def test_int_210_setting_basic_information_in_opaque(register, tables):
    device, peer = register(tables=tables, values={"/3442/0/150": b"old"})
    blob = bytes(range(200))
    assert peer.write("/3442/0/150", blob.hex(), "OPAQUE").code == "2.04"
    assert device.get("/3442/0/150") == blob
    assert peer.coap("PUT", "/3/0/14", b"\x01", format=OPAQUE).code in ("4.00", "4.15")


def test_int_215_setting_basic_information_in_tlv(register):
    device, peer = register(values={"/3/0/14": "+01", "/3/0/15": "Europe/Paris"})
    assert peer.write("/3/0/14", "+02", "TLV").code == "2.04"
    assert peer.write("/3/0", {"15": "Africa/Cairo"}, "TLV", mode="update").code == "2.04"
    assert (device.get("/3/0/14"), device.get("/3/0/15")) == ("+02", "Africa/Cairo")
    # Zephyr writes a lifetime in one byte, EMQX 128 as 80: every width is a number.
    assert (
        peer.write("/1/0", {"1": 128, "2": 2, "3": 70000, "6": True}, "TLV", mode="update").code
        == "2.04"
    )
    assert (
        peer.read("/1/0").content.items()
        >= {"/1/0/1": 128, "/1/0/2": 2, "/1/0/3": 70000, "/1/0/6": True}.items()
    )
    assert peer.coap("PUT", "/1/0/1", b"\xc1\x01\x80", format=TLV).code == "2.04"
    assert device.get("/1/0/1") == 128


def test_replacing_an_instance_takes_the_rest_away(register, tables):
    device, peer = register(tables=tables, values={"/3442/0/110": "a", "/3442/0/120": 1})
    assert peer.write("/3442/0", {"110": "b"}, "TLV", mode="replace").code == "2.04"
    assert device.get("/3442/0/110") == "b"
    assert "/3442/0/120" not in peer.read("/3442/0").content


def test_refused_write_changes_nothing(register):
    device, peer = register(values={"/3/0/14": "+01", "/3/0/15": "Europe/Paris"})
    # The second resource is read-only, so the first one must keep its value.
    payload = b"\xc3\x0e+02" + b"\xc1\x00x"
    assert peer.coap("POST", "/3/0", payload, format=TLV).code in ("4.00", "4.05")
    assert device.get("/3/0/14") == "+01"
    device.hook("validate", "/3/0/15", False)
    assert peer.write("/3/0", {"14": "+03", "15": "No/Where"}, "TLV", mode="update").code == "4.00"
    assert (device.get("/3/0/14"), device.get("/3/0/15")) == ("+01", "Europe/Paris")


def test_int_241_rebooting_the_device(register):
    device, peer = register()
    device.hook("on_exec", "/3/0/4")
    assert peer.execute("/3/0/4").code == "2.04"
    assert device.wait("on_exec")["path"] == "/3/0/4"


def test_execute_arguments(register, tables):
    device, peer = register(tables=tables, values={"/3442/0/110": "a"})
    device.hook("on_exec", "/3442/0/0")
    assert peer.execute("/3442/0/0", "0='abc',3").code == "2.04"
    assert device.wait("on_exec")["args"] == [b"0='abc',3"]
    # The application's refusal is the answer.
    device.hook("on_exec", "/3442/0/0", 0x83)
    assert peer.execute("/3442/0/0").code == "4.03"


def test_int_260_discover_command(register):
    device, peer = register(values={**DEVICE, "/3/0/6": {0: 1, 1: 5}, "/3/0/9": 50})
    found = by_path(peer.discover("/3").links)
    assert {"/3", "/3/0", "/3/0/0", "/3/0/4", "/3/0/9", "/3/0/16"} <= set(found)
    assert found["/3/0/6"]["dim"] == 2
    assert peer.attributes("/3", pmin=10).code == "2.04"
    assert peer.attributes("/3/0", pmax=60).code == "2.04"
    assert peer.attributes("/3/0/9", gt=20, lt=10, st=2.5).code == "2.04"
    found = by_path(peer.discover("/3").links)
    assert found["/3"]["pmin"] == 10
    assert "/3/0/9" in found
    found = by_path(peer.discover("/3/0").links)
    assert found["/3/0"]["pmax"] == 60
    assert found["/3/0/9"].items() >= {"gt": 20, "lt": 10, "st": 2.5}.items()
    found = by_path(peer.discover("/3/0/9").links)
    assert found["/3/0/9"].items() >= {"gt": 20, "lt": 10, "st": 2.5}.items()
    assert peer.attributes("/3/0/9", gt=None).code == "2.04"
    assert "gt" not in by_path(peer.discover("/3/0/9").links)["/3/0/9"]
    assert peer.discover("/77").code == "4.04"
    assert device.get("/3/0/9") == 50


@pytest.mark.parametrize(
    ("path", "query"),
    [
        ("/3/0/0", ["gt=5"]),  # a string has no order
        ("/3/0/9", ["pmin=x"]),
        ("/3/0/9", ["lt=50", "gt=40", "st=10"]),  # lt + 2 st must be below gt
        ("/3/0/9", ["colour=red"]),
    ],
)
def test_invalid_attributes_are_refused(register, path, query):
    _, peer = register(values={"/3/0/0": "Maker", "/3/0/9": 50})
    assert peer.coap("PUT", path, query=query).code == "4.00"
    assert not by_path(peer.discover(path).links)[path]


def test_int_270_create_object_instance(register, tables):
    device, peer = register(tables=tables, values={"/3442/0/110": "a"})
    answer = peer.create("/3442/5", {"110": "five", "120": 5}, "TLV")
    assert answer.code == "2.01"
    assert peer.read("/3442/5").content == {"/3442/5/110": "five", "/3442/5/120": 5}
    # Without an id the device chooses one, and tells it.
    answer = peer.create("/3442", {"110": "any"}, "TLV")
    assert answer.code == "2.01"
    created = "/" + answer.location.strip("/")
    assert created not in ("/3442/0", "/3442/5")
    assert peer.read(created).content == {f"{created}/110": "any"}
    assert device.get(f"{created}/110") == "any"
    assert peer.create("/3442/5", {"110": "again"}, "TLV").code == "4.00"
    assert peer.read("/3442/5/110").content == {"/3442/5/110": "five"}


def test_create_is_told_in_an_update(register, tables):
    _, peer = register(tables=tables, values={"/3442/0/110": "a"})
    assert peer.create("/3442/5", {"110": "five"}, "TLV").code == "2.01"
    assert "/3442/5" in peer.wait("updated").instances


def test_int_271_create_multiple_resource_instance(register, tables):
    device, peer = register(tables=tables, values={"/3442/0/1110": {0: "zero"}})
    assert (
        peer.create("/3442/2", {"1110": {"0": "a", "3": "b"}, "1120": {"1": 7}}, "TLV").code
        == "2.01"
    )
    assert peer.read("/3442/2").content == {
        "/3442/2/1110/0": "a",
        "/3442/2/1110/3": "b",
        "/3442/2/1120/1": 7,
    }
    # Replace: only what is written stays.
    assert peer.write("/3442/0/1110", {"1": "one", "2": "two"}, "TLV").code == "2.04"
    assert device.get("/3442/0/1110") == {1: "one", 2: "two"}
    assert peer.read("/3442/0/1110").content == {"/3442/0/1110/1": "one", "/3442/0/1110/2": "two"}
    assert by_path(peer.discover("/3442/0/1110").links)["/3442/0/1110"]["dim"] == 2


def test_int_290_delete_object_instance(register, tables):
    device, peer = register(tables=tables, values={"/3442/0/110": "a", "/3442/1/110": "b"})
    assert peer.delete("/3442/1").code == "2.02"
    assert peer.read("/3442/1").code == "4.04"
    assert peer.read("/3442").instances == ["/3442/0"]
    assert peer.delete("/3442/1").code == "4.04"
    assert "/3442/1" not in peer.wait("updated").instances
    assert device.get("/3442/0/110") == "a"


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/0"),
        ("GET", "/0/0"),
        ("GET", "/0/0/0"),
        ("PUT", "/0/0/0"),
        ("POST", "/0"),
        ("POST", "/0/0"),
        ("DELETE", "/0/0"),
        ("DELETE", "/0"),
    ],
)
def test_security_object_is_closed(register, method, path):
    _, peer = register()
    assert (
        peer.coap(method, path, b"x" if method in ("PUT", "POST") else b"", format=TEXT).code
        == "4.01"
    )


def test_every_wrong_request_has_its_code(register):
    _, peer = register(values=DEVICE)
    codes = {
        ("GET", "/77/0"): "4.04",
        ("GET", "/3/1"): "4.04",
        ("GET", "/3/0/77"): "4.04",
        ("GET", "/3/0/4"): "4.05",
        ("GET", "/3/0/x"): "4.04",
        ("GET", "/nothing"): "4.04",
        ("PUT", "/3/0/0"): "4.05",
        ("PUT", "/3/0/4"): "4.05",
        ("POST", "/3/0/0"): "4.05",
        ("POST", "/3/0/77"): "4.04",
        ("DELETE", "/3/0/0"): "4.05",
        ("DELETE", "/77/0"): "4.04",
    }
    got = {
        (method, path): peer.coap(
            method,
            path,
            b"x" if method == "PUT" else b"",
            **({"format": TEXT} if method == "PUT" else {}),
        ).code
        for method, path in codes
    }
    assert {k: v for k, v in got.items() if v != codes[k]} == {}
    assert peer.coap("GET", "/3/0/0", accept=9999).code == "4.06"
    assert peer.coap("PUT", "/3/0/14", b"x", format=9999).code == "4.15"
    # An unknown critical option (2049 is odd), and an elective one.
    assert peer.coap("GET", "/3/0/0", options=[[2049, "01"]]).code == "4.02"
    assert peer.coap("GET", "/3/0/0", options=[[2050, "01"]]).code == "2.05"


def test_ping_is_reset(register):
    _, peer = register()
    assert peer.ping() is True


def test_block_wise_read_and_write(register, tables):
    blob = bytes(i * 7 & 255 for i in range(4096))
    device, peer = register(tables=tables, values={"/3442/0/150": blob})
    assert bytes.fromhex(peer.read("/3442/0/150", "OPAQUE").content["/3442/0/150"]) == blob
    assert peer.read("/3442/0").content["/3442/0/150"] == blob.hex()
    written = bytes(i * 11 & 255 for i in range(5000))
    assert peer.write("/3442/0/150", written.hex(), "OPAQUE").code == "2.04"
    assert device.get("/3442/0/150") == written


def test_small_blocks(register, tables):
    _, peer = register(tables=tables, values={"/3442/0/150": bytes(range(100))})
    # 16 bytes, because the server says so.
    answer = peer.coap("GET", "/3442/0/150", block2=0, accept=OPAQUE)
    assert answer.code == "2.05"
    assert bytes.fromhex(answer.payload) == bytes(range(100))
    blocks = [m for m in peer.messages() if m.direction == "in" and m.code == "2.05"]
    assert [len(m.payload) // 2 for m in blocks] == [16] * 6 + [4]


def test_block_wise_transfers_do_not_mix(register, tables):
    blobs = {
        f"/3442/{i}/150": bytes((j * (2 * i + 3)) & 255 for j in range(3000)) for i in range(3)
    }
    device, peer = register(tables=tables, values=blobs)
    new = bytes(j * 13 & 255 for j in range(3000))
    with ThreadPoolExecutor(4) as pool:
        reads = [pool.submit(peer.read, path, "OPAQUE", timeout=20) for path in list(blobs)[:2]]
        write = pool.submit(peer.write, "/3442/2/150", new.hex(), "OPAQUE", timeout=20)
        for path, read in zip(blobs, reads, strict=False):
            assert bytes.fromhex(read.result().content[path]) == blobs[path]
        assert write.result().code == "2.04"
    assert device.get("/3442/2/150") == new


def test_separate_responses(register):
    device, peer = register()
    device.hook("on_read", "/3/0/0", "LATER")
    device.hook("on_exec", "/3/0/4", "LATER")
    with ThreadPoolExecutor(1) as pool:
        read = pool.submit(peer.coap, "GET", "/3/0/0", accept=TEXT, timeout=10)
        device.wait("on_read")
        device.answer("/3/0/0", "Slow Maker")
        answer = read.result()
        assert (answer.code, answer.type) == ("2.05", "CON")
        assert bytes.fromhex(answer.payload) == b"Slow Maker"
        execute = pool.submit(peer.coap, "POST", "/3/0/4", timeout=10)
        device.wait("on_exec")
        device.answer("/3/0/4")
        answer = execute.result()
        assert (answer.code, answer.type) == ("2.04", "CON")
    # Each request was acknowledged on its own, before the response.
    empty = [m for m in peer.messages() if (m.direction, m.type, m.code) == ("in", "ACK", "0.00")]
    assert len(empty) == 2


def test_value_of_a_function(register):
    device, peer = register()
    device.hook("on_read", "/3/0/9", 42)
    device.set("/3/0/9", 1)
    assert peer.read("/3/0/9").content == {"/3/0/9": 42}
    assert device.wait("on_read")["args"] == [1]
    assert peer.read("/3/0").content["/3/0/9"] == 42
