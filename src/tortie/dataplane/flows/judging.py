"""A tracked connection as the packet that began it, for the evaluator. Pure.

Policy sees the source as it was sent and the destination after its translation: the source of the
original direction and the source of the answers. What stands before translation (pre-DNAT) sees the
original destination.
"""

from collections.abc import Mapping
from typing import NamedTuple, Protocol

from tortie.dataplane.policy.interfaces import Owners
from tortie.linux.netlink.ctnetlink import Flow, Side
from tortie.net.protocols import SCTP, TCP
from tortie.policy import Packet, Program, evaluate
from tortie.policy.packet import Path
from tortie.policy.program import EndpointId
from tortie.policy.unexplained import unexplained

HostAddress = tuple[int, int]  # IP version, address

# Who began these is known from their first packet. An entry of any other protocol is deleted: the
# next packet begins a new connection, from whoever sends it, and policy is asked.
CONNECTION_ORIENTED = frozenset({TCP, SCTP, 33})  # 33: DCCP


class Surroundings(Protocol):
    """What the node's own addresses and routes are."""

    def is_local(self, address: HostAddress) -> bool:
        """Whether it is the node's own."""
        ...

    def interface_to(self, address: HostAddress) -> str:
        """By which interface it is reached; empty where that is not known."""
        ...


class Ends(NamedTuple):
    """Who is behind an address: workloads of this node, and host endpoints at its interfaces."""

    workloads: Mapping[HostAddress, EndpointId]
    hosts: Owners
    around: Surroundings


def is_denied(flow: Flow, program: Program, ends: Ends) -> bool | None:
    """Whether policy denies this connection now; None where it has no say, or that is not known."""
    packet = first_packet(flow, ends)
    return None if packet is None else not evaluate(program, packet, unexplained).allowed


def first_packet(flow: Flow, ends: Ends) -> Packet | None:
    """What began a connection; None where no endpoint of this node has part in it."""
    source = (flow.version, flow.original.source)
    destination = (flow.version, flow.reply.source)
    workloads = (ends.workloads.get(source), ends.workloads.get(destination))
    if workloads == (None, None) and not _has_hosts(ends):
        return None
    path = _path(source, destination, workloads, ends)
    if path is None:
        return None
    guards = _host_endpoints(source, destination, workloads, path, ends)
    if guards is None or {*workloads, *guards} == {None}:
        return None
    return _packet(flow, path, workloads, guards)


_Pair = tuple[EndpointId | None, EndpointId | None]  # at the source, at the destination


def _has_hosts(ends: Ends) -> bool:
    return bool(ends.hosts.named) or ends.hosts.every is not None


def _path(
    source: HostAddress, destination: HostAddress, workloads: _Pair, ends: Ends
) -> Path | None:
    """None for the node's talk with itself, which concerns nobody."""
    from_here = workloads[0] is None and ends.around.is_local(source)
    to_here = workloads[1] is None and ends.around.is_local(destination)
    if from_here and to_here:
        return None
    if from_here:
        return Path.FROM_HOST
    return Path.TO_HOST if to_here else Path.FORWARD


def _host_endpoints(
    source: HostAddress, destination: HostAddress, workloads: _Pair, path: Path, ends: Ends
) -> _Pair | None:
    """By whose interfaces the packet comes in and leaves; None where that can't be told."""
    found: list[EndpointId | None] = []
    for address, workload, at_home in (
        (source, workloads[0], Path.FROM_HOST),
        (destination, workloads[1], Path.TO_HOST),
    ):
        if workload is not None or path is at_home or not _has_hosts(ends):
            found.append(None)
            continue
        interface = ends.around.interface_to(address)
        if not interface:
            return None
        found.append(ends.hosts.named.get(interface, ends.hosts.every))
    return found[0], found[1]


def _packet(flow: Flow, path: Path, workloads: _Pair, guards: _Pair) -> Packet:
    original, reply = flow.original, flow.reply
    is_translated = _target(original) != (reply.source, reply.source_port)
    return Packet(
        version=flow.version,
        source=original.source,
        destination=reply.source,
        protocol=original.protocol,
        source_port=original.source_port,
        destination_port=reply.source_port,
        icmp_type=original.icmp_type,
        icmp_code=original.icmp_code,
        source_endpoint=workloads[0],
        destination_endpoint=workloads[1],
        path=path,
        entered=guards[0],
        left=guards[1],
        first_destination=original.destination if is_translated else None,
        first_destination_port=original.destination_port if is_translated else None,
    )


def _target(side: Side) -> tuple[int, int | None]:
    return side.destination, side.destination_port
