"""What a node announces: blocks, services' addresses, communities; and what the kernel gets."""

import pytest
from msgspec.structs import replace

from bgp.pictures import ALPHA, BETA, POOL, cluster, picture, resources
from tortie.api.calico.bgp_configuration import ServiceBlock
from tortie.bgp.build import Given, picture_of
from tortie.bgp.text import bird_text
from tortie.net import parse_network

CONFIGURATION = """
apiVersion: projectcalico.org/v3
kind: BGPConfiguration
metadata: {name: default}
spec:
"""
RANGES = (
    CONFIGURATION
    + """  serviceClusterIPs: [{cidr: 10.96.0.0/12}]
  serviceExternalIPs: [{cidr: 203.0.113.0/24}, {cidr: 198.51.100.7/32}]
  serviceLoadBalancerIPs: [{cidr: 192.0.2.0/24}]
"""
)


def service(policy: str, name: str = "web") -> str:
    return f"""
apiVersion: v1
kind: Service
metadata: {{name: {name}, namespace: shop}}
spec: {{clusterIP: 10.96.0.7, externalIPs: [203.0.113.7, 198.51.100.7, 8.8.8.8], type: LoadBalancer,
        externalTrafficPolicy: {policy}, ports: [{{port: 80}}]}}
status: {{loadBalancer: {{ingress: [{{ip: 192.0.2.7}}, {{hostname: x}}]}}}}
"""


def behind(node: str, ready: str = "true", name: str = "web") -> str:
    return f"""
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {{name: {name}-1, namespace: shop, labels: {{kubernetes.io/service-name: {name}}}}}
addressType: IPv4
endpoints: [{{addresses: [10.65.0.9], nodeName: {node}, conditions: {{ready: {ready}}}}}]
ports: [{{port: 80}}]
"""


WHOLE = ["10.96.0.0/12", "192.0.2.0/24", "203.0.113.0/24"]
SINGLE = ["10.96.0.7/32", "192.0.2.7/32", "198.51.100.7/32", "203.0.113.7/32"]


def announced(*texts: str, node: str = "alpha") -> list[str]:
    return sorted(str(prefix) for prefix in picture(*texts, node=node).family4.services)


def test_ranges_are_announced_whole_but_single_addresses_only_where_a_service_has_them() -> None:
    assert announced(ALPHA, RANGES) == WHOLE
    assert announced(ALPHA, RANGES, service("Cluster")) == sorted([*WHOLE, "198.51.100.7/32"])


def test_local_services_are_announced_one_by_one_where_an_endpoint_is_ready() -> None:
    nodes, local = (ALPHA, BETA, RANGES), service("Local")
    assert announced(*nodes, local, behind("alpha")) == sorted([*WHOLE, *SINGLE])
    assert announced(*nodes, local, behind("alpha"), node="beta") == WHOLE
    assert announced(*nodes, local, behind("alpha", ready="false")) == WHOLE
    assert announced(*nodes, local) == WHOLE


def test_without_aggregation_load_balancers_addresses_are_announced_one_by_one() -> None:
    text = RANGES + "  serviceLoadBalancerAggregation: Disabled\n"
    assert "192.0.2.0/24" not in announced(ALPHA, text, service("Cluster"))
    assert "192.0.2.7/32" in announced(ALPHA, text, service("Cluster"))
    assert "192.0.2.7/32" not in announced(ALPHA, text, service("Local"), behind("beta"))


@pytest.mark.parametrize("ingress", ["7", "[7]", "[{ip: 7}]", "{ip: 192.0.2.9}", "[{ip: x}]"])
def test_a_status_of_any_shape_is_no_crash(ingress: str) -> None:
    strange = service("Cluster").replace("[{ip: 192.0.2.7}, {hostname: x}]", ingress)
    assert announced(ALPHA, RANGES, strange) == sorted([*WHOLE, "198.51.100.7/32"])


@pytest.mark.parametrize("value", ["true", "false", ""])
def test_an_excluded_node_announces_no_services(value: str) -> None:
    """It knows of their ranges all the same: nobody's routes to them are for its kernel."""
    label = f"node.kubernetes.io/exclude-from-external-load-balancers: '{value}'"
    excluded = ALPHA.replace("rack: a", label)
    assert announced(excluded, RANGES, service("Local"), behind("alpha")) == []
    ranges = picture(excluded, RANGES).family4.service_ranges
    assert ranges == picture(ALPHA, RANGES).family4.service_ranges != ()


def test_a_single_load_balancers_address_is_announced_only_where_a_service_has_it() -> None:
    single = RANGES.replace("192.0.2.0/24", "192.0.2.7/32")
    assert "192.0.2.7/32" not in announced(ALPHA, single)
    assert "192.0.2.7/32" in announced(ALPHA, single, service("Cluster"))


