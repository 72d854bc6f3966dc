"""What iptables' tables need beside what every firewall does: jumps, ways, host endpoints. Pure."""

from collections.abc import Iterator, Mapping

from tortie.dataplane.iptables.chains import (
    FILTER,
    Chain,
    endpoint_chains,
    policy_chains,
    profile_chains,
)
from tortie.dataplane.iptables.edits import (
    DropChain,
    DropSet,
    Edit,
    EditSet,
    Mirror,
    PutChain,
    PutJump,
    PutSet,
    Stand,
)
from tortie.dataplane.iptables.floating import floating_chains
from tortie.dataplane.iptables.hosts import (
    Hosts,
    host_chains,
    is_host_chain,
)
from tortie.dataplane.iptables.ipvs import FROM_MARK_CHAIN, ipvs_chains
from tortie.dataplane.iptables.limits import class_chain, limit_chains
from tortie.dataplane.iptables.names import OWNERS, ChainName, Unrenderable, set_name
from tortie.dataplane.iptables.sets import Element, FamilySet, SetType
from tortie.dataplane.iptables.settings import IptablesSettings
from tortie.dataplane.iptables.skeleton import (
    JUMPS,
    is_branch,
    loop_chain,
    static_chains,
    workload_chains,
)
from tortie.dataplane.policy.desired import FIXED_SETS, Desired, ElementChange, SetKey, Touched
from tortie.dataplane.policy.families import FAMILIES, Family
from tortie.dataplane.policy.floating import Translations
from tortie.dataplane.policy.interfaces import closed_host
from tortie.dataplane.policy.plan import EVERYTHING, Planner, Unit, set_subject
from tortie.engine.delta import ServiceCidrs
from tortie.policy.program import Endpoint, Policy, Profile

IptablesDesired = Desired[FamilySet, Element]
Mirrors = Mapping[int, Mirror]  # by IP version


