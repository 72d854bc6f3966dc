"""A certificate authority of the tests' own, for servers and clients; bad certificates too."""

import ipaddress
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

DAY = timedelta(days=1)


class Pair(NamedTuple):
    """A certificate with its key: PEM, and the files that have it (0600)."""

    certificate: bytes
    key: bytes
    certificate_file: Path
    key_file: Path


class Pki:
    """One authority; its files are in `folder`, which is there.

    `ca` is the authority's certificate as PEM, `ca_file` the file of it.
    """

    def __init__(self, folder: Path, name: str = "ca") -> None:
        self._folder = folder
        self._name = name
        self._issued = 0
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._subject = _name(f"tortie tests {name}", ())
        self._certificate = (
            self._started(self._subject, self._key.public_key(), DAY)
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .sign(self._key, hashes.SHA256())
        )
        self.ca = self._certificate.public_bytes(serialization.Encoding.PEM)
        self.ca_file = folder / f"{name}.crt"
        self.ca_file.write_bytes(self.ca)

    def issue(
        self,
        common_name: str,
        sans: Sequence[str] = (),
        organizations: Sequence[str] = (),
        lifetime: timedelta = DAY,
    ) -> Pair:
        """A certificate for servers and clients. A negative `lifetime`: it expired that long ago.

        Each of `sans` is an address ("127.0.0.1"), a URI ("spiffe://...") or a DNS name.
        """
        key = ec.generate_private_key(ec.SECP256R1())
        usages = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
        builder = self._started(_name(common_name, organizations), key.public_key(), lifetime)
        builder = builder.add_extension(x509.ExtendedKeyUsage(usages), critical=False)
        if sans:
            names = x509.SubjectAlternativeName([_san(name) for name in sans])
            builder = builder.add_extension(names, critical=False)
        signed = builder.sign(self._key, hashes.SHA256())
        return self._kept(signed.public_bytes(serialization.Encoding.PEM), _pem(key))

    def server(self, *sans: str) -> Pair:
        """A server's certificate for 127.0.0.1, localhost and `sans`."""
        return self.issue("localhost", ("127.0.0.1", "localhost", *sans))

    def _started(
        self, subject: x509.Name, key: ec.EllipticCurvePublicKey, lifetime: timedelta
    ) -> x509.CertificateBuilder:
        now = datetime.now(UTC)
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._subject)
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - 2 * DAY)
            .not_valid_after(now + lifetime)
        )

    def _kept(self, certificate: bytes, key: bytes) -> Pair:
        self._issued += 1
        stem = self._folder / f"{self._name}-{self._issued}"
        pair = Pair(certificate, key, stem.with_suffix(".crt"), stem.with_suffix(".key"))
        for file, content in ((pair.certificate_file, certificate), (pair.key_file, key)):
            file.touch(mode=0o600)
            file.write_bytes(content)
        return pair


def _name(common_name: str, organizations: Sequence[str]) -> x509.Name:
    return x509.Name(
        [
            *(x509.NameAttribute(NameOID.ORGANIZATION_NAME, name) for name in organizations),
            x509.NameAttribute(NameOID.COMMON_NAME, common_name),
        ]
    )


def _san(name: str) -> x509.GeneralName:
    if "://" in name:
        return x509.UniformResourceIdentifier(name)
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
