"""What every policy driver does: fold, write the difference, read back and repair, shut.

`apply` plans against a mirror of what the firewall holds and reads nothing. `resync` reads, adopts
what is as it should be and writes only the difference: with nothing to repair, nothing is written,
so a restart leaves rules, counters and connections alone.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from types import TracebackType
from typing import Any, ClassVar, Generic, Self, TypeVar

from msgspec.structs import replace

from tortie.dataplane.contract import Applied, Failure
from tortie.dataplane.policy.desired import Desired, ElementT, Touched
from tortie.dataplane.policy.interfaces import Addresses
from tortie.dataplane.policy.node import IPVS_DEVICE
from tortie.dataplane.policy.plan import EVERYTHING, EditT, Planner, Unit
from tortie.dataplane.policy.settings import PolicySettings
from tortie.engine.delta import Delta

SettingsT = TypeVar("SettingsT", bound=PolicySettings)
FoundT = TypeVar("FoundT")


class PolicyDataplane(ABC, Generic[SettingsT, EditT, FoundT, ElementT]):
    """Policy, source checks and NAT of one node, in one firewall. For one thread."""

    name: ClassVar[str]
    refusals: ClassVar[tuple[type[Exception], ...]]  # the firewall says no; nothing is in force
    losses: ClassVar[tuple[type[Exception], ...]] = ()  # refusals after which nobody knows

    def __init__(self, settings: SettingsT, desired: Desired[Any, ElementT]) -> None:
        self._settings, self._desired = settings, desired
        self._written = 0
        self._is_synced = self._has_policy = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    @abstractmethod
    def close(self) -> None:
        """Let go of the kernel; what is in force stays."""

    @property
    @abstractmethod
    def ports(self) -> frozenset[int]:
        """The netlink ports from which it writes."""

    @property
    def desired(self) -> Desired[Any, ElementT]:
        """What should be in force; for reading."""
        return self._desired

    @property
    def written(self) -> int:
        """How many objects it wrote or removed."""
        return self._written

    @abstractmethod
    def _addresses(self) -> Addresses:
        """The addresses of every interface of the namespace that has any."""

    @abstractmethod
    def _has_link(self, name: str) -> bool:
        """Whether the namespace has an interface of this name."""

    @abstractmethod
    def _read(self) -> FoundT:
        """Read what is there, and mirror it."""

    @abstractmethod
    def _compare(self, found: FoundT) -> Touched[ElementT]:
        """All objects as touched; of sets that are there, only the elements that differ."""

    @abstractmethod
    def _planner(self) -> Planner[EditT, Any, ElementT]:
        """A planner against the mirror of now."""

    @abstractmethod
    def _base(self, found: FoundT | None) -> Unit[EditT]:
        """What there is before any workload, as far as it is missing. Without it nothing is safe.

        None: what was found in sets that have fixed members is left as it is.
        """

    @abstractmethod
    def _strays(self) -> list[Unit[EditT]]:
        """What bears our names and nothing desired accounts for."""

    @abstractmethod
    def _is_missing(self, edit: EditT) -> bool:
        """Whether an edit of the base makes what is not there at all."""

    @abstractmethod
    def _write(self, units: Sequence[Unit[EditT]]) -> None:
        """All units. Raises what the firewall refused."""

    def configure(self, settings: SettingsT) -> bool:
        """Whether these are other settings; the next write is then a resync that takes them."""
        if settings == self._settings:
            return False
        self._settings, self._is_synced = settings, False
        return True

    def fold(self, delta: Delta) -> None:
        """Take the delta into the desired state; touch nothing."""
        self._desired.fold(delta)
        self._has_policy, self._is_synced = True, False

    def apply(self, delta: Delta) -> Applied:
        """Take the delta into the desired state and write the difference.

        Before the first `resync`, and after a `fold` alone, this is a resync.
        """
        touched = self._desired.fold(delta)
        self._has_policy = True
        if not self._is_synced or touched.facts:
            return self.resync()
        self._see_addresses(touched)
        return self._change(touched)

    def links_changed(self) -> Applied:
        """The node's interfaces or their addresses changed: one may be another host endpoint now.

        An interface that a host endpoint names has its rules before it is there.
        """
        if not self._is_synced:
            return Applied()
        if self._see_kube_proxy():
            return self.resync()
        touched = Touched[ElementT]()
        self._see_addresses(touched)
        return self._change(touched) if touched.hosts else Applied()

    def _see_kube_proxy(self) -> bool:
        """Whether it is in another mode than before."""
        facts = replace(self._desired.facts, is_ipvs=self._has_link(IPVS_DEVICE))
        before, self._desired.facts = self._desired.facts, facts
        return before != facts

    def _see_addresses(self, touched: Touched[ElementT]) -> None:
        """Look at the addresses of the node, if anything depends on them; never on services'."""
        desired = self._desired
        found = self._addresses() if desired.expects_addresses else {}
        found = {name: held for name, held in found.items() if name != IPVS_DEVICE}
        touched.hosts = touched.hosts or found != desired.addresses
        desired.addresses = found

    def _change(self, touched: Touched[ElementT]) -> Applied:
        self._is_synced = False  # until all is written: any exception leaves it so
        try:
            units = self._planner().units(touched)
            self._write(_edited(units))
        except self.refusals:
            # Somebody may have changed the tables, or one object is at fault: look, then search.
            return self.resync()
        self._is_synced = True
        return Applied(self._problems(units))

    def resync(self) -> Applied:
        """Read what is there, adopt what is right, repair the rest, remove what is stray.

        Before any delta this is `guard`.
        """
        if not self._has_policy:
            return self.guard()
        self._is_synced = False
        self._see_kube_proxy()
        found = self._read()
        touched = self._compare(found)
        self._see_addresses(touched)
        units = [self._base(found), *self._planner().units(touched), *self._strays()]
        failed = self._search(_edited(units))
        self._is_synced = True
        return Applied((*failed, *self._problems(units)))

    def guard(self) -> Applied:
        """Make what is not there; an earlier process's stays as it left it.

        Whatever is desired is left aside: it may be half of the picture. A chain without rules
        counts as not there: a flushed table has all its chains, and lets everything through.
        """
        self._is_synced = False
        self._read()
        base = self._base(None)
        edits = tuple(edit for edit in base.edits if self._is_missing(edit))
        if edits:
            self._write([base._replace(edits=edits)])
        return Applied()

    def _search(self, units: Sequence[Unit[EditT]]) -> list[Failure]:
        """Write the units; where they are refused, halve until each bad one stands alone.

        Raises what was refused of the base itself: without it there is no policy at all.
        """
        if not units:
            return []
        try:
            self._write(units)
        except self.losses:
            raise  # not a refusal: what is in force is not known, and must be read again
        except self.refusals as error:
            if len(units) == 1:
                return [self._give_up_on(units[0], error)]
            half = len(units) // 2
            return self._search(units[:half]) + self._search(units[half:])
        return []

    def _give_up_on(self, unit: Unit[EditT], error: Exception) -> Failure:
        if unit.subject == EVERYTHING:
            raise error
        if not unit.fallback:
            return self._failure(unit.subject, str(error))
        try:
            self._write([unit._replace(edits=unit.fallback)])
        except self.refusals as second:
            return self._failure(unit.subject, f"{error}; and it could not be closed: {second}")
        return self._failure(unit.subject, str(error))

    def _problems(self, units: Iterable[Unit[EditT]]) -> tuple[Failure, ...]:
        """The units that could not even be rendered."""
        return tuple(self._failure(one.subject, one.problem) for one in units if one.problem)

    def _failure(self, subject: str, message: str) -> Failure:
        return Failure(self.name, subject, " ".join(message.split()))


def _edited(units: Iterable[Unit[EditT]]) -> list[Unit[EditT]]:
    return [one for one in units if one.edits]
