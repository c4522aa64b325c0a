# A session over DTLS: the channel between its endpoint and its socket, the handshake, what outlives both
# SPDX-License-Identifier: MIT
from ..coap.message import Writer

# states of DTLS
_CLOSED = const(0)
_OPEN = const(2)
_BROKEN = const(3)


class Channel:
    """What session `s` speaks through: the datagrams of `sock`, sealed and opened by the connection `tls`."""

    def __init__(self, s, tls, sock):
        c = s.client
        self.session = s
        self.socket = sock
        self.dtls = s.dtls = tls
        self.send = tls.send
        if not c._writer or c._writer.headroom < tls.HEAD:
            c._writer = Writer(c.max_message_size, tls.HEAD, tls.TAIL)

    def start(self, now):
        tls = self.dtls
        self.connecting = True
        self.resumed = tls.state == _OPEN or tls.sid
        if tls.state != _OPEN:
            tls.connect(now)

    def recv(self):
        """The next datagram of the application, or None."""
        now = self.session.client.now
        d = None
        while d is None:
            if not self.dtls.more:
                d = self.socket.recv()
                if d is None:
                    break
            d = self.dtls.feed(d, now)
        return d

    def poll(self, now):
        """See to the handshake, and to the session that depends on it; the ms until the next time, or -1."""
        tls = self.dtls
        wait = tls.poll(now)
        if tls.state == _CLOSED or tls.state == _BROKEN:
            self.session.disconnected()
        elif self.connecting and tls.state == _OPEN:
            self.connecting = False
            self.session.connected(bool(self.resumed) and self.resumed in (True, tls.sid))
        return wait

    def save(self):
        if self.session.client.save:
            self.session.save_registration()

    def close(self):
        self.dtls.close()
        self.session.dtls_session = self.dtls.keep()
        self.socket.close()
