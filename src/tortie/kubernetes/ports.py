"""Kubernetes' ports as protocols with minimal lists of ports."""

import re
from collections.abc import Iterable

from tortie.api import NetworkPolicyPort
from tortie.api.fields import IntOrText
from tortie.kubernetes.labels import ConversionError
from tortie.net import PortRange

_NAME = re.compile(r"[A-Za-z0-9_.-]{1,128}")
_MOST = 50  # ports of one rule, as the API has it
Ports = tuple[IntOrText, ...]


def ports_by_protocol(ports: Iterable[NetworkPolicyPort]) -> dict[str, Ports]:
    """Protocol → its ports, merged into the fewest ranges; () is every port of the protocol.

    Raises ConversionError for a port that is none.
    """
    found: dict[str, list[IntOrText | PortRange]] = {}
    whole: set[str] = set()
    for port in ports:
        protocol = port.protocol or "TCP"
        found.setdefault(protocol, [])
        if port.port is None:
            if port.end_port is not None:
                raise ConversionError(f"endPort {port.end_port} without a port")
            whole.add(protocol)
        else:
            found[protocol].append(_port(port.port, port.end_port))
    return {
        protocol: () if protocol in whole else simplify(found[protocol])
        for protocol in sorted(found)
    }


def _port(port: IntOrText, end: int | None) -> PortRange | str:
    if isinstance(port, str) and port.isascii() and port.isdigit():
        port = int(port)
    if isinstance(port, str):
        if end is not None:
            raise ConversionError(f"endPort {end} with the named port {port!r}")
        return checked_port_name(port)
    last = port if end is None else end
    if not 1 <= port <= last <= 65535:
        raise ConversionError(f"{port} to {last} is no range of ports")
    return PortRange(port, last)


def checked_port_name(text: str) -> str:
    """The name of a port. Raises ConversionError, also for one that would be read as a number."""
    if not _NAME.fullmatch(text) or text.isdigit():
        raise ConversionError(f"{text!r} is no port")
    return text


def in_pieces(ports: Ports) -> list[Ports]:
    """The same ports as lists that one rule can hold; () stays one, and is every port."""
    starts = range(0, len(ports) or 1, _MOST)
    return [ports[start : start + _MOST] for start in starts]


def simplify(ports: Iterable[IntOrText | PortRange]) -> Ports:
    """Ranges that overlap or touch as one, in order; then the names, each once, in order."""
    names = sorted({port for port in ports if isinstance(port, str)})
    merged: list[PortRange] = []
    for port in sorted(port for port in ports if isinstance(port, PortRange)):
        if merged and port.first <= merged[-1].last + 1:
            merged[-1] = PortRange(merged[-1].first, max(merged[-1].last, port.last))
        else:
            merged.append(port)
    numbers = (port.first if port.first == port.last else str(port) for port in merged)
    return (*numbers, *names)
