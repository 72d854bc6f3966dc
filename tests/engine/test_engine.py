"""The engine's promises by example: matching, order, sets, profiles, failing closed."""

import pytest

from tortie.api import (
    EndpointPort,
    EntityRule,
    GlobalNetworkPolicy,
    GlobalNetworkPolicySpec,
    GlobalNetworkSet,
    Key,
    NetworkPolicy,
    NetworkPolicySpec,
    NetworkSet,
    NetworkSetSpec,
    ObjectMeta,
    Profile,
    ProfileSpec,
    Resource,
    Rule,
    ServiceAccountMatch,
    Tier,
    TierSpec,
    WorkloadEndpoint,
    WorkloadEndpointSpec,
)
from tortie.api.calico.workload_endpoint import IPNat, QosControls
from tortie.engine import Delta, Engine, NodeState
from tortie.net import parse_network
from tortie.policy.program import (
    Action,
    AddressPair,
    DefaultAction,
    Endpoint,
    EndpointId,
    IPPort,
    PolicyId,
)
from tortie.policy.program import Rule as ProgramRule

ALLOW = Rule(action="Allow")


class Cluster:
    """An engine of node n1 with the state that its deltas add up to."""

    def __init__(self, *resources: Resource) -> None:
        self.engine = Engine("n1")
        self.state = NodeState()
        self.put(*resources)

    def put(self, *resources: Resource) -> Delta:
        return self.apply([(each.key, each) for each in resources])

    def delete(self, *resources: Resource) -> Delta:
        return self.apply([(each.key, None) for each in resources])

    def apply(self, updates: list[tuple[Key, Resource | None]]) -> Delta:
        delta = self.engine.apply(updates)
        self.state.fold(delta)
        return delta

    def endpoint(self, name: str = "w1", namespace: str = "shop") -> Endpoint:
        return self.state.endpoints[EndpointId("WorkloadEndpoint", namespace, name)]

    def policies(self, name: str = "w1") -> list[tuple[str, list[str]]]:
        return [(t.tier, [p.name for p in t.policies]) for t in self.endpoint(name).ingress]

    def selected(self) -> set[str]:
        """The members of the only set that policies need."""
        (found,) = [held for name, held in self.state.sets.items() if name[1] == ":"]
        return {str(member) for member in found.members}


def wep(
    name: str = "w1",
    address: str = "10.65.0.1",
    node: str = "n1",
    labels: dict[str, str] | None = None,
    namespace: str = "shop",
    **more,
) -> WorkloadEndpoint:
    more.setdefault("profiles", (f"kns.{namespace}",))
    return WorkloadEndpoint(
        metadata=ObjectMeta(name=name, namespace=namespace, labels=labels or {}),
        spec=WorkloadEndpointSpec(
            node=node, ip_networks=(address,), interface_name=f"cali-{name}", **more
        ),
    )


def np(name: str = "p", namespace: str = "shop", **spec) -> NetworkPolicy:
    return NetworkPolicy(
        metadata=ObjectMeta(name=name, namespace=namespace), spec=NetworkPolicySpec(**spec)
    )


def gnp(name: str = "g", **spec) -> GlobalNetworkPolicy:
    return GlobalNetworkPolicy(metadata=ObjectMeta(name=name), spec=GlobalNetworkPolicySpec(**spec))


def tier(name: str, order: float | None, action: str = "Deny") -> Tier:
    return Tier(metadata=ObjectMeta(name=name), spec=TierSpec(order=order, default_action=action))


def profile(name: str, labels: dict[str, str] | None = None, *rules: Rule) -> Profile:
    spec = ProfileSpec(ingress=rules, egress=rules, labels_to_apply=labels or {})
    return Profile(metadata=ObjectMeta(name=name), spec=spec)


def from_selector(selector: str, **more) -> tuple[Rule, ...]:
    return (Rule(action="Allow", source=EntityRule(selector=selector, **more)),)


