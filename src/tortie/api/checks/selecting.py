"""Selectors."""

from functools import lru_cache

from tortie.selectors import Selector, parse

_REMEMBERED = 65536
MISPLACED_GLOBAL = "global() can only be used in an EntityRule namespaceSelector"

selector = parse
"""Any selector."""


@lru_cache(_REMEMBERED)
def local_selector(text: str) -> Selector:
    """A selector without global(), which means something in a rule's namespaceSelector only."""
    found = parse(text)
    if found.mentions_global:
        raise ValueError(MISPLACED_GLOBAL)
    return found


@lru_cache(_REMEMBERED)
def namespace_selector(text: str) -> Selector:
    """A rule's namespaceSelector: global() alone, or a selector without it."""
    found = parse(text)
    if found.mentions_global and found.canonical != "global()":
        raise ValueError("global() can't be combined with anything else")
    return found


def mentions_global(text: str) -> bool:
    """Whether the selector has global() in it; no error for what is no selector."""
    try:
        return parse(text).mentions_global
    except ValueError:
        return False
