# OMA cases of the registration interface, against Leshan's server
# SPDX-License-Identifier: MIT
import pytest
from leshan import LINK, TEXT


def test_int_101_initial_registration(register, endpoint):
    device, peer = register(lifetime=300, version="1.0", binding="U")
    registered = peer.registered
    assert registered.endpoint == endpoint
    assert registered.version == "1.0"
    assert registered.lifetime == 300
    assert registered.binding == "U"
    assert registered.queue is False
    assert {"/1/0", "/3/0"} <= set(registered.instances)
    # The security object is nobody's business.
    assert not any(link.path.startswith("/0") for link in registered.links)
    assert set(registered.formats) >= {11542}
    first = peer.messages()[0]
    assert (first.direction, first.type, first.code, first.format) == ("in", "CON", "0.02", LINK)
    assert peer.registration().registration == registered.registration
    assert device.get("/1/0/1") == 300


def test_registration_under_another_path(register):
    _, peer = register(alternate_path="/lwm2m", version="1.0")
    assert peer.registered.root == "/lwm2m/"
    assert peer.read("/1/0/7").content == {"/1/0/7": "U"}


def test_int_102_registration_update(register):
    device, peer = register(lifetime=60)
    device.update()
    updated = peer.wait("updated")
    assert updated.registration == peer.registered.registration
    # Nothing changed, so nothing is said.
    assert updated.changes == {"lifetime": None, "binding": None, "links": None}
    assert peer.write("/1/0/1", 45, TEXT).code == "2.04"
    updated = peer.wait("updated")
    assert updated.lifetime == 45
    assert updated.changes == {"lifetime": 45, "binding": None, "links": None}
    device.wait("REG_UPDATE_COMPLETE")
    # The application's own change is told, too.
    device.set("/1/0/1", 50)
    assert peer.wait("updated").changes.lifetime == 50


def test_update_tells_new_objects(register):
    device, peer = register(values={"/3303/0/5700": 20.0})
    device.create("/3303/4")
    updated = peer.wait("updated")
    assert "/3303/4" in updated.instances
    assert updated.changes.lifetime is None
    device.delete("/3303/4")
    assert "/3303/4" not in peer.wait("updated").instances


def test_update_keeps_the_registration_alive(register):
    # Short enough to see an update that nobody asked for.
    device, peer = register(lifetime=4)
    peer.wait("updated", 4)
    device.wait("REG_UPDATE_COMPLETE")
    peer.silent("expired", 1)
    assert peer.registration().registration == peer.registered.registration


def test_int_103_deregistration(register, leshan, endpoint):
    device, peer = register()
    device.stop()
    gone = peer.wait("unregistered")
    assert gone.registration == peer.registered.registration
    assert peer.registration() is None
    device.wait("DEREGISTER")
    device.wait("DISCONNECT")
    # Starting again is a new registration.
    device.start()
    assert peer.wait("registered").registration != gone.registration


def test_int_104_registration_update_trigger(register):
    device, peer = register()
    assert peer.execute("/1/0/8").code == "2.04"
    updated = peer.wait("updated")
    assert updated.registration == peer.registered.registration
    device.wait("REG_UPDATE_COMPLETE")


def test_power_cut_registers_anew(register, power, leshan, endpoint):
    device, peer = register()
    device.power_off()
    device.power_on()
    device.new(endpoint, leshan.uri, lifetime=60)
    device.start()
    again = peer.wait("registered")
    assert again.replaced == peer.registered.registration


@pytest.mark.parametrize("binding", ["UQ"])
def test_binding_is_registered(register, binding):
    _, peer = register(binding=binding, version="1.0")
    assert sorted(peer.registered.binding) == sorted(binding)
    assert peer.registered.queue is True


def test_forgotten_registration_is_made_anew(register):
    device, peer = register()
    peer.forget()
    device.update()
    again = peer.wait("registered")
    assert again.registration != peer.registered.registration
    device.wait("REGISTRATION_COMPLETE")
    assert peer.read("/3/0/16").code == "2.05"


def test_server_by_name(register, leshan):
    _, peer = register(uri=f"coap://localhost:{leshan.port}")
    assert peer.read("/3/0/16").code == "2.05"


def test_server_by_ipv6_address(register, leshan):
    if not leshan.port6:
        pytest.skip("no IPv6 here")
    device, peer = register(uri=f"coap://[::1]:{leshan.port6}")
    assert peer.registered.address in ("::1", "0:0:0:0:0:0:0:1")
    assert peer.read("/3/0/16").code == "2.05"
    device.stop()
    peer.wait("unregistered")
