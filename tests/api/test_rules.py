"""Validation beyond the schemas: each rule refuses what it should, where it should, and no more."""

import json

import pytest

from tortie.api import KINDS
from tortie.api.manifests import read_manifests


def errors_of(kind, spec, **metadata):
    entry = KINDS[kind]
    manifest = {
        "apiVersion": entry.api_version,
        "kind": entry.manifest_kind,
        "metadata": {"name": "a", **metadata},
        "spec": spec,
    }
    return read_manifests("f", json.dumps(manifest)).errors


def rule(**fields):
    return {"ingress": [{"action": "Allow", **fields}]}


def egress(**fields):
    return {"egress": [{"action": "Allow", **fields}]}


NP, GNP, KNP = "NetworkPolicy", "GlobalNetworkPolicy", "KubernetesNetworkPolicy"
IN = "spec.ingress[0]"


@pytest.mark.parametrize(
    ("kind", "spec"),
    [
        (NP, {}),
        (NP, {"order": 1e9, "tier": "web", "types": ["Egress", "Ingress"]}),
        (NP, rule(protocol="tcp", destination={"ports": [80, "81:90", "http"]})),
        (NP, rule(destination={"ports": ["http"]})),
        (NP, rule(protocol=255)),
        (NP, rule(protocol="6", destination={"ports": [1, 65535]})),
        (NP, rule(source={"nets": ["10.0.0.1/8", "fd00::/8"][:1]}, ipVersion=4)),
        (NP, rule(source={"nets": ["0.0.0.0/0"], "notNets": ["10.0.0.0/8"]})),
        (NP, rule(source={"services": {"name": "s"}})),
        (NP, egress(destination={"services": {"name": "s"}})),
        (NP, rule(protocol="ICMP", icmp={"type": 0, "code": 255})),
        (NP, rule(notICMP={"type": 3})),
        (NP, rule(metadata={"annotations": {"Any.Key/x": "value with spaces"}})),
        (NP, rule(http={"methods": ["GET", "PUT"], "paths": [{"prefix": "/a"}]})),
        ("NetworkSet", {"nets": ["10.0.0.1", "fd00::/8", "10.0.0.0/8"]}),
        ("IPReservation", {"reservedCIDRs": ["10.0.0.0/30"]}),
        ("BGPPeer", {"peerIP": "[fd00::1]:180", "asNumber": 4294967295}),
        ("BGPPeer", {"peerIP": "10.0.0.1:180", "reachableBy": "10.0.0.2"}),
        ("BGPConfiguration", {"ignoredInterfaces": ["eth*"], "nodeMeshMaxRestartTime": "1m30.5s"}),
        ("FelixConfiguration", {"kubeNodePortRanges": ["30000:32767", 80], "istioDSCPMark": "EF"}),
        (
            "FelixConfiguration",
            {"bpfConntrackTimeouts": {"tcpEstablished": "1h30m", "udpTimeout": "Auto"}},
        ),
        ("HostEndpoint", {"node": "n", "interfaceName": "eth0.1", "profiles": ["x"]}),
        ("StagedNetworkPolicy", {"stagedAction": "Delete", "tier": "web"}),
        ("StagedKubernetesNetworkPolicy", {"stagedAction": "Delete"}),
        ("Node", {"bgp": {"ipv4Address": "172.16.0.5/24", "asNumber": "1.10"}}),
        ("KubeControllersConfiguration", {"controllers": {"node": {"leakGracePeriod": "15m"}}}),
        (
            KNP,
            {
                "ingress": [
                    {"ports": [{"port": 1, "endPort": 65535}], "from": [{"podSelector": {}}]}
                ]
            },
        ),
        (KNP, {"egress": [{"to": [{"ipBlock": {"cidr": "0.0.0.0/0", "except": ["10.0.0.0/8"]}}]}]}),
    ],
)
def test_what_is_right_is_accepted(kind, spec):
    assert [str(error) for error in errors_of(kind, spec)] == []


