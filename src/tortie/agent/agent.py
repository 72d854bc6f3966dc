"""The agent: one task reads the stream, one runs turns in a worker thread, the rest wait.

Nothing is written before the first complete picture of the datastore: half of it would cut off
what is running. An exception out of a turn is a defect of this program and ends the agent: what
the engine then holds is unknown, and the last good policy stays in force until a supervisor starts
it again.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol

import structlog

from tortie.agent import metrics as metric
from tortie.agent.allegiance import OtherDatastore
from tortie.agent.backoff import Backoff
from tortie.agent.collector import settle
from tortie.agent.following import Following
from tortie.agent.freshness import Clocks, Freshness
from tortie.agent.inbox import Inbox
from tortie.agent.looking import look_again
from tortie.agent.metrics import Metrics
from tortie.agent.pipeline import KeyValue, Pipeline, Turn, Work
from tortie.agent.repairs import Contest, Repairs, tell
from tortie.agent.settings import Restart, Settings, SettingsError
from tortie.agent.steering import Keep, Steering
from tortie.agent.waiters import Waiters
from tortie.daemon.health import Health
from tortie.daemon.http import Answer
from tortie.daemon.log import set_severity
from tortie.dataplane.contract import Failure
from tortie.engine.configuration import Configuration
from tortie.policy.program import EndpointId
from tortie.sync import Item, Outage

Observer = Callable[[Sequence[KeyValue]], None]
Refreshes = Callable[[Configuration], Mapping[str, float]]
_HEARTBEAT = 2.0  # seconds
_WARNINGS_KEPT = 50
_CLOCKS = Clocks()

_log = structlog.get_logger(__name__)


class UpdateSource(Protocol):
    """`tortie.sync.Syncer`, as far as it is used here."""

    @property
    def outage(self) -> Outage | None:
        """Why the datastore can't be followed now; None while it can."""
        ...

    def stream(self) -> AsyncIterator[list[Item]]:
        """Batches of the update stream, until the datastore is closed."""
        ...


