# Fetching a body block by block (RFC 7959 2.4): over a session with its server, or over a route of its own
# SPDX-License-Identifier: MIT
from .endpoint import Endpoint
from .message import Writer
from .numbers import (
    BLOCK2,
    CON,
    CONTENT,
    GET,
    INTERNAL_SERVER_ERROR,
    MORE_BLOCKS,
    SZX_MASK,
    SZX_RESERVED,
    TIMED_OUT,
    URI_HOST,
    URI_PATH,
    URI_QUERY,
)
from ..port import open_udp, sooner

_SMALLEST = const(4)  # a block has 16 << szx bytes
_INVALID_URI = const(7)  # as transfer.py has it
_MOST_DATAGRAMS = const(16)  # that one poll() takes
_TOO_MANY_REQUESTS = const(0x9D)  # 4.29: later


class Blocks:
    """Fetches transfer.uri block by block over the endpoint `coap`, that of `session`, or that of `route`.

    What comes goes to the transfer: take(), complete(), restart(), lost(), fail()."""

    code = GET
    waiting = False  # a request is out
    yielded = False  # the session's own messages have had their turn

    def __init__(self, transfer, coap, session=None, route=None):
        self.transfer = transfer
        self.coap = coap
        self.session = session
        self.route = route
        self.szx = coap.szx
        address = transfer.uri.split("://", 1)[1].split("#")[0]
        query = address.find("?")
        self.query = ()
        if query >= 0:
            self.query = [unescape(part) for part in address[query + 1 :].split("&")]
            address = address[:query]
        segments = address.split("/")
        self.host = unescape(segments[0].split(":")[0])
        self.path = [unescape(segment) for segment in segments[1:]]
        if self.path == [b""]:
            self.path = ()

    def close(self):
        coap = self.coap
        for exchange in coap.exchanges[:]:
            if exchange.request is self:
                coap.exchanges.remove(exchange)
        if self.route:
            self.route.close()

    # as a Request of blockwise.py

    def write(self, writer, mid, token):
        """Write the request for the next block: the largest that begins where the bytes that are kept end."""
        writer.begin(CON, GET, mid, token)
        if self.route and self.host[:1] != b"[":
            writer.option(URI_HOST, self.host)
        for segment in self.path:
            writer.option(URI_PATH, segment)
        for part in self.query:
            writer.option(URI_QUERY, part)
        offset = self.transfer.offset
        szx = self.szx
        while offset & (16 << szx) - 1 and szx:
            szx -= 1
        writer.option(BLOCK2, offset >> szx + _SMALLEST << 4 | szx)

    def go_on(self, code, block1):
        return False

    def ask(self, now):
        coap = self.coap
        self.waiting = True
        mid = coap.next_mid()
        coap.send_request(
            now, self, coap.token_prefix + bytes((mid >> 8, mid & 255)), self.answered
        )

    def answered(self, code, message):
        """A response, or none."""
        self.waiting = self.yielded = False
        transfer = self.transfer
        if code == CONTENT:
            self.take_block(message)
        elif code < 0 or code >= INTERNAL_SERVER_ERROR or code == _TOO_MANY_REQUESTS:
            transfer.lost()
        elif transfer.offset:
            # no such block: the resource is another by now, or gone
            transfer.restart()
        else:
            transfer.fail(_INVALID_URI)

    def take_block(self, message):
        transfer = self.transfer
        offset = 0
        more = False
        length = message.end - message.start
        if message.block2 >= 0:
            szx = message.block2 & SZX_MASK
            more = message.block2 & MORE_BLOCKS
            offset = message.block2 >> 4 << szx + _SMALLEST
            if szx == SZX_RESERVED or (more and length != 16 << szx):
                transfer.lost()
                return
            self.szx = min(self.szx, szx)
        etag = message.query[0] if message.query else b""
        known = transfer.offset
        if known and etag != transfer.etag:
            # another package, or one that can't be told from another (RFC 7959 2.4)
            if not (etag or transfer.etag) and offset == known:
                pass  # in one go, without a tag: the checks at the end have to do
            elif not transfer.restart() or offset:
                return
        if not transfer.offset:
            transfer.etag = bytes(etag)
            transfer.size = message.size1
        skipped = transfer.offset - offset
        if not 0 <= skipped <= length or (more and skipped == length):
            transfer.lost()
            return
        data = memoryview(message.data)[message.start + skipped : message.end]
        if transfer.take(data) and not more:
            transfer.complete()

    def poll(self, now):
        """Go on; the ms until there may be more to do, or -1."""
        route = self.route
        if route:
            return route.poll(self, now)
        session = self.session
        if session not in self.transfer.client.sessions or session.coap is not self.coap:
            # connected anew, or about to
            self.transfer.lost()
            return 0
        if self.waiting:
            return -1
        if not self.yielded:
            self.yielded = True  # NSTART is 1: a notification that is due goes first
            return 0
        if session.may_send():
            self.ask(now)
        return -1 if self.waiting or self.coap.at_nstart() else 1000


class Route:
    """A way to a server that is none of LwM2M's: a socket, DTLS over it where that is wanted, an endpoint. It is
    what a session is to the DTLS channel."""

    dtls = dtls_session = coap = channel = None
    is_open = False
    failed = False
    ssid = 0

    def __init__(self, transfer, security_iid):
        self.client = transfer.client
        self.ssid = transfer.ssid
        self.security_iid = security_iid

    def open(self, host, port, account, open_secure, now):
        """Open the socket, and with an `account` (the values of an instance of object 0) DTLS; errors are those of
        session/connect.py."""
        client = self.client
        if client.transport:
            socket = client.transport(host, port)
        else:
            socket = open_udp(host, port, client.set_socketoptions, 0)
        self.channel = socket
        try:
            if account:
                self.channel = open_secure(self, account, socket, host)
            elif not client._writer:
                client._writer = Writer(client.max_message_size)
            self.coap = Endpoint(self.channel, client._writer, client._message, self)
        except Exception:
            socket.close()
            raise
        for name, value in client._coap_options.items():
            setattr(self.coap, name, value)
        self.is_open = not account
        if account:
            self.channel.start(now)

    # what Channel and Endpoint ask of a session

    def connected(self, resumed):
        self.is_open = True

    def disconnected(self, cause=None):
        self.failed = True

    def takes_requests(self):
        return False

    def notification_rejected(self, mid):
        pass

    def poll(self, blocks, now):
        transfer = blocks.transfer
        wait = -1
        for _ in range(_MOST_DATAGRAMS):
            datagram = self.channel.recv()
            if datagram is None:
                break
            self.coap.receive(datagram, now, ())
            if transfer.source is not blocks:
                return 0
            if self.is_open and not blocks.waiting:
                blocks.ask(now)
        else:
            wait = 0
        if self.dtls:
            wait = sooner(wait, self.channel.poll(now))
        if self.failed:
            transfer.lost()
            return 0
        if self.is_open and not blocks.waiting:
            blocks.ask(now)
        wait = sooner(wait, self.coap.poll(now))
        return 0 if transfer.source is not blocks else wait

    def close(self):
        self.channel.close()


def unescape(text):
    """The bytes of a part of a URI, with its %xx taken for what they stand for (RFC 7252 6.4); ValueError."""
    data = text.encode()
    if b"%" not in data:
        return data
    parts = data.split(b"%")
    out = parts[0]
    for part in parts[1:]:
        if len(part) < 2:
            raise ValueError
        out += bytes((int(str(part[:2], "ascii"), 16),)) + part[2:]
    return out
