"""Whose connections a change concerns. Pure.

The index follows endpoints by their policies and profiles, so that a change costs what it touches:
of a policy the endpoints that it applies to, of a set those or, where they are fewer, the addresses
that came or went.
"""

from collections.abc import Iterable, Mapping, Set
from typing import Protocol

from tortie.dataplane.flows.judging import HostAddress
from tortie.engine.delta import Delta, MemberChange
from tortie.policy.program import (
    Endpoint,
    EndpointId,
    HostEndpoint,
    IPPort,
    PolicyId,
    SetId,
    TierPolicies,
)

_Owner = PolicyId | str  # a policy, or a profile's name


class Users(Protocol):
    """Who looks into a set."""

    def policy_users(self, set_id: SetId) -> Set[PolicyId]: ...
    def profile_users(self, set_id: SetId) -> Set[str]: ...


class Concern:
    """Connections that have to be judged: those of these addresses, or all."""

    def __init__(self) -> None:
        self.addresses: set[HostAddress] = set()
        self.everything = False

    def __bool__(self) -> bool:
        return self.everything or bool(self.addresses)


class Concerned:
    """The node's endpoints, by what decides about their connections."""

    def __init__(self) -> None:
        self.workloads: dict[HostAddress, EndpointId] = {}
        self._claims: dict[HostAddress, set[EndpointId]] = {}
        self._endpoints: dict[EndpointId, Endpoint] = {}
        self._hosts: dict[EndpointId, HostEndpoint] = {}
        self._users: dict[_Owner, set[EndpointId]] = {}

    @classmethod
    def of(
        cls, endpoints: Iterable[Endpoint], hosts: Mapping[EndpointId, HostEndpoint]
    ) -> "Concerned":
        """What is known of these."""
        made = cls()
        for endpoint in endpoints:
            made._add(endpoint)
        for name, host in hosts.items():
            made._put_host(name, host)
        return made

    def fold(self, delta: Delta, users: Users, concern: Concern) -> None:
        """Take a delta in; what it concerns is added to `concern`."""
        for name in delta.endpoints_removed:
            self._drop(name)
        owners: tuple[_Owner, ...] = (*delta.policies, *delta.profiles)
        self._all_of(self._using(owners), concern)
        for set_id in delta.sets:
            self._all_of(self._using(_owners(set_id, users)), concern)
        for set_id, change in delta.members.items():
            self._members(change, self._using(_owners(set_id, users)), concern)
        for endpoint in delta.endpoints.values():  # last: a new one is not concerned by all this
            self._change(endpoint, concern)
        for name in (*delta.host_endpoints_removed, *delta.host_endpoints):
            self._put_host(name, delta.host_endpoints.get(name))
            concern.everything = True

    def _change(self, endpoint: Endpoint, concern: Concern) -> None:
        """A new one has no connections yet."""
        before = self._endpoints.get(endpoint.id)
        self._drop(endpoint.id)
        self._add(endpoint)
        if before is not None and _decisive(before) != _decisive(endpoint):
            concern.addresses |= _addresses(endpoint)

    def _add(self, endpoint: Endpoint) -> None:
        self._endpoints[endpoint.id] = endpoint
        for address in _addresses(endpoint):
            self._claims.setdefault(address, set()).add(endpoint.id)
            self._settle(address)
        for owner in _of_endpoint(endpoint):
            self._users.setdefault(owner, set()).add(endpoint.id)

    def _drop(self, name: EndpointId) -> None:
        endpoint = self._endpoints.pop(name, None)
        if endpoint is None:
            return
        for address in _addresses(endpoint):
            self._claims[address].discard(name)
            self._settle(address)
        self._forget(name, _of_endpoint(endpoint))

    def _settle(self, address: HostAddress) -> None:
        """The lowest id has it, as in the routes."""
        if claims := self._claims[address]:
            self.workloads[address] = min(claims)
        else:
            del self._claims[address], self.workloads[address]

    def _put_host(self, name: EndpointId, host: HostEndpoint | None) -> None:
        before = self._hosts.pop(name, None)
        if before is not None:
            self._forget(name, _of_host(before))
        if host is not None:
            self._hosts[name] = host
            for owner in _of_host(host):
                self._users.setdefault(owner, set()).add(name)

    def _forget(self, name: EndpointId, owners: Iterable[_Owner]) -> None:
        for owner in owners:
            self._users[owner].discard(name)
            if not self._users[owner]:
                del self._users[owner]

    def _using(self, owners: Iterable[_Owner]) -> set[EndpointId]:
        return {name for owner in owners for name in self._users.get(owner, ())}

    def _all_of(self, names: Iterable[EndpointId], concern: Concern) -> None:
        for name in names:
            if name in self._hosts:
                concern.everything = True
            else:
                concern.addresses |= _addresses(self._endpoints[name])

    def _members(self, change: MemberChange, users: set[EndpointId], concern: Concern) -> None:
        """Only connections with who came or went can be judged otherwise than before."""
        if not users:
            return
        members = (*change.added, *change.removed)
        of_nets = any(not isinstance(one, IPPort) and not one.is_single for one in members)
        are_many = len(members) > len(users) and not self._hosts.keys() & users
        if of_nets or are_many:
            self._all_of(users, concern)
        else:
            concern.addresses |= {(one.version, one.address) for one in members}


def _owners(set_id: SetId, users: Users) -> set[_Owner]:
    return {*users.policy_users(set_id), *users.profile_users(set_id)}


def _addresses(endpoint: Endpoint) -> set[HostAddress]:
    return {(one.version, one.address) for one in endpoint.addresses}


def _decisive(endpoint: Endpoint) -> tuple[object, ...]:
    """What of an endpoint has part in a verdict."""
    return (
        endpoint.ingress,
        endpoint.egress,
        endpoint.profiles,
        endpoint.addresses,
        endpoint.allowed_sources,
    )


def _of_endpoint(endpoint: Endpoint) -> set[_Owner]:
    return {*_of_tiers((*endpoint.ingress, *endpoint.egress)), *endpoint.profiles}


def _of_host(host: HostEndpoint) -> set[_Owner]:
    stages = (host.untracked, host.pre_dnat, host.forward, host.normal)
    tiers = (tier for stage in stages for way in stage for tier in way)
    return {*_of_tiers(tiers), *host.profiles}


def _of_tiers(tiers: Iterable[TierPolicies]) -> set[PolicyId]:
    return {policy for tier in tiers for policy in tier.policies}
