"""Resources as JSON bytes, for datastores."""

from collections.abc import Callable
from functools import cache
from typing import Any, TypeVar

import msgspec

from tortie.api.meta import Resource
from tortie.api.registry import KINDS, Kind

R = TypeVar("R", bound=Resource)
_encoder = msgspec.json.Encoder()


class DecodeError(ValueError):
    """Bytes that are no object of the kind; the message says where and why."""


def encode(resource: Resource) -> bytes:
    """The resource as JSON with apiVersion and kind, without the fields that have their default."""
    kind = KINDS[resource.kind]
    body = _encoder.encode(resource)
    separator = b"," if len(body) > 2 else b""
    return _head(kind.api_version, kind.manifest_kind) + separator + body[1:]


@cache
def _head(api_version: str, kind: str) -> bytes:
    return _encoder.encode({"apiVersion": api_version, "kind": kind})[:-1]


def decode(kind: str, data: bytes) -> Resource:
    """The resource of `kind` (the registry's name) in `data`. Unknown fields are ignored.

    Raises DecodeError for what is no JSON, of a wrong type, or outside a field's bounds.
    """
    try:
        return _decoder(kind)(data)
    except msgspec.ValidationError as error:
        return _without_nulls(KINDS[kind], data, str(error))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise DecodeError(f"{kind} is no JSON object: {error}") from None


@cache
def _decoder(kind: str) -> Callable[[bytes], Resource]:
    return msgspec.json.Decoder(KINDS[kind].type).decode


def _without_nulls(kind: Kind, data: bytes, reason: str) -> Resource:
    """A second try: other writers put null where a field is absent."""
    try:
        return msgspec.convert(drop_nulls(msgspec.json.decode(data)), kind.type)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):  # a ValidationError too
        raise DecodeError(f"{kind.name} can't be read: {reason}") from None


def drop_nulls(value: Any) -> Any:
    """The same value without fields that are null; nulls in lists stay."""
    if isinstance(value, dict):
        return {key: drop_nulls(item) for key, item in value.items() if item is not None}
    if isinstance(value, list):
        return [drop_nulls(item) for item in value]
    return value


def to_manifest(resource: Resource) -> dict[str, Any]:
    """The resource as plain dicts, lists and scalars, to be written as YAML or JSON."""
    kind = KINDS[resource.kind]
    body: dict[str, Any] = msgspec.to_builtins(resource)
    return {"apiVersion": kind.api_version, "kind": kind.manifest_kind, **_plain(body)}


def _plain(value: Any) -> Any:
    """Tuples as lists, which is what writers of YAML expect."""
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value


def with_metadata(resource: R, **changes: Any) -> R:
    """The same resource with these fields of its metadata changed."""
    metadata = msgspec.structs.replace(resource.metadata, **changes)
    return msgspec.structs.replace(resource, metadata=metadata)
