"""One rule's conditions as nft text, for one IP version. Pure.

nft has no "or" between matches and no "not" around several, so a rule may become several nft
rules: `conditions` returns alternatives, each a text of matches that must all hold; the rule
matches when any alternative does. No alternative: the rule can never match in this family, so a
rule for the other family leaves no trace here.

Ports exist only in some protocols and ICMP types only in one, and a negated match holds where the
thing does not exist (`tortie.policy.matching`). A rule that names no protocol is therefore split
by class of protocol, and each class only looks at what it has.
"""

from collections.abc import Iterable, Iterator
from enum import Enum
from itertools import product
from typing import NamedTuple

from tortie.dataplane.nftables.names import set_name
from tortie.dataplane.policy.families import Family
from tortie.dataplane.policy.nets import disjoint_nets, merged_ranges, net_text
from tortie.net import PortRange
from tortie.net.protocols import PORT_PROTOCOLS
from tortie.policy.program import IcmpMatch, PeerMatch, Rule


class _Class(Enum):
    """What a packet has beside addresses, by its protocol."""

    ICMP = "ICMP type and code"
    PORTED = "ports"
    OTHER = "neither"
    ANY = "not asked"


class _Either(NamedTuple):
    """A match and its opposite, for matches that are alternatives of each other."""

    holds: str
    fails: str


def conditions(rule: Rule, family: Family, *, disjoint: bool) -> tuple[str, ...]:
    """Alternatives that together match as `rule` does. With `disjoint` a packet is in one only."""
    if rule.ip_version not in (None, family.version) or rule.http is not None:
        return ()  # a request can't be told from its packets: the rule matches none
    return tuple(
        " ".join(filter(None, parts))
        for kind in _classes(rule, family)
        for parts in _class_conditions(rule, family, kind, disjoint)
    )


def _classes(rule: Rule, family: Family) -> tuple[_Class, ...]:
    """The classes of protocol that `rule` must look at one by one."""
    if rule.protocol is not None:
        return (_class_of(rule.protocol, family),)
    if rule.icmp is not None:
        return (_Class.ICMP,)
    ends = (rule.source, rule.destination)
    if any(end.ports or end.port_sets or end.services for end in ends):
        return (_Class.PORTED,)
    asked = [_Class.ICMP] if rule.not_icmp is not None else []
    if any(end.not_ports or end.not_port_sets for end in ends):
        asked.append(_Class.PORTED)
    return (*asked, _Class.OTHER) if asked else (_Class.ANY,)


def _class_of(protocol: int, family: Family) -> _Class:
    if protocol == family.icmp:
        return _Class.ICMP
    return _Class.PORTED if protocol in PORT_PROTOCOLS else _Class.OTHER


def _class_conditions(
    rule: Rule, family: Family, kind: _Class, disjoint: bool
) -> Iterator[tuple[str, ...]]:
    protocol = _protocol(rule, family, kind)
    icmp = _icmp(rule, kind)
    source = _peer(rule.source, family, kind, "s", disjoint)
    destination = _peer(rule.destination, family, kind, "d", disjoint)
    if icmp is not None:
        for one, other in product(source, destination):
            yield (protocol, icmp, one, other)


def _protocol(rule: Rule, family: Family, kind: _Class) -> str:
    parts = []
    if rule.protocol is not None:
        parts.append(f"meta l4proto {int(rule.protocol)}")
    elif kind is _Class.ICMP:
        parts.append(f"meta l4proto {family.icmp}")
    elif kind is _Class.PORTED:
        parts.append(f"meta l4proto {_braced(map(str, sorted(PORT_PROTOCOLS)))}")
    elif kind is _Class.OTHER:
        asked = [family.icmp] if rule.not_icmp is not None else []
        if _excludes_ports(rule):
            asked += sorted(PORT_PROTOCOLS)
        parts.append(f"meta l4proto != {_braced(map(str, asked))}")
    if rule.not_protocol is not None:
        parts.append(f"meta l4proto != {int(rule.not_protocol)}")
    return " ".join(parts)


def _excludes_ports(rule: Rule) -> bool:
    return any(end.not_ports or end.not_port_sets for end in (rule.source, rule.destination))


