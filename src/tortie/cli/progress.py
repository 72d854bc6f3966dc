"""How far a lab has come up: a live picture on a terminal, a line for each thing elsewhere."""

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import TYPE_CHECKING, Self

from tortie.cli.terminal import wants_colour
from tortie.lab.progress import Progress

if TYPE_CHECKING:
    from rich.table import Table


class Lines:
    """A line for each thing that is there."""

    def doing(self, what: str, state: str) -> None:
        """Lines tell of what is done only."""

    def done(self, what: str, state: str) -> None:
        """One line."""
        print(f"{what}: {state}", flush=True)


class Live:
    """A row for each thing, with a spinner until it is there."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.live import Live as RichLive
        from rich.spinner import Spinner

        self._rows: dict[str, tuple[str, bool]] = {}
        self._lock = threading.Lock()
        self._spinner = Spinner("dots")  # one for all rows, so that it turns
        self._live = RichLive(
            console=Console(), refresh_per_second=12, get_renderable=self._picture
        )

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._live.stop()

    def doing(self, what: str, state: str) -> None:
        """A row that spins."""
        self._set(what, state, done=False)

    def done(self, what: str, state: str) -> None:
        """A row with a tick."""
        self._set(what, state, done=True)

    def _set(self, what: str, state: str, *, done: bool) -> None:
        with self._lock:
            self._rows[what] = (state, done)

    def _picture(self) -> "Table":
        from rich.table import Table
        from rich.text import Text

        picture = Table.grid(padding=(0, 2))
        with self._lock:
            rows = list(self._rows.items())
        for what, (state, done) in rows:
            sign = Text("✓", style="green") if done else self._spinner
            picture.add_row(sign, what, Text(state, style="" if done else "dim"))
        return picture


@contextmanager
def shown_progress() -> Iterator[Progress]:
    """The fitting kind of display for the length of the block."""
    if wants_colour(sys.stdout):
        with Live() as live:
            yield live
    else:
        yield Lines()
