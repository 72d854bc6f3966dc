"""From what is desired, what was touched and what is there: the edits still to make. Pure.

Edits come in units, one for each object that a person would name, in an order in which each unit
can stand as a transaction of its own: sets, policies and profiles, endpoints, then what goes. When
the whole is refused, the units are tried by halves until the bad one is found.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

from tortie.dataplane.nftables.chains import (
    ACCEPT_CHAIN,
    CT_MAP,
    Chain,
    closed_endpoint_chains,
    endpoint_chains,
    policy_chains,
    profile_chains,
)
from tortie.dataplane.nftables.desired import Desired, SetKey, Touched
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
from tortie.dataplane.nftables.hosts import host_chains
from tortie.dataplane.nftables.names import (
    ChainName,
    UnsafeName,
    Way,
    endpoint_chain,
    is_host_chain,
    policy_chain,
    profile_chain,
    set_name,
)
from tortie.dataplane.nftables.sets import (
    Element,
    Layout,
    ct_element,
    dispatch_element,
    source_element,
)
from tortie.dataplane.nftables.settings import NftSettings
from tortie.dataplane.nftables.skeleton import (
    FIXED_SETS,
    FROM_MAP,
    SOURCE_NETS,
    SOURCES,
    TO_MAP,
    loop_chain,
    static_chains,
)
from tortie.dataplane.nftables.transaction import Mirrors
from tortie.dataplane.policy.families import FAMILIES, IPV4, IPV6, Family
from tortie.dataplane.policy.nets import disjoint_nets
from tortie.net import Prefix
from tortie.policy.program import Endpoint, PolicyId, SetId

EVERYTHING = "everything"


class Unit(NamedTuple):
    """The edits for one object. `fallback`: what to do instead if the kernel refuses them.

    `problem` is set where the object can't even be rendered; the edits then close it.
    """

    subject: str
    edits: tuple[Edit, ...]
    fallback: tuple[Edit, ...] = ()
    problem: str = ""


class Planner:
    """Plans against the mirrors as they are at each call."""

    def __init__(self, desired: Desired, mirrors: Mirrors, settings: NftSettings) -> None:
        self._desired, self._mirrors, self._settings = desired, mirrors, settings
        self._static = {
            one.version: (*static_chains(one, settings), self._loops(one)) for one in FAMILIES
        }

    def _loops(self, family: Family) -> Chain:
        return loop_chain(self._desired.services, family, self._settings)

    def units(self, touched: Touched) -> list[Unit]:
        """The units for what a fold touched."""
        coming, going = self._sets(touched)
        policies = [self._policy(one) for one in sorted(touched.policies)]
        profiles = [self._profile(one) for one in sorted(touched.profiles)]
        owners = [*policies, *profiles]
        put = [unit for unit in owners if not _only_drops(unit)]
        dropped = [unit for unit in owners if _only_drops(unit)]
        endpoints = [unit for one in sorted(touched.interfaces) for unit in self._claimed(one)]
        hosts = [self._hosts()] if touched.hosts else []
        hosts += [self._services()] if touched.services else []
        ordered = [*coming, *put, *endpoints, *hosts, *dropped, *going]
        return [unit for unit in ordered if unit.edits or unit.problem]

    def static_unit(self, found_ct: dict[int, frozenset[Element]] | None = None) -> Unit:
        """The table itself and what it has before any workload. Without it nothing is safe."""
        edits: list[Edit] = []
        for family in FAMILIES:
            mirror = self._mirrors[family.version]
            if not mirror.exists:
                edits.append(PutTable(family))
            edits += self._static_sets(family, found_ct)
            edits += self._changed(family, self._static[family.version])
        return Unit(EVERYTHING, tuple(edits))

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

    def _sets(self, touched: Touched) -> tuple[list[Unit], list[Unit]]:
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
        changed = [
            Unit(_set_subject(key), (self._elements_edit(key, touched),))
            for key in sorted(touched.elements)
            if key not in touched.sets
        ]
        return [*new, *anew, *changed], going

    def _set(self, key: SetKey) -> Unit:
        family, set_id = _family(key[0]), key[1]
        name = set_name(family.version, set_id)
        mirror = self._mirrors[family.version]
        wanted = self._desired.sets.get(key)
        if wanted is None:
            gone = name in mirror.sets and set_id not in FIXED_SETS
            return Unit(_set_subject(key), (DropSet(family, name),) if gone else ())
        put = PutSet(family, name, wanted.layout, tuple(wanted.elements()))
        users = self._users(family, set_id) if name in mirror.sets else ()
        return Unit(_set_subject(key), (put, *users))

    def _users(self, family: Family, set_id: SetId) -> Iterator[Edit]:
        """The chains that must let go of a set for it to be made anew."""
        desired, settings = self._desired, self._settings
        chains: list[Chain] = list(self._static[family.version]) if set_id in FIXED_SETS else []
        for policy in desired.policy_users(set_id):
            chains += policy_chains(desired.policies[policy], family, settings)
        for profile in desired.profile_users(set_id):
            chains += profile_chains(desired.profiles[profile], family, settings)
        return (PutChain(family, chain) for chain in chains)

    def _elements_edit(self, key: SetKey, touched: Touched) -> EditElements:
        family = _family(key[0])
        change = touched.elements[key]
        return EditElements(
            family,
            set_name(family.version, key[1]),
            self._desired.sets[key].layout,
            frozenset(change.added),
            frozenset(change.removed),
        )

    def _policy(self, name: PolicyId) -> Unit:
        policy = self._desired.policies.get(name)
        names = [policy_chain(way, name) for way in Way]
        if policy is None:
            return Unit(str(name), tuple(self._drops(names)))
        return self._owner(str(name), names, lambda f: policy_chains(policy, f, self._settings))

    def _profile(self, name: str) -> Unit:
        profile = self._desired.profiles.get(name)
        names = [profile_chain(way, name) for way in Way]
        subject = f"Profile({name})"
        if profile is None:
            return Unit(subject, tuple(self._drops(names)))
        return self._owner(subject, names, lambda f: profile_chains(profile, f, self._settings))

    def _owner(
        self, subject: str, names: list[ChainName], render: Callable[[Family], list[Chain]]
    ) -> Unit:
        """Chains of rules. Refused ones keep their last good state, new ones stay closed."""
        edits = [edit for family in FAMILIES for edit in self._changed(family, render(family))]
        closed = [
            PutChain(family, Chain(name, ("counter drop",)))
            for family in FAMILIES
            for name in names
            if name not in self._mirrors[family.version].chains
        ]
        return Unit(subject, tuple(edits), tuple(closed))

    def _claimed(self, interface: str) -> Iterator[Unit]:
        """The interface's own edits, and what is said of endpoints that name it in vain."""
        yield self._interface(interface)
        for rival in self._desired.rivals(interface):
            owner = self._desired.interfaces[interface]
            yield Unit(str(rival), (), (), f"interface {interface} belongs to {owner} already")

    def _interface(self, interface: str) -> Unit:
        endpoint_id = self._desired.interfaces.get(interface)
        if endpoint_id is None:
            return Unit(f"interface {interface}", tuple(self._closed(interface)))
        endpoint = self._desired.endpoints[endpoint_id]
        try:
            return Unit(
                str(endpoint_id),
                tuple(self._open(endpoint)),
                tuple(self._shut(endpoint.interface)),
            )
        except UnsafeName as error:
            return Unit(str(endpoint_id), (), (), str(error))

    def host_chains(self, family: Family) -> list[Chain]:
        """The chains of the node's host endpoints. Raises UnsafeName."""
        desired = self._desired
        return host_chains(desired.hosts, desired.addresses, family, self._settings)

    def _services(self) -> Unit:
        edits = [edit for one in FAMILIES for edit in self._changed(one, [self._loops(one)])]
        return Unit("services' addresses", tuple(edits))

    def _hosts(self) -> Unit:
        """All host endpoints at once: each interface is one's or another's."""
        edits: list[Edit] = []
        try:
            for family in FAMILIES:
                chains = self.host_chains(family)
                edits += self._changed(family, chains)
                mirror, wanted = self._mirrors[family.version], {one.name for one in chains}
                strays = [name for name in mirror.chains if is_host_chain(name)]
                edits += [DropChain(family, one) for one in strays if one not in wanted]
        except UnsafeName as error:
            return Unit("host endpoints", (), (), str(error))
        return Unit("host endpoints", tuple(edits))

    def _open(self, endpoint: Endpoint) -> Iterator[Edit]:
        if not self._settings.guards(endpoint.interface):
            raise UnsafeName(
                f"interface {endpoint.interface} does not begin with "
                f"{' or '.join(self._settings.interface_prefixes)}: its packets are not looked at"
            )
        chains = endpoint_chains(endpoint, self._settings)
        for family in FAMILIES:
            yield from self._changed(family, chains)
            yield from self._elements(family, endpoint.interface, _elements_of(endpoint, family))

    def _shut(self, interface: str) -> Iterator[Edit]:
        """What an endpoint gets whose chains the kernel refused: nothing passes."""
        for family in FAMILIES:
            yield from self._elements(family, interface, frozenset())
            for chain in closed_endpoint_chains(interface):
                yield PutChain(family, chain)

    def _closed(self, interface: str) -> Iterator[Edit]:
        for family in FAMILIES:
            yield from self._elements(family, interface, frozenset())
        try:
            yield from self._drops([endpoint_chain(way, interface) for way in Way])
        except UnsafeName:
            return  # it never had chains

    def _elements(
        self, family: Family, interface: str, wanted: InterfaceElements
    ) -> Iterator[Edit]:
        had = self._mirrors[family.version].interfaces.get(interface, frozenset())
        if had != wanted:
            yield EditInterface(family, interface, had, wanted)

    def _changed(self, family: Family, chains: Iterable[Chain]) -> Iterator[Edit]:
        mirror = self._mirrors[family.version]
        return (PutChain(family, chain) for chain in chains if not mirror.holds(chain))

    def _drops(self, names: Iterable[ChainName]) -> Iterator[Edit]:
        for name in names:
            for family in FAMILIES:
                if name in self._mirrors[family.version].chains:
                    yield DropChain(family, name)


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
    return frozenset(sources | nets | dispatch)


def _single(address: Prefix) -> Prefix:
    return Prefix.single(address.version, address.address)


def _family(version: int) -> Family:
    return IPV4 if version == 4 else IPV6


def _set_subject(key: SetKey) -> str:
    return f"set {key[1]}"


def _only_drops(unit: Unit) -> bool:
    return all(isinstance(edit, DropChain) for edit in unit.edits)
