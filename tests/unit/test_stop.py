# Tests of an application that stops the client from within an event
# SPDX-License-Identifier: MIT
from link import Link


def stopped(event, force):
    link = Link(start=False, lifetime=60)
    c = link.client
    s = link.server
    done = []

    def heard(name, ssid):
        if name == event and not done:
            done.append(1)
            c.stop(force)

    c.event(heard)
    if event in ("REGISTRATION_FAILURE", "NETWORK_ERROR"):
        s.reply = lambda m: (0x83, (), b"")
    c.start()
    link.run(3)
    if event == "REG_TIMEOUT":
        s.reply = lambda m: None if m.path() == "/rd/7" else s.accept(m)
    c.update()
    link.run(3000)
    return done, link


def test_in_any_event():
    for force in (False, True):
        for event in (
            "CONNECT",
            "REGISTRATION",
            "REGISTRATION_COMPLETE",
            "REG_UPDATE",
            "REG_UPDATE_COMPLETE",
            "REG_TIMEOUT",
            "REGISTRATION_FAILURE",
            "NETWORK_ERROR",
        ):
            done, link = stopped(event, force)
            assert done and link.client.stat() == 0 and not link.client.active(), (event, force)
            assert link.names()[-1] in ("DISCONNECT", "DEREGISTER_FAILURE"), (event, link.names())
