"""A token of the plugin's own account, asked for by the account that the installer runs as.

TokenRequest of authentication.k8s.io/v1: the API server may give another life than was asked for,
so that the answer says when it ends.
"""

from datetime import UTC, datetime

import msgspec
from msgspec import Struct

from tortie.cni.installer.errors import InstallError
from tortie.cni.installer.settings import InstallSettings, Server
from tortie.datastore import DatastoreError
from tortie.datastore.kubernetes.access import Access, checked, is_token, read_bytes
from tortie.datastore.kubernetes.client import Client, Refused, Request

_QPS, _BURST = 5.0, 10


class Token(Struct, frozen=True):
    """A token and when it ends."""

    text: str
    expires: datetime

    def __repr__(self) -> str:
        return f"Token(..., {self.expires})"


class _Status(Struct, frozen=True, rename="camel"):
    token: str
    expiration_timestamp: datetime


class _Answer(Struct, frozen=True):
    status: _Status


def authority(settings: InstallSettings) -> bytes:
    """The certificates that the API server's is signed by, PEM. Raises DatastoreError."""
    if settings.insecure:
        return b""
    return read_bytes(settings.ca_file or settings.account / "ca.crt", "the API server's authority")


async def new_token(settings: InstallSettings, server: Server) -> Token:
    """A new token. Raises InstallError, DatastoreError."""
    client = Client(_access(settings, server), _QPS, _BURST)
    try:
        return answered(await client.send(_request(settings)))
    except Refused as refused:
        raise InstallError(_advice(settings, refused)) from None
    finally:
        await client.close()


def _access(settings: InstallSettings, server: Server) -> Access:
    token = settings.account / "token"
    return checked(
        Access(
            server=server.url,
            origin="KUBERNETES_SERVICE_HOST",
            identity=f"the service account token {token}",
            ca=authority(settings),
            insecure=settings.insecure,
            token_file=str(token),
        )
    )


def namespace(settings: InstallSettings) -> str:
    """The namespace of the account that the installer runs as. Raises DatastoreError."""
    return read_bytes(settings.account / "namespace", "the account's namespace").decode().strip()


def _request(settings: InstallSettings) -> Request:
    where = namespace(settings)
    if not where.replace("-", "").isalnum():
        raise InstallError(f"{settings.account / 'namespace'} names no namespace: {where[:60]!r}")
    asked = {
        "apiVersion": "authentication.k8s.io/v1",
        "kind": "TokenRequest",
        "spec": {"expirationSeconds": settings.token_seconds},
    }
    return Request(
        about=f"a token of ServiceAccount {where}/{settings.account_name}",
        path=f"/api/v1/namespaces/{where}/serviceaccounts/{settings.account_name}/token",
        method="POST",
        body=msgspec.json.encode(asked),
    )


def answered(body: bytes) -> Token:
    """The token that an answer holds. Raises DatastoreError."""
    try:
        status = msgspec.json.decode(body, type=_Answer).status
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise DatastoreError("the API server did not answer with a token") from None
    if not status.token or not is_token(status.token):
        raise DatastoreError("the API server gave a token with characters that no token has")
    expires = status.expiration_timestamp
    return Token(status.token, expires.replace(tzinfo=expires.tzinfo or UTC))


def _advice(settings: InstallSettings, refused: Refused) -> str:
    name = settings.account_name
    if refused.status.code == 404:
        return (
            f"{refused}: make ServiceAccount {name}, or name another (CALICO_CNI_SERVICE_ACCOUNT)"
        )
    if refused.status.code == 403:
        return f"{refused}: let this account create serviceaccounts/token of {name}"
    return str(refused)