class IptablesPlanner(Planner[Edit, Chain, Element]):
    """Plans against the mirrors as they are at each call."""

    names = OWNERS
    drops = (DropChain, DropSet)

    def __init__(
        self, desired: IptablesDesired, mirrors: Mirrors, settings: IptablesSettings
    ) -> None:
        super().__init__(desired, mirrors, settings)
        self._desired: IptablesDesired = desired
        self._mirrors: Mirrors = mirrors
        self._settings: IptablesSettings = settings

    def _put(self, family: Family, chain: Chain) -> Edit:
        return PutChain(family.version, chain)

    def _drop(self, family: Family, name: ChainName) -> Edit:
        return DropChain(family.version, FILTER, name)

    def _policy_chains(self, policy: Policy, family: Family) -> list[Chain]:
        return policy_chains(policy, family, self._settings)

    def _profile_chains(self, profile: Profile, family: Family) -> list[Chain]:
        return profile_chains(profile, family, self._settings)

    def _closed_chain(self, name: ChainName) -> Chain:
        return Chain(name, ("-j DROP",))

    def _loops(self, family: Family) -> list[Chain]:
        return [loop_chain(self._desired.services, family, self._settings)]

    def _floating(self, family: Family) -> list[Chain]:
        return floating_chains(self.translations(family))

    def _classes(self, family: Family) -> list[Chain]:
        return [class_chain(self.sources_by_class(family), family)]

    def _open(self, endpoint: Endpoint) -> Iterator[Edit]:
        for family in FAMILIES:
            yield from self._changed(family, limit_chains(endpoint))
            yield from self._changed(family, endpoint_chains(endpoint, family, self._settings))

    def _ways(self, touched: Touched[Element]) -> list[Unit[Edit]]:
        ways = [self.ways_unit()] if touched.interfaces else []
        # Early policies have chains of their own, which change with them.
        if touched.hosts or (self._desired.hosts and touched.policies):
            ways += self._host_endpoints()
        return ways

    def _ipvs(self, family: Family) -> list[Chain]:
        if not self._desired.facts.is_ipvs:
            return []
        return ipvs_chains(self.passing(family), self._settings)

    def static_chains(self, family: Family) -> list[Chain]:
        """Every chain that names no workload's or host endpoint's chain."""
        facts = self._desired.facts
        ipvs = (one for one in self._ipvs(family) if one.name != FROM_MARK_CHAIN)
        return [*static_chains(family, self._settings, facts), *ipvs]

    def first_chains(self, family: Family) -> list[Chain]:
        """The chains that resources fill, as they are before there are any."""
        closed = [self._closed_chain(FROM_MARK_CHAIN)] if self._desired.facts.is_ipvs else []
        return [*empty_chains(family, self._settings), *closed]

    def static_unit(self) -> Unit[Edit]:
        """The jumps and what they lead to before any workload. Without it nothing is safe."""
        edits: list[Edit] = []
        for family in FAMILIES:
            mirror = self._mirrors[family.version]
            for set_id in FIXED_SETS:
                name = set_name(family.version, set_id)
                if name not in mirror.sets:
                    edits.append(PutSet(family.version, name, SetType.NETS))
            edits += self._changed(family, self.static_chains(family))
            edits += self._jumps(family)
            edits += [
                PutChain(family.version, chain)
                for chain in self.first_chains(family)
                if (chain.table, chain.name) not in mirror.chains
            ]
        return Unit(EVERYTHING, tuple(edits))

    def _jumps(self, family: Family) -> Iterator[Edit]:
        mirror = self._mirrors[family.version]
        stand = Stand.LAST if self._settings.append else Stand.FIRST
        for jump in JUMPS:
            if not mirror.jumps_right(jump, stand):
                found = tuple(mirror.jumps.get((jump.table, jump.hook), ()))
                yield PutJump(family.version, jump, found, stand)

    def ways_unit(self) -> Unit[Edit]:
        """The chains by which packets come to workloads' chains, for all of them."""
        edits: list[Edit] = []
        guarded = [one for one in self._desired.guarded() if not self._refusal(one)]
        for family in FAMILIES:
            chains = workload_chains(guarded, (one.interface for one in guarded), family)
            edits += self._changed(family, chains)
            wanted = {chain.name for chain in chains}
            edits += [
                DropChain(family.version, table, name)
                for table, name in self._mirrors[family.version].chains
                if is_branch(name) and name not in wanted
            ]
        return Unit("the ways to workloads", tuple(edits))

    def _host_endpoints(self) -> list[Unit[Edit]]:
        """All host endpoints at once, since each interface is one's or another's."""
        known, units = Hosts(self.hosts(), self._desired.addresses), self._impossible_hosts()
        closed = tuple(self._closed_hosts(known))
        try:
            edits = tuple(self._open_hosts(known))
        except Unrenderable as error:
            return [*units, Unit("host endpoints", closed, (), str(error))]
        return [*units, Unit("host endpoints", edits, closed)]

    def _open_hosts(self, known: Hosts) -> Iterator[Edit]:
        for family in FAMILIES:
            mirror = self._mirrors[family.version]
            chains = host_chains(known, self._desired.policies, family, self._settings)
            yield from self._changed(family, chains)
            wanted = {(chain.table, chain.name) for chain in chains}
            for key in mirror.chains:
                if is_host_chain(*key) and key not in wanted:
                    yield DropChain(family.version, *key)

    def _closed_hosts(self, known: Hosts) -> Iterator[Edit]:
        """Those that have chains keep them; new ones are left with their failsafe ports."""
        without_policy = {name: closed_host(host) for name, host in known.hosts.items()}
        for family in FAMILIES:
            mirror = self._mirrors[family.version]
            shut = known._replace(hosts=without_policy)
            for chain in host_chains(shut, {}, family, self._settings):
                key = (chain.table, chain.name)
                if key not in mirror.chains or not is_host_chain(*key):
                    yield PutChain(family.version, chain)

    def _sets(self, touched: Touched[Element]) -> tuple[list[Unit[Edit]], list[Unit[Edit]]]:
        whole = [self._set(key) for key in sorted(touched.sets)]
        coming = [one for one in whole if not self._only_drops(one)]
        coming += [
            self._elements(key, change)
            for key, change in sorted(touched.elements.items())
            if key not in touched.sets
        ]
        return coming, [one for one in whole if self._only_drops(one)]

    def _set(self, key: SetKey) -> Unit[Edit]:
        version, set_id = key
        name = set_name(version, set_id)
        wanted = self._desired.sets.get(key)
        if wanted is not None:
            put = PutSet(version, name, wanted.type, frozenset(wanted.elements()))
            return Unit(set_subject(key), (put,))
        gone = name in self._mirrors[version].sets and set_id not in FIXED_SETS
        return Unit(set_subject(key), (DropSet(version, name),) if gone else ())

    def _elements(self, key: SetKey, change: ElementChange[Element]) -> Unit[Edit]:
        edit = EditSet(key[0], set_name(*key), frozenset(change.added), frozenset(change.removed))
        return Unit(set_subject(key), (edit,))


def empty_chains(family: Family, settings: IptablesSettings) -> list[Chain]:
    """The chains that resources fill, as long as there are none."""
    return [
        *workload_chains((), (), family),
        *host_chains(Hosts({}, {}), {}, family, settings),
        loop_chain(ServiceCidrs(), family, settings),
        *floating_chains(Translations()),
        class_chain({}, family),
    ]
