"""IPIP between two namespaces; and what a node says whose kernel has none."""

import errno
import os
import socket
from collections.abc import Iterator
from contextlib import ExitStack, closing

import pytest
from msgspec.structs import replace

from tortie.dataplane.contract import Failure
from tortie.dataplane.routes import RouteDriver
from tortie.dataplane.tunnels import IpipDriver, IpipSettings
from tortie.engine.delta import Delta, Encapsulation, Host, Pool, Route, RouteKind
from tortie.linux import namespaces
from tortie.linux.links import Links
from tortie.linux.netlink.rtlink import Link, NewLink
from tortie.linux.netlink.sockets import NetlinkError, NetlinkSocket
from tortie.linux.routes import Routes
from tortie.net import Prefix, parse_network, parse_prefix

pytestmark = pytest.mark.root
POOL = parse_network("10.65.0.0/16")


class Node:
    """A namespace with its underlay address on eth0, and both drivers at work in it."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.name = f"tortie-ipip{number}-{os.getpid()}"
        self.path = namespaces.create_named(self.name)
        with namespaces.in_namespace(self.path):
            self.socket = NetlinkSocket()
        self.links, self.kernel = Links(self.socket), Routes(self.socket)
        self.driver, self.routes = IpipDriver(IpipSettings(f"n{number}")), RouteDriver()

    def address(self) -> None:
        self.links.add_address("eth0", parse_prefix(f"172.16.1.{self.number}/24"))
        self.links.add_address("lo", parse_prefix(f"10.65.{self.number}.2"))
        for name in ("eth0", "lo"):
            self.links.set_up(name)

    def host(self) -> Host:
        main = parse_prefix(f"172.16.1.{self.number}/24")
        return Host(f"n{self.number}", main, ipip=parse_prefix(f"10.65.{self.number}.1"))

    def route(self) -> Route:
        block = parse_network(f"10.65.{self.number}.0/26")
        gateway = parse_prefix(f"172.16.1.{self.number}").address
        return Route(block, RouteKind.IPIP, gateway, f"n{self.number}")

    def connect(self, other: "Node") -> tuple[Failure, ...]:
        delta = Delta(
            encapsulation=Encapsulation(ipip=True),
            pools={POOL: Pool(POOL, ipip_mode="Always")},
            hosts={one.host().name: one.host() for one in (self, other)},
            routes={other.route().destination: other.route()},
        )
        return self.apply(delta)

    def apply(self, delta: Delta) -> tuple[Failure, ...]:
        with namespaces.in_namespace(self.path):
            failed = self.driver.apply(delta).failed
            return failed + self.routes.apply(delta).failed

    def udp(self, stack: ExitStack) -> socket.socket:
        with namespaces.in_namespace(self.path):
            found = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
        found.settimeout(10)
        found.bind((f"10.65.{self.number}.2", 7000))
        return found

    def close(self) -> None:
        for thing in (self.driver, self.routes, self.socket):
            thing.close()
        namespaces.delete_named(self.name)


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


@pytest.fixture
def nodes(stack: ExitStack) -> tuple[Node, Node]:
    one, two = (stack.enter_context(closing(Node(number))) for number in (1, 2))
    with open(two.path) as far:
        one.links.create_veth("eth0", "eth0", far.fileno())
    one.address()
    two.address()
    return one, two


def links(node: Node) -> list[Link]:
    """All, without what the kernel notices of them a moment later."""
    return [replace(one, carrier=False, running=False) for one in node.links.list()]


def addresses(node: Node) -> list[Prefix]:
    return [one.prefix for one in node.links.addresses("tunl0")]


@pytest.mark.vm("ipip")
def test_packets_cross_the_tunnel_and_are_in_ipip_on_the_wire(
    stack: ExitStack, nodes: tuple[Node, Node]
) -> None:
    one, two = nodes
    assert one.connect(two) == ()
    assert two.connect(one) == ()
    with namespaces.in_namespace(one.path):
        tap = stack.enter_context(socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3)))
    tap.bind(("eth0", 3))
    tap.settimeout(10)
    client, server = one.udp(stack), two.udp(stack)
    client.sendto(b"hello", (f"10.65.{two.number}.2", 7000))
    assert server.recvfrom(100)[0] == b"hello"
    while b"hello" not in (frame := tap.recv(2000)):
        pass
    assert frame[23] == 4  # outer protocol: IPIP
    assert frame[14 + 12 : 14 + 20] == bytes((172, 16, 1, 1, 172, 16, 1, 2))
    link = one.links.get("tunl0")
    assert (link.mtu, link.up) == (1480, True)
    assert addresses(one) == [parse_prefix("10.65.1.1")]
    [route] = one.kernel.list(4, table=254, protocol=80)
    assert (route.oif, route.onlink) == (link.index, True)


@pytest.mark.vm("ipip")
def test_a_new_agent_adopts_it_and_a_pool_without_ipip_ends_it(
    stack: ExitStack, nodes: tuple[Node, Node]
) -> None:
    one, two = nodes
    one.connect(two)
    again = stack.enter_context(closing(IpipDriver(IpipSettings("n1"))))
    again.fold(
        Delta(
            encapsulation=Encapsulation(ipip=True),
            pools={POOL: Pool(POOL, ipip_mode="Always")},
            hosts={"n1": one.host()},
        )
    )
    with namespaces.in_namespace(one.path):
        assert again.resync().failed == ()
        assert again.written == 0
        one.links.add_address("tunl0", parse_prefix("10.1.1.1"))
        assert again.resync().failed == ()
        assert addresses(one) == [parse_prefix("10.65.1.1")]
        assert again.apply(Delta(encapsulation=Encapsulation())).failed == ()
    assert addresses(one) == []
    assert not one.links.get("tunl0").up


@pytest.mark.vm("ipip")
def test_a_pool_that_was_deleted_while_there_was_no_agent_leaves_nothing(
    stack: ExitStack, nodes: tuple[Node, Node]
) -> None:
    one, two = nodes
    one.connect(two)
    again = stack.enter_context(closing(IpipDriver(IpipSettings("n1"))))
    again.fold(Delta(encapsulation=Encapsulation(), hosts={"n1": one.host()}))
    with namespaces.in_namespace(one.path):
        assert again.resync().failed == ()
    assert addresses(one) == []
    assert not one.links.get("tunl0").up


def test_a_kernel_without_ipip_says_so_and_what_to_do(nodes: tuple[Node, Node]) -> None:
    one, two = nodes
    try:
        one.links.create(NewLink("probe0", "ipip"))
    except NetlinkError as error:
        if error.errno != errno.EOPNOTSUPP:
            pytest.skip("this kernel has ipip")
    else:
        pytest.skip("this kernel has ipip")
    [failure] = one.connect(two)
    assert failure.subject == "tunl0"
    assert "modprobe ipip" in failure.message
    assert "vxlanMode" in failure.message
    assert one.apply(Delta(encapsulation=Encapsulation())) == ()


def test_where_no_pool_asks_for_it_nothing_is_touched(nodes: tuple[Node, Node]) -> None:
    one, _ = nodes
    before = links(one)
    assert one.apply(Delta(hosts={"n1": one.host()})) == ()
    assert links(one) == before
