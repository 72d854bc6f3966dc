"""Addresses and networks."""

import re
from collections.abc import Callable
from functools import lru_cache

from tortie.net import Prefix, format_address, parse_address, parse_network, parse_prefix

_MAC = re.compile(r"[0-9A-Fa-f]{2}([:-])[0-9A-Fa-f]{2}(\1[0-9A-Fa-f]{2}){4}")
_MAPPED = parse_network("::ffff:0:0/96")
_REMEMBERED = 65536


@lru_cache(_REMEMBERED)
def cidr(text: str) -> Prefix:
    """A CIDR: an address, "/" and a prefix length. Host bits may be set."""
    prefix = network(text)
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
    prefix = parse_prefix(text)
    if _MAPPED.contains(prefix):
        # No packet has such an address: a rule that denies it would let everything through.
        inner = format_address(4, prefix.address & 0xFFFFFFFF)
        length = f"/{prefix.length - 96}" if "/" in text else ""
        raise ValueError(f"{text!r} is IPv4 in the form of IPv6: write {inner}{length}")
    return prefix


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


def address(text: str) -> tuple[int, int]:
    """A bare IP address, as (version, address)."""
    found = parse_address(text)
    network(text)
    return found


def address4(text: str) -> None:
    """A bare IPv4 address."""
    if address(text)[0] != 4:
        raise ValueError(f"{text} is no IPv4 address")


def address6(text: str) -> None:
    """A bare IPv6 address."""
    if address(text)[0] != 6:
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
        return not text or address(text)[0] == version
    except ValueError:
        return False


def mac(text: str) -> None:
    """A MAC address of six bytes."""
    if not _MAC.fullmatch(text):
        raise ValueError(f"{text!r} is no MAC address such as 66:2d:f4:01:23:ab")
