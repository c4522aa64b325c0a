# OMA 1.1 cases of device management and service enablement, against Leshan's server
# SPDX-License-Identifier: MIT
import pytest
from leshan import CBOR, JSON, SENML_CBOR, SENML_JSON, TEXT, TLV

DEVICE = {"/3/0/0": "Maker", "/3/0/1": "Model X", "/3/0/2": "SN-0042", "/3/0/3": "1.2.3"}
MULTIPLE = {"/3/0/6": {0: 1, 1: 5}, "/3/0/7": {0: 3800, 1: 5000}}
FLAT = {"/3/0/6/0": 1, "/3/0/6/1": 5, "/3/0/7/0": 3800, "/3/0/7/1": 5000}


def queried(peer, format):
    """Resource, instance and object in one format, each as it must be."""
    for path in ("/3/0/0", "/3/0/6", "/3/0", "/3"):
        answer = peer.read(path, format)
        assert (answer.code, answer.format) == ("2.05", format)
        expected = {k: v for k, v in (DEVICE | FLAT).items() if (k + "/").startswith(path + "/")}
        assert expected and answer.content.items() >= expected.items()


def set_in(device, peer, format):
    """A resource and a part of an instance, written in one format."""
    assert peer.write("/3/0/14", "+03:00", format).code == "2.04"
    assert device.get("/3/0/14") == "+03:00"
    answer = peer.write("/3/0", {"14": "+04:00", "15": "Asia/Dubai"}, format, mode="update")
    assert answer.code == "2.04"
    assert (device.get("/3/0/14"), device.get("/3/0/15")) == ("+04:00", "Asia/Dubai")
    assert peer.write("/1/0/1", 86400, format).code == "2.04"
    assert device.get("/1/0/1") == 86400


@pytest.fixture
def device11(register11):
    """A registered device with all that is asked for here: (device, server's side)."""
    return register11(values=DEVICE | MULTIPLE)


def test_int11_201_querying_in_plain_text(device11):
    _, peer = device11
    for path, value in DEVICE.items():
        answer = peer.read(path, TEXT)
        assert (answer.code, answer.format, answer.content) == ("2.05", TEXT, {path: value})


def test_int11_203_querying_in_tlv(device11):
    queried(device11[1], TLV)


def test_int11_204_querying_in_json(device11):
    queried(device11[1], JSON)


def test_int11_205_setting_in_plain_text(device11):
    device, peer = device11
    assert peer.write("/3/0/14", "+05:30", TEXT).code == "2.04"
    assert device.get("/3/0/14") == "+05:30"


def test_int11_211_querying_in_cbor(device11):
    device, peer = device11
    for path, value in {**DEVICE, "/3/0/11/0": 0, "/1/0/1": 60, "/1/0/6": True}.items():
        answer = peer.read(path, CBOR)
        assert (answer.code, answer.format, answer.content) == ("2.05", CBOR, {path: value})
    # One value a message is all that this format can say.
    assert peer.coap("GET", "/3/0", accept=CBOR).code == "4.06"
    assert device.get("/1/0/1") == 60


def test_int11_212_setting_in_cbor(device11):
    device, peer = device11
    for path, value in {"/3/0/14": "+01:00", "/1/0/2": 300, "/1/0/6": False}.items():
        assert peer.write(path, value, CBOR).code == "2.04"
        assert device.get(path) == value


def test_int11_215_setting_in_tlv(device11):
    set_in(*device11, TLV)


def test_int11_220_setting_in_json(device11):
    set_in(*device11, JSON)


def test_int11_221_operations_on_security(device11):
    _, peer = device11
    for method, path in (
        ("GET", "/0/0"),
        ("GET", "/0/0/0"),
        ("PUT", "/0/0/0"),
        ("DELETE", "/0/0"),
        ("POST", "/0"),
    ):
        answer = peer.coap(method, path, b"x" if method == "PUT" else b"", format=TEXT)
        assert answer.code == "4.01"


def test_int11_222_read_on_object(device11):
    answer = device11[1].read("/1", SENML_CBOR)
    assert (answer.code, answer.kind, answer.instances) == ("2.05", "object", ["/1/0"])
    assert answer.content["/1/0/1"] == 60


def test_int11_223_read_on_instance(device11):
    answer = device11[1].read("/3/0", SENML_CBOR)
    assert (answer.code, answer.kind) == ("2.05", "instance")
    assert answer.content.items() >= (DEVICE | FLAT).items()


def test_int11_224_read_on_resource(device11):
    answer = device11[1].read("/3/0/6", SENML_CBOR)
    assert (answer.code, answer.kind) == ("2.05", "multiple")
    assert answer.content == {"/3/0/6/0": 1, "/3/0/6/1": 5}


@pytest.mark.parametrize("format", [None, TEXT, CBOR, TLV, SENML_JSON, SENML_CBOR])
def test_int11_225_read_on_resource_instance(device11, format):
    _, peer = device11
    answer = peer.read("/3/0/7/1", format)
    assert (answer.code, answer.kind) == ("2.05", "resource-instance")
    assert answer.content == {"/3/0/7/1": 5000}
    assert peer.read("/3/0/7/9", format).code == "4.04"


