"""IPPool: addresses for workloads, and how packets to them travel."""

from collections.abc import Iterable
from typing import Annotated, Literal

from msgspec import Meta
from msgspec.structs import replace

from tortie.api import checks
from tortie.api.calico import API_VERSION
from tortie.api.calico.conditions import ConditionsStatus
from tortie.api.fields import Fields, SelectorText, Unset
from tortie.api.meta import Resource
from tortie.api.problems import Violation
from tortie.api.rules import (
    FORBIDDEN,
    Cel,
    Check,
    Validator,
    Validators,
    inside,
    must,
    present,
    text,
    unique,
)
from tortie.net import Prefix

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
    """What addresses are given out for. Absent: Workload, and Tunnel unless `namespace_selector`
    is set."""
    assignment_mode: Literal["Automatic", "Manual"] = "Automatic"
    """Whether all workloads get addresses from it, or only those that ask for the pool by name
    (Manual)."""

    @property
    def uses(self) -> tuple[PoolUse, ...]:
        """`allowed_uses`, with its default worked out."""
        if self.allowed_uses:
            return self.allowed_uses
        return ("Workload",) if self.namespace_selector else ("Workload", "Tunnel")


class IPPool(Resource, frozen=True, kw_only=True):
    """Addresses for workloads, and how packets to them travel."""

    api_version = API_VERSION
    kind = "IPPool"

    spec: IPPoolSpec
    status: ConditionsStatus | None = None


BLOCK_SIZE = {4: 26, 6: 122}  # where a pool does not say
_BLOCK_SIZES = {4: range(20, 33), 6: range(116, 129)}
MASKED = "IPPool CIDR must be strictly masked"


def _pool(spec: IPPoolSpec) -> Prefix | None:
    """The addresses; None where they can't be read, which another rule says."""
    return checks.cidr(spec.cidr) if checks.is_cidr(spec.cidr) else None


def _is_encapsulated(spec: IPPoolSpec) -> bool:
    return spec.ipip_mode not in ("", "Never") or spec.vxlan_mode not in ("", "Never")


def if_readable(check: Check) -> Check:
    """The check, for text that is a CIDR: what is none has been said to be none already."""

    def checked(text_: str) -> None:
        if checks.is_cidr(text_):
            check(text_)

    return checked


def _strictly_masked(text_: str) -> None:
    if (found := checks.network(text_)) != found.network:
        raise ValueError(f"{MASKED}: write {found.network}")


def _outside(link_local: str) -> Validator[IPPoolSpec]:
    reserved = checks.cidr(link_local)

    def holds(spec: IPPoolSpec) -> bool:
        pool = _pool(spec)
        return not pool or not (reserved.contains(pool.network) or pool.contains(reserved))

    return must(
        "cidr",
        f"IPPool CIDR overlaps with IPv{reserved.version} link local range {reserved}",
        holds,
        cel=Cel(
            f"!cidr('{reserved}').containsIP(cidr(self.cidr).ip()) && "
            f"!cidr(self.cidr).containsIP('{link_local.partition('/')[0]}')"
        ),
    )


def _block_size_fits(spec: IPPoolSpec) -> bool:
    pool = _pool(spec)
    return not pool or not spec.block_size or spec.block_size in _BLOCK_SIZES[pool.version]


def _holds_a_block(spec: IPPoolSpec) -> bool:
    pool = _pool(spec)
    return spec.disabled or not pool or pool.length <= (spec.block_size or BLOCK_SIZE[pool.version])


