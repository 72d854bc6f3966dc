"""Certificates for agents and the fan-out's servers, of an authority that is forgotten at once.

The authority's key is nowhere kept: whoever wants new certificates makes a new authority, and
applies all three at once; both sides read files that were renewed without a restart.
"""

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from tortie.install.manifests.environment import CLIENT_NAME, SERVER_NAME
from tortie.install.manifests.secrets import Certificates

if TYPE_CHECKING:  # loaded by who makes some
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
    from cryptography.x509 import Certificate

_DAYS = 3650
_AUTHORITY = "tortie-fanout"
_SKEW = timedelta(minutes=5)  # clocks of nodes that differ a little


def new_certificates(now: datetime | None = None) -> Certificates:
    """An authority and a pair for each side, for ten years from `now`."""
    from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key

    start = (now or datetime.now(UTC)) - _SKEW
    key = generate_private_key(SECP256R1())
    authority = _signed(_AUTHORITY, key, _AUTHORITY, key, start, server=None)
    pairs = []
    for name, server in ((SERVER_NAME, True), (CLIENT_NAME, False)):
        own = generate_private_key(SECP256R1())
        pairs.append((_pem(_signed(name, own, _AUTHORITY, key, start, server)), _key_pem(own)))
    return Certificates(_pem(authority), *pairs)


def _signed(
    name: str,
    own: "EllipticCurvePrivateKey",
    issuer: str,
    signer: "EllipticCurvePrivateKey",
    start: datetime,
    server: bool | None,
) -> "Certificate":
    """`server`: whether it is for a server or a client; None for the authority itself."""
    from cryptography import x509
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

    def called(text: str) -> x509.Name:
        return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])

    made = (
        x509.CertificateBuilder()
        .subject_name(called(name))
        .issuer_name(called(issuer))
        .public_key(own.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(start)
        .not_valid_after(start + timedelta(days=_DAYS))
        .add_extension(x509.BasicConstraints(server is None, None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(own.public_key()), False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), False
        )
    )
    if server is not None:
        usage = ExtendedKeyUsageOID.SERVER_AUTH if server else ExtendedKeyUsageOID.CLIENT_AUTH
        made = made.add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
        made = made.add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), False)
    return made.sign(signer, SHA256())


def _pem(certificate: "Certificate") -> bytes:
    from cryptography.hazmat.primitives.serialization import Encoding

    return certificate.public_bytes(Encoding.PEM)


def _key_pem(key: "EllipticCurvePrivateKey") -> bytes:
    from cryptography.hazmat.primitives.serialization import (
        Encoding,
        NoEncryption,
        PrivateFormat,
    )

    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
