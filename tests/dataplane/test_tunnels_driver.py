"""The tunnel between two namespaces: real packets, adoption, repair."""

import os
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import suppress

import pytest
from msgspec.structs import replace

from tortie.dataplane.routes import RouteDriver
from tortie.dataplane.tunnels import VXLAN_V6, VxlanDriver, VxlanSettings
from tortie.engine.delta import Delta, Route, RouteKind, Vtep
from tortie.linux import namespaces, sysctl
from tortie.linux.ethtool import offloads_checksums
from tortie.linux.links import Links
from tortie.linux.neighbours import Neighbours
from tortie.linux.netlink.rtlink import Link
from tortie.linux.netlink.rtneighbour import NUD_NOARP
from tortie.linux.netlink.rtnetlink import Forwarding, Neighbour, Vxlan
from tortie.linux.netlink.sockets import NetlinkSocket
from tortie.net import parse_network, parse_prefix

pytestmark = pytest.mark.root
DEVICE = "vxlan.calico"
NO_DAD = 0x02


def vtep(number: int, **changes: str) -> Vtep:
    values = {
        "node": f"n{number}",
        "address": f"10.65.{number}.1",
        "underlay": f"172.16.1.{number}",
        "mac": f"66:00:00:00:00:{number:02x}",
    } | changes
    address, underlay = parse_prefix(values["address"]), parse_prefix(values["underlay"])
    return Vtep(values["node"], address, underlay, values["mac"])


class Node:
    """A namespace with its underlay address on eth0, and both drivers at work in it."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.name = f"tortie-tun{number}-{os.getpid()}"
        self.path = namespaces.create_named(self.name)
        with namespaces.in_namespace(self.path):
            self.socket = NetlinkSocket()
            for name in ("all", "default"):  # else IPv6 waits a second or two for a quarrel
                sysctl.write(sysctl.interface(6, name, "accept_dad"), "0")
        self.links, self.neighbours = Links(self.socket), Neighbours(self.socket)
        self.tunnels, self.routes = VxlanDriver(), RouteDriver()

    def address(self) -> None:
        self.links.add_address("eth0", parse_prefix(f"172.16.1.{self.number}/24"))
        self.links.set_up("eth0")
        self.links.set_up("lo")

    def wait_running(self) -> None:
        deadline = time.monotonic() + 60
        while not self.links.get("eth0").running:
            assert time.monotonic() < deadline, "eth0 does not run"
            time.sleep(0.005)

    def device(self) -> Link:
        """The tunnel's, without what the kernel notices of it a moment later."""
        return replace(self.links.get(DEVICE), carrier=False, running=False)

    def entries(self) -> tuple[dict[str, str], dict[str, str]]:
        """What the device holds: MAC → underlay address, tunnel address → MAC."""
        index = self.links.get(DEVICE).index
        forwarding = {e.mac: str(e.remote) for e in self.neighbours.forwarding(index)}
        neighbours = {str(n.address): n.mac for n in self.neighbours.list(index, 4)}
        return forwarding, neighbours

    def close(self) -> None:
        for thing in (self.tunnels, self.routes, self.socket):
            thing.close()
        namespaces.delete_named(self.name)


@pytest.fixture
def nodes() -> Iterator[tuple[Node, Node]]:
    one = Node(1)
    try:
        two = Node(2)
        try:
            with open(two.path) as far:
                one.links.create_veth("eth0", "eth0", far.fileno(), mtu=1450)
            one.address()
            two.address()
            for node in (one, two):
                node.wait_running()
            yield one, two
        finally:
            two.close()
    finally:
        one.close()


@pytest.fixture
def node(nodes: tuple[Node, Node]) -> Iterator[Node]:
    with namespaces.in_namespace(nodes[0].path):
        yield nodes[0]


def local(end: Vtep | None) -> Delta:
    return Delta(local_vtep=(end,))


def remotes(*ends: Vtep) -> Delta:
    return Delta(vteps={end.node: end for end in ends})


def connect(here: Node, there: Node) -> None:
    """Give `here` its tunnel end, the other's, and a route to the other's block."""
    block = parse_network(f"10.65.{there.number}.0/26")
    gateway = vtep(there.number).address.address
    delta = Delta(
        local_vtep=(vtep(here.number),),
        vteps={f"n{there.number}": vtep(there.number)},
        routes={block: Route(block, RouteKind.VXLAN, gateway, f"n{there.number}")},
    )
    with namespaces.in_namespace(here.path):
        assert here.tunnels.apply(delta).failed == ()
        assert here.routes.apply(delta).failed == ()


