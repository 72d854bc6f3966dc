"""What becomes of an object whose target is the Kubernetes API. Pure.

There some kinds follow from others, and Kubernetes' own objects are the cluster's to make. Such an
object of the file is looked for, not written; where it is missing or other, that is told.
"""

from collections.abc import Mapping
from enum import Enum
from typing import NamedTuple

from tortie.api import KINDS, Key, Node, ObjectMeta, Profile, Resource, WorkloadEndpoint
from tortie.api.calico.node import NodeSpec
from tortie.datastore.migrate.content import same_node
from tortie.datastore.migrate.order import CLUSTERS_OWN
from tortie.datastore.migrate.survey import Found

_COPIED = "knp.default."  # NetworkPolicies that Calico's controllers copy from Kubernetes'
_BY_THE_SERVER = frozenset({"kubernetes.io/metadata.name"})
Objects = Mapping[Key, Found]


class Fate(Enum):
    """What is done with an object of the file."""

    CREATE = "is written"
    UPDATE = "is written over what is there"
    EQUAL = "is there already"
    FOLLOWS = "follows from what is there"
    UNKEPT = "can't be kept, which may be accepted"
    BLOCKED = "can't be kept, and must not be lost"


class Judged(NamedTuple):
    """A fate, and the reason where it is not a good one."""

    fate: Fate
    reason: str = ""


def judge(resource: Resource, objects: Objects, *, resumed: bool) -> Judged | None:
    """The fate of an object that Kubernetes does not simply store; None for any other."""
    key = resource.key
    found = objects.get(key)
    match resource:
        case Node():
            return _node(resource, found, resumed=resumed)
        case WorkloadEndpoint():
            return _endpoint(resource, found)
        case Profile():
            return _profile(found)
    if key.kind in CLUSTERS_OWN:
        return _clusters_own(resource, found)
    return _inside(key, objects)


def _inside(key: Key, objects: Objects) -> Judged | None:
    if key.kind == "NetworkPolicy" and key.name.startswith(_COPIED):
        return _copied(key, objects)
    if KINDS[key.kind].namespaced and Key("Namespace", "", key.namespace) not in objects:
        reason = f"there is no namespace {key.namespace!r} in the cluster: create it first"
        return Judged(Fate.BLOCKED, reason)
    return None


def _node(wanted: Node, found: Found | None, *, resumed: bool) -> Judged:
    if found is None:
        return Judged(Fate.UNKEPT, "Kubernetes has no node of that name: its kubelet makes it")
    there = found.resource
    assert isinstance(there, Node)
    if same_node(wanted, there):
        return Judged(Fate.EQUAL)
    nothing = Node(metadata=ObjectMeta(name=there.metadata.name), spec=NodeSpec())
    if resumed or same_node(nothing, there):
        return Judged(Fate.UPDATE)
    reason = "its annotations of projectcalico.org say something else in the cluster already"
    return Judged(Fate.BLOCKED, reason)


def _endpoint(wanted: WorkloadEndpoint, found: Found | None) -> Judged:
    if found is None:
        reason = "there is no Pod in the cluster that it follows from, and it can't be stored"
        return Judged(Fate.UNKEPT, reason)
    there = found.resource
    assert isinstance(there, WorkloadEndpoint)
    if set(there.spec.ip_networks) != set(wanted.spec.ip_networks):
        ours, theirs = _listed(wanted.spec.ip_networks), _listed(there.spec.ip_networks)
        return Judged(Fate.UNKEPT, f"has {ours} in the file, and its Pod in the cluster {theirs}")
    return Judged(Fate.FOLLOWS)


def _listed(texts: tuple[str, ...]) -> str:
    return ", ".join(texts) or "no address"


def _profile(found: Found | None) -> Judged:
    if found is not None:
        return Judged(Fate.FOLLOWS)
    reason = (
        "follows from a namespace (kns.) or service account (ksa.) that is not in the cluster, and "
        "can't be stored"
    )
    return Judged(Fate.UNKEPT, reason)


def _clusters_own(wanted: Resource, found: Found | None) -> Judged:
    """Kubernetes' copy counts; where policy would see another one, that is told."""
    if found is None:
        return Judged(Fate.UNKEPT, "is Kubernetes' own to make, and not in the cluster")
    assert found.resource is not None
    ours, theirs = wanted.metadata.labels, found.resource.metadata.labels
    names = sorted({*ours, *theirs} - _BY_THE_SERVER)
    other = [name for name in names if ours.get(name) != theirs.get(name)]
    if other:
        reason = f"the labels {', '.join(other)} are others in the cluster, and those count"
        return Judged(Fate.UNKEPT, reason)
    return Judged(Fate.FOLLOWS)


def _copied(key: Key, objects: Objects) -> Judged:
    source = Key("KubernetesNetworkPolicy", key.namespace, key.name.removeprefix(_COPIED))
    if source in objects:
        return Judged(Fate.FOLLOWS)
    reason = f"is a copy of {source}, which is not in the cluster: create that first"
    return Judged(Fate.BLOCKED, reason)
