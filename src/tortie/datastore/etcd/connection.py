"""Asking the members of the cluster: one in turn, until one answers or patience ends.

Every request that goes through here may be done twice without harm: reads by nature, writes since
each names the revision that it replaces, so that a second one does nothing and shows what is there.
`Answer.doubtful` tells the writer that an earlier try may have been the one that did it.
"""

import asyncio
import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple, Protocol

import grpc
import grpc.aio

from tortie.datastore.contract import Closed, DatastoreError, Forbidden, Unavailable
from tortie.datastore.etcd import errors
from tortie.datastore.etcd import rpc_pb2 as pb
from tortie.datastore.etcd.diagnosis import why_unreachable
from tortie.datastore.etcd.endpoints import Endpoint, endpoints, tls_context
from tortie.datastore.etcd.members import AUTHENTICATE, Member, Metadata, Method
from tortie.datastore.settings import EtcdSettings

ANSWER_SECONDS = 4.0  # of one member, for one object
PATIENCE_SECONDS = 8.0  # of one operation; an election takes one or two
_LONGEST_PAUSE = 0.5
_LEADER = ("hasleader", "true")  # a member that lost the others says so instead of waiting


class _Ends(Protocol):
    """A call, or a task."""

    def cancel(self) -> bool:
        """End it."""
        ...


class Answer(NamedTuple):
    """What a member answered; `doubtful`: an earlier try went unanswered and may have been done."""

    message: Any
    doubtful: bool


class Patience:
    """How long one operation goes from member to member: `PATIENCE_SECONDS` from its first failure.

    Elections are waited for, but a cluster of which so many members as `refusals` don't listen is
    told of at once.
    """

    def __init__(self, members: int, refusals: int) -> None:
        self._members = members
        self._refusals = refusals
        self._refused: set[Endpoint] = set()
        self._failures = 0
        self._until = 0.0

    async def bears(self, member: Member, error: grpc.RpcError) -> bool:
        """Whether to try again, after the pause that is due."""
        self._failures += 1
        if errors.is_refused_connection(error):
            self._refused.add(member.endpoint)
        now = asyncio.get_running_loop().time()
        self._until = self._until or now + PATIENCE_SECONDS
        if len(self._refused) >= self._refusals or now >= self._until:
            return False
        if self._failures >= self._members:
            await self._pause()
        return True

    async def is_renewed(self) -> bool:
        """Whether to try again although all have refused: somebody listens again."""
        self._refused.clear()
        await self._pause()
        return asyncio.get_running_loop().time() < self._until

    async def _pause(self) -> None:
        longest = min(_LONGEST_PAUSE, 0.02 * 2 ** min(self._failures, 8))
        await asyncio.sleep(random.uniform(longest / 2, longest))

    @property
    def went_round(self) -> bool:
        """Whether each member has just had its first chance."""
        return self._failures == self._members


