"""What a workload's limits ask of a firewall, whichever it is. Pure.

They stand in chains of their own, one for packets and one for connections, which an endpoint's
chain asks: what such a rule remembers ends with the rule, and policies change far more often than
limits.
"""

from collections.abc import Iterator
from typing import NamedTuple

from tortie.dataplane.policy.names import ChainName, Way, checked_interface
from tortie.policy.program import Endpoint

_BURST = 5  # Calico's, where only a rate is given


class PacketRate(NamedTuple):
    """Packets a second, and how many may come at once after a pause."""

    rate: int
    burst: int


class Limits(NamedTuple):
    """The limits of one direction; None where there is none."""

    packets: PacketRate | None = None
    connections: int | None = None


def limits_of(endpoint: Endpoint, way: Way) -> Limits:
    """An endpoint's limits of what goes to it, or comes from it."""
    told = endpoint.qos
    if told is None:
        return Limits()
    if way is Way.TO:
        rate, burst, most = (
            told.ingress_packet_rate,
            told.ingress_packet_burst,
            told.ingress_max_connections,
        )
    else:
        rate, burst, most = (
            told.egress_packet_rate,
            told.egress_packet_burst,
            told.egress_max_connections,
        )
    return Limits(PacketRate(rate, burst or _BURST) if rate else None, most or None)


def counts_packets(endpoint: Endpoint) -> bool:
    """Whether every packet of it must be asked, whatever is known of its connection."""
    return any(limits_of(endpoint, way).packets is not None for way in Way)


def rate_chain(way: Way, interface: str) -> ChainName:
    """cali-tr-cali123: where the packets to (tr) or from (fr) an interface are counted.

    Raises UnsafeName.
    """
    return ChainName(f"cali-{_LETTERS[way]}r-{checked_interface(interface)}")


def connections_chain(way: Way, interface: str) -> ChainName:
    """cali-tc-cali123: where new connections to (tc) or from (fc) an interface are counted.

    Raises UnsafeName.
    """
    return ChainName(f"cali-{_LETTERS[way]}c-{checked_interface(interface)}")


_LETTERS = {Way.TO: "t", Way.FROM: "f"}


def needed_chains(endpoint: Endpoint) -> Iterator[ChainName]:
    """The chains that an endpoint's limits need. Raises UnsafeName."""
    for way in Way:
        limits = limits_of(endpoint, way)
        if limits.packets is not None:
            yield rate_chain(way, endpoint.interface)
        if limits.connections is not None:
            yield connections_chain(way, endpoint.interface)


def possible_chains(interface: str) -> Iterator[ChainName]:
    """The chains that limits of an interface could need. Raises UnsafeName."""
    for way in Way:
        yield rate_chain(way, interface)
        yield connections_chain(way, interface)
