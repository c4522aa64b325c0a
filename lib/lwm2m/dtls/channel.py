# A session over DTLS: the channel between its endpoint and its socket, the handshake, what outlives both
# SPDX-License-Identifier: MIT
from ..coap.message import Writer

# states of the session, as in session/session.py
_ON = const(2)
_LEAVING = const(3)
_CONNECTING = const(6)

# and of DTLS
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
            c._writer = Writer(c.size, tls.HEAD, tls.TAIL)

    def start(self, now):
        tls = self.dtls
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
        s = self.session
        tls = self.dtls
        wait = tls.poll(now)
        if tls.state == _CLOSED or tls.state == _BROKEN:
            if s.state == _ON:
                # the server ended the session: begin another
                s.start()
            elif s.state == _LEAVING:
                s.deregistered(0, None)
            else:
                s.emit(19)
                s.fail(4)
        elif s.state == _CONNECTING and tls.state == _OPEN:
            s.emit(18)
            if not self.known(now):
                s.register(now)
        return wait

    def known(self, now):
        """True where the server knows this DTLS session, and so the registration too."""
        s = self.session
        c = s.client
        if s.bootstrap or not self.resumed or self.resumed not in (True, self.dtls.sid):
            return False
        if c.load and not s.location:
            s.restore_registration(now)
        if not s.location or c.now_s >= s.expires:
            return False
        s.state = _ON
        s.want_update()
        s.emit(5)
        return True

    def save(self):
        if self.session.client.save:
            self.session.save_registration()

    def close(self):
        self.dtls.close()
        self.session.dtls_session = self.dtls.keep()
        self.socket.close()
