"""Host endpoints: which policies apply at which stage, and what follows from them."""

import pytest

from tortie.api import (
    EntityRule,
    GlobalNetworkPolicy,
    GlobalNetworkPolicySpec,
    NetworkPolicy,
    NetworkPolicySpec,
    ObjectMeta,
    Rule,
    WorkloadEndpoint,
    WorkloadEndpointSpec,
)
from tortie.api.calico.host_endpoint import HostEndpoint, HostEndpointSpec
from tortie.engine import Engine, NodeState
from tortie.net import parse_network
from tortie.policy.program import EndpointId, Tiers

HOST = EndpointId("HostEndpoint", "", "h")
ALLOW = (Rule(action="Allow"),)


def host(node="n1", name="h", interface="eth0", ips=(), labels=None) -> HostEndpoint:
    return HostEndpoint(
        metadata=ObjectMeta(name=name, labels=labels or {}),
        spec=HostEndpointSpec(node=node, interface_name=interface, expected_ips=ips),
    )


def policy(name="p", **spec) -> GlobalNetworkPolicy:
    spec = {"types": ("Ingress", "Egress"), **spec}
    return GlobalNetworkPolicy(metadata=ObjectMeta(name=name), spec=GlobalNetworkPolicySpec(**spec))


def state_of(*resources) -> NodeState:
    state = NodeState()
    state.fold(Engine("n1").apply([(each.key, each) for each in resources]))
    return state


def stages(state: NodeState) -> dict[str, tuple[bool, bool]]:
    """Which stages have any tier, in and out."""
    found = state.host_endpoints[HOST]
    tiers: dict[str, Tiers] = {
        name: getattr(found, name) for name in ("untracked", "pre_dnat", "forward", "normal")
    }
    return {
        name: (bool(each.ingress), bool(each.egress)) for name, each in tiers.items() if any(each)
    }


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ({}, {"normal": (True, True)}),
        ({"types": ("Ingress",)}, {"normal": (True, False)}),
        ({"apply_on_forward": True}, {"forward": (True, True), "normal": (True, True)}),
        ({"do_not_track": True, "apply_on_forward": True}, {"untracked": (True, True)}),
        ({"do_not_track": True}, {"untracked": (True, True)}),
        (
            {"pre_dnat": True, "apply_on_forward": True, "types": ("Ingress",)},
            {"pre_dnat": (True, False)},
        ),
        ({"selector": "role == 'x'"}, {}),
        ({"namespace_selector": "all()"}, {}),
    ],
)
def test_a_policy_applies_at_its_own_stages(spec, expected):
    assert stages(state_of(host(), policy(**spec))) == expected


def test_workloads_know_nothing_of_untracked_and_pre_dnat_policy():
    workload = WorkloadEndpoint(
        metadata=ObjectMeta(name="w", namespace="a"),
        spec=WorkloadEndpointSpec(node="n1", interface_name="cali1"),
    )
    early = [
        policy("u", do_not_track=True, apply_on_forward=True),
        policy("d", pre_dnat=True, apply_on_forward=True, types=("Ingress",)),
    ]
    state = state_of(workload, *early)
    (found,) = state.endpoints.values()
    assert (found.ingress, found.egress, state.policies) == ((), (), {})
    (found,) = state_of(workload, *early, policy(apply_on_forward=True)).endpoints.values()
    assert len(found.ingress) == len(found.egress) == 1


def test_an_untracked_policy_is_active_while_a_host_endpoint_is_here():
    engine, state = Engine("n1"), NodeState()
    untracked = policy(do_not_track=True, apply_on_forward=True, ingress=ALLOW)
    workload = WorkloadEndpoint(
        metadata=ObjectMeta(name="w", namespace="a"),
        spec=WorkloadEndpointSpec(node="n1", interface_name="cali1"),
    )
    for updates, active in (
        ([(untracked.key, untracked), (workload.key, workload)], False),
        ([(host().key, host())], True),
        ([(host().key, host(node="n2"))], False),
        ([(host().key, host())], True),
        ([(host().key, None)], False),
    ):
        state.fold(engine.apply(updates))
        assert bool(state.policies) is active


def test_a_namespaced_policy_never_applies_to_a_host_endpoint_even_if_it_claims_the_namespace():
    claims = host(labels={"projectcalico.org/namespace": "a"})
    own = NetworkPolicy(
        metadata=ObjectMeta(name="p", namespace="a"), spec=NetworkPolicySpec(ingress=ALLOW)
    )
    assert stages(state_of(claims, own)) == {}


def test_expected_addresses_are_in_the_sets_that_select_the_host_endpoint():
    remote = host("n2", "far", ips=("192.0.2.7", "2001:db8::7"), labels={"role": "edge"})
    rule = Rule(action="Allow", source=EntityRule(selector="role == 'edge'"))
    state = state_of(host(), remote, policy(ingress=(rule,), types=("Ingress",)))
    (name,) = state.policies[next(iter(state.policies))].ingress[0].set_ids
    assert state.sets[name].members == {
        parse_network("192.0.2.7"),
        parse_network("2001:db8::7"),
    }
    assert state.host_endpoints.keys() == {HOST}


@pytest.mark.parametrize(("interface", "ips"), [("no/name", ()), ("", ()), ("", ("x",))])
def test_one_that_can_be_no_interfaces_applies_to_nothing_and_says_so(interface, ips):
    engine = Engine("n1")
    bad = host(interface=interface, ips=ips)
    assert not engine.apply([(bad.key, bad)]).host_endpoints
    assert any("applies to nothing" in text for text in engine.warnings())


@pytest.mark.parametrize("interface", ["eth0", "*", ""])
def test_the_three_ways_to_name_an_interface(interface):
    state = state_of(host(interface=interface, ips=("192.0.2.1",)))
    found = state.host_endpoints[HOST]
    assert (found.interface, found.addresses) == (interface, (parse_network("192.0.2.1"),))
