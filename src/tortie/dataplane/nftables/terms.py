"""The terms of a rule as frozen values, each of which says itself in text and in bytes. Pure.

A rule (`Line`) is a tuple of terms: matches, which must all hold, then statements. Text is for
people and for proof: what `nft` makes of it and what the bytes make of the kernel lists the same.
"""

from collections.abc import Iterable
from typing import NamedTuple

from msgspec import Struct

from tortie.dataplane.nftables.anonymous import Box, SetUse, Span, box_text, made_map, made_set
from tortie.dataplane.nftables.fields import MARK, STATE, ByteOrder, Field, Value
from tortie.linux.netlink import nfexpr
from tortie.linux.netlink.nfexpr import FIRST, Code, Relation, register_after

Step = bytes | SetUse  # an expression, or a look-up in a set that comes with the rule
ALL_BITS = 0xFFFFFFFF


class Term(Struct, frozen=True):
    """One part of a rule."""

    def text(self) -> str:
        """In nft's grammar."""
        raise NotImplementedError

    def steps(self, machine: ByteOrder, /) -> tuple[Step, ...]:
        """As expressions; `machine`: the byte order of the kernel that will read them."""
        raise NotImplementedError


Line = tuple[Term, ...]


def line_text(line: Line) -> str:
    """A whole rule in nft's grammar."""
    return " ".join(term.text() for term in line)


def _relation(negated: bool) -> Relation:
    return Relation.UNEQUAL if negated else Relation.EQUAL


class Is(Term, frozen=True):
    """The field has this value."""

    field: Field
    value: Value
    negated: bool = False

    def text(self) -> str:
        sign = "!= " if self.negated else ""
        return f"{self.field.text} {sign}{self.field.shown(self.value)}"

    def steps(self, machine: ByteOrder, /) -> tuple[Step, ...]:
        value = self.field.encode(self.value, machine)
        load = self.field.load(FIRST, self.field.width)
        return (load, nfexpr.compare(_relation(self.negated), value))


class InNet(Term, frozen=True):
    """The address is within a net of `length` bits."""

    field: Field
    address: int
    length: int
    negated: bool = False

    def text(self) -> str:
        sign = "!= " if self.negated else ""
        return f"{self.field.text} {sign}{self.field.shown(self.address)}/{self.length}"

    def steps(self, machine: ByteOrder, /) -> tuple[Step, ...]:
        value, width = self.field.encode(self.address, machine), self.field.width
        relation = _relation(self.negated)
        if self.length % 8 == 0:
            whole = self.length // 8
            return (self.field.load(FIRST, whole), nfexpr.compare(relation, value[:whole]))
        bits = 8 * width
        mask = ((1 << bits) - (1 << bits - self.length)).to_bytes(width)
        load = self.field.load(FIRST, width)
        return (load, nfexpr.masked(mask), nfexpr.compare(relation, value))


class Between(Term, frozen=True):
    """The value is within a range."""

    field: Field
    first: int
    last: int
    negated: bool = False

    def text(self) -> str:
        sign = "!= " if self.negated else ""
        first, last = self.field.shown(self.first), self.field.shown(self.last)
        return f"{self.field.text} {sign}{first}-{last}"

    def steps(self, machine: ByteOrder, /) -> tuple[Step, ...]:
        first, last = (self.field.encode(one, machine) for one in (self.first, self.last))
        load = self.field.load(FIRST, self.field.width)
        if self.negated:
            return (load, nfexpr.outside(first, last))
        least, most = Relation.AT_LEAST, Relation.AT_MOST
        return (load, nfexpr.compare(least, first), nfexpr.compare(most, last))


class Begins(Term, frozen=True):
    """The interface's name begins so."""

    field: Field
    prefix: str
    negated: bool = False

    def text(self) -> str:
        sign = "!= " if self.negated else ""
        return f'{self.field.text} {sign}{self.field.shown(self.prefix)[:-1]}*"'

    def steps(self, machine: ByteOrder, /) -> tuple[Step, ...]:
        beginning = self.field.encode(self.prefix, machine)[: len(self.prefix)]
        load = self.field.load(FIRST, self.field.width)
        return (load, nfexpr.compare(_relation(self.negated), beginning))


class Bits(Term, frozen=True):
    """Of the field's bits under the mask, exactly these are set (`negated`: or else)."""

    field: Field
    mask: int
    value: int = 0
    negated: bool = False

    def text(self) -> str:
        sign = "!=" if self.negated else "=="
        shown = self.field.shown(self.value) if self.value else "0"
        return f"{self.field.text} & {self.field.shown(self.mask)} {sign} {shown}"

    def steps(self, machine: ByteOrder, /) -> tuple[Step, ...]:
        mask, value = (self.field.encode(one, machine) for one in (self.mask, self.value))
        load = self.field.load(FIRST, self.field.width)
        return (load, nfexpr.masked(mask), nfexpr.compare(_relation(self.negated), value))


