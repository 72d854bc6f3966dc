"""From the rules of the API to the rules of the program, and the sets that they need. Pure.

A rule that can't be lowered fails closed: Allow is dropped, Deny and Pass become a Deny of
everything in their direction (a Pass that is lost could let a later rule of its tier allow what
was meant for another tier), Log is dropped. Each comes with a problem that names the field.
"""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from tortie.api import EntityRule, IcmpFields, ServiceMatch
from tortie.api import Rule as ApiRule
from tortie.engine.scopes import Unlowerable, peer_selectors
from tortie.engine.setspecs import AnySpec, net_set, port_set, service_set
from tortie.net import (
    PortRange,
    Prefix,
    parse_network,
    parse_port_range,
    parse_protocol,
    unmapped,
)
from tortie.net.protocols import ICMP, ICMPV6, PORT_PROTOCOLS, TCP
from tortie.policy import Direction
from tortie.policy.program import Action, IcmpMatch, PeerMatch, Rule, SetId, SetKind
from tortie.selectors import ALL, Selector

Sets = dict[SetId, AnySpec]

_ACTIONS = {action.name: action for action in Action}
_ONLY_REQUESTS = "only the application layer can tell requests apart; the rule allows no packet"
_ANY_PEER = PeerMatch()
_ANY_ENTITY = EntityRule()
_PORT_NAME = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.")


class Lowered(NamedTuple):
    """Rules in their order, what they look into, and what could not be lowered."""

    rules: tuple[Rule, ...]
    sets: Sets
    problems: tuple[str, ...]


class _Context(NamedTuple):
    """Whose rule is lowered: its policy's namespace ("" for none), and of which list it is."""

    namespace: str
    direction: Direction

    @property
    def serving(self) -> str:
        """The end that services may be given for: the one that is not the policy's own."""
        return "destination" if self.direction is Direction.EGRESS else "source"


def lower_rules(rules: Sequence[ApiRule], namespace: str, direction: Direction) -> Lowered:
    """Lower one list of rules of a policy or profile."""
    context = _Context(namespace, direction)
    path = f"spec.{direction}"
    lowered: list[Rule] = []
    sets: Sets = {}
    problems: list[str] = []
    for number, rule in enumerate(rules):
        try:
            lowered.append(_lower(rule, context, sets))
            if rule.http is not None:
                problems.append(f"{path}[{number}].http: {_ONLY_REQUESTS}")
        except Unlowerable as problem:
            instead = _closed(rule)
            lowered += instead
            done = "denies everything" if instead else "is left out"
            problems.append(f"{path}[{number}].{problem}; the {rule.action} rule {done}")
    return Lowered(tuple(lowered), sets, tuple(problems))


def _closed(rule: ApiRule) -> list[Rule]:
    if rule.action in ("Deny", "Pass"):
        return [Rule(Action.DENY, annotations=_annotations(rule))]
    return []


def _lower(rule: ApiRule, context: _Context, sets: Sets) -> Rule:
    """The rule; what it needs goes to `sets`. Raises Unlowerable."""
    if rule.http is not None and (rule.action, context.direction) != ("Allow", Direction.INGRESS):
        raise Unlowerable("http", "HTTP requests can only be allowed, and only by ingress rules")
    protocol = _protocol("protocol", rule.protocol)
    needed: Sets = {}
    source = _peer(rule.source, "source", protocol, context, needed)
    destination = _peer(rule.destination, "destination", protocol, context, needed)
    icmp = _icmp("icmp", rule.icmp, protocol)
    not_icmp = _icmp("notICMP", rule.not_icmp, protocol)
    lowered = Rule(
        action=_ACTIONS[rule.action.upper()],
        ip_version=_family(rule, (source, destination), icmp or not_icmp, protocol),
        protocol=protocol,
        not_protocol=_protocol("notProtocol", rule.not_protocol),
        icmp=icmp,
        not_icmp=not_icmp,
        source=source,
        destination=destination,
        http=rule.http,
        annotations=_annotations(rule),
    )
    sets.update(needed)
    return lowered


def _annotations(rule: ApiRule) -> tuple[tuple[str, str], ...]:
    return tuple(sorted(rule.metadata.annotations.items())) if rule.metadata else ()


def _protocol(field: str, value: int | str | None) -> int | None:
    try:
        return None if value is None else parse_protocol(value)
    except ValueError as error:
        raise Unlowerable(field, str(error)) from None


def _icmp(field: str, match: IcmpFields | None, protocol: int | None) -> IcmpMatch | None:
    if match is None or (match.type is None and match.code is None):
        return None
    if match.type is None:
        raise Unlowerable(f"{field}.code", "a code needs a type")
    if protocol not in (ICMP, ICMPV6):
        raise Unlowerable(field, "needs protocol ICMP or ICMPv6")
    return IcmpMatch(match.type, match.code)


