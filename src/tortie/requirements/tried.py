"""What came of trying something of the kernel. Pure data."""

from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import NamedTuple


class Outcome(StrEnum):
    """What came of a trial."""

    WORKS = "works"
    LACKING = "lacking"  # the kernel or a program has no such thing
    FORBIDDEN = "forbidden"  # it may be there: we have no right to try


class Tried(NamedTuple):
    """One trial. `words` say what the kernel said, or which capability is missing."""

    outcome: Outcome
    words: str = ""

    @property
    def works(self) -> bool:
        """Whether it was made, and removed."""
        return self.outcome is Outcome.WORKS


WORKS = Tried(Outcome.WORKS)


def lacking(tried: Mapping[str, Tried], names: Sequence[str]) -> list[str]:
    """Of the trials with these names, those that found nothing there."""
    return [name for name in names if tried[name].outcome is Outcome.LACKING]


def forbidden(tried: Mapping[str, Tried], names: Sequence[str]) -> list[str]:
    """Of the trials with these names, those that we had no right to make."""
    return [name for name in names if tried[name].outcome is Outcome.FORBIDDEN]
