"""What tests between two nodes found. Pure data."""

from collections.abc import Mapping
from typing import NamedTuple


class Way(NamedTuple):
    """One thing that has to pass: "tcp", "udp" or "ip", and a port or the protocol's number."""

    row: str
    kind: str
    number: int

    @property
    def in_words(self) -> str:
        """ "TCP 179", "protocol 4"."""
        return (
            f"protocol {self.number}" if self.kind == "ip" else f"{self.kind.upper()} {self.number}"
        )


WAYS = (
    Way("P1", "tcp", 179),
    Way("P2", "ip", 4),
    Way("P3", "udp", 4789),
    Way("P4", "tcp", 5473),
    Way("P5", "udp", 51820),
    Way("P6", "udp", 51821),
    Way("P8", "tcp", 443),
    Way("P8", "tcp", 6443),
    Way("P9", "tcp", 2379),
)


class Passed(NamedTuple):
    """What came of one test in one direction. `words` say why it is not known, where it is not."""

    arrived: bool
    words: str = ""
    known: bool = True


class PeerReport(NamedTuple):
    """All tests with one peer: to it, and from it; and the largest packet that reached it.

    `link_mtu` is that of the interface towards it; 0: not known. `problem`: there was no talking
    to it at all.
    """

    host: str
    there: Mapping[Way, Passed] = {}
    back: Mapping[Way, Passed] = {}
    path_mtu: int = 0
    link_mtu: int = 0
    problem: str = ""
