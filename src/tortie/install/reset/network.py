"""Interfaces, routes and routing rules of ours."""

import errno
from collections.abc import Iterator, Sequence

from tortie.dataplane.qos.desired import IFB_PREFIX
from tortie.install.reset.places import Places
from tortie.linux import routes, rules
from tortie.linux.links import Links
from tortie.linux.netlink.rtlink import Link
from tortie.linux.netlink.rtnetlink import KernelRoute
from tortie.linux.netlink.rtrule import Rule
from tortie.linux.netlink.sockets import NetlinkSocket

_BIRD = 12  # RTPROT_BIRD: what a BIRD wrote
_VERSIONS = (4, 6)
_GONE = frozenset({errno.ESRCH, errno.ENODEV, errno.ENOENT})


class Interfaces:
    """Workloads' interfaces, and the devices behind which their packets queue."""

    title = "workloads' interfaces"

    def __init__(self, places: Places) -> None:
        self._beginnings = places.workloads

    def find(self) -> Sequence[str]:
        """Their names."""
        with NetlinkSocket() as sock:
            return [link.name for link in Links(sock).list() if self._is_ours(link)]

    def remove(self) -> None:
        """Delete them: their other ends, inside workloads, go with them."""
        with NetlinkSocket() as sock:
            links = Links(sock)
            for name in [link.name for link in links.list() if self._is_ours(link)]:
                links.delete(name)

    def _is_ours(self, link: Link) -> bool:
        if link.kind == "ifb":
            return link.name.startswith(IFB_PREFIX)
        return link.kind in ("veth", "netkit") and link.name.startswith(self._beginnings)


class Tunnels:
    """The devices to other nodes. tunl0 is the kernel's own: it loses its addresses."""

    title = "tunnels"

    def __init__(self, places: Places) -> None:
        self._devices, self._ipip = places.devices, places.routes.ipip_device

    def find(self) -> Sequence[str]:
        """Their names; of the IPIP device, its addresses."""
        with NetlinkSocket() as sock:
            links = Links(sock)
            found = [name for name in self._devices if links.find(name)]
            ipip = links.find(self._ipip)
            if ipip and (ipip.up or links.addresses(self._ipip)):
                held = ", ".join(str(each.prefix) for each in links.addresses(self._ipip))
                found.append(f"{self._ipip} ({held or 'up'})")
            return found

    def remove(self) -> None:
        """Delete them; take the IPIP device down, without addresses."""
        with NetlinkSocket() as sock:
            links = Links(sock)
            for name in self._devices:
                links.delete(name)
            if links.find(self._ipip):
                for each in links.addresses(self._ipip):
                    links.delete_address(self._ipip, each.prefix)
                links.set_down(self._ipip)


class Routes:
    """Routes by the number of who wrote them, in every table."""

    title = "routes"

    def __init__(self, places: Places, *, and_birds: bool) -> None:
        self._protocols = {places.routes.cluster_protocol}
        self._protocols |= {_BIRD} if and_birds else set()

    def find(self) -> Sequence[str]:
        """Their destinations."""
        with NetlinkSocket() as sock:
            return [f"{one.destination} in table {one.table}" for one in self._ours(sock)]

    def remove(self) -> None:
        """Delete them."""
        with NetlinkSocket() as sock:
            found = list(self._ours(sock))
            errors = routes.Routes(sock).batch([routes.deleting(one) for one in found])
        for error in errors.values():
            if error.errno not in _GONE:
                raise error

    def _ours(self, sock: NetlinkSocket) -> Iterator[KernelRoute]:
        for version in _VERSIONS:
            for protocol in sorted(self._protocols):
                yield from routes.Routes(sock).list(version, protocol=protocol)


class Rules:
    """Routing rules that lead into a table of ours."""

    title = "routing rules"

    def __init__(self, places: Places) -> None:
        self._protocol = places.routes.cluster_protocol

    def find(self) -> Sequence[str]:
        """Their priorities."""
        with NetlinkSocket() as sock:
            return [f"{one.priority} to table {one.table}" for one in self._ours(sock)]

    def remove(self) -> None:
        """Delete them."""
        with NetlinkSocket() as sock:
            for one in self._ours(sock):
                rules.Rules(sock).delete(one)

    def _ours(self, sock: NetlinkSocket) -> list[Rule]:
        found = [one for version in _VERSIONS for one in rules.Rules(sock).list(version)]
        return [one for one in found if one.protocol == self._protocol]
