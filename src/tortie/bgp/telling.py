"""BIRD told of a configuration: by its parser, its file, and a word that it has read it.

A text counts as told once BIRD has said so. Until then it is said that it was not, and tried again:
else a BIRD that hung, or a full disk, would leave a node with what was true once.
"""

import re

import structlog

from tortie.bgp.bird import Bird, Refused
from tortie.bgp.clock import now
from tortie.bgp.control import BirdAway
from tortie.bgp.running import Running

_FIRST_WAIT, _LONGEST_WAIT = 1.0, 10.0  # seconds before what failed is tried again
_AT_LINE = re.compile(r":(\d+):\d+ ")

_log = structlog.get_logger(__name__)


class Telling:
    """What BIRD has been told. `problem` says why it has not been told all; "" for nothing.

    `told_at` is when BIRD was told last, as RFC 3339; "" for never.
    """

    def __init__(self, bird: Bird, running: Running) -> None:
        self._bird = bird
        self._running = running
        self._taken = ""
        self._wait = _FIRST_WAIT
        self.problem = ""
        self.told_at = ""

    def forget(self) -> None:
        """Another BIRD may be there, which has read who knows what."""
        self._taken = ""

    async def tell(self, text: str) -> float | None:
        """Have BIRD go by a text. The seconds after which to try again, None for no need to."""
        again = None
        try:
            await self._tell(text)
        except Refused as problem:
            self._failed(f"BIRD refuses the configuration{_near(text, str(problem))}: {problem}")
        except BirdAway as problem:
            self._failed(f"BIRD has not been told of the last changes: {problem}")
            again = self._later()
        except OSError as problem:
            self._failed(f"the configuration can't be written: {problem}")
            again = self._later()
        return again

    async def _tell(self, text: str) -> None:
        if text != self._taken:
            self._taken = ""
            if text != self._bird.in_force():
                await self._bird.install(text)
            if self._running.process:
                await self._bird.configure()
                self._taken, self.told_at = text, now()
                _log.info("BIRD was told")
        self.problem, self._wait = "", _FIRST_WAIT

    def _failed(self, problem: str) -> None:
        if problem != self.problem:
            _log.error("what BIRD was told last stays in force", problem=problem)
        self.problem = problem

    def _later(self) -> float:
        wait = self._wait
        self._wait = min(2 * wait, _LONGEST_WAIT)
        return wait


def _near(text: str, problem: str) -> str:
    """The resource that the refused line belongs to: the comment before it."""
    found = _AT_LINE.search(problem)
    lines = text.splitlines()[: int(found[1])] if found else []
    for line in reversed(lines):
        if line.startswith("# "):
            return f" near {line[2:]}"
    return ""
