"""The lab's network: namespaces, bridges, veths, addresses and default routes.

Every step looks first whether its work is done, so that running all of them again completes what a
killed run has begun. Both ends of each veth are born in the lab's namespaces: the machine's own
namespace never sees an interface, route or setting of the lab.
"""

import errno
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import NamedTuple

from tortie.lab.errors import LabError
from tortie.lab.journal import Journal
from tortie.lab.plan import Plan, Station, Subnet
from tortie.linux import sysctl
from tortie.linux.links import Links
from tortie.linux.namespaces import create_named, delete_named, in_namespace, path_of
from tortie.linux.netlink.rtaddress import IFA_F_NODAD
from tortie.linux.netlink.rtroute import KernelRoute
from tortie.linux.netlink.sockets import NetlinkSocket
from tortie.linux.routes import Routes, deleting, replacing
from tortie.net import Prefix

_DEFAULT = {4: Prefix(4, 0, 0), 6: Prefix(6, 0, 0)}
_STATIC = 4  # the routes' protocol: set by an administrator
# A new namespace takes these over from the machine, whatever they are there. The check of source
# addresses is the dataplane's: the kernel's own would drop what comes through the tunnel from
# outside of the pods' addresses.
_HOST = {
    "net.ipv4.conf.all.rp_filter": "0",
    "net.ipv4.conf.default.rp_filter": "0",
    "net.ipv6.conf.default.accept_dad": "0",
    "net.ipv6.conf.default.accept_ra": "0",
}
_FORWARDING = {
    **_HOST,
    "net.ipv4.ip_forward": "1",
    "net.ipv4.conf.all.send_redirects": "0",
    "net.ipv6.conf.all.forwarding": "1",
    "net.ipv6.conf.default.forwarding": "1",
}


class Network(NamedTuple):
    """Links and routes of one namespace, by a socket that stays in it."""

    links: Links
    routes: Routes


@contextmanager
def network_of(namespace: str) -> Iterator[Network]:
    """The links and routes of a named namespace."""
    with in_namespace(path_of(namespace)):
        sock = NetlinkSocket()
    with sock:
        yield Network(Links(sock), Routes(sock))


def ensure_router(plan: Plan, journal: Journal) -> None:
    """The router, with its bridges and its addresses on them. Raises LabError."""
    ensure_namespace(plan.router, journal, _FORWARDING)
    with network_of(plan.router) as router:
        for subnet in plan.subnets:
            if router.links.find(subnet.bridge) is None:
                router.links.create_bridge(subnet.bridge)
            for gateway in subnet.gateways:
                router.links.add_address(subnet.bridge, gateway, flags=_flags(gateway))
            router.links.set_up(subnet.bridge)


def ensure_node(plan: Plan, node: Station, journal: Journal) -> None:
    """A node's namespace, on its subnet, forwarding."""
    _ensure_station(plan, node, journal, _FORWARDING)


def ensure_outside(plan: Plan, host: Station, journal: Journal) -> None:
    """An outside host's namespace, on its subnet."""
    _ensure_station(plan, host, journal, _HOST)


def ensure_namespace(name: str, journal: Journal, settings: Mapping[str, str]) -> None:
    """A namespace with `lo` up and these sysctls. Raises LabError where it is not the lab's."""
    ours = name in journal.namespaces()
    if path_of(name).exists() and not ours:
        raise LabError(
            f"there is a network namespace {name!r} already that this lab has not made:"
            f" remove it (ip netns delete {name}), or choose another --name"
        )
    journal.record_namespace(name)
    if not path_of(name).exists():
        create_named(name)
    try:
        _prepare(name, settings)
    except OSError as error:
        if error.errno != errno.EINVAL:
            raise
        delete_named(name)  # a name without a namespace: its maker was killed between the two
        create_named(name)
        _prepare(name, settings)


def remove_namespace(name: str, journal: Journal) -> None:
    """Remove a namespace and all that is in it."""
    delete_named(name)
    journal.forget_namespace(name)


def route_workload(plan: Plan, node: Station, address: Prefix) -> None:
    """Have the router know which node a workload is on, as BGP would have told it."""
    with network_of(plan.router) as router:
        router.routes.batch([replacing(_workload_route(node, address))])


def unroute_workload(plan: Plan, node: Station, address: Prefix) -> None:
    """Have the router forget it."""
    with network_of(plan.router) as router:
        router.routes.batch([deleting(_workload_route(node, address))])


def _workload_route(node: Station, address: Prefix) -> KernelRoute:
    gateway = node.address_of(address.version)
    assert gateway is not None, "a pod has addresses of the lab's IP versions"
    return KernelRoute(address, protocol=_STATIC, gateway=gateway.address)


def port_of(node: Station) -> str:
    """The router's end of a station's cable."""
    return f"v-{node.name}"


def set_port(plan: Plan, port: str, *, up: bool) -> None:
    """Cut a cable at the router's end, or mend it."""
    with network_of(plan.router) as router:
        if up:
            router.links.set_up(port)
        else:
            router.links.set_down(port)


def _flags(address: Prefix) -> int:
    """Nobody else has it: else IPv6 waits a second to be sure of that."""
    return IFA_F_NODAD if address.version == 6 else 0


def _prepare(name: str, settings: Mapping[str, str]) -> None:
    with in_namespace(path_of(name)):
        for key, value in settings.items():
            if sysctl.exists(key):  # a kernel may be without IPv6
                sysctl.write(key, value)
    with network_of(name) as own:
        own.links.set_up("lo")


def _ensure_station(
    plan: Plan, station: Station, journal: Journal, settings: Mapping[str, str]
) -> None:
    ensure_namespace(station.namespace, journal, settings)
    with network_of(station.namespace) as own, network_of(plan.router) as router:
        port = port_of(station)
        if own.links.find("eth0") is None:
            router.links.delete(port)
            _connect(own.links, plan.router, port)
        own.links.set_up("eth0")
        for address in station.addresses:
            own.links.add_address("eth0", address, flags=_flags(address))
        _join(router.links, port, station.subnet)
        defaults = [
            KernelRoute(_DEFAULT[one.version], protocol=_STATIC, gateway=one.address)
            for one in station.subnet.gateways
        ]
        own.routes.batch([replacing(route) for route in defaults])


def _connect(links: Links, router: str, port: str) -> None:
    descriptor = os.open(path_of(router), os.O_RDONLY | os.O_CLOEXEC)
    try:
        links.create_veth("eth0", port, descriptor)
    finally:
        os.close(descriptor)


def _join(links: Links, port: str, subnet: Subnet) -> None:
    links.set_master(port, subnet.bridge)
    links.set_up(port)
