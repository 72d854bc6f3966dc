"""The iptables driver: deltas into tables of rules and sets of ipset."""

from collections.abc import Callable, Iterable, Sequence

from tortie.dataplane.iptables.backends import detect
from tortie.dataplane.iptables.commands import Commands, Refused
from tortie.dataplane.iptables.edits import (
    DropSet,
    Edit,
    EditSet,
    Mirror,
    PutChain,
    PutJump,
    PutSet,
    RuleEdit,
)
from tortie.dataplane.iptables.footprint import Footprint, Unwatched
from tortie.dataplane.iptables.members import member_requests
from tortie.dataplane.iptables.plan import IptablesDesired, IptablesPlanner
from tortie.dataplane.iptables.reading import SetSnapshot, read_sets, read_tables
from tortie.dataplane.iptables.repair import everything, removal, strays
from tortie.dataplane.iptables.restore import Place, by_table, sets_text, table_text
from tortie.dataplane.iptables.sets import Element, FamilySet
from tortie.dataplane.iptables.settings import Backend, IptablesSettings
from tortie.dataplane.iptables.watch import IptablesWatch
from tortie.dataplane.policy.desired import Desired, Touched
from tortie.dataplane.policy.driver import PolicyDataplane
from tortie.dataplane.policy.families import FAMILIES
from tortie.dataplane.policy.interfaces import Addresses
from tortie.dataplane.policy.plan import EVERYTHING, Unit


class IptablesDataplane(PolicyDataplane[IptablesSettings, Edit, SetSnapshot, Element]):
    """Policy, source checks and NAT of one node. For one thread; owns chains `cali-…`, their jumps
    and the sets `cali40…`, `cali60…`.

    Make it in the network namespace of the node. Raises IptablesError where iptables or ipset can't
    be used at all; what they refuse of single objects comes back in `Applied`.
    """

    name = "iptables"
    refusals = (Refused,)

    def __init__(self, settings: IptablesSettings | None = None) -> None:
        self._desired: IptablesDesired = Desired(FamilySet)
        super().__init__(settings or IptablesSettings(), self._desired)
        backend = self._settings.backend or detect()
        self._commands = Commands(backend, self._settings.lock_seconds)
        self._footprint = Unwatched()
        self._mirrors: dict[int, Mirror] = {}

    def close(self) -> None:
        """Let go of the namespace; rules and sets stay in force."""
        self._commands.close()
        self._footprint.close()

    @property
    def backend(self) -> Backend:
        """Which iptables this is; other settings leave it: another one is another driver's."""
        return self._commands.backend

    @property
    def ports(self) -> frozenset[int]:
        """None: the commands are processes of their own."""
        return frozenset()

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

    def watch(self, told: Callable[[str], None]) -> IptablesWatch:
        """Tells who, as far as is known, changed what is ours, or may have. Raises OSError.

        From the next read on: what there is until then is not known.
        """
        self._footprint.close()
        self._footprint = footprint = Footprint(self.backend)
        return IptablesWatch(self.backend, footprint, self._commands.processes, told)

    def _read(self) -> SetSnapshot:
        with self._footprint.writing():
            return self._read_all()

    def _read_all(self) -> SetSnapshot:
        self._footprint.before_reading(
            (one.version, table)
            for one in FAMILIES
            for table in self._commands.existing_tables(one.version)
        )
        found = read_sets(self._commands.save_sets())
        self._footprint.sets_are({name: len(held) for name, held in found.elements.items()})
        for family in FAMILIES:
            mirror = self._mirrors[family.version] = Mirror()
            read_tables(self._commands.save(family.version), mirror)
            own = f"cali{family.version}"
            mirror.sets = {name: one for name, one in found.types.items() if name.startswith(own)}
        return found

    def _addresses(self) -> Addresses:
        return self._commands.addresses()

    def _has_link(self, name: str) -> bool:
        return self._commands.has_link(name)

    def _compare(self, found: SetSnapshot) -> Touched[Element]:
        return everything(self._desired, found, self._settings.max_set_size)

    def _planner(self) -> IptablesPlanner:
        return IptablesPlanner(self._desired, self._mirrors, self._settings)

    def _base(self, _: SetSnapshot | None) -> Unit[Edit]:
        return self._planner().static_unit()

    def _strays(self) -> list[Unit[Edit]]:
        return strays(self._desired, self._mirrors, self._settings)

    def _is_missing(self, edit: Edit) -> bool:
        mirror = self._mirrors[edit.version]
        match edit:
            case PutChain(chain=chain):
                return not mirror.chains.get((chain.table, chain.name))
            case _:
                return isinstance(edit, PutSet | PutJump)

    def _write(self, units: Sequence[Unit[Edit]]) -> None:
        """All units, in the order that leaves no rule without its set. Raises Refused."""
        edits = [edit for unit in units for edit in unit.edits]
        with self._footprint.writing():
            self._make_sets([edit for edit in edits if isinstance(edit, PutSet)])
            self._edit_sets([edit for edit in edits if isinstance(edit, EditSet)])
            for place, rules in by_table(edits):
                self._write_table(place, rules)
            self._destroy([edit for edit in edits if isinstance(edit, DropSet)])

    def _make_sets(self, edits: Sequence[PutSet]) -> None:
        if edits:
            there = {name for mirror in self._mirrors.values() for name in mirror.sets}
            self._commands.restore_sets(sets_text(edits, self._settings.max_set_size, there))
            self._note(edits)
        for one in edits:
            self._footprint.set_is(one.name, len(one.elements))

    def _edit_sets(self, edits: Sequence[EditSet]) -> None:
        if edits:
            self._commands.edit_members(list(member_requests(edits)))
            self._note(edits)
        for one in edits:
            self._footprint.set_changed(one.name, len(one.added) - len(one.removed))

    def _write_table(self, place: Place, edits: Sequence[RuleEdit]) -> None:
        version, table = place
        before = self._mirrors[version].entries(table)
        self._commands.restore(version, table_text(table, edits))
        self._note(edits)
        self._footprint.rules_changed(place, self._mirrors[version].entries(table) - before)

    def _destroy(self, edits: Sequence[DropSet]) -> None:
        """A set may be gone already, if an earlier try got so far."""
        there = [one for one in edits if one.name in self._mirrors[one.version].sets]
        if there:
            self._commands.restore_sets("".join(f"destroy {one.name}\n" for one in there))
            self._note(there)
        for one in there:
            self._footprint.set_is(one.name, None)

    def _note(self, edits: Iterable[Edit]) -> None:
        for edit in edits:
            self._written += 1
            self._mirrors[edit.version].note(edit)
