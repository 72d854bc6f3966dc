"""Admin policies of both versions as GlobalNetworkPolicies."""

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from strategies.admin import admin_policies
from strategies.resources import resources
from tortie.api import GlobalNetworkPolicy, Key, kind_of_manifest, to_manifest
from tortie.api.validation import apply_defaults, validate
from tortie.kubernetes import CONVERTED_KINDS, conversion, converted_key
from tortie.selectors import parse

V1, V2 = "policy.networking.k8s.io/v1alpha1", "policy.networking.k8s.io/v1alpha2"
PODS = "projectcalico.org/orchestrator == 'k8s'"
ALL = {"namespaces": {}}
ALL_PODS = {"selector": PODS, "namespaceSelector": "all()"}
UNCLEAR = {"matchExpressions": [{"key": "a", "operator": "Is"}]}
KINDS = sorted(
    kind
    for kind in CONVERTED_KINDS
    if kind.endswith(("AdminNetworkPolicy", "ClusterNetworkPolicy"))
)


def convert(version, kind, spec, **metadata):
    type_ = kind_of_manifest(version, kind).type
    data = {"metadata": {"name": "p", **metadata}, "spec": spec}
    found = conversion(msgspec.convert(data, type_))
    return found.value, found.warnings


def anp(**spec):
    """The converted spec as plain data, and the warnings, of an AdminNetworkPolicy."""
    spec = {"priority": 7, "subject": ALL, **spec}
    return plain(*convert(V1, "AdminNetworkPolicy", spec))


def cnp(**spec):
    """The same of a ClusterNetworkPolicy."""
    spec = {"tier": "Admin", "priority": 7, "subject": ALL, **spec}
    return plain(*convert(V2, "ClusterNetworkPolicy", spec))


def plain(value, warnings):
    assert validate(apply_defaults(value)) == ()
    return to_manifest(value)["spec"], warnings


def rule(action="Deny", **more):
    return {"action": action, "from": [ALL], **more}


def out(*peers, action="Deny", **more):
    return {"action": action, "to": list(peers), **more}


@pytest.mark.parametrize(
    ("version", "kind", "spec", "place"),
    [
        (V1, "AdminNetworkPolicy", {"priority": 7}, ("adminnetworkpolicy", 7)),
        (V1, "AdminNetworkPolicy", {"priority": 0}, ("adminnetworkpolicy", 0)),
        (V1, "BaselineAdminNetworkPolicy", {}, ("baselineadminnetworkpolicy", None)),
        (V2, "ClusterNetworkPolicy", {"tier": "Admin", "priority": 1000}, ("kube-admin", 1000)),
        (V2, "ClusterNetworkPolicy", {"tier": "Baseline", "priority": 3}, ("kube-baseline", 3)),
    ],
)
def test_each_has_its_tier_and_its_priority_is_the_order(version, kind, spec, place):
    value, _ = convert(version, kind, {"subject": ALL, "ingress": [rule()], **spec})
    assert (value.spec.tier, value.spec.order) == place


def test_its_metadata_is_the_policys_with_a_uid_of_its_own():
    uid = "9b2f3c9e-7a1c-4f0e-9d1e-1234567890ab"
    spec = {"tier": "Admin", "priority": 7, "subject": ALL, "ingress": [rule()]}
    value, _ = convert(V2, "ClusterNetworkPolicy", spec, uid=uid, resourceVersion="9")
    assert isinstance(value, GlobalNetworkPolicy)
    assert (value.metadata.name, value.metadata.resource_version) == ("p", "9")
    assert value.metadata.uid not in ("", uid)


@pytest.mark.parametrize("kind", KINDS)
def test_it_keeps_its_key_beside_policies_of_the_same_name(kind):
    assert converted_key(Key(kind, "", "p")) == Key(kind, "", "p")


