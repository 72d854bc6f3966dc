"""What rules and sets must look like from afar, as last left by the driver.

Neither the kernel's own iptables nor ipset tells of changes. But how many entries a table has and
how many members a set costs little to ask, and what they must be follows from what was written: so
what others did is seen between two writes, and also where it came at the same moment as one.
"""

import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from threading import Lock

from tortie.dataplane.iptables.restore import Place
from tortie.dataplane.iptables.settings import Backend
from tortie.linux.netlink.ipset import SetHeaders
from tortie.linux.xtables import Extent, LegacyTables

VERSIONS = (4, 6)
_SHARE = 0.0012  # of one CPU, for sets, and for rules one by one
_AT_LEAST = 0.2  # seconds between two questions


class Unwatched:
    """Of a driver that nobody watches: it keeps nothing."""

    def close(self) -> None:
        """Nothing is open."""

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Nobody asks meanwhile."""
        yield

    def before_reading(self, places: Iterable[Place]) -> None:
        """Nothing is kept."""

    def sets_are(self, counts: Mapping[str, int]) -> None:
        """Nothing is kept."""

    def set_changed(self, name: str, count: int) -> None:
        """Nothing is kept."""

    def set_is(self, name: str, count: int | None) -> None:
        """Nothing is kept."""

    def rules_changed(self, place: Place, entries: int) -> None:
        """Nothing is kept."""


class Footprint(Unwatched):
    """Kept by the driver's thread as it reads and writes, asked by the watch's.

    It belongs to the namespace it was made in. Raises OSError (root).
    """

    def __init__(self, backend: Backend) -> None:
        self._lock = Lock()
        self._sets = Sets()
        self._tables = Tables() if backend is Backend.LEGACY else None

    def close(self) -> None:
        """Close the sockets."""
        self._sets.close()
        if self._tables is not None:
            self._tables.close()

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Nobody is told of a difference while the driver reads or writes."""
        with self._lock:
            yield

    def before_reading(self, places: Iterable[Place]) -> None:
        """These tables are there and about to be read: what comes after this is a difference."""
        if self._tables is not None:
            self._tables.begin(places)

    def sets_are(self, counts: Mapping[str, int]) -> None:
        """These sets of ours are there, with so many members."""
        self._sets.expected = dict(counts)

    def set_changed(self, name: str, count: int) -> None:
        """A set has so many members more, or less."""
        if name in self._sets.expected:  # else it was made before anybody watched
            self._sets.expected[name] += count

    def set_is(self, name: str, count: int | None) -> None:
        """A set has so many members; None: it is not there any more."""
        self._sets.expected.pop(name, None)
        if count is not None:
            self._sets.expected[name] = count

    def rules_changed(self, place: Place, entries: int) -> None:
        """The driver wrote a table, which has so many entries more, or less."""
        if self._tables is not None:
            self._tables.wrote(place, entries)

    def differs(self) -> bool:
        """Whether somebody else changed something since this was last asked."""
        if not self._lock.acquire(blocking=False):
            return False  # a write: it will be asked again
        try:
            of_tables = self._tables is not None and self._tables.differ()
            return self._sets.differ() or of_tables
        finally:
            self._lock.release()


class _Pace:
    """When a costly question may be asked again: it gets a share of one CPU."""

    def __init__(self) -> None:
        self._next = 0.0

    @contextmanager
    def paying(self) -> Iterator[None]:
        before = time.thread_time()
        yield
        cost = time.thread_time() - before
        self._next = time.monotonic() + max(_AT_LEAST, cost / _SHARE)

    @property
    def is_due(self) -> bool:
        return time.monotonic() >= self._next


class Sets:
    """How many members the sets have: a flushed one has none, a destroyed one is not there."""

    def __init__(self) -> None:
        self.expected: dict[str, int] = {}
        self._headers = SetHeaders()
        self._pace = _Pace()

    def close(self) -> None:
        self._headers.close()

    def differ(self) -> bool:
        if not (self.expected and self._pace.is_due):
            return False
        with self._pace.paying():
            found = self._headers.counts()
        here = {name: found[name] for name in self.expected if name in found}
        differs = here != self.expected
        self.expected = here
        return differs


class Tables:
    """How much each legacy table holds; now and then, what it holds."""

    def __init__(self) -> None:
        self._kernel = {version: LegacyTables(version) for version in VERSIONS}
        self._extents: dict[Place, Extent] = {}
        self._contents: dict[Place, tuple[int, int]] = {}  # mask, hash of what it leaves
        self._pace = _Pace()
        self._was_disturbed = False

    def close(self) -> None:
        for one in self._kernel.values():
            one.close()

    def begin(self, places: Iterable[Place]) -> None:
        self._contents.clear()
        self._extents = {one: self._kernel[one[0]].extent(one[1]) for one in places}

    def wrote(self, place: Place, entries: int) -> None:
        version, table = place
        before, now = self._extents.get(place), self._kernel[version].extent(table)
        self._was_disturbed |= before is not None and now.entries != before.entries + entries
        self._extents[place] = now
        self._contents.pop(place, None)

    def differ(self) -> bool:
        differs, self._was_disturbed = self._was_disturbed, False
        for place, known in self._extents.items():
            now = self._kernel[place[0]].extent(place[1])
            if now != known:
                differs, self._extents[place] = True, now
                self._contents.pop(place, None)
        self._know_contents()
        return differs or (self._pace.is_due and self._hold_others())

    def _know_contents(self) -> None:
        for place in self._extents.keys() - self._contents.keys():
            kernel = self._kernel[place[0]]
            rules = kernel.rules(place[1])
            mask = kernel.without_counters(rules)
            self._contents[place] = (mask, _told_by(rules, mask))

    def _hold_others(self) -> bool:
        """Whether a rule was replaced by one that is as long."""
        with self._pace.paying():
            changed = [
                place
                for place, (mask, known) in self._contents.items()
                if _told_by(self._kernel[place[0]].rules(place[1]), mask) != known
            ]
        for place in changed:
            del self._contents[place]
        return bool(changed)


def _told_by(rules: memoryview, mask: int) -> int:
    return hash(int.from_bytes(rules, "big") & mask)
