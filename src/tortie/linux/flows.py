"""Connections that the kernel tracks: those of an address, their end, their marks."""

import errno
import re
from collections.abc import Collection, Iterable, Iterator

from tortie.linux.netlink.ctnetlink import (
    Flow,
    delete_flow,
    get_flow_count,
    get_flows,
    get_flows_of,
    make_flow,
    mark_flow,
    parse_flow,
    parse_flow_count,
)
from tortie.linux.netlink.sockets import NETLINK_NETFILTER, NetlinkSocket, Request
from tortie.net import Prefix

# The kernel walks all of its buckets for any question, in the time in which so many flows are read.
_FLOWS_PER_WALK = 1000


class Flows:
    """The tracked connections of the namespace in which it is made. Raises NetlinkError."""

    def __init__(self) -> None:
        self._sock = NetlinkSocket(NETLINK_NETFILTER)

    def close(self) -> None:
        """Close the socket."""
        self._sock.close()

    def forget(self, addresses: Collection[Prefix]) -> None:
        """End the tracking of every connection that one of these single addresses has part in."""
        self.delete(self.of(addresses))

    def of(self, addresses: Collection[Prefix]) -> list[Flow]:
        """The connections that one of these single addresses has part in."""
        if not addresses:
            return []
        wanted = frozenset((one.version, one.address) for one in addresses)
        found = {flow.name: flow for flow in self._candidates(addresses) if _concerns(flow, wanted)}
        return list(found.values())

    def all(self) -> Iterator[Flow]:
        """Every connection, one after the other."""
        for version in (4, 6):
            yield from map(parse_flow, self._sock.dump(get_flows(version)))

    def delete(self, flows: Iterable[Flow]) -> None:
        """End the tracking of these; those that have ended by themselves are no error."""
        self._batch([delete_flow(flow) for flow in flows])

    def mark(self, flows: Iterable[Flow], value: int, mask: int) -> None:
        """Give the bits `mask` of these connections' marks a value.

        What a flowtable has goes by all chains, whatever its mark: it is made anew outside of it.
        """
        marked = list(flows)
        self._batch([mark_flow(flow, value, mask) for flow in marked])
        offloaded = [flow for flow in marked if flow.anew]
        self.delete(offloaded)
        again = [make_flow(flow, flow.mark & ~mask | value) for flow in offloaded]
        self._batch(again, errno.EEXIST)
        # A packet may have come between the two, and have made the connection without the mark.
        self._batch([mark_flow(flow._replace(name=flow.anew), value, mask) for flow in offloaded])

    def _batch(self, requests: list[Request], expected: int = errno.ENOENT) -> None:
        for error in self._sock.batch(requests).values():
            if error.errno != expected:
                raise error

    def _candidates(self, addresses: Collection[Prefix]) -> Iterator[Flow]:
        # Most flows are passed over without a look at their parts.
        hint = re.compile(b"|".join(re.escape(_packed(one)) for one in addresses))
        for request in self._queries(addresses):
            for message in self._sock.dump(request):
                if hint.search(message.payload):
                    yield parse_flow(message)

    def _queries(self, addresses: Collection[Prefix]) -> Iterator[Request]:
        """All flows, where they are few or the addresses many; else those of each address."""
        (answer,) = self._sock.request(get_flow_count())
        count = parse_flow_count(answer)
        if not count:  # a walk through nothing but empty buckets takes 4 ms of a new pod's start
            return
        if count < _FLOWS_PER_WALK * len(addresses):
            yield from map(get_flows, sorted({one.version for one in addresses}))
            return
        for address in addresses:
            yield from get_flows_of(address)


def _packed(address: Prefix) -> bytes:
    return address.address.to_bytes(4 if address.version == 4 else 16)


def _concerns(flow: Flow, addresses: frozenset[tuple[int, int]]) -> bool:
    """Whether one of them began the flow, was called, or is who answers."""
    ends = (flow.original.source, flow.original.destination, flow.reply.source)
    return any((flow.version, end) in addresses for end in ends)
