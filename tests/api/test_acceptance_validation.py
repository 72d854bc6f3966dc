"""The validators' contract, sentence by sentence: what stands at each edge, and what beyond."""

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


def paths_of(kind, spec, **metadata):
    return [error.path for error in errors_of(kind, spec, **metadata)]


NP, GNP, SNP, SGNP = (
    "NetworkPolicy",
    "GlobalNetworkPolicy",
    "StagedNetworkPolicy",
    "StagedGlobalNetworkPolicy",
)
SKNP, FELIX, BGP = "StagedKubernetesNetworkPolicy", "FelixConfiguration", "BGPConfiguration"
POOL = {"cidr": "10.0.0.0/16"}
IN = "spec.ingress[0]"


def rule(**fields):
    return {"ingress": [{"action": "Allow", **fields}]}


def source(**fields):
    return rule(source=fields)


def tcp(*ports):
    return rule(protocol="TCP", destination={"ports": list(ports)})


@pytest.mark.parametrize(
    ("kind", "right", "wrong"),
    [
        (NP, ["a" * 253, "a.b", "knp.default.a.b.c", "ossg.default.x"], []),
        (
            NP,
            ["1", "a-b"],
            ["a" * 254, "a.b.c", "knp.default.", "knp.default.A", "a..b", ".a", "a."],
        ),
        (NP, [], ["knp.default.a b", "knp.other.a", "é", "a_b", "a\n", "-a", "a-", ""]),
        (SNP, ["knp.default.a"], ["a.b.c"]),
        (GNP, ["a", "tier.a", "a" * 253], ["knp.default.a", "a.b.c", "a" * 254, "A.b"]),
        (SGNP, ["tier.a"], ["ossg.default.a"]),
        ("Tier", ["a", "a" * 63], ["a.b", "a" * 64, "A", ""]),
        ("NetworkSet", ["a.b.c.d", "x" * 253], ["x" * 254, "a..b", "a_b"]),
        (SKNP, ["a.b.c"], ["a b"]),
        ("GlobalNetworkSet", ["a.b"], ["٣.".rstrip("."), "ａ"]),
    ],
)
def test_names(kind, right, wrong):
    assert {name: paths_of(kind, {}, name=name) for name in right} == {name: [] for name in right}
    assert {name: paths_of(kind, {}, name=name) for name in wrong} == {
        name: ["metadata.name"] for name in wrong
    }


KIB = 1024


@pytest.mark.parametrize(
    ("annotations", "path"),
    [
        ({"a": "x" * (256 * KIB - 1)}, None),
        ({"a": "x" * (256 * KIB)}, "metadata.annotations"),
        ({"a": "é" * (128 * KIB)}, "metadata.annotations"),  # counted in bytes
        ({"A.Example/Key": "any \n text"}, None),
        ({"example.org/" + "k" * 63: ""}, None),
        ({"k" * 64: ""}, f"metadata.annotations.{'k' * 64}"),
        ({"\u212aey": ""}, 'metadata.annotations["\u212aey"]'),  # the Kelvin sign is no k
        ({"a/": ""}, 'metadata.annotations["a/"]'),
    ],
)
def test_annotations(annotations, path):
    assert paths_of(NP, {}, annotations=annotations) == ([path] if path else [])


@pytest.mark.parametrize(
    ("key", "value", "valid"),
    [
        ("a", "", True),
        ("a", "x" * 63, True),
        ("a", "x" * 64, False),
        ("a", "-x", False),
        ("a", "x_", False),
        ("a", "x.y-z_0", True),
        ("a", "ß", False),
        ("example.org/" + "x" * 63, "b", True),
        ("Example.org/x", "b", False),
        ("x" * 254 + "/a", "b", False),
        ("/a", "b", False),
        ("_a", "b", False),
    ],
)
def test_labels(key, value, valid):
    assert len(errors_of(NP, {}, labels={key: value})) == (not valid)


@pytest.mark.parametrize("kind", ["NetworkSet", "GlobalNetworkSet"])
def test_a_network_set_can_not_claim_a_namespace_by_label(kind):
    labels = {"projectcalico.org/namespace": "a"}
    assert paths_of(kind, {}, labels=labels) == ["metadata.labels"]
    assert paths_of(kind, {}, labels={"projectcalico.org/name": "a"}) == []


