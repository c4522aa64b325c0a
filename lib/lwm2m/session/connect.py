# From a URI and a security mode to an open channel
# SPDX-License-Identifier: MIT
from ..coap.message import Writer
from ..ids import (
    CIPHER_SUITES,
    IDENTITY,
    MODE_CERTIFICATE,
    MODE_NOSEC,
    MODE_PSK,
    SECRET_KEY,
    SECURITY,
    SECURITY_MODE,
    SERVER_KEY,
    SERVER_URI,
)
from ..port import open_udp

_COAP_PORT = const(5683)
_COAPS_PORT = const(5684)
_HIGHEST_PORT = const(65535)

_ACK_TIMEOUT = const(2000)  # ms, Endpoint's default
_HANDSHAKE = const(30)  # a handshake of the native part may take so many times as long


def parse_uri(uri, secure=False):
    """(secure, host, port) of "coap(s)://host[:port]" or "host[:port]"; ValueError where it is none."""
    host = uri
    if "://" in host:
        scheme, host = host.split("://", 1)
        scheme = scheme.lower()
        secure = scheme == "coaps"
        if not secure and scheme != "coap":
            host = ""
    host = host.split("/")[0].split("?")[0]
    port = ""
    colon = host.rfind(":")
    if colon > host.rfind("]"):
        port = host[colon + 1 :]
        host = host[:colon]
    if host[:1] + host[-1:] == "[]":
        # an address of IPv6, perhaps with a zone (RFC 6874)
        host = host[1:-1].replace("%25", "%")
    elif ":" in host or "]" in host:
        host = ""
    number = _COAPS_PORT if secure else _COAP_PORT
    if port:
        number = int(port) if port.isdigit() else 0
    if not host or not 0 < number <= _HIGHEST_PORT:
        raise ValueError("no address: " + uri)
    return secure, host, number


def open_channel(session):
    """What a session sends through: a datagram socket, or DTLS over one, and then `session.dtls` is set.

    OSError where it can't be opened, ValueError or ImportError where the security mode is not to be had."""
    client = session.client
    account = client.tree.objects[SECURITY][session.security_iid]
    mode = account.get(SECURITY_MODE, MODE_NOSEC)
    secure, host, port = parse_uri(str(account[SERVER_URI], "utf8"), mode != MODE_NOSEC)
    if secure and mode == MODE_NOSEC:
        raise ValueError("coaps without a key")
    if client.transport:
        channel = client.transport(host, port)
    else:
        channel = open_udp(host, port, client.set_socketoptions, client.local_port)
    for tap in client.taps:
        tap(channel)
    if mode != MODE_NOSEC:
        try:
            return open_secure(session, account, channel, host)
        except Exception:
            channel.close()
            raise
    if not client._writer:
        client._writer = Writer(client.max_message_size)
    return channel


def open_secure(session, account, socket, host):
    """The channel over open_dtls()."""
    from ..dtls.channel import Channel

    return Channel(session, open_dtls(session, account, socket, host), socket)


def open_dtls(session, account, socket, host):
    """The DTLS connection over `socket`, from the resources of the security instance `account`.

    ValueError where its mode is not supported, ImportError where its part is not in the image."""
    client = session.client
    mode = account.get(SECURITY_MODE)
    identity = account.get(IDENTITY) or b""
    key = account.get(SECRET_KEY) or b""
    if client.load_credentials:
        identity, key = client.load_credentials(session.ssid)
    suites = list((account.get(CIPHER_SUITES) or {}).values())
    timeout = client._coap_options.get("ack_timeout", _ACK_TIMEOUT)
    if mode == MODE_PSK:
        from ..dtls.record import SUITES, Connection

        own = [suite for suite in suites or SUITES[:1] if suite in SUITES]
        if own:
            kept, save = kept_session(session, account[SERVER_URI], identity, key)
            return Connection(socket, identity, key, own, session=kept, timeout=timeout, save=save)
        credentials = {"identity": identity, "key": key}
    elif mode == MODE_CERTIFICATE:
        ca = account.get(SERVER_KEY)
        credentials = {"cert": identity, "private": key, "ca": ca, "name": host}
    else:
        raise ValueError("security mode %d" % mode)
    from ..dtls.native import Native

    try:
        return Native(socket, suites=suites, within=_HANDSHAKE * timeout, **credentials)
    except OSError:
        # not in this MicroPython
        raise ValueError("security mode %d" % mode)


def kept_session(session, uri, identity, key):
    """(what resumes the DTLS session before, or None; save(bytes) for the next, or None)."""
    client = session.client
    name = "dtls%d" % session.security_iid
    # a session is of use with the account that it was made for
    mark = ((hash(uri) ^ hash(identity) ^ hash(key)) & 0xFFFFFF).to_bytes(3, "big")
    kept = session.dtls_session
    if not kept and client.load:
        data = client.load(name)
        if data and data[:3] == mark:
            kept = data[3:]
    return kept, client.save and (lambda data: client.save(name, mark + data))
