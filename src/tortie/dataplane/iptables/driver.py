"""The iptables driver: deltas into tables of rules and sets of ipset.

`apply` plans against a mirror of what is there and reads nothing. `resync` reads rules and sets
once, adopts what is as it should be and writes only the difference: with nothing to repair no
command writes at all, so a restart leaves rules, counters and connections alone.
"""

from collections.abc import Iterable, Sequence
from types import TracebackType
from typing import Self

from tortie.dataplane.contract import Applied, Failure
from tortie.dataplane.iptables.backends import detect
from tortie.dataplane.iptables.commands import Commands, Refused
from tortie.dataplane.iptables.desired import Desired, Touched
from tortie.dataplane.iptables.edits import (
    DropSet,
    Edit,
    EditSet,
    Mirror,
    PutChain,
    PutJump,
    PutSet,
)
from tortie.dataplane.iptables.plan import EVERYTHING, Planner, Unit
from tortie.dataplane.iptables.reading import SetSnapshot, read_sets, read_tables
from tortie.dataplane.iptables.repair import everything, removal, strays
from tortie.dataplane.iptables.restore import by_table, sets_text, table_text
from tortie.dataplane.iptables.settings import Backend, IptablesSettings
from tortie.dataplane.policy.families import FAMILIES
from tortie.engine.delta import Delta


