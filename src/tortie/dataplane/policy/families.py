"""The two IP versions, each with tables, chains and sets of its own. Pure."""

from typing import NamedTuple


class Family(NamedTuple):
    """One IP version: name in nft, type of addresses there, number of its ICMP."""

    version: int
    nft: str
    number: int  # the kernel's protocol family
    address_type: str
    icmp: int


IPV4 = Family(4, "ip", 2, "ipv4_addr", 1)
IPV6 = Family(6, "ip6", 10, "ipv6_addr", 58)
FAMILIES = (IPV4, IPV6)


def family_of(version: int) -> Family:
    """The family of IP version 4 or 6."""
    return IPV4 if version == 4 else IPV6
