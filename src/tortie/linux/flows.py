"""Connections that the kernel tracks: forgetting those of an address."""

import errno
from collections.abc import Collection, Iterator

from tortie.linux.netlink.ctnetlink import Flow, delete_flow, get_flows, get_flows_of, parse_flow
from tortie.linux.netlink.sockets import NETLINK_NETFILTER, NetlinkSocket, Request
from tortie.net import Prefix

_FEW = 8  # up to here, the kernel's walks of its table cost less than reading all of it here


class Flows:
    """The tracked connections of the namespace in which it is made. Raises NetlinkError."""

    def __init__(self) -> None:
        self._sock = NetlinkSocket(NETLINK_NETFILTER)

    def close(self) -> None:
        """Close the socket."""
        self._sock.close()

    def forget(self, addresses: Collection[Prefix]) -> None:
        """End the tracking of every connection that one of these single addresses has part in."""
        wanted = frozenset((one.version, one.address) for one in addresses)
        doomed = {
            flow.name: flow for flow in self._candidates(addresses) if _concerns(flow, wanted)
        }
        errors = self._sock.batch([delete_flow(flow) for flow in doomed.values()])
        for error in errors.values():
            if error.errno != errno.ENOENT:
                raise error

    def _candidates(self, addresses: Collection[Prefix]) -> Iterator[Flow]:
        for request in _queries(addresses):
            yield from map(parse_flow, self._sock.dump(request))


def _queries(addresses: Collection[Prefix]) -> Iterator[Request]:
    if len(addresses) > _FEW:
        yield from map(get_flows, sorted({one.version for one in addresses}))
        return
    for address in addresses:
        yield from get_flows_of(address)


def _concerns(flow: Flow, addresses: frozenset[tuple[int, int]]) -> bool:
    """Whether one of them began the flow, was called, or is who answers."""
    return any((flow.version, end) in addresses for end in (*flow.original, flow.reply[0]))
