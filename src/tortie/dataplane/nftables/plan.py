"""What nftables' tables need beside what every firewall does: sets, maps, base chains. Pure."""

from collections.abc import Iterator

from tortie.dataplane.nftables.chains import (
    ACCEPT_CHAIN,
    CLOSED,
    CT_MAP,
    Chain,
    endpoint_chains,
    policy_chains,
    profile_chains,
)
from tortie.dataplane.nftables.edits import (
    STATIC_SETS,
    DropChain,
    DropSet,
    Edit,
    EditElements,
    EditInterface,
    InterfaceElements,
    PutChain,
    PutSet,
    PutTable,
)
from tortie.dataplane.nftables.floating import floating_chains
from tortie.dataplane.nftables.hosts import Hosts, host_chains
from tortie.dataplane.nftables.ipvs import FROM_MARK_CHAIN, ipvs_chains
from tortie.dataplane.nftables.limits import class_chains, limit_chains
from tortie.dataplane.nftables.members import FamilySet
from tortie.dataplane.nftables.names import (
    OWNERS,
    ChainName,
    Way,
    endpoint_chain,
    is_host_chain,
    is_host_way,
    run_chain,
    set_name,
)
from tortie.dataplane.nftables.runs import Runs
from tortie.dataplane.nftables.sets import (
    Element,
    Layout,
    ct_element,
    dispatch_element,
    live_element,
    source_element,
)
from tortie.dataplane.nftables.settings import NftSettings
from tortie.dataplane.nftables.skeleton import (
    FROM_MAP,
    LIVE,
    SOURCE_NETS,
    SOURCES,
    TO_MAP,
    loop_chain,
    static_chains,
)
from tortie.dataplane.nftables.transaction import Mirrors
from tortie.dataplane.policy.desired import FIXED_SETS, Desired, Run, SetKey, Touched
from tortie.dataplane.policy.families import FAMILIES, Family, family_of
from tortie.dataplane.policy.interfaces import closed_host
from tortie.dataplane.policy.limits import counts_packets
from tortie.dataplane.policy.nets import disjoint_nets
from tortie.dataplane.policy.plan import EVERYTHING, Planner, Unit, set_subject
from tortie.net import Prefix
from tortie.policy.program import Endpoint, Policy, Profile, SetId

NftDesired = Desired[FamilySet, Element]


