"""What is judged (a packet) and by what (a program as lookups)."""

from collections.abc import Iterable, Mapping, Set
from enum import StrEnum

from msgspec import Struct
from msgspec.structs import replace

from tortie.net import Prefix, format_address, protocol_name
from tortie.net.protocols import ICMP, ICMPV6
from tortie.policy.program import (
    DEFAULT_FAILSAFES,
    EVERY_INTERFACE,
    Endpoint,
    EndpointId,
    Failsafes,
    HostEndpoint,
    IPPort,
    Member,
    Policy,
    PolicyId,
    Profile,
    SetId,
)


class ToHost(StrEnum):
    """What becomes of a packet from a workload to its node, once the workload's egress allows it.

    The agent's DefaultEndpointToHostAction. RETURN leaves it to what else the node has: this
    program has no say then.
    """

    DROP = "DROP"
    ACCEPT = "ACCEPT"
    RETURN = "RETURN"


class Program(Struct, frozen=True):
    """Everything that a verdict depends on, by id.

    `policies`, `profiles` and `sets` must hold whatever endpoints and their rules name: a gap
    raises KeyError, since a program with gaps must never be taken for an answer. `titles` say of
    sets what they hold, for reasons only; a set without one goes by its id. `failsafes` are of
    all host endpoints, `to_host` is of all workloads.
    """

    endpoints: Mapping[EndpointId, Endpoint] = {}
    policies: Mapping[PolicyId, Policy] = {}
    profiles: Mapping[str, Profile] = {}
    sets: Mapping[SetId, Set[Member]] = {}
    titles: Mapping[SetId, str] = {}
    host_endpoints: Mapping[EndpointId, HostEndpoint] = {}
    failsafes: Failsafes = DEFAULT_FAILSAFES
    to_host: ToHost = ToHost.DROP

    def title(self, name: SetId) -> str:
        """What to call a set before people."""
        return self.titles.get(name) or f"set {name}"


class Path(StrEnum):
    """Where a packet begins and ends, as the node sees it."""

    FORWARD = "forward"  # it passes through; workloads are beyond the node itself
    TO_HOST = "to-host"  # it ends in a process of the node
    FROM_HOST = "from-host"  # it begins in a process of the node


class Packet(Struct, frozen=True):
    """The first packet of a connection, as it leaves its source and reaches its destination.

    Addresses are ints, `protocol` an IP protocol number; ports are None where the protocol has
    none, as is the ICMP type elsewhere. The endpoints are the ends that this program decides
    about: None for an end that is no workload, or one of another node.

    `entered` and `left` are the host endpoints by whose interfaces the packet comes into the node
    and leaves it; None where there is none (see `host_endpoint_of`). `first_destination` and
    `first_destination_port` are where it was sent to, where the node's NAT changed that.
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
    path: Path = Path.FORWARD
    entered: EndpointId | None = None
    left: EndpointId | None = None
    first_destination: int | None = None
    first_destination_port: int | None = None

    @property
    def before_nat(self) -> "Packet":
        """The packet as it was before its destination was changed."""
        if self.first_destination is None:
            return self
        return replace(
            self,
            destination=self.first_destination,
            destination_port=self.first_destination_port,
        )

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


def host_endpoint_of(
    program: Program, interface: str, addresses: Iterable[Prefix]
) -> EndpointId | None:
    """Which host endpoint an interface of the node itself (no workload's) is; None for none.

    One that names the interface goes before one that has an address of it, and both before one of
    every interface; of several, the first by id.
    """
    found = {Prefix.single(net.version, net.address) for net in addresses}

    def rank(host: HostEndpoint) -> int | None:
        if host.interface:
            return {interface: 0, EVERY_INTERFACE: 2}.get(host.interface)
        return 1 if found & set(host.addresses) else None

    ranked = [(rank(host), host.id) for host in program.host_endpoints.values()]
    return min(((place, name) for place, name in ranked if place is not None), default=(0, None))[1]


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