@pytest.mark.parametrize(
    ("kind", "spec", "path", "message"),
    [
        (NP, {"tier": "a.b"}, "spec.tier", "no DNS label"),
        (NP, {"tier": "x" * 64}, "spec.tier", "no DNS label"),
        (NP, {"types": ["Ingress", "Ingress"]}, "spec.types[1]", "is the same as item 0"),
        (NP, {"types": []}, "spec.types", "needs at least 1 item"),
        (NP, {"selector": "a" * 1025}, "spec.selector", "1025 characters, at most 1024"),
        (NP, rule(protocol="TPC"), f"{IN}.protocol", "'TPC' is not a protocol"),
        (NP, rule(protocol=0), f"{IN}.protocol", "'0' is not a protocol"),
        (NP, rule(notProtocol=256), f"{IN}.notProtocol", "'256' is not a protocol"),
        (NP, rule(destination={"ports": [80]}), f"{IN}.protocol", "ports need protocol TCP"),
        (
            NP,
            rule(protocol="ICMP", source={"notPorts": ["a"]}),
            f"{IN}.protocol",
            "ports need protocol TCP",
        ),
        (NP, rule(protocol="TCP", source={"ports": [0]}), f"{IN}.source.ports[0]", "begin with 1"),
        (
            NP,
            rule(protocol="TCP", source={"ports": ["9:8"]}),
            f"{IN}.source.ports[0]",
            "ends before it begins",
        ),
        (
            NP,
            rule(protocol="TCP", source={"ports": ["a b"]}),
            f"{IN}.source.ports[0]",
            "neither a port",
        ),
        (
            NP,
            rule(protocol="TCP", source={"ports": [65536]}),
            f"{IN}.source.ports[0]",
            "not a port number",
        ),
        (
            NP,
            rule(protocol="TCP", source={"ports": list(range(1, 52))}),
            f"{IN}.source.ports",
            "has 51 items, at most 50",
        ),
        (NP, rule(source={"nets": ["10.0.0.1"]}), f"{IN}.source.nets[0]", "write 10.0.0.1/32"),
        (
            NP,
            rule(source={"nets": ["10.0.0.0/8", "10.0.0.0/8"]}),
            f"{IN}.source.nets[1]",
            "is the same as item 0",
        ),
        (
            NP,
            rule(source={"nets": ["10.0.0.0/8"]}, destination={"notNets": ["fd00::/8"]}),
            f"{IN}.destination.notNets[0]",
            "one IP version",
        ),
        (
            NP,
            rule(source={"nets": ["10.0.0.0/8"]}, ipVersion=6),
            f"{IN}.source.nets[0]",
            "one IP version",
        ),
        (NP, rule(ipVersion=5), f"{IN}.ipVersion", "5 is not one of 4, 6"),
        (
            NP,
            rule(source={"notNets": ["::/0"]}),
            f"{IN}.source.notNets[0]",
            "leaves nothing",
        ),
        (
            NP,
            rule(source={"namespaceSelector": "global() && has(a)"}),
            f"{IN}.source.namespaceSelector",
            "can't be combined",
        ),
        (NP, rule(source={"notSelector": "a ="}), f"{IN}.source.notSelector", "character"),
        (
            NP,
            rule(source={"serviceAccounts": {"selector": "a ="}}),
            f"{IN}.source.serviceAccounts.selector",
            "character",
        ),
        (
            NP,
            rule(destination={"services": {"name": "s"}}),
            f"{IN}.destination",
            "services are for",
        ),
        (
            NP,
            egress(source={"services": {"name": "s"}}),
            "spec.egress[0].source",
            "services are for",
        ),
        (
            GNP,
            egress(destination={"services": {"name": "s"}}),
            "spec.egress[0].destination.services",
            "must name the service's namespace",
        ),
        (NP, egress(http={"methods": ["GET"]}), "spec.egress[0].http", "for ingress rules"),
        (
            NP,
            rule(http={"methods": ["GET", "GET"]}),
            f"{IN}.http.methods[1]",
            "is the same as item 0",
        ),
        (
            NP,
            rule(http={"paths": [{"exact": "/a", "prefix": "/b"}]}),
            f"{IN}.http.paths[0]",
            "exactly one of",
        ),
        (NP, rule(http={"paths": [{}]}), f"{IN}.http.paths[0]", "exactly one of"),
        (
            NP,
            rule(http={"paths": [{"exact": "a"}]}),
            f"{IN}.http.paths[0].exact",
            "must begin with /",
        ),
        (
            NP,
            rule(http={"paths": [{"prefix": "/a?b"}]}),
            f"{IN}.http.paths[0].prefix",
            "must begin with /",
        ),
        (NP, rule(protocol="ICMP", icmp={"type": 255}), f"{IN}.icmp.type", "255 is above 254"),
        (
            NP,
            rule(metadata={"annotations": {"a b": "c"}}),
            f'{IN}.metadata.annotations["a b"]',
            "no annotation key",
        ),
        ("NetworkSet", {"nets": ["10.0.0"]}, "spec.nets[0]", "not an IP address"),
        (
            "WorkloadEndpoint",
            {"ipNetworks": ["10.0.0.0/31"]},
            "spec.ipNetworks[0]",
            "more than one",
        ),
        ("WorkloadEndpoint", {"interfaceName": "a b"}, "spec.interfaceName", "no interface"),
        ("WorkloadEndpoint", {"mac": "66:2d"}, "spec.mac", "no MAC address"),
        (
            "WorkloadEndpoint",
            {"ports": [{"protocol": "ICMP", "port": 1}]},
            "spec.ports[0].protocol",
            "has no ports",
        ),
        ("WorkloadEndpoint", {"qosControls": {"dscp": "AF44"}}, "spec.qosControls.dscp", "no DSCP"),
        ("Node", {"bgp": {"asNumber": "70000.1"}}, "spec.bgp.asNumber", "at most 65535"),
        ("Node", {"bgp": {"asNumber": -1}}, "spec.bgp.asNumber", ""),
        ("Node", {"bgp": {"ipv4Address": "fd00::1/64"}}, "spec.bgp.ipv4Address", "not IPv4"),
        ("Node", {"vxlanTunnelMACAddr": "x"}, "spec.vxlanTunnelMACAddr", "no MAC address"),
        ("Profile", {"labelsToApply": {"a": "b c"}}, "spec.labelsToApply.a", "no label value"),
        ("IPPool", {"cidr": "10.0.0.0/8", "blockSize": 129}, "spec.blockSize", "above 128"),
        ("IPPool", {"cidr": "10.0.0.0"}, "spec.cidr", "write 10.0.0.0/32"),
        ("BGPPeer", {"peerIP": "10.0.0.1:0"}, "spec.peerIP", "no port from 1 to 65535"),
        ("BGPPeer", {"peerIP": "[10.0.0.1]:1"}, "spec.peerIP", "only an IPv6 address"),
        (
            "BGPPeer",
            {"peerIP": "10.0.0.1", "reachableBy": "fd00::1"},
            "spec.reachableBy",
            "same IP version",
        ),
        ("BGPPeer", {"keepaliveTime": "10"}, "spec.keepaliveTime", "no duration"),
        (
            "BGPConfiguration",
            {"ignoredInterfaces": ["*"]},
            "spec.ignoredInterfaces[0]",
            "ignore all",
        ),
        (
            "BGPConfiguration",
            {
                "communities": [{"name": "a", "value": "65536:1"}],
                "prefixAdvertisements": [{"communities": ["a"]}],
            },
            "spec.communities[0].value",
            "no community",
        ),
        (
            "BGPConfiguration",
            {"prefixAdvertisements": [{"communities": ["nobody"]}]},
            "spec.prefixAdvertisements[0].communities[0]",
            "no community",
        ),
        (
            "BGPFilter",
            {"exportV4": [{"action": "Accept", "cidr": "fd00::/8", "matchOperator": "In"}]},
            "spec.exportV4[0].cidr",
            "not IPv4",
        ),
        (
            "BGPFilter",
            {"exportV4": [{"action": "Accept", "operations": [{}]}]},
            "spec.exportV4[0].operations[0]",
            "exactly one of",
        ),
        (
            "BGPFilter",
            {"exportV4": [{"action": "Accept", "communities": {"values": ["65536:1"]}}]},
            "spec.exportV4[0].communities.values[0]",
            "does not match",
        ),
        (
            "FelixConfiguration",
            {"kubeNodePortRanges": ["http"]},
            "spec.kubeNodePortRanges[0]",
            "no port or range",
        ),
        ("FelixConfiguration", {"logPrefix": "a\n"}, "spec.logPrefix", "does not match"),
        ("FelixConfiguration", {"reportingTTL": "90"}, "spec.reportingTTL", "does not match"),
        ("FelixConfiguration", {"openstackRegion": "A"}, "spec.openstackRegion", "no DNS label"),
        (
            "FelixConfiguration",
            {"externalNodesList": ["fd00::/8"]},
            "spec.externalNodesList[0]",
            "not IPv4",
        ),
        (
            "FelixConfiguration",
            {"routeTableRanges": [{"min": 1, "max": 70000}]},
            "spec.routeTableRanges",
            "more than 65535 tables",
        ),
        (
            "FelixConfiguration",
            {"bpfConntrackTimeouts": {"tcpSynSent": "ms" * 500 + "!"}},
            "spec.bpfConntrackTimeouts.tcpSynSent",
            "does not match",
        ),
        (
            "FelixConfiguration",
            {"bpfConntrackTimeouts": {"udpTimeout": "5s10"}},
            "spec.bpfConntrackTimeouts.udpTimeout",
            "does not match",
        ),
        (
            "FelixConfiguration",
            {"bpfLogFilters": {"a b": "x"}},
            'spec.bpfLogFilters["a b"]',
            "no interface filter",
        ),
        (
            "StagedNetworkPolicy",
            {"stagedAction": "Delete", "order": 1},
            "spec.order",
            "must be empty",
        ),
        ("HostEndpoint", {"node": "n", "expectedIPs": ["x"]}, "spec.expectedIPs[0]", "not an IP"),
        (
            KNP,
            {"ingress": [{"ports": [{"port": 9, "endPort": 8}]}]},
            "spec.ingress[0].ports[0].endPort",
            "not above it",
        ),
        (KNP, {"ingress": [{"from": [{}]}]}, "spec.ingress[0].from[0]", "needs a podSelector"),
        (
            KNP,
            {
                "ingress": [
                    {"from": [{"ipBlock": {"cidr": "10.0.0.0/8", "except": ["11.0.0.0/8"]}}]}
                ]
            },
            "spec.ingress[0].from[0].ipBlock.except",
            "a part of cidr",
        ),
        (
            KNP,
            {"podSelector": {"matchExpressions": [{"key": "a", "operator": "In"}]}},
            "spec.podSelector.matchExpressions[0].values",
            "at least one value",
        ),
        (
            KNP,
            {
                "podSelector": {
                    "matchExpressions": [{"key": "a", "operator": "in", "values": ["b"]}]
                }
            },
            "spec.podSelector.matchExpressions[0].operator",
            '"in" is not one of',
        ),
        ("Pod", {"containers": []}, "spec.containers", "at least one container"),
        (
            "Pod",
            {"containers": [{"name": "a", "ports": [{"containerPort": 0}]}]},
            "spec.containers[0].ports[0].containerPort",
            "0 is below 1",
        ),
    ],
)
def test_what_is_wrong_is_refused_at_its_place(kind, spec, path, message):
    (error,) = errors_of(kind, spec)
    assert error.path == path
    assert message in error.message


