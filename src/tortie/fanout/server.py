"""The fan-out server: clients at the door, streams that are made when first asked for.

One event loop does it all. A crumb is put to the clients in slices, so that pings, handshakes and
the datastore's updates come in between; a client that does not take it is passed over at once.
"""

import asyncio
import random
import time
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial

import structlog

from tortie.fanout.connection import Connection, Stage
from tortie.fanout.door import Door
from tortie.fanout.frames import FrameType
from tortie.fanout.messages import Hello, Welcome, written
from tortie.fanout.patience import Patience, fault, let_off
from tortie.fanout.protocol import common_version
from tortie.fanout.server_settings import ServerSettings
from tortie.fanout.tally import Tally
from tortie.fanout.upstream import Admit, Source, Upstream

_SLICE = 0.02  # seconds of sending before the loop looks at other things
_PICTURES = 32  # that are sent at once: more would keep those waiting who follow already
_TURN = 1.0  # seconds that a client may keep the next one waiting for its picture
_CATCH_UP = 5.0  # seconds that a client waits for this server to know what the client knows
_SWEEP = 1.0
_PINGED = (Stage.WAITING, Stage.SNAPSHOT, Stage.FOLLOWING)
_REASONS = 20  # of which a line of the log tells
_TELL = 10.0  # seconds between lines of the log about connections that came to nothing

_log = structlog.get_logger(__name__)


