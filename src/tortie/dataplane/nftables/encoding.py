"""Rules as the bytes of a batch, and what tells one rule from another in the kernel. Pure.

A rule that was written is known again by its comment, a hash of its bytes: so a restart adopts what
is there, and what another version of this program would write otherwise is written anew.
"""

from base64 import urlsafe_b64encode
from collections.abc import Iterable, Iterator
from functools import lru_cache
from hashlib import blake2b
from itertools import count
from typing import NamedTuple

from tortie.dataplane.nftables.anonymous import AnonymousSet, SetUse
from tortie.dataplane.nftables.fields import MACHINE, ByteOrder
from tortie.dataplane.nftables.terms import Line, Step, Term, line_text
from tortie.linux.netlink import nfexpr, nfobjects
from tortie.linux.netlink.nfnetlink import SetRef
from tortie.linux.netlink.sockets import Request

_REMEMBERED = 16_384
_KEPT = 1024


class Encoded(NamedTuple):
    """A rule's expressions, with look-ups in sets of its own between them; its comment; the sets of
    constants that must be there before it.
    """

    steps: tuple[Step, ...]
    comment: str
    constants: tuple[AnonymousSet, ...] = ()


@lru_cache(maxsize=_REMEMBERED)
def encoded(line: Line, machine: ByteOrder = MACHINE) -> Encoded:
    """The rule in bytes. Neighbouring expressions are joined: fewer pieces to write."""
    steps: list[Step] = []
    constants: list[AnonymousSet] = []
    joined: list[bytes] = []
    for term in line:
        for step in _steps(term, machine):
            if isinstance(step, bytes):
                joined.append(step)
            elif step.made.is_lasting:
                constants.append(step.made)
                joined.append(_lookup(step, 0, step.made.name))
            else:
                steps += [b"".join(joined), step]
                joined = []
    steps.append(b"".join(joined))
    return Encoded(tuple(steps), f"cali:{_digest(steps)}", tuple(constants))


@lru_cache(maxsize=_REMEMBERED)
def _steps(term: Term, machine: ByteOrder) -> tuple[Step, ...]:
    """Most terms stand in very many rules."""
    return term.steps(machine)


def _digest(steps: Iterable[Step]) -> str:
    digest = blake2b(digest_size=12)
    for step in steps:
        if isinstance(step, bytes):
            digest.update(step)
        else:
            digest.update(repr((step.made.shape, step.inverted)).encode())
            digest.update(b"".join(step.made.elements))
    return urlsafe_b64encode(digest.digest()).decode()


def forget_many() -> None:
    """Let go of what one large write needed again and again; a small one's is kept for the next."""
    for cache in (encoded, _steps):
        if cache.cache_info().currsize > _KEPT:
            cache.cache_clear()


class RuleRef(NamedTuple):
    """What a request is about, for errors: the rule's text is only made when it is asked for."""

    chain: str
    line: Line

    def __str__(self) -> str:
        return f"rule {line_text(self.line)!r} of chain {self.chain}"


class RuleWriter:
    """Rules of one table into one batch: sets that come with rules need numbers of the batch."""

    def __init__(self, family: int, table: str, numbers: Iterator[int] | None = None) -> None:
        self._family, self._table = family, table
        self._numbers = numbers or count(1)

    def rules(self, chain: str, lines: Iterable[Line]) -> Iterator[Request]:
        """The requests that add the rules to the chain, each behind those of its own sets."""
        place = nfobjects.rule_place(self._table, chain)
        names = (f"__{chain}-{number}" for number in count(1))
        for line in lines:
            steps, comment, _ = encoded(line)
            about = RuleRef(chain, line)
            expressions = []
            for step in steps:
                if isinstance(step, bytes):
                    expressions.append(step)
                else:
                    number, name = next(self._numbers), next(names)
                    yield from self._made(step, number, name, about)
                    expressions.append(_lookup(step, number, name))
            yield nfobjects.add_rule(self._family, place, expressions, comment, about)

    def _made(self, use: SetUse, number: int, name: str, about: object) -> Iterator[Request]:
        """A name of ours, which no other set can have: to choose one the kernel reads all names."""
        target = SetRef(self._family, self._table, name)
        made = use.made
        return nfobjects.put_anonymous(target, made.shape, number, made.elements, about)


def _lookup(use: SetUse, number: int, name: str) -> bytes:
    data = nfexpr.VERDICT if use.made.shape.is_map else None
    return nfexpr.lookup(name, number, inverted=use.inverted, data=data)
