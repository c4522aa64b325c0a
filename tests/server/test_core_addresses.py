# Which address of this machine devices are told where the server listens on all of them
# SPDX-License-Identifier: MIT
from __future__ import annotations

import socket
from types import SimpleNamespace

import psutil

from tools.server import accounts

V4, V6 = socket.AF_INET, socket.AF_INET6


class NoRoute:
    """A socket of a machine without a route to anywhere."""

    def __init__(self, *_):
        pass

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    def connect(self, _):
        raise OSError(101, "Network is unreachable")


def interfaces(monkeypatch, **found):
    """A machine with these interfaces: name=(is up, address...)."""
    monkeypatch.setattr(accounts.socket, "socket", NoRoute)
    up = {name: SimpleNamespace(isup=isup) for name, (isup, *_) in found.items()}
    monkeypatch.setattr(psutil, "net_if_stats", lambda: up)
    known = {
        name: [SimpleNamespace(family=V6 if ":" in a else V4, address=a) for a in addresses]
        for name, (_, *addresses) in found.items()
    }
    monkeypatch.setattr(psutil, "net_if_addrs", lambda: known)


def test_a_machine_without_a_route_tells_its_interface(monkeypatch):
    interfaces(
        monkeypatch,
        docker0=(False, "172.17.0.1"),
        eth0=(True, "192.168.7.1", "fe80::1%eth0"),
        lo=(True, "127.0.0.1", "::1"),
    )
    assert accounts.host_for("::") == "192.168.7.1"
    assert accounts.own_address(V6) is None


def test_a_machine_without_a_network_is_its_own_loopback(monkeypatch):
    interfaces(monkeypatch, lo=(True, "127.0.0.1", "::1"))
    assert accounts.host_for("0.0.0.0") == "127.0.0.1"


def test_an_address_that_was_chosen_is_told_as_it_is():
    assert accounts.host_for("10.1.2.3") == "10.1.2.3"
