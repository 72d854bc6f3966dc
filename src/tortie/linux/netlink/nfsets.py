"""Sets and maps of nf_tables as the kernel wants them declared, and their elements, as bytes.

From linux/netfilter/nf_tables.h. A key of several fields gives each whole words of four bytes. The
user data are libnftables' notes to itself, without which `nft list` shows some keys wrongly.
"""

from collections.abc import Iterable
from functools import lru_cache
from typing import NamedTuple

from tortie.linux.netlink.nfexpr import Code, verdict
from tortie.linux.netlink.nfnetlink import SetFlag
from tortie.linux.netlink.wire import attribute, be32, nested, u32

_TYPE_BITS = 6
_VERDICT_TYPE, _VERDICT_ROOM = 0xFFFFFF00, 16
_KEY_ORDER, _DATA_ORDER, _DATA_IS_INTERVAL = 0, 1, 6  # kinds of notes
_NEITHER, _HOST, _NETWORK = 0, 1, 2  # byte orders in notes
_END = attribute(3, be32(1))  # the flag of what is not in the set any more
# That the interval has no end: without it `nft list` shows one address where a range up to the last
# address is meant.
_OPEN_NOTE = attribute(6, b"\x01\x04\x01\0\0\0")


class SetShape(NamedTuple):
    """What a set's keys are: (libnftables' type, bytes) of each field, and how it is looked up.

    `is_host_order`: the key is a number in the machine's order, or an interface's name.
    """

    fields: tuple[tuple[int, int], ...]
    is_interval: bool = False
    is_map: bool = False
    is_host_order: bool = False

    @property
    def flags(self) -> SetFlag:
        """Without those of an anonymous set."""
        flags = SetFlag.INTERVAL if self.is_interval else SetFlag(0)
        flags |= SetFlag.MAP if self.is_map else SetFlag(0)
        return flags | SetFlag.CONCAT if self.is_interval and len(self.fields) > 1 else flags

    @property
    def key_type(self) -> int:
        """The types of all fields in one number."""
        number = 0
        for kind, _ in self.fields:
            number = number << _TYPE_BITS | kind
        return number

    @property
    def key_length(self) -> int:
        """Bytes of the whole key."""
        if len(self.fields) == 1:
            return self.fields[0][1]
        return sum(width + -width % 4 for _, width in self.fields)


@lru_cache(maxsize=256)
def declared(shape: SetShape, size: int | None = None) -> bytes:
    """The attributes of a new set that tell its shape; `size`: that of one that never changes."""
    parts = [attribute(4, be32(shape.key_type)), attribute(5, be32(shape.key_length))]
    if shape.is_map:
        parts += [attribute(6, be32(_VERDICT_TYPE)), attribute(7, be32(_VERDICT_ROOM))]
    described = b"" if size is None else attribute(1, be32(size))
    if shape.flags & SetFlag.CONCAT:
        widths = [nested(1, attribute(1, be32(width))) for _, width in shape.fields]
        described += nested(2, *widths)
    if described:
        parts.append(nested(9, described))
    return b"".join((*parts, attribute(13, _notes(shape))))


def _notes(shape: SetShape) -> bytes:
    order = _HOST if shape.is_host_order else _NETWORK
    notes = _note(_KEY_ORDER, order if len(shape.fields) == 1 else _NEITHER)
    if shape.is_map:
        notes += _note(_DATA_ORDER, _NEITHER) + _note(_DATA_IS_INTERVAL, 0)
    return notes


def _note(kind: int, number: int) -> bytes:
    return bytes((kind, 4)) + u32(number)


def verdict_data(code: Code, chain: str = "") -> bytes:
    """The value of a map's element: a verdict."""
    return verdict(2, code, chain)


def point(key: bytes, data: bytes = b"") -> bytes:
    """The element of a hash set or map."""
    if data:
        return nested(1, nested(1, attribute(1, key)), data)
    head, tail = _around(len(key))
    return head + key + tail


@lru_cache(maxsize=64)
def _around(length: int) -> tuple[bytes, bytes]:
    """What stands before and behind a key of this length: sets have very many of one length."""
    whole = nested(1, nested(1, attribute(1, bytes(length))))
    return whole[:12], whole[12 + length :]


def interval(start: bytes, end: bytes | None, data: bytes = b"") -> bytes:
    """The two elements of an interval set from `start` up to before `end`; None = to the last."""
    if end is None:
        return nested(1, nested(1, attribute(1, start)), data, _OPEN_NOTE)
    return point(start, data) + nested(1, nested(1, attribute(1, end)), _END)


def box(first: bytes, last: bytes, data: bytes = b"") -> bytes:
    """The element of a concatenation with ranges: the lowest and the highest key of it."""
    return nested(1, nested(1, attribute(1, first)), nested(10, attribute(1, last)), data)


def grouped(elements: Iterable[bytes], room: int = 60_000) -> Iterable[bytes]:
    """Elements in lists that an attribute's 16-bit length can say."""
    group: list[bytes] = []
    size = 0
    for element in elements:
        if group and size + len(element) > room:
            yield b"".join(group)
            group, size = [], 0
        group.append(element)
        size += len(element)
    if group:
        yield b"".join(group)
