"""The lowered rules of active policies and profiles, and which sets they need."""

from collections import Counter
from collections.abc import Callable, Mapping
from typing import NamedTuple

from tortie.api import NetworkPolicySpec, ProfileSpec
from tortie.engine.ledger import Ledger
from tortie.engine.lowering import Lowered, lower_rules
from tortie.engine.setspecs import AnySpec
from tortie.policy import Direction
from tortie.policy.program import Policy, PolicyId, Profile, SetId

Warn = Callable[[str], None]
_NOTHING = Lowered((), {}, ())


class SetNeeds(NamedTuple):
    """Sets that somebody needs now and nobody did before, and the other way round."""

    begun: list[AnySpec]
    ended: list[SetId]


class Rulebook:
    """What is told of policies and profiles. A set is needed while any of them names it."""

    def __init__(self, warn: Warn) -> None:
        self.policies: Ledger[PolicyId, Policy] = Ledger()
        self.profiles: Ledger[str, Profile] = Ledger()
        self._warn = warn
        self._needs: dict[PolicyId | str, Mapping[SetId, AnySpec]] = {}
        self._count: Counter[SetId] = Counter()
        self._before: dict[SetId, bool] = {}  # needed at the start of the round?
        self._specs: dict[SetId, AnySpec] = {}

    def put_policy(self, name: PolicyId, spec: NetworkPolicySpec) -> None:
        """Lower an active policy; a direction that it does not apply to gets no rules."""
        directions = spec.directions
        ingress = egress = _NOTHING
        if "Ingress" in directions:
            ingress = lower_rules(spec.ingress, name.namespace, Direction.INGRESS)
        if "Egress" in directions:
            egress = lower_rules(spec.egress, name.namespace, Direction.EGRESS)
        self._take(name, str(name), ingress, egress)
        self.policies.put(name, Policy(name, spec.tier, ingress.rules, egress.rules))

    def drop_policy(self, name: PolicyId) -> None:
        """The policy is not active any more."""
        self._need(name, {})
        self.policies.drop(name)

    def put_profile(self, name: str, spec: ProfileSpec | None) -> None:
        """Lower a profile that a local endpoint names; one that does not exist has no rules."""
        spec = spec or ProfileSpec()
        ingress = lower_rules(spec.ingress, "", Direction.INGRESS)
        egress = lower_rules(spec.egress, "", Direction.EGRESS)
        self._take(name, f"Profile({name})", ingress, egress)
        self.profiles.put(name, Profile(name, ingress.rules, egress.rules))

    def drop_profile(self, name: str) -> None:
        """No local endpoint names the profile any more."""
        self._need(name, {})
        self.profiles.drop(name)

    def settle(self) -> SetNeeds:
        """The sets to begin and to end since the last call; what came and went is neither."""
        begun = [self._specs[n] for n, was in self._before.items() if self._count[n] and not was]
        ended = [name for name, was in self._before.items() if was and not self._count[name]]
        for name in self._before:
            if not self._count[name]:
                del self._count[name], self._specs[name]
        self._before = {}
        return SetNeeds(begun, ended)

    def _take(self, owner: PolicyId | str, title: str, ingress: Lowered, egress: Lowered) -> None:
        for problem in ingress.problems + egress.problems:
            self._warn(f"{title}: {problem}")
        self._need(owner, {**ingress.sets, **egress.sets})

    def _need(self, owner: PolicyId | str, specs: Mapping[SetId, AnySpec]) -> None:
        old = self._needs.pop(owner, {})
        if specs:
            self._needs[owner] = specs
        for name in specs.keys() - old.keys():
            self._specs[name] = specs[name]
            self._before.setdefault(name, self._count[name] > 0)
            self._count[name] += 1
        for name in old.keys() - specs.keys():
            self._before.setdefault(name, self._count[name] > 0)
            self._count[name] -= 1
