"""Host endpoints: each sentence of what is judged where, as a table or an example."""

import pytest
from msgspec.structs import replace

from tortie.api.calico.rule import HttpMatch
from tortie.net import Prefix, parse_address, parse_network
from tortie.net.protocols import TCP, UDP
from tortie.policy import (
    Packet,
    Path,
    Place,
    Program,
    Stage,
    ToHost,
    evaluate,
    explain,
    host_endpoint_of,
)
from tortie.policy.program import (
    Action,
    DefaultAction,
    Endpoint,
    EndpointId,
    Failsafe,
    Failsafes,
    HostEndpoint,
    PeerMatch,
    Policy,
    PolicyId,
    Profile,
    Rule,
    TierPolicies,
    Tiers,
)

HOST = EndpointId("HostEndpoint", "", "node-eth0")
POD = EndpointId("WorkloadEndpoint", "shop", "web")
ALLOW, DENY, PASS = (Rule(action) for action in (Action.ALLOW, Action.DENY, Action.PASS))
OPEN = Profile("open", (ALLOW,), (ALLOW,))
HTTP = HttpMatch(methods=("GET",))
STAGES = ("untracked", "pre_dnat", "forward", "normal")


def host(program: dict[str, tuple[Rule, ...]], profiles=(), **more) -> Program:
    """One host endpoint whose stages have these rules for both directions (pre_dnat: ingress)."""
    policies, tiers = {}, {}
    for stage, rules in program.items():
        name = PolicyId("GlobalNetworkPolicy", "", stage)
        policies[name] = Policy(name, "default", rules, rules)
        asked = (TierPolicies("default", more.get("default", DefaultAction.DENY), (name,)),)
        tiers[stage] = Tiers(asked, () if stage == "pre_dnat" else asked)
    endpoint = HostEndpoint(HOST, "eth0", profiles=tuple(p.name for p in profiles), **tiers)
    return Program(
        policies=policies,
        profiles={profile.name: profile for profile in profiles},
        host_endpoints={HOST: endpoint},
    )


def packet(path: Path = Path.TO_HOST, port: int = 80, **more) -> Packet:
    by = {"left": HOST} if path is Path.FROM_HOST else {"entered": HOST}
    return Packet(
        version=4,
        source=parse_address("198.51.100.9")[1],
        destination=parse_address("10.0.0.1")[1],
        protocol=more.pop("protocol", TCP),
        source_port=more.pop("source_port", 40000),
        destination_port=port,
        path=path,
        **(by | more),
    )


def allowed(program: Program, asked: Packet) -> bool:
    return evaluate(program, asked).allowed


@pytest.mark.parametrize("path", Path)
def test_a_host_endpoint_without_policy_stops_local_traffic_and_lets_forwarded_pass(path):
    assert allowed(host({}), packet(path)) is (path is Path.FORWARD)


@pytest.mark.parametrize("path", [Path.TO_HOST, Path.FROM_HOST])
def test_profiles_are_asked_after_the_normal_tiers(path):
    assert allowed(host({}, [OPEN]), packet(path))
    assert not allowed(host({"normal": (DENY,)}, [OPEN]), packet(path))
    assert allowed(host({"normal": (PASS,)}, [OPEN]), packet(path))


@pytest.mark.parametrize(
    ("stage", "path", "judged"),
    [
        ("untracked", Path.TO_HOST, True),
        ("untracked", Path.FROM_HOST, True),
        ("untracked", Path.FORWARD, True),
        ("pre_dnat", Path.TO_HOST, True),
        ("pre_dnat", Path.FROM_HOST, False),
        ("pre_dnat", Path.FORWARD, True),
        ("forward", Path.TO_HOST, False),
        ("forward", Path.FROM_HOST, False),
        ("forward", Path.FORWARD, True),
        ("normal", Path.TO_HOST, True),
        ("normal", Path.FROM_HOST, True),
        ("normal", Path.FORWARD, False),
    ],
)
def test_each_stage_judges_its_own_paths(stage, path, judged):
    assert allowed(host({stage: (DENY,)}, [OPEN]), packet(path)) is not judged


