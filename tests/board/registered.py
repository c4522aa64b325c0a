# Heap in use after importing the client, and after registering: runs on 32-bit MicroPython, frozen or not
# SPDX-License-Identifier: MIT
"""Prints lines `name bytes`. The server is in memory: what the client sends is answered on the spot.

The emulated board's own port is test gear and is not counted; the generic one is loaded and counted instead, as
it is on every other board.
"""

import gc
import sys

try:
    import lwm2m_port as board
    import select

    class Stub:
        ticks_ms = board.ticks_ms
        ticks_add = board.ticks_add
        ticks_diff = board.ticks_diff
        urandom = board.urandom

        def localtime(t):
            return (1970, 1, 1, 0, 0, t, 3, 1)

    sys.modules["uos"] = sys.modules["utime"] = sys.modules["usocket"] = Stub
    sys.modules["uselect"] = select
except ImportError:
    board = None


class Wire:
    """A channel whose other end accepts every registration at /rd/0."""

    HEAD = TAIL = 0
    state = 2
    error = 0

    def __init__(self, host, port):
        self.reply = None
        self.inbox = []  # what the server is about to send
        Wire.last = self

    def connect(self, now):
        pass

    def poll(self, now):
        return -1

    def feed(self, datagram, now):
        return datagram

    def send(self, buf, start, end):
        n = buf[start] & 15
        if buf[start + 1] == 2 and not buf[start] & 0x30:
            head = bytearray(buf[start : start + 4 + n])
            head[0] |= 0x20
            # 2.01 with Location-Path rd, 0 to a Register; 2.04 to an Update, which goes to a longer path
            register = b"lwm2m=" in bytes(buf[start:end])
            head[1] = 0x41 if register else 0x44
            self.reply = bytes(head) + (b"\x82rd\x010" if register else b"")

    def recv(self):
        reply, self.reply = self.reply, None
        return reply or (self.inbox.pop() if self.inbox else None)

    def close(self):
        pass


def used():
    """Heap in use once all that is garbage is gone."""
    for _ in range(3):
        gc.collect()
    return gc.mem_alloc()


def register(client, turns=100):
    """Starts a client and polls it until it is registered."""
    client.start()
    while client.stat() != 2:
        client.poll()
        turns -= 1
        if not turns:
            raise OSError("not registered")


def load():
    """The port that a board would have."""
    if board:
        __import__("lwm2m.port.generic")


def report():
    """Through Client, with objects 1 and 3 of the image."""
    base = used()
    from lwm2m import Client

    load()
    print("import", used() - base)
    client = Client("urn:imei:860000000000001", "coap://server.example", transport=Wire)
    register(client)
    print("registered", used() - base)
    return client


def report_object():
    """Through QuecPython's object; the board has no threads, so its client is polled here."""

    class Thread:
        stack_size = start_new_thread = staticmethod(lambda *_: None)

    sys.modules["_thread"] = Thread
    base = used()
    from lwm2m import lwm2m

    load()
    print("import_object", used() - base)
    lw = lwm2m()
    lw.client.transport = Wire
    wrong = lw.config(lw.Security, [1, 1000, "coap://server.example:5683", 0, 3])
    wrong |= lw.config(lw.Server, [1, 300, 1, 60, 86400, 1, "U"])
    wrong |= lw.config(lw.Epnamemode, [1]) | lw.config(lw.Epname, ["860000000000001"])
    wrong |= lw.register()
    while lw.stat() == 1:
        lw.client.poll()
    if wrong or lw.stat() != 2:
        raise OSError("not registered")
    print("object", used() - base)
    return lw


if __name__ == "__main__":
    kept = (report_object if "OBJECT" in globals() else report)()
