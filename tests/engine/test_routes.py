"""How blocks, borrowed addresses and tunnel ends are reached."""

import pytest

from tortie.api import (
    AllocationAttribute,
    IPAMBlock,
    IPAMBlockSpec,
    IPPool,
    IPPoolSpec,
    Key,
    Node,
    NodeBgp,
    NodeSpec,
    ObjectMeta,
    Resource,
    WorkloadEndpoint,
    WorkloadEndpointSpec,
)
from tortie.api.calico.bgp_configuration import (
    BGPConfiguration,
    BGPConfigurationSpec,
    ServiceBlock,
)
from tortie.api.calico.node import NodeStatus, NodeWireguard
from tortie.api.calico.workload_endpoint import IPNat
from tortie.engine import Engine, NodeState
from tortie.engine.delta import (
    ALL_HOSTS,
    ALL_POOLS,
    MASQ_POOLS,
    Encapsulation,
    RouteKind,
    ServiceCidrs,
    Vtep,
    WireguardEnd,
)
from tortie.engine.nodes import vtep_mac
from tortie.kubernetes import interface_name
from tortie.net import format_address, parse_network

ADDRESSES = {"n1": "172.16.1.1/24", "n2": "172.16.1.2/24", "n3": "172.16.2.3/24"}


def node(name: str, tunnel: bool = True, mac: str = "") -> Node:
    return Node(
        metadata=ObjectMeta(name=name),
        spec=NodeSpec(
            bgp=NodeBgp(ipv4_address=ADDRESSES[name]),
            ipv4_vxlan_tunnel_addr=f"10.65.{name[1]}.0" if tunnel else "",
            vxlan_tunnel_mac_addr=mac,
        ),
    )


def pool(mode: str, cidr: str = "10.65.0.0/16", nat: bool = True, name: str = "pool") -> IPPool:
    spec = IPPoolSpec(cidr=cidr, vxlan_mode=mode, nat_outgoing=nat)
    return IPPool(metadata=ObjectMeta(name=name), spec=spec)


def block(owner: str | None, used_by: dict[int, str] | None = None, third: int = 0) -> IPAMBlock:
    """10.65.<third>.0/26, of which the nodes use these ordinals."""
    users = used_by or {}
    nodes = sorted(set(users.values()))
    return IPAMBlock(
        metadata=ObjectMeta(name=f"10-65-{third}-0-26"),
        spec=IPAMBlockSpec(
            cidr=f"10.65.{third}.0/26",
            affinity=owner and f"host:{owner}",
            strict_affinity=False,
            allocations=tuple(nodes.index(users[n]) if n in users else None for n in range(64)),
            unallocated=(),
            attributes=tuple(AllocationAttribute(secondary={"node": name}) for name in nodes),
        ),
    )


def state_of(*resources: Resource, on: str = "n1") -> NodeState:
    state = NodeState()
    state.fold(Engine(on).apply([(each.key, each) for each in resources]))
    return state


def routes(*resources: Resource, on: str = "n1") -> dict[str, tuple]:
    """destination → (kind, gateway, node), as text."""
    return {
        str(destination): (
            route.kind,
            None if route.gateway is None else format_address(4, route.gateway),
            route.node,
        )
        for destination, route in state_of(*resources, on=on).routes.items()
    }


NODES = [node("n1"), node("n2"), node("n3")]


@pytest.mark.parametrize(
    ("mode", "owner", "expected"),
    [
        ("Always", "n2", (RouteKind.VXLAN, "10.65.2.0", "n2")),
        ("Always", "n3", (RouteKind.VXLAN, "10.65.3.0", "n3")),
        ("CrossSubnet", "n2", (RouteKind.DIRECT, "172.16.1.2", "n2")),
        ("CrossSubnet", "n3", (RouteKind.VXLAN, "10.65.3.0", "n3")),
        ("Never", "n2", (RouteKind.PLAIN, "172.16.1.2", "n2")),
        ("", "n2", (RouteKind.PLAIN, "172.16.1.2", "n2")),
        ("Never", "n3", (RouteKind.ROUTED, "172.16.2.3", "n3")),
        ("Never", "gone", None),
        ("Always", "n1", (RouteKind.BLACKHOLE, None, "")),
        ("Never", "n1", (RouteKind.BLACKHOLE, None, "")),
        ("Always", "gone", None),
        ("Always", None, None),
    ],
)
def test_a_block_is_reached_as_its_pool_says(mode, owner, expected):
    found = routes(*NODES, pool(mode), block(owner))
    assert found == ({"10.65.0.0/26": expected} if expected else {})


