"""An interface that another plugin made, taken under policy: found, judged, named as ours are.

Everything here blocks and enters namespaces. Only a veth pair that is on no bridge will do:
whatever else a plugin makes (macvlan, ipvlan, SR-IOV, a port of a bridge) carries packets past the
node's firewall, and a workload that seems to be under policy and is not would be worse than none.
"""

import errno
from typing import NamedTuple

from tortie.cni.errors import INVALID_CONFIG, IO_FAILURE, CniError
from tortie.cni.interfaces import namespace
from tortie.linux.links import Links
from tortie.linux.namespaces import in_namespace
from tortie.linux.netlink.rtlink import Link
from tortie.linux.netlink.rtspace import NOT_KNOWN
from tortie.linux.netlink.sockets import NetlinkError, NetlinkSocket
from tortie.linux.routes import Routes, replacing
from tortie.net import Prefix, parse_network

_LINK_LOCAL = (parse_network("169.254.0.0/16"), parse_network("fe80::/10"))
_OWN = "/proc/thread-self/ns/net"
_NO_DUPLICATE_CHECK = 0x02  # IFA_F_NODAD


class Adopted(NamedTuple):
    """The container's end, and the node's by the name that it had when it was found."""

    addresses: tuple[Prefix, ...]
    mac: str
    host: str


def find(netns: str, ifname: str) -> Adopted:
    """The interface that a container has. Raises CniError where policy could not hold on it."""
    try:
        return _found(netns, ifname)
    except OSError as problem:
        raise CniError(IO_FAILURE, f"can't look at {ifname}: {problem}") from None


def _found(netns: str, ifname: str) -> Adopted:
    with (
        namespace(_OWN) as node,
        namespace(netns) as inside,
        in_namespace(inside),
        NetlinkSocket() as sock,
    ):
        link = Links(sock).find(ifname)
        if link is None:
            raise _wrong(f"the container has no interface {ifname}")
        held = [one.prefix for one in Links(sock).addresses(ifname)]
        # Its other end's index alone would not tell: each namespace counts its own.
        if link.parent_space != Links(sock).number_of(node) or link.parent_space == NOT_KNOWN:
            raise _past_the_firewall(link)
    host = _other_end(link)
    addresses = tuple(
        Prefix.single(one.version, one.address)
        for one in held
        if not any(local.contains(one.network) for local in _LINK_LOCAL)
    )
    if not addresses:
        raise _wrong(f"{ifname} has no address: the plugin before this one has to give one")
    return Adopted(addresses, link.mac, host.name)


def _other_end(link: Link) -> Link:
    """On the node, judged."""
    with NetlinkSocket() as sock:
        links = Links(sock).list()
    found = next((one for one in links if one.index == link.parent), None)
    if link.kind != "veth" or found is None or found.kind != "veth" or found.parent != link.index:
        raise _past_the_firewall(link)
    if found.master:
        bridge = next((one.name for one in links if one.index == found.master), str(found.master))
        raise _wrong(
            f"{found.name} is a port of {bridge}: what its pods send each other passes no firewall"
            " of this node; use a plugin without a bridge, such as ptp"
        )
    return found


def _past_the_firewall(link: Link) -> CniError:
    return _wrong(
        f"{link.name} is no veth pair with an end on this node ({link.kind or 'a device'}):"
        " its packets pass no firewall of this node; use a plugin such as ptp"
    )


def rename(before: str, name: str) -> None:
    """Give the node's end its name. Addresses and routes of it stay. Raises CniError."""
    if before == name:
        return
    with NetlinkSocket() as sock:
        try:
            _rename(sock, Links(sock), before, name)
        except OSError as problem:
            raise CniError(IO_FAILURE, f"can't call {before} {name}: {problem}") from None


def _rename(sock: NetlinkSocket, links: Links, before: str, name: str) -> None:
    try:
        links.rename(before, name)
        return
    except NetlinkError as problem:
        if problem.errno != errno.EBUSY:  # kernels before 6.2 rename only what is down
            raise
    index = links.get(before).index
    addresses = [one.prefix for one in links.addresses(before)]
    routes = [one for version in (4, 6) for one in Routes(sock).list(version, oif=index)]
    links.set_down(before)
    links.rename(before, name)
    links.set_up(name)
    kept = {one.prefix for one in links.addresses(name)}
    for address in addresses:
        if address not in kept and address.version == 6 and not _LINK_LOCAL[1].contains(address):
            links.add_address(name, address, flags=_NO_DUPLICATE_CHECK)
    Routes(sock).batch([replacing(one) for one in routes])


def faults(netns: str, ifname: str, name: str) -> list[str]:
    """How it differs from what ADD left. Raises CniError."""
    try:
        found = find(netns, ifname)
    except CniError as problem:
        if problem.code != INVALID_CONFIG:
            raise
        return [problem.message]
    return [] if found.host == name else [f"the node's end is called {found.host}, not {name}"]


def _wrong(reason: str) -> CniError:
    return CniError(INVALID_CONFIG, f"policy_only: {reason}")
