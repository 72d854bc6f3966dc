"""The endpoints of this node: what is told of them, and which profiles they need."""

from collections import Counter
from collections.abc import Mapping

from msgspec.structs import replace

from tortie.engine.ledger import Ledger
from tortie.engine.matches import Matches
from tortie.engine.tiers import HostTiers, Tiers
from tortie.policy import program
from tortie.policy.program import Endpoint, EndpointId, HostEndpoint

Local = Endpoint | HostEndpoint


class Locals:
    """Local endpoints by number, as their resources describe them, and as told (with tiers)."""

    def __init__(self) -> None:
        self.workloads: Ledger[EndpointId, Endpoint] = Ledger()
        self.hosts: Ledger[EndpointId, HostEndpoint] = Ledger()
        self.profiles_touched: set[str] = set()
        self._bare: dict[int, Local] = {}
        self._profiles: Counter[str] = Counter()

    def __contains__(self, number: int) -> bool:
        return number in self._bare

    def __len__(self) -> int:
        return len(self._bare)

    def numbers(self) -> Mapping[int, Local]:
        """The local endpoints, without tiers."""
        return self._bare

    def put(self, number: int, endpoint: Local | None) -> bool:
        """Take in a local endpoint, or its end; whether that changes anything."""
        old = self._bare.get(number)
        if old == endpoint:
            return False
        if old is not None:
            self._count(old, -1)
            del self._bare[number]
        if endpoint is not None:
            self._count(endpoint, 1)
            self._bare[number] = endpoint
        elif isinstance(old, HostEndpoint):
            self.hosts.drop(old.id)
        elif old is not None:
            self.workloads.drop(old.id)
        return True

    def names_profile(self, name: str) -> bool:
        """Whether any local endpoint names this profile."""
        return self._profiles[name] > 0

    def settle(self, moved: set[int], matches: Matches, tiers: Tiers) -> None:
        """Work out the tiers of endpoints whose policies may differ; once for equal ones."""
        arranged: dict[frozenset[str], program.Tiers] = {}
        of_hosts: dict[frozenset[str], HostTiers] = {}
        for number in moved:
            bare = self._bare.get(number)
            if bare is None:
                continue
            groups = matches.groups_of(number)
            if isinstance(bare, HostEndpoint):
                at = of_hosts.get(groups)
                if at is None:
                    at = of_hosts[groups] = tiers.arrange_host(matches.ranked(groups))
                self.hosts.put(bare.id, replace(bare, **at._asdict()))
                continue
            found = arranged.get(groups)
            if found is None:
                found = arranged[groups] = tiers.arrange(matches.ranked(groups))
            self.workloads.put(bare.id, replace(bare, ingress=found.ingress, egress=found.egress))

    def _count(self, endpoint: Local, step: int) -> None:
        for name in dict.fromkeys(endpoint.profiles):
            self._profiles[name] += step
            if not self._profiles[name]:
                del self._profiles[name]
            self.profiles_touched.add(name)
