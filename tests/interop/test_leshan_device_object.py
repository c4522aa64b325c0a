# OMA cases of the Device object (3), against Leshan's server
# SPDX-License-Identifier: MIT
import time

from leshan import TEXT

VALUES = {
    "/3/0/0": "Maker",
    "/3/0/1": "Model X",
    "/3/0/2": "SN-0042",
    "/3/0/3": "1.2.3",
    "/3/0/6": {0: 1, 1: 5},
    "/3/0/7": {0: 3800, 1: 5000},
    "/3/0/8": {0: 125, 1: 900},
    "/3/0/9": 88,
    "/3/0/14": "+02:00",
    "/3/0/15": "Europe/Berlin",
    "/3/0/17": "sensor",
    "/3/0/18": "rev B",
    "/3/0/19": "4.5.6",
    "/3/0/20": 1,
    "/3/0/21": 64,
}


def flat(values):
    """As the server tells them: a multiple resource is a path for each instance."""
    result = {}
    for path, value in values.items():
        if isinstance(value, dict):
            result.update({f"{path}/{k}": v for k, v in value.items()})
        else:
            result[path] = value
    return result


def test_int_651_check_access_to_the_resources(register):
    device, peer = register(values=VALUES)
    content = peer.read("/3/0").content
    assert content.items() >= flat(VALUES).items()
    assert content["/3/0/10"] > 0
    assert content["/3/0/11/0"] == 0
    assert content["/3/0/16"] in ("U", "UQ")
    for path in VALUES:
        assert peer.read(path).content == flat({path: VALUES[path]})
    for rid in (4, 5, 12):
        assert peer.read(f"/3/0/{rid}").code == "4.05"
        assert peer.coap("PUT", f"/3/0/{rid}", b"1", format=TEXT).code == "4.05"
    for rid in (0, 1, 2, 3, 9, 10, 16, 17, 18, 19, 20, 21):
        assert peer.coap("PUT", f"/3/0/{rid}", b"1", format=TEXT).code == "4.05"
        assert peer.coap("POST", f"/3/0/{rid}").code == "4.05"
    for rid, value in ((14, "+05"), (15, "Asia/Karachi")):
        assert peer.write(f"/3/0/{rid}", value, "TEXT").code == "2.04"
        assert device.get(f"/3/0/{rid}") == value
    assert peer.write("/3/0/13", 1900000000, "TEXT").code == "2.04"
    # The clock goes on from what was written.
    assert 0 <= peer.read("/3/0/13").content["/3/0/13"] - 1900000000 < 5


def test_int_652_querying_the_firmware_version(register):
    device, peer = register(values={"/3/0/3": "1.0.0"})
    for format in ("TEXT", "TLV"):
        assert peer.read("/3/0/3", format).content == {"/3/0/3": "1.0.0"}
    device.set("/3/0/3", "1.0.1")
    assert peer.read("/3/0/3").content == {"/3/0/3": "1.0.1"}


def test_int_655_reboot(register, leshan, endpoint):
    device, peer = register()
    device.hook("on_exec", "/3/0/4")
    assert peer.execute("/3/0/4").code == "2.04"
    device.wait("on_exec")
    # The answer is out before the application is asked, so that it may really reboot.
    device.power_off()
    device.power_on()
    device.new(endpoint, leshan.uri, lifetime=60)
    device.start()
    assert peer.wait("registered").replaced == peer.registered.registration


def test_int_656_factory_reset(register):
    device, peer = register()
    device.hook("on_exec", "/3/0/5")
    assert peer.execute("/3/0/5").code == "2.04"
    assert device.wait("on_exec")["path"] == "/3/0/5"


def test_int_657_error_code(register):
    device, peer = register()
    assert peer.read("/3/0/11").content == {"/3/0/11/0": 0}
    peer.attributes("/3/0/11", pmin=0)
    peer.observe("/3/0/11")
    # 1: low battery, 3: GPS failure
    device.set("/3/0/11", {0: 1, 1: 3})
    assert peer.wait("notification").content == {"/3/0/11/0": 1, "/3/0/11/1": 3}
    assert peer.execute("/3/0/12").code == "2.04"
    assert peer.wait("notification").content == {"/3/0/11/0": 0}
    assert device.get("/3/0/11") == {0: 0}


def test_int_660_basic_observation(register):
    device, peer = register(values={"/3/0/9": 90, "/3/0/7": {0: 3800, 1: 5000}})
    peer.attributes("/3/0", pmin=0, pmax=60)
    assert peer.observe("/3/0/9").content == {"/3/0/9": 90}
    assert peer.observe("/3/0/7").content == {"/3/0/7/0": 3800, "/3/0/7/1": 5000}
    device.set("/3/0/9", 89)
    notified = peer.wait("notification")
    assert (notified.path, notified.content) == ("/3/0/9", {"/3/0/9": 89})
    device.set("/3/0/7", {0: 3790, 1: 5000})
    notified = peer.wait("notification")
    assert (notified.path, notified.content) == ("/3/0/7", {"/3/0/7/0": 3790, "/3/0/7/1": 5000})


def test_int_661_extended_observation(register):
    device, peer = register(values={"/3/0/9": 50})
    assert peer.attributes("/3/0/9", pmin=1, pmax=60, gt=80, lt=20, st=25).code == "2.04"
    peer.observe("/3/0/9")
    device.set("/3/0/9", 60)
    peer.silent("notification", 1.3)
    began = time.monotonic()
    device.set("/3/0/9", 85)
    assert peer.wait("notification").content == {"/3/0/9": 85}
    device.set("/3/0/9", 15)
    assert peer.wait("notification", 3).content == {"/3/0/9": 15}
    assert time.monotonic() - began > 0.8


def test_int_670_create_multiple_resource_instances(register):
    device, peer = register(values={"/3/0/6": {0: 1}})
    # Power sources are the device's to add, and the server sees each.
    device.set("/3/0/6", {0: 1, 1: 5, 2: 7})
    assert peer.read("/3/0/6").content == {"/3/0/6/0": 1, "/3/0/6/1": 5, "/3/0/6/2": 7}
    assert peer.write("/3/0/6", {"3": 4}, "TLV").code == "4.05"
    assert device.get("/3/0/6") == {0: 1, 1: 5, 2: 7}


def test_int_680_create_object_instance(register):
    _, peer = register()
    assert peer.create("/3/1", {"14": "+01"}, "TLV").code == "4.05"
    assert peer.create("/3", {"14": "+01"}, "TLV").code == "4.05"
    assert peer.read("/3").instances == ["/3/0"]


def test_int_685_delete_object_instance(register):
    _, peer = register(values={"/3/0/0": "Maker"})
    assert peer.delete("/3/0").code == "4.05"
    assert peer.read("/3/0/0").content == {"/3/0/0": "Maker"}