def test_only_endpoints_of_this_node_are_told():
    cluster = Cluster(wep("w1"), wep("w2", node="n2"))
    assert [each.name for each in cluster.state.endpoints] == ["w1"]


def test_only_policies_that_match_a_local_endpoint_are_told_with_their_sets():
    rules = from_selector("has(x)")
    cluster = Cluster(
        wep("w1", labels={"app": "web"}),
        wep("w2", node="n2", labels={"app": "db"}),
        np("here", selector="app == 'web'"),
        np("there", selector="app == 'db'", ingress=rules),
        np("elsewhere", namespace="other", ingress=rules),
    )
    assert [each.name for each in cluster.state.policies] == ["here"]
    assert not [name for name in cluster.state.sets if name.startswith("s:")]


def test_policies_go_by_tier_then_order_then_name():
    cluster = Cluster(
        wep(),
        tier("late", 2_000_000),
        tier("early", 1, "Pass"),
        tier("also-early", 1),
        tier("no-order", None),
        np("b", order=5),
        np("a", order=5),
        np("first", order=-1.5),
        np("no-order"),
        gnp("a", order=5),
        np("e", tier="early"),
        np("ae", tier="also-early"),
        np("l", tier="late"),
        np("n", tier="no-order"),
    )
    assert cluster.policies() == [
        ("also-early", ["ae"]),
        ("early", ["e"]),
        ("default", ["first", "a", "a", "b", "no-order"]),
        ("late", ["l"]),
        ("no-order", ["n"]),
    ]
    default = cluster.endpoint().ingress[2]
    # "a//GlobalNetworkPolicy" sorts before "a/shop/NetworkPolicy"
    assert [each.kind for each in default.policies[1:3]] == ["GlobalNetworkPolicy", "NetworkPolicy"]
    assert [t.default_action for t in cluster.endpoint().ingress[:2]] == ["Deny", "Pass"]


def test_a_tier_that_does_not_exist_is_asked_last_and_denies():
    cluster = Cluster(wep(), tier("z", None, "Pass"), np("p", tier="a"), np("q", tier="z"))
    assert cluster.policies() == [("z", ["q"]), ("a", ["p"])]
    assert cluster.endpoint().ingress[1].default_action is DefaultAction.DENY
    assert "no tier 'a'" in cluster.engine.warnings()[0]
    cluster.put(tier("a", 1, "Pass"))
    assert cluster.policies() == [("a", ["p"]), ("z", ["q"])]
    cluster.delete(tier("a", 1))
    assert cluster.policies() == [("z", ["q"]), ("a", ["p"])]


def test_fixed_tiers_are_there_and_cannot_be_changed():
    cluster = Cluster(
        wep(),
        tier("default", 1, "Pass"),
        tier("t", 1000.5),
        *(np(name, tier=name) for name in ("kube-baseline", "default", "t", "kube-admin")),
    )
    assert [name for name, _ in cluster.policies()] == [
        "kube-admin",
        "t",
        "default",
        "kube-baseline",
    ]
    actions = [t.default_action for t in cluster.endpoint().ingress]
    assert actions == ["Pass", "Deny", "Deny", "Pass"]


def test_a_policy_is_listed_only_for_its_directions():
    cluster = Cluster(
        wep(),
        np("in", ingress=(ALLOW,)),
        np("out", egress=(ALLOW,)),
        np("both", ingress=(ALLOW,), egress=(ALLOW,)),
        np("none", types=("Egress",)),
    )
    assert cluster.policies() == [("default", ["both", "in"])]
    assert [p.name for p in cluster.endpoint().egress[0].policies] == ["both", "none", "out"]


def test_rules_of_a_direction_that_a_policy_does_not_have_are_not_told():
    cluster = Cluster(wep(), np("p", types=("Egress",), ingress=(ALLOW,)))
    (policy,) = cluster.state.policies.values()
    assert policy.ingress == policy.egress == ()