@pytest.mark.parametrize(
    ("port", "valid"),
    [
        (1, True),
        (65535, True),
        (0, False),
        (65536, False),
        (-1, False),
        (10**30, False),
        ("80", True),
        ("+5", False),
        ("-5", False),
        ("0x50", True),  # a name
        ("1e3", True),  # a name
        ("８０", False),
        ("٨٠", False),
        ("80:81", True),
        ("80:80", True),
        ("81:80", False),
        ("0:80", False),
        ("80:65536", False),
        ("80:", False),
        (":80", False),
        ("80:90:100", False),
        ("80 : 90", False),
        ("80-90", False),
        ("http", True),
        ("x" * 128, True),
        ("x" * 129, False),
        ("a b", False),
        ("", False),
        ("\n", False),
    ],
)
def test_ports(port, valid):
    # What is neither is also no number that would need a protocol.
    assert paths_of(NP, tcp(port)) == ([] if valid else [f"{IN}.destination.ports[0]"])


@pytest.mark.parametrize(
    ("protocol", "ports", "valid"),
    [
        ("TCP", [80], True),
        ("udp", [80], True),
        ("Sctp", ["80:90"], True),
        (6, [80], True),
        ("17", [80], True),
        ("132", [80], True),
        ("UDPLite", [80], False),
        ("ICMP", ["http"], False),
        (47, ["http"], False),
        (None, ["http"], True),
        (None, [80], False),
        (None, ["80"], False),
        (None, ["http", "1:2"], False),
    ],
)
@pytest.mark.parametrize("field", ["ports", "notPorts"])
def test_numeric_ports_need_a_protocol_that_has_ports(protocol, ports, valid, field):
    fields = {"source": {field: ports}} | ({"protocol": protocol} if protocol else {})
    assert paths_of(NP, rule(**fields)) == ([] if valid else [f"{IN}.protocol"])


@pytest.mark.parametrize(
    ("protocol", "valid"),
    [
        ("tcp", True),
        ("ICMPV6", True),
        ("udplite", True),
        (1, True),
        (255, True),
        ("255", True),
        (0, False),
        (256, False),
        ("0", False),
        ("256", False),
        ("+6", False),
        ("1e1", False),
        ("６", False),
        ("\u017fctp", False),  # the long s folds to s
        ("TCP ", False),
        ("", False),
        ("IP", False),
    ],
)
@pytest.mark.parametrize("field", ["protocol", "notProtocol"])
def test_protocols(protocol, valid, field):
    assert paths_of(NP, rule(**{field: protocol})) == ([] if valid else [f"{IN}.{field}"])


@pytest.mark.parametrize(
    ("net", "message"),
    [
        ("10.0.0.0/8", None),
        ("10.1.2.3/8", None),
        ("0.0.0.0/0", None),
        ("fd00::/8", None),
        ("10.0.0.1", "write 10.0.0.1/32"),
        ("fd00::1", "write fd00::1/128"),
        ("::ffff:10.0.0.0/104", "write 10.0.0.0/8"),
        ("::ffff:a00:1/128", "write 10.0.0.1/32"),
        ("::ffff:10.0.0.1", "write 10.0.0.1"),
        ("::/0", None),
        ("10.0.0.0/33", "above 32"),
        ("fd00::/129", "above 128"),
        ("10.0.0.0/08", "no prefix length"),
        ("10.0.0.0/+8", "no prefix length"),
        ("10.0.0.0/８", "no prefix length"),
        ("10.0.0.0/", "no prefix length"),
        ("10.0.0.0/8/8", "no prefix length"),
        ("10.0.0/8", "not an IP address"),
        ("010.0.0.0/8", "not an IP address"),
        ("１0.0.0.0/8", "not an IP address"),
        ("0x0a.0.0.0/8", "not an IP address"),
        ("fe80::1%eth0/64", "not an IP address"),
        (" 10.0.0.0/8", "not an IP address"),
        ("10.0.0.0\0/8", "not an IP address"),
        ("", "not an IP address"),
    ],
)
def test_networks_of_rules(net, message):
    errors = errors_of(NP, source(nets=[net]))
    assert [error.path for error in errors] == ([f"{IN}.source.nets[0]"] if message else [])
    assert all(message in error.message for error in errors)


@pytest.mark.parametrize("net", ["0.0.0.0/0", "::/0", "10.0.0.0/0"])
def test_not_nets_can_not_be_everything(net):
    (error,) = errors_of(NP, source(notNets=[net]))
    assert (error.path, net in error.message) == (f"{IN}.source.notNets[0]", True)


