"""What a resync must look at: everything desired, against what was read. Pure."""

from collections.abc import Iterator, Mapping

from tortie.dataplane.iptables.desired import Desired, Touched, is_large
from tortie.dataplane.iptables.edits import DropChain, DropJumps, DropSet, Edit, Mirror
from tortie.dataplane.iptables.hosts import Hosts, host_chains, is_host_chain
from tortie.dataplane.iptables.names import (
    ChainName,
    SetName,
    UnsafeName,
    Way,
    endpoint_chain,
    policy_chain,
    profile_chain,
    set_name,
)
from tortie.dataplane.iptables.plan import Unit
from tortie.dataplane.iptables.reading import SetSnapshot
from tortie.dataplane.iptables.sets import ElementChange
from tortie.dataplane.iptables.settings import IptablesSettings
from tortie.dataplane.iptables.skeleton import (
    FIXED_SETS,
    JUMPS,
    is_branch,
    loop_chain,
    static_chains,
    workload_chains,
)
from tortie.dataplane.policy.families import FAMILIES

Mirrors = Mapping[int, Mirror]


def everything(desired: Desired, found: SetSnapshot) -> Touched:
    """All objects as touched; of sets that are there, only the elements that differ."""
    touched = Touched()
    touched.policies.update(desired.program.policies)
    touched.profiles.update(desired.program.profiles)
    touched.interfaces.update(desired.program.interfaces)
    touched.hosts = touched.services = True
    for key, wanted in desired.sets.items():
        name = set_name(*key)
        if found.types.get(name) is not wanted.type:
            touched.sets.add(key)
            continue
        have, want = found.elements[name], wanted.elements()
        change = ElementChange(want - have, have - want)
        if is_large(change, len(want)):
            touched.sets.add(key)
        elif change:
            touched.elements[key] = change
    return touched


def strays(desired: Desired, mirrors: Mirrors, settings: IptablesSettings) -> list[Unit]:
    """Chains, jumps and sets with our names that nothing desired accounts for."""
    owned = set(_owned_chains(desired))
    hooks = {(jump.table, jump.hook) for jump in JUMPS}
    units = []
    for family in FAMILIES:
        mirror, version = mirrors[family.version], family.version
        static = (
            *static_chains(family, settings),
            *workload_chains((), (), family),
            *host_chains(Hosts({}, {}), {}, family, settings),
            loop_chain(desired.program.services, family, settings),
        )
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


def _owned_chains(desired: Desired) -> Iterator[tuple[str, ChainName]]:
    program = desired.program
    for way in Way:
        for policy in program.policies:
            yield "filter", policy_chain(way, policy)
        for profile in program.profiles:
            yield "filter", profile_chain(way, profile)
        for interface in program.interfaces:
            try:
                yield "filter", endpoint_chain(way, interface)
            except UnsafeName:
                continue


def _owned_sets(desired: Desired, version: int) -> Iterator[SetName]:
    yield from (set_name(version, one) for one in FIXED_SETS)
    yield from (set_name(*key) for key in desired.sets if key[0] == version)
