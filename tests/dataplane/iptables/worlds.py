"""A lab and an iptables driver in it: what the tests of this folder share."""

import subprocess
from collections.abc import Iterator

from dataplane.packets import PacketLab, Sent
from dataplane.programming import between, sent, whole
from tortie.dataplane.iptables import Backend, IptablesDataplane, IptablesSettings
from tortie.policy import Packet, Program, evaluate, explain


def run(lab: PacketLab, *command: str, text: str = "") -> str:
    """A command in the node's namespace."""
    with lab.inside():
        done = subprocess.run(command, input=text, capture_output=True, text=True, check=True)
    return done.stdout


def saved(lab: PacketLab, backend: Backend | None) -> str:
    """All rules of both families, and all sets."""
    commands = (f"iptables-{backend}-save", f"ip6tables-{backend}-save")
    return "".join(run(lab, one) for one in commands) + run(lab, "ipset", "save")


def forget_everything(lab: PacketLab) -> None:
    """No rules of any backend, no sets."""
    lab.nft("flush", "ruleset")
    for program in ("iptables-legacy", "ip6tables-legacy"):
        for table in ("filter", "raw", "nat", "mangle"):
            run(lab, program, "-w", "-t", table, "-F")
            run(lab, program, "-w", "-t", table, "-X")
    run(lab, "ipset", "destroy")


def new_driver(lab: PacketLab, chosen: Backend | IptablesSettings) -> IptablesDataplane:
    """A driver of the node."""
    settings = IptablesSettings(backend=chosen) if isinstance(chosen, Backend) else chosen
    with lab.inside():
        return IptablesDataplane(settings)


class World:
    """One lab and one driver that goes from program to program, as an agent's does."""

    def __init__(self, lab: PacketLab, settings: IptablesSettings) -> None:
        self.lab, self.settings = lab, settings
        self.pairs = 0
        self.in_force = Program()
        self._driver: IptablesDataplane | None = None

    def close(self) -> None:
        """The next program starts from nothing."""
        if self._driver is not None:
            self._driver.close()
        self._driver = None

    @property
    def driver(self) -> IptablesDataplane:
        """The driver, which has a program in force."""
        assert self._driver is not None
        return self._driver

    def program(self, program: Program) -> None:
        """Have the driver change what is in force to `program`."""
        if self._driver is None:
            forget_everything(self.lab)
            self._driver = new_driver(self.lab, self.settings)
            self._driver.fold(whole(program))
            failed = self._driver.resync().failed
        else:
            failed = self._driver.apply(between(self.in_force, program)).failed
        assert not failed, failed
        self.in_force = program

    def check_nothing_to_repair(self) -> None:
        """A driver that starts now finds everything as it would have written it."""
        with new_driver(self.lab, self.settings) as fresh:
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
        self.pairs += len(packets)
        for seen, packet in zip(arrived, packets, strict=True):
            verdict = evaluate(self.in_force, self.judged(packet))
            if seen != verdict.allowed:
                yield f"{'passed' if seen else 'was dropped'}, but:\n{explain(verdict)}"

    def agree(self, program: Program, packets: list[Packet]) -> None:
        """Every packet has the evaluator's verdict. What fails prints the rendered rules."""
        try:
            self.program(program)
            wrong = list(self.disagreements(packets))
            assert not wrong, "\n\n".join([*wrong[:3], saved(self.lab, self.settings.backend)])
            self.check_nothing_to_repair()
        except BaseException:
            self.close()
            raise
