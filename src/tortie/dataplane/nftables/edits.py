"""Single changes of a table, and a mirror of what a table holds. Pure."""

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from tortie.dataplane.nftables.anonymous import AnonymousSet
from tortie.dataplane.nftables.chains import CT_MAP, Chain, constants_of, rule_comments
from tortie.dataplane.nftables.names import ChainName, SetName
from tortie.dataplane.nftables.sets import Element, Layout
from tortie.dataplane.nftables.skeleton import FROM_MAP, LIVE, SOURCE_NETS, SOURCES, TO_MAP
from tortie.dataplane.policy.families import Family
from tortie.linux.netlink.nfnetlink import Hook

INTERFACE_SETS: dict[SetName, Layout] = {
    FROM_MAP: Layout.DISPATCH,
    TO_MAP: Layout.DISPATCH,
    SOURCES: Layout.SOURCES,
    SOURCE_NETS: Layout.SOURCE_NETS,
    LIVE: Layout.INTERFACES,
}
STATIC_SETS: dict[SetName, Layout] = {CT_MAP: Layout.CT_STATES, **INTERFACE_SETS}

InterfaceElements = frozenset[tuple[SetName, Element]]


class PutTable(NamedTuple):
    """The table is there and not dormant."""

    family: Family


class PutChain(NamedTuple):
    """The chain holds these rules and no others."""

    family: Family
    chain: Chain


class DropChain(NamedTuple):
    """The chain is not there."""

    family: Family
    name: ChainName


class PutSet(NamedTuple):
    """The set or map is made anew with these elements, whatever it was before."""

    family: Family
    name: SetName
    layout: Layout
    elements: tuple[Element, ...] = ()


class DropSet(NamedTuple):
    """The set or map is not there."""

    family: Family
    name: SetName


class EditElements(NamedTuple):
    """An existing set or map gains and loses elements."""

    family: Family
    name: SetName
    layout: Layout
    added: frozenset[Element]
    removed: frozenset[Element]


class EditInterface(NamedTuple):
    """The elements of one interface, in the dispatch maps and the source sets."""

    family: Family
    interface: str
    had: InterfaceElements
    wanted: InterfaceElements


Edit = PutTable | PutChain | DropChain | PutSet | DropSet | EditElements | EditInterface


class TableMirror:
    """What one table holds, as last read or written. Members of program sets are not kept."""

    def __init__(self) -> None:
        self.exists = False
        self.chains: dict[ChainName, tuple[str, ...]] = {}  # the comments of their rules
        self.hooks: dict[ChainName, Hook] = {}
        self.sets: dict[SetName, Layout | None] = {}
        self.interfaces: dict[str, InterfaceElements] = {}
        self.constants: dict[SetName, bool] = {}  # sets of constants; whether each is a map
        self.users: dict[ChainName, frozenset[SetName]] = {}  # chains that look into constants
        self.uses: Counter[SetName] = Counter()  # how many chains look into each
        self.leftovers: set[SetName] = set()  # constants of something that ended half-way

    def holds(self, chain: Chain) -> bool:
        """Whether the chain is there as it should be."""
        return (
            self.chains.get(chain.name) == rule_comments(chain)
            and self.hooks.get(chain.name) == chain.hook
        )

    def has(self, name: ChainName) -> bool:
        """Whether there is a chain with this name."""
        return name in self.chains

    def note(self, edit: Edit) -> None:
        """Take in an edit that is in force now."""
        match edit:
            case PutTable():
                self.exists = True
            case PutChain(chain=chain):
                self._note_chain(chain)
            case DropChain(name=name):
                self.chains.pop(name, None)
                self._note_users(name, {})
                self.hooks.pop(name, None)
            case PutSet(name=name, layout=layout):
                self.sets[name] = layout
            case DropSet(name=name):
                self.sets.pop(name, None)
            case EditInterface():
                self._note_interface(edit)
            case EditElements():
                pass  # members are not mirrored

    def _note_chain(self, chain: Chain) -> None:
        self.chains[chain.name] = rule_comments(chain)
        self._note_users(chain.name, constants_of(chain))
        self.hooks.pop(chain.name, None)
        if chain.hook is not None:
            self.hooks[chain.name] = chain.hook

    def _note_users(self, chain: ChainName, used: Mapping[SetName, AnonymousSet]) -> None:
        before = self.users.pop(chain, frozenset())
        self.uses.subtract(before)
        for name, made in used.items():
            self.constants[name] = made.shape.is_map
        if used:
            self.users[chain] = frozenset(used)
            self.uses.update(used.keys())
        self.leftovers = {one for one in self.leftovers | before if not self.uses[one]}

    def see_users(self, users: Mapping[ChainName, frozenset[SetName]]) -> None:
        """What chains look into, as it was read after the constants."""
        self.users = dict(users)
        self.uses = Counter(name for found in users.values() for name in found)
        self.leftovers = {one for one in self.constants if not self.uses[one]}

    def unused_after(self, edits: Iterable[Edit]) -> list[SetName]:
        """The sets of constants that no chain looks into once these edits are in force."""
        change: Counter[SetName] = Counter()
        for edit in edits:
            if isinstance(edit, PutChain):
                change.subtract(self.users.get(edit.chain.name, ()))
                change.update(constants_of(edit.chain).keys())
            elif isinstance(edit, DropChain):
                change.subtract(self.users.get(edit.name, ()))
        suspects = self.leftovers | change.keys() & self.constants.keys()
        return sorted(one for one in suspects if self.uses[one] + change[one] <= 0)

    def sweep(self) -> None:
        """Forget the sets of constants that nobody uses: they were deleted."""
        for name in self.leftovers:
            self.constants.pop(name, None)
            self.uses.pop(name, None)
        self.leftovers = set()

    def _note_interface(self, edit: EditInterface) -> None:
        self.interfaces.pop(edit.interface, None)
        if edit.wanted:
            self.interfaces[edit.interface] = edit.wanted