def test_int11_226_partial_update_of_an_instance(device11):
    device, peer = device11
    before = peer.read("/1/0").content
    answer = peer.write("/1/0", {"1": 120, "2": 5}, SENML_JSON, mode="update")
    assert answer.code == "2.04"
    assert peer.read("/1/0").content == {**before, "/1/0/1": 120, "/1/0/2": 5}
    assert device.get("/1/0/1") == 120


def test_int11_227_replace_of_a_resource(register11, tables):
    device, peer = register11(tables=tables, values={"/3442/0/1120": {0: 1, 1: 2}})
    assert peer.write("/3442/0/1120", {"1": 20, "2": 30}, SENML_CBOR).code == "2.04"
    assert device.get("/3442/0/1120") == {1: 20, 2: 30}


def test_int11_228_write_on_resource_instance(register11, tables):
    device, peer = register11(tables=tables, values={"/3442/0/1120": {0: 1, 1: 2}})
    for format, value in ((TEXT, 7), (CBOR, 8), (SENML_CBOR, 9)):
        assert peer.write("/3442/0/1120/1", value, format).code == "2.04"
        assert device.get("/3442/0/1120") == {0: 1, 1: value}


def read_composite(peer, *paths, **kw):
    answer = peer.read_composite(list(paths), **kw)
    assert answer.code == "2.05"
    return answer.content


def test_int11_229_read_composite(device11):
    _, peer = device11
    for format in (SENML_JSON, SENML_CBOR):
        answer = peer.read_composite(
            ["/3/0/0", "/3/0/7/1", "/1/0"], pathformat=format, nodeformat=format
        )
        assert (answer.code, answer.format) == ("2.05", format)
        assert (
            answer.content.items() >= {"/3/0/0": "Maker", "/3/0/7/1": 5000, "/1/0/1": 60}.items()
        )
        assert "/3/0/7/0" not in answer.content


def test_int11_230_write_composite(device11):
    device, peer = device11
    for format, zone in ((SENML_JSON, "+01"), (SENML_CBOR, "+02")):
        answer = peer.write_composite(
            {"/3/0/14": zone, "/1/0/2": 7, "/1/0/6": False}, nodeformat=format
        )
        assert answer.code == "2.04"
        assert (device.get("/3/0/14"), device.get("/1/0/2"), device.get("/1/0/6")) == (
            zone,
            7,
            False,
        )


def test_int11_231_querying_in_senml_json(device11):
    queried(device11[1], SENML_JSON)


def test_int11_232_querying_in_senml_cbor(device11):
    queried(device11[1], SENML_CBOR)


def test_int11_233_setting_in_senml_cbor(device11):
    set_in(*device11, SENML_CBOR)


def test_int11_234_setting_in_senml_json(device11):
    set_in(*device11, SENML_JSON)


@pytest.mark.parametrize("format", [SENML_JSON, SENML_CBOR])
def test_every_type_in_senml(register11, tables, format):
    values = {
        "/3442/0/110": 'grüß "x"\n',
        "/3442/0/120": -9223372036854775808,
        "/3442/0/125": 18446744073709551615,
        "/3442/0/130": 0.1,
        "/3442/0/140": True,
        "/3442/0/150": bytes(range(256)),
        "/3442/0/160": 1500000000,
        "/3442/0/170": "3:0",
    }
    device, peer = register11(tables=tables, values=values)
    read = peer.read("/3442/0", format)
    expected = {**values, "/3442/0/150": bytes(range(256)).hex()}
    assert read.content == expected
    changed = {
        "110": "x",
        "120": 2**62 + 1,
        "130": -1e300,
        "140": False,
        "150": "00ff",
        "160": -5,
        "170": "65535:65535",
    }
    assert peer.write("/3442/0", changed, format, mode="update").code == "2.04"
    assert (
        peer.read("/3442/0", TLV).content.items()
        >= {f"/3442/0/{k}": v for k, v in changed.items()}.items()
    )
    assert device.get("/3442/0/150") == b"\x00\xff"


def test_int11_235_read_composite_on_root(device11):
    content = read_composite(device11[1], "/")
    assert content.items() >= {**DEVICE, **FLAT, "/1/0/1": 60}.items()
    assert not any(path.startswith("/0/") for path in content)


def test_int11_236_partial_presence(device11):
    content = read_composite(device11[1], "/3/0/0", "/3/0/22", "/77/0/1")
    assert content == {"/3/0/0": "Maker"}


def test_int11_237_read_without_accept(device11):
    _, peer = device11
    answer = peer.read("/3")
    assert (answer.code, answer.format) == ("2.05", TLV)
    assert answer.content.items() >= DEVICE.items()


def test_int11_241_reboot(device11):
    device, peer = device11
    device.hook("on_exec", "/3/0/4")
    assert peer.execute("/3/0/4").code == "2.04"
    device.wait("on_exec")


def test_int11_256_write_failure(device11):
    device, peer = device11
    assert peer.write("/3/0/0", "Other", SENML_CBOR).code == "4.05"
    assert peer.coap("PUT", "/3/0/14", b"\xa1", format=SENML_CBOR).code == "4.00"
    assert device.get("/3/0/0") == "Maker"


