"""Program sets as nftables keeps them: hashes of addresses, or intervals of their cover. Pure."""

from collections.abc import Iterable, Iterator, Set

from tortie.dataplane.nftables.sets import Element, Layout, member_element
from tortie.dataplane.policy.desired import ElementChange, settle
from tortie.dataplane.policy.families import Family
from tortie.net.cover import MaximalPrefixes
from tortie.policy.program import IPPort, Member, SetKind


class FamilySet:
    """The members of one IP version of a program's set, and how the kernel keeps them.

    Where some are real prefixes that is the disjoint cover, which an interval set needs.
    """

    def __init__(self, _: Family, kind: SetKind, members: Iterable[Member] = ()) -> None:
        self.layout = Layout.IP_PORTS if kind is SetKind.IP_PORT else Layout.ADDRESSES
        self.members: set[Member] = set(members)
        self._cover = MaximalPrefixes()
        if any(_is_net(one) for one in self.members):
            self.widen()

    def is_of(self, kind: SetKind) -> bool:
        """Whether it can hold what a set of this kind holds."""
        return (self.layout is Layout.IP_PORTS) == (kind is SetKind.IP_PORT)

    def widen(self) -> None:
        """Keep the members as an interval set from now on."""
        self.layout, self._cover = Layout.NETS, MaximalPrefixes()
        for one in self.members:
            if not isinstance(one, IPPort):
                self._cover.add(one)

    def elements(self) -> Iterator[Element]:
        """What the kernel's set should hold."""
        wanted: Iterable[Member] = self.members
        if self.layout is Layout.NETS:
            wanted = self._cover.cover
        return (member_element(self.layout, one) for one in wanted)

    def change(self, added: Set[Member], removed: Set[Member]) -> ElementChange[Element] | None:
        """Take a change of members; None when it needs another layout: the set begins anew."""
        coming, going = added - self.members, (removed & self.members) - added
        self.members |= coming
        self.members -= going
        if self.layout is Layout.NETS:
            return self._cover_change(coming, going)
        if self.layout is Layout.ADDRESSES and any(_is_net(one) for one in coming):
            self.widen()
            return None
        return ElementChange(self._encoded(coming), self._encoded(going))

    def _encoded(self, members: Iterable[Member]) -> set[Element]:
        return {member_element(self.layout, one) for one in members}

    def _cover_change(self, coming: Set[Member], going: Set[Member]) -> ElementChange[Element]:
        change: ElementChange[Element] = ElementChange(set(), set())
        steps = [(self._cover.remove, one) for one in going if not isinstance(one, IPPort)]
        steps += [(self._cover.add, one) for one in coming if not isinstance(one, IPPort)]
        for step, one in steps:
            result = step(one)
            settle(change.removed, change.added, self._encoded(result.removed))
            settle(change.added, change.removed, self._encoded(result.added))
        return change


def _is_net(member: Member) -> bool:
    return not isinstance(member, IPPort) and not member.is_single
