"""Which workload has each address, so that its connections end when it leaves. Pure.

An established packet is not asked for policy again: whoever spoke with an address's former holder
would go on with the next one, whatever its policy says. So connections are forgotten when a holder
leaves, and when another comes. A link that only goes down, or a policy that changes, costs none.
"""

from collections.abc import Collection, Mapping, Set
from typing import NamedTuple

from tortie.net import Prefix
from tortie.policy.program import EndpointId


class Holder(NamedTuple):
    """A workload at one interface: a container that comes anew under its name is another one."""

    endpoint: EndpointId
    link: int


class Partings(NamedTuple):
    """Whose connections to forget, before routes are written and after.

    Until the route is another one, packets still go to who had the address before.
    """

    before: set[Prefix]
    after: set[Prefix]


class Holders:
    """What is known of the holders so far."""

    def __init__(self) -> None:
        self._held: dict[Prefix, Holder] = {}
        self._clean: set[Prefix] = set()  # left, with all connections forgotten

    def settle(
        self,
        now: Mapping[Prefix, Holder | None],
        adopted: Collection[Prefix],
        sealed: Collection[Prefix],
    ) -> Partings:
        """Take in who has addresses now; None where one has left.

        `adopted`: their routes are there already, as they should be, from an earlier process.
        `sealed`: within a block that drops what goes to nobody, so that no connection begins.
        """
        partings = Partings(set(), set())
        for address, holder in now.items():
            before = self._held.pop(address, None)
            if holder is None:
                if before is not None:
                    partings.after.add(address)
                    self._clean |= {address} if address in sealed else set()
                continue
            self._held[address] = holder
            is_clean = address in self._clean and address in sealed
            self._clean.discard(address)
            if before == holder or (before is None and (is_clean or address in adopted)):
                continue
            partings.before.add(address)
            if before is not None:
                partings.after.add(address)
        return partings

    def held(self, addresses: Set[Prefix]) -> Set[Prefix]:
        """Those that somebody had when last asked."""
        return self._held.keys() & addresses
