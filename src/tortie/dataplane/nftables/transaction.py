"""Edits as the one text that makes them one kernel transaction. Pure.

The order inside the text is the kernel's demand: nothing may be deleted while a rule names it, and
nothing named before it is there. To packets the transaction is one step.
"""

from collections.abc import Iterable, Iterator, Mapping
from enum import IntEnum, auto
from typing import NamedTuple

from tortie.dataplane.nftables.chains import Chain, comment_of
from tortie.dataplane.nftables.edits import (
    INTERFACE_SETS,
    DropChain,
    DropSet,
    Edit,
    EditElements,
    EditInterface,
    InterfaceElements,
    PutChain,
    PutSet,
    PutTable,
    TableMirror,
)
from tortie.dataplane.nftables.names import TABLE, SetName
from tortie.dataplane.nftables.sets import Element, Layout, declaration, elements_text
from tortie.dataplane.nftables.skeleton import HOOK_NAMES
from tortie.dataplane.policy.families import Family


class _Phase(IntEnum):
    TABLE = auto()
    NEW_CHAIN = auto()
    FLUSH = auto()
    REMOVE_ELEMENT = auto()
    DELETE_CHAIN = auto()
    DELETE_SET = auto()
    AGAIN_CHAIN = auto()  # a base chain that was deleted because its hook was another
    NEW_SET = auto()
    ADD_ELEMENT = auto()
    RULE = auto()
    DISPATCH = auto()


class _Command(NamedTuple):
    phase: _Phase
    text: str


Mirrors = Mapping[int, TableMirror]  # by IP version


def transaction_text(edits: Iterable[Edit], mirrors: Mirrors) -> str:
    """The commands, one a line, against what the mirrors say is there."""
    commands = [
        command
        for edit in _last_of_each(edits)
        for command in _commands(edit, mirrors[edit.family.version])
    ]
    commands.sort(key=lambda one: one.phase)
    return "\n".join(one.text for one in commands)


def _last_of_each(edits: Iterable[Edit]) -> Iterable[Edit]:
    """One edit for each object: of two for one chain or set the later one counts."""
    latest: dict[tuple[object, ...], Edit] = {}
    for edit in edits:
        match edit:
            case PutTable():
                key: tuple[object, ...] = ("table",)
            case PutChain() | DropChain():
                name = edit.chain.name if isinstance(edit, PutChain) else edit.name
                key = ("chain", name)
            case PutSet() | DropSet():
                key = ("set", edit.name)
            case EditElements():
                key = ("elements", edit.name)
            case EditInterface():
                key = ("interface", edit.interface)
        latest[edit.family.version, *key] = edit
    return latest.values()


def _commands(edit: Edit, mirror: TableMirror) -> Iterator[_Command]:
    match edit:
        case PutTable(family):
            yield _Command(_Phase.TABLE, f"add table {family.nft} {TABLE}")
        case PutChain(family, chain):
            yield from _put_chain(family, chain, mirror)
        case DropChain(family, name):
            yield _Command(_Phase.FLUSH, f"flush chain {family.nft} {TABLE} {name}")
            yield _Command(_Phase.DELETE_CHAIN, f"delete chain {family.nft} {TABLE} {name}")
        case PutSet():
            yield from _put_set(edit, mirror)
        case DropSet(family, name):
            yield _Command(_Phase.DELETE_SET, f"delete set {family.nft} {TABLE} {name}")
        case EditElements(family, name, layout, added, removed):
            yield from _remove(family, name, layout, removed)
            yield from _add(_Phase.ADD_ELEMENT, family, name, layout, added)
        case EditInterface(family, _, had, wanted):
            for name, element in _ordered(had - wanted):
                yield from _remove(family, name, INTERFACE_SETS[name], (element,))
            for name, element in _ordered(wanted - had):
                yield from _add(_Phase.DISPATCH, family, name, INTERFACE_SETS[name], (element,))


def _put_chain(family: Family, chain: Chain, mirror: TableMirror) -> Iterator[_Command]:
    place = f"{family.nft} {TABLE} {chain.name}"
    if chain.name not in mirror.chains:
        yield _Command(_Phase.NEW_CHAIN, f"add chain {place}{_hook(chain)}")
    else:
        yield _Command(_Phase.FLUSH, f"flush chain {place}")
        if mirror.hooks.get(chain.name) != chain.hook:
            yield _Command(_Phase.DELETE_CHAIN, f"delete chain {place}")
            yield _Command(_Phase.AGAIN_CHAIN, f"add chain {place}{_hook(chain)}")
    for rule in chain.rules:
        text = f'add rule {place} {rule} comment "{comment_of(rule)}"'
        yield _Command(_Phase.RULE, text)


def _hook(chain: Chain) -> str:
    if chain.hook is None:
        return ""
    hook = chain.hook
    policy = "accept" if hook.accept else "drop"
    where = f"type {hook.type} hook {HOOK_NAMES[hook.number]} priority {hook.priority}"
    return f" {{ {where}; policy {policy}; }}"


def _put_set(edit: PutSet, mirror: TableMirror) -> Iterator[_Command]:
    if edit.name in mirror.sets:
        text = f"delete set {edit.family.nft} {TABLE} {edit.name}"
        yield _Command(_Phase.DELETE_SET, text)
    yield _Command(_Phase.NEW_SET, declaration(edit.family, edit.name, edit.layout))
    yield from _add(_Phase.ADD_ELEMENT, edit.family, edit.name, edit.layout, edit.elements)


def _add(
    phase: _Phase, family: Family, name: SetName, layout: Layout, elements: Iterable[Element]
) -> Iterator[_Command]:
    if text := elements_text(layout, family, elements):
        yield _Command(phase, f"add element {family.nft} {TABLE} {name} {{ {text} }}")


def _remove(
    family: Family, name: SetName, layout: Layout, elements: Iterable[Element]
) -> Iterator[_Command]:
    if text := elements_text(layout, family, elements):
        place = f"{family.nft} {TABLE} {name}"
        yield _Command(_Phase.REMOVE_ELEMENT, f"delete element {place} {{ {text} }}")


def _ordered(elements: InterfaceElements) -> list[tuple[SetName, Element]]:
    return sorted(elements, key=lambda one: (one[0], one[1].key))
