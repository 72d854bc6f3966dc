"""The nftables driver: deltas into the tables `ip calico` and `ip6 calico`.

`apply` plans against a mirror of what the tables hold and never reads them. Changes of members
alone go to the kernel as one netlink batch, all others as one run of libnftables. `resync` reads
the tables, adopts what is as it should be and writes only the difference: with nothing to repair,
no transaction happens at all, so a restart leaves rules, counters and connections alone.
"""

from collections.abc import Iterable, Sequence
from types import TracebackType
from typing import Self

from tortie.dataplane.contract import Applied, Failure
from tortie.dataplane.nftables.chains import CT_MAP
from tortie.dataplane.nftables.desired import Desired, Touched
from tortie.dataplane.nftables.edits import Edit, EditElements, PutChain, PutSet, TableMirror
from tortie.dataplane.nftables.kernel import Kernel
from tortie.dataplane.nftables.plan import EVERYTHING, Planner, Unit
from tortie.dataplane.nftables.repair import everything, strays
from tortie.dataplane.nftables.sets import Layout
from tortie.dataplane.nftables.settings import NftSettings
from tortie.dataplane.nftables.transaction import transaction_text
from tortie.dataplane.policy.families import FAMILIES
from tortie.engine.delta import Delta
from tortie.linux.libnftables import NftError
from tortie.linux.netlink.sockets import NetlinkError, NetlinkLost

_Refusal = (NftError, NetlinkError)
PROGRAM_LAYOUTS = (Layout.ADDRESSES, Layout.NETS, Layout.IP_PORTS)


class NftablesDataplane:
    """Policy, source checks and NAT of one node. For one thread; owns both `calico` tables.

    Make it in the network namespace of the node. Raises NftError or NetlinkError where nftables
    can't be used at all; what the kernel refuses of single objects comes back in `Applied`.
    """

    name = "nftables"

    def __init__(self, settings: NftSettings | None = None) -> None:
        self._settings = settings or NftSettings()
        self._kernel = Kernel()
        self._desired = Desired()
        self._mirrors: dict[int, TableMirror] = {}
        self._is_synced = self._has_policy = False
        self.written = 0  # objects

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
        """Let go of the kernel's sockets; the tables stay in force."""
        self._kernel.close()

    @property
    def ports(self) -> frozenset[int]:
        """The netlink ports from which it writes."""
        return self._kernel.ports

    def configure(self, settings: NftSettings) -> bool:
        """Whether these are other settings; the next write is then a resync that takes them."""
        if settings == self._settings:
            return False
        self._settings, self._is_synced = settings, False
        return True

    def generation(self) -> int:
        """The namespace's count of nftables transactions."""
        return self._kernel.generation()

    def fold(self, delta: Delta) -> None:
        """Take the delta into the desired state; touch nothing."""
        self._desired.fold(delta)
        self._has_policy, self._is_synced = True, False

    def apply(self, delta: Delta) -> Applied:
        """Take the delta into the desired state and write the difference, in one transaction.

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
        desired = self._desired
        found = self._kernel.addresses() if desired.expects_addresses else {}
        touched.hosts = touched.hosts or found != desired.addresses
        desired.addresses = found

    def _change(self, touched: Touched) -> Applied:
        self._is_synced = False  # until the kernel has said yes: any exception leaves it so
        try:
            units = self._planner().units(touched)
            self._write(_edited(units))
        except _Refusal:
            # Somebody may have changed the tables, or one object is at fault: look, then search.
            return self.resync()
        self._is_synced = True
        return Applied(self._problems(units))

    def resync(self) -> Applied:
        """Read the tables, adopt what is right, repair the rest, remove what is stray.

        Before any delta it only makes tables that let nothing through, where there are none:
        what an earlier process left in force stays.
        """
        if not self._has_policy:
            return self.guard()
        self._is_synced = False
        snapshot = self._kernel.read()
        self._mirrors = snapshot.mirrors
        touched = everything(self._desired, snapshot)
        self._see_addresses(touched)
        planner = self._planner()
        found_ct = {
            one.version: frozenset(snapshot.elements.get((one.version, CT_MAP), ()))
            for one in FAMILIES
        }
        base = planner.static_unit(found_ct)
        units = [base] if base.edits else []
        units += planner.units(touched)
        units += strays(self._desired, self._mirrors, self._settings)
        failed = self._search(_edited(units))
        self._is_synced = True
        return Applied((*failed, *self._problems(units)))

    def remove(self) -> None:
        """Delete both tables: workloads are unprotected from now on. For uninstalling only."""
        lines = [f"add table {one.nft} calico\ndelete table {one.nft} calico" for one in FAMILIES]
        self._kernel.run("\n".join(lines))
        self._is_synced = False

    def guard(self) -> Applied:
        """Make what is not there; an earlier process's stays as it left it.

        Whatever is desired is left aside: it may be half of the picture. A chain without rules
        counts as not there: a flushed table has all its chains, and lets everything through.
        """
        self._is_synced = False
        self._mirrors = self._kernel.read().mirrors
        base = self._planner().static_unit()
        edits = tuple(edit for edit in base.edits if self._is_missing(edit))
        if edits:
            self._write([base._replace(edits=edits)])
        return Applied()

    def _is_missing(self, edit: Edit) -> bool:
        mirror = self._mirrors[edit.family.version]
        match edit:
            case PutChain(chain=chain):
                held = mirror.chains.get(chain.name)
                return not mirror.exists or held is None or bool(chain.rules and not held)
            case PutSet(name=name):
                return not mirror.exists or name not in mirror.sets
            case _:
                return not mirror.exists

    def _planner(self) -> Planner:
        return Planner(self._desired, self._mirrors, self._settings)

    def _write(self, units: Sequence[Unit]) -> None:
        """All units, or none. Raises what the kernel refused."""
        edits = [edit for unit in units for edit in unit.edits]
        members = [one for one in edits if isinstance(one, EditElements)]
        if len(members) == len(edits) and all(one.layout in PROGRAM_LAYOUTS for one in members):
            self._kernel.edit_members(members)
        else:
            self._kernel.run(transaction_text(edits, self._mirrors))
        self._note(edits)

    def _note(self, edits: Sequence[Edit]) -> None:
        self.written += len(edits)
        for edit in edits:
            self._mirrors[edit.family.version].note(edit)

    def _search(self, units: Sequence[Unit]) -> list[Failure]:
        """Write the units; where the kernel refuses, halve until each bad one stands alone.

        Raises what the kernel refused of the table itself: without it there is no policy at all.
        """
        if not units:
            return []
        try:
            self._write(units)
        except NetlinkLost:
            raise  # not a refusal: what is in force is not known, and must be read again
        except _Refusal as error:
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
        except _Refusal as second:
            return self._failure(unit.subject, f"{error}; and it could not be closed: {second}")
        return self._failure(unit.subject, str(error))

    def _problems(self, units: Iterable[Unit]) -> tuple[Failure, ...]:
        """The units that could not even be rendered."""
        return tuple(self._failure(one.subject, one.problem) for one in units if one.problem)

    def _failure(self, subject: str, message: str) -> Failure:
        return Failure(self.name, subject, " ".join(message.split()))


def _edited(units: Iterable[Unit]) -> list[Unit]:
    return [one for one in units if one.edits]
