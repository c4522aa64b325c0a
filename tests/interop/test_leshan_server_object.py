# OMA cases of the Server object (1), against Leshan's server
# SPDX-License-Identifier: MIT
import time

from leshan import TEXT

VALUE = "/3303/0/5700"


def test_int_551_access_check_to_the_resources(register):
    device, peer = register(lifetime=60, version="1.0")
    content = peer.read("/1/0").content
    assert content.items() >= {"/1/0/1": 60, "/1/0/7": "U"}.items()
    assert 1 <= content["/1/0/0"] <= 65534
    assert {"/1/0/4", "/1/0/8"}.isdisjoint(content)
    for rid in (0, 1, 6, 7):
        assert peer.read(f"/1/0/{rid}").code == "2.05"
    for rid in (4, 8):
        assert peer.read(f"/1/0/{rid}").code == "4.05"
    for rid, value in ((1, 90), (2, 1), (3, 50), (5, 3600), (6, True), (7, "U")):
        assert peer.write(f"/1/0/{rid}", value, "TEXT").code == "2.04"
        assert peer.read(f"/1/0/{rid}").content == {f"/1/0/{rid}": value}
        assert device.get(f"/1/0/{rid}") == value
    assert peer.write("/1/0/0", 7, "TEXT").code == "4.05"
    assert peer.coap("PUT", "/1/0/8", b"1", format=TEXT).code == "4.05"
    assert peer.read("/1/0/0").content["/1/0/0"] == content["/1/0/0"]
    # What came with 1.1 is not there for a 1.0 server.
    assert peer.read("/1/0/23").code == "4.04"


def test_int_555_disable(register):
    device, peer = register()
    assert peer.write("/1/0/5", 2, "TEXT").code == "2.04"
    assert peer.execute("/1/0/4").code == "2.04"
    began = time.monotonic()
    peer.wait("unregistered")
    assert peer.registration() is None
    # It stays away for the disable timeout, and then comes back by itself.
    again = peer.wait("registered", 6)
    assert 1.5 < time.monotonic() - began < 4
    assert again.registration != peer.registered.registration
    device.wait("REGISTRATION_COMPLETE")


def test_int_556_update_registration(register):
    device, peer = register()
    for _ in range(2):
        assert peer.execute("/1/0/8").code == "2.04"
        assert peer.wait("updated").registration == peer.registered.registration
        device.wait("REG_UPDATE_COMPLETE")


def test_int_560_delayed_report_notification(register):
    device, peer = register(values={VALUE: 20.0})
    # The default minimum period of the server, where no attribute says another.
    assert peer.write("/1/0/2", 2, "TEXT").code == "2.04"
    assert peer.observe(VALUE).code == "2.05"
    began = time.monotonic()
    device.set(VALUE, 21.0)
    notified = peer.wait("notification", 4)
    assert 1.5 < time.monotonic() - began < 3
    assert notified.content == {VALUE: 21.0}
    # An attribute goes before the default.
    assert peer.attributes(VALUE, pmin=0).code == "2.04"
    device.set(VALUE, 22.0)
    assert peer.wait("notification", 1).content == {VALUE: 22.0}


def test_int_565_create_object_instance(register):
    device, peer = register()
    before = peer.read("/1").content
    # Accounts come from a bootstrap server alone: Core 1.0.2, 5.2.
    for path in ("/1/5", "/1"):
        answer = peer.create(path, {"0": 99, "1": 3600, "6": False, "7": "U"}, "TLV")
        assert answer.code == "4.05"
    assert peer.read("/1").content == before
    assert device.get("/1/0/1") == 60


def test_int_566_delete_object_instance(register):
    device, peer = register()
    before = peer.read("/1").content
    assert peer.delete("/1/0").code == "4.05"
    assert peer.read("/1").content == before
    assert device.update()
    peer.wait("updated")
