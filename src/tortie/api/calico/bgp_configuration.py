"""BGPConfiguration: how all nodes speak BGP. "default" is for all, "node.NAME" for one."""

import re
from operator import attrgetter
from typing import Annotated, Literal

from msgspec import Meta, field
from msgspec.structs import replace

from tortie.api import checks
from tortie.api.calico import API_VERSION
from tortie.api.calico.felix.dataplane import ClusterRoutes
from tortie.api.fields import (
    Atomic,
    Cidr,
    Fields,
    LogSeverity,
    NameText,
    Port,
    RoutePriority,
    SecretKeySelector,
    TextSet,
    Unset,
    matching,
)
from tortie.api.meta import Resource
from tortie.api.problems import Violation, nearest
from tortie.api.rules import (
    FORBIDDEN,
    Cel,
    Validator,
    Validators,
    Where,
    each,
    given,
    inside,
    items,
    must,
    number_or_text,
    path_to,
    text,
    unique,
)

_AS_SCHEMA = {"format": "int32", "minimum": None, "maximum": None}
AsNumber = Annotated[int, Meta(ge=0, le=2**32 - 1, extra_json_schema=_AS_SCHEMA)]
"""32 bits without a sign, which the API's own schema can't say."""

_WRITTEN_SCHEMA = {
    "type": "integer",
    "format": "int32",
    **dict.fromkeys(("anyOf", "pattern", "x-kubernetes-int-or-string")),
}
WrittenAsNumber = Annotated[AsNumber | str | None, Meta(extra_json_schema=_WRITTEN_SCHEMA)]
"""As people write it: also "64512" and "1.10", which defaults make a number of."""


def as_number(value: int | str | None) -> int | str | None:
    """The number that is written; what is none is left for validation to say so."""
    try:
        return value if value is None else checks.as_number(value)
    except ValueError:
        return value


class Community(Atomic, frozen=True, kw_only=True):
    """A BGP community under a name."""

    name: NameText = ""
    """The name, for `prefix_advertisements`."""
    value: Annotated[str, matching(r"^(\d+):(\d+)$|^(\d+):(\d+):(\d+)$", max_length=40)] = ""
    """aa:nn (16 bits each) or aa:nn:mm (32 bits each)."""


class BgpPassword(Fields, frozen=True, kw_only=True):
    """A password for BGP sessions."""

    secret_key_ref: SecretKeySelector | None = None
    """The Secret that holds it."""


class PrefixAdvertisement(Atomic, frozen=True, kw_only=True):
    """Communities for the routes of a CIDR."""

    cidr: Cidr = ""
    """The routes."""
    communities: Annotated[tuple[str, ...], Meta(max_length=50)] = ()
    """Communities, by value or name."""


class ServiceBlock(Atomic, frozen=True, kw_only=True):
    """A CIDR of Services' addresses."""

    cidr: Cidr = ""
    """The CIDR."""


class BGPConfigurationSpec(Fields, frozen=True, kw_only=True):
    """How nodes speak BGP."""

    log_severity_screen: LogSeverity = "Info"
    """The least severity that is logged."""
    node_to_node_mesh_enabled: bool | None = None
    """Every node is a peer of every other. Absent: true."""
    as_number: WrittenAsNumber = None
    """The AS number of nodes that have none of their own. Absent: 64512."""
    service_load_balancer_ips: tuple[ServiceBlock, ...] = field(
        default=(), name="serviceLoadBalancerIPs"
    )
    """Load balancers' addresses that are advertised."""
    service_external_ips: tuple[ServiceBlock, ...] = ()
    """Services' external addresses that are advertised."""
    service_cluster_ips: tuple[ServiceBlock, ...] = ()
    """Services' cluster addresses that are advertised."""
    service_load_balancer_aggregation: Literal["Enabled", "Disabled"] = "Enabled"
    """Whether whole CIDRs are advertised for load balancers, rather than single addresses."""
    communities: Annotated[tuple[Community, ...], Meta(max_length=500)] = ()
    """Communities by name."""
    prefix_advertisements: Annotated[tuple[PrefixAdvertisement, ...], Meta(max_length=500)] = ()
    """Communities for routes."""
    listen_port: Port | None = None
    """The port of BGP. Absent: 179."""
    node_mesh_password: BgpPassword | None = None
    """The password between nodes."""
    node_mesh_max_restart_time: str = ""
    """How long routes of a peer that restarts are kept, as a duration. Absent: 120s."""
    bind_mode: Literal["None", "NodeIP"] | Unset = ""
    """Whether BGP listens on the node's address only (NodeIP). Absent: None."""
    ignored_interfaces: TextSet = ()
    """Interfaces whose routes aren't told; * stands for anything."""
    local_workload_peering_ipv4: str = field(default="", name="localWorkloadPeeringIPV4")
    """The node's IPv4 address for workloads that speak BGP."""
    local_workload_peering_ipv6: str = field(default="", name="localWorkloadPeeringIPV6")
    """The node's IPv6 address for workloads that speak BGP."""
    ipv4_normal_route_priority: RoutePriority | None = None
    """The kernel's priority of IPv4 routes learned, 1 to 2147483646; lower comes first. Absent:
    1024."""
    ipv6_normal_route_priority: RoutePriority | None = None
    """The kernel's priority of IPv6 routes learned, 1 to 2147483646; lower comes first. Absent:
    1024."""
    program_cluster_routes: ClusterRoutes | Unset = ""
    """Whose routes BGP programs; the agent programs the rest."""


