"""Tables, chains, rules and sets of nf_tables as requests of a batch (NFT_MSG_NEW…, NFT_MSG_DEL…).

A batch is one transaction: all of it comes into force, or nothing. Each request is told apart by
its place in the batch, and the kernel names the places of those that it refuses.
"""

from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache

from tortie.linux.netlink import nfsets
from tortie.linux.netlink.nfnetlink import GENERIC, Hook, SetFlag, SetRef
from tortie.linux.netlink.nfsets import SetShape
from tortie.linux.netlink.sockets import Request
from tortie.linux.netlink.wire import (
    NLM_F_APPEND,
    NLM_F_CREATE,
    NLM_F_EXCL,
    attribute,
    be32,
    nested,
    string,
)

_SUBSYSTEM = 10 << 8
_NEW_TABLE, _DELETE_TABLE = _SUBSYSTEM | 0, _SUBSYSTEM | 2
_NEW_CHAIN, _DELETE_CHAIN = _SUBSYSTEM | 3, _SUBSYSTEM | 5
_NEW_RULE, _DELETE_RULE = _SUBSYSTEM | 6, _SUBSYSTEM | 8
_NEW_SET, _DELETE_SET = _SUBSYSTEM | 9, _SUBSYSTEM | 11
_NEW_ELEMENT, _DELETE_ELEMENT = _SUBSYSTEM | 12, _SUBSYSTEM | 14
_BATCH_BEGIN, _BATCH_END = 0x10, 0x11
_RESOURCE = 10
_COMMENT = 0


def transaction(requests: Iterable[Request], generation: int | None = None) -> list[Request]:
    """The requests as one transaction. They must reach the kernel in one system call.

    With `generation` the kernel refuses it (ERESTART) once another transaction has come between.
    """
    edge = GENERIC.pack(0, 0, _RESOURCE)
    expected = attribute(1, be32(generation)) if generation is not None else b""
    begin, end = Request(_BATCH_BEGIN, edge + expected), Request(_BATCH_END, edge)
    return [begin, *requests, end]


def put_table(family: int, table: str, about: object = "") -> Request:
    """Make a table, or wake one that is there."""
    flags = attribute(2, be32(0))
    return _request(_NEW_TABLE, family, attribute(1, string(table)) + flags, NLM_F_CREATE, about)


def delete_table(family: int, table: str) -> Request:
    """Delete a table with all that is in it."""
    return _request(_DELETE_TABLE, family, attribute(1, string(table)), 0, f"table {table}")


def put_chain(family: int, table: str, name: str, hook: Hook | None, about: object = "") -> Request:
    """Make a chain; with a hook, a base chain."""
    parts = [attribute(1, string(table)), attribute(3, string(name))]
    if hook is not None:
        priority = hook.priority.to_bytes(4, signed=True)
        parts.append(nested(4, attribute(1, be32(hook.number)), attribute(2, priority)))
        parts.append(attribute(5, be32(1 if hook.accept else 0)))
        parts.append(attribute(7, string(hook.type)))
    return _request(_NEW_CHAIN, family, b"".join(parts), NLM_F_CREATE, about or f"chain {name}")


def delete_chain(family: int, table: str, name: str, about: object = "") -> Request:
    """Delete an empty chain that nothing names."""
    names = attribute(1, string(table)) + attribute(3, string(name))
    return _request(_DELETE_CHAIN, family, names, 0, about or f"chain {name}")


@lru_cache(maxsize=64)
def _generic(family: int) -> bytes:
    return GENERIC.pack(family, 0, 0)


def rule_place(table: str, chain: str) -> bytes:
    """The attributes that say in which chain a rule is: the same for all of a chain."""
    return attribute(1, string(table)) + attribute(2, string(chain))


def flush_chain(family: int, table: str, name: str, about: object = "") -> Request:
    """Delete all rules of a chain."""
    return _request(_DELETE_RULE, family, rule_place(table, name), 0, about or f"chain {name}")


