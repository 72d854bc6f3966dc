"""One daemon's word about itself. Pure."""

from collections.abc import Mapping
from datetime import UTC, datetime

import msgspec
from msgspec import Struct
from msgspec.structs import replace

_LINES = 10  # of each list: a report is to be read
_LENGTH = 300


class Report(Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """`at` and `since` (when it was started) are RFC 3339; `seconds` is how long it counts.

    `waiting_for` is why it is not ready, `failures` what it could not do; `facts` are small things
    worth a column, such as the number of sessions.
    """

    node: str
    component: str
    version: str = ""
    at: str = ""
    since: str = ""
    seconds: float = 0.0
    ready: bool = False
    waiting_for: tuple[str, ...] = ()
    failures: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    facts: Mapping[str, str | int] = {}

    def stamped(self, now: datetime, seconds: float) -> "Report":
        """The same, said at `now`, in a size that every datastore takes."""
        return replace(
            self,
            at=rfc3339(now),
            seconds=seconds,
            waiting_for=_short(self.waiting_for),
            failures=_short(self.failures),
            warnings=_short(self.warnings),
        )

    def is_silent(self, now: datetime) -> bool:
        """Whether its time is over: no sign of life came since."""
        try:
            said = datetime.fromisoformat(self.at)
        except ValueError:
            return True
        return said.tzinfo is None or (now - said).total_seconds() > self.seconds


def encode(report: Report) -> bytes:
    """As JSON."""
    return msgspec.json.encode(report)


def decode(data: bytes) -> Report | None:
    """None for what can't be read: it is of another release, or nobody's."""
    try:
        return msgspec.json.decode(data, type=Report)
    except msgspec.MsgspecError:
        return None


def rfc3339(moment: datetime) -> str:
    """In UTC, by the second."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _short(lines: tuple[str, ...]) -> tuple[str, ...]:
    kept = tuple(line[:_LENGTH] for line in lines[:_LINES])
    more = len(lines) - len(kept)
    return (*kept, f"and {more} more") if more else kept
