# OMA cases of channel security, against Leshan's servers: DTLS with pre-shared keys
# SPDX-License-Identifier: MIT
import os

import pytest
from leshan import TLV
from test_leshan_bootstrap import SSID

IDENTITY = "interop-"


@pytest.fixture
def secret():
    return os.urandom(16)


def allow(server, endpoint, key):
    """Let the server know the endpoint's key; the identity that goes with it."""
    server.request("security-add", endpoint=endpoint, identity=IDENTITY + endpoint, key=key.hex())
    return IDENTITY + endpoint


@pytest.mark.parametrize("version", ["1.0", "1.1"])
def test_int11_401_psk(register, leshan, endpoint, secret, version):
    identity = allow(leshan, endpoint, secret)
    device, peer = register(
        uri=leshan.secure_uri, identity=identity, key={"hex": secret.hex()}, version=version
    )
    assert (peer.registered.scheme, peer.registered.version) == ("coaps", version)
    assert identity in peer.registered.identity
    assert peer.read("/1/0/7").content == {"/1/0/7": "U"}
    assert peer.write("/3/0/14", "+03", "TEXT").code == "2.04"
    assert device.get("/3/0/14") == "+03"
    # Nobody reads the key over the air.
    assert peer.coap("GET", "/0/0/5").code == "4.01"
    device.update()
    peer.wait("updated")
    device.stop()
    peer.wait("unregistered")


def test_wrong_key_is_kept_out(power, leshan, endpoint, secret):
    identity = allow(leshan, endpoint, secret)
    device = power()
    device.new(endpoint, leshan.secure_uri, identity=identity, key={"hex": bytes(16).hex()})
    device.start()
    # The server does not say that a key is wrong; it falls silent.
    leshan.silent("registered", 1, endpoint=endpoint)
    assert device.stat() == 1
    device.stop(force=True)
    device.set("/0/0/5", secret)
    device.start()
    leshan.wait("registered", endpoint=endpoint)
    device.wait("REGISTRATION_COMPLETE")


def test_int11_1_client_initiated_bootstrap_psk(power, leshan, bootstrap, endpoint, secret):
    key = os.urandom(16)
    bootstrap_identity = allow(bootstrap, endpoint, secret)
    identity = allow(leshan, endpoint, key)
    bootstrap.configure(
        endpoint,
        format=TLV,
        delete=["/0", "/1"],
        security={
            0: {
                "uri": bootstrap.secure_uri,
                "bootstrap": True,
                "mode": "PSK",
                "identity": bootstrap_identity,
                "key": secret.hex(),
            },
            1: {
                "uri": leshan.secure_uri,
                "ssid": SSID,
                "mode": "PSK",
                "identity": identity,
                "key": key.hex(),
            },
        },
        servers={0: {"ssid": SSID, "lifetime": 60}},
    )
    device = power()
    device.new(endpoint, None, version="1.1")
    for rid, value in (
        (0, bootstrap.secure_uri),
        (1, True),
        (2, 0),
        (3, bootstrap_identity.encode()),
        (5, secret),
    ):
        device.set(f"/0/0/{rid}", value)
    device.start(bootstrap=True)
    initiated = bootstrap.wait("initiated", 15, endpoint=endpoint)
    assert initiated.identity == bootstrap_identity
    bootstrap.wait("finished", 10, endpoint=endpoint)
    registered = leshan.wait("registered", 15, endpoint=endpoint)
    assert registered.scheme == "coaps"
    assert identity in registered.identity
