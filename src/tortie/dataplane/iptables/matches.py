"""One rule's conditions as iptables matches, for one IP version. Pure.

iptables has no "or" between matches and no "not" around several. So a rule becomes `Parts`: matches
that stand in one line, choices of which one must hold, and exclusions of which none may. How these
become lines is `chains`' business. Of a choice without alternatives none can hold: the rule matches
nothing in this family and leaves no trace there.

Ports exist only in some protocols and ICMP types only in one, and a negated match holds where the
thing does not exist (`tortie.policy.matching`). A rule that names no protocol says its ports for
each protocol that has some.
"""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from tortie.dataplane.iptables.names import Unrenderable, set_name
from tortie.dataplane.policy.families import Family
from tortie.dataplane.policy.nets import disjoint_nets, merged_ranges, net_text
from tortie.net import PortRange
from tortie.net.protocols import PORT_PROTOCOLS
from tortie.policy.program import IcmpMatch, PeerMatch, Rule

_MULTIPORT_ROOM = 15  # ports in one multiport match; a range takes two places
_ANY_ICMP_TYPE = 255  # what iptables writes for "any type" in IPv4


class Parts(NamedTuple):
    """What must hold together: all of `inline`, one of each of `choices`, none of `excluded`.

    `protocol` is the match of `inline` that a line with ports must have: in a line of its own an
    alternative needs it, too, unless it names one itself.
    """

    inline: tuple[str, ...] = ()
    choices: tuple[tuple[str, ...], ...] = ()
    excluded: tuple[str, ...] = ()
    protocol: str = ""

    def alone(self, text: str) -> str:
        """An alternative or exclusion as the matches of a line of its own."""
        return text if text.startswith("-p ") or not self.protocol else f"{self.protocol} {text}"


class _Inline(NamedTuple):
    text: str


class _Choice(NamedTuple):
    texts: tuple[str, ...]


class _Excluded(NamedTuple):
    text: str


_Term = _Inline | _Choice | _Excluded
_NEVER = _Choice(())


class _End(NamedTuple):
    """One end of a packet: the options that look at it."""

    address: str  # "-s" or "-d"
    side: str  # "src" or "dst"
    ports: str  # "--sports" or "--dports"


_SOURCE, _DESTINATION = _End("-s", "src", "--sports"), _End("-d", "dst", "--dports")


def parts_of(rule: Rule, family: Family) -> Parts | None:
    """The matches of `rule`; None where it can't match. Raises Unrenderable."""
    if rule.ip_version not in (None, family.version) or rule.http is not None:
        return None  # a request can't be told from its packets: the rule matches none
    terms = list(_terms(rule, family))
    if _NEVER in terms:
        return None
    return Parts(
        tuple(term.text for term in terms if isinstance(term, _Inline)),
        tuple(term.texts for term in terms if isinstance(term, _Choice)),
        tuple(term.text for term in terms if isinstance(term, _Excluded)),
        next((one.text for one in terms if isinstance(one, _Inline) and _is_protocol(one)), ""),
    )


def _is_protocol(term: _Inline) -> bool:
    return term.text.startswith("-p ")


def _terms(rule: Rule, family: Family) -> Iterator[_Term]:
    protocol = rule.protocol if rule.icmp is None else family.icmp
    if rule.protocol not in (None, protocol) or protocol == rule.not_protocol is not None:
        yield _NEVER
        return
    if protocol is not None:
        yield _Inline(f"-p {int(protocol)}")
    rest = [
        *_icmp(rule, family, protocol),
        *_peer(rule.source, family, protocol, rule.not_protocol, _SOURCE),
        *_peer(rule.destination, family, protocol, rule.not_protocol, _DESTINATION),
    ]
    if protocol is None and rule.not_protocol is not None:
        yield _not_protocol(rule.not_protocol, rest)
    yield from rest


def _not_protocol(number: int, others: Iterable[_Term]) -> _Term:
    """In the line itself, unless an alternative that joins it there names a protocol, too."""
    named = any(
        text.startswith("-p") for one in others if isinstance(one, _Choice) for text in one.texts
    )
    return _Excluded(f"-p {int(number)}") if named else _Inline(f"! -p {int(number)}")


def _icmp(rule: Rule, family: Family, protocol: int | None) -> Iterator[_Term]:
    if rule.icmp is not None:
        yield _Inline(_icmp_text(rule.icmp, family))
    if rule.not_icmp is not None:
        if protocol is None:
            yield _Excluded(f"-p {family.icmp} {_icmp_text(rule.not_icmp, family)}")
        elif protocol == family.icmp and rule.icmp is None:
            yield _Inline(_icmp_text(rule.not_icmp, family, "! "))
        elif protocol == family.icmp:  # iptables takes one match of types in a line
            yield _Excluded(f"-p {family.icmp} {_icmp_text(rule.not_icmp, family)}")


