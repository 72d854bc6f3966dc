"""BIRD told of a configuration: by its parser, its file, and a word that it has read it.

A text counts as told once BIRD has said so. Until then it is said that it was not, and tried again:
else a BIRD that hung, or a full disk, would leave a node with what was true once.
"""

import re

import structlog

from tortie.bgp.bird import Bird
from tortie.bgp.clock import now
from tortie.bgp.control import BirdAway
from tortie.bgp.picture import Picture, Problem
from tortie.bgp.refusals import Refused, Render, accepted_part
from tortie.bgp.running import Running
from tortie.bgp.text import bird_text

_FIRST_WAIT, _LONGEST_WAIT = 1.0, 10.0  # seconds before what failed is tried again
_AT_LINE = re.compile(r":(\d+):\d+ ")

_log = structlog.get_logger(__name__)


class Telling:
    """What BIRD has been told, and when last, as RFC 3339 ("" for never).

    `problem` says why it has not been told all; "" for nothing. `left_out` is what BIRD's parser
    refuses of a picture, so that the rest could be told.
    """

    def __init__(self, bird: Bird, running: Running, render: Render = bird_text) -> None:
        self._bird = bird
        self._running = running
        self._render = render
        self._taken = ""
        self._wait = _FIRST_WAIT
        self.problem = ""
        self.left_out: tuple[Problem, ...] = ()
        self.told_at = ""

    def forget(self) -> None:
        """Another BIRD may be there, which has read who knows what."""
        self._taken = ""

    async def tell(self, picture: Picture) -> float | None:
        """Have BIRD go by a picture. The seconds after which to try again, None for no need to."""
        again, text = None, self._render(picture)
        try:
            if text != self._taken:
                self._taken = ""
                await self._install(picture, text)
                await self._configure(text)
            self.problem, self._wait = "", _FIRST_WAIT
        except Refused as problem:
            self._failed(f"BIRD refuses the configuration{_near(text, str(problem))}: {problem}")
        except BirdAway as problem:
            self._failed(f"BIRD has not been told of the last changes: {problem}")
            again = self._later()
        except OSError as problem:
            self._failed(f"the configuration can't be written: {problem}")
            again = self._later()
        return again

    async def _install(self, picture: Picture, text: str) -> None:
        left_out: tuple[Problem, ...] = ()
        if text != self._bird.in_force():
            try:
                await self._bird.install(text)
            except Refused:
                part = await accepted_part(picture, self._bird.check, self._render)
                await self._bird.install(self._render(part.picture))
                left_out = part.problems
        self._tell_left_out(left_out)

    async def _configure(self, text: str) -> None:
        if self._running.process:
            await self._bird.configure()
            self._taken, self.told_at = text, now()
            _log.info("BIRD was told")

    def _tell_left_out(self, problems: tuple[Problem, ...]) -> None:
        for each in problems:
            if each not in self.left_out:
                _log.error("something is left out", problem=str(each))
        self.left_out = problems

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
    lines = text.splitlines()[1 : int(found[1])] if found else []
    for line in reversed(lines):
        if line.startswith("# "):
            return f" near {line[2:]}"
    return ""
