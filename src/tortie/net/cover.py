"""A multiset of prefixes as the disjoint prefixes that cover it.

The kernel's interval sets refuse overlapping elements, while a set of nets may hold 10.0.0.0/8 and
10.1.0.0/16, each several times over. Only those that lie in no other are put into the kernel.
"""

from collections.abc import Sequence
from typing import NamedTuple

from tortie.net.addresses import WIDTH, Prefix
from tortie.net.prefixmap import PrefixMap


class CoverChange(NamedTuple):
    """What a cover gains and loses, each sorted. Take away `removed` before adding `added`."""

    added: Sequence[Prefix] = ()
    removed: Sequence[Prefix] = ()


_NOTHING = CoverChange()


class MaximalPrefixes:
    """Counts prefixes, and knows those that no other one contains. Host bits must be zero."""

    def __init__(self) -> None:
        self._counts: dict[Prefix, int] = {}
        self._present: PrefixMap[None] = PrefixMap()

    def add(self, prefix: Prefix) -> CoverChange:
        """Count a prefix once more; what that changes about the cover."""
        count = self._counts.get(prefix, 0)
        self._counts[prefix] = count + 1
        if count:
            return _NOTHING
        covered = self._present.longest(prefix) is not None
        inside = [] if covered or prefix.is_single else list(self._present.outermost(prefix))
        self._present[prefix] = None
        return _NOTHING if covered else CoverChange([prefix], inside)

    def remove(self, prefix: Prefix) -> CoverChange:
        """Count a prefix once less; what that changes about the cover.

        Raises KeyError for one that is not there.
        """
        count = self._counts[prefix]
        if count > 1:
            self._counts[prefix] = count - 1
            return _NOTHING
        del self._counts[prefix]
        del self._present[prefix]
        if self._present.longest(prefix) is not None:
            return _NOTHING
        inside = [] if prefix.is_single else list(self._present.outermost(prefix))
        return CoverChange(inside, [prefix])

    @property
    def cover(self) -> list[Prefix]:
        """The prefixes that no other one contains, sorted."""
        return [
            found for version in WIDTH for found in self._present.outermost(Prefix(version, 0, 0))
        ]
