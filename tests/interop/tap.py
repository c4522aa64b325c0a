# A relay before a server: counts DTLS records, loses, doubles and reorders by a seed, injects, changes the client's port
# SPDX-License-Identifier: MIT
"""``Tap`` stands between a client and a server on loopback; every record that passes is kept."""

import collections
import heapq
import random
import select
import socket
import threading
import time

LOCAL = "127.0.0.1"
CLIENT_HELLO, SERVER_HELLO, KEY_EXCHANGE = 1, 2, 16

Record = collections.namedtuple("Record", "up type epoch seq handshake size")


def records(data, cid):
    """(type, epoch, sequence number, type of the handshake message or None, bytes) of each record in a datagram.

    `cid` is the length of the Connection ID in records of type 25 (RFC 9146 4).
    """
    while len(data) > 12:
        at = 11 + (cid if data[0] == 25 else 0)
        size = at + 2 + int.from_bytes(data[at : at + 2], "big")
        epoch = int.from_bytes(data[3:5], "big")
        plain = data[at + 2] if data[0] == 22 and not epoch else None
        yield data[0], epoch, int.from_bytes(data[5:11], "big"), plain, size
        data = data[size:]


class Tap:
    """Relays one client to port `port`.

    cid: length of the Connection ID that the server wants; loss: the part of the datagrams that is lost;
    double: the part that comes twice; delay: up to so many seconds, so that they come out of order. `cut` set
    to True loses all.
    """

    def __init__(self, port, cid=0, loss=0.0, delay=0.0, double=0.0, seed=0):
        self.to = (LOCAL, port)
        self.cid = cid
        self.loss = loss
        self.delay = delay
        self.double = double
        self.random = random.Random(seed)
        self.cut = False
        self.seen = []
        self.lost = self.late = 0
        self.client = None
        self.outer = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.outer.bind((LOCAL, 0))
        self.port = self.outer.getsockname()[1]
        self.inner = None
        self.rebind()
        self.running = True
        self.thread = threading.Thread(target=self._run, daemon=True)

    @property
    def uri(self):
        return f"coaps://{LOCAL}:{self.port}"

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.running = False
        self.thread.join()
        self.outer.close()
        self.inner.close()

    def rebind(self):
        """Go on toward the server from another port, as a NAT that forgot its mapping; the new port."""
        old = self.inner
        self.inner = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.inner.connect(self.to)
        if old:
            old.close()
        return self.inner.getsockname()[1]

    def inject(self, data):
        """Send the client a datagram, as if it came from the server."""
        self.outer.sendto(data, self.client)

    def count(self, handshake, up=True):
        """How many handshake messages of this type went one way; retransmissions count."""
        return sum(each.handshake == handshake and each.up == up for each in self.seen)

    def clear(self):
        """Forget what was seen."""
        self.seen = []

    def _run(self):
        queue = []
        number = latest = 0
        while self.running:
            wait = max(0, queue[0][0] - time.monotonic()) if queue else 0.05
            try:
                ready = select.select([self.outer, self.inner], [], [], min(wait, 0.05))[0]
            except (OSError, ValueError):
                continue  # rebind() closed a socket
            for each in ready:
                try:
                    data, address = each.recvfrom(4096)
                except OSError:
                    continue
                up = each is self.outer
                if up:
                    self.client = address
                self.seen += [Record(up, *r) for r in records(data, self.cid if up else 0)]
                for _ in range(1 + (self.random.random() < self.double)):
                    if self.cut or self.random.random() < self.loss:
                        self.lost += 1
                        continue
                    number += 1
                    at = time.monotonic() + self.random.random() * self.delay
                    heapq.heappush(queue, (at, number, up, data))
            while queue and queue[0][0] <= time.monotonic():
                _, n, up, data = heapq.heappop(queue)
                self.late += n < latest
                latest = max(latest, n)
                try:
                    if up:
                        self.inner.send(data)
                    elif self.client:
                        self.outer.sendto(data, self.client)
                except OSError:
                    pass  # nobody listens
