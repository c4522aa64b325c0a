# Fetching a package over HTTP and HTTPS (RFC 9110): one request an attempt, from where the attempt before ended
# SPDX-License-Identifier: MIT
from .port import module, sys

_socket = module("socket")
_select = module("select")
try:
    tls = module("tls")
except ImportError:
    try:
        tls = module("ssl")
    except ImportError:
        tls = None
if not hasattr(tls, "SSLContext"):
    tls = None  # nothing that can check a certificate

_PIECE = const(512)  # bytes that are read at a time
_MOST_PIECES = const(8)  # that one poll() takes
_LONGEST_LINE = const(1024)
_MOST_LINES = const(64)  # of a response's head
_MOST_REDIRECTS = const(5)
_PATIENCE = const(30)  # seconds without a byte
_LOOK = const(20)  # ms between two looks at a socket that the platform's poll() does not know of

_OK = const(200)
_PARTIAL = const(206)
_RANGE_NOT_SATISFIABLE = const(416)
_REDIRECTS = (301, 302, 303, 307, 308)
_LATER = (408, 425, 429)  # and all of 5xx
_INVALID_URI = const(7)  # as transfer.py has it


class Fetch:
    """One attempt to fetch transfer.uri. What comes goes to the transfer: take(), complete(), restart(), lost(), fail().

    `address` is the URI behind its "://". ImportError where it is https, and nothing here can check the server."""

    socket = stream = None
    status = 0
    redirects = 0
    head = b""  # what has come of a line of the response's head
    lines = 0
    length = -1  # of the body to come

    def __init__(self, transfer, secure, address):
        self.transfer = transfer
        self.open(secure, address)

    def open(self, secure, address):
        transfer = self.transfer
        if secure and (not tls or transfer.ca is None):
            raise ImportError("https")
        self.secure = secure
        host, path = split_address(address)
        self.host = host
        name, port = split_host(host, 443 if secure else 80)
        self.name = name
        self.status = self.lines = 0
        self.head = b""
        self.length = -1
        self.etag = b""
        self.location = None
        self.first = 0
        self.total = -1
        request = b"GET %s HTTP/1.0\r\nHost: %s\r\nConnection: close\r\n" % (
            path.encode(),
            host.encode(),
        )
        if transfer.offset:
            request += b"Range: bytes=%d-\r\nIf-Range: %s\r\n" % (transfer.offset, transfer.etag)
        self.request = request + b"\r\n"
        self.heard_s = transfer.client.now_s
        found = _socket.getaddrinfo(name, port, 0, _socket.SOCK_STREAM)[0]
        self.socket = found_socket = _socket.socket(found[0], _socket.SOCK_STREAM)
        found_socket.setblocking(False)
        try:
            found_socket.connect(found[-1])
        except OSError as error:
            if not error.args or error.args[0] not in (115, 119, 11, 10035, 36, 114):
                found_socket.close()
                raise
        self.poller = _select.poll()
        self.poller.register(found_socket, _select.POLLOUT)

    def close(self):
        for thing in (self.stream, self.socket):
            try:
                if thing:
                    thing.close()
            except Exception as error:
                sys.print_exception(error)
        self.stream = self.socket = None

    def poll(self, now):
        """Go on; the ms until there may be more to do."""
        transfer = self.transfer
        client = transfer.client
        try:
            busy = self.step()
        except ValueError:
            if transfer.source is self:
                transfer.fail(_INVALID_URI)
            return 0
        except ImportError:
            transfer.fail(9)
            return 0
        except OSError:
            # nothing was heard, or the connection is gone
            if transfer.source is self:
                transfer.lost()
            return 0
        if busy:
            self.heard_s = client.now_s
            return 0
        if transfer.source is self and client.now_s - self.heard_s > _PATIENCE:
            transfer.lost()
            return 0
        return _LOOK

    def step(self):
        """Do what can be done now; False where that is nothing."""
        if not self.stream:
            return self.connected()
        if self.request:
            return self.send()
        for _ in range(_MOST_PIECES):
            data = self.read()
            if data is None:
                return False
            if not data:
                self.ended()
                return True
            self.receive(data)
            if self.transfer.source is not self or self.request:
                return True
        return True

    def connected(self):
        """Is the connection there? TLS begins on it."""
        for _, event in self.poller.ipoll(0):
            if event & (_select.POLLERR | _select.POLLHUP):
                raise OSError("no connection")
            stream = self.socket
            if self.secure:
                stream = self.wrap()
            self.stream = stream
            return True
        return False

    def wrap(self):
        ca = self.transfer.ca
        context = tls.SSLContext(tls.PROTOCOL_TLS_CLIENT)
        if ca is False:
            context.verify_mode = tls.CERT_NONE
        else:
            context.verify_mode = tls.CERT_REQUIRED
            context.load_verify_locations(ca)
        return context.wrap_socket(
            self.socket, server_hostname=self.name, do_handshake_on_connect=False
        )

    def send(self):
        try:
            sent = self.stream.write(self.request)
        except OSError as error:
            if is_busy(error):
                return False
            raise
        self.request = self.request[sent or 0 :]
        return bool(sent)

    def read(self):
        """The next bytes, b"" at the end, None where there are none yet."""
        try:
            return self.stream.read(_PIECE)
        except OSError as error:
            if is_busy(error):
                return None
            raise

    def receive(self, data):
        if self.status and not self.lines:
            self.take_body(memoryview(data))
            return
        self.head += data
        while self.transfer.source is self:
            end = self.head.find(b"\n")
            if end < 0:
                if len(self.head) > _LONGEST_LINE:
                    raise OSError("line")
                return
            line = self.head[:end].strip()
            rest = self.head[end + 1 :]
            self.head = rest
            self.lines += 1
            if not self.status:
                self.take_status(line)
            elif line:
                self.take_field(line)
            else:
                self.lines = 0
                self.head = b""
                self.begin_body()
                if rest and not self.request and self.transfer.source is self:
                    self.take_body(memoryview(rest))
                return
            if self.lines > _MOST_LINES:
                raise OSError("head")

    def take_status(self, line):
        parts = line.split(b" ")
        if line[:5] != b"HTTP/" or len(parts) < 2 or not parts[1].isdigit():
            raise OSError("no HTTP")
        self.status = int(parts[1])

    def take_field(self, line):
        colon = line.find(b":")
        name = line[: max(colon, 0)].lower()
        value = line[colon + 1 :].strip()
        if name == b"content-length" and value.isdigit():
            self.length = int(value)
        elif name == b"etag":
            self.etag = value
        elif name == b"last-modified" and not self.etag:
            self.etag = value
        elif name == b"location":
            self.location = str(value, "utf8")
        elif name == b"content-range":
            self.take_range(value)

    def take_range(self, value):
        # bytes 512-1023/1024
        try:
            span, total = value[6:].split(b"/")
            self.first = int(span.split(b"-")[0])
            self.total = -1 if total == b"*" else int(total)
        except ValueError:
            raise OSError("Content-Range")

    def begin_body(self):
        """The head of the response is there."""
        transfer = self.transfer
        status = self.status
        if status in _REDIRECTS and self.location:
            self.redirect()
        elif status == _PARTIAL:
            etag = strong(self.etag)
            if self.first != transfer.offset or (etag and etag != transfer.etag):
                # not what was asked for: all anew, by another request
                if transfer.restart():
                    transfer.lost()
            elif self.total >= 0:
                transfer.size = self.total
        elif status == _OK:
            if not transfer.offset or transfer.restart():
                transfer.etag = strong(self.etag)
                transfer.size = self.length
                if not self.length:
                    transfer.complete()
        elif status == _RANGE_NOT_SATISFIABLE:
            if transfer.restart():
                transfer.lost()
        elif status >= 500 or status in _LATER:
            transfer.lost()
        else:
            transfer.fail(_INVALID_URI)

    def redirect(self):
        self.redirects += 1
        location = self.location
        if self.redirects > _MOST_REDIRECTS:
            raise ValueError
        self.close()
        if location[:2] == "//":
            location = ("https:" if self.secure else "http:") + location
        if location[:1] == "/":
            self.open(self.secure, self.host + location)
            return
        scheme = location.split("://")[0].lower()
        if scheme not in ("http", "https") or (self.secure and scheme == "http"):
            raise ValueError  # nor does a secure server send to one that is not
        self.open(scheme == "https", location[len(scheme) + 3 :])

    def take_body(self, data):
        transfer = self.transfer
        if self.length >= 0:
            if len(data) > self.length:
                data = data[: self.length]
            self.length -= len(data)
        if len(data) and not transfer.take(data):
            return
        if not self.length:
            transfer.complete()

    def ended(self):
        """The server has closed the connection."""
        transfer = self.transfer
        if self.status and not self.lines and self.length < 0 and transfer.offset:
            transfer.complete()  # a body without a length ends so
        else:
            transfer.lost()


def is_busy(error):
    """Is there only nothing to be had now?"""
    return bool(error.args) and error.args[0] in (11, 35, 110, 115, 119, 10035)


def strong(etag):
    """A tag or date that If-Range may be given: no weak one (RFC 9110 13.1.5)."""
    return b"" if etag[:2] == b"W/" else etag


def split_address(address):
    """("host:port", "/path?query") of what stands behind "://"; ValueError where there is no host."""
    address = address.split("#")[0]
    end = len(address)
    for mark in "/?":
        at = address.find(mark)
        if 0 <= at < end:
            end = at
    host = address[:end]
    path = address[end:]
    if not host or "@" in host or " " in address:
        raise ValueError
    return host, path if path[:1] == "/" else "/" + path


def split_host(host, port):
    """(name or address, port); ValueError."""
    colon = host.rfind(":")
    if colon > host.rfind("]"):
        port = int(host[colon + 1 :])
        host = host[:colon]
    if host[:1] == "[":
        host = host[1:-1]
    if not host or not 0 < port < 65536:
        raise ValueError
    return host, port