@pytest.mark.parametrize(
    ("subject", "selectors"),
    [
        (ALL, ALL_PODS),
        (
            {"namespaces": {"matchLabels": {"team": "a"}}},
            {"selector": PODS, "namespaceSelector": "team == 'a'"},
        ),
        (
            {"pods": {"namespaceSelector": {}, "podSelector": {"matchLabels": {"b": "2"}}}},
            {"selector": f"{PODS} && b == '2'", "namespaceSelector": "all()"},
        ),
        (
            {
                "pods": {
                    "namespaceSelector": {"matchExpressions": [{"key": "t", "operator": "Exists"}]},
                    "podSelector": {},
                }
            },
            {"selector": PODS, "namespaceSelector": "has(t)"},
        ),
    ],
)
def test_subjects_and_peers_are_pods_by_labels(subject, selectors):
    spec, warnings = cnp(
        subject=subject, ingress=[rule(**{"from": [subject]})], egress=[out(subject)]
    )
    assert warnings == ()
    assert {field: spec[field] for field in selectors} == selectors
    assert spec["ingress"] == [{"action": "Deny", "source": selectors}]
    assert spec["egress"] == [{"action": "Deny", "destination": selectors}]


@pytest.mark.parametrize(
    ("networks", "destinations"),
    [
        (["10.1.2.3/8"], [{"nets": ["10.0.0.0/8"]}]),
        (
            ["10.0.0.0/8", "fd00::/8", "192.0.2.0/24"],
            [{"nets": ["10.0.0.0/8", "192.0.2.0/24"]}, {"nets": ["fd00::/8"]}],
        ),
    ],
)
def test_networks_are_networks_of_one_family_a_rule(networks, destinations):
    spec, _ = cnp(egress=[out({"networks": networks})])
    assert [each["destination"] for each in spec["egress"]] == destinations


@pytest.mark.parametrize(
    ("action", "converted"), [("Allow", "Allow"), ("Deny", "Deny"), ("Pass", "Pass")]
)
def test_actions_are_the_same(action, converted):
    assert [each["action"] for each in anp(ingress=[rule(action)])[0]["ingress"]] == [converted]
    newer = cnp(ingress=[rule(action.replace("Allow", "Accept"))])[0]["ingress"]
    assert [each["action"] for each in newer] == [converted]


def test_the_name_of_a_rule_is_an_annotation():
    spec, _ = anp(ingress=[rule(name="deny-all"), rule(name="odd", **{"from": [{}]})])
    notes = [each["metadata"] for each in spec["ingress"]]
    assert notes == [{"annotations": {"name": "deny-all"}}, {"annotations": {"name": "odd"}}]


PORTS = [
    ([{"portNumber": {"port": 80}}], [("TCP", [80])]),
    ([{"portNumber": {"port": 53, "protocol": "UDP"}}], [("UDP", [53])]),
    (
        [
            {"portRange": {"start": 80, "end": 90}},
            {"portNumber": {"port": 91, "protocol": "TCP"}},
            {"portRange": {"start": 5, "end": 6, "protocol": "SCTP"}},
        ],
        [("SCTP", ["5:6"]), ("TCP", ["80:91"])],
    ),
    ([{"namedPort": "web"}], [("SCTP", ["web"]), ("TCP", ["web"]), ("UDP", ["web"])]),
]


@pytest.mark.parametrize(("ports", "matches"), PORTS)
def test_ports_become_the_fewest_ranges_of_each_protocol(ports, matches):
    spec, _ = anp(ingress=[rule(ports=ports)], egress=[out(ALL, ports=ports)])
    for direction in ("ingress", "egress"):
        found = [(each["protocol"], each["destination"]["ports"]) for each in spec[direction]]
        assert found == matches


@pytest.mark.parametrize(("ports", "matches"), PORTS)
def test_the_newer_form_of_ports_is_the_same(ports, matches):
    protocols = [newer(port) for port in ports]
    spec, _ = cnp(ingress=[rule(protocols=protocols)])
    found = [(each["protocol"], each["destination"]["ports"]) for each in spec["ingress"]]
    assert found == matches


