"""What one input may cost: more is a finding, as a crash is."""

from collections.abc import Callable
from time import process_time

# The least that a burst of a busy machine can't reach, and ten times what long inputs take.
SECONDS = 2.0
SECONDS_PER_BYTE = 200e-6
MEBIBYTES = 1024
HANG_SECONDS = 30


class TooSlow(AssertionError):
    """An input that took more processor time than its length explains."""


def bounded(check: Callable[[bytes], None], data: bytes, slack: float = 1.0) -> None:
    """Check the input. Raises TooSlow above the bound, which instrumented code has `slack` for."""
    begin = process_time()
    check(data)
    spent = process_time() - begin
    allowed = slack * (SECONDS + len(data) * SECONDS_PER_BYTE)
    if spent > allowed:
        raise TooSlow(f"{len(data)} bytes took {spent:.1f} s, above {allowed:.1f} s")
