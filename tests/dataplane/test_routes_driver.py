"""Routes in a namespace of their own: written, adopted, repaired, and foreign ones left alone."""

import os
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing

import pytest

from tortie.dataplane.routes import RouteDriver, RouteSettings
from tortie.engine.delta import Delta, Encapsulation, Route, RouteKind, Vtep
from tortie.linux import namespaces, sysctl
from tortie.linux.libnftables import Nftables
from tortie.linux.links import Links
from tortie.linux.netlink.ctnetlink import get_flows, parse_flow
from tortie.linux.netlink.rtnetconf import ALL_INTERFACES, Conf, ConfChange
from tortie.linux.netlink.rtnetlink import RTN_BLACKHOLE, SCOPE_LINK, KernelRoute, Vxlan
from tortie.linux.netlink.rtrule import Rule
from tortie.linux.netlink.sockets import NETLINK_NETFILTER, NetlinkSocket
from tortie.linux.routes import Routes
from tortie.linux.rules import Rules
from tortie.net import Prefix, parse_network, parse_prefix
from tortie.policy.program import Endpoint, EndpointId

pytestmark = pytest.mark.root
NO_DAD = 0x02


class Node:
    """A namespace with an underlay interface, and a driver at work in it."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.path = namespaces.path_of(name)
        with namespaces.in_namespace(self.path):
            self.socket = NetlinkSocket()
        self.links, self.routes = Links(self.socket), Routes(self.socket)
        self.links.create_veth("eth0", "far0")
        self.links.set_up("eth0")
        self.links.set_up("far0")
        self.links.add_address("eth0", parse_prefix("172.16.1.2/24"))
        self.driver = RouteDriver()

    def workload(self, name: str) -> None:
        self.links.create_veth(name, f"p{name}"[:15])
        self.links.set_up(f"p{name}"[:15])
        self.links.set_up(name)
        self.wait_running(name)

    def wait_running(self, name: str) -> None:
        deadline = time.monotonic() + 60
        while not self.links.get(name).running:
            assert time.monotonic() < deadline, f"{name} does not run"
            time.sleep(0.001)

    def kernel(self, protocol: int) -> dict[str, KernelRoute]:
        return {
            str(route.destination): route
            for version in (4, 6)
            for route in self.routes.list(version, table=254, protocol=protocol)
        }

    def every_route(self) -> list[str]:
        """Also those that share a destination."""
        return sorted(map(str, self.routes.list(4, table=254)))

    def shell(self, *words: str) -> None:
        subprocess.run(["nsenter", f"--net={self.path}", *words], check=True)


@pytest.fixture
def node() -> Iterator[Node]:
    name = f"tortie-routes-{os.getpid()}"
    namespaces.create_named(name)
    try:
        node = Node(name)
        with namespaces.in_namespace(node.path):
            yield node
        node.driver.close()
        node.socket.close()
    finally:
        namespaces.delete_named(name)


def endpoint(name: str, *addresses: str, interface: str = "") -> Endpoint:
    found = EndpointId("WorkloadEndpoint", "default", name)
    return Endpoint(found, interface or f"cali{name}", tuple(map(parse_prefix, addresses)))


def with_endpoints(*endpoints: Endpoint) -> Delta:
    return Delta(endpoints={found.id: found for found in endpoints})


def with_routes(*routes: Route) -> Delta:
    return Delta(routes={route.destination: route for route in routes})


def address(text: str) -> int:
    return parse_prefix(text).address


BLOCK = Route(parse_network("10.65.0.0/26"), RouteKind.BLACKHOLE)
BLOCK6 = Route(parse_network("fd00:65::/122"), RouteKind.BLACKHOLE)
DIRECT = Route(parse_network("10.65.1.0/26"), RouteKind.DIRECT, address("172.16.1.3"), "b")
VXLAN = Route(parse_network("10.65.2.0/26"), RouteKind.VXLAN, address("10.65.2.1"), "c")


def test_a_workload_gets_its_route_and_its_interface_is_set_up(node: Node) -> None:
    node.workload("calia")
    a = endpoint("a", "10.65.0.2", "fd00:65::2")
    assert node.driver.apply(with_endpoints(a)).failed == ()
    index = node.links.get("calia").index
    found = node.kernel(protocol=3)
    assert found["10.65.0.2/32"].oif == index
    assert found["10.65.0.2/32"].scope == SCOPE_LINK
    assert found["10.65.0.2/32"].priority == 1024
    assert found["fd00:65::2/128"].oif == index
    assert sysctl.read(sysctl.interface(4, "calia", "proxy_arp")) == "1"
    assert sysctl.read(sysctl.interface(4, "calia", "rp_filter")) == "1"
    assert sysctl.read(sysctl.interface(4, "calia", "route_localnet")) == "1"
    assert sysctl.read(sysctl.neighbours(4, "calia", "proxy_delay")) == "0"
    assert sysctl.read(sysctl.interface(6, "calia", "accept_ra")) == "0"
    assert sysctl.read("net.ipv4.ip_forward") == "1"
    assert sysctl.read("net.ipv6.conf.all.forwarding") == "1"
    assert node.driver.ready(a.id)


def test_other_allowed_sources_loosen_the_reverse_path_filter(node: Node) -> None:
    node.workload("calia")
    a = endpoint("a", "10.65.0.2")
    loose = Endpoint(a.id, a.interface, a.addresses, allowed_sources=(parse_prefix("10.9.0.0/24"),))
    node.driver.apply(with_endpoints(a))
    node.driver.apply(with_endpoints(loose))
    assert sysctl.read(sysctl.interface(4, "calia", "rp_filter")) == "2"


def test_blocks_of_every_kind_get_their_routes(node: Node) -> None:
    node.links.create_vxlan("vxlan.calico", Vxlan(4096, 4789, parse_prefix("172.16.1.2")))
    node.links.set_up("vxlan.calico")
    assert node.driver.apply(with_routes(BLOCK, BLOCK6, DIRECT, VXLAN)).failed == ()
    found = node.kernel(protocol=80)
    assert found["10.65.0.0/26"].type == RTN_BLACKHOLE
    assert found["fd00:65::/122"].type == RTN_BLACKHOLE
    assert found["10.65.1.0/26"].gateway == DIRECT.gateway
    vxlan = found["10.65.2.0/26"]
    assert (vxlan.oif, vxlan.gateway, vxlan.onlink) == (
        node.links.get("vxlan.calico").index,
        VXLAN.gateway,
        True,
    )
    gone = frozenset({BLOCK.destination, BLOCK6.destination, DIRECT.destination, VXLAN.destination})
    assert node.driver.apply(Delta(routes_removed=gone)).failed == ()
    assert node.kernel(protocol=80) == {}


@pytest.mark.parametrize(
    ("old", "new"),
    [(BLOCK, DIRECT), (DIRECT, BLOCK), (VXLAN, DIRECT), (DIRECT, VXLAN)],
)
def test_a_route_changes_its_kind_in_place(node: Node, old: Route, new: Route) -> None:
    node.links.create_vxlan("vxlan.calico", Vxlan(4096, 4789, parse_prefix("172.16.1.2")))
    node.links.set_up("vxlan.calico")
    moved = Route(old.destination, new.kind, new.gateway, new.node)
    node.driver.apply(with_routes(old))
    assert node.driver.apply(with_routes(moved)).failed == ()
    found = node.kernel(protocol=80)
    assert len(found) == 1
    assert found[str(old.destination)].gateway == new.gateway


@pytest.mark.parametrize("foreign", ["", "fd00:66::/48"])
def test_an_ipv6_block_goes_into_the_tunnel_whose_end_is_in_it(node: Node, foreign: str) -> None:
    """The kernel refuses a gateway to which another route leads, such as the one before."""
    node.links.create_vxlan("vxlan-v6.calico", Vxlan(4096, 4789, parse_prefix("fd99::2")))
    node.links.set_up("vxlan-v6.calico")
    node.links.add_address("eth0", parse_prefix("fd99::2/64"), flags=NO_DAD)
    if foreign:
        node.shell("ip", "-6", "route", "add", foreign, "via", "fd99::9", "dev", "eth0")
    block, end = parse_network("fd00:66::/122"), address("fd00:66::1")
    direct = Route(block, RouteKind.DIRECT, address("fd99::3"), "b")
    tunnelled = Route(block, RouteKind.VXLAN, end, "b")
    for route in (tunnelled, direct, tunnelled):
        assert node.driver.apply(with_routes(route)).failed == ()
        [found] = node.routes.list(6, table=254, protocol=80)
        assert (found.destination, found.gateway) == (block, route.gateway)
        assert found.onlink is (route is tunnelled)
    again = RouteDriver()
    again.fold(with_routes(tunnelled))
    assert again.resync().failed == ()
    assert again.written == 0
    again.close()


def test_an_ipv6_block_that_moves_here_and_away_keeps_one_route(node: Node) -> None:
    node.links.add_address("eth0", parse_prefix("fd99::2/64"), flags=2)
    away = Route(BLOCK6.destination, RouteKind.DIRECT, address("fd99::3"), "b")
    for route in (BLOCK6, away, BLOCK6):
        assert node.driver.apply(with_routes(route)).failed == ()
        found = node.routes.list(6, table=254, protocol=80)
        assert [one.gateway for one in found] == [route.gateway]
    assert node.driver.resync().failed == ()
    assert len(node.routes.list(6, table=254, protocol=80)) == 1


def test_an_interface_that_appears_late_gets_its_routes_then(node: Node) -> None:
    a = endpoint("a", "10.65.0.2")
    assert node.driver.apply(with_endpoints(a)).failed == ()
    assert not node.driver.ready(a.id)
    node.workload("calia")
    assert node.driver.link_changed("calia", "up").failed == ()
    assert node.driver.ready(a.id)
    assert "10.65.0.2/32" in node.kernel(protocol=3)


def test_a_workload_is_ready_only_once_its_interface_carries_packets(node: Node) -> None:
    node.links.create_veth("calia", "peer")
    node.links.set_up("calia")
    a = endpoint("a", "10.65.0.2")
    node.driver.apply(with_endpoints(a))
    assert "10.65.0.2/32" in node.kernel(protocol=3)
    assert not node.driver.ready(a.id)
    node.links.set_up("peer")
    node.wait_running("calia")
    node.driver.link_changed("calia", "up")
    assert node.driver.ready(a.id)


def test_the_tunnel_device_that_appears_late_gets_its_routes_then(node: Node) -> None:
    assert node.driver.apply(with_routes(VXLAN)).failed == ()
    assert node.kernel(protocol=80) == {}
    node.links.create_vxlan("vxlan.calico", Vxlan(4096, 4789, parse_prefix("172.16.1.2")))
    node.links.set_up("vxlan.calico")
    assert node.driver.link_changed("vxlan.calico", "up").failed == ()
    assert "10.65.2.0/26" in node.kernel(protocol=80)


def test_an_interface_made_anew_gets_its_routes_again(node: Node) -> None:
    node.workload("calia")
    a = endpoint("a", "10.65.0.2")
    node.driver.apply(with_endpoints(a))
    node.driver.apply(with_routes(BLOCK))  # what a lookup finds then is a black hole
    node.links.delete("calia")
    assert node.driver.link_changed("calia", "gone").failed == ()
    assert not node.driver.ready(a.id)
    node.workload("calia")
    assert node.driver.link_changed("calia", "up").failed == ()
    assert node.driver.ready(a.id)
    assert node.kernel(protocol=3)["10.65.0.2/32"].oif == node.links.get("calia").index


def test_an_interface_made_anew_with_the_same_index_is_set_up_again(node: Node) -> None:
    made = ["ip", "link", "add", "calia", "index", "77", "type", "veth", "peer", "name", "peer"]
    a = endpoint("a", "10.65.0.2")
    for _ in range(2):
        node.links.delete("calia")
        node.shell(*made)
        node.links.set_up("calia")
        node.driver.apply(with_endpoints(a))
        node.driver.link_changed("calia", "gone")  # of the one before
        assert sysctl.read(sysctl.interface(4, "calia", "proxy_arp")) == "1"
        assert "10.65.0.2/32" in node.kernel(protocol=3)


LOCAL = Vtep("me", parse_prefix("10.65.0.1"), parse_prefix("172.16.1.2"), "66:00:00:00:00:01")
VXLAN6 = Route(parse_network("fd00:65:2::/122"), RouteKind.VXLAN, address("fd00:65:2::1"), "c")
IPIP = Route(parse_network("10.65.3.0/26"), RouteKind.IPIP, address("172.16.1.4"), "d")


@pytest.mark.parametrize(
    ("device", "route", "moves"),
    [
        ("vxlan.calico", VXLAN, Delta(local_vtep=(LOCAL,))),
        ("vxlan-v6.calico", VXLAN6, Delta(local_vtep_v6=(LOCAL,))),
        ("tunl0", IPIP, Delta(encapsulation=Encapsulation(ipip=True))),  # any kind of link will do
    ],
)
def test_a_tunnel_device_is_used_at_once_without_news_of_it(
    node: Node, device: str, route: Route, moves: Delta
) -> None:
    node.driver.resync()
    for number, delta in enumerate((with_routes(route), moves)):
        node.links.delete(device)
        node.links.create_vxlan(device, Vxlan(4096 + number, 4789, parse_prefix("172.16.1.2")))
        node.links.set_up(device)
        assert node.driver.apply(delta).failed == ()
        found = node.kernel(protocol=80)[str(route.destination)]
        assert found.oif == node.links.get(device).index


def test_an_interface_that_somebody_set_down_is_named_until_it_is_up(node: Node) -> None:
    node.workload("calia")
    a = endpoint("a", "10.65.0.2")
    node.driver.apply(with_endpoints(a))
    node.links.set_down("calia")
    [failure] = node.driver.link_changed("calia", "down").failed
    assert (failure.subject, failure.message) == (
        "default/a",
        "interface calia is down: ip link set calia up",
    )
    assert node.driver.resync().failed == (failure,)
    node.links.set_up("calia")
    node.wait_running("calia")
    assert node.driver.resync().failed == ()  # also where that was not heard of
    assert "10.65.0.2/32" in node.kernel(protocol=3)
    assert node.driver.ready(a.id)


def test_a_workload_whose_interface_can_not_be_set_up_is_named_and_not_ready(
    node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    node.workload("calia")
    a = endpoint("a", "10.65.0.2")
    write, refused = sysctl.write, sysctl.interface(4, "calia", "rp_filter")

    def refusing(name: str, value: str) -> bool:
        if name == refused:
            raise PermissionError(1, "not permitted", name)
        return write(name, value)

    monkeypatch.setattr(sysctl, "write", refusing)
    [failure] = node.driver.apply(with_endpoints(a)).failed
    assert (failure.subject, "rp_filter" in failure.message) == ("default/a", True)
    assert not node.driver.ready(a.id)
    monkeypatch.undo()
    assert node.driver.resync().failed == ()
    assert node.driver.ready(a.id)


@pytest.mark.parametrize("event", ["down", "up"])
def test_routes_that_the_kernel_dropped_in_a_flap_come_back(node: Node, event: str) -> None:
    node.workload("calia")
    a = endpoint("a", "10.65.0.2")
    node.driver.apply(with_endpoints(a))
    node.links.set_down("calia")
    node.links.set_up("calia")
    node.wait_running("calia")
    assert node.kernel(protocol=3) == {}
    assert node.driver.link_changed("calia", event).failed == ()
    assert node.driver.ready(a.id)
    assert "10.65.0.2/32" in node.kernel(protocol=3)


def test_a_flap_of_the_underlay_brings_the_direct_routes_back(node: Node) -> None:
    node.driver.apply(with_routes(DIRECT, BLOCK))
    node.links.set_down("eth0")
    assert node.driver.link_changed("eth0", "down").failed[0].subject == "10.65.1.0/26"
    node.links.set_up("eth0")
    assert node.driver.link_changed("eth0", "up").failed == ()
    assert set(node.kernel(protocol=80)) == {"10.65.0.0/26", "10.65.1.0/26"}


@pytest.mark.parametrize("version", [4, 6])
def test_news_of_a_link_cost_nothing_where_another_table_is_asked_first(
    node: Node, version: int
) -> None:
    """WireGuard's has the same blocks: who looks a route up finds those."""
    node.links.add_address("eth0", parse_prefix("fd99::2/64"), flags=NO_DAD)
    block = parse_network("10.65.1.0/26" if version == 4 else "fd00:65:1::/122")
    gateway = address("172.16.1.3" if version == 4 else "fd99::3")
    assert node.driver.apply(with_routes(Route(block, RouteKind.DIRECT, gateway, "b"))).failed == ()
    node.workload("wg0")
    Rules(node.socket).add(Rule(version, 99, 1, mask=0x100000, protocol=80))
    index = node.links.get("wg0").index
    scope = SCOPE_LINK if version == 4 else 0
    node.routes.add(KernelRoute(block, 1, 80, scope, table=1, priority=1024, oif=index))
    before = node.driver.written
    for event in ("up", "address"):
        assert node.driver.link_changed("eth0", event).failed == ()
    assert node.driver.written == before
    assert node.kernel(protocol=80)[str(block)].gateway == gateway


