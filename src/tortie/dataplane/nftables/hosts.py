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

from tortie.dataplane.nftables import fields
from tortie.dataplane.nftables.anonymous import Span
from tortie.dataplane.nftables.chains import (
    BY_STATE,
    Chain,
    clearing,
    denied,
    early_tier_lines,
    ended,
    packets_of,
    profile_lines,
    tier_lines,
)
from tortie.dataplane.nftables.conditions import icmpv6, joined, net_term, within
from tortie.dataplane.nftables.fields import ESTABLISHED, RELATED, Field
from tortie.dataplane.nftables.ipvs import passes
from tortie.dataplane.nftables.names import ChainName, Way, checked_interface, host_chain, set_name
from tortie.dataplane.nftables.settings import NftSettings
from tortie.dataplane.nftables.terms import (
    ACCEPT,
    ALL_BITS,
    COUNTER,
    NOTRACK,
    RETURN,
    Begins,
    Bits,
    InSet,
    InState,
    Is,
    Line,
    SetMark,
    Switch,
    goto,
    jump,
)
from tortie.dataplane.policy.families import Family
from tortie.dataplane.policy.interfaces import Addresses, Owners, owners
from tortie.dataplane.policy.node import NodeFacts, tunnel_ends
from tortie.dataplane.policy.stages import Stage, When, failsafe_ports
from tortie.engine.delta import ALL_HOSTS
from tortie.linux.netlink.nfnetlink import Hook
from tortie.policy.program import (
    EndpointId,
    Failsafe,
    HostEndpoint,
    TierPolicies,
)

EARLY_CHAIN, UNTRACKED_CHAIN = ChainName("cali-hep-early"), ChainName("cali-hep-untracked")
_LOOPBACK = "lo"
# Neighbour discovery, without which IPv6 finds no neighbour; nothing from beyond the link has 255.
_DISCOVERY: Line = (Is(fields.HOP_LIMIT, 255), *icmpv6(133, 134, 135, 136))


class _Place(NamedTuple):
    """One direction at one stage: the base chain that asks there, and the chains it leads to."""

    stage: Stage
    base: ChainName
    hook: Hook
    field: Field
    prefix: str