def bound(node: Node, address: str) -> socket.socket:
    """A UDP socket of that node on an address of its block."""
    node.links.add_address("lo", parse_prefix(address))
    with namespaces.in_namespace(node.path):
        found = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    found.settimeout(5)
    found.bind((address, 7000))
    return found


def ask(client: socket.socket, server: socket.socket, text: bytes) -> tuple[bytes, str]:
    """Send there and back; returns what came back and the source that the server saw."""
    heard, source = b"", ("", 0)
    for sock in (client, server):
        sock.settimeout(1)
    for _ in range(10):  # while neighbours are asked for a packet may be lost
        with suppress(TimeoutError):
            client.sendto(text, server.getsockname())
            while heard != text:
                heard, source = server.recvfrom(65536)
            server.sendto(heard.upper(), source)
            return client.recv(65536), str(source[0])
    raise TimeoutError("nothing came through")


def test_packets_cross_the_tunnel_both_ways(nodes: tuple[Node, Node]) -> None:
    one, two = nodes
    connect(one, two)
    connect(two, one)
    with bound(one, "10.65.1.2") as client, bound(two, "10.65.2.2") as server:
        assert ask(client, server, b"hello") == (b"HELLO", "10.65.1.2")
        assert ask(client, server, b"x" * 1372)[0] == b"X" * 1372  # the largest that is whole


def test_a_new_agent_adopts_the_tunnel_and_no_packet_is_lost(nodes: tuple[Node, Node]) -> None:
    one, two = nodes
    connect(one, two)
    connect(two, one)
    before = one.device(), one.entries()
    with bound(one, "10.65.1.2") as client, bound(two, "10.65.2.2") as server:
        one.tunnels.close()
        one.routes.close()
        one.tunnels, one.routes = VxlanDriver(), RouteDriver()
        for number in range(20):
            client.sendto(b"%d" % number, server.getsockname())
        connect(one, two)
        for number in range(20, 40):
            client.sendto(b"%d" % number, server.getsockname())
        assert [int(server.recv(64)) for _ in range(40)] == list(range(40))
    assert (one.device(), one.entries()) == before


def test_the_device_is_made_as_it_should_be(node: Node) -> None:
    assert node.tunnels.apply(local(vtep(1))).failed == ()
    device = node.links.get(DEVICE)
    parent = node.links.get("eth0").index
    assert device.vxlan == Vxlan(4096, 4789, parse_prefix("172.16.1.1"), parent, learning=False)
    assert (device.mac, device.mtu, device.up) == ("66:00:00:00:00:01", 1400, True)
    held = [str(a.prefix) for a in node.links.addresses(DEVICE) if a.prefix.version == 4]
    assert held == ["10.65.1.1/32"]


def test_each_other_node_has_its_two_entries(node: Node) -> None:
    node.tunnels.apply(local(vtep(1)))
    assert node.tunnels.apply(remotes(vtep(2), vtep(3))).failed == ()
    assert node.entries() == (
        {"66:00:00:00:00:02": "172.16.1.2/32", "66:00:00:00:00:03": "172.16.1.3/32"},
        {"10.65.2.1/32": "66:00:00:00:00:02", "10.65.3.1/32": "66:00:00:00:00:03"},
    )
    before = node.tunnels.written
    node.tunnels.apply(Delta(vteps_removed=frozenset({"n3"})))
    assert node.tunnels.written == before + 2
    assert node.entries() == (
        {"66:00:00:00:00:02": "172.16.1.2/32"},
        {"10.65.2.1/32": "66:00:00:00:00:02"},
    )


def test_a_node_that_moves_has_its_entries_changed(node: Node) -> None:
    node.tunnels.apply(local(vtep(1)))
    node.tunnels.apply(remotes(vtep(2)))
    moved = vtep(2, underlay="172.16.1.22", address="10.65.22.1")
    assert node.tunnels.apply(remotes(moved)).failed == ()
    assert node.entries() == (
        {"66:00:00:00:00:02": "172.16.1.22/32"},
        {"10.65.22.1/32": "66:00:00:00:00:02"},
    )
    renewed = vtep(2, mac="66:00:00:00:00:22")
    assert node.tunnels.apply(remotes(renewed)).failed == ()
    assert node.entries() == (
        {"66:00:00:00:00:22": "172.16.1.2/32"},
        {"10.65.2.1/32": "66:00:00:00:00:22"},
    )


