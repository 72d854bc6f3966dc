"""The addresses at which local workloads call this node (localWorkloadPeeringIPV4/6).

Each is on the interfaces of the workloads that are peers, and goes with them. The node itself never
speaks from it otherwise: to the kernel an IPv4 one is of this host alone, an IPv6 one deprecated.
"""

import asyncio
import errno
from collections.abc import Callable

import structlog

from tortie.bgp.picture import Picture
from tortie.linux.links import Links
from tortie.linux.netlink.rtaddress import (
    IFA_F_DEPRECATED,
    IFA_F_NODAD,
    IFA_F_NOPREFIXROUTE,
    SCOPE_GLOBAL,
    SCOPE_HOST,
)
from tortie.linux.netlink.sockets import NetlinkError, NetlinkSocket
from tortie.net import Prefix

Held = tuple[str, Prefix]  # an interface and its address

_LOOK = 2.0  # seconds: a workload's interface may come after its session, or come again
_GONE = frozenset({errno.ENODEV, errno.EADDRNOTAVAIL})
_FLAGS = {4: IFA_F_NOPREFIXROUTE, 6: IFA_F_NOPREFIXROUTE | IFA_F_NODAD | IFA_F_DEPRECATED}
_SCOPE = {4: SCOPE_HOST, 6: SCOPE_GLOBAL}

_log = structlog.get_logger(__name__)


def wanted(picture: Picture) -> frozenset[Held]:
    """What a picture's sessions need."""
    return frozenset(
        (one.interface, Prefix.single(one.version, one.source))
        for one in picture.sessions
        if one.interface and one.source is not None
    )


class Meeting:
    """Holds them in the network namespace of this process."""

    def __init__(self, open_socket: Callable[[], NetlinkSocket] = NetlinkSocket) -> None:
        self._open_socket = open_socket
        self._wanted: frozenset[Held] = frozenset()
        self._held: frozenset[Held] = frozenset()
        self.problem = ""  # what the kernel refuses now; "" for nothing

    async def want(self, picture: Picture) -> None:
        """Before BIRD is told of sessions from there."""
        self._wanted = wanted(picture)
        await self._settle()

    async def run(self) -> None:
        """Look again, for ever."""
        while True:
            await asyncio.sleep(_LOOK)
            await self._settle()

    async def _settle(self) -> None:
        if self._wanted or self._held:
            reason = await asyncio.to_thread(self.hold, self._wanted)
            problem = f"workloads can't call this node: {reason}" if reason else ""
            if problem and problem != self.problem:
                _log.warning("something is not as it should be", problem=problem)
            self.problem = problem

    def hold(self, wanted: frozenset[Held]) -> str:
        """Have the interfaces hold these and none of those before; what the kernel refused."""
        try:
            with self._open_socket() as sock:
                refused = self._write(Links(sock), wanted)
        except OSError as error:
            return str(error)
        self._held = wanted
        return "; ".join(refused)

    def _write(self, links: Links, wanted: frozenset[Held]) -> list[str]:
        there = links.addresses_by_name()
        refused = []
        for name, address in sorted(self._held | wanted):
            is_there = address in there.get(name, ())
            if is_there is ((name, address) in wanted):
                continue
            try:
                _change(links, name, address, is_there)
            except NetlinkError as error:
                refused += [] if error.errno in _GONE else [str(error)]
        return refused


def _change(links: Links, name: str, address: Prefix, is_there: bool) -> None:
    version = address.version
    if is_there:
        links.delete_address(name, address)
    else:
        links.add_address(name, address, flags=_FLAGS[version], scope=_SCOPE[version])