SPEC_RULES: Validators[IPPoolSpec] = (
    present("cidr", checks.cidr),
    text(
        "cidr",
        if_readable(_strictly_masked),
        cel=Cel("cidr(self.cidr) == cidr(self.cidr).masked()", message=MASKED),
    ),
    _outside("169.254.0.0/16"),
    _outside("fe80::/10"),
    text("node_selector", checks.selector),
    text("namespace_selector", checks.selector),
    must(
        "node_selector",
        "global() selector is not valid for IPPool nodeSelector",
        lambda s: not checks.mentions_global(s.node_selector),
        cel=Cel("!has(self.nodeSelector) || !self.nodeSelector.contains('global(')"),
    ),
    must(
        "namespace_selector",
        "global() selector is not valid for IPPool namespaceSelector",
        lambda s: not checks.mentions_global(s.namespace_selector),
        cel=Cel("!has(self.namespaceSelector) || !self.namespaceSelector.contains('global(')"),
    ),
    unique("allowed_uses"),
    must(
        "ipip_mode",
        "ipipMode and vxlanMode cannot both be enabled",
        lambda s: s.ipip_mode in ("", "Never") or s.vxlan_mode in ("", "Never"),
        cel=Cel(
            "!has(self.ipipMode) || !has(self.vxlanMode) || self.ipipMode == 'Never' || "
            "self.vxlanMode == 'Never' || size(self.ipipMode) == 0 || size(self.vxlanMode) == 0",
            FORBIDDEN,
        ),
    ),
    must(
        "allowed_uses",
        "LoadBalancer IP pool cannot have IPIP or VXLAN enabled",
        lambda s: "LoadBalancer" not in s.allowed_uses or not _is_encapsulated(s),
        cel=Cel(
            "!has(self.allowedUses) || !self.allowedUses.exists(u, u == 'LoadBalancer') || "
            "(!has(self.ipipMode) || size(self.ipipMode) == 0 || self.ipipMode == 'Never') && "
            "(!has(self.vxlanMode) || size(self.vxlanMode) == 0 || self.vxlanMode == 'Never')",
            FORBIDDEN,
        ),
    ),
    must(
        "allowed_uses",
        "LoadBalancer cannot be combined with Workload or Tunnel allowed uses",
        lambda s: "LoadBalancer" not in s.allowed_uses or set(s.allowed_uses) == {"LoadBalancer"},
        cel=Cel(
            "!has(self.allowedUses) || !self.allowedUses.exists(u, u == 'LoadBalancer') || "
            "!self.allowedUses.exists(u, u == 'Workload' || u == 'Tunnel')",
            FORBIDDEN,
        ),
    ),
    must(
        "ipip_mode",
        "IPIP is not supported on IPv6 pools",
        lambda s: s.ipip_mode in ("", "Never") or ":" not in s.cidr,
        cel=Cel(
            "cidr(self.cidr).ip().family() != 6 || !has(self.ipipMode) || "
            "self.ipipMode == 'Never' || size(self.ipipMode) == 0",
            FORBIDDEN,
        ),
    ),
    must(
        "disable_bgp_export",
        "LoadBalancer IP pools cannot disable BGP export",
        lambda s: "LoadBalancer" not in s.allowed_uses or not s.disable_bgp_export,
        cel=Cel(
            "!has(self.allowedUses) || !self.allowedUses.exists(u, u == 'LoadBalancer') || "
            "!has(self.disableBGPExport) || !self.disableBGPExport",
            FORBIDDEN,
        ),
    ),
    must(
        "node_selector",
        "IP Pool with AllowedUse LoadBalancer must have nodeSelector set to all()",
        lambda s: "LoadBalancer" not in s.allowed_uses or s.node_selector in ("", "all()"),
        cel=Cel(
            "!has(self.allowedUses) || !self.allowedUses.exists(u, u == 'LoadBalancer') || "
            "self.nodeSelector == 'all()'"
        ),
    ),
    must(
        "namespace_selector",
        "IP Pool with AllowedUse Tunnel cannot have namespaceSelector",
        lambda s: "Tunnel" not in s.allowed_uses or not s.namespace_selector,
        cel=Cel(
            "!has(self.allowedUses) || !self.allowedUses.exists(u, u == 'Tunnel') || "
            "!has(self.namespaceSelector) || size(self.namespaceSelector) == 0",
            FORBIDDEN,
        ),
    ),
    must(
        "block_size",
        "blockSize must be between 20 and 32 for IPv4 pools, "
        "and between 116 and 128 for IPv6 pools",
        _block_size_fits,
        cel=Cel(
            "!has(self.blockSize) || self.blockSize == 0 || (cidr(self.cidr).ip().family() == 4 ? "
            "self.blockSize >= 20 && self.blockSize <= 32 : self.blockSize >= 116 && "
            "self.blockSize <= 128)"
        ),
    ),
    must(
        "cidr",
        "IP pool size is too small for use with Calico IPAM. "
        "It must be equal to or greater than the block size.",
        _holds_a_block,
        cel=Cel(
            "(has(self.disabled) && self.disabled) || cidr(self.cidr).prefixLength() <= "
            "(has(self.blockSize) && self.blockSize != 0 ? self.blockSize : "
            "(cidr(self.cidr).ip().family() == 4 ? 26 : 122))"
        ),
    ),
)

RULES = (inside("spec", SPEC_RULES),)

IMMUTABLE = {
    "spec.cidr": (
        "spec.cidr",
        "CIDR cannot be changed; follow IP pool migration guide to avoid corruption.",
    ),
    "spec.block_size": (
        "spec.blockSize",
        "Block size cannot be changed; follow IP pool migration guide to avoid corruption.",
    ),
}
"""What an update may not change: the field, its path, and why."""


def with_defaults(pool: IPPool) -> IPPool:
    """Block size, uses and modes where they are absent."""
    spec = pool.spec
    size = BLOCK_SIZE[found.version] if (found := _pool(spec)) else spec.block_size
    filled = replace(
        spec,
        block_size=spec.block_size or size,
        vxlan_mode=spec.vxlan_mode or "Never",
        ipip_mode=spec.ipip_mode or "Never",
        node_selector=spec.node_selector or "all()",
        allowed_uses=spec.uses,
    )
    return replace(pool, spec=filled)


def overlapping(pool: IPPool, others: Iterable[IPPool]) -> tuple[Violation, ...]:
    """What is wrong with a pool beside others: none may share an address with it.

    An older pool keeps its addresses, as in Calico, where the newer one is not Allocatable
    (reason CIDROverlap). A pool of the same name is the same pool.
    """
    own = _pool(pool.spec)
    return tuple(
        Violation(
            "spec.cidr",
            f"overlaps with {other.spec.cidr} of IPPool({other.metadata.name})",
            pool.spec.cidr,
            "choose another range, or delete that pool first",
        )
        for other in others
        if other.key != pool.key and own and (theirs := _pool(other.spec))
        if own.contains(theirs) or theirs.contains(own)
    )