class BGPConfiguration(Resource, frozen=True, kw_only=True):
    """How nodes speak BGP."""

    api_version = API_VERSION
    kind = "BGPConfiguration"

    spec: BGPConfigurationSpec


_VALUE = re.compile(r"(\d+):(\d+)(?::(\d+))?", flags=re.ASCII)


def community(value: str) -> None:
    """aa:nn with 16 bits each, or aa:nn:mm with 32 bits each."""
    found = _VALUE.fullmatch(value)
    bound = 2**16 if found and found[3] is None else 2**32
    if not found or any(len(part) > 10 or int(part) >= bound for part in found.groups() if part):
        raise ValueError(
            f"{value!r} is no community: aa:nn up to 65535, or aa:nn:mm up to 4294967295"
        )


def _not_everything(pattern: str) -> None:
    if not pattern.strip("*"):
        raise ValueError("'*' alone would ignore all interfaces")


def _known(spec: BGPConfigurationSpec, where: Where | None, found: list[Violation]) -> None:
    """Advertised communities are values, or names of the list."""
    names = {known.name for known in spec.communities}
    for index, advertised in enumerate(spec.prefix_advertisements):
        here = Where(where, spec, "prefix_advertisements", index)
        for number, name in enumerate(advertised.communities):
            try:
                if name not in names:
                    community(name)
            except ValueError as error:
                path = f"{path_to(advertised, 'communities', here)}[{number}]"
                hint = nearest(name, names) or "or name one of communities"
                found.append(Violation(path, str(error), name, hint))


SPEC_RULES: Validators[BGPConfigurationSpec] = (
    number_or_text("as_number", checks.as_number),
    must(
        "node_mesh_password",
        "nodeMeshPassword cannot be set when nodeToNodeMeshEnabled is false",
        lambda s: s.node_mesh_password is None or s.node_to_node_mesh_enabled is not False,
        cel=Cel(
            "!has(self.nodeMeshPassword) || !has(self.nodeToNodeMeshEnabled) || "
            "self.nodeToNodeMeshEnabled == true",
            FORBIDDEN,
        ),
    ),
    must(
        "node_mesh_max_restart_time",
        "nodeMeshMaxRestartTime cannot be set when nodeToNodeMeshEnabled is false",
        lambda s: not s.node_mesh_max_restart_time or s.node_to_node_mesh_enabled is not False,
        cel=Cel(
            "!has(self.nodeMeshMaxRestartTime) || !has(self.nodeToNodeMeshEnabled) || "
            "self.nodeToNodeMeshEnabled == true",
            FORBIDDEN,
        ),
    ),
    given(
        "communities",
        must(
            "communities",
            "communities are defined but not used in prefixAdvertisements",
            lambda s: s.prefix_advertisements,
            cel=Cel(
                "!has(self.communities) || size(self.communities) == 0 || "
                "(has(self.prefixAdvertisements) && size(self.prefixAdvertisements) > 0)"
            ),
        ),
    ),
    items("communities", (text("value", community),)),
    Validator(attrgetter("prefix_advertisements"), True, _known),
    items("prefix_advertisements", (text("cidr", checks.cidr),)),
    items("service_cluster_ips", (text("cidr", checks.cidr),)),
    items("service_external_ips", (text("cidr", checks.cidr),)),
    items("service_load_balancer_ips", (text("cidr", checks.cidr),)),
    text("node_mesh_max_restart_time", checks.duration),
    each("ignored_interfaces", _not_everything),
    unique("ignored_interfaces"),
    text("local_workload_peering_ipv4", checks.address4),
    text("local_workload_peering_ipv6", checks.address6),
)

RULES = (inside("spec", SPEC_RULES),)


def with_defaults(config: BGPConfiguration) -> BGPConfiguration:
    """The AS number as a number."""
    spec = replace(config.spec, as_number=as_number(config.spec.as_number))
    return replace(config, spec=spec)
