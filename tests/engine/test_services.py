"""Rules by service: what is behind it, by its endpoint slices."""

import pytest

from tortie.api import (
    EntityRule,
    GlobalNetworkPolicy,
    GlobalNetworkPolicySpec,
    NetworkPolicy,
    NetworkPolicySpec,
    ObjectMeta,
    Rule,
    ServiceMatch,
    WorkloadEndpoint,
    WorkloadEndpointSpec,
)
from tortie.api.kube.endpoint_slice import (
    EndpointConditions,
    EndpointSlice,
    EndpointSlicePort,
    ServiceEndpoint,
)
from tortie.engine import Engine, NodeState
from tortie.net import format_address
from tortie.policy.program import IPPort, SetKind

POD = WorkloadEndpoint(
    metadata=ObjectMeta(name="w", namespace="shop"),
    spec=WorkloadEndpointSpec(node="n1", interface_name="cali1"),
)


def piece(*addresses, name="x", service="db", ports=((5432, "TCP"),), family="IPv4", **more):
    return EndpointSlice(
        metadata=ObjectMeta(
            name=name, namespace="shop", labels={"kubernetes.io/service-name": service}
        ),
        address_type=family,
        endpoints=tuple(ServiceEndpoint(addresses=(text,), **more) for text in addresses),
        ports=tuple(EndpointSlicePort(name=f"p{n}", port=n, protocol=p) for n, p in ports),
    )


def policy(end: str, match: ServiceMatch, action="Allow") -> NetworkPolicy:
    rule = Rule(action=action, **{end: EntityRule(services=match)})
    field = "ingress" if end == "source" else "egress"
    return NetworkPolicy(
        metadata=ObjectMeta(name="p", namespace="shop"),
        spec=NetworkPolicySpec(**{field: (rule,)}),
    )


TO = policy("destination", ServiceMatch(name="db"))
FROM = policy("source", ServiceMatch(name="db"))


def members(state: NodeState) -> set[str]:
    (held,) = [held for name, held in state.sets.items() if name.startswith("svc")]
    return {
        f"{format_address(m.version, m.address)} {m.protocol} {m.port}"
        if isinstance(m, IPPort)
        else str(m)
        for m in held.members
    }


def state_of(*resources) -> NodeState:
    state = NodeState()
    state.fold(Engine("n1").apply([(each.key, each) for each in (POD, *resources)]))
    return state


def test_egress_to_a_service_is_to_its_addresses_and_ports():
    both = piece("10.0.0.1", "10.0.0.2", ports=((5432, ""), (53, "UDP")))
    six = piece("fd00::1", name="y", family="IPv6")
    assert members(state_of(TO, both, six)) == {
        *("10.0.0.1 6 5432", "10.0.0.1 17 53", "10.0.0.2 6 5432", "10.0.0.2 17 53"),
        "fd00::1 6 5432",
    }


def test_ingress_from_a_service_is_from_its_addresses_whatever_the_port():
    state = state_of(FROM, piece("10.0.0.1", "10.0.0.2"))
    assert members(state) == {"10.0.0.1/32", "10.0.0.2/32"}
    (held,) = [held for name, held in state.sets.items() if name.startswith("svcnoport:")]
    assert held.kind is SetKind.NET


def test_what_is_not_ready_or_about_to_end_counts():
    gone = piece("10.0.0.1", conditions=EndpointConditions(ready=False, terminating=True))
    assert members(state_of(TO, gone)) == {"10.0.0.1 6 5432"}


def test_slices_of_other_services_and_namespaces_names_and_ports_without_number_do_not_count():
    other = piece("10.0.0.3", name="o", service="web")
    no_port = EndpointSlice(
        metadata=ObjectMeta(
            name="n", namespace="shop", labels={"kubernetes.io/service-name": "db"}
        ),
        address_type="IPv4",
        endpoints=(ServiceEndpoint(addresses=("10.0.0.4",)),),
        ports=(EndpointSlicePort(name="p"),),
    )
    assert members(state_of(TO, other, no_port)) == set()


def test_sets_follow_slices_as_they_come_change_and_go():
    engine, state = Engine("n1"), NodeState()
    key = piece("10.0.0.1").key
    for updates, expected in (
        ([(POD.key, POD), (TO.key, TO)], set()),
        ([(key, piece("10.0.0.1"))], {"10.0.0.1 6 5432"}),
        ([(key, piece("10.0.0.2"))], {"10.0.0.2 6 5432"}),
        ([(key._replace(name="y"), piece("10.0.0.2", name="y"))], {"10.0.0.2 6 5432"}),
        ([(key, None)], {"10.0.0.2 6 5432"}),
        ([(key._replace(name="y"), None)], set()),
    ):
        state.fold(engine.apply(updates))
        assert members(state) == expected


def test_the_namespace_is_the_policys_own_unless_it_is_named():
    assert members(
        state_of(policy("source", ServiceMatch(name="db", namespace="shop")), piece("10.0.0.1"))
    )
    assert not members(
        state_of(policy("source", ServiceMatch(name="db", namespace="b")), piece("10.0.0.1"))
    )


@pytest.mark.parametrize(
    ("end", "field", "match"),
    [
        ("destination", "ingress", ServiceMatch(name="db")),
        ("source", "egress", ServiceMatch(name="db")),
        ("source", "ingress", ServiceMatch()),
    ],
)
@pytest.mark.parametrize(("action", "left"), [("Allow", 0), ("Deny", 1), ("Pass", 1), ("Log", 0)])
def test_services_elsewhere_or_without_a_name_fail_closed(end, field, match, action, left):
    rule = Rule(action=action, **{end: EntityRule(services=match)})
    bad = NetworkPolicy(
        metadata=ObjectMeta(name="p", namespace="shop"), spec=NetworkPolicySpec(**{field: (rule,)})
    )
    engine = Engine("n1")
    delta = engine.apply([(POD.key, POD), (bad.key, bad)])
    (found,) = delta.policies.values()
    assert len(getattr(found, field)) == left
    assert any("services" in text for text in engine.warnings())


def test_a_global_policy_must_name_the_namespace():
    rule = Rule(action="Allow", source=EntityRule(services=ServiceMatch(name="db")))
    bad = GlobalNetworkPolicy(
        metadata=ObjectMeta(name="g"), spec=GlobalNetworkPolicySpec(ingress=(rule,))
    )
    engine = Engine("n1")
    (found,) = engine.apply([(POD.key, POD), (bad.key, bad)]).policies.values()
    assert found.ingress == ()
