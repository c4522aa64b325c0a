# Datagrams over a stack of one's own, such as the AT commands of a modem
# SPDX-License-Identifier: MIT
from lwm2m.port import module, sys

from lwm2m import Client

# Here a socket plays the modem, so that the program runs anywhere.
socket = module("socket")
sleep_ms = module("time").sleep_ms

SERVER = sys.argv[1] if len(sys.argv) > 1 else "coap://lwm2m.example"
LONGEST = 1536  # bytes of a datagram


class Channel:
    """Datagrams to and from one server; DTLS would go over it too. A new connection makes a new one."""

    def __init__(self, host, port):
        """Open it; an OSError here is CONNECT_FAILURE, and tried again later."""
        address = socket.getaddrinfo(host, port)[0][-1]
        self.modem = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.modem.connect(address)
        self.modem.setblocking(False)
        print("open")

    def send(self, buffer, start, end):
        """buffer[start:end] is one datagram, good for the call; a loss raises nothing, it is sent again."""
        try:
            self.modem.send(memoryview(buffer)[start:end])
        except OSError:
            pass

    def recv(self):
        """The next datagram as bytes, or None at once where there is none."""
        try:
            return self.modem.recv(LONGEST)
        except OSError:
            return None

    def close(self):
        self.modem.close()
        print("closed")


client = Client("own-transport", SERVER, lifetime=3600, transport=Channel)
client.start()
try:
    while client.active():
        # What comes over the channel wakes nobody up: look often enough.
        wait = client.poll()
        sleep_ms(20 if wait < 0 else min(wait, 20))
except KeyboardInterrupt:
    client.stop()
    while client.active():
        client.poll()
        sleep_ms(20)
