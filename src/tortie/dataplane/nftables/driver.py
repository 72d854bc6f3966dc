"""The nftables driver: deltas into the tables `ip calico` and `ip6 calico`.

Changes of members alone go to the kernel as one netlink batch, all others as one run of
libnftables.
"""

from collections.abc import Sequence

from tortie.dataplane.nftables.chains import CT_MAP
from tortie.dataplane.nftables.edits import Edit, EditElements, PutChain, PutSet, TableMirror
from tortie.dataplane.nftables.kernel import Kernel, Snapshot
from tortie.dataplane.nftables.members import FamilySet
from tortie.dataplane.nftables.plan import NftDesired, NftPlanner
from tortie.dataplane.nftables.repair import everything, strays
from tortie.dataplane.nftables.sets import Element, Layout
from tortie.dataplane.nftables.settings import NftSettings
from tortie.dataplane.nftables.transaction import transaction_text
from tortie.dataplane.policy.desired import Desired, Touched
from tortie.dataplane.policy.driver import PolicyDataplane
from tortie.dataplane.policy.families import FAMILIES
from tortie.dataplane.policy.interfaces import Addresses
from tortie.dataplane.policy.plan import Unit
from tortie.linux.libnftables import NftError
from tortie.linux.netlink.sockets import NetlinkError, NetlinkLost

PROGRAM_LAYOUTS = (Layout.ADDRESSES, Layout.NETS, Layout.IP_PORTS)


class NftablesDataplane(PolicyDataplane[NftSettings, Edit, Snapshot, Element]):
    """Policy, source checks and NAT of one node. For one thread; owns both `calico` tables.

    Make it in the network namespace of the node. Raises NftError or NetlinkError where nftables
    can't be used at all; what the kernel refuses of single objects comes back in `Applied`.
    """

    name = "nftables"
    refusals = (NftError, NetlinkError)
    losses = (NetlinkLost,)

    def __init__(self, settings: NftSettings | None = None) -> None:
        self._desired: NftDesired = Desired(FamilySet)
        super().__init__(settings or NftSettings(), self._desired)
        self._kernel = Kernel()
        self._mirrors: dict[int, TableMirror] = {}

    def close(self) -> None:
        """Let go of the kernel's sockets; the tables stay in force."""
        self._kernel.close()

    @property
    def ports(self) -> frozenset[int]:
        """The netlink ports from which it writes."""
        return self._kernel.ports

    def generation(self) -> int:
        """The namespace's count of nftables transactions."""
        return self._kernel.generation()

    def remove(self) -> None:
        """Delete both tables: workloads are unprotected from now on. For uninstalling only."""
        lines = [f"add table {one.nft} calico\ndelete table {one.nft} calico" for one in FAMILIES]
        self._kernel.run("\n".join(lines))
        self._is_synced = False

    def _addresses(self) -> Addresses:
        return self._kernel.addresses()

    def _read(self) -> Snapshot:
        snapshot = self._kernel.read()
        self._mirrors = snapshot.mirrors
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
        return NftPlanner(self._desired, self._mirrors, self._settings)

    def _write(self, units: Sequence[Unit[Edit]]) -> None:
        """All units, or none: one transaction."""
        edits = [edit for unit in units for edit in unit.edits]
        members = [one for one in edits if isinstance(one, EditElements)]
        if len(members) == len(edits) and all(one.layout in PROGRAM_LAYOUTS for one in members):
            self._kernel.edit_members(members)
        else:
            self._kernel.run(transaction_text(edits, self._mirrors))
        self._note(edits)

    def _note(self, edits: Sequence[Edit]) -> None:
        self._written += len(edits)
        for edit in edits:
            self._mirrors[edit.family.version].note(edit)
