"""IPv4 and IPv6 addresses and prefixes as integers.

An address is `(version, int)`; a prefix adds a length. The integer is in host order, so
`address >> (32 - length)` is the network part of an IPv4 prefix.
"""

# `_socket` is the part of `socket` written in C. All of `socket` would be a good part of the time
# that the command line takes to start.
from _socket import AF_INET, AF_INET6, inet_ntop, inet_pton
from typing import Literal, NamedTuple, cast

Version = Literal[4, 6]
WIDTH: dict[int, int] = {4: 32, 6: 128}
_FAMILY: dict[int, int] = {4: AF_INET, 6: AF_INET6}


class Prefix(NamedTuple):
    """A block of addresses. Sorts by family, then address, then length (shorter first).

    `address` has its host bits zero unless the prefix was read with `parse_prefix`, which keeps
    them (the address of an interface, "10.0.0.5/24").
    """

    version: int
    address: int
    length: int

    @property
    def is_single(self) -> bool:
        """Whether this is one address (/32 or /128)."""
        return self.length == WIDTH[self.version]

    @property
    def network(self) -> "Prefix":
        """The same prefix with its host bits zero."""
        return Prefix(self.version, self.address & mask_of(self.version, self.length), self.length)

    @property
    def last(self) -> int:
        """The highest address of the block."""
        return self.address | host_mask(self.version, self.length)

    def contains(self, other: "Prefix") -> bool:
        """Whether every address of `other` is in this block (itself included)."""
        return (
            self.version == other.version
            and self.length <= other.length
            and other.address & mask_of(self.version, self.length) == self.address
        )

    def __str__(self) -> str:
        return f"{format_address(self.version, self.address)}/{self.length}"

    @classmethod
    def single(cls, version: int, address: int) -> "Prefix":
        """The /32 or /128 of one address."""
        return cls(version, address, WIDTH[version])


def mask_of(version: int, length: int) -> int:
    """The netmask of `length` bits as an int."""
    return ((1 << WIDTH[version]) - 1) ^ host_mask(version, length)


def host_mask(version: int, length: int) -> int:
    """The bits that a netmask of `length` leaves to hosts, as an int."""
    return ((1 << WIDTH[version]) - 1) >> length


def parse_address(text: str) -> tuple[Version, int]:
    """Read "10.0.0.1" or "fd00::1" as (version, int).

    Raises ValueError for anything else: shortened IPv4 forms, zones and white space included.
    """
    version: Version = 6 if ":" in text else 4
    try:
        packed = inet_pton(_FAMILY[version], text)
    except (OSError, UnicodeError, ValueError):
        raise ValueError(f"{text!r} is not an IP address") from None
    return version, int.from_bytes(packed)


def format_address(version: int, address: int) -> str:
    """The text of an address, IPv6 in its shortest form (RFC 5952)."""
    return inet_ntop(_FAMILY[version], address.to_bytes(WIDTH[version] // 8))


def parse_prefix(text: str) -> Prefix:
    """Read "10.0.0.5/24", keeping host bits; a bare address is a /32 or /128.

    Raises ValueError with what was found for anything else.
    """
    base, slash, tail = text.partition("/")
    version, address = parse_address(base)
    if not slash:
        return Prefix.single(version, address)
    if not (tail.isascii() and tail.isdigit() and len(tail) <= 3 and str(int(tail)) == tail):
        raise ValueError(f"{text!r} has no prefix length after '/'")
    length = int(tail)
    if length > WIDTH[version]:
        raise ValueError(f"{text!r}: the prefix length is above {WIDTH[version]}")
    return Prefix(cast(int, version), address, length)


def parse_network(text: str) -> Prefix:
    """Read "10.0.0.0/24" with host bits dropped: "10.0.0.5/24" is 10.0.0.0/24."""
    return parse_prefix(text).network


_MAPPED = Prefix(6, 0xFFFF << 32, 96)  # RFC 4291, section 2.5.5.2


def unmapped(prefix: Prefix) -> Prefix:
    """The IPv4 prefix that an IPv4-mapped one ("::ffff:10.0.0.1") means; any other as it is.

    No packet carries a mapped address, so a rule about one would silently be about nothing.
    """
    if not _MAPPED.contains(prefix):
        return prefix
    return Prefix(4, prefix.address & host_mask(6, 96), prefix.length - 96)