def test_a_range_that_is_none_is_left_out_and_named() -> None:
    known = cluster(ALPHA, RANGES)
    default = known.configurations["default"]
    spec = replace(default.spec, service_external_ips=(ServiceBlock(cidr="x"),))
    known.configurations["default"] = replace(default, spec=spec)
    found = picture_of(known, {}, Given())
    assert found is not None
    assert [str(each) for each in found.family4.services] == ["10.96.0.0/12", "192.0.2.0/24"]
    assert ["spec.serviceExternalIPs" in str(each) for each in found.problems] == [True]


BLOCK = """
apiVersion: projectcalico.org/v3
kind: BlockAffinity
metadata: {name: block}
spec: {cidr: 10.65.0.0/26, node: alpha, state: confirmed, deleted: false}
"""


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ("node: alpha, state: confirmed, deleted: false", True),
        ("node: alpha, state: pending, deleted: false", False),
        ("node: alpha, state: pendingDeletion, deleted: false", False),
        ("node: alpha, state: confirmed, deleted: true", False),
        ("node: alpha, state: confirmed, deleted: false, type: virtual", False),
        ("node: beta, state: confirmed, deleted: false", False),
    ],
)
def test_only_confirmed_blocks_of_this_node_are_announced(fields: str, told: bool) -> None:
    text = f"""
apiVersion: projectcalico.org/v3
kind: BlockAffinity
metadata: {{name: block}}
spec: {{cidr: 10.65.0.0/26, {fields}}}
"""
    wanted = (parse_network("10.65.0.0/26"),) if told else ()
    assert picture(ALPHA, text).family4.blocks == wanted


def test_a_nodes_own_configuration_goes_over_the_default() -> None:
    own = """
apiVersion: projectcalico.org/v3
kind: BGPConfiguration
metadata: {name: node.alpha}
spec: {asNumber: 65001, ignoredInterfaces: ["docker*"], bindMode: NodeIP, logSeverityScreen: Error,
       ipv4NormalRoutePriority: 200}
"""
    default = CONFIGURATION + "  {asNumber: 64999, logSeverityScreen: Debug, listenPort: 1790}\n"
    found = picture(ALPHA, BETA, default, own)
    assert (found.log_severity, found.strict_bind, found.port) == ("Error", True, 1790)
    assert (found.ignored_interfaces, found.family4.priority) == (("docker*",), 200)
    assert {session.local_as for session in found.sessions} == {64999}
    assert "counts in BGPConfiguration(default) only" in str(found.problems[0])
    both = own.replace("spec: {", "spec: {listenPort: 1791, ")
    assert picture(ALPHA, BETA, default, both).port == 1791
    assert picture(ALPHA, BETA, default, own, node="beta").log_severity == "Debug"


@pytest.mark.parametrize(
    "field",
    [
        "nodeToNodeMeshEnabled: false",
        "asNumber: 65001",
        "nodeMeshPassword: {secretKeyRef: {name: s, key: k}}",
        "serviceClusterIPs: [{cidr: 10.97.0.0/16}]",
        "serviceExternalIPs: [{cidr: 10.97.0.0/16}]",
        "serviceLoadBalancerIPs: [{cidr: 10.97.0.0/16}]",
        "serviceLoadBalancerAggregation: Disabled",
    ],
)
def test_what_all_nodes_must_agree_on_is_no_nodes_own(field: str) -> None:
    default = RANGES + "  ipv4NormalRoutePriority: 100\n"
    own = default.partition("spec:")[0].replace("default", "node.alpha") + f"spec: {{{field}}}\n"
    texts = (ALPHA, BETA, default, service("Cluster"))
    found, plain = picture(*texts, own), picture(*texts)
    assert (found.family4, found.sessions) == (plain.family4, plain.sessions)
    assert [str(each) for each in found.problems] == [
        f"BGPConfiguration(node.alpha): spec.{field.partition(':')[0]}"
        " counts in BGPConfiguration(default) only"
    ]


@pytest.mark.parametrize(
    ("fields", "told", "inside", "programmed"),
    [
        ("", True, True, True),
        (", disableBGPExport: true", False, True, True),
        (", vxlanMode: CrossSubnet", True, False, False),
        (", ipipMode: Always", True, True, False),
    ],
)
def test_pools_say_whom_to_tell_and_who_programs(
    fields: str, told: bool, inside: bool, programmed: bool
) -> None:
    text = POOL.replace(", natOutgoing: true", fields)
    (pool,) = picture(ALPHA, text).family4.pools
    assert (pool.told, pool.told_inside, pool.programmed) == (told, inside, programmed)


@pytest.mark.parametrize(
    ("mode", "programmed"),
    [
        ("Disabled", False),
        ("EnabledIPIPOnly", False),
        ("Enabled", True),
        ("EnabledNoEncapOnly", True),
    ],
)
def test_the_agent_may_be_told_to_program_what_bgp_learns(mode: str, programmed: bool) -> None:
    text = CONFIGURATION + f"  programClusterRoutes: {mode}\n"
    (pool,) = picture(ALPHA, POOL, text).family4.pools
    assert pool.programmed is programmed