def newer(port):
    ((kind, value),) = port.items()
    if kind == "namedPort":
        return {"destinationNamedPort": value}
    span = {key: value[key] for key in ("start", "end") if key in value}
    ports = {"range": span} if span else {"number": value["port"]}
    return {value.get("protocol", "TCP").lower(): {"destinationPort": ports}}


def test_more_ports_than_a_rule_can_hold_are_several_rules():
    ports = [{"portNumber": {"port": 2 * n + 1}} for n in range(100)]
    spec, _ = anp(ingress=[rule("Allow", ports=ports)])
    held = [each["destination"]["ports"] for each in spec["ingress"]]
    assert [len(each) for each in held] == [50, 50]
    assert [*held[0], *held[1]] == [2 * n + 1 for n in range(100)]


def test_protocols_and_peers_are_multiplied():
    one = {"portNumber": {"port": 80}}
    spec, _ = anp(ingress=[rule(**{"from": [ALL, ALL]}, ports=[one, {"namedPort": "a"}])])
    assert len(spec["ingress"]) == 2 * 3


@pytest.mark.parametrize(
    ("rules", "types"),
    [
        ({"ingress": [rule()]}, ["Ingress"]),
        ({"egress": [out(ALL)]}, ["Egress"]),
        ({"ingress": [rule()], "egress": [out(ALL)]}, ["Ingress", "Egress"]),
    ],
)
def test_it_applies_to_the_directions_that_it_has_rules_for(rules, types):
    assert anp(**rules)[0]["types"] == types


def test_a_policy_without_rules_says_nothing():
    assert convert(V1, "AdminNetworkPolicy", {"priority": 1, "subject": ALL}) == (None, ())


BROKEN = [
    (out({"nodes": {}}), "nodes can't be matched"),
    (out({"domainNames": ["a.example"]}), "domain names can't be matched"),
    (out({}), "a peer needs exactly one field"),
    (out({**ALL, "networks": ["10.0.0.0/8"]}), "a peer needs exactly one field"),
    (out(ALL, {"networks": ["10.0.0.0/99"]}), "10.0.0.0/99"),
    (out({"namespaces": UNCLEAR}), "there is no operator 'Is'"),
    (out({"namespaces": {"matchLabels": {"a": "'\""}}}), "both kinds of quotes"),
    (
        out({"namespaces": {"matchExpressions": [{"key": "a", "operator": "NotIn"}]}}),
        "NotIn needs at least one value",
    ),
]
BROKEN_V1 = [
    *BROKEN,
    (out(ALL, ports=[{}]), "exactly one of portNumber"),
    (out(ALL, ports=[{"portNumber": {"port": 1}, "namedPort": "a"}]), "exactly one of portNumber"),
    (out(ALL, ports=[{"portNumber": {"port": 1, "protocol": "ICMP"}}]), "'ICMP' is not one of"),
    (out(ALL, ports=[{"portRange": {"start": 9, "end": 8}}]), "9 to 8 is no range"),
    (out(ALL, ports=[{"namedPort": "80"}]), "'80' is no port"),
    (out(ALL, ports=[{"namedPort": "80:90"}]), "'80:90' is no port"),
    (out({"networks": ["10.0.0.0/8"]}, ports=[{"namedPort": "a"}]), "no named ports"),
]
BROKEN_V2 = [
    *BROKEN,
    (out(ALL, protocols=[{}]), "exactly one of tcp"),
    (out(ALL, protocols=[{"tcp": {}}]), "exactly one of number"),
    (out(ALL, protocols=[{"udp": {"destinationPort": {}}}]), "exactly one of number"),
    (
        out(ALL, protocols=[{"udp": {"destinationPort": {"range": {"start": 9, "end": 8}}}}]),
        "9 to 8 is no range",
    ),
    (out({"networks": ["::/0"]}, protocols=[{"destinationNamedPort": "a"}]), "no named ports"),
]
CASES = [(anp, *case) for case in BROKEN_V1] + [(cnp, *case) for case in BROKEN_V2]


