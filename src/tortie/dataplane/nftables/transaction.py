"""Edits as the requests of kernel transactions. Pure.

What packets see changes in one transaction (`change`). The order inside is the kernel's demand:
nothing may be deleted while a rule names it, and nothing named before it is there.

To packets in flight a transaction is not quite one step: rules are in force a moment before new
trees of ranges are filled, and a map that goes is empty while packets still are among the old
rules. So such sets are made in a transaction `before`, when nothing asks them yet, and maps go in
one `after`, when no packet can be among the old rules any more. Most changes need neither.

For each set that comes with a rule the kernel walks through all of the batch before it. So one IP
version comes after the other, and the rules that may have such sets come as early as they can.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from enum import IntEnum, auto
from itertools import count
from typing import NamedTuple

from msgspec.structs import replace

from tortie.dataplane.nftables.anonymous import AnonymousSet
from tortie.dataplane.nftables.chains import Chain, constants_of
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
from tortie.dataplane.nftables.names import TABLE, ChainName, SetName, is_run_chain
from tortie.dataplane.nftables.sets import Element, Layout, shape_of, wire_elements
from tortie.dataplane.nftables.terms import ByMap, InSet, Line, Switch, Term, Verdict
from tortie.dataplane.policy.families import FAMILIES, Family
from tortie.linux.netlink import nfobjects
from tortie.linux.netlink.nfnetlink import SetRef
from tortie.linux.netlink.sockets import Request


class _Phase(IntEnum):
    TABLE = auto()
    FLUSH = auto()
    REMOVE_ELEMENT = auto()
    DELETE_SET = auto()
    DELETE_CHAIN = auto()
    NEW_SET = auto()
    LEAF = auto()  # chains that lead to no other, with their rules
    NEW_CHAIN = auto()
    RULE = auto()
    ADD_ELEMENT = auto()


class _Step(NamedTuple):
    phase: _Phase
    request: Request


Mirrors = Mapping[int, TableMirror]  # by IP version


class Stages(NamedTuple):
    """Transactions in order. `undo` takes `before` back if `change` is refused.

    `settle` follows a change that made a set anew: first the set under its own name, then the
    rules that ask it. `after` must wait until no packet is among the old rules.
    """

    before: list[Request]
    undo: list[Request]
    change: list[Request]
    settle: tuple[list[Request], ...]
    after: list[Request]


def staged(edits: Iterable[Edit], mirrors: Mirrors) -> Stages:
    """What to write, against what the mirrors say is there."""
    latest = list(last_of_each(edits))
    numbers = count(1)
    parts = [
        _Stager(family, mirrors[family.version], own, numbers).stages()
        for family in FAMILIES
        if (own := [one for one in latest if one.family is family])
    ]
    return Stages(
        _all(one.before for one in parts),
        _all(one.undo for one in parts),
        _all(one.change for one in parts),
        tuple(_all(pair) for pair in zip(*(one.settle for one in parts), strict=True))
        if any(any(one.settle) for one in parts)
        else (),
        _all(one.after for one in parts),
    )


def _all(parts: Iterable[Sequence[Request]]) -> list[Request]:
    return [request for part in parts for request in part]


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


class _Stager:
    """The stages of one IP version's edits."""

    def __init__(
        self, family: Family, mirror: TableMirror, edits: Sequence[Edit], numbers: Iterator[int]
    ) -> None:
        self._family, self._mirror, self._numbers = family, mirror, numbers
        self._edits = edits
        self._chains = [one.chain for one in edits if isinstance(one, PutChain)]
        needed: dict[SetName, AnonymousSet] = {}
        for chain in self._chains:
            needed |= constants_of(chain)
        self._new = {name: one for name, one in needed.items() if not mirror.uses[name]}
        self._gone = mirror.unused_after(edits)
        self._fades = any(mirror.constants.get(one) for one in self._gone)
        trees = [one for one in edits if isinstance(one, PutSet) and one.layout.is_interval]
        self._grown = [one for one in trees if one.name not in mirror.sets]
        self._anew = [one for one in trees if one.name in mirror.sets]
        self._made = {
            chain.name: chain
            for chain in self._chains
            if any(chain.name in one.chains for one in self._new.values())
            and chain.name not in mirror.chains
        }

    def stages(self) -> Stages:
        """All of them, each in the kernel's order."""
        before, undo = list(self._before()), list(self._undo())
        if before:
            before.insert(0, nfobjects.put_table(self._family.number, TABLE))
        change = [step for edit in self._edits for step in self._changes(edit)]
        after = [step for edit in self._edits if _is_drop(edit) for step in self._drop(edit)]
        after += self._constants_gone()
        if not self._fades:
            change, after = change + after, []
        elif any(isinstance(one, PutSet) and one.name in self._mirror.sets for one in self._edits):
            change += self._let_go()
        return Stages(before, undo, _ordered(change), self._settle(), _ordered(after))

    def _before(self) -> Iterator[Request]:
        """What nothing asks yet."""
        number = self._family.number
        for chain in self._made.values():
            yield nfobjects.put_chain(number, TABLE, chain.name, None)
        for name, made in self._new.items():
            if (
                name in self._mirror.constants
            ):  # nobody uses it, so that anybody may have changed it
                yield nfobjects.delete_set(self._ref(name))
            yield from self._constant(name, made)
        for edit in self._grown:
            yield from self._set(edit.name, edit.layout, edit.elements)
        for edit in self._anew:
            yield from self._set(_interim(edit.name), edit.layout, edit.elements)

    def _undo(self) -> Iterator[Request]:
        for edit in self._anew:
            yield nfobjects.delete_set(self._ref(_interim(edit.name)))
        for name in (*(one.name for one in self._grown), *self._new):
            yield nfobjects.delete_set(self._ref(name))
        for chain in self._made:
            yield nfobjects.delete_chain(self._family.number, TABLE, chain)

    def _changes(self, edit: Edit) -> Iterator[_Step]:
        family = self._family
        match edit:
            case PutTable():
                yield _Step(_Phase.TABLE, nfobjects.put_table(family.number, TABLE))
            case PutChain(_, chain):
                yield from self._put_chain(chain)
            case PutSet():
                yield from self._put_set(edit)
            case EditElements(_, name, layout, added, removed):
                yield from self._remove(name, layout, removed)
                yield from self._add(name, layout, added)
            case EditInterface(_, _, had, wanted):
                for name, element in _by_name(had - wanted):
                    yield from self._remove(name, INTERFACE_SETS[name], (element,))
                for name, element in _by_name(wanted - had):
                    yield from self._add(name, INTERFACE_SETS[name], (element,))
            case DropChain() | DropSet():
                return  # in `_drop`, maybe later

    def _put_chain(self, chain: Chain) -> Iterator[_Step]:
        place = (self._family.number, TABLE, chain.name)
        coming, ruling = (_Phase.LEAF,) * 2 if _is_leaf(chain) else (_Phase.NEW_CHAIN, _Phase.RULE)
        is_there = chain.name in self._mirror.chains
        if is_there:
            yield _Step(_Phase.FLUSH, nfobjects.flush_chain(*place))
            if self._mirror.hooks.get(chain.name) != chain.hook:
                yield _Step(_Phase.DELETE_CHAIN, nfobjects.delete_chain(*place))
                is_there = False
        if not is_there and chain.name not in self._made:
            yield _Step(coming, nfobjects.put_chain(*place, chain.hook))
        interim = {one.name: _interim(one.name) for one in self._anew}
        rules = chain.rules if not interim else [_renamed(one, interim) for one in chain.rules]
        for request in self._rules(chain.name, rules):
            yield _Step(ruling, request)

    def _rules(self, chain: ChainName, lines: Iterable[Line]) -> Iterator[Request]:
        return RuleWriter(self._family.number, TABLE, self._numbers).rules(chain, lines)

    def _put_set(self, edit: PutSet) -> Iterator[_Step]:
        if edit.name in self._mirror.sets:
            yield _Step(_Phase.DELETE_SET, nfobjects.delete_set(self._ref(edit.name)))
        if not edit.layout.is_interval:
            shape = shape_of(edit.layout, self._family)
            made = nfobjects.put_set(self._ref(edit.name), shape, next(self._numbers))
            yield _Step(_Phase.NEW_SET, made)
            yield from self._add(edit.name, edit.layout, edit.elements)

    def _settle(self) -> tuple[list[Request], ...]:
        """Sets made anew get their own names back, in two steps as well."""
        if not self._anew:
            return [], []
        interim = {one.name: _interim(one.name) for one in self._anew}
        again = [one for edit in self._anew for one in self._set(*edit[1:])]
        asking: list[Request] = []
        for chain in self._chains:
            if any(_renamed(line, interim) != line for line in chain.rules):
                asking.append(nfobjects.flush_chain(self._family.number, TABLE, chain.name))
                asking += self._rules(chain.name, chain.rules)
        asking += [nfobjects.delete_set(self._ref(one)) for one in interim.values()]
        return again, asking

    def _drop(self, edit: Edit) -> Iterator[_Step]:
        match edit:
            case DropChain(_, name):
                place = (self._family.number, TABLE, name)
                yield _Step(_Phase.FLUSH, nfobjects.flush_chain(*place))
                yield _Step(_Phase.DELETE_CHAIN, nfobjects.delete_chain(*place))
            case DropSet(_, name):
                yield _Step(_Phase.DELETE_SET, nfobjects.delete_set(self._ref(name)))

    def _let_go(self) -> Iterator[_Step]:
        """A chain that goes later may look into a set that begins anew: its rules go now.

        Not those of a run: to a packet on its way through, all its policies would be gone.
        """
        for edit in self._edits:
            if isinstance(edit, DropChain) and not is_run_chain(edit.name):
                place = (self._family.number, TABLE, edit.name)
                yield _Step(_Phase.FLUSH, nfobjects.flush_chain(*place))

    def _constants_gone(self) -> Iterator[_Step]:
        for name in self._gone:
            yield _Step(_Phase.DELETE_SET, nfobjects.delete_set(self._ref(name)))

    def _constant(self, name: SetName, made: AnonymousSet) -> Iterator[Request]:
        number = next(self._numbers)
        return nfobjects.put_constant(self._ref(name), made.shape, number, made.elements)

    def _set(self, name: SetName, layout: Layout, elements: Iterable[Element]) -> Iterator[Request]:
        target = self._ref(name)
        yield nfobjects.put_set(target, shape_of(layout, self._family), next(self._numbers))
        yield from nfobjects.add_elements(target, wire_elements(layout, elements))

    def _add(self, name: SetName, layout: Layout, elements: Iterable[Element]) -> Iterator[_Step]:
        for request in nfobjects.add_elements(self._ref(name), wire_elements(layout, elements)):
            yield _Step(_Phase.ADD_ELEMENT, request)

    def _remove(
        self, name: SetName, layout: Layout, elements: Iterable[Element]
    ) -> Iterator[_Step]:
        for request in nfobjects.delete_elements(self._ref(name), wire_elements(layout, elements)):
            yield _Step(_Phase.REMOVE_ELEMENT, request)

    def _ref(self, name: SetName) -> SetRef:
        return SetRef(self._family.number, TABLE, name)


def _ordered(steps: Iterable[_Step]) -> list[Request]:
    return [one.request for one in sorted(steps, key=lambda step: step.phase)]


def _is_drop(edit: Edit) -> bool:
    return isinstance(edit, DropChain | DropSet)


def _is_leaf(chain: Chain) -> bool:
    """Whether no rule leads to another chain."""
    return chain.hook is None and not any(
        isinstance(line[-1], ByMap | Switch) or (isinstance(line[-1], Verdict) and line[-1].chain)
        for line in chain.rules
    )


def _interim(name: SetName) -> SetName:
    return SetName(f"cali-new-{name}")


def _renamed(line: Line, names: Mapping[SetName, SetName]) -> Line:
    """The rule as it asks other sets."""
    return tuple(_renamed_term(term, names) for term in line)


def _renamed_term(term: Term, names: Mapping[SetName, SetName]) -> Term:
    if isinstance(term, InSet) and term.name in names:
        return replace(term, name=names[SetName(term.name)])
    return term


def _by_name(elements: InterfaceElements) -> list[tuple[SetName, Element]]:
    return sorted(elements, key=lambda one: (one[0], one[1].key))
