"""Workloads of one node reach each other over the routes and settings of their interfaces."""

import os
import socket
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import pytest

from tortie.dataplane.routes import RouteDriver
from tortie.engine.delta import Delta, Route, RouteKind
from tortie.linux import namespaces, sysctl
from tortie.linux.links import Links
from tortie.linux.netlink.rtnetlink import SCOPE_LINK, KernelRoute
from tortie.linux.netlink.sockets import NetlinkSocket
from tortie.linux.routes import Routes
from tortie.net import Prefix, parse_network, parse_prefix
from tortie.policy.program import Endpoint, EndpointId

pytestmark = pytest.mark.root
GATEWAY = parse_prefix("169.254.1.1")
NO_DAD = 0x02


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def namespace(stack: ExitStack, label: str) -> Path:
    name = f"tortie-pkt-{label}-{os.getpid()}"
    path = namespaces.create_named(name)
    stack.callback(namespaces.delete_named, name)
    return path


def node_with_default_route(stack: ExitStack) -> Path:
    """A node's namespace. Without a default route the kernel answers no ARP for 169.254.1.1."""
    path = namespace(stack, "node")
    with namespaces.in_namespace(path), NetlinkSocket() as sock:
        links = Links(sock)
        links.create_veth("eth0", "far0")
        links.set_up("eth0")
        links.set_up("far0")
        links.add_address("eth0", parse_prefix("172.16.1.2/24"))
        gateway = parse_prefix("172.16.1.1").address
        Routes(sock).add(KernelRoute(parse_network("0.0.0.0/0"), protocol=4, gateway=gateway))
    return path


def workload(stack: ExitStack, node: Path, name: str, *addresses: str) -> Endpoint:
    """A workload as the CNI plugin leaves it: its address, and 169.254.1.1 for everything."""
    path = namespace(stack, name)
    prefixes = tuple(parse_prefix(address) for address in addresses)
    with open(path) as inside, namespaces.in_namespace(node), NetlinkSocket() as sock:
        links = Links(sock)
        links.create_veth(f"cali{name}", "eth0", inside.fileno(), mac="ee:ee:ee:ee:ee:ee")
        # Else the kernel tries the gateway's link-local address for a second before it uses it.
        sysctl.write(sysctl.interface(6, f"cali{name}", "accept_dad"), "0")
        links.set_up(f"cali{name}")
    with namespaces.in_namespace(path), NetlinkSocket() as sock:
        links = Links(sock)
        for prefix in prefixes:
            links.add_address("eth0", prefix, flags=NO_DAD)
        links.set_up("eth0")
        routes, index = Routes(sock), links.get("eth0").index
        routes.add(KernelRoute(GATEWAY, scope=SCOPE_LINK, protocol=4, oif=index))
        everything = parse_network("0.0.0.0/0")
        routes.add(KernelRoute(everything, protocol=4, oif=index, gateway=GATEWAY.address))
    found = EndpointId("WorkloadEndpoint", "default", name)
    return Endpoint(found, f"cali{name}", prefixes)


def udp(stack: ExitStack, name: str, address: str) -> socket.socket:
    """A UDP socket inside a workload."""
    with namespaces.in_namespace(namespaces.path_of(f"tortie-pkt-{name}-{os.getpid()}")):
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        found = stack.enter_context(socket.socket(family, socket.SOCK_DGRAM))
    found.settimeout(30)
    found.bind((address, 7000))
    return found


def test_workloads_reach_each_other_by_the_gateway_that_nobody_has(stack: ExitStack) -> None:
    node = node_with_default_route(stack)
    a = workload(stack, node, "a", "10.65.0.2")
    b = workload(stack, node, "b", "10.65.0.3")
    driver = stack.enter_context(closing(RouteDriver()))
    with namespaces.in_namespace(node):
        assert driver.apply(Delta(endpoints={a.id: a, b.id: b})).failed == ()
    client, server = udp(stack, "a", "10.65.0.2"), udp(stack, "b", "10.65.0.3")
    client.sendto(b"hello", ("10.65.0.3", 7000))
    assert server.recvfrom(100) == (b"hello", ("10.65.0.2", 7000))


