"""What absent fields become, for every kind; and that it is settled after one time."""

import json

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from strategies.resources import resources
from tortie.api import KINDS, IPPool, decode, encode
from tortie.api.calico.ip_pool import IPPoolSpec
from tortie.api.manifests import read_manifests
from tortie.api.validation import apply_defaults, validate

POLICIES = [
    "NetworkPolicy",
    "GlobalNetworkPolicy",
    "StagedNetworkPolicy",
    "StagedGlobalNetworkPolicy",
]
DENY = [{"action": "Deny"}]


def read(kind, spec, **metadata):
    entry = KINDS[kind]
    manifest = {
        "apiVersion": entry.api_version,
        "kind": entry.manifest_kind,
        "metadata": {"name": "a", **metadata},
        "spec": spec,
    }
    found = read_manifests("f", json.dumps(manifest))
    assert found.errors == ()
    return found.resources[0].resource


@pytest.mark.parametrize("kind", sorted(KINDS))
@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_defaults_are_settled_after_one_time(kind, data):
    once = apply_defaults(data.draw(resources(kind)))
    assert apply_defaults(once) == once
    assert decode(kind, encode(once)) == once


def spec_errors(resource):
    return [found for found in validate(resource) if found.path.startswith("spec")]


MODES = st.sampled_from(["", "Never", "Always", "CrossSubnet"])
POOLS = st.builds(
    IPPool,
    spec=st.builds(
        IPPoolSpec,
        cidr=st.sampled_from(["10.0.0.0/16", "fd00::/64"]),
        ipip_mode=MODES,
        vxlan_mode=MODES,
        block_size=st.sampled_from([None, 0, 26, 122]),
        node_selector=st.sampled_from(["", "all()", "has(a)"]),
        namespace_selector=st.sampled_from(["", "has(a)"]),
        allowed_uses=st.sampled_from([(), ("Workload",), ("Tunnel",), ("LoadBalancer",)]),
    ),
)
DERIVED = [*POLICIES, "StagedKubernetesNetworkPolicy", "KubernetesNetworkPolicy", "BGPPeer"]


@pytest.mark.parametrize("strategy", [POOLS, *map(resources, DERIVED)], ids=["IPPool", *DERIVED])
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.filter_too_much])
@given(data=st.data())
def test_defaults_make_nothing_invalid(strategy, data):
    resource = data.draw(strategy)
    assume(not spec_errors(resource))
    assert spec_errors(apply_defaults(resource)) == []


@pytest.mark.parametrize("kind", POLICIES)
@pytest.mark.parametrize(
    ("spec", "types"),
    [
        ({}, ("Ingress",)),
        ({"ingress": []}, ("Ingress",)),
        ({"egress": []}, ("Ingress",)),
        ({"ingress": DENY}, ("Ingress",)),
        ({"egress": DENY}, ("Egress",)),
        ({"ingress": DENY, "egress": DENY}, ("Ingress", "Egress")),
        ({"egress": DENY, "types": ["Ingress"]}, ("Ingress",)),
    ],
)
def test_the_types_of_a_policy_follow_from_its_rules(kind, spec, types):
    assert read(kind, spec).spec.types == types


@pytest.mark.parametrize(
    ("spec", "types"),
    [
        ({}, ("Ingress",)),
        ({"egress": [{}]}, ("Ingress", "Egress")),
        ({"ingress": [{}]}, ("Ingress",)),
        ({"egress": [{}], "policyTypes": ["Egress"]}, ("Egress",)),
    ],
)
@pytest.mark.parametrize("kind", ["StagedKubernetesNetworkPolicy", "KubernetesNetworkPolicy"])
def test_kubernetes_policies_have_ingress_unless_they_say_otherwise(kind, spec, types):
    assert read(kind, {"podSelector": {}, **spec}).spec.policy_types == types


@pytest.mark.parametrize("kind", POLICIES)
def test_the_tier_label_always_tells_the_tier(kind):
    label = "projectcalico.org/tier"
    assert read(kind, {}).metadata.labels == {label: "default"}
    lying = read(kind, {"tier": "web"}, labels={label: "other", "a": "b"})
    assert lying.metadata.labels == {label: "web", "a": "b"}
    assert read(kind, {"tier": ""}).spec.tier == "default"


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        (
            {"cidr": "10.0.0.0/8"},
            (26, ("Workload", "Tunnel"), "Never", "Never", "all()", "Automatic"),
        ),
        (
            {"cidr": "fd00::/8", "blockSize": 0},
            (122, ("Workload", "Tunnel"), "Never", "Never", "all()", "Automatic"),
        ),
        (
            {"cidr": "10.0.0.0/8", "namespaceSelector": "has(a)", "ipipMode": "Always"},
            (26, ("Workload",), "Always", "Never", "all()", "Automatic"),
        ),
    ],
)
def test_pools(spec, expected):
    pool = read("IPPool", spec).spec
    assert (
        pool.block_size,
        pool.allowed_uses,
        pool.ipip_mode,
        pool.vxlan_mode,
        pool.node_selector,
        pool.assignment_mode,
    ) == expected


@pytest.mark.parametrize(
    ("kind", "spec", "field", "value"),
    [
        ("Tier", {}, "default_action", "Deny"),
        ("BGPConfiguration", {}, "log_severity_screen", "Info"),
        ("BGPConfiguration", {}, "service_load_balancer_aggregation", "Enabled"),
        ("IPAMConfiguration", {"autoAllocateBlocks": None}, "auto_allocate_blocks", True),
        ("IPAMConfiguration", {}, "strict_affinity", False),
        ("IPAMConfiguration", {}, "max_blocks_per_host", 0),
        ("KubeControllersConfiguration", {"controllers": {}}, "health_checks", "Enabled"),
        ("FelixConfiguration", {}, "nftables_mode", "Auto"),
        ("FelixConfiguration", {}, "nftables_flow_table_offload", "Disabled"),
        ("StagedNetworkPolicy", {}, "staged_action", "Set"),
        (
            "BlockAffinity",
            {"cidr": "10.0.0.0/26", "node": "n", "state": "confirmed"},
            "deleted",
            False,
        ),
    ],
)
def test_fields_with_a_default(kind, spec, field, value):
    assert getattr(read(kind, spec).spec, field) == value


@pytest.mark.parametrize("field", ["failsafeInboundHostPorts", "failsafeOutboundHostPorts"])
def test_no_failsafe_ports_is_not_the_same_as_the_default_ones(field):
    kind = KINDS["FelixConfiguration"]
    for ports in ([], [{"protocol": "tcp", "port": 22}]):
        resource = read("FelixConfiguration", {field: ports})
        again = json.loads(encode(decode(kind.name, encode(resource))))
        assert again["spec"][field] == ports
    assert field not in json.loads(encode(read("FelixConfiguration", {})))["spec"]
