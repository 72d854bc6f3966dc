"""Admin policies: each bound and rule of their API refuses what it should, and no more."""

import json

import msgspec
import pytest
from hypothesis import given, settings

from strategies.admin import admin_policies
from tortie.api import KINDS, decode, encode, kind_named, kind_of_manifest
from tortie.api.codec import DecodeError
from tortie.api.manifests import read_manifests
from tortie.api.writing import to_yaml

V1, V2 = "policy.networking.k8s.io/v1alpha1", "policy.networking.k8s.io/v1alpha2"
ANP = "KubernetesAdminNetworkPolicy"
BANP = "KubernetesBaselineAdminNetworkPolicy"
CNP = "KubernetesClusterNetworkPolicy"
PODS = {"pods": {"namespaceSelector": {}, "podSelector": {"matchLabels": {"app": "web"}}}}
ALL = {"namespaces": {}}


def errors_of(kind, spec, name=""):
    entry = KINDS[kind]
    base = {"subject": ALL}
    if kind != BANP:
        base["priority"] = 10
    if kind == CNP:
        base["tier"] = "Admin"
    manifest = {
        "apiVersion": entry.api_version,
        "kind": entry.manifest_kind,
        "metadata": {"name": name or ("default" if kind == BANP else "a")},
        "spec": {**base, **spec},
    }
    return read_manifests("f", json.dumps(manifest)).errors


def ingress(**fields):
    return {"ingress": [{"action": "Deny", "from": [ALL], **fields}]}


def egress(**fields):
    return {"egress": [{"action": "Deny", "to": [ALL], **fields}]}


def v1_port(**fields):
    return ingress(ports=[fields])


def v2_port(**fields):
    return ingress(protocols=[{"udp": {"destinationPort": fields}}])


def to(**fields):
    return egress(to=[fields])


NUMBER = {"portNumber": {"port": 80}}
CIDRS = [f"10.0.{n}.0/24" for n in range(26)]
NAMES = [f"n{n}.example" for n in range(26)]


@pytest.mark.parametrize(
    ("kind", "spec"),
    [
        *((kind, spec) for kind in (ANP, BANP, CNP) for spec in (
            {},
            {"subject": PODS},
            ingress(name="a" * 100),
            egress(to=[PODS, ALL]),
            to(nodes={}),
            to(networks=CIDRS[:25]),
            to(networks=["10.1.2.3/8", "fd00::/8"]),
            to(networks=["0.0.0.0/0"]),
        )),
        *((kind, {"priority": bound}) for kind in (ANP, CNP) for bound in (0, 1000)),
        *((kind, to(domainNames=["*.a_b.example.", "A.b", *NAMES[:23]])) for kind in (ANP, CNP)),
        *((kind, ingress(action=action)) for kind in (ANP, BANP) for action in ("Allow", "Deny")),
        *((CNP, ingress(action=action)) for action in ("Accept", "Deny", "Pass")),
        (ANP, ingress(action="Pass")),
        (ANP, {"ingress": ingress()["ingress"] * 100}),
        (ANP, ingress(**{"from": [ALL] * 100}, ports=[NUMBER] * 100)),
        (BANP, v1_port(portRange={"start": 1, "end": 65535, "protocol": "SCTP"})),
        (ANP, v1_port(namedPort="http")),
        (ANP, egress(ports=[{"namedPort": "http"}])),
        (CNP, {"tier": "Baseline", "egress": egress()["egress"] * 25}),
        (CNP, {"subject": {"pods": {"podSelector": {}}}}),
        (CNP, v2_port(number=65535)),
        (CNP, v2_port(range={"start": 1, "end": 2})),
        (CNP, ingress(protocols=[{"destinationNamedPort": "http"}])),
    ],
)  # fmt: skip
def test_what_is_right_is_accepted(kind, spec):
    assert [str(error) for error in errors_of(kind, spec)] == []


