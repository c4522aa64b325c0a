# DTLS handshakes over a bad network: loss, reordering, retransmission, silence
# SPDX-License-Identifier: MIT
from dtls_server import *
from lwm2m.port import ticks_add, ticks_diff


def test_loss_and_reordering():
    worst = 0
    for seed in range(1, 61):
        random = Random(seed)
        sessions = {}
        more = {
            "fragment": 20 + random.below(60),
            "together": 1 + random.below(3),
            "sessions": sessions,
        }
        server = Server(seed=seed, **more)
        c, link = client(seed, timeout=1000)
        for again in range(2):
            now = 1000000
            c.connect(now)
            wire = []
            while c.state == 1:
                for d in link.take():
                    if random.below(10) > 2:
                        wire.append((now + random.below(400), 0, d))
                    if random.below(10) > 8:
                        wire.append((now + random.below(400), 0, d))
                wire.sort()
                due = now + max(0, c.poll(now))
                if link.sent:
                    continue
                if wire and wire[0][0] <= due:
                    now, client_side, d = wire.pop(0)
                    if client_side:
                        c.feed(d, now)
                    else:
                        for r in server.receive(d):
                            if random.below(10) > 2:
                                wire.append((now + random.below(400), 1, r))
                else:
                    now = due
            assert c.state == 2 or c.error < 0, (seed, c.error)
            if c.state == 2:
                worst = max(worst, now - 1000000)
            # 30 % of loss in each direction, and 5 attempts a flight: most get through.
            won[again] += c.state == 2
            server = Server(seed=seed + 100, **more)
    assert won[0] > 45 and won[1] > 45, won


won = [0, 0]


def test_retransmission_backs_off():
    c, link = client(timeout=1000)
    now = ticks_add(0, -3000)  # the clock wraps in between
    times = []
    c.connect(now)
    start = now
    first = link.take()[0]
    while c.state == 1:
        d = c.poll(now)
        assert not link.take() or d > 0
        if c.state != 1:
            break
        now = ticks_add(now, d)
        c.poll(now)
        if c.state == 1:
            (again,) = link.take()
            # the same message under a new record number
            assert again[13:] == first[13:] and again[:11] != first[:11]
            times.append(ticks_diff(now, start))
    assert times == [1000, 3000, 7000, 15000]
    assert (c.state, c.error) == (3, -1)


def test_wrong_key():
    # The server cannot open Finished, and stays silent.
    server = Server(key=b"another key")
    c, link = client()
    c.connect(0)
    now = 0
    for _ in range(10):
        talk(c, link, server, now)
        if c.state != 1:
            break
        now += c.poll(now)
    assert (c.state, c.error) == (3, -2)
