# A session over DTLS: the channel between its endpoint and its socket, the handshake, what outlives both
# SPDX-License-Identifier: MIT
from micropython import const

from .coap import Writer
from .dtls import secured

# states of the session, as in session.py
_ON = const(2)
_LEAVING = const(3)
_CONNECTING = const(6)

# and of DTLS
_CLOSED = const(0)
_OPEN = const(2)
_BROKEN = const(3)


class Channel:
    """What session `s` speaks through: the datagrams of `sock`, sealed and opened by `s.tls`."""

    def __init__(self, s, account, sock, host):
        c = s.client
        self.s = s
        self.sock = sock
        self.tls = s.tls = tls = secured(c, s, account, sock, host)
        self.send = tls.send
        if not c.w or c.w.head < tls.HEAD:
            c.w = Writer(c.size, tls.HEAD, tls.TAIL)

    def start(self, now):
        tls = self.tls
        self.resumed = tls.state == _OPEN or tls.sid
        if tls.state != _OPEN:
            tls.connect(now)

    def recv(self):
        """The next datagram of the application, or None."""
        now = self.s.client.now
        d = None
        while d is None:
            if not self.tls.more:
                d = self.sock.recv()
                if d is None:
                    break
            d = self.tls.feed(d, now)
        return d

    def poll(self, now):
        """See to the handshake, and to the session that depends on it; the ms until the next time, or -1."""
        s = self.s
        tls = self.tls
        wait = tls.poll(now)
        if tls.state in (_CLOSED, _BROKEN):
            if s.state == _ON:
                # the server ended the session: begin another
                s.start()
            elif s.state == _LEAVING:
                s.gone(0, None)
            else:
                s.emit(19)
                s.fail(4)
        elif s.state == _CONNECTING and tls.state == _OPEN:
            s.emit(18)
            if not self.known(now):
                s.ask(now)
        return wait

    def known(self, now):
        """True where the server knows this DTLS session, and so the registration too."""
        s = self.s
        c = s.client
        if s.bootstrap or not self.resumed or self.resumed not in (True, self.tls.sid):
            return False
        if c.load and not s.location:
            from .resume import wake

            wake(s, now)
        if not s.location or c.sec >= s.expires:
            return False
        s.state = _ON
        s.lost()
        s.emit(5)
        return True

    def save(self):
        if self.s.client.save:
            from .resume import keep

            keep(self.s)

    def close(self):
        self.tls.close()
        self.s.kept = self.tls.keep()
        self.sock.close()
