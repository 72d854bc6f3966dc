"""From what is desired, what was touched and what is there: the edits still to make. Pure.

Edits come in units, one for each object that a person would name, in an order in which each unit
can be written alone: sets, policies and profiles, endpoints, the ways to them, then what goes. When
the whole is refused, the units are tried by halves until the bad one is found.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, ClassVar, Generic, NamedTuple, Protocol, TypeVar

from tortie.dataplane.policy.desired import Desired, ElementT, SetKey, Touched
from tortie.dataplane.policy.dscp import asks_for_addresses, sources_by_class
from tortie.dataplane.policy.families import FAMILIES, Family
from tortie.dataplane.policy.floating import Translations, translations
from tortie.dataplane.policy.interfaces import Owners, impossible, owners
from tortie.dataplane.policy.limits import needed_chains, possible_chains
from tortie.dataplane.policy.marks import EndpointMarks, endpoint_marks
from tortie.dataplane.policy.names import (
    ChainName,
    Unrenderable,
    UnsafeName,
    Way,
    endpoint_chain,
)
from tortie.dataplane.policy.node import own_addresses
from tortie.dataplane.policy.settings import PolicySettings
from tortie.net import Prefix
from tortie.policy.program import Endpoint, EndpointId, HostEndpoint, Policy, PolicyId, Profile

EVERYTHING = "everything"
EditT = TypeVar("EditT")
ChainT = TypeVar("ChainT")
ChainT_contra = TypeVar("ChainT_contra", contravariant=True)


class Unit(NamedTuple, Generic[EditT]):
    """The edits for one object. `fallback`: what to do instead if the kernel refuses them.

    `problem` is set where the object can't even be rendered; the edits then close it.
    """

    subject: str
    edits: tuple[EditT, ...]
    fallback: tuple[EditT, ...] = ()
    problem: str = ""


class Passing(NamedTuple):
    """Who may have sent what passes through the node's own services (kube-proxy in IPVS mode)."""

    workloads: tuple[str, ...]  # their interfaces
    hosts: Owners
    marks: EndpointMarks
    addresses: tuple[Prefix, ...]  # the node's own, without services'


class OwnerNames(NamedTuple):
    """The names of the chains of policies and profiles, as long as a firewall lets them be."""

    policy: Callable[[Way, PolicyId], ChainName]
    profile: Callable[[Way, str], ChainName]


class Mirror(Protocol[ChainT_contra]):
    """What one IP version's tables hold, as last read or written."""

    def holds(self, chain: ChainT_contra) -> bool:
        """Whether the chain is there as it should be."""
        ...

    def has(self, name: ChainName) -> bool:
        """Whether there is a chain of a policy, profile or workload with this name."""
        ...


