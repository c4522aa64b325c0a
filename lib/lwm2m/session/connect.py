# From a URI and a security mode to an open channel
# SPDX-License-Identifier: MIT
from ..coap.message import Writer
from ..port import open_udp


def parse_uri(uri, secure=False):
    """(secure, host, port) of "coap(s)://host[:port]" or "host[:port]"; ValueError where it is none."""
    s = uri
    if "://" in s:
        scheme, s = s.split("://", 1)
        secure = scheme == "coaps"
        if not secure and scheme != "coap":
            s = ""
    s = s.split("/")[0]
    p = 5684 if secure else 5683
    k = s.rfind(":")
    if k > s.rfind("]"):
        p = int(s[k + 1 :])
        s = s[:k]
    if s[:1] + s[-1:] == "[]":
        s = s[1:-1]
    elif ":" in s:
        s = ""
    if not s or not 0 < p < 65536:
        raise ValueError("no address: " + uri)
    return secure, s, p


def open_channel(s):
    """What session `s` sends through: a datagram socket, or DTLS over one, and then `s.dtls` is set."""
    c = s.client
    d = c.tree.objects[0][s.security_iid]
    mode = d.get(2, 3)
    secure, host, port = parse_uri(str(d[0], "utf8"), mode != 3)
    if secure and mode == 3:
        raise ValueError("coaps without a key")
    if c.transport:
        channel = c.transport(host, port)
    else:
        channel = open_udp(host, port, c.set_socketoptions, c.local_port)
    if c.meter:
        c.meter(channel)
    if mode != 3:
        try:
            from ..dtls.channel import Channel

            channel = Channel(s, open_dtls(c, s, d, channel, host), channel)
        except Exception:
            channel.close()
            raise
    elif not c._writer:
        c._writer = Writer(c.size)
    return channel


def open_dtls(c, s, d, lower, host):
    """The secure channel over `lower` for session `s` of client `c`, from the security instance `d`;
    ValueError where its mode is not supported, ImportError where its part is not in the image."""
    mode = d.get(2)
    identity = d.get(3) or b""
    key = d.get(5) or b""
    if c.load_credentials:
        identity, key = c.load_credentials(s.ssid)
    suites = list((d.get(16) or {}).values())
    timeout = c._coap_options.get("ack_timeout", 2000)
    if mode == 0:
        from ..dtls.record import SUITES, Connection

        own = [x for x in suites or SUITES[:1] if x in SUITES]
        if own:
            name = "dtls%d" % s.security_iid
            # a session is of use with the account that it was made for
            mark = ((hash(d[0]) ^ hash(identity) ^ hash(key)) & 0xFFFFFF).to_bytes(3, "big")
            session = c.load and c.load(name)
            session = s.dtls_session or (session and session[:3] == mark and session[3:])
            save = c.save and (lambda b: c.save(name, mark + b))
            return Connection(
                lower, identity, key, own, session=session, timeout=timeout, save=save
            )
    if mode == 0 or mode == 2:
        from ..dtls.native import Native

        a = {"identity": identity, "key": key}
        if mode:
            a = {"cert": identity, "private": key, "ca": d.get(4), "name": host}
        try:
            return Native(lower, suites=suites, within=30 * timeout, **a)
        except OSError:
            pass  # not in this MicroPython
    raise ValueError("security mode %d" % mode)
