# A package on its way into a slot, for objects 5 and 9: pushed block by block, or fetched from a URI
# SPDX-License-Identifier: MIT
from .coap.numbers import (
    EMPTY,
    METHOD_NOT_ALLOWED,
    REQUEST_ENTITY_INCOMPLETE,
    REQUEST_ENTITY_TOO_LARGE,
    CoapError,
)
from .ids import (
    ABSENT,
    CIPHER_SUITES,
    IS_BOOTSTRAP,
    SECURITY,
    SECURITY_SSID,
    SERVER_URI,
)
from .port import sys
from .port.slot import UnsupportedPackage

# How a transfer ends; numbers of 5/x/5 (Core 1.1.1 E.6), 9/x/9 has others for the same.
DONE = const(0)
NO_SPACE = const(2)
NO_MEMORY = const(3)
CONNECTION_LOST = const(4)
INTEGRITY = const(5)
UNSUPPORTED_TYPE = const(6)
INVALID_URI = const(7)
DEVICE_FAILED = const(8)
UNSUPPORTED_PROTOCOL = const(9)

_ENOSPC = const(28)
_DIGEST = const(32)  # bytes of a SHA-256
_PIECE = const(512)  # bytes that are read back at a time
_RETRIES = const(5)
_RETRY_DELAY = const(10)  # seconds before the first, doubled for each
_LONGEST_DELAY = const(3600)
_PATIENCE = const(247)  # seconds that a push may rest (EXCHANGE_LIFETIME)
_SECURITY_BEYOND = const(65536)  # names the DTLS sessions with other hosts


def outcome_of(error):
    """The number for what a slot or a hook raised."""
    if isinstance(error, MemoryError):
        return NO_MEMORY
    if isinstance(error, OSError):
        return NO_SPACE if error.args and error.args[0] == _ENOSPC else DEVICE_FAILED
    if isinstance(error, UnsupportedPackage):
        return UNSUPPORTED_TYPE
    return INTEGRITY if isinstance(error, ValueError) else DEVICE_FAILED


class Push:
    """The body that a server is writing: what take_block1() streams to."""

    def __init__(self, transfer, ssid):
        self.transfer = transfer
        self.ssid = ssid

    def __call__(self, offset, data, more):
        """Take the block at `offset` of the package; the code of a refusal, or EMPTY."""
        transfer = self.transfer
        if not offset:
            if not transfer.begin_push(self):
                return REQUEST_ENTITY_TOO_LARGE
        elif transfer.source is not self or transfer.offset != offset:
            return REQUEST_ENTITY_INCOMPLETE
        if transfer.take(data) and not more:
            transfer.complete()
        return EMPTY if transfer.outcome <= DONE else REQUEST_ENTITY_TOO_LARGE