def add_rule(
    family: int, place: bytes, expressions: Sequence[bytes], comment: str, about: object = ""
) -> Request:
    """Add a rule of built expressions (`nfexpr`) behind those of its chain (`rule_place`)."""
    text = string(comment)
    note = attribute(7, bytes((_COMMENT, len(text))) + text)
    payload = place + nested(4, b"".join(expressions)) + note
    return _request(_NEW_RULE, family, payload, NLM_F_CREATE | NLM_F_APPEND, about)


def put_set(target: SetRef, shape: SetShape, set_id: int, about: object = "") -> Request:
    """Make a named set or map; `set_id` is its number in the batch."""
    names = attribute(1, string(target.table)) + attribute(2, string(target.name))
    rest = _flags(shape) + attribute(10, be32(set_id)) + nfsets.declared(shape)
    return _request(_NEW_SET, target.family, names + rest, NLM_F_CREATE, about or target)


@lru_cache(maxsize=64)
def _flags(shape: SetShape) -> bytes:
    return attribute(3, be32(shape.flags))


def put_constant(
    target: SetRef, shape: SetShape, set_id: int, elements: Sequence[bytes], about: object = ""
) -> Iterator[Request]:
    """Make a named set or map that nobody can change while a rule looks into it."""
    yield from _put_full(target, shape, set_id, elements, SetFlag.CONSTANT, about or target)


def delete_set(target: SetRef, about: object = "") -> Request:
    """Delete a set or map that no rule names."""
    names = attribute(1, string(target.table)) + attribute(2, string(target.name))
    return _request(_DELETE_SET, target.family, names, 0, about or target)


def put_anonymous(
    target: SetRef, shape: SetShape, set_id: int, elements: Sequence[bytes], about: object = ""
) -> Iterator[Request]:
    """Make a set that lives and dies with the one rule that names it, and never changes.

    Its elements name it by its number only: for a name the kernel reads those of all sets.
    """
    kind = SetFlag.ANONYMOUS | SetFlag.CONSTANT
    yield from _put_full(target, shape, set_id, elements, kind, about)


def _put_full(
    target: SetRef,
    shape: SetShape,
    set_id: int,
    elements: Sequence[bytes],
    kind: SetFlag,
    about: object,
) -> Iterator[Request]:
    names = attribute(1, string(target.table)) + attribute(2, string(target.name))
    rest = attribute(3, be32(shape.flags | kind)) + attribute(10, be32(set_id))
    most = 2 * len(elements) if shape.is_interval else len(elements)  # a range has an end, too
    size = nfsets.declared(shape, most)
    flags = NLM_F_CREATE | NLM_F_EXCL
    yield _request(_NEW_SET, target.family, names + rest + size, flags, about)
    numbered = attribute(1, string(target.table)) + attribute(4, be32(set_id))
    for group in nfsets.grouped(elements):
        listed = numbered + nested(3, group)
        yield _request(_NEW_ELEMENT, target.family, listed, NLM_F_CREATE, about)


def add_elements(
    target: SetRef, elements: Iterable[bytes], about: object = ""
) -> Iterator[Request]:
    """Add built elements; one that is there is no error."""
    yield from _elements(_NEW_ELEMENT, NLM_F_CREATE, target, elements, about)


def delete_elements(
    target: SetRef, elements: Iterable[bytes], about: object = ""
) -> Iterator[Request]:
    """Delete built elements; one that is not there fails the batch (ENOENT)."""
    yield from _elements(_DELETE_ELEMENT, 0, target, elements, about)


def _elements(
    kind: int, flags: int, target: SetRef, elements: Iterable[bytes], about: object
) -> Iterator[Request]:
    names = attribute(1, string(target.table)) + attribute(2, string(target.name))
    for group in nfsets.grouped(elements):
        payload = names + nested(3, group)
        yield _request(kind, target.family, payload, flags, about or target)


def _request(kind: int, family: int, attributes: bytes, flags: int, about: object) -> Request:
    return Request(kind, _generic(family) + attributes, flags, about)