@pytest.mark.parametrize("text", ["10.65.0.2", "fd00:65::2"])
def test_forwarding_is_put_right_after_any_number_of_looks(node: Node, text: str) -> None:
    """Also where nothing else is to be written: packets from the uplink go no further without."""
    version = parse_prefix(text).version
    name = "net.ipv4.ip_forward" if version == 4 else "net.ipv6.conf.all.forwarding"
    node.workload("calia")
    node.driver.apply(with_endpoints(endpoint("a", text)))
    for _ in range(3):
        assert node.driver.resync().failed == ()
        assert sysctl.read(name) == "1"
        told = ConfChange(version, ALL_INTERFACES, {Conf.FORWARDING: 0})
        assert node.driver.sysctls.differs(told)
        sysctl.write(name, "0")
    assert node.driver.sysctls.resync().failed == ()  # as somebody was heard to change it
    assert sysctl.read(name) == "1"


def test_a_new_agent_adopts_what_is_there(node: Node) -> None:
    node.workload("calia")
    node.links.create_vxlan("vxlan.calico", Vxlan(4096, 4789, parse_prefix("172.16.1.2")))
    node.links.set_up("vxlan.calico")
    a = endpoint("a", "10.65.0.2", "fd00:65::2")
    everything = Delta(
        endpoints={a.id: a}, routes={r.destination: r for r in (BLOCK, BLOCK6, DIRECT, VXLAN)}
    )
    node.driver.apply(everything)
    before = node.kernel(protocol=3) | node.kernel(protocol=80)
    with WriteCounter() as counter:
        second = RouteDriver(open_socket=counter.open)
        second.fold(everything)
        assert second.resync().failed == ()
        assert counter.written == []
        assert second.ready(a.id)
        second.close()
    assert node.kernel(protocol=3) | node.kernel(protocol=80) == before