def _icmp(rule: Rule, kind: _Class) -> str | None:
    """The match of type and code; None when this class has no ICMP and the rule asks for one."""
    if kind is not _Class.ICMP:
        return None if rule.icmp is not None else ""
    parts = [f"{_icmp_field(rule.icmp, '==')}"] if rule.icmp is not None else []
    if rule.not_icmp is not None:
        parts.append(_icmp_field(rule.not_icmp, "!="))
    return " ".join(parts)


def _icmp_field(icmp: IcmpMatch, relation: str) -> str:
    """Type and code as one number, so that "not this type with this code" is one comparison."""
    if icmp.code is None:
        return f"@th,0,8 {relation} {int(icmp.type)}"
    return f"@th,0,16 {relation} {int(icmp.type) << 8 | int(icmp.code):#06x}"


def _peer(
    peer: PeerMatch, family: Family, kind: _Class, end: str, disjoint: bool
) -> tuple[str, ...]:
    """The alternatives for one end, "s" or "d" of saddr, daddr, sport, dport."""
    address = _addresses(peer, family, end)
    ports = _ports(peer, family, end, disjoint) if kind is _Class.PORTED else _portless(peer)
    if address is None:
        return ()
    return tuple(" ".join(filter(None, (address, port))) for port in ports)


def _addresses(peer: PeerMatch, family: Family, end: str) -> str | None:
    """Nets and sets of addresses; None when no address of this family can match."""
    field = f"{family.nft} {end}addr"
    parts = []
    if peer.nets:
        nets = disjoint_nets(peer.nets, family)
        if not nets:
            return None
        if nets[0].length:
            parts.append(f"{field} {_braced(map(net_text, nets))}")
    if peer.not_nets and (excluded := disjoint_nets(peer.not_nets, family)):
        if not excluded[0].length:
            return None
        parts.append(f"{field} != {_braced(map(net_text, excluded))}")
    parts += [f"{field} @{set_name(family.version, one)}" for one in peer.sets]
    parts += [f"{field} != @{set_name(family.version, one)}" for one in peer.not_sets]
    return " ".join(parts)


def _portless(peer: PeerMatch) -> tuple[str, ...]:
    """Where there are no ports, nothing asks for one that isn't there, and nothing excludes it."""
    return () if peer.ports or peer.port_sets or peer.services else ("",)


def _ports(peer: PeerMatch, family: Family, end: str, disjoint: bool) -> tuple[str, ...]:
    always = [_in_set(family, end, one).holds for one in peer.services]
    always += [_in_set(family, end, one).fails for one in peer.not_port_sets]
    if peer.not_ports:
        always.append(_in_ranges(end, peer.not_ports).fails)
    wanted = [_in_ranges(end, peer.ports)] if peer.ports else []
    wanted += [_in_set(family, end, one) for one in peer.port_sets]
    if not wanted:
        return (" ".join(always),)
    return tuple(" ".join((*always, *one)) for one in _alternatives(wanted, disjoint))


def _alternatives(wanted: list[_Either], disjoint: bool) -> Iterator[tuple[str, ...]]:
    for place, one in enumerate(wanted):
        earlier = [other.fails for other in wanted[:place]] if disjoint else []
        yield (*earlier, one.holds)


def _in_set(family: Family, end: str, set_id: str) -> _Either:
    field = f"{family.nft} {end}addr . meta l4proto . th {end}port"
    name = set_name(family.version, set_id)
    return _Either(f"{field} @{name}", f"{field} != @{name}")


def _in_ranges(end: str, ranges: tuple[PortRange, ...]) -> _Either:
    """libnftables merges `sport != 1` and `dport != 2` into one comparison of both ports at once,
    which then holds when either differs; it leaves ranges alone, so an excluded port is one.
    """
    merged = merged_ranges(ranges)
    listed = _braced(_range_text(one) for one in merged)
    excluded = f"{merged[0].first}-{merged[0].last}" if len(merged) == 1 else listed
    return _Either(f"th {end}port {listed}", f"th {end}port != {excluded}")


def _range_text(one: PortRange) -> str:
    return f"{int(one.first)}" if one.first == one.last else f"{int(one.first)}-{int(one.last)}"


def _braced(items: Iterable[str]) -> str:
    listed = list(items)
    return listed[0] if len(listed) == 1 else f"{{ {', '.join(listed)} }}"
