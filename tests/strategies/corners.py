"""Programs that stand at the corners of the language, one thing each: for every dataplane's tests.

pod-0 is behind what is tried, in both directions; `with_open_peer` gives it somebody to talk to.
"""

from strategies.programs import ENDPOINTS, HOSTS4, HOSTS6
from tortie.net import PortRange, parse_network
from tortie.policy import Program
from tortie.policy.program import (
    Action,
    DefaultAction,
    Endpoint,
    IcmpMatch,
    IPPort,
    PeerMatch,
    Policy,
    PolicyId,
    Profile,
    Rule,
    TierPolicies,
)


def guarded(*tiers: tuple[DefaultAction, list[tuple[Rule, ...]]], profile: Rule) -> Program:
    """pod-0 behind these tiers, each a list of policies' rules, in both directions; then
    a profile of one rule."""
    named = [
        (
            f"tier-{place}",
            default,
            [PolicyId("GlobalNetworkPolicy", "", f"p{place}{n}") for n in range(len(policies))],
        )
        for place, (default, policies) in enumerate(tiers)
    ]
    walk = tuple(TierPolicies(name, default, tuple(ids)) for name, default, ids in named)
    policies = {
        one: Policy(one, name, rules, rules)
        for (name, _, ids), (_, lists) in zip(named, tiers, strict=True)
        for one, rules in zip(ids, lists, strict=True)
    }
    endpoint = Endpoint(ENDPOINTS[0], "cali0", (HOSTS4[0], HOSTS6[0]), walk, walk, ("last",))
    return Program(
        {endpoint.id: endpoint}, policies, {"last": Profile("last", (profile,), (profile,))}, SETS
    )


SETS = {
    "s:one": frozenset({HOSTS4[3], HOSTS6[3]}),
    "s:all": frozenset({parse_network("0.0.0.0/0"), parse_network("::/0")}),
    "s:none": frozenset(),
    "n:http": frozenset(IPPort(one.version, one.address, 6, 80) for one in (HOSTS4[3], HOSTS6[3])),
}
ALLOW, DENY, PASS, LOG = map(Rule, (Action.ALLOW, Action.DENY, Action.PASS, Action.LOG))
DENIES, PASSES = DefaultAction.DENY, DefaultAction.PASS
TCP_PASS = Rule(Action.PASS, protocol=6)
HTTP = PeerMatch(ports=(PortRange(80, 80),))
NOT_HTTP = PeerMatch(not_ports=(PortRange(80, 80),))


def only(rule: Rule) -> Program:
    return guarded((DENIES, [(rule,)]), profile=DENY)


