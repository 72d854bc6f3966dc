"""What of the stream are settings: taken in before anything else of a batch is worked on.

Before the first picture none is acted on: half of it lacks who overrides whom.
"""

import asyncio
from collections.abc import Callable, Sequence

from tortie.agent.metrics import Metrics
from tortie.agent.settings import RESTART, Restart, Settings, SettingsError
from tortie.engine.configuration import Source
from tortie.sync import InSync, Item, Update

Keep = Callable[[Sequence[Source]], None]


class Steering:
    """The settings of one agent, as its stream changes them. `keep` keeps what the datastore says
    for the next start; it may raise OSError. `absent_policies`: see `Agent`."""

    def __init__(
        self,
        settings: Settings,
        absent_policies: Callable[[], Sequence[str]],
        keep: Keep,
        metrics: Metrics,
        warn: Callable[[str], None],
    ) -> None:
        self._settings = settings
        self._absent_policies = absent_policies
        self._keep, self._kept = keep, settings.told
        self._metrics, self._warn = metrics, warn
        self._pictured = False
        self._tell_problems(())

    async def saw(self, batch: Sequence[Item]) -> frozenset[str]:
        """The parameters in force that a batch changes.

        Raises Restart, once the next start is certain to begin with these settings; SettingsError
        where it is not.
        """
        settings = self._settings
        settings.saw([(item.key, item.value) for item in batch if isinstance(item, Update)])
        self._pictured |= any(isinstance(item, InSync) for item in batch)
        if not self._pictured:
            return frozenset()
        problems = settings.problems
        changed = settings.settle(self._absent_policies())
        self._tell_problems(problems)
        await self._remember(sorted(changed & RESTART))
        return changed

    async def _remember(self, anew: Sequence[str]) -> None:
        """Keep them; `anew` are those that want a new start."""
        if self._settings.told != self._kept:
            self._kept = self._settings.told
            try:
                await asyncio.to_thread(self._keep, self._kept)
            except OSError as problem:
                if anew:
                    raise SettingsError(f"can't keep settings for a restart: {problem}") from None
                self._warn(f"can't keep settings for the next start: {problem}")
        if anew:
            raise Restart(", ".join(anew))

    def _tell_problems(self, before: Sequence[str]) -> None:
        self._metrics.settings_problems(len(self._settings.problems))
        for problem in self._settings.problems:
            if problem not in before:
                self._warn(problem)
