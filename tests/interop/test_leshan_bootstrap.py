# OMA cases of the bootstrap interface, against Leshan's bootstrap server and its server
# SPDX-License-Identifier: MIT
import socket

import pytest
from leshan import TLV

SSID = 101


def account(bootstrap, leshan, lifetime=60, **server):
    """A configuration that leaves the bootstrap account and one server's."""
    return {
        "format": TLV,
        "delete": ["/0", "/1"],
        "security": {
            0: {"uri": bootstrap.uri, "bootstrap": True},
            1: {"uri": leshan.uri, "ssid": SSID},
        },
        "servers": {0: {"ssid": SSID, "lifetime": lifetime, **server}},
    }


def begin(power, bootstrap, endpoint, **kw):
    """A device that knows the bootstrap server alone, and has asked it."""
    device = power()
    device.new(endpoint, None, **kw)
    device.set("/0/0/0", bootstrap.uri)
    device.set("/0/0/1", True)
    device.set("/0/0/2", 3)
    device.start(bootstrap=True)
    return device


def closed_port():
    """A UDP port where nobody listens."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as closed:
        closed.bind(("127.0.0.1", 0))
        return closed.getsockname()[1]


def answers(bootstrap, endpoint):
    """What the device answered to each request of the session, in order."""
    return [
        (each.request, each.path, each.code)
        for each in bootstrap.take("response", endpoint=endpoint)
    ]


def test_int_0_client_initiated_bootstrap(power, leshan, bootstrap, endpoint):
    bootstrap.configure(
        endpoint, **account(bootstrap, leshan, 77, pmin=1, pmax=9, disable=5, storing=True)
    )
    device = begin(power, bootstrap, endpoint)
    bootstrap.wait("authorized", 10, endpoint=endpoint)
    bootstrap.wait("finished", 10, endpoint=endpoint)
    assert answers(bootstrap, endpoint) == [
        ("BootstrapDeleteRequest", "/0", "2.02"),
        ("BootstrapDeleteRequest", "/1", "2.02"),
        ("BootstrapWriteRequest", "/0/0", "2.04"),
        ("BootstrapWriteRequest", "/0/1", "2.04"),
        ("BootstrapWriteRequest", "/1/0", "2.04"),
        ("BootstrapFinishRequest", None, "2.04"),
    ]
    registered = leshan.wait("registered", 10, endpoint=endpoint)
    assert registered.lifetime == 77
    device.wait("BOOTSTRAP_TRANSFER_COMPLETE")
    device.wait("REGISTRATION_COMPLETE")
    assert device.get("/1/0/0") == SSID
    peer = leshan.peer(endpoint)
    expected = {0: SSID, 1: 77, 2: 1, 3: 9, 5: 5, 6: True, 7: "U"}
    assert peer.read("/1/0").content == {f"/1/0/{rid}": value for rid, value in expected.items()}


def test_bootstrap_without_configuration_is_told_to_the_application(power, bootstrap, endpoint):
    device = begin(power, bootstrap, endpoint, retry=False)
    bootstrap.wait("no-config", 10, endpoint=endpoint)
    device.wait("BOOTSTRAP_REG_FAILURE", 10)


@pytest.mark.parametrize("missing", ["server", "security"])
def test_inconsistent_bootstrap_is_refused(power, leshan, bootstrap, endpoint, missing):
    config = account(bootstrap, leshan)
    if missing == "server":
        del config["servers"]
    else:
        del config["security"][1]
    bootstrap.configure(endpoint, **config)
    device = begin(power, bootstrap, endpoint, retry=False)
    failed = bootstrap.wait("failed", 10, endpoint=endpoint)
    assert failed.cause == "FINISH_FAILED"
    assert answers(bootstrap, endpoint)[-1] == ("BootstrapFinishRequest", None, "4.06")
    device.wait("BOOTSTRAP_REG_FAILURE", 10)
    leshan.silent("registered", 0.5, endpoint=endpoint)


def test_server_initiated_bootstrap(power, leshan, bootstrap, endpoint):
    bootstrap.configure(endpoint, **account(bootstrap, leshan, 60))
    device = begin(power, bootstrap, endpoint)
    leshan.wait("registered", 10, endpoint=endpoint)
    device.wait("REGISTRATION_COMPLETE")
    peer = leshan.peer(endpoint)
    bootstrap.wait("finished", endpoint=endpoint)
    bootstrap.configure(endpoint, **account(bootstrap, leshan, 90))
    assert peer.execute("/1/0/9").code == "2.04"
    bootstrap.wait("finished", 10, endpoint=endpoint)
    assert leshan.wait("registered", 10, endpoint=endpoint).lifetime == 90


def test_bootstrap_discover_and_read(power, leshan, bootstrap, endpoint):
    config = account(bootstrap, leshan)
    config["before"] = [{"op": "discover", "path": "/"}, {"op": "read", "path": "/1"}]
    bootstrap.configure(endpoint, **config)
    begin(power, bootstrap, endpoint)
    bootstrap.wait("finished", 10, endpoint=endpoint)
    discovered = bootstrap.wait("response", endpoint=endpoint, request="BootstrapDiscoverRequest")
    assert discovered.code == "2.05"
    assert discovered.links[0].startswith("</>;lwm2m=")
    assert any(link.startswith("</3/0>") for link in discovered.links)
    read = bootstrap.wait("response", endpoint=endpoint, request="BootstrapReadRequest")
    assert read.code == "2.05"
    leshan.wait("registered", 10, endpoint=endpoint)


def test_refused_bootstrap_restores_the_account(power, leshan, bootstrap, endpoint):
    bootstrap.configure(endpoint, **account(bootstrap, leshan, 70))
    device = begin(power, bootstrap, endpoint)
    leshan.wait("registered", 10, endpoint=endpoint)
    device.wait("REGISTRATION_COMPLETE")
    config = account(bootstrap, leshan, 80)
    del config["security"][1]
    bootstrap.configure(endpoint, **config)
    device.exec("/1/0/9")
    bootstrap.wait("failed", 10, endpoint=endpoint)
    device.wait("BOOTSTRAP_REG_FAILURE")
    # Back to the server of before, with what was known of it.
    assert leshan.wait("registered", 10, endpoint=endpoint).lifetime == 70
    assert device.get("/1/0/1") == 70


def test_failed_registration_falls_back_to_bootstrap(power, leshan, bootstrap, endpoint):
    bootstrap.configure(endpoint, **account(bootstrap, leshan, 70))
    device = power()
    device.new(endpoint, None, ack_timeout=100, max_retransmit=1)
    device.set("/0/0/0", bootstrap.uri)
    device.set("/0/0/1", True)
    device.set("/0/0/2", 3)
    device.create("/0/1")
    for rid, value in ((0, f"coap://127.0.0.1:{closed_port()}"), (1, False), (2, 3), (10, 9)):
        device.set(f"/0/1/{rid}", value)
    device.create("/1/0")
    for rid, value in ((0, 9), (1, 60), (6, False), (7, "U"), (17, 1)):
        device.set(f"/1/0/{rid}", value)
    device.start()
    device.wait("REG_TIMEOUT", 10)
    bootstrap.wait("finished", 10, endpoint=endpoint)
    assert leshan.wait("registered", 10, endpoint=endpoint).lifetime == 70
    assert device.get("/1/0/0") == SSID
