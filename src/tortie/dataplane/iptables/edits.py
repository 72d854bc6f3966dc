"""Single changes of tables and sets, and a mirror of what is there. Pure."""

from enum import Enum
from typing import NamedTuple

from tortie.dataplane.iptables.chains import FILTER, Chain, rule_comments
from tortie.dataplane.iptables.names import ChainName, SetName
from tortie.dataplane.iptables.sets import Element, SetType
from tortie.dataplane.iptables.skeleton import Jump


class PutChain(NamedTuple):
    """The chain holds these rules and no others."""

    version: int
    chain: Chain


class DropChain(NamedTuple):
    """The chain is not there."""

    version: int
    table: str
    name: ChainName


class Stand(Enum):
    """Where our jump stands in a chain of the kernel's: before all rules of others, or behind."""

    FIRST = "first"
    LAST = "last"


class PutJump(NamedTuple):
    """Our jump stands in the kernel's chain. `found`: jumps to us that are there, to be removed.

    They are the rules' text as read, so that what was removed is what was seen.
    """

    version: int
    jump: Jump
    found: tuple[str, ...]
    stand: Stand = Stand.FIRST


class DropJumps(NamedTuple):
    """A chain of the kernel's, or of others, has no jumps to us."""

    version: int
    table: str
    hook: str
    found: tuple[str, ...]


class PutSet(NamedTuple):
    """The set is there with these elements and no others, at once."""

    version: int
    name: SetName
    type: SetType
    elements: frozenset[Element] = frozenset()


class EditSet(NamedTuple):
    """An existing set gains and loses elements."""

    version: int
    name: SetName
    added: frozenset[Element]
    removed: frozenset[Element]


class DropSet(NamedTuple):
    """The set is not there."""

    version: int
    name: SetName


SetEdit = PutSet | EditSet
RuleEdit = PutChain | DropChain | PutJump | DropJumps
Edit = SetEdit | RuleEdit | DropSet


class Mirror:
    """What the tables of one IP version hold that is ours, as last read or written.

    `jumps`: by (table, chain that is not ours), the rules in it that jump to us, as text;
    `first` and `last`: the chain's first and last rule. The elements of sets are not kept.
    """

    def __init__(self) -> None:
        self.chains: dict[tuple[str, ChainName], tuple[str, ...]] = {}  # comments of their rules
        self.jumps: dict[tuple[str, str], list[str]] = {}
        self.first: dict[tuple[str, str], str] = {}
        self.last: dict[tuple[str, str], str] = {}
        self.sets: dict[SetName, SetType | None] = {}

    def holds(self, chain: Chain) -> bool:
        """Whether the chain is there as it should be."""
        return self.chains.get((chain.table, chain.name)) == rule_comments(chain)

    def has(self, name: ChainName) -> bool:
        """Whether there is a chain of a policy, profile or workload with this name."""
        return (FILTER, name) in self.chains

    def entries(self, table: str) -> int:
        """How many entries of the table are ours: a chain counts two beside its rules."""
        chains = [rules for (place, _), rules in self.chains.items() if place == table]
        jumps = [found for (place, _), found in self.jumps.items() if place == table]
        return sum(map(len, (*chains, *jumps))) + 2 * len(chains)

    def note(self, edit: Edit) -> None:
        """Take in an edit that is in force now."""
        match edit:
            case PutChain(chain=chain):
                self.chains[chain.table, chain.name] = rule_comments(chain)
            case DropChain(table=table, name=name):
                self.chains.pop((table, name), None)
            case PutJump(jump=jump, stand=stand):
                place = (jump.table, jump.hook)
                self.jumps[place] = [jump_rule(jump)]
                self._edge(stand)[place] = jump_rule(jump)
            case DropJumps(table=table, hook=hook):
                self.jumps.pop((table, hook), None)
            case PutSet(name=name, type=type_):
                self.sets[name] = type_
            case DropSet(name=name):
                self.sets.pop(name, None)
            case EditSet():
                pass  # elements are not mirrored

    def jumps_right(self, jump: Jump, stand: Stand) -> bool:
        """Whether our jump stands where it should, and is the only one to us."""
        place, wanted = (jump.table, jump.hook), jump_rule(jump)
        return self.jumps.get(place) == [wanted] and self._edge(stand).get(place) == wanted

    def _edge(self, stand: Stand) -> dict[tuple[str, str], str]:
        return self.first if stand is Stand.FIRST else self.last


def jump_rule(jump: Jump) -> str:
    """The jump as both commands write it and print it, without the chain's name before it."""
    return f'-m comment --comment "cali:{jump.chain}" -j {jump.chain}'
