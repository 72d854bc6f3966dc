"""What holds for every request of a moment: configuration, reservations, the time. Pure."""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from tortie.api import IPAMBlockSpec, IPAMConfigurationSpec, IPReservation
from tortie.ipam.block import cooled, is_empty, is_past, size_of
from tortie.net import Prefix, parse_network

_SETTLED = 60  # seconds, as in Calico


class Terms(NamedTuple):
    """`reserved`: addresses that are given out only where they are asked for. `now`: RFC 3339."""

    config: IPAMConfigurationSpec
    reserved: tuple[Prefix, ...]
    now: str

    @classmethod
    def reserving(cls, reserved: tuple[Prefix, ...]) -> "Terms":
        """Terms that only reserve."""
        return cls(IPAMConfigurationSpec(), reserved, "")

    @property
    def cooling_since(self) -> str:
        """From when on what is released now cools down; empty: it does not."""
        return self.now if self.config.ip_cooldown_seconds else ""

    def cooled(self, block: IPAMBlockSpec) -> IPAMBlockSpec:
        """The block as it is now: what has cooled down is free."""
        return cooled(block, self.now, self.config.ip_cooldown_seconds or 0)

    def reserved_in(self, cidr: Prefix) -> frozenset[int]:
        """The ordinals of a block that are reserved."""
        return frozenset(one for net in self.reserved for one in _common(cidr, net))

    def has_room(self, block: IPAMBlockSpec) -> bool:
        """Whether the block has an address to give out."""
        reserved = self.reserved_in(parse_network(block.cidr))
        return any(one not in reserved for one in self.cooled(block).unallocated)

    def is_left_empty(self, block: IPAMBlockSpec) -> bool:
        """Whether nobody uses the block, and its node did not claim it just now, to use it."""
        return is_empty(block) and is_past(block.affinity_claim_time or "", self.now, _SETTLED)

    def is_reserved(self, cidr: Prefix) -> bool:
        """Whether all addresses of a block are reserved."""
        return len(self.reserved_in(cidr)) == size_of(cidr)


def reserved_by(reservations: Iterable[IPReservation]) -> tuple[Prefix, ...]:
    """What is reserved. What is no CIDR is passed over: validation keeps it out."""
    return tuple(net for one in reservations for net in _networks(one.spec.reserved_cidrs))


def _networks(texts: Iterable[str]) -> Iterator[Prefix]:
    for text in texts:
        try:
            yield parse_network(text)
        except ValueError:
            continue


def _common(cidr: Prefix, net: Prefix) -> Iterable[int]:
    """The ordinals of `cidr` that `net` covers."""
    if net.contains(cidr):
        return range(size_of(cidr))
    if not cidr.contains(net):
        return ()
    first = net.address - cidr.address
    return range(first, first + size_of(net))
