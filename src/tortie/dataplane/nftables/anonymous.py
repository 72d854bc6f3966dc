"""Sets and maps of constants that rules look into. Pure.

A hash table comes and goes with the rule that looks into it. What holds ranges, and maps, must be
there before the rule and stay until after it: the kernel puts rules into force before it has filled
new trees of ranges, and empties maps that go while packets still are among the old rules. So these
have names: a hash of what they hold, which never changes.

A box is a range of values for each field of the key. Boxes of single values make a hash table,
ranges of one field a tree, ranges of several a table of ranges; the kernel takes none that overlap.
"""

from base64 import urlsafe_b64encode
from collections.abc import Iterable, Sequence
from hashlib import blake2b
from typing import NamedTuple

from tortie.dataplane.nftables.fields import ByteOrder, Field, Form, Value
from tortie.dataplane.nftables.names import SetName
from tortie.linux.netlink import nfsets
from tortie.linux.netlink.nfexpr import Code
from tortie.linux.netlink.nfsets import SetShape

CONSTANT = "cali-c-_"  # what the names of lasting sets begin with
_REGISTER_WORD = 4


class Span(NamedTuple):
    """All values from the first to the last; a name is its own range."""

    first: Value
    last: Value


Box = tuple[Span, ...]
Target = tuple[Box, Code, str]  # what is in the box gets this verdict, at this chain


class AnonymousSet(NamedTuple):
    """A set's shape and its built elements; of a map also the chains that it leads to."""

    shape: SetShape
    elements: tuple[bytes, ...]
    chains: frozenset[str] = frozenset()

    @property
    def is_lasting(self) -> bool:
        """Whether it has to be there before the rule and after it."""
        return self.shape.is_interval or self.shape.is_map

    @property
    def name(self) -> SetName:
        """cali-c-_<hash>: of a set that lasts."""
        digest = blake2b(repr(self.shape).encode(), digest_size=18)
        for one in self.elements:
            digest.update(one)
        return SetName(CONSTANT + urlsafe_b64encode(digest.digest()).decode())


class SetUse(NamedTuple):
    """A look-up in a set that has no name before the kernel gives it one."""

    made: AnonymousSet
    inverted: int = 0


def made_set(fields: Sequence[Field], boxes: Iterable[Box], machine: ByteOrder) -> AnonymousSet:
    """The set of these boxes."""
    return _made(fields, [(box, b"") for box in boxes], machine, is_map=False)


def made_map(
    fields: Sequence[Field], targets: Iterable[Target], machine: ByteOrder
) -> AnonymousSet:
    """The map of these boxes to verdicts."""
    listed = list(targets)
    cases = [(box, nfsets.verdict_data(code, chain)) for box, code, chain in listed]
    chains = frozenset(chain for _, _, chain in listed if chain)
    return _made(fields, cases, machine, is_map=True)._replace(chains=chains)


def _made(
    fields: Sequence[Field], cases: Sequence[tuple[Box, bytes]], machine: ByteOrder, *, is_map: bool
) -> AnonymousSet:
    is_interval = any(span.first != span.last for box, _ in cases for span in box)
    shape = SetShape(
        tuple((field.type, field.width) for field in fields),
        is_interval=is_interval,
        is_map=is_map,
        is_host_order=fields[0].is_host or fields[0].form is Form.NAME,
    )
    elements = (_element(fields, box, data, is_interval, machine) for box, data in cases)
    return AnonymousSet(shape, tuple(elements))


def _element(
    fields: Sequence[Field], box: Box, data: bytes, is_interval: bool, machine: ByteOrder
) -> bytes:
    first = _key(fields, [span.first for span in box], machine)
    if not is_interval:
        return nfsets.point(first, data)
    last = _key(fields, [span.last for span in box], machine)
    if len(fields) > 1:
        return nfsets.box(first, last, data)
    return nfsets.interval(first, _after(last), data)


def _after(key: bytes) -> bytes | None:
    following = int.from_bytes(key) + 1
    return None if following >> 8 * len(key) else following.to_bytes(len(key))


def _key(fields: Sequence[Field], values: Sequence[Value], machine: ByteOrder) -> bytes:
    """Of several fields each takes whole registers; a field alone takes its own bytes."""
    parts = [field.encode(one, machine) for field, one in zip(fields, values, strict=True)]
    if len(parts) == 1:
        return parts[0]
    return b"".join(part + bytes(-len(part) % _REGISTER_WORD) for part in parts)


def box_text(fields: Sequence[Field], box: Box) -> str:
    """A box in nft's grammar."""
    return " . ".join(_span_text(field, span) for field, span in zip(fields, box, strict=True))


def _span_text(field: Field, span: Span) -> str:
    first, last = span
    if first == last:
        return field.shown(first)
    if field.form is Form.ADDRESS and isinstance(first, int) and isinstance(last, int):
        size = last - first + 1
        if not size & size - 1 and not first % size:
            return f"{field.shown(first)}/{8 * field.width + 1 - size.bit_length()}"
    return f"{field.shown(first)}-{field.shown(last)}"