def _icmp_text(icmp: IcmpMatch, family: Family, negation: str = "") -> str:
    if family.version == 4 and icmp.type == _ANY_ICMP_TYPE:
        raise Unrenderable(f"ICMP type {icmp.type}: iptables takes it for any type")
    code = "" if icmp.code is None else f"/{int(icmp.code)}"
    name, option = ("icmp", "icmp") if family.version == 4 else ("icmp6", "icmpv6")
    return f"-m {name} {negation}--{option}-type {int(icmp.type)}{code}"


def _peer(
    peer: PeerMatch, family: Family, protocol: int | None, not_protocol: int | None, end: _End
) -> Iterator[_Term]:
    yield from _nets(peer, family, end)
    yield from (_Inline(_set(family, one, end.side)) for one in peer.sets)
    yield from (_Inline(_set(family, one, end.side, "! ")) for one in peer.not_sets)
    if protocol is None or protocol in PORT_PROTOCOLS:
        having = [protocol] if protocol is not None else sorted(PORT_PROTOCOLS - {not_protocol})
        yield from _wanted_ports(peer, family, protocol, having, end)
        yield from _unwanted_ports(peer, family, protocol, having, end)
    elif peer.ports or peer.port_sets or peer.services:
        yield _NEVER


def _nets(peer: PeerMatch, family: Family, end: _End) -> Iterator[_Term]:
    """An option may stand once in a line: what excludes beside what includes goes elsewhere."""
    wanted = disjoint_nets(peer.nets, family)
    unwanted = disjoint_nets(peer.not_nets, family)
    everything = bool(wanted) and not wanted[0].length
    if peer.nets and not everything:
        yield _one_of(f"{end.address} {net_text(net)}" for net in wanted)
    if unwanted and not unwanted[0].length:
        yield _NEVER
    elif len(unwanted) == 1 and (not peer.nets or everything):
        yield _Inline(f"! {end.address} {net_text(unwanted[0])}")
    else:
        yield from (_Excluded(f"{end.address} {net_text(net)}") for net in unwanted)


def _wanted_ports(
    peer: PeerMatch, family: Family, protocol: int | None, having: list[int], end: _End
) -> Iterator[_Term]:
    pair = f"{end.side},{end.side}"
    yield from (_Inline(_set(family, one, pair)) for one in peer.services)
    if peer.ports or peer.port_sets:
        listed = [
            text
            for chunk in chunks(peer.ports)
            for text in _multiports(chunk, protocol, having, end)
        ]
        yield _one_of((*listed, *(_set(family, one, pair) for one in peer.port_sets)))


def _unwanted_ports(
    peer: PeerMatch, family: Family, protocol: int | None, having: list[int], end: _End
) -> Iterator[_Term]:
    pair = f"{end.side},{end.side}"
    yield from (_Inline(_set(family, one, pair, "! ")) for one in peer.not_port_sets)
    for chunk in chunks(peer.not_ports):
        if protocol is not None:
            yield _Inline(f"-m multiport ! {end.ports} {chunk}")
        else:
            yield from map(_Excluded, _multiports(chunk, protocol, having, end))


def _multiports(chunk: str, protocol: int | None, having: list[int], end: _End) -> Iterator[str]:
    for number in having:
        named = "" if protocol is not None else f"-p {int(number)} "
        yield f"{named}-m multiport {end.ports} {chunk}"


def _one_of(texts: Iterable[str]) -> _Term:
    listed = tuple(texts)
    return _Inline(listed[0]) if len(listed) == 1 else _Choice(listed)


def chunks(ranges: tuple[PortRange, ...]) -> Iterator[str]:
    """Ports as lists that a multiport match can take."""
    chunk: list[str] = []
    room = _MULTIPORT_ROOM
    for one in merged_ranges(ranges):
        text = f"{int(one.first)}" if one.first == one.last else f"{one.first:d}:{one.last:d}"
        takes = 1 if one.first == one.last else 2
        if takes > room:
            yield ",".join(chunk)
            chunk, room = [], _MULTIPORT_ROOM
        chunk.append(text)
        room -= takes
    if chunk:
        yield ",".join(chunk)


def _set(family: Family, set_id: str, sides: str, negation: str = "") -> str:
    return f"-m set {negation}--match-set {set_name(family.version, set_id)} {sides}"