def test_a_block_outside_every_pool_has_no_route():
    assert routes(*NODES, block("n2")) == {}


def test_the_smallest_pool_around_a_block_counts():
    small = pool("CrossSubnet", "10.65.0.0/24", name="small")
    found = routes(*NODES, pool("Always"), small, block("n2"), block("n2", third=1))
    assert found["10.65.0.0/26"][0] is RouteKind.DIRECT
    assert found["10.65.1.0/26"][0] is RouteKind.VXLAN


def test_a_borrowed_address_has_a_route_to_who_uses_it():
    found = routes(*NODES, pool("Always"), block("n2", {1: "n2", 2: "n3", 3: "n1"}))
    assert found == {
        "10.65.0.0/26": (RouteKind.VXLAN, "10.65.2.0", "n2"),
        "10.65.0.2/32": (RouteKind.VXLAN, "10.65.3.0", "n3"),
    }


def test_an_address_lent_out_of_our_own_block_has_a_route_beside_the_black_hole():
    found = routes(*NODES, pool("CrossSubnet"), block("n1", {1: "n1", 2: "n2"}))
    assert found == {
        "10.65.0.0/26": (RouteKind.BLACKHOLE, None, ""),
        "10.65.0.2/32": (RouteKind.DIRECT, "172.16.1.2", "n2"),
    }


def test_a_block_without_owner_is_reached_address_by_address():
    found = routes(*NODES, pool("Always"), block(None, {5: "n3"}))
    assert found == {"10.65.0.5/32": (RouteKind.VXLAN, "10.65.3.0", "n3")}


def test_without_a_tunnel_end_there_is_no_way_through_the_tunnel_and_the_node_is_known_still():
    """WireGuard needs no tunnel end: it must not forget its peer's block in the meantime."""
    found = routes(node("n1"), node("n3", tunnel=False), pool("CrossSubnet"), block("n3"))
    assert found == {"10.65.0.0/26": (RouteKind.ROUTED, "172.16.2.3", "n3")}


def test_routes_follow_nodes_and_pools():
    engine, state = Engine("n1"), NodeState()
    block_key = parse_network("10.65.0.0/26")
    for updates, kind in (
        ([(each.key, each) for each in (*NODES[1:], pool("CrossSubnet"), block("n2"))], "vxlan"),
        ([(NODES[0].key, NODES[0])], "direct"),
        ([(pool("Always").key, pool("Always"))], "vxlan"),
        ([(NODES[1].key, None)], None),
        ([(NODES[1].key, NODES[1])], "vxlan"),
        ([(pool("Always").key, None)], None),
    ):
        state.fold(engine.apply(updates))
        route = state.routes.get(block_key)
        assert (route and route.kind) == kind


def test_tunnel_ends_are_every_other_nodes_and_our_own_apart():
    state = state_of(*NODES[:2], node("n3", mac="66:00:00:00:00:01"))
    end = Vtep("n3", parse_network("10.65.3.0"), parse_network("172.16.2.3"), "66:00:00:00:00:01")
    assert state.vteps.keys() == {"n2", "n3"}
    assert state.vteps["n3"] == end
    assert state.local_vtep is not None
    assert state.local_vtep.node == "n1"
    assert state.local_vtep.mac == vtep_mac("n1")


def test_our_own_tunnel_end_is_told_when_it_changes_and_when_it_goes():
    engine = Engine("n1")
    assert engine.apply([(NODES[0].key, NODES[0])]).local_vtep is not None
    assert engine.apply([(NODES[1].key, NODES[1])]).local_vtep is None
    assert engine.apply([(NODES[0].key, None)]).local_vtep == (None,)


def test_a_made_up_mac_is_locally_administered_and_the_same_everywhere():
    first = int(vtep_mac("any").split(":")[0], 16)
    assert (first & 0b11) == 0b10
    assert vtep_mac("a") == vtep_mac("a") != vtep_mac("b")


