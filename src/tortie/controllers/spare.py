"""Which blocks may be given up now. Pure, but for what it remembers between looks.

A block that is empty in two looks is not needed by its node, unless it is the last that the node
has of its pool: the next pod would have to claim one again. A node that is gone keeps no block.
"""

from collections import defaultdict
from collections.abc import Iterable
from typing import NamedTuple

from tortie.api import IPAMBlock
from tortie.ipam.block import is_empty, is_sound
from tortie.ipam.names import node_of
from tortie.ipam.records import Records
from tortie.net import Prefix, parse_network


class Spare(NamedTuple):
    """A node's block that it does not need."""

    node: str
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
    by_node: defaultdict[tuple[str, int], list[IPAMBlock]] = defaultdict(list)
    for block in records.blocks:
        if (node := node_of(block.spec.affinity)) and is_sound(block.spec):
            by_node[node, parse_network(block.spec.cidr).version].append(block)
    for (node, _), blocks in by_node.items():
        empty = [block for block in blocks if is_empty(block.spec)]
        keep = node in records.nodes and len(empty) == len(blocks)
        yield from (_named(node, block) for block in empty[keep:])


def _named(node: str, block: IPAMBlock) -> Spare:
    return Spare(node, parse_network(block.spec.cidr))
