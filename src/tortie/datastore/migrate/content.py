"""What makes two objects of two stores the same. Pure.

uid, revision and creation time are each store's own. Some stores add what others derive: labels of
a block's claim, or what a kubelet says of a node. An API server writes defaults that elsewhere
stay unsaid, which is the same said twice.
"""

from hashlib import blake2b
from typing import Any

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from tortie.api import BlockAffinity, IPAMHandle, Node, ObjectMeta, Resource
from tortie.api.validation import apply_defaults

_LABELS_OF_CLAIMS = frozenset(
    f"projectcalico.org/{name}" for name in ("hostname-hash", "affinity-type", "ip-version")
)
_KUBE_LABELS = "projectcalico.org/kube-labels"
_encode = msgspec.json.Encoder().encode


def bare(resource: Resource) -> Resource:
    """The object as another store is to be given it."""
    return replace(
        resource,
        metadata=replace(
            resource.metadata,
            uid="",
            resource_version="",
            creation_timestamp=None,
            generation=None,
            managed_fields=None,
            self_link=None,
        ),
    )


def digest_of(resource: Resource) -> bytes:
    """16 bytes that are equal for equal contents, and differ for others."""
    found = bare(resource)
    metadata = replace(found.metadata, owner_references=_owners(found.metadata))
    found = replace(found, metadata=metadata)
    if isinstance(found, BlockAffinity):
        found = _claim(found)
    elif isinstance(found, IPAMHandle):
        # Kubernetes demands lower case of names, and the name follows from the handle.
        found = replace(found, metadata=replace(metadata, name=metadata.name.lower()))
    return blake2b(_encode(_whole(apply_defaults(found))), digest_size=16).digest()


def _whole(value: Any) -> Any:
    """All fields of a value, in order, also those that a written object leaves out."""
    if isinstance(value, Struct):
        return [_whole(getattr(value, name)) for name in value.__struct_fields__]
    if isinstance(value, dict):
        return {name: _whole(value[name]) for name in sorted(value)}
    if isinstance(value, list | tuple):
        return [_whole(item) for item in value]
    return value


def _owners(metadata: ObjectMeta) -> Any:
    """Owners by name: their uids differ from store to store."""
    owners = metadata.owner_references
    if not isinstance(owners, list | tuple):
        return owners
    return [
        {name: value for name, value in owner.items() if name != "uid"}
        if isinstance(owner, dict)
        else owner
        for owner in owners
    ]


def _claim(claim: BlockAffinity) -> BlockAffinity:
    labels = {k: v for k, v in claim.metadata.labels.items() if k not in _LABELS_OF_CLAIMS}
    return replace(
        claim,
        metadata=replace(claim.metadata, labels=labels),
        spec=replace(claim.spec, type=claim.spec.type or "host"),
    )


def calicos_part(node: Node, machine: Node) -> Node:
    """`node` without what Kubernetes says of the machine by itself; `machine` is it there."""
    told = machine.metadata.annotations.get(_KUBE_LABELS, "")
    try:
        its_own = set(msgspec.json.decode(told, type=dict[str, str])) if told else set()
    except msgspec.DecodeError:
        its_own = set()
    metadata = node.metadata
    labels = {name: value for name, value in metadata.labels.items() if name not in its_own}
    annotations = {k: v for k, v in metadata.annotations.items() if k != _KUBE_LABELS}
    status = None if node.status is None else replace(node.status, pod_cidrs=())
    return replace(
        node,
        metadata=replace(
            metadata,
            labels=labels,
            annotations=annotations,
            owner_references=None,
            finalizers=None,
        ),
        spec=replace(node.spec, orch_refs=(), addresses=()),
        status=None if status is None or status == type(status)() else status,
    )


def same_node(wanted: Node, found: Node) -> bool:
    """Whether a Node on Kubernetes says all that is Calico's of `wanted`."""
    return digest_of(calicos_part(wanted, found)) == digest_of(calicos_part(found, found))
