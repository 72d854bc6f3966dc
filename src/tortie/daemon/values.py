"""Readers of the settings' values: text in, a typed value out, or a ValueError that says what
is allowed."""

import math
import re
from collections.abc import Callable, Mapping

SEVERITIES = ("TRACE", "DEBUG", "INFO", "WARNING", "ERROR", "FATAL")
_TRUE = frozenset({"true", "1", "yes", "y", "t"})
_FALSE = frozenset({"false", "0", "no", "n", "f"})
_HOST = re.compile(r"[a-zA-Z0-9:._+-]{1,64}")
_NODE = re.compile(r"[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?")


def boolean(text: str) -> bool:
    """true or false, in the spellings that Calico takes."""
    folded = text.casefold()
    if folded not in _TRUE | _FALSE:
        raise ValueError("use true or false")
    return folded in _TRUE


def integer(lowest: int, highest: int) -> Callable[[str], int]:
    """A reader of whole numbers of that range."""

    def read(text: str) -> int:
        try:
            number = int(text)
        except ValueError:
            number = lowest - 1
        if not lowest <= number <= highest:
            raise ValueError(f"use a whole number from {lowest} to {highest}")
        return number

    return read


def one_of(*allowed: str) -> Callable[[str], str]:
    """A reader of words from a list, in any case."""

    def read(text: str) -> str:
        for word in allowed:
            if word.casefold() == text.casefold():
                return word
        raise ValueError(f"use one of {', '.join(allowed)}")

    return read


def choice(meanings: Mapping[str, bool]) -> Callable[[str], bool]:
    """A reader of one of some words that switch something."""
    word = one_of(*meanings)
    return lambda text: meanings[word(text)]


def seconds(text: str) -> float:
    """A time in seconds, fractions allowed; 0 turns the thing off."""
    try:
        number = float(text)
    except ValueError:
        number = -1.0
    if not (math.isfinite(number) and number >= 0):
        raise ValueError('use seconds as a number, such as "90" or "0.5"')
    return number


def host(text: str) -> str:
    """A host name or address to listen on."""
    if not _HOST.fullmatch(text):
        raise ValueError("use a host name or an IP address of at most 64 characters")
    return text


def node_name(text: str) -> str:
    """A node's name: lower-case DNS labels, as Kubernetes has them."""
    folded = text.lower()
    if not _NODE.fullmatch(folded):
        raise ValueError(f"{text!r} is not a node name: use letters, digits, '-' and '.'")
    return folded
