"""Ports of admin policies, in the form of either version, as protocols with lists of ports."""

from collections.abc import Iterable

from tortie.api.fields import IntOrText
from tortie.api.kube.admin import NumberRange
from tortie.api.kube.admin_network_policy import PROTOCOLS, AdminPort
from tortie.api.kube.cluster_network_policy import DestinationPort, PortMatch, ProtocolMatch
from tortie.kubernetes.labels import ConversionError
from tortie.kubernetes.ports import Ports, checked_port_name, simplify
from tortie.net import PortRange

Match = tuple[str, PortRange | str]  # a protocol and ports of it, or the name of one


def ports_of_v1alpha1(ports: Iterable[AdminPort]) -> dict[str, Ports]:
    """Protocol → its ports, merged into the fewest ranges; no ports: nothing.

    Raises ConversionError for one that can't be matched.
    """
    return _merged(match for port in ports for match in _admin_port(port))


def ports_of_v1alpha2(protocols: Iterable[ProtocolMatch]) -> dict[str, Ports]:
    """As `ports_of_v1alpha1`, of the newer form."""
    return _merged(match for protocol in protocols for match in _protocol(protocol))


def _merged(matches: Iterable[Match]) -> dict[str, Ports]:
    found: dict[str, list[IntOrText | PortRange]] = {}
    for protocol, port in matches:
        found.setdefault(protocol, []).append(port)
    return {protocol: simplify(found[protocol]) for protocol in sorted(found)}


def _admin_port(port: AdminPort) -> list[Match]:
    match port:
        case AdminPort(port_number=number, port_range=None, named_port="") if number is not None:
            return [(_known(number.protocol), PortRange(number.port, number.port))]
        case AdminPort(port_number=None, port_range=span, named_port="") if span is not None:
            return [(_known(span.protocol), _range(span))]
        case AdminPort(port_number=None, port_range=None, named_port=name) if name:
            return _named(name)
    raise ConversionError("a port needs exactly one of portNumber, portRange and namedPort")


def _protocol(match: ProtocolMatch) -> list[Match]:
    given = [
        (name, value)
        for name, value in (("TCP", match.tcp), ("UDP", match.udp), ("SCTP", match.sctp))
        if value is not None
    ]
    name = match.destination_named_port
    if len(given) + bool(name) != 1:
        raise ConversionError("a protocol needs exactly one of tcp, udp, sctp and a named port")
    return _named(name) if name else [(protocol, _destination(of)) for protocol, of in given]


def _destination(match: PortMatch) -> PortRange:
    match match.destination_port:
        case DestinationPort(number=int(number), range=None):
            return PortRange(number, number)
        case DestinationPort(number=None, range=NumberRange() as span):
            return _range(span)
    raise ConversionError("a destinationPort needs exactly one of number and range")


def _range(span: NumberRange) -> PortRange:
    if span.start > span.end:
        raise ConversionError(f"{span.start} to {span.end} is no range of ports")
    return PortRange(span.start, span.end)


def _known(protocol: str) -> str:
    if protocol not in PROTOCOLS:
        raise ConversionError(f"{protocol!r} is not one of {', '.join(PROTOCOLS)}")
    return protocol


def _named(name: str) -> list[Match]:
    """A container's port has a protocol, and the name may be given to one of each."""
    checked = checked_port_name(name)
    return [(protocol, checked) for protocol in PROTOCOLS]