@pytest.mark.parametrize(
    ("kind", "name", "valid"),
    [
        (NP, "a", True),
        (NP, "default.a", True),
        (NP, "knp.default.a.b.c", True),
        (NP, "a.b.c", False),
        (NP, "A", False),
        (GNP, "-a", False),
        ("Tier", "a.b", False),
        ("IPPool", "a.b.c", True),
        ("IPPool", "x" * 254, False),
    ],
)
def test_names_are_what_the_kind_allows(kind, name, valid):
    spec = {"cidr": "10.0.0.0/8"} if kind == "IPPool" else {}
    assert [error.path for error in errors_of(kind, spec, name=name)] == (
        [] if valid else ["metadata.name"]
    )


@pytest.mark.parametrize(
    ("metadata", "path"),
    [
        ({"labels": {"a/b/c": "x"}}, 'metadata.labels["a/b/c"]'),
        ({"labels": {"a": "x" * 64}}, "metadata.labels.a"),
        ({"annotations": {"": "x"}}, 'metadata.annotations[""]'),
        ({"annotations": {"a": "x" * (256 * 1024)}}, "metadata.annotations"),
        ({"namespace": "A"}, "metadata.namespace"),
    ],
)
def test_metadata_is_held_to_kubernetes_rules(metadata, path):
    assert [error.path for error in errors_of(NP, {}, **metadata)] == [path]