class Transfer:
    """Brings packages into `slot`, one at a time. `done(outcome)` hears how each ends, DONE or one of the numbers
    above; `changed()` of progress: of `offset`, `size` (-1: not known), and of `uri`, `etag` and `ssid`, which the
    owner keeps over a restart and gives back by pull(). Nothing in here blocks but the look-up of a name.

    To be set by the owner, or the application:
    retries, delay: how often a fetch that lost its connection is tried again, and seconds before the first time
    sha256: of the package to come, 32 bytes or hexadecimal digits, a function of its URI that gives one, or None
    accept: accept(data) looks at the first bytes, and returns False for a package that is not for this device
    verify: verify(slot) looks at the whole package, and returns False, or raises ValueError, for a damaged one
    ca: the certificate (DER) that an https server is checked against, False: none is checked; None: no https"""

    sha256 = accept = verify = ca = None
    uri = ""
    etag = b""
    ssid = 0  # of the server that wrote the package or its URI
    offset = 0
    size = -1
    outcome = -1  # of the transfer that ended last; -1 while one goes on
    source = None  # a Push, or what fetches; None between two attempts
    fetching = False
    paused = False
    checking = -1  # where the hash of the package goes on; -1 while it is not being checked
    _hash = None

    def __init__(self, client, slot, done, changed=None):
        self.client = client
        self.slot = slot
        self.done = done
        self.changed = changed
        self.retries = _RETRIES
        self.delay = _RETRY_DELAY
        self.due = -1  # seconds, of the next attempt, or of the end of a push that rests
        self.attempts = 0
        client.pollers.append(self.poll)

    def is_active(self):
        """Is a package under way?"""
        return self.fetching or self.source is not None or self.checking >= 0

    # push

    def push(self, ssid):
        """What takes the blocks of a package that a server writes, as function(offset, data, more); CoapError where
        another package is under way."""
        source = self.source
        if self.fetching or (source and source.ssid != ssid):
            raise CoapError(METHOD_NOT_ALLOWED)
        return Push(self, ssid)

    def begin_push(self, push):
        """The first block: drop what was there. False where the slot can take no package."""
        self.uri = ""
        self.etag = b""
        self.source = push
        self.ssid = push.ssid
        self.size = -1
        self.outcome = -1
        return self.open(0)

    # pull

    def pull(self, uri, ssid, etag=b"", size=-1):
        """Fetch the package at `uri` with the credentials of server `ssid`. With the `etag` of an attempt before a
        restart it goes on from what the slot has kept."""
        self.stop()
        self.uri = uri
        self.ssid = ssid
        self.etag = etag
        self.size = size
        self.outcome = -1
        self.attempts = 0
        self.fetching = True
        self.offset = 0
        self._hash = None
        self.due = self.client.now_s

    def pause(self):
        """Hold a fetch still until resume()."""
        self.paused = True
        self.drop_source()

    def resume(self):
        """Go on after pause(), from where it was."""
        self.paused = False
        self.due = self.client.now_s

    def cancel(self):
        """End what is under way, and drop what there is of it; done() hears nothing."""
        self.stop()
        self.slot.abort()
        self.offset = 0

    def drop_source(self):
        source = self.source
        self.source = None
        if source and self.fetching:
            source.close()

    def stop(self):
        self.drop_source()
        self.fetching = False
        self.checking = -1
        self._hash = None
        self.due = -1

    def attempt(self, now):
        """Begin to fetch, from where the slot has it."""
        for session in self.client.sessions:
            if session.ssid == self.ssid and not session.is_registered():
                # the server that asked for it is not there again yet, nor, most likely, the network
                self.due = self.client.now_s + 1
                return
        kept = self.slot.offset() if self.etag else 0
        if kept != self.offset or not kept:
            # the hash of what came before a restart is not known: read back at the end, or all anew
            if kept and self.expected() and not hasattr(self.slot, "read"):
                kept = 0
            self._hash = None
        if not self.open(kept):
            return
        try:
            self.source = self.open_source(now)
        except MemoryError:
            self.fail(NO_MEMORY)
        except ImportError:
            self.fail(UNSUPPORTED_PROTOCOL)
        except ValueError:
            self.fail(INVALID_URI)
        except OSError:
            self.lost()
        except Exception as error:
            self.failed(error)

    def open_source(self, now):
        """What fetches self.uri; ValueError where it is none, ImportError where the image has no part for its scheme,
        OSError where the network is not there, MemoryError."""
        scheme, mark, rest = split(self.uri, "://")
        scheme = scheme.lower()
        if not mark or not rest:
            raise ValueError
        if scheme in ("http", "https"):
            from .http import Fetch

            return Fetch(self, scheme == "https", rest)
        if scheme not in ("coap", "coaps"):
            raise ImportError
        return self.open_coap(scheme == "coaps", now)

    def open_coap(self, secure, now):
        from .coap.download import Blocks, Route
        from .session.connect import open_secure, parse_uri

        target = parse_uri(self.uri)
        client = self.client
        iid, account = self.account()
        for session in client.sessions:
            if account and session.security_iid == iid and session.is_registered():
                if parse_uri(str(account[SERVER_URI], "utf8")) == target:
                    return Blocks(self, session.coap, session)
        _, host, port = target
        route = Route(self, iid + _SECURITY_BEYOND)
        if secure:
            if not account:
                raise ValueError
            account = dict(account)
            account[SERVER_URI] = self.uri.encode()
            account.pop(CIPHER_SUITES, None)
        route.open(host, port, secure and account, open_secure, now)
        return Blocks(self, route.coap, None, route)

    def account(self):
        """(instance, values) of object 0 for the server that wrote the URI, (-1, None) where it is gone."""
        for iid, account in self.client.tree.objects[SECURITY].items():
            if account.get(SECURITY_SSID) == self.ssid and not account.get(IS_BOOTSTRAP):
                return iid, account
        return ABSENT, None

    # what comes in

    def expected(self):
        """The SHA-256 that the package is to have, or None."""
        digest = self.sha256
        if callable(digest):
            digest = digest(self.uri)
        if isinstance(digest, str):
            from .port import binascii

            digest = binascii.unhexlify(digest)
        return digest

    def open(self, offset):
        """Begin, or go on, to write; False where that failed."""
        try:
            self.offset = self.slot.open(offset) or 0
            if not self.offset:
                self._hash = None
                if self.expected():
                    from .crypto.provider import sha256

                    self._hash = sha256()
            return True
        except Exception as error:
            self.failed(error)
        return False

    def restart(self):
        """What there is belongs to another package: from the start. False where that failed."""
        self.etag = b""
        self.size = -1
        return self.open(0)

    def take(self, data):
        """The next bytes of the package; False where they are refused, and the transfer has failed."""
        try:
            if not self.offset and self.accept and self.accept(data) is False:
                raise UnsupportedPackage("not for this device")
            self.slot.write(data)
            if self._hash:
                self._hash.update(data)
        except Exception as error:
            self.failed(error)
            return False
        self.offset += len(data)
        self.attempts = 0
        if not self.fetching:
            self.due = self.client.now_s + _PATIENCE
        if self.changed:
            self.changed()
        return True

    def complete(self):
        """All of the package is there: check it, piece by piece where it has to be read back."""
        self.drop_source()
        self.fetching = False
        self.due = -1
        if 0 <= self.size != self.offset:
            self.fail(INTEGRITY)
            return
        self.checking = 0
        try:
            self.slot.finish()
            if self._hash or not self.expected():
                self.check(self._hash)
                return
            from .crypto.provider import sha256

            self._hash = sha256()
        except Exception as error:
            self.failed(error)

    def read_back(self):
        """Hash the next piece of what the slot has."""
        piece = bytearray(min(_PIECE, self.offset - self.checking))
        try:
            if piece:
                self.slot.read(self.checking, piece)
                self.checking += len(piece)
                self._hash.update(piece)
            else:
                self.check(self._hash)
        except Exception as error:
            self.failed(error)

    def check(self, computed):
        """The last step: hash and the application's own look."""
        expected = self.expected()
        if expected and computed.digest() != expected:
            raise ValueError("SHA-256")
        if self.verify and self.verify(self.slot) is False:
            raise ValueError("refused")
        self.stop()
        self.outcome = DONE
        self.done(DONE)

    # how it ends

    def failed(self, error):
        sys.print_exception(error)
        self.fail(outcome_of(error))

    def fail(self, outcome):
        """Give up, for good; what there is of the package is dropped."""
        self.stop()
        try:
            self.slot.abort()
        except Exception as error:
            sys.print_exception(error)
        self.offset = 0
        self.outcome = outcome
        self.done(outcome)

    def lost(self):
        """No answer: again after a while, or no more. The slot keeps what there is."""
        self.drop_source()
        if self.attempts >= self.retries:
            self.stop()
            self.outcome = CONNECTION_LOST
            self.done(CONNECTION_LOST)
            return
        self.due = self.client.now_s + min(self.delay << self.attempts, _LONGEST_DELAY)
        self.attempts += 1

    def poll(self, now):
        """For Client.pollers."""
        if self.checking >= 0:
            self.read_back()
            return 0
        if self.paused and self.fetching:
            return -1
        source = self.source
        if source and self.fetching:
            try:
                return source.poll(now)
            except Exception as error:
                # no memory, most likely: as a lost connection, so that it is not for ever
                sys.print_exception(error)
                if self.source is source:
                    self.lost()
                return 0
        if self.due < 0:
            return -1
        left = self.due - self.client.now_s
        if left > 0:
            return min(left, 1000) * 1000
        if self.fetching:
            self.attempt(now)
        else:
            # the server has stopped to write
            self.attempts = self.retries
            self.lost()
        return 0


def split(text, mark):
    """(before, mark, behind), as str.partition() gives it, which QuecPython lacks."""
    at = text.find(mark)
    return (text, "", "") if at < 0 else (text[:at], mark, text[at + len(mark) :])