def test_untracked_egress_is_for_what_the_node_itself_sends():
    shut = host({"untracked": (DENY,)}, [OPEN])
    assert not allowed(shut, packet(Path.FROM_HOST))
    assert allowed(shut, packet(Path.FORWARD, entered=None, left=HOST))


@pytest.mark.parametrize("early", ["untracked", "pre_dnat"])
@pytest.mark.parametrize("late", ["forward", "normal"])
def test_what_an_early_rule_allows_no_later_stage_is_asked(early, late):
    path = Path.FORWARD if late == "forward" else Path.TO_HOST
    assert allowed(host({early: (ALLOW,), late: (DENY,)}), packet(path))


@pytest.mark.parametrize("early", ["untracked", "pre_dnat"])
@pytest.mark.parametrize("default", DefaultAction)
def test_early_tiers_have_no_default_action(early, default):
    none = Rule(Action.DENY, protocol=UDP)
    assert allowed(host({early: (none,), "normal": (ALLOW,)}, default=default), packet())
    assert not allowed(host({early: (none,)}, default=default), packet())


def test_forward_tiers_have_a_default_action_and_pass_leads_out_of_them():
    none = (Rule(Action.ALLOW, protocol=UDP),)
    assert not allowed(host({"forward": none}), packet(Path.FORWARD))
    assert allowed(host({"forward": none}, default=DefaultAction.PASS), packet(Path.FORWARD))
    assert allowed(host({"forward": (PASS,)}), packet(Path.FORWARD))


def test_early_policy_sees_the_destination_before_nat_and_the_rest_the_one_after():
    port = parse_address("203.0.113.1")[1]
    first = PeerMatch(nets=(Prefix.single(4, port),))
    to_first = (Rule(Action.DENY, destination=first),)
    asked = packet(first_destination=port, first_destination_port=30080)
    assert not allowed(host({"pre_dnat": to_first}, [OPEN]), asked)
    assert not allowed(host({"untracked": to_first}, [OPEN]), asked)
    late = host({"normal": to_first}, [OPEN], default=DefaultAction.PASS)
    assert allowed(late, asked)


@pytest.mark.parametrize(
    ("path", "protocol", "port"),
    [
        *((Path.TO_HOST, TCP, port) for port in (22, 179, 2379, 2380, 5473, 6443, 6666, 6667)),
        (Path.TO_HOST, UDP, 68),
        *((Path.FROM_HOST, TCP, port) for port in (179, 2379, 2380, 5473, 6443, 6666, 6667)),
        *((Path.FROM_HOST, UDP, port) for port in (53, 67)),
    ],
)
def test_failsafe_ports_pass_whatever_policy_says(path, protocol, port):
    shut = host(dict.fromkeys(STAGES, (DENY,)))
    assert allowed(shut, packet(path, port, protocol=protocol))
    assert not allowed(shut, packet(path, port + 1000, protocol=protocol))
    other = Path.FORWARD if path is Path.TO_HOST else path
    assert allowed(shut, packet(other, port, protocol=protocol)) is (other is path)


def test_before_tracking_replies_of_failsafe_ports_pass_on():
    shut = host({"untracked": (DENY,)}, [OPEN])
    assert allowed(shut, packet(Path.FROM_HOST, 40000, source_port=22))
    assert allowed(shut, packet(Path.TO_HOST, 40000, source_port=53, protocol=UDP))
    assert not allowed(shut, packet(Path.TO_HOST, 40000, source_port=22))


