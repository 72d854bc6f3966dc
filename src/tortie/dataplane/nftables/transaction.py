"""Edits as the requests of one kernel transaction. Pure.

The order inside the batch is the kernel's demand: nothing may be deleted while a rule names it, and
nothing named before it is there. To packets the transaction is one step.

For each set that comes with a rule the kernel walks through all of the batch before it. So one IP
version comes after the other, and the rules that may have such sets come as early as they can.
"""

from collections.abc import Iterable, Iterator, Mapping
from enum import IntEnum, auto
from itertools import count, groupby
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
from tortie.dataplane.nftables.encoding import RuleWriter
from tortie.dataplane.nftables.names import TABLE, SetName
from tortie.dataplane.nftables.sets import Element, Layout, shape_of, wire_elements
from tortie.dataplane.nftables.terms import ByMap, Switch, Verdict
from tortie.dataplane.policy.families import Family
from tortie.linux.netlink import nfobjects
from tortie.linux.netlink.nfnetlink import SetRef
from tortie.linux.netlink.sockets import Request


class _Phase(IntEnum):
    TABLE = auto()
    FLUSH = auto()
    REMOVE_ELEMENT = auto()
    DELETE_CHAIN = auto()
    DELETE_SET = auto()
    NEW_SET = auto()
    LEAF = auto()  # chains that lead to no other, with their rules
    NEW_CHAIN = auto()
    RULE = auto()
    ADD_ELEMENT = auto()


class _Step(NamedTuple):
    phase: _Phase
    request: Request


Mirrors = Mapping[int, TableMirror]  # by IP version


def transaction(edits: Iterable[Edit], mirrors: Mirrors) -> list[Request]:
    """The requests in order, against what the mirrors say is there."""
    writer = _Writer()
    requests: list[Request] = []
    for _, own in groupby(
        sorted(last_of_each(edits), key=_version),
        key=_version,
    ):
        steps = [step for edit in own for step in writer.steps(edit, mirrors[edit.family.version])]
        steps.sort(key=lambda one: one.phase)
        requests += [one.request for one in steps]
    return requests


def _version(edit: Edit) -> int:
    return edit.family.version


def last_of_each(edits: Iterable[Edit]) -> Iterable[Edit]:
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


class _Writer:
    """Edits into steps; new sets are numbered through the whole batch."""

    def __init__(self) -> None:
        self._numbers = count(1)

    def steps(self, edit: Edit, mirror: TableMirror) -> Iterator[_Step]:
        """What one edit takes."""
        match edit:
            case PutTable(family):
                yield _Step(_Phase.TABLE, nfobjects.put_table(family.number, TABLE))
            case PutChain(family, chain):
                yield from self._put_chain(family, chain, mirror)
            case DropChain(family, name):
                place = (family.number, TABLE, name)
                yield _Step(_Phase.FLUSH, nfobjects.flush_chain(*place))
                yield _Step(_Phase.DELETE_CHAIN, nfobjects.delete_chain(*place))
            case PutSet():
                yield from self._put_set(edit, mirror)
            case DropSet(family, name):
                yield _Step(_Phase.DELETE_SET, nfobjects.delete_set(_ref(family, name)))
            case EditElements(family, name, layout, added, removed):
                yield from _remove(family, name, layout, removed)
                yield from _add(family, name, layout, added)
            case EditInterface(family, _, had, wanted):
                for name, element in _ordered(had - wanted):
                    yield from _remove(family, name, INTERFACE_SETS[name], (element,))
                for name, element in _ordered(wanted - had):
                    yield from _add(family, name, INTERFACE_SETS[name], (element,))

    def _put_chain(self, family: Family, chain: Chain, mirror: TableMirror) -> Iterator[_Step]:
        place = (family.number, TABLE, chain.name)
        coming, ruling = (_Phase.LEAF,) * 2 if _is_leaf(chain) else (_Phase.NEW_CHAIN, _Phase.RULE)
        is_there = chain.name in mirror.chains
        if is_there:
            yield _Step(_Phase.FLUSH, nfobjects.flush_chain(*place))
            if mirror.hooks.get(chain.name) != chain.hook:
                yield _Step(_Phase.DELETE_CHAIN, nfobjects.delete_chain(*place))
                is_there = False
        if not is_there:
            yield _Step(coming, nfobjects.put_chain(*place, chain.hook))
        rules = RuleWriter(family.number, TABLE, self._numbers)
        for request in rules.rules(chain.name, chain.rules):
            yield _Step(ruling, request)

    def _put_set(self, edit: PutSet, mirror: TableMirror) -> Iterator[_Step]:
        target = _ref(edit.family, edit.name)
        if edit.name in mirror.sets:
            yield _Step(_Phase.DELETE_SET, nfobjects.delete_set(target))
        shape = shape_of(edit.layout, edit.family)
        yield _Step(_Phase.NEW_SET, nfobjects.put_set(target, shape, next(self._numbers)))
        yield from _add(edit.family, edit.name, edit.layout, edit.elements)


def _ref(family: Family, name: SetName) -> SetRef:
    return SetRef(family.number, TABLE, name)


def _is_leaf(chain: Chain) -> bool:
    """Whether no rule leads to another chain."""
    return chain.hook is None and not any(
        isinstance(line[-1], ByMap | Switch) or (isinstance(line[-1], Verdict) and line[-1].chain)
        for line in chain.rules
    )


def _add(
    family: Family, name: SetName, layout: Layout, elements: Iterable[Element]
) -> Iterator[_Step]:
    target = _ref(family, name)
    for request in nfobjects.add_elements(target, wire_elements(layout, elements)):
        yield _Step(_Phase.ADD_ELEMENT, request)


def _remove(
    family: Family, name: SetName, layout: Layout, elements: Iterable[Element]
) -> Iterator[_Step]:
    target = _ref(family, name)
    for request in nfobjects.delete_elements(target, wire_elements(layout, elements)):
        yield _Step(_Phase.REMOVE_ELEMENT, request)


def _ordered(elements: InterfaceElements) -> list[tuple[SetName, Element]]:
    return sorted(elements, key=lambda one: (one[0], one[1].key))
