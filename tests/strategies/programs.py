"""Random policy programs and packets: small worlds in which rules often match.

`programs()` gives a whole Program whose every reference resolves; `packets_for(program)` gives
packets between and around its endpoints. A few addresses, ports and sets are shared by all parts,
so that a random rule has a fair chance of matching a random packet.
"""

from hypothesis import strategies as st

from tortie.api.calico.rule import HttpMatch
from tortie.net import PortRange, Prefix, parse_network
from tortie.net.protocols import ICMP, ICMPV6, PORT_PROTOCOLS, SCTP, TCP, UDP
from tortie.policy import Packet, Program
from tortie.policy.program import (
    Action,
    DefaultAction,
    Endpoint,
    EndpointId,
    IcmpMatch,
    IPPort,
    PeerMatch,
    Policy,
    PolicyId,
    Profile,
    Rule,
    TierPolicies,
)

HOSTS4 = [parse_network(f"10.65.{n // 4}.{n % 4 + 1}") for n in range(8)]
HOSTS6 = [parse_network(f"fd00:65::{n + 1:x}") for n in range(4)]
OUTSIDE = [parse_network("198.51.100.7"), parse_network("2001:db8::7")]
HOSTS = HOSTS4 + HOSTS6 + OUTSIDE
NETS4 = [parse_network(n) for n in ("10.65.0.0/24", "10.65.0.2/31", "10.64.0.0/15", "0.0.0.0/0")]
NETS6 = [parse_network(n) for n in ("fd00:65::/64", "fd00:65::2/127", "2001:db8::/32")]
PORTS = [53, 80, 81, 443, 8080]
PROTOCOLS = [TCP, UDP, SCTP]
NET_SETS = ["s:web", "s:db", "s:empty"]
PORT_SETS = ["n:http", "n:dns"]
POLICIES = [
    *(PolicyId("NetworkPolicy", "shop", name) for name in "abc"),
    PolicyId("KubernetesNetworkPolicy", "shop", "a"),
    *(PolicyId("GlobalNetworkPolicy", "", name) for name in "xyz"),
]
PROFILES = ["kns.shop", "ksa.shop.default", "open"]
ENDPOINTS = [EndpointId("WorkloadEndpoint", "shop", f"pod-{n}") for n in range(4)]

ip_versions = st.sampled_from([4, 6])


def addresses(version: int) -> st.SearchStrategy[Prefix]:
    """Single addresses of the small world."""
    return st.sampled_from([host for host in HOSTS if host.version == version])


def nets(version: int) -> st.SearchStrategy[tuple[Prefix, ...]]:
    """Short lists of networks of one family, mostly empty."""
    known = NETS4 if version == 4 else NETS6
    return st.lists(st.sampled_from(known) | addresses(version), max_size=2).map(tuple)


port_ranges = st.builds(
    lambda first, more: PortRange(first, min(first + more, 65535)),
    st.sampled_from(PORTS),
    st.sampled_from([0, 0, 1, 1000]),
)


@st.composite
def peer_matches(draw: st.DrawFn, version: int, has_ports: bool) -> PeerMatch:
    """One end's conditions; port conditions only where the rule's protocol has ports."""
    some_sets = st.lists(st.sampled_from(NET_SETS), max_size=1).map(tuple)
    some_ports = st.lists(port_ranges, max_size=2).map(tuple) if has_ports else st.just(())
    port_sets = (
        st.lists(st.sampled_from(PORT_SETS), max_size=1).map(tuple) if has_ports else st.just(())
    )
    fields = {
        "nets": nets(version),
        "sets": some_sets,
        "ports": some_ports,
        "port_sets": port_sets,
        "services": port_sets,
        "not_nets": nets(version),
        "not_sets": some_sets,
        "not_ports": some_ports,
        "not_port_sets": port_sets,
    }
    given_fields = draw(st.sets(st.sampled_from(sorted(fields)), max_size=2))
    return PeerMatch(**{name: draw(fields[name]) for name in sorted(given_fields)})


@st.composite
def rules(draw: st.DrawFn) -> Rule:
    """Rules as the engine lowers them: one family where nets are given, ports with a protocol."""
    version = draw(ip_versions)
    protocol = draw(st.sampled_from([None, TCP, UDP, SCTP, ICMP if version == 4 else ICMPV6]))
    has_ports = protocol in PORT_PROTOCOLS
    source = draw(peer_matches(version, has_ports))
    destination = draw(peer_matches(version, has_ports))
    has_nets = any((source.nets, source.not_nets, destination.nets, destination.not_nets))
    is_icmp = protocol in (ICMP, ICMPV6)
    icmp = st.none() | st.builds(
        IcmpMatch, st.sampled_from([0, 3, 8, 128]), st.none() | st.sampled_from([0, 1])
    )
    return Rule(
        action=draw(st.sampled_from([Action.ALLOW, Action.ALLOW, *Action])),
        ip_version=version if has_nets or is_icmp else draw(st.sampled_from([None, None, 4, 6])),
        protocol=protocol,
        not_protocol=draw(st.sampled_from([None, None, TCP, UDP])) if protocol is None else None,
        icmp=draw(icmp) if is_icmp else None,
        not_icmp=draw(icmp) if is_icmp else None,
        source=source,
        destination=destination,
        http=draw(st.sampled_from([*[None] * 11, HttpMatch(methods=("GET",))])),
    )


