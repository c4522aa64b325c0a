# coaps for aiocoap: DTLS 1.2 with pre-shared keys and with certificates, by pyOpenSSL, many peers on one UDP socket.
# SPDX-License-Identifier: MIT
"""DtlsInterface is a message interface of aiocoap; its remote addresses are DtlsAddress, one a session.

Who a peer is, is asked of a Keys object; no key is ever logged. A new handshake from an address leaves
the session there alone until it is complete (RFC 6347 4.2.8). What is no DTLS is dropped.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import logging
import secrets
import socket
from collections import OrderedDict
from typing import Protocol

from aiocoap import Message, error, interfaces
from aiocoap.util import hostportjoin
from cryptography import x509
from cryptography.hazmat.bindings.openssl.binding import Binding
from cryptography.hazmat.primitives import hashes
from OpenSSL import SSL, crypto

from .coap import MAPPED, decode, refuse

HANDSHAKE, ALERT, APPLICATION = 22, 21, 23  # content types of records
CONTENT_TYPES = range(20, 24)
CLIENT_HELLO = 1
RECORD_HEADER = 13
DTLS_1_0, DTLS_1_2 = b"\xfe\xff", b"\xfe\xfd"
MTU = 1280  # bytes of a handshake's datagram: every IPv6 link carries them
MAX_DATAGRAM = 65536
MAX_SESSIONS = 20000
MAX_HANDSHAKES = 1000  # under way at once
MAX_KEY = 64  # bytes of a pre-shared key; more than any device has
SUITES = (
    "PSK-AES128-CCM8",
    "PSK-AES128-CCM",
    "PSK-AES128-CBC-SHA256",
    "PSK-AES128-GCM-SHA256",
    "ECDHE-ECDSA-AES128-CCM8",
    "ECDHE-ECDSA-AES128-CCM",
    "ECDHE-ECDSA-AES128-GCM-SHA256",
    "ECDHE-ECDSA-AES128-SHA256",
    "ECDHE-RSA-AES128-GCM-SHA256",
)
PSK, X509 = "psk", "x509"


class Keys(Protocol):
    """What the interface asks about peers; both are called in the event loop, within a handshake."""

    def psk(self, identity: str) -> bytes | None:
        """The pre-shared key of an identity, None when it is unknown."""

    def pinned(self, thumbprint: str) -> bool:
        """Does the SHA-256 of a certificate (lower case hexadecimal) authenticate an endpoint by itself?"""


class DtlsAddress(interfaces.EndpointAddress):
    """One DTLS session with a peer. It is equal to itself only, so that nothing outlives a session.

    secure       PSK or X509
    identity     PSK identity, or the SHA-256 thumbprint of the certificate
    names        of the certificate, if an authority has issued it: common name and alternative names;
                 empty when it is pinned
    """

    scheme = "coaps"
    is_multicast = is_multicast_locally = False
    maximum_block_size_exp = 6

    def __init__(self, interface: DtlsInterface, sockaddr: tuple, connection: SSL.Connection):
        self.interface, self.sockaddr, self.connection = interface, sockaddr, connection
        self.secure = self.identity = ""
        self.names: frozenset[str] = frozenset()
        self.alive = False  # True between handshake and end
        self.listening = True  # no valid cookie came yet
        self.timer: asyncio.TimerHandle | None = None
        self.untrusted = False  # an error of the certificate chain was seen

    @property
    def hostinfo(self) -> str:
        return hostportjoin(self.sockaddr[0].removeprefix(MAPPED), self.sockaddr[1])

    @property
    def hostinfo_local(self) -> str:
        return hostportjoin(*self.interface.sockname[:2])

    @property
    def uri_base(self) -> str:
        return "coaps://" + self.hostinfo

    @property
    def uri_base_local(self) -> str:
        return "coaps://" + self.hostinfo_local

    @property
    def authenticated_claims(self):
        return [self.identity]

    @property
    def blockwise_key(self):
        return (self.sockaddr, id(self))

    def __repr__(self) -> str:
        return f"<DtlsAddress {self.hostinfo} {self.secure}>"


class DtlsInterface(asyncio.DatagramProtocol, interfaces.MessageInterface):
    """Listens on one address; made by listen()."""

    def __init__(self, manager: interfaces.MessageManager, keys: Keys, identity: tuple | None):
        """identity: (certificate, private key), or None for pre-shared keys only."""
        self._manager, self._keys, self._identity = manager, keys, identity
        self._loop = asyncio.get_running_loop()
        self._log = logging.getLogger("lwm2m.dtls")
        self._secret = secrets.token_bytes(32)
        self._sessions: OrderedDict[tuple, DtlsAddress] = OrderedDict()
        self._handshakes: OrderedDict[tuple, DtlsAddress] = OrderedDict()
        self._running: DtlsAddress | None = None  # whose handshake calls back
        # Who each master secret belongs to, by its hash, as a resumption asks no callback.
        self._masters: OrderedDict[bytes, tuple] = OrderedDict()
        self._closed = self._loop.create_future()
        self.established = lambda address: None  # called with each new DtlsAddress
        self.lost = lambda address: None  # and when it has ended
        self.set_authorities(())

    @classmethod
    async def listen(
        cls, manager, keys: Keys, host: str, port: int, identity: tuple | None = None
    ) -> DtlsInterface:
        """OSError when the address is in use, or none of this machine."""
        loop = asyncio.get_running_loop()
        family, _, _, _, address = (
            await loop.getaddrinfo(host, port, type=socket.SOCK_DGRAM, flags=socket.AI_PASSIVE)
        )[0]
        sock = socket.socket(family, socket.SOCK_DGRAM)
        try:
            if family == socket.AF_INET6:
                sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
            sock.setblocking(False)
            sock.bind(address)
            _, self = await loop.create_datagram_endpoint(
                lambda: cls(manager, keys, identity), sock=sock
            )
        except BaseException:
            sock.close()
            raise
        return self

    def set_authorities(self, certificates) -> None:
        """Certificates of the authorities whose clients may connect, from now on."""
        context = SSL.Context(SSL.DTLS_SERVER_METHOD)
        context.set_cipher_list(":".join(SUITES).encode() + b":@SECLEVEL=0")
        context.set_min_proto_version(int.from_bytes(DTLS_1_2, "big"))
        context.set_session_id(b"lwm2m")
        context.set_session_cache_mode(SSL.SESS_CACHE_SERVER)
        context.set_options(SSL.OP_NO_TICKET)  # a session id is shorter on the air
        context.set_cookie_generate_callback(self._cookie)
        context.set_cookie_verify_callback(
            lambda connection, cookie: hmac.compare_digest(self._cookie(connection), cookie)
        )
        if self._identity:
            certificate, key = self._identity
            context.use_certificate(certificate)
            context.use_privatekey(key)
            context.set_verify(SSL.VERIFY_PEER | SSL.VERIFY_FAIL_IF_NO_PEER_CERT, self._verify)
            trusted = context.get_cert_store()
            for each in certificates:
                trusted.add_cert(crypto.X509.from_cryptography(each))
        binding = Binding()
        ffi = binding.ffi

        # pyOpenSSL has no face for the callback of pre-shared keys.
        @ffi.callback("unsigned int(SSL *, const char *, unsigned char *, unsigned int)")
        def psk(_, identity, out, room):
            return self._psk(ffi, identity, out, room)

        self._callback = psk  # must live as long as the context
        binding.lib.SSL_CTX_set_psk_server_callback(context._context, psk)
        self._context = context

    # Callbacks of OpenSSL, within a handshake

    def _cookie(self, connection: SSL.Connection) -> bytes:
        address = connection.get_app_data().sockaddr
        return hmac.digest(self._secret, repr(address).encode(), "sha256")

    def _psk(self, ffi, identity, out, room: int) -> int:
        try:
            name = ffi.string(identity).decode()
            key = self._keys.psk(name)
        except Exception:  # never into OpenSSL
            self._log.exception("a key could not be looked up")
            return 0
        if not key or len(key) > min(room, MAX_KEY) or self._running is None:
            self._log.info("an unknown identity was refused")
            return 0
        self._running.secure, self._running.identity = PSK, name
        ffi.memmove(out, key, len(key))
        return len(key)

    def _verify(self, connection, certificate, code: int, depth: int, ok: int) -> bool:
        """Called for each certificate from the root down; the last word is at the device's own, depth 0."""
        address = connection.get_app_data()
        if not ok:
            address.untrusted = True
        if depth:
            return True
        digest = _sha256(certificate)
        if self._keys.pinned(digest):
            address.names = frozenset()
        elif address.untrusted:
            self._log.info("a certificate that no authority has issued was refused (%d)", code)
            return False
        else:
            address.names = _names(certificate)
        address.secure, address.identity = X509, digest
        return True

    # From the network

    def connection_made(self, transport) -> None:
        self.transport = transport
        self.sockname = transport.get_extra_info("sockname")

    def connection_lost(self, exc) -> None:
        if not self._closed.done():
            self._closed.set_result(None)

    def error_received(self, exc) -> None:
        self._log.debug("%s", exc)

    def datagram_received(self, data: bytes, sockaddr: tuple) -> None:
        if not _plausible(data):
            return
        epoch0 = data[3:5] == b"\0\0"
        pending = self._handshakes.get(sockaddr)
        session = self._sessions.get(sockaddr)
        try:
            if epoch0 and data[0] == HANDSHAKE and data[RECORD_HEADER] == CLIENT_HELLO:
                if pending is None or pending.listening:
                    self._hello(data, sockaddr, pending)
                    return
            if pending is not None and not pending.listening:
                self._handshake(pending, data)
            elif session is not None:
                self._record(session, data)
        except SSL.Error as e:
            self._log.info("DTLS with %s failed: %s", sockaddr[0], e)
            broken = pending or session
            if broken is not None:
                self._flush(broken)
                self._drop(broken)
        except Exception:
            self._log.exception("a datagram of %s could not be handled", sockaddr[0])

    def _hello(self, data: bytes, sockaddr: tuple, address: DtlsAddress | None) -> None:
        """A ClientHello: without a valid cookie it gets one, and nothing is kept for it."""
        connection = SSL.Connection(self._context)
        address = DtlsAddress(self, sockaddr, connection)
        connection.set_app_data(address)
        connection.set_accept_state()
        connection.set_ciphertext_mtu(MTU)
        connection.bio_write(data)
        try:
            connection.DTLSv1_listen()
        except SSL.WantReadError:
            self._flush(address)
            return
        address.listening = False
        while len(self._handshakes) >= MAX_HANDSHAKES:
            self._drop(next(iter(self._handshakes.values())))
        self._handshakes[sockaddr] = address
        self._handshake(address, b"")

    def _handshake(self, address: DtlsAddress, data: bytes) -> None:
        connection = address.connection
        if data:
            connection.bio_write(data)
        self._running = address
        try:
            connection.do_handshake()
        except SSL.WantReadError:
            self._arm(address)
            return
        finally:
            self._running = None
            self._flush(address)
        self._established(address)
        if address.alive:
            self._record(address, b"")

    def _established(self, address: DtlsAddress) -> None:
        self._disarm(address)
        self._handshakes.pop(address.sockaddr, None)
        old = self._sessions.get(address.sockaddr)
        master = hashlib.sha256(address.connection.master_key()).digest()
        if address.identity:
            self._masters[master] = address.secure, address.identity, address.names
            while len(self._masters) > MAX_SESSIONS:
                self._masters.popitem(last=False)
        elif not self._resumed(address, self._masters.get(master)):
            self._log.info("a session of an identity that is gone was refused")
            return
        address.alive = True
        if old:
            self._drop(old)
        while len(self._sessions) >= MAX_SESSIONS:
            self._drop(next(iter(self._sessions.values())))
        self._sessions[address.sockaddr] = address
        self._log.info("DTLS with %s: %s", address.hostinfo, address.secure)
        self.established(address)

    def _resumed(self, address: DtlsAddress, known: tuple | None) -> bool:
        """Take over who a resumed session belongs to; False when that may not connect any more."""
        if known is None:
            return False
        address.secure, address.identity, address.names = known
        if address.secure == PSK:
            return self._keys.psk(address.identity) is not None
        return bool(address.names) or self._keys.pinned(address.identity)

    def _record(self, address: DtlsAddress, data: bytes) -> None:
        if data:
            address.connection.bio_write(data)
            self._sessions.move_to_end(address.sockaddr)
        while address.alive:
            try:
                text = address.connection.recv(MAX_DATAGRAM)
            except SSL.WantReadError:
                break
            except SSL.ZeroReturnError:
                self._flush(address)
                self._drop(address)
                return
            self._plain(address, text)
        self._flush(address)

    def _plain(self, address: DtlsAddress, text: bytes) -> None:
        try:
            message = decode(text, address)
        except UnicodeDecodeError:
            refuse(self._manager, text, address)
            return
        except error.UnparsableMessage:
            self._log.info("what %s sent is no CoAP", address.hostinfo)
            return
        self._manager.dispatch_message(message)

    # To the network

    def _flush(self, address: DtlsAddress) -> None:
        while True:
            try:
                data = address.connection.bio_read(MAX_DATAGRAM)
            except SSL.WantReadError:
                return
            for datagram in _datagrams(data):
                if not self.transport.is_closing():
                    self.transport.sendto(datagram, address.sockaddr)

    def _arm(self, address: DtlsAddress) -> None:
        """The retransmission of a flight; OpenSSL gives up by an error."""
        self._disarm(address)
        left = address.connection.DTLSv1_get_timeout()
        if left is not None:
            address.timer = self._loop.call_later(max(left, 0.01), self._timeout, address)

    def _disarm(self, address: DtlsAddress) -> None:
        if address.timer:
            address.timer.cancel()
            address.timer = None

    def _timeout(self, address: DtlsAddress) -> None:
        address.timer = None
        try:
            address.connection.DTLSv1_handle_timeout()
            self._flush(address)
            self._arm(address)
        except SSL.Error:
            self._drop(address)

    def _drop(self, address: DtlsAddress) -> None:
        """End a session or a handshake here, without a word."""
        self._disarm(address)
        for table in (self._handshakes, self._sessions):
            if table.get(address.sockaddr) is address:
                del table[address.sockaddr]
        if address.alive:
            address.alive = False
            self.lost(address)
            self._manager.dispatch_error(ConnectionError("the DTLS session has ended"), address)

    # What aiocoap calls

    def send(self, message: Message) -> None:
        address = message.remote
        if not address.alive:
            self._loop.call_soon(
                self._manager.dispatch_error,
                ConnectionError("there is no DTLS session"),
                address,
            )
            return
        try:
            address.connection.send(message.encode())
        except SSL.Error as e:
            self._log.info("DTLS with %s failed: %r", address.hostinfo, e)
            self._drop(address)
            return
        self._flush(address)

    async def recognize_remote(self, remote) -> bool:
        return isinstance(remote, DtlsAddress) and remote.interface is self

    async def determine_remote(self, message) -> None:
        return None  # a server begins no session

    async def shutdown(self) -> None:
        for address in [*self._handshakes.values(), *self._sessions.values()]:
            if address.alive:
                try:
                    address.connection.shutdown()
                    self._flush(address)
                except SSL.Error:
                    pass
            address.alive = False
            self._disarm(address)
        self._handshakes.clear()
        self._sessions.clear()
        self.transport.close()
        await self._closed


