"""Admin policies from manifests to verdicts: what the API promises of them."""

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from strategies.admin import (
    V1,
    V2,
    Conn,
    Manifest,
    Oracle,
    address_of,
    admin_policies,
    connections,
    namespaces,
    network_policies,
    pods,
)
from tortie.api import Key, kind_of_manifest
from tortie.engine import Engine, NodeState
from tortie.kubernetes import conversion, converted_key
from tortie.net import parse_address, parse_protocol
from tortie.policy import Packet, evaluate, explain


class Cluster:
    """An engine that is given manifests, as a node is by way of the datastore."""

    def __init__(self, *manifests: Manifest) -> None:
        self.engine = Engine("n1")
        self.state = NodeState()
        self.endpoints: dict[str, Key] = {}
        self.warnings: list[str] = []
        self.put(*manifests)

    def put(self, *manifests: Manifest) -> None:
        updates = []
        for manifest in manifests:
            kind = kind_of_manifest(manifest["apiVersion"], manifest["kind"])
            resource = msgspec.convert(manifest, kind.type)
            found = conversion(resource)
            value, warnings = found.value, found.warnings
            self.warnings += warnings
            key = converted_key(resource.key) or value.key
            updates.append((key, value))
            if kind.name == "Pod":
                self.endpoints[address_of(manifest)] = key
        self.state.fold(self.engine.apply(updates))
        self.warnings += self.engine.warnings()

    def delete(self, kind: str, name: str) -> None:
        self.state.fold(self.engine.apply([(Key(kind, "", name), None)]))

    def verdict(self, conn: Conn):
        version, source = parse_address(conn.source)
        icmp = conn.protocol == "ICMP"
        packet = Packet(
            version=version,
            source=source,
            destination=parse_address(conn.destination)[1],
            protocol=parse_protocol(conn.protocol),
            source_port=None if icmp else 40000,
            destination_port=conn.port,
            icmp_type=8 if icmp else None,
            icmp_code=0 if icmp else None,
            source_endpoint=self.endpoints.get(conn.source),
            destination_endpoint=self.endpoints.get(conn.destination),
        )
        return evaluate(self.state.program(), packet)

    def allows(self, port: int = 80, protocol: str = "TCP") -> bool:
        """Whether the client may call the server."""
        return self.verdict(Conn(CLIENT, SERVER, protocol, port)).allowed


CLIENT, SERVER = "10.65.0.1", "10.65.0.2"
SUBJECT = {"namespaces": {"matchLabels": {"team": "blue"}}}
FROM_RED = [{"namespaces": {"matchLabels": {"team": "red"}}}]


def pod(name: str, namespace: str, address: str) -> Manifest:
    port = {"name": "http", "containerPort": 80}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": namespace, "labels": {"app": name}},
        "spec": {"nodeName": "n1", "containers": [{"name": "c", "ports": [port]}]},
        "status": {"phase": "Running", "podIP": address},
    }


def cluster(*policies: Manifest) -> Cluster:
    """A client in the red namespace, a server in the blue one."""
    both = (pod("client", "a", CLIENT), pod("server", "b", SERVER))
    return Cluster(*namespaces(), *both, *policies)


def anp(name: str, priority: int, *rules: Manifest, subject: Manifest = SUBJECT) -> Manifest:
    spec = {"priority": priority, "subject": subject, "ingress": list(rules)}
    return _admin(V1, "AdminNetworkPolicy", name, spec)


def banp(*rules: Manifest) -> Manifest:
    spec = {"subject": SUBJECT, "ingress": list(rules)}
    return _admin(V1, "BaselineAdminNetworkPolicy", "default", spec)


def cnp(tier: str, name: str, priority: int, *rules: Manifest) -> Manifest:
    spec = {"tier": tier, "priority": priority, "subject": SUBJECT, "ingress": list(rules)}
    return _admin(V2, "ClusterNetworkPolicy", name, spec)


def _admin(version: str, kind: str, name: str, spec: Manifest) -> Manifest:
    return {"apiVersion": version, "kind": kind, "metadata": {"name": name}, "spec": spec}


def rule(action: str, **more) -> Manifest:
    return {"action": action, "from": FROM_RED, **more}


def admin(action: str, version: str) -> Manifest:
    if version == V1:
        return anp("x", 10, rule(action))
    return cnp("Admin", "x", 10, rule(action.replace("Allow", "Accept")))


def baseline(action: str, version: str) -> Manifest:
    if version == V1:
        return banp(rule(action))
    return cnp("Baseline", "x", 10, rule(action.replace("Allow", "Accept")))


def network_policy(*ingress: Manifest) -> Manifest:
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": "p", "namespace": "b"},
        "spec": {"podSelector": {}, "ingress": list(ingress)},
    }


both_versions = pytest.mark.parametrize("version", [V1, V2])


