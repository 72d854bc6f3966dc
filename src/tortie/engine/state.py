"""One node's whole desired state: what all deltas so far add up to."""

from collections.abc import Mapping
from typing import Any

from tortie.engine.delta import (
    Delta,
    Encapsulation,
    Host,
    Pool,
    Route,
    ServiceCidrs,
    SetContents,
    Vtep,
)
from tortie.net import Prefix
from tortie.policy import Program
from tortie.policy.program import (
    Endpoint,
    EndpointId,
    HostEndpoint,
    Member,
    Policy,
    PolicyId,
    Profile,
    SetId,
    SetKind,
)


class HeldSet:
    """A set that changes in place."""

    __slots__ = ("kind", "members")

    def __init__(self, kind: SetKind, members: set[Member]) -> None:
        self.kind = kind
        self.members = members


class NodeState:
    """The folded deltas of one engine. Folding costs what changed, not what is there."""

    def __init__(self) -> None:
        self.sets: dict[SetId, HeldSet] = {}
        self.policies: dict[PolicyId, Policy] = {}
        self.profiles: dict[str, Profile] = {}
        self.endpoints: dict[EndpointId, Endpoint] = {}
        self.host_endpoints: dict[EndpointId, HostEndpoint] = {}
        self.routes: dict[Prefix, Route] = {}
        self.vteps: dict[str, Vtep] = {}
        self.vteps_v6: dict[str, Vtep] = {}
        self.local_vtep: Vtep | None = None
        self.local_vtep_v6: Vtep | None = None
        self.hosts: dict[str, Host] = {}
        self.pools: dict[Prefix, Pool] = {}
        self.encapsulation = Encapsulation()
        self.service_cidrs = ServiceCidrs()

    def fold(self, delta: Delta) -> None:
        """Take in a delta. Raises KeyError for a change to a set that is not there."""
        for name, contents in delta.sets.items():
            self.sets[name] = HeldSet(contents.kind, set(contents.members))
        for name, change in delta.members.items():
            self.sets[name].members -= change.removed
            self.sets[name].members |= change.added
        for mine, told, gone in self._tables(delta):
            mine.update(told)
            for key in gone:
                mine.pop(key, None)
        if delta.local_vtep is not None:
            self.local_vtep = delta.local_vtep[0]
        if delta.local_vtep_v6 is not None:
            self.local_vtep_v6 = delta.local_vtep_v6[0]
        if delta.encapsulation is not None:
            self.encapsulation = delta.encapsulation
        if delta.service_cidrs is not None:
            self.service_cidrs = delta.service_cidrs

    def whole(self) -> Delta:
        """The one delta that makes this state out of nothing; a copy."""
        return Delta(
            sets={
                name: SetContents(held.kind, frozenset(held.members))
                for name, held in self.sets.items()
            },
            policies=dict(self.policies),
            profiles=dict(self.profiles),
            endpoints=dict(self.endpoints),
            host_endpoints=dict(self.host_endpoints),
            routes=dict(self.routes),
            vteps=dict(self.vteps),
            vteps_v6=dict(self.vteps_v6),
            local_vtep=None if self.local_vtep is None else (self.local_vtep,),
            local_vtep_v6=None if self.local_vtep_v6 is None else (self.local_vtep_v6,),
            hosts=dict(self.hosts),
            pools=dict(self.pools),
            encapsulation=self.encapsulation if any(self.encapsulation) else None,
            service_cidrs=self.service_cidrs if any(self.service_cidrs) else None,
        )

    def program(self, titles: Mapping[SetId, str] | None = None) -> Program:
        """The policy program as of now. A view: later folds change it.

        Failsafe ports are the agent's configuration; the program has Calico's own.
        """
        members: Mapping[SetId, set[Member]] = {n: held.members for n, held in self.sets.items()}
        return Program(
            endpoints=self.endpoints,
            policies=self.policies,
            profiles=self.profiles,
            sets=members,
            titles=titles or {},
            host_endpoints=self.host_endpoints,
        )

    def _tables(
        self, delta: Delta
    ) -> tuple[tuple[dict[Any, Any], Mapping[Any, Any], frozenset[Any]], ...]:
        """What is held by key, with what is new there and what went."""
        return (
            (self.sets, {}, delta.sets_removed),
            (self.policies, delta.policies, delta.policies_removed),
            (self.profiles, delta.profiles, delta.profiles_removed),
            (self.endpoints, delta.endpoints, delta.endpoints_removed),
            (self.host_endpoints, delta.host_endpoints, delta.host_endpoints_removed),
            (self.routes, delta.routes, delta.routes_removed),
            (self.vteps, delta.vteps, delta.vteps_removed),
            (self.vteps_v6, delta.vteps_v6, delta.vteps_v6_removed),
            (self.hosts, delta.hosts, delta.hosts_removed),
            (self.pools, delta.pools, delta.pools_removed),
        )