@pytest.mark.parametrize(
    ("fields", "path"),
    [
        ({"source": {"nets": ["10.0.0.0/8", "fd00::/8"]}}, f"{IN}.source.nets[1]"),
        ({"source": {"nets": ["::/1"], "notNets": ["10.0.0.0/8"]}}, f"{IN}.source.notNets[0]"),
        (
            {"source": {"nets": ["fd00::/8"]}, "destination": {"nets": ["10.0.0.0/8"]}},
            f"{IN}.destination.nets[0]",
        ),
        (
            {"ipVersion": 4, "destination": {"notNets": ["fd00::/8"]}},
            f"{IN}.destination.notNets[0]",
        ),
    ],
)
def test_a_rule_is_of_one_family_and_the_odd_network_is_named(fields, path):
    (error,) = errors_of(NP, rule(**fields))
    assert error.path == path
    assert "IPv6" in error.message
    assert "IPv4" in error.message
    assert error.suggestion


@pytest.mark.parametrize(
    ("selector", "valid"),
    [
        ("global()", True),
        ("global", True),
        (" global( ) ", True),
        ("(global())", True),
        ("!global()", False),
        ("global() && all()", False),
        ("has(a) || global()", False),
    ],
)
def test_global_stands_alone_in_a_namespace_selector_and_nowhere_else(selector, valid):
    path = f"{IN}.source.namespaceSelector"
    assert paths_of(NP, source(namespaceSelector=selector)) == ([] if valid else [path])
    assert paths_of(NP, source(selector=selector)) == [f"{IN}.source.selector"]
    assert paths_of(NP, source(notSelector=selector)) == [f"{IN}.source.notSelector"]
    assert paths_of(NP, {"selector": selector}) == ["spec.selector"]


def test_a_label_that_only_looks_like_global_is_a_label():
    assert paths_of(NP, source(selector="has(global) && global == 'a'")) == []


@pytest.mark.parametrize(
    ("icmp", "path"),
    [
        ({"type": 0}, None),
        ({"type": 254, "code": 255}, None),
        ({"type": 255}, "type"),
        ({"type": -1}, "type"),
        ({"type": 1, "code": 256}, "code"),
        ({"code": 0}, "code"),
    ],
)
@pytest.mark.parametrize("field", ["icmp", "notICMP"])
def test_icmp(icmp, path, field):
    found = paths_of(NP, rule(protocol="ICMP", **{field: icmp}))
    assert found == ([f"{IN}.{field}.{path}"] if path else [])


@pytest.mark.parametrize(
    ("protocol", "version", "valid"),
    [
        ("ICMP", 4, True),
        ("ICMP", 6, False),
        (1, 6, False),
        ("icmp", 6, False),
        ("ICMPv6", 6, True),
        ("ICMPv6", 4, False),
        ("58", 4, False),
        ("ICMP", None, True),
        ("TCP", 6, True),
    ],
)
@pytest.mark.parametrize("field", ["protocol", "notProtocol"])
def test_icmp_is_of_one_ip_version(protocol, version, valid, field):
    fields = {field: protocol} | ({"ipVersion": version} if version else {})
    assert paths_of(NP, rule(**fields)) == ([] if valid else [f"{IN}.{field}"])


@pytest.mark.parametrize(
    ("path", "valid"),
    [
        ({"exact": "/"}, True),
        ({"prefix": "/ü"}, True),
        ({"exact": "/a#b"}, False),
        ({"exact": "/a b"}, False),
        ({"prefix": "/a?b"}, False),
        ({"prefix": "a"}, False),
        ({"exact": "/" + "a" * 1024}, False),
        ({"exact": "/a", "prefix": "/a"}, False),
        ({}, False),
    ],
)
def test_http_paths(path, valid):
    assert len(errors_of(NP, rule(http={"paths": [path]}))) == (not valid)


@pytest.mark.parametrize("kind", [SNP, SGNP])
@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("order", 0),
        ("types", ["Ingress"]),
        ("selector", "all()"),
        ("ingress", [{"action": "Deny"}]),
        ("performanceHints", ["AssumeNeededOnEveryNode"]),
    ],
)
def test_a_staged_deletion_says_nothing_but_its_tier(kind, field, value):
    spec = {"stagedAction": "Delete", "tier": "web"}
    assert errors_of(kind, spec) == ()
    assert paths_of(kind, {**spec, field: value}) == [f"spec.{field}"]


