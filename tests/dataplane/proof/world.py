"""One node, one firewall's driver, program after program: do packets fare as the evaluator says?"""

from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

from msgspec.structs import replace

from dataplane.hostlab import FAR, NODE, SIDE, SIDE_NODE, HostLab, link_of
from dataplane.packets import UPLINK, Sent
from dataplane.programming import between, whole
from dataplane.proof.firewalls import Driver, Firewall, rules_of, wipe
from dataplane.proof.shrinking import smallest
from dataplane.proof.telling import told
from strategies.everything import Ground, Links, aimed, program_of
from strategies.host_programs import FAILSAFES
from strategies.loose_programs import with_open_peer
from strategies.programs import ENDPOINTS, HOSTS4, HOSTS6, OUTSIDE
from tortie.dataplane.nftables import NftSettings
from tortie.dataplane.policy.settings import HostAction
from tortie.net.protocols import TCP
from tortie.policy import Packet, Path, Program, ToHost, evaluate, explain, host_endpoint_of
from tortie.policy.program import EndpointId

LINKS = {UPLINK: NODE, SIDE: SIDE_NODE}
ADDRESSES = [*NODE, *SIDE_NODE]
NODES_LINKS = Links(tuple(LINKS), ADDRESSES)
GROUND = Ground(tuple(ADDRESSES), (*HOSTS4[4:], *OUTSIDE, *FAR))
# What the evaluator knows nothing of: the tunnel's port, which a setting closes to workloads, and
# what every IPv6 host must hear from its neighbours.
VXLAN_PORT = 4789
NEIGHBOURS = (130, 131, 132, 133, 135, 136)
TRANSLATED_PORT = 8088
_OWNERS = {(one.version, one.address): n for n in range(4) for one in (HOSTS4[n], HOSTS6[n])}
_GATEWAY = "192.0.2.254 fe80::254"
_ECHO_REPLIES = {8: 0, 13: 14, 15: 16, 17: 18, 128: 129, 139: 140}
_SOMEBODYS_NAT = (
    "add table ip theirs; "
    "add chain ip theirs c { type nat hook prerouting priority -100; }; "
    f"add rule ip theirs c iifname {UPLINK} tcp dport {TRANSLATED_PORT} dnat to 10.65.0.4:80"
)

Change = Callable[[Program], Program]
Shrinker = Callable[[Program, Callable[[Program], bool]], Program]


class Disagreement(NamedTuple):
    """A packet whose fate was not the evaluator's verdict."""

    packet: Packet
    passed: bool
    reason: str


class World:
    """A lab with one firewall. `to_host` is the node's DefaultEndpointToHostAction.

    `rendered_as` stands between a program and the driver: a fault that a test plants there is one
    of a renderer that misreads programs.
    """

    def __init__(
        self,
        lab: HostLab,
        firewall: Firewall,
        to_host: ToHost = ToHost.DROP,
        rendered_as: Change = lambda program: program,
        shrunk_by: Shrinker = smallest,
    ) -> None:
        self.lab, self.firewall = lab, firewall
        self.pairs = self.programs = 0
        self._rendered_as, self._shrunk_by = rendered_as, shrunk_by
        self._to_host = to_host
        self._settings = NftSettings(
            failsafes=FAILSAFES,
            endpoint_to_host=HostAction(to_host.lower()),
            drop_invalid=False,  # so that packets of every ICMP type get as far as policy
        )
        self._written = Program()
        self._driver: Driver | None = None

    def close(self) -> None:
        """The next program starts from nothing."""
        if self._driver is not None:
            self._driver.close()
        self._driver = None

    def agree(self, seed: int, number: int) -> None:
        """A program of this seed and about `number` packets for it fare as the evaluator says, and
        a restart finds all as it is.

        Raises AssertionError with a smallest program, the packet, the evaluator's reason and the
        rules in force.
        """
        program = with_open_peer(program_of(seed, NODES_LINKS))
        program = replace(program, failsafes=FAILSAFES, to_host=self._to_host)
        packets = chosen(program, number, seed)
        self.pairs += len(packets)
        self.programs += 1
        try:
            wrong = self.disagreements(program, packets)
            assert not wrong, f"{self._smallest(program, wrong[0].packet)}\n\nof seed {seed}"
            self._check_nothing_to_repair()
        except BaseException:
            self.close()
            raise

    def disagreements(self, program: Program, packets: list[Packet]) -> list[Disagreement]:
        """What fares otherwise than the evaluator says, once the program is in force."""
        self._write(self._rendered_as(program))
        self.lab.forget_connections()
        placed = [_placed(one, program) for one in packets]
        arrived = self.lab.deliver(Sent(_link(one), one.before_nat) for one in placed)
        verdicts = [evaluate(program, one) for one in placed]
        return [
            Disagreement(packet, seen, explain(verdict))
            for packet, seen, verdict in zip(packets, arrived, verdicts, strict=True)
            if seen != verdict.allowed
        ]

    def _smallest(self, program: Program, packet: Packet) -> str:
        """The report of a smallest program in which this packet fares otherwise."""

        def fails(candidate: Program) -> bool:
            try:
                return bool(self.disagreements(candidate, [packet]))
            except AssertionError:  # the driver names something: another fault than this one
                self.close()
                return False

        if not fails(program):
            return f"{packet} alone fares well; with others it did not. {told(program)}"
        found = self._shrunk_by(program, fails)
        (wrong,) = self.disagreements(found, [packet])
        return self._report(found, wrong)

    def _write(self, program: Program) -> None:
        if self._driver is None:
            wipe(self.lab)
            self.lab.nft(_SOMEBODYS_NAT)
            with self.lab.inside():
                self._driver = self.firewall.driver(self._settings)
            self._driver.fold(whole(program))
            failed = self._driver.resync().failed
        else:
            failed = self._driver.apply(between(self._written, program)).failed
        assert failed == (), failed
        self._written = program

    def _check_nothing_to_repair(self) -> None:
        with self.lab.inside(), self.firewall.driver(self._settings) as fresh:
            fresh.fold(whole(self._written))
            assert fresh.resync().failed == ()
            assert fresh.written == 0, f"a restart repairs {fresh.written} objects"

    def _report(self, program: Program, wrong: Disagreement) -> str:
        return "\n\n".join(
            (
                f"{self.firewall}: a packet fared otherwise than the evaluator says",
                f"In force:\n{rules_of(self.lab, self.firewall)}",
                f"The program:\n{told(program)}",
                f"The packet {'passed' if wrong.passed else 'was dropped'}, but:\n{wrong.reason}",
            )
        )


