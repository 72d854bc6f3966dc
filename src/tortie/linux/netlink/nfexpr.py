"""The expressions of nf_tables' rules as bytes (linux/netfilter/nf_tables.h, NFTA_…).

A rule is a list of small steps: load something of the packet into a register, compare or look it
up, act. A step that does not hold ends the rule. Attributes' integers are in network order; what
stands in a register, and is compared with it, is bytes in the order in which the kernel loads them,
which the caller knows: nothing here reads the machine's order.
"""

from collections.abc import Sequence
from enum import IntEnum, IntFlag
from functools import lru_cache

from tortie.linux.netlink.wire import attribute, be32, be64, nested, string

VERDICT, FIRST = 0, 1  # registers: the verdict, and the first of those for data
_FIRST_WORD = 8  # register 1, of 16 bytes, is also registers 8 to 11, of 4 bytes each
_WORD = 4
_REMEMBERED = 4096


class Base(IntEnum):
    """What a payload's offset counts from."""

    LINK = 0
    NETWORK = 1
    TRANSPORT = 2


class Meta(IntEnum):
    """NFT_META_…: facts about the packet that are not in it."""

    PRIORITY = 2
    MARK = 3
    INPUT_NAME = 6
    OUTPUT_NAME = 7
    PROTOCOL = 16


class Tracked(IntEnum):
    """NFT_CT_…: facts of its connection."""

    STATE = 0
    DIRECTION = 1
    STATUS = 2
    MARK = 3


class Relation(IntEnum):
    """How a register and a value compare."""

    EQUAL = 0
    UNEQUAL = 1
    AT_MOST = 3
    AT_LEAST = 5


class Code(IntEnum):
    """Verdicts."""

    DROP = 0
    ACCEPT = 1
    JUMP = -3
    GOTO = -4
    RETURN = -5


class NatFlag(IntFlag):
    """NF_NAT_RANGE_…"""

    ADDRESSES = 1
    PORTS = 2
    FULLY_RANDOM = 16


def register_after(register: int, width: int) -> int:
    """The register behind `width` bytes in this one: where the next part of a key is loaded."""
    word = (register - FIRST) * 4 + _FIRST_WORD if register < _FIRST_WORD else register
    word += (width + _WORD - 1) // _WORD
    whole, rest = divmod(word - _FIRST_WORD, 4)
    return word if rest else whole + FIRST


def _expression(name: str, *attributes: bytes) -> bytes:
    data = (nested(2, *attributes),) if attributes else ()
    return nested(1, attribute(1, string(name)), *data)


def _number(kind: int, value: int) -> bytes:
    return attribute(kind, be32(value))


def value(kind: int, data: bytes) -> bytes:
    """An attribute with a value as it stands in a register."""
    return nested(kind, attribute(1, data))


def verdict(kind: int, code: Code, chain: str = "") -> bytes:
    """An attribute with a verdict; JUMP and GOTO name a chain."""
    target = attribute(2, string(chain)) if chain else b""
    return nested(kind, nested(2, attribute(1, int(code).to_bytes(4, signed=True)) + target))


@lru_cache(maxsize=_REMEMBERED)
def load_payload(base: Base, offset: int, width: int, register: int = FIRST) -> bytes:
    """Load bytes of the packet."""
    place = (_number(1, register), _number(2, base), _number(3, offset), _number(4, width))
    return _expression("payload", *place)


def write_payload(
    base: Base, offset: int, width: int, checksum: int | None, register: int = FIRST
) -> bytes:
    """Write bytes of the packet; `checksum`: where the Internet checksum over them stands."""
    place = (_number(2, base), _number(3, offset), _number(4, width), _number(5, register))
    kind, at = (1, checksum) if checksum is not None else (0, 0)
    return _expression("payload", *place, _number(6, kind), _number(7, at), _number(8, 0))


@lru_cache(maxsize=_REMEMBERED)
def load_meta(key: Meta, register: int = FIRST) -> bytes:
    """Load a fact about the packet."""
    return _expression("meta", _number(1, register), _number(2, key))


@lru_cache(maxsize=_REMEMBERED)
def set_meta(key: Meta, register: int = FIRST) -> bytes:
    """Change a fact about the packet."""
    return _expression("meta", _number(2, key), _number(3, register))


@lru_cache(maxsize=_REMEMBERED)
def load_tracked(key: Tracked, register: int = FIRST) -> bytes:
    """Load a fact of the packet's connection."""
    return _expression("ct", _number(1, register), _number(2, key))


