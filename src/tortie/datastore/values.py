"""What is common to all backends: how a resource becomes bytes, and which metadata the store owns.

The store owns `uid`, `creationTimestamp` and `resourceVersion`. The first two are kept with the
bytes; the revision is kept beside them and put in on reading, so that bytes never contradict it.
"""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import NamedTuple
from uuid import uuid4

from tortie.api import Key, Resource
from tortie.api.codec import DecodeError, decode, encode, with_metadata
from tortie.datastore.contract import Conflict, DatastoreError, Listing, Malformed


class Identity(NamedTuple):
    """What an object keeps from its creation to its deletion."""

    uid: str
    created: str


def new_identity() -> Identity:
    """The identity of an object created now (RFC 3339, UTC, seconds; as Kubernetes writes it)."""
    return Identity(str(uuid4()), datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"))


def to_value(resource: Resource, identity: Identity) -> bytes:
    """The bytes under which `resource` is stored. Raises DatastoreError for one without a name."""
    if not resource.metadata.name:
        raise DatastoreError(f"a {resource.kind} without metadata.name can't be stored: name it")
    return encode(
        with_metadata(
            resource,
            uid=identity.uid,
            creation_timestamp=identity.created,
            resource_version="",
        )
    )


def from_value(key: Key, value: bytes, revision: int) -> Resource | Malformed:
    """The resource that `value` holds, with its revision; or why it holds none."""
    try:
        resource = decode(key.kind, value)
    except DecodeError as error:
        return Malformed(key, str(error), revision)
    if resource.key != key:
        return Malformed(key, f"what is stored there calls itself {resource.key}", revision)
    return with_metadata(resource, resource_version=str(revision))


def sound(key: Key, value: bytes, revision: int) -> Resource:
    """As `from_value`, for one object that was asked for. Raises DatastoreError if malformed."""
    found = from_value(key, value, revision)
    if isinstance(found, Malformed):
        raise DatastoreError(
            f"{key} is in the datastore but can't be read: {found.reason}. "
            "Replace it by applying it again, or delete it"
        )
    return found


def check_unchanged(key: Key, wanted: int | None, found: int) -> None:
    """Raise Conflict unless the writer read the revision that is `found` (or names none)."""
    if wanted is not None and wanted != found:
        raise Conflict(
            f"{key} is at revision {found}, the write was based on {wanted}: read it again, retry"
        )


def check_same_object(resource: Resource, found: Identity) -> None:
    """Raise Conflict where `resource` was read from an earlier object of the same name."""
    uid = resource.metadata.uid
    if uid and uid != found.uid:
        raise Conflict(
            f"{resource.key} was deleted and created anew since it was read (its uid is now "
            f"{found.uid}, the write names {uid}): read it again, retry"
        )


def revision_read(resource: Resource) -> int | None:
    """The revision on which a write of `resource` is based; None for an unconditional write."""
    text = resource.metadata.resource_version
    if not text:
        return None
    if not (text.isascii() and text.isdigit()):
        raise Conflict(
            f"{resource.key}: resourceVersion {text!r} is none that this datastore gave out: "
            "read the object again, or leave resourceVersion out"
        )
    return int(text)


def in_pages(listing: Listing, size: int) -> Iterator[Listing]:
    """A listing in parts of at most `size` objects; one empty part for an empty one."""
    objects = listing.resources
    for start in range(0, max(1, len(objects)), size):
        malformed = () if start else listing.malformed
        yield Listing(objects[start : start + size], malformed, listing.revision)