BOTH = (ANP, CNP)
EACH = (ANP, BANP, CNP)
IN, OUT = "spec.ingress[0]", "spec.egress[0]"
WRONG = [
    (EACH, {"subject": {}}, "spec.subject", "exactly one of namespaces or pods"),
    (EACH, {"subject": {**ALL, **PODS}}, "spec.subject", "exactly one"),
    (EACH, {"subject": None}, "spec.subject", "required"),
    (
        EACH,
        {"subject": {"namespaces": {"matchLabels": {"a b": "c"}}}},
        'spec.subject.namespaces.matchLabels["a b"]',
        "no label key",
    ),
    (
        EACH,
        {"subject": {"namespaces": {"matchExpressions": [{"key": "a", "operator": "in"}]}}},
        "spec.subject.namespaces.matchExpressions[0].operator",
        "'in' is not one of In, NotIn, Exists, DoesNotExist",
    ),
    (
        EACH,
        {"subject": {"pods": {"namespaceSelector": {}}}},
        "spec.subject.pods.podSelector",
        "required",
    ),
    (
        (ANP, BANP),
        {"subject": {"pods": {"podSelector": {}}}},
        "spec.subject.pods.namespaceSelector",
        "required",
    ),
    (BOTH, {"priority": -1}, "spec.priority", "below 0"),
    (BOTH, {"priority": 1001}, "spec.priority", "above 1000"),
    (BOTH, {"priority": None}, "spec.priority", "required"),
    ((CNP,), {"tier": "admin"}, "spec.tier", "not one of Admin, Baseline"),
    (EACH, ingress(name="a" * 101), f"{IN}.name", "at most 100"),
    (EACH, ingress(action="Reject"), f"{IN}.action", "not one of"),
    ((BANP,), ingress(action="Pass"), f"{IN}.action", "not one of Allow, Deny"),
    ((CNP,), ingress(action="Allow"), f"{IN}.action", "not one of Accept, Deny, Pass"),
    ((ANP, BANP), ingress(action="Accept"), f"{IN}.action", "not one of"),
    (EACH, ingress(**{"from": []}), f"{IN}.from", "at least 1"),
    (EACH, ingress(**{"from": [{}]}), f"{IN}.from[0]", "exactly one of namespaces or pods"),
    (EACH, egress(to=[{**ALL, **PODS}]), f"{OUT}.to[0]", "exactly one"),
    (EACH, ingress(**{"from": [{"networks": ["10.0.0.0/8"]}]}), f"{IN}.from[0].networks", "field"),
    ((BANP,), to(domainNames=["a.example"]), f"{OUT}.to[0].domainNames", "field"),
    (BOTH, to(domainNames=["example"]), f"{OUT}.to[0].domainNames[0]", "does not match"),
    (BOTH, to(domainNames=["a.*.example"]), f"{OUT}.to[0].domainNames[0]", "does not match"),
    (BOTH, to(domainNames=["a.example\n"]), f"{OUT}.to[0].domainNames[0]", "does not match"),
    (BOTH, to(domainNames=NAMES), f"{OUT}.to[0].domainNames", "at most 25"),
    (BOTH, to(domainNames=["a.b", "a.b"]), f"{OUT}.to[0].domainNames[1]", "the same"),
    (EACH, to(networks=[]), f"{OUT}.to[0].networks", "at least 1"),
    (EACH, to(networks=CIDRS), f"{OUT}.to[0].networks", "at most 25"),
    (EACH, to(networks=["10.0.0.1"]), f"{OUT}.to[0].networks[0]", "no prefix length"),
    (EACH, to(networks=["::ffff:10.0.0.0/104"]), f"{OUT}.to[0].networks[0]", "hexadecimal"),
    (EACH, to(networks=["fd00::/8"] * 2), f"{OUT}.to[0].networks[1]", "the same"),
    (EACH, to(networks=[f"{'0:' * 20}0/8"]), f"{OUT}.to[0].networks[0]", "is not an IP"),
    (EACH, to(networks=["1" * 44]), f"{OUT}.to[0].networks[0]", "at most 43"),
    ((ANP,), {"ingress": ingress()["ingress"] * 101}, "spec.ingress", "at most 100"),
    ((ANP, BANP), ingress(**{"from": [ALL] * 101}), f"{IN}.from", "at most 100"),
    ((ANP, BANP), ingress(ports=[NUMBER] * 101), f"{IN}.ports", "at most 100"),
    ((ANP, BANP), ingress(ports=[]), f"{IN}.ports", "at least 1"),
    ((ANP, BANP), ingress(ports=[{}]), f"{IN}.ports[0]", "exactly one of portNumber, portRange"),
    ((ANP,), v1_port(**NUMBER, namedPort="a"), f"{IN}.ports[0]", "exactly one"),
    ((ANP,), v1_port(portNumber={"port": 0}), f"{IN}.ports[0].portNumber.port", "below 1"),
    ((ANP,), v1_port(portNumber={"port": 65536}), f"{IN}.ports[0].portNumber.port", "above"),
    (
        (ANP,),
        v1_port(portNumber={"port": 80, "protocol": "tcp"}),
        f"{IN}.ports[0].portNumber.protocol",
        'did you mean "TCP"?',
    ),
    (
        (ANP,),
        v1_port(portRange={"start": 80, "end": 80}),
        f"{IN}.ports[0].portRange.end",
        "must be above start",
    ),
    (
        (ANP, BANP),
        egress(to=[{"networks": ["10.0.0.0/8"]}, ALL], ports=[{"namedPort": "http"}]),
        f"{OUT}.to",
        "no named ports",
    ),
    (
        (CNP,),
        egress(to=[{"domainNames": ["a.b"]}], protocols=[{"destinationNamedPort": "http"}]),
        f"{OUT}.to",
        "no named ports",
    ),
    ((CNP,), {"egress": egress()["egress"] * 26}, "spec.egress", "at most 25"),
    ((CNP,), egress(to=[ALL] * 26), f"{OUT}.to", "at most 25"),
    ((CNP,), ingress(protocols=[{"tcp": {}}]), f"{IN}.protocols[0].tcp", "needs a destinationPort"),
    ((CNP,), ingress(protocols=[]), f"{IN}.protocols", "at least 1"),
    ((CNP,), ingress(protocols=[{}]), f"{IN}.protocols[0]", "exactly one of tcp, udp, sctp or"),
    ((CNP,), v2_port(), f"{IN}.protocols[0].udp.destinationPort", "exactly one of number or range"),
    ((CNP,), v2_port(number=0), f"{IN}.protocols[0].udp.destinationPort.number", "below 1"),
    (
        (CNP,),
        v2_port(range={"start": 9, "end": 9}),
        f"{IN}.protocols[0].udp.destinationPort.range.end",
        "must be above start",
    ),
]


