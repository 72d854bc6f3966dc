"""The types of the fixtures that run the command line."""

from collections.abc import Callable
from typing import NamedTuple


class Said(NamedTuple):
    """What a command left: its exit status and its output."""

    status: int
    out: str
    err: str


Tortie = Callable[..., Said]
Write = Callable[[str, str], str]
