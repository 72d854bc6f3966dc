"""Kubernetes NetworkPolicies as policies of the tier "default"."""

from itertools import pairwise

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tortie.api import KubernetesNetworkPolicy, NetworkPolicyPort, to_manifest
from tortie.api.validation import apply_defaults, validate
from tortie.kubernetes import conversion
from tortie.kubernetes.ports import ports_by_protocol, simplify
from tortie.net import PortRange

PODS = "projectcalico.org/orchestrator == 'k8s'"


def converted(**spec):
    """The spec of the converted policy as plain data, and the warnings."""
    data = {"metadata": {"name": "p", "namespace": "n"}, "spec": spec}
    (value,), warnings = conversion(msgspec.convert(data, KubernetesNetworkPolicy))
    assert validate(apply_defaults(value)) == ()
    return to_manifest(value)["spec"], warnings


def ingress(*rules):
    spec, warnings = converted(ingress=list(rules))
    assert warnings == ()
    return spec["ingress"]


def test_it_comes_after_nothing_and_before_unordered_policies_of_the_default_tier():
    spec, _ = converted()
    assert spec == {"order": 1000.0, "selector": PODS, "types": ["Ingress"]}


@pytest.mark.parametrize(
    ("spec", "types"),
    [
        ({}, ["Ingress"]),
        ({"egress": [{}]}, ["Ingress", "Egress"]),
        ({"egress": [{}], "policyTypes": ["Egress"]}, ["Egress"]),
        ({"policyTypes": ["Ingress", "Egress"]}, ["Ingress", "Egress"]),
    ],
)
def test_directions_are_those_that_kubernetes_would_fill_in(spec, types):
    assert converted(**spec)[0]["types"] == types


@pytest.mark.parametrize(
    ("selector", "text"),
    [
        ({}, ""),
        ({"matchLabels": {"b": "2", "a": "1"}}, " && a == '1' && b == '2'"),
        (
            {"matchExpressions": [{"key": "a", "operator": "In", "values": ["y", "x"]}]},
            " && a in { 'y', 'x' }",
        ),
        (
            {"matchExpressions": [{"key": "a", "operator": "NotIn", "values": ["x"]}]},
            " && a not in { 'x' }",
        ),
        ({"matchExpressions": [{"key": "a/b", "operator": "Exists"}]}, " && has(a/b)"),
        ({"matchExpressions": [{"key": "a", "operator": "DoesNotExist"}]}, " && ! has(a)"),
    ],
)
def test_a_pod_selector_is_the_same_in_text(selector, text):
    assert converted(podSelector=selector)[0]["selector"] == PODS + text


@pytest.mark.parametrize(
    ("peer", "source"),
    [
        ({"podSelector": {}}, {"selector": PODS}),
        (
            {"namespaceSelector": {}},
            {"selector": PODS, "namespaceSelector": "all()"},
        ),
        (
            {
                "namespaceSelector": {"matchLabels": {"team": "a"}},
                "podSelector": {"matchLabels": {"app": "b"}},
            },
            {"selector": f"{PODS} && app == 'b'", "namespaceSelector": "team == 'a'"},
        ),
        (
            {"ipBlock": {"cidr": "10.1.2.3/8", "except": ["10.1.0.0/16"]}},
            {"nets": ["10.0.0.0/8"], "notNets": ["10.1.0.0/16"]},
        ),
    ],
)
def test_a_peer_is_one_end_of_the_rule(peer, source):
    assert ingress({"from": [peer]}) == [{"action": "Allow", "source": source}]
    spec, _ = converted(egress=[{"to": [peer], "ports": [{"port": 53, "protocol": "UDP"}]}])
    assert spec["egress"] == [
        {"action": "Allow", "protocol": "UDP", "destination": {**source, "ports": [53]}}
    ]


def test_an_exception_given_twice_is_one():
    block = {"cidr": "10.0.0.0/8", "except": ["10.1.0.0/16", "10.2.0.0/16", "10.1.2.3/16"]}
    (rule,) = ingress({"from": [{"ipBlock": block}]})
    assert rule["source"]["notNets"] == ["10.1.0.0/16", "10.2.0.0/16"]


def test_an_empty_rule_allows_everything():
    (rule,) = ingress({})
    assert rule["action"] == "Allow"
    assert not any(rule.get(field) for field in ("protocol", "source", "destination"))


