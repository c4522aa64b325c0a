# A session over DTLS: the channel between its endpoint and its socket, the handshake, what outlives both
# SPDX-License-Identifier: MIT
from .coap import Writer

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
        if tls.state == _CLOSED or tls.state == _BROKEN:
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
            try:
                from .resume import wake

                wake(s, now)
            except ImportError:
                pass  # DTLS sessions alone are kept in this image
        if not s.location or c.sec >= s.expires:
            return False
        s.state = _ON
        s.lost()
        s.emit(5)
        return True

    def save(self):
        if self.s.client.save:
            try:
                from .resume import keep

                keep(self.s)
            except ImportError:
                pass

    def close(self):
        self.tls.close()
        self.s.kept = self.tls.keep()
        self.sock.close()


def secured(c, s, d, lower, host):
    """The secure channel over `lower` for session `s` of client `c`, from the security instance `d`;
    ValueError where its mode is not supported, ImportError where its part is not in the image."""
    mode = d.get(2)
    identity = d.get(3) or b""
    key = d.get(5) or b""
    if c.load_credentials:
        identity, key = c.load_credentials(s.ssid)
    suites = list((d.get(16) or {}).values())
    timeout = c.coap.get("ack_timeout", 2000)
    if mode == 0:
        from .dtls.record import SUITES, Secure

        own = [x for x in suites or SUITES[:1] if x in SUITES]
        if own:
            name = "dtls%d" % s.sec
            # a session is of use with the account that it was made for
            mark = ((hash(d[0]) ^ hash(identity) ^ hash(key)) & 0xFFFFFF).to_bytes(3, "big")
            session = c.load and c.load(name)
            session = s.kept or (session and session[:3] == mark and session[3:])
            save = c.save and (lambda b: c.save(name, mark + b))
            return Secure(lower, identity, key, own, session=session, timeout=timeout, save=save)
    if mode == 0 or mode == 2:
        from .dtls.native import Native

        a = {"identity": identity, "key": key}
        if mode:
            a = {"cert": identity, "private": key, "ca": d.get(4), "name": host}
        try:
            return Native(lower, suites=suites, within=30 * timeout, **a)
        except OSError:
            pass  # not in this MicroPython
    raise ValueError("security mode %d" % mode)
