"""Real packets through the rendered tables get the evaluator's verdicts, program after program."""

from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, Phase, given, note, settings

from dataplane.packets import PacketLab
from dataplane.programming import WORKLOADS, between, every_packet, sent, whole
from strategies.loose_programs import loose_programs, with_open_peer
from strategies.programs import HOSTS4, HOSTS6, OUTSIDE, programs
from tortie.dataplane.nftables import NftablesDataplane
from tortie.policy import Packet, Program, evaluate, explain

pytestmark = pytest.mark.root


class World:
    """One lab and one driver that goes from program to program, as an agent's does."""

    def __init__(self, lab: PacketLab) -> None:
        self.lab = lab
        self._program = Program()
        self._driver: NftablesDataplane | None = None

    def close(self) -> None:
        if self._driver is not None:
            self._driver.close()
        self._driver = None

    def program(self, program: Program) -> None:
        """Have the driver change what is in force to `program`."""
        if self._driver is None:
            self.lab.nft("flush", "ruleset")
            with self.lab.inside():
                self._driver = NftablesDataplane()
            self._driver.fold(whole(program))
            assert self._driver.resync().failed == ()
        else:
            assert self._driver.apply(between(self._program, program)).failed == ()
        self._program = program

    def check_nothing_to_repair(self) -> None:
        """A driver that starts now finds everything as it would have written it."""
        with self.lab.inside(), NftablesDataplane() as fresh:
            fresh.fold(whole(self._program))
            before = fresh.generation()
            assert fresh.resync().failed == ()
            assert fresh.generation() == before

    def disagreements(self, packets: list[Packet]) -> list[str]:
        """What packet's fate differs from the evaluator's verdict, with the reason."""
        self.lab.forget_connections()
        arrived = self.lab.deliver(sent(packet) for packet in packets)
        verdicts = [evaluate(self._program, packet) for packet in packets]
        return [
            f"{'passed' if seen else 'was dropped'}, but:\n{explain(verdict)}"
            for seen, verdict in zip(arrived, verdicts, strict=True)
            if seen != verdict.allowed
        ]


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    with PacketLab(WORKLOADS) as lab:
        lab.know([*HOSTS4[4:], *HOSTS6[4:], *OUTSIDE])
        made = World(lab)
        yield made
        made.close()


PACKETS = list(every_packet())


def _agree(world: World, program: Program) -> None:
    try:
        world.program(program)
        wrong = world.disagreements(PACKETS)
        if wrong:
            note(world.lab.nft("list", "ruleset"))
        assert wrong == []
        world.check_nothing_to_repair()
    except BaseException:
        world.close()  # the next program starts from nothing
        raise


_bounded = settings(
    max_examples=120,
    deadline=None,
    phases=[Phase.explicit, Phase.reuse, Phase.generate, Phase.shrink],
    suppress_health_check=list(HealthCheck),
)


@_bounded
@given(program=programs())
def test_packets_get_the_verdict_of_the_evaluator(world: World, program: Program) -> None:
    _agree(world, with_open_peer(program))


@_bounded
@given(program=loose_programs())
def test_rules_that_only_the_types_allow_get_it_too(world: World, program: Program) -> None:
    _agree(world, with_open_peer(program))
