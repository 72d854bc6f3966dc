"""Routing rules as rtnetlink messages (linux/fib_rules.h)."""

import struct

from msgspec import Struct

from tortie.linux.netlink.rtfamily import (
    FAMILY,
    VERSION,
    address_bytes,
    fields,
    read_address,
)
from tortie.linux.netlink.wire import (
    MalformedMessage,
    attribute,
    attribute_map,
    read_u8,
    read_u32,
    u8,
    u32,
)
from tortie.net import Prefix

RTM_NEWRULE, RTM_DELRULE, RTM_GETRULE = 32, 33, 34

_HEADER = struct.Struct("=BBBBBxxBI")
_TO_TABLE, _INVERT = 1, 2  # FR_ACT_TO_TBL, FIB_RULE_INVERT
_SOURCE, _PRIORITY, _MARK, _TABLE, _MASK, _PROTOCOL = 2, 6, 10, 15, 16, 21  # FRA_…


class Rule(Struct, frozen=True):
    """Packets that match are looked up in a table; the rules are asked by rising priority.

    `mark` is compared under `mask`, where that is not 0. `inverted`: those that do not match.
    `protocol` says who made the rule, as of routes; `source` is what packets come from.
    """

    version: int
    priority: int
    table: int
    mark: int = 0
    mask: int = 0
    inverted: bool = False
    protocol: int = 0
    source: Prefix | None = None


def build_rule(rule: Rule) -> bytes:
    """The payload of RTM_NEWRULE or RTM_DELRULE."""
    table = rule.table if rule.table < 256 else 0
    flags = _INVERT if rule.inverted else 0
    length = rule.source.length if rule.source is not None else 0
    parts = [
        _HEADER.pack(FAMILY[rule.version], 0, length, 0, table, _TO_TABLE, flags),
        attribute(_PRIORITY, u32(rule.priority)),
        attribute(_TABLE, u32(rule.table)),
    ]
    if rule.source is not None:
        parts.append(attribute(_SOURCE, address_bytes(rule.source)))
    if rule.mask:
        parts += [attribute(_MARK, u32(rule.mark)), attribute(_MASK, u32(rule.mask))]
    if rule.protocol:
        parts.append(attribute(_PROTOCOL, u8(rule.protocol)))
    return b"".join(parts)


def _source(version: int, found: dict[int, bytes], length: int) -> Prefix | None:
    value = found.get(_SOURCE)
    return Prefix(version, read_address(value).address, length) if value and length else None


def build_rule_query(version: int) -> bytes:
    """The payload of a dump of one family's rules."""
    return _HEADER.pack(FAMILY[version], 0, 0, 0, 0, 0, 0)


def parse_rule(payload: bytes) -> Rule:
    """Read the payload of RTM_NEWRULE or RTM_DELRULE. Raises MalformedMessage."""
    family, _, length, _, table, _, flags = fields(_HEADER, payload, "a rule")
    version = VERSION.get(family)
    if version is None:
        raise MalformedMessage(f"a rule of family {family}")
    found = attribute_map(payload, _HEADER.size)

    def number(kind: int) -> int:
        return read_u32(found[kind]) if kind in found else 0

    return Rule(
        version,
        number(_PRIORITY),
        number(_TABLE) or table,
        number(_MARK),
        number(_MASK),
        bool(flags & _INVERT),
        read_u8(found[_PROTOCOL]) if _PROTOCOL in found else 0,
        _source(version, found, length),
    )