def _family(
    rule: ApiRule, peers: tuple[PeerMatch, PeerMatch], icmp: IcmpMatch | None, protocol: int | None
) -> int | None:
    """The IP version: as given, or else what the networks (all of one) or the ICMP type imply."""
    implied = {net.version for peer in peers for net in (*peer.nets, *peer.not_nets)}
    if icmp is not None:
        implied.add(4 if protocol == ICMP else 6)
    if rule.ip_version is not None and implied - {rule.ip_version}:
        raise Unlowerable("ipVersion", f"the rule speaks of IPv{min(implied - {rule.ip_version})}")
    if len(implied) > 1:
        raise Unlowerable("nets", "IPv4 and IPv6 are mixed in one rule")
    return rule.ip_version or next(iter(implied), None)


def _peer(
    peer: EntityRule | None, path: str, protocol: int | None, context: _Context, sets: Sets
) -> PeerMatch:
    if peer is None or peer == _ANY_ENTITY:
        return _ANY_PEER
    try:
        if peer.services is not None and path != context.serving:
            where = f"services are for the {context.serving} of {context.direction} rules"
            raise Unlowerable("services", where)
        return _peer_match(peer, protocol, context, sets)
    except Unlowerable as problem:
        raise Unlowerable(f"{path}.{problem.field}", problem.reason) from None


def _peer_match(peer: EntityRule, protocol: int | None, context: _Context, sets: Sets) -> PeerMatch:
    selected, excluded = peer_selectors(context.namespace, peer)
    addresses, backends = _services(peer.services, context, sets)
    ports, names = _ports("ports", peer.ports, protocol)
    not_ports, not_names = _ports("notPorts", peer.not_ports, protocol)
    return PeerMatch(
        nets=_nets("nets", peer.nets),
        sets=_net_sets(selected, sets) + addresses,
        services=backends,
        ports=ports,
        port_sets=_port_sets(names, selected, protocol, sets),
        not_nets=_nets("notNets", peer.not_nets),
        not_sets=_net_sets(excluded, sets),
        not_ports=not_ports,
        not_port_sets=_port_sets(not_names, selected, protocol, sets),
    )


def _nets(field: str, texts: Iterable[str]) -> tuple[Prefix, ...]:
    try:
        return tuple([unmapped(parse_network(text)) for text in texts])
    except ValueError as error:
        raise Unlowerable(field, str(error)) from None


def _net_sets(selector: Selector | None, sets: Sets) -> tuple[SetId, ...]:
    if selector is None:
        return ()
    spec = net_set(selector)
    sets[spec.id] = spec
    return (spec.id,)


def _services(
    match: ServiceMatch | None, context: _Context, sets: Sets
) -> tuple[tuple[SetId, ...], tuple[SetId, ...]]:
    """The set of a service's addresses (who comes from it) or backends (who goes to it)."""
    if match is None:
        return (), ()
    namespace = match.namespace or context.namespace
    if not match.name or not namespace:
        raise Unlowerable("services", "needs a name, and outside a namespace a namespace")
    inward = context.direction is Direction.INGRESS
    spec = service_set(SetKind.NET if inward else SetKind.IP_PORT, namespace, match.name)
    sets[spec.id] = spec
    return ((spec.id,), ()) if inward else ((), (spec.id,))


def _port_sets(
    names: Iterable[str], selected: Selector | None, protocol: int | None, sets: Sets
) -> tuple[SetId, ...]:
    """One set for each named port, of the selected endpoints only: the rest can't match anyway.

    A rule without protocol means the TCP ports of that name, as in Calico.
    """
    specs = [port_set(selected or ALL, TCP if protocol is None else protocol, n) for n in names]
    sets.update((spec.id, spec) for spec in specs)
    return tuple([spec.id for spec in specs])


def _ports(
    field: str, values: Iterable[int | str], protocol: int | None
) -> tuple[tuple[PortRange, ...], tuple[str, ...]]:
    """Numbers and ranges apart from names."""
    ranges, names = [], []
    for value in values:
        text = str(value)
        if isinstance(value, int) or text.isdigit() or ":" in text:
            ranges.append(_port_range(field, text))
        elif text and _PORT_NAME.issuperset(text):
            names.append(text)
        else:
            raise Unlowerable(field, f"{text!r} is neither a port, a range nor a port's name")
    if ranges and protocol not in PORT_PROTOCOLS:
        raise Unlowerable(field, "port numbers need protocol TCP, UDP or SCTP")
    if names and protocol not in (None, *PORT_PROTOCOLS):
        raise Unlowerable(field, "named ports need protocol TCP, UDP or SCTP, or none")
    return tuple(ranges), tuple(names)


def _port_range(field: str, text: str) -> PortRange:
    try:
        return parse_port_range(text)
    except ValueError as error:
        raise Unlowerable(field, str(error)) from None
