"""The protocol of BIRD's control socket, sans I/O: bytes in, replies out.

A reply is lines `NNNN-text` or ` text` (of the number before) and at last `NNNN text`; lines that
begin with `+` belong to no reply. Numbers from 8000 on say that a command failed.
"""

import re
from typing import NamedTuple

GREETING = 1
_LONGEST_LINE = 1 << 20  # bytes
_MOST = 64 << 20  # bytes of one reply: 65,536 routes take 20 MiB
_LINE = re.compile(rb"(\d{4})([ -])(.*)", flags=re.DOTALL)


class BadReply(ValueError):
    """This is not how BIRD speaks."""


class Line(NamedTuple):
    """One line, with the number that it stands under."""

    number: int
    text: str


class Reply(NamedTuple):
    """A whole reply; the last line's number says how it went."""

    lines: tuple[Line, ...]

    @property
    def failed(self) -> bool:
        """Whether the command failed."""
        return bool(self.lines) and self.lines[-1].number >= 8000

    def texts(self, *numbers: int) -> list[str]:
        """The texts of the lines of these numbers."""
        return [line.text for line in self.lines if line.number in numbers]

    def __str__(self) -> str:
        return self.lines[-1].text if self.lines else ""


class Replies:
    """Takes bytes as they come; gives whole replies."""

    def __init__(self) -> None:
        self._rest = b""
        self._lines: list[Line] = []
        self._size = 0

    def feed(self, data: bytes) -> list[Reply]:
        """The replies that `data` completes. Raises BadReply."""
        *lines, self._rest = (self._rest + data).split(b"\n")
        if len(self._rest) > _LONGEST_LINE:
            raise BadReply("a line without an end")
        return [reply for line in lines if (reply := self._line(line)) is not None]

    def _line(self, raw: bytes) -> Reply | None:
        self._size += len(raw)
        if self._size > _MOST:
            raise BadReply("a reply without an end")
        if raw.startswith(b"+"):
            return None
        found = _LINE.fullmatch(raw)
        if found is None:
            if not raw.startswith(b" ") or not self._lines:
                raise BadReply(f"no line of BIRD's: {raw[:60]!r}")
            self._add(self._lines[-1].number, raw[1:])
            return None
        self._add(int(found[1]), found[3])
        if found[2] == b"-":
            return None
        reply, self._lines, self._size = Reply(tuple(self._lines)), [], 0
        return reply

    def _add(self, number: int, text: bytes) -> None:
        self._lines.append(Line(number, text.decode("utf-8", "replace")))