class IptablesDataplane:
    """Policy, source checks and NAT of one node. For one thread; owns chains `cali-…`, their jumps
    and the sets `cali40…`, `cali60…`.

    Make it in the network namespace of the node. Raises IptablesError where iptables or ipset can't
    be used at all; what they refuse of single objects comes back in `Applied`.
    """

    name = "iptables"

    def __init__(self, settings: IptablesSettings | None = None) -> None:
        self._settings = settings or IptablesSettings()
        backend = self._settings.backend or detect()
        self._commands = Commands(backend, self._settings.lock_seconds)
        self._desired = Desired()
        self._mirrors: dict[int, Mirror] = {}
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

    def close(self) -> None:
        """Let go of the namespace; rules and sets stay in force."""
        self._commands.close()

    @property
    def backend(self) -> Backend:
        """Which iptables this is."""
        return self._commands.backend

    @property
    def ports(self) -> frozenset[int]:
        """None: the commands are processes of their own."""
        return frozenset()

    @property
    def written(self) -> int:
        """How many chains, jumps and sets it wrote or removed."""
        return self._written

    def configure(self, settings: IptablesSettings) -> bool:
        """Whether these are other settings; the next write is then a resync that takes them.

        The backend stays as it was found: another one is another driver's business.
        """
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
        if not self._is_synced:
            return self.resync()
        self._see_addresses(touched)
        return self._change(touched)

    def links_changed(self) -> Applied:
        """The node's interfaces or their addresses changed: one may be another host endpoint now.

        An interface that a host endpoint names has its rules before it is there.
        """
        touched = Touched()
        self._see_addresses(touched)
        if not (self._is_synced and touched.hosts):
            return Applied()
        return self._change(touched)

    def _see_addresses(self, touched: Touched) -> None:
        """Look at the addresses of the node, if some host endpoint is told by them."""
        desired = self._desired.program
        found = self._commands.addresses() if desired.expects_addresses else {}
        touched.hosts = touched.hosts or found != desired.addresses
        desired.addresses = found

    def _change(self, touched: Touched) -> Applied:
        self._is_synced = False  # until all is written: any exception leaves it so
        try:
            units = self._planner().units(touched)
            self._write(_edited(units))
        except Refused:
            # Somebody may have changed the tables, or one object is at fault: look, then search.
            return self.resync()
        self._is_synced = True
        return Applied(self._problems(units))

    def resync(self) -> Applied:
        """Read rules and sets, adopt what is right, repair the rest, remove what is stray.

        Before any delta this is `guard`.
        """
        if not self._has_policy:
            return self.guard()
        self._is_synced = False
        found = self._read()
        planner = self._planner()
        base = planner.static_unit()
        units = [base] if base.edits else []
        touched = everything(self._desired, found)
        self._see_addresses(touched)
        units += planner.units(touched)
        units += strays(self._desired, self._mirrors, self._settings)
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
        base = self._planner().static_unit()
        edits = tuple(edit for edit in base.edits if self._is_missing(edit))
        if edits:
            self._write([base._replace(edits=edits)])
        return Applied()

    def is_there(self) -> bool:
        """Whether rules of ours are in this backend's tables."""
        self._read()
        return any(one.chains or one.jumps for one in self._mirrors.values())

    def remove_rules(self) -> None:
        """Remove our jumps and chains: this backend asks nothing any more. Sets stay.

        Raises Refused where rules of others name what is ours.
        """
        self._is_synced = False
        self._read()
        edits = [edit for version, one in self._mirrors.items() for edit in removal(version, one)]
        self._write([Unit(EVERYTHING, tuple(edits))])

    def remove_sets(self) -> None:
        """Remove our sets. Raises Refused where a rule still names one."""
        self._is_synced = False
        self._read()
        self._destroy(
            [DropSet(version, name) for version, one in self._mirrors.items() for name in one.sets]
        )

    def _read(self) -> SetSnapshot:
        found = read_sets(self._commands.save_sets())
        for family in FAMILIES:
            mirror = self._mirrors[family.version] = Mirror()
            read_tables(self._commands.save(family.version), mirror)
            own = f"cali{family.version}"
            mirror.sets = {name: one for name, one in found.types.items() if name.startswith(own)}
        return found

    def _is_missing(self, edit: Edit) -> bool:
        mirror = self._mirrors[edit.version]
        match edit:
            case PutChain(chain=chain):
                return not mirror.chains.get((chain.table, chain.name))
            case _:
                return isinstance(edit, PutSet | PutJump)

    def _planner(self) -> Planner:
        return Planner(self._desired, self._mirrors, self._settings)

    def _write(self, units: Sequence[Unit]) -> None:
        """All units, in the order that leaves no rule without its set. Raises Refused."""
        edits = [edit for unit in units for edit in unit.edits]
        sets = [edit for edit in edits if isinstance(edit, PutSet | EditSet)]
        if sets:
            self._commands.restore_sets(sets_text(sets, self._settings.max_set_size))
            self._note(sets)
        for (version, table), rules in by_table(edits):
            self._commands.restore(version, table_text(table, rules))
            self._note(rules)
        self._destroy([edit for edit in edits if isinstance(edit, DropSet)])

    def _destroy(self, edits: Sequence[DropSet]) -> None:
        """A set may be gone already, if an earlier try got so far."""
        there = [one for one in edits if one.name in self._mirrors[one.version].sets]
        if there:
            self._commands.restore_sets("".join(f"destroy {one.name}\n" for one in there))
            self._note(there)

    def _note(self, edits: Iterable[Edit]) -> None:
        for edit in edits:
            self._written += 1
            self._mirrors[edit.version].note(edit)

    def _search(self, units: Sequence[Unit]) -> list[Failure]:
        """Write the units; where they are refused, halve until each bad one stands alone.

        Raises what was refused of the base itself: without it there is no policy at all.
        """
        if not units:
            return []
        try:
            self._write(units)
        except Refused as error:
            if len(units) == 1:
                return [self._give_up_on(units[0], error)]
            half = len(units) // 2
            return self._search(units[:half]) + self._search(units[half:])
        return []

    def _give_up_on(self, unit: Unit, error: Exception) -> Failure:
        if unit.subject == EVERYTHING:
            raise error
        if not unit.fallback:
            return self._failure(unit.subject, str(error))
        try:
            self._write([unit._replace(edits=unit.fallback)])
        except Refused as second:
            return self._failure(unit.subject, f"{error}; and it could not be closed: {second}")
        return self._failure(unit.subject, str(error))

    def _problems(self, units: Iterable[Unit]) -> tuple[Failure, ...]:
        """The units that could not even be rendered."""
        return tuple(self._failure(one.subject, one.problem) for one in units if one.problem)

    def _failure(self, subject: str, message: str) -> Failure:
        return Failure(self.name, subject, " ".join(message.split()))


def _edited(units: Iterable[Unit]) -> list[Unit]:
    return [one for one in units if one.edits]
