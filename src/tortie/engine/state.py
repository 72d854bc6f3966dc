"""One node's whole desired state: what all deltas so far add up to."""

from collections.abc import Mapping

from tortie.engine.delta import Delta, Route, SetContents, Vtep
from tortie.net import Prefix
from tortie.policy import Program
from tortie.policy.program import (
    Endpoint,
    EndpointId,
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
        self.routes: dict[Prefix, Route] = {}
        self.vteps: dict[str, Vtep] = {}
        self.local_vtep: Vtep | None = None

    def fold(self, delta: Delta) -> None:
        """Take in a delta. Raises KeyError for a change to a set that is not there."""
        for name, contents in delta.sets.items():
            self.sets[name] = HeldSet(contents.kind, set(contents.members))
        for name, change in delta.members.items():
            self.sets[name].members -= change.removed
            self.sets[name].members |= change.added
        self.policies.update(delta.policies)
        self.profiles.update(delta.profiles)
        self.endpoints.update(delta.endpoints)
        self.routes.update(delta.routes)
        self.vteps.update(delta.vteps)
        if delta.local_vtep is not None:
            self.local_vtep = delta.local_vtep[0]
        self._remove(delta)

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
            routes=dict(self.routes),
            vteps=dict(self.vteps),
            local_vtep=None if self.local_vtep is None else (self.local_vtep,),
        )

    def program(self, titles: Mapping[SetId, str] | None = None) -> Program:
        """The policy program as of now. A view: later folds change it."""
        members: Mapping[SetId, set[Member]] = {n: held.members for n, held in self.sets.items()}
        return Program(self.endpoints, self.policies, self.profiles, members, titles or {})

    def _remove(self, delta: Delta) -> None:
        for endpoint in delta.endpoints_removed:
            self.endpoints.pop(endpoint, None)
        for policy in delta.policies_removed:
            self.policies.pop(policy, None)
        for profile in delta.profiles_removed:
            self.profiles.pop(profile, None)
        for name in delta.sets_removed:
            self.sets.pop(name, None)
        for destination in delta.routes_removed:
            self.routes.pop(destination, None)
        for node in delta.vteps_removed:
            self.vteps.pop(node, None)
