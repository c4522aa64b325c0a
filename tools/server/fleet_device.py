# Many clients in one MicroPython process: the device code itself, each with a socket of its own
# SPDX-License-Identifier: MIT
"""micropython fleet_device.py, driven by fleet.py over a JSON object a line.

In comes the one object that says what to run (see `given` below), then "stop" or {"speed": factor}; out go
{"event": name, "client": number, "ms": since the client was started} and, each second, {"counts": ...}.
"""

import binascii
import gc
import json
import select
import socket
import sys
import time

from lwm2m import Client
from lwm2m.model.tables.ipso import TABLE

REGISTERED = "REGISTRATION_COMPLETE"
TOLD = (
    REGISTERED,
    "REGISTRATION_FAILURE",
    "REG_TIMEOUT",
    "DISCONNECT",
    "DEREGISTER_FAILURE",
    "NETWORK_ERROR",
    "CONNECT_FAILURE",
    "SECURE_FAILURE",
    "BOOTSTRAP_REG_FAILURE",
)
SENSOR = "/3303/0"
MTU = 1536
IDLE_MS = 200
COUNTS_MS = 1000
END_MS = 5000


def say(message):
    sys.stdout.write(json.dumps(message) + "\n")


class Channel:
    """A UDP socket of one client; the fleet waits for all of them at once."""

    def __init__(self, fleet, number, host, port):
        self.fleet = fleet
        address = socket.getaddrinfo(host, port)[0]
        self.socket = socket.socket(address[0], socket.SOCK_DGRAM)
        self.socket.connect(address[-1])
        self.socket.setblocking(False)
        fleet.poller.register(self.socket, select.POLLIN)
        self.key = id(self.socket)
        fleet.owners[self.key] = number

    def send(self, buffer, start, end):
        self.fleet.sent += 1
        try:
            self.socket.send(memoryview(buffer)[start:end])
        except OSError:
            pass  # lost, as on the air

    def recv(self):
        try:
            datagram = self.socket.recv(MTU)
        except OSError:
            return None
        self.fleet.received += 1
        return datagram

    def close(self):
        self.fleet.owners.pop(self.key, None)
        self.fleet.poller.unregister(self.socket)
        self.socket.close()


class Fleet:
    """The clients of this process.

    given   first, count: numbers of the clients; name: their endpoints' beginning; uri; lifetime, s; binding;
            version; identity and key, the first with a %d for the number; rate: clients started a second;
            speed: how much faster their clocks go; options: more of Client
    """

    def __init__(self, given):
        self.given = given
        self.poller = select.poll()
        self.owners = {}
        self.clients = []
        self.due = []
        self.began = []
        self.sent = self.received = self.updates = self.failed = 0
        self.base = time.ticks_ms()
        self.speed = given.get("speed", 1)
        self.shift = 0
        gc.collect()
        self.heap = gc.mem_alloc()

    def now(self):
        """The clients' clock: it goes `speed` times as fast as the real one."""
        real = time.ticks_diff(time.ticks_ms(), self.base)
        return time.ticks_add(self.shift, int(real * self.speed))

    def hurry(self, speed):
        self.shift = self.now()
        self.base = time.ticks_ms()
        self.speed = speed

    def add(self):
        """Start the next client."""
        given, number = self.given, len(self.clients)
        name = given["first"] + number
        options = dict(given.get("options", {}))
        for key in ("lifetime", "binding", "version"):
            if given.get(key):
                options[key] = given[key]
        if given.get("key"):
            options["key"] = binascii.unhexlify(given["key"])
        if given.get("identity"):
            options["identity"] = given["identity"].replace("%d", str(name))
        client = Client(
            given["name"] + str(name),
            given["uri"],
            transport=lambda host, port: Channel(self, number, host, port),
            **options,
        )
        client.objects(TABLE)
        client.create(SENSOR)
        client.set(SENSOR + "/5700", 20.0 + name % 10)
        client.event(lambda event, ssid: self.happened(number, event))
        self.clients.append(client)
        self.began.append(time.ticks_ms())
        self.due.append(self.now())
        client.start()

    def happened(self, number, event):
        if event == "REG_UPDATE_COMPLETE":
            self.updates += 1
        if event in TOLD:
            spent = time.ticks_diff(time.ticks_ms(), self.began[number])
            say({"event": event, "client": self.given["first"] + number, "ms": spent})

    def turn(self, number, now):
        try:
            wait = self.clients[number].poll(now)
        except Exception as error:
            # A broken client must not end the others; the host counts it.
            self.failed += 1
            sys.print_exception(error, sys.stderr)
            wait = IDLE_MS
        self.due[number] = None if wait < 0 else time.ticks_add(now, wait)

    def step(self):
        """Whose datagrams have come, whose time it is; then wait a little."""
        now, wait = self.now(), IDLE_MS
        for number in range(len(self.clients)):
            due = self.due[number]
            if due is None:
                continue
            left = time.ticks_diff(due, now)
            if left <= 0:
                self.turn(number, now)
                due = self.due[number]
                left = IDLE_MS if due is None else time.ticks_diff(due, now)
            wait = min(wait, int(left / self.speed) + 1)
        for ready in self.poller.ipoll(max(0, wait)):
            if ready[0] is sys.stdin:
                if self.command(sys.stdin.readline()):
                    return False
            else:
                number = self.owners.get(id(ready[0]))
                if number is not None:
                    self.turn(number, self.now())
        return True

    def command(self, line):
        """True where it is to end."""
        message = json.loads(line) if line.strip() else "stop"
        if message == "stop":
            return True
        self.hurry(message["speed"])
        return False

    def counts(self):
        gc.collect()
        used = (gc.mem_alloc() - self.heap) // max(1, len(self.clients))
        registered = sum(client.stat() == 2 for client in self.clients)
        say(
            {
                "counts": self.given["first"],
                "registered": registered,
                "updates": self.updates,
                "sent": self.sent,
                "received": self.received,
                "failed": self.failed,
                "bytes": used,
            }
        )

    def run(self):
        self.poller.register(sys.stdin, select.POLLIN)
        pause = 1000 / self.given["rate"]
        start = last = time.ticks_ms()
        going = True
        while going:
            now = time.ticks_ms()
            wanted = min(self.given["count"], 1 + int(time.ticks_diff(now, start) / pause))
            if len(self.clients) < wanted:
                self.add()
            if time.ticks_diff(now, last) >= COUNTS_MS:
                last = now
                self.counts()
            going = self.step()
        self.end()

    def end(self):
        """De-register all, for a while; the rest is left to its lifetime."""
        self.poller.unregister(sys.stdin)
        for client in self.clients:
            client.stop()
        limit = time.ticks_add(time.ticks_ms(), END_MS)
        for number in range(len(self.clients)):
            self.due[number] = self.now()
        while any(client.active() for client in self.clients):
            if time.ticks_diff(limit, time.ticks_ms()) < 0:
                break
            self.step()
        self.counts()


Fleet(json.loads(sys.stdin.readline())).run()
