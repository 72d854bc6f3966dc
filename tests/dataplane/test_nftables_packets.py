"""Rules and policies that nftables asks at once get the evaluator's verdicts, with real packets."""

from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, Phase, given, settings

from dataplane.packets import PacketLab
from dataplane.programming import WORKLOADS, every_packet
from dataplane.proof.firewalls import Firewall
from dataplane.worlds import World
from strategies.long_runs import long_runs, many_policies
from strategies.loose_programs import with_open_peer
from strategies.programs import HOSTS4, HOSTS6, OUTSIDE
from tortie.dataplane.nftables import NftSettings
from tortie.policy import Program

pytestmark = pytest.mark.root

PACKETS = list(every_packet())


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    with PacketLab(WORKLOADS) as lab:
        lab.know([*HOSTS4[4:], *HOSTS6[4:], *OUTSIDE])
        made = World(lab, Firewall.NFTABLES, NftSettings())
        yield made
        made.close()


_bounded = settings(
    max_examples=20,
    phases=[Phase.explicit, Phase.reuse, Phase.generate, Phase.shrink],
    suppress_health_check=list(HealthCheck),
)


@_bounded
@given(program=many_policies())
def test_many_policies_asked_at_once_get_the_verdict(world: World, program: Program) -> None:
    world.agree(with_open_peer(program), PACKETS)


@_bounded
@given(program=long_runs())
def test_rules_put_together_get_the_verdict(world: World, program: Program) -> None:
    world.agree(with_open_peer(program), PACKETS)
