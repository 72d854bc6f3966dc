"""CalicoNodeStatus: questions to this node about its BGP, answered as often as they ask."""

import asyncio
from contextlib import aclosing, suppress

import structlog
from msgspec.structs import replace

from tortie.api import Key, Resource
from tortie.api.calico.node_status import CalicoNodeStatus, CalicoNodeStatusSpec
from tortie.bgp.clock import now
from tortie.bgp.control import BirdAway
from tortie.bgp.report import RouteReport, node_status
from tortie.bgp.service import BgpService
from tortie.datastore import Datastore, DatastoreError, NotFound
from tortie.datastore.retry import update_with
from tortie.sync import Syncer, Update

KINDS = ("CalicoNodeStatus",)
_PERIOD = 10  # seconds, where the question does not say
_SHORTEST = 1  # seconds
_START = 15.0  # seconds that BIRD has to begin

_log = structlog.get_logger(__name__)


class StatusReporter:
    """Answers the questions in a datastore. Only the status of each is written, never its spec."""

    def __init__(self, service: BgpService, store: Datastore) -> None:
        self._service = service
        self._store = store
        self._asked: dict[Key, CalicoNodeStatusSpec] = {}
        self._due: dict[Key, float] = {}
        self._news = asyncio.Event()

    async def follow(self) -> None:
        """Keep the questions to this node, for ever."""
        async with aclosing(Syncer(self._store, KINDS).stream()) as batches:
            async for batch in batches:
                for item in batch:
                    if isinstance(item, Update):
                        self.saw(item.key, item.value)

    def saw(self, key: Key, value: Resource | None) -> None:
        """A question came, changed or went. Our own answers come back, too: the spec decides."""
        mine = isinstance(value, CalicoNodeStatus) and (
            value.spec.node == self._service.cluster.node
        )
        if not mine:
            self._asked.pop(key, None)
            self._due.pop(key, None)
        elif isinstance(value, CalicoNodeStatus) and self._asked.get(key) != value.spec:
            self._asked[key] = value.spec
            self._due[key] = 0.0
            self._news.set()

    async def answer(self) -> None:
        """Answer what is due, for ever."""
        loop = asyncio.get_running_loop()
        with suppress(TimeoutError):  # a question that is asked once wants more than "not yet"
            async with asyncio.timeout(_START):
                await self._service.begun.wait()
        while True:
            for key in [key for key, due in self._due.items() if due <= loop.time()]:
                answered = await self._answer(key)
                self._schedule(key, loop.time(), answered)
            self._news.clear()
            next_due = min(self._due.values(), default=None)
            try:
                wait = None if next_due is None else max(0.0, next_due - loop.time())
                async with asyncio.timeout(wait):
                    await self._news.wait()
            except TimeoutError:
                pass

    def _schedule(self, key: Key, time: float, answered: bool) -> None:
        spec = self._asked.get(key)
        period = _PERIOD if spec is None else spec.update_period_seconds
        if spec is None or (period == 0 and answered):  # once
            self._due.pop(key, None)
        else:
            self._due[key] = time + max(_SHORTEST, _PERIOD if period is None else period)

    async def _answer(self, key: Key) -> bool:
        """Whether nothing is left to do about it."""
        spec = self._asked.get(key)
        if spec is None:
            return True
        state = await self._service.state()
        routes: dict[int, list[RouteReport]] = {}
        if "Routes" in spec.classes:
            try:
                routes = await self._service.routes()
            except BirdAway:
                routes = {}
        found = node_status(spec.classes, state.bird, state.sessions, routes, now())

        def with_answer(current: Resource) -> Resource | None:
            if not isinstance(current, CalicoNodeStatus):
                return None
            return replace(current, status=found)

        try:
            await update_with(self._store, key, with_answer)
        except NotFound:
            return True  # the question was taken back meanwhile
        except DatastoreError as problem:
            _log.warning("a CalicoNodeStatus can't be answered", key=str(key), problem=str(problem))
            return False
        return True
