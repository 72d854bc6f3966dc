"""nf_tables over netlink: dumps of what a table holds (linux/netfilter/nf_tables.h, nfnetlink.h).

Rules are known by their comments; what they say is passed over. `nfobjects` writes them.
"""

import struct
from collections.abc import Iterator
from enum import IntEnum, IntFlag
from typing import NamedTuple

from tortie.linux.netlink.sockets import Request
from tortie.linux.netlink.wire import (
    Message,
    attribute,
    attribute_map,
    parse_attributes,
    read_be,
    read_string,
    string,
)

_SUBSYSTEM = 10 << 8
GENERIC = struct.Struct("!BBH")  # nfgenmsg: family, version 0, resource
_HEADER = GENERIC.size

FAMILY_IP, FAMILY_IP6 = 2, 10


class Command(IntEnum):
    """NFT_MSG_…"""

    GET_TABLE = 1
    GET_CHAIN = 4
    GET_RULE = 7
    GET_SET = 10
    GET_ELEMENT = 13
    GET_GENERATION = 16


class SetFlag(IntFlag):
    """NFT_SET_…"""

    ANONYMOUS = 0x1
    CONSTANT = 0x2
    INTERVAL = 0x4
    MAP = 0x8
    CONCAT = 0x80


class SetRef(NamedTuple):
    """Which set or map: family (FAMILY_IP or FAMILY_IP6), table, name."""

    family: int
    table: str
    name: str

    def __str__(self) -> str:
        return (
            f"set {self.name} of table {'ip6' if self.family == FAMILY_IP6 else 'ip'} {self.table}"
        )


class Table(NamedTuple):
    """One table. `flags`: 1 is dormant, 2 owned by a process."""

    name: str
    flags: int


class Hook(NamedTuple):
    """Where a base chain is attached: its type, the hook's number, priority, default verdict."""

    type: str
    number: int
    priority: int
    accept: bool


class Chain(NamedTuple):
    """One chain; `hook` is None unless it is a base chain."""

    table: str
    name: str
    hook: Hook | None


class Rule(NamedTuple):
    """One rule, in the order of its chain: only its comment, "" without one."""

    table: str
    chain: str
    handle: int
    comment: str


class Set(NamedTuple):
    """One named or anonymous set or map. Types are libnftables' numbers, lengths are bytes.

    `size` is the number of elements, None from a kernel that does not say.
    """

    table: str
    name: str
    flags: SetFlag
    key_type: int
    key_length: int
    data_type: int
    size: int | None


class Element(NamedTuple):
    """One element: a key; in a concatenation of intervals also the last key of the range.

    `is_end` marks the end (exclusive) of an interval that began at an earlier key. `chain` is where
    a verdict map's element jumps.
    """

    key: bytes
    is_end: bool = False
    last_key: bytes = b""
    chain: str = ""


def get_tables(family: int) -> Request:
    """Dump the tables of a family."""
    return _get(Command.GET_TABLE, family, about="reading tables")


def get_chains(family: int) -> Request:
    """Dump the chains of a family (the kernel knows no filter by table)."""
    return _get(Command.GET_CHAIN, family, about="reading chains")


def get_rules(family: int, table: str) -> Request:
    """Dump a table's rules."""
    return _get(Command.GET_RULE, family, attribute(1, string(table)), f"reading rules of {table}")


def get_sets(family: int, table: str) -> Request:
    """Dump a table's sets and maps, anonymous ones too."""
    return _get(Command.GET_SET, family, attribute(1, string(table)), f"reading sets of {table}")


def get_elements(target: SetRef) -> Request:
    """Dump one set's elements."""
    names = attribute(1, string(target.table)) + attribute(2, string(target.name))
    return _get(Command.GET_ELEMENT, target.family, names, target)


def get_generation() -> Request:
    """Ask for the generation: it counts the transactions of this namespace."""
    return _get(Command.GET_GENERATION, 0, about="reading the generation")


def _get(command: Command, family: int, attributes: bytes = b"", about: object = "") -> Request:
    return Request(_SUBSYSTEM | command, GENERIC.pack(family, 0, 0) + attributes, 0, about)


def parse_generation(message: Message) -> int:
    """The generation in an answer to `get_generation`."""
    return read_be(attribute_map(message.payload, _HEADER).get(1, b""))


def parse_table(message: Message) -> Table:
    """One table of a dump."""
    found = attribute_map(message.payload, _HEADER)
    return Table(read_string(found.get(1, b"")), read_be(found.get(2, b"")))


def parse_chain(message: Message) -> Chain:
    """One chain of a dump."""
    found = attribute_map(message.payload, _HEADER)
    hook = _parse_hook(found) if 4 in found else None
    return Chain(read_string(found.get(1, b"")), read_string(found.get(3, b"")), hook)


def _parse_hook(found: dict[int, bytes]) -> Hook:
    place = attribute_map(found[4])
    priority = int.from_bytes(place.get(2, b""), signed=True)
    accept = read_be(found.get(5, b"")) == 1
    return Hook(read_string(found.get(7, b"")), read_be(place.get(1, b"")), priority, accept)


def parse_rule(message: Message) -> Rule:
    """One rule of a dump; its expressions are passed over."""
    found = attribute_map(message.payload, _HEADER)
    return Rule(
        read_string(found.get(1, b"")),
        read_string(found.get(2, b"")),
        read_be(found.get(3, b"")),
        _comment(found.get(7, b"")),
    )


def _comment(userdata: bytes) -> str:
    """The comment in a rule's user data: libnftables' list of type, length, value, type 0."""
    place = 0
    while place + 2 <= len(userdata):
        kind, length = userdata[place], userdata[place + 1]
        if kind == 0:
            return read_string(userdata[place + 2 : place + 2 + length])
        place += 2 + length
    return ""


def parse_set(message: Message) -> Set:
    """One set of a dump."""
    found = attribute_map(message.payload, _HEADER)
    return Set(
        read_string(found.get(1, b"")),
        read_string(found.get(2, b"")),
        SetFlag(read_be(found.get(3, b""))),
        read_be(found.get(4, b"")),
        read_be(found.get(5, b"")),
        read_be(found.get(6, b"")),
        read_be(found[20]) if 20 in found else None,
    )


def parse_elements(message: Message) -> Iterator[Element]:
    """The elements in one message of a dump (many a message)."""
    elements = attribute_map(message.payload, _HEADER).get(3, b"")
    for _, element in parse_attributes(elements):
        yield _parse_element(attribute_map(element))


def _parse_element(found: dict[int, bytes]) -> Element:
    last_key = _value(found[10]) if 10 in found else b""
    chain = _verdict_chain(found[2]) if 2 in found else ""
    return Element(_value(found.get(1, b"")), bool(read_be(found.get(3, b"")) & 1), last_key, chain)


def _value(data: bytes) -> bytes:
    return attribute_map(data).get(1, b"")


def _verdict_chain(data: bytes) -> str:
    verdict = attribute_map(attribute_map(data).get(2, b""))
    return read_string(verdict.get(2, b""))