def test_fixed_sets_hold_pools_and_hosts():
    state = state_of(*NODES, pool("Always"), pool("Never", "10.66.0.0/16", nat=False, name="b"))
    members = {name: {str(m) for m in state.sets[name].members} for name in state.sets}
    assert members[ALL_POOLS] == {"10.65.0.0/16", "10.66.0.0/16"}
    assert members[MASQ_POOLS] == {"10.65.0.0/16"}
    assert members[ALL_HOSTS] == {"172.16.1.1/32", "172.16.1.2/32", "172.16.2.3/32"}


def test_the_first_delta_has_the_fixed_sets_even_when_empty():
    assert Engine("n1").apply([]).sets.keys() == {MASQ_POOLS, ALL_POOLS, ALL_HOSTS}


def test_what_cannot_be_read_is_left_out_with_a_warning():
    engine = Engine("n1")
    bad = Node(metadata=ObjectMeta(name="n2"), spec=NodeSpec(bgp=NodeBgp(ipv4_address="x")))
    broken_pool = pool("Always", "10.65.0.0/99")
    delta = engine.apply([(bad.key, bad), (broken_pool.key, broken_pool), (NODES[0].key, NODES[0])])
    assert delta.sets[ALL_HOSTS].members == {parse_network("172.16.1.1")}
    assert [text.split(": ")[:2] for text in engine.warnings()] == [
        [str(Key("Node", "", "n2")), "spec.bgp.ipv4Address"],
        [str(Key("IPPool", "", "pool")), "spec.cidr"],
    ]
    assert engine.warnings() == []


def six(name: str, tunnel: str = "", ipip: str = "", key: str = "") -> Node:
    """A node of both families: n1 and n2 share subnets, n3 is apart."""
    number = name[1]
    subnet = 2 if name == "n3" else 1
    return Node(
        metadata=ObjectMeta(name=name),
        spec=NodeSpec(
            bgp=NodeBgp(
                ipv4_address=ADDRESSES[name],
                ipv6_address=f"fd00:{subnet}::{number}/64",
                ipv4_ipip_tunnel_addr=ipip,
            ),
            ipv6_vxlan_tunnel_addr=tunnel,
            wireguard=NodeWireguard(interface_ipv4_address="10.65.9.1"),
        ),
        status=NodeStatus(wireguard_public_key=key) if key else None,
    )


def pool_of(cidr: str = "10.65.0.0/16", name: str = "pool", **spec) -> IPPool:
    return IPPool(metadata=ObjectMeta(name=name), spec=IPPoolSpec(cidr=cidr, **spec))


@pytest.mark.parametrize(
    ("mode", "owner", "kind"),
    [
        ("Always", "n2", RouteKind.IPIP),
        ("Always", "n3", RouteKind.IPIP),
        ("CrossSubnet", "n2", RouteKind.DIRECT),
        ("CrossSubnet", "n3", RouteKind.IPIP),
    ],
)
def test_ipip_goes_to_the_other_nodes_own_address(mode, owner, kind):
    found = routes(*NODES, pool_of(ipip_mode=mode), block(owner))
    address = ADDRESSES[owner].split("/")[0]
    assert found == {"10.65.0.0/26": (kind, address, owner)}


def block_v6(owner: str) -> IPAMBlock:
    return IPAMBlock(
        metadata=ObjectMeta(name="fd00-65"),
        spec=IPAMBlockSpec(
            cidr="fd00:65::/122",
            affinity=f"host:{owner}",
            strict_affinity=False,
            allocations=(),
            unallocated=(),
            attributes=(),
        ),
    )


@pytest.mark.parametrize(
    ("mode", "owner", "kind", "gateway"),
    [
        ("Always", "n2", RouteKind.VXLAN, "fd00:65::2:0"),
        ("CrossSubnet", "n2", RouteKind.DIRECT, "fd00:1::2"),
        ("CrossSubnet", "n3", RouteKind.VXLAN, "fd00:65::3:0"),
        ("Never", "n3", RouteKind.ROUTED, "fd00:2::3"),
    ],
)
def test_ipv6_blocks_go_by_the_ipv6_tunnel_and_addresses(mode, owner, kind, gateway):
    nodes = [six(name, tunnel=f"fd00:65::{name[1]}:0") for name in ("n1", "n2", "n3")]
    state = state_of(*nodes, pool_of("fd00:65::/64", vxlan_mode=mode), block_v6(owner))
    (route,) = state.routes.values()
    assert (route.kind, route.gateway) == (kind, parse_network(gateway).address)


