"""Many matches with one action as few look-ups. Pure.

All of them lead to the same, so their order is nothing: what counts is which packets any of them
takes. Matches of one shape (the same fields constrained, everything else equal) become one. Where
only one field differs its ranges are united; where several do, the values stand side by side in one
look-up of all these fields. The kernel takes no overlaps, so these are cut away first, where that
is simple; matches for which it is not stay as they are.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import product

from tortie.dataplane.nftables.anonymous import Box, Span
from tortie.dataplane.nftables.conditions import Match, Ranges, joined
from tortie.dataplane.nftables.fields import Field, Form
from tortie.dataplane.nftables.terms import Among, Line

MOST_BOXES = 16_384  # of one look-up: products of long lists are better asked list by list
_BLANK = Span(0, 0)


def united(matches: Iterable[Match]) -> list[Line]:
    """Lines of conditions of which one holds exactly where one of the matches does."""
    shapes: dict[object, list[Match]] = {}
    different = dict.fromkeys(matches)
    if Match() in different:
        return [()]  # it takes all packets
    for one in different:
        shape = (one.rest, tuple(field.text for field, _ in one.ranges))
        shapes.setdefault(shape, []).append(one)
    return [line for alike in shapes.values() for line in _of_one_shape(alike)]


def _of_one_shape(alike: list[Match]) -> Iterator[Line]:
    if len(alike) == 1:
        yield alike[0].line
        return
    rest = alike[0].rest
    columns = [tuple(one.ranges[place] for one in alike) for place in range(len(alike[0].ranges))]
    same = tuple(column[0] for column in columns if len(set(column)) == 1)
    fields = tuple(column[0][0] for column in columns if len(set(column)) > 1)
    rows = [tuple(found for field, found in one.ranges if field in fields) for one in alike]
    if len(fields) == 1:
        (field,) = fields
        whole = joined(span for (found,) in rows for span in found)
        yield Match(_in_order(alike[0], (*same, (field, whole))), rest).line
        return
    boxes = _disjoint(fields, rows)
    if boxes is None:
        yield from (line for part in _pairs(alike) for line in part)
    elif len(boxes) == 1:
        ranges = tuple((field, (span,)) for field, span in zip(fields, boxes[0], strict=True))
        yield Match(_in_order(alike[0], same + ranges), rest).line
    else:
        yield (*Match(same).line, Among(fields, boxes), *rest)


def _in_order(example: Match, ranges: Ranges) -> Ranges:
    """The fields in the order in which a rule names them: the protocol before all others."""
    order = [field for field, _ in example.ranges]
    return tuple(sorted(ranges, key=lambda one: order.index(one[0])))


def _pairs(alike: list[Match]) -> Iterator[list[Line]]:
    """What can't be one look-up: those that differ in one field only, together."""
    by_others: dict[Ranges, list[Match]] = {}
    for one in alike:
        by_others.setdefault(one.ranges[:-1], []).append(one)
    for group in by_others.values():
        yield [group[0].line] if len(group) == 1 else list(_of_one_shape(group))


def _disjoint(
    fields: Sequence[Field], rows: Sequence[tuple[tuple[Span, ...], ...]]
) -> tuple[Box, ...] | None:
    """The rows as boxes that do not overlap; None where that would be many or hard to tell."""
    if sum(_size(row) for row in rows) > MOST_BOXES:
        return None
    boxes = dict.fromkeys(box for row in rows for box in product(*row))
    wide = [
        place
        for place in range(len(fields))
        if any(box[place].first != box[place].last for box in boxes)
    ]
    if not wide:
        return tuple(boxes)
    if len(wide) == 1:
        return _joined_along(wide[0], boxes)
    if len(wide) == 2:
        nets = [place for place in wide if fields[place].form is Form.ADDRESS]
        if len(nets) == 1:
            (other,) = set(wide) - set(nets)
            return _nested(nets[0], other, boxes)
    return None


def _size(row: tuple[tuple[Span, ...], ...]) -> int:
    size = 1
    for found in row:
        size *= len(found)
    return size


def _joined_along(place: int, boxes: Iterable[Box]) -> tuple[Box, ...]:
    """Boxes that are single values but for one field: for equal others, that field's ranges."""
    grouped: dict[Box, list[Span]] = {}
    for box in boxes:
        grouped.setdefault(_replaced(box, {place: _BLANK}), []).append(box[place])
    return tuple(
        _replaced(others, {place: span})
        for others, found in grouped.items()
        for span in joined(found)
    )


def _nested(net: int, other: int, boxes: Iterable[Box]) -> tuple[Box, ...] | None:
    """Boxes wide in an address and in one more field. Nets that overlap are one inside the other:
    the inner one gets only what the outer ones have not. None for ranges that are no nets.
    """
    grouped: dict[Box, dict[Span, list[Span]]] = {}
    for box in boxes:
        others = _replaced(box, {net: _BLANK, other: _BLANK})
        grouped.setdefault(others, {}).setdefault(box[net], []).append(box[other])
    found: list[Box] = []
    for others, nets in grouped.items():
        parts = _inner_parts(nets)
        if parts is None:
            return None
        found += [_replaced(others, {net: span, other: one}) for span, one in parts]
    return tuple(found)


def _inner_parts(nets: Mapping[Span, list[Span]]) -> list[tuple[Span, Span]] | None:
    parts: list[tuple[Span, Span]] = []
    outer: list[tuple[Span, tuple[Span, ...]]] = []  # those around the next, with all they have
    for span in sorted(nets, key=lambda one: (int(one.first), -int(one.last))):
        while outer and int(outer[-1][0].last) < int(span.first):
            outer.pop()
        if outer and int(outer[-1][0].last) < int(span.last):
            return None
        above = outer[-1][1] if outer else ()
        own = _minus(joined(nets[span]), above)
        outer.append((span, joined((*above, *own))))
        parts += [(span, one) for one in own]
    return parts


def _minus(ranges: Sequence[Span], taken: Sequence[Span]) -> tuple[Span, ...]:
    """What of the ranges is in none of those taken. Both in order and disjoint."""
    left: list[Span] = []
    for first, last in ((int(one.first), int(one.last)) for one in ranges):
        start = first
        for one in taken:
            if int(one.last) < start or int(one.first) > last:
                continue
            if int(one.first) > start:
                left.append(Span(start, int(one.first) - 1))
            start = max(start, int(one.last) + 1)
        if start <= last:
            left.append(Span(start, last))
    return tuple(left)


def _replaced(box: Box, changes: Mapping[int, Span]) -> Box:
    return tuple(changes.get(place, span) for place, span in enumerate(box))