_UNTRACKED_IN = _Place(
    Stage(When.UNTRACKED, Way.TO),
    ChainName("cali-hep-untracked-in"),
    Hook("filter", 0, -299, True),
    fields.INPUT,
    "cali-fhu-",
)
_UNTRACKED_OUT = _Place(
    Stage(When.UNTRACKED, Way.FROM),
    ChainName("cali-hep-untracked-out"),
    Hook("filter", 3, -299, True),
    fields.OUTPUT,
    "cali-thu-",
)
_PRE_DNAT = _Place(
    Stage(When.PRE_DNAT, Way.TO),
    ChainName("cali-hep-pre-dnat"),
    Hook("filter", 0, -150, True),
    fields.INPUT,
    "cali-fhp-",
)
_FORWARD = Hook("filter", 2, 1, True)
_FORWARD_IN = _Place(
    Stage(When.FORWARD, Way.TO), ChainName("cali-hep-FORWARD"), _FORWARD, fields.INPUT, "cali-fhfw-"
)
_FORWARD_OUT = _Place(
    Stage(When.FORWARD, Way.FROM),
    ChainName("cali-hep-FORWARD"),
    _FORWARD,
    fields.OUTPUT,
    "cali-thfw-",
)
_NORMAL_IN = _Place(
    Stage(When.NORMAL, Way.TO),
    ChainName("cali-hep-INPUT"),
    Hook("filter", 1, 1, True),
    fields.INPUT,
    "cali-fh-",
)
_NORMAL_OUT = _Place(
    Stage(When.NORMAL, Way.FROM),
    ChainName("cali-hep-OUTPUT"),
    Hook("filter", 3, 1, True),
    fields.OUTPUT,
    "cali-th-",
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


class Hosts(NamedTuple):
    """The node's host endpoints, the addresses by which some are told, and what else is there."""

    hosts: Mapping[EndpointId, HostEndpoint]
    addresses: Addresses
    facts: NodeFacts


def host_chains(known: Hosts, family: Family, settings: NftSettings) -> list[Chain]:
    """Every chain of the node's host endpoints, base chains too; none without host endpoints.

    Raises UnsafeName for an interface that can't be one.
    """
    hosts, found = known.hosts, owners(known.hosts, known.addresses, settings)
    used = {*found.named.values(), *({found.every} - {None})}
    if not used:
        return []
    chains = [
        Chain(host_chain(place.prefix, one), tuple(_asked(hosts[one], place, family, settings)))
        for one in sorted(filter(None, used))
        for place in _PLACES
    ]
    return [*_helpers(settings), *_base_chains(found, known.facts, family, settings), *chains]


def _helpers(settings: NftSettings) -> Iterator[Chain]:
    """What an early rule that allows leads to."""
    marks = settings.marks
    early = SetMark(keep=ALL_BITS ^ marks.decided, add=marks.early)
    yield Chain(EARLY_CHAIN, ((early,),))
    yield Chain(UNTRACKED_CHAIN, ((NOTRACK, early),))


def _base_chains(
    found: Owners, facts: NodeFacts, family: Family, settings: NftSettings
) -> Iterator[Chain]:
    rules: dict[ChainName, list[Line]] = {
        _UNTRACKED_IN.base: [(clearing(settings.marks.early),)],
        _UNTRACKED_OUT.base: [(clearing(settings.marks.early),)],
        _NORMAL_IN.base: [],
        _NORMAL_OUT.base: [],
    }
    if facts.is_ipvs:  # what passes through the node is no packet of the node's own
        for place in (_UNTRACKED_OUT, _NORMAL_IN):
            rules[place.base].insert(0, passes(settings))  # what allowed it early still counts
    if settings.ends_flows:
        rules[_NORMAL_OUT.base].append(ended(settings))
    nodes = set_name(family.version, ALL_HOSTS)
    for end in tunnel_ends(family, facts.encapsulation, settings):
        for place, ends in ((_NORMAL_IN, fields.SOURCE), (_NORMAL_OUT, fields.DESTINATION)):
            peer = InSet((ends[family.version],), nodes)
            rules[place.base].append((*packets_of(end), peer, ACCEPT))
    hooks = {place.base: place.hook for place in _PLACES}
    for place in _PLACES:
        rules.setdefault(place.base, []).append((jump(_dispatch_name(place)),))
        yield Chain(_dispatch_name(place), tuple(_dispatch(place, found, settings)))
    for name, lines in rules.items():
        yield Chain(name, tuple(lines), hooks[name])


def _dispatch_name(place: _Place) -> ChainName:
    return ChainName(f"{place.prefix}dispatch".replace("cali-", "cali-hep-", 1))


def _dispatch(place: _Place, found: Owners, settings: NftSettings) -> Iterator[Line]:
    """An interface that is nobody's is not asked; workloads' have chains of their own."""
    if found.named:
        cases = tuple(
            ((Span(name, name),), goto(host_chain(place.prefix, one)))
            for name, one in ((checked_interface(name), one) for name, one in found.named.items())
        )
        yield (Switch((place.field,), cases),)
    if found.every is not None:
        for prefix in settings.interface_prefixes:
            yield (Begins(place.field, prefix), RETURN)
        # The node's talk with itself goes out and comes in by the loopback, and concerns nobody.
        yield (Is(place.field, _LOOPBACK), RETURN)
        yield (goto(host_chain(place.prefix, found.every)),)


def _asked(
    host: HostEndpoint, place: _Place, family: Family, settings: NftSettings
) -> Iterator[Line]:
    """What is asked of a packet of this host endpoint at one stage."""
    stage, tiers = place.stage, place.stage.tiers(host)
    if stage.when is When.FORWARD:
        yield from _forwarded(tiers, stage.way, family, settings)
    elif stage.when is When.NORMAL:
        yield from _normal(host, stage, family, settings)
    else:
        yield from _early(tiers, stage, family, settings)


def _early(
    tiers: tuple[TierPolicies, ...], stage: Stage, family: Family, settings: NftSettings
) -> Iterator[Line]:
    """No default action and no profiles: what no rule decides goes on to the next stage."""
    if not tiers:
        return
    untracked, inward = stage.when is When.UNTRACKED, stage.way is Way.TO
    yield from ((clearing(settings.marks.decided),), *_discovery(family))
    if not untracked:
        yield _allowed_early(settings)
        yield (InState(ESTABLISHED | RELATED), RETURN)
    safe = settings.failsafes
    yield from _failsafe(stage.failsafes(safe), inward, fields.DESTINATION_PORT, family)
    if untracked:  # the replies, which no tracking tells
        yield from _failsafe(stage.answers(safe), inward, fields.SOURCE_PORT, family)
    allowed = UNTRACKED_CHAIN if untracked else EARLY_CHAIN
    yield from early_tier_lines(tiers, stage.way, settings, goto(allowed))


def _forwarded(
    tiers: tuple[TierPolicies, ...], way: Way, family: Family, settings: NftSettings
) -> Iterator[Line]:
    """Without policy for it, and by Pass out of the last tier, what is forwarded passes."""
    if not tiers:
        return
    yield (clearing(settings.marks.decided),)
    if way is Way.TO:  # what came in: the bit is its own
        yield _allowed_early(settings)
    yield BY_STATE
    yield from tier_lines(tiers, way, family, settings)


def _normal(
    host: HostEndpoint, stage: Stage, family: Family, settings: NftSettings
) -> Iterator[Line]:
    way = stage.way
    yield (clearing(settings.marks.decided),)
    yield _allowed_early(settings)
    yield BY_STATE
    yield from _discovery(family)
    ports = stage.failsafes(settings.failsafes)
    yield from _failsafe(ports, way is Way.TO, fields.DESTINATION_PORT, family)
    yield from tier_lines(stage.tiers(host), way, family, settings)
    yield from profile_lines(host.profiles, way, settings)
    yield denied(family, settings)


def _allowed_early(settings: NftSettings) -> Line:
    return (Bits(fields.MARK, settings.marks.early, negated=True), RETURN)


def _discovery(family: Family) -> tuple[Line, ...]:
    return ((*_DISCOVERY, RETURN),) if family.version == 6 else ()


def _failsafe(
    ports: Iterable[Failsafe], inward: bool, port: Field, family: Family
) -> Iterator[Line]:
    """Rules that let failsafe ports leave the chain undecided: one for each protocol and net."""
    peer = (fields.SOURCE if inward else fields.DESTINATION)[family.version]
    for (protocol, net), numbers in failsafe_ports(ports, family).items():
        where = () if net is None else (net_term(peer, net),)
        listed = within(port, joined(Span(one, one) for one in numbers))
        yield (Is(fields.PROTOCOL, int(protocol)), *where, listed, COUNTER, RETURN)
