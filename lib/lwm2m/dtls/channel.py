# A session over DTLS: the channel between its endpoint and its socket
# SPDX-License-Identifier: MIT
from ..coap.message import Writer
from .numbers import CLOSED, FAILED, OPEN

_MOST_DATAGRAMS = const(
    16
)  # that are looked at in search of one for the application: more wait for the next poll()


class Channel:
    """What a session speaks through: the datagrams of `socket`, sealed and opened by the connection `dtls`.

    It tells the session of connected(resumed) and disconnected(); what follows is the session's business."""

    connecting = True

    def __init__(self, session, dtls, socket):
        client = session.client
        self.session = session
        self.socket = socket
        self.dtls = session.dtls = dtls
        self.send = dtls.send
        if not client._writer or client._writer.headroom < dtls.HEAD:
            client._writer = Writer(client.max_message_size, dtls.HEAD, dtls.TAIL)

    def start(self, now):
        """Begin a handshake, unless the connection was restored."""
        dtls = self.dtls
        self.restored = dtls.state == OPEN
        self.known_session = dtls.session_id
        if not self.restored:
            dtls.connect(now)

    def recv(self):
        """The next datagram of the application, or None."""
        now = self.session.client.now
        for _ in range(_MOST_DATAGRAMS):
            datagram = None
            if not self.dtls.more:
                datagram = self.socket.recv()
                if datagram is None:
                    break
            plaintext = self.dtls.feed(datagram, now)
            if plaintext is not None:
                return plaintext
        return None

    def poll(self, now):
        """See to the handshake, and tell the session how it ends; the ms until the next time, or -1."""
        dtls = self.dtls
        wait = dtls.poll(now)
        if dtls.state == CLOSED or dtls.state == FAILED:
            self.session.disconnected()
        elif self.connecting and dtls.state == OPEN:
            self.connecting = False
            # the server knows this DTLS session, and so the registration too
            resumed = self.restored or bool(
                self.known_session and self.known_session == dtls.session_id
            )
            self.session.connected(resumed)
        return wait

    def suspend(self):
        """Save what is to outlive a deep sleep: the registration, and then the connection as it is."""
        self.save()
        self.dtls.suspend()

    def save(self):
        if self.session.client.save:
            self.session.save_registration()

    def close(self):
        self.dtls.close()
        self.session.dtls_session = self.dtls.keep()
        self.socket.close()