@st.composite
def tier_lists(draw: st.DrawFn, tier_of: dict[PolicyId, str]) -> tuple[TierPolicies, ...]:
    """Tiers in order, each with some of its policies; tiers without policies are left out."""
    tiers = []
    for name, action in (("first", draw(st.sampled_from(DefaultAction))), ("default", "Deny")):
        own = [policy for policy in POLICIES if tier_of[policy] == name]
        chosen = draw(st.permutations(own))[: draw(st.integers(0, 2))]
        if chosen:
            tiers.append(TierPolicies(name, DefaultAction(action), tuple(chosen)))
    return tuple(tiers)


@st.composite
def endpoints(draw: st.DrawFn, number: int, tier_of: dict[PolicyId, str]) -> Endpoint:
    """One local endpoint with an IPv4 address and perhaps an IPv6 one."""
    six = draw(st.booleans())
    return Endpoint(
        id=ENDPOINTS[number],
        interface=f"cali{number}",
        addresses=(HOSTS4[number], *([HOSTS6[number]] if six else [])),
        ingress=draw(tier_lists(tier_of)),
        egress=draw(tier_lists(tier_of)),
        profiles=tuple(draw(st.lists(st.sampled_from(PROFILES), max_size=2, unique=True))),
    )


ip_ports = st.builds(
    lambda host, protocol, port: IPPort(host.version, host.address, protocol, port),
    st.sampled_from(HOSTS),
    st.sampled_from(PROTOCOLS),
    st.sampled_from(PORTS),
)
net_members = st.sampled_from(HOSTS + NETS4[:3] + NETS6)


@st.composite
def programs(draw: st.DrawFn) -> Program:
    """A whole program: four endpoints, and every policy, profile and set that they name."""
    tier_of = {policy: draw(st.sampled_from(["first", "default"])) for policy in POLICIES}
    # One small pool of rules for all lists: fewer draws, and equal rules in several places.
    pool = st.sampled_from(draw(st.lists(rules(), min_size=1, max_size=6)))
    some_rules = st.lists(pool, max_size=3).map(tuple)
    return Program(
        endpoints={
            ENDPOINTS[n]: draw(endpoints(n, tier_of)) for n in range(draw(st.integers(1, 4)))
        },
        policies={
            name: Policy(name, tier_of[name], draw(some_rules), draw(some_rules))
            for name in POLICIES
        },
        profiles={name: Profile(name, draw(some_rules), draw(some_rules)) for name in PROFILES},
        sets={
            "s:empty": frozenset(),
            **{name: draw(st.frozensets(net_members, max_size=4)) for name in NET_SETS[:2]},
            **{name: draw(st.frozensets(ip_ports, max_size=6)) for name in PORT_SETS},
        },
    )


@st.composite
def packets_for(draw: st.DrawFn, program: Program) -> Packet:
    """A packet with at least one end at an endpoint of the program."""
    version = draw(ip_versions)
    ends = [_end_of(endpoint, version) for endpoint in program.endpoints.values()]
    local = [end for end in ends if end is not None]
    if not local:
        version, local = 4, [(e.addresses[0], e.id) for e in program.endpoints.values()]
    inside = draw(st.sampled_from(local))
    outside = draw(st.sampled_from(local) | addresses(version).map(lambda a: (a, None)))
    source, destination = (inside, outside) if draw(st.booleans()) else (outside, inside)
    protocol = draw(st.sampled_from([*PROTOCOLS, ICMP if version == 4 else ICMPV6]))
    ports = st.sampled_from(PORTS) if protocol in PORT_PROTOCOLS else st.none()
    is_icmp = protocol not in PORT_PROTOCOLS
    return Packet(
        version=version,
        source=source[0].address,
        destination=destination[0].address,
        protocol=protocol,
        source_port=draw(ports),
        destination_port=draw(ports),
        icmp_type=draw(st.sampled_from([0, 3, 8, 128])) if is_icmp else None,
        icmp_code=draw(st.sampled_from([0, 1])) if is_icmp else None,
        source_endpoint=source[1],
        destination_endpoint=destination[1],
    )


def _end_of(endpoint: Endpoint, version: int) -> tuple[Prefix, EndpointId] | None:
    mine = [net for net in endpoint.addresses if net.version == version]
    return (mine[0], endpoint.id) if mine else None