class NftPlanner(Planner[Edit, Chain, Element]):
    """Plans against the mirrors as they are at each call."""

    names = OWNERS
    drops = (DropChain,)

    def __init__(
        self, desired: NftDesired, mirrors: Mirrors, settings: NftSettings, book: Runs | None = None
    ) -> None:
        super().__init__(desired, mirrors, settings)
        self._book = book or Runs()
        self._desired: NftDesired = desired
        self._mirrors: Mirrors = mirrors
        self._settings: NftSettings = settings

    def base_chains(self, family: Family) -> list[Chain]:
        """Every chain that is no single policy's, profile's or endpoint's."""
        return [
            *static_chains(family, self._settings, self._desired.facts),
            *self._loops(family),
            *self._floating(family),
            *self._classes(family),
            *self._ipvs(family),
        ]

    def _put(self, family: Family, chain: Chain) -> Edit:
        return PutChain(family, chain)

    def _drop(self, family: Family, name: ChainName) -> Edit:
        return DropChain(family, name)

    def _policy_chains(self, policy: Policy, family: Family) -> list[Chain]:
        return policy_chains(policy, family, self._settings)

    def _profile_chains(self, profile: Profile, family: Family) -> list[Chain]:
        return profile_chains(profile, family, self._settings)

    def _closed_chain(self, name: ChainName) -> Chain:
        return Chain(name, (CLOSED,))

    def _loops(self, family: Family) -> list[Chain]:
        return [loop_chain(self._desired.services, family, self._settings)]

    def _floating(self, family: Family) -> list[Chain]:
        return floating_chains(self.translations(family), family)

    def _classes(self, family: Family) -> list[Chain]:
        return class_chains(self.sources_by_class(family), family)

    def _ipvs(self, family: Family) -> list[Chain]:
        if not self._desired.facts.is_ipvs:
            return []
        return ipvs_chains(self.passing(family), family, self._settings)

    def static_unit(self, found_ct: dict[int, frozenset[Element]] | None = None) -> Unit[Edit]:
        """The table itself and what it has before any workload. Without it nothing is safe."""
        edits: list[Edit] = []
        for family in FAMILIES:
            mirror = self._mirrors[family.version]
            if not mirror.exists:
                edits.append(PutTable(family))
            edits += self._static_sets(family, found_ct)
            edits += self._changed(family, self._first_chains(family))
        return Unit(EVERYTHING, tuple(edits))

    def _first_chains(self, family: Family) -> Iterator[Chain]:
        """The base chains; what leads to workloads' chains, which are not there yet, is closed."""
        for chain in self.base_chains(family):
            if chain.name != FROM_MARK_CHAIN:
                yield chain
            elif not self._mirrors[family.version].has(chain.name):
                yield self._closed_chain(chain.name)

    def _static_sets(
        self, family: Family, found_ct: dict[int, frozenset[Element]] | None
    ) -> Iterator[Edit]:
        mirror = self._mirrors[family.version]
        states = frozenset(self._ct_elements())
        for name, layout in STATIC_SETS.items():
            if mirror.sets.get(name) is not layout:
                yield PutSet(family, name, layout, tuple(states) if name == CT_MAP else ())
            elif name == CT_MAP and found_ct is not None:
                found = found_ct[family.version]
                if found != states:
                    yield EditElements(family, CT_MAP, layout, states - found, found - states)
        for set_id in FIXED_SETS:
            name = set_name(family.version, set_id)
            if mirror.sets.get(name) is None:
                yield PutSet(family, name, Layout.ADDRESSES)

    def _ct_elements(self) -> Iterator[Element]:
        yield ct_element("established", ACCEPT_CHAIN)
        yield ct_element("related", ACCEPT_CHAIN)
        if self._settings.drop_invalid:
            yield ct_element("invalid", "")

    def _sets(self, touched: Touched[Element]) -> tuple[list[Unit[Edit]], list[Unit[Edit]]]:
        """New sets, then those begun anew (their users look into new ones too), then changes."""
        new, anew, going = [], [], []
        for key in sorted(touched.sets):
            unit = self._set(key)
            if key not in self._desired.sets:
                going.append(unit)
            elif len(unit.edits) == 1:
                new.append(unit)
            else:
                anew.append(unit)
        changed: list[Unit[Edit]] = [
            Unit(set_subject(key), (self._elements_edit(key, touched),))
            for key in sorted(touched.elements)
            if key not in touched.sets
        ]
        return [*new, *anew, *changed], going

    def _set(self, key: SetKey) -> Unit[Edit]:
        family, set_id = family_of(key[0]), key[1]
        name = set_name(family.version, set_id)
        mirror = self._mirrors[family.version]
        wanted = self._desired.sets.get(key)
        if wanted is None:
            gone = name in mirror.sets and set_id not in FIXED_SETS
            return Unit(set_subject(key), (DropSet(family, name),) if gone else ())
        put = PutSet(family, name, wanted.layout, tuple(wanted.elements()))
        users = self._users(family, set_id) if name in mirror.sets else ()
        return Unit(set_subject(key), (put, *users))

    def _users(self, family: Family, set_id: SetId) -> Iterator[Edit]:
        """The chains that must let go of a set for it to be made anew."""
        desired, settings = self._desired, self._settings
        chains: list[Chain] = []
        if set_id in FIXED_SETS:
            chains += [*self.base_chains(family), *self.host_chains(family)]
        for policy in desired.policy_users(set_id):
            chains += policy_chains(desired.policies[policy], family, settings)
        for profile in desired.profile_users(set_id):
            chains += profile_chains(desired.profiles[profile], family, settings)
        return (PutChain(family, chain) for chain in chains)

    def _elements_edit(self, key: SetKey, touched: Touched[Element]) -> EditElements:
        family = family_of(key[0])
        change = touched.elements[key]
        return EditElements(
            family,
            set_name(family.version, key[1]),
            self._desired.sets[key].layout,
            frozenset(change.added),
            frozenset(change.removed),
        )

    def _runs(self, touched: Touched[Element], /) -> list[Unit[Edit]]:
        asked = touched.runs | touched.stirred_runs if self._settings.coalesce else set()
        return [self._run(run, touched) for run in sorted(asked, key=run_chain)]

    def _run(self, run: Run, touched: Touched[Element]) -> Unit[Edit]:
        subject = f"{len(run.policies)} policies from {run.policies[0]} on"
        policies, name = self._desired.policies, run_chain(run)
        if run not in self._desired.runs:
            self._book.forget(run)
            return Unit(subject, tuple(self._drops([name])))
        edits: list[Edit] = []
        for family in FAMILIES:
            if run in touched.runs or not self._book.is_as_made(run, policies, family):
                chain = self._book.chain(run, policies, family, self._settings)
                edits += self._changed(family, [chain])
        return Unit(subject, tuple(edits), tuple(self._closed(name)))

    def _closed(self, name: ChainName) -> Iterator[Edit]:
        """A chain that is not there yet begins closed."""
        for family in FAMILIES:
            if not self._mirrors[family.version].has(name):
                yield PutChain(family, self._closed_chain(name))

    def owned_chains(self) -> Iterator[ChainName]:
        """Those of policies, profiles and workloads, and the ones that these share."""
        yield from super().owned_chains()
        if self._settings.coalesce:
            yield from map(run_chain, self._desired.runs)

    def host_chains(self, family: Family) -> list[Chain]:
        """The chains of the node's host endpoints."""
        desired = self._desired
        known = Hosts(self.hosts(), desired.addresses, desired.facts)
        return host_chains(known, family, self._settings)

    def _ways(self, touched: Touched[Element]) -> list[Unit[Edit]]:
        return [*self._impossible_hosts(), self._hosts()] if touched.hosts else []

    def _hosts(self) -> Unit[Edit]:
        """All host endpoints at once: each interface is one's or another's."""
        edits: list[Edit] = []
        for family in FAMILIES:
            chains = self.host_chains(family)
            edits += self._changed(family, chains)
            mirror, wanted = self._mirrors[family.version], {one.name for one in chains}
            strays = [name for name in mirror.chains if is_host_chain(name)]
            edits += [DropChain(family, one) for one in strays if one not in wanted]
        return Unit("host endpoints", tuple(edits), tuple(self._closed_hosts()))

    def _closed_hosts(self) -> Iterator[Edit]:
        """Those that have chains keep them; new ones are left with their failsafe ports."""
        closed = {name: closed_host(host) for name, host in self.hosts().items()}
        known = Hosts(closed, self._desired.addresses, self._desired.facts)
        for family in FAMILIES:
            mirror = self._mirrors[family.version]
            for chain in host_chains(known, family, self._settings):
                if is_host_way(chain.name) or not mirror.has(chain.name):
                    yield PutChain(family, chain)

    def _open(self, endpoint: Endpoint) -> Iterator[Edit]:
        limits = limit_chains(endpoint)
        for family in FAMILIES:
            chains = endpoint_chains(endpoint, family, self._settings)
            yield from self._changed(family, [*limits, *chains])
            yield from self._elements(family, endpoint.interface, _elements_of(endpoint, family))

    def _shut(self, interface: str) -> Iterator[Edit]:
        for family in FAMILIES:
            yield from self._elements(family, interface, frozenset())
        yield from super()._shut(interface)

    def _forgotten(self, interface: str) -> Iterator[Edit]:
        for family in FAMILIES:
            yield from self._elements(family, interface, frozenset())
        yield from super()._forgotten(interface)

    def _elements(
        self, family: Family, interface: str, wanted: InterfaceElements
    ) -> Iterator[Edit]:
        had = self._mirrors[family.version].interfaces.get(interface, frozenset())
        if had != wanted:
            yield EditInterface(family, interface, had, wanted)


def _elements_of(endpoint: Endpoint, family: Family) -> InterfaceElements:
    interface = endpoint.interface
    own = [one for one in endpoint.addresses if one.version == family.version]
    sources = {(SOURCES, source_element(interface, _single(one))) for one in own}
    allowed = disjoint_nets(endpoint.allowed_sources, family)
    nets = {(SOURCE_NETS, source_element(interface, one)) for one in allowed}
    dispatch = {
        (FROM_MAP, dispatch_element(interface, endpoint_chain(Way.FROM, interface))),
        (TO_MAP, dispatch_element(interface, endpoint_chain(Way.TO, interface))),
    }
    live = set() if counts_packets(endpoint) else {(LIVE, live_element(interface))}
    return frozenset(sources | nets | dispatch | live)


def _single(address: Prefix) -> Prefix:
    return Prefix.single(address.version, address.address)