@lru_cache(maxsize=_REMEMBERED)
def route_back_exists(register: int = FIRST) -> bytes:
    """Load whether the source has a route by the interface that it came from (fib, present)."""
    output, flags = 1, 1 | 8 | 32  # the route's interface; by source, by interface, as yes or no
    return _expression("fib", _number(1, register), _number(2, output), _number(3, flags))


@lru_cache(maxsize=_REMEMBERED)
def destination_type(register: int = FIRST) -> bytes:
    """Load what the destination is to the node (fib, type): a number of RTN_…"""
    kind, flags = 3, 2  # the kind of address; by destination
    return _expression("fib", _number(1, register), _number(2, kind), _number(3, flags))


@lru_cache(maxsize=_REMEMBERED)
def compare(relation: Relation, data: bytes, register: int = FIRST) -> bytes:
    """Go on if the register and the value stand in this relation."""
    return _expression("cmp", _number(1, register), _number(2, relation), value(3, data))


def outside(first: bytes, last: bytes, register: int = FIRST) -> bytes:
    """Go on if the register is not within the range."""
    ends = (value(3, first), value(4, last))
    return _expression("range", _number(1, register), _number(2, Relation.UNEQUAL), *ends)


@lru_cache(maxsize=_REMEMBERED)
def masked(mask: bytes, flip: bytes | None = None, register: int = FIRST) -> bytes:
    """register = (register & mask) ^ flip."""
    places = (_number(1, register), _number(2, register), _number(3, len(mask)))
    bits = (value(4, mask), value(5, flip if flip is not None else bytes(len(mask))))
    return _expression("bitwise", *places, *bits)


def lookup(
    name: str, set_id: int = 0, *, inverted: int = 0, data: int | None = None, register: int = FIRST
) -> bytes:
    """Go on if the key is in the set (`inverted`: 1 if it is not).

    `set_id` names a set of the same batch; `data` is where a map's value goes, VERDICT too.
    """
    parts = [attribute(1, string(name)), _number(2, register)]
    parts += [_number(3, data)] if data is not None else []
    parts += [_number(4, set_id)] if set_id else []
    return _expression("lookup", *parts, _number(5, inverted))


@lru_cache(maxsize=_REMEMBERED)
def immediate(code: Code, chain: str = "") -> bytes:
    """End the rule with a verdict."""
    return _expression("immediate", _number(1, VERDICT), verdict(2, code, chain))


def load_value(data: bytes, register: int = FIRST) -> bytes:
    """Put a constant into a register."""
    return _expression("immediate", _number(1, register), value(2, data))


COUNTER = _expression("counter", attribute(1, be64(0)), attribute(2, be64(0)))
NOTRACK = _expression("notrack")


def log(prefix: str, level: int | None = None) -> bytes:
    """Write a line to the kernel's log; `level` is syslog's, the kernel's own choice if absent."""
    level_part = (_number(5, level),) if level is not None else ()
    return _expression("log", attribute(2, string(prefix)), *level_part)


def limit(rate: int, seconds: int, burst: int, *, over: int = 0) -> bytes:
    """Go on for so many packets in so many seconds (`over`: 1 for those beyond them)."""
    amounts = (attribute(1, be64(rate)), attribute(2, be64(seconds)), _number(3, burst))
    return _expression("limit", *amounts, _number(4, 0), _number(5, over))


def connections_above(count: int) -> bytes:
    """Go on if there are more connections than these."""
    return _expression("connlimit", _number(1, count), _number(2, 1))


def masquerade(ports: Sequence[int], flags: NatFlag) -> bytes:
    """Take the outgoing interface's address; `ports`: registers of the first and last port."""
    places = [_number(2 + place, register) for place, register in enumerate(ports)]
    return _expression("masq", _number(1, flags), *places)


def nat(
    kind: int, family: int, addresses: Sequence[int], ports: Sequence[int], flags: NatFlag
) -> bytes:
    """Change the source (`kind` 0) or destination (1), to what is in the registers given."""
    places = [_number(3 + place, register) for place, register in enumerate(addresses)]
    places += [_number(5 + place, register) for place, register in enumerate(ports)]
    return _expression("nat", _number(1, kind), _number(2, family), *places, _number(7, flags))


def reject(code: int) -> bytes:
    """Refuse with ICMP's "unreachable" and this code of the table's family."""
    return _expression("reject", _number(1, 0), attribute(2, bytes((code,))))


def reject_by_reset() -> bytes:
    """Refuse a TCP packet with a reset."""
    return _expression("reject", _number(1, 1), attribute(2, bytes(1)))
