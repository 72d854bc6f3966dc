"""The BGP daemon's work: the stream followed, BIRD told, its state reported.

    stream ─▶ Cluster ─▶ picture ─▶ text ─▶ BIRD's parser ─▶ file ─▶ `configure`

Nothing is told to BIRD before the first complete picture: half of one would end sessions. Until
then, and whenever the datastore is away, BIRD goes on with what it was told last.
"""

import asyncio
from collections.abc import AsyncGenerator, Iterable
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple, Protocol

import structlog

from tortie.api.calico.bgp_peer import BGPPeer
from tortie.bgp.bird import Bird
from tortie.bgp.build import Given, picture_of
from tortie.bgp.cluster import Cluster
from tortie.bgp.control import BirdAway, BirdControl
from tortie.bgp.meeting import Meeting
from tortie.bgp.passwords import secrets_wanted
from tortie.bgp.picture import Picture, Problem
from tortie.bgp.reasons import Md5Drops, md5_drops
from tortie.bgp.report import RouteReport, SessionReport, route_reports, session_reports
from tortie.bgp.running import Running
from tortie.bgp.secrets import SecretKeeper
from tortie.bgp.standing import sessions_in
from tortie.bgp.status import BirdState, bird_state, route_states, session_states
from tortie.bgp.telling import Telling
from tortie.sync import InSync, Item, Outage, Update

_PAUSE = 0.1  # seconds between configurations: changes come in bursts
_SECRETS = 30.0  # seconds between looks at Secrets
_AGAIN = 3.0  # seconds, where one could not be read
_WORKLOADS = 10.0  # seconds to wait for the workloads that are peers
_DROPS = 10.0  # seconds between looks at the kernel's counts
_RECENT = 6  # such looks are recent
_NETSTAT = Path("/proc/self/net/netstat")

_log = structlog.get_logger(__name__)


class Source(Protocol):
    """A stream of updates: the datastore's own, or a server's that follows it for many."""

    in_sync: bool

    @property
    def outage(self) -> Outage | None:
        """Why it can't be followed now."""
        ...

    def stream(self) -> AsyncGenerator[list[Item], None]:
        """Batches for ever."""
        ...


class State(NamedTuple):
    """BIRD's own word; `bird` is None while it does not answer, and `away` says why."""

    bird: BirdState | None
    away: str
    sessions: list[SessionReport]


