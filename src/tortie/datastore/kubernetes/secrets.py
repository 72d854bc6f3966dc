"""Secrets of the API server: read by name, one at a time, never listed and never kept."""

import base64
import binascii
from collections.abc import Mapping

import msgspec
from msgspec import Struct

from tortie.datastore.contract import DatastoreError
from tortie.datastore.kubernetes.client import Client, Refused, Request
from tortie.datastore.kubernetes.errors import Status
from tortie.datastore.kubernetes.places import segment

_NOT_FOUND = 404


class _Secret(Struct, frozen=True):
    data: dict[str, str] | None = None


async def read_secret(client: Client, namespace: str, name: str) -> Mapping[str, bytes] | None:
    """The data of a Secret; None where there is none. Raises DatastoreError, without its values."""
    path = f"/api/v1/namespaces/{segment(namespace)}/secrets/{segment(name)}"
    about = f"Secret({namespace}/{name})"
    try:
        body = await client.send(Request(about, path))
    except Refused as refused:
        if _is_missing(refused.status):
            return None
        raise refused.error from None
    try:
        found = msgspec.json.decode(body, type=_Secret).data or {}
        return {key: base64.b64decode(value, validate=True) for key, value in found.items()}
    except (msgspec.DecodeError, binascii.Error):
        raise DatastoreError(f"{about} can't be read: it is no Secret") from None


def _is_missing(status: Status) -> bool:
    return status.code == _NOT_FOUND
