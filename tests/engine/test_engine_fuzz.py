"""No value stops the engine: it says what it could not read and goes on."""

from hypothesis import given, settings
from hypothesis import strategies as st

from tortie.api import (
    AllocationAttribute,
    EndpointPort,
    EntityRule,
    GlobalNetworkPolicy,
    GlobalNetworkPolicySpec,
    IPAMBlock,
    IPAMBlockSpec,
    IPPool,
    IPPoolSpec,
    NetworkSet,
    NetworkSetSpec,
    Node,
    NodeBgp,
    NodeSpec,
    ObjectMeta,
    Profile,
    ProfileSpec,
    Rule,
    ServiceAccountMatch,
    WorkloadEndpoint,
    WorkloadEndpointSpec,
)
from tortie.engine import Engine, NodeState

KNOWN = [
    "",
    "a",
    "all()",
    "has(a)",
    "global()",
    "a == 'b'",
    "10.65.0.1",
    "10.65.0.0/30",
    "10.65.0.0/26",
    "fd00::1",
    "fd00::/126",
    "80",
    "0",
    "65536",
    "80:90",
    "-1",
    "TCP",
    "ICMP",
    "n1",
    "host:n1",
]
texts = st.text(max_size=8) | st.sampled_from(KNOWN)
numbers = st.integers(-3, 70000)
tuples = st.lists(texts, max_size=2).map(tuple)
labels = st.dictionaries(texts, texts, max_size=2)
metadata = st.builds(ObjectMeta, name=texts, namespace=texts, labels=labels)
ports = st.lists(texts | numbers, max_size=2).map(tuple)
accounts = st.none() | st.builds(ServiceAccountMatch, names=tuples, selector=texts)
entities = st.none() | st.builds(
    EntityRule,
    nets=tuples,
    not_nets=tuples,
    selector=texts,
    not_selector=texts,
    namespace_selector=texts,
    ports=ports,
    not_ports=ports,
    service_accounts=accounts,
)
rules = st.lists(
    st.builds(
        Rule,
        action=st.sampled_from(["Allow", "Deny", "Pass", "Log"]),
        protocol=st.none() | texts | numbers,
        source=entities,
        destination=entities,
    ),
    max_size=2,
).map(tuple)
endpoint_ports = st.builds(EndpointPort, name=texts, protocol=texts | numbers, port=numbers)
attributes = st.builds(
    AllocationAttribute, secondary=st.fixed_dictionaries({}, optional={"node": texts})
)
resources = st.one_of(
    st.builds(
        WorkloadEndpoint,
        metadata=metadata,
        spec=st.builds(
            WorkloadEndpointSpec,
            node=st.sampled_from(["n1", "n2"]),
            interface_name=texts,
            ip_networks=tuples,
            profiles=tuples,
            service_account_name=texts,
            ports=st.lists(endpoint_ports, max_size=1).map(tuple),
            mac=texts,
        ),
    ),
    st.builds(
        GlobalNetworkPolicy,
        metadata=metadata,
        spec=st.builds(
            GlobalNetworkPolicySpec,
            tier=texts,
            selector=texts,
            namespace_selector=texts,
            service_account_selector=texts,
            ingress=rules,
            egress=rules,
        ),
    ),
    st.builds(
        Profile,
        metadata=metadata,
        spec=st.builds(ProfileSpec, ingress=rules, labels_to_apply=labels),
    ),
    st.builds(NetworkSet, metadata=metadata, spec=st.builds(NetworkSetSpec, nets=tuples)),
    st.builds(
        Node,
        metadata=metadata,
        spec=st.builds(
            NodeSpec,
            bgp=st.none() | st.builds(NodeBgp, ipv4_address=texts, ipv6_address=texts),
            ipv4_vxlan_tunnel_addr=texts,
        ),
    ),
    st.builds(
        IPPool,
        metadata=metadata,
        spec=st.builds(IPPoolSpec, cidr=texts, vxlan_mode=st.sampled_from(["Always", ""])),
    ),
    st.builds(
        IPAMBlock,
        metadata=metadata,
        spec=st.builds(
            IPAMBlockSpec,
            cidr=texts,
            affinity=st.none() | texts,
            strict_affinity=st.just(False),
            allocations=st.lists(st.none() | st.integers(-2, 3), max_size=6).map(tuple),
            unallocated=st.just(()),
            attributes=st.lists(attributes, max_size=2).map(tuple),
        ),
    ),
)


@given(st.lists(resources, max_size=6))
@settings(max_examples=200, deadline=None)
def test_no_value_stops_the_engine(values):
    engine, state = Engine("n1"), NodeState()
    for value in values:
        state.fold(engine.apply([(value.key, value)]))
        assert all(": " in warning for warning in engine.warnings())
    state.fold(engine.apply([(value.key, None) for value in values]))
    assert state.whole().endpoints == {}
    assert state.whole().routes == {}
