"""One rule's conditions, for one IP version. Pure.

nft has no "or" between matches and no "not" around several, so a rule may become several: `matches`
returns alternatives, each of conditions that must all hold; the rule matches when any alternative
does. No alternative: the rule can never match in this family, so a rule for the other family leaves
no trace here.

Ports exist only in some protocols and ICMP types only in one, and a negated match holds where the
thing does not exist (`tortie.policy.matching`). A rule that names no protocol is therefore split
by class of protocol, and each class only looks at what it has.

Conditions that name constants are kept apart from the rest, as ranges of each field (`Ranges`), so
that neighbouring rules can be put together (`coalesce`).
"""

from collections.abc import Iterable, Iterator
from enum import Enum
from itertools import product
from typing import NamedTuple

from msgspec import Struct

from tortie.dataplane.nftables import fields
from tortie.dataplane.nftables.anonymous import Span
from tortie.dataplane.nftables.fields import Field
from tortie.dataplane.nftables.names import set_name
from tortie.dataplane.nftables.terms import Among, Between, InNet, InSet, Is, Line, Term, spans
from tortie.dataplane.policy.families import Family
from tortie.dataplane.policy.nets import disjoint_nets, merged_ranges
from tortie.net import PortRange, Prefix
from tortie.net.addresses import WIDTH
from tortie.net.protocols import ICMPV6, PORT_PROTOCOLS, UDP
from tortie.policy.program import IcmpMatch, PeerMatch, Rule

Ranges = tuple[tuple[Field, tuple[Span, ...]], ...]  # what each field must be within
NO_RANGES: Ranges = ()
_ANYBODY = PeerMatch()


class _Class(Enum):
    """What a packet has beside addresses, by its protocol."""

    ICMP = "ICMP type and code"
    PORTED = "ports"
    OTHER = "neither"
    ANY = "not asked"


class Match(Struct, frozen=True):
    """Conditions that must all hold: constants a field must be within, and all others."""

    ranges: Ranges = NO_RANGES
    rest: Line = ()

    def __add__(self, other: "Match") -> "Match":
        """Both must hold."""
        return Match(self.ranges + other.ranges, self.rest + other.rest)

    @property
    def line(self) -> Line:
        """As terms of a rule."""
        return (*(within(field, found) for field, found in self.ranges), *self.rest)


_NO_CONDITION = (Match(),)


class _Either(NamedTuple):
    """A match and its opposite, for matches that are alternatives of each other."""

    holds: Match
    fails: Term


