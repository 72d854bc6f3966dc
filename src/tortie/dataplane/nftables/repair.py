"""What a resync must look at: everything desired, against what was read. Pure."""

from collections.abc import Iterator, Mapping

from tortie.dataplane.nftables.edits import (
    STATIC_SETS,
    DropChain,
    DropSet,
    Edit,
    PutTable,
    TableMirror,
)
from tortie.dataplane.nftables.kernel import Snapshot
from tortie.dataplane.nftables.names import SetName, is_host_chain, set_name
from tortie.dataplane.nftables.plan import NftDesired, NftPlanner
from tortie.dataplane.nftables.sets import Element, Layout
from tortie.dataplane.nftables.settings import NftSettings
from tortie.dataplane.policy.desired import FIXED_SETS, ElementChange, Touched
from tortie.dataplane.policy.families import FAMILIES
from tortie.dataplane.policy.plan import Unit

_UNKNOWN = ("?",)


def everything(desired: NftDesired, snapshot: Snapshot) -> Touched[Element]:
    """All objects as touched; of sets that are there, only the elements that differ."""
    touched = desired.everything()
    for mirror in snapshot.mirrors.values():
        touched.interfaces.update(mirror.interfaces)
        _distrust_if_strange(mirror)
    for key, wanted in desired.sets.items():
        name = set_name(*key)
        found = snapshot.mirrors[key[0]].sets.get(name)
        if found is Layout.NETS and wanted.layout is Layout.ADDRESSES:
            wanted.widen()  # it held prefixes once; what is there serves as well
        if found is not wanted.layout:
            touched.sets.add(key)
            continue
        have, want = snapshot.elements[key[0], name], set(wanted.elements())
        if have != want:
            touched.elements[key] = ElementChange(want - have, have - want)
    return touched


def _distrust_if_strange(mirror: TableMirror) -> None:
    """A static set of another shape can only be replaced while no rule names it: rewrite all."""
    if any(
        name in mirror.sets and mirror.sets[name] is not layout
        for name, layout in STATIC_SETS.items()
    ):
        mirror.chains = dict.fromkeys(mirror.chains, _UNKNOWN)
        mirror.interfaces.clear()


def strays(
    desired: NftDesired, mirrors: Mapping[int, TableMirror], settings: NftSettings
) -> list[Unit[Edit]]:
    """Chains and sets that nothing desired accounts for: both tables are this driver's alone."""
    planner = NftPlanner(desired, mirrors, settings)
    owned = set(planner.owned_chains())
    units = []
    for family in FAMILIES:
        mirror = mirrors[family.version]
        static = {one.name for one in planner.base_chains(family)}
        chains = {one for one in mirror.chains.keys() - owned - static if not is_host_chain(one)}
        sets = mirror.sets.keys() - set(_owned_sets(desired, family.version))
        edits: list[Edit] = [DropChain(family, one) for one in sorted(chains)]
        edits += [DropSet(family, one) for one in sorted(sets)]
        if mirror.leftovers:
            edits.append(PutTable(family))  # any edit takes them away
        if edits:
            units.append(Unit(f"strays in table {family.nft} calico", tuple(edits)))
    return units


def _owned_sets(desired: NftDesired, version: int) -> Iterator[SetName]:
    yield from STATIC_SETS
    yield from (set_name(version, one) for one in FIXED_SETS)
    yield from (set_name(*key) for key in desired.sets if key[0] == version)