def test_what_a_device_cannot_change_makes_a_new_one_with_all_entries(node: Node) -> None:
    node.tunnels.apply(local(vtep(1)))
    node.tunnels.apply(remotes(vtep(2)))
    before = node.links.get(DEVICE)
    other = VxlanDriver(VxlanSettings(vni=77, port=8472))
    other.fold(local(vtep(1)))
    other.fold(remotes(vtep(2)))
    assert other.resync().failed == ()
    other.close()
    device = node.links.get(DEVICE)
    assert device.vxlan is not None
    assert (device.vxlan.vni, device.vxlan.port) == (77, 8472)
    assert device.index != before.index
    assert node.entries()[0] == {"66:00:00:00:00:02": "172.16.1.2/32"}


def test_drift_is_repaired(node: Node) -> None:
    node.tunnels.apply(local(vtep(1)))
    node.tunnels.apply(remotes(vtep(2), vtep(3)))
    before = node.device(), node.entries()
    index = before[0].index
    node.neighbours.delete(Neighbour(index, parse_prefix("10.65.2.1"), ""))
    node.neighbours.set(Neighbour(index, parse_prefix("10.65.3.1"), "66:66:66:66:66:66"))
    node.neighbours.set(Neighbour(index, parse_prefix("10.65.9.1"), "66:00:00:00:00:09"))
    node.neighbours.set(Forwarding(index, "66:00:00:00:00:02", parse_prefix("172.16.1.99")))
    node.neighbours.set(Forwarding(index, "66:00:00:00:00:09", parse_prefix("172.16.1.9")))
    node.links.set_mtu(DEVICE, 1300)
    node.links.set_mac(DEVICE, "66:00:00:00:00:0f")
    node.links.add_address(DEVICE, parse_prefix("10.1.1.1/24"))
    assert node.tunnels.resync().failed == ()
    assert (node.device(), node.entries()) == before
    addresses = node.links.addresses(DEVICE)
    assert [str(a.prefix) for a in addresses if a.prefix.version == 4] == ["10.65.1.1/32"]


def test_frames_to_all_lead_nowhere_whoever_has_them_copied(node: Node) -> None:
    node.tunnels.apply(local(vtep(1)))
    node.tunnels.apply(remotes(vtep(2)))
    index = node.links.get(DEVICE).index
    before = node.neighbours.forwarding(index)
    for remote in ("172.16.1.97", "172.16.1.98", "172.16.1.99"):
        words = ["bridge", "fdb", "append", "00:00:00:00:00:00", "dev", DEVICE, "dst", remote]
        subprocess.run(["nsenter", f"--net={node.path}", *words], check=True)
    assert len(node.neighbours.forwarding(index)) == 4
    written = node.tunnels.written
    assert node.tunnels.resync().failed == ()
    assert node.neighbours.forwarding(index) == before
    assert node.tunnels.written == written + 3


def test_an_entry_that_somebody_took_away_already_is_gone(node: Node) -> None:
    node.tunnels.apply(local(vtep(1)))
    node.tunnels.apply(remotes(vtep(2)))
    index = node.links.get(DEVICE).index
    node.neighbours.delete(Forwarding(index, vtep(2).mac, parse_prefix("172.16.1.2")))
    node.neighbours.delete(Neighbour(index, parse_prefix("10.65.2.1"), ""))
    assert node.tunnels.apply(Delta(vteps_removed=frozenset({"n2"}))).failed == ()
    assert node.tunnels.apply(remotes(vtep(2))).failed == ()
    assert node.entries()[0] == {vtep(2).mac: "172.16.1.2/32"}


@pytest.mark.parametrize("event", ["down", "up"])
def test_entries_lost_in_a_flap_come_back(node: Node, event: str) -> None:
    node.tunnels.apply(local(vtep(1)))
    node.tunnels.apply(remotes(vtep(2)))
    before = node.entries()
    node.links.set_down(DEVICE)
    if event == "up":
        assert node.tunnels.link_changed(DEVICE, "down").failed == ()
    else:
        node.links.set_up(DEVICE)
    assert node.tunnels.link_changed(DEVICE, event).failed == ()
    assert node.links.get(DEVICE).up
    assert node.entries() == before


def test_a_deleted_device_is_made_again(node: Node) -> None:
    node.tunnels.apply(local(vtep(1)))
    node.tunnels.apply(remotes(vtep(2)))
    before = node.entries()
    node.links.delete(DEVICE)
    assert node.tunnels.link_changed(DEVICE, "gone").failed == ()
    assert node.entries() == before