class WriteCounter:
    """Opens sockets that remember what was written in batches."""

    def __init__(self) -> None:
        self.written: list[str] = []

    def __enter__(self) -> "WriteCounter":
        return self

    def __exit__(self, *_: object) -> None:
        self.written.clear()

    def open(self) -> NetlinkSocket:
        written = self.written

        class Counting(NetlinkSocket):
            def batch(self, requests):  # type: ignore[no-untyped-def]
                written.extend(str(request.about) for request in requests)
                return super().batch(requests)

        return Counting()


def test_a_new_agent_removes_what_is_not_desired_any_more(node: Node) -> None:
    node.workload("calia")
    node.driver.apply(with_endpoints(endpoint("a", "10.65.0.2")))
    node.driver.apply(with_routes(BLOCK, DIRECT))
    second = RouteDriver()
    second.fold(with_routes(BLOCK))
    assert second.resync().failed == ()
    second.close()
    assert node.kernel(protocol=3) == {}
    assert set(node.kernel(protocol=80)) == {"10.65.0.0/26"}


def test_drift_is_repaired(node: Node) -> None:
    node.workload("calia")
    a = endpoint("a", "10.65.0.2")
    node.driver.apply(with_endpoints(a))
    node.driver.apply(with_routes(BLOCK, DIRECT))
    before = node.kernel(protocol=3) | node.kernel(protocol=80)
    node.shell("ip", "route", "del", "10.65.0.2")
    node.shell("ip", "route", "del", "blackhole", "10.65.0.0/26")
    replaced = ["10.65.1.0/26", "via", "172.16.1.77", "proto", "80", "metric", "1024"]
    node.shell("ip", "route", "replace", *replaced)
    node.shell("ip", "route", "add", "10.77.0.0/16", "via", "172.16.1.9", "proto", "80")
    sysctl.write(sysctl.interface(4, "calia", "proxy_arp"), "0")
    assert node.driver.resync().failed == ()
    assert node.kernel(protocol=3) | node.kernel(protocol=80) == before
    assert sysctl.read(sysctl.interface(4, "calia", "proxy_arp")) == "1"


