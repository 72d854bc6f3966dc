"""Routes: what `ip route` does, over one netlink socket."""

import errno
from collections.abc import Sequence

from tortie.linux.netlink.rtnetlink import (
    RTM_DELROUTE,
    RTM_GETROUTE,
    RTM_NEWROUTE,
    KernelRoute,
    build_route,
    build_route_lookup,
    build_route_query,
    parse_route,
)
from tortie.linux.netlink.sockets import NetlinkError, NetlinkSocket, Request
from tortie.linux.netlink.wire import NLM_F_CREATE, NLM_F_EXCL, NLM_F_REPLACE
from tortie.net import Prefix


class _Asked:
    """What a request was about, put into words only when it fails."""

    __slots__ = ("route", "verb")

    def __init__(self, verb: str, route: KernelRoute) -> None:
        self.verb, self.route = verb, route

    def __str__(self) -> str:
        return f"{self.verb} route {self.route}"


def adding(route: KernelRoute) -> Request:
    """A request that fails with EEXIST where a route to that place with that metric is."""
    flags = NLM_F_CREATE | NLM_F_EXCL
    return Request(RTM_NEWROUTE, build_route(route), flags, _Asked("adding", route))


def replacing(route: KernelRoute) -> Request:
    """A request that puts this route in the place of the one with its destination and metric."""
    flags = NLM_F_CREATE | NLM_F_REPLACE
    return Request(RTM_NEWROUTE, build_route(route), flags, _Asked("replacing", route))


def deleting(route: KernelRoute) -> Request:
    """A request that deletes exactly this route."""
    return Request(RTM_DELROUTE, build_route(route), 0, _Asked("deleting", route))


class Routes:
    """The routes of the socket's namespace. Everything raises NetlinkError for a refusal."""

    def __init__(self, sock: NetlinkSocket) -> None:
        self._sock = sock

    def list(
        self, version: int, *, table: int = 0, protocol: int = 0, oif: int = 0
    ) -> list[KernelRoute]:
        """The routes of one family, filtered by the kernel where not 0."""
        found = self.dump(version, table=table, protocol=protocol, oif=oif)
        return [parse_route(payload) for payload in found]

    def dump(
        self, version: int, *, table: int = 0, protocol: int = 0, oif: int = 0
    ) -> Sequence[bytes]:
        """As `list`, as the kernel wrote them: for `parse_route`."""
        query = build_route_query(version, table=table, protocol=protocol, oif=oif)
        try:
            answers = self._sock.dump(Request(RTM_GETROUTE, query, about="listing the routes"))
        except NetlinkError as error:
            # A table in which no route was ever.
            if error.errno == errno.ENOENT:
                return []
            raise
        return [message.payload for message in answers if message.type == RTM_NEWROUTE]

    def lookup(self, destination: Prefix) -> KernelRoute | None:
        """The entry that a packet to this prefix's first address follows, None when none."""
        query = build_route_lookup(destination)
        try:
            answers = self._sock.request(Request(RTM_GETROUTE, query, about=str(destination)))
        except NetlinkError as error:
            if error.errno in (errno.ENETUNREACH, errno.EHOSTUNREACH, errno.EINVAL, errno.EACCES):
                return None
            raise
        return parse_route(answers[0].payload) if answers else None

    def add(self, route: KernelRoute) -> None:
        """Add one route; EEXIST where one with its destination and metric is."""
        self._sock.request(adding(route))

    def delete(self, route: KernelRoute) -> None:
        """Delete one route; ESRCH when it is not there."""
        self._sock.request(deleting(route))

    def batch(self, requests: Sequence[Request]) -> dict[int, NetlinkError]:
        """Carry out many of `adding`, `replacing`, `deleting`; errors by index."""
        return self._sock.batch(requests)
