"""Who waits for an endpoint to be ready, or for a revision to be in the kernel."""

import asyncio
from collections import defaultdict
from collections.abc import Mapping
from typing import NamedTuple

from tortie.policy.program import EndpointId


class NotReady(Exception):
    """The time is up. `str()` says what was still missing."""


class Stopping(NotReady):
    """The agent stops, perhaps to begin anew: whoever waits asks again."""


class _Waiter(NamedTuple):
    revision: int  # what is older does not count
    future: asyncio.Future[None]


class Waiters:
    """Futures that the end of a turn resolves."""

    def __init__(self) -> None:
        self._endpoints: defaultdict[EndpointId, set[_Waiter]] = defaultdict(set)
        self._reasons: dict[EndpointId, str] = {}
        self._revisions: set[_Waiter] = set()
        self.revision = 0  # in the kernel

    @property
    def watched(self) -> frozenset[EndpointId]:
        """The endpoints that somebody waits for."""
        return frozenset(self._endpoints)

    async def endpoint(self, endpoint_id: EndpointId, revision: int, within: float) -> None:
        """Return once a turn with at least `revision` in it finds the endpoint ready.

        Raises NotReady after `within` seconds.
        """
        waiter = _new_waiter(revision)
        self._endpoints[endpoint_id].add(waiter)
        try:
            await asyncio.wait_for(waiter.future, within)
        except TimeoutError:
            reason = self._reasons.get(endpoint_id, "the agent did not come to look at it")
            if self.revision < revision:
                reason = self._behind(revision)
            raise NotReady(
                f"workload {endpoint_id} was not ready after {within:g} s: {reason}"
            ) from None
        finally:
            self._forget(endpoint_id, waiter)

    async def applied(self, revision: int, within: float) -> None:
        """Return once `revision` is in the kernel. Raises NotReady after `within` seconds."""
        if self.revision >= revision:
            return
        waiter = _new_waiter(revision)
        self._revisions.add(waiter)
        try:
            await asyncio.wait_for(waiter.future, within)
        except TimeoutError:
            raise NotReady(f"{self._behind(revision)}, after {within:g} s") from None
        finally:
            self._revisions.discard(waiter)

    def close(self) -> None:
        """No turn comes any more: whoever waits is told so."""
        everyone = [*self._revisions, *(one for some in self._endpoints.values() for one in some)]
        for waiter in everyone:
            if not waiter.future.done():
                waiter.future.set_exception(Stopping("the agent is stopping: try again later"))

    def turned(self, waiting_for: Mapping[EndpointId, str], revision: int) -> None:
        """A turn ended: `revision` is in the kernel, and endpoints wait for this or nothing."""
        self.revision = max(self.revision, revision)
        self._release(self._revisions)
        for endpoint_id, reason in waiting_for.items():
            self._reasons[endpoint_id] = reason
            if not reason:
                self._release(self._endpoints.get(endpoint_id, set()))

    def _release(self, waiters: set[_Waiter]) -> None:
        for waiter in waiters:
            if waiter.revision <= self.revision and not waiter.future.done():
                waiter.future.set_result(None)

    def _behind(self, revision: int) -> str:
        return f"the agent is at revision {self.revision} of the datastore, not at {revision}"

    def _forget(self, endpoint_id: EndpointId, waiter: _Waiter) -> None:
        self._endpoints[endpoint_id].discard(waiter)
        if not self._endpoints[endpoint_id]:
            del self._endpoints[endpoint_id]
            self._reasons.pop(endpoint_id, None)


def _new_waiter(revision: int) -> _Waiter:
    return _Waiter(revision, asyncio.get_running_loop().create_future())
