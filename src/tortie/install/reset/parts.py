"""What a part of a node's state is, and the parts in the order of their removal."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple, Protocol

from tortie.install.reset.firewall import IptablesRules, NftablesTables
from tortie.install.reset.network import Interfaces, Routes, Rules, Tunnels
from tortie.install.reset.places import Files, Places
from tortie.install.reset.processes import BirdProcess, WireguardProcesses


class Part(Protocol):
    """Something that we leave in a node. Both raise OSError, in words for people."""

    title: str

    def find(self) -> Sequence[str]:
        """What is there of it, for people; nothing where nothing is."""
        ...

    def remove(self) -> None:
        """Remove all of it; removing it twice is harmless."""
        ...


class Found(NamedTuple):
    """A part with what is there of it."""

    part: Part
    things: Sequence[str]


def parts(places: Places) -> list[Part]:
    """All parts. First what would write again, then workloads, at last what guards them."""
    bird = BirdProcess(places)
    return [
        bird,
        WireguardProcesses(places),
        Interfaces(places),
        Tunnels(places),
        Routes(places, and_birds=bird.was_here),
        Rules(places),
        NftablesTables(places),
        IptablesRules(places),
        Files(places),
    ]


def look(wanted: Sequence[Part]) -> Iterator[Found]:
    """Those of which there is something."""
    for part in wanted:
        if things := part.find():
            yield Found(part, things)
