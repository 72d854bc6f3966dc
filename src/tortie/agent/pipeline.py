"""What the worker thread does: updates through the engine into the dataplane, one turn at a time.

Nothing of it knows the event loop. A turn takes everything that came up since the last one, so
that updates which arrive while the kernel is being written are written together.
"""

import time
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import NamedTuple, Protocol

from msgspec import Struct

from tortie.agent.census import Census, Counts
from tortie.api import Key, Resource
from tortie.dataplane.contract import Applied, Failure
from tortie.engine.configuration import Configuration
from tortie.engine.delta import Delta
from tortie.policy.program import EndpointId

KeyValue = tuple[Key, Resource | None]
Configure = Callable[[Configuration], Collection[str]]
"""Gives settings to engine and drivers; the names of the drivers that have others now."""


class Engine(Protocol):
    """`tortie.engine.Engine`, as far as it is used here."""

    def apply(self, updates: Iterable[KeyValue]) -> Delta:
        """The difference that these updates make to the node's desired state."""
        ...

    def warnings(self) -> list[str]:
        """What could not be lowered, since last asked."""
        ...


class Dataplane(Protocol):
    """`tortie.dataplane.composite.Dataplane`, as far as it is used here."""

    def guard(self) -> Applied: ...
    def fold(self, delta: Delta) -> None: ...
    def apply(self, delta: Delta) -> Applied: ...
    def resync(self) -> Applied: ...
    def retry(self) -> Applied: ...
    def repair(self, names: Collection[str]) -> Applied: ...
    def written(self) -> Mapping[str, int]: ...
    def links_changed(self, events: Iterable[tuple[str, str]]) -> Applied: ...
    def waiting_for(self, endpoint_id: EndpointId) -> str: ...


class LinkEvent(NamedTuple):
    """A link of the machine is now "up", "down" or "gone"."""

    name: str
    event: str


class Work(Struct, frozen=True):
    """Everything that one turn has to see to."""

    updates: tuple[KeyValue, ...] = ()
    in_sync: bool = False  # the updates so far, these included, are the complete picture
    links: tuple[LinkEvent, ...] = ()
    retry: bool = False  # what failed earlier is due again
    resync: bool = False  # compare the kernel with what is desired
    drifted: frozenset[str] = frozenset()  # drivers whose state others may have changed
    configuration: Configuration | None = None  # settings that are others than before
    watched: frozenset[EndpointId] = frozenset()  # whose readiness somebody waits for


class Turn(Struct, frozen=True):
    """What one turn did. Times are seconds; None where that part had nothing to do."""

    failures: tuple[Failure, ...] = ()
    warnings: tuple[str, ...] = ()
    waiting_for: Mapping[EndpointId, str] = {}  # of the watched; empty text: ready
    counts: Counts = Counts()
    calculated_in: float | None = None
    applied_in: float | None = None
    repaired: Mapping[str, int] = {}  # drivers that looked for drift, and what they put right
    adopted: bool = False  # the kernel was written for the first time in this turn


class Pipeline:
    """Engine and dataplane of one node. Used by one thread at a time."""

    def __init__(
        self,
        engine: Engine,
        dataplane: Dataplane,
        clock: Callable[[], float] = time.perf_counter,
        configure: Configure = lambda _: (),
    ) -> None:
        self._engine = engine
        self._dataplane = dataplane
        self._clock = clock
        self._configure = configure
        self._census = Census()
        self._adopted = False
        self._failures: tuple[Failure, ...] = ()
        self._repaired: Mapping[str, int] = {}

    def guard(self) -> tuple[Failure, ...]:
        """Before anything is known: leave no workload reachable without policy."""
        if self._adopted:
            return ()  # policy is known by now
        return self._dataplane.guard().failed

    def turn(self, work: Work) -> Turn:
        """Do all of `work`. Raises nothing that the dataplane or a resource can cause."""
        started = self._clock()
        configured = self._configure(work.configuration) if work.configuration else ()
        delta = self._calculate(work)
        calculated = self._clock()
        adopted_before = self._adopted
        self._repaired = {}
        wrote = self._write(work, delta, configured)
        return Turn(
            failures=self._failures,
            warnings=tuple(self._engine.warnings()),
            waiting_for={watched: self._waiting_for(watched) for watched in work.watched},
            counts=self._census.counts(),
            calculated_in=calculated - started if work.updates else None,
            applied_in=self._clock() - calculated if wrote else None,
            repaired=self._repaired,
            adopted=self._adopted and not adopted_before,
        )

    def _calculate(self, work: Work) -> Delta:
        if not work.updates and work.configuration is None:
            return Delta()
        self._census.see(work.updates)
        delta = self._engine.apply(work.updates)
        self._census.fold(delta)
        return delta

    def _write(self, work: Work, delta: Delta, configured: Collection[str]) -> bool:
        """Bring the kernel up to date; whether there was anything to write."""
        if not self._adopted:
            self._dataplane.fold(delta)
            if not work.in_sync:
                return self._shut(work)  # half a picture would cut off what is running
            self._adopted = True
            self._failures = self._dataplane.resync().failed
            return True
        wrote = [
            self._look(work),
            self._configured(configured),
            self._apply(delta),
            self._links(work.links),
            self._repair(work),
        ]
        return any(wrote)

    def _shut(self, work: Work) -> bool:
        """Before the first picture: what somebody took away of an earlier policy is closed."""
        if work.drifted:
            before = self._dataplane.written()
            self._failures = self._dataplane.guard().failed
            self._repaired = self._put_right(work.drifted, before)
        return bool(work.drifted)

    def _look(self, work: Work) -> bool:
        """Put right what others changed, before a change is written on top of it."""
        if work.drifted:
            before = self._dataplane.written()
            self._failures = self._dataplane.repair(work.drifted).failed
            self._repaired = self._put_right(work.drifted, before)
        return bool(work.drifted)

    def _configured(self, drivers: Collection[str]) -> bool:
        """Bring in force what drivers were told anew: what is there differs, and is put right."""
        if drivers:
            self._failures = self._dataplane.repair(drivers).failed
        return bool(drivers)

    def _put_right(self, drivers: Collection[str], before: Mapping[str, int]) -> Mapping[str, int]:
        after = self._dataplane.written()
        return {name: after.get(name, 0) - before.get(name, 0) for name in drivers}

    def _apply(self, delta: Delta) -> bool:
        if delta:
            self._failures = self._dataplane.apply(delta).failed
        return bool(delta)

    def _links(self, links: tuple[LinkEvent, ...]) -> bool:
        if links:
            self._failures = self._dataplane.links_changed(links).failed
        return bool(links)

    def _repair(self, work: Work) -> bool:
        if work.resync:
            self._failures = self._dataplane.resync().failed
        elif work.retry:
            self._failures = self._dataplane.retry().failed
        return work.resync or work.retry

    def _waiting_for(self, endpoint_id: EndpointId) -> str:
        if not self._adopted:
            return "the agent has not seen the whole datastore yet"
        if endpoint_id not in self._census.endpoints:
            return "the agent knows no such endpoint on this node"
        return self._dataplane.waiting_for(endpoint_id)
