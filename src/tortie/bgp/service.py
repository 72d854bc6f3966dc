"""The BGP daemon's work: the stream followed, BIRD told, its state reported.

    stream ─▶ Cluster ─▶ picture ─▶ text ─▶ BIRD's parser ─▶ file ─▶ `configure`

Nothing is told to BIRD before the first complete picture: half of one would end sessions. Until
then, and whenever the datastore is away, BIRD goes on with what it was told last.
"""

import asyncio
import datetime
import re
from collections.abc import AsyncGenerator, Iterable
from pathlib import Path
from typing import NamedTuple, Protocol

import structlog

from tortie.api.calico.bgp_peer import BGPPeer
from tortie.bgp.bird import Bird, Refused
from tortie.bgp.build import Given, picture_of
from tortie.bgp.cluster import Cluster
from tortie.bgp.control import BirdAway
from tortie.bgp.meeting import Meeting
from tortie.bgp.passwords import secrets_wanted
from tortie.bgp.picture import Picture, Problem
from tortie.bgp.reasons import Md5Drops, md5_drops
from tortie.bgp.replies import Reply
from tortie.bgp.report import RouteReport, SessionReport, route_reports, session_reports
from tortie.bgp.secrets import SecretKeeper
from tortie.bgp.status import BirdState, bird_state, route_states, session_states
from tortie.bgp.text import bird_text
from tortie.sync import InSync, Item, Outage, Update

_PAUSE = 0.1  # seconds between configurations: changes come in bursts
_SECRETS = 30.0  # seconds between looks at Secrets
_AGAIN = 3.0  # seconds, where one could not be read
_DROPS = 10.0  # seconds between looks at the kernel's counts
_RECENT = 6  # such looks are recent
_NETSTAT = Path("/proc/self/net/netstat")
_AT_LINE = re.compile(r":(\d+):\d+ ")

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
    """One node's BGP. `run` it beside `bird.keep_running`."""

    def __init__(
        self,
        node: str,
        source: Source,
        bird: Bird,
        secrets: SecretKeeper,
        given: Given,
        meeting: Meeting | None = None,
    ) -> None:
        self.cluster = Cluster(node)
        self.bird = bird
        self.picture: Picture | None = None
        self.refused = ""
        self.installed = ""  # when BIRD was told last, as RFC 3339
        self._source = source
        self._secrets = secrets
        self._given = given
        self._meeting = meeting or Meeting()
        self.has_workload_peers = asyncio.Event()
        self.begun = asyncio.Event()  # BIRD runs, with what the cluster says
        self._dirty = asyncio.Event()
        self._wanted = asyncio.Event()
        self._ready = asyncio.Event()  # there is a configuration to start BIRD with
        self._text = bird.in_force()
        self._drops = [_drops_now()]
        self._told: tuple[Problem, ...] = ()
        if self._text:
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
        found = [] if self.picture is None else [str(each) for each in self.picture.problems]
        if self.refused:
            found.append(self.refused)
        if self._must_wait():
            found.append(f"{self._secrets.away}; what BIRD was told last stays in force")
        if self.in_sync and self.picture is None:
            found.append(
                f"Node({self.cluster.node}): is not there, or has no address in spec.bgp:"
                " nothing is told to BIRD"
            )
        return found

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
        await self.bird.keep_running(self._begun)

    def _begun(self) -> None:
        """What it read, as it began or before we came, may not be what the file says now."""
        self._text = ""
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
            was_away = self._secrets.away
            changed = await self._secrets.look(secrets_wanted(self.cluster))
            if changed or was_away != self._secrets.away:
                self._dirty.set()

    async def keep_counting(self) -> None:
        """Remember the kernel's counts of packets with wrong passwords; for ever."""
        while True:
            self._drops = [*self._drops[-_RECENT:], _drops_now()]
            await asyncio.sleep(_DROPS)

    async def apply(self) -> None:
        """Tell BIRD of each change, for ever."""
        while True:
            await self._dirty.wait()
            self._dirty.clear()
            await self._secrets.look(secrets_wanted(self.cluster))
            await self._turn()
            await asyncio.sleep(_PAUSE)

    async def _turn(self) -> None:
        picture = picture_of(self.cluster, self._secrets.passwords, self._given)
        self.picture = picture
        self._tell_problems()
        if picture is None or self._must_wait():
            return
        await self._meeting.want(picture)
        text = bird_text(picture)
        if text == self._text:
            return
        try:
            await self._install(text)
        except Refused as problem:
            self.refused = f"BIRD refuses the configuration{_near(text, str(problem))}: {problem}"
            _log.error("the last configuration stays in force", problem=self.refused)
        except OSError as problem:
            self.refused = f"the configuration can't be written: {problem}"
            _log.error("the last configuration stays in force", problem=self.refused)

    def _must_wait(self) -> bool:
        """A session that BIRD has must not end because its password can't be read just now."""
        return bool(self._secrets.away) and self._ready.is_set()

    async def _install(self, text: str) -> None:
        await self.bird.install(text)
        self._ready.set()
        if self.bird.process:
            try:
                await self.bird.configure()
                self.begun.set()
            except BirdAway as problem:  # it reads the file when it starts again
                _log.warning("BIRD was not there to be told", problem=str(problem))
        self._text, self.refused = text, ""
        self.installed = now()
        _log.info("BIRD was told", sessions=len(self.picture.sessions) if self.picture else 0)

    def _tell_problems(self) -> None:
        problems = () if self.picture is None else self.picture.problems
        for each in problems:
            if each not in self._told:
                _log.warning("something can't be used as it is", problem=str(each))
        self._told = problems

    async def state(self) -> State:
        """BIRD's state and its sessions now."""
        try:
            async with await self.bird.connect() as control:
                bird = bird_state(await control.ask("show status"))
                states = session_states(await control.ask("show protocols all"))
        except BirdAway as problem:
            return State(None, str(problem), session_reports(self.picture, {}, Md5Drops()))
        drops = _drops_now().since(self._drops[0])
        return State(bird, "", session_reports(self.picture, states, drops))

    async def routes(self) -> dict[int, list[RouteReport]]:
        """The routes that BIRD knows, by IP version. Raises BirdAway."""
        reply: Reply = await self.bird.ask("show route")
        found = route_states(reply)
        return {version: route_reports(self.picture, each) for version, each in found.items()}


def now() -> str:
    """The time, as RFC 3339."""
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def _drops_now() -> Md5Drops:
    try:
        return md5_drops(_NETSTAT.read_text(encoding="ascii"))
    except OSError:
        return Md5Drops()


def _near(text: str, problem: str) -> str:
    """The resource that the refused line belongs to: the comment before it."""
    found = _AT_LINE.search(problem)
    lines = text.splitlines()[: int(found[1])] if found else []
    for line in reversed(lines):
        if line.startswith("# "):
            return f" near {line[2:]}"
    return ""
