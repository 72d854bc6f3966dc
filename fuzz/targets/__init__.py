"""What is fuzzed: one module a target, each with `TARGET`.

A check takes any bytes and raises nothing unless a promise is broken. Nothing of Tortie is imported
before a target is asked for, so that the worker can instrument it.
"""

from collections.abc import Callable, Iterable
from importlib import import_module
from random import Random
from typing import NamedTuple

NAMES = ("manifests", "stored", "selecting", "addresses", "ports", "protocols", "conversion")


class Target(NamedTuple):
    """`mutate`, where there is one, changes inputs as their format has it, besides bitwise."""

    check: Callable[[bytes], None]
    starts: Callable[[], Iterable[bytes]]
    words: Callable[[], Iterable[str]] = tuple
    mutate: Callable[[bytes, Random], bytes] | None = None
    size: int = 1024  # bytes of the longest input


class Broken(AssertionError):
    """A promise that an input breaks."""


def promised(holds: object, what: str) -> None:
    """Raises Broken unless it holds."""
    if not holds:
        raise Broken(what)


def load(name: str) -> Target:
    """The target of that name, one of NAMES."""
    found: Target = import_module(f"fuzz.targets.{name}").TARGET
    return found


def as_text(data: bytes) -> str:
    """Any bytes as text: what is no UTF-8 becomes lone surrogates, which text may hold."""
    return data.decode("utf-8", "surrogateescape")
