"""The endpoints of this node: what is told of them, and which profiles they need."""

from collections import Counter
from collections.abc import Mapping

from msgspec.structs import replace

from tortie.engine.ledger import Ledger
from tortie.engine.matches import Matches
from tortie.engine.tiers import Arranged, Tiers
from tortie.policy.program import Endpoint, EndpointId


class Locals:
    """Local endpoints by number, as their resources describe them, and as told (with tiers)."""

    def __init__(self) -> None:
        self.ledger: Ledger[EndpointId, Endpoint] = Ledger()
        self.profiles_touched: set[str] = set()
        self._bare: dict[int, Endpoint] = {}
        self._profiles: Counter[str] = Counter()

    def __contains__(self, number: int) -> bool:
        return number in self._bare

    def __len__(self) -> int:
        return len(self._bare)

    def numbers(self) -> Mapping[int, Endpoint]:
        """The local endpoints, without tiers."""
        return self._bare

    def put(self, number: int, endpoint: Endpoint | None) -> bool:
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
        if old is not None and (endpoint is None or endpoint.id != old.id):
            self.ledger.drop(old.id)
        return True

    def names_profile(self, name: str) -> bool:
        """Whether any local endpoint names this profile."""
        return self._profiles[name] > 0

    def settle(self, moved: set[int], matches: Matches, tiers: Tiers) -> None:
        """Work out the tiers of endpoints whose policies may differ; once for equal ones."""
        arranged: dict[frozenset[str], Arranged] = {}
        for number in moved:
            bare = self._bare.get(number)
            if bare is None:
                continue
            groups = matches.groups_of(number)
            found = arranged.get(groups)
            if found is None:
                found = arranged[groups] = tiers.arrange(matches.ranked(groups))
            self.ledger.put(bare.id, replace(bare, ingress=found.ingress, egress=found.egress))

    def _count(self, endpoint: Endpoint, step: int) -> None:
        for name in dict.fromkeys(endpoint.profiles):
            self._profiles[name] += step
            if not self._profiles[name]:
                del self._profiles[name]
            self.profiles_touched.add(name)
