"""Whether one rule matches one packet, and if not, the first condition that failed.

A rule matches when everything that it gives holds. Conditions are asked in the order in which a
reader meets them: family, protocol, ICMP, source, destination.
"""

from collections.abc import Iterator, Set

from tortie.net import PortRange, Prefix, mask_of, protocol_name
from tortie.net.addresses import WIDTH
from tortie.policy.packet import End, Packet, Program, destination_of, source_of
from tortie.policy.program import IcmpMatch, Member, PeerMatch, Rule, SetId


def why_not(rule: Rule, packet: Packet, program: Program) -> str | None:
    """The first condition of `rule` that `packet` fails, for people; None if the rule matches."""
    return next(_failures(rule, packet, program), None)


def _failures(rule: Rule, packet: Packet, program: Program) -> Iterator[str]:
    yield from _header_failures(rule, packet)
    yield from (f"source {why}" for why in _peer_failures(rule.source, source_of(packet), program))
    end = destination_of(packet)
    yield from (f"destination {why}" for why in _peer_failures(rule.destination, end, program))
    if rule.http is not None:
        yield "HTTP requests are for the application layer to tell apart"


def _header_failures(rule: Rule, packet: Packet) -> Iterator[str]:
    if rule.ip_version not in (None, packet.version):
        yield f"IPv{packet.version} is not IPv{rule.ip_version}"
    if rule.protocol not in (None, packet.protocol):
        yield f"{protocol_name(packet.protocol)} is not {protocol_name(rule.protocol or 0)}"
    if rule.not_protocol == packet.protocol:
        yield f"{protocol_name(packet.protocol)} is excluded"
    if rule.icmp is not None and not _is_icmp(rule.icmp, packet):
        yield f"not {_icmp_name(rule.icmp)}"
    if rule.not_icmp is not None and _is_icmp(rule.not_icmp, packet):
        yield f"{_icmp_name(rule.not_icmp)} is excluded"


def _peer_failures(match: PeerMatch, end: End, program: Program) -> Iterator[str]:
    if match.nets and not _within(end, match.nets):
        yield f"{end} is not in {_listed(match.nets)}"
    for name in match.sets:
        if not in_net_set(end, program.sets[name]):
            yield f"{end} is not in {program.title(name)}"
    if (match.ports or match.port_sets) and not _port_listed(
        end, match.ports, match.port_sets, program
    ):
        titles = map(program.title, match.port_sets)
        yield f"{_port(end)} is not {_listed((*match.ports, *titles))}"
    for name in match.services:
        if end.ip_port not in program.sets[name]:
            yield f"{end} {_port(end)} is not in {program.title(name)}"
    yield from _exclusions(match, end, program)


def _exclusions(match: PeerMatch, end: End, program: Program) -> Iterator[str]:
    if _within(end, match.not_nets):
        yield f"{end} is in excluded {_listed(match.not_nets)}"
    for name in match.not_sets:
        if in_net_set(end, program.sets[name]):
            yield f"{end} is in excluded {program.title(name)}"
    if _port_listed(end, match.not_ports, match.not_port_sets, program):
        yield f"{_port(end)} is excluded"


def in_net_set(end: End, members: Set[Member]) -> bool:
    """Whether any prefix of `members` contains the address; cost does not grow with the set."""
    return any(
        Prefix(end.version, end.address & mask_of(end.version, length), length) in members
        for length in range(WIDTH[end.version] + 1)
    )


def _within(end: End, nets: tuple[Prefix, ...]) -> bool:
    return any(net.contains(end.host) for net in nets)


def _port_listed(
    end: End, ranges: tuple[PortRange, ...], port_sets: tuple[SetId, ...], program: Program
) -> bool:
    """Whether the port is in a range, or (address, protocol, port) in a set; no port is in none."""
    if end.port is None:
        return False
    return any(end.port in span for span in ranges) or any(
        end.ip_port in program.sets[name] for name in port_sets
    )


def _is_icmp(match: IcmpMatch, packet: Packet) -> bool:
    return (
        packet.is_icmp and match.type == packet.icmp_type and match.code in (None, packet.icmp_code)
    )


def _icmp_name(match: IcmpMatch) -> str:
    code = "" if match.code is None else f" code {match.code}"
    return f"ICMP type {match.type}{code}"


def _port(end: End) -> str:
    return "no port" if end.port is None else f"port {end.port}"


def _listed(values: tuple[object, ...], limit: int = 3) -> str:
    more = f", … ({len(values)} in all)" if len(values) > limit else ""
    return ", ".join(str(value) for value in values[:limit]) + more
