"""Custom resources of both groups, and how address management deletes. Pure.

`projectcalico.org/v3` holds what people write, as it is. `crd.projectcalico.org/v1` keeps the
original metadata as JSON in the annotation projectcalico.org/metadata: labels and annotations of
people, owners and finalizers stand only there, so that nothing in the cluster acts on them twice.
Each object's UID there is the stored one's with its bits reversed: two objects never share one.
"""

import base64
import hashlib
from typing import Any

import msgspec
from msgspec.structs import replace

from tortie.api import KINDS, BlockAffinity, Key, ObjectMeta, Resource, encode, with_metadata
from tortie.api.unknown_fields import carried
from tortie.datastore.kubernetes.forms import JSON, Write, bare, is_ours, lean
from tortie.kubernetes.names import converted_uid

METADATA = "projectcalico.org/metadata"
SOFTLY_DELETED = frozenset({"IPAMBlock", "BlockAffinity", "IPAMHandle"})
_HASH_LABEL = "projectcalico.org/hostname-hash"
_TYPE_LABEL = "projectcalico.org/affinity-type"
_VERSION_LABEL = "projectcalico.org/ip-version"


def marked(stored: bytes, mark: bool | str) -> bytes:
    """The stored object with the mark that it is about to be deleted."""
    body = msgspec.json.decode(stored)
    spec = body.get("spec")
    body["spec"] = {**(spec if isinstance(spec, dict) else {}), "deleted": mark}
    return msgspec.json.encode(body)


class NativeForm:
    """Objects that the API keeps exactly as people write them."""

    strict = True

    def __init__(self, kind: str) -> None:
        self._kind = kind

    @property
    def wire(self) -> type[Resource]:
        """See `Form.wire`."""
        return KINDS[self._kind].type

    def read(self, item: Resource) -> Resource | None:
        """See `Form.read`."""
        return lean(item)

    def new(self, resource: Resource) -> bytes:
        """See `Form.new`."""
        return _required(resource, encode(bare(_written(resource))))

    def marked(self, stored: bytes) -> bytes:
        """Marked as about to be deleted."""
        return marked(stored, True)

    def changed(self, stored: bytes, resource: Resource, revision: str) -> Write | None:
        """See `Form.changed`."""
        written = _written(replace(resource, metadata=_addressed(resource.metadata, revision)))
        body = _required(resource, encode(written))
        return Write("PUT", carried(self._kind, stored, body), JSON)


class StoredForm:
    """Objects of the group in which an aggregated API server stores."""

    def __init__(self, kind: str, stored_kind: str) -> None:
        self._kind = kind
        self._stored_kind = stored_kind
        self.strict = kind != "BlockAffinity"  # its `deleted` is a text there

    @property
    def wire(self) -> type[Resource]:
        """See `Form.wire`."""
        return KINDS[self._kind].type

    def read(self, item: Resource) -> Resource | None:
        """See `Form.read`."""
        return msgspec.structs.replace(item, metadata=original(item.metadata))

    def new(self, resource: Resource) -> bytes:
        """See `Form.new`."""
        return self._stored(_written(resource), "")

    def changed(self, stored: bytes, resource: Resource, revision: str) -> Write | None:
        """See `Form.changed`."""
        body = self._stored(_written(resource), revision)
        known = msgspec.json.encode(self._known(msgspec.json.decode(stored)))
        # What is carried into metadata would be stored twice: it is all in the annotation.
        return Write("PUT", self._textual(carried(self._kind, known, body)), JSON)

    def marked(self, stored: bytes) -> bytes:
        """Marked as about to be deleted."""
        return marked(stored, True if self.strict else "true")

    def _stored(self, resource: Resource, revision: str) -> bytes:
        body = msgspec.to_builtins(resource)
        body["metadata"] = stored_metadata(resource.metadata, revision)
        head = {"apiVersion": "crd.projectcalico.org/v1", "kind": self._stored_kind}
        return self._textual(_required(resource, msgspec.json.encode({**head, **body})))

    def _known(self, body: dict[str, Any]) -> dict[str, Any]:
        """The stored object in the types that we know it by."""
        spec = body.get("spec")
        if not self.strict and isinstance(spec, dict) and isinstance(spec.get("deleted"), str):
            spec["deleted"] = spec["deleted"] == "true"
        return body

    def _textual(self, body: bytes) -> bytes:
        if self.strict:
            return body
        found = msgspec.json.decode(body)
        deleted = found["spec"].get("deleted")
        if isinstance(deleted, bool):
            found["spec"]["deleted"] = "true" if deleted else "false"
        return msgspec.json.encode(found)


