"""Chains that ask many policies at once, shared by all endpoints that have the same ones. Pure.

A tier with many policies is asked in a chain of its own, named by a hash of which policies these
are. What is in it depends on what the policies reach: an edit of one rewrites it only where that
changed.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from tortie.dataplane.nftables import fields
from tortie.dataplane.nftables.anonymous import Box
from tortie.dataplane.nftables.chains import Chain
from tortie.dataplane.nftables.names import Way, policy_chain, run_chain
from tortie.dataplane.nftables.reach import Block, Dimension, Reach, blocks, reach_of
from tortie.dataplane.nftables.settings import NftSettings
from tortie.dataplane.nftables.terms import Bits, Line, Switch, Term, Verdict, jump
from tortie.dataplane.policy.desired import Run
from tortie.dataplane.policy.families import FAMILIES, Family
from tortie.policy.program import Policy, PolicyId

_EVERYTHING = Reach(None, None)


class _Known(NamedTuple):
    policy: Policy
    reach: Reach


class Runs:
    """What policies reach, kept while they stay the same; and what runs were made of."""

    def __init__(self) -> None:
        self._known: dict[tuple[int, Way, PolicyId], _Known] = {}
        self._made: dict[tuple[int, Run], list[Reach]] = {}

    def chain(
        self,
        run: Run,
        policies: Mapping[PolicyId, Policy],
        family: Family,
        settings: NftSettings,
    ) -> Chain:
        """The chain that asks a run's policies."""
        reaches = self._reaches(run, policies, family)
        self._made[family.version, run] = reaches
        lines: list[Line] = []
        for block in blocks(reaches):
            undecided = (Bits(fields.MARK, settings.marks.decided),) if lines else ()
            lines.append((*undecided, _asked(block, run, reaches, family)))
        return Chain(run_chain(run), tuple(lines))

    def is_as_made(self, run: Run, policies: Mapping[PolicyId, Policy], family: Family) -> bool:
        """Whether the chain would be what it was when it was made last."""
        made = self._made.get((family.version, run))
        return made is not None and made == self._reaches(run, policies, family)

    def forget(self, run: Run) -> None:
        """A run that nobody has any more."""
        for family in FAMILIES:
            self._made.pop((family.version, run), None)
            for name in run.policies:
                self._known.pop((family.version, run.way, name), None)

    def _reaches(
        self, run: Run, policies: Mapping[PolicyId, Policy], family: Family
    ) -> list[Reach]:
        return [self._reach(policies.get(one), one, run.way, family) for one in run.policies]

    def _reach(self, policy: Policy | None, name: PolicyId, way: Way, family: Family) -> Reach:
        """One that is not there is asked always, which the kernel refuses."""
        if policy is None:
            return _EVERYTHING
        key = (family.version, way, name)
        known = self._known.get(key)
        if known is None or known.policy is not policy:
            rules = policy.ingress if way is Way.TO else policy.egress
            known = self._known[key] = _Known(policy, reach_of(rules, way, family))
        return known.reach


def _asked(block: Block, run: Run, reaches: Sequence[Reach], family: Family) -> Term:
    """The policy that the packet may concern, or the only one."""
    if block.dimension is None:
        return jump(policy_chain(run.way, run.policies[block.places[0]]))
    cases = tuple(_cases(block, block.dimension, run, reaches))
    return Switch(block.dimension.fields(run.way, family), cases)


def _cases(
    block: Block, dimension: Dimension, run: Run, reaches: Sequence[Reach]
) -> Iterator[tuple[Box, Verdict]]:
    for place in block.places:
        target = jump(policy_chain(run.way, run.policies[place]))
        for span in reaches[place].of(dimension) or ():
            yield dimension.box(span), target