def test_ipv6_tunnel_ends_are_apart_from_those_of_ipv4():
    state = state_of(six("n1", "fd00:65::1"), six("n2", "fd00:65::2"), node("n3"))
    assert state.vteps_v6.keys() == {"n2"}
    assert state.vteps_v6["n2"].mac == vtep_mac("n2-v6") != vtep_mac("n2")
    assert state.local_vtep_v6 is not None
    assert state.local_vtep_v6.underlay == parse_network("fd00:1::1")
    assert state.vteps.keys() == {"n3"}


def test_hosts_tell_addresses_and_the_other_tunnels_of_every_node():
    key = "A" * 43 + "="
    state = state_of(six("n1", ipip="10.65.0.9", key=key), six("n2"))
    assert state.hosts.keys() == {"n1", "n2"}
    assert state.hosts["n1"].ipip == parse_network("10.65.0.9")
    assert state.hosts["n1"].wireguard == WireguardEnd(key, parse_network("10.65.9.1"))
    assert state.hosts["n2"].wireguard is None
    assert str(state.hosts["n2"].ipv6) == "fd00:1::2/64"


def test_a_wireguard_key_that_is_none_is_left_out_with_a_warning():
    engine, bad = Engine("n1"), six("n2", key="nonsense")
    assert engine.apply([(bad.key, bad)]).hosts["n2"].wireguard is None
    assert any("wireguardPublicKey" in text for text in engine.warnings())


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ({}, Encapsulation()),
        ({"vxlan_mode": "CrossSubnet"}, Encapsulation(vxlan=True)),
        ({"ipip_mode": "Always"}, Encapsulation(ipip=True)),
        ({"ipip_mode": "Always", "disabled": True}, Encapsulation(ipip=True)),
        ({"cidr": "fd00:65::/64", "vxlan_mode": "Always"}, Encapsulation(vxlan_v6=True)),
    ],
)
def test_pools_say_which_devices_a_node_needs(spec, expected):
    engine, asked = Engine("n1"), pool_of(**spec)
    told = engine.apply([(asked.key, asked)]).encapsulation
    assert told == (expected if any(expected) else None)
    assert engine.apply([(asked.key, None)]).encapsulation == (Encapsulation() if told else None)


def test_of_two_pools_with_the_same_addresses_the_order_decides_nothing():
    one, two = pool_of(vxlan_mode="Always"), pool_of(name="b", ipip_mode="Always")
    assert state_of(one, two).pools == state_of(two, one).pools
    assert state_of(one, two, *NODES, block("n2")).routes == (
        state_of(block("n2"), two, one, *NODES).routes
    )


def test_services_addresses_come_from_the_default_bgp_configuration():
    def bgp(name: str, *cidrs: str) -> BGPConfiguration:
        blocks = tuple(ServiceBlock(cidr=text) for text in cidrs)
        spec = BGPConfigurationSpec(service_cluster_ips=blocks, service_external_ips=blocks[:1])
        return BGPConfiguration(metadata=ObjectMeta(name=name), spec=spec)

    engine = Engine("n1")
    default = bgp("default", "fd00:96::/112", "10.96.0.0/12")
    other = bgp("node.n1", "10.0.0.0/8")
    told = engine.apply([(default.key, default), (other.key, other)]).service_cidrs
    assert told is not None
    assert [str(net) for net in told.cluster] == ["10.96.0.0/12", "fd00:96::/112"]
    assert [str(net) for net in told.external] == ["fd00:96::/112"]
    assert engine.apply([(default.key, None)]).service_cidrs == ServiceCidrs()


def test_a_floating_address_of_another_nodes_workload_is_reached_as_one_that_the_node_borrowed():
    """Where it is out of a pool; what is out of none is for the network around to route."""

    def wep(node: str, *floating: str) -> WorkloadEndpoint:
        nats = tuple(IPNat(internal_ip="10.65.9.1", external_ip=one) for one in floating)
        spec = WorkloadEndpointSpec(
            node=node, interface_name="cali1", ip_networks=("10.65.9.1/32",), ip_nats=nats
        )
        return WorkloadEndpoint(metadata=ObjectMeta(name="w", namespace="a"), spec=spec)

    engine, state = Engine("n1", floating=True), NodeState()

    def told(*resources: Resource) -> dict[str, str]:
        state.fold(engine.apply([(each.key, each) for each in resources]))
        return {str(route.destination): route.node for route in state.routes.values()}

    told(*NODES, pool("Always"))
    assert told(wep("n2", "10.65.200.1", "192.0.2.1")) == {"10.65.200.1/32": "n2"}
    assert told(wep("n3", "10.65.200.1")) == {"10.65.200.1/32": "n3"}
    assert told(wep("n3", "10.65.200.2", "x")) == {"10.65.200.2/32": "n3"}
    assert told(wep("n1", "10.65.200.2")) == {}  # our own is led to its interface
    assert told(wep("n2", "10.65.200.2")) == {"10.65.200.2/32": "n2"}
    engine.allow_floating(False)
    assert told() == {}
    engine.allow_floating(True)
    assert told() == {"10.65.200.2/32": "n2"}
    gone = wep("n2").key
    state.fold(engine.apply([(gone, None)]))
    assert state.routes == {}


