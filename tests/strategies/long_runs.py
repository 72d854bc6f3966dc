"""Policy programs with long runs of rules alike: what a renderer may put together into one look-up.

Few shapes, many values, that overlap, touch, repeat and lie one inside the other; Pass, Log and
Deny between them; the rules of a policy and the policies of a tier in runs.
"""

from hypothesis import strategies as st
from msgspec.structs import replace

from strategies.programs import HOSTS4, HOSTS6, NET_SETS, PORT_SETS, programs
from tortie.net import PortRange, Prefix, parse_network
from tortie.net.protocols import ICMP, ICMPV6, SCTP, TCP, UDP
from tortie.policy import Program
from tortie.policy.program import (
    Action,
    DefaultAction,
    IcmpMatch,
    PeerMatch,
    Policy,
    PolicyId,
    Profile,
    Rule,
    TierPolicies,
)

_NETS4 = [
    *(parse_network(one) for one in ("10.65.0.0/24", "10.65.0.0/30", "10.65.0.2/31")),
    *(parse_network(one) for one in ("10.64.0.0/15", "0.0.0.0/1", "10.65.1.0/30")),
    *HOSTS4,
]
_NETS6 = [*(parse_network(one) for one in ("fd00:65::/64", "fd00:65::2/127", "::/1")), *HOSTS6]
_PORTS = [
    PortRange(first, last)
    for first, last in (
        *((53, 53), (80, 80), (81, 81), (80, 81), (443, 443), (8080, 8080)),
        *((0, 52), (52, 90), (90, 500), (0, 65535), (444, 65535)),
    )
]
_no_peer = st.just(PeerMatch())


def _nets(version: int) -> st.SearchStrategy[tuple[Prefix, ...]]:
    known = _NETS4 if version == 4 else _NETS6
    return st.lists(st.sampled_from(known), min_size=1, max_size=2).map(tuple)


_ports = st.lists(st.sampled_from(_PORTS), min_size=1, max_size=2).map(tuple)


def _shape(draw: st.DrawFn) -> st.SearchStrategy[Rule]:
    """Rules that constrain the same fields and are alike in the rest."""
    version = draw(st.sampled_from([4, 4, 6]))
    icmp = ICMP if version == 4 else ICMPV6
    kind = draw(st.sampled_from(["ports", "ports", "ports", "icmp", "any"]))
    peers = []
    for _ in range(2):
        fields: dict[str, st.SearchStrategy[object]] = {}
        if draw(st.booleans()):
            fields["nets"] = _nets(version)
        if kind == "ports" and draw(st.booleans()):
            fields["ports"] = _ports
        for name, known in (("sets", NET_SETS), ("not_sets", NET_SETS)):
            if draw(st.sampled_from([True, *[False] * 6])):
                fields[name] = st.just((draw(st.sampled_from(known)),))
        if draw(st.sampled_from([True, *[False] * 6])):
            fields["not_nets"] = st.just(draw(_nets(version)))
        if kind == "ports" and draw(st.sampled_from([True, *[False] * 6])):
            fields["port_sets"] = st.just((draw(st.sampled_from(PORT_SETS)),))
        peers.append(st.builds(PeerMatch, **fields) if fields else _no_peer)
    protocols = {"ports": [TCP, UDP, SCTP], "icmp": [icmp], "any": [None, TCP, UDP, icmp]}[kind]
    codes = draw(st.sampled_from([[None], [0, 1]]))
    types = st.builds(IcmpMatch, st.sampled_from([0, 8, 128]), st.sampled_from(codes))
    return st.builds(
        Rule,
        action=st.just(Action.ALLOW),
        ip_version=st.just(version),
        protocol=st.sampled_from(protocols),
        icmp=types if kind == "icmp" else st.none(),
        source=peers[0],
        destination=peers[1],
    )


@st.composite
def _runs(draw: st.DrawFn, shapes: list[st.SearchStrategy[Rule]]) -> tuple[Rule, ...]:
    """Runs of rules of one action, each of one or two shapes."""
    found: list[Rule] = []
    for _ in range(draw(st.integers(0, 3))):
        action = draw(st.sampled_from([Action.ALLOW, Action.ALLOW, *Action]))
        shape = st.one_of(draw(st.lists(st.sampled_from(shapes), min_size=1, max_size=2)))
        rules = draw(st.lists(shape, min_size=1, max_size=6))
        found += [replace(rule, action=action) for rule in rules]
    return tuple(found)


@st.composite
def long_runs(draw: st.DrawFn) -> Program:
    """A program of `programs()` whose rules come in runs."""
    program = draw(programs())
    shapes = [_shape(draw) for _ in range(draw(st.integers(1, 3)))]
    pool = draw(st.lists(_runs(shapes), min_size=2, max_size=4))
    some = st.sampled_from(pool)
    return Program(
        endpoints=program.endpoints,
        policies={
            name: Policy(name, old.tier, draw(some), draw(some))
            for name, old in program.policies.items()
        },
        profiles={name: Profile(name, draw(some), draw(some)) for name in program.profiles},
        sets=program.sets,
    )


_single_ports = [PortRange(one, one) for one in (53, 80, 81, 443, 8080)]


@st.composite
def _narrow_rules(draw: st.DrawFn) -> Rule:
    """Rules that mostly concern one host, or one port of one protocol; a few anything."""
    version = draw(st.sampled_from([4, 4, 6]))
    hosts = HOSTS4[:5] if version == 4 else HOSTS6
    kind = draw(st.sampled_from(["host", "host", "port", "port", "both", "ports", "set", "any"]))
    peers, ends = {"host", "both"}, {"port", "both", "ports"}
    nets = (draw(st.sampled_from(hosts)),) if kind in peers else ()
    ports = (draw(st.sampled_from(_single_ports)),) if kind in ends else ()
    if kind == "ports":
        ports += (draw(st.sampled_from(_PORTS)),)
    sets = (draw(st.sampled_from(NET_SETS)),) if kind == "set" else ()
    return Rule(
        draw(st.sampled_from([Action.ALLOW, Action.ALLOW, *Action])),
        version,
        protocol=draw(st.sampled_from([TCP, UDP])) if ports or kind == "any" else None,
        source=PeerMatch(nets=nets, sets=sets),
        destination=PeerMatch(nets=nets if draw(st.booleans()) else (), ports=ports),
    )


@st.composite
def many_policies(draw: st.DrawFn) -> Program:
    """A program whose endpoints have tiers of many policies, each of a rule or two."""
    program = draw(programs())
    names = [PolicyId("GlobalNetworkPolicy", "", f"m{number}") for number in range(24)]
    some = st.lists(_narrow_rules(), max_size=2).map(tuple)
    policies = {one: Policy(one, "default", draw(some), draw(some)) for one in names}
    orders = draw(st.lists(st.permutations(names), min_size=1, max_size=2))

    def tiers() -> tuple[TierPolicies, ...]:
        order = draw(st.sampled_from(orders))
        default = draw(st.sampled_from(DefaultAction))
        return (TierPolicies("default", default, tuple(order[: draw(st.integers(10, 24))])),)

    endpoints = {
        name: replace(one, ingress=tiers(), egress=tiers())
        for name, one in program.endpoints.items()
    }
    return replace(program, policies=policies, endpoints=endpoints)