@both_versions
def test_an_admin_deny_beats_a_network_policy_that_allows(version):
    assert cluster(network_policy({})).allows()
    assert not cluster(network_policy({}), admin("Deny", version)).allows()


@both_versions
def test_an_admin_allow_beats_a_network_policy_that_denies(version):
    assert not cluster(network_policy()).allows()
    assert cluster(network_policy(), admin("Allow", version)).allows()


@both_versions
@pytest.mark.parametrize(("rules", "allowed"), [([], False), ([{}], True)])
def test_pass_leaves_it_to_network_policies(version, rules, allowed):
    later = anp("y", 20, rule("Deny"))
    if version == V2:
        later = cnp("Admin", "y", 20, rule("Deny"))
    assert not cluster(network_policy({}), later).allows()
    found = cluster(network_policy(*rules), admin("Pass", version), later)
    assert found.allows() is allowed


@both_versions
def test_pass_without_network_policies_goes_on_to_the_baseline(version):
    assert not cluster(admin("Pass", version), baseline("Deny", version)).allows()
    assert cluster(admin("Pass", version)).allows()


@both_versions
def test_the_baseline_holds_only_where_no_network_policy_selects_the_pod(version):
    assert not cluster(baseline("Deny", version)).allows()
    assert cluster(baseline("Deny", version), network_policy({})).allows()
    assert not cluster(baseline("Allow", version), network_policy()).allows()


@both_versions
def test_what_no_rule_matches_goes_on(version):
    closed = cluster(admin("Deny", version), baseline("Deny", version))
    assert not closed.allows()
    assert closed.verdict(Conn(SERVER, CLIENT, "TCP", 80)).allowed
    assert closed.verdict(Conn("198.51.100.7", SERVER, "TCP", 80)).allowed


def test_lower_priorities_come_first():
    assert cluster(anp("x", 9, rule("Deny")), anp("a", 10, rule("Allow"))).allows() is False
    assert cluster(anp("x", 11, rule("Deny")), anp("a", 10, rule("Allow"))).allows() is True


def test_the_older_admin_policies_come_before_the_newer_ones_of_the_same_rank():
    old, new = anp("x", 1000, rule("Allow")), cnp("Admin", "x", 0, rule("Deny"))
    assert cluster(old, new).allows()


def test_policies_of_one_name_and_different_kinds_are_different_policies():
    found = cluster(admin("Deny", V1), admin("Allow", V2))
    assert not found.allows()
    found.delete("KubernetesAdminNetworkPolicy", "x")
    assert found.allows()
    found.put(network_policy())
    found.delete("KubernetesClusterNetworkPolicy", "x")
    assert not found.allows()


def test_a_named_port_is_the_port_of_that_protocol():
    found = cluster(
        cnp("Admin", "x", 1, rule("Deny", protocols=[{"destinationNamedPort": "http"}]))
    )
    assert not found.allows(80)
    assert found.allows(81)
    assert found.allows(80, "UDP")


@pytest.mark.parametrize("action", ["Deny", "Pass"])
def test_a_rule_that_is_not_understood_closes(action):
    wrong = {"action": action, "from": [{}]}
    found = cluster(cnp("Admin", "x", 1, wrong, rule("Accept")), network_policy({}))
    assert not found.allows()
    assert "ingress[0]: a peer needs exactly one field" in found.warnings[0]
    assert found.verdict(Conn(SERVER, CLIENT, "TCP", 80)).allowed


def test_a_stored_tier_of_the_older_name_is_as_stored():
    tier = {
        "apiVersion": "projectcalico.org/v3",
        "kind": "Tier",
        "metadata": {"name": "adminnetworkpolicy"},
        "spec": {"order": 5, "defaultAction": "Deny"},
    }
    found = cluster(anp("x", 1, rule("Pass")))
    assert found.verdict(Conn("198.51.100.7", SERVER, "TCP", 80)).allowed
    found.put(tier)
    assert not found.verdict(Conn("198.51.100.7", SERVER, "TCP", 80)).allowed
    found.delete("Tier", "adminnetworkpolicy")
    assert found.verdict(Conn("198.51.100.7", SERVER, "TCP", 80)).allowed
    assert found.warnings == []


@given(
    pods(),
    st.lists(admin_policies() | admin_policies() | network_policies(), max_size=6),
    st.data(),
)
@settings(max_examples=300, deadline=None)
def test_verdicts_are_those_that_the_api_describes(running, policies, data):
    policies = list(
        {
            (p["kind"], p["metadata"].get("namespace"), p["metadata"]["name"]): p for p in policies
        }.values()
    )
    oracle, found = Oracle(running, policies), Cluster(*namespaces(), *running, *policies)
    for conn in data.draw(st.lists(connections(running), min_size=1, max_size=8)):
        verdict = found.verdict(conn)
        assert verdict.allowed == oracle.allows(conn), explain(verdict)
