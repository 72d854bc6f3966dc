"""How one kind's objects stand on the wire: read as our types, and what a write sends. Pure.

A form never sends a core object back as a whole: what our types don't know would be lost, and most
of it is not ours to write.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple, Protocol, TypeVar

import msgspec
from msgspec.structs import force_setattr, replace

from tortie.api import KINDS, ObjectMeta, Resource, encode
from tortie.datastore.contract import DatastoreError, Invalid

R = TypeVar("R", bound=Resource)

OURS = ("projectcalico.org/", "operator.tigera.io/")
MERGE_PATCH = "application/merge-patch+json"
JSON = "application/json"


class Write(NamedTuple):
    """What an update sends."""

    method: str
    body: bytes
    content_type: str


class Form(Protocol):
    """One kind on the wire."""

    @property
    def wire(self) -> type[Resource]:
        """What items of lists and watches are decoded as."""
        ...

    @property
    def strict(self) -> bool:
        """Whether a text is never taken for a number or a truth value."""
        ...

    def read(self, item: Any) -> Resource | None:
        """The resource in an item, which is the caller's to change; None: it stands for nothing.

        Raises ValueError with the reason for what can't be read.
        """
        ...

    def new(self, resource: Resource) -> bytes:
        """The body that creates it."""
        ...

    def changed(self, stored: bytes, resource: Resource, revision: str, /) -> Write | None:
        """What makes `stored` into `resource`, if `stored` is still at `revision`; None: nothing.

        Raises Invalid for a change that is not ours to make.
        """
        ...


def is_ours(name: str) -> bool:
    """Whether a label or annotation is Calico's."""
    return any(part in name for part in OURS)


def lean(resource: R) -> R:
    """The same object, without the bookkeeping of who wrote what: it is often half of it."""
    if resource.metadata.managed_fields is not None:
        force_setattr(resource.metadata, "managed_fields", None)
    return resource


class CoreForm:
    """Kubernetes' own objects: read as they are; of them we write Calico's annotations only."""

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
        return encode(bare(resource))

    def changed(self, stored: bytes, resource: Resource, revision: str) -> Write | None:
        """See `Form.changed`."""
        before = lean(msgspec.json.decode(stored, type=self.wire))
        if comparable(before) != comparable(resource):
            raise Invalid(
                f"{resource.key}: only annotations of projectcalico.org can be changed here; "
                "change the rest with kubectl"
            )
        annotations = difference(before.metadata.annotations, resource.metadata.annotations)
        return annotate(before.metadata, annotations, revision)


def bare(resource: R) -> R:
    """The resource without what the server gives it."""
    metadata = replace(
        resource.metadata,
        uid="",
        resource_version="",
        creation_timestamp=None,
        generation=None,
        managed_fields=None,
        self_link=None,
    )
    return replace(resource, metadata=metadata)


def comparable(resource: R) -> R:
    """The resource without what we may change, or what no writer decides."""
    annotations = {k: v for k, v in resource.metadata.annotations.items() if not is_ours(k)}
    metadata = replace(bare(resource).metadata, annotations=annotations)
    return replace(resource, metadata=metadata)


def difference(before: Mapping[str, str], after: Mapping[str, str]) -> dict[str, str | None]:
    """What changes Calico's annotations from the one into the other; None removes."""
    names = sorted(name for name in {*before, *after} if is_ours(name))
    return {name: after.get(name) for name in names if before.get(name) != after.get(name)}


def annotate(
    metadata: ObjectMeta, annotations: Mapping[str, str | None], revision: str
) -> Write | None:
    """The patch of these annotations, for this very object at this revision; None: no change."""
    if not annotations:
        return None
    body = {
        "metadata": {
            "annotations": annotations,
            "resourceVersion": revision,
            "uid": metadata.uid,
        }
    }
    return Write("PATCH", msgspec.json.encode(body), MERGE_PATCH)


def refuse(kind: str, sources: str) -> DatastoreError:
    """The error for a write of what is not stored."""
    return Invalid(
        f"a {kind} can't be written with Kubernetes as datastore: it follows from {sources}"
    )