def _sha256(certificate) -> str:
    return certificate.to_cryptography().fingerprint(hashes.SHA256()).hex()


def _names(certificate) -> frozenset[str]:
    """Common name and alternative names of a certificate: the endpoint names that it may have."""
    found = certificate.to_cryptography()
    names = {str(a.value) for a in found.subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)}
    try:
        others = found.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        names.update(others.get_values_for_type(x509.DNSName))
        names.update(others.get_values_for_type(x509.UniformResourceIdentifier))
    except (x509.ExtensionNotFound, ValueError):
        pass
    return frozenset(names)


def _plausible(data: bytes) -> bool:
    """Does it begin with a whole record of DTLS?"""
    if len(data) <= RECORD_HEADER or data[0] not in CONTENT_TYPES:
        return False
    length = int.from_bytes(data[RECORD_HEADER - 2 : RECORD_HEADER], "big")
    return data[1:3] in (DTLS_1_0, DTLS_1_2) and RECORD_HEADER + length <= len(data)


def _datagrams(data: bytes) -> list[bytes]:
    """The records in what a memory BIO gave, as datagrams of up to MTU bytes: it keeps no bounds."""
    found, begin, end = [], 0, 0
    while end < len(data):
        length = RECORD_HEADER + int.from_bytes(data[end + 11 : end + RECORD_HEADER], "big")
        if end > begin and end + length - begin > MTU:
            found.append(data[begin:end])
            begin = end
        end += length
    found.append(data[begin:])
    return found