@pytest.mark.parametrize(
    ("kind", "spec", "path", "reason"),
    [(kind, *case) for kinds, *case in WRONG for kind in kinds],
)
def test_what_is_wrong_is_refused_where_it_is(kind, spec, path, reason):
    found = [(error.path, str(error)) for error in errors_of(kind, spec)]
    assert path in [where for where, _ in found], found
    assert any(reason in text for where, text in found if where == path), found


def test_there_is_one_baseline_policy():
    (error,) = errors_of(BANP, {}, name="mine")
    assert (error.path, "default" in str(error)) == ("metadata.name", True)


@pytest.mark.parametrize(
    ("word", "kind"),
    [
        ("anp", ANP),
        ("AdminNetworkPolicy", ANP),
        ("adminnetworkpolicies.policy.networking.k8s.io", ANP),
        ("banp", BANP),
        ("baselineadminnetworkpolicies", BANP),
        ("clusternetworkpolicy", CNP),
        ("ClusterNetworkPolicies", CNP),
        ("kubernetesclusternetworkpolicies", CNP),
        ("cnp", "NetworkPolicy"),  # Calico's own, as ever
    ],
)
def test_people_call_them_as_kubectl_does(word, kind):
    assert kind_named(word).name == kind


def test_the_next_version_is_read_as_this_one():
    newer = kind_of_manifest("policy.networking.k8s.io/v1beta1", "ClusterNetworkPolicy")
    assert newer is KINDS[CNP]


@given(admin_policies(broken=False))
@settings(max_examples=100, deadline=None)
def test_what_the_api_accepts_is_accepted_and_survives_every_form(manifest):
    found = read_manifests("f", json.dumps(manifest))
    assert found.errors == ()
    (located,) = found.resources
    resource = located.resource
    assert decode(resource.kind, encode(resource)) == resource
    (again,) = read_manifests("f", to_yaml([resource])).resources
    assert again.resource == resource


@pytest.mark.parametrize("kind", EACH)
def test_what_an_api_server_lets_through_can_be_read(kind):
    """Its schemas say nothing of these; unreadable would be absent, so nothing would be denied."""
    odd = {"namespaces": {"matchExpressions": [{"key": "a", "operator": "Is"}]}}
    spec = {"priority": 1, "tier": "Admin", "subject": odd, **ingress(**{"from": [odd]})}
    if kind != CNP:
        spec |= v1_port(portNumber={"port": 80, "protocol": "tcp"})
    assert decode(kind, msgspec.json.encode({"metadata": {"name": "a"}, "spec": spec}))


def test_a_tier_that_nobody_knows_can_not_be_read():
    with pytest.raises(DecodeError, match="tier"):
        decode(CNP, b'{"spec":{"tier":"Other","priority":1,"subject":{"namespaces":{}}}}')