def matches(rule: Rule, family: Family, *, disjoint: bool) -> tuple[Match, ...]:
    """Alternatives that together match as `rule` does. With `disjoint` a packet is in one only."""
    if rule.ip_version not in (None, family.version) or rule.http is not None:
        return ()  # a request can't be told from its packets: the rule matches none
    return tuple(
        match
        for kind in _classes(rule, family)
        for match in _class_matches(rule, family, kind, disjoint)
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


def _class_matches(rule: Rule, family: Family, kind: _Class, disjoint: bool) -> Iterator[Match]:
    icmp = _icmp(rule, family, kind)
    if icmp is None:
        return
    head = _protocol(rule, family, kind) + icmp
    source = _peer(rule.source, family, kind, _SOURCE, disjoint)
    destination = _peer(rule.destination, family, kind, _DESTINATION, disjoint)
    for one, other in product(source, destination):
        ends = one.ranges + other.ranges
        if one.ranges and other.ranges:
            ends = tuple(sorted(ends, key=_is_of_port))
        yield Match(head.ranges + ends, head.rest + one.rest + other.rest)


def _is_of_port(told: tuple[Field, tuple[Span, ...]]) -> bool:
    """Ports stand behind addresses, side by side: libnftables would bring them together, too."""
    return told[0] in (fields.SOURCE_PORT, fields.DESTINATION_PORT)


class _End(NamedTuple):
    """The fields of one end."""

    address: dict[int, Field]
    port: Field


_SOURCE = _End(fields.SOURCE, fields.SOURCE_PORT)
_DESTINATION = _End(fields.DESTINATION, fields.DESTINATION_PORT)


def _protocol(rule: Rule, family: Family, kind: _Class) -> Match:
    ranges, rest = NO_RANGES, tuple[Term, ...]()
    if rule.protocol is not None:
        ranges = _one(fields.PROTOCOL, rule.protocol)
    elif kind is _Class.ICMP:
        ranges = _one(fields.PROTOCOL, family.icmp)
    elif kind is _Class.PORTED:
        ranges = ((fields.PROTOCOL, tuple(Span(one, one) for one in sorted(PORT_PROTOCOLS))),)
    elif kind is _Class.OTHER:
        asked = [family.icmp] if rule.not_icmp is not None else []
        asked += sorted(PORT_PROTOCOLS) if _excludes_ports(rule) else []
        rest = (none_of(fields.PROTOCOL, asked),)
    if rule.not_protocol is not None:
        rest = (*rest, Is(fields.PROTOCOL, int(rule.not_protocol), negated=True))
    return Match(ranges, rest)


def _one(field: Field, value: int) -> Ranges:
    return ((field, (Span(int(value), int(value)),)),)


def _excludes_ports(rule: Rule) -> bool:
    return any(end.not_ports or end.not_port_sets for end in (rule.source, rule.destination))


def _icmp(rule: Rule, family: Family, kind: _Class) -> Match | None:
    """The match of type and code; None when this class has no ICMP and the rule asks for one."""
    if kind is not _Class.ICMP:
        return None if rule.icmp is not None else Match()
    rest = () if rule.not_icmp is None else (_not_icmp(rule.not_icmp, family),)
    if rule.icmp is None:
        return Match(NO_RANGES, rest)
    ranges = _one(fields.ICMP_TYPE[family.version], rule.icmp.type)
    if rule.icmp.code is not None:
        ranges += _one(fields.ICMP_CODE[family.version], rule.icmp.code)
    return Match(ranges, rest)


def _not_icmp(icmp: IcmpMatch, family: Family) -> Term:
    if icmp.code is None:
        return Is(fields.ICMP_TYPE[family.version], int(icmp.type), negated=True)
    both = (fields.ICMP_TYPE[family.version], fields.ICMP_CODE[family.version])
    kind = (Span(int(icmp.type), int(icmp.type)), Span(int(icmp.code), int(icmp.code)))
    return Among(both, (kind,), negated=True)


def _peer(
    peer: PeerMatch, family: Family, kind: _Class, end: _End, disjoint: bool
) -> tuple[Match, ...]:
    """The alternatives for one end."""
    if peer == _ANYBODY:
        return _NO_CONDITION
    address = _addresses(peer, family, end)
    ports = _ports(peer, family, end, disjoint) if kind is _Class.PORTED else _portless(peer)
    if address is None:
        return ()
    if ports is _NO_CONDITION:
        return (address,)
    return tuple(address + port for port in ports)


def _addresses(peer: PeerMatch, family: Family, end: _End) -> Match | None:
    """Nets and sets of addresses; None when no address of this family can match."""
    field = end.address[family.version]
    rest: list[Term] = []
    wanted = net_spans(disjoint_nets(peer.nets, family)) if peer.nets else ()
    if peer.nets and not wanted:
        return None
    if peer.not_nets and (excluded := net_spans(disjoint_nets(peer.not_nets, family))):
        if _is_all(field, excluded):
            return None
        rest.append(within(field, excluded, negated=True))
    rest += [InSet((field,), set_name(family.version, one)) for one in peer.sets]
    rest += [InSet((field,), set_name(family.version, one), negated=True) for one in peer.not_sets]
    ranges = ((field, wanted),) if wanted and not _is_all(field, wanted) else NO_RANGES
    return Match(ranges, tuple(rest))


def _is_all(field: Field, ranges: tuple[Span, ...]) -> bool:
    return ranges == (Span(0, (1 << 8 * field.width) - 1),)


def _portless(peer: PeerMatch) -> tuple[Match, ...]:
    """Where there are no ports, nothing asks for one that isn't there, and nothing excludes it."""
    return () if peer.ports or peer.port_sets or peer.services else (Match(),)


def _ports(peer: PeerMatch, family: Family, end: _End, disjoint: bool) -> tuple[Match, ...]:
    if not (peer.port_sets or peer.services or peer.not_ports or peer.not_port_sets):
        return (Match(((end.port, _listed(peer.ports)),)),) if peer.ports else _NO_CONDITION
    always = [_in_set(family, end, one).holds for one in peer.services]
    always += [Match(rest=(_in_set(family, end, one).fails,)) for one in peer.not_port_sets]
    if peer.not_ports:
        always.append(Match(rest=(_in_ranges(end, peer.not_ports).fails,)))
    base = sum(always, start=Match())
    wanted = [_in_ranges(end, peer.ports)] if peer.ports else []
    wanted += [_in_set(family, end, one) for one in peer.port_sets]
    if not wanted:
        return (base,)
    return tuple(base + one for one in _alternatives(wanted, disjoint))


def _alternatives(wanted: list[_Either], disjoint: bool) -> Iterator[Match]:
    for place, one in enumerate(wanted):
        earlier = [other.fails for other in wanted[:place]] if disjoint else []
        yield Match(rest=tuple(earlier)) + one.holds


def _in_set(family: Family, end: _End, set_id: str) -> _Either:
    key = (end.address[family.version], fields.PROTOCOL, end.port)
    name = set_name(family.version, set_id)
    return _Either(Match(rest=(InSet(key, name),)), InSet(key, name, negated=True))


def _in_ranges(end: _End, ranges: tuple[PortRange, ...]) -> _Either:
    listed = _listed(ranges)
    return _Either(Match(((end.port, listed),)), within(end.port, listed, negated=True))


def _listed(ranges: tuple[PortRange, ...]) -> tuple[Span, ...]:
    if len(ranges) == 1:
        return (Span(int(ranges[0].first), int(ranges[0].last)),)
    return tuple(Span(int(one.first), int(one.last)) for one in merged_ranges(ranges))


def net_spans(nets: Iterable[Prefix]) -> tuple[Span, ...]:
    """Nets in order, none inside another, as ranges of addresses; neighbours become one."""
    return joined(Span(one.address, one.last) for one in nets)


def joined(found: Iterable[Span]) -> tuple[Span, ...]:
    """Ranges of numbers as few, without overlaps: the kernel refuses these in a set.

    Several single values stay single where not all are neighbours: a hash table serves them best.
    """
    listed = sorted(set(found))
    if len(listed) == 1:
        return tuple(listed)
    kept: list[Span] = []
    for one in listed:
        if kept and int(one.first) <= int(kept[-1].last) + 1:
            kept[-1] = Span(kept[-1].first, max(int(kept[-1].last), int(one.last)))
        else:
            kept.append(one)
    if len(kept) > 1 and all(one.first == one.last for one in listed):
        return tuple(listed)
    return tuple(kept)


def within(field: Field, ranges: tuple[Span, ...], *, negated: bool = False) -> Term:
    """The shortest term for a field within (or outside of) disjoint ranges.

    libnftables 1.0.6 makes one comparison of `sport != 1` beside `dport != 2` that holds when
    either differs. It leaves ranges alone, so an excluded port is one: else what `nft list` prints
    would open a firewall when it is loaded again.
    """
    if len(ranges) > 1:
        return Among((field,), tuple((one,) for one in ranges), negated)
    first, last = (int(one) for one in ranges[0])
    is_port = field in (fields.SOURCE_PORT, fields.DESTINATION_PORT)
    if first == last and not (is_port and negated):
        return Is(field, first, negated)
    size = last - first + 1
    if not is_port and not size & size - 1 and not first % size:
        return InNet(field, first, 8 * field.width + 1 - size.bit_length(), negated)
    return Between(field, first, last, negated)


def none_of(field: Field, values: Iterable[int]) -> Term:
    """The field has none of these values."""
    listed = [int(one) for one in values]
    if len(listed) == 1:
        return Is(field, listed[0], negated=True)
    return Among((field,), spans(listed), negated=True)


def net_term(field: Field, net: Prefix) -> Term:
    """The address is this one, or within this net."""
    if net.length == WIDTH[net.version]:
        return Is(field, net.address)
    return InNet(field, net.network.address, int(net.length))


def udp_to(port: int) -> Line:
    """A UDP packet to this port."""
    return (Is(fields.PROTOCOL, UDP), Is(fields.DESTINATION_PORT, port))


def icmpv6(*types: int) -> Line:
    """An ICMPv6 message of one of these types."""
    listed = tuple(Span(one, one) for one in types)
    return (Is(fields.PROTOCOL, ICMPV6), within(fields.ICMP_TYPE[6], listed))