def test_a_kubernetes_policy_keeps_its_kind():
    value = np("p", order=1000)
    cluster = Cluster(wep())
    cluster.apply([(Key("KubernetesNetworkPolicy", "shop", "p"), value)])
    cluster.put(value)
    kinds = [policy.kind for policy in cluster.endpoint().ingress[0].policies]
    assert kinds == ["KubernetesNetworkPolicy", "NetworkPolicy"]


@pytest.mark.parametrize("field", ["do_not_track", "pre_dnat"])
def test_policies_for_hosts_alone_leave_workloads_alone(field):
    assert Cluster(wep(), gnp(**{field: True})).state.policies == {}


def test_staged_policies_and_unknown_kinds_are_ignored():
    engine = Engine("n1")
    engine.apply([])
    assert not engine.apply([(Key("StagedNetworkPolicy", "shop", "p"), np("p"))])


def test_a_namespaces_labels_reach_its_endpoints_and_network_sets_by_profile():
    cluster = Cluster(
        wep(),
        wep("w2", "10.65.0.2", "n2", namespace="red"),
        NetworkSet(
            metadata=ObjectMeta(name="s", namespace="red"), spec=NetworkSetSpec(nets=("192.0.2.1",))
        ),
        np("p", ingress=(Rule(action="Allow", source=EntityRule(namespace_selector="c == 'r'")),)),
    )
    assert cluster.selected() == set()
    cluster.put(profile("kns.red", {"pcns.c": "r"}))
    assert cluster.selected() == {"10.65.0.2/32", "192.0.2.1/32"}
    cluster.delete(profile("kns.red"))
    assert cluster.selected() == set()


def test_own_labels_win_over_inherited_and_the_first_profile_over_later_ones():
    endpoint = wep(labels={"a": "own"}, profiles=("one", "two"))
    cluster = Cluster(
        endpoint,
        profile("two", {"a": "2", "b": "2", "c": "2"}),
        profile("one", {"a": "1", "b": "1"}),
        np("p", selector="a == 'own' && b == '1' && c == '2'"),
    )
    assert cluster.policies() == [("default", ["p"])]


def test_an_endpoint_cannot_claim_another_namespace():
    liar = wep("w2", "10.65.0.2", labels={"projectcalico.org/namespace": "shop"}, namespace="red")
    cluster = Cluster(wep(), liar, np("p", ingress=from_selector("all()")))
    assert cluster.selected() == {"10.65.0.1/32"}


@pytest.mark.parametrize(
    ("claimed", "rule"),
    [
        ({"pcns.team": "admin"}, {"namespace_selector": "team == 'admin'"}),
        (
            {"pcns.projectcalico.org/name": "shop"},
            {"namespace_selector": "projectcalico.org/name == 'shop'"},
        ),
        ({"pcsa.role": "root"}, {"service_accounts": ServiceAccountMatch(selector="has(role)")}),
        (
            {"projectcalico.org/serviceaccount": "root"},
            {"service_accounts": ServiceAccountMatch(names=("root",))},
        ),
        (
            {"projectcalico.org/orchestrator": "k8s"},
            {"selector": "projectcalico.org/orchestrator == 'k8s'"},
        ),
    ],
)
def test_nobody_gets_a_namespaces_or_accounts_labels_by_claiming_them(claimed, rule):
    liars = [
        wep("w2", "10.65.0.2", labels=claimed),
        NetworkSet(
            metadata=ObjectMeta(name="s", namespace="shop", labels=claimed),
            spec=NetworkSetSpec(nets=("192.0.2.1",)),
        ),
    ]
    peer = EntityRule(**rule)
    cluster = Cluster(wep(), *liars, np("p", ingress=(Rule(action="Allow", source=peer),)))
    assert cluster.selected() == set()


