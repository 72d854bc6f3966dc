"""IPPool: addresses for workloads, and how packets to them travel."""

from typing import Annotated, Literal

from msgspec import Meta

from tortie.api.calico import API_VERSION
from tortie.api.calico.conditions import ConditionsStatus
from tortie.api.fields import Fields, SelectorText, Unset
from tortie.api.meta import Resource

EncapMode = Literal["Never", "Always", "CrossSubnet"]
PoolUse = Literal["Workload", "Tunnel", "LoadBalancer"]


class IPPoolSpec(Fields, frozen=True, kw_only=True):
    """A range of addresses and what it is for."""

    cidr: Annotated[str, Meta(max_length=48, extra_json_schema={"format": "cidr"})]
    """The addresses; host bits zero. Can't be changed."""
    vxlan_mode: EncapMode | Unset = ""
    """VXLAN to other nodes: CrossSubnet only where they are on another subnet. Absent: Never."""
    ipip_mode: EncapMode | Unset = ""
    """IP-in-IP likewise; IPv4 only, and not with VXLAN. Absent: Never."""
    nat_outgoing: bool = False
    """Packets to addresses outside all pools get the node's address as source."""
    disabled: bool = False
    """No new addresses are given out; those in use stay."""
    disable_bgp_export: bool = False
    """Routes of this pool aren't told to BGP peers."""
    block_size: Annotated[int, Meta(ge=0, le=128)] | None = None
    """Prefix length of the blocks that nodes get; 20-32 (IPv4) or 116-128. Can't be changed."""
    node_selector: SelectorText = "all()"
    """Labels of the nodes whose workloads get addresses from it."""
    namespace_selector: SelectorText = ""
    """Labels of the namespaces whose workloads do. Absent: all."""
    allowed_uses: Annotated[
        tuple[PoolUse, ...],
        Meta(max_length=10, extra_json_schema={"x-kubernetes-list-type": "set"}),
    ] = ()
    """What addresses are given out for. Absent: Workload and Tunnel."""
    assignment_mode: Literal["Automatic", "Manual"] = "Automatic"
    """Manual: only to workloads that ask for the pool by name."""


class IPPool(Resource, frozen=True, kw_only=True):
    """Addresses for workloads, and how packets to them travel."""

    api_version = API_VERSION
    kind = "IPPool"

    spec: IPPoolSpec
    status: ConditionsStatus | None = None
