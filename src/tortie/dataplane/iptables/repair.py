"""What a resync must look at: everything desired, against what was read. Pure."""

from collections.abc import Iterator

from tortie.dataplane.iptables.chains import FILTER
from tortie.dataplane.iptables.edits import DropChain, DropJumps, DropSet, Edit, Mirror
from tortie.dataplane.iptables.hosts import is_host_chain
from tortie.dataplane.iptables.names import SetName, set_name
from tortie.dataplane.iptables.plan import IptablesDesired, IptablesPlanner, Mirrors
from tortie.dataplane.iptables.reading import SetSnapshot
from tortie.dataplane.iptables.sets import Element, is_large
from tortie.dataplane.iptables.settings import IptablesSettings
from tortie.dataplane.iptables.skeleton import JUMPS, is_branch
from tortie.dataplane.policy.desired import FIXED_SETS, ElementChange, Touched
from tortie.dataplane.policy.families import FAMILIES
from tortie.dataplane.policy.plan import Unit


def everything(desired: IptablesDesired, found: SetSnapshot, room: int) -> Touched[Element]:
    """All objects as touched; of sets that are there, only the elements that differ.

    A set never gets more room than it was made with: one with less than `room` is made anew.
    """
    touched = desired.everything()
    for key, wanted in desired.sets.items():
        name = set_name(*key)
        if found.types.get(name) is not wanted.type or found.rooms.get(name, room) < room:
            touched.sets.add(key)
            continue
        have, want = found.elements[name], wanted.elements()
        change = ElementChange(want - have, set(have) - want)
        if is_large(change, len(want)):
            touched.sets.add(key)
        elif change.added or change.removed:
            touched.elements[key] = change
    return touched


def strays(
    desired: IptablesDesired, mirrors: Mirrors, settings: IptablesSettings
) -> list[Unit[Edit]]:
    """Chains, jumps and sets with our names that nothing desired accounts for."""
    planner = IptablesPlanner(desired, mirrors, settings)
    owned = {(FILTER, one) for one in planner.owned_chains()}
    hooks = {(jump.table, jump.hook) for jump in JUMPS}
    units = []
    for family in FAMILIES:
        mirror, version = mirrors[family.version], family.version
        static = (*planner.static_chains(family), *planner.first_chains(family))
        kept = {(one.table, one.name) for one in static} | owned
        rules: list[Edit] = [
            DropJumps(version, table, hook, tuple(found))
            for (table, hook), found in sorted(mirror.jumps.items())
            if (table, hook) not in hooks
        ]
        rules += [
            DropChain(version, *key)
            for key in sorted(mirror.chains.keys() - kept)
            if not (key[0] == "filter" and is_branch(key[1])) and not is_host_chain(*key)
        ]
        wanted = set(_owned_sets(desired, version))
        sets = [DropSet(version, one) for one in sorted(mirror.sets.keys() - wanted)]
        units += [Unit(f"stray IPv{version} rules", tuple(rules))] if rules else []
        units += [Unit(f"stray set {one.name}", (one,)) for one in sets]
    return units


def removal(version: int, mirror: Mirror) -> list[Edit]:
    """The edits after which no rule of ours is left."""
    jumps: list[Edit] = [
        DropJumps(version, table, hook, tuple(found))
        for (table, hook), found in mirror.jumps.items()
    ]
    return [*jumps, *(DropChain(version, *key) for key in mirror.chains)]


def _owned_sets(desired: IptablesDesired, version: int) -> Iterator[SetName]:
    yield from (set_name(version, one) for one in FIXED_SETS)
    yield from (set_name(*key) for key in desired.sets if key[0] == version)
