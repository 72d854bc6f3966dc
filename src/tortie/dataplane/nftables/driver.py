"""The nftables driver: deltas into the tables `ip calico` and `ip6 calico`.

Each change is one batch of netlink messages, which the kernel takes as one transaction. What was
planned against what was read is only taken while nobody else has written since.
"""

import gc
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from errno import EIO

from tortie.dataplane.contract import Applied
from tortie.dataplane.nftables.chains import CT_MAP
from tortie.dataplane.nftables.edits import Edit, PutChain, PutSet, TableMirror
from tortie.dataplane.nftables.encoding import forget_many
from tortie.dataplane.nftables.kernel import Kernel, Overtaken, Snapshot
from tortie.dataplane.nftables.members import FamilySet
from tortie.dataplane.nftables.names import TABLE
from tortie.dataplane.nftables.plan import NftDesired, NftPlanner
from tortie.dataplane.nftables.repair import everything, strays
from tortie.dataplane.nftables.runs import Runs
from tortie.dataplane.nftables.sets import Element
from tortie.dataplane.nftables.settings import NftSettings
from tortie.dataplane.nftables.transaction import staged
from tortie.dataplane.policy.desired import Desired, Touched
from tortie.dataplane.policy.driver import PolicyDataplane
from tortie.dataplane.policy.families import FAMILIES
from tortie.dataplane.policy.interfaces import Addresses
from tortie.dataplane.policy.plan import Unit
from tortie.linux.grace import grace_period
from tortie.linux.netlink.nfobjects import (
    delete_chain,
    delete_table,
    flush_chain,
    put_table,
)
from tortie.linux.netlink.nftevents import LOST, TransactionMonitor, WholeTable
from tortie.linux.netlink.sockets import NetlinkError, NetlinkLost, Request

_ATTEMPTS = 10


class NftablesDataplane(PolicyDataplane[NftSettings, Edit, Snapshot, Element]):
    """Policy, source checks and NAT of one node. For one thread; owns both `calico` tables.

    Make it in the network namespace of the node. Raises NetlinkError where nftables
    can't be used at all; what the kernel refuses of single objects comes back in `Applied`.
    """

    name = "nftables"
    refusals = (NetlinkError,)
    losses = (NetlinkLost, Overtaken)

    def __init__(self, settings: NftSettings | None = None) -> None:
        self._desired: NftDesired = Desired(FamilySet)
        super().__init__(settings or NftSettings(), self._desired)
        self._kernel = Kernel()
        self._mirrors: dict[int, TableMirror] = {}
        self._book = Runs()
        self._seen: int | None = None  # the generation that was read, while a plan rests on it

    def close(self) -> None:
        """Let go of the kernel's sockets; the tables stay in force."""
        self._kernel.close()

    @property
    def ports(self) -> frozenset[int]:
        """The netlink ports from which it writes."""
        return self._kernel.ports

    def watch(self, told: Callable[[str], None]) -> TransactionMonitor:
        """Tells who changed our tables, or may have. Raises OSError."""
        return TransactionMonitor(
            WholeTable(TABLE), self.ports, lambda found: told(str(found)), lambda: told(LOST)
        )

    def generation(self) -> int:
        """The namespace's count of nftables transactions."""
        return self._kernel.generation()

    def remove(self) -> None:
        """Delete both tables: workloads are unprotected from now on. For uninstalling only.

        The hooks go first, alone. In a table that goes all maps are empty at once, also to packets
        that are among its rules: they would be dropped at the dispatch.
        """
        mirrors = self._kernel.read().mirrors
        self._kernel.commit(
            [
                request
                for one in FAMILIES
                for name in mirrors[one.version].hooks
                for request in (
                    flush_chain(one.number, TABLE, name),
                    delete_chain(one.number, TABLE, name),
                )
            ]
        )
        grace_period()
        self._kernel.commit(
            [
                request
                for one in FAMILIES
                for request in (put_table(one.number, TABLE), delete_table(one.number, TABLE))
            ]
        )
        self._is_synced = False

    def resync(self) -> Applied:
        """As every driver's; read again when somebody else wrote meanwhile.

        Raises Overtaken when that never ends.
        """
        return self._undisturbed(super().resync)

    def guard(self) -> Applied:
        """As every driver's; read again when somebody else wrote meanwhile."""
        return self._undisturbed(super().guard)

    def _undisturbed(self, act: Callable[[], Applied]) -> Applied:
        for attempt in range(1, _ATTEMPTS + 1):
            try:
                with _uncollected():
                    return act()
            except Overtaken:
                if attempt == _ATTEMPTS:
                    raise
            finally:
                self._seen = None  # from now on the mirror is kept by what is written
                forget_many()
        raise AssertionError("unreachable")

    def _addresses(self) -> Addresses:
        return self._kernel.addresses()

    def _has_link(self, name: str) -> bool:
        return self._kernel.has_link(name)

    def _read(self) -> Snapshot:
        snapshot = self._kernel.read()
        self._mirrors, self._seen = snapshot.mirrors, snapshot.generation
        return snapshot

    def _compare(self, found: Snapshot) -> Touched[Element]:
        return everything(self._desired, found)

    def _base(self, found: Snapshot | None) -> Unit[Edit]:
        if found is None:
            return self._planner().static_unit()
        states = {
            one.version: frozenset(found.elements.get((one.version, CT_MAP), ()))
            for one in FAMILIES
        }
        return self._planner().static_unit(states)

    def _strays(self) -> list[Unit[Edit]]:
        return strays(self._desired, self._mirrors, self._settings)

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

    def _planner(self) -> NftPlanner:
        return NftPlanner(self._desired, self._mirrors, self._settings, self._book)

    def _write(self, units: Sequence[Unit[Edit]]) -> None:
        """All units, or none: what packets see changes in one transaction."""
        edits = [edit for unit in units for edit in unit.edits]
        stages = staged(edits, self._mirrors)
        if stages.before:
            self._commit(stages.before)
        try:
            self._commit(stages.change)
        except NetlinkError:
            if stages.undo:
                self._surely(stages.undo)
            raise
        for requests in stages.settle:
            self._surely(requests)
        self._note(edits)
        if stages.after:
            grace_period()
            self._surely(stages.after)
        if self._seen is None:
            forget_many()

    def _commit(self, requests: Sequence[Request]) -> None:
        self._kernel.commit(requests, self._seen)
        if self._seen is not None:
            self._seen += 1

    def _surely(self, requests: Sequence[Request]) -> None:
        """What can't be refused; if it is, somebody else wrote: raises NetlinkLost."""
        try:
            self._kernel.commit(requests)
        except NetlinkError as error:
            raise NetlinkLost(error.errno or EIO, error.message, error.about) from error
        if self._seen is not None:
            self._seen += 1

    def _note(self, edits: Sequence[Edit]) -> None:
        self._written += len(edits)
        for edit in edits:
            self._mirrors[edit.family.version].note(edit)
        for mirror in self._mirrors.values():
            mirror.sweep()


@contextmanager
def _uncollected() -> Iterator[None]:
    """Without the collector of cycles: there are none in what a resync makes, but a fifth of its
    time would go into looking for them.
    """
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()
