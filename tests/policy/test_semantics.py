"""Each sentence of the semantics, as a table or an example."""

import pytest

from tortie.net import PortRange, Prefix, parse_address, parse_network
from tortie.net.protocols import ICMP, ICMPV6, TCP, UDP
from tortie.policy import Outcome, Packet, Program, Stage, evaluate
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

POD = EndpointId("WorkloadEndpoint", "shop", "web")
OTHER = EndpointId("WorkloadEndpoint", "shop", "db")
ALLOW, DENY, PASS, LOG = (
    Rule(action) for action in (Action.ALLOW, Action.DENY, Action.PASS, Action.LOG)
)
ALLOW_ALL = Profile("open", (ALLOW,), (ALLOW,))


def net(text: str) -> Prefix:
    return parse_network(text)


def packet(source="10.0.0.9", destination="10.0.0.1", protocol=TCP, port=80, **more) -> Packet:
    version, source_address = parse_address(source)
    return Packet(
        version=version,
        source=source_address,
        destination=parse_address(destination)[1],
        protocol=protocol,
        source_port=more.pop("source_port", 40000),
        destination_port=port,
        destination_endpoint=more.pop("destination_endpoint", POD),
        **more,
    )


def one_pod(*tiers: tuple[str, DefaultAction, list[tuple[Rule, ...]]], profiles=()) -> Program:
    """A program of one pod at 10.0.0.1 whose ingress is these tiers, each of these policies."""
    policies, listed = {}, []
    for tier, action, rule_lists in tiers:
        names = []
        for number, rules in enumerate(rule_lists):
            name = PolicyId("GlobalNetworkPolicy", "", f"{tier}-{number}")
            policies[name] = Policy(name, tier, ingress=rules)
            names.append(name)
        listed.append(TierPolicies(tier, action, tuple(names)))
    endpoint = Endpoint(
        id=POD,
        interface="cali1",
        addresses=(net("10.0.0.1"), net("fd00::1")),
        ingress=tuple(listed),
        profiles=tuple(profile.name for profile in profiles),
    )
    return Program(
        endpoints={POD: endpoint},
        policies=policies,
        profiles={profile.name: profile for profile in profiles},
    )


def allowed(program: Program, asked: Packet | None = None) -> bool:
    return evaluate(program, asked or packet()).allowed


D, P = DefaultAction.DENY, DefaultAction.PASS


@pytest.mark.parametrize(
    ("tiers", "expected"),
    [
        pytest.param([("t", D, [(ALLOW, DENY)])], True, id="the first rule that matches decides"),
        pytest.param([("t", D, [(DENY, ALLOW)])], False, id="…also when it denies"),
        pytest.param([("t", D, [(), (ALLOW,)])], True, id="no match goes on to the next policy"),
        pytest.param([("t", D, [()])], False, id="no rule matched: the default action denies"),
        pytest.param([("t", P, [()])], True, id="…or passes to what follows"),
        pytest.param(
            [("t", D, [(PASS, DENY), (DENY,)]), ("u", D, [(ALLOW,)])], True,
            id="Pass skips the rest of the tier, its other policies and its default",
        ),
        pytest.param([("t", D, [(PASS,)])], True, id="Pass in the last tier asks the profiles"),
        pytest.param([("t", D, [(PASS,)]), ("u", D, [(DENY,)])], False, id="…and decides nothing"),
        pytest.param([("t", D, [(LOG, ALLOW)])], True, id="Log goes on with the next rule"),
        pytest.param([("t", D, [(LOG,)])], False, id="Log alone is no match"),
        pytest.param(
            [("t", D, [(ALLOW,)]), ("u", D, [(DENY,)])], True, id="an earlier tier decides first"
        ),
        pytest.param([], True, id="without any tier the profiles decide"),
    ],
)  # fmt: skip
def test_tiers_and_actions(tiers, expected):
    assert allowed(one_pod(*tiers, profiles=[ALLOW_ALL])) is expected


@pytest.mark.parametrize(
    ("profiles", "expected"),
    [
        pytest.param([], False, id="no profile means deny"),
        pytest.param([Profile("none")], False, id="a profile without rules has no say"),
        pytest.param([Profile("none"), ALLOW_ALL], True, id="the next profile is asked"),
        pytest.param([Profile("no", (DENY,)), ALLOW_ALL], False, id="the first profile wins"),
        pytest.param([Profile("pass", (PASS, DENY)), ALLOW_ALL], True, id="Pass leaves a profile"),
        pytest.param([Profile("pass", (PASS,))], False, id="…and decides nothing"),
        pytest.param([Profile("out", (), (ALLOW,))], False, id="egress rules say nothing here"),
    ],
)
def test_profiles(profiles, expected):
    assert allowed(one_pod(profiles=profiles)) is expected


def test_both_sides_must_allow():
    allow, nothing = Profile("allow", (ALLOW,), (ALLOW,)), Profile("nothing")
    ends = {}
    for name, address in ((POD, "10.0.0.1"), (OTHER, "10.0.0.2")):
        ends[name] = Endpoint(name, f"cali-{name.name}", (net(address),), profiles=(name.name,))
    asked = packet("10.0.0.2", source_endpoint=OTHER)
    for source, destination in ((allow, allow), (allow, nothing), (nothing, allow)):
        program = Program(ends, {}, {"db": source, "web": destination})
        assert allowed(program, asked) is (source is allow and destination is allow)


def test_an_end_that_is_no_endpoint_has_no_say():
    assert allowed(Program(), packet(destination_endpoint=None))