MANY = PeerMatch(
    ports=(*(PortRange(n, n) for n in range(1, 30, 2)), PortRange(79, 90), PortRange(443, 443)),
)
NOT_MANY = PeerMatch(not_ports=MANY.ports)
FEW_NETS = PeerMatch(nets=tuple(HOSTS4[:2] + HOSTS4[3:4] + HOSTS6[:1] + HOSTS6[3:4]))
WIDE = (parse_network("10.64.0.0/15"), parse_network("fd00::/16"))
CORNERS = [
    guarded((DENIES, [(TCP_PASS,)]), (DENIES, [()]), profile=ALLOW),
    guarded((DENIES, [(TCP_PASS,)]), (PASSES, [()]), profile=ALLOW),
    guarded((DENIES, [(PASS,)]), (DENIES, [(), (ALLOW,)]), profile=DENY),
    guarded((DENIES, [(PASS,)]), (PASSES, [(), (DENY,)]), profile=ALLOW),
    guarded((PASSES, [(TCP_PASS,), (DENY,)]), profile=ALLOW),
    guarded((DENIES, [(ALLOW,), (DENY,)]), profile=DENY),
    guarded((DENIES, [(LOG, TCP_PASS), (LOG, ALLOW)]), profile=DENY),
    guarded((PASSES, [(LOG,)]), profile=PASS),
    guarded(profile=ALLOW),
    guarded(profile=PASS),
    only(Rule(Action.ALLOW, destination=HTTP)),
    only(Rule(Action.ALLOW, destination=NOT_HTTP)),
    only(Rule(Action.ALLOW, source=NOT_HTTP, destination=NOT_HTTP)),
    only(Rule(Action.ALLOW, protocol=1, destination=HTTP)),
    only(Rule(Action.ALLOW, protocol=1, destination=NOT_HTTP)),
    only(Rule(Action.ALLOW, protocol=99, destination=NOT_HTTP)),
    only(Rule(Action.ALLOW, not_protocol=6, destination=NOT_HTTP)),
    only(Rule(Action.ALLOW, icmp=IcmpMatch(8))),
    only(Rule(Action.ALLOW, icmp=IcmpMatch(128, 1))),
    only(Rule(Action.ALLOW, not_icmp=IcmpMatch(8, 1))),
    only(Rule(Action.ALLOW, not_icmp=IcmpMatch(8), destination=NOT_HTTP)),
    only(Rule(Action.ALLOW, protocol=6, not_icmp=IcmpMatch(8))),
    only(Rule(Action.ALLOW, protocol=6, icmp=IcmpMatch(8))),
    only(Rule(Action.ALLOW, protocol=58, icmp=IcmpMatch(128))),
    only(Rule(Action.ALLOW, protocol=58)),
    only(Rule(Action.ALLOW, destination=PeerMatch(sets=("s:one",)))),
    only(Rule(Action.ALLOW, destination=PeerMatch(sets=("s:one", "s:all")))),
    only(Rule(Action.ALLOW, destination=PeerMatch(sets=("s:none",)))),
    only(Rule(Action.ALLOW, destination=PeerMatch(not_sets=("s:one", "s:none")))),
    only(Rule(Action.ALLOW, destination=PeerMatch(not_sets=("s:all",)))),
    only(Rule(Action.ALLOW, destination=PeerMatch(port_sets=("n:http",)))),
    only(Rule(Action.ALLOW, destination=PeerMatch(services=("n:http",)))),
    only(Rule(Action.ALLOW, destination=PeerMatch(not_port_sets=("n:http",)))),
    only(
        Rule(
            Action.ALLOW,
            destination=PeerMatch(port_sets=("n:http",), ports=(PortRange(443, 8080),)),
            source=PeerMatch(ports=(PortRange(0, 65535),)),
        )
    ),
    only(Rule(Action.ALLOW, destination=PeerMatch(nets=(parse_network("0.0.0.0/0"),)))),
    only(Rule(Action.ALLOW, destination=PeerMatch(not_nets=(parse_network("::/0"),)))),
    only(Rule(Action.ALLOW, ip_version=6, source=PeerMatch(nets=(HOSTS4[0],)))),
    only(Rule(Action.ALLOW, protocol=6, destination=MANY)),
    only(Rule(Action.ALLOW, destination=MANY, source=MANY)),
    only(Rule(Action.ALLOW, not_protocol=17, destination=MANY, source=MANY)),
    only(Rule(Action.ALLOW, protocol=6, destination=NOT_MANY)),
    only(Rule(Action.ALLOW, not_protocol=17, source=NOT_MANY, destination=NOT_MANY)),
    only(Rule(Action.ALLOW, source=FEW_NETS, destination=FEW_NETS)),
    only(Rule(Action.ALLOW, destination=PeerMatch(not_nets=FEW_NETS.nets))),
    only(Rule(Action.ALLOW, destination=PeerMatch(nets=WIDE, not_nets=(HOSTS4[3], HOSTS6[3])))),
    only(Rule(Action.ALLOW, protocol=1, not_icmp=IcmpMatch(8, 1))),
    only(Rule(Action.ALLOW, protocol=58, not_icmp=IcmpMatch(128))),
    only(Rule(Action.ALLOW, protocol=17, source=MANY, destination=MANY)),
    guarded((DENIES, [(Rule(Action.LOG, protocol=6, source=MANY), ALLOW)]), profile=DENY),
    only(Rule(Action.ALLOW, not_protocol=6, icmp=IcmpMatch(8), not_icmp=IcmpMatch(8, 1))),
    only(Rule(Action.ALLOW, not_protocol=6, not_icmp=IcmpMatch(8), source=NOT_MANY)),
    guarded((DENIES, [(Rule(Action.LOG, source=FEW_NETS, destination=MANY), ALLOW)]), profile=DENY),
    guarded((DENIES, [(Rule(Action.DENY, source=FEW_NETS), ALLOW)]), profile=DENY),
    guarded((DENIES, [(Rule(Action.PASS, destination=MANY), DENY)]), profile=ALLOW),
]
