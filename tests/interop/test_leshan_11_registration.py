# OMA 1.1 cases of the bootstrap and the registration interface, against Leshan
# SPDX-License-Identifier: MIT
import pytest
from leshan import LINK, SENML_CBOR, LeshanError
from test_leshan_bootstrap import SSID, account, answers, begin, closed_port


@pytest.fixture
def bootstrapped(power, leshan, bootstrap, endpoint):
    """A device of version 1.1 that the bootstrap server has configured: (device, server's side, its answers)."""

    def start(**config):
        bootstrap.configure(endpoint, **{**account(bootstrap, leshan, 77), **config})
        device = begin(power, bootstrap, endpoint, version="1.1")
        bootstrap.wait("finished", 10, endpoint=endpoint)
        peer = leshan.peer(endpoint)
        peer.registered = peer.wait("registered", 10)
        device.wait("REGISTRATION_COMPLETE")
        return device, peer

    return start


@pytest.mark.parametrize("format", [11542, SENML_CBOR])
def test_int11_0_client_initiated_bootstrap(bootstrapped, bootstrap, endpoint, format):
    device, peer = bootstrapped(format=format)
    assert {code for _, _, code in answers(bootstrap, endpoint)} == {"2.02", "2.04"}
    assert (peer.registered.version, peer.registered.lifetime) == ("1.1", 77)
    assert device.get("/1/0/0") == SSID


def test_int11_4_bootstrap_delete(bootstrapped, bootstrap, endpoint):
    device, peer = bootstrapped(delete=["/"])
    assert answers(bootstrap, endpoint)[0] == ("BootstrapDeleteRequest", "/", "2.02")
    # The bootstrap account and the device object outlive it.
    assert peer.read("/3/0/16").code == "2.05"
    assert peer.read("/1").instances == ["/1/0"]
    assert device.get("/0/0/1") is True


def test_int11_5_server_initiated_bootstrap(bootstrapped, bootstrap, leshan, endpoint):
    _, peer = bootstrapped()
    bootstrap.configure(endpoint, **account(bootstrap, leshan, 90))
    assert peer.execute("/1/0/9").code == "2.04"
    bootstrap.wait("finished", 10, endpoint=endpoint)
    assert peer.wait("registered", 10).lifetime == 90


def test_int11_6_bootstrap_sequence(register11, bootstrap, endpoint):
    # A server that is configured already goes before the bootstrap server.
    device, peer = register11(values={"/0/7/0": bootstrap.uri, "/0/7/1": True, "/0/7/2": 3})
    assert peer.registered.version == "1.1"
    bootstrap.silent("initiated", 0.5, endpoint=endpoint)
    assert device.get("/0/7/0") == bootstrap.uri


def test_int11_7_fallback_to_bootstrap(power, leshan, bootstrap, endpoint):
    bootstrap.configure(endpoint, **account(bootstrap, leshan, 70))
    device = power()
    device.new(
        endpoint,
        f"coap://127.0.0.1:{closed_port()}",
        version="1.1",
        ack_timeout=100,
        max_retransmit=1,
    )
    for path, value in (
        ("/0/7/0", bootstrap.uri),
        ("/0/7/1", True),
        ("/0/7/2", 3),
        ("/1/0/17", 1),
    ):
        device.give(path, value)
    device.start()
    bootstrap.wait("finished", 10, endpoint=endpoint)
    assert leshan.wait("registered", 10, endpoint=endpoint).lifetime == 70


def test_int11_8_bootstrap_read(bootstrapped, bootstrap, endpoint):
    bootstrapped(
        before=[
            {"op": "read", "path": "/1"},
            {"op": "read", "path": "/0"},
            {"op": "discover", "path": "/"},
        ]
    )
    read = [
        code for name, _, code in answers(bootstrap, endpoint) if name == "BootstrapReadRequest"
    ]
    # Keys are not to be had.
    assert read == ["2.05", "4.05"]


def test_int11_101_initial_registration(register11, endpoint):
    _, peer = register11(lifetime=300)
    registered = peer.registered
    assert (registered.endpoint, registered.version, registered.lifetime) == (endpoint, "1.1", 300)
    assert registered.queue is False
    assert {"/1/0", "/3/0"} <= set(registered.instances)
    assert not any(link.path.startswith("/0") for link in registered.links)
    first = peer.messages()[0]
    assert (first.direction, first.type, first.code, first.format) == ("in", "CON", "0.02", LINK)


def test_int11_102_registration_update(register11):
    device, peer = register11()
    device.update()
    updated = peer.wait("updated")
    assert updated.changes == {"lifetime": None, "binding": None, "links": None}
    assert updated.registration == peer.registered.registration


def test_int11_103_deregistration(register11):
    device, peer = register11()
    device.stop()
    assert peer.wait("unregistered").registration == peer.registered.registration
    assert peer.registration() is None


def test_int11_104_registration_update_trigger(register11):
    _, peer = register11()
    assert peer.execute("/1/0/8").code == "2.04"
    assert peer.wait("updated").registration == peer.registered.registration


def test_int11_105_discarded_register_update(register11):
    device, peer = register11()
    peer.forget()
    device.update()
    assert peer.wait("registered").registration != peer.registered.registration


def test_int11_107_extending_the_lifetime(register11):
    device, peer = register11(lifetime=60)
    assert peer.write("/1/0/1", 86400, SENML_CBOR).code == "2.04"
    updated = peer.wait("updated")
    assert (updated.lifetime, updated.changes.lifetime) == (86400, 86400)
    assert device.get("/1/0/1") == 86400


def test_int11_108_turn_on_queue_mode(register11):
    _, peer = register11(binding="UQ")
    assert (peer.registered.binding, peer.registered.queue) == ("U", True)


def test_int11_109_behavior_in_queue_mode(register11):
    device, peer = register11(binding="UQ")
    # The server takes the device to sleep after two seconds without a message.
    peer.wait("sleeping", 5)
    with pytest.raises(LeshanError, match="ClientSleeping"):
        peer.read("/3/0/16")
    peer.take("awake")
    device.update()
    peer.wait("awake")
    assert peer.read("/3/0/16").code == "2.05"
