"""Addresses and networks."""

import re
from collections.abc import Callable
from functools import lru_cache

from tortie.net import Prefix, parse_address, parse_prefix

_MAC = re.compile(r"[0-9A-Fa-f]{2}([:-][0-9A-Fa-f]{2}){5}")
_REMEMBERED = 65536


@lru_cache(_REMEMBERED)
def cidr(text: str) -> Prefix:
    """A CIDR: an address, "/" and a prefix length. Host bits may be set."""
    prefix = parse_prefix(text)
    if "/" not in text:
        raise ValueError(f"{text!r} has no prefix length: write {text}/{prefix.length}")
    return prefix


def is_cidr(text: str) -> bool:
    """Whether it is a CIDR."""
    try:
        return bool(cidr(text))
    except ValueError:
        return False


def cidr_of(version: int) -> Callable[[str], None]:
    """A check: a CIDR of this IP version."""

    def check(text: str) -> None:
        if cidr(text).version != version:
            raise ValueError(f"{text} is not IPv{version}")

    return check


@lru_cache(_REMEMBERED)
def network(text: str) -> Prefix:
    """A CIDR or a bare address."""
    return parse_prefix(text)


def masked_cidr(text: str) -> Prefix:
    """A CIDR with host bits zero."""
    prefix = cidr(text)
    if prefix != prefix.network:
        raise ValueError(f"{text} has bits beyond the prefix length: write {prefix.network}")
    return prefix


def single(text: str) -> Prefix:
    """One address: bare, or with /32 or /128."""
    prefix = network(text)
    if not prefix.is_single:
        raise ValueError(f"{text} is more than one address")
    return prefix


def address(text: str) -> None:
    """A bare IP address."""
    parse_address(text)


def address4(text: str) -> None:
    """A bare IPv4 address."""
    if parse_address(text)[0] != 4:
        raise ValueError(f"{text} is no IPv4 address")


def address6(text: str) -> None:
    """A bare IPv6 address."""
    if parse_address(text)[0] != 6:
        raise ValueError(f"{text} is no IPv6 address")


def cidr4(text: str) -> None:
    """An IPv4 address, with or without a prefix length."""
    if network(text).version != 4:
        raise ValueError(f"{text} is not IPv4")


def cidr6(text: str) -> None:
    """An IPv6 address, with or without a prefix length."""
    if network(text).version != 6:
        raise ValueError(f"{text} is not IPv6")


def is_address(text: str, version: int) -> bool:
    """Whether it is an address of the family, or absent."""
    try:
        return not text or parse_address(text)[0] == version
    except ValueError:
        return False


def mac(text: str) -> None:
    """A MAC address of six bytes."""
    if not _MAC.fullmatch(text):
        raise ValueError(f"{text!r} is no MAC address such as 66:2d:f4:01:23:ab")