class Planner(ABC, Generic[EditT, ChainT, ElementT]):
    """Plans against the mirrors as they are at each call."""

    names: ClassVar[OwnerNames]
    drops: ClassVar[tuple[type, ...]]  # the edits after which something is not there

    def __init__(
        self,
        desired: Desired[Any, ElementT],
        mirrors: Mapping[int, Mirror[ChainT]],
        settings: PolicySettings,
    ) -> None:
        self._desired, self._mirrors, self._settings = desired, mirrors, settings

    def units(self, touched: Touched[ElementT]) -> list[Unit[EditT]]:
        """The units for what a fold touched."""
        new_sets, old_sets = self._sets(touched)
        owners = [self._policy(one) for one in sorted(touched.policies)]
        owners += [self._profile(one) for one in sorted(touched.profiles)]
        ends = [unit for one in sorted(touched.interfaces) for unit in self._claimed(one)]
        units = (*owners, *self._runs(touched), *ends)
        coming = [one for one in units if not self._only_drops(one)]
        going = [one for one in units if self._only_drops(one)]
        ways = self._ways(touched)
        ways += [self._apart("services' addresses", self._loops)] if touched.services else []
        ways += [self._apart("floating addresses", self._floating)] if touched.floating else []
        ways += [self._apart("DSCP", self._classes)] if self._has_other_classes(touched) else []
        ways += self._passing_units() if touched.interfaces or touched.hosts else []
        ordered = (*new_sets, *coming, *ways, *going, *old_sets)
        return [one for one in ordered if one.edits or one.problem]

    @abstractmethod
    def _sets(self, touched: Touched[ElementT]) -> tuple[list[Unit[EditT]], list[Unit[EditT]]]:
        """The sets that are made or changed, and those that go."""

    def _runs(self, _: Touched[ElementT], /) -> list[Unit[EditT]]:
        """The chains that ask many policies at once, where a firewall has such."""
        return []

    @abstractmethod
    def _ways(self, touched: Touched[ElementT]) -> list[Unit[EditT]]:
        """What leads to the chains of endpoints, and the chains of host endpoints."""

    @abstractmethod
    def _put(self, family: Family, chain: ChainT) -> EditT:
        """The chain holds these rules and no others."""

    @abstractmethod
    def _drop(self, family: Family, name: ChainName) -> EditT:
        """The chain of a policy, profile or workload is not there."""

    @abstractmethod
    def _policy_chains(self, policy: Policy, family: Family) -> list[ChainT]:
        """The two chains of a policy. Raises Unrenderable."""

    @abstractmethod
    def _profile_chains(self, profile: Profile, family: Family) -> list[ChainT]:
        """The two chains of a profile. Raises Unrenderable."""

    @abstractmethod
    def _closed_chain(self, name: ChainName) -> ChainT:
        """A chain that drops all."""

    @abstractmethod
    def _loops(self, family: Family) -> list[ChainT]:
        """The chain of services' addresses."""

    @abstractmethod
    def _floating(self, family: Family) -> list[ChainT]:
        """The chains of floating addresses."""

    @abstractmethod
    def _classes(self, family: Family) -> list[ChainT]:
        """The chain that marks what leaves the cluster."""

    @abstractmethod
    def _ipvs(self, family: Family) -> list[ChainT]:
        """The chains of what passes through kube-proxy's services; none in its other modes."""

    @abstractmethod
    def _open(self, endpoint: Endpoint) -> Iterator[EditT]:
        """What an endpoint's interface still needs."""

    def _shut(self, interface: str) -> Iterator[EditT]:
        """What an endpoint gets whose chains the kernel refused: nothing passes."""
        for family in FAMILIES:
            for way in Way:
                yield self._put(family, self._closed_chain(endpoint_chain(way, interface)))

    def _forgotten(self, interface: str) -> Iterator[EditT]:
        """What removes an interface that no endpoint has any more."""
        try:
            yield from self._drops([endpoint_chain(way, interface) for way in Way])
            yield from self._drops(possible_chains(interface))
        except UnsafeName:
            return  # it never had chains

    def _policy(self, name: PolicyId) -> Unit[EditT]:
        policy = self._desired.policies.get(name)
        names = [self.names.policy(way, name) for way in Way]
        if policy is None:
            return Unit(str(name), tuple(self._drops(names)))
        return self._owner(str(name), names, lambda f: self._policy_chains(policy, f))

    def _profile(self, name: str) -> Unit[EditT]:
        profile = self._desired.profiles.get(name)
        names = [self.names.profile(way, name) for way in Way]
        subject = f"Profile({name})"
        if profile is None:
            return Unit(subject, tuple(self._drops(names)))
        return self._owner(subject, names, lambda f: self._profile_chains(profile, f))

    def _owner(
        self, subject: str, names: list[ChainName], render: Callable[[Family], list[ChainT]]
    ) -> Unit[EditT]:
        """Chains of rules. Refused ones keep their last good state, new ones stay closed."""
        closed = tuple(
            self._put(family, self._closed_chain(name))
            for family in FAMILIES
            for name in names
            if not self._mirrors[family.version].has(name)
        )
        try:
            edits = tuple(one for f in FAMILIES for one in self._changed(f, render(f)))
        except Unrenderable as error:
            return Unit(subject, closed, (), str(error))
        return Unit(subject, edits, closed)

    def _claimed(self, interface: str) -> Iterator[Unit[EditT]]:
        """The interface's own edits, and what is said of endpoints that name it in vain."""
        yield self._interface(interface)
        for rival in self._desired.rivals(interface):
            owner = self._desired.interfaces[interface]
            yield Unit(str(rival), (), (), f"interface {interface} belongs to {owner} already")

    def _interface(self, interface: str) -> Unit[EditT]:
        endpoint_id = self._desired.interfaces.get(interface)
        if endpoint_id is None:
            return Unit(f"interface {interface}", tuple(self._forgotten(interface)))
        endpoint = self._desired.endpoints[endpoint_id]
        if problem := self._refusal(endpoint):
            return Unit(str(endpoint_id), (), (), problem)
        opening, shut = tuple(self._open(endpoint)), tuple(self._shut(interface))
        return Unit(str(endpoint_id), (*opening, *self._unlimited(endpoint)), shut)

    def _unlimited(self, endpoint: Endpoint) -> Iterator[EditT]:
        """What removes the chains of limits that an endpoint has no more."""
        needed = set(needed_chains(endpoint))
        yield from self._drops(
            one for one in possible_chains(endpoint.interface) if one not in needed
        )

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

    def _apart(self, subject: str, render: Callable[[Family], list[ChainT]]) -> Unit[EditT]:
        """Chains that many objects share."""
        edits = [edit for one in FAMILIES for edit in self._changed(one, render(one))]
        return Unit(subject, tuple(edits))

    def hosts(self) -> dict[EndpointId, HostEndpoint]:
        """The host endpoints whose interface can have rules."""
        known = self._desired.hosts
        return {name: host for name, host in known.items() if not impossible(host)}

    def _impossible_hosts(self) -> list[Unit[EditT]]:
        """The others are guarded none the less."""
        found = ((str(name), impossible(host)) for name, host in self._desired.hosts.items())
        return [Unit(name, (), (), why) for name, why in sorted(found) if why]

    def passing(self, family: Family) -> Passing:
        """Who may have sent what passes through the node's own services."""
        desired, settings = self._desired, self._settings
        workloads = [one.interface for one in desired.guarded() if not self._refusal(one)]
        hosts = owners(self.hosts(), desired.addresses, settings)
        marks = endpoint_marks((*workloads, *hosts.named), settings.marks.endpoints)
        own = own_addresses(desired.addresses, family, settings)
        return Passing(tuple(sorted(workloads)), hosts, marks, own)

    def _passing_units(self) -> list[Unit[EditT]]:
        if not self._desired.facts.is_ipvs:
            return []
        units = [self._apart("kube-proxy in IPVS mode", self._ipvs)]
        for interface in self.passing(FAMILIES[0]).marks.left_out:
            problem = "the mark mask has no bits left to tell it apart: it reaches no service"
            units.append(Unit(f"interface {interface}", (), (), problem))
        return units

    def _has_other_classes(self, touched: Touched[ElementT]) -> bool:
        """A host endpoint's may be of the addresses that its interface has now."""
        hosts = self._desired.hosts.values() if touched.hosts else ()
        return touched.classes or any(asks_for_addresses(one) for one in hosts)

    def translations(self, family: Family) -> Translations:
        """The floating addresses of the node's workloads."""
        return translations(self._desired.guarded(), family)

    def sources_by_class(self, family: Family) -> Mapping[int, tuple[Prefix, ...]]:
        """Whose packets bear which DSCP as they leave the cluster."""
        desired = self._desired
        hosts, addresses = desired.hosts.values(), desired.addresses
        return sources_by_class(desired.guarded(), hosts, addresses, family)

    def _changed(self, family: Family, chains: Iterable[ChainT]) -> Iterator[EditT]:
        mirror = self._mirrors[family.version]
        return (self._put(family, chain) for chain in chains if not mirror.holds(chain))

    def _drops(self, names: Iterable[ChainName]) -> Iterator[EditT]:
        for name in names:
            for family in FAMILIES:
                if self._mirrors[family.version].has(name):
                    yield self._drop(family, name)

    def _only_drops(self, unit: Unit[EditT]) -> bool:
        return bool(unit.edits) and all(isinstance(one, self.drops) for one in unit.edits)

    def owned_chains(self) -> Iterator[ChainName]:
        """The chains that desired policies, profiles and workloads account for."""
        for way in Way:
            yield from (self.names.policy(way, one) for one in self._desired.policies)
            yield from (self.names.profile(way, one) for one in self._desired.profiles)
            for interface in self._desired.interfaces:
                try:
                    yield endpoint_chain(way, interface)
                except UnsafeName:
                    continue
        for endpoint in self._desired.guarded():
            if not self._refusal(endpoint):
                yield from needed_chains(endpoint)


def set_subject(key: SetKey) -> str:
    """How a set is named before people."""
    return f"set {key[1]}"