def test_an_endpoint_that_is_not_programmed_gets_no_traffic():
    verdict = evaluate(Program(), packet())
    assert not verdict.allowed
    assert verdict.steps[0].stage is Stage.ENDPOINT


@pytest.mark.parametrize(
    ("source", "expected"),
    [("10.0.0.1", True), ("10.0.0.7", True), ("10.0.0.2", False), ("fd00::1", True)],
)
def test_a_workload_sends_only_from_its_own_or_allowed_addresses(source, expected):
    endpoint = Endpoint(
        POD,
        "cali1",
        (net("10.0.0.1"), net("fd00::1")),
        profiles=("open",),
        allowed_sources=(net("10.0.0.4/30"),),
    )
    program = Program({POD: endpoint}, profiles={"open": ALLOW_ALL})
    destination = "fd00::9" if ":" in source else "10.0.0.9"
    asked = packet(source, destination, source_endpoint=POD, destination_endpoint=None)
    assert allowed(program, asked) is expected


SETS = {
    "s:web": frozenset({net("10.0.0.8/31"), net("fd00::/64")}),
    "s:db": frozenset({net("10.0.0.9")}),
    "n:http": frozenset({IPPort(4, net("10.0.0.1").address, TCP, 80)}),
}


def source(**fields) -> dict:
    return {"source": PeerMatch(**fields)}


def destination(**fields) -> dict:
    return {"destination": PeerMatch(**fields)}


@pytest.mark.parametrize(
    ("fields", "asked", "expected"),
    [
        ({}, {}, True),
        ({"ip_version": 4}, {}, True),
        ({"ip_version": 6}, {}, False),
        ({"protocol": TCP}, {}, True),
        ({"protocol": UDP}, {}, False),
        ({"not_protocol": TCP}, {}, False),
        ({"not_protocol": UDP}, {}, True),
        (source(nets=(net("10.0.0.0/29"), net("10.0.0.9"))), {}, True),
        (source(nets=(net("10.0.0.0/29"),)), {}, False),
        (source(nets=(net("::/0"),)), {}, False),
        (source(not_nets=(net("10.0.0.0/29"),)), {}, True),
        (source(not_nets=(net("0.0.0.0/0"),)), {}, False),
        (source(sets=("s:web",)), {}, True),
        (source(sets=("s:web",)), {"source": "10.0.0.7"}, False),
        (source(sets=("s:web",)), {"source": "fd00::9", "destination": "fd00::1"}, True),
        (source(sets=("s:web", "s:db")), {"source": "10.0.0.8"}, False),
        (source(not_sets=("s:db",)), {}, False),
        (source(not_sets=("s:db",)), {"source": "192.0.2.1"}, True),
        (destination(ports=(PortRange(80, 90),)), {"port": 90}, True),
        (destination(ports=(PortRange(80, 90),)), {"port": 91}, False),
        (destination(ports=(PortRange(1, 2),), port_sets=("n:http",)), {}, True),
        (destination(ports=(PortRange(1, 2),), port_sets=("n:http",)), {"port": 2}, True),
        (destination(ports=(PortRange(1, 2),), port_sets=("n:http",)), {"port": 3}, False),
        (destination(port_sets=("n:http",)), {"protocol": UDP}, False),
        (destination(not_ports=(PortRange(80, 80),)), {}, False),
        (destination(not_port_sets=("n:http",)), {}, False),
        (destination(not_port_sets=("n:http",)), {"port": 81}, True),
        (destination(services=("n:http",)), {}, True),
        (destination(services=("n:http",)), {"port": 81}, False),
        (source(ports=(PortRange(40000, 40000),)), {}, True),
        (
            destination(ports=(PortRange(0, 65535),)),
            {"protocol": ICMP, "port": None, "icmp_type": 8, "icmp_code": 0},
            False,
        ),
    ],
)
def test_every_condition_of_a_rule_must_hold(fields, asked, expected):
    program = one_pod(("t", D, [(Rule(Action.ALLOW, **fields),)]))
    whole = Program(program.endpoints, program.policies, program.profiles, SETS)
    assert allowed(whole, packet(**asked)) is expected


@pytest.mark.parametrize(
    ("match", "asked", "expected"),
    [
        (IcmpMatch(8), (ICMP, 8, 0), True),
        (IcmpMatch(8, 0), (ICMP, 8, 0), True),
        (IcmpMatch(8, 1), (ICMP, 8, 0), False),
        (IcmpMatch(0), (ICMP, 8, 0), False),
        (IcmpMatch(8), (ICMPV6, 8, 0), False),
        (IcmpMatch(8), (TCP, None, None), False),
    ],
)
def test_icmp_matches_type_and_code_of_its_ip_version(match, asked, expected):
    protocol, kind, code = asked
    sent = packet(protocol=protocol, port=None, icmp_type=kind, icmp_code=code)
    assert allowed(one_pod(("t", D, [(Rule(Action.ALLOW, icmp=match),)])), sent) is expected
    refused = one_pod(("t", D, [(Rule(Action.ALLOW, not_icmp=match),)]))
    assert allowed(refused, sent) is not expected


def test_reasons_name_the_rule_that_matched_and_why_others_did_not():
    program = one_pod(("t", D, [(Rule(Action.DENY, protocol=UDP), LOG, ALLOW)]))
    (step,) = evaluate(program, packet()).steps
    name = PolicyId("GlobalNetworkPolicy", "", "t-0")
    assert (step.stage, step.name, step.outcome) == (Stage.TIER, "t", Outcome.ALLOW)
    assert step.matched == (name, "ingress", 2)
    assert step.logged == ((name, "ingress", 1),)
    assert [(miss.rule.position, miss.why) for miss in step.misses] == [(0, "TCP is not UDP")]
