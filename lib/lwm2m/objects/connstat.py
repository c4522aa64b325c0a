# Object 7, Connectivity Statistics: what the client's own datagrams amount to while it is collecting
# SPDX-License-Identifier: MIT
from ..model.tree import ON_READ, ON_EXECUTE


_HEADERS = const(28)  # IPv4 and UDP, which a message size includes

# bytes out, bytes in, the largest message, messages: two of them are resources less 2
_LARGEST = const(2)
_COUNT = const(3)
_UNTIL = const(4)  # seconds of the client's clock, None is without end


def setup(client):
    """Make instance 7/0, and count on every channel that the client opens from now on. Tx and Rx data
    (7/0/2, 3) are in KB of 1024 bytes; Execute of 7/0/6 begins, until 7/0/7 or the end of the period 7/0/8 (s)."""
    t = client.tree
    n = [0, 0, 0, 0, 0]

    def count(i, size):
        if n[_UNTIL] is None or client.now_s < n[_UNTIL]:
            size += _HEADERS
            n[i] += size
            n[_LARGEST] = max(n[_LARGEST], size)
            n[_COUNT] += 1

    def meter(c):
        out = c.send
        into = c.recv

        def send(buf, a, b):
            count(0, b - a)
            out(buf, a, b)

        def recv():
            d = into()
            if d:
                count(1, len(d))
            return d

        c.send = send
        c.recv = recv

    def show(path, v):
        r = int(path[-1])
        if r == 4:
            return n[_LARGEST]
        return n[r - 2] >> 10 if r < 4 else (n[0] + n[1]) // (n[_COUNT] or 1)

    def run(path, args):
        n[_UNTIL] = client.now_s
        if path[-1] == "6":
            s = t.get(7, 0, 8)
            n[:] = 0, 0, 0, 0, client.now_s + s if s else None

    t.objects[7] = {0: {0: 0, 1: 0, 8: 0}}
    h = t.hooks.setdefault(7, [])
    for r in range(2, 6):
        h.append((ON_READ, 0, r, show))
    h.append((ON_EXECUTE, 0, 6, run))
    h.append((ON_EXECUTE, 0, 7, run))
    client.meter = meter