def test_a_resync_of_what_it_knows_finds_every_kind_of_drift(node: Node) -> None:
    """The second look compares what was read before: nothing may hide behind that."""
    node.workload("calia")
    node.driver.apply(with_endpoints(endpoint("a", "10.65.0.2")))
    node.driver.apply(with_routes(BLOCK, DIRECT))
    assert node.driver.resync().failed == ()
    before, written = node.kernel(protocol=3) | node.kernel(protocol=80), node.driver.written
    assert node.driver.resync().failed == ()
    assert node.driver.written == written
    changes = [
        ("route", "del", "10.65.0.2"),
        ("route", "replace", "10.65.1.0/26", "via", "172.16.1.9", "proto", "80", "metric", "1024"),
        ("route", "add", "10.77.0.0/16", "via", "172.16.1.9", "proto", "80"),
        ("route", "add", "10.78.0.0/16", "via", "172.16.1.9", "proto", "80", "metric", "1024"),
        ("route", "add", "10.65.1.0/26", "via", "172.16.1.3", "proto", "80", "metric", "7"),
    ]
    for change in changes:
        node.shell("ip", *change)
        assert node.driver.resync().failed == ()
        assert node.kernel(protocol=3) | node.kernel(protocol=80) == before, change


@pytest.mark.parametrize("how", ["prepend", "append"])
@pytest.mark.parametrize(
    "second",
    ["10.65.1.0/26 via 172.16.1.9 proto 80", "10.65.0.2/32 dev calib scope link proto boot"],
)
def test_a_second_route_in_the_place_of_ours_goes(node: Node, how: str, second: str) -> None:
    """Before it, it has the packets; behind it, it would have them once ours is deleted."""
    node.workload("calia")
    node.workload("calib")
    node.driver.apply(with_endpoints(endpoint("a", "10.65.0.2")))
    node.driver.apply(with_routes(BLOCK, DIRECT))
    before = node.every_route()
    node.shell("ip", "route", how, *second.split(), "metric", "1024")
    assert len(node.every_route()) == len(before) + 1
    assert node.driver.resync().failed == ()
    assert node.every_route() == before


