"""Which blocks may be given up now. Pure, but for what it remembers between looks.

A block that is empty in two looks is not needed by its node, unless it is the last that the node
has of its IP version: the next pod would have to claim one again. A node that is gone keeps no
block. The load balancers' virtual node counts as one that is there.
"""

from collections import defaultdict
from collections.abc import Iterable
from typing import NamedTuple

from tortie.api import IPAMBlock
from tortie.ipam.block import is_empty, is_sound
from tortie.ipam.names import Owner, owner_of
from tortie.ipam.records import Records
from tortie.net import Prefix, parse_network


class Spare(NamedTuple):
    """A block that its owner does not need."""

    owner: Owner
    cidr: Prefix


class SpareBlocks:
    """The blocks of one cluster, looked at again and again."""

    def __init__(self) -> None:
        self._before: frozenset[Spare] = frozenset()

    def look(self, records: Records) -> list[Spare]:
        """What may be given up after this look: it was spare in the one before, too."""
        now = frozenset(_spare(records))
        both, self._before = now & self._before, now
        return sorted(both)


def _spare(records: Records) -> Iterable[Spare]:
    by_owner: defaultdict[tuple[Owner, int], list[IPAMBlock]] = defaultdict(list)
    for block in records.blocks:
        if (owner := owner_of(block.spec.affinity)) and is_sound(block.spec):
            by_owner[owner, parse_network(block.spec.cidr).version].append(block)
    for (owner, _), blocks in by_owner.items():
        empty = [block for block in blocks if is_empty(block.spec)]
        there = owner.type == "virtual" or owner.name in records.nodes
        keep = there and len(empty) == len(blocks)
        yield from (_named(owner, block) for block in empty[keep:])


def _named(owner: Owner, block: IPAMBlock) -> Spare:
    return Spare(owner, parse_network(block.spec.cidr))