def test_protocols_and_peers_are_multiplied():
    rules = ingress(
        {
            "from": [{"podSelector": {}}, {"ipBlock": {"cidr": "10.0.0.0/8"}}],
            "ports": [{"port": 80}, {"port": 53, "protocol": "UDP"}, {"port": 443}],
        }
    )
    assert [(rule["protocol"], rule["destination"]["ports"]) for rule in rules] == [
        ("TCP", [80, 443]),
        ("TCP", [80, 443]),
        ("UDP", [53]),
        ("UDP", [53]),
    ]
    assert ["nets" in rule["source"] for rule in rules] == [False, True, False, True]


@pytest.mark.parametrize(
    ("ports", "merged"),
    [
        ([{"port": 80}], {"TCP": (80,)}),
        ([{"port": 81}, {"port": 80}], {"TCP": ("80:81",)}),
        ([{"port": 80, "endPort": 90}, {"port": 85, "endPort": 99}], {"TCP": ("80:99",)}),
        ([{"port": "http"}, {"port": 80}, {"port": "http"}], {"TCP": (80, "http")}),
        ([{"port": 80}, {}], {"TCP": ()}),
        ([{}, {"port": 80}], {"TCP": ()}),
        ([{"protocol": "SCTP"}], {"SCTP": ()}),
        ([{"port": "8080"}], {"TCP": (8080,)}),
    ],
)
def test_ports_become_the_fewest_ranges(ports, merged):
    assert ports_by_protocol(msgspec.convert(ports, list[NetworkPolicyPort])) == merged


@given(st.lists(st.tuples(st.integers(1, 60), st.integers(0, 9)), max_size=12))
def test_merged_ranges_hold_the_same_ports_and_do_not_touch(spans):
    ranges = [PortRange(first, first + length) for first, length in spans]
    merged = [
        PortRange(*map(int, str(found).split(":")))
        if ":" in str(found)
        else PortRange(found, found)
        for found in simplify(ranges)
    ]
    wanted = {port for span in ranges for port in range(span.first, span.last + 1)}
    assert {port for span in merged for port in range(span.first, span.last + 1)} == wanted
    assert all(a.last + 1 < b.first for a, b in pairwise(merged))


@pytest.mark.parametrize(
    ("rule", "reason"),
    [
        ({"from": [{}]}, "a peer is empty"),
        ({"from": [{"ipBlock": {"cidr": "x"}}]}, "'x' is not an IP address"),
        (
            {"from": [{"ipBlock": {"cidr": "10.0.0.0/8", "except": ["y"]}}]},
            "'y' is not an IP address",
        ),
        (
            {"from": [{"ipBlock": {"cidr": "10.0.0.0/8"}, "podSelector": {}}]},
            "an ipBlock and a selector",
        ),
        ({"ports": [{"port": 0}]}, "no range of ports"),
        ({"ports": [{"port": 9, "endPort": 8}]}, "9 to 8 is no range of ports"),
        ({"ports": [{"endPort": 8}]}, "endPort 8 without a port"),
        ({"ports": [{"port": "a", "endPort": 8}]}, "endPort 8 with the named port"),
        ({"ports": [{"port": "a:b"}]}, "'a:b' is no port"),
        (
            {"from": [{"podSelector": {"matchExpressions": [{"key": "a", "operator": "In"}]}}]},
            "In needs at least one value",
        ),
        ({"from": [{"podSelector": {"matchLabels": {"a b": ""}}}]}, "'a b' is no label"),
        ({"from": [{"podSelector": {"matchLabels": {"a": "'\""}}}]}, "both kinds of quotes"),
    ],
)
def test_a_rule_that_can_not_be_converted_allows_nothing(rule, reason):
    spec, (warning,) = converted(ingress=[{"ports": [{"port": 80}]}, rule])
    assert [found["destination"]["ports"] for found in spec["ingress"]] == [[80]]
    assert warning.startswith("Kubernetes NetworkPolicy n/p: ingress[1]: ")
    assert reason in warning


def test_an_unclear_choice_of_pods_closes_the_namespace():
    bad = {"matchExpressions": [{"key": "a", "operator": "In", "values": []}]}
    spec, (warning,) = converted(podSelector=bad, ingress=[{}], egress=[{}])
    assert spec == {"order": 1000.0, "selector": PODS, "types": ["Ingress", "Egress"]}
    assert "no pod of the namespace is allowed anything" in warning
