"""A lab and a policy driver in it, of any firewall: what tests with real packets share."""

from collections.abc import Iterator

from dataplane.packets import PacketLab, Sent
from dataplane.programming import between, sent, whole
from dataplane.proof.firewalls import Driver, Firewall, rules_of, wipe
from tortie.dataplane.nftables import NftSettings
from tortie.policy import Packet, Program, evaluate, explain


class World:
    """One lab and one driver that goes from program to program, as an agent's does."""

    def __init__(self, lab: PacketLab, firewall: Firewall, settings: NftSettings) -> None:
        self.lab, self.firewall, self.settings = lab, firewall, settings
        self.in_force = Program()
        self._driver: Driver | None = None

    def use(self, settings: NftSettings) -> None:
        """Begin anew with other settings."""
        self.close()
        self.settings = settings

    @property
    def rules(self) -> str:
        """All that is in force."""
        return rules_of(self.lab, self.firewall)

    def _new(self) -> Driver:
        with self.lab.inside():
            return self.firewall.driver(self.settings)

    def close(self) -> None:
        """The next program starts from nothing."""
        if self._driver is not None:
            self._driver.close()
        self._driver = None

    @property
    def driver(self) -> Driver:
        """The driver, which has a program in force."""
        assert self._driver is not None
        return self._driver

    def program(self, program: Program) -> None:
        """Have the driver change what is in force to `program`."""
        if self._driver is None:
            wipe(self.lab)
            self._driver = self._new()
            self._driver.fold(whole(program))
            failed = self._driver.resync().failed
        else:
            failed = self._driver.apply(between(self.in_force, program)).failed
        assert not failed, failed
        self.in_force = program

    def check_nothing_to_repair(self) -> None:
        """A driver that starts now finds everything as it would have written it."""
        with self._new() as fresh:
            fresh.fold(whole(self.in_force))
            assert fresh.resync().failed == ()
            assert fresh.written == 0

    def arrivals(self, packets: list[Packet]) -> list[bool]:
        """Which packets arrive, each as the first of its connection."""
        self.lab.forget_connections()
        return self.lab.deliver(map(self.sent, packets))

    def sent(self, packet: Packet) -> Sent:
        """The packet and the link by which it enters."""
        return sent(packet)

    def judged(self, packet: Packet) -> Packet:
        """The packet as the evaluator is to see it."""
        return packet

    def disagreements(self, packets: list[Packet]) -> Iterator[str]:
        """What packet's fate differs from the evaluator's verdict, with the reason."""
        arrived = self.arrivals(packets)
        for seen, packet in zip(arrived, packets, strict=True):
            verdict = evaluate(self.in_force, self.judged(packet))
            if seen != verdict.allowed:
                yield f"{'passed' if seen else 'was dropped'}, but:\n{explain(verdict)}"

    def agree(self, program: Program, packets: list[Packet]) -> None:
        """Every packet has the evaluator's verdict. What fails prints the rendered rules."""
        try:
            self.program(program)
            wrong = list(self.disagreements(packets))
            assert not wrong, "\n\n".join([*wrong[:3], self.rules])
            self.check_nothing_to_repair()
        except BaseException:
            self.close()
            raise
