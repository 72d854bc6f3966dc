"""Edits as nft text: what the driver writes as bytes, told to libnftables instead, for proof."""

import socket
from collections.abc import Iterable, Iterator, Mapping
from enum import IntEnum, auto
from typing import NamedTuple

from tortie.dataplane.nftables.chains import Chain
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
from tortie.dataplane.nftables.encoding import encoded
from tortie.dataplane.nftables.fields import IFNAME_ROOM, MACHINE, STATE
from tortie.dataplane.nftables.names import TABLE, SetName, checked_interface
from tortie.dataplane.nftables.sets import Element, Layout
from tortie.dataplane.nftables.skeleton import HOOK_NAMES
from tortie.dataplane.nftables.terms import line_text
from tortie.dataplane.nftables.transaction import last_of_each
from tortie.dataplane.policy.families import Family
from tortie.net.addresses import WIDTH


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
        for edit in last_of_each(edits)
        for command in _commands(edit, mirrors[edit.family.version])
    ]
    commands.sort(key=lambda one: one.phase)
    return "\n".join(one.text for one in commands)


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
    for line in chain.rules:
        text = f'add rule {place} {line_text(line)} comment "{encoded(line).comment}"'
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


def declaration(family: Family, name: SetName, layout: Layout) -> str:
    """The command that creates the set or map."""
    what = "map" if layout.is_map else "set"
    types = " . ".join(family.address_type if one == "address" else one for one in layout.fields)
    value = " : verdict" if layout.is_map else ""
    flags = " flags interval;" if layout.is_interval else ""
    return f"add {what} {family.nft} {TABLE} {name} {{ type {types}{value};{flags} }}"


def elements_text(layout: Layout, family: Family, elements: Iterable[Element]) -> str:
    """Elements as they stand between the braces of `add element`."""
    return ", ".join(_element_text(layout, family, one) for one in elements)


def _element_text(layout: Layout, family: Family, element: Element) -> str:
    first = list(_decoded(layout, family, element.key))
    text = " . ".join(first)
    if layout is Layout.NETS:
        text = _span_text(element, first[0], family)
    elif layout is Layout.SOURCE_NETS and element.end:
        last = list(_decoded(layout, family, element.end))
        text = f"{first[0]} . {first[1]}-{last[1]}"
    if layout is Layout.DISPATCH:
        return f"{text} : jump {element.chain}"
    if layout is Layout.CT_STATES:
        return f"{text} : " + (f"goto {element.chain}" if element.chain else "drop")
    return text


def _span_text(element: Element, first: str, family: Family) -> str:
    width = WIDTH[family.version] // 8
    after = 1 << 8 * width if element.end is None else int.from_bytes(element.end)
    last = _address((after - 1).to_bytes(width))
    return first if last == first else f"{first}-{last}"


def _decoded(layout: Layout, family: Family, key: bytes) -> Iterator[str]:
    place = 0
    for field in layout.fields:
        room = IFNAME_ROOM if field == "ifname" else 4
        room = WIDTH[family.version] // 8 if field == "address" else room
        yield _field_text(field, key[place : place + room])
        place += room


def _field_text(field: str, value: bytes) -> str:
    if field == "address":
        return _address(value)
    if field == "ifname":
        return f'"{checked_interface(value.rstrip(bytes(1)).decode("ascii", "replace"))}"'
    if field == "ct_state":
        return STATE.shown(int.from_bytes(value, MACHINE))
    return str(value[0] if field == "inet_proto" else int.from_bytes(value[:2]))


def _address(value: bytes) -> str:
    return socket.inet_ntop(socket.AF_INET if len(value) == 4 else socket.AF_INET6, value)