@pytest.mark.parametrize("route", [BLOCK, BLOCK6, DIRECT])
def test_one_of_ours_that_was_not_known_is_adopted_where_it_is_wanted(
    node: Node, route: Route
) -> None:
    """An earlier process may still have been at work while this one looked."""
    node.driver.resync()
    other = RouteDriver()
    assert other.apply(with_routes(route)).failed == ()
    other.close()
    before = node.kernel(protocol=80)
    assert node.driver.apply(with_routes(route)).failed == ()
    assert node.kernel(protocol=80) == before
    assert node.driver.apply(Delta(routes_removed=frozenset({route.destination}))).failed == ()
    assert node.kernel(protocol=80) == {}


def test_foreign_routes_are_left_alone(node: Node) -> None:
    node.workload("calia")
    node.driver.apply(with_endpoints(endpoint("a", "10.65.0.2")))
    # Protocol 3 ("boot") is what `ip route add` gives, and also the device protocol's default.
    node.shell("ip", "route", "add", "default", "via", "172.16.1.1")
    node.shell("ip", "route", "add", "10.88.0.0/16", "via", "172.16.1.9", "proto", "static")
    node.shell("ip", "route", "add", "10.65.0.9/32", "dev", "calia", "proto", "static")
    node.driver.resync()
    node.driver.apply(Delta(endpoints_removed=frozenset({endpoint("a").id})))
    assert set(node.kernel(protocol=3)) == {"0.0.0.0/0"}
    assert set(node.kernel(protocol=4)) == {"10.88.0.0/16"}  # nobody else routes to workloads


