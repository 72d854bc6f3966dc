"""What becomes of a stored object when a manifest of it is applied. Pure.

A manifest is the whole of what a person says, so it replaces the object; but what the system has
recorded on the object is not the person's to erase by leaving it out.
"""

from typing import TypeVar

from msgspec.structs import replace

from tortie.api import Namespace, Pod, Resource, with_metadata

R = TypeVar("R", bound=Resource)
_RECORDED = "cni.projectcalico.org/"  # annotations by which the CNI plugin records addresses
_RECORDED_NAMES = frozenset(
    _RECORDED + name for name in ("podIP", "podIPs", "containerID", "network")
)
# What an API server keeps of an object's life; a file that was read from one may have them too.
_SERVERS = (
    *("generation", "managed_fields", "self_link"),
    *("deletion_timestamp", "deletion_grace_period_seconds"),
)
_NAME_LABEL = "kubernetes.io/metadata.name"


def admitted(resource: R) -> R:
    """The object as an API server takes it in: a namespace is labelled with its own name."""
    if not isinstance(resource, Namespace):
        return resource
    labels = {**resource.metadata.labels, _NAME_LABEL: resource.metadata.name}
    return with_metadata(resource, labels=labels)


def merged(stored: Resource, given: Resource) -> Resource:
    """What to store for `given` over `stored`, of one kind.

    A resourceVersion in the manifest stays: the write then fails if the object has moved on.
    """
    there, said = stored.metadata, given.metadata
    result = with_metadata(
        given,
        uid=there.uid,
        creation_timestamp=there.creation_timestamp,
        resource_version=said.resource_version or there.resource_version,
        annotations={**_recorded(stored), **said.annotations},
        finalizers=there.finalizers if said.finalizers is None else said.finalizers,
        owner_references=(
            there.owner_references if said.owner_references is None else said.owner_references
        ),
        **{name: getattr(there, name) for name in _SERVERS},
    )
    if getattr(given, "status", None) is None and getattr(stored, "status", None) is not None:
        result = replace(result, status=stored.status)  # type: ignore[attr-defined]
    if isinstance(result, Pod) and isinstance(stored, Pod) and not result.spec.node_name:
        result = replace(result, spec=replace(result.spec, node_name=stored.spec.node_name))
    return result


def without_bookkeeping(resource: R) -> R:
    """The resource without what the datastore writes into it."""
    names = dict.fromkeys(_SERVERS)
    return with_metadata(resource, uid="", resource_version="", creation_timestamp=None, **names)


def exported(resource: R) -> R:
    """The resource without what belongs to this cluster and this moment, to be applied to others.

    As calicoctl's `--export`: identity, version, times, owners and status go; of a Pod also its
    node and its addresses.
    """
    result = with_metadata(without_bookkeeping(resource), owner_references=None)
    if getattr(result, "status", None) is not None:
        result = replace(result, status=None)
    if isinstance(result, Pod):
        annotations = dict(result.metadata.annotations)
        for name in _RECORDED_NAMES:
            annotations.pop(name, None)
        result = with_metadata(result, annotations=annotations)
        result = replace(result, spec=replace(result.spec, node_name=""))
    return result


def _recorded(stored: Resource) -> dict[str, str]:
    if not isinstance(stored, Pod):
        return {}
    annotations = stored.metadata.annotations
    return {name: annotations[name] for name in annotations.keys() & _RECORDED_NAMES}