@pytest.mark.parametrize("action", ["Deny", "Pass"])
@pytest.mark.parametrize(("convert_spec", "wrong", "reason"), CASES)
def test_a_rule_that_can_not_be_converted_denies_everything(convert_spec, wrong, reason, action):
    spec, (warning,) = convert_spec(egress=[out(ALL, action="Pass"), {**wrong, "action": action}])
    assert spec["egress"][1:] == [{"action": "Deny"}]
    assert warning.startswith(("AdminNetworkPolicy p: egress[1]: ", "ClusterNetworkPolicy p: egr"))
    assert reason in warning
    assert warning.endswith(f"the {action} rule denies everything")


@pytest.mark.parametrize(("convert_spec", "wrong", "reason"), CASES)
def test_a_rule_that_can_not_be_converted_allows_nothing(convert_spec, wrong, reason):
    action = "Allow" if convert_spec is anp else "Accept"
    spec, (warning,) = convert_spec(egress=[{**wrong, "action": action}, out(ALL)])
    assert [each["action"] for each in spec["egress"]] == ["Deny"]
    assert reason in warning
    assert warning.endswith(f"the {action} rule is left out")


@pytest.mark.parametrize(
    ("subject", "selectors"),
    [
        ({}, ALL_PODS),
        ({**ALL, "pods": {"namespaceSelector": {}, "podSelector": {}}}, ALL_PODS),
        ({"namespaces": UNCLEAR}, ALL_PODS),
        (
            {"pods": {"namespaceSelector": UNCLEAR, "podSelector": {"matchLabels": {"a": "b"}}}},
            {"selector": f"{PODS} && a == 'b'", "namespaceSelector": "all()"},
        ),
        (
            {"pods": {"namespaceSelector": {"matchLabels": {"a": "b"}}, "podSelector": UNCLEAR}},
            {"selector": PODS, "namespaceSelector": "a == 'b'"},
        ),
    ],
)
def test_an_unclear_choice_of_pods_is_widened_and_only_denies(subject, selectors):
    port = {"ports": [{"portNumber": {"port": 80}}]}
    rules = [rule("Allow"), rule("Deny", **port), rule("Pass", **port)]
    spec, (warning,) = anp(subject=subject, ingress=rules)
    assert {field: spec[field] for field in selectors} == selectors
    assert [each["action"] for each in spec["ingress"]] == ["Deny", "Deny"]
    assert [each["destination"]["ports"] for each in spec["ingress"]] == [[80], [80]]
    assert "only what the policy denies is in force" in warning


@given(admin_policies(broken=False))
@settings(max_examples=200, deadline=None)
def test_what_the_api_accepts_becomes_a_valid_policy(manifest):
    type_ = kind_of_manifest(manifest["apiVersion"], manifest["kind"]).type
    policy = msgspec.convert(manifest, type_)
    found = conversion(policy)
    value, warnings = found.value, found.warnings
    assert warnings == ()
    assert (value is None) == (not policy.spec.ingress and not policy.spec.egress)
    assert value is None or validate(apply_defaults(value)) == ()


@pytest.mark.parametrize("kind", KINDS)
@given(data=st.data())
@settings(max_examples=100, deadline=None)
def test_any_object_becomes_something_that_can_be_matched(kind, data):
    policy = data.draw(resources(kind))
    found = conversion(policy)
    assert conversion(policy) == found
    value, warnings = found.value, found.warnings
    if value is None:
        assert not policy.spec.ingress
        assert not policy.spec.egress
        return
    parse(value.spec.selector)
    parse(value.spec.namespace_selector)
    for direction in ("ingress", "egress"):
        closes(getattr(policy.spec, direction), getattr(value.spec, direction), warnings)
    assert validate(apply_defaults(value.__class__(spec=value.spec)))[1:] == ()  # but for the name


def closes(rules, converted, warnings):
    """Only what allows may have vanished, and nothing allows that did not."""
    if any(each.action in ("Deny", "Pass") for each in rules):
        assert converted
    if not any(each.action in ("Allow", "Accept") for each in rules):
        assert all(each.action != "Allow" for each in converted)
    if not converted and rules:
        assert warnings
