"""libFuzzer's lines as one line for people."""

import re
import sys
from collections import deque
from time import monotonic

_STATUS = re.compile(r"#(\d+)\s+(\w+)\s+cov: (\d+) .* corp: (\d+)/")
_EVERY_SECONDS = 5


class Progress:
    """Where a target stands. `str()` is its line."""

    def __init__(self, name: str, seconds: int) -> None:
        self.name = name
        self.seconds = seconds
        self.inputs = 0
        self.coverage = 0
        self.corpus = 0
        self.last: deque[str] = deque(maxlen=40)
        self._earlier = 0
        self._begin = self._told = monotonic()

    def take(self, line: str) -> None:
        """One line of the worker; prints now and then."""
        self.last.append(line)
        found = _STATUS.match(line)
        if not found:
            return
        if found[2] == "INITED":
            self._earlier = self.inputs
        self.inputs = self._earlier + int(found[1])
        self.coverage = max(self.coverage, int(found[3]))
        self.corpus = int(found[4])
        if monotonic() - self._told > _EVERY_SECONDS:
            self._told = monotonic()
            print(f"{self} ...", file=sys.stderr, flush=True)

    def __str__(self) -> str:
        spent = monotonic() - self._begin
        return (
            f"{self.name:<11}{spent:>5.0f} s of {self.seconds}"
            f"{self.inputs:>10,} inputs{self.coverage:>7,} branches{self.corpus:>6,} kept"
        )