class Connection:
    """The cluster, whichever of its members answers. It belongs to one event loop.

    Raises DatastoreError for settings that can never work; it connects with the first request.
    """

    def __init__(self, settings: EtcdSettings) -> None:
        found = endpoints(settings)
        self._context = tls_context(settings)
        self._settings = settings
        self._members = [Member(endpoint, settings) for endpoint in found]
        self._turn = 0
        self._token = ""
        self._has_users = bool(settings.username)
        self._login = asyncio.Lock()
        self._closed = False
        self._under_way: set[_Ends] = set()
        self._cluster = 0
        self.floor = 0
        """Revisions below this are of another life of the store: it was restored from a copy."""

    @property
    def username(self) -> str:
        """As whom we ask; empty where the certificate says it."""
        return self._settings.username

    @property
    def closed(self) -> bool:
        """Whether `close` was called."""
        return self._closed

    @property
    def member(self) -> Member:
        """Who is asked next."""
        return self._members[self._turn]

    def patience(self) -> Patience:
        """For one operation."""
        return Patience(len(self._members), refusals=len(self._members))

    def long_patience(self) -> Patience:
        """For what would be costly to begin anew: a restart of the only member is waited for."""
        return Patience(len(self._members), refusals=len(self._members) + 1)

    async def ask(
        self, method: Method, request: Any, asked: str, seconds: float = ANSWER_SECONDS
    ) -> Answer:
        """A member's answer. `asked` says for people what this is: "read /calico/...".

        Raises Unavailable where nobody answers, and what else the answer was.
        """
        patience, doubtful = self.patience(), False
        while True:
            member = self.member
            try:
                return Answer(await self._tried(member, method, request, seconds), doubtful)
            except grpc.RpcError as error:
                if not errors.is_outage(error):
                    raise errors.refusal(error, self.username, asked) from None
                doubtful = doubtful or not errors.was_never_sent(error)
                await self.endure(patience, member, error)

    async def endure(self, patience: Patience, member: Member, error: grpc.RpcError) -> None:
        """Go on to the next member after a failure. Raises why we can't, once patience ends."""
        self.pass_over(member)
        goes_on = await patience.bears(member, error)
        if goes_on and (not patience.went_round or errors.is_of_cluster(error)):
            return
        found = await self._diagnosed(member, error)
        if goes_on and not isinstance(found, Forbidden):
            return
        if found is None and errors.may_be_over(error) and await patience.is_renewed():
            return
        raise found or Unavailable(
            f"etcd at {member.endpoint.url} does not answer: {errors.reason(error)}"
        ) from None

    def pass_over(self, member: Member) -> None:
        """Ask another member next, if this one is still the one that is asked."""
        if self.member is member:
            self._turn = (self._turn + 1) % len(self._members)

    async def metadata(self, member: Member) -> Metadata:
        """What goes with each request; logs in where there is no token yet."""
        if not self._has_users:
            return (_LEADER,)
        if not self._token:
            async with self._login:
                if not self._token:
                    await self._authenticate(member)
        return (_LEADER, ("token", self._token)) if self._token else (_LEADER,)

    def forget_token(self, sent: Metadata) -> bool:
        """Log in again with the next request; whether that may help."""
        if sent == (_LEADER, ("token", self._token)):
            self._token = ""
        self._has_users = bool(self.username)
        return self._has_users

    def note(self, header: pb.ResponseHeader) -> None:
        """Notice another life of the store, or another store, by its cluster's number."""
        if self._cluster and header.cluster_id != self._cluster:
            self.floor = header.revision
        self._cluster = header.cluster_id

    @contextmanager
    def ending(self, one: "_Ends") -> Iterator[None]:
        """Have it end with this, and with `close`: gRPC forgets calls that have only just begun."""
        self._under_way.add(one)
        try:
            yield
        finally:
            self._under_way.discard(one)
            one.cancel()

    async def close(self) -> None:
        """End all connections and whatever waits on them."""
        self._closed = True
        for one in tuple(self._under_way):
            one.cancel()
        for member in self._members:
            await member.channel.close(None)

    async def _tried(self, member: Member, method: Method, request: Any, seconds: float) -> Any:
        try:
            metadata = await self.metadata(member)
            try:
                answer = await self._once(member, method, request, metadata, seconds)
            except grpc.RpcError as error:
                if not (errors.is_stale_token(error) and self.forget_token(metadata)):
                    raise
                metadata = await self.metadata(member)
                answer = await self._once(member, method, request, metadata, seconds)
        except (asyncio.CancelledError, grpc.aio.UsageError):
            self.check_open()  # closing cancels what is under way
            raise
        if answer.HasField("header"):
            self.note(answer.header)
        return answer

    def check_open(self) -> None:
        """Raise Closed after `close`, unless it is the caller's own task that is cancelled."""
        if self.was_closed():
            raise Closed("the etcd datastore is closed here") from None

    def was_closed(self) -> bool:
        """Whether we were closed, which cancels calls as the end of their task does."""
        task = asyncio.current_task()
        return self._closed and not (task and task.cancelling())

    async def _once(
        self,
        member: Member,
        method: Method,
        request: Any,
        metadata: Metadata,
        seconds: float,
    ) -> Any:
        self.check_open()
        return await member.call(method)(request, timeout=seconds, metadata=metadata)

    async def _authenticate(self, member: Member) -> None:
        request = pb.AuthenticateRequest(name=self.username, password=self._settings.password)
        try:
            answer = await self._once(member, AUTHENTICATE, request, (_LEADER,), ANSWER_SECONDS)
        except grpc.RpcError as error:
            if not errors.is_without_authentication(error):
                raise
            self._has_users = False
            return
        self._token = answer.token

    async def _diagnosed(self, member: Member, error: grpc.RpcError) -> DatastoreError | None:
        if errors.is_of_cluster(error):
            return None
        return await asyncio.to_thread(
            why_unreachable, member.endpoint, self._context, self._settings
        )