def test_int11_257_write_composite_is_all_or_nothing(device11):
    device, peer = device11
    zone = device.get("/3/0/14")
    answer = peer.write_composite({"/3/0/14": "+09", "/3/0/0": "Other"})
    assert answer.code in ("4.00", "4.05")
    assert (device.get("/3/0/14"), device.get("/3/0/0")) == (zone, "Maker")
    # The security object is closed to it, too.
    values = {"/3/0/14": "+09", "/0/0/0": "coap://x"}
    assert peer.write_composite(values, types={"/0/0/0": "STRING"}).code == "4.01"
    assert device.get("/3/0/14") == zone


def test_int11_260_discover(device11):
    _, peer = device11
    assert peer.attributes("/3/0/7", pmin=10, pmax=200).code == "2.04"
    found = {link.path: link.attributes for link in peer.discover("/3").links}
    assert found["/3/0/7"].items() >= {"dim": 2, "pmin": 10, "pmax": 200}.items()
    assert {"/3", "/3/0", "/3/0/0", "/3/0/4", "/3/0/6"} <= set(found)
    assert {link.path for link in peer.discover("/3/0/6").links} == {
        "/3/0/6",
        "/3/0/6/0",
        "/3/0/6/1",
    }


def test_int11_261_attributes_on_a_multiple_resource(device11):
    device, peer = device11
    assert peer.attributes("/3/0/7", pmin=0, pmax=60).code == "2.04"
    assert peer.attributes("/3/0/7/1", gt=5100, lt=4900).code == "2.04"
    found = {link.path: link.attributes for link in peer.discover("/3/0/7").links}
    assert found["/3/0/7/1"].items() >= {"gt": 5100, "lt": 4900}.items()
    peer.observe("/3/0/7/1")
    device.set("/3/0/7/1", 5050)
    peer.silent("notification", 0.5)
    device.set("/3/0/7/1", 5150)
    assert peer.wait("notification").content == {"/3/0/7/1": 5150}


def test_int11_280_successful_read_composite(device11):
    content = read_composite(device11[1], "/3/0/0", "/3/0/1", "/1/0/1")
    assert content == {"/3/0/0": "Maker", "/3/0/1": "Model X", "/1/0/1": 60}


def test_int11_281_partially_successful_read_composite(device11):
    content = read_composite(device11[1], "/3/0/0", "/1/77/1", "/0/0/0", "/3/0/4")
    assert content == {"/3/0/0": "Maker"}


@pytest.fixture
def portfolio(register11):
    """A device with one instance of object 16: (device, server's side)."""
    return register11(values={"/16/0/0": {0: "id", 1: "name", 2: "model", 3: "serial"}})


def test_int11_1630_create_portfolio(portfolio):
    device, peer = portfolio
    answer = peer.create(
        "/16/1", {"0": {"0": "Host Device ID #1", "1": "Host Device Model #1"}}, TLV
    )
    assert answer.code == "2.01"
    assert peer.read("/16/1/0").content == {
        "/16/1/0/0": "Host Device ID #1",
        "/16/1/0/1": "Host Device Model #1",
    }
    assert device.get("/16/1/0") == {0: "Host Device ID #1", 1: "Host Device Model #1"}


def test_int11_1635_delete_portfolio(portfolio):
    device, peer = portfolio
    assert peer.create("/16/1", {"0": {"0": "Host Device ID #1"}}, TLV).code == "2.01"
    assert peer.delete("/16/1").code == "2.02"
    assert peer.read("/16").instances == ["/16/0"]
    assert device.get("/16/0/0")[0] == "id"


@pytest.mark.parametrize("format", [SENML_JSON, SENML_CBOR])
def test_names_under_another_path(register11, format):
    device, peer = register11(values={"/3303/0/5700": 20.0}, alternate_path="/lwm2m")
    assert peer.registered.root == "/lwm2m/"
    assert peer.read("/3303/0/5700", format).content == {"/3303/0/5700": 20.0}
    assert peer.read("/3303", format).content.items() >= {"/3303/0/5700": 20.0}.items()
    assert peer.write("/1/0", {"1": 120, "2": 5}, format, mode="update").code == "2.04"
    assert (device.get("/1/0/1"), device.get("/1/0/2")) == (120, 5)
    paths = ["/3303/0/5700", "/1/0/1"]
    answer = peer.read_composite(paths, pathformat=format, nodeformat=format)
    assert (answer.code, answer.content) == ("2.05", {"/3303/0/5700": 20.0, "/1/0/1": 120})
    assert peer.write_composite({"/3/0/14": "+01", "/1/0/2": 0}, nodeformat=format).code == "2.04"
    assert (device.get("/3/0/14"), device.get("/1/0/2")) == ("+01", 0)
    assert peer.observe("/3303/0/5700", format).content == {"/3303/0/5700": 20.0}
    device.set("/3303/0/5700", 21.5)
    assert peer.wait("notification").content == {"/3303/0/5700": 21.5}