def test_ipv4_mapped_addresses_are_the_ipv4_addresses_that_packets_carry():
    mapped = ("::ffff:192.0.2.0/120", "::ffff:192.0.2.1")
    cluster = Cluster(
        wep(labels={"a": "b"}, address="::ffff:10.65.0.1"),
        np("p", ingress=(Rule(action="Deny", source=EntityRule(nets=mapped)),)),
        np("q", ingress=from_selector("has(a)")),
    )
    rule = cluster.state.policies[PolicyId("NetworkPolicy", "shop", "p")].ingress[0]
    assert rule.source.nets == (parse_network("192.0.2.0/24"), parse_network("192.0.2.1"))
    assert cluster.selected() == {"10.65.0.1/32"}


def test_global_network_sets_are_in_no_namespace():
    outside = GlobalNetworkSet(
        metadata=ObjectMeta(name="s", labels={"projectcalico.org/namespace": "shop"}),
        spec=NetworkSetSpec(nets=("192.0.2.0/24",)),
    )
    rule = Rule(action="Allow", source=EntityRule(namespace_selector="global()"))
    assert Cluster(wep(), outside, np(ingress=(rule,))).selected() == {"192.0.2.0/24"}


def test_a_deleted_pod_leaves_every_set():
    other = wep("w2", "10.65.0.2", "n2", labels={"x": ""})
    cluster = Cluster(wep(), other, np("p", ingress=from_selector("has(x)")))
    assert cluster.selected() == {"10.65.0.2/32"}
    delta = cluster.delete(other)
    (change,) = delta.members.values()
    assert (change.added, change.removed) == (frozenset(), {parse_network("10.65.0.2")})
    assert cluster.selected() == set()


def test_an_address_stays_while_another_endpoint_has_it():
    old = wep("old", "10.65.0.2", "n2", labels={"x": ""})
    new = wep("new", "10.65.0.2", "n3", labels={"x": ""})
    cluster = Cluster(wep(), old, np("p", ingress=from_selector("has(x)")))
    assert not cluster.put(new)
    assert not cluster.delete(old)
    assert cluster.delete(new).members


def test_an_address_handed_over_within_one_batch_is_no_change():
    old = wep("old", "10.65.0.2", "n2", labels={"x": ""})
    new = wep("new", "10.65.0.2", "n3", labels={"x": ""})
    cluster = Cluster(wep(), old, np("p", ingress=from_selector("has(x)")))
    assert not cluster.apply([(old.key, None), (new.key, new)])


def test_a_changed_address_moves_in_the_sets():
    other = wep("w2", "10.65.0.2", "n2", labels={"x": ""})
    cluster = Cluster(wep(), other, np("p", ingress=from_selector("has(x)")))
    cluster.put(wep("w2", "10.65.0.3", "n2", labels={"x": ""}))
    assert cluster.selected() == {"10.65.0.3/32"}


def test_named_ports_are_resolved_for_each_endpoint():
    def with_port(name: str, address: str, port: int, protocol: str = "TCP") -> WorkloadEndpoint:
        ports = (EndpointPort(name="http", protocol=protocol, port=port),)
        return wep(name, address, "n2", ports=ports)

    rule = Rule(action="Allow", protocol="TCP", destination=EntityRule(ports=("http",)))
    cluster = Cluster(
        wep(),
        with_port("w2", "10.65.0.2", 80),
        with_port("w3", "10.65.0.3", 8080),
        with_port("w4", "10.65.0.4", 53, "UDP"),
        np("p", egress=(rule,)),
    )
    (held,) = [held for name, held in cluster.state.sets.items() if name.startswith("n:")]
    first, second = parse_network("10.65.0.2").address, parse_network("10.65.0.3").address
    assert held.members == {IPPort(4, first, 6, 80), IPPort(4, second, 6, 8080)}


def test_an_endpoint_that_moves_here_or_away_is_told_so():
    cluster = Cluster(wep(node="n2"), np("p"))
    assert cluster.state.endpoints == {}
    cluster.put(wep(node="n1"))
    assert cluster.policies() == [("default", ["p"])]
    delta = cluster.put(wep(node="n2"))
    assert {name.name for name in delta.endpoints_removed} == {"w1"}
    assert delta.policies_removed == {PolicyId("NetworkPolicy", "shop", "p")}