def test_others_routes_to_workloads_stay_without_removal(node: Node) -> None:
    node.workload("calia")
    driver = RouteDriver(RouteSettings(remove_external=False))
    driver.apply(with_endpoints(endpoint("a", "10.65.0.2")))
    node.shell("ip", "route", "add", "10.65.0.9/32", "dev", "calia", "proto", "static")
    assert driver.resync().failed == ()
    assert set(node.kernel(protocol=4)) == {"10.65.0.9/32"}
    driver.close()


@pytest.mark.parametrize("address", ["10.65.0.2", "fd00:65::2"])
def test_routes_are_taken_over_where_their_protocol_changed(node: Node, address: str) -> None:
    """Those of before are anybody's then, and without removal they were left in the place."""
    node.workload("calia")
    a = with_endpoints(endpoint("a", address))
    before = RouteDriver(RouteSettings(remove_external=False))
    assert before.apply(a).failed == ()
    driver = RouteDriver(RouteSettings(remove_external=False, device_protocol=99))
    driver.fold(a)
    assert driver.resync().failed == ()
    (found,) = node.kernel(protocol=99)
    assert parse_prefix(found).network == parse_prefix(address)
    assert found not in node.kernel(protocol=3)
    for each in (before, driver):
        each.close()


def test_another_way_to_a_workloads_address_is_never_overwritten(node: Node) -> None:
    node.workload("calia")
    way = ("10.65.0.2/32", "via", "172.16.1.9", "proto", "static", "metric", "1024")
    node.shell("ip", "route", "add", *way)
    failed = node.driver.apply(with_endpoints(endpoint("a", "10.65.0.2"))).failed
    assert "is not ours has its place" in failed[0].message
    assert set(node.kernel(protocol=4)) == {"10.65.0.2/32"}


