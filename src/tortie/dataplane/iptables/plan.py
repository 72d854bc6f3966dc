"""From what is desired, what was touched and what is there: the edits still to make. Pure.

Edits come in units, one for each object that a person would name, in an order in which each unit
can be written alone: sets, policies and profiles, endpoints, the way to them, then what goes. When
the whole is refused, the units are tried by halves until the bad one is found.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import NamedTuple

from tortie.dataplane.iptables.chains import (
    Chain,
    closed_endpoint_chains,
    endpoint_chains,
    policy_chains,
    profile_chains,
)
from tortie.dataplane.iptables.desired import Desired, SetKey, Touched
from tortie.dataplane.iptables.edits import (
    DropChain,
    DropSet,
    Edit,
    EditSet,
    Mirror,
    PutChain,
    PutJump,
    PutSet,
)
from tortie.dataplane.iptables.hosts import (
    Hosts,
    closed_host,
    host_chains,
    impossible,
    is_host_chain,
)
from tortie.dataplane.iptables.names import (
    ChainName,
    Unrenderable,
    UnsafeName,
    Way,
    endpoint_chain,
    policy_chain,
    profile_chain,
    set_name,
)
from tortie.dataplane.iptables.sets import SetType
from tortie.dataplane.iptables.settings import IptablesSettings
from tortie.dataplane.iptables.skeleton import (
    FIXED_SETS,
    JUMPS,
    is_branch,
    loop_chain,
    static_chains,
    workload_chains,
)
from tortie.dataplane.policy.families import FAMILIES, Family
from tortie.engine.delta import ServiceCidrs
from tortie.policy.program import Endpoint, PolicyId

EVERYTHING = "everything"
Mirrors = Mapping[int, Mirror]  # by IP version


class Unit(NamedTuple):
    """The edits for one object. `fallback`: what to do instead if they are refused.

    `problem` is set where the object can't even be rendered; the edits then close it.
    """

    subject: str
    edits: tuple[Edit, ...]
    fallback: tuple[Edit, ...] = ()
    problem: str = ""


class Planner:
    """Plans against the mirrors as they are at each call."""

    def __init__(self, desired: Desired, mirrors: Mirrors, settings: IptablesSettings) -> None:
        self._desired, self._mirrors, self._settings = desired, mirrors, settings
        self._program = desired.program

    def units(self, touched: Touched) -> list[Unit]:
        """The units for what a fold touched."""
        sets = [self._set(key) for key in sorted(touched.sets)]
        sets += [self._elements(key, touched) for key in sorted(touched.elements)]
        owners = [self._policy(one) for one in sorted(touched.policies)]
        owners += [self._profile(one) for one in sorted(touched.profiles)]
        ends = [unit for one in sorted(touched.interfaces) for unit in self._claimed(one)]
        ways = [self.ways_unit()] if touched.interfaces else []
        ways += self._host_endpoints() if touched.hosts else []
        ways += [self._services()] if touched.services else []
        units = [*sets, *owners, *ends]
        coming = [one for one in units if not _only_drops(one)]
        going = [one for one in units if _only_drops(one)]
        # An endpoint that goes is let go of by the ways to all of them, a set by the policies.
        going.sort(key=_is_about_sets)
        return [one for one in (*coming, *ways, *going) if one.edits or one.problem]

    def static_unit(self) -> Unit:
        """The jumps and what they lead to before any workload. Without it nothing is safe."""
        edits: list[Edit] = []
        for family in FAMILIES:
            mirror = self._mirrors[family.version]
            for set_id in FIXED_SETS:
                name = set_name(family.version, set_id)
                if name not in mirror.sets:
                    edits.append(PutSet(family.version, name, SetType.NETS))
            edits += self._changed(family, static_chains(family, self._settings))
            edits += _jumps(family, mirror)
            empty = workload_chains((), (), family)
            empty += host_chains(Hosts({}, {}), {}, family, self._settings)
            empty.append(loop_chain(ServiceCidrs(), family, self._settings))
            edits += [
                PutChain(family.version, chain)
                for chain in empty
                if (chain.table, chain.name) not in mirror.chains
            ]
        return Unit(EVERYTHING, tuple(edits))

    def ways_unit(self) -> Unit:
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

    def _services(self) -> Unit:
        """The chain of services' addresses."""
        services = self._program.services
        edits: list[Edit] = []
        for family in FAMILIES:
            chain = loop_chain(services, family, self._settings)
            edits += self._changed(family, [chain])
        return Unit("services' addresses", tuple(edits))

    def _host_endpoints(self) -> list[Unit]:
        """All host endpoints at once, since each interface is one's or another's."""
        known = self._desired.hosts
        bad = {name: why for name, host in known.hosts.items() if (why := impossible(host))}
        usable = {name: host for name, host in known.hosts.items() if name not in bad}
        units = [Unit(str(name), (), (), why) for name, why in sorted(bad.items())]
        closed = tuple(self._closed_hosts(known._replace(hosts=usable)))
        try:
            edits = tuple(self._open_hosts(known._replace(hosts=usable)))
        except Unrenderable as error:
            return [*units, Unit("host endpoints", closed, (), str(error))]
        return [*units, Unit("host endpoints", edits, closed)]

    def _open_hosts(self, known: Hosts) -> Iterator[Edit]:
        for family in FAMILIES:
            mirror = self._mirrors[family.version]
            chains = host_chains(known, self._program.policies, family, self._settings)
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

    def _set(self, key: SetKey) -> Unit:
        version, set_id = key
        name = set_name(version, set_id)
        wanted = self._desired.sets.get(key)
        if wanted is not None:
            put = PutSet(version, name, wanted.type, wanted.elements())
            return Unit(set_subject(key), (put,))
        gone = name in self._mirrors[version].sets and set_id not in FIXED_SETS
        return Unit(set_subject(key), (DropSet(version, name),) if gone else ())

    def _elements(self, key: SetKey, touched: Touched) -> Unit:
        if key in touched.sets:
            return Unit(set_subject(key), ())
        change = touched.elements[key]
        edit = EditSet(key[0], set_name(*key), change.added, change.removed)
        return Unit(set_subject(key), (edit,))

    def _policy(self, name: PolicyId) -> Unit:
        policy = self._program.policies.get(name)
        names = [policy_chain(way, name) for way in Way]
        if policy is None:
            return Unit(str(name), tuple(self._drops(names)))
        return self._owner(str(name), names, lambda f: policy_chains(policy, f, self._settings))

    def _profile(self, name: str) -> Unit:
        profile = self._program.profiles.get(name)
        names = [profile_chain(way, name) for way in Way]
        subject = f"Profile({name})"
        if profile is None:
            return Unit(subject, tuple(self._drops(names)))
        return self._owner(subject, names, lambda f: profile_chains(profile, f, self._settings))

    def _owner(
        self, subject: str, names: list[ChainName], render: Callable[[Family], list[Chain]]
    ) -> Unit:
        """Chains of rules. Refused ones keep their last good state, new ones stay closed."""
        closed = tuple(
            PutChain(family.version, Chain(name, ("-j DROP",)))
            for family in FAMILIES
            for name in names
            if ("filter", name) not in self._mirrors[family.version].chains
        )
        try:
            chains = [(family, render(family)) for family in FAMILIES]
        except Unrenderable as error:
            return Unit(subject, closed, (), str(error))
        edits = [edit for family, own in chains for edit in self._changed(family, own)]
        return Unit(subject, tuple(edits), closed)

    def _claimed(self, interface: str) -> Iterator[Unit]:
        """The interface's own edits, and what is said of endpoints that name it in vain."""
        yield self._interface(interface)
        for rival in self._program.rivals(interface):
            owner = self._program.interfaces[interface]
            yield Unit(str(rival), (), (), f"interface {interface} belongs to {owner} already")

    def _interface(self, interface: str) -> Unit:
        endpoint_id = self._program.interfaces.get(interface)
        if endpoint_id is None:
            return Unit(f"interface {interface}", tuple(self._closed(interface)))
        endpoint = self._program.endpoints[endpoint_id]
        if problem := self._refusal(endpoint):
            return Unit(str(endpoint_id), (), (), problem)
        edits = [
            edit
            for family in FAMILIES
            for edit in self._changed(family, endpoint_chains(endpoint, family, self._settings))
        ]
        shut = [
            PutChain(family.version, chain)
            for family in FAMILIES
            for chain in closed_endpoint_chains(interface)
        ]
        return Unit(str(endpoint_id), tuple(edits), tuple(shut))

    def _refusal(self, endpoint: Endpoint) -> str:
        """Why an endpoint's interface can have no chain; empty if it can."""
        try:
            endpoint_chain(Way.TO, endpoint.interface)
        except UnsafeName as error:
            return str(error)
        if not self._settings.guards(endpoint.interface):
            return (
                f"interface {endpoint.interface} does not begin with "
                f"{' or '.join(self._settings.interface_prefixes)}: its packets are not looked at"
            )
        return ""

    def _closed(self, interface: str) -> Iterator[Edit]:
        try:
            yield from self._drops([endpoint_chain(way, interface) for way in Way])
        except UnsafeName:
            return  # it never had chains

    def _changed(self, family: Family, chains: Iterable[Chain]) -> Iterator[Edit]:
        mirror = self._mirrors[family.version]
        return (PutChain(family.version, chain) for chain in chains if not mirror.holds(chain))

    def _drops(self, names: Iterable[ChainName]) -> Iterator[Edit]:
        for name in names:
            for family in FAMILIES:
                if ("filter", name) in self._mirrors[family.version].chains:
                    yield DropChain(family.version, "filter", name)


def _jumps(family: Family, mirror: Mirror) -> Iterator[Edit]:
    for jump in JUMPS:
        if not mirror.jumps_right(jump):
            found = tuple(mirror.jumps.get((jump.table, jump.hook), ()))
            yield PutJump(family.version, jump, found)


def set_subject(key: SetKey) -> str:
    """How a set is named before people."""
    return f"set {key[1]}"


def _only_drops(unit: Unit) -> bool:
    return bool(unit.edits) and all(isinstance(edit, DropChain | DropSet) for edit in unit.edits)


def _is_about_sets(unit: Unit) -> bool:
    return any(isinstance(edit, DropSet) for edit in unit.edits)
