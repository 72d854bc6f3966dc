"""A follower of fan-out servers: the same stream that `tortie.sync.Syncer` gives, from afar.

Servers come and go; the stream does not. Each new server begins with a whole picture, which the
ledger turns into what differs from the picture before, so the consumer hears `InSync` once.
"""

import logging
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing

from msgspec.structs import replace

from tortie.datastore import DatastoreError
from tortie.fanout.certificates import WrongPeer
from tortie.fanout.discovery import FindServers, Server
from tortie.fanout.frames import ProtocolError
from tortie.fanout.ledger import Ledger, Taken
from tortie.fanout.link import Link
from tortie.fanout.messages import (
    VERSIONS,
    Complete,
    Goodbye,
    Hello,
    Picture,
    Ping,
    Progress,
    Refused,
    Status,
)
from tortie.fanout.names import FELIX
from tortie.fanout.protocol import ClientEvent, Records
from tortie.fanout.settings import FanoutClientSettings
from tortie.sync import Backoff, InSync, Item, Outage, SyncWarning
from tortie.sync import Progress as Reached


class _Ended(Exception):
    """This server won't do; the message says why."""


class FanoutFollower:
    """One stream of one stream type. Each object gives one stream, for one consumer.

    `find_servers` says which servers to try. `admit` is called with the datastore's identity before
    anything of the first picture is given out; what it raises ends the stream. Servers of another
    datastore than the first one's are passed over.
    """

    def __init__(
        self,
        settings: FanoutClientSettings,
        find_servers: FindServers,
        *,
        stream: str = FELIX,
        node: str = "",
        admit: Callable[[str], None] | None = None,
        on_warning: Callable[[SyncWarning], None] | None = None,
        backoff: Backoff | None = None,
    ) -> None:
        self._settings = settings
        self._find = find_servers
        self._hello = Hello(versions=VERSIONS, stream=stream, node=node, program="tortie")
        self._admit = admit
        self._identity = ""
        self._servers_known: list[Server] = []
        self._absent: tuple[str, ...] = ()
        self._on_warning = on_warning or _log
        self._backoff = backoff or Backoff()
        self._ledger = Ledger()
        self._revision = 0
        self._left: Server | None = None  # the server that let us go last
        self.server: Server | None = None
        self.in_sync = False
        self.outage: Outage | None = None

    async def stream(self) -> AsyncGenerator[list[Item], None]:
        """Batches of updates for ever. Raises nothing of what happens to servers."""
        while True:
            for server in await self._servers():
                async with aclosing(self._attempt(server)) as batches:
                    async for batch in batches:
                        yield batch
                if self._lost(server):
                    break
            await self._backoff.wait()

    def absent_policies(self) -> list[str]:
        """One line for each stored policy that is not in the stream, since it can't be read."""
        return [*self._absent, *self._ledger.absent_policies()]

    async def _servers(self) -> list[Server]:
        try:
            self._servers_known = await self._find()
        except (DatastoreError, OSError) as error:
            self._note(f"finding fan-out servers failed: {error}")
        else:
            if not self._servers_known:
                self._note("there is no fan-out server that is ready")
        return sorted(self._servers_known, key=lambda server: server == self._left)

    async def _attempt(self, server: Server) -> AsyncGenerator[list[Item], None]:
        try:
            async with aclosing(self._follow(server)) as batches:
                async for batch in batches:
                    yield batch
        except (OSError, ProtocolError, WrongPeer, _Ended, TimeoutError) as error:
            self._note(f"fan-out server {server}: {_why(error)}")
        finally:
            self._left = server

    def _lost(self, server: Server) -> bool:
        """Whether it had served us: then all its clients look for another one in this moment.

        So look around anew, after a wait with jitter, and not all at the next one of the list.
        """
        lost, self.server = self.server == server, None
        return lost

    async def _follow(self, server: Server) -> AsyncGenerator[list[Item], None]:
        settings = self._settings
        async with Link.open(server, settings) as link:
            await link.greet(replace(self._hello, reached=self._revision))
            while True:
                for event in await link.events():
                    if isinstance(event, Ping):
                        await link.pong(event)
                    elif batch := self._take(event, server):
                        yield batch

    def _take(self, event: ClientEvent, server: Server) -> list[Item]:
        match event:
            case Picture(datastore):
                self._check_identity(datastore)
                self._ledger.begin()
            case Records(records):
                return self._told(self._ledger.take(records))
            case Complete(revision):
                return self._completed(revision, server)
            case Progress(revision):
                return self._reached(revision)
            case Status():
                self._hear(event, server)
            case Refused(reason) | Goodbye(reason):
                raise _Ended(reason)
        return []

    def _check_identity(self, datastore: str) -> None:
        if not self._identity:
            if self._admit is not None:
                self._admit(datastore)
            self._identity = datastore
        elif datastore != self._identity:
            raise _Ended(f"it follows {datastore}, which is not the datastore followed before")

    def _told(self, taken: Taken) -> list[Item]:
        for key, message in taken.warnings:
            self._on_warning(SyncWarning(key, message))
        return list(taken.updates)

    def _completed(self, revision: int, server: Server) -> list[Item]:
        gone = self._ledger.complete()
        first, self.in_sync = not self.in_sync, True
        self._backoff.connected()
        self.server, self.outage = server, None
        return [*gone, *([InSync()] if first else []), *self._reached(revision)]

    def _reached(self, revision: int) -> list[Item]:
        """A server that lags behind the last one has nothing new to say about revisions."""
        if revision < self._revision:
            return []
        self._revision = revision
        return [Reached(revision)]

    def _hear(self, status: Status, server: Server) -> None:
        self._absent = status.absent
        if status.outage:
            since = time.monotonic() - status.lasting
            self._outage(Outage(since, f"fan-out server {server} is stale: {status.outage}"))
        elif self.server is not None:
            self.outage = None

    def _note(self, reason: str) -> None:
        since = self.outage.since if self.outage else time.monotonic()
        self._outage(Outage(since, reason))

    def _outage(self, outage: Outage) -> None:
        before, self.outage = self.outage, outage
        if before is None or before.reason != outage.reason:
            self._on_warning(SyncWarning(None, outage.reason))


def _why(error: Exception) -> str:
    return str(error) or type(error).__name__


def _log(warning: SyncWarning) -> None:
    logging.getLogger(__name__).warning("%s", warning)
