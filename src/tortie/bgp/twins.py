"""Nodes that claim one address: only one of them can be spoken with there. Pure."""

from collections import defaultdict
from collections.abc import Iterable

from tortie.bgp.cluster import Speaker
from tortie.bgp.picture import Problem
from tortie.net import format_address


def twins(speakers: Iterable[Speaker], me: Speaker) -> list[Problem]:
    """A problem for each address that several nodes have, at the first of them by name."""
    found: dict[tuple[int, int], list[str]] = defaultdict(list)
    for speaker in sorted(speakers, key=lambda each: each.name):
        for version in (4, 6):
            if (own := speaker.address(version)) is not None:
                found[version, own.address].append(speaker.name)
    return [
        Problem(f"Node({names[0]})", _said(version, address, names, me.name))
        for (version, address), names in found.items()
        if len(names) > 1
    ]


def _said(version: int, address: int, names: list[str], me: str) -> str:
    others = " and ".join(f"Node({name})" for name in names[1:])
    text = f"spec.bgp.ipv{version}Address: {others} has {format_address(version, address)} too"
    if me in names:
        return f"{text}: this node has no session with who has its own address"
    return f"{text}: this node speaks with one of them only"
