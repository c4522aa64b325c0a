# QuecPython's `lwm2m` object: the client in a thread of its own
# SPDX-License-Identifier: MIT
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


def test_a_reset_beside_register():
    """What waits for the lock while another thread resets the object goes on with the new client."""
    try:
        import _thread
    except ImportError:
        raise Skip("no threads")
    lw, link, out = ready()
    old = lw.client
    done = []

    def register():
        done.append(lw.register())

    with old.lock():
        _thread.start_new_thread(register, ())
        time.sleep_ms(100)
        assert not done
        assert lw.config(lw.Reset, []) == 0
    for _ in range(400):
        if done:
            break
        time.sleep_ms(5)
    # the new client has no server, and the one before does nothing any more
    old.poll(link.ticks())
    old.poll(link.ticks())
    assert done == [-1] and not old.active() and lw.stat() == 0
    assert not link.server.heard
    # an object that is set up anew works
    link = Link(client=lw.client, start=False)
    lw.running = True
    lw.config(lw.Security, [1, 1000, U, 0, 3])
    lw.config(lw.Epnamemode, [1]), lw.config(lw.Epname, ["x"])
    assert lw.register() == 0
    link.until("REGISTRATION_COMPLETE")


def test_many_threads():  # noqa: C901
    """Calls of several threads, the object being reset among them: in the end it does what it was told last."""
    try:
        import _thread
    except ImportError:
        raise Skip("no threads")
    lw = Lwm2m()
    going = [3]
    servers = []

    class Server:
        """Accepts what it is asked: the client's end of it."""

        def __init__(self, host, port):
            servers.append(self)
            self.inbox = []

        def send(self, buf, start, end):
            m = Msg(bytes(memoryview(buf)[start:end]))
            if 0 < m.code < 32:
                code = {POST: 0x41 if m.path() == "/rd" else 0x44, DELETE: 0x42}[m.code]
                where = [(LOCATION, "rd"), (LOCATION, "7")] if code == 0x41 else ()
                self.inbox.append(build(ACK, code, m.mid, m.token, where))

        def recv(self):
            return self.inbox.pop(0) if self.inbox else None

        def close(self):
            servers.remove(self)

    def setup():
        with lw.client.lock():
            lw.client.transport = Server
            lw.client.version = "1.0"
            lw.config(lw.Security, [1, 1000, "coap://server", 0, 3])
            lw.config(lw.Epnamemode, [1])
            lw.config(lw.Epname, ["x"])

    def work(n):
        for k in range(40):
            (setup, lw.register, lw.unregister, lambda: lw.config(lw.Reset, []))[(k + n) % 4]()
            time.sleep_ms(n)
        going[0] -= 1

    for n in range(3):
        _thread.start_new_thread(work, (n,))
    for _ in range(2000):
        if not going[0]:
            break
        time.sleep_ms(5)
    assert not going[0]
    assert lw.config(lw.Reset, []) == 0
    setup()
    for wanted, call in ((2, lw.register), (0, lw.unregister)):
        assert call() == 0
        for _ in range(1000):
            if lw.stat() == wanted:
                break
            time.sleep_ms(5)
        assert lw.stat() == wanted, (wanted, lw.stat())
    for _ in range(400):
        if not lw.running and not servers:
            break
        time.sleep_ms(5)
    assert not lw.running and not servers, (lw.running, servers)