class FanoutServer:
    """Serves the streams that `sources` make, by name; each is followed when first asked for."""

    def __init__(
        self,
        settings: ServerSettings,
        sources: Mapping[str, Callable[[Admit], Source]],
    ) -> None:
        self._settings = settings
        self._sources = sources
        self._tasks: set[asyncio.Task[None]] = set()
        self._joining: dict[Connection, asyncio.Task[None]] = {}
        self._clients: dict[str, dict[Connection, None]] = {}
        self._turns = asyncio.Semaphore(_PICTURES)
        self._patience = Patience.of(settings)
        self._came_to_nothing: Counter[str] = Counter()
        self._told_at = 0.0
        self._failed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._door = Door(settings, self._hello, self._gone)
        self.limit = settings.most_connections  # what rebalancing asks for
        self.upstreams: dict[str, Upstream] = {}
        self.tallies: dict[str, Tally] = {}
        self.accepted = 0
        self.dropped = 0

    async def start(self) -> int:
        """Listen. Returns the port. Raises OSError, with the certificates' faults too."""
        return self._door.open()

    @property
    def active(self) -> int:
        """Connections, with those that have not said hello yet."""
        return len(self._door.connections)

    @property
    def streaming(self) -> Mapping[str, int]:
        """Clients of each stream that have said hello."""
        return {name: len(clients) for name, clients in self._clients.items()}

    def upstream(self, name: str) -> Upstream:
        """The stream of that name, followed from now on. Raises KeyError."""
        if name not in self.upstreams:
            tally = Tally()
            self._clients[name], self.tallies[name] = {}, tally
            self.upstreams[name] = Upstream(
                self._sources[name],
                partial(self._send, name),
                self._settings.min_batching_age,
                tally,
            )
            self._keep(asyncio.create_task(self.upstreams[name].run(), name=f"follow {name}"))
        return self.upstreams[name]

    async def run(self) -> None:
        """Look after the clients until cancelled. Raises what a stream raised: a defect."""
        self._keep(asyncio.create_task(self._sweeps()))
        self._keep(asyncio.create_task(self._rebalance()))
        await self._failed

    async def drain(self) -> None:
        """Accept nobody, and send the clients away one by one, within the settings' time.

        All at once would come upon the other servers at once.
        """
        self._door.close()
        settings, clients = self._settings, list(self._door.connections)
        pause = min(
            settings.shutdown_drop_interval,
            0.95 * settings.shutdown_timeout / max(1, len(clients)),
        )
        for client in clients:
            if client.stage is not Stage.CLOSED:
                client.dismiss("this server is shutting down")
                await asyncio.sleep(pause)

    async def close(self) -> None:
        """End everything now."""
        self._door.close()
        for client in list(self._door.connections):
            client.close("the server ends")
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _keep(self, task: "asyncio.Task[None]") -> None:
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: "asyncio.Task[None]") -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) and not self._failed.done():
            self._failed.set_exception(error)

    def _hello(self, client: Connection, hello: Hello) -> None:
        version = common_version(hello.versions)
        if version is None:
            offered = ", ".join(map(str, hello.versions)) or "none"
            client.refuse(f"no common version of the protocol; offered: {offered}")
        elif hello.stream not in self._sources:
            known = ", ".join(sorted(self._sources))
            client.refuse(f"there is no stream {hello.stream!r}; there are: {known}")
        else:
            self._welcome(client, hello, version)

    def _welcome(self, client: Connection, hello: Hello, version: int) -> None:
        self._door.admit(client)
        self.accepted += 1
        upstream = self.upstream(hello.stream)
        client.join(upstream.trail, self.tallies[hello.stream])
        self._clients[hello.stream][client] = None
        client.say(written(FrameType.WELCOME, Welcome(version, "tortie")))
        if not upstream.ready.is_set():
            client.say(upstream.status())
        if client.stage is not Stage.CLOSED:
            joining = asyncio.create_task(self._join(client, hello, upstream))
            self._joining[client] = joining
            self._keep(joining)

    async def _join(self, client: Connection, hello: Hello, upstream: Upstream) -> None:
        try:
            await upstream.ready.wait()
            await upstream.reach(hello.reached, _CATCH_UP)
            async with self._turns:
                snapshot = await upstream.snapshot(hello.reached)
                client.send_snapshot(snapshot, upstream.status())
                with suppress(TimeoutError):
                    async with asyncio.timeout(_TURN):
                        await client.has_picture.wait()
        finally:
            self._joining.pop(client, None)

    def _gone(self, client: Connection, reason: str) -> None:
        if joining := self._joining.pop(client, None):
            joining.cancel()
        streams = [clients for clients in self._clients.values() if client in clients]
        if not streams:
            known = reason in self._came_to_nothing or len(self._came_to_nothing) < _REASONS
            self._came_to_nothing[reason if known else "other reasons"] += 1
            return
        for clients in streams:
            del clients[client]
        self.dropped += 1
        _log.info("client gone", client=client.peer, node=client.node, reason=reason)

    async def _send(self, name: str) -> float:
        """Put new crumbs to all clients; the seconds of this thread's work that this was."""
        took, began, worked = 0.0, time.monotonic(), time.thread_time()
        for client in list(self._clients[name]):
            client.push()
            if time.monotonic() - began > _SLICE:
                took += time.thread_time() - worked
                await asyncio.sleep(0)
                began, worked = time.monotonic(), time.thread_time()
        return took + time.thread_time() - worked

    async def _sweeps(self) -> None:
        while True:
            await asyncio.sleep(_SWEEP)
            now = time.monotonic()
            for client in list(self._door.connections):
                self._look_after(client, now)
            self._door.renew(now)
            self._tell(now)

    def _look_after(self, client: Connection, now: float) -> None:
        if reason := fault(client, self._patience, now):
            client.close(reason)
            return
        if not client.let_off and let_off(client, self._patience, now):
            client.note_let_off()
        if client.stage in _PINGED and now - client.pinged_at >= self._settings.ping_interval:
            client.ping(now)

    def _tell(self, now: float) -> None:
        """One line for all: strangers must not fill the log."""
        if self._came_to_nothing and now - self._told_at >= _TELL:
            reasons = dict(self._came_to_nothing)
            _log.warning("connections came to nothing", reasons=reasons)
            self._came_to_nothing.clear()
            self._told_at = now

    async def _rebalance(self) -> None:
        while True:
            await asyncio.sleep(self._settings.drop_interval or 1.0)
            clients = [c for clients in self._clients.values() for c in clients]
            if len(clients) > self.limit:
                random.choice(clients).dismiss("this server has more than its share of clients")
