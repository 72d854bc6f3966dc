"""Who reaches whom: the results of probes, and how a person reads them.

Pure. A party is a workload ("shop/web-1") or a host outside ("outside"); it is known by its whole
name, and by the part after the slash where no other party has that too.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple


class Port(NamedTuple):
    """A port of one protocol: ("tcp", 80)."""

    protocol: str
    number: int

    def __str__(self) -> str:
        return f"{self.protocol}/{self.number}"


class Party(NamedTuple):
    """One end of probes: its name, where it answers, and on which ports."""

    name: str
    address: str
    ports: tuple[Port, ...]


class Flow(NamedTuple):
    """What one probe asks: may `source` call `destination` on `port`?"""

    source: str
    destination: str
    port: Port

    def __str__(self) -> str:
        return f"{self.source} -> {self.destination} {self.port}"


class Answer(NamedTuple):
    """What came back: who answered (empty: nobody) and which address it saw us come from."""

    answered_by: str = ""
    seen_as: str = ""
    milliseconds: float = 0.0


class Matrix(NamedTuple):
    """The answers to all flows between parties, which keep the order of the manifests."""

    parties: tuple[Party, ...]
    answers: Mapping[Flow, Answer]

    def reached(self, flow: Flow) -> bool:
        """Whether the party that was meant has answered."""
        return self.answers[flow].answered_by == flow.destination

    @property
    def flows(self) -> int:
        """How many flows were tried."""
        return len(self.answers)

    @property
    def open_flows(self) -> int:
        """How many of them reached whom they were meant for."""
        return sum(map(self.reached, self.answers))


def flows_between(parties: Sequence[Party]) -> list[Flow]:
    """Everybody to everybody else, on every port of the destination."""
    return [
        Flow(source.name, destination.name, port)
        for source in parties
        for destination in parties
        if source.name != destination.name
        for port in destination.ports
    ]


def short_names(names: Iterable[str]) -> dict[str, str]:
    """Each name's short form: what follows its slash, where that is nobody else's."""
    names = list(names)
    tails = [name.rpartition("/")[2] for name in names]
    return {
        name: tail if tails.count(tail) == 1 else name
        for name, tail in zip(names, tails, strict=True)
    }


def changed(before: Matrix, after: Matrix) -> list[Flow]:
    """The flows of both whose outcome differs, in the order of `after`."""
    return [
        flow
        for flow in after.answers
        if flow in before.answers and before.reached(flow) != after.reached(flow)
    ]


def as_records(matrix: Matrix) -> list[dict[str, object]]:
    """One JSON object for each flow."""
    return [
        {
            "from": flow.source,
            "to": flow.destination,
            "protocol": flow.port.protocol,
            "port": flow.port.number,
            "reached": matrix.reached(flow),
            "answeredBy": answer.answered_by or None,
            "seenAs": answer.seen_as or None,
            "milliseconds": round(answer.milliseconds, 2),
        }
        for flow, answer in matrix.answers.items()
    ]
