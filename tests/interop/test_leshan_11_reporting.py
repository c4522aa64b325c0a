# OMA 1.1 cases of the information reporting interface, against Leshan's server
# SPDX-License-Identifier: MIT
import contextlib
import time

import pytest
from device import DeviceError
from leshan import SENML_CBOR, SENML_JSON

VALUE = "/3303/0/5700"
PATHS = [VALUE, "/3/0/9"]


@pytest.fixture
def sensor11(register11):
    """A registered device with a temperature and a battery: (device, server's side)."""
    device, peer = register11(values={VALUE: 20.0, "/3/0/9": 90})
    for path in ("/3303", "/3/0/9"):
        peer.attributes(path, pmin=0, pmax=60)
    return device, peer


def unobserved(device):
    deadline = time.monotonic() + 3
    while device.observations() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not device.observations()


def test_int11_301_observation_and_notification(sensor11):
    device, peer = sensor11
    assert peer.attributes(VALUE, pmin=1, pmax=2).code == "2.04"
    assert peer.observe(VALUE, SENML_CBOR).content == {VALUE: 20.0}
    began = time.monotonic()
    device.set(VALUE, 21.5)
    notified = peer.wait("notification")
    assert time.monotonic() - began > 0.8
    assert (notified.format, notified.content) == (SENML_CBOR, {VALUE: 21.5})
    assert peer.wait("notification", 4).content == {VALUE: 21.5}


def test_int11_302_cancel_by_reset(sensor11):
    device, peer = sensor11
    observed = peer.observe(VALUE)
    peer.cancel(observed.observation)
    device.set(VALUE, 22.0)
    unobserved(device)


def test_int11_303_cancel_by_observe(sensor11):
    device, peer = sensor11
    observed = peer.observe(VALUE)
    assert peer.cancel(observed.observation, active=True).code == "2.05"
    assert not device.observations()
    device.set(VALUE, 22.0)
    peer.silent("notification", 0.5)


@pytest.mark.parametrize("format", [SENML_JSON, SENML_CBOR])
def test_int11_304_observe_composite(sensor11, format):
    device, peer = sensor11
    observed = peer.observe_composite(PATHS, pathformat=format, nodeformat=format)
    assert (observed.code, observed.content) == ("2.05", {VALUE: 20.0, "/3/0/9": 90})
    device.set("/3/0/9", 89)
    notified = peer.wait("notification")
    assert (notified.format, notified.content) == (format, {VALUE: 20.0, "/3/0/9": 89})


def test_int11_305_cancel_composite(sensor11):
    device, peer = sensor11
    observed = peer.observe_composite(PATHS)
    assert peer.cancel(observed.observation, active=True).code == "2.05"
    assert not device.observations()
    observed = peer.observe_composite(PATHS)
    peer.cancel(observed.observation)
    device.set("/3/0/9", 88)
    unobserved(device)


def test_int11_306_send(sensor11):
    device, peer = sensor11
    device.send(PATHS)
    sent = peer.wait("send")
    assert sent.content == {VALUE: 20.0, "/3/0/9": 90}
    assert sent.format in (SENML_JSON, SENML_CBOR)
    device.wait("sent")


def test_int11_307_muting_send(sensor11):
    device, peer = sensor11
    assert peer.write("/1/0/23", True, "TEXT").code == "2.04"
    with contextlib.suppress(DeviceError):
        device.send(PATHS)
    peer.silent("send", 0.7)
    assert peer.write("/1/0/23", False, "TEXT").code == "2.04"
    device.send(PATHS)
    assert peer.wait("send").content == {VALUE: 20.0, "/3/0/9": 90}


def test_int11_308_composite_and_create(sensor11):
    device, peer = sensor11
    observed = peer.observe_composite(["/3303", "/3/0/9"])
    assert set(observed.content) >= {VALUE, "/3/0/9"}
    device.create("/3303/5")
    device.set("/3303/5/5700", 1.5)
    while peer.wait("notification").content.get("/3303/5/5700") != 1.5:
        pass


def test_int11_309_composite_and_delete(sensor11):
    device, peer = sensor11
    device.create("/3303/5")
    device.set("/3303/5/5700", 1.5)
    observed = peer.observe_composite(["/3303/5/5700", "/3/0/9"])
    assert observed.content == {"/3303/5/5700": 1.5, "/3/0/9": 90}
    device.delete("/3303/5")
    assert peer.wait("notification").content == {"/3/0/9": 90}


def test_int11_310_composite_and_modification(sensor11):
    device, peer = sensor11
    peer.attributes(VALUE, pmin=1, pmax=60)
    peer.observe_composite(PATHS)
    device.locked([[VALUE, 25.0], ["/3/0/9", 80]])
    assert peer.wait("notification").content == {VALUE: 25.0, "/3/0/9": 80}
    peer.silent("notification", 0.5)


def test_int11_311_send_command(sensor11):
    device, peer = sensor11
    device.send(["/3/0"])
    content = peer.wait("send").content
    assert content["/3/0/9"] == 90
    assert "/3/0/4" not in content
    # What the server wrote is in the next one.
    assert peer.write("/3/0/14", "+08", "TEXT").code == "2.04"
    device.send(["/3/0/14"])
    assert peer.wait("send").content == {"/3/0/14": "+08"}
