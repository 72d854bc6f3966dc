"""What a resync must look at: everything desired, against what was read. Pure."""

from collections.abc import Iterator, Mapping

from tortie.dataplane.nftables.desired import Desired, ElementChange, Touched
from tortie.dataplane.nftables.edits import (
    STATIC_SETS,
    DropChain,
    DropSet,
    Edit,
    TableMirror,
)
from tortie.dataplane.nftables.kernel import Snapshot
from tortie.dataplane.nftables.names import (
    ChainName,
    SetName,
    UnsafeName,
    Way,
    endpoint_chain,
    is_host_chain,
    policy_chain,
    profile_chain,
    set_name,
)
from tortie.dataplane.nftables.plan import Unit
from tortie.dataplane.nftables.sets import Layout
from tortie.dataplane.nftables.settings import NftSettings
from tortie.dataplane.nftables.skeleton import FIXED_SETS, loop_chain, static_chains
from tortie.dataplane.policy.families import FAMILIES

_UNKNOWN = ("?",)


def everything(desired: Desired, snapshot: Snapshot) -> Touched:
    """All objects as touched; of sets that are there, only the elements that differ."""
    touched = Touched()
    touched.policies.update(desired.policies)
    touched.profiles.update(desired.profiles)
    touched.interfaces.update(desired.interfaces)
    touched.hosts = True
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
    desired: Desired, mirrors: Mapping[int, TableMirror], settings: NftSettings
) -> list[Unit]:
    """Chains and sets that nothing desired accounts for: both tables are this driver's alone."""
    owned = set(_owned_chains(desired))
    units = []
    for family in FAMILIES:
        mirror = mirrors[family.version]
        static = {one.name for one in static_chains(family, settings)}
        static.add(loop_chain(desired.services, family, settings).name)
        chains = {one for one in mirror.chains.keys() - owned - static if not is_host_chain(one)}
        sets = mirror.sets.keys() - set(_owned_sets(desired, family.version))
        edits: list[Edit] = [DropChain(family, one) for one in sorted(chains)]
        edits += [DropSet(family, one) for one in sorted(sets)]
        if edits:
            units.append(Unit(f"strays in table {family.nft} calico", tuple(edits)))
    return units


def _owned_chains(desired: Desired) -> Iterator[ChainName]:
    for way in Way:
        for policy in desired.policies:
            yield policy_chain(way, policy)
        for profile in desired.profiles:
            yield profile_chain(way, profile)
        for interface in desired.interfaces:
            try:
                yield endpoint_chain(way, interface)
            except UnsafeName:
                continue


def _owned_sets(desired: Desired, version: int) -> Iterator[SetName]:
    yield from STATIC_SETS
    yield from (set_name(version, one) for one in FIXED_SETS)
    yield from (set_name(*key) for key in desired.sets if key[0] == version)