def test_a_network_set_can_not_pretend_to_be_in_a_namespace():
    (error,) = errors_of("GlobalNetworkSet", {}, labels={"projectcalico.org/namespace": "a"})
    assert error.path == "metadata.labels"


@pytest.mark.parametrize(
    ("spec", "types"),
    [
        ({}, ("Ingress",)),
        ({"ingress": [{"action": "Allow"}]}, ("Ingress",)),
        ({"egress": [{"action": "Allow"}]}, ("Egress",)),
        ({**rule(), **egress()}, ("Ingress", "Egress")),
        ({**egress(), "types": ["Ingress"]}, ("Ingress",)),
    ],
)
@pytest.mark.parametrize("kind", [NP, GNP, "StagedNetworkPolicy", "StagedGlobalNetworkPolicy"])
def test_directions_follow_from_the_rules(kind, spec, types):
    manifest = {
        "apiVersion": "projectcalico.org/v3",
        "kind": kind,
        "metadata": {"name": "a"},
        "spec": {**spec, "tier": "web"},
    }
    (located,) = read_manifests("f", json.dumps(manifest)).resources
    assert located.resource.spec.types == located.resource.spec.directions == types
    assert located.resource.metadata.labels == {"projectcalico.org/tier": "web"}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            '{"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "metadata": '
            '{"name": "a"}, "addressType": "IPv4", "endpoints": [{"addresses": ["fd00::1"]}]}',
            "endpoints: has an address that is not of addressType",
        ),
        (
            '{"apiVersion": "v1", "kind": "Service", "metadata": {"name": "a"}, '
            '"spec": {"ports": [{"port": 1}, {"port": 2, "name": "b"}]}}',
            "spec.ports: each of several ports needs a name",
        ),
        (
            '{"apiVersion": "v1", "kind": "Node", "metadata": {"name": "a"}, '
            '"spec": {"podCIDR": "10.0.0.0"}}',
            "spec.podCIDR: '10.0.0.0' has no prefix length: write 10.0.0.0/32",
        ),
    ],
)
def test_other_kinds_of_kubernetes_are_held_to_theirs(text, said):
    (error,) = read_manifests("f", text).errors
    assert said in str(error)
