"""The container's interface in the kernel: a veth pair, its address, its way out.

Everything here blocks and enters namespaces, so it runs in threads of its own. The workload has
one /32 and a default route through 169.254.1.1, which is on no subnet: the node answers for it, so
every packet is routed by the node, and no workload reaches another without policy.
"""

import errno
import os
import secrets
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from typing import NamedTuple

import structlog
from msgspec import Struct

from tortie.cni import departing
from tortie.cni.errors import CONTAINER_UNKNOWN, IO_FAILURE, CniError
from tortie.cni.leading import lead_no_more, lead_through
from tortie.cni.result import HOST_MAC, gateway
from tortie.kubernetes.names import INTERFACE_PREFIX
from tortie.linux import sysctl
from tortie.linux.links import Links
from tortie.linux.namespaces import in_namespace, is_network
from tortie.linux.netlink.rtlink import AS_BORN, Link, PacketSizes
from tortie.linux.netlink.rtroute import KernelRoute
from tortie.linux.netlink.sockets import NetlinkError, NetlinkSocket
from tortie.linux.routes import Routes
from tortie.net import Prefix

_FIRST_SIZE = 65536  # of packets: what an interface begins with
_NO_DUPLICATE_CHECK = 0x02  # IFA_F_NODAD: nobody else is on this link

_log = structlog.get_logger(__name__)


class Wire(Struct, frozen=True):
    """A veth pair to be: `host` on the node, `container` in the namespace at `netns`."""

    host: str
    container: str
    netns: str
    mac: str
    mtu: int
    prefix: str = INTERFACE_PREFIX  # of the node's end's name
    forwarding: bool = False
    queues: int = 0  # of each direction; 0: the kernel's choice
    uplinks: tuple[str, ...] = ()  # whose packet sizes it is to have, where they are raised


def sizes_as(links: Sequence[Link]) -> PacketSizes:
    """What all of these handle, where that is more than any kernel begins with.

    A larger packet than the next interface handles would be cut up in software there. Only those of
    IPv4 are followed: the kernel (6.18) does not forward IPv6 ones above 64 KiB, and says that they
    are too big, of each of them (measured: a stream at a fifteenth of its rate).
    """
    least = PacketSizes(*map(min, zip(*(link.sizes for link in links), strict=True)))
    return PacketSizes(*(size if size > _FIRST_SIZE else 0 for size in least))


def random_mac() -> str:
    """A locally administered unicast address."""
    first = (secrets.randbits(8) | 0x02) & 0xFE
    return ":".join(f"{byte:02x}" for byte in (first, *secrets.token_bytes(5)))


def create(wire: Wire) -> None:
    """Make the pair, in the place of one that an earlier container of this workload left.

    Both ends are up afterwards. Raises CniError.
    """
    with namespace(wire.netns) as netns, NetlinkSocket() as sock:
        links = Links(sock)
        try:
            _create_pair(links, wire, netns)
            _without_duplicate_check(wire.host)
            links.set_up(wire.host)
        except OSError as problem:
            raise _failed("can't make the interface", problem) from None


def configure(
    wire: Wire, addresses: Sequence[Prefix], wanted: Sequence[Prefix]
) -> tuple[Prefix, ...]:
    """Give the container's end its addresses and routes; those of the main table. Raises CniError.

    `wanted` are the destinations that go through it.
    """
    with namespace(wire.netns) as netns, in_namespace(netns), NetlinkSocket() as sock:
        try:
            _sysctls(wire, addresses)
            link = Links(sock).get(wire.container)
            _address(Links(sock), link, addresses)
            return tuple(lead_through(sock, link.index, addresses, wanted))
        except OSError as problem:
            raise _failed(f"can't set up {wire.container}", problem) from None


def forget(netns: str, container: str) -> None:
    """Remove what configuring an interface left beside it: its rules. A namespace that is gone
    has taken them with it.
    """
    with (
        suppress(CniError),
        namespace(netns) as opened,
        in_namespace(opened),
        NetlinkSocket() as sock,
    ):
        try:
            lead_no_more(sock, container)
        except OSError as problem:
            _log.warning("rules stay in a container", reason=str(problem))


class Inspection(NamedTuple):
    """How an interface differs from what ADD makes; `link` is the container's end."""

    link: Link | None
    faults: list[str]


def inspect(wire: Wire, addresses: Sequence[Prefix], wanted: Sequence[Prefix]) -> Inspection:
    """Look at both ends; no faults: it is as ADD made it. Raises CniError."""
    try:
        return _inspected(wire, addresses, wanted)
    except OSError as problem:
        raise _failed(f"can't look at {wire.container}", problem) from None