def test_profiles_of_local_endpoints_are_told_and_missing_ones_allow_nothing():
    cluster = Cluster(wep(), wep("w2", node="n2", namespace="red"), profile("kns.red", {}, ALLOW))
    assert [(p.name, p.ingress) for p in cluster.state.profiles.values()] == [("kns.shop", ())]
    cluster.put(profile("kns.shop", {}, ALLOW))
    assert cluster.state.profiles["kns.shop"].ingress == (ProgramRule(Action.ALLOW),)


def test_an_edit_of_rules_alone_touches_no_endpoint():
    cluster = Cluster(wep(), np("p", ingress=(ALLOW,)))
    delta = cluster.put(np("p", ingress=(Rule(action="Deny"),)))
    assert len(delta.policies) == 1
    assert not delta.endpoints
    assert not delta.policies_removed


def test_an_edit_that_keeps_a_set_neither_ends_nor_repeats_it():
    cluster = Cluster(wep(), np("p", ingress=from_selector("has(x)")))
    two = (*from_selector("has(x)"), ALLOW)
    assert not cluster.put(np("p", ingress=two)).sets
    moved = cluster.apply([(np("p").key, None), (np("q").key, np("q", ingress=two))])
    assert not moved.sets
    assert not moved.sets_removed


def test_what_comes_and_goes_within_one_batch_is_nothing():
    cluster = Cluster(wep())
    fleeting = np("p", ingress=from_selector("has(x)"))
    assert not cluster.apply([(fleeting.key, fleeting), (fleeting.key, None)])


@pytest.mark.parametrize("field", ["selector", "service_account_selector"])
def test_a_policy_whose_selector_cannot_be_read_denies_its_whole_namespace(field):
    cluster = Cluster(
        wep(), wep("w2", "10.65.0.2", namespace="red"), np("p", ingress=(ALLOW,), **{field: "=="})
    )
    (policy,) = cluster.state.policies.values()
    assert policy.ingress == (ProgramRule(Action.DENY),)
    assert cluster.policies() == [("default", ["p"])]
    assert cluster.endpoint("w2", "red").ingress == ()
    (warning,) = cluster.engine.warnings()
    assert warning.startswith("NetworkPolicy(shop/p): spec.")
    assert "denies everything" in warning


def test_the_parts_of_a_scope_that_can_be_read_still_hold():
    cluster = Cluster(
        wep(labels={"app": "web"}),
        wep("w2", "10.65.0.2"),
        gnp("g", selector="has(app)", namespace_selector="((", egress=(ALLOW,)),
    )
    assert cluster.endpoint("w1").egress
    assert not cluster.endpoint("w2").egress
    (policy,) = cluster.state.policies.values()
    assert (policy.ingress, policy.egress) == ((), (ProgramRule(Action.DENY),))


def test_one_bad_rule_leaves_the_others_in_force():
    bad = Rule(action="Deny", source=EntityRule(nets=("10.0.0.0/99",)))
    cluster = Cluster(wep(), np("p", ingress=(ALLOW, bad)))
    (policy,) = cluster.state.policies.values()
    assert [rule.action for rule in policy.ingress] == ["allow", "deny"]
    (warning,) = cluster.engine.warnings()
    assert warning.startswith("NetworkPolicy(shop/p): spec.ingress[1].source.nets: ")


def test_bad_addresses_of_endpoints_and_sets_are_left_out():
    broken = wep("w2", "10.65.0.2/64", "n2", labels={"x": ""})
    wide = wep("w3", "10.65.0.0/24", "n2", labels={"x": ""})
    nets = GlobalNetworkSet(
        metadata=ObjectMeta(name="s", labels={"x": ""}),
        spec=NetworkSetSpec(nets=("nonsense", "192.0.2.0/24")),
    )
    cluster = Cluster(wep(), broken, wide, nets, gnp("g", ingress=from_selector("has(x)")))
    assert cluster.selected() == {"192.0.2.0/24"}
    assert len(cluster.engine.warnings()) == 3


