"""What is judged (a packet) and by what (a program as lookups)."""

from collections.abc import Mapping, Set

from msgspec import Struct

from tortie.net import Prefix, format_address, protocol_name
from tortie.net.protocols import ICMP, ICMPV6
from tortie.policy.program import (
    Endpoint,
    EndpointId,
    IPPort,
    Member,
    Policy,
    PolicyId,
    Profile,
    SetId,
)


class Program(Struct, frozen=True):
    """Everything that a verdict depends on, by id.

    `policies`, `profiles` and `sets` must hold whatever `endpoints` and their rules name: a gap
    raises KeyError, since a program with gaps must never be taken for an answer. `titles` say of
    sets what they hold, for reasons only; a set without one goes by its id.
    """

    endpoints: Mapping[EndpointId, Endpoint] = {}
    policies: Mapping[PolicyId, Policy] = {}
    profiles: Mapping[str, Profile] = {}
    sets: Mapping[SetId, Set[Member]] = {}
    titles: Mapping[SetId, str] = {}

    def title(self, name: SetId) -> str:
        """What to call a set before people."""
        return self.titles.get(name) or f"set {name}"


class Packet(Struct, frozen=True):
    """The first packet of a connection, as it leaves its source and reaches its destination.

    Addresses are ints, `protocol` an IP protocol number; ports are None where the protocol has
    none, as is the ICMP type elsewhere. The endpoints are the ends that this program decides
    about: None for an end that is no workload, or one of another node.
    """

    version: int
    source: int
    destination: int
    protocol: int
    source_port: int | None = None
    destination_port: int | None = None
    icmp_type: int | None = None
    icmp_code: int | None = None
    source_endpoint: EndpointId | None = None
    destination_endpoint: EndpointId | None = None

    def __str__(self) -> str:
        ends = (
            _end(self.version, self.source, self.source_port),
            _end(self.version, self.destination, self.destination_port),
        )
        icmp = "" if self.icmp_type is None else f" type {self.icmp_type} code {self.icmp_code}"
        return f"{protocol_name(self.protocol)}{icmp} {ends[0]} -> {ends[1]}"

    @property
    def is_icmp(self) -> bool:
        """Whether this is the ICMP of its IP version."""
        return self.protocol == (ICMP if self.version == 4 else ICMPV6)


class End(Struct, frozen=True):
    """One end of a packet, as a rule's PeerMatch sees it."""

    version: int
    address: int
    protocol: int
    port: int | None

    @property
    def host(self) -> Prefix:
        """The address alone, as a prefix."""
        return Prefix.single(self.version, self.address)

    @property
    def ip_port(self) -> IPPort | None:
        """What an IP_PORT set would hold for this end."""
        if self.port is None:
            return None
        return IPPort(self.version, self.address, self.protocol, self.port)

    def __str__(self) -> str:
        return format_address(self.version, self.address)


def source_of(packet: Packet) -> End:
    """The end that the packet comes from."""
    return End(packet.version, packet.source, packet.protocol, packet.source_port)


def destination_of(packet: Packet) -> End:
    """The end that the packet goes to."""
    return End(packet.version, packet.destination, packet.protocol, packet.destination_port)


def _end(version: int, address: int, port: int | None) -> str:
    text = format_address(version, address)
    if port is None:
        return text
    return f"[{text}]:{port}" if version == 6 else f"{text}:{port}"