def test_a_staged_kubernetes_deletion_says_nothing_at_all():
    spec = {"stagedAction": "Delete", "podSelector": {}}
    assert paths_of(SKNP, spec) == []
    assert paths_of(SKNP, {**spec, "policyTypes": ["Ingress"]}) == ["spec.policyTypes"]


@pytest.mark.parametrize(
    ("spec", "path"),
    [
        ({"cidr": "10.0.0.0/26"}, None),
        ({"cidr": "10.0.0.0/27"}, "spec.cidr"),
        ({"cidr": "10.0.0.0/27", "disabled": True}, None),
        ({"cidr": "10.0.0.0/27", "blockSize": 0}, "spec.cidr"),
        ({"cidr": "10.0.0.0/20", "blockSize": 20}, None),
        ({"cidr": "10.0.0.0/16", "blockSize": 19}, "spec.blockSize"),
        ({"cidr": "fd00::/64", "blockSize": 116}, None),
        ({"cidr": "fd00::/64", "blockSize": 115}, "spec.blockSize"),
        ({"cidr": "fd00::/26", "blockSize": 26}, "spec.blockSize"),
        ({"cidr": "fd00::/123"}, "spec.cidr"),
        ({"cidr": "10.0.0.1/16"}, "spec.cidr"),
        ({"cidr": "::ffff:10.0.0.0/112"}, "spec.cidr"),
        ({"cidr": "169.254.0.0/16"}, "spec.cidr"),
        ({"cidr": "169.0.0.0/8"}, "spec.cidr"),
        ({"cidr": "fe80::/10"}, "spec.cidr"),
        ({"cidr": "fe80::/8"}, "spec.cidr"),
        ({"cidr": "169.255.0.0/16"}, None),
        ({**POOL, "namespaceSelector": "has(a)"}, None),
        (
            {**POOL, "allowedUses": ["Tunnel"], "namespaceSelector": "has(a)"},
            "spec.namespaceSelector",
        ),
        ({**POOL, "allowedUses": ["Workload", "Workload"]}, "spec.allowedUses[1]"),
        ({**POOL, "nodeSelector": "a ="}, "spec.nodeSelector"),
        ({**POOL, "ipipMode": "always"}, "spec.ipipMode"),
    ],
)
def test_pools(spec, path):
    assert paths_of("IPPool", spec) == ([path] if path else [])


@pytest.mark.parametrize(
    ("peer", "valid"),
    [
        ("10.0.0.1", True),
        ("10.0.0.1:1", True),
        ("10.0.0.1:65535", True),
        ("fd00::1", True),
        ("[fd00::1]:179", True),
        ("10.0.0.1:", False),
        ("10.0.0.1:+1", False),
        ("10.0.0.1:１", False),
        ("10.0.0.1:65536", False),
        ("[fd00::1]", False),
        ("[fd00::1]179", False),
        ("fd00::1]:179", False),
        ("::ffff:10.0.0.1", False),
        ("10.0.0.0/24", False),
        ("host.example", False),
    ],
)
def test_addresses_of_peers(peer, valid):
    assert paths_of("BGPPeer", {"peerIP": peer}) == ([] if valid else ["spec.peerIP"])


@pytest.mark.parametrize(
    ("number", "valid"),
    [
        (0, True),
        (4294967295, True),
        ("64512", True),
        ("1.10", True),
        ("65535.65535", True),
        ("65536.0", False),
        ("1.65536", False),
        (4294967296, False),
        ("4294967296", False),
        (-1, False),
        ("+1", False),
        ("1.", False),
        ("1.2.3", False),
        ("１", False),
        ("1e3", False),
        ("", False),
    ],
)
@pytest.mark.parametrize(
    ("kind", "wrap", "path"),
    [
        ("BGPPeer", lambda number: {"asNumber": number}, "spec.asNumber"),
        ("BGPPeer", lambda number: {"localASNumber": number}, "spec.localASNumber"),
        (BGP, lambda number: {"asNumber": number}, "spec.asNumber"),
        ("Node", lambda number: {"bgp": {"asNumber": number}}, "spec.bgp.asNumber"),
    ],
)
def test_as_numbers(kind, wrap, path, number, valid):
    assert paths_of(kind, wrap(number)) == ([] if valid else [path])


def test_a_written_as_number_is_kept_as_the_number_that_api_servers_take():
    text = "{apiVersion: projectcalico.org/v3, kind: BGPPeer, metadata: {name: a}, spec: {%s}}"
    found = read_manifests("f", text % "peerIP: 10.0.0.1, asNumber: '1.10', localASNumber: '7'")
    spec = found.resources[0].resource.spec
    assert (spec.as_number, spec.local_as_number) == (65546, 7)