def _inspected(wire: Wire, addresses: Sequence[Prefix], wanted: Sequence[Prefix]) -> Inspection:
    with NetlinkSocket() as sock:
        host = Links(sock).find(wire.host)
    if host is None:
        return Inspection(None, [f"the node has no interface {wire.host}"])
    found = [] if host.up else [f"{wire.host} is down"]
    with namespace(wire.netns) as netns, in_namespace(netns), NetlinkSocket() as sock:
        link = Links(sock).find(wire.container)
        if link is None:
            return Inspection(None, [*found, f"the container has no interface {wire.container}"])
        if link.parent != host.index:
            found.append(f"{wire.container} is not the other end of {wire.host}")
        return Inspection(link, found + _inner_faults(sock, link, addresses, wanted))


def _inner_faults(
    sock: NetlinkSocket, link: Link, addresses: Sequence[Prefix], wanted: Sequence[Prefix]
) -> list[str]:
    name, links = link.name, Links(sock)
    found = [] if link.up else [f"{name} is down"]
    held = {address.prefix for address in links.addresses(name)}
    found += [f"{name} has not the address {one}" for one in addresses if one not in held]
    there = {route.destination for family in (4, 6) for route in _routes(sock, link, family)}
    found += [f"{name} has no {_named(one)}" for one in wanted if one not in there]
    return found


def _routes(sock: NetlinkSocket, link: Link, family: int) -> Iterator[KernelRoute]:
    out = gateway(family).address
    return (one for one in Routes(sock).list(family, oif=link.index) if one.gateway == out)


def _named(route: Prefix) -> str:
    return f"route to {route}" if route.length else f"IPv{route.version} default route"


@contextmanager
def namespace(path: str) -> Iterator[int]:
    """A descriptor of a container's namespace. Raises CniError."""
    try:
        # Without waiting: a pipe at that path would hold this thread for ever.
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError as problem:
        raise CniError(
            CONTAINER_UNKNOWN, f"the container's namespace {path}: {problem.strerror}"
        ) from None
    try:
        if not is_network(descriptor):  # left of one that is gone: a killed runtime's, or ours
            raise CniError(CONTAINER_UNKNOWN, f"the container's namespace {path} is none")
        yield descriptor
    finally:
        os.close(descriptor)


def _create_pair(links: Links, wire: Wire, netns: int) -> None:
    """What is in the way is first shut, then waited for: an earlier container's interface may have
    the node's name, and one that was shut a moment ago the container's.
    """

    sizes = _followed(links, wire)

    def create() -> None:
        links.create_veth(
            wire.host,
            wire.container,
            netns,
            mtu=wire.mtu,
            mac=HOST_MAC,
            peer_mac=wire.mac,
            queues=wire.queues,
            sizes=sizes,
        )

    for clear in (partial(departing.shut, wire.host, wire.prefix), departing.purge):
        try:
            create()
            return
        except NetlinkError as problem:
            if problem.errno != errno.EEXIST:
                raise
            clear()
    create()  # the container's own interface of that name is not ours to remove: this fails


def _followed(links: Links, wire: Wire) -> PacketSizes:
    """Asked at each ADD: the kernel tells nobody when they change."""
    there = [link for name in wire.uplinks if (link := links.find(name)) is not None]
    return sizes_as(there) if there else AS_BORN


def _without_duplicate_check(host: str) -> None:
    """The host's own end: else its address, the IPv6 gateway, is unusable for a second or two."""
    with suppress(FileNotFoundError):  # a kernel without IPv6
        sysctl.write(sysctl.interface(6, host, "accept_dad"), "0")


def _sysctls(wire: Wire, addresses: Sequence[Prefix]) -> None:
    # A new namespace takes its settings from the node, which forwards.
    sysctl.write("net.ipv4.ip_forward", str(int(wire.forwarding)))
    if any(address.version == 6 for address in addresses):
        for scope in ("all", "default", wire.container):
            with suppress(FileNotFoundError):  # a kernel without IPv6 fails at the address
                sysctl.write(sysctl.interface(6, scope, "disable_ipv6"), "0")


def _address(links: Links, link: Link, addresses: Sequence[Prefix]) -> None:
    links.bring_up(link)
    for address in addresses:
        flags = _NO_DUPLICATE_CHECK if address.version == 6 else 0
        links.give_address(link, address, flags=flags)


def _failed(what: str, problem: OSError) -> CniError:
    return CniError(IO_FAILURE, f"{what}: {problem}")