def test_the_mtu_follows_the_underlay(node: Node) -> None:
    node.tunnels.apply(local(vtep(1)))
    node.links.set_mtu("eth0", 1300)
    assert node.tunnels.link_changed("eth0", "up").failed == ()
    assert node.links.get(DEVICE).mtu == 1250


def test_no_tunnel_end_means_no_device(node: Node) -> None:
    node.tunnels.apply(local(vtep(1)))
    assert node.tunnels.apply(local(None)).failed == ()
    assert node.links.find(DEVICE) is None


def test_an_address_that_no_interface_has_is_named_and_tried_again(node: Node) -> None:
    [failure] = node.tunnels.apply(local(vtep(9))).failed
    assert failure.subject == DEVICE
    assert "172.16.1.9" in failure.message
    assert node.links.find(DEVICE) is None
    assert node.tunnels.link_changed("eth0", "up").failed == (failure,)
    node.links.add_address("eth0", parse_prefix("172.16.1.9/24"))
    assert node.tunnels.link_changed("eth0", "up").failed == ()
    assert node.links.get(DEVICE).up


def test_entries_that_the_kernel_made_by_itself_are_left_alone(node: Node) -> None:
    node.tunnels.apply(local(vtep(1)))
    index = node.links.get(DEVICE).index
    multicast = Neighbour(index, parse_prefix("224.0.0.9"), "01:00:5e:00:00:09", state=NUD_NOARP)
    node.neighbours.set(multicast)
    node.tunnels.resync()
    assert multicast in node.neighbours.list(index, 4)


def test_a_foreign_interface_of_that_name_is_left_alone(node: Node) -> None:
    node.links.create_bridge(DEVICE)
    [failure] = node.tunnels.apply(local(vtep(1))).failed
    assert "no VXLAN device (bridge)" in failure.message
    assert node.tunnels.apply(local(None)).failed == ()
    assert node.links.get(DEVICE).kind == "bridge"


def test_one_bad_node_is_isolated_and_named(node: Node) -> None:
    node.tunnels.apply(local(vtep(1)))
    failed = node.tunnels.apply(remotes(vtep(2), vtep(3, mac="rubbish"))).failed
    assert {failure.subject for failure in failed} == {"node n3"}
    assert any("rubbish" in failure.message for failure in failed)
    assert node.entries()[0] == {"66:00:00:00:00:02": "172.16.1.2/32"}
    assert node.tunnels.apply(remotes(vtep(3))).failed == ()
    assert len(node.entries()[0]) == 2


def test_two_nodes_with_one_mac_are_named(node: Node) -> None:
    node.tunnels.apply(local(vtep(1)))
    [failure] = node.tunnels.apply(remotes(vtep(2), vtep(3, mac="66:00:00:00:00:02"))).failed
    assert failure.subject == "node n3"
    assert "node n2's already" in failure.message
    assert node.entries()[0] == {"66:00:00:00:00:02": "172.16.1.2/32"}
    assert node.tunnels.apply(Delta(vteps_removed=frozenset({"n2"}))).failed == ()
    assert node.entries()[0] == {"66:00:00:00:00:02": "172.16.1.3/32"}


def test_a_node_that_claims_our_own_end_is_named(node: Node) -> None:
    node.tunnels.apply(local(vtep(1)))
    [failure] = node.tunnels.apply(remotes(vtep(2, mac=vtep(1).mac))).failed
    assert failure.subject == "node n2"
    assert "node n1's already" in failure.message
    assert node.tunnels.apply(remotes(vtep(2))).failed == ()


def test_who_has_an_address_first_keeps_it_also_over_a_new_agent(node: Node) -> None:
    """A Node that claims another's, with a name before it, gets none of its traffic."""
    ends = [local(vtep(1)), remotes(vtep(2))]
    for delta in ends:
        assert node.tunnels.apply(delta).failed == ()
    before = node.entries()
    claimed = vtep(2, node="a", mac="66:00:00:00:00:0a", underlay="172.16.1.3")
    [failure] = node.tunnels.apply(remotes(claimed)).failed
    assert failure.subject == "node a"
    assert "node n2's already" in failure.message
    assert before[1].items() <= node.entries()[1].items()
    again = VxlanDriver()
    for delta in (*ends, remotes(claimed)):
        again.fold(delta)
    with namespaces.in_namespace(node.path):
        assert again.resync().failed == (failure,)
        assert again.written == 0
        assert again.apply(Delta(vteps_removed=frozenset({"n2"}))).failed == ()
    assert node.entries()[1] != before[1]
    again.close()


