# X.509 certificates for the tests, made when they are needed
# SPDX-License-Identifier: MIT
import datetime

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID


def issue(name, issuer=None, ca=False):
    """(certificate, key) for a name, issued by another such pair, or by itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.timezone.utc)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer[0].subject if issuer else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=2))
        .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
    )
    if not ca:
        builder = builder.add_extension(
            x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False
        )
    return builder.sign(issuer[1] if issuer else key, hashes.SHA256()), key


def as_bytes(pair, encoding=Encoding.DER):
    """A certificate and its key; as DER they are what object 0 holds."""
    form = PrivateFormat.PKCS8 if encoding is Encoding.PEM else PrivateFormat.TraditionalOpenSSL
    return pair[0].public_bytes(encoding), pair[1].private_bytes(encoding, form, NoEncryption())