def test_the_node_calls_workloads_from_the_address_that_is_set(node: Node) -> None:
    node.workload("calia")
    node.links.add_address("eth0", parse_prefix("172.16.1.77/24"))
    node.links.add_address("eth0", parse_prefix("fd00:1::77/64"), flags=NO_DAD)
    sources = {"source4": parse_prefix("172.16.1.77"), "source6": parse_prefix("fd00:1::77")}
    driver = RouteDriver(RouteSettings(**sources))
    a = endpoint("a", "10.65.0.2", "fd00:65::2")
    assert driver.apply(with_endpoints(a)).failed == ()
    found = node.kernel(protocol=3)
    assert found["10.65.0.2/32"].source == sources["source4"].address
    assert found["fd00:65::2/128"].source == sources["source6"].address
    again = RouteDriver(RouteSettings(**sources))
    again.fold(with_endpoints(a))
    assert again.resync().failed == ()
    assert again.written == 0
    for each in (driver, again):
        each.close()


def test_where_another_one_makes_all_routes_none_is_touched(node: Node) -> None:
    node.workload("calia")
    node.shell("ip", "route", "add", "10.9.0.0/16", "via", "172.16.1.9", "proto", "80")
    driver = RouteDriver(RouteSettings(disabled=True))
    a = endpoint("a", "10.65.0.2")
    assert driver.apply(with_endpoints(a)).failed == ()
    driver.apply(with_routes(BLOCK))
    assert set(node.kernel(protocol=80)) == {"10.9.0.0/16"}
    assert node.kernel(protocol=3) == {}
    assert driver.ready(a.id)
    driver.close()


def test_a_foreign_route_in_the_way_is_named_and_the_others_are_written(node: Node) -> None:
    foreign = ["10.65.1.0/26", "via", "172.16.1.9", "proto", "static", "metric", "1024"]
    node.shell("ip", "route", "add", *foreign)
    applied = node.driver.apply(with_routes(BLOCK, DIRECT))
    [failure] = applied.failed
    assert failure.subject == "10.65.1.0/26"
    assert "not ours" in failure.message
    assert "via 172.16.1.9" in failure.message
    assert set(node.kernel(protocol=80)) == {"10.65.0.0/26"}
    assert node.driver.resync().failed == applied.failed
    node.shell("ip", "route", "del", *foreign)
    assert node.driver.resync().failed == ()
    assert "10.65.1.0/26" in node.kernel(protocol=80)


def test_one_bad_route_is_isolated_and_tried_again(node: Node) -> None:
    nowhere = Route(parse_network("10.66.0.0/26"), RouteKind.DIRECT, address("192.0.2.1"), "z")
    [failure] = node.driver.apply(with_routes(nowhere, BLOCK, DIRECT)).failed
    assert failure.subject == "10.66.0.0/26"
    assert "192.0.2.1" in failure.message
    assert set(node.kernel(protocol=80)) == {"10.65.0.0/26", "10.65.1.0/26"}
    node.links.add_address("eth0", parse_prefix("192.0.2.2/24"))
    assert node.driver.apply(Delta()).failed == ()
    assert "10.66.0.0/26" in node.kernel(protocol=80)


def test_an_address_claimed_twice_goes_to_one_and_the_other_is_named(node: Node) -> None:
    node.workload("calia")
    node.workload("calib")
    a, b = endpoint("a", "10.65.0.2"), endpoint("b", "10.65.0.2")
    [failure] = node.driver.apply(with_endpoints(b, a)).failed
    assert failure.subject == "default/b"
    assert "default/a" in failure.message
    assert node.driver.resync().failed == (failure,)
    assert node.driver.ready(a.id)
    assert not node.driver.ready(b.id)
    assert node.driver.apply(Delta(endpoints_removed=frozenset({a.id}))).failed == ()
    assert node.driver.ready(b.id)
    assert node.kernel(protocol=3)["10.65.0.2/32"].oif == node.links.get("calib").index


def test_an_impossible_interface_name_harms_nobody_else(node: Node) -> None:
    node.workload("calia")
    bad = endpoint("b", "10.65.0.3", interface="cali/../much-too-long-for-linux")
    a = endpoint("a", "10.65.0.2")
    node.driver.apply(with_endpoints(bad, a))
    assert node.driver.ready(a.id)
    assert not node.driver.ready(bad.id)