def test_other_vxlan_devices_are_left_alone(node: Node) -> None:
    node.links.create_vxlan("vxlan9", Vxlan(9, 4790, parse_prefix("172.16.1.1")))
    node.tunnels.apply(local(vtep(1)))
    node.tunnels.apply(local(None))
    shown = subprocess.run(
        ["nsenter", f"--net={node.path}", "ip", "-br", "link", "show", "type", "vxlan"],
        check=True,
        capture_output=True,
        text=True,
    )
    assert shown.stdout.split()[0] == "vxlan9"


def vtep6(number: int) -> Vtep:
    return Vtep(
        f"n{number}",
        parse_prefix(f"fd00:65:{number}::1"),
        parse_prefix(f"fd00:1::{number}"),
        f"66:00:00:00:06:{number:02x}",
    )


@pytest.fixture
def nodes6(nodes: tuple[Node, Node]) -> tuple[Node, Node]:
    """The same, with IPv6 underneath and the driver for IPv6."""
    for node in nodes:
        node.links.add_address("eth0", parse_prefix(f"fd00:1::{node.number}/64"), flags=NO_DAD)
        node.tunnels.close()
        node.tunnels = VxlanDriver(VXLAN_V6)
    return nodes


def connect6(here: Node, there: Node) -> None:
    block = parse_network(f"fd00:65:{there.number}::/122")
    end = vtep6(there.number)
    delta = Delta(
        local_vtep_v6=(vtep6(here.number),),
        vteps_v6={end.node: end},
        routes={block: Route(block, RouteKind.VXLAN, end.address.address, end.node)},
    )
    with namespaces.in_namespace(here.path):
        assert here.tunnels.apply(delta).failed == ()
        assert here.routes.apply(delta).failed == ()


def bound6(node: Node) -> socket.socket:
    address = f"fd00:65:{node.number}::2"
    node.links.add_address("lo", parse_prefix(address), flags=NO_DAD)
    with namespaces.in_namespace(node.path):
        found = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
    found.settimeout(5)
    found.bind((address, 7000))
    return found


def test_ipv6_packets_cross_a_tunnel_of_their_own(nodes6: tuple[Node, Node]) -> None:
    one, two = nodes6
    connect6(one, two)
    connect6(two, one)
    with bound6(one) as client, bound6(two) as server:
        assert ask(client, server, b"hello") == (b"HELLO", "fd00:65:1::2")
        assert ask(client, server, b"x" * 1332)[0] == b"X" * 1332  # the largest that is whole
    device = one.links.get("vxlan-v6.calico")
    parent = one.links.get("eth0").index
    assert device.vxlan == Vxlan(4096, 4789, parse_prefix("fd00:1::1"), parent, learning=False)
    assert (device.mac, device.mtu) == ("66:00:00:00:06:01", 1380)
    [end] = [a for a in one.links.addresses(device.name) if a.prefix == vtep6(1).address]
    assert end.flags & NO_DAD  # else it is of no use for a second
    assert one.tunnels.resync().failed == ()
    assert one.routes.resync().failed == ()


def test_tunnels_of_both_ip_versions_stand_side_by_side(nodes6: tuple[Node, Node]) -> None:
    one, two = nodes6
    ipv4 = VxlanDriver()
    delta = Delta(local_vtep=(vtep(1),), local_vtep_v6=(vtep6(1),), vteps={"n2": vtep(2)})
    with namespaces.in_namespace(one.path):
        for driver in (ipv4, one.tunnels):
            assert driver.apply(delta).failed == ()
        assert (ipv4.name, one.tunnels.name) == ("vxlan", "vxlan-v6")
        one.tunnels.apply(Delta(local_vtep_v6=(None,)))
    assert one.links.find("vxlan-v6.calico") is None
    assert one.entries()[0] == {"66:00:00:00:00:02": "172.16.1.2/32"}
    ipv4.close()
    del two


def test_an_underlay_too_small_for_ipv6_is_named(nodes6: tuple[Node, Node]) -> None:
    one, _ = nodes6
    one.links.set_mtu("eth0", 1300)
    with namespaces.in_namespace(one.path):
        [failure] = one.tunnels.apply(Delta(local_vtep_v6=(vtep6(1),))).failed
    assert "IPv6 needs 1280" in failure.message


@pytest.mark.usefixtures("node")
def test_checksums_are_made_in_the_kernel_where_offloading_is_broken() -> None:
    driver = VxlanDriver(VxlanSettings(checksum_offload=False))
    assert driver.apply(local(vtep(1))).failed == ()
    assert not offloads_checksums(DEVICE)
    driver.close()
