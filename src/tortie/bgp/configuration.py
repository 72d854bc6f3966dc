"""The BGPConfiguration in force on a node: "default", with "node.NAME" over it. Pure.

What all nodes must agree on (the mesh, its password and AS number, what is announced for services)
is the default's alone: there a node of its own opinion would only break sessions.
"""

from collections.abc import Mapping
from typing import NamedTuple

from msgspec.structs import replace

from tortie.api import checks
from tortie.api.calico.bgp_configuration import BGPConfiguration, BGPConfigurationSpec
from tortie.bgp.filters import communities_of
from tortie.bgp.picture import Advertisement, Bfd, Problem
from tortie.bgp.values import PORT, milliseconds

DEFAULT_AS = 64512
DEFAULT = "default"
BFD_ANNOTATION = "tortie.io/bfd"
"""On a BGPPeer, or on BGPConfiguration "default" for the mesh: "Enabled", "Disabled", or the time
after which a peer counts as lost, such as "300ms". Ours: Calico has no such setting."""

_OWN = (
    *("log_severity_screen", "listen_port", "bind_mode", "ignored_interfaces"),
    *("communities", "prefix_advertisements", "program_cluster_routes"),
    *("local_workload_peering_ipv4", "local_workload_peering_ipv6"),
    *("ipv4_normal_route_priority", "ipv6_normal_route_priority", "node_mesh_max_restart_time"),
)
_COMMON = {
    "node_to_node_mesh_enabled": "nodeToNodeMeshEnabled",
    "as_number": "asNumber",
    "node_mesh_password": "nodeMeshPassword",
    "service_cluster_ips": "serviceClusterIPs",
    "service_external_ips": "serviceExternalIPs",
    "service_load_balancer_ips": "serviceLoadBalancerIPs",
    "service_load_balancer_aggregation": "serviceLoadBalancerAggregation",
}
_EMPTY = BGPConfigurationSpec()


class InForce(NamedTuple):
    """What a node goes by."""

    spec: BGPConfigurationSpec
    annotations: Mapping[str, str]
    where: str


def in_force(known: Mapping[str, BGPConfiguration], node: str, found: list[Problem]) -> InForce:
    """The default's fields, each replaced by the node's own where that has one."""
    default, own = known.get(DEFAULT), known.get(f"node.{node}")
    spec = _EMPTY if default is None else default.spec
    annotations = {} if default is None else default.metadata.annotations
    if own is not None:
        given = {name: getattr(own.spec, name) for name in _OWN}
        changes = {name: each for name, each in given.items() if each != getattr(_EMPTY, name)}
        spec = replace(spec, **changes)
        for name, shown in _COMMON.items():
            if getattr(own.spec, name) != getattr(_EMPTY, name):
                text = f"spec.{shown} counts in BGPConfiguration(default) only"
                found.append(Problem(str(own.key), text))
    return InForce(spec, annotations, f"BGPConfiguration({DEFAULT})")


def listen_port(known: Mapping[str, BGPConfiguration], node: str) -> int:
    """The port on which a node's BGP listens."""
    for name in (f"node.{node}", DEFAULT):
        if name in known and known[name].spec.listen_port is not None:
            return known[name].spec.listen_port or PORT
    return PORT


def bfd_of(annotations: Mapping[str, str]) -> Bfd | None:
    """How an annotation asks for BFD. Raises ValueError."""
    text = annotations.get(BFD_ANNOTATION, "Disabled")
    if text in ("Enabled", "Disabled"):
        return Bfd() if text == "Enabled" else None
    try:
        lost = milliseconds(text)
    except ValueError:
        lost = 0
    if not 30 <= lost <= 60_000:
        raise ValueError(
            f"{BFD_ANNOTATION}: {text!r} is not Enabled, Disabled or a time from 30ms to 60s"
        )
    multiplier = Bfd().multiplier
    return Bfd(interval=max(10, lost // multiplier), multiplier=multiplier)


def advertisements(current: InForce, found: list[Problem]) -> tuple[Advertisement, ...]:
    """Which communities go with which routes; names are looked up."""
    named = {each.name: each.value for each in current.spec.communities}
    result = []
    for each in current.spec.prefix_advertisements:
        try:
            cidr = checks.cidr(each.cidr).network
            values = tuple(communities_of(named.get(name, name)) for name in each.communities)
        except ValueError as problem:
            text = f"spec.prefixAdvertisements: {problem}; the entry is left out"
            found.append(Problem(current.where, text))
        else:
            result.append(Advertisement(cidr, values))
    return tuple(result)
