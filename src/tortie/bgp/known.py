"""What was said last of each thing, and whether that is news. Pure."""

from collections.abc import Hashable
from typing import TypeVar

_K = TypeVar("_K", bound=Hashable)
_V = TypeVar("_V")


def put_in(known: dict[_K, _V], key: _K, value: _V | None) -> bool:
    """Remember a value, or forget it (None). Whether it is another than before."""
    before = known.pop(key, None)
    if value is not None:
        known[key] = value
    return before != value