def test_a_removed_workload_loses_its_route_while_its_block_still_drops(node: Node) -> None:
    node.workload("calia")
    a = endpoint("a", "10.65.0.2")
    node.driver.apply(with_endpoints(a))
    node.driver.apply(with_routes(BLOCK))
    node.driver.apply(Delta(endpoints_removed=frozenset({a.id})))
    assert node.kernel(protocol=3) == {}
    assert node.routes.lookup(Prefix.single(4, address("10.65.0.2"))) is None


def test_a_socket_that_breaks_makes_the_next_call_read_everything_back(node: Node) -> None:
    node.driver.apply(with_routes(BLOCK))
    node.driver._socket.close()  # type: ignore[union-attr]
    with pytest.raises(OSError, match=r"could not be sent"):
        node.driver.apply(with_routes(DIRECT))
    assert node.driver.apply(Delta()).failed == ()
    assert set(node.kernel(protocol=80)) == {"10.65.0.0/26", "10.65.1.0/26"}


def tracked() -> list[tuple[int, int]]:
    with NetlinkSocket(NETLINK_NETFILTER) as sock:
        found = [parse_flow(message) for message in sock.dump(get_flows(4))]
    return [(flow.original.source, flow.original.destination) for flow in found]


def speak_to(host: str) -> None:
    """This node sends to an address, and tracks that."""
    with Nftables() as nft, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        nft.run("add table ip t; add chain ip t o { type filter hook output priority 0; }")
        nft.run("add rule ip t o ct state new accept")
        sender.sendto(b"x", (host, 53))
    assert [end for _, end in tracked()] == [address(f"{host}/32")]


def test_who_gets_an_address_gets_no_connections_of_who_had_it(node: Node) -> None:
    node.workload("calia")
    node.workload("calib")
    node.driver.apply(with_endpoints(endpoint("a", "10.65.0.2")))
    speak_to("10.65.0.2")
    gone = frozenset({endpoint("a").id})
    node.driver.apply(Delta(endpoints_removed=gone))
    node.driver.apply(with_endpoints(endpoint("b", "10.65.0.2")))
    assert tracked() == []


def test_an_address_that_changes_hands_in_one_delta_loses_its_connections(node: Node) -> None:
    node.workload("calia")
    node.workload("calib")
    node.driver.apply(with_endpoints(endpoint("a", "10.65.0.2")))
    speak_to("10.65.0.2")
    b = endpoint("b", "10.65.0.2")
    node.driver.apply(Delta(endpoints={b.id: b}, endpoints_removed=frozenset({endpoint("a").id})))
    assert tracked() == []


def test_a_new_agent_leaves_the_connections_of_what_it_adopts(node: Node) -> None:
    node.workload("calia")
    delta = with_endpoints(endpoint("a", "10.65.0.2"))
    node.driver.apply(delta)
    speak_to("10.65.0.2")
    with closing(RouteDriver()) as successor:
        successor.apply(delta)
    assert [end for _, end in tracked()] == [address("10.65.0.2/32")]


def test_a_workload_that_leaves_takes_its_connections_along(node: Node) -> None:
    node.workload("calia")
    node.driver.apply(with_endpoints(endpoint("a", "10.65.0.2")))
    speak_to("10.65.0.2")
    node.driver.apply(Delta(endpoints_removed=frozenset({endpoint("a").id})))
    assert tracked() == []


def test_an_address_that_goes_from_a_workload_takes_its_connections_along(node: Node) -> None:
    node.workload("calia")
    node.driver.apply(with_endpoints(endpoint("a", "10.65.0.2", "10.65.0.3")))
    speak_to("10.65.0.3")
    node.driver.apply(with_endpoints(endpoint("a", "10.65.0.2")))
    assert tracked() == []


def test_a_link_that_goes_down_and_up_keeps_its_connections(node: Node) -> None:
    node.workload("calia")
    node.driver.apply(with_endpoints(endpoint("a", "10.65.0.2")))
    speak_to("10.65.0.2")
    for event, act in (("down", node.links.set_down), ("up", node.links.set_up)):
        act("calia")
        node.driver.link_changed("calia", event)
    node.driver.resync()
    assert "10.65.0.2/32" in node.kernel(protocol=3)
    assert [end for _, end in tracked()] == [address("10.65.0.2/32")]


def test_a_container_that_comes_anew_under_its_name_gets_no_connections(node: Node) -> None:
    node.workload("calia")
    a = endpoint("a", "10.65.0.2")
    node.driver.apply(with_endpoints(a))
    speak_to("10.65.0.2")
    node.links.delete("calia")
    node.workload("calia")
    node.driver.link_changed("calia", "up")
    assert tracked() == []
