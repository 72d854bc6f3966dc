"""Kubernetes' Service: a name and addresses for pods."""

from typing import Literal

from msgspec import field

from tortie.api import checks
from tortie.api.fields import Fields, IntOrText, Port, Unset, Unused
from tortie.api.meta import Resource
from tortie.api.rules import (
    Validators,
    each,
    inside,
    items,
    must,
    number_or_text,
    pairs,
    text,
    unique,
)


class ServicePort(Fields, frozen=True, kw_only=True):
    """A port of the Service and where it leads to."""

    name: str = ""
    """The name; needed where there are several ports."""
    port: Port
    """The Service's port."""
    protocol: Literal["TCP", "UDP", "SCTP"] | Unset = ""
    """The protocol. Absent: TCP."""
    target_port: IntOrText | None = None
    """The pods' port, by number or name. Absent: `port`."""
    node_port: int | None = None
    """The port of every node that leads to it."""
    app_protocol: Unused = None


class ServiceSpec(Fields, frozen=True, kw_only=True):
    """Addresses, ports, and the pods behind them."""

    selector: dict[str, str] = field(default_factory=dict)
    """Labels of the pods."""
    ports: tuple[ServicePort, ...] = ()
    """The ports."""
    type: Literal["ClusterIP", "NodePort", "LoadBalancer", "ExternalName"] | Unset = ""
    """Who reaches it: pods, also the nodes' ports, also a load balancer, or nobody. Absent:
    ClusterIP."""
    cluster_ip: str = field(default="", name="clusterIP")
    """The address inside the cluster, or "None"."""
    cluster_ips: tuple[str, ...] = field(default=(), name="clusterIPs")
    """The same for both families."""
    external_ips: tuple[str, ...] = field(default=(), name="externalIPs")
    """More addresses."""
    load_balancer_ip: str = field(default="", name="loadBalancerIP")
    """The load balancer's address that is wished for."""
    load_balancer_class: str = ""
    """Who gives it its load balancer's address."""
    external_traffic_policy: Literal["Cluster", "Local"] | Unset = ""
    """Local: from outside only to pods of the same node."""
    internal_traffic_policy: Literal["Cluster", "Local"] | Unset = ""
    """Local: from inside only to pods of the same node."""

    allocate_load_balancer_node_ports: Unused = None
    external_name: Unused = None
    health_check_node_port: Unused = None
    ip_families: Unused = None
    ip_family_policy: Unused = None
    load_balancer_source_ranges: Unused = None
    publish_not_ready_addresses: Unused = None
    session_affinity: Unused = None
    session_affinity_config: Unused = None
    traffic_distribution: Unused = None


class Service(Resource, frozen=True, kw_only=True):
    """A name and addresses for pods."""

    api_version = "v1"
    kind = "Service"

    spec: ServiceSpec = ServiceSpec()
    status: Unused = None


def _cluster_ip(value: str) -> None:
    if value != "None":
        checks.address(value)


SPEC_RULES: Validators[ServiceSpec] = (
    pairs("selector", checks.qualified_name, checks.label_value),
    items(
        "ports", (text("name", checks.dns_label), number_or_text("target_port", checks.single_port))
    ),
    must(
        "ports",
        "each of several ports needs a name",
        lambda s: len(s.ports) < 2 or all(port.name for port in s.ports),
    ),
    unique("ports", key=lambda port: port.name),
    text("cluster_ip", _cluster_ip),
    each("cluster_ips", _cluster_ip),
    each("external_ips", checks.address),
    text("load_balancer_ip", checks.address),
)

RULES = (inside("metadata", (text("name", checks.dns_label),)), inside("spec", SPEC_RULES))
