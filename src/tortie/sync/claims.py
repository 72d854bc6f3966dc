"""Which object (the source) gives the value of which key (the target). Pure.

Several sources may claim one target. Whoever is its own target wins; the others are its rivals and
wait. Among those that are not, the first to come keeps it.
"""

from collections import defaultdict

from tortie.api import Key


class Claims:
    """The owner of each target, and who would like to be."""

    def __init__(self) -> None:
        self._owners: dict[Key, Key] = {}
        self._rivals: defaultdict[Key, set[Key]] = defaultdict(set)

    def claim(self, source: Key, target: Key) -> bool:
        """Ask for a target; whether it is the source's now. Asking again changes nothing."""
        owner = self._owners.get(target)
        if owner is not None and owner != source:
            if source != target:
                self._rivals[target].add(source)
                return False
            self._rivals[target].add(owner)
        self._owners[target] = source
        return True

    def owns(self, source: Key, target: Key) -> bool:
        """Whether the target's value is this source's."""
        return self._owners.get(target) == source

    def bequeath(self, target: Key) -> Key | None:
        """Its owner gives a target up; the rival that has it now, None where nobody has."""
        rivals = self._rivals.get(target)
        if not rivals:
            del self._owners[target]
            return None
        heir = min(rivals)
        self._without(target, heir)
        self._owners[target] = heir
        return heir

    def renounce(self, source: Key, target: Key) -> None:
        """Claim a target of another no longer."""
        self._without(target, source)

    def _without(self, target: Key, source: Key) -> None:
        rivals = self._rivals.get(target)
        if rivals is not None:
            rivals.discard(source)
            if not rivals:
                del self._rivals[target]
