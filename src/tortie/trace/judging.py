"""One packet's verdict on its whole way: by the node it comes from, and the node it goes to.

A node judges what it sees: the workloads it runs, and its host endpoints by whose interfaces the
packet leaves or comes in. Within a tunnel a packet comes in by the tunnel's device, so there only a
host endpoint of every interface sees it.
"""

from collections.abc import Collection, Iterator
from typing import NamedTuple

from msgspec.structs import replace

from tortie.net import Prefix
from tortie.policy import Packet, Program, Verdict, evaluate
from tortie.policy.packet import Path, host_endpoint_of
from tortie.policy.program import EVERY_INTERFACE, EndpointId
from tortie.trace.cluster import Cluster, Host

_TUNNELS = ("vxlan.calico", "vxlan-v6.calico", "tunl0", "wireguard.cali", "wg-v6.cali", "lo")
_MAIN = ""  # the interface that has a node's main address, whatever it is called


class Way(NamedTuple):
    """From which node to which, "" for outside the cluster."""

    source: str
    destination: str


def judge(cluster: Cluster, packet: Packet, way: Way) -> Verdict:
    """What becomes of a packet between two ends; `packet` names both ends' workloads."""
    verdicts = [
        evaluate(cluster.program_of(node), leg) for node, leg in _legs(cluster, packet, way)
    ]
    steps = tuple(step for verdict in verdicts for step in verdict.steps)
    return Verdict(packet, all(verdict.allowed for verdict in verdicts), steps)


def _legs(cluster: Cluster, packet: Packet, way: Way) -> Iterator[tuple[str, Packet]]:
    """What each node on the way sees."""
    if way.source and way.source == way.destination:
        yield way.source, replace(packet, path=_path(packet, way, way.source))
        return
    interface = _interface(cluster, packet, way)
    if way.source or packet.source_endpoint:
        seen = replace(packet, destination_endpoint=None, path=_path(packet, way, way.source))
        yield way.source, replace(seen, left=_host_endpoint(cluster, way.source, interface))
    if way.destination or packet.destination_endpoint:
        seen = replace(packet, source_endpoint=None, path=_path(packet, way, way.destination))
        yield (
            way.destination,
            replace(seen, entered=_host_endpoint(cluster, way.destination, interface)),
        )


def _path(packet: Packet, way: Way, node: str) -> Path:
    """Where the packet begins and ends, as the node sees it."""
    if packet.source_endpoint is None and node == way.source:
        return Path.FROM_HOST
    if packet.destination_endpoint is None and node == way.destination:
        return Path.TO_HOST
    return Path.FORWARD


def _host_endpoint(cluster: Cluster, node: str, interface: str) -> EndpointId | None:
    program = cluster.program_of(node)
    if interface != _MAIN:
        return host_endpoint_of(program, interface, ())
    addresses = cluster.hosts.get(node, Host()).addresses
    return host_endpoint_of(program, _main_interface(program, addresses), addresses)


def _main_interface(program: Program, addresses: Collection[Prefix]) -> str:
    """What a host endpoint calls the interface that has these addresses; "" if none does.

    No resource tells an interface's name. So it is the one of a host endpoint that expects one of
    the addresses, or else of one that expects none: policy for a node's interface is most likely
    meant for this one, and a trace must not leave it out.
    """
    named = [
        host
        for _, host in sorted(program.host_endpoints.items())
        if host.interface not in ("", EVERY_INTERFACE, *_TUNNELS)
    ]
    expecting = [host for host in named if not set(addresses).isdisjoint(host.addresses)]
    silent = [host for host in named if not host.addresses]
    return next((host.interface for host in (*expecting, *silent)), _MAIN)


def _interface(cluster: Cluster, packet: Packet, way: Way) -> str:
    """The device between two nodes: a tunnel's where the pool of the destination has one."""
    target = Prefix.single(packet.version, packet.destination)
    pool = next((pool for pool in cluster.pools if pool.cidr.contains(target)), None)
    if pool is None or not (way.source and way.destination):
        return _MAIN
    if pool.only_across_subnets and _share_a_subnet(cluster, way, packet.version):
        return _MAIN
    return pool.device or _MAIN


def _share_a_subnet(cluster: Cluster, way: Way, version: int) -> bool:
    ends = (cluster.hosts.get(way.source, Host()), cluster.hosts.get(way.destination, Host()))
    one, other = ({net for net in end.subnets if net.version == version} for end in ends)
    return bool(one & other)
