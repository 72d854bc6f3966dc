"""Readers of the settings' values: text in, a typed value out, or a ValueError that says what
is allowed."""

import math
import re
from collections.abc import Callable

from tortie.net import parse_address, parse_network, parse_port_range

SEVERITIES = ("TRACE", "DEBUG", "INFO", "WARNING", "ERROR", "FATAL")
_ALWAYS_SAFE = ("tcp:179", "tcp:2379", "tcp:2380", "tcp:5473", "tcp:6443", "tcp:6666", "tcp:6667")
FAILSAFE_INBOUND = ("tcp:22", "udp:68", *_ALWAYS_SAFE)
FAILSAFE_OUTBOUND = ("udp:53", "udp:67", *_ALWAYS_SAFE)

_TRUE = frozenset({"true", "1", "yes", "y", "t"})
_FALSE = frozenset({"false", "0", "no", "n", "f"})
_HOST = re.compile(r"[a-zA-Z0-9:._+-]{1,64}")
_PREFIXES = re.compile(r"[a-zA-Z0-9_-]{1,15}(,[a-zA-Z0-9_-]{1,15})*")
_NODE = re.compile(r"[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?")


def boolean(text: str) -> bool:
    """true or false, in the spellings that Calico takes."""
    folded = text.casefold()
    if folded not in _TRUE | _FALSE:
        raise ValueError("use true or false")
    return folded in _TRUE


def inverted_boolean(text: str) -> bool:
    """For a parameter whose name says "Disable…"."""
    return not boolean(text)


def integer(lowest: int, highest: int) -> Callable[[str], int]:
    """A reader of whole numbers of that range."""

    def read(text: str) -> int:
        try:
            number = int(text)
        except ValueError:
            number = lowest - 1
        if not lowest <= number <= highest:
            raise ValueError(f"use a whole number from {lowest} to {highest}")
        return number

    return read


def one_of(*allowed: str) -> Callable[[str], str]:
    """A reader of words from a list, in any case."""

    def read(text: str) -> str:
        for word in allowed:
            if word.casefold() == text.casefold():
                return word
        raise ValueError(f"use one of {', '.join(allowed)}")

    return read


def seconds(text: str) -> float:
    """A time in seconds, fractions allowed; 0 turns the thing off."""
    try:
        number = float(text)
    except ValueError:
        number = -1.0
    if not (math.isfinite(number) and number >= 0):
        raise ValueError('use seconds as a number, such as "90" or "0.5"')
    return number


def host(text: str) -> str:
    """A host name or address to listen on."""
    if not _HOST.fullmatch(text):
        raise ValueError("use a host name or an IP address of at most 64 characters")
    return text


def node_name(text: str) -> str:
    """A node's name: lower-case DNS labels, as Kubernetes has them."""
    folded = text.lower()
    if not _NODE.fullmatch(folded):
        raise ValueError(f"{text!r} is not a node name: use letters, digits, '-' and '.'")
    return folded


def interface_prefixes(text: str) -> tuple[str, ...]:
    """What the names of workloads' interfaces begin with."""
    if not _PREFIXES.fullmatch(text):
        raise ValueError('use prefixes of interface names, such as "cali" or "cali,tap"')
    return tuple(text.split(","))


def ipv4_address(text: str) -> str:
    """One IPv4 address."""
    version, _ = parse_address(text)
    if version != 4:
        raise ValueError("use an IPv4 address")
    return text


def port_range(text: str) -> str:
    """ "1024:65535" or one port."""
    parse_port_range(text)
    return text


def failsafe_ports(text: str) -> tuple[str, ...]:
    """A list of `port`, `protocol:port` or `protocol:cidr:port`; empty for none."""
    items = tuple(item.strip() for item in text.split(",") if item.strip())
    for item in items:
        _failsafe_port(item)
    return items


def _failsafe_port(item: str) -> None:
    protocol, _, rest = item.partition(":")
    cidr, _, port = rest.rpartition(":") if rest else ("", "", protocol)
    try:
        if rest and protocol.casefold() not in ("tcp", "udp"):
            raise ValueError("the protocol is tcp or udp")
        if cidr:
            parse_network(cidr.strip("[]"))
        if ":" in port or parse_port_range(port).first == 0:
            raise ValueError("the port is from 1 to 65535")
    except ValueError as problem:
        raise ValueError(
            f'{item!r}: {problem}; use items such as "22", "tcp:22" or "tcp:10.0.0.0/8:22"'
        ) from None