def test_the_kernel_gets_nothing_of_services_or_tunnels() -> None:
    tunnel = POOL.replace("10.65.0.0/16", "10.67.0.0/16").replace("name: pool", "name: vx")
    tunnel = tunnel.replace(", natOutgoing: true", ", vxlanMode: Always")
    text = bird_text(picture(ALPHA, POOL, tunnel, RANGES))
    kernel = text[text.index("protocol kernel kernel4") : text.index("function tell4")]
    assert "10.67.0.0/16+" in kernel
    assert "10.96.0.0/12+" in kernel
    assert "10.65.0.0/16+" not in kernel


@pytest.mark.parametrize(
    ("peering", "passed_on"),
    [
        ("asNumber: 65000", False),
        ("asNumber: 65000, nextHopMode: Self", False),
        ("asNumber: 65000, nextHopMode: Keep", True),
        ("asNumber: 64512", True),
        ("asNumber: 64512, nextHopMode: Self", False),
        ("asNumber: 64512, nextHopMode: Keep", True),
    ],
)
def test_others_services_are_passed_on_only_with_the_way_to_them(
    peering: str, passed_on: bool
) -> None:
    peer = f"""
apiVersion: projectcalico.org/v3
kind: BGPPeer
metadata: {{name: tor}}
spec: {{peerIP: 172.16.0.254, {peering}}}
"""
    text = bird_text(picture(ALPHA, RANGES, peer))
    session = text[text.index("protocol bgp Global") :]
    assert ("own_services4();" not in session) is passed_on


@pytest.mark.parametrize(
    ("field", "text"),
    [
        ("ipv6NormalRoutePriority: 300", "krt_metric = 301"),
        ("ipv4NormalRoutePriority: 400", "krt_metric = 401"),
        ("logSeverityScreen: fatal", "log stderr { fatal, bug };"),
        ("logSeverityScreen: Trace", "debug protocols all;"),
        ("bindMode: NodeIP", "strict bind on;"),
        ('ignoredInterfaces: ["eth9"]', '"cali*", -"eth9"'),
        ("nodeMeshMaxRestartTime: 77s", "graceful restart time 77;"),
        (
            'communities: [{name: a, value: "5:6"}],'
            " prefixAdvertisements: [{cidr: 10.65.0.0/16, communities: [a]}]",
            "if net ~ [ 10.65.0.0/16+ ] then { bgp_community.add((5, 6)); }",
        ),
    ],
)
@pytest.mark.parametrize("name", ["default", "node.alpha"])
def test_what_a_node_may_have_of_its_own_gets_to_bird(field: str, text: str, name: str) -> None:
    plain = bird_text(picture(ALPHA, BETA))
    own = CONFIGURATION.replace("default", name) + f"  {{{field}}}\n"
    assert text not in plain
    assert text in bird_text(picture(ALPHA, BETA, own))
    if name != "default":
        assert bird_text(picture(ALPHA, BETA, own, node="beta")) == bird_text(
            picture(ALPHA, BETA, node="beta")
        )


def test_what_can_not_be_used_of_the_configuration_is_named() -> None:
    known = cluster(ALPHA, POOL, CONFIGURATION + "  {programClusterRoutes: EnabledIPIPOnly}\n")
    default = known.configurations["default"]
    spec = replace(
        default.spec, ignored_interfaces=('a"b', "eth9"), ipv4_normal_route_priority=2**31
    )
    known.configurations["default"] = replace(default, spec=spec)
    found = picture_of(known, {}, Given(router_id=7))
    assert found is not None
    assert (found.ignored_interfaces, found.family4.priority, found.router_id) == (
        ("eth9",),
        1024,
        7,
    )
    said = [str(each).partition(": ")[2].partition(":")[0] for each in found.problems]
    assert sorted(said) == ["spec.ignoredInterfaces", "spec.programClusterRoutes"]


def test_a_problem_alone_is_a_change_to_tell_of() -> None:
    known = cluster(ALPHA)
    (block,) = resources(BLOCK)
    broken = replace(block, spec=replace(block.spec, cidr="x"))
    assert known.put(broken.key, broken)
    assert not known.put(broken.key, broken)
    assert known.put(broken.key, None)


def test_communities_are_looked_up_by_name() -> None:
    text = (
        CONFIGURATION
        + """  communities: [{name: gold, value: "64512:9"}]
  prefixAdvertisements:
  - {cidr: 10.65.0.0/16, communities: [gold, "1:2:3"]}
"""
    )
    (found,) = picture(ALPHA, text).family4.advertised
    assert found.communities == ((64512, 9), (1, 2, 3))


def test_what_is_no_business_of_this_node_changes_nothing() -> None:
    known = cluster(ALPHA, BETA, RANGES, service("Local"), behind("alpha"))
    (other,) = resources(behind("beta", name="other"))
    assert not known.put(other.key, other)
    assert not known.put(other.key, None)
    (mine,) = resources(behind("alpha"))
    assert not known.put(mine.key, mine)
    assert known.put(mine.key, None)