def _required(resource: Resource, body: bytes) -> bytes:
    """Fields that definitions of the kind ask for, also where they have their default."""
    if resource.kind not in _ALWAYS_WRITTEN:
        return body
    found = msgspec.json.decode(body)
    found["spec"] = {**_ALWAYS_WRITTEN[resource.kind], **found.get("spec", {})}
    return msgspec.json.encode(found)


_ALWAYS_WRITTEN: dict[str, dict[str, Any]] = {
    "BlockAffinity": {"deleted": False},
    "IPAMHandle": {"deleted": False},
    "IPAMBlock": {"deleted": False, "sequenceNumber": 0},
    "IPAMConfiguration": {"strictAffinity": False, "autoAllocateBlocks": True},
}


def _written(resource: Resource) -> Resource:
    found = labelled(resource)
    key = stored_key(found.key)
    return found if key == found.key else with_metadata(found, name=key.name)


def stored_key(key: Key) -> Key:
    """What an object is called here: handles of addresses have names that Kubernetes would not
    take, and Calico lowers them, too. `spec.handleID` is as it was.
    """
    return key._replace(name=key.name.lower()) if key.kind == "IPAMHandle" else key


def labelled(resource: Resource) -> Resource:
    """A BlockAffinity with the labels by which others select; anything else as it is."""
    if not isinstance(resource, BlockAffinity):
        return resource
    spec = resource.spec
    digest = hashlib.sha3_256(spec.node.encode()).digest()
    labels = {
        **resource.metadata.labels,
        _HASH_LABEL: base64.b32encode(digest).decode().rstrip("="),
        _TYPE_LABEL: spec.type or "host",
        _VERSION_LABEL: "6" if ":" in spec.cidr else "4",
    }
    return replace(resource, metadata=replace(resource.metadata, labels=labels))


def _addressed(metadata: ObjectMeta, revision: str) -> ObjectMeta:
    return replace(metadata, resource_version=revision, managed_fields=None, self_link=None)


def original(stored: ObjectMeta) -> ObjectMeta:
    """The metadata that a stored object had. Raises ValueError for an annotation that is none."""
    given = {
        "name": stored.name,
        "namespace": stored.namespace,
        "uid": converted_uid(stored.uid),
        "resource_version": stored.resource_version,
    }
    text = stored.annotations.get(METADATA)
    if text is None:
        return replace(stored, managed_fields=None, generation=None, **given)
    try:
        kept = msgspec.json.decode(_without_null(text), type=ObjectMeta)
    except (msgspec.DecodeError, UnicodeError) as error:
        raise ValueError(f"annotation {METADATA}: {error}") from None
    rest = {name: value for name, value in stored.annotations.items() if name != METADATA}
    return replace(
        kept,
        labels={**stored.labels, **kept.labels},
        annotations={**rest, **kept.annotations},
        creation_timestamp=kept.creation_timestamp or stored.creation_timestamp,
        managed_fields=None,
        generation=None,
        **given,
    )


def _without_null(text: str) -> bytes:
    """Go writes an absent time as null, which is what absent means here."""
    found = msgspec.json.decode(text)
    if not isinstance(found, dict):
        raise msgspec.DecodeError("must be an object")
    return msgspec.json.encode({name: value for name, value in found.items() if value is not None})


def stored_metadata(metadata: ObjectMeta, revision: str) -> dict[str, Any]:
    """What the group's object gets as metadata."""
    kept = replace(
        metadata,
        name="",
        namespace="",
        uid="",
        resource_version="",
        managed_fields=None,
        generation=None,
        self_link=None,
    )
    annotations = {name: value for name, value in metadata.annotations.items() if is_ours(name)}
    stored = ObjectMeta(
        name=metadata.name,
        namespace=metadata.namespace,
        resource_version=revision,
        labels={name: value for name, value in metadata.labels.items() if is_ours(name)},
        annotations={**annotations, METADATA: msgspec.json.encode(kept).decode()},
    )
    found: dict[str, Any] = msgspec.to_builtins(stored)
    return found