def _placed(packet: Packet, program: Program) -> Packet:
    """The packet with the host endpoints by which it comes in and leaves."""

    def host(link: str) -> EndpointId | None:
        return host_endpoint_of(program, link, LINKS[link]) if link in LINKS else None

    back = replace(packet, source=packet.destination, source_endpoint=None)
    comes = "" if packet.path is Path.FROM_HOST else _link(packet)
    leaves = "" if packet.path is Path.TO_HOST else _link(back)
    return replace(packet, entered=host(comes), left=host(leaves))


def prepared(lab: HostLab) -> HostLab:
    """A lab in which every address that is nobody's else is reached by the uplink."""
    four, six = _GATEWAY.split()
    mac = lab.far_mac(UPLINK)
    lab.ip(
        f"neighbour replace {four} lladdr {mac} dev {UPLINK}",
        f"neighbour replace {six} lladdr {mac} dev {UPLINK}",
        f"route replace default via {four} dev {UPLINK} onlink",
        f"route replace ::/0 via {six} dev {UPLINK} onlink",
    )
    return lab


def chosen(program: Program, number: int, seed: int) -> list[Packet]:
    """Packets that try this program, each the first of its connection."""
    found = [*aimed(program, GROUND, number, seed), *_translated(program)]
    return list(_first_ones(one for one in found if _is_for_policy(one)))


def _is_for_policy(packet: Packet) -> bool:
    is_of_neighbours = packet.version == 6 and packet.icmp_type in NEIGHBOURS
    ends_here = packet.path is Path.TO_HOST and packet.source_endpoint is not None
    return packet.destination_port != VXLAN_PORT and not (is_of_neighbours and ends_here)


def _translated(program: Program) -> Iterator[Packet]:
    """What somebody's NAT leads from a port of the node to pod-3; untracked policy may skip it."""
    if any(one.untracked != ((), ()) for one in program.host_endpoints.values()):
        return
    for number, outside in enumerate((OUTSIDE[0], HOSTS4[5])):
        yield Packet(
            4,
            outside.address,
            HOSTS4[3].address,
            TCP,
            30000 + number,
            80,
            destination_endpoint=ENDPOINTS[3],
            first_destination=NODE[0].address,
            first_destination_port=TRANSLATED_PORT,
        )


def _first_ones(packets: Iterable[Packet]) -> Iterator[Packet]:
    """Without those that tracking takes for an answer to an earlier one."""
    taken: set[tuple[object, ...]] = set()
    for packet in packets:
        ends = ((packet.source, packet.source_port), (packet.destination, packet.destination_port))
        here = (packet.protocol, *_kind(packet), *ends)
        if (packet.protocol, *_kind(packet), *reversed(ends)) in taken:
            continue
        taken.add(here)
        yield packet


def _kind(packet: Packet) -> tuple[object, ...]:
    """Of ICMP question and answer are one."""
    if not packet.is_icmp:
        return ()
    asked = {answer: question for question, answer in _ECHO_REPLIES.items()}
    return (asked.get(packet.icmp_type or 0, packet.icmp_type),)


def _link(packet: Packet) -> str:
    """By which link the packet comes into the node."""
    if packet.source_endpoint is not None:
        return f"cali{ENDPOINTS.index(packet.source_endpoint)}"
    return link_of(packet, _OWNERS)
