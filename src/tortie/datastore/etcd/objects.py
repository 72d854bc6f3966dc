"""What stands in etcd, as objects; and objects, as what stands there. Pure.

An object that has no uid of its own (IPAM's never have, in Calico's model) gets one that follows
from its key and the revision at which it was created: the same for everybody, until it is deleted.
"""

import random
from collections.abc import Container
from uuid import UUID, uuid5

from tortie.api import Key, Resource, with_metadata
from tortie.api.codec import DecodeError, decode, encode
from tortie.api.unknown_fields import carried
from tortie.datastore.contract import Deleted, Event, Malformed, Put
from tortie.datastore.etcd import rpc_pb2 as pb
from tortie.datastore.etcd.layout import key_of
from tortie.datastore.etcd.models import from_model, to_model
from tortie.datastore.values import Identity, from_value, new_identity, sound, to_value

_UIDS = UUID("6d8c7a4e-51f0-5b3c-9a57-0f6b1d3e2c48")  # any constant of our own
_BLANKS = (b" ", b"\t", b"\n", b"\r")
_MARK_LENGTH = 16


def read(kv: pb.KeyValue, key: Key) -> Resource | Malformed:
    """The object that stands there."""
    found = from_value(key, from_model(kv.key, key, kv.value), kv.mod_revision)
    if isinstance(found, Resource) and not found.metadata.uid:
        return with_metadata(found, uid=_derived_uid(kv))
    return found


def read_sound(kv: pb.KeyValue, key: Key) -> Resource:
    """The object that was asked for. Raises DatastoreError if it is malformed."""
    found = read(kv, key)
    if isinstance(found, Malformed):
        return sound(key, from_model(kv.key, key, kv.value), kv.mod_revision)
    return found


def event(change: pb.Event, kinds: Container[str]) -> Event | None:
    """A change of an object of these kinds; None for any other."""
    kv = change.kv
    key = key_of(kv.key)
    if key is None or key.kind not in kinds:
        return None
    if change.type == pb.Event.DELETE:
        return Deleted(key, kv.mod_revision)
    found = read(kv, key)
    return found if isinstance(found, Malformed) else Put(key, found, kv.mod_revision)


def identity_of(kv: pb.KeyValue, key: Key) -> Identity:
    """What an object keeps when it is replaced. One that is malformed gets another."""
    try:
        metadata = decode(key.kind, from_model(kv.key, key, kv.value)).metadata
    except DecodeError:
        return new_identity()
    return Identity(metadata.uid or _derived_uid(kv), metadata.creation_timestamp or "")


def new_value(resource: Resource, identity: Identity) -> bytes:
    """The bytes of an object that is created. Raises DatastoreError for one without a name."""
    return to_model(resource.key, to_value(resource, identity)) + mark()


def next_value(kv: pb.KeyValue, resource: Resource, identity: Identity) -> bytes:
    """The bytes that replace what stands there, with what we don't know of it."""
    key = resource.key
    stored = from_model(kv.key, key, kv.value.rstrip())
    written = carried(key.kind, stored, _encoded(resource, identity))
    return to_model(key, written) + mark()


def mark() -> bytes:
    """White space by which a writer knows its own write again; to every reader of JSON nothing.

    Two writers may write equal objects in place of the same one. When the answer is lost, the one
    that lost the race must not take the other's write for its own. 32 bits of chance.
    """
    chance = random.getrandbits(2 * _MARK_LENGTH)
    return b"".join(_BLANKS[chance >> 2 * place & 3] for place in range(_MARK_LENGTH))


def _encoded(resource: Resource, identity: Identity) -> bytes:
    if identity.created:
        return to_value(resource, identity)
    changes = {"uid": identity.uid, "creation_timestamp": None, "resource_version": ""}
    return encode(with_metadata(resource, **changes))


def _derived_uid(kv: pb.KeyValue) -> str:
    return str(uuid5(_UIDS, f"{kv.key.hex()}@{kv.create_revision}"))
