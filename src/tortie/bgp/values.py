"""Readers of what the API has as text: durations, AS numbers, addresses of peers. Pure.

Each raises ValueError that says what was found.
"""

import re

from tortie.api import checks
from tortie.net import Prefix, format_address, parse_address, parse_prefix

PORT = 179
_NO_MACHINE = {
    "unspecified": ("0.0.0.0/8", "::/128"),
    "multicast": ("224.0.0.0/4", "ff00::/8"),
    "reserved": ("240.0.0.0/4",),
    "link-local, which needs an interface": ("fe80::/10",),
}
_THIS_MACHINE = {"loopback": ("127.0.0.0/8", "::1/128")}
_POINT_TO_POINT = 31  # a prefix's length, without addresses of its own
_DURATION = re.compile(r"(\d+\.?\d*|\.\d+)(ns|us|µs|ms|s|m|h)", flags=re.ASCII)
_MILLISECONDS = {
    **{"ns": 1e-6, "us": 1e-3, "µs": 1e-3},
    **{"ms": 1.0, "s": 1e3, "m": 60e3, "h": 3600e3},
}


def milliseconds(text: str) -> int:
    """A duration as Go writes it ("1m30s"), in whole milliseconds."""
    checks.duration(text)
    if text.startswith("-"):
        raise ValueError(f"{text!r} is below zero")
    return round(sum(float(n) * _MILLISECONDS[unit] for n, unit in _DURATION.findall(text)))


def seconds(text: str, lowest: int, highest: int) -> int:
    """A duration in whole seconds, within what BGP can say."""
    found = -(-milliseconds(text) // 1000)
    if not lowest <= found <= highest:
        raise ValueError(f"{text} is not from {lowest}s to {highest}s")
    return found


def as_number(value: int | str) -> int:
    """An AS number that a speaker can have: 1 to 4294967295."""
    found = checks.as_number(value)
    if found == 0:
        raise ValueError("the AS number 0 is nobody's")
    return found


def _ranges(named: dict[str, tuple[str, ...]]) -> tuple[tuple[str, Prefix], ...]:
    return tuple((name, parse_prefix(text)) for name, texts in named.items() for text in texts)


_NOBODYS = _ranges(_NO_MACHINE)
_NO_NODES = _ranges(_NO_MACHINE | _THIS_MACHINE)


def _refuse(found: Prefix, ranges: tuple[tuple[str, Prefix], ...]) -> None:
    for name, each in ranges:
        if each.contains(found):
            text = format_address(found.version, found.address)
            raise ValueError(f"{text} is no machine's address: it is {name}")


def machine_address(version: int, address: int) -> int:
    """An address that a machine can have, of a peer that may be this machine itself."""
    _refuse(Prefix.single(version, address), _NOBODYS)
    return address


def peer_address(text: str) -> tuple[int, int, int | None]:
    """The (version, address, port or None) of "IP", "v4:port" or "[v6]:port"."""
    host, port = text, ""
    if text.startswith("["):
        host, _, port = text[1:].partition("]")
        port = port.removeprefix(":")
    elif text.count(":") == 1:
        host, _, port = text.partition(":")
    version, address = checks.address(host)
    return version, machine_address(version, address), _port(port) if port else None


def _port(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and len(text) <= 5 and 1 <= int(text) <= 65535):
        raise ValueError(f"{text!r} is no port from 1 to 65535")
    return int(text)


def node_address(text: str, version: int) -> Prefix:
    """A node's address with its subnet's length, host bits kept."""
    found = parse_prefix(text)
    if found.version != version:
        raise ValueError(f"{text!r} is no IPv{version} address")
    _refuse(Prefix.single(version, found.address), _NO_NODES)
    if version == 4 and found.length < _POINT_TO_POINT:
        hosts = (1 << (32 - found.length)) - 1
        if found.address & hosts in (0, hosts):
            raise ValueError(f"{text} is no machine's address: it is its subnet's own, or to all")
    return found


def cluster_id(text: str) -> int:
    """A route reflector's cluster id, written as an IPv4 address."""
    version, address = parse_address(text)
    if version != 4:
        raise ValueError(f"{text!r} is no IPv4 address")
    return address
