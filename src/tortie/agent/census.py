"""How many there are of what, for the metrics: of the cluster, and of this node."""

from collections import defaultdict
from collections.abc import Iterable

from msgspec import Struct

from tortie.api import Key, Resource
from tortie.engine.delta import Delta
from tortie.policy.program import Endpoint, EndpointId, PolicyId

_POLICY_KINDS = (
    *("NetworkPolicy", "GlobalNetworkPolicy", "KubernetesNetworkPolicy"),
    *("KubernetesAdminNetworkPolicy", "KubernetesBaselineAdminNetworkPolicy"),
    "KubernetesClusterNetworkPolicy",
)


class Counts(Struct, frozen=True):
    """The first two of this node, the others of the whole cluster."""

    local_endpoints: int = 0
    local_policies: int = 0
    hosts: int = 0
    workload_endpoints: int = 0
    host_endpoints: int = 0
    policies: int = 0
    profiles: int = 0
    tiers: int = 0


class Census:
    """Counts by keeping keys, so that an update seen twice counts once."""

    def __init__(self) -> None:
        self._keys: defaultdict[str, set[Key]] = defaultdict(set)
        self._policies: set[PolicyId] = set()
        self.endpoints: dict[EndpointId, Endpoint] = {}

    def see(self, updates: Iterable[tuple[Key, Resource | None]]) -> None:
        """Take in what happened to the cluster's resources."""
        for key, value in updates:
            if value is None:
                self._keys[key.kind].discard(key)
            else:
                self._keys[key.kind].add(key)

    def fold(self, delta: Delta) -> None:
        """Take in what that means for this node."""
        self._policies.update(delta.policies)
        self._policies -= delta.policies_removed
        self.endpoints.update(delta.endpoints)
        for gone in delta.endpoints_removed:
            self.endpoints.pop(gone, None)

    def counts(self) -> Counts:
        """The numbers now."""
        return Counts(
            local_endpoints=len(self.endpoints),
            local_policies=len(self._policies),
            hosts=len(self._keys["Node"]),
            workload_endpoints=len(self._keys["WorkloadEndpoint"]),
            host_endpoints=len(self._keys["HostEndpoint"]),
            policies=sum(len(self._keys[kind]) for kind in _POLICY_KINDS),
            profiles=len(self._keys["Profile"]),
            tiers=len(self._keys["Tier"]),
        )