def test_a_workload_without_a_route_gets_nothing(stack: ExitStack) -> None:
    node = node_with_default_route(stack)
    a = workload(stack, node, "a", "10.65.0.2")
    b = workload(stack, node, "b", "10.65.0.3")
    block = Route(parse_network("10.65.0.0/26"), RouteKind.BLACKHOLE)
    c = workload(stack, node, "c", "10.65.0.4")
    driver = stack.enter_context(closing(RouteDriver()))
    with namespaces.in_namespace(node):
        all_three = {a.id: a, b.id: b, c.id: c}
        driver.apply(Delta(endpoints=all_three, routes={block.destination: block}))
        driver.apply(Delta(endpoints_removed=frozenset({b.id})))
    client, server = udp(stack, "a", "10.65.0.2"), udp(stack, "b", "10.65.0.3")
    last = udp(stack, "c", "10.65.0.4")
    client.sendto(b"lost", ("10.65.0.3", 7000))
    # An interface's packets stay in order: what comes after that one tells that it is through.
    client.sendto(b"after", ("10.65.0.4", 7000))
    assert last.recv(100) == b"after"
    with namespaces.in_namespace(node):
        driver.apply(Delta(endpoints={b.id: b}))
    client.sendto(b"first", ("10.65.0.3", 7000))
    assert server.recv(100) == b"first"


def test_a_workload_cannot_speak_with_an_address_of_another(stack: ExitStack) -> None:
    node = node_with_default_route(stack)
    a = workload(stack, node, "a", "10.65.0.2", "10.65.0.9")
    b = workload(stack, node, "b", "10.65.0.3")
    honest = Endpoint(a.id, a.interface, (Prefix.single(4, a.addresses[0].address),))
    driver = stack.enter_context(closing(RouteDriver()))
    with namespaces.in_namespace(node):
        driver.apply(Delta(endpoints={a.id: honest, b.id: b}))
        assert sysctl.read(sysctl.interface(4, "calia", "rp_filter")) == "1"
    server = udp(stack, "b", "10.65.0.3")
    udp(stack, "a", "10.65.0.9").sendto(b"spoofed", ("10.65.0.3", 7000))
    udp(stack, "a", "10.65.0.2").sendto(b"honest", ("10.65.0.3", 7000))
    assert server.recvfrom(100) == (b"honest", ("10.65.0.2", 7000))


def test_ipv6_workloads_reach_each_other(stack: ExitStack) -> None:
    node = node_with_default_route(stack)
    a = workload(stack, node, "a", "fd00:65::2")
    b = workload(stack, node, "b", "fd00:65::3")
    driver = stack.enter_context(closing(RouteDriver()))
    with namespaces.in_namespace(node):
        assert driver.apply(Delta(endpoints={a.id: a, b.id: b})).failed == ()
        with NetlinkSocket() as sock:
            local = {
                name: next(f.prefix for f in Links(sock).addresses(name) if f.prefix.version == 6)
                for name in ("calia", "calib")
            }
    for name in ("a", "b"):
        path = namespaces.path_of(f"tortie-pkt-{name}-{os.getpid()}")
        with namespaces.in_namespace(path), NetlinkSocket() as sock:
            index = Links(sock).get("eth0").index
            gateway = local[f"cali{name}"].address
            everything = parse_network("::/0")
            route = KernelRoute(everything, protocol=4, oif=index, gateway=gateway)
            Routes(sock).add(route)
    client, server = udp(stack, "a", "fd00:65::2"), udp(stack, "b", "fd00:65::3")
    client.sendto(b"hello", ("fd00:65::3", 7000))
    heard, source = server.recvfrom(100)
    assert (heard, source[0]) == (b"hello", "fd00:65::2")