@pytest.mark.parametrize(
    ("community", "valid"),
    [
        ("65535:65535", True),
        ("65536:1", False),
        ("4294967295:0:4294967295", True),
        ("4294967296:0:0", False),
        ("１:２", False),
        ("known", True),
        ("unknown", False),
        ("1:2:3:4", False),
    ],
)
def test_advertised_communities_are_values_or_names(community, valid):
    spec = {
        "communities": [{"name": "known", "value": "1:2"}],
        "prefixAdvertisements": [{"cidr": "10.0.0.0/8", "communities": ["known", community]}],
    }
    path = "spec.prefixAdvertisements[0].communities[1]"
    assert paths_of(BGP, spec) == ([] if valid else [path])


@pytest.mark.parametrize(
    ("dscp", "valid"),
    [
        (0, True),
        (63, True),
        ("46", True),
        (64, False),
        (-1, False),
        ("４６", False),
        *((name, True) for name in ("DF", "EF", "AF11", "AF43", "CS0", "CS6")),
        *((name, False) for name in ("AF14", "AF51", "CS7", "BE", "", "c\u017f1", "0x2e")),
    ],
)
def test_dscp(dscp, valid):
    path = "spec.qosControls.dscp"
    found = paths_of("WorkloadEndpoint", {"qosControls": {"dscp": dscp}})
    assert found == ([] if valid else [path])


@pytest.mark.parametrize(
    ("duration", "valid"),
    [("90s", True), ("1h30m", True), ("1.5h", True), ("0", True), ("500ms", True)]
    + [(text, False) for text in ("90", "1d", "5 s", "1m30", "s", "５s", "1h\n", "1e3s")],
)
def test_durations(duration, valid):
    assert paths_of("BGPPeer", {"keepaliveTime": duration}) == (
        [] if valid else ["spec.keepaliveTime"]
    )
    spec = {"healthTimeoutOverrides": [{"name": "a", "timeout": duration}]}
    assert paths_of(FELIX, spec) == ([] if valid else ["spec.healthTimeoutOverrides[0].timeout"])


@pytest.mark.parametrize(
    ("mac", "valid"),
    [
        ("66:2d:f4:01:23:ab", True),
        ("66-2D-F4-01-23-AB", True),
        ("66:2d-f4:01:23:ab", False),
        ("66:2d:f4:01:23", False),
        ("66:2d:f4:01:23:ab:cd", False),
        ("66:2d:f4:01:23:a", False),
        ("66:2d:f4:01:23:ａb", False),
    ],
)
def test_mac_addresses(mac, valid):
    assert paths_of("WorkloadEndpoint", {"mac": mac}) == ([] if valid else ["spec.mac"])


@pytest.mark.parametrize(
    ("key", "valid"),
    [
        ("A" * 43 + "=", True),
        ("A" * 42 + "w=", True),
        ("A" * 42 + "B=", False),  # bits beyond the 32 bytes
        ("A" * 44, False),
        ("A" * 40 + "====", False),
        ("not a key", False),
    ],
)
def test_wireguard_keys(key, valid):
    manifest = {
        "apiVersion": "projectcalico.org/v3",
        "kind": "Node",
        "metadata": {"name": "n"},
        "spec": {},
        "status": {"wireguardPublicKey": key},
    }
    found = [error.path for error in read_manifests("f", json.dumps(manifest)).errors]
    assert found == ([] if valid else ["status.wireguardPublicKey"])


