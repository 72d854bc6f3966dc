"""The node's own addresses and its routes, asked of the kernel, each once."""

import socket
from contextlib import suppress

from tortie.dataplane.flows.judging import HostAddress
from tortie.linux.netlink.rtroute import RTN_LOCAL, KernelRoute
from tortie.linux.netlink.sockets import NetlinkSocket
from tortie.linux.routes import Routes
from tortie.net import Prefix


class KernelSurroundings:
    """What holds during one look. Raises NetlinkError."""

    def __init__(self, sock: NetlinkSocket) -> None:
        self._routes = Routes(sock)
        self._known: dict[HostAddress, KernelRoute | None] = {}
        self._names: dict[int, str] = {}

    def is_local(self, address: HostAddress) -> bool:
        """Whether it is the node's own."""
        route = self._route(address)
        return route is not None and route.type == RTN_LOCAL

    def interface_to(self, address: HostAddress) -> str:
        """By which interface it is reached; empty where several are, or none."""
        route = self._route(address)
        if route is None or not route.oif:
            return ""
        if route.oif not in self._names:
            self._names[route.oif] = _name(route.oif)
        return self._names[route.oif]

    def _route(self, address: HostAddress) -> KernelRoute | None:
        if address not in self._known:
            self._known[address] = self._routes.lookup(Prefix.single(*address))
        return self._known[address]


def _name(index: int) -> str:
    with suppress(OSError):
        return socket.if_indextoname(index)
    return ""
