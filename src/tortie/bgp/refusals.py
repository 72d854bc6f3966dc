"""What of a picture BIRD's parser refuses, when it refuses the whole: that alone is left out.

Nothing is known that comes to this: what is made of resources is checked before. But were it so,
one BGPPeer would stop all of a node's changes. The parser's line is seldom that of the fault; so it
is asked about halves.
"""

from collections.abc import Awaitable, Callable, Sequence
from typing import NamedTuple, TypeVar

from msgspec.structs import replace

from tortie.bgp.picture import Filter, Picture, Problem, Session
from tortie.bgp.text import bird_text

_MOST = 16  # left out at once; more is no fault of single ones

_Part = TypeVar("_Part", Filter, Session)
Render = Callable[[Picture], str]
Check = Callable[[str], Awaitable[str]]
"""The parser's words against a text; "" if it takes it."""
_Refuse = Callable[[Picture], Awaitable[str]]


class Refused(Exception):
    """BIRD's parser refuses a configuration; the message has its words."""


class Accepted(NamedTuple):
    """What of a picture the parser takes, and what it does not."""

    picture: Picture
    problems: tuple[Problem, ...]


async def accepted_part(picture: Picture, check: Check, render: Render = bird_text) -> Accepted:
    """Filters that are refused let nothing pass; sessions that are refused are left out.

    Raises Refused where it is neither.
    """

    async def refuse(some: Picture) -> str:
        return await check(render(some))

    rest = replace(picture, sessions=(), filters=())
    if words := await refuse(rest):
        raise Refused(words)

    def with_filters(some: Sequence[Filter]) -> Picture:
        return replace(rest, filters=tuple(some))

    def with_sessions(some: Sequence[Session]) -> Picture:
        return replace(rest, filters=filters, sessions=tuple(some))

    closed = await _refused(picture.filters, with_filters, refuse)
    filters = tuple(_closed(one) if one.symbol in closed else one for one in picture.filters)
    left = await _refused(picture.sessions, with_sessions, refuse)
    sessions = [one for one in picture.sessions if one.symbol not in left]
    said = [_about_filter(one, closed) for one in picture.filters if one.symbol in closed]
    said += [_about_session(one, left) for one in picture.sessions if one.symbol in left]
    return Accepted(with_sessions(sessions), tuple(said))


async def _refused(
    parts: Sequence[_Part], within: Callable[[Sequence[_Part]], Picture], refuse: _Refuse
) -> dict[str, str]:
    """The parts that are refused, by symbol, each with the parser's words."""
    found: dict[str, str] = {}
    todo = [parts] if parts else []
    while todo:
        some = todo.pop()
        words = await refuse(within(some))
        if words and len(some) > 1:
            middle = len(some) // 2
            todo += [some[middle:], some[:middle]]
        elif words:
            found[some[0].symbol] = words
        if len(found) > _MOST:
            raise Refused(words)
    return found


def _closed(one: Filter) -> Filter:
    return Filter(one.symbol, one.name, closed=True)


def _about_filter(one: Filter, words: dict[str, str]) -> Problem:
    text = f"BIRD refuses it: {words[one.symbol]}; so it lets nothing pass"
    return Problem(f"BGPFilter({one.name})", text)


def _about_session(one: Session, words: dict[str, str]) -> Problem:
    return Problem(one.described, f"BIRD refuses the session: {words[one.symbol]}; it is left out")
