"""Policy programs that the engine would not make, but that the program's types can say.

Ports and ICMP types without a protocol, or with one that has none; both a protocol and an excluded
one; several conditions at once. A dataplane must agree with the evaluator on these too.
"""

from hypothesis import strategies as st
from msgspec.structs import replace

from strategies.programs import (
    ENDPOINTS,
    HOSTS4,
    HOSTS6,
    NET_SETS,
    NETS4,
    NETS6,
    PORT_SETS,
    port_ranges,
    programs,
)
from tortie.net import PortRange
from tortie.net.protocols import ICMP, ICMPV6, SCTP, TCP, UDP
from tortie.policy import Program
from tortie.policy.program import Action, Endpoint, IcmpMatch, PeerMatch, Policy, Profile, Rule

UNKNOWN_PROTOCOL = 99
_protocols = st.sampled_from([None, None, None, TCP, UDP, SCTP, ICMP, ICMPV6, UNKNOWN_PROTOCOL])
_icmp = st.builds(IcmpMatch, st.sampled_from([8, 13, 128]), st.sampled_from([None, 0, 1]))
_mostly_none = st.sampled_from([True, False, False])
_all_nets = [*NETS4, *NETS6]
_some_ranges = st.lists(
    port_ranges | st.sampled_from([PortRange(0, 65535), PortRange(81, 443)]), max_size=3
).map(tuple)


def _few(items: list[str]) -> st.SearchStrategy[tuple[str, ...]]:
    return st.lists(st.sampled_from(items), max_size=2).map(tuple)


@st.composite
def _peers(draw: st.DrawFn) -> PeerMatch:
    nets = st.lists(st.sampled_from(_all_nets), max_size=3).map(tuple)
    fields = {
        "nets": nets,
        "sets": _few(NET_SETS),
        "ports": _some_ranges,
        "port_sets": _few(PORT_SETS),
        "services": _few(PORT_SETS),
        "not_nets": nets,
        "not_sets": _few(NET_SETS),
        "not_ports": _some_ranges,
        "not_port_sets": _few(PORT_SETS),
    }
    chosen = draw(st.sets(st.sampled_from(sorted(fields)), max_size=3))
    return PeerMatch(**{name: draw(fields[name]) for name in sorted(chosen)})


@st.composite
def loose_rules(draw: st.DrawFn) -> Rule:
    """Any rule that the types allow."""
    return Rule(
        action=draw(st.sampled_from([Action.ALLOW, Action.ALLOW, *Action])),
        ip_version=draw(st.sampled_from([None, None, None, 4, 6])),
        protocol=draw(_protocols),
        not_protocol=draw(_protocols) if draw(_mostly_none) else None,
        icmp=draw(_icmp) if draw(_mostly_none) else None,
        not_icmp=draw(_icmp) if draw(_mostly_none) else None,
        source=draw(_peers()),
        destination=draw(_peers()),
    )


# Rules that most packets match: they bring out the order of rules, policies and tiers.
plain_rules = st.builds(Rule, st.sampled_from(Action), protocol=st.sampled_from([None, TCP, UDP]))


@st.composite
def loose_programs(draw: st.DrawFn) -> Program:
    """A program of `programs()` whose rules are loose or plain ones."""
    program = draw(programs())
    pool = st.sampled_from(draw(st.lists(plain_rules | loose_rules(), min_size=2, max_size=6)))
    some = st.lists(pool, max_size=3).map(tuple)
    return Program(
        endpoints=program.endpoints,
        policies={
            name: Policy(name, old.tier, draw(some), draw(some))
            for name, old in program.policies.items()
        },
        profiles={name: Profile(name, draw(some), draw(some)) for name in program.profiles},
        sets=program.sets,
    )


def with_open_peer(program: Program) -> Program:
    """The same with one more endpoint that allows everything.

    Most random programs deny most packets at one end; with such a peer the other end decides.
    """
    peer = ENDPOINTS[-1]
    endpoint = Endpoint(peer, "cali3", (HOSTS4[3], HOSTS6[3]), profiles=("allow-all",))
    allow = (Rule(Action.ALLOW),)
    return replace(
        program,
        endpoints={**program.endpoints, peer: endpoint},
        profiles={**program.profiles, "allow-all": Profile("allow-all", allow, allow)},
    )
