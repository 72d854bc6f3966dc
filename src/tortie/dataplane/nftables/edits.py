"""Single changes of a table, and a mirror of what a table holds. Pure."""

from typing import NamedTuple

from tortie.dataplane.nftables.chains import CT_MAP, Chain, rule_comments
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
        self.hooks.pop(chain.name, None)
        if chain.hook is not None:
            self.hooks[chain.name] = chain.hook

    def _note_interface(self, edit: EditInterface) -> None:
        self.interfaces.pop(edit.interface, None)
        if edit.wanted:
            self.interfaces[edit.interface] = edit.wanted
