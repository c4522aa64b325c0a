# Who may connect: pre-shared keys, pinned certificates, certificate authorities; and the server's own certificate.
# SPDX-License-Identifier: MIT

from __future__ import annotations

import datetime
import ipaddress
import secrets

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from .config import Config, ConfigError
from .core import Refused
from .dtls import MAX_KEY, PSK
from .store import ALTERNATE, NONE, PRIMARY, Credential, Store

AUTHORITY, IDENTITY = "authority", "identity"  # kinds of documents in the store
CERTIFICATE_NAME, KEY_NAME = "certificate.pem", "key.pem"
ANY = "*"  # the endpoint of a key that any endpoint may use
YEARS = 10
KEY_BYTES = 16
IDENTITY_BYTES = 9
THUMBPRINT = 64  # hexadecimal digits of a SHA-256


class StoredCredentials:
    """core.Credentials from the store. A closed server (`open` False) knows only its own endpoints."""

    def __init__(self, store: Store, config: Config):
        self._store, self._config = store, config

    def psk(self, identity: str) -> bytes | None:
        found = self._store.credential(identity)
        return found.key if found else None

    def pinned(self, thumbprint: str) -> bool:
        return self._store.by_thumbprint(thumbprint) is not None

    def identify(self, endpoint: str, remote) -> tuple[str, str]:
        secure = getattr(remote, "secure", "")
        if not secure:
            return self._without(endpoint)
        if secure == PSK:
            found = self._store.credential(remote.identity)
            if found is None:
                raise Refused("4.03", "the identity is gone")
            name, kind = found.endpoint, found.kind
            if name == ANY:
                name = self._shared(endpoint or remote.identity)
        elif remote.names:
            name, kind = self._named(endpoint, remote.names), PRIMARY
        else:
            owner = self._store.by_thumbprint(remote.identity)
            if owner is None:
                raise Refused("4.03", "the certificate is not known any more")
            name, kind = owner.name, PRIMARY
        if endpoint and endpoint != name:
            raise Refused("4.03", "these are another endpoint's credentials")
        return name, kind

    def _named(self, endpoint: str, names: frozenset[str]) -> str:
        """The endpoint of a certificate that an authority issued: it has its name."""
        if endpoint in names or not endpoint and len(names) == 1:
            return endpoint or next(iter(names))
        raise Refused("4.03", "the certificate has another name")

    def _shared(self, endpoint: str) -> str:
        """An endpoint that uses a key of any endpoint; not one that has credentials of its own."""
        known = self._store.endpoint(endpoint)
        if known is None and not self._config.open:
            raise Refused("4.03", "the endpoint is not known")
        if known and (known.thumbprints or self._own(endpoint)):
            raise Refused("4.03", "the endpoint has other credentials")
        return endpoint

    def _own(self, endpoint: str) -> bool:
        return any(each.kind == PRIMARY for each in self._store.credentials(endpoint))

    def _without(self, endpoint: str) -> tuple[str, str]:
        known = self._store.endpoint(endpoint)
        if known is None and not self._config.open:
            raise Refused("4.03", "the endpoint is not known")
        secured = known and (known.thumbprints or self._store.credentials(endpoint))
        if secured and not known.allow_nosec:
            raise Refused("4.03", "the endpoint has credentials, and must use coaps")
        return endpoint, NONE

    def share(self, identity: str, key: str) -> None:
        """Let any endpoint use an identity with a key in hexadecimal; ConfigError for what is none."""
        self._store.put_credential(Credential(identity, ANY, check_key(key), PRIMARY))

    def issue(self, endpoint: str) -> Credential:
        """A new identity with a new key for an endpoint; confirm() makes it the only alternate one."""
        while True:
            identity = f"{endpoint}-{secrets.token_urlsafe(IDENTITY_BYTES)}"
            if self._store.credential(identity) is None:
                break
        made = Credential(identity, endpoint, secrets.token_bytes(KEY_BYTES), ALTERNATE)
        self._store.put_credential(made)
        return made

    def confirm(self, endpoint: str, issued: set[str]) -> None:
        """A bootstrap has delivered these identities: earlier ones that were issued are void."""
        for each in self._store.credentials(endpoint):
            if each.kind == ALTERNATE and each.identity not in issued:
                self._store.remove_credential(each.identity)

    def withdraw(self, issued: set[str]) -> None:
        """A bootstrap has failed: what was issued in it is void."""
        for identity in issued:
            self._store.remove_credential(identity)


def check_key(text) -> bytes:
    """A pre-shared key from hexadecimal; ConfigError, which does not show it."""
    try:
        key = bytes.fromhex(text)
    except (TypeError, ValueError):
        raise ConfigError("key is not hexadecimal") from None
    if not 0 < len(key) <= MAX_KEY:
        raise ConfigError(f"key is not of 1 to {MAX_KEY} bytes")
    return key


def check_thumbprint(text) -> str:
    """SHA-256 of a certificate as lower case hexadecimal; colons are left out. ConfigError otherwise."""
    found = text.replace(":", "").lower() if isinstance(text, str) else ""
    if len(found) != THUMBPRINT or set(found) - set("0123456789abcdef"):
        raise ConfigError(f"thumbprint {text!r} is not the SHA-256 of a certificate")
    return found


def thumbprint(certificate: x509.Certificate) -> str:
    return certificate.fingerprint(hashes.SHA256()).hex()


def load_authority(pem: bytes) -> x509.Certificate:
    """The certificate of an authority from PEM or DER; ConfigError when it is none."""
    try:
        if b"-----BEGIN" in pem:
            found = x509.load_pem_x509_certificate(pem)
        else:
            found = x509.load_der_x509_certificate(pem)
    except ValueError as e:
        raise ConfigError(f"no certificate: {e}") from None
    try:
        authority = found.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except (x509.ExtensionNotFound, ValueError):
        authority = False
    if not authority:
        raise ConfigError("the certificate is not an authority's (CA is false)")
    return found


def own_identity(config: Config, store: Store, host: str) -> tuple:
    """(certificate, private key) of the server: the configured ones, else those that are kept in the store."""
    try:
        if config.certificate:
            with open(config.certificate, "rb") as file:
                certificate = x509.load_pem_x509_certificate(file.read())
            with open(config.private_key, "rb") as file:
                key = serialization.load_pem_private_key(file.read(), None)
        else:
            kept = store.documents(IDENTITY)
            if CERTIFICATE_NAME not in kept:
                _make_identity(store, host)
                kept = store.documents(IDENTITY)
            certificate = x509.load_pem_x509_certificate(kept[CERTIFICATE_NAME])
            key = serialization.load_pem_private_key(kept[KEY_NAME], None)
    except OSError as e:
        raise ConfigError(f"{e.filename}: {e.strerror}") from None
    except (TypeError, ValueError) as e:
        raise ConfigError(f"the server's certificate or key cannot be used: {e}") from None
    if certificate.public_key() != key.public_key():
        raise ConfigError("certificate and private_key do not belong together")
    return certificate, key


def _make_identity(store: Store, host: str) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, host)])
    try:
        alternative: x509.GeneralName = x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        alternative = x509.DNSName(host)
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=365 * YEARS))
        .add_extension(x509.SubjectAlternativeName([alternative]), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    private = key.private_bytes(
        pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    store.put_document(IDENTITY, KEY_NAME, private)
    store.put_document(IDENTITY, CERTIFICATE_NAME, certificate.public_bytes(pem))
