"""Which packets a policy can concern at all, as far as ports or the other end's address tell. Pure.

An endpoint with a thousand policies should not ask each of them about each packet. Where no packet
can concern two neighbouring policies, one look-up tells which one to ask.

A reach is a list of ranges of one number, so that two are compared alike: addresses as they are,
and ports with their protocol before them.
"""

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from enum import Enum
from itertools import product
from typing import NamedTuple

from tortie.dataplane.nftables import fields
from tortie.dataplane.nftables.anonymous import Box, Span
from tortie.dataplane.nftables.conditions import Match, joined, matches
from tortie.dataplane.nftables.fields import Field
from tortie.dataplane.policy.families import Family
from tortie.dataplane.policy.names import Way
from tortie.policy.program import Rule

_PORT_BITS = 16
_FEW = 4  # so many policies are asked faster one by one


class Dimension(Enum):
    """By what policies are told apart."""

    PORT = "protocol and destination port"
    PEER = "the other end's address"

    def fields(self, way: Way, family: Family) -> tuple[Field, ...]:
        """What a look-up loads."""
        if self is Dimension.PORT:
            return (fields.PROTOCOL, fields.DESTINATION_PORT)
        ends = fields.SOURCE if way is Way.TO else fields.DESTINATION
        return (ends[family.version],)

    def box(self, span: Span) -> Box:
        """A range of the one number as ranges of the fields."""
        if self is Dimension.PEER:
            return (span,)
        first, last = int(span.first), int(span.last)
        protocol, low = first >> _PORT_BITS, (1 << _PORT_BITS) - 1
        return (Span(protocol, protocol), Span(first & low, last & low))


class Reach(NamedTuple):
    """A policy's ranges in each dimension, None where it is not confined to any."""

    ports: tuple[Span, ...] | None = ()
    peers: tuple[Span, ...] | None = ()

    @property
    def is_empty(self) -> bool:
        """Whether it concerns no packet."""
        return self.ports == () and self.peers == ()

    def of(self, dimension: Dimension) -> tuple[Span, ...] | None:
        """The ranges in one dimension."""
        return self.ports if dimension is Dimension.PORT else self.peers


def reach_of(rules: Iterable[Rule], way: Way, family: Family) -> Reach:
    """What all rules together reach."""
    found = [one for rule in rules for one in matches(rule, family, disjoint=False)]
    peer = Dimension.PEER.fields(way, family)[0]
    ports, peers = _united(map(_ports, found)), _united(_within(one, peer) for one in found)
    return Reach(
        None if ports is None else _joined_ports(ports), None if peers is None else joined(peers)
    )


def _united(each: Iterable[tuple[Span, ...] | None]) -> list[Span] | None:
    whole: list[Span] = []
    for one in each:
        if one is None:
            return None
        whole += one
    return whole


def _joined_ports(spans: Iterable[Span]) -> tuple[Span, ...]:
    """Ranges of ports do not run on from one protocol to the next."""
    grouped: dict[int, list[Span]] = {}
    for one in spans:
        grouped.setdefault(int(one.first) >> _PORT_BITS, []).append(one)
    return tuple(span for group in grouped.values() for span in joined(group))


def _within(match: Match, field: Field) -> tuple[Span, ...] | None:
    return next((spans for one, spans in match.ranges if one is field), None)


def _ports(match: Match) -> tuple[Span, ...] | None:
    """Only what asks for a port itself: a packet too short to have one is not told by ports."""
    protocols = _within(match, fields.PROTOCOL)
    ports = _within(match, fields.DESTINATION_PORT)
    if protocols is None or ports is None:
        return None
    found = []
    for protocol, port in product(protocols, ports):
        high = int(protocol.first) << _PORT_BITS
        found.append(Span(high | int(port.first), high | int(port.last)))
    return tuple(found)


class Block(NamedTuple):
    """Neighbouring policies, by their places: of several no packet concerns more than one.

    `dimension` is None for one that is asked about every packet.
    """

    places: tuple[int, ...]
    dimension: Dimension | None = None


def blocks(reaches: Sequence[Reach]) -> list[Block]:
    """The policies in order, as few blocks as going forward gives; those without reach left out."""
    places = [place for place, reach in enumerate(reaches) if not reach.is_empty]
    found: list[Block] = []
    at = 0
    while at < len(places):
        lengths = {one: _apart(reaches, places[at:], one) for one in Dimension}
        dimension = max(lengths, key=lengths.__getitem__)
        if lengths[dimension] < _FEW:
            found.append(Block((places[at],)))
            at += 1
        else:
            found.append(Block(tuple(places[at : at + lengths[dimension]]), dimension))
            at += lengths[dimension]
    return found


def _apart(reaches: Sequence[Reach], places: Sequence[int], dimension: Dimension) -> int:
    """How many from the first on have nothing in common."""
    taken = _Taken()
    for count, place in enumerate(places):
        spans = reaches[place].of(dimension)
        if spans is None or not taken.take(spans):
            return count
    return len(places)


class _Taken:
    """Disjoint ranges in order."""

    def __init__(self) -> None:
        self._firsts: list[int] = []
        self._lasts: list[int] = []

    def take(self, spans: Iterable[Span]) -> bool:
        """Add ranges, disjoint among themselves, if none of them is taken in part."""
        found = [(int(one.first), int(one.last)) for one in spans]
        if any(self._meets(first, last) for first, last in found):
            return False
        for first, last in found:
            place = bisect_right(self._firsts, first)
            self._firsts.insert(place, first)
            self._lasts.insert(place, last)
        return True

    def _meets(self, first: int, last: int) -> bool:
        place = bisect_right(self._firsts, last)
        return place > 0 and self._lasts[place - 1] >= first