@pytest.mark.parametrize("name", ["", ".", "..", "cali/1", 'cali" ', "sixteen-letters-"])
def test_a_local_endpoint_without_a_usable_interface_is_not_programmed(name):
    nameless = WorkloadEndpoint(
        metadata=ObjectMeta(name="w1", namespace="shop"),
        spec=WorkloadEndpointSpec(node="n1", interface_name=name),
    )
    cluster = Cluster(nameless)
    assert not cluster.state.endpoints
    assert "spec.interfaceName" in cluster.engine.warnings()[0]


def test_a_bad_mac_is_left_out():
    cluster = Cluster(wep("w1", mac="66:00:00:00:00:01"), wep("w2", mac="66:00"))
    assert cluster.endpoint("w1").mac == "66:00:00:00:00:01"
    assert cluster.endpoint("w2").mac is None
    assert "spec.mac" in cluster.engine.warnings()[0]


def test_floating_addresses_lead_to_the_workloads_own_and_limits_are_carried():
    spec = WorkloadEndpointSpec(
        node="n1",
        interface_name="cali1",
        ip_networks=("10.0.0.1/32",),
        ip_nats=(
            IPNat(internal_ip="10.0.0.1", external_ip="192.0.2.1"),
            IPNat(internal_ip="10.0.0.9", external_ip="192.0.2.2"),
            IPNat(internal_ip="10.0.0.1", external_ip="fd00::1"),
            IPNat(internal_ip="10.0.0.1", external_ip="x"),
        ),
        qos_controls=QosControls(ingress_bandwidth=1000),
    )
    cluster = Cluster()
    cluster.engine.allow_floating(True)
    cluster.put(WorkloadEndpoint(metadata=ObjectMeta(name="w1", namespace="shop"), spec=spec))
    found = cluster.endpoint()
    assert found.floating == (AddressPair(parse_network("192.0.2.1"), parse_network("10.0.0.1")),)
    assert found.qos == QosControls(ingress_bandwidth=1000)
    assert len(cluster.engine.warnings()) == 3


@pytest.mark.parametrize("spoofing", [False, True])
def test_other_source_addresses_count_only_where_the_agent_is_told_to_allow_them(spoofing):
    spec = WorkloadEndpointSpec(
        node="n1", interface_name="cali1", allow_spoofed_source_prefixes=("192.0.2.0/24",)
    )
    endpoint_ = WorkloadEndpoint(metadata=ObjectMeta(name="w1", namespace="shop"), spec=spec)
    engine = Engine("n1", spoofing=spoofing)
    (found,) = engine.apply([(endpoint_.key, endpoint_)]).endpoints.values()
    assert found.allowed_sources == ((parse_network("192.0.2.0/24"),) if spoofing else ())
    told = engine.apply(())
    assert not told
    engine.allow_spoofing(not spoofing)
    (found,) = engine.apply(()).endpoints.values()
    assert found.allowed_sources == (() if spoofing else (parse_network("192.0.2.0/24"),))
    engine.apply([(endpoint_.key, None)])
    engine.allow_spoofing(spoofing)
    assert not engine.apply(())


def test_floating_addresses_count_only_where_the_agent_is_told_to_have_them():
    floating = WorkloadEndpointSpec(
        node="n1",
        interface_name="cali1",
        ip_networks=("10.0.0.1/32",),
        ip_nats=(IPNat(internal_ip="10.0.0.1", external_ip="192.0.2.1"),),
    )
    meta = ObjectMeta(name="w1", namespace="shop")
    cluster = Cluster(WorkloadEndpoint(metadata=meta, spec=floating))
    assert cluster.endpoint().floating == ()
    cluster.engine.allow_floating(True)
    assert list(cluster.apply([]).endpoints) == [cluster.endpoint().id]
    assert len(cluster.endpoint().floating) == 1
    cluster.engine.allow_floating(False)
    cluster.apply([])
    assert cluster.endpoint().floating == ()
