"""What is nobody's to see: etcd's certificates, those of agents and of the fan-out's servers."""

from base64 import b64encode
from collections.abc import Mapping

from msgspec import Struct

from tortie.install.manifests.choices import Choices
from tortie.install.manifests.config import ETCD_SECRET
from tortie.install.manifests.environment import (
    AUTHORITY,
    AUTHORITY_FILE,
    NODE_CERTIFICATES,
    SERVER_CERTIFICATES,
)
from tortie.install.manifests.objects import Object, of_namespace


class Certificates(Struct, frozen=True):
    """PEM of one authority and of two pairs, each (certificate, key)."""

    authority: bytes
    server: tuple[bytes, bytes]
    node: tuple[bytes, bytes]

    def __repr__(self) -> str:
        return "Certificates(...)"  # there are keys in it


def etcd_secret(made: Choices) -> list[Object]:
    """etcd's, where they were given here."""
    if made.etcd_files is None:
        return []
    files = made.etcd_files
    data = {"etcd-ca": files.authority, "etcd-cert": files.certificate, "etcd-key": files.key}
    return [_secret(ETCD_SECRET, "Opaque", data)]


def certificate_objects(made: Certificates) -> list[Object]:
    """What agents and servers show each other, by the names that their pods look for."""
    data = {AUTHORITY_FILE: made.authority.decode()}
    authority = {**of_namespace("ConfigMap", AUTHORITY), "data": data}
    pairs = {SERVER_CERTIFICATES: made.server, NODE_CERTIFICATES: made.node}
    return [
        authority,
        *(
            _secret(name, "kubernetes.io/tls", {"tls.crt": certificate, "tls.key": key})
            for name, (certificate, key) in pairs.items()
        ),
    ]


def _secret(name: str, kind: str, data: Mapping[str, bytes]) -> Object:
    shown = {key: b64encode(value).decode() for key, value in data.items()}
    return {**of_namespace("Secret", name), "type": kind, "data": shown}