class InState(Term, frozen=True):
    """The connection's state is one of these bits."""

    states: int

    def text(self) -> str:
        return f"{STATE.text} {STATE.shown(self.states)}"

    def steps(self, machine: ByteOrder, /) -> tuple[Step, ...]:
        return Bits(STATE, self.states, 0, True).steps(machine)


class InSet(Term, frozen=True):
    """The fields together are a member of a named set."""

    fields: tuple[Field, ...]
    name: str
    negated: bool = False

    def text(self) -> str:
        return f"{_joined(self.fields)} {'!= ' if self.negated else ''}@{self.name}"

    def steps(self, _: ByteOrder, /) -> tuple[Step, ...]:
        return (*_loads(self.fields), nfexpr.lookup(self.name, inverted=int(self.negated)))


class ByMap(Term, frozen=True):
    """What a named map says of the fields is the verdict; what it doesn't know goes on."""

    fields: tuple[Field, ...]
    name: str

    def text(self) -> str:
        return f"{_joined(self.fields)} vmap @{self.name}"

    def steps(self, _: ByteOrder, /) -> tuple[Step, ...]:
        return (*_loads(self.fields), nfexpr.lookup(self.name, data=nfexpr.VERDICT))


class Among(Term, frozen=True):
    """The fields together are within one of these boxes, which do not overlap."""

    fields: tuple[Field, ...]
    boxes: tuple[Box, ...]
    negated: bool = False

    def text(self) -> str:
        listed = ", ".join(box_text(self.fields, one) for one in self.boxes)
        return f"{_joined(self.fields)} {'!= ' if self.negated else ''}{{ {listed} }}"

    def steps(self, machine: ByteOrder, /) -> tuple[Step, ...]:
        made = made_set(self.fields, self.boxes, machine)
        return (*_loads(self.fields), SetUse(made, int(self.negated)))


class Verdict(Term, frozen=True):
    """The rule's last word. JUMP and GOTO name a chain."""

    code: Code
    chain: str = ""

    def text(self) -> str:
        return f"{self.code.name.lower()} {self.chain}".rstrip()

    def steps(self, _: ByteOrder, /) -> tuple[Step, ...]:
        return (nfexpr.immediate(self.code, self.chain),)


class Switch(Term, frozen=True):
    """The verdict of the box that the fields are in; in none, the next rule is asked."""

    fields: tuple[Field, ...]
    cases: tuple[tuple[Box, Verdict], ...]

    def text(self) -> str:
        listed = ", ".join(
            f"{box_text(self.fields, box)} : {verdict.text()}" for box, verdict in self.cases
        )
        return f"{_joined(self.fields)} vmap {{ {listed} }}"

    def steps(self, machine: ByteOrder, /) -> tuple[Step, ...]:
        targets = [(box, verdict.code, verdict.chain) for box, verdict in self.cases]
        return (*_loads(self.fields), SetUse(made_map(self.fields, targets, machine)))


class SetMark(Term, frozen=True):
    """mark = (mark & keep) | add."""

    keep: int = ALL_BITS
    add: int = 0

    def text(self) -> str:
        kept = f" & {self.keep:#x}" if self.keep != ALL_BITS else ""
        return f"meta mark set meta mark{kept}" + (f" | {self.add:#x}" if self.add else "")

    def steps(self, machine: ByteOrder, /) -> tuple[Step, ...]:
        mask, flip = MARK.encode(self.keep & ~self.add, machine), MARK.encode(self.add, machine)
        load = MARK.load(FIRST, MARK.width)
        return (load, nfexpr.masked(mask, flip), nfexpr.set_meta(nfexpr.Meta.MARK))


class Fixed(NamedTuple):
    """A statement without parts: its text and its expression."""

    words: str
    expression: bytes


class Statement(Term, frozen=True):
    """A statement that is always the same."""

    fixed: Fixed

    def text(self) -> str:
        return self.fixed.words

    def steps(self, _: ByteOrder, /) -> tuple[Step, ...]:
        return (self.fixed.expression,)


COUNTER = Statement(Fixed("counter", nfexpr.COUNTER))
NOTRACK = Statement(Fixed("notrack", nfexpr.NOTRACK))
ACCEPT, DROP, RETURN = Verdict(Code.ACCEPT), Verdict(Code.DROP), Verdict(Code.RETURN)


def jump(chain: str) -> Verdict:
    """Ask another chain and come back."""
    return Verdict(Code.JUMP, chain)


def goto(chain: str) -> Verdict:
    """Ask another chain instead of the rest of this one."""
    return Verdict(Code.GOTO, chain)


def spans(values: Iterable[int]) -> tuple[Box, ...]:
    """Single values as boxes of one field."""
    return tuple((Span(one, one),) for one in values)


def _joined(fields: tuple[Field, ...]) -> str:
    return " . ".join(field.text for field in fields)


def _loads(fields: tuple[Field, ...]) -> tuple[bytes, ...]:
    loads, register = [], FIRST
    for field in fields:
        loads.append(field.load(register, field.width))
        register = register_after(register, field.width)
    return tuple(loads)
