"""The order in which an endpoint's policies are asked.

Tiers go by order, then name; a tier that does not exist goes last and denies by default, so that
a policy that names it can only take away. Policies of a tier go by order (none: last), then by the
text "name/namespace/kind".
"""

from collections.abc import Callable, Mapping, Sequence
from math import inf
from operator import attrgetter
from typing import NamedTuple

from tortie.api import TierSpec
from tortie.engine.matches import Entry, Rank
from tortie.policy.program import DefaultAction, TierPolicies
from tortie.policy.program import Tiers as Asked

Policies = Mapping[str, Sequence[Rank]]


class TierRank(NamedTuple):
    """Where a tier stands, and what it does by default. Sorts by order."""

    missing: bool
    order: float
    name: str
    default_action: DefaultAction


class HostTiers(NamedTuple):
    """What a host endpoint asks at each stage."""

    untracked: Asked
    pre_dnat: Asked
    forward: Asked
    normal: Asked


FIXED = {
    rank.name: rank
    for rank in (
        TierRank(False, 1_000, "kube-admin", DefaultAction.PASS),
        TierRank(False, 1_000_000, "default", DefaultAction.DENY),
        TierRank(False, 10_000_000, "kube-baseline", DefaultAction.PASS),
    )
}
"""Tiers that are there whatever the datastore holds, with values that the API fixes."""

IMPLIED = {
    rank.name: rank
    for rank in (
        TierRank(False, 1_000, "adminnetworkpolicy", DefaultAction.PASS),
        TierRank(False, 10_000_000, "baselineadminnetworkpolicy", DefaultAction.PASS),
    )
}
"""Tiers of the older admin policies, there unless the datastore has one of that name.

The API does not reserve the names any more, so a tier that somebody made under one is as made.
"""


class Tiers:
    """The tiers there are."""

    def __init__(self) -> None:
        self._ranks: dict[str, TierRank] = FIXED | IMPLIED

    def put(self, name: str, spec: TierSpec | None) -> bool:
        """Take in a tier, or its end; whether that changes anything."""
        if name in FIXED:
            return False
        old = self._ranks.pop(name, None)
        new = IMPLIED.get(name)
        if spec is not None:
            order = inf if spec.order is None else spec.order
            new = TierRank(False, order, name, DefaultAction(spec.default_action))
        if new is not None:
            self._ranks[name] = new
        return new != old

    def rank(self, name: str) -> TierRank:
        """A tier's rank; of a tier that does not exist, the last."""
        return self._ranks.get(name) or TierRank(True, inf, name, DefaultAction.DENY)

    def exists(self, name: str) -> bool:
        """Whether there is such a tier."""
        return name in self._ranks

    def arrange(self, policies: Policies) -> Asked:
        """What a workload with these policies (in order, by tier) asks, for each direction."""
        return Asked(
            self._arrange(policies, attrgetter("ingress")),
            self._arrange(policies, attrgetter("egress")),
        )

    def arrange_host(self, policies: Policies) -> HostTiers:
        """What a host endpoint with these policies asks."""
        untracked, forward = (
            Asked(
                self._arrange(policies, attrgetter(f"{stage}_ingress")),
                self._arrange(policies, attrgetter(f"{stage}_egress")),
            )
            for stage in ("untracked", "forward")
        )
        pre_dnat = Asked(self._arrange(policies, attrgetter("pre_dnat_ingress")))
        return HostTiers(untracked, pre_dnat, forward, self.arrange(policies))

    def _arrange(
        self, policies: Policies, asked: Callable[[Entry], bool]
    ) -> tuple[TierPolicies, ...]:
        found = []
        for rank in sorted(map(self.rank, policies)):
            names = tuple([each.policy for each in policies[rank.name] if asked(each.entry)])
            if names:
                found.append(TierPolicies(rank.name, rank.default_action, names))
        return tuple(found)
