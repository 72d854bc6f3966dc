"""From two ends and a port to the packets whose verdicts are the answer."""

from collections.abc import Iterator
from typing import NamedTuple

from tortie.net import Prefix, format_address, parse_protocol, protocol_name
from tortie.net.protocols import ICMP, ICMPV6, PORT_PROTOCOLS
from tortie.policy import Packet, Verdict
from tortie.trace.cluster import Cluster
from tortie.trace.ends import End, ServiceEnd, end_named
from tortie.trace.judging import Way, judge

SOURCE_PORT = 49152  # the first of those that clients get (RFC 6335, section 6)
_ECHO = {ICMP: 8, ICMPV6: 128}


class NoQuestion(ValueError):
    """Text that is no port, or ends that can't have a connection; the message says why."""


class Port(NamedTuple):
    """What is asked for: a protocol's number with a port, or with an ICMP type and code."""

    protocol: int
    port: int | None = None
    icmp_type: int | None = None
    icmp_code: int | None = None

    def __str__(self) -> str:
        name = protocol_name(self.protocol).lower()
        if self.icmp_type is not None:
            return f"{name} type {self.icmp_type} code {self.icmp_code}"
        return name if self.port is None else f"{self.port}/{name}"


def parse_port(text: str) -> Port:
    """Read "80/tcp", "tcp/80", "80" (TCP), "icmp" (an echo), "icmp/3/1", "89". Raises NoQuestion.

    A number alone is a port; a protocol by number is written "proto/89".
    """
    words = text.lower().split("/")
    try:
        if words[0] == "proto" and len(words) == 2:
            return _bare(parse_protocol(words[1]))
        if words[0].isdigit():
            words = [*(words[1:] or ["tcp"]), words[0]]
        protocol = parse_protocol({"icmp6": "icmpv6"}.get(words[0], words[0]))
        return _of(protocol, words[1:])
    except ValueError as error:
        raise NoQuestion(f"{text!r} is no port: {error}; write 80/tcp, 53/udp or icmp") from None


def _of(protocol: int, numbers: list[str]) -> Port:
    if protocol not in PORT_PROTOCOLS:
        return _bare(protocol, numbers)
    if len(numbers) != 1 or not numbers[0].isdigit() or not 0 < int(numbers[0]) < 65536:
        raise ValueError(f"{protocol_name(protocol)} needs one port from 1 to 65535")
    return Port(protocol, int(numbers[0]))


def _bare(protocol: int, numbers: list[str] | None = None) -> Port:
    if protocol in PORT_PROTOCOLS:
        raise ValueError(f"{protocol_name(protocol)} needs a port")
    if protocol not in _ECHO:
        if numbers:
            raise ValueError(f"{protocol_name(protocol)} has no ports")
        return Port(protocol)
    if not all(number.isdigit() and int(number) < 256 for number in numbers or ()):
        raise ValueError("an ICMP type and code are 0 to 255")
    kind, code = [*map(int, numbers or ()), *(_ECHO[protocol], 0)[len(numbers or ()) :]][:2]
    return Port(protocol, icmp_type=kind, icmp_code=code)


def verdicts(
    cluster: Cluster, source: End, destination: End | ServiceEnd, port: Port
) -> tuple[Verdict, ...]:
    """What becomes of such connections: one a family and backend. Raises NoQuestion."""
    return tuple(judge(cluster, *sent) for sent in packets(cluster, source, destination, port))


def packets(
    cluster: Cluster, source: End, destination: End | ServiceEnd, port: Port
) -> tuple[tuple[Packet, Way], ...]:
    """The first packets of such connections, and between which nodes. Raises NoQuestion."""
    if isinstance(destination, ServiceEnd):
        found = tuple(_to_service(cluster, source, destination, port))
        problem = f"{destination} has no port {port} that {source.name} could use"
    else:
        found = tuple(_between(source, destination, port))
        problem = f"{source.name} and {destination.name} have no address family in common"
    if not found:
        raise NoQuestion(problem)
    return found


def _between(source: End, destination: End, port: Port) -> Iterator[tuple[Packet, Way]]:
    way = Way(source.node, destination.node)
    for left in source.addresses:
        for right in destination.addresses:
            if left.version == right.version and _fits(left.version, port):
                yield _packet(source, left, destination, right, port), way


def _to_service(
    cluster: Cluster, source: End, service: ServiceEnd, port: Port
) -> Iterator[tuple[Packet, Way]]:
    """What kube-proxy makes of them: to a backend's own address and port."""
    for backend in service.backends:
        if backend.port == port.port and parse_protocol(backend.protocol) == port.protocol:
            behind = end_named(cluster, format_address(backend.version, backend.address))
            yield from _between(source, behind, port._replace(port=backend.target))


def _fits(version: int, port: Port) -> bool:
    """Each family has its own ICMP."""
    return {ICMP: 4, ICMPV6: 6}.get(port.protocol, version) == version


def _packet(source: End, left: Prefix, destination: End, right: Prefix, port: Port) -> Packet:
    return Packet(
        version=left.version,
        source=left.address,
        destination=right.address,
        protocol=port.protocol,
        source_port=SOURCE_PORT if port.port is not None else None,
        destination_port=port.port,
        icmp_type=port.icmp_type,
        icmp_code=port.icmp_code,
        source_endpoint=source.endpoint,
        destination_endpoint=destination.endpoint,
    )
