"""Host endpoints as chains: which interface is whose, and what is asked there at each stage. Pure.

They stand in base chains of their own, behind those of workloads: what a host endpoint forbids is
dropped whatever a workload's policy says, and the other way round. Where a node has no host
endpoints, none of this is there.

    PREROUTING -299  cali-hep-untracked-in   → cali-fhu-<name>    before connection tracking
    OUTPUT     -299  cali-hep-untracked-out  → cali-thu-<name>
    PREROUTING -150  cali-hep-pre-dnat       → cali-fhp-<name>    before destination NAT
    FORWARD    1     cali-hep-FORWARD        → cali-fhfw-<name>, then cali-thfw-<name>
    INPUT      1     cali-hep-INPUT          → cali-fh-<name>
    OUTPUT     1     cali-hep-OUTPUT         → cali-th-<name>

An early rule that allows sets the mark's `early` bit, which lets the packet pass this host
endpoint's later stages. It is cleared where a packet comes in or begins.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from tortie.dataplane.nftables.chains import (
    CT_MAP,
    Chain,
    policies_text,
    profiles_text,
    tiers_text,
)
from tortie.dataplane.nftables.names import ChainName, Way, checked_interface, host_chain, set_name
from tortie.dataplane.nftables.settings import NftSettings
from tortie.dataplane.policy.families import Family
from tortie.dataplane.policy.interfaces import Addresses, Owners, owners
from tortie.dataplane.policy.nets import net_text
from tortie.engine.delta import ALL_HOSTS
from tortie.linux.netlink.nfnetlink import Hook
from tortie.net import Prefix
from tortie.policy.program import (
    EndpointId,
    Failsafe,
    HostEndpoint,
    TierPolicies,
)

EARLY_CHAIN, UNTRACKED_CHAIN = ChainName("cali-hep-early"), ChainName("cali-hep-untracked")
_LOOPBACK = "lo"
# Neighbour discovery, without which IPv6 finds no neighbour; nothing from beyond the link has 255.
_DISCOVERY = "ip6 hoplimit 255 icmpv6 type { 133, 134, 135, 136 }"


class _Place(NamedTuple):
    """One direction at one stage: the base chain that asks there, and the chains it leads to."""

    base: ChainName
    hook: Hook
    field: str
    prefix: str


_UNTRACKED_IN = _Place(
    ChainName("cali-hep-untracked-in"), Hook("filter", 0, -299, True), "iifname", "cali-fhu-"
)
_UNTRACKED_OUT = _Place(
    ChainName("cali-hep-untracked-out"), Hook("filter", 3, -299, True), "oifname", "cali-thu-"
)
_PRE_DNAT = _Place(
    ChainName("cali-hep-pre-dnat"), Hook("filter", 0, -150, True), "iifname", "cali-fhp-"
)
_FORWARD = Hook("filter", 2, 1, True)
_FORWARD_IN = _Place(ChainName("cali-hep-FORWARD"), _FORWARD, "iifname", "cali-fhfw-")
_FORWARD_OUT = _Place(ChainName("cali-hep-FORWARD"), _FORWARD, "oifname", "cali-thfw-")
_NORMAL_IN = _Place(ChainName("cali-hep-INPUT"), Hook("filter", 1, 1, True), "iifname", "cali-fh-")
_NORMAL_OUT = _Place(
    ChainName("cali-hep-OUTPUT"), Hook("filter", 3, 1, True), "oifname", "cali-th-"
)
_PLACES = (
    _UNTRACKED_IN,
    _UNTRACKED_OUT,
    _PRE_DNAT,
    _FORWARD_IN,
    _FORWARD_OUT,
    _NORMAL_IN,
    _NORMAL_OUT,
)


def host_chains(
    hosts: Mapping[EndpointId, HostEndpoint],
    addresses: Addresses,
    family: Family,
    settings: NftSettings,
) -> list[Chain]:
    """Every chain of the node's host endpoints, base chains too; none without host endpoints.

    Raises UnsafeName for an interface that can't be one.
    """
    found = owners(hosts, addresses, settings)
    used = {*found.named.values(), *({found.every} - {None})}
    if not used:
        return []
    chains = [
        Chain(host_chain(place.prefix, one), tuple(_asked(hosts[one], place, family, settings)))
        for one in sorted(filter(None, used))
        for place in _PLACES
    ]
    return [*_helpers(settings), *_base_chains(found, family, settings), *chains]


def _helpers(settings: NftSettings) -> Iterator[Chain]:
    """What an early rule that allows leads to."""
    marks = settings.marks
    early = f"meta mark set meta mark & {0xFFFFFFFF ^ marks.decided:#x} | {marks.early:#x}"
    yield Chain(EARLY_CHAIN, (early,))
    yield Chain(UNTRACKED_CHAIN, ("notrack", early))


def _base_chains(found: Owners, family: Family, settings: NftSettings) -> Iterator[Chain]:
    rules: dict[ChainName, list[str]] = {}
    hooks = {place.base: place.hook for place in _PLACES}
    begins = f"meta mark set meta mark & {0xFFFFFFFF ^ settings.marks.early:#x}"
    for place in (_UNTRACKED_IN, _UNTRACKED_OUT):
        rules[place.base] = [begins]
    nodes = set_name(family.version, ALL_HOSTS)
    port, address = settings.vxlan_port, family.nft
    rules[_NORMAL_IN.base] = [f"udp dport {port} {address} saddr @{nodes} accept"]
    rules[_NORMAL_OUT.base] = [f"udp dport {port} {address} daddr @{nodes} accept"]
    for place in _PLACES:
        rules.setdefault(place.base, []).append(f"jump {_dispatch_name(place)}")
        yield Chain(_dispatch_name(place), tuple(_dispatch(place, found, settings)))
    for name, lines in rules.items():
        yield Chain(name, tuple(lines), hooks[name])


def _dispatch_name(place: _Place) -> ChainName:
    return ChainName(f"{place.prefix}dispatch".replace("cali-", "cali-hep-", 1))


def _dispatch(place: _Place, found: Owners, settings: NftSettings) -> Iterator[str]:
    """An interface that is nobody's is not asked; workloads' have chains of their own."""
    if found.named:
        targets = ", ".join(
            f'"{checked_interface(name)}" : goto {host_chain(place.prefix, one)}'
            for name, one in found.named.items()
        )
        yield f"{place.field} vmap {{ {targets} }}"
    if found.every is not None:
        for prefix in settings.interface_prefixes:
            yield f'{place.field} "{prefix}*" return'
        # The node's talk with itself goes out and comes in by the loopback, and concerns nobody.
        yield f'{place.field} "{_LOOPBACK}" return'
        yield f"goto {host_chain(place.prefix, found.every)}"


def _asked(
    host: HostEndpoint, place: _Place, family: Family, settings: NftSettings
) -> Iterator[str]:
    """What is asked of a packet of this host endpoint at one stage."""
    if place is _UNTRACKED_IN:
        yield from _early(host.untracked.ingress, place, family, settings)
    elif place is _UNTRACKED_OUT:
        yield from _early(host.untracked.egress, place, family, settings)
    elif place is _PRE_DNAT:
        yield from _early(host.pre_dnat.ingress, place, family, settings)
    elif place is _FORWARD_IN:
        yield from _forwarded(host.forward.ingress, Way.TO, settings)
    elif place is _FORWARD_OUT:
        yield from _forwarded(host.forward.egress, Way.FROM, settings)
    elif place is _NORMAL_IN:
        yield from _normal(host, host.normal.ingress, Way.TO, family, settings)
    else:
        yield from _normal(host, host.normal.egress, Way.FROM, family, settings)


def _early(
    tiers: tuple[TierPolicies, ...], place: _Place, family: Family, settings: NftSettings
) -> Iterator[str]:
    """No default action and no profiles: what no rule decides goes on to the next stage."""
    if not tiers:
        return
    untracked, inward = place is not _PRE_DNAT, place is not _UNTRACKED_OUT
    way = Way.TO if inward else Way.FROM
    yield from (_cleared(settings), *(f"{one} return" for one in _discovery(family)))
    if not untracked:
        yield f"meta mark & {settings.marks.early:#x} != 0 return"
        yield "ct state established,related return"
    safe = settings.failsafes
    yield from _failsafe(safe.inbound if inward else safe.outbound, inward, "dport", family)
    if untracked:  # the replies, which no tracking tells
        yield from _failsafe(safe.outbound if inward else safe.inbound, inward, "sport", family)
    allowed = UNTRACKED_CHAIN if untracked else EARLY_CHAIN
    for number, tier in enumerate(tiers):
        yield from policies_text(
            tier, way, settings, is_first=number == 0, allowed=f"goto {allowed}"
        )


def _forwarded(tiers: tuple[TierPolicies, ...], way: Way, settings: NftSettings) -> Iterator[str]:
    """Without policy for it, and by Pass out of the last tier, what is forwarded passes."""
    if not tiers:
        return
    yield _cleared(settings)
    if way is Way.TO:  # what came in: the bit is its own
        yield f"meta mark & {settings.marks.early:#x} != 0 return"
    yield f"ct state vmap @{CT_MAP}"
    yield from tiers_text(tiers, way, settings)


def _normal(
    host: HostEndpoint,
    tiers: tuple[TierPolicies, ...],
    way: Way,
    family: Family,
    settings: NftSettings,
) -> Iterator[str]:
    inward = way is Way.TO
    yield _cleared(settings)
    yield f"meta mark & {settings.marks.early:#x} != 0 return"
    yield f"ct state vmap @{CT_MAP}"
    yield from (f"{one} return" for one in _discovery(family))
    safe = settings.failsafes
    yield from _failsafe(safe.inbound if inward else safe.outbound, inward, "dport", family)
    yield from tiers_text(tiers, way, settings)
    yield from profiles_text(host.profiles, way, settings)
    yield "counter drop"


def _cleared(settings: NftSettings) -> str:
    return f"meta mark set meta mark & {0xFFFFFFFF ^ settings.marks.decided:#x}"


def _discovery(family: Family) -> tuple[str, ...]:
    return (_DISCOVERY,) if family.version == 6 else ()


def _failsafe(ports: Iterable[Failsafe], inward: bool, port: str, family: Family) -> Iterator[str]:
    """Rules that let failsafe ports leave the chain undecided: one for each protocol and net."""
    peer = f"{family.nft} {'s' if inward else 'd'}addr"
    grouped: dict[tuple[int, Prefix | None], set[int]] = {}
    for one in ports:
        if one.net is None or one.net.version == family.version:
            grouped.setdefault((one.protocol, one.net), set()).add(one.port)
    for (protocol, net), numbers in grouped.items():
        where = "" if net is None or not net.length else f" {peer} {net_text(net.network)}"
        listed = ", ".join(map(str, sorted(numbers)))
        yield f"meta l4proto {int(protocol)}{where} th {port} {{ {listed} }} counter return"