@pytest.mark.parametrize(
    ("field", "right", "wrong"),
    [
        ("kubeNodePortRanges", [[], [0], ["30000:32767"], [1] * 7], [[1] * 8, ["http"], [65536]]),
        ("natPortRange", [0, 65535, "1:2"], ["", "a", 65536, "2:1"]),
        ("bpfPSNATPorts", [0, "20000:29999"], ["20000-29999"]),
        ("routeTableRange", [{"min": 1, "max": 250}], [{"min": 0, "max": 5}, {"min": 5, "max": 4}]),
        ("routeTableRanges", [[{"min": 1, "max": 65535}]], [[{"min": 1, "max": 65536}]]),
        (
            "routeTableRanges",
            [[{"min": 0xFFFFFFFF, "max": 0xFFFFFFFF}]],
            [[{"min": 0xFFFFFFFF, "max": 0x100000000}]],
        ),
        ("openstackRegion", ["a-1"], ["A", "a.b", "x" * 64]),
        ("externalNodesList", [["10.0.0.1", "10.0.0.0/8"]], [["fd00::/8"], ["x"]]),
        ("bpfLogFilters", [{"all": "tcp"}, {"eth0": ""}], [{"x" * 16: ""}, {"a/b": ""}]),
        (
            "healthTimeoutOverrides",
            [[{"name": "A b_c-1", "timeout": "1s"}]],
            [[{"name": "a.b", "timeout": "1s"}], [{"name": "", "timeout": "1s"}]],
        ),
        ("healthPort", [0, 65535], [-1, 65536]),
        ("prometheusMetricsPort", [0], [-1]),
        ("healthHost", ["none", "localhost", "::1"], ["a/b", "x" * 65]),
        ("interfacePrefix", ["cali", "cali,tap"], ["", "a.b", "cali,"][1:]),
        ("wireguardInterfaceName", ["wireguard.cali"], ["x" * 16]),
        ("ipv4NormalRoutePriority", [1, 2147483646], [0, 2147483647]),
        ("iptablesMarkMask", [0xFFFF0000, 3], [0, 1, 2**32, -1]),
        ("mtuIfacePattern", ["^eth.*"], ["("]),
        ("bpfMaglevMaxServices", [1, 3000], [0, 3001]),
        ("logActionRateLimit", ["1/second", "9999/day"], ["0/day", "1２/day", "1/week"]),
        ("logActionRateLimitBurst", [0, 9999], [-1, 10000]),
        ("featureGates", ["", "A=b,C=d"], ["A"]),
        ("logSeverityScreen", ["", "debug", "INFO"], ["verbose", "Info\n"]),
        ("wireguardKeepAlive", ["", "25s"], ["25", "-1s"]),
        ("iptablesNATOutgoingInterfaceFilter", ["eth+"], ["eth*"]),
        ("bpfForceTrackPacketsFromIfaces", [["docker+"], []], [["a/b"]]),
    ],
)
def test_settings_of_agents(field, right, wrong):
    assert [errors_of(FELIX, {field: value}) for value in right] == [()] * len(right)
    for value in wrong:
        (error,) = errors_of(FELIX, {field: value})
        assert error.path.startswith(f"spec.{field}")


@pytest.mark.parametrize(
    ("kind", "spec", "message"),
    [
        ("IPPool", {"cidr": "10.0.0.0/8", "blockSize": 33}, "(found 33)"),
        ("IPPool", {**POOL, "ipipMode": "Always", "vxlanMode": "Always"}, '(found "Always")'),
        (FELIX, {"natOutgoingAddress": "fd00::1"}, '(found "fd00::1")'),
        (FELIX, {"healthPort": 70000}, "(found 70000)"),
        (FELIX, {"chainInsertMode": "apend"}, '"apend" is not one of Insert, Append; did you mean'),
        (FELIX, {"reportingInterval": "1 min"}, 'a duration such as "1m30s"'),
        (NP, rule(protocol="TPC"), "'TPC' is not a protocol: use TCP"),
        (
            NP,
            {"types": ["ingress"]},
            '"ingress" is not one of Egress, Ingress; did you mean "Ingress"?',
        ),
        ("Tier", {"order": "1"}, 'expected a number, found text ("1")'),
    ],
)
def test_a_message_shows_what_was_found_and_what_to_do(kind, spec, message):
    (error,) = errors_of(kind, spec)
    assert message in str(error)


def test_all_errors_of_an_object_come_at_once():
    spec = {
        "tier": "a.b",
        "order": "high",
        "selektor": "all()",
        "types": ["Ingress", "Ingress"],
        "ingress": [
            {"action": "allow", "protocol": "TPC"},
            {"action": "Deny", "source": {"nets": ["10.0.0.0/33"], "selector": "a ="}},
        ],
    }
    assert set(paths_of(NP, spec, name="A", labels={"a": "-"})) == {
        "metadata.name",
        "metadata.labels.a",
        "spec.tier",
        "spec.order",
        "spec.selektor",
        "spec.types[1]",
        "spec.ingress[0].action",
        "spec.ingress[0].protocol",
        "spec.ingress[1].source.nets[0]",
        "spec.ingress[1].source.selector",
    }


def test_a_tier_that_is_none_is_said_once_and_not_of_the_label_it_would_give():
    assert paths_of(NP, {"tier": "A B"}) == ["spec.tier"]
