"""Where the API has each kind, and how its objects are told from the wire. Pure."""

from functools import cache
from urllib.parse import quote

from msgspec import Struct

from tortie.api import KINDS, Key
from tortie.api.registry import Kind
from tortie.datastore.contract import DatastoreError
from tortie.datastore.kubernetes.custom import NativeForm, StoredForm, stored_key
from tortie.datastore.kubernetes.derived import (
    DERIVED,
    EndpointForm,
    ProfileForm,
    source_key,
)
from tortie.datastore.kubernetes.forms import CoreForm, Form
from tortie.datastore.kubernetes.nodes import NodeForm
from tortie.datastore.kubernetes.pods import PodForm
from tortie.datastore.kubernetes.services import ServiceForm
from tortie.datastore.settings import CRD_V1, CRD_V3

_CORE = frozenset({"Pod", "Namespace", "ServiceAccount", "EndpointSlice"})
_STATUS = frozenset({"Pod", "Node", "KubernetesNode"})
# What may be changed of these through /status are annotations and labels: the least right for it.

_KUBERNETES_PLURALS = {
    "KubernetesNode": "nodes",
    "KubernetesNetworkPolicy": "networkpolicies",
    "KubernetesAdminNetworkPolicy": "adminnetworkpolicies",
    "KubernetesBaselineAdminNetworkPolicy": "baselineadminnetworkpolicies",
    "KubernetesClusterNetworkPolicy": "clusternetworkpolicies",
}
_STORED_NAMES = {"IPAMConfiguration": ("IPAMConfig", "ipamconfigs")}
_CALICO = "projectcalico.org/v3"


class Place(Struct, frozen=True, kw_only=True):
    """One kind in the API. `optional`: a server may lack it, and then there are none."""

    kind: str
    group_version: str
    plural: str
    namespaced: bool
    form: Form
    optional: bool = False
    part: str = ""  # what updates go to: "/status" or nothing

    @property
    def has_status(self) -> bool:
        """Whether the API keeps the status apart from the rest."""
        return self.group_version == CRD_V3 and "status" in self.form.wire.__struct_fields__

    @property
    def definition(self) -> str:
        """What its CustomResourceDefinition is called."""
        return f"{self.plural}.{self.group_version.partition('/')[0]}"

    def collection(self, namespace: str = "") -> str:
        """The path of all objects; of one namespace where given."""
        root = "/apis" if "/" in self.group_version else "/api"
        inside = f"/namespaces/{segment(namespace)}" if namespace and self.namespaced else ""
        return f"{root}/{self.group_version}{inside}/{self.plural}"

    def path(self, key: Key) -> str:
        """The path of one object. Raises DatastoreError for a key that no object can have."""
        if not key.name:
            raise DatastoreError(f"a {key.kind} without metadata.name can't be stored: name it")
        if self.namespaced != bool(key.namespace):
            rule = "needs metadata.namespace" if self.namespaced else "can't have a namespace"
            raise DatastoreError(f"{key}: a {key.kind} {rule} in Kubernetes")
        return f"{self.collection(key.namespace)}/{segment(stored_key(key).name)}"


def segment(text: str) -> str:
    """One segment of a path. A dot alone would be taken for a folder."""
    if text in (".", ".."):
        raise DatastoreError(f"{text!r} is no name")
    return quote(text, safe="")


@cache
def place_of(kind: str, group: str, pod_cidr: bool) -> Place:
    """Where `kind` is; `group` is settings.api_group."""
    if kind == "Node":
        return _place(kind, "v1", "nodes", NodeForm(pod_cidr), namespaced=False, part="/status")
    if kind == "WorkloadEndpoint":
        return _place(kind, "v1", "pods", EndpointForm(), part="/status")
    if kind == "Service":
        return _place(kind, "v1", "services", ServiceForm(), part="/status")
    if kind in _CORE or kind == "KubernetesNode":
        found = KINDS[kind]
        plural = _KUBERNETES_PLURALS.get(kind, found.plural)
        part = "/status" if kind in _STATUS else ""
        form = PodForm() if kind == "Pod" else CoreForm(kind)
        return _place(kind, found.api_version, plural, form, namespaced=found.namespaced, part=part)
    return _custom(KINDS[kind], group)


def profile_sources() -> tuple[Place, Place]:
    """Where Profiles come from: namespaces and service accounts."""
    return (
        _place("Profile", "v1", "namespaces", ProfileForm("Namespace"), namespaced=False),
        _place("Profile", "v1", "serviceaccounts", ProfileForm("ServiceAccount")),
    )


def _custom(kind: Kind, group: str) -> Place:
    if kind.api_version != _CALICO:
        plural = _KUBERNETES_PLURALS[kind.name]
        return _place(
            kind.name,
            kind.api_version,
            plural,
            NativeForm(kind.name),
            namespaced=kind.namespaced,
            optional="admin" in plural or "cluster" in plural,
        )
    if group != CRD_V1:
        form = NativeForm(kind.name)
        return _place(kind.name, group, kind.plural, form, namespaced=kind.namespaced)
    name, plural = _STORED_NAMES.get(kind.name, (kind.name, kind.plural))
    stored = StoredForm(kind.name, name)
    return _place(kind.name, group, plural, stored, namespaced=kind.namespaced)


def _place(
    kind: str,
    group_version: str,
    plural: str,
    form: Form,
    namespaced: bool = True,
    optional: bool = False,
    part: str = "",
) -> Place:
    return Place(
        kind=kind,
        group_version=group_version,
        plural=plural,
        namespaced=namespaced,
        form=form,
        optional=optional,
        part=part,
    )


class Places:
    """Where all kinds are, for one store's settings."""

    def __init__(self, group: str, pod_cidr: bool) -> None:
        self._group = group
        self._pod_cidr = pod_cidr

    def of(self, kind: str) -> Place:
        """Where objects of a kind are, or follow from."""
        return place_of(kind, self._group, self._pod_cidr)

    def sources(self, kind: str) -> tuple[Place, ...]:
        """As `of`, for a kind that may follow from several."""
        return profile_sources() if kind == "Profile" else (self.of(kind),)

    def where(self, key: Key) -> tuple[Place, Key]:
        """The place of an object, and the key of what is there in the API. Raises NotFound."""
        if key.kind not in DERIVED:
            return self.of(key.kind), key
        source = source_key(key)
        places = {place.form.wire.__name__: place for place in self.sources(key.kind)}
        return places[source.kind], source
