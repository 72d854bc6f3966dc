"""Writing that never fails: a full disk under the log must not end what is told of it."""

from typing import TextIO

_dropped = 0


class Unfailing:
    """A text stream that counts and drops what can't be written."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        """Write and flush, if that can be done."""
        global _dropped
        try:
            self._stream.write(text)
            self._stream.flush()
        except (OSError, ValueError):  # ValueError: it is closed
            _dropped += 1
        return len(text)

    def flush(self) -> None:
        """`write` has done so."""


def dropped_lines() -> int:
    """How often this process could not write to its log."""
    return _dropped
