# Object 7, Connectivity Statistics: what the client's own datagrams amount to while it is collecting
# SPDX-License-Identifier: MIT
from ..ids import (
    AVERAGE_MESSAGE_SIZE,
    COLLECTION_PERIOD,
    CONNECTIVITY_STATISTICS,
    MAX_MESSAGE_SIZE,
    RX_DATA,
    SMS_RX,
    SMS_TX,
    START,
    STOP,
    TX_DATA,
)
from ..model.tree import ON_EXECUTE, ON_READ

_HEADERS = const(28)  # IPv4 and UDP, which a message size includes
_KILOBYTE = const(10)  # a shift


class Statistics:
    """What was counted, in bytes, and until when (seconds of the client's clock; None: without end) more is."""

    out = into = largest = messages = until = 0

    def __init__(self, client):
        self.client = client

    def tap(self, channel):
        """Count what goes through a channel."""
        send = channel.send
        recv = channel.recv

        def send_counted(buf, start, end):
            self.out += self.count(end - start)
            send(buf, start, end)

        def recv_counted():
            data = recv()
            if data:
                self.into += self.count(len(data))
            return data

        channel.send = send_counted
        channel.recv = recv_counted

    def count(self, size):
        """Count a datagram of `size` bytes; what is to be added for it."""
        if self.until is not None and self.client.now_s >= self.until:
            return 0
        size += _HEADERS
        self.largest = max(self.largest, size)
        self.messages += 1
        return size

    def start(self, path, arguments):
        period = self.client.tree.get(CONNECTIVITY_STATISTICS, 0, COLLECTION_PERIOD)
        self.out = self.into = self.largest = self.messages = 0
        self.until = self.client.now_s + period if period else None

    def stop(self, path, arguments):
        self.until = self.client.now_s


def setup(client):
    """Make instance 7/0, and count on every channel that the client opens from now on. Tx and Rx data
    (7/0/2, 3) are in KB of 1024 bytes; Execute of 7/0/6 begins, until 7/0/7 or the end of the period 7/0/8 (s)."""
    tree = client.tree
    counted = Statistics(client)

    def average(path, value):
        return (counted.out + counted.into) // (counted.messages or 1)

    tree.objects[CONNECTIVITY_STATISTICS] = {0: {SMS_TX: 0, SMS_RX: 0, COLLECTION_PERIOD: 0}}
    for kind, rid, function in (
        (ON_READ, TX_DATA, lambda path, value: counted.out >> _KILOBYTE),
        (ON_READ, RX_DATA, lambda path, value: counted.into >> _KILOBYTE),
        (ON_READ, MAX_MESSAGE_SIZE, lambda path, value: counted.largest),
        (ON_READ, AVERAGE_MESSAGE_SIZE, average),
        (ON_EXECUTE, START, counted.start),
        (ON_EXECUTE, STOP, counted.stop),
    ):
        tree.add_hook(kind, CONNECTIVITY_STATISTICS, 0, rid, function)
    client.taps.append(counted.tap)
