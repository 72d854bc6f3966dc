"""Kubernetes' Node: the machine as the kubelet sees it."""

from typing import Any

from msgspec import field

from tortie.api import checks
from tortie.api.fields import Fields, Unused
from tortie.api.meta import Resource
from tortie.api.rules import each, inside, text


class KubernetesNodeSpec(Fields, frozen=True, kw_only=True):
    """What networking needs of a node's specification."""

    pod_cidr: str = field(default="", name="podCIDR")
    """The addresses of its pods, where Kubernetes gives them out."""
    pod_cidrs: tuple[str, ...] = field(default=(), name="podCIDRs")
    """The same for both families."""

    config_source: Unused = None
    external_id: Unused = field(default=None, name="externalID")
    provider_id: Unused = field(default=None, name="providerID")
    taints: Unused = None
    unschedulable: Unused = None


class KubernetesNodeAddress(Fields, frozen=True, kw_only=True):
    """An address of the node."""

    type: str = ""
    """What it is: InternalIP, ExternalIP, Hostname and others."""
    address: str = ""
    """The address or name."""


class KubernetesNodeStatus(Fields, frozen=True, kw_only=True):
    """What networking needs of a node's status."""

    addresses: tuple[KubernetesNodeAddress, ...] = ()
    """The node's addresses."""

    allocatable: Unused = None
    capacity: Unused = None
    conditions: Unused = None
    config: Unused = None
    daemon_endpoints: Unused = None
    declared_features: Unused = None
    features: Unused = None
    images: Unused = None
    node_info: Unused = None
    phase: Unused = None
    runtime_handlers: Unused = None
    volumes_attached: Unused = None
    volumes_in_use: Unused = None


class KubernetesNode(Resource, frozen=True, kw_only=True):
    """Kubernetes' Node; Calico's own is `Node`."""

    api_version = "v1"
    kind = "KubernetesNode"

    spec: KubernetesNodeSpec = KubernetesNodeSpec()
    status: KubernetesNodeStatus | None = None


RULES: tuple[Any, ...] = (
    inside("spec", (text("pod_cidr", checks.cidr), each("pod_cidrs", checks.cidr))),
)