class BgpService:
    """One node's BGP."""

    def __init__(
        self,
        node: str,
        source: Source,
        bird: Bird,
        running: Running,
        secrets: SecretKeeper,
        given: Given,
        meeting: Meeting | None = None,
    ) -> None:
        self.cluster = Cluster(node)
        self.bird = bird
        self.running = running
        self.telling = Telling(bird, running)
        self.picture: Picture | None = None
        self._source = source
        self._secrets = secrets
        self._given = given
        self._meeting = meeting or Meeting()
        self.has_workload_peers = asyncio.Event()
        self._workloads_until: float | None = 0.0  # None: they are known
        self.begun = asyncio.Event()  # BIRD runs, with what the cluster says
        self._dirty = asyncio.Event()
        self._wanted = asyncio.Event()
        self._ready = asyncio.Event()  # there is a configuration to start BIRD with
        self._drops = [_drops_now()]
        self._told: tuple[Problem, ...] = ()
        if bird.in_force():
            self._ready.set()

    @property
    def in_sync(self) -> bool:
        """Whether the first complete picture of the datastore is here."""
        return self._source.in_sync

    @property
    def outage(self) -> Outage | None:
        """Why the datastore can't be followed now."""
        return self._source.outage

    def problems(self) -> list[str]:
        """What is left out or closed, and why."""
        found = [str(each) for each in (*self._noted(), *self.telling.left_out)]
        found += [self.running.trouble, self.telling.problem, self._meeting.problem]
        if self.in_sync and self.picture is None:
            found.append(
                f"Node({self.cluster.node}): is not there, or has no address in spec.bgp:"
                " nothing is told to BIRD"
            )
        if self.has_workload_peers.is_set() and self._workloads_until is not None:
            found.append("the workloads that are peers can't be read yet: no session begins there")
        return [each for each in found if each]

    def workloads_known(self) -> None:
        """All endpoints have been taken in that may be peers."""
        self._workloads_until = None
        if self.in_sync:
            self._dirty.set()

    def _wait_for_workloads(self) -> float:
        """The seconds to wait, since without them half of the sessions would end. Not for ever:
        they may be what can't be read, and all else goes on."""
        if self._workloads_until is None or not self.has_workload_peers.is_set():
            return 0.0
        time = asyncio.get_running_loop().time()
        self._workloads_until = self._workloads_until or time + _WORKLOADS
        return max(0.0, self._workloads_until - time)

    def _noted(self) -> tuple[Problem, ...]:
        """What was wrong in the resources; of a node that has no picture, too."""
        if self.picture is not None:
            return self.picture.problems
        return tuple(each for some in self.cluster.problems.values() for each in some)

    async def follow(self) -> None:
        """Take in the stream, for ever."""
        async for batch in self._source.stream():
            self.take(batch)

    def take(self, batch: Iterable[Item]) -> None:
        """One batch of the stream."""
        changed = False
        for item in batch:
            match item:
                case Update(key, value):
                    changed |= self.cluster.put(key, value)
                    if isinstance(value, BGPPeer) and value.spec.local_workload_selector:
                        self.has_workload_peers.set()
                case InSync():
                    changed = True
        if changed and self.in_sync:
            self._wanted.set()
            self._dirty.set()

    async def keep_bird(self) -> None:
        """Start BIRD once there is a configuration, and again whenever it ends; for ever."""
        await self._ready.wait()
        await self.running.keep(self._changed)

    def _changed(self) -> None:
        """What it read, as it began or before we came, may not be what the file says now."""
        self.telling.forget()
        if self.in_sync:
            self._dirty.set()

    async def keep_secrets(self) -> None:
        """Read the passwords that sessions need: when that changes, and now and then; for ever."""
        while True:
            try:
                async with asyncio.timeout(_AGAIN if self._secrets.away else _SECRETS):
                    await self._wanted.wait()
            except TimeoutError:
                pass
            self._wanted.clear()
            if await self._secrets.look(secrets_wanted(self.cluster)):
                self._dirty.set()

    async def keep_counting(self) -> None:
        """Remember the kernel's counts of packets with wrong passwords; for ever."""
        while True:
            self._drops = [*self._drops[-_RECENT:], _drops_now()]
            await asyncio.sleep(_DROPS)

    async def apply(self) -> None:
        """Tell BIRD of each change, and again what it could not be told; for ever."""
        again: float | None = None
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(again):
                    await self._dirty.wait()
            self._dirty.clear()
            await self._secrets.look_at_new(secrets_wanted(self.cluster))
            again = await self._turn()
            await asyncio.sleep(_PAUSE)

    async def _turn(self) -> float | None:
        """The seconds after which another turn is needed, though nothing has changed."""
        kept = sessions_in(self.bird.in_force()) if self._secrets.away else {}
        picture = picture_of(self.cluster, self._secrets.passwords, self._given, kept)
        self.picture = picture
        self._tell_problems()
        if picture is None:
            return None
        if (wait := self._wait_for_workloads()) > 0:
            return wait
        await self._meeting.want(picture)
        again = await self.telling.tell(picture)
        if self.bird.in_force():
            self._ready.set()
        if self.running.process and not self.telling.problem:
            self.begun.set()
        return again

    def _tell_problems(self) -> None:
        problems = () if self.picture is None else self.picture.problems
        for each in problems:
            if each not in self._told:
                _log.warning("something can't be used as it is", problem=str(each))
        self._told = problems

    async def state(self) -> State:
        """BIRD's state and its sessions now."""
        try:
            async with await self._connect() as control:
                bird = bird_state(await control.ask("show status"))
                states = session_states(await control.ask("show protocols all"))
        except BirdAway as problem:
            return State(None, str(problem), session_reports(self.picture, {}, Md5Drops()))
        drops = _drops_now().since(self._drops[0])
        return State(bird, "", session_reports(self.picture, states, drops))

    async def _connect(self) -> BirdControl:
        """One that is known not to answer is not waited for. Raises BirdAway."""
        if self.running.trouble:
            raise BirdAway(self.running.trouble)
        return await self.bird.connect()

    async def routes(self) -> dict[int, list[RouteReport]]:
        """The routes that BIRD knows, by IP version. Raises BirdAway."""
        async with await self._connect() as control:
            reply = await control.ask("show route")
        found = route_states(reply)
        return {version: route_reports(self.picture, each) for version, each in found.items()}


def _drops_now() -> Md5Drops:
    try:
        return md5_drops(_NETSTAT.read_text(encoding="ascii"))
    except OSError:
        return Md5Drops()