@pytest.mark.parametrize(("net", "expected"), [("198.51.100.0/24", True), ("10.0.0.0/8", False)])
def test_a_failsafe_port_may_be_for_some_peers_only(net, expected):
    ports = Failsafes((Failsafe(TCP, 80, parse_network(net)),), ())
    assert allowed(replace(host({}), failsafes=ports), packet()) is expected


def test_a_packet_to_a_workload_needs_the_host_endpoint_and_the_workload():
    pod = Endpoint(POD, "cali1", (parse_network("10.0.0.1"),), profiles=("open",))
    both = replace(
        host({"forward": (ALLOW,)}), endpoints={POD: pod}, profiles={"open": Profile("open")}
    )
    asked = packet(Path.FORWARD, destination_endpoint=POD)
    assert not allowed(both, asked)
    assert allowed(replace(both, profiles={"open": OPEN}), asked)
    shut = host({"forward": (DENY,)})
    assert not allowed(replace(shut, endpoints={POD: pod}, profiles={"open": OPEN}), asked)


def test_a_node_reaches_its_own_workloads_always():
    pod = Endpoint(POD, "cali1", (parse_network("10.0.0.1"),))
    asked = packet(Path.FROM_HOST, left=None, destination_endpoint=POD)
    assert allowed(Program(endpoints={POD: pod}), asked)
    assert not allowed(Program(), asked)


def test_a_host_endpoint_that_is_not_programmed_gets_nothing():
    verdict = evaluate(Program(), packet())
    assert (verdict.allowed, verdict.steps[0].stage) == (False, Stage.ENDPOINT)


def test_an_http_rule_matches_no_packet():
    rule = Rule(Action.ALLOW, http=HTTP)
    verdict = evaluate(host({"normal": (rule,)}), packet())
    assert not verdict.allowed
    assert "HTTP" in verdict.steps[0].misses[0].why


def test_steps_tell_the_place_and_explanations_name_it():
    verdict = evaluate(host({"untracked": (PASS,), "normal": (ALLOW,)}), packet())
    assert [step.place for step in verdict.steps] == [Place.UNTRACKED, Place.NORMAL]
    text = explain(verdict)
    assert "ingress of node-eth0, host endpoint, untracked policy" in text
    assert "ingress of node-eth0, host endpoint, normal policy" in text
    assert "22 is failsafe" in explain(evaluate(host({}), packet(port=22)))


def named(name: str, interface: str, *addresses: str) -> HostEndpoint:
    nets = tuple(map(parse_network, addresses))
    return HostEndpoint(EndpointId("HostEndpoint", "", name), interface, nets)


@pytest.mark.parametrize(
    ("known", "expected"),
    [
        ([named("a", "eth1")], None),
        ([named("b", "*"), named("a", "eth1")], "b"),
        ([named("a", "*"), named("b", "", "192.0.2.1")], "b"),
        ([named("a", "", "192.0.2.1"), named("b", "eth0")], "b"),
        ([named("b", "eth0"), named("a", "eth0")], "a"),
        ([named("a", "eth1", "192.0.2.1")], None),
        ([named("a", "", "192.0.2.9")], None),
    ],
)
def test_an_interface_is_who_names_it_then_who_expects_its_address_then_every(known, expected):
    program = Program(host_endpoints={each.id: each for each in known})
    found = host_endpoint_of(program, "eth0", [parse_network("192.0.2.1")])
    assert (found and found.name) == expected


@pytest.mark.parametrize("action", ToHost)
@pytest.mark.parametrize("egress", [ALLOW, DENY])
def test_a_workload_reaches_its_node_where_its_egress_and_the_agents_setting_let_it(action, egress):
    pod = Endpoint(POD, "cali1", (parse_network("198.51.100.9"),), profiles=("p",))
    program = Program(
        endpoints={POD: pod}, profiles={"p": Profile("p", (), (egress,))}, to_host=action
    )
    asked = packet(entered=None, source_endpoint=POD)
    assert allowed(program, asked) is (action is not ToHost.DROP and egress is ALLOW)
