"""Marks that tell from which endpoint a packet came, on its way through the node itself. Pure.

With kube-proxy in IPVS mode a packet to a service comes in as one for the node, and what IPVS makes
of it leaves as one of the node: its interface is forgotten between the two. The mark remembers it.
"""

from collections.abc import Iterable, Mapping
from hashlib import blake2b
from typing import NamedTuple


class EndpointMarks(NamedTuple):
    """The mark of each interface, and that of all others; `left_out` are those without one."""

    mask: int
    others: int
    marks: Mapping[str, int]
    left_out: tuple[str, ...]


def endpoint_marks(interfaces: Iterable[str], mask: int) -> EndpointMarks:
    """Marks within the mask, none of them 0. Equal interfaces get equal marks, in any order.

    A name's hash says which number it would like, so that others' coming and going seldom moves it.
    """
    count = (1 << mask.bit_count()) - 2  # neither 0, nor all bits: that is `others`
    wanted = sorted(set(interfaces), key=lambda name: (_like(name, max(count, 1)), name))
    taken: dict[int, str] = {}
    for name in wanted[: max(count, 0)]:
        number = _like(name, count)
        while number in taken:
            number = number % count + 1
        taken[number] = name
    marks = {name: _spread(number, mask) for number, name in taken.items()}
    return EndpointMarks(mask, mask, marks, tuple(sorted(wanted[max(count, 0) :])))


def _like(name: str, count: int) -> int:
    return int.from_bytes(blake2b(name.encode(), digest_size=4).digest()) % count + 1


def _spread(number: int, mask: int) -> int:
    """The number's bits, from the lowest one on, in the places of the mask's."""
    found = 0
    while number:
        bit = mask & -mask
        if number & 1:
            found |= bit
        number, mask = number >> 1, mask ^ bit
    return found
