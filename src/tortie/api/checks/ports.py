"""Protocols and ports."""

import re
from functools import lru_cache

from tortie.net import parse_port_range, parse_protocol
from tortie.net.protocols import ICMP, ICMPV6, PORT_PROTOCOLS

_PORT_NAME = re.compile(r"[a-zA-Z0-9_.-]{1,128}")
_DASHED = re.compile(r"[0-9]*-[0-9]*")
_SERVICE = re.compile(r"(?=[^a-z]*[a-z])[a-z0-9]([-a-z0-9]{0,13}[a-z0-9])?")
_REMEMBERED = 65536


@lru_cache(1024)
def protocol(value: int | str) -> int:
    """A protocol's name or number."""
    return parse_protocol(value)


def is_icmp(value: int | str | None) -> bool:
    """ICMP of either version; no error for what is no protocol."""
    return _number(value) in (ICMP, ICMPV6)


def icmp_version(value: int | str | None) -> int | None:
    """The IP version that the protocol belongs to, None for both (and for what is none)."""
    return {ICMP: 4, ICMPV6: 6}.get(_number(value))


def has_ports(value: int | str | None) -> bool:
    """TCP, UDP or SCTP."""
    return _number(value) in PORT_PROTOCOLS


def is_tcp(value: int | str | None) -> bool:
    """TCP."""
    return _number(value) == 6


def _number(value: int | str | None) -> int:
    try:
        return protocol(value) if value is not None else 0
    except ValueError:
        return 0


def port_protocol(value: int | str) -> None:
    """A protocol that has ports."""
    protocol(value)
    if not has_ports(value):
        raise ValueError(f"{value} has no ports: use TCP, UDP or SCTP")


@lru_cache(_REMEMBERED)
def port(value: int | str) -> None:
    """A port from 1 to 65535, a range "80:90", or the name of a port."""
    if is_port_name(value):
        # "80-90" has the characters of a name, but is no port's: it would match nothing.
        if not _PORT_NAME.fullmatch(str(value)) or _DASHED.fullmatch(str(value)):
            raise ValueError(f"{value!r} is neither a port, a range such as 80:90, nor a name")
    elif parse_port_range(str(value)).first < 1:
        raise ValueError(f"{value}: ports begin with 1")


def single_port(value: int | str) -> None:
    """One port from 1 to 65535, or the name of one."""
    port(value)
    if isinstance(value, str) and not is_port_name(value):
        raise ValueError(f"{value!r}: a number stands without quotes here")


def service_port_name(text: str) -> None:
    """A name as of services (RFC 6335): 15 lower-case letters, digits and "-" at most."""
    if not _SERVICE.fullmatch(text) or "--" in text:
        raise ValueError(
            f"{text!r} is no port name: at most 15 lower-case letters, digits and '-', "
            "with a letter among them"
        )


def is_port_name(value: int | str) -> bool:
    """Whether it names a port, rather than being a number or a range."""
    return isinstance(value, str) and not value.replace(":", "").isdecimal()


def port_name(text: str) -> None:
    """A name for a port."""
    if not _PORT_NAME.fullmatch(text):
        raise ValueError(f"{text!r} is no port name: 1 to 128 of A-Z a-z 0-9 _ . -")