class Agent:
    """One node's agent. `observers` see every batch of updates, in the event loop.

    `absent_policies` gives a line for each policy that is stored but can't be read. `keep` keeps
    what the datastore says of settings for the next start; it may raise OSError. `refreshes` says
    how often drivers look at the kernel without being told, in seconds, by their names; 0: never.
    `configured` is called in the event loop whenever other settings are in force.
    """

    def __init__(
        self,
        settings: Settings,
        source: UpdateSource,
        pipeline: Pipeline,
        observers: Sequence[Observer] = (),
        absent_policies: Callable[[], Sequence[str]] = tuple,
        clocks: Clocks = _CLOCKS,
        keep: Keep = lambda _: None,
        refreshes: Refreshes = lambda _: {},
        configured: Callable[[], None] = lambda: None,
    ) -> None:
        self.settings = settings
        config = settings.configuration
        self.health = Health()
        self.metrics = Metrics(
            process_metrics=config.prometheus_process_metrics_enabled,
            runtime_metrics=config.prometheus_go_metrics_enabled,
        )
        self.failures: tuple[Failure, ...] = ()
        self.warnings: deque[str] = deque(maxlen=_WARNINGS_KEPT)
        self.in_sync = False
        self.last_turn = Turn()
        self._source = source
        self._pipeline = pipeline
        self._observers = tuple(observers)
        self.absent_policies = absent_policies
        self._refreshes, self._configured = refreshes, configured
        self._changed = asyncio.Event()  # other settings are in force
        self._inbox = Inbox()
        self._waiters = Waiters()
        self._backoff = Backoff()
        self._repairs = Repairs(self._inbox.drifted, _later, clocks.monotonic)
        self._worker = ThreadPoolExecutor(max_workers=1, thread_name_prefix="dataplane")
        self._turning = False
        self._following = Following(lambda: source.outage, clocks, self.health, self.metrics)
        self._patience = _patience(config)
        self.health.register("dataplane", self._patience, "nothing is programmed yet")
        self._steering = Steering(settings, absent_policies, keep, self.metrics, self.warn)

    @property
    def config(self) -> Configuration:
        """The settings in force."""
        return self.settings.configuration

    @property
    def revision(self) -> int:
        """The datastore's revision that is in the kernel."""
        return self._waiters.revision

    async def run(self) -> None:
        """Work until cancelled. Policy stays in force afterwards.

        Raises OtherDatastore, SettingsError, or Restart where settings need a new start.
        """
        self.metrics.resync_state(metric.RESYNCING)
        try:
            shut = await self._guard()
            async with asyncio.TaskGroup() as tasks:
                if not shut:
                    tasks.create_task(self._guard_again())
                tasks.create_task(self._feed())
                tasks.create_task(self._turns())
                tasks.create_task(self._beat())
                tasks.create_task(self._refresh())
        except ExceptionGroup as group:  # `except*` wraps what it raises on early Python 3.11
            ends = group.subgroup((OtherDatastore, SettingsError, Restart))
            if ends is None:
                raise
            raise ends.exceptions[0] from None
        finally:
            self._waiters.close()
            await self._finish_turn()

    async def wait_ready(self, endpoint_id: EndpointId, revision: int, within: float) -> None:
        """Return once the endpoint's policy and routes, as of `revision`, are in the kernel.

        `revision` 0 takes them as they are. Raises NotReady with what is missing after `within`
        seconds.
        """
        if self._inbox.revision >= revision:  # else its coming is a turn that looks at us
            self._inbox.poke()
        await self._waiters.endpoint(endpoint_id, revision, within)

    async def wait_applied(self, revision: int, within: float) -> None:
        """Return once this revision of the datastore is in the kernel. Raises NotReady."""
        await self._waiters.applied(revision, within)

    def link_changed(self, name: str, event: str) -> None:
        """A link of the machine is now "up", "down" or "gone"."""
        self._inbox.link(name, event)

    def resync(self) -> None:
        """Compare the kernel with what is desired, soon."""
        self._inbox.resync()

    def drifted(self, driver: str, by: str) -> None:
        """Somebody (`by`, for people) may have changed what is this driver's."""
        self._repairs.changed(driver, by)

    def contests(self) -> list[Contest]:
        """What others have changed of what is in the kernel."""
        return self._repairs.contests()

    def warn(self, problem: str) -> None:
        """Something in the datastore can't be used as it is; work goes on."""
        self.warnings.append(problem)
        self.metrics.warned()
        _log.warning("something can't be used as it is", problem=problem)

    def freshness(self) -> Freshness:
        """How old what is in force is."""
        return self._following.freshness()

    def follow_datastore(self) -> None:
        """Take in whether the datastore can be followed; call it when that may have changed."""
        self._following.tell(self.revision if self.in_sync else None)

    def readiness(self) -> Answer:
        """The page /readiness. A policy that can't be read is named, and turns nothing red.

        Whoever may write policies of one namespace must not be able to stop a cluster's rollout.
        """
        answer = self.health.readiness()
        lines = "".join(f"{_about(line)}: {line}\n" for line in self.absent_policies())
        return Answer(answer.status, answer.body + lines.encode())

    async def _finish_turn(self) -> None:
        """The next agent may start once we are gone: nothing of ours may write then."""
        ending = asyncio.to_thread(self._worker.shutdown, wait=True, cancel_futures=True)
        await asyncio.shield(asyncio.create_task(ending))

    async def _guard(self) -> bool:
        """Whether nothing is reachable without policy now."""
        loop = asyncio.get_running_loop()
        failures = await loop.run_in_executor(self._worker, self._pipeline.guard)
        for failure in failures:
            _log.error("can't shut what has no policy yet, will retry", **failure._asdict())
        return not failures

    async def _guard_again(self) -> None:
        """Until it is done: the datastore, and with it the first turn, may be long in coming."""
        while True:
            await asyncio.sleep(_HEARTBEAT)
            if await self._guard():
                return

    async def _feed(self) -> None:
        async for batch in self._source.stream():
            if changed := await self._steering.saw(batch):
                self._take_settings(changed)
            updates = self._inbox.put(batch)
            self._following.came(len(updates))
            self.follow_datastore()
            for observer in self._observers:
                observer(updates)

    def _take_settings(self, changed: frozenset[str]) -> None:
        _log.info("settings changed", parameters=sorted(changed))
        set_severity(self.config.log_severity_screen)
        self._inbox.configure(self.config)
        self._changed.set()
        self._configured()

    async def _turns(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            await self._inbox.wait()
            revision, work = self._inbox.revision, self._inbox.take(self._waiters.watched)
            self._turning = True
            turn = await loop.run_in_executor(self._worker, self._pipeline.turn, work)
            self._turning = False
            self._ended(turn, work, revision)

    def _ended(self, turn: Turn, work: Work, revision: int) -> None:
        new_failures = self._report(turn)
        self.metrics.turned(turn, new_failures)
        self.last_turn, self.failures = turn, turn.failures
        if turn.adopted:
            self.in_sync = True
            self.follow_datastore()
            settle()
            _log.info("in sync with the datastore", revision=revision, seconds=turn.applied_in)
        for repaired in self._repairs.looked(turn.repaired):
            tell(repaired)
        self.metrics.contested(self._repairs.contests())
        self._dataplane_health(turn)
        self._waiters.turned(turn.waiting_for, revision if work.in_sync else 0)

    def _report(self, turn: Turn) -> int:
        for warning in turn.warnings:
            self.warn(warning)
        fresh = [failure for failure in turn.failures if failure not in self.failures]
        for failure in fresh:
            _log.error("can't be programmed, will retry", **failure._asdict())
        if self.failures and not turn.failures:
            _log.info("everything is programmed again")
        return len(fresh)

    def _dataplane_health(self, turn: Turn) -> None:
        if turn.failures:
            first = turn.failures[0]
            self.health.waiting("dataplane", f"{first.driver}: {first.subject}: {first.message}")
            self._backoff.schedule(self._inbox.retry)
        elif self.in_sync:
            self.health.ready("dataplane")
            self._backoff.reset()

    async def _beat(self) -> None:
        """An idle dataplane is a live one; only a turn that does not end is not."""
        while True:
            if not self._turning:
                self.health.alive("dataplane")
            self.follow_datastore()
            await asyncio.sleep(min(_HEARTBEAT, self._patience / 4 or _HEARTBEAT))

    async def _refresh(self) -> None:
        def intervals() -> Mapping[str, float]:
            return self._refreshes(self.config)

        await look_again(intervals, self._changed, self._inbox.drifted)


def _patience(config: Configuration) -> float:
    """How long the dataplane may be silent, in seconds; by our name for it, or Felix's."""
    overrides = dict(config.health_timeout_overrides)
    names = ("dataplane", "InternalDataplaneMainLoop")
    return next(
        (overrides[name] for name in names if name in overrides), config.dataplane_watchdog_timeout
    )


def _about(line: str) -> str:
    return "settings" if line.startswith("FelixConfiguration(") else "policy"


def _later(seconds: float, work: Callable[[], None]) -> object:
    return asyncio.get_running_loop().call_later(seconds, work)