def test_settings_force_tunnels_on_and_off_whatever_pools_ask_for() -> None:
    engine = Engine("n1")
    both = [(one.key, one) for one in (node("n1"), node("n2"), pool("Always"))]
    asked = engine.apply(both)
    assert asked.encapsulation == Encapsulation(vxlan=True)
    assert asked.local_vtep is not None
    engine.force_tunnels(ipip=True, vxlan=False)
    forced = engine.apply([])
    assert forced.encapsulation == Encapsulation(ipip=True)
    assert forced.local_vtep == (None,)
    engine.force_tunnels(ipip=None, vxlan=None)
    back = engine.apply([])
    assert (back.encapsulation, back.local_vtep) == (asked.encapsulation, asked.local_vtep)


def test_nodes_outside_the_cluster_count_as_nodes_while_they_are_listed() -> None:
    outside = parse_network("192.0.2.0/24")
    engine = Engine("n1", external_nodes=[outside])
    state = NodeState()
    state.fold(engine.apply([(node("n1").key, node("n1"))]))
    assert outside in state.sets[ALL_HOSTS].members
    engine.accept_tunnels_of([])
    state.fold(engine.apply([]))
    assert outside not in state.sets[ALL_HOSTS].members
    assert state.sets[ALL_HOSTS].members


@pytest.mark.parametrize(("prefix", "expected"), [("cali", "cali"), ("tap", "tap")])
def test_a_pod_s_interface_is_named_by_this_node_s_prefix(prefix: str, expected: str) -> None:
    spec = WorkloadEndpointSpec(
        node="n1",
        orchestrator="k8s",
        pod="web",
        endpoint="eth0",
        interface_name=interface_name("shop", "web"),
        ip_networks=("10.65.0.9/32",),
    )
    pod = WorkloadEndpoint(metadata=ObjectMeta(name="n1-k8s-web-eth0", namespace="shop"), spec=spec)
    delta = Engine("n1", interface_prefix=prefix).apply([(pod.key, pod)])
    (found,) = delta.endpoints.values()
    assert found.interface == interface_name("shop", "web", expected)


def workload_on(name: str, on: str, *networks: str) -> WorkloadEndpoint:
    return WorkloadEndpoint(
        metadata=ObjectMeta(name=name, namespace="shop"),
        spec=WorkloadEndpointSpec(node=on, interface_name="cali1", ip_networks=networks),
    )


def test_where_another_ipam_gives_addresses_each_workload_is_routed_to() -> None:
    """RouteSource WorkloadIPs: no block counts, and the pool's mode does."""
    engine, state = Engine("n1", routes_by_workload=True), NodeState()
    near = workload_on("near", "n2", "10.65.2.5/32", "fd00:65::5/128")
    far, own = workload_on("far", "n3", "10.65.3.5/32"), workload_on("own", "n1", "10.65.1.5/32")
    given = [*map(node, ADDRESSES), pool("CrossSubnet"), block("n2"), near, far, own]
    state.fold(engine.apply([(each.key, each) for each in given]))
    kinds = {str(to): (route.kind, route.node) for to, route in state.routes.items()}
    assert kinds == {
        "10.65.2.5/32": (RouteKind.DIRECT, "n2"),
        "10.65.3.5/32": (RouteKind.VXLAN, "n3"),
    }
    moved = workload_on("far", "n2", "10.65.3.5/32")
    state.fold(engine.apply([(moved.key, moved), (near.key, None)]))
    kinds = {str(to): (route.kind, route.node) for to, route in state.routes.items()}
    assert kinds == {"10.65.3.5/32": (RouteKind.DIRECT, "n2")}
