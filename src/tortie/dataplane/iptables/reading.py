"""What `iptables-save` and `ipset save` print, as mirrors. Pure."""

import re
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from tortie.dataplane.iptables.edits import Mirror
from tortie.dataplane.iptables.names import CHAIN_PREFIX, ChainName, SetName, is_own_set
from tortie.dataplane.iptables.sets import Element, SetType, found_element, type_of

_COMMENT = re.compile(r'--comment "?(cali:[A-Za-z0-9_-]+)"?(?= |$)')
_ROOM = re.compile(r"(?:^| )maxelem ([0-9]+)(?= |$)")
_TO_US = re.compile(r"(?:^| )-[jg] cali-")


class SetSnapshot(NamedTuple):
    """The sets that are ours by name: their types (None: not one of ours), their elements, and how
    many of these each has room for.
    """

    types: Mapping[SetName, SetType | None]
    elements: Mapping[SetName, frozenset[Element]]
    rooms: Mapping[SetName, int]


class _Rule(NamedTuple):
    table: str
    chain: str
    text: str  # what follows the chain's name


def read_tables(saved: str, mirror: Mirror) -> None:
    """Take the chains and jumps of `iptables-save` into a mirror."""
    comments: dict[tuple[str, ChainName], list[str]] = {}
    for line in _lines(saved):
        if not isinstance(line, _Rule):
            comments.setdefault((line[0], ChainName(line[1])), [])
        elif line.chain.startswith(CHAIN_PREFIX):
            found = _COMMENT.search(line.text)
            key = (line.table, ChainName(line.chain))
            comments.setdefault(key, []).append(found[1] if found else "")
        else:
            _note_foreign(line, mirror)
    mirror.chains = {key: tuple(found) for key, found in comments.items()}


def _lines(saved: str) -> Iterator[_Rule | tuple[str, str]]:
    """Each rule, and each (table, chain) of ours."""
    table = ""
    for line in saved.splitlines():
        if line.startswith("*"):
            table = line[1:]
        elif line.startswith(f":{CHAIN_PREFIX}"):
            yield table, line[1:].split(" ", 1)[0]
        elif line.startswith("-A "):
            chain, _, text = line[3:].partition(" ")
            yield _Rule(table, chain, text)


def _note_foreign(rule: _Rule, mirror: Mirror) -> None:
    place = (rule.table, rule.chain)
    mirror.first.setdefault(place, rule.text)
    mirror.last[place] = rule.text
    if _TO_US.search(rule.text):
        mirror.jumps.setdefault(place, []).append(rule.text)


def read_sets(saved: str) -> SetSnapshot:
    """The sets of `ipset save` that are ours."""
    types: dict[SetName, SetType | None] = {}
    elements: dict[SetName, set[Element]] = {}
    rooms: dict[SetName, int] = {}
    for line in saved.splitlines():
        command, _, rest = line.partition(" ")
        name, _, tail = rest.partition(" ")
        if not is_own_set(name):
            continue
        if command == "create":
            types[SetName(name)] = type_of(tail.split(), int(name[4]))
            elements[SetName(name)] = set()
            if room := _ROOM.search(tail):
                rooms[SetName(name)] = int(room[1])
        elif command == "add" and (kind := types.get(SetName(name))) is not None:
            elements[SetName(name)].add(found_element(kind, tail))
    return SetSnapshot(types, {name: frozenset(found) for name, found in elements.items()}, rooms)


def count_foreign_rules(saved: str) -> int:
    """How many rules of `iptables-save` are not ours."""
    return sum(
        isinstance(line, _Rule)
        and not line.chain.startswith(CHAIN_PREFIX)
        and not _TO_US.search(line.text)
        for line in _lines(saved)
    )
