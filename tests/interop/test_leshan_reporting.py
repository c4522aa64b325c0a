# OMA cases of the information reporting interface, against Leshan's server
# SPDX-License-Identifier: MIT
import time

import pytest
from leshan import TLV

VALUE = "/3303/0/5700"


@pytest.fixture
def sensor(register):
    """A registered device with a temperature sensor at 20 degrees: (device, server's side)."""
    return register(values={VALUE: 20.0})


def test_int_301_observation_and_notification(sensor):
    device, peer = sensor
    assert peer.attributes(VALUE, pmin=1, pmax=2).code == "2.04"
    first = peer.observe(VALUE)
    assert (first.code, first.content) == ("2.05", {VALUE: 20.0})
    began = time.monotonic()
    device.set(VALUE, 21.5)
    device.set(VALUE, 22.5)
    notified = peer.wait("notification")
    # pmin holds the change back, and only the last value goes.
    assert time.monotonic() - began > 0.8
    assert notified.content == {VALUE: 22.5}
    assert notified.observation == first.observation
    # pmax sends it again though nothing has changed.
    again = peer.wait("notification", 4)
    assert 1.5 < time.monotonic() - began < 4.5
    assert again.content == {VALUE: 22.5}
    assert again.coap.observe > notified.coap.observe


def test_observing_an_instance_and_an_object(sensor):
    device, peer = sensor
    peer.attributes("/3303", pmin=0)
    one = peer.observe("/3303/0", TLV)
    whole = peer.observe("/3303", TLV)
    assert one.content[VALUE] == whole.content[VALUE] == 20.0
    device.set(VALUE, 19.0)
    got = {peer.wait("notification").path: 1 for _ in range(2)}
    assert set(got) == {"/3303/0", "/3303"}


def test_locked_values_are_one_notification(sensor):
    device, peer = sensor
    peer.attributes("/3303/0", pmin=0)
    peer.observe("/3303/0", TLV)
    device.locked([[VALUE, 25.0], ["/3303/0/5701", "Cel"]])
    assert (
        peer.wait("notification").content.items() >= {VALUE: 25.0, "/3303/0/5701": "Cel"}.items()
    )
    peer.silent("notification", 0.5)


def test_int_302_cancel_observations_using_reset(sensor):
    device, peer = sensor
    peer.attributes(VALUE, pmin=0)
    observed = peer.observe(VALUE)
    device.set(VALUE, 21.0)
    peer.wait("notification")
    assert device.observations()
    peer.cancel(observed.observation)
    # The server forgot it, so the next notification is answered by a reset.
    device.set(VALUE, 22.0)
    deadline = time.monotonic() + 3
    while device.observations() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not device.observations()
    assert any(m.direction == "out" and m.type == "RST" for m in peer.messages())
    sent = len(peer.messages())
    device.set(VALUE, 23.0)
    peer.silent("notification", 0.5)
    assert len(peer.messages()) == sent


def test_int_303_cancel_observations_using_observe_with_cancel(sensor):
    device, peer = sensor
    peer.attributes(VALUE, pmin=0)
    observed = peer.observe(VALUE)
    device.set(VALUE, 21.0)
    peer.wait("notification")
    answer = peer.cancel(observed.observation, active=True)
    assert (answer.code, answer.content) == ("2.05", {VALUE: 21.0})
    assert not device.observations()
    sent = len(peer.messages())
    device.set(VALUE, 22.0)
    peer.silent("notification", 0.5)
    assert len(peer.messages()) == sent


def test_thresholds_and_step(sensor):
    device, peer = sensor
    peer.attributes(VALUE, pmin=0, gt=30, lt=10)
    peer.observe(VALUE)
    device.set(VALUE, 25.0)
    peer.silent("notification", 0.5)
    device.set(VALUE, 31.0)
    assert peer.wait("notification").content == {VALUE: 31.0}
    device.set(VALUE, 32.0)
    peer.silent("notification", 0.5)
    device.set(VALUE, 5.0)
    assert peer.wait("notification").content[VALUE] == 5.0
    peer.attributes(VALUE, gt=None, lt=None, st=2)
    device.set(VALUE, 6.5)
    peer.silent("notification", 0.5)
    device.set(VALUE, 7.5)
    assert peer.wait("notification").content == {VALUE: 7.5}


def test_new_registration_ends_observations(sensor):
    device, peer = sensor
    peer.observe(VALUE)
    assert device.observations()
    device.stop()
    peer.wait("unregistered")
    device.start()
    peer.wait("registered")
    device.set(VALUE, 30.0)
    assert not device.observations()
    peer.silent("notification", 0.5)


def test_observing_nothing_is_not_found(sensor):
    _, peer = sensor
    assert peer.observe("/3303/9").code == "4.04"
    assert peer.observe("/3/0/4").code == "4.05"


def test_attributes_are_inherited(sensor):
    device, peer = sensor
    # pmax from the object, pmin from the instance.
    peer.attributes("/3303", pmin=1, pmax=1)
    peer.attributes("/3303/0", pmin=0)
    peer.observe(VALUE)
    device.set(VALUE, 21.0)
    assert peer.wait("notification", 2).content == {VALUE: 21.0}
    assert peer.wait("notification", 3).content == {VALUE: 21.0}


def test_notifications_without_confirmation(register):
    device, peer = register(values={VALUE: 20.0}, confirmable=False)
    peer.attributes(VALUE, pmin=0)
    observed = peer.observe(VALUE)
    device.set(VALUE, 21.0)
    notified = peer.wait("notification")
    assert (notified.coap.type, notified.content) == ("NON", {VALUE: 21.0})
    peer.cancel(observed.observation)
    device.set(VALUE, 22.0)
    deadline = time.monotonic() + 3
    while device.observations() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not device.observations()


def test_created_and_deleted_instances_are_told(sensor):
    device, peer = sensor
    peer.attributes("/3303", pmin=0)
    peer.observe("/3303", TLV)
    device.create("/3303/7")
    device.set("/3303/7/5700", 1.5)
    while peer.wait("notification").content.get("/3303/7/5700") != 1.5:
        pass
    device.delete("/3303/7")
    while "/3303/7" in peer.wait("notification").instances:
        pass


def test_observation_of_a_deleted_instance_ends(sensor):
    device, peer = sensor
    peer.attributes("/3303/0", pmin=0)
    peer.observe(VALUE)
    device.delete("/3303/0")
    last = peer.wait("notification")
    assert (last.code, last.success) == ("4.04", False)
    assert not device.observations()


def test_sensor_keeps_its_extremes(sensor):
    device, peer = sensor
    for value in (18.0, 25.0, 22.0):
        device.set(VALUE, value)
    content = peer.read("/3303/0").content
    assert (content["/3303/0/5601"], content["/3303/0/5602"]) == (18.0, 25.0)
    assert peer.execute("/3303/0/5605").code == "2.04"
    content = peer.read("/3303/0").content
    assert (content["/3303/0/5601"], content["/3303/0/5602"]) == (22.0, 22.0)
