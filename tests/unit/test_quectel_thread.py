# QuecPython's `lwm2m` object: the client in a thread of its own
# SPDX-License-Identifier: MIT
import time
from link import *
from quectel import *


def test_in_the_background():
    """The vendor's example, with the client in its own thread."""
    try:
        import _thread
    except ImportError:
        raise Skip("no threads")
    lw = Lwm2m()
    link = Link(client=lw.client, start=False)
    link.peer("server")
    out = []

    def turn(state):
        # the client's thread polls by the real clock; the network's end is here
        for _ in range(2000):
            with lw.client.lock():
                link.deliver()
            if lw.stat() == state:
                return
            time.sleep_ms(2)
        raise AssertionError("stat() is %d" % lw.stat())

    assert lw.config(lw.Security, [1, 1000, "coap://server", 0, 3]) == 0
    assert lw.config(lw.Server, [1, 60, 2, 60, 86400, 1, "U"]) == 0
    assert lw.config(lw.Epnamemode, [1]) == 0 and lw.config(lw.Epname, ["x"]) == 0
    lw.register_call(lambda args: out.append(args))
    start = time.ticks_ms()
    assert lw.register() == 0
    assert time.ticks_diff(time.ticks_ms(), start) < 200
    turn(2)
    assert lw.update(1000) == 0
    for _ in range(500):
        with lw.client.lock():
            link.deliver()
        if '"update","successfully",1000' in texts(out):
            break
        time.sleep_ms(2)
    assert lw.unregister() == 0
    turn(0)
    assert texts(out)[-2:] == ['"update","successfully",1000', '"deregister",1000,0'], texts(out)
    # the thread ends by itself, and there is a new one the next time
    assert lw.register() == 0
    turn(2)
    assert lw.unregister() == 0
    turn(0)
    for _ in range(500):
        if not lw.running:
            return
        time.sleep_ms(2)
    raise AssertionError("the thread runs on")


def test_the_thread_and_exceptions():
    """What c.run() raises is waited out, what ends the thread lets another one begin."""
    try:
        import _thread
    except ImportError:
        raise Skip("no threads")
    lw, link, out = ready()
    lw.running = False
    runs = []
    errors = [ValueError("mine"), SystemExit()]

    def run():
        runs.append(time.ticks_ms())
        if errors:
            raise errors.pop(0)
        while lw.client.active():
            time.sleep_ms(5)

    def wait(n, running):
        for _ in range(400):
            if len(runs) == n and lw.running == running:
                return
            time.sleep_ms(5)
        raise AssertionError((runs, lw.running))

    lw.client.run = run
    assert lw.register() == 0
    wait(2, False)
    assert time.ticks_diff(runs[1], runs[0]) > 900
    assert lw.register() == 0
    wait(3, True)
    lw.client.stop(True)
    wait(3, False)
    assert printed() == [ValueError]
